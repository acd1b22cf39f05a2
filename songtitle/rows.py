"""Rows of text tables, read one by one; whatever is wrong with one is counted and named.

A table of half a million rows has bad ones. A loader says which (file and line), of what kind, and
whether it kept or skipped them, and goes on.
"""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from songtitle.schema import refuse

LONGEST = 1_000_000  # bytes of a line; the longest real one at hand has 33,000


@dataclass(frozen=True)
class Fault:
    """Something wrong with one row, or with a file as a whole."""

    file: str  # its name, without folders
    row: int | None  # line, counted from 1; None for the whole file
    kind: str  # one of the loader's few kinds, such as "not UTF-8"
    kept: bool  # read all the same (repaired, decoded otherwise), or else skipped
    detail: str = ""


@dataclass
class Faults:
    """All faults counted by kind, the first few of each kind kept: memory stays flat."""

    limit: int = 5  # examples kept of each kind
    counts: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    skipped: int = 0
    examples: list[Fault] = field(default_factory=list)

    def add(
        self, file: Path, row: int | None, kind: str, *, kept: bool = False, detail: str = ""
    ) -> None:
        """Count a fault; `kept` says that the row was read all the same."""
        self.counts[kind] += 1
        self.kept += kept
        self.skipped += not kept
        if self.counts[kind] <= self.limit:
            self.examples.append(Fault(file.name, row, kind, kept, detail[:120]))

    def as_dict(self) -> dict[str, Any]:
        """What a record keeps: counts by kind, rows kept and skipped, the first examples."""
        rows = {"kept": self.kept, "skipped": self.skipped}
        examples = [asdict(fault) for fault in self.examples]
        return {"counts": dict(sorted(self.counts.items())), **rows, "examples": examples}

    def add_told(self, told: Mapping[str, Any]) -> None:
        """Add the faults that `as_dict` told."""
        self.counts.update(told["counts"])
        self.kept += told["kept"]
        self.skipped += told["skipped"]
        self.examples.extend(Fault(**example) for example in told["examples"])


def read_lines(
    path: Path, faults: Faults, *, longest: int = LONGEST, blank: bool = False
) -> Iterator[tuple[int, str]]:
    """Give the lines of a text file in UTF-8 with their numbers from 1, without their line ends.

    A line that is not UTF-8 is read as cp1252 (Latin-1 where that has no sign for a byte),
    counted as "not UTF-8" and kept. A line with a NUL byte and one of more than `longest` bytes
    are counted and skipped; a long one is never held whole. Blank lines are passed over, unless
    `blank` asks for them.

    Raises InputError when the file is missing or begins as HTML does: a login or error page that
    was saved under the name of the data.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        refuse(str(path), "a text table", f"'{error.strerror}'", "fetch it again")
    with file:
        begun = False
        for number, line in enumerate(iter(lambda: file.readline(longest + 1), b""), 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not begun and (start := line.lstrip()[:14].lower()):
                begun = True
                if start.startswith((b"<!doctype html", b"<html")):
                    refuse(str(path), "a text table", "a web page", "fetch it again")
            if len(line) > longest:
                length = len(line)
                while line and not line.endswith(b"\n"):
                    line = file.readline(longest)
                    length += len(line)
                faults.add(path, number, "line too long", detail=f"{length:,} bytes")
                continue
            line = line.rstrip(b"\r\n")
            if b"\0" in line:
                faults.add(path, number, "NUL byte")
            elif line or blank:
                text, encoding = _decoded(line)
                if encoding != "utf-8":
                    faults.add(path, number, "not UTF-8", kept=True, detail=text)
                yield number, text


def _decoded(line: bytes) -> tuple[str, str]:
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return line.decode(encoding), encoding
    return line.decode("latin-1"), "latin-1"


def read_csv(path: Path, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Give the records of a CSV file with the number of the line each ends on.

    Line ends inside quotes are kept (as a line feed); blank records are passed over. A quoted field
    that never closes is counted and skipped, with all that it swallowed.
    """
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in read_lines(path, faults, blank=True):
            last = number
            yield line + "\n"

    csv.field_size_limit(LONGEST)
    reader = csv.reader(lines(), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(path, last, "broken quotes", detail=str(error))
        else:
            if row:
                yield last, row


def read_table(
    path: Path, columns: Mapping[str, str], faults: Faults
) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the records of a CSV file whose first one names the columns; see `records`."""
    rows = read_csv(path, faults)
    return records(path, rows, next(rows, (0, []))[1], columns, faults)


def records(
    path: Path,
    rows: Iterator[tuple[int, list[str]]],
    header: Sequence[str],
    columns: Mapping[str, str],
    faults: Faults,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the wanted fields of each row with its line number; `columns` gives each field's column.

    A row of more or fewer fields than the header is counted and skipped. Raises InputError when a
    column is missing or there twice.
    """
    names = columns.values()
    if wrong := [name for name in names if header.count(name) != 1]:
        got = f"{on_one_line(header)}, so none or several of {', '.join(wrong)}"
        refuse(str(path), f"the columns {', '.join(names)} once each", got, "rename them")

    def cells() -> Iterator[tuple[int, dict[str, str]]]:
        places = {field: header.index(name) for field, name in columns.items()}
        for line, row in rows:
            if len(row) == len(header):
                yield line, {field: row[place] for field, place in places.items()}
            else:
                detail = f"{len(row)} fields for {len(header)} columns"
                faults.add(path, line, "wrong number of fields", detail=detail)

    return cells()


def on_one_line(header: Sequence[str]) -> str:
    """Write a header in a message, on one line."""
    return " ".join(", ".join(header).split())[:80] or "no columns"


@dataclass
class Counts:
    """Lengths and distinct words of all texts added; a text is its list of words."""

    lengths: Counter[int] = field(default_factory=Counter)  # words in a text -> texts
    words: Counter[str] = field(default_factory=Counter)  # word -> times

    def add(self, tokens: Sequence[str]) -> None:
        """Count one text, which may have no words. Raises TypeError for a lone `str`."""
        if isinstance(tokens, str):
            msg = f"expected a list of words, got the string {tokens!r}; split it"
            raise TypeError(msg)
        self.lengths[len(tokens)] += 1
        self.words.update(tokens)

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Counts":
        """The counts of many texts."""
        counts = cls()
        for tokens in texts:
            counts.add(tokens)
        return counts

    @property
    def texts(self) -> int:
        """How many texts were added."""
        return self.lengths.total()

    def _mean(self, value: Callable[[int], float]) -> float:
        """The mean over texts of a value of their length; NaN without any text."""
        values = (times * value(length) for length, times in self.lengths.items())
        return math.fsum(values) / (self.texts or math.nan)  # exact: the order changes nothing

    @property
    def mean(self) -> float:
        """Mean length in words; NaN without any text."""
        return self._mean(float)

    @property
    def deviation(self) -> float:
        """Standard deviation of the length in words (divided by the number of texts)."""
        mean = self.mean
        return math.sqrt(self._mean(lambda length: (length - mean) ** 2))

    def share_up_to(self, length: int) -> float:
        """The share of texts of at most `length` words; NaN without any text."""
        return self._mean(lambda words: words <= length)

    def as_dict(self) -> dict[str, Any]:
        """What a record keeps; means and deviations can be computed again from `lengths`."""
        return {
            "texts": self.texts,
            "distinct_words": len(self.words),
            "mean": self.mean,
            "deviation": self.deviation,
            "lengths": {str(length): self.lengths[length] for length in sorted(self.lengths)},
        }
