"""Lengths: what the number of words alone does to a score, the words' fit to their item aside."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from songtitle.errors import InputError


def prefixes(hypotheses: Sequence[Sequence[str]], words: int) -> list[list[str]]:
    """The first `words` words of each hypothesis; all of one that has no more.

    Raises TypeError for a `str` in place of a token list, InputError for fewer than 0 words.
    """
    if words < 0:
        msg = f"words: expected 0 or more, got {words}"
        raise InputError(msg)
    for hypothesis in hypotheses:
        if isinstance(hypothesis, str):
            msg = f"expected a list of tokens, got the string {hypothesis!r}; call tokenize() first"
            raise TypeError(msg)
    return [list(hypothesis[:words]) for hypothesis in hypotheses]


def length_matched(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    generator: np.random.Generator,
) -> Int[np.ndarray, " items"]:
    """A wrong reference for every hypothesis, as long as its own: whatever length earns, it keeps.

    `order[i]` says whose reference hypothesis i is scored against, as in `permuted_scores`. Every
    reference is used once and none by its own item. Where others have as many words, one of those
    is drawn, each as likely. References whose length is theirs alone trade with their neighbours
    in length; a single one trades with those of the nearest length. Raises InputError for fewer
    than two items or another number of references.
    """
    items = len(references)
    if len(hypotheses) != items or items < 2:
        msg = (
            "references: expected one for each of at least two hypotheses, got "
            f"{items} for {len(hypotheses)}"
        )
        raise InputError(msg)
    lengths = np.array([len(reference) for reference in references])
    shared = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    alone = np.concatenate([[], *(group for group in shared if len(group) == 1)]).astype(np.int64)
    groups = [group for group in shared if len(group) > 1]
    if len(alone) > 1:  # by length, in twos; an odd number starts with three
        groups += np.array_split(alone, len(alone) // 2)
    elif len(alone):
        apart = [abs(int(lengths[group[0]] - lengths[alone[0]])) for group in groups]
        nearest = int(np.argmin(apart))
        groups[nearest] = np.concatenate([groups[nearest], alone])
    order = np.empty(items, dtype=np.int64)
    for group in groups:  # a random circle through the group: everybody takes from the next
        circle = generator.permutation(group)
        order[circle] = np.roll(circle, 1)
    return order
