"""Separation: can two groups of vectors be told apart, and does one lie where the other is?"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.distance import pdist, squareform
from scipy.stats import betabinom, binomtest, rankdata
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from songtitle.errors import InputError
from songtitle.similarity.labels import (
    Z95,
    Measured,
    check_groups,
    share_as_extreme,
    shuffled_labels,
)

First = Float[np.ndarray, "first dim"]
Second = Float[np.ndarray, "second dim"]


def classifier_auc(
    first: First,
    second: Second,
    *,
    folds: int = 5,
    rounds: int = 199,
    generator: np.random.Generator,
) -> Measured:
    """How well a linear classifier tells the groups apart on items that it has not seen.

    AUC: the probability that it puts an item of `second` above one of `first`; 0.5 is chance, 1
    tells every one. Each of `folds` parts is judged by a plane fitted to the others: ridge
    regression of the labels on standardised vectors, which is Fisher's discriminant, with a
    penalty of as many units as there are numbers in a vector. The AUCs of the parts are averaged.

    The interval rests on DeLong's variance of each part, widened since parts share the items that
    their planes were fitted to (Nadeau and Bengio 2003). p comes from labels shuffled within the
    parts, *with all planes fitted anew*: least squares fits every round at once. It is spread
    evenly over (0, 1] where both groups are of one population. A linear classifier sees no
    difference of spread alone; `mmd` does.

    Raises `InputError` for groups smaller than `folds` or below two folds.
    Sources: Lopez-Paz and Oquab 2017; DeLong et al. 1988.
    """
    if folds < 2:
        msg = f"folds: expected at least 2, got {folds}; 5 are usual"
        raise InputError(msg)
    check_groups(first, second, "classifier", at_least=folds)
    vectors = np.concatenate([first, second]).astype(float)
    spread = vectors.std(axis=0)
    vectors = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    truth = np.repeat([False, True], [len(first), len(second)])
    seed = int(generator.integers(2**31))
    parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(vectors, truth))
    labels = np.tile(truth[:, None], 1 + rounds)  # the true ones, then a column for each round
    for _, held in parts:
        counts = [int(np.sum(~truth[held])), int(np.sum(truth[held]))]
        labels[held] = truth[held, None]
        mixed = shuffled_labels(*counts, rounds=rounds, generator=generator)
        labels[np.ix_(held, np.arange(1, 1 + rounds))] = mixed
    aucs, variance = [], 0.0
    for seen, held in parts:
        plane = Ridge(alpha=float(vectors.shape[1])).fit(vectors[seen], labels[seen].astype(float))
        found = plane.predict(vectors[held])
        aucs.append(_aucs(found, labels[held]))
        variance += _delong_variance(found[:, 0], truth[held]) / folds
    mean = np.mean(aucs, axis=0)
    # The parts share what they were fitted to, so their mean varies by more than 1 / folds of a
    # part's variance: Nadeau and Bengio 2003, eq. 8, adds held / fitted.
    variance *= 1 / folds + 1 / (folds - 1)
    value, reach = float(mean[0]), Z95 * float(np.sqrt(variance))
    p = share_as_extreme(value, mean[1:])
    return Measured(value, max(0.0, value - reach), min(1.0, value + reach), 0.5, p)


def mmd(
    first: First,
    second: Second,
    *,
    at_most: int = 1000,
    rounds: int = 999,
    generator: np.random.Generator,
) -> Measured:
    """The squared maximum mean discrepancy of the groups: how far apart their densities are.

    0 on average where both are of one population (the estimate is unbiased, so it may be
    negative), at most 2. Kernel exp(-d^2 / (2 s^2)) with s the median distance of pooled items, so
    a common scale or shift changes nothing. p is the share of shuffled labels that give as much;
    there is no interval. Of a group of more than `at_most` items so many are drawn. Raises
    `InputError` for groups of fewer than two items and where more than half of all distances are 0.

    Source: Gretton et al. 2012, "A kernel two-sample test", lemma 6 and section 8.
    """
    check_groups(first, second, "MMD", at_least=2)
    groups = [_some(group, at_most, generator) for group in (first, second)]
    distances = pdist(np.concatenate(groups).astype(float), "sqeuclidean")
    median = float(np.median(distances))
    if median == 0:
        msg = "MMD: expected items that differ, got the same for most; check the encoder"
        raise InputError(msg)
    kernel = squareform(np.exp(-distances / (2 * median)))  # its diagonal, left out, is 0
    m, n = len(groups[0]), len(groups[1])
    truth = np.repeat([False, True], [m, n])[:, None]
    mixed = shuffled_labels(m, n, rounds=rounds, generator=generator)
    called = np.concatenate([truth, mixed], axis=1).astype(float)
    # A sum over pairs within a group, or across, is a product with the kernel: all rounds at once.
    within_second = (called * (kernel @ called)).sum(axis=0)
    across = kernel.sum(axis=0) @ called - within_second
    within_first = kernel.sum() - 2 * across - within_second
    values = within_first / (m * (m - 1)) + within_second / (n * (n - 1)) - 2 * across / (m * n)
    return Measured(float(values[0]), None, None, 0.0, share_as_extreme(values[0], values[1:]))


def contained(first: First, second: Second, *, k: int = 5, level: float = 0.95) -> Measured:
    """The share of `second` that lies where `first` is.

    An item is inside when its distance to the `k`-th nearest item of `first` is no more than what
    the share `level` of the items of `first` keep among themselves. New items of the population of
    `first` are inside about as often as `level` says (chance); a cloud beside it, be it in a
    single direction of many, is outside. Distances are Euclidean, so a direction counts by its
    spread. Read it both ways: `second` in `first`, and `first` in `second`.

    The interval is Wilson's for a share, the radius taken as it is. p is the probability that so
    few or fewer of as many new items of the population of `first` are inside, the radius being one
    of its own distances: a beta-binomial one (Wilks 1941, on tolerance limits). Raises
    `InputError` for a `k` not below the number of items of `first` or a `level` outside (0, 1).

    After Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative
    models", whose support is a ball around each item; this one has one radius for all, so that
    few items in thin parts do not reach far.
    """
    check_groups(first, second, "contained")
    if not 1 <= k < len(first):
        msg = (
            f"contained: expected k from 1 to {len(first) - 1} for {len(first)} items, got {k}; "
            "lower k or give more items"
        )
        raise InputError(msg)
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.95, got {level}"
        raise InputError(msg)
    index = NearestNeighbors(n_neighbors=k).fit(first)
    own = np.sort(index.kneighbors()[0][:, -1])
    rank = min(len(own), math.ceil(level * (len(own) + 1)))
    inside = int(np.sum(index.kneighbors(second)[0][:, -1] <= own[rank - 1]))
    found = betabinom(len(second), rank, len(own) + 1 - rank)
    interval = binomtest(inside, len(second)).proportion_ci(method="wilson")
    return Measured(
        inside / len(second),
        float(interval.low),
        float(interval.high),
        level,
        float(found.cdf(inside)),
    )


def _aucs(
    scores: Float[np.ndarray, "held columns"], labels: Bool[np.ndarray, "held columns"]
) -> Float[np.ndarray, " columns"]:
    """The AUC of each column from rank sums (Mann and Whitney 1947); ties count half."""
    positive = labels.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * labels).sum(axis=0) - positive * (positive + 1) / 2
    return ranks / (positive * (len(labels) - positive))


def _delong_variance(
    scores: Float[np.ndarray, " held"], second: Bool[np.ndarray, " held"]
) -> float:
    """The variance of an AUC, from how each item stands among those of the other group."""
    higher = scores[second][:, None] - scores[~second][None]
    wins = (higher > 0) + 0.5 * (higher == 0)
    variance = 0.0
    for places in (wins.mean(axis=0), wins.mean(axis=1)):
        if len(places) > 1:
            variance += float(places.var(ddof=1)) / len(places)
    return variance


def _some(group: np.ndarray, at_most: int, generator: np.random.Generator) -> np.ndarray:
    if len(group) <= at_most:
        return group
    return group[np.sort(generator.choice(len(group), at_most, replace=False))]
