"""Training a decoder of 51,201 words beside its bare products and a dense Adam's traffic."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from benchmarks.harness import Row, named
from benchmarks.repeats import Times, medians, ratio, repeated
from songtitle.config import ModelConfig, TrainingConfig
from songtitle.corpora.batches import Batch
from songtitle.model.captioner import Captioner, build_captioner
from songtitle.training.checkpoints import Progress
from songtitle.training.loop import CaptionLoss, _Run

PAD, BOS, EOS = 0, 1, 2
GOAL = 0.7  # of the limit's examples per second


@dataclass(frozen=True, kw_only=True)
class Case:
    """The paper's decoder over pooled features of ResNet-152, and captions of equal length."""

    vocab: int = 51_201
    dim: int = 512
    features: int = 2048
    batch: int = 32
    steps: int = 11  # ten words and <eos>, about a caption of Conceptual Captions
    large: int = 256  # the other batch


QUICK = Case(vocab=499, dim=16, features=12, batch=4, steps=3, large=8)


def rows(quick: bool = False) -> list[Row]:
    """Share of the limit, what dense Adam takes of a step, and what other updates would give."""
    case = QUICK if quick else Case()
    torch.manual_seed(0)
    config = ModelConfig(dim=case.dim)
    model = build_captioner(config, features=case.features, vocab=case.vocab, pad_id=PAD)
    small, large = _batch(case, case.batch), _batch(case, case.large)
    parameters = sum(each.numel() for each in model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(
            model.train(),
            lambda epoch: [],
            TrainingConfig(),
            PAD,
            Path(folder),
            {},
            PartialState(),
            [],
        )
        run.resume()
        products, traffic = _products(case, case.batch), _traffic(parameters)
        wide = _products(case, case.large)
        ways = {
            "ours": lambda: _update(run, small),
            "products": products,
            "traffic": traffic,
            "Adam": run.adam.step,
            f"ours, batch {case.large}": lambda: _update(run, large),
            f"products, batch {case.large}": wide,
            **_other_updates(model, small),
        }
        times = repeated(ways, rounds=2 if quick else 3)
    return [*_shares(case, times, parameters), *_others(case, times)]


def _shares(case: Case, times: Times, parameters: int) -> list[Row]:
    """How near a step is to what it cannot do without, at both sizes of the batch."""
    rows = []
    for size, end in ((case.batch, ""), (case.large, f", batch {case.large}")):
        needed = zip(times[f"products{end}"], times["traffic"], strict=True)
        limit = [sum(pair) for pair in needed]
        value, spread = ratio(limit, times[f"ours{end}"])
        found = medians({"ours": times[f"ours{end}"], "limit": limit})
        rate = size / found["ours"]
        goal = "reached" if value >= GOAL else "missed"
        rows.append(
            Row(
                what=f"decoder training, |V| = {case.vocab:,}, batch {size}",
                quantity="examples per second / those of the limit",
                value=value,
                peer=named("torch"),
                seconds=found,
                note=f"{spread}; goal {GOAL}: {goal}; {rate:.3g} examples per second; the limit is "
                "the products forward and backward, and reading and writing what Adam must",
            )
        )
    part, spread = ratio(times["Adam"], times["ours"])
    over, other = ratio(times["Adam"], times["traffic"])
    return [
        *rows,
        Row(
            what=f"dense Adam, batch {case.batch}",
            quantity="its time / time of the step",
            value=part,
            seconds=medians({name: times[name] for name in ("Adam", "ours")}),
            note=f"{spread}; {parameters:,} parameters",
        ),
        Row(
            what="dense Adam",
            quantity="time / time to read and write as much",
            value=over,
            peer=named("torch"),
            seconds=medians({name: times[name] for name in ("Adam", "traffic")}),
            note=other,
        ),
    ]


def _others(case: Case, times: Times) -> list[Row]:
    """Time per example of other updates, and of a larger batch."""
    names = [name for name in times if name.startswith("with ")]
    plain = times[names[0]]
    rows = []
    for name in names[1:]:
        value, spread = ratio(times[name], plain)
        rows.append(
            Row(
                what=f"a step {name}, batch {case.batch}",
                quantity=f"time / time of one {names[0]}",
                value=value,
                seconds=medians({name: times[name], names[0]: plain}),
                note=spread,
            )
        )
    large = [each * case.batch / case.large for each in times[f"ours, batch {case.large}"]]
    value, spread = ratio(large, times["ours"])
    rows.append(
        Row(
            what=f"batch {case.large}",
            quantity=f"time per example / that of batch {case.batch}",
            value=value,
            seconds=medians({"ours, as many examples": large, "ours": times["ours"]}),
            note=f"{spread}; another batch is another training",
        )
    )
    return rows


def _batch(case: Case, size: int) -> Batch:
    tokens = torch.randint(EOS + 1, case.vocab, (size, case.steps + 1))
    tokens[:, 0], tokens[:, -1] = BOS, EOS
    lengths = torch.full((size,), case.steps + 1)
    return Batch(torch.rand(size, 1, case.features), tokens, lengths)


def _update(run: _Run, batch: Batch) -> None:
    """One update of `fit`, from a batch at hand."""
    tokens = int((batch.tokens[:, 1:] != PAD).sum())
    run._update(Progress(), [batch], tokens=tokens, examples=len(batch.tokens))


def _products(case: Case, batch: int) -> Callable[[], None]:
    """The products of a step, forward and backward: projection, LSTM and vocabulary."""
    wide, gates = case.dim, 4 * case.dim
    reads = batch * (case.steps + 1)  # the picture is read first
    features, projection = torch.randn(batch, case.features), torch.randn(wide, case.features)
    hidden, recurrent = torch.randn(batch, wide), torch.randn(gates, wide)
    memory, of_projection = torch.empty(batch, wide), torch.empty(wide, case.features)
    one, back = torch.empty(batch, gates), torch.empty(batch, wide)
    whole = [
        _layer(batch * case.steps, wide, case.vocab),
        _layer(reads, wide, gates),
    ]

    def way() -> None:
        torch.mm(features, projection.T, out=memory)
        torch.mm(hidden.T, features, out=of_projection)
        for x, weight, y, of_x, of_weight in whole:
            torch.mm(x, weight.T, out=y)
            torch.mm(y, weight, out=of_x)
            torch.mm(y.T, x, out=of_weight)
        for _ in range(case.steps + 1):  # what a word says to the next goes step by step
            torch.mm(hidden, recurrent.T, out=one)
            torch.mm(one, recurrent, out=back)
        torch.mm(y.T, x, out=of_weight)  # the recurrent weights' gradient is of the LSTM's shape

    return way


def _layer(rows: int, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Inputs, weights, and room for outputs and the gradients of inputs and of weights."""
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    return x, weight, torch.empty(rows, outputs), torch.empty_like(x), torch.empty_like(weight)


def _traffic(parameters: int) -> Callable[[], None]:
    """Read weight, gradient and two moments and write three of them, as any dense Adam must: an
    addition of two vectors reads two and writes one, so it is done seven thirds times."""
    first, second, third = (torch.ones(parameters) for _ in range(3))
    part = slice(0, parameters // 3)

    def way() -> None:
        for _ in range(2):
            torch.add(first, second, out=third)
        torch.add(first[part], second[part], out=third[part])

    return way


class _Together:
    """Several optimisers that step as one."""

    def __init__(self, *optimisers: torch.optim.Optimizer):
        self.optimisers = optimisers

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for each in self.optimisers:
            each.zero_grad()

    def step(self) -> None:
        """Change the weights."""
        for each in self.optimisers:
            each.step()


def _other_updates(model: Captioner, batch: Batch) -> dict[str, Callable[[], None]]:
    """Forward, backward and an update, the gradient not clipped: a sparse one has no norm."""
    loss_of = CaptionLoss(model, pad_id=PAD)
    embed: Any = model.decoder.embed
    rest = [each for each in model.parameters() if each is not embed.weight]
    tokens = int((batch.tokens[:, 1:] != PAD).sum())
    rate = TrainingConfig().learning_rate
    # Moments are made with the first step, so that no more are in memory than are measured.
    adam = {
        "with Adam": torch.optim.Adam(model.parameters(), lr=rate),
        "with fused Adam": torch.optim.Adam(model.parameters(), lr=rate, fused=True),
        "with fused Adam, sparse for the embedding": _Together(
            torch.optim.Adam(rest, lr=rate, fused=True),
            torch.optim.SparseAdam([embed.weight], lr=rate),
        ),
    }

    def way(name: str) -> Callable[[], None]:
        def run() -> None:
            embed.sparse = "sparse" in name
            embed.weight.grad = None  # a sparse gradient cannot be added to a dense one
            adam[name].zero_grad()
            loss, _ = loss_of(batch.inputs, batch.tokens)
            (loss / tokens).backward()
            adam[name].step()
            embed.weight.grad, embed.sparse = None, False

        return run

    return {name: way(name) for name in adam}
