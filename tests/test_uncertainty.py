"""Uncertainty: the interval covers, its parts are told apart, a null is found, draws suffice."""

import numpy as np
import pytest
from scipy.special import stdtrit

from songtitle.errors import InputError
from songtitle.metrics.chance import against_chance, gain_parts, replicate_interval
from songtitle.metrics.uncertainty import (
    FEWEST,
    Uncertain,
    drawn,
    equivalence,
    parts_of,
    two_way,
)

RUNS, SEEDS = 1000, 5


def planted(series, draw, *, seeds=0.0, groups=0.0, both=0.0, noise=1.0, runs=RUNS):
    """Values (runs, seeds, items) around 0: effects of trainings, of series, of both, and noise."""
    count = series.max() + 1
    values = noise * draw.normal(size=(runs, SEEDS, len(series)))
    values += seeds * draw.normal(size=(runs, SEEDS, 1))
    values += groups * draw.normal(size=(runs, 1, count))[:, :, series]
    return values + both * draw.normal(size=(runs, SEEDS, count))[:, :, series]


def unequal(count, draw):
    """Name the series of the items of `count` series of 1 to 11 items, the first of them larger."""
    sizes = draw.integers(1, 12, size=count)
    sizes[0] += count // 4
    return np.repeat(np.arange(count), sizes)


def covered(mean, half):
    return float(np.mean(np.abs(mean) <= half))


@pytest.mark.parametrize("count", [30, 55, 100])
@pytest.mark.parametrize(
    "effects",
    [
        {"seeds": 0.2, "groups": 1.0, "both": 0.5},
        {"seeds": 0.1, "groups": 0.5, "both": 0.5},
        {"seeds": 1.0, "groups": 0.3, "both": 0.3},
    ],
    ids=["series differ", "both differ", "trainings differ"],
)
def test_the_interval_over_series_and_trainings_covers_at_its_level(count, effects):
    draw = np.random.default_rng(count)
    series = unequal(count, draw)
    values = planted(series, draw, **effects)
    mean, error, freedom, *_ = parts_of(values, series)
    assert covered(mean, error * stdtrit(freedom, 0.975)) == pytest.approx(0.95, abs=0.02)
    # Neither of the two intervals that pages used to have does.
    items = values[:, 0]
    by_items = covered(items.mean(axis=1), 1.96 * items.std(axis=1) / np.sqrt(len(series)))
    seeds = [replicate_interval(each)[1] - each.mean() for each in values.mean(axis=2)]
    by_seeds = covered(mean, np.array(seeds))
    assert min(by_items, by_seeds) < 0.85


def test_of_one_training_the_interval_is_over_series_alone_and_says_so():
    draw = np.random.default_rng(3)
    series = unequal(60, draw)
    values = planted(series, draw, groups=1.0)[:, :1]
    found = [two_way(each, series.tolist()) for each in values]
    assert {each.over for each in found} == {"series"}
    assert np.mean([each.low <= 0 <= each.high for each in found]) == pytest.approx(0.95, abs=0.02)
    assert all(each.seeds == each.both == 0 for each in found)


def test_of_one_series_the_interval_is_students_over_trainings_and_says_so():
    values = np.random.default_rng(4).normal(size=(SEEDS, 7))
    found = two_way(values, ["alphabet"] * 7)
    assert found.over == "trainings"
    assert (found.low, found.high) == pytest.approx(replicate_interval(values.mean(axis=1)))


def test_equal_series_make_it_students_interval_of_their_means():
    values, series = np.random.default_rng(5).normal(size=(1, 33)), np.repeat(range(11), 3)
    found = two_way(values, series.tolist())
    assert (found.low, found.high) == pytest.approx(
        replicate_interval(values.reshape(11, 3).mean(axis=1))
    )
    assert found.freedom == pytest.approx(10)


@pytest.mark.parametrize("part", ["seeds", "series", "both"])
def test_each_part_of_the_variance_is_that_of_what_was_planted(part):
    draw = np.random.default_rng(6)
    series = np.repeat(np.arange(40), 2)
    size = {"seeds": 0.3, "series": 1.0, "both": 1.0}
    named = {"groups" if part == "series" else part: size[part]}
    parts = dict(
        zip(
            ("seeds", "series", "both"),
            parts_of(planted(series, draw, noise=0.01, **named), series)[3:],
            strict=True,
        )
    )
    true = size[part] ** 2 * {"seeds": 1 / SEEDS, "series": 1 / 40, "both": 1 / 40 / SEEDS}[part]
    assert parts[part].mean() == pytest.approx(true, rel=0.1)
    others = [each.mean() for name, each in parts.items() if name != part]
    assert max(others) < true / 2


def test_copies_of_an_item_within_its_series_tell_nothing_new():
    draw = np.random.default_rng(7)
    series = np.arange(31)
    values = planted(series, draw, groups=3.0, runs=1)[0]
    once = two_way(values, series.tolist())
    twice = two_way(np.repeat(values, 2, axis=1), np.repeat(series, 2).tolist())
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert two_way(np.repeat(values, 2, axis=1)).error < once.error


def test_what_items_add_to_the_gain_is_the_gain_and_is_told_as_sure_as_a_bootstrap_says():
    draw = np.random.default_rng(8)
    pairs = draw.random((83, 83)) + 0.2 * np.eye(83) + draw.random((83, 1))
    parts, found = gain_parts(pairs), against_chance(pairs, generator=draw)
    assert parts.mean() == pytest.approx(found.gain)
    mine = two_way(parts[None])
    assert mine.high - mine.low == pytest.approx(found.gain_high - found.gain_low, rel=0.15)


def test_a_gain_is_called_none_only_where_its_interval_lies_within_what_would_matter():
    def told(mean, error):
        found = Uncertain(mean, mean, mean, error, 1e9, 0.0, 0.0, 0.0, "series")
        return found.most, equivalence(found, 0.01)

    most, verdict = told(0.001, 0.002)
    assert verdict == "no more than that"
    assert most == pytest.approx(0.001 + 1.6448536 * 0.002)
    assert told(-0.03, 0.002)[1] == told(0.03, 0.002)[1] == "more than that"
    assert told(0.001, 0.02)[1] == told(0.009, 0.002)[1] == "cannot tell"


def test_equivalence_is_found_wrongly_in_one_of_twenty_at_most_and_rightly_where_nothing_is():
    draw, series = np.random.default_rng(9), np.repeat(range(50), 3)
    verdicts = {}
    for true in (0.0, 0.3):
        values = true + planted(series, draw, seeds=0.02, groups=0.2, noise=0.5, runs=400)
        verdicts[true] = [equivalence(two_way(each, series.tolist()), 0.3) for each in values]
    assert verdicts[0.3].count("no more than that") / 400 < 0.08  # at the border itself
    assert verdicts[0.0].count("no more than that") / 400 > 0.9


def test_draws_go_on_until_their_mean_is_as_sure_as_asked_or_their_number_is_up():
    draw = np.random.default_rng(10)
    found = drawn(lambda: draw.normal(size=9) + draw.normal(), error=0.1)
    assert found.error <= 0.1
    assert FEWEST < found.draws < 400
    assert found.scores.shape == (9,)
    steady = drawn(lambda: np.ones(3), error=0.1)
    assert (steady.draws, steady.error) == (FEWEST, 0)
    capped = drawn(lambda: draw.normal(size=9), error=1e-6, at_most=23)
    assert capped.draws == 23
    assert capped.error > 1e-6


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: two_way(np.ones((1, 3)), ["a"] * 3), "two series or two trainings, got 1 and 1"),
        (lambda: two_way(np.ones((2, 3)), ["a"]), "series: expected one for each of 3 items"),
        (lambda: two_way(np.full((2, 3), np.nan)), "values: expected finite numbers"),
        (lambda: equivalence(two_way(np.eye(3)), 0.0), "smallest: expected an effect above 0"),
        (lambda: drawn(lambda: np.ones(3), error=0.0), "error: expected a standard error above 0"),
    ],
)
def test_what_tells_nothing_is_refused_in_one_line(ask, said):
    with pytest.raises(InputError, match=said) as error:
        ask()
    assert "\n" not in str(error.value)
