"""Pictures on the web: how many of Conceptual Captions' are to be had, and their bytes, before any
is fetched."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from songtitle.cache import Record, read_json, results, run_stage
from songtitle.corpora.captions import TABLES, read_link_status
from songtitle.corpora.link_rot import PAPER_LOSS
from songtitle.corpora.manifest import read_source, roots, sha256
from songtitle.errors import expect
from songtitle.rows import Faults

SOURCE = "conceptual_captions"
STATUS = f"{SOURCE}/validation_url_status_2019-01.tsv"  # what each link gave, by the makers' rows
PUBLISHED = "plan/picture_sizes.json"
ROWS = r"([\d,]+) to train on and ([\d,]+) to validate"  # as the manifest says it


class Expected(NamedTuple):
    """What fetching the pictures of one split would bring."""

    rows: int  # captions with an address
    pictures: int
    size: int  # bytes
    here: int  # bytes of shards that are there


def expected(home: Path, split: str = "train", *, first: int | None = None) -> Expected:
    """Forecast the pictures of `split`, `train` or `validation`, of Conceptual Captions, or of its
    `first` rows; writes nothing.

    Rows are those of the table where it is fetched, else those that the manifest tells of; of their
    links the paper lost ten percent; a picture has the mean size of those that the links of
    validation gave in January 2019, as was published of them.
    """
    table, folder = home / SOURCE / TABLES[split], home / SOURCE / "pictures" / split
    rows = captions(split)
    if table.is_file():
        with table.open("rb") as lines:
            rows = sum(1 for _ in lines)
    rows = min(rows, first or rows)
    pictures = round(rows * (1 - PAPER_LOSS))
    here = sum(path.stat().st_size for path in folder.glob("*.tar"))
    return Expected(rows, pictures, round(pictures * published(PUBLISHED)["mean"]), here)


def published(name: str) -> dict[str, Any]:
    """Read what a published record found, by its name in `results/`; InputError without it."""
    path = results().get(name)
    expect(path, f"results/{name}: expected it in the clone, got none; restore it")
    return dict(read_json(Path(str(path)))["result"])


def captions(split: str) -> int:
    """Read from the manifest how many captions a split of Conceptual Captions has."""
    told = re.search(ROWS, " ".join(read_source(SOURCE).description.split()))
    expect(told, f"{SOURCE}.toml: expected a description that says {ROWS!r}, got another; mend it")
    numbers = told.groups() if told else ()
    return int(numbers[list(TABLES).index(split)].replace(",", ""))


def picture_sizes(home: Path) -> Record:
    """Count, from the table of link status in the data home, `links`, those `pictures` of known
    size, and their `mean` size in bytes. Raises InputError without the table."""
    path = next((root / STATUS for root in roots(home) if (root / STATUS).is_file()), home / STATUS)

    def compute(_: Path) -> dict[str, Any]:
        faults = Faults()
        rows = list(read_link_status(path, faults))
        sizes = [row.size for row in rows if row.has_picture and row.size]
        expect(sizes, f"{path}: expected links that gave pictures, got none; name a whole table")
        found = {"links": len(rows), "pictures": len(sizes), "mean": sum(sizes) / len(sizes)}
        return found | {"faults": faults.as_dict()["counts"]}

    expect(path.is_file(), f"{path}: expected the table of link status, got none; put it there")
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}}
    settings = {"asks": "How large is a picture of a link?", "files": files}
    return run_stage("picture_sizes", compute, settings=settings, home=home)
