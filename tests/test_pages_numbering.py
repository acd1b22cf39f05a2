"""Numbers of captions, and repairs of the theme's markup, on a small book of two pages."""

import re
from collections import Counter

import pytest
from small_books import build

from songtitle.book import extension

CONTENTS = ["index", "notebooks/09_controls", "glossary", "notebooks/10_length"]

CONTROLS = """# Controls

See {numref}`fig-own`, {numref}`fig-8a`, {numref}`tab-4` and {numref}`tab-own`; {ref}`fig-own`.

```{figure} a.png
:name: fig-8a
:alt: One.

Figure 8a of the paper, redone.
```

```{figure} a.png
:name: fig-own
:alt: Two.

Ours.
```

```{list-table} Table 4. Scores.
:name: tab-4
:header-rows: 1
:stub-columns: 1

* -
  - One
* - Row
  - 1
```

```{list-table} Table 4 on other data.
:name: tab-own

* - One
```
"""

LATER = """# Later

```{figure} a.png
:name: fig-later
:alt: Three.

Later.
```

As {numref}`fig-own` says.
"""


def test_a_page_lends_the_number_in_its_name_or_a_letter_by_its_place_in_the_contents():
    names = ["notebooks/09_controls", "notebooks/11_new", "index", "glossary"]
    assert [extension.page_label(name, CONTENTS) for name in names] == ["9", "11", "A", "B"]
    many = [f"page{n}" for n in range(30)]
    labels = [extension.page_label(name, many) for name in many]
    assert len(set(labels)) == 30
    assert labels[26] == "AA"


def test_the_papers_own_anchors_keep_the_papers_numbers():
    count = Counter()
    assert extension.number_of("figure", ["fig-8a"], "9", count) == "8a"
    assert extension.number_of("table", ["tab-4"], "9", count) == "4"
    assert extension.number_of("table", ["tab-4-real"], "9", count) == "9.1"
    assert extension.number_of("figure", ["fig-own"], "9", count) == "9.1"
    assert extension.number_of("figure", [], "9", count) == "9.2"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The HTML of a small book, page by page."""
    root = tmp_path_factory.mktemp("numbered")
    pages = {
        "index.md": "# Start\n\n```{toctree}\n09_controls\n10_later\n```\n",
        "09_controls.md": CONTROLS,
        "10_later.md": LATER,
    }
    for name, text in pages.items():
        (root / name).write_text(text, "utf-8")
    (root / "a.png").write_bytes(b"")
    out, warned = build(root, numfig=True)
    assert not warned
    return {path.stem: path.read_text("utf-8") for path in out.glob("[01]*.html")}


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


def test_every_caption_begins_with_its_number_and_has_it_once(built):
    captions = re.findall(
        r"<figcaption>.*?</figcaption>|<caption>.*?</caption>", built["09_controls"], re.DOTALL
    )
    assert [text_of(caption).rstrip("¶#") for caption in captions] == [
        "Figure 8a of the paper, redone.",
        "Figure 9.1. Ours.",
        "Table 4. Scores.",
        "Table 9.1. Table 4 on other data.",
    ]


def test_references_read_the_numbers_of_the_captions_on_their_page_and_on_others(built):
    text = text_of(built["09_controls"])
    assert "See Figure 9.1, Figure 8a, Table 4 and Table 9.1; Figure 9.1. Ours.." in text
    assert "As Figure 9.1 says." in text_of(built["10_later"])


def test_an_empty_corner_is_no_head_and_heads_say_what_they_head(built):
    table = re.search(r'<table[^>]*id="tab-4".*?</table>', built["09_controls"], re.DOTALL)[0]
    assert "<td></td>" in table
    assert '<th scope="col" class="head"><p>One</p></th>' in table
    assert '<th scope="row" class="stub"><p>Row</p></th>' in table


def test_repairing_twice_changes_nothing():
    html = (
        '<div role="doc-biblioentry">x</div><th></th><th class="head stub"><p></p></th>'
        '<th class="head"><p>A</p></th><th class="stub"><p>B</p></th>'
    )
    once = extension.repaired(html)
    assert extension.repaired(once) == once
    assert "doc-biblioentry" not in once
    assert once.count("<td></td>") == 2


def test_a_long_signature_is_no_list_of_definitions():
    opened = '<span class="sig-paren">(</span>'
    html = (
        f"<dt>{opened}\n\n<dl>\n<dd><em>a</em>,</dd>\n<dd><em>b</em></dd>\n</dl>\n</dt><dl>x</dl>"
    )
    once = extension.repaired(html)
    assert once.count('<div class="sig-line">') == 2
    assert "<dd>" not in once
    assert once.endswith("</dt><dl>x</dl>")
    assert extension.repaired(once) == once
