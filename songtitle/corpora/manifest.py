"""Sources: what a corpus is, where it comes from and under which terms, as its TOML says.

`data_manifest/NAME.toml` describes a source; `data_manifest/README.md` explains its keys.
"""

import csv
import hashlib
import importlib.util
import ipaddress
import os
import re
import shutil
import tarfile
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from platformdirs import user_data_path

from songtitle.errors import InputError

CHECKSUMS = {"sha256": 64, "sha1": 40, "md5": 32, "sha256_starts": 64}  # hex digits at most
PACKINGS = ("zip", "tar", "gz")


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file of a source that its publisher offers for download."""

    path: str  # relative to the source's folder, with forward slashes on every platform
    addresses: tuple[str, ...]  # tried in this order
    size: int | None = None  # bytes; None when not published
    checksum: str | None = None  # as published, "sha1:9f...", its kind a key of CHECKSUMS
    unpack: str | None = None  # one of PACKINGS: unpacked into the folder that it lies in


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a data source is, where it comes from and under which terms."""

    name: str
    title: str
    version: str
    licence: str
    citation: str
    description: str
    addresses: tuple[str, ...] = ()  # https, tried in this order
    package: str | None = None  # the package that carries it
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # type, unit, meaning
    folder: str  # below the data home
    files: tuple[Download, ...] = ()


def manifest_folder() -> Path:
    """`data_manifest/` of the clone this library runs from (it is installed editable)."""
    return Path(__file__).resolve().parents[2] / "data_manifest"


def names(folder: Path | None = None) -> list[str]:
    """The names of all sources, sorted; a TOML with none of a source's keys is something else."""
    found = []
    for path in sorted((folder or manifest_folder()).glob("*.toml")):
        if _read_toml(path).keys() & _SOURCE_KEYS:
            found.append(path.stem)
    return found


def read_source(name: str, folder: Path | None = None) -> Source:
    """The source that NAME.toml describes, from `folder` or else `manifest_folder()`.

    Raises InputError naming the file and the key where one is missing, unknown or malformed.
    """
    folder = folder or manifest_folder()
    path = folder / f"{name}.toml"
    if Path(name).name != name or not path.is_file():
        known = ", ".join(names(folder)) or "none"
        msg = f"source {name!r}: expected one of {known}; there is no {path}; check the name"
        raise InputError(msg)
    table = _read_toml(path)
    required = {"title", "version", "licence", "citation", "description"}
    wrong = sorted((required - table.keys()) | (table.keys() - _SOURCE_KEYS))
    if wrong:
        msg = (
            f"{path}: expected the keys {', '.join(sorted(required))} and no unknown ones; "
            f"missing or unknown: {', '.join(wrong)}; correct the file"
        )
        raise InputError(msg)
    for key in sorted(table.keys() & (required | {"package", "folder"})):
        _expect(path, key, isinstance(table[key], str), "a string", table[key])
    _check_columns(path, table.get("columns", {}))
    table.setdefault("folder", name)
    _check_path(path, "folder", table["folder"])
    table["addresses"] = _read_addresses(path, "addresses", table.get("addresses", []))
    entries = table.get("files", [])
    _expect(path, "files", isinstance(entries, list), "[[files]] tables", entries)
    table["files"] = tuple(_read_download(path, n, entry) for n, entry in enumerate(entries))
    paths = [file.path for file in table["files"]]
    twice = [found for found, times in Counter(paths).items() if times > 1]
    _expect(path, "files", not twice, "each path once", twice)
    return Source(name=name, **table)


_SOURCE_KEYS = {f.name for f in fields(Source)} - {"name"}
_DOWNLOAD_KEYS = {"path", "size", "addresses", "unpack", *CHECKSUMS}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: expected TOML, got '{error}'; restore the file"
        raise InputError(msg) from error


def _read_download(path: Path, number: int, entry: Any) -> Download:
    """The download that the `number`-th [[files]] table of the TOML at `path` describes."""
    where = f"files[{number}]"
    _expect(path, where, isinstance(entry, dict), "a table", entry)
    unknown = sorted(entry.keys() - _DOWNLOAD_KEYS)
    _expect(path, where, not unknown, f"only {', '.join(sorted(_DOWNLOAD_KEYS))}", unknown)
    name = entry.get("path")
    _check_path(path, f"{where}.path", name)
    size = entry.get("size")
    whole = size is None or (type(size) is int and size > 0)  # bool is an int, too
    _expect(path, f"{where}.size", whole, "a positive number of bytes", size)
    addresses = _read_addresses(path, f"{where}.addresses", entry.get("addresses"))
    _expect(path, f"{where}.addresses", bool(addresses), "at least one", [])
    unpack = entry.get("unpack")
    _expect(path, f"{where}.unpack", unpack in (None, *PACKINGS), f"one of {PACKINGS}", unpack)
    ending = unpack != "gz" or name.endswith(".gz")
    _expect(path, f"{where}.path", ending, "the ending .gz, which unpacking takes away", name)
    kinds = sorted(entry.keys() & CHECKSUMS.keys())
    _expect(path, where, len(kinds) < 2, "one checksum at most", kinds)
    checksum = None
    for kind in kinds:
        digits = entry[kind].lower() if isinstance(entry[kind], str) else ""
        least = 6 if kind == "sha256_starts" else CHECKSUMS[kind]
        right = re.fullmatch(f"[0-9a-f]{{{least},{CHECKSUMS[kind]}}}", digits) is not None
        wanted = f"{least} to {CHECKSUMS[kind]}" if least < CHECKSUMS[kind] else f"{least}"
        _expect(path, f"{where}.{kind}", right, f"{wanted} hexadecimal digits", entry[kind])
        checksum = f"{kind}:{digits}"
    return Download(path=name, addresses=addresses, size=size, checksum=checksum, unpack=unpack)


def _read_addresses(path: Path, key: str, addresses: Any) -> tuple[str, ...]:
    right = isinstance(addresses, list) and all(isinstance(each, str) for each in addresses)
    _expect(path, key, right, "a list of addresses", addresses)
    for address in addresses:
        fault = address_fault(address)
        _expect(path, key, fault is None, fault or "", address)
    return tuple(addresses)


def _check_columns(path: Path, columns: Any) -> None:
    _expect(path, "columns", isinstance(columns, dict), "a table", columns)
    for name, column in columns.items():
        right = (
            isinstance(column, dict)
            and column.keys() == {"type", "unit", "meaning"}
            and all(isinstance(text, str) for text in column.values())
        )
        _expect(path, f"columns.{name}", right, "type, unit and meaning, as strings", column)


def _check_path(path: Path, key: str, name: Any) -> None:
    # A leading dot is kept for part files and locks.
    inside = isinstance(name, str) and stays_inside(name) and "\\" not in name
    hidden = inside and any(part.startswith(".") for part in PurePosixPath(name).parts)
    _expect(path, key, inside and not hidden, "a relative path that stays inside", name)


def _expect(path: Path, key: str, right: bool, wanted: str, got: Any) -> None:
    if not right:
        msg = f"{path}: {key}: expected {wanted}, got {got!r}; correct the file"
        raise InputError(msg)


def address_fault(address: str) -> str | None:
    """What an address should be and is not, or None: https, or http on this very machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return "an address"
    if parts.scheme not in ("http", "https") or not host:
        return "an https address"
    if parts.scheme == "http" and not is_local(host):
        return "https, since http can be altered on its way"
    return None


def is_local(host: str) -> bool:
    """Whether a host, by its name or number alone, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def stays_inside(path: str) -> bool:
    """Whether a path is relative, not empty and without `..`, on any platform."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts
    return bool(windows.parts) and not outside


HOME_VARIABLE = "SONGTITLE_DATA"
SAMPLES = "SONGTITLE_REAL_DATA"  # names a folder of samples of the paper's corpora
LONGEST_NAME = 1 << 20  # bytes that a tar archive may take to describe a member


@dataclass(frozen=True)
class File:
    """One file of a source."""

    path: str  # relative to the source's folder, with forward slashes on every platform
    sha256: str  # 64 lowercase hexadecimal digits
    size: int  # bytes


class Problems(NamedTuple):
    """What `verify` found, as paths in the order of the list; both empty when all is well."""

    missing: list[str]
    corrupt: list[str]


def named_home() -> Path:
    """The environment variable SONGTITLE_DATA, or else the platform's folder for user data."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else user_data_path("songtitle", appauthor=False)


def data_home() -> Path:
    """The folder that holds fetched data, `named_home()`, made on demand.

    Raises InputError when it cannot be made or written to.
    """
    home = named_home()
    probe = home / f".writable-{os.getpid()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        msg = (
            f"data home {home}: expected a folder that can be written to, got "
            f"'{error.strerror}'; set {HOME_VARIABLE} to such a folder"
        )
        raise InputError(msg) from error
    return home


def package_folder(package: str) -> Path:
    """The folder of the installed `package`, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        msg = (
            f"package {package}: expected to find it installed, since it carries data; "
            "it is not there; install the packages of requirements.lock"
        )
        raise InputError(msg)
    return Path(spec.origin).parent


def read_files(path: Path) -> list[File]:
    """The file list that `write_files` wrote: `read_files(p)` after `write_files(x, p)` is x."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return [File(r["path"], r["sha256"], int(r["size"])) for r in csv.DictReader(lines)]
    except FileNotFoundError as error:
        msg = f"{path}: expected a file list, there is none; restore it from the repository"
        raise InputError(msg) from error
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path}: expected CSV with the columns path, sha256 and size (bytes), "
            f"got '{error}'; restore it from the repository"
        )
        raise InputError(msg) from error


def write_files(files: Iterable[File], path: Path) -> None:
    """Write a file list as CSV, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow([f.name for f in fields(File)])
        rows.writerows([f.path, f.sha256, f.size] for f in files)
    os.replace(part, path)


def lists_hash(name: str) -> str:
    """A sha256 over the file list of a source: it changes when any listed file does."""
    listing = "".join(f"{f.path} {f.sha256} {f.size}\n" for f in listed(name))
    return hashlib.sha256(listing.encode()).hexdigest()


def listed(name: str) -> list[File]:
    """The file list of a source, from `data_manifest/NAME.csv`."""
    return read_files(manifest_folder() / f"{name}.csv")


def sha256(path: Path) -> str:
    """The file's sha256, as 64 lowercase hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(files: Iterable[File], folder: Path, *, quick: bool = False) -> Problems:
    """Compare what lies in `folder` with the list; `quick` looks at sizes and hashes nothing."""
    problems = Problems([], [])
    for file in files:
        path = folder / file.path
        if not path.is_file():
            problems.missing.append(file.path)
        elif path.stat().st_size != file.size or not (quick or sha256(path) == file.sha256):
            problems.corrupt.append(file.path)
    return problems


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
    InputError: nothing is ever written outside `folder`. So does a member for which the disk has
    no room, before it is written. Messages call a stream `label`.
    Returns the paths of the files written.
    """
    source: IO[bytes]
    if isinstance(archive, Path):
        label, source = str(archive), archive.open("rb")
    else:
        source = archive
    written = []
    try:
        # A stream is read once, front to back: a pipe will do, and nothing is unpacked twice.
        with source, tarfile.open(fileobj=source, mode="r|*", tarinfo=_Member) as tar:
            for member in tar:
                target = members(member.name)
                if target is None or member.isdir():
                    continue
                check_member(target, member.name, label, plain=member.isreg())
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                check_room(path.parent, member.size, f"{label}: {member.name}")
                part = path.with_name(path.name + ".part")
                content = tar.extractfile(member)
                try:
                    with part.open("wb") as out:
                        if content is not None:
                            shutil.copyfileobj(content, out)
                    os.replace(part, path)
                finally:
                    part.unlink(missing_ok=True)
                written.append(target)
    except (tarfile.TarError, EOFError, zlib.error, LZMAError) as error:
        msg = f"{label}: expected a whole tar archive, got '{error}'; download it again"
        raise InputError(msg) from error
    return written


class _Member(tarfile.TarInfo):
    """A member with a name of sensible length: tarfile reads names into memory, however long."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.type in _DESCRIPTIONS and self.size > LONGEST_NAME:
            msg = f"a header of {self.size:,} bytes"
            raise tarfile.ReadError(msg)
        return super()._proc_member(tar)  # type: ignore[misc]


_DESCRIPTIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


def split_by_group(
    groups: Sequence[str], fractions: Mapping[str, float], *, seed: int
) -> list[str]:
    """A split name for each item, all items of a group in the same split.

    Groups are put in an order that depends on `seed` and their names alone, then dealt out so that
    each split holds nearly its fraction of the items. The order of `groups` changes nothing.
    """
    if isinstance(groups, str):
        msg = f"expected a list of group names, got the string {groups!r}"
        raise TypeError(msg)
    total = sum(fractions.values())
    if not fractions or min(fractions.values()) < 0 or abs(total - 1) > 1e-9:
        msg = (
            f"fractions: expected non-negative numbers that sum to 1, got {dict(fractions)}; "
            "correct them"
        )
        raise InputError(msg)
    sizes = Counter(groups)
    side: dict[str, str] = {}
    names, before = list(fractions), 0
    for group in seeded_order(sizes, seed=seed):
        # The group's middle item decides, so that a large group is not always rounded one way.
        place = (before + sizes[group] / 2) / len(groups)
        edge = 0.0
        for name in names:
            edge += fractions[name]
            if place < edge:
                break
        side[group] = name
        before += sizes[group]
    return [side[group] for group in groups]


def seeded_order(names: Iterable[str], *, seed: int) -> list[str]:
    """Names in an order that depends on `seed` and the names alone: the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def check_member(target: str, name: str, label: str, *, plain: bool) -> None:
    """Raise InputError unless an archive's member is a plain file and `target` stays inside."""
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
