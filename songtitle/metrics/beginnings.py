"""BLEU of pairs, one by one, whole or of the first words of each hypothesis, for all at once.

A matrix of all pairs would hold a million scores where a thousand are asked for. Here the t-th "a"
of a text counts as a token of its own, (a, t): a clipped match is then a token that both have, and
the matches of a beginning are a running sum of those of the whole.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from songtitle.metrics import Definition
from songtitle.metrics.tokens import Unit, ngrams, numbered, units_of

LENGTHS = (*range(1, 11), 15)  # words kept of a caption, beside the whole


@dataclass(frozen=True)
class Beginnings:
    """Pairs of a hypothesis and a reference, in one reading: words or letters, up to an order."""

    hypotheses: Sequence[Sequence[str]]  # words
    rows: Int[np.ndarray, " pairs"]  # which hypothesis
    unit: Unit
    running: list[Int[np.ndarray, " _"]]  # per order: matches before each n-gram of all pairs
    starts: list[Int[np.ndarray, " pairs"]]  # per order: where a pair's n-grams start
    wanted: Int[np.ndarray, " pairs"]  # tokens of the reference

    def counts(
        self, words: int | None = None
    ) -> tuple[Int[np.ndarray, "pairs orders"], Int[np.ndarray, " pairs"]]:
        """Of the first `words` words of each hypothesis (None: of all): matches, and tokens.

        A match is an n-gram that the reference has too, counted as often as it has it.
        """
        cut = (text[:words] for text in self.hypotheses)
        sizes = [len(" ".join(text)) if self.unit == "letters" else len(text) for text in cut]
        said = np.array(sizes, dtype=np.int64)[self.rows]
        ends = [start + np.maximum(said - order, 0) for order, start in enumerate(self.starts)]
        found = [
            running[end] - running[start]
            for running, start, end in zip(self.running, self.starts, ends, strict=True)
        ]
        return np.stack(found, axis=1), said


def pair_up(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    rows: Int[np.ndarray, " pairs"],
    columns: Int[np.ndarray, " pairs"],
    *,
    unit: Unit = "words",
    orders: int = 1,
) -> Beginnings:
    """Hypothesis `rows[i]` with the one reference `columns[i]`, both as word lists."""
    running, starts = [], []
    sides = [[units_of(text, unit) for text in side] for side in (hypotheses, references)]
    for order in range(1, orders + 1):
        ids: dict[Hashable, int] = {}
        said, wanted = (_encoded(side, order, ids) for side in sides)
        (said_keys, start), (wanted_keys, _) = (
            _keys(flat, bounds, chosen, len(ids))
            for (flat, bounds), chosen in ((said, rows), (wanted, columns))
        )
        hits = np.isin(said_keys, wanted_keys, assume_unique=True)
        running.append(np.concatenate([[0], np.cumsum(hits)]).astype(np.int64))
        starts.append(start)
    sizes = np.array([len(text) for text in sides[1]], dtype=np.int64)
    return Beginnings(hypotheses, rows, unit, running, starts, sizes[columns])


def bleu(
    definition: Definition,
    found: Num[np.ndarray, "*items orders"],
    said: Num[np.ndarray, "*items"],
    wanted: Num[np.ndarray, "*items"],
) -> Float[np.ndarray, "*items"]:
    """BLEU in [0, 1] from clipped matches by order, hypothesis and reference length in tokens.

    Orders beyond those of the definition are left aside.
    """
    found = found[..., : len(definition.weights)]
    possible = np.maximum(said[..., None] - np.arange(len(definition.weights)), 1)
    powers = (found / possible) ** np.array(definition.weights)
    if definition.zero_orders == "dropped":  # from the first order without a match on
        counted = np.logical_and.accumulate(found > 0, axis=-1)
        powers = np.where(counted, powers, 1.0) * counted[..., :1]
    score = powers.prod(axis=-1)
    if definition.brevity:
        score = score * np.exp(np.minimum(0.0, 1.0 - wanted / np.maximum(said, 1)))
    return np.asarray(score, dtype=float)


def mean_bleu(
    definition: Definition,
    found: Num[np.ndarray, "*draws pairs orders"],
    said: Num[np.ndarray, "*draws pairs"],
    wanted: Num[np.ndarray, "*draws pairs"],
) -> Float[np.ndarray, "*draws"]:
    """BLEU of each draw of pairs: the mean of their scores, or of their counts, as defined."""
    if definition.average == "corpus":  # one text, as long as all of them
        found = found.sum(-2, keepdims=True)
        said, wanted = (sizes.sum(-1, keepdims=True) for sizes in (said, wanted))
    return np.asarray(bleu(definition, found, said, wanted).mean(-1), dtype=float)


def _encoded(
    texts: Iterable[Sequence[str]], order: int, ids: dict[Hashable, int]
) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " bounds"]]:
    """The numbered n-grams of all texts as ids, one after another, and where each text starts."""
    flat: list[int] = []
    bounds = [0]
    for tokens in texts:
        flat += [ids.setdefault(gram, len(ids)) for gram in numbered(ngrams(tokens, order))]
        bounds.append(len(flat))
    return np.array(flat, dtype=np.int64), np.array(bounds, dtype=np.int64)


def _keys(
    flat: Int[np.ndarray, " tokens"],
    bounds: Int[np.ndarray, " bounds"],
    chosen: Int[np.ndarray, " pairs"],
    ids: int,
) -> tuple[Int[np.ndarray, " keys"], Int[np.ndarray, " pairs"]]:
    """The tokens of the chosen texts, told apart by pair, and where those of each pair start."""
    sizes = np.diff(bounds)[chosen]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(starts[-1]) - np.repeat(starts[:-1] - bounds[chosen], sizes)
    pairs = np.repeat(np.arange(len(chosen)), sizes)
    return pairs * max(1, ids) + flat[places], starts[:-1]
