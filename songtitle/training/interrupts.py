"""Interrupts: SIGTERM asks training to stop after the step it is at."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from songtitle.errors import InputError


class Interrupted(InputError):
    """SIGTERM came; a checkpoint was written and the same command goes on from it."""

    exit_code = 128 + signal.SIGTERM  # what a shell reports of a process that SIGTERM ended


class Request:
    """Whether someone has asked to stop."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note it, as a handler of signals."""
        self.came = True


@contextmanager
def listening() -> Iterator[Request]:
    """Take SIGTERM as a request within the block; the handler before it is put back after.

    Only the main thread may set handlers; in another nothing is listened to.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request)
    try:
        yield request
    finally:
        # None stands for a handler that was not set from Python and cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
