import math
import time

import numpy as np
import pytest
from nltk.translate import bleu_score
from sacrebleu.metrics import BLEU

from songtitle.errors import InputError
from songtitle.metrics.bleu import corpus_bleu, sentence_bleu
from songtitle.metrics.chance import permuted_scores
from songtitle.metrics.pairs import unigram_pair_scores

WORDS = ["a", "the", "old", "new", "reel", "jig", "of"]


def random_lists(rng, count, longest, shortest=0):
    """Token lists over few words, so that they share some and repeat some."""
    return [
        [WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(shortest, longest + 1))]
        for _ in range(count)
    ]


def random_corpus(seed, count=13, shortest=0):
    rng = np.random.default_rng(seed)
    hypotheses = random_lists(rng, count, 9, shortest)
    references = [random_lists(rng, int(rng.integers(1, 4)), 9, 1) for _ in hypotheses]
    return hypotheses, references


def sacrebleu_corpus(hypotheses, references, max_order, smoothing):
    most = max(map(len, references))
    streams = [[" ".join(r[k]) if k < len(r) else None for r in references] for k in range(most)]
    metric = BLEU(tokenize="none", force=True, smooth_method=smoothing, max_ngram_order=max_order)
    return metric.corpus_score([" ".join(h) for h in hypotheses], streams)


@pytest.mark.parametrize("max_order", [1, 2, 4])
def test_an_identical_hypothesis_scores_one(max_order):
    title = ["all", "i", "want", "is", "a", "spoonful"]
    score = sentence_bleu(title, [["georgia", "man"], title], max_order=max_order)
    assert score.score == 1.0
    assert score.precisions == (1.0,) * max_order
    assert score.brevity_penalty == 1.0


def test_a_hypothesis_without_a_shared_word_scores_zero():
    assert sentence_bleu(["too", "happy"], [["georgia", "man"]], max_order=1).score == 0.0


def test_matches_are_clipped_at_the_largest_count_in_any_one_reference():
    # Papineni et al. 2002, example 2: seven times "the" against "the ... the ..."
    hypothesis = ["the"] * 7
    references = [
        ["the", "cat", "is", "on", "the", "mat"],
        ["there", "is", "a", "cat", "on", "the", "mat"],
    ]
    score = sentence_bleu(hypothesis, references, max_order=1)
    assert score.precisions == (pytest.approx(2 / 7),)
    assert score.score == pytest.approx(2 / 7)


def test_a_short_hypothesis_pays_the_brevity_penalty():
    score = sentence_bleu(["georgia"], [["georgia", "man", "blues"]], max_order=1)
    assert score.brevity_penalty == pytest.approx(math.exp(1 - 3 / 1))
    assert score.score == pytest.approx(math.exp(-2))
    assert (score.hypothesis_length, score.reference_length) == (1, 3)


def test_the_closest_reference_length_counts_and_of_two_the_shorter():
    references = [["x"] * 9, ["x"] * 5, ["x"] * 3]
    assert sentence_bleu(["x"] * 4, references).reference_length == 3
    assert sentence_bleu(["x"] * 8, references).reference_length == 9


def test_without_brevity_the_unigram_score_is_the_precision():
    score = sentence_bleu(["georgia", "x"], [["georgia", *"abcdefg"]], max_order=1, brevity=False)
    assert score.score == pytest.approx(1 / 2)
    assert score.brevity_penalty == 1.0
    assert score.reference_length == 8


@pytest.mark.parametrize("brevity", [True, False])
@pytest.mark.parametrize("smoothing", ["none", "floor", "add-k", "exp"])
def test_an_empty_hypothesis_scores_zero(smoothing, brevity):
    for references in ([["georgia"]], [[]]):
        score = sentence_bleu([], references, max_order=1, smoothing=smoothing, brevity=brevity)
        assert score.score == 0.0


@pytest.mark.parametrize("smoothing", ["none", "floor", "add-k", "exp"])
@pytest.mark.parametrize("max_order", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_corpus_bleu_agrees_with_sacrebleu(seed, max_order, smoothing):
    hypotheses, references = random_corpus(seed)
    ours = corpus_bleu(hypotheses, references, max_order=max_order, smoothing=smoothing)
    plain = corpus_bleu(
        hypotheses, references, max_order=max_order, smoothing=smoothing, brevity=False
    )
    theirs = sacrebleu_corpus(hypotheses, references, max_order, smoothing)
    assert ours.score == pytest.approx(theirs.score / 100, abs=1e-12)
    assert ours.precisions == pytest.approx([p / 100 for p in theirs.precisions], abs=1e-12)
    assert plain.score * theirs.bp == pytest.approx(theirs.score / 100, abs=1e-12)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, abs=1e-12)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_ngram_counts_at_most_as_often_as_in_one_reference_whatever_its_order(order):
    one, two = ["a", "b"] * 2, ["a", "b"] * 3  # "a b": twice and three times, not five
    score = sentence_bleu(["a", "b"] * 5, [one, two], max_order=order)
    assert score.precisions == pytest.approx([6 / 10, 5 / 9, 4 / 8][:order])


@pytest.mark.filterwarnings("ignore:\\nThe hypothesis contains 0 counts")
@pytest.mark.parametrize(("max_order", "weights"), [(1, (1, 0, 0, 0)), (2, (0.5, 0.5))])
@pytest.mark.parametrize("seed", range(5))
def test_bleu_agrees_with_nltk(seed, max_order, weights):
    # Not on empty hypotheses: NLTK's corpus_bleu counts each of them as one token.
    hypotheses, references = random_corpus(seed, shortest=2)
    theirs = bleu_score.corpus_bleu(references, hypotheses, weights=weights)
    ours = corpus_bleu(hypotheses, references, max_order=max_order)
    assert ours.score == pytest.approx(theirs, abs=1e-12)
    for hypothesis, its_references in zip(hypotheses, references, strict=True):
        theirs = bleu_score.sentence_bleu(its_references, hypothesis, weights=weights)
        ours = sentence_bleu(hypothesis, its_references, max_order=max_order)
        assert ours.score == pytest.approx(theirs, abs=1e-12)


def test_a_token_is_itself_whatever_it_holds():
    odd = ["new york", "", " ", "a\nb"]
    assert sentence_bleu(odd, [odd], max_order=4).score == 1.0
    assert sentence_bleu(["new york"], [["new", "york"]], max_order=1).score == 0.0
    assert sentence_bleu(odd, [odd]).hypothesis_length == 4


def test_corpus_bleu_sums_before_it_divides():
    hypotheses = [["a"], ["a", "x", "x"]]
    references = [[["a"]], [["a", "b", "c"]]]
    assert corpus_bleu(hypotheses, references, max_order=1).score == pytest.approx(2 / 4)


def test_a_hypothesis_shorter_than_the_order_scores_zero_unless_smoothed_orders_are_left():
    assert sentence_bleu(["georgia", "man"], [["georgia", "man"]], max_order=4).score == 0.0
    assert sentence_bleu(["georgia", "man"], [["georgia", "man"]], max_order=2).score == 1.0


def test_the_signature_says_which_bleu_it_is():
    score = sentence_bleu(["a"], [["a"]], max_order=1, smoothing="exp", brevity=False)
    start = "order:1|weights:1|brevity:no|smooth:exp|tokens:words|v:"
    assert score.signature.startswith(start)
    assert "|sacrebleu:" in score.signature
    plain = sentence_bleu(["a"], [["a"]])
    assert "|brevity:yes|smooth:none|tokens:words|v:" in plain.signature
    assert plain.signature.startswith("order:4|weights:0.25,0.25,0.25,0.25|")


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        ("georgia man", [[["georgia"]]]),
        (["georgia man"], [[["georgia"]]]),
        ([["georgia"]], "georgia man"),
        ([["georgia"]], ["georgia man"]),
        ([["georgia"]], [["georgia man"]]),
        ([["georgia"]], [[["georgia"], "georgia man"]]),
    ],
)
def test_a_string_in_place_of_a_token_list_is_refused(hypotheses, references):
    message = r"expected a list of tokens, got the string 'georgia man'; call tokenize\(\) first"
    with pytest.raises(TypeError, match=message):
        corpus_bleu(hypotheses, references)


def test_a_string_is_refused_by_the_other_scores_too():
    with pytest.raises(TypeError, match="expected a list of tokens"):
        sentence_bleu("georgia", [["georgia"]])
    with pytest.raises(TypeError, match="expected a list of tokens"):
        sentence_bleu(["georgia"], ["georgia"])
    with pytest.raises(TypeError, match="expected a list of tokens"):
        unigram_pair_scores(["georgia"], [["georgia"]])
    with pytest.raises(TypeError, match="expected a list of tokens"):
        unigram_pair_scores([["georgia"]], ["georgia"])


@pytest.mark.parametrize(
    ("hypotheses", "references", "options", "message"),
    [
        ([], [], {}, "at least one hypothesis, got 0 hypotheses"),
        ([["a"]], [[["a"]], [["b"]]], {}, "got 1 hypotheses and 2 lists of references"),
        ([["a"]], [[]], {}, r"at least one for \['a'\], got none"),
        ([["a"]], [[["a"]]], {"max_order": 0}, "max_order: expected at least 1, got 0"),
        ([["a"]], [[["a"]]], {"smoothing": "lin"}, "smoothing: expected one of none, floor"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(hypotheses, references, options, message):
    with pytest.raises(InputError, match=message):
        corpus_bleu(hypotheses, references, **options)


@pytest.mark.parametrize("brevity", [True, False])
def test_pair_scores_equal_sentence_bleu_of_every_pair(brevity):
    rng = np.random.default_rng(3)
    hypotheses, references = [*random_lists(rng, 22, 7), []], [[], *random_lists(rng, 18, 5)]
    scores = unigram_pair_scores(hypotheses, references, brevity=brevity)
    assert scores.shape == (23, 19)
    for row, hypothesis in zip(scores, hypotheses, strict=True):
        expected = [
            sentence_bleu(hypothesis, [reference], max_order=1, brevity=brevity).score
            for reference in references
        ]
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


def test_a_permuted_score_is_the_mean_of_sacrebleus_sentence_scores():
    rng = np.random.default_rng(7)
    hypotheses, references = random_lists(rng, 17, 7), random_lists(rng, 17, 5, 1)
    pairs, orders = unigram_pair_scores(hypotheses, references), []

    def score(order):
        orders.append(order)
        return float(np.mean([pairs[i, j] for i, j in enumerate(order)]))

    permuted = permuted_scores(score, 17, rounds=5, generator=rng)
    metric = BLEU(tokenize="none", max_ngram_order=1, smooth_method="none", effective_order=True)
    for order, found in zip(orders, permuted, strict=True):
        theirs = [
            metric.sentence_score(" ".join(hypothesis), [" ".join(references[j])]).score / 100
            for hypothesis, j in zip(hypotheses, order, strict=True)
        ]
        assert found == pytest.approx(np.mean(theirs), abs=1e-12)


def test_a_million_pairs_take_a_second_at_most():
    rng = np.random.default_rng(5)
    ranks = rng.zipf(1.3, size=(2, 1000, 10)) % 3000  # words as unevenly used as in titles
    hypotheses, references = ([[f"w{i}" for i in row] for row in part] for part in ranks)
    start = time.process_time()
    scores = unigram_pair_scores(hypotheses, references)
    assert scores.shape == (1000, 1000)
    assert time.process_time() - start < 1.0
