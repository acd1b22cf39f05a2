"""The census: what is here of the paper's corpora is counted, the rest stands as published."""

import json
import shutil

import pytest

from songtitle import cache
from songtitle.cache import PUBLISHED
from songtitle.errors import InputError
from songtitle.experiment.paper_corpora import (
    COUNTS,
    OTHERS,
    QUESTIONS,
    READERS,
    SAMPLE,
    WHOLE,
    present,
)
from songtitle.experiment.paper_corpora import answers as count
from songtitle.studies import corpora as paper_corpora

NAMES = ("fma_names", "song_names")  # a minute each: tests of the funnel hold their shares


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data home without samples beside it and nothing published."""
    monkeypatch.delenv("SONGTITLE_REAL_DATA", raising=False)
    monkeypatch.setattr(cache, "OWN", tmp_path / "own")
    monkeypatch.setattr(cache, "PUBLISHED", tmp_path / "published")
    return tmp_path / "home"


def put(home, text, name="Validation_GCC-1.1.0-Validation.tsv"):
    path = home / "conceptual_captions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


GOOD = "a dog\thttps://x.example/1.jpg\nno tab here\na red cat\thttps://x.example/2.jpg\n"


def test_nothing_here_and_nothing_published_is_no_answer(home):
    assert count(home=home) == {}
    with pytest.raises(InputError, match="census: expected an answer to 'links', there is none"):
        paper_corpora.need({}, "links")


def test_rows_are_counted_with_their_faults_and_the_hash_of_their_file(home):
    path = put(home, GOOD)
    answer = count("captions_valid", home=home)["captions_valid"]
    assert answer.settings["found"] == WHOLE
    assert answer.result["rows"] == 2
    assert answer.result["as_written"]["mean"] == 2.5
    assert answer.result["faults"]["counts"] == {"no tab": 1}
    (file,) = answer.settings["files"].values()
    assert file["bytes"] == path.stat().st_size
    assert len(file["sha256"]) == 64


def test_an_answer_is_found_once_and_a_changed_file_is_counted_anew(home):
    put(home, GOOD)
    first = count("captions_valid", home=home)["captions_valid"]
    assert count("captions_valid", home=home)["captions_valid"].provenance == first.provenance
    before = present(home)
    put(home, GOOD + "three more words\thttps://x.example/3.jpg\n")
    second = count("captions_valid", home=home)["captions_valid"]
    assert (first.result["rows"], second.result["rows"]) == (2, 3)
    assert second.key != first.key
    assert present(home) != before


def test_a_corpus_in_the_data_home_comes_before_its_sample(home, monkeypatch):
    samples = home.parent / "samples"
    put(samples, GOOD)
    monkeypatch.setenv("SONGTITLE_REAL_DATA", str(samples))
    home.mkdir()
    assert count("captions_valid", home=home)["captions_valid"].settings["found"] == SAMPLE
    put(home, "one\thttps://x.example/1.jpg\n")
    answer = count("captions_valid", home=home)["captions_valid"]
    assert (answer.settings["found"], answer.result["rows"]) == (WHOLE, 1)


def test_a_published_answer_stands_where_nothing_is_here(home):
    put(home, GOOD)
    answer = count("captions_valid", home=home)["captions_valid"]
    folder = home.parent / "published" / "census"
    folder.mkdir(parents=True)
    (folder / "captions_valid.json").write_text(json.dumps(answer.as_dict()), "utf-8")
    shutil.rmtree(home / "conceptual_captions")
    again = count("captions_valid", home=home)["captions_valid"]
    assert again.result == answer.result
    assert again.folder == folder


def test_an_unknown_question_is_refused_in_one_line(home):
    with pytest.raises(InputError, match=r"count: expected some of captions, .*, got 'lyrics'"):
        count("lyrics", home=home)


def test_everything_that_is_to_be_counted_has_a_function_and_titles_a_reader():
    counted = [place for each in QUESTIONS.values() for place in each.places]
    assert {place.counts for place in counted} == set(COUNTS) | set(OTHERS)
    for place in counted:
        assert (place.of in READERS) == (place.counts in ("titles", "names"))


def test_every_published_answer_belongs_to_a_question():
    published = {path.stem for path in (PUBLISHED / "census").glob("*.json")}
    assert published
    assert published <= QUESTIONS.keys()
    for name in published:
        record = json.loads((PUBLISHED / "census" / f"{name}.json").read_text("utf-8"))
        assert record["settings"]["corpus"] == QUESTIONS[name].corpus
        assert record["provenance"]["commit"]


@pytest.fixture(scope="module")
def answers(real_data, tmp_path_factory):
    """The census of the real samples, without the minutes that names take."""
    home = tmp_path_factory.mktemp("census")
    return count(*(name for name in QUESTIONS if name not in NAMES), home=home)


# Counted by other means, too: name -> rows, mean and deviation of the length in words as written.
LENGTHS = {
    "captions_valid": (15_833, 10.40, 4.73),
    "song_titles": (20_001, 3.20, 1.89),
    "dated_songs": (4_680, 3.24, 1.95),
    "fma_tracks": (682, 2.81, 1.77),
    "fma_raw": (2_000, 2.68, 1.61),
    "fma_small": (7_997, 2.88, 2.00),
    "audio_captions": (49_838, 8.68, 4.21),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_real_captions_and_titles_have_these_lengths(answers, name):
    found = answers[name].result
    lengths = found["as_written"]
    measured = (found["rows"], round(lengths["mean"], 2), round(lengths["deviation"], 2))
    assert measured == LENGTHS[name]
    assert found["faults"]["skipped"] == 0


def test_real_captions_have_5_to_46_words_and_broken_bytes_in_titles_are_not_lost(answers):
    lengths = [int(n) for n in answers["captions_valid"].result["as_written"]["lengths"]]
    assert (min(lengths), max(lengths)) == (5, 46)
    assert answers["song_titles"].result["faults"]["counts"] == {"not UTF-8": 715}


def test_a_test_set_has_1000_titles_and_no_artist_on_both_sides(answers):
    for name in ("song_titles", "dated_songs", "fma_raw", "fma_small"):
        test = answers[name].result["test"]
        assert (test["titles"], test["artists_on_both_sides"]) == (1_000, 0)


def test_of_15840_real_links_14743_gave_a_picture_in_january_2019(answers):
    found = answers["links"].result
    assert (found["asked"], found["survivors"]["count"]) == (15_840, 14_743)
    assert sum(found["reasons"].values()) == found["unavailable"]["count"] == 15_840 - 14_743


def test_90_numbers_from_133_real_files_are_ucis_and_another_layout_is_refused(answers):
    found = answers["timbre"].result
    assert (found["files"], found["compared"], found["numbers"]) == (133, 133, 90)
    assert found["largest_difference"] <= 0.500001e-5  # half of the last printed place
    assert "36 columns that repeat others" in found["other_layout_refused"]


def test_row_by_row_4_percent_of_real_years_agree_and_repaired_all_do(answers):
    found = answers["joins"].result["joins"]
    assert round(100 * found["as told"]["agreement"], 1) == 4.1
    for name, join in found.items():
        if name.startswith("repaired"):
            assert join["agreement"] == 1
            assert join["certain"] > 0
            assert join["certain_and_wrong"] == 0


def test_in_a_catalogue_with_231_gaps_no_certain_row_is_wrong(answers):
    found = answers["joins"].result["catalogue"]
    assert found["as told"]["rows"] == 515_345
    assert found["as told"]["agreement"] < 0.06
    for name in ("aligned", "aligned, 1 % anchored"):
        join = found[name]
        assert join["certain_and_wrong"] == 0
        assert 0.999 < join["certain"] / join["rows"] < 1  # some are flagged


def test_ten_real_clips_have_one_of_two_lengths_at_44100_hz(answers):
    found = answers["clips"].result
    assert found["samples"] == {"1321967": 7, "1323119": 3}
    assert found["sample_rate"] == {"44100": 10}


def test_every_table_of_the_page_is_made_from_the_answers(answers):
    assert len(paper_corpora.census(answers)) == len(answers)
    assert paper_corpora.lost_links(answers)["Links"].iloc[-2] == 1_097
    hosts, alive = paper_corpora.links_by_host(answers)
    assert alive == pytest.approx(0.9307, abs=1e-4)
    assert (hosts["low"] <= hosts["alive"]).all()
    assert list(paper_corpora.shift(answers)["p"])[1:] != [None, None]
    assert set(paper_corpora.joins(answers)["Songs"]) == {"real", "made up"}
    assert "133 of 133" in set(paper_corpora.timbre(answers)["Measured"])
    years, names, every = paper_corpora.years_by_row(answers)
    assert len(years) == len(names) == 2
    assert every * (len(years[0]) - 1) < 4_680 <= every * len(years[0])
    assert "1,321,967 (7), 1,323,119 (3)" in set(paper_corpora.sounds(answers)["Measured (clips)"])
