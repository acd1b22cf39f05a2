"""Pictures of corpora: what cleaning leaves, which links live, and how two lists of songs meet."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from songtitle.errors import InputError
from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, GREY, MARKERS, own_axes, require
from songtitle.plots.wording import amount, extremes, tidy

THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


def title_funnel(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How many titles each step of cleaning leaves, one row of bars an order of the steps.

    `steps` has the columns order, step and titles, in the order of the steps.
    """
    require(steps, ["order", "step", "titles"], "steps of the funnel")
    ax = own_axes(ax)
    orders, names = list(dict.fromkeys(steps["order"])), list(dict.fromkeys(steps["step"]))
    height = 0.8 / len(orders)
    for place, order in enumerate(orders):
        rows = steps[steps["order"] == order]
        at = [names.index(step) + (place - (len(orders) - 1) / 2) * height for step in rows["step"]]
        bars = ax.barh(
            at,
            rows["titles"],
            height=0.92 * height,
            color=COLOURS[place],
            hatch=("", "//", "..")[place % 3],
            edgecolor="white",
            label=order,
        )
        ax.bar_label(bars, [f"{count:,}" for count in rows["titles"]], padding=3, size=9)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(right=1.12 * steps["titles"].max())
    ax.set(xlabel="titles left")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(orders), frameon=False)
    names_of = {"order": "order", "step": "step", "titles": "titles left"}
    return hand_on(ax, tidy(steps, names_of), _losses(steps))


def _losses(steps: pd.DataFrame) -> str:
    """What each order leaves of the titles, and the step that takes most."""
    parts = []
    for order, rows in steps.groupby("order", sort=False):
        titles = rows["titles"].to_numpy()
        text = f"{order}, {amount(titles[0])} titles become {amount(titles[-1])}"
        if len(titles) > 1 and (lost := -np.diff(titles)).max() > 0:
            place = int(np.argmax(lost))
            share = amount(100 * lost[place] / titles[place])
            text += f", most of them lost at {rows['step'].iloc[place + 1]} ({share} %)"
        parts.append(text)
    return "; ".join(parts)


def link_survival(domains: pd.DataFrame, *, total: float, ax: Axes | None = None) -> Axes:
    """The share of links that still give a picture, by domain, with 95 % intervals.

    `domains` has the columns domain, links, alive, low and high (shares in [0, 1]); `total` is the
    share of all links and is drawn as a line.
    """
    require(domains, ["domain", "links", "alive", "low", "high"], "links by domain")
    ax = own_axes(ax)
    name = "links that give a picture (%)"
    columns = {"domain": "domain", "links": "links", "alive": name, "low": "low", "high": "high"}
    drawn = tidy(domains, columns, percent=("alive", "low", "high"))
    share, low, high = (drawn[each].to_numpy() for each in (name, "low", "high"))
    at = np.arange(len(domains))
    # Rounding can leave an end of the interval a hair inside the share itself.
    reach = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
    ax.errorbar(share, at, xerr=reach, fmt=MARKERS[0], color=COLOURS[0], capsize=3, markersize=5)
    ax.axvline(100 * total, color=GREY, ls="--", lw=1.4, label=f"all links: {100 * total:.1f} %")
    pairs = zip(domains["domain"], domains["links"], strict=True)
    ax.set_yticks(at, [f"{name} ({count:,})" for name, count in pairs])
    ax.invert_yaxis()
    ax.set(xlabel=name)
    ax.legend(loc="best")
    finding = f"{extremes(drawn, name, at='domain')}; all links: {amount(100 * total, name)}"
    drawn.loc[len(drawn)] = pd.Series({"domain": "all links", name: 100 * total})
    return hand_on(ax, drawn, finding)


def two_orders(
    years: Sequence[Int[np.ndarray, " rows"]],
    names: Sequence[str],
    *,
    every: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """The year of each row of two lists of the same songs, by row number.

    The lists may hold `every` so many rows only.
    """
    if len(years) != len(names) or not all(len(column) for column in years):
        msg = f"years: expected {len(names)} lists with rows, got {[len(c) for c in years]}"
        raise InputError(msg)
    ax = own_axes(ax)
    for place, (column, name) in enumerate(zip(years, names, strict=True)):
        ax.plot(
            every * np.arange(len(column)),
            column,
            MARKERS[place],
            color=COLOURS[place],
            markersize=3,
            alpha=0.5,
            markeredgewidth=0,
            label=name,
            rasterized=True,
        )
    row, year = "row of the list", "year of the song"
    ax.set(xlabel=row, ylabel=year)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.legend(markerscale=2.5)
    drawn = pd.concat(
        pd.DataFrame({"list": name, row: every * np.arange(len(column)), year: column})
        for name, column in zip(names, years, strict=True)
    )
    return hand_on(ax, drawn, "; ".join(map(_order, names, years)))


def _order(name: str, years: Int[np.ndarray, " rows"]) -> str:
    """How far a list is sorted by year, as far as it is drawn."""
    span = f"from {years.min()} to {years.max()}"
    falls = float(np.mean(np.diff(years) < 0)) if len(years) > 1 else 0.0
    if not falls:
        return f"in {name} the year never falls from one row to the next, {span}"
    return f"in {name} the year falls at {amount(100 * falls)} % of the rows, {span}"
