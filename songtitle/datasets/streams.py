"""Training pictures by the million, streamed from WebDataset shards.

The order of an epoch is computed from (seed, epoch) and the number of examples in each shard:
shards are shuffled, and the examples of `window` shards at a time are mixed. Nothing is buffered
that a checkpoint would have to hold, so a position is one number, and memory does not grow with the
number of shards.

PyTorch's `DataLoader` does the reading, as a map-style data set under a sampler of planned batches:
batches come back in the plan's order whatever the number of workers, a position is reached by
leaving out the start of the plan, and a worker that dies is noticed.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from songtitle.datasets.loaders import Batch, pad_captions
from songtitle.datasets.order import FEWEST, Order, generator_for, shares
from songtitle.datasets.shard_index import (
    Example,
    read_bytes,
    read_caption,
    read_examples,
    read_heads,
)
from songtitle.errors import InputError
from songtitle.images import load_view
from songtitle.rows import Faults
from songtitle.shapes import Image

Encode = Callable[[str], list[int]]  # a caption -> token ids, <bos> and <eos> included
Pixels = UInt8[Tensor, "channels height width"]  # RGB, as files have them
View = Callable[[bytes, torch.Generator], Pixels]  # the same size for every picture

OPEN_FILES = 64  # a process holds open at a time


class Request(NamedTuple):
    """An example to read, and what its randomness is drawn from."""

    shard: Path
    example: Example
    drawn_from: str  # epoch and key


class Loaded(NamedTuple):
    """What a worker gives: a batch, without the examples that cannot be read."""

    pictures: UInt8[Tensor, "batch channels height width"] | None  # None where none can be read
    captions: list[list[int]]
    faults: list[tuple[str, str, str]]  # shard, kind, detail


class ShardStream:
    """Examples of WebDataset shards, as batches of pictures in [0, 1] and right-padded captions.

    `stream(epoch)` gives every example once; what it gives depends on seed, epoch and shards alone,
    not on `workers`, the number of processes that read and decode (0: this one does). An example
    whose picture or caption cannot be read is left out, its batch is one shorter, and `faults`
    counts it by kind and names shard and key.

    `index` is the folder where indexes of shards are kept. Raises InputError when it is made, if a
    shard is missing or torn; and later, when a shard changes under it or a worker dies.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        encode: Encode,
        view: View,
        *,
        pad_id: int,
        index: Path,
        batch_size: int = 32,
        seed: int = 0,
        workers: int = 0,
        window: int = 16,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("window", window, 1),
            ("workers", workers, 0),
        ):
            if value < least:
                msg = f"{name}: expected {least} or more, got {value}; raise it"
                raise InputError(msg)
        self.paths, self.encode, self.view = list(paths), encode, view
        self.pad_id, self.index, self.batch_size = pad_id, index, batch_size
        self.seed, self.workers, self.window = seed, workers, window
        self.faults = Faults()
        self.counts = []  # examples of each shard
        for path, (count, left_out) in zip(
            self.paths, read_heads(self.paths, index, workers=workers), strict=True
        ):
            self.counts.append(count)
            for key, kind in left_out:
                self.faults.add(path, None, kind, detail=key)

    def __len__(self) -> int:
        """How many examples the shards have."""
        return sum(self.counts)

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of process `rank` of `world`, without the first `start` of the epoch."""
        order = Order(self.counts, window=self.window, seed=self.seed, epoch=epoch)
        places = shares(len(self), batch_size=self.batch_size, start=start, rank=rank, world=world)
        return self._read(places, order.at, f"{epoch}", fewest=FEWEST)

    def in_order(self, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Every example once, shard after shard: for validation. Each process takes a part."""
        total, size = len(self), self.batch_size
        first, end = total * rank // world, total * (rank + 1) // world
        places = (range(at, min(at + size, end)) for at in range(first, end, size))
        return self._read(places, Order(self.counts).at, "in order", fewest=0)

    def captions(self) -> Iterator[str]:
        """The captions alone, shard after shard; one that cannot be read is left out."""
        for path in self.paths:
            for example in read_examples(path, self.index):
                content = read_bytes(_opened(os.getpid(), path), example.caption, path)
                try:
                    yield read_caption(content, example.caption.ending)
                except ValueError:
                    continue

    def _read(
        self,
        places: Iterator[range],
        at: Callable[[int], tuple[int, int]],
        epoch: str,
        *,
        fewest: int,
    ) -> Iterator[Batch]:
        @lru_cache(2 * self.window)
        def examples(number: int) -> list[Example]:
            found = read_examples(self.paths[number], self.index)
            if len(found) != self.counts[number]:
                msg = f"{self.paths[number]}: expected {self.counts[number]} examples as at the"
                msg += f" start, got {len(found)}; let shards alone while they are read"
                raise InputError(msg)
            return found

        def plan() -> Iterator[list[Request]]:
            for batch in places:
                found = [(number, examples(number)[row]) for number, row in map(at, batch)]
                yield [
                    Request(self.paths[number], example, f"{epoch}:{example.key}")
                    for number, example in found
                ]

        loader: Any = DataLoader(
            _Pictures(self.encode, self.view, self.seed),
            batch_sampler=plan(),
            collate_fn=_as_it_is,
            num_workers=self.workers,
            worker_init_fn=_deaf if self.workers else None,
            # It draws a seed for each pass: not from the generator that dropout draws from.
            generator=torch.Generator(),
        )
        batches = iter(loader)
        while True:
            try:
                loaded = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                raise worker_death(error) or error from error
            if isinstance(loaded, InputError):
                raise loaded
            for shard, kind, detail in loaded.faults:
                self.faults.add(Path(shard), None, kind, detail=detail)
            if loaded.faults and len(loaded.captions) < fewest:
                shard, kind, detail = loaded.faults[0]
                msg = (
                    f"{shard}: expected {fewest} examples or more of a batch, got "
                    f"{len(loaded.captions)} that can be read ({kind}: {detail}); raise batch_size"
                )
                raise InputError(msg)
            if loaded.pictures is not None:
                tokens, lengths = pad_captions(loaded.captions, pad_id=self.pad_id)
                yield Batch(_scaled(loaded.pictures), tokens, lengths)


@dataclass(frozen=True)
class CropView:
    """A `View`: the picture with its shorter side at `size`, and of the longer one as much: from a
    random place and mirrored half the time, or from the middle (`songtitle.images.load_view`)."""

    size: int  # pixels a side
    random: bool = True

    def __call__(self, content: bytes, generator: torch.Generator) -> Pixels:
        """`(3, size, size)`. Raises InputError for what is no picture."""
        view = load_view(content, self.size, generator=generator if self.random else None)
        return view.mul_(255).round_().to(torch.uint8)  # whole numbers again: nothing is lost


def worker_death(error: RuntimeError) -> InputError | None:
    """What to tell when a `DataLoader` says that a worker died; None where it says something else.

    The death may be told in the middle of a training step: PyTorch listens for a signal.
    """
    reason = str(error).splitlines()[0] if str(error) else ""
    if "DataLoader worker" not in reason:
        return None
    msg = (
        f"workers: expected reading processes that live, one died ({reason.rstrip('.')}), often "
        "for lack of memory; the same command goes on, with fewer workers if need be"
    )
    return InputError(msg)


class _Pictures(Dataset[Any]):
    """What runs in the workers. Errors come back as values: raised there, they carry a stack."""

    def __init__(self, encode: Encode, view: View, seed: int) -> None:
        self.encode, self.view, self.seed = encode, view, seed

    def __getitems__(self, requests: list[Request]) -> Loaded | InputError:
        pictures: list[Tensor] = []
        captions: list[list[int]] = []
        faults: list[tuple[str, str, str]] = []
        for shard, example, drawn_from in requests:
            try:
                file = _opened(os.getpid(), shard)
                content = read_bytes(file, example.picture, shard)
                words = read_bytes(file, example.caption, shard)
            except InputError as error:
                return error
            try:
                caption = self.encode(read_caption(words, example.caption.ending))
            except ValueError as error:
                faults.append((str(shard), "no caption", f"{example.key}: {error}"))
                continue
            try:
                pictures.append(self.view(content, generator_for(self.seed, drawn_from)))
            except InputError as error:
                faults.append((str(shard), "not a picture", f"{example.key}: {error}"))
                continue
            captions.append(caption)
        return Loaded(torch.stack(pictures) if pictures else None, captions, faults)


def _scaled(pictures: UInt8[Tensor, "batch channels height width"]) -> Image:
    """To [0, 1]. As bytes they came from the workers: a quarter of the traffic."""
    scaled = torch.empty(pictures.shape, pin_memory=torch.cuda.is_available())
    for whole, share in zip(pictures, scaled, strict=True):  # one by one they stay in the cache
        share.copy_(whole).div_(255)
    return scaled


def _as_it_is(loaded: Any) -> Any:
    return loaded


def _deaf(_: int) -> None:
    """Leave a Ctrl-C or a SIGTERM that is meant for all to the process that trains: it ends its
    workers when it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@lru_cache(OPEN_FILES)
def _opened(process: int, path: Path) -> IO[bytes]:
    """A shard, open in one process: a child must not move the place in its parent's file."""
    try:
        return path.open("rb")
    except OSError as error:
        msg = f"{path}: expected a shard, got '{error.strerror}'; fetch it again, then go on"
        raise InputError(msg) from error
