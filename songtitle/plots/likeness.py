"""Figures of likeness: many maps of the same items, and numbers beside what chance gives."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, DENSE, GREY, MARKERS, own_axes, require
from songtitle.plots.wording import amount, tidy

_MAPS = ["perplexity", "start", "kind", "x", "y", "trustworthiness", "mixing"]
_NUMBERS = ["kind", "number", "value", "low", "high", "chance"]


def map_grid(maps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Maps of the same items: a row for each perplexity, a column for each start.

    `maps` has a row for each point of each map: x, y, kind, perplexity, start, and of its map
    trustworthiness and mixing, which are written below it. One marker and colour per kind.
    """
    require(maps, _MAPS, "maps")
    ax = _bare(own_axes(ax, (7.2, 7.2)))
    rows, columns = (list(dict.fromkeys(maps[name])) for name in ("perplexity", "start"))
    kinds = list(dict.fromkeys(maps["kind"]))
    for (perplexity, start), found in maps.groupby(["perplexity", "start"], sort=False):
        row, column = rows.index(perplexity), columns.index(start)
        panel = _panel(ax, row, column, len(rows), len(columns), margin=(0.05, 0.13))
        for place, kind in enumerate(kinds):
            points = found[found["kind"] == kind]
            panel.scatter(
                points["x"],
                points["y"],
                s=9,
                marker=MARKERS[place % len(MARKERS)],
                color=COLOURS[place % len(COLOURS)],
                alpha=0.75,
                edgecolor="none",
                label=kind,
                rasterized=len(maps) > DENSE,
            )
        panel.set(xticks=[], yticks=[])
        panel.margins(0.06)
        first = found.iloc[0]
        said = f"trust {first['trustworthiness']:.2f}, mixing {first['mixing']:.2f}"
        panel.set_xlabel(said, fontsize=8.5, labelpad=3)
        if row == 0:
            panel.set_title(str(start), fontsize=9.5)
        if column == 0:
            panel.set_ylabel(f"perplexity {perplexity:g}", fontsize=9.5)
    handles, labels = panel.get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=len(kinds),
        frameon=False,
        markerscale=2,
    )
    names = {name: name for name in _MAPS} | {"x": "t-SNE 1", "y": "t-SNE 2"}
    return hand_on(ax, tidy(maps, names), _nine(maps))


def _nine(maps: pd.DataFrame) -> str:
    """What the maps have in common, and where they part."""
    each = maps.drop_duplicates(["perplexity", "start"])
    texts = []
    for name in ("trustworthiness", "mixing"):
        low, high = each.loc[each[name].idxmin()], each.loc[each[name].idxmax()]
        ends = [
            f"{one[name]:.2f} (perplexity {one['perplexity']:g}, {one['start']})"
            for one in (low, high)
        ]
        texts.append(f"{name} lies between {ends[0]} and {ends[1]}")
    return f"over {len(each)} maps " + ", ".join(texts)


def numbers_by_kind(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Numbers with their intervals, a panel for each, a line for each kind; chance dashed.

    `numbers` has the columns kind, number, value, low, high and chance, all in [0, 1] or a little
    above. Kinds stand in the order in which they come, the first at the top.
    """
    require(numbers, _NUMBERS, "numbers by kind")
    ax = _bare(own_axes(ax, (8.4, 2.9)))
    kinds, names = (list(dict.fromkeys(numbers[name])) for name in ("kind", "number"))
    heights = {kind: -place for place, kind in enumerate(kinds)}
    for column, name in enumerate(names):
        panel = _panel(ax, 0, column, 1, len(names), margin=(0.06, 0.18), left=0.24)
        found = numbers[numbers["number"] == name]
        for place, kind in enumerate(kinds):
            one = found[found["kind"] == kind]
            reach = [(one["value"] - one["low"]).clip(0), (one["high"] - one["value"]).clip(0)]
            panel.errorbar(
                one["value"],
                [heights[kind]] * len(one),
                xerr=np.array(reach),
                fmt=MARKERS[place % len(MARKERS)],
                color=COLOURS[place % len(COLOURS)],
                markersize=6.5,
                capsize=2.5,
            )
        panel.axvline(found["chance"].iloc[0], linestyle="--", color=GREY, lw=1.2)
        panel.set_xlim(-0.06, max(1.06, 1.06 * float(found["high"].max())))
        panel.set_ylim(min(heights.values()) - 0.6, 0.6)
        panel.set_yticks(list(heights.values()), kinds, fontsize=9.5)
        panel.tick_params(labelleft=column == 0)
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=9)
        panel.set_title(name, fontsize=9.5, parse_math=False)
        panel.grid(visible=False, axis="y")
    ax.plot([], [], "--", color=GREY, lw=1.2, label="as if from one population")
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.1), frameon=False)
    return hand_on(ax, numbers[_NUMBERS], _apart(numbers))


def _apart(numbers: pd.DataFrame) -> str:
    """The ends of each number over all kinds, and its chance."""
    texts = []
    for name, found in numbers.groupby("number", sort=False):
        low, high = (found.loc[found["value"].agg(find)] for find in ("idxmin", "idxmax"))
        ends = [f"{amount(each['value'])} ({each['kind']})" for each in (low, high)]
        chance = amount(found["chance"].iloc[0])
        texts.append(f"{name} from {ends[0]} to {ends[1]}, {chance} as if from one population")
    return "; ".join(texts)


def _bare(ax: Axes) -> Axes:
    """An axis that only holds panels."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def _panel(
    ax: Axes,
    row: int,
    column: int,
    rows: int,
    columns: int,
    *,
    margin: tuple[float, float],
    left: float = 0.0,
) -> Axes:
    """One of `rows` times `columns` axes within `ax`, counted from the top left.

    `margin` is the share of a cell that stays free at its right and at its foot.
    """
    width, height = (1 - left) / columns, 1 / rows
    across, foot = margin
    return ax.inset_axes(
        (
            left + column * width,
            1 - (row + 1) * height + foot * height,
            width * (1 - across),
            height * (1 - foot) - 0.06 / rows,
        )
    )
