"""What lies where in a WebDataset shard: read once from the headers of its tar, then kept.

A shard is a plain tar; the files `KEY.jpg` and `KEY.txt` in it are one example. With the place of
every file known, any example is read by itself, in any order.
"""

import glob
import hashlib
import json
import logging
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import IO, NamedTuple

from filelock import FileLock

from songtitle.errors import InputError
from songtitle.processes import end_with_parent

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
CAPTIONS = ("txt", "json")  # of a JSON object, its "caption"
FORM = 1  # of a kept index
BLOCK = 512  # bytes; POSIX.1-1988, ustar
FAR = 8  # shards; fewer are read sooner than other processes start

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class ShardIndex:
    """The examples of a shard in its order, and what was left out, by key, with the reason."""

    examples: list[Example]
    left_out: list[tuple[str, str]]


def find_shards(where: str | Path | Sequence[str | Path]) -> list[Path]:
    """The shards that folders, files and patterns name, in the order of their names.

    A pattern has `*`, `?` and `[...]` as a shell has them, and `{00000..00127}` for numbers, of
    which every one must be there. Of a folder into which pictures were fetched, the finished shards
    count. Raises InputError where a shard is missing, or none is there.
    """
    found: list[Path] = []
    for name in [where] if isinstance(where, str | Path) else where:
        for each in _braces(str(name)):
            found += _matching(Path(each).expanduser())
    unique = list(dict.fromkeys(path.resolve() for path in found))
    if not unique:
        msg = f"shards: expected tar files in {where}, got none; name a folder that holds some"
        raise InputError(msg)
    return unique


def _braces(name: str) -> Iterator[str]:
    match = re.search(r"\{(\d+)\.\.(\d+)\}", name)
    if not match:
        yield name
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        yield from _braces(
            name[: match.start()] + str(number).zfill(len(first)) + name[match.end() :]
        )


def _matching(path: Path) -> list[Path]:
    if path.is_dir():
        tars = {tar.name.removesuffix(".tar"): tar for tar in path.glob("*.tar")}
        # A fetch writes a shard's statistics last.
        done = {stats.name.removesuffix("_stats.json") for stats in path.glob("*_stats.json")}
        for name in sorted(done - set(tars)):
            raise _missing(path / f"{name}.tar")
        return [tars[name] for name in sorted(done or tars)]
    if path.is_file():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(str(path)))
    if not matches:
        raise _missing(path)
    return matches


def _missing(path: Path) -> InputError:
    return InputError(f"{path}: expected a shard, there is none; fetch it again or leave it out")


def read_heads(
    paths: Sequence[Path], folder: Path, *, workers: int = 1
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """How many examples each shard has, and what was left out; indexes are made where none is kept.

    An index is kept in `folder` under the shard's path, size and time of change. Several calls at a
    time, from any processes, do the work once. Raises InputError for the first shard that is torn
    or missing, before anything is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        new = [path for path in paths if not _kept_at(path, folder).exists()]
        if new:
            log.info("reading the headers of %d shards", len(new))
        if workers > 1 and len(new) > FAR:
            with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
                for _ in pool.map(_keep, new, repeat(folder), chunksize=4):
                    pass
        else:
            for path in new:
                _keep(path, folder)
    for path in paths:
        with _kept_at(path, folder).open(encoding="utf-8") as lines:
            head = json.loads(lines.readline())
        yield head["examples"], [(key, kind) for key, kind in head["left_out"]]


def read_examples(path: Path, folder: Path) -> list[Example]:
    """The examples of one shard in its order, from the index in `folder`, made anew if need be."""
    target = _kept_at(path, folder)
    if not target.exists():
        _keep(path, folder)
    with target.open(encoding="utf-8") as lines:
        lines.readline()
        return [Example(key, Place(*p), Place(*c)) for key, p, c in json.loads(lines.readline())]


def index_shard(path: Path) -> ShardIndex:
    """Read all headers of a shard. Raises InputError where it is missing, torn or compressed.

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
            known = captions.get(key)
            if known is None or CAPTIONS.index(ending) < CAPTIONS.index(known.ending):
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
    _compare(path, len(pictures))
    return ShardIndex(examples, left_out)


def _members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size in bytes of each file in a tar, which must be whole."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
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
            "fetch it again, or leave it out"
        )
        raise InputError(msg) from error


def _compare(path: Path, found: int) -> None:
    """The number of pictures must be what the fetch counted, where the shard is one of its own."""
    stats = path.with_name(f"{path.stem}_stats.json")
    try:
        expected = json.loads(stats.read_text("utf-8"))["successes"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if found != expected:
        msg = f"{path}: expected {expected} pictures as {stats.name} says, got {found}"
        msg += "; delete the shard and fetch it again"
        raise InputError(msg)


def read_bytes(file: IO[bytes], place: Place, path: Path) -> bytes:
    """The bytes of one file of the shard `path`. Raises InputError where they cannot be had."""
    reason = ""
    try:
        file.seek(place.offset)
        content = file.read(place.size)
    except OSError as error:
        content, reason = b"", f" ({error.strerror})"
    if len(content) != place.size:
        msg = (
            f"{path}: expected {place.size} bytes at {place.offset}, got {len(content)}{reason}; "
            "was the shard changed while it was read? fetch it again, then run the same command"
        )
        raise InputError(msg)
    return content


def read_caption(content: bytes, ending: str) -> str:
    """The caption in a .txt, or under "caption" in a .json. Raises ValueError without one."""
    if ending == "txt":
        return content.decode("utf-8", errors="replace")
    about = json.loads(content)
    caption = about.get("caption") if isinstance(about, dict) else None
    if not isinstance(caption, str) or not caption.strip():
        msg = "no caption in the JSON"
        raise ValueError(msg)
    return caption


def _keep(path: Path, folder: Path) -> None:
    target = _kept_at(path, folder)
    index = index_shard(path)
    head = {"shard": str(path), "examples": len(index.examples), "left_out": index.left_out}
    lines = [json.dumps(part, separators=(",", ":")) for part in (head, index.examples)]
    partial = target.with_suffix(f".partial{os.getpid()}")
    partial.write_text("\n".join(lines) + "\n", "utf-8")
    os.replace(partial, target)


def _kept_at(path: Path, folder: Path) -> Path:
    """Where the index of a shard is kept: another name for a shard that was changed."""
    try:
        stat = path.stat()
    except OSError as error:
        raise _missing(path) from error
    known = f"{FORM}:{path}:{stat.st_size}:{stat.st_mtime_ns}"
    return folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"
