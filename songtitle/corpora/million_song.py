"""Million Song: UCI's rows of year and timbre, lists of tracks with titles, HDF5 files, and joins.

UCI's rows have no titles and the lists no numbers: a join tells which track each row is. The HDF5
files have both. Source: Bertin-Mahieux et al. 2011; the code of its year prediction says in which
order the 90 numbers stand and which tracks are left out.
"""

import csv
import io
import re
import tarfile
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int16, Int32, Int64, Num

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines, read_table
from songtitle.timbre import COEFFICIENTS, TIMBRE_SIZE, moments

FIRST_YEAR, LAST_YEAR = 1900, 2100  # a year outside is none
FEWEST_SEGMENTS = 10  # the year prediction of Million Song's makers leaves out tracks with fewer

_BLOCK = 4_096  # rows parsed at once: a few megabytes
_LONGEST_ROW = 10_000  # bytes; real ones have about 800
_TRACK = re.compile(r"TR[A-Z0-9]{16}")
_LOOK = 20  # first rows by which the kind of a list is recognised
_MOST_SEGMENTS = 100_000  # the longest track at hand has 3,303
_LARGEST = 1 << 26  # bytes; no single track is near it
_NO_YEAR, _ANCHOR = 255, 0x10000  # codes of what is no row's year, and of the first anchor

timbre_of = moments  # gives UCI's 90 numbers of the segments of a track

Segments = Float64[np.ndarray, "segments 12"]
Years = Int[np.ndarray, " rows"]
ListYears = Int[np.ndarray, " entries"]


@dataclass(frozen=True, slots=True)
class Track:
    """A song as a list or an HDF5 file has it, nothing cleaned."""

    id: str  # 18 signs, "TRAAABD128F429CF47"
    title: str  # one may be empty
    artist: str
    year: int | None = None  # None: the source does not say

    @property
    def group(self) -> str:
        """The artist: UCI's makers, too, keep an artist on one side of a split."""
        return self.artist


# -- rows of UCI ---------------------------------------------------------------------------------


def load_uci(
    path: Path, faults: Faults
) -> tuple[Int16[np.ndarray, " rows"], Float32[np.ndarray, "rows 90"]]:
    """Load years and timbre, 12 means and 78 covariances, of YearPredictionMSD.txt, in its order.

    A row without 90 finite numbers and a year is counted and skipped. Raises InputError for no such
    file, or a web page in its place.
    """
    years, timbre = array("h"), array("f")  # which grow in place: nothing is held twice
    lines = read_lines(path, faults, longest=_LONGEST_ROW)
    while block := list(islice(lines, _BLOCK)):
        values = _parsed(path, block, faults)
        years.frombytes(values[:, 0].astype(np.int16).tobytes())
        timbre.frombytes(values[:, 1:].astype(np.float32).tobytes())
    return np.asarray(years), np.asarray(timbre).reshape(-1, TIMBRE_SIZE)


def _parsed(path: Path, block: list[tuple[int, str]], faults: Faults) -> np.ndarray:
    """Year and timbre of the good rows of a block."""
    import pandas as pd  # naming a song does without

    wanted, whole = 1 + TIMBRE_SIZE, []
    for number, row in block:
        if (count := 1 + row.count(",")) == wanted:
            whole.append((number, row))
        else:
            detail = f"expected {wanted}, got {count}"
            faults.add(path, number, "wrong number of numbers", detail=detail)
    if not whole:
        return np.empty((0, wanted))
    text = "\n".join(row for _, row in whole)
    # A carriage return inside a row ends no line.
    read = partial(pd.read_csv, header=None, quoting=csv.QUOTE_NONE, lineterminator="\n")
    try:
        values = read(io.StringIO(text), dtype=np.float64).to_numpy()
    except ValueError:  # something that is no number
        words = read(io.StringIO(text), dtype=str, keep_default_na=False)
        values = words.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    years, finite = values[:, 0], np.isfinite(values)
    dated = (years >= FIRST_YEAR) & (years <= LAST_YEAR) & (np.floor(years) == years)
    good = finite.all(1) & dated
    for place in np.flatnonzero(~good):
        number, row = whole[place]
        column = int(np.argmin(finite[place]))  # the first that is not finite, or else the year
        kind = "not a year" if finite[place].all() else "not a finite number"
        detail = f"number {column + 1} of {wanted} is {row.split(',')[column][:20]!r}"
        faults.add(path, number, kind, detail=detail)
    return values[good]


def covariance_order() -> list[tuple[int, int]]:
    """Which two coefficients (from 0) each of the 78 covariances is of, in UCI's order: (0, 0) to
    (11, 11), then (0, 1) to (10, 11), ..., last (0, 11)."""
    return [(i, i + k) for k in range(COEFFICIENTS) for i in range(COEFFICIENTS - k)]


def check_layout(
    timbre: Num[np.ndarray, "rows columns"], *, tolerated: float = 0.01
) -> Int64[np.ndarray, " broken"]:
    """Raise InputError unless the numbers stand in UCI's order; give the few rows that are odd.

    In that order numbers 12 to 23 are variances v, so positive, and a covariance of i and j is at
    most sqrt(v_i v_j) in size. More than the share `tolerated` of rows that break this law, or a
    column that repeats another, means another order.
    """
    rows, columns = timbre.shape
    if columns != TIMBRE_SIZE or not rows:
        msg = f"timbre: expected rows of {TIMBRE_SIZE} numbers, got {rows} of {columns}; "
        raise InputError(msg + "read them by load_uci()")
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
        msg = "timbre: expected UCI's 12 means, 12 variances and 66 other covariances, got "
        msg += f"{copies} columns that repeat others and {broken.sum():,} of {rows:,} rows whose "
        msg += "numbers, so read, no covariance matrix has; compute them from HDF5 files"
        raise InputError(msg)
    return np.flatnonzero(broken)


# -- lists of tracks -----------------------------------------------------------------------------


def read_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of a Million Song list in its order, titles as they stand.

    Two forms are known by their first rows: `track<SEP>song<SEP>artist<SEP>title`
    (unique_tracks.txt) and `year<SEP>track<SEP>artist<SEP>title` (tracks_per_year.txt). Skipped
    and counted: a row of another number of fields, without a track's id, or of a track that came
    before. Kept and counted: bytes that are not UTF-8 (read as cp1252), an empty title, a year
    outside 1900-2100 (unknown, as is year 0). Raises InputError when no form fits.
    """
    lines = read_lines(path, faults)
    first = list(islice(lines, _LOOK))
    heads = [row[:2] for _, text in first if len(row := text.split("<SEP>")) == 4]
    places = [place for row in heads for place in (0, 1) if _TRACK.fullmatch(row[place])]
    if not places:
        got = repr(first[0][1][:60]) if first else "an empty file"
        msg = f"{path}: expected rows of track<SEP>song<SEP>artist<SEP>title or "
        msg += f"year<SEP>track<SEP>artist<SEP>title, got {got}; name another list"
        raise InputError(msg)
    place, seen = places[0], set()  # of the track's id among the fields
    for number, text in chain(first, lines):
        fields = text.split("<SEP>")
        if len(fields) != 4:
            faults.add(path, number, "not four fields", detail=f"{len(fields)}: {text}")
            continue
        id, said, artist, title = fields[place], fields[0] if place else "0", *fields[2:]
        if not _TRACK.fullmatch(id) or id in seen:
            kind = "track came before" if id in seen else "not a track id"
            faults.add(path, number, kind, detail=id)
            continue
        seen.add(id)
        if not title.strip():
            faults.add(path, number, "empty title", kept=True, detail=id)
        year = _year(said) if re.fullmatch("[0-9]{1,9}", said) else None
        if year is None and said.strip("0"):
            faults.add(path, number, "not a year", kept=True, detail=said)
        yield Track(id, title, artist, year)


def _year(said: Any) -> int | None:
    return int(said) if FIRST_YEAR <= int(said) <= LAST_YEAR else None


# -- tracks in HDF5 ------------------------------------------------------------------------------


def read_h5_folder(
    folder: Path, faults: Faults, *, fewest: int = FEWEST_SEGMENTS
) -> Iterator[tuple[Track, Segments]]:
    """Give every track under a folder, by path, and the 12 timbre numbers of each of its segments.

    A file that is torn, lacks a dataset, holds other than one song, fewer than `fewest` segments or
    numbers that are not finite is counted and skipped. Raises InputError for no such folder.
    """
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of HDF5 tracks, there is none; correct the path"
        raise InputError(msg)
    for path in sorted(folder.rglob("*.h5")):
        yield from _read_h5(path, path, fewest, faults)


def read_h5_archive(archive: Path, faults: Faults) -> Iterator[tuple[Track, Segments]]:
    """Do as `read_h5_folder` with a tar archive; one that ends early is counted."""
    begun = False
    try:
        with tarfile.open(archive, "r|*") as tar:
            begun = True
            for member in tar:
                name = Path(member.name)
                if not member.isfile() or name.suffix != ".h5" or name.name.startswith("._"):
                    continue
                if member.size > _LARGEST:
                    faults.add(name, None, "too large", detail=f"{member.size:,} bytes")
                    continue
                file = tar.extractfile(member)
                assert file is not None  # only for what is no file
                yield from _read_h5(io.BytesIO(file.read()), name, FEWEST_SEGMENTS, faults)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        if not begun:
            msg = f"{archive}: expected a tar archive of HDF5 tracks, got '{error}'; fetch it again"
            raise InputError(msg) from error
        faults.add(archive, None, "archive ends early", detail=str(error))


class _Unfit(Exception):
    """The kind of fault of a track, what was expected, what came."""


def _read_h5(
    source: Path | io.BytesIO, name: Path, fewest: int, faults: Faults
) -> Iterator[tuple[Track, Segments]]:
    """A track and its segments; nothing, counted, of what is no good."""

    def expect(right: object, kind: str, wanted: str, came: object) -> None:
        if not right:
            raise _Unfit(kind, wanted, came)

    try:
        with h5py.File(source, "r") as file:
            songs = [file[f"{group}/songs"] for group in ("metadata", "musicbrainz", "analysis")]
            timbre = file["analysis/segments_timbre"]
            single = all(table.shape == (1,) for table in songs)
            expect(single, "not one song", "one song", songs[0].shape)
            wide = timbre.shape[1:] == (COEFFICIENTS,)
            expect(wide, "segments not 12 wide", "segments of 12 numbers", timbre.shape)
            size = len(timbre)
            expect(size >= fewest, "too few segments", f"{fewest} or more", size)
            expect(size <= _MOST_SEGMENTS, "too many segments", f"at most {_MOST_SEGMENTS}", size)
            segments = timbre[:].astype(np.float64)
            bad = int((~np.isfinite(segments).all(1)).sum())
            expect(not bad, "segments not finite", "finite numbers", f"others in {bad} segments")
            about, date, analysis = (table[0] for table in songs)
            id, title = _text(analysis["track_id"]), _text(about["title"])
            track = Track(id, title, _text(about["artist_name"]), _year(date["year"]))
    except _Unfit as unfit:
        kind, wanted, came = unfit.args
    except (LookupError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        came = " ".join(str(error).strip("'\"").split())
        # h5py has one error for a name that is not there and for one that cannot be looked up.
        lacks = "doesn't exist" in came or "component not found" in came
        kind = "dataset missing" if lacks else "not HDF5, or torn"
        wanted = "an HDF5 track of Million Song"
    else:
        yield track, segments
        return
    faults.add(name, None, kind, detail=f"expected {wanted}, got {came}")


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
    """The NumPy archive with its list: 12 means and, of 78 covariances, the first of each pair.

    A track with a number that is not finite is counted and skipped. Raises InputError for another
    form, columns of a pair that differ, and a list of other tracks or of another order.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            ids, numbers, pairs = (content[name] for name in ("track_id", "X", "cov_pairs"))
        means, values = np.split(numbers.reshape(len(ids), TIMBRE_SIZE), [COEFFICIENTS], axis=1)
        named = [tuple(sorted(pair)) for pair in pairs.reshape(values.shape[1], 2).tolist()]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: expected an archive of track_id, X and cov_pairs, got '{reason}'; fetch it"
        raise InputError(msg) from error
    first = {pair: named.index(pair) for pair in dict.fromkeys(named)}
    if not (values == values[:, [first[pair] for pair in named]]).all():
        msg = f"{path}: expected columns of one pair to be equal, got others; fetch it again"
        raise InputError(msg)
    tracks = list(read_tracks(listing, faults))
    if [track.id for track in tracks] != ids.tolist():
        msg = f"{listing}: expected the {len(ids):,} tracks of {path.name} in its order, got "
        raise InputError(msg + "others; fetch both again")
    kept = np.concatenate([means, values[:, list(first.values())]], axis=1)
    return _finite(path, tracks, kept, list(first), faults)


def read_uci_like(path: Path, faults: Faults) -> TimbreTable:
    """The CSV with track_id, year, artist, title, then avg1 to avg12 and cov1 to cov78.

    A row of numbers that are none, or not finite, is counted and skipped. Raises InputError when
    the file is missing, has other columns, or numbers that do not stand in UCI's order.
    """
    names = [f"avg{n + 1}" for n in range(COEFFICIENTS)]
    names += [f"cov{n + 1}" for n in range(TIMBRE_SIZE - COEFFICIENTS)]
    columns = {name: name for name in ("track_id", "year", "artist", "title", *names)}
    tracks, rows = [], []
    for line, cells in read_table(path, columns, faults):
        try:
            row, year = [float(cells[name]) for name in names], int(cells["year"])
        except ValueError as error:
            faults.add(path, line, "not a number", detail=str(error))
            continue
        rows.append(row)
        tracks.append(Track(cells["track_id"], cells["title"], cells["artist"], year or None))
    numbers = np.array(rows, np.float32).reshape(-1, TIMBRE_SIZE)
    check_layout(numbers)
    return _finite(path, tracks, numbers, covariance_order(), faults)


def _finite(
    path: Path, tracks: list[Track], numbers: np.ndarray, pairs: list[Any], faults: Faults
) -> TimbreTable:
    good = np.isfinite(numbers).all(1)
    for place in np.flatnonzero(~good):
        faults.add(path, int(place) + 1, "not finite", detail=tracks[place].id)
    kept = [tracks[place] for place in np.flatnonzero(good)]
    return TimbreTable(kept, numbers[good].astype(np.float32), pairs)


# -- joins of rows with a list -------------------------------------------------------------------


class Anchors(NamedTuple):
    """Rows whose track is known for certain, ascending: its 90 numbers were computed again."""

    rows: Int32[np.ndarray, " anchors"]
    entries: Int32[np.ndarray, " anchors"]


def find_anchors(
    timbre: Float[np.ndarray, "rows numbers"],
    known: Float[np.ndarray, "tracks numbers"],
    entries: Int[np.ndarray, " tracks"],
    *,
    decimals: int = 5,
) -> Anchors:
    """Find the rows that hold the numbers of known tracks, which are these `entries` of the list.

    Numbers are equal up to the `decimals` that were printed and single precision. What fits several
    on the other side anchors nothing: a recording may come twice.
    """
    import pandas as pd  # naming a song does without

    order = np.argsort(timbre[:, 0], kind="stable")
    first = timbre[order, 0].astype(np.float64)
    slack = 0.6 * 10.0**-decimals + 2.5e-7 * np.abs(known)  # half a unit, and some rounding
    starts = np.searchsorted(first, known[:, 0] - slack[:, 0], side="left")
    ends = np.searchsorted(first, known[:, 0] + slack[:, 0], side="right")
    found = []
    for k in np.flatnonzero(starts < ends):
        near = order[starts[k] : ends[k]]
        fits = near[(np.abs(timbre[near] - known[k]) <= slack[k]).all(1)]
        if len(fits) == 1:
            found.append((int(fits[0]), int(entries[k])))
    pairs = pd.DataFrame(sorted(found), columns=["row", "entry"], dtype=np.int32)
    once = pairs.drop_duplicates("row", keep=False)
    return Anchors(*once.to_numpy(np.int32).T)


@dataclass(frozen=True)
class Pairing:
    """For each row of timbre an entry of the list (from 0), and how far it can be trusted."""

    partner: Int32[np.ndarray, " rows"]  # no entry twice
    low: Int32[np.ndarray, " rows"]  # the first entry that the row could be
    high: Int32[np.ndarray, " rows"]  # the last; those of its year between are the others
    certain: Bool[np.ndarray, " rows"]  # no other is possible


def as_told(row_years: Years, list_years: ListYears) -> Pairing:
    """Join row i with entry i, as the paper tells it; nothing vouches for any row."""
    return _unvouched(row_years, list_years, np.arange(len(list_years)))


def shuffled(row_years: Years, list_years: ListYears, *, generator: np.random.Generator) -> Pairing:
    """Join each row with a random entry, none twice: the control, which no title can survive."""
    return _unvouched(row_years, list_years, generator.permutation(len(list_years)))


def _unvouched(row_years: Years, list_years: ListYears, order: np.ndarray) -> Pairing:
    rows = len(_codes(row_years, list_years)[0])
    low, high = np.zeros(rows), np.full(rows, len(list_years) - 1)
    return _pairing(order[:rows], low, high, np.zeros(rows, dtype=bool))


def aligned(row_years: Years, list_years: ListYears, anchors: Anchors | None = None) -> Pairing:
    """Join rows with a list in the same order, of which some entries are missing in the rows.

    Every way to lay the rows' years in order into the list's lies between the leftmost, which gives
    the partner, and the rightmost: a row is certain where the two meet. A missing entry leaves in
    doubt the run of equal years it stood in; an anchor ends the doubt on its side. Linear. Raises
    InputError when years and anchors do not fit in order, naming the row where that shows.
    """
    low, high = _ends(*_codes(row_years, list_years, anchors))
    return _pairing(low, low, high, low == high)


def within_year(
    row_years: Years,
    list_years: ListYears,
    anchors: Anchors | None = None,
    *,
    same_order: bool = False,
) -> Pairing:
    """Join rows with entries of their year, whatever the order of either.

    A row is certain when anchored, or when its year has one entry left that is not; else the k-th
    such row of a year gets its k-th such entry. With `same_order` the entries of a year are taken
    to be in the rows' order, as in a list that was sorted by year from one in that order: then the
    rows of a year without a gap are certain, too. Raises InputError when a year has more rows than
    entries, or when anchors contradict.
    """
    import pandas as pd  # naming a song does without

    rows, entries = _codes(row_years, list_years, anchors)
    if same_order:
        row_order, entry_order = (np.argsort(y, kind="stable") for y in (row_years, list_years))
        found = _ends(rows[row_order], entries[entry_order])
        low, high = (entry_order[side][np.argsort(row_order)] for side in found)
        return _pairing(low, low, high, low == high)
    left, right = (pd.DataFrame({"code": side}) for side in (rows, entries))
    for side in (left, right):
        side["turn"] = side.groupby("code").cumcount()
    right = right.reset_index(names="entry")
    partner = left.merge(right, how="left", on=["code", "turn"])["entry"]
    if partner.isna().any():
        code = rows[partner.isna().argmax()]
        msg = f"year {FIRST_YEAR + code}: expected at least {(rows == code).sum():,} entries of the"
        msg += f" list, as many as rows, got {(entries == code).sum():,}; "
        raise InputError(msg + "the list is of other tracks")
    low, high = right.groupby("code")["entry"].agg(["first", "last"]).loc[rows].to_numpy().T
    return _pairing(partner, low, high, low == high)


def agreement(row_years: Years, list_years: ListYears, pairing: Pairing) -> float:
    """Give the share of rows whose year is that of their partner, in [0, 1]; NaN without rows."""
    return float(np.mean(row_years == list_years[pairing.partner])) if len(row_years) else np.nan


def summary(row_years: Years, list_years: ListYears, pairing: Pairing) -> dict[str, Any]:
    """Give what a record keeps of a join: sizes, the share of equal years, the certain rows."""
    sizes = {"rows": len(row_years), "entries": len(list_years)}
    right = {"agreement": agreement(row_years, list_years, pairing)}
    return sizes | right | {"certain": int(pairing.certain.sum())}


def synthetic(
    years: Int[np.ndarray, " songs"],
    *,
    entries: int,
    gaps: int,
    run: int = 1,
    generator: np.random.Generator,
) -> tuple[Int32[np.ndarray, " rows"], Int32[np.ndarray, " entries"], Int32[np.ndarray, " rows"]]:
    """Make years of rows, years of a list, and the true entry of each row, to try a join on.

    The list has random `years`, each `run` times in a row; the rows lack `gaps` random entries.
    """
    drawn = generator.choice(years, -(-entries // run)).astype(np.int32)
    list_years = np.repeat(drawn, run)[:entries]
    truth = np.sort(generator.permutation(entries)[gaps:]).astype(np.int32)
    return list_years[truth], list_years, truth


def _pairing(partner: Any, low: Any, high: Any, certain: np.ndarray) -> Pairing:
    partner, low, high = (np.asarray(side).astype(np.int32) for side in (partner, low, high))
    return Pairing(partner, low, high, certain)


def _codes(
    row_years: Years, list_years: ListYears, anchors: Anchors | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Years from 0; an anchored row and its entry have a number that no other has."""
    odd = np.flatnonzero((row_years < FIRST_YEAR) | (row_years > LAST_YEAR))
    if len(odd):
        msg = f"row {odd[0] + 1}: expected a year from {FIRST_YEAR} to {LAST_YEAR}, got "
        raise InputError(msg + f"{row_years[odd[0]]}; read the rows by load_uci()")
    if len(list_years) < len(row_years):
        msg = f"list: expected at least as many entries as rows, {len(row_years):,}, got "
        raise InputError(msg + f"{len(list_years):,}; use the list of all tracks with a year")
    known = (list_years >= FIRST_YEAR) & (list_years <= LAST_YEAR)
    entries = np.where(known, list_years.astype(np.int64) - FIRST_YEAR, _NO_YEAR)
    rows = row_years.astype(np.int64) - FIRST_YEAR
    if anchors is None or not len(anchors.rows):
        return rows, entries
    at, to = anchors
    inside = at[0] >= 0 and at[-1] < len(rows) and to.min() >= 0 and to.max() < len(entries)
    if not inside or (np.diff(at) <= 0).any() or not len(np.unique(to)) == len(to) == len(at):
        msg = "anchors: expected ascending rows, each with an entry of its own, inside the rows "
        raise InputError(msg + "and the list, got others; find them by find_anchors()")
    wrong = np.flatnonzero(rows[at] != entries[to])
    if len(wrong):
        msg = f"row {at[wrong[0]] + 1}: expected the year of its anchor, entry {to[wrong[0]] + 1} "
        raise InputError(msg + "of the list, got another; the list is of other tracks")
    rows[at] = entries[to] = _ANCHOR + np.arange(len(at))
    return rows, entries


def _ends(rows: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row its first and its last entry, of all ways to lay rows in order into entries."""

    def leftmost(rows: np.ndarray, entries: np.ndarray) -> np.ndarray:
        # As text, in which C finds the next one fast; cut where they do not fit.
        wanted, text = (s.astype("<u4").tobytes().decode("utf-32-le") for s in (rows, entries))
        places, place = [], -1
        for number, sign in enumerate(wanted):
            place = text.find(sign, place + 1)
            if not 0 <= place <= number + spare:
                break
            places.append(place)
        return np.array(places, dtype=np.int64)

    spare = len(entries) - len(rows)  # at most so many can be passed over
    low = leftmost(rows, entries)
    if len(low) < len(rows):
        code = rows[len(low)]
        wanted = "anchor" if code >= _ANCHOR else f"year {FIRST_YEAR + code}"
        msg = f"row {len(low) + 1}: expected its {wanted} further on in the list, with at most "
        msg += f"{spare:,} entries passed over, it is not there; the list is in another order or "
        raise InputError(msg + "of other tracks, use within_year()")
    return low, len(entries) - 1 - leftmost(rows[::-1], entries[::-1])[::-1]
