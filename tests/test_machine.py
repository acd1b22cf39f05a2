"""Small files are the old or the new ones at any moment; no process outlives its parent."""

import errno
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from songtitle.machine import write_whole

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


def test_a_small_file_is_the_old_one_where_the_new_one_finds_no_room(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_whole(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_what_was_given(tmp_path):
    for content, kept in (("ü\n", "ü\n".encode()), (b"\x00\xff\n", b"\x00\xff\n")):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == kept


def test_what_a_writer_left_who_is_gone_is_cleared_away_and_that_of_a_living_one_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone, living, other = (
        tmp_path / name
        for name in (f".a.json.{ended.pid}", f".a.json.{os.getppid()}", f".b.json.{ended.pid}")
    )
    for file in (gone, living, other):
        file.write_text("half")
    write_whole(tmp_path / "a.json", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.json", living, other])


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
