"""A figure of references: BLEU-1 by how many of them there are."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.style import COLOURS, GREY, MARKERS, own_axes, require


def bleu_by_references(
    curves: pd.DataFrame, *, quoted: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """BLEU-1 by number of references with intervals, a line for each who is scored.

    `curves` has the columns who, references, mean, low and high, scores in [0, 1], drawn in percent
    points. `quoted` numbers of others, in percent points, are level lines named at their end.
    """
    require(curves, ["who", "references", "mean", "low", "high"], "scores by references")
    ax = own_axes(ax)
    dashes = ["-", (0, (7, 1.5)), "-.", (0, (2, 1))]
    for place, (who, found) in enumerate(curves.groupby("who", sort=False)):
        found = found.sort_values("references")
        value = 100 * found["mean"]
        ax.errorbar(
            found["references"],
            value,
            yerr=[value - 100 * found["low"], 100 * found["high"] - value],
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            linestyle=dashes[place % len(dashes)],
            capsize=2.5,
            lw=1.7,
            label=who,
        )
    counts = sorted(set(curves["references"]))
    for name, value in quoted.items():
        ax.axhline(value, linestyle=(0, (1, 1.5)), color=GREY, lw=1.2, label=f"_{name}")
        ax.text(counts[-1] + 0.08, value + 0.8, name, fontsize=8.5, color="0.3", ha="right")
    ax.set_xticks(counts)
    ax.set(xlabel="references of each clip", ylabel="BLEU-1 (percent points)")
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    return ax
