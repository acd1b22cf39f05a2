"""The law of kills: SIGKILL training at random moments, and its last checkpoint shows no trace.

A child of this file imports everything once and forks each run from there, before any thread
exists, so that a run starts in milliseconds.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 30 if os.environ.get("SONGTITLE_SLOW") else 5

SETTINGS = {"epochs": 8, "checkpoint_every": 2, "batch_size": 4}


def run(folder):
    """One run in a process of its own, as a shell would start it."""
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, **SETTINGS)
        finally:
            sys.stderr.flush()
            os._exit(0 if sys.exc_info()[0] is None else 1)
    return pid


def contents(folder):
    home = folder / "checkpoints"
    last = max(path for path in home.iterdir() if path.suffix == "")
    return {path.name: path.read_bytes() for path in sorted(last.iterdir())} | {"": last.name}


def main(folder, kills):
    """Print how many kills struck a run, and how many of them a write."""
    began = time.perf_counter()
    assert os.waitpid(run(folder / "straight"), 0)[1] == 0
    duration = time.perf_counter() - began
    draw = random.Random(int(time.time()))
    struck = writing = finished = 0
    while struck < kills:
        pid = run(folder / "killed")
        # From before the first import to some way into the run, so that all of it is reached.
        time.sleep(draw.uniform(0, min(0.6, 4 * duration / kills)))
        os.kill(pid, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            struck += 1
            writing += bool(list((folder / "killed").glob("checkpoints/*.partial")))
        else:  # it had finished: begin another
            os.replace(folder / "killed", folder / f"finished {finished}")
            finished += 1
    assert os.waitpid(run(folder / "killed"), 0)[1] == 0
    for other in [folder / "killed", *folder.glob("finished *")]:
        assert contents(other) == contents(folder / "straight"), other
        assert not list(other.glob("checkpoints/*.broken")), "a checkpoint was half written"
    print(f"{struck} kills, {writing} while writing; straight run {duration:.1f} s")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
def test_kills_at_random_moments_leave_no_trace_in_the_last_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(KILLS)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{KILLS} kills")


if __name__ == "__main__":
    import torch
    import torch._dynamo  # the optimiser asks for it at the first step
    from training_examples import train

    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
