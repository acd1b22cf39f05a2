"""Flickr8k: photos with five captions each, each caption by another person.

Hodosh, Young and Hockenmaier 2013, "Framing Image Description as a Ranking Task", JAIR 47. Read in
the form in which it goes round: `captions.txt`, rows of `image,caption`, and a folder of JPEGs.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from songtitle.errors import InputError
from songtitle.rows import Faults, read_table

CAPTIONS = 5  # of each photo


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo at hand and one of its captions."""

    id: str  # "1000268201_693b08cb0e.jpg#0": the file and the caption's number, as in the original
    path: Path
    caption: str  # uncleaned
    group: str  # the file's name: keep a group on one side of a split


def load(captions: Path, folder: Path, faults: Faults) -> list[Photo]:
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
