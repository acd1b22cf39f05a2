"""What several stages share: settings that make keys, generators by name, JSON files."""

import json
from pathlib import Path
from typing import Any

from songtitle.config import ExperimentConfig


def pick(config: ExperimentConfig, *names: str) -> dict[str, Any]:
    """Some of the settings, by name."""
    return {name: getattr(config, name) for name in names}


def write_json(path: Path, content: object) -> None:
    """Write JSON, letters as they are."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text("utf-8"))
