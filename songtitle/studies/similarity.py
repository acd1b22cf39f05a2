"""Page 6, similarity: maps of songs and pictures, and whether they can be told apart."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.spatial import cKDTree

from songtitle import figures
from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.figures import DENSE, GREY, amount, mark
from songtitle.fmt import minus, percent, span, write
from songtitle.tables import Note, tabulate

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
_ENDS = ("value", "low", "high", "chance")


def apart(record: Record) -> pd.DataFrame:
    """Tabulate each kind beside the training pictures: every number with its interval or its p."""
    times = "{N[value]:points.2x1} [{N[low]:points.2x1}, {N[high]:points.2x1}]"
    share = "{N[value]:points} [{N[low]:points}, {N[high]:points}] %"
    columns = {
        "Kind": lambda row: KINDS[row["kind"]],
        "Items": "items",
        "Mixing": times.replace("N", "mixing") + ", p = {mixing[p]:p}",
        "Classifier (AUC)": times.replace("N", "auc") + ", p = {auc[p]:p}",
        "MMD²": lambda row: minus(write("{mmd[value]:.3f}, p = {mmd[p]:p}", row)),
        "Inside the pictures": share.replace("N", "inside"),
        "Pictures inside it": share.replace("N", "around"),
    }
    kinds = record.result["kinds"].items()
    return tabulate([found | {"kind": kind} for kind, found in kinds], columns)


def apart_values(record: Record) -> pd.DataFrame:
    """Give numbers of `apart` with an interval: `kind, number, value, low, high, chance`."""
    rows = [
        [KINDS[kind], said, *map(found[name].get, _ENDS)]
        for kind, found in record.result["kinds"].items()
        for name, said in _TELLING.items()
    ]
    return pd.DataFrame(rows, columns=["kind", "number", *_ENDS])


def map_trust(record: Record) -> pd.DataFrame:
    """Tabulate trustworthiness and mixing of maps by reading and perplexity: ranges over starts."""
    maps = pd.DataFrame(record.result["maps"]).groupby(["reading", "perplexity"], sort=False)
    rows = []
    for (reading, perplexity), found in maps:
        ranges = [span(found[name], 2) for name in ("trustworthiness", "mixing")]
        full = f"{record.result['space'][reading]:.2f}"
        rows.append([KINDS[reading], f"{perplexity:g}", *ranges, full])
    columns = ["Reading", "Perplexity", "Trustworthiness", "Mixing on the map"]
    return pd.DataFrame(rows, columns=[*columns, "Mixing in the full space"])


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
        inside, around, sides, near = (
            found[name]["value"] for name in ("inside", "around", "auc", "mixing")
        )
        neighbours = f"songs have {near:.2f} times the picture neighbours of a random mixture"
        told = f"a plane puts a song on its own side of a picture {percent(sides, 0)} of the time"
        if found["auc"]["p"] > 0.05:
            told = f"a plane does not tell the two apart (AUC {sides:.2f})"
        said.append(
            f"{KINDS[kind].capitalize()}: {percent(inside, 0)} of songs are as near to pictures as "
            f"pictures are to each other, {percent(around, 0)} of pictures as near to songs as "
            f"songs are to each other; "
            f"{neighbours if near else 'no neighbour of a song is a picture'}; {told}."
        )
    return Note("What “contained” comes to here", " ".join(said), kind="tip")


def map_grid(maps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw maps of the same items: a row for each perplexity, a column for each start.

    `maps` has a row for each point of each map: x, y, kind, perplexity, start, and of its map
    trustworthiness and mixing, which are written below it. One marker and colour per kind.
    """
    kept = ["perplexity", "start", "kind", "x", "y", "trustworthiness", "mixing"]
    names = dict(zip(kept, kept, strict=True)) | {"x": "t-SNE 1", "y": "t-SNE 2"}
    drawn = figures.tidy("maps", maps, names)
    ax = figures.bare(figures.own_axes(ax, (7.2, 7.2)))
    rows, columns = (list(dict.fromkeys(maps[name])) for name in ("perplexity", "start"))
    kinds = list(dict.fromkeys(maps["kind"]))
    for (perplexity, start), found in maps.groupby(["perplexity", "start"], sort=False):
        row, column = rows.index(perplexity), columns.index(start)
        panel = _panel(ax, row, column, len(rows), len(columns), margin=(0.05, 0.13))
        for place, kind in enumerate(kinds):
            look = mark(place) | {"alpha": 0.75, "rasterized": len(maps) > DENSE}
            points = found[found["kind"] == kind]
            panel.scatter(points["x"], points["y"], s=9, edgecolor="none", label=kind, **look)
        panel.set(xticks=[], yticks=[])
        panel.margins(0.06)
        said = write("trust {trustworthiness:.2f}, mixing {mixing:.2f}", found.iloc[0])
        panel.set_xlabel(said, fontsize=8.5, labelpad=3)
        if row == 0:
            panel.set_title(str(start), fontsize=9.5)
        if column == 0:
            panel.set_ylabel(f"perplexity {perplexity:g}", fontsize=9.5)
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01)}
    ax.legend(
        *panel.get_legend_handles_labels(), ncols=len(kinds), frameon=False, markerscale=2, **below
    )
    each, texts = maps.drop_duplicates(["perplexity", "start"]), []
    for name in ("trustworthiness", "mixing"):
        cell = f"{{{name}:.2f}} (perplexity {{perplexity:g}}, {{start}})"
        texts.append(f"{name} lies between {' and '.join(_ends(each, name, cell))}")
    return figures.hand_on(ax, drawn, f"over {len(each)} maps {', '.join(texts)}")


def numbers_by_kind(numbers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw numbers with their intervals, a panel for each, a line for each kind; chance dashed.

    `numbers` has the columns kind, number, value, low, high and chance, all in [0, 1] or a little
    above. Kinds stand in the order in which they come, the first at the top.
    """
    kept = ("kind", "number", *_ENDS)
    drawn = figures.tidy("numbers by kind", numbers, dict(zip(kept, kept, strict=True)))
    ax = figures.bare(figures.own_axes(ax, (8.4, 2.9)))
    kinds, names = (list(dict.fromkeys(numbers[name])) for name in ("kind", "number"))
    texts = []
    for column, name in enumerate(names):
        panel = _panel(ax, 0, column, 1, len(names), margin=(0.06, 0.18), left=0.24)
        found = numbers[numbers["number"] == name]
        for place, kind in enumerate(kinds):
            one = found[found["kind"] == kind]
            look = mark(place) | {"linestyle": "none", "markersize": 6.5, "capsize": 2.5}
            ends = figures.reach(one, "value")
            panel.errorbar(one["value"], [-place] * len(one), xerr=ends, **look)
        chance = found["chance"].iloc[0]
        panel.axvline(chance, linestyle="--", color=GREY, lw=1.2)
        panel.set_xlim(-0.06, max(1.06, 1.06 * float(found["high"].max())))
        panel.set_ylim(0.4 - len(kinds), 0.6)
        panel.set_yticks([-place for place in range(len(kinds))], kinds, fontsize=9.5)
        panel.tick_params(labelleft=column == 0)
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=9)
        panel.set_title(name, fontsize=9.5, parse_math=False)
        panel.grid(visible=False, axis="y")
        said = found.assign(said=found["value"].map(amount))
        low, high = _ends(said, "value", "{said} ({kind})")
        texts.append(f"{name} from {low} to {high}, {amount(chance)} as if from one population")
    ax.plot([], [], "--", color=GREY, lw=1.2, label="as if from one population")
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.1), frameon=False)
    return figures.hand_on(ax, drawn, "; ".join(texts))


def _ends(frame: pd.DataFrame, name: str, pattern: str) -> tuple[str, str]:
    """Write the rows in which a column is lowest and highest."""
    low, high = (frame.loc[frame[name].agg(find)] for find in ("idxmin", "idxmax"))
    return write(pattern, low), write(pattern, high)


def _panel(
    ax: Axes, row: int, column: int, rows: int, columns: int, *, margin: Any, left: float = 0.0
) -> Axes:
    """Give one of `rows` times `columns` axes within `ax`, counted from the top left.

    `margin` is the share of a cell that stays free at its right and at its foot.
    """
    width, height = (1 - left) / columns, 1 / rows
    across, foot = margin
    corner = (left + column * width, 1 - (row + 1) * height + foot * height)
    return ax.inset_axes((*corner, width * (1 - across), height * (1 - foot) - 0.06 / rows))


def similarity_map(
    points: Float[np.ndarray, "items 2"], labels: Iterable[str], ax: Axes | None = None
) -> Axes:
    """Draw a t-SNE map, one marker and colour per label in order of appearance (Fig. 7)."""
    kinds = np.array(list(labels), dtype=object)
    if len(kinds) != len(points):
        msg = f"labels of the map: expected {len(points)}, one a point, got {len(kinds)}"
        raise InputError(msg)
    ax = figures.own_axes(ax)
    counts = {name: int(np.sum(kinds == name)) for name in dict.fromkeys(kinds)}
    for place, (name, count) in enumerate(counts.items()):
        look = mark(place) | {"alpha": 0.75, "rasterized": len(kinds) > DENSE}
        look |= {"s": 26, "edgecolor": "white", "linewidth": 0.4}
        ax.scatter(*points[kinds == name].T, label=f"{name} ({count})", **look)
    across, up = "t-SNE 1 (no unit)", "t-SNE 2 (no unit)"
    ax.set(xlabel=across, ylabel=up, xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend()
    finding = f"one mark, {kinds[0]}"
    if len(points) > 1:
        own = kinds[cKDTree(points).query(points, k=2)[1][:, 1]] == kinds
        shares = [
            f"{amount(100 * own[kinds == name].mean())} % of {count} {name}"
            for name, count in counts.items()
        ]
        finding = f"the nearest other mark is of the same kind for {figures.some(shares)}"
    drawn = pd.DataFrame({"kind": kinds, across: points[:, 0], up: points[:, 1]})
    return figures.hand_on(ax, drawn, finding)
