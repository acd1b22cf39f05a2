"""The next tokens worth ranking: each row's likeliest few, without those that a rule forbids."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.errors import InputError
from songtitle.search.hypotheses import Product


def best_tokens(
    scores: Float[Tensor, "rows vocab"] | Product,
    width: int,
    banned: Int[Tensor, "rows bans"],
    *,
    logits: bool,
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """Log-probabilities and ids of the `width` likeliest tokens that are not banned, best first.

    Of equals the smaller id comes first; `kept = min(width, vocab)`. `scores` are log-probabilities
    or, with `logits`, scores from which each row's log-sum-exp is still to be taken: it is taken
    from the few that win. `banned` holds ids, or -1 for none. A banned token is left out after the
    fact: it counts among the probabilities, which still add up to one with it.
    """
    vocab = scores.shape[-1]
    # Each banned id can take one place among the best, no more.
    wanted = min(width + banned.shape[-1], vocab)
    if logits:
        values, ids, total = _top_of_logits(scores, wanted)
        values = values - total[:, None]
    elif isinstance(scores, Product):
        msg = "search: expected log-probabilities from the step, got a product; pass logits=True"
        raise InputError(msg)
    else:
        values, ids = _top(scores, wanted)
    if values[:, 0].isnan().any():
        msg = (
            "search: expected numbers from the step, got NaN; look for NaN or infinity in the "
            "model's weights and inputs"
        )
        raise InputError(msg)
    if banned.shape[-1]:
        values = values.masked_fill((ids[..., None] == banned[:, None]).any(-1), -torch.inf)
        order = values.argsort(dim=-1, descending=True, stable=True)
        values, ids = values.gather(1, order), ids.gather(1, order)
    return values[:, :width], ids[:, :width]


def banned_tokens(
    history: Int[Tensor, "rows steps"],
    *,
    eos_id: int,
    never: Sequence[int],
    min_length: int,
    no_repeat_ngram: int,
) -> Int[Tensor, "rows bans"]:
    """What may not come after each row's tokens so far: ids, -1 where a place bans nothing."""
    rows, length = history.shape
    fixed = [*never, *([eos_id] if length < min_length else [])]
    always = history.new_tensor(fixed, dtype=torch.long).expand(rows, -1)
    if not no_repeat_ngram or length < no_repeat_ngram:
        return always
    grams = history.unfold(1, no_repeat_ngram, 1)  # every n-gram of the row
    begun = history[:, None, length - no_repeat_ngram + 1 :]  # the one that the next token ends
    said = (grams[..., :-1] == begun).all(-1)
    return torch.cat([always, grams[..., -1].where(said, -1)], dim=1)


def _top_of_logits(
    scores: Float[Tensor, "rows vocab"] | Product, width: int
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"], Float[Tensor, " rows"]]:
    """As `_top`, and each row's log-sum-exp."""
    kind = scores.hidden if isinstance(scores, Product) else scores
    if kind.device.type != "cpu" or kind.dtype != torch.float32:
        scores = scores.whole() if isinstance(scores, Product) else scores
        # A sum over the vocabulary wants more than bfloat16.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if scores.device.type != "cpu" or scores.dtype != torch.float32:
            return *_top(scores, width), scores.logsumexp(dim=-1)
    from songtitle.search.row_kernel import row_top

    return row_top(scores, width)


def _top(
    scores: Float[Tensor, "rows vocab"], width: int
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """The `width` highest of each row, highest first, of equals the smaller id first.

    `topk` does not say which of equal values it takes. Within its choice a stable sort settles
    that; a tie across the edge of the choice needs the row's full order, and is rare.
    """
    kept = min(width, scores.shape[-1])
    values, ids = scores.topk(min(kept + 1, scores.shape[-1]), dim=-1)
    ids = ids[:, :kept].sort(dim=-1).values
    order = scores.gather(1, ids).argsort(dim=-1, descending=True, stable=True)
    ids = ids.gather(1, order)
    if values.shape[-1] > kept:
        edge = values[:, kept - 1]
        tied = ((edge == values[:, kept]) & edge.isfinite()).nonzero().flatten()
        if len(tied):
            full = scores[tied].argsort(dim=-1, descending=True, stable=True)
            ids[tied] = full[:, :kept]
    return scores.gather(1, ids), ids
