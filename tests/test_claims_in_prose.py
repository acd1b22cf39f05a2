"""No page types a number that a record or the ledger holds: prose takes it by {glue}."""

import re
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).parent.parent
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


def texts(path):
    """The prose of a page; of a notebook also captions and descriptions of its figures."""
    if path.suffix == ".md":
        return [path.read_text("utf-8")]
    cells = jupytext.read(path).cells
    figures = [cell.metadata["mystnb"] for cell in cells if "mystnb" in cell.metadata]
    return [
        *(cell.source for cell in cells if cell.cell_type == "markdown"),
        *(figure["figure"]["caption"] for figure in figures),
        *(figure["image"]["alt"] for figure in figures),
    ]


def typed(page, text):
    """Numbers that a text quotes by hand, with no reason given above."""
    reasons = [pattern for (name, pattern) in ALLOWED if name in ("*", page)]
    return [
        found[0]
        for found in QUOTED.finditer(plain(text))
        if not any(re.fullmatch(pattern, found[0].strip()) for pattern in reasons)
    ]


PAGES = [*sorted(ROOT.glob("book/*.md")), *sorted(ROOT.glob("notebooks/[0-9]*.py"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_number_in_prose_comes_from_a_record_or_the_ledger(path):
    found = [each for text in texts(path) for each in typed(path.stem, text)]
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
