"""What a check answers, and how the values it was given are shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from songtitle.claims.arithmetic import number
from songtitle.claims.records import Estimate


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check found, and the numbers that say so."""

    holds: bool | None
    here: str


def show(value: Any) -> str:
    """A value with its interval and its chance level, as far as it has them."""
    if isinstance(value, Estimate):
        text = number(value.value)
        if value.low < value.high and math.isfinite(value.low) and math.isfinite(value.high):
            text += f" [{number(value.low)}, {number(value.high)}]"
        if value.chance is not None:
            text += f" (chance {number(value.chance)})"
        return f"{text} {value.label}".strip()
    if isinstance(value, (list, tuple)):
        return ", ".join(show(each) for each in value)
    return number(float(value)) if isinstance(value, (int, float)) else str(value)


def estimates(value: Any) -> list[Estimate]:
    """A value, or a list of them, as estimates; a bare number is exact."""
    if isinstance(value, Estimate):
        return [value]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in estimates(item)]
    exact = float(value)
    return [Estimate(value=exact, low=exact, high=exact)]


def apart(first: Estimate, second: Estimate) -> bool | None:
    """Whether the first is below the second; None where their intervals overlap."""
    if first.high < second.low:
        return True
    return False if second.high < first.low else None


def listed(found: Sequence[Any]) -> str:
    """Numbers for a reader."""
    return ", ".join(number(float(each)) for each in found)
