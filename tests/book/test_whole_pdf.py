"""The PDF holds every page, figure and table of the book, and points nowhere it should not."""

import re
import subprocess
import sys
from collections import Counter

import lxml.html
import pypdf
import pytest

from songtitle.book import pdf


@pytest.fixture(scope="session")
def printed(book_html, tmp_path_factory):
    """The book, printed once, by a process of its own: this one may have a browser already."""
    output = tmp_path_factory.mktemp("pdf") / "songtitle.book.pdf"
    printing = "import sys; from pathlib import Path; from songtitle.book import pdf; "
    printing += "print(pdf.print_book(*map(Path, sys.argv[1:])))"
    command = [sys.executable, "-c", printing, str(book_html), str(output)]
    sheets = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert sheets == len(pypdf.PdfReader(output).pages)
    return output


@pytest.fixture(scope="session")
def reader(printed):
    return pypdf.PdfReader(printed)


@pytest.fixture(scope="session")
def words(reader):
    """All text of the PDF, spaces taken away: where lines break is no matter."""
    return re.sub(r"\s", "", "".join(sheet.extract_text() for sheet in reader.pages))


def parsed(page):
    return lxml.html.parse(str(page), lxml.html.HTMLParser(encoding="utf-8")).getroot()


def captions(page):
    """The number that each caption of a page begins with."""
    for caption in parsed(page).xpath("//figure[@id]/figcaption | //table[@id]/caption"):
        text = " ".join(caption.text_content().split())
        found = re.match(r"(Figure|Table) ([A-Z]{1,2}\.\d+|\d+\.\d+|\d+[a-z]?)\b", text)
        assert found, f"{page.name}: expected a caption that begins with its number, got {text!r}"
        yield found[0]


def test_every_figure_and_table_is_there_with_a_number_of_its_own(book_html, words):
    numbers = [(page.name, n) for page in pdf.pages_in_order(book_html) for n in captions(page)]
    assert len(numbers) > 50
    missing = [(page, n) for page, n in numbers if n.replace(" ", "") not in words]
    assert missing == []
    assert [n for n, times in Counter(n for _, n in numbers).items() if times > 1] == []


def test_every_page_is_a_bookmark_in_the_order_of_the_contents(book_html, reader):
    titles = [
        " ".join(parsed(page).xpath("string(//article//h1)").rstrip("#\n ").split())
        for page in pdf.pages_in_order(book_html)
    ]
    marks = [" ".join(mark.title.split()) for mark in reader.outline if not isinstance(mark, list)]
    assert marks == titles


def test_links_between_pages_stay_inside_and_none_leads_to_this_machine(reader):
    notes = [each.get_object() for sheet in reader.pages for each in sheet.get("/Annots") or []]
    addresses = {str(note.get("/A", {}).get("/URI", "")) for note in notes} - {""}
    assert {a for a in addresses if not a.startswith(("https://", "http://", "mailto:"))} == set()
    assert not {a for a in addresses if "127.0.0.1" in a or "localhost" in a}
    wanted = {str(note["/Dest"]) for note in notes if "/Dest" in note}
    assert len(wanted) > 20
    assert wanted <= {str(name) for name in reader.named_destinations}


def test_it_says_what_it_is_and_can_be_sent_by_mail(printed, reader):
    assert reader.metadata.title
    assert "\n" not in reader.metadata.title
    assert reader.metadata.author
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert "/StructTreeRoot" in reader.trailer["/Root"]  # tagged: a screen reader finds its way
    assert 100_000 < printed.stat().st_size < 25_000_000
