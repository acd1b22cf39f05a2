"""Numbers of figures and tables: the paper's own where it has one, else the page's.

An anchor `fig-8a` or `tab-4` is the paper's: its caption begins with "Figure 8a" or "Table 4".
Whatever else has a caption is numbered by page and order: the second figure of `09_controls` is
"Figure 9.2". Pages without a number in their name take a capital letter, in the order of the
contents. `{numref}` reads the same numbers. Sphinx's running ones appear nowhere.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

WORDS = {"figure": "Figure", "table": "Table"}
SHORT = {"figure": "fig", "table": "tab"}


def page_label(docname: str, contents: Sequence[str]) -> str:
    """What the numbers of a page begin with: "9" for `notebooks/09_controls`, or a letter.

    `contents` are all pages in reading order. Past "Z" letters double: "AA", "BB".
    """
    if found := re.match(r"(\d+)_", docname.rsplit("/", 1)[-1]):
        return str(int(found[1]))
    others = [name for name in contents if not re.match(r"\d+_", name.rsplit("/", 1)[-1])]
    place = others.index(docname) if docname in others else len(others)
    return ascii_uppercase[place % 26] * (place // 26 + 1)


def number_of(kind: str, names: Iterable[str], label: str, count: Counter[str]) -> str:
    """The number of one figure or table; own ones are counted on in `count`."""
    for name in names:
        if found := re.fullmatch(rf"{SHORT[kind]}-(\d+[a-z]?)", name):
            return found[1]
    count[kind] += 1
    return f"{label}.{count[kind]}"


def captions(document: nodes.document) -> Iterator[tuple[str, nodes.Element, nodes.Element]]:
    """Kind, node and caption of each captioned figure and table of a page."""
    for kind, node, caption in (
        *(("figure", node, nodes.caption) for node in document.findall(nodes.figure)),
        *(("table", node, nodes.title) for node in document.findall(nodes.table)),
    ):
        for child in node.children:
            if isinstance(child, caption):
                yield kind, node, child
                break


class NumberCaptions(SphinxTransform):
    """Puts its number before each caption that does not begin with it."""

    default_priority = 840  # before labels are collected, which `{ref}` quotes

    def apply(self, **kwargs: Any) -> None:
        """Number the captions of the page being read."""
        label = page_label(self.env.docname, contents(self.env))
        count: Counter[str] = Counter()
        numbers: dict[str, dict[str, str]] = {"figure": {}, "table": {}}
        for kind, node, caption in captions(self.document):
            names = [*node["names"], *node["ids"]]
            number = number_of(kind, names, label, count)
            start = f"{WORDS[kind]} {number}"
            if not re.match(rf"{re.escape(start)}\b", caption.astext()):
                caption.insert(0, nodes.Text(f"{start}. "))
            if not node["ids"]:
                self.document.note_implicit_target(node)
            numbers[kind][node["ids"][0]] = number
        self.env.metadata[self.env.docname]["songtitle-numbers"] = numbers


def contents(env: Any) -> list[str]:
    """All pages in reading order, as the table of contents lists them."""
    site = getattr(env, "external_site_map", None)
    return [] if site is None else _below(site, site.root.docname)


def _below(site: Any, name: str) -> list[str]:
    """A page of the contents, then all below it."""
    inner = [str(item) for tree in site[name].subtrees for item in tree.items]
    return [name, *(deep for item in inner if item in site for deep in _below(site, item))]


def _renumber(app: Any, env: Any) -> list[str]:
    """Make `{numref}` read the captions' numbers instead of Sphinx's running ones."""
    for name, numbers in env.toc_fignumbers.items():
        own = env.metadata[name].get("songtitle-numbers", {})
        for kind, known in own.items():
            if kind in numbers:
                numbers[kind] |= {key: tuple(n.split(".")) for key, n in known.items()}
    return []


def _words(app: Any, config: Any) -> None:
    config.numfig_format = {**{k: f"{w} %s" for k, w in WORDS.items()}, **config.numfig_format}


def _once(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take away the numbers that Sphinx puts before captions: they are part of them already."""
    if body := context.get("body"):
        context["body"] = re.sub(
            r'(<figcaption>\s*<p>|<caption>)<span class="caption-number">.*?</span>', r"\1", body
        )


def setup(app: Any) -> None:
    """Number captions when pages are read, and references when they are resolved."""
    app.add_transform(NumberCaptions)
    app.connect("config-inited", _words)
    app.connect("env-get-updated", _renumber, priority=900)  # after Sphinx has numbered
    app.connect("html-page-context", _once)
