"""Processes: one or many of them training the same model, and the randomness each draws from."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    broadcast_object_list,
)
from torch import nn

from songtitle.errors import InputError

Value = TypeVar("Value")


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
    """Module and optimiser for all processes: gradients are averaged where there are several."""
    with warnings.catch_warnings():
        # PyTorch 2.13 has another name for broadcast_buffers, which Accelerate does not pass on.
        warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
        return accelerator.prepare(module, optimizer)


def summed(accelerator: Accelerator, values: list[float]) -> list[float]:
    """Each value added up over all processes."""
    if accelerator.num_processes == 1:
        return values
    mine = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    return accelerator.reduce(mine, reduction="sum").tolist()


def from_main(accelerator: Accelerator, decide: Callable[[], Value]) -> Value:
    """What the main process decides, in all of them; its InputError is raised in all of them."""
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


@contextmanager
def private_randomness(device: torch.device) -> Iterator[None]:
    """Whatever is drawn within the block, the caller's random state is the same after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


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
