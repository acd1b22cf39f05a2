"""Named entities and the dictionary, by NLTK's own data where the samples hold them."""

import json
import os
import shutil
import warnings

import nltk
import pytest

from songtitle.errors import InputError
from songtitle.text import english_words, named_entities

# As the paper's Table 2 shows them, with the capitals of a title. Some are real titles of the
# samples ("Trouble In Mind", "Queen Of The Wires"), the others are written alike.
TABLE_2 = {
    "Trouble In Mind": True,
    "Warm and Sunny Day": True,
    "All I Want Is A Spoonful": False,
    "Georgia Man": True,
    "The World Does Not Revolve Around You": False,
    "Peel Back The Mountain Sky": True,
    "Where Is Your Love": False,
    "Queen Of The Wires": True,
    "Space Power Over-Watch Destroying Evil Rats": True,
    "Too Happy": True,
}


@pytest.fixture(autouse=True)
def no_nltk_data_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nothing")])


def test_the_chunker_finds_names_in_original_case_and_none_in_lower_case(nltk_copy, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    titles = ["Georgia Man", "Queen Of The Wires", "where is your love"]
    assert named_entities(titles) == [True, True, False]
    assert named_entities([title.lower() for title in titles]) == [False, False, False]


def test_of_the_papers_clean_titles_seven_of_ten_hold_a_name_unless_in_lower_case(nltk_copy):
    assert named_entities(list(TABLE_2), data=nltk_copy) == list(TABLE_2.values())
    assert not any(named_entities([title.lower() for title in TABLE_2], data=nltk_copy))


def test_the_answers_are_those_of_nltks_own_calls_whatever_the_number_of_workers(nltk_copy):
    odd = ["", "\0", "...", "🔥", "(" * 9_000, "\ud800"]
    titles = [f"{first} {second}" for first in TABLE_2 for second in TABLE_2]
    titles += [*(f"{title} {n}" for title in titles for n in range(5)), *titles[:50], *odd]
    alone = named_entities(titles, data=nltk_copy, workers=1)
    assert named_entities(titles, data=nltk_copy, workers=2) == alone
    assert named_entities(titles[99::-1], data=nltk_copy) == alone[99::-1]
    nltk.data.path.append(str(nltk_copy))
    tokens = [nltk.word_tokenize(title, preserve_line=True) for title in titles[:100]]
    trees = nltk.ne_chunk_sents(nltk.pos_tag_sents(tokens), binary=True)
    assert alone[:100] == [any(isinstance(node, nltk.Tree) for node in tree) for tree in trees]


def test_the_folder_of_data_is_looked_in_for_one_call_and_no_longer(nltk_copy):
    before = list(nltk.data.path)
    assert named_entities(["Georgia Man"], data=nltk_copy) == [True]
    assert nltk.data.path == before
    assert named_entities(["Georgia Man"]) is None


def test_data_may_move_to_another_folder_between_two_calls(nltk_copy, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(nltk_copy, moved)
    assert named_entities(["Georgia Man"], data=moved) == [True]
    shutil.rmtree(moved)
    assert named_entities(["Georgia Man"], data=moved) is None
    assert named_entities(["Georgia Man"], data=nltk_copy) == [True]


def test_progress_is_told_in_titles(nltk_copy, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    named_entities(["Georgia Man", "Georgia Man", "Ohio"], data=nltk_copy, progress=True)
    assert "2/2" in capsys.readouterr().err
    named_entities(["Georgia Man"], data=nltk_copy)
    assert capsys.readouterr().err == ""


def test_no_titles_have_no_answers(nltk_copy):
    assert named_entities([], data=nltk_copy) == []


def test_english_words_are_those_of_the_corpus_in_lower_case(nltk_copy, monkeypatch):
    words = english_words(data=nltk_copy)
    assert words is not None
    assert len(words) > 200_000
    assert {"garden", "daisy", "aaron"} <= words
    assert "over-watch" not in words
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    assert english_words() == words


def test_without_the_nltk_data_the_filters_answer_none(tmp_path):
    for data in (None, tmp_path, tmp_path / "absent"):
        assert named_entities(["Georgia Man"], data=data) is None
        assert english_words(data=data) is None


@pytest.mark.parametrize("lacking", ["taggers", "chunkers", "corpora"])
def test_without_one_of_the_packages_the_answer_is_none(nltk_copy, tmp_path, lacking):
    part = tmp_path / "part"
    shutil.copytree(nltk_copy, part)
    shutil.rmtree(part / lacking)
    assert named_entities(["Georgia Man"], data=part) is None


@pytest.mark.skipif(os.name != "posix", reason="rights are asked on POSIX")
def test_data_that_others_may_write_are_refused_with_the_folder_and_the_remedy(tmp_path):
    words = tmp_path / "open" / "corpora" / "words"
    words.mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="open: expected a place that only its owner may"):
            english_words(data=tmp_path / "open")
        with pytest.raises(InputError, match="chmod -R go-w"):
            named_entities(["Georgia Man"], data=tmp_path / "open")


@pytest.mark.parametrize("workers", [1, 2])
def test_torn_data_are_named_with_the_remedy(nltk_copy, tmp_path, workers):
    torn = tmp_path / "torn"
    shutil.copytree(nltk_copy, torn)
    (torn / "taggers" / "averaged_perceptron_tagger_eng.zip").write_bytes(b"PK\3\4 and no more")
    titles = [f"Georgia Man {number}" for number in range(600)]
    with pytest.raises(InputError, match="fetch nltk_data") as caught:
        named_entities(titles, data=torn, workers=workers)
    assert "\n" not in str(caught.value)
    (torn / "taggers" / "averaged_perceptron_tagger_eng.zip").unlink()
    folder = torn / "taggers" / "averaged_perceptron_tagger_eng"
    folder.mkdir(mode=0o700)
    for part in ("weights", "tagdict", "classes"):
        (folder / f"averaged_perceptron_tagger_eng.{part}.json").write_text(json.dumps({})[:1])
    with pytest.raises(InputError, match="expected whole packages, got"):
        named_entities(titles, data=torn, workers=workers)


def test_a_lone_string_is_no_list_of_titles():
    with pytest.raises(TypeError, match="expected a list of titles, got the string 'Georgia Man'"):
        named_entities("Georgia Man")


def test_no_workers_at_all_is_an_error():
    with pytest.raises(InputError, match="at least one worker, got 0"):
        named_entities(["Georgia Man"], workers=0)
