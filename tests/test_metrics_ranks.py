from functools import partial
from itertools import permutations

import numpy as np
import pytest

from songtitle.errors import InputError
from songtitle.metrics.chance import against_chance
from songtitle.metrics.pairs import (
    best_dealing,
    prior_free,
    recalls,
    reciprocal_ranks,
    unigram_pair_scores,
)

RNG = np.random.default_rng(0)


def tied_values(songs, levels):
    """Likelihoods of few levels, so that many titles tie."""
    return -RNG.integers(1, levels + 1, size=(songs, songs)).astype(float)


def own(pairs):
    """The mean of the own titles: the MRR, or the recall."""
    return np.diagonal(pairs).mean()


def mrr_by_chance(songs):
    return np.mean(1 / np.arange(1, songs + 1))


def test_ranks_by_hand():
    values = np.log(np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.7, 0.2, 0.1]]))
    assert np.diagonal(reciprocal_ranks(values)) == pytest.approx([1, 1 / 2, 1 / 3])
    assert np.diagonal(recalls(values, k=2)).tolist() == [1, 1, 0]


def test_a_model_that_hears_ranks_every_title_first():
    values = RNG.normal(size=(23, 23)) + 100 * np.eye(23)
    assert (np.diagonal(reciprocal_ranks(values)) == 1).all()
    assert (np.diagonal(recalls(values, k=1)) == 1).all()


@pytest.mark.parametrize("songs", [2, 3, 4, 5])
@pytest.mark.parametrize("levels", [1, 2, 1000])
def test_chance_is_the_mean_over_every_pairing_whatever_the_titles_and_their_ties(songs, levels):
    values = tied_values(songs, levels)
    values[:, 0] += 7  # a title that every song prefers
    pairings = [values[:, list(order)] for order in permutations(range(songs))]
    mrrs = [own(reciprocal_ranks(paired)) for paired in pairings]
    assert np.mean(mrrs) == pytest.approx(mrr_by_chance(songs))
    for k in range(1, songs + 1):
        found = [own(recalls(paired, k=k)) for paired in pairings]
        assert np.mean(found) == pytest.approx(k / songs)


def test_ties_count_as_every_order_of_them_equally_likely():
    values = tied_values(5, 2)
    # Every order: an offset too small to move what is not tied
    offsets = [1e-6 * np.array(order) for order in permutations(range(5))]
    for measure in (reciprocal_ranks, partial(recalls, k=2)):
        broken = np.mean([measure(values + offset) for offset in offsets], axis=0)
        np.testing.assert_allclose(measure(values), broken)


def test_a_model_that_tells_no_title_from_another_is_at_chance_exactly():
    np.testing.assert_allclose(reciprocal_ranks(np.zeros((17, 17))), mrr_by_chance(17))
    np.testing.assert_allclose(recalls(np.zeros((17, 17)), k=3), 3 / 17)


def test_impossible_titles_rank_last_and_tie():
    values = np.zeros((3, 3))
    values[0, 0] = values[0, 1] = -np.inf
    found = reciprocal_ranks(values)
    assert found[0] == pytest.approx([(1 / 2 + 1 / 3) / 2, (1 / 2 + 1 / 3) / 2, 1])


def test_each_row_holds_every_rank_once():
    values = tied_values(13, 3)
    np.testing.assert_allclose(reciprocal_ranks(values).sum(axis=1), 13 * mrr_by_chance(13))
    np.testing.assert_allclose(recalls(values, k=4).sum(axis=1), 4)


def test_reciprocal_ranks_give_retrieval_an_interval_and_a_p():
    hearing = RNG.normal(size=(31, 31)) + 2 * np.eye(31)
    deaf = hearing[:, RNG.permutation(31)]
    found = against_chance(reciprocal_ranks(hearing), generator=np.random.default_rng(1))
    assert found.low > mrr_by_chance(31)
    assert found.p < 0.01
    assert against_chance(reciprocal_ranks(deaf), generator=np.random.default_rng(1)).p > 0.05


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
    assert own(reciprocal_ranks(values)) < 0.5
    assert own(reciprocal_ranks(prior_free(values))) == 1.0


def test_a_title_that_is_impossible_for_every_song_stays_so():
    values = np.zeros((3, 3))
    values[:, 1] = -np.inf
    found = prior_free(values)
    assert (found[:, 1] == -np.inf).all()
    np.testing.assert_allclose(found[:, [0, 2]], -np.log(3))


@pytest.mark.parametrize("function", [reciprocal_ranks, recalls, prior_free])
def test_what_cannot_be_ranked_is_refused_by_name(function):
    for shape in ((2, 3), (0, 0)):
        with pytest.raises(InputError, match="expected one title for each of at least one song"):
            function(np.zeros(shape))
    values = np.zeros((3, 3))
    values[2, 1] = np.nan
    with pytest.raises(InputError, match="expected numbers, got NaN for song 2 and title 1"):
        function(values)
    if function is recalls:
        with pytest.raises(InputError, match="k: expected at least 1, got 0"):
            function(np.zeros((2, 2)), k=0)


def test_no_dealing_of_equal_outputs_scores_more_than_chance():
    pairs = np.tile(np.random.default_rng(0).random(23), (23, 1))
    assert best_dealing(pairs) == pytest.approx(pairs.mean())


def test_a_perfect_captioner_whose_outputs_were_permuted_has_its_ceiling_at_1():
    titles = [["reel", str(number)] for number in range(31)]
    said = [titles[place] for place in np.random.default_rng(0).permutation(31)]
    assert best_dealing(unigram_pair_scores(said, titles)) == 1


def test_the_ceiling_is_the_best_of_all_dealings():
    pairs = np.random.default_rng(1).random((5, 5))
    every = [pairs[np.arange(5), order].mean() for order in permutations(range(5))]
    assert best_dealing(pairs) == pytest.approx(max(every))
