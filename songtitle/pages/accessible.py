"""Markup of the theme and of Sphinx that screen readers stumble over, put right page by page."""

import re
from typing import Any

REPAIRS = (
    # A role that ARIA has given up; its list asks for items.
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),
    # The corner over row names heads nothing.
    (re.compile(r"<th(?: [^>]*)?>(?:<p>)?\s*(?:</p>)?</th>"), "<td></td>"),
    # Which cells a head is for.
    (re.compile(r'<th class="head(?! stub)'), '<th scope="col" class="head'),
    (re.compile(r'<th class="stub'), '<th scope="row" class="stub'),
)


def repaired(html: str) -> str:
    """The body of a page with its markup put right; nothing a reader sees changes.

    A second pass changes nothing.
    """
    for wrong, right in REPAIRS:
        html = wrong.sub(right, html)
    return html


def _repair(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    # Without a mode of its own the theme writes an error to the console at a reader's first visit.
    context["default_mode"] = context.get("default_mode") or "auto"
    if body := context.get("body"):
        context["body"] = repaired(body)


def setup(app: Any) -> None:
    """Repair each page as it is written, after all others have had their say."""
    app.connect("html-page-context", _repair, priority=900)
