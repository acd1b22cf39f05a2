"""One pass over rows of scores: log-sum-exp and the highest few, compiled for CPUs.

Imported only where it is used: numba takes a second to import, and its first call compiles (the
result is kept beside this file, or in the reader's cache folder).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

BLOCK = 128  # scores whose maximum is known: all but `width` blocks need no second look
ROWS_PER_THREAD = 4  # below that, starting a thread costs more than it saves


def row_top(
    scores: Float[Tensor, "rows vocab"], width: int
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"], Float[Tensor, " rows"]]:
    """The `width` highest of each row, of equals the smaller id first, and the log-sum-exp.

    `scores` are float32 on the CPU. A row with NaN or plus infinity has NaN for its log-sum-exp.
    As many threads as torch uses, on slices of the rows: numba's own pools either clash with
    torch's or must not be entered twice at a time.
    """
    rows, vocab = scores.shape
    kept = min(width, vocab)
    values, ids = np.empty((rows, kept), np.float32), np.empty((rows, kept), np.int64)
    totals = np.empty(rows, np.float32)
    matrix = scores.detach().contiguous().numpy()
    threads = max(1, min(torch.get_num_threads(), rows // ROWS_PER_THREAD))
    cuts = [rows * thread // threads for thread in range(threads + 1)]

    def work(thread: int) -> None:
        part = slice(cuts[thread], cuts[thread + 1])
        _row_top(matrix[part], values[part], ids[part], totals[part])

    if threads == 1:
        work(0)
    else:
        # A pool of its own for every call: it follows torch's number and survives a fork.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    return torch.from_numpy(values), torch.from_numpy(ids), torch.from_numpy(totals)


# The functions below are compiled; `no_type_check` keeps run-time type checkers out of them.
# Sums may be taken in any order (that is what lets them be vectorised); NaN and infinity keep
# their meaning, except in `_peak`, whose result is not used where a row holds NaN.


@njit(inline="always")
@no_type_check
def _exp(x):  # noqa: ANN
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
    if not value > values[j]:
        return
    while j > 0 and values[j - 1] < value:
        values[j] = values[j - 1]
        ids[j] = ids[j - 1]
        j -= 1
    values[j] = value
    ids[j] = place


@njit(nogil=True, cache=True)
@no_type_check
def _row_top(scores, values, ids, totals):
    """Fill `values` and `ids (rows, width)` and `totals (rows)` from `scores (rows, vocab)`."""
    vocab, width = scores.shape[1], values.shape[1]
    blocks = (vocab + BLOCK - 1) // BLOCK
    peaks = np.empty(blocks, np.float32)
    for r in range(len(scores)):
        row, best, places = scores[r], values[r], ids[r]
        for b in range(blocks):
            peaks[b] = _peak(row[b * BLOCK : (b + 1) * BLOCK])
        peak = _peak(peaks)
        total = 0.0
        for b in range(blocks):
            total += _exp_sum(row[b * BLOCK : (b + 1) * BLOCK], peak)
        totals[r] = peak + math.log(total)

        best[:] = -np.inf
        for j in range(width):
            places[j] = j  # what stands there if nothing is above minus infinity
        # The `width` highest peaks are scores, so no score below the last of them can win.
        for b in range(blocks):
            _insert(best, places, peaks[b], 0)
        bound = best[width - 1]
        best[:] = -np.inf
        for j in range(width):
            places[j] = j
        for b in range(blocks):
            if peaks[b] >= bound:
                for i in range(b * BLOCK, min(vocab, (b + 1) * BLOCK)):
                    if row[i] >= bound:
                        _insert(best, places, row[i], i)
