"""Fetching: the files of a source, brought to the data home and known to be right there."""

import contextlib
import errno
import gzip
import hashlib
import json
import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
from filelock import FileLock
from tqdm import tqdm

from songtitle.corpora import manifest
from songtitle.corpora.manifest import (
    Download,
    File,
    Problems,
    Source,
    check_member,
    check_room,
    extract,
    read_files,
    sha256,
    write_files,
)
from songtitle.corpora.transfer import Refused, Transfer, TransferConfig, discard, length
from songtitle.errors import InputError
from songtitle.machine import write_whole

BLOCK = 1 << 20  # bytes


def unpack(
    archive: Path, folder: Path, packing: str, *, reserved: Collection[str] = ()
) -> list[File]:
    """Unpack `archive` into `folder` and list what was written, with size and sha256.

    `packing` is "zip", "tar" (plain, gz, bz2 or xz) or "gz" (one file, its name without .gz). A
    member that would land outside the folder, on one of the `reserved` paths or on a part file, a
    link, an encrypted member, and an archive too big for the disk raise InputError; so does a torn
    one. Each file appears whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def target(name: str) -> str:
        path = Path(name)
        hidden = any(part.startswith(".") and part != ".." for part in path.parts)
        if path.as_posix() in reserved or (hidden and path.name.endswith((".part", ".lock"))):
            msg = f"{archive}: expected files of its own, got {name!r}, the name of a download; do "
            msg += "not use this archive"
            raise InputError(msg)
        return name.removeprefix("./")

    broken = (zipfile.BadZipFile, zlib.error, EOFError, LZMAError, UnicodeDecodeError)
    try:
        if packing == "zip":
            names = _unpack_zip(archive, folder, target)
        elif packing == "tar":
            with archive.open("rb") as file:
                gzipped = file.read(2) == b"\x1f\x8b"
            if gzipped:  # tarfile leaves the checksum at the end unread
                _measure(archive, folder)
            names = extract(archive, folder, target)
        else:
            _measure(archive, folder)
            names = [target(archive.name.removesuffix(".gz"))]
            with gzip.open(archive) as content:
                _put(content.read, folder / names[0])
    except (*broken, NotImplementedError, OSError) as error:
        # bz2 and gzip raise bare ones for broken content; zipfile seeks to where no file can be.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's
        msg = f"{archive}: expected a whole {packing} archive, got '{error}'; fetch it again"
        raise InputError(msg) from error
    written = {Path(name).as_posix(): folder / name for name in names}
    return [File(name, sha256(path), path.stat().st_size) for name, path in written.items()]


def _unpack_zip(archive: Path, folder: Path, target: Callable[[str], str]) -> list[str]:
    with zipfile.ZipFile(archive) as file:
        members = {}
        for member in file.infolist():
            if member.is_dir():
                continue
            mode = member.external_attr >> 16  # Unix file type, 0 where it was not made on Unix
            plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not member.flag_bits & 1  # encrypted
            # zipfile turns the other system's separators into its own: look at what was written.
            plain = plain and "\\" not in member.orig_filename
            check_member(member.filename, member.orig_filename, str(archive), plain=plain)
            members[target(member.filename)] = member
        # What an archive declares is a bound: zipfile reads no member beyond it.
        check_room(folder, sum(m.file_size for m in members.values()), f"{archive}, unpacked")
        for name, member in members.items():
            with file.open(member) as content:
                _put(content.read, folder / name)
    return list(members)


def _measure(archive: Path, folder: Path) -> None:
    """Read a gzip file to its end: its checksum is right, and the disk has room for all of it."""
    size = 0
    with gzip.open(archive) as content:
        while block := content.read(BLOCK):
            size += len(block)
            check_room(folder, size, f"{archive}, unpacked")


def _put(read: Callable[[int], bytes], path: Path) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            while block := read(BLOCK):
                out.write(block)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


FOLDER = "recorded"  # below the data home


class Ledger:
    """What a data home remembers of one source, `recorded/NAME.json`; reading it writes nothing.

    It has the checksum of each file that came without a published one, and the last check of each
    file, good for as long as no size and no time of change is another.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / FOLDER / f"{name}.json"

    def recorded(self, path: str) -> dict[str, Any]:
        """`sha256`, `size`, `date` and `address` of a file's first fetch; empty before it."""
        return self._read()["files"].get(path, {})

    def record(self, path: str, file: Path, address: str | None) -> None:
        """Hold `path` to the content of `file`; `address` is None where it was found in place."""
        entry = {"sha256": manifest.sha256(file), "size": length(file), "date": _today()}
        self._change("files", path, entry | {"address": address})

    def checked(self, name: str, files: Iterable[Path], against: str) -> str | None:
        """The date on which `files` were last found as `against`, a checksum, has them.

        None if they never were, or if one of them has changed in size or time since.
        """
        entry = self._read()["checked"].get(name, {})
        return entry.get("date") if entry.get("fingerprint") == _known_by(files, against) else None

    def check(self, name: str, files: Iterable[Path], against: str) -> None:
        """Remember that all of `files` were found as `against`, a checksum, has them."""
        self._change("checked", name, {"date": _today(), "fingerprint": _known_by(files, against)})

    def _read(self) -> dict[str, dict[str, Any]]:
        table: dict[str, dict[str, Any]] = {"files": {}, "checked": {}}
        try:
            return table | json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return table
        except (ValueError, TypeError) as error:
            msg = f"{self.path}: expected the JSON that fetch wrote, got '{error}'; restore it, or "
            msg += "delete it to record every checksum anew"
            raise InputError(msg) from error

    def _change(self, part: str, path: str, entry: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            table = self._read()
            table[part][path] = entry
            write_whole(self.path, json.dumps(table, indent=1, sort_keys=True) + "\n")


def _known_by(files: Iterable[Path], against: str) -> str:
    """A hash of `against` and of paths, sizes and times of change, which no content enters."""
    stats = [(path, path.stat() if path.exists() else None) for path in files]
    known = [f"{path} {stat.st_size} {stat.st_mtime_ns}" if stat else path for path, stat in stats]
    return hashlib.sha256("\n".join([against, *map(str, known)]).encode()).hexdigest()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Item:
    """A download of a source in a data home."""

    source: Source
    file: Download
    home: Path

    @property
    def target(self) -> Path:
        """Where the file lies once it is whole and right, beside what it is unpacked into."""
        return self.home / self.source.folder / self.file.path

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def ledger(self) -> Ledger:
        """What the data home remembers of the source."""
        return Ledger(self.home, self.source.name)

    @property
    def checksum(self) -> str | None:
        """What the file must be: as published, else as recorded, else None."""
        recorded = self.ledger.recorded(self.file.path)
        return self.file.checksum or (f"sha256:{recorded['sha256']}" if recorded else None)

    @property
    def size(self) -> int | None:
        """Bytes, as published, else as recorded, else None."""
        return self.file.size or self.ledger.recorded(self.file.path).get("size")

    @property
    def promise(self) -> str:
        """Who says what the file must be: "published", "recorded DATE" or "nobody yet"."""
        recorded = self.ledger.recorded(self.file.path)
        held = f"recorded {recorded['date']}" if recorded else "nobody yet"
        return "published" if self.file.checksum else held

    @property
    def wanted(self) -> int:
        """Bytes still to come, as far as their number is known."""
        whole = self.size is None or length(self.target) == self.size
        return 0 if whole else max(0, (self.size or 0) - length(self.part))

    @property
    def listing(self) -> Path:
        """The list of what the archive of this checksum was unpacked into; not there before."""
        kind, _, digits = (self.checksum or "").partition(":")
        return self.ledger.path.with_suffix("") / f"{self.file.path}.{kind}-{digits}.csv"

    @property
    def inside(self) -> list[File]:
        """What the file was unpacked into, as listed then."""
        return read_files(self.listing) if self.is_unpacked and self.file.unpack else []

    @property
    def is_unpacked(self) -> bool:
        """Whether the archive was unpacked; true of what is none."""
        return self.file.unpack is None or self.listing.is_file()

    @property
    def checked_on(self) -> str | None:
        """The date on which the file, and all that it was unpacked into, were last found right.

        None if they never were, or if anything has changed since.
        """
        if self.checksum is None or not self.is_unpacked:
            return None
        return self.ledger.checked(self.file.path, self._paths(), self.checksum)

    def mismatch(self, path: Path) -> str | None:
        """What is wrong with a file that is there, in a few words, or None."""
        if self.checksum is None:
            return None
        kind, _, digits = self.checksum.partition(":")
        found = pooch.file_hash(str(path), alg=kind.removesuffix("_starts"))[: len(digits)]
        return None if found == digits else f"{kind.replace('_', ' ')} {found} for {digits}"

    def remember(self) -> None:
        """Remember that the file, and all that it was unpacked into, were just found right."""
        self.ledger.check(self.file.path, self._paths(), self.checksum or "")

    def _paths(self) -> list[Path]:
        return [self.target, *(self.target.parent / file.path for file in self.inside)]


def items(source: Source, home: Path) -> list[Item]:
    """The downloads of a source, in the order of its manifest."""
    return [Item(source, file, home) for file in source.files]


def fetch_file(
    item: Item,
    *,
    config: TransferConfig | None = None,
    quiet: bool = False,
    stop: threading.Event | None = None,
) -> str:
    """Bring one file to its place, unpack it where asked, and say in a line what was done.

    The target changes only when the whole new file is right; a part file stays for the next call.
    Of two processes one downloads and the other finds it done. Raises InputError when no address
    gives the file, it is not what was published or recorded, or the disk is too small; Stopped when
    `stop` was set.
    """
    if item.checked_on:
        return f"{item.target}: there already"
    try:
        item.target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(item.target.with_name(f".{item.target.name}.lock")):
            done = "there already"
            if not _is_right(item):
                patience, stop = config or TransferConfig(), stop or threading.Event()
                _download(item, Transfer(config=patience, stop=stop), quiet)
                done = f"fetched, {length(item.target):,} bytes"
            if not item.is_unpacked or any(manifest.verify(item.inside, item.target.parent)):
                done += f", {_unpack(item):,} files unpacked"
            item.remember()
    except OSError as error:
        wanted = "disk space" if error.errno == errno.ENOSPC else "to write it"
        msg = f"{item.target}: expected {wanted}, got '{error.strerror or error}' after "
        msg += f"{length(item.part):,} bytes; mend that, then the same command goes on from here"
        raise InputError(msg) from error
    return f"{item.target}: {done} (checksum {item.promise})"


def verify_item(item: Item) -> tuple[Problems, bool]:
    """Compare a file, and what it was unpacked into, with all that is known of them.

    Returns the problems, and whether a checksum is known. What is found right is remembered.
    """
    problems, path = Problems([], []), item.file.path
    if not item.target.is_file():
        problems.missing.append(path)
        return problems, True
    if item.size not in (None, length(item.target)):
        problems.corrupt.append(f"{path} ({length(item.target):,} bytes for {item.size:,})")
    elif item.checksum is None:
        return problems, False
    elif fault := item.mismatch(item.target):
        problems.corrupt.append(f"{path} ({fault})")
    inside = manifest.verify(item.inside, item.target.parent)
    problems.missing.extend(inside.missing if item.is_unpacked else [f"{path}, unpacked"])
    problems.corrupt.extend(inside.corrupt)
    if not any(problems):
        item.remember()
    return problems, True


def _is_right(item: Item) -> bool:
    """Whether the target is there as it must be; one without any checksum is recorded as found."""
    if not item.target.is_file() or item.size not in (None, length(item.target)):
        return False
    if item.checksum is None:
        item.ledger.record(item.file.path, item.target, None)
    return item.mismatch(item.target) is None


def _download(item: Item, transfer: Transfer, quiet: bool) -> None:
    """Fetch from the first address that gives the right file, and put it into place."""
    check_room(item.part.parent, item.wanted, str(item.target))
    transfer.size, transfer.checked = item.size, item.checksum is not None
    failures = []
    for address in item.file.addresses:
        host = urlsplit(address).hostname
        # What an earlier address sent may be what is wrong: then this one is heard alone.
        for begun in (length(item.part), 0):
            try:
                with _progress(item, quiet) as transfer.moved:
                    transfer(address, item.part)
            except Refused as refusal:
                failures.append(f"{host}: {refusal}")
                break
            fault = item.mismatch(item.part)
            if fault is None:
                # Recorded first: a process killed in between finds the part whole, and held to it.
                if item.checksum is None:
                    item.ledger.record(item.file.path, item.part, address)
                os.replace(item.part, item.target)
                return discard(item.part)
            discard(item.part)
            if not begun:
                failures.append(f"{host}: {fault}")
                break
    advice = f"try again later, or put the file there from elsewhere ({item.source.name})"
    if item.promise.startswith("recorded"):
        advice = (
            f"it is held to what was {item.promise}; to accept a change at the source, delete "
            f"{item.file.path!r} from {item.ledger.path}"
        )
    msg = f"{item.target}: expected to download it, got [{'; '.join(failures)}]; {advice}"
    raise InputError(msg)


def _unpack(item: Item) -> int:
    """Unpack the checked archive and list what came out of it; how many files."""
    folder, packing = item.target.parent, item.file.unpack
    assert packing is not None
    others = (other.target for other in items(item.source, item.home))
    reserved = [p.relative_to(folder).as_posix() for p in others if p.is_relative_to(folder)]
    files = unpack(item.target, folder, packing, reserved=reserved)
    item.listing.parent.mkdir(parents=True, exist_ok=True)
    write_files(files, item.listing)
    return len(files)


@contextlib.contextmanager
def _progress(item: Item, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A line with rate and time left, on a terminal only."""
    with tqdm(
        desc=item.file.path,
        total=item.size,
        initial=length(item.part),
        unit="B",
        unit_scale=True,
        leave=False,
        disable=True if quiet else None,
    ) as bar:

        def moved(position: int, total: int | None) -> None:
            bar.total = total
            bar.update(position - bar.n)

        yield moved
