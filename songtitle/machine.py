"""The machine: files written whole, disks that fill, and processes that end with their parent."""

import errno
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path

import psutil

from songtitle.errors import InputError

# What a disk says that is full, read-only, broken or gone.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE)
LITTLE = 1 << 20  # bytes: a disk with less is full


@contextmanager
def clear_disk_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn what a disk says, and a file that is gone from `folder`, into one line to act on."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        place = _refused(error, folder)
        if place is None:
            raise
        said = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "no room")
        msg = f"{what}: {said}: {place}; make room there or bring it back, and run the same again: "
        msg += "it goes on from what is done"
        raise InputError(msg) from error


def _refused(error: Exception, folder: Path) -> Path | None:
    """What a disk refused that is full, read-only, broken or gone; None where none did."""
    name, number = getattr(error, "filename", None), getattr(error, "errno", None)
    named = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None
    if named and (number in DISK_ERRORS or named.is_relative_to(folder)):
        return named
    # Libraries say it in words of their own, or name no file.
    for place in (folder, Path(tempfile.gettempdir())):
        with suppress(OSError):
            if shutil.disk_usage(place).free < LITTLE:
                return place
    return folder if number in DISK_ERRORS else None


def same_python_in_spark() -> None:
    """Have Spark's workers run by the Python of this process, where nobody said which: by itself
    Spark takes the system's own, which has none of the packages."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a small file that is the old one or the new one at any moment, whoever else writes, and
    even if the power goes. Text is written as UTF-8."""
    _clear_away(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # a disk that refused the one refuses the other
            partial.unlink(missing_ok=True)


def _clear_away(path: Path) -> None:
    """What earlier writers of a file left who are gone: killed, or on a disk turned read-only."""
    start = f".{path.name}."
    for left in path.parent.iterdir():
        writer = left.name.removeprefix(start)
        if left.name.startswith(start) and writer.isdigit() and not psutil.pid_exists(int(writer)):
            left.unlink(missing_ok=True)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_watching = threading.Event()


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, even by SIGKILL.

    For the `initializer` of a pool: left alone, a worker of multiprocessing finishes its piece and
    then waits for more for ever. Does nothing in a process that no other of Python's began.
    """
    parent = multiprocessing.parent_process()
    if parent is None or _watching.is_set():
        return
    _watching.set()

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
