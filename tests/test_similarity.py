import numpy as np
import pytest

from songtitle.errors import InputError
from songtitle.metrics.clouds import effective_perplexity, mixing, nearest, trustworthiness, tsne


def planted(generator, direction, items=37, dim=11):
    """A tight cluster of items along one axis."""
    cluster = generator.normal(scale=0.1, size=(items, dim))
    cluster[:, direction] += 1
    return cluster


def test_the_same_seed_gives_the_same_map():
    items = np.random.default_rng(0).normal(size=(101, 67))
    np.testing.assert_array_equal(tsne(items, seed=3), tsne(items, seed=3))


def test_planted_clusters_stay_apart_in_the_map():
    generator = np.random.default_rng(0)
    points = tsne(np.concatenate([planted(generator, 2), planted(generator, 5)]))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * 74)
    same_cluster = (distances.argmin(axis=1) < 37) == (np.arange(74) < 37)
    assert same_cluster.all()


def test_another_seed_of_a_random_start_gives_another_layout_of_the_same_neighbourhoods():
    generator = np.random.default_rng(0)
    items = np.concatenate([planted(generator, 2), planted(generator, 5)])
    maps = [tsne(items, seed=seed, start="random") for seed in (1, 2)]
    assert not np.allclose(*maps, atol=1)
    for points in maps:
        assert mixing(points[:37], points[37:], distance="euclidean") == 0


def test_a_copy_of_the_items_is_a_map_to_trust_wholly_and_a_shuffled_one_is_not():
    generator = np.random.default_rng(0)
    items = generator.normal(size=(101, 2))
    assert trustworthiness(items, items) == 1
    assert trustworthiness(items, generator.permutation(items)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("items", "points"), [(4, 4), (13, 11)])
def test_a_map_of_other_items_has_no_trustworthiness(items, points):
    with pytest.raises(InputError, match=rf"^trustworthiness: .*got {points} for {items}"):
        trustworthiness(np.eye(items), np.eye(points)[:, :2])


@pytest.mark.parametrize(("items", "used"), [(7, 2), (1000, 30)])
def test_few_items_lower_the_perplexity_of_their_map(items, used):
    assert effective_perplexity(30.0, items) == used


@pytest.mark.parametrize("items", [5, 7, 31])
def test_few_items_still_have_a_map(items):
    points = tsne(np.random.default_rng(0).normal(size=(items, 3)))
    assert points.shape == (items, 2)
    assert np.isfinite(points).all()


def test_nearest_equals_a_plain_search_by_cosine():
    items = np.random.default_rng(0).normal(size=(13, 5))
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    cosine = unit @ unit.T - np.diag([np.inf] * 13)
    np.testing.assert_array_equal(nearest(items, 3), np.argsort(-cosine, axis=1)[:, :3])


def test_nearest_by_euclid_looks_at_length_too():
    items = np.array([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0]])
    assert nearest(items, 1)[0, 0] == 1
    assert nearest(items, 1, distance="euclidean")[0, 0] == 2


def test_scaling_an_item_leaves_its_neighbours_alone():
    generator = np.random.default_rng(0)
    items = generator.normal(size=(13, 5))
    scaled = items * generator.uniform(0.5, 50, size=(13, 1))
    np.testing.assert_array_equal(nearest(items, 3), nearest(scaled, 3))


def test_an_item_is_not_its_own_neighbour_even_among_copies():
    items = np.repeat(np.random.default_rng(0).normal(size=(3, 5)), 4, axis=0)
    assert (nearest(items, 3) != np.arange(12)[:, None]).all()


def test_planted_clusters_do_not_mix():
    generator = np.random.default_rng(0)
    assert mixing(planted(generator, 2), planted(generator, 5)) < 0.02


@pytest.mark.parametrize(("first", "second"), [(307, 307), (503, 101), (101, 503)])
def test_draws_of_one_distribution_mix_fully(first, second):
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(first, 7)), generator.normal(size=(second, 7))
    assert mixing(first, second) == pytest.approx(1, abs=0.1)


def test_a_group_contained_in_a_part_of_the_other_mixes_far_more_than_one_apart():
    generator = np.random.default_rng(0)
    inside = planted(generator, 2, items=101)
    around = np.concatenate([planted(generator, 2, items=101), planted(generator, 5, items=101)])
    assert mixing(around, inside) > 0.5


@pytest.mark.parametrize(
    "items",
    [np.ones((4, 3)), np.ones((7, 3)), np.eye(7)[:, :1], np.full((7, 3), np.nan)],
    ids=["too few", "all alike", "one dimension", "not finite"],
)
def test_items_without_a_map_are_refused(items):
    with pytest.raises(InputError, match=r"^t-SNE: expected"):
        tsne(items)


@pytest.mark.parametrize("k", [0, 7])
def test_an_impossible_k_is_refused(k):
    with pytest.raises(InputError, match="expected k from 1 to 6"):
        nearest(np.eye(7), k)


def test_an_empty_group_is_refused():
    with pytest.raises(InputError, match="got 5 and 0"):
        mixing(np.eye(5), np.empty((0, 5)))
