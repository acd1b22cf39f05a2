"""The feature store: reading against a raw map, bytes a row, and training that stays flat."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Growth, Row, interleaved, named, one_thread, peak_memory
from songtitle.config import ModelConfig, TrainingConfig
from songtitle.experiment.stored import StoreBatches
from songtitle.model.captioner import build_captioner
from songtitle.model.store import ABOUT, FORM, Store, write_shard
from songtitle.seeds import Order, generator_for
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import Vocabulary

WIDTH, CLASSES = 2048, 8
SHARD = 1000  # rows of one


def rows(quick: bool = False) -> list[Row]:
    """Bytes of a row, reading rate, and whether training finds what was planted."""
    count = 330 if quick else 30_000
    with tempfile.TemporaryDirectory() as home, one_thread():
        store = plant(Path(home), count, shard=110 if quick else SHARD)
        size = sum(path.stat().st_size for path in Path(home).glob("*.safetensors"))
        found = learn(store, Path(home) / "run", shards=1)
        chosen = _chosen(store, 110 if quick else 20_000)
        raw = _raw(store, Path(home))
        for (place, numbers), mine in zip(chosen, _read_raw(raw, chosen), strict=True):
            assert torch.equal(store.features(place, numbers), torch.from_numpy(mine))
        ways = {
            "ours": lambda: _drain(store.features(*each) for each in chosen),
            "raw": lambda: _drain(_read_raw(raw, chosen)),
        }
        seconds = interleaved(ways, rounds=3 if quick else 7)
    # To guess costs log(CLASSES) a caption, of two words with <eos>, which is certain.
    guess = CLASSES**0.5
    return [
        Row(
            what=f"{count:,} rows of {WIDTH:,} numbers",
            quantity="bytes of the files / 2 bytes a number",
            value=size / (count * WIDTH * 2),
            at_most=1.02,
            peer="fp16, nothing else",
        ),
        Row(
            what=f"{count:,} rows of {WIDTH:,} numbers",
            quantity="time of ours / time of a raw map, same rows, same order",
            value=seconds["ours"] / seconds["raw"],
            at_most=1.3,
            peer=named("numpy"),
            seconds=seconds,
        ),
        Row(
            what="a class planted in the features",
            quantity="held-out perplexity after training / that of a guess",
            value=found / guess,
            at_most=0.5,
            peer=f"{CLASSES} classes, known to none",
        ),
    ]


def growth(quick: bool = False) -> list[Growth]:
    """Peak memory of a process that trains an epoch from the store, against its rows."""
    sizes = (220, 440) if quick else (30_000, 100_000, 300_000)
    peaks = []
    for count in sizes:
        with tempfile.TemporaryDirectory() as home:
            plant(Path(home), count, shard=110 if quick else SHARD)
            command = [sys.executable, "-m", "benchmarks.store", home]
            root = Path(__file__).parent.parent
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
            peaks.append(json.loads(done.stdout.splitlines()[-1]))
    told: dict[str, Any] = {"what": "an epoch from a store", "against": "rows", "unit": "MB"}
    return [Growth(**told, sizes=sizes, values=peaks)]


def plant(folder: Path, count: int, *, shard: int) -> Store:
    """A store of random features, in which the place of a bump tells the caption's word."""
    sizes = {f"{first // shard:05d}": min(shard, count - first) for first in range(0, count, shard)}
    settings = {"form": FORM, "views": 1, "features": WIDTH}
    shards = {name: {"examples": size, "index": "planted"} for name, size in sizes.items()}
    about = {"settings": settings, "shards": shards}
    (folder / ABOUT).write_text(json.dumps(about))
    noise = torch.randn(shard, 1, WIDTH, generator=generator_for(0, "noise")).half()
    for name, size in sizes.items():
        classes = torch.randint(CLASSES, (size,), generator=generator_for(0, name))
        features = noise[:size].clone()
        for row, each in enumerate(classes.tolist()):
            features[row, 0, each * (WIDTH // CLASSES) :][: WIDTH // CLASSES] += 1
        captions = [f"class{each}".encode() for each in classes.tolist()]
        read = torch.ones(size, dtype=torch.uint8)
        write_shard(folder, name, about, features, read, captions, {})
    return Store.open(folder)


def learn(store: Store, folder: Path, *, shards: int) -> float:
    """Train an epoch on all but the last `shards`; the perplexity on those."""
    sides = store.part(store.shards[:-shards]), store.part(store.shards[-shards:])
    words = [f"class{each}" for each in range(CLASSES)]
    special = {"pad_id": Vocabulary.pad_id}
    vocabulary = Vocabulary(words)
    train, valid = (
        StoreBatches(side, lambda text: vocabulary.encode([text]), batch_size=256, **special)
        for side in sides
    )
    torch.manual_seed(0)
    settings = ModelConfig(encoder="resnet152", dim=64, dropout=0.0)
    model = build_captioner(settings, features=WIDTH, vocab=len(vocabulary), **special)
    fit(
        model,
        train,
        config=TrainingConfig(epochs=1, batch_size=256, learning_rate=0.01),
        validate=lambda model: evaluate(model, valid.in_order(), **special),
        folder=folder,
        **special,
    )
    return math.exp(evaluate(model, valid.in_order(), **special))


def _chosen(store: Store, count: int) -> list[tuple[int, Tensor]]:
    """Rows by shard, batches of 256 as an epoch of training asks for them."""
    order = Order(store.counts, window=16, seed=0, epoch=1)
    found = []
    for first in range(0, min(count, sum(store.counts)), 256):
        places = range(first, min(first + 256, sum(store.counts)))
        shards, numbers = torch.tensor([order.at(place) for place in places]).T
        found += [(each, numbers[shards == each]) for each in shards.unique().tolist()]
    return found


def _raw(store: Store, folder: Path) -> list[np.ndarray]:
    """The same numbers, mapped with nothing around them, one file a shard."""
    found = []
    for place, count in enumerate(store.counts):
        file = folder / f"{place}.raw"
        store.features(place, range(count)).numpy().astype(np.float16).tofile(file)
        found.append(np.memmap(file, np.float16, "r", shape=(count, 1, WIDTH)))
    return found


def _read_raw(raw: list[np.ndarray], chosen: list[tuple[int, Tensor]]) -> Iterator[np.ndarray]:
    for place, numbers in chosen:
        yield raw[place][numbers.numpy()].astype(np.float32)


def _drain(parts: Iterable[object]) -> None:
    for _ in parts:
        pass


if __name__ == "__main__":
    with one_thread(), tempfile.TemporaryDirectory() as scratch:
        learn(Store.open(Path(sys.argv[1])), Path(scratch), shards=1)
        print(peak_memory())
