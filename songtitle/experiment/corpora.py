"""The corpora: captioned pictures, titled songs, and all that is counted in them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from songtitle.cache import Record, once, run_stage
from songtitle.config import ExperimentConfig
from songtitle.datasets import stamps, tunes
from songtitle.datasets.contract import Captioned
from songtitle.errors import InputError
from songtitle.experiment.common import pick, read_json, write_json
from songtitle.experiment.material import STAMPS, TUNES, fingerprint, material
from songtitle.manifest import split_by_group
from songtitle.text import clean_caption, clean_title, tokenize
from songtitle.vocab import Vocabulary

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
