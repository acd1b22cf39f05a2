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
# A signature of many lines is written as a list of definitions without their terms.
SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.DOTALL)


def repaired(html: str) -> str:
    """The body of a page with its markup put right; nothing a reader sees changes.

    A second pass changes nothing.
    """
    for wrong, right in REPAIRS:
        html = wrong.sub(right, html)
    return SIGNATURE.sub(_lines, html)


def _lines(found: re.Match[str]) -> str:
    opened, parts = found.groups()
    parts = parts.replace("<dd>", '<div class="sig-line">').replace("</dd>", "</div>")
    return f'{opened}<div class="sig-lines">{parts}</div>'


def _repair(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    # Without a mode of its own the theme writes an error to the console at a reader's first visit.
    context["default_mode"] = context.get("default_mode") or "auto"
    if body := context.get("body"):
        context["body"] = repaired(body)
    if contents := context.get("generate_toctree_html"):

        def spoken(*arguments: Any, **options: Any) -> Any:
            drawn = contents(*arguments, **options)
            for arrow in drawn.find_all("summary"):  # opens a section, and says nothing by itself
                arrow["aria-label"] = "Its pages"
            return drawn

        context["generate_toctree_html"] = spoken


def setup(app: Any) -> None:
    """Repair each page as it is written, after all others have had their say."""
    app.connect("html-page-context", _repair, priority=900)
