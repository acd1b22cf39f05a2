"""Progress: where training stands, in numbers that say all there is to go on from."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from songtitle.training.settings import TrainingConfig


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
        """After one more update, which read that much."""
        return replace(
            self,
            step=self.step + 1,
            batches=self.batches + batches,
            examples=self.examples + examples,
            tokens=self.tokens + tokens,
            nats=self.nats + nats,
        )

    def epoch_done(self, valid_loss: float) -> "Progress":
        """After validation: a row more, and the next epoch's start."""
        row = {
            "epoch": self.epoch,
            "train_perplexity": perplexity(self.nats / self.tokens),
            "valid_perplexity": perplexity(valid_loss),
        }
        history = (*self.history, row)
        after = Progress(step=self.step, epoch=self.epoch + 1, history=history, best=self.best)
        return replace(after, best=after.name) if epochs_since_best(history) == 0 else after

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are trained, or `patience` has run out."""
        if self.batches:
            return False
        stale = 0 < config.patience <= epochs_since_best(self.history)
        return stale or self.epoch > config.epochs

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return asdict(self) | {"history": list(self.history)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Progress":
        """The progress that `as_dict` wrote."""
        return cls(**values | {"history": tuple(values["history"])})


def epochs_since_best(history: tuple[dict[str, Any], ...]) -> int:
    """Epochs since the lowest validation perplexity (the first of equals); 0 without any."""
    losses = [row["valid_perplexity"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def perplexity(nats: float) -> float:
    """The exponential of nats per token, below what a float can hold."""
    return math.exp(min(nats, 700.0))
