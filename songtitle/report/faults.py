"""What `make test-faults` found: planted faults and what became of them, as table and numbers."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from songtitle.cache import PUBLISHED, ROOT, code_of_text, digest, results
from songtitle.errors import InputError
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
