"""Nothing that a page points at in the book is missing, and no page is heavy."""

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html

from songtitle.cache import digest

MEGABYTE = 1_000_000
ATTRIBUTES = ("href", "src", "poster", "data", "action")


@cache
def parsed(page: Path):
    return lxml.html.parse(str(page), lxml.html.HTMLParser(encoding="utf-8")).getroot()


@cache
def anchors(page: Path) -> frozenset[str]:
    """All names that a link may end in."""
    root = parsed(page)
    return frozenset([*root.xpath("//@id"), *root.xpath("//a/@name"), "", "top"])


def references(page: Path):
    """Each reference of a page, with the attribute that holds it."""
    for element in parsed(page).iter():
        if not isinstance(element.tag, str):
            continue
        for name in ATTRIBUTES:
            if value := element.get(name):
                yield f"<{element.tag} {name}>", value.strip()
        for part in (element.get("srcset") or "").split(","):
            if part.strip():
                yield f"<{element.tag} srcset>", part.split()[0]


def missing(book: Path, page: Path):
    """References of a page that lead nowhere in the book."""
    for where, reference in references(page):
        address = urlsplit(reference)
        if address.scheme in ("http", "https", "mailto", "data", "javascript", "blob"):
            continue
        if address.scheme or address.netloc or address.path.startswith("/"):
            yield f"{where} {reference}: leaves the book"
            continue
        target = (page.parent / unquote(address.path)).resolve() if address.path else page
        if target.is_dir():
            target = target / "index.html"
        if not target.is_relative_to(book.resolve()) or not target.is_file():
            yield f"{where} {reference}: no such file"
        elif target.suffix == ".html" and unquote(address.fragment) not in anchors(target):
            yield f"{where} {reference}: no such anchor"


def test_every_link_picture_and_download_of_a_page_is_there(book_html, name):
    assert list(missing(book_html, (book_html / name).resolve())) == []


def test_the_check_of_links_notices_what_is_missing(tmp_path):
    page = tmp_path / "a.html"
    page.write_text(
        "<h1 id='here'>A</h1><a href='#here'>1</a><a href='#gone'>2</a><a href='b.html'>3</a>"
        "<img src='a.png' srcset='b.png 2x'><a href='https://example.org/x'>4</a>"
        "<a href='/abs.html'>5</a><a href='a.html#here'>6</a>"
    )
    found = [line.split()[2].rstrip(":") for line in missing(tmp_path, page)]
    assert found == ["#gone", "b.html", "a.png", "b.png", "/abs.html"]


def weight(book: Path, page: Path) -> int:
    """Bytes of a page and of all pictures it shows, sound and the demo's files left out.

    Style sheets and scripts are fetched once for all pages and not counted. Of a picture's light
    and dark version a browser shows one, but may fetch both: both count.
    """
    text = re.sub(rb"data:audio/[^\"']*", b"", page.read_bytes())
    pictures = {
        (page.parent / unquote(urlsplit(source).path)).resolve()
        for where, source in references(page)
        if where.startswith("<img") and not source.startswith("data:")
    }
    return len(text) + sum(path.stat().st_size for path in pictures if path.is_file())


def test_no_page_is_heavier_than_a_megabyte_and_a_half(book_html, name, record_property):
    heavy = weight(book_html, book_html / name)
    record_property("bytes", heavy)
    assert heavy <= 1.5 * MEGABYTE, f"{name}: {heavy / MEGABYTE:.2f} MB"


def test_no_page_is_an_orphan(book_html):
    linked = {
        (page.parent / unquote(urlsplit(reference).path)).resolve()
        for page in book_html.rglob("*.html")
        if "_static" not in page.parts
        for where, reference in references(page)
        if where == "<a href>" and not urlsplit(reference).scheme and urlsplit(reference).path
    }
    made_by_sphinx = {"index.html", "search.html", "genindex.html", "py-modindex.html"}
    pages = {
        page.resolve()
        for page in book_html.rglob("*.html")
        if not {"_static", "_modules"} & set(page.parts) and page.name not in made_by_sphinx
    }
    assert sorted(page.name for page in pages - linked) == []


def test_the_records_that_a_badge_leads_to_are_those_that_it_names(book_html):
    opened = {}
    for page in sorted(book_html.glob("notebooks/*.html")):
        links = re.findall(
            r'<a href="([^"]*records/[^"]+)"><code>([^<]+)</code></a>', page.read_text()
        )
        for address, named in links:
            content = json.loads((page.parent / address).read_text("utf-8"))
            name, key = named.split()
            assert key == content.get("key", digest(content))
            assert name in (content.get("stage"), address.split("records/")[1][: -len(".json")])
        opened[page.stem] = len(links)
    assert (
        min(opened[name] for name in ("04_search", "08_speed", "13_samples", "14_scoreboard")) > 0
    )


def test_every_function_and_class_of_the_reference_leads_to_its_source(book_html):
    lacking, described = [], 0
    for page in sorted(book_html.glob("api/*.html")):
        tree = lxml.html.fromstring(page.read_bytes())
        for kind in ("function", "class"):
            for head in tree.xpath(f'//dl[@class="py {kind}"]/dt'):
                described += 1
                if not head.xpath('.//*[contains(@class, "viewcode-link")]'):
                    lacking.append(head.get("id"))
    # Sphinx cannot read a star in an annotation, which songtitle.declared has.
    assert [name for name in lacking if not name.startswith("songtitle.declared.")] == []
    assert described > 300
