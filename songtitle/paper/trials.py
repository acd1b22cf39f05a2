"""Trials: how a published record may decide what the paper says.

A check takes a `Reading` and the numbers of the ledger. It answers whether the claim holds (None:
the reading cannot tell), and gives the numbers that say so. The claims that the census may decide
are in `counts`, those that runs may decide in `scores`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from songtitle.paper.ledger import Numbers, Real, compare, written
from songtitle.paper.records import Draw, Estimate, Record, estimates


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was drawn for a trial, the records it lies in, and whose data those were made on."""

    value: Any  # of a trial that joins its reads, one value each
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

    def lies_in(self, record: Record) -> bool:
        """Say whether this is one of the records to draw from."""
        if isinstance(self.record, str):
            return record.name == self.record
        folder, stage = record.name.split("/")
        return stage in self.record and folder not in ("census", "benchmarks")


@dataclass(frozen=True)
class Trial:
    """How records may decide a claim."""

    check: Check
    reads: tuple[Read, ...]
    join: bool = False  # all reads together make one reading; else each may decide
    mechanism: bool = False  # other data may decide it, and the verdict says so
    corpora: Mapping[str, str] | None = None  # role -> corpus that the paper measured it on


def trial(trials: dict[str, Trial], id: str, *reads: Read, **how: Any) -> Callable[[Check], Check]:
    """Enter a check as the one that decides a claim; `how` are fields of its `Trial`."""

    def enter(check: Check) -> Check:
        trials[id] = Trial(check, reads, **how)
        return check

    return enter


# -- comparisons, as `ledger.compare` but of what samples leave open


def near(id: str, tolerance: Real = 0, share: str = "") -> Check:
    """Check that a number is the ledger's, within a tolerance and what the sample leaves open.

    `share` names a number of the ledger: such a part of the claimed number is tolerated. Several
    estimates are ways to count: the paper's number may lie between them.
    """

    def check(reading: Reading, n: Numbers) -> Outcome:
        claimed, found = float(n[id]), estimates(reading.value)
        slack = n[share] * claimed if share else tolerance
        sides = [(e.value, e.value) if reading.whole else (e.low, e.high) for e in found]
        low, high = min(side[0] for side in sides), max(side[1] for side in sides)
        holds: bool | None = low - slack <= claimed <= high + slack
        if holds and not (math.isfinite(low) and math.isfinite(high)):
            # The shortest title of a sample says only that the shortest of all is no longer.
            holds = any(abs(each.value - claimed) <= slack for each in found) or None
        return holds, show(*found)

    return check


def bounded(sign: str, bound: Real | str) -> Check:
    """Check that no number breaks a bound, itself a number or the name of one in the ledger."""

    def check(reading: Reading, n: Numbers) -> Outcome:
        found, limit = estimates(reading.value), n[bound] if isinstance(bound, str) else bound
        return all(compare(each.value, sign, limit) for each in found), show(*found)

    return check


def apart(first: Estimate, second: Estimate) -> bool | None:
    """Say whether the first is below the second; None where their intervals overlap."""
    if first.high < second.low:
        return True
    return False if second.high < first.low else None


def less(first: Estimate, second: Estimate) -> Outcome:
    """Say whether the first is below the second, and show both."""
    return apart(first, second), show(first, second, by=" and ")


def show(*found: Estimate, by: str = ", ") -> str:
    """Write values with their intervals and their chance levels, as far as they have them."""
    return by.join(map(_shown, found))


def _shown(value: Estimate) -> str:
    text = written(value.value)
    if value.low < value.high and math.isfinite(value.low) and math.isfinite(value.high):
        text += f" [{written(value.low)}, {written(value.high)}]"
    if value.chance is not None:
        text += f" (chance {written(value.chance)})"
    return f"{text} {value.label}".strip()
