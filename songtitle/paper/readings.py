"""Published records, and the numbers drawn from them.

A draw is a function from a record's content to what lies there: `at("rows")`, `score("songs:
timbre", 5)`. It may raise where a record has another form; such a record tells nothing.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

Z = 2.576  # 99 % of a normal distribution lies within

Histogram = Mapping[str, int]  # value -> how often
Statistic = Callable[[Histogram], "Estimate"]
Draw = Callable[[Mapping[str, Any]], Any]

# What the inputs of a stage are called in `scores`; its other rows, and those of later seeds, are
# left out.
ALIASES = {
    "samples": {
        **{name: name for name in (f"pictures {s}×{s}" for s in (32, 64, 128, 256))},
        "Million Song, own timbre": "songs: timbre",
    }
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file under `results/`: a stage's record, or what a benchmark measured."""

    name: str  # "quick/scores"
    key: str
    commit: str
    content: dict[str, Any]  # findings, with settings, timing and config beside them

    @property
    def folder(self) -> str:
        """The preset, or `census`, or `benchmarks`."""
        return self.name.split("/")[0]

    @property
    def stage(self) -> str:
        """The stage, or what was counted or measured."""
        return self.name.split("/")[1]

    @property
    def origin(self) -> str:
        """Name, key and commit, for a reader who wants to find it."""
        return f"{self.name} {self.key} (commit {self.commit})".replace("  ", " ")

    @property
    def corpora(self) -> dict[str, str]:
        """Role (train, pictures, timbre, spectrogram) -> corpus, as the record says; else empty."""
        said = self.content["settings"].get("corpora") or self.content.get("corpora")
        return said if isinstance(said, dict) else {}


def read_published(results: Path | Mapping[str, Path]) -> dict[str, Published]:
    """Every record below a folder, or of these files, by its name; one that cannot be read is not
    there."""
    paths = results.glob("*/*.json") if isinstance(results, Path) else results.values()
    found = {}
    for path in sorted(paths, key=lambda path: path.parts[-2:]):
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, json.JSONDecodeError):
            continue
        if isinstance(content, dict):
            record = _published(f"{path.parent.name}/{path.stem}", content)
            found[record.name] = record
    for record in found.values():
        whole = found.get(f"{record.folder}/corpora")
        if whole is not None and whole.corpora and not record.corpora:
            # What a run's stage `corpora` says is true of all its stages.
            said = record.content["settings"] | {"corpora": dict(whole.corpora)}
            record.content["settings"] = said
    return found


def _published(name: str, content: Mapping[str, Any]) -> Published:
    findings, made = content.get("result"), content.get("provenance") or {}
    kept = dict(findings) if isinstance(findings, dict) else dict(content)
    for part in ("settings", "timing", "config"):
        kept[part] = content[part] if isinstance(content.get(part), dict) else {}
    names, rows = ALIASES.get(name.split("/")[1]), kept.get("rows")
    if names and isinstance(rows, list):
        known = [row for row in rows if isinstance(row, dict) and row.get("input") in names]
        first = min((row.get("seed", 0) for row in known), default=0)
        chosen = [row for row in known if row.get("seed", 0) == first]
        kept["rows"] = [row | {"input": names[row["input"]]} for row in chosen]
    key, commit = str(content.get("key", "")), str(made.get("commit"))
    return Published(name=name, key=key, commit=commit, content=kept)


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


def exact(value: float, count: int = 0) -> Estimate:
    """A number that leaves nothing open."""
    return Estimate(value=value, low=value, high=value, count=count)


def estimate(row: Mapping[str, Any], value: str = "score", times: float = 100.0) -> Estimate:
    """A row's number (of scores, in percent points) with `low`, `high` and `chance` beside it."""
    sides = [row.get(name) for name in ("low", "high", "chance")]
    number = times * float(row[value])
    low, high, chance = (None if side is None else times * float(side) for side in sides)
    return Estimate(
        value=number,
        low=number if low is None else low,
        high=number if high is None else high,
        chance=chance,
    )


# -- statistics of a histogram, with their 99 % intervals


def mean(histogram: Histogram) -> Estimate:
    """The mean of the values; its interval from their deviation."""
    total, (centre, second, _) = _moments(histogram)
    return _around(centre, math.sqrt(second) / math.sqrt(total), total)


def deviation(histogram: Histogram) -> Estimate:
    """The standard deviation of the values, by the delta method: var(s) = (m4 - s^4) / 4 n s^2."""
    total, (_, second, fourth) = _moments(histogram)
    value = math.sqrt(second)
    spread = math.sqrt(max(0.0, fourth - second**2) / total)
    return _around(value, spread / (2 * value) if value else 0.0, total)


def share(holds: Callable[[float], bool]) -> Statistic:
    """The share of values that a condition holds for."""

    def of(histogram: Histogram) -> Estimate:
        pairs = _pairs(histogram)
        return wilson(sum(n for value, n in pairs if holds(value)), sum(n for _, n in pairs))

    return of


def lowest(histogram: Histogram) -> Estimate:
    """The lowest value: that of the whole may be lower still."""
    pairs = _pairs(histogram)
    least = min(value for value, _ in pairs)
    return replace(exact(least, sum(n for _, n in pairs)), low=-math.inf)


def highest(histogram: Histogram) -> Estimate:
    """The highest value: that of the whole may be higher still."""
    pairs = _pairs(histogram)
    most = max(value for value, _ in pairs)
    return replace(exact(most, sum(n for _, n in pairs)), high=math.inf)


def second_highest(histogram: Histogram) -> Estimate:
    """The highest value but one."""
    return exact(sorted(value for value, _ in _pairs(histogram))[-2:][0])


def times_of(wanted: int) -> Statistic:
    """How often a value occurs."""
    return lambda histogram: exact(
        float(sum(n for value, n in _pairs(histogram) if value == wanted))
    )


def wilson(count: int, total: int) -> Estimate:
    """A share with Wilson's 99 % interval."""
    part = count / total
    centre = (part + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(part * (1 - part) / total + (Z / (2 * total)) ** 2)
    low, high = min(centre - half, part), max(centre + half, part)
    return Estimate(value=part, low=low, high=high, count=total)


def _pairs(histogram: Histogram) -> list[tuple[float, int]]:
    return [(float(value), int(count)) for value, count in histogram.items()]


def _moments(histogram: Histogram) -> tuple[int, tuple[float, float, float]]:
    """How many values; their mean, and their second and fourth moments about it."""
    pairs = _pairs(histogram)
    total = sum(count for _, count in pairs)
    centre = sum(value * count for value, count in pairs) / total
    second, fourth = (
        sum((value - centre) ** power * count for value, count in pairs) / total for power in (2, 4)
    )
    return total, (centre, second, fourth)


def _around(value: float, error: float, count: int) -> Estimate:
    return Estimate(value=value, low=value - Z * error, high=value + Z * error, count=count)


# -- draws


def at(*keys: str, of: Statistic | None = None, times: float = 1.0) -> Draw:
    """What lies below these keys; with `of`, a statistic of the histogram there, `times` so much.
    A bare number is exact."""
    return partial(_at, keys, of, times)


def both_ways(*keys: str, of: Statistic | None = None, times: float = 1.0) -> Draw:
    """The same, by two ways to cut a text into words, since the paper does not say how it did:
    what spaces part, and what cleaning leaves."""
    return partial(_both_ways, keys, of, times)


def interval(*keys: str, value: str = "value", times: float = 1.0, chance: bool = True) -> Draw:
    """The number below these keys with `low` and `high` beside it, and chance if wanted."""
    return partial(_interval, keys, value, times, chance)


def score(input: str, beam: int, times: float = 100.0) -> Draw:
    """The score of an input at a beam size, in percent points."""
    return partial(_score, (input, beam), times)


def _at(keys: Sequence[str], of: Statistic | None, times: float, content: Any) -> Any:
    for key in keys:
        content = content[key]
    if of is not None:
        found = of(content)
        low, high = found.low * times, found.high * times
        return replace(found, value=found.value * times, low=low, high=high)
    bare = isinstance(content, (int, float)) and not isinstance(content, bool)
    return exact(float(content)) if bare else content


def _both_ways(
    keys: Sequence[str], of: Statistic | None, times: float, content: Any
) -> list[Estimate]:
    ways = ("as_written", "cleaned")
    found = [_at((way, *keys), of, times, content) for way in ways]
    return [
        replace(each, label=way.replace("_", " ")) for each, way in zip(found, ways, strict=True)
    ]


def _interval(
    keys: Sequence[str], value: str, times: float, chance: bool, content: Any
) -> Estimate:
    found = estimate(_at(keys, None, 1.0, content), value, times)
    return found if chance else replace(found, chance=None)


def _score(cell: tuple[str, int], times: float, content: Any) -> Estimate:
    rows = content["rows"]
    found = [row for row in rows if (row.get("input"), row.get("beam_size")) == cell]
    return estimate(found[0], times=times)


# Whose data a number was measured on; earlier ones decide before later ones.
SCOPES = {
    "paper": "the paper's own data",
    "sample": "a sample of the paper's data",
    "other": "tested on other data",
    "part": "another part of the paper's data",
}
PRESETS = ("samples", "best_guess", "course", "quick")  # nearer to the paper come first
# What a record of another form makes a draw or a check raise: it tells nothing.
FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

Corpora = Mapping[str, str]  # role -> corpus


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Values drawn for a test, the records they lie in, and whose data those were made on."""

    values: tuple[Any, ...]
    scope: str = "other"  # of SCOPES
    records: tuple[Published, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of the paper's data were measured: nothing is left to a larger sample."""
        return self.scope == "paper"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check found, and the numbers that say so."""

    holds: bool | None
    here: str = ""


UNTOLD = Outcome(holds=None)


@dataclass(frozen=True)
class Read:
    """One value to draw from records: of some stages in every preset, or of one file.

    | `sampled` | what the samples at hand are of the data that the paper measured |
    |---|---|
    | whole | all of it |
    | sample, excerpt | rows of it, at random or not, which the whole replaces where it is fetched |
    | held_out | what was held out of it at random |
    | part | another part, which decides nothing |
    """

    record: str | tuple[str, ...]  # "census/clips", this one; ("scores",): of any preset
    draw: Draw
    sampled: str = "part"


@dataclass(frozen=True)
class Trial:
    """How a claim is tested, where it is shown, and what would test it where nothing here can.

    Without a check, the paper states what it did or quotes (no measurement can tell), or its own
    numbers decide: `relations` has the claim.
    """

    page: str  # "04_search#tab-4"
    needs: str
    check: Callable[[Reading], Outcome] | None = None
    reads: tuple[Read, ...] = ()
    _: KW_ONLY
    join: bool = False  # all reads together make one reading; else each may decide
    mechanism: bool = False  # other data may decide it, and the verdict says so
    corpora: Corpora = field(default_factory=dict)  # that it was measured on


def readings(trial: Trial, published: Mapping[str, Published]) -> list[Reading]:
    """All that can be drawn for a trial, what decides most surely first."""
    drawn = [
        [
            (record, _scope(read, trial, record), value)
            for record in _matching(read, published)
            if (value := _value(read, record)) is not None
        ]
        for read in trial.reads
    ]
    if not trial.join:
        return sorted((_reading([each]) for found in drawn for each in found), key=_rank)
    folders = dict.fromkeys(record.folder for found in drawn for record, _, _ in found)
    beside = [  # what each folder has of every read; one file goes with every folder
        [
            [each for each in found if isinstance(read.record, str) or each[0].folder == folder]
            for read, found in zip(trial.reads, drawn, strict=True)
        ]
        for folder in folders
    ]
    chosen = [[found[0] for found in parts] for parts in beside if all(parts)]
    return sorted(map(_reading, chosen), key=_rank)


def _reading(drawn: Sequence[tuple[Published, str, Any]]) -> Reading:
    records, scopes, values = zip(*drawn, strict=True)
    unique = {record.name: record for record in records}
    scope = max(scopes, key=tuple(SCOPES).index)
    return Reading(values=values, scope=scope, records=tuple(unique.values()))


def _rank(reading: Reading) -> tuple[int, int]:
    folder = reading.records[0].folder
    nearness = PRESETS.index(folder) if folder in PRESETS else len(PRESETS)
    return tuple(SCOPES).index(reading.scope), nearness


def _matching(read: Read, published: Mapping[str, Published]) -> list[Published]:
    if isinstance(read.record, str):
        return [published[read.record]] if read.record in published else []
    return [
        record
        for record in published.values()
        if record.stage in read.record and record.folder not in ("census", "benchmarks")
    ]


def _scope(read: Read, trial: Trial, record: Published) -> str:
    """Whose data a record's numbers come from."""
    if record.folder == "census":
        fetched = record.content["settings"].get("found") == "data home"
        if read.sampled == "whole" or (fetched and read.sampled in ("sample", "excerpt")):
            return "paper"
        return "sample" if read.sampled in ("sample", "held_out") else "part"
    said, wanted = record.corpora, trial.corpora
    matches = bool(wanted) and all(said.get(role) == name for role, name in wanted.items())
    return "paper" if matches else "other"


def _value(read: Read, record: Published) -> Any:
    try:
        return read.draw(record.content)
    except FORM:
        return None
