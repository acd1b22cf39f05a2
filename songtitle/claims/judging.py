"""Verdicts: every claim of the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from songtitle.claims.arithmetic import Relation, Worked, names_in, work
from songtitle.claims.checks import CHECKS
from songtitle.claims.ledger import RELATION, Claim, Inconsistency, Ledger, Test, read_ledger
from songtitle.claims.outcomes import Outcome
from songtitle.claims.printed import CLAIMS
from songtitle.claims.readings import Reading, readings
from songtitle.claims.records import SCOPES, Published, read_published, rename_rows
from songtitle.errors import InputError

HOLDS, FAILS = "holds", "fails"
OPEN, INCONSISTENT = "not testable here", "inconsistent in the paper"
VERDICTS = (HOLDS, FAILS, OPEN, INCONSISTENT)
RESULTS = CLAIMS.parents[1] / "results"
Results = Path | Mapping[str, Path]  # a folder of records, or their files by name


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


def verdicts(results: Results = RESULTS, ledger: Ledger | None = None) -> list[Verdict]:
    """Every claim and every inconsistency of the ledger, each with its verdict."""
    book = ledger or read_ledger()
    published = _records(results, book)
    clashes, doubted = _clashes(book)
    claims = [_judge(claim, book, published, doubted.get(claim.id, [])) for claim in book.claims]
    return [*claims, *clashes]


def verdict(id: str, results: Results = RESULTS, ledger: Ledger | None = None) -> Verdict:
    """The verdict on one entry of the ledger. Raises InputError for a name that is not in it."""
    book = ledger or read_ledger()
    for claim in book.claims:
        if claim.id == id:
            _, doubted = _clashes(book, about=id)
            return _judge(claim, book, _records(results, book), doubted.get(id, []))
    for each in book.inconsistencies:
        if each.id == id:
            return _judge_relations(each, book)
    msg = f"verdict: expected the name of an entry of {CLAIMS.name}, got {id!r}; look it up there"
    raise InputError(msg)


def _records(results: Results, book: Ledger) -> dict[str, Published]:
    found = read_published(results)
    rename_rows(found, book.aliases)
    return found


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
    nearest: list[tuple[Reading, Outcome]] = []
    for reading in readings(test, published):
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


def _check(claim: Claim, reading: Reading) -> Outcome:
    parameters: dict[str, Any] = dict(claim.test.parameters)
    check = CHECKS[claim.test.check]
    if "claimed" in inspect.signature(check).parameters:
        parameters["claimed"] = claim.value
    try:
        return check(reading.values, whole=reading.scope == "paper", **parameters)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Outcome(holds=None, here="")  # a record of another form tells nothing


def _why(reading: Reading, outcome: Outcome) -> str:
    agrees = "agrees" if outcome.holds else "does not agree"
    if reading.scope == "paper":
        return f"Measured on {SCOPES['paper']}, it {agrees}."
    if reading.scope == "sample":
        return f"Within what {SCOPES['sample']} can tell (99 % interval), it {agrees}."
    if outcome.holds:
        return "Tested on other data, as a mechanism: it shows there, too."
    return "Tested on other data, as a mechanism: not seen there, which refutes nothing elsewhere."


def _beside(found: Sequence[tuple[Reading, Outcome]]) -> str:
    """The numbers, each behind the record that holds it."""
    return "; ".join(
        f"{' and '.join(record.name for record in reading.records)}: {outcome.here}"
        for reading, outcome in found
        if outcome.here
    )
