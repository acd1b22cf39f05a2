"""Published records, the numbers drawn from them, and what their samples leave open.

A check draws its numbers from a `Reading` of a record and holds them against those of the ledger.
It answers whether the claim holds (None: the record cannot tell), and gives the numbers that say
so. It may raise where a record has another form; such a record tells nothing.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.config import Input
from songtitle.errors import InputError
from songtitle.metrics.chance import replicate_interval
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
SAMPLES = {
    "Million Song, own timbre": "songs: timbre",
    "Recordings, spectrogram": "songs: spectrogram",
}
BESIDE = (
    *("Million Song, all 90 numbers", "Million Song, timbre of another", "Recordings, timbre"),
    *("FMA clips, spectrogram", "FMA clips, timbre"),
)
SEEDED = ("samples", "replicates")  # stages with a row for each seed


@dataclass(frozen=True, kw_only=True)
class Record:
    """One file under `results/`: a stage's record, or what a benchmark measured."""

    name: str  # "quick/scores": a preset, `census` or `benchmarks`, and what was made
    origin: str  # name, key and commit, for a reader who wants to find it
    settings: Row
    corpora: Mapping[str, str]  # role (train, pictures, timbre, spectrogram) -> corpus, if it says
    content: Row  # findings

    @property
    def folder(self) -> str:
        """The preset, or `census`, or `benchmarks`."""
        return self.name.split("/")[0]


def read_records(results: Results) -> dict[str, Record]:
    """Read every record below a folder, or of these files, by its name, in the order of names.

    One that cannot be read is not there.
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
    return {name: _record(name, contents) for name in contents}


def _record(name: str, contents: Mapping[str, Row]) -> Record:
    content, (folder, stage) = contents[name], name.split("/")
    run = contents.get(f"{folder}/corpora", {})  # what a run says is true of all its stages
    findings = dict(_part(content, "result") or content)
    if stage in SEEDED:
        rows = findings.pop("rows", [])
        try:
            findings["rows"] = over_seeds(name, rows)
        except InputError:
            raise
        except FORM:
            pass
    commit = _part(content, "provenance").get("commit")
    said = (
        _part(each, part, "corpora") for each in (content, run) for part in ("settings", "result")
    )
    return Record(
        name=name,
        origin=f"{name} {content.get('key', '')} (commit {commit})".replace("  ", " "),
        settings=_part(content, "settings"),
        corpora=next(filter(None, said), {}),
        content=findings,
    )


def over_seeds(about: str, rows: Sequence[Row]) -> list[Row]:
    """Average rows over trainings, `seeds` of them, for each input and beam size.

    Inputs are called as in `scores`. Raises InputError, which begins with `about`, for one that is
    not known, so that none is left out in silence.
    """
    cells: dict[tuple[Input, int], list[Row]] = {}
    for row in rows:
        if row["input"] not in BESIDE:
            cells.setdefault((_input(about, row["input"]), int(row["beam_size"])), []).append(row)
    return [
        _averaged(cell)
        | {"input": str(of), "tile_size": of.tile, "beam_size": size, "seeds": len(cell)}
        for (of, size), cell in cells.items()
    ]


def _input(about: str, name: str) -> Input:
    try:
        return Input.of(SAMPLES.get(name, name))
    except InputError:
        known = f"pictures, songs, or one of {', '.join((*SAMPLES, *BESIDE))}"
        refuse(f"{about}: input", known, repr(name), "say in songtitle.paper.records what it is")


def _averaged(rows: Sequence[Row]) -> dict[str, Any]:
    """Average scores and gains, with intervals that know of items and of seeds: the half widths of
    the two, which are independent, add in squares."""
    found = dict(rows[0])
    if len(rows) == 1:
        return found
    for value, low, high in (("score", "low", "high"), ("gain", "gain_low", "gain_high")):
        each = np.array([row[value] for row in rows])
        middle, upper = each.mean(), replicate_interval(each)[1]
        half = math.hypot(upper - middle, np.mean([row[high] - row[low] for row in rows]) / 2)
        found |= {value: middle, low: middle - half, high: middle + half}
    return found | {"chance": np.mean([row["chance"] for row in rows])}


def _part(content: Row, *names: str) -> Row:
    for name in names:
        found = content.get(name)
        content = found if isinstance(found, dict) else {}
    return content


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
        """Whether all of the paper's data were measured: nothing is left to a larger sample."""
        return self.scope == "paper"


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
    corpora: Mapping[str, str] | None = None  # role -> corpus that the paper measured it on


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
    """Take the lowest value: that of the whole may be lower still."""
    return replace(exact(float(values(histogram).min())), low=-math.inf)


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


def near(id: str, draw: Draw, within: Real | str = 0) -> Check:
    """Check that a number is the ledger's, within a tolerance and what the sample leaves open.

    A `str` names a number of the ledger: such a part of the claimed one is tolerated. Several
    estimates are ways to count: the paper's number may lie between them.
    """

    def check(reading: Reading, n: Numbers) -> Outcome:
        claimed, found = float(n[id]), estimates(draw(reading.found))
        slack = n[within] * claimed if isinstance(within, str) else within
        sides = [(e.value, e.value) if reading.whole else (e.low, e.high) for e in found]
        low, high = min(side[0] for side in sides), max(side[1] for side in sides)
        holds: bool | None = low - slack <= claimed <= high + slack
        if holds and not (math.isfinite(low) and math.isfinite(high)):
            # The shortest title of a sample says only that the shortest of all is no longer.
            holds = any(abs(each.value - claimed) <= slack for each in found) or None
        return holds, ", ".join(map(str, found))

    return check


def bounded(draw: Draw, sign: str, bound: Real | str) -> Check:
    """Check that a number keeps a bound, itself a number or the name of one in the ledger."""

    def check(reading: Reading, n: Numbers) -> Outcome:
        (found,) = estimates(draw(reading.found))
        limit = n[bound] if isinstance(bound, str) else bound
        return compare(found.value, sign, limit), str(found)

    return check


def apart(first: Estimate, second: Estimate) -> bool | None:
    """Say whether the first is below the second; None where their intervals overlap."""
    if first.high < second.low:
        return True
    return False if second.high < first.low else None


def less(first: Estimate, second: Estimate) -> Outcome:
    """Say whether the first is below the second, and show both."""
    return apart(first, second), f"{first} and {second}"


def all_or_clearly_not(every: bool, clear: Sequence[bool | None]) -> bool | None:
    """Holds for all; fails where an interval says so; between the two it cannot be told."""
    if not clear:
        return None
    return every or (False if True in clear else None)
