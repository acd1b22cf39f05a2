"""Greedy and beam search: hypotheses grow a token a step, ranked by their log-probability."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from songtitle.config import SearchConfig
from songtitle.errors import InputError
from songtitle.search.candidates import (
    ANSWERING,
    Hypotheses,
    Step,
    banned_tokens,
    best_tokens,
)
from songtitle.shapes import State


def greedy_search(
    step: Step,
    state: State,
    *,
    bos_id: int,
    eos_id: int,
    max_steps: int,
    min_length: int = 0,
    no_repeat_ngram: int = 0,
    never: Sequence[int] = (),
    logits: bool = False,
) -> Hypotheses:
    """Take the likeliest next token, again and again, until `<eos>` or `max_steps` tokens.

    This is `beam_search` with one beam; of equally likely tokens the smallest id wins. `min_length`
    and `no_repeat_ngram` are as in `SearchConfig`, `never` and `logits` as in `beam_search`.
    """
    config = SearchConfig(
        beam_size=1, max_steps=max_steps, min_length=min_length, no_repeat_ngram=no_repeat_ngram
    )
    return beam_search(
        step, state, bos_id=bos_id, eos_id=eos_id, config=config, never=never, logits=logits
    )


@torch.no_grad()
def beam_search(
    step: Step,
    state: State,
    *,
    bos_id: int,
    eos_id: int,
    config: SearchConfig,
    never: Sequence[int] = (),
    logits: bool = False,
) -> Hypotheses:
    """Find the `beam_size` best hypotheses of each example that a beam of that size meets.

    After every step an example keeps the `beam_size` candidates of the highest score
    `log_prob / length ** length_penalty`, length counting `<eos>`. Each unfinished hypothesis
    gives one candidate a token; a finished one (it ends in `<eos>`) stays a single candidate
    until better ones push it out, and is then ranked with the rest at the end: what is better now
    may come to less. The search ends when all are finished, or after `max_steps` tokens (what is
    unfinished then is returned too, unless `unfinished="drop"`). Equal scores: the better-placed
    parent first, then the likelier token, then the smaller id; those pushed out last.

    Tokens in `never` are not chosen, nor what `min_length` and `no_repeat_ngram` forbid; they keep
    their share of the probability. With `logits`, the step returns scores from which each row's
    log-sum-exp is still to be taken, or a `Product` that gives them.

    An example's result does not depend on the rest of its batch. A beam as wide as the number of
    possible hypotheses finds what exhaustive search finds. Without a length penalty, the first
    hypothesis is that of a search which always continues `beam_size` unfinished ones.
    """
    width, penalty = config.beam_size, config.length_penalty
    if not state:
        msg = "search: expected a state with at least one tensor led by the batch axis, got none"
        raise InputError(msg)
    batch, device = next((len(value), value.device) for value in state.values())
    tokens = torch.full((batch, width, config.max_steps), eos_id, device=device)
    # All begin with `<bos>`, so of each example one place is taken and the others are empty.
    total = torch.full((batch, width), -torch.inf, device=device)
    total[:, 0] = 0.0
    finished = total.isneginf()
    lengths = torch.zeros(batch, width, device=device)
    last = torch.full((batch,), bos_id, device=device)
    aside = tokens[:, :0], total[:, :0], lengths[:, :0]  # finished, then pushed out of the beam
    first_row = torch.arange(batch, device=device)[:, None] * width
    live = first_row.flatten()  # the rows that go on: a finished one costs no step
    for position in range(config.max_steps):
        scores, state = step(last, state)
        history = tokens.flatten(0, 1)[live, :position]
        banned = banned_tokens(history, eos_id=eos_id, never=never, config=config)
        # No parent can send more than `width` children into the next beam, so ranking the best
        # few of each row is ranking all of them, and the vocabulary axis is read only once.
        best, ids = best_tokens(scores, width, banned, logits=logits)
        gains = best.new_full((batch * width, best.shape[-1]), -torch.inf)
        gains[:, 0] = 0.0  # a finished row stays as it is: one <eos> more, at no cost
        choices = ids.new_full(gains.shape, eos_id)
        gains[live], choices[live] = best, ids
        candidates = total[..., None] + gains.unflatten(0, (batch, width))
        lengths = lengths + ~finished
        ranks = (candidates / (lengths**penalty)[..., None]).flatten(1)
        order = ranks.argsort(dim=-1, descending=True, stable=True)[:, :width]
        parents = order // gains.shape[-1]
        gone = finished & total.isfinite()
        gone &= ~torch.zeros_like(finished).scatter(1, parents, True)
        if device.type not in ANSWERING or gone.any():
            leaving = tokens, total.where(gone, -torch.inf), lengths
            aside = _best_of(aside, leaving, penalty, width)

        total = candidates.flatten(1).gather(1, order)
        chosen = choices.view(batch, -1).gather(1, order)
        lengths = lengths.gather(1, parents)
        finished = finished.gather(1, parents) | (chosen == eos_id) | total.isneginf()
        tokens = tokens.gather(1, parents[..., None].expand(-1, -1, config.max_steps))
        tokens[..., position] = chosen
        if config.stop == "best":
            hopeless = _hopeless(finished, total, lengths, aside, config)
            total = total.masked_fill(hopeless, -torch.inf)
            finished = finished | hopeless
        if position + 1 == config.max_steps:
            break
        place = torch.zeros(batch * width, dtype=torch.long, device=device)
        place[live] = torch.arange(len(live), device=device)  # of each row in the state
        live = (~finished).flatten().nonzero().flatten()  # all that a step asks of a GPU
        if not len(live):
            break
        came_from = place[(first_row + parents).flatten()[live]]
        state = {name: value.index_select(0, came_from) for name, value in state.items()}
        last = chosen.flatten()[live]
    if total.isnan().any():  # once there, it is ranked first and stays
        msg = "search: expected numbers from the step, got NaN; look for NaN or infinity in the "
        raise InputError(msg + "model's weights and inputs")
    if config.unfinished == "drop":
        total = total.masked_fill(~finished, -torch.inf)
    tokens, total, _ = _best_of((tokens, total, lengths), aside, penalty, width)
    # A path of probability zero is no hypothesis, whatever tokens it went through.
    return Hypotheses(tokens.masked_fill(total.isneginf()[..., None], eos_id), total)


# tokens (batch, beams, steps), summed log-probabilities and lengths (batch, beams)
Ranked = tuple[Tensor, Tensor, Tensor]


def _best_of(first: Ranked, second: Ranked, penalty: int | float, width: int) -> Ranked:
    """The `width` best by penalised score, of equals those of `first` before those of `second`."""
    tokens, total, lengths = (torch.cat(pair, dim=1) for pair in zip(first, second, strict=True))
    order = (total / lengths**penalty).argsort(dim=-1, descending=True, stable=True)[:, :width]
    rows = torch.arange(len(tokens), device=tokens.device)[:, None]
    return tokens[rows, order], total.gather(1, order), lengths.gather(1, order)


def _hopeless(
    finished: Bool[Tensor, "batch beams"],
    total: Float[Tensor, "batch beams"],
    lengths: Float[Tensor, "batch beams"],
    aside: Ranked,
    config: SearchConfig,
) -> Bool[Tensor, "batch beams"]:
    """Unfinished hypotheses that cannot come to more than their example's best finished one.

    A log-probability only falls, and no length divides it by more than `max_steps` does.
    """
    penalty = config.length_penalty
    done = torch.cat([total.where(finished, -torch.inf), aside[1]], dim=1)
    done = done / torch.cat([lengths, aside[2]], dim=1) ** penalty
    limit = total / config.max_steps**penalty
    hopeless = ~finished & (limit < done.amax(dim=1, keepdim=True))
    if penalty:
        # One without hope may still push out one with hope, so an example is over as a whole.
        hopeless &= (hopeless | finished).all(dim=1, keepdim=True)
    return hopeless
