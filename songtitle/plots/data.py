"""The numbers of a figure, read back from what it draws: one row a mark, labels as columns."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator

from songtitle.plots.artists import Drawn, drawn_in
from songtitle.plots.said import said_of

MOST = 48  # squares a side of a heat map that the table holds; of larger ones every n-th
# What a spreadsheet would carry out; the wide signs and the semicolon are for some languages.
FORMULA = re.compile("(^|; ?)(?=[=+\\-@＝＋－＠])")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One axis: its names, and all that is drawn in it."""

    ax: Axes
    name: str
    x: str
    y: str
    drawn: list[Drawn] = field(default_factory=list)


def data_of(figure: Figure | SubFigure) -> pd.DataFrame:
    """All that a figure draws as one tidy frame.

    Columns: `panel` (where there are several), `series` (names of the legend), one for each label
    of an axis, `low` and `high` (ends of intervals), and what else there is to tell. Categories
    come by name. A picture is one row that says what it is; of a large heat map every n-th row and
    column is there, as the name of the column says.
    """
    frames = []
    found = panels(figure)
    for panel in found:
        for each in panel.drawn:
            rows = named(each.rows, panel)
            if rows.empty:
                continue
            rows.insert(0, "series", each.series)
            if len(found) > 1:
                rows.insert(0, "panel", panel.name)
            frames.append(rows)
    if not frames:
        return pd.DataFrame()
    whole = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    last = [name for name in ("low", "high", "what") if name in whole]
    whole = whole[[*(name for name in whole if name not in last), *last]]
    if not whole["series"].any():
        whole = whole.drop(columns="series")
    whole = whole.dropna(axis="columns", how="all")
    return whole.where(whole.notna(), None)


def csv_of(figure: Figure | SubFigure) -> str:
    """`data_of` as comma-separated text, five digits a number, safe to open in a spreadsheet."""
    frame = data_of(figure)
    frame = frame.rename(columns=_safe).map(_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def panels(figure: Figure | SubFigure) -> list[Panel]:
    """The axes of a figure that show something, panels within panels included."""
    found = [(ax, *_labels(ax)) for ax in _all_axes(figure.axes)]
    shown = [(ax, x, y, drawn) for ax, x, y in found if (drawn := _thinned(drawn_in(ax)))]
    names = [_name(ax) for ax, *_ in shown]
    if len(shown) > 1:
        names = [name or f"panel {place}" for place, name in enumerate(names, start=1)]
    return [
        Panel(ax=ax, name=name, x=x, y=y, drawn=drawn)
        for name, (ax, x, y, drawn) in zip(names, shown, strict=True)
    ]


def _all_axes(axes: Iterable[Any]) -> Iterator[Axes]:
    for ax in axes:
        if ax.get_label() != "<colorbar>" and ax.get_visible():
            yield ax
            yield from _all_axes(ax.child_axes)


def _labels(ax: Axes) -> tuple[str, str]:
    """Names of x and y: said, written, or written at an axis that shares the scale."""
    said, names = said_of(ax), []
    for letter in "xy":
        siblings = getattr(ax, f"get_shared_{letter}_axes")().get_siblings(ax)
        written = (getattr(each, f"get_{letter}label")() for each in [ax, *siblings])
        name = getattr(said, letter) or next(filter(None, written), "")
        named_ticks = categories(getattr(ax, f"{letter}axis"))
        names.append(one_line(name) or ("name" if named_ticks else letter))
    if names[0] == names[1]:
        names[1] += " (y)"
    return names[0], names[1]


def _name(ax: Axes) -> str:
    titles = (ax.get_title(loc) for loc in ("center", "left", "right"))
    return said_of(ax).panel or one_line(next(filter(None, titles), ""))


def one_line(text: str) -> str:
    """Text without line ends and needless blanks."""
    return re.sub(r"\s+", " ", text).strip()


def named(rows: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Places on an axis of categories by the category's name, columns by the axis' label."""
    rows = rows.copy()
    for letter, axis in (("x", panel.ax.xaxis), ("y", panel.ax.yaxis)):
        columns = said_of(panel.ax).columns if letter == "x" else ()
        if letter in rows and (names := categories(axis, columns)):
            rows[letter] = [_nearest(value, names) for value in rows[letter]]
    return rows.rename(columns={"x": panel.x, "y": panel.y})


def categories(axis: Axis, names: Sequence[str] = ()) -> dict[float, str]:
    """Place and name of each category of an axis; nothing where its ticks are numbers."""
    locator = axis.get_major_locator()
    if not isinstance(locator, FixedLocator) and not hasattr(axis.units, "_mapping"):
        return {}
    places = [float(place) for place in axis.get_majorticklocs()]
    labels = [one_line(text) for text in axis.get_major_formatter().format_ticks(places)]
    if names:
        labels = list(names)
    pairs = zip(places, labels, strict=True)
    if not any(labels) or all(_is_number(label, place) for place, label in pairs):
        return {}
    return dict(zip(places, labels, strict=True))


def _is_number(label: str, place: float) -> bool:
    try:
        return abs(float(label.replace("−", "-").replace(",", "")) - place) < 1e-6
    except ValueError:
        return False


def _nearest(value: Any, names: dict[float, str]) -> Any:
    """The category that a place belongs to; marks stand beside its tick, not always on it."""
    if value is None or value != value:
        return value
    place = min(names, key=lambda each: abs(each - value))
    return names[place] if abs(place - value) <= 0.5 else value


def _thinned(drawn: list[Drawn]) -> list[Drawn]:
    return [each.every(MOST) if each.kind == "squares" else each for each in drawn]


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
