"""Sources: what a corpus is, where it comes from and under which terms, as its TOML says.

`data_manifest/NAME.toml` describes a source; `data_manifest/README.md` explains its keys.
"""

import ipaddress
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from songtitle.corpora import manifest
from songtitle.errors import InputError

EXPECTED = {  # of a fault that pydantic finds; others say it themselves
    "missing": "a value",
    "extra_forbidden": "no such key",
    "too_short": "at least one",
}


def is_local(host: str) -> bool:
    """Say whether a host, by its name or number alone, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _expect(right: object, wanted: str) -> None:
    """Raise a ValueError that says what was wanted; pydantic knows of which key."""
    if not right:
        raise ValueError(wanted)


def check_address(address: str) -> str:
    """Give back an address that is https, or http on this very machine.

    Raises ValueError with what another one should be.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port  # raises for a port that is none
    except ValueError:
        _expect(False, "an address")
    _expect(parts.scheme in ("http", "https") and host, "an https address")
    secure = parts.scheme == "https" or is_local(host or "")
    _expect(secure, "https, since http can be altered on its way")
    return address


def _check_path(path: str) -> str:
    # A leading dot is kept for part files and locks.
    hidden = any(part.startswith(".") for part in PurePosixPath(path).parts)
    right = manifest.stays_inside(path) and not hidden and "\\" not in path
    _expect(right, "a relative path that stays inside")
    return path


def _digits(pattern: str, wanted: str) -> AfterValidator:
    def check(digits: str) -> str:
        _expect(
            re.fullmatch(f"[0-9a-f]{{{pattern}}}", digits.lower()), f"{wanted} hexadecimal digits"
        )
        return digits.lower()

    return AfterValidator(check)


Inside = Annotated[str, AfterValidator(_check_path)]  # with forward slashes on every platform
Address = Annotated[str, AfterValidator(check_address)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Table):
    """What a column of a source's table holds."""

    type: str
    unit: str
    meaning: str


class Download(_Table):
    """One file of a source that its publisher offers for download, with one checksum at most."""

    path: Inside  # relative to the source's folder
    addresses: Annotated[tuple[Address, ...], Field(min_length=1)]  # tried in this order
    size: Annotated[int, Strict(), Field(gt=0)] | None = None  # bytes; None when not published
    unpack: Literal["zip", "tar", "gz"] | None = None  # into the folder that it lies in
    sha256: Annotated[str, _digits("64", "64")] | None = None
    sha1: Annotated[str, _digits("40", "40")] | None = None
    md5: Annotated[str, _digits("32", "32")] | None = None
    sha256_starts: Annotated[str, _digits("6,64", "6 to 64")] | None = None

    @property
    def checksum(self) -> str | None:
        """The checksum as published, its kind before it: "sha1:9f..."; None where there is none."""
        kinds = ("sha256", "sha1", "md5", "sha256_starts")
        given = [f"{kind}:{digits}" for kind in kinds if (digits := getattr(self, kind))]
        _expect(len(given) < 2, "one checksum at most")
        return given[0] if given else None

    @model_validator(mode="after")
    def _fits(self) -> "Download":
        _ = self.checksum
        right = self.unpack != "gz" or self.path.endswith(".gz")
        _expect(right, "a path with the ending .gz, which unpacking takes away")
        return self


class Source(_Table):
    """What a data source is, where it comes from and under which terms."""

    name: str
    title: str
    version: str
    licence: str
    citation: str
    description: str
    folder: Inside  # below the data home
    package: str | None = None  # the package that carries it
    addresses: tuple[Address, ...] = ()  # tried in this order
    columns: dict[str, Column] = {}
    files: tuple[Download, ...] = ()

    @field_validator("files")
    @classmethod
    def _once_each(cls, files: tuple[Download, ...]) -> tuple[Download, ...]:
        _expect(len({file.path for file in files}) == len(files), "each path once")
        return files


def names(folder: Path | None = None) -> list[str]:
    """Name all sources, sorted; a TOML with none of a source's keys is something else."""
    found = sorted((folder or manifest.manifest_folder()).glob("*.toml"))
    return [path.stem for path in found if _read_toml(path).keys() & Source.model_fields.keys()]


def read_source(name: str, folder: Path | None = None) -> Source:
    """Read the source that NAME.toml describes, in `folder` or else `manifest.manifest_folder()`.

    Raises InputError naming the file and the keys that are missing, unknown or malformed.
    """
    folder = folder or manifest.manifest_folder()
    path = folder / f"{name}.toml"
    if Path(name).name != name or not path.is_file():
        known = ", ".join(names(folder)) or "none"
        msg = f"source {name!r}: expected one of {known}; there is no {path}; check the name"
        raise InputError(msg)
    try:
        return Source.model_validate({"folder": name, **_read_toml(path), "name": name})
    except ValidationError as error:
        msg = f"{path}: {'; '.join(map(_told, error.errors()))}; correct the file"
        raise InputError(msg) from error


def _told(fault: Any) -> str:
    """A fault that pydantic found, in a few words that begin with the key."""
    key = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    got = "none" if fault["type"] == "missing" else repr(fault["input"])
    return f"{key[1:]}: expected {EXPECTED.get(fault['type'], said)}, got {got}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: expected TOML, got '{error}'; restore the file"
        raise InputError(msg) from error
