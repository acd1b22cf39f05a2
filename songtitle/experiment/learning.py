"""Learning: the captioner trained on captions, with two controls beside its perplexity."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songtitle.cache import Record, once, pick, read_json, run_stage
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import Loader
from songtitle.experiment.corpora import corpora, vocabulary
from songtitle.experiment.inputs import features_of, picture_features
from songtitle.metrics.ceilings import unigram_perplexity
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.seeds import generator_for
from songtitle.training.checkpoints import best_checkpoint, load_weights, read_checkpoint
from songtitle.training.loop import fit
from songtitle.training.steps import evaluate
from songtitle.vocabulary import SPECIALS, Vocabulary


@once
def training(config: ExperimentConfig, *, home: Path) -> Record:
    """The trained captioner (`checkpoints`, `vocabulary.json`), its perplexity by epoch, and
    two controls: a unigram model, and the same captioner shown the wrong pictures."""
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    known = vocabulary(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        return learn(config, words, known, features_of(seen, config), folder)

    settings = {"model": asdict(config.model), "training": asdict(config.training)}
    settings |= pick(config, "seed") | {"device": check_device(config.device).type}
    return run_stage("training", compute, settings=settings, inputs=[words, known, seen], home=home)


def learn(
    config: ExperimentConfig,
    words: Record,
    known: Record,
    features: dict[str, Tensor],
    folder: Path,
) -> dict[str, Any]:
    """Train a captioner on `features` of the pictures in `words`; what `training` finds."""
    device = check_device(config.device)
    words_known = Vocabulary.load(known.file("vocabulary.json"))
    words_known.save(folder / "vocabulary.json")
    pictures = read_json(words.file("pictures.json"))
    ids: dict[str, list[list[int]]] = {}
    rows: dict[str, list[int]] = {}  # which picture each caption is of: some have several
    for side in ("train", "valid"):
        captions = [p["captions"] for p in pictures if p["split"] == side]
        ids[side] = [words_known.encode(words) for those in captions for words in those]
        rows[side] = [row for row, those in enumerate(captions) for _ in those]
    width = features["train"].shape[-1]
    with torch.random.fork_rng():
        # Replicates differ in training.seed: they begin elsewhere and take another order.
        torch.manual_seed(config.seed + config.training.seed)
        model = captioner(config, words_known, features=width).to(device)
    pad_id, held_out = words_known.pad_id, features["valid"]

    def loader(side: str, views: Tensor) -> Loader:
        return Loader(
            views,
            ids[side],
            batch_size=config.training.batch_size,
            pad_id=pad_id,
            seed=config.training.seed,
            rows=rows[side],
        )

    def loss(model: torch.nn.Module, views: Tensor = held_out) -> float:
        return evaluate(model, loader("valid", views).in_order(), pad_id=pad_id)

    history = fit(
        model,
        loader("train", features["train"]),
        config=config.training,
        pad_id=pad_id,
        validate=loss,
        folder=folder,
        details={"config": config.as_dict(), "features": width},
    )
    generator = generator_for(config.seed, "wrong pictures")
    permuted = [
        loss(model, held_out[torch.randperm(len(held_out), generator=generator)]) for _ in range(10)
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


def captioner(config: ExperimentConfig, vocabulary: Vocabulary, *, features: int) -> Captioner:
    """A captioner over `features`-wide inputs, freshly initialised from torch's generator."""
    return build_captioner(
        config.model,
        features=features,
        vocab=len(vocabulary),
        pad_id=vocabulary.pad_id,
        words=[*SPECIALS, *vocabulary.words],
    )


def load_trained(
    record: Record, config: ExperimentConfig
) -> tuple[Captioner, Vocabulary, torch.device]:
    """The captioner of a training record, ready to search, its vocabulary and its device."""
    device = check_device(config.device)
    vocabulary = Vocabulary.load(record.file("vocabulary.json"))
    best = best_checkpoint(record.folder)
    model = captioner(config, vocabulary, features=int(read_checkpoint(best).details["features"]))
    load_weights(best, model)
    return model.to(device).eval(), vocabulary, device
