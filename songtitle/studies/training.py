"""Page 3, training: the captioner in boxes, perplexities, encoders and decoders compared."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from safetensors import safe_open

from songtitle.cache import Record, read_json
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import corpora
from songtitle.figures.diagrams import Box
from songtitle.figures.findings import amount, extremes, hand_on
from songtitle.figures.style import COLOURS, MARKERS, own_axes, require
from songtitle.fmt import estimate, p_value, points
from songtitle.training.checkpoints import MODEL, best_checkpoint

DECODERS = {"lstm": "LSTM", "attention": "LSTM with attention", "transformer": "transformer"}


def perplexities(record: Record) -> pd.DataFrame:
    """Tabulate the perplexity of the captioner kept, and of its controls."""
    history = pd.DataFrame(record.result["history"])
    best = history.loc[history["valid_perplexity"].idxmin()]
    rows = [
        [f"captioner, epoch {best['epoch']:.0f}", record.result["valid_perplexity"]],
        ["the same, pictures permuted", record.result["permuted_pictures_perplexity"]],
        ["unigram model", record.result["unigram_perplexity"]],
    ]
    return pd.DataFrame(rows, columns=["Model", "Validation perplexity"])


def comparison(record: Record) -> pd.DataFrame:
    """Tabulate each encoder with each decoder: perplexity and control, BLEU-1 and chance, cost."""
    rows = [
        {
            "Encoder": row["encoder"],
            "Decoder": row["decoder"],
            "Perplexity (wrong pictures)": f"{row['valid_perplexity']:.2f} "
            f"({row['permuted_pictures_perplexity']:.2f})",
            "BLEU-1": estimate(row["score"], row["low"], row["high"]),
            "Chance": f"{points(row['chance'])} (p = {p_value(row['p'])})",
            "Million weights": f"{row['parameters'] / 1e6:.1f} + "
            f"{row['backbone_parameters'] / 1e6:.1f}",
            "Seconds": f"{times['epoch_seconds']:.1f} + {times['encode_seconds']:.0f}",
        }
        for row, times in zip(record.result["rows"], record.timing["rows"], strict=True)
    ]
    return pd.DataFrame(rows, dtype=object)


def example_caption(config: ExperimentConfig) -> list[str]:
    """Give a caption of about four words from the test pictures, for the diagrams."""
    pictures = read_json(corpora(config).file("pictures.json"))
    tokens = [p["tokens"] for p in pictures if p["split"] == "test"]
    return min(tokens, key=lambda words: abs(len(words) - 4))


def diagram(config: ExperimentConfig, trained: Record) -> dict[str, list[Box]]:
    """Give the boxes of the paper's Figs. 1 to 4, with the shapes that the trained model has.

    Keys: `picture` (Figs. 1 and 2), `timbre` (Fig. 3), `spectrogram` (Figs. 2 and 4), `decoder`.
    """
    with safe_open(best_checkpoint(trained.folder) / MODEL, framework="pt") as file:
        width, features = file.get_slice("encoder.linear.weight").get_shape()
        vocab, dim = file.get_slice("decoder.output.weight").get_shape()
    side, bins = config.crop, config.spectrogram.bins
    backbone = Box(config.model.encoder, f"{features}", "frozen, ImageNet weights")
    project = Box("linear + batch norm", f"{width}", "trained")
    frames = "all frames" if config.spectrogram_fit == "whole" else side
    audio = Box("audio", f"{config.clip_seconds:.0f} s")
    sound = Box("spectrogram", f"3 × {bins} × {frames}", "dB as brightness")
    numbers = Box("timbre", "90", "12 means, 78 covariances")
    return {
        "picture": [Box("picture crop", f"3 × {side} × {side}", "RGB"), backbone, project],
        "timbre": [audio, numbers, Box("replicated", f"{dim}", "each number 5 or 6 times")],
        "spectrogram": [audio, sound, backbone, project],
        "decoder": [Box(DECODERS[config.model.decoder], f"{dim}", f"{vocab:,} words")],
    }


def perplexity_by_epoch(
    history: pd.DataFrame, *, references: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Training and validation perplexity by epoch (Fig. 6).

    `history` has the columns epoch, train_perplexity and valid_perplexity. Each reference, such
    as a unigram model, is a horizontal line named in the legend.
    """
    require(history, ["epoch", "train_perplexity", "valid_perplexity"], "training history")
    ax = own_axes(ax)
    label, found = "perplexity (per token)", []
    for place, (split, line) in enumerate([("training", "-"), ("validation", "--")]):
        values = history[f"{split[:5]}_perplexity"]
        style = {"marker": MARKERS[place], "color": COLOURS[place]}
        ax.plot(history["epoch"], values, line, label=split, **style)
        found.append(pd.DataFrame({"of": split, "epoch": history["epoch"], label: values}))
    dashes = [(0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (10, 3)), (0, (3, 1, 1, 1, 1, 1))]
    for place, (name, value) in enumerate(references.items()):
        dash = dashes[place % len(dashes)]
        ax.axhline(value, linestyle=dash, color="0.3", lw=1.4, label=f"{name}: {value:.1f}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=label)
    ax.set_ylim(bottom=0)
    ax.legend()
    drawn = pd.concat(found)
    finding = "; ".join(
        [extremes(drawn, label, at="epoch", of="of")]
        + [f"{name} is at {amount(value)}" for name, value in references.items()]
    )
    levels = pd.DataFrame({"of": references.keys(), label: references.values()})
    return hand_on(ax, pd.concat([drawn, levels]) if references else drawn, finding)
