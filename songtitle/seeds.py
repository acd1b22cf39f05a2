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
    it, to one place. A last global batch that would leave a process with fewer than two examples
    joins the one before it. With as many examples left for everybody, the parts of all processes,
    one after another, are the batches of a single process with `batch_size * world`.

    Raises InputError when there are fewer than two examples for each process.
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
    """Make a generator of its own for every picture, clip and epoch.

    The order and number of the others change nothing.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    return torch.Generator().manual_seed(int(digest[:15], 16))


class Order:
    """Which example has which place in an epoch; in the shards' own order without a seed."""

    def __init__(
        self,
        counts: Sequence[int],
        *,
        window: int = 1,
        seed: int | None = None,
        epoch: int = 0,
    ) -> None:
        self.seed, self.epoch = seed, epoch
        shards = list(range(len(counts)))
        if seed is not None:
            generator = generator_for(seed, f"shards of epoch {epoch}")
            shards = torch.randperm(len(counts), generator=generator).tolist()
        self.windows = [shards[first : first + window] for first in range(0, len(shards), window)]
        self.counts = [[counts[number] for number in numbers] for numbers in self.windows]
        self.ends = list(accumulate(map(sum, self.counts)))
        self._mixed = lru_cache(2)(self._mix)  # a batch may reach over the end of a window

    def at(self, place: int) -> tuple[int, int]:
        """The number of the shard, and the number in it, of the example at a place."""
        window = bisect_right(self.ends, place)
        before = self.ends[window - 1] if window else 0
        ends, mixed = self._mixed(window)
        at = int(mixed[place - before]) if mixed is not None else place - before
        inside = bisect_right(ends, at)
        return self.windows[window][inside], at - (ends[inside - 1] if inside else 0)

    def _mix(self, window: int) -> tuple[list[int], Tensor | None]:
        ends = list(accumulate(self.counts[window]))
        if self.seed is None:
            return ends, None
        generator = generator_for(self.seed, f"window {window} of epoch {self.epoch}")
        return ends, torch.randperm(ends[-1], generator=generator)
