"""The funnel: each step's counts by hand, laws over any titles, and the shares on real titles."""

import csv
import inspect
import json
from collections import Counter
from dataclasses import replace

import nltk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songtitle import text as module
from songtitle.errors import InputError
from songtitle.text import LEFT_OUT, PAPER_TOLD, PLAIN, TitleRules, clean_title, funnel

TITLES = [
    "Georgia Man",
    "???",
    "Too Happy (Live)",
    "too happy",
    "Garden of Daisies, The",
    "Zzyzx 99",
    "1958",
]
WORDS = frozenset({"man", "too", "happy", "the", "garden", "of", "daisies", "live", "over-watch"})
STRICT = TitleRules(named_entities="before_lowercasing", dictionary="all_words", duplicates="drop")


@pytest.fixture
def stub_nltk(monkeypatch):
    """A chunker that takes capitals followed by `eorgia` for a name, and a small dictionary."""
    seen = []

    def entities(titles, **options):
        seen.append((list(titles), options))
        return ["Georgia" in title for title in titles]

    monkeypatch.setattr(module, "named_entities", entities)
    monkeypatch.setattr(module, "english_words", lambda **_: WORDS)
    return seen


def counts(found):
    return [(step.name, step.before, step.after, step.lost, step.changed) for step in found.steps]


def test_every_step_says_what_came_in_what_went_on_and_what_it_changed(stub_nltk):
    found = funnel(TITLES, STRICT)
    assert counts(found) == [
        ("named entities", 7, 6, 1, 0),
        ("signs", 6, 6, 0, 0),
        ("asides", 6, 6, 0, 2),  # "???" is gone as what stands before the first word
        ("article", 6, 6, 0, 1),
        ("punctuation", 6, 6, 0, 1),  # the space that "(Live)" left
        ("lowercase", 6, 6, 0, 3),
        ("guests", 6, 6, 0, 0),
        ("empty", 6, 5, 1, 0),
        ("dictionary", 5, 4, 1, 0),
        ("duplicates", 4, 3, 1, 0),
    ]
    assert found.titles == ("too happy", "the garden of daisies", "1958")
    assert found.sources == (2, 4, 6)
    lost = {step.name: step.examples for step in found.steps if step.lost}
    assert lost == {
        "named entities": ("Georgia Man",),
        "empty": ("???",),
        "dictionary": ("Zzyzx 99",),
        "duplicates": ("too happy",),
    }


def test_a_record_of_a_funnel_is_json_and_holds_every_count(stub_nltk):
    record = json.loads(json.dumps(funnel(TITLES, STRICT).as_dict()))
    assert (record["in"], record["out"]) == (7, 3)
    assert sum(step["lost"] for step in record["steps"]) == 4
    assert record["steps"][0]["rule"] == "before_lowercasing"


def test_entities_are_looked_for_in_the_sources_text_or_in_the_clean_one(stub_nltk, tmp_path):
    before = funnel(TITLES, PAPER_TOLD, data=tmp_path, workers=3, progress=True)
    after = funnel(TITLES, replace(PAPER_TOLD, named_entities="after_lowercasing"))
    (first, options), (second, _) = stub_nltk
    assert first == TITLES
    assert options == {"data": tmp_path, "workers": 3, "progress": True}
    assert second == [
        "georgia man", "too happy live", "too happy", "garden of daisies the", "zzyzx 99", "1958",
    ]  # fmt: skip
    assert 0 not in before.sources
    assert [s.lost for s in after.steps if s.name == "named entities"] == [0]


def test_without_nltks_data_its_rules_are_left_out_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    found = funnel(TITLES, STRICT, data=tmp_path)
    notes = {step.name: step.note for step in found.steps if step.note}
    assert notes == {"named entities": LEFT_OUT, "dictionary": LEFT_OUT}
    assert "fetch nltk_data" in LEFT_OUT
    assert all(step.lost == 0 for step in found.steps if step.note)
    assert "georgia man" in found.titles


@given(st.lists(st.text(), max_size=8))
def test_the_plain_rules_give_clean_titles_and_drop_the_empty(titles):
    found = funnel(titles, PLAIN)
    cleaned = [clean_title(title) for title in titles]
    assert list(found.titles) == [text for text in cleaned if text]
    assert [cleaned[place] for place in found.sources] == list(found.titles)


rules = st.builds(
    TitleRules,
    letters=st.sampled_from(["keep", "fold", "drop"]),
    asides=st.sampled_from(["drop", "keep"]),
    article=st.sampled_from(["front", "keep"]),
    punctuation=st.sampled_from(["inner", "strip"]),
    numerals=st.sampled_from(["keep", "drop"]),
    named_entities=st.sampled_from(["off", "after_lowercasing"]),
    dictionary=st.sampled_from(["off", "all_words"]),
    duplicates=st.sampled_from(["keep", "drop"]),
)
pieces = st.lists(st.sampled_from([*TITLES, "Too ", "Happy", "99", " feat. ", ", The", "é", "("]))
lists = st.lists(st.one_of(st.text(), pieces.map("".join)), max_size=12)


@given(lists, rules)
@settings(deadline=None)
def test_a_funnel_of_its_own_output_loses_and_changes_nothing(titles, rules):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "named_entities", lambda titles, **_: ["man" in t for t in titles])
        patch.setattr(module, "english_words", lambda **_: WORDS)
        once = funnel(titles, rules)
        twice = funnel(once.titles, rules)
    assert twice.titles == once.titles
    assert all(step.lost == step.changed == 0 for step in twice.steps)


@given(lists, rules, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_counts_do_not_depend_on_the_order_of_the_titles(titles, rules, random):
    shuffled = random.sample(titles, len(titles))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "named_entities", lambda titles, **_: ["man" in t for t in titles])
        patch.setattr(module, "english_words", lambda **_: WORDS)
        one, other = funnel(titles, rules), funnel(shuffled, rules)
    assert counts(one) == counts(other)
    assert Counter(one.titles) == Counter(other.titles)


@given(lists, rules)
@settings(deadline=None)
def test_what_one_step_lets_through_comes_into_the_next(titles, rules):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "named_entities", lambda titles, **_: ["man" in t for t in titles])
        patch.setattr(module, "english_words", lambda **_: WORDS)
        found = funnel(titles, rules)
    ins = [step.before for step in found.steps] + [len(found.titles)]
    assert ins[0] == len(titles)
    assert ins[1:] == [step.after for step in found.steps]
    assert all(len(step.examples) == min(5, step.lost or step.changed) for step in found.steps)


def test_kept_punctuation_may_need_a_second_pass():
    kept = replace(PLAIN, punctuation="keep", numerals="drop")
    once = funnel(["x.mp3 5"], kept)
    assert once.titles == ("x.mp3",)
    assert funnel(once.titles, kept).titles == ("x",)


def test_a_word_is_known_whatever_its_case_and_a_number_needs_no_dictionary(stub_nltk):
    cased = replace(PLAIN, lowercase=False, dictionary="all_words")
    found = funnel(["Too HAPPY 1958", "Over-Watch", "Zzyzx"], cased)
    assert found.titles == ("Too HAPPY 1958", "Over-Watch")


def test_examples_are_cut_to_a_length_that_a_record_can_hold():
    (step,) = [step for step in funnel(["?" * 1000]).steps if step.name == "empty"]
    assert step.examples == ("?" * 120,)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"punctuation": "all"}, "punctuation: expected one of inner, strip, keep, got 'all'"),
        ({"named_entities": "before"}, "named_entities: expected one of off, before_lower"),
        ({"named_entities": "after_lowercasing", "lowercase": False}, "expected lowercase=True"),
    ],
)
def test_rules_that_do_not_exist_or_contradict_are_refused(rules, message):
    wrong = TitleRules()
    for name, value in rules.items():  # past the type checker that tests run under
        object.__setattr__(wrong, name, value)
    with pytest.raises(InputError, match=message):
        wrong.__post_init__()


def test_what_is_no_title_is_refused_with_its_place():
    with pytest.raises(TypeError, match="got the string 'Georgia Man'"):
        funnel("Georgia Man")
    with pytest.raises(TypeError, match=r"got nan at place 1"):
        inspect.unwrap(funnel)(["Georgia Man", float("nan")])  # without the tests' type checker


# Real titles -------------------------------------------------------------------------------------


def fma_titles(folder):
    with (folder / "fma" / "fma_small_titles.csv").open(encoding="utf-8", newline="") as file:
        return [row["title"] for row in csv.DictReader(file)]


def million_song_titles(folder):
    text = (folder / "msd" / "subset_timbre90_4680.tracks.txt").read_text("utf-8")
    return [line.split("<SEP>")[-1] for line in text.splitlines()]


@pytest.mark.parametrize(
    ("read", "total", "in_case", "lowered", "unknown", "both_pass"),
    [(fma_titles, 7997, 5243, 4, 3903, 1536), (million_song_titles, 4680, 2996, 0, 2255, 941)],
)
def test_named_entities_go_before_lowercasing_and_stay_after_it(
    real_data, nltk_copy, read, total, in_case, lowered, unknown, both_pass
):
    titles = read(real_data)
    before = funnel(titles, PAPER_TOLD, data=nltk_copy)
    after = funnel(titles, replace(PAPER_TOLD, named_entities="after_lowercasing"), data=nltk_copy)
    lost = [{step.name: step.lost for step in found.steps} for found in (before, after)]
    assert len(titles) == total
    assert lost[0]["named entities"] == in_case
    assert lost[1]["named entities"] == lowered
    assert lost[1]["dictionary"] == unknown
    assert len(before.titles) == both_pass


def test_cleaned_before_their_case_is_lost_few_real_titles_fall_at_a_second_pass(
    real_data, nltk_copy
):
    once = funnel(fma_titles(real_data)[:2000], STRICT, data=nltk_copy)
    twice = funnel(once.titles, STRICT, data=nltk_copy)
    assert len(once.titles) - len(twice.titles) <= len(once.titles) * 0.001
