"""What several stages share: settings that make keys, generators by name, JSON files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from songtitle.presets import ExperimentConfig, check_device


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
