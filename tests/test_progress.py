"""Laws of progress: a bar on a terminal, a line a minute in a log, nothing where nobody asked."""

import io
import re
import sys
import threading
import time
from functools import partial

import pytest
from test_streams import picture, write_tar

from songtitle import __main__, progress
from songtitle.__main__ import main
from songtitle.book.reproduce import side_by_side


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """No other test of this process is to show anything after these."""
    monkeypatch.setattr(progress, "_asked", threading.Event())


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(monkeypatch, stream, *, pieces=6, each=25.0, clock=None, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress("select", pieces, unit="shards", **options) as advance:
        for _ in range(pieces):
            if clock:
                clock[0] += each
            advance(1)
    return stream.getvalue()


def test_in_a_log_there_is_a_line_a_minute_with_the_time_left(monkeypatch, clock):
    progress.show()
    said = shown(monkeypatch, io.StringIO(), clock=clock).splitlines()
    assert said == [
        "select: 3 of 6 shards, 01:15 gone, 01:15 left",
        "select: 6 of 6 shards, 02:30 gone, 00:00 left",
    ]


def test_what_was_done_before_makes_nothing_faster(monkeypatch, clock):
    told = progress.line("train", 8, 12, unit="examples", seconds=60.0, done=4)
    assert told == "train: 8 of 12 examples, 01:00 gone, 01:00 left"
    assert "? left" in progress.line("train", 4, 12, unit="examples", seconds=60.0, done=4)


def test_on_a_terminal_there_is_a_bar_with_the_time_left(monkeypatch):
    progress.show()
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress("select", 4, unit="shards") as advance:
        for _ in range(4):
            time.sleep(0.15)
            advance(1)
    assert re.search(r"select: +\d+%\|.*\| \d/4 \[\d\d:\d\d<\d\d:\d\d, .*shards", stream.getvalue())
    assert shown(monkeypatch, Terminal(), bar=False) == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_where_no_command_asked_or_another_process_tells_nothing_is_shown(
    monkeypatch, clock, stream
):
    assert shown(monkeypatch, stream(), clock=clock) == ""
    progress.show()
    monkeypatch.setenv("RANK", "1")
    assert shown(monkeypatch, stream(), clock=clock) == ""


@pytest.mark.parametrize("name", ["run", "select", "features", "train", "status"])
def test_commands_that_take_long_ask_for_progress_and_others_do_not(name, monkeypatch):
    monkeypatch.setattr(__main__, f"_{name}", command := lambda options: iter([]))
    command.__name__ = f"_{name}"
    needed = {
        "select": ["x.tar", "--output", "y"],
        "features": ["--shards", "x.tar", "--store", "y"],
        "train": ["--output", "y"],
    }
    assert main([name, *needed.get(name, [])]) == 0
    assert progress._asked.is_set() is (name != "status")


def test_a_selection_the_features_and_a_training_tell_their_progress(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(progress, "EVERY", 0.0)
    for shard in range(4):
        files = [(f"{shard}{n}.jpg", picture(n, 40, 40)) for n in range(4)]
        files += [(f"{shard}{n}.txt", b"a red cat") for n in range(4)]
        write_tar(tmp_path / f"{shard}.tar", files)
    network = ["--encoder", "resnet18", "--weights", "none", "--crop", "32", "--device", "cpu"]
    network += ["--preset", "paper_literal"]
    held, where = ["--held-out", "2"], str(tmp_path)
    store, run = str(tmp_path / "store"), str(tmp_path / "run")
    learning = ["--epochs", "2", "--batch-size", "4", "--min-count", "1", "-p", "model.dim", "16"]
    for arguments, said in (
        (["select", where, "--output", f"{run}-s", "--min-side", "1", "--min-count", "1", *held],
         "select: 4 of 4 shards"),
        (["features", "--shards", where, "--store", store, *network, "--workers", "0"],
         "features: 4 of 4 shards"),
        (["train", "--store", store, "--output", run, *network, *held, *learning],
         "train: 16 of 16 examples"),
    ):  # fmt: skip
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(arguments) == 0, stream.getvalue()
        assert said in stream.getvalue()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_says_in_a_log_who_is_at_work_and_what_time_is_left(monkeypatch, capsys, jobs):
    monkeypatch.setattr(progress, "EVERY", 0.5)
    side_by_side({"03_training": partial(time.sleep, 2.5)}, jobs)
    *busy, last = capsys.readouterr().out.splitlines()
    busy = [line for line in busy if line != "03_training ... "]
    assert busy
    for line in busy:
        assert re.fullmatch(r"03_training \.\.\. \d.*s \[all: 0 of 1, 00:0\d gone, \? left\]", line)
    assert re.fullmatch(r"03_training \.\.\. \d.*s", last)
