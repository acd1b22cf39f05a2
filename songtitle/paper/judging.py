"""Verdicts: everything in the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from songtitle.paper.checks import TRIALS
from songtitle.paper.ledger import Entry, Numbers, Relation, entries, numbers, relations
from songtitle.paper.printed import CLAIMS, ledger
from songtitle.paper.records import FORM, Reading, Record, Results, Source, Trial, read_records

HOLDS, FAILS = "holds", "fails"
OPEN, INCONSISTENT = "not testable here", "inconsistent in the paper"
VERDICTS = (HOLDS, FAILS, OPEN, INCONSISTENT)
RESULTS = CLAIMS.parents[1] / "results"
OWN = "the paper's own numbers"
OUTSIDE = "the paper's numbers and facts from elsewhere"
AGREES = ("does not agree", "agrees")
# Whose data a number was measured on; earlier ones decide before later ones.
SCOPES = {
    "paper": "the paper's own data",
    "sample": "a sample of the paper's data",
    "other": "tested on other data",
    "part": "another part of the paper's data",
}
WHY = {  # by scope: why it does not hold, why it does
    "paper": [f"Measured on {SCOPES['paper']}, it {agrees}." for agrees in AGREES],
    "sample": [
        f"Within what a sample of the paper's data can tell (99 % interval), it {agrees}."
        for agrees in AGREES
    ],
    "other": [
        "Tested on other data, as a mechanism: not seen there, which refutes nothing elsewhere.",
        "Tested on other data, as a mechanism: it shows there, too.",
    ],
}
PRESETS = ("samples", "best_guess", "course", "quick")  # nearer to the paper come first


@dataclass(frozen=True, kw_only=True)
class Verdict(Entry):
    """What became of an entry of the ledger, and why."""

    verdict: str = OPEN  # one of VERDICTS
    scope: str = ""  # whose data decided: a value of SCOPES, OWN, OUTSIDE; empty: nothing could
    here: str = ""  # the numbers that decided, or those nearest to it
    why: str = "No record here was made on the data that this was measured on."
    sources: tuple[str, ...] = ()  # of numbers that are not the paper's
    records: tuple[str, ...] = ()  # name, key and commit of each


def verdicts(results: Results = RESULTS, n: Numbers | None = None) -> list[Verdict]:
    """Judge every claim, then every inconsistency, in the order of the ledger.

    `results` are a folder of records, or their files by name; `n` are the numbers of the ledger,
    and others may stand in for them.
    """
    n = numbers() if n is None else n
    records, related = read_records(results), relations(n)
    doubts: dict[str, list[str]] = {}
    for row in ledger()["inconsistency"]:
        if not all(relation.holds for relation in related[row["id"]]):
            for id in row.get("doubts", ()):
                doubts.setdefault(id, []).append(row["id"])
    return [
        _related(Verdict(**vars(entry)), related[entry.id])
        if entry.id in related
        else _judge(Verdict(**vars(entry)), records, doubts.get(entry.id, ()), n)
        for entry in entries(n)
    ]


def _related(blank: Verdict, found: Sequence[Relation]) -> Verdict:
    """Judge an inconsistency, or a claim, by the relations between the paper's own numbers."""
    clash, broken = blank.kind == "inconsistency", sum(not relation.holds for relation in found)
    names = sorted(frozenset().union(*(relation.names for relation in found)))
    known = {entry["id"]: entry["source"] for entry in ledger()["constant"]}
    why = f"The paper's own numbers {'do not agree' if broken else 'agree'}."
    if clash:
        why = "Every relation between its numbers holds."
        if broken:
            why = f"{broken} of {len(found)} relations between its numbers do not hold."
    return replace(
        blank,
        verdict=(INCONSISTENT if clash else FAILS) if broken else HOLDS,
        scope=OUTSIDE if any(name.startswith("outside.") for name in names) else OWN,
        here="\n".join(relation.text for relation in found),
        why=why,
        sources=tuple(known[name] for name in names if name in known),
    )


def _judge(
    blank: Verdict, records: Mapping[str, Record], doubts: Sequence[str], n: Numbers
) -> Verdict:
    """Judge a claim by records, the surest first; where none decides, show the nearest two."""
    trial = TRIALS.get(blank.id)
    nearest: list[tuple[Reading, str]] = []
    why = "The paper states what it did or quotes; there is no code to see."
    if trial is not None:
        why = blank.why
        for reading in _readings(trial, records):
            try:
                holds, here = trial.check(reading, n)
            except FORM:
                continue
            decides = reading.scope in ("paper", "sample")
            decides |= reading.scope == "other" and trial.mechanism
            if holds is not None and decides:
                verdict, scope = HOLDS if holds else FAILS, SCOPES[reading.scope]
                found = _shown(blank, [(reading, here)])
                return replace(found, verdict=verdict, scope=scope, why=WHY[reading.scope][holds])
            if here and len(nearest) < 2:
                nearest.append((reading, here))
                if decides:
                    why = "What was measured here cannot tell."
                elif why == blank.why:
                    why = "Measured here on other data only."
    found = _shown(blank, nearest)
    if doubts:
        why = f"It cannot stand beside the rest of the paper: {', '.join(doubts)}."
        return replace(found, verdict=INCONSISTENT, scope=OWN, why=why)
    return replace(found, why=why)


def _shown(blank: Verdict, found: Sequence[tuple[Reading, str]]) -> Verdict:
    """Add the numbers, each behind the records that hold it."""
    here = "; ".join(
        f"{' and '.join(record.name for record in reading.records)}: {text}"
        for reading, text in found
        if text
    )
    records = tuple(record.origin for reading, _ in found for record in reading.records)
    return replace(blank, here=here, records=records)


def _readings(trial: Trial, records: Mapping[str, Record]) -> list[Reading]:
    """All that there is for a trial, what decides most surely first."""
    found = [
        Reading(found=record.content, scope=_scope(source, trial, record), records=(record,))
        for source in trial.sources
        for record in records.values()
        if fnmatch(record.name, source.name)
    ]
    if not trial.join:
        return sorted(found, key=_rank)
    if len(found) < len(trial.sources):
        return []
    scope = max((reading.scope for reading in found), key=tuple(SCOPES).index)
    drawn = tuple(record for reading in found for record in reading.records)
    return [Reading(found=[reading.found for reading in found], scope=scope, records=drawn)]


def _rank(reading: Reading) -> tuple[int, int]:
    folder = reading.records[0].folder
    nearness = PRESETS.index(folder) if folder in PRESETS else len(PRESETS)
    return tuple(SCOPES).index(reading.scope), nearness


def _scope(source: Source, trial: Trial, record: Record) -> str:
    """Say whose data a record's numbers come from."""
    if record.folder != "census":
        wanted = trial.corpora or {}
        matches = all(record.corpora.get(role) == name for role, name in wanted.items())
        return "paper" if wanted and matches else "other"
    fetched = record.settings.get("found") == "data home"
    if source.sampled == "whole" or (fetched and source.sampled in ("sample", "excerpt")):
        return "paper"
    return "sample" if source.sampled in ("sample", "held_out") else "part"
