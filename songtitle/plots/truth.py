"""Figures of controls: a score beside what is scored without the input, and beside its length."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle.plots.findings import hand_on
from songtitle.plots.numbers import (
    BEAM,
    BLEU,
    CHANCE,
    SCORED,
    bleu_by_beam,
    legend_below,
    line_style,
)
from songtitle.plots.style import COLOURS, MARKERS, own_axes, require
from songtitle.plots.wording import amount, extremes, tidy


def control_forest(controls: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Scores of one input and of its controls with their intervals, one row a control.

    `controls` has the columns control, beam_size, score, low and high (scores in [0, 1], drawn in
    percent points), the real input first. Each beam size has its colour and marker, and a line
    down from the real input, filled; controls are hollow. What reaches the line scores as well
    without the input.
    """
    require(controls, ["control", "beam_size", "score", "low", "high"], "controls")
    ax = own_axes(ax)
    ends = {"score": BLEU, "low": "low", "high": "high"}
    columns = {"control": "control", "beam_size": "beam size"} | ends
    drawn = tidy(controls, columns, percent=ends)
    names = list(dict.fromkeys(drawn["control"]))
    beams = sorted(set(drawn["beam size"]))
    for place, beam_size in enumerate(beams):
        rows = drawn[drawn["beam size"] == beam_size].set_index("control").loc[names]
        score, low, high = (rows[name].to_numpy() for name in ends.values())
        height = np.arange(len(names)) + 0.3 * (place - (len(beams) - 1) / 2)
        colour = COLOURS[place % len(COLOURS)]
        ax.axvline(score[0], color=colour, lw=1, linestyle=(0, (4, 2)), zorder=1)
        # The interval of an exact expectation need not hold it: no reach is below 0.
        reach = np.maximum([score - low, high - score], 0)
        ax.errorbar(
            score,
            height,
            xerr=reach,
            fmt="none",
            ecolor=colour,
            elinewidth=1.4,
            capsize=2.5,
            zorder=2,
        )
        for chosen, fill in ((slice(0, 1), colour), (slice(1, None), "white")):
            ax.scatter(
                score[chosen],
                height[chosen],
                marker=MARKERS[place % len(MARKERS)],
                s=34,
                facecolor=fill,
                edgecolor=colour,
                linewidth=1.4,
                zorder=3,
                label=f"{'_' if fill == 'white' else ''}k = {beam_size}",
            )
    ax.axhline(0.5, color="0.6", lw=0.8)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_ylim(len(names) - 0.5, -0.6)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.set(xlabel=BLEU, ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.grid(visible=False, axis="y")
    legend_below(ax, drop=0.13)
    return hand_on(ax, drawn, _reaching(controls, names))


def _reaching(controls: pd.DataFrame, names: list[str]) -> str:
    """How many controls score as high as the real input, and the best of them, by beam size."""
    parts = []
    for beam_size, rows in controls.groupby("beam_size"):
        score = 100 * rows.set_index("control")["score"]
        real, others = float(score[names[0]]), score.drop(names[0])
        text = f"at k = {beam_size} {names[0]} {amount(real)} points"
        if len(others):
            text += f", reached by {int((others >= real).sum())} of {len(others)} controls"
            text += f" (highest: {others.idxmax()}, {amount(others.max())})"
        parts.append(text)
    return "; ".join(parts)


def score_and_length(
    scores: pd.DataFrame, *, paper: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """BLEU-1 by beam size, and under it the mean length of the best hypotheses (Fig. 8a, twice).

    `scores` is what `bleu_by_beam` takes, with `mean_length` in words. The two panels share the
    beam sizes, and each input its colour and marker; `ax` becomes the upper one and is returned.
    """
    require(scores, ["input", "beam_size", "mean_length"], "scores")
    ax = bleu_by_beam(scores, paper=paper, ax=ax or own_axes(None, (6.6, 3.4)))
    under = ax.inset_axes((0.0, -0.62, 1.0, 0.55), sharex=ax)
    length = "mean length (words)"
    drawn = tidy(scores, {"input": "input", "beam_size": BEAM, "mean_length": length})
    for place, name in enumerate(dict.fromkeys(drawn["input"])):
        rows = drawn[drawn["input"] == name].sort_values(BEAM)
        under.plot(rows[BEAM], rows[length], label=name, **line_style(place))
    under.set(xlabel=BEAM, ylabel=length)
    under.set_ylim(bottom=0)
    under.grid(visible=False, axis="x")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if legend := ax.get_legend():
        legend.remove()
    legend_below(under, ax, drop=0.32)
    return hand_on(ax, drawn, extremes(drawn, length, at=BEAM, of="input"))


def score_by_prefix(prefixes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Scores of hypotheses cut to their first words, chance dashed in the same colour.

    `prefixes` has the columns input, kept (words), score, low, high and chance (in [0, 1], drawn in
    percent points).
    """
    require(prefixes, ["input", "kept", "score", "low", "high", "chance"], "prefixes")
    ax = own_axes(ax)
    kept = "words kept"
    drawn = tidy(prefixes, {"input": "input", "kept": kept} | SCORED, percent=SCORED)
    for place, name in enumerate(dict.fromkeys(drawn["input"])):
        rows = drawn[drawn["input"] == name].sort_values(kept)
        style = line_style(place)
        band = {"color": style["color"], "alpha": 0.15, "lw": 0}
        ax.fill_between(rows[kept], rows["low"], rows["high"], **band)
        ax.plot(rows[kept], rows[BLEU], label=name, **style)
        ax.plot(rows[kept], rows[SCORED["chance"]], "--", color=style["color"], lw=1.2)
    ax.plot([], [], "--", color="0.45", lw=1.2, label=CHANCE)
    ax.set(xlabel=kept, ylabel=BLEU)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    ax.legend()
    return hand_on(ax, drawn, extremes(drawn, BLEU, at=kept, of="input", where="with {} words"))
