"""What a search is asked for and what it gives: settings, the step's type, hypotheses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

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


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What a beam search keeps and how it ranks."""

    beam_size: int = 5  # hypotheses kept per example, at least 1; may exceed the vocabulary
    max_steps: int = 20  # tokens, <eos> included, at least 1
    length_penalty: int | float = 0.0  # exponent, at least 0; 0 ranks by summed log-probability
    min_length: int = 0  # tokens before <eos> may come; neither <bos> nor <eos> counts
    no_repeat_ngram: int = 0  # no n tokens in a row come twice in a hypothesis; 0: they may
    # Hypotheses without <eos> after max_steps tokens: ranked with the others as they stand, or
    # left out, their places empty.
    unfinished: Literal["keep", "drop"] = "keep"
    # An example is over when all its hypotheses are finished, or when no unfinished one can
    # overtake the best finished: the first hypothesis is then the same, the rest fewer.
    stop: Literal["all", "best"] = "all"

    def __post_init__(self) -> None:
        for name in ("beam_size", "max_steps"):
            at_least(name, getattr(self, name), 1)
        for name in ("length_penalty", "min_length", "no_repeat_ngram"):
            at_least(name, getattr(self, name), 0)
        for name, known in (("unfinished", ("keep", "drop")), ("stop", ("all", "best"))):
            if (value := getattr(self, name)) not in known:
                msg = f"{name}: expected {known[0]!r} or {known[1]!r}, got {value!r}"
                raise InputError(msg)


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


def at_least(name: str, value: int | float, least: int) -> None:
    """Refuse a setting below its least value."""
    if not value >= least:
        msg = f"{name}: expected at least {least}, got {value}"
        raise InputError(msg)
