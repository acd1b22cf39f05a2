"""BLEU by any definition, of words or letters, its signature made from what scores.

    score([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["letters"])          # a BleuScore
    sentence_scores([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["bleu1"])  # [0.5]
    DEFINITIONS["letters"].signature                                                # for a table
    Definition(name="words, BLEU-2", weights=(0.5, 0.5))                            # one more

`DEFINITIONS` holds `precision`, `bleu1`, `nltk_3_2_5`, `letters`, `letters_precision` and `corpus`.
The last has no score of a pair.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from itertools import takewhile
from math import prod
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics import BLEU

from songtitle.errors import InputError

Unit = Literal["words", "letters"]


def refuse_strings(lists: Iterable[object]) -> None:
    """Raise TypeError where a `str` stands in place of a token list."""
    for tokens in lists:
        if isinstance(tokens, str):
            msg = f"expected a list of tokens, got the string {tokens!r}; call tokenize() first"
            raise TypeError(msg)


def units_of(tokens: Sequence[str], unit: Unit) -> list[str]:
    """The words themselves, or the letters of the words set in a line, blanks included.

    Letters are what NLTK scores where it is given a `str` in place of a token list.
    """
    return list(" ".join(tokens)) if unit == "letters" else list(tokens)


def ngrams(tokens: Sequence[str], order: int) -> Iterable[Hashable]:
    """All n-grams in their order; a unigram is the token itself, a longer one a tuple."""
    return tokens if order == 1 else zip(*(tokens[i:] for i in range(order)), strict=False)


def numbered(items: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Each item with how often it came before: the t-th "a" becomes ("a", t).

    Two lists so numbered share as many items as there are clipped matches between them.
    """
    seen: dict[Hashable, int] = defaultdict(int)
    for item in items:
        yield item, seen[item]
        seen[item] += 1


SMOOTHINGS = ("none", "floor", "add-k", "exp")  # Chen and Cherry 2014; sacrebleu's default values


@dataclass(frozen=True)
class BleuScore:
    """A BLEU score with what it was made of; the signature says which BLEU it is."""

    score: float  # [0, 1]
    precisions: tuple[float, ...]  # [0, 1], order 1..n
    brevity_penalty: float  # [0, 1]; 0 only where nothing was said, 1 without brevity
    hypothesis_length: int  # tokens
    reference_length: int  # tokens, of the reference closest in length, the shorter of two
    signature: str  # "order:1|weights:1|brevity:yes|smooth:none|tokens:words|v:...|sacrebleu:..."


def corpus_bleu(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    max_order: int = 4,
    smoothing: str = "none",
    brevity: bool = True,
) -> BleuScore:
    """BLEU of a corpus: matches and lengths are summed over all examples before dividing.

    `smoothing` is one of "none", "floor", "add-k" and "exp"; `brevity=False` leaves the brevity
    penalty out, so at order 1 the score is plain precision. Equal to sacrebleu's `corpus_score`
    on the same tokens. An order of which the hypotheses have no n-gram at all, as titles of three
    words have no 4-gram, makes the score 0; so does an empty hypothesis alone. Raises TypeError
    for a `str` in place of a token list, InputError where counts do not fit or nothing is given.

    Source: Papineni et al. 2002.
    """
    _check_options(max_order, smoothing)
    refuse_strings([hypotheses, references])
    check_counts(hypotheses, references)
    matches, totals = [0] * max_order, [0] * max_order
    hypothesis_length = reference_length = 0
    for hypothesis, its_references in zip(hypotheses, references, strict=True):
        refuse_strings((hypothesis, its_references, *its_references))
        if not its_references:
            msg = f"references: expected at least one for {list(hypothesis)}, got none"
            raise InputError(msg)
        said = len(hypothesis)
        hypothesis_length += said
        reference_length += min((abs(len(r) - said), len(r)) for r in its_references)[1]
        for order in range(min(max_order, said)):
            totals[order] += said - order
        # An n-gram that is found holds one of order n - 1 that is found: without, look no further.
        for order in range(max_order):
            matched = _clipped_matches(hypothesis, its_references, order + 1)
            if not matched:
                break
            matches[order] += matched
    result = BLEU.compute_bleu(
        matches,
        totals,
        hypothesis_length,
        reference_length if brevity else 0,  # no reference is too long to reach
        smooth_method=smoothing,
        max_ngram_order=max_order,
    )
    return BleuScore(
        score=min(result.score / 100, 1.0),  # exp(log(100)) is a hair above 100
        precisions=tuple(precision / 100 for precision in result.precisions),
        brevity_penalty=result.bp,
        hypothesis_length=hypothesis_length,
        reference_length=reference_length,
        signature=signature(
            weights=(1 / max_order,) * max_order, brevity=brevity, smoothing=smoothing
        ),
    )


def sentence_bleu(
    hypothesis: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    max_order: int = 4,
    smoothing: str = "none",
    brevity: bool = True,
) -> BleuScore:
    """BLEU of one hypothesis against its references: `corpus_bleu` of a corpus of one."""
    return corpus_bleu(
        [hypothesis], [references], max_order=max_order, smoothing=smoothing, brevity=brevity
    )


@cache  # the same one for every title
def signature(
    *,
    weights: tuple[float, ...],
    brevity: bool,
    smoothing: str,
    tokens: str = "words",
    average: str | None = None,
) -> str:
    """All that a BLEU score depends on, in one line, with the versions that computed it."""
    parts = {
        "order": str(len(weights)),
        "weights": ",".join(f"{weight:.3g}" for weight in weights),
        "brevity": "yes" if brevity else "no",
        "smooth": smoothing,
        "tokens": tokens,
    }
    if average:
        parts["average"] = average
    return "|".join([*(f"{name}:{value}" for name, value in parts.items()), versions()])


def check_counts(hypotheses: Sequence[object], references: Sequence[object]) -> None:
    """Raise InputError without hypotheses or where some lack their references."""
    if not hypotheses or len(hypotheses) != len(references):
        msg = (
            "references: expected a list of references for each of at least one hypothesis, got "
            f"{len(hypotheses)} hypotheses and {len(references)} lists of references"
        )
        raise InputError(msg)


@cache  # reading a package's version takes longer than scoring a title
def versions() -> str:
    """Who computed a score: this package and sacrebleu."""
    return f"v:{version('songtitle')}|sacrebleu:{version('sacrebleu')}"


def _clipped_matches(
    hypothesis: Sequence[str], references: Sequence[Sequence[str]], order: int
) -> int:
    """How many n-grams of the hypothesis are found, each as often as any one reference has it."""
    found = ngrams(hypothesis, order)
    if len(references) == 1:
        left = _counts(ngrams(references[0], order))
    else:
        left = {}
        for reference in references:
            for ngram, count in _counts(ngrams(reference, order)).items():
                left[ngram] = max(count, left.get(ngram, 0))
    matched = 0
    for ngram in found:
        if left.get(ngram):
            left[ngram] -= 1
            matched += 1
    return matched


def _counts(ngrams: Iterable[Hashable]) -> dict[Hashable, int]:
    # A plain dict: on lists as short as titles, setting up a Counter costs more than the counting.
    counts: dict[Hashable, int] = {}
    for ngram in ngrams:
        counts[ngram] = counts.get(ngram, 0) + 1
    return counts


def _check_options(max_order: int, smoothing: str) -> None:
    if max_order < 1:
        msg = f"max_order: expected at least 1, got {max_order}"
        raise InputError(msg)
    if smoothing not in SMOOTHINGS:
        msg = f"smoothing: expected one of {', '.join(SMOOTHINGS)}, got {smoothing!r}"
        raise InputError(msg)


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
