"""Sets of songs to be named, with what the captioner is given of each: sound, numbers, or both.

Of the paper's two, Million Song is heard by timbre and the Free Music Archive by spectrogram: songs
whose titles pass the funnel, by whole artists.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from songtitle.corpora import fma as archive
from songtitle.corpora import million_song as msd
from songtitle.corpora import recordings, rehearsal, tunes
from songtitle.corpora.captions import Titled
from songtitle.corpora.manifest import lists_hash
from songtitle.corpora.places import folder_of, head_and_size, names_and_sizes, needed
from songtitle.declared import Part
from songtitle.errors import InputError, expect
from songtitle.rows import Faults
from songtitle.schema import refuse
from songtitle.text import PAPER_TOLD, PLAIN, clean_title, funnel, tokenize

# As the paper tells it: no names, words of a dictionary alone. Ours: every title with a word.
RULES = {"paper": PAPER_TOLD, "ours": PLAIN}
WANTED = 1000  # songs of each of the paper's test sets
ROWS, LIST = "million_song/YearPredictionMSD.txt", "million_song/tracks_per_year.txt"
HDF5 = "million_song/MillionSongSubset"
CLIPS, TRACKS = "fma/fma_small", "fma/fma_metadata/tracks.csv"
NLTK = "nltk_data"
CHANCE = 0.001
NAMED = 5  # songs left out that a line of the log names
BOOKS = ("O'Neill's Music of Ireland", "Aird's, Ryan's and other airs")  # of the tunes

log = logging.getLogger(__name__)

Words = list[list[str]]


@dataclass(frozen=True)
class SongSet:
    """Songs to be named, in order, and what the captioner is given of each."""

    name: str
    ids: list[str]
    printed: list[str]  # titles as the source has them
    titles: Words  # words, clean
    series: list[str]  # the artist of each, or what else must not be on two sides of a split
    collections: list[str]  # the corpus of each
    every: Mapping[str, Words]  # by corpus, the titles of all songs that could have been drawn
    drawn_from: dict[str, Any] = field(default_factory=dict)  # counts on the way, for a record
    timbre: Float32[np.ndarray, "songs numbers"] | None = None  # Echo Nest's units
    clips: list[Path] | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How many songs an experiment names, whose titles pass which rules."""

    count: int = WANTED
    rules: str = "paper"
    seed: int


def title_words(song: Titled) -> list[str]:
    """Clean the title of a song and cut it into words."""
    return tokenize(clean_title(song.title))


# -- the paper's two ------------------------------------------------------------------------------


def million_song(home: Path, *, count: int = WANTED, rules: str = "paper", seed: int) -> SongSet:
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
    found, chosen = _drawn("Million Song", tracks, home, count, rules, seed, told)
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


def fma(home: Path, *, count: int = WANTED, rules: str = "paper", seed: int) -> SongSet:
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
    found, chosen = _drawn("FMA", tracks, home, count, rules, seed, told)
    return replace(found, clips=[archive.clip_path(folder, t.track_id) for t in chosen])


def _drawn(
    name: str,
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
    data = home / NLTK
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
    chosen, _ = archive.choose_test(left, min(count, len(left)), seed=seed)
    told = told | {"rules": rules, "funnel": passed.as_dict(), "wanted": count}
    told |= {"songs": len(chosen), "artists": len({track.group for track in chosen})}
    every = {name: [words[id] for id in sorted(words)]}
    return _of_tracks(name, chosen, [words[each.id] for each in chosen], every, told), chosen


def _of_tracks(
    name: str,
    chosen: Sequence[Titled],
    titles: Words,
    every: Mapping[str, Words],
    told: dict[str, Any] | None = None,
    collections: Sequence[str] | None = None,
) -> SongSet:
    return SongSet(
        name=name,
        ids=[song.id for song in chosen],
        printed=[song.title for song in chosen],
        titles=titles,
        series=[song.group for song in chosen],
        collections=list(collections or [name] * len(chosen)),
        every=every,
        drawn_from=told or {},
    )


# -- sets by kind ---------------------------------------------------------------------------------


def load(part: Part, home: Path, wanted: Wanted) -> SongSet | None:
    """Load the songs of a part, drawn by the seed; None where they are optional and not at hand.

    Raises InputError where files lack, or are not what they are taken for.
    """
    try:
        return LOADERS[part.kind](part, home, wanted)
    except InputError as error:
        if not part.optional:
            raise
        log.warning("%s: left out: %s", part.name, error)
        return None


def _tunes(part: Part, home: Path, wanted: Wanted) -> SongSet:
    """The book's own tunes, whose clips are rendered; both collections of them stay apart."""
    airs = tunes.load()
    chosen = tunes.choose(airs, wanted.count, seed=wanted.seed)
    every: dict[str, Words] = {name: [] for name in BOOKS}
    for tune in airs:
        every[_book(tune)].append(title_words(tune))
    titles = list(map(title_words, chosen))
    return _of_tracks("tunes", chosen, titles, every, collections=list(map(_book, chosen)))


def _book(tune: tunes.Tune) -> str:
    return BOOKS[tune.book != "oneills1850"]


def _recordings(part: Part, home: Path, wanted: Wanted) -> SongSet:
    """The recordings that are here and whose title has a word, of whole artists."""
    there = {song.id: (song, path) for song, path in recordings.load(home) if title_words(song)}
    then = "run `python -m songtitle fetch recordings`"
    expect(there, f"recordings: expected some in {home / recordings.NAME}, got none; {then}")
    songs = [song for song, _ in there.values()]
    chosen, _ = archive.choose_test(songs, min(wanted.count, len(songs)), seed=wanted.seed)
    every = {"Recordings": list(map(title_words, songs))}
    found = _of_tracks("Recordings", chosen, list(map(title_words, chosen)), every)
    return replace(found, clips=[there[song.id][1] for song in chosen])


def tracks_with_timbre(home: Path) -> msd.TimbreTable:
    """Read Million Song's tracks of a known year with their timbre, in the order of their ids.

    From the makers' own HDF5 files all 90 numbers; from a third party's table of the same subset
    the 54 that are there, 12 means and 42 of 78 covariances.
    """
    first, *listing = needed(home, "songs")
    if listing:
        return msd.read_timbre_archive(first, listing[0], Faults())
    pairs = [
        (track, msd.timbre_of(segments).astype(np.float32))
        for track, segments in msd.read_h5_folder(first, Faults())
        if track.year is not None and track.title.strip()
    ]
    tracks, numbers = [track for track, _ in pairs], np.stack([row for _, row in pairs])
    return msd.TimbreTable(tracks, numbers, msd.covariance_order())


def _million_song_subset(part: Part, home: Path, wanted: Wanted) -> SongSet:
    """Tracks of the subset, of whole artists; a title may be of whatever words."""
    table = tracks_with_timbre(home)
    chosen, _ = archive.choose_test(table.tracks, wanted.count, seed=wanted.seed)
    place = {track.id: row for row, track in enumerate(table.tracks)}
    every = {"Million Song": list(map(title_words, table.tracks))}
    found = _of_tracks("Million Song", chosen, list(map(title_words, chosen)), every)
    return replace(found, timbre=table.numbers[[place[track.id] for track in chosen]])


def _million_song(part: Part, home: Path, wanted: Wanted) -> SongSet:
    return million_song(_folder(part, home), **vars(wanted))


def _fma(part: Part, home: Path, wanted: Wanted) -> SongSet:
    return fma(_folder(part, home), **vars(wanted))


def _folder(part: Part, home: Path) -> Path:
    """The folder that holds the files of a part; that of a rehearsal is written on demand."""
    if part.folder == rehearsal.FOLDER:
        rehearsal.at(home)
    inside = (CLIPS,) if part.kind == "fma" else (ROWS, HDF5)
    return folder_of(home, part.folder, *inside)


LOADERS: dict[str, Callable[[Part, Path, Wanted], SongSet]] = {
    "tunes": _tunes,
    "recordings": _recordings,
    "million_song_subset": _million_song_subset,
    "million_song": _million_song,
    "fma": _fma,
}


def fingerprint(part: Part, home: Path) -> dict[str, str]:
    """Say what tells a set from others, for the key of a record; sound is not read."""
    if part.kind == "tunes":
        return {"tunes": lists_hash("tunes")}
    if part.kind == "recordings":
        here = [path for _, path in recordings.load(home)]
        return {"recordings": names_and_sizes(here)}
    if part.kind == "million_song_subset":
        found = [each for path in needed(home, "songs") for each in (path, *path.rglob("*"))]
        return {"songs": names_and_sizes(sorted(path for path in found if path.is_file()))}
    folder = _folder(part, home)
    tables = {"million_song": (ROWS, LIST), "fma": (TRACKS,)}[part.kind]
    sounds = {"million_song": (HDF5, "*/*/*/*.h5"), "fma": (CLIPS, "*/*.mp3")}[part.kind]
    there = [folder / name for name in (*tables, f"{NLTK}/corpora/words/en")]
    told = {path.name: head_and_size(path) for path in there if path.is_file()}
    return told | {part.kind: names_and_sizes(sorted((folder / sounds[0]).glob(sounds[1])))}
