from itertools import permutations

import numpy as np
import pytest

from songtitle.errors import InputError
from songtitle.metrics.chance import against_chance
from songtitle.metrics.retrieval import prior_free, recalls, reciprocal_ranks, retrieval

RNG = np.random.default_rng(0)


def tied_values(songs, levels):
    """Likelihoods of few levels, so that many titles tie."""
    return -RNG.integers(1, levels + 1, size=(songs, songs)).astype(float)


def test_ranks_by_hand():
    values = np.log(np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.7, 0.2, 0.1]]))
    found = retrieval(values, k=2)
    assert found.ranks.tolist() == [1, 2, 3]
    assert found.mrr == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.mrr_chance == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found.recall_chance == pytest.approx(2 / 3)
    assert found.k == 2


def test_a_model_that_hears_ranks_every_title_first():
    values = RNG.normal(size=(23, 23)) + 100 * np.eye(23)
    found = retrieval(values)
    assert (found.mrr, found.recall) == (1.0, 1.0)
    assert (found.ranks == 1).all()


@pytest.mark.parametrize("songs", [2, 3, 4, 5])
@pytest.mark.parametrize("levels", [1, 2, 1000])
def test_chance_is_the_mean_over_every_pairing_whatever_the_titles_and_their_ties(songs, levels):
    values = tied_values(songs, levels)
    values[:, 0] += 7  # a title that every song prefers
    pairings = [values[:, list(order)] for order in permutations(range(songs))]
    for k in range(1, songs + 1):
        each = [retrieval(paired, k=k) for paired in pairings]
        assert np.mean([found.mrr for found in each]) == pytest.approx(each[0].mrr_chance)
        assert np.mean([found.recall for found in each]) == pytest.approx(each[0].recall_chance)


def test_random_pairings_of_many_songs_centre_on_chance():
    values = RNG.normal(size=(53, 53)) + 3 * RNG.normal(size=53)
    pairs, hits = reciprocal_ranks(values), recalls(values, k=5)
    rows = np.arange(53)
    orders = [RNG.permutation(53) for _ in range(2000)]
    for matrix, chance in (
        (pairs, retrieval(values).mrr_chance),
        (hits, retrieval(values, k=5).recall_chance),
    ):
        means = np.array([matrix[rows, order].mean() for order in orders])
        assert abs(means.mean() - chance) < 4 * means.std() / np.sqrt(len(means))


def test_ties_count_as_every_order_of_them_equally_likely():
    values = tied_values(5, 2)
    # Every order: an offset too small to move what is not tied
    offsets = [1e-6 * np.array(order) for order in permutations(range(5))]
    broken = [retrieval(values + offset, k=2) for offset in offsets]
    found = retrieval(values, k=2)
    assert found.mrr == pytest.approx(np.mean([each.mrr for each in broken]))
    assert found.recall == pytest.approx(np.mean([each.recall for each in broken]))
    assert found.ranks == pytest.approx(np.mean([each.ranks for each in broken], axis=0))


def test_a_model_that_tells_no_title_from_another_is_at_chance_exactly():
    found = retrieval(np.zeros((17, 17)), k=3)
    assert found.mrr == pytest.approx(found.mrr_chance)
    assert found.recall == pytest.approx(found.recall_chance) == pytest.approx(3 / 17)
    assert found.ranks.tolist() == [9] * 17


def test_impossible_titles_rank_last_and_tie():
    values = np.zeros((3, 3))
    values[0, 0] = values[0, 1] = -np.inf
    assert retrieval(values).ranks.tolist() == [2.5, 2, 2]


def test_all_pairs_hold_the_own_titles_on_their_diagonal_and_every_rank_in_each_row():
    values = tied_values(13, 3)
    found = retrieval(values, k=4)
    pairs, hits = reciprocal_ranks(values), recalls(values, k=4)
    assert np.diagonal(pairs).mean() == pytest.approx(found.mrr)
    assert np.diagonal(hits).mean() == pytest.approx(found.recall)
    np.testing.assert_allclose(pairs.sum(axis=1), 13 * found.mrr_chance)
    np.testing.assert_allclose(hits.sum(axis=1), 4)


def test_reciprocal_ranks_give_retrieval_an_interval_and_a_p():
    hearing = RNG.normal(size=(31, 31)) + 2 * np.eye(31)
    deaf = hearing[:, RNG.permutation(31)]
    found = against_chance(reciprocal_ranks(hearing), generator=np.random.default_rng(1))
    assert found.low > retrieval(hearing).mrr_chance
    assert found.p < 0.01
    assert against_chance(reciprocal_ranks(deaf), generator=np.random.default_rng(1)).p > 0.05


def test_recall_at_more_than_there_are_titles_is_one_by_chance_too():
    found = retrieval(tied_values(3, 2), k=10)
    assert found.recall == found.recall_chance == 1.0


def test_prior_free_is_the_log_probability_of_the_song_given_the_title():
    values = RNG.normal(size=(7, 7))
    np.testing.assert_allclose(np.exp(prior_free(values)).sum(axis=0), 1.0)
    chances = np.exp(values)
    np.testing.assert_allclose(np.exp(prior_free(values)), chances / chances.sum(axis=0))
    # A title that every song gives e ** -9 more often keeps no lead
    np.testing.assert_allclose(prior_free(values - 9 * np.arange(7.0)), prior_free(values))
    np.testing.assert_allclose(prior_free(np.full((5, 5), -3.0)), -np.log(5))


def test_prior_free_finds_what_a_preference_for_some_titles_hides():
    values = np.eye(11) + 100 * RNG.normal(size=11)
    assert retrieval(values).mrr < 0.5
    assert retrieval(prior_free(values)).mrr == 1.0


def test_a_title_that_is_impossible_for_every_song_stays_so():
    values = np.zeros((3, 3))
    values[:, 1] = -np.inf
    found = prior_free(values)
    assert (found[:, 1] == -np.inf).all()
    np.testing.assert_allclose(found[:, [0, 2]], -np.log(3))


@pytest.mark.parametrize("function", [retrieval, reciprocal_ranks, recalls, prior_free])
def test_what_cannot_be_ranked_is_refused_by_name(function):
    for shape in ((2, 3), (0, 0)):
        with pytest.raises(InputError, match="expected one title for each of at least one song"):
            function(np.zeros(shape))
    values = np.zeros((3, 3))
    values[2, 1] = np.nan
    with pytest.raises(InputError, match="expected numbers, got NaN for song 2 and title 1"):
        function(values)
    if function in (retrieval, recalls):
        with pytest.raises(InputError, match="k: expected at least 1, got 0"):
            function(np.zeros((2, 2)), k=0)
