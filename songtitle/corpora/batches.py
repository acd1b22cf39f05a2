"""Batches: inputs beside right-padded captions, in an order that is a function of seed and epoch.

What one process reads is a slice of what all read together, so training on two processes of batch
b is training on one of batch 2b; and where an epoch was left is one number, the batches used.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from songtitle.errors import InputError
from songtitle.seeds import generator_for, shares
from songtitle.shapes import Tokens

Views = Float[Tensor, "items views positions features"]  # in memory, or mapped from a file


class Batch(NamedTuple):
    """What one training step reads."""

    inputs: Tensor  # Features, or Images where the backbone is part of the model
    tokens: Tokens  # <bos> ... <eos>, right-padded
    lengths: Int[Tensor, " batch"]  # tokens before padding


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
        items, count = len(self), self.views.shape[1]
        generator = generator_for(self.seed, f"epoch {epoch}")
        order = torch.randperm(items, generator=generator)
        pick = torch.randint(count, (items,), generator=generator)
        for places in shares(
            items, batch_size=self.batch_size, start=start, rank=rank, world=world
        ):
            chosen = order[places.start : places.stop].tolist()
            yield self._batch([(item, int(pick[item])) for item in chosen])

    def in_order(self) -> Iterator[Batch]:
        """Give every item once, in order, its first view: for validation."""
        rows = [(item, 0) for item in range(len(self))]
        for first in range(0, len(rows), self.batch_size):
            yield self._batch(rows[first : first + self.batch_size])

    def _batch(self, rows: Sequence[tuple[int, int]]) -> Batch:
        views = [self.views[self.rows[item], view].float() for item, view in rows]
        captions = [self.captions[item] for item, _ in rows]
        return collate(list(zip(views, captions, strict=True)), pad_id=self.pad_id)


def collate(examples: Sequence[tuple[Tensor, list[int]]], *, pad_id: int) -> Batch:
    """Stack inputs and right-pad token ids (which hold `<bos>` and `<eos>`)."""
    inputs = torch.stack([features for features, _ in examples])
    return Batch(inputs, *pad_captions([ids for _, ids in examples], pad_id=pad_id))


def pad_captions(
    captions: Sequence[list[int]], *, pad_id: int
) -> tuple[Tokens, Int[Tensor, " batch"]]:
    """Right-pad token ids to the longest, and count how many each caption has."""
    rows = [torch.tensor(ids) for ids in captions]
    tokens = pad_sequence(rows, batch_first=True, padding_value=pad_id)
    return tokens, torch.tensor([len(row) for row in rows])
