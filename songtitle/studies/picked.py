"""The best of several: out of how many a number was picked, and what luck among so many gives."""

from collections.abc import Iterable, Mapping
from typing import Any

from songtitle.fmt import p_value, points, write
from songtitle.metrics.chance import adjusted
from songtitle.tables import LEVEL

SURE, LUCKY = "more than luck among so many", "no more than luck among so many"


def smallest_p(rows: Iterable[Mapping[str, Any]], what: str, name: str) -> str:
    """Say in a sentence which of several has the smallest `p`, and what that is for all together.

    `what` calls them in the plural, `name` is a pattern of `fmt.write` that names one. Of one alone
    nothing was picked: then nothing is said.
    """
    found = list(rows)
    if len(found) < 2:
        return ""
    ps = [float(row["p"]) for row in found]
    least = min(ps)
    first, *more = (write(name, row) for row, p in zip(found, ps, strict=True) if p == least)
    together, others = adjusted(ps)[ps.index(least)], f" and {len(more)} more" if more else ""
    return (
        f"Of {len(found)} {what} the smallest p is {small(least)} ({first}{others}), "
        f"{small(together)} for {all_of(len(found))} together (Holm): "
        f"{SURE if together <= LEVEL else LUCKY}."
    )


def small(p: float) -> str:
    """Write a p value that may be too small for three digits."""
    return "below 0.001" if p < 0.0005 else p_value(p)


def all_of(count: int) -> str:
    """Say "both" of two, "all 3" of three."""
    return "both" if count == 2 else f"all {count}"


def highest(scores: Iterable[float], what: str) -> str:
    """Say what the highest of several scores in [0, 1] is, of how many, and what one picked by lot
    has in the mean. `what` calls them in the plural."""
    found = list(scores)
    said = f"{points(max(found))} points"
    if len(found) < 2:
        return said
    by_lot = points(sum(found) / len(found))
    return f"{said}, the highest of {len(found)} {what} (one picked by lot: {by_lot})"


def by_luck_one_of(count: int) -> float:
    """Give the chance that the smallest of so many p is below 0.05 where nothing is there."""
    return float(1 - (1 - LEVEL) ** count)
