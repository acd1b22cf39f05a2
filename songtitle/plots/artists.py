"""What an axis draws, read from its artists: lines, bars, marks, intervals, squares, parts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import (
    LineCollection,
    PathCollection,
    PolyCollection,
    QuadMesh,
)
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text

PICTURE = "_picture"  # label of a grey picture: an array of two axes that is no table of numbers
_UNNAMED = re.compile(r"_?$|_(child|container|image|nolegend|nolegend_)\d*_?$")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One thing that an axis shows.

    `kind` is line, points, bars, level (a straight line across), band, squares, picture or part (of
    a diagram). `rows` has the columns x and y, and low and high where there is an interval: of y
    where `upright`, else of x.
    """

    kind: str
    series: str
    rows: pd.DataFrame
    upright: bool = True
    shape: tuple[int, int] = (0, 0)  # rows and columns of squares

    def every(self, most: int) -> "Drawn":
        """Squares thinned to every n-th row and column, at most `most` a side."""
        steps = [max(1, -(-side // most)) for side in self.shape]
        if steps == [1, 1]:
            return self
        row, column = np.divmod(np.arange(len(self.rows)), self.shape[1])
        kept = (row % steps[0] == 0) & (column % steps[1] == 0)
        name = self.rows.columns[-1]
        thinned = {name: f"{name}, one square in {steps[0]} × {steps[1]}"}
        return replace(self, rows=self.rows[kept].rename(columns=thinned))


def drawn_in(ax: Axes) -> list[Drawn]:
    """All that an axis shows, in the order in which it was drawn."""
    taken: set[int] = set()
    found: list[Drawn] = []
    loose: list[Drawn] = []  # intervals drawn apart from what they belong to
    for container in ax.containers:
        taken |= {id(each) for each in _flat(container)}
        if isinstance(container, BarContainer):
            taken |= {id(each) for each in _flat(container.errorbar or ())}
            found.append(_bars(container))
        elif isinstance(container, ErrorbarContainer):
            each = _errorbar(container)
            (found if container.lines[0] is not None else loose).append(each)
    for line in ax.lines:
        if id(line) not in taken and np.size(line.get_xdata()):
            found.append(_line(line, ax))
    for artist in [*ax.collections, *ax.images]:
        if id(artist) in taken:
            continue
        if isinstance(artist, PathCollection) and np.size(artist.get_offsets()):
            found.append(_points(artist))
        elif isinstance(artist, LineCollection) and name_of(artist):
            found.append(_spans(artist))
        elif isinstance(artist, QuadMesh):
            found.append(_mesh(artist))
        elif isinstance(artist, AxesImage):
            found.append(_image(artist, ax))
        elif isinstance(artist, PolyCollection):
            loose += _bands(artist)
    for patch in ax.patches:
        if id(patch) not in taken and isinstance(patch, Rectangle) and name_of(patch):
            found.append(_span(patch, ax))
    found += [left for each in loose if (left := _joined(each, found)) is not None]
    found = [each for each in found if len(each.rows)]
    return [*found, *_parts(ax)]


def name_of(artist: Artist) -> str:
    """The name in the legend; a name after an underscore is one that the legend leaves out."""
    label = str(artist.get_label() or "")
    return "" if _UNNAMED.match(label) else label.removeprefix("_")


def _flat(parts: object) -> list[object]:
    if isinstance(parts, tuple | list):
        return [each for part in parts for each in _flat(part)]
    return [parts]


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: _plain(values) for name, values in columns.items()})


def _plain(values: Any) -> np.ndarray:
    """Numbers as floats, masked ones as NaN."""
    return np.ma.filled(np.ma.asarray(values, float), np.nan)


def _bars(container: BarContainer) -> Drawn:
    upright = container.orientation != "horizontal"
    boxes = [patch for patch in container.patches if isinstance(patch, Rectangle)]
    middle = [
        b.get_x() + b.get_width() / 2 if upright else b.get_y() + b.get_height() / 2 for b in boxes
    ]
    values = [b.get_height() if upright else b.get_width() for b in boxes]
    places, sizes = np.array(middle, float), np.array(values, float)
    rows = _frame(x=places, y=sizes) if upright else _frame(x=sizes, y=places)
    series = "" if _UNNAMED.match(str(container.get_label())) else str(container.get_label())
    return Drawn(kind="bars", series=series, rows=rows, upright=upright)


def _errorbar(container: ErrorbarContainer) -> Drawn:
    line, _, bars = container.lines
    upright = container.has_yerr or not container.has_xerr
    at, along = (1, 0) if upright else (0, 1)
    ends = [s for bar in bars for s in bar.get_segments() if len(s)]
    low, high = (np.array([f(s[:, at]) for s in ends], float) for f in (np.min, np.max))
    if line is None:
        places = np.array([s[0, along] for s in ends], float)
        rows = _frame(**{"xy"[along]: places}, low=low, high=high)
        return Drawn(kind="band", series="", rows=rows, upright=upright)
    rows = _frame(
        x=np.asarray(line.get_xdata(orig=False), float),
        y=np.asarray(line.get_ydata(orig=False), float),
    )
    if len(low) == len(rows):
        rows["low"], rows["high"] = low, high
    label = str(container.get_label())
    kind = "points" if line.get_linestyle() in ("None", "", " ") else "line"
    series = "" if _UNNAMED.match(label) else label
    return Drawn(kind=kind, series=series, rows=rows, upright=upright)


def _line(line: Line2D, ax: Axes) -> Drawn:
    x, y = (np.asarray(each, float) for each in line.get_data(orig=False))
    levels = {
        id(ax.get_yaxis_transform(which="grid")): ("y", y),
        id(ax.get_xaxis_transform(which="grid")): ("x", x),
    }
    if found := levels.get(id(line.get_transform())):
        rows = _frame(**{found[0]: found[1][:1]})
        return Drawn(kind="level", series=name_of(line) or "line", rows=rows)
    kind = "points" if line.get_linestyle() in ("None", "", " ") else "line"
    return Drawn(kind=kind, series=name_of(line), rows=_frame(x=x, y=y))


def _points(dots: PathCollection) -> Drawn:
    x, y = np.ma.getdata(dots.get_offsets()).T
    return Drawn(kind="points", series=name_of(dots), rows=_frame(x=x, y=y))


def _spans(lines: LineCollection) -> Drawn:
    ends = np.array([segment[[0, -1]] for segment in lines.get_segments()])
    upright = bool(np.allclose(ends[:, 0, 0], ends[:, 1, 0]))
    at = int(upright)
    rows = _frame(
        **{"yx"[at]: ends[:, 0, 1 - at]}, low=ends[..., at].min(1), high=ends[..., at].max(1)
    )
    return Drawn(kind="band", series=name_of(lines), rows=rows, upright=upright)


def _span(patch: Rectangle, ax: Axes) -> Drawn:
    """A named stretch of one axis, such as `axvspan` or a frame around part of a picture."""
    across = patch.get_data_transform() == ax.get_yaxis_transform(which="grid")
    start = patch.get_y() if across else patch.get_x()
    size = patch.get_height() if across else patch.get_width()
    rows = _frame(low=np.array([start]), high=np.array([start + size]))
    return Drawn(kind="level", series=name_of(patch), rows=rows, upright=across)


def _bands(fill: PolyCollection) -> list[Drawn]:
    """Outlines as intervals: at each place the lowest and the highest point."""
    along = 1 if getattr(fill, "t_direction", "x") == "y" else 0
    found = []
    for path in fill.get_paths():
        points = pd.DataFrame(path.vertices, columns=["x", "y"])
        ends = points.groupby("xy"[along])["yx"[along]].agg(["min", "max"])
        rows = ends.set_axis(["low", "high"], axis=1).rename_axis("xy"[along]).reset_index()
        found.append(Drawn(kind="band", series=name_of(fill), rows=rows, upright=along == 0))
    return found


def _mesh(mesh: QuadMesh) -> Drawn:
    corners = np.asarray(mesh.get_coordinates(), float)
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    values = _plain(mesh.get_array()).reshape(centres.shape[:2])
    return _squares(centres[..., 0], centres[..., 1], values, _value_name(mesh))


def _image(image: AxesImage, ax: Axes) -> Drawn:
    values = _plain(image.get_array())
    height, width = values.shape[:2]
    if values.ndim == 3 or image.get_label() == PICTURE:
        colours = "in colour" if values.ndim == 3 else "in grey"
        what = f"a picture {colours}, {width} × {height} pixels"
        return Drawn(kind="picture", series="", rows=pd.DataFrame({"what": [what]}))
    left, right, foot, top = image.get_extent()
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = top + (np.arange(height) + 0.5) * (foot - top) / height
    if image.origin == "lower":
        y = y[::-1]
    across, up = np.meshgrid(x, y)
    return _squares(across, up, values, _value_name(image))


def _squares(x: np.ndarray, y: np.ndarray, values: np.ndarray, name: str) -> Drawn:
    rows = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), name: values.ravel()})
    return Drawn(kind="squares", series="", rows=rows, shape=(values.shape[0], values.shape[1]))


def _value_name(artist: AxesImage | QuadMesh) -> str:
    bar = artist.colorbar
    label = (bar.ax.get_ylabel() or bar.ax.get_xlabel()) if bar is not None else ""
    return name_of(artist) or label or "value"


def _joined(band: Drawn, found: list[Drawn]) -> Drawn | None:
    """Give intervals to the first marks that they hold; what is left over, or None.

    Bars come before marks: a bar's interval may reach over a mark that has none of its own.
    """
    place, value = ("x", "y") if band.upright else ("y", "x")
    left = band.rows.copy()
    for each in sorted(found, key=lambda one: one.kind != "bars"):
        if each.kind not in ("bars", "line", "points") or "low" in each.rows or left.empty:
            continue
        if band.series and each.series and band.series != each.series:
            continue
        matches: dict[Any, Any] = {}
        for index, at, mark in each.rows[[place, value]].itertuples():
            near = left[np.isclose(left[place], at) & ~left.index.isin(matches.values())]
            holds = (near["low"] - 1e-9 <= mark) & (mark <= near["high"] + 1e-9)
            if holds.any():
                matches[index] = near.index[holds][0]
        if matches and (each.kind != "line" or len(matches) == len(each.rows)):
            for name in ("low", "high"):
                ends = pd.Series({i: left.loc[j, name] for i, j in matches.items()})
                each.rows[name] = ends.reindex(each.rows.index)
            left = left.drop(index=list(matches.values()))
    return None if left.empty else replace(band, rows=left)


def _parts(ax: Axes) -> list[Drawn]:
    """Boxes of a diagram, each with the texts inside it: what it is, its shape, a remark."""
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    inside: dict[int, list[Text]] = {}
    for text in ax.texts:
        around = [
            place
            for place, box in enumerate(boxes)
            if box.get_bbox().contains(*text.get_position())
        ]
        if around:
            smallest = min(around, key=lambda place: _area(boxes[place]))
            inside.setdefault(smallest, []).append(text)
    rows = []
    for place in sorted(inside):
        texts = inside[place]
        rows.append(
            {
                "part": _words(t for t in texts if _role(t) == "part"),
                "shape": _words(t for t in texts if _role(t) == "shape"),
                "remark": _words(t for t in texts if _role(t) == "remark"),
            }
        )
    return [Drawn(kind="part", series="", rows=pd.DataFrame(rows))] if rows else []


def _role(text: Text) -> str:
    if text.get_fontfamily() == ["monospace"]:
        return "shape"
    return "remark" if text.get_fontstyle() == "italic" else "part"


def _words(texts: Iterable[Text]) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in texts)


def _area(patch: FancyBboxPatch) -> float:
    return float(patch.get_width() * patch.get_height())
