"""Million Song tracks whose timbre somebody prepared: tables of track, title and numbers.

Two are in circulation beside UCI's, both made from the 10,000-song subset. One (a NumPy archive)
gives 90 columns, of which 78 are meant as covariances but hold only 42 different ones, and says of
each which two coefficients it is of; the other (a CSV with a header) has all 90 in UCI's order.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from songtitle.datasets.million_song import (
    Track,
    check_layout,
    covariance_order,
    read_tracks,
)
from songtitle.errors import InputError
from songtitle.rows import Faults, read_table
from songtitle.timbre import COEFFICIENTS, TIMBRE_SIZE


@dataclass(frozen=True)
class TimbreTable:
    """Tracks in the order of their source, and the numbers of each."""

    tracks: list[Track]
    numbers: Float32[np.ndarray, "tracks numbers"]  # means, then covariances; Echo Nest's units
    covariances: list[tuple[int, int]]  # which two coefficients (from 0), in the order of columns


def read_archive(path: Path, listing: Path, faults: Faults) -> TimbreTable:
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
