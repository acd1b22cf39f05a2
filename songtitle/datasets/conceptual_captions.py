"""Conceptual Captions 1.1 as its files hold it: captions with the addresses of their pictures.

The corpus is two tables without a header, `Train_GCC-training.tsv` and
`Validation_GCC-1.1.0-Validation.tsv` (Sharma et al. 2018): a caption, a tab, an address. The
pictures stay where the web has them; `shards.fetch` asks for them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from songtitle.errors import InputError
from songtitle.rows import Faults, read_lines

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


def read(path: Path, faults: Faults) -> Iterator[tuple[int, str, str]]:
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
