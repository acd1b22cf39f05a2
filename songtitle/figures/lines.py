"""Scores as lines by beam size, chance dashed in the same colour."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from songtitle.figures.findings import hand_on
from songtitle.figures.style import COLOURS, GREY, MARKERS, own_axes, require
from songtitle.figures.wording import extremes, tidy

PAPER, CHANCE = "the paper", "chance, same colour"


BEAM, BLEU = "beam size (hypotheses kept)", "BLEU-1 (percent points)"


SCORED = {"score": BLEU, "low": "low", "high": "high", "chance": "chance (percent points)"}


def bleu_by_beam(
    scores: pd.DataFrame, *, paper: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """BLEU-1 by beam size with intervals, and chance dashed in the same colour (Fig. 8a).

    `scores` has a row for each input and beam size: input, beam_size, score, low, high, chance,
    all scores in [0, 1], drawn in percent points. `paper` is the paper's Table 4 as
    `claims.paper_table(4)` gives it, drawn in thin grey. Inputs stand a little side by side so
    that their intervals can be told apart.
    """
    require(scores, ["input", "beam_size", "score", "low", "high", "chance"], "scores")
    ax = own_axes(ax)
    drawn = tidy(scores, {"input": "input", "beam_size": BEAM} | SCORED, percent=SCORED)
    finding = extremes(drawn, BLEU, at=BEAM, of="input")
    printed = [] if paper is None else [_paper_rows(paper, ax)]
    inputs = list(dict.fromkeys(drawn["input"]))
    for place, name in enumerate(inputs):
        rows = drawn[drawn["input"] == name].sort_values(BEAM)
        value = rows[BLEU].to_numpy()
        reach = [value - rows["low"].to_numpy(), rows["high"].to_numpy() - value]
        style = line_style(place)
        aside = ScaledTranslation(
            2.4 * (place - (len(inputs) - 1) / 2) / 72, 0, ax.figure.dpi_scale_trans
        )
        bars = ax.errorbar(rows[BEAM], value, yerr=reach, capsize=2.5, label=name, **style)
        line, caps, reaches = bars.lines
        for artist in (line, *caps, *reaches):  # on the page: the data keep their beam size
            artist.set_transform(ax.transData + aside)
        ax.plot(rows[BEAM], rows[SCORED["chance"]], "--", color=style["color"], lw=1.2)
    ax.plot([], [], "--", color=GREY, lw=1.2, label=CHANCE)
    _beam_axis(ax, drawn[BEAM])
    ax.set_ylabel(BLEU)
    ax.set_ylim(bottom=0)
    legend_below(ax)
    return hand_on(ax, pd.concat([drawn, *printed]), finding)


def _paper_rows(table: pd.DataFrame, ax: Axes) -> pd.DataFrame:
    """Draw the rows of the paper's table, and give them as those of `bleu_by_beam`."""
    beams = [int(k) for k in table.columns if isinstance(k, int)]
    ends = table[beams[-1]].astype(float)
    heights = _spread(ends.to_numpy(), gap=2.6)
    rows = []
    for place, (_, row) in enumerate(table.iterrows()):
        name = row["dataset"] if pd.isna(row["tile_size"]) else f"{row['tile_size']:g} px tiles"
        printed = row[beams].astype(float)
        ax.plot(beams, printed, color="0.72", lw=0.9, zorder=1)
        rows += [(f"{PAPER}: {name}", k, value) for k, value in zip(beams, printed, strict=True)]
        ax.text(beams[-1] + 0.5, heights[place], name, fontsize=7.5, color=GREY, va="center")
    ax.plot([], [], color="0.72", lw=0.9, label=PAPER)
    return pd.DataFrame(rows, columns=["input", BEAM, BLEU])


def _spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Heights for labels near `values`, at least `gap` apart, order kept."""
    order = np.argsort(values)
    heights = values[order].astype(float)
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights -= (heights - values[order]).mean()
    spread = np.empty_like(heights)
    spread[order] = heights
    return spread


def line_style(place: int) -> dict:
    """Colour, marker and dashes of the curve at `place`: told apart by any one of the three."""
    lines = ["-", (0, (7, 1.5)), "-.", (0, (9, 2, 2, 2, 2, 2)), (0, (2, 1)), (0, (12, 2))]
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": lines[place % len(lines)],
        "markersize": 6,
        "lw": 1.7,
    }


def _beam_axis(ax: Axes, beams: pd.Series) -> None:
    ax.set_xticks(sorted(set(beams)))
    ax.set_xlabel(BEAM)
    ax.grid(visible=False, axis="x")


def legend_below(ax: Axes, curves: Axes | None = None, *, drop: float = 0.16) -> None:
    """A legend under the frame, of its own curves or those of another axis; chance comes last.

    Six curves leave no free corner within the frame. `drop` is in heights of the axis.
    """
    handles, labels = (curves or ax).get_legend_handles_labels()
    last = [label in (PAPER, CHANCE) for label in labels]
    order = sorted(range(len(labels)), key=last.__getitem__)
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        bbox_to_anchor=(0.5, -drop),
        ncols=3,
        frameon=False,
    )
