"""How near songs and pictures lie to each other in the space that feeds the decoder."""

import numpy as np
from jaxtyping import Float, Int
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from songtitle.errors import InputError

Embeddings = Float[np.ndarray, "items dim"]


def tsne(
    embeddings: Embeddings, *, perplexity: float = 30.0, seed: int = 0
) -> Float[np.ndarray, "items 2"]:
    """A t-SNE map of the items in the plane; its coordinates have no unit.

    The map starts from the first two principal components, which keeps more of the large-scale
    layout than a random start and leaves little to the seed: the same seed gives the same map,
    on the same number of threads (sums are rounded in another order on another).
    t-SNE looks at three times `perplexity` neighbours of an item, so with few items perplexity is
    lowered to (items - 1) / 3.
    Neighbourhoods in the map can be trusted; distances between clusters and their sizes cannot.

    Fewer than 5 items, a single dimension, values that are not finite or items that are all
    alike raise `InputError`. Source: van der Maaten and Hinton 2008.
    """
    _check(embeddings, "t-SNE")
    items, dim = embeddings.shape
    if items < 5 or dim < 2:
        msg = (
            "t-SNE: expected at least 5 items of 2 dimensions, "
            f"got {items} of {dim}; give more items"
        )
        raise InputError(msg)
    if np.ptp(embeddings, axis=0).max() == 0:
        msg = "t-SNE: expected items that differ, got the same vector for all; check the encoder"
        raise InputError(msg)
    projection = TSNE(
        perplexity=min(perplexity, (items - 1) / 3),
        init="pca",
        learning_rate="auto",
        angle=0.3,  # nearer to the exact gradient than scikit-learn's 0.5: a lower divergence
        random_state=seed,
    )
    return projection.fit_transform(embeddings)


def nearest(embeddings: Embeddings, k: int) -> Int[np.ndarray, "items {k}"]:
    """The `k` nearest other items of each item by cosine, nearest first.

    An item is never its own neighbour, though a copy of it may be. Lengths do not matter: scaling
    an item changes nothing. `k` below 1 or not below the number of items raises `InputError`.
    """
    _check(embeddings, "nearest neighbours")
    if not 1 <= k < len(embeddings):
        msg = (
            f"nearest neighbours: expected k from 1 to {len(embeddings) - 1} "
            f"for {len(embeddings)} items, got {k}; lower k or give more items"
        )
        raise InputError(msg)
    index = NearestNeighbors(n_neighbors=k, metric="cosine").fit(embeddings)
    return index.kneighbors(return_distance=False)


def mixing(
    first: Float[np.ndarray, "first dim"], second: Float[np.ndarray, "second dim"], k: int = 10
) -> float:
    """How much `second` lies within `first`: 0 apart, 1 as in a random mixture of the two.

    The share of the `k` nearest neighbours (cosine, in the two pooled) of the items of `second`
    that belong to `first`, divided by what shuffled labels would give on average,
    first / (first + second - 1). Above 1 the items of `second` are scattered among those of
    `first` and seldom next to each other; contained in a small part of `first` they read below
    1, being dense there. Not symmetric. `k` as in `nearest`.
    """
    if len(first) == 0 or len(second) == 0:
        msg = (
            f"mixing: expected items in both groups, got {len(first)} and {len(second)}; "
            "give each at least one"
        )
        raise InputError(msg)
    neighbours = nearest(np.concatenate([first, second]), k)[len(first) :]
    share = np.mean(neighbours < len(first))
    return float(share * (len(first) + len(second) - 1) / len(first))


def _check(embeddings: np.ndarray, about: str) -> None:
    bad = int((~np.isfinite(embeddings)).any(axis=1).sum())
    if bad:
        msg = (
            f"{about}: expected finite values, got NaN or infinity in {bad} of "
            f"{len(embeddings)} items; leave them out"
        )
        raise InputError(msg)
