"""Settings: how a captioner is trained, and the learning rate at each step that follows from it."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from songtitle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the captioner is trained (paper 4.2: Adam, rate 0.001, ten epochs shown).

    One update reads `batch_size * accumulate` examples in each process. Raises InputError for a
    setting outside its range.
    """

    epochs: int = 10
    batch_size: int = 32  # examples a process holds at once; not stated in the paper
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = (
        "constant"  # cosine falls to 0 at the last epoch's end
    )
    warmup_steps: int = 0  # updates over which the rate rises from 0; 0: none
    clip_norm: float = 5.0  # length that a gradient is cut to; 0: as it is
    accumulate: int = 1  # batches whose gradients are added up for one update
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: products in half precision, weights in full
    patience: int = 0  # epochs without a better validation loss before training stops; 0: never
    checkpoint_every: int = 0  # updates between checkpoints within an epoch; 0: none
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            _whole(name, getattr(self, name), least=1)
        for name in ("warmup_steps", "patience", "checkpoint_every", "seed"):
            _whole(name, getattr(self, name), least=0)
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
                _refuse(name, "a finite number of 0 or more", value)
        if self.learning_rate == 0:
            _refuse("learning_rate", "above 0", self.learning_rate)
        for name, known in (("schedule", ("constant", "cosine")), ("precision", ("fp32", "bf16"))):
            if getattr(self, name) not in known:
                _refuse(name, f"one of {', '.join(known)}", getattr(self, name))


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


def _whole(name: str, value: Any, *, least: int) -> None:
    if type(value) is not int or value < least:
        _refuse(name, f"a whole number of {least} or more", value)


def _refuse(name: str, expected: str, value: Any) -> None:
    msg = f"training: expected {name} to be {expected}, got {value!r}; change that setting"
    raise InputError(msg)
