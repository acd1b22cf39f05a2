"""Resuming: which checkpoint of a folder to go on from, and whether the settings agree with it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from songtitle.errors import InputError
from songtitle.training.checkpoints import clean, newest_checkpoint
from songtitle.training.settings import TrainingConfig


def lasting(config: TrainingConfig, *, pad_id: int, processes: int) -> dict[str, Any]:
    """The settings that the outcome depends on, which have to stay from start to end."""
    settings = asdict(config)
    del settings["checkpoint_every"]
    if config.schedule == "constant":
        del settings["epochs"]  # more may follow; a cosine depends on where it ends
    return settings | {"pad_id": pad_id, "processes": processes}


def choose_checkpoint(
    folder: Path, *, epochs: int, settings: Mapping[str, Any], details: Mapping[str, Any]
) -> str:
    """The name of the checkpoint to go on from; "" without any.

    Removes what a killed write left. Raises InputError, and changes nothing else, for details that
    are no JSON, a damaged folder, or settings that are not those training began with.
    """
    try:
        json.dumps(dict(details), allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"details: expected plain JSON values ({error}); leave out what is not"
        raise InputError(msg) from error
    folder.mkdir(parents=True, exist_ok=True)
    clean(folder)
    found = newest_checkpoint(folder)
    if found is None:
        return ""
    there = found.settings
    other = [name for name in {**there, **settings} if there.get(name) != settings.get(name)]
    if other:
        shown = ", ".join(f"{name} {there.get(name)}, not {settings.get(name)}" for name in other)
        msg = (
            f"{folder}: training began here with {shown}; take those settings again, or another "
            "folder"
        )
        raise InputError(msg)
    done = len(found.progress.history)
    if done > epochs:
        msg = (
            f"epochs: expected at least the {done} that {folder} has, got {epochs}; take more, or "
            "another folder"
        )
        raise InputError(msg)
    return found.path.name
