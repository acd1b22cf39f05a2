"""Losses: summed cross-entropy over the words of captions, in training and in validation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from songtitle.datasets.loaders import Batch
from songtitle.errors import InputError
from songtitle.shapes import Tokens


class CaptionLoss(nn.Module):
    """What training differentiates: a captioner and its loss as one module.

    Distributed training only adds up gradients that come through its own wrapper's `forward`, so
    the loss has to be inside.
    """

    def __init__(self, model: nn.Module, *, pad_id: int, bf16: bool = False):
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.bf16 = bf16

    def forward(self, inputs: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Two sums over the batch: cross-entropy in nats over every token after `<bos>`, `<eos>`
        included, and the model's own penalty over examples (0 for most models)."""
        # Not Accelerate's mixed precision, which is one per process and could not be another for
        # the next model.
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            # The last input is dropped, so an <eos> that ends the longest row is target only.
            logits, penalty = teach(self.model, inputs, tokens[:, :-1])
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(),
            tokens[:, 1:].flatten(),
            ignore_index=self.pad_id,
            reduction="sum",
        )
        return loss, penalty


def teach(model: nn.Module, inputs: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """`model.teach(inputs, tokens)`; a model without it has its logits and no penalty."""
    taught: Callable[..., tuple[Tensor, Tensor]] | None = getattr(model, "teach", None)
    if taught is not None:
        return taught(inputs, tokens)
    return model(inputs, tokens), torch.zeros((), device=tokens.device)


def token_count(batch: Batch, *, pad_id: int) -> int:
    """Tokens of a batch that are to be predicted: all after `<bos>`, `<eos>` included."""
    return int((batch.tokens[:, 1:] != pad_id).sum())


def token_loss(model: nn.Module, batch: Batch, *, pad_id: int) -> tuple[Tensor, int]:
    """Summed cross-entropy in nats over the tokens of `token_count`, and their number."""
    device = next(model.parameters()).device
    loss, _ = CaptionLoss(model, pad_id=pad_id)(batch.inputs.to(device), batch.tokens.to(device))
    return loss, token_count(batch, pad_id=pad_id)


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, pad_id: int) -> float:
    """Mean cross-entropy in nats per token, without dropout; its exponential is the perplexity.

    Raises InputError where there is no token.
    """
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    for batch in batches:
        loss, count = token_loss(model, batch, pad_id=pad_id)
        total, tokens = total + loss.item(), tokens + count
    model.train(was_training)
    if tokens == 0:
        msg = "validation: expected batches with captions, got none; look at the validation data"
        raise InputError(msg)
    return total / tokens
