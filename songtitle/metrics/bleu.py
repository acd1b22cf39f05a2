"""BLEU-1 to BLEU-4 on token lists, by sacrebleu's formula.

`hypotheses[i]` is a list of tokens, `references[i]` the list of its references, each a list of
tokens. A `str` where a token list belongs raises TypeError: a string is a sequence of letters, and
BLEU on letters is another, far higher number.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from sacrebleu.metrics import BLEU

from songtitle.errors import InputError
from songtitle.metrics.tokens import ngrams, refuse_strings

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
