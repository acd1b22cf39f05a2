"""Archives, unpacked so that nothing lands outside the folder and no disk is filled by surprise."""

import errno
import gzip
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection
from lzma import LZMAError
from pathlib import Path

from songtitle.errors import InputError
from songtitle.manifest import File, check_member, check_room, extract, sha256

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
