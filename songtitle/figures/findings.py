"""What a figure hands on: its numbers, and what is found in them, in words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsFloat
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from songtitle.errors import InputError


def one_line(text: str) -> str:
    """Write text without line ends and needless blanks."""
    return re.sub(r"\s+", " ", text).strip()


def split_unit(label: str) -> tuple[str, str]:
    """Split a label into name and unit: ("time per example", "ms") of "time per example (ms)"."""
    found = re.fullmatch(r"(.*?)\s*\(([^()]*)\)", label)
    name, unit = (found[1], found[2]) if found else (label, "")
    return name, "" if unit == "no unit" or unit.startswith("per ") else unit


def amount(number: SupportsFloat, label: str = "") -> str:
    """Write a number as one would say it: three digits, with the unit of its axis label."""
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
    """Write "a, b and c"; of more than `most` things the first ones and how many others."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} others"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def extremes(frame: pd.DataFrame, value: str, *, at: str, of: str = "", where: str = "") -> str:
    """Say where the column `value` is highest and lowest, and how each series goes.

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
    """Say how each series goes from first place to last; of more than three, how many rise."""
    if not of:
        return ""
    ordered = rows.sort_values(at).groupby(of, sort=False)[value]
    ends = {name: (each.iloc[0], each.iloc[-1]) for name, each in ordered if len(each) > 1}
    if len(ends) > 3:
        rising = sum(last > first for first, last in ends.values())
        return f"; {rising} of {len(ends)} lines end higher than they begin"
    goes = [f"{name} from {amount(a)} to {amount(b)}" for name, (a, b) in ends.items()]
    return f"; {some(goes)}" if goes else ""


# What a spreadsheet would carry out; the wide signs and the semicolon are for some languages.
FORMULA = re.compile("(^|; ?)(?=[=+\\-@＝＋－＠])")


@dataclass
class Handed:
    """What one axis hands on: a frame and a finding for each thing drawn on it, and its name."""

    frames: list[pd.DataFrame] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    panel: str = ""


_HANDED: WeakKeyDictionary[Axes, Handed] = WeakKeyDictionary()


def hand_on(ax: Axes, frame: pd.DataFrame, finding: str, *, panel: str = "") -> Axes:
    """Keep what was drawn on an axis, for the table and the alt text of its figure; give the axis.

    `frame` is tidy: columns named as the labels of the axis, units included, categories by name,
    the ends of intervals as `low` and `high`. `finding` says in a sentence what a reader sees, with
    numbers, places and units. A second call adds to the first; `panel` names an axis that has no
    title. Raises `InputError` for a frame without rows and for an empty finding.
    """
    if frame.empty or not finding.strip():
        msg = f"figure: expected rows and a finding, got {len(frame)} rows and {finding!r}; "
        raise InputError(msg + "hand on the frame that is drawn and what is found in it")
    handed = _HANDED.setdefault(ax, Handed())
    handed.frames.append(frame.copy())
    handed.findings.append(one_line(finding))
    handed.panel = panel or handed.panel
    return ax


def data_of(figure: Figure | SubFigure) -> pd.DataFrame:
    """Give all frames of a figure, one below the other, with a column `panel` where several.

    Raises `InputError` for an axis that draws something and hands on nothing.
    """
    panels = _panels(figure)
    frames = [frame.astype(object) for _, handed in panels for frame in handed.frames]
    if len(panels) > 1:
        names = [name for name, handed in panels for _ in handed.frames]
        for name, frame in zip(names, frames, strict=True):
            frame.insert(0, "panel", name)
    whole = pd.concat(frames, ignore_index=True).dropna(axis="columns", how="all")
    return whole.where(whole.notna(), None)


def csv_of(figure: Figure | SubFigure) -> str:
    """Write `data_of` as comma-separated text, five digits a number, safe in a spreadsheet."""
    frame = data_of(figure).rename(columns=_safe).map(_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def alt_of(figure: Figure | SubFigure) -> str:
    """Give the findings of a figure in whole sentences, each after the name of its panel.

    Raises `InputError` for an axis that draws something and hands on nothing.
    """
    panels = _panels(figure)
    found = [(name, "; ".join(handed.findings)) for name, handed in panels]
    clauses = [f"{name}: {text}" if len(panels) > 1 else text for name, text in found]
    return " ".join(_sentence(clause) for clause in clauses)


def _panels(figure: Figure | SubFigure) -> list[tuple[str, Handed]]:
    """Give name and content of each axis that hands something on; no two names are the same."""
    found = list(_handed_on(figure.axes))
    if not found:
        msg = "figure: expected something drawn, got nothing; draw it and call "
        raise InputError(msg + "figures.findings.hand_on(ax, frame, finding)")
    names: list[str] = []
    for place, (ax, handed) in enumerate(found, start=1):
        name = handed.panel or _title(ax) or f"panel {place}"
        names.append(f"{name} ({place})" if name in names else name)
    return [(name, handed) for name, (_, handed) in zip(names, found, strict=True)]


def _handed_on(axes: Iterable[Any], *, told: bool = False) -> Iterator[tuple[Axes, Handed]]:
    """Yield axes that hand something on; those within an axis may leave it to that axis."""
    for ax in axes:
        if ax.get_label() == "<colorbar>" or not ax.get_visible():
            continue
        if ax in _HANDED:
            yield ax, _HANDED[ax]
        elif ax.has_data() and not told:
            msg = f"axis {_title(ax)!r}: expected its numbers and its finding, got ink alone; call "
            raise InputError(msg + "figures.findings.hand_on(ax, frame, finding)")
        yield from _handed_on(ax.child_axes, told=told or ax in _HANDED)


def _title(ax: Axes) -> str:
    titles = (ax.get_title(place) for place in ("center", "left", "right"))
    return one_line(next(filter(None, titles), ""))


def _sentence(text: str) -> str:
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return text[:1].upper() + text[1:]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        whole = number.is_integer() and abs(number) < 1e15
        return f"{number:.0f}" if whole else f"{number:.5g}"
    return _safe(str(value)) if isinstance(value, str) else str(value)


def _safe(text: str) -> str:
    """Write text that no spreadsheet takes for a formula, on one line: a new one is a new row."""
    return FORMULA.sub(r"\1'", one_line(text))
