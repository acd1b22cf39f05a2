"""Tables 4 and 5, ours beside the paper's, and its diagrams, drawn from the model at hand."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open

from songtitle.audio import frame_count, load_clip
from songtitle.cache import Record
from songtitle.claims import paper, paper_table
from songtitle.config import ExperimentConfig
from songtitle.experiment import SONG_INPUTS, clips, corpora, hypotheses
from songtitle.experiment.common import read_json
from songtitle.fmt import estimate, interval, p_value, percent, points, signed
from songtitle.plots import Box
from songtitle.report.answers import Answers
from songtitle.report.corpora import HERE, PAPER
from songtitle.report.references import references_rows
from songtitle.report.truth import LEVEL, definition_note, short_name
from songtitle.spectrograms import PAPER_LITERAL, TRUE_SHAPE
from songtitle.tables import shown
from songtitle.training import best_checkpoint
from songtitle.training.checkpoints import MODEL

DECODERS = {"lstm": "LSTM", "attention": "LSTM with attention", "transformer": "transformer"}


def table_4(scores: pd.DataFrame, differences: Record | None = None) -> pd.DataFrame:
    """Tabulate BLEU-1 by input and beam size: ours as `score_cell` writes it, and the paper's.

    `differences` gives the letters of cells that their items do not tell apart.
    """
    theirs, beams = paper_table(4), list(dict.fromkeys(scores["beam_size"]))
    letters = {
        (row["input"], row["beam_size"]): row["letters"]
        for row in (differences.result["letters"] if differences else [])
    }
    rows = []
    for name, found in scores.groupby("input", sort=False):
        cells = {row["beam_size"]: row for row in found.to_dict("records")}
        lead = [name, cells[beams[0]]["tiles"] if "pictures" in name else None]
        rows.append(
            [*lead, HERE, *(score_cell(cells[k], letters.get((name, k), "")) for k in beams)]
        )
        printed = theirs.loc[_paper_row(name)] if _paper_row(name) in theirs.index else {}
        rows.append([*lead, PAPER, *map(printed.get, beams)])
    return pd.DataFrame(rows, columns=["Input", "Tiles", "What", *(f"k = {k}" for k in beams)])


def score_cell(row: Any, letters: str = "") -> str:
    """Write one cell in three lines, in percent points: score and letters, its 95 % interval, and
    `(chance, gain, p)`.

    `row` has the fields of `Chance`.
    """
    score = f"{points(row['score'])} {letters}".strip()
    luck = f"({points(row['chance'])}, {signed(row['gain'])}, p {p_value(row['p'])})"
    return "\n".join([score, interval(row["low"], row["high"]), luck])


def table_5(scores: pd.DataFrame, answers: Answers | None = None) -> pd.DataFrame:
    """Tabulate timbre and spectrogram, greedy and k = 5: AudioCaps as the paper quotes it, the
    paper, here.

    A beam size that was not searched is left blank. With `answers` of the census, what AudioCaps'
    captions score without any sound stands below: see `references_rows`.
    """
    theirs = paper_table(5)
    cells = {(row["input"], row["beam_size"]): row for row in scores.to_dict("records")}
    rows = []
    for id, name in (("mfcc", "songs: timbre"), ("spectrogram", "songs: spectrogram")):
        printed = [f"{theirs.loc[id, key]:.1f}" for key in ("audiocaps_1", "ours_1", "ours_5")]
        ours = [score_cell(cells[name, k]) if (name, k) in cells else None for k in (1, 5)]
        rows.append([theirs.loc[id, "features"], *printed, *ours])
    if answers is not None:
        rows += [[who, cell, *[None] * 4] for who, cell in references_rows(answers)]
    columns = ["Features", "AudioCaps, nearest neighbour", "Paper, k = 1", "Paper, k = 5"]
    return pd.DataFrame(rows, columns=[*columns, f"{HERE}, k = 1", f"{HERE}, k = 5"], dtype=object)


def spectrogram_shapes(clip: Path, config: ExperimentConfig) -> pd.DataFrame:
    """Tabulate bins and frames of a clip under the paper's settings, under those that fit, and
    under those of `config` where they are neither."""
    readings = {"as stated": PAPER_LITERAL, "as they give about 2,580 frames": TRUE_SHAPE}
    if config.spectrogram not in readings.values():
        readings["as set for this page"] = config.spectrogram
    rows = []
    for name, settings in readings.items():
        rate = settings.sample_rate
        samples = len(load_clip(clip, sample_rate=rate, duration=config.clip_seconds))
        frames = frame_count(samples, settings)
        asked = [rate, settings.n_fft, settings.window_length, settings.hop_length]
        rows.append([name, *asked, samples, settings.bins, frames])
    size = [paper("spectrogram.bins"), paper("spectrogram.frames")]
    rows.append([PAPER, 44_100, 1_024, 512, 256, None, *size])
    columns = ["Setting", "Hz", "Transform", "Window", "Hop", "Samples", "Bins", "Frames"]
    return pd.DataFrame(rows, columns=columns)


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


def mean_lengths(scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the mean length of the best hypothesis in words, by input and beam size."""
    wide = scores.pivot(index="input", columns="beam_size", values="mean_length")
    wide = wide.loc[list(dict.fromkeys(scores["input"]))]
    return wide.rename(columns=lambda k: f"k = {k}").rename_axis("Input").reset_index()


def signature(record: Record) -> str:
    """Say what the numbers of Table 4 mean, in one line to stand below it."""
    items = " and ".join(f"{n:,}" for n in sorted({row["items"] for row in record.result["rows"]}))
    return f"Mean over {items} test items. {definition_note(record)}"


def named_songs(config: ExperimentConfig, beam_size: int, *, count: int) -> pd.DataFrame:
    """Tabulate true titles, the best by either reading, and a chance title, of the first songs."""
    songs = read_json(clips(config).file("songs.json"))
    shift = np.random.default_rng(config.seed).integers(1, len(songs))
    columns = {"True title": [shown(song["title"]) for song in songs[:count]]}
    for name in SONG_INPUTS:
        best = [item[0][0] for item in _hypotheses(config, name, beam_size)]
        columns[f"From {short_name(name)}"] = [_said(found) for found in best[:count]]
    columns["Chance title"] = [
        " ".join(best[(place + shift) % len(best)][0]) for place in range(len(best[:count]))
    ]
    return pd.DataFrame(columns)


def five_best(config: ExperimentConfig, beam_size: int, *, song: int) -> pd.DataFrame:
    """Tabulate the hypotheses of one song, best first, by either reading."""
    columns = {}
    for name in SONG_INPUTS:
        found = _hypotheses(config, name, beam_size)[song][0]
        columns[f"From {short_name(name)}"] = pd.Series(map(_said, found), dtype=object)
    frame = pd.DataFrame(columns)
    frame.insert(0, "Rank", range(1, len(frame) + 1))
    return frame


def variety(config: ExperimentConfig, beam_size: int) -> pd.DataFrame:
    """Count the different best titles of all songs, and how often the most frequent one came."""
    rows = []
    for name in SONG_INPUTS:
        best = [" ".join(item[0][0][0]) for item in _hypotheses(config, name, beam_size)]
        title, times = Counter(best).most_common(1)[0]
        rows.append([name, len(best), len(set(best)), title, percent(times / len(best))])
    columns = ["Input", "Songs", "Different titles", "Most frequent", "Its share"]
    return pd.DataFrame(rows, columns=columns)


def headline(scores: pd.DataFrame) -> dict[str, str]:
    """Give the best cell in domain and out of it, beside chance: what a front page may quote.

    `clear` says how many cells of each side chance does not explain, at 5 % for all of them
    together (Bonferroni): among many cells some are always high.
    """
    said: dict[str, str] = {}
    for side in ("pictures", "songs"):
        rows = scores[scores["input"].str.startswith(side)]
        best = rows.loc[rows["score"].idxmax()]
        clear = int((rows["p"] < LEVEL / len(rows)).sum())
        said |= {
            f"{side}.input": best["input"],
            f"{side}.beam_size": str(best["beam_size"]),
            f"{side}.items": f"{best['items']:,}",
            f"{side}.p": p_value(best["p"]),
            f"{side}.gain": points(best["score"] - best["chance"], sign="+"),
            f"{side}.clear": f"{clear or 'none'} of {len(rows)}",
        }
        said |= {f"{side}.{key}": points(best[key]) for key in ("score", "low", "high", "chance")}
    return said


def clip_of(record: Record, song: int) -> Path:
    """Give the audio file of a test song, counted from 0."""
    return record.file("clips") / read_json(record.file("songs.json"))[song]["clip"]


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


def _hypotheses(config: ExperimentConfig, name: str, beam_size: int) -> list[Any]:
    return read_json(hypotheses(config, name, beam_size).file("hypotheses.json"))


def _said(found: list[Any]) -> str:
    words, log_prob = found
    return f"{' '.join(words) or '(nothing)'} ({log_prob:.1f})"


def _paper_row(name: str) -> str:
    if name.startswith("songs"):
        return "msd" if "timbre" in name else "fma"
    return f"cc{name.split('×')[-1]}"
