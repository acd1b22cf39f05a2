"""Greedy search: the likeliest next token, again and again."""

from collections.abc import Sequence

import torch

from songtitle.search.candidates import banned_tokens, best_tokens
from songtitle.search.hypotheses import Hypotheses, Step, group_of, without_dead_ends
from songtitle.search.settings import SearchConfig
from songtitle.shapes import State


@torch.no_grad()
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
    """The likeliest next token, again and again, until `<eos>` or `max_steps` tokens.

    The beams axis of the result has size 1. Of equally likely tokens the smallest id wins. Equal
    to `beam_search` with one beam; `min_length` and `no_repeat_ngram` as in `SearchConfig`,
    `never` and `logits` as there.
    """
    SearchConfig(max_steps=max_steps)  # refuses what it would refuse
    batch, device = group_of(state)
    tokens = torch.full((batch, 1, max_steps), eos_id, device=device)
    total = torch.zeros(batch, device=device)
    live = torch.arange(batch, device=device)  # the examples that go on
    last = torch.full((batch,), bos_id, device=device)
    for position in range(max_steps):
        scores, state = step(last, state)
        banned = banned_tokens(
            tokens[live, 0, :position],
            eos_id=eos_id,
            never=never,
            min_length=min_length,
            no_repeat_ngram=no_repeat_ngram,
        )
        gain, ids = best_tokens(scores, 1, banned, logits=logits)
        last = ids[:, 0]
        tokens[live, 0, position] = last
        total[live] += gain[:, 0]
        going = (last != eos_id) & ~gain[:, 0].isneginf()
        live, last = live[going], last[going]
        if not len(live):
            break
        if not going.all():
            state = {name: value[going] for name, value in state.items()}
    return without_dead_ends(tokens, total[:, None], eos_id)
