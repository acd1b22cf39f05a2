"""Laws of the book's prose: no page left alone, every word explained, every source cited alike, and
no number typed that a record or the ledger holds: prose takes it by {glue}."""

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
PAGES = [*PROSE, *NOTEBOOKS]
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


def texts(path):
    """The prose of a page, by cells if it is a notebook."""
    if path.suffix == ".md":
        return [path.read_text("utf-8")]
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown"]


def markdown(path):
    """The prose of a page."""
    return "\n\n".join(texts(path))


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
    marks = ["# Can a captioner name a song?", "{image}", "{songs} 3", "## The answer"]
    marks += ["::answer:", "{drawn}", "::songs.p:", "not a reproduction", "## All pages"]
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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
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


def test_everything_that_cites_says_what_the_citation_file_says():
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
    listed = entries((BOOK / "references.bib").read_text("utf-8"))["bleiweiss2020"]
    assert {key: str(paper[key]) for key in ("title", "url", "year")}.items() <= listed.items()

    record = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))  # the archive's
    assert record["creators"] == [{"name": each["name"]} for each in own["authors"]]
    assert record["description"] == own["abstract"]
    assert record["upload_type"] == own["type"]
    for key in ("title", "version", "license", "keywords"):
        assert record[key] == own[key]
    (related,) = record["related_identifiers"]
    assert related["identifier"] == paper["url"]

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert own["version"] == project["version"]
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
    some = {"book", "test", "test-book", "pdf", "serve", "course", "notebooks", "pairs"}
    assert some <= set(told) <= set(targets)


# -- numbers

UNITS = (
    "%|percent|per cent|k?Hz|kbit/s|m?s|seconds?|minutes?|hours?|days?|pixels?|px|words?|letters?|"
    "points?|point|[KMGT]i?B|bytes|bits?|dB|nats?|titles?|songs?|captions?|clips?|pictures?|photos?|"
    "tracks?|rows?|seeds?|draws?|hypotheses|dimensions?|numbers|cores?|fold|times|samples?|frames?|"
    "bins?|tiles?|epochs?"
)
# A decimal, a number with a comma, or a number with a unit. Counts without one (k = 5) are names.
QUOTED = re.compile(
    rf"(?<![\w.,/#-])(?:\d+\.\d+|\d{{1,3}}(?:,\d{{3}})+|\d+(?=[\s-]?(?:{UNITS})(?!\w)))(?!\d)"
    rf"(?:[\s-]?(?:{UNITS})(?!\w))?"
)

# (page, pattern) -> why it may be typed. `*` is every page.
ALLOWED = {
    ("*", r"95 ?(%|percent)"): "the level of an interval, or what a level stands for",
    ("*", r"(0|50|100) ?(%|percent)"): "none, half, all",
    ("*", r"0\.5"): "what guessing one of two gives",
    ("*", r"0\.05|5 ?%"): "the usual level of a test",
    ("again", r"3\.\d+"): "a version of Python",
    ("corpora", r"3\.\d+"): "a version of Python",
    ("corpora", r"1,000 (clips|pictures)"): "an exercise",
    ("02_inputs", r"64 tiles|32 pixels"): "alt text: what the figure is made of, a setting",
    ("02_inputs", r"22,050 Hz|256 samples|256-frame"): "an exercise",
    ("02_inputs", r"90 numbers"): "what timbre is in this data set",
    ("07_paper_corpora", r"90 numbers"): "what timbre is in this data set",
    ("07_paper_corpora", r"1920s"): "alt text: where an axis begins",
    ("04_search", r"32-pixel"): "an exercise: names a row of Table 4",
    ("13_samples", r"1,000"): "an exercise",
    ("10_length", r"10 words"): "what the figure's axis runs to, a setting",
}


def plain(text):
    """Prose without code, roles and addresses; what stands in a directive is prose."""
    opened = re.compile(r"^(`{3,})\{[^\n]*\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)
    text = opened.sub(r"\2", text)
    text = re.sub(r"^```(?!\{)[^\n]*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\{[\w:]+\}`[^`]*`", " ", text)
    text = re.sub(r"`[^`]*`", " ", text)
    text = re.sub(r"\$[^$\n]+\$", " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"[Ss]ections? \d+(\.\d+)*|(?<=^)\d+\.(?= )", " ", text, flags=re.MULTILINE)


def legends(path):
    """Captions and descriptions of a notebook's figures."""
    cells = [] if path.suffix == ".md" else jupytext.read(path).cells
    figures = [cell.metadata["mystnb"] for cell in cells if "mystnb" in cell.metadata]
    return [text for each in figures for text in (each["figure"]["caption"], each["image"]["alt"])]


def typed(page, text):
    """Numbers that a text quotes by hand, with no reason given above."""
    reasons = [pattern for (name, pattern) in ALLOWED if name in ("*", page)]
    return [
        found[0]
        for found in QUOTED.finditer(plain(text))
        if not any(re.fullmatch(pattern, found[0].strip()) for pattern in reasons)
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_number_in_prose_comes_from_a_record_or_the_ledger(path):
    prose = [*texts(path), *legends(path)]
    found = [each for text in prose for each in typed(path.stem, text)]
    assert not found, f"{path.name}: glue these, or give a reason in ALLOWED: {found}"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It scored 61.3 on pictures.", ["61.3"]),
        ("About 94 percent of 3,346,732 captions", ["94 percent", "3,346,732 captions"]),
        (
            "a 4.9-fold fall, 32 pixels, 30 s, 1,024-point",
            ["4.9-fold", "32 pixels", "30 s", "1,024-point"],
        ),
        ("with k = 5 and Table 4 in section 4.1, Figure 8a, of 2019", []),
        ("{glue:text}`a.b:.1f` points and `0.25` in code", []),
        ("see [page](https://x.org/1.5) and ResNet-152", []),
        ("```\nsleep 0.5\n```\n", []),
        ("```{exercise}\nIt is `0.6`, not 61.3.\n```\nand `0.4`", ["61.3"]),
    ],
)
def test_quoted_numbers_are_found_and_names_are_not(text, numbers):
    assert typed("none", text) == numbers


def test_every_exception_has_a_reason_and_none_is_wide():
    assert all(len(reason) > 8 for reason in ALLOWED.values())
    assert not any(re.fullmatch(pattern, "61.3 %") for _, pattern in ALLOWED)
