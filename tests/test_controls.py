import math

import numpy as np
import pytest
from scipy.stats import kstest

from songtitle.errors import InputError
from songtitle.metrics import chance
from songtitle.metrics.ceilings import unigram_perplexity
from songtitle.metrics.chance import (
    against_chance,
    bootstrap_interval,
    permutation_p,
    permuted_scores,
    replicate_interval,
)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_covers_the_true_mean_at_its_level(level):
    covered, draw = 0, rng(0)
    for _ in range(1000):
        scores = draw.exponential(size=211)  # skewed, as scores are
        low, high = bootstrap_interval(scores, level=level, generator=draw, rounds=400)
        covered += low <= 1.0 <= high
    assert abs(covered / 1000 - level) < 0.02


def test_the_interval_of_the_gain_covers_the_true_gain_at_its_level():
    covered, excluded, draw, items, gain = 0, 0, rng(1), 47, 0.3
    for _ in range(1000):
        # Some hypotheses and some references score well with everybody, which is no gain.
        easy, common = draw.normal(size=(items, 1)), draw.normal(size=(1, items))
        pairs = easy + common + draw.normal(size=(items, items)) + gain * np.eye(items)
        found = against_chance(pairs, rounds=1, generator=draw)
        covered += found.gain_low <= gain <= found.gain_high
        excluded += found.gain_low > 0
    assert abs(covered / 1000 - 0.95) < 0.02
    assert excluded > 200


def test_the_interval_over_seeds_covers_the_true_mean_at_its_level():
    draw = rng(2)
    intervals = np.array([replicate_interval(row) for row in draw.normal(3.0, 2.0, (1000, 5))])
    covered = (intervals[:, 0] <= 3.0) & (intervals[:, 1] >= 3.0)
    assert abs(covered.mean() - 0.95) < 0.02


def test_the_interval_over_seeds_by_hand():
    # Mean 3, deviation sqrt(2.5), and 2.776 from a table of Student's t with 4 degrees of freedom.
    half = 2.7764 * math.sqrt(2.5 / 5)
    found = replicate_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found == pytest.approx((3 - half, 3 + half), abs=1e-4)


def test_the_interval_is_as_wide_as_the_normal_one_on_many_scores():
    scores = rng(1).normal(0.3, 0.15, size=1009)
    low, high = bootstrap_interval(scores, generator=rng(2))
    half = 1.96 * scores.std() / math.sqrt(len(scores))
    assert (low, high) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=half / 8)


def test_a_higher_level_gives_a_wider_interval():
    scores = rng(1).normal(size=101)
    narrow = bootstrap_interval(scores, level=0.5, generator=rng(2))
    wide = bootstrap_interval(scores, level=0.99, generator=rng(2))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_of_equal_scores_is_that_score():
    assert bootstrap_interval(np.full(7, 0.25), generator=rng(0)) == (0.25, 0.25)


def test_drawing_in_portions_changes_nothing(monkeypatch):
    scores = rng(1).normal(size=101)
    whole = bootstrap_interval(scores, generator=rng(2), rounds=7)
    monkeypatch.setattr(chance, "_CHUNK", 3 * 101)
    assert bootstrap_interval(scores, generator=rng(2), rounds=7) == whole


def test_permuted_scores_are_called_with_every_item_once():
    orders = []

    def score(order):
        orders.append(list(order))
        return float(order[0])

    scores = permuted_scores(score, 5, rounds=300, generator=rng(0))
    assert scores.shape == (300,)
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert scores.tolist() == [order[0] for order in orders]
    assert set(scores) == {0, 1, 2, 3, 4}


def test_permuted_scores_repeat_with_the_same_generator():
    first, second, other = (
        permuted_scores(lambda order: order[0] / 7, 7, rounds=11, generator=rng(seed))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_observed_score_counts_among_the_permuted_ones():
    permuted = np.array([0.1, 0.2, 0.3, 0.4])
    assert permutation_p(0.5, permuted) == 1 / 5
    assert permutation_p(0.3, permuted) == 3 / 5
    assert permutation_p(0.3 + 1e-15, permuted) == 3 / 5  # a rounding away from equal
    assert permutation_p(0.0, permuted) == 1.0


def test_perfect_pairs_get_the_smallest_p():
    found = against_chance(np.eye(11), rounds=199, generator=rng(0))
    assert found.p == 1 / 200
    assert (found.score, found.chance, found.gain) == (1.0, 0.0, 1.0)
    assert (found.low, found.high) == (1.0, 1.0)


def test_chance_is_the_mean_of_the_mismatched_pairs():
    scores = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4], [0.5, 0.0, 0.7]])
    found = against_chance(scores, rounds=10, generator=rng(0))
    assert found.chance == pytest.approx((0.1 + 0.2 + 0.3 + 0.4 + 0.5 + 0.0) / 6)
    assert found.score == pytest.approx(0.8)
    assert found.gain == pytest.approx(0.8 - 0.25)
    assert found.low <= found.score <= found.high
    assert found.gain_low <= found.gain <= found.gain_high


def test_what_one_reference_earns_everywhere_is_no_gain():
    pairs = rng(5).random((17, 17)) + 3 * np.eye(1, 17, 4)
    plain = pairs - 3 * np.eye(1, 17, 4)
    found, before = (against_chance(each, rounds=1, generator=rng(0)) for each in (pairs, plain))
    assert found.score > before.score
    assert found.gain == pytest.approx(before.gain)
    assert (found.gain_low, found.gain_high) == pytest.approx((before.gain_low, before.gain_high))


def test_unrelated_pairs_centre_on_chance_with_evenly_spread_p():
    draw, gains, ps = rng(4), [], []
    for _ in range(1000):
        found = against_chance(draw.random((13, 13)) ** 3, rounds=99, generator=draw)
        gains.append(found.gain)
        ps.append(found.p - draw.random() / 100)  # spread over the step that ends at p
    assert abs(np.mean(gains)) < 4 * np.std(gains) / math.sqrt(1000)
    assert kstest(ps, "uniform").pvalue > 0.01


def test_pairs_that_all_score_the_same_have_p_one():
    found = against_chance(np.full((7, 7), 0.1), rounds=50, generator=rng(0))
    assert found.p == 1.0
    assert found.gain == pytest.approx(0.0)


def test_unigram_perplexity_by_hand():
    # Counts with one added: 3, 2, 1, 1 of 7 over a vocabulary of four.
    train, valid = [[0, 1], [0]], [[0, 2]]
    expected = math.exp(-(math.log(3 / 7) + math.log(1 / 7)) / 2)
    assert unigram_perplexity(train, valid, vocab_size=4) == pytest.approx(expected)


def test_unigram_perplexity_without_training_is_the_vocabulary():
    assert unigram_perplexity([], [[3, 2], [2]], vocab_size=11) == pytest.approx(11)


def test_every_predicted_id_counts_once_whatever_its_sequence():
    train = [[4, 5, 2], [4, 2]]
    split = unigram_perplexity(train, [[4, 2], [5, 4, 2]], vocab_size=7)
    joined = unigram_perplexity(train, [[4, 2, 5, 4, 2]], vocab_size=7)
    assert split == pytest.approx(joined)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: against_chance(np.eye(1), generator=rng(0)), "at least two items"),
        (lambda: replicate_interval([0.5]), "values: expected those of at least two seeds, got 1"),
        (lambda: replicate_interval([0.5, 1.0], level=95.0), "level: expected a share between"),
        (lambda: bootstrap_interval(np.array([]), generator=rng(0)), "scores: expected at least"),
        (
            lambda: bootstrap_interval(np.ones(3), level=95.0, generator=rng(0)),
            "level: expected a share between 0 and 1 such as 0.95, got 95",
        ),
        (lambda: permuted_scores(sum, 3, rounds=0, generator=rng(0)), "rounds: expected at least"),
        (lambda: unigram_perplexity([[7]], [[1]], vocab_size=7), "train: expected ids from 0 to 6"),
        (lambda: unigram_perplexity([[1]], [[-1]], vocab_size=7), "valid: expected ids from 0"),
        (lambda: unigram_perplexity([[1]], [[]], vocab_size=7), "valid: expected at least one"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()
