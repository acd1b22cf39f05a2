"""What is done: finished records, found by the settings that they are of and not by their key.

A key takes the records that it rests on; a plan has to know what is finished before there are any.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from songtitle.cache import Record, finished, pick
from songtitle.config import ExperimentConfig, Input, check_device
from songtitle.experiment.corpora import fingerprint, roles
from songtitle.experiment.inputs import encoder_settings


class Done:
    """Finished records by what they are of: stage, settings, and the records that they rest on.

    Only those count that the code at hand would make.
    """

    def __init__(self, config: ExperimentConfig, home: Path | None) -> None:
        """Look into a data home; None: nothing is finished."""
        self.records = [record for record in (finished(home) if home else []) if not record.changed]
        data = pick(config, "seed", "picture_count", "song_count", "title_rules")
        data["corpora"] = roles(config)
        if config.corpora == "book":  # whose fingerprint needs no file of a reader's
            data["data"] = fingerprint(config, Path())
        self.corpora = self.find("corpora", data)
        self.vocabulary = self.find("vocabulary", pick(config, "min_count"), self.corpora)

    def find(
        self, stage: str, settings: Mapping[str, Any], *inputs: Record | None
    ) -> Record | None:
        """Find the newest record of a stage with these among its settings, on these inputs; None
        where one of the inputs is None."""
        if None in inputs:
            return None
        wanted = json.loads(json.dumps(dict(settings), default=_plain))
        keys = {record.key for record in inputs if record}
        for record in reversed(self.records):
            fits = record.stage == stage and keys <= set(record.inputs.values())
            if fits and wanted.items() <= record.settings.items():
                return record
        return None

    def features(self, config: ExperimentConfig) -> Record | None:
        """The features of the pictures that a training of these settings reads."""
        wanted = pick(config, "seed", "crop", "views") | encoder_settings(config)
        return self.find("picture_features", wanted, self.corpora)

    def training(self, config: ExperimentConfig, stage: str = "training") -> Record | None:
        """A training of these settings."""
        wanted = pick(config, "model", "training", "seed", "monte_carlo_error")
        known = self.find("vocabulary", pick(config, "min_count"), self.corpora)
        wanted |= {"device": check_device(config.device).type}
        return self.find(stage, wanted, self.corpora, known, self.features(config))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Input) else asdict(value)
