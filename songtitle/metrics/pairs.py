"""Sentence scores of every hypothesis against every single reference, all at once.

Lists whose n-grams are numbered, the t-th "a" being an item of its own, share as many items as
there are clipped matches: a product of two sparse matrices counts the matches of all pairs.
"""

from collections.abc import Hashable, Iterator, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from songtitle.metrics.definitions import DEFINITIONS, Definition, refuse_corpus
from songtitle.metrics.tokens import ngrams, numbered, refuse_strings, units_of

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
