"""Processes that another began: none outlives it, even where it is killed."""

import multiprocessing
import os
import threading
from multiprocessing import connection

_watching = threading.Event()


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, even by SIGKILL.

    For the `initializer` of a pool: left alone, a worker of multiprocessing finishes its piece and
    then waits for more for ever. Does nothing in a process that no other of Python's began.
    """
    parent = multiprocessing.parent_process()
    if parent is None or _watching.is_set():
        return
    _watching.set()

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
