"""A figure of planted faults: how often each was tried, and what was lost."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, own_axes, require
from songtitle.plots.wording import some, tidy


def fault_dots(faults: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Times tried on a logarithmic axis: a row a group, a hollow dot a fault, a full one their sum.

    `faults` has the columns group, tried and lost. A group in which something was lost has a
    square, also in another colour, for its sum. Groups stand in the order in which they come.
    """
    require(faults, ["group", "tried", "lost"], "faults")
    sums = faults.groupby("group", sort=False)[["tried", "lost"]].sum()
    ax = own_axes(ax, (6.2, 0.5 * len(sums) + 0.5))
    height = {group: place for place, group in enumerate(sums.index)}
    ax.scatter(
        faults["tried"],
        faults["group"].map(height),
        s=34,
        facecolor="none",
        edgecolor=COLOURS[0],
        label="one fault",
    )
    for lost, marker, colour, label in (
        (False, "o", COLOURS[0], "the group, nothing lost"),
        (True, "s", COLOURS[3], "the group, something lost"),
    ):
        those = sums[(sums["lost"] > 0) == lost]
        if len(those):
            places = those.index.map(height)
            ax.scatter(those["tried"], places, s=70, marker=marker, color=colour, label=label)
            for tried, place in zip(those["tried"], places, strict=True):
                ax.annotate(
                    f"{tried:,}",
                    (tried, place),
                    xytext=(9, 0),
                    textcoords="offset points",
                    va="center",
                    size=9,
                )
    ax.set(xscale="log", xlabel="times tried (logarithmic)", ylabel="")
    ax.set_xlim(0.7 * faults["tried"].min(), 2.5 * sums["tried"].max())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_yticks(list(height.values()), list(height), parse_math=False)
    ax.set_ylim(len(sums) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    below = (0.5, -1 / (len(sums) + 1))
    ax.legend(loc="upper center", bbox_to_anchor=below, ncols=3, frameon=False)
    names = {"what": "what", "group": "group", "tried": "times tried", "lost": "lost"}
    drawn = pd.concat([faults.assign(what="one fault"), sums.reset_index().assign(what="group")])
    return hand_on(ax, tidy(drawn, names), _finding(sums))


def _finding(sums: pd.DataFrame) -> str:
    """The groups by size, and what was lost, in words."""
    order = sums.sort_values("tried", ascending=False, kind="stable")
    groups = some([f"{group} {row['tried']:,}" for group, row in order.iterrows()], most=8)
    lost = int(sums["lost"].sum())
    return (
        f"{int(sums['tried'].sum()):,} faults were planted, {f'{lost:,}' if lost else 'none'} of "
        f"them with a loss: {groups}."
    )
