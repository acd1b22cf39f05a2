"""No process outlives the one that began it."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

POOL = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from songtitle.machine import end_with_parent

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context, initializer=end_with_parent) as pool:
        list(pool.map(abs, range(9)))
        waiting = [pool.submit(time.sleep, 60) for _ in range(2)]
        print("at work", flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_workers_end_with_a_process_that_is_killed(tmp_path, start):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    began = subprocess.Popen([sys.executable, script, start], stdout=subprocess.PIPE, text=True)
    assert began.stdout.readline() == "at work\n"
    workers = psutil.Process(began.pid).children(recursive=True)
    assert len(workers) >= 2
    began.send_signal(signal.SIGKILL)
    began.wait()
    _, left = psutil.wait_procs(workers, timeout=10)
    for each in left:
        each.kill()
    assert not left


def test_a_process_that_python_did_not_begin_goes_on():
    code = "from songtitle.machine import end_with_parent as end; end(); print('here')"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "here\n"
    assert time.monotonic() - started < 30
