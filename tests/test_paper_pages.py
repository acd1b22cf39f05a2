"""No verdict contradicts the page that it links to: its numbers stand in the table named there."""

import json
import re
from dataclasses import replace
from functools import cache
from html import unescape

import pytest

from songtitle.paper.judging import HOLDS, RESULTS, verdicts
from songtitle.paper.ledger import numbers, relations
from songtitle.studies import scoreboard

BOOK = RESULTS.parent / "book" / "notebooks"
N = numbers()
RELATIONS = relations(N)
OTHERS = ("outside.", "reading.", "paper.")
FOUND = verdicts(RESULTS)
SHOWN = [each for each in FOUND if each.here]
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d{1,2})?(?!\w)")
OWN = {
    "14_scoreboard#tab-scoreboard": scoreboard.claim_rows,
    "14_scoreboard#tab-relations": scoreboard.relation_rows,
}


def read(text):
    """The numbers in a text, each with the unit of its last digit."""
    found = []
    for each in NUMBER.findall(text):
        plain = each.replace(",", "").replace("−", "-")
        digits, _, power = plain.partition("e")
        places = len(digits.partition(".")[2])
        found.append((float(plain), 10.0 ** (int(power or 0) - places)))
    return found


@cache
def printed(page):
    """What the published book shows under an anchor; of the page of verdicts, what it would."""
    if page in OWN:
        return OWN[page](FOUND).to_csv()
    name, anchor = page.split("#")
    cells = json.loads((BOOK / f"{name}.ipynb").read_text("utf-8"))["cells"]
    for cell in cells:
        figure = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = "".join(data.get("text/markdown", ""))
            if f":name: {anchor}\n" in text:
                return unescape(text)
            if figure == anchor and "text/csv" in data:
                return "".join(data["text/csv"]).replace(",", " ")
    return None


def bare(here):
    """The numbers of a verdict, less those in brackets and in names of inputs and records."""
    text = re.sub(r"\[[^\]]*\]|\w+/\w+:|pictures \d+×\d+|k = \d+", " ", here)
    while "(" in text:
        text = re.sub(r"\([^()]*\)", " ", text)
    return read(text)


def missing(each):
    """The numbers that a verdict rests on and that no table it links to shows, to their digits."""
    there = [number for page in each.pages for number in read(printed(page))]
    wanted = bare(each.here)
    if each.id in RELATIONS:  # what is printed in the paper, whatever is worked out from it
        names = frozenset().union(*(relation.names for relation in RELATIONS[each.id]))
        wanted = [(float(N[name]), 1e-6) for name in names if not name.startswith(OTHERS)]
    return [
        value
        for value, unit in wanted
        if not any(
            abs(scale * value - other) <= 0.501 * max(scale * unit, last)
            for other, last in there
            for scale in ((1, 100) if abs(value) < 1 else (1,))
        )
    ]


@pytest.mark.parametrize("each", SHOWN, ids=lambda each: each.id)
def test_the_numbers_of_a_verdict_stand_in_the_table_that_it_links_to(each):
    assert not missing(each)


@pytest.mark.parametrize("id", ["titles.mean_about", "timbre.layout", "similarity.timbre_nearer"])
def test_a_number_that_the_table_does_not_show_is_found_out(id):
    each = next(each for each in FOUND if each.id == id)
    other = replace(each, here=re.sub(r"\d+(\.\d+)?", "98765", each.here))
    assert missing(other)


def test_learning_does_not_carry_over_where_a_page_shows_that_a_song_may_gain_nothing():
    each = next(each for each in FOUND if each.id == "transfer.works")
    table = printed("09_controls#tab-replicates")
    rows = [row for row in table.split("\n* - ") if row.startswith("songs: ")]
    gains = [read(re.findall(r"\[([^\]]*)\]", row)[-1]) for row in rows]
    assert len(gains) == 4
    if any(low <= 0 for (low, _), _ in gains):
        assert each.verdict != HOLDS
