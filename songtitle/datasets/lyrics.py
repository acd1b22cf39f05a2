"""Titles beside lyrics, from a table of the reader's own: what the paper leaves for future work.

Lyrics are no part of any source here; a reader who has some may join them to tracks by their ids.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from songtitle.datasets.contract import Titled
from songtitle.errors import InputError
from songtitle.rows import Faults, read_table


@dataclass(frozen=True, slots=True)
class Song:
    """A track with its lyrics."""

    id: str  # the track's
    title: str  # the track's
    lyrics: str  # uncleaned
    group: str  # the track's


def join(
    tracks: Iterable[Titled],
    table: Path,
    faults: Faults,
    *,
    track_id: str = "track_id",
    title: str = "title",
    lyrics: str = "lyrics",
) -> list[Song]:
    """The tracks that have lyrics in `table`, in the order of `tracks`.

    The table is CSV, or tab-separated where it ends in .tsv, with one record a track; `track_id`,
    `title` and `lyrics` name its columns. Ids are compared without leading zeros. A row with the
    wrong number of fields, of an unknown track, with an id seen before or without lyrics is counted
    and skipped; one whose title is not the track's (letter case aside) is counted and kept. Tracks
    without lyrics are not counted. Raises InputError when the table or a column is missing, and
    when two tracks have the same id.
    """
    wanted = list(tracks)
    known = {_key(track.id): track for track in wanted}
    if len(known) < len(wanted):
        msg = f"tracks: expected every id once, got {len(wanted) - len(known)} twice; drop those"
        raise InputError(msg)
    delimiter = "\t" if table.suffix == ".tsv" else ","
    columns = {"id": track_id, "title": title, "lyrics": lyrics}
    found: dict[str, str] = {}
    for line, cells in read_table(table, columns, faults, delimiter=delimiter):
        key = _key(cells["id"])
        fault = None
        if key not in known:
            fault = "unknown track id"
        elif key in found:
            fault = "duplicate track id"
        elif not cells["lyrics"].strip():
            fault = "no lyrics"
        if fault:
            faults.add(table, line, fault, detail=cells["id"])
            continue
        if _plain(cells["title"]) != _plain(known[key].title):
            detail = f"{cells['title']!r}, not {known[key].title!r}"
            faults.add(table, line, "another title", kept=True, detail=detail)
        found[key] = cells["lyrics"]
    return [
        Song(track.id, track.title, found[_key(track.id)], track.group)
        for track in wanted
        if _key(track.id) in found
    ]


def _key(id: str) -> str:
    """`000002` and `2` are one track."""
    text = id.strip()
    return str(int(text)) if re.fullmatch("[0-9]{1,18}", text) else text


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
