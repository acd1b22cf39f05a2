"""Maps: where songs lie among pictures, as the decoder receives them, and numbers that say it."""

from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig
from songtitle.experiment.corpora import clips, corpora, picture_rows, true_series
from songtitle.experiment.inputs import features_of, picture_features, song_features
from songtitle.experiment.learning import training
from songtitle.experiment.naming import Listener, listener
from songtitle.metrics import clouds
from songtitle.schema import SEEDS

READINGS = ("timbre_raw", "timbre_standardised", "spectrogram")
PERPLEXITIES = (5, 30, 60)
STARTS = (None, 1, 2)  # seeds of a random start; None starts from the principal components


@stage
def similarity(config: ExperimentConfig, *, home: Path) -> Work:
    """Fig. 7: maps of pictures with either reading of songs, `timbre.csv` and `spectrogram.csv` (x,
    y, kind). Result: how far songs mix into pictures (`mixing`; 1: as if drawn from one population,
    0: apart), and how far a map's neighbourhoods are those of the full space (`trustworthiness`).
    """
    before = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = received(config, *before)
        scale = "standardised" if config.standardise_timbre else "raw"
        seen, vectors["timbre"] = vectors["pictures"], vectors[f"timbre_{scale}"]
        mixed, trust = {"held-out pictures": clouds.mixing(seen, vectors["held_out"])}, {}
        for name in ("timbre", "spectrogram"):
            both = np.concatenate([seen, vectors[name]])
            points = clouds.tsne(both, seed=config.seed)
            _points_frame(points, len(seen), name).to_csv(folder / f"{name}.csv", index=False)
            mixed[name] = clouds.mixing(seen, vectors[name])
            trust[name] = clouds.trustworthiness(both, points)
        return {"mixing": mixed, "trustworthiness": trust}

    return Work(compute, pick(config, "seed", "standardise_timbre"), before)


@stage
def likeness(config: ExperimentConfig, *, home: Path) -> Work:
    """Four numbers on whether songs lie where the training pictures lie.

    Result `kinds`: for held-out pictures, each of `READINGS` and two kinds of noise `items` and the
    fields of `Measured` under `mixing`, `auc`, `mmd`, `inside` (the kind in the pictures), `around`
    (the pictures in the kind). `noise` has unit scale, as batch normalisation leaves pictures;
    `gaussian` has their own mean and covariance. p is of labels shuffled by series.
    """
    before = _before(config, home)
    words, songs_played = corpora(config, home=home), clips(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        vectors = received(config, *before)
        series = {
            name: [row["series"] for row in picture_rows(words, split)]
            for name, split in (("pictures", "train"), ("held_out", "valid"))
        }
        # Noise has no series: each draw is one of its own.
        own = true_series(words, songs_played)
        series |= {name: own[name.partition("_")[0]] for name in READINGS}
        seen, draw = vectors.pop("pictures"), np.random.default_rng
        generator, songs = draw(config.seed), len(vectors["spectrogram"])
        vectors["noise"] = generator.normal(size=(songs, seen.shape[1])).astype(np.float32)
        vectors["gaussian"] = _gaussian_like(seen, songs, generator)
        kinds = {}
        for name, other in vectors.items():
            its = series.get(name, [f"{name} {place}" for place in range(len(other))])
            both = series["pictures"] + its
            k = min(5, len(seen) - 1, len(other) - 1)
            folds = min(5, len(set(series["pictures"])), len(set(its)))

            def asked(both: list[str] = both) -> dict[str, Any]:
                return {"series": both, "generator": draw(config.seed)}

            numbers = {
                "mixing": clouds.mixing_test(seen, other, **asked()),
                "auc": clouds.classifier_auc(seen, other, folds=folds, **asked()),
                "mmd": clouds.mmd(seen, other, **asked()),
                "inside": clouds.contained(seen, other, k=k),
                "around": clouds.contained(other, seen, k=k),
            }
            found = {number: asdict(measured) for number, measured in numbers.items()}
            kinds[name] = {"items": len(other)} | found
        return {"pictures": len(seen), "kinds": kinds}

    return Work(compute, pick(config, "seed"), [*before, words, songs_played])


@stage
def map_grid(config: ExperimentConfig, items: int, *, home: Path) -> Work:
    """t-SNE over `PERPLEXITIES` and `STARTS` for each of `READINGS`, of up to `items` points each.

    Half of the points are pictures, half songs, the first of each: `maps.csv` (x, y, kind, reading,
    perplexity, start). Result `maps`, a row for each: trustworthiness, and how far songs mix into
    pictures *on the map*, by Euclidean distance; `space` has that of the full space.
    """
    before = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = {name: each[: items // 2] for name, each in received(config, *before).items()}
        seen = vectors["pictures"]

        def mixed(points: np.ndarray) -> float:
            return clouds.mixing(points[: len(seen)], points[len(seen) :], distance="euclidean")

        both = {name: np.concatenate([seen, vectors[name]]) for name in READINGS}
        frames, rows = [], []
        for reading, perplexity, start in product(READINGS, PERPLEXITIES, STARTS):
            # So few points: a second thread costs more than it gives, and with one alone a map is
            # the same on every number of cores.
            with threadpool_limits(1):
                points = clouds.tsne(
                    both[reading],
                    perplexity=float(perplexity),
                    seed=(config.seed + (start or 0)) % SEEDS,
                    start="random" if start else "pca",
                )
            begun = f"random, seed {start}" if start else "principal components"
            at = {"reading": reading, "perplexity": perplexity, "start": begun}
            frames.append(_points_frame(points, len(seen), reading).assign(**at))
            used = clouds.effective_perplexity(float(perplexity), len(points))
            trust = clouds.trustworthiness(both[reading], points)
            row = {"used_perplexity": used, "trustworthiness": trust, "mixing": mixed(points)}
            rows.append(at | row)
        pd.concat(frames).to_csv(folder / "maps.csv", index=False)
        space = {name: mixed(both[name]) for name in READINGS}
        return {"maps": rows, "space": space, "items": len(frames[0])}

    return Work(compute, pick(config, "seed") | {"items": items}, before)


def received(
    config: ExperimentConfig, trained: Record, pictures: Record, songs: Record
) -> dict[str, np.ndarray]:
    """Give what the decoder receives, `(items, dim)` each: `pictures` (of training), `held_out`
    ones, and the songs by each of `READINGS`. Of a map, the mean of its positions."""
    raw, standardised = (
        listener(replace(config, standardise_timbre=each), TIMBRE, trained, songs)
        for each in (False, True)
    )
    hearing, seen = listener(config, SPECTROGRAM, trained, songs), features_of(pictures, config)

    def memory(asked: Listener, features: Tensor) -> np.ndarray:
        # All at once, and not in parts: a map may depend on the last digit.
        with torch.inference_mode():
            return asked.door(features.to(asked.device, torch.float32)).mean(1).cpu().numpy()

    return {
        "pictures": memory(hearing, seen["train"][:, 0]),
        "held_out": memory(hearing, seen["valid"][:, 0]),
        "timbre_raw": memory(raw, raw.features),
        "timbre_standardised": memory(standardised, standardised.features),
        "spectrogram": memory(hearing, hearing.features),
    }


def _before(config: ExperimentConfig, home: Path) -> list[Record]:
    return [make(config, home=home) for make in (training, picture_features, song_features)]


def _gaussian_like(vectors: np.ndarray, items: int, generator: np.random.Generator) -> np.ndarray:
    """Draws of the normal distribution with the mean and covariance of `vectors`."""
    centred = vectors - vectors.mean(axis=0)
    weights = generator.normal(size=(items, len(vectors))) / np.sqrt(len(vectors) - 1)
    return (vectors.mean(axis=0) + weights @ centred).astype(np.float32)


def _points_frame(points: np.ndarray, pictures: int, songs: str) -> pd.DataFrame:
    kinds = np.repeat(["picture", songs], [pictures, len(points) - pictures])
    return pd.DataFrame(points, columns=["x", "y"]).assign(kind=kinds)
