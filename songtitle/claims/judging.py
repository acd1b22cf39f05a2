"""Verdicts: every claim of the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from songtitle.claims.arithmetic import Relation, Worked, names_in, work
from songtitle.claims.checks import CHECKS
from songtitle.claims.ledger import RELATION, Claim, Inconsistency, Ledger, Read, Test, read_ledger
from songtitle.claims.outcomes import Outcome
from songtitle.claims.printed import CLAIMS
from songtitle.claims.records import (
    SCOPES,
    Estimate,
    Published,
    draw,
    read_published,
    statistic,
)
from songtitle.errors import InputError

HOLDS, FAILS = "holds", "fails"
OPEN, INCONSISTENT = "not testable here", "inconsistent in the paper"
VERDICTS = (HOLDS, FAILS, OPEN, INCONSISTENT)
RESULTS = CLAIMS.parents[1] / "results"
RANK = tuple(SCOPES)
ORDER = ("samples", "best_guess", "course", "quick")  # presets nearer to the paper come first


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim, and why."""

    id: str
    kind: str  # "number", "sentence" or "inconsistency"
    where: str
    says: str
    verdict: str  # one of VERDICTS
    scope: str  # whose data decided: a value of SCOPES; empty where nothing could
    here: str  # the numbers that decided, or those nearest to it
    why: str  # a sentence
    page: str  # "04_search#tab-4"
    needs: str  # what would test it; for an inconsistency, what this book does about it
    weight: str = ""  # of an inconsistency
    sources: tuple[str, ...] = ()  # of numbers that are not the paper's
    records: tuple[str, ...] = ()  # name, key and commit of each


@dataclass(frozen=True, kw_only=True)
class _Reading:
    scope: str
    values: tuple[Any, ...]
    records: tuple[Published, ...]


def verdicts(results: Path = RESULTS, ledger: Ledger | None = None) -> list[Verdict]:
    """Every claim and every inconsistency of the ledger, each with its verdict."""
    book, published = ledger or read_ledger(), read_published(results)
    clashes, doubted = _clashes(book)
    claims = [_judge(claim, book, published, doubted.get(claim.id, [])) for claim in book.claims]
    return [*claims, *clashes]


def verdict(id: str, results: Path = RESULTS, ledger: Ledger | None = None) -> Verdict:
    """The verdict on one entry of the ledger. Raises InputError for a name that is not in it."""
    book = ledger or read_ledger()
    for claim in book.claims:
        if claim.id == id:
            _, doubted = _clashes(book, about=id)
            return _judge(claim, book, read_published(results), doubted.get(id, []))
    for each in book.inconsistencies:
        if each.id == id:
            return _judge_relations(each, book)
    msg = f"verdict: expected the name of an entry of {CLAIMS.name}, got {id!r}; look it up there"
    raise InputError(msg)


def _clashes(book: Ledger, about: str = "") -> tuple[list[Verdict], dict[str, list[str]]]:
    """The inconsistencies (those about one claim) judged; claim -> those it cannot stand beside."""
    chosen = [each for each in book.inconsistencies if not about or about in each.doubts]
    clashes = [_judge_relations(each, book) for each in chosen]
    doubted: dict[str, list[str]] = {}
    for each, found in zip(chosen, clashes, strict=True):
        if found.verdict == INCONSISTENT:
            for id in each.doubts:
                doubted.setdefault(id, []).append(each.id)
    return clashes, doubted


def _judge(
    claim: Claim, ledger: Ledger, published: Mapping[str, Published], doubts: list[str]
) -> Verdict:
    test = claim.test
    blank = Verdict(
        id=claim.id,
        kind=claim.kind,
        where=claim.where,
        says=claim.says,
        verdict=OPEN,
        scope="",
        here="",
        why="No record here was made on the data that this was measured on.",
        page=test.page,
        needs=test.needs,
    )
    if test.check == RELATION:
        worked = work(Relation(**test.parameters), ledger.numbers)
        verdict = HOLDS if worked.holds else FAILS
        why = f"The paper's own numbers {'agree' if worked.holds else 'do not agree'}."
        return replace(blank, verdict=verdict, scope=SCOPES["ledger"], here=worked.text, why=why)
    nearest: list[tuple[_Reading, Outcome]] = []
    for reading in _readings(test, published):
        outcome = _check(claim, reading)
        if outcome.holds is not None and _decides(reading.scope, test):
            return replace(
                blank,
                verdict=HOLDS if outcome.holds else FAILS,
                scope=SCOPES[reading.scope],
                here=_beside([(reading, outcome)]),
                why=_why(reading, outcome),
                records=tuple(record.origin for record in reading.records),
            )
        if outcome.here:
            nearest.append((reading, outcome))
    nearest = nearest[:2]
    blank = replace(
        blank,
        here=_beside(nearest),
        records=tuple(record.origin for reading, _ in nearest for record in reading.records),
    )
    if doubts:
        why = f"It cannot stand beside the rest of the paper: {', '.join(doubts)}."
        return replace(blank, verdict=INCONSISTENT, scope=SCOPES["ledger"], why=why)
    if test.check == "stated":
        return replace(
            blank, why="The paper states what it did or quotes; there is no code to see."
        )
    if any(_decides(reading.scope, test) for reading, _ in nearest):
        return replace(blank, why="What was measured here cannot tell.")
    return replace(blank, why=blank.why if not nearest else "Measured here on other data only.")


def _judge_relations(each: Inconsistency, ledger: Ledger) -> Verdict:
    worked: list[Worked] = [work(relation, ledger.numbers) for relation in each.relations]
    broken = [found for found in worked if not found.holds]
    why = (
        f"{len(broken)} of {len(worked)} relations between its numbers do not hold."
        if broken
        else "Every relation between its numbers holds."
    )
    names = {name for relation in each.relations for name in names_in(relation)}
    outside = any(name.startswith("outside.") for name in names)
    return Verdict(
        id=each.id,
        kind="inconsistency",
        where=each.where,
        says=each.says,
        verdict=INCONSISTENT if broken else HOLDS,
        scope=SCOPES["outside" if outside else "ledger"],
        here="\n".join(found.text for found in worked),
        why=why,
        page=each.page,
        needs=each.here,
        weight=each.weight,
        sources=tuple(ledger.sources[name] for name in sorted(names & ledger.sources.keys())),
    )


def _decides(scope: str, test: Test) -> bool:
    return scope in ("paper", "sample") or (scope == "other" and test.mechanism)


def _check(claim: Claim, reading: _Reading) -> Outcome:
    parameters: dict[str, Any] = dict(claim.test.parameters)
    check = CHECKS[claim.test.check]
    if "claimed" in inspect.signature(check).parameters:
        parameters["claimed"] = claim.value
    try:
        return check(reading.values, whole=reading.scope == "paper", **parameters)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Outcome(holds=None, here="")  # a record of another form tells nothing


def _why(reading: _Reading, outcome: Outcome) -> str:
    agrees = "agrees" if outcome.holds else "does not agree"
    if reading.scope == "paper":
        return f"Measured on {SCOPES['paper']}, it {agrees}."
    if reading.scope == "sample":
        return f"Within what {SCOPES['sample']} can tell (99 % interval), it {agrees}."
    if outcome.holds:
        return "Tested on other data, as a mechanism: it shows there, too."
    return "Tested on other data, as a mechanism: it does not show there, which settles no more."


def _beside(found: Sequence[tuple[_Reading, Outcome]]) -> str:
    """The numbers, each behind the record that holds it."""
    return "; ".join(
        f"{' and '.join(record.name for record in reading.records)}: {outcome.here}"
        for reading, outcome in found
        if outcome.here
    )


# -- drawing values out of records ---------------------------------------------------------------


def _readings(test: Test, published: Mapping[str, Published]) -> list[_Reading]:
    """All that can be drawn for a test, what decides most surely first."""
    if test.join:
        return _joined(test, published)
    found = [
        _Reading(scope=_scope(read, test, record), values=(value,), records=(record,))
        for read in test.reads
        for record in _matching(read, published)
        if (value := _value(read, record)) is not None
    ]
    return sorted(found, key=_rank)


def _joined(test: Test, published: Mapping[str, Published]) -> list[_Reading]:
    """One reading for each folder that has all the values; a read of one file joins them all."""
    each = [_matching(read, published) for read in test.reads]
    folders = dict.fromkeys(record.folder for records in each for record in records)
    found = []
    for folder in folders:
        chosen = [
            next((r for r in records if "/" in read.record or r.folder == folder), None)
            for read, records in zip(test.reads, each, strict=True)
        ]
        records = [record for record in chosen if record is not None]
        if len(records) < len(test.reads):
            continue
        pairs = list(zip(test.reads, records, strict=True))
        values = tuple(_value(read, record) for read, record in pairs)
        if any(value is None for value in values):
            continue
        scopes = [_scope(read, test, record) for read, record in pairs]
        found.append(
            _Reading(
                scope=max(scopes, key=("paper", "sample", "other", "part").index),
                values=values,
                records=tuple({record.name: record for record in records}.values()),
            )
        )
    unique = {tuple(record.name for record in reading.records): reading for reading in found}
    return sorted(unique.values(), key=_rank)


def _rank(reading: _Reading) -> tuple[int, int]:
    folder = reading.records[0].folder
    return RANK.index(reading.scope), ORDER.index(folder) if folder in ORDER else len(ORDER)


def _matching(read: Read, published: Mapping[str, Published]) -> list[Published]:
    if "/" in read.record:
        return [published[read.record]] if read.record in published else []
    return [
        record
        for name, record in published.items()
        if name.split("/")[1] == read.record and record.folder not in ("census", "benchmarks")
    ]


def _scope(read: Read, test: Test, record: Published) -> str:
    """Whose data a record's numbers come from."""
    if record.folder == "census":
        fetched = record.content["settings"].get("found") == "data home"
        if read.sampled == "whole" or (fetched and read.sampled in ("sample", "excerpt")):
            return "paper"
        return "sample" if read.sampled in ("sample", "held_out") else "part"
    said = record.corpora
    matches = bool(test.corpora) and all(said.get(r) == c for r, c in test.corpora.items())
    return "paper" if matches else "other"


def _value(read: Read, record: Published) -> Any:
    found = [each for path in read.value if (each := _one(read, path, record)) is not None]
    if not found or len(read.value) == 1:
        return found[0] if found else None
    ways = [path.split("/")[0].replace("_", " ") for path in read.value]
    return [
        replace(each, label=way) if isinstance(each, Estimate) else each
        for each, way in zip(found, ways, strict=False)
    ]


def _one(read: Read, path: str, record: Published) -> Any:
    raw = draw(record.content, path)
    if read.statistic:
        estimate = statistic(raw, read.statistic)
        return None if estimate is None else _scaled(estimate, read.times)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return raw
    low, high, chance = (
        draw(record.content, text) if text else None for text in (read.low, read.high, read.chance)
    )
    value = float(raw)
    estimate = Estimate(
        value=value,
        low=value if low is None else float(low),
        high=value if high is None else float(high),
        chance=None if chance is None else float(chance),
    )
    return _scaled(estimate, read.times)


def _scaled(estimate: Estimate, times: float) -> Estimate:
    return replace(
        estimate,
        value=estimate.value * times,
        low=estimate.low * times if math.isfinite(estimate.low) else estimate.low,
        high=estimate.high * times if math.isfinite(estimate.high) else estimate.high,
        chance=None if estimate.chance is None else estimate.chance * times,
    )
