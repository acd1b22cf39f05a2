"""Steps: one update of the weights from a window of batches, and what to do when it cannot be."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, NoReturn

import torch
from accelerate import Accelerator
from torch import nn

from songtitle.datasets.loaders import Batch
from songtitle.errors import InputError
from songtitle.training.processes import summed
from songtitle.training.settings import TrainingConfig


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
        shortage = ""
        with nullcontext() if is_last else accelerator.no_sync(module):
            try:
                loss, penalty = module(
                    batch.inputs.to(device, non_blocking=True),
                    batch.tokens.to(device, non_blocking=True),
                )
                accelerator.backward(loss / tokens_each + penalty / examples_each)
                found.append(torch.stack([loss.detach(), penalty.detach().to(loss)]))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                shortage = str(error)  # the error itself would hold the tensors that did not fit
        if shortage:
            optimizer.zero_grad()
            _refuse_size(module, batch, config=config, accelerator=accelerator, where=where)
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


def largest_that_fits(module: nn.Module, batch: Batch) -> int:
    """How many examples of a batch get through forward and backward, by halving; 0 if none do.

    Changes no weights and leaves no gradients.
    """
    device = next(module.parameters()).device
    size = len(batch.tokens)
    while size > 1:
        size //= 2
        try:
            sum(module(batch.inputs[:size].to(device), batch.tokens[:size].to(device))).backward()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        except ValueError:
            return 0  # batch normalisation cannot train on one example
        else:
            return size
        finally:
            module.zero_grad()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return 0


def _refuse_size(
    module: nn.Module, batch: Batch, *, config: TrainingConfig, accelerator: Accelerator, where: str
) -> NoReturn:
    size, tried = config.batch_size, len(batch.tokens)
    msg = f"{where}: out of memory; batch_size {size} does not fit"
    if accelerator.num_processes > 1:
        # Trying smaller ones would need all processes, and the others wait for this one's gradient.
        msg += "; halve it, and double accumulate for the same result"
    elif fits := largest_that_fits(module, batch):
        accumulate = math.ceil(config.accumulate * max(size, tried) / fits)
        msg += (
            f"; the largest that does is {fits}: lower it, and raise accumulate to {accumulate} "
            "for the same result, in another folder"
        )
    else:
        msg += ", nor does any smaller one; take a smaller model, fewer pixels or shorter captions"
    raise InputError(msg)
