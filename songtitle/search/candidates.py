"""Candidates: what a search's step gives, the best tokens of it, and hypotheses."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit
from torch import Tensor

from songtitle.config import SearchConfig
from songtitle.errors import InputError
from songtitle.shapes import State

ANSWERING = {"cpu"}  # devices to ask whether there is work; others would wait to tell
BLOCK = 128  # scores whose maximum is taken first: most blocks hold nothing that can win
COLUMNS = 8192  # of a product taken in parts: some MB with a few hundred rows
ROWS_FOR_PARTS = 128  # with fewer rows, narrow products are slower than one wide one
ROWS_PER_THREAD = 4  # below that, starting a thread costs more than it saves


@dataclass(frozen=True)
class Product:
    """Logits that are not computed yet: `hidden @ weight.T + bias`, one row for each hypothesis.

    A step may return this in place of logits; search computes them in the way that is fastest.
    """

    hidden: Float[Tensor, "group dim"]
    weight: Float[Tensor, "vocab dim"]
    bias: Float[Tensor, " vocab"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and vocabulary of the logits."""
        return len(self.hidden), len(self.weight)

    def whole(self) -> Float[Tensor, "group vocab"]:
        """The logits."""
        return torch.addmm(self.bias, self.hidden, self.weight.T)

    def columns(self, first: int, end: int, *, out: Tensor) -> Float[Tensor, "group columns"]:
        """The logits of the ids from `first` to before `end`, written to `out`."""
        return torch.addmm(self.bias[first:end], self.hidden, self.weight[first:end].T, out=out)


# what a step returns: log-probabilities in nats, or logits (as numbers or as a product), and state
Step = Callable[[Int[Tensor, " group"], State], tuple[Tensor | Product, State]]


class Hypotheses(NamedTuple):
    """What a search found, best first, without `<bos>`.

    A place for which there was no hypothesis (fewer were possible than `beam_size`, or a setting
    left some out) holds `<eos>` alone and the log-probability minus infinity.
    """

    tokens: Int[Tensor, "batch beams steps"]  # steps = max_steps; padded with eos_id
    log_probs: Float[Tensor, "batch beams"]  # summed, nats, never length-penalised

    def lengths(self, eos_id: int) -> Int[Tensor, "batch beams"]:
        """Tokens of each hypothesis, `<eos>` included where the search reached it."""
        words = (self.tokens != eos_id).sum(-1)
        return (words + 1).clamp(max=self.tokens.shape[-1])


def best_tokens(
    scores: Float[Tensor, "rows vocab"] | Product,
    width: int,
    banned: Int[Tensor, "rows bans"],
    *,
    logits: bool,
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """Find the log-probabilities and ids of the `width` likeliest tokens that are not banned.

    The best comes first, of equals the smaller id. `scores` are log-probabilities or, with
    `logits`, scores from which each row's log-sum-exp is still to be taken: it is taken from the
    few that win. `banned` holds ids, or -1 for none; they keep their share of the probability. Of
    a row with NaN or plus infinity, all is NaN.
    """
    # Each banned id can take one place among the best, no more.
    wanted = min(width + banned.shape[-1], scores.shape[-1])
    if isinstance(scores, Product):
        if not logits:
            msg = "search: expected log-probabilities from the step, got a product; pass "
            raise InputError(msg + "logits=True")
        if not _compiled_reads(scores.hidden):
            scores = scores.whole()
    if isinstance(scores, Tensor):  # a sum over the vocabulary wants more than bfloat16
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if isinstance(scores, Product) or _compiled_reads(scores):
        values, ids, total = row_top(scores, wanted)
    else:
        values, ids, total = *_top(scores, wanted), scores.logsumexp(dim=-1)
    values = values - total[:, None] if logits else values
    spoilt = values[:, 0].isnan() | total.isnan()
    if banned.shape[-1]:
        values = values.masked_fill((ids[..., None] == banned[:, None]).any(-1), -torch.inf)
        order = values.argsort(dim=-1, descending=True, stable=True)
        values, ids = values.gather(1, order), ids.gather(1, order)
    return values[:, :width].masked_fill(spoilt[:, None], torch.nan), ids[:, :width]


def banned_tokens(
    history: Int[Tensor, "rows steps"], *, eos_id: int, never: Sequence[int], config: SearchConfig
) -> Int[Tensor, "rows bans"]:
    """List what may not come after each row's tokens so far: ids, -1 where a place bans nothing."""
    (rows, length), size = history.shape, config.no_repeat_ngram
    fixed = [*never, *([eos_id] if length < config.min_length else [])]
    always = history.new_tensor(fixed, dtype=torch.long).expand(rows, -1)
    if not size or length < size:
        return always
    grams = history.unfold(1, size, 1)  # every n-gram of the row
    begun = history[:, None, length - size + 1 :]  # the one that the next token ends
    said = (grams[..., :-1] == begun).all(-1)
    return torch.cat([always, grams[..., -1].where(said, -1)], dim=1)


def _compiled_reads(scores: Tensor) -> bool:
    return scores.device.type == "cpu" and scores.dtype == torch.float32


def _top(
    scores: Float[Tensor, "rows vocab"], width: int
) -> tuple[Float[Tensor, "rows kept"], Int[Tensor, "rows kept"]]:
    """The `width` highest of each row, highest first, of equals the smaller id first.

    `topk` does not say which of equal values it takes. A stable sort settles that within its
    choice; where there is a tie across the edge of the choice, the smallest ids of those that equal
    its lowest are taken. A CPU looks whether there is one, which is rare; of a GPU, which would
    first have to finish what is queued, nothing is asked.
    """
    values, ids = scores.topk(min(width + 1, scores.shape[-1]), dim=-1)
    lowest, after = values[:, width - 1 : width], values[:, width:]
    ids = ids[:, :width]
    tied = (lowest == after) & lowest.isfinite()
    if scores.device.type not in ANSWERING or tied.any():
        smaller = torch.arange(scores.shape[-1], 0, -1, device=scores.device, dtype=torch.float32)
        equal = smaller.where(scores == lowest, 0).topk(width, dim=-1).indices
        above = (values[:, :width] > lowest).sum(-1, keepdim=True)
        place = torch.arange(width, device=scores.device) - above
        ids = ids.where(place < 0, equal.gather(1, place.clamp(min=0)))
    ids = ids.sort(dim=-1).values
    ids = ids.gather(1, scores.gather(1, ids).argsort(dim=-1, descending=True, stable=True))
    return scores.gather(1, ids), ids


def row_top(scores: Tensor | Product, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the `width` highest of each row, of equals the smaller id first, and the log-sum-exp.

    Gives values and ids `(rows, kept)`, highest first, and totals `(rows)`, NaN for a row with NaN
    or plus infinity. `scores (rows, vocab)` are float32 on the CPU. A `Product` is taken in parts
    that are read at once, while they are in the processor's cache; `topk` and `logsumexp` would
    write and read all of it several times.
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
    slices = [slice(rows * i // threads, rows * (i + 1) // threads) for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for first, part in _parts(scores):
            matrix = part.detach().numpy()

            def work(own: slice, first: int = first, matrix: np.ndarray = matrix) -> None:
                _absorb(matrix[own], first, values[own], ids[own], peaks[own], totals[own])

            # One slice needs no thread beside this one.
            list((pool.map if threads > 1 else map)(work, slices))
    with np.errstate(divide="ignore"):
        sums = (peaks + np.log(totals)).astype(np.float32)
    return torch.from_numpy(values), torch.from_numpy(ids), torch.from_numpy(sums)


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
                    if block[j] > best[-1]:  # takes its place behind its equals; the last goes
                        k = len(best) - 1
                        while k > 0 and best[k - 1] < block[j]:
                            best[k], places[k] = best[k - 1], places[k - 1]
                            k -= 1
                        best[k], places[k] = block[j], first + start + j
        peaks[r], totals[r] = peak, total
