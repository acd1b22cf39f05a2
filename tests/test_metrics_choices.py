import numpy as np
import pytest
from test_metrics import random_lists

from songtitle.errors import InputError
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.pairs import CHOICES, chosen, chosen_pair_scores, chosen_scores, pair_scores

BLEU1 = DEFINITIONS["bleu1"]
# Per token, <eos> among them: -1.0, -0.75 and -1.5
FOUND = [[[["a"], -2.0], [["a", "b", "c"], -3.0], [["x", "y"], -4.5]]]


def random_found(seed, items):
    """Some items with fewer hypotheses than others, as searches leave them."""
    rng = np.random.default_rng(seed)
    return [
        [[words, -float(rng.random())] for words in random_lists(rng, int(rng.integers(1, 6)), 5)]
        for _ in range(items)
    ]


def test_top_is_the_likeliest_and_normalised_the_likeliest_by_token_with_eos():
    assert chosen(FOUND, "top") == [["a"]]
    assert chosen(FOUND, "normalised") == [["a", "b", "c"]]
    # Without <eos>, -2.0 and -1.0 a word: counted so, "a b" and not "a" would be best here.
    both = [[[["a"], -2.0], [["a", "b"], -3.1]]]
    assert chosen(both, "normalised") == [["a"]]


def test_top_goes_by_log_probability_and_not_by_place():
    # A search with a length penalty may put another first.
    assert chosen([[[["b"], -3.0], [["a"], -2.0]]], "top") == [["a"]]
    assert chosen([[[["b"], -2.0], [["a"], -2.0]]], "top") == [["b"]]  # of equals the first


def test_each_choice_by_hand():
    references = [["a", "b", "c"], ["x", "y"]]
    of = {choice: chosen_pair_scores(FOUND, references, BLEU1, choice)[0] for choice in CHOICES}
    short = np.exp(-2)  # "a" against three words
    assert of["top"].tolist() == pytest.approx([short, 0])
    assert of["normalised"].tolist() == pytest.approx([1, 0])
    assert of["mean"].tolist() == pytest.approx([(short + 1 + 0) / 3, 1 / 3])
    assert of["best"].tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("choice", ["mean", "best"])
def test_mean_and_best_are_taken_pair_by_pair_over_the_hypotheses_there_are(choice):
    found, references = random_found(1, 13), random_lists(np.random.default_rng(2), 7, 5, 1)
    pairs = chosen_pair_scores(found, references, BLEU1, choice)
    take = np.mean if choice == "mean" else np.max
    for row, hypotheses in zip(pairs, found, strict=True):
        each = pair_scores([words for words, _ in hypotheses], references, BLEU1)
        np.testing.assert_allclose(row, take(each, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["bleu1", "nltk_3_2_5", "letters"])
@pytest.mark.parametrize("choice", CHOICES)
def test_own_scores_are_the_diagonal_of_the_pair_scores(choice, name):
    found, references = random_found(3, 11), random_lists(np.random.default_rng(4), 11, 5, 1)
    pairs = chosen_pair_scores(found, references, DEFINITIONS[name], choice)
    own = chosen_scores(found, [[each] for each in references], DEFINITIONS[name], choice)
    np.testing.assert_allclose(own, np.diagonal(pairs), rtol=0, atol=1e-12)


def test_best_of_k_is_nowhere_below_any_other_choice_against_wrong_references_too():
    found, references = random_found(5, 17), random_lists(np.random.default_rng(6), 13, 5, 1)
    best = chosen_pair_scores(found, references, BLEU1, "best")
    for choice in ("top", "normalised", "mean"):
        other = chosen_pair_scores(found, references, BLEU1, choice)
        assert (best >= other - 1e-12).all()
        assert best.mean() > other.mean()


def test_with_one_hypothesis_each_every_choice_is_the_same():
    found = [each[:1] for each in random_found(7, 5)]
    references = random_lists(np.random.default_rng(8), 7, 5, 1)
    expected = pair_scores([each[0][0] for each in found], references, BLEU1)
    for choice in CHOICES:
        np.testing.assert_array_equal(
            chosen_pair_scores(found, references, BLEU1, choice), expected
        )


def test_a_string_is_refused_by_every_choice():
    for found in ("georgia", ["georgia"]):
        with pytest.raises(TypeError, match="expected a list of tokens, got the string 'georgia'"):
            chosen(found, "top")
    for choice in CHOICES:
        with pytest.raises(TypeError, match="expected a list of tokens, got the string 'georgia'"):
            chosen_pair_scores([[["georgia", -1.0]]], [["a"]], BLEU1, choice)
        with pytest.raises(TypeError, match="expected a list of tokens, got the string 'georgia'"):
            chosen_scores([[["georgia", -1.0]]], [[["a"]]], BLEU1, choice)
        with pytest.raises(TypeError, match="expected a list of tokens, got the string 'georgia'"):
            chosen_pair_scores(FOUND, ["georgia"], BLEU1, choice)


def test_what_cannot_be_chosen_is_refused_by_name():
    with pytest.raises(
        InputError, match="choice: expected one of top, normalised, mean, best, got"
    ):
        chosen_pair_scores(FOUND, [["a"]], BLEU1, "first")
    with pytest.raises(InputError, match="choice: expected top or normalised to choose one hypoth"):
        chosen(FOUND, "mean")
    with pytest.raises(
        InputError, match="at least one hypothesis of each item, got none of item 1"
    ):
        chosen_pair_scores([*FOUND, []], [["a"]], BLEU1, "best")
    with pytest.raises(InputError, match="expected one that scores each sentence"):
        chosen_pair_scores(FOUND, [["a"]], DEFINITIONS["corpus"], "top")
    with pytest.raises(InputError, match="got 1 hypotheses and 2 lists of references"):
        chosen_scores(FOUND, [[["a"]], [["b"]]], BLEU1, "top")
