"""COCO's captioned pictures: what to train on where Conceptual Captions' links have died.

Chen et al. 2015, "Microsoft COCO Captions", arXiv:1504.00325. Each picture has at least five
sentences, each by another person.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songtitle.errors import InputError
from songtitle.rows import Faults


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture at hand and one of its captions."""

    id: str  # the annotation's
    path: Path
    caption: str  # uncleaned
    group: str  # the image's id: keep a group on one side of a split


def load(annotations: Path, folder: Path, faults: Faults) -> list[Picture]:
    """The captions of `captions_train2017.json` whose picture is in `folder`, in the file's order.

    The file is read whole: one of the train set's size, 591,753 captions of 118,287 images, takes
    483 MB at the peak. Counted and left out: entries that lack a field or hold another type,
    captions without words, of an unknown image, or with an id seen before, and pictures that are
    not in `folder` ("no picture", once for each) or whose name would lead out of it.

    Raises InputError when the file is missing, torn or not of that form, and without the folder.
    """
    content = _read(annotations)
    if not folder.is_dir():
        msg = f"{folder}: expected a folder of pictures, there is none; fetch COCO's pictures first"
        raise InputError(msg)
    here = {path.name for path in folder.iterdir()}
    paths: dict[int, Path | None] = {}  # None: known, but no picture of it is here
    for number, entry in enumerate(content["images"], 1):
        if not _holds(entry, id=int, file_name=str):
            faults.add(annotations, None, "broken image entry", detail=f"{number}: {entry}")
            continue
        name = entry["file_name"]
        paths[entry["id"]] = folder / name if name in here else None
        if name not in here:
            kind = "picture's name leads elsewhere" if Path(name).name != name else "no picture"
            faults.add(annotations, None, kind, detail=name)
    pictures = []
    seen = set()
    for number, entry in enumerate(content["annotations"], 1):
        fault = None
        if not _holds(entry, id=int, image_id=int, caption=str):
            fault = "broken caption entry"
        elif not entry["caption"].strip():
            fault = "no caption"
        elif entry["id"] in seen:
            fault = "duplicate id"
        elif entry["image_id"] not in paths:
            fault = "unknown image"
        if fault:
            faults.add(annotations, None, fault, detail=f"{number}: {entry}")
            continue
        seen.add(entry["id"])
        path = paths[entry["image_id"]]
        if path is not None:
            group = str(entry["image_id"])
            pictures.append(Picture(str(entry["id"]), path, entry["caption"], group))
    return pictures


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        msg = f"{path}: expected COCO's captions, got '{error.strerror}'; fetch them again"
        raise InputError(msg) from error
    # A torn file, a web page, other bytes, brackets without end.
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        msg = f"{path}: expected JSON, got '{reason}'; fetch it again"
        raise InputError(msg) from error
    if not _holds(content, images=list, annotations=list):
        msg = (
            f"{path}: expected an object with the lists images and annotations, got "
            f"{str(content)[:40]!r}; take captions_train2017.json or captions_val2017.json"
        )
        raise InputError(msg)
    return content


def _holds(entry: object, **types: type) -> bool:
    """Whether an object of JSON has these fields, of these types (true is no number)."""
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), kind) and not isinstance(entry[name], bool)
        for name, kind in types.items()
    )
