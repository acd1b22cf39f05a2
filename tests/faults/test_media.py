"""Broken media: whatever the bytes are, a result or one line that names the file."""

import json
import subprocess
import threading
import time

import broken_media
import captioner
import pytest

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
            command, environment = captioner.python()
            self.process = subprocess.Popen(
                [*command, broken_media.__file__, str(self.folder)],
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
        few=20,
    )
    for seed in each.rounds:
        with each.once(f"{kind} of seed {seed}"):
            reader.read(kind, seed)


def test_the_same_seed_breaks_a_file_the_same_way(reader):
    whole = reader.folder / "whole"
    for kind in broken_media.KINDS:
        found = {broken_media.broken(kind, seed, whole) for seed in (0, 1, 2, 0, 1, 2)}
        assert len(found) == 3


def test_a_batch_goes_on_past_broken_files_and_names_each_of_them(fault, reader, tmp_path):
    each = fault(
        "media",
        "broken files lie among those to be named",
        "titles for all that can be read, one line for each of the others, and exit status 2",
        full=120,
        few=24,
    )
    captioner.train(tmp_path / "home")
    songs, wanted = tmp_path / "songs", {}
    songs.mkdir()
    for number in each.rounds:  # one in three is whole, one has nothing that could be read
        kind, whole = ("mp3", "ogg")[number % 2], reader.folder / "whole"
        path = songs / f"{number:03}.{kind}"
        found = ((whole / f"0.{kind}").read_bytes(), broken_media.broken(kind, number, whole), b"x")
        path.write_bytes(found[number % 3])
        wanted[path] = ("titles", None, "a line")[number % 3]
    command, environment = captioner.python(tmp_path / "home")
    done = subprocess.run(
        [*command, "-m", "songtitle", "title", "--json", *map(str, wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == [str(path) for path in wanted]
    reported = done.stderr.splitlines()
    for path, answer in zip(wanted, answers, strict=True):
        with each.once(path.name):
            lines = [line for line in reported if str(path) in line]
            got = "titles" if answer.get("titles") else "a line"
            assert wanted[path] in (None, got)
            assert lines == ([] if got == "titles" else [f"songtitle: {answer['error']}"])
    assert done.returncode == 2
    assert len(reported) == sum("error" in answer for answer in answers)
