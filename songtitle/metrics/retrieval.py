"""Retrieval: where a song's own title ranks among all titles, by the model's likelihood.

Nothing is said, so neither the length of what a search says nor its tokens enter: the model only
weighs the titles there are. Short and common titles are likelier for every song; that moves ranks,
not chance, and `prior_free` takes it away.

    retrieval(log_likelihoods, k=10).mrr                   # and mrr_chance, recall, ranks, ...
    retrieval(prior_free(log_likelihoods))                 # by log p(song | title)
    reciprocal_ranks(log_likelihoods)                      # of all pairs; mean of diagonal: the MRR
    recalls(log_likelihoods, k=10)                         # of all pairs
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from songtitle.errors import InputError


@dataclass(frozen=True)
class Retrieval:
    """How high the songs' own titles rank, beside what chance reaches exactly."""

    mrr: float  # mean reciprocal rank, (0, 1]
    mrr_chance: float  # (1 + 1/2 + ... + 1/titles) / titles
    recall: float  # share of songs whose own title is among the first k
    recall_chance: float  # k / titles
    k: int
    # 1 is best; the middle of its block where titles tie
    ranks: Float[np.ndarray, " songs"] = field(repr=False, compare=False)


def retrieval(log_likelihoods: Float[np.ndarray, "songs titles"], *, k: int = 10) -> Retrieval:
    """Mean reciprocal rank and recall at k of the own titles, which lie on the diagonal.

    Entry (i, j) is what song i gives title j; the title with the highest ranks first. Among ties
    every order is equally likely: the figures are expectations over them; equal titles tie. Chance
    is exact whatever titles the model prefers: under a random pairing of songs and titles a song's
    title is each of them, and so holds each rank, with the same probability. Raises InputError
    where there is not one title for each song, or an entry is no number.
    """
    n = len(_checked(log_likelihoods))
    above, tied = _blocks(log_likelihoods)
    own = np.diagonal(above), np.diagonal(tied)
    return Retrieval(
        mrr=float(_expected_reciprocals(*own).mean()),
        mrr_chance=float(_harmonics(n)[n] / n),
        recall=float(_expected_hits(*own, k=_checked_k(k)).mean()),
        recall_chance=min(k, n) / n,
        k=k,
        ranks=own[0] + (own[1] + 1) / 2,
    )


def reciprocal_ranks(
    log_likelihoods: Float[np.ndarray, "songs titles"],
) -> Float[np.ndarray, "songs titles"]:
    """The expected 1 / rank of every title for every song, in (0, 1].

    The mean of the diagonal is `retrieval(...).mrr`, so that `controls.against_chance` gives its
    interval and its p (its chance is of wrong titles alone, a little lower than `mrr_chance` where
    own titles rank high). Each row sums to 1 + 1/2 + ... + 1/titles.
    """
    return _expected_reciprocals(*_blocks(_checked(log_likelihoods)))


def recalls(
    log_likelihoods: Float[np.ndarray, "songs titles"], *, k: int = 10
) -> Float[np.ndarray, "songs titles"]:
    """The probability, over the orders of ties, that a title is among a song's first k.

    The mean of the diagonal is `retrieval(...).recall`. Each row sums to k.
    """
    return _expected_hits(*_blocks(_checked(log_likelihoods)), k=_checked_k(k))


def prior_free(
    log_likelihoods: Float[np.ndarray, "songs titles"],
) -> Float[np.ndarray, "songs titles"]:
    """log p(song | title) in nats, with every song equally likely beforehand.

    By Bayes' rule `log p(title | song) - log sum over songs of p(title | song)`: up to the constant
    log(songs) the pointwise mutual information of song and title. A title that is likely for every
    song, being short or made of common words, loses its lead: one of the same likelihood for
    all songs gets -log(songs) from each. A title that is impossible for all stays so.
    """
    values = _checked(log_likelihoods)
    total = logsumexp(values, axis=0)
    return values - np.where(np.isfinite(total), total, 0.0)


def _blocks(
    values: Float[np.ndarray, "songs titles"],
) -> tuple[np.ndarray, np.ndarray]:
    """How many of a song's titles lie above each title, and how many tie with it, itself too."""
    above = np.empty(values.shape, dtype=int)
    tied = np.empty(values.shape, dtype=int)
    for row, scores in enumerate(values):
        ordered = np.sort(scores)
        last = np.searchsorted(ordered, scores, side="right")
        above[row] = len(scores) - last
        tied[row] = last - np.searchsorted(ordered, scores, side="left")
    return above, tied


def _expected_reciprocals(above: np.ndarray, tied: np.ndarray) -> np.ndarray:
    harmonics = _harmonics(int((above + tied).max()))
    return (harmonics[above + tied] - harmonics[above]) / tied


def _expected_hits(above: np.ndarray, tied: np.ndarray, *, k: int) -> np.ndarray:
    return np.clip(k - above, 0, tied) / tied


def _harmonics(n: int) -> np.ndarray:
    """H_0 to H_n: sums of 1 / rank."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])


def _checked(values: np.ndarray) -> np.ndarray:
    if values.ndim != 2 or len(values) != values.shape[-1] or not len(values):
        msg = (
            "log_likelihoods: expected one title for each of at least one song, its own in the "
            f"same place, got an array of shape {values.shape}"
        )
        raise InputError(msg)
    if np.isnan(values).any():
        song, title = np.argwhere(np.isnan(values))[0]
        msg = f"log_likelihoods: expected numbers, got NaN for song {song} and title {title}"
        raise InputError(msg)
    return np.asarray(values, dtype=float)


def _checked_k(k: int) -> int:
    if k < 1:
        msg = f"k: expected at least 1, got {k}"
        raise InputError(msg)
    return k
