"""The order of an epoch: which example comes when, and to which process; computed, never kept."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

from songtitle.errors import InputError

FEWEST = 2  # examples of a process: batch normalisation cannot train on one


def shares(
    items: int, *, batch_size: int, start: int = 0, rank: int = 0, world: int = 1
) -> Iterator[range]:
    """Give the places in an epoch's order that one process takes, batch by batch.

    A global batch has `batch_size * world` places and each process an equal, contiguous part of
    it, to one place; one that would leave a process with fewer than two joins the one before it.
    The parts of all processes, one after another, are the batches of a single process with
    `batch_size * world`, but for a last one with fewer than two for each. Raises InputError with
    fewer than two examples for each process.
    """
    if items < FEWEST * world:
        msg = f"training: expected at least {FEWEST * world} examples for {world} processes"
        msg += f", got {items}; give more, or use fewer processes"
        raise InputError(msg)
    together = batch_size * world
    whole, rest = divmod(items, together)
    count = whole + (rest >= FEWEST * world or whole == 0)  # the same for every process
    for number in range(start, count):
        first = number * together
        size = together if number < count - 1 else items - first
        yield range(first + size * rank // world, first + size * (rank + 1) // world)


def generator_for(seed: int, name: str) -> torch.Generator:
    """Make a generator of its own for every picture, clip and epoch, whatever others there are."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    return torch.Generator().manual_seed(int(digest[:15], 16))


class Order:
    """Which example has which place in an epoch; in the shards' own order without a seed."""

    def __init__(
        self, counts: Sequence[int], *, window: int = 1, seed: int | None = None, epoch: int = 0
    ) -> None:
        self.counts, self.seed, self.epoch = counts, seed, epoch
        shards = self._shuffled(torch.arange(len(counts)), "shards")
        self.windows = shards.split(window)
        self.ends = list(accumulate(sum(counts[i] for i in each.tolist()) for each in self.windows))
        self._mixed = lru_cache(2)(self._mix)  # a batch may reach over the end of a window

    def at(self, place: int) -> tuple[int, int]:
        """The number of the shard, and the number in it, of the example at a place."""
        window = bisect_right(self.ends, place)
        shard, number = self._mixed(window)[place - self.ends[window]].tolist()  # from its end
        return shard, number

    def _mix(self, window: int) -> Tensor:
        """`(examples, 2)`: shard and number of a window's examples, in the order they come in."""
        counts = [(shard, self.counts[shard]) for shard in self.windows[window].tolist()]
        rows = [torch.stack([torch.full((n,), i), torch.arange(n)], dim=1) for i, n in counts]
        return self._shuffled(torch.cat(rows), f"window {window}")

    def _shuffled(self, rows: Tensor, name: str) -> Tensor:
        if self.seed is None:
            return rows
        generator = generator_for(self.seed, f"{name} of epoch {self.epoch}")
        return rows[torch.randperm(len(rows), generator=generator)]
