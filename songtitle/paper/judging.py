"""Verdicts: everything in the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from songtitle.errors import InputError
from songtitle.paper.ledger import (
    Inconsistency,
    Numbers,
    Relation,
    Said,
    everything_said,
    inconsistencies,
    numbers,
    sources,
)
from songtitle.paper.printed import CLAIMS
from songtitle.paper.readings import (
    FORM,
    SCOPES,
    UNTOLD,
    Outcome,
    Published,
    Reading,
    Trial,
    read_published,
    readings,
)
from songtitle.paper.relations import relations
from songtitle.paper.trials import trials

HOLDS, FAILS = "holds", "fails"
OPEN, INCONSISTENT = "not testable here", "inconsistent in the paper"
VERDICTS = (HOLDS, FAILS, OPEN, INCONSISTENT)
RESULTS = CLAIMS.parents[1] / "results"
Results = Path | Mapping[str, Path]  # a folder of records, or their files by name
OWN = "the paper's own numbers"
OUTSIDE = "the paper's numbers and facts from elsewhere"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim, and why."""

    id: str
    kind: str  # "number", "sentence" or "inconsistency"
    where: str
    says: str
    verdict: str  # one of VERDICTS
    scope: str  # whose data decided: a value of SCOPES, OWN, OUTSIDE; empty where nothing could
    here: str  # the numbers that decided, or those nearest to it
    why: str  # a sentence
    page: str  # "04_search#tab-4"
    needs: str  # what would test it; for an inconsistency, what this book does about it
    weight: str = ""  # of an inconsistency
    sources: tuple[str, ...] = ()  # of numbers that are not the paper's
    records: tuple[str, ...] = ()  # name, key and commit of each


def verdicts(results: Results = RESULTS, n: Numbers | None = None) -> list[Verdict]:
    """Every claim and every inconsistency, each with its verdict.

    `n` are the numbers of the ledger; others may stand in for them.
    """
    return [judge() for judge in _judges(results, n).values()]


def verdict(id: str, results: Results = RESULTS, n: Numbers | None = None) -> Verdict:
    """The verdict on one entry of the ledger. Raises InputError for a name that is not in it."""
    judges = _judges(results, n)
    if id not in judges:
        msg = f"verdict: expected a name that is in {CLAIMS.name}, got {id!r}; look it up there"
        raise InputError(msg)
    return judges[id]()


def _judges(results: Results, n: Numbers | None) -> dict[str, Callable[[], Verdict]]:
    """Entry -> what gives its verdict, in the order of the ledger: claims first."""
    n = numbers() if n is None else n
    published, related, tried = read_published(results), relations(n), trials(n)
    entries = inconsistencies()
    broken = [e for e in entries if not all(relation.holds for relation in related[e.id])]
    judges: dict[str, Callable[[], Verdict]] = {}
    for said in everything_said(n):
        trial = tried[said.id]
        if said.id in related:
            judges[said.id] = partial(_own, said, trial, *related[said.id])
        else:
            doubts = [each.id for each in broken if said.id in each.doubts]
            judges[said.id] = partial(_judge, said, trial, published, doubts)
    return judges | {each.id: partial(_clash, each, related[each.id]) for each in entries}


def _clash(each: Inconsistency, found: Sequence[Relation]) -> Verdict:
    broken = sum(not relation.holds for relation in found)
    names = sorted(frozenset().union(*(relation.names for relation in found)))
    known = sources()
    return Verdict(
        id=each.id,
        kind="inconsistency",
        where=each.where,
        says=each.says,
        verdict=INCONSISTENT if broken else HOLDS,
        scope=OUTSIDE if any(name.startswith("outside.") for name in names) else OWN,
        here="\n".join(relation.text for relation in found),
        why=f"{broken} of {len(found)} relations between its numbers do not hold."
        if broken
        else "Every relation between its numbers holds.",
        page=each.page,
        needs=each.here,
        weight=each.weight,
        sources=tuple(known[name] for name in names if name in known),
    )


def _blank(said: Said, trial: Trial) -> Verdict:
    why = "No record here was made on the data that this was measured on."
    return Verdict(
        **vars(said), verdict=OPEN, scope="", here="", why=why, page=trial.page, needs=trial.needs
    )


def _own(said: Said, trial: Trial, relation: Relation) -> Verdict:
    """The verdict of the paper's own numbers."""
    return replace(
        _blank(said, trial),
        verdict=HOLDS if relation.holds else FAILS,
        scope=OWN,
        here=relation.text,
        why=f"The paper's own numbers {'agree' if relation.holds else 'do not agree'}.",
    )


def _judge(
    said: Said, trial: Trial, published: Mapping[str, Published], doubts: Sequence[str]
) -> Verdict:
    """The verdict of the records, the surest first; where none decides, the nearest are shown."""
    blank, nearest = _blank(said, trial), []
    for reading in readings(trial, published):
        outcome = _check(trial, reading)
        if outcome.holds is not None and _decides(reading, trial):
            return replace(
                _shown(blank, [(reading, outcome)]),
                verdict=HOLDS if outcome.holds else FAILS,
                scope=SCOPES[reading.scope],
                why=_why(reading, outcome),
            )
        if outcome.here:
            nearest.append((reading, outcome))
    nearest = nearest[:2]
    shown = _shown(blank, nearest)
    if doubts:
        why = f"It cannot stand beside the rest of the paper: {', '.join(doubts)}."
        return replace(shown, verdict=INCONSISTENT, scope=OWN, why=why)
    if trial.check is None:
        why = "The paper states what it did or quotes; there is no code to see."
        return replace(shown, why=why)
    if any(_decides(reading, trial) for reading, _ in nearest):
        return replace(shown, why="What was measured here cannot tell.")
    return replace(shown, why="Measured here on other data only.") if nearest else shown


def _check(trial: Trial, reading: Reading) -> Outcome:
    try:
        return trial.check(reading) if trial.check else UNTOLD
    except FORM:
        return UNTOLD


def _decides(reading: Reading, trial: Trial) -> bool:
    return reading.scope in ("paper", "sample") or (reading.scope == "other" and trial.mechanism)


def _why(reading: Reading, outcome: Outcome) -> str:
    agrees = "agrees" if outcome.holds else "does not agree"
    if reading.scope == "paper":
        return f"Measured on {SCOPES['paper']}, it {agrees}."
    if reading.scope == "sample":
        return f"Within what {SCOPES['sample']} can tell (99 % interval), it {agrees}."
    if outcome.holds:
        return "Tested on other data, as a mechanism: it shows there, too."
    return "Tested on other data, as a mechanism: not seen there, which refutes nothing elsewhere."


def _shown(blank: Verdict, found: Sequence[tuple[Reading, Outcome]]) -> Verdict:
    """With the numbers, each behind the records that hold it."""
    here = "; ".join(
        f"{' and '.join(record.name for record in reading.records)}: {outcome.here}"
        for reading, outcome in found
        if outcome.here
    )
    records = tuple(record.origin for reading, _ in found for record in reading.records)
    return replace(blank, here=here, records=records)
