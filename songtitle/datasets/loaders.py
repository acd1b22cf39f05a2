"""Batches: inputs beside right-padded captions, in a seeded order."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from songtitle.shapes import Tokens


class Batch(NamedTuple):
    """What one training step reads."""

    inputs: Tensor  # Features
    tokens: Tokens  # <bos> ... <eos>, right-padded
    lengths: Int[Tensor, " batch"]  # tokens before padding


def collate(examples: Sequence[tuple[Tensor, list[int]]], *, pad_id: int) -> Batch:
    """Stack inputs and right-pad token ids (which hold `<bos>` and `<eos>`)."""
    inputs = torch.stack([features for features, _ in examples])
    captions = [torch.tensor(ids) for _, ids in examples]
    tokens = pad_sequence(captions, batch_first=True, padding_value=pad_id)
    return Batch(inputs, tokens, torch.tensor([len(caption) for caption in captions]))


def batches(
    views: Float[Tensor, "items views features"],
    captions: Sequence[list[int]],
    *,
    batch_size: int,
    pad_id: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Every example once: shuffled, one random view each, if a `generator` comes; else in order,
    first view.

    A last batch of one example joins the batch before it: batch normalisation cannot train on one.
    """
    items, count = views.shape[:2]
    if generator is None:
        order, pick = torch.arange(items), torch.zeros(items, dtype=torch.long)
    else:
        order = torch.randperm(items, generator=generator)
        pick = torch.randint(count, (items,), generator=generator)
    starts = list(range(0, items, batch_size))
    if len(starts) > 1 and items - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], items], strict=True):
        chosen = order[start:end].tolist()
        yield collate([(views[i, pick[i]], captions[i]) for i in chosen], pad_id=pad_id)
