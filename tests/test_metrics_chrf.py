import time
from itertools import zip_longest

import numpy as np
import pytest
from nltk.translate.chrf_score import sentence_chrf
from sacrebleu.metrics import CHRF
from test_metrics import random_lists

from songtitle.errors import InputError
from songtitle.metrics import chrf, chrf_pair_scores


def test_the_title_itself_scores_one_and_one_without_a_common_letter_zero():
    title = ["georgia", "man"]
    assert chrf([title], [[["xyz"], title]]).score == pytest.approx(1.0)
    assert chrf([["xyz"]], [[title]]).score == 0.0
    assert chrf([[]], [[title]]).score == 0.0


def test_recall_weighs_twice_and_blanks_do_not_count_by_hand():
    # "ab" against "abc": letters 2 of 2 and 2 of 3, pairs 1 of 1 and 1 of 2; no triple is said.
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    expected = 5 * precision * recall / (4 * precision + recall)
    for said in (["ab"], ["a", "b"]):
        assert chrf([said], [[["abc"]]]).score == pytest.approx(expected)
        assert chrf_pair_scores([said], [["abc"]])[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("average", ["sentences", "corpus"])
def test_chrf_is_that_of_sacrebleu_on_lines(average):
    rng = np.random.default_rng(0)
    hypotheses = random_lists(rng, 53, 7)
    references = [random_lists(rng, int(rng.integers(1, 4)), 7, 1) for _ in hypotheses]
    said = [" ".join(tokens) for tokens in hypotheses]
    lines = [[" ".join(tokens) for tokens in its] for its in references]
    metric = CHRF()
    theirs = (
        metric.corpus_score(said, list(zip_longest(*lines))).score
        if average == "corpus"
        else np.mean([metric.sentence_score(*pair).score for pair in zip(said, lines, strict=True)])
    )
    found = chrf(hypotheses, references, average=average)
    assert found.score == pytest.approx(theirs / 100, abs=1e-9)
    assert found.signature.startswith(f"chrF2|letters:1-6|words:0|blanks:no|average:{average}|v:")


def test_long_titles_score_as_nltk_scores_them():
    # NLTK counts orders that one side lacks; lists this long lack none.
    rng = np.random.default_rng(1)
    hypotheses, references = random_lists(rng, 100, 9, 6), random_lists(rng, 100, 9, 6)
    theirs = [
        sentence_chrf(wanted, said, beta=2.0)
        for said, wanted in zip(hypotheses, references, strict=True)
    ]
    ours = [
        chrf([said], [[wanted]]).score for said, wanted in zip(hypotheses, references, strict=True)
    ]
    assert len(set(ours)) > 50
    # NLTK averages the F-scores of the orders, sacrebleu takes the F-score of the averages.
    assert ours == pytest.approx(theirs, abs=0.02)


def test_a_pair_score_is_the_chrf_of_that_pair():
    rng = np.random.default_rng(2)
    hypotheses, references = [*random_lists(rng, 66, 4), []], [[], ["a"], *random_lists(rng, 11, 5)]
    pairs = chrf_pair_scores(hypotheses, references)
    assert pairs.shape == (67, 13)
    for row, said in zip(pairs, hypotheses, strict=True):
        expected = [chrf([said], [[wanted]]).score for wanted in references]
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


def test_a_million_pairs_take_three_seconds_at_most():
    rng = np.random.default_rng(5)
    ranks = rng.zipf(1.3, size=(2, 1000, 8)) % 3000
    hypotheses, references = ([[f"{i:x}tune" for i in row] for row in part] for part in ranks)
    start = time.process_time()
    assert chrf_pair_scores(hypotheses, references).shape == (1000, 1000)
    assert time.process_time() - start < 3.0


def test_a_string_is_refused_by_chrf():
    message = "expected a list of tokens, got the string 'georgia'"
    for said, wanted in (
        ("georgia", [[["a"]]]),
        (["georgia"], [[["a"]]]),
        ([["a"]], "georgia"),
        ([["a"]], ["georgia"]),
        ([["a"]], [["georgia"]]),
    ):
        with pytest.raises(TypeError, match=message):
            chrf(said, wanted)
    for said, wanted in (("georgia", [["a"]]), (["georgia"], [["a"]]), ([["a"]], ["georgia"])):
        with pytest.raises(TypeError, match=message):
            chrf_pair_scores(said, wanted)


def test_what_chrf_cannot_score_is_refused_by_name():
    with pytest.raises(InputError, match="at least one hypothesis, got 0 hypotheses"):
        chrf([], [])
    with pytest.raises(InputError, match="got 1 hypotheses and 2 lists of references"):
        chrf([["a"]], [[["a"]], [["b"]]])
    with pytest.raises(InputError, match=r"at least one for \['a'\], got none"):
        chrf([["a"]], [[]])
