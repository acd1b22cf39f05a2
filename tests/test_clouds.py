"""Clouds of vectors: maps keep neighbours; what tells two apart says nothing of one population."""

import os

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from songtitle.errors import InputError
from songtitle.metrics import clouds
from songtitle.metrics.chance import permutation_p
from songtitle.metrics.clouds import (
    classifier_auc,
    contained,
    effective_perplexity,
    mixing,
    mixing_test,
    mmd,
    nearest,
    shuffled_labels,
    trustworthiness,
    tsne,
)

ROUNDS = 99
RUNS = 300 if os.environ.get("SONGTITLE_SLOW") else 120
TESTS = {
    "mixing": lambda a, b, dice: mixing_test(a, b, 5, rounds=ROUNDS, generator=dice),
    "auc": lambda a, b, dice: classifier_auc(a, b, folds=3, rounds=ROUNDS, generator=dice),
    "mmd": lambda a, b, dice: mmd(a, b, rounds=ROUNDS, generator=dice),
}


def dice(seed=0):
    return np.random.default_rng(seed)


def cloud(items, dim=5, seed=0, shift=0.0, scale=1.0):
    return dice(seed).normal(shift, scale, size=(items, dim))


def hidden(inside=True):
    """A wide flat cloud and a small one amid it seen from above, beside it or not from the side."""
    wide, small = cloud(211, 3, seed=1), cloud(101, 3, seed=2, scale=0.4)
    height = 0.05
    wide[:, :2] *= 10
    small[:, :2] *= 10
    wide[:, 2] *= height
    small[:, 2] = height * dice(3).normal(size=101) + (0 if inside else 9)
    return wide, small


def planted(generator, direction, items=37, dim=11):
    """A tight cluster of items along one axis."""
    cluster = generator.normal(scale=0.1, size=(items, dim))
    cluster[:, direction] += 1
    return cluster


def test_the_same_seed_gives_the_same_map():
    items = dice().normal(size=(101, 67))
    np.testing.assert_array_equal(tsne(items, seed=3), tsne(items, seed=3))


def test_planted_clusters_stay_apart_in_the_map():
    generator = dice()
    points = tsne(np.concatenate([planted(generator, 2), planted(generator, 5)]))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * 74)
    same_cluster = (distances.argmin(axis=1) < 37) == (np.arange(74) < 37)
    assert same_cluster.all()


def test_another_seed_of_a_random_start_gives_another_layout_of_the_same_neighbourhoods():
    generator = dice()
    items = np.concatenate([planted(generator, 2), planted(generator, 5)])
    maps = [tsne(items, seed=seed, start="random") for seed in (1, 2)]
    assert not np.allclose(*maps, atol=1)
    for points in maps:
        assert mixing(points[:37], points[37:], distance="euclidean") == 0


def test_a_copy_of_the_items_is_a_map_to_trust_wholly_and_a_shuffled_one_is_not():
    generator = dice()
    items = generator.normal(size=(101, 2))
    assert trustworthiness(items, items) == 1
    assert trustworthiness(items, generator.permutation(items)) == pytest.approx(0.5, abs=0.1)


def test_few_items_lower_the_perplexity_of_their_map_and_still_have_one():
    assert [effective_perplexity(30.0, items) for items in (7, 1000)] == [2, 30]
    for items in (5, 31):
        points = tsne(dice().normal(size=(items, 3)))
        assert points.shape == (items, 2)
        assert np.isfinite(points).all()


def test_nearest_equals_a_plain_search_by_cosine():
    items = dice().normal(size=(13, 5))
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    cosine = unit @ unit.T - np.diag([np.inf] * 13)
    np.testing.assert_array_equal(nearest(items, 3), np.argsort(-cosine, axis=1)[:, :3])


def test_scale_counts_by_euclid_and_not_by_cosine():
    items = np.array([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0]])
    assert [nearest(items, 1, distance=how)[0, 0] for how in ("cosine", "euclidean")] == [1, 2]


def test_an_item_is_not_its_own_neighbour_even_among_copies():
    items = np.repeat(dice().normal(size=(3, 5)), 4, axis=0)
    assert (nearest(items, 3) != np.arange(12)[:, None]).all()


@pytest.mark.parametrize(("first", "second"), [(307, 307), (503, 101), (101, 503)])
def test_draws_of_one_distribution_mix_fully(first, second):
    generator = dice()
    first, second = generator.normal(size=(first, 7)), generator.normal(size=(second, 7))
    assert mixing(first, second) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", TESTS)
def test_the_same_seed_gives_the_same_numbers(name):
    first, second = cloud(37), cloud(23, seed=1)
    assert TESTS[name](first, second, dice(3)) == TESTS[name](first, second, dice(3))


def test_planted_clusters_are_apart_by_every_number():
    first, second = cloud(53), cloud(31, seed=1, shift=9.0)
    # By angle neither has a place of its own: Euclidean neighbours.
    mixed = mixing_test(first, second, 5, distance="euclidean", rounds=ROUNDS, generator=dice())
    told = TESTS["auc"](first, second, dice())
    differ = TESTS["mmd"](first, second, dice())
    assert (mixed.value, mixed.high, told.value, told.low) == (0, 0, 1, 1)
    assert mixed.p == told.p == differ.p == 1 / (1 + ROUNDS)
    assert differ.value > 0.5
    assert contained(first, second).value == contained(second, first).value == 0


@pytest.fixture(scope="module")
def null():
    """What each test says of two samples of one population, over many of them."""
    return {
        name: [
            test(cloud(47, 3, seed=2 * run), cloud(31, 3, seed=2 * run + 1), dice(run))
            for run in range(RUNS)
        ]
        for name, test in TESTS.items()
    }


@pytest.mark.parametrize("name", TESTS)
def test_of_one_population_p_is_spread_evenly(name, null):
    spread = dice().random(RUNS) / (1 + ROUNDS)  # p has steps; within a step any value is as good
    p = np.array([found.p for found in null[name]]) - spread
    assert kstest(p, "uniform").pvalue > 0.005


@pytest.mark.parametrize("name", TESTS)
def test_of_one_population_the_mean_is_what_chance_says(name, null):
    values = np.array([found.value for found in null[name]])
    error = values.std() / np.sqrt(RUNS)
    assert abs(values.mean() - null[name][0].chance) < 3 * error


@pytest.mark.parametrize("name", ["mixing", "auc"])
def test_of_one_population_the_interval_holds_chance_about_as_often_as_it_says(name, null):
    held = np.mean([found.low <= found.chance <= found.high for found in null[name]])
    assert held >= 0.9  # the jackknife's may be too wide, neither is too narrow


def test_new_items_of_a_population_are_inside_it_as_often_as_the_level_says():
    found = [
        contained(cloud(97, 3, seed=2 * run), cloud(41, 3, seed=2 * run + 1), level=0.9)
        for run in range(RUNS)
    ]
    assert np.mean([each.value for each in found]) == pytest.approx(0.9, abs=0.02)
    assert np.mean([each.p <= 0.05 for each in found]) <= 0.08


def test_a_cloud_inside_seen_from_above_is_found_beside_in_a_hidden_direction():
    wide, small = hidden(inside=False)
    assert contained(wide[:, :2], small[:, :2]).value > 0.95
    assert mixing(wide[:, :2], small[:, :2], distance="euclidean") > 0.3
    whole = contained(wide, small)
    assert (whole.value, whole.p < 1e-6) == (0, True)
    assert TESTS["auc"](wide, small, dice()).value == 1
    assert TESTS["mmd"](wide, small, dice()).p == 1 / (1 + ROUNDS)


def test_a_cloud_that_is_inside_is_contained_and_does_not_contain():
    wide, small = hidden(inside=True)
    assert contained(wide, small).value > 0.95
    assert contained(small, wide).value < 0.8


def test_of_a_level_and_a_rank_the_radius_is_that_distance_of_the_first_group():
    first = np.array([[0.0], [1.0], [3.0], [7.0]])  # to their nearest: 1, 1, 2, 4
    second = np.array([[9.0], [11.0], [11.1], [-1.0]])
    assert contained(first, second, k=1, level=0.8).value == 3 / 4  # 4 of 4 + 1
    assert contained(first, second, k=1, level=0.6).value == 2 / 4


def test_a_ring_around_a_cloud_is_seen_by_mmd_and_not_by_a_plane():
    ring = cloud(101, 2)
    ring *= 5 / np.linalg.norm(ring, axis=1, keepdims=True)
    inner = cloud(101, 2, seed=1)
    assert TESTS["auc"](ring, inner, dice()).value < 0.65
    assert TESTS["mmd"](ring, inner, dice()).p == 1 / (1 + ROUNDS)


def test_the_discrepancy_is_that_of_plain_loops_and_so_is_its_p():
    first, second = cloud(7, 3), cloud(5, 3, seed=1, shift=0.4)
    pooled = np.concatenate([first, second])
    squares = ((pooled[:, None] - pooled[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * np.median(squares[np.triu_indices(12, 1)])))

    def plain(labels):
        one, two = np.flatnonzero(~labels), np.flatnonzero(labels)
        within = [np.mean([kernel[i, j] for i in g for j in g if i != j]) for g in (one, two)]
        return sum(within) - 2 * np.mean([kernel[i, j] for i in one for j in two])

    found = mmd(first, second, rounds=31, generator=dice(4))
    labels = shuffled_labels(7, 5, rounds=31, generator=dice(4))
    value = plain(np.repeat([False, True], [7, 5]))
    assert found.value == pytest.approx(value)
    assert found.p == permutation_p(value, np.array([plain(each) for each in labels.T]))


def test_of_large_groups_so_many_items_are_compared_and_not_more(monkeypatch):
    seen = []
    real = clouds.pdist
    monkeypatch.setattr(clouds, "pdist", lambda x, how: seen.append(len(x)) or real(x, how))
    mmd(cloud(97), cloud(13, seed=1), at_most=29, rounds=9, generator=dice())
    assert seen == [29 + 13]


def test_the_auc_of_many_columns_is_scikit_learns_of_each():
    scores = np.round(dice().normal(size=(31, 7)), 1)  # ties
    labels = shuffled_labels(19, 12, rounds=7, generator=dice(1))
    expected = [roc_auc_score(labels[:, i], scores[:, i]) for i in range(7)]
    np.testing.assert_allclose(clouds._aucs(scores, labels), expected)


def test_the_variance_of_an_auc_is_that_of_repeated_samples():
    labels = np.repeat([False, True], [41, 29])
    runs = dice().normal(size=(2000, 70)) + 0.8 * labels
    aucs = clouds._aucs(runs.T, np.tile(labels[:, None], 2000))
    said = np.mean([clouds._delong_variance(scores, labels) for scores in runs[:300]])
    assert said == pytest.approx(aucs.var(), rel=0.12)


def test_mixing_tested_is_mixing_and_its_p_that_of_plain_loops():
    first, second = cloud(23, 3), cloud(11, 3, seed=1, shift=0.4)
    found = mixing_test(first, second, 5, rounds=41, generator=dice(6))
    neighbours = nearest(np.concatenate([first, second]), 5)
    labels = shuffled_labels(23, 11, rounds=41, generator=dice(6))

    def plain(called):
        return np.mean(~called[neighbours[called]]) * 33 / 23

    assert found.value == pytest.approx(mixing(first, second, 5))
    assert found.value == pytest.approx(plain(np.arange(34) >= 23))
    shuffled = -np.array([plain(each) for each in labels.T])
    assert found.p == permutation_p(-found.value, shuffled, rounding=1e-9)


def test_the_jackknife_leaves_out_each_item_in_turn():
    first, second = cloud(13, 3), cloud(7, 3, seed=1)
    found = mixing_test(first, second, 3, rounds=9, generator=dice())
    left = [
        [mixing(np.delete(first, i, axis=0), second, 3) for i in range(13)],
        [mixing(first, np.delete(second, i, axis=0), 3) for i in range(7)],
    ]
    variance = sum((len(each) - 1) * np.var(each) for each in left)
    assert found.high - found.value == pytest.approx(1.96 * np.sqrt(variance), rel=1e-4)


@pytest.mark.parametrize("name", [*TESTS, "contained"])
def test_groups_that_are_not_finite_are_refused(name):
    ask = TESTS.get(name, lambda a, b, _: contained(a, b))
    with pytest.raises(
        InputError, match=r"expected finite values, got NaN or infinity in 13 of 13"
    ):
        ask(cloud(17), np.full((13, 5), np.nan), dice())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: classifier_auc(cloud(17), cloud(3), generator=dice()), r"^classifier: .* 5$"),
        (lambda: classifier_auc(cloud(17), cloud(13), folds=1, generator=dice()), r"^folds: "),
        (lambda: mmd(cloud(17), cloud(1), generator=dice()), r"^MMD: .*got 17 and 1"),
        (
            lambda: clouds._check_groups(cloud(17), cloud(13, 3), "MMD"),
            r"^MMD: .* got 5 and 3; widen",
        ),
        (lambda: mmd(np.ones((7, 3)), np.ones((5, 3)), generator=dice()), r"^MMD: .* differ"),
        (lambda: mmd(cloud(17), cloud(5), rounds=0, generator=dice()), r"^rounds: "),
        (lambda: mixing(np.eye(5), np.empty((0, 5))), r"^mixing: .*got 5 and 0"),
        (lambda: nearest(np.eye(7), 0), r"expected k from 1 to 6 for 7 items, got 0"),
        (lambda: nearest(np.eye(7), 7), r"expected k from 1 to 6 for 7 items, got 7"),
        (lambda: trustworthiness(np.eye(4), np.eye(4)[:, :2]), r"^trustworthiness: .*got 4 for 4"),
        (lambda: trustworthiness(np.eye(13), np.eye(11)[:, :2]), r"^trust.*got 11 for 13"),
        (lambda: tsne(np.ones((4, 3))), r"^t-SNE: expected at least 5 items"),
        (lambda: tsne(np.eye(7)[:, :1]), r"^t-SNE: expected at least 5 items of 2 dim"),
        (lambda: tsne(np.ones((7, 3))), r"^t-SNE: expected items that differ"),
        (lambda: tsne(np.full((7, 3), np.nan)), r"^t-SNE: expected finite values"),
        (lambda: contained(cloud(5), cloud(7), k=5), r"^contained: expected k from 1 to 4"),
        (lambda: contained(cloud(17), cloud(7), level=1.0), r"^level: "),
    ],
)
def test_what_cannot_be_measured_is_refused(ask, words):
    with pytest.raises(InputError, match=words):
        ask()


def test_groups_of_whole_series_of_one_population_are_told_apart_by_items_and_not_by_series():
    draw, rejected = np.random.default_rng(5), []
    series = [f"s{place // 5}" for place in range(150)]
    for _ in range(300):
        items = np.repeat(draw.normal(size=(30, 4)), 5, axis=0) + draw.normal(0, 0.3, (150, 4))
        row = []
        for its in (series, None):
            more = {"series": its, "rounds": 39, "generator": draw}
            row.append(clouds.mixing_test(items[:100], items[100:], 5, **more).p <= 0.05)
            row.append(clouds.mmd(items[:100], items[100:], **more).p <= 0.05)
        rejected.append(row)
    by_series, by_items = np.split(np.mean(rejected, axis=0), 2)
    assert by_series.max() < 0.05 + 3 * 0.013
    assert by_items.min() > 0.5


def test_a_classifier_is_not_judged_on_series_that_it_was_fitted_to():
    draw, found = np.random.default_rng(6), []
    series = [f"s{place // 10}" for place in range(200)]
    for _ in range(20):
        items = np.repeat(draw.normal(size=(20, 30)), 10, axis=0) + draw.normal(0, 0.1, (200, 30))
        more = {"rounds": 19, "generator": draw}
        both = items[:100], items[100:]
        found.append([clouds.classifier_auc(*both, series=its, **more) for its in (series, None)])
    by_series, by_items = np.array([[each.value for each in row] for row in found]).mean(axis=0)
    assert by_items > 0.95
    assert by_series == pytest.approx(0.5, abs=0.12)
    assert np.mean([row[0].p <= 0.05 for row in found]) <= 0.2


def test_a_series_in_both_groups_is_refused():
    items, series = np.eye(8), list("aabbbbcc")
    with pytest.raises(InputError, match="series: expected each within one group, got 1 in both"):
        clouds.mixing_test(
            items[:4], items[4:], 2, series=series, generator=np.random.default_rng()
        )
