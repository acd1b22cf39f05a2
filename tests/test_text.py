"""The laws of titles and captions made plain, of NLTK's two filters, and of the funnel."""

import csv
import inspect
import json
import os
import shutil
import subprocess
import sys
import time
import unicodedata
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import nltk
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from songtitle import text as module
from songtitle.errors import InputError
from songtitle.text import (
    LEFT_OUT,
    PAPER_TOLD,
    PLAIN,
    TitleRules,
    clean_caption,
    clean_title,
    english_words,
    funnel,
    named_entities,
    title_steps,
    tokenize,
)


@pytest.fixture(autouse=True)
def no_nltk_data_of_this_machine(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", ["nowhere"])


# -- one text ------------------------------------------------------------------------------------

# Words and signs that the rules look at, in any order, beside text of any kind.
PIECES = [
    *("the", "The", "a", "An", "feat.", "ft", "featuring", "Live", "Reel", "05", "1.", "12)", "x"),
    *"()[]{},.'’\"-—_&:*$=#/ İß½é…Σ\u0301\u200b\u00ad\x19",
    *(", ", "--", "&amp;", "  ", "n't", "'s", "1,000", "3.5", ".mp3", "日本"),
]
raw_texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        # tune books: articles at the end, dashes before the kind of dance, scanner's colons
        ("Garden of Daisies, The", "the garden of daisies"),
        ("Bashful Lover., The", "the bashful lover"),
        ('"GOOD GIRL", THE', "the good girl"),
        ("WEDDING RING -- REEL., THE", "the wedding ring reel"),
        ("Cameron House, a Strathsy.", "cameron house a strathsy"),
        ("Humphrey's -- Hornpipe", "humphrey's hornpipe"),
        ("H -- ' on the Wabash -- Jig", "h on the wabash jig"),
        ("\"PADDY'S THE BOY\"- JIG", "paddy's the boy jig"),
        ("Russian March.", "russian march"),
        ("2d. Quick Step. 42d. Regt.", "2d quick step 42d regt"),
        ("Sr. Alexr. Mc.Donald's Reel.", "sr alexr mcdonald's reel"),
        ("For a' that and a' that.", "for a that and a that"),
        ("Billy Pat:terson's Favorite -- Jig", "billy patterson's favorite jig"),
        ("Rob: Down.", "rob down"),
        ("Perth=Shire Hunt.", "perth-shire hunt"),
        ("grai.deoir culanta.c., an", "an graideoir culantac"),
        ("Gloomy Winter % [Robert Tannahill]", "gloomy winter"),
        # Million Song
        ("Slow Jamz (Feat. Kanye West & Jamie Foxx) (Edited Album Version)", "slow jamz"),
        ("Real Feat. Sarah Green (Album Version)", "real"),
        ("Last Night Featuring Keyshia Cole (Amended Album Version)", "last night"),
        ("Pancho And Lefty (Live)", "pancho and lefty"),
        ("Two Tabs (Hidden track \"Tip Your Bartender\" (Segment))", "two tabs"),
        ("(You Drive Me) Crazy (The Stop Remix!)", "you drive me crazy"),
        ("(I Can\x19t Get No) Satisfaction", "i can't get no satisfaction"),
        ("Look At Us_ Kid", "look at us kid"),
        ("1_000_000 Years B.C. (Album Version)", "1000000 years bc"),
        ("89.9 Detrimental", "89.9 detrimental"),
        ("10:15 Saturday Night", "10 15 saturday night"),
        ("Mercy:The Laundromat", "mercy the laundromat"),
        ("24-25", "24-25"),
        ("1958", "1958"),
        ("!@*$%#", ""),
        # Free Music Archive: file names for titles, numbering, entities
        ("01 Whales", "whales"),
        ("13. Dis (Live)", "dis"),
        ("15 - Old Bonus Track", "old bonus track"),
        ("1-player zero-sum game", "1-player zero-sum game"),
        ("08", "08"),
        ("05 A-Trak &amp; Lupe Fiasco feat. 6th Sense - Me &amp; My Sneakers.mp3",
         "a-trak and lupe fiasco"),
        ("[interview]", "interview"),
        ("Cheatin´ feat. Soulmack", "cheatin"),
        ("Bubba’s Blues", "bubba's blues"),
        ("No Small Feat", "no small feat"),
        ("(featuring the Band)", "featuring the band"),
        ("Space Power Over-Watch: Don't Destroy", "space power over-watch don't destroy"),
        ("Búsqueda — Tu “pars”", "búsqueda tu pars"),
        ("CORTE_COSTURA", "corte costura"),
        # signs of every kind: nothing to say, other scripts, what computers left
        ("", ""),
        ("???", ""),
        ("...", ""),
        ("!!!", ""),
        ("\x00", ""),
        ("Con\x00trol", "con trol"),
        ("恐怖", "恐怖"),
        ("القذافي الأمازون الحرس", "القذافي الأمازون الحرس"),
        ("Hanami Matsuri (花見祭り)", "hanami matsuri"),
        ("鯖江市日の出 (Sabae Sunrise)", "鯖江市日の出"),
        ("Cafe\u0301 del Mar", "café del mar"),
        ("🔥 Fire 🔥", "fire"),
        ("The ﬁrst ﬂoor", "the first floor"),
        ("Don\u2019t \u2026 Stop", "don't stop"),
        ("¿Dónde va Chicha?", "dónde va chicha"),
        ("Wake Me Up When September Ends (Live at Foxboro_ MA 9/3/05)",
         "wake me up when september ends"),
        ("B.N.S. Ft. Huey Mack (Prod. GM3)", "bns"),
        ("Line one\nLine two, The", "the line one line two"),
    ],
)  # fmt: skip
def test_a_real_title_comes_out_as_a_listener_would_say_it(raw, clean):
    assert clean_title(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A great blue heron.", "a great blue heron"),
        ("A US 1 cent piece ($.01) called a penny.", "a us 1 cent piece called a penny"),
        ("It’s named after the bird on the coin—a loon.",
         "it's named after the bird on the coin a loon"),
        ("author : a life in photography -- in pictures",
         "author a life in photography in pictures"),
        ("there 's a dog that does n't run , on a man 's lawn",
         "there's a dog that doesn't run on a man's lawn"),
        ("The 1st. Of 5, the last", "the 1st of 5 the last"),
        ("a feat of strength featuring a man", "a feat of strength featuring a man"),
    ],
)  # fmt: skip
def test_a_real_caption_keeps_its_words_alone(raw, clean):
    assert clean_caption(raw) == clean


@given(raw_texts)
@example("cafe\u00ad\u0301")  # the accent meets its letter once the soft hyphen is gone
@example("00:\u0300")  # an accent without a letter, once a track number before it is gone
def test_cleaning_a_clean_title_changes_nothing(raw):
    clean = clean_title(raw)
    assert clean_title(clean) == clean


@given(raw_texts)
def test_cleaning_a_clean_caption_changes_nothing(raw):
    clean = clean_caption(raw)
    assert clean_caption(clean) == clean


def test_cleaning_settles_around_every_character_that_normalising_changes():
    signs = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    changing = [sign for sign in signs if unicodedata.normalize("NFKC", sign).lower() != sign]
    assert len(changing) > 5000
    for sign in changing:
        once = clean_title(f"a{sign}b {sign}")
        assert clean_title(once) == once, hex(ord(sign))


@given(raw_texts)
def test_a_clean_text_holds_words_with_single_spaces_and_no_capitals(raw):
    for clean in (clean_title(raw), clean_caption(raw)):
        assert clean == " ".join(tokenize(clean))
        assert clean == clean.lower()
        assert not set(clean) & set('!"#$%&()*+,/:;<=>?@[\\]^_`{|}~“”‘’–—')


def test_punctuation_is_not_glued_to_tokens():
    assert tokenize("don't over-watch, 1.5 (rats)!") == ["don't", "over-watch", "1.5", "rats"]


ALTERNATIVES = [
    TitleRules(asides=a, article=b) for a in ("drop", "keep") for b in ("front", "keep")
]


def by_rules(raw, rules):
    for step in title_steps(rules).values():
        raw = step(raw)
    return raw


@pytest.mark.parametrize(
    ("raw", "rules", "clean"),
    [
        ("Pancho And Lefty (Live)", {"asides": "keep"}, "pancho and lefty live"),
        ("01 Cheatin´ feat. Soulmack", {"asides": "keep"}, "01 cheatin feat soulmack"),
        ("Garden of Daisies, The", {"article": "keep"}, "garden of daisies the"),
    ],
)
def test_each_rule_has_its_alternative(raw, rules, clean):
    assert by_rules(raw, TitleRules(**rules)) == clean


@given(raw_texts, st.sampled_from(ALTERNATIVES))
@example("cafe\u00ad\u0301", PLAIN)
def test_by_any_rules_a_clean_title_stays_and_words_are_one_space_apart(raw, rules):
    clean = by_rules(raw, rules)
    assert clean == " ".join(clean.split())
    assert by_rules(clean, rules) == clean


@pytest.mark.parametrize("piece", ["(", "(a) ", "a, the ", "a,", "1.", "a '", "$a", "05 ", ") "])
def test_the_time_to_clean_grows_no_faster_than_the_text(piece):
    nested = piece * 20_000 + ")" * 20_000
    started = time.perf_counter()
    clean_title(nested)
    assert time.perf_counter() - started < 2  # seconds; by squares it would be minutes


def test_importing_the_rules_does_not_import_nltk():
    code = "import sys, songtitle.text, songtitle.text; sys.exit('nltk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- the funnel ----------------------------------------------------------------------------------

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
    before = funnel(TITLES, PAPER_TOLD, data=tmp_path, progress=True)
    after = funnel(TITLES, replace(PAPER_TOLD, named_entities="after_lowercasing"))
    (first, options), (second, _) = stub_nltk
    assert first == TITLES
    assert options == {"data": tmp_path, "progress": True}
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
    asides=st.sampled_from(["drop", "keep"]),
    article=st.sampled_from(["front", "keep"]),
    named_entities=st.sampled_from(["off", "after_lowercasing"]),
    dictionary=st.sampled_from(["off", "all_words"]),
    duplicates=st.sampled_from(["keep", "drop"]),
)
pieces = st.lists(st.sampled_from([*TITLES, "Too ", "Happy", "99", " feat. ", ", The", "é", "("]))
lists = st.lists(st.one_of(st.text(), pieces.map("".join)), max_size=12)


@contextmanager
def few_words():
    """A chunker that takes any `man` for a name, and a small dictionary; for each example anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "named_entities", lambda titles, **_: ["man" in t for t in titles])
        patch.setattr(module, "english_words", lambda **_: WORDS)
        yield


@given(lists, rules)
def test_a_funnel_of_its_own_output_loses_and_changes_nothing(titles, rules):
    with few_words():
        once = funnel(titles, rules)
        twice = funnel(once.titles, rules)
    assert twice.titles == once.titles
    assert all(step.lost == step.changed == 0 for step in twice.steps)


@given(lists, rules, st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order_of_the_titles(titles, rules, random):
    shuffled = random.sample(titles, len(titles))
    with few_words():
        one, other = funnel(titles, rules), funnel(shuffled, rules)
    assert counts(one) == counts(other)
    assert Counter(one.titles) == Counter(other.titles)


@given(lists, rules)
def test_what_one_step_lets_through_comes_into_the_next(titles, rules):
    with few_words():
        found = funnel(titles, rules)
    ins = [step.before for step in found.steps] + [len(found.titles)]
    assert ins[0] == len(titles)
    assert ins[1:] == [step.after for step in found.steps]
    assert all(len(step.examples) == min(5, step.lost or step.changed) for step in found.steps)


def test_a_word_is_known_whatever_its_case_and_a_number_needs_no_dictionary(stub_nltk):
    titles = ["Too HAPPY 1958", "Over-Watch", "Zzyzx", "?" * 1000]
    found = funnel(titles, replace(PLAIN, dictionary="all_words"))
    assert found.titles == ("too happy 1958", "over-watch")
    examples = {step.name: step.examples for step in found.steps}
    assert examples["empty"] == ("?" * 120,)  # cut to a length that a record can hold


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"asides": "all"}, "asides: expected one of drop, keep, got 'all'"),
        ({"named_entities": "before"}, "named_entities: expected one of off, before_lower"),
    ],
)
def test_rules_that_do_not_exist_are_refused(rules, message):
    wrong = TitleRules()
    for name, value in rules.items():  # past the type checker that tests run under
        object.__setattr__(wrong, name, value)
    with pytest.raises(InputError, match=message):
        wrong.__post_init__()


def test_what_is_no_title_is_refused_with_its_place_and_no_workers_are_an_error():
    for function in (funnel, named_entities):
        with pytest.raises(TypeError, match="a list of titles, got the string 'Georgia Man'"):
            function("Georgia Man")
    with pytest.raises(TypeError, match=r"got nan at place 1"):
        inspect.unwrap(funnel)(["Georgia Man", float("nan")])  # without the tests' type checker
    with pytest.raises(InputError, match="at least one worker, got 0"):
        named_entities(["Georgia Man"], workers=0)


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
    # Cleaned before their case is lost, few fall at a second pass.
    once = funnel(titles[:2000], STRICT, data=nltk_copy)
    twice = funnel(once.titles, STRICT, data=nltk_copy)
    assert len(once.titles) - len(twice.titles) <= len(once.titles) * 0.001


# -- named entities and the dictionary -----------------------------------------------------------

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


def test_of_the_papers_clean_titles_six_of_ten_hold_a_name_unless_in_lower_case(
    nltk_copy, monkeypatch
):
    assert named_entities(list(TABLE_2), data=nltk_copy) == list(TABLE_2.values())
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    assert named_entities(list(TABLE_2)) == list(TABLE_2.values())
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
    assert named_entities([], data=nltk_copy) == []
    assert capsys.readouterr().err == ""


def test_english_words_are_those_of_the_corpus_in_lower_case(nltk_copy, monkeypatch):
    words = english_words(data=nltk_copy)
    assert words is not None
    assert len(words) > 200_000
    assert {"garden", "daisy", "aaron"} <= words
    assert "over-watch" not in words
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    assert english_words() == words


@pytest.mark.parametrize("lacking", ["taggers", "chunkers", "corpora"])
def test_without_the_nltk_data_or_one_package_the_filters_answer_none(nltk_copy, tmp_path, lacking):
    part = tmp_path / "part"
    shutil.copytree(nltk_copy, part)
    shutil.rmtree(part / lacking)
    for data in (None, tmp_path, tmp_path / "absent", part):
        assert named_entities(["Georgia Man"], data=data) is None
        assert (english_words(data=data) is None) == (data != part or lacking == "corpora")


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
