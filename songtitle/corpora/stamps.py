"""Captioned pictures: the 950 stamps of the Tux Paint stamps collection 2022.06.04.

A stamp is a picture `X.png` or `X.svg` beside `X.txt`, whose first line is an English sentence.
The collection reaches a machine as a Debian package or as its makers' release archive.
"""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from filelock import FileLock

from songtitle.corpora import manifest
from songtitle.corpora.captions import Captioned
from songtitle.corpora.manifest import extract, read_source
from songtitle.errors import InputError

ARCHIVE_VARIABLE = "SONGTITLE_STAMPS_ARCHIVE"
PICTURES = (".png", ".svg")  # in order of preference where a stamp has both

log = logging.getLogger(__name__)


def fetch(
    home: Path | None = None,
    *,
    force: bool = False,
    archive: Path | None = None,
    files: Sequence[manifest.File] | None = None,
) -> Path:
    """Put the collection's pictures and captions into `home/stamps` and return that folder.

    Does nothing when every file is there with its size, unless `force`. The archive is `archive`
    or the one that SONGTITLE_STAMPS_ARCHIVE names (a .deb or a tar.gz); else the Debian package
    through `apt-get download`, where there is such a command (nothing is installed); else the
    release archive by https. Every file is compared with its sha256 in `data_manifest/stamps.csv`
    before anything in `home/stamps` changes.

    Of two processes one fetches and the other waits; what a killed one left is cleared away.

    Raises InputError when no archive can be had, and when a file is missing or differs.
    """
    home = home or manifest.data_home()
    files = manifest.listed("stamps") if files is None else files
    folder = home / "stamps"
    if not force and is_fetched(home, files):
        log.info("stamps: %d files are in %s", len(files), folder)
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".stamps.lock"):
        if not force and is_fetched(home, files):
            return folder  # another process was quicker
        scratch = home / ".stamps.partial"
        shutil.rmtree(scratch, ignore_errors=True)  # what a fetch left that was killed
        scratch.mkdir()
        try:
            source = _obtain(archive, scratch)
            fresh = scratch / "stamps"
            _unpack(source, fresh, files)
            _check(files, fresh, source)
            if folder.exists():
                os.replace(folder, scratch / "old")
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    log.info("stamps: %d files put into %s", len(files), folder)
    return folder


def load(
    home: Path | None = None, *, files: Sequence[manifest.File] | None = None
) -> list[Captioned]:
    """Load all stamps under `home/stamps` that have both picture and caption, sorted by id.

    An id is a path in the collection without its ending, "animals/birds/owl"; the caption is the
    first line of its file. Captions equal up to case and punctuation share a group.
    Where a stamp is drawn as PNG and as SVG, the PNG is taken: it is the makers' own rendering.
    Pictures without a caption (11 mirrored drawings) and captions without a picture (2) are left
    out. Raises InputError when the collection has not been fetched.
    """
    folder = (home or manifest.data_home()) / "stamps"
    files = manifest.listed("stamps") if files is None else files
    listed = {file.path for file in files}
    pictures = []
    for stem in sorted({os.path.splitext(path)[0] for path in listed}):
        picture = next((stem + ending for ending in PICTURES if stem + ending in listed), None)
        if picture is None or f"{stem}.txt" not in listed:
            continue
        try:
            text = (folder / f"{stem}.txt").read_text(encoding="utf-8")
            (folder / picture).stat()
        except FileNotFoundError as error:
            msg = (
                f"{error.filename}: expected a file of the stamps collection, it is not there; "
                "run 'python -m songtitle fetch'"
            )
            raise InputError(msg) from error
        caption = text.partition("\n")[0].strip()
        # Lowercase words without punctuation; a caption of punctuation alone stays itself.
        group = " ".join(re.findall(r"\w+", caption.lower())) or caption
        pictures.append(Captioned(stem, folder / picture, caption, group))
    return pictures


def verify(home: Path | None = None) -> manifest.Problems:
    """Compare every file under `home/stamps` with its listed sha256."""
    return manifest.verify(manifest.listed("stamps"), (home or manifest.data_home()) / "stamps")


def is_fetched(home: Path | None = None, files: Sequence[manifest.File] | None = None) -> bool:
    """Whether every listed file is under `home/stamps` with its size."""
    folder = (home or manifest.data_home()) / "stamps"
    files = manifest.listed("stamps") if files is None else files
    return not any(manifest.verify(files, folder, quick=True))


def _obtain(archive: Path | None, scratch: Path) -> Path:
    """An archive of the collection: given, or downloaded into `scratch`."""
    named = os.environ.get(ARCHIVE_VARIABLE)
    archive = archive or (Path(named).expanduser() if named else None)
    if archive is not None:
        if not archive.is_file():
            msg = (
                f"{archive}: expected an archive of the stamps collection (.deb or .tar.gz), "
                "there is no such file; correct the path"
            )
            raise InputError(msg)
        log.info("stamps: from %s, as asked", archive)
        return archive
    source = read_source("stamps")
    failures = []
    # The package manager comes first: it has mirrors close by and checks a signature.
    if source.package and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        # The pattern keeps another release of the collection from being fetched in vain.
        wanted = f"{source.package}={source.version}*"
        log.info("stamps: 'apt-get download %s' first, since this system has apt-get", wanted)
        command = ["apt-get", "download", "-q", wanted]
        outcome = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        found = sorted(scratch.glob("*.deb"))
        if outcome.returncode == 0 and found:
            return found[0]
        lines = outcome.stderr.strip().splitlines() or [f"status {outcome.returncode}"]
        failures.append(f"apt-get download: {lines[-1]}")
        log.info("stamps: %s; the release archive next", failures[-1])
    else:
        log.info("stamps: the release archive by https, since there is no apt-get here")
    pooch.get_logger().setLevel("WARNING")  # the log above says where from
    for address in source.addresses:
        try:
            # No hash of the archive: each file it holds is checked against the list instead.
            # The layout of this archive is taken from its Debian build; both hold `stamps/`.
            file = pooch.retrieve(address, None, "stamps.tar.gz", scratch, progressbar=True)
        except Exception as error:  # any of requests', urllib3's or the system's
            failures.append(f"{urlsplit(address).hostname}: {type(error).__name__}")
            log.info("stamps: %s", failures[-1])
        else:
            return Path(file)
    msg = (
        f"stamps: expected to download the Tux Paint stamps collection {source.version}, got "
        f"[{'; '.join(failures)}]; connect to the network, or download the archive elsewhere and "
        f"name it in {ARCHIVE_VARIABLE}"
    )
    raise InputError(msg)


def _unpack(archive: Path, folder: Path, files: Sequence[manifest.File]) -> None:
    """Extract the listed files; the rest (7,858 sounds among it) stays in the archive."""
    wanted = {file.path for file in files}

    def relative(name: str) -> str | None:
        # usr/share/tuxpaint/stamps/... in the package, tuxpaint-stamps-VERSION/stamps/... upstream
        path = f"/{name}".partition("/stamps/")[2]
        return path if path in wanted else None

    folder.mkdir(parents=True)
    if archive.suffix != ".deb":
        extract(archive, folder, relative)
        return
    # dpkg-deb and not tarfile: Ubuntu packs with zstd, which Python reads from 3.14 on.
    if not shutil.which("dpkg-deb"):
        msg = f"{archive}: expected dpkg-deb to unpack it, it is not installed; use the .tar.gz"
        raise InputError(msg)
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        extract(process.stdout, folder, relative, label=str(archive))


def _check(files: Sequence[manifest.File], folder: Path, archive: Path) -> None:
    """Raise unless every listed file is in `folder` as listed."""
    missing, corrupt = manifest.verify(files, folder)
    if missing:
        msg = (
            f"{archive.name}: expected {len(files)} listed files, {len(missing)} are not in it, "
            f"{missing[0]} among them; use release 2022.06.04 of the collection"
        )
        raise InputError(msg)
    if corrupt:
        expected = next(file.sha256 for file in files if file.path == corrupt[0])
        msg = (
            f"{corrupt[0]} in {archive.name}: expected sha256 {expected}, got "
            f"{manifest.sha256(folder / corrupt[0])} ({len(corrupt)} such files); fetch again, "
            "or use release 2022.06.04 of the collection"
        )
        raise InputError(msg)
