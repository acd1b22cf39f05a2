"""A figure in words, written from the numbers it draws: what a reader who cannot see it gets."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from songtitle.errors import InputError
from songtitle.plots.artists import Drawn
from songtitle.plots.data import Panel, categories, named, panels
from songtitle.plots.said import said_of
from songtitle.plots.wording import amount, some, split_unit

ALT = "application/vnd.songtitle.alt"  # travels beside the picture in a notebook's output
CSV = "text/csv"

ASIDE = "chance|the paper"  # series that stand beside the findings, and are none


def alt_of(figure: Figure | SubFigure) -> str:
    """One to three sentences on what a figure shows, with numbers, places and units.

    An axis may bring a sentence of its own (`says`), which also speaks for the panels within it.
    Raises `InputError` for a figure that draws nothing which could be told.
    """
    shown = panels(figure)
    spoken = {id(each) for ax in figure.axes if said_of(ax).sentence for each in ax.child_axes}
    clauses = []
    for ax in figure.axes:
        if said_of(ax).sentence and not any(panel.ax is ax for panel in shown):
            clauses.append(said_of(ax).sentence)
    for panel in shown:
        own = said_of(panel.ax).sentence
        if id(panel.ax) in spoken and not own:
            continue
        clause = own or clause_of(panel)
        clauses.append(f"{panel.name}: {clause}" if len(shown) > 1 and panel.name else clause)
    if not clauses:
        msg = "figure: expected something drawn to describe, got nothing; draw it, or say it with "
        raise InputError(msg + 'plots.says(ax, "...")')
    return " ".join(_sentence(clause) for clause in dict.fromkeys(clauses))


def clause_of(panel: Panel) -> str:
    """The finding of one axis, read from its marks."""
    drawn = [each for each in panel.drawn if each.kind != "level"]
    kinds = {each.kind for each in drawn}
    if "squares" in kinds:
        clause = _extremes_of_squares(panel, next(d for d in drawn if d.kind == "squares"))
    elif kinds & {"line", "points", "bars", "band"}:
        clause = _of_marks(
            panel, [d for d in drawn if d.kind in ("line", "points", "bars", "band")]
        )
    elif "picture" in kinds:
        clause = next(each for each in drawn if each.kind == "picture").rows["what"].iloc[0]
    elif "part" in kinds:
        clause = _of_parts(drawn)
    else:
        clause = ""
    levels = _levels(panel)
    return f"{clause}; {levels}" if clause and levels else clause or levels


def _sentence(text: str) -> str:
    text = text.strip()
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return text[:1].upper() + text[1:]


def _of_parts(drawn: Sequence[Drawn]) -> str:
    rows = pd.concat([each.rows for each in drawn if each.kind == "part"])
    parts = [
        f"{part} ({shape})" if shape else part
        for part, shape in zip(rows["part"], rows["shape"], strict=True)
    ]
    return "in order: " + ", ".join(dict.fromkeys(parts))


def _levels(panel: Panel) -> str:
    """Named straight lines: "level lines: chance 25 %"."""
    lines = []
    for each in panel.drawn:
        if each.kind != "level" or each.series == "line" or "low" in each.rows:
            continue
        letter = "y" if "y" in each.rows else "x"
        value = float(each.rows[letter].iloc[0])
        # A legend that already gives the number is not read out twice.
        name = re.sub(r":\s*[\d.,]+(?=\s*%?$)[\s%]*", "", each.series)
        lines.append(f"{name} at {amount(value, panel.y if letter == 'y' else panel.x)}")
    verb = "lines mark" if len(lines) > 1 else "a line marks"
    return f"{verb} {some(lines)}" if lines else ""


def _of_marks(panel: Panel, drawn: list[Drawn]) -> str:
    """Extremes with their place, and how each series goes, of lines, bars and marks."""
    rows = marks(panel, drawn)
    own = ~rows["series"].str.contains(ASIDE, case=False)
    rows = rows[own] if own.any() else rows
    if rows.empty:
        return ""
    label = rows.attrs["value"]
    name, _ = split_unit(label)
    top, low = rows.loc[rows["value"].idxmax()], rows.loc[rows["value"].idxmin()]
    if top["value"] == low["value"]:
        place = _at(top, rows) if len(rows) == 1 else "throughout"
        return f"{name}: {amount(top['value'], label)} {place}".strip()
    what = "" if name == split_unit(panel.name)[0] else f" {name}"
    clause = (
        f"highest{what}: {amount(top['value'], label)}{_interval(top)} {_at(top, rows)}; "
        f"lowest: {amount(low['value'])}{_interval(low)} {_at(low, rows)}"
    )
    if courses := _courses(rows, label):
        clause += f"; {courses}"
    return clause


def marks(panel: Panel, drawn: Sequence[Drawn]) -> pd.DataFrame:
    """All marks of an axis: series, place, value, low, high; `attrs` has the labels."""
    records: list[dict[str, Any]] = []
    for each in drawn:
        frame = each.rows
        if each.kind == "band" and not {"x", "y"} <= set(frame):
            middle = (frame["low"] + frame["high"]) / 2
            frame = frame.assign(**{"y" if each.upright else "x": middle})
        sideways = not each.upright or (
            each.kind == "points" and bool(_names(panel, "y")) and not _names(panel, "x")
        )
        value = "x" if sideways else "y"
        places = named(frame, panel)[panel.y if sideways else panel.x]
        for index, at in places.items():
            records.append(
                {
                    "series": each.series,
                    "kind": each.kind,
                    "sideways": sideways,
                    "place": at,
                    "value": float(frame.loc[index, value]),
                    "low": frame.loc[index].get("low", np.nan),
                    "high": frame.loc[index].get("high", np.nan),
                }
            )
    columns = ["series", "kind", "sideways", "place", "value", "low", "high"]
    rows = pd.DataFrame(records, columns=columns)
    rows = rows[np.isfinite(rows["value"].astype(float))]
    sideways = bool(len(rows)) and bool(rows["sideways"].mean() > 0.5)
    rows.attrs = {
        "value": panel.x if sideways else panel.y,
        "place": panel.y if sideways else panel.x,
    }
    return rows


def _names(panel: Panel, letter: str) -> dict[float, str]:
    return categories(getattr(panel.ax, f"{letter}axis"))


def _at(row: pd.Series, rows: pd.DataFrame) -> str:
    """Where a mark is: its series where there are several, its place."""
    words = []
    if row["series"] and rows["series"].nunique() > 1:
        words.append(f"for {row['series']}")
    if isinstance(row["place"], str):
        words.append(f"at {row['place']}" if words else f"for {row['place']}")
    elif row["place"] is not None and row["place"] == row["place"] and len(rows) > 1:
        words.append(f"at {_where(row['place'], rows.attrs['place'])}")
    return " ".join(words)


def _where(place: float, label: str) -> str:
    name, unit = split_unit(label)
    if name in ("x", "y", ""):
        return amount(place)
    return f"{amount(place)} {unit}" if unit and len(unit) < 8 else f"{name} {amount(place)}"


def _interval(row: pd.Series) -> str:
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return ""
    return f" ({amount(row['low'])} to {amount(row['high'])})"


def _courses(rows: pd.DataFrame, label: str) -> str:
    """How each line goes from its first place to its last."""
    lines = rows[rows["kind"] == "line"]
    parts = []
    for series, found in lines.groupby("series", sort=False):
        if len(found) < 2:
            continue
        first, last = found["value"].iloc[0], found["value"].iloc[-1]
        way = "stays at" if np.isclose(first, last) else "rises" if last > first else "falls"
        ends = amount(first) if way == "stays at" else f"from {amount(first)} to {amount(last)}"
        parts.append((f"{series} {way} {ends}".strip(), way))
    if not parts:
        return ""
    if len(parts) <= 3:
        return some([text for text, _ in parts])
    ways = [way for _, way in parts]
    counts = [
        f"{ways.count(way)} {one if ways.count(way) == 1 else many}"
        for way, one, many in (
            ("rises", "rises", "rise"),
            ("falls", "falls", "fall"),
            ("stays at", "ends as it began", "end as they began"),
        )
        if way in ways
    ]
    return f"all {counts[0]}" if len(counts) == 1 else f"of {len(parts)} lines {some(counts)}"


def _extremes_of_squares(panel: Panel, squares: Drawn) -> str:
    rows = named(squares.rows, panel)
    name = next(column for column in rows if column not in (panel.x, panel.y))
    top, low = rows.loc[rows[name].idxmax()], rows.loc[rows[name].idxmin()]

    def at(row: pd.Series) -> str:
        return ", ".join(
            place if isinstance(place := row[label], str) else _where(place, label)
            for label in (panel.y, panel.x)
        )

    label, _ = split_unit(name)
    return (
        f"highest {label}: {amount(top[name], name)} at {at(top)}; "
        f"lowest: {amount(low[name])} at {at(low)}"
    )
