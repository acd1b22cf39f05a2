"""BLEU by any definition, of words or letters, its signature made from what scores.

    score([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["letters"])          # a BleuScore
    sentence_scores([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["bleu1"])  # [0.5]
    DEFINITIONS["letters"].signature                                                # for a table
    Definition(name="words, BLEU-2", weights=(0.5, 0.5))                            # one more

Of `DEFINITIONS` the last, `corpus`, has no score of a pair.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Num
from sacrebleu.metrics import BLEU

from songtitle.errors import expect

Item = TypeVar("Item", bound=Hashable)
Tokens = Sequence[str]
Lists = Sequence[Tokens]
Unit = Literal["words", "letters"]
ZeroOrders = Literal["zero", "dropped"]
Average = Literal["sentences", "corpus"]
Smoothing = Literal["none", "floor", "add-k", "exp"]
WORDS = {"tokens": Unit, "zero_orders": ZeroOrders, "average": Average, "smoothing": Smoothing}
SMOOTHINGS = get_args(Smoothing)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One way to compute BLEU from a list of hypotheses and their references.

    The score is the brevity penalty times the product of `precision ** weight` over the orders.
    NLTK up to 3.2.5 left out the orders from the first without a match on ("dropped"), so that with
    its default weights one shared word of four gave `(1/4) ** 0.25 = 0.71`; since then, as in
    sacrebleu, such a score is 0 ("zero"). Raises InputError for weights that make no mean and for
    words that no field knows.
    """

    name: str  # short, for tables
    tokens: Unit = "words"  # letters: " ".join(words) as a list of characters, blanks included
    weights: tuple[float, ...] = (1.0,)  # of the orders 1, 2, ...
    brevity: bool = True  # whether a hypothesis shorter than its reference pays for it
    zero_orders: ZeroOrders = "zero"
    average: Average = "sentences"  # mean of sentence scores, or matches summed before dividing
    smoothing: Smoothing = "none"  # Chen and Cherry 2014; with sacrebleu's default values

    def __post_init__(self) -> None:
        expect(
            self.weights and min(self.weights) >= 0 and sum(self.weights) > 0,
            f"weights: expected numbers of at least 0, not all 0, got {self.weights}",
        )
        for field, kind in WORDS.items():
            known, value = get_args(kind), getattr(self, field)
            choice = " or ".join(map(repr, known))
            expect(value in known, f"{field}: expected {choice}, got {value!r}")

    @property
    def signature(self) -> str:
        """All that the score depends on, in one line, with the versions that computed it."""
        dropped = "" if self.zero_orders == "zero" else ",zero-orders-dropped"
        parts = {
            "order": len(self.weights),
            "weights": ",".join(f"{weight:.3g}" for weight in self.weights),
            "brevity": "yes" if self.brevity else "no",
            "smooth": self.smoothing + dropped,
            "tokens": self.tokens,
            "average": self.average,
            "v": version("songtitle"),
            "sacrebleu": version("sacrebleu"),
        }
        return "|".join(f"{name}:{value}" for name, value in parts.items())


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
    signature: str  # "order:1|weights:1|brevity:yes|smooth:none|tokens:words|average:corpus|v:..."


def corpus_bleu(
    hypotheses: Lists,
    references: Sequence[Lists],
    *,
    max_order: int = 4,
    smoothing: Smoothing = "none",
    brevity: bool = True,
) -> BleuScore:
    """BLEU of a corpus: matches and lengths are summed over all examples before dividing.

    Equal to sacrebleu's `corpus_score` on the same tokens. An order of which the hypotheses have no
    n-gram at all makes the score 0; so does an empty hypothesis alone. `brevity=False` leaves the
    penalty out. Raises TypeError for a `str` in place of a token list, InputError where counts do
    not fit or nothing is given. Source: Papineni et al. 2002.
    """
    expect(max_order >= 1, f"max_order: expected at least 1, got {max_order}")
    definition = Definition(
        name="",
        weights=(1 / max_order,) * max_order,
        brevity=brevity,
        average="corpus",
        smoothing=smoothing,
    )
    return score(hypotheses, references, definition)


def sentence_bleu(hypothesis: Tokens, references: Lists, **options: Any) -> BleuScore:
    """BLEU of one hypothesis against its references; options are those of `corpus_bleu`."""
    return corpus_bleu([hypothesis], [references], **options)


def score(hypotheses: Lists, references: Sequence[Lists], definition: Definition) -> BleuScore:
    """BLEU by a definition, `references[i]` being the references of `hypotheses[i]`.

    Precisions, penalty and lengths are sacrebleu's, in the definition's tokens. Where sentences are
    averaged the first two are means (their product is not the score). Raises as `corpus_bleu` does.
    """
    precisions, penalties, said, wanted = _counted(hypotheses, references, definition)
    return BleuScore(
        score=float(_combined(definition, [*precisions.T], penalties).mean()),
        precisions=tuple(precisions.mean(axis=0).tolist()),
        brevity_penalty=float(penalties.mean()),
        hypothesis_length=int(said.sum()),
        reference_length=int(wanted.sum()),
        signature=definition.signature,
    )


def sentence_scores(
    hypotheses: Lists, references: Sequence[Lists], definition: Definition
) -> Float[np.ndarray, " items"]:
    """The score in [0, 1] of each hypothesis against its own references; their mean is `score`'s.

    Raises as `score` does, and InputError for a definition whose score is of the corpus alone.
    """
    refuse_corpus(definition)
    precisions, penalties, *_ = _counted(hypotheses, references, definition)
    return _combined(definition, [*precisions.T], penalties)


def bleu_of_counts(
    definition: Definition,
    found: Num[np.ndarray, "*items orders"],
    said: Num[np.ndarray, "*#items"],
    wanted: Num[np.ndarray, "*#items"],
) -> Float[np.ndarray, "*items"]:
    """BLEU in [0, 1] from clipped matches by order, hypothesis and reference length in tokens."""
    penalty = np.array(1.0)
    if definition.brevity:
        penalty = np.exp(np.minimum(0.0, 1.0 - wanted / np.maximum(said, 1)))
    precisions = [
        found[..., order] / np.maximum(said - order, 1) for order in range(len(definition.weights))
    ]
    return _combined(definition, precisions, penalty)


def signatures(*keys: str) -> dict[str, dict[str, str]]:
    """Key in `DEFINITIONS` -> name and signature, for the settings of a record of scores: what
    stands under a table is read from the record.
    """
    found = {key: DEFINITIONS[key] for key in keys}
    return {key: {"name": one.name, "signature": one.signature} for key, one in found.items()}


def refuse_strings(lists: Iterable[object]) -> None:
    """Raise TypeError where a `str` stands in place of a token list."""
    for tokens in lists:
        if isinstance(tokens, str):
            msg = f"expected a list of tokens, got the string {tokens!r}; call tokenize() first"
            raise TypeError(msg)


def refuse_corpus(definition: Definition) -> None:
    """Raise InputError for a definition under which single sentences have no score."""
    expect(
        definition.average == "sentences",
        f"definition: expected one that scores each sentence, got {definition.name!r}, which "
        "scores a corpus as a whole; take one with average='sentences'",
    )


def units_of(tokens: Tokens, unit: Unit) -> list[str]:
    """The words themselves, or the letters of the words set in a line, blanks included: what NLTK
    scores where it is given a `str`. Raises TypeError for a `str` here.
    """
    refuse_strings((tokens,))
    return list(" ".join(tokens)) if unit == "letters" else list(tokens)


def ngrams(tokens: Tokens, order: int) -> Iterable[Hashable]:
    """All n-grams in their order; a unigram is the token itself, a longer one a tuple."""
    return tokens if order == 1 else zip(*(tokens[i:] for i in range(order)), strict=False)


def numbered(items: Iterable[Item]) -> Iterator[tuple[Item, int]]:
    """Each item with how often it came before: the t-th "a" becomes ("a", t). Two lists so numbered
    share as many items as there are clipped matches between them.
    """
    seen: dict[Item, int] = {}
    for item in items:
        count = seen.get(item, 0)
        yield item, count
        seen[item] = count + 1


def _clipped_matches(hypothesis: Tokens, references: Lists, order: int) -> int:
    """How many n-grams of the hypothesis are found, each as often as any one reference has it."""
    left: dict[Hashable, int] = {}
    for reference in references:
        for ngram, before in numbered(ngrams(reference, order)):
            if before == left.get(ngram, 0):
                left[ngram] = before + 1
    matched = 0
    for ngram in ngrams(hypothesis, order):
        if left.get(ngram):
            left[ngram] -= 1
            matched += 1
    return matched


def _counted(
    hypotheses: Lists, references: Sequence[Lists], definition: Definition
) -> tuple[np.ndarray, ...]:
    """Precisions (texts, orders), penalties and lengths: a text is a sentence, or the corpus."""
    refuse_strings([hypotheses, references, *references])
    expect(
        hypotheses and len(hypotheses) == len(references),
        "references: expected a list of references for each of at least one hypothesis, got "
        f"{len(hypotheses)} hypotheses and {len(references)} lists of references",
    )
    texts: list[list[tuple[Tokens, Lists]]] = []
    for hypothesis, several in zip(hypotheses, references, strict=True):
        said = units_of(hypothesis, definition.tokens)
        its = [units_of(each, definition.tokens) for each in several]
        if not its:
            expect(False, f"references: expected at least one for {list(hypothesis)}, got none")
        texts.append([(said, its)])
    if definition.average == "corpus":
        texts = [[pair for text in texts for pair in text]]
    return tuple(map(np.array, zip(*(_measured(text, definition) for text in texts), strict=True)))


def _measured(
    pairs: Sequence[tuple[Tokens, Lists]], definition: Definition
) -> tuple[list[float], float, int, int]:
    """Precisions by order, brevity penalty and lengths that sacrebleu gives one text."""
    orders = len(definition.weights)
    matches, totals, length, wanted = [0] * orders, [0] * orders, 0, 0
    for said, references in pairs:
        size = len(said)
        length += size
        wanted += min((abs(len(each) - size), len(each)) for each in references)[1]
        for order in range(min(orders, size)):
            totals[order] += size - order
        # An n-gram that is found holds one of order n - 1 that is found: without, look no further.
        for order in range(orders):
            matched = _clipped_matches(said, references, order + 1)
            if not matched:
                break
            matches[order] += matched
    found = BLEU.compute_bleu(
        matches,
        totals,
        length,
        wanted if definition.brevity else 0,  # no reference is too long to reach
        smooth_method=definition.smoothing,
        max_ngram_order=orders,
    )
    return [precision / 100 for precision in found.precisions], found.bp, length, wanted


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
        if definition.zero_orders == "dropped":
            # NLTK 3.2.5, bleu_score.py: method0 stops at the first order without a match, and
            # zip() leaves the weights beyond unused; without any shared unigram the score is 0.
            kept = kept & (precision > 0)
            power = np.where(kept, power, 1.0)
        product *= power
    if definition.zero_orders == "dropped":
        product[precisions[0] == 0] = 0.0
    return product * penalty
