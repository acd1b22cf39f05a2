"""Which BLEU: the ways a score called "unigram BLEU precision" may have been computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from math import prod
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from songtitle.errors import InputError
from songtitle.metrics.bleu import BleuScore, check_counts, corpus_bleu, signature
from songtitle.metrics.tokens import Unit, refuse_strings, units_of

ZeroOrders = Literal["zero", "dropped"]
Average = Literal["sentences", "corpus"]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One way to compute BLEU from a list of hypotheses and their references.

    The score is the brevity penalty times the product of `precision ** weight` over the orders.
    NLTK up to 3.2.5 left out the orders from the first without a match on ("dropped", their
    weights unused), so that with its default weights one shared word of four gave
    `(1/4) ** 0.25 = 0.71`; since then, as in sacrebleu, such a score is 0 ("zero"). Raises
    InputError for weights that make no mean.
    """

    name: str  # short, for tables
    tokens: Unit = "words"  # letters: " ".join(words) as a list of characters, blanks included
    weights: tuple[float, ...] = (1.0,)  # of the orders 1, 2, ...
    brevity: bool = True  # whether a hypothesis shorter than its reference pays for it
    zero_orders: ZeroOrders = "zero"
    average: Average = "sentences"  # mean of sentence scores, or matches summed before dividing

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 0 or sum(self.weights) <= 0:
            msg = f"weights: expected numbers of at least 0, not all 0, got {self.weights}"
            raise InputError(msg)
        for field, known in (("tokens", Unit), ("zero_orders", ZeroOrders), ("average", Average)):
            if getattr(self, field) not in get_args(known):
                choice = " or ".join(map(repr, get_args(known)))
                msg = f"{field}: expected {choice}, got {getattr(self, field)!r}"
                raise InputError(msg)

    @property
    def signature(self) -> str:
        """All that the score depends on, in one line to stand under a table."""
        smoothing = "none" if self.zero_orders == "zero" else "none,zero-orders-dropped"
        return signature(
            weights=self.weights,
            brevity=self.brevity,
            smoothing=smoothing,
            tokens=self.tokens,
            average=self.average,
        )


DEFINITIONS = {
    "precision": Definition(name="words, precision", brevity=False),
    "bleu1": Definition(name="words, BLEU-1"),
    # NLTK's default weights, as sentence_bleu(references, hypothesis) took them up to 3.2.5
    "nltk_3_2_5": Definition(
        name="words, NLTK 3.2.5", weights=(0.25, 0.25, 0.25, 0.25), zero_orders="dropped"
    ),
    "letters": Definition(name="letters, BLEU-1", tokens="letters"),
    "letters_precision": Definition(name="letters, precision", tokens="letters", brevity=False),
    "corpus": Definition(name="words, BLEU-1 of the corpus", average="corpus"),
}


def signatures(*keys: str) -> dict[str, dict[str, str]]:
    """Key in `DEFINITIONS` -> name and signature, for the settings of a record of scores.

    What stands under a table is read from the record, so that it is of the definition that scored.
    """
    chosen = {key: DEFINITIONS[key] for key in keys}
    return {key: {"name": each.name, "signature": each.signature} for key, each in chosen.items()}


def score(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
) -> BleuScore:
    """BLEU by a definition, `references[i]` being the references of `hypotheses[i]`.

    Precisions, brevity penalty and lengths are sacrebleu's, counted in the definition's tokens.
    Where sentences are averaged, precisions and brevity penalty are means as well (so that their
    product is not the score), and lengths are sums. Raises TypeError for a `str` in place of a
    token list, InputError where counts do not fit or nothing is given.
    """
    if definition.average == "corpus":
        units = [_units(*pair, definition) for pair in _pairs(hypotheses, references)]
        return _scored([said for said, _ in units], [wanted for _, wanted in units], definition)
    each = _each(hypotheses, references, definition)
    return BleuScore(
        score=float(np.mean([one.score for one in each])),
        precisions=tuple(float(mean) for mean in np.mean([one.precisions for one in each], axis=0)),
        brevity_penalty=float(np.mean([one.brevity_penalty for one in each])),
        hypothesis_length=sum(one.hypothesis_length for one in each),
        reference_length=sum(one.reference_length for one in each),
        signature=definition.signature,
    )


def sentence_scores(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
) -> Float[np.ndarray, " items"]:
    """The score in [0, 1] of each hypothesis against its own references.

    Their mean is `score(hypotheses, references, definition).score`. Raises as `score` does, and
    InputError for a definition whose score is of the corpus alone.
    """
    refuse_corpus(definition)
    return np.array([one.score for one in _each(hypotheses, references, definition)])


def refuse_corpus(definition: Definition) -> None:
    """Raise InputError for a definition under which single sentences have no score."""
    if definition.average == "corpus":
        msg = (
            f"definition: expected one that scores each sentence, got {definition.name!r}, which "
            "scores a corpus as a whole; take one with average='sentences'"
        )
        raise InputError(msg)


def _each(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
) -> list[BleuScore]:
    units = (_units(*pair, definition) for pair in _pairs(hypotheses, references))
    return [_scored([said], [wanted], definition) for said, wanted in units]


def _scored(
    hypotheses: list[list[str]], references: list[list[list[str]]], definition: Definition
) -> BleuScore:
    """A corpus of units, scored from the precisions and the brevity penalty of sacrebleu."""
    found = corpus_bleu(
        hypotheses, references, max_order=len(definition.weights), brevity=definition.brevity
    )
    powers = [p**weight for p, weight in zip(found.precisions, definition.weights, strict=True)]
    if definition.zero_orders == "dropped" and found.precisions[0] > 0:
        # NLTK 3.2.5, bleu_score.py: method0 stops at the first order without a match, and zip()
        # leaves the weights beyond unused; without any shared unigram the score is 0 at once.
        powers = powers[: len(list(takewhile(bool, found.precisions)))]
    elif definition.zero_orders == "dropped":
        powers = [0.0]
    return BleuScore(
        score=found.brevity_penalty * prod(powers),
        precisions=found.precisions,
        brevity_penalty=found.brevity_penalty,
        hypothesis_length=found.hypothesis_length,
        reference_length=found.reference_length,
        signature=definition.signature,
    )


def _units(
    hypothesis: Sequence[str], references: Sequence[Sequence[str]], definition: Definition
) -> tuple[list[str], list[list[str]]]:
    refuse_strings((hypothesis, references, *references))
    units = partial(units_of, unit=definition.tokens)
    return units(hypothesis), [units(reference) for reference in references]


def _pairs(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> list[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    refuse_strings([hypotheses, references])
    check_counts(hypotheses, references)
    return list(zip(hypotheses, references, strict=True))
