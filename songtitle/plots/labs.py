"""Figures of labs: a score before and after a mistake, with chance on both sides."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, GREY, own_axes, require

TICKS = (0, 0.5, 1, 2, 5, 10, 20, 50)  # percent points
_SIDES = (("before", COLOURS[0], "o"), ("after", COLOURS[1], "s"))


def before_and_after(labs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Scores before and after each lab, one row a lab and input, chance hollow beside them.

    `labs` has the columns name, and of both sides the score, its interval and chance
    (`before_score, before_low, before_high, before_chance`, and so on; in [0, 1], drawn in percent
    points). A line joins the two scores of a row: what moved. Where the hollow marks move as far,
    unrelated titles have moved along.
    """
    needed = [
        f"{side}_{what}" for side, *_ in _SIDES for what in ("score", "low", "high", "chance")
    ]
    require(labs, ["name", *needed], "labs")
    ax = own_axes(ax, (6.2, 0.5 * len(labs) + 0.5))
    height = np.arange(len(labs))
    scores = [100 * labs[f"{side}_score"].to_numpy(float) for side, *_ in _SIDES]
    ax.hlines(height, np.minimum(*scores), np.maximum(*scores), color=GREY, lw=1.2, zorder=1)
    for (side, colour, marker), score, shift in zip(_SIDES, scores, (-0.14, 0.14), strict=True):
        low, high = (100 * labs[f"{side}_{end}"].to_numpy(float) for end in ("low", "high"))
        ax.errorbar(
            score,
            height + shift,
            xerr=np.maximum([score - low, high - score], 0),
            fmt=marker,
            color=colour,
            markersize=6,
            elinewidth=1.2,
            label=side,
        )
        ax.plot(
            100 * labs[f"{side}_chance"].to_numpy(float),
            height + shift,
            marker,
            markersize=11,  # around the full mark where the two are one
            markerfacecolor="none",
            color=colour,
            label=f"chance {side}",
        )
    ax.set_yticks(height, labs["name"], parse_math=False)
    ax.set_ylim(len(labs) - 0.5, -0.5)
    ax.set_xscale("symlog", linthresh=1)  # songs score about 1, pictures tens
    ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_xlim(-0.15, max(60.0, ax.get_xlim()[1]))
    ax.set(xlabel="BLEU-1 (percent points, logarithmic beyond 1)", ylabel="")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, frameon=False)
    return hand_on(ax, _tidy(labs), _finding(labs))


def _tidy(labs: pd.DataFrame) -> pd.DataFrame:
    """One row a lab and side, in percent points."""
    names = {"score": "BLEU-1 (percent points)", "low": "low", "high": "high"}
    names |= {"chance": "chance (percent points)"}
    sides = []
    for side, *_ in _SIDES:
        shares = {names[what]: 100 * labs[f"{side}_{what}"].astype(float) for what in names}
        sides.append(pd.DataFrame({"lab": labs["name"], "side": side} | shares))
    return pd.concat(sides).sort_index(kind="stable")


def _finding(labs: pd.DataFrame) -> str:
    """The largest rise in words, and what chance did meanwhile."""
    rise = labs["after_score"] - labs["before_score"]
    row = labs.loc[rise.idxmax()]
    score, chance = (
        f"{100 * row[f'before_{what}']:.1f} to {100 * row[f'after_{what}']:.1f}"
        for what in ("score", "chance")
    )
    return (
        f"In {int((rise > 0).sum())} of {len(labs)} rows the score after is above that before. The "
        f"largest rise is at {row['name']}, from {score} percent points, chance from {chance}."
    )
