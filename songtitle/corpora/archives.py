"""Archives: tar, zip and gzip files unpacked, and nothing ever written outside the folder."""

import errno
import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

from songtitle.corpora.manifest import HOME_VARIABLE, File, describe, stays_inside
from songtitle.errors import InputError

BLOCK = 1 << 20  # bytes
LONGEST_NAME = 1 << 20  # bytes that a tar archive may take to describe a member
DESCRIPTIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


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
        with archive.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        if packing == "gz" or (packing == "tar" and gzipped):
            _measure(archive, folder)
        if packing == "zip":
            names = _unpack_zip(archive, folder, target)
        elif packing == "tar":
            names = extract(archive, folder, target)
        else:
            names = [target(archive.name.removesuffix(".gz"))]
            with gzip.open(archive) as content:
                _put(content, folder / names[0])
    except (*broken, NotImplementedError, OSError) as error:
        # bz2 and gzip raise bare ones for broken content; zipfile seeks to where no file can be.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's
        msg = f"{archive}: expected a whole {packing} archive, got '{error}'; fetch it again"
        raise InputError(msg) from error
    return describe(dict.fromkeys(folder / name for name in names), folder)


def extract(
    archive: Path | IO[bytes],
    folder: Path,
    members: Callable[[str], str | None] = lambda name: name,
    *,
    label: str = "archive",
) -> list[str]:
    """Unpack a tar archive (plain, gz, bz2 or xz; a path or a stream) under `folder`.

    `members` gives, for a name in the archive, the relative path to write it to, or None to leave
    it out. A chosen path that is absolute or climbs with `..`, and a chosen link or device, raises
    InputError; so does a member for which the disk has no room, before it is written. Messages
    call a stream `label`. Returns the paths of the files written.
    """
    label = str(archive) if isinstance(archive, Path) else label
    written = []
    try:
        # A stream is read once, front to back: a pipe will do, and nothing is unpacked twice.
        with (
            archive.open("rb") if isinstance(archive, Path) else archive as source,
            tarfile.open(fileobj=source, mode="r|*", tarinfo=_Member) as tar,
        ):
            for member in tar:
                target = members(member.name)
                if target is None or member.isdir():
                    continue
                _check_member(target, member.name, label, plain=member.isreg())
                check_room(folder, member.size, f"{label}: {member.name}")
                content = tar.extractfile(member)
                assert content is not None  # it is a plain file
                _put(content, folder / target)
                written.append(target)
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        msg = f"{label}: expected a whole tar archive, got '{error}'; download it again"
        raise InputError(msg) from error
    return written


class _Member(tarfile.TarInfo):
    """A member with a name of sensible length: tarfile reads names into memory, however long."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.type in DESCRIPTIONS and self.size > LONGEST_NAME:
            msg = f"a header of {self.size:,} bytes"
            raise tarfile.ReadError(msg)
        return super()._proc_member(tar)  # type: ignore[misc]


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
            _check_member(member.filename, member.orig_filename, str(archive), plain=plain)
            members[target(member.filename)] = member
        # What an archive declares is a bound: zipfile reads no member beyond it.
        check_room(folder, sum(m.file_size for m in members.values()), f"{archive}, unpacked")
        for name, member in members.items():
            with file.open(member) as content:
                _put(content, folder / name)
    return list(members)


def _measure(archive: Path, folder: Path) -> None:
    """Read a gzip file to its end: its checksum is right, and the disk has room for all of it.

    tarfile leaves the checksum at the end unread.
    """
    size = 0
    with gzip.open(archive) as content:
        while block := content.read(BLOCK):
            size += len(block)
            check_room(folder, size, f"{archive}, unpacked")


def _put(content: Any, path: Path) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            shutil.copyfileobj(content, out, BLOCK)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _check_member(target: str, name: str, label: str, *, plain: bool) -> None:
    if not plain or not stays_inside(target):
        msg = (
            f"{label}: expected plain files that stay inside the archive's folder, got "
            f"{name!r}; do not use this archive"
        )
        raise InputError(msg)


def check_room(folder: Path, size: int, label: str) -> None:
    """Raise InputError unless the disk that holds `folder`, made or not, has `size` bytes free."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size > free:
        msg = (
            f"{label}: expected {size:,} bytes of disk space in {folder}, got {free:,}; make "
            f"room, or set {HOME_VARIABLE} to a folder on a larger disk"
        )
        raise InputError(msg)
