"""The corpora: captioned pictures, titled songs, and all that is counted in them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.datasets import stamps, tunes
from songtitle.experiment.common import once, pick, read_json, write_json
from songtitle.manifest import lists_hash, split_by_group
from songtitle.presets import ExperimentConfig
from songtitle.stages import Record, run_stage
from songtitle.text import clean_caption, clean_title, tokenize
from songtitle.vocab import Vocabulary

SPLITS = {"train": 0.8, "valid": 0.1, "test": 0.1}
CAPTIONS = "Tux Paint stamps"
COLLECTIONS = ("O'Neill's Music of Ireland", "Aird's, Ryan's and other airs")  # for MSD and FMA


@once
def corpora(config: ExperimentConfig, *, home: Path) -> Record:
    """Captioned pictures, split by caption, and the titled test songs; all that is counted in them.

    Files: `pictures.json` (id, path below the data home, tokens, split), `songs.json` (id,
    collection, title, tokens).
    """
    stamps.fetch(home)

    def compute(folder: Path) -> dict[str, Any]:
        pictures = stamps.load(home)
        if config.picture_count is not None:
            chosen = np.random.default_rng(config.seed).permutation(len(pictures))
            pictures = [pictures[i] for i in sorted(chosen[: config.picture_count])]
        captions = [tokenize(clean_caption(picture.caption)) for picture in pictures]
        split = split_by_group([picture.group for picture in pictures], SPLITS, seed=config.seed)
        collection = tunes.load()
        songs = tunes.choose(collection, config.song_count, seed=config.seed)
        titles = [tokenize(clean_title(song.title)) for song in songs]
        write_json(
            folder / "pictures.json",
            [
                {
                    "id": picture.id,
                    "path": str(picture.path.relative_to(home).as_posix()),
                    "tokens": tokens,
                    "split": side,
                }
                for picture, tokens, side in zip(pictures, captions, split, strict=True)
            ],
        )
        write_json(
            folder / "songs.json",
            [
                {
                    "id": song.id,
                    "collection": _collection(song.book),
                    "title": " ".join(tokens),
                    "tokens": tokens,
                }
                for song, tokens in zip(songs, titles, strict=True)
            ],
        )
        total: dict[str, list[list[str]]] = {name: [] for name in COLLECTIONS}
        for song in collection:
            total[_collection(song.book)].append(tokenize(clean_title(song.title)))
        test: dict[str, list[list[str]]] = {name: [] for name in COLLECTIONS}
        for song, tokens in zip(songs, titles, strict=True):
            test[_collection(song.book)].append(tokens)
        return {
            "lengths": {CAPTIONS: _lengths(captions)}
            | {name: _lengths(found) for name, found in total.items()},
            "title_words": {
                "total": {name: _types(found) for name, found in total.items()}
                | {"both": _types(tokens for found in total.values() for tokens in found)},
                "test": {name: _types(found) for name, found in test.items()}
                | {"both": _types(titles)},
            },
            "test_titles": {name: len(found) for name, found in test.items()},
            "pictures": dict(Counter(split)),
            "distinct_captions": len({" ".join(tokens) for tokens in captions}),
            "caption_words": _types(captions),
        }

    settings = pick(config, "seed", "picture_count", "song_count")
    settings["data"] = {name: lists_hash(name) for name in ("stamps", "tunes")}
    return run_stage("corpora", compute, settings=settings, home=home)


@once
def vocabulary(config: ExperimentConfig, *, home: Path) -> Record:
    """The words of the training captions, as `vocabulary.json`, and how far they reach in titles.

    Shares are of the test songs' titles: of running words, of distinct words, of titles.
    """
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        captions = [
            picture["tokens"]
            for picture in read_json(before.file("pictures.json"))
            if picture["split"] == "train"
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


def _collection(book: str) -> str:
    return COLLECTIONS[0] if book == "oneills1850" else COLLECTIONS[1]


def _lengths(sequences: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(len(tokens) for tokens in sequences)
    return {str(length): counts[length] for length in sorted(counts)}


def _types(sequences: Iterable[Sequence[str]]) -> int:
    return len({token for tokens in sequences for token in tokens})
