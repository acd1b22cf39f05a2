import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.errors import InputError
from songtitle.vocabulary import SPECIALS, Vocabulary

TITLES = [["the", "old", "reel"], ["the", "new", "reel"], ["the", "jig"], ["old", "jig"]]


def test_the_special_ids_come_first():
    vocabulary = Vocabulary(["reel"])
    special = (vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id)
    assert special == (0, 1, 2, 3)
    assert vocabulary.encode(["reel"]) == [1, 4, 2]
    assert len(vocabulary) == 5


def test_words_are_ordered_by_count_then_alphabet_whatever_the_order_of_titles():
    for titles in (TITLES, TITLES[::-1]):
        vocabulary = Vocabulary.from_tokens(titles, min_count=1)
        assert vocabulary.words == ("the", "jig", "old", "reel", "new")


def test_a_word_below_the_minimum_count_is_unknown():
    vocabulary = Vocabulary.from_tokens(TITLES, min_count=2)
    assert "old" in vocabulary
    assert "new" not in vocabulary
    assert vocabulary.encode(["new"]) == [1, 3, 2]
    titles = [["reel", "jig"]] * 3 + [["reel"]]
    assert Vocabulary.from_tokens(titles).words == ("reel",)  # four mentions by default


@given(st.lists(st.sampled_from(["the", "old", "reel", "new", "jig"])))
def test_decoding_what_was_encoded_gives_back_known_tokens(tokens):
    vocabulary = Vocabulary.from_tokens(TITLES, min_count=1)
    assert vocabulary.decode(vocabulary.encode(tokens)) == tokens


def test_decoding_stops_at_eos_and_drops_the_specials():
    vocabulary = Vocabulary(["reel", "jig"])
    assert vocabulary.decode([1, 4, 3, 0, 5, 2, 4]) == ["reel", "jig"]


def test_a_special_in_a_title_is_an_unknown_word():
    vocabulary = Vocabulary.from_tokens([["<eos>", "reel"]], min_count=1)
    assert vocabulary.words == ("reel",)
    assert vocabulary.encode(["<eos>", "reel"]) == [1, 3, 4, 2]


def test_a_saved_vocabulary_loads_equal(tmp_path):
    vocabulary = Vocabulary(["don't", "é", "日本", 'say"'])
    vocabulary.save(tmp_path / "vocab.json")
    loaded = Vocabulary.load(tmp_path / "vocab.json")
    assert loaded == vocabulary
    assert hash(loaded) == hash(vocabulary)
    assert loaded.encode(["日本"]) == vocabulary.encode(["日本"])
    assert loaded != Vocabulary(["don't"])


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "vocab.json"
    Vocabulary(["reel"]).save(path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Vocabulary(["jig"]).save(path)
    assert Vocabulary.load(path) == Vocabulary(["reel"])
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.json"]


def test_a_string_is_no_token_list():
    message = r"expected a list of tokens, got the string 'the reel'; call tokenize\(\) first"
    with pytest.raises(TypeError, match=message):
        Vocabulary(["reel"]).encode("the reel")
    with pytest.raises(TypeError, match=message):
        Vocabulary.from_tokens(["the reel"], min_count=1)
    with pytest.raises(TypeError, match=message):
        Vocabulary("the reel")


@pytest.mark.parametrize(
    ("content", "came"),
    [
        (None, "No such file"),
        ("{", "got no JSON with words"),
        ("[]", "got no JSON with words"),
        (json.dumps({"specials": ["<s>"], "words": []}), "got the specials"),
        (json.dumps({"specials": SPECIALS, "words": ["a", "a"]}), "twice"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_vocabulary_is_refused_by_name(tmp_path, content, came):
    path = tmp_path / "vocab.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=came) as caught:
        Vocabulary.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 6])
def test_an_id_outside_the_vocabulary_is_refused(wrong):
    with pytest.raises(InputError, match=f"expected ids from 0 to 5, got {wrong}"):
        Vocabulary(["reel", "jig"]).decode([wrong])
