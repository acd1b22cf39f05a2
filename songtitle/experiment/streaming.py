"""Streaming: the captioner trained on pictures from WebDataset shards, however many there are.

Nothing is computed once and kept, as it is for the book's own pictures and in a feature store
(`songtitle.experiment.stored`): every epoch decodes every picture, crops it elsewhere, and sends it
through the network, frozen or fine-tuned.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from songtitle.cache import pick, provenance, write_json
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import Batch, ShardStream, deaths_told
from songtitle.corpora.manifest import data_home
from songtitle.corpora.shards import INDEXES, Where, at_least, check_same, find_shards
from songtitle.corpora.splits import FEWEST, HELD_OUT, apart, counted
from songtitle.corpora.views import DEFAULT, VIEWS
from songtitle.errors import InputError
from songtitle.experiment.learning import ORDERS
from songtitle.metrics.uncertainty import drawn
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.model.encoder import PictureEncoder, build_backbone
from songtitle.progress import progress
from songtitle.schema import refuse
from songtitle.seeds import generator_for
from songtitle.text import clean_caption, tokenize
from songtitle.training.checkpoints import kept_checkpoint, kept_epoch
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import SPECIALS, Vocabulary

MOST_WORKERS = 16  # of one process, unless more are asked for
CONTROLLED = 1000  # pictures held out, whose captions are asked for again beside the wrong pictures

log = logging.getLogger(__name__)

Captions = Callable[[], Iterable[str]]
Counts = Callable[[], tuple[np.ndarray, np.ndarray]]  # of each id, in training and validation


@runtime_checkable
class Examples(Protocol):
    """What `learn` reads: batches of an epoch for a process, and all of them in order."""

    def __len__(self) -> int:
        """How many examples an epoch has."""

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of process `rank` of `world`, without the first `start` of the epoch."""

    def in_order(self) -> Iterator[Batch]:
        """Every example once, in order: for validation."""


def encode_caption(caption: str, vocabulary: Vocabulary, max_tokens: int) -> list[int]:
    """A caption's ids: cleaned, cut into words, at most `max_tokens` of them between the marks."""
    return vocabulary.encode(tokenize(clean_caption(caption))[:max_tokens])


def train_on_shards(
    shards: Where,
    output: Path,
    *,
    config: ExperimentConfig,
    valid_shards: Where | None = None,
    held_out: int = HELD_OUT,
    view: str = DEFAULT,
    workers: int | None = None,
    window: int = 16,
    max_tokens: int = 50,
) -> dict[str, Any]:
    """Train on the captioned pictures of `shards`; of what `config` says, model and training count,
    and `seed`, `device`, `crop` and `min_count`.

    Validation is on `valid_shards`, by default on shards held out as `split_shards` has it; neither
    these nor those of the test are ever trained on. `view` is the rule by which both sides'
    pictures are cut: "raw", as they are, or "scaled", with the shorter side at `crop`; at random
    places in training, in the middle for validation. Every process that a launcher started calls
    this with the same arguments. `output` receives `settings.json`, `vocabulary.json`, what `fit`
    writes, and at the end `record.json`, which is returned. Called again, training goes on where it
    was.

    `workers` processes read and decode beside each process that trains (by default, its share of
    the cores), `window` shards are mixed at a time, and a caption of more than `max_tokens` words
    is cut. Raises InputError for shards that are not whole, for fewer than `held_out` pictures to
    validate on, for another setting than before in `output`, and as `fit` does.
    """
    at_least(1, max_tokens=max_tokens)
    at_least(FEWEST, held_out=held_out)
    look = view_of(view)
    workers = workers_for(workers)
    drawn_by = {"held_out": held_out, "seed": config.seed, "workers": workers}
    splits = split_shards(shards, valid_shards, **drawn_by)
    no_words = partial(encode_caption, vocabulary=Vocabulary(()), max_tokens=max_tokens)
    train, valid = (
        ShardStream(
            splits[split],
            no_words,  # until the captions are counted
            look(config.crop, random=split == "train"),
            pad_id=Vocabulary.pad_id,
            index=index_folder(),
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            workers=workers,
            window=window,
        )
        for split in ("train", "valid")
    )
    settings = {
        "shards": _known_by(train),
        "valid_shards": _known_by(valid),
        "test_shards": len(splits["test"]),
        "window": window,
        "max_tokens": max_tokens,
        "view": view,
        "model": asdict(config.model),
        **pick(config, "crop", "min_count", "seed"),
    }
    vocabulary = begin(output, settings, train.captions, min_count=config.min_count)
    train.encode = valid.encode = partial(no_words, vocabulary=vocabulary)
    model = _build(config, vocabulary)

    def counts(stream: ShardStream) -> np.ndarray:
        return word_counts(map(train.encode, stream.captions()), size=len(vocabulary))

    return learn(
        model,
        train,
        valid,
        vocabulary=vocabulary,
        counts=lambda: (counts(train), counts(valid)),
        config=config,
        settings=settings,
        trained_on=[path.stem for path in train.paths],
        output=output,
        left_out=train.faults.as_dict,
    )


def workers_for(asked: int | None) -> int:
    """Give the number of reading processes that was asked for, else this process's share."""
    if asked is not None:
        return asked
    share = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(MOST_WORKERS, max(1, share))


def view_of(name: str) -> Any:
    """Find the rule by which a picture is cut. Raises InputError for another name."""
    if name not in VIEWS:
        refuse("view", f"one of {', '.join(VIEWS)}", repr(name), "choose one of these")
    return VIEWS[name]


def begin(
    output: Path, settings: dict[str, Any], captions: Captions, *, min_count: int
) -> Vocabulary:
    """Make the folder of a run, or find it as it was; give the vocabulary, counted once over what
    `captions()` gives. Raises InputError for other settings than before."""
    output.mkdir(parents=True, exist_ok=True)
    with FileLock(output / ".lock"):  # of many processes the first one counts
        _check_settings(output / "settings.json", settings)
        return _vocabulary(output / "vocabulary.json", captions, min_count=min_count)


def learn(
    model: Captioner,
    train: Examples,
    valid: Examples,
    *,
    vocabulary: Vocabulary,
    counts: Counts,
    config: ExperimentConfig,
    settings: dict[str, Any],
    trained_on: Sequence[str],
    output: Path,
    left_out: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Train, or go on; leave the run's record in `output`, and give it.

    Beside its perplexities stand two controls, as in `songtitle.experiment.learning`: a unigram
    model, of `counts()`, how often training and validation ask for each word; and the captioner
    shown the wrong pictures, with the first CONTROLLED that are held out.
    """
    pad_id = vocabulary.pad_id
    width = model.encoder.linear.in_features  # type: ignore[union-attr]
    with deaths_told(), ExitStack() as stack:
        history = fit(
            model,
            _Told(train, config, stack),
            config=config.training,
            pad_id=pad_id,
            validate=lambda model: evaluate(model, valid.in_order(), pad_id=pad_id),
            folder=output,
            details={"config": config.as_dict(), "features": width},
        )
        controls = _controls(model, valid, counts, config, pad_id) if is_main() else {}
    kept = kept_epoch(history, config.training.keep)
    record = {
        "settings": settings | {"training": asdict(config.training)},
        "trained_on": sorted(trained_on),  # shards, by name
        "vocabulary": len(vocabulary),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "kept": kept_checkpoint(output).relative_to(output).as_posix(),
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
        "epoch": kept["epoch"],
        "valid_perplexity": kept["valid_perplexity"],
        **controls,
        "left_out": left_out(),  # of what this process met
        "timing": {"epoch_seconds": [round(row["seconds"], 3) for row in history]},
        "provenance": provenance(),
    }
    if is_main():
        write_json(output / "record.json", record)
    return record


class _Told:
    """Examples of which a log is told how many were trained on; a terminal has the bar of `fit`."""

    def __init__(self, examples: Examples, config: ExperimentConfig, stack: ExitStack) -> None:
        self.examples, self.settings, self.stack = examples, config.training, stack
        self.advance: Callable[[int], object] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        if self.advance is None:
            done = (epoch - 1) * len(self) + start * self.settings.batch_size * world
            told = progress(
                "train", self.settings.epochs * len(self), unit="examples", done=done, bar=False
            )
            self.advance = self.stack.enter_context(told)
        return map(
            partial(_passed, self.advance, world),
            self.examples(epoch, start=start, rank=rank, world=world),
        )


def _passed(advance: Callable[[int], object], world: int, batch: Batch) -> Batch:
    advance(len(batch.tokens) * world)
    return batch


def _controls(
    model: Captioner, valid: Examples, counts: Counts, config: ExperimentConfig, pad_id: int
) -> dict[str, Any]:
    kept: list[Batch] = []
    for batch in valid.in_order():
        kept.append(batch._replace(inputs=_features(model, batch.inputs)))
        if sum(len(each.tokens) for each in kept) >= CONTROLLED:
            break
    seen = torch.cat([each.inputs for each in kept])
    generator = generator_for(config.seed, "wrong pictures")

    def loss(order: Sequence[int] | Tensor) -> float:
        parts = torch.as_tensor(order).split([len(each.tokens) for each in kept])
        shown = (b._replace(inputs=seen[part]) for b, part in zip(kept, parts, strict=True))
        return evaluate(model, shown, pad_id=pad_id)

    def wrong() -> np.ndarray:
        return np.array([loss(torch.randperm(len(seen), generator=generator))])

    # A small difference of logarithms is a share of the perplexity.
    permuted = drawn(wrong, error=config.monte_carlo_error / 100, at_most=ORDERS)
    return {
        "unigram_perplexity": unigram_perplexity(*counts()),
        "permuted_pictures_perplexity": math.exp(permuted.scores[0]),
        "permuted_pictures": {
            "draws": permuted.draws,
            "error": permuted.error,
            "pictures": len(seen),
            "right_pictures_perplexity": math.exp(loss(range(len(seen)))),
        },
    }


@torch.inference_mode()
def _features(model: Captioner, inputs: Tensor) -> Tensor:
    """What the encoder's projection reads of pictures; features as they are."""
    if not isinstance(model.encoder, PictureEncoder) or inputs.ndim != 4:
        return inputs
    model.eval()
    return model.encoder.backbone(inputs.to(next(model.parameters()).device)).cpu()


def word_counts(captions: Iterable[Sequence[int]], *, size: int) -> np.ndarray:
    """Count how often each of `size` ids is predicted: all of a caption but its first."""
    counts = np.zeros(size, np.int64)
    for ids in captions:
        np.add.at(counts, list(ids[1:]), 1)
    return counts


def unigram_perplexity(train: np.ndarray, valid: np.ndarray) -> float:
    """Perplexity on words asked for `valid` times of their frequencies in `train`, with one added
    to each: `songtitle.metrics.chance.unigram_perplexity` of counts, for millions of captions."""
    smoothed = train + 1.0
    return float(np.exp(-(valid @ np.log(smoothed / smoothed.sum())) / valid.sum()))


def index_folder() -> Path:
    """Give the folder of the shards' indexes, which is there."""
    folder = data_home() / INDEXES
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_main() -> bool:
    """Whether this is the one process, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def split_shards(
    shards: Where,
    valid_shards: Where | None = None,
    *,
    held_out: int,
    seed: int = 0,
    workers: int = 1,
) -> dict[str, list[Path]]:
    """Give the shards to train on, to validate on, and to leave for the test, each whole.

    Names that say train, validation or test are held to, and what no name says is drawn by `seed`,
    both as `songtitle.corpora.selection.select` does: what a page tests on was not trained on.
    Where `valid_shards` are named, no more is drawn. Raises InputError for fewer than `held_out`
    pictures in a split, and for names of some shards only.
    """
    paths, named = find_shards(shards), find_shards(valid_shards) if valid_shards else []
    counts = counted(list(dict.fromkeys([*paths, *named])), index_folder(), workers=workers)
    found = apart(paths, named, counts, held_out=held_out, seed=seed)
    tell_test(len(found["test"]))
    return found


def tell_test(count: int) -> None:
    """Say once how many shards are left for the test."""
    if count and is_main():
        log.warning(
            "%s shards are left for the test: they neither train nor validate", f"{count:,}"
        )


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
    if "shards" in before:
        before.setdefault("view", "scaled")  # the only one when runs did not say
    check_same(path, before, json.loads(json.dumps(settings)))


def _vocabulary(path: Path, captions: Captions, *, min_count: int) -> Vocabulary:
    if not path.exists():
        titles = (tokenize(clean_caption(caption)) for caption in captions())
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
