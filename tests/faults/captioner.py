"""A captioner that can name songs, trained in a second on features that mean nothing."""

import os
import sys
from pathlib import Path

import torch

from songtitle.cache import run_stage
from songtitle.config import preset
from songtitle.corpora.batches import Loader
from songtitle.experiment.inputs import frozen_backbone
from songtitle.experiment.learning import captioner
from songtitle.training.loop import fit
from songtitle.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
WORDS = ["the", "blue", "hare", "of", "daisies", "garden", "jig"]


def train(home):
    """Leave the record of a trained captioner of the tiny preset in a data home."""
    config, vocabulary = preset("tiny", device="cpu"), Vocabulary(WORDS)
    with torch.inference_mode():
        width = frozen_backbone(config)(torch.zeros(1, 3, 32, 32)).shape[-1]
    views = torch.randn(32, 1, 1, width, generator=torch.Generator().manual_seed(0))
    titles = [vocabulary.encode([WORDS[(i * k) % 7] for k in (1, 2, 3)]) for i in range(32)]

    def learn(folder):
        vocabulary.save(folder / "vocabulary.json")
        fit(
            captioner(config, vocabulary, features=width),
            Loader(views, titles, batch_size=16, pad_id=vocabulary.pad_id, seed=0),
            config=config.training,
            pad_id=vocabulary.pad_id,
            validate=lambda model: 1.0,
            folder=folder,
            details={"config": config.as_dict(), "features": width},
        )
        return {}

    return run_stage("training", learn, settings={"preset": "tiny"}, home=home)


def python(home=None):
    """Python as a command, and the environment in which it finds this checkout, and `home`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return [sys.executable], environment | ({"SONGTITLE_DATA": str(home)} if home else {})
