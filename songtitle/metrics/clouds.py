"""Clouds: how near songs and pictures lie to each other in the space that feeds the decoder.

Maps show it, numbers say it: `mixing` among nearest neighbours, a classifier's `classifier_auc`,
the discrepancy of densities `mmd`, and `contained`, the share of one group inside the other.
Where `series` names each item's, those of the first group first, labels are shuffled by series:
items of one lie near each other whatever their group.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform
from scipy.stats import betabinom, binomtest, rankdata

from songtitle.errors import expect
from songtitle.metrics.chance import Series, check_rounds, numbered_series, permutation_p

Z95 = 1.959963984540054  # of a normal distribution, 95 % lies within so many deviations
ROUNDING = 1e-9  # by which sums over many pairs may differ

Distance = Literal["cosine", "euclidean"]
Embeddings = Float[np.ndarray, "items dim"]
First = Float[np.ndarray, "first dim"]
Second = Float[np.ndarray, "second dim"]
Dice = np.random.Generator


@dataclass(frozen=True)
class Measured:
    """A number about two groups, beside what it would be if both came from one population."""

    value: float
    low: float | None  # 95 % interval; None where there is none
    high: float | None
    chance: float  # what two samples of one population give on average
    p: float  # the share of shuffled labels (or of samples) that look at least as much apart


def tsne(
    embeddings: Embeddings,
    *,
    perplexity: float = 30.0,
    seed: int = 0,
    start: Literal["pca", "random"] = "pca",
) -> Float[np.ndarray, "items 2"]:
    """A t-SNE map of the items in the plane; its coordinates have no unit.

    From the first two principal components the same seed gives the same map; a random start shows
    which of the layout is chance. Neighbourhoods can be trusted; distances between clusters and
    their sizes cannot. Raises InputError for fewer than 5 items, a single dimension, values that
    are not finite and items that are all alike. Source: van der Maaten and Hinton 2008.
    """
    _check_finite(embeddings, "t-SNE")
    items, dim = embeddings.shape
    expect(
        items >= 5 and dim >= 2,
        f"t-SNE: expected at least 5 items of 2 dimensions, got {items} of {dim}; give more items",
    )
    expect(
        np.ptp(embeddings, axis=0).max() > 0,
        "t-SNE: expected items that differ, got the same vector for all; check the encoder",
    )
    from sklearn import manifold  # a second to load, as all of scikit-learn

    projection = manifold.TSNE(
        perplexity=effective_perplexity(perplexity, items),
        init=start,
        learning_rate="auto",
        angle=0.3,  # nearer to the exact gradient than scikit-learn's 0.5: a lower divergence
        random_state=seed,
    )
    return projection.fit_transform(embeddings)


def effective_perplexity(perplexity: float, items: int) -> float:
    """The perplexity of a map of so many items: t-SNE looks at three times as many neighbours."""
    return min(perplexity, (items - 1) / 3)


def trustworthiness(
    embeddings: Embeddings, points: Float[np.ndarray, "points plane"], *, k: int = 10
) -> float:
    """How far the neighbourhoods of a map are those of the items: 1 wholly, about 0.5 at random.

    Each of a point's `k` nearest that is not among the item's costs as many ranks as it is too far
    (Euclidean); `k` is lowered to below half of the items. Raises InputError for fewer than 5
    items. Source: Venna and Kaski 2001.
    """
    _check_finite(embeddings, "trustworthiness")
    items = len(embeddings)
    expect(
        items >= 5 and len(points) == items,
        "trustworthiness: expected a point for each of at least 5 items, "
        f"got {len(points)} for {items}; give the map of these items",
    )
    from sklearn import manifold

    return float(manifold.trustworthiness(embeddings, points, n_neighbors=min(k, (items - 1) // 2)))


def nearest(
    embeddings: Embeddings, k: int, *, distance: Distance = "cosine"
) -> Int[np.ndarray, "items {k}"]:
    """The `k` nearest other items of each item, nearest first; a copy of it may be one.

    Raises InputError for a `k` below 1 or not below the number of items.
    """
    _check_finite(embeddings, "nearest neighbours")
    _check_k("nearest neighbours", k, len(embeddings))
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, metric=distance).fit(embeddings)
    return index.kneighbors(return_distance=False)


def mixing(first: First, second: Second, k: int = 10, *, distance: Distance = "cosine") -> float:
    """How much `second` lies within `first`: 0 apart, 1 as in a random mixture of the two.

    The share of the `k` nearest neighbours (in the two pooled) of the items of `second` that belong
    to `first`, divided by what shuffled labels give on average. Above 1 the items of `second` are
    scattered among those of `first`; contained in a small part of `first`, and dense there, they
    read below 1. Not symmetric.
    """
    _check_groups(first, second, "mixing")
    neighbours = nearest(np.concatenate([first, second]), k, distance=distance)
    foreign = neighbours[len(first) :] < len(first)
    return float(foreign.sum() * _scale(len(first), len(second), k))


def mixing_test(
    first: First,
    second: Second,
    k: int = 10,
    *,
    distance: Distance = "cosine",
    series: Series = None,
    rounds: int = 999,
    generator: np.random.Generator,
) -> Measured:
    """`mixing` with a 95 % interval and the share of shuffled labels that mix as little.

    The interval is the jackknife's over the items of either group, cut at 0, and rather too wide
    than too narrow. `k` is at most two less than the items. Sources: Schilling 1986, "Multivariate
    two-sample tests based on nearest neighbors"; Efron and Stein 1981.
    """
    _check_groups(first, second, "mixing")
    neighbours = nearest(np.concatenate([first, second]), k + 1, distance=distance)
    value, deviation = _jackknifed(neighbours, len(first))
    items = len(neighbours)
    rows = np.repeat(np.arange(items), k)
    graph = csr_array((np.ones(items * k), (rows, neighbours[:, :k].ravel())), shape=(items, items))
    labels = shuffled_labels(
        len(first), len(second), series=series, rounds=rounds, generator=generator
    )
    called = labels.astype(float)
    foreign = (called * (k - graph @ called)).sum(axis=0)  # neighbours of the other name
    counts = called.sum(axis=0)
    p = permutation_p(-value, -foreign * _scale(items - counts, counts, k), rounding=ROUNDING)
    reach = Z95 * deviation
    return Measured(value, max(0.0, value - reach), value + reach, 1.0, p)


def classifier_auc(
    first: First,
    second: Second,
    *,
    folds: int = 5,
    series: Series = None,
    rounds: int = 199,
    generator: np.random.Generator,
) -> Measured:
    """How well a linear classifier tells the groups apart on items that it has not seen.

    AUC: the probability that it puts an item of `second` above one of `first`, averaged over
    `folds` parts, each judged by a plane fitted to the others: ridge regression of the labels on
    standardised vectors, its penalty the number of dimensions. A difference of spread alone escapes
    it; `mmd` sees that. The interval rests on DeLong's variance of each part, widened since parts
    share what their planes were fitted to. No series is in two parts. p comes from shuffled labels,
    *with all planes fitted anew*. Raises InputError for groups of fewer series than `folds`, or
    below two folds.
    Sources: Lopez-Paz and Oquab 2017; DeLong et al. 1988; Nadeau and Bengio 2003.
    """
    expect(folds >= 2, f"folds: expected at least 2, got {folds}; 5 are usual")
    _check_groups(first, second, "classifier", at_least=folds)
    numbers = _series_of(first, second, series, "classifier", at_least=folds)
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import scale

    vectors = scale(np.concatenate([first, second]).astype(float))
    truth = np.repeat([False, True], [len(first), len(second)])
    seed = int(generator.integers(2**31))
    deal = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = list(deal.split(vectors, truth, numbers))
    mixed = shuffled_labels(
        len(first), len(second), series=series, rounds=rounds, generator=generator
    )
    labels = np.concatenate([truth[:, None], mixed], axis=1)
    aucs, variance = [], 0.0
    for seen, held in parts:
        plane = Ridge(alpha=float(vectors.shape[1])).fit(vectors[seen], labels[seen].astype(float))
        found = plane.predict(vectors[held])
        aucs.append(_aucs(found, labels[held]))
        variance += _delong_variance(found[:, 0], truth[held]) / folds
    mean = np.nanmean(aucs, axis=0)  # of the parts in which a shuffle left items of both names
    # The parts share what they were fitted to, so their mean varies by more than 1 / folds of a
    # part's variance: Nadeau and Bengio 2003, eq. 8, adds held / fitted.
    variance *= 1 / folds + 1 / (folds - 1)
    value, reach = float(mean[0]), Z95 * float(np.sqrt(variance))
    p = permutation_p(value, mean[1:], rounding=ROUNDING)
    return Measured(value, max(0.0, value - reach), min(1.0, value + reach), 0.5, p)


def mmd(
    first: First,
    second: Second,
    *,
    at_most: int = 1000,
    series: Series = None,
    rounds: int = 999,
    generator: np.random.Generator,
) -> Measured:
    """The squared maximum mean discrepancy of the groups: how far apart their densities are.

    0 on average where both are of one population (unbiased, so it may be negative), at most 2.
    Kernel exp(-d^2 / (2 s^2)) with s the median distance of pooled items: a common scale or shift
    changes nothing. Of a group of more than `at_most` items so many are drawn. Raises InputError
    for groups of fewer than two items and where more than half of all distances are 0. Source:
    Gretton et al. 2012, lemma 6 and section 8.
    """
    _check_groups(first, second, "MMD", at_least=2)
    numbers = _series_of(first, second, series, "MMD", at_least=2)
    kept = [
        np.sort(generator.choice(len(each), at_most, replace=False))
        if len(each) > at_most
        else np.arange(len(each))
        for each in (first, second)
    ]
    groups = [first[kept[0]], second[kept[1]]]
    numbers = numbers[np.concatenate([kept[0], len(first) + kept[1]])]
    distances = pdist(np.concatenate(groups).astype(float), "sqeuclidean")
    median = float(np.median(distances))
    expect(median, "MMD: expected items that differ, got the same for most; check the encoder")
    kernel = squareform(np.exp(-distances / (2 * median)))  # its diagonal, left out, is 0
    m, n = len(groups[0]), len(groups[1])
    truth = np.repeat([False, True], [m, n])[:, None]
    mixed = shuffled_labels(m, n, series=numbers.tolist(), rounds=rounds, generator=generator)
    called = np.concatenate([truth, mixed], axis=1).astype(float)
    n = called.sum(axis=0)
    m = len(called) - n
    # A sum over pairs within a group, or across, is a product with the kernel: all rounds at once.
    within_second = (called * (kernel @ called)).sum(axis=0)
    across = kernel.sum(axis=0) @ called - within_second
    within_first = kernel.sum() - 2 * across - within_second
    values = within_first / np.maximum(m * (m - 1), 1) + within_second / np.maximum(n * (n - 1), 1)
    values -= 2 * across / (m * n)
    p = permutation_p(values[0], values[1:], rounding=ROUNDING)
    return Measured(float(values[0]), None, None, 0.0, p)


def contained(first: First, second: Second, *, k: int = 5, level: float = 0.95) -> Measured:
    """The share of `second` that lies where `first` is (Euclidean, so a direction counts by its
    spread).

    An item is inside when its distance to the `k`-th nearest item of `first` is no more than what
    the share `level` of the items of `first` keep among themselves: as often as new items of the
    population of `first` are (chance). The interval is Wilson's, the radius taken as it is; p, that
    so few new items are inside, is beta-binomial (Wilks 1941). Raises InputError for a `k` not
    below the items of `first` or a `level` outside (0, 1). After Kynkaanniemi et al. 2019, whose
    support is a ball around each item; one radius for all keeps few items in thin parts from
    reaching far.
    """
    _check_groups(first, second, "contained")
    _check_k("contained", k, len(first))
    expect(0 < level < 1, f"level: expected a share between 0 and 1 such as 0.95, got {level}")
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k).fit(first)
    own = np.sort(index.kneighbors()[0][:, -1])
    rank = min(len(own), ceil(level * (len(own) + 1)))
    inside = int(np.sum(index.kneighbors(second)[0][:, -1] <= own[rank - 1]))
    found = betabinom(len(second), rank, len(own) + 1 - rank)
    interval = binomtest(inside, len(second)).proportion_ci(method="wilson")
    low, high, p = map(float, (*interval, found.cdf(inside)))
    return Measured(inside / len(second), low, high, level, p)


def shuffled_labels(
    first: int,
    second: int,
    *,
    series: Series = None,
    rounds: int,
    generator: np.random.Generator,
) -> Bool[np.ndarray, "items {rounds}"]:
    """Which of the pooled items are called second's, by round: random orders of the true labels,
    each series under one. Raises InputError for a series in both groups."""
    check_rounds(rounds)
    numbers = numbered_series(series, first + second)
    both = np.intersect1d(numbers[:first], numbers[first:])
    expect(
        not len(both),
        f"series: expected each within one group, got {len(both)} in both; split by series",
    )
    labels = np.zeros(numbers.max() + 1, dtype=bool)
    labels[numbers[first:]] = True
    return generator.permuted(np.tile(labels[:, None], rounds), axis=0)[numbers]


def _series_of(
    first: np.ndarray, second: np.ndarray, series: Series, about: str, *, at_least: int
) -> Int[np.ndarray, " items"]:
    """Number the series, of which either group has to have some."""
    numbers = numbered_series(series, len(first) + len(second))
    counts = [len(np.unique(each)) for each in np.split(numbers, [len(first)])]
    expect(
        min(counts) >= at_least,
        f"{about}: expected at least {at_least} series in either group, got {counts[0]} and "
        f"{counts[1]}; give more",
    )
    return numbers


def _scale(first: Any, second: Any, k: int) -> Any:
    """What makes a count of neighbours 1 on average where labels are shuffled."""
    return (first + second - 1) / (first * second * k)


def _jackknifed(neighbours: Int[np.ndarray, "items more"], first: int) -> tuple[float, float]:
    """The mixing of all but the last neighbours, and its standard error over both groups.

    Without an item, whoever had it among the nearest has one more: the last of the row.
    """
    items, k = len(neighbours), neighbours.shape[1] - 1
    near, spare = neighbours[:, :k], neighbours[:, k] < first
    in_second = np.arange(items) >= first
    count = (near < first).sum(axis=1) * in_second  # what each item of second contributes
    gained = np.zeros(items)  # by the others of second, when an item is left out
    change = spare[:, None].astype(float) - (near < first)
    np.add.at(gained, near[first:].ravel(), change[first:].ravel())
    without = count.sum() - count + gained
    variance = 0.0
    for group in (~in_second, in_second):
        if group.sum() > 1:  # sizes of first and second without one of the group
            scale = _scale(first - int(group[0]), items - first - int(group[-1]), k)
            left = without[group] * scale
            variance += (len(left) - 1) * float(left.var())
    return float(count.sum() * _scale(first, items - first, k)), float(np.sqrt(variance))


def _aucs(
    scores: Float[np.ndarray, "held columns"], labels: Bool[np.ndarray, "held columns"]
) -> Float[np.ndarray, " columns"]:
    """The AUC of each column from rank sums (Mann and Whitney 1947); ties count half."""
    positive = labels.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * labels).sum(axis=0) - positive * (positive + 1) / 2
    pairs = positive * (len(labels) - positive)
    return np.where(pairs > 0, ranks / np.maximum(pairs, 1), np.nan)


def _delong_variance(
    scores: Float[np.ndarray, " held"], second: Bool[np.ndarray, " held"]
) -> float:
    """The variance of an AUC, from how each item stands among those of the other group."""
    higher = scores[second][:, None] - scores[~second][None]
    wins = (higher > 0) + 0.5 * (higher == 0)
    places = [places for places in (wins.mean(axis=0), wins.mean(axis=1)) if len(places) > 1]
    return sum(float(each.var(ddof=1)) / len(each) for each in places)


def _check_groups(first: np.ndarray, second: np.ndarray, about: str, *, at_least: int = 1) -> None:
    """Refuse groups that are too small, not finite, or not of one width."""
    expect(
        min(len(first), len(second)) >= at_least,
        f"{about}: expected items in both groups, got {len(first)} and {len(second)}; "
        f"give each at least {at_least}",
    )
    expect(
        first.shape[1] == second.shape[1],
        f"{about}: expected vectors of one width in both groups, got {first.shape[1]} and "
        f"{second.shape[1]}; widen one",
    )
    for group in (first, second):
        _check_finite(group, about)


def _check_finite(embeddings: np.ndarray, about: str) -> None:
    """Refuse NaN and infinity, saying in how many items."""
    bad = int((~np.isfinite(embeddings)).any(axis=1).sum())
    expect(
        not bad,
        f"{about}: expected finite values, got NaN or infinity in {bad} of "
        f"{len(embeddings)} items; leave them out",
    )


def _check_k(about: str, k: int, items: int) -> None:
    expect(
        1 <= k < items,
        f"{about}: expected k from 1 to {items - 1} for {items} items, got {k}; "
        "lower k or give more items",
    )
