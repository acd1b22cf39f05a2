"""Checks: small functions that hold numbers from records against what the paper says.

Each takes the values drawn from records, one for each read of the test, and answers with an
`Outcome`: it holds, it fails, or the values cannot tell (None). `whole` says whether the values
were measured on all of the paper's data, so that nothing is left to a larger sample.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from songtitle.claims import score_checks
from songtitle.claims.outcomes import Outcome, apart, estimates, listed, show


def within(values: Sequence[Any], *, whole: bool, claimed: float, tolerance: float) -> Outcome:
    """The number is the paper's, within the tolerance and what the sample leaves open.

    Several estimates of one read are ways to count: the paper's number may lie between them.
    """
    found = estimates(values[0])
    here = ", ".join(show(each) for each in found)
    sides = [(e.value, e.value) if whole else (e.low, e.high) for e in found]
    low, high = min(side[0] for side in sides), max(side[1] for side in sides)
    inside = low - tolerance <= claimed <= high + tolerance
    if inside and not all(map(math.isfinite, (low, high))):
        # The shortest title of a sample says only that the shortest of all is no longer.
        attained = any(abs(each.value - claimed) <= tolerance for each in found)
        return Outcome(holds=True if attained else None, here=here)
    return Outcome(holds=inside, here=here)


def stated(values: Sequence[Any], *, whole: bool) -> Outcome:
    """What the paper says it did, or quotes: no measurement can tell."""
    return Outcome(holds=None, here=", ".join(show(value) for value in values))


def less_than(values: Sequence[Any], *, whole: bool) -> Outcome:
    """The first number is below the second, beyond the intervals of both."""
    first, second = (estimates(value)[0] for value in values)
    here = f"{show(first)} and {show(second)}"
    return Outcome(holds=apart(first, second), here=here)


def alike(values: Sequence[Any], *, whole: bool, tolerance: float) -> Outcome:
    """Two numbers differ by no more than the tolerance and what their samples leave open."""
    first, second = (estimates(value)[0] for value in values)
    here = f"{show(first)} and {show(second)}"
    if whole:
        return Outcome(holds=abs(first.value - second.value) <= tolerance, here=here)
    gap = max(first.low - second.high, second.low - first.high)
    return Outcome(holds=gap <= tolerance, here=here)


def at_least(values: Sequence[Any], *, whole: bool, bound: float) -> Outcome:
    """No number is below the bound."""
    found = [each for value in values for each in estimates(value)]
    return Outcome(holds=min(each.value for each in found) >= bound, here=show(found))


def at_most(values: Sequence[Any], *, whole: bool, bound: float) -> Outcome:
    """No number is above the bound."""
    found = [each for value in values for each in estimates(value)]
    return Outcome(holds=max(each.value for each in found) <= bound, here=show(found))


def equals(values: Sequence[Any], *, whole: bool, expected: Sequence[float]) -> Outcome:
    """The numbers are those expected."""
    found = [estimates(value)[0].value for value in values]
    return Outcome(holds=found == [float(each) for each in expected], here=listed(found))


def inside(values: Sequence[Any], *, whole: bool, low: float, high: float) -> Outcome:
    """Every one of a list of numbers lies between two bounds."""
    found = list(values[0])
    here = f"{min(found)} to {max(found)} in {len(found):,} values"
    return Outcome(holds=low <= min(found) and max(found) <= high, here=here)


def most(values: Sequence[Any], *, whole: bool) -> Outcome:
    """A share is above one half, beyond its interval."""
    (share,) = estimates(values[0])
    here = f"{100 * share.value:.0f} % of {share.count:,}"
    if share.low > 0.5:
        return Outcome(holds=True, here=here)
    return Outcome(holds=False if share.high < 0.5 else None, here=here)


def every(values: Sequence[Any], *, whole: bool) -> Outcome:
    """A share is one: a sample can show an exception, but not that there is none."""
    (share,) = estimates(values[0])
    here = f"{round(share.value * share.count):,} of {share.count:,}"
    return Outcome(holds=False if share.value < 1 else (True if whole else None), here=here)


def one_value(values: Sequence[Any], *, whole: bool) -> Outcome:
    """All things counted by a histogram are alike."""
    here = "; ".join(f"{int(v):,}: {n:,} times" for v, n in values[0].items())
    alike = len(values[0]) == 1
    return Outcome(holds=(True if whole else None) if alike else False, here=here)


def several_values(values: Sequence[Any], *, whole: bool) -> Outcome:
    """Not all things counted by a histogram are alike."""
    alike = one_value(values, whole=whole)
    return Outcome(holds=None if alike.holds is None else not alike.holds, here=alike.here)


def none_flagged(values: Sequence[Any], *, whole: bool, order: float) -> Outcome:
    """No title has its flag set; each has one for every order of the steps."""
    flagged = [title for title, flags in values[0].items() if flags[int(order)]]
    here = f"{len(flagged)} of {len(values[0])} hold one"
    return Outcome(holds=not flagged, here=here)


_OWN: tuple[Callable[..., Outcome], ...] = (
    *(within, stated, less_than, alike, at_least, at_most, equals, inside, most, every),
    *(one_value, several_values, none_flagged),
)
CHECKS: dict[str, Callable[..., Outcome]] = {
    check.__name__: check for check in (*_OWN, *score_checks.CHECKS)
}
