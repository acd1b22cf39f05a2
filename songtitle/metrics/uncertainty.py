"""Uncertainty: one interval over items, series and trainings; equivalence; draws until enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtr, stdtrit

from songtitle.errors import expect
from songtitle.metrics.chance import ALPHA, LEVEL, Series, numbered_series

FEWEST, MOST = 10, 400  # draws of a random control
Over = Literal["series and trainings", "series", "trainings"]
Verdict = Literal["no more than that", "more than that", "cannot tell"]


@dataclass(frozen=True)
class Uncertain:
    """A mean over items, with what other series and other trainings would have made of it.

    `seeds`, `series` and `both` are parts of the variance of the mean, `error ** 2`: of trainings,
    of series, and of what a training does to one series and not to another. Where there is one
    training, or one series, its own part cannot be known: `over` says what the interval is over.
    """

    mean: float  # over all items and trainings, in the unit of the values
    low: float  # 95 % interval
    high: float
    error: float  # standard error
    freedom: float  # degrees of freedom
    seeds: float
    series: float
    both: float
    over: Over

    def interval(self, level: float) -> tuple[float, float]:
        """Give Student's interval, (low, high), at another level."""
        half = self.error * float(stdtrit(self.freedom, (1 + level) / 2))
        return self.mean - half, self.mean + half

    @property
    def most(self) -> float:
        """How far from 0 the mean is at most, either way: the farther end of its 90 % interval."""
        return max(map(abs, self.interval(1 - 2 * ALPHA)))

    @property
    def p(self) -> float:
        """Student's p, one-sided, of a mean that is not above 0; 1 where nothing varies about 0."""
        if not self.error:
            return float(self.mean <= 0)
        return float(stdtr(self.freedom, -self.mean / self.error))


def two_way(values: Float[np.ndarray, "seeds items"], series: Series = None) -> Uncertain:
    """Give the mean of values that share trainings and series, with its 95 % interval.

    `values[s, i]` is what item `i` adds under training `s`: a score, or its part of a gain;
    `series[i]` names the items that may not count as independent (None: each is its own). With
    values = seed + series + seed x series + noise, the variance of the mean is that between
    trainings, plus that between series, less what both hold (Cameron, Gelbach and Miller 2011):
    each is the jackknife's, so that a large series counts as one. Degrees of freedom are
    Satterthwaite's (1946); of series, those that their sizes leave (Bell and McCaffrey 2002). A
    percentile bootstrap of both ways (Owen 2007) would take the variance between n trainings for
    (n - 1) / n of what it is, and know nothing of Student's t; where neither trainings nor series
    differ, this interval is too wide.

    Raises InputError for values that are not finite, series that do not fit, and where there is
    neither a second training nor a second series.
    """
    place = numbered_series(series, values.shape[1])
    expect(np.isfinite(values).all(), "values: expected finite numbers, got NaN or infinity")
    found = parts_of(values[None].astype(float), place)
    mean, error, freedom, seeds, series_part, both = (float(each[0]) for each in found)
    more: Over = "series and trainings" if len(values) > 1 else "series"
    over: Over = more if place.max() else "trainings"
    half = error * float(stdtrit(freedom, (1 + LEVEL) / 2))
    return Uncertain(mean, mean - half, mean + half, error, freedom, seeds, series_part, both, over)


def equivalence(gain: Uncertain, smallest: float) -> Verdict:
    """Say how a gain compares with the smallest that would matter, in the same unit.

    "no more than that": it lies within `smallest` of 0, by two one-sided tests at 5 % (Schuirmann
    1987), and is at most `gain.most`; "more than that": its 90 % interval lies beyond, to one side.
    Raises InputError for a `smallest` that is not above 0.
    """
    expect(smallest > 0, f"smallest: expected an effect above 0, got {smallest}; try 0.01")
    low, high = gain.interval(1 - 2 * ALPHA)
    if gain.most < smallest:
        return "no more than that"
    return "more than that" if low > smallest or high < -smallest else "cannot tell"


@dataclass(frozen=True)
class Drawn:
    """What a random control scores: a mean over draws for each item."""

    scores: Float[np.ndarray, " items"]
    error: float  # Monte-Carlo standard error of their mean, in the unit of the scores
    draws: int


def drawn(
    draw: Callable[[], Float[np.ndarray, " items"]], *, error: float, at_most: int = MOST
) -> Drawn:
    """Draw a control's scores until their mean has this standard error, in the unit of the scores.

    At least FEWEST times, so that there is an error to speak of; where `at_most` ends it, the
    result's `error` is larger than the one asked for. Raises InputError for an error that is not
    above 0.
    """
    expect(error > 0, f"error: expected a standard error above 0, got {error}; try 0.001")
    found = [draw() for _ in range(FEWEST)]
    while (reached := _error(found)) > error and len(found) < at_most:
        found.append(draw())
    return Drawn(np.mean(found, axis=0), reached, len(found))


def _error(found: Sequence[Float[np.ndarray, " items"]]) -> float:
    means = [float(scores.mean()) for scores in found]
    return float(np.std(means, ddof=1)) / sqrt(len(means))


def parts_of(
    values: Float[np.ndarray, "runs seeds items"], place: Int[np.ndarray, " items"]
) -> tuple[Float[np.ndarray, " runs"], ...]:
    """Give mean, standard error, degrees of freedom and variance by seeds, by series and by both.

    `place` numbers the series of each item from 0; `runs` are tables that know nothing of each
    other. Raises InputError for one seed of one series.
    """
    seeds, groups = values.shape[1], int(place.max(initial=-1)) + 1
    expect(
        max(seeds, groups) > 1,
        f"values: expected two series or two trainings, got {groups} and {seeds}; test more items",
    )
    share = np.bincount(place) / len(place)
    table = np.zeros((groups, len(place)))
    table[place, np.arange(len(place))] = 1 / np.bincount(place)[place]
    cells = values @ table.T  # (runs, seeds, series): means
    rows, columns = cells @ share, cells.mean(axis=1)
    mean = columns @ share
    nothing = np.zeros(len(values))
    by_seeds = rows.var(axis=1, ddof=1) / seeds if seeds > 1 else nothing
    by_series, both, left = nothing, nothing, np.inf
    if groups > 1:
        # What the mean moves by when a series is left out (Efron and Stein 1981).
        weight = (1 - 1 / groups) * (share / (1 - share)) ** 2
        by_series, left = (columns - mean[:, None]) ** 2 @ weight, _freedom(weight, share)
        if seeds > 1:
            apart = cells - rows[:, :, None] - columns[:, None] + mean[:, None, None]
            both = (apart**2 @ weight).sum(axis=1) / (seeds * (seeds - 1))
    if seeds == 1:
        freedom = np.full(len(values), left)
        return mean, np.sqrt(by_series), freedom, nothing, by_series, nothing
    # A difference of estimates may fall below what both hold, which no true variance does.
    total = np.maximum(by_seeds + by_series - both, both)
    ways = by_seeds**2 / (seeds - 1) + by_series**2 / left + both**2 / ((seeds - 1) * left)
    freedom = np.divide(total**2, ways, out=np.full(len(values), seeds - 1.0), where=ways > 0)
    alone = (np.maximum(each - both, 0) for each in (by_seeds, by_series))
    return mean, np.sqrt(total), freedom, *alone, both


def _freedom(weight: Float[np.ndarray, " series"], share: Float[np.ndarray, " series"]) -> float:
    """Give the degrees of freedom of `sum weight * (value - mean) ** 2`, for series that vary
    alike: twice the square of its mean over its variance. Of equal series, one less than there
    are."""
    square = float(share @ share)
    own = 1 - 2 * share + square
    zero, one, two = (float(weight @ share**power) for power in range(3))
    across = square**2 * zero**2 + 2 * zero * two + 2 * one**2 - 4 * square * zero * one
    return float(weight @ own) ** 2 / float(weight**2 @ (own**2 - (own - 1) ** 2) + across)
