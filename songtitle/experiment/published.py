"""Published records: what a long stage found for the book, shown where nobody asks for it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.disk import clear_disk_errors, write_whole
from songtitle.errors import InputError

RESULTS = Path(__file__).resolve().parents[2] / "results"


def published(
    stage: Callable[[ExperimentConfig], Record],
    config: ExperimentConfig,
    *,
    again: bool = False,
    results: Path | None = None,
) -> Record:
    """The record of a stage that takes long, from `results/PRESET/STAGE.json` if it is there.

    A published record is shown only where it was made with exactly these settings, whatever the
    device; its provenance says when and by which code. Otherwise, or with `again`, the stage runs
    here. A published record has findings and no files: its folder is that of the results. Raises
    InputError for one that cannot be read.
    """
    path = _path(stage, config, results)
    if not again and path.is_file():
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("config", None) == _comparable(config):
                return Record(**content, folder=path.parent)
        except (ValueError, TypeError, AttributeError) as error:
            msg = f"{path}: expected a published record, got a torn file or another; restore it "
            msg += "from the repository, or delete it, and the stage runs here"
            raise InputError(msg) from error
    return stage(config)


def publish(
    stage: Callable[[ExperimentConfig], Record],
    config: ExperimentConfig,
    record: Record,
    *,
    results: Path | None = None,
) -> Path:
    """Write a record that was made here to where `published` looks; one from there stays."""
    path = _path(stage, config, results)
    if record.folder != path.parent:
        content = record.as_dict() | {"config": _comparable(config)}
        with clear_disk_errors(f"results of {stage.__name__}", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _path(
    stage: Callable[[ExperimentConfig], Record], config: ExperimentConfig, results: Path | None
) -> Path:
    return (results or RESULTS) / config.name / f"{stage.__name__}.json"


def _comparable(config: ExperimentConfig) -> dict[str, Any]:
    return {name: value for name, value in config.as_dict().items() if name != "device"}
