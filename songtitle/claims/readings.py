"""Readings: the values that the test of a claim draws from published records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from songtitle.claims.ledger import Read, Test
from songtitle.claims.records import SCOPES, Estimate, Published, draw, statistic

RANK = tuple(SCOPES)
ORDER = ("samples", "best_guess", "course", "quick")  # presets nearer to the paper come first


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Values drawn for a test, the records they lie in, and whose data those were made on."""

    scope: str
    values: tuple[Any, ...]
    records: tuple[Published, ...]


def readings(test: Test, published: Mapping[str, Published]) -> list[Reading]:
    """All that can be drawn for a test, what decides most surely first."""
    if test.join:
        return _joined(test, published)
    found = [
        Reading(scope=_scope(read, test, record), values=(value,), records=(record,))
        for read in test.reads
        for record in _matching(read, published)
        if (value := _value(read, record)) is not None
    ]
    return sorted(found, key=_rank)


def _joined(test: Test, published: Mapping[str, Published]) -> list[Reading]:
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
            Reading(
                scope=max(scopes, key=("paper", "sample", "other", "part").index),
                values=values,
                records=tuple({record.name: record for record in records}.values()),
            )
        )
    unique = {tuple(record.name for record in reading.records): reading for reading in found}
    return sorted(unique.values(), key=_rank)


def _rank(reading: Reading) -> tuple[int, int]:
    folder = reading.records[0].folder
    return RANK.index(reading.scope), ORDER.index(folder) if folder in ORDER else len(ORDER)


def _matching(read: Read, published: Mapping[str, Published]) -> list[Published]:
    if "/" in read.record:
        return [published[read.record]] if read.record in published else []
    return [
        record
        for name, record in published.items()
        if name.split("/")[1] in read.record.split("|")
        and record.folder not in ("census", "benchmarks")
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
