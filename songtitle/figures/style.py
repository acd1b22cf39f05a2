"""What a notebook keeps of a figure: the same SVG each time, its numbers, and it in words."""

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from songtitle.errors import InputError
from songtitle.figures.findings import alt_of, csv_of

# No date here, and `svg.hashsalt` in the house style: the same figure is the same bytes. `dpi` is
# that of rasterised marks and pictures inside the SVG.
PRINT: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Date": None}, "dpi": 120}


_PNG = re.compile(r"data:image/png;base64,([^\"]+)")


_GLYPH = re.compile(r'<path id="([^"]+-[0-9a-f]+)" d="([^"]*)"')


_LETTER = re.compile(r'<use xlink:href="#([^"]+)" transform="translate\(([^ )]+) ([^)]+)\)"/>')


_NAMED = re.compile(r'xlink:href="#([^"]+-[0-9a-f]+)"')


_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)


_INDENT = re.compile(r"\n\s+")


def svg_of(figure: Figure) -> str:
    """The figure as SVG in which letters are drawn as paths: no reader needs its fonts."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", **PRINT)
    return small(buffer.getvalue())


def small(svg: str) -> str:
    """The same picture in fewer bytes: about half of those that matplotlib writes."""
    svg = _COMMENT.sub("", _METADATA.sub("", svg))
    names = {name: f"g{place}" for place, (name, _) in enumerate(_GLYPH.findall(svg))}
    svg = _GLYPH.sub(lambda found: f'<path id="{names[found[1]]}" d="{found[2]}"', svg)
    svg = _LETTER.sub(lambda found: _letter(found, names), svg)
    svg = _NAMED.sub(lambda found: f'xlink:href="#{names.get(found[1], found[1])}"', svg)
    svg = _PNG.sub(lambda found: f"data:image/png;base64,{_png(found[1])}", svg)
    return _INDENT.sub("\n", svg)


def _letter(found: re.Match[str], names: dict[str, str]) -> str:
    """One letter of a text, its place to a tenth of a hundredth of the size of type."""
    name, x, y = found[1], found[2], found[3]
    if name not in names:
        return found[0]
    place = "".join(
        f' {axis}="{float(value):.1f}"'.replace(".0", "")
        for axis, value in (("x", x), ("y", y))
        if float(value)
    )
    return f'<use xlink:href="#{names[name]}"{place}/>'


def _png(code: str) -> str:
    """The same pixels: without alpha where all are opaque, by palette where colours are few."""
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
        if image.getcolors(256):
            image = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


ALT = "application/vnd.songtitle.alt"  # travels beside the picture in a notebook's output


CSV = "text/csv"


def keep_in_notebooks() -> None:
    """Have a notebook show figures as SVG, with CSV and alt text beside them; else nothing."""
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
    display.mimebundle_formatter.for_type(Figure, _beside)


def _beside(figure: Figure) -> dict[str, str]:
    """Numbers and words; of a reader's own figure, which hands nothing on, neither."""
    try:
        return {CSV: csv_of(figure), ALT: alt_of(figure)}
    except InputError:
        return {}


COLOURS = sns.color_palette("colorblind")


MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*", "<", ">"]


GREY = "0.45"


ON_A_PICTURE = "on-a-picture"  # id of text whose ground stays as it is on a dark page


DENSE = 500  # marks: more are drawn as pixels, so that a page stays small


def use_house_style() -> None:
    """Readable sizes on a white ground, so that a figure also reads on a dark page.

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


def own_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """The axis given, or that of a new figure."""
    if ax is not None:
        return ax
    figure = plt.figure(figsize=size)
    return figure.add_axes((0, 0, 1, 1)) if size else figure.add_subplot()


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
