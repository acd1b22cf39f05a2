"""Controls: how sure a mean score is, what chance alone scores, what a unigram model reaches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from songtitle.errors import InputError

_CHUNK = 1_000_000  # numbers drawn at a time: 8 MB, whatever the number of scores


@dataclass(frozen=True)
class Chance:
    """A mean score beside what mismatched pairs reach; all but `p` in the unit of the scores."""

    score: float  # mean of the own pairs
    low: float  # its 95 % bootstrap interval
    high: float
    chance: float  # mean of all mismatched pairs: the exact expectation of a random mismatch
    gain: float  # score - chance
    p: float  # (0, 1], of pairing at random


def against_chance(
    pair_scores: Float[np.ndarray, "items items"],
    *,
    rounds: int = 1000,
    generator: np.random.Generator,
) -> Chance:
    """Compare own pairs with mismatched ones, given the score of every pair.

    `pair_scores[i, j]` is hypothesis i against the reference of item j, so the diagonal holds the
    own pairs. Chance is computed, not drawn; `generator` serves the interval and the permutation
    test (`rounds` random pairings; the smallest p is 1 / (1 + rounds)). Unrelated pairs have a gain
    near 0 and a p spread evenly over (0, 1]. Raises InputError for fewer than two items.
    """
    items = len(pair_scores)
    if items < 2:
        msg = f"pair_scores: expected at least two items to mismatch, got {items}"
        raise InputError(msg)
    own = np.diagonal(pair_scores).astype(float)
    score = float(own.mean())
    chance = float((pair_scores.sum(dtype=float) - own.sum()) / (items * (items - 1)))
    low, high = bootstrap_interval(own, generator=generator)
    rows = np.arange(items)
    permuted = permuted_scores(
        lambda order: float(pair_scores[rows, order].mean(dtype=float)),
        items,
        rounds=rounds,
        generator=generator,
    )
    return Chance(score, low, high, chance, score - chance, permutation_p(score, permuted))


def bootstrap_interval(
    scores: Float[np.ndarray, " items"],
    *,
    level: float = 0.95,
    generator: np.random.Generator,
    rounds: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean score: (low, high).

    `rounds` resamples of all items with replacement; the interval leaves (1 - level) / 2 of their
    means on either side. Raises InputError without scores or for a level outside (0, 1).

    Source: Efron 1979; percentile method.
    """
    if len(scores) == 0:
        msg = "scores: expected at least one, got none"
        raise InputError(msg)
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.95, got {level}"
        raise InputError(msg)
    _check_rounds(rounds)
    values = np.asarray(scores, dtype=float)
    at_once = max(1, _CHUNK // len(values))
    means = [
        values[
            generator.integers(len(values), size=(min(at_once, rounds - done), len(values)))
        ].mean(axis=1)
        for done in range(0, rounds, at_once)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permuted_scores(
    score: Callable[[Sequence[int]], float],
    items: int,
    *,
    rounds: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, " {rounds}"]:
    """The score under `rounds` random orders of the items.

    `score(order)` is called with a list that holds each of 0 .. items - 1 once: `order[i]` says
    whose reference hypothesis i is scored against.
    """
    _check_rounds(rounds)
    return np.array([float(score(generator.permutation(items).tolist())) for _ in range(rounds)])


def permutation_p(observed: float, permuted: Float[np.ndarray, " rounds"]) -> float:
    """The share of permuted scores that reach the observed one, which counts among them.

    `(1 + reached) / (1 + rounds)`, so never 0. Scores that differ by rounding alone are equal.

    Source: Phipson and Smyth 2010.
    """
    slack = 1e-12 * max(1.0, abs(observed))
    reached = int(np.count_nonzero(permuted >= observed - slack))
    return (1 + reached) / (1 + len(permuted))


def unigram_perplexity(
    train: Sequence[Sequence[int]], valid: Sequence[Sequence[int]], *, vocab_size: int
) -> float:
    """Perplexity on `valid` of word frequencies counted on `train`, with one added to each count.

    The sequences hold the ids that a decoder predicts: those after `<bos>`, `<eos>` included. Each
    predicted id counts once, as in the decoder's loss, so the two perplexities compare. At least
    1; without `train` it is `vocab_size`. Raises InputError for an id outside the vocabulary or a
    `valid` without ids.
    """
    seen, asked = (
        np.fromiter((i for ids in part for i in ids), dtype=np.int64) for part in (train, valid)
    )
    for name, ids in (("train", seen), ("valid", asked)):
        if len(ids) and (ids.min() < 0 or ids.max() >= vocab_size):
            msg = f"{name}: expected ids from 0 to {vocab_size - 1}, got {ids.min()} to {ids.max()}"
            raise InputError(msg)
    if len(asked) == 0:
        msg = "valid: expected at least one predicted id, got none"
        raise InputError(msg)
    counts = np.bincount(seen, minlength=vocab_size) + 1.0
    log_probs = np.log(counts / counts.sum())
    return float(np.exp(-log_probs[asked].mean()))


def _check_rounds(rounds: int) -> None:
    if rounds < 1:
        msg = f"rounds: expected at least 1, got {rounds}"
        raise InputError(msg)
