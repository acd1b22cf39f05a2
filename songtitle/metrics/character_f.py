"""chrF: how many runs of up to six letters two titles share, blanks aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import get_args

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics import CHRF

from songtitle.errors import InputError
from songtitle.metrics.bleu import check_counts, versions
from songtitle.metrics.definitions import Average
from songtitle.metrics.pairs import matches_by_order
from songtitle.metrics.tokens import refuse_strings

_CHRF = CHRF()  # letters in runs of 1 to 6, recall weighed twice, no words: "chrF2"
_ORDERS, _BETA = _CHRF.char_order, _CHRF.beta


@dataclass(frozen=True)
class ChrfScore:
    """A chrF score; the signature says which."""

    score: float  # [0, 1]
    signature: str  # "chrF2|letters:1-6|words:0|blanks:no|average:sentences|v:...|sacrebleu:..."


def chrf(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    average: Average = "sentences",
) -> ChrfScore:
    """chrF2 of token lists, `references[i]` being the references of `hypotheses[i]`.

    The F-score of precision and recall of letter n-grams, recall weighing twice, each averaged over
    the orders 1 to 6 that both sides have. Computed by sacrebleu on the tokens set in a line, as
    the mean of its sentence scores or, by `average="corpus"`, of the corpus. A hypothesis counts
    with the reference it fits best. Raises TypeError for a `str` in place of a token list,
    InputError where counts do not fit or nothing is given.

    Source: Popović 2015.
    """
    if average not in get_args(Average):
        msg = f"average: expected sentences or corpus, got {average!r}"
        raise InputError(msg)
    refuse_strings([hypotheses, references])
    check_counts(hypotheses, references)
    for hypothesis, its_references in zip(hypotheses, references, strict=True):
        refuse_strings((hypothesis, its_references, *its_references))
        if not its_references:
            msg = f"references: expected at least one for {list(hypothesis)}, got none"
            raise InputError(msg)
    said = [" ".join(tokens) for tokens in hypotheses]
    lines = [[" ".join(tokens) for tokens in its_references] for its_references in references]
    if average == "corpus":
        score = _CHRF.corpus_score(said, list(zip_longest(*lines))).score
    else:
        pairs = zip(said, lines, strict=True)
        score = np.mean([_CHRF.sentence_score(line, wanted).score for line, wanted in pairs])
    return ChrfScore(
        score=float(score) / 100,
        signature=f"chrF{_BETA}|letters:1-{_ORDERS}|words:0|blanks:no|average:{average}|{versions()}",
    )


def chrf_pair_scores(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> Float[np.ndarray, "hypotheses references"]:
    """chrF2 in [0, 1] of every hypothesis against every single reference.

    Entry (i, j) equals `chrf([hypotheses[i]], [[references[j]]]).score`. Raises TypeError for a
    `str` in place of a token list.
    """
    refuse_strings([hypotheses, references, *hypotheses, *references])
    ours, theirs = ([_letters(each) for each in lists] for lists in (hypotheses, references))
    said, wanted = (np.array([len(each) for each in lists]) for lists in (ours, theirs))
    scores = np.empty((len(ours), len(theirs)))
    for rows, matches in matches_by_order(ours, theirs, _ORDERS):
        precision, recall = np.zeros_like(matches[0]), np.zeros_like(matches[0])
        for order, matched in enumerate(matches):  # without a match of an order, add nothing
            precision += matched / np.maximum(1, said[rows, None] - order)
            recall += matched / np.maximum(1, wanted - order)
        # Both means are over the orders that both sides have: as many as the shorter has letters.
        orders = np.minimum(np.minimum(said[rows, None], wanted), _ORDERS)
        weighed = (_BETA**2 * precision + recall) * np.maximum(1, orders)
        top = (1 + _BETA**2) * precision * recall
        scores[rows] = np.divide(top, weighed, out=np.zeros_like(top), where=weighed > 0)
    return scores


def _letters(tokens: Sequence[str]) -> list[str]:
    return list("".join(" ".join(tokens).split()))
