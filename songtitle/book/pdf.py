"""The whole book as one PDF, printed by Chromium from the built pages.

All pages are put into one document in the order of the contents, so that links between them stay
inside it, bookmarks follow the headings, and pages are numbered through. What a reader of paper
cannot use (players, folded code, downloads) is left out by the book's own style for print.
`python -m songtitle.book.pdf` prints `book/_build/html` to `book/_build/songtitle.book.pdf`.
"""

import os
import re
import shutil
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from songtitle import __version__
from songtitle.cache import ROOT
from songtitle.errors import InputError

PROGRAMS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
AUTHOR = "The songtitle developers"
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8pt sans-serif; color: #444">'
    '<span class="pageNumber"></span></div>'
)

ASSEMBLE = Path(__file__).with_suffix(".js")  # puts the pages into one


def launch(playwright: Any, *arguments: str) -> Any:
    """A headless Chromium, or one line that says how to get one.

    It is the one named in SONGTITLE_CHROMIUM, else the system's, else that of `playwright install`.
    """
    there = [os.environ.get("SONGTITLE_CHROMIUM"), *map(shutil.which, PROGRAMS)]
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses root
    flags = [*arguments, *["--no-sandbox"] * root]
    try:
        path = next(filter(None, there), None)
        return playwright.chromium.launch(executable_path=path, args=flags)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        msg = f"expected a Chromium, found none that starts ({first}); install your system's, or "
        msg += "run `playwright install chromium`, or name one in SONGTITLE_CHROMIUM"
        raise InputError(msg) from error


def pages_in_order(html: Path) -> list[Path]:
    """The pages of the built book in `html`, in the order of its contents, the first page first."""
    first = html / "index.html"
    if not first.is_file():
        msg = f"{html}: expected a built book with index.html; run `make book` first"
        raise InputError(msg)
    text = first.read_text("utf-8")
    contents = re.findall(r'<nav class="bd-links bd-docs-nav".*?</nav>', text, re.DOTALL)
    links = re.findall(r'<a class="reference internal" href="([^"#]+)', "".join(contents[:1]))
    pages = list(dict.fromkeys([first, *(html / unquote(unescape(link)) for link in links)]))
    if absent := [page for page in pages if not page.is_file()]:
        msg = f"{absent[0]}: the contents name this page, which was not built; run `make book`"
        raise InputError(msg)
    return pages


def title_page(text: str) -> tuple[str, str]:
    """Title and HTML of the title page, from the first page's own title and author."""
    found = re.search(r'<h1>((?:(?!</h1>).)*?)<a class="headerlink"', text, re.DOTALL)
    title = re.sub(r"<[^>]+>", "", found[1]) if found else "songtitle"
    author = re.search(r"By (.*?)\s*</p>", text)
    return unescape(title), (
        f'<section class="pdf-title"><p class="pdf-name">{title}</p>'
        "<p>A companion to A. Bleiweiss, “Predicting a Song Title from Audio Embeddings on a "
        "Pretrained Image-captioning Network”, 2020</p>"
        f"<p>{author[1].strip() if author else AUTHOR}</p>"
        f"<p>songtitle {escape(__version__)}</p></section>"
    )


def space_bookmarks(mark: Any, headings: list[str]) -> None:
    """Give a bookmark and all below and after it the spaces that its heading has.

    Chromium drops the space at which a heading's line breaks.
    """
    from pypdf.generic import NameObject, TextStringObject

    spaced = {"".join(heading.split()): " ".join(heading.split()) for heading in headings}
    waiting = [mark] if mark else []
    while waiting:
        entry = waiting.pop().get_object()
        if title := entry.get("/Title"):
            key = "".join(str(title).split())
            entry[NameObject("/Title")] = TextStringObject(spaced.get(key, str(title)))
        waiting += [entry[way] for way in ("/First", "/Next") if way in entry]


def print_book(html: Path, output: Path) -> int:
    """Print the built book in `html` to the PDF `output`; the number of its sheets.

    The document is A4, tagged for screen readers, and has bookmarks. Raises `InputError` where the
    book, playwright, pypdf or a Chromium is missing.
    """
    pages = pages_in_order(html)
    try:
        from playwright.sync_api import sync_playwright
        from pypdf import PdfReader, PdfWriter
    except ImportError as error:
        msg = f"the PDF needs {error.name}; install it with `pip install 'songtitle[pdf]'`"
        raise InputError(msg) from error
    sources = [
        {
            "name": page.relative_to(html).as_posix(),
            "url": page.resolve().as_uri(),
            "html": page.read_text("utf-8"),
        }
        for page in pages
    ]
    title, cover = title_page(sources[0]["html"])
    partial = output.with_suffix(".partial.pdf")
    output.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright, "--allow-file-access-from-files")
        try:
            page = browser.new_page(color_scheme="light")
            page.set_default_timeout(300_000)
            page.goto(sources[0]["url"], wait_until="load")
            whole = page.evaluate(ASSEMBLE.read_text("utf-8"), {"pages": sources, "title": cover})
            if (got := whole["chapters"]) != len(pages):
                msg = f"{html}: {len(pages)} pages in the contents, {got} with text; rebuild it"
                raise InputError(msg)
            page.pdf(
                path=str(partial),
                format="A4",
                margin={"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER,
                print_background=True,
                outline=True,
                tagged=True,
            )
        finally:
            browser.close()
    writer = PdfWriter(clone_from=PdfReader(partial))
    space_bookmarks(writer.root_object.get("/Outlines"), whole["headings"])
    writer.compress_identical_objects()
    writer.add_metadata(
        {
            "/Title": title,
            "/Author": AUTHOR,
            "/Subject": "Naming songs with an image captioner: a companion to Bleiweiss 2020",
            "/Keywords": "music information retrieval, image captioning, BLEU, reproducibility",
        }
    )
    writer.write(partial)
    os.replace(partial, output)
    return len(writer.pages)


if __name__ == "__main__":
    build = ROOT / "book" / "_build"
    try:
        sheets = print_book(build / "html", target := build / "songtitle.book.pdf")
    except InputError as error:
        msg = f"songtitle: {error}"
        raise SystemExit(msg) from None
    print(f"{target}: {sheets} pages, {target.stat().st_size / 1e6:.1f} MB")
