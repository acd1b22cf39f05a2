"""What the benchmarks measured, as tables and as numbers behind figures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from songtitle.cache import changed_code, digest, results
from songtitle.errors import InputError
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
