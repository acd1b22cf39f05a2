"""The paper's own corpora, counted wherever they are, whole or as a sample.

`answers` gives the record of each question that can be answered; `QUESTIONS` has them all, and
where their files are looked for.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record, results, run_stage
from songtitle.corpora import fma, link_rot, million_song
from songtitle.corpora.captions import (
    TABLES,
    Titled,
    read_audiocaps,
    read_conceptual_captions,
    read_link_status,
)
from songtitle.corpora.manifest import SAMPLES, data_home, sha256
from songtitle.errors import InputError
from songtitle.experiment import random_captions
from songtitle.paper.printed import paper_table
from songtitle.rows import Counts, Faults
from songtitle.text import PAPER_TOLD, clean_caption, clean_title, funnel, named_entities, tokenize

SEED = 0
TEST = 1000  # titles in the paper's test sets
ENTRIES, GAPS = 515_576, 231  # the paper's pairs, and how many more they are than UCI's rows
ANCHORED = 0.01  # of the rows of the made-up catalogue
DRAWN = 1_200  # rows of a list that a figure shows
WHOLE, SAMPLE = "data home", "real sample"

Measure = Callable[..., dict[str, Any]]  # of files or folders
Reader = Callable[[Path, Faults], Iterable[Titled]]


def counting_faults(measure: Callable[..., dict[str, Any]]) -> Measure:
    """Give a measure a fresh `Faults` before its files, and its result what these hold at last."""

    @wraps(measure)
    def measured(*files: Path) -> dict[str, Any]:
        faults = Faults()
        return measure(faults, *files) | {"faults": faults.as_dict()}

    return measured


# -- captions and links --------------------------------------------------------------------------


@counting_faults
def captions(faults: Faults, path: Path) -> dict[str, Any]:
    """Lengths and words of Conceptual Captions."""
    return _texts((row[1] for row in read_conceptual_captions(path, faults)), clean_caption)


@counting_faults
def audio_captions(faults: Faults, path: Path) -> dict[str, Any]:
    """Lengths and words of AudioCaps."""
    return _texts((row.caption for row in read_audiocaps(path, faults)), clean_caption)


@counting_faults
def links(faults: Faults, status: Path, tsv: Path) -> dict[str, Any]:
    """Which links of the validation captions gave a picture in January 2019."""
    known = {url: caption for _, caption, url in read_conceptual_captions(tsv, faults)}
    rows = read_link_status(status, faults)
    return _links(link_rot.report_from_status(rows, known, year=2019))


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


def titles(read: Reader) -> Measure:
    """Lengths and words of the titles of one list, and of a test set."""
    return counting_faults(lambda faults, path: _titles(read(path, faults)))


@counting_faults
def fma_small(faults: Faults, path: Path, genres: Path) -> dict[str, Any]:
    """Lengths and words of fma_small's titles, of a test set without broken clips; its genres."""
    found = fma.read_file_genres(genres, faults)
    fma.check_balance(found)
    broken = fma.errata("small")
    balance = {"genres": len(set(found.values())), "files": len(found), "errata": len(broken)}
    return _titles(fma.read_titles(path, faults), exclude=broken) | balance


def _titles(tracks: Iterable[Titled], *, exclude: Iterable[str] = ()) -> dict[str, Any]:
    tracks = list(tracks)
    result = _texts((track.title for track in tracks), clean_title)
    result["artists"] = len({track.group for track in tracks})
    result["sample_titles"] = [track.title for track in tracks[:5]]
    distinct = list({track.id: track for track in tracks}.values())  # a list may repeat a track
    if len(distinct) > TEST:
        test, rest = fma.choose_test(distinct, TEST, seed=SEED, exclude=set(exclude))
        words = Counts.of(tokenize(clean_title(track.title)) for track in test)
        shared = {track.group for track in test} & {track.group for track in rest}
        result["test"] = {
            "titles": len(test),
            "distinct_words": len(words.words),
            "artists_on_both_sides": len(shared),
        }
    return result


def _texts(texts: Iterable[str], clean: Callable[[str], str]) -> dict[str, Any]:
    written, cleaned = Counts(), Counts()
    for text in texts:
        written.add(text.split())
        cleaned.add(tokenize(clean(text)))
    short = {"up_to_5": written.share_up_to(5), "up_to_15": written.share_up_to(15)}
    return {
        "rows": written.texts,
        "as_written": written.as_dict() | short,
        "cleaned": cleaned.as_dict(),
    }


# -- named entities ------------------------------------------------------------------------------


def names(read: Reader) -> Measure:
    """The funnel over titles, entities looked for before and after lowercasing."""
    return counting_faults(lambda faults, path, data: _funnels(read(path, faults), data))


def _funnels(tracks: Iterable[Titled], nltk_data: Path) -> dict[str, Any]:
    titles = [track.title for track in tracks]
    orders: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as private:
        # A copy that nobody else may write to: NLTK takes no other.
        data = Path(private) / nltk_data.name
        shutil.copytree(nltk_data, data, copy_function=shutil.copyfile)
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


# -- clips and timbre ----------------------------------------------------------------------------


@counting_faults
def fma_clips(faults: Faults, folder: Path) -> dict[str, Any]:
    """Rates, channels and lengths of FMA's clips, by decoding every one."""
    paths = sorted(path for path in folder.rglob("*.mp3") if not path.name.startswith("."))
    return fma.summary(fma.survey(paths, faults, shortest=29.0).values())


@counting_faults
def timbre_layout(faults: Faults, folder: Path, uci: Path, other: Path) -> dict[str, Any]:
    """The 90 numbers computed again from HDF5 files, beside UCI's; and rows in another layout."""
    computed = {
        track.id: million_song.timbre_of(segments)
        for track, segments in million_song.read_h5_folder(folder, faults, fewest=1)
    }
    table = pd.read_csv(uci, dtype={"track_id": str}).set_index("track_id")
    shared = sorted(computed.keys() & set(table.index))
    theirs = table.filter(regex=r"^(avg|cov)\d+$").loc[shared].to_numpy(np.float64)
    ours = np.stack([computed[id] for id in shared])
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
    }


@counting_faults
def uci_layout(faults: Faults, path: Path) -> dict[str, Any]:
    """Whether the rows of YearPredictionMSD.txt are what they should be."""
    years, timbre = million_song.load_uci(path, faults)
    return {"rows": len(years), "odd_rows": len(million_song.check_layout(timbre))}


# -- joins ---------------------------------------------------------------------------------------


@counting_faults
def joins(faults: Faults, rows: Path, listing: Path, timbre: Path, folder: Path) -> dict[str, Any]:
    """Three joins of rows in track order with a list by year, where the truth is known."""
    ids = [track.id for track in million_song.read_tracks(rows, faults)]
    listed = list(million_song.read_tracks(listing, faults))
    place = {track.id: entry for entry, track in enumerate(listed)}
    row_years, numbers = million_song.load_uci(timbre, faults)
    # The 12 means alone: the covariances of these rows are in no known layout.
    hdf5 = million_song.read_h5_folder(folder, faults)
    found = _anchors(numbers[:, :12], hdf5, place, decimals=4)
    list_years = np.array([track.year for track in listed], dtype=np.int32)
    truth = np.array([place[id] for id in ids], dtype=np.int32)
    return _joins(row_years.astype(np.int32), list_years, found, truth)


@counting_faults
def uci_joins(
    faults: Faults, rows: Path, listing: Path, archive: Path | None = None
) -> dict[str, Any]:
    """The joins of UCI's rows with `tracks_per_year.txt`; which row is whose is not known.

    Tracks of the 10,000-song subset, where its `archive` is here, anchor the rows they are in.
    """
    row_years, timbre = million_song.load_uci(rows, faults)
    listed = list(million_song.read_tracks(listing, faults))
    list_years = np.array([track.year or 0 for track in listed], dtype=np.int32)
    found = None
    if archive is not None:
        place = {track.id: entry for entry, track in enumerate(listed)}
        found = _anchors(timbre, million_song.read_h5_archive(archive, faults), place, decimals=5)
    return _joins(row_years.astype(np.int32), list_years, found)


def _anchors(
    timbre: np.ndarray,
    hdf5: Iterable[tuple[Titled, Any]],
    place: Mapping[str, int],
    *,
    decimals: int,
) -> million_song.Anchors:
    """The rows of the tracks in HDF5 files; `place` has each track's entry in the list."""
    known = {
        place[track.id]: million_song.timbre_of(segments)[: timbre.shape[1]]
        for track, segments in hdf5
        if track.id in place
    }
    numbers, entries = np.stack(list(known.values())), np.array(list(known))
    return million_song.find_anchors(timbre, numbers, entries, decimals=decimals)


def _joins(
    row_years: np.ndarray,
    list_years: np.ndarray,
    found: million_song.Anchors | None = None,
    truth: np.ndarray | None = None,
) -> dict[str, Any]:
    generator = np.random.default_rng(SEED)
    every = 1 + len(list_years) // DRAWN
    by_year = partial(million_song.within_year, row_years, list_years)
    pairings = {
        "as told": million_song.as_told(row_years, list_years),
        "shuffled": million_song.shuffled(row_years, list_years, generator=generator),
        "repaired": by_year(),
        **({} if found is None else {"repaired, anchored": by_year(found)}),
        "repaired, if each year is in the rows' order": by_year(found, same_order=True),
    }
    return {
        "rows": len(row_years),
        "anchors": 0 if found is None else len(found.rows),
        "joins": _judged(row_years, list_years, pairings, truth),
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
    rows, listed, truth = million_song.synthetic(
        years, entries=ENTRIES, gaps=GAPS, generator=generator
    )
    some = np.sort(generator.permutation(len(rows))[: round(ANCHORED * len(rows))])
    known = million_song.Anchors(some.astype(np.int32), truth[some])
    pairings = {
        "as told": million_song.as_told(rows, listed),
        "aligned": million_song.aligned(rows, listed),
        "aligned, 1 % anchored": million_song.aligned(rows, listed, known),
    }
    return _judged(rows, listed, pairings, truth)


def _judged(
    rows: np.ndarray,
    listed: np.ndarray,
    pairings: Mapping[str, million_song.Pairing],
    truth: np.ndarray | None,
) -> dict[str, dict[str, Any]]:
    """What is to say of each join, by name; where the truth is known, how often it is right."""
    judged = {}
    for name, found in pairings.items():
        judged[name] = million_song.summary(rows, listed, found)
        if truth is not None:
            right = found.partner == truth
            judged[name] |= {
                "right": int(right.sum()),
                "certain_and_right": int((right & found.certain).sum()),
                "certain_and_wrong": int((~right & found.certain).sum()),
            }
    return judged


# -- questions and answers -----------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Files that together answer a question, and how they are measured."""

    measure: Measure  # takes the files in this order
    files: tuple[str, ...]  # or folders, relative to the data home or the samples


@dataclass(frozen=True)
class Question:
    """Something to count, and the places where it can be, the fullest first."""

    corpus: str  # as readers know it
    asks: str
    places: tuple[Place, ...]


def _at(measure: Measure, *files: str) -> tuple[Place]:
    return (Place(measure, files),)


CAPTIONS = "conceptual_captions/"
TRAIN, VALIDATION = (CAPTIONS + TABLES[split] for split in ("train", "validation"))
STATUS = CAPTIONS + "validation_url_status_2019-01.tsv"
AUDIO = tuple(f"audiocaps/{split}.csv" for split in ("test", "val", "train"))
MSD_TRACKS, BY_YEAR = "million_song/unique_tracks.txt", "million_song/tracks_per_year.txt"
UCI, ARCHIVE = "million_song/YearPredictionMSD.txt", "million_song/millionsongsubset.tar.gz"
SONGLIST, SUBSET_BY_YEAR = "msd/songlist_20001.txt", "msd/subset_tracks_per_year.rebuilt.txt"
SUBSET, SUBSET_TIMBRE = "msd/subset_timbre90_4680.tracks.txt", "msd/subset_timbre90_4680.txt"
H5, H5_TIMBRE = "msd/h5", "msd/h5_timbre90_uci_layout.csv"
FMA_TRACKS, FMA_RAW = "fma/fma_metadata/tracks.csv", "fma/fma_metadata/raw_tracks.csv"
FMA_SMALL, GENRES = "fma/fma_small_titles.csv", "fma/fma_small_files_genre.csv"
MSD, FMA = "Million Song", "Free Music Archive"
LENGTHS = "How long are titles?"
NAMES = "How many titles does the named-entity rule take away?"

msd_titles, fma_titles = titles(million_song.read_tracks), titles(fma.read_tracks)
fma_raw_titles = titles(fma.read_raw_tracks)
msd_names, fma_names = names(million_song.read_tracks), names(fma.read_tracks)

QUESTIONS: dict[str, Question] = {
    "captions": Question(
        "Conceptual Captions, train", "How long are captions?", _at(captions, TRAIN)
    ),
    "captions_valid": Question(
        "Conceptual Captions, validation", "How long are captions?", _at(captions, VALIDATION)
    ),
    "links": Question(
        "Conceptual Captions, validation",
        "Which links gave a picture in January 2019?",
        _at(links, STATUS, VALIDATION),
    ),
    "pictures": Question(
        "Conceptual Captions",
        "Which links gave a picture to `fetch conceptual_captions --pictures`?",
        _at(pictures, f"{CAPTIONS}pictures/train")
        + _at(pictures, f"{CAPTIONS}pictures/validation"),
    ),
    "audio_captions": Question(
        "AudioCaps, train",
        "How long are captions of sounds?",
        _at(audio_captions, "audiocaps/train.csv"),
    ),
    "audio_references": Question(
        "AudioCaps, test",
        "How does BLEU-1 grow with the number of references?",
        _at(random_captions.audio_references, *AUDIO),
    ),
    "song_titles": Question(MSD, LENGTHS, _at(msd_titles, MSD_TRACKS) + _at(msd_titles, SONGLIST)),
    "dated_songs": Question(
        f"{MSD}, songs with a year", LENGTHS, _at(msd_titles, BY_YEAR) + _at(msd_titles, SUBSET)
    ),
    "fma_tracks": Question(
        f"{FMA}, tracks.csv",
        LENGTHS,
        _at(fma_titles, FMA_TRACKS) + _at(fma_titles, "fma/tracks_excerpt.csv"),
    ),
    "fma_raw": Question(
        f"{FMA}, raw_tracks.csv",
        LENGTHS,
        _at(fma_raw_titles, FMA_RAW) + _at(fma_raw_titles, "fma/raw_tracks_excerpt.csv"),
    ),
    "fma_small": Question(
        f"{FMA}, fma_small",
        "How long are titles, and are its genres even?",
        _at(fma_small, FMA_SMALL, GENRES),
    ),
    "clips": Question(
        f"{FMA}, fma_small",
        "How long are clips, and at which rate?",
        _at(fma_clips, "fma/fma_small"),
    ),
    "fma_names": Question(
        FMA,
        NAMES,
        _at(fma_names, FMA_TRACKS, "nltk_data")
        + _at(names(fma.read_titles), FMA_SMALL, "nltk_data"),
    ),
    "song_names": Question(
        MSD, NAMES, _at(msd_names, MSD_TRACKS, "nltk_data") + _at(msd_names, SUBSET, "nltk_data")
    ),
    "content_free": Question(
        "Conceptual Captions beside titles of songs",
        "What does a caption score against a title or caption that it was not made for?",
        _at(random_captions.of_corpora, VALIDATION, MSD_TRACKS, FMA_TRACKS)
        + _at(random_captions.of_samples, VALIDATION, SONGLIST, FMA_SMALL),
    ),
    "timbre": Question(
        f"{MSD}, timbre",
        "Do 90 numbers computed from HDF5 equal UCI's?",
        _at(timbre_layout, H5, H5_TIMBRE, SUBSET_TIMBRE),
    ),
    "uci": Question(
        f"{MSD}, UCI's rows", "Are UCI's rows what they should be?", _at(uci_layout, UCI)
    ),
    "joins": Question(
        f"{MSD}, timbre and titles",
        "Do titles and timbre belong together?",
        _at(uci_joins, UCI, BY_YEAR, ARCHIVE)
        + _at(uci_joins, UCI, BY_YEAR)
        + _at(joins, SUBSET, SUBSET_BY_YEAR, SUBSET_TIMBRE, H5),
    ),
}


def answers(*names: str, home: Path | None = None) -> dict[str, Record]:
    """The answers to some questions (all, without names) that can be had, in order.

    An answer found before is read from the data home: it has a key made of its files' hashes.
    Raises InputError for a name that is no question.
    """
    if unknown := [name for name in names if name not in QUESTIONS]:
        msg = f"count: expected some of {', '.join(QUESTIONS)}, got {unknown[0]!r}; pick from these"
        raise InputError(msg)
    found = {name: answer(name, home=home) for name in names or QUESTIONS}
    return {name: record for name, record in found.items() if record is not None}


def answer(name: str, *, home: Path | None = None) -> Record | None:
    """The answer to one question: counted now, read from an earlier run, or as published."""
    home = home or data_home()
    question = QUESTIONS[name]
    found = files_of(question, home)
    if found is None:  # what came with this clone, counted by its makers
        path = results().get(f"census/{name}.json")
        return Record(**json.loads(path.read_text("utf-8")), folder=path.parent) if path else None
    where, measure, paths = found

    def compute(folder: Path) -> dict[str, Any]:
        return measure(*paths)

    files = {path.name: _fingerprint(path, _state(path)) for path in paths}
    settings = {"corpus": question.corpus, "asks": question.asks, "found": where, "files": files}
    return run_stage(f"census_{name}", compute, settings=settings, home=home)


def files_of(question: Question, home: Path) -> tuple[str, Measure, list[Path]] | None:
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
