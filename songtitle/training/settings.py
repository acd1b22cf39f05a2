"""Settings: how a captioner is trained, and the learning rate at each step that follows from it."""

import math
from dataclasses import dataclass
from typing import Literal

from songtitle.schema import Above0, Count, CountOr0, From0, Seed, check


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the captioner is trained (paper 4.2: Adam, rate 0.001, ten epochs shown).

    One update reads `batch_size * accumulate` examples in each process. Raises InputError for a
    setting outside its range.
    """

    epochs: Count = 10
    """Times that every picture is seen."""
    batch_size: Count = 32
    """Examples that a process holds at once; not stated in the paper."""
    learning_rate: Above0 = 1e-3
    """Step of Adam."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the rate goes on; cosine falls to 0 at the last epoch's end."""
    warmup_steps: CountOr0 = 0
    """Updates over which the rate rises from 0; 0: none."""
    clip_norm: From0 = 5.0
    """Length that a gradient is cut to; 0: left as it is."""
    accumulate: Count = 1
    """Batches whose gradients are added up for one update."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of what is multiplied; bf16: products in half precision, weights in full."""
    patience: CountOr0 = 0
    """Epochs without a better validation loss before training stops; 0: never."""
    checkpoint_every: CountOr0 = 0
    """Updates between checkpoints within an epoch; 0: at its end only."""
    seed: Seed = 0
    """Of the order of batches, of dropout, and with the experiment's seed of the first weights."""

    def __post_init__(self) -> None:
        check(self)


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
