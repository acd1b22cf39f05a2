"""Retrieval: where a song's own title ranks among all titles, by the model's likelihood.

Nothing is said, so neither the length of what a search says nor its tokens enter: the model only
weighs the titles there are. Short and common titles are likelier for every song; that moves ranks,
not chance, and `prior_free` takes it away.

    reciprocal_ranks(log_likelihoods)                      # of all pairs; mean of diagonal: the MRR
    recalls(log_likelihoods, k=10)                         # of all pairs
    reciprocal_ranks(prior_free(log_likelihoods))          # by log p(song | title)

Entry (i, j) of `log_likelihoods` is what song i gives title j, its own on the diagonal; the title
with the highest ranks first. Among ties every order is equally likely: the figures are expectations
over them; equal titles tie. `chance.against_chance` gives any of them its chance, interval and p.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import rankdata

from songtitle.errors import InputError


def reciprocal_ranks(
    log_likelihoods: Float[np.ndarray, "songs titles"],
) -> Float[np.ndarray, "songs titles"]:
    """The expected 1 / rank of every title for every song, in (0, 1].

    The mean of the diagonal is the mean reciprocal rank of the own titles. Each row sums to
    1 + 1/2 + ... + 1/titles, so that under a random pairing, whatever titles the model prefers, a
    song's title has the mean of these: a song's title holds each rank with the same probability.
    Raises InputError where there is not one title for each song, or an entry is no number.
    """
    above, tied = _blocks(_checked(log_likelihoods))
    harmonics = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int((above + tied).max()) + 1))])
    return (harmonics[above + tied] - harmonics[above]) / tied


def recalls(
    log_likelihoods: Float[np.ndarray, "songs titles"], *, k: int = 10
) -> Float[np.ndarray, "songs titles"]:
    """The probability, over the orders of ties, that a title is among a song's first k.

    The mean of the diagonal is the recall at k. Each row sums to k, so that chance is k / titles.
    Raises as `reciprocal_ranks` does, and for a k below 1.
    """
    above, tied = _blocks(_checked(log_likelihoods))
    if k < 1:
        msg = f"k: expected at least 1, got {k}"
        raise InputError(msg)
    return np.clip(k - above, 0, tied) / tied


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


def _blocks(values: Float[np.ndarray, "songs titles"]) -> tuple[np.ndarray, np.ndarray]:
    """How many of a song's titles lie above each title, and how many tie with it, itself too."""
    above = rankdata(-values, "min", axis=1).astype(int) - 1
    return above, rankdata(-values, "max", axis=1).astype(int) - above


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
