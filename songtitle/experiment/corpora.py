"""The material of an experiment: which captioned pictures to learn from, which songs to name.

What comes with the book is fetched by it. Photos and songs of the paper's own kind are a reader's:
they are looked for in the data home and then in the folder that SONGTITLE_REAL_DATA names, in the
forms in which they are published.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, once, pick, read_json, run_stage, write_json
from songtitle.config import ExperimentConfig
from songtitle.corpora import fma, million_song, stamps, tunes
from songtitle.corpora.captions import load_flickr8k
from songtitle.corpora.clips import choose_test, clip_path
from songtitle.corpora.contract import Captioned, Titled
from songtitle.corpora.manifest import SAMPLES, lists_hash, sha256, split_by_group
from songtitle.corpora.million_song import TimbreTable, covariance_order
from songtitle.errors import InputError
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, tokenize
from songtitle.vocabulary import Vocabulary

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
    photos = load_flickr8k(captions, folder, Faults())
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
            (track, million_song.timbre_of(segments).astype(np.float32))
            for track, segments in million_song.read_h5_folder(files[0], Faults())
            if track.year is not None and track.title.strip()
        ]
        tracks, numbers = [track for track, _ in pairs], np.stack([row for _, row in pairs])
        return TimbreTable(tracks, numbers, covariance_order())
    archive, listing = files
    return million_song.read_timbre_archive(archive, listing, Faults())


def complete_tracks(home: Path) -> TimbreTable | None:
    """The few tracks of which a table has all 90 numbers; None where it is not there."""
    found = find(home, COMPLETE)
    return million_song.read_uci_like(found[0], Faults()) if found else None


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


CAPTIONS = STAMPS
COLLECTIONS = TUNES


@once
def corpora(config: ExperimentConfig, *, home: Path) -> Record:
    """Captioned pictures, split by group, and the titled test songs; all that is counted in them.

    Files: `pictures.json` (id, path below the data home or the samples, split, `captions` as
    tokens, and the first of them as `tokens`), `songs.json` (id, collection, title, tokens).
    """
    if config.pictures == "stamps":
        stamps.fetch(home)

    def compute(folder: Path) -> dict[str, Any]:
        found = material(config, home)
        pictures = _by_picture(found.pictures, found.root)
        names = [picture["group"] for picture in pictures]
        split = split_by_group(names, found.splits, seed=config.seed)
        captions = [tokens for picture in pictures for tokens in picture["captions"]]
        write_json(
            folder / "pictures.json",
            [
                {name: value for name, value in picture.items() if name != "group"}
                | {"split": side}
                for picture, side in zip(pictures, split, strict=True)
            ],
        )
        titles = [tokenize(clean_title(song.title)) for _, song in found.songs]
        write_json(
            folder / "songs.json",
            [
                {
                    "id": song.id,
                    "collection": collection,
                    "title": " ".join(tokens),
                    "tokens": tokens,
                }
                for (collection, song), tokens in zip(found.songs, titles, strict=True)
            ],
        )
        total = {
            name: [tokenize(clean_title(song.title)) for song in songs]
            for name, songs in found.collections.items()
        }
        test: dict[str, list[list[str]]] = {name: [] for name in total}
        for (collection, _), tokens in zip(found.songs, titles, strict=True):
            test[collection].append(tokens)
        return {
            "lengths": {found.captions: _lengths(captions)}
            | {name: _lengths(each) for name, each in total.items()},
            "title_words": {
                "total": {name: _types(each) for name, each in total.items()}
                | {"both": _types(tokens for each in total.values() for tokens in each)},
                "test": {name: _types(each) for name, each in test.items()}
                | {"both": _types(titles)},
            },
            "test_titles": {name: len(each) for name, each in test.items()},
            "pictures": dict(Counter(split)),
            "distinct_captions": len({" ".join(tokens) for tokens in captions}),
            "caption_words": _types(captions),
        }

    settings = pick(config, "seed", "picture_count", "song_count")
    settings["data"] = fingerprint(config, home)
    return run_stage("corpora", compute, settings=settings, home=home)


def _by_picture(items: Iterable[Captioned], root: Path) -> list[dict[str, Any]]:
    """One row a picture, with all its captions as tokens, the first of them also as `tokens`."""
    rows: dict[Path, dict[str, Any]] = {}
    for item in items:
        tokens = tokenize(clean_caption(item.caption))
        row = rows.setdefault(
            item.path,
            {
                "id": item.id,
                "path": item.path.relative_to(root).as_posix(),
                "tokens": tokens,
                "captions": [],
                "group": item.group,
            },
        )
        row["captions"].append(tokens)
    return list(rows.values())


@once
def vocabulary(config: ExperimentConfig, *, home: Path) -> Record:
    """The words of the training captions, as `vocabulary.json`, and how far they reach in titles.

    Shares are of the test songs' titles: of running words, of distinct words, of titles.
    """
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        captions = [
            tokens
            for picture in read_json(before.file("pictures.json"))
            if picture["split"] == "train"
            for tokens in picture["captions"]
        ]
        words = Vocabulary.from_tokens(captions, min_count=config.min_count)
        words.save(folder / "vocabulary.json")
        titles = [song["tokens"] for song in read_json(before.file("songs.json"))]
        running = [token for title in titles for token in title]
        shares = {
            "running words": [token in words for token in running],
            "distinct words": [token in words for token in sorted(set(running))],
            "titles with a known word": [any(t in words for t in title) for title in titles],
            "titles of known words only": [all(t in words for t in title) for title in titles],
        }
        return {
            "size": len(words),
            "known": {name: sum(known) / len(known) for name, known in shares.items()},
        }

    settings = pick(config, "min_count")
    return run_stage("vocabulary", compute, settings=settings, inputs=[before], home=home)


@once
def clips(config: ExperimentConfig, *, home: Path) -> Record:
    """The test songs as mp3 files, rendered from their scores.

    Files: `clips/*.mp3`, and `songs.json` as `corpora` has it, each with its `clip`.
    """
    if config.pictures == "photos":
        msg = (
            f"preset {config.name}: expected one with the book's own songs, which are rendered to "
            "clips, got one with real songs; page 13 shows it, for the other pages take quick"
        )
        raise InputError(msg)
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        chosen = tunes.choose(tunes.load(), config.song_count, seed=config.seed)
        paths = tunes.render_all(
            chosen, folder / "clips", seed=config.seed, duration=config.clip_seconds
        )
        rendered = {path.name for path in paths}
        songs = [
            song | {"clip": name}
            for song, tune in zip(read_json(before.file("songs.json")), chosen, strict=True)
            if (name := tunes.clip_path(tune, folder, seed=config.seed).name) in rendered
        ]
        write_json(folder / "songs.json", songs)
        return {"songs": len(songs), "not_rendered": len(chosen) - len(songs)}

    settings = pick(config, "seed", "song_count", "clip_seconds")
    return run_stage("clips", compute, settings=settings, inputs=[before], home=home)


def _lengths(sequences: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(len(tokens) for tokens in sequences)
    return {str(length): counts[length] for length in sorted(counts)}


def _types(sequences: Iterable[Sequence[str]]) -> int:
    return len({token for tokens in sequences for token in tokens})
