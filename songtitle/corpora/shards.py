"""Pictures from the web: asked for with care, kept in shards, and the lost ones accounted for."""

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from songtitle.corpora import manifest
from songtitle.corpora.captions import read_conceptual_captions
from songtitle.corpora.guarded_http import Limits
from songtitle.corpora.worker import Work
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
    rows = islice(read_conceptual_captions(tsv, faults), count)
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
        source = prepare(tsv, folder, settings, faults, count=count)
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


DISTRIBUTORS = ("multiprocessing", "ray", "pyspark")


def require(distributor: str) -> None:
    """Raise InputError unless there is such a distributor and what it needs is installed."""
    if distributor not in DISTRIBUTORS:
        msg = (
            f"distributor: expected one of {', '.join(DISTRIBUTORS)}, got {distributor!r}; "
            "choose one"
        )
        raise InputError(msg)
    # img2dataset imports imghdr, which Python 3.13 dropped. Its Ray distributor does nothing,
    # silently, where there is no Ray.
    needed = {"img2dataset": "-e '.[pictures]'", "imghdr": "-e '.[pictures]'"}
    if distributor == "ray":
        needed["ray"] = "-e '.[cluster]'"
    if distributor == "pyspark":
        needed["pyspark"] = "-e '.[pictures]' pyspark"
    for module, package in needed.items():
        if importlib.util.find_spec(module) is None:
            msg = (
                f"fetching pictures: expected the module {module}, it is not there; run "
                f"`pip install {package}` in the clone, with Python 3.11 or 3.12"
            )
            raise InputError(msg)


def distribute(
    rows: Path,
    folder: Path,
    done: set[int],
    work: Work,
    *,
    total: int,
    processes: int,
    distributor: str,
) -> None:
    """Make the `total` shards of the Parquet files in `rows`, less those in `done`, in `folder`.

    img2dataset's messages go to standard error. A shard that failed is left out and its error
    printed: look into `folder` for what there is. img2dataset's LoggerProcess is not started; all
    it does is print speeds, and it lives on for ever when the driver is killed.
    """
    with _environment(_variables(work.max_pixels)), contextlib.redirect_stdout(sys.stderr):
        from img2dataset import distributor as distributors
        from img2dataset.reader import Reader

        from songtitle.corpora.worker import COLUMNS, SCRATCH, ShardDownloader

        scratch = folder / SCRATCH
        scratch.mkdir()
        reader = Reader(
            str(rows),
            "parquet",
            url_col="url",
            caption_col="caption",
            verify_hash_col=None,
            verify_hash_type=None,
            save_additional_columns=["row"],
            number_sample_per_shard=work.shard_size,
            done_shards=done,
            tmp_path=str(scratch),
        )
        assert reader.column_list == COLUMNS
        downloader = ShardDownloader(folder, work)
        # Its own bar knows no total, and so no time left. Ray and Spark show their own.
        distributors.tqdm = partial(
            tqdm, total=total - len(done), desc="pictures", unit="shard", disable=None
        )
        hand_out = getattr(distributors, f"{distributor}_distributor")
        with _ray(processes, work) if distributor == "ray" else contextlib.nullcontext():
            hand_out(processes, downloader, reader, 1000, 1)  # 1000 shards a Spark job, 1 retry


def _variables(max_pixels: int) -> dict[str, str]:
    """What keeps img2dataset's libraries off the network, for this process and its workers."""
    return {
        "NO_ALBUMENTATIONS_UPDATE": "1",  # on a cluster, img2dataset may come before songtitle
        "WANDB_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(max_pixels),  # read by OpenCV when it is loaded
    }


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ray(processes: int, work: Work) -> Iterator[None]:
    """A Ray session: the caller's, or the cluster that RAY_ADDRESS names, or one of our own."""
    import ray

    if ray.is_initialized():
        yield
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(runtime_env={"env_vars": _variables(work.max_pixels)})
    else:
        # "local": else Ray joins what cluster was last started on this machine, even a dead one.
        ray.init(address="local", num_cpus=processes, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()
