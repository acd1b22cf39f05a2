"""Numbers that show how they were worked out, and relations between them.

With `n = numbers()`, `n["headline.in_domain"] - n["headline.out_domain"]` is 16.2 and shows
"61.3 − 45.1". A relation holds two such numbers together, and says whether it holds.
"""

import math
import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from songtitle.paper.printed import CLAIMS

Real = float | int
SUM, PRODUCT, POWER, WHOLE = range(4)  # how firmly the parts of what is shown hang together


def _operators(sign: str, rank: int, work: Callable[[float, float], float]) -> Any:
    """The methods that join two numbers by a sign: self on the left, self on the right."""
    return (
        lambda self, other: _join(sign, rank, work, self, other),
        lambda self, other: _join(sign, rank, work, other, self),
    )


class Number(float):
    """A number, how it was worked out, and the names of the numbers that it was made of."""

    shown: str
    names: frozenset[str]
    rank: int  # of SUM to WHOLE

    def __new__(  # noqa: D102
        cls, value: Real, shown: str = "", names: frozenset[str] = frozenset(), rank: int = WHOLE
    ) -> "Number":
        made = super().__new__(cls, value)
        made.shown, made.names, made.rank = shown or written(value), names, rank
        return made

    def within(self, rank: int) -> str:
        """What is shown, in brackets where it stands within something of a higher rank."""
        return self.shown if self.rank >= rank else f"({self.shown})"

    __add__, __radd__ = _operators("+", SUM, operator.add)
    __sub__, __rsub__ = _operators("−", SUM, operator.sub)
    __mul__, __rmul__ = _operators("×", PRODUCT, operator.mul)
    __truediv__, __rtruediv__ = _operators("/", PRODUCT, operator.truediv)
    __pow__, __rpow__ = _operators("^", POWER, operator.pow)


Numbers = Mapping[str, Number]  # by their names in the ledger


def _number(value: Real) -> Number:
    return value if isinstance(value, Number) else Number(value, str(value))


def _join(
    sign: str, rank: int, work: Callable[[float, float], float], left: Real, right: Real
) -> Number:
    a, b = _number(left), _number(right)
    shown = f"{a.within(rank)} {sign} {b.within(rank + 1)}"
    return Number(work(float(a), float(b)), shown, a.names | b.names, rank)


def _function(name: str, work: Callable[..., float]) -> Callable[..., Number]:
    def apply(*values: Real) -> Number:
        made = [_number(value) for value in values]
        shown = f"{name}({', '.join(each.shown for each in made)})"
        return Number(work(*map(float, made)), shown, frozenset().union(*(m.names for m in made)))

    return apply


least, largest, floor = (_function(f.__name__, f) for f in (min, max, math.floor))


@dataclass(frozen=True)
class Relation:
    """Two numbers that the paper's words put in a relation to each other, and whether it holds."""

    holds: bool
    text: str  # "gap: (61.3 − 45.1 = 16.2) = 15.7 within 0.05? no"
    names: frozenset[str]  # of the numbers in it


def equal(about: str, left: Real, right: Real, *, within: Real = 0) -> Relation:
    """Whether two numbers are the same, or differ by no more than `within`."""
    holds = _same(left, right) or abs(float(left) - float(right)) <= float(within) + 1e-9
    return _relation(about, left, "=", right, holds, _number(within))


def at_most(about: str, left: Real, right: Real) -> Relation:
    """Whether the first number is no larger than the second."""
    return _relation(about, left, "≤", right, _same(left, right) or left < right)


def at_least(about: str, left: Real, right: Real) -> Relation:
    """Whether the first number is no smaller than the second."""
    return _relation(about, left, "≥", right, _same(left, right) or left > right)


def below(about: str, left: Real, right: Real) -> Relation:
    """Whether the first number is smaller than the second."""
    return _relation(about, left, "<", right, left < right and not _same(left, right))


def above(about: str, left: Real, right: Real) -> Relation:
    """Whether the first number is larger than the second."""
    return _relation(about, left, ">", right, left > right and not _same(left, right))


def written(value: Real) -> str:
    """A number as a reader wants it: whole ones whole, others with two decimals or three digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"  # a year has no comma
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


def _same(left: Real, right: Real) -> bool:
    # A sum of printed decimals is not exact in binary: 61.3 - 45.6 is 15.699999999999996.
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


def _relation(
    about: str, left: Real, sign: str, right: Real, holds: bool, slack: Number | None = None
) -> Relation:
    sides = [_number(left), _number(right)]
    texts = [_side(each) for each in sides]
    within = f" within {written(slack)}" if slack else ""
    text = f"{about}: {texts[0]} {sign} {texts[1]}{within}? {'yes' if holds else 'no'}"
    every = [*sides, slack] if slack is not None else sides
    return Relation(holds, text, frozenset().union(*(each.names for each in every)))


def _side(value: Number) -> str:
    plain = written(value)
    return plain if value.shown == plain else f"({value.shown} = {plain})"


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
