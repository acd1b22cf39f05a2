"""BLEU beside sacrebleu and NLTK, and a permutation test, on real titles."""

import itertools
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nltk.translate import bleu_score
from sacrebleu.metrics import BLEU

from benchmarks.harness import Row, interleaved, named
from songtitle.corpora import million_song, tunes
from songtitle.metrics.bleu import SMOOTHINGS, corpus_bleu
from songtitle.metrics.chance import against_chance
from songtitle.metrics.pairs import unigram_pair_scores
from songtitle.rows import Faults
from songtitle.text import clean_title, tokenize

ROUNDS = 1000  # of the permutation test

Titles = list[list[str]]


def rows(quick: bool = False) -> list[Row]:
    """Equality with sacrebleu, times beside it, and the time of a permutation test."""
    count = 40 if quick else 1000
    truth = titles(count)
    turns = [guesses(truth, seed=seed) for seed in range(3)]
    others = [guesses(truth, seed=seed) for seed in range(3, 5)]
    several = [list(found) for found in zip(truth, *others, strict=True)]
    single = [[title] for title in truth]
    return [
        _agreement(turns[0], several),
        *(_times(turns, single, order, quick) for order in (1, 4)),
        _times(turns, several, 4, quick),
        *_permutation(turns, truth, quick),
    ]


def titles(count: int) -> Titles:
    """Tokens of `count` real song titles, none empty.

    From the Million Song list in the folder that SONGTITLE_REAL_DATA names, else from the folk
    tunes that come with the packages.
    """
    folder = os.environ.get("SONGTITLE_REAL_DATA")
    listing = Path(folder or "", "msd", "songlist_20001.txt")
    real = folder and listing.exists()
    tracks = million_song.read_tracks(listing, Faults()) if real else iter(tunes.load())
    tokens = (tokenize(clean_title(track.title)) for track in tracks)
    return list(itertools.islice((title for title in tokens if title), count))


def guesses(truth: Titles, *, seed: int) -> Titles:
    """Titles with two words of five drawn anew from all words, cut where a captioner might end."""
    draw = random.Random(seed)
    words = [word for title in truth for word in title]
    return [
        [word if draw.random() < 0.6 else draw.choice(words) for word in title][
            : draw.randint(1, 9)
        ]
        for title in truth
    ]


def _agreement(hypotheses: Titles, references: list[Titles]) -> Row:
    found, streams = _lines(hypotheses), [_lines(part) for part in zip(*references, strict=True)]
    worst = 0.0
    for order, smoothing in itertools.product((1, 2, 3, 4), SMOOTHINGS):
        for number in (1, len(streams)):
            metric = _sacrebleu(order, smoothing)
            theirs = metric.corpus_score(found, streams[:number])
            for brevity in (True, False):
                ours = corpus_bleu(
                    hypotheses,
                    [several[:number] for several in references],
                    max_order=order,
                    smoothing=smoothing,
                    brevity=brevity,
                )
                score = theirs.score if brevity else theirs.score / theirs.bp
                worst = max(worst, abs(ours.score - score / 100))
    return Row(
        what=f"{len(hypotheses):,} titles, orders 1-4, all smoothings, 1 and 3 references",
        quantity="largest difference of corpus_bleu from sacrebleu's score",
        value=worst,
        at_most=1e-9,
        peer=named("sacrebleu"),
        note="with brevity penalty and, divided by it, without",
    )


def _times(turns: list[Titles], references: list[Titles], order: int, quick: bool) -> Row:
    number = len(references[0])
    streams = [_lines(part) for part in zip(*references, strict=True)]
    metric = _sacrebleu(order)
    weights = (1 / order,) * order

    def ours(lines: list[str]) -> float:
        hypotheses = [line.split() for line in lines]
        split = zip(*([line.split() for line in stream] for stream in streams), strict=True)
        return corpus_bleu(hypotheses, list(map(list, split)), max_order=order).score

    def theirs(lines: list[str]) -> float:
        return metric.corpus_score(lines, streams).score / 100

    def nltk(lines: list[str]) -> float:
        return bleu_score.corpus_bleu(references, [line.split() for line in lines], weights=weights)

    inputs = [_lines(turn) for turn in turns]
    if any(abs(ours(lines) - theirs(lines)) > 1e-9 for lines in inputs):
        msg = f"corpus_bleu at order {order}: expected sacrebleu's score, got another"
        raise RuntimeError(msg)
    ways = {"ours": ours, "sacrebleu": theirs, "NLTK": nltk}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK warns of orders without a match
        seconds = interleaved(
            {name: _rotating(way, inputs) for name, way in ways.items()}, rounds=1 if quick else 15
        )
    plural = "s" if number > 1 else ""
    return Row(
        what=f"BLEU-{order}, {len(references):,} titles, {number} reference{plural}",
        quantity="time of corpus_bleu / time of sacrebleu's corpus_score",
        value=seconds["ours"] / seconds["sacrebleu"],
        at_most=1.0,
        peer=named("sacrebleu"),
        seconds=seconds,
        note=f"{seconds['ours'] / seconds['NLTK']:.2f} of the time of {named('nltk')}; ours splits "
        "the lines into words too",
    )


def _permutation(turns: list[Titles], truth: Titles, quick: bool) -> Iterator[Row]:
    rounds = 19 if quick else ROUNDS
    pairs = unigram_pair_scores(turns[0], truth)
    metric = _sacrebleu(1, effective=True)
    references, found = _lines(truth), _lines(turns[0])
    order = np.random.default_rng(0).permutation(len(truth)).tolist()
    permuted = float(pairs[np.arange(len(truth)), order].mean())
    theirs = [
        metric.sentence_score(line, [references[j]]).score / 100
        for line, j in zip(found, order, strict=True)
    ]
    yield Row(
        what=f"one random pairing of {len(truth):,} titles",
        quantity="difference from the mean of sacrebleu's sentence scores",
        value=abs(permuted - float(np.mean(theirs))),
        at_most=1e-9,
        peer=named("sacrebleu"),
    )

    def test(hypotheses: Titles) -> None:
        scores = unigram_pair_scores(hypotheses, truth)
        against_chance(scores, rounds=rounds, generator=np.random.default_rng(0))

    seconds = interleaved({"ours": _rotating(test, turns)}, rounds=1 if quick else 5)
    yield Row(
        what=f"permutation test, {rounds:,} rounds, {len(truth):,} titles",
        quantity="seconds, the scores of all pairs included",
        value=seconds["ours"],
        at_most=5.0,
        seconds=seconds,
    )


def _sacrebleu(order: int, smoothing: str = "none", *, effective: bool = False) -> BLEU:
    return BLEU(
        tokenize="none",
        force=True,
        smooth_method=smoothing,
        max_ngram_order=order,
        effective_order=effective,
    )


def _lines(tokens: Sequence[Sequence[str]]) -> list[str]:
    return [" ".join(title) for title in tokens]


def _rotating(way: Callable[[Any], object], inputs: Sequence[Any]) -> Callable[[], None]:
    """A call of `way` on the next of the inputs, in turn."""
    turn = itertools.cycle(inputs)

    def call() -> None:
        way(next(turn))

    return call
