"""What pages 08 and 18 show: how fast this is, and what it survives."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from songtitle.cache import PUBLISHED, ROOT, changed_code, code_of_text, digest, results
from songtitle.errors import InputError
from songtitle.figures.findings import amount, hand_on, one_line, some, tidy
from songtitle.figures.style import COLOURS, GREY, MARKERS, own_axes, require
from songtitle.tables import Note, other_code, plain


def benchmarks(files: Mapping[str, Path] | None = None) -> list[dict[str, Any]]:
    """Read what each subject left, in alphabetical order.

    Raises InputError where nothing was kept.
    """
    files = results() if files is None else files
    kept = [path for name, path in files.items() if name.startswith("benchmarks/")]
    found = [json.loads(path.read_text("utf-8")) for path in kept]
    if not found:
        msg = "benchmarks: expected what `make bench` leaves, found nothing; run it"
        raise InputError(msg)
    return found


def ratios(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Give one row for each measured ratio: `subject` and the fields of a benchmark's row."""
    return pd.DataFrame(
        [{"subject": each["subject"], **row} for each in found for row in each["rows"]]
    )


def growths(found: list[dict[str, Any]], unit: str) -> pd.DataFrame:
    """Give one row for each growth measured in `unit` ("seconds" or "MB"), with its exponent."""
    rows = [{"subject": each["subject"], **growth} for each in found for growth in each["growth"]]
    return pd.DataFrame([row for row in rows if row["unit"] == unit])


def ratio_table(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Tabulate every ratio, what it must reach, and whom it is compared with."""
    rows = [
        {
            "Case": f"{row.subject}: {row.what}",
            "What is measured": row.quantity,
            "Value": f"{row.value:.3g}",
            "Bound": _bound(row.at_most, row.at_least, row.met),
            "Peer and remarks": ". ".join(part for part in (row.peer, row.note) if part),
        }
        for row in ratios(found).itertuples()
    ]
    return pd.DataFrame(rows, dtype=object)


def speed_note(found: list[dict[str, Any]]) -> Note:
    """Say on what machine, with which versions and by which code the benchmarks ran."""
    machine, made = found[0]["machine"], [each["provenance"] for each in found]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    commits = ", ".join(sorted({str(each["commit"]) for each in made}))
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


def _bound(most: float | None, least: float | None, met: bool) -> str:
    sides = [
        f"{word} {value:g}"
        for word, value in (("at most", most), ("at least", least))
        if value is not None and value == value  # in a frame, what is absent may be NaN
    ]
    return f"{' and '.join(sides)}: {'met' if met else 'missed'}" if sides else "none"


LABELS = {"seconds": "time (s)", "MB": "memory (MB)"}


def growth_lines(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Time or memory against size, both axes logarithmic: a straight line is a power law.

    `frame` has a row for each thing measured: what, against (what the size counts), unit
    ("seconds" or "MB"), sizes and values (a list each) and exponent, the fitted slope, which the
    legend gives. Rows of several units do not fit one axis and are refused.
    """
    require(frame, ["what", "against", "unit", "sizes", "values", "exponent"], "growth")
    units, counted = list(dict.fromkeys(frame["unit"])), list(dict.fromkeys(frame["against"]))
    if len(units) > 1:
        msg = f"growth: expected one unit an axis, got {', '.join(units)}; draw them one by one"
        raise InputError(msg)
    ax = own_axes(ax)
    dashes = ["-", (0, (7, 1.5)), "-.", (0, (9, 2, 2, 2, 2, 2)), (0, (2, 1)), (0, (12, 2))]
    for place, row in enumerate(frame.to_dict("records")):
        named = row["what"] if len(counted) == 1 else f"{row['what']}, by {row['against']}"
        (line,) = ax.plot(
            row["sizes"],
            row["values"],
            linestyle=dashes[place % len(dashes)],
            marker=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            markersize=6,
            lw=1.7,
        )
        line.set_label(f"{named}: exponent {row['exponent']:.2f}")
    ax.set(xscale="log", yscale="log")
    _plain_ticks(ax)
    ax.set(xlabel=f"size ({', '.join(counted)})", ylabel=LABELS.get(units[0], units[0]))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    steep, flat = (
        frame.loc[find(frame["exponent"])] for find in (pd.Series.idxmax, pd.Series.idxmin)
    )
    many = f"{len(frame)} lines; the steepest is" if len(frame) > 1 else "the line is"
    text = f"{many} {steep['what']}, exponent {steep['exponent']:.2f}"
    if len(frame) > 1:
        text += f", the flattest {flat['what']}, exponent {flat['exponent']:.2f}"
    columns = ["what", "against", "exponent", "sizes", "values"]
    names = {name: name for name in columns} | {"sizes": ax.get_xlabel(), "values": ax.get_ylabel()}
    return hand_on(ax, tidy(frame.explode(["sizes", "values"]), names), text)


def ratio_bars(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Each measured value relative to its bound, 1 being the bound: met where left of it.

    `frame` has the columns subject, what, quantity, value, at_most and at_least (missing where
    there is none). A value that must be at least its bound is turned round: bound / value. With
    both bounds it counts by the nearer one. Rows without a bound are left out. A filled dot is
    met, a hollow square not, a caret at the edge is met by more than fifty times.
    """
    columns = ["subject", "what", "quantity", "value", "at_most", "at_least"]
    require(frame, columns, "benchmarks")
    bounded = list(_relative(frame))
    if not bounded:
        msg = "benchmarks: expected rows with a bound, got none; show them as a table"
        raise InputError(msg)
    names, shares = [name for name, _ in bounded], np.array([share for _, share in bounded])
    height = 1.2 + 0.46 * len(names)
    if ax is None:
        _, ax = plt.subplots(figsize=(9.0, height))
    places = np.arange(len(names))
    # A difference of 1e-16, or 0, would press all others together: a caret at the edge says so.
    left, right = 0.02, 50.0
    drawn = np.clip(shares, left, right)
    met, off = shares <= 1, shares < left
    ax.hlines(places, np.minimum(drawn, 1), np.maximum(drawn, 1), color="0.75", lw=1.4, zorder=1)
    ax.scatter(drawn[off], places[off], s=42, marker="<", color=COLOURS[0], zorder=2)
    ax.scatter(drawn[met & ~off], places[met & ~off], s=42, color=COLOURS[0], zorder=2, label="met")
    ax.scatter(
        drawn[~met],
        places[~met],
        s=46,
        marker="s",
        facecolor="white",
        edgecolor=COLOURS[3],
        linewidth=1.8,
        zorder=2,
        label="not met",
    )
    ax.axvline(1, color=GREY, lw=1.4, linestyle="--", label="the bound")
    ends = (0.8 * drawn.min(), max(1.6, 1.9 * drawn.max()))
    ax.set(xscale="log", xlim=ends, ylim=(len(names) - 0.5, -0.5))
    for place, share in enumerate(shares):
        ax.annotate(
            f"{share:.2f}" if share >= 0.01 or share == 0 else f"{share:.0e}",
            (max(drawn[place], 1), place),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            size=9,
            color="0.25",
        )
    _plain_ticks(ax, vertical=False)
    ax.set_yticks(places, names, parse_math=False, size=8.5, linespacing=1.15)
    ax.set(xlabel="measured value / its bound (ratio)", ylabel="")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.65 / height), ncols=3, frameon=False)
    worst = int(np.argmax(shares))
    text = f"{int(met.sum())} of {len(names)} ratios meet their bound; "
    text += "the furthest beyond it is " if not met.all() else "the nearest to it is "
    text += f"{names[worst]}, at {amount(shares[worst])} times its bound"
    kept = {"measured": map(one_line, names), ax.get_xlabel(): shares, "met": met}
    return hand_on(ax, pd.DataFrame(kept).replace({True: "yes", False: "no"}), one_line(text))


def _relative(frame: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Name and share of its bound of every row that has one; met where at most 1."""
    for row in frame.to_dict("records"):
        shares = []
        if pd.notna(row["at_most"]):
            shares.append(row["value"] / row["at_most"])
        if pd.notna(row["at_least"]):
            shares.append(row["at_least"] / row["value"] if row["value"] else np.inf)
        if shares:
            yield f"{row['subject']}: {row['what']}\n{row['quantity']}", float(max(shares))


def _plain_ticks(ax: Axes, *, vertical: bool = True) -> None:
    """Numbers written out, 0.02 and 2,000 rather than powers of ten, at 1, 2 and 5."""
    for axis in [ax.xaxis, *([ax.yaxis] if vertical else [])]:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())


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


def fault_frame(found: dict[str, Any]) -> pd.DataFrame:
    """Give one row for each fault: `group, name, outcome, tried, survived, lost, seconds`."""
    return pd.DataFrame(found["rows"])


def fault_table(found: dict[str, Any]) -> pd.DataFrame:
    """Tabulate every fault, how often it was planted, and what a reader gets instead of a loss."""
    columns = {
        "name": "What happens when …",
        "outcome": "What you get",
        "tried": "Tried",
        "survived": "Survived",
        "lost": "Lost",
    }
    return fault_frame(found)[list(columns)].rename(columns=columns).astype(object)


def fault_facts(found: dict[str, Any]) -> dict[str, Any]:
    """Count what prose may quote: kinds and groups, and times tried, survived and lost."""
    frame = fault_frame(found)
    sums = {f"faults.{name}": int(frame[name].sum()) for name in ("tried", "survived", "lost")}
    groups = frame.groupby("group")["tried"].sum()
    by_group = {f"faults.{group}.tried": int(tried) for group, tried in groups.items()}
    return {"faults.kinds": len(frame), "faults.groups": len(groups)} | sums | by_group


def fault_note(found: dict[str, Any]) -> Note:
    """Say on what machine, how long and by which code the faults were planted."""
    made, frame = found["provenance"], fault_frame(found)
    commits = ", ".join(sorted(frame["commit"].unique()))
    older = sum(
        not row.get("code") or row["code"] != _code_now(row["test"]) for row in found["rows"]
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


def _code_now(test: str) -> str | None:
    """Hash the code that a file of tests tries, as it is now."""
    file = ROOT / test
    return digest(code_of_text(file.read_text("utf-8"))) if file.is_file() else None


def fault_dots(faults: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Times tried on a logarithmic axis: a row a group, a hollow dot a fault, a full one their sum.

    `faults` has the columns group, tried and lost. A group in which something was lost has a
    square, also in another colour, for its sum. Groups stand in the order in which they come.
    """
    require(faults, ["group", "tried", "lost"], "faults")
    sums = faults.groupby("group", sort=False)[["tried", "lost"]].sum()
    ax = own_axes(ax, (6.2, 0.5 * len(sums) + 0.5))
    height = {group: place for place, group in enumerate(sums.index)}
    ax.scatter(
        faults["tried"],
        faults["group"].map(height),
        s=34,
        facecolor="none",
        edgecolor=COLOURS[0],
        label="one fault",
    )
    for lost, marker, colour, label in (
        (False, "o", COLOURS[0], "the group, nothing lost"),
        (True, "s", COLOURS[3], "the group, something lost"),
    ):
        those = sums[(sums["lost"] > 0) == lost]
        if len(those):
            places = those.index.map(height)
            ax.scatter(those["tried"], places, s=70, marker=marker, color=colour, label=label)
            for tried, place in zip(those["tried"], places, strict=True):
                ax.annotate(
                    f"{tried:,}",
                    (tried, place),
                    xytext=(9, 0),
                    textcoords="offset points",
                    va="center",
                    size=9,
                )
    ax.set(xscale="log", xlabel="times tried (logarithmic)", ylabel="")
    ax.set_xlim(0.7 * faults["tried"].min(), 2.5 * sums["tried"].max())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_yticks(list(height.values()), list(height), parse_math=False)
    ax.set_ylim(len(sums) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    below = (0.5, -1 / (len(sums) + 1))
    ax.legend(loc="upper center", bbox_to_anchor=below, ncols=3, frameon=False)
    names = {"what": "what", "group": "group", "tried": "times tried", "lost": "lost"}
    drawn = pd.concat([faults.assign(what="one fault"), sums.reset_index().assign(what="group")])
    return hand_on(ax, tidy(drawn, names), _finding(sums))


def _finding(sums: pd.DataFrame) -> str:
    """The groups by size, and what was lost, in words."""
    order = sums.sort_values("tried", ascending=False, kind="stable")
    groups = some([f"{group} {row['tried']:,}" for group, row in order.iterrows()], most=8)
    lost = int(sums["lost"].sum())
    return (
        f"{int(sums['tried'].sum()):,} faults were planted, {f'{lost:,}' if lost else 'none'} of "
        f"them with a loss: {groups}."
    )
