"""The questions of the census, each with the files that answer it and how they are measured.

Each question of the census names the files that answer it. They are looked for in the data home,
where `fetch` puts whole corpora, then in the folder that SONGTITLE_REAL_DATA names, which may hold
samples of them. Where neither has them, the answer published with the book stands, if there is one.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from songtitle.cache import Record, results, run_stage
from songtitle.census import measures, random_captions, references, repairs
from songtitle.datasets.conceptual_captions import TABLES
from songtitle.errors import InputError
from songtitle.manifest import SAMPLES, data_home, sha256

WHOLE, SAMPLE = "data home", "real sample"


@dataclass(frozen=True)
class Place:
    """Files that together answer a question, and how they are measured."""

    files: tuple[str, ...]  # or folders, relative to the data home or the samples
    measure: Callable[..., dict[str, Any]]  # takes them in this order


@dataclass(frozen=True)
class Question:
    """Something to count, and the places where it can be, the fullest first."""

    corpus: str  # as readers know it
    asks: str
    places: tuple[Place, ...]


CAPTIONS, STATUS = "conceptual_captions/", "conceptual_captions/validation_url_status_2019-01.tsv"
TRAIN, VALIDATION = (CAPTIONS + TABLES[split] for split in ("train", "validation"))
UCI_AND_LIST = ("million_song/YearPredictionMSD.txt", "million_song/tracks_per_year.txt")
MSD, FMA = "Million Song", "Free Music Archive"

QUESTIONS: dict[str, Question] = {
    "captions": Question(
        "Conceptual Captions, train",
        "How long are captions?",
        (Place((TRAIN,), measures.captions),),
    ),
    "captions_valid": Question(
        "Conceptual Captions, validation",
        "How long are captions?",
        (Place((VALIDATION,), measures.captions),),
    ),
    "links": Question(
        "Conceptual Captions, validation",
        "Which links gave a picture in January 2019?",
        (Place((STATUS, VALIDATION), measures.links),),
    ),
    "pictures": Question(
        "Conceptual Captions",
        "Which links gave a picture to `fetch conceptual_captions --pictures`?",
        (
            Place((CAPTIONS + "pictures/train",), measures.pictures),
            Place((CAPTIONS + "pictures/validation",), measures.pictures),
        ),
    ),
    "audio_captions": Question(
        "AudioCaps, train",
        "How long are captions of sounds?",
        (Place(("audiocaps/train.csv",), measures.audio_captions),),
    ),
    "audio_references": Question(
        "AudioCaps, test",
        "How does BLEU-1 grow with the number of references?",
        (
            Place(
                ("audiocaps/test.csv", "audiocaps/val.csv", "audiocaps/train.csv"),
                references.audio_references,
            ),
        ),
    ),
    "song_titles": Question(
        MSD,
        "How long are titles?",
        (
            Place(("million_song/unique_tracks.txt",), measures.song_titles),
            Place(("msd/songlist_20001.txt",), measures.song_titles),
        ),
    ),
    "dated_songs": Question(
        f"{MSD}, songs with a year",
        "How long are titles?",
        (
            Place(("million_song/tracks_per_year.txt",), measures.song_titles),
            Place(("msd/subset_timbre90_4680.tracks.txt",), measures.song_titles),
        ),
    ),
    "fma_tracks": Question(
        f"{FMA}, tracks.csv",
        "How long are titles?",
        (
            Place(("fma/fma_metadata/tracks.csv",), measures.fma_tracks),
            Place(("fma/tracks_excerpt.csv",), measures.fma_tracks),
        ),
    ),
    "fma_raw": Question(
        f"{FMA}, raw_tracks.csv",
        "How long are titles?",
        (
            Place(("fma/fma_metadata/raw_tracks.csv",), measures.fma_raw),
            Place(("fma/raw_tracks_excerpt.csv",), measures.fma_raw),
        ),
    ),
    "fma_small": Question(
        f"{FMA}, fma_small",
        "How long are titles, and are its genres even?",
        (Place(("fma/fma_small_titles.csv", "fma/fma_small_files_genre.csv"), measures.fma_small),),
    ),
    "clips": Question(
        f"{FMA}, fma_small",
        "How long are clips, and at which rate?",
        (Place(("fma/fma_small",), measures.fma_clips),),
    ),
    "fma_names": Question(
        FMA,
        "How many titles does the named-entity rule take away?",
        (
            Place(("fma/fma_metadata/tracks.csv", "nltk_data"), measures.fma_all_names),
            Place(("fma/fma_small_titles.csv", "nltk_data"), measures.fma_names),
        ),
    ),
    "song_names": Question(
        MSD,
        "How many titles does the named-entity rule take away?",
        (
            Place(("million_song/unique_tracks.txt", "nltk_data"), measures.song_names),
            Place(("msd/subset_timbre90_4680.tracks.txt", "nltk_data"), measures.song_names),
        ),
    ),
    "content_free": Question(
        "Conceptual Captions beside titles of songs",
        "What does a caption score against a title or caption that it was not made for?",
        (
            Place(
                (VALIDATION, "million_song/unique_tracks.txt", "fma/fma_metadata/tracks.csv"),
                random_captions.of_corpora,
            ),
            Place(
                (VALIDATION, "msd/songlist_20001.txt", "fma/fma_small_titles.csv"),
                random_captions.of_samples,
            ),
        ),
    ),
    "timbre": Question(
        f"{MSD}, timbre",
        "Do 90 numbers computed from HDF5 equal UCI's?",
        (
            Place(
                (
                    "msd/h5",
                    "msd/h5_timbre90_uci_layout.csv",
                    "msd/subset_timbre90_4680.txt",
                ),
                repairs.timbre_layout,
            ),
        ),
    ),
    "uci": Question(
        f"{MSD}, UCI's rows",
        "Are UCI's rows what they should be?",
        (Place(("million_song/YearPredictionMSD.txt",), repairs.uci_layout),),
    ),
    "joins": Question(
        f"{MSD}, timbre and titles",
        "Do titles and timbre belong together?",
        (
            Place((*UCI_AND_LIST, "million_song/millionsongsubset.tar.gz"), repairs.uci_joins),
            Place(UCI_AND_LIST, repairs.uci_joins),
            Place(
                (
                    "msd/subset_timbre90_4680.tracks.txt",
                    "msd/subset_tracks_per_year.rebuilt.txt",
                    "msd/subset_timbre90_4680.txt",
                    "msd/h5",
                ),
                repairs.joins,
            ),
        ),
    ),
}


def answers(*names: str, home: Path | None = None) -> dict[str, Record]:
    """The answers to some questions (all, without names) that can be had, in order.

    An answer found before is read from the data home: it has a key made of its files' hashes.
    Raises InputError for a name that is no question.
    """
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        msg = f"count: expected some of {', '.join(QUESTIONS)}, got {unknown[0]!r}; pick from these"
        raise InputError(msg)
    found = {name: answer(name, home=home) for name in names or QUESTIONS}
    return {name: record for name, record in found.items() if record is not None}


def answer(name: str, *, home: Path | None = None) -> Record | None:
    """The answer to one question: counted now, read from an earlier run, or as published."""
    home = home or data_home()
    question = QUESTIONS[name]
    found = files_of(question, home)
    if found is None:
        return published(name)
    where, measure, paths = found

    def compute(folder: Path) -> dict[str, Any]:
        return measure(*paths)

    files = {path.name: _fingerprint(path, _state(path)) for path in paths}
    settings = {"corpus": question.corpus, "asks": question.asks, "found": where, "files": files}
    return run_stage(f"census_{name}", compute, settings=settings, home=home)


def files_of(
    question: Question, home: Path
) -> tuple[str, Callable[..., dict[str, Any]], list[Path]] | None:
    """Where the files of a question lie, the data home first, and their measure; or None."""
    roots = {WHOLE: home}
    if named := os.environ.get(SAMPLES):
        roots[SAMPLE] = Path(named)
    for where, root in roots.items():
        for place in question.places:
            paths = [root / name for name in place.files]
            if all(path.exists() for path in paths):
                return where, place.measure, paths
    return None


def published(name: str) -> Record | None:
    """The answer that came with this clone, counted by its makers."""
    path = results().get(f"census/{name}.json")
    return Record(**json.loads(path.read_text("utf-8")), folder=path.parent) if path else None


def present(home: Path) -> str:
    """A hash of which files the census would read: pages depend on it."""
    found = {name: files_of(question, home) for name, question in QUESTIONS.items()}
    listing = {
        name: [there[0], [_state(path) for path in there[2]]]
        for name, there in found.items()
        if there is not None
    }
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def _state(path: Path) -> tuple[int, int, int]:
    """Files, bytes and the latest change of a file or folder: cheap to ask, and telling."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [file.stat() for file in files if file.is_file()]
    latest = max((fact.st_mtime_ns for fact in facts), default=0)
    return len(facts), sum(fact.st_size for fact in facts), latest


@cache
def _fingerprint(path: Path, state: tuple[int, int, int]) -> dict[str, Any]:
    """What a record says of a file: its bytes and sha256 (of a folder: of its files' hashes)."""
    files, size, _ = state
    if path.is_file():
        return {"bytes": size, "sha256": sha256(path)}
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()} {sha256(file)}\n".encode())
    return {"files": files, "bytes": size, "sha256": digest.hexdigest()}
