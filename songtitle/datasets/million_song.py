"""Million Song: UCI's rows of year and timbre, and the lists of tracks with their titles.

UCI's YearPredictionMSD has the numbers and no titles, the lists have titles and no numbers;
`pairing` brings the two together. `hdf5_tracks` reads the files that have both for one track.

Source: Bertin-Mahieux et al. 2011; the code of its year prediction says in which order the 90
numbers stand and which tracks are left out.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, Int16, Int64, Num

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines
from songtitle.timbre import COEFFICIENTS, TIMBRE_SIZE

FIRST_YEAR, LAST_YEAR = 1900, 2100  # a year outside is none
SEPARATOR = "<SEP>"

_BLOCK = 4_096  # rows parsed at once: a few megabytes
_LONGEST_ROW = 10_000  # bytes; real ones have about 800
_SHORTEST_ROW = 2 * (1 + TIMBRE_SIZE)  # bytes: 91 digits, each with a comma or line end
_TRACK = re.compile(r"TR[A-Z0-9]{16}")
_LOOK = 20  # first rows by which the kind of a list is recognised


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


def read_uci(path: Path, faults: Faults) -> Iterator[tuple[int, int, Float32[np.ndarray, " 90"]]]:
    """The rows of YearPredictionMSD.txt: line from 1, year, then 12 means and 78 covariances.

    A row with too few or too many numbers, with NaN, infinity or what is no number, or with a year
    outside 1900-2100 is counted and skipped. `check_layout` tells whether the numbers stand in
    UCI's order. Raises InputError when there is no such file, or a web page in its place.
    """
    for lines, years, timbre in _read_blocks(path, faults):
        yield from zip(lines.tolist(), years.tolist(), timbre, strict=True)


def load_uci(
    path: Path, faults: Faults
) -> tuple[Int16[np.ndarray, " rows"], Float32[np.ndarray, "rows 90"]]:
    """Years and timbre of all good rows of YearPredictionMSD.txt in order, as `read_uci` has them.

    Nothing is held twice: memory is that of the result and of one block.
    """
    most = _most_rows(path)
    years = np.empty(most, np.int16)
    timbre = np.empty((most, TIMBRE_SIZE), np.float32)
    rows = 0
    for _, some_years, some_timbre in _read_blocks(path, faults):
        end = rows + len(some_years)
        years[rows:end], timbre[rows:end] = some_years, some_timbre
        rows = end
    return years[:rows], timbre[:rows]


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
    """The tracks of a Million Song list in its order, titles as they stand.

    Two forms are known by their first rows: `track<SEP>song<SEP>artist<SEP>title`
    (unique_tracks.txt) and `year<SEP>track<SEP>artist<SEP>title` (tracks_per_year.txt, which is
    sorted by year). Skipped and counted: a row of another number of fields, one without a track's
    id, a track that came before. Kept and counted: bytes that are not UTF-8 (read as cp1252), an
    empty title, a year outside 1900-2100 (unknown, as is year 0).

    Raises InputError when no form fits.
    """
    lines = read_lines(path, faults)
    first = list(itertools.islice(lines, _LOOK))
    place = _track_place([text.split(SEPARATOR) for _, text in first])
    if place is None:
        got = repr(first[0][1][:60]) if first else "an empty file"
        msg = (
            f"{path}: expected rows of track<SEP>song<SEP>artist<SEP>title or "
            f"year<SEP>track<SEP>artist<SEP>title, got {got}; name another list"
        )
        raise InputError(msg)
    seen: set[str] = set()
    for rows in (first, lines):
        for number, text in rows:
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


def _track_place(rows: Sequence[Sequence[str]]) -> int | None:
    """In which field the list has its track ids: 0 or 1; None when these rows do not tell."""
    for fields in rows:
        if len(fields) == 4:
            if _TRACK.fullmatch(fields[0]):
                return 0
            if _TRACK.fullmatch(fields[1]):
                return 1
    return None


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


# -- blocks of rows ------------------------------------------------------------------------------


def _most_rows(path: Path) -> int:
    """No file has more rows than lines, nor than its bytes give room for; 0 where there is none."""
    try:
        with path.open("rb") as file:
            lines = 1 + sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
            return min(lines, 1 + file.tell() // _SHORTEST_ROW)
    except OSError:
        return 0  # _read_blocks will say so


def _read_blocks(
    path: Path, faults: Faults
) -> Iterator[tuple[Int64[np.ndarray, " n"], Int16[np.ndarray, " n"], Float32[np.ndarray, "n 90"]]]:
    """Good rows, some thousand at once: line numbers, years, timbre."""
    numbers: list[int] = []
    texts: list[str] = []
    for number, text in read_lines(path, faults, longest=_LONGEST_ROW):
        count = 1 + text.count(",")
        if count != 1 + TIMBRE_SIZE:
            detail = f"expected {1 + TIMBRE_SIZE}, got {count}"
            faults.add(path, number, "wrong number of numbers", detail=detail)
            continue
        numbers.append(number)
        texts.append(text)
        if len(texts) == _BLOCK:
            yield _good_rows(path, numbers, texts, faults)
            numbers, texts = [], []
    if texts:
        yield _good_rows(path, numbers, texts, faults)


def _good_rows(
    path: Path, numbers: list[int], texts: list[str], faults: Faults
) -> tuple[Int64[np.ndarray, " n"], Int16[np.ndarray, " n"], Float32[np.ndarray, "n 90"]]:
    try:
        values = pd.read_csv(
            io.StringIO("\n".join(texts)),
            header=None,
            dtype=np.float64,
            quoting=csv.QUOTE_NONE,
            engine="c",
        ).to_numpy()
    except ValueError:  # something that is no number: row by row
        values = np.stack([_row(text) for text in texts])
    if len(values) != len(texts):  # a carriage return inside a row splits it
        values = np.stack([_row(text) for text in texts])
    years = values[:, 0]
    finite = np.isfinite(values).all(1)
    dated = (years >= FIRST_YEAR) & (years <= LAST_YEAR) & (np.floor(years) == years)
    for place in np.flatnonzero(~finite):
        column = int(np.argmin(np.isfinite(values[place])))
        field = texts[place].split(",")[column]
        detail = f"number {column + 1} of {1 + TIMBRE_SIZE} is {field[:20]!r}"
        faults.add(path, numbers[place], "not a finite number", detail=detail)
    for place in np.flatnonzero(finite & ~dated):
        faults.add(path, numbers[place], "not a year", detail=texts[place].partition(",")[0])
    good = finite & dated
    lines = np.array(numbers, dtype=np.int64)[good]
    return lines, years[good].astype(np.int16), values[good, 1:].astype(np.float32)


def _row(text: str) -> Float64[np.ndarray, " 91"]:
    """The numbers of a row, NaN for what is none."""

    def number(field: str) -> float:
        try:
            return float(field) if "_" not in field else np.nan  # Python takes 1_000 for a number
        except ValueError:
            return np.nan

    return np.array([number(field) for field in text.split(",")])
