"""A score over several trainings has one number and one interval, on whichever page it stands; an
interval of a single training says that it is of one."""

import json
import re
from functools import cache
from html import unescape

import jupytext
import numpy as np
import pytest
from test_in_short import planted

from songtitle import figures
from songtitle.experiment import labs
from songtitle.fmt import points
from songtitle.paper.judging import RESULTS
from songtitle.studies import switchboard as study

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


# -- pages 12 and 17 rest on one training --------------------------------------------------------

NOTEBOOKS = RESULTS.parent / "notebooks"
RANGE = re.compile(rf"\[{NUMBER}, {NUMBER}\]|\({NUMBER} to {NUMBER}")
ALONE = re.compile(r"\b(of|but) one training")


def board():
    """The published record of the switchboard."""
    found = json.loads((RESULTS / "quick" / "switchboard.json").read_text("utf-8"))
    record = planted(**found["result"])
    record.settings.update(found["settings"])
    record.provenance.update(found["provenance"])
    return record


def mistake():
    """A lab whose score and gain rise for sure."""

    def side(scores):
        pairs = np.zeros((len(scores), len(scores)))
        np.fill_diagonal(pairs, scores)
        return labs.Side([[[["word"], -1.0]] for _ in scores], pairs)

    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 0.1, 40), rng.uniform(0.4, 0.5, 40)
    row = {"input": "songs: timbre"} | labs._compared(side(low), side(high), seed=0)
    record = planted(rows=[row])
    record.settings.update(lab="timbre", smallest_effect=1.0)
    record.timing.update(seconds=1.0)
    return record


def of_one_training():
    """What the code of both pages says with an interval, a text each."""
    record, lab = board(), mistake()
    yield "summary", study.switch_summary(record)
    yield "note", study.switch_note(record)
    for title, frame, luck in study.tornado_panels(record):
        figure = study.tornado(frame, luck=luck).figure
        if RANGE.search(figures.alt_of(figure)):
            yield title, figures.alt_of(figure)
    yield "labs", study.lab_note([lab]).text
    yield "table of labs", study.lab_table_note(lab)
    yield "little", study.moved_little(study.lab_frame([lab]).to_dict("records"), 1.0)


def test_what_the_pages_of_one_training_say_with_an_interval_says_so(fresh_figures):
    said = list(of_one_training())
    assert len(said) >= 9
    for name, text in said:
        for sentence in re.split(r"(?<=[.;]) (?=[A-Z])", text):
            if RANGE.search(sentence) or "one-sided" in sentence:
                assert ALONE.search(sentence), (name, sentence)
        assert ALONE.search(text), name


@pytest.mark.parametrize("page", ["12_switchboard", "17_labs"])
def test_prose_and_legends_of_these_pages_call_no_interval_by_its_level_alone(page):
    cells = jupytext.read(NOTEBOOKS / f"{page}.py").cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for cell in cells:
        if legend := cell.metadata.get("mystnb"):
            texts += [legend["figure"]["caption"], legend["image"]["alt"]]
    told = [
        " ".join(part.replace("#", " ").split())
        for text in texts
        for part in re.split(r"\n\s*\n", text)
        if "interval" in part
    ]
    assert len(told) >= 3
    assert not [part for part in told if not ALONE.search(part)]
