"""Chance: how sure a score is, what permutation gives, and how many items would tell."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt
from string import ascii_letters

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from songtitle.errors import InputError

_CHUNK = 1_000_000  # numbers or signs drawn at a time: 8 MB


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
    near 0 and a p spread evenly over (0, 1]. The spread is that of other items for the same trained
    model; `replicate_interval` has that of other trainings.

    The interval of the gain resamples what each item adds to it: the gain is the mean over pairs of
    items of `(s_ii + s_jj - s_ij - s_ji) / 2`, a U-statistic, and an item's part its first-order
    projection (Hoeffding 1948). Raises InputError for fewer than two items or a matrix that is not
    square.
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
    totals = pair_scores.sum(axis=0, dtype=float) + pair_scores.sum(axis=1, dtype=float)
    others = (totals - 2 * own) / (items - 1)
    chance = float(others.mean() / 2)
    low, high = bootstrap_interval(own, generator=generator)
    check_rounds(rounds)
    rows = np.arange(items)
    orders = (generator.permutation(items) for _ in range(rounds))
    p = permutation_p(score, np.array([pair_scores[rows, o].mean(dtype=float) for o in orders]))
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
    check_level(level)
    check_rounds(rounds)
    values = np.asarray(scores, dtype=float)
    items = len(values)
    means = [
        values[generator.integers(items, size=(count, items))].mean(axis=1)
        for count in _portions(rounds, items)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation_p(
    observed: float, permuted: Float[np.ndarray, " rounds"], *, rounding: float = 1e-12
) -> float:
    """The share of permuted scores that reach the observed one, which counts among them.

    `(1 + reached) / (1 + rounds)`, so never 0. Scores that differ by `rounding` alone, in units of
    the observed one or of 1, are equal.

    Source: Phipson and Smyth 2010.
    """
    slack = rounding * max(1.0, abs(observed))
    reached = int(np.count_nonzero(permuted >= observed - slack))
    return (1 + reached) / (1 + len(permuted))


@dataclass(frozen=True)
class Difference:
    """How much more the first of two systems scores on the same items."""

    mean: float  # first - second, in the unit of the scores
    low: float  # its 95 % bootstrap interval, over items
    high: float
    p: float  # (0, 1], two-sided, of equal systems
    spread: float  # standard deviation of the items' differences: what `items_needed` asks for


def paired_difference(
    first: Float[np.ndarray, " items"],
    second: Float[np.ndarray, " items"],
    *,
    rounds: int,
    generator: np.random.Generator,
) -> Difference:
    """Compare two systems item by item; the trainings behind the scores are taken as they are.

    Were the systems equal, each item's difference could as well have the other sign: p is the
    share of `rounds` random choices of signs, and the observed one, whose mean lies as far from 0
    (two-sided). Raises InputError for scores that do not pair, or fewer than two.

    Source: Fisher 1935, section 21, for the signs; Efron 1979 for the interval.
    """
    scores = {"first": first, "second": second}
    _check_scores(scores)
    differences = first.astype(float) - second.astype(float)
    low, high = bootstrap_interval(differences, generator=generator)
    mean = float(differences.mean())
    flipped = _flipped_means(differences[:, None], rounds=rounds, generator=generator)[:, 0]
    p = permutation_p(abs(mean), np.abs(flipped))
    return Difference(mean, low, high, p, float(differences.std(ddof=1)))


def tie_letters(
    scores: Mapping[str, Float[np.ndarray, " items"]],
    *,
    level: float = 0.05,
    rounds: int,
    generator: np.random.Generator,
) -> dict[str, str]:
    """Letters for systems scored on the same items: who shares one is not told apart.

    Every two systems are compared by random signs, as in `paired_difference`, and the p values
    corrected together (Holm 1979), so that among equal systems any difference is found in a share
    `level` of all cases at most. "a" stands with the system of the highest mean. Raises InputError
    for scores that do not pair, and where `rounds` are too few for any difference to be found among
    that many systems. Source: Piepho 2004 for the letters.
    """
    _check_scores(scores)
    names = sorted(scores, key=lambda name: -float(np.mean(scores[name])))
    pairs = list(combinations(range(len(names)), 2))
    fewest = ceil(len(pairs) / level) - 1
    if rounds < fewest:
        msg = (
            f"rounds: expected at least {fewest} to compare {len(names)} systems at level {level}, "
            f"got {rounds}; draw more"
        )
        raise InputError(msg)
    table = np.stack([scores[name].astype(float) for name in names], axis=1)
    table -= table.mean(axis=1, keepdims=True)  # differences stay, and lose fewer digits
    # Flipping the sign of a difference is flipping both scores, so one product serves all pairs.
    flipped = _flipped_means(table, rounds=rounds, generator=generator)
    means = table.mean(axis=0)
    ps = [
        permutation_p(float(abs(means[i] - means[j])), np.abs(flipped[:, i] - flipped[:, j]))
        for i, j in pairs
    ]
    differ = [pair for pair, found in zip(pairs, holm(ps, level=level), strict=True) if found]
    return dict(zip(names, letters(len(names), differ), strict=True))


def holm(ps: list[float], *, level: float = 0.05) -> list[bool]:
    """Which of several hypotheses to reject, so that any true one is rejected with `level` at most.

    The smallest p is held against `level / m`, the next against `level / (m - 1)`, until one fails
    (Holm 1979).
    """
    rejected = [False] * len(ps)
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[place] > level / (len(ps) - rank):
            break
        rejected[place] = True
    return rejected


def letters(systems: int, differ: list[tuple[int, int]]) -> list[str]:
    """Letters for systems 0 to `systems - 1`: two share one exactly if they do not differ.

    Source: Piepho 2004, insert and absorb. Raises InputError where 52 letters do not suffice.
    """
    groups = [set(range(systems))]
    for first, second in differ:
        split: list[set[int]] = []
        for group in groups:
            both = first in group and second in group
            split += [group - {first}, group - {second}] if both else [group]
        groups = [
            group
            for place, group in enumerate(split)
            if not any(
                group < other or (group == other and place > at) for at, other in enumerate(split)
            )
        ]
    if len(groups) > len(ascii_letters):
        msg = f"letters: expected at most {len(ascii_letters)} groups, got {len(groups)}"
        msg += "; compare fewer systems"
        raise InputError(msg)
    groups.sort(key=sorted)  # "a" for the group that holds the first system, and so on
    return [
        "".join(letter for letter, group in zip(ascii_letters, groups, strict=False) if i in group)
        for i in range(systems)
    ]


def _flipped_means(
    scores: Float[np.ndarray, "items systems"], *, rounds: int, generator: np.random.Generator
) -> Float[np.ndarray, "rounds systems"]:
    """Mean scores after random signs, the same for all systems, were given to the items."""
    check_rounds(rounds)
    items, total = len(scores), scores.sum(axis=0)
    means = []
    for count in _portions(rounds, items):
        drawn = generator.integers(256, size=(count, -(-items // 8)), dtype=np.uint8)
        kept = np.unpackbits(drawn, 1)[:, :items].astype(float)
        means.append((2 * (kept @ scores) - total) / items)
    return np.concatenate(means)


def _portions(rounds: int, items: int) -> Iterator[int]:
    """How many rounds to draw at a time."""
    at_once = max(1, _CHUNK // items)
    for done in range(0, rounds, at_once):
        yield min(at_once, rounds - done)


def _check_scores(scores: Mapping[str, Float[np.ndarray, " items"]]) -> None:
    if not scores:
        msg = "scores: expected those of at least one system, got none"
        raise InputError(msg)
    counts = {name: len(values) for name, values in scores.items()}
    if len(set(counts.values())) > 1 or min(counts.values()) < 2:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        msg = f"scores: expected the same items, two or more, for each system, got {listed}"
        msg += "; score all on the same items in one order"
        raise InputError(msg)


def power_of(difference: float, spread: float, items: int, *, level: float = 0.05) -> float:
    """The probability that a true mean `difference` is found among `items` pairs of scores.

    The test is two-sided, at `level`, on the mean of the items' differences, whose standard
    deviation is `spread` (both in the unit of the scores): exact for a known spread and a normal
    mean. Raises InputError for a spread not above 0, no items, or a level outside (0, 1).

    Source: Cohen 1988, sections 2.3 and 2.4, with the normal in place of the t distribution.
    """
    _check_spread(spread)
    check_level(level)
    if items < 1:
        msg = f"items: expected at least 1, got {items}"
        raise InputError(msg)
    shift, limit = difference / spread * sqrt(items), ndtri(1 - level / 2)
    return float(ndtr(shift - limit) + ndtr(-shift - limit))


def items_needed(
    difference: float, spread: float, *, level: float = 0.05, power: float = 0.8
) -> int:
    """The fewest items with which a true mean `difference` is found with probability `power`.

    `((z(1 - level / 2) + z(power)) * spread / difference) ** 2`, rounded up, or fewer where
    `power_of`, which counts the wrong side too, reaches `power`. Raises InputError for a difference
    of 0, which no number of items finds, and for a power that is not between `level` and 1.
    """
    _check_spread(spread)
    check_level(level)
    if not level < power < 1:
        msg = f"power: expected a share between the level, {level}, and 1, such as 0.8, got {power}"
        raise InputError(msg)
    if difference == 0:
        msg = "difference: expected one other than 0, which no number of items finds"
        raise InputError(msg)
    most = ceil(((ndtri(1 - level / 2) + ndtri(power)) * spread / difference) ** 2) + 1
    counts = range(1, most + 1)
    found = bisect_left(
        counts, power, key=lambda items: power_of(difference, spread, items, level=level)
    )
    return counts[found]


def replicate_interval(
    values: Sequence[float] | Float[np.ndarray, " seeds"], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over trainings, from one value for each seed: (low, high).

    Student's t (1908), exact for normal values: five are too few for a bootstrap, whose interval
    would be more than a third too narrow. Raises InputError for fewer than two values or a level
    outside (0, 1).
    """
    if len(values) < 2:
        msg = f"values: expected those of at least two seeds, got {len(values)}; train more"
        raise InputError(msg)
    check_level(level)
    from scipy.stats import t  # half a second to load

    found = np.asarray(values, dtype=float)
    mean, spread = float(found.mean()), float(found.std(ddof=1))
    half = float(t.ppf((1 + level) / 2, len(found) - 1)) * spread / sqrt(len(found))
    return mean - half, mean + half


def check_rounds(rounds: int) -> None:
    """Raise InputError for fewer than one round."""
    if rounds < 1:
        msg = f"rounds: expected at least 1, got {rounds}"
        raise InputError(msg)


def check_level(level: float) -> None:
    """Raise InputError for a level that is no share between 0 and 1."""
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.95, got {level}"
        raise InputError(msg)


def _check_spread(spread: float) -> None:
    if not spread > 0:
        msg = f"spread: expected a standard deviation above 0, got {spread}"
        raise InputError(msg)
