"""Numbers as tables and prose show them: points, percent, signs, intervals and p-values.

A score is a share in [0, 1] and is shown in percent points, so that `times` is 100 unless a number
is of another kind. NaN is a dash. What rounds to 0 has no minus sign, except with `sign="+"`, where
the sign is that of the number itself: an interval of [-0.7, -0.0] lies below 0.
"""

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

Number = float | int
NOTHING = "–"  # what stands where there is no number
MINUS = "\N{MINUS SIGN}"
ESTIMATE = "{score:points} [{low:points}, {high:points}]"  # a pattern for `write`


def points(share: Number, digits: int = 1, *, times: Number = 100, sign: str = "") -> str:
    """Round `times` a share to `digits`, as in "29.7"; with `sign="+"` as in "+29.7" and "-0.0"."""
    return NOTHING if share != share else f"{times * share:{sign or 'z'}.{digits}f}"


def signed(share: Number, digits: int = 1, *, times: Number = 100) -> str:
    """Give points with their sign, as in "+3.1"; what rounds to 0 has none."""
    written = points(share, digits, times=times, sign="+")
    return written if written.strip("+-0.") else written.lstrip("+-")


def interval(low: Number, high: Number, digits: int = 1, **shown: Any) -> str:
    """Give both ends as `points` does, as in "[24.8, 34.9]"; `times` and `sign` as there."""
    return f"[{points(low, digits, **shown)}, {points(high, digits, **shown)}]"


def estimate(value: Number, low: Number, high: Number, digits: int = 1, **shown: Any) -> str:
    """Give a number with its interval, as in "29.7 [24.8, 34.9]"; `times` and `sign` as there."""
    return f"{points(value, digits, **shown)} {interval(low, high, digits, **shown)}"


def span(values: Iterable[Number], digits: int = 1) -> str:
    """Give the lowest and the highest of some numbers, as in "5.2 to 23.1"."""
    found = list(values)
    return f"{min(found):.{digits}f} to {max(found):.{digits}f}"


def percent(share: Number, digits: int = 1) -> str:
    """Give a share in percent, as in "29.7 %"."""
    return f"{points(share, digits)} %"


def p_value(p: Number) -> str:
    """Give a p-value with three digits, as in "0.013"."""
    return points(p, 3, times=1)


def minus(number: str) -> str:
    """Give a written number a minus sign (U+2212) for its hyphen."""
    return number.replace("-", MINUS)


_NAMES: dict[str, str] = {}


def call_inputs(names: Mapping[str, str]) -> None:
    """Have tables, notes and figures show these names in place of others, from now on: inputs go by
    one name in records whatever the corpora, and are shown by what their corpora call them."""
    _NAMES.clear()
    _NAMES.update({name: shown for name, shown in names.items() if name != shown})


def called(text: str) -> str:
    """Give a text with inputs as their corpora call them: see `call_inputs`."""
    if not _NAMES:
        return text
    known = "|".join(map(re.escape, sorted(_NAMES, key=len, reverse=True)))
    return re.sub(rf"(?:{known})(?!\w)", lambda found: _NAMES[found[0]], text)


class _Pattern(string.Formatter):
    """A pattern whose fields may be written in the ways above."""

    def format_field(self, value: Any, format_spec: str) -> str:
        way = re.fullmatch(r"(points|plus|signed|percent|p)(?:\.(\d))?(x1)?", format_spec)
        if way is None:
            return str(super().format_field(value, format_spec))
        if way[1] == "p":
            return p_value(value)
        shown: dict[str, Any] = {"digits": int(way[2])} if way[2] else {}
        shown |= {"times": 1} if way[3] else {}
        if way[1] == "plus":
            return points(value, **shown, sign="+")
        return {"points": points, "signed": signed, "percent": percent}[way[1]](value, **shown)


def write(pattern: str, row: Any) -> str:
    """Fill a pattern with fields of a row, as in "{score:points.2} (p {p:p})".

    A field is written as Python does, or as `points`, `plus` (points with `sign="+"`), `signed`,
    `percent` or `p` do, with digits such as `.2`, and `x1` for numbers that are not shares.
    """
    return _Pattern().vformat(pattern, (), row)
