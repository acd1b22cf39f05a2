"""The material of an experiment: which captioned pictures to learn from, which songs to name.

What comes with the book is fetched by it. Photos and songs of the paper's own kind are a reader's:
they are looked for in the data home and then in the folder that SONGTITLE_REAL_DATA names, in the
forms in which they are published.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, Work, pick, read_json, stage, write_json
from songtitle.config import ExperimentConfig
from songtitle.corpora import million_song, stamps, tunes
from songtitle.corpora.captions import Captioned, Titled, load_flickr8k
from songtitle.corpora.fma import choose_test
from songtitle.corpora.manifest import SAMPLES, lists_hash, roots, sha256, split_by_group
from songtitle.corpora.million_song import TimbreTable, covariance_order
from songtitle.rows import Counts, Faults
from songtitle.schema import refuse
from songtitle.text import clean_caption, clean_title, tokenize
from songtitle.vocabulary import Vocabulary

Words = list[list[str]]  # titles or captions as words

CAPTIONS = "Tux Paint stamps"
COLLECTIONS = ("O'Neill's Music of Ireland", "Aird's, Ryan's and other airs")  # for MSD and FMA
TRACKS = "Million Song"

PLACES = {  # of what a reader has: files that belong together, the whole corpus first
    "photos": (
        ("flickr8k/captions.txt", "flickr8k/Images"),
        ("flickr8k/captions.txt", "flickr8k/images_224"),
    ),
    "songs": (
        ("million_song/MillionSongSubset",),
        ("msd/subset_timbre90_4680.npz", "msd/subset_timbre90_4680.tracks.txt"),
    ),
    "complete songs": (("msd/h5_timbre90_uci_layout.csv",),),
    "clips": (
        ("fma/fma_small", "fma/fma_metadata/tracks.csv"),
        ("fma/fma_small", "fma/raw_tracks_excerpt.csv"),
    ),
}


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
    """Load the corpora that the settings name, the pictures and test songs chosen by their seed.

    Real songs to be named are those of whole artists, so that no artist is on both sides.
    """
    if config.pictures == "photos":
        captions, folder = needed(home, "photos")
        photos = load_flickr8k(captions, folder, Faults())
        kept = set(_some(sorted({photo.group for photo in photos}), config))
        photos = [photo for photo in photos if photo.group in kept]
        splits = {"train": 0.7, "valid": 0.15, "test": 0.15}
        tracks = tracks_with_timbre(home).tracks
        chosen, _ = choose_test(tracks, config.song_count, seed=config.seed)
        songs = [(TRACKS, track) for track in chosen]
        root = folder.parent.parent
        return Material("Flickr8k", photos, root, splits, {TRACKS: tracks}, songs)

    def named(some: Iterable[tunes.Tune]) -> list[tuple[str, tunes.Tune]]:
        return [(COLLECTIONS[tune.book != "oneills1850"], tune) for tune in some]

    pictures, every = stamps.load(home), tunes.load()
    pictures = [pictures[place] for place in sorted(_some(range(len(pictures)), config))]
    collections = {
        name: [tune for its, tune in named(every) if its == name] for name in COLLECTIONS
    }
    some = named(tunes.choose(every, config.song_count, seed=config.seed))
    splits = {"train": 0.8, "valid": 0.1, "test": 0.1}
    return Material(CAPTIONS, pictures, home, splits, collections, some)


def _some(items: Sequence[Any], config: ExperimentConfig) -> Sequence[Any]:
    """`picture_count` of the items by the seed, as drawn; or all, in order."""
    if config.picture_count is None:
        return items
    drawn = np.random.default_rng(config.seed).permutation(len(items))
    return [items[place] for place in drawn[: config.picture_count]]


def fingerprint(config: ExperimentConfig, home: Path) -> dict[str, str]:
    """Say what tells these corpora from others, for the key of a record."""
    if config.pictures == "stamps":
        return {name: lists_hash(name) for name in ("stamps", "tunes")}
    photos = sorted({picture.path for picture in material(config, home).pictures})
    found = [each for path in needed(home, "songs") for each in (path, *path.rglob("*"))]
    songs = sorted(path for path in found if path.is_file())
    digests = {
        name: hashlib.sha256("".join(f"{path.name} {sha256(path)}\n" for path in files).encode())
        for name, files in (("pixels", photos), ("songs", songs))
    }
    told = {name: each.hexdigest() for name, each in digests.items()}
    captions = sha256(needed(home, "photos")[0])
    return {"photos": photos[0].parent.name, "captions": captions} | told


# -- what a reader has -----------------------------------------------------------------------------


def find(home: Path, what: str) -> list[Path]:
    """List the files of the first of PLACES whose files are all there; nothing where none is."""
    for root in roots(home):
        for place in PLACES[what]:
            paths = [root / name for name in place]
            if all(path.exists() for path in paths):
                return paths
    return []


def needed(home: Path, what: str) -> list[Path]:
    """List what `find` finds; where that is nothing, InputError says where the files go."""
    found = find(home, what)
    if not found:
        wanted = " or ".join(" with ".join(place) for place in PLACES[what])
        wanted += f" in the data home or in the folder that {SAMPLES} names"
        refuse(what, wanted, "none", "put them there, or show what was published")
    return found


def locate(home: Path, name: str) -> Path:
    """Find a file that a record names, in the data home or among the samples."""
    return next((root / name for root in roots(home) if (root / name).exists()), home / name)


def tracks_with_timbre(home: Path) -> TimbreTable:
    """Read Million Song's tracks of a known year with their timbre, in the order of their ids.

    From the makers' own HDF5 files all 90 numbers; from a third party's table of the same subset
    the 54 that are there, 12 means and 42 of 78 covariances.
    """
    first, *listing = needed(home, "songs")
    if listing:
        return million_song.read_timbre_archive(first, listing[0], Faults())
    pairs = [
        (track, million_song.timbre_of(segments).astype(np.float32))
        for track, segments in million_song.read_h5_folder(first, Faults())
        if track.year is not None and track.title.strip()
    ]
    tracks, numbers = [track for track, _ in pairs], np.stack([row for _, row in pairs])
    return TimbreTable(tracks, numbers, covariance_order())


# -- stages ----------------------------------------------------------------------------------------


@stage
def corpora(config: ExperimentConfig, *, home: Path) -> Work:
    """Captioned pictures, split by series, and the titled test songs; all that is counted in them.

    Files: `pictures.json` (id, series, path below the data home or the samples, split, `captions`
    as tokens, and the first of them as `tokens`), `songs.json` (id, collection, series, title,
    tokens). A series is what its corpus calls a group: a folder, a family of tunes, an artist.
    """
    if config.pictures == "stamps":
        stamps.fetch(home)

    def compute(folder: Path) -> dict[str, Any]:
        found = material(config, home)
        pictures: dict[Path, dict[str, Any]] = {}
        for item in found.pictures:  # one a caption
            tokens = tokenize(clean_caption(item.caption))
            path = item.path.relative_to(found.root).as_posix()
            row = {"id": item.id, "series": item.group, "path": path, "tokens": tokens}
            row["captions"] = []
            pictures.setdefault(item.path, row)["captions"].append(tokens)
        series = [row["series"] for row in pictures.values()]
        split = split_by_group(series, found.splits, seed=config.seed)
        rows = [row | {"split": side} for row, side in zip(pictures.values(), split, strict=True)]
        write_json(folder / "pictures.json", rows)
        songs: list[dict[str, Any]] = [
            {"id": song.id, "collection": name, "series": song.group}
            | {"title": " ".join(tokens), "tokens": tokens}
            for name, song in found.songs
            for tokens in [title_words(song)]
        ]
        write_json(folder / "songs.json", songs)
        captions = [tokens for row in rows for tokens in row["captions"]]
        total: dict[str, Words] = {
            name: list(map(title_words, each)) for name, each in found.collections.items()
        }
        test: dict[str, Words] = {
            name: [song["tokens"] for song in songs if song["collection"] == name] for name in total
        }
        every: dict[str, Words] = {found.captions: captions} | total
        return {
            "lengths": {name: Counts.of(each).as_dict()["lengths"] for name, each in every.items()},
            "title_words": {
                name: {collection: _types(each) for collection, each in some.items()}
                | {"both": _types(tokens for each in some.values() for tokens in each)}
                for name, some in {"total": total, "test": test}.items()
            },
            "test_titles": {name: len(each) for name, each in test.items()},
            "pictures": dict(Counter(split)),
            "distinct_captions": len({" ".join(tokens) for tokens in captions}),
            "caption_words": _types(captions),
        }

    settings = pick(config, "seed", "picture_count", "song_count")
    return Work(compute, settings | {"data": fingerprint(config, home)})


def _types(texts: Iterable[Sequence[str]]) -> int:
    return len({token for tokens in texts for token in tokens})


@stage
def vocabulary(config: ExperimentConfig, *, home: Path) -> Work:
    """The words of the training captions, as `vocabulary.json`, and how far they reach in titles.

    Shares are of the test songs' titles: of running words, of distinct words, of titles.
    """
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        pictures = read_json(before.file("pictures.json"))
        learnt = [picture["captions"] for picture in pictures if picture["split"] == "train"]
        captions = [tokens for each in learnt for tokens in each]
        words = Vocabulary.from_tokens(captions, min_count=config.min_count)
        words.save(folder / "vocabulary.json")
        known = [[token in words for token in title] for title in song_titles(before)]
        distinct = {token for title in song_titles(before) for token in title}
        shares = {
            "running words": [each for title in known for each in title],
            "distinct words": [token in words for token in distinct],
            "titles with a known word": list(map(any, known)),
            "titles of known words only": list(map(all, known)),
        }
        shown = {name: sum(each) / len(each) for name, each in shares.items()}
        return {"size": len(words), "known": shown}

    return Work(compute, pick(config, "min_count"), [before])


@stage
def clips(config: ExperimentConfig, *, home: Path) -> Work:
    """The test songs as mp3 files, rendered from their scores.

    Files: `clips/*.mp3`, and `songs.json` as `corpora` has it, each with its `clip`.
    """
    if config.pictures == "photos":
        wanted = "one with the book's own songs, which are rendered to clips"
        then = "page 13 shows it, for the other pages take quick"
        refuse(f"preset {config.name}", wanted, "one with real songs", then)
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        chosen = tunes.choose(tunes.load(), config.song_count, seed=config.seed)
        paths = tunes.render_all(
            chosen, folder / "clips", seed=config.seed, duration=config.clip_seconds
        )
        rendered = {path.name for path in paths}
        songs: list[dict[str, Any]] = [
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


def true_series(words: Record, songs: Record) -> dict[str, list[str]]:
    """Read the series of what `true_words` gives, by the same kinds and in the same order."""
    pictures = read_json(words.file("pictures.json"))
    return {
        "songs": [song["series"] for song in read_json(songs.file("songs.json"))],
        "pictures": [picture["series"] for picture in pictures if picture["split"] == "test"],
    }


def title_words(song: Titled) -> list[str]:
    """Clean the title of a song and cut it into words."""
    return tokenize(clean_title(song.title))
