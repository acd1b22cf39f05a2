import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kstest

from songtitle.errors import InputError
from songtitle.metrics.chance import (
    holm,
    items_needed,
    letters,
    paired_difference,
    power_of,
    tie_letters,
)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def shared(found, first, second):
    return bool(set(found[first]) & set(found[second]))


def test_the_interval_of_a_difference_covers_it_at_its_level_and_its_p_finds_it_as_often_as_said():
    covered, found_it, draw, items, difference, spread = 0, 0, rng(0), 97, 0.2, 0.8
    for _ in range(1000):
        hard = draw.normal(size=items)  # some items are hard for both
        first = hard + difference + draw.normal(0, spread, items)
        found = paired_difference(first, hard, rounds=199, generator=draw)
        covered += found.low <= difference <= found.high
        found_it += found.p <= 0.05
    assert abs(covered / 1000 - 0.95) < 0.02
    # The random signs do as the normal test that knows the spread, but for a few points.
    assert abs(found_it / 1000 - power_of(difference, spread, items)) < 0.04


def test_the_p_of_equal_systems_is_evenly_spread():
    draw, ps = rng(1), []
    for _ in range(1000):
        first, second = draw.exponential(size=(2, 29))
        found = paired_difference(first, second, rounds=99, generator=draw)
        ps.append(found.p - draw.random() / 100)  # spread over the step that ends at p
    assert kstest(ps, "uniform").pvalue > 0.01


def test_a_difference_by_hand():
    first, second = np.array([0.5, 0.2, 0.9]), np.array([0.1, 0.3, 0.3])
    found = paired_difference(first, second, rounds=4000, generator=rng(0))
    assert found.mean == pytest.approx(0.3)
    assert found.spread == pytest.approx(math.sqrt((0.1**2 + 0.4**2 + 0.3**2) / 2))
    assert found.low <= found.mean <= found.high
    # Of eight choices of signs of 0.4, -0.1, 0.6 four have a mean as far from 0: the sum 0.9 and
    # 1.1 on either side.
    assert found.p == pytest.approx(4 / 8, abs=0.03)


def test_swapping_two_systems_turns_the_difference_around_and_leaves_p():
    first, second = rng(2).random((2, 31))
    there = paired_difference(first, second, rounds=99, generator=rng(3))
    back = paired_difference(second, first, rounds=99, generator=rng(3))
    assert (back.mean, back.p, back.spread) == pytest.approx((-there.mean, there.p, there.spread))


def test_power_matches_ten_thousand_simulated_tests():
    draw = rng(4)
    for difference, spread, items, level in [(0.3, 1.0, 53, 0.05), (-2.0, 7.0, 71, 0.01)]:
        means = draw.normal(difference, spread, (10_000, items)).mean(axis=1)
        limit = {0.05: 1.95996, 0.01: 2.57583}[level] * spread / math.sqrt(items)
        found = (np.abs(means) > limit).mean()
        assert abs(found - power_of(difference, spread, items, level=level)) < 0.02


def test_power_by_the_textbook():
    # Half a deviation, 5 %, 80 %: (1.960 + 0.842)^2 / 0.25 = 31.4.
    assert items_needed(0.5, 1.0) == 32
    assert items_needed(-0.5, 1.0) == 32
    assert items_needed(0.05, 0.1, power=0.9) == 43  # (1.960 + 1.282)^2 / 0.25 = 42.03
    assert power_of(0.0, 1.0, 7) == pytest.approx(0.05)
    assert items_needed(100.0, 1.0) == 1


@pytest.mark.parametrize("power", [0.051, 0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("effect", [0.03, 0.3, 1.0, 3.0])
def test_the_items_needed_are_the_fewest_that_reach_the_power(effect, power):
    items = items_needed(effect, 1.0, power=power)
    assert power_of(effect, 1.0, items) >= power
    assert items == 1 or power_of(effect, 1.0, items - 1) < power


def test_systems_that_differ_share_no_letter_and_equal_ones_do():
    draw = rng(5)
    base = draw.normal(size=101)
    scores = {
        "low": base + draw.normal(0, 0.1, 101),
        "high": base + 2 + draw.normal(0, 0.1, 101),
        "high too": base + 2 + draw.normal(0, 0.1, 101),
        "same": base,
    }
    scores["same again"] = scores["same"].copy()
    found = tie_letters(scores, rounds=999, generator=rng(6))
    assert list(found) != []
    assert shared(found, "high", "high too")
    assert found["same"] == found["same again"]
    for one in ("high", "high too"):
        assert "a" in found[one]
        for other in ("low", "same", "same again"):
            assert not shared(found, one, other)


def test_one_between_two_that_differ_has_the_letters_of_both():
    assert letters(3, [(0, 2)]) == ["a", "ab", "b"]
    assert letters(4, []) == ["a", "a", "a", "a"]
    assert letters(3, [(0, 1), (0, 2), (1, 2)]) == ["a", "b", "c"]


def test_two_systems_share_a_letter_exactly_if_they_do_not_differ():
    pairs = list(combinations(range(5), 2))
    for chosen in range(2 ** len(pairs)):  # all ways in which five systems can differ
        differ = [pair for place, pair in enumerate(pairs) if chosen >> place & 1]
        found = letters(5, differ)
        assert all(found)
        for first, second in pairs:
            assert shared(found, first, second) == ((first, second) not in differ)
        sets = [{i for i in range(5) if each in found[i]} for each in set("".join(found))]
        assert not any(one <= other for one in sets for other in sets if one is not other)


def test_equal_systems_are_told_apart_in_a_share_of_at_most_the_level():
    draw, wrong = rng(7), 0
    for _ in range(1000):
        scores = dict(zip("abcd", draw.normal(size=(4, 23)), strict=True))
        found = tie_letters(scores, level=0.1, rounds=119, generator=draw)
        wrong += len(set(found.values())) > 1
    assert 0.04 < wrong / 1000 < 0.1 + 0.02


def test_holm_by_hand():
    # 0.01 < 0.05 / 4, 0.015 < 0.05 / 3, 0.03 > 0.05 / 2: there it stops.
    assert holm([0.03, 0.01, 0.04, 0.015]) == [False, True, False, True]
    assert holm([0.0126, 0.0126, 0.0126, 0.0126]) == [False] * 4
    assert holm([]) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tie_letters({"a": np.ones(3), "b": np.ones(2)}, rounds=9, generator=rng(0)),
            "scores: expected the same items, two or more, for each system, got a 3, b 2;",
        ),
        (
            lambda: paired_difference(np.ones(3), np.ones(3), rounds=0, generator=rng(0)),
            "rounds: expected at least 1, got 0",
        ),
        (
            lambda: tie_letters({c: np.ones(3) for c in "abcd"}, rounds=99, generator=rng(0)),
            "rounds: expected at least 119 to compare 4 systems at level 0.05, got 99",
        ),
        (lambda: tie_letters({}, rounds=9, generator=rng(0)), "scores: expected those of at least"),
        (
            lambda: letters(106, [(2 * i, 2 * i + 1) for i in range(6)]),
            "letters: expected at most 52 groups, got 64; compare fewer systems",
        ),
        (lambda: power_of(0.1, 0.0, 5), "spread: expected a standard deviation above 0, got 0"),
        (lambda: power_of(0.1, 1.0, 0), "items: expected at least 1, got 0"),
        (lambda: power_of(0.1, 1.0, 5, level=5.0), "level: expected a share between 0 and 1"),
        (lambda: items_needed(0.0, 1.0), "difference: expected one other than 0"),
        (
            lambda: items_needed(0.1, 1.0, power=0.04),
            "power: expected a share between the level, 0.05, and 1, such as 0.8, got 0.04",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()
