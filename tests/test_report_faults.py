"""Laws of the page on faults: every planted fault is shown, with what became of it."""

import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from songtitle.book.runs import PageRun, check_published
from songtitle.cache import ROOT, code_of_text, digest
from songtitle.errors import InputError
from songtitle.figures import findings
from songtitle.studies import software
from songtitle.studies.software import fault_facts, fault_frame, fault_note, fault_table, faults


@pytest.fixture
def found(tmp_path):
    rows = [
        ("media", "an mp3 file is broken", 2000, 2000, 0),
        ("media", "files are mixed", 30, 30, 0),
        ("disk", "the disk is full", 7, 6, 1),
    ]
    columns = ("group", "name", "tried", "survived", "lost")
    made = {
        "commit": "abc",
        "modified": False,
        "songtitle": "0.1.0",
        "python": "3.11.7",
        "system": "Linux x86_64",
        "cores": 2,
    }
    content = {
        "provenance": made,
        "rows": [
            dict(zip(columns, row, strict=True), outcome="one line", seconds=60.0, commit="abc")
            for row in rows
        ],
    }
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(content), "utf-8")
    return faults(path)


@pytest.fixture
def ax():
    yield plt.figure(figsize=(8, 4)).subplots()
    plt.close("all")


def test_every_fault_stands_in_the_table_with_its_counts(found):
    table = fault_table(found)
    assert list(table["What happens when …"])[2] == "the disk is full"
    assert table[["Tried", "Survived", "Lost"]].to_numpy().tolist()[2] == [7, 6, 1]


def test_what_prose_quotes_is_the_sum_of_the_rows(found):
    facts = fault_facts(found)
    assert (facts["faults.kinds"], facts["faults.groups"]) == (3, 2)
    assert (facts["faults.tried"], facts["faults.lost"]) == (2037, 1)
    assert facts["faults.media.tried"] == 2030


def test_the_note_says_commit_machine_and_minutes_and_names_its_record(found):
    note = fault_note(found)
    for said in ("abc", "Linux x86", "3 minutes", "make test-faults"):
        assert said in note.text
    assert note.records[0][0] == "faults/faults"


def test_the_note_counts_the_kinds_that_were_tried_on_other_code(found):
    assert "3 of 3 kinds were tried on other code than this clone's" in fault_note(found).text
    test = "tests/faults/test_disk.py"
    code = digest(code_of_text((ROOT / test).read_text("utf-8")))
    now = {**found, "rows": [row | {"test": test, "code": code} for row in found["rows"]]}
    assert "other code" not in fault_note(now).text
    now["rows"][0]["code"] = "0" * 16
    assert "1 of 3 kinds" in fault_note(now).text


def test_a_page_that_rests_on_planted_faults_needs_no_published_key(found, tmp_path):
    (record,) = fault_note(found).records
    check_published({"18_faults": PageRun(records=(tuple(record),))}, {})


def test_without_a_run_the_reader_is_told_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="make test-faults"):
        faults(tmp_path / "none.json")


def test_the_kept_run_lost_nothing():
    assert fault_facts(faults())["faults.lost"] == 0


def test_the_figure_has_a_dot_a_fault_and_one_a_group_and_marks_a_loss(found, ax):
    assert software.fault_dots(fault_frame(found), ax) is ax
    each, whole, lost = ax.collections
    assert each.get_offsets().tolist() == [[2000, 0], [30, 0], [7, 1]]
    assert whole.get_offsets().tolist() == [[2030, 0]]
    assert lost.get_offsets().tolist() == [[7, 1]]
    assert whole.get_paths()[0].vertices.shape != lost.get_paths()[0].vertices.shape
    assert [text.get_text() for text in ax.texts] == ["2,030", "7"]
    assert ax.get_xscale() == "log"


def test_the_figure_says_how_many_and_leaves_its_frame_alone(found, ax):
    frame = fault_frame(found)
    before = frame.copy(deep=True)
    software.fault_dots(frame, ax)
    pd.testing.assert_frame_equal(frame, before)
    said = findings.alt_of(ax.figure)
    assert "2,037 faults were planted, 1 of them with a loss: media 2,030 and disk 7." in said
    with pytest.raises(InputError, match="faults: expected rows"):
        software.fault_dots(frame.iloc[:0])
