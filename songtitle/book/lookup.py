"""The reference, as code says it of itself, and each page's badge: what run it is of."""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any, get_type_hints

from sphinx.errors import SphinxError

from songtitle.book.runs import PageRun, check_published, one_run, published_records, read_page
from songtitle.errors import InputError
from songtitle.tables import shown

CODE = re.compile(r"`+([^`]+?)`+")
_EMPHASIS = re.compile(r"(?<![\w*])\*\w[^*\s]*\*(?![\w*])")  # as in *k*
_SPECIAL = re.compile(r"\\|\*|\||_(?!\w)|(?<!\w)_|\[(?=[^\]]*\]_)|::$", re.MULTILINE)

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


def setup(app: Any) -> None:
    """Load autodoc, and let it read docstrings as this project writes them."""
    app.setup_extension("sphinx.ext.autodoc")
    _bare()
    app.connect("config-inited", _settle)
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)


def as_rst(text: str) -> str:
    """A docstring as reStructuredText: code in backticks, and indented by four, stays code; lists
    stay lists; all else is plain text."""
    blocks = []
    for block in re.split(r"\n[ ]*\n", text):
        lines = block.strip("\n").split("\n")
        if block.strip() and all(line.startswith("    ") for line in lines if line):
            blocks.append("\n".join([".. code-block:: python", "", *lines]))
        else:
            blocks.append(_prose(block))
    return "\n\n".join(blocks)


def _prose(text: str) -> str:
    parts, end = [], 0
    for code in CODE.finditer(text):
        inside = " ".join(code[1].split())
        parts += [_escaped(text[end : code.start()]), f"``{inside}``"]
        end = code.end()
        if text[end : end + 1].isalnum():  # markup wants a blank behind it, seen or not
            parts.append("\\ ")
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    parts, end = [], 0
    for kept in _EMPHASIS.finditer(text):
        parts += [_SPECIAL.sub(r"\\\g<0>", text[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join([*parts, _SPECIAL.sub(r"\\\g<0>", text[end:])])


def _settle(app: Any, config: Any) -> None:
    given = config._raw_config
    for name, value in SETTINGS.items():
        if name not in given:
            setattr(config, name, value)
    # Classes of other libraries have no page here: an annotation is text, not a broken link.
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:.*", ".*")]


def _bare() -> None:
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
    from sys import modules

    module = modules.get(app.env.temp_data.get("autodoc:module", ""))
    if what != "module" or module is None or hasattr(module, "__all__"):
        return None
    made = getattr(obj, "__module__", None)
    return True if made is not None and made != module.__name__ else None


MOST = 6  # modules that are named


class RunError(SphinxError):
    """The pages are not of one run; the message says which are not, and what makes them."""

    category = "songtitle"


def setup_provenance(app: Any) -> None:
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
    text = contents.read_text("utf-8") if contents.is_file() else ""
    named = re.findall(r"\b(?:file|root): *(notebooks/[\w.-]+)", text)
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
    yield "Records", _codes(f"{stage} {key}" for stage, key in page.records) or "none"
    yield "Data", _codes(f"{name} {value}" for name, value in page.data.items()) or "none"
    link = f'<a href="{escape(notebook)}" download>the notebook of this page, as it ran</a>'
    yield "Notebook", link


def _commit(page: PageRun) -> str:
    return f"{(page.commit or 'unknown')[:12]}{', changed' if page.modified else ''}"


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(shown(text, empty='none'))}</code>" for text in texts)
