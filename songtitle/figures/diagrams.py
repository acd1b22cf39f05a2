"""Diagrams of boxes and arrows: how parts lie in rows, and how they are joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from songtitle.figures.findings import hand_on
from songtitle.figures.style import own_axes, require_some

# A diagram's axis is measured in points from its lower left corner, as type is: whether a text
# fits its box is then plain arithmetic.

GAP = 20.0  # points between boxes, room for an arrow


ROW_GAP = 26.0  # points between rows of boxes


BAND = 34.0  # points that a band's heading and margins take


PAD = 5.0  # points between a text and the edge of its box


BREAK_BELOW = 7.0  # points: better a broken word than type too small to read


INK, EDGE = "0.12", "0.35"


BLUE, ORANGE, GREEN = "#dcebf7", "#fdebd2", "#dbf0e4"


@dataclass(frozen=True)
class Box:
    """One stage of a model: what it is, the shape it hands on, and a remark."""

    title: str
    shape: str
    note: str = ""


@dataclass(frozen=True)
class _Area:
    """A rectangle, in points."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def top(self) -> float:
        return self.y + self.height


def draw_pipeline(stages: Sequence[Box], ax: Axes | None = None) -> Axes:
    """Stages from left to right joined by arrows, on as many rows as they need.

    Text is set smaller until the fullest box holds it, never beyond an edge.
    """
    require_some(stages, "pipeline")
    ax = own_axes(ax, (8.0, (4 + _flow_height(stages)) / 72))
    _flow(ax, stages, _page(ax))
    return hand_on(ax, _frame(stages=stages), in_order(stages))


def draw_captioner(
    encoder: Sequence[Box],
    words: Sequence[str],
    ax: Axes | None = None,
    *,
    decoder: Box = Box("LSTM", ""),
) -> Axes:
    """An encoder feeding a decoder unrolled over time (Figs. 1, 3 and 4).

    The encoder stands at the left, top to bottom; what it hands on enters `decoder` at t = -1,
    then come the begin mark and `words`, each step giving the word after. Of more than five
    words the middle is left out.
    """
    require_some(encoder, "encoder")
    require_some(words, "caption")
    ax = own_axes(ax, (8.0, max(3.6, 0.35 + 0.88 * len(encoder))))
    page = _page(ax)
    left = _Area(0.0, 0.0, 0.27 * page.width, page.height)
    right = _Area(left.right + GAP, 0.0, page.width - left.right - GAP, page.height)
    column = _band(ax, left, "encoder")
    about = f"decoder ({decoder.note})" if decoder.note else "decoder"
    steps = _band(ax, right, f"{about}, one network unrolled over time")

    height = (column.height - GAP * (len(encoder) - 1)) / len(encoder)
    stack = [
        _Area(column.x, column.top - height - i * (height + GAP), column.width, height)
        for i in range(len(encoder))
    ]
    _boxes(ax, encoder, stack, BLUE)
    for above, below in pairwise(stack):
        _arrow(ax, (above.centre[0], above.y), (below.centre[0], below.top))

    shown = list(words) if len(words) <= 5 else [*words[:3], "…", words[-1]]
    times = ["−1", *(str(t) for t in range(len(shown) + 1))]
    times[-2:] = [str(len(words) - 1), str(len(words))]
    pitch = steps.width / (len(shown) + 2)
    wide, line = pitch - min(12.0, 0.2 * pitch), 15.0
    tall = (steps.height - line - 2 * GAP) / 3
    small = min(tall, 34.0)
    cell_y = steps.y + line + (steps.height - line) / 2 - min(tall, 54.0) / 2

    def at(step: int, y: float, height: float) -> _Area:
        return _Area(steps.x + (step + 0.5) * pitch - wide / 2, y, wide, height)

    cells = [at(i, cell_y, min(tall, 54.0)) for i in range(len(shown) + 2)]
    inputs = [at(i, steps.y + line, small) for i in range(1, len(shown) + 2)]
    outputs = [at(i, steps.top - small, small) for i in range(1, len(shown) + 2)]
    _boxes(ax, [Box(decoder.title, decoder.shape)] * len(cells), cells, ORANGE)
    tokens = [Box(word, "") for word in ["<bos>", *shown, "<eos>"]]
    _boxes(ax, [*tokens[:-1], *tokens[1:]], [*inputs, *outputs], GREEN)
    for cell, below, above in zip(cells[1:], inputs, outputs, strict=True):
        _arrow(ax, (below.centre[0], below.top), (cell.centre[0], cell.y))
        _arrow(ax, (cell.centre[0], cell.top), (above.centre[0], above.y))
    for one, next_ in pairwise(cells):
        _arrow(ax, (one.right, one.centre[1]), (next_.x, next_.centre[1]))
    for cell, time in zip(cells, times, strict=True):
        ax.text(cell.centre[0], steps.y + 4, f"t = {time}", size=8, color=EDGE, ha="center")

    last, first = stack[-1], cells[0]
    entry = min(max(inputs[0].centre[1], last.y + PAD), last.top - PAD)
    _arrow(ax, (last.right, entry), (first.centre[0], entry), (first.centre[0], first.y))
    return hand_on(
        ax,
        _frame(encoder=encoder, decoder=[decoder], words=[Box(word, "") for word in words]),
        f"encoder: {in_order(encoder)}; decoder: {in_order([decoder])}, which reads "
        f"<bos> {' '.join(words)} and gives {' '.join(words)} <eos>",
    )


def draw_two_steps(
    source: Sequence[Box],
    target: Sequence[Box],
    ax: Axes | None = None,
    *,
    headings: tuple[str, str] = (
        "Step 1: learn to describe pictures",
        "Step 2: name songs with what was learnt",
    ),
    link: str = "the same weights",
) -> Axes:
    """Two pipelines, one above the other: what is trained, and what it is then used for (Fig. 2).

    The arrow between them carries `link`.
    """
    require_some(source, "source pipeline")
    require_some(target, "target pipeline")
    heights = [_flow_height(stages) + BAND for stages in (source, target)]
    between = 32.0
    ax = own_axes(ax, (8.0, (4 + sum(heights) + between) / 72))
    page = _page(ax)
    foot = (page.height - between) * heights[1] / sum(heights)
    lower = _Area(0.0, 0.0, page.width, foot)
    upper = _Area(0.0, foot + between, page.width, page.height - foot - between)
    for area, heading, stages, colour in [
        (upper, headings[0], source, BLUE),
        (lower, headings[1], target, ORANGE),
    ]:
        _flow(ax, stages, _band(ax, area, heading), colour)
    middle = page.width / 2
    _arrow(ax, (middle, upper.y), (middle, lower.top), lw=2.4)
    ax.text(
        middle + 12, foot + between / 2, link, size=9.5, color=INK, va="center", parse_math=False
    )
    return hand_on(
        ax,
        _frame(**{headings[0]: source, headings[1]: target}),
        f"{headings[0]}: {in_order(source)}. {headings[1]}, with {link}: {in_order(target)}",
    )


def in_order(stages: Sequence[Box]) -> str:
    """Stages in words: "Picture (3 × 256 × 256), then Linear (512)"."""
    return ", then ".join(f"{b.title} ({b.shape})" if b.shape else b.title for b in stages)


def _frame(**groups: Sequence[Box]) -> pd.DataFrame:
    """One row a box, in order: the group that it stands in, its texts."""
    rows = [(group, b.title, b.shape, b.note) for group, boxes in groups.items() for b in boxes]
    return pd.DataFrame(rows, columns=["group", "part", "shape", "remark"]).replace("", None)


def _flow(ax: Axes, stages: Sequence[Box], area: _Area, colour: str = BLUE) -> None:
    """Boxes of one size in reading order, at most five a row, joined by arrows."""
    rows = _rows(stages)
    columns = -(-len(stages) // rows)
    width = (area.width - GAP * (columns - 1)) / columns
    height = (area.height - ROW_GAP * (rows - 1)) / rows
    places = [
        _Area(
            area.x + (i % columns) * (width + GAP),
            area.top - height - (i // columns) * (height + ROW_GAP),
            width,
            height,
        )
        for i in range(len(stages))
    ]
    _boxes(ax, stages, places, colour)
    for one, next_ in pairwise(places):
        if one.y == next_.y:
            _arrow(ax, (one.right, one.centre[1]), (next_.x, next_.centre[1]))
        else:
            turn = one.y - ROW_GAP / 2
            start, end = (one.centre[0], one.y), (next_.centre[0], next_.top)
            _arrow(ax, start, (start[0], turn), (end[0], turn), end)


def _rows(stages: Sequence[Box]) -> int:
    return -(-len(stages) // 5)


def _flow_height(stages: Sequence[Box]) -> float:
    """Points that a flow likes to have: a box holds six lines of text."""
    return 76 * _rows(stages) + ROW_GAP * (_rows(stages) - 1)


def _boxes(ax: Axes, boxes: Sequence[Box], places: Sequence[_Area], colour: str) -> None:
    """Boxes with their texts, in one size as far as that stays readable, smaller where it must."""
    scales = [_scale(box, place) for box, place in zip(boxes, places, strict=True)]
    common = max(0.8, min(scales))  # one very long word must not make all others tiny
    for box, place, own in zip(boxes, places, scales, strict=True):
        scale = min(common, own)
        ax.add_patch(_rounded(place, 4.0, facecolor=colour, edgecolor=EDGE, linewidth=1.1))
        parts = _parts(box, place.width - 2 * PAD, scale)
        y = place.centre[1] + sum(height for *_, height in parts) / 2
        for lines, font, ink, height in parts:
            ax.text(
                place.centre[0],
                y - height / 2,
                "\n".join(lines),
                fontproperties=font,
                color=ink,
                ha="center",
                va="center",
                parse_math=False,
            )
            y -= height


def _scale(box: Box, place: _Area) -> float:
    """The largest scale, 1 or less, at which the texts of a box stay inside it."""
    width, scale = place.width - 2 * PAD, 1.0
    while scale > 0.1:
        parts = _parts(box, width, scale)
        if sum(height for *_, height in parts) <= place.height - PAD and all(
            _width(line, font) <= width for lines, font, *_ in parts for line in lines
        ):
            break
        scale *= 0.96
    return scale


def _parts(
    box: Box, width: float, scale: float
) -> list[tuple[list[str], FontProperties, str, float]]:
    """Lines, font, colour and height in points of each text of a box that has one."""
    fonts = [
        (box.title, FontProperties(weight="bold", size=10 * scale), INK),
        (box.shape, FontProperties(family="monospace", size=9 * scale), INK),
        (box.note, FontProperties(style="italic", size=8.5 * scale), "0.3"),
    ]
    parts = []
    for text, font, ink in fonts:
        if text:
            lines = _wrap(text, font, width)
            parts.append((lines, font, ink, 1.3 * font.get_size_in_points() * len(lines)))
    return parts


def _wrap(text: str, font: FontProperties, width: float) -> list[str]:
    """Lines no wider than `width` where words allow it; small type breaks words as well."""
    words = text.split()
    if font.get_size_in_points() < BREAK_BELOW:
        words = [piece for word in words for piece in _pieces(word, font, width)]
    lines: list[str] = []
    for word in words:
        if lines and _width(f"{lines[-1]} {word}", font) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _pieces(word: str, font: FontProperties, width: float) -> list[str]:
    if _width(word, font) <= width:
        return [word]
    cut = len(word) - 1
    while cut > 2 and _width(f"{word[:cut]}-", font) > width:
        cut -= 1
    return [f"{word[:cut]}-", *_pieces(word[cut:], font, width)] if cut > 2 else [word]


def _width(line: str, font: FontProperties) -> float:
    # Pixel displays round each letter up to whole pixels: about 6 % more at small sizes.
    return 1.07 * text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]


def _band(ax: Axes, area: _Area, heading: str) -> _Area:
    """A pale ground under a heading; gives the room that is left inside."""
    ax.add_patch(_rounded(area, 6.0, facecolor="0.965", edgecolor="0.8", linewidth=0.8))
    ax.text(area.x + 9, area.top - 7, heading, size=9.5, color=INK, va="top", parse_math=False)
    return _Area(area.x + 9, area.y + 9, area.width - 18, area.height - BAND)


def _rounded(area: _Area, radius: float, **look: Any) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch((area.x, area.y), area.width, area.height, boxstyle=style, **look)


def _arrow(ax: Axes, *corners: tuple[float, float], lw: float = 1.3) -> None:
    ax.add_patch(
        FancyArrowPatch(
            path=Path(corners),
            arrowstyle="-|>",
            mutation_scale=7 * lw,
            lw=lw,
            color=EDGE,
            fill=False,
            joinstyle="round",
        )
    )


def _page(ax: Axes) -> _Area:
    """Measure the axis in points and hide its frame; gives the room within."""
    box = ax.get_window_extent()
    width, height = (72 * side / ax.figure.dpi for side in (box.width, box.height))
    ax.set(xlim=(-2, width - 2), ylim=(-2, height - 2))
    ax.axis("off")
    return _Area(0.0, 0.0, width - 4, height - 4)
