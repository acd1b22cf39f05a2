"""Checkpoints: all there is to go on from, in folders that a kill cannot break."""

import hashlib
import json
import math
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

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
FORMAT = 1


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
    best: str = ""  # name of the checkpoint with the lowest validation loss

    @property
    def name(self) -> str:
        """The name of a checkpoint made now; names sort as training went."""
        if self.batches or not self.history:
            return f"step-{self.step:08d}"
        # Validation lies between the last step's checkpoint and this one.
        return f"step-{self.step:08d}-epoch-{self.epoch - 1:04d}"

    def stepped(self, *, batches: int, examples: int, tokens: int, nats: float) -> "Progress":
        """Count one more update, which read that much."""
        return replace(
            self,
            step=self.step + 1,
            batches=self.batches + batches,
            examples=self.examples + examples,
            tokens=self.tokens + tokens,
            nats=self.nats + nats,
        )

    def epoch_done(self, valid_loss: float) -> "Progress":
        """Add the row of an epoch that was validated, and begin the next one."""
        row = {
            "epoch": self.epoch,
            "train_perplexity": _perplexity(self.nats / self.tokens),
            "valid_perplexity": _perplexity(valid_loss),
        }
        history = (*self.history, row)
        after = Progress(step=self.step, epoch=self.epoch + 1, history=history, best=self.best)
        return replace(after, best=after.name) if _epochs_since_best(history) == 0 else after

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are trained, or `patience` has run out."""
        if self.batches:
            return False
        stale = 0 < config.patience <= _epochs_since_best(self.history)
        return stale or self.epoch > config.epochs


def _epochs_since_best(history: tuple[dict[str, Any], ...]) -> int:
    """Epochs since the lowest validation perplexity (the first of equals); 0 without any."""
    losses = [row["valid_perplexity"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def _perplexity(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # below what a float can hold


@dataclass(frozen=True)
class Checkpoint:
    """What `progress.json` says; the tensors lie beside it, in `path`."""

    path: Path
    progress: Progress
    settings: dict[str, Any]  # of training, those that the outcome depends on
    details: dict[str, Any]  # the caller's own
    files: dict[str, str]  # name -> sha256


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    progress: Progress,
    settings: Mapping[str, Any],
    details: Mapping[str, Any],
) -> None:
    """Write `folder/checkpoints/<progress.name>`, whole or not at all, and drop what is not kept.

    Kept are the last two and the best that either of them names; the best without its optimiser
    state, once it is not one of the two.
    """
    path = folder / "checkpoints" / progress.name
    partial = path.with_name(path.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, tensors in (
            (MODEL, model.state_dict()),
            (OPTIMIZER, _optimizer_state(model, optimizer)),
        ):
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
        if path.exists():  # one that was refused, or that a resumed run has come to again
            _remove(path)
        os.replace(partial, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        msg = f"{path}: could not be written ({error}); make room and run the same again"
        msg += ", from the checkpoint before it"
        raise InputError(msg) from error
    _prune(path.parent)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the `progress.json` of a checkpoint; its tensors are not looked at.

    Raises InputError for anything but a whole checkpoint's folder.
    """
    file = path / PROGRESS
    try:
        content = json.loads(file.read_text("utf-8"))
        if content.pop("sha256") != _digest(content):
            _refuse(file, "its content does not have the sha256 that it names")
        if content["format"] != FORMAT:
            _refuse(file, f"it is of format {content['format']}, not {FORMAT}")
        values = content["progress"]
        progress = Progress(**values | {"history": tuple(values["history"])})
        return Checkpoint(path, progress, content["settings"], content["details"], content["files"])
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _refuse(file, f"it could not be read ({type(error).__name__}: {error})", error)


def best_checkpoint(folder: Path) -> Path:
    """Find the checkpoint with the lowest validation loss, of a folder that `fit` has written to.

    Raises InputError where no epoch was finished.
    """
    for name in _names(folder / "checkpoints"):
        with suppress(InputError):
            if best := read_checkpoint(folder / "checkpoints" / name).progress.best:
                return folder / "checkpoints" / best
    msg = f"{folder}: expected the checkpoints of a training run with a finished epoch; train first"
    raise InputError(msg)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Find the checkpoint to go on from; none in a folder without any.

    What a killed write or removal left is removed; one process at a time may do so. A broken one is
    moved aside with a warning if the one before it is whole. Raises InputError, and changes nothing
    else, if neither is.
    """
    home, problems = folder / "checkpoints", []
    for left in [*home.glob("step-*.partial"), *home.glob("step-*.old")]:
        shutil.rmtree(left, ignore_errors=True)
    for name in _names(home)[:2]:
        try:
            found = read_checkpoint(home / name)
            for file in found.files:
                _check(found, file)
        except InputError as error:
            problems.append((home / name, str(error)))
            continue
        for path, problem in problems:
            warnings.warn(f"{problem}; going on from {name}, before it", stacklevel=2)
            aside = path.with_name(path.name + ".broken")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
        return found
    if problems:
        msg = f"{'; '.join(problem for _, problem in problems)}; delete {home} to begin again"
        raise InputError(msg)
    return None


def load_weights(path: Path, model: nn.Module) -> dict[str, Any]:
    """Fill `model` from a checkpoint, on the model's device, and return the checkpoint's details.

    Raises InputError, with the model as it was, for a damaged checkpoint or one of another model.
    """
    found = read_checkpoint(path)
    _check(found, MODEL)
    tensors = load_file(path / MODEL)
    if fault := state_mismatch(model, tensors):
        msg = (
            f"{path}: a checkpoint of another vocabulary or architecture; {fault}; "
            "take another folder, or build the model that it was made with"
        )
        raise InputError(msg)
    model.load_state_dict(tensors)
    return found.details


def restore(found: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Fill model and optimiser from a checkpoint whose files were checked."""
    load_weights(found.path, model)
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(found.path / OPTIMIZER).items():
        parameter, _, key = name.rpartition(".")
        if parameter not in trained:
            msg = f"optimizer: the checkpoint trained {parameter}, which is frozen here; train it"
            raise InputError(msg)
        state.setdefault(trained.index(parameter), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by parameter, such as `decoder.output.weight.exp_avg`."""
    return {
        f"{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _check(found: Checkpoint, name: str) -> None:
    """Raise InputError unless a file has its sha256."""
    file = found.path / name
    if not file.is_file():
        _refuse(file, "it is missing")
    if sha256(file) != found.files.get(name):
        _refuse(file, "it is truncated or was changed: another sha256 than progress.json names")


def _names(home: Path) -> list[str]:
    """Names of the checkpoints there, newest first."""
    found = home.iterdir() if home.is_dir() else []
    return sorted((path.name for path in found if NAME.fullmatch(path.name)), reverse=True)


def _prune(home: Path) -> None:
    names = _names(home)
    best = set()
    for name in names[:2]:
        with suppress(InputError):
            best.add(read_checkpoint(home / name).progress.best)
    for name in names[2:]:
        if name in best:
            (home / name / OPTIMIZER).unlink(missing_ok=True)
        else:
            _remove(home / name)


def _remove(path: Path) -> None:
    old = path.with_name(path.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    os.replace(path, old)  # a kill within the removal leaves no half checkpoint
    shutil.rmtree(old, ignore_errors=True)


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


def _refuse(path: Path, problem: str, error: Exception | None = None) -> NoReturn:
    msg = f"{path}: expected a checkpoint that fit wrote, but {problem}"
    raise InputError(msg) from error
