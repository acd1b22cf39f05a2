"""What several stages share: settings that make keys, generators by name, JSON files."""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from songtitle.devices import check_device
from songtitle.manifest import data_home
from songtitle.presets import ExperimentConfig
from songtitle.stages import Record


def once(stage: Callable[..., Record]) -> Callable[..., Record]:
    """Ask a stage for its record once a process: later calls with equal arguments get it again.

    `home` defaults to the data home.
    """
    known: dict[Any, Record] = {}

    @wraps(stage)
    def call(config: ExperimentConfig, *arguments: str | int, home: Path | None = None) -> Record:
        home = home or data_home()
        key = (config, arguments, home)
        if key not in known:
            known[key] = stage(config, *arguments, home=home)
        return known[key]

    return call


def generator_for(seed: int, name: str) -> torch.Generator:
    """A generator of its own for every picture, clip and epoch: order and number of the others
    change nothing."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    return torch.Generator().manual_seed(int(digest[:15], 16))


def encoder_settings(config: ExperimentConfig) -> dict[str, Any]:
    """What features depend on, beside the pictures."""
    device = check_device(config.device).type
    return {"encoder": config.model.encoder, "weights": config.model.weights, "device": device}


def pick(config: ExperimentConfig, *names: str) -> dict[str, Any]:
    """Some of the settings, by name."""
    return {name: getattr(config, name) for name in names}


def write_json(path: Path, content: object) -> None:
    """Write JSON, letters as they are."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text("utf-8"))
