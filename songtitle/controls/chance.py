"""Chance: how sure a mean score is, and what mismatched pairs alone score."""

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
    gain_low: float  # 95 % interval of the gain, the spread of chance itself included
    gain_high: float


def against_chance(
    pair_scores: Float[np.ndarray, "items items"],
    *,
    rounds: int = 1000,
    generator: np.random.Generator,
) -> Chance:
    """Compare own pairs with mismatched ones, given the score of every pair.

    `pair_scores[i, j]` is hypothesis i against the reference of item j, so the diagonal holds the
    own pairs. Chance is computed, not drawn; `generator` serves the intervals and the permutation
    test (`rounds` random pairings; the smallest p is 1 / (1 + rounds)). Unrelated pairs have a gain
    near 0 and a p spread evenly over (0, 1]. The spread is that of other items (titles) for the
    same trained model; `replicate_interval` has that of other trainings.

    The interval of the gain resamples what each item adds to it: the gain is the mean over pairs of
    items of `(s_ii + s_jj - s_ij - s_ji) / 2`, a U-statistic, and an item's part its first-order
    projection (Hoeffding 1948). A hypothesis that suits everybody's reference adds nothing.

    Raises InputError for fewer than two items or a matrix that is not square.
    """
    if pair_scores.ndim != 2 or pair_scores.shape[0] != pair_scores.shape[1]:
        shape = " x ".join(map(str, pair_scores.shape))
        msg = (
            f"pair_scores: expected as many rows as columns, got {shape}; score each hypothesis "
            "against the reference of each item"
        )
        raise InputError(msg)
    items = len(pair_scores)
    if items < 2:
        msg = f"pair_scores: expected at least two items to mismatch, got {items}"
        raise InputError(msg)
    own = np.diagonal(pair_scores).astype(float)
    score = float(own.mean())
    others = (
        pair_scores.sum(axis=0, dtype=float) + pair_scores.sum(axis=1, dtype=float) - 2 * own
    ) / (items - 1)
    chance = float(others.mean() / 2)
    low, high = bootstrap_interval(own, generator=generator)
    check_rounds(rounds)
    rows, permuted = np.arange(items), np.empty(rounds)
    for number in range(rounds):
        permuted[number] = pair_scores[rows, generator.permutation(items)].mean(dtype=float)
    p = permutation_p(score, permuted)
    gain = score - chance
    parts = own + (own.sum() - own) / (items - 1) - others - gain
    gain_low, gain_high = bootstrap_interval(parts, generator=generator)
    return Chance(score, low, high, chance, gain, p, gain_low, gain_high)


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
    check_rounds(rounds)
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
    check_rounds(rounds)
    return np.array([float(score(generator.permutation(items).tolist())) for _ in range(rounds)])


def permutation_p(observed: float, permuted: Float[np.ndarray, " rounds"]) -> float:
    """The share of permuted scores that reach the observed one, which counts among them.

    `(1 + reached) / (1 + rounds)`, so never 0. Scores that differ by rounding alone are equal.

    Source: Phipson and Smyth 2010.
    """
    slack = 1e-12 * max(1.0, abs(observed))
    reached = int(np.count_nonzero(permuted >= observed - slack))
    return (1 + reached) / (1 + len(permuted))


def check_rounds(rounds: int) -> None:
    """Raise InputError for fewer than one round."""
    if rounds < 1:
        msg = f"rounds: expected at least 1, got {rounds}"
        raise InputError(msg)
