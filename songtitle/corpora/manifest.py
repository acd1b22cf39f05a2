"""The manifest: where data lie, which files they have, and how items are dealt out to splits.

`data_manifest/NAME.csv` lists the files of a source that come in a package; `NAME.toml` beside it
is read by `sources`.
"""

import csv
import hashlib
import importlib.util
import io
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import accumulate
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from platformdirs import user_data_path

from songtitle.errors import InputError
from songtitle.machine import write_whole

HOME_VARIABLE = "SONGTITLE_DATA"
SAMPLES = "SONGTITLE_REAL_DATA"  # names a folder of samples of the paper's corpora


def manifest_folder() -> Path:
    """Give `data_manifest/` of the clone this library runs from (it is installed editable)."""
    return Path(__file__).resolve().parents[2] / "data_manifest"


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
    """Give the environment variable SONGTITLE_DATA, or else the platform's folder for user data."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else user_data_path("songtitle", appauthor=False)


def roots(home: Path) -> list[Path]:
    """List where a reader's corpora are looked for: the data home, then the samples if any."""
    named = os.environ.get(SAMPLES)
    return [home, Path(named)] if named else [home]


def data_home() -> Path:
    """Give the folder that holds fetched data, `named_home()`, made on demand.

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
    """Give the folder of the installed `package`, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        msg = (
            f"package {package}: expected to find it installed, since it carries data; "
            "it is not there; install the packages of requirements.lock"
        )
        raise InputError(msg)
    return Path(spec.origin).parent


def describe(paths: Iterable[Path], root: Path) -> list[File]:
    """List files, each with its path relative to `root`, in the order given."""
    return [File(p.relative_to(root).as_posix(), sha256(p), p.stat().st_size) for p in paths]


def read_files(path: Path) -> list[File]:
    """Read a file list that `write_files` wrote."""
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
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([each.name for each in fields(File)])
    rows.writerows(astuple(file) for file in files)
    write_whole(path, text.getvalue())


def lists_hash(name: str) -> str:
    """Hash the file list of a source: the sha256 changes when any listed file does."""
    listing = "".join(f"{f.path} {f.sha256} {f.size}\n" for f in listed(name))
    return hashlib.sha256(listing.encode()).hexdigest()


def listed(name: str) -> list[File]:
    """Read the file list of a source, from `data_manifest/NAME.csv`."""
    return read_files(manifest_folder() / f"{name}.csv")


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


def split_by_group(
    groups: Sequence[str], fractions: Mapping[str, float], *, seed: int
) -> list[str]:
    """Give each item the name of a split, all items of a group the same.

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
    names, edges = list(fractions), list(accumulate(fractions.values()))
    side: dict[str, str] = {}
    before = 0
    for group in seeded_order(sizes, seed=seed):
        # The group's middle item decides, so that a large group is not always rounded one way.
        place = (before + sizes[group] / 2) / len(groups)
        side[group] = names[min(bisect_right(edges, place), len(names) - 1)]
        before += sizes[group]
    return [side[group] for group in groups]


def seeded_order(names: Iterable[str], *, seed: int) -> list[str]:
    """Put names in an order that depends on `seed` and the names alone, on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def stays_inside(path: str) -> bool:
    """Say whether a path is relative, not empty and without `..`, on any platform."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts
    return bool(windows.parts) and not outside
