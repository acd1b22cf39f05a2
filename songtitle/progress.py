"""Progress: how far something long is, and when it may end: a bar where a person looks on, else a
line a minute. Only a command asks for it, by `show`, so that notebooks stay quiet."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines of a log
LINE = "{desc}: {n_fmt} of {total_fmt}{unit}, {elapsed} gone, {remaining} left"

_asked = threading.Event()


def show() -> None:
    """Let this process show progress from now on."""
    _asked.set()


def line(
    what: str, count: int, total: int, *, seconds: float, unit: str = "", done: int = 0
) -> str:
    """Say in words that `count` of `total` pieces are there after so many seconds, `done` of them
    before these: "features: 12 of 592 shards, 01:10 gone, 56:40 left"."""
    told = {"prefix": what, "unit": unit and f" {unit}", "initial": done, "bar_format": LINE}
    return str(tqdm.format_meter(count, total, seconds, **told))


@contextmanager
def progress(
    what: str, total: int, *, unit: str, done: int = 0, bar: bool = True
) -> Iterator[Callable[[int], object]]:
    """Give what is to be called with how many pieces more are there, of `total`.

    On a terminal it moves a bar, unless `bar` says that there is one already; elsewhere it writes
    `line` to the log, once in EVERY seconds. Of many processes the first one tells.
    """
    asked, live = _asked.is_set() and os.environ.get("RANK", "0") == "0", sys.stderr.isatty()
    if asked and live and bar:
        shown = {"unit": f" {unit}", "file": sys.stderr, "leave": False, "dynamic_ncols": True}
        with tqdm(desc=what, total=total, initial=done, **shown) as its:
            yield its.update
        return
    begun = said = time.monotonic()
    count = done

    def advance(more: int) -> None:
        nonlocal count, said
        count, now = count + more, time.monotonic()
        if asked and not live and now - said >= EVERY:
            said = now
            told = line(what, count, total, unit=unit, seconds=now - begun, done=done)
            print(told, file=sys.stderr, flush=True)

    yield advance
