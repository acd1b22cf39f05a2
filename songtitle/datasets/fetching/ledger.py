"""What a data home remembers of its files: checksums nobody published, and when all was checked.

`recorded/NAME.json` has, for a source, the checksum of each file that came without a published one
(held from the first fetch on) and the last check of each file, good for as long as the file's size
and time of change stay the same. `recorded/NAME/` lists what was unpacked.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from songtitle.disk import write_whole
from songtitle.errors import InputError
from songtitle.manifest import File, read_files, write_files

FOLDER = "recorded"


class Ledger:
    """The memory of one source in one data home; reading it writes nothing."""

    def __init__(self, home: Path, name: str) -> None:
        self.folder = home / FOLDER / name
        self.path = home / FOLDER / f"{name}.json"

    def recorded(self, path: str) -> dict[str, Any] | None:
        """`sha256`, `size`, `date` and `address` of a file's first fetch; None before it."""
        return self._read()["files"].get(path)

    def record(self, path: str, *, sha256: str, size: int, address: str | None) -> None:
        """Hold a file to its first content; `address` is None where it was found in place."""
        entry = {"sha256": sha256, "size": size, "date": _today(), "address": address}
        self._change("files", path, entry)

    def checked(self, name: str, files: Iterable[Path], against: str) -> str | None:
        """The date on which `files` were last found as `against`, a checksum, has them.

        None if they never were, or if one of them has changed in size or time since.
        """
        entry = self._read()["checked"].get(name)
        if entry is None or entry["fingerprint"] != fingerprint(files, against):
            return None
        return str(entry["date"])

    def check(self, name: str, files: Iterable[Path], against: str) -> None:
        """Remember that all of `files` were found as `against`, a checksum, has them."""
        entry = {"date": _today(), "fingerprint": fingerprint(files, against)}
        self._change("checked", name, entry)

    def unpacked(self, path: str, archive: str) -> list[File] | None:
        """What an archive with the checksum `archive` was unpacked into; None if it was not."""
        entry = self._read()["unpacked"].get(path)
        if entry != archive or not self._list(path).is_file():
            return None
        return read_files(self._list(path))

    def unpack(self, path: str, archive: str, files: Iterable[File]) -> None:
        """Remember the files that an archive was unpacked into."""
        self._list(path).parent.mkdir(parents=True, exist_ok=True)
        write_files(files, self._list(path))
        self._change("unpacked", path, archive)

    def _list(self, path: str) -> Path:
        return self.folder / f"{path}.csv"

    def _read(self) -> dict[str, dict[str, Any]]:
        table: dict[str, dict[str, Any]] = {"files": {}, "checked": {}, "unpacked": {}}
        try:
            table |= json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError) as error:
            msg = (
                f"{self.path}: expected the JSON that fetch wrote, got '{error}'; restore it, or "
                "delete it to record every checksum anew"
            )
            raise InputError(msg) from error
        return table

    def _change(self, part: str, path: str, entry: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            table = self._read()
            table[part][path] = entry
            write_whole(self.path, json.dumps(table, indent=1, sort_keys=True) + "\n")


def fingerprint(files: Iterable[Path], against: str) -> str:
    """A hash of `against` and of paths, sizes and times of change, which no content enters."""
    digest = hashlib.sha256(against.encode())
    for path in files:
        try:
            stat = path.stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path} is not there\n".encode())
    return digest.hexdigest()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
