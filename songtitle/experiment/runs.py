"""Runs of `train`: which of them stands for a training of given settings."""

from collections.abc import Iterable
from pathlib import Path

from songtitle.cache import read_json
from songtitle.config import ExperimentConfig
from songtitle.schema import refuse
from songtitle.training.checkpoints import kept_checkpoint, read_checkpoint

SHARED = ("model", "training", "seed", "crop")  # settings that a run has to share


def run_for(config: ExperimentConfig) -> Path | None:
    """Find the run of `config.runs` with the model and the training of these settings, if any.

    Raises InputError for a folder that holds no run.
    """
    for folder in map(Path, config.runs):
        details = read_checkpoint(kept_checkpoint(folder)).details["config"]
        its = ExperimentConfig.from_dict(details)
        if all(getattr(its, name) == getattr(config, name) for name in SHARED):
            return folder
    return None


def check_unseen(folder: Path, shards: Iterable[str]) -> None:
    """Raise InputError where a run learnt from one of the shards, by name, that a page tests on."""
    learnt = read_json(folder / "record.json").get("trained_on")
    if learnt is None or (both := sorted(set(shards).intersection(learnt))):
        got = (
            "none named" if learnt is None else f"{len(both)} that are tested on, such as {both[0]}"
        )
        then = "train again, with test in the names of the shards to test on"
        refuse(str(folder), "shards that it learnt from, and none of the test", got, then)
