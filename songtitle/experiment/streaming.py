"""Streaming: the captioner trained on pictures from WebDataset shards, however many there are.

Nothing is computed once and kept, as it is for the book's own pictures: every epoch decodes every
picture, crops it elsewhere, and sends it through the network, frozen or fine-tuned.
"""

import hashlib
import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from songtitle.cache import pick, provenance, write_json
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import CropView, ShardStream, deaths_told
from songtitle.corpora.manifest import data_home
from songtitle.corpora.shards import Where, at_least, check_same, find_shards
from songtitle.errors import InputError
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.model.encoder import build_backbone
from songtitle.text import clean_caption, tokenize
from songtitle.training.checkpoints import best_checkpoint
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import SPECIALS, Vocabulary

INDEXES = "shard_indexes"  # below the data home
MOST_WORKERS = 16  # of one process, unless more are asked for


def _encode(caption: str, vocabulary: Vocabulary, max_tokens: int) -> list[int]:
    """A caption's ids: cleaned, cut into words, at most `max_tokens` of them between the marks."""
    return vocabulary.encode(tokenize(clean_caption(caption))[:max_tokens])


def train_on_shards(
    shards: Where,
    output: Path,
    *,
    config: ExperimentConfig,
    valid_shards: Where | None = None,
    workers: int | None = None,
    window: int = 16,
    max_tokens: int = 50,
) -> dict[str, Any]:
    """Train on the captioned pictures of `shards`; of what `config` says, model and training count,
    and `seed`, `device`, `crop` and `min_count`.

    Validation is on `valid_shards` (by default the last of `shards`), which are never trained on.
    Every process that a launcher started calls this with the same arguments. `output` receives
    `settings.json`, `vocabulary.json`, what `fit` writes, and at the end `record.json`, which is
    returned. Called again, training goes on where it was.

    `workers` processes read and decode beside each process that trains (by default, its share of
    the cores), `window` shards are mixed at a time, and a caption of more than `max_tokens` words
    is cut. Raises InputError for shards that are not whole, for another setting than before in
    `output`, and as `fit` does.
    """
    at_least(1, max_tokens=max_tokens)
    if workers is None:
        share = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        workers = min(MOST_WORKERS, max(1, share))
    train_paths, valid_paths = split_shards(shards, valid_shards)
    no_words = partial(_encode, vocabulary=Vocabulary(()), max_tokens=max_tokens)
    train, valid = (
        ShardStream(
            paths,
            no_words,  # until the captions are counted
            CropView(config.crop, random=paths is train_paths),
            pad_id=Vocabulary.pad_id,
            index=data_home() / INDEXES,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            workers=workers,
            window=window,
        )
        for paths in (train_paths, valid_paths)
    )
    settings = {
        "shards": _known_by(train),
        "valid_shards": _known_by(valid),
        "window": window,
        "max_tokens": max_tokens,
        "model": asdict(config.model),
        **pick(config, "crop", "min_count", "seed"),
    }
    output.mkdir(parents=True, exist_ok=True)
    with FileLock(output / ".lock"):  # of many processes the first one counts
        _check_settings(output / "settings.json", settings)
        vocabulary = _vocabulary(output / "vocabulary.json", train, min_count=config.min_count)
    train.encode = valid.encode = partial(no_words, vocabulary=vocabulary)
    model = _build(config, vocabulary)
    with deaths_told():
        history = fit(
            model,
            train,
            config=config.training,
            pad_id=vocabulary.pad_id,
            validate=lambda model: evaluate(model, valid.in_order(), pad_id=vocabulary.pad_id),
            folder=output,
            details={"config": config.as_dict()},
        )
    record = {
        "settings": settings | {"training": asdict(config.training)},
        "vocabulary": len(vocabulary),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "best": best_checkpoint(output).relative_to(output).as_posix(),
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
        "left_out": train.faults.as_dict(),  # of what this process met
        "timing": {"epoch_seconds": [round(row["seconds"], 3) for row in history]},
        "provenance": provenance(),
    }
    if is_main():
        write_json(output / "record.json", record)
    return record


def is_main() -> bool:
    """Whether this is the one process, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def split_shards(shards: Where, valid_shards: Where | None) -> tuple[list[Path], list[Path]]:
    """Shards to train on and shards to validate on; none is both.

    Raises InputError where nothing is left to train on.
    """
    paths = find_shards(shards)
    valid = find_shards(valid_shards) if valid_shards else paths[-1:]
    train = [path for path in paths if path not in valid]
    if not train:
        msg = "shards: expected one or more to train on beside those to validate on, got "
        msg += f"{len(paths)} in {shards}; fetch more, or name others with valid_shards"
        raise InputError(msg)
    return train, valid


def _known_by(stream: ShardStream) -> dict[str, Any]:
    """What tells one set of shards from another, wherever it lies."""
    names = [
        f"{path.name} {path.stat().st_size} {count}"
        for path, count in zip(stream.paths, stream.counts, strict=True)
    ]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return {"shards": len(names), "examples": len(stream), "sha256": digest}


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        return write_json(path, settings)
    try:
        before = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        msg = f"{path}: expected the settings of a training run, got '{error}'; take another output"
        raise InputError(msg) from error
    check_same(path, before, json.loads(json.dumps(settings)))


def _vocabulary(path: Path, train: ShardStream, *, min_count: int) -> Vocabulary:
    if not path.exists():
        titles = (tokenize(clean_caption(caption)) for caption in train.captions())
        found = Vocabulary.from_tokens(titles, min_count=min_count)
        if not found.words:
            msg = f"min_count: expected words that come {min_count} times or more in the captions, "
            msg += "got none; lower it, or give more shards"
            raise InputError(msg)
        found.save(path)
    return Vocabulary.load(path)


def _build(config: ExperimentConfig, vocabulary: Vocabulary) -> Captioner:
    """The captioner over pictures, the same in every process, on this process's device."""
    settings = config.model
    if settings.encoder == "timbre":
        msg = "encoder: expected one that reads pictures, got 'timbre'; choose another"
        raise InputError(msg)
    device = check_device(config.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        names, memory = (settings.encoder, settings.weights), settings.positions
        backbone = build_backbone(*names, memory=memory, frozen=not settings.fine_tune)
        model = build_captioner(
            settings,
            vocab=len(vocabulary),
            pad_id=vocabulary.pad_id,
            words=[*SPECIALS, *vocabulary.words],
            backbone=backbone,
        )
    return model.to(device)
