"""Page 18, faults: what was tried and what survived."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from songtitle.cache import PUBLISHED, ROOT, code_of_text, digest, results
from songtitle.errors import InputError
from songtitle.figures.findings import hand_on
from songtitle.figures.style import COLOURS, own_axes, require
from songtitle.figures.wording import some, tidy
from songtitle.tables import Note, plain


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
