"""How time and memory grow with titles, captions and points, where no other subject measures it."""

import os
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.harness import Growth, Row, interleaved
from benchmarks.metrics import guesses, titles
from benchmarks.similarity import digits
from songtitle.corpora.captions import read_conceptual_captions
from songtitle.metrics.bleu import corpus_bleu
from songtitle.metrics.chance import against_chance
from songtitle.metrics.clouds import tsne
from songtitle.metrics.pairs import unigram_pair_scores
from songtitle.rows import Faults
from songtitle.text import clean_caption, tokenize
from songtitle.vocabulary import Vocabulary


def rows(quick: bool = False) -> list[Row]:
    """None: growth is this subject's only measurement."""
    return []


def growth(quick: bool = False) -> list[Growth]:
    """Time and memory against the number of titles, captions and points, four sizes each."""
    sizes = (11, 22, 44, 88) if quick else (500, 1000, 2000, 4000)
    items = (11, 22, 44, 88) if quick else (100, 200, 400, 800)
    truth = titles(sizes[-1])
    pairs = {size: (guesses(truth[:size], seed=0), truth[:size]) for size in sizes}
    lists = {size: (said, [[title] for title in true]) for size, (said, true) in pairs.items()}
    scores = {size: (unigram_pair_scores(*pairs[size]),) for size in sizes}
    name, captions = _captions(4 * sizes[-1])
    told = {n: (captions[:n],) for n in (len(captions) * share // 8 for share in (1, 2, 4, 8))}
    points = digits(items[-1])
    chart = {n: (points[:n],) for n in items}
    rounds = 1 if quick else 5
    return [
        *_growth("BLEU-4 of a corpus", "titles", corpus_bleu, lists, rounds=rounds),
        *_growth("BLEU-1 of every pair", "titles", unigram_pair_scores, pairs, rounds=rounds),
        *_growth("permutation test, 100 rounds", "titles", _permute, scores, rounds=rounds),
        *_growth("vocabulary", name, Vocabulary.from_tokens, told, rounds=rounds),
        *_growth("t-SNE", "points", tsne, chart, rounds=1),
    ]


def _growth(
    what: str,
    against: str,
    work: Callable[..., object],
    inputs: dict[int, tuple[Any, ...]],
    *,
    rounds: int,
) -> list[Growth]:
    """Time on one thread, and memory, of `work` on the inputs, given by their size."""

    def way(arguments: tuple[Any, ...]) -> Callable[[], object]:
        return lambda: work(*arguments)

    ways = {str(size): way(arguments) for size, arguments in inputs.items()}
    work(*next(iter(inputs.values())))  # whatever only a first call does
    with threadpool_limits(1):
        seconds = interleaved(ways, rounds=rounds, warm=0)
        memory = [_peak(call) for call in ways.values()]
    shared: dict[str, Any] = {"what": what, "against": against, "sizes": list(inputs)}
    return [
        Growth(**shared, unit="seconds", values=list(seconds.values())),
        Growth(**shared, unit="MB", values=memory),
    ]


def _peak(call: Callable[[], object]) -> float:
    """The most memory in MB that a call holds beyond what was there, its result included."""
    tracemalloc.start()
    try:
        kept = call()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
    finally:
        tracemalloc.stop()
    return peak / 2**20


def _permute(scores: np.ndarray) -> object:
    return against_chance(scores, rounds=100, generator=np.random.default_rng(0))


def _captions(count: int) -> tuple[str, Sequence[list[str]]]:
    """Tokens of real captions from the folder that SONGTITLE_REAL_DATA names; else of titles."""
    folder = os.environ.get("SONGTITLE_REAL_DATA")
    place = Path(folder or "", "conceptual_captions", "Validation_GCC-1.1.0-Validation.tsv")
    if not folder or not place.exists():
        return "titles", titles(count)
    found = [text for _, text, _ in read_conceptual_captions(place, Faults())][:count]
    return "captions", [tokenize(clean_caption(text)) for text in found]
