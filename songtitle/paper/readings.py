"""Readings: the values that the trial of a claim draws from published records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from songtitle.paper.records import Draw, Published

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
