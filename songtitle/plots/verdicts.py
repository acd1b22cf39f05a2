"""How many claims hold, fail, or cannot be told."""

import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.style import COLOURS, own_axes, require

HATCHES = ["", "//", "..", "xx", "--", "++"]


def verdict_bars(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Stacked bars: a row of `counts` is a bar, a column a part of it, with its number inside."""
    require(counts, list(counts.columns[:1]) or ["counts"], "verdict bars")
    axis = own_axes(ax)
    names = [str(name) for name in counts.index]
    left = [0.0] * len(counts)
    for i, verdict in enumerate(counts.columns):
        widths = [float(value) for value in counts[verdict]]
        bars = axis.barh(
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
        labels = axis.bar_label(bars, shown, label_type="center", fontsize=10)
        for label in labels:
            if label.get_text():
                label.set_bbox(box)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("entries of the ledger")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    return axis
