"""The book's own Sphinx extension: badges, numbers of captions, tooltips, buttons, the reference.

Listed in `_config.yml`. Importing it brings neither torch nor matplotlib.
"""

import json
import re
import shutil
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any, get_type_hints

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.errors import ConfigError, ExtensionError, SphinxError
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from songtitle.book import figures
from songtitle.book.reproduce import (
    PageRun,
    check_published,
    one_run,
    published_records,
    read_page,
)
from songtitle.cache import digest, read_json, results
from songtitle.corpora.inventory import total_of
from songtitle.corpora.manifest import read_source
from songtitle.errors import InputError
from songtitle.tables import Table, plain, shown


def setup(app: Any) -> dict[str, Any]:
    """Set up each part of the extension.

    The book's sources lie in `book/`, also when it is built from the clone's root, where the copies
    of `_config.yml` and `_toc.yml` name them as seen from there.
    """
    if (app.srcdir / "book" / "_toc.yml").is_file():
        app.srcdir = app.confdir = app.srcdir / "book"
        app.connect("config-inited", _add_static)
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.viewcode")  # [source] beside each name of the reference
    _name_types_of_settings()
    app.add_config_value("songtitle_draft", False, "html", bool)
    app.add_directive("songs", Songs)
    app.add_directive("drawn", Drawn)
    app.add_directive("planned", Planned)
    for transform in (Verbatim, NumberCaptions):
        app.add_transform(transform)
    figures.setup(app)
    for event, handler, priority in (
        ("builder-inited", _check_run, 500),
        ("env-get-outdated", _outdated, 500),
        ("config-inited", _settle, 500),
        ("config-inited", _decide_buttons, 500),
        ("autodoc-process-docstring", _process, 500),
        ("autodoc-skip-member", _skip, 500),
        ("doctree-resolved", _add_tooltips, 500),
        ("env-get-updated", _renumber, 900),  # after Sphinx has numbered
        ("html-page-context", _add_badge, 500),
        ("html-page-context", _aim_buttons, 600),  # after the theme's, at 501
        ("html-page-context", _repair, 900),  # when all others have had their say
        ("build-finished", _add_records, 500),
    ):
        app.connect(event, handler, priority=priority)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _add_static(app: Any, config: Any) -> None:
    # What Jupyter Book does with a `_static` that it finds beside `_config.yml`.
    static = app.srcdir / "_static"
    config.html_static_path.append(static.name)
    config.html_css_files += [path.relative_to(static).as_posix() for path in static.rglob("*.css")]
    config.html_js_files += [path.relative_to(static).as_posix() for path in static.rglob("*.js")]


# --- the badge of a page: of which run it is

MOST = 6  # modules that a badge names
RECORDS = "records"  # folder of the site


class RunError(SphinxError):
    """The pages are not of one run; the message says which are not, and what makes them."""

    category = "songtitle"


def pages_of(folder: Path, contents: Path) -> list[str]:
    """The notebooks that a table of contents lists, by name, there or not."""
    text = contents.read_text("utf-8") if contents.is_file() else ""
    listed = re.findall(r"\b(?:file|root): *(notebooks/[\w.-]+)", text)
    return listed or sorted(f"notebooks/{path.stem}" for path in folder.glob("notebooks/*.ipynb"))


def _check_run(app: Any) -> None:
    """Check the pages before any is read."""
    folder, there = Path(app.srcdir), published_records()
    names = pages_of(folder, folder / getattr(app.config, "external_toc_path", "_toc.yml"))
    pages = {name: read_page(folder / f"{name}.ipynb", there) for name in names}
    try:
        book = one_run({Path(name).name: page for name, page in pages.items()})
        check_published({Path(n).name: page for n, page in pages.items() if page}, there)
    except InputError as error:
        if not app.config.songtitle_draft:
            raise RunError(str(error)) from error
        book = next((page for page in pages.values() if page), PageRun())
    app.songtitle_book, app.songtitle_pages = book, pages
    app.songtitle_results, app.songtitle_records = results(), {}
    for file, path in app.songtitle_results.items():
        its, name = read_json(path), file.removesuffix(".json")
        if isinstance(its, dict):  # what no stage made goes by the hash of what it says
            key = its.get("key") or digest(its)
            app.songtitle_records |= {(it, key): file for it in (its.get("stage", name), name)}


def _add_records(app: Any, error: Exception | None) -> None:
    """Copy the records into the site, where the badges of pages lead to them."""
    if error is None and app.builder.format == "html":
        for name, path in app.songtitle_results.items():
            target = Path(app.outdir) / RECORDS / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _outdated(app: Any, env: Any, added: Any, changed: Any, removed: Any) -> Iterable[str]:
    """All pages, where they are of another run than when they were last written."""
    now = json.dumps(vars(app.songtitle_book), sort_keys=True) if app.songtitle_book else ""
    before, env.songtitle_run = getattr(env, "songtitle_run", None), now
    return [] if before == now else list(env.found_docs)


def _add_badge(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    book = app.songtitle_book
    if doctree is None or book is None or "body" not in context:
        return
    page, notebook = app.songtitle_pages.get(name), ""
    if name in app.songtitle_pages:
        notebook = f"{context['pathto']('_sources', 1)}/{name}.ipynb"
    there = {
        each: context["pathto"](f"{RECORDS}/{file}", 1)
        for each, file in app.songtitle_records.items()
    }
    told = {"book": book, "notebook": notebook, "draft": app.config.songtitle_draft}
    html = badge(page or book, **told, records=there)
    head, end, rest = context["body"].partition("</h1>")
    context["body"] = f"{head}{end}\n{html}{rest}" if end else html + context["body"]


def badge(
    page: PageRun,
    *,
    book: PageRun,
    notebook: str = "",
    draft: bool = False,
    records: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> str:
    """The badge of a page as HTML: what run it is of, and the rest of it in a fold.

    `notebook` is the address of the executed notebook, empty for a page that computes nothing;
    `records` are the addresses of records by stage and key.
    """
    kind, said = page.scale, "Paper-scale run"
    if draft:
        kind, said = "draft", "Draft: its pages may be of different runs"
    elif page.scale != "paper":
        said = f"{escape(page.preset.replace('_', ' ').capitalize())} run on small data"
    facts = [f"preset {page.preset}", f"commit {_commit(page)}", page.made or "no date"]
    facts += ["made by other code than this clone's"] * bool(page.changed_code)
    facts += ["shows a record of other code"] * bool(page.other_code)
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{value}</dd>"
        for name, value in _rows(page if notebook else book, notebook, records)
    )
    return (
        f'<details class="run run-{kind}" id="provenance"><summary><strong>{said}</strong> '
        f"<span>{escape(' · '.join(facts))}</span></summary><dl>{rows}</dl></details>"
    )


def _rows(
    page: PageRun, notebook: str, records: Mapping[tuple[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Name and HTML of each line in the fold."""
    if page.scale == "small":
        yield "Scale", "a few thousand pictures and songs: shows the way, confirms no score"
    yield "Run", _codes([page.run])
    yield "Settings", f"preset {_codes([page.preset])}, seed {page.seed}"
    if page.changed:
        yield "Changed", _codes(f"{name} = {value}" for name, value in page.changed.items())
    yield "Code", f"commit {_codes([_commit(page)])}"
    if page.changed_code:
        more = len(page.changed_code) - MOST
        changed = _codes(page.changed_code[:MOST]) + (f" and {more} more" if more > 0 else "")
        yield "Other code", f"made this page; changed since: {changed}"
    if page.other_code:
        made, again = _codes(page.other_code), _codes(["make publish"])
        yield "Other code", f"made these records of it: {made}; {again} makes them again"
    yield "Device", escape(", ".join(filter(None, (page.device, page.machine))))
    if not notebook:
        yield "This page", "computes nothing; the numbers that it quotes are of this run"
        return
    took = "not noted" if page.seconds is None else f"{page.seconds:,.0f} s"
    yield "Wall time", f"{took} for this page, with what was computed for it"
    keys = [(_codes([" ".join(each)]), records.get(each)) for each in page.records]
    links = [f'<a href="{escape(to)}">{code}</a>' if to else code for code, to in keys]
    yield "Records", ", ".join(links) or "none"
    yield "Data", _codes(f"{name} {value}" for name, value in page.data.items()) or "none"
    link = f'<a href="{escape(notebook)}" download>the notebook of this page, as it ran</a>'
    yield "Notebook", link


def _commit(page: PageRun) -> str:
    return f"{(page.commit or 'unknown')[:12]}{', changed' if page.modified else ''}"


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(shown(text, empty='none'))}</code>" for text in texts)


# --- captions, numbered by page: 9.1 on page 09, B.1 on a page of prose

WORDS = {"figure": "Figure", "table": "Table"}


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
    """The number of one figure or table: the paper's own, or the next one in `count`."""
    for name in names:
        if found := re.fullmatch(rf"{kind[:3]}-(\d+[a-z]?)", name):
            return found[1]
    count[kind] += 1
    return f"{label}.{count[kind]}"


class NumberCaptions(SphinxTransform):
    """Puts its number before each caption that does not begin with it."""

    default_priority = 840  # before labels are collected, which `{ref}` quotes

    def apply(self, **kwargs: Any) -> None:
        """Number the captions of the page being read."""
        site = getattr(self.env, "external_site_map", None)
        label = page_label(self.env.docname, _below(site, site.root.docname) if site else [])
        count: Counter[str] = Counter()
        numbers: dict[str, dict[str, str]] = {"figure": {}, "table": {}}
        for kind, parent, its in (
            ("figure", nodes.figure, nodes.caption),
            ("table", nodes.table, nodes.title),
        ):
            for node in self.document.findall(parent):
                captions = [child for child in node.children if isinstance(child, its)]
                if not captions:
                    continue
                number = number_of(kind, [*node["names"], *node["ids"]], label, count)
                start = f"{WORDS[kind]} {number}"
                if not re.match(rf"{re.escape(start)}\b", captions[0].astext()):
                    captions[0].insert(0, nodes.Text(f"{start}. "))
                if not node["ids"]:
                    self.document.note_implicit_target(node)
                numbers[kind][node["ids"][0]] = number
        self.env.metadata[self.env.docname]["songtitle-numbers"] = numbers


def _below(site: Any, name: str) -> list[str]:
    """A page of the table of contents, then all below it."""
    inner = [str(item) for tree in site[name].subtrees for item in tree.items]
    return [name, *(deep for item in inner if item in site for deep in _below(site, item))]


def _renumber(app: Any, env: Any) -> list[str]:
    """Make `{numref}` read the captions' numbers instead of Sphinx's running ones."""
    for name, numbers in env.toc_fignumbers.items():
        for kind, known in env.metadata[name].get("songtitle-numbers", {}).items():
            if kind in numbers:
                numbers[kind] |= {key: tuple(n.split(".")) for key, n in known.items()}
    return []


# --- markup put right when a page is written

REPAIRS = (
    # The numbers that Sphinx puts before captions are part of them already.
    (r'(<figcaption>\s*<p>|<caption>)<span class="caption-number">.*?</span>', r"\1"),
    # A role that ARIA has given up; its list asks for items.
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # The corner over row names heads nothing.
    (r"<th(?: [^>]*)?>(?:<p>)?\s*(?:</p>)?</th>", "<td></td>"),
    # Which cells a head is for.
    (r'<th class="head(?! stub)', '<th scope="col" class="head'),
    (r'<th class="stub', '<th scope="row" class="stub'),
)
# A signature of many lines is written as a list of definitions without their terms.
SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.DOTALL)


def repaired(html: str) -> str:
    """The body of a page with its markup put right; nothing a reader sees changes.

    A second pass changes nothing.
    """
    for wrong, right in REPAIRS:
        html = re.sub(wrong, right, html)

    def lines(found: re.Match[str]) -> str:
        parts = found[2].replace("<dd>", '<div class="sig-line">').replace("</dd>", "</div>")
        return f'{found[1]}<div class="sig-lines">{parts}</div>'

    return SIGNATURE.sub(lines, html)


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


class Verbatim(SphinxTransform):
    """Keep Sphinx's typographic quotes out of the outputs of cells and of what is glued."""

    default_priority = 740  # they come at 750

    def apply(self, **_: Any) -> None:
        """Mark the nodes; `sphinx.util.nodes.is_smartquotable` looks for the mark."""
        outputs = {"cell_output", "pasted-text", "pasted-inline"}  # MyST-NB's classes
        for node in self.document.findall(nodes.Element):
            if outputs & set(node.get("classes", [])):
                node["support_smartquotes"] = False


# --- terms, each with the first sentence of its definition

# A full stop, not one of "e.g. this" or "0.5".
_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)[.!?](?=\s+[A-Z“\"(]|$)")


def first_sentence(text: str) -> str:
    """A text up to the end of its first sentence, on one line."""
    text = " ".join(text.split())
    end = _SENTENCE.search(text)
    return text[: end.end()] if end else text


def _add_tooltips(app: Any, doctree: nodes.document, name: str) -> None:
    if app.builder.format != "html":
        return
    known, count = _definitions(app), 0
    for link in list(doctree.findall(nodes.reference)):
        place = link.get("refid") or link.get("refuri", "").rpartition("#")[2]
        terms = [each for each in link.findall(nodes.inline) if "std-term" in each["classes"]]
        if terms and known.get(place):
            count += 1
            uri, tip = escape(link.get("refuri") or f"#{place}"), f"tip-{count}"
            opened = '<span class="term-tip"><a class="reference internal" '
            opened += f'href="{uri}" aria-describedby="{tip}">'
            said = escape(known[place], quote=False)
            closed = f'</a><span role="tooltip" id="{tip}">{said}</span></span>'
            start, end = (nodes.raw("", html, format="html") for html in (opened, closed))
            link.replace_self([start, *link.children, end])


def _definitions(app: Any) -> dict[str, str]:
    """Anchor of a term -> first sentence of its definition, over all glossaries of the book."""
    known: dict[str, str] | None = getattr(app, "songtitle_terms", None)
    if known is None:
        known = app.songtitle_terms = {}
        terms = [each for each in app.env.get_domain("std").get_objects() if each[2] == "term"]
        for page in sorted({each[3] for each in terms}):
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                said = [part.astext() for part in item.findall(nodes.definition)]
                for anchor in (each for term in item.findall(nodes.term) for each in term["ids"]):
                    known[anchor] = first_sentence("".join(said[:1]))
    return known


# --- buttons, each to the file that is meant

BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")
LAUNCH = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}


def edited(name: str, suffix: str) -> str:
    """The file to edit for a page, from the root of the checkout: for a notebook, its source."""
    folder, _, stem = name.rpartition("/")
    return f"notebooks/{stem}.py" if folder == "notebooks" else f"book/{name}{suffix}"


def _decide_buttons(app: Any, config: Any) -> None:
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


def _aim_buttons(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    suffix = context.get("page_source_suffix")
    if not suffix or not app.config.html_theme_options.get("repository_url"):
        return
    meant = f"book/{name}{suffix}"
    buttons = context.get("header_buttons", [])
    for button in [each for one in buttons for each in [one, *one.get("buttons", [])]]:
        if meant in button.get("url", ""):
            launches = button.get("text") in ("Binder", "Colab")
            aim = f"{name}.ipynb" if launches else edited(name, suffix)
            button["url"] = button["url"].replace(meant, aim)


# --- songs of the gallery, and a figure, on another page

PAGE = "notebooks/15_gallery.ipynb"
COMMAND = "python -m songtitle run"


class Songs(SphinxDirective):
    """The first songs of the gallery: ```` ```{songs} 3 ````."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The articles as they stand in the executed gallery page."""
        path = Path(self.env.srcdir) / PAGE
        self.env.note_dependency(str(path))
        html = "".join(first_songs(path, directives.positive_int(self.arguments[0])))
        return [nodes.raw("", f'<div class="gallery">{html}</div>', format="html")]


def first_songs(path: Path, count: int) -> list[str]:
    """The first `count` songs of an executed gallery notebook, and the recordings that it has.

    Raises ExtensionError, which stops the build and says what to run, where there are fewer.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"] if path.is_file() else []
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    shown_here = "\n".join("".join(data.get("text/html", "")) for data in outputs)
    found = re.findall(r'<article class="song".*?</article>', shown_here, re.DOTALL)
    if len(found) < count:
        came = f"{len(found)} songs" if path.is_file() else "no such page"
        msg = f"songs: expected {count} songs in {PAGE}, got {came}; make it: `{COMMAND}`"
        raise ExtensionError(msg)
    also = re.findall(r'<article class="song recording".*?</article>', shown_here, re.DOTALL)
    return found[:count] + also


class Drawn(SphinxDirective):
    """A figure of another page, with its caption, its words and its numbers:
    ```` ```{drawn} notebooks/19_findings fig-answer ````."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """The figure as it stands in the executed notebook, for light and for dark pages."""
        page, name = self.arguments
        path = Path(self.env.srcdir) / f"{page}.ipynb"
        self.env.note_dependency(str(path))
        return [nodes.raw("", drawn_elsewhere(path, name), format="html")]


def drawn_elsewhere(path: Path, name: str) -> str:
    """Give the HTML of a named figure of an executed notebook, its links to itself included.

    Raises ExtensionError, which stops the build and says what to run, where it is not there.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"] if path.is_file() else []
    for cell in cells:
        about = cell["metadata"].get("mystnb", {})
        if about.get("figure", {}).get("name") != name:
            continue
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        found = {kind: "".join(each[kind]) for each in data for kind in each}
        if {"image/svg+xml", figures.CSV} <= found.keys():
            light = found["image/svg+xml"]
            pair = [
                f'<img class="only-{ground}" alt="{escape(about["image"]["alt"])}" '
                f'src="data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}">'
                for ground, drawing in (("light", light), ("dark", figures.dark(light)))
            ]
            csv = b64encode(found[figures.CSV].encode()).decode()
            page = f"{path.parent.name}/{path.stem}.html#{name}"
            return (
                f'<figure><div class="figure-pair">{"".join(pair)}</div><figcaption><p>'
                f"{escape(about['figure']['caption'])}</p>"
                f'<p class="figure-links"><a download="{name}.csv" '
                f'href="data:text/csv;base64,{csv}">Numbers (CSV)</a> · '
                f'<a href="{page}">page</a></p></figcaption></figure>'
            )
    msg = f"drawn: expected figure {name} with its numbers in {path.name}, found none; make it: "
    msg += f"`{COMMAND} {path.stem}`"
    raise ExtensionError(msg)


# --- what a run on the paper's corpora takes, and from where

PLANNED = "plan/paper_literal.json"  # what `songtitle plan ... --json` printed, under results/
COLUMNS = {  # of a plan's tables those that a page shows, and what they are together
    "disk": (("item", "size", "from"), "Disk"),
    "times": (("stage", "number", "forecast", "the longest"), "Time"),
}


class Planned(SphinxDirective):
    """A table: `disk` or `times` of the published plan, or `sources NAME...` of the manifest."""

    required_arguments = 1
    optional_arguments = 99

    def run(self) -> list[nodes.Node]:
        """The table, numbered like any other."""
        table = planned(*" ".join(self.arguments).split())
        found, lines = nodes.Element(), table._repr_markdown_().splitlines()
        self.state.nested_parse(StringList(lines, self.env.docname), 0, found)
        return found.children


def planned(what: str, *names: str) -> Table:
    """Give the table `what` of the published plan, or of the sources of these names.

    Raises ExtensionError, which stops the build and says what to run, where there is no plan.
    """
    if what == "sources":
        rows = [
            [s.title, s.name, total_of(f.size for f in s.files), s.licence]
            for s in map(read_source, names)
        ]
        frame = pd.DataFrame(rows, columns=["what", "name", "size", "licence"])
        return Table(frame, name="tab-sources", caption="Sources, as the manifest has them.")
    command = "python -m songtitle plan --preset paper_literal --corpora paper"
    path = results().get(PLANNED)
    if path is None:
        msg = f"planned: expected results/{PLANNED}, got none; make it: `{command} --json`"
        raise ExtensionError(msg)
    found, (shown_here, name) = json.loads(path.read_text("utf-8")), COLUMNS[what]
    head, *rows = found[what]
    frame = pd.DataFrame(rows, columns=head)[list(shown_here)]
    made, hardware = found["provenance"], plain(found["probe"]["hardware"])
    caption = f"{name}, as the command above printed it on {hardware}; commit {made['commit']}."
    return Table(frame, name=f"tab-plan-{what}", caption=caption)


# --- the reference, as code says it of itself

SETTINGS = {
    "autodoc_default_options": {"members": True, "imported-members": True},
    "autodoc_member_order": "bysource",
    "autodoc_preserve_defaults": True,
    "autodoc_typehints_format": "short",
    "add_module_names": False,
    "default_role": "code",
    "python_maximum_signature_line_length": 88,
    "python_use_unqualified_type_names": True,
    "toc_object_entries": False,
}
_MARKUP = re.compile(
    r"`+(?P<code>[^`]+?)`+(?P<on>(?=[^\W_]))?"  # whether a letter follows
    r"|(?P<emphasis>(?<![\w*])\*\w[^*\s]*\*(?![\w*]))"  # as in *k*
    r"|(?P<special>\\|\*|\||_(?!\w)|(?<!\w)_|\[(?=[^\]]*\]_)|::$)",
    re.MULTILINE,
)


def as_rst(text: str) -> str:
    """A docstring as reStructuredText: code in backticks, and indented by four, stays code; lists
    stay lists; all else is plain text."""
    blocks = []
    for block in re.split(r"\n[ ]*\n", text):
        lines = block.strip("\n").split("\n")
        if block.strip() and all(line.startswith("    ") for line in lines if line):
            blocks.append("\n".join([".. code-block:: python", "", *lines]))
        else:
            blocks.append(_MARKUP.sub(_as_rst, block))
    return "\n\n".join(blocks)


def _as_rst(found: re.Match[str]) -> str:
    if found["code"]:  # markup wants a blank behind it, seen or not
        return f"``{' '.join(found['code'].split())}``" + "\\ " * (found["on"] is not None)
    return found["emphasis"] or f"\\{found['special']}"


def _settle(app: Any, config: Any) -> None:
    for name in SETTINGS.keys() - config._raw_config.keys():
        setattr(config, name, SETTINGS[name])
    # Classes of other libraries have no page here: an annotation is text, not a broken link.
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:.*", ".*")]
    words = {kind: f"{word} %s" for kind, word in WORDS.items()}
    config.numfig_format = {**words, **config.numfig_format}


def _name_types_of_settings() -> None:
    """Let a setting's annotation be its type here: of its range pydantic's repr says little."""
    from songtitle import config
    from songtitle.schema import told

    parts = (config.SpectrogramConfig, config.ModelConfig, config.TrainingConfig)
    for kind in (config.ExperimentConfig, *parts, config.SearchConfig):
        told(kind)  # what holds values to their range is made first, and kept
        kind.__annotations__ = types = get_type_hints(kind)
        kind.__init__.__annotations__.update(types)


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst("\n".join(lines)).split("\n")


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a module takes from elsewhere: with `__all__` the package says what it gives,
    without it a module gives its own."""
    module = sys.modules.get(app.env.temp_data.get("autodoc:module", ""))
    if what != "module" or module is None or hasattr(module, "__all__"):
        return None
    made = getattr(obj, "__module__", None)
    return True if made is not None and made != module.__name__ else None
