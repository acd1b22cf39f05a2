import os
import shutil
import sys
import unicodedata
from pathlib import Path

import nltk
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from songtitle.text import clean_caption, clean_title, english_words, named_entities, tokenize

# Words and signs that the rules look at, in any order, beside text of any kind.
PIECES = [
    *("the", "The", "a", "An", "feat.", "ft", "featuring", "Live", "Reel", "05", "1.", "12)", "x"),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        ".",
        "'",
        "’",
        '"',
        "-",
        "--",
        "—",
        "_",
        "&",
        "&amp;",
    ),
    *(":", "*", "$", "=", "#", "/", " ", "  ", "n't", "'s", "1,000", "3.5", ".mp3", "İ", "ß", "½"),
    *("\u0301", "\u200b", "\u00ad", "é", "日本", "\x19", "…", "Σ"),
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
    clean = clean_title(raw)
    assert clean == " ".join(clean.split())
    assert clean == clean.lower()
    assert not set(clean) & set('!"#$%&()*+,/:;<=>?@[\\]^_`{|}~“”‘’–—')


@given(raw_texts)
def test_the_tokens_of_a_clean_text_are_its_words(raw):
    assert tokenize(clean_title(raw)) == clean_title(raw).split()
    assert tokenize(clean_caption(raw)) == clean_caption(raw).split()


def test_punctuation_is_not_glued_to_tokens():
    assert tokenize("don't over-watch, 1.5 (rats)!") == ["don't", "over-watch", "1.5", "rats"]


@pytest.fixture(scope="session")
def nltk_copy(tmp_path_factory):
    if "SONGTITLE_REAL_DATA" not in os.environ:
        pytest.skip("needs SONGTITLE_REAL_DATA")
    private = tmp_path_factory.mktemp("nltk") / "nltk_data"
    # NLTK refuses data that others may write, so the copy takes no permissions along.
    shutil.copytree(
        Path(os.environ["SONGTITLE_REAL_DATA"]) / "nltk_data", private,
        copy_function=shutil.copyfile,
    )  # fmt: skip
    for folder in (private, *(path for path in private.rglob("*") if path.is_dir())):
        folder.chmod(0o700)
    return private


def test_the_chunker_finds_names_in_original_case_and_none_in_lower_case(nltk_copy, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    titles = ["Georgia Man", "Queen Of The Wires", "where is your love"]
    assert named_entities(titles) == [True, True, False]
    assert named_entities([title.lower() for title in titles]) == [False, False, False]


def test_english_words_are_those_of_the_corpus_in_lower_case(nltk_copy, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(nltk_copy)])
    words = english_words()
    assert words is not None
    assert len(words) > 200_000
    assert {"garden", "daisy", "aaron"} <= words
    assert "over-watch" not in words


def test_without_the_nltk_data_the_filters_answer_none(tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert named_entities(["Georgia Man"]) is None
    assert english_words() is None


def test_a_lone_string_is_no_list_of_titles():
    with pytest.raises(TypeError, match="expected a list of titles, got the string 'Georgia Man'"):
        named_entities("Georgia Man")
