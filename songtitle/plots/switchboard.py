"""Tornado plots: how far each of many changes moves one number, the furthest on top."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, GREY, own_axes, require
from songtitle.plots.wording import amount, one_line

BAR = 0.62  # of the height of a row

CLEAR: dict[str, Any] = {"facecolor": COLOURS[0], "edgecolor": COLOURS[0], "linewidth": 0.9}
UNCLEAR: dict[str, Any] = CLEAR | {"facecolor": "white", "hatch": "////"}
GAIN: dict[str, Any] = {
    "marker": "D",
    "s": 22,
    "facecolor": COLOURS[1],
    "edgecolor": "black",
    "linewidth": 0.6,
}
UNTOUCHED: dict[str, Any] = {"marker": "_", "s": 60, "color": GREY}
STANDS_OUT, LUCK = "score: stands out", "score: not told from luck"
OVER_CHANCE, NOT_TOUCHED = "gain over chance", "not touched"


def tornado(changes: pd.DataFrame, *, luck: float = 0.0, ax: Axes | None = None) -> Axes:
    """One bar a change of BLEU, in percent points, rows in the order given from the top.

    `changes` has the columns name, score_change, score_change_low, score_change_high, score_clear
    and gain_change, of shares in [0, 1]. A bar ends at the change of the score, the line across its
    end is its 95 % interval, and it is solid where `score_clear` says that the change stands out;
    the diamond is the change of the gain over chance. A missing value is a change that does not
    touch this input, and has a dash at 0. Within `luck` on either side of 0, shaded, other orders
    of the training batches move the score as far.
    """
    columns = ["score_change", "score_change_low", "score_change_high", "gain_change"]
    require(changes, ["name", "score_clear", *columns], "changes")
    ax = own_axes(ax)
    if luck:
        ax.axvspan(-100 * luck, 100 * luck, color="0.9", zorder=0)
    places = np.arange(len(changes))
    value, low, high, gain = (100 * changes[name].to_numpy(float) for name in columns)
    touched = np.isfinite(value)
    clear = changes["score_clear"].eq(True).to_numpy(bool)
    for chosen, style, label in (
        (touched & clear, CLEAR, STANDS_OUT),
        (touched & ~clear, UNCLEAR, LUCK),
    ):
        ax.barh(places[chosen], value[chosen], height=BAR, zorder=2, label=label, **style)
    # Rounding can leave an end of the interval a hair inside the change itself.
    reach = [np.maximum(value - low, 0)[touched], np.maximum(high - value, 0)[touched]]
    ax.errorbar(
        value[touched],
        places[touched],
        xerr=reach,
        fmt="none",
        ecolor="0.25",
        elinewidth=1.1,
        capsize=2,
        zorder=3,
    )
    ax.scatter(gain[touched], places[touched], zorder=4, label=OVER_CHANCE, **GAIN)
    away = np.zeros((~touched).sum())
    ax.scatter(away, places[~touched], zorder=4, label=NOT_TOUCHED, **UNTOUCHED)
    ax.axvline(0, color="0.3", lw=1, zorder=3)
    ax.use_sticky_edges = False  # a bar's foot at 0 needs room on its other side, too
    ax.margins(x=0.08)
    if not np.nan_to_num([low, high, gain]).any() and not luck:
        ax.set_xlim(-1, 1)
    ax.set_yticks(places, changes["name"], parse_math=False, size=9)
    ax.set_ylim(len(places) - 0.4, -0.6)
    ax.set(xlabel="change (percent points)", ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.grid(visible=False, axis="y")
    told = np.where(touched, np.where(clear, STANDS_OUT, LUCK), NOT_TOUCHED)
    drawn = {"switch": changes["name"].map(one_line), ax.get_xlabel(): value, "low": low}
    drawn |= {"high": high, f"{OVER_CHANCE} (percent points)": gain, "verdict": told}
    span = {"switch": ["another batch order"], "low": [-100 * luck], "high": [100 * luck]}
    both = [pd.DataFrame(drawn), *([pd.DataFrame(span)] if luck else [])]
    return hand_on(ax, pd.concat(both), _largest(changes, value, clear & touched))


def _largest(changes: pd.DataFrame, value: np.ndarray, clear: np.ndarray) -> str:
    """The switch that moves the score furthest, and how many are more than luck."""
    touched = np.isfinite(value)
    if not touched.any():
        return "no switch touches it"
    most = int(np.nanargmax(np.abs(value)))
    low, high = (
        amount(100 * float(changes[name].iloc[most]))
        for name in ("score_change_low", "score_change_high")
    )
    return (
        f"moved most by {one_line(str(changes['name'].iloc[most]))}, {amount(value[most])} points "
        f"({low} to {high}); {int(clear.sum())} of {int(touched.sum())} stand out"
    )


def tornado_legend(figure: Figure) -> Legend:
    """One legend for all tornado plots of a figure, below them."""
    marks = figure.axes[0]
    handles = [
        Patch(**CLEAR, label=STANDS_OUT),
        Patch(**UNCLEAR, label=LUCK),
        marks.scatter([], [], **GAIN, label=OVER_CHANCE),
        marks.scatter([], [], **UNTOUCHED, label=NOT_TOUCHED),
        Patch(color="0.9", label="another batch order"),
    ]
    return figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
