"""A line of progress for each piece of work: what it is, and how long it takes or took."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ticking(label: str) -> Iterator[Callable[[str], None]]:
    """Print `label ... 41 s` around a piece of work; on a terminal the seconds run meanwhile.

    Yields a function that puts other words in the place of the time. In a log the label is there
    from the start and the rest of its line at the end. Work that raises reads `failed after 3 s`.
    """
    stream, start, said = sys.stdout, time.monotonic(), list[str]()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1):
            print(f"\r{label} ... {span(time.monotonic() - start)} ", end="", file=stream)
            stream.flush()

    print(f"{label} ... ", end="", file=stream, flush=True)
    live = threading.Thread(target=tick, daemon=True) if stream.isatty() else None
    if live:
        live.start()
    end = "failed after"
    try:
        yield said.append
        end = ""
    except KeyboardInterrupt:
        end = "stopped after"
        raise
    finally:
        over.set()
        if live:
            live.join()
            print(f"\r\x1b[K{label} ... ", end="", file=stream)  # over a longer line
        took = span(time.monotonic() - start)
        print(f"{end} {took}" if end else (said or [took])[-1], file=stream, flush=True)


def span(seconds: float) -> str:
    """A duration as one would say it: `0.4 s`, `41 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"
