"""Laws of tables: the same cells in a notebook and in the book, nothing lost, nothing executed."""

import pandas as pd

from songtitle.cache import run_stage
from songtitle.tables import Note, Table, made_by

FRAME = pd.DataFrame({"Name": ["a <b>", "c"], "Count": [1234, None], "Share": [0.123456, 2.0]})
TABLE = Table(FRAME, name="tab-x", caption="A caption.", note="A note.")


def test_the_book_gets_a_captioned_table_with_an_anchor():
    text = TABLE._repr_markdown_()
    assert text.startswith("```{list-table} A caption.")
    assert ":name: tab-x" in text
    assert text.count("* -") == 3
    assert text.count("  -") == 6
    assert text.rstrip().endswith("A note.")


def test_a_notebook_gets_the_same_cells_as_html():
    html = TABLE._repr_html_()
    for cell in ("a &lt;b&gt;", "1,234", "–", "0.12", ">2<"):
        assert cell in html


def test_the_frame_is_not_touched():
    before = FRAME.copy()
    TABLE._repr_html_()
    pd.testing.assert_frame_equal(FRAME, before)


def test_a_note_is_a_box_in_the_book():
    assert Note("Title", "Text.", "warning")._repr_markdown_().startswith("```{admonition} Title")


def test_the_badge_names_preset_seed_commit_and_record(tmp_path):
    from songtitle.config import preset

    record = run_stage("scores", lambda folder: {"x": 1}, settings={}, home=tmp_path)
    text = made_by([record], preset("tiny", seed=3))._repr_markdown_()
    for fact in ("tiny", "seed 3", "not a reproduction", record.key, "Commit", "stamps", "tunes"):
        assert fact in text


def test_a_line_end_in_a_cell_is_a_line_end_in_both_forms():
    table = Table(pd.DataFrame({"files": ["a_1.csv\nb<2>.csv"]}), name="tab-x", caption="X.")
    assert "a&#95;1.csv<br>b&#60;2&#62;.csv" in table._repr_markdown_()
    assert "<td>a_1.csv<br>b&lt;2&gt;.csv</td>" in table._repr_html_()
