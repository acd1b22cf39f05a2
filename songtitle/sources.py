"""Sources: what a corpus is, where it comes from and under which terms, as its TOML says.

`data_manifest/NAME.toml` describes a source; `data_manifest/README.md` explains its keys.
"""

import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

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
    return Path(__file__).resolve().parents[1] / "data_manifest"


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
