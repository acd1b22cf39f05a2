"""Greedy and beam search over anything that gives the next token's log-probabilities.

Search knows a `step(tokens, state) -> (log_probs, state)` and no model. The state is a mapping of
tensors, each led by the group axis: `batch` rows at the start, afterwards one for each hypothesis
that is not finished.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from songtitle.errors import InputError
from songtitle.shapes import State

# log-probabilities in nats
Step = Callable[[Int[Tensor, " group"], State], tuple[Float[Tensor, "group vocab"], State]]


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What a beam search keeps and how it ranks; sizes must be at least 1, the exponent 0."""

    beam_size: int = 5  # hypotheses kept per example; may exceed the vocabulary
    max_steps: int = 20  # tokens, <eos> included
    length_penalty: int | float = 0.0  # exponent; 0 ranks by summed log-probability

    def __post_init__(self) -> None:
        _at_least("beam_size", self.beam_size, 1)
        _at_least("max_steps", self.max_steps, 1)
        _at_least("length_penalty", self.length_penalty, 0)


class Hypotheses(NamedTuple):
    """What a search found, best first, without `<bos>`.

    A place for which there was no hypothesis (fewer were possible than `beam_size`) holds
    `<eos>` alone and the log-probability minus infinity.
    """

    tokens: Int[Tensor, "batch beams steps"]  # steps = max_steps; padded with eos_id
    log_probs: Float[Tensor, "batch beams"]  # summed, nats, never length-penalised

    def lengths(self, eos_id: int) -> Int[Tensor, "batch beams"]:
        """Tokens of each hypothesis, `<eos>` included where the search reached it."""
        words = (self.tokens != eos_id).sum(-1)
        return (words + 1).clamp(max=self.tokens.shape[-1])


@torch.no_grad()
def greedy_search(
    step: Step, state: State, *, bos_id: int, eos_id: int, max_steps: int
) -> Hypotheses:
    """The likeliest next token, again and again, until `<eos>` or `max_steps` tokens.

    The beams axis of the result has size 1. Of equally likely tokens the smallest id wins. Equal
    to `beam_search` with one beam.
    """
    _at_least("max_steps", max_steps, 1)
    batch, device = _group(state)
    tokens = torch.full((batch, 1, max_steps), eos_id, device=device)
    total = torch.zeros(batch, device=device)
    live = torch.arange(batch, device=device)  # the examples that go on
    last = torch.full((batch,), bos_id, device=device)
    for position in range(max_steps):
        log_probs, state = step(last, state)
        gain, last = log_probs.max(dim=-1)
        tokens[live, 0, position] = last
        total[live] += gain
        going = last != eos_id
        live, last = live[going], last[going]
        if not len(live):
            break
        state = {name: value[going] for name, value in state.items()}
    return _hypotheses(tokens, total[:, None], eos_id)


@torch.no_grad()
def beam_search(
    step: Step, state: State, *, bos_id: int, eos_id: int, config: SearchConfig
) -> Hypotheses:
    """The `beam_size` best hypotheses of each example that a beam of that size meets.

    After every step an example keeps the `beam_size` candidates of the highest score
    `log_prob / length ** length_penalty`, length counting `<eos>`. Each unfinished hypothesis
    gives one candidate a token; a finished one (it ends in `<eos>`) stays a single candidate
    with its final score, holding its place until better ones push it out. The search ends when
    all are finished, or after `max_steps` tokens, unfinished hypotheses then being returned as
    they stand. Equal scores: the better-placed parent first, then the likelier token, then the
    smaller id.

    An example's result does not depend on the rest of its batch. A beam as wide as the number
    of possible hypotheses finds what exhaustive search finds. With a length penalty the
    hypotheses are in the order of their penalised scores.
    """
    width, penalty = config.beam_size, config.length_penalty
    batch, device = _group(state)
    tokens = torch.full((batch, 1, config.max_steps), eos_id, device=device)
    total = torch.zeros(batch, 1, device=device)
    lengths = torch.zeros(batch, 1, device=device)
    last = torch.full((batch,), bos_id, device=device)
    finished = torch.zeros(batch, 1, dtype=torch.bool, device=device)
    first_row = torch.arange(batch, device=device)[:, None]
    live = torch.arange(batch, device=device)  # the rows that go on: a finished one costs no step
    for position in range(config.max_steps):
        beams = total.shape[1]
        log_probs, state = step(last, state)
        # No parent can send more than `width` children into the next beam, so ranking the best
        # few of each row is ranking all of them, and the vocabulary axis is read only once.
        best, ids = _top(log_probs, width)
        gains = best.new_full((batch * beams, best.shape[-1]), -torch.inf)
        gains[:, 0] = 0.0  # a finished row stays as it is: one <eos> more, at no cost
        choices = ids.new_full(gains.shape, eos_id)
        gains[live], choices[live] = best, ids
        gains = gains.unflatten(0, (batch, beams))
        choices = choices.unflatten(0, (batch, beams))

        candidates = total[..., None] + gains
        lengths = lengths + ~finished
        scores = (candidates / (lengths**penalty)[..., None]).flatten(1)
        order = _fill(scores, width, -torch.inf).argsort(dim=-1, descending=True, stable=True)
        order = order[:, :width]
        parents = (order // gains.shape[-1]).clamp(max=beams - 1)
        total = _fill(candidates.flatten(1), width, -torch.inf).gather(1, order)
        chosen = _fill(choices.flatten(1), width, eos_id).gather(1, order)
        lengths = lengths.gather(1, parents)
        finished = finished.gather(1, parents) | (chosen == eos_id) | total.isneginf()
        tokens = tokens.gather(1, parents[..., None].expand(-1, -1, config.max_steps))
        tokens[..., position] = chosen
        if finished.all() or position + 1 == config.max_steps:
            break
        place = torch.zeros(batch * beams, dtype=torch.long, device=device)
        place[live] = torch.arange(len(live), device=device)  # of each row in the state
        parent_rows = (first_row * beams + parents).flatten()
        live = (~finished).flatten().nonzero().flatten()
        came_from = place[parent_rows[live]]
        state = {name: value.index_select(0, came_from) for name, value in state.items()}
        last = chosen.flatten()[live]
    return _hypotheses(tokens, total, eos_id)


def _top(
    log_probs: Float[Tensor, "rows vocab"], width: int
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """The `width` highest of each row, highest first, of equals the smaller id first.

    `topk` does not say which of equal values it takes. Within its choice a stable sort settles
    that; a tie across the edge of the choice needs the row's full order, and is rare.
    """
    kept = min(width, log_probs.shape[-1])
    values, ids = log_probs.topk(min(kept + 1, log_probs.shape[-1]), dim=-1)
    ids = ids[:, :kept].sort(dim=-1).values
    order = log_probs.gather(1, ids).argsort(dim=-1, descending=True, stable=True)
    ids = ids.gather(1, order)
    if values.shape[-1] > kept:
        edge = values[:, kept - 1]
        tied = ((edge == values[:, kept]) & edge.isfinite()).nonzero().flatten()
        if len(tied):
            full = log_probs[tied].argsort(dim=-1, descending=True, stable=True)
            ids[tied] = full[:, :kept]
    return log_probs.gather(1, ids), ids


def _hypotheses(
    tokens: Int[Tensor, "batch beams steps"], total: Float[Tensor, "batch beams"], eos_id: int
) -> Hypotheses:
    # A path of probability zero is no hypothesis, whatever tokens it went through.
    return Hypotheses(tokens.masked_fill(total.isneginf()[..., None], eos_id), total)


def _fill(candidates: Tensor, width: int, value: int | float) -> Tensor:
    return pad(candidates, (0, max(0, width - candidates.shape[1])), value=value)


def _group(state: State) -> tuple[int, torch.device]:
    for value in state.values():
        return value.shape[0], value.device
    msg = "search: expected a state with at least one tensor led by the batch axis, got none"
    raise InputError(msg)


def _at_least(name: str, value: int | float, least: int) -> None:
    if not value >= least:
        msg = f"{name}: expected at least {least}, got {value}"
        raise InputError(msg)
