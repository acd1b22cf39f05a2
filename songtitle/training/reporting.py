"""Reporting: a progress bar, TensorBoard curves and a log of seconds, by the main process alone.

Nothing of it enters a checkpoint.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from songtitle.training.checkpoints import Progress
from songtitle.training.steps import Update


class _Curves:
    """Curves as TensorBoard reads them, written at once by whoever draws them.

    `torch.utils.tensorboard` writes from a thread, where a full disk ends the thread, not the run.
    What earlier files of the folder have from step `start` on is dropped in favour of this one.
    """

    def __init__(self, folder: Path, *, start: int):
        # Imported here: commands that train nothing need not wait for TensorBoard.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.event, self.summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names.
        self.file = RecordWriter((folder / f"events.out.tfevents.{time.time_ns()}").open("xb"))
        self._write(file_version="brain.Event:2")
        self._write(step=start, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        named = [self.summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=self.summary(value=named))

    def _write(self, **content: Any) -> None:
        self.file.write(self.event(wall_time=time.time(), **content).SerializeToString())


class Reporter:
    """What a person sees of a run while it goes on, and what is left of it in `folder/logs`.

    `total` is the number of examples of an epoch, where known. The bar shows on a terminal.
    """

    def __init__(self, folder: Path, progress: Progress, *, epochs: int, total: int | None):
        self.folder, self.epochs = folder, epochs
        # Steps after the checkpoint that a resumed run starts from come again. Epochs are few, and
        # written anew from the history.
        self.by_step = _Curves(folder / "logs" / "steps", start=progress.step + 1)
        self.by_epoch = _Curves(folder / "logs" / "epochs", start=0)
        for row in progress.history:
            self.epoch(row)
        self.bar = tqdm(
            desc=f"epoch {progress.epoch}/{epochs}",
            total=total and total * epochs,
            initial=progress.examples + (progress.epoch - 1) * (total or 0),
            unit=" examples",
            file=sys.stderr,
            disable=None,
            dynamic_ncols=True,
        )
        self.since, self.clock = progress, time.perf_counter()

    def step(
        self, after: Progress, found: Update, *, tokens: int, examples: int, rate: float
    ) -> None:
        """Show one update more."""
        values = {
            "loss (nats per token)": found.nats / tokens,
            "penalty (per example)": found.penalty / examples,
            "gradient norm": found.norm,
            "learning rate": rate,
        }
        self.by_step.add(after.step, values)
        if not self.bar.disable:
            self.bar.set_description(f"epoch {after.epoch}/{self.epochs}", refresh=False)
            self.bar.set_postfix_str(f"{found.nats / tokens:.3f} nats per token", refresh=False)
            self.bar.update(examples)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show one finished epoch more: a row of the history."""
        values = {f"perplexity/{side}": row[f"{side}_perplexity"] for side in ("train", "valid")}
        self.by_epoch.add(row["epoch"], values)

    def saved(self, after: Progress) -> None:
        """Log the seconds from the checkpoint before to the one that was written now."""
        now = time.perf_counter()
        epoch, since = self.since.epoch, self.since.batches
        entry = {"epoch": epoch, "batches": since, "seconds": round(now - self.clock, 6)}
        with (self.folder / "timing.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry))  # a line that a kill tore stays by itself
        self.since, self.clock = after, now

    def flush(self) -> None:
        """Write the curves so far: what is behind a checkpoint is not drawn again."""
        self.by_step.file.flush()
        self.by_epoch.file.flush()

    def close(self) -> None:
        """End the bar and the curves."""
        self.bar.close()
        self.by_step.file.close()
        self.by_epoch.file.close()


def seconds_by_epoch(folder: Path) -> dict[int, float]:
    """Add up the seconds spent on each epoch, validation and all resumed parts included."""
    parts: dict[tuple[int, int], float] = {}
    file = folder / "timing.jsonl"
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        try:
            entry = json.loads(line)
            # The same part again, after a checkpoint was lost: the last time counts.
            parts[entry["epoch"], entry["batches"]] = entry["seconds"]
        except (ValueError, KeyError, TypeError):
            continue  # an empty line, or one that a kill tore
    found: dict[int, float] = {}
    for (epoch, _), seconds in parts.items():
        found[epoch] = found.get(epoch, 0.0) + seconds
    return found
