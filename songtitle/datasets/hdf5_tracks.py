"""Million Song's single tracks: HDF5 files with title, year and the timbre of each segment.

The 10,000-song subset is an archive of these files. Their 12 timbre numbers a segment give the 90
numbers that UCI's YearPredictionMSD has of a track.
"""

import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float64

from songtitle.datasets.million_song import FIRST_YEAR, LAST_YEAR, Track
from songtitle.errors import InputError
from songtitle.rows import Faults
from songtitle.timbre import COEFFICIENTS, moments

FEWEST_SEGMENTS = 10  # the year prediction of Million Song's makers leaves out tracks with fewer

_MOST_SEGMENTS = 100_000  # the longest track at hand has 3,303
_LARGEST = 1 << 26  # bytes; no single track is near it


def read_h5(
    path: Path, *, fewest: int = FEWEST_SEGMENTS
) -> tuple[Track, Float64[np.ndarray, "segments 12"]]:
    """A track and the 12 timbre numbers of each of its segments, from its Million Song file.

    A year of 0, or outside 1900-2100, is None. Raises InputError, naming the file, when there is
    none, when it is torn or no HDF5, lacks a dataset, holds another number of songs than one, has
    fewer than `fewest` segments (their makers' rule) or numbers that are not finite.
    """
    try:
        return _read_h5(path, fewest)
    except _BadTrack as problem:
        msg = f"{path}: {problem}; fetch it again or leave it out"
        raise InputError(msg) from problem


def read_h5_folder(
    folder: Path, faults: Faults, *, fewest: int = FEWEST_SEGMENTS
) -> Iterator[tuple[Track, Float64[np.ndarray, "segments 12"]]]:
    """Every track under a folder, by path; a file that `read_h5` refuses is counted and skipped.

    Raises InputError when there is no such folder.
    """
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of HDF5 tracks, there is none; correct the path"
        raise InputError(msg)
    for path in sorted(folder.rglob("*.h5")):
        try:
            yield _read_h5(path, fewest)
        except _BadTrack as problem:
            faults.add(path, None, problem.kind, detail=str(problem))


def read_h5_archive(
    archive: Path, faults: Faults, *, fewest: int = FEWEST_SEGMENTS
) -> Iterator[tuple[Track, Float64[np.ndarray, "segments 12"]]]:
    """Every track of a tar archive such as the 10,000-song subset, in its order, never unpacked.

    What `read_h5` would refuse is counted and skipped; an archive that ends early is counted and
    ends the tracks. Raises InputError when it is missing or no archive.
    """
    try:
        tar = tarfile.open(archive, "r|*")  # noqa: SIM115 - closed below
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
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
            except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
                faults.add(archive, None, "archive ends early", detail=str(error))
                return
            try:
                yield _read_h5(content, fewest)
            except _BadTrack as problem:
                faults.add(name, None, problem.kind, detail=str(problem))


def timbre_of(segments: Float64[np.ndarray, "segments 12"]) -> Float64[np.ndarray, " 90"]:
    """The 90 numbers that UCI has of a track: 12 means, 78 covariances in `covariance_order`."""
    return moments(segments)


class _BadTrack(Exception):
    """Why an HDF5 track cannot be used, in words and as one of a few kinds."""

    def __init__(self, *, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


def _read_h5(source: Path | io.BytesIO, fewest: int) -> tuple[Track, Float64[np.ndarray, "n 12"]]:
    try:
        with h5py.File(source, "r") as file:
            metadata, year = file["metadata/songs"], file["musicbrainz/songs"]
            analysis, timbre = file["analysis/songs"], file["analysis/segments_timbre"]
            if not metadata.shape == year.shape == analysis.shape == (1,):
                raise _BadTrack(
                    kind="not one song", words=f"expected one song, got {metadata.shape}"
                )
            if timbre.ndim != 2 or timbre.shape[1] != COEFFICIENTS:
                words = f"expected segments of {COEFFICIENTS} numbers, got {timbre.shape}"
                raise _BadTrack(kind="segments not 12 wide", words=words)
            if not fewest <= len(timbre) <= _MOST_SEGMENTS:
                kind = "too few segments" if len(timbre) < fewest else "too many segments"
                words = f"expected {fewest} to {_MOST_SEGMENTS} segments, got {len(timbre)}"
                raise _BadTrack(kind=kind, words=words)
            segments = timbre[:].astype(np.float64)
            about = metadata[0]
            said = int(year[0]["year"])
            track = Track(
                _text(analysis[0]["track_id"]),
                _text(about["title"]),
                _text(about["artist_name"]),
                year=said if FIRST_YEAR <= said <= LAST_YEAR else None,
                song=_text(about["song_id"]),
            )
    except (LookupError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).strip("'\"").split())
        # h5py has one error for a name that is not there and for one that cannot be looked up.
        lacks = "doesn't exist" in reason or "component not found" in reason
        kind = "dataset missing" if lacks else "not HDF5, or torn"
        words = f"expected an HDF5 track of Million Song, got [{reason}]"
        raise _BadTrack(kind=kind, words=words) from error
    if not np.isfinite(segments).all():
        bad = int((~np.isfinite(segments).all(1)).sum())
        words = f"expected finite numbers, {bad} segments have others"
        raise _BadTrack(kind="segments not finite", words=words)
    return track, segments


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")
