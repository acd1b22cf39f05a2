"""Figures of the forensics chapter: distances of ways to score, scores of captions cut short."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, GREY, MARKERS, ON_A_PICTURE, own_axes, require
from songtitle.plots.wording import amount, some, tidy

LINES = ["-", (0, (7, 1.5)), "-."]


def distance_map(
    distances: pd.DataFrame, *, most: float | None = None, ax: Axes | None = None
) -> Axes:
    """A heat map with its numbers: ways in columns, grouped by their source, definitions in rows.

    `distances` has one level of rows and two of columns (source, choice), in percent points; the
    darker, the nearer. `most` is the end of the colour scale, for maps that should compare.
    """
    ax = own_axes(ax)
    values = distances.to_numpy(dtype=float)
    top = float(values.max()) if most is None else most
    # Cividis rises in lightness all along: it reads the same to colour-blind readers and in grey.
    ax.imshow(values, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        ax.text(
            column,
            row,
            f"{value:.1f}",
            ha="center",
            va="center",
            size=8.5,
            color="white" if value < 0.5 * top else "black",
            gid=f"{ON_A_PICTURE}-{row}-{column}",
        )
    sources, choices = zip(*distances.columns, strict=True)
    ax.set_xticks(range(len(choices)), choices, rotation=40, ha="right", size=8.5)
    ax.set_yticks(range(len(distances)), distances.index)
    for name in dict.fromkeys(sources):
        places = [place for place, source in enumerate(sources) if source == name]
        ax.text(
            float(np.mean(places)),
            -0.62,
            name.replace(", ", ",\n"),
            ha="center",
            va="bottom",
            size=9,
        )
        if places[0]:
            ax.axvline(places[0] - 0.5, color="white", lw=4)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ways = [f"{choice}, {source}" for source, choice in distances.columns]
    near, far = (np.unravel_index(find(values), values.shape) for find in (np.argmin, np.argmax))
    (near_to, at_most), (far_from, at_least) = (
        (f"{distances.index[row]} with {ways[column]}", values[row, column])
        for row, column in (near, far)
    )
    drawn = pd.DataFrame(
        [(name, way) for name in distances.index for way in ways], columns=["definition", "way"]
    ).assign(**{"distance (percent points)": values.ravel()})
    return hand_on(
        ax,
        drawn,
        f"nearest is {near_to}, {amount(at_most)} percent points; furthest {far_from}, "
        f"{amount(at_least)}; {int((values < 10).sum())} of {values.size} squares are below 10",
    )


def prefix_curves(curves: pd.DataFrame, cells: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Score of the first words of captions by their number, and a paper's cells to the right.

    `curves` has `against, words` (NaN: all)`, mean, low, high`, `cells` has `against, k` ("greedy"
    or "best")`, value`; percent points. Curve and cells of one `against` share colour and marker.
    """
    require(curves, ["against", "words", "mean", "low", "high"], "curves")
    require(cells, ["against", "k", "value"], "the paper's cells")
    ax = own_axes(ax)
    lengths = sorted(curves["words"].dropna().unique())
    places = {length: place for place, length in enumerate(lengths)}
    whole, marks = len(lengths), {"greedy": len(lengths) + 1.8, "best": len(lengths) + 3.5}
    for order, (name, rows) in enumerate(curves.groupby("against", sort=False)):
        style = {"color": COLOURS[order], "marker": MARKERS[order]}
        at = rows["words"].map(places).fillna(whole)
        rows = rows.assign(at=at).sort_values("at")
        reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        ax.errorbar(
            rows["at"], rows["mean"], yerr=reach, capsize=2, ms=4.5, lw=1.5,
            linestyle=LINES[order % len(LINES)], label=f"against {name}", **style,
        )  # fmt: skip
        for k, found in cells[cells["against"] == name].groupby("k"):
            ax.scatter(
                [marks[str(k)]] * len(found),
                found["value"],
                s=48,
                edgecolor="k",
                **style,
            )
            if len(found) == 1:
                value = found["value"].iloc[0]
                left = order % 2 == 0
                ax.annotate(
                    f"{value:.1f}",
                    (marks[str(k)], value),
                    xytext=(-7 if left else 7, 0),
                    textcoords="offset points",
                    ha="right" if left else "left",
                    va="center",
                    size=8,
                )
    ax.axvline(whole + 0.75, color=GREY, lw=0.8)
    labels = [f"{length:g}" for length in lengths]
    ax.set_xticks(
        [*range(whole + 1), *marks.values()],
        [*labels, "all", "paper,\ngreedy", "paper,\nbest"],
        size=8.5,
    )
    ax.set(xlabel="words kept of a random caption", ylabel="score (percent points)")
    ax.set_ylim(0, 68)
    ax.set_xlim(right=marks["best"] + 1.5)
    ax.grid(visible=False, axis="x")
    kept, score = "words kept of a random caption", "score (percent points)"
    texts = curves["words"].map("{:g}".format, na_action="ignore").fillna("all")
    names = {"against": "against", "words": kept, "mean": score, "low": "low", "high": "high"}
    printed = {"against": cells["against"], kept: "paper, " + cells["k"], score: cells["value"]}
    drawn = pd.concat([tidy(curves.assign(words=texts), names), pd.DataFrame(printed)])
    return hand_on(ax, drawn, _peaks(curves))


def _peaks(curves: pd.DataFrame) -> str:
    """Where each curve is highest."""
    parts = []
    for name, rows in curves.groupby("against", sort=False):
        top = rows.loc[rows["mean"].idxmax()]
        words = "all words" if pd.isna(top["words"]) else f"{amount(top['words'], 'kept (words)')}"
        parts.append(f"{amount(top['mean'])} against {name} ({words})")
    return f"highest {some(parts)}"
