"""The paper's own corpora, counted wherever they are, whole or as a sample.

`answers` gives the record of each question that can be answered; `QUESTIONS` has them all, and
where their files are looked for, as `data_manifest/census.toml` lists them.
"""

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from songtitle.cache import Record, read_json, results, run_stage
from songtitle.corpora import fma, link_rot, million_song
from songtitle.corpora.captions import (
    Titled,
    read_audiocaps,
    read_conceptual_captions,
    read_link_status,
)
from songtitle.corpora.manifest import data_home, manifest_folder, roots, sha256
from songtitle.errors import InputError
from songtitle.experiment import random_captions
from songtitle.paper.printed import paper_table
from songtitle.rows import Counts, Faults
from songtitle.schema import refuse
from songtitle.text import PAPER_TOLD, clean_caption, clean_title, funnel, named_entities, tokenize

SEED = 0
TEST = 1000  # titles in the paper's test sets
ENTRIES, GAPS = 515_576, 231  # the paper's pairs, and how many more they are than UCI's rows
ANCHORED = 0.01  # of the rows of the made-up catalogue
DRAWN = 1_200  # rows of a list that a figure shows
WHOLE, SAMPLE = "data home", "real sample"


@dataclass(frozen=True)
class Place:
    """Files that together answer a question, and how they are measured."""

    counts: str  # one of COUNTS, which takes the files in this order
    files: tuple[str, ...]  # or folders, relative to the data home or the samples
    of: str = ""  # one of READERS, where it is titles that are counted


@dataclass(frozen=True)
class Question:
    """Something to count, and the places where it can be, the fullest first."""

    corpus: str  # as readers know it
    asks: str
    places: tuple[Place, ...]


_TABLE = tomllib.loads((manifest_folder() / "census.toml").read_text("utf-8"))
QUESTIONS = TypeAdapter(dict[str, Question]).validate_python(_TABLE)


def answers(*names: str, home: Path | None = None) -> dict[str, Record]:
    """The answers to some questions (all, without names) that can be had, in order.

    An answer found before is read from the data home: it has a key made of its files' hashes.
    Raises InputError for a name that is no question.
    """
    for name in names:
        if name not in QUESTIONS:
            refuse("count", f"some of {', '.join(QUESTIONS)}", repr(name), "pick from these")
    found = {name: answer(name, home=home) for name in names or QUESTIONS}
    return {name: record for name, record in found.items() if record}


def answer(name: str, *, home: Path | None = None) -> Record | None:
    """The answer to one question: counted now, read from an earlier run, or as published."""
    home = home or data_home()
    found = files_of(name, home)
    if found is None:  # what came with this clone, counted by its makers
        path = results().get(f"census/{name}.json")
        return Record(**read_json(path), folder=path.parent) if path else None
    where, place, paths = found

    def compute(_: Path) -> dict[str, Any]:
        return _counted(place, paths)

    files = {path.name: _fingerprint(path, _state(path)) for path in paths}
    asked = {"corpus": QUESTIONS[name].corpus, "asks": QUESTIONS[name].asks}
    settings = asked | {"found": where, "files": files}
    return run_stage(f"census_{name}", compute, settings=settings, home=home)


def present(home: Path) -> str:
    """A hash of which files the census would read: pages depend on it."""
    found = {name: files_of(name, home) for name in QUESTIONS}
    listing = {name: [it[0], [_state(path) for path in it[2]]] for name, it in found.items() if it}
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def files_of(name: str, home: Path) -> tuple[str, Place, list[Path]] | None:
    """Where the files of a question lie, the data home first, and what they are; or None."""
    for where, root in zip((WHOLE, SAMPLE), roots(home), strict=False):
        for place in QUESTIONS[name].places:
            paths = [root / file for file in place.files]
            if all(path.exists() for path in paths):
                return where, place, paths
    return None


def _state(path: Path) -> tuple[int, int, int]:
    """Files, bytes and the latest change of a file or folder: cheap to ask, and telling."""
    files = path.rglob("*") if path.is_dir() else [path]
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


# -- captions, links and titles: each adds to `faults` what is wrong in its files -----------------


def captions(faults: Faults, path: Path) -> dict[str, Any]:
    """Lengths and words of Conceptual Captions."""
    return _texts((row[1] for row in read_conceptual_captions(path, faults)), clean_caption)


def audio_captions(faults: Faults, path: Path) -> dict[str, Any]:
    """Lengths and words of AudioCaps."""
    return _texts((row.caption for row in read_audiocaps(path, faults)), clean_caption)


def links(faults: Faults, status: Path, tsv: Path) -> dict[str, Any]:
    """Which links of the validation captions gave a picture in January 2019."""
    known = {url: caption for _, caption, url in read_conceptual_captions(tsv, faults)}
    rows = read_link_status(status, faults)
    return _links(link_rot.report_from_status(rows, known, year=2019))


def _links(report: link_rot.Report, hosts: int = 12) -> dict[str, Any]:
    found = report.as_dict()
    asked = sorted(found.pop("hosts").items(), key=lambda item: (-item[1]["asked"], item[0]))
    shares = {name: link_rot.share(n["survived"], n["asked"]) for name, n in asked[:hosts]}
    told = {name: vars(share) for name, share in shares.items()}
    return found | {"hosts": told, "distinct_hosts": len(asked)}


def titles(_: Faults, tracks: Iterable[Titled], exclude: Iterable[str] = ()) -> dict[str, Any]:
    """Lengths and words of the titles of one list, and of a test set of them."""
    tracks = list(tracks)
    result = _texts((track.title for track in tracks), clean_title)
    result["artists"] = len({track.group for track in tracks})
    result["sample_titles"] = [track.title for track in tracks[:5]]
    distinct = list({track.id: track for track in tracks}.values())  # a list may repeat a track
    if len(distinct) > TEST:
        test, rest = fma.choose_test(distinct, TEST, seed=SEED, exclude=set(exclude))
        words = Counts.of(tokenize(clean_title(track.title)) for track in test)
        shared = {track.group for track in test} & {track.group for track in rest}
        found = {"titles": len(test), "distinct_words": len(words.words)}
        result["test"] = found | {"artists_on_both_sides": len(shared)}
    return result


def fma_small(faults: Faults, path: Path, genres: Path) -> dict[str, Any]:
    """Lengths and words of fma_small's titles, of a test set without broken clips; its genres."""
    found = fma.read_file_genres(genres, faults)
    fma.check_balance(found)
    broken = fma.errata("small")
    balance = {"genres": len(set(found.values())), "files": len(found), "errata": len(broken)}
    return titles(faults, fma.read_titles(path, faults), broken) | balance


def _texts(texts: Iterable[str], clean: Callable[[str], str]) -> dict[str, Any]:
    written, cleaned = Counts(), Counts()
    for text in texts:
        written.add(text.split())
        cleaned.add(tokenize(clean(text)))
    short = {f"up_to_{length}": written.share_up_to(length) for length in (5, 15)}
    told = {"as_written": written.as_dict() | short, "cleaned": cleaned.as_dict()}
    return {"rows": written.texts} | told


def names(_: Faults, tracks: Iterable[Titled], nltk_data: Path) -> dict[str, Any]:
    """The funnel over titles, entities looked for before and after lowercasing."""
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


def fma_clips(faults: Faults, folder: Path) -> dict[str, Any]:
    """Rates, channels and lengths of FMA's clips, by decoding every one."""
    paths = sorted(path for path in folder.rglob("*.mp3") if not path.name.startswith("."))
    return fma.summary(fma.survey(paths, faults, shortest=29.0).values())


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


def uci_layout(faults: Faults, path: Path) -> dict[str, Any]:
    """Whether the rows of YearPredictionMSD.txt are what they should be."""
    years, timbre = million_song.load_uci(path, faults)
    return {"rows": len(years), "odd_rows": len(million_song.check_layout(timbre))}


# -- joins ---------------------------------------------------------------------------------------


def joins(
    faults: Faults,
    timbre: Path,
    listing: Path,
    hdf5: Path | None = None,
    rows: Path | None = None,
) -> dict[str, Any]:
    """Joins of rows of timbre in track order with a list of titles by year.

    Tracks in HDF5 files, a folder or an archive, anchor the rows they are in. Which row is whose is
    known where there is a table of `rows`.
    """
    listed = list(million_song.read_tracks(listing, faults))
    place = {track.id: entry for entry, track in enumerate(listed)}
    row_years, numbers = million_song.load_uci(timbre, faults)
    row_years = row_years.astype(np.int32)
    list_years = np.array([track.year or 0 for track in listed], dtype=np.int32)
    by_year = partial(million_song.within_year, row_years, list_years)
    pairings = {
        "as told": million_song.as_told(row_years, list_years),
        "shuffled": million_song.shuffled(
            row_years, list_years, generator=np.random.default_rng(SEED)
        ),
        "repaired": by_year(),
    }
    found = truth = None
    if hdf5:
        read = million_song.read_h5_folder if hdf5.is_dir() else million_song.read_h5_archive
        # Of rows whose tracks are known the 12 means alone: their covariances are in no known
        # layout.
        numbers, decimals = (numbers[:, :12], 4) if rows else (numbers, 5)
        known = {
            place[track.id]: million_song.timbre_of(segments)[: numbers.shape[1]]
            for track, segments in read(hdf5, faults)
            if track.id in place
        }
        anchors, entries = np.stack(list(known.values())), np.array(list(known))
        found = million_song.find_anchors(numbers, anchors, entries, decimals=decimals)
        pairings["repaired, anchored"] = by_year(found)
    if rows:
        tracks = million_song.read_tracks(rows, faults)
        truth = np.array([place[track.id] for track in tracks], dtype=np.int32)
    pairings["repaired, if each year is in the rows' order"] = by_year(found, same_order=True)
    every = 1 + len(list_years) // DRAWN
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
    judged = {name: million_song.summary(rows, listed, found) for name, found in pairings.items()}
    for name, found in pairings.items() if truth is not None else ():
        right, certain = found.partner == truth, found.certain
        told = {"right": right, "certain_and_right": right & certain}
        told |= {"certain_and_wrong": ~right & certain}
        judged[name] |= {kind: int(which.sum()) for kind, which in told.items()}
    return judged


# -- how what is named in the table is counted ---------------------------------------------------

READERS: dict[str, Callable[[Path, Faults], Iterable[Titled]]] = {
    "million_song": million_song.read_tracks,
    "fma": fma.read_tracks,
    "fma_raw": fma.read_raw_tracks,
    "fma_small": fma.read_titles,
}
COUNTS: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each
    for each in (
        *(captions, audio_captions, links, titles, fma_small, names),
        *(fma_clips, timbre_layout, uci_layout, joins),
    )
}
# These take files alone, and say themselves what is wrong in them.
OTHERS: dict[str, Callable[..., dict[str, Any]]] = {
    "pictures": lambda folder: _links(link_rot.report(folder)),
    "audio_references": random_captions.audio_references,
    "of_corpora": random_captions.of_corpora,
    "of_samples": random_captions.of_samples,
}


def _counted(place: Place, paths: list[Path]) -> dict[str, Any]:
    """The findings at a place, with the faults of its rows."""
    if place.counts in OTHERS:
        return OTHERS[place.counts](*paths)
    faults = Faults()
    given: list[Any] = [*paths]
    if place.of:
        given[0] = READERS[place.of](paths[0], faults)
    return COUNTS[place.counts](faults, *given) | {"faults": faults.as_dict()}
