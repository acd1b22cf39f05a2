"""Words for numbers: amounts with their unit, lists of things."""

import re
from collections.abc import Sequence
from typing import SupportsFloat


def split_unit(label: str) -> tuple[str, str]:
    """Name and unit of an axis label: ("time per example", "ms") of "time per example (ms)"."""
    found = re.fullmatch(r"(.*?)\s*\(([^()]*)\)", label)
    name, unit = (found[1], found[2]) if found else (label, "")
    return name, "" if unit == "no unit" or unit.startswith("per ") else unit


def amount(number: SupportsFloat, label: str = "") -> str:
    """A number as one would say it, three digits, with the unit of its axis label."""
    value = float(number)
    if value != value:
        return "nothing"
    size = abs(value)
    if size and (size < 0.001 or size >= 1e9):
        text = f"{value:.2e}"
    elif value == round(value) or size >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.3g}"
    unit = split_unit(label)[1]
    unit = unit.split(",")[0]  # "dB, 0 at the peak"
    if unit.endswith("s") and len(unit) > 3 and value == 1:
        unit = unit[:-1]
    text = text.replace("-", "−", 1) if value < 0 else text
    return f"{text} {unit}".strip()


def some(parts: Sequence[str], most: int = 6) -> str:
    """Things in a row: "a, b and c"; of more than `most` the first ones and how many others."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} others"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))
