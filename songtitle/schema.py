"""Schema: the types and ranges of settings, held to by pydantic and told in words.

A setting is a field of a frozen dataclass that begins with `Checked`. Its annotation is its type
and range, and the string under it is its help; nothing else says either.
"""

import ast
import contextlib
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar, get_type_hints

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
LONGEST = 200  # characters of a wrong value that an error shows

TYPES = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
TYPES |= {"string": "text", "null": "None"}
ENDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
ENDS |= {"exclusiveMaximum": "to below"}
FIGURES = {LARGEST: "10^9", SEEDS: "2^32"}


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
    value = (value,) if isinstance(value, str | int) else value
    return tuple(value) if isinstance(value, list) else value


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
ONCE_EACH = AfterValidator(lambda values: tuple(dict.fromkeys(values)))
Several = Annotated[tuple[Each, ...], BeforeValidator(_as_tuple), ONCE_EACH]
AtLeastOne = Annotated[tuple[Each, ...], Field(min_length=1), BeforeValidator(_as_tuple), ONCE_EACH]


@dataclass(frozen=True)
class Told:
    """What there is to say of a setting."""

    expected: str  # its type and range: "a whole number from 1 to 10^9"
    help: str
    example: str


class Checked:
    """What a dataclass of settings begins with: each field is held to its annotation.

    Fields become what `fitting` makes of them. Raises `InputError` for the first that does not fit.
    """

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name in _adapters(kind):
            object.__setattr__(self, name, fitting(kind, name, getattr(self, name)))


def refuse(name: str, expected: str, got: str, then: str) -> NoReturn:
    """Raise `InputError` for a value: what was expected, what came, what to do."""
    msg = f"{name}: expected {expected}, got {got}; {then}"
    raise InputError(msg) from None


def fitting(kind: Any, name: str, value: Any) -> Any:
    """A value as a field of a dataclass takes it: an int for a float as one, a list as a tuple.

    Raises `InputError` that begins with the name of the field where the value does not fit.
    """
    try:
        return _adapters(kind)[name].validate_python(value)
    except ValidationError:
        about = told(kind)[name]
        refuse(name, about.expected, brief(value), f"try {about.example}")


def brief(value: Any) -> str:
    """A value as an error shows it: on one line that is not too long, lists as users write them."""
    try:
        text = " ".join(repr(list(value) if isinstance(value, tuple) else value).split())
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number with thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@cache
def told(kind: Any) -> dict[str, Told]:
    """What there is to say of each field of a dataclass that is no dataclass itself, by name."""
    found = TypeAdapter(kind).json_schema()["properties"]
    return {
        each.name: Told(
            _in_words(found[each.name]),
            " ".join(found[each.name].get("description", "").split()),
            brief(each.default),
        )
        for each in fields(kind)
        if not is_dataclass(each.type)
    }


@cache
def _adapters(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: TypeAdapter(InstanceOf.__class_getitem__(hints[name]))
        if is_dataclass(hints[name])
        else TypeAdapter(hints[name], config=STRICT)
        for name in (each.name for each in fields(kind))
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
    said = TYPES[schema["type"]]
    ends = [key for key in ENDS if key in schema]
    for key in ends:
        word = "up to" if key == "maximum" and "minimum" not in schema else ENDS[key]
        said += f" {word} {FIGURES.get(schema[key], format(schema[key], 'g'))}"
    return f"{said} up" if ends == ["minimum"] else said
