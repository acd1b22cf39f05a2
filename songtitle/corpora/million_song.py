"""Million Song: UCI's rows of year and timbre, lists of tracks with titles, and HDF5 files.

UCI's YearPredictionMSD has the numbers and no titles, the lists have titles and no numbers;
`pairing` brings the two together. The HDF5 files have both for one track each.

Source: Bertin-Mahieux et al. 2011; the code of its year prediction says in which order the 90
numbers stand and which tracks are left out.
"""

import csv
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64, Num

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines, read_table
from songtitle.timbre import COEFFICIENTS, TIMBRE_SIZE, moments

FIRST_YEAR, LAST_YEAR = 1900, 2100  # a year outside is none
SEPARATOR = "<SEP>"
FEWEST_SEGMENTS = 10  # the year prediction of Million Song's makers leaves out tracks with fewer

_BLOCK = 4_096  # rows parsed at once: a few megabytes
_LONGEST_ROW = 10_000  # bytes; real ones have about 800
_SHORTEST_ROW = 2 * (1 + TIMBRE_SIZE)  # bytes: 91 digits, each with a comma or line end
_TRACK = re.compile(r"TR[A-Z0-9]{16}")
_LOOK = 20  # first rows by which the kind of a list is recognised
_MOST_SEGMENTS = 100_000  # the longest track at hand has 3,303
_LARGEST = 1 << 26  # bytes; no single track is near it

Segments = Float64[np.ndarray, "segments 12"]


@dataclass(frozen=True, slots=True)
class Track:
    """A song as a list or an HDF5 file has it, nothing cleaned."""

    id: str  # 18 signs, "TRAAABD128F429CF47"
    title: str  # one may be empty
    artist: str
    year: int | None = None  # None: the source does not say
    song: str | None = None  # 18 signs, "SOCIWDW12A8C13D406"; several tracks may be one song

    @property
    def group(self) -> str:
        """The artist: UCI's makers, too, keep an artist on one side of a split."""
        return self.artist


# -- rows of UCI ---------------------------------------------------------------------------------


def load_uci(
    path: Path, faults: Faults
) -> tuple[Int16[np.ndarray, " rows"], Float32[np.ndarray, "rows 90"]]:
    """Load years and timbre, 12 means and 78 covariances, of YearPredictionMSD.txt, in its order.

    A row with too few or too many numbers, with NaN, infinity or what is no number, or with a year
    outside 1900-2100 is counted and skipped. `check_layout` tells whether the numbers stand in
    UCI's order. Nothing is held twice: memory is that of the result and of one block. Raises
    InputError when there is no such file, or a web page in its place.
    """
    lines = _whole_rows(path, faults)
    first = list(islice(lines, _BLOCK))  # a missing file is told here
    # No file has more rows than lines, nor than its bytes give room for.
    with path.open("rb") as file:
        ends = sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
        most = min(1 + ends, 1 + file.tell() // _SHORTEST_ROW)
    years, timbre = np.empty(most, np.int16), np.empty((most, TIMBRE_SIZE), np.float32)
    rows = 0
    for block in chain([first], iter(lambda: list(islice(lines, _BLOCK)), [])):
        values = _parsed(path, block, faults)
        end = rows + len(values)
        years[rows:end], timbre[rows:end] = values[:, 0], values[:, 1:]
        rows = end
    return years[:rows], timbre[:rows]


def _whole_rows(path: Path, faults: Faults) -> Iterator[tuple[int, str]]:
    """The rows of 91 fields with their lines."""
    for number, text in read_lines(path, faults, longest=_LONGEST_ROW):
        count = 1 + text.count(",")
        if count == 1 + TIMBRE_SIZE:
            yield number, text
        else:
            detail = f"expected {1 + TIMBRE_SIZE}, got {count}"
            faults.add(path, number, "wrong number of numbers", detail=detail)


def _parsed(
    path: Path, block: list[tuple[int, str]], faults: Faults
) -> Float64[np.ndarray, "rows 91"]:
    """Year and timbre of the good rows of a block."""
    if not block:
        return np.empty((0, 1 + TIMBRE_SIZE))
    import pandas as pd

    text = "\n".join(row for _, row in block)
    # A carriage return inside a row ends no line.
    read = partial(pd.read_csv, header=None, quoting=csv.QUOTE_NONE, lineterminator="\n")
    try:
        values = read(io.StringIO(text), dtype=np.float64).to_numpy()
    except ValueError:  # something that is no number
        words = read(io.StringIO(text), dtype=str, keep_default_na=False)
        values = words.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    years = values[:, 0]
    finite = np.isfinite(values).all(1)
    dated = (years >= FIRST_YEAR) & (years <= LAST_YEAR) & (np.floor(years) == years)
    for place in np.flatnonzero(~finite):
        number, row = block[place]
        column = int(np.argmin(np.isfinite(values[place])))
        detail = f"number {column + 1} of {1 + TIMBRE_SIZE} is {row.split(',')[column][:20]!r}"
        faults.add(path, number, "not a finite number", detail=detail)
    for place in np.flatnonzero(finite & ~dated):
        number, row = block[place]
        faults.add(path, number, "not a year", detail=row.partition(",")[0])
    return values[finite & dated]


def covariance_order() -> list[tuple[int, int]]:
    """Which two coefficients (from 0) each of the 78 covariances is of, in UCI's order.

    The diagonals of the matrix one after another: 12 variances (0, 0) to (11, 11), then 11 pairs
    (0, 1) to (10, 11), ..., last (0, 11).
    """
    return [(i, i + k) for k in range(COEFFICIENTS) for i in range(COEFFICIENTS - k)]


def check_layout(
    timbre: Num[np.ndarray, "rows columns"], *, tolerated: float = 0.01
) -> Int64[np.ndarray, " broken"]:
    """Raise InputError unless the numbers stand in UCI's order; give the few rows that are odd.

    In that order numbers 12 to 23 are variances v, so positive, and a covariance of coefficients
    i and j is at most sqrt(v_i v_j) in size. A row that breaks this law is odd; more than the
    share `tolerated` of such rows, or a column that repeats another, means another order.
    """
    rows, columns = timbre.shape
    if columns != TIMBRE_SIZE or not rows:
        msg = (
            f"timbre: expected rows of {TIMBRE_SIZE} numbers, got {rows} of {columns}; "
            "read them by load_uci()"
        )
        raise InputError(msg)
    left, right = np.array(covariance_order()).T
    broken = np.zeros(rows, dtype=bool)
    for start in range(0, rows, _BLOCK):
        block = timbre[start : start + _BLOCK, COEFFICIENTS:].astype(np.float64)
        variances = block[:, :COEFFICIENTS]
        bound = np.sqrt(np.maximum(0, variances[:, left] * variances[:, right]))
        # The file has five decimals, its reader single precision.
        lawful = (np.abs(block) <= bound + 1e-5 * (1 + bound)).all(1) & (variances > 0).all(1)
        broken[start : start + _BLOCK] = ~lawful
    sample = timbre[:: 1 + rows // 1_000]
    copies = TIMBRE_SIZE - len(np.unique(sample, axis=1).T) if len(sample) > 1 else 0
    if copies or broken.mean() > tolerated:
        msg = (
            f"timbre: expected UCI's 12 means, 12 variances and 66 other covariances, got {copies} "
            f"columns that repeat others and {broken.sum():,} of {rows:,} rows whose numbers, so "
            "read, no covariance matrix has; compute them from HDF5 files by timbre_of()"
        )
        raise InputError(msg)
    return np.flatnonzero(broken)


# -- lists of tracks -----------------------------------------------------------------------------


def read_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of a Million Song list in its order, titles as they stand.

    Two forms are known by their first rows: `track<SEP>song<SEP>artist<SEP>title`
    (unique_tracks.txt) and `year<SEP>track<SEP>artist<SEP>title` (tracks_per_year.txt, which is
    sorted by year). Skipped and counted: a row of another number of fields, one without a track's
    id, a track that came before. Kept and counted: bytes that are not UTF-8 (read as cp1252), an
    empty title, a year outside 1900-2100 (unknown, as is year 0).

    Raises InputError when no form fits.
    """
    lines = read_lines(path, faults)
    first = list(islice(lines, _LOOK))
    heads = (row[:2] for _, text in first if len(row := text.split(SEPARATOR)) == 4)
    places = (place for row in heads for place in (0, 1) if _TRACK.fullmatch(row[place]))
    place = next(places, None)  # of the track's id among the fields
    if place is None:
        got = repr(first[0][1][:60]) if first else "an empty file"
        msg = (
            f"{path}: expected rows of track<SEP>song<SEP>artist<SEP>title or "
            f"year<SEP>track<SEP>artist<SEP>title, got {got}; name another list"
        )
        raise InputError(msg)
    seen: set[str] = set()
    for number, text in chain(first, lines):
        fields = text.split(SEPARATOR)
        if len(fields) != 4:
            faults.add(path, number, "not four fields", detail=f"{len(fields)}: {text}")
        elif not _TRACK.fullmatch(fields[place]):
            faults.add(path, number, "not a track id", detail=fields[place])
        elif fields[place] in seen:
            faults.add(path, number, "track came before", detail=fields[place])
        else:
            seen.add(fields[place])
            yield _track(path, number, fields, place, faults)


def _track(path: Path, number: int, fields: list[str], place: int, faults: Faults) -> Track:
    title, artist = fields[3], fields[2]
    if not title.strip():
        faults.add(path, number, "empty title", kept=True, detail=fields[place])
    if place == 0:
        return Track(fields[0], title, artist, song=fields[1])
    year = int(fields[0]) if re.fullmatch("[0-9]{1,9}", fields[0]) else -1
    if year and not FIRST_YEAR <= year <= LAST_YEAR:
        faults.add(path, number, "not a year", kept=True, detail=fields[0])
        year = 0
    return Track(fields[1], title, artist, year=year or None)


# -- tracks in HDF5 ------------------------------------------------------------------------------


def read_h5_folder(
    folder: Path, faults: Faults, *, fewest: int = FEWEST_SEGMENTS
) -> Iterator[tuple[Track, Segments]]:
    """Give every track under a folder, by path, and the 12 timbre numbers of each of its segments.

    A year of 0, or outside 1900-2100, is None. Counted and skipped: a file that is torn or no
    HDF5, lacks a dataset, holds another number of songs than one, has fewer than `fewest` segments
    (their makers' rule) or numbers that are not finite. Raises InputError when there is no such
    folder.
    """
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of HDF5 tracks, there is none; correct the path"
        raise InputError(msg)
    for path in sorted(folder.rglob("*.h5")):
        if found := _read_h5(path, path, fewest, faults):
            yield found


def read_h5_archive(
    archive: Path, faults: Faults, *, fewest: int = FEWEST_SEGMENTS
) -> Iterator[tuple[Track, Segments]]:
    """Give every track of a tar archive such as the 10,000-song subset, in its order, not unpacked.

    What `read_h5_folder` would skip is counted and skipped; an archive that ends early is counted
    and ends the tracks. Raises InputError when it is missing or no archive.
    """
    torn = (tarfile.TarError, OSError, EOFError, zlib.error)
    try:
        tar = tarfile.open(archive, "r|*")  # noqa: SIM115 - closed below
    except torn as error:
        msg = f"{archive}: expected a tar archive of HDF5 tracks, got '{error}'; fetch it again"
        raise InputError(msg) from error
    with tar:
        members = iter(tar)
        while True:
            try:
                member = next(members, None)
                if member is None:
                    return
                name = Path(member.name)
                if not member.isfile() or name.suffix != ".h5" or name.name.startswith("._"):
                    continue
                if member.size > _LARGEST:
                    faults.add(name, None, "too large", detail=f"{member.size:,} bytes")
                    continue
                file = tar.extractfile(member)
                assert file is not None  # only for what is no file
                content = io.BytesIO(file.read())
            except torn as error:
                faults.add(archive, None, "archive ends early", detail=str(error))
                return
            if found := _read_h5(content, name, fewest, faults):
                yield found


def timbre_of(segments: Segments) -> Float64[np.ndarray, " 90"]:
    """Compute the 90 numbers that UCI has of a track: 12 means, 78 covariances in its order."""
    return moments(segments)


def _read_h5(
    source: Path | io.BytesIO, name: Path, fewest: int, faults: Faults
) -> tuple[Track, Segments] | None:
    """A track and its segments; None, counted, for what is no good."""
    import h5py

    fault = None
    try:
        with h5py.File(source, "r") as file:
            songs = [file[f"{group}/songs"] for group in ("metadata", "musicbrainz", "analysis")]
            timbre = file["analysis/segments_timbre"]
            if any(table.shape != (1,) for table in songs):
                fault = "not one song", f"expected one song, got {songs[0].shape}"
            elif timbre.ndim != 2 or timbre.shape[1] != COEFFICIENTS:
                wanted = f"expected segments of {COEFFICIENTS} numbers"
                fault = "segments not 12 wide", f"{wanted}, got {timbre.shape}"
            elif not fewest <= len(timbre) <= _MOST_SEGMENTS:
                wanted = f"expected {fewest} to {_MOST_SEGMENTS} segments"
                kind = "too few segments" if len(timbre) < fewest else "too many segments"
                fault = kind, f"{wanted}, got {len(timbre)}"
            else:
                segments = timbre[:].astype(np.float64)
                about, date, analysis = (table[0] for table in songs)
                year = int(date["year"])
                track = Track(
                    _text(analysis["track_id"]),
                    _text(about["title"]),
                    _text(about["artist_name"]),
                    year=year if FIRST_YEAR <= year <= LAST_YEAR else None,
                    song=_text(about["song_id"]),
                )
                if bad := int((~np.isfinite(segments).all(1)).sum()):
                    words = f"expected finite numbers, {bad} segments have others"
                    fault = "segments not finite", words
    except (LookupError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).strip("'\"").split())
        # h5py has one error for a name that is not there and for one that cannot be looked up.
        lacks = "doesn't exist" in reason or "component not found" in reason
        kind = "dataset missing" if lacks else "not HDF5, or torn"
        fault = kind, f"expected an HDF5 track of Million Song, got [{reason}]"
    if fault:
        faults.add(name, None, fault[0], detail=fault[1])
        return None
    return track, segments


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")


# -- prepared tables -----------------------------------------------------------------------------


@dataclass(frozen=True)
class TimbreTable:
    """Tracks in the order of their source, and the numbers of each."""

    tracks: list[Track]
    numbers: Float32[np.ndarray, "tracks numbers"]  # means, then covariances; Echo Nest's units
    covariances: list[tuple[int, int]]  # which two coefficients (from 0), in the order of columns


def read_timbre_archive(path: Path, listing: Path, faults: Faults) -> TimbreTable:
    """The NumPy archive with its list of the same tracks in the same order, repeats left out.

    Columns are its 12 means and, of its 78 covariances, the first of each pair of coefficients.
    A track whose numbers are not all finite is counted and skipped.

    Raises InputError when the archive is missing or of another form, when the columns of a pair
    differ, and when the list has other tracks.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            ids, numbers, pairs = (content[name] for name in ("track_id", "X", "cov_pairs"))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: expected an archive of track_id, X and cov_pairs, got '{reason}'; fetch it"
        raise InputError(msg) from error
    wide = (len(ids), TIMBRE_SIZE)
    if numbers.shape != wide or pairs.shape != (TIMBRE_SIZE - COEFFICIENTS, 2):
        msg = (
            f"{path}: expected X of {wide} and 78 cov_pairs, got {numbers.shape} and "
            f"{pairs.shape}; fetch it again"
        )
        raise InputError(msg)
    named = [(min(pair), max(pair)) for pair in pairs.tolist()]
    first = {pair: named.index(pair) for pair in dict.fromkeys(named)}
    values = numbers[:, COEFFICIENTS:]
    if not (values == values[:, [first[pair] for pair in named]]).all():
        msg = f"{path}: expected columns of one pair to be equal, got others; fetch it again"
        raise InputError(msg)
    tracks = list(read_tracks(listing, faults))
    if [track.id for track in tracks] != ids.tolist():
        msg = (
            f"{listing}: expected the {len(ids):,} tracks of {path.name} in its order, got others; "
            "fetch both again"
        )
        raise InputError(msg)
    kept = np.concatenate([numbers[:, :COEFFICIENTS], values[:, list(first.values())]], axis=1)
    return _finite(path, tracks, kept.astype(np.float32), list(first), faults)


def read_uci_like(path: Path, faults: Faults) -> TimbreTable:
    """The CSV with track_id, year, artist, title, then avg1 to avg12 and cov1 to cov78.

    A row of numbers that are none, or not finite, is counted and skipped. Raises InputError when
    the file is missing, has other columns, or numbers that do not stand in UCI's order.
    """
    means = [f"avg{n + 1}" for n in range(COEFFICIENTS)]
    names = [*means, *(f"cov{n + 1}" for n in range(TIMBRE_SIZE - COEFFICIENTS))]
    columns = {name: name for name in ("track_id", "year", "artist", "title", *names)}
    tracks: list[Track] = []
    rows: list[list[float]] = []
    for line, cells in read_table(path, columns, faults):
        try:
            rows.append([float(cells[name]) for name in names])
            year = int(cells["year"])
        except ValueError as error:
            del rows[len(tracks) :]
            faults.add(path, line, "not a number", detail=str(error))
            continue
        tracks.append(Track(cells["track_id"], cells["title"], cells["artist"], year or None))
    numbers = np.array(rows, np.float32).reshape(-1, TIMBRE_SIZE)
    check_layout(numbers)
    return _finite(path, tracks, numbers, covariance_order(), faults)


def _finite(
    path: Path,
    tracks: list[Track],
    numbers: Float32[np.ndarray, "tracks numbers"],
    covariances: list[tuple[int, int]],
    faults: Faults,
) -> TimbreTable:
    good = np.isfinite(numbers).all(1)
    for place in np.flatnonzero(~good):
        faults.add(path, int(place) + 1, "not finite", detail=tracks[place].id)
    kept = [track for track, right in zip(tracks, good, strict=True) if right]
    return TimbreTable(kept, numbers[good], covariances)
