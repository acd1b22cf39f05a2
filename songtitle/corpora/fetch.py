"""Fetching: the files of a source, brought to the data home and known to be right there."""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock
from tqdm import tqdm

from songtitle.corpora import manifest
from songtitle.corpora.guarded_http import Refused, Transfer, TransferConfig, discard, length
from songtitle.corpora.manifest import Download, File, Problems, Source, check_room
from songtitle.errors import InputError
from songtitle.machine import write_whole


class Ledger:
    """What a data home remembers of one source, `recorded/NAME.json`; reading it writes nothing.

    It has the checksum of each file that came without a published one, and the last check of each
    file, good for as long as no size and no time of change is another.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / "recorded" / f"{name}.json"

    def recorded(self, path: str) -> dict[str, Any]:
        """Give `sha256`, `size`, `date` and `address` of a first fetch; empty before it."""
        return self._read()["files"].get(path, {})

    def record(self, path: str, file: Path, address: str | None) -> None:
        """Hold `path` to the content of `file`; `address` is None where it was found in place."""
        held = {"sha256": manifest.sha256(file), "size": length(file), "address": address}
        self._change("files", path, held)

    def checked(self, name: str, files: Iterable[Path], against: str) -> str | None:
        """Give the date on which `files` were last found as `against`, a checksum, has them.

        None if they never were, or if one of them has changed in size or time since.
        """
        entry = self._read()["checked"].get(name, {})
        return entry.get("date") if entry.get("fingerprint") == _known_by(files, against) else None

    def check(self, name: str, files: Iterable[Path], against: str) -> None:
        """Remember that all of `files` were found as `against`, a checksum, has them."""
        self._change("checked", name, {"fingerprint": _known_by(files, against)})

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

    def _change(self, part: str, path: str, entry: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            table = self._read()
            table[part][path] = entry | {"date": datetime.now(UTC).date().isoformat()}
            write_whole(self.path, json.dumps(table, indent=1, sort_keys=True) + "\n")


def _known_by(files: Iterable[Path], against: str) -> str:
    """A hash of `against` and of paths, sizes and times of change, which no content enters."""
    stats = [(path, path.stat() if path.exists() else None) for path in files]
    known = [f"{path} {stat.st_size} {stat.st_mtime_ns}" if stat else path for path, stat in stats]
    return hashlib.sha256("\n".join([against, *map(str, known)]).encode()).hexdigest()


class Item:
    """A download of a source in a data home, and what is known of it."""

    def __init__(self, source: Source, file: Download, home: Path) -> None:
        self.source, self.file, self.home = source, file, home
        self.target = home / source.folder / file.path  # once it is whole and right
        self.part = self.target.with_name(f".{self.target.name}.part")  # what has come so far
        self.ledger = Ledger(home, source.name)

    def known(self) -> tuple[str | None, int | None, str]:
        """Checksum ("KIND:DIGITS"), size in bytes, and who says so: "published", "recorded DATE" or
        "nobody yet"; None where it is not known."""
        recorded = self.ledger.recorded(self.file.path)
        size = self.file.size or recorded.get("size")
        if self.file.checksum:
            return self.file.checksum, size, "published"
        if recorded:
            return f"sha256:{recorded['sha256']}", size, f"recorded {recorded['date']}"
        return None, size, "nobody yet"

    @property
    def checksum(self) -> str | None:
        """What the file must be."""
        return self.known()[0]

    @property
    def size(self) -> int | None:
        """Bytes, where they are known."""
        return self.known()[1]

    @property
    def promise(self) -> str:
        """Who says what the file must be."""
        return self.known()[2]

    @property
    def wanted(self) -> int:
        """Bytes still to come, as far as their number is known."""
        size = self.size or 0
        return 0 if length(self.target) == size else max(0, size - length(self.part))

    @property
    def listing(self) -> Path:
        """The list of what the archive of this checksum was unpacked into; not there before."""
        kind, _, digits = (self.checksum or "").partition(":")
        return self.ledger.path.with_suffix("") / f"{self.file.path}.{kind}-{digits}.csv"

    @property
    def is_unpacked(self) -> bool:
        """Whether the archive was unpacked; true of what is none."""
        return self.file.unpack is None or self.listing.is_file()

    def verify_inside(self) -> Problems:
        """Compare what the file was unpacked into with its list."""
        return manifest.verify(self._inside(), self.target.parent)

    @property
    def checked_on(self) -> str | None:
        """The date on which all of it was last found right; None if anything changed since."""
        if self.checksum is None or not self.is_unpacked:
            return None
        return self.ledger.checked(self.file.path, self._all_paths(), self.checksum)

    def remember(self) -> None:
        """Remember that all of it was just found right."""
        self.ledger.check(self.file.path, self._all_paths(), self.checksum or "")

    def mismatch(self, path: Path) -> str | None:
        """Say what is wrong with the content of a file, in a few words; None if nothing is."""
        kind, _, digits = (self.checksum or "").partition(":")
        found = kind and manifest.digest(path, kind.removesuffix("_starts"))[: len(digits)]
        return None if found == digits else f"{kind.replace('_', ' ')} {found} for {digits}"

    def _inside(self) -> list[File]:
        return manifest.read_files(self.listing) if self.file.unpack and self.is_unpacked else []

    def _all_paths(self) -> list[Path]:
        return [self.target, *(self.target.parent / file.path for file in self._inside())]


def items(source: Source, home: Path) -> list[Item]:
    """List the downloads of a source, in the order of its manifest."""
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
                _download(item, config or TransferConfig(), stop or threading.Event(), quiet)
                done = f"fetched, {length(item.target):,} bytes"
            if not item.is_unpacked or any(item.verify_inside()):
                done += f", {_unpack(item):,} files unpacked"
            item.remember()
    except OSError as error:
        wanted = "disk space" if error.errno == errno.ENOSPC else "to write it"
        msg = f"{item.target}: expected {wanted}, got '{error.strerror or error}' after "
        msg += f"{length(item.part):,} bytes; mend that, then the same command goes on from here"
        raise InputError(msg) from error
    return f"{item.target}: {done} (checksum {item.promise})"


def verify_item(item: Item, problems: Problems) -> bool:
    """Compare a file, and what it was unpacked into, with all that is known of them.

    Adds to `problems`; false where no checksum is known. What is found right is remembered.
    """
    path, before = item.file.path, sum(map(len, problems))
    if not item.target.is_file():
        problems.missing.append(path)
        return True
    if item.size not in (None, length(item.target)):
        problems.corrupt.append(f"{path} ({length(item.target):,} bytes for {item.size:,})")
    elif item.checksum is None:
        return False
    elif fault := item.mismatch(item.target):
        problems.corrupt.append(f"{path} ({fault})")
    inside = item.verify_inside()
    problems.missing.extend(inside.missing if item.is_unpacked else [f"{path}, unpacked"])
    problems.corrupt.extend(inside.corrupt)
    if sum(map(len, problems)) == before:
        item.remember()
    return True


def _is_right(item: Item) -> bool:
    """Whether the target is there as it must be; one without any checksum is recorded as found."""
    if not item.target.is_file() or item.size not in (None, length(item.target)):
        return False
    if item.checksum is None:
        item.ledger.record(item.file.path, item.target, None)
    return item.mismatch(item.target) is None


def _download(item: Item, config: TransferConfig, stop: threading.Event, quiet: bool) -> None:
    """Fetch from the first address that gives the right file, and put it into place."""
    check_room(item.part.parent, item.wanted, str(item.target))
    checksum, size, promise = item.known()
    failures = []
    for address in item.file.addresses:
        host = urlsplit(address).hostname
        # What an earlier address sent may be what is wrong: then this one is heard alone.
        for begun in (length(item.part), 0):
            # On a terminal only.
            shown = {"unit": "B", "unit_scale": True, "leave": False}
            shown |= {"desc": item.file.path, "disable": True if quiet else None}
            with tqdm(total=size, initial=length(item.part), **shown) as bar:
                checked = checksum is not None
                transfer = Transfer(size=size, checked=checked, config=config, bar=bar, stop=stop)
                try:
                    transfer(address, item.part)
                except Refused as refusal:
                    failures.append(f"{host}: {refusal}")
                    break
            fault = item.mismatch(item.part)
            if fault is None:
                # Recorded first: a process killed in between finds the part whole, and held to it.
                if checksum is None:
                    item.ledger.record(item.file.path, item.part, address)
                os.replace(item.part, item.target)
                return discard(item.part)
            discard(item.part)
            if not begun:
                failures.append(f"{host}: {fault}")
                break
    advice = f"try again later, or put the file there from elsewhere ({item.source.name})"
    if promise.startswith("recorded"):
        advice = f"it is held to what was {promise}; to accept a change at the source, delete "
        advice += f"{item.file.path!r} from {item.ledger.path}"
    msg = f"{item.target}: expected to download it, got [{'; '.join(failures)}]; {advice}"
    raise InputError(msg)


def _unpack(item: Item) -> int:
    """Unpack the checked archive and list what came out of it; how many files."""
    folder, packing = item.target.parent, item.file.unpack
    assert packing is not None
    others = (other.target for other in items(item.source, item.home))
    reserved = [p.relative_to(folder).as_posix() for p in others if p.is_relative_to(folder)]
    files = manifest.unpack(item.target, folder, packing, reserved=reserved)
    item.listing.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_files(files, item.listing)
    return len(files)
