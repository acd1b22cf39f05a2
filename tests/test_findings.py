"""Laws of the last chapter: the plain answer follows the numbers, and the checklist is whole."""

import re
from collections import Counter
from html import unescape
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError

from songtitle.book import extension, figures
from songtitle.cache import Record, write_json
from songtitle.experiment.samples import OWN
from songtitle.figures import alt_of, csv_of
from songtitle.studies import findings
from songtitle.studies.findings import CHANCE, CONSTANT, HERE, PAPER, PICTURE, SONG
from songtitle.studies.samples import as_samples

BOOK = Path(__file__).parent.parent / "book"
HEARD, DEAF, WIDE = (0.001, 0.02), (-0.001, 0.002), (-0.1, 0.1)


def row(name, gain, *, score=0.20, k=5):
    found = {"input": name, "beam_size": k, "score": score, "gain": sum(gain) / 2, "seeds": 5}
    ends = {"score_low": score - 0.01, "score_high": score + 0.01}
    p = 0.001 if gain[0] > 0 else 0.5
    return found | ends | {"gain_low": gain[0], "gain_high": gain[1], "p": p}


def answered(*, pictures=HEARD, timbre=DEAF, spectrogram=DEAF, tracks=DEAF, others=(), score=0.20):
    quick = [row("songs: timbre", timbre, score=score), row("songs: timbre", WIDE, k=20)]
    quick += [row("songs: spectrogram", spectrogram, score=score)]
    quick.append(row("pictures 256×256", pictures))
    real = [row("pictures 28×28", WIDE), row("pictures 224×224", pictures)]
    real += [row(OWN, tracks, score=score), row("Recordings, spectrogram", tracks, score=score)]
    return findings.answer_rows(quick, real, others)


def baseline(name, kind, score):
    return {"input": name, "baseline": kind, "score": score, "low": score, "high": score}


def test_each_subject_has_what_is_measured_at_the_paper_s_best_beam_and_no_smaller_tile():
    rows = answered()
    assert list(dict.fromkeys(rows["about"])) == [
        "pictures 256×256",
        "photos (Flickr8k)",
        "songs: timbre",
        "songs: spectrogram",
        "Million Song tracks: timbre",
        "recordings: spectrogram",
    ]
    own = rows[rows["about"] == "songs: timbre"].set_index("measure")
    assert list(own.index) == [PAPER, HERE, CHANCE]
    assert own.loc[PAPER, "score"] == pytest.approx(0.456)  # Table 4, Million Song, k = 5
    assert own.loc[HERE, "low"] == pytest.approx(0.19)
    assert own.loc[HERE, "gain_high"] == DEAF[1]  # not that of k = 20
    tracks = rows[rows["about"].str.startswith("Million")].set_index("measure")
    assert tracks.loc[PAPER, "score"] == pytest.approx(0.456)
    recordings = rows[rows["about"].str.startswith("recordings")].set_index("measure")
    assert recordings.loc[PAPER, "score"] == pytest.approx(0.451)  # Free Music Archive


def test_baselines_stand_with_the_songs_that_they_are_of():
    rows = answered(others=[baseline(OWN, SONG, 0.1), baseline(OWN, CONSTANT, 0.1)])
    found = rows[rows["measure"].isin((SONG, CONSTANT))]
    assert found["about"].tolist() == ["Million Song tracks: timbre"] * 2


def test_real_songs_are_called_as_their_own_stage_calls_them():
    rows = [baseline("songs: timbre", SONG, 0.1), baseline("pictures 224×224", CONSTANT, 0.1)]
    record = Record("baselines", "", {}, {}, "", {"rows": rows}, {}, {}, Path())
    called = [each["input"] for each in as_samples(record).result["rows"]]
    assert called == [OWN, "pictures 224×224"]


def test_what_was_not_measured_is_left_out_and_said():
    rows = answered(others=[baseline("songs: timbre", CONSTANT, 0.1)])
    said = findings.left_out(rows)
    assert f"songs: timbre: {SONG};" in said
    assert f"pictures 256×256: {CONSTANT}, {PICTURE};" in said
    whole = rows[rows["about"] == "songs: timbre"]
    more = whole.iloc[:1].assign(measure=SONG)
    assert findings.left_out(whole.merge(more, how="outer")) == ""


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([HEARD, HEARD, HEARD], "Yes, something of a song gets through"),
        ([DEAF, DEAF, DEAF], "As far as we can see, no"),
        ([HEARD, DEAF, DEAF], "In part"),
        ([WIDE, DEAF, DEAF], "We cannot tell"),
        ([WIDE, WIDE, HEARD], "In part"),
    ],
)
def test_the_answer_is_that_of_all_readings_of_songs_not_of_one(gains, said):
    timbre, spectrogram, tracks = gains
    text = findings.plain_answer(answered(timbre=timbre, spectrogram=spectrogram, tracks=tracks))
    assert text.startswith(said)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (HEARD, "The same captioner sees pictures."),
        (DEAF, "But it does not see pictures either"),
        (WIDE, "cannot be told"),
    ],
)
def test_a_captioner_that_sees_nothing_says_little_of_songs(gain, said):
    assert said in findings.plain_answer(answered(pictures=gain))


@pytest.mark.parametrize(
    ("score", "said"), [(0.20, "None of these comes"), (0.44, "Some of these")]
)
def test_the_answer_says_whether_the_paper_s_level_is_reached(score, said):
    assert said in findings.plain_answer(answered(score=score))


@pytest.mark.parametrize("kind", [CONSTANT, PICTURE, SONG])
@pytest.mark.parametrize(("score", "said"), [(0.1, "less than the captioner"), (0.3, "as high as")])
def test_the_answer_says_whether_no_model_does_as_well(kind, score, said):
    others = [baseline("pictures 256×256", kind, score)]
    assert said in findings.plain_answer(answered(others=others))
    assert kind not in findings.plain_answer(answered())


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ([{"input": "x", "z": 30.04, "p": 0.01, "captioner_z": 1.2}], "x (z = 30.0; the"),
        ([{"input": "x", "z": 4.4, "p": 0.01}], "finds it in x (z = 4.4); z is of the best of 3"),
        ([{"input": "x", "z": 0.4, "p": 0.2}], "finds nothing sure in these songs, either."),
    ],
)
def test_the_answer_says_whether_there_was_anything_to_hear(judged, said):
    judged = [row | {"tried": 3} for row in judged]
    assert said in findings.plain_answer(answered(), judged)
    assert "listener" not in findings.plain_answer(answered())


# -- another page shows the figure ---------------------------------------------------------------


def notebook(path, **outputs):
    alt = {"figure": {"name": "fig-answer", "caption": "A & B."}, "image": {"alt": "Dots, <5>."}}
    data = {"image/svg+xml": ["<svg xmlns='http://www.w3.org/2000/svg'/>"], **outputs}
    cell = {"cell_type": "code", "metadata": {"mystnb": alt}, "outputs": [{"data": data}]}
    write_json(path, {"cells": [{"metadata": {}}, cell]})
    return path


def test_a_figure_elsewhere_keeps_its_words_its_numbers_and_its_dark_twin(tmp_path):
    path = notebook(tmp_path / "19.ipynb", **{figures.CSV: ["a,b\n", "1,2\n"]})
    html = extension.drawn_elsewhere(path, "fig-answer")
    assert [unescape(alt) for alt in re.findall('alt="(.*?)"', html)] == ["Dots, <5>."] * 2
    assert re.findall('class="only-(.*?)"', html) == ["light", "dark"]
    assert '<div class="figure-pair">' in html  # as on its own page, so that phones can read it
    assert "A &amp; B." in html
    assert "data:text/csv;base64,YSxiCjEsMgo=" in html


def test_a_figure_that_is_not_there_or_has_no_numbers_stops_the_build(tmp_path):
    for path in (tmp_path / "none.ipynb", notebook(tmp_path / "19.ipynb")):
        with pytest.raises(ExtensionError, match=r"drawn: expected figure fig-answer .* run "):
            extension.drawn_elsewhere(path, "fig-answer")


def test_the_figure_says_and_lists_every_score(fresh_figures):
    rows = answered(others=[baseline("songs: timbre", SONG, 0.123)])
    figure = findings.answer_dots(rows).figure
    assert "nearest other song's title 12.3" in alt_of(figure)
    assert csv_of(figure).count("\n") >= len(rows)


# -- the checklist -------------------------------------------------------------------------------


def test_the_checklist_has_its_32_items_in_8_modules_each_answered_with_a_page():
    items = findings.checklist()
    counts = Counter(item["id"][0] for item in items)
    assert counts == dict(zip("12345678", (3, 5, 7, 3, 6, 3, 3, 2), strict=True))
    assert [item["id"] for item in items] == sorted({item["id"] for item in items})
    for item in items:
        assert item["answer"] in findings.ANSWERS
        assert item["asks"].endswith("?")
        assert len(item["here"]) > 20
        (page,) = re.findall(r"\{doc\}`(?:\.\./)?(\w+)`", item["page"])
        folder = BOOK if item["page"].startswith("{doc}`../") else BOOK.parent / "notebooks"
        assert any((folder / f"{page}{end}").is_file() for end in (".md", ".py"))
    assert len(findings.reforms()) == 32
