"""How far guesses lie from printed scores, and how much of a good fit is the choosing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from songtitle.cache import Work, pick, read_json, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig, Input
from songtitle.errors import InputError
from songtitle.experiment.corpora import COLLECTIONS, clips, corpora, true_words
from songtitle.experiment.naming import hypotheses, table_inputs
from songtitle.experiment.paper_corpora import answer
from songtitle.experiment.random_captions import CLEANED, OTHERS, described, orders_by_unit
from songtitle.metrics.bleu import DEFINITIONS, bleu_of_counts, signatures
from songtitle.metrics.pairs import CHOICES, LENGTHS, Found, mean_bleu, pair_up
from songtitle.paper.printed import paper_table

Cell = tuple[Input, int]  # with the beam size
Cells = Mapping[Cell, float]  # scores in [0, 1]
Way = tuple[str, str, str, Cells]  # source, definition, choice, and what it gives for each cell

OURS, WRONG = "this run's outputs", "the same, wrong references"
CAPTIONS_HERE, REAL_CAPTIONS = "captions of stamps", "real captions"
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


def distances(guess: Cells, printed: Cells) -> dict[str, float | None]:
    """Measure the mean absolute difference, in [0, 1], over each part's cells; None for no cell."""
    found: dict[str, float | None] = {}
    for name, belongs in PARTS.items():
        gaps = [abs(guess[cell] - value) for cell, value in printed.items() if belongs(cell)]
        found[name] = float(np.mean(gaps)) if gaps else None
    return found


def sizes(printed: Cells) -> dict[str, int]:
    """Count the cells each part has."""
    return {name: sum(map(belongs, printed)) for name, belongs in PARTS.items()}


def left_out(rows: Sequence[Mapping[str, Any]], *, on: str, judged: str) -> dict[str, Any]:
    """Find the row of least distance on one part, with its rank (from 1) among all on another.

    `typical` is the middle row's distance on the judged part, `least` the smallest there.
    """
    best = min(rows, key=lambda row: row[on])
    there = sorted(row[judged] for row in rows)
    return dict(best) | {
        "tried": len(rows),
        "rank": 1 + sum(value < best[judged] for value in there),
        "typical": float(np.median(there)),
        "least": there[0],
    }


def one_number(printed: Cells, *, on: str = "all") -> dict[str, float | None]:
    """Measure how far off the one number is that fits a part best, its median, for every cell."""
    value = float(np.median([value for cell, value in printed.items() if PARTS[on](cell)]))
    return {"value": value} | distances(dict.fromkeys(printed, value), printed)


def one_number_a_kind(printed: Cells) -> dict[str, float | None]:
    """Measure distances where captions, and each reading of songs, have their best one number."""
    kinds: dict[str, list[float]] = {}
    for cell, value in printed.items():
        kinds.setdefault(kind(cell), []).append(value)
    return distances({cell: float(np.median(kinds[kind(cell)])) for cell in printed}, printed)


def by_luck(
    printed: Cells, tried: int, *, generator: np.random.Generator, rounds: int = 500
) -> dict[str, float]:
    """Find the least of `tried` distances of blind guesses over all cells: mean and 5 % point.

    A blind guess has one number for each kind of cell, anywhere between 0 and 1 alike: so the best
    of many comes near any table, and that alone says nothing.
    """
    kinds = sorted({kind(cell) for cell in printed})
    blind = generator.random((rounds, tried, len(kinds)))
    total = np.zeros((rounds, tried))
    for cell, value in printed.items():
        total += np.abs(blind[:, :, kinds.index(kind(cell))] - value)
    least = (total / len(printed)).min(axis=1)
    return {"mean": float(least.mean()), "low": float(np.quantile(least, 0.05))}


def kind(cell: Cell) -> str:
    """Say what a cell is of: pictures of whatever tile size, or one reading of songs."""
    return str(cell[0]) if cell[0].is_song else cell[0].kind


@stage
def content_free(config: ExperimentConfig, *, home: Path) -> Work:
    """What this run's captions score against titles and captions they were not made for.

    No model and no sound: `scores` are the rows of `content_free_rows`. The two collections of
    tunes stand where the paper has Million Song ("msd") and the Free Music Archive ("fma").
    """
    before = corpora(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        pictures = read_json(before.file("pictures.json"))
        songs = read_json(before.file("songs.json"))
        texts = {OTHERS: [picture["tokens"] for picture in pictures]}
        for name, collection in zip(AGAINST.values(), COLLECTIONS, strict=True):
            texts[name] = [song["tokens"] for song in songs if song["collection"] == collection]
        return described({CLEANED: texts}, draws=config.draws, seed=config.seed)

    settings = pick(config, "seed", "draws") | {"bleu": signatures(*DEFINITIONS)}
    return Work(compute, settings | {"lengths": LENGTHS}, [before])


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

    def circle(count: int) -> np.ndarray:
        """Whose reference each item gets in place of its own: all in a random circle."""
        order = np.random.default_rng(config.seed).permutation(count)
        return np.roll(order, -1)[np.argsort(order)]

    def compute(_: Path) -> dict[str, Any]:
        references = true_words(words, songs)
        by_way: dict[tuple[str, str, str], dict[Cell, float]] = {}
        for cell, record in found.items():
            items = read_json(record.file("hypotheses.json"))
            said = [tile for item in items for tile in item]
            for source, order in ((OURS, np.arange(len(items))), (WRONG, circle(len(items)))):
                given = [references[cell[0].kind][place] for place in order]
                wanted = [words for words, item in zip(given, items, strict=True) for _ in item]
                for way, score in scores_by_way(said, wanted).items():
                    by_way.setdefault((source, *way), {})[cell] = score
        lengths = {cell: record.result["mean_length"] for cell, record in found.items()}
        ways: list[Way] = [(*way, guess) for way, guess in by_way.items()]
        ways += caption_ways(here.result["scores"], lengths, CAPTIONS_HERE)
        if real is not None:
            ways += caption_ways(real.result["scores"], lengths, REAL_CAPTIONS)
        return {
            "scores": [
                {"input": name, "beam_size": size, "definition": definition, "choice": choice}
                | {"score": score, "paper": printed[name, size]}
                for (source, definition, choice), guess in by_way.items()
                if source == OURS
                for (name, size), score in guess.items()
            ],
            "mean_lengths": [[*cell, length] for cell, length in lengths.items()],
            **measured(ways, printed, seed=config.seed),
        }

    settings = pick(config, "seed") | {"bleu": signatures(*DEFINITIONS), "choices": CHOICES}
    settings["paper"] = [[*cell, value] for cell, value in printed.items()]
    settings["hypotheses"] = found.values()
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
        msg = (
            f"beam_sizes: expected one that the paper's Table 4 has ({known}), got "
            f"{', '.join(map(str, config.beam_sizes))}; add one"
        )
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
    texts: dict[tuple[str, ...], int] = {}
    titles: dict[tuple[str, ...], int] = {}
    pairs: dict[tuple[int, int], int] = {}
    width = max(len(each) for each in found)
    index = np.full((len(found), width), -1)
    log_probs = np.full((len(found), width), -np.inf)
    for i, (each, reference) in enumerate(zip(found, references, strict=True)):
        column = titles.setdefault(tuple(reference), len(titles))
        for k, (words, log_prob) in enumerate(each):
            row = texts.setdefault(tuple(words), len(texts))
            index[i, k] = pairs.setdefault((row, column), len(pairs))
            log_probs[i, k] = log_prob
    rows, columns = np.array(list(pairs), dtype=np.int64).reshape(-1, 2).T
    tokens = np.array([len(words) + 1 for words in texts])[rows]  # <eos> is one
    paired = {
        unit: pair_up(list(texts), list(titles), rows, columns, unit=unit, orders=orders)
        for unit, orders in orders_by_unit().items()
    }
    result = {}
    for name, definition in DEFINITIONS.items():
        pair = paired[definition.tokens]
        counts = [part[index] for part in (*pair.counts(), pair.wanted)]
        sentences = bleu_of_counts(definition, *counts)
        for choice in CHOICES:
            weights = _weights(choice, log_probs, tokens[index], sentences)
            if definition.average == "corpus":
                weighted = (weights[..., None] * counts[0], *(weights * c for c in counts[1:]))
                score = float(mean_bleu(definition, *(part.sum(1) for part in weighted)))
            else:
                score = float((weights * sentences).sum(1).mean())
            result[name, choice] = score
    return result


def _weights(
    choice: str,
    log_probs: Float[np.ndarray, "examples hypotheses"],
    tokens: Int[np.ndarray, "examples hypotheses"],
    sentences: Float[np.ndarray, "examples hypotheses"],
) -> Float[np.ndarray, "examples hypotheses"]:
    """How much each hypothesis counts, 1 for each example; one of log-probability -inf is none."""
    there = np.isfinite(log_probs)
    if choice == "mean":
        return there / there.sum(1, keepdims=True)
    worth = {
        "top": log_probs,
        "normalised": log_probs / tokens,
        "best": np.where(there, sentences, -1.0),
    }[choice]
    return np.eye(there.shape[1])[worth.argmax(1)]


def caption_ways(
    rows: Iterable[Mapping[str, Any]], lengths: Mapping[Cell, float], source: str
) -> Iterator[Way]:
    """Give what captions alone score for each cell, by how much of them is kept.

    Each row of `content_free_rows` with all its words or the first few; and, between those, as
    many words as `lengths` says for each cell, on a straight line from length to length.
    """
    curves: dict[tuple[str, str], dict[str, dict[int | None, float]]] = {}
    for row in rows:
        curve = curves.setdefault((row["wording"], row["definition"]), {})
        curve.setdefault(row["against"], {})[row["words"]] = row["mean"]
    for (wording, definition), by_side in curves.items():
        name = f"{source}, {wording}" if source == REAL_CAPTIONS else source
        sides = {cell: by_side[AGAINST.get(kind(cell), OTHERS)] for cell in lengths}
        for words in (*LENGTHS, None):
            choice = "whole" if words is None else f"first {words}"
            yield name, definition, choice, {cell: side[words] for cell, side in sides.items()}
        between = {
            cell: float(np.interp(lengths[cell], LENGTHS, [side[n] for n in LENGTHS]))
            for cell, side in sides.items()
        }
        yield name, definition, AS_LONG, between


def measured(ways: Iterable[Way], printed: Cells, *, seed: int) -> dict[str, Any]:
    """Measure how far all ways are from print, and how much of the best fit is the choosing.

    Outputs beside wrong references, and captions as long as outputs, are there to compare with:
    no way is chosen among them.
    """
    rows: list[dict[str, Any]] = [
        {"source": source, "definition": definition, "choice": choice} | distances(guess, printed)
        for source, definition, choice, guess in ways
    ]
    sources: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["choice"] != AS_LONG and row["source"] != WRONG:
            sources.setdefault(row["source"], []).append(row)
    tried = {source: len(found) for source, found in sources.items()}
    tried["in all"] = sum(tried.values())
    return {
        "cells": sizes(printed),
        "distances": rows,
        "tried": tried,
        "left_out": [left_out(found, on="rest", judged="msd") for found in sources.values()],
        "one_number": {part: one_number(printed, on=part) for part in ("all", "songs", "rest")},
        "one_number_a_kind": one_number_a_kind(printed),
        "luck": {
            source: by_luck(printed, count, generator=np.random.default_rng(seed))
            for source, count in tried.items()
        },
    }
