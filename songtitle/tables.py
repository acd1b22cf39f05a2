"""Tables and notes that look right twice: as HTML in a notebook, as numbered MyST in the book.

What comes from data (titles, captions, names of files) is text and nothing else: `plain` writes it
so that no letter of it is taken for markup. Cells of a `Table` are written so by themselves.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from numbers import Number
from typing import Any

import pandas as pd

from songtitle.config import SONGS, Input
from songtitle.fmt import call_inputs, called, write

NO_TITLE = "(no title)"
LEVEL = 0.05  # of a test, and with Holm's correction of all tests of a cell
RECORDS = "application/vnd.songtitle.records+json"  # which records an output of a page rests on

_MARKUP = frozenset("\\`*_{}[]<>#$|!&~^@%=")  # what MyST may take for markup, wherever it stands
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # reach beyond a title
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\xad]")


def plain(text: str, empty: str = NO_TITLE) -> str:
    """Write text from data as MyST that shows exactly it on one line, or `empty` where none is.

    Right-to-left text is isolated, so that it turns nothing beside it around.
    """
    text = shown(text, empty)
    # "1. Allegro" is a title, not a list; nor are "- ", "+ ", ":::", "(target)=" and "--" markup.
    first = re.match(r"\d+(?=[.)])", text)
    at = first.end() if first else 0
    opens = bool(first) or (text[0].isascii() and not text[0].isalnum())
    return "".join(
        f"&#{ord(letter)};" if letter in _MARKUP or (opens and place == at) else letter
        for place, letter in enumerate(text)
    )


def shown(text: str, empty: str = NO_TITLE) -> str:
    """Write text from data for `html.escape` or a figure: one line, no control characters,
    right-to-left text between U+2068 and U+2069, and `empty` where nothing would be seen."""
    text = _DIRECTIONS.sub("", " ".join(text.split()))
    text = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    if not _INVISIBLE.sub("", text).strip("\ufffd "):
        return empty
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    return f"\u2068{text}\u2069" if turned else text


@dataclass(frozen=True)
class Markup:
    """A cell that is MyST on purpose; where no MyST is read stands `bare`, or else `text`."""

    text: str
    bare: str = ""


class Table:
    """A captioned table that a book page can refer to.

    A notebook shows the HTML, the book takes the Markdown (MyST's `list-table`, whose caption and
    anchor `name` are the page's own). Cells are plain text unless they are `Markup`; line ends in
    a cell are kept, and the parts of a tuple stand on lines of their own. `caption` and `note`
    (below the table) are MyST: what they hold from data goes through `plain`.
    """

    def __init__(self, frame: pd.DataFrame, *, name: str, caption: str, note: str = ""):
        self.frame, self.name, self.caption, self.note = frame, name, caption, note

    def __repr__(self) -> str:  # an address in memory would make two runs differ
        return f"{type(self).__name__}({self.name!r})"

    def _rows(self) -> list[list[Any]]:
        return [list(self.frame.columns), *self.frame.to_numpy(object).tolist()]

    def _repr_markdown_(self) -> str:
        head = called(self.caption)
        lines = [f"```{{list-table}} {head}", ":header-rows: 1", f":name: {self.name}", ""]
        for row in self._rows():
            marks = ("* -", *["  -"] * (len(row) - 1))
            lines += [f"{mark} {_as_myst(it)}" for mark, it in zip(marks, row, strict=True)]
        return "\n".join([*lines, "```", "", called(self.note)])

    def _repr_html_(self) -> str:
        head, *body = [list(map(_as_html, row)) for row in self._rows()]
        cells = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
        return (
            f"<table><caption>{_bare(called(self.caption))}</caption><thead><tr>{cells}</tr></thead>"
            f"<tbody>{rows}</tbody></table><p>{_bare(called(self.note))}</p>"
        )


class Note:
    """A boxed remark: plain in a notebook, an admonition in the book.

    `title` and `text` are MyST: what they hold from data goes through `plain`. `records` are the
    names and keys of the records that the remark rests on, for the provenance of its page.
    """

    def __init__(
        self, title: str, text: str, kind: str = "note", records: Iterable[tuple[str, str]] = ()
    ):
        self.title, self.text, self.kind = called(title), called(text), kind
        self.records = [list(each) for each in records]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r})"

    def _repr_markdown_(self) -> str:
        return f"```{{admonition}} {self.title}\n:class: {self.kind}\n\n{self.text}\n```"

    def _repr_html_(self) -> str:
        return f"<p><strong>{_bare(self.title)}.</strong> {_bare(self.text)}</p>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {RECORDS: self.records} if self.records else {}


def made_by(records: Sequence[Any], config: Any) -> Note:
    """Say which preset, commit, data and machine made a page, from its records and settings; what
    the page shows from then on calls inputs as the corpora of these settings do."""
    call(config)
    its = config.material
    small = its.scale == "small"
    first = records[0].provenance
    keys = ", ".join(f"{record.stage} {record.key}" for record in records)
    said = "".join(f" {origin(record)}" for record in records if record.changed)
    return Note(
        f"A {config.name} run on small data, not a reproduction"
        if small
        else f"A {config.name} run on the paper's own corpora",
        f"Preset {config.name}, seed {config.seed}. {its.about} "
        f"Commit {_commit(first)}, songtitle "
        f"{first['songtitle']}, Python {first['python']}, {plain(first['system'])}, "
        f"{first['cores']} cores. Record: {plain(keys)}.{said}",
        kind="warning",
        records=rests_on(records),
    )


def call(config: Any) -> None:
    """Have inputs shown from now on by what the corpora of these settings call them."""
    sides = {config.crop, *config.tile_sizes}
    inputs = [*SONGS, *(Input("pictures", tile=side) for side in sides)]
    call_inputs({str(each): config.called(each) for each in inputs})


def origin(record: Any) -> str:
    """Say in a sentence when, by which code and under which key a record was made."""
    made = record.provenance
    said = f"Record {plain(record.stage)} {record.key}, made {made['started'][:10]} by commit "
    return f"{said}{_commit(made)}.{other_code(record.changed)}"


def other_code(changed: Sequence[str]) -> str:
    """Say in a sentence what has changed since a record was made; nothing where nothing has."""
    if not changed:
        return ""
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f" Other code than this clone's made it; changed since: {', '.join(changed[:3])}{more}."


def rests_on(records: Iterable[Any]) -> list[tuple[str, str]]:
    """Give stage and key of each record, as `Note` takes them."""
    return [(record.stage, record.key) for record in records]


def facts(record: Any) -> dict[str, Any]:
    """Give the numbers of a record that prose may quote, flat: `title_words.test.both`."""
    flat, waiting = {}, [("", record.result)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            start = f"{name}." if name else ""
            waiting += [(f"{start}{key}", inner) for key, inner in reversed(value.items())]
        elif not isinstance(value, list):
            flat[name] = value
    return flat


def definition_note(record: Any, *keys: str) -> str:
    """Say which BLEU a record was scored by (all, or some by key), to stand under its table."""
    used = record.settings.get("bleu")
    if not used:
        return "Its record, of an earlier version, does not say by which BLEU."
    chosen = [used[key] for key in keys or used]
    return f"Signature of {'; '.join('{name}: `{signature}`'.format(**each) for each in chosen)}."


def short_name(name: str) -> str:
    """Give the name of an input without what a glue key cannot hold: "timbre", "pictures"."""
    return name.removeprefix("songs: ").split()[0]


def tabulate(rows: Iterable[Any], columns: Mapping[str, Any]) -> pd.DataFrame:
    """Give a table with a row for each of `rows`, which are mappings.

    By heading, `columns` says what stands in a cell: a field by its name, a pattern of fields as
    `fmt.write` fills it, or a function of the row.
    """

    def cell(row: Any, what: Any) -> Any:
        if callable(what):
            return what(row)
        return write(what, row) if "{" in what else row[what]

    cells = [[cell(row, what) for what in columns.values()] for row in rows]
    return pd.DataFrame(cells, columns=list(columns), dtype=object)


def by_beam(rows: pd.DataFrame, of: str | list[str], value: str) -> pd.DataFrame:
    """Give one column of rows as a table: a row for each value of `of`, in order of appearance, a
    column `k = 5` for each beam size."""
    keys = [of] if isinstance(of, str) else of
    wide = rows.set_index([*keys, "beam_size"])[value].unstack()  # which sorts its rows
    wide = wide.rename(columns="k = {}".format).rename_axis(columns=None).reset_index()
    return rows[keys].drop_duplicates().merge(wide, on=keys)


def _commit(made: Mapping[str, Any]) -> str:
    """Write the commit of a provenance, and whether the code was that commit's."""
    return f"{made['commit']}{' with uncommitted changes' if made['modified'] else ''}"


def _parts(value: Any) -> list[Any]:
    """Split a cell into what stands on lines of its own."""
    if isinstance(value, tuple):
        return [part for each in value for part in _parts(each)]
    return list(value.split("\n")) if isinstance(value, str) else [value]


def _as_myst(value: Any) -> str:
    said = (
        called(p.text) if isinstance(p, Markup) else plain(_text(p), "–") for p in _parts(value)
    )
    return "<br>".join(said)


def _as_html(value: Any) -> str:
    said = (called(p.bare or p.text) if isinstance(p, Markup) else _text(p) for p in _parts(value))
    return "<br>".join(escape(shown(text, "–")) for text in said)


def _bare(text: str) -> str:
    """Write MyST as a notebook is to show it: what `plain` wrote as the text it stands for."""
    return escape(unescape(text))


def _text(value: Any) -> str:
    if value is None or (isinstance(value, Number) and value != value):  # NaN
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"
    if isinstance(value, Number):
        return f"{value:,}"
    return called(str(value))
