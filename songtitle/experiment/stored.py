"""Stored: features made once for all pictures of the shards, training from them, and runs of
`train` given the form of the book's own records."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songtitle.cache import Record, digest, pick, run_stage
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import Batch, pad_captions
from songtitle.corpora.manifest import data_home
from songtitle.corpora.shards import Where, at_least, find_shards
from songtitle.corpora.splits import FEWEST, HELD_OUT, apart, counted
from songtitle.corpora.views import DEFAULT
from songtitle.errors import InputError
from songtitle.experiment.inputs import encoder_settings, frozen_backbone
from songtitle.experiment.learning import captioner, of_run
from songtitle.experiment.streaming import (
    begin,
    encode_caption,
    index_folder,
    learn,
    tell_test,
    view_of,
    workers_for,
)
from songtitle.machine import same_python_in_spark
from songtitle.model.features import Encoder, plan_for
from songtitle.model.store import Maker, Store, make_store
from songtitle.seeds import Order, shares

ENGINES = {  # what shares out the shards: the module it needs, and how to install that
    "processes": ("", ""),
    "ray": ("ray", "-e '.[cluster]'"),
    "pyspark": ("pyspark", "-e '.[spark]'"),
}


@dataclass(frozen=True)
class Job:
    """The features of a list of shards: plain values, so that it travels to any process."""

    paths: tuple[Path, ...]
    folder: Path
    config: ExperimentConfig
    view: str
    min_side: int | None
    batch: int | None
    workers: int
    index: Path
    examples: int

    def make(self, places: Sequence[int]) -> list[str]:
        """Write what lacks of the shards at some places; the names of what was written."""
        maker = _maker(self)
        made = make_store(self.folder, self.paths, maker, index=self.index, places=places)
        return [path.name for path in made]

    def make_one(self, place: int) -> str:
        """Write the shard at a place, if it lacks; its file's name, or "" where it was there."""
        return next(iter(self.make([place])), "")


@cache
def _maker(job: Job) -> Maker:
    """The network of a job, built once in each process."""
    config = job.config
    device = check_device(config.device)
    if device.type == "cuda" and device.index is None:
        rank = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
        config = replace(config, device=f"cuda:{rank}")
    backbone = frozen_backbone(config, "pooled")
    size = {"height": config.crop, "width": config.crop}
    # By all that the store will hold: the same in every process, and when a killed run goes on.
    plan = plan_for(backbone, pictures=job.examples * config.views, **size)
    if job.batch:
        plan = replace(plan, batch=job.batch)
    settings = encoder_settings(config)
    del settings["device"]
    settings |= pick(config, "crop") | {"view": job.view}
    return Maker(
        settings=settings,
        encode=Encoder(backbone, plan),
        view=view_of(job.view)(config.crop),
        width=backbone.width,
        views=config.views,
        seed=config.seed,
        batch=max(plan.batch, 32),
        workers=job.workers,
        min_side=job.min_side,
    )


def store_features(
    shards: Where,
    folder: Path,
    *,
    config: ExperimentConfig,
    view: str = DEFAULT,
    min_side: int | None = None,
    batch: int | None = None,
    workers: int | None = None,
    engine: str = "processes",
) -> list[str]:
    """Make the feature store of `shards` in `folder`, or go on; the files that were written here.

    Of `config` the encoder and its weights, `crop`, `views`, `seed` and `device` count; each view
    is cut at random by the rule `view`, "raw" or "scaled". Pictures of less than `min_side` pixels
    either way are left out, as their headers tell. Every process that a launcher started
    takes its share of the shards; `engine` "ray" or "pyspark" shares them out over a cluster that
    sees these folders, or over this machine. `batch` pictures go through the network together.

    Raises InputError as `make_store` does, and for an engine that is not installed.
    """
    at_least(1, batch=batch, min_side=min_side)
    at_least(0, workers=workers)
    view_of(view)
    _require(engine)
    if config.model.encoder == "timbre":
        msg = "encoder: expected one that reads pictures, got 'timbre'; choose another"
        raise InputError(msg)
    paths = tuple(find_shards(shards))
    index = index_folder()
    counts = counted(paths, index, workers=workers_for(workers))
    job = Job(
        paths=paths,
        folder=folder.resolve(),
        config=config,
        view=view,
        min_side=min_side,
        batch=batch,
        workers=workers_for(workers) if engine == "processes" else workers or 0,
        index=index,
        examples=sum(counts.values()),
    )
    if engine == "processes":
        rank, world = (int(os.environ.get(n, d)) for n, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
        return job.make(range(len(paths))[rank::world])
    job.make(())  # what is refused is refused here, in one line
    return {"ray": _by_ray, "pyspark": _by_spark}[engine](job)


def _require(engine: str) -> None:
    if engine not in ENGINES:
        msg = f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}; choose one"
        raise InputError(msg)
    module, package = ENGINES[engine]
    if module and find_spec(module) is None:
        msg = f"engine: expected the module {module}, it is not there; run `pip install {package}`"
        raise InputError(msg + " in the clone, or leave engine out")


def _by_ray(job: Job) -> list[str]:
    """One shard a task, as many at a time as there are cores or graphics cards."""
    import ray

    begun = not ray.is_initialized()
    if begun and "RAY_ADDRESS" in os.environ:
        ray.init()
    elif begun:  # "local": else Ray joins what cluster was last started on this machine
        ray.init(address="local", include_dashboard=False)
    gpus = 1 if check_device(job.config.device).type == "cuda" else 0
    try:
        places: Any = ray.data.from_items([{"place": place} for place in range(len(job.paths))])
        places = places.repartition(len(job.paths))
        asked = {"batch_size": 1, "num_gpus": gpus, "fn_kwargs": {"job": job}}
        found = places.map_batches(_make_batch, **asked).take_all()
        return sorted(filter(None, (row["made"] for row in found)))
    finally:
        if begun:
            ray.shutdown()


def _make_batch(batch: dict[str, Any], job: Job) -> dict[str, Any]:
    return {"made": np.array([job.make_one(place) for place in batch["place"].tolist()])}


def _by_spark(job: Job) -> list[str]:
    """One shard a partition, by `mapInPandas`."""
    same_python_in_spark()
    sql: Any = import_module("pyspark.sql")

    there = sql.SparkSession.getActiveSession()
    session = there or sql.SparkSession.builder.appName("songtitle features").getOrCreate()
    try:
        places = session.range(0, len(job.paths), 1, len(job.paths))
        found = places.mapInPandas(partial(_make_frames, job=job), "made string").collect()
        return sorted(filter(None, (row["made"] for row in found)))
    finally:
        if there is None:
            session.stop()


def _make_frames(frames: Iterator[Any], job: Job) -> Iterator[Any]:
    import pandas

    for frame in frames:
        yield pandas.DataFrame({"made": [job.make_one(place) for place in frame["id"].tolist()]})


# -- training from a store


class StoreBatches:
    """Batches of stored features, read as they are wanted, with their captions' token ids.

    `batches(epoch)` gives every example that could be read once, `window` shards mixed at a time,
    in an order that is a function of seed and epoch; epoch e shows view (e - 1) mod views of all.
    Held in memory are the captions' ids and the rows' numbers alone.
    """

    def __init__(
        self,
        store: Store,
        encode: Callable[[str], list[int]],
        *,
        pad_id: int,
        batch_size: int,
        seed: int = 0,
        window: int = 16,
    ) -> None:
        at_least(1, batch_size=batch_size, window=window)
        self.store, self.pad_id, self.batch_size = store, pad_id, batch_size
        self.seed, self.window = seed, window
        self.views = store.settings["views"]
        self.rows = [store.readable(place) for place in range(len(store.shards))]
        self.counts = [len(rows) for rows in self.rows]
        self.ids: list[tuple[Tensor, Tensor]] = []  # of each shard: ids, and where captions end
        for place, rows in enumerate(self.rows):
            captions = store.captions(place)
            found = [encode(captions[row]) for row in rows.tolist()]
            flat = torch.tensor([i for ids in found for i in ids], dtype=torch.int32)
            self.ids.append((flat, torch.tensor([0, *map(len, found)]).cumsum(0)))

    def __len__(self) -> int:
        """How many examples there are."""
        return sum(self.counts)

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of process `rank` of `world`, without the first `start` of the epoch."""
        order = Order(self.counts, window=self.window, seed=self.seed, epoch=epoch)
        size = {"batch_size": self.batch_size, "start": start, "rank": rank, "world": world}
        for places in shares(len(self), **size):
            yield self._batch([order.at(place) for place in places], (epoch - 1) % self.views)

    def in_order(self) -> Iterator[Batch]:
        """Give every example once, in order, its first view: for validation."""
        order = Order(self.counts)
        for first in range(0, len(self), self.batch_size):
            places = range(first, min(first + self.batch_size, len(self)))
            yield self._batch([order.at(place) for place in places], 0)

    def word_counts(self, size: int) -> np.ndarray:
        """Count how often each of `size` ids is predicted: all of a caption but its first."""
        counts = np.zeros(size, np.int64)
        for ids, ends in self.ids:
            counts += np.bincount(ids.numpy(), minlength=size)
            counts -= np.bincount(ids[ends[:-1]].numpy(), minlength=size)
        return counts

    def _batch(self, chosen: list[tuple[int, int]], view: int) -> Batch:
        shards, numbers = torch.tensor(chosen).T
        inputs = torch.empty(len(chosen), 1, self.store.settings["features"])
        for shard in shards.unique().tolist():
            mine = shards == shard
            rows = self.rows[shard][numbers[mine]]
            inputs[mine] = self.store.features(shard, rows)[:, view : view + 1]
        captions = [self._caption(*each) for each in chosen]
        return Batch(inputs, *pad_captions(captions, pad_id=self.pad_id))

    def _caption(self, shard: int, number: int) -> list[int]:
        ids, ends = self.ids[shard]
        return ids[ends[number] : ends[number + 1]].tolist()


def train_on_store(
    store: Path,
    output: Path,
    *,
    config: ExperimentConfig,
    valid_store: Path | None = None,
    valid_shards: Sequence[str] | None = None,
    held_out: int = HELD_OUT,
    window: int = 16,
    max_tokens: int = 50,
) -> dict[str, Any]:
    """Train on the features and captions of a store, as `train_on_shards` trains on pictures.

    Validation is on the store `valid_store`, which must be made as the other is, or on the shards
    of `store` that `valid_shards` names, by default on some held out as `split_shards` has it. The
    encoder's settings are those of the store. Raises InputError as `Store.open` and
    `train_on_shards` do, for a decoder that looks at maps and for another encoder than the store's.
    """
    at_least(1, max_tokens=max_tokens)
    at_least(FEWEST, held_out=held_out)
    whole = Store.open(store)
    _check_model(config, whole)
    drawn_by = {"held_out": held_out, "seed": config.seed}
    sides = _sides(whole, valid_store, valid_shards, **drawn_by)
    train_on, valid_on = sides["train"], sides["valid"]
    seen = whole.settings
    settings = {
        "store": _known_by(train_on),
        "valid_store": _known_by(valid_on),
        "test_shards": len(sides["test"].shards),
        "window": window,
        "max_tokens": max_tokens,
        "view": seen["view"],
        "model": asdict(config.model),
        **pick(config, "crop", "min_count", "seed"),
    }
    vocabulary = begin(output, settings, partial(_captions, train_on), min_count=config.min_count)
    train, valid = (
        StoreBatches(
            side,
            partial(encode_caption, vocabulary=vocabulary, max_tokens=max_tokens),
            pad_id=vocabulary.pad_id,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            window=window,
        )
        for side in (train_on, valid_on)
    )
    device = check_device(config.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    with torch.random.fork_rng(devices=[]):
        # Replicates differ in training.seed: they begin elsewhere and take another order.
        torch.manual_seed(config.seed + config.training.seed)
        model = captioner(config, vocabulary, features=seen["features"]).to(device)
    size = len(vocabulary)
    return learn(
        model,
        train,
        valid,
        vocabulary=vocabulary,
        counts=lambda: (train.word_counts(size), valid.word_counts(size)),
        config=config,
        settings=settings,
        trained_on=list(train_on.shards),
        output=output,
        left_out=lambda: {"counts": train_on.left_out()},
    )


def _sides(
    store: Store,
    valid_store: Path | None,
    valid_shards: Sequence[str] | None,
    *,
    held_out: int,
    seed: int,
) -> dict[str, Store]:
    """What to train on, to validate on and to leave for the test, as `split_shards` has it."""
    if valid_store and valid_shards:
        msg = "valid_shards: expected it or valid_store, got both; leave one out"
        raise InputError(msg)
    other = Store.open(valid_store) if valid_store else store
    if other.settings != store.settings:
        differ = [name for name, it in store.settings.items() if other.settings.get(name) != it]
        msg = f"{valid_store}: expected a store made as {store.folder} is, got another in "
        raise InputError(msg + f"{', '.join(differ)}; make it again with the same settings")
    named = [Path(name).stem for name in valid_shards or ()]
    valid = other.part(other.shards if valid_store else named)
    counts = {
        side.folder / f"{name}.tar": count  # what holds out goes by the names of shards
        for side in (store, valid)
        for name, count in zip(side.shards, side.counts, strict=True)
    }
    whole, some = ([side.folder / f"{name}.tar" for name in side.shards] for side in (store, valid))
    found = apart(whole, some, counts, held_out=held_out, seed=seed)
    tell_test(len(found["test"]))
    names = {split: [path.stem for path in paths] for split, paths in found.items()}
    return {split: (other if split == "valid" else store).part(names[split]) for split in names}


def _check_model(config: ExperimentConfig, store: Store) -> None:
    model, there = config.model, store.settings
    wanted = encoder_settings(config) | pick(config, "crop", "seed")
    initialised = there["weights"] == "none"  # from the seed
    for name in ("encoder", "weights", "crop", *(["seed"] if initialised else [])):
        asked = wanted[name]
        if there[name] != asked:
            msg = f"{name}: expected {there[name]}, of which {store.folder} holds features, got "
            raise InputError(msg + f"{asked}; name that, or another store")
    if model.positions != "pooled" or model.fine_tune:
        setting = "fine_tune" if model.fine_tune else "decoder"
        got = "True" if model.fine_tune else f"{model.decoder!r}, which looks at maps"
        msg = f"{setting}: expected one for pooled features, all that a store holds, got {got}; "
        raise InputError(msg + "stream pictures with --shards, or set model.memory pooled")


def _known_by(store: Store) -> dict[str, Any]:
    """What tells one store, or part of one, from another, wherever it lies."""
    shards = {name: store.about["shards"][name] for name in store.shards}
    told = {"settings": store.settings, "shards": shards}
    return {"shards": len(shards), "examples": sum(store.counts), "digest": digest(told)}


def _captions(store: Store) -> Iterator[str]:
    for place in range(len(store.shards)):
        captions = store.captions(place)
        yield from (captions[row] for row in store.readable(place).tolist())


# -- a run as a record


def adopt(folder: Path, *, home: Path | None = None) -> Record:
    """Give a finished run of `train` the form of a `training` record below the data home, so that
    `title`, `status` and `load_trained` find it; the kept epoch alone is copied.

    Raises InputError for a folder without a finished run, for one that an earlier version left
    without controls, and for a fine-tuned encoder, whose weights the record's readers do not load.
    """
    work = of_run(folder)
    return run_stage("training", work.compute, settings=work.settings, home=home or data_home())
