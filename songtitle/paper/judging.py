"""Verdicts: everything in the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
Of all records the nearest to the paper decide, and what they leave open no other settles.
What the paper leaves unsaid is a question: its test is shown, and there is no verdict.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from songtitle.paper.checks import TRIALS
from songtitle.paper.ledger import Entry, Numbers, Relation, entries, numbers, relations
from songtitle.paper.printed import CLAIMS, ledger
from songtitle.paper.records import (
    CORPORA,
    FORM,
    Reading,
    Record,
    Results,
    Source,
    Trial,
    of_all,
    read_records,
)

HOLDS, FAILS, OPEN = "holds", "fails", "cannot be tested here"
CONTRADICTS, ODD = "contradicts itself", "odd"
VERDICTS = (HOLDS, FAILS, OPEN, CONTRADICTS, ODD)
RESULTS = CLAIMS.parents[1] / "results"
OWN = "the paper's own numbers"
OUTSIDE = "the paper's numbers and facts from elsewhere"
AGREES = ("does not agree", "agrees")
# The three reasons of OPEN; the last is for good, and such claims are counted apart.
UNTESTED, UNDECIDED, BEYOND = "Not testable: ", "Cannot tell: ", "No record can tell: "
REASONS = {
    "author": "what the author set, drew or met in that run is known from the paper alone.",
    "unmeasured": "nothing that is run here measures it.",
    "nothing": "no count could make it fail.",
}
BROKEN = {"outside": FAILS, "odd": ODD}  # of a relation, by its weight; others contradict the paper
# Whose data a number was measured on; earlier ones decide before later ones.
SCOPES = {
    "paper": "the paper's own data",
    "sample": "a sample of the paper's data",
    "few": "tested on some of the paper's data",
    "other": "tested on other data",
    "part": "another part of the paper's data",
    "rehearsal": "made up for a rehearsal",
}
DECIDING = ("paper", "sample")
MECHANISM = (*DECIDING, "few", "other")
WHY = {  # by scope: why it does not hold, why it does
    "paper": [f"Measured on {SCOPES['paper']}, it {agrees}." for agrees in AGREES],
    "sample": [
        f"Within what a sample of the paper's data can tell (99 % interval), it {agrees}."
        for agrees in AGREES
    ],
} | {
    scope: [
        f"{SCOPES[scope].capitalize()}, as a mechanism: {seen}"
        for seen in ("not seen there, which refutes nothing elsewhere.", "it shows there, too.")
    ]
    for scope in ("few", "other")
}
Told = tuple[Reading, bool | None, str]  # what a check says of a reading
# Settings nearer to the paper's come first; others are equally far.
PRESETS = ("paper_literal", "best_guess", "samples", "course")


@dataclass(frozen=True, kw_only=True)
class Verdict(Entry):
    """What became of an entry of the ledger, and why."""

    verdict: str = OPEN  # one of VERDICTS; of a question, empty
    scope: str = ""  # whose data decided: a value of SCOPES, OWN, OUTSIDE; empty: nothing could
    here: str = ""  # the numbers that decided, or those nearest to it
    why: str = f"{UNTESTED}no record here was made on the data that this was measured on."
    sources: tuple[str, ...] = ()  # of numbers that are not the paper's
    records: tuple[str, ...] = ()  # name, key and commit of each


def verdicts(results: Results = RESULTS, n: Numbers | None = None) -> list[Verdict]:
    """Judge every claim, question and relation, in the order of the ledger.

    `results` are a folder of records, or their files by name; `n` are the numbers of the ledger,
    and others may stand in for them.
    """
    n = numbers() if n is None else n
    records, related = read_records(results), relations(n)
    doubts: dict[str, list[str]] = {}
    for row in ledger()["relation"]:
        if not all(relation.holds for relation in related.get(row["id"], ())):
            for id in row.get("doubts", ()):
                doubts.setdefault(id, []).append(row["id"])
    return [
        _related(Verdict(**vars(entry)), related.get(entry.id, ()))
        if entry.kind == "relation" or entry.id in related
        else _judge(Verdict(**vars(entry)), records, doubts.get(entry.id, ()), n)
        for entry in entries(n)
    ]


def _related(blank: Verdict, found: Sequence[Relation]) -> Verdict:
    """Judge a relation, or a claim, by comparing numbers of the paper; words alone are a remark."""
    broken = sum(not relation.holds for relation in found)
    names = sorted(frozenset().union(*(relation.names for relation in found)))
    known = {entry["id"]: entry["source"] for entry in ledger()["constant"]}
    verdict, why = HOLDS, "Every comparison holds."
    if broken or not found:
        verdict = FAILS if blank.kind == "sentence" else BROKEN.get(blank.weight, CONTRADICTS)
        why = (
            f"{broken} of {len(found)} comparisons do not hold."
            if found
            else "Words, side by side."
        )
    return replace(
        blank,
        verdict=verdict,
        scope=OUTSIDE if any(name.startswith("outside.") for name in names) else OWN,
        here="\n".join([*blank.quotes, *(relation.text for relation in found)]),
        why=why,
        sources=tuple(known[name] for name in names if name in known),
    )


def _judge(
    blank: Verdict, records: Mapping[str, Record], doubts: Sequence[str], n: Numbers
) -> Verdict:
    """Judge a claim by the nearest of the records that may decide it; equally near ones must agree.

    What others say for or against it stands beside. Where none may, the nearest two are shown.
    """
    trial = TRIALS.get(blank.id)
    told = [each for each in _told(trial, records, n) if each[2]] if trial else []
    able = MECHANISM if trial and trial.mechanism else DECIDING
    sure = [each for each in told if each[0].scope in able]
    nearest = [each for each in sure if _rank(each[0]) == _rank(sure[0][0])]
    answers = [holds for _, holds, _ in nearest]
    holds = of_all(answers)
    if {True, False} <= set(answers):
        why = f"{UNDECIDED}records disagree ({SCOPES[sure[0][0].scope]})."
        return replace(_shown(blank, [], sure), why=why)
    found = _shown(blank, nearest, sure[len(nearest) :]) if sure else _shown(blank, told[:2])
    if holds is not None:
        scope = sure[0][0].scope
        verdict = HOLDS if holds else FAILS
        return replace(found, verdict=verdict, scope=SCOPES[scope], why=WHY[scope][holds])
    if blank.kind == "question":
        return replace(found, verdict="", why="")
    if doubts:
        why = f"It cannot stand beside the rest of the paper: {', '.join(doubts)}."
        return replace(found, verdict=CONTRADICTS, scope=OWN, why=why)
    scopes = {each[0].scope for each in told[:2]}
    if blank.beyond:
        why = BEYOND + REASONS[blank.beyond]
    elif sure:
        why = f"{UNDECIDED}what was measured here leaves it open."
    elif scopes & {"few", "part"}:
        why = f"{UNDECIDED}no random sample of the paper's data was measured here."
    elif "other" in scopes:
        why = f"{UNTESTED}measured here on other data only."
    elif scopes:
        why = f"{UNTESTED}measured here in a rehearsal only, on corpora that are made up."
    else:
        why = blank.why
    return replace(found, why=why)


def _told(trial: Trial, records: Mapping[str, Record], n: Numbers) -> Iterator[Told]:
    """Check every reading of a trial; a record of another form tells nothing."""
    for reading in _readings(trial, records):
        with contextlib.suppress(*FORM):
            yield (reading, *trial.check(reading, n))


def _shown(blank: Verdict, found: Sequence[Told], beside: Sequence[Told] = ()) -> Verdict:
    """Add the numbers, each behind the records that hold it; of those beside what decided alone."""
    leads = {True: "for it, ", False: "against it, "}
    told = [("", each) for each in found]
    told += [(leads[each[1]], each) for each in beside if each[1] is not None]
    lines = []
    for lead, (reading, _, text) in told:
        names = " and ".join(record.name for record in reading.records)
        made_up = " (a rehearsal)" if reading.scope == "rehearsal" else ""
        lines.append(f"{lead}{names}{made_up}: {text}")
    records = tuple(record.origin for _, (reading, _, _) in told for record in reading.records)
    return replace(blank, here="; ".join(lines), records=records)


def _readings(trial: Trial, records: Mapping[str, Record]) -> list[Reading]:
    """All that there is for a trial, what decides most surely first."""
    found = [
        Reading(found=record.content, scope=_scope(source, record), records=(record,))
        for source in trial.sources
        for record in records.values()
        if fnmatch(record.name, source.name)
    ]
    if not trial.join:
        return sorted(found, key=_rank)
    if len(found) < len(trial.sources):
        return []
    scope = max((reading.scope for reading in found), key=list(SCOPES).index)
    drawn = tuple(record for reading in found for record in reading.records)
    return [Reading(found=[reading.found for reading in found], scope=scope, records=drawn)]


def _rank(reading: Reading) -> tuple[int, ...]:
    """Say how far the records are from the paper, by data, corpora and settings: 0 is nearest."""
    record = reading.records[0]
    corpora = CORPORA.index(record.corpora or "book")
    preset = PRESETS.index(record.folder) if record.folder in PRESETS else len(PRESETS)
    return list(SCOPES).index(reading.scope), corpora, preset


def _scope(source: Source, record: Record) -> str:
    """Say whose data a record's numbers come from."""
    if record.corpora == "rehearsal":
        return record.corpora
    if record.folder != "census":
        own = "few" if record.some else "paper"
        return own if record.corpora == "paper" else "other"
    fetched = record.settings.get("found") == "data home"
    if source.sampled == "whole" or (fetched and source.sampled in ("sample", "excerpt")):
        return "paper"
    return "sample" if source.sampled in ("sample", "held_out") else "part"
