"""Matrices of all pairs, the own ones on the diagonal: scores of words, ranks of likelihoods.

    pair_scores([["blue"], ["sky"]], [["sky"], ["o"]], DEFINITIONS["bleu1"])  # [[0, 0], [1, 0]]
    unigram_pair_scores([["blue"]], [["moon"]], brevity=False)                      # [[0]]

Where a search left several hypotheses, `found[i] == [[words, log_prob], ...]`:

    chosen(found, "normalised")                                               # token lists
    chosen_pair_scores(found, references, DEFINITIONS["bleu1"], "best")       # (items, references)

In retrieval nothing is said: entry (i, j) of `log_likelihoods` is what song i gives title j. Among
ties every order is equally likely: the figures are expectations over them. Short and common titles
are likelier for every song; that moves ranks, not chance, and `prior_free` takes it away.

    reciprocal_ranks(log_likelihoods)                      # mean of the diagonal: the MRR
    recalls(log_likelihoods, k=10)
    reciprocal_ranks(prior_free(log_likelihoods))          # by log p(song | title)
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.sparse import csr_array
from scipy.special import logsumexp
from scipy.stats import rankdata

from songtitle.errors import InputError, expect
from songtitle.metrics.bleu import (
    DEFINITIONS,
    Definition,
    Lists,
    Unit,
    bleu_of_counts,
    ngrams,
    numbered,
    refuse_corpus,
    refuse_strings,
    units_of,
)

_ROWS = 64  # hypotheses at a time: nothing else grows as large as the result
CHOICES = ("top", "normalised", "mean", "best")
LENGTHS = (*range(1, 11), 15)  # words kept of a caption, beside the whole

# Per item, its hypotheses, each [words, summed log-probability in nats], as the search leaves them
Found = Sequence[Sequence[Sequence[Any]]]
PairScores = Float[np.ndarray, "hypotheses references"]
Likelihoods = Float[np.ndarray, "songs titles"]  # log-probabilities in nats


def pair_scores(hypotheses: Lists, references: Lists, definition: Definition) -> PairScores:
    """The score in [0, 1] of every hypothesis against every single reference.

    Entry (i, j) equals `score([hypotheses[i]], [[references[j]]], definition).score`; a million
    take a second. Raises TypeError for a `str` in place of a token list, InputError for a
    definition whose score is of the corpus alone.
    """
    refuse_corpus(definition)
    refuse_strings([hypotheses, references])
    sides = [
        [units_of(each, definition.tokens) for each in side] for side in (hypotheses, references)
    ]
    factors = []  # by order: (hypotheses, numbered n-grams) and (numbered n-grams, references)
    for order in range(1, 1 + len(definition.weights)):
        ids: dict[Hashable, int] = {}
        held = [_encoded(side, order, ids) for side in sides]
        ours, theirs = (
            csr_array((np.ones(len(flat)), flat, bounds), shape=(len(bounds) - 1, len(ids)))
            for flat, bounds in held
        )
        factors.append((ours, theirs.T.tocsr()))
    said, wanted = (np.array([len(each) for each in side], dtype=int) for side in sides)
    scores = np.empty((len(said), len(wanted)))
    for start in range(0, len(said), _ROWS):
        rows = slice(start, start + _ROWS)
        matches = np.stack([(ours[rows] @ theirs).toarray() for ours, theirs in factors], -1)
        scores[rows] = bleu_of_counts(definition, matches, said[rows, None], wanted[None])
    return scores


def best_dealing(pair_scores: PairScores) -> float:
    """Give the highest mean score that the hypotheses reach however they are dealt out, each to one
    reference: the ceiling of their pairing.

    Hypotheses that are all alike reach what chance gives and no more. Source: Kuhn 1955.
    """
    from scipy.optimize import linear_sum_assignment  # half a second to load

    dealt = linear_sum_assignment(pair_scores, maximize=True)
    return float(pair_scores[dealt].mean())


def unigram_pair_scores(
    hypotheses: Lists, references: Lists, *, brevity: bool = True
) -> PairScores:
    """`pair_scores` by BLEU-1 on words, or without `brevity` by plain precision."""
    return pair_scores(hypotheses, references, DEFINITIONS["bleu1" if brevity else "precision"])


def chosen(found: Found, choice: str) -> list[list[str]]:
    """The one hypothesis of each item that is scored by "top" or "normalised"; of equals the first.

    They have the highest summed log-probability, or the highest by token, of which n words and
    `<eos>` have n + 1. (One cut off at the longest length allowed has no `<eos>`, which its words
    do not show.) Raises InputError for another choice or an item without hypotheses.
    """
    _check_found(found, choice)
    expect(
        choice in ("top", "normalised"),
        f"choice: expected top or normalised to choose one hypothesis, got {choice!r}",
    )

    def worth(hypothesis: Sequence[Any]) -> float:
        words, log_prob = hypothesis
        return float(log_prob) / (len(words) + 1 if choice == "normalised" else 1)

    return [max(hypotheses, key=worth)[0] for hypotheses in found]


def chosen_pair_scores(
    found: Found, references: Lists, definition: Definition, choice: str
) -> PairScores:
    """`pair_scores` of every item, by its chosen hypothesis, against every reference.

    "top" and "normalised" score what `chosen` picks; "mean" is the mean score of all hypotheses of
    an item; "best" is the highest of them, looked up for each reference anew, so that chance rises
    along with the score. Raises TypeError for a `str` in place of a token list, InputError for an
    unknown choice.
    """
    _check_found(found, choice)
    if choice in ("top", "normalised"):
        return pair_scores(chosen(found, choice), references, definition)
    total = pair_scores([hypotheses[0][0] for hypotheses in found], references, definition)
    for rank in range(1, max(map(len, found), default=0)):
        # Some items have fewer hypotheses: a search may run out of sentences that can end.
        there = [item for item, hypotheses in enumerate(found) if len(hypotheses) > rank]
        more = pair_scores([found[item][rank][0] for item in there], references, definition)
        total[there] = np.maximum(total[there], more) if choice == "best" else total[there] + more
    if choice == "mean":
        total /= np.array([len(hypotheses) for hypotheses in found], dtype=float)[:, None]
    return total


def _check_found(found: Found, choice: str) -> None:
    known = ", ".join(CHOICES)
    expect(choice in CHOICES, f"choice: expected one of {known}, got {choice!r}")
    refuse_strings([found, *found])
    for item, hypotheses in enumerate(found):
        refuse_strings(words for words, _ in hypotheses)
        expect(
            hypotheses,
            f"found: expected at least one hypothesis of each item, got none of item {item}",
        )


# -- beginnings of captions


@dataclass(frozen=True)
class Beginnings:
    """Pairs of a hypothesis and a reference, in one reading: words or letters, up to an order."""

    hypotheses: Lists  # words
    rows: Int[np.ndarray, " pairs"]  # which hypothesis
    unit: Unit
    running: list[Int[np.ndarray, " _"]]  # per order: matches before each n-gram of all pairs
    starts: list[Int[np.ndarray, " pairs"]]  # per order: where a pair's n-grams start
    wanted: Int[np.ndarray, " pairs"]  # tokens of the reference

    def counts(
        self, words: int | None = None
    ) -> tuple[Int[np.ndarray, "pairs orders"], Int[np.ndarray, " pairs"]]:
        """Of the first words of each hypothesis (None: of all): clipped matches, and tokens."""
        sizes = [len(units_of(text[:words], self.unit)) for text in self.hypotheses]
        said = np.array(sizes, dtype=np.int64)[self.rows]
        found = [
            running[start + np.maximum(said - order, 0)] - running[start]
            for order, (running, start) in enumerate(zip(self.running, self.starts, strict=True))
        ]
        return np.stack(found, axis=1), said


def pair_up(
    hypotheses: Lists,
    references: Lists,
    rows: Int[np.ndarray, " pairs"],
    columns: Int[np.ndarray, " pairs"],
    *,
    unit: Unit = "words",
    orders: int = 1,
) -> Beginnings:
    """Hypothesis `rows[i]` with the one reference `columns[i]`, both as word lists."""
    running, starts = [], []
    sides = [[units_of(text, unit) for text in side] for side in (hypotheses, references)]
    for order in range(1, orders + 1):
        ids: dict[Hashable, int] = {}
        encoded = [_encoded(side, order, ids) for side in sides]
        keys = []  # the n-grams of the paired texts, told apart by pair
        for (flat, bounds), picked in zip(encoded, (rows, columns), strict=True):
            sizes = np.diff(bounds)[picked]
            start = np.cumsum(sizes) - sizes
            places = np.arange(sizes.sum()) + np.repeat(bounds[picked] - start, sizes)
            keys.append(np.repeat(np.arange(len(picked)), sizes) * max(1, len(ids)) + flat[places])
            if len(keys) == 1:
                starts.append(start)
        hits = np.isin(keys[0], keys[1], assume_unique=True)
        running.append(np.concatenate([[0], np.cumsum(hits)]).astype(np.int64))
    wanted = np.array([len(text) for text in sides[1]], dtype=np.int64)
    return Beginnings(hypotheses, rows, unit, running, starts, wanted[columns])


def mean_bleu(
    definition: Definition,
    found: Num[np.ndarray, "*draws pairs orders"],
    said: Num[np.ndarray, "*draws pairs"],
    wanted: Num[np.ndarray, "*draws pairs"],
) -> Float[np.ndarray, "*draws"]:
    """BLEU of each draw of pairs: the mean of their scores, or of their counts, as defined."""
    if definition.average == "corpus":  # one text, as long as all of them
        found = found.sum(-2, keepdims=True)
        said, wanted = (sizes.sum(-1, keepdims=True) for sizes in (said, wanted))
    return np.asarray(bleu_of_counts(definition, found, said, wanted).mean(-1), dtype=float)


def _encoded(
    texts: Lists, order: int, ids: dict[Hashable, int]
) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " bounds"]]:
    """The numbered n-grams of all texts as ids, one after another, and where each text starts."""
    found = [
        [ids.setdefault(gram, len(ids)) for gram in numbered(ngrams(text, order))] for text in texts
    ]
    bounds = np.cumsum([0, *map(len, found)]).astype(np.int64)
    return np.array([id for text in found for id in text], dtype=np.int64), bounds


# -- retrieval


def reciprocal_ranks(log_likelihoods: Likelihoods) -> Float[np.ndarray, "songs titles"]:
    """The expected 1 / rank of every title for every song, in (0, 1].

    Each row sums to 1 + 1/2 + ... + 1/titles: under a random pairing, whatever titles the model
    prefers, a song's title holds each rank with the same probability. Raises InputError where there
    is not one title for each song, or an entry is no number.
    """
    above, tied = _blocks(log_likelihoods)
    harmonics = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int((above + tied).max()) + 1))])
    return (harmonics[above + tied] - harmonics[above]) / tied


def recalls(log_likelihoods: Likelihoods, *, k: int = 10) -> Float[np.ndarray, "songs titles"]:
    """The probability, over the orders of ties, that a title is among a song's first k.

    Each row sums to k, so that chance is k / titles. Raises as `reciprocal_ranks`, and for k below
    1.
    """
    above, tied = _blocks(log_likelihoods)
    expect(k >= 1, f"k: expected at least 1, got {k}")
    return np.clip(k - above, 0, tied) / tied


def prior_free(log_likelihoods: Likelihoods) -> Float[np.ndarray, "songs titles"]:
    """log p(song | title) in nats, with every song equally likely beforehand.

    By Bayes' rule `log p(title | song) - log sum over songs of p(title | song)`: up to log(songs)
    the pointwise mutual information. A title that is likely for every song loses its lead; one that
    is impossible for all stays so.
    """
    values = _checked(log_likelihoods)
    total = logsumexp(values, axis=0)
    return values - np.where(np.isfinite(total), total, 0.0)


def _blocks(log_likelihoods: Likelihoods) -> tuple[np.ndarray, np.ndarray]:
    """How many of a song's titles lie above each title, and how many tie with it, itself too."""
    values = _checked(log_likelihoods)
    above = rankdata(-values, "min", axis=1).astype(int) - 1
    return above, rankdata(-values, "max", axis=1).astype(int) - above


def _checked(values: np.ndarray) -> np.ndarray:
    expect(
        values.ndim == 2 and len(values) == values.shape[-1] and len(values),
        "log_likelihoods: expected one title for each of at least one song, its own in the same "
        f"place, got an array of shape {values.shape}",
    )
    for song, title in np.argwhere(np.isnan(values))[:1]:
        msg = f"log_likelihoods: expected numbers, got NaN for song {song} and title {title}"
        raise InputError(msg)
    return np.asarray(values, dtype=float)
