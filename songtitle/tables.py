"""Tables and notes that look right twice: as HTML in a notebook, as numbered MyST in the book."""

from collections.abc import Mapping, Sequence
from html import escape
from numbers import Number
from typing import Any

import pandas as pd


class Table:
    """A captioned table that a book page can refer to.

    A notebook shows the HTML, the book takes the Markdown (MyST's `list-table`, whose caption and
    anchor `name` are the page's own). `note` stands under the table. Line ends in a cell are kept.
    """

    def __init__(self, frame: pd.DataFrame, *, name: str, caption: str, note: str = ""):
        self.frame, self.name, self.caption, self.note = frame, name, caption, note

    def _rows(self) -> list[list[str]]:
        head = [str(column) for column in self.frame.columns]
        return [head, *([_text(value) for value in row] for row in self.frame.to_numpy(object))]

    def _repr_markdown_(self) -> str:
        lines = [f"```{{list-table}} {self.caption}", ":header-rows: 1", f":name: {self.name}", ""]
        for row in self._rows():
            cells = [cell.replace("\n", "<br>") for cell in row]
            lines += [f"{'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        return "\n".join([*lines, "```", "", self.note])

    def _repr_html_(self) -> str:
        head, *body = self._rows()
        cells = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_broken(cell)}</td>' for cell in row)}</tr>" for row in body
        )
        return (
            f"<table><caption>{escape(self.caption)}</caption><thead><tr>{cells}</tr></thead>"
            f"<tbody>{rows}</tbody></table><p>{escape(self.note)}</p>"
        )


class Note:
    """A boxed remark: plain in a notebook, an admonition in the book."""

    def __init__(self, title: str, text: str, kind: str = "note"):
        self.title, self.text, self.kind = title, text, kind

    def _repr_markdown_(self) -> str:
        return f"```{{admonition}} {self.title}\n:class: {self.kind}\n\n{self.text}\n```"

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.title)}.</strong> {escape(self.text)}</p>"


def made_by(records: Sequence[Any], config: Any) -> Note:
    """Which preset, commit, data and machine made a page, from its records and settings."""
    first = records[0].provenance
    keys = ", ".join(f"{record.stage} {record.key}" for record in records)
    return Note(
        f"A {config.name} run on small data, not a reproduction",
        f"Preset {config.name}, seed {config.seed}. Pictures: Tux Paint stamps; songs: folk tunes "
        f"rendered from scores. Commit {_commit(first)}, songtitle "
        f"{first['songtitle']}, Python {first['python']}, {first['system']}, {first['cores']} "
        f"cores. Record: {keys}.",
        kind="warning",
    )


def origin(record: Any) -> str:
    """When, by which code and under which key a record was made, as a sentence."""
    made = record.provenance
    return (
        f"Record {record.stage} {record.key}, made {made['started'][:10]} by commit "
        f"{_commit(made)}."
    )


def _commit(made: Mapping[str, Any]) -> str:
    """The commit of a provenance, and whether the code was that commit's."""
    return f"{made['commit']}{' with uncommitted changes' if made['modified'] else ''}"


def _broken(cell: str) -> str:
    return escape(cell).replace("\n", "<br>")


def _text(value: Any) -> str:
    if value is None or (isinstance(value, Number) and value != value):  # NaN
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"
    if isinstance(value, Number):
        return f"{value:,}"
    return str(value) or "–"
