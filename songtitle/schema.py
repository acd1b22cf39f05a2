"""Schema: the types and ranges of settings, held to by pydantic and told in words.

A setting is a field of a frozen dataclass. Its annotation is its type and range, and the string
under it is its help; nothing else says either.
"""

import ast
import contextlib
import inspect
import textwrap
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import core_schema

from songtitle.errors import InputError

STRICT = ConfigDict(strict=True, allow_inf_nan=False)  # True is no int, "3" neither
LARGEST = 10**9  # more than any run can take, and a thousand times less than what overflows
SEEDS = 2**32  # as many as NumPy and scikit-learn take; torch takes more
ENDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")  # of ranges, in JSON schema
LONGEST = 200  # characters of a wrong value that an error shows


def plain(value: Any) -> Any:
    """What a text stands for as papermill reads it: a number, a list, true; else the text."""
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str):
        with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(value)  # the last two: brackets a thousand deep
    return value


def _as_tuple(value: Any) -> Any:
    value = plain(value)
    return (value,) if isinstance(value, str | int) else _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _once_each(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value))


@dataclass(frozen=True)
class OneOf:
    """Holds a `str` to the names of a table, as `Literal` does to the names that it lists."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.literal_schema(list(self.names))


Each = TypeVar("Each")
Count = Annotated[int, Field(ge=1, le=LARGEST)]
CountOr0 = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Above0 = Annotated[float, Field(gt=0)]
From0 = Annotated[float, Field(ge=0)]
# A list may come as text or as one thing alone, for papermill's `-p` knows no lists; what comes
# twice counts once.
Several = Annotated[tuple[Each, ...], BeforeValidator(_as_tuple), AfterValidator(_once_each)]
AtLeastOne = Annotated[
    tuple[Each, ...],
    Field(min_length=1),
    BeforeValidator(_as_tuple),
    AfterValidator(_once_each),
]


@dataclass(frozen=True)
class Told:
    """What there is to say of a setting."""

    expected: str  # its type and range: "a whole number from 1 to 10^9"
    help: str
    example: str


def check(settings: Any) -> None:
    """Hold every field of a frozen dataclass to its annotation; called in its `__post_init__`.

    Fields become what `fitting` makes of them. Raises `InputError` for the first that does not fit.
    """
    kind: Any = type(settings)
    for name in _adapters(kind):
        object.__setattr__(settings, name, fitting(kind, name, getattr(settings, name)))


def fitting(kind: Any, name: str, value: Any) -> Any:
    """A value as a field of a dataclass takes it: an int for a float as one, a list as a tuple.

    Raises `InputError` that begins with the name of the field where the value does not fit.
    """
    if name not in _adapters(kind):
        msg = f"{name}: no such setting; expected one of {', '.join(_adapters(kind))}"
        raise InputError(msg)
    try:
        return _adapters(kind)[name].validate_python(value)
    except ValidationError:
        about = told(kind)[name]
        msg = f"{name}: expected {about.expected}, got {brief(value)}; try {about.example}"
        raise InputError(msg) from None


def brief(value: Any) -> str:
    """A value as an error shows it: on one line that is not too long, lists as users write them."""
    try:
        text = " ".join(repr(list(value) if isinstance(value, tuple) else value).split())
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number with thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@cache
def told(kind: Any) -> dict[str, Told]:
    """What there is to say of each field of a dataclass, by name."""
    help_of, adapters = _docstrings(kind), _adapters(kind)
    return {
        each.name: Told(
            _in_words(adapters[each.name].json_schema()),
            help_of.get(each.name, ""),
            brief(each.default),
        )
        for each in fields(kind)
        if not is_dataclass(each.type)
    }


@cache
def _adapters(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    found = {each.name: hints[each.name] for each in fields(kind)}
    return {
        name: TypeAdapter(InstanceOf.__class_getitem__(hint))
        if is_dataclass(hint)
        else TypeAdapter(hint, config=STRICT)
        for name, hint in found.items()
    }


def _docstrings(kind: Any) -> dict[str, str]:
    """The string under each field: Python leaves it in the source only."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(said.value.value.split())
        for field, said in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
        and isinstance(said.value.value, str)
    }


def _in_words(schema: dict[str, Any]) -> str:
    """A JSON schema as an error tells it."""
    if "anyOf" in schema:
        return ", or ".join(map(_in_words, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema["type"] == "array":
        each = _in_words(schema["items"]).replace("text", "names").replace("number", "numbers")
        several = "one or more " if schema.get("minItems") else ""
        return f"a list of {several}{each.removeprefix('a ').removeprefix('one ')}"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    names |= {"string": "text", "null": "None"}
    return f"{names[schema['type']]}{_range(schema)}"


def _range(schema: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "exclusiveMaximum": "to below"}
    words["maximum"] = "to" if "minimum" in schema else "up to"
    ends = [f" {words[key]} {_figure(schema[key])}" for key in ENDS if key in schema]
    return "".join(ends) + (" up" if len(ends) == 1 and "minimum" in schema else "")


def _figure(value: int | float) -> str:
    return {LARGEST: "10^9", SEEDS: "2^32"}.get(int(value)) or f"{value:g}"
