"""A table of addresses cut into what img2dataset reads, and remembered with its settings.

A folder of shards belongs to one table under one set of settings for good: `source/` in it holds
the rows as Parquet files and `source.json` what they were made from.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from songtitle import manifest
from songtitle.datasets import conceptual_captions
from songtitle.errors import InputError
from songtitle.rows import Fault, Faults

SOURCE = "source"
PART = 100_000  # rows of one Parquet file, about: img2dataset's reader holds a whole one


@dataclass(frozen=True)
class Source:
    """The rows to ask for, as they lie in `folder/source`."""

    folder: Path
    rows: int
    shards: int


def prepare(
    tsv: Path, folder: Path, settings: Mapping[str, Any], faults: Faults, *, count: int | None
) -> Source:
    """Write the table's first `count` whole rows to `folder/source`, once.

    A second call with the same table and settings reads what is there and adds the faults counted
    then. `settings` must hold `shard_size` and be what JSON can hold. Raises InputError when the
    table has no row, when the folder was begun with another table or other settings, and when it
    holds tar files of somebody else.
    """
    shard_size = settings["shard_size"]
    place = folder / SOURCE
    given = {"sha256": _sha256(tsv), "count": count, **settings}
    if not (place / "source.json").exists():
        if any(folder.glob("*.tar")):
            msg = f"{folder}: expected a folder of its own, got one with tar files; name another"
            raise InputError(msg)
        scratch = folder / f".{SOURCE}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        found = Faults()
        rows = _write(tsv, scratch, shard_size, count, found)
        if rows == 0:
            msg = f"{tsv}: expected rows of caption, tab and address, got none; name another file"
            raise InputError(msg)
        made = {"table": tsv.name, "settings": given, "rows": rows, "faults": found.as_dict()}
        text = json.dumps(made, indent=2, sort_keys=True)
        (scratch / "source.json").write_text(text, encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        os.replace(scratch, place)
    record = _read_record(place / "source.json")
    for name, value in given.items():
        before = record["settings"].get(name)
        if before != value:
            msg = (
                f"{folder}: expected {name} {before} as when it was begun with {record['table']}, "
                f"got {value}; ask for the same or name another folder"
            )
            raise InputError(msg)
    _add(record["faults"], faults)
    return Source(place, record["rows"], -(-record["rows"] // shard_size))


def _sha256(tsv: Path) -> str:
    try:
        return manifest.sha256(tsv)
    except OSError as error:
        msg = f"{tsv}: expected a table of captions and addresses, got '{error.strerror}'; fetch it"
        raise InputError(msg) from error


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = record["settings"], record["rows"], record["faults"], record["table"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: expected the record of a fetch, got '{error}'; begin in another folder"
        raise InputError(msg) from error
    return record


def _write(tsv: Path, folder: Path, shard_size: int, count: int | None, faults: Faults) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A file's last shard may be short, so every file but the last holds whole shards.
    per_file = max(PART // shard_size, 1) * shard_size
    rows = islice(conceptual_captions.read(tsv, faults), count)
    total = 0
    for part, chunk in enumerate(_chunks(rows, per_file)):
        numbers, captions, urls = zip(*chunk, strict=True)
        table = pa.table(
            {"row": pa.array(numbers, pa.int64()), "caption": captions, "url": urls},
        )
        pq.write_table(table, folder / f"{part:05d}.parquet")
        total += len(chunk)
    return total


def _chunks(
    rows: Iterator[tuple[int, str, str]], size: int
) -> Iterator[list[tuple[int, str, str]]]:
    while chunk := list(islice(rows, size)):
        yield chunk


def _add(record: Mapping[str, Any], faults: Faults) -> None:
    faults.counts.update(record["counts"])
    faults.kept += record["kept"]
    faults.skipped += record["skipped"]
    faults.examples.extend(Fault(**example) for example in record["examples"])
