"""The book's own Sphinx extension: where pages come from, what words mean, where files lie.

Listed in `_config.yml`. Importing it brings neither torch nor matplotlib.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ConfigError, ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from songtitle.book import figures, lookup

WORDS = {"figure": "Figure", "table": "Table"}
SHORT = {"figure": "fig", "table": "tab"}
BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")
LAUNCH = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
PAGE = "notebooks/15_gallery.ipynb"
COMMAND = "python -m songtitle run"
OUTPUTS = {"cell_output", "pasted-text", "pasted-inline"}  # MyST-NB's classes

_ARTICLE = re.compile(r'<article class="song".*?</article>', re.DOTALL)
# A full stop, not one of "e.g. this" or "0.5".
_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)[.!?](?=\s+[A-Z“\"(]|$)")

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


def setup(app: Any) -> dict[str, Any]:
    """Set up each part of the extension.

    The book's sources lie in `book/`, also when it is built from the clone's root, where the copies
    of `_config.yml` and `_toc.yml` name them as seen from there.
    """
    if (app.srcdir / "book" / "_toc.yml").is_file():
        app.srcdir = app.confdir = app.srcdir / "book"
        app.connect("config-inited", _add_static)
    for part in (lookup.setup_provenance, lookup.setup, figures.setup, setup_numbering):
        part(app)
    app.add_node(term_link, html=(_open, _close))
    app.add_transform(Verbatim)
    app.add_directive("songs", Songs)
    app.connect("doctree-resolved", _add_tooltips)
    app.connect("config-inited", _decide)
    app.connect("html-page-context", _aim, priority=600)  # after the theme's, at 501
    setup_accessible(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _add_static(app: Any, config: Any) -> None:
    # What Jupyter Book does with a `_static` that it finds beside `_config.yml`.
    static = app.srcdir / "_static"
    config.html_static_path.append(static.name)
    config.html_css_files += [path.relative_to(static).as_posix() for path in static.rglob("*.css")]
    config.html_js_files += [path.relative_to(static).as_posix() for path in static.rglob("*.js")]


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


def setup_accessible(app: Any) -> None:
    """Repair each page as it is written, after all others have had their say."""
    app.connect("html-page-context", _repair, priority=900)


class term_link(nodes.Inline, nodes.TextElement):
    """A link to a term, with the first sentence of its definition."""


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


def setup_numbering(app: Any) -> None:
    """Number captions when pages are read, and references when they are resolved."""
    app.add_transform(NumberCaptions)
    app.connect("config-inited", _words)
    app.connect("env-get-updated", _renumber, priority=900)  # after Sphinx has numbered
    app.connect("html-page-context", _once)


def edited(name: str, suffix: str) -> str:
    """The file to edit for a page, from the root of the checkout: for a notebook, its source."""
    folder, _, stem = name.rpartition("/")
    if folder == "notebooks":
        return f"notebooks/{stem}.py"
    return f"book/{name}{suffix}"


def _decide(app: Any, config: Any) -> None:
    if config.html_theme != "sphinx_book_theme":  # its buttons are what this is about
        return
    options = config.html_theme_options
    url = options.get("repository_url", "").strip().rstrip("/")
    options["repository_url"] = url
    options.update(dict.fromkeys(BUTTONS, bool(url)))
    options.setdefault("repository_branch", "main")
    if url and (not url.startswith("https://") or len(url.split("/")) < 5):
        msg = f"repository.url: expected https://HOST/NAME/PROJECT, got {url!r}; mend _config.yml"
        raise ConfigError(msg)
    launch = {"notebook_interface": "jupyterlab"} | (options.get("launch_buttons") or {})
    if url:
        github = "github" in url.split("/")[2]
        launch |= {name: to for name, to in LAUNCH.items() if github or name != "colab_url"}
    options["launch_buttons"] = launch


def _aim(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let each button of a page lead to the file that is meant."""
    suffix = context.get("page_source_suffix")
    if not suffix or not app.config.html_theme_options.get("repository_url"):
        return
    shown = f"book/{name}{suffix}"
    buttons = context.get("header_buttons", [])
    for button in [each for one in buttons for each in [one, *one.get("buttons", [])]]:
        if "url" in button and shown in button["url"]:
            launches = button.get("text") in ("Binder", "Colab")
            aim = f"{name}.ipynb" if launches else edited(name, suffix)
            button["url"] = button["url"].replace(shown, aim)


class Songs(SphinxDirective):
    """The first songs of the gallery: ```` ```{songs} 3 ````."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The articles as they stand in the executed gallery page."""
        count = directives.positive_int(self.arguments[0])
        path = Path(self.env.srcdir) / PAGE
        self.env.note_dependency(str(path))
        html = "".join(first_songs(path, count))
        return [nodes.raw("", f'<div class="gallery">{html}</div>', format="html")]


def first_songs(path: Path, count: int) -> list[str]:
    """The first `count` articles of an executed gallery notebook.

    Raises ExtensionError, which stops the build and says what to run, where there are fewer.
    """
    found = articles(json.loads(path.read_text("utf-8"))) if path.is_file() else []
    if len(found) < count:
        came = f"{len(found)} songs" if path.is_file() else "no such page"
        msg = f"songs: expected {count} songs in {PAGE}, got {came}; make it: `{COMMAND}`"
        raise ExtensionError(msg)
    return found[:count]


def articles(notebook: dict[str, Any]) -> list[str]:
    """All songs shown by the cells of a notebook, in order."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    shown = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return [article for html in shown for article in _ARTICLE.findall(html)]


class Verbatim(SphinxTransform):
    """Keep Sphinx's typographic quotes out of the outputs of cells and of what is glued."""

    default_priority = 740  # they come at 750

    def apply(self, **_: Any) -> None:
        """Mark the nodes; `sphinx.util.nodes.is_smartquotable` looks for the mark."""
        for node in self.document.findall(nodes.Element):
            if OUTPUTS & set(node.get("classes", [])):
                node["support_smartquotes"] = False
