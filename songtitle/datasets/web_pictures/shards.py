"""Captioned pictures from the web: asked for by img2dataset, kept in WebDataset shards.

A shard is `NNNNN.tar` (of each picture `KEY.jpg`, `KEY.txt`, `KEY.json`), `NNNNN.parquet` (one row
for every address, also where no picture came, and why) and `NNNNN_stats.json`, written last: a
shard that has it is whole.

On a Ray cluster, songtitle installed on every node and the folder shared between them::

    pip install -e ".[cluster]"  # in a clone
    ray start --head    # on one node; on the others: ray start --address=HEAD:6379
    RAY_ADDRESS=auto python -c "...; shards.fetch(tsv, folder, distributor='ray')"

On Spark likewise (pyspark is not among songtitle's extras)::

    pip install -e ".[pictures]" pyspark
    export OPTIONS="--conf spark.executorEnv.NO_ALBUMENTATIONS_UPDATE=1"
    spark-submit --master spark://HEAD:7077 $OPTIONS script.py  # opens a SparkSession, then calls
    shards.fetch(tsv, folder, distributor="pyspark")
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from songtitle.datasets.web_pictures import addresses
from songtitle.datasets.web_pictures.distribution import distribute, require
from songtitle.datasets.web_pictures.guarded_http import Limits
from songtitle.datasets.web_pictures.work import Work
from songtitle.errors import InputError
from songtitle.rows import Faults

MIN_SIDE = 401  # pixels; the paper keeps pictures "of which both dimensions are greater than 400"
ENDINGS = (".tar", ".parquet", "_stats.json")
MOST_SHARDS = 100_000  # their numbers have five digits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """What lies in a folder when a fetch is done."""

    folder: Path
    rows: int  # addresses asked, once at least
    shards: int
    pictures: int  # that came and are large enough


@dataclass(frozen=True)
class WebPicture:
    """A picture from the web and what it shows."""

    id: str  # digits: shard and place in it
    caption: str
    group: str  # the caption's words in lower case: keep a group on one side of a split
    picture: bytes  # JPEG
    url: str
    width: int  # pixels
    height: int


def fetch(
    tsv: Path,
    folder: Path,
    *,
    faults: Faults,
    count: int | None = None,
    shard_size: int = 1000,
    processes: int | None = None,
    threads: int = 32,
    timeout: float = 20.0,
    retries: int = 1,
    distributor: str = "multiprocessing",
    min_side: int = MIN_SIDE,
    max_bytes: int = 50_000_000,
    max_pixels: int = 50_000_000,
    allow_private: Collection[str] = (),
) -> Fetched:
    """Ask for the picture of every row of `tsv` and put what comes into shards in `folder`.

    Pictures keep their own size; a JPEG keeps its bytes, other kinds become JPEG at quality 95.
    One whose shorter side has fewer than `min_side` pixels is left out and counted. `timeout` is
    the seconds for one try at one picture, `max_bytes` and `max_pixels` what it may weigh; `count`
    takes the first rows only. Addresses that are not on the public internet are refused, except
    the "host:port" named in `allow_private`. Rows that cannot be read are counted in `faults`.

    A second call goes on where the first ended, were it by SIGKILL: finished shards are not asked
    for again. Equal answers give equal tar and Parquet files, whatever the number of `processes`
    (one for each core by default) and `threads` and whichever the `distributor`.

    Raises InputError when the table or a setting is not as before in this folder, when another
    fetch is at work in it, when img2dataset is not installed, and when a shard failed as a whole.
    """
    require(distributor)
    allowed = (allow_private,) if isinstance(allow_private, str) else tuple(allow_private)
    limits = Limits(timeout=timeout, max_bytes=max_bytes, allow_private=allowed)
    work = Work(
        limits=limits,
        min_side=min_side,
        max_pixels=max_pixels,
        shard_size=shard_size,
        threads=threads,
        retries=retries,
    )
    processes = processes or os.cpu_count() or 1
    _check(work, processes=processes, count=count)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "shard_size": shard_size,
        "min_side": min_side,
        "max_bytes": max_bytes,
        "max_pixels": max_pixels,
    }
    with _alone(folder):
        source = addresses.prepare(tsv, folder, settings, faults, count=count)
        if source.shards > MOST_SHARDS:
            msg = f"shard_size: expected at most 100,000 shards, got {source.shards:,}; raise it"
            raise InputError(msg)
        _remove_leftovers(folder)
        done = finished(folder)
        log.info("%s: %d of %d shards are there", folder, len(done), source.shards)
        if len(done) < source.shards:
            distribute(
                source.folder,
                folder,
                done,
                work,
                total=source.shards,
                processes=processes,
                distributor=distributor,
            )
        _remove_leftovers(folder)
        done = finished(folder)
    if len(done) < source.shards:
        msg = (
            f"{folder}: expected {source.shards} finished shards, got {len(done)}; the log says "
            "why; call again to go on"
        )
        raise InputError(msg)
    pictures = sum(stats(folder, number)["successes"] for number in done)
    return Fetched(folder, source.rows, source.shards, pictures)


def load(folder: Path, *, verify: bool = False) -> Iterator[WebPicture]:
    """The pictures of all finished shards in `folder`, in the order of the table they came from.

    `verify` compares each picture with its sha256 and each shard with the number of pictures in
    its statistics. Raises InputError naming the shard, and the picture, where one differs, where a
    tar is torn, and when `folder` has no finished shard.
    """
    numbers = sorted(finished(folder))
    if not numbers:
        msg = f"{folder}: expected shards of pictures, got none; fetch them first"
        raise InputError(msg)
    for number in numbers:
        path = folder / f"{number:05d}.tar"
        expected = stats(folder, number)["successes"]
        found = 0
        for key, parts in _samples(path):
            found += 1
            yield _picture(path, key, parts, verify=verify)
        if verify and found != expected:
            msg = f"{path}: expected {expected} pictures, got {found}; delete the shard and fetch"
            raise InputError(msg)


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The files of a shard by key; img2dataset writes those of one key side by side."""
    last, parts = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                if key != last and parts:
                    yield last, parts
                    parts = {}
                content = tar.extractfile(member)
                parts[ending] = content.read() if content else b""
                last = key
    except (OSError, tarfile.TarError) as error:
        msg = f"{path}: expected a whole tar file, got '{error}'; delete the shard and fetch"
        raise InputError(msg) from error
    if parts:
        yield last, parts


def _picture(path: Path, key: str, parts: dict[str, bytes], *, verify: bool) -> WebPicture:
    try:
        about, caption, picture = json.loads(parts["json"]), parts["txt"].decode(), parts["jpg"]
        width, height, url, sha256 = (about[n] for n in ("width", "height", "url", "sha256"))
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path}: {key}: expected jpg, txt and json, got '{error}'; delete the shard and fetch"
        )
        raise InputError(msg) from error
    if verify and (came := hashlib.sha256(picture).hexdigest()) != sha256:
        msg = f"{path}: {key}: expected sha256 {sha256}, got {came}; delete the shard and fetch"
        raise InputError(msg)
    group = " ".join(re.findall(r"\w+", caption.lower())) or caption
    return WebPicture(key, caption, group, picture, url, width, height)


def finished(folder: Path) -> set[int]:
    """The numbers of the shards that are whole."""
    numbers = {
        int(path.name.removesuffix("_stats.json"))
        for path in folder.glob("[0-9]*_stats.json")
        if path.name.removesuffix("_stats.json").isdigit()
    }
    return {n for n in numbers if all((folder / f"{n:05d}{end}").exists() for end in ENDINGS)}


def stats(folder: Path, number: int) -> dict[str, Any]:
    """What img2dataset wrote about a shard: counts, and its start and end in Unix seconds."""
    path = folder / f"{number:05d}_stats.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: expected a shard's statistics, got '{error}'; delete the file and fetch"
        raise InputError(msg) from error
    return found


def _check(work: Work, *, processes: int, count: int | None) -> None:
    numbers = {
        "shard_size": work.shard_size,
        "threads": work.threads,
        "processes": processes,
        "min_side": work.min_side,
        "max_pixels": work.max_pixels,
        "max_bytes": work.limits.max_bytes,
        "count": count,
    }
    for name, value in numbers.items():
        if value is not None and value < 1:
            msg = f"{name}: expected 1 or more, got {value}; raise it"
            raise InputError(msg)


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
    whole = {f"{number:05d}{ending}" for number in finished(folder) for ending in ENDINGS}
    for ending in ENDINGS:
        for path in folder.glob(f"[0-9][0-9][0-9][0-9][0-9]{ending}"):
            if path.name not in whole:
                path.unlink()
