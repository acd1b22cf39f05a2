"""Maps: where songs lie among pictures, as the decoder receives them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from songtitle.experiment.common import once, pick
from songtitle.experiment.inputs import features_of, picture_features, song_features, timbre_of
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import timbre_door
from songtitle.presets import ExperimentConfig
from songtitle.similarity import mixing, tsne
from songtitle.stages import Record, run_stage


@once
def similarity(config: ExperimentConfig, *, home: Path) -> Record:
    """Fig. 7: maps of pictures with timbre and with spectrograms, as the decoder receives them.

    Files: `timbre.csv` and `spectrogram.csv` (x, y, kind). Result: how far songs mix into pictures
    (1: as if drawn from one population, 0: apart).
    """
    trained = training(config, home=home)
    pictures, songs = picture_features(config, home=home), song_features(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        model, _, device = load_trained(trained, config)
        heard, timbre = features_of(songs, config)["songs"], timbre_of(songs)
        seen = features_of(pictures, config)

        def received(features: Tensor) -> np.ndarray:
            # Of a map, the mean of its positions.
            return model.encoder(features[:, 0].to(device, torch.float32)).mean(1).cpu().numpy()

        with torch.inference_mode():
            memory = {split: received(seen[split]) for split in ("train", "valid")}
            sounds = {
                "timbre": timbre_door(config, timbre)(timbre)[:, 0].numpy(),
                "spectrogram": received(heard),
            }
        mixed = {"held-out pictures": mixing(memory["train"], memory["valid"])}
        for name, vectors in sounds.items():
            kinds = ["picture"] * len(memory["train"]) + [name] * len(vectors)
            points = tsne(np.concatenate([memory["train"], vectors]), seed=config.seed)
            frame = pd.DataFrame(points, columns=["x", "y"]).assign(kind=kinds)
            frame.to_csv(folder / f"{name}.csv", index=False)
            mixed[name] = mixing(memory["train"], vectors)
        return {"mixing": mixed}

    settings = pick(config, "seed", "standardise_timbre")
    before = [trained, pictures, songs]
    return run_stage("similarity", compute, settings=settings, inputs=before, home=home)
