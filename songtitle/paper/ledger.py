"""The ledger, `data_manifest/claims.toml`: what the paper says, in numbers and in words."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from songtitle.claims.printed import CLAIMS
from songtitle.paper.arithmetic import Number, Numbers, Real, written


@dataclass(frozen=True, kw_only=True)
class Said:
    """Something that the paper says and that can be checked."""

    id: str
    kind: str  # "number" or "sentence"
    where: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Inconsistency:
    """Two things that the paper says, or one and a fact, put beside each other."""

    id: str
    where: str
    says: str
    here: str  # what this book does about it
    weight: str  # number, method, wording, outside, odd or agrees; the ledger explains them
    page: str  # "04_search#tab-4"
    doubts: tuple[str, ...]  # claims that cannot stand as long as one of its relations is broken


def numbers(other: Mapping[str, Real] | None = None) -> dict[str, Number]:
    """Name -> number: the paper's, those of its tables, and constants from elsewhere, with `other`
    values for some. A cell that the paper leaves out (NA) has none."""
    found = {entry["id"]: entry["value"] for entry in [*_read("number"), *_read("constant")]}
    found |= {id: cell for id, _, _, cell in _cells()} | dict(other or {})
    return {id: Number(value, names=frozenset({id})) for id, value in found.items()}


def sources() -> dict[str, str]:
    """Constant -> where it comes from: not from the paper."""
    return {entry["id"]: entry["source"] for entry in _read("constant")}


def everything_said(n: Numbers) -> list[Said]:
    """All that can be checked: numbers in the text, cells of the tables, sentences."""
    found = []
    for entry in _read("number"):
        note = f" ({entry['note']})" if entry["note"] else ""
        says = f"{written(n[entry['id']])} {entry['unit']}{note}"
        found.append(Said(id=entry["id"], kind="number", where=entry["where"], says=says))
    for id, label, column, _ in _cells():
        table, row, _ = id.split(".")
        size = n.get(f"{table}.{row}.tile_size")
        what = f"k = {column}" if column.isdigit() else column.replace("_", " ")
        says = f"{label}{f', {written(size)} px' if size else ''}, {what}: {written(n[id])}"
        found.append(Said(id=id, kind="number", where=f"Table {table[-1]}", says=says))
    return [*found, *(Said(kind="sentence", **entry) for entry in _read("sentence"))]


def inconsistencies() -> list[Inconsistency]:
    """What does not fit together, and what was looked into and found sound."""
    names = ("id", "where", "says", "here", "weight", "page")
    return [
        Inconsistency(**{name: each[name] for name in names}, doubts=tuple(each.get("doubts", ())))
        for each in _read("inconsistency")
    ]


def _cells() -> list[tuple[str, str, str, float]]:
    """Every number of the tables: name, what its row is called, column, value."""
    return [
        (f"table{table['number']}.{row}.{column}", cells[0], column, float(cell))
        for table in _read("table")
        for row, *cells in table["rows"]
        for column, cell in zip(table["columns"], cells, strict=True)
        if not isinstance(cell, str) and cell == cell
    ]


@cache
def _ledger() -> dict[str, Any]:
    return tomllib.loads(CLAIMS.read_text("utf-8"))


def _read(part: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = _ledger()[part]
    return entries
