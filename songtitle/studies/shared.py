"""What several pages show: numbers of a record for prose, its rows, how a score was defined."""

from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.fmt import interval


def facts(record: Record) -> dict[str, Any]:
    """Give the numbers of a record that prose may quote, flat: `title_words.test.both`."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif not isinstance(value, list):
            flat[prefix] = value

    walk("", record.result)
    return flat


LEVEL = 0.05  # of a test, and with Holm's correction of all tests of a cell


def frame(record: Record, name: str) -> pd.DataFrame:
    """Give one of the lists of a record's findings as a frame."""
    return pd.DataFrame(record.result[name])


def definition_note(record: Record, *keys: str) -> str:
    """Say which BLEU a record was scored by (all, or some by key), to stand under its table."""
    used = record.settings.get("bleu")
    if not used:
        return "Its record, of an earlier version, does not say by which BLEU."
    chosen = [used[key] for key in keys or used]
    return f"Signature of {'; '.join('{name}: `{signature}`'.format(**each) for each in chosen)}."


def _ends(row: dict[str, Any], prefix: str = "", digits: int = 1) -> str:
    return interval(row[f"{prefix}low"], row[f"{prefix}high"], digits)


def short_name(name: str) -> str:
    """Give the name of an input without what a glue key cannot hold: "timbre", "pictures"."""
    return name.removeprefix("songs: ").split()[0]
