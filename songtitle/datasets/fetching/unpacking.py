"""Archives, unpacked so that nothing lands outside the folder and no disk is filled by surprise."""

import errno
import gzip
import hashlib
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
ROOM = 1 << 26  # bytes that a stream of unknown length may write before room is looked for again


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
    ways = {"zip": _unpack_zip, "tar": _unpack_tar, "gz": _unpack_gz}
    broken = (zipfile.BadZipFile, zlib.error, EOFError, LZMAError, UnicodeDecodeError)
    torn = (*broken, NotImplementedError, OSError)
    try:
        return ways[packing](archive, folder, reserved)
    except torn as error:
        # bz2 and gzip raise bare ones for broken content; zipfile seeks to where no file can be.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's
        msg = f"{archive}: expected a whole {packing} archive, got '{error}'; fetch it again"
        raise InputError(msg) from error


def _unpack_zip(archive: Path, folder: Path, reserved: Collection[str]) -> list[File]:
    written: dict[str, File] = {}
    with zipfile.ZipFile(archive) as file:
        members = [member for member in file.infolist() if not member.is_dir()]
        for member in members:
            _check_zip_member(member, archive)
            _refuse_reserved(member.filename, reserved, archive)
        # What an archive declares is a bound: zipfile reads no member beyond it.
        check_room(folder, sum(member.file_size for member in members), f"{archive}, unpacked")
        for member in members:
            with file.open(member) as content:
                name = member.filename.removeprefix("./")
                written[name] = _write(content.read, folder, name, member.file_size)
    return list(written.values())


def _check_zip_member(member: zipfile.ZipInfo, archive: Path) -> None:
    mode = member.external_attr >> 16  # Unix file type, 0 where the archive was not made on Unix
    plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not member.flag_bits & 1  # 1: encrypted
    # zipfile turns the other system's separators into its own: look at the name as it was written.
    plain = plain and "\\" not in member.orig_filename
    check_member(member.filename, member.orig_filename, str(archive), plain=plain)


def _refuse_reserved(name: str, reserved: Collection[str], archive: Path) -> None:
    parts = Path(name).parts
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    if Path(name).as_posix() in reserved or (hidden and parts[-1].endswith((".part", ".lock"))):
        msg = (
            f"{archive}: expected files of its own, got {name!r}, the name of a download; do not "
            "use this archive"
        )
        raise InputError(msg)


def _unpack_tar(archive: Path, folder: Path, reserved: Collection[str]) -> list[File]:
    with archive.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    if gzipped:  # read to its end once: tarfile leaves the checksum there unread
        with gzip.open(archive) as content:
            size = sum(len(block) for block in iter(lambda: content.read(BLOCK), b""))
        check_room(folder, size, f"{archive}, unpacked")

    def member(name: str) -> str | None:
        _refuse_reserved(name, reserved, archive)
        return name.removeprefix("./")

    written = dict.fromkeys(extract(archive, folder, member))
    return [File(path, sha256(folder / path), (folder / path).stat().st_size) for path in written]


def _unpack_gz(archive: Path, folder: Path, reserved: Collection[str]) -> list[File]:
    name = archive.name.removesuffix(".gz")
    _refuse_reserved(name, reserved, archive)
    with gzip.open(archive) as content:
        return [_write(content.read, folder, name, None)]


def _write(read: Callable[[int], bytes], folder: Path, name: str, size: int | None) -> File:
    """Write what `read` gives to `folder/name`; without `size`, room is looked for as it goes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    digest, written, room = hashlib.sha256(), 0, 0
    try:
        with part.open("wb") as out:
            while block := read(BLOCK):
                if size is None and written + len(block) > room:
                    check_room(folder, ROOM, f"{name}, unpacked")
                    room = written + ROOM
                out.write(block)
                digest.update(block)
                written += len(block)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, path)
    return File(Path(name).as_posix(), digest.hexdigest(), written)
