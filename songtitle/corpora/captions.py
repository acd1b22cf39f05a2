"""Captioned and titled items, and captions as their corpora hold them: Conceptual Captions,
Flickr8k, AudioCaps."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines, read_table

# Of Conceptual Captions, as `fetch` names them in the data home's folder `conceptual_captions`.
TABLES = {
    "train": "Train_GCC-training.tsv",
    "validation": "Validation_GCC-1.1.0-Validation.tsv",
}
STATUS_COLUMNS = ("url", "split", "status", "mimetype", "bytes")
CAPTIONS = 5  # of each photo of Flickr8k

# Most addresses: a scheme, a name and a path. Taking one apart costs ten times as much.
_PLAIN = re.compile(r"https?://[a-z0-9][a-z0-9.-]*/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture at hand, and what it shows in words."""

    id: str  # unique in its corpus, the same in every run
    path: Path
    caption: str  # uncleaned
    group: str  # items of one group stay on one side of a split


@runtime_checkable
class Titled(Protocol):
    """A song that has a title."""

    @property
    def id(self) -> str:
        """Unique in its corpus, the same in every run."""

    @property
    def title(self) -> str:
        """As its source has it, uncleaned."""

    @property
    def group(self) -> str:
        """Its artist, or what else must not be on two sides of a split."""


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
    """Give row number (from 1), caption and address of every whole row, in the order of the file.

    A row with no tab or with several, with an empty caption, and one whose last field is no http
    or https address is counted and skipped. Raises InputError when the file is missing or is a
    web page.
    """
    for number, line in read_lines(path, faults):
        caption, tab, url = line.partition("\t")
        caption, url = caption.strip(), url.strip()
        if not tab or "\t" in url:
            faults.add(path, number, "more than one tab" if tab else "no tab", detail=line)
        elif not caption or not _is_web_address(url):
            kind = "no web address" if caption else "empty caption"
            faults.add(path, number, kind, detail=url)
        else:
            yield number, caption, url


def read_link_status(path: Path, faults: Faults) -> Iterator[LinkStatus]:
    """Give what each address answered, from a table with the columns of `STATUS_COLUMNS`.

    A row with another number of fields, one without an address and one whose status or size is no
    number is counted and skipped. Raises InputError when the header is another.
    """
    lines = read_lines(path, faults)
    header = next(lines, (1, ""))[1]
    if tuple(header.split("\t")) != STATUS_COLUMNS:
        msg = f"{path}: row 1: expected the columns {' '.join(STATUS_COLUMNS)} between tabs, got "
        msg += f"{header[:80]!r}; name a table of link status"
        raise InputError(msg)
    for number, line in lines:
        values = line.split("\t")
        if len(values) != len(STATUS_COLUMNS):
            faults.add(path, number, "not five fields", detail=line)
            continue
        url, split, status, mimetype, size = values
        if not _is_web_address(url):
            faults.add(path, number, "no web address", detail=url)
        elif not re.fullmatch(r"[0-9]+ [0-9]*", f"{status} {size}"):
            faults.add(path, number, "not a number", detail=f"{status} {size}")
        else:
            yield LinkStatus(number, url, split, int(status), mimetype, int(size) if size else None)


def load_flickr8k(captions: Path, folder: Path, faults: Faults) -> list[Captioned]:
    """Load the captions of `captions.txt` whose photo is in `folder`, in the file's order.

    An item's id is the file and the caption's number, as in the original; its group is the file.
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
        photos.append(Captioned(f"{name}#{number}", folder / name, caption, name))
    for name, number in count.items():
        if number != CAPTIONS:
            kind, detail = "not five captions", f"{name}: {number}"
            faults.add(captions, None, kind, kept=True, detail=detail)
    return photos


@dataclass(frozen=True, slots=True)
class AudioCaption:
    """One row of AudioCaps: clips of validation and test have five each, those of train one."""

    id: str  # audiocap_id
    youtube_id: str  # 11 characters; a clip is known by it, no video is cut twice
    start: int  # seconds into the video
    caption: str


def read_audiocaps(path: Path, faults: Faults) -> Iterator[AudioCaption]:
    """Give the captions of `train.csv`, `val.csv` or `test.csv`, in the file's order.

    Counted and skipped: rows with the wrong number of fields, without a whole number as id and
    start, without an 11-character youtube_id, without a caption, and with an id seen before.
    Raises InputError when the table is missing or its columns are others.
    """
    columns = {n: n for n in ("audiocap_id", "youtube_id", "start_time", "caption")}
    seen = set()
    for line, cells in read_table(path, columns, faults):
        id, video, start, caption = cells.values()
        fault = None
        if not re.fullmatch("[0-9]+", id) or not re.fullmatch("[0-9]+", start):
            fault = "no whole number as id or start"
        elif not re.fullmatch("[A-Za-z0-9_-]{11}", video):
            fault = "no youtube_id"
        elif not caption.strip():
            fault = "no caption"
        elif id in seen:
            fault = "duplicate id"
        if fault:
            faults.add(path, line, fault, detail=",".join(cells.values()))
            continue
        seen.add(id)
        yield AudioCaption(id, video, int(start), caption)


def _is_web_address(text: str) -> bool:
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
