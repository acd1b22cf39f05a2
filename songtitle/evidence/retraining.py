"""Retraining: the same captioner trained again, from other seeds and without any picture."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from songtitle.cache import Record, once, run_stage
from songtitle.config import ExperimentConfig
from songtitle.controls import against_chance, replicate_interval
from songtitle.devices import check_device
from songtitle.errors import InputError
from songtitle.experiment.common import pick
from songtitle.experiment.comparing import PATIENCE
from songtitle.experiment.corpora import corpora, vocabulary
from songtitle.experiment.inputs import features_of, picture_features
from songtitle.experiment.learning import learn, training
from songtitle.experiment.listeners import (
    all_scores,
    controlled_inputs,
    features_record,
    listener,
    references_of,
)
from songtitle.experiment.scoring import PERMUTATIONS
from songtitle.metrics import DEFINITIONS, signatures
from songtitle.schema import SEEDS

BEAMS = (1, 5)  # greedy, and where the paper's scores peak
BLEU_1 = DEFINITIONS["bleu1"]


def patient(config: ExperimentConfig, *, seed: int = 0) -> ExperimentConfig:
    """The experiment with another training seed, stopped where validation gets no better.

    Of every training the best epoch is kept, so the rest of the epochs would only take time.
    """
    settings = config.training
    number = (settings.seed + seed) % SEEDS
    settings = replace(settings, seed=number, patience=settings.patience or PATIENCE)
    return replace(config, training=settings)


@once
def blind_training(config: ExperimentConfig, *, home: Path) -> Record:
    """The captioner trained on zeros in place of pictures: what captions alone can teach.

    Files and findings are those of `training`.
    """
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    known, chosen = vocabulary(config, home=home), patient(config)

    def compute(folder: Path) -> dict[str, Any]:
        blank = {
            name: torch.zeros((), dtype=features.dtype).expand(features.shape)
            for name, features in features_of(seen, chosen).items()
        }
        return learn(chosen, words, known, blank, folder)

    settings = {"model": asdict(chosen.model), "training": asdict(chosen.training)}
    settings |= pick(config, "seed") | {"device": check_device(config.device).type}
    inputs = [words, known, seen]
    return run_stage("blind_training", compute, settings=settings, inputs=inputs, home=home)


@once
def replicates(config: ExperimentConfig, *, home: Path) -> Record:
    """Whole trainings from several seeds on the same split: how far scores move with the seed.

    Weights begin, batches are ordered and dropout falls by the seed; which pictures are trained
    on, the crops and the vocabulary stay. Result `rows`, one per seed, input and beam size: `seed,
    input, beam_size, epoch, mean_length` and the fields of `Chance`. `summary`, one per input and
    beam size: `score` and `gain` as means over seeds, each with `_spread` (standard deviation over
    seeds) and `_low, _high` (95 % interval of the mean, Student's t), and `within`, the mean half
    width of the bootstrap intervals, which know of other items but of no other training.
    """
    if config.replicates < 2:
        msg = f"replicates: expected at least 2 for an interval, got {config.replicates}; raise it"
        raise InputError(msg)
    chosen = [patient(config, seed=seed) for seed in range(config.replicates)]
    trained = [training(each, home=home) for each in chosen]
    inputs = controlled_inputs(config)
    seen = {name: features_record(config, name, home=home) for name in inputs}
    references = {name: references_of(config, name, home=home) for name in inputs}

    def compute(_: Path) -> dict[str, Any]:
        rows = []
        for each, record in zip(chosen, trained, strict=True):
            history = record.result["history"]
            epoch = min(history, key=lambda row: row["valid_perplexity"])["epoch"]
            for name in inputs:
                captioner = listener(each, name, record, seen[name])
                memory = captioner.memory()
                for beam_size in BEAMS:
                    said = captioner.titles(memory, beam_size)
                    chance = against_chance(
                        all_scores(said, references[name], BLEU_1),
                        rounds=PERMUTATIONS,
                        generator=np.random.default_rng(config.seed),
                    )
                    lead = {
                        "seed": config.seed + each.training.seed,
                        "input": name,
                        "beam_size": beam_size,
                        "epoch": epoch,
                        "mean_length": float(np.mean([len(words) for words in said])),
                    }
                    rows.append(lead | asdict(chance))
        return {"rows": rows, "summary": summarised(rows)}

    settings = pick(config, "seed", "replicates") | {"beams": list(BEAMS), "inputs": inputs}
    settings["bleu"] = signatures("bleu1")
    settings["records"] = [record.key for record in (*trained, *seen.values())]
    words = corpora(config, home=home)
    return run_stage("replicates", compute, settings=settings, inputs=[words], home=home)


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds for each input and beam size, with the spread and interval of each."""
    cells = dict.fromkeys((row["input"], row["beam_size"]) for row in rows)
    found = []
    for name, beam_size in cells:
        here = [row for row in rows if (row["input"], row["beam_size"]) == (name, beam_size)]
        cell: dict[str, Any] = {"input": name, "beam_size": beam_size, "seeds": len(here)}
        for value in ("score", "gain"):
            values = [row[value] for row in here]
            low, high = replicate_interval(values)
            cell |= {
                value: float(np.mean(values)),
                f"{value}_spread": float(np.std(values, ddof=1)),
                f"{value}_low": low,
                f"{value}_high": high,
            }
        cell["within"] = float(np.mean([(row["high"] - row["low"]) / 2 for row in here]))
        found.append(cell)
    return found
