"""Scores of every hypothesis against every reference; which hypothesis, where there are several.

Functions of pairs take one reference each and give a matrix, whose diagonal holds the own pairs:
`chance.against_chance` puts any of them beside chance.

    pair_scores([["blue"], ["sky"]], [["sky"], ["o"]], DEFINITIONS["bleu1"])  # [[0, 0], [1, 0]]
    unigram_pair_scores([["blue"]], [["moon"]], brevity=False)                      # [[0]]

Where a search left several hypotheses, `found[i] == [[words, log_prob], ...]`:

    chosen(found, "normalised")                                               # token lists
    chosen_scores(found, references, DEFINITIONS["bleu1"], "mean")            # (items,)
    chosen_pair_scores(found, references, DEFINITIONS["bleu1"], "best")       # (items, references)

`CHOICES` are `top`, `normalised`, `mean` and `best`.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from songtitle.errors import InputError
from songtitle.metrics.bleu import (
    DEFINITIONS,
    Definition,
    check_counts,
    ngrams,
    numbered,
    refuse_corpus,
    refuse_strings,
    sentence_scores,
    units_of,
)

_ROWS = 64  # hypotheses at a time: nothing else grows as large as the result


def pair_scores(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    definition: Definition,
) -> Float[np.ndarray, "hypotheses references"]:
    """The score in [0, 1] of every hypothesis against every single reference.

    Entry (i, j) equals `score([hypotheses[i]], [[references[j]]], definition).score`, and a million
    of them take about a second at most. Raises TypeError for a `str` in place of a token list,
    InputError for a definition whose score is of the corpus alone.
    """
    refuse_corpus(definition)
    refuse_strings([hypotheses, references, *hypotheses, *references])
    ours, theirs = (
        [units_of(tokens, definition.tokens) for tokens in lists]
        for lists in (hypotheses, references)
    )
    scores = np.empty((len(ours), len(theirs)))
    said = np.array([max(1, len(each)) for each in ours], dtype=float)
    wanted = np.array([len(each) for each in theirs], dtype=float)
    for rows, matches in matches_by_order(ours, theirs, len(definition.weights)):
        scores[rows] = _products(matches, said[rows, None], definition)
        if definition.brevity:
            scores[rows] *= np.exp(np.minimum(0.0, 1.0 - wanted / said[rows, None]))
    return scores


def unigram_pair_scores(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    brevity: bool = True,
) -> Float[np.ndarray, "hypotheses references"]:
    """`pair_scores` by BLEU-1 on words, or without `brevity` by plain precision."""
    return pair_scores(hypotheses, references, DEFINITIONS["bleu1" if brevity else "precision"])


def matches_by_order(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], orders: int
) -> Iterator[tuple[slice, list[Float[np.ndarray, "rows references"]]]]:
    """Clipped matches of all pairs for a few hypotheses at a time, one matrix per order."""
    factors = [_factors(hypotheses, references, order) for order in range(1, orders + 1)]
    for start in range(0, len(hypotheses), _ROWS):
        rows = slice(start, start + _ROWS)
        yield rows, [(ours[rows] @ theirs).toarray() for ours, theirs in factors]


def _products(
    matches: list[Float[np.ndarray, "rows references"]],
    said: Float[np.ndarray, "rows 1"],
    definition: Definition,
) -> Float[np.ndarray, "rows references"]:
    """The product of `precision ** weight` over the orders."""
    product = np.ones_like(matches[0])
    kept = matches[0] > 0
    for order, (matched, weight) in enumerate(zip(matches, definition.weights, strict=True)):
        precision = matched / np.maximum(1.0, said - order)
        power = precision if weight == 1 else precision**weight
        if definition.zero_orders == "zero":
            product *= power
        else:
            kept &= matched > 0
            np.multiply(product, power, out=product, where=kept)
    if definition.zero_orders == "dropped":
        product[matches[0] == 0] = 0.0
    return product


def _factors(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], order: int
) -> tuple[csr_array, csr_array]:
    """Who holds which numbered n-gram: (hypotheses, items) and (items, references)."""
    ours, theirs = (
        [list(numbered(ngrams(tokens, order))) for tokens in lists]
        for lists in (hypotheses, references)
    )
    known = dict.fromkeys(chain.from_iterable(theirs))
    columns = {item: column for column, item in enumerate(known)}
    return _held(ours, columns), _held(theirs, columns).T.tocsr()


def _held(
    lists: list[list[tuple[Hashable, int]]], columns: dict[tuple[Hashable, int], int]
) -> csr_array:
    held = [[columns[item] for item in items if item in columns] for items in lists]
    ends = np.cumsum([0, *map(len, held)])
    indices = np.fromiter(chain.from_iterable(held), dtype=np.int32, count=int(ends[-1]))
    return csr_array((np.ones(len(indices)), indices, ends), shape=(len(lists), len(columns)))


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
