"""BLEU: by every definition, against sacrebleu and NLTK; of pairs, and of chosen hypotheses."""

import math
import time
from ast import literal_eval
from functools import cache
from itertools import takewhile

import numpy as np
import pytest
from nltk.translate import bleu_score
from sacrebleu.metrics import BLEU

from songtitle import metrics
from songtitle.errors import InputError
from songtitle.metrics import bleu, pairs
from songtitle.metrics.bleu import (
    DEFINITIONS,
    SMOOTHINGS,
    Definition,
    corpus_bleu,
    score,
    sentence_bleu,
    sentence_scores,
)
from songtitle.metrics.pairs import (
    CHOICES,
    chosen,
    chosen_pair_scores,
    pair_scores,
    unigram_pair_scores,
)

WORDS = ["a", "the", "old", "new", "reel", "jig", "of"]
BY_SENTENCE = [name for name, each in DEFINITIONS.items() if each.average == "sentences"]
TITLE = ["all", "i", "want"]
BLEU1 = DEFINITIONS["bleu1"]
# Per token, <eos> among them: -1.0, -0.75 and -1.5
FOUND = [[[["a"], -2.0], [["a", "b", "c"], -3.0], [["x", "y"], -4.5]]]


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


def test_an_identical_hypothesis_scores_one():
    title = ["all", "i", "want", "is", "a", "spoonful"]
    score = sentence_bleu(title, [["georgia", "man"], title])
    assert (score.score, score.precisions, score.brevity_penalty) == (1.0, (1.0,) * 4, 1.0)


def test_matches_are_clipped_at_the_largest_count_in_any_one_reference():
    # Papineni et al. 2002, example 2: seven times "the" against "the ... the ..."
    references = [
        ["the", "cat", "is", "on", "the", "mat"],
        ["there", "is", "a", "cat", "on", "the", "mat"],
    ]
    score = sentence_bleu(["the"] * 7, references, max_order=1)
    assert (score.precisions, score.score) == ((pytest.approx(2 / 7),), pytest.approx(2 / 7))


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


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_an_empty_hypothesis_scores_zero(smoothing):
    for references in ([["georgia"]], [[]]):
        for brevity in (True, False):
            score = sentence_bleu([], references, max_order=1, smoothing=smoothing, brevity=brevity)
            assert score.score == 0.0


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("max_order", [1, 2, 3, 4])
def test_corpus_bleu_agrees_with_sacrebleu(max_order, smoothing):
    hypotheses, references = random_corpus(max_order)
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


def test_a_token_is_itself_whatever_it_holds():
    odd = ["new york", "", " ", "a\nb"]
    assert sentence_bleu(odd, [odd], max_order=4).score == 1.0
    assert sentence_bleu(["new york"], [["new", "york"]], max_order=1).score == 0.0
    assert sentence_bleu(odd, [odd]).hypothesis_length == 4


def test_a_hypothesis_shorter_than_the_order_scores_zero_unless_smoothed_orders_are_left():
    assert sentence_bleu(["georgia", "man"], [["georgia", "man"]], max_order=4).score == 0.0
    assert sentence_bleu(["georgia", "man"], [["georgia", "man"]], max_order=2).score == 1.0


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


@pytest.mark.parametrize(
    ("hypotheses", "references", "options", "message"),
    [
        ([], [], {}, "at least one hypothesis, got 0 hypotheses"),
        ([["a"]], [[["a"]], [["b"]]], {}, "got 1 hypotheses and 2 lists of references"),
        ([["a"]], [[]], {}, r"at least one for \['a'\], got none"),
        ([["a"]], [[["a"]]], {"max_order": 0}, "max_order: expected at least 1, got 0"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(hypotheses, references, options, message):
    with pytest.raises(InputError, match=message):
        corpus_bleu(hypotheses, references, **options)


@pytest.fixture(scope="module")
def ten_thousand():
    """Hypotheses of 0 to 5 words, each with one or two references of 1 to 5."""
    rng = np.random.default_rng(11)
    hypotheses = random_lists(rng, 10_000, 5)
    sizes = rng.integers(1, 3, size=len(hypotheses))
    pool = iter(random_lists(rng, int(sizes.sum()), 5, 1))
    return hypotheses, [[next(pool) for _ in range(size)] for size in sizes]


@pytest.fixture(scope="module")
def ours(ten_thousand):
    """The sentence scores of all of them by a definition, computed once."""
    return cache(lambda name: sentence_scores(*ten_thousand, DEFINITIONS[name]))


def until_the_first_zero(precisions, **_):
    """NLTK 3.2.5, bleu_score.py: SmoothingFunction.method0, its default; it only warned besides."""
    return list(takewhile(lambda precision: precision.numerator, precisions))


def nltk_default_of_3_2_5(references, hypothesis):
    return bleu_score.sentence_bleu(references, hypothesis, smoothing_function=until_the_first_zero)


def nltk_on_strings(references, hypothesis):
    """The slip: strings where NLTK expects lists of tokens."""
    lines = [" ".join(reference) for reference in references]
    return bleu_score.sentence_bleu(lines, " ".join(hypothesis), weights=(1,))


def nltk_precision_on_strings(references, hypothesis):
    lines = [" ".join(reference) for reference in references]
    return float(bleu_score.modified_precision(lines, " ".join(hypothesis), 1))


NLTK = {
    "precision": lambda references, said: float(bleu_score.modified_precision(references, said, 1)),
    "bleu1": lambda references, said: bleu_score.sentence_bleu(references, said, weights=(1,)),
    "nltk_3_2_5": nltk_default_of_3_2_5,
    "letters": nltk_on_strings,
    "letters_precision": nltk_precision_on_strings,
}


@pytest.mark.filterwarnings("ignore:\\nThe hypothesis contains 0 counts")
@pytest.mark.parametrize("name", BY_SENTENCE)
def test_every_sentence_definition_agrees_with_nltk_on_ten_thousand_lists(ten_thousand, ours, name):
    hypotheses, references = ten_thousand
    theirs = [NLTK[name](*pair) for pair in zip(references, hypotheses, strict=True)]
    assert len(theirs) == 10_000
    np.testing.assert_allclose(ours(name), theirs, rtol=0, atol=1e-9)
    assert 0.2 < np.mean(theirs) < 0.8


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_of_ten_thousand_lists_as_one_corpus_agrees_with_sacrebleu(ten_thousand, order):
    hypotheses, references = ten_thousand
    theirs = sacrebleu_corpus(hypotheses, references, order, "none")
    definition = Definition(name="", weights=(1 / order,) * order, average="corpus")
    found = score(hypotheses, references, definition)
    assert found.score == pytest.approx(theirs.score / 100, abs=1e-9)


@pytest.mark.filterwarnings("ignore:\\nThe hypothesis contains 0 counts")
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.7, 0.2, 0.1), (1.0, 0.0, 0.0, 0.0)])
def test_other_weights_agree_with_nltk_where_every_order_matches(ten_thousand, weights):
    # Where one does not, NLTK says 1e-78 or so and we say 0.
    hypotheses, references = (part[:1000] for part in ten_thousand)
    ours = sentence_scores(hypotheses, references, Definition(name="", weights=weights))
    theirs = [
        bleu_score.sentence_bleu(its, said, weights=weights)
        for said, its in zip(hypotheses, references, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert 0 < np.count_nonzero(ours) < len(ours)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_by_every_definition_the_title_itself_scores_one_and_a_disjoint_one_zero(definition):
    others = [["sun", "moon"], ["o"]]
    assert score([TITLE, ["o"]], [[TITLE, *others], [["o"]]], definition).score == 1.0
    assert score([["xxx"], ["zz"]], [[TITLE], [TITLE]], definition).score == 0.0
    assert score([[], []], [[TITLE], [TITLE]], definition).score == 0.0


def test_a_corpus_sums_where_sentences_are_averaged():
    said, wanted = [["a"], ["a", "x", "x"]], [[["a"]], [["a", "b", "c"]]]
    assert score(said, wanted, DEFINITIONS["corpus"]).score == pytest.approx(2 / 4)
    found = score(said, wanted, DEFINITIONS["bleu1"])
    assert found.score == pytest.approx((1 + 1 / 3) / 2)
    assert found.precisions == (pytest.approx((1 + 1 / 3) / 2),)
    assert (found.hypothesis_length, found.reference_length) == (4, 4)
    assert sentence_scores(said, wanted, DEFINITIONS["bleu1"]).tolist() == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("definition", [DEFINITIONS[name] for name in BY_SENTENCE], ids=BY_SENTENCE)
def test_a_pair_score_is_the_score_of_that_pair(definition):
    rng = np.random.default_rng(3)
    # More rows than the 64 that are computed at a time
    hypotheses, references = [*random_lists(rng, 66, 7), []], [[], *random_lists(rng, 12, 5)]
    pairs = pair_scores(hypotheses, references, definition)
    assert pairs.shape == (67, 13)
    for row, said in zip(pairs, hypotheses, strict=True):
        expected = [score([said], [[wanted]], definition).score for wanted in references]
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)
    for name, brevity in (("bleu1", True), ("precision", False)):
        if definition is DEFINITIONS[name]:
            found = unigram_pair_scores(hypotheses, references, brevity=brevity)
            np.testing.assert_array_equal(found, pairs)


def test_pair_scores_follow_weights_and_zero_orders():
    rng = np.random.default_rng(4)
    hypotheses, references = random_lists(rng, 11, 7), random_lists(rng, 7, 7)
    for zero_orders in ("zero", "dropped"):
        definition = Definition(name="", weights=(0.3, 0.0, 0.7), zero_orders=zero_orders)
        expected = [
            sentence_scores([said] * 7, [[each] for each in references], definition)
            for said in hypotheses
        ]
        pairs = pair_scores(hypotheses, references, definition)
        np.testing.assert_allclose(pairs, expected, rtol=0, atol=1e-12)
        assert 0 < np.count_nonzero(pairs) < pairs.size


def test_a_matrix_without_hypotheses_or_references_is_empty():
    assert pair_scores([], [["a"]], DEFINITIONS["nltk_3_2_5"]).shape == (0, 1)
    assert pair_scores([["a"]], [], DEFINITIONS["letters"]).shape == (1, 0)


@pytest.mark.parametrize("definition", [DEFINITIONS[name] for name in BY_SENTENCE], ids=BY_SENTENCE)
def test_a_million_pairs_take_a_second_at_most_and_two_by_letters_or_four_orders(definition):
    rng = np.random.default_rng(5)
    ranks = rng.zipf(1.3, size=(2, 1000, 8)) % 3000  # words as unevenly used as in titles
    hypotheses, references = ([[f"{i:x}tune" for i in row] for row in part] for part in ranks)
    start = time.process_time()
    assert pair_scores(hypotheses, references, definition).shape == (1000, 1000)
    quick = definition.tokens == "words" and len(definition.weights) == 1
    assert time.process_time() - start < (1.0 if quick else 2.0)


def test_a_string_is_refused_by_scores_of_sentences_and_of_pairs():
    message = r"expected a list of tokens, got the string 'georgia'; call tokenize\(\) first"
    for said, wanted in (
        ("georgia", [[["a"]]]),
        (["georgia"], [[["a"]]]),
        ([["a"]], "georgia"),
        ([["a"]], ["georgia"]),
        ([["a"]], [["georgia"]]),
    ):
        for scored in (score, sentence_scores):
            with pytest.raises(TypeError, match=message):
                scored(said, wanted, BLEU1)
    for said, wanted in (("georgia", [["a"]]), (["georgia"], [["a"]]), ([["a"]], ["georgia"])):
        with pytest.raises(TypeError, match=message):
            pair_scores(said, wanted, BLEU1)


def test_a_score_of_the_corpus_alone_has_no_sentences_and_no_pairs():
    for scored, references in ((pair_scores, [["a"]]), (sentence_scores, [[["a"]]])):
        with pytest.raises(InputError, match="expected one that scores each sentence, got 'words,"):
            scored([["a"]], references, DEFINITIONS["corpus"])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weights", (), "weights: expected numbers of at least 0, not all 0, got"),
        ("weights", (0.5, -0.5), "weights: expected numbers of at least 0"),
        ("weights", (0.0, 0.0), "weights: expected numbers of at least 0, not all 0"),
        ("tokens", "syllables", "tokens: expected 'words' or 'letters', got 'syllables'"),
        ("zero_orders", "kept", "zero_orders: expected 'zero' or 'dropped', got 'kept'"),
        ("smoothing", "lin", "smoothing: expected 'none' or 'floor' or 'add-k' or 'exp'"),
        ("average", "median", "average: expected 'sentences' or 'corpus', got 'median'"),
    ],
)
def test_a_definition_that_defines_nothing_is_refused(monkeypatch, field, value, message):
    # Without the tests' own check of types, which would refuse a wrong word before we do.
    definition = object.__new__(Definition)
    for name, default in vars(DEFINITIONS["bleu1"]).items():
        object.__setattr__(definition, name, default)
    object.__setattr__(definition, field, value)
    with pytest.raises(InputError, match=message):
        definition.__post_init__()


def test_six_definitions_have_six_names_and_six_signatures():
    assert len({each.name for each in DEFINITIONS.values()}) == 6
    assert len({each.signature for each in DEFINITIONS.values()}) == 6


def test_a_signature_says_all_that_the_score_depends_on():
    said = score([["a"]], [[["a"]]], DEFINITIONS["nltk_3_2_5"]).signature
    assert said == DEFINITIONS["nltk_3_2_5"].signature
    assert said.startswith(
        "order:4|weights:0.25,0.25,0.25,0.25|brevity:yes|smooth:none,zero-orders-dropped"
        "|tokens:words|average:sentences|v:"
    )
    assert "|sacrebleu:" in said
    letters = DEFINITIONS["letters_precision"].signature
    assert letters.startswith(
        "order:1|weights:1|brevity:no|smooth:none|tokens:letters|average:sentences|v:"
    )
    assert "|average:corpus|" in DEFINITIONS["corpus"].signature


def test_the_examples_of_the_package_run_and_give_what_they_say():
    found = [[[["blue", "moon"], -3.0], [["moon"], -4.0]], [[["sky"], -2.0]]]
    rooms = (metrics, bleu, pairs)
    names = {name: value for room in rooms for name, value in vars(room).items()} | {
        "found": found,
        "references": [["moon"], ["blue"]],
        "log_likelihoods": np.array([[-1.0, -2.0], [-2.0, -3.0]]),
    }
    text = "\n".join(room.__doc__ for room in rooms)
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    compared = 0
    for line in lines:
        code, _, comment = line.partition("#")
        value = eval(code, names)
        try:
            said = literal_eval(comment.strip())
        except (SyntaxError, ValueError):
            continue  # words
        compared += 1
        np.testing.assert_allclose(value, said)
    assert len(lines) == 13
    assert compared == 5


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
    # By log-probability and not by place, and of equals the first
    assert chosen([[[["b"], -3.0], [["a"], -2.0]]], "top") == [["a"]]
    assert chosen([[[["b"], -2.0], [["a"], -2.0]]], "top") == [["b"]]


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


def test_a_string_is_refused_by_every_choice():
    message = "expected a list of tokens, got the string 'georgia'"
    for found in ("georgia", ["georgia"]):
        with pytest.raises(TypeError, match=message):
            chosen(found, "top")
    for choice in CHOICES:
        for found, wanted in (([[["georgia", -1.0]]], [["a"]]), (FOUND, ["georgia"])):
            with pytest.raises(TypeError, match=message):
                chosen_pair_scores(found, wanted, BLEU1, choice)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: chosen_pair_scores(FOUND, [["a"]], BLEU1, "first"),
            "choice: expected one of top, normalised, mean, best, got",
        ),
        (
            lambda: chosen(FOUND, "mean"),
            "choice: expected top or normalised to choose one hypoth",
        ),
        (
            lambda: chosen_pair_scores([*FOUND, []], [["a"]], BLEU1, "best"),
            "at least one hypothesis of each item, got none of item 1",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()
