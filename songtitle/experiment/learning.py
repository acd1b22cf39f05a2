"""Learning: the captioner trained on captions, with two controls beside its perplexity."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from songtitle.controls import unigram_perplexity
from songtitle.datasets.loaders import batches
from songtitle.devices import check_device
from songtitle.experiment.common import generator_for, once, pick, read_json
from songtitle.experiment.corpora import corpora, vocabulary
from songtitle.experiment.inputs import picture_features
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.presets import ExperimentConfig
from songtitle.stages import Record, run_stage
from songtitle.training import evaluate, fit, load_weights, read_checkpoint
from songtitle.vocab import Vocabulary


@once
def training(config: ExperimentConfig, *, home: Path) -> Record:
    """The trained captioner (`best.safetensors`, `vocabulary.json`), its perplexity by epoch, and
    two controls: a unigram model, and the same captioner shown the wrong pictures."""
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    known = vocabulary(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        device = check_device(config.device)
        words_known = Vocabulary.load(known.file("vocabulary.json"))
        words_known.save(folder / "vocabulary.json")
        features = load_file(seen.file("features.safetensors"))
        pictures = read_json(words.file("pictures.json"))
        ids = {
            side: [words_known.encode(p["tokens"]) for p in pictures if p["split"] == side]
            for side in ("train", "valid")
        }
        width = features["train"].shape[-1]
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = build_captioner(
                config.model, features=width, vocab=len(words_known), pad_id=words_known.pad_id
            ).to(device)
        size, pad_id = config.training.batch_size, words_known.pad_id

        def loss(model: torch.nn.Module, valid: Tensor = features["valid"]) -> float:
            held_out = batches(valid, ids["valid"], batch_size=size, pad_id=pad_id)
            return evaluate(model, held_out, pad_id=pad_id)

        history = fit(
            model,
            lambda epoch: batches(
                features["train"],
                ids["train"],
                batch_size=size,
                pad_id=pad_id,
                generator=generator_for(config.training.seed, f"epoch {epoch}"),
            ),
            config=config.training,
            pad_id=pad_id,
            validate=loss,
            folder=folder,
            details={"config": config.as_dict(), "features": width},
        )
        generator = generator_for(config.seed, "wrong pictures")
        items = len(ids["valid"])
        permuted = [
            loss(model, features["valid"][torch.randperm(items, generator=generator)])
            for _ in range(10)
        ]
        return {
            "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
            "valid_perplexity": math.exp(loss(model)),
            "permuted_pictures_perplexity": math.exp(float(np.mean(permuted))),
            "unigram_perplexity": unigram_perplexity(
                [caption[1:] for caption in ids["train"]],
                [caption[1:] for caption in ids["valid"]],
                vocab_size=len(words_known),
            ),
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "timing": {
                "epoch_seconds": round(float(np.median([row["seconds"] for row in history])), 3)
            },
        }

    settings = {"model": asdict(config.model), "training": asdict(config.training)}
    settings |= pick(config, "seed") | {"device": check_device(config.device).type}
    return run_stage("training", compute, settings=settings, inputs=[words, known, seen], home=home)


def load_trained(
    record: Record, config: ExperimentConfig
) -> tuple[Captioner, Vocabulary, torch.device]:
    """The captioner of a training record, ready to search, its vocabulary and its device."""
    device = check_device(config.device)
    vocabulary = Vocabulary.load(record.file("vocabulary.json"))
    path = record.file("best.safetensors")
    model = build_captioner(
        config.model,
        features=read_checkpoint(path)[1]["features"],
        vocab=len(vocabulary),
        pad_id=vocabulary.pad_id,
    )
    load_weights(path, model)
    return model.to(device).eval(), vocabulary, device
