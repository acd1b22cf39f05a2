"""Standing: what an input scores beside chance, and how far that is from what it scored before."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from songtitle.assumptions import Reading
from songtitle.controls import bootstrap_interval, paired_difference
from songtitle.metrics import DEFINITIONS, chosen, chosen_pair_scores

OwnAndGains = tuple[Float[np.ndarray, " items"], Float[np.ndarray, " items"]]

ROUNDS = 5000  # random signs behind each p value; enough for a hundred of them to be corrected

Found = list[list[list[Any]]]  # per item, its hypotheses, each [words, log-probability in nats]


def stand(
    found: Found,
    references: Sequence[Sequence[str]],
    read: Reading,
    *,
    generator: np.random.Generator,
) -> dict[str, int | float]:
    """How one input stands, scores in [0, 1]: `items, score, chance, gain`, their 95 % intervals
    (`score_low` and so on), and `words`, the mean length of what was said."""
    own, gains = own_and_gains(found, references, read)
    low, high = bootstrap_interval(own, generator=generator)
    gain_low, gain_high = bootstrap_interval(gains, generator=generator)
    said = chosen(found, read.choice if read.choice == "normalised" else "top")
    return {
        "items": len(own),
        "score": float(own.mean()),
        "score_low": low,
        "score_high": high,
        "chance": float(own.mean() - gains.mean()),
        "gain": float(gains.mean()),
        "gain_low": gain_low,
        "gain_high": gain_high,
        "words": float(np.mean([len(each) for each in said])),
    }


def compare(
    before: Found,
    after: Found,
    references: Sequence[Sequence[str]],
    read_before: Reading,
    read_after: Reading,
    *,
    seed: int,
) -> dict[str, int | float]:
    """`stand` of what is said after a change, and the paired difference to what was said before.

    `score_change` and `gain_change` with their 95 % intervals (`_low`, `_high`) and p values
    (`score_p`, `gain_p`), over the same items: the change of the score, and of what it has over
    its own chance.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, int | float] = stand(after, references, read_after, generator=generator)
    first = own_and_gains(after, references, read_after)
    second = own_and_gains(before, references, read_before)
    return found | changes(first, second, generator=generator)


def changes(
    after: OwnAndGains, before: OwnAndGains, *, generator: np.random.Generator
) -> dict[str, float]:
    """The paired differences of scores and of gains between two ways over the same items.

    Keys are `score_change` and `gain_change`, with `_low`, `_high`, and `score_p`, `gain_p`.
    """
    found: dict[str, float] = {}
    for name, now, then in zip(("score", "gain"), after, before, strict=True):
        it = paired_difference(now, then, rounds=ROUNDS, generator=generator)
        found |= {
            f"{name}_change": it.mean,
            f"{name}_change_low": it.low,
            f"{name}_change_high": it.high,
            f"{name}_p": it.p,
        }
    return found


def own_and_gains(found: Found, references: Sequence[Sequence[str]], read: Reading) -> OwnAndGains:
    """What each item scores on its own reference, and how far that is above its mean on the others.

    The mean of the latter is the gain over chance of `controls.against_chance`.
    """
    definition = DEFINITIONS[read.definition]
    pairs = chosen_pair_scores(found, references, definition, read.choice)
    own = np.diagonal(pairs).astype(float)
    return own, own - (pairs.sum(axis=1) - own) / (len(own) - 1)
