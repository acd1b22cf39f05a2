from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songtitle.errors import InputError
from songtitle.metrics.ceilings import best_constant, greedy_constant, unigram_titles
from songtitle.metrics.chance import length_matched, prefixes
from songtitle.metrics.pairs import unigram_pair_scores

TITLES = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=2, max_size=11)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_scores(answers, references, brevity=True):
    return unigram_pair_scores(answers, references, brevity=brevity).mean(axis=1)


@given(TITLES.filter(any), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_best_constant_is_the_best_of_all_answers(references, longest, brevity):
    found = best_constant(references, words_at_most=longest, brevity=brevity)
    answers = [
        list(words)
        for length in range(1, longest + 1)
        for words in combinations_with_replacement("abcde", length)
    ]
    (score,) = mean_scores([found], references, brevity)
    assert 1 <= len(found) <= longest
    assert score == pytest.approx(mean_scores(answers, references, brevity).max())
    greedy = greedy_constant(
        ["a", "b", "c", "d", "e"],
        lambda answers: mean_scores(answers, references, brevity),
        words_at_most=longest,
    )
    assert mean_scores([greedy], references, brevity)[0] <= score + 1e-12


def test_a_planted_answer_is_found_among_a_thousand_titles():
    draw = rng(0)
    references = [
        [*(word for word in ("of", "the", "the", "night") if draw.random() < 0.6), f"word{i}"]
        for i in range(1000)
    ]
    assert sorted(best_constant(references, words_at_most=3)) == ["night", "of", "the"]
    assert "night" in best_constant([["night", "owl"], ["night"]])
    words = sorted({word for title in references[:200] for word in title})
    found = greedy_constant(words, lambda answers: mean_scores(answers, references[:200]))
    assert set(found) == {"night", "of", "the"}


def test_drawn_titles_keep_the_lengths_and_the_frequencies():
    titles = [["a", "a", "b"], ["a"], [], ["c", "b", "a"]]
    lengths = rng(1).integers(0, 7, size=5000).tolist()
    drawn = unigram_titles(titles, lengths, generator=rng(2))
    assert [len(title) for title in drawn] == lengths
    counts, total = Counter(word for title in drawn for word in title), sum(lengths)
    for word, share in {"a": 4 / 7, "b": 2 / 7, "c": 1 / 7}.items():
        spread = np.sqrt(share * (1 - share) / total)
        assert abs(counts[word] / total - share) < 4 * spread
    assert drawn == unigram_titles(titles, lengths, generator=rng(2))
    assert drawn != unigram_titles(titles, lengths, generator=rng(3))


def test_words_of_a_drawn_title_know_nothing_of_each_other():
    pairs = unigram_titles([["a", "a"], ["b", "b"]], [2] * 4000, generator=rng(4))
    same = np.mean([first == second for first, second in pairs])
    assert abs(same - 0.5) < 4 * np.sqrt(0.25 / 4000)


def test_prefixes_are_the_first_words_and_no_more():
    titles = [["a", "b", "c"], ["d"], []]
    assert prefixes(titles, 2) == [["a", "b"], ["d"], []]
    assert prefixes(titles, 0) == [[], [], []]
    assert prefixes(titles, 7) == titles
    assert titles == [["a", "b", "c"], ["d"], []]


@given(TITLES, st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_a_matched_reference_is_another_one_of_the_same_length_where_there_is_one(titles, seed):
    order = length_matched(titles, titles, generator=rng(seed))
    assert sorted(order) == list(range(len(titles)))
    assert all(order != np.arange(len(titles)))
    lengths = [len(title) for title in titles]
    counts = Counter(lengths)
    strangers = [(lengths[i], lengths[j]) for i, j in enumerate(order) if lengths[i] != lengths[j]]
    alone = [length for length in lengths if counts[length] == 1]
    if len(alone) == 1:  # it trades with one of the nearest length
        (own,) = alone
        nearest = min(abs(own - length) for length in lengths if length != own)
        assert len(strangers) == 2
        assert all(abs(first - second) == nearest for first, second in strangers)
    else:
        assert all(counts[i] == counts[j] == 1 for i, j in strangers)


def test_every_reference_of_the_same_length_is_drawn_equally_often():
    titles = [["a"], ["b", "c"], ["d"], ["e"], ["f", "g"], ["h"]]
    drawn = Counter(int(length_matched(titles, titles, generator=rng(i))[0]) for i in range(900))
    assert set(drawn) == {2, 3, 5}
    assert all(abs(count - 300) < 4 * np.sqrt(900 * 2 / 9) for count in drawn.values())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: best_constant([[], []]), InputError, "references: expected some words to choose"),
        (lambda: best_constant([["a"]], words_at_most=0), InputError, "words_at_most: expected at"),
        (lambda: best_constant(["one"]), TypeError, "expected a list of tokens, got the string"),
        (lambda: greedy_constant([], np.zeros), InputError, "words: expected some to choose from"),
        (lambda: prefixes(["one"], 1), TypeError, "expected a list of tokens, got the string"),
        (lambda: prefixes([["a"]], -1), InputError, "words: expected 0 or more, got -1"),
        (
            lambda: unigram_titles([[]], [1], generator=rng(0)),
            InputError,
            "titles: expected some words to draw from, got none in 1 titles",
        ),
        (
            lambda: unigram_titles([["a"]], [2, -1], generator=rng(0)),
            InputError,
            "lengths: expected words a title, 0 or more, got -1",
        ),
        (
            lambda: length_matched([["a"]], [["a"], ["b"]], generator=rng(0)),
            InputError,
            "references: expected one for each of at least two hypotheses, got 2 for 1",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
