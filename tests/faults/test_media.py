"""Broken media: whatever the bytes are, a result or one line that names the file."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import broken_media
import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 10  # seconds that a file may take
MOST = 1024  # MB that the process that reads may ever hold
WHAT = {
    "mp3": "an mp3 file is broken",
    "ogg": "an ogg file is broken",
    "png": "a PNG picture is broken",
    "jpg": "a JPEG picture is broken",
    "svg": "an SVG drawing is broken",
    "abc": "a sheet of tunes (ABC) is broken",
}


class Reader:
    """A process that reads broken files one by one; another takes its place when it dies."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def read(self, kind, seed):
        """Have a file of this kind and seed read; raises AssertionError where that went wrong."""
        if self.process is None:
            command = [sys.executable, broken_media.__file__, str(self.folder)]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._answer(within=120)  # it has torch to import
        print(kind, seed, file=self.process.stdin, flush=True)
        found = self._answer(within=LIMIT)
        if found["peak"] > MOST:
            self.end()
        assert not found["fault"], found["fault"]
        assert found["peak"] <= MOST, f"held {found['peak']:.0f} MB"

    def _answer(self, within):
        began, ender = time.monotonic(), threading.Timer(within, self.process.kill)
        ender.start()
        line = self.process.stdout.readline()
        ender.cancel()
        if line:
            return json.loads(line)
        code = self.end()
        msg = f"its reader ended with {code} after {time.monotonic() - began:.1f} s"
        raise AssertionError(msg)

    def end(self):
        """End the process, if there is one; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.stdin.close()
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    broken_media.make(folder)
    one = Reader(folder)
    yield one
    one.end()


@pytest.mark.parametrize("kind", broken_media.KINDS)
def test_a_broken_file_ends_in_a_result_or_in_one_line_that_names_it(fault, reader, kind):
    each = fault(
        "media",
        WHAT[kind],
        "what can be read of it, or one line that names it; no crash, no hang, no flood of memory",
        full=200 if kind == "abc" else 360,  # a tune is played, which takes ten times as long
        small=20,
    )
    for seed in each.rounds:
        with each.once(f"{kind} of seed {seed}"):
            reader.read(kind, seed)


def test_the_same_seed_breaks_a_file_the_same_way(reader):
    whole = reader.folder / "whole"
    for kind in broken_media.KINDS:
        found = {broken_media.broken(kind, seed, whole) for seed in (0, 1, 2, 0, 1, 2)}
        assert len(found) == 3
