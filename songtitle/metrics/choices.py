"""Which of the hypotheses of a beam search is scored."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from songtitle.errors import InputError
from songtitle.metrics.bleu import check_counts
from songtitle.metrics.definitions import Definition, sentence_scores
from songtitle.metrics.pairs import pair_scores
from songtitle.metrics.tokens import refuse_strings

CHOICES = ("top", "normalised", "mean", "best")

# Per item, its hypotheses, each [words, summed log-probability in nats], as the search leaves them
Found = Sequence[Sequence[Sequence[Any]]]


def chosen(found: Found, choice: str) -> list[list[str]]:
    """The one hypothesis of each item that is scored by "top" or "normalised".

    - "top": the highest summed log-probability;
    - "normalised": the highest log-probability per token, `<eos>` counted as one: a hypothesis
      of n words has n + 1 tokens. (One cut off at the longest length allowed has no `<eos>`, which
      its words do not show; it is divided by one too many.)

    Of equals the first counts. Raises InputError for another choice or an item without hypotheses.
    """
    if choice not in ("top", "normalised"):
        msg = f"choice: expected top or normalised to choose one hypothesis, got {choice!r}"
        raise InputError(msg)
    _check(found, choice)

    def worth(hypothesis: Sequence[Any]) -> float:
        words, log_prob = hypothesis
        return float(log_prob) / (len(words) + 1 if choice == "normalised" else 1)

    return [max(hypotheses, key=worth)[0] for hypotheses in found]


def chosen_pair_scores(
    found: Found, references: Sequence[Sequence[str]], definition: Definition, choice: str
) -> Float[np.ndarray, "items references"]:
    """`pair_scores` in [0, 1] of every item, by its chosen hypothesis, against every reference.

    "top" and "normalised" score the hypothesis that `chosen` picks; "mean" is the mean score of
    all hypotheses of an item; "best" is the highest of them, looked up for each reference anew: a
    wrong reference gets its best hypothesis too, so that chance rises along with the score. Raises
    TypeError for a `str` in place of a token list, InputError for an unknown choice.
    """
    return _by_choice(found, choice, lambda items, said: pair_scores(said, references, definition))


def chosen_scores(
    found: Found,
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
    choice: str,
) -> Float[np.ndarray, " items"]:
    """`sentence_scores` of every item, by its chosen hypothesis, against its own references.

    With one reference each, the diagonal of `chosen_pair_scores`.
    """
    check_counts(found, references)
    return _by_choice(
        found,
        choice,
        lambda items, said: sentence_scores(said, [references[i] for i in items], definition),
    )


def _by_choice(
    found: Found, choice: str, scored: Callable[[list[int], list[list[str]]], np.ndarray]
) -> np.ndarray:
    """`scored(items, hypotheses)` of the chosen hypotheses, put together along the items."""
    _check(found, choice)
    items = list(range(len(found)))
    if choice in ("top", "normalised"):
        return scored(items, chosen(found, choice))
    total = scored(items, [hypotheses[0][0] for hypotheses in found])
    for rank in range(1, max(map(len, found), default=0)):
        # Some items have fewer hypotheses: a search may run out of sentences that can end.
        there = [i for i in items if len(found[i]) > rank]
        more = scored(there, [found[i][rank][0] for i in there])
        if choice == "best":
            total[there] = np.maximum(total[there], more)
        else:
            total[there] += more
    if choice == "mean":
        counts = np.array([len(hypotheses) for hypotheses in found], dtype=float)
        total /= counts.reshape(-1, *(1,) * (total.ndim - 1))
    return total


def _check(found: Found, choice: str) -> None:
    if choice not in CHOICES:
        msg = f"choice: expected one of {', '.join(CHOICES)}, got {choice!r}"
        raise InputError(msg)
    refuse_strings([found])
    for item, hypotheses in enumerate(found):
        refuse_strings([hypotheses])
        refuse_strings(words for words, _ in hypotheses)
        if not hypotheses:
            msg = f"found: expected at least one hypothesis of each item, got none of item {item}"
            raise InputError(msg)
