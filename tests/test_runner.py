"""Laws of the runner: progress, side by side, a failure one can read, and going on after it."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
from papermill.inspection import inspect_notebook
from small_books import written

from songtitle import __main__
from songtitle.book import reproduce
from songtitle.book.reproduce import side_by_side, span
from songtitle.errors import InputError

PAIRS = sorted(reproduce.SOURCES.glob("[0-9]*.py"))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_run_ends_at_the_failed_notebook_and_the_same_command_goes_on_there(
    tmp_path, monkeypatch, capsys
):
    names = ["01_first", "02_second", "03_third"]
    sources = dict.fromkeys(names, "print(preset)") | {"02_second": "values = {}\nvalues['song']"}
    paths = [written(tmp_path / f"{name}.ipynb", source) for name, source in sources.items()]
    monkeypatch.setattr(reproduce, "notebooks", lambda: paths)
    command = ["run", "--preset", "tiny", "--output", str(tmp_path / "out"), "--jobs", "1"]

    assert __main__.main(command) == 2
    shown = capsys.readouterr()
    first, second = shown.out.splitlines()
    assert re.fullmatch(r"\[1/3\] 01_first \.\.\. \d.*s", first)
    assert re.fullmatch(r"\[2/3\] 02_second \.\.\. failed after \d.*s", second)
    *traceback, last = shown.err.splitlines()
    kept = tmp_path / "home" / "failed" / "02_second.ipynb"
    assert last == (
        f"songtitle: 02_second.ipynb: cell 3 failed: KeyError: 'song'; traceback in {kept}; "
        "the same command goes on at this notebook"
    )
    assert "----> 2 values['song']" in "\n".join(traceback)
    assert "\x1b" not in shown.err
    assert "----> 2 values['song']" in kept.read_text("utf-8")
    assert "u001b" not in kept.read_text("utf-8")
    assert not (tmp_path / "out" / "03_third.ipynb").exists()

    written(tmp_path / "02_second.ipynb", "print('mended')")
    assert __main__.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[1/3] 01_first ... up to date"
    assert re.fullmatch(r"\[2/3\] 02_second \.\.\. \d.*s", lines[1])
    assert re.fullmatch(r"2 run, 1 up to date, in \d.*s", lines[3])
    assert not kept.exists()


def left_of(home):
    """The processes of a run, its kernels included, that are still there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and str(home) in str(process.environ()):
                found.append(process)
    return found


def test_notebooks_run_side_by_side_are_the_bytes_of_those_run_one_by_one(tmp_path, monkeypatch):
    # Each waits for the other: alone, neither would end.
    meet = """import os, pathlib, time
mine, others = pathlib.Path(os.environ["SONGTITLE_DATA"], "{}"), "{}"
mine.touch()
while not mine.with_name(others).exists(): time.sleep(0.05)
print(preset)"""
    paths = [
        written(tmp_path / "01_first.ipynb", meet.format("one", "two")),
        written(tmp_path / "02_second.ipynb", meet.format("two", "one")),
        written(tmp_path / "03_third.ipynb", "print(preset)"),
    ]
    monkeypatch.setattr(reproduce, "notebooks", lambda: paths)
    made = []
    for jobs in (2, 1):  # where the second comes both have been there already
        reproduce.run("tiny", output=tmp_path / f"out {jobs}", jobs=jobs)
        pages = sorted((tmp_path / f"out {jobs}").glob("*.ipynb"))
        made.append({page.name: page.read_bytes() for page in pages})
    assert len(made[0]) == 3
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name
)
def test_a_run_that_is_ended_leaves_nothing_running_and_nothing_half_written(tmp_path, end):
    home, out = tmp_path / "home", tmp_path / "out"
    source = """import os, pathlib, time
pathlib.Path(os.environ["SONGTITLE_DATA"], f"{}").touch()
time.sleep(600)"""
    names = ["01_first", "02_second"]
    paths = [written(tmp_path / f"{name}.ipynb", source.replace("{}", name)) for name in names]
    command = [sys.executable, "-m", "songtitle", "run", *map(str, paths), "--jobs", "2"]
    started = subprocess.Popen(
        [*command, "--preset", "tiny", "--output", str(out)],
        env=os.environ | {"PYTHONPATH": str(reproduce.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever the tests were started by: in the background of a script SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 120
    while not all((home / name).exists() for name in names) and time.monotonic() < limit:
        time.sleep(0.1)
    started.send_signal(end)
    said, errors = started.communicate(timeout=60)
    while left_of(home) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not left_of(home)
    assert not list(out.glob("**/*.ipynb"))
    if end == signal.SIGINT:
        assert started.returncode == 130
        assert errors == "songtitle: stopped; the same command goes on from here\n"
        assert [line.split(" ... ")[0] for line in sorted(said.splitlines())] == [
            "[1/2] 01_first",
            "[2/2] 02_second",
        ]
        assert said.count("stopped after") == 2


def test_the_page_that_trains_begins_and_the_scoreboard_waits_for_all_others(monkeypatch):
    asked = []

    def noted(work, jobs=None):
        asked.append([label.split()[-1] for label in work])
        return len(work)

    monkeypatch.setattr(reproduce, "side_by_side", noted)
    reproduce.run("tiny")
    others, last = asked
    assert others[: len(reproduce.FIRST)] == list(reproduce.FIRST)
    assert others[0] == "03_training"
    assert last == ["14_scoreboard"]
    assert sorted(others + last) == [path.stem for path in reproduce.notebooks()]


def test_a_traceback_keeps_its_colours_where_there_is_a_terminal(monkeypatch, tmp_path):
    path = written(tmp_path / "01_first.ipynb", "1 / 0")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert __main__.main(["run", str(path), "--preset", "tiny", "--output", str(tmp_path)]) == 2
    assert "\x1b[" in screen.getvalue()


def test_a_message_for_the_reader_is_shown_without_a_traceback(tmp_path, capsys):
    source = "from songtitle.errors import InputError\nraise InputError('x: expected y; do z')"
    path = written(tmp_path / "01_first.ipynb", source)
    assert __main__.main(["run", str(path), "--preset", "tiny", "--output", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("songtitle: 01_first.ipynb: cell 3 failed: x: expected y; do z; ")


def test_a_notebook_whose_process_dies_is_named(tmp_path):
    path = written(tmp_path / "01_first.ipynb", "import os\nos._exit(9)")
    with pytest.raises(InputError, match=r"01_first\.ipynb: its process died.*; the same command"):
        reproduce.execute(path, tmp_path / "out.ipynb", {})


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_papermill_explains_every_parameter_of_a_notebook(source):
    path = source.with_suffix(".ipynb")
    said = inspect_notebook(path)
    assert list(said) == list(reproduce.parameters_of(path))
    for name, facts in said.items():
        assert len(facts["help"]) > 15, f"{source.name}: say in a comment what {name} is"
        assert facts["inferred_type_name"] != "None", f"{source.name}: give {name} a type"


def test_a_parameter_with_a_type_is_read_like_one_without(tmp_path):
    sizes = 'preset = "tiny"\nsizes: list[int] = None  # or [1, 3]\nlong: bool = False\n'
    typed = written(tmp_path / "typed.ipynb", parameters=sizes)
    assert reproduce.parameters_of(typed) == {"preset": "tiny", "sizes": None, "long": False}


@pytest.mark.parametrize("jobs", [1, 2])
def test_in_a_log_a_piece_of_work_is_one_line_with_its_time_or_words_in_its_place(capsys, jobs):
    work = {"[3/17] 03_training": partial(str, ""), "04_search": partial(str, "up to date")}
    assert side_by_side(work, jobs) == 1
    first, second = sorted(capsys.readouterr().out.splitlines(), reverse=True)
    assert re.fullmatch(r"\[3/17\] 03_training \.\.\. \d.*s", first)
    assert second == "04_search ... up to date"


def test_work_that_fails_says_so_what_is_under_way_stops_and_the_error_goes_on(capsys):
    work = {"01": partial(time.sleep, 600), "02": partial(int, "x"), "03": partial(str, "")}
    with pytest.raises(ValueError, match="invalid literal"):
        side_by_side(work, 2)
    failed, stopped = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"02 \.\.\. failed after \d.*s", failed)
    assert re.fullmatch(r"01 \.\.\. stopped after \d.*s", stopped)


def test_work_whose_process_dies_is_named(capsys):
    with pytest.raises(InputError, match="01: its process died; the same command goes on"):
        side_by_side({"01": partial(os._exit, 9)})
    assert "01 ... failed after" in capsys.readouterr().out


def test_on_a_terminal_the_seconds_run_while_work_is_under_way(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    side_by_side({"03_training": partial(time.sleep, 2.5)})
    said = screen.getvalue()
    assert "\r\x1b[K03_training ... 1 s " in said
    assert re.search(r"\r\x1b\[K03_training \.\.\. \d s\n$", said)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0.04, "0.0 s"), (0.96, "1.0 s"), (1.0, "1 s"), (59.4, "59 s"), (59.6, "1 min 00 s")),
        *((185.0, "3 min 05 s"), (3599.7, "1 h 00 min"), (3725.0, "1 h 02 min")),
    ],
)
def test_a_duration_reads_as_one_would_say_it(seconds, said):
    assert span(seconds) == said
