"""Words for numbers: amounts with their unit, lists of things, where a curve is highest."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import SupportsFloat

import pandas as pd


def tidy(
    frame: pd.DataFrame, names: Mapping[str, str], percent: Collection[str] = ()
) -> pd.DataFrame:
    """The columns in `names` under their new names; those in `percent` from shares to percent."""
    shares = {name: 100 * frame[name].astype(float) for name in percent}
    return frame[list(names)].assign(**shares).rename(columns=names)


def one_line(text: str) -> str:
    """Text without line ends and needless blanks."""
    return re.sub(r"\s+", " ", text).strip()


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
    unit = split_unit(label)[1].split(",")[0]  # "dB, 0 at the peak"
    if unit.endswith("s") and len(unit) > 3 and value == 1:
        unit = unit[:-1]
    text = text.replace("-", "−", 1) if value < 0 else text
    return f"{text} {unit}".strip()


def some(parts: Sequence[str], most: int = 6) -> str:
    """Things in a row: "a, b and c"; of more than `most` the first ones and how many others."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} others"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def extremes(frame: pd.DataFrame, value: str, *, at: str, of: str = "", where: str = "") -> str:
    """Where the column `value` is highest and lowest, and how each series goes.

    `at` is the column of places, `of` that of the series, if there are any. A number of `at` is
    told as `where` says, such as "with {} words", or after the column's name. A frame with `low`
    and `high` also gives the intervals.
    """
    rows = frame.dropna(subset=[value]).reset_index(drop=True)
    name = split_unit(value)[0]
    if rows.empty:
        return f"no {name} to show"
    several = bool(of) and rows[of].nunique() > 1
    where = where or f"at {split_unit(at)[0]} {{}}"

    def spot(row: pd.Series, label: str = "") -> str:
        text = amount(row[value], label)
        if pd.notna(row.get("low")) and pd.notna(row.get("high")):
            text += f" ({amount(row['low'])} to {amount(row['high'])})"
        text += f" for {row[of]}" if several else ""
        place = row[at]
        return (
            f"{text} at {place}"
            if isinstance(place, str)
            else f"{text} {where.format(amount(place))}"
        )

    top, low = (rows.loc[rows[value].agg(find)] for find in ("idxmax", "idxmin"))
    if top[value] == low[value]:
        return f"{name}: {amount(top[value], value)}" + (" throughout" if len(rows) > 1 else "")
    return f"highest {name}: {spot(top, value)}; lowest: {spot(low)}{_courses(rows, value, at, of)}"


def _courses(rows: pd.DataFrame, value: str, at: str, of: str) -> str:
    """How each series goes from its first place to its last; of more than three, how many rise."""
    if not of:
        return ""
    ordered = rows.sort_values(at).groupby(of, sort=False)[value]
    ends = {name: (each.iloc[0], each.iloc[-1]) for name, each in ordered if len(each) > 1}
    if len(ends) > 3:
        rising = sum(last > first for first, last in ends.values())
        return f"; {rising} of {len(ends)} lines end higher than they begin"
    goes = [f"{name} from {amount(a)} to {amount(b)}" for name, (a, b) in ends.items()]
    return f"; {some(goes)}" if goes else ""
