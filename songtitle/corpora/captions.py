"""Captions as their corpora hold them: Conceptual Captions, Flickr8k, AudioCaps."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines, read_table

# Most addresses: a scheme, a name and a path. Taking one apart costs ten times as much.
_PLAIN = re.compile(r"https?://[a-z0-9][a-z0-9.-]*/", re.IGNORECASE)

# As `fetch` names them in the data home's folder `conceptual_captions`.
TABLES = {
    "train": "Train_GCC-training.tsv",
    "validation": "Validation_GCC-1.1.0-Validation.tsv",
}
STATUS_COLUMNS = ("url", "split", "status", "mimetype", "bytes")


class LinkStatus(NamedTuple):
    """What one address answered when somebody asked all of them."""

    row: int  # line of the table, counted from 1
    url: str
    split: str  # "train" or "validation"
    status: int  # of HTTP, as the asking tool wrote it
    mimetype: str  # guessed from the body; empty where none came
    size: int | None  # bytes of the body; None where none came

    @property
    def answered(self) -> bool:
        """The address gave a body: status 200."""
        return self.status == 200

    @property
    def has_picture(self) -> bool:
        """It answered with a picture: status 200 and a type of `image/`."""
        return self.answered and self.mimetype.startswith("image/")


def read_conceptual_captions(path: Path, faults: Faults) -> Iterator[tuple[int, str, str]]:
    """Row number (from 1), caption and address of every whole row, in the order of the file.

    A row with no tab or with several, with an empty caption, and one whose last field is no http
    or https address is counted and skipped. Raises InputError when the file is missing or is a
    web page.
    """
    for number, line in read_lines(path, faults):
        caption, tab, url = line.partition("\t")
        caption, url = caption.strip(), url.strip()
        if not tab:
            faults.add(path, number, "no tab", detail=line)
        elif "\t" in url:
            faults.add(path, number, "more than one tab", detail=line)
        elif not caption:
            faults.add(path, number, "empty caption", detail=url)
        elif not is_web_address(url):
            faults.add(path, number, "no web address", detail=url)
        else:
            yield number, caption, url


def read_link_status(path: Path, faults: Faults) -> Iterator[LinkStatus]:
    """What each address answered, from a table with the header `url split status mimetype bytes`.

    A row with another number of fields, one without an address and one whose status or size is no
    number is counted and skipped. Raises InputError when the header is another.
    """
    lines = read_lines(path, faults)
    header = next(lines, (1, ""))[1]
    if tuple(header.split("\t")) != STATUS_COLUMNS:
        msg = (
            f"{path}: row 1: expected the columns {' '.join(STATUS_COLUMNS)} between tabs, got "
            f"{header[:80]!r}; name a table of link status"
        )
        raise InputError(msg)
    for number, line in lines:
        values = line.split("\t")
        if len(values) != len(STATUS_COLUMNS):
            faults.add(path, number, "not five fields", detail=line)
            continue
        url, split, status, mimetype, size = values
        if not is_web_address(url):
            faults.add(path, number, "no web address", detail=url)
        elif not _is_whole(status) or (size and not _is_whole(size)):
            faults.add(path, number, "not a number", detail=f"{status} {size}")
        else:
            yield LinkStatus(number, url, split, int(status), mimetype, int(size) if size else None)


def is_web_address(text: str) -> bool:
    """Whether `text` is an absolute http or https address with a host."""
    if _PLAIN.match(text):
        return True
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # raises for a port that is no number below 65,536
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


CAPTIONS = 5  # of each photo


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo at hand and one of its captions."""

    id: str  # "1000268201_693b08cb0e.jpg#0": the file and the caption's number, as in the original
    path: Path
    caption: str  # uncleaned
    group: str  # the file's name: keep a group on one side of a split


def load_flickr8k(captions: Path, folder: Path, faults: Faults) -> list[Photo]:
    """The captions of `captions.txt` whose photo is in `folder`, in the file's order.

    Counted and left out: rows that are no two fields, captions without words, photos that are not
    in `folder` ("no picture", once for each) or whose name would lead out of it. Counted and kept:
    a photo with another number of captions than five.

    Raises InputError when the file is missing or has other columns, and without the folder.
    """
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of photos, there is none; put Flickr8k's JPEGs there"
        raise InputError(msg)
    here = {path.name for path in folder.iterdir()}
    absent: set[str] = set()
    count: Counter[str] = Counter()
    photos = []
    for line, cells in read_table(captions, {"name": "image", "caption": "caption"}, faults):
        name, caption = cells["name"].strip(), cells["caption"]
        if name not in here:
            if name not in absent:
                absent.add(name)
                outside = Path(name).name != name
                kind = "picture's name leads elsewhere" if outside else "no picture"
                faults.add(captions, line, kind, detail=name)
            continue
        number = count[name]
        count[name] += 1
        if not caption.strip():
            faults.add(captions, line, "no caption", detail=name)
            continue
        photos.append(Photo(f"{name}#{number}", folder / name, caption, name))
    for name, number in count.items():
        if number != CAPTIONS:
            kind, detail = "not five captions", f"{name}: {number}"
            faults.add(captions, None, kind, kept=True, detail=detail)
    return photos


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


def read_audiocaps(path: Path, faults: Faults) -> Iterator[Caption]:
    """The captions of `train.csv`, `val.csv` or `test.csv`, in the file's order.

    Counted and skipped: rows with the wrong number of fields, without a whole number as id and
    start, without an 11-character youtube_id, without a caption, and with an id seen before.
    Raises InputError when the table is missing or its columns are others.
    """
    columns = {n: n for n in ("audiocap_id", "youtube_id", "start_time", "caption")}
    return _captions(path, read_table(path, columns, faults), faults)


def load_audiocaps(
    folder: Path, audio_folder: Path, faults: Faults, *, split: str = "train"
) -> list[Clip]:
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
    for row in read_audiocaps(table, faults):
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
