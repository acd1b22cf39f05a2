"""The figure of real samples: what each training scores above chance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.plots.findings import hand_on
from songtitle.plots.numbers import legend_below
from songtitle.plots.style import COLOURS, MARKERS, own_axes, require
from songtitle.plots.wording import amount, tidy


def gains_by_seed(
    gains: pd.DataFrame, *, beams: tuple[int, ...] = (1, 5), ax: Axes | None = None
) -> Axes:
    """What every training scores above chance, one row an input, one mark a seed and beam size.

    `gains` has the columns input, seed, beam_size, gain, gain_low and gain_high (of scores in
    [0, 1], drawn in percent points). Each beam size has its colour and marker, seeds stand one
    below the other; those of other beam sizes than `beams` are left out. Chance is dashed, at 0.
    """
    require(gains, ["input", "seed", "beam_size", "gain", "gain_low", "gain_high"], "gains")
    gains = gains[gains["beam_size"].isin(beams)]
    ax = own_axes(ax)
    names = list(dict.fromkeys(gains["input"]))
    shown = sorted(set(gains["beam_size"]))
    ax.axvline(0, color="0.35", lw=1.2, linestyle="--", zorder=1)
    for place, beam_size in enumerate(shown):
        rows = gains[gains["beam_size"] == beam_size]
        seeds = {seed: number for number, seed in enumerate(sorted(set(rows["seed"])))}
        slots = len(shown) * len(seeds)
        shift = [place * len(seeds) + seeds[seed] for seed in rows["seed"]]
        height = np.array([names.index(name) for name in rows["input"]], dtype=float)
        height += 0.7 * ((np.array(shift) + 0.5) / slots - 0.5)
        value, low, high = (
            100 * rows[name].to_numpy(float) for name in ("gain", "gain_low", "gain_high")
        )
        ax.errorbar(
            value,
            height,
            xerr=np.maximum([value - low, high - value], 0),
            fmt=MARKERS[place % len(MARKERS)],
            ms=4,
            lw=1.2,
            capsize=1.5,
            color=COLOURS[place % len(COLOURS)],
            label=f"k = {beam_size}",
            zorder=2,
        )
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel="BLEU-1 above chance (percent points)", ylabel="")
    ax.grid(visible=False, axis="y")
    legend_below(ax, drop=0.13)
    ends = {"gain": ax.get_xlabel(), "gain_low": "low", "gain_high": "high"}
    columns = {"input": "input", "seed": "seed", "beam_size": "beam size"} | ends
    return hand_on(ax, tidy(gains, columns, percent=ends), _beyond_chance(gains, names))


def _beyond_chance(gains: pd.DataFrame, names: list[str]) -> str:
    """How many trainings of each input stand above chance with their whole interval."""
    clear = gains["gain_low"] > 0
    parts = []
    for name in names:
        own = gains["input"] == name
        middle = amount(100 * float(gains.loc[own, "gain"].mean()))
        parts.append(f"{name} {int((clear & own).sum())} of {int(own.sum())} (mean {middle})")
    return "intervals wholly above chance, and the mean gain in percent points: " + "; ".join(parts)
