"""The badge on each page: of which run it is; and a book of several runs is not built.

`songtitle_draft = True` in the settings builds a book of pages from here and there all the same,
for its authors; every page then says that it is a draft.
"""

import json
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import yaml
from sphinx.errors import SphinxError

from songtitle.errors import InputError
from songtitle.pages.runs import (
    PageRun,
    check_published,
    one_run,
    published_records,
    read_page,
)
from songtitle.tables import shown

MOST = 6  # modules that are named


class RunError(SphinxError):
    """The pages are not of one run; the message says which are not, and what makes them."""

    category = "songtitle"


def setup(app: Any) -> None:
    """Check the pages before any is read; put the badge on each when it is written."""
    app.add_config_value("songtitle_draft", False, "html", bool)
    app.connect("builder-inited", _check)
    app.connect("env-get-outdated", _outdated)
    app.connect("html-page-context", _add_badge)


def badge(page: PageRun, *, book: PageRun, notebook: str = "", draft: bool = False) -> str:
    """The badge of a page as HTML: what run it is of, and the rest of it in a fold.

    `notebook` is the address of the executed notebook, empty for a page that computes nothing.
    """
    kind, said = ("draft", "Draft: its pages may be of different runs") if draft else _kind(page)
    facts = ["preset " + page.preset, "commit " + _commit(page), page.made or "no date"]
    facts += ["made by other code than this clone's"] * bool(page.changed_code)
    facts += ["shows a record of other code"] * bool(page.other_code)
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{value}</dd>"
        for name, value in _rows(page if notebook else book, notebook)
    )
    return (
        f'<details class="run run-{kind}" id="provenance"><summary><strong>{said}</strong> '
        f"<span>{escape(' · '.join(facts))}</span></summary><dl>{rows}</dl></details>"
    )


def pages_of(folder: Path, contents: Path) -> list[str]:
    """The notebooks that a table of contents lists, by name, there or not."""
    listed = _files(yaml.safe_load(contents.read_text("utf-8"))) if contents.is_file() else ()
    named = [name for name in listed if name.startswith("notebooks/")]
    return named or sorted(f"notebooks/{path.stem}" for path in folder.glob("notebooks/*.ipynb"))


def _check(app: Any) -> None:
    folder = Path(app.srcdir)
    contents = folder / getattr(app.config, "external_toc_path", "_toc.yml")
    there = published_records()
    names = pages_of(folder, contents)
    pages = {name: read_page(folder / f"{name}.ipynb", there) for name in names}
    try:
        book = one_run({Path(name).name: page for name, page in pages.items()})
        check_published({Path(n).name: page for n, page in pages.items() if page}, there)
    except InputError as error:
        if not app.config.songtitle_draft:
            raise RunError(str(error)) from error
        book = next((page for page in pages.values() if page), PageRun())
    app.songtitle_book, app.songtitle_pages = book, pages


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
    html = badge(page or book, book=book, notebook=notebook, draft=app.config.songtitle_draft)
    head, end, rest = context["body"].partition("</h1>")
    context["body"] = f"{head}{end}\n{html}{rest}" if end else html + context["body"]


def _kind(page: PageRun) -> tuple[str, str]:
    """A word for the style, and what the badge says first."""
    if page.scale == "paper":
        return "paper", "Paper-scale run"
    return "small", f"{escape(page.preset.replace('_', ' ').capitalize())} run on small data"


def _rows(page: PageRun, notebook: str) -> Iterator[tuple[str, str]]:
    """Name and HTML of each line in the fold."""
    if page.scale == "small":
        yield "Scale", "a few thousand pictures and songs: shows the way, confirms no score"
    yield "Run", _code(page.run)
    yield "Settings", f"preset {_code(page.preset)}, seed {page.seed}"
    if page.changed:
        yield "Changed", ", ".join(_code(f"{k} = {v}") for k, v in page.changed.items())
    yield "Code", f"commit {_code(_commit(page))}"
    if page.changed_code:
        more = len(page.changed_code) - MOST
        changed = ", ".join(map(_code, page.changed_code[:MOST]))
        said = f"{changed}{f' and {more} more' if more > 0 else ''}"
        yield "Other code", f"made this page; changed since: {said}"
    if page.other_code:
        made = ", ".join(map(_code, page.other_code))
        yield (
            "Other code",
            f"made these records of it: {made}; {_code('make publish')} makes them again",
        )
    yield "Device", escape(", ".join(filter(None, (page.device, page.machine))))
    if notebook:
        took = "not noted" if page.seconds is None else f"{page.seconds:,.0f} s"
        yield "Wall time", f"{took} for this page, with what was computed for it"
        yield "Records", ", ".join(_code(f"{stage} {key}") for stage, key in page.records) or "none"
        yield "Data", ", ".join(_code(f"{n} {value}") for n, value in page.data.items()) or "none"
        link = f'<a href="{escape(notebook)}" download>the notebook of this page, as it ran</a>'
        yield "Notebook", link
    else:
        yield "This page", "computes nothing; the numbers that it quotes are of this run"


def _commit(page: PageRun) -> str:
    return f"{(page.commit or 'unknown')[:12]}{', changed' if page.modified else ''}"


def _code(text: str) -> str:
    return f"<code>{escape(shown(text, empty='none'))}</code>"


def _files(contents: Any) -> Iterator[str]:
    """Every `file` and `root` of a table of contents, in order."""
    if isinstance(contents, dict):
        yield from (contents[key] for key in ("root", "file") if key in contents)
        for value in contents.values():
            yield from _files(value)
    elif isinstance(contents, list):
        for value in contents:
            yield from _files(value)
