"""Scores of every hypothesis against every reference; which hypothesis, where there are several.

Functions of pairs take one reference each and give a matrix, whose diagonal holds the own pairs:
`chance.against_chance` puts any of them beside chance.

    pair_scores([["blue"], ["sky"]], [["sky"], ["o"]], DEFINITIONS["bleu1"])  # [[0, 0], [1, 0]]
    unigram_pair_scores([["blue"]], [["moon"]], brevity=False)                      # [[0]]

Where a search left several hypotheses, `found[i] == [[words, log_prob], ...]`:

    chosen(found, "normalised")                                               # token lists
    chosen_pair_scores(found, references, DEFINITIONS["bleu1"], "best")       # (items, references)

`CHOICES` are `top`, `normalised`, `mean` and `best`.
"""

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from songtitle.errors import InputError
from songtitle.metrics.bleu import (
    DEFINITIONS,
    Definition,
    bleu_of_counts,
    ngrams,
    numbered,
    refuse_corpus,
    refuse_strings,
    units_of,
)

_ROWS = 64  # hypotheses at a time: nothing else grows as large as the result

CHOICES = ("top", "normalised", "mean", "best")

# Per item, its hypotheses, each [words, summed log-probability in nats], as the search leaves them
Found = Sequence[Sequence[Sequence[Any]]]


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
    refuse_strings([hypotheses, references])
    ours, theirs = (
        [units_of(tokens, definition.tokens) for tokens in lists]
        for lists in (hypotheses, references)
    )
    orders = range(1, 1 + len(definition.weights))
    factors = [_factors(ours, theirs, order) for order in orders]
    scores = np.empty((len(ours), len(theirs)))
    said = np.array([len(each) for each in ours])[:, None]
    wanted = np.array([len(each) for each in theirs])[None]
    for start in range(0, len(ours), _ROWS):
        rows = slice(start, start + _ROWS)
        matches = [(held[rows] @ holders).toarray() for held, holders in factors]
        scores[rows] = bleu_of_counts(definition, np.stack(matches, -1), said[rows], wanted)
    return scores


def unigram_pair_scores(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    brevity: bool = True,
) -> Float[np.ndarray, "hypotheses references"]:
    """`pair_scores` by BLEU-1 on words, or without `brevity` by plain precision."""
    return pair_scores(hypotheses, references, DEFINITIONS["bleu1" if brevity else "precision"])


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
    _check(found, choice)
    if choice in ("top", "normalised"):
        return pair_scores(chosen(found, choice), references, definition)
    total = pair_scores([hypotheses[0][0] for hypotheses in found], references, definition)
    for rank in range(1, max(map(len, found), default=0)):
        # Some items have fewer hypotheses: a search may run out of sentences that can end.
        there = [item for item, hypotheses in enumerate(found) if len(hypotheses) > rank]
        more = pair_scores([found[item][rank][0] for item in there], references, definition)
        if choice == "best":
            total[there] = np.maximum(total[there], more)
        else:
            total[there] += more
    if choice == "mean":
        total /= np.array([len(hypotheses) for hypotheses in found], dtype=float)[:, None]
    return total


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
