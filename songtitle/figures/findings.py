"""What a figure hands on beside its ink: the frame that it draws, and what is found in it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from songtitle.errors import InputError
from songtitle.figures.wording import one_line

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
    """All frames of a figure, one below the other, with a column `panel` where there are several.

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
    """`data_of` as comma-separated text, five digits a number, safe to open in a spreadsheet."""
    frame = data_of(figure).rename(columns=_safe).map(_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def alt_of(figure: Figure | SubFigure) -> str:
    """The findings of a figure in whole sentences, each after the name of its panel.

    Raises `InputError` for an axis that draws something and hands on nothing.
    """
    panels = _panels(figure)
    found = [(name, "; ".join(handed.findings)) for name, handed in panels]
    clauses = [f"{name}: {text}" if len(panels) > 1 else text for name, text in found]
    return " ".join(_sentence(clause) for clause in clauses)


def _panels(figure: Figure | SubFigure) -> list[tuple[str, Handed]]:
    """Name and content of each axis that hands something on; no two names are the same."""
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
    """Axes that hand something on; those within an axis may leave it to that axis."""
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
    """Text that no spreadsheet takes for a formula; on one line, since a new one is a new row."""
    return FORMULA.sub(r"\1'", one_line(text))
