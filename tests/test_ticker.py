"""Laws of progress lines: whole in a log, alive on a terminal, honest about what failed."""

import io
import re
import time

import pytest

from songtitle.book.reproduce import span, ticking


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_in_a_log_a_piece_of_work_is_one_line_with_its_time(capsys):
    with ticking("[3/17] 03_training"):
        pass
    assert re.fullmatch(r"\[3/17\] 03_training \.\.\. 0\.\d s\n", capsys.readouterr().out)


def test_words_may_stand_in_the_place_of_the_time(capsys):
    with ticking("04_search") as say:
        say("up to date")
    assert capsys.readouterr().out == "04_search ... up to date\n"


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError, "failed after"), (KeyboardInterrupt, "stopped after")]
)
def test_work_that_ends_early_says_so_and_the_error_goes_on(capsys, error, said):
    with pytest.raises(error), ticking("05_titles"):
        raise error
    assert re.fullmatch(rf"05_titles \.\.\. {said} 0\.\d s\n", capsys.readouterr().out)


def test_on_a_terminal_the_seconds_run_while_work_is_under_way(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    with ticking("03_training"):
        time.sleep(1.2)
        assert screen.getvalue().endswith("\r03_training ... 1 s ")
    assert screen.getvalue().endswith("03_training ... 1 s\n")
    assert screen.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (0.96, "1.0 s"),
        (1.0, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3725.0, "1 h 02 min"),
    ],
)
def test_a_duration_reads_as_one_would_say_it(seconds, said):
    assert span(seconds) == said
