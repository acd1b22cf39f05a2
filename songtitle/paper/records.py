"""Published records, the numbers drawn from them, and what their samples leave open.

A check draws its numbers from a `Reading` of a record and holds them against those of the ledger.
It answers whether the claim holds (None: the record cannot tell), and gives the numbers that say
so: what stands bare in them is printed on the claim's page, too; intervals, chance, and what is
worked out, stand in brackets. It may raise where a record has another form, which tells nothing.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from songtitle.config import SPECTROGRAM, TIMBRE, Input
from songtitle.errors import InputError
from songtitle.paper.ledger import Numbers, Real, compare, written
from songtitle.schema import refuse

Z = 2.576  # 99 % of a normal distribution lies within

Row = Mapping[str, Any]
Draw = Callable[[Row], Any]  # from a record's findings to a number, or several
Histogram = Mapping[str, int]  # value -> how often
Results = Path | Mapping[str, Path]  # a folder of records, or their files by name
# What a record of another form makes a check raise.
FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# What songs of the stage `samples` are called in `scores`, and its rows that are none of Table 4.
SAMPLES = {"Million Song, own timbre": TIMBRE, "Recordings, spectrogram": SPECTROGRAM}
BESIDE = (
    *("Million Song, all 90 numbers", "Million Song, timbre of another", "Recordings, timbre"),
    *("FMA clips, spectrogram", "FMA clips, timbre"),
)
SEEDED = ("samples", "replicates")  # stages with a row for each seed
# Whose data a record says that it was made on, as the setting `corpora` calls them; nearest to the
# paper's first. Rehearsals are made up, and decide nothing.
CORPORA = ("paper", "samples", "book", "rehearsal")
# What the stage `corpora` calls those of each role where all of them are the paper's own.
OWN = dict.fromkeys(("train", "pictures"), "Conceptual Captions")
OWN |= {"timbre": "Million Song", "spectrogram": "Free Music Archive"}
# Of a cell, what its summary calls it, which knows of trainings and of series.
OVER = {"score": "score", "low": "score_low", "high": "score_high"}
OVER |= {name: name for name in ("gain", "gain_low", "gain_high")}
MEANS = (*OVER, "chance", "seeds")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One file under `results/`: a stage's record, or what a benchmark measured."""

    name: str  # "quick/scores": a preset, `census` or `benchmarks`, and what was made
    origin: str  # name, key and commit, for a reader who wants to find it
    settings: Row
    corpora: str  # of CORPORA; empty where it does not say, or names a reader's own
    some: bool  # learnt from some of their pictures only
    content: Row  # findings

    @property
    def folder(self) -> str:
        """The preset, or `census`, or `benchmarks`."""
        return self.name.split("/")[0]


def read_records(results: Results) -> dict[str, Record]:
    """Read every record below a folder, or of these files, by its name, in the order of names.

    One that cannot be read is not there. Raises InputError for corpora that are not known, and what
    `over_seeds` raises.
    """
    paths = results.glob("*/*.json") if isinstance(results, Path) else results.values()
    contents = {}
    for path in sorted(paths, key=lambda path: path.parts[-2:]):
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            contents[f"{path.parent.name}/{path.stem}"] = content
            if path.stem == "scores":
                with contextlib.suppress(OSError, *FORM):
                    _add_times(content["result"]["rows"], path.with_name("table_4.csv"))
    records = {name: _record(name, content) for name, content in contents.items()}
    for name, record in records.items():
        several = records.get(other := f"{record.folder}/replicates")
        if several and name.endswith("/scores") and _run(contents[name]) == _run(contents[other]):
            # What one training says is told by all of them.
            means = {_cell(row): row for row in several.content.get("rows", ())}
            for row in record.content.get("rows", ()):
                row |= {name: means.get(_cell(row), row).get(name) for name in MEANS}
    return records


def _run(content: Row) -> tuple[Any, ...]:
    """What tells records of one folder apart that were made on other corpora."""
    said = (_part(content, part).get("corpora") for part in ("settings", "config", "inputs"))
    return tuple(said)


def _cell(row: Row) -> tuple[str, int]:
    return row["input"], row["beam_size"]


def _add_times(rows: Sequence[dict[str, Any]], table: Path) -> None:
    """Add to rows of scores the seconds of search beside them, where the table is of these."""
    times = pd.read_csv(table, float_precision="round_trip")
    for row, (_, timed) in zip(rows, times.iterrows(), strict=True):
        if all(row[name] == timed[name] for name in ("input", "beam_size", "score")):
            row["seconds"] = timed["seconds"]


def _record(name: str, content: Row) -> Record:
    stage = name.split("/")[1]
    findings, settings = dict(_part(content, "result") or content), _part(content, "settings")
    config = _part(content, "config")
    corpora, some = _corpora(name, settings.get("corpora"), config)
    if stage in (*SEEDED, "scores"):
        rows, summary = findings.pop("rows", []), findings.get("summary", ())
        try:
            findings["rows"] = over_seeds(name, rows, settings.get("replicates"), summary)
        except InputError:
            raise
        except FORM:
            pass
    commit = _part(content, "provenance").get("commit")
    return Record(
        name=name,
        origin=f"{name} {content.get('key', '')} (commit {commit})".replace("  ", " "),
        settings=settings,
        corpora=corpora,
        some=some,
        content=findings,
    )


def _corpora(name: str, said: Any, config: Row) -> tuple[str, bool]:
    """Say whose data a record was made on, and whether it learnt from some of its pictures only.

    Its settings or its preset's have the word; or the settings have a corpus for each role, of
    which all have to be the paper's own, or none counts as that.
    """
    word = said if isinstance(said, str) else config.get("corpora") or ""
    some = config.get("picture_count") is not None or not config.get("runs", True)
    if isinstance(said, dict):
        word, some = ("paper", False) if said == OWN else (word, True)
    elif not isinstance(said, str | None):
        word = said
    if word not in ("", *CORPORA) and not str(word).endswith(".toml"):
        wanted = f"one of {', '.join(CORPORA)}, or a reader's own TOML file"
        refuse(f"{name}: corpora", wanted, repr(word), "name one of them")
    return (word if word in CORPORA else ""), some


def over_seeds(
    about: str, rows: Sequence[Row], trained: int | None = None, summary: Sequence[Row] = ()
) -> list[dict[str, Any]]:
    """Average rows over trainings, `seeds` of them, for each input and beam size.

    Each cell is of one training or of all `trained` (None: the most of any cell), and then has its
    means and intervals from `summary`, as every page has them. Inputs are called as in `scores`.
    Raises InputError, which begins with `about`, for an input that is not known, for a training
    that is missing or too many, and for several trainings without a summary.
    """
    cells: dict[tuple[Input, int], list[Row]] = {}
    for row in rows:
        if row["input"] not in BESIDE:
            cells.setdefault((_input(about, row["input"]), int(row["beam_size"])), []).append(row)
    trained = trained or max(map(len, cells.values()), default=1)
    for (of, size), cell in cells.items():
        seeds = sorted(row.get("seed", 0) for row in cell)
        if len(set(seeds)) < len(seeds) or len(seeds) not in (1, trained):
            wanted = f"a row of each of {trained} seeds, or of one alone"
            refuse(f"{about}: {of}, k = {size}", wanted, f"seeds {seeds}", "run the stage again")
    told = {
        (_input(about, row["input"]), int(row["beam_size"])): row
        for row in summary
        if row["input"] not in BESIDE
    }
    averaged = []
    for (of, size), cell in cells.items():
        row = {**cell[0], "input": str(of), "tile_size": of.tile, "beam_size": size}
        whole = told.get((of, size), {})
        if whole.get("seeds") == len(cell):
            row |= {name: whole[its] for name, its in OVER.items()}
            row["chance"] = fmean(each["chance"] for each in cell)
        elif len(cell) > 1:
            wanted = f"a summary of its {len(cell)} trainings"
            refuse(f"{about}: {of}, k = {size}", wanted, "none", "run the stage again")
        averaged.append(row | {"seeds": len(cell)})
    return averaged


def _input(about: str, name: str) -> Input:
    try:
        return Input.of(SAMPLES.get(name, name))
    except InputError:
        known = f"pictures, songs, or one of {', '.join((*SAMPLES, *BESIDE))}"
        refuse(f"{about}: input", known, repr(name), "say in songtitle.paper.records what it is")


def _part(content: Row, name: str) -> Row:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


# -- how a record may decide a claim


@dataclass(frozen=True)
class Source:
    """Records by their name, a `*` standing for any preset.

    | `sampled` | what the samples at hand are of the data that the paper measured |
    |---|---|
    | whole | all of it |
    | sample, excerpt | rows of it, at random or not, which the whole replaces where it is fetched |
    | held_out | what was held out of it at random |
    | part | another part, which decides nothing |
    """

    name: str  # "census/clips", "*/scores"
    sampled: str = "part"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a check looks at: a record's findings, and whose data it was made on."""

    found: Any  # of a trial that joins its sources, the findings of each
    scope: str = "other"  # of judging.SCOPES
    records: tuple[Record, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of the paper's data were counted: nothing is left to a larger sample."""
        return self.scope == "paper" and all(each.folder == "census" for each in self.records)


Outcome = tuple[bool | None, str]  # whether it holds, and the numbers that say so
Check = Callable[[Reading, Numbers], Outcome]
UNTOLD: Outcome = None, ""


@dataclass(frozen=True)
class Trial:
    """How records may decide a claim."""

    check: Check
    sources: tuple[Source, ...]
    join: bool = False  # all sources together make one reading; else each may decide
    mechanism: bool = False  # other data may decide it, and the verdict says so


# -- numbers with their uncertainty


@dataclass(frozen=True)
class Estimate:
    """A number, what is left open by the size of its sample, and what chance gives."""

    value: float
    low: float
    high: float
    count: int = 0
    chance: float | None = None
    label: str = ""  # which of several ways to count
    of: tuple["Estimate", ...] = ()  # what it was worked out from

    def times(self, factor: float) -> "Estimate":
        """Give the number in another unit."""
        low, high = self.low * factor, self.high * factor
        return replace(self, value=self.value * factor, low=low, high=high)

    def __str__(self) -> str:
        text = written(self.value)
        if self.low < self.high and math.isfinite(self.low) and math.isfinite(self.high):
            text += f" [{written(self.low)}, {written(self.high)}]"
        if self.chance is not None:
            text += f" (chance {written(self.chance)})"
        if self.of:
            text = f"{' and '.join(map(str, self.of))} ({text})"
        return f"{text} {self.label}".strip()


def exact(value: float) -> Estimate:
    """Make an estimate of a number that leaves nothing open."""
    return Estimate(value, value, value)


def estimate(row: Row, value: str = "score", times: float = 100.0) -> Estimate:
    """Take a row's number (a score, in percent points) with `low`, `high`, `chance` beside it."""
    beside = [name for name in ("low", "high", "chance") if row.get(name) is not None]
    given: dict[str, Any] = {name: times * float(row[name]) for name in beside}
    return replace(exact(times * float(row[value])), **given)


def estimates(value: Any) -> list[Estimate]:
    """Take a value, or a list of them, as estimates; a bare number is exact."""
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in estimates(item)]
    return [value if isinstance(value, Estimate) else exact(float(value))]


def values(histogram: Histogram) -> np.ndarray:
    """List all values, each as often as it occurs."""
    counts = [int(count) for count in histogram.values()]
    found = np.repeat([float(value) for value in histogram], counts)
    if not len(found):
        msg = f"expected some values, got {histogram}"
        raise ValueError(msg)
    return found


def mean(histogram: Histogram) -> Estimate:
    """Estimate the mean of the values; its interval from their deviation."""
    found = values(histogram)
    return _around(found.mean(), found.std() / math.sqrt(len(found)), len(found))


def deviation(histogram: Histogram) -> Estimate:
    """Estimate the standard deviation, by the delta method: var(s) = (m4 - s^4) / 4 n s^2."""
    found = values(histogram)
    value, fourth = float(found.std()), float(((found - found.mean()) ** 4).mean())
    spread = math.sqrt(max(0.0, fourth - value**4) / len(found))
    return _around(value, spread / (2 * value) if value else 0.0, len(found))


def _around(value: float, error: float, count: int) -> Estimate:
    return Estimate(float(value), float(value - Z * error), float(value + Z * error), count)


def lowest(histogram: Histogram) -> Estimate:
    """Take the lowest value, a count: that of the whole may be lower still, down to one."""
    found = float(values(histogram).min())
    return replace(exact(found), low=min(found, 1.0))


def highest(histogram: Histogram) -> Estimate:
    """Take the highest value: that of the whole may be higher still."""
    return replace(exact(float(values(histogram).max())), high=math.inf)


def share(histogram: Histogram, holds: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """Estimate the share of values that a condition holds for, with Wilson's 99 % interval."""
    found = holds(values(histogram))
    part, total = float(found.mean()), len(found)
    centre = (part + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(part * (1 - part) / total + (Z / (2 * total)) ** 2)
    return Estimate(part, min(centre - half, part), max(centre + half, part), total)


# -- comparisons, as `ledger.compare` but of what samples leave open


def inside(found: Estimate, low: Real = -math.inf, high: Real = math.inf) -> bool | None:
    """Say whether a number lies in a range: True where its whole interval does (equivalence, by two
    one-sided tests), False where none of it does, else None."""
    if compare(low, "≤", found.low) and compare(found.high, "≤", high):
        return True
    return False if found.high < low or found.low > high else None


def near(id: str, draw: Draw, within: Real | str = 0) -> Check:
    """Check that a number, with what its sample leaves open, is the ledger's up to a tolerance.

    A `str` names a number of the ledger: such a part of the claimed one is tolerated. Several
    estimates are ways to count: one has to agree, and between two that do not it cannot be told.
    """

    def check(reading: Reading, n: Numbers) -> Outcome:
        claimed, found = float(n[id]), estimates(draw(reading.found))
        slack = n[within] * claimed if isinstance(within, str) else within
        ways = [exact(each.value) if reading.whole else each for each in found]
        low, high = claimed - slack, claimed + slack
        agree = [inside(way, low, high) for way in ways]
        beside = {way.high < low for way in ways}  # on which side of it they lie
        holds = True in agree or (False if set(agree) == {False} and len(beside) == 1 else None)
        first, *others = map(str, found)
        if True in agree:
            others.append(f"{agree.count(True)} of {len(ways)} ways agree")
        return holds, f"{first} ({'; '.join(others)})" if len(ways) > 1 else first

    return check


def bounded(draw: Draw, sign: str, bound: str) -> Check:
    """Check that a number, with its interval, keeps a bound (≤ or ≥) that the ledger names."""

    def check(reading: Reading, n: Numbers) -> Outcome:
        (found,) = estimates(draw(reading.found))
        limit = n[bound]
        return (inside(found, limit) if sign == "≥" else inside(found, high=limit)), str(found)

    return check


def gap(first: Estimate, second: Estimate) -> Estimate:
    """Estimate by how much the second exceeds the first, as if the two were independent.

    Where they are of the same items the interval is too wide rather than too narrow.
    """
    value = second.value - first.value
    half = math.hypot(first.high - first.low, second.high - second.low) / 2
    return Estimate(value, value - half, value + half, of=(first, second))


def apart(first: Estimate, second: Estimate) -> bool | None:
    """Say whether the first is below the second; None where their intervals overlap."""
    if first.high < second.low:
        return True
    return False if second.high < first.low else None


def less(first: Estimate, second: Estimate) -> Outcome:
    """Say whether the first is below the second, and show both."""
    return apart(first, second), f"{first} and {second}"


def quotient(first: Estimate, second: Estimate) -> Estimate:
    """Estimate the first, over the second, by the ends of their intervals."""
    low = max(first.low, 0) / second.high
    high = first.high / second.low if second.low > 0 else math.inf
    return Estimate(first.value / second.value, low, high, of=(first, second))


def of_all(found: Sequence[bool | None]) -> bool | None:
    """Say whether all hold: False where one clearly does not, None where one cannot be told."""
    return None if not found or (None in found and False not in found) else False not in found
