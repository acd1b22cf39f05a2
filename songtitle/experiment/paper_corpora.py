"""The paper's own corpora, counted wherever they are, whole or as a sample.

`answers` gives the record of each question that can be answered; `QUESTIONS` has them all, and
where their files are looked for.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, results, run_stage
from songtitle.corpora import clips, fma, link_rot, million_song, pairing
from songtitle.corpora.captions import (
    TABLES,
    read_audiocaps,
    read_conceptual_captions,
    read_link_status,
)
from songtitle.corpora.contract import Titled
from songtitle.corpora.manifest import SAMPLES, data_home, sha256
from songtitle.errors import InputError
from songtitle.experiment import random_captions
from songtitle.paper.printed import paper_table
from songtitle.rows import Counts, Faults
from songtitle.text import PAPER_TOLD, clean_caption, clean_title, funnel, named_entities, tokenize

SEED = 0
TEST = 1000  # titles in the paper's test sets


# -- captions and links --------------------------------------------------------------------------


def captions(path: Path) -> dict[str, Any]:
    """Lengths and words of Conceptual Captions."""
    faults = Faults()
    rows = (caption for _, caption, _ in read_conceptual_captions(path, faults))
    return _texts(rows, clean=clean_caption) | {"faults": faults.as_dict()}


def audio_captions(path: Path) -> dict[str, Any]:
    """Lengths and words of AudioCaps."""
    faults = Faults()
    rows = [row.caption for row in read_audiocaps(path, faults)]
    return _texts(rows, clean=clean_caption) | {"faults": faults.as_dict()}


def links(status: Path, tsv: Path) -> dict[str, Any]:
    """Which links of the validation captions gave a picture in January 2019."""
    faults = Faults()
    known = {url: caption for _, caption, url in read_conceptual_captions(tsv, faults)}
    rows = read_link_status(status, faults)
    report = link_rot.report_from_status(rows, known, year=2019)
    return _links(report) | {"faults": faults.as_dict()}


def pictures(folder: Path) -> dict[str, Any]:
    """What became of every address that `fetch conceptual_captions --pictures` asked."""
    return _links(link_rot.report(folder))


def _links(report: link_rot.Report, hosts: int = 12) -> dict[str, Any]:
    found = report.as_dict()
    asked = sorted(found.pop("hosts").items(), key=lambda item: (-item[1]["asked"], item[0]))
    found["hosts"] = {
        name: vars(link_rot.share(counts["survived"], counts["asked"]))
        for name, counts in asked[:hosts]
    }
    return found | {"distinct_hosts": len(asked)}


# -- titles --------------------------------------------------------------------------------------


def song_titles(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles of a Million Song list, and of a test set."""
    faults = Faults()
    return _titles(list(million_song.read_tracks(path, faults)), faults)


def fma_tracks(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles in `tracks.csv`, and of a test set."""
    faults = Faults()
    return _titles(list(fma.read_tracks(path, faults)), faults)


def fma_raw(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles in `raw_tracks.csv`, and of a test set."""
    faults = Faults()
    return _titles(list(fma.read_raw_tracks(path, faults)), faults)


def fma_small(path: Path, genres: Path) -> dict[str, Any]:
    """Lengths and words of fma_small's titles, of a test set without broken clips; its genres."""
    faults = Faults()
    tracks = list(fma.read_titles(path, faults))
    found = fma.read_file_genres(genres, faults)
    fma.check_balance(found)
    broken = fma.errata("small")
    balance = {"genres": len(set(found.values())), "files": len(found), "errata": len(broken)}
    return _titles(tracks, faults, exclude=broken) | balance


def _titles(
    tracks: Sequence[Titled], faults: Faults, *, exclude: Iterable[str] = ()
) -> dict[str, Any]:
    result = _texts((track.title for track in tracks), clean=clean_title)
    result["artists"] = len({track.group for track in tracks})
    result["sample_titles"] = [track.title for track in tracks[:5]]
    distinct = list({track.id: track for track in tracks}.values())  # a list may repeat a track
    if len(distinct) > TEST:
        test, rest = clips.choose_test(distinct, TEST, seed=SEED, exclude=set(exclude))
        words = Counts.of(tokenize(clean_title(track.title)) for track in test)
        shared = {track.group for track in test} & {track.group for track in rest}
        result["test"] = {
            "titles": len(test),
            "distinct_words": len(words.words),
            "artists_on_both_sides": len(shared),
        }
    return result | {"faults": faults.as_dict()}


def _texts(texts: Iterable[str], *, clean: Any) -> dict[str, Any]:
    written, cleaned = Counts(), Counts()
    for text in texts:
        written.add(text.split())
        cleaned.add(tokenize(clean(text)))
    return {
        "rows": written.texts,
        "as_written": written.as_dict()
        | {
            "up_to_5": written.share_up_to(5),
            "up_to_15": written.share_up_to(15),
        },
        "cleaned": cleaned.as_dict(),
    }


# -- named entities ------------------------------------------------------------------------------


def fma_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The funnel over fma_small's titles, entities looked for before and after lowercasing."""
    faults = Faults()
    titles = [track.title for track in fma.read_titles(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def fma_all_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The same over `tracks.csv`."""
    faults = Faults()
    titles = [track.title for track in fma.read_tracks(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def song_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The same over the titles of a Million Song list."""
    faults = Faults()
    titles = [track.title for track in million_song.read_tracks(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def _funnels(titles: list[str], nltk_data: Path) -> dict[str, Any]:
    orders: dict[str, Any] = {}
    with _private(nltk_data) as data:
        for order in ("before_lowercasing", "after_lowercasing"):
            rules = replace(PAPER_TOLD, named_entities=order, duplicates="drop")
            found = funnel(titles, rules, data=data, progress=True)
            named = next(step for step in found.steps if step.name == "named entities")
            orders[order] = found.as_dict() | {"share_with_a_name": named.lost / named.before}
        # The paper prints them in lower case; with a capital each they look as titles do.
        samples = sorted({title for column in paper_table(2).to_numpy() for title in column})
        flags = [
            named_entities(each, data=data) or []
            for each in ([title.title() for title in samples], samples)
        ]
    table_2 = {title: [*pair] for title, *pair in zip(samples, *flags, strict=True)}
    return {"titles": len(titles), "orders": orders, "table_2": table_2}


@contextmanager
def _private(folder: Path) -> Iterator[Path]:
    """A copy that nobody else may write to: NLTK takes no other."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / folder.name
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        yield copy


# -- clips ---------------------------------------------------------------------------------------


def fma_clips(folder: Path) -> dict[str, Any]:
    """Rates, channels and lengths of FMA's clips, by decoding every one."""
    faults = Faults()
    paths = sorted(path for path in folder.rglob("*.mp3") if not path.name.startswith("."))
    facts = clips.survey(paths, faults, shortest=29.0)
    return clips.summary(facts.values()) | {"faults": faults.as_dict()}


ENTRIES, GAPS = 515_576, 231  # the paper's pairs, and how many more they are than UCI's rows
ANCHORED = 0.01  # of the rows of the made-up catalogue
DRAWN = 1_200  # rows of a list that a figure shows


# -- timbre --------------------------------------------------------------------------------------


def timbre_layout(folder: Path, uci: Path, other: Path) -> dict[str, Any]:
    """The 90 numbers computed again from HDF5 files, beside UCI's; and rows in another layout."""
    faults = Faults()
    computed = {
        track.id: million_song.timbre_of(segments)
        for track, segments in million_song.read_h5_folder(folder, faults, fewest=1)
    }
    printed = _uci_by_track(uci)
    shared = sorted(computed.keys() & printed.keys())
    ours, theirs = (np.stack([table[id] for id in shared]) for table in (computed, printed))
    try:
        million_song.check_layout(million_song.load_uci(other, faults)[1])
        refused = ""
    except InputError as error:
        refused = str(error)
    return {
        "files": len(computed),
        "compared": len(shared),
        "numbers": ours.shape[1],
        "largest_difference": float(np.abs(ours - theirs).max()),
        "other_layout_refused": refused,
        "faults": faults.as_dict(),
    }


def uci_layout(path: Path) -> dict[str, Any]:
    """Whether the rows of YearPredictionMSD.txt are what they should be."""
    faults = Faults()
    years, timbre = million_song.load_uci(path, faults)
    odd = million_song.check_layout(timbre)
    return {"rows": len(years), "odd_rows": len(odd), "faults": faults.as_dict()}


def _uci_by_track(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    table = pd.read_csv(path, dtype={"track_id": str})
    numbers = table.filter(regex=r"^(avg|cov)\d+$").to_numpy(np.float64)
    return dict(zip(table["track_id"], numbers, strict=True))


# -- joins ---------------------------------------------------------------------------------------


def joins(rows: Path, listing: Path, timbre: Path, folder: Path) -> dict[str, Any]:
    """Three joins of rows in track order with a list by year, where the truth is known."""
    faults = Faults()
    ids = [track.id for track in million_song.read_tracks(rows, faults)]
    listed = list(million_song.read_tracks(listing, faults))
    place = {track.id: entry for entry, track in enumerate(listed)}
    row_years, numbers = million_song.load_uci(timbre, faults)
    # The 12 means alone: the covariances of these rows are in no known layout.
    known = {
        place[track.id]: million_song.timbre_of(segments)[:12]
        for track, segments in million_song.read_h5_folder(folder, faults)
        if track.id in place
    }
    found = pairing.find_anchors(
        numbers[:, :12], np.stack(list(known.values())), np.array(list(known)), decimals=4
    )
    list_years = np.array([track.year for track in listed], dtype=np.int32)
    truth = np.array([place[id] for id in ids], dtype=np.int32)
    found_out = _joins(row_years.astype(np.int32), list_years, found, truth)
    return found_out | {"faults": faults.as_dict()}


def uci_joins(rows: Path, listing: Path, archive: Path | None = None) -> dict[str, Any]:
    """The joins of UCI's rows with `tracks_per_year.txt`; which row is whose is not known.

    Tracks of the 10,000-song subset, where its `archive` is here, anchor the rows they are in.
    """
    faults = Faults()
    row_years, timbre = million_song.load_uci(rows, faults)
    listed = list(million_song.read_tracks(listing, faults))
    list_years = np.array([track.year or 0 for track in listed], dtype=np.int32)
    found = None
    if archive is not None:
        place = {track.id: entry for entry, track in enumerate(listed)}
        known = {
            place[track.id]: million_song.timbre_of(segments)
            for track, segments in million_song.read_h5_archive(archive, faults)
            if track.id in place
        }
        numbers, entries = np.stack(list(known.values())), np.array(list(known))
        found = pairing.find_anchors(timbre, numbers, entries)
    result = _joins(row_years.astype(np.int32), list_years, found)
    return result | {"faults": faults.as_dict()}


def _joins(
    row_years: np.ndarray,
    list_years: np.ndarray,
    found: pairing.Anchors | None = None,
    truth: np.ndarray | None = None,
) -> dict[str, Any]:
    generator = np.random.default_rng(SEED)
    every = 1 + len(list_years) // DRAWN
    pairings = {
        "as told": pairing.as_told(row_years, list_years),
        "shuffled": pairing.shuffled(row_years, list_years, generator=generator),
        "repaired": pairing.within_year(row_years, list_years),
    }
    if found is not None:
        pairings["repaired, anchored"] = pairing.within_year(row_years, list_years, found)
    pairings["repaired, if each year is in the rows' order"] = pairing.within_year(
        row_years, list_years, found, same_order=True
    )
    return {
        "rows": len(row_years),
        "anchors": 0 if found is None else len(found.rows),
        "joins": {
            name: pairing.summary(row_years, list_years, each) | _right(each, truth)
            for name, each in pairings.items()
        },
        "catalogue": _made_up(list_years[list_years > 0]),
        "every": every,
        "years_by_row": {
            "timbre, in its own order": row_years[::every].tolist(),
            "titles, sorted by year": list_years[::every].tolist(),
        },
    }


def _made_up(years: np.ndarray) -> dict[str, Any]:
    """A catalogue as large as the paper's, with real years and known truth, and its repair."""
    generator = np.random.default_rng(SEED)
    rows, listed, truth = pairing.synthetic(years, entries=ENTRIES, gaps=GAPS, generator=generator)
    some = np.sort(generator.permutation(len(rows))[: round(ANCHORED * len(rows))])
    known = pairing.Anchors(some.astype(np.int32), truth[some])
    pairings = {
        "as told": pairing.as_told(rows, listed),
        "aligned": pairing.aligned(rows, listed),
        "aligned, 1 % anchored": pairing.aligned(rows, listed, known),
    }
    return {
        name: pairing.summary(rows, listed, each) | _right(each, truth)
        for name, each in pairings.items()
    }


def _right(found: pairing.Pairing, truth: np.ndarray | None) -> dict[str, int]:
    if truth is None:
        return {}
    right = found.partner == truth
    return {
        "right": int(right.sum()),
        "certain_and_right": int((right & found.certain).sum()),
        "certain_and_wrong": int((~right & found.certain).sum()),
    }


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
        (Place((TRAIN,), captions),),
    ),
    "captions_valid": Question(
        "Conceptual Captions, validation",
        "How long are captions?",
        (Place((VALIDATION,), captions),),
    ),
    "links": Question(
        "Conceptual Captions, validation",
        "Which links gave a picture in January 2019?",
        (Place((STATUS, VALIDATION), links),),
    ),
    "pictures": Question(
        "Conceptual Captions",
        "Which links gave a picture to `fetch conceptual_captions --pictures`?",
        (
            Place((CAPTIONS + "pictures/train",), pictures),
            Place((CAPTIONS + "pictures/validation",), pictures),
        ),
    ),
    "audio_captions": Question(
        "AudioCaps, train",
        "How long are captions of sounds?",
        (Place(("audiocaps/train.csv",), audio_captions),),
    ),
    "audio_references": Question(
        "AudioCaps, test",
        "How does BLEU-1 grow with the number of references?",
        (
            Place(
                ("audiocaps/test.csv", "audiocaps/val.csv", "audiocaps/train.csv"),
                random_captions.audio_references,
            ),
        ),
    ),
    "song_titles": Question(
        MSD,
        "How long are titles?",
        (
            Place(("million_song/unique_tracks.txt",), song_titles),
            Place(("msd/songlist_20001.txt",), song_titles),
        ),
    ),
    "dated_songs": Question(
        f"{MSD}, songs with a year",
        "How long are titles?",
        (
            Place(("million_song/tracks_per_year.txt",), song_titles),
            Place(("msd/subset_timbre90_4680.tracks.txt",), song_titles),
        ),
    ),
    "fma_tracks": Question(
        f"{FMA}, tracks.csv",
        "How long are titles?",
        (
            Place(("fma/fma_metadata/tracks.csv",), fma_tracks),
            Place(("fma/tracks_excerpt.csv",), fma_tracks),
        ),
    ),
    "fma_raw": Question(
        f"{FMA}, raw_tracks.csv",
        "How long are titles?",
        (
            Place(("fma/fma_metadata/raw_tracks.csv",), fma_raw),
            Place(("fma/raw_tracks_excerpt.csv",), fma_raw),
        ),
    ),
    "fma_small": Question(
        f"{FMA}, fma_small",
        "How long are titles, and are its genres even?",
        (Place(("fma/fma_small_titles.csv", "fma/fma_small_files_genre.csv"), fma_small),),
    ),
    "clips": Question(
        f"{FMA}, fma_small",
        "How long are clips, and at which rate?",
        (Place(("fma/fma_small",), fma_clips),),
    ),
    "fma_names": Question(
        FMA,
        "How many titles does the named-entity rule take away?",
        (
            Place(("fma/fma_metadata/tracks.csv", "nltk_data"), fma_all_names),
            Place(("fma/fma_small_titles.csv", "nltk_data"), fma_names),
        ),
    ),
    "song_names": Question(
        MSD,
        "How many titles does the named-entity rule take away?",
        (
            Place(("million_song/unique_tracks.txt", "nltk_data"), song_names),
            Place(("msd/subset_timbre90_4680.tracks.txt", "nltk_data"), song_names),
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
                timbre_layout,
            ),
        ),
    ),
    "uci": Question(
        f"{MSD}, UCI's rows",
        "Are UCI's rows what they should be?",
        (Place(("million_song/YearPredictionMSD.txt",), uci_layout),),
    ),
    "joins": Question(
        f"{MSD}, timbre and titles",
        "Do titles and timbre belong together?",
        (
            Place((*UCI_AND_LIST, "million_song/millionsongsubset.tar.gz"), uci_joins),
            Place(UCI_AND_LIST, uci_joins),
            Place(
                (
                    "msd/subset_timbre90_4680.tracks.txt",
                    "msd/subset_tracks_per_year.rebuilt.txt",
                    "msd/subset_timbre90_4680.txt",
                    "msd/h5",
                ),
                joins,
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
