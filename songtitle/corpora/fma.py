"""The Free Music Archive (FMA): tracks with title, artist and genre, and its known broken clips.

Defferrard et al. 2017, "FMA: A Dataset For Music Analysis", arXiv:1612.01840.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from songtitle.corpora import manifest
from songtitle.errors import InputError
from songtitle.rows import Faults, on_one_line, read_csv, read_table, records

SUBSETS = ("small", "medium", "large")  # each holds the ones before it

# What pandas takes for a missing value: read by it, a song called None has no title. It finds
# 106,573 titles in the 106,574 rows of tracks.csv, and 106,573 is what the paper counts.
NULL_WORDS = re.compile(r"#?N/?A|#N/A N/A|n/a|<NA>|-?NaN|-?nan|-?1\.#IND|-?1\.#QNAN|NULL|null|None")

# Flat tables of titles in circulation: what a field is called in each.
_LAYOUTS = (
    # `id` is a running number there; only the file's name tells the track.
    {"track_id": "sound_file", "title": "title", "artist": "artist", "genre": "genre"},
    {
        "track_id": "ID",
        "title": "Song Title",
        "artist": "Artist Name",
        "genre": "Genre",
        "split": "Set",
    },
)


@dataclass(frozen=True, slots=True)
class Track:
    """One track as a table describes it; fields the table lacks are None."""

    track_id: int  # FMA's own
    title: str  # uncleaned
    artist: str  # "" where unknown
    genre: str | None = None  # root genre in tracks.csv, the table's own choice elsewhere
    split: str | None = None  # FMA's: training, validation, test
    subset: str | None = None  # the smallest one that holds it

    @property
    def id(self) -> str:
        """The six digits that name its clip."""
        return f"{self.track_id:06d}"

    @property
    def group(self) -> str:
        """Its artist; a track without one is alone."""
        return self.artist or f"track {self.id}"


def read_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of `tracks.csv`: two header rows name a column together, a third the id.

    Genre is the root genre, where there is one. Rows are read one by one; those with the wrong
    number of fields, without a track id, with an id seen before, or without a title are counted
    and skipped. A title that pandas would read as missing ("None") is counted and kept, and so is
    a row without an artist. Raises InputError when the header is not of that form.
    """
    rows = read_csv(path, faults)
    outer, inner, third = (next(rows, (0, [""]))[1] for _ in range(3))
    if third[0] != "track_id" or any(third[1:]) or not len(outer) == len(inner) == len(third):
        msg = (
            f"{path}: expected three header rows of equal length, the third 'track_id,,,', got "
            f"{','.join(third)[:40]!r} there; take tracks.csv as FMA has it"
        )
        raise InputError(msg)
    header = ["track_id", *(f"{a} {b}" for a, b in zip(outer[1:], inner[1:], strict=True))]
    columns = {
        "track_id": "track_id",
        "title": "track title",
        "artist": "artist name",
        "genre": "track genre_top",
        "split": "set split",
        "subset": "set subset",
    }
    return _tracks(path, records(path, rows, header, columns, faults), faults)


def read_raw_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of `raw_tracks.csv`, which has neither root genre, split nor subset.

    Rows are treated as `read_tracks` does; lines that are not UTF-8 are read as cp1252.
    """
    columns = {"track_id": "track_id", "title": "track_title", "artist": "artist_name"}
    return _tracks(path, read_table(path, columns, faults), faults)


def read_titles(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of a flat table with sound_file, title, artist, genre, or ID, ..., Set.

    Rows are treated as `read_tracks` does. Raises InputError when the columns are others: a table
    of track_id, Title, Album, Contributing artists in circulation has them shifted.
    """
    header = next(read_csv(path, Faults()), (0, []))[1]
    columns = next((each for each in _LAYOUTS if set(each.values()) <= set(header)), None)
    if columns is None:
        wanted = " or ".join(", ".join(each.values()) for each in _LAYOUTS)
        msg = f"{path}: expected the columns {wanted}, got {on_one_line(header)}; rename them"
        raise InputError(msg)
    return _tracks(path, read_table(path, columns, faults), faults)


def read_file_genres(path: Path, faults: Faults) -> dict[int, str]:
    """Give the genre of each clip, by track id, from a table with the columns filename and genre.

    A row without a track id, and an id seen before, are counted and skipped.
    """
    genres: dict[int, str] = {}
    for line, cells in read_table(path, {"track_id": "filename", "genre": "genre"}, faults):
        track_id = _track_id(path, line, cells["track_id"], genres, faults)
        if track_id is not None:
            genres[track_id] = cells["genre"]
    return genres


def check_balance(genres: Mapping[int, str], *, number: int = 8, each: int = 1000) -> None:
    """Raise InputError unless there are `number` genres of `each` tracks (fma_small's promise)."""
    counts = Counter(genres.values())
    if sorted(counts.values()) != [each] * number:
        found = ", ".join(f"{genre} {count}" for genre, count in sorted(counts.items()))
        msg = (
            f"genres: expected {number} of {each} tracks each, got [{found}]; "
            "give the whole of fma_small"
        )
        raise InputError(msg)


def errata(subset: str) -> dict[str, str]:
    """Give the clips of a subset that FMA's makers list as broken: `Track.id` and what is wrong.

    They come from `data_manifest/fma_errata.csv`, where each has its source. The lists are of
    small and medium; large holds those clips too, and has no list of its own.
    """
    if subset not in SUBSETS:
        msg = f"subset: expected one of {', '.join(SUBSETS)}, got {subset!r}; pick one of them"
        raise InputError(msg)
    path = manifest.manifest_folder() / "fma_errata.csv"
    columns = {name: name for name in ("track_id", "subset", "fault")}
    within = SUBSETS[: SUBSETS.index(subset) + 1]
    rows = read_table(path, columns, Faults())
    return {f"{int(r['track_id']):06d}": r["fault"] for _, r in rows if r["subset"] in within}


def _tracks(
    path: Path, rows: Iterator[tuple[int, dict[str, str]]], faults: Faults
) -> Iterator[Track]:
    seen: set[int] = set()
    for line, cells in rows:
        track_id = _track_id(path, line, cells.pop("track_id"), seen, faults)
        if track_id is None:
            continue
        seen.add(track_id)
        title, artist = cells.pop("title"), cells.pop("artist").strip()
        if not title.strip():
            faults.add(path, line, "no title", detail=f"track {track_id}")
            continue
        if NULL_WORDS.fullmatch(title):
            faults.add(path, line, "title reads as null", kept=True, detail=title)
        if not artist:
            faults.add(path, line, "no artist", kept=True, detail=f"track {track_id}")
        yield Track(track_id, title, artist, **{k: v or None for k, v in cells.items()})


def _track_id(path: Path, line: int, text: str, seen: Container[int], faults: Faults) -> int | None:
    """The track id in `2`, `000002.mp3` or `000/000002.mp3`; None, counted, if none or not new."""
    found = re.fullmatch(r"(?:[0-9]{3}/)?([0-9]{1,6})(?:\.mp3)?", text.strip())
    if found is None or not int(found[1]):
        faults.add(path, line, "no track id", detail=text)
        return None
    if int(found[1]) in seen:
        faults.add(path, line, "duplicate track id", detail=text)
        return None
    return int(found[1])
