"""Tables 4 and 5, ours beside the paper's, and its diagrams, drawn from the model at hand."""

import json
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
from songtitle.plots import Box
from songtitle.report.answers import Answers
from songtitle.report.corpora import HERE, PAPER
from songtitle.report.references import references_rows
from songtitle.report.truth import definition_note
from songtitle.spectrograms import PAPER_LITERAL, TRUE_SHAPE
from songtitle.tables import shown
from songtitle.training import best_checkpoint
from songtitle.training.checkpoints import MODEL

DECODERS = {"lstm": "LSTM", "attention": "LSTM with attention", "transformer": "transformer"}


def table_4(scores: pd.DataFrame, differences: Record | None = None) -> pd.DataFrame:
    """BLEU-1 (percent points) by input and beam size, here as `score_cell` has it, and the paper's.

    `differences` gives the letters of cells that their items do not tell apart.
    """
    theirs = paper_table(4)
    beams = list(dict.fromkeys(scores["beam_size"]))
    rows = []
    letters = {
        (row["input"], row["beam_size"]): row["letters"]
        for row in (differences.result["letters"] if differences else [])
    }
    for name, found in scores.groupby("input", sort=False):
        by_beam = {row.beam_size: row for row in found.itertuples()}
        tiles = by_beam[beams[0]].tiles if "pictures" in str(name) else None
        cells = [score_cell(by_beam[k], letters.get((str(name), k), "")) for k in beams]
        rows.append([name, tiles, HERE, *cells])
        printed = theirs.loc[_paper_row(str(name))] if _paper_row(str(name)) in theirs.index else {}
        rows.append([name, tiles, PAPER, *(printed.get(k) for k in beams)])
    columns = ["Input", "Tiles", "What", *(f"k = {k}" for k in beams)]
    return pd.DataFrame(rows, columns=columns)


def score_cell(found: Any, letters: str = "") -> str:
    """One cell in three lines, in percent points: score and letters, its 95 % interval, and
    `(chance, gain, p)`.

    `found` has the fields of `Chance`.
    """
    score, low, high, chance, gain = (
        100 * getattr(found, name) for name in ("score", "low", "high", "chance", "gain")
    )
    # A gain that rounds to nothing has no sign.
    lead = f"{gain:+.1f}" if round(gain, 1) else "0.0"
    return "\n".join(
        [
            f"{score:.1f} {letters}".strip(),
            f"[{low:.1f}, {high:.1f}]",
            f"({chance:.1f}, {lead}, p {found.p:.3f})",
        ]
    )


def table_5(scores: pd.DataFrame, answers: Answers | None = None) -> pd.DataFrame:
    """Timbre and spectrogram, greedy and k = 5: AudioCaps as the paper quotes it, the paper, here.

    A beam size that was not searched is left blank. With `answers` of the census, what AudioCaps'
    captions score without any sound stands below: see `references_rows`.
    """
    theirs = paper_table(5)
    rows = []
    for id, name in (("mfcc", "songs: timbre"), ("spectrogram", "songs: spectrogram")):
        ours: list[str | None] = []
        for k in (1, 5):
            found = scores[(scores["input"] == name) & (scores["beam_size"] == k)]
            ours += [score_cell(cell) for cell in found.itertuples()] or [None]
        printed = theirs.loc[id]
        cells = [f"{printed[key]:.1f}" for key in ("audiocaps_1", "ours_1", "ours_5")]
        rows.append([printed["features"], *cells, *ours])
    if answers is not None:
        rows += [[who, cell, *[None] * 4] for who, cell in references_rows(answers)]
    columns = ["Features", "AudioCaps, nearest neighbour", "Paper, k = 1", "Paper, k = 5"]
    return pd.DataFrame(rows, columns=[*columns, f"{HERE}, k = 1", f"{HERE}, k = 5"], dtype=object)


def spectrogram_shapes(clip: Path, config: ExperimentConfig) -> pd.DataFrame:
    """Bins and frames of a clip under the paper's stated settings, under those that fit, and under
    those of `config` where they are neither."""
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
    rows.append(
        [
            PAPER,
            44_100,
            1_024,
            512,
            256,
            None,
            paper("spectrogram.bins"),
            paper("spectrogram.frames"),
        ]
    )
    columns = ["Setting", "Hz", "Transform", "Window", "Hop", "Samples", "Bins", "Frames"]
    return pd.DataFrame(rows, columns=columns)


def perplexities(record: Record) -> pd.DataFrame:
    """The captioner kept, and its controls."""
    history = pd.DataFrame(record.result["history"])
    best = history.loc[history["valid_perplexity"].idxmin()]
    rows = [
        [f"captioner, epoch {best['epoch']:.0f}", record.result["valid_perplexity"]],
        ["the same, pictures permuted", record.result["permuted_pictures_perplexity"]],
        ["unigram model", record.result["unigram_perplexity"]],
    ]
    return pd.DataFrame(rows, columns=["Model", "Validation perplexity"])


def comparison(record: Record) -> pd.DataFrame:
    """Each encoder with each decoder: perplexity and its control, BLEU-1 with chance, cost."""
    rows = []
    for found, times in zip(record.result["rows"], record.timing["rows"], strict=True):
        score = [100 * found[key] for key in ("score", "low", "high")]
        rows.append(
            [
                found["encoder"],
                found["decoder"],
                f"{found['valid_perplexity']:.2f} ({found['permuted_pictures_perplexity']:.2f})",
                "{:.1f} [{:.1f}, {:.1f}]".format(*score),
                f"{100 * found['chance']:.1f} (p = {found['p']:.3f})",
                f"{found['parameters'] / 1e6:.1f} + {found['backbone_parameters'] / 1e6:.1f}",
                f"{times['epoch_seconds']:.1f} + {times['encode_seconds']:.0f}",
            ]
        )
    columns = ["Encoder", "Decoder", "Perplexity (wrong pictures)", "BLEU-1", "Chance"]
    return pd.DataFrame(rows, columns=[*columns, "Million weights", "Seconds"], dtype=object)


def mean_lengths(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean length of the best hypothesis in words, by input and beam size."""
    wide = scores.pivot(index="input", columns="beam_size", values="mean_length")
    wide = wide.loc[list(dict.fromkeys(scores["input"]))]
    return wide.rename(columns=lambda k: f"k = {k}").rename_axis("Input").reset_index()


def signature(record: Record) -> str:
    """What the numbers of Table 4 mean, in one line to stand below it."""
    items = " and ".join(f"{n:,}" for n in sorted({row["items"] for row in record.result["rows"]}))
    return f"Mean over {items} test items. {definition_note(record)}"


def named_songs(config: ExperimentConfig, beam_size: int, *, count: int) -> pd.DataFrame:
    """True titles, the best title by either reading, and a chance title, for the first songs."""
    songs = _read(clips(config), "songs.json")
    shift = np.random.default_rng(config.seed).integers(1, len(songs))
    columns: dict[str, list[str]] = {"True title": [shown(song["title"]) for song in songs[:count]]}
    for name in SONG_INPUTS:
        best = [item[0][0] for item in _hypotheses(config, name, beam_size)]
        columns[f"From {name.split()[-1]}"] = [_said(found) for found in best[:count]]
        if name == SONG_INPUTS[-1]:
            chance = [best[(i + shift) % len(best)] for i in range(min(count, len(best)))]
            columns["Chance title"] = [" ".join(words) for words, _ in chance]
    return pd.DataFrame(columns)


def five_best(config: ExperimentConfig, beam_size: int, *, song: int) -> pd.DataFrame:
    """The hypotheses of one song, best first, by either reading."""
    found = {name: _hypotheses(config, name, beam_size)[song][0] for name in SONG_INPUTS}
    columns = {
        f"From {name.split()[-1]}": pd.Series([_said(each) for each in beams], dtype=object)
        for name, beams in found.items()
    }
    frame = pd.DataFrame(columns)
    frame.insert(0, "Rank", range(1, len(frame) + 1))
    return frame


def variety(config: ExperimentConfig, beam_size: int) -> pd.DataFrame:
    """How many different best titles the songs got, and how often the most frequent one came."""
    rows = []
    for name in SONG_INPUTS:
        best = [" ".join(item[0][0][0]) for item in _hypotheses(config, name, beam_size)]
        title, times = Counter(best).most_common(1)[0]
        rows.append([name, len(best), len(set(best)), title, f"{100 * times / len(best):.1f} %"])
    columns = ["Input", "Songs", "Different titles", "Most frequent", "Its share"]
    return pd.DataFrame(rows, columns=columns)


def mixing(record: Record) -> pd.DataFrame:
    """How far each kind mixes into the training pictures."""
    rows = [[name, value] for name, value in record.result["mixing"].items()]
    return pd.DataFrame(rows, columns=["Kind", "Mixing"])


def headline(scores: pd.DataFrame) -> dict[str, str]:
    """The best cell in domain and out of it, beside chance: what a front page may quote.

    `clear` says how many cells of each side chance does not explain, at 5 % for all of them
    together (Bonferroni): among many cells some are always high.
    """
    said: dict[str, str] = {}
    for side in ("pictures", "songs"):
        rows = scores[scores["input"].str.startswith(side)]
        best = rows.loc[rows["score"].idxmax()]
        clear = int((rows["p"] < 0.05 / len(rows)).sum())
        said |= {
            f"{side}.input": best["input"],
            f"{side}.beam_size": str(best["beam_size"]),
            f"{side}.items": f"{best['items']:,}",
            f"{side}.p": f"{best['p']:.3f}",
            f"{side}.gain": f"{100 * (best['score'] - best['chance']):+.1f}",
            f"{side}.clear": f"{clear or 'none'} of {len(rows)}",
        }
        for value in ("score", "low", "high", "chance"):
            said[f"{side}.{value}"] = f"{100 * best[value]:.1f}"
    return said


def clip_of(record: Record, song: int) -> Path:
    """The audio file of a test song, counted from 0."""
    return record.file("clips") / _read(record, "songs.json")[song]["clip"]


def example_caption(config: ExperimentConfig) -> list[str]:
    """A caption of four words from the test pictures, for the diagrams."""
    pictures = _read(corpora(config), "pictures.json")
    tokens = [p["tokens"] for p in pictures if p["split"] == "test"]
    return min(tokens, key=lambda words: abs(len(words) - 4))


def diagram(config: ExperimentConfig, trained: Record) -> dict[str, list[Box]]:
    """Boxes for the paper's Figs. 1 to 4, with the shapes that the trained model has.

    Keys: `picture` (Figs. 1 and 2), `timbre` (Fig. 3), `spectrogram` (Figs. 2 and 4), `decoder`.
    """
    with safe_open(best_checkpoint(trained.folder) / MODEL, framework="pt") as file:
        width, features = file.get_slice("encoder.linear.weight").get_shape()
        vocab, dim = file.get_slice("decoder.output.weight").get_shape()
    side, bins = config.crop, config.spectrogram.bins
    backbone = Box(config.model.encoder, f"{features}", "frozen, ImageNet weights")
    project = Box("linear + batch norm", f"{width}", "trained")
    whole = config.spectrogram_fit == "whole"
    sound = Box(
        "spectrogram", f"3 × {bins} × {'all frames' if whole else side}", "dB as brightness"
    )
    return {
        "picture": [Box("picture crop", f"3 × {side} × {side}", "RGB"), backbone, project],
        "timbre": [
            Box("audio", f"{config.clip_seconds:.0f} s"),
            Box("timbre", "90", "12 means, 78 covariances"),
            Box("replicated", f"{dim}", "each number 5 or 6 times"),
        ],
        "spectrogram": [Box("audio", f"{config.clip_seconds:.0f} s"), sound, backbone, project],
        "decoder": [Box(DECODERS[config.model.decoder], f"{dim}", f"{vocab:,} words")],
    }


def _hypotheses(config: ExperimentConfig, name: str, beam_size: int) -> list[Any]:
    return _read(hypotheses(config, name, beam_size), "hypotheses.json")


def _said(found: list[Any]) -> str:
    words, log_prob = found
    return f"{' '.join(words) or '(nothing)'} ({log_prob:.1f})"


def _read(record: Record, name: str) -> Any:
    return json.loads(record.file(name).read_text("utf-8"))


def _paper_row(name: str) -> str:
    if name.startswith("songs"):
        return "msd" if "timbre" in name else "fma"
    return f"cc{name.split('×')[-1]}"
