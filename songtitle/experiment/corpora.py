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

from songtitle.cache import Record, Work, pick, read_json, stage, write_json
from songtitle.config import ExperimentConfig
from songtitle.corpora import fma, million_song, stamps, tunes
from songtitle.corpora.captions import Captioned, Titled, load_flickr8k
from songtitle.corpora.fma import choose_test, clip_path
from songtitle.corpora.manifest import SAMPLES, lists_hash, sha256, split_by_group
from songtitle.corpora.million_song import TimbreTable, covariance_order
from songtitle.errors import InputError
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, tokenize
from songtitle.vocabulary import Vocabulary

Words = list[list[str]]  # titles or captions as words

CAPTIONS = "Tux Paint stamps"
COLLECTIONS = ("O'Neill's Music of Ireland", "Aird's, Ryan's and other airs")  # for MSD and FMA
TRACKS = "Million Song"

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
    """Captioned pictures and titled songs."""

    captions: str  # the corpus of the pictures
    pictures: Sequence[Captioned]  # those of one group stand together
    root: Path  # paths of pictures are kept relative to it
    splits: Mapping[str, float]
    collections: Mapping[str, Sequence[Titled]]  # all songs of each corpus
    songs: Sequence[tuple[str, Titled]]  # those to be named, with their corpus


def material(config: ExperimentConfig, home: Path) -> Material:
    """Load the corpora that the settings name, the pictures and test songs chosen by their seed."""
    return _real_material(config, home) if config.pictures == "photos" else _book(config, home)


def fingerprint(config: ExperimentConfig, home: Path) -> dict[str, object]:
    """Say what tells these corpora from others, for the key of a record."""
    if config.pictures == "stamps":
        return {name: lists_hash(name) for name in ("stamps", "tunes")}
    photos = sorted({picture.path for picture in material(config, home).pictures})
    captions, _ = photos_at(home)
    files = [found for path in tracks_at(home) for found in (path, *path.rglob("*"))]
    return {
        "photos": photos[0].parent.name,
        "captions": sha256(captions),
        "pixels": _digest(photos),
        "songs": _digest(sorted(path for path in files if path.is_file())),
    }


def _some(items: Sequence[Any], config: ExperimentConfig) -> Sequence[int]:
    """The places of `picture_count` of the items by the seed, as drawn; of all, in order."""
    if config.picture_count is None:
        return range(len(items))
    drawn = np.random.default_rng(config.seed).permutation(len(items))
    return [int(place) for place in drawn[: config.picture_count]]


def _book(config: ExperimentConfig, home: Path) -> Material:
    pictures, collection = stamps.load(home), tunes.load()

    def book_of(tune: tunes.Tune) -> str:
        return COLLECTIONS[tune.book != "oneills1850"]

    return Material(
        CAPTIONS,
        [pictures[place] for place in sorted(_some(pictures, config))],
        home,
        {"train": 0.8, "valid": 0.1, "test": 0.1},
        {name: [tune for tune in collection if book_of(tune) == name] for name in COLLECTIONS},
        [
            (book_of(tune), tune)
            for tune in tunes.choose(collection, config.song_count, seed=config.seed)
        ],
    )


def _real_material(config: ExperimentConfig, home: Path) -> Material:
    """Photos of Flickr8k, and Million Song's tracks, of which `song_count` are to be named.

    The songs to be named are those of whole artists, so that no artist is on both sides.
    """
    captions, folder = photos_at(home)
    photos = load_flickr8k(captions, folder, Faults())
    names = sorted({photo.group for photo in photos})
    kept = {names[place] for place in _some(names, config)}
    tracks = tracks_with_timbre(home).tracks
    songs, _ = choose_test(tracks, config.song_count, seed=config.seed)
    return Material(
        "Flickr8k",
        [photo for photo in photos if photo.group in kept],
        folder.parent.parent,
        {"train": 0.7, "valid": 0.15, "test": 0.15},
        {TRACKS: tracks},
        [(TRACKS, track) for track in songs],
    )


# -- what a reader has -----------------------------------------------------------------------------


def photos_at(home: Path) -> tuple[Path, Path]:
    """Find Flickr8k's captions and the folder of its photos; InputError says where they go."""
    captions, folder = _needed(home, "photos", *CAPTIONED)
    return captions, folder


def tracks_at(home: Path) -> list[Path]:
    """Find the files of Million Song's tracks; InputError says where they go."""
    return _needed(home, "songs", SUBSET, PREPARED)


def tracks_with_timbre(home: Path) -> TimbreTable:
    """Read Million Song's tracks of a known year with their timbre, in the order of their ids.

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
    """Read the few tracks of which a table has all 90 numbers; None where it is not there."""
    found = find(home, COMPLETE)
    return million_song.read_uci_like(found[0], Faults()) if found else None


def clips_with_titles(home: Path, *, most: int) -> list[tuple[fma.Track, Path]]:
    """List FMA's tracks whose clip is here, by id, those listed as broken left out; maybe none."""
    found = find(home, *CLIPS_AND_TITLES)
    if not found:
        return []
    folder, table = found
    read = fma.read_tracks if table.name == "tracks.csv" else fma.read_raw_tracks
    here = {int(path.stem) for path in folder.glob("*/*.mp3") if path.stem.isdigit()}
    broken = fma.errata("small")
    tracks = [each for each in read(table, Faults()) if each.track_id in here]
    tracks = sorted((each for each in tracks if each.id not in broken), key=lambda each: each.id)
    return [(track, clip_path(folder, track.track_id)) for track in tracks[:most]]


def find(home: Path, *places: Sequence[str]) -> list[Path]:
    """List the files of the first place whose files are all there; nothing where none is."""
    for root in _roots(home):
        for place in places:
            paths = [root / name for name in place]
            if all(path.exists() for path in paths):
                return paths
    return []


def locate(home: Path, name: str) -> Path:
    """Find a file that a record names, in the data home or among the samples."""
    return next((root / name for root in _roots(home) if (root / name).exists()), home / name)


def _digest(paths: Iterable[Path]) -> str:
    """A hash of the names and contents of files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.name} {sha256(path)}\n".encode())
    return found.hexdigest()


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


# -- stages ----------------------------------------------------------------------------------------


@stage
def corpora(config: ExperimentConfig, *, home: Path) -> Work:
    """Captioned pictures, split by group, and the titled test songs; all that is counted in them.

    Files: `pictures.json` (id, path below the data home or the samples, split, `captions` as
    tokens, and the first of them as `tokens`), `songs.json` (id, collection, title, tokens).
    """
    if config.pictures == "stamps":
        stamps.fetch(home)

    def compute(folder: Path) -> dict[str, Any]:
        found = material(config, home)
        pictures, groups = _by_picture(found.pictures, found.root)
        split = split_by_group(groups, found.splits, seed=config.seed)
        sides = [{"split": side} for side in split]
        rows = [picture | side for picture, side in zip(pictures, sides, strict=True)]
        write_json(folder / "pictures.json", rows)
        named = [(song.id, collection, title_words(song)) for collection, song in found.songs]
        songs = [
            {"id": id, "collection": collection, "title": " ".join(tokens), "tokens": tokens}
            for id, collection, tokens in named
        ]
        write_json(folder / "songs.json", songs)
        captions = [tokens for picture in pictures for tokens in picture["captions"]]
        total = {name: list(map(title_words, each)) for name, each in found.collections.items()}
        test = {
            name: [song["tokens"] for song in songs if song["collection"] == name] for name in total
        }
        return {
            "lengths": {
                name: _lengths(each) for name, each in ({found.captions: captions} | total).items()
            },
            "title_words": {
                name: {collection: _types(each) for collection, each in some.items()}
                | {"both": _types(tokens for each in some.values() for tokens in each)}
                for name, some in (("total", total), ("test", test))
            },
            "test_titles": {name: len(each) for name, each in test.items()},
            "pictures": dict(Counter(split)),
            "distinct_captions": len({" ".join(tokens) for tokens in captions}),
            "caption_words": _types(captions),
        }

    settings = pick(config, "seed", "picture_count", "song_count")
    return Work(compute, settings | {"data": fingerprint(config, home)})


def _by_picture(items: Iterable[Captioned], root: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """One row a picture, with all its captions as tokens, the first of them also as `tokens`; and
    the group of each."""
    rows: dict[Path, dict[str, Any]] = {}
    groups: dict[Path, str] = {}
    for item in items:
        tokens = tokenize(clean_caption(item.caption))
        path = item.path.relative_to(root).as_posix()
        row = {"id": item.id, "path": path, "tokens": tokens, "captions": []}
        rows.setdefault(item.path, row)["captions"].append(tokens)
        groups.setdefault(item.path, item.group)
    return list(rows.values()), list(groups.values())


@stage
def vocabulary(config: ExperimentConfig, *, home: Path) -> Work:
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
        titles = song_titles(before)
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

    return Work(compute, pick(config, "min_count"), [before])


@stage
def clips(config: ExperimentConfig, *, home: Path) -> Work:
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

    return Work(compute, pick(config, "seed", "song_count", "clip_seconds"), [before])


# -- what the stages left --------------------------------------------------------------------------


def song_titles(songs: Record) -> Words:
    """Read the true titles of the test songs, as words, from `corpora` or `clips`."""
    return [song["tokens"] for song in read_json(songs.file("songs.json"))]


def held_out_captions(words: Record) -> Words:
    """Read the first true caption of each test picture, as words, from `corpora`."""
    pictures = read_json(words.file("pictures.json"))
    return [picture["tokens"] for picture in pictures if picture["split"] == "test"]


def true_words(words: Record, songs: Record) -> dict[str, Words]:
    """Read what is scored against, by the kind of an input: captions and titles, as words."""
    return {"songs": song_titles(songs), "pictures": held_out_captions(words)}


def title_words(song: Titled) -> list[str]:
    """Clean the title of a song and cut it into words."""
    return tokenize(clean_title(song.title))


def _lengths(sequences: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(len(tokens) for tokens in sequences)
    return {str(length): counts[length] for length in sorted(counts)}


def _types(sequences: Iterable[Sequence[str]]) -> int:
    return len({token for tokens in sequences for token in tokens})
