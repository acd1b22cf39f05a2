"""Laws of the book's story: no page left alone, every word explained, every source cited alike."""

import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import jupytext
import pytest
import yaml

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
PROSE = sorted(BOOK.glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


def contents():
    """Pages of `_toc.yml` in reading order, those of a section behind it."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    pages = [toc["root"]]
    for chapter in chapters:
        pages += [chapter["file"], *(each["file"] for each in chapter.get("sections", []))]
    return pages


def glossary():
    """Terms of the glossary, each with its definition."""
    _, text = (BOOK / "glossary.md").read_text("utf-8").split(":sorted:\n", 1)
    found = {}
    for entry in text.removesuffix("```\n").strip().split("\n\n"):
        *terms, definition = entry.split("\n")
        found |= dict.fromkeys(terms, definition.strip())
    return found


def entries(text):
    """Fields of each entry of a BibTeX text, by key."""
    found = re.findall(r"^@(\w+)\{(\w+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    fields = re.compile(r"^ *(\w+) *= \{(.*)\},$", re.MULTILINE)
    return {key: {"kind": kind} | dict(fields.findall(body)) for kind, key, body in found}


def markdown(path):
    """The prose of a page."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    cells = jupytext.read(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_every_page_is_in_the_contents_once():
    prose = {str(path.relative_to(BOOK).with_suffix("")) for path in BOOK.glob("**/*.md")}
    prose = {name for name in prose if not name.startswith(("_", "notebooks/", "extra/"))}
    notebooks = {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    assert sorted(contents()) == sorted(prose | notebooks)


def test_the_front_page_names_every_page_in_the_order_of_the_contents():
    _, table = (BOOK / "index.md").read_text("utf-8").split("## All pages")
    chapters = [page for page in contents()[1:] if not re.match(r"api/(?!index)", page)]
    assert re.findall(r"^\| \{doc\}`([\w/]+)`", table, re.MULTILINE) == chapters


def test_the_front_page_asks_lets_one_hear_and_answers_before_it_explains():
    text = (BOOK / "index.md").read_text("utf-8")
    marks = [
        "# Can a captioner name a song?",
        "{image}",
        "{songs} 3",
        "## The answer",
        "::songs.p:",
    ]
    marks += ["not a reproduction", "## All pages"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_chapter_asks_a_question_says_what_it_means_and_leads_on(path):
    text = markdown(path)
    assert "?" in text.split("\n\n## ")[0], "no question at the top"
    assert 0 < text.index("What it means") < text.index("## Exercises")
    assert len(set(re.findall(r"\{doc\}`[^`]*`", text))) >= 2, "links to fewer than two pages"
    assert len(set(re.findall(r"\{term\}`[^`]*`", text))) >= 1, "explains no word"


def test_the_glossary_explains_a_word_in_two_sentences_at_most():
    found = glossary()
    assert 40 <= len(set(found.values())) <= 70
    for term, definition in found.items():
        sentences = re.findall(r"[.!?](?=\s+[A-Z0-9(*`]|$|\))", definition)
        assert 1 <= len(sentences) <= 2, term
        assert len(definition) < 330, term


@pytest.mark.parametrize("path", [*PROSE, *NOTEBOOKS], ids=lambda path: path.stem)
def test_every_word_that_a_page_looks_up_is_in_the_glossary(path):
    terms = {term.lower() for term in glossary()}
    cited = re.findall(r"\{term\}`([^`]*)`", markdown(path))
    names = [re.sub(r".*<(.*)>", r"\1", " ".join(each.split())) for each in cited]
    assert not {name for name in names if name.lower() not in terms}


def test_every_source_has_an_address_that_looks_like_one():
    for key, entry in entries((BOOK / "references.bib").read_text("utf-8")).items():
        assert {"title", "author", "year"} <= set(entry), key
        assert "doi" in entry or "url" in entry, key
        assert re.fullmatch(r"10\.\d{4,5}/\S+", entry.get("doi", "10.1234/x")), key
        assert re.fullmatch(r"https://\S+", entry.get("url", "https://x")), key


def test_the_page_on_citing_says_what_the_citation_file_says():
    paper, own = CITATION["preferred-citation"], CITATION
    shown = entries((BOOK / "cite.md").read_text("utf-8"))
    (author,) = paper["authors"]
    assert shown["bleiweiss2020"] == {
        "kind": "inproceedings",
        "title": paper["title"],
        "author": f"{author['family-names']}, {author['given-names']}",
        "year": str(paper["year"]),
        "booktitle": paper["conference"]["name"],
        "url": paper["url"],
    }
    assert shown["songtitle"] == {
        "kind": "software",
        "title": own["title"],
        "author": f"{{{own['authors'][0]['name']}}}",
        "version": own["version"],
        "license": own["license"],
    }


def test_the_bibliography_cites_the_paper_as_the_citation_file_does():
    paper = CITATION["preferred-citation"]
    listed = entries((BOOK / "references.bib").read_text("utf-8"))["bleiweiss2020"]
    assert (listed["title"], listed["url"]) == (paper["title"], paper["url"])
    assert listed["year"] == str(paper["year"])


def test_the_archive_s_record_says_what_the_citation_file_says():
    record = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))
    assert record["creators"] == [{"name": each["name"]} for each in CITATION["authors"]]
    assert record["description"] == CITATION["abstract"]
    assert record["upload_type"] == CITATION["type"]
    for key in ("title", "version", "license", "keywords"):
        assert record[key] == CITATION[key]
    (paper,) = record["related_identifiers"]
    assert paper["identifier"] == CITATION["preferred-citation"]["url"]


def test_the_citation_is_of_the_version_that_is_here():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert CITATION["version"] == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "{include} ../CHANGELOG.md" in (BOOK / "changes.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["favicon", "logo", "cover"])
def test_a_picture_of_the_book_is_a_small_drawing_with_a_title(name):
    path = BOOK / "_static" / f"{name}.svg"
    drawing = ElementTree.parse(path).getroot()
    assert drawing.get("viewBox")
    assert drawing.findtext("{http://www.w3.org/2000/svg}title")
    assert path.stat().st_size < (2_000 if name != "cover" else 30_000)


def test_the_settings_name_the_favicon_and_the_logo():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert (BOOK / settings["logo"]).is_file()
    assert (BOOK / settings["html"]["favicon"]).is_file()
    assert settings["sphinx"]["config"]["html_theme_options"]["logo"]["text"] == settings["title"]


@pytest.mark.parametrize("page", ["README.md", "book/again.md"])
def test_every_make_command_that_is_told_is_one_of_the_makefile(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"(?:^|`)make ([\w-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert {"book", "test", "test-book", "pdf", "serve", "course", "notebooks", "pairs"} <= set(
        told
    )
    assert set(told) <= set(targets)
