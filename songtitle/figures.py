"""Figures: the house style, what several of them draw with, and what they hand on.

A figure function takes data and an axis, draws, and ends in `hand_on(ax, frame, finding)`: the
table (CSV) and the alt text of a figure come from the data, never from the ink.
"""

import base64
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, SupportsFloat
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation
from PIL import Image

from songtitle.errors import InputError
from songtitle.fmt import called

ALT, CSV = "application/vnd.songtitle.alt", "text/csv"  # beside the picture in a notebook's output

COLOURS = sns.color_palette("colorblind")
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*", "<", ">"]
DASHES = ["-", (0, (7, 1.5)), "-.", (0, (9, 2, 2, 2, 2, 2)), (0, (2, 1)), (0, (12, 2))]
GREY = "0.45"
ON_A_PICTURE = "on-a-picture"  # id of text whose ground stays as it is on a dark page
DENSE = 500  # marks: more are drawn as pixels, so that a page stays small
PLAIN = FuncFormatter(lambda value, _: f"{value:,.7g}")  # 0.02 and 2,000, no powers of ten

BLEU, CHANCE = "BLEU-1 (percent points)", "chance, same colour"
ENDS = {"low": "low", "high": "high"}
SCORED = {"score": BLEU} | ENDS | {"chance": "chance (percent points)"}

# No date here, and `svg.hashsalt` in the house style: the same figure is the same bytes. `dpi` is
# that of rasterised marks and pictures inside the SVG.
PRINT: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Date": None}, "dpi": 120}

_PNG = re.compile(r"data:image/png;base64,([^\"]+)")
_GLYPH = re.compile(r'<path id="([^"]+-[0-9a-f]+)" d="([^"]*)"')
_LETTER = re.compile(r'<use xlink:href="#([^"]+)" transform="translate\(([^ )]+) ([^)]+)\)"/>')
_NAMED = re.compile(r'xlink:href="#([^"]+-[0-9a-f]+)"')
_NOT_DRAWN = re.compile(r"\s*(<metadata>.*?</metadata>|<!--.*?-->)", re.DOTALL)
# What a spreadsheet would carry out; the wide signs and the semicolon are for some languages.
_FORMULA = re.compile("(^|; ?)(?=[=+\\-@＝＋－＠])")


# --- the house style, and figures in notebooks


def use_house_style() -> None:
    """Set readable sizes on a white ground, so that a figure also reads on a dark page.

    In a notebook figures are shown as SVG, with their numbers (CSV) and in words beside them.
    """
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        font="DejaVu Sans",  # comes with matplotlib: the same figure on every machine
        rc={
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.figsize": (7.0, 4.2),
            "figure.dpi": 110,
            "axes.titlesize": 12,
            "axes.labelsize": 11,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 9,
            "grid.color": "0.9",
            "axes.edgecolor": "0.4",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "songtitle",  # the same ids each time
            "svg.fonttype": "path",  # the same letters on every machine
        },
    )
    from IPython.core.getipython import get_ipython  # a script need not pay for it

    shell: Any = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    # Imported first: on import it sets formats of its own.
    from matplotlib_inline.config import InlineBackend

    backend = InlineBackend.instance(parent=shell)
    backend.shell = shell
    # Both are traits: a later activation of the backend reads them, too.
    backend.print_figure_kwargs = dict(PRINT)
    backend.figure_formats = {"svg"}
    backend._update_figure_formatters()  # also where both were set already
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, svg_of)
    add_formatters(shell.display_formatter)


def add_formatters(display: Any) -> None:
    """Give an IPython display formatter a figure's CSV and alt text."""

    def beside(figure: Figure) -> dict[str, str]:
        try:
            return {CSV: csv_of(figure), ALT: alt_of(figure)}
        except InputError:  # a reader's own figure, which hands nothing on
            return {}

    display.mimebundle_formatter.for_type(Figure, beside)


def svg_of(figure: Figure) -> str:
    """Write a figure as SVG in which letters are drawn as paths: no reader needs its fonts."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", **PRINT)
    return small(buffer.getvalue())


def small(svg: str) -> str:
    """Write the same picture in about half the bytes that matplotlib takes."""
    svg = _NOT_DRAWN.sub("", svg)
    names = {name: f"g{place}" for place, (name, _) in enumerate(_GLYPH.findall(svg))}

    def letter(found: re.Match[str]) -> str:
        """Write one letter of a text, its place to a tenth of a hundredth of the size of type."""
        if found[1] not in names:
            return found[0]
        places = [(axis, float(at)) for axis, at in zip("xy", found.groups()[1:], strict=True)]
        place = "".join(f' {axis}="{at:.1f}"'.replace(".0", "") for axis, at in places if at)
        return f'<use xlink:href="#{names[found[1]]}"{place}/>'

    svg = _GLYPH.sub(lambda found: f'<path id="{names[found[1]]}" d="{found[2]}"', svg)
    svg = _LETTER.sub(letter, svg)
    svg = _NAMED.sub(lambda found: f'xlink:href="#{names.get(found[1], found[1])}"', svg)
    svg = _PNG.sub(lambda found: f"data:image/png;base64,{_png(found[1])}", svg)
    return re.sub(r"\n\s+", "\n", svg)


def _png(code: str) -> str:
    """Keep the pixels: without alpha where all are opaque, by palette where colours are few."""
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
        if image.getcolors(256):
            image = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


# --- what a figure hands on


# Of an axis: a frame and a finding for each thing drawn on it, and its name where it has no title.
Handed = tuple[list[pd.DataFrame], list[str], str]
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
    frames, findings, named = _HANDED.get(ax, ([], [], ""))
    frame = frame.copy()
    for column in frame.select_dtypes(["object", "string"]):
        frame[column] = frame[column].map(_called)
    _HANDED[ax] = [*frames, frame], [*findings, one_line(called(finding))], panel or named
    return ax


def _called(value: Any) -> Any:
    return called(value) if isinstance(value, str) else value


def data_of(figure: Figure | SubFigure) -> pd.DataFrame:
    """Give all frames of a figure, one below the other, with a column `panel` where several.

    Raises `InputError` for an axis that draws something and hands on nothing.
    """
    panels = _panels(figure)
    frames = [frame.astype(object) for _, (drawn, *_) in panels for frame in drawn]
    if len(panels) > 1:
        names = [name for name, (drawn, *_) in panels for _ in drawn]
        for name, frame in zip(names, frames, strict=True):
            frame.insert(0, "panel", name)
    whole = pd.concat(frames, ignore_index=True).dropna(axis="columns", how="all")
    return whole.where(whole.notna(), None)


def csv_of(figure: Figure | SubFigure) -> str:
    """Write `data_of` as comma-separated text, five digits a number, safe in a spreadsheet."""
    frame = data_of(figure).rename(columns=_cell).map(_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def alt_of(figure: Figure | SubFigure) -> str:
    """Give the findings of a figure in whole sentences, each after the name of its panel.

    Raises `InputError` for an axis that draws something and hands on nothing.
    """
    panels = _panels(figure)
    texts = [f"{name}: " * (len(panels) > 1) + "; ".join(found) for name, (_, found, _) in panels]
    ended = (text if text.endswith((".", "!", "?")) else f"{text}." for text in texts)
    return " ".join(text[:1].upper() + text[1:] for text in ended)


def _panels(figure: Figure | SubFigure) -> list[tuple[str, Handed]]:
    """Give name and content of each axis that hands something on; no two names are the same."""
    found: dict[str, Handed] = {}
    for place, ax in enumerate(_handed_on(figure.axes), start=1):
        name = _HANDED[ax][2] or _title(ax) or f"panel {place}"
        found[f"{name} ({place})" if name in found else name] = _HANDED[ax]
    if not found:
        msg = "figure: expected something drawn, got nothing; draw it and call "
        raise InputError(msg + "figures.hand_on(ax, frame, finding)")
    return list(found.items())


def _handed_on(axes: Iterable[Any], *, told: bool = False) -> Iterator[Axes]:
    """Yield axes that hand something on; those within an axis may leave it to that axis."""
    for ax in axes:
        if ax.get_label() == "<colorbar>" or not ax.get_visible():
            continue
        if ax in _HANDED:
            yield ax
        elif ax.has_data() and not told:
            msg = f"axis {_title(ax)!r}: expected its numbers and its finding, got ink alone; call "
            raise InputError(msg + "figures.hand_on(ax, frame, finding)")
        yield from _handed_on(ax.child_axes, told=told or ax in _HANDED)


def _title(ax: Axes) -> str:
    titles = (ax.get_title(place) for place in ("center", "left", "right"))
    return one_line(next(filter(None, titles), ""))


def _cell(value: Any) -> str:
    """Write a cell: whole numbers whole; text on one line that no spreadsheet takes for a formula,
    for a new line would be a new row."""
    if isinstance(value, float | np.floating):
        number = float(value)
        whole = number.is_integer() and abs(number) < 1e15
        return f"{number:.0f}" if whole else f"{number:.5g}"
    if isinstance(value, str):
        return _FORMULA.sub(r"\1'", one_line(value))
    return "" if value is None else str(value)


# --- findings in words


def one_line(text: str) -> str:
    """Write text without line ends and needless blanks."""
    return " ".join(text.split())


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
    if size >= 1e9 or 0 < size < 0.001:
        text = f"{value:.2e}"
    else:
        text = f"{value:,.0f}" if size >= 100 or value == round(value) else f"{value:.3g}"
    unit = split_unit(label)[1].split(",")[0]  # "dB, 0 at the peak"
    if unit.endswith("s") and len(unit) > 3 and value == 1:
        unit = unit[:-1]
    return f"{text.replace('-', '−', 1) if value < 0 else text} {unit}".strip()


def some(parts: Sequence[str], most: int = 6) -> str:
    """Write "a, b and c"; of more than `most` things the first ones and how many others."""
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} others"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def extremes(frame: pd.DataFrame, value: str, *, at: str, of: str = "", where: str = "") -> str:
    """Say where the column `value` is highest and lowest, and how each series goes.

    `at` is the column of places, `of` that of the series, if there are any. A number of `at` is
    told as `where` says, such as "with {} words", or after the column's name. A frame with `low`
    and `high` also gives the intervals. Of more than three series it counts those that rise.
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
            text + " " + (f"at {place}" if isinstance(place, str) else where.format(amount(place)))
        )

    top, low = (rows.loc[rows[value].agg(find)] for find in ("idxmax", "idxmin"))
    if top[value] == low[value]:
        return f"{name}: {amount(top[value], value)}" + (" throughout" if len(rows) > 1 else "")
    said = f"highest {name}: {spot(top, value)}; lowest: {spot(low)}"
    ordered = rows.sort_values(at).groupby(of, sort=False)[value] if of else ()
    ends = {name: (each.iloc[0], each.iloc[-1]) for name, each in ordered if len(each) > 1}
    if len(ends) > 3:
        rising = sum(last > first for first, last in ends.values())
        return f"{said}; {rising} of {len(ends)} lines end higher than they begin"
    goes = [f"{name} from {amount(a)} to {amount(b)}" for name, (a, b) in ends.items()]
    return "; ".join([said, *([some(goes)] if goes else [])])


# --- what figures are drawn from


def require(frame: pd.DataFrame, columns: Sequence[str], about: str) -> None:
    """Refuse a frame that lacks rows or columns."""
    missing = [column for column in columns if column not in frame]
    if missing or frame.empty:
        came = f"no {', '.join(missing)}" if missing else "no rows"
        msg = f"{about}: expected rows with columns {', '.join(columns)}, got {came}"
        raise InputError(msg)


def require_some(parts: Sequence[object], about: str) -> None:
    """Refuse a diagram without parts."""
    if not parts:
        msg = f"{about}: expected at least one part to draw, got none"
        raise InputError(msg)


def tidy(
    about: str, frame: pd.DataFrame, names: Mapping[str, str], percent: Collection[str] = ()
) -> pd.DataFrame:
    """Give the columns in `names` under their new names; those in `percent` from shares to percent.

    Raises InputError, naming what the frame is `about`, where it lacks rows or columns.
    """
    require(frame, list(names), about)
    shares = {name: 100 * frame[name].astype(float) for name in percent}
    return frame[list(names)].assign(**shares).rename(columns=names)


def own_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """Give the axis given, or that of a new figure."""
    if ax is not None:
        return ax
    figure = plt.figure(figsize=size)
    return figure.add_axes((0, 0, 1, 1)) if size else figure.add_subplot()


def bare(ax: Axes) -> Axes:
    """Make an axis hold nothing of its own: no ticks, no grid, no frame."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def mark(place: int) -> dict[str, Any]:
    """Give colour and marker of the series at `place`: told apart by either."""
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}


def line_style(place: int) -> dict[str, Any]:
    """Give colour, marker and dashes of the curve at `place`: told apart by any of the three."""
    return mark(place) | {"linestyle": DASHES[place % len(DASHES)], "markersize": 6, "lw": 1.7}


def reach(rows: Any, value: str) -> np.ndarray:
    """Give how far the interval `low` to `high` reaches to both sides, as error bars take it."""
    # Rounding can leave an end a hair inside the value, and an exact expectation needs no interval.
    return np.maximum([rows[value] - rows["low"], rows["high"] - rows[value]], 0)


def curves(
    ax: Axes,
    drawn: pd.DataFrame,
    value: str,
    *,
    at: str,
    of: str,
    where: str = "",
    band: bool = False,
) -> str:
    """Draw a line of `value` for each series `of`, by `at`, with a legend below; give a finding.

    Where `drawn` has `low` and `high` there are error bars, side by side so that they can be told
    apart, or a shaded `band`; where it has chance, it is dashed in the same colour. `where` is as
    in `extremes`.
    """
    middle, chance = (drawn[of].nunique() - 1) / 2, SCORED["chance"]
    for place, (name, found) in enumerate(drawn.groupby(of, sort=False)):
        rows, style = found.sort_values(at), line_style(place) | {"label": _called(name)}
        if band or "low" not in drawn:
            ax.plot(rows[at], rows[value], **style)
        else:
            bars = ax.errorbar(rows[at], rows[value], reach(rows, value), capsize=2.5, **style)
            aside = ScaledTranslation(2.4 * (place - middle) / 72, 0, ax.figure.dpi_scale_trans)
            line, caps, reaches = bars.lines
            for artist in (line, *caps, *reaches):  # on the page: the data keep their place
                artist.set_transform(ax.transData + aside)
        if band:
            look = {"color": style["color"], "alpha": 0.15, "lw": 0}
            ax.fill_between(rows[at], rows["low"], rows["high"], **look)
        if chance in drawn:
            ax.plot(rows[at], rows[chance], "--", color=style["color"], lw=1.2)
    if chance in drawn:
        ax.plot([], [], "--", color=GREY, lw=1.2, label=CHANCE)
    ax.set_xticks(sorted(set(drawn[at])))
    ax.set(xlabel=at, ylabel=value)
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    legend_below(ax)
    return extremes(drawn, value, at=at, of=of, where=where)


def count_along(ax: Axes) -> None:
    """Have the axis along the foot count in few whole numbers, such as 200,000."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter(PLAIN)


def name_rows(ax: Axes, names: Sequence[str], xlabel: str, **text: Any) -> None:
    """Give each name a row of the axis, the first at the top."""
    ax.set_yticks(range(len(names)), list(map(called, names)), parse_math=False, **text)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel=xlabel, ylabel="")
    ax.grid(visible=False, axis="y")


def legend_below(
    ax: Axes, drawn_on: Axes | None = None, *, drop: float = 0.16, ncols: int | None = None
) -> None:
    """Put a legend under the frame, of its own curves or those of another axis; chance comes last.

    Six curves leave no free corner within the frame. `drop` is in heights of the axis. In three
    columns, unless said; in two where the axis has a neighbour, whose legend they would run into.
    """
    ncols = ncols or (3 if ax.get_position().width > 0.5 else 2)
    labelled = list(zip(*(drawn_on or ax).get_legend_handles_labels(), strict=True))
    labelled.sort(key=lambda pair: pair[1] == CHANCE)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -drop)}
    ax.legend(*zip(*labelled, strict=True), ncols=ncols, frameon=False, **place)
