"""The manifest: sources, their files listed, verified and unpacked, items dealt out to splits.

`data_manifest/NAME.toml` describes a source (the README there explains its keys); `NAME.csv` beside
it lists the files of one that comes in a package.
"""

import csv
import errno
import gzip
import hashlib
import importlib.util
import io
import os
import re
import shutil
import stat
import tarfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Annotated, Any, Literal, NamedTuple

from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from songtitle.errors import InputError
from songtitle.machine import write_whole

HOME_VARIABLE = "SONGTITLE_DATA"
SAMPLES = "SONGTITLE_REAL_DATA"  # names a folder of samples of the paper's corpora
LONGEST_NAME = 1 << 20  # bytes that a tar archive may take to describe a member
DESCRIPTIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
BROKEN = (  # what the readers of archives raise; bz2 and gzip raise bare OSErrors
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError),
    *(EOFError, UnicodeDecodeError, NotImplementedError, OSError),
)
HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\]\[/?#@:\\\s]+)(:\d{1,5})?"
LOCAL = r"(localhost|127(\.\d+){3}|\[::1\])(:\d{1,5})?"  # this machine
ADDRESS = rf"^(https://{HOST}|http://{LOCAL})([/?#]|$)"
PATH = r"^[^./\\:][^/\\:]*(/[^./\\:][^/\\:]*)*$"  # a leading dot is kept for part files and locks
EXPECTED = {  # of a fault that pydantic finds, by its type or the pattern that does not match
    "missing": "a value",
    "extra_forbidden": "no such key",
    "too_short": "at least one",
    ADDRESS: "an https address, or one of http on this machine",
    PATH: "a relative path that stays inside",
}


# -- folders and file lists -----------------------------------------------------------------------


def manifest_folder() -> Path:
    """Give `data_manifest/` of the clone this library runs from (it is installed editable)."""
    return Path(__file__).resolve().parents[2] / "data_manifest"


def named_home() -> Path:
    """Give the folder that SONGTITLE_DATA names, or else the platform's folder for user data."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else user_data_path("songtitle", appauthor=False)


def roots(home: Path) -> list[Path]:
    """List where a reader's corpora are looked for: the data home, then the samples if any."""
    named = os.environ.get(SAMPLES)
    return [home, Path(named)] if named else [home]


def data_home() -> Path:
    """Give `named_home()`, made on demand; InputError when it cannot be made or written to."""
    home = named_home()
    probe = home / f".writable-{os.getpid()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        msg = f"data home {home}: expected a folder that can be written to, got "
        msg += f"'{error.strerror}'; set {HOME_VARIABLE} to such a folder"
        raise InputError(msg) from error
    return home


def package_folder(package: str) -> Path:
    """Give the folder of the installed `package`, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        msg = f"package {package}: expected to find it installed, since it carries data; it is not "
        msg += "there; install the packages of requirements.lock"
        raise InputError(msg)
    return Path(spec.origin).parent


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


def describe(paths: Iterable[Path], root: Path) -> list[File]:
    """List files, each with its path relative to `root`, in the order given."""
    return [File(p.relative_to(root).as_posix(), sha256(p), p.stat().st_size) for p in paths]


def read_files(path: Path) -> list[File]:
    """Read a file list that `write_files` wrote. Raises InputError where there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return [File(r["path"], r["sha256"], int(r["size"])) for r in csv.DictReader(lines)]
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        msg = f"{path}: expected CSV with the columns path, sha256 and size (bytes), got "
        msg += f"'{error}'; restore it from the repository"
        raise InputError(msg) from error


def write_files(files: Iterable[File], path: Path) -> None:
    """Write a file list as CSV, whole or not at all."""
    text = io.StringIO()
    rows = [("path", "sha256", "size"), *map(astuple, files)]
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue())


def listed(name: str) -> list[File]:
    """Read the file list of a source, from `data_manifest/NAME.csv`."""
    return read_files(manifest_folder() / f"{name}.csv")


def lists_hash(name: str) -> str:
    """Hash the file list of a source: the sha256 changes when any listed file does."""
    listing = "".join(f"{f.path} {f.sha256} {f.size}\n" for f in listed(name))
    return hashlib.sha256(listing.encode()).hexdigest()


def digest(path: Path, kind: str) -> str:
    """Give a file's hash of a kind that hashlib knows, in lowercase hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def sha256(path: Path) -> str:
    """Give a file's sha256, as 64 lowercase hexadecimal digits."""
    return digest(path, "sha256")


def verify(
    files: Iterable[File], folder: Path | Callable[[File], Path], *, quick: bool = False
) -> Problems:
    """Compare files with their list; `quick` looks at sizes and hashes nothing.

    `folder` is where their paths start, one for all or a function of each.
    """
    problems = Problems([], [])
    for file in files:
        path = (folder if isinstance(folder, Path) else folder(file)) / file.path
        if not path.is_file():
            problems.missing.append(file.path)
        elif path.stat().st_size != file.size or not (quick or sha256(path) == file.sha256):
            problems.corrupt.append(file.path)
    return problems


# -- splits ---------------------------------------------------------------------------------------


SHARE = 0.1  # of a split that one group may be


def split_by_group(
    groups: Sequence[str], fractions: Mapping[str, float], *, seed: int
) -> list[str]:
    """Give each item the name of a split, all items of a group the same.

    The smaller splits are filled first, from groups in an order that depends on `seed` and their
    names alone, each with what fits into its room; the largest takes the rest. As long as others
    suffice, a smaller split takes no group of more than SHARE of it: none shall decide its result.
    The order of `groups` changes nothing. Raises InputError where a split stays empty.
    """
    if isinstance(groups, str):
        msg = f"expected a list of group names, got the string {groups!r}"
        raise TypeError(msg)
    total = sum(fractions.values())
    if not fractions or min(fractions.values()) < 0 or abs(total - 1) > 1e-9:
        msg = "fractions: expected non-negative numbers that sum to 1, got "
        msg += f"{dict(fractions)}; correct them"
        raise InputError(msg)
    sizes, side = Counter(groups), dict[str, str]()
    *smaller, largest = sorted(fractions, key=lambda name: fractions[name])
    waiting = seeded_order(sizes, seed=seed)
    for name in smaller:
        whole = room = round(fractions[name] * len(groups))
        for group in sorted(waiting, key=lambda group: sizes[group] > max(1, SHARE * whole)):
            if sizes[group] <= room:
                side[group] = name
                room -= sizes[group]
        waiting = [group for group in waiting if group not in side]
    side |= dict.fromkeys(waiting, largest)
    for name in fractions:
        if fractions[name] and name not in side.values():
            msg = f"split {name}: expected groups that fit into {fractions[name]:.0%} of "
            msg += f"{len(groups)} items, got groups of {min(sizes.values(), default=0)} and more; "
            raise InputError(msg + "take more items, or give it a larger fraction")
    return [side[group] for group in groups]


def seeded_order(names: Iterable[str], *, seed: int) -> list[str]:
    """Put names in an order that depends on `seed` and the names alone, on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


# -- descriptions of sources ----------------------------------------------------------------------


Inside = Annotated[str, StringConstraints(pattern=PATH)]  # with forward slashes everywhere
Address = Annotated[str, StringConstraints(pattern=ADDRESS)]


def _digits(numbers: str) -> StringConstraints:
    return StringConstraints(to_lower=True, pattern=f"(?i)^[0-9a-f]{{{numbers}}}$")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Download(_Table):
    """One file of a source that its publisher offers for download, with one checksum at most."""

    path: Inside  # relative to the source's folder
    addresses: Annotated[tuple[Address, ...], Field(min_length=1)]  # tried in this order
    size: Annotated[int, Strict(), Field(gt=0)] | None = None  # bytes; None when not published
    unpack: Literal["zip", "tar"] | None = None  # into the folder that it lies in
    sha256: Annotated[str, _digits("64")] | None = None
    sha1: Annotated[str, _digits("40")] | None = None
    md5: Annotated[str, _digits("32")] | None = None
    sha256_starts: Annotated[str, _digits("6,64")] | None = None  # the first of them

    @property
    def checksum(self) -> str | None:
        """The checksum as published, its kind before it: "sha1:9f..."; None where there is none."""
        kinds = ("sha256", "sha1", "md5", "sha256_starts")
        given = [f"{kind}:{digits}" for kind in kinds if (digits := getattr(self, kind))]
        if len(given) > 1:
            msg = "one checksum at most"
            raise ValueError(msg)
        return given[0] if given else None

    @model_validator(mode="after")
    def _one_checksum(self) -> "Download":
        _ = self.checksum
        return self


class Package(_Table):
    """A package of Debian and Ubuntu that carries a part of a source."""

    name: Inside
    version: str  # that the list of files was made from
    size: Annotated[int, Strict(), Field(gt=0)]  # bytes
    quick: bool = False  # whether it comes unless all are asked for


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
    packages: tuple[Package, ...] = ()  # or several, of which each carries a part
    addresses: tuple[Address, ...] = ()  # tried in this order
    columns: dict[str, dict[Literal["type", "unit", "meaning"], str]] = {}
    files: tuple[Download, ...] = ()

    @field_validator("files")
    @classmethod
    def _once_each(cls, files: tuple[Download, ...]) -> tuple[Download, ...]:
        if len({file.path for file in files}) < len(files):
            msg = "each path once"
            raise ValueError(msg)
        return files


def source_names(folder: Path | None = None) -> list[str]:
    """Name all sources, sorted; a TOML with none of a source's keys is something else."""
    found = sorted((folder or manifest_folder()).glob("*.toml"))
    return [path.stem for path in found if _read_toml(path).keys() & Source.model_fields.keys()]


def read_source(name: str, folder: Path | None = None) -> Source:
    """Read the source that NAME.toml describes, in `folder` or else `manifest_folder()`.

    Raises InputError naming the file and the keys that are missing, unknown or malformed.
    """
    folder = folder or manifest_folder()
    path = folder / f"{name}.toml"
    if Path(name).name != name or not path.is_file():
        known = ", ".join(source_names(folder)) or "none"
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
    kind = fault.get("ctx", {}).get("pattern", fault["type"])
    said = re.sub("^(Value error, |Input should be )", "", fault["msg"])
    said = said.replace("String should match pattern", "what matches")
    got = "none" if fault["type"] == "missing" else repr(fault["input"])
    return f"{key[1:]}: expected {EXPECTED.get(kind, said)}, got {got}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: expected TOML, got '{error}'; restore the file"
        raise InputError(msg) from error


# -- archives -------------------------------------------------------------------------------------


def stays_inside(path: str) -> bool:
    """Say whether a path is relative, not empty and without `..`, on any platform."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts
    return bool(windows.parts) and not outside


def unpack(
    archive: Path, folder: Path, packing: str, *, reserved: Collection[str] = ()
) -> list[File]:
    """Unpack `archive` ("zip" or "tar") into `folder` and list what was written.

    As `extract`; a member that would land on one of the `reserved` paths or on a part file raises
    InputError too.
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

    names = extract(archive, folder, target, packing=packing)
    return describe(dict.fromkeys(folder / name for name in names), folder)


def extract(
    archive: Path | IO[bytes],
    folder: Path,
    members: Callable[[str], str | None] = lambda name: name,
    *,
    packing: str = "tar",
    label: str = "archive",
) -> list[str]:
    """Write the chosen files of an archive into `folder`, each whole or not at all.

    A tar (plain, gz, bz2 or xz) is read once, front to back, so a pipe will do; a zip is looked at
    as a whole before anything is written. `members` gives, for a name in the archive, the relative
    path to write it to, or None to leave it out. A chosen path that is absolute or climbs with
    `..`, a chosen link, device or encrypted file, a torn archive and one too big for the disk raise
    InputError; messages call a stream `label`. Returns the paths of the files written.
    """
    label = str(archive) if isinstance(archive, Path) else label

    def choose(found: Iterable[_Member]) -> Iterator[tuple[str, _Member]]:
        for member in found:
            target = members(member.name)
            if target is not None and not (member.plain and stays_inside(target)):
                msg = f"{label}: expected plain files that stay inside the archive's folder, got "
                msg += f"{member.name!r}; do not use this archive"
                raise InputError(msg)
            if target is not None:
                yield target, member

    written = []
    try:
        if packing == "zip":
            chosen: Iterable[tuple[str, _Member]] = list(choose(_zip_members(archive)))
            check_room(folder, sum(member.size for _, member in chosen), f"{label}, unpacked")
        else:
            chosen = choose(_tar_members(archive))
        for target, member in chosen:
            check_room(folder, member.size, f"{label}: {member.name}")
            _put(member, folder / target)
            written.append(target)
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's; zipfile seeks to where no file can be
        msg = f"{label}: expected a whole {packing} archive, got '{error}'; fetch it again"
        raise InputError(msg) from error
    return written


class _Member(NamedTuple):
    """A file in an archive; `plain`: no link, no device, not encrypted."""

    name: str
    size: int  # bytes, as it says: no reader goes beyond it
    plain: bool
    open: Callable[[], Any]


class _TarInfo(tarfile.TarInfo):
    """A member with a name of sensible length: tarfile reads names into memory, however long."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.type in DESCRIPTIONS and self.size > LONGEST_NAME:
            msg = f"a header of {self.size:,} bytes"
            raise tarfile.ReadError(msg)
        return super()._proc_member(tar)  # type: ignore[misc]


def _tar_members(archive: Any) -> Iterator[_Member]:
    with archive.open("rb") if isinstance(archive, Path) else archive as source:
        gzipped = isinstance(archive, Path) and source.read(2) == b"\x1f\x8b"
        if isinstance(archive, Path):
            source.seek(0)
        content = gzip.GzipFile(fileobj=source) if gzipped else source
        with tarfile.open(fileobj=content, mode="r|*", tarinfo=_TarInfo) as tar:
            for info in tar:
                if not info.isdir():
                    opened = partial(tar.extractfile, info)
                    yield _Member(info.name, info.size, info.isreg(), opened)
        while content.read(1 << 20):  # tarfile leaves the end unread, and with it gzip's checksum
            pass


def _zip_members(archive: Any) -> Iterator[_Member]:
    file = zipfile.ZipFile(archive)
    for info in file.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was not made on Unix
        encrypted = info.flag_bits & 1
        # zipfile turns the other system's separators into its own: look at what was written.
        plain = mode in (0, stat.S_IFREG) and not encrypted and "\\" not in info.orig_filename
        if not info.is_dir():
            yield _Member(info.filename, info.file_size, plain, partial(file.open, info))


def _put(member: _Member, path: Path) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with member.open() as content, part.open("wb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def free(folder: Path) -> int:
    """Give the free bytes of the disk that holds `folder`, made or not."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(folder: Path, size: int, label: str) -> None:
    """Raise InputError unless the disk that holds `folder`, made or not, has `size` bytes free."""
    if size > (left := free(folder)):
        msg = f"{label}: expected {size:,} bytes of disk space in {folder}, got {left:,}; make "
        msg += f"room, or set {HOME_VARIABLE} to a folder on a larger disk"
        raise InputError(msg)
