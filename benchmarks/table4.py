"""Table 4's searches over 51,201 words beside the bare products of the output layer."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.beam import BOS, EOS, QUICK, Case, random_decoder
from benchmarks.harness import Row, named
from benchmarks.repeats import medians, ratio, repeated
from songtitle.config import SearchConfig
from songtitle.model.captioner import Searcher
from songtitle.model.decoder import LSTMDecoder

BEAMS = (1, 3, 5, 10, 20)  # of the paper's Table 4
PICTURES, TILES, SONGS = 1_000, 85, 2_000  # a picture whole, in 4, in 16 and in 64: 85 inputs
INPUTS = PICTURES * TILES + SONGS


def rows(quick: bool = False) -> list[Row]:
    """Time beside the products at each of the five beams, and the hours of the whole table."""
    case = QUICK if quick else Case(pictures=16)
    decoder = random_decoder(case)
    _search(decoder, replace(case, steps=2), 1)()  # compiles what is compiled at first use
    ways = {}
    for k in BEAMS:
        ways |= {
            f"ours, k = {k}": _search(decoder, case, k),
            f"products, k = {k}": _products(case, k),
        }
    times = repeated(ways, rounds=2, warm=0)
    seconds = {name: [each / case.pictures for each in found] for name, found in times.items()}
    rows = []
    for k in BEAMS:
        ours, products = seconds[f"ours, k = {k}"], seconds[f"products, k = {k}"]
        value, spread = ratio(ours, products)
        rows.append(
            Row(
                what=f"beam search, k = {k}",
                quantity="time of ours / time of the output layer's products",
                value=value,
                peer=named("torch"),
                seconds=medians({"ours": ours, "products": products}),
                note=f"{spread}; seconds are per example, of {case.steps} steps",
            )
        )
    found = medians(seconds)
    for who in ("ours", "products"):
        each = {f"k = {k}": found[f"{who}, k = {k}"] for k in BEAMS}
        rows.append(
            Row(
                what="Table 4 whole, a forecast",
                quantity=f"hours of {who} on this machine",
                value=INPUTS * sum(each.values()) / 3600,
                seconds=each,
                note=f"({PICTURES:,} pictures x {TILES} + {SONGS:,} songs) x the sum over k of "
                "seconds per example / 3,600; titles that end sooner cost less",
            )
        )
    return rows


def _search(decoder: LSTMDecoder, case: Case, k: int) -> Callable[[], object]:
    searcher, memory = Searcher(decoder), _memory(case)
    config = SearchConfig(beam_size=k, max_steps=case.steps)
    return lambda: searcher.search(memory, bos_id=BOS, eos_id=EOS, config=config)


def _products(case: Case, k: int) -> Callable[[], None]:
    """Of every step with k hypotheses an example, one in the first."""
    hidden = _memory(case)[:, 0].repeat_interleave(k, dim=0)
    weight, bias = torch.randn(case.vocab, case.dim), torch.randn(case.vocab)
    logits = torch.empty(len(hidden), case.vocab)

    def way() -> None:
        for step in range(case.steps):
            part = slice(0, case.pictures if step == 0 else None)
            torch.addmm(bias, hidden[part], weight.T, out=logits[part])

    return way


def _memory(case: Case) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(case.pictures, 1, case.dim, generator=generator)
