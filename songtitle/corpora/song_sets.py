"""The paper's two song sets: Million Song by timbre, the Free Music Archive by spectrogram.

Each is drawn from what a data home holds: songs whose titles pass the funnel, by whole artists.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from songtitle.corpora import fma as archive
from songtitle.corpora import million_song as msd
from songtitle.errors import InputError
from songtitle.rows import Faults
from songtitle.schema import refuse
from songtitle.text import PAPER_TOLD, PLAIN, funnel, tokenize

Rules = Literal["paper", "ours"]
# As the paper tells it: no names, words of a dictionary alone. Ours: every title with a word.
RULES = {"paper": PAPER_TOLD, "ours": PLAIN}
WANTED = 1000  # songs of each of the paper's test sets
ROWS, LIST = "million_song/YearPredictionMSD.txt", "million_song/tracks_per_year.txt"
HDF5 = "million_song/MillionSongSubset"
CLIPS, TRACKS = "fma/fma_small", "fma/fma_metadata/tracks.csv"
CHANCE = 0.001
NAMED = 5  # songs left out that a line of the log names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SongSet:
    """Songs to be named, in the order of their ids, and what the captioner is given of each."""

    name: str
    reading: Literal["timbre", "spectrogram"]
    ids: list[str]
    titles: list[list[str]]  # words, clean
    series: list[str]  # the artist of each
    others: list[list[str]]  # titles by artists that none of the songs is by
    drawn_from: dict[str, Any]  # counts on the way, for a record
    timbre: Float32[np.ndarray, "songs 90"] | None = None  # Echo Nest's units
    clips: list[Path] | None = None


def million_song(home: Path, *, count: int = WANTED, rules: Rules = "paper", seed: int) -> SongSet:
    """Draw songs with UCI's timbre whose title is certain; without UCI's rows those of HDF5 files.

    Rows have no titles: the repaired join lays them into the list of tracks by year. A row is
    certain when the numbers of an HDF5 file are its own, or when its year leaves it one entry. More
    are where the entries of a year stand in the rows' order. That is not known of the makers' list:
    it is taken where all HDF5 files fit into that order and would do so by chance in less than one
    of 1,000.

    `drawn_from` has `rows`, `anchors`, `order` ("rows" or "unknown"), `certain`, and what `_drawn`
    adds. Where fewer than `count` titles are left, these are the set, and the log says so. Raises
    InputError without the files, for a list shorter than the rows or of other tracks, for rows in
    another layout, and where no row is certain or no title is left.
    """
    rows, listing, folder = (home / name for name in (ROWS, LIST, HDF5))
    faults = Faults()
    files = list(msd.read_h5_folder(folder, faults)) if folder.is_dir() else []
    if rows.is_file() and listing.is_file():
        tracks, timbre, told = _joined(rows, listing, files, faults)
    elif files:
        known = [(track, segments) for track, segments in files if track.year is not None]
        tracks = [track for track, _ in known]
        timbre = np.array([msd.timbre_of(segments) for _, segments in known], np.float32)
        told = {"rows": 0, "anchors": 0, "order": "none needed", "certain": len(known)}
    else:
        then = "run `python -m songtitle fetch million_song_years million_song_lists`"
        refuse("Million Song", f"{ROWS} with {LIST}, or {HDF5}, in {home}", "neither", then)
    place = {track.id: row for row, track in enumerate(tracks)}
    told |= {"faults": faults.as_dict()["counts"]}
    found, chosen = _drawn("Million Song", "timbre", tracks, home, count, rules, seed, told)
    return replace(found, timbre=timbre[[place[track.id] for track in chosen]])


def _joined(
    rows: Path, listing: Path, files: Sequence[tuple[msd.Track, Any]], faults: Faults
) -> tuple[list[msd.Track], Float32[np.ndarray, "certain 90"], dict[str, Any]]:
    """The tracks of the certain rows, and their timbre."""
    years, timbre = msd.load_uci(rows, faults)
    msd.check_layout(timbre)
    listed = list(msd.read_tracks(listing, faults))
    list_years = np.array([track.year or 0 for track in listed], np.int32)
    row_years = years.astype(np.int32)
    place = {track.id: entry for entry, track in enumerate(listed)}
    known = {place[t.id]: msd.timbre_of(segments) for t, segments in files if t.id in place}
    anchors = None
    if known:
        anchors = msd.find_anchors(timbre, np.stack(list(known.values())), np.array(list(known)))
    pairing, order = msd.within_year(row_years, list_years, anchors), "unknown"
    if anchors is not None and _by_chance(row_years[anchors.rows]) < CHANCE:
        try:
            pairing = msd.within_year(row_years, list_years, anchors, same_order=True)
            order = "rows"
        except InputError as error:
            log.warning("%s: the order of the rows is not taken: %s", listing, error)
    certain = np.flatnonzero(pairing.certain)
    found = 0 if anchors is None else len(anchors.rows)
    if not len(certain):
        then = "run `python -m songtitle fetch million_song_subset`, whose files tell rows"
        refuse(str(rows), "rows whose track is certain", f"none of {len(years):,}", then)
    told = {"rows": len(years), "anchors": found, "order": order, "certain": len(certain)}
    return [listed[entry] for entry in pairing.partner[certain]], timbre[certain], told


def _by_chance(years: np.ndarray) -> float:
    """The share of random orders in which tracks of these years stand in one given within each."""
    return math.exp(-sum(math.lgamma(1 + times) for times in Counter(years.tolist()).values()))


def fma(home: Path, *, count: int = WANTED, rules: Rules = "paper", seed: int) -> SongSet:
    """Draw songs of fma_small whose clip is here; `clips` are their paths.

    Left out, counted in `drawn_from["left out"]` and named in the log: tracks that are listed and
    have no clip, and clips that the makers list as broken. Whether a clip can be decoded is not
    looked at. Fewer than `count` titles are as for `million_song`. Raises InputError without the
    files, and where no clip or no title is left.
    """
    folder, table = home / CLIPS, home / TRACKS
    if not folder.is_dir() or not table.is_file():
        then = "run `python -m songtitle fetch fma_small fma_metadata`"
        refuse("FMA", f"{CLIPS} with {TRACKS} in {home}", "not both", then)
    faults, broken = Faults(), archive.errata("small")
    listed = sorted(
        (track for track in archive.read_tracks(table, faults) if track.subset == "small"),
        key=lambda track: track.id,
    )
    out: dict[str, list[str]] = {"no clip": [], "in the makers' errata": []}
    tracks = []
    for track in listed:
        if track.id in broken:
            out["in the makers' errata"].append(track.id)
        elif not archive.clip_path(folder, track.track_id).is_file():
            out["no clip"].append(track.id)
        else:
            tracks.append(track)
    for kind, ids in out.items():
        if ids:
            some = ", ".join(ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
            log.warning("FMA: left out, %s: %s tracks: %s", kind, f"{len(ids):,}", some)
    if not tracks:
        got = f"none of {len(listed):,} tracks"
        refuse(str(folder), "clips of the tracks in tracks.csv", got, "fetch fma_small again")
    told: dict[str, Any] = {"tracks": len(listed), "faults": faults.as_dict()["counts"]}
    told["left out"] = {kind: len(ids) for kind, ids in out.items()}
    found, chosen = _drawn("FMA", "spectrogram", tracks, home, count, rules, seed, told)
    return replace(found, clips=[archive.clip_path(folder, t.track_id) for t in chosen])


def _drawn(
    name: str,
    reading: Literal["timbre", "spectrogram"],
    tracks: Sequence[Any],
    home: Path,
    count: int,
    rules: str,
    seed: int,
    told: dict[str, Any],
) -> tuple[SongSet, list[Any]]:
    """A set without its features, of whole artists drawn from those whose title passes; its tracks.
    `drawn_from` is `told`, `wanted`, `songs`, `artists`, `rules` and the `funnel`'s steps."""
    if rules not in RULES:
        refuse("rules", f"one of {', '.join(RULES)}", repr(rules), "choose one")
    data = home / "nltk_data"
    passed = funnel(
        [track.title for track in tracks], RULES[rules], data=data if data.is_dir() else None
    )
    for step in passed.steps:
        if step.note:
            log.warning("%s: %s: %s", name, step.name, step.note)
    words = {
        tracks[source].id: tokenize(title)
        for source, title in zip(passed.sources, passed.titles, strict=True)
    }
    left = [track for track in tracks if track.id in words]
    if not left:
        then = "take other rules, or fetch the rest of the corpus"
        refuse(
            f"{name}, titles", f"some that pass the rules ({rules})", f"0 of {len(tracks):,}", then
        )
    if len(left) < count:
        log.warning("%s: %s titles are left of %s wanted", name, f"{len(left):,}", f"{count:,}")
    chosen, rest = archive.choose_test(left, min(count, len(left)), seed=seed)
    told = told | {"rules": rules, "funnel": passed.as_dict(), "wanted": count}
    told |= {"songs": len(chosen), "artists": len({track.group for track in chosen})}
    found = SongSet(
        name=name,
        reading=reading,
        ids=[track.id for track in chosen],
        titles=[words[track.id] for track in chosen],
        series=[track.group for track in chosen],
        others=[words[track.id] for track in rest],
        drawn_from=told,
    )
    return found, chosen
