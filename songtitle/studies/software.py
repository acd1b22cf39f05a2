"""Pages 8 and 18, this software: how fast it is, and what it survives."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from songtitle import figures
from songtitle.cache import PUBLISHED, ROOT, changed_code, code_of_text, digest, results
from songtitle.errors import InputError
from songtitle.figures import COLOURS, GREY, amount, one_line, some
from songtitle.tables import Note, other_code, plain, tabulate

LABELS = {"seconds": "time (s)", "MB": "memory (MB)"}
LOST = "the group, something lost"
MET, NOT_MET = {"s": 42, "color": COLOURS[0]}, {"s": 46, "marker": "s", "facecolor": "white"}


def benchmarks(files: Mapping[str, Path] | None = None) -> list[dict[str, Any]]:
    """Read what each subject left, in alphabetical order.

    Raises InputError where nothing was kept.
    """
    files = results() if files is None else files
    kept = [path for name, path in files.items() if name.startswith("benchmarks/")]
    if not kept:
        msg = "benchmarks: expected what `make bench` leaves, found nothing; run it"
        raise InputError(msg)
    return [json.loads(path.read_text("utf-8")) for path in kept]


def ratio_table(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Tabulate every ratio, what it must reach, and whom it is compared with."""

    def bound(row: Any) -> str:
        sides = (("at most", row["at_most"]), ("at least", row["at_least"]))
        said = " and ".join(f"{word} {value:g}" for word, value in sides if pd.notna(value))
        return f"{said}: {'met' if row['met'] else 'missed'}" if said else "none"

    columns = {
        "Case": "{subject}: {what}",
        "What is measured": "quantity",
        "Value": "{value:.3g}",
        "Bound": bound,
        "Peer and remarks": lambda row: ". ".join(filter(None, (row["peer"], row["note"]))),
    }
    return tabulate([row | each for each in found for row in each["rows"]], columns)


def speed_note(found: list[dict[str, Any]]) -> Note:
    """Say on what machine, with which versions and by which code the benchmarks ran."""
    machine = found[0]["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    commits = ", ".join(sorted({str(each["provenance"]["commit"]) for each in found}))
    changed = sorted({name for each in found for name in changed_code(each.get("code"))})
    return Note(
        "Measured once, on one machine: this library's speed, not a reproduction of the paper's",
        f"{plain(machine['system'])}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{plain(machine['cpu'])}, accelerator: {plain(machine['accelerator'] or 'none')}; Python "
        f"{machine['python']}, {plain(packages)}. Commit {commits}. Medians of ways timed in "
        "turn; ratios carry over to other machines better than times. To measure yours: "
        f"`make bench`.{other_code(changed)}",
        records=[(f"benchmarks/{each['subject']}", digest(each)) for each in found],
    )


def growth_lines(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw time or memory against size, both axes logarithmic: a straight line is a power law.

    `frame` has a row for each thing measured: what, against (what the size counts), unit
    ("seconds" or "MB"), sizes and values (a list each) and exponent, the fitted slope, which the
    legend gives. Rows of several units do not fit one axis and are refused.
    """
    columns = ["what", "against", "exponent", "sizes", "values"]
    figures.require(frame, [*columns, "unit"], "growth")
    units, counted = list(dict.fromkeys(frame["unit"])), list(dict.fromkeys(frame["against"]))
    if len(units) > 1:
        msg = f"growth: expected one unit an axis, got {', '.join(units)}; draw them one by one"
        raise InputError(msg)
    ax = figures.own_axes(ax)
    for place, row in enumerate(frame.to_dict("records")):
        named = row["what"] if len(counted) == 1 else f"{row['what']}, by {row['against']}"
        look = figures.line_style(place) | {"label": f"{named}: exponent {row['exponent']:.2f}"}
        ax.plot(row["sizes"], row["values"], **look)
    size, value = f"size ({', '.join(counted)})", LABELS.get(units[0], units[0])
    ax.set(xscale="log", yscale="log", xlabel=size, ylabel=value)
    _plain_ticks(ax.xaxis, ax.yaxis)
    figures.legend_below(ax, ncols=2)
    ends = (frame.loc[frame["exponent"].agg(find)] for find in ("idxmax", "idxmin"))
    steep, flat = (f"{row['what']}, exponent {row['exponent']:.2f}" for row in ends)
    finding = f"the line is {steep}"
    if len(frame) > 1:
        finding = f"{len(frame)} lines; the steepest is {steep}, the flattest {flat}"
    names = dict(zip(columns, columns, strict=True)) | {"sizes": size, "values": value}
    drawn = figures.tidy("growth", frame.explode(["sizes", "values"]), names)
    return figures.hand_on(ax, drawn, finding)


def ratio_bars(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw each measured value relative to its bound, 1 being the bound: met where left of it.

    `frame` has the columns subject, what, quantity, value, at_most and at_least (missing where
    there is none). A value that must be at least its bound is turned round: bound / value. With
    both bounds it counts by the nearer one. Rows without a bound are left out. A filled dot is
    met, a hollow square not, a caret at the edge is met by more than fifty times.
    """
    columns = ["subject", "what", "quantity", "value", "at_most", "at_least"]
    figures.require(frame, columns, "benchmarks")
    value, most, least = (frame[name].astype(float) for name in columns[3:])
    # `at_least` of a value that is 0 is infinitely far off.
    share = pd.concat([value / most, least / value], axis=1).max(axis=1)
    bounded, shares = frame[share.notna()], share.dropna().to_numpy()
    if bounded.empty:
        msg = "benchmarks: expected rows with a bound, got none; show them as a table"
        raise InputError(msg)
    names = [f"{row.subject}: {row.what}\n{row.quantity}" for row in bounded.itertuples()]
    height = 1.2 + 0.46 * len(names)
    ax = ax or plt.figure(figsize=(9.0, height)).add_subplot()
    places = np.arange(len(names))
    # A difference of 1e-16, or 0, would press all others together: a caret at the edge says so.
    left, right = 0.02, 50.0
    drawn = np.clip(shares, left, right)
    met, off = shares <= 1, shares < left
    ax.hlines(places, np.minimum(drawn, 1), np.maximum(drawn, 1), color="0.75", lw=1.4, zorder=1)
    for chosen, look in (
        (off, MET | {"marker": "<"}),
        (met & ~off, MET | {"label": "met"}),
        (~met, NOT_MET | {"label": "not met", "edgecolor": COLOURS[3], "linewidth": 1.8}),
    ):
        ax.scatter(drawn[chosen], places[chosen], zorder=2, **look)
    ax.axvline(1, color=GREY, lw=1.4, linestyle="--", label="the bound")
    ax.set(xscale="log", xlim=(0.8 * drawn.min(), max(1.6, 1.9 * drawn.max())))
    for place, share in enumerate(shares):
        text = f"{share:.2f}" if share >= 0.01 or share == 0 else f"{share:.0e}"
        _write_beside(ax, text, max(drawn[place], 1), place, color="0.25")
    figures.name_rows(ax, names, "measured value / its bound (ratio)", size=8.5, linespacing=1.15)
    _plain_ticks(ax.xaxis)
    figures.legend_below(ax, drop=0.65 / height)
    worst = int(np.argmax(shares))
    text = f"{int(met.sum())} of {len(names)} ratios meet their bound; "
    text += f"the {'nearest to' if met.all() else 'furthest beyond'} it is "
    text += f"{names[worst]}, at {amount(shares[worst])} times its bound"
    kept = {"measured": map(one_line, names), ax.get_xlabel(): shares}
    kept |= {"met": np.where(met, "yes", "no")}
    return figures.hand_on(ax, pd.DataFrame(kept), text)


def _plain_ticks(*axes: Any) -> None:
    """Write numbers without powers of ten on logarithmic axes."""
    for axis in axes:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(figures.PLAIN)
        axis.set_minor_formatter(NullFormatter())


def _write_beside(ax: Axes, text: str, x: Any, y: Any, **look: Any) -> None:
    """Write a number to the right of its mark."""
    look |= {"textcoords": "offset points", "va": "center", "size": 9}
    ax.annotate(text, (x, y), xytext=(9, 0), **look)


def faults(path: Path | None = None) -> dict[str, Any]:
    """Read what runs left, of each fault the one that tried it most: `provenance` and `rows`.

    Raises InputError where there is none.
    """
    path = path or results().get("faults/faults.json", PUBLISHED / "faults" / "faults.json")
    if not path.is_file():
        msg = f"{path}: expected what `make test-faults` leaves there, found nothing; run it"
        raise InputError(msg)
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def fault_facts(found: dict[str, Any]) -> dict[str, Any]:
    """Count what prose may quote: kinds and groups, and times tried, survived and lost."""
    frame = pd.DataFrame(found["rows"])
    sums = {f"faults.{name}": int(frame[name].sum()) for name in ("tried", "survived", "lost")}
    groups = frame.groupby("group")["tried"].sum()
    by_group = {f"faults.{group}.tried": int(tried) for group, tried in groups.items()}
    return {"faults.kinds": len(frame), "faults.groups": len(groups)} | sums | by_group


def fault_note(found: dict[str, Any]) -> Note:
    """Say on what machine, how long and by which code the faults were planted."""

    def code_now(test: str) -> str | None:
        """Hash the code that a file of tests tries, as it is now."""
        file = ROOT / test
        return digest(code_of_text(file.read_text("utf-8"))) if file.is_file() else None

    made, frame = found["provenance"], pd.DataFrame(found["rows"])
    commits = ", ".join(sorted(frame["commit"].unique()))
    older = sum(
        not row.get("code") or row["code"] != code_now(row["test"]) for row in found["rows"]
    )
    said = f" {older} of {len(frame)} kinds were tried on other code than this clone's."
    return Note(
        "Planted on one machine: how this library fails, not a reproduction of the paper's",
        f"Commit {commits}, songtitle {made['songtitle']}, Python "
        f"{made['python']}, {plain(made['system'])}, {made['cores']} cores; "
        f"{frame['seconds'].sum() / 60:.0f} minutes. To plant them on your machine: "
        f"`make test-faults`; in a few minutes and less often, with `SONGTITLE_FAULTS=few`."
        f"{said if older else ''}",
        records=[("faults/faults", digest(found))],
    )


def fault_dots(faults: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw times tried, logarithmic: a row a group, a hollow dot a fault, a full one their sum.

    `faults` has the columns group, tried and lost. A group in which something was lost has a
    square, also in another colour, for its sum. Groups stand in the order in which they come.
    """
    names = {"what": "what", "group": "group", "tried": "times tried", "lost": "lost"}
    each = figures.tidy("faults", faults.assign(what="one fault"), names)
    sums = faults.groupby("group", sort=False)[["tried", "lost"]].sum().reset_index()
    ax = figures.own_axes(ax, (6.2, 0.5 * len(sums) + 0.5))
    groups = list(sums["group"])
    hollow = {"facecolor": "none", "edgecolor": COLOURS[0], "label": "one fault"}
    ax.scatter(faults["tried"], faults["group"].map(groups.index), s=34, **hollow)
    for those, look in (
        (sums[sums["lost"] == 0], {"color": COLOURS[0], "label": "the group, nothing lost"}),
        (sums[sums["lost"] > 0], {"marker": "s", "color": COLOURS[3], "label": LOST}),
    ):
        if len(those):
            ax.scatter(those["tried"], those.index, s=70, **look)
            for place, tried in those["tried"].items():
                _write_beside(ax, f"{tried:,}", tried, place)
    figures.name_rows(ax, groups, "times tried (logarithmic)")
    ax.set(xscale="log", xlim=(0.7 * faults["tried"].min(), 2.5 * sums["tried"].max()))
    ax.xaxis.set_major_formatter(figures.PLAIN)
    figures.legend_below(ax, drop=1 / (len(sums) + 1))
    order = sums.sort_values("tried", ascending=False, kind="stable")
    said = some([f"{row.group} {row.tried:,}" for row in order.itertuples()], most=8)
    tried, lost = int(sums["tried"].sum()), int(sums["lost"].sum())
    drawn = pd.concat([each, figures.tidy("faults", sums.assign(what="group"), names)])
    found = f"{tried:,} faults were planted, {f'{lost:,}' if lost else 'none'} of them with a loss"
    return figures.hand_on(ax, drawn, f"{found}: {said}.")
