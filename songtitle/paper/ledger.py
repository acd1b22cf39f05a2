"""The paper's ledger: what it says, numbers that show how they were worked out, their relations.

With `n = numbers()`, `n["headline.in_domain"] - n["headline.out_domain"]` is 16.2 and shows
"61.3 − 45.1". A relation holds two such numbers together, and says whether it holds.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from songtitle.paper.printed import cells, ledger

Real = float | int
SUM, PRODUCT, POWER, WHOLE = range(4)  # how firmly the parts of what is shown hang together


def _operators(sign: str, rank: int, work: Callable[[float, float], float]) -> Any:
    """Make the methods that join two numbers by a sign: self on the left, self on the right."""

    def join(left: Real, right: Real) -> "Number":
        a, b = _number(left), _number(right)
        sides = (
            side.shown if side.rank >= least else f"({side.shown})"
            for side, least in ((a, rank), (b, rank + 1))
        )
        return Number(work(float(a), float(b)), f" {sign} ".join(sides), a.names | b.names, rank)

    return join, lambda self, other: join(other, self)


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

    __add__, __radd__ = _operators("+", SUM, operator.add)
    __sub__, __rsub__ = _operators("−", SUM, operator.sub)
    __mul__, __rmul__ = _operators("×", PRODUCT, operator.mul)
    __truediv__, __rtruediv__ = _operators("/", PRODUCT, operator.truediv)
    __pow__, __rpow__ = _operators("^", POWER, operator.pow)


Numbers = Mapping[str, Number]  # by their names in the ledger


def _number(value: Real) -> Number:
    return value if isinstance(value, Number) else Number(value, str(value))


def _apply(work: Callable[..., float], *values: Real) -> Number:
    made = [_number(value) for value in values]
    shown = f"{work.__name__}({', '.join(each.shown for each in made)})"
    return Number(work(*map(float, made)), shown, frozenset().union(*(m.names for m in made)))


least, largest, floor = (partial(_apply, work) for work in (min, max, math.floor))


def written(value: Real) -> str:
    """Write a number: whole ones whole, others with two decimals or three digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"  # a year has no comma
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


@dataclass(frozen=True)
class Relation:
    """Two numbers that the paper's words put in a relation to each other, and whether it holds."""

    holds: bool
    text: str  # "gap: (61.3 − 45.1 = 16.2) = 15.7 within 0.05? no"
    names: frozenset[str]  # of the numbers in it


def compare(left: Real, sign: str, right: Real) -> bool:
    """Say whether `left sign right`, one of = ≤ ≥ < >, holds for sums of printed decimals."""
    # Such a sum is not exact in binary: 61.3 - 45.6 is 15.699999999999996.
    same = math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if sign == "=" or same:
        return same and sign in "=≤≥"
    return left < right if sign in "<≤" else left > right


def relate(sign: str, about: str, left: Real, right: Real, *, within: Real = 0) -> Relation:
    """Relate two numbers by a sign, as `compare` does; equal ones may differ by `within`."""
    slack, close = _number(within), abs(float(left) - float(right)) <= float(within) + 1e-9
    holds = compare(left, sign, right) or (sign == "=" and close)
    sides = [_number(left), _number(right)]
    plain = [written(side) for side in sides]
    texts = [
        text if side.shown == text else f"({side.shown} = {text})"
        for side, text in zip(sides, plain, strict=True)
    ]
    allowed = f" within {written(slack)}" if slack else ""
    text = f"{about}: {texts[0]} {sign} {texts[1]}{allowed}? {'yes' if holds else 'no'}"
    return Relation(holds, text, frozenset().union(*(each.names for each in (*sides, slack))))


equal, at_most, at_least, below, above = (partial(relate, sign) for sign in "=≤≥<>")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim of the paper (a number, a sentence), or two things in it put side by side."""

    id: str
    kind: str  # "number", "sentence" or "inconsistency"
    where: str
    says: str
    page: str  # "04_search#tab-4"
    needs: str  # what would test it; for an inconsistency, what this book does about it
    weight: str = ""  # of an inconsistency: number, method, wording, outside, odd or agrees


def numbers(other: Mapping[str, Real] | None = None) -> dict[str, Number]:
    """Give the numbers of the paper and its tables, and constants from elsewhere, by name.

    `other` values replace some. A cell that the paper leaves out (NA) has none.
    """
    found = {
        entry["id"]: entry["value"] for part in ("number", "constant") for entry in ledger()[part]
    }
    found |= {id: cell for id, _, _, cell in cells() if cell == cell} | dict(other or {})
    return {id: Number(value, names=frozenset({id})) for id, value in found.items()}


def sources() -> dict[str, str]:
    """Say of each constant where it comes from: not from the paper."""
    return {entry["id"]: entry["source"] for entry in ledger()["constant"]}


def entries(n: Numbers) -> list[Entry]:
    """List numbers in the text, cells of the tables, sentences, and inconsistencies."""
    found: list[dict[str, str]] = []
    for row in ledger()["number"]:
        note = f" ({row['note']})" if row["note"] else ""
        says = f"{written(n[row['id']])} {row['unit']}{note}"
        found.append({"id": row["id"], "kind": "number", "where": row["where"], "says": says})
    for id, label, column, value in cells():
        if value != value:  # NA
            continue
        size = n.get(f"{id.rpartition('.')[0]}.tile_size")
        what = f"k = {column}" if column.isdigit() else column.replace("_", " ")
        says = f"{label}{f', {written(size)} px' if size else ''}, {what}: {written(n[id])}"
        found.append({"id": id, "kind": "number", "where": f"Table {id[5]}", "says": says})
    found += [{"kind": "sentence"} | row for row in ledger()["sentence"]]
    tests = {id: row for row in ledger()["testing"] for id in row["claims"]}
    for entry in found:
        test = tests.get(entry["id"]) or tests[entry["id"].rpartition(".")[0]]
        entry |= {"page": test["page"], "needs": test["needs"]}
    names = ("id", "where", "says", "page", "weight")
    found += [
        {"kind": "inconsistency", "needs": row["here"]} | {name: row[name] for name in names}
        for row in ledger()["inconsistency"]
    ]
    return [Entry(**entry) for entry in found]
