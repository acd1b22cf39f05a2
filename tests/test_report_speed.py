"""Laws of the page on speed: every measured line is shown, with its bound and its verdict."""

import json

import pytest

from benchmarks.harness import Growth, Row
from songtitle.errors import InputError
from songtitle.studies.software import benchmarks, growths, ratio_table, ratios, speed_note


@pytest.fixture
def folder(tmp_path):
    rows = [
        Row(what="k = 5", quantity="time / limit", value=1.2, at_most=1.3, peer="torch 2"),
        Row(what="k = 10", quantity="tutorial / ours", value=7.0, at_least=10.0, note="scaled"),
        Row(what="bf16", quantity="share changed", value=0.25),
    ]
    growth = [
        Growth(what="beams", against="k", unit="seconds", sizes=[1, 2, 4], values=[1.0, 2.0, 4.0])
    ]
    content = {
        "subject": "beam",
        "machine": {
            "system": "Linux x86_64",
            "cores": 2,
            "threads": 2,
            "cpu": "AVX2",
            "accelerator": None,
            "python": "3.11.7",
            "packages": {"torch": "2.15.0"},
        },
        "provenance": {"commit": "abc"},
        "rows": [row.as_dict() for row in rows],
        "growth": [each.as_dict() for each in growth],
    }
    (tmp_path / "beam.json").write_text(json.dumps(content), "utf-8")
    return tmp_path


def files(folder):
    return {f"benchmarks/{path.name}": path for path in sorted(folder.glob("*.json"))}


def test_every_row_stands_in_the_table_with_bound_and_verdict(folder):
    table = ratio_table(benchmarks(files(folder)))
    assert list(table["Case"]) == ["beam: k = 5", "beam: k = 10", "beam: bf16"]
    assert list(table["Bound"]) == ["at most 1.3: met", "at least 10: missed", "none"]
    assert list(table["Peer and remarks"]) == ["torch 2", "scaled", ""]


def test_frames_for_figures_keep_the_numbers(folder):
    found = benchmarks(files(folder))
    assert ratios(found)["value"].tolist() == [1.2, 7.0, 0.25]
    assert growths(found, "seconds")["exponent"].tolist() == pytest.approx([1.0])
    assert growths(found, "MB").empty


def test_the_note_says_machine_versions_and_commit(folder):
    text = speed_note(benchmarks(files(folder))).text
    for said in ("AVX2", "torch 2.15.0", "abc", "accelerator: none", "make bench"):
        assert said in text


def test_an_empty_folder_is_answered_with_the_command_that_fills_it(tmp_path):
    with pytest.raises(InputError, match="run it"):
        benchmarks(files(tmp_path))


def test_a_table_of_rows_without_any_bound_is_shown_as_well(folder):
    path = folder / "beam.json"
    content = json.loads(path.read_text("utf-8"))
    content["rows"] = content["rows"][2:]
    path.write_text(json.dumps(content), "utf-8")
    assert list(ratio_table(benchmarks(files(folder)))["Bound"]) == ["none"]
