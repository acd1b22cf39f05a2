"""Page 6, similarity: maps of songs and pictures, and whether they can be told apart."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.spatial import cKDTree

from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.figures.findings import amount, hand_on, some, tidy
from songtitle.figures.style import COLOURS, DENSE, GREY, MARKERS, own_axes, require
from songtitle.fmt import estimate, minus, p_value, percent, span
from songtitle.tables import Note

KINDS = {
    "held_out": "held-out pictures",
    "timbre_raw": "timbre, raw",
    "timbre_standardised": "timbre, standardised",
    "spectrogram": "spectrogram",
    "noise": "noise of unit scale",
    "gaussian": "noise shaped like pictures",
}


_TELLING = {
    "mixing": "mixing",
    "auc": "classifier (AUC)",
    "inside": "inside the pictures",
    "around": "pictures inside it",
}


def apart(record: Record) -> pd.DataFrame:
    """Tabulate each kind beside the training pictures: every number with its interval or its p."""
    rows = [
        {
            "Kind": KINDS[kind],
            "Items": found["items"],
            "Mixing": _estimate(found["mixing"], 2, times=1),
            "Classifier (AUC)": f"{_estimate(found['auc'], 2, times=1)}, {_p(found['auc'])}",
            "MMD²": minus(f"{found['mmd']['value']:.3f}, {_p(found['mmd'])}"),
            "Inside the pictures": f"{_estimate(found['inside'])} %",
            "Pictures inside it": f"{_estimate(found['around'])} %",
        }
        for kind, found in record.result["kinds"].items()
    ]
    return pd.DataFrame(rows, dtype=object)


def apart_values(record: Record) -> pd.DataFrame:
    """Give numbers of `apart` with an interval: `kind, number, value, low, high, chance`."""
    rows = [
        {"kind": KINDS[kind], "number": said}
        | {key: found[name][key] for key in ("value", "low", "high", "chance")}
        for kind, found in record.result["kinds"].items()
        for name, said in _TELLING.items()
    ]
    return pd.DataFrame(rows)


def map_trust(record: Record) -> pd.DataFrame:
    """Tabulate trustworthiness and mixing of maps by reading and perplexity: ranges over starts."""
    maps = pd.DataFrame(record.result["maps"]).groupby(["reading", "perplexity"], sort=False)
    rows = [
        {
            "Reading": KINDS[reading],
            "Perplexity": f"{perplexity:g}",
            "Trustworthiness": span(found["trustworthiness"], 2),
            "Mixing on the map": span(found["mixing"], 2),
            "Mixing in the full space": f"{record.result['space'][reading]:.2f}",
        }
        for (reading, perplexity), found in maps
    ]
    return pd.DataFrame(rows)


def maps_of(record: Record, reading: str) -> pd.DataFrame:
    """Give every point of every map of one reading, with the numbers of its map.

    Raises InputError for a reading that has no map.
    """
    maps = pd.DataFrame(record.result["maps"])
    if reading not in set(maps["reading"]):
        known = ", ".join(dict.fromkeys(maps["reading"]))
        msg = f"maps: expected a reading of {known}, got {reading!r}; choose one of these"
        raise InputError(msg)
    points = pd.read_csv(record.file("maps.csv"))
    points = points[points["reading"] == reading]
    found = points.merge(maps, on=["reading", "perplexity", "start"], how="left")
    return found.replace({"kind": KINDS})


def containment_note(record: Record) -> Note:
    """Say in words, reading by reading, how far songs are contained in pictures."""
    said = []
    for kind in ("timbre_raw", "timbre_standardised", "spectrogram"):
        found = record.result["kinds"][kind]
        inside, around = found["inside"], found["around"]
        said.append(
            f"{KINDS[kind].capitalize()}: {percent(inside['value'], 0)} of songs are as near to "
            "pictures as pictures are to each other, "
            f"{percent(around['value'], 0)} of pictures as near to songs as songs "
            f"are to each other; {_neighbours(found['mixing'])}; {_told_apart(found['auc'])}."
        )
    return Note("What “contained” comes to here", " ".join(said), kind="tip")


def _neighbours(mixing: dict[str, Any]) -> str:
    if mixing["value"] == 0:
        return "no neighbour of a song is a picture"
    return f"songs have {mixing['value']:.2f} times the picture neighbours of a random mixture"


def _told_apart(auc: dict[str, Any]) -> str:
    if auc["p"] > 0.05:
        return f"a plane does not tell the two apart (AUC {auc['value']:.2f})"
    return (
        f"a plane puts a song on its own side of a picture {percent(auc['value'], 0)} of the time"
    )


def _estimate(found: dict[str, Any], digits: int = 1, times: int = 100) -> str:
    return estimate(found["value"], found["low"], found["high"], digits, times=times)


def _p(found: dict[str, Any]) -> str:
    return f"p = {p_value(found['p'])}"


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


def similarity_map(
    points: Float[np.ndarray, "items 2"], labels: Iterable[str], ax: Axes | None = None
) -> Axes:
    """A t-SNE map, one marker and colour per label in order of appearance (Fig. 7)."""
    names = np.array(list(labels), dtype=object)
    if len(names) != len(points):
        msg = f"labels of the map: expected {len(points)}, one a point, got {len(names)}"
        raise InputError(msg)
    ax = own_axes(ax)
    for place, name in enumerate(dict.fromkeys(names)):
        x, y = points[names == name].T
        ax.scatter(
            x,
            y,
            s=26,
            marker=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            alpha=0.75,
            edgecolor="white",
            linewidth=0.4,
            label=f"{name} ({np.sum(names == name)})",
            rasterized=len(names) > DENSE,
        )
    labels = ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"]
    ax.set(xlabel=labels[0], ylabel=labels[1], xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend()
    drawn = pd.DataFrame({"kind": names, **dict(zip(labels, points.T, strict=True))})
    return hand_on(ax, drawn, _beside_its_kind(np.asarray(points, float), names))


def _beside_its_kind(points: Float[np.ndarray, "items 2"], names: np.ndarray) -> str:
    """How many marks of each label have one of their own beside them on the map."""
    if len(points) < 2:
        return f"one mark, {names[0]}"
    own = names[cKDTree(points).query(points, k=2)[1][:, 1]] == names
    parts = [
        f"{amount(100 * own[names == name].mean())} % of {np.sum(names == name)} {name}"
        for name in dict.fromkeys(names)
    ]
    return f"the nearest other mark is of the same kind for {some(parts)}"
