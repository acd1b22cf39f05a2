"""Files that a publisher offers for download: fetched whole, checked, unpacked, done once.

A file is what its published checksum says. Where none is published, its first content is recorded
in the data home and held from then on.
"""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from filelock import FileLock, Timeout
from tqdm import tqdm

from songtitle import manifest
from songtitle.datasets.fetching.ledger import Ledger
from songtitle.datasets.fetching.transfer import (
    Refused,
    Stopped,
    Transfer,
    TransferConfig,
    discard,
    length,
)
from songtitle.datasets.fetching.unpacking import unpack
from songtitle.errors import InputError
from songtitle.manifest import Problems, check_room
from songtitle.sources import Download, Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A download of a source in a data home."""

    source: Source
    file: Download
    home: Path

    @property
    def folder(self) -> Path:
        """Where the file lies, and what it is unpacked into."""
        return self.target.parent

    @property
    def target(self) -> Path:
        """Where the file lies once it is whole and right."""
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
        recorded = self.ledger.recorded(self.file.path)
        return self.file.size or (recorded["size"] if recorded else None)

    @property
    def promise(self) -> str:
        """Who says what the file must be: "published", "recorded DATE" or "nobody yet"."""
        if self.file.checksum:
            return "published"
        recorded = self.ledger.recorded(self.file.path)
        return f"recorded {recorded['date']}" if recorded else "nobody yet"

    @property
    def wanted(self) -> int:
        """Bytes still to come, as far as their number is known."""
        if self.size is None or (self.target.is_file() and length(self.target) == self.size):
            return 0
        return max(0, self.size - length(self.part))


def items(source: Source, home: Path) -> list[Item]:
    """The downloads of a source, in the order of its manifest."""
    return [Item(source, file, home) for file in source.files]


def mismatch(path: Path, checksum: str) -> str | None:
    """What is wrong with a file that is there, in a few words, or None."""
    kind, _, digits = checksum.partition(":")
    found = pooch.file_hash(str(path), alg=kind.removesuffix("_starts"))
    if found.startswith(digits):
        return None
    shown = found[: len(digits)]
    return f"{kind.replace('_', ' ')} {shown} for {digits}"


def is_done(item: Item) -> bool:
    """Whether the file lies there, unpacked where asked, unchanged since it was last checked."""
    checksum = item.checksum
    if checksum is None or not item.ledger.checked(item.file.path, [item.target], checksum):
        return False
    return is_unpacked(item)


def is_unpacked(item: Item) -> bool:
    """Whether all that the archive holds lies there with its sizes; true of what is no archive."""
    if item.file.unpack is None:
        return True
    listed = item.ledger.unpacked(item.file.path, item.checksum or "")
    return listed is not None and not any(manifest.verify(listed, item.folder, quick=True))


def fetch_file(
    item: Item,
    *,
    config: TransferConfig | None = None,
    quiet: bool = False,
    stop: threading.Event | None = None,
) -> str:
    """Bring one file to its place, unpack it where asked, and say in a line what was done.

    The target changes only when the whole new file is right; a part file stays for the next call.
    Raises InputError when no address gives the file, it is not what was published or recorded, or
    the disk is too small; Stopped when `stop` was set.
    """
    if is_done(item):
        return f"{item.target}: there already"
    try:
        item.target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(item, stop):
            if is_done(item):
                return f"{item.target}: there already"
            done = "there already" if _is_right(item) else None
            if done is None:
                _download(item, config or TransferConfig(), quiet, stop)
                done = f"fetched, {length(item.target):,} bytes"
            if item.file.unpack and not is_unpacked(item):
                done += f", {_unpack(item, item.file.unpack):,} files unpacked"
    except OSError as error:
        fault = error.strerror or error
        msg = f"{item.target}: expected to write it, got '{fault}'; mend that and try again"
        raise InputError(msg) from error
    return f"{item.target}: {done} (checksum {item.promise})"


def fetch_files(
    tasks: Sequence[Callable[[], str]], *, jobs: int, stop: threading.Event
) -> Iterator[str | InputError]:
    """Run `tasks`, `jobs` at a time, and give each one's line or error as it comes.

    An interrupt sets `stop` and goes on up; a task that is stuck in a read is left to die.
    """
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield _outcome(task)
        return
    waiting: queue.SimpleQueue[Callable[[], str]] = queue.SimpleQueue()
    done: queue.SimpleQueue[str | InputError | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)

    def work() -> None:
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put(_outcome(task))
            except BaseException as error:  # told to the thread that asked
                done.put(error)

    # Daemons, since a thread that waits for a silent server must not hold the process.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(tasks)))]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            outcome = done.get()
            if isinstance(outcome, BaseException) and not isinstance(outcome, InputError):
                raise outcome
            yield outcome
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=1.0)


def verify_item(item: Item) -> tuple[Problems, list[str]]:
    """Compare a file, and what it was unpacked into, with all that is known of them.

    Returns the problems and, apart from them, the paths for which no checksum is known. What is
    found right is remembered.
    """
    problems, unknown = Problems([], []), []
    path, checksum = item.file.path, item.checksum
    if not item.target.is_file():
        problems.missing.append(path)
    elif item.size not in (None, length(item.target)):
        problems.corrupt.append(f"{path} ({length(item.target):,} bytes for {item.size:,})")
    elif checksum is None:
        unknown.append(path)
    elif fault := mismatch(item.target, checksum):
        problems.corrupt.append(f"{path} ({fault})")
    else:
        item.ledger.check(path, [item.target], checksum)
    if item.file.unpack and checksum and not problems.missing:
        listed = item.ledger.unpacked(path, checksum)
        if listed is None:
            problems.missing.append(f"{path}, unpacked")
        else:
            inside = manifest.verify(listed, item.folder)
            problems.missing.extend(inside.missing)
            problems.corrupt.extend(inside.corrupt)
            if not any(inside):
                files = [item.folder / file.path for file in listed]
                item.ledger.check(f"{path}, unpacked", files, checksum)
    return problems, unknown


def checked_on(item: Item) -> str | None:
    """The date on which the file and what it was unpacked into were last found right, or None."""
    path, checksum = item.file.path, item.checksum
    if checksum is None or not (date := item.ledger.checked(path, [item.target], checksum)):
        return None
    if item.file.unpack is None:
        return date
    files = [item.folder / f.path for f in item.ledger.unpacked(path, checksum) or ()]
    other = item.ledger.checked(f"{path}, unpacked", files, checksum)
    return min(date, other) if other else None


def _outcome(task: Callable[[], str]) -> str | InputError:
    try:
        return task()
    except InputError as error:
        return error


@contextlib.contextmanager
def _locked(item: Item, stop: threading.Event | None) -> Iterator[None]:
    """Hold the target's lock: of two processes, one downloads and the other finds it done."""
    lock = FileLock(item.target.with_name(f".{item.target.name}.lock"))
    told = False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            if stop is not None and stop.is_set():
                raise Stopped from None
            if not told:
                log.info("%s: waiting for another process that fetches it", item.target)
            told = True
    try:
        yield
    finally:
        lock.release()


def _is_right(item: Item) -> bool:
    """Whether the target is there as it must be; one without any checksum is recorded as found."""
    if not item.target.is_file() or item.size not in (None, length(item.target)):
        return False
    if item.checksum is None:
        _record(item, item.target, None)
    checksum = item.checksum
    if checksum is None or mismatch(item.target, checksum):
        return False
    item.ledger.check(item.file.path, [item.target], checksum)
    return True


def _record(item: Item, path: Path, address: str | None) -> None:
    digest = pooch.file_hash(str(path), alg="sha256")
    item.ledger.record(item.file.path, sha256=digest, size=length(path), address=address)


def _download(
    item: Item, config: TransferConfig, quiet: bool, stop: threading.Event | None
) -> None:
    """Fetch from the first address that gives the right file, and put it into place."""
    check_room(item.part.parent, item.wanted, str(item.target))
    failures = []
    for address in item.file.addresses:
        host = urlsplit(address).hostname
        # What an earlier address sent may be what is wrong: then this one is heard alone.
        for begun in (length(item.part), 0):
            try:
                with _progress(item, quiet) as moved:
                    transfer = Transfer(
                        size=item.size,
                        checked=item.checksum is not None,
                        config=config,
                        moved=moved,
                        stop=stop,
                    )
                    transfer(address, item.part)
            except Refused as refusal:
                failures.append(f"{host}: {refusal}")
                break
            checksum = item.checksum
            fault = mismatch(item.part, checksum) if checksum else None
            if fault is None:
                _put_into_place(item, address)
                return
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


def _put_into_place(item: Item, address: str) -> None:
    # Recorded first: a process killed in between finds the part file whole and held to the record.
    if item.checksum is None:
        _record(item, item.part, address)
    os.replace(item.part, item.target)
    discard(item.part)
    if hasattr(os, "O_DIRECTORY"):  # the name reaches the disk with its folder
        handle = os.open(item.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    assert item.checksum is not None
    item.ledger.check(item.file.path, [item.target], item.checksum)


def _unpack(item: Item, packing: str) -> int:
    """Unpack the checked archive; how many files came out of it."""
    others = (Item(item.source, file, item.home).target for file in item.source.files)
    reserved = [
        path.relative_to(item.folder).as_posix()
        for path in others
        if path.is_relative_to(item.folder)
    ]
    files = unpack(item.target, item.folder, packing, reserved=reserved)
    checksum = item.checksum
    assert checksum is not None
    item.ledger.unpack(item.file.path, checksum, files)
    paths = [item.folder / file.path for file in files]
    item.ledger.check(f"{item.file.path}, unpacked", paths, checksum)
    return len(files)


@contextlib.contextmanager
def _progress(item: Item, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A line with rate and time left, on a terminal only."""
    bar = tqdm(
        desc=item.file.path,
        total=item.size,
        initial=length(item.part),
        unit="B",
        unit_scale=True,
        leave=False,
        disable=True if quiet else None,
    )

    def moved(position: int, total: int | None) -> None:
        bar.total = total
        bar.update(position - bar.n)

    with bar:
        yield moved
