"""What a comparison of two groups of items gives, and shuffled labels, which say what is chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from songtitle.errors import InputError

Z95 = 1.959963984540054  # of a normal distribution, 95 % lies within so many deviations


@dataclass(frozen=True)
class Measured:
    """A number about two groups, beside what it would be if both came from one population."""

    value: float
    low: float | None  # 95 % interval; None where there is none
    high: float | None
    chance: float  # what two samples of one population give on average
    p: float  # the share of shuffled labels (or of samples) that look at least as much apart


def shuffled_labels(
    first: int, second: int, *, rounds: int, generator: np.random.Generator
) -> Bool[np.ndarray, "items {rounds}"]:
    """Which of the pooled items, `first` and then `second` of them, are called second's, by round.

    Column by column another random order of the true labels. Raises `InputError` for fewer than
    one round.
    """
    if rounds < 1:
        msg = f"rounds: expected at least 1, got {rounds}; 999 give a p down to 0.001"
        raise InputError(msg)
    labels = np.repeat([False, True], [first, second])
    return generator.permuted(np.tile(labels[:, None], rounds), axis=0)


def share_as_extreme(observed: float, shuffled: Float[np.ndarray, " rounds"]) -> float:
    """p: the share of shuffled values that reach the observed one, which counts among them.

    Values that differ by rounding alone are equal. Source: Phipson and Smyth 2010.
    """
    slack = 1e-9 * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(shuffled >= observed - slack)) / (1 + len(shuffled)))


def check_groups(first: np.ndarray, second: np.ndarray, about: str, *, at_least: int = 1) -> None:
    """Refuse groups that are too small, not finite, or not of one width."""
    if min(len(first), len(second)) < at_least:
        each = "one" if at_least == 1 else str(at_least)
        msg = (
            f"{about}: expected items in both groups, got {len(first)} and {len(second)}; "
            f"give each at least {each}"
        )
        raise InputError(msg)
    if first.shape[1] != second.shape[1]:
        msg = (
            f"{about}: expected vectors of one width in both groups, got {first.shape[1]} and "
            f"{second.shape[1]}; widen one"
        )
        raise InputError(msg)
    for group in (first, second):
        check_finite(group, about)


def check_finite(embeddings: np.ndarray, about: str) -> None:
    """Refuse NaN and infinity, saying in how many items."""
    bad = int((~np.isfinite(embeddings)).any(axis=1).sum())
    if bad:
        msg = (
            f"{about}: expected finite values, got NaN or infinity in {bad} of "
            f"{len(embeddings)} items; leave them out"
        )
        raise InputError(msg)
