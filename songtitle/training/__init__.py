"""Training: a loop on one process or many, its losses, and checkpoints that a kill cannot break."""

from songtitle.training.checkpoints import (
    Checkpoint,
    best_checkpoint,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from songtitle.training.interrupts import Interrupted
from songtitle.training.loop import EpochBatches, fit
from songtitle.training.losses import evaluate, token_loss
from songtitle.training.progress import Progress
from songtitle.training.settings import TrainingConfig

__all__ = [
    "Checkpoint",
    "EpochBatches",
    "Interrupted",
    "Progress",
    "TrainingConfig",
    "best_checkpoint",
    "evaluate",
    "fit",
    "load_weights",
    "read_checkpoint",
    "save_checkpoint",
    "token_loss",
]
