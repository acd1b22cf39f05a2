"""Training: one readable loop, perplexity by epoch, and checkpoints that a kill cannot break."""

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from songtitle.datasets.loaders import Batch
from songtitle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the captioner is trained (paper 4.2: Adam, rate 0.001, ten epochs shown)."""

    epochs: int = 10
    batch_size: int = 32  # not stated in the paper
    learning_rate: float = 1e-3
    clip_norm: float = 5.0
    seed: int = 0


def token_loss(model: nn.Module, batch: Batch, *, pad_id: int) -> tuple[Tensor, int]:
    """Summed cross-entropy in nats over every token after `<bos>`, `<eos>` included, and their
    number."""
    device = next(model.parameters()).device
    tokens = batch.tokens.to(device)
    targets = tokens[:, 1:]
    # The last input is dropped, so an <eos> that ends the longest row is target only.
    logits = model(batch.inputs.to(device), tokens[:, :-1])
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id, reduction="sum"
    )
    return loss, int((targets != pad_id).sum())


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, pad_id: int) -> float:
    """Mean cross-entropy in nats per token, without dropout; its exponential is the perplexity."""
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    for batch in batches:
        loss, count = token_loss(model, batch, pad_id=pad_id)
        total, tokens = total + loss.item(), tokens + count
    model.train(was_training)
    return total / tokens


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    *,
    config: TrainingConfig,
    pad_id: int,
    validate: Callable[[nn.Module], float],
    folder: Path,
    details: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Train, and leave the model at the epoch with the lowest validation loss.

    `batches(epoch)` gives one epoch, a function of the epoch alone; `validate(model)` gives nats
    per token. Returns one row per epoch: `epoch, train_perplexity, valid_perplexity, seconds`.
    `folder` receives `last.safetensors` and `best.safetensors` (with `details`) after each epoch;
    called again on the same folder, training goes on after the last finished epoch, and on CPU the
    outcome equals the undisturbed run bit for bit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    optimizer = torch.optim.Adam(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=config.learning_rate,
    )
    history: list[dict[str, Any]] = []
    if last.exists():
        history = _restore(last, model, optimizer)["history"]
    for epoch in range(len(history) + 1, config.epochs + 1):
        started = time.perf_counter()
        train_loss = _train_epoch(
            model, batches(epoch), optimizer, config=config, pad_id=pad_id, epoch=epoch
        )
        valid_loss = validate(model)
        history.append(
            {
                "epoch": epoch,
                "train_perplexity": math.exp(train_loss),
                "valid_perplexity": math.exp(valid_loss),
                "seconds": time.perf_counter() - started,
            }
        )
        # Best before last: a kill between the two repeats the epoch and finds the same best.
        if valid_loss <= math.log(min(row["valid_perplexity"] for row in history)) + 1e-12:
            save_checkpoint(best, model, details=details or {})
        save_checkpoint(last, model, optimizer=optimizer, details={"history": history})
    load_weights(best, model)
    return history


def _train_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    config: TrainingConfig,
    pad_id: int,
    epoch: int,
) -> float:
    model.train()
    total, tokens = 0.0, 0
    with torch.random.fork_rng():
        # Dropout draws from torch's own generator: seeded by epoch, a resumed run draws the same.
        torch.manual_seed(config.seed * 100_003 + epoch)
        for batch in batches:
            loss, count = token_loss(model, batch, pad_id=pad_id)
            optimizer.zero_grad()
            (loss / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            total, tokens = total + loss.item(), tokens + count
    return total / tokens


def save_checkpoint(
    path: Path,
    model: nn.Module,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    details: dict[str, Any],
) -> None:
    """One safetensors file, replaced as a whole: weights, optimiser state, `details` as JSON."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    partial = path.with_suffix(".partial")
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        partial,
        metadata={"details": json.dumps(details)},
    )
    os.replace(partial, path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (named `model.*` and `optimizer.*`) and the details of a checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()["details"])
    except Exception as error:
        msg = f"{path}: expected a checkpoint, and could not read it ({error}); train again"
        raise InputError(msg) from error


def load_weights(path: Path, model: nn.Module) -> dict[str, Any]:
    """Fill `model` from a checkpoint and return the checkpoint's details."""
    tensors, details = read_checkpoint(path)
    model.load_state_dict(_named(tensors, "model."))
    return details


def _restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    tensors, details = read_checkpoint(path)
    model.load_state_dict(_named(tensors, "model."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _named(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return details


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }
