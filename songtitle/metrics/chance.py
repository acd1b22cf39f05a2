"""Chance: how sure a score is, what permutation gives, and how many items would tell."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt
from string import ascii_letters

import numpy as np
from jaxtyping import Float, Int
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


def prefixes(hypotheses: Sequence[Sequence[str]], words: int) -> list[list[str]]:
    """The first `words` words of each hypothesis; all of one that has no more.

    Raises TypeError for a `str` in place of a token list, InputError for fewer than 0 words.
    """
    if words < 0:
        msg = f"words: expected 0 or more, got {words}"
        raise InputError(msg)
    for hypothesis in hypotheses:
        if isinstance(hypothesis, str):
            msg = f"expected a list of tokens, got the string {hypothesis!r}; call tokenize() first"
            raise TypeError(msg)
    return [list(hypothesis[:words]) for hypothesis in hypotheses]


def length_matched(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    generator: np.random.Generator,
) -> Int[np.ndarray, " items"]:
    """A wrong reference for every hypothesis, as long as its own: whatever length earns, it keeps.

    `order[i]` says whose reference hypothesis i is scored against, as in `permuted_scores`. Every
    reference is used once and none by its own item. Where others have as many words, one of those
    is drawn, each as likely. References whose length is theirs alone trade with their neighbours
    in length; a single one trades with those of the nearest length. Raises InputError for fewer
    than two items or another number of references.
    """
    items = len(references)
    if len(hypotheses) != items or items < 2:
        msg = (
            "references: expected one for each of at least two hypotheses, got "
            f"{items} for {len(hypotheses)}"
        )
        raise InputError(msg)
    lengths = np.array([len(reference) for reference in references])
    shared = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    alone = np.concatenate([[], *(group for group in shared if len(group) == 1)]).astype(np.int64)
    groups = [group for group in shared if len(group) > 1]
    if len(alone) > 1:  # by length, in twos; an odd number starts with three
        groups += np.array_split(alone, len(alone) // 2)
    elif len(alone):
        apart = [abs(int(lengths[group[0]] - lengths[alone[0]])) for group in groups]
        nearest = int(np.argmin(apart))
        groups[nearest] = np.concatenate([groups[nearest], alone])
    order = np.empty(items, dtype=np.int64)
    for group in groups:  # a random circle through the group: everybody takes from the next
        circle = generator.permutation(group)
        order[circle] = np.roll(circle, 1)
    return order


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
    """Compare two systems item by item.

    Were the systems equal, each item's difference could as well have the other sign: p is the
    share of `rounds` random choices of signs, and the observed one, whose mean lies as far from 0
    as the observed mean (two-sided). Items are taken as a sample of items; the trainings behind
    the scores are taken as they are. Raises InputError for scores that do not pair, or fewer than
    two.

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
    """Letters for each of several systems scored on the same items: who shares one is not told
    apart.

    Every two systems are compared by random signs, as in `paired_difference`, and the p values
    corrected together, so that among equal systems any difference is found in a share `level` of
    all cases at most (Holm 1979). "a" stands with the system of the highest mean. A shared letter
    says that the items do not tell two systems apart, not that the two are equal.

    Raises InputError for scores that do not pair, and where `rounds` are too few for any
    difference to be found among that many systems.

    Source: Piepho 2004 for the letters (insert and absorb).
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
    at_once = max(1, _CHUNK // items)
    means = []
    for done in range(0, rounds, at_once):
        count = min(at_once, rounds - done)
        kept = np.unpackbits(
            generator.integers(256, size=(count, -(-items // 8)), dtype=np.uint8), 1
        )
        means.append((2 * (kept[:, :items].astype(float) @ scores) - total) / items)
    return np.concatenate(means)


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
    deviation is `spread` (both in the unit of the scores). Were their distribution known and the
    mean normal, this is exact; at no difference it is `level`. Raises InputError for a spread that
    is not above 0, no items, or a level outside (0, 1).

    Source: Cohen 1988, sections 2.3 and 2.4, for paired observations, with the normal in place of
    the t distribution; `difference / spread` is Cohen's d of the differences.
    """
    _check(spread, level)
    if items < 1:
        msg = f"items: expected at least 1, got {items}"
        raise InputError(msg)
    shift, limit = difference / spread * sqrt(items), ndtri(1 - level / 2)
    return float(ndtr(shift - limit) + ndtr(-shift - limit))


def items_needed(
    difference: float, spread: float, *, level: float = 0.05, power: float = 0.8
) -> int:
    """The fewest items with which a true mean `difference` is found with probability `power`.

    `((z(1 - level / 2) + z(power)) * spread / difference) ** 2`, rounded up, unless fewer do
    because the wrong side is counted too: the fewest whose `power_of` reaches `power`. Raises
    InputError for a difference of 0, which no number of items finds, and for a power that is not
    between `level` and 1.
    """
    _check(spread, level)
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


def _check(spread: float, level: float) -> None:
    if not spread > 0:
        msg = f"spread: expected a standard deviation above 0, got {spread}"
        raise InputError(msg)
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.05, got {level}"
        raise InputError(msg)


def replicate_interval(
    values: Sequence[float] | Float[np.ndarray, " seeds"], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over trainings, from one value for each seed: (low, high).

    Student's t with one degree of freedom fewer than seeds: five are too few for a bootstrap,
    whose interval would be more than a third too narrow. Exact where the values of different seeds
    are normal. Raises InputError for fewer than two values or a level outside
    (0, 1).

    Source: Student 1908.
    """
    if len(values) < 2:
        msg = f"values: expected those of at least two seeds, got {len(values)}; train more"
        raise InputError(msg)
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.95, got {level}"
        raise InputError(msg)
    found = np.asarray(values, dtype=float)
    from scipy.stats import t  # half a second to load

    half = float(t.ppf((1 + level) / 2, len(found) - 1)) * float(found.std(ddof=1))
    half /= sqrt(len(found))
    return float(found.mean()) - half, float(found.mean()) + half
