"""What several stages share: settings that make keys, generators by name, JSON files."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.devices import check_device
from songtitle.manifest import data_home
from songtitle.model.encoding import native_precision
from songtitle.model.weights import weights_digest


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


def encoder_settings(config: ExperimentConfig) -> dict[str, Any]:
    """What features depend on, beside the pictures."""
    device, model = check_device(config.device), config.model
    return {
        "encoder": model.encoder,
        # By content: a file may move, and a name may come to mean another file.
        "weights": weights_digest(model.encoder, model.weights),
        "device": device.type,
        "precision": native_precision(device),
    }


def pick(config: ExperimentConfig, *names: str) -> dict[str, Any]:
    """Some of the settings, by name."""
    return {name: getattr(config, name) for name in names}


def write_json(path: Path, content: object) -> None:
    """Write JSON, letters as they are."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text("utf-8"))
