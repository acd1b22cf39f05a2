"""How far guesses lie from printed scores, and how much of a good fit is the choosing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, Work, pick, read_json, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig, Input
from songtitle.errors import InputError
from songtitle.experiment.corpora import (
    clips,
    corpora,
    picture_rows,
    song_rows,
    true_series,
    true_words,
)
from songtitle.experiment.naming import hypotheses, table_inputs
from songtitle.experiment.paper_corpora import answer
from songtitle.experiment.random_captions import CLEANED, OTHERS, described, orders_by_unit
from songtitle.metrics.bleu import DEFINITIONS, bleu_of_counts
from songtitle.metrics.chance import of_other_series
from songtitle.metrics.pairs import CHOICES, LENGTHS, Found, mean_bleu, pair_up
from songtitle.paper.printed import paper_table

Cell = tuple[Input, int]  # with the beam size
Cells = Mapping[Cell, float]  # scores in [0, 1]
Way = tuple[str, str, str]  # source, definition, choice
Rows = Sequence[Mapping[str, Any]]

OURS, WRONG = "this run's outputs", "the same, wrong references"
CAPTIONS_HERE, REAL_CAPTIONS = "captions of this run", "real captions"
AS_LONG = "as long as outputs"
AGAINST = {str(TIMBRE): "msd", str(SPECTROGRAM): "fma"}  # the paper's sources of songs

# Parts of a table of scores; `rest` is all but `msd`, to choose on one and to judge on the other.
PARTS: dict[str, Callable[[Cell], bool]] = {
    "all": lambda cell: True,
    "songs": lambda cell: cell[0].is_song,
    "greedy": lambda cell: cell[1] == 1,
    "msd": lambda cell: cell[0] == TIMBRE,
    "rest": lambda cell: cell[0] != TIMBRE,
}


def kind(cell: Cell) -> str:
    """Say what a cell is of: pictures of whatever tile size, or one reading of songs."""
    return str(cell[0]) if cell[0].is_song else cell[0].kind


def distances(guess: Cells, printed: Cells) -> dict[str, float | None]:
    """Measure the mean absolute difference, in [0, 1], over each part's cells; None for no cell."""
    gaps = {cell: abs(guess[cell] - value) for cell, value in printed.items()}
    parts = {name: list(filter(belongs, printed)) for name, belongs in PARTS.items()}
    return {
        name: float(np.mean([gaps[cell] for cell in cells])) if cells else None
        for name, cells in parts.items()
    }


def left_out(rows: Rows, *, on: str, judged: str) -> dict[str, Any]:
    """Find the row of least distance on one part, with its rank (from 1) among all on another;
    `typical` is the middle row's distance there, `least` the smallest."""
    best, there = min(rows, key=lambda row: row[on]), np.array([row[judged] for row in rows])
    rank = 1 + int((there < best[judged]).sum())
    typical = {"typical": float(np.median(there)), "least": float(there.min())}
    return dict(best) | {"tried": len(rows), "rank": rank} | typical


def one_number(printed: Cells, *, on: str = "all") -> dict[str, float | None]:
    """Measure how far off the one number is that fits a part best, its median, for every cell."""
    value = float(np.median([value for cell, value in printed.items() if PARTS[on](cell)]))
    return {"value": value} | distances(dict.fromkeys(printed, value), printed)


def by_luck(
    printed: Cells, tried: int, *, generator: np.random.Generator, rounds: int = 500
) -> dict[str, float]:
    """Find the least of `tried` distances of blind guesses, one number in [0, 1] for each kind of
    cell: mean and 5 % point. The best of many comes near any table, which alone says nothing."""
    kinds = sorted(set(map(kind, printed)))
    blind = generator.random((rounds, tried, len(kinds)))
    gaps = (np.abs(blind[..., kinds.index(kind(cell))] - printed[cell]) for cell in printed)
    least = np.min(sum(gaps) / len(printed), axis=1)
    return {"mean": float(least.mean()), "low": float(np.quantile(least, 0.05))}


@stage
def content_free(config: ExperimentConfig, *, home: Path) -> Work:
    """What this run's captions score against titles and captions they were not made for.

    No model and no sound: `scores` are the rows of `content_free_rows`. For either reading one
    collection of titles stands where the paper has Million Song ("msd") and the Free Music Archive
    ("fma"): `collections` names them.
    """
    before = corpora(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        pictures, songs = picture_rows(before), song_rows(before)
        texts = {OTHERS: [picture["tokens"] for picture in pictures]}
        series = [picture["series"] for picture in pictures]
        for name, collection in stand_ins(before).items():
            texts[name] = [song["tokens"] for song in songs if song["collection"] == collection]
        how: Any = {"series": series, "draws": config.draws, "seed": config.seed}
        return described({CLEANED: texts}, **how) | {"collections": stand_ins(before)}

    return Work(compute, pick(config, "seed", "draws"), [before])


def stand_ins(words: Record) -> dict[str, str]:
    """Name the collection of titles that stands for each of the paper's, from `corpora`."""
    named = words.result["stands_for"]
    return {its: named[Input.of(each).reading] for each, its in AGAINST.items()}


@stage
def readings(config: ExperimentConfig, *, home: Path) -> Work:
    """Every way of scoring against the paper's Table 4: this run's outputs, and captions alone.

    - `scores`: this run's outputs by `input, beam_size, definition, choice`, beside the `paper`'s;
      of wide beams the five likeliest hypotheses are kept, so "mean" and "best" are of five;
    - `distances`: per `source, definition, choice` the mean absolute difference over the cells of
      each of `PARTS`, also for outputs beside the reference of another item; for captions the
      `choice` is how many words are kept, one number for all beam sizes, or as many as this run's
      outputs have at each;
    - `left_out`: per source, the way chosen without the Million Song row, judged on it;
    - `one_number`, `one_number_a_kind`, `luck`: what fits without any way of scoring.

    All in [0, 1]. Raises InputError where no beam size of this run is in the paper.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    printed = printed_cells(config)
    found = {cell: hypotheses(config, *cell, home=home) for cell in printed}
    here, real = content_free(config, home=home), answer("content_free", home=home)

    def compute(_: Path) -> dict[str, Any]:
        references, series = true_words(words, songs), true_series(words, songs)
        ways: dict[Way, Any] = {}
        for cell, record in found.items():
            items = read_json(record.file("hypotheses.json"))
            said = [tile for item in items for tile in item]
            draw, its = np.random.default_rng(config.seed), series[cell[0].reading]
            wrong = of_other_series(its, len(its), generator=draw)
            for source, places in ((OURS, np.arange(len(items))), (WRONG, wrong)):
                given = [references[cell[0].reading][place] for place in places]
                wanted = [words for words, item in zip(given, items, strict=True) for _ in item]
                for way, score in scores_by_way(said, wanted).items():
                    ways.setdefault((source, *way), {})[cell] = score
        scores = [
            {"input": cell[0], "beam_size": cell[1], "definition": definition, "choice": choice}
            | {"score": score, "paper": printed[cell]}
            for (source, definition, choice), guess in ways.items()
            if source == OURS
            for cell, score in guess.items()
        ]
        lengths = {cell: record.result["mean_length"] for cell, record in found.items()}
        for source, captions in ((CAPTIONS_HERE, here), (REAL_CAPTIONS, real)):
            ways |= caption_ways(captions.result["scores"], lengths, source) if captions else ()
        mean_lengths = [[*cell, length] for cell, length in lengths.items()]
        about = {"scores": scores, "mean_lengths": mean_lengths}
        return about | measured(ways, printed, seed=config.seed)

    settings = pick(config, "seed") | {"hypotheses": found.values()}
    settings["paper"] = [[*cell, value] for cell, value in printed.items()]
    settings["real"] = real and [real, real.settings["found"]]
    return Work(compute, settings, [words, songs, here])


def printed_cells(config: ExperimentConfig) -> dict[Cell, float]:
    """Read the paper's Table 4 in [0, 1], where this run has the cell too."""
    table = paper_table(4)
    cells: dict[Cell, float] = {}
    for name in table_inputs(config):
        row = AGAINST.get(str(name), f"cc{name.tile}")
        if row in table.index:
            beams = [k for k in config.beam_sizes if k in table.columns]
            cells |= {(name, k): float(table.loc[row, k]) / 100 for k in beams}
    if not cells:
        known = ", ".join(str(k) for k in table.columns if isinstance(k, int))
        got = ", ".join(map(str, config.beam_sizes))
        msg = f"beam_sizes: expected one that the paper's Table 4 has ({known}), got {got}; add one"
        raise InputError(msg)
    return cells


def scores_by_way(
    found: Found, references: Sequence[Sequence[str]]
) -> dict[tuple[str, str], float]:
    """Score all examples, in [0, 1], by definition and choice; one reference each.

    Choices are those of `songtitle.metrics`. Over a corpus, "mean" gives each hypothesis of an
    example an equal part of its counts, and "best" counts the one of highest sentence score.
    Raises InputError for an example without hypotheses.
    """
    if not all(found):
        msg = f"found: expected a hypothesis of each example, example {found.index([])} has none"
        raise InputError(msg)
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}  # most are said more than once
    index = np.full((len(found), max(map(len, found))), -1)
    log_probs = np.full(index.shape, -np.inf)
    for i, (each, reference) in enumerate(zip(found, references, strict=True)):
        for k, (words, log_prob) in enumerate(each):
            pair = tuple(words), tuple(reference)
            index[i, k], log_probs[i, k] = known.setdefault(pair, len(known)), log_prob
    texts, titles = zip(*known, strict=True)
    order = np.arange(len(known))
    paired = {
        unit: pair_up(texts, titles, order, order, unit=unit, orders=orders)
        for unit, orders in orders_by_unit().items()
    }
    there, rows = np.isfinite(log_probs), np.eye(log_probs.shape[1])
    tokens = np.array([len(words) + 1 for words in texts])[index]  # <eos> is one
    result = {}
    for name, definition in DEFINITIONS.items():
        both = paired[definition.tokens]
        counts = [part[index] for part in (*both.counts(), both.wanted)]
        sentences = bleu_of_counts(definition, *counts)
        worth = {
            "top": log_probs,
            "normalised": log_probs / tokens,
            "best": np.where(there, sentences, -1.0),
        }
        for choice in CHOICES:  # how much each hypothesis counts, 1 for each example
            one = rows[worth[choice].argmax(1)] if choice in worth else there
            weights = one / one.sum(1, keepdims=True)
            if definition.average == "corpus":
                weighted = (weights[..., None] * counts[0], *(weights * c for c in counts[1:]))
                score = mean_bleu(definition, *(part.sum(1) for part in weighted))
            else:
                score = (weights * sentences).sum(1).mean()
            result[name, choice] = float(score)
    return result


def caption_ways(
    rows: Iterable[Mapping[str, Any]], lengths: Cells, source: str
) -> Iterator[tuple[Way, Cells]]:
    """Give what captions alone score for each cell, by how much of them is kept: by the rows of
    `content_free_rows` all words or the first few, and, on a straight line between those, as many
    as `lengths` says for each cell."""
    curves: dict[tuple[str, str], dict[str, dict[int | None, float]]] = {}
    for row in rows:
        curve = curves.setdefault((row["wording"], row["definition"]), {})
        curve.setdefault(row["against"], {})[row["words"]] = row["mean"]
    for (wording, definition), by_side in curves.items():
        name = f"{source}, {wording}" if source == REAL_CAPTIONS else source
        sides = {cell: by_side[AGAINST.get(kind(cell), OTHERS)] for cell in lengths}
        for words in (*LENGTHS, None):
            choice = "whole" if words is None else f"first {words}"
            yield (name, definition, choice), {cell: side[words] for cell, side in sides.items()}
        between = {
            cell: float(np.interp(lengths[cell], LENGTHS, [side[n] for n in LENGTHS]))
            for cell, side in sides.items()
        }
        yield (name, definition, AS_LONG), between


def measured(ways: Mapping[Way, Cells], printed: Cells, *, seed: int) -> dict[str, Any]:
    """Measure how far all ways are from print, and how much of the best fit is the choosing; among
    outputs beside wrong references, and captions as long as outputs, no way is chosen."""
    rows: list[dict[str, Any]] = [
        dict(zip(("source", "definition", "choice"), way, strict=True)) | distances(guess, printed)
        for way, guess in ways.items()
    ]
    sources: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["choice"] != AS_LONG and row["source"] != WRONG:
            sources.setdefault(row["source"], []).append(row)
    tried = {source: len(found) for source, found in sources.items()}
    tried["in all"] = sum(tried.values())
    kinds: dict[str, list[float]] = {}
    for cell, value in printed.items():
        kinds.setdefault(kind(cell), []).append(value)
    middle = {cell: float(np.median(kinds[kind(cell)])) for cell in printed}
    return {
        "cells": {name: sum(map(belongs, printed)) for name, belongs in PARTS.items()},
        "distances": rows,
        "tried": tried,
        "left_out": [left_out(found, on="rest", judged="msd") for found in sources.values()],
        "one_number": {part: one_number(printed, on=part) for part in ("all", "songs", "rest")},
        "one_number_a_kind": distances(
            middle, printed
        ),  # captions and readings have each their own
        "luck": {
            source: by_luck(printed, count, generator=np.random.default_rng(seed))
            for source, count in tried.items()
        },
    }
