"""Maps: where songs lie among pictures, as the decoder receives them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from songtitle.experiment.common import once, pick
from songtitle.experiment.inputs import picture_features, song_features
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
        heard = load_file(songs.file("features.safetensors"))
        seen = load_file(pictures.file("features.safetensors"))
        with torch.inference_mode():
            memory = {
                split: model.encoder(seen[split][:, 0].to(device))[:, 0].cpu().numpy()
                for split in ("train", "valid")
            }
            sounds = {
                "timbre": timbre_door(config, heard["timbre"])(heard["timbre"])[:, 0].numpy(),
                "spectrogram": model.encoder(heard["spectrogram"].to(device))[:, 0].cpu().numpy(),
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
