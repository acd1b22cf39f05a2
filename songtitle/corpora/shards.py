"""Pictures from the web: asked for by img2dataset with care, and kept in WebDataset shards."""

import contextlib
import importlib.util
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from filelock import FileLock, Timeout

from songtitle.corpora import manifest
from songtitle.corpora.captions import read_conceptual_captions
from songtitle.corpora.guarded_http import Limits
from songtitle.errors import InputError
from songtitle.rows import Fault, Faults

SOURCE = "source"  # the folder of the rows to ask for
PART = 100_000  # rows of one Parquet file, about: img2dataset's reader holds a whole one
ENDINGS = (".tar", ".parquet", "_stats.json")  # of a shard's files, in the order of their coming
MOST_SHARDS = 100_000  # their numbers have five digits
PACKAGES = {  # what each way to share out the work needs, by module, and how to install it
    # img2dataset imports imghdr, which Python 3.13 dropped. Its Ray distributor does nothing,
    # silently, where there is no Ray.
    "multiprocessing": {"img2dataset": "-e '.[pictures]'", "imghdr": "-e '.[pictures]'"},
    "ray": {"ray": "-e '.[cluster]'"},
    "pyspark": {"pyspark": "-e '.[pictures]' pyspark"},
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """What lies in a folder when a fetch is done."""

    folder: Path
    rows: int  # addresses asked, once at least
    shards: int
    pictures: int  # that came and are large enough


def fetch(
    tsv: Path,
    folder: Path,
    *,
    faults: Faults,
    limits: Limits | None = None,
    count: int | None = None,
    shard_size: int = 1000,
    processes: int | None = None,
    threads: int = 32,
    distributor: str = "multiprocessing",
) -> Fetched:
    """Ask for the picture of every row of `tsv` and put what comes into shards in `folder`.

    Pictures keep their own size; a JPEG keeps its bytes, other kinds become JPEG at quality 95.
    One whose shorter side has fewer than `limits.min_side` pixels is left out and counted. `count`
    takes the first rows only; rows that cannot be read are counted in `faults`.

    A second call goes on where the first ended, were it by SIGKILL: finished shards are not asked
    for again. Equal answers give equal tar and Parquet files, whatever the number of `processes`
    (one for each core by default) and `threads` and whichever the `distributor`.

    Raises InputError when the table or a setting is not as before in this folder, when another
    fetch is at work in it, when img2dataset is not installed, and when a shard failed as a whole.
    """
    require(distributor)
    limits = limits or Limits()
    processes = processes or os.cpu_count() or 1
    settings = {
        "shard_size": shard_size,
        "min_side": limits.min_side,
        "max_bytes": limits.max_bytes,
        "max_pixels": limits.max_pixels,
    }
    asked = {**settings, "threads": threads, "processes": processes, "count": count}
    for name, value in asked.items():
        if value is not None and value < 1:
            msg = f"{name}: expected 1 or more, got {value}; raise it"
            raise InputError(msg)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        rows = prepare(tsv, folder, settings, faults, count=count)
        total = -(-rows // shard_size)
        if total > MOST_SHARDS:
            msg = f"shard_size: expected at most 100,000 shards, got {total:,}; raise it"
            raise InputError(msg)
        _remove_leftovers(folder)
        done = finished(folder)
        log.info("%s: %d of %d shards are there", folder, len(done), total)
        if len(done) < total:
            variables = {  # what keeps img2dataset's libraries off the network, here and in workers
                "NO_ALBUMENTATIONS_UPDATE": "1",  # img2dataset may come before songtitle
                "WANDB_MODE": "disabled",
                "RAY_USAGE_STATS_ENABLED": "0",
                "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.max_pixels),  # read by OpenCV when loaded
            }
            with patch.dict(os.environ, variables), contextlib.redirect_stdout(sys.stderr):
                from songtitle.corpora.worker import ShardDownloader, distribute

                downloader = ShardDownloader(folder, limits, shard_size, threads)
                distribute(
                    downloader,
                    folder / SOURCE,
                    done,
                    total=total,
                    processes=processes,
                    distributor=distributor,
                    variables=variables,
                )
            _remove_leftovers(folder)
            done = finished(folder)
    if len(done) < total:
        msg = (
            f"{folder}: expected {total} finished shards, got {len(done)}; the log says "
            "why; call again to go on"
        )
        raise InputError(msg)
    return Fetched(folder, rows, total, sum(stats(folder, each)["successes"] for each in done))


def require(distributor: str) -> None:
    """Raise InputError unless there is such a distributor and what it needs is installed."""
    if distributor not in PACKAGES:
        known = ", ".join(PACKAGES)
        msg = f"distributor: expected one of {known}, got {distributor!r}; choose one"
        raise InputError(msg)
    for module, package in (PACKAGES["multiprocessing"] | PACKAGES[distributor]).items():
        if importlib.util.find_spec(module) is None:
            msg = (
                f"fetching pictures: expected the module {module}, it is not there; run "
                f"`pip install {package}` in the clone, with Python 3.11 or 3.12"
            )
            raise InputError(msg)


def prepare(
    tsv: Path, folder: Path, settings: Mapping[str, int], faults: Faults, *, count: int | None
) -> int:
    """Write the table's first `count` whole rows to `folder/source`, once; how many there are.

    A second call with the same table and settings reads what is there and adds the faults counted
    then. Raises InputError when the table has no row, when the folder was begun with another table
    or other settings, and when it holds tar files of somebody else.
    """
    place, about = folder / SOURCE, folder / SOURCE / "source.json"
    try:
        given = {"sha256": manifest.sha256(tsv), "count": count, **settings}
    except OSError as error:
        msg = f"{tsv}: expected a table of captions and addresses, got '{error.strerror}'; fetch it"
        raise InputError(msg) from error
    if not about.exists():
        if any(folder.glob("*.tar")):
            msg = f"{folder}: expected a folder of its own, got one with tar files; name another"
            raise InputError(msg)
        scratch = folder / f".{SOURCE}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        found = Faults()
        rows = _write_rows(tsv, scratch, settings["shard_size"], count, found)
        if rows == 0:
            msg = f"{tsv}: expected rows of caption, tab and address, got none; name another file"
            raise InputError(msg)
        made = {"table": tsv.name, "settings": given, "rows": rows, "faults": found.as_dict()}
        text = json.dumps(made, indent=2, sort_keys=True)
        (scratch / about.name).write_text(text, encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        os.replace(scratch, place)
    try:
        record = json.loads(about.read_text(encoding="utf-8"))
        before, table, told = record["settings"], record["table"], record["faults"]
        rows = record["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{about}: expected the record of a fetch, got '{error}'; begin in another folder"
        raise InputError(msg) from error
    for name, value in given.items():
        if before.get(name) != value:
            msg = (
                f"{folder}: expected {name} {before.get(name)} as when it was begun with {table}, "
                f"got {value}; ask for the same or name another folder"
            )
            raise InputError(msg)
    faults.counts.update(told["counts"])
    faults.kept += told["kept"]
    faults.skipped += told["skipped"]
    faults.examples.extend(Fault(**example) for example in told["examples"])
    return int(rows)


def _write_rows(tsv: Path, folder: Path, shard_size: int, count: int | None, faults: Faults) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A file's last shard may be short, so every file but the last holds whole shards.
    per_file = max(PART // shard_size, 1) * shard_size
    rows = islice(read_conceptual_captions(tsv, faults), count)
    total = 0
    for part, chunk in enumerate(iter(lambda: list(islice(rows, per_file)), [])):
        numbers, captions, urls = zip(*chunk, strict=True)
        columns = {"row": pa.array(numbers, pa.int64()), "caption": captions, "url": urls}
        pq.write_table(pa.table(columns), folder / f"{part:05d}.parquet")
        total += len(chunk)
    return total


def finished(folder: Path) -> set[int]:
    """The numbers of the shards that are whole."""
    numbers = (path.name.removesuffix("_stats.json") for path in folder.glob("*_stats.json"))
    return {
        int(number)
        for number in numbers
        if number.isdigit() and all((folder / f"{number}{end}").exists() for end in ENDINGS)
    }


def stats(folder: Path, number: int) -> dict[str, Any]:
    """What img2dataset wrote about a shard: counts, and its start and end in Unix seconds."""
    path = folder / f"{number:05d}_stats.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: expected a shard's statistics, got '{error}'; delete the file and fetch"
        raise InputError(msg) from error
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The only fetch in `folder`; the system frees the lock of a killed one."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        msg = f"{folder}: expected no other fetch at work here, there is one; wait for its end"
        raise InputError(msg) from error


def _remove_leftovers(folder: Path) -> None:
    """Delete what a killed run left: scratch files, and tars without their statistics."""
    shutil.rmtree(folder / "_tmp", ignore_errors=True)
    whole = finished(folder)
    for ending in ENDINGS:
        for path in folder.glob(f"[0-9][0-9][0-9][0-9][0-9]{ending}"):
            if int(path.name[:5]) not in whole:
                path.unlink()
