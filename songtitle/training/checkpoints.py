"""Checkpoints: all there is to go on from, in folders that a kill cannot break.

Not those of Accelerate, whose optimiser and generators are pickles without a checksum.
"""

import hashlib
import json
import math
import os
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from songtitle.config import TrainingConfig
from songtitle.corpora.manifest import sha256
from songtitle.errors import InputError
from songtitle.model.weights import state_mismatch

MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.safetensors", "progress.json"
NAME = re.compile(r"step-\d{8,}(-epoch-\d{4,})?")
FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far training has come. No clock enters: two runs agree to the last bit."""

    step: int = 0  # updates since the start
    epoch: int = 1  # the one under way
    batches: int = 0  # of this epoch that each process has used
    examples: int = 0  # of this epoch that all processes have used
    tokens: int = 0  # predicted in this epoch, by all processes
    nats: float = 0.0  # cross-entropy summed over those tokens
    history: tuple[dict[str, Any], ...] = ()  # a row for each finished epoch
    kept: str = ""  # name of the checkpoint whose weights training leaves

    @property
    def name(self) -> str:
        """The name of a checkpoint made now; names sort as training went."""
        if self.batches or not self.history:
            return f"step-{self.step:08d}"
        # Validation lies between the last step's checkpoint and this one.
        return f"step-{self.step:08d}-epoch-{self.epoch - 1:04d}"

    @property
    def stale(self) -> int:
        """Epochs since the lowest validation perplexity (the first of equals); 0 without any."""
        losses = [row["valid_perplexity"] for row in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def epoch_done(self, valid_loss: float, *, keep: str) -> "Progress":
        """Add the row of an epoch that was validated, and begin the next one; `keep` as in
        `TrainingConfig`."""
        losses = {"train": self.nats / self.tokens, "valid": valid_loss}
        row: dict[str, Any] = {"epoch": self.epoch}
        for side, nats in losses.items():
            row[f"{side}_perplexity"] = math.exp(min(nats, 700.0))  # what a float can hold
        history = (*self.history, row)
        after = Progress(step=self.step, epoch=self.epoch + 1, history=history, kept=self.kept)
        return replace(after, kept=after.name) if kept_epoch(history, keep) is row else after

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are trained, or `patience` has run out."""
        patient = config.patience == 0 or self.stale < config.patience
        return not self.batches and not (patient and self.epoch <= config.epochs)


def kept_epoch(history: Sequence[dict[str, Any]], keep: str) -> dict[str, Any]:
    """Choose the row of the epoch whose weights are kept: the last one, or for "best" that of the
    lowest validation perplexity (the first of equals)."""
    best = min(history, key=lambda row: row["valid_perplexity"])
    return best if keep == "best" else history[-1]


@dataclass(frozen=True)
class Checkpoint:
    """What `progress.json` says; the tensors lie beside it, in `path`."""

    path: Path
    progress: Progress
    settings: dict[str, Any]  # of training, those that the outcome depends on
    details: dict[str, Any]  # the caller's own
    files: dict[str, str]  # name -> sha256


def save_checkpoint(
    progress: Progress,
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    settings: Mapping[str, Any],
    details: Mapping[str, Any],
) -> None:
    """Write `folder/checkpoints/<progress.name>`, whole or not at all, and drop what is not kept.

    Those are the last two, and whichever they name to be kept; it without its optimiser state, once
    it is not one of the two.
    """
    path = folder / "checkpoints" / progress.name
    partial = path.with_name(path.name + ".partial")
    state = {  # by parameter, such as `decoder.output.weight.exp_avg`
        f"{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, tensors in ((MODEL, model.state_dict()), (OPTIMIZER, state)):
            # Copies: safetensors refuses two names for one memory (tied weights).
            copies = {key: value.to("cpu", copy=True) for key, value in tensors.items()}
            save_file({key: value.contiguous() for key, value in copies.items()}, partial / name)
        content = {
            "format": FORMAT,
            "progress": asdict(progress),
            "settings": dict(settings),
            "details": dict(details),
            "files": {name: sha256(partial / name) for name in (MODEL, OPTIMIZER)},
        }
        text = json.dumps(content | {"sha256": _digest(content)}, indent=1, ensure_ascii=False)
        (partial / PROGRESS).write_text(text + "\n", "utf-8")
        for name in (MODEL, OPTIMIZER, PROGRESS, ""):
            _sync(partial / name)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        msg = f"{path}: could not be written ({error}); make room and run the same again"
        msg += ", from the checkpoint before it"
        raise InputError(msg) from error
    names, kept = _names(path.parent), set()
    for name in names[:2]:
        with suppress(InputError):
            kept.add(read_checkpoint(path.parent / name).progress.kept)
    for name in names[2:]:  # one that is half removed when a kill comes is removed next time
        if name in kept:
            (path.parent / name / OPTIMIZER).unlink(missing_ok=True)
        else:
            shutil.rmtree(path.parent / name, ignore_errors=True)


def read_checkpoint(path: Path, *, check: tuple[str, ...] = ()) -> Checkpoint:
    """Read the `progress.json` of a checkpoint, and hold the files in `check` to their sha256.

    Raises InputError for anything but a whole checkpoint's folder.
    """
    file = path / PROGRESS
    try:
        content = json.loads(file.read_text("utf-8"))
        if content.pop("sha256") != _digest(content):
            raise _refusal(file, "its content does not have the sha256 that it names")
        if content.pop("format") != FORMAT:
            raise _refusal(file, f"it is not of format {FORMAT}")
        values = content.pop("progress")
        progress = Progress(**values | {"history": tuple(values["history"])})
        found = Checkpoint(path, progress, **content)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"it could not be read ({type(error).__name__}: {error})"
        raise _refusal(file, problem) from error
    for name in check:
        if not (path / name).is_file():
            raise _refusal(path / name, "it is missing")
        if sha256(path / name) != found.files.get(name):
            problem = "it is truncated or was changed: another sha256 than progress.json names"
            raise _refusal(path / name, problem)
    return found


def kept_checkpoint(folder: Path) -> Path:
    """Find the checkpoint whose weights training left, of a folder that `fit` has written to.

    Raises InputError where no epoch was finished.
    """
    for name in _names(folder / "checkpoints"):
        with suppress(InputError):
            if kept := read_checkpoint(folder / "checkpoints" / name).progress.kept:
                return folder / "checkpoints" / kept
    msg = f"{folder}: expected the checkpoints of a training run with a finished epoch; train first"
    raise InputError(msg)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Find the checkpoint to go on from; none in a folder without any.

    What a killed write left is removed; one process at a time may do so. A broken one is moved
    aside with a warning if the one before it is whole. Raises InputError, and changes nothing else,
    if neither is.
    """
    home, problems = folder / "checkpoints", {}
    for left in home.glob("step-*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    for name in _names(home)[:2]:
        try:
            found = read_checkpoint(home / name, check=(MODEL, OPTIMIZER))
        except InputError as error:
            problems[home / name] = str(error)
            continue
        for path, problem in problems.items():
            warnings.warn(f"{problem}; going on from {name}, before it", stacklevel=2)
            aside = path.with_name(path.name + ".broken")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
        return found
    if problems:
        msg = f"{'; '.join(problems.values())}; delete {home} to begin again"
        raise InputError(msg)
    return None


def load_weights(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Any]:
    """Fill `model`, and the optimiser if given, from a checkpoint, and return its details.

    Raises InputError, with the model as it was, for a damaged checkpoint or one of another model.
    """
    found = read_checkpoint(path, check=(MODEL, OPTIMIZER) if optimizer else (MODEL,))
    tensors = load_file(path / MODEL)
    if fault := state_mismatch(model, tensors):
        msg = (
            f"{path}: a checkpoint of another vocabulary or architecture; {fault}; "
            "take another folder, or build the model that it was made with"
        )
        raise InputError(msg)
    model.load_state_dict(tensors)
    if optimizer:
        trained = [name for name, each in model.named_parameters() if each.requires_grad]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in load_file(path / OPTIMIZER).items():
            parameter, _, key = name.rpartition(".")
            if parameter not in trained:
                msg = f"optimizer: the checkpoint trained {parameter}, which is frozen here; train "
                raise InputError(msg + "it")
            state.setdefault(trained.index(parameter), {})[key] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return found.details


def _names(home: Path) -> list[str]:
    """Names of the checkpoints there, newest first."""
    found = home.iterdir() if home.is_dir() else []
    return sorted((path.name for path in found if NAME.fullmatch(path.name)), reverse=True)


def _sync(path: Path) -> None:
    # Folders cannot be opened on every system; there the rename alone has to do.
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: expected a checkpoint that fit wrote, but {problem}")
