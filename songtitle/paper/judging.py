"""Verdicts: everything in the ledger held against the published records.

A number that was measured on the paper's data is decided by records made on that data, or by a
random sample of it within its interval; nothing else decides it, and what comes nearest is shown.
A sentence about how search or training behaves may be tested on other data; the verdict says so.
What the paper leaves unsaid is a question: its test is shown, and there is no verdict.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from songtitle.paper.checks import TRIALS
from songtitle.paper.ledger import Entry, Numbers, Relation, entries, numbers, relations
from songtitle.paper.printed import CLAIMS, ledger
from songtitle.paper.records import FORM, Reading, Record, Results, Source, Trial, read_records

HOLDS, FAILS, OPEN = "holds", "fails", "cannot be tested here"
CONTRADICTS, ODD = "contradicts itself", "odd"
VERDICTS = (HOLDS, FAILS, OPEN, CONTRADICTS, ODD)
RESULTS = CLAIMS.parents[1] / "results"
OWN = "the paper's own numbers"
OUTSIDE = "the paper's numbers and facts from elsewhere"
AGREES = ("does not agree", "agrees")
UNTESTED, UNDECIDED = "Not testable: ", "Cannot tell: "  # the two reasons of OPEN
BROKEN = {"outside": FAILS, "odd": ODD}  # of a relation, by its weight; others contradict the paper
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
Told = tuple[Reading, bool | None, str]  # what a check says of a reading
PRESETS = ("samples", "best_guess", "course", "quick")  # nearer to the paper come first


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
    """Judge a claim by all records, those on the surest data together; show what speaks against.

    Where these disagree nothing is decided. Where none decides, the nearest two are shown.
    """
    trial = TRIALS.get(blank.id)
    told = list(_told(trial, records, n)) if trial else []
    able = ("paper", "sample", "other") if trial and trial.mechanism else ("paper", "sample")
    sure = [each for each in told if each[1] is not None and each[0].scope in able]
    if sure:
        scope = sure[0][0].scope
        deciding = [each for each in sure if each[0].scope == scope]
        holds = deciding[0][1]
        against = [each for each in sure if each[1] != holds]
        found = _shown(blank, [each for each in deciding if each[1] == holds], against)
        if not all(each[1] == holds for each in deciding):
            return replace(found, why=f"{UNDECIDED}records disagree ({SCOPES[scope]}).")
        verdict = HOLDS if holds else FAILS
        return replace(found, verdict=verdict, scope=SCOPES[scope], why=WHY[scope][bool(holds)])
    nearest = [each for each in told if each[2]][:2]
    found = _shown(blank, nearest)
    if blank.kind == "question":
        return replace(found, verdict="", why="")
    if doubts:
        why = f"It cannot stand beside the rest of the paper: {', '.join(doubts)}."
        return replace(found, verdict=CONTRADICTS, scope=OWN, why=why)
    if trial is None:
        why = "the paper states what it did or quotes; there is no code to see."
        return replace(found, why=UNTESTED + why)
    if any(each[0].scope in able for each in nearest):
        return replace(found, why=f"{UNDECIDED}what was measured here leaves it open.")
    if any(each[0].scope == "part" for each in nearest):
        return replace(
            found, why=f"{UNDECIDED}no random sample of the paper's data was measured here."
        )
    if nearest:
        return replace(found, why=f"{UNTESTED}measured here on other data only.")
    return found


def _told(trial: Trial, records: Mapping[str, Record], n: Numbers) -> Iterator[Told]:
    """Check every reading of a trial; a record of another form tells nothing."""
    for reading in _readings(trial, records):
        with contextlib.suppress(*FORM):
            yield (reading, *trial.check(reading, n))


def _shown(blank: Verdict, found: Sequence[Told], against: Sequence[Told] = ()) -> Verdict:
    """Add the numbers, each behind the records that hold it."""
    lines = [
        f"{lead}{' and '.join(record.name for record in reading.records)}: {text}"
        for lead, side in (("", found), ("against it, ", against))
        for reading, _, text in side
        if text
    ]
    told = (*found, *against)
    records = tuple(record.origin for reading, _, _ in told for record in reading.records)
    return replace(blank, here="; ".join(lines), records=records)


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
