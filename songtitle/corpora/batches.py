"""Batches: inputs beside right-padded captions, in an order that is a function of seed and epoch.

What one process reads is a slice of what all read together, so training on two processes of batch
b is training on one of batch 2b; and where an epoch was left is one number, the batches used.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from songtitle.corpora.shards import (
    Example,
    Place,
    at_least,
    caption_in,
    read_heads,
    read_index,
)
from songtitle.errors import InputError
from songtitle.pictures import load_view
from songtitle.rows import Faults
from songtitle.seeds import FEWEST, Order, generator_for, shares
from songtitle.shapes import Image, Tokens

OPEN_FILES = 64  # a process holds open at a time

Views = Float[Tensor, "items views positions features"]  # in memory, or mapped from a file
Encode = Callable[[str], list[int]]  # a caption -> token ids, <bos> and <eos> included
Pixels = UInt8[Tensor, "channels height width"]  # RGB, as files have them
View = Callable[[bytes, torch.Generator], Pixels]  # the same size for every picture


class Batch(NamedTuple):
    """What one training step reads."""

    inputs: Tensor  # Features, or Images where the backbone is part of the model
    tokens: Tokens  # <bos> ... <eos>, right-padded
    lengths: Int[Tensor, " batch"]  # tokens before padding


def pad_captions(
    captions: Sequence[list[int]], *, pad_id: int
) -> tuple[Tokens, Int[Tensor, " batch"]]:
    """Right-pad token ids to the longest, and count how many each caption has."""
    rows = [torch.tensor(ids) for ids in captions]
    tokens = pad_sequence(rows, batch_first=True, padding_value=pad_id)
    return tokens, torch.tensor([len(row) for row in rows])


class Loader:
    """Batches of features, in memory or mapped from a file, with their captions' token ids.

    `loader(epoch)` gives every item once, shuffled, with one random view each. Only the rows of a
    batch are ever copied, to float32 whatever the file's precision. `rows` says which row of the
    features is whose, where several captions are of one picture; by default caption i has row i.
    """

    def __init__(
        self,
        views: Views,
        captions: Sequence[list[int]],
        *,
        batch_size: int,
        pad_id: int,
        seed: int = 0,
        rows: Sequence[int] | None = None,
    ) -> None:
        self.rows = range(len(views)) if rows is None else rows
        if len(self.rows) != len(captions):
            msg = f"captions: expected one for each of {len(self.rows)} items, got {len(captions)}"
            msg += "; encode the same items"
            raise InputError(msg)
        self.views, self.captions = views, captions
        self.batch_size, self.pad_id, self.seed = batch_size, pad_id, seed

    def __len__(self) -> int:
        return len(self.captions)

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """Give the batches of process `rank` of `world`, without the first `start` of the epoch."""
        items, size = len(self), self.batch_size
        generator = generator_for(self.seed, f"epoch {epoch}")
        order = torch.randperm(items, generator=generator)
        pick = torch.randint(self.views.shape[1], (items,), generator=generator)
        for places in shares(items, batch_size=size, start=start, rank=rank, world=world):
            chosen = order[places.start : places.stop].tolist()
            yield self._batch(chosen, pick[chosen].tolist())

    def in_order(self) -> Iterator[Batch]:
        """Give every item once, in order, its first view: for validation."""
        for first in range(0, len(self), self.batch_size):
            items = range(first, min(first + self.batch_size, len(self)))
            yield self._batch(items, [0] * len(items))

    def _batch(self, items: Sequence[int], picks: Sequence[int]) -> Batch:
        chosen = zip(items, picks, strict=True)
        views = torch.stack([self.views[self.rows[item], view].float() for item, view in chosen])
        return Batch(views, *pad_captions([self.captions[i] for i in items], pad_id=self.pad_id))


class ShardStream:
    """Examples of WebDataset shards, as batches of pictures in [0, 1] and right-padded captions.

    `stream(epoch)` gives every example once; what it gives depends on seed, epoch and shards alone,
    not on `workers`, the number of processes that read and decode (0: this one does). An example
    that cannot be read is left out of its batch, and counted and named in `faults`. `index` is the
    folder where indexes of shards are kept. Raises InputError for a shard that is missing or torn,
    and later when one changes or a worker dies.
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
        at_least(1, batch_size=batch_size, window=window)
        at_least(0, workers=workers)
        self.paths, self.encode, self.view = list(paths), encode, view
        self.pad_id, self.index, self.batch_size = pad_id, index, batch_size
        self.seed, self.workers, self.window = seed, workers, window
        self.faults = Faults()
        heads = read_heads(self.paths, index, workers=workers)
        self.counts = [count for count, _ in heads]  # examples of each shard
        for path, (_, left_out) in zip(self.paths, heads, strict=True):
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
        return self._read(places, order, f"{epoch}", fewest=FEWEST)

    def in_order(self, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Every example once, shard after shard: for validation. Each process takes a part."""
        total, size = len(self), self.batch_size
        first, end = total * rank // world, total * (rank + 1) // world
        places = (range(at, min(at + size, end)) for at in range(first, end, size))
        return self._read(places, Order(self.counts), "in order", fewest=0)

    def captions(self) -> Iterator[str]:
        """The captions alone, shard after shard; one that cannot be read is left out."""
        for path in self.paths:
            for example in read_index(path, self.index)[0]:
                try:
                    yield caption_of(path, example)
                except ValueError as error:
                    if isinstance(error, InputError):
                        raise

    def _read(
        self, places: Iterator[range], order: Order, epoch: str, *, fewest: int
    ) -> Iterator[Batch]:
        @lru_cache(2 * self.window)
        def examples(number: int) -> list[Example]:
            found, _ = read_index(self.paths[number], self.index)
            if len(found) != self.counts[number]:
                msg = f"{self.paths[number]}: expected {self.counts[number]} examples as at the"
                msg += f" start, got {len(found)}; let shards alone while they are read"
                raise InputError(msg)
            return found

        def plan() -> Iterator[list[tuple[Path, Example]] | InputError]:
            try:
                for batch in places:
                    yield [(self.paths[n], examples(n)[row]) for n, row in map(order.at, batch)]
            except InputError as error:  # raised here, workers would be there and have no owner
                yield error

        loader: Any = DataLoader(
            _Pictures(self.encode, self.view, self.seed, epoch),
            batch_sampler=cast(Any, plan()),
            collate_fn=_as_it_is,
            num_workers=self.workers,
            worker_init_fn=_deaf if self.workers else None,
            # It draws a seed for each pass: not from the generator that dropout draws from.
            generator=torch.Generator(),
        )
        with deaths_told(), _ended(iter(loader)) as loadeds:
            for loaded in loadeds:
                if isinstance(loaded, InputError):
                    raise loaded
                pictures, captions, faults = loaded
                for shard, kind, detail in faults:
                    self.faults.add(shard, None, kind, detail=detail)
                if faults and len(captions) < fewest:
                    shard, kind, detail = faults[0]
                    msg = f"{shard}: expected {fewest} examples or more of a batch, got "
                    msg += f"{len(captions)} that can be read ({kind}: {detail}); raise batch_size"
                    raise InputError(msg)
                if captions:
                    tokens, lengths = pad_captions(captions, pad_id=self.pad_id)
                    yield Batch(_scaled(pictures), tokens, lengths)


@dataclass(frozen=True)
class CropView:
    """A `View`: the picture with its shorter side at `size`, and of the longer one as much: from a
    random place and mirrored half the time, or from the middle (`songtitle.pictures.load_view`)."""

    size: int  # pixels a side
    random: bool = True

    def __call__(self, content: bytes, generator: torch.Generator) -> Pixels:
        """`(3, size, size)`. Raises InputError for what is no picture."""
        view = load_view(content, self.size, generator=generator if self.random else None)
        return view.mul_(255).round_().to(torch.uint8)  # whole numbers again: nothing is lost


@contextlib.contextmanager
def deaths_told() -> Iterator[None]:
    """Raise InputError where a `DataLoader` says that a worker died.

    That may be told in the middle of a training step: PyTorch listens for a signal.
    """
    try:
        yield
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), "")
        if "DataLoader worker" not in reason:
            raise
        msg = f"workers: expected reading processes that live, one died ({reason.rstrip('.')}), "
        msg += "often for lack of memory; the same command goes on, with fewer workers if need be"
        raise InputError(msg) from error


@contextlib.contextmanager
def _ended(batches: Any) -> Iterator[Any]:
    """Leave no worker behind, however the reading ends.

    An error would keep `batches` alive as long as its own traceback is held; and what ends workers
    then is a SIGTERM, to which they are deaf: a program would wait for them at its end, for ever.
    """
    try:
        yield batches
    finally:
        if workers := getattr(batches, "_workers", ()):
            batches._shutdown_workers()
        for worker in workers:
            worker.kill()
            worker.join()


class _Pictures(Dataset[Any]):
    """What runs in the workers. Errors come back as values: raised there, they carry a stack."""

    def __init__(self, encode: Encode, view: View, seed: int, epoch: str) -> None:
        self.encode, self.view, self.seed, self.epoch = encode, view, seed, epoch

    def __getitems__(self, asked: list[tuple[Path, Example]] | InputError) -> Any:
        """Pictures, ids of captions, and (shard, kind, detail) of what cannot be read."""
        if isinstance(asked, InputError):
            return asked
        pictures: list[Tensor] = []
        captions: list[list[int]] = []
        faults: list[tuple[Path, str, str]] = []
        for shard, example in asked:
            drawn = generator_for(self.seed, f"{self.epoch}:{example.key}")
            try:
                content = content_of(shard, example.picture)
                caption = self.encode(caption_of(shard, example))
            except InputError as error:
                return error
            except ValueError as error:
                faults.append((shard, "no caption", f"{example.key}: {error}"))
                continue
            try:
                pictures.append(self.view(content, drawn))
                captions.append(caption)
            except InputError as error:
                faults.append((shard, "not a picture", f"{example.key}: {error}"))
        return torch.stack(pictures) if pictures else None, captions, faults


def caption_of(shard: Path, example: Example) -> str:
    """Read the caption of an example. Raises ValueError without one, InputError as `content_of`."""
    return caption_in(content_of(shard, example.caption), example.caption.ending)


def content_of(path: Path, place: Place) -> bytes:
    """The bytes of a file of the shard `path`. Raises InputError where they cannot be had."""
    reason, content = "", b""
    try:
        file = _opened(os.getpid(), path)
        file.seek(place.offset)
        content = file.read(place.size)
    except OSError as error:
        reason = f" ({error.strerror})"
    if len(content) != place.size:
        msg = f"{path}: expected {place.size} bytes at {place.offset}, got {len(content)}{reason}; "
        msg += "was the shard changed while it was read? fetch it again, then run the same command"
        raise InputError(msg)
    return content


@lru_cache(OPEN_FILES)
def _opened(process: int, path: Path) -> IO[bytes]:
    """A shard, open in one process: a child must not move the place in its parent's file."""
    return path.open("rb")


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
