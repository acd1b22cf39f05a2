"""Arithmetic on named numbers: does what the paper says in one place follow from another?

An expression names numbers of the ledger in braces, `{table4.msd.5} / {table4.msd.1}`, and may
use + - * / ** and a few functions. A relation holds two of them together.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from songtitle.errors import InputError

NAME = re.compile(r"\{([^{}]+)\}")

OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "sqrt": math.sqrt,
}
SIGNS = {"==": "=", "<=": "≤", ">=": "≥", "<": "<", ">": ">"}


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Two expressions that the paper's words put in a relation to each other."""

    about: str  # what is compared, for readers
    left: str
    sign: str  # a key of SIGNS
    right: str
    tolerance: str = "0"  # an expression too; only "==" uses it


@dataclass(frozen=True, kw_only=True)
class Worked:
    """A relation with its numbers put in."""

    holds: bool
    left: float
    right: float
    text: str  # "61.3 - 45.1 = 16.2, expected 15.7"


def evaluate(expression: str, numbers: Mapping[str, float]) -> float:
    """The value of an expression. Raises InputError for what is no arithmetic or has no number."""
    names = list(dict.fromkeys(NAME.findall(expression)))
    text = expression
    for i, name in enumerate(names):
        text = text.replace(f"{{{name}}}", f"(_{i})")
    try:
        tree = ast.parse(text, mode="eval").body
        values = {f"_{i}": numbers[name] for i, name in enumerate(names)}
        return float(_value(tree, values))
    except KeyError as error:
        msg = f"arithmetic {expression!r}: expected a number of the ledger, got {error}; add it"
        raise InputError(msg) from None
    except (SyntaxError, TypeError, ZeroDivisionError) as error:
        msg = f"arithmetic {expression!r}: {error}; mend it in the ledger"
        raise InputError(msg) from None


def work(relation: Relation, numbers: Mapping[str, float]) -> Worked:
    """The relation with its numbers, and whether it holds."""
    left, right = evaluate(relation.left, numbers), evaluate(relation.right, numbers)
    slack = evaluate(relation.tolerance, numbers)
    # A sum of printed decimals is not exact in binary: 61.3 - 45.6 is 15.699999999999996.
    near = math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    holds = {
        "==": near or abs(left - right) <= slack + 1e-9,
        "<=": near or left < right,
        ">=": near or left > right,
        "<": left < right and not near,
        ">": left > right and not near,
    }[relation.sign]
    sides = [
        _side(text, value, numbers)
        for text, value in ((relation.left, left), (relation.right, right))
    ]
    within = f" within {number(slack)}" if slack else ""
    sign = SIGNS[relation.sign]
    text = f"{relation.about}: {sides[0]} {sign} {sides[1]}{within}? {'yes' if holds else 'no'}"
    return Worked(holds=holds, left=left, right=right, text=text)


def names_in(relation: Relation) -> list[str]:
    """The numbers that a relation names, in order."""
    every = (relation.left, relation.right, relation.tolerance)
    return list(dict.fromkeys(name for text in every for name in NAME.findall(text)))


def number(value: float) -> str:
    """A number as a reader wants it: whole ones whole, others with two decimals or three digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"  # a year has no comma
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


def _side(expression: str, value: float, numbers: Mapping[str, float]) -> str:
    shown = NAME.sub(lambda found: number(numbers[found[1]]), expression)
    shown = shown.replace("**", "^").replace("*", "×").replace(" - ", " − ")
    plain = NAME.fullmatch(expression.strip()) or shown == number(value)
    return number(value) if plain else f"({shown} = {number(value)})"


def _value(node: ast.AST, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return float(OPERATORS[type(op)](_value(left, values), _value(right, values)))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return float(OPERATORS[type(op)](_value(operand, values)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return float(FUNCTIONS[name](*(_value(each, values) for each in arguments)))
    msg: Any = f"expected numbers, + - * / ** and {', '.join(FUNCTIONS)}, got {ast.unparse(node)}"
    raise TypeError(msg)
