"""Colours, markers and axes of the house."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from songtitle.errors import InputError
from songtitle.figures.inline import keep_in_notebooks

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
