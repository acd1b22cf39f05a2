"""WebDataset shards: pictures fetched from the web into them, shards found, and what lies in each.

A shard is a plain tar; the files `KEY.jpg` and `KEY.txt` in it are one example. img2dataset asks
for the pictures, with care (see `worker`).
"""

import contextlib
import glob
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from filelock import FileLock, Timeout

from songtitle.corpora import manifest
from songtitle.corpora.captions import read_conceptual_captions
from songtitle.corpora.guarded_http import Limits
from songtitle.errors import InputError
from songtitle.machine import end_with_parent
from songtitle.rows import Faults

SOURCE = "source"  # the folder of the rows to ask for
PART = 100_000  # rows of one Parquet file, about: img2dataset's reader holds a whole one
ENDINGS = (".tar", ".parquet", "_stats.json")  # of a shard's files, in the order of their coming
MOST_SHARDS = 100_000  # their numbers have five digits
PACKAGES = {  # what each way to share out the work needs, by module, and how to install it
    # img2dataset imports imghdr, which Python 3.13 dropped. Its Ray distributor does nothing,
    # silently, where there is no Ray.
    "multiprocessing": {"img2dataset": "-e '.[pictures]'", "imghdr": "-e '.[pictures]'"},
    "ray": {"ray": "-e '.[cluster]'"},
    "pyspark": {"pyspark": "-e '.[spark]'"},
}
PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
INDEXES = "shard_indexes"  # below the data home: the indexes of all shards
CAPTIONS = ("txt", "json")  # of a JSON object, its "caption"
FORM = 2  # of a kept index
BLOCK = 512  # bytes; POSIX.1-1988, ustar
FAR = 8  # shards; fewer are read sooner than other processes start

log = logging.getLogger(__name__)


def at_least(least: int, **values: int | None) -> None:
    """Raise InputError for a value below `least`, by its name; None is left out."""
    for name, value in values.items():
        if value is not None and value < least:
            msg = f"{name}: expected {least} or more, got {value}; raise it"
            raise InputError(msg)


def check_same(place: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError for the first of the settings `now` that `place` was not begun with."""
    for name, value in now.items():
        was = before.get(name)
        if was == value:
            continue
        if isinstance(was, dict) and isinstance(value, dict):  # only what differs is shown
            names = [key for key in {**was, **value} if was.get(key) != value.get(key)]
            was, value = ({key: side.get(key) for key in names} for side in (was, value))
        msg = f"{place}: expected {name} as when it was begun, {was}, got {value}; give that "
        msg += "again, or name another folder"
        raise InputError(msg)


# -- pictures fetched -----------------------------------------------------------------------------


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
    One smaller than `limits.min_side` is left out and counted. `count` takes the first rows only;
    rows that cannot be read are counted in `faults`. A second call goes on where the first ended,
    were it by SIGKILL. Equal answers give equal tar and Parquet files, whatever the number of
    `processes` (by default one for each core) and `threads` and whichever the `distributor`.

    Raises InputError when the table or a setting is not as before in this folder, when another
    fetch is at work in it, when img2dataset is not installed, and when a shard failed as a whole.
    """
    require(distributor)
    limits = limits or Limits()
    processes = processes or os.cpu_count() or 1
    sizes = {name: getattr(limits, name) for name in ("min_side", "max_bytes", "max_pixels")}
    settings = {"shard_size": shard_size, **sizes}
    at_least(1, **settings, threads=threads, processes=processes, count=count)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        rows = prepare(tsv, folder, settings, faults, count=count)
        total = -(-rows // shard_size)
        if total > MOST_SHARDS:
            msg = f"shard_size: expected at most 100,000 shards, got {total:,}; raise it"
            raise InputError(msg)
        remove_leftovers(folder)
        done = finished(folder)
        log.info("%s: %d of %d shards are there", folder, len(done), total)
        if len(done) < total:
            variables = {  # what keeps img2dataset's libraries off the network, here and in workers
                "NO_ALBUMENTATIONS_UPDATE": "1",  # img2dataset may come before songtitle
                "WANDB_MODE": "disabled",
                "RAY_USAGE_STATS_ENABLED": "0",
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
            remove_leftovers(folder)
            done = finished(folder)
    if len(done) < total:
        msg = f"{folder}: expected {total} finished shards, got {len(done)}; the log says why; "
        msg += "call again to go on"
        raise InputError(msg)
    pictures = sum(stats(folder / f"{number:05d}.tar")["successes"] for number in done)
    return Fetched(folder, rows, total, pictures)


def require(distributor: str) -> None:
    """Raise InputError unless there is such a distributor and what it needs is installed."""
    if distributor not in PACKAGES:
        known = ", ".join(PACKAGES)
        msg = f"distributor: expected one of {known}, got {distributor!r}; choose one"
        raise InputError(msg)
    for module, package in (PACKAGES["multiprocessing"] | PACKAGES[distributor]).items():
        if importlib.util.find_spec(module) is None:
            msg = f"fetching pictures: expected the module {module}, it is not there; run "
            msg += f"`pip install {package}` in the clone, with Python 3.11 or 3.12"
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
        rows, told = record["rows"], record["faults"]
        check_same(folder, record["settings"], given)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        msg = f"{about}: expected the record of a fetch, got '{error}'; begin in another folder"
        raise InputError(msg) from error
    faults.add_told(told)
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
    stems = (path.name.removesuffix("_stats.json") for path in folder.glob("*_stats.json"))
    whole = (stem for stem in stems if all((folder / f"{stem}{end}").exists() for end in ENDINGS))
    return {int(stem) for stem in whole if stem.isdigit()}


def stats(shard: Path) -> dict[str, Any]:
    """What img2dataset wrote about a shard: counts, and its start and end in Unix seconds."""
    path = shard.with_name(f"{shard.stem}_stats.json")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: expected a shard's statistics, got '{error}'; delete the file and fetch"
        raise InputError(msg) from error
    return found


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The only fetch in `folder`; the system frees the lock of a killed one."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        msg = f"{folder}: expected no other fetch at work here, there is one; wait for its end"
        raise InputError(msg) from error


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed run left: scratch files, and tars without their statistics."""
    shutil.rmtree(folder / "_tmp", ignore_errors=True)
    whole = finished(folder)
    for path in folder.iterdir():
        number = re.fullmatch(r"(\d{5})(\.tar|\.parquet|_stats\.json)", path.name)
        if number and int(number[1]) not in whole:
            path.unlink()


# -- shards found, and what lies in them ----------------------------------------------------------


class Place(NamedTuple):
    """A file inside a shard."""

    ending: str  # lower case, without the dot
    offset: int  # bytes from the start of the shard
    size: int  # bytes


class Example(NamedTuple):
    """A picture and its caption inside a shard."""

    key: str
    picture: Place
    caption: Place


Where = str | Path | Sequence[str | Path]  # of shards: see `find_shards`
Index = tuple[list[Example], list[tuple[str, str]]]  # examples in order; keys left out, and why


def find_shards(where: Where) -> list[Path]:
    """Find the shards that folders, files and patterns name, in the order of their names.

    A pattern has `*`, `?` and `[...]` as a shell has them, and `{00000..00127}` for numbers, of
    which every one must be there. Of a folder into which pictures were fetched, the finished shards
    count. Raises InputError where a shard is missing, or none is there.
    """
    names = [where] if isinstance(where, str | Path) else where
    found = [path for name in names for each in _braces(str(name)) for path in _matching(each)]
    if not found:
        msg = f"shards: expected tar files in {where}, got none; name a folder that holds some"
        raise InputError(msg)
    return list(dict.fromkeys(path.resolve() for path in found))


def _braces(name: str) -> Iterator[str]:
    match = re.search(r"\{(\d+)\.\.(\d+)\}", name)
    if not match:
        yield name
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        yield from _braces(name.replace(match[0], str(number).zfill(len(first)), 1))


def _matching(name: str) -> list[Path]:
    path = Path(name).expanduser()
    if path.is_dir():
        # A fetch writes a shard's statistics last.
        done = [p.name.removesuffix("_stats.json") + ".tar" for p in path.glob("*_stats.json")]
        found = [path / each for each in done] or path.glob("*.tar")
        return sorted(each if each.is_file() else _missing(each) for each in found)
    matches = [path] if path.is_file() else sorted(map(Path, glob.glob(str(path))))
    return matches or [_missing(path)]


def _missing(path: Path) -> Any:
    msg = f"{path}: expected a shard, there is none; fetch it again or leave it out"
    raise InputError(msg)


def read_heads(
    paths: Sequence[Path], folder: Path, *, workers: int = 1
) -> list[tuple[int, list[tuple[str, str]]]]:
    """Give how many examples each shard has, and what was left out, from the indexes in `folder`.

    Several calls at a time, from any processes, make the indexes once. Raises InputError for the
    first shard that is torn or missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if workers < 2 or len(paths) <= FAR:
            return list(map(_head, paths, repeat(folder)))
        with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
            return list(pool.map(_head, paths, repeat(folder), chunksize=4))


def _head(path: Path, folder: Path) -> tuple[int, list[tuple[str, str]]]:
    examples, left_out = read_index(path, folder)
    return len(examples), left_out


def caption_in(content: bytes, ending: str) -> str:
    """Read the caption in a .txt, or under "caption" in a .json. Raises ValueError without one."""
    if ending == "txt":
        return content.decode("utf-8", errors="replace")
    about = json.loads(content)
    caption = about.get("caption") if isinstance(about, dict) else None
    if not isinstance(caption, str) or not caption.strip():
        msg = "no caption in the JSON"
        raise ValueError(msg)
    return caption


def read_index(path: Path, folder: Path) -> Index:
    """Give what lies in a shard, from the index in `folder`, made where there is none.

    It is kept under the shard's path, size and time of change.
    """
    stat = path.stat() if path.exists() else _missing(path)
    known = f"{FORM}:{path}:{stat.st_size}:{stat.st_mtime_ns}"
    target = folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"
    if not target.exists():
        log.info("reading the headers of %s", path)
        partial = target.with_suffix(f".partial{os.getpid()}")
        partial.write_text(json.dumps(index_shard(path)), "utf-8")
        os.replace(partial, target)
    examples, left_out = json.loads(target.read_text("utf-8"))
    found = [Example(key, Place(*p), Place(*c)) for key, p, c in examples]
    return found, [(key, kind) for key, kind in left_out]


def index_shard(path: Path) -> Index:
    """Read all headers of a shard: its examples in order; keys left out, each with the reason.

    Raises InputError where the shard is missing, torn or compressed.
    A file whose name begins with a dot or two underscores, or ends otherwise than a picture or a
    caption does, is passed over. A key with a picture alone or a caption alone is left out.
    """
    pictures: dict[str, Place] = {}
    captions: dict[str, Place] = {}
    left_out: list[tuple[str, str]] = []
    for name, offset, size in _members(path):
        base = name.rpartition("/")[2]
        stem, _, ending = base.partition(".")
        key, ending = name[: len(name) - len(base)] + stem, ending.lower()
        if not stem or base.startswith("__"):
            continue  # "./._a.jpg", and what webdataset keeps for itself
        if ending in PICTURES:
            if key in pictures:
                left_out.append((key, "second picture of a key"))
            pictures.setdefault(key, Place(ending, offset, size))
        elif ending in CAPTIONS:
            known = captions.setdefault(key, Place(ending, offset, size))
            if CAPTIONS.index(ending) < CAPTIONS.index(known.ending):
                captions[key] = Place(ending, offset, size)
    examples = []
    for key, picture in pictures.items():
        if key not in captions or not captions[key].size:
            left_out.append((key, "picture without a caption"))
        elif not picture.size:
            left_out.append((key, "empty picture"))
        else:
            examples.append(Example(key, picture, captions[key]))
    left_out += [(key, "caption without a picture") for key in captions if key not in pictures]
    told = path.with_name(f"{path.stem}_stats.json")  # where the shard was fetched here
    expected = stats(path).get("successes") if told.exists() else None
    if expected not in (None, len(pictures)):
        msg = f"{path}: expected {expected} pictures as {told.name} says, got {len(pictures)}"
        msg += "; delete the shard and fetch it again"
        raise InputError(msg)
    return examples, left_out


def _members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size in bytes of each file in a tar, which must be whole."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.isfile():
                    yield member.name, member.offset_data, member.size
            # Python's reader takes garbage, and the end of the file, for the end of the archive.
            file.seek(tar.offset)
            if file.read(BLOCK) != bytes(BLOCK):
                msg = "no end mark after the last file"
                raise tarfile.ReadError(msg)
    except (OSError, tarfile.TarError) as error:
        came = error.strerror if isinstance(error, OSError) and error.strerror else error
        msg = (
            f"{path}: expected a whole, uncompressed tar file, got '{came}'; delete the shard and "
        )
        msg += "fetch it again, or leave it out"
        raise InputError(msg) from error
