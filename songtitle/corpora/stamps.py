"""Captioned pictures: the 950 stamps of the Tux Paint stamps collection 2022.06.04.

A stamp is a picture `X.png` or `X.svg` beside `X.txt`, whose first line is an English sentence.
The collection reaches a machine as a Debian package or as its makers' release archive.
"""

import logging
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from filelock import FileLock

from songtitle.corpora import manifest
from songtitle.corpora.captions import Captioned
from songtitle.corpora.manifest import extract, read_source
from songtitle.corpora.series import joined
from songtitle.errors import InputError

ARCHIVE_VARIABLE = "SONGTITLE_STAMPS_ARCHIVE"
ONE_SERIES = {  # where folders begin that hold one series among them -> its name
    "symbols/alphabets": "symbols/alphabets",
    "symbols/math": "symbols/alphabets",  # the digits; letters of the sign alphabet count, too
    "symbols/money": "symbols/money",
}
PICTURES = (".png", ".svg")  # in order of preference where a stamp has both

_WORD = re.compile(r"\b(?!(?:an?|the)\b)\w+")

log = logging.getLogger(__name__)


def fetch(home: Path | None = None, *, archive: Path | None = None) -> Path:
    """Put the collection's pictures and captions into `home/stamps` and return that folder.

    Does nothing when every file is there with its size. The archive is `archive` or the one that
    SONGTITLE_STAMPS_ARCHIVE names (a .deb or a tar.gz), the Debian package through `apt-get
    download` (nothing is installed), or the release archive by https. `home/stamps` changes only
    when every file has its sha256 of `data_manifest/stamps.csv`. Of two processes one fetches and
    the other waits. Raises InputError when no archive can be had, or a file differs.
    """
    home = home or manifest.data_home()
    folder, scratch = home / "stamps", home / ".stamps.partial"
    if is_fetched(home):
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".stamps.lock"):
        if is_fetched(home):
            return folder  # another process was quicker
        shutil.rmtree(scratch, ignore_errors=True)  # what a fetch left that was killed
        scratch.mkdir()
        try:
            source, files = _obtain(archive, scratch), manifest.listed("stamps")
            fresh = scratch / "stamps"
            _unpack(source, fresh, {file.path for file in files})
            wrong = [path for problem in manifest.verify(files, fresh) for path in problem]
            if wrong:
                (expected,) = (file.sha256 for file in files if file.path == wrong[0])
                there = (fresh / wrong[0]).is_file()
                found = manifest.sha256(fresh / wrong[0]) if there else "no such file"
                msg = f"{wrong[0]} in {source.name}: expected sha256 {expected}, got {found}, and "
                msg += f"{len(wrong)} of {len(files)} files are wrong; fetch again, or use release "
                raise InputError(msg + "2022.06.04 of the collection")
            if folder.exists():
                os.replace(folder, scratch / "old")
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    log.info("stamps: %d files put into %s", len(files), folder)
    return folder


def load(home: Path | None = None) -> list[Captioned]:
    """Load all stamps under `home/stamps` that have both picture and caption, sorted by id.

    An id is a path without its ending, "animals/birds/owl". A group is a series: a folder with the
    cartoons of the same things, all letters and digits of whatever alphabet, all money; and what
    captions equal up to case, articles and punctuation link. Of a PNG and an SVG the PNG is taken:
    it is the makers' own rendering. Pictures without a caption (11 mirrored drawings) and captions
    without a picture (2) are left out. Raises InputError when the collection has not been fetched.
    """
    folder = (home or manifest.data_home()) / "stamps"
    listed = {file.path for file in manifest.listed("stamps")}
    pictures = []
    for stem in sorted({os.path.splitext(path)[0] for path in listed}):
        picture = next((stem + ending for ending in PICTURES if stem + ending in listed), None)
        if picture is None or f"{stem}.txt" not in listed:
            continue
        try:
            text = (folder / f"{stem}.txt").read_text(encoding="utf-8")
            (folder / picture).stat()
        except FileNotFoundError as error:
            msg = f"{error.filename}: expected a file of the stamps collection, it is not there; "
            raise InputError(msg + "run 'python -m songtitle fetch'") from error
        caption = text.partition("\n")[0].strip()
        pictures.append(Captioned(stem, folder / picture, caption, _folder(stem)))
    # Lowercase words without punctuation; a caption of punctuation alone stays itself.
    words = [" ".join(_WORD.findall(each.caption.lower())) or each.caption for each in pictures]
    series = joined([each.group for each in pictures], words)
    return [replace(each, group=its) for each, its in zip(pictures, series, strict=True)]


def _folder(id: str) -> str:
    """The folder that a stamp's series begins with."""
    folder = id.rpartition("/")[0].removesuffix("/cartoon")
    starts = (whole for start, whole in ONE_SERIES.items() if folder.startswith(start))
    return next(starts, folder)


def is_fetched(home: Path | None = None) -> bool:
    """Whether every listed file is under `home/stamps` with its size."""
    folder = (home or manifest.data_home()) / "stamps"
    return not any(manifest.verify(manifest.listed("stamps"), folder, quick=True))


def _obtain(archive: Path | None, scratch: Path) -> Path:
    """An archive of the collection: given, or downloaded into `scratch`."""
    named = archive or os.environ.get(ARCHIVE_VARIABLE)
    if named:
        archive = Path(named).expanduser()
        if not archive.is_file():
            msg = f"{archive}: expected an archive of the stamps collection (.deb or .tar.gz), "
            raise InputError(msg + "there is no such file; correct the path")
        return archive
    source, failures = read_source("stamps"), []
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
    pooch.get_logger().setLevel("WARNING")
    for address in source.addresses:
        log.info("stamps: %s", address)
        try:
            # No hash of the archive: each file it holds is checked against the list instead.
            # The layout of this archive is taken from its Debian build; both hold `stamps/`.
            return Path(pooch.retrieve(address, None, "stamps.tar.gz", scratch, progressbar=True))
        except Exception as error:  # any of requests', urllib3's or the system's
            failures.append(f"{urlsplit(address).hostname}: {type(error).__name__}")
    msg = f"stamps: expected to download the Tux Paint stamps collection {source.version}, got ["
    msg += "; ".join(failures) + "]; connect to the network, or download the archive elsewhere and "
    raise InputError(msg + f"name it in {ARCHIVE_VARIABLE}")


def _unpack(archive: Path, folder: Path, wanted: set[str]) -> None:
    """Extract the listed files; the rest (7,858 sounds among it) stays in the archive."""

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
