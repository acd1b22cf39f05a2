"""The material of an experiment: which captioned pictures to learn from, which songs to name.

What comes with the book is fetched by it. Photos and songs of the paper's own kind are a reader's:
they are looked for in the data home and then in the folder that SONGTITLE_REAL_DATA names, in the
forms in which they are published.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songtitle.config import ExperimentConfig
from songtitle.datasets import flickr8k, fma, hdf5_tracks, prepared_timbre, stamps, tunes
from songtitle.datasets.clips import choose_test, clip_path
from songtitle.datasets.contract import Captioned, Titled
from songtitle.datasets.million_song import covariance_order
from songtitle.datasets.prepared_timbre import TimbreTable
from songtitle.errors import InputError
from songtitle.manifest import SAMPLES, lists_hash, sha256
from songtitle.rows import Faults

STAMPS, PHOTOS = "Tux Paint stamps", "Flickr8k"
TUNES = ("O'Neill's Music of Ireland", "Aird's, Ryan's and other airs")  # for MSD and FMA
TRACKS, CLIPS = "Million Song", "Free Music Archive"

# Places below the data home or the samples, the whole corpus first.
CAPTIONED = (
    ("flickr8k/captions.txt", "flickr8k/Images"),
    ("flickr8k/captions.txt", "flickr8k/images_224"),
)
SUBSET = ("million_song/MillionSongSubset",)
PREPARED = ("msd/subset_timbre90_4680.npz", "msd/subset_timbre90_4680.tracks.txt")
COMPLETE = ("msd/h5_timbre90_uci_layout.csv",)
CLIPS_AND_TITLES = (
    ("fma/fma_small", "fma/fma_metadata/tracks.csv"),
    ("fma/fma_small", "fma/raw_tracks_excerpt.csv"),
)


@dataclass(frozen=True)
class Material:
    """Captioned pictures and titled songs, each with the name of its corpus."""

    captions: str
    pictures: Sequence[Captioned]  # those of one group stand together
    root: Path  # paths of pictures are kept relative to it
    splits: Mapping[str, float]
    collections: Mapping[str, Sequence[Titled]]  # all songs of each corpus
    songs: Sequence[tuple[str, Titled]]  # those to be named, with their corpus


def material(config: ExperimentConfig, home: Path) -> Material:
    """The corpora that the settings name, the pictures and test songs chosen by their seed."""
    return photos_and_tracks(config, home) if config.pictures == "photos" else _book(config, home)


def fingerprint(config: ExperimentConfig, home: Path) -> dict[str, object]:
    """What tells these corpora from others, for the key of a record."""
    if config.pictures == "stamps":
        return {name: lists_hash(name) for name in ("stamps", "tunes")}
    found = material(config, home)
    photos = sorted({picture.path for picture in found.pictures})
    captions, _ = photos_at(home)
    return {
        "photos": photos[0].parent.name,
        "captions": sha256(captions),
        "pixels": digest(photos),
        "songs": digest(_files(tracks_at(home))),
    }


def _book(config: ExperimentConfig, home: Path) -> Material:
    pictures = stamps.load(home)
    if config.picture_count is not None:
        chosen = np.random.default_rng(config.seed).permutation(len(pictures))
        pictures = [pictures[i] for i in sorted(chosen[: config.picture_count])]
    collection = tunes.load()
    by_name: dict[str, list[Titled]] = {name: [] for name in TUNES}
    for tune in collection:
        by_name[_book_of(tune)].append(tune)
    songs = tunes.choose(collection, config.song_count, seed=config.seed)
    return Material(
        STAMPS,
        pictures,
        home,
        {"train": 0.8, "valid": 0.1, "test": 0.1},
        by_name,
        [(_book_of(tune), tune) for tune in songs],
    )


def photos_and_tracks(config: ExperimentConfig, home: Path) -> Material:
    """Photos of Flickr8k, and Million Song's tracks, of which `song_count` are to be named.

    The songs to be named are those of whole artists, so that no artist is on both sides.
    """
    captions, folder = photos_at(home)
    photos = flickr8k.load(captions, folder, Faults())
    names = sorted({photo.group for photo in photos})
    if config.picture_count is not None:
        chosen = np.random.default_rng(config.seed).permutation(len(names))
        names = [names[i] for i in chosen[: config.picture_count]]
    kept = set(names)
    tracks = tracks_with_timbre(home).tracks
    songs, _ = choose_test(tracks, config.song_count, seed=config.seed)
    return Material(
        PHOTOS,
        [photo for photo in photos if photo.group in kept],
        folder.parent.parent,
        {"train": 0.7, "valid": 0.15, "test": 0.15},
        {TRACKS: tracks},
        [(TRACKS, track) for track in songs],
    )


def _book_of(tune: tunes.Tune) -> str:
    return TUNES[0] if tune.book == "oneills1850" else TUNES[1]


# -- what a reader has -----------------------------------------------------------------------------


def photos_at(home: Path) -> tuple[Path, Path]:
    """Flickr8k's captions and the folder of its photos, or InputError that says where they go."""
    captions, folder = _needed(home, "photos", *CAPTIONED)
    return captions, folder


def tracks_at(home: Path) -> list[Path]:
    """The files of Million Song's tracks, or InputError that says where they go."""
    return _needed(home, "songs", SUBSET, PREPARED)


def tracks_with_timbre(home: Path) -> TimbreTable:
    """Million Song's tracks of a known year with their timbre, in the order of their ids.

    From the makers' own HDF5 files all 90 numbers; from a third party's table of the same subset
    the 54 that are there, 12 means and 42 of 78 covariances.
    """
    files = tracks_at(home)
    if len(files) == 1:
        pairs = [
            (track, hdf5_tracks.timbre_of(segments).astype(np.float32))
            for track, segments in hdf5_tracks.read_h5_folder(files[0], Faults())
            if track.year is not None and track.title.strip()
        ]
        tracks, numbers = [track for track, _ in pairs], np.stack([row for _, row in pairs])
        return TimbreTable(tracks, numbers, covariance_order())
    archive, listing = files
    return prepared_timbre.read_archive(archive, listing, Faults())


def complete_tracks(home: Path) -> TimbreTable | None:
    """The few tracks of which a table has all 90 numbers; None where it is not there."""
    found = find(home, COMPLETE)
    return prepared_timbre.read_uci_like(found[0], Faults()) if found else None


def clips_with_titles(home: Path, *, most: int) -> list[tuple[fma.Track, Path]]:
    """FMA's tracks whose clip is here, by id, those listed as broken left out; maybe none."""
    found = find(home, *CLIPS_AND_TITLES)
    if not found:
        return []
    folder, table = found
    read = fma.read_tracks if table.name == "tracks.csv" else fma.read_raw_tracks
    here = {int(path.stem) for path in folder.glob("*/*.mp3") if path.stem.isdigit()}
    broken = fma.errata("small")
    tracks = [
        track
        for track in read(table, Faults())
        if track.track_id in here and track.id not in broken
    ]
    tracks.sort(key=lambda track: track.id)
    return [(track, clip_path(folder, track.track_id)) for track in tracks[:most]]


def find(home: Path, *places: Sequence[str]) -> list[Path]:
    """The files of the first place whose files are all there; nothing where none is."""
    for root in _roots(home):
        for place in places:
            paths = [root / name for name in place]
            if all(path.exists() for path in paths):
                return paths
    return []


def locate(home: Path, name: str) -> Path:
    """A file that a record names, in the data home or among the samples."""
    return next((root / name for root in _roots(home) if (root / name).exists()), home / name)


def digest(paths: Iterable[Path]) -> str:
    """A hash of the names and contents of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.name} {sha256(path)}\n".encode())
    return found.hexdigest()


def _files(paths: Iterable[Path]) -> list[Path]:
    return sorted(
        each
        for path in paths
        for each in (path.rglob("*") if path.is_dir() else [path])
        if each.is_file()
    )


def _roots(home: Path) -> list[Path]:
    named = os.environ.get(SAMPLES)
    return [home, Path(named)] if named else [home]


def _needed(home: Path, what: str, *places: Sequence[str]) -> list[Path]:
    found = find(home, *places)
    if not found:
        wanted = " or ".join(" with ".join(place) for place in places)
        msg = (
            f"{what}: expected {wanted} in the data home or in the folder that {SAMPLES} names, "
            "found none; put them there, or show what was published"
        )
        raise InputError(msg)
    return found
