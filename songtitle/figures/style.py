"""The house style of figures, what several of them draw with, and what a notebook keeps of them."""

import base64
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from songtitle.errors import InputError
from songtitle.figures.findings import alt_of, csv_of

ALT, CSV = "application/vnd.songtitle.alt", "text/csv"  # beside the picture in a notebook's output

COLOURS = sns.color_palette("colorblind")
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*", "<", ">"]
DASHES = ["-", (0, (7, 1.5)), "-.", (0, (9, 2, 2, 2, 2, 2)), (0, (2, 1)), (0, (12, 2))]
GREY = "0.45"
ON_A_PICTURE = "on-a-picture"  # id of text whose ground stays as it is on a dark page
DENSE = 500  # marks: more are drawn as pixels, so that a page stays small

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
_INDENT = re.compile(r"\n\s+")


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
    keep_in_notebooks()


def keep_in_notebooks() -> None:
    """Have a notebook show figures as SVG, with CSV and alt text beside them; else do nothing."""
    from IPython.core.getipython import get_ipython  # a script need not pay for it

    shell: Any = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    # Imported first: on import it sets formats of its own.
    import matplotlib_inline.backend_inline  # noqa: F401
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
    svg = _GLYPH.sub(lambda found: f'<path id="{names[found[1]]}" d="{found[2]}"', svg)
    svg = _LETTER.sub(lambda found: _letter(found, names), svg)
    svg = _NAMED.sub(lambda found: f'xlink:href="#{names.get(found[1], found[1])}"', svg)
    svg = _PNG.sub(lambda found: f"data:image/png;base64,{_png(found[1])}", svg)
    return _INDENT.sub("\n", svg)


def _letter(found: re.Match[str], names: dict[str, str]) -> str:
    """Write one letter of a text, its place to a tenth of a hundredth of the size of type."""
    name, x, y = found.groups()
    if name not in names:
        return found[0]
    place = "".join(
        f' {axis}="{float(value):.1f}"'.replace(".0", "")
        for axis, value in (("x", x), ("y", y))
        if float(value)
    )
    return f'<use xlink:href="#{names[name]}"{place}/>'


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


# --- what figures are drawn from


def require(frame: pd.DataFrame, columns: list[str], about: str) -> None:
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


def mark(place: int) -> dict[str, Any]:
    """Give colour and marker of the series at `place`: told apart by either."""
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}


def line_style(place: int) -> dict[str, Any]:
    """Give colour, marker and dashes of the curve at `place`: told apart by any of the three."""
    return mark(place) | {"linestyle": DASHES[place % len(DASHES)], "markersize": 6, "lw": 1.7}


def series(
    drawn: pd.DataFrame, of: str, at: str
) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Yield name, rows in order of `at`, and line style of every series of a frame."""
    for place, (name, rows) in enumerate(drawn.groupby(of, sort=False)):
        yield str(name), rows.sort_values(at), line_style(place)


def reach(value: Any, low: Any, high: Any) -> np.ndarray:
    """Give how far an interval reaches to both sides of its value, as error bars take it."""
    # Rounding can leave an end a hair inside the value, and an exact expectation needs no interval.
    return np.maximum([value - low, high - value], 0)


def name_rows(ax: Axes, names: Sequence[str], xlabel: str, **text: Any) -> None:
    """Give each name a row of the axis, the first at the top."""
    ax.set_yticks(range(len(names)), names, parse_math=False, **text)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel=xlabel, ylabel="")
    ax.grid(visible=False, axis="y")


def legend_below(
    ax: Axes, curves: Axes | None = None, *, drop: float = 0.16, ncols: int = 3
) -> None:
    """Put a legend under the frame, of its own curves or those of another axis; chance comes last.

    Six curves leave no free corner within the frame. `drop` is in heights of the axis.
    """
    labelled = list(zip(*(curves or ax).get_legend_handles_labels(), strict=True))
    labelled.sort(key=lambda pair: pair[1] == CHANCE)
    ax.legend(
        *zip(*labelled, strict=True),
        loc="upper center",
        bbox_to_anchor=(0.5, -drop),
        ncols=ncols,
        frameon=False,
    )
