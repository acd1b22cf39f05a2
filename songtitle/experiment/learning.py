"""Learning: the captioner trained on captions, with two controls beside its perplexity."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songtitle.cache import Record, Work, pick, read_json, stage
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import Loader
from songtitle.errors import InputError
from songtitle.experiment.corpora import corpora, picture_rows, vocabulary
from songtitle.experiment.inputs import features_of, picture_features
from songtitle.experiment.runs import check_unseen, run_for
from songtitle.metrics.chance import unigram_perplexity
from songtitle.metrics.uncertainty import drawn
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.model.encoder import WIDTHS
from songtitle.schema import SEEDS
from songtitle.seeds import generator_for
from songtitle.training.checkpoints import (
    kept_checkpoint,
    kept_epoch,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import SPECIALS, Vocabulary

ORDERS = 40  # of wrong pictures at most: each asks for another pass over the held-out captions
PATIENCE = 2  # epochs without a better validation loss after which a training beside ours stops


@stage
def training(config: ExperimentConfig, *, home: Path) -> Work:
    """The trained captioner (`checkpoints`, `vocabulary.json`), its perplexity by epoch, and
    two controls: a unigram model, and the same captioner shown the wrong pictures. Where one of
    `config.runs` is of these settings it is taken, and nothing trained."""
    if run := run_for(config):
        words = corpora(config, home=home)
        if config.material.pictures.kind == "shards":  # of which no maker says what is the test
            check_unseen(run, {Path(row["path"]).stem for row in picture_rows(words, "test")})
        return of_run(run)._replace(inputs=[words])
    return _training(config, home)


@stage
def blind_training(config: ExperimentConfig, *, home: Path) -> Work:
    """As `training`, on zeros in place of pictures: what captions alone can teach."""
    return _training(patient(config), home, blind=True)


def patient(config: ExperimentConfig, *, seed: int = 0) -> ExperimentConfig:
    """Take another training seed, `seed` further, and stop where validation gets no better, if the
    best epoch is the one that is kept: the rest of the epochs would only take time."""
    settings = config.training
    number, patience = (settings.seed + seed) % SEEDS, settings.patience
    if settings.keep == "best":
        patience = patience or PATIENCE
    settings = replace(settings, seed=number, patience=patience)
    return replace(config, training=settings)


def _training(config: ExperimentConfig, home: Path, *, blind: bool = False) -> Work:
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    known, device = vocabulary(config, home=home), check_device(config.device)

    def compute(folder: Path) -> dict[str, Any]:
        features = features_of(seen, config)
        if blind:
            features = {
                name: torch.zeros((), dtype=each.dtype).expand(each.shape)
                for name, each in features.items()
            }
        words_known = Vocabulary.load(known.file("vocabulary.json"))
        words_known.save(folder / "vocabulary.json")
        ids: dict[str, list[list[int]]] = {}
        rows: dict[str, list[int]] = {}  # which picture each caption is of: some have several
        for side in ("train", "valid"):
            captions = [picture["captions"] for picture in picture_rows(words, side)]
            ids[side] = [words_known.encode(each) for those in captions for each in those]
            rows[side] = [row for row, those in enumerate(captions) for _ in those]
        width, held_out = features["train"].shape[-1], features["valid"]
        with torch.random.fork_rng():
            # Replicates differ in training.seed: they begin elsewhere and take another order.
            torch.manual_seed(config.seed + config.training.seed)
            model = captioner(config, words_known, features=width).to(device)
        pad_id, settings = words_known.pad_id, config.training

        def loader(side: str, views: Tensor) -> Loader:
            sizes = {"batch_size": settings.batch_size, "seed": settings.seed}
            return Loader(views, ids[side], rows=rows[side], pad_id=pad_id, **sizes)

        def loss(model: torch.nn.Module, views: Tensor = held_out) -> float:
            return evaluate(model, loader("valid", views).in_order(), pad_id=pad_id)

        history = fit(
            model,
            loader("train", features["train"]),
            config=settings,
            pad_id=pad_id,
            validate=loss,
            folder=folder,
            details={"config": config.as_dict(), "features": width},
        )
        generator = generator_for(config.seed, "wrong pictures")

        def wrong() -> np.ndarray:
            order = torch.randperm(len(held_out), generator=generator)
            return np.array([loss(model, held_out[order])])

        # A small difference of logarithms is a share of the perplexity.
        permuted = drawn(wrong, error=config.monte_carlo_error / 100, at_most=ORDERS)
        predicted = [[caption[1:] for caption in ids[side]] for side in ("train", "valid")]
        seconds = float(np.median([row["seconds"] for row in history]))
        return {
            "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
            "epoch": kept_epoch(history, settings.keep)["epoch"],
            "valid_perplexity": math.exp(loss(model)),
            "permuted_pictures_perplexity": math.exp(permuted.scores[0]),
            "permuted_pictures": {"draws": permuted.draws, "error": permuted.error},
            "unigram_perplexity": unigram_perplexity(*predicted, vocab_size=len(words_known)),
            "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "timing": {"epoch_seconds": round(seconds, 3)},
        }

    settings = pick(config, "model", "training", "seed", "monte_carlo_error")
    settings |= {"device": device.type}
    return Work(compute, settings, [words, known, seen])


# -- a run of `train` in place of a training here --------------------------------------------------

CONTROLS = ("permuted_pictures_perplexity", "permuted_pictures", "unigram_perplexity")


def of_run(folder: Path) -> Work:
    """Take a finished run of `train` for a `training`: the kept epoch alone is copied.

    Raises InputError for a folder without a finished run, for one that an earlier version left
    without controls, and for a fine-tuned encoder, whose weights the record's readers do not load.
    """
    again = "run the same `train` command again: it goes on, and trains nothing twice"
    try:
        told = read_json(folder / "record.json")
        kept = ("history", "epoch", "valid_perplexity", *CONTROLS, "parameters")
        result = {name: told[name] for name in kept}
        seconds = float(np.median(told["timing"]["epoch_seconds"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        msg = f"{folder}: expected a finished run with its controls in record.json, got '{error}'; "
        raise InputError(msg + again) from error
    checkpoint = kept_checkpoint(folder)
    found = read_checkpoint(checkpoint)
    config = ExperimentConfig.from_dict(found.details["config"])
    if config.model.fine_tune:
        msg = f"{folder}: expected a run with a frozen encoder, got a fine-tuned one, which `title`"
        raise InputError(msg + " cannot hear with; train without fine_tune")
    width = found.details.get("features", WIDTHS[config.model.encoder])
    vocabulary = Vocabulary.load(folder / "vocabulary.json")

    def compute(into: Path) -> dict[str, Any]:
        model = captioner(config, vocabulary, features=width)
        load_weights(checkpoint, model)
        details = {"config": config.as_dict(), "features": width}
        adam = torch.optim.Adam(model.parameters())  # without state: nothing goes on from here
        state = {"settings": found.settings, "details": details}
        save_checkpoint(found.progress, into, model, adam, **state)
        vocabulary.save(into / "vocabulary.json")
        return result | {"timing": {"epoch_seconds": round(seconds, 3)}}

    settings = pick(config, "model", "training", "seed", "monte_carlo_error")
    settings |= {"device": check_device(config.device).type}
    return Work(compute, settings | {"run": told["settings"] | {"weights": found.files}})


def captioner(config: ExperimentConfig, vocabulary: Vocabulary, *, features: int) -> Captioner:
    """Build a captioner over `features`-wide inputs, freshly initialised from torch's generator."""
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
    """Load the captioner of a training record, ready to search, its vocabulary and its device."""
    device = check_device(config.device)
    vocabulary = Vocabulary.load(record.file("vocabulary.json"))
    kept = kept_checkpoint(record.folder)
    model = captioner(config, vocabulary, features=int(read_checkpoint(kept).details["features"]))
    load_weights(kept, model)
    return model.to(device).eval(), vocabulary, device
