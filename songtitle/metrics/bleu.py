"""BLEU by any definition, of words or letters, its signature made from what scores.

    score([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["letters"])          # a BleuScore
    sentence_scores([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["bleu1"])  # [0.5]
    DEFINITIONS["letters"].signature                                                # for a table
    Definition(name="words, BLEU-2", weights=(0.5, 0.5))                            # one more

`DEFINITIONS` holds `precision`, `bleu1`, `nltk_3_2_5`, `letters`, `letters_precision` and `corpus`,
of which the last has no score of a pair.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Num
from sacrebleu.metrics import BLEU

from songtitle.errors import InputError

Item = TypeVar("Item", bound=Hashable)
Unit = Literal["words", "letters"]
ZeroOrders = Literal["zero", "dropped"]
Average = Literal["sentences", "corpus"]

SMOOTHINGS = ("none", "floor", "add-k", "exp")  # Chen and Cherry 2014; sacrebleu's default values


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One way to compute BLEU from a list of hypotheses and their references.

    The score is the brevity penalty times the product of `precision ** weight` over the orders.
    NLTK up to 3.2.5 left out the orders from the first without a match on ("dropped", their
    weights unused), so that with its default weights one shared word of four gave
    `(1/4) ** 0.25 = 0.71`; since then, as in sacrebleu, such a score is 0 ("zero"). Raises
    InputError for weights that make no mean and for words that no field knows.
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
        return _signature(self.weights, self.brevity, smoothing, self.tokens, self.average)


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

    `smoothing` is one of `SMOOTHINGS`; `brevity=False` leaves the brevity penalty out, so at order
    1 the score is plain precision. Equal to sacrebleu's `corpus_score` on the same tokens. An order
    of which the hypotheses have no n-gram at all, as titles of three words have no 4-gram, makes
    the score 0; so does an empty hypothesis alone. Raises TypeError for a `str` in place of a token
    list, InputError where counts do not fit or nothing is given.

    Source: Papineni et al. 2002.
    """
    if max_order < 1:
        msg = f"max_order: expected at least 1, got {max_order}"
        raise InputError(msg)
    if smoothing not in SMOOTHINGS:
        msg = f"smoothing: expected one of {', '.join(SMOOTHINGS)}, got {smoothing!r}"
        raise InputError(msg)
    _check_counts(hypotheses, references)
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
        signature=_signature((1 / max_order,) * max_order, brevity, smoothing),
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


def score(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
) -> BleuScore:
    """BLEU by a definition, `references[i]` being the references of `hypotheses[i]`.

    Precisions, brevity penalty and lengths are sacrebleu's, counted in the definition's tokens.
    Where sentences are averaged, precisions and brevity penalty are means as well (so that their
    product is not the score), and lengths are sums. Raises as `corpus_bleu` does.
    """
    each = _counted(hypotheses, references, definition)
    return BleuScore(
        score=float(np.mean(_scores(each, definition))),
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
    return _scores(_counted(hypotheses, references, definition), definition)


def bleu_of_counts(
    definition: Definition,
    found: Num[np.ndarray, "*items orders"],
    said: Num[np.ndarray, "*#items"],
    wanted: Num[np.ndarray, "*#items"],
) -> Float[np.ndarray, "*items"]:
    """BLEU in [0, 1] from clipped matches by order, hypothesis and reference length in tokens.

    Orders beyond those of the definition are left aside.
    """
    penalty = np.array(1.0)
    if definition.brevity:
        penalty = np.exp(np.minimum(0.0, 1.0 - wanted / np.maximum(said, 1)))
    precisions = [
        found[..., order] / np.maximum(said - order, 1) for order in range(len(definition.weights))
    ]
    return _combined(definition, precisions, penalty)


def signatures(*keys: str) -> dict[str, dict[str, str]]:
    """Key in `DEFINITIONS` -> name and signature, for the settings of a record of scores.

    What stands under a table is read from the record, so that it is of the definition that scored.
    """
    chosen = {key: DEFINITIONS[key] for key in keys}
    return {key: {"name": each.name, "signature": each.signature} for key, each in chosen.items()}


def refuse_strings(lists: Iterable[object]) -> None:
    """Raise TypeError where a `str` stands in place of a token list."""
    for tokens in lists:
        if isinstance(tokens, str):
            msg = f"expected a list of tokens, got the string {tokens!r}; call tokenize() first"
            raise TypeError(msg)


def refuse_corpus(definition: Definition) -> None:
    """Raise InputError for a definition under which single sentences have no score."""
    if definition.average == "corpus":
        msg = (
            f"definition: expected one that scores each sentence, got {definition.name!r}, which "
            "scores a corpus as a whole; take one with average='sentences'"
        )
        raise InputError(msg)


def units_of(tokens: Sequence[str], unit: Unit) -> list[str]:
    """The words themselves, or the letters of the words set in a line, blanks included.

    Letters are what NLTK scores where it is given a `str` in place of a token list. Raises
    TypeError for a `str` here.
    """
    refuse_strings((tokens,))
    return list(" ".join(tokens)) if unit == "letters" else list(tokens)


def ngrams(tokens: Sequence[str], order: int) -> Iterable[Hashable]:
    """All n-grams in their order; a unigram is the token itself, a longer one a tuple."""
    return tokens if order == 1 else zip(*(tokens[i:] for i in range(order)), strict=False)


def numbered(items: Iterable[Item]) -> Iterator[tuple[Item, int]]:
    """Each item with how often it came before: the t-th "a" becomes ("a", t).

    Two lists so numbered share as many items as there are clipped matches between them.
    """
    seen: dict[Item, int] = {}
    for item in items:
        count = seen.get(item, 0)
        yield item, count
        seen[item] = count + 1


@cache  # the same one for every title; a package's version takes longer to read than a title
def _signature(
    weights: tuple[float, ...],
    brevity: bool,
    smoothing: str,
    tokens: str = "words",
    average: str = "",
) -> str:
    """All that a BLEU score depends on, in one line, with the versions that computed it."""
    parts = {
        "order": str(len(weights)),
        "weights": ",".join(f"{weight:.3g}" for weight in weights),
        "brevity": "yes" if brevity else "no",
        "smooth": smoothing,
        "tokens": tokens,
        **({"average": average} if average else {}),
        "v": version("songtitle"),
        "sacrebleu": version("sacrebleu"),
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _check_counts(hypotheses: Sequence[object], references: Sequence[object]) -> None:
    refuse_strings([hypotheses, references])
    if not hypotheses or len(hypotheses) != len(references):
        msg = (
            "references: expected a list of references for each of at least one hypothesis, got "
            f"{len(hypotheses)} hypotheses and {len(references)} lists of references"
        )
        raise InputError(msg)


def _clipped_matches(
    hypothesis: Sequence[str], references: Sequence[Sequence[str]], order: int
) -> int:
    """How many n-grams of the hypothesis are found, each as often as any one reference has it.

    As many as `numbered` n-grams are shared, in a third of the time for a single reference.
    """
    left: dict[Hashable, int] = {}
    for reference in references:
        counts = left if len(references) == 1 else {}
        for ngram in ngrams(reference, order):
            counts[ngram] = counts.get(ngram, 0) + 1
        if counts is not left:
            for ngram, count in counts.items():
                left[ngram] = max(count, left.get(ngram, 0))
    matched = 0
    for ngram in ngrams(hypothesis, order):
        if left.get(ngram):
            left[ngram] -= 1
            matched += 1
    return matched


def _counted(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    definition: Definition,
) -> list[BleuScore]:
    """What sacrebleu makes of each sentence, or of the corpus, in the definition's tokens."""
    _check_counts(hypotheses, references)
    refuse_strings(references)
    said = [units_of(each, definition.tokens) for each in hypotheses]
    wanted = [[units_of(each, definition.tokens) for each in several] for several in references]
    texts = [(said, wanted)]
    if definition.average == "sentences":
        texts = [([one], [its]) for one, its in zip(said, wanted, strict=True)]
    orders, brevity = len(definition.weights), definition.brevity
    return [corpus_bleu(*text, max_order=orders, brevity=brevity) for text in texts]


def _scores(each: Sequence[BleuScore], definition: Definition) -> Float[np.ndarray, " items"]:
    precisions = list(np.array([one.precisions for one in each]).T)
    return _combined(definition, precisions, np.array([one.brevity_penalty for one in each]))


def _combined(
    definition: Definition,
    precisions: Sequence[Float[np.ndarray, "*items"]],  # by order
    penalty: Float[np.ndarray, "*#items"],
) -> Float[np.ndarray, "*items"]:
    """The penalty times the product of `precision ** weight`, which is what a definition says."""
    product = np.ones_like(precisions[0])
    kept = precisions[0] > 0
    for precision, weight in zip(precisions, definition.weights, strict=True):
        power = precision if weight == 1 else precision**weight
        if definition.zero_orders == "zero":
            product *= power
        else:
            # NLTK 3.2.5, bleu_score.py: method0 stops at the first order without a match, and
            # zip() leaves the weights beyond unused.
            kept = kept & (precision > 0)
            np.multiply(product, power, out=product, where=kept)
    if definition.zero_orders == "dropped":
        product[precisions[0] == 0] = 0.0  # without any shared unigram the score is 0 at once
    return product * penalty
