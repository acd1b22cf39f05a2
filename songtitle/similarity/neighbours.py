"""Neighbours: how far the items of two groups mix among their nearest."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

from songtitle.errors import InputError
from songtitle.similarity.labels import (
    Z95,
    Measured,
    check_finite,
    check_groups,
    share_as_extreme,
    shuffled_labels,
)

Distance = Literal["cosine", "euclidean"]


def nearest(
    embeddings: Float[np.ndarray, "items dim"], k: int, *, distance: Distance = "cosine"
) -> Int[np.ndarray, "items {k}"]:
    """The `k` nearest other items of each item, nearest first.

    An item is never its own neighbour, though a copy of it may be. By cosine, lengths do not
    matter: scaling an item changes nothing. `k` below 1 or not below the number of items raises
    `InputError`.
    """
    check_finite(embeddings, "nearest neighbours")
    if not 1 <= k < len(embeddings):
        msg = (
            f"nearest neighbours: expected k from 1 to {len(embeddings) - 1} "
            f"for {len(embeddings)} items, got {k}; lower k or give more items"
        )
        raise InputError(msg)
    index = NearestNeighbors(n_neighbors=k, metric=distance).fit(embeddings)
    return index.kneighbors(return_distance=False)


def mixing(
    first: Float[np.ndarray, "first dim"],
    second: Float[np.ndarray, "second dim"],
    k: int = 10,
    *,
    distance: Distance = "cosine",
) -> float:
    """How much `second` lies within `first`: 0 apart, 1 as in a random mixture of the two.

    The share of the `k` nearest neighbours (in the two pooled) of the items of `second` that
    belong to `first`, divided by what shuffled labels would give on average,
    first / (first + second - 1). Above 1 the items of `second` are scattered among those of
    `first` and seldom next to each other; contained in a small part of `first` they read below
    1, being dense there. Not symmetric. `k` and `distance` as in `nearest`.
    """
    foreign = _neighbours(first, second, k, distance)[len(first) :] < len(first)
    return float(foreign.sum() * _scale(len(first), len(second), k))


def mixing_test(
    first: Float[np.ndarray, "first dim"],
    second: Float[np.ndarray, "second dim"],
    k: int = 10,
    *,
    distance: Distance = "cosine",
    rounds: int = 999,
    generator: np.random.Generator,
) -> Measured:
    """`mixing` with a 95 % interval and the share of shuffled labels that mix as little.

    The interval is the jackknife's over the items of either group, cut at 0, and rather too wide
    than too narrow; chance is 1. Under shuffled labels the neighbours stay and the groups change,
    so p is spread evenly over (0, 1] where both groups are of one population. `k` is at most two
    less than the items. Sources: Schilling 1986, "Multivariate two-sample tests based on nearest
    neighbors"; Efron and Stein 1981, "The jackknife estimate of variance".
    """
    neighbours = _neighbours(first, second, k + 1, distance)
    value, deviation = _jackknifed(neighbours, len(first))
    items = len(neighbours)
    rows = np.repeat(np.arange(items), k)
    graph = csr_array((np.ones(items * k), (rows, neighbours[:, :k].ravel())), shape=(items, items))
    labels = shuffled_labels(len(first), len(second), rounds=rounds, generator=generator)
    called = labels.astype(float)
    foreign = (called * (k - graph @ called)).sum(axis=0)  # neighbours of the other name
    p = share_as_extreme(-value, -foreign * _scale(len(first), len(second), k))
    reach = Z95 * deviation
    return Measured(value, max(0.0, value - reach), value + reach, 1.0, p)


def _neighbours(
    first: np.ndarray, second: np.ndarray, k: int, distance: Distance
) -> Int[np.ndarray, "items {k}"]:
    check_groups(first, second, "mixing")
    return nearest(np.concatenate([first, second]), k, distance=distance)


def _scale(first: int, second: int, k: int) -> float:
    """What makes a count of neighbours 1 on average where labels are shuffled."""
    return (first + second - 1) / (first * second * k)


def _jackknifed(neighbours: Int[np.ndarray, "items more"], first: int) -> tuple[float, float]:
    """The mixing of all but the last neighbours, and its standard error over both groups.

    Without an item its own count is gone, and whoever had it among the nearest has one more: the
    last neighbour of each row stands ready for that.
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
    for group, sizes in (
        (~in_second, (first - 1, items - first)),
        (in_second, (first, items - first - 1)),
    ):
        members = int(group.sum())
        if members > 1:
            left = without[group] * _scale(*sizes, k)
            variance += (members - 1) * float(left.var())
    return float(count.sum() * _scale(first, items - first, k)), float(np.sqrt(variance))
