"""How many claims hold, fail, or cannot be told."""

import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, own_axes, require
from songtitle.plots.wording import some

HATCHES = ["", "//", "..", "xx", "--", "++"]


def verdict_bars(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Stacked bars: a row of `counts` is a bar, a column a part of it, with its number inside."""
    require(counts, list(counts.columns[:1]) or ["counts"], "verdict bars")
    ax = own_axes(ax)
    names = [str(name) for name in counts.index]
    left = [0.0] * len(counts)
    for i, verdict in enumerate(counts.columns):
        widths = [float(value) for value in counts[verdict]]
        bars = ax.barh(
            names,
            widths,
            left=left,
            label=str(verdict),
            color=COLOURS[i % len(COLOURS)],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
        )
        shown = [f"{width:.0f}" if width else "" for width in widths]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        labels = ax.bar_label(bars, shown, label_type="center", fontsize=10)
        for label in labels:
            if label.get_text():
                label.set_bbox(box)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("entries of the ledger")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    drawn = counts.rename_axis(index="of").reset_index()
    drawn = drawn.melt("of", var_name="verdict", value_name=ax.get_xlabel())
    return hand_on(ax, drawn, _parts(counts))


def _parts(counts: pd.DataFrame) -> str:
    """The parts of each bar, the largest first."""
    bars = []
    for name, row in counts.iterrows():
        order = row[row > 0].sort_values(ascending=False, kind="stable")
        parts = some([f"{int(value)} {verdict}" for verdict, value in order.items()])
        bars.append(f"{name}, {int(row.sum())} in all: {parts}")
    return "; ".join(bars)
