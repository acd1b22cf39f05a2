"""Glossary tooltips: a term's definition, in one sentence, where the term is used.

Shown on hover and on keyboard focus, read by screen readers as the link's description, closed by
Escape (`book/_static/glossary.js`), and left out in print.
"""

import re
from typing import Any

from docutils import nodes

# A full stop, not one of "e.g. this" or "0.5".
_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)[.!?](?=\s+[A-Z“\"(]|$)")


class term_link(nodes.Inline, nodes.TextElement):
    """A link to a term, with the first sentence of its definition."""


def setup(app: Any) -> None:
    """Turn links to terms into links with a tooltip, in HTML only."""
    app.add_node(term_link, html=(_open, _close))
    app.connect("doctree-resolved", _add_tooltips)


def first_sentence(text: str) -> str:
    """A text up to the end of its first sentence, on one line."""
    text = " ".join(text.split())
    end = _SENTENCE.search(text)
    return text[: end.end()] if end else text


def _add_tooltips(app: Any, doctree: nodes.document, name: str) -> None:
    if app.builder.format != "html":
        return
    count = 0
    for link in list(doctree.findall(nodes.reference)):
        if not any("std-term" in inner.get("classes", []) for inner in link.findall(nodes.inline)):
            continue
        place = link.get("refid") or link.get("refuri", "").rpartition("#")[2]
        if said := _definitions(app).get(place):
            count += 1
            uri = link.get("refuri") or f"#{place}"
            tip = term_link("", uri=uri, tip=said, tip_id=f"tip-{count}")
            tip += link.children
            link.replace_self(tip)


def _definitions(app: Any) -> dict[str, str]:
    """Anchor of a term -> first sentence of its definition, over all glossaries of the book."""
    known: dict[str, str] | None = getattr(app, "songtitle_terms", None)
    if known is None:
        known = app.songtitle_terms = {}
        terms = [each for each in app.env.get_domain("std").get_objects() if each[2] == "term"]
        for page in sorted({each[3] for each in terms}):
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                said = [part for part in item.children if isinstance(part, nodes.definition)]
                for term in item.findall(nodes.term):
                    for anchor in term.get("ids", []):
                        known[anchor] = first_sentence(said[0].astext()) if said else ""
    return known


def _open(self: Any, node: term_link) -> None:
    marks = {"href": node["uri"], "aria-describedby": node["tip_id"]}
    self.body.append('<span class="term-tip">')
    self.body.append(self.starttag(node, "a", "", CLASS="reference internal", **marks))


def _close(self: Any, node: term_link) -> None:
    text = self.encode(node["tip"])
    self.body.append(f'</a><span role="tooltip" id="{node["tip_id"]}">{text}</span></span>')
