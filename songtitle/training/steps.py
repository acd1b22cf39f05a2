"""Steps: losses, one update on one process or many, and what may interrupt it."""

import hashlib
import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    broadcast_object_list,
)
from torch import Tensor, nn

from songtitle.config import TrainingConfig
from songtitle.corpora.batches import Batch
from songtitle.errors import InputError
from songtitle.shapes import Tokens

Value = TypeVar("Value")


class CaptionLoss(nn.Module):
    """What training differentiates: a captioner and its loss as one module.

    Distributed training only adds up gradients that come through its own wrapper's `forward`, so
    the loss has to be inside.
    """

    def __init__(self, model: nn.Module, *, pad_id: int, bf16: bool = False):
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.bf16 = bf16

    def forward(self, inputs: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Two sums over the batch: cross-entropy in nats over every token after `<bos>`, `<eos>`
        included, and the model's own penalty over examples.

        The penalty is that of `model.teach`, and 0 for a model without it.
        """
        # The last input is dropped, so an <eos> that ends the longest row is target only.
        given, penalty = tokens[:, :-1], torch.zeros((), device=tokens.device)
        teach: Callable[..., tuple[Tensor, Tensor]] | None = getattr(self.model, "teach", None)
        # Not Accelerate's mixed precision, which is one per process and could not be another for
        # the next model.
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            if teach is None:
                logits = self.model(inputs, given)
            else:
                logits, penalty = teach(inputs, given)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(),
            tokens[:, 1:].flatten(),
            ignore_index=self.pad_id,
            reduction="sum",
        )
        return loss, penalty


def token_count(batch: Batch, *, pad_id: int) -> int:
    """Count the tokens of a batch to be predicted: all after `<bos>`, `<eos>` included."""
    return int((batch.tokens[:, 1:] != pad_id).sum())


def token_loss(model: nn.Module, batch: Batch, *, pad_id: int) -> tuple[Tensor, int]:
    """Sum the cross-entropy in nats over the tokens of `token_count`, and give their number."""
    device = next(model.parameters()).device
    loss, _ = CaptionLoss(model, pad_id=pad_id)(batch.inputs.to(device), batch.tokens.to(device))
    return loss, token_count(batch, pad_id=pad_id)


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, pad_id: int) -> float:
    """Mean cross-entropy in nats per token, without dropout; its exponential is the perplexity.

    Raises InputError where there is no token.
    """
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    for batch in batches:
        loss, count = token_loss(model, batch, pad_id=pad_id)
        total, tokens = total + loss.item(), tokens + count
    model.train(was_training)
    if tokens == 0:
        msg = "validation: expected batches with captions, got none; look at the validation data"
        raise InputError(msg)
    return total / tokens


class Interrupted(InputError):
    """SIGTERM came; a checkpoint was written and the same command goes on from it."""

    exit_code = 128 + signal.SIGTERM  # what a shell reports of a process that SIGTERM ended


@contextmanager
def listening() -> Iterator[list[int]]:
    """Collect the SIGTERMs that come within the block; the handler before it is put back after.

    Only the main thread may set handlers; in another nothing is listened to.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        # None stands for a handler that was not set from Python and cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def join(model: nn.Module) -> Accelerator:
    """Join the processes that `accelerate launch` or `torchrun` started, if any did.

    One process trains where the model lies. Of several, each has a device of that kind for
    itself, and the model is moved there.
    """
    launched = "LOCAL_RANK" in os.environ
    accelerator = Accelerator(
        cpu=launched and next(model.parameters()).device.type == "cpu",
        device_placement=False,
        # Precision and accumulation are this package's settings, whatever the launcher's are.
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        # Batch normalisation is over all processes already: its buffers agree by themselves.
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
        ],
    )
    if accelerator.use_distributed:
        model.to(accelerator.device)
    return accelerator


def prepare(
    accelerator: Accelerator, module: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Ready module and optimiser for all processes, whose gradients are averaged."""
    with warnings.catch_warnings():
        # PyTorch 2.13 has another name for broadcast_buffers, which Accelerate does not pass on.
        warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
        return accelerator.prepare(module, optimizer)


def summed(accelerator: Accelerator, values: list[float]) -> list[float]:
    """Add up each value over all processes."""
    if accelerator.num_processes == 1:
        return values
    mine = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    return accelerator.reduce(mine, reduction="sum").tolist()


def from_main(accelerator: Accelerator, decide: Callable[[], Value]) -> Value:
    """Give all processes what the main one decides; its InputError is raised in all of them."""
    if accelerator.num_processes == 1:
        return decide()
    outcome: list = [None, None]
    if accelerator.is_main_process:
        try:
            outcome = [decide(), None]
        except InputError as error:
            outcome = [None, str(error)]
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise InputError(outcome[1])
    return outcome[0]


def seed_step(*, seed: int, step: int, rank: int, device: torch.device) -> None:
    """Seed dropout for one update: a function of seed, step and process, never of history.

    So a resumed run draws what the straight run drew, and no generator's state (which differs
    between devices and versions) has to be kept in a checkpoint.
    """
    digest = hashlib.sha256(f"{seed} {step} {rank}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") >> 1
    # Not torch.manual_seed, which would seed devices that are not ours.
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


class Update(NamedTuple):
    """What an update found, over all processes and the whole window."""

    nats: float  # summed cross-entropy
    penalty: float  # summed penalty
    norm: float  # of the gradient, before clipping


def update(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    window: Sequence[Batch],
    *,
    tokens: int,
    examples: int,
    rate: float,
    config: TrainingConfig,
    accelerator: Accelerator,
    where: str,
) -> Update:
    """One update: the gradient of cross-entropy per token plus penalty per example.

    `module` is a `CaptionLoss`, perhaps wrapped. Both means are over `tokens` and `examples` of the
    whole global batch, that of all processes and all batches of the window: so neither
    accumulating nor distributing changes the gradient. Raises InputError, before the weights
    change, where the loss is not finite or memory runs out; `where` names the batch in it.
    """
    optimizer.zero_grad()
    device = next(module.parameters()).device
    # DistributedDataParallel averages gradients over processes; their sum is wanted.
    tokens_each = max(1, tokens) / accelerator.num_processes
    examples_each = examples / accelerator.num_processes
    found = []
    for index, batch in enumerate(window):
        # Gradients travel between processes once, with the window's last batch.
        is_last = index == len(window) - 1
        with nullcontext() if is_last else accelerator.no_sync(module):
            try:
                loss, penalty = module(
                    batch.inputs.to(device, non_blocking=True),
                    batch.tokens.to(device, non_blocking=True),
                )
                accelerator.backward(loss / tokens_each + penalty / examples_each)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                optimizer.zero_grad()
                msg = (
                    f"{where}: out of memory; batch_size {config.batch_size} does not fit; halve "
                    "it, and double accumulate for the same result, in another folder"
                )
                raise InputError(msg) from error
            found.append(torch.stack([loss.detach(), penalty.detach().to(loss)]))
    norm = nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm or math.inf)
    *mine, length = torch.stack([*torch.stack(found).sum(0), norm.to(device)]).tolist()
    nats, penalty_sum = summed(accelerator, mine)
    if not math.isfinite(nats + penalty_sum + length):
        what = "gradient" if math.isfinite(nats + penalty_sum) else "loss"
        msg = (
            f"{where}: expected a finite {what}, got {nats / max(1, tokens)} nats per token and a "
            f"gradient of length {length}; the last checkpoint stands: mend that batch, or "
            f"begin in another folder with a lower learning_rate than {config.learning_rate}"
        )
        raise InputError(msg)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return Update(nats, penalty_sum, length)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch says that memory ran out, on a GPU or on the CPU."""
    # On the CPU it is a plain RuntimeError of c10's DefaultCPUAllocator.
    on_cpu = ("not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in on_cpu)


def rate_at(config: TrainingConfig, *, step: int, progress: float) -> float:
    """The learning rate of update number `step` (from 0), with a share `progress` of all epochs
    behind it.

    The rate rises in a straight line over `warmup_steps`; a cosine multiplies it by
    (1 + cos(pi * progress)) / 2 (Loshchilov and Hutter 2017, eq. 5, without restarts).
    """
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return rate
