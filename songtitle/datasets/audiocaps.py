"""AudioCaps: ten-second sounds of AudioSet, each with what is heard in words.

Kim et al. 2019, "AudioCaps: Generating Captions for Audios in The Wild", NAACL. Its tables hold
captions and where the sounds are on YouTube; the sounds are fetched by whoever may have them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from songtitle.errors import InputError
from songtitle.rows import Faults, read_table

SPLITS = ("train", "val", "test")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus")  # in order of preference


@dataclass(frozen=True, slots=True)
class Caption:
    """One row of a table: clips of validation and test have five each, those of train one."""

    id: str  # audiocap_id
    youtube_id: str  # 11 characters; a clip is known by it, no video is cut twice
    start: int  # seconds into the video
    caption: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound at hand and one of its captions."""

    id: str  # audiocap_id
    path: Path
    caption: str
    group: str  # youtube_id: keep a group on one side of a split


def read(path: Path, faults: Faults) -> Iterator[Caption]:
    """The captions of `train.csv`, `val.csv` or `test.csv`, in the file's order.

    Counted and skipped: rows with the wrong number of fields, without a whole number as id and
    start, without an 11-character youtube_id, without a caption, and with an id seen before.
    Raises InputError when the table is missing or its columns are others.
    """
    columns = {n: n for n in ("audiocap_id", "youtube_id", "start_time", "caption")}
    return _captions(path, read_table(path, columns, faults), faults)


def load(folder: Path, audio_folder: Path, faults: Faults, *, split: str = "train") -> list[Clip]:
    """The captions of `folder/SPLIT.csv` whose sound is in `audio_folder`, in the file's order.

    A sound is named by audiocap_id, youtube_id, Yyoutube_id or youtube_id_start, which is what
    fetching tools in use call it. A caption without its sound is counted as "no sound" and left
    out. Raises InputError for an unknown split and when table or folder is missing.
    """
    if split not in SPLITS:
        msg = f"split: expected one of {', '.join(SPLITS)}, got {split!r}; pick one of them"
        raise InputError(msg)
    sounds = _sounds(audio_folder)
    table = folder / f"{split}.csv"
    clips = []
    for row in read(table, faults):
        names = (row.id, row.youtube_id, f"Y{row.youtube_id}", f"{row.youtube_id}_{row.start}")
        path = next((sounds[name] for name in names if name in sounds), None)
        if path is None:
            faults.add(table, None, "no sound", detail=f"caption {row.id}, {row.youtube_id}")
        else:
            clips.append(Clip(row.id, path, row.caption, row.youtube_id))
    return clips


def _captions(
    path: Path, rows: Iterator[tuple[int, dict[str, str]]], faults: Faults
) -> Iterator[Caption]:
    seen = set()
    for line, cells in rows:
        id, start = cells["audiocap_id"], cells["start_time"]
        fault = None
        if not re.fullmatch("[0-9]+", id) or not re.fullmatch("[0-9]+", start):
            fault = "no whole number as id or start"
        elif not re.fullmatch("[A-Za-z0-9_-]{11}", cells["youtube_id"]):
            fault = "no youtube_id"
        elif not cells["caption"].strip():
            fault = "no caption"
        elif id in seen:
            fault = "duplicate id"
        if fault:
            faults.add(path, line, fault, detail=",".join(cells.values()))
            continue
        seen.add(id)
        yield Caption(id, cells["youtube_id"], int(start), cells["caption"])


def _sounds(folder: Path) -> dict[str, Path]:
    """The sound files of a folder by their names without ending."""
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of sounds, there is none; fetch AudioCaps' sounds first"
        raise InputError(msg)
    sounds: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in SOUNDS:
            other = sounds.get(path.stem)
            if other is None or SOUNDS.index(path.suffix) < SOUNDS.index(other.suffix):
                sounds[path.stem] = path
    return sounds
