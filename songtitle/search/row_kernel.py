"""One pass over rows of scores: log-sum-exp and the highest few, compiled for CPUs.

Imported only where it is used: numba takes a second to import, and its first call compiles (the
result is kept beside this file, or in the reader's cache folder).
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

from songtitle.search.hypotheses import Product

BLOCK = 128  # scores whose maximum is taken first: most blocks hold nothing that can win
COLUMNS = 8192  # of a product taken in parts: some MB with a few hundred rows
ROWS_FOR_PARTS = 128  # with fewer rows, narrow products are slower than one wide one
ROWS_PER_THREAD = 4  # below that, starting a thread costs more than it saves


class RowTop(NamedTuple):
    """What is known of each row of scores."""

    values: Float[Tensor, "rows kept"]  # highest first
    ids: Int[Tensor, "rows kept"]
    total: Float[Tensor, " rows"]  # log-sum-exp


def row_top(scores: Tensor | Product, width: int) -> RowTop:
    """The `width` highest of each row, of equals the smaller id first, and the log-sum-exp.

    `scores (rows, vocab)` are float32 on the CPU. A row with NaN or plus infinity has NaN for its
    log-sum-exp. A `Product` is taken in parts that stay in the processor's cache and are read there
    at once: nothing as wide as the vocabulary is written to memory.
    """
    rows, vocab = scores.shape
    kept = min(width, vocab)
    values = np.full((rows, kept), -np.inf, np.float32)
    ids = np.tile(np.arange(kept), (rows, 1))  # what stands where nothing is above minus infinity
    peaks, totals = np.full(rows, -np.inf, np.float32), np.zeros(rows)
    # As many threads as torch uses, on slices of the rows: numba's own pools either clash with
    # torch's or must not be entered twice at a time. A pool of its own for every call follows
    # torch's number and survives a fork.
    threads = max(1, min(torch.get_num_threads(), rows // ROWS_PER_THREAD))
    cuts = [rows * thread // threads for thread in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for first, part in _parts(scores):
            matrix = part.detach().numpy()

            def work(thread: int, first: int = first, matrix: np.ndarray = matrix) -> None:
                own = slice(cuts[thread], cuts[thread + 1])
                _absorb(matrix[own], first, values[own], ids[own], peaks[own], totals[own])

            others = [pool.submit(work, thread) for thread in range(1, threads)]
            work(0)
            for other in others:
                other.result()
    with np.errstate(divide="ignore"):
        sums = peaks + np.log(totals)
    return RowTop(*map(torch.from_numpy, (values, ids, sums.astype(np.float32))))


def _parts(scores: Tensor | Product) -> Iterator[tuple[int, Tensor]]:
    """Contiguous columns of the scores with the first one's id, each gone when the next comes."""
    if isinstance(scores, Tensor):
        yield 0, scores.contiguous()
    elif scores.shape[0] < ROWS_FOR_PARTS:
        yield 0, scores.whole()
    else:
        rows, vocab = scores.shape
        buffer = scores.hidden.new_empty(rows * COLUMNS)
        for first in range(0, vocab, COLUMNS):
            part = buffer[: rows * min(COLUMNS, vocab - first)].view(rows, -1)
            yield first, scores.columns(first, first + part.shape[1], out=part)


# The functions below are compiled; `no_type_check` keeps run-time type checkers out of them.
# Sums may be taken in any order (that is what lets them be vectorised); NaN and infinity keep
# their meaning, except in `_peak`, whose result is not used where a row holds NaN.


@njit(inline="always")
@no_type_check
def _exp(x):
    """exp(x) of a float32 at most 0, to 2e-7; 0 below -87, NaN of NaN.

    2**n times the Taylor series of exp on [-ln(2)/2, ln(2)/2], without a branch or a call.
    """
    n = x * np.float32(1 / math.log(2)) - np.float32(0.5)
    n = np.int32(n if n > np.float32(-126) else np.float32(-126))
    r = x - np.float32(n) * np.float32(math.log(2))
    series = np.float32(1 / 5040)
    series = series * r + np.float32(1 / 720)
    series = series * r + np.float32(1 / 120)
    series = series * r + np.float32(1 / 24)
    series = series * r + np.float32(1 / 6)
    series = series * r + np.float32(1 / 2)
    series = series * r + np.float32(1)
    series = series * r + np.float32(1)
    power = np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(0) if x < np.float32(-87) else series * power


@njit(nogil=True, cache=True, fastmath={"nnan", "nsz", "reassoc"})
@no_type_check
def _peak(values):
    """The highest value."""
    peak = np.float32(-np.inf)
    for j in range(len(values)):
        peak = max(peak, values[j])
    return peak


@njit(nogil=True, cache=True, fastmath={"contract", "nsz", "reassoc"})
@no_type_check
def _exp_sum(values, peak):
    """The sum of exp(value - peak)."""
    total = np.float32(0)
    for j in range(len(values)):
        total += _exp(values[j] - peak)
    return total


@njit(nogil=True, cache=True)
@no_type_check
def _insert(values, ids, value, place):
    """Put a value into a list in falling order, behind its equals; the last one falls out."""
    j = len(values) - 1
    while j > 0 and values[j - 1] < value:
        values[j] = values[j - 1]
        ids[j] = ids[j - 1]
        j -= 1
    values[j] = value
    ids[j] = place


@njit(nogil=True, cache=True)
@no_type_check
def _absorb(scores, first, values, ids, peaks, totals):
    """Take `scores (rows, columns)`, those from id `first` on, into what is known of each row.

    `values` and `ids (rows, kept)`, the peak so far, and the sum of exp(score - peak).
    """
    columns = scores.shape[1]
    for r in range(len(scores)):
        row, best, places = scores[r], values[r], ids[r]
        peak, total = peaks[r], totals[r]
        for start in range(0, columns, BLOCK):
            block = row[start : start + BLOCK]
            highest = _peak(block)
            if highest > peak:
                total *= math.exp(peak - highest)
                peak = highest
            # Nothing but minus infinity so far: exp of it is 0 whatever is subtracted.
            total += _exp_sum(block, peak if peak > -np.inf else np.float32(0))
            if highest > best[-1]:
                for j in range(len(block)):
                    if block[j] > best[-1]:
                        _insert(best, places, block[j], first + start + j)
        peaks[r], totals[r] = peak, total
