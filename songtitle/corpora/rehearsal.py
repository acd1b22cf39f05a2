"""Rehearsal: small made-up corpora in the files, folders and formats of the paper's own.

`write` puts them where a data home holds the real ones once fetched, and gives the right counts,
known from how they were made. Captions say what their pictures show. A song's title begins with a
colour, which its sound tells: timbre is shifted and pitch chosen by it, so titles can be learnt.
"""

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, ImageDraw

from songtitle.corpora import rehearsal_songs, shards
from songtitle.corpora.captions import STATUS_COLUMNS, TABLES
from songtitle.corpora.guarded_http import Limits, Reason
from songtitle.corpora.rehearsal_songs import COLOURS, WORDS, write_bytes, write_tar, write_text
from songtitle.rows import Faults
from songtitle.schema import refuse

FOLDER = "rehearsal"  # of the data home, into which `at` writes
FEWEST = 24  # pictures and songs: six HDF5 files tell the order of each of two years
SHARDS = 3  # of train, at least; the last one is short
LARGEST_SHARD = 1_000  # pictures, about
GROUNDS = {"white": (250, 250, 250), "grey": (150, 150, 150), "pink": (250, 190, 200)}
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = {
    "on the left": (0.25, 0.5),
    "on the right": (0.75, 0.5),
    "at the top": (0.5, 0.25),
    "at the bottom": (0.5, 0.75),
    "in the middle": (0.5, 0.5),
}
SIZES = {"small": 0.12, "large": 0.22}  # half a side, of the picture's shorter one
# What is wrong with a picture or its caption -> what an address that is asked for it answers:
# status, and the reason why no picture is kept. There is one of each in train and in validation.
ODD: dict[str, tuple[int, Reason | None]] = {
    "small": (200, Reason.TOO_SMALL),  # below the 401 pixels of the paper, but a picture
    "too small": (200, Reason.TOO_SMALL),
    "torn": (200, Reason.CUT_SHORT),
    "a web page": (200, Reason.NOT_A_PICTURE),
    "uncaptioned": (200, None),
    "gone": (404, Reason.NOT_FOUND),
    "forbidden": (403, Reason.FORBIDDEN),
}
NO_ROWS = ("words without an address", "two\ttabs\thttps://x.example/1.jpg", "a cat\tno address")
NO_SHARDS = ("gone", "forbidden")
TIME = 1_546_300_800  # of fetched shards: January 2019


def write(folder: Path, *, pictures: int = 120, songs: int = 40, seed: int = 0) -> dict[str, int]:
    """Write the corpora into a new or empty folder; give the right counts by name.

    `pictures` are good ones of train (a quarter as many of validation), `songs` the rows of timbre
    and the clips that are whole. Equal arguments give equal bytes. Raises InputError for a folder
    that holds something, with fewer than 24 pictures or songs, and without pyarrow.

    Besides there are NLTK's lists of words, with those of the titles alone; what finds names is not
    there, so that the rule against names is left out unless NLTK's data are elsewhere.
    """
    shards.at_least(FEWEST, pictures=pictures, songs=songs)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        refuse(str(folder), "a new or empty folder", "one that holds something", "name another")
    right: dict[str, int] = {}
    for place, (split, count) in enumerate([("train", pictures), ("validation", pictures // 4)]):
        draw = np.random.default_rng((seed, place))
        right |= {f"{split}: {k}": n for k, n in _captions(folder, split, count, draw).items()}
    draw = np.random.default_rng((seed, 2))
    found = rehearsal_songs.million_song(folder / "million_song", songs, draw)
    right |= {f"Million Song: {name}": count for name, count in found.items()}
    found = rehearsal_songs.fma(folder / "fma", songs, np.random.default_rng((seed, 3)))
    right |= {f"FMA: {name}": count for name, count in found.items()}
    words = folder / "nltk_data" / "corpora" / "words"
    write_text(words / "en", WORDS)
    write_text(words / "en-basic", WORDS[:1])
    return right


def at(home: Path) -> Path:
    """Give the corpora in the data home's folder `rehearsal`, written where they are not there."""
    folder, scratch = home / FOLDER, home / f".{FOLDER}.partial"
    if not folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f".{FOLDER}.lock"):
            if not folder.is_dir():  # another process may have been quicker
                shutil.rmtree(scratch, ignore_errors=True)  # what a run left that was killed
                write(scratch)
                os.replace(scratch, folder)
    return folder


# -- Conceptual Captions --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    kind: str  # "good", or one of ODD
    caption: str
    url: str
    content: bytes
    sides: tuple[int, int]  # width, height


def _captions(folder: Path, split: str, good: int, draw: np.random.Generator) -> dict[str, int]:
    """Table, ready-made shards and fetched ones of a split, and of validation the links' status."""
    kinds = draw.permutation(["good"] * good + list(ODD)).tolist()
    rows = [_row(number, kind, split, draw) for number, kind in enumerate(kinds)]
    home = folder / "conceptual_captions"
    lines = [f"{row.caption}\t{row.url}" for row in rows]
    write_text(home / TABLES[split], [*lines[:1], *NO_ROWS, *lines[1:]])
    listed = [row for row in rows if row.caption]
    there = [row for row in rows if row.kind not in NO_SHARDS]
    cut = _cut(there)
    for number, part in enumerate(cut):
        write_tar(folder / "cc3m_wds" / f"cc3m-{split}-{number:04d}.tar", _files(number, part))
    _fetched(home / TABLES[split], home / "pictures" / split, listed)
    right = {
        "rows of the table": len(listed),
        "rows that cannot be read": len(rows) - len(listed) + len(NO_ROWS),
        "ready-made shards": len(cut),
        "examples in them": len(there) - 1,
        "pictures without a caption": 1,
        "examples that are no picture": 2,  # torn, and a web page
        "examples over 400 pixels a side": good + 1,  # the torn one says so, too
        "pictures fetched": good,
    }
    if split == "validation":
        status = [_status(row) for row in listed]
        write_text(home / "validation_url_status_2019-01.tsv", ["\t".join(STATUS_COLUMNS), *status])
        right["links with a picture"] = sum("\timage/" in line for line in status)
    return right


def _row(number: int, kind: str, split: str, draw: np.random.Generator) -> _Row:
    low, high = {"small": (180, 240), "too small": (9, 12)}.get(kind, (402, 470))
    sides = int(draw.integers(low, high)), int(draw.integers(low, high))
    caption, content = _picture(sides, draw)
    if kind == "torn":
        content = content[: len(content) // 2]
    if kind == "a web page":
        content = b"<html><body>moved</body></html>"
    caption = "" if kind == "uncaptioned" else caption
    return _Row(kind, caption, f"https://x.example/{split}/{number:06d}.jpg", content, sides)


def _picture(sides: tuple[int, int], draw: np.random.Generator) -> tuple[str, bytes]:
    """One shape, and what it is."""

    def some(words: Iterable[str]) -> str:
        return str(draw.choice(list(words)))

    size, colour, shape = some(SIZES), some(COLOURS), some(SHAPES)
    place, ground = some(PLACES), some(GROUNDS)
    image = Image.new("RGB", sides, GROUNDS[ground])
    half = SIZES[size] * min(sides)
    x, y = (part * side for part, side in zip(PLACES[place], sides, strict=True))
    box, pen, fill = (
        (x - half, y - half, x + half, y + half),
        ImageDraw.Draw(image),
        COLOURS[colour],
    )
    if shape == "circle":
        pen.ellipse(box, fill)
    elif shape == "square":
        pen.rectangle(box, fill)
    elif shape == "triangle":
        pen.polygon([(x, y - half), (x + half, y + half), (x - half, y + half)], fill)
    else:
        pen.rectangle((x - half, y - half / 3, x + half, y + half / 3), fill)
        pen.rectangle((x - half / 3, y - half, x + half / 3, y + half), fill)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f"a {size} {colour} {shape} {place} of a {ground} picture", file.getvalue()


def _cut(rows: list[_Row]) -> list[list[_Row]]:
    """Shards of equal size, but the last one, which has less."""
    size = len(rows) // max(SHARDS, len(rows) // LARGEST_SHARD) + 1
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _files(shard: int, rows: list[_Row]) -> Iterator[tuple[str, bytes]]:
    for place, row in enumerate(rows):
        key = f"{shard:05d}{place:04d}"
        yield f"{key}.jpg", row.content
        if row.caption:
            yield f"{key}.txt", row.caption.encode()
            about: dict[str, str | int] = {"key": key, "caption": row.caption, "url": row.url}
            about |= {"status": "success", "width": row.sides[0], "height": row.sides[1]}
            yield f"{key}.json", json.dumps(about).encode()


def _fetched(table: Path, folder: Path, rows: list[_Row]) -> None:
    """What `songtitle.corpora.shards.fetch` leaves when it has asked for every row."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        then = "run `pip install -e '.[pictures]'` in the clone"
        refuse("rehearse", "pyarrow, for the tables of fetched shards", f"'{error}'", then)
    limits, cut = Limits(), _cut(rows)
    settings = {name: getattr(limits, name) for name in ("min_side", "max_bytes", "max_pixels")}
    settings["shard_size"] = len(cut[0])
    folder.mkdir(parents=True)
    shards.prepare(table, folder, settings, Faults(), count=None)
    for number, part in enumerate(cut):
        stem, told, came = f"{number:05d}", [], []
        for place, row in enumerate(part):
            http, reason = ODD.get(row.kind, (200, None))
            failed = "failed_to_resize" if reason is Reason.TOO_SMALL else "failed_to_download"
            about: dict[str, str | int | None] = {"caption": row.caption, "url": row.url}
            about["key"] = f"{stem}{place:04d}"
            about |= {"status": failed if reason else "success", "error_message": reason}
            told.append(about | {"http_status": http})
            came += [] if reason else [row]
        write_tar(folder / f"{stem}.tar", _files(number, came))
        pq.write_table(pa.Table.from_pylist(told), folder / f"{stem}.parquet")
        statuses = Counter(row["error_message"] or "success" for row in told)
        counted = {"count": len(part), "successes": len(came), "status_dict": statuses}
        times = {"start_time": TIME, "end_time": TIME + 60}
        write_bytes(folder / f"{stem}_stats.json", json.dumps(counted | times).encode())


def _status(row: _Row) -> str:
    http, _ = ODD.get(row.kind, (200, None))
    mime = "text/html" if row.kind == "a web page" else "image/jpeg"
    body = (mime, str(len(row.content))) if http == 200 else ("", "")
    return "\t".join((row.url, "validation", str(http), *body))
