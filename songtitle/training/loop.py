"""The training loop: `fit`, which goes on from the last checkpoint however the run before ended."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import nn

from songtitle.config import TrainingConfig
from songtitle.corpora.batches import Batch
from songtitle.errors import InputError
from songtitle.training.checkpoints import (
    Progress,
    load_weights,
    newest_checkpoint,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from songtitle.training.reporting import Reporter, seconds_by_epoch
from songtitle.training.steps import (
    CaptionLoss,
    Interrupted,
    from_main,
    join,
    listening,
    prepare,
    rate_at,
    seed_step,
    summed,
    token_count,
    update,
)


@runtime_checkable
class EpochBatches(Protocol):
    """Where batches come from: a function of the epoch alone."""

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterable[Batch]:
        """One epoch's batches for process `rank` of `world`, without the first `start` of them.

        All processes get equally many; those of the same number make up a global batch. A `len` of
        the whole, where there is one, is the number of examples of an epoch.
        """


def fit(
    model: nn.Module,
    batches: EpochBatches,
    *,
    config: TrainingConfig,
    pad_id: int,
    validate: Callable[[nn.Module], float],
    folder: Path,
    details: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Train with Adam, and leave the model at the epoch with the lowest validation loss.

    The loss is cross-entropy in nats per token of the global batch, plus the model's penalty per
    example. `validate(model)` gives nats per token; of several processes each runs it, and the
    main one's counts. Returns one row per epoch: `epoch, train_perplexity, valid_perplexity,
    seconds`. A progress bar shows on a terminal.

    `folder`, which all processes share, receives checkpoints (with `details`, plain JSON values),
    TensorBoard's curves in `logs` and seconds in `timing.jsonl`. Called again on the same folder,
    however the run before ended, training goes on from the last checkpoint; on CPU the outcome
    equals the undisturbed run bit for bit. Only `epochs` (at a constant rate) and
    `checkpoint_every` may be other than before.

    Raises Interrupted after SIGTERM, and InputError for settings, checkpoints, batches and losses
    that are not as they should be, memory that does not suffice and a source of batches that
    fails. What was checkpointed stays good, and a later call goes on from it.
    """
    if config.schedule == "cosine" and not isinstance(batches, Sized):
        msg = (
            "training: expected batches with a len, the examples of an epoch, for "
            "schedule='cosine', got none; give them one, or take 'constant'"
        )
        raise InputError(msg)
    accelerator = join(model)
    device = next(model.parameters()).device
    with ExitStack() as stack:
        stops = stack.enter_context(listening())
        # The caller's random state is the same after it.
        devices = [device] if device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices=devices))
        run = _Run(
            model, batches, validate, config, pad_id, folder, details or {}, accelerator, stops
        )
        progress = run.resume()
        if accelerator.is_main_process and not progress.finished(config):
            run.reporter = Reporter(folder, progress, epochs=config.epochs, total=run.examples)
            stack.enter_context(closing(run.reporter))
        while not progress.finished(config):
            progress = run.end_epoch(run.train_epoch(progress))
    load_weights(folder / "checkpoints" / progress.best, model)
    seconds = seconds_by_epoch(folder)
    return [row | {"seconds": seconds.get(row["epoch"], 0.0)} for row in progress.history]


class _Total(NamedTuple):
    """What all processes have in hand for the next update, and whether they can and want to."""

    tokens: int
    examples: int
    batches: int
    squares: int  # of the numbers of batches
    failures: int
    stops: int


class _Run:
    """One call of `fit`: what stays the same from step to step."""

    reporter: Reporter | None = None  # the main process has one

    def __init__(
        self,
        model: nn.Module,
        batches: EpochBatches,
        validate: Callable[[nn.Module], float],
        config: TrainingConfig,
        pad_id: int,
        folder: Path,
        details: dict[str, Any],
        accelerator: Accelerator,
        stops: list[int],
    ):
        self.model, self.batches, self.config, self.pad_id = model, batches, config, pad_id
        self.validate, self.folder, self.details = validate, folder, details
        self.accelerator, self.stops = accelerator, stops
        self.device = next(model.parameters()).device
        self.examples = len(batches) if isinstance(batches, Sized) else None
        self.adam = torch.optim.Adam(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            lr=config.learning_rate,
        )
        # What the outcome depends on, and has to stay from start to end.
        self.settings = asdict(config)
        del self.settings["checkpoint_every"]
        if config.schedule == "constant":
            del self.settings["epochs"]  # more may follow; a cosine depends on where it ends
        self.settings |= {"pad_id": pad_id, "processes": accelerator.num_processes}
        self.saved = Progress().name  # a start needs no checkpoint

    def resume(self) -> Progress:
        """Where the folder's last checkpoint stood, with model and optimiser as they were then."""
        name = from_main(self.accelerator, self._choose_checkpoint)
        progress = Progress()
        if name:
            found = read_checkpoint(self.folder / "checkpoints" / name)
            restore(found, self.model, self.adam)
            progress, self.saved = found.progress, name
        loss = CaptionLoss(self.model, pad_id=self.pad_id, bf16=self.config.precision == "bf16")
        self.module, self.optimizer = prepare(self.accelerator, loss, self.adam)
        return progress

    def train_epoch(self, progress: Progress) -> Progress:
        """All updates of an epoch, or those that are left of it."""
        self.model.train()
        source = self._source(progress)
        while True:
            window: list[Batch] = []
            error = None
            try:
                window.extend(islice(source, self.config.accumulate))
            except Exception as caught:
                error = caught
            total = self._total(window, failed=error is not None)
            if total.stops:
                self._stop(progress)
            if total.failures:
                self._fail(progress, len(window), error)
            if total.batches == 0:
                break
            progress = self._update(progress, window, total)
            every = self.config.checkpoint_every
            if every and progress.step % every == 0:
                self._save(progress)
        if progress.tokens == 0:
            msg = f"epoch {progress.epoch}: expected batches with captions, got none"
            msg += f"; look at what batches({progress.epoch}) gives"
            raise InputError(msg)
        return progress

    def end_epoch(self, progress: Progress) -> Progress:
        """Validation, the epoch's row, and its checkpoint."""
        mine = self.validate(self.model)
        loss = from_main(self.accelerator, lambda: mine)
        if not math.isfinite(loss):
            msg = f"epoch {progress.epoch}: expected a finite validation loss, got {loss}"
            msg += "; the last checkpoint stands: mend the validation data"
            raise InputError(msg)
        progress = progress.epoch_done(loss)
        if self.reporter:
            self.reporter.epoch(progress.history[-1])
        self._save(progress)
        if summed(self.accelerator, [float(bool(self.stops))])[0]:
            self._stop(progress)
        return progress

    def _choose_checkpoint(self) -> str:
        """The name of the checkpoint to go on from; "" without any.

        Removes what a killed write left. Raises InputError, and changes nothing else, for details
        that are no JSON, a damaged folder, or settings that are not those training began with.
        """
        try:
            json.dumps(self.details, allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = f"details: expected plain JSON values ({error}); leave out what is not"
            raise InputError(msg) from error
        self.folder.mkdir(parents=True, exist_ok=True)
        found = newest_checkpoint(self.folder)
        if found is None:
            return ""
        there, here = found.settings, self.settings
        if other := [name for name in there | here if there.get(name) != here.get(name)]:
            shown = ", ".join(f"{name} {there.get(name)}, not {here.get(name)}" for name in other)
            msg = (
                f"{self.folder}: training began here with {shown}; take those settings again, or "
                "another folder"
            )
            raise InputError(msg)
        done = len(found.progress.history)
        if done > self.config.epochs:
            msg = (
                f"epochs: expected at least the {done} that {self.folder} has, got "
                f"{self.config.epochs}; take more, or another folder"
            )
            raise InputError(msg)
        return found.path.name

    def _source(self, progress: Progress) -> Iterator[Batch]:
        # A generator, so that an error in the call itself comes with the first batch.
        yield from self.batches(
            progress.epoch,
            start=progress.batches,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )

    def _total(self, window: list[Batch], *, failed: bool) -> _Total:
        mine = [
            sum(token_count(batch, pad_id=self.pad_id) for batch in window),
            sum(len(batch.tokens) for batch in window),
            len(window),
            len(window) ** 2,
            failed,
            bool(self.stops),
        ]
        total = _Total(*map(int, summed(self.accelerator, [float(value) for value in mine])))
        unequal = total.squares * self.accelerator.num_processes != total.batches**2
        if unequal and not total.failures:
            msg = "training: expected equally many batches in every process, and some ran out first"
            msg += "; let batches() split every global batch among all of them"
            raise InputError(msg)
        return total

    def _update(self, before: Progress, window: list[Batch], total: _Total) -> Progress:
        share = 0.0
        if self.examples:
            share = (before.epoch - 1 + before.examples / self.examples) / self.config.epochs
        rate = rate_at(self.config, step=before.step, progress=share)
        rank = self.accelerator.process_index
        seed_step(seed=self.config.seed, step=before.step, rank=rank, device=self.device)
        first, last = before.batches + 1, before.batches + len(window)
        which = f"batch {first}" if last == first else f"batches {first} to {last}"
        found = update(
            self.module,
            self.optimizer,
            window,
            tokens=total.tokens,
            examples=total.examples,
            rate=rate,
            config=self.config,
            accelerator=self.accelerator,
            where=f"epoch {before.epoch}, {which}",
        )
        after = before.stepped(
            batches=len(window), examples=total.examples, tokens=total.tokens, nats=found.nats
        )
        if self.reporter:
            self.reporter.step(
                after, found, tokens=total.tokens, examples=total.examples, rate=rate
            )
        return after

    def _save(self, progress: Progress) -> None:
        """A checkpoint by the main process, unless there is one; the others wait for it."""
        if progress.name == self.saved:
            return
        if self.reporter:
            self.reporter.flush()
        from_main(
            self.accelerator,
            lambda: save_checkpoint(
                self.folder,
                self.model,
                self.adam,
                progress=progress,
                settings=self.settings,
                details=self.details,
            ),
        )
        if self.reporter:
            self.reporter.saved(progress)
        self.saved = progress.name

    def _stop(self, progress: Progress) -> NoReturn:
        """Leave, as SIGTERM asked, with everything kept."""
        self._save(progress)
        msg = (
            f"training: stopped by SIGTERM in epoch {progress.epoch} after step {progress.step}; "
            f"{self.folder} holds all of it: run the same again to go on"
        )
        raise Interrupted(msg)

    def _fail(self, progress: Progress, taken: int, error: Exception | None) -> NoReturn:
        self._save(progress)
        where = f"epoch {progress.epoch}, batch {progress.batches + taken + 1}"
        cause = f"{type(error).__name__}: {error}" if error else "in another process"
        msg = (
            f"{where}: expected a batch, and its source failed ({cause}); all {progress.step} "
            "steps before are kept: mend the source and run the same again"
        )
        raise InputError(msg) from error
