"""What a search is asked for and what it gives: settings, the step's type, hypotheses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.errors import InputError
from songtitle.shapes import State


@dataclass(frozen=True)
class Product:
    """Logits that are not computed yet: `hidden @ weight.T + bias`, one row for each hypothesis.

    A step may return this in place of logits; search then computes them in the way that is fastest.
    """

    hidden: Float[Tensor, "group dim"]
    weight: Float[Tensor, "vocab dim"]
    bias: Float[Tensor, " vocab"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and vocabulary of the logits."""
        return len(self.hidden), len(self.weight)

    def whole(self) -> Float[Tensor, "group vocab"]:
        """The logits."""
        return torch.addmm(self.bias, self.hidden, self.weight.T)

    def columns(self, first: int, end: int, *, out: Tensor) -> Float[Tensor, "group columns"]:
        """The logits of the ids from `first` to before `end`, written to `out`."""
        return torch.addmm(self.bias[first:end], self.hidden, self.weight[first:end].T, out=out)


# what a step returns: log-probabilities in nats, or logits (as numbers or as a product), and state
Step = Callable[[Int[Tensor, " group"], State], tuple[Tensor | Product, State]]


class Hypotheses(NamedTuple):
    """What a search found, best first, without `<bos>`.

    A place for which there was no hypothesis (fewer were possible than `beam_size`, or a setting
    left some out) holds `<eos>` alone and the log-probability minus infinity.
    """

    tokens: Int[Tensor, "batch beams steps"]  # steps = max_steps; padded with eos_id
    log_probs: Float[Tensor, "batch beams"]  # summed, nats, never length-penalised

    def lengths(self, eos_id: int) -> Int[Tensor, "batch beams"]:
        """Tokens of each hypothesis, `<eos>` included where the search reached it."""
        words = (self.tokens != eos_id).sum(-1)
        return (words + 1).clamp(max=self.tokens.shape[-1])


def without_dead_ends(
    tokens: Int[Tensor, "batch beams steps"], total: Float[Tensor, "batch beams"], eos_id: int
) -> Hypotheses:
    """A path of probability zero is no hypothesis, whatever tokens it went through."""
    return Hypotheses(tokens.masked_fill(total.isneginf()[..., None], eos_id), total)


def group_of(state: State) -> tuple[int, torch.device]:
    """How many rows a state has, and its device."""
    for value in state.values():
        return value.shape[0], value.device
    msg = "search: expected a state with at least one tensor led by the batch axis, got none"
    raise InputError(msg)
