"""Near-duplicates: pictures of the test that training has seen in all but name."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from songtitle.cache import Work, pick, stage
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import corpora, picture_rows
from songtitle.experiment.inputs import features_of, picture_features, tile_features
from songtitle.metrics.chance import numbered_series

STRANGERS = 0.05  # of training pictures that lie so near to one of another series

Among, Across = Float[np.ndarray, "train train"], Float[np.ndarray, "test train"]


@stage
def near_duplicates(config: ExperimentConfig, *, home: Path) -> Work:
    """Search for test pictures that have a near-duplicate in training, by picture and by caption.

    Distances: of pictures, one less the cosine of what the frozen network makes of them; of
    captions, the share of their words that only one has (Jaccard). Near is what is nearer than
    all but STRANGERS of the training pictures have their nearest of another series, so that by
    chance as many test pictures are near. Result: `test` and `train` (pictures), `series` of the
    test, and `by`, for "picture", "caption" and "both": `radius`, `near` (test pictures with such
    a neighbour in training), `expected` by chance (None for both), and `within_series`, the number
    of training pictures that have one in their own series: what another split would leave.
    `pairs` names those that are near by both: `test, train, picture, caption` (distances).
    """
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    held_out = tile_features(config, config.crop, home=home)

    def compute(_: Path) -> dict[str, Any]:
        from sklearn.feature_extraction.text import CountVectorizer  # a second to load

        rows = picture_rows(words)
        sides = {side: [row for row in rows if row["split"] == side] for side in ("train", "test")}
        features = {
            side: features_of(record, config)[side][:, 0].float().mean(1).numpy()
            for side, record in (("train", seen), ("test", held_out))
        }
        reader = CountVectorizer(analyzer=lambda tokens: tokens, binary=True)
        reader.fit([row["tokens"] for row in rows])
        said = {
            side: reader.transform([row["tokens"] for row in those]).toarray().astype(bool)
            for side, those in sides.items()
        }
        series = [row["series"] for row in sides["train"]]
        measured = {
            "picture": near(*_distances(features, "cosine"), series),
            "caption": near(*_distances(said, "jaccard"), series),
        }
        pairs, within = (
            np.logical_and(*(each[part] for each in measured.values()))
            for part in ("across", "within")
        )
        found = {
            name: {
                "radius": each["radius"],
                "near": int(each["across"].any(axis=1).sum()),
                "expected": each["share"] * len(sides["test"]),
                "within_series": int(each["within"].any(axis=1).sum()),
            }
            for name, each in measured.items()
        }
        counts = {"near": pairs, "within_series": within}
        both = {name: int(each.any(axis=1).sum()) for name, each in counts.items()}
        return {
            "test": len(sides["test"]),
            "train": len(sides["train"]),
            "series": len({row["series"] for row in sides["test"]}),
            "by": found | {"both": {"radius": None, "expected": None} | both},
            "pairs": [
                {"test": sides["test"][test]["id"], "train": sides["train"][train]["id"]}
                | {name: float(each["distances"][test, train]) for name, each in measured.items()}
                for test, train in np.argwhere(pairs).tolist()
            ],
        }

    return Work(compute, pick(config, "crop"), [words, seen, held_out])


def _distances(vectors: dict[str, np.ndarray], metric: Any) -> tuple[Among, Across]:
    """From training pictures to one another, and from those of the test to them."""
    train = vectors["train"]
    return cdist(train, train, metric), cdist(vectors["test"], train, metric)


def near(among: Among, across: Across, series: list[str]) -> dict[str, Any]:
    """Mark who is near whom, given distances among training items and from test items to them.

    `radius`: what STRANGERS of the training items at most, a `share`, have to their nearest of
    another series; `within` and `across`: which pairs are no farther apart, of one series in
    training, and of test and training; `distances`, across as given.
    """
    numbers = numbered_series(series, len(series))
    strangers = numbers[:, None] != numbers
    nearest = np.where(strangers, among, np.inf).min(axis=1)
    # The largest within which no more are: distances of captions tie.
    shares = {float(each): float(np.mean(nearest <= each)) for each in (0.0, *nearest)}
    radius = max((each for each, share in shares.items() if share <= STRANGERS), default=0.0)
    kin = ~strangers & ~np.eye(len(series), dtype=bool)
    marked = {"within": kin & (among <= radius), "across": across <= radius}
    return {"radius": radius, "share": shares[radius], "distances": across} | marked
