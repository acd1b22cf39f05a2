"""Training: losses, and `fit`, which goes on from the last checkpoint however a run ended.

One process trains, or many that `accelerate launch` or `torchrun` started.
"""

import hashlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from accelerate import PartialState
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from songtitle.config import TrainingConfig
from songtitle.corpora.batches import Batch
from songtitle.errors import InputError
from songtitle.machine import write_whole
from songtitle.shapes import Tokens
from songtitle.training.checkpoints import (
    Progress,
    load_weights,
    newest_checkpoint,
    read_checkpoint,
    save_checkpoint,
)

TIMING = "timing.json"
GLOBAL = "global_batch_size"  # of all processes together
AT_ONCE = {"cpu"}  # devices whose losses are read within the update, before the weights change
READ_EVERY = 50  # updates of other devices, which would wait for every read
Value = TypeVar("Value")


class CaptionLoss(nn.Module):
    """A captioner and its loss as one module: distributed training only adds up gradients that come
    through its own wrapper's `forward`."""

    def __init__(self, model: nn.Module, *, pad_id: int, bf16: bool = False):
        super().__init__()
        self.model, self.pad_id, self.bf16 = model, pad_id, bf16

    def forward(self, inputs: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Two sums over the batch: cross-entropy in nats over every token after `<bos>`, `<eos>`
        included, and over examples the penalty of `model.teach`, 0 for a model without it."""
        # The last input is dropped, so an <eos> that ends the longest row is target only.
        given, penalty = tokens[:, :-1], torch.zeros((), device=tokens.device)
        teach: Callable[..., tuple[Tensor, Tensor]] | None = getattr(self.model, "teach", None)
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


def token_loss(model: nn.Module, batch: Batch, *, pad_id: int) -> tuple[Tensor, int]:
    """Sum the cross-entropy in nats over all tokens after `<bos>`, and give their number."""
    device = next(model.parameters()).device
    loss, _ = CaptionLoss(model, pad_id=pad_id)(batch.inputs.to(device), batch.tokens.to(device))
    return loss, _token_count(batch, pad_id)


def _token_count(batch: Batch, pad_id: int) -> int:
    return int((batch.tokens[:, 1:] != pad_id).sum())


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, pad_id: int) -> float:
    """Mean cross-entropy in nats per token, without dropout; its exponential is the perplexity.

    Raises InputError where there is no token.
    """
    was_training = model.training
    model.eval()
    losses, tokens = [], 0
    for batch in batches:
        loss, count = token_loss(model, batch, pad_id=pad_id)
        losses.append(loss)
        tokens += count
    model.train(was_training)
    if tokens == 0:
        msg = "validation: expected batches with captions, got none; look at the validation data"
        raise InputError(msg)
    total = 0.0
    for nats in torch.stack(losses).tolist():  # one after another, however `sum` may add floats
        total += nats
    return total / tokens


class Interrupted(InputError):
    """SIGTERM came; a checkpoint was written and the same command goes on from it."""

    exit_code = 128 + signal.SIGTERM  # what a shell reports of a process that SIGTERM ended


def fit(
    model: nn.Module,
    batches: Callable[..., Iterable[Batch]],
    *,
    config: TrainingConfig,
    pad_id: int,
    validate: Callable[[nn.Module], float],
    folder: Path,
    details: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Train with Adam, and leave the model at the epoch that `keep` names.

    `batches(epoch, start=, rank=, world=)` gives one epoch's batches for process `rank` of `world`,
    equally many for each, without the first `start`; its `len` is the examples of an epoch. The
    loss is cross-entropy in nats per token of the global batch, plus the model's penalty per
    example. `validate(model)` gives nats per token; the main process's counts. Returns one row per
    epoch: `epoch, train_perplexity, valid_perplexity, seconds`. A terminal shows a progress bar.

    `folder`, which all processes share, receives checkpoints (with `details`, plain JSON values),
    TensorBoard's curves in `logs` and seconds in `timing.json`. Called again on the same folder,
    however the run before ended, training goes on from the last checkpoint; on CPU the outcome
    equals the undisturbed run bit for bit. Only `epochs` (at a constant rate) and
    `checkpoint_every` may be other than before, and the number of processes where `batch_size`
    times it is the same: then the same global batches come, and dropout draws otherwise.

    Raises Interrupted after SIGTERM, and InputError for settings, checkpoints, batches and losses
    that are not as they should be, too little memory and a source of batches that fails. A loss
    that is not finite is refused before the weights change on CPU; elsewhere up to READ_EVERY
    updates later, but before a checkpoint is written, and the model is then to be loaded again.
    """
    if config.schedule == "cosine" and not isinstance(batches, Sized):
        msg = (
            "training: expected batches with a len, the examples of an epoch, for "
            "schedule='cosine', got none; give them one, or take 'constant'"
        )
        raise InputError(msg)
    json.dumps(details, allow_nan=False)  # raises before training what saving would raise
    processes = _join(model)
    device = next(model.parameters()).device
    with ExitStack() as stack:
        stops = stack.enter_context(_listening())
        # The caller's random state is the same after it.
        devices = [device] if device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices=devices))
        run = _Run(model, batches, config, pad_id, folder, details or {}, processes, stops)
        progress = run.resume()
        if processes.is_main_process and not progress.finished(config):
            run.reporter = _Reporter(folder, progress, epochs=config.epochs, total=run.examples)
            stack.enter_context(closing(run.reporter))
        while not progress.finished(config):
            progress = run.train_epoch(progress)
            progress = run.end_epoch(progress, validate(model))
    load_weights(folder / "checkpoints" / progress.kept, model)
    seconds = _seconds(folder)
    return [
        row | {"seconds": sum(seconds.get(str(row["epoch"]), {}).values())}
        for row in progress.history
    ]


def _join(model: nn.Module) -> PartialState:
    """Join the processes that a launcher started, if any did: each then has a device of the kind
    that the model lies on, and the model is moved there."""
    launched = "LOCAL_RANK" in os.environ
    processes = PartialState(cpu=launched and next(model.parameters()).device.type == "cpu")
    if processes.use_distributed:
        model.to(processes.device)
    return processes


@contextmanager
def _listening() -> Iterator[list[int]]:
    """Collect the SIGTERMs that come within the block; the handler before it is put back after."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came  # no other may set handlers
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        yield came
    finally:
        # None stands for a handler that was not set from Python and cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@dataclass(frozen=True)
class _Update:
    """An update of which the host does not know yet what it came to."""

    after: Progress  # without its nats
    where: str
    tokens: int
    examples: int
    rate: float
    sums: Float[Tensor, " 3"]  # nats and penalties of this process, length of the gradient of all


def adam_for(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Adam:
    """Give the optimiser of `fit`. Its fused step goes over the parameters once, torch's default
    several times, which is most of an update where the vocabulary is large."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


@dataclass
class _Run:
    """One call of `fit`: what stays the same from step to step."""

    model: nn.Module
    batches: Callable[..., Iterable[Batch]]
    config: TrainingConfig
    pad_id: int
    folder: Path
    details: dict[str, Any]
    processes: PartialState
    stops: list[int]  # the SIGTERMs that came
    reporter: "_Reporter | None" = None  # the main process has one

    def __post_init__(self) -> None:
        self.rank, self.world = self.processes.process_index, self.processes.num_processes
        self.device = next(self.model.parameters()).device
        self.examples = len(self.batches) if isinstance(self.batches, Sized) else None
        trained = [each for each in self.model.parameters() if each.requires_grad]
        self.adam = adam_for(trained, self.config)
        # What the outcome depends on, and has to stay from start to end.
        self.settings = asdict(self.config)
        del self.settings["checkpoint_every"]
        if self.config.schedule == "constant":
            del self.settings["epochs"]  # more may follow; a cosine depends on where it ends
        # By how many processes a global batch is shared may change; `batches` counts whole ones.
        self.settings[GLOBAL] = self.settings.pop("batch_size") * self.world
        self.settings["pad_id"] = self.pad_id
        self.saved = Progress().name  # a start needs no checkpoint
        self.unread: list[_Update] = []
        self.read_every = 1 if self.device.type in AT_ONCE else READ_EVERY

    def resume(self) -> Progress:
        """Where the folder's last checkpoint stood, with model and optimiser as they were then."""
        name, progress = self._from_main(self._choose_checkpoint), Progress()
        if name:
            path, self.saved = self.folder / "checkpoints" / name, name
            load_weights(path, self.model, self.adam)
            progress = read_checkpoint(path).progress
        loss = CaptionLoss(self.model, pad_id=self.pad_id, bf16=self.config.precision == "bf16")
        self.module: Any = loss
        if self.world > 1:
            # Batch normalisation is over all processes already: its buffers agree by themselves.
            self.module = DistributedDataParallel(
                loss, broadcast_buffers=False, gradient_as_bucket_view=True
            )
        return progress

    def train_epoch(self, progress: Progress) -> Progress:
        """All updates of an epoch, or those that are left of it."""
        self.model.train()
        place = {"start": progress.batches, "rank": self.rank, "world": self.world}
        source: Iterator[Batch] | None = None
        if progress.batches and progress.examples == self.examples:
            source = iter(())  # fewer processes could cut a short rest off the last batch again
        while True:
            window: list[Batch] = []
            error = None
            try:
                if source is None:
                    source = iter(self.batches(progress.epoch, **place))
                window.extend(islice(source, self.config.accumulate))
            except Exception as caught:
                error = caught
            # What all processes have in hand for the update, and whether they can and want to.
            words = sum(_token_count(batch, self.pad_id) for batch in window)
            rows, size = sum(len(batch.tokens) for batch in window), len(window)
            mine = (words, rows, size, size**2, error is not None, bool(self.stops))
            tokens, examples, batches, squares, failures, stops = map(int, self._summed(*mine))
            if squares * self.world != batches**2 and not failures:
                msg = "training: expected equally many batches in every process, and some ran out "
                msg += "first; let batches() split every global batch among all of them"
                raise InputError(msg)
            if stops:
                self._stop(progress)
            if failures:
                self._save(progress)
                cause = f"{type(error).__name__}: {error}" if error else "in another process"
                msg = (
                    f"epoch {progress.epoch}, batch {progress.batches + len(window) + 1}: expected "
                    f"a batch, and its source failed ({cause}); all {progress.step} steps before "
                    "are kept: mend the source and run the same again"
                )
                raise InputError(msg) from error
            if batches == 0:
                break
            progress = self._update(progress, window, tokens=tokens, examples=examples)
            every = self.config.checkpoint_every
            if every and progress.step % every == 0:
                progress = self._save(progress)
        progress = self._read(progress)
        if progress.tokens == 0:
            msg = f"epoch {progress.epoch}: expected batches with captions, got none; look at what "
            msg += f"batches({progress.epoch}) gives"
            raise InputError(msg)
        return progress

    def end_epoch(self, progress: Progress, valid_loss: float) -> Progress:
        """The epoch's row, and its checkpoint."""
        loss = self._from_main(lambda: valid_loss)
        if not math.isfinite(loss):
            msg = f"epoch {progress.epoch}: expected a finite validation loss, got {loss}"
            msg += "; the last checkpoint stands: mend the validation data"
            raise InputError(msg)
        progress = progress.epoch_done(loss, keep=self.config.keep)
        if self.reporter:
            self.reporter.epoch(progress.history[-1])
        self._save(progress)
        if self._summed(bool(self.stops))[0]:
            self._stop(progress)
        return progress

    def _choose_checkpoint(self) -> str:
        """The name of the checkpoint to go on from; "" without any. Raises InputError for a damaged
        folder, or settings that are not those training began with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = newest_checkpoint(self.folder)
        if found is None:
            return ""
        there, here = found.settings, self.settings
        if other := [name for name in there | here if there.get(name) != here.get(name)]:
            pairs = [(name, there.get(name, "unset"), here.get(name, "unset")) for name in other]
            shown = ", ".join(f"{name} {before}, not {now}" for name, before, now in pairs)
            if GLOBAL in other:
                shown += f" (batch_size {self.config.batch_size} times {self.world} processes)"
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

    def _update(
        self, before: Progress, window: list[Batch], *, tokens: int, examples: int
    ) -> Progress:
        """One update: the gradient of cross-entropy per token plus penalty per example, means over
        all processes and all batches of the window, so that neither accumulating nor distributing
        changes it. What it came to is read at once on CPU, elsewhere by a later `_read`. Raises
        InputError where it cannot be had."""
        # Dropout's seed is a function of seed, step and process, never of history: a resumed run
        # draws what the straight run drew, and a checkpoint needs no generator's state.
        name = f"{self.config.seed} {before.step} {self.rank}"
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
        # Not torch.manual_seed, which would seed devices that are not ours.
        torch.default_generator.manual_seed(number)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(number)
        first, last = before.batches + 1, before.batches + len(window)
        which = f"batch {first}" if last == first else f"batches {first} to {last}"
        where = f"epoch {before.epoch}, {which}"
        self.adam.zero_grad()
        found = []
        for batch in window:
            # Gradients travel between processes once, with the window's last batch.
            waits = self.world > 1 and batch is not window[-1]
            with self.module.no_sync() if waits else nullcontext():
                try:
                    loss, penalty = self.module(
                        batch.inputs.to(self.device, non_blocking=True),
                        batch.tokens.to(self.device, non_blocking=True),
                    )
                    # Gradients are averaged over processes; their sum is wanted.
                    share = loss / (max(1, tokens) / self.world)
                    (share + penalty / (examples / self.world)).backward()
                except RuntimeError as error:
                    # On the CPU it is a plain RuntimeError of c10's DefaultCPUAllocator.
                    texts = ("out of memory", "not enough memory", "can't allocate memory")
                    if not any(text in str(error) for text in texts):
                        raise
                    self.adam.zero_grad()
                    msg = (
                        f"{where}: out of memory; batch_size {self.config.batch_size} does not "
                        "fit; halve it, and double accumulate for the same result, in another "
                        "folder"
                    )
                    raise InputError(msg) from error
                found.append(torch.stack([loss.detach(), penalty.detach().to(loss)]))
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip_norm or math.inf)
        sums = torch.stack([*torch.stack(found).sum(0), norm.to(self.device)])
        done = before.epoch - 1 + before.examples / self.examples if self.examples else 0.0
        rate = rate_at(self.config, step=before.step, progress=done / self.config.epochs)
        after = replace(
            before,
            step=before.step + 1,
            batches=last,
            examples=before.examples + examples,
            tokens=before.tokens + tokens,
        )
        self.unread.append(_Update(after, where, tokens, examples, rate, sums))
        if len(self.unread) == self.read_every:
            after = self._read(after)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        return after

    def _read(self, progress: Progress) -> Progress:
        """Read from the device what the updates since the last read came to, draw it, and add it to
        the progress. Raises InputError for the first that is not finite."""
        updates, self.unread = self.unread, []
        if not updates:
            return progress
        read = torch.stack([each.sums for each in updates]).tolist()
        both = iter(self._summed(*(number for *two, _ in read for number in two)))
        for each, (*_, norm), nats, penalties in zip(updates, read, both, both, strict=True):
            if not math.isfinite(nats + penalties + norm):
                what = "gradient" if math.isfinite(nats + penalties) else "loss"
                msg = (
                    f"{each.where}: expected a finite {what}, got {nats / max(1, each.tokens)} "
                    f"nats per token and a gradient of length {norm}; the last checkpoint stands: "
                    "mend that batch, or begin in another folder with a lower learning_rate than "
                    f"{self.config.learning_rate}"
                )
                raise InputError(msg)
            progress = replace(progress, nats=progress.nats + nats)
            if self.reporter:
                values = {
                    "loss (nats per token)": nats / each.tokens,
                    "penalty (per example)": penalties / each.examples,
                    "gradient norm": norm,
                    "learning rate": each.rate,
                }
                self.reporter.step(each.after, each.examples, values)
        return progress

    def _save(self, progress: Progress) -> Progress:
        """A checkpoint by the main process, unless there is one; the others wait for it. None is
        written before all updates are read."""
        progress = self._read(progress)
        if progress.name == self.saved:
            return progress
        state: dict[str, Any] = {"settings": self.settings, "details": self.details}
        self._from_main(
            lambda: save_checkpoint(progress, self.folder, self.model, self.adam, **state)
        )
        if self.reporter:
            self.reporter.saved(progress)
        self.saved = progress.name
        return progress

    def _stop(self, progress: Progress) -> NoReturn:
        """Leave, as SIGTERM asked, with everything kept."""
        self._save(progress)
        msg = (
            f"training: stopped by SIGTERM in epoch {progress.epoch} after step {progress.step}; "
            f"{self.folder} holds all of it: run the same again to go on"
        )
        raise Interrupted(msg)

    def _summed(self, *values: int | float) -> list[int | float]:
        """Each value, added up over all processes."""
        if self.world == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(mine)
        return mine.tolist()

    def _from_main(self, decide: Callable[[], Value]) -> Value:
        """Give all processes what the main one decides; its InputError is raised in all of them."""
        if self.world == 1:
            return decide()
        outcome: list[Any] = [None, None]
        if self.processes.is_main_process:
            try:
                outcome = [decide(), None]
            except InputError as error:
                outcome = [None, str(error)]
        distributed.broadcast_object_list(outcome, device=self.device)
        if outcome[1] is not None:
            raise InputError(outcome[1])
        return outcome[0]


def rate_at(config: TrainingConfig, *, step: int, progress: float) -> float:
    """The learning rate of update `step` (from 0), with a share `progress` of all epochs behind it.

    It rises in a straight line over `warmup_steps`; a cosine multiplies it by
    (1 + cos(pi * progress)) / 2 (Loshchilov and Hutter 2017, eq. 5, without restarts).
    """
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return rate


class _Reporter:
    """What a person sees of a run, by the main process alone; nothing of it enters a checkpoint.

    Not by `torch.utils.tensorboard`, which writes from a thread: a full disk would end that alone.
    """

    def __init__(self, folder: Path, progress: Progress, *, epochs: int, total: int | None):
        # Imported here: commands that train nothing need not wait for TensorBoard.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder, self.epochs = folder, epochs
        self.event, self.summary, self.files = Event, Summary, {}
        # What earlier files have from `start` on is dropped: steps after the checkpoint that a
        # resumed run starts from come again. Epochs are few, and written anew from the history.
        for name, start in (("steps", progress.step + 1), ("epochs", 0)):
            home = folder / "logs" / name
            home.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads files in the order of their names. Unbuffered: what is behind a
            # checkpoint is not drawn again.
            file = (home / f"events.out.tfevents.{time.time_ns()}").open("xb", buffering=0)
            self.files[name] = RecordWriter(file)
            self._write(name, file_version="brain.Event:2")
            self._write(name, step=start, session_log=SessionLog(status=SessionLog.START))
        for row in progress.history:
            self.epoch(row)
        self.bar = tqdm(
            desc=f"epoch {progress.epoch}/{epochs}",
            total=total and total * epochs,
            initial=progress.examples + (progress.epoch - 1) * (total or 0),
            unit=" examples",
            file=sys.stderr,
            disable=None,  # shown on a terminal
            dynamic_ncols=True,
        )
        self.since, self.clock = progress, time.perf_counter()

    def step(self, after: Progress, examples: int, values: Mapping[str, float]) -> None:
        """Show one update more."""
        self._draw("steps", after.step, values)
        if not self.bar.disable:
            self.bar.set_description(f"epoch {after.epoch}/{self.epochs}", refresh=False)
            nats = values["loss (nats per token)"]
            self.bar.set_postfix_str(f"{nats:.3f} nats per token", refresh=False)
            self.bar.update(examples)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show one finished epoch more: a row of the history."""
        values = {f"perplexity/{side}": row[f"{side}_perplexity"] for side in ("train", "valid")}
        self._draw("epochs", row["epoch"], values)

    def saved(self, after: Progress) -> None:
        """Keep the seconds from the checkpoint before to the one that was written now."""
        now, seconds = time.perf_counter(), _seconds(self.folder)
        of_epoch = seconds.setdefault(str(self.since.epoch), {})
        # The same part again, after a checkpoint was lost: the last time counts.
        of_epoch[str(self.since.batches)] = round(now - self.clock, 6)
        write_whole(self.folder / TIMING, json.dumps(seconds))
        self.since, self.clock = after, now

    def close(self) -> None:
        """End the bar and the curves."""
        for each in (self.bar, *self.files.values()):
            each.close()

    def _draw(self, name: str, step: int, values: Mapping[str, float]) -> None:
        named = [self.summary.Value(tag=tag, simple_value=each) for tag, each in values.items()]
        self._write(name, step=step, summary=self.summary(value=named))

    def _write(self, name: str, **content: Any) -> None:
        event = self.event(wall_time=time.time(), **content)
        self.files[name].write(event.SerializeToString())


def _seconds(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of each epoch, validation included, from each number of batches on."""
    file = folder / TIMING
    return json.loads(file.read_text("utf-8")) if file.exists() else {}
