"""Songs of a rehearsal: Million Song's lists, rows and HDF5 files, FMA's tables and clips.

Both are made up; their right counts are known from how they were made. A title begins with a
colour, which its sound tells: timbre is shifted and pitch chosen by it.
"""

import csv
import gzip
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import lameenc
import numpy as np

from songtitle.corpora import fma as archive
from songtitle.corpora.million_song import FEWEST_SEGMENTS, timbre_of

COLOURS = {
    "red": (200, 40, 40),
    "blue": (40, 60, 200),
    "green": (40, 150, 60),
    "yellow": (230, 200, 40),
    "orange": (240, 130, 30),
    "purple": (130, 50, 150),
    "brown": (120, 80, 40),
    "black": (20, 20, 20),
}
NOUNS = ("river", "morning", "train", "moon", "street", "garden", "rain", "fire", "road", "bird")
TAILS = ("", "song", "dance again", "without you")
UNKNOWN = "zanfoo"  # a word in no dictionary
ASIDE = "(Live)"
GENRES = ("Electronic", "Folk", "Hip-Hop", "Rock")
SECONDS, RATE = 30.0, 44_100  # of FMA's clips
WORDS = sorted({*COLOURS, *NOUNS, *" ".join(TAILS).split(), "live"})  # of all titles but UNKNOWN
ANCHORED = 2  # every second song has an HDF5 file
DROPPED = 3  # songs with too few segments for UCI's rows


# -- Million Song ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Song:
    id: str
    title: str
    artist: str
    year: int  # 0: not known
    colour: int  # place in COLOURS
    segments: np.ndarray

    @property
    def short(self) -> bool:
        return len(self.segments) < FEWEST_SEGMENTS


def _title(number: int, colour: int, draw: np.random.Generator) -> str:
    """Of eight titles one has a word of no dictionary, one an aside; of sixteen one has no word."""
    tail = {5: UNKNOWN, 6: ASIDE}.get(number % 8, str(draw.choice(TAILS)))
    title = f"{list(COLOURS)[colour]} {draw.choice(NOUNS)} {tail}".strip()
    return "???" if number % 16 == 15 else title.title()


def _titles_right(titles: Sequence[str]) -> dict[str, int]:
    words = [title for title in titles if title != "???"]
    known = [title for title in words if UNKNOWN not in title.lower()]
    return {"titles with a word": len(words), "of words in the dictionary": len(known)}


def _songs(count: int, draw: np.random.Generator) -> list[_Song]:
    """`count` that UCI has, in the order of artists; then those without enough segments, each by
    the artist and of the year of a song that no HDF5 file tells; then two without a year."""
    mix = draw.normal(size=(12, 12))
    shift = 2 * draw.normal(size=(len(COLOURS), 12))
    found: list[_Song] = []
    for number in range(count + DROPPED + 2):
        colour = int(draw.integers(len(COLOURS)))
        year = 1960 + number // ANCHORED % max(2, min(count // 12, 50))
        artist = f"Artist {number // 4:05d}"
        if count <= number < count + DROPPED:
            twin = found[1 + ANCHORED * (number - count)]
            artist, year = twin.artist, twin.year
        length = 9 if count <= number < count + DROPPED else int(draw.integers(40, 80))
        segments = draw.normal(size=(length, 12)) @ mix + shift[colour]
        letters = "".join(draw.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 5))
        year = year if number < count + DROPPED else 0
        title = _title(number, colour, draw)
        found.append(_Song(f"TR{letters}{number:011d}", title, artist, year, colour, segments))
    return found


def million_song(home: Path, count: int, draw: np.random.Generator) -> dict[str, int]:
    """Lists, UCI's rows and HDF5 files of every second song.

    Rows stand in the order of artists, and so does what the list has of one year. Whether the
    makers' files do is not known: HDF5 files tell it.
    """
    songs = _songs(count, draw)
    place = {song.id: number for number, song in enumerate(songs)}
    rows = sorted(songs[:count], key=lambda song: (song.artist, song.id))
    with_file = {song.id for song in songs if place[song.id] % ANCHORED == 0 or not song.year}
    with_file -= {song.id for song in songs[count + 1 : count + DROPPED]}  # but of the first
    with_file.add(songs[count].id)
    numbers = (",".join([str(song.year), *_five(timbre_of(song.segments))]) for song in rows)
    write_text(home / "YearPredictionMSD.txt", numbers)
    dated = [song for song in songs if song.year]
    listed = sorted(dated, key=lambda song: (song.year, song.artist, song.id))
    write_text(
        home / "tracks_per_year.txt", (_fields(s.year, s.id, s.artist, s.title) for s in listed)
    )
    unique = [_fields(s.id, f"SO{n:016d}", s.artist, s.title) for n, s in enumerate(songs)]
    write_text(home / "unique_tracks.txt", [*unique, "TRAAAAA00000000001<SEP>three<SEP>fields"])
    files = {
        "/".join(("MillionSongSubset", *song.id[2:5], f"{song.id}.h5")): _hdf5(song)
        for song in sorted(songs, key=lambda song: song.id)
        if song.id in with_file
    }
    torn = next(iter(files.values()))
    files["MillionSongSubset/Z/Z/Z/TRZZZZZ00000000001.h5"] = torn[: len(torn) // 2]
    for name, content in files.items():
        write_bytes(home / name, content)
    write_tar(home / "millionsongsubset.tar.gz", files.items())
    anchored = {song.id for song in rows} & with_file
    certain = [song for song in listed if song.id in anchored]
    alone = 0
    for _, year in groupby(listed, key=lambda song: song.year):
        its = list(year)
        open_ones = [song for song in its if song.id not in anchored]
        alone += len(open_ones) == 1 and not open_ones[0].short
        # Between two anchors a song that is missing leaves in doubt all that stand there.
        for known, some in groupby(its, key=lambda song: song.id in anchored):
            between = list(some)
            if not known and not any(song.short for song in between):
                certain += between
    titles = _titles_right([song.title for song in certain])
    return {
        "tracks of the long list": len(songs),
        "tracks with a year": len(dated),
        "rows of UCI": len(rows),
        "HDF5 files that can be read": len(with_file) - 1,
        "HDF5 files that cannot": 2,  # one torn, one of too few segments
        "rows that an HDF5 file anchors": len(anchored),
        "certain rows by year and anchors": len(anchored) + alone,
        "certain rows by their order, too": len(certain),
        **{f"{name}, of these": number for name, number in titles.items()},
    }


def _five(numbers: np.ndarray) -> list[str]:
    return [f"{number:.5f}" for number in numbers]


def _fields(*values: object) -> str:
    return "<SEP>".join(map(str, values))


def _hdf5(song: _Song) -> bytes:
    """A file with the tables that tell title, artist, year and timbre, as the makers have them."""
    about = np.zeros(1, [("artist_name", "S1024"), ("title", "S1024"), ("song_id", "S32")])
    about[0] = (song.artist.encode(), song.title.encode(), b"SO")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["metadata/songs"] = about
        file["musicbrainz/songs"] = np.array([(song.year,)], [("year", "<i4")])
        file["analysis/songs"] = np.array([(song.id.encode(),)], [("track_id", "S32")])
        file["analysis/segments_timbre"] = song.segments
    return content.getvalue()


# -- Free Music Archive ---------------------------------------------------------------------------

HEADS = {  # of tracks.csv, two names a column
    "album title": "album_title",  # and of raw_tracks.csv
    "artist name": "artist_name",
    "set split": "",
    "set subset": "",
    "track duration": "track_duration",
    "track genre_top": "",
    "track title": "track_title",
}


def fma(home: Path, count: int, draw: np.random.Generator) -> dict[str, int]:
    """Both tables, and `count` whole clips of fma_small; besides a short one, one that is listed
    and not there, one of makers' errata that is short and one that cannot be decoded."""
    broken = sorted(map(int, archive.errata("small")))
    step = max(1, 90_000 // count)  # below the first of the errata
    ids = [2 + step * number for number in range(count)]
    short, gone, (stub, *_, damaged) = ids[-1] + 1, ids[-1] + 2, broken
    rows: list[tuple[int, str, str, str]] = []
    good: list[str] = []
    for number, track in enumerate([*ids, short, gone, stub, damaged]):
        colour = int(draw.integers(len(COLOURS)))
        title = _title(number, colour, draw)
        rows.append((track, f"Artist {number // 3:05d}", "small", title))
        path = archive.clip_path(home / "fma_small", track)
        if track == damaged:
            write_bytes(path, b"no sound" * 500)
        elif track != gone:
            seconds = {short: SECONDS / 2, stub: 1.6}.get(track, SECONDS)
            write_bytes(path, _mp3(_sound(colour, seconds, draw)))
        if track not in (gone, stub, damaged):
            good.append(title)
    rows += [(max(broken) + 1, "Artist of more", "medium", "Red River")]
    rows += [(max(broken) + 2, "Artist of more", "large", "None")]  # pandas reads no title
    table: list[list[Any]] = [
        [
            track,
            "Album",
            artist,
            "training",
            subset,
            int(SECONDS),
            GENRES[track % len(GENRES)],
            title,
        ]
        for track, artist, subset, title in rows
    ]
    bad: list[list[Any]] = [
        [max(broken) + 3, *table[0][1:-1], ""],
        table[0],
    ]  # no title; an id that came before
    outer, inner = zip(*(name.split() for name in HEADS), strict=True)
    heads = [["", *outer], ["", *inner], ["track_id", *[""] * len(HEADS)]]
    _csv(home / "fma_metadata" / "tracks.csv", [*heads, *table, *bad])
    kept = [0, *(place for place, name in enumerate(HEADS.values(), 1) if name)]
    raw: list[list[Any]] = [["track_id", *HEADS.values()], *table, *bad]
    raw_rows = [[row[place] for place in kept] for row in raw]
    _csv(home / "fma_metadata" / "raw_tracks.csv", raw_rows)
    return {
        "tracks": len(rows),
        "rows that cannot be read": len(bad),
        "tracks of fma_small": len(rows) - 2,
        "clips that are not there": 1,
        "clips that can be decoded": count + 2,
        "clips that are short": 2,
        "clips among the makers' errata": 2,
        "clips to choose from": count + 1,
        **{f"{name}, of these": number for name, number in _titles_right(good).items()},
    }


def _sound(colour: int, seconds: float, draw: np.random.Generator) -> np.ndarray:
    """Mono, in [-1, 1]: half-second notes of a chord on the colour's pitch, and a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    steps = draw.choice([0, 4, 7], int(2 * SECONDS) + 1)[(2 * time).astype(int)]
    pitch = 110 * 2 ** (colour / 2 + steps / 12)
    notes = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.exp(-6 * (time % 0.5))
    return 0.5 * notes + 0.01 * draw.standard_normal(len(time))


def _mp3(sound: np.ndarray) -> bytes:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_bit_rate(64)
    encoder.set_quality(7)
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    return bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())


# -- files ----------------------------------------------------------------------------------------


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines in UTF-8, each ended by a line feed on every platform."""
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar, by its name gzipped, that says no time: equal files give equal bytes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    packed = path.suffix == ".gz"
    write_bytes(path, gzip.compress(content.getvalue(), mtime=0) if packed else content.getvalue())
