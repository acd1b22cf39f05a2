"""Published records, and the numbers drawn from them with what their samples leave open.

A draw is a function from a record's content to a number or rows that lie there. It may raise where
a record has another form; such a record tells nothing.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Z = 2.576  # 99 % of a normal distribution lies within

Draw = Callable[[Mapping[str, Any]], Any]
Histogram = Mapping[str, int]  # value -> how often
Results = Path | Mapping[str, Path]  # a folder of records, or their files by name
Row = Mapping[str, Any]
# What a record of another form makes a draw or a check raise.
FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# What inputs of the stage `samples` are called in `scores`; its other rows are left out.
SAMPLES = {name: name for name in (f"pictures {side}×{side}" for side in (32, 64, 128, 256))}
SAMPLES["Million Song, own timbre"] = "songs: timbre"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One file under `results/`: a stage's record, or what a benchmark measured."""

    name: str  # "quick/scores": a preset, `census` or `benchmarks`, and what was made
    origin: str  # name, key and commit, for a reader who wants to find it
    settings: Mapping[str, Any]
    corpora: Mapping[str, str]  # role (train, pictures, timbre, spectrogram) -> corpus, if it says
    content: Mapping[str, Any]  # findings

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


def _record(name: str, contents: Mapping[str, Mapping[str, Any]]) -> Record:
    folder, stage = name.split("/")
    content, run = contents[name], contents.get(f"{folder}/corpora", {})
    findings = dict(_part(content, "result") or content)
    rows = findings.get("rows")
    if stage == "samples" and isinstance(rows, list):
        known = [row for row in rows if isinstance(row, dict) and row.get("input") in SAMPLES]
        first = min((row.get("seed", 0) for row in known), default=0)
        chosen = [row for row in known if row.get("seed", 0) == first]
        findings["rows"] = [row | {"input": SAMPLES[row["input"]]} for row in chosen]
    key, commit = content.get("key", ""), _part(content, "provenance").get("commit")
    return Record(
        name=name,
        origin=f"{name} {key} (commit {commit})".replace("  ", " "),
        settings=_part(content, "settings"),
        corpora=_corpora(content) or _corpora(run),  # what a run says is true of all its stages
        content=findings,
    )


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _corpora(content: Mapping[str, Any]) -> Mapping[str, str]:
    said = _part(_part(content, "settings"), "corpora")
    return said or _part(_part(content, "result"), "corpora")


# -- numbers with their uncertainty


@dataclass(frozen=True, kw_only=True)
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


def exact(value: float) -> Estimate:
    """Make an estimate of a number that leaves nothing open."""
    return Estimate(value=value, low=value, high=value)


def estimate(row: Row, value: str = "score", times: float = 100.0) -> Estimate:
    """Take a row's number (a score, in percent points) with `low`, `high`, `chance` beside it."""
    number = times * float(row[value])
    low, high = (
        number if row.get(side) is None else times * float(row[side]) for side in ("low", "high")
    )
    chance = None if row.get("chance") is None else times * float(row["chance"])
    return Estimate(value=number, low=low, high=high, chance=chance)


def estimates(value: Any) -> list[Estimate]:
    """Take a value, or a list of them, as estimates; a bare number is exact."""
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in estimates(item)]
    return [value if isinstance(value, Estimate) else exact(float(value))]


def mean(histogram: Histogram) -> Estimate:
    """Estimate the mean of the values; its interval from their deviation."""
    total, centre, second, _ = _moments(histogram)
    return _around(centre, math.sqrt(second) / math.sqrt(total), total)


def deviation(histogram: Histogram) -> Estimate:
    """Estimate the standard deviation, by the delta method: var(s) = (m4 - s^4) / 4 n s^2."""
    total, _, second, fourth = _moments(histogram)
    value = math.sqrt(second)
    spread = math.sqrt(max(0.0, fourth - second**2) / total)
    return _around(value, spread / (2 * value) if value else 0.0, total)


def _around(value: float, error: float, count: int) -> Estimate:
    return Estimate(value=value, low=value - Z * error, high=value + Z * error, count=count)


def share(histogram: Histogram, holds: Callable[[float], bool]) -> Estimate:
    """Estimate the share of values that a condition holds for, with Wilson's interval."""
    counts = pairs(histogram)
    return wilson(sum(n for value, n in counts if holds(value)), sum(n for _, n in counts))


def lowest(histogram: Histogram) -> Estimate:
    """Take the lowest value: that of the whole may be lower still."""
    return replace(exact(min(value for value, _ in pairs(histogram))), low=-math.inf)


def highest(histogram: Histogram) -> Estimate:
    """Take the highest value: that of the whole may be higher still."""
    return replace(exact(max(value for value, _ in pairs(histogram))), high=math.inf)


def wilson(count: int, total: int) -> Estimate:
    """Estimate a share with Wilson's 99 % interval."""
    part = count / total
    centre = (part + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(part * (1 - part) / total + (Z / (2 * total)) ** 2)
    low, high = min(centre - half, part), max(centre + half, part)
    return Estimate(value=part, low=low, high=high, count=total)


def pairs(histogram: Histogram) -> list[tuple[float, int]]:
    """List values, each with how often it occurs."""
    return [(float(value), int(count)) for value, count in histogram.items()]


def _moments(histogram: Histogram) -> tuple[int, float, float, float]:
    """Give how many values there are, their mean, and their second and fourth moments about it."""
    counts = pairs(histogram)
    total = sum(count for _, count in counts)
    centre = sum(value * count for value, count in counts) / total
    second, fourth = (
        sum((value - centre) ** power * count for value, count in counts) / total
        for power in (2, 4)
    )
    return total, centre, second, fourth
