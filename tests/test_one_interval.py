"""A score over several trainings has one number and one interval, on whichever page it stands."""

import json
import re
from functools import cache
from html import unescape

import pytest

from songtitle.fmt import points
from songtitle.paper.judging import RESULTS

BOOK = RESULTS.parent / "book" / "notebooks"
RECORDS = {"quick/replicates": ("04_search", "05_titles", "09_controls", "19_findings")}
RECORDS["samples/samples"] = ("13_samples", "19_findings")
ONE = ("12_switchboard#tab-switchboard", "17_labs#tab-labs")
NUMBER = r"[-+−]?\d[\d.]*"
TOLD = re.compile(
    rf"([A-Za-z][^.()\n]*?) at k = (\d+): ({NUMBER}) points, [^()]*"
    rf"\(gain ({NUMBER}) \[({NUMBER}), ({NUMBER})\]\)"
)
MEANS = re.compile(
    rf"({NUMBER}) × \d+(?: \w+)?<br>\[({NUMBER}), ({NUMBER})\]<br>\({NUMBER}, ({NUMBER}),"
)
ALIAS = {"photos": "pictures 224×224"}


@cache
def texts(page):
    """What a published page shows as text, an output each."""
    cells = json.loads((BOOK / f"{page}.ipynb").read_text("utf-8"))["cells"]
    shown = [each.get("data", {}) for cell in cells for each in cell.get("outputs", [])]
    return [unescape("".join(data.get("text/markdown", ""))) for data in shown]


@cache
def summary(record):
    rows = json.loads((RESULTS / f"{record}.json").read_text("utf-8"))["result"]["summary"]
    return {(row["input"].lower(), row["beam_size"]): row for row in rows}


def as_printed(row, *names):
    return [float(points(row[name])) for name in names]


def told(page):
    """(input, beam size) -> the numbers of each sentence that a page says of it."""
    found = TOLD.findall("\n".join(texts(page)))
    return [((ALIAS.get(n.lower(), n.lower()), int(k)), list(map(float, v))) for n, k, *v in found]


@pytest.mark.parametrize("page", ["04_search", "13_samples", "19_findings"])
def test_a_sentence_has_the_gain_and_the_interval_over_all_trainings(page):
    known = summary("quick/replicates") | summary("samples/samples")
    said = told(page)
    assert {cell for cell, _ in said} <= set(known)
    assert len(said) >= 2
    for cell, values in said:
        assert values == as_printed(known[cell], "score", "gain", "gain_low", "gain_high")


@pytest.mark.parametrize("page", ["04_search#tab-4", "05_titles#tab-5"])
def test_a_cell_of_several_trainings_is_one_of_the_summary(page):
    name, anchor = page.split("#")
    (table,) = (text for text in texts(name) if f":name: {anchor}\n" in text)
    known = [
        as_printed(row, "score", "score_low", "score_high", "gain")
        for row in summary("quick/replicates").values()
    ]
    found = [list(map(float, each)) for each in MEANS.findall(table)]
    assert found
    assert all(each in known for each in found)


@pytest.mark.parametrize("page", ONE)
def test_a_table_of_one_training_says_so(page):
    name, anchor = page.split("#")
    (table,) = (text for text in texts(name) if f":name: {anchor}\n" in text)
    note = "\n".join(texts(name)).partition(table)[2]
    assert "of one training" in (table + note).lower()
