"""Laws of the book's own Sphinx extension, tried on books of two pages."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import yaml
from small_books import ROOT, SETTINGS, build, executed
from sphinx.errors import ConfigError

from songtitle.book import extension
from songtitle.tables import NO_TITLE, Note, Table, plain, shown


class Cells(HTMLParser):
    """Text of each table cell, and the elements that stand in one."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.inside, self.open = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "td":
            self.open = True
            self.texts.append("")
        elif self.open:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        self.open = self.open and tag != "td"

    def handle_data(self, data):
        if self.open:
            self.texts[-1] += data


HOSTILE = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</div></article>"),
    *("a & b &amp; c &#42;", "it's \"quoted\" 'so'", "wait -- what --- now..."),
    *("{ref}`tab-x <tab-x>`", "[x](https://example.org) ![x](y.png) [^1]", "a | b || c"),
    *("`code` ``more``", "$x^2$ costs $5", "*a* **b** _c_ __d__ ~~e~~", "\\ back\\slash \\*"),
    *("# Heading", "- item", "* - item", "+ plus", "1. Allegro", "2) Largo", "99", "> quote"),
    *("::: {note}", "```{danger} x", "~~~", "(target)=", "% comment", "---", "===", "+++"),
    *(": definition", "{{ substitution }}", "|name|"),
    *("http://example.org me@example.org <http://example.org>", "שלום עולם", "مرحبا (1)"),
    *("🎵 👩‍🚀 é e\u0301", "a\u2028b\x0bc", "so <b>bold</b>"),
]


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """A page that shows a table of hostile titles, as a caption and a note, too."""
    import pandas as pd

    folder = tmp_path_factory.mktemp("hostile")
    frame = pd.DataFrame({"Title": [*HOSTILE, "", " \u200b\n"], "n": 1.5})
    frame["Title"] = [shown(title) for title in frame["Title"]]
    table = Table(frame, name="tab-x", caption=f"Of {plain(HOSTILE[0])}", note=plain(HOSTILE[7]))
    note = Note("Said", f"So “{plain(HOSTILE[9])}” and {plain(HOSTILE[6])}.")
    page = executed(table._repr_markdown_(), note._repr_markdown_())
    (folder / "index.ipynb").write_text(nbformat.writes(page), "utf-8")
    out, warned = build(folder)
    return (out / "index.html").read_text("utf-8"), warned


def test_what_a_page_shows_of_a_title_is_the_title_and_makes_no_element(hostile_page):
    html, warned = hostile_page
    cells = Cells(html[html.index("<table") : html.index("</table>")])
    titles = [" ".join(text.split()) for text in cells.texts[::2]]
    assert titles == [*(shown(title) for title in HOSTILE), NO_TITLE, NO_TITLE]
    assert set(cells.inside) <= {"p"}
    assert not warned


def test_captions_and_notes_show_what_came_from_data_as_it_is(hostile_page):
    html, _ = hostile_page
    assert "Of &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "[x](https://example.org) ![x](y.png) [^1]" in html
    assert "So “`code` ``more``” and {ref}`tab-x &lt;tab-x&gt;`." in html


def test_prose_keeps_typographic_quotes(tmp_path):
    (tmp_path / "index.md").write_text('# Page\n\nIt\'s "so".\n')
    out, _ = build(tmp_path)
    assert "It’s “so”." in (out / "index.html").read_text("utf-8")


GLOSSARY = """# Words

```{glossary}
beam
beam search
  A list of the likeliest beginnings, e.g. five of them, at 0.5 <each>. It grows.
```

The {term}`beam` and {term}`wide beams <beam search>`, and {ref}`no term <words>`.

(words)=
## More
"""


def test_a_term_carries_the_first_sentence_of_its_definition(tmp_path):
    (tmp_path / "index.md").write_text(GLOSSARY)
    (tmp_path / "other.md").write_text("---\norphan: true\n---\n# Other\n\nA {term}`beam`.\n")
    out, warned = build(tmp_path)
    said = "A list of the likeliest beginnings, e.g. five of them, at 0.5 &lt;each&gt;.</span>"
    for name, count in (("index", 2), ("other", 1)):
        html = (out / f"{name}.html").read_text("utf-8")
        assert html.count(said) == count
        tips = re.findall(r'<span role="tooltip" id="([^"]+)"', html)
        links = re.findall(r'<a [^>]*aria-describedby="([^"]+)"[^>]*>', html)
        assert tips == links
        assert len(set(tips)) == count
    assert 'href="index.html#term-beam"' in html
    assert not warned


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("At 0.5 it stops, i.e. Here! Then", "At 0.5 it stops, i.e. Here!"),
        ("No end", "No end"),
        ("Is it?\nYes.", "Is it?"),
        ("", ""),
    ],
)
def test_a_first_sentence_ends_where_a_sentence_ends(text, first):
    assert extension.first_sentence(text) == first


def test_only_a_page_with_formulas_loads_mathjax_and_from_the_book_itself(tmp_path):
    config = SETTINGS["sphinx"]["config"]
    (tmp_path / "index.md").write_text("# Page\n\nA {doc}`formula <other>`.\n")
    (tmp_path / "other.md").write_text("---\norphan: true\n---\n# Other\n\n$a^2$\n")
    names = ("mathjax_path", "mathjax3_config")
    out, _ = build(tmp_path, **{name: config[name] for name in names})
    assert "startup.js" not in (out / "index.html").read_text("utf-8")
    html = (out / "other.html").read_text("utf-8")
    (source,) = re.findall(r'<script[^>]*src="([^"]*startup\.js)', html)
    extra = ROOT / "book" / config["html_extra_path"][0]
    assert (extra / source.removeprefix("_static/../")).is_file()
    parts = config["mathjax3_config"]["loader"]["load"]
    assert all((extra / "mathjax" / f"{part}.js").is_file() for part in parts)
    assert "Apache License" in (extra / "mathjax" / "LICENSE").read_text("utf-8")


URL = "https://github.com/made-up/songtitle"


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """Addresses on the pages of a book with the house's theme, with and without a repository."""
    found = {}
    for url in ("", URL):
        folder = tmp_path_factory.mktemp("linked")
        (folder / "notebooks").mkdir()
        toc = "# Page\n\n```{toctree}\nnotebooks/04_search\nagain\n```\n"
        (folder / "index.md").write_text(toc)
        (folder / "again.md").write_text("# Again\n")
        page = folder / "notebooks" / "04_search.ipynb"
        page.write_text(nbformat.writes(executed("text")), "utf-8")
        given = SETTINGS["repository"] | {"url": url}
        options = {
            "repository_url": given["url"],
            "repository_branch": given["branch"],
            "path_to_docs": given["path_to_book"],
            "launch_buttons": SETTINGS.get("launch_buttons", {}),
        }
        out, warned = build(folder, html_theme="sphinx_book_theme", html_theme_options=options)
        assert not warned
        for name in ("notebooks/04_search", "again"):
            html = (out / f"{name}.html").read_text("utf-8")
            found[url, name] = set(re.findall(r'href="([^"]+)"', html)), out / f"{name}.html"
    return found


def test_without_an_address_no_button_leads_away(linked):
    for (url, _), (links, _) in linked.items():
        assert url or not {link for link in links if "://" in link}


def test_with_an_address_every_button_leads_to_a_file_that_is_there(linked):
    links, _ = linked[URL, "notebooks/04_search"]
    away = {link for link in links if "made-up" in link}
    places = {
        re.sub(r".*(main\?urlpath=lab/tree/|edit/main/|blob/main/)", "", link) for link in away
    }
    files = {place for place in places if "://" not in place}
    assert files == {"notebooks/04_search.ipynb", "notebooks/04_search.py"}
    assert all((ROOT / file).is_file() for file in files)
    hosts = {link.split("/")[2] for link in away}
    assert hosts == {"github.com", "mybinder.org", "colab.research.google.com"}
    assert f"{URL}/edit/main/book/again.md" in linked[URL, "again"][0]
    assert (ROOT / "book" / "again.md").is_file()
    assert (ROOT / "environment.yml").is_file()  # what Binder installs
    assert any("issues/new" in link for link in away)


def test_the_notebook_of_a_page_can_always_be_downloaded(linked):
    for url in ("", URL):
        links, page = linked[url, "notebooks/04_search"]
        (download,) = [link for link in links if link.endswith(".ipynb") and "://" not in link]
        nbformat.validate(nbformat.read(page.parent / download, 4))


def test_what_is_edited_for_each_page_of_the_book_is_there():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    for part in contents["parts"]:
        for file in (each["file"] for each in part["chapters"]):
            assert (ROOT / extension.edited(file, ".md")).is_file()


def test_an_address_that_is_none_is_refused(tmp_path):
    (tmp_path / "index.md").write_text("# Page\n")
    options = {"repository_url": "github.com/made-up"}
    with pytest.raises(ConfigError, match=r"repository\.url: expected https://"):
        build(tmp_path, html_theme="sphinx_book_theme", html_theme_options=options)


def test_importing_the_extension_brings_neither_torch_nor_matplotlib():
    code = (
        "import sys, songtitle.book.extension\n"
        "sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "rst"),
    [
        ("Code in `x` and `a\n  b`s.", "Code in ``x`` and ``a b``\\ s."),
        (
            "A *k* and a*b, *batch and name_ and |x|.",
            "A *k* and a\\*b, \\*batch and name\\_ and \\|x\\|.",
        ),
        (
            "Of snake_case:\n\n    f(*x)  # _\n\n- one",
            "Of snake_case:\n\n.. code-block:: python\n\n    f(*x)  # _\n\n- one",
        ),
    ],
)
def test_a_docstring_is_text_and_code_and_nothing_else(text, rst):
    assert extension.as_rst(text) == rst


MODULE = '''"""A module with `code` and *batch."""

from jaxtyping import Float
from torch import Tensor


def loudest(wave: Float[Tensor, "*batch samples"], top: int = 3) -> Float[Tensor, " batch"]:
    """The loudest of `wave`, see name_ and |this|.

    - one `a`b
    """


def _hidden(): ...
'''


def test_the_reference_shows_axes_and_builds_without_a_warning(tmp_path, monkeypatch):
    (tmp_path / "made_up_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_up_module", raising=False)
    (tmp_path / "index.md").write_text(
        "# Page\n\n```{eval-rst}\n.. automodule:: made_up_module\n```\n"
    )
    out, warned = build(tmp_path, nitpicky=True)
    assert not warned
    html = (out / "index.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", html).replace("&#39;", "'").replace("&quot;", '"')
    assert "wave: Float[Tensor, '*batch samples'], top: int = 3" in " ".join(text.split())
    assert "see name_ and |this|" in text
    assert "<code" in html
    assert "_hidden" not in text


def test_every_public_name_of_a_package_stands_in_the_reference():
    pages = sorted((ROOT / "book" / "api").glob("*.md"))
    listed = re.findall(r"automodule:: songtitle\.([\w.]+)", "".join(p.read_text() for p in pages))
    assert len(listed) == len(set(listed))
    assert not [name for name in listed if find_spec(f"songtitle.{name}") is None]
    shown_here = {"book", "shapes", "machine", "progress", "seeds", "svg"}
    for path in sorted((ROOT / "songtitle").iterdir()):
        if path.name.startswith("_") or (path.is_file() and path.suffix != ".py"):
            continue
        if path.stem not in shown_here:
            assert any(name.split(".")[0] == path.stem for name in listed), path.stem
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"file: api/{page.stem}\n" in toc for page in pages)


def test_the_book_is_the_same_from_the_root_of_the_clone_and_from_book(tmp_path):
    shutil.copy2(ROOT / "_config.yml", tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: cite\n")
    shutil.copytree(
        ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("_build", "notebooks")
    )
    shutil.copy2(tmp_path / "_toc.yml", tmp_path / "book")
    pages = {}
    for source in (".", "book"):
        command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "-q"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        built = tmp_path / source / "_build" / "html"
        pages[source] = {
            path.relative_to(built): path.read_bytes()
            for path in built.rglob("*.*")
            if path.suffix in (".html", ".css", ".js")
        }
    assert pages["."] == pages["book"]
    assert {Path("cite.html"), Path("_static/tables.js")} <= set(pages["."])
