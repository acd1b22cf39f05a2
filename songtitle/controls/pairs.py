"""Pairs: two or more systems scored on the same items, and which of them can be told apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from string import ascii_letters

import numpy as np
from jaxtyping import Float

from songtitle.controls.chance import bootstrap_interval, check_rounds, permutation_p
from songtitle.errors import InputError

_CHUNK = 1_000_000  # signs drawn at a time: 8 MB


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
