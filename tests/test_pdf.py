"""The PDF's plain parts; the whole of it is tested on the built book by `make test-book`."""

import sys

import pytest
from pypdf import PdfReader, PdfWriter

from songtitle.book import pdf
from songtitle.errors import InputError

NAV = (
    '<h1>A &amp; B<a class="headerlink" href="#a">#</a></h1><p> By The authors\n</p>'
    '<nav class="bd-links bd-docs-nav" aria-label="Main">'
    '<a class="reference internal" href="#">A</a>'
    '<a class="reference internal" href="notebooks/02_b.html">B</a>'
    '<a class="reference internal" href="notebooks/01_a.html#x">A</a>'
    '<a class="reference internal" href="notebooks/01_a.html">A</a></nav>'
    '<a class="reference internal" href="elsewhere.html">no page of the contents</a>'
)


@pytest.fixture
def book(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "index.html").write_text(NAV)
    for name in ("01_a", "02_b"):
        (tmp_path / "notebooks" / f"{name}.html").write_text("<article></article>")
    return tmp_path


def test_pages_come_in_the_order_of_the_contents_each_once(book):
    names = [page.relative_to(book).as_posix() for page in pdf.pages_in_order(book)]
    assert names == ["index.html", "notebooks/02_b.html", "notebooks/01_a.html"]


def test_a_book_not_built_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="run `make book` first"):
        pdf.print_book(tmp_path, tmp_path / "out.pdf")


def test_a_page_of_the_contents_that_is_missing_is_named(book):
    (book / "notebooks" / "02_b.html").unlink()
    with pytest.raises(InputError, match=r"02_b\.html.*make book"):
        pdf.pages_in_order(book)


def test_without_playwright_the_error_names_the_extra(book, monkeypatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(InputError, match=r"songtitle\[pdf\]"):
        pdf.print_book(book, book / "out.pdf")


def test_a_chromium_that_does_not_start_is_one_line(monkeypatch):
    class Chromium:
        def launch(self, **options):
            message = f"no such program {options['executable_path']}\nmany\nlines"
            raise RuntimeError(message)

    class Playwright:
        chromium = Chromium()

    monkeypatch.setenv("SONGTITLE_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(InputError, match="SONGTITLE_CHROMIUM") as caught:
        pdf.launch(Playwright())
    assert "/nowhere/chromium" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_title_page_takes_title_and_author_from_the_first_page():
    title, page = pdf.title_page(NAV)
    assert title == "A & B"
    assert '<p class="pdf-name">A &amp; B</p>' in page
    assert "<p>The authors</p>" in page


def test_bookmarks_get_back_the_spaces_of_their_headings(tmp_path):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    first = writer.add_outline_item("A longtitle", 0)
    writer.add_outline_item("inside it", 0, parent=first)
    writer.add_outline_item("unknown one", 0)
    pdf.space_bookmarks(writer.root_object["/Outlines"], ["A long\n title", "in side it"])
    writer.write(tmp_path / "x.pdf")
    outline = PdfReader(tmp_path / "x.pdf").outline
    assert [outline[0].title, outline[1][0].title, outline[2].title] == [
        "A long title",
        "in side it",
        "unknown one",
    ]
