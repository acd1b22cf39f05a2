"""Maps: where songs lie among pictures, as the decoder receives them, and numbers that say it."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from songtitle.cache import Record, once, pick, run_stage
from songtitle.config import ExperimentConfig
from songtitle.experiment.inputs import features_of, picture_features, song_features, timbre_of
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import timbre_door
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


@once
def similarity(config: ExperimentConfig, *, home: Path) -> Record:
    """Fig. 7: maps of pictures with timbre and with spectrograms, as the decoder receives them.

    Files: `timbre.csv` and `spectrogram.csv` (x, y, kind). Result: how far songs mix into pictures
    (1: as if drawn from one population, 0: apart), and how far each map's neighbourhoods are those
    of the full space (`trustworthiness`).
    """
    trained, pictures, songs = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = received(config, trained, pictures, songs)
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

    settings = pick(config, "seed", "standardise_timbre")
    before = [trained, pictures, songs]
    return run_stage("similarity", compute, settings=settings, inputs=before, home=home)


@once
def likeness(config: ExperimentConfig, *, home: Path) -> Record:
    """Four numbers on whether songs lie where the training pictures lie.

    Result `kinds`: for held-out pictures, each reading of a song and two kinds of noise, the fields
    of `Measured` under `mixing`, `auc`, `mmd`, `inside` (the kind in the pictures) and `around`
    (the pictures in the kind), and `items`. `noise` has unit scale, as batch normalisation leaves
    pictures; `gaussian` has the mean and covariance of the pictures themselves.
    """
    trained, pictures, songs = _before(config, home)

    def compute(_: Path) -> dict[str, Any]:
        vectors = received(config, trained, pictures, songs)
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

    settings, before = pick(config, "seed"), [trained, pictures, songs]
    return run_stage("likeness", compute, settings=settings, inputs=before, home=home)


@once
def map_grid(config: ExperimentConfig, items: int, *, home: Path) -> Record:
    """t-SNE over `PERPLEXITIES` and `STARTS` for each of `READINGS`, of up to `items` points each.

    Half of the points are pictures, half songs, the first of each. File: `maps.csv` (x, y, kind,
    reading, perplexity, start). Result `maps`, a row for each: trustworthiness, and how far songs
    mix into pictures *on the map*, by Euclidean distance there; `space` has the same mixing in the
    full space, on the same items.
    """
    trained, pictures, songs = _before(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        vectors = received(config, trained, pictures, songs)
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

    settings, before = pick(config, "seed") | {"items": items}, [trained, pictures, songs]
    return run_stage("map_grid", compute, settings=settings, inputs=before, home=home)


def received(
    config: ExperimentConfig, trained: Record, pictures: Record, songs: Record
) -> dict[str, np.ndarray]:
    """What the decoder receives, `(items, dim)` each: `pictures` (of training), `held_out` ones,
    and the songs by each of `READINGS`. Of a map, the mean of its positions."""
    model, _, device = load_trained(trained, config)
    heard, timbre = features_of(songs, config)["songs"], timbre_of(songs)
    seen = features_of(pictures, config)

    def memory(features: Tensor) -> np.ndarray:
        return model.encoder(features[:, 0].to(device, torch.float32)).mean(1).cpu().numpy()

    def door(standardise: bool) -> np.ndarray:
        scaled = replace(config, standardise_timbre=standardise)
        return timbre_door(scaled, timbre)(timbre)[:, 0].numpy()

    with torch.inference_mode():
        return {
            "pictures": memory(seen["train"]),
            "held_out": memory(seen["valid"]),
            "timbre_raw": door(standardise=False),
            "timbre_standardised": door(standardise=True),
            "spectrogram": memory(heard),
        }


def compared(seen: np.ndarray, other: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Every number on `other` beside the pictures `seen`, each with a generator of its own."""

    def dice() -> np.random.Generator:
        return np.random.default_rng(seed)

    least = min(len(seen), len(other))
    numbers = {
        "mixing": mixing_test(seen, other, generator=dice()),
        "auc": classifier_auc(seen, other, folds=min(5, least), generator=dice()),
        "mmd": mmd(seen, other, generator=dice()),
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
    with threadpool_limits(1):
        if start is None:
            return tsne(both, perplexity=float(perplexity), seed=seed)
        return tsne(both, perplexity=float(perplexity), seed=(seed + start) % SEEDS, start="random")


def _map_mixing(points: np.ndarray, pictures: int) -> float:
    """Mixing by Euclidean distance, which a map and the full space both have."""
    return mixing(points[:pictures], points[pictures:], distance="euclidean")


def _named(start: int | None) -> str:
    return "principal components" if start is None else f"random, seed {start}"


def _points_frame(points: np.ndarray, kinds: list[str]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["x", "y"]).assign(kind=kinds)
