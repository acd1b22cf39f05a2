"""Laws of the pages on speed and on faults: every measured line and every fault is shown."""

import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from benchmarks.harness import Growth, Row
from songtitle import figures
from songtitle.book.reproduce import PageRun, check_published
from songtitle.cache import ROOT, code_of_text, digest
from songtitle.errors import InputError
from songtitle.studies import software as study

pytestmark = pytest.mark.usefixtures("fresh_figures")

SIZES = [100, 200, 400, 800]


@pytest.fixture
def ax():
    return plt.figure(figsize=(8, 4)).subplots()


# -- speed -----------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
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
    path = tmp_path / "beam.json"
    path.write_text(json.dumps(content), "utf-8")
    return {"benchmarks/beam.json": path}


def test_every_row_stands_in_the_table_with_bound_and_verdict(files):
    found = study.benchmarks(files)
    table = study.ratio_table(found)
    assert list(table["Case"]) == ["beam: k = 5", "beam: k = 10", "beam: bf16"]
    assert list(table["Bound"]) == ["at most 1.3: met", "at least 10: missed", "none"]
    assert list(table["Peer and remarks"]) == ["torch 2", "scaled", ""]
    unbound = [found[0] | {"rows": found[0]["rows"][2:]}]
    assert list(study.ratio_table(unbound)["Bound"]) == ["none"]
    for said in ("AVX2", "torch 2.15.0", "abc", "accelerator: none", "make bench"):
        assert said in study.speed_note(found).text


def test_an_empty_folder_is_answered_with_the_command_that_fills_it(tmp_path):
    with pytest.raises(InputError, match="run it"):
        study.benchmarks({})
    with pytest.raises(InputError, match="make test-faults"):
        study.faults(tmp_path / "none.json")


def growth(unit="seconds"):
    rows = [
        ("beam search", "songs", [0.1, 0.2, 0.4, 0.8], 1.0),
        ("BLEU-1 of every pair", "titles", [0.01, 0.04, 0.16, 0.64], 2.0),
        ("lookup", "titles", [0.03, 0.03, 0.03, 0.03], 0.0),
    ]
    frame = pd.DataFrame(rows, columns=["what", "against", "values", "exponent"])
    return frame.assign(unit=unit, sizes=[SIZES] * len(rows), subject="growth")


def benchmarks():
    rows = [
        ("beam", "k = 5", "time / the limit", 1.17, 1.3, None),
        ("beam", "k = 10", "times faster than the loop", 25.0, None, 10.0),
        ("encoder", "tiles", "time / one picture", 2.1, 1.4, None),
        ("encoder", "compiled", "seconds", 13.0, None, None),
        ("metrics", "titles", "difference", 1e-16, 1e-9, None),
    ]
    columns = ["subject", "what", "quantity", "value", "at_most", "at_least"]
    return pd.DataFrame(rows, columns=columns)


def dots(ax):
    """Height and place of every dot, by height."""
    return sorted((y, x) for dots in ax.collections[1:] for x, y in dots.get_offsets())


@pytest.mark.parametrize(("unit", "label"), [("seconds", "time (s)"), ("MB", "memory (MB)")])
def test_growth_is_drawn_as_measured_on_logarithmic_axes_with_its_exponent(unit, label, ax):
    study.growth_lines(growth(unit), ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("size (songs, titles)", label)
    first, second, _ = ax.lines
    assert list(first.get_xdata()) == SIZES
    assert list(second.get_ydata()) == [0.01, 0.04, 0.16, 0.64]
    assert second.get_label() == "BLEU-1 of every pair, by titles: exponent 2.00"


def test_what_is_counted_is_named_in_the_legend_only_where_it_differs(ax):
    study.growth_lines(growth().iloc[1:], ax)
    labels = ["BLEU-1 of every pair: exponent 2.00", "lookup: exponent 0.00"]
    assert [line.get_label() for line in ax.lines] == labels
    assert ax.get_xlabel() == "size (titles)"


def test_seconds_and_megabytes_do_not_share_an_axis():
    with pytest.raises(InputError, match="expected one unit an axis, got seconds, MB"):
        study.growth_lines(pd.concat([growth(), growth("MB")]))


def test_a_value_stands_at_its_share_of_the_bound_whichever_way_the_bound_goes(ax):
    study.ratio_bars(benchmarks(), ax)
    assert "(ratio)" in ax.get_xlabel()
    places = [x for _, x in dots(ax)]
    assert places[:3] == pytest.approx([1.17 / 1.3, 10 / 25, 2.1 / 1.4])
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.40", "1.50", "1e-07"]
    names = [label.get_text().partition("\n")[0] for label in ax.get_yticklabels()]
    assert names == ["beam: k = 5", "beam: k = 10", "encoder: tiles", "metrics: titles"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row stands on top
    # Met and not met differ by more than colour.
    marks = {found.get_label(): found for found in ax.collections}
    assert len(marks["met"].get_offsets()) == 2
    assert marks["not met"].get_offsets().tolist() == [[pytest.approx(1.5), 2]]
    shapes = [marks[label].get_paths()[0].vertices.shape for label in ("met", "not met")]
    assert shapes[0] != shapes[1]
    with pytest.raises(InputError, match="expected rows with a bound, got none"):
        study.ratio_bars(benchmarks().iloc[[3]])


@pytest.mark.parametrize(("at_least", "share"), [(1.0, 1.17 / 1.3), (2.34, 2.0)])
def test_rows_with_both_bounds_count_by_the_nearer_one(at_least, share, ax):
    study.ratio_bars(benchmarks().iloc[:1].assign(at_least=at_least), ax)
    assert dots(ax) == [(0, pytest.approx(share))]


@pytest.mark.parametrize("bounds", [(1e-9, None), (None, 0.5)])
def test_zero_has_its_place_on_the_logarithmic_axis(bounds, ax):
    frame = benchmarks().iloc[:1].assign(value=0.0, at_most=bounds[0], at_least=bounds[1])
    study.ratio_bars(frame, ax)
    left, right = ax.get_xlim()
    assert all(left < x < right for _, x in dots(ax))
    assert np.isfinite([left, right]).all()
    ax.figure.canvas.draw()


def test_names_are_not_read_as_mathematics(ax):
    study.ratio_bars(benchmarks().assign(what="|V|$_0$ at $5"), ax)
    ax.figure.canvas.draw()
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


# -- faults ----------------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path):
    rows = [
        ("media", "an mp3 file is broken", 2000, 2000, 0),
        ("media", "files are mixed", 30, 30, 0),
        ("disk", "the disk is full", 7, 6, 1),
    ]
    frame = pd.DataFrame(rows, columns=["group", "name", "tried", "survived", "lost"])
    made = {"songtitle": "0.1.0", "python": "3.11.7", "system": "Linux x86_64", "cores": 2}
    frame = frame.assign(outcome="one line", seconds=60.0, commit="abc")
    content = {"provenance": made, "rows": frame.to_dict("records")}
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(content), "utf-8")
    return study.faults(path)


def test_prose_quotes_sums_of_the_rows_and_the_note_says_how_they_came(found):
    facts = study.fault_facts(found)
    assert (facts["faults.kinds"], facts["faults.groups"]) == (3, 2)
    assert (facts["faults.tried"], facts["faults.lost"]) == (2037, 1)
    assert facts["faults.media.tried"] == 2030
    note = study.fault_note(found)
    for said in ("abc", "Linux x86", "3 minutes", "make test-faults"):
        assert said in note.text
    assert note.records[0][0] == "faults/faults"  # which needs no published key
    check_published({"18_faults": PageRun(records=tuple(map(tuple, note.records)))}, {})


def test_the_note_counts_the_kinds_that_were_tried_on_other_code(found):
    assert "3 of 3 kinds were tried on other code than this clone's" in study.fault_note(found).text
    test = "tests/faults/test_disk.py"
    code = digest(code_of_text((ROOT / test).read_text("utf-8")))
    now = {**found, "rows": [row | {"test": test, "code": code} for row in found["rows"]]}
    assert "other code" not in study.fault_note(now).text
    now["rows"][0]["code"] = "0" * 16
    assert "1 of 3 kinds" in study.fault_note(now).text


def test_the_kept_run_lost_nothing():
    assert study.fault_facts(study.faults())["faults.lost"] == 0


def test_the_figure_has_a_dot_a_fault_and_one_a_group_and_marks_a_loss(found, ax):
    study.fault_dots(pd.DataFrame(found["rows"]), ax)
    each, whole, lost = ax.collections
    assert each.get_offsets().tolist() == [[2000, 0], [30, 0], [7, 1]]
    assert whole.get_offsets().tolist() == [[2030, 0]]
    assert lost.get_offsets().tolist() == [[7, 1]]
    assert whole.get_paths()[0].vertices.shape != lost.get_paths()[0].vertices.shape
    assert [text.get_text() for text in ax.texts] == ["2,030", "7"]
    assert ax.get_xscale() == "log"
    said = figures.alt_of(ax.figure)
    assert "2,037 faults were planted, 1 of them with a loss: media 2,030 and disk 7." in said
