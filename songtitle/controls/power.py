"""Power: how many items it takes to tell two systems apart that are scored on the same ones."""

from bisect import bisect_left
from math import ceil, sqrt

from scipy.special import ndtr, ndtri

from songtitle.errors import InputError


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
