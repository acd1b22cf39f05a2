"""Maps: where songs lie among pictures, as the decoder receives them, and numbers that say it."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig
from songtitle.experiment.inputs import features_of, picture_features, song_features
from songtitle.experiment.learning import training
from songtitle.experiment.naming import Listener, listener
from songtitle.metrics.clouds import (
    classifier_auc,
    contained,
    effective_perplexity,
    mixing,
    mixing_test,
    mmd,
    trustworthiness,
    tsne,
)
from songtitle.schema import SEEDS

READINGS = ("timbre_raw", "timbre_standardised", "spectrogram")
PERPLEXITIES = (5, 30, 60)
STARTS = (None, 1, 2)  # seeds of a random start; None starts from the principal components


@stage
def similarity(config: ExperimentConfig, *, home: Path) -> Work:
    """Fig. 7: maps of pictures with timbre and with spectrograms, as the decoder receives them.

    Files: `timbre.csv` and `spectrogram.csv` (x, y, kind). Result: how far songs mix into pictures
    (1: as if drawn from one population, 0: apart), and how far each map's neighbourhoods are those
    of the full space (`trustworthiness`).
    """
    before = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = received(config, *before)
        scale = "standardised" if config.standardise_timbre else "raw"
        sounds = {"timbre": vectors[f"timbre_{scale}"], "spectrogram": vectors["spectrogram"]}
        seen = vectors["pictures"]
        mixed = {"held-out pictures": mixing(seen, vectors["held_out"])}
        trust = {}
        for name, heard in sounds.items():
            both = np.concatenate([seen, heard])
            points = tsne(both, seed=config.seed)
            kinds = ["picture"] * len(seen) + [name] * len(heard)
            _points_frame(points, kinds).to_csv(folder / f"{name}.csv", index=False)
            mixed[name], trust[name] = mixing(seen, heard), trustworthiness(both, points)
        return {"mixing": mixed, "trustworthiness": trust}

    return Work(compute, pick(config, "seed", "standardise_timbre"), before)


@stage
def likeness(config: ExperimentConfig, *, home: Path) -> Work:
    """Four numbers on whether songs lie where the training pictures lie.

    Result `kinds`: for held-out pictures, each reading of a song and two kinds of noise, the fields
    of `Measured` under `mixing`, `auc`, `mmd`, `inside` (the kind in the pictures) and `around`
    (the pictures in the kind), and `items`. `noise` has unit scale, as batch normalisation leaves
    pictures; `gaussian` has the mean and covariance of the pictures themselves.
    """
    before = _before(config, home)

    def compute(_: Path) -> dict[str, Any]:
        vectors = received(config, *before)
        seen = vectors.pop("pictures")
        generator = np.random.default_rng(config.seed)
        drawn = (len(vectors["spectrogram"]), seen.shape[1])
        vectors["noise"] = generator.normal(size=drawn).astype(np.float32)
        vectors["gaussian"] = _gaussian_like(seen, drawn[0], generator)
        return {
            "pictures": len(seen),
            "kinds": {
                name: {"items": len(found)} | compared(seen, found, seed=config.seed)
                for name, found in vectors.items()
            },
        }

    return Work(compute, pick(config, "seed"), before)


@stage
def map_grid(config: ExperimentConfig, items: int, *, home: Path) -> Work:
    """t-SNE over `PERPLEXITIES` and `STARTS` for each of `READINGS`, of up to `items` points each.

    Half of the points are pictures, half songs, the first of each. File: `maps.csv` (x, y, kind,
    reading, perplexity, start). Result `maps`, a row for each: trustworthiness, and how far songs
    mix into pictures *on the map*, by Euclidean distance there; `space` has the same mixing in the
    full space, on the same items.
    """
    before = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = received(config, *before)
        seen = vectors["pictures"][: items // 2]
        frames, rows, space = [], [], {}
        for reading in READINGS:
            heard = vectors[reading][: items // 2]
            both = np.concatenate([seen, heard])
            kinds = ["picture"] * len(seen) + [reading] * len(heard)
            space[reading] = _map_mixing(both, len(seen))
            for perplexity in PERPLEXITIES:
                for start in STARTS:
                    points = _map(both, perplexity, start, config.seed)
                    at = {"reading": reading, "perplexity": perplexity, "start": _named(start)}
                    frames.append(_points_frame(points, kinds).assign(**at))
                    row = {
                        "used_perplexity": effective_perplexity(float(perplexity), len(both)),
                        "trustworthiness": trustworthiness(both, points),
                        "mixing": _map_mixing(points, len(seen)),
                    }
                    rows.append(at | row)
        pd.concat(frames).to_csv(folder / "maps.csv", index=False)
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


def compared(seen: np.ndarray, other: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Measure `other` in every way beside the pictures `seen`, each with its own generator."""
    least, draw = min(len(seen), len(other)), np.random.default_rng
    numbers = {
        "mixing": mixing_test(seen, other, generator=draw(seed)),
        "auc": classifier_auc(seen, other, folds=min(5, least), generator=draw(seed)),
        "mmd": mmd(seen, other, generator=draw(seed)),
        "inside": contained(seen, other, k=min(5, least - 1)),
        "around": contained(other, seen, k=min(5, least - 1)),
    }
    return {name: asdict(number) for name, number in numbers.items()}


def _before(config: ExperimentConfig, home: Path) -> tuple[Record, Record, Record]:
    return (
        training(config, home=home),
        picture_features(config, home=home),
        song_features(config, home=home),
    )


def _gaussian_like(vectors: np.ndarray, items: int, generator: np.random.Generator) -> np.ndarray:
    """Draws of the normal distribution with the mean and covariance of `vectors`."""
    centred = vectors - vectors.mean(axis=0)
    weights = generator.normal(size=(items, len(vectors))) / np.sqrt(len(vectors) - 1)
    return (vectors.mean(axis=0) + weights @ centred).astype(np.float32)


def _map(both: np.ndarray, perplexity: int, start: int | None, seed: int) -> np.ndarray:
    # So few points: a second thread costs more than it gives, and with one alone a map is the
    # same on every number of cores.
    begin: Literal["pca", "random"] = "pca" if start is None else "random"
    seed = (seed + (start or 0)) % SEEDS
    with threadpool_limits(1):
        return tsne(both, perplexity=float(perplexity), seed=seed, start=begin)


def _map_mixing(points: np.ndarray, pictures: int) -> float:
    """Mixing by Euclidean distance, which a map and the full space both have."""
    return mixing(points[:pictures], points[pictures:], distance="euclidean")


def _named(start: int | None) -> str:
    return "principal components" if start is None else f"random, seed {start}"


def _points_frame(points: np.ndarray, kinds: list[str]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["x", "y"]).assign(kind=kinds)
