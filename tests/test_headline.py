"""Laws of the front page's numbers: the best of many is not mistaken for more than chance."""

from pathlib import Path

import pandas as pd
import pytest

from songtitle.studies.search import headline, shapes_of_the_paper


def scores(p):
    """A table like Table 4: one picture input, and a song input at several beam sizes."""
    rows = [("pictures 256×256", 1, 0.30, 0.001)]
    rows += [("songs: timbre", size, 0.05, each) for size, each in enumerate(p, 1)]
    frame = pd.DataFrame(rows, columns=["input", "beam_size", "score", "p"])
    return frame.assign(items=1000, low=0.0, high=1.0, chance=0.04)


def test_a_single_score_keeps_its_p():
    found = headline(scores([0.04]))
    assert (found["songs.p"], found["songs.of"]) == ("0.040", "1")


@pytest.mark.parametrize(("p", "together"), [(0.04, "0.400"), (0.004, "0.040"), (0.2, "1.000")])
def test_the_best_of_ten_scores_has_a_p_for_all_ten(p, together):
    found = headline(scores([p] + [0.5] * 9))
    assert (found["songs.p"], found["songs.of"]) == (together, "10")


def test_the_front_page_says_of_how_many_its_scores_are_the_best():
    text = (Path(__file__).parent.parent / "book" / "index.md").read_text("utf-8")
    for side in ("pictures", "songs"):
        assert f"{{glue:text}}`notebooks/04_search.ipynb::{side}.of:s`" in text
    assert "(Holm)" in text


def curves(*rows):
    return pd.DataFrame(rows, index=["msd", "cc64"][: len(rows)], columns=["dataset", 1, 5, 10])


def test_what_is_said_of_the_paper_s_curves_is_worked_out_from_its_table():
    once = curves(["MSD", 2, 3, 1], ["CC", 2, 3, 1])
    assert "highest scores: 2 at k = 5. Beyond it, none rises again" in shapes_of_the_paper(once)
    again = curves(["MSD", 3, 1, 2])
    assert "highest scores: 1 at k = 1." in shapes_of_the_paper(again)
    assert "that of Million Song rises again at k = 10" in shapes_of_the_paper(again)
    printed = shapes_of_the_paper()  # 47.4 at k = 15, 49.1 at k = 20
    assert "that of 64 × 64 pixels rises again at k = 20" in printed
    assert printed.count("rises again") == 1
