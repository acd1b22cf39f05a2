"""Maps in the plane, and how far their neighbourhoods can be trusted."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from sklearn import manifold

from songtitle.errors import InputError
from songtitle.similarity.labels import check_finite

Embeddings = Float[np.ndarray, "items dim"]


def tsne(
    embeddings: Embeddings,
    *,
    perplexity: float = 30.0,
    seed: int = 0,
    start: Literal["pca", "random"] = "pca",
) -> Float[np.ndarray, "items 2"]:
    """A t-SNE map of the items in the plane; its coordinates have no unit.

    The map starts from the first two principal components, which keeps more of the large-scale
    layout than a random start and leaves little to the seed: the same seed gives the same map,
    on the same number of threads (sums are rounded in another order on another). A random start
    leaves the layout to the seed, and shows which of it is chance.
    t-SNE looks at three times `perplexity` neighbours of an item, so with few items perplexity is
    lowered to (items - 1) / 3.
    Neighbourhoods in the map can be trusted; distances between clusters and their sizes cannot.

    Fewer than 5 items, a single dimension, values that are not finite or items that are all
    alike raise `InputError`. Source: van der Maaten and Hinton 2008.
    """
    check_finite(embeddings, "t-SNE")
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
    projection = manifold.TSNE(
        perplexity=effective_perplexity(perplexity, items),
        init=start,
        learning_rate="auto",
        angle=0.3,  # nearer to the exact gradient than scikit-learn's 0.5: a lower divergence
        random_state=seed,
    )
    return projection.fit_transform(embeddings)


def effective_perplexity(perplexity: float, items: int) -> float:
    """The perplexity of a map of so many items, which `tsne` lowers where they are few."""
    return min(perplexity, (items - 1) / 3)


def trustworthiness(
    embeddings: Embeddings, points: Float[np.ndarray, "points plane"], *, k: int = 10
) -> float:
    """How far the neighbourhoods of a map are those of the items: 1 wholly, about 0.5 at random.

    Each of the `k` nearest of a point that is not among the `k` nearest of the item costs as many
    ranks as it is too far (Euclidean). It says nothing of clusters' places, sizes or distances.
    `k` is lowered to below half of the items where these are few; fewer than 5 items raise
    `InputError`. Source: Venna and Kaski 2001, through scikit-learn.
    """
    check_finite(embeddings, "trustworthiness")
    items = len(embeddings)
    if items < 5 or len(points) != items:
        msg = (
            "trustworthiness: expected a point for each of at least 5 items, "
            f"got {len(points)} for {items}; give the map of these items"
        )
        raise InputError(msg)
    return float(manifold.trustworthiness(embeddings, points, n_neighbors=min(k, (items - 1) // 2)))
