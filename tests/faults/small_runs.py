"""Small runs: every stage from pictures to published scores in seconds, each run a process.

A server imports everything once and forks each run from there, before any thread exists, so that a
run starts in milliseconds; a run leads a process group of its own, which a test may kill. Its
pictures are drawn here, its songs come from the packages: nothing is fetched.
"""

import atexit
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
COLOURS = ("red", "green", "blue", "grey")
THINGS = ("ball", "box", "house", "kite", "tower", "fish")
STAGES = ("corpora", "vocabulary", "clips", "picture_features", "song_features", "training")


@cache
def server():
    """The one server of this process."""
    runs = Runs()
    atexit.register(runs.close)
    return runs


@cache
def undisturbed():
    """The home of a run that nothing disturbed."""
    home = draw_pictures(Path(server().scratch.name, "undisturbed"))
    server().finish(home)
    return home


class Runs:
    """A server of small runs; `start` gives the id of a process, `wait` its exit status."""

    def __init__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="small-runs-")
        self.errors = Path(self.scratch.name)
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"} | ONE_THREAD,
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.scratch.cleanup()

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, home, *, limit=None, scratch=None, page=None, commands=None):
        """Begin a run in `home`, which publishes to `home/results`.

        `limit` is the most bytes that a file of it may have, `scratch` its folder for temporary
        files, `page` a notebook that is executed in place of the stages, into `home/pages made`.
        `commands` are lines for songtitle's own command line in place of both, on its own pictures.
        """
        return self._ask(
            home=str(home),
            errors=str(self.errors),
            limit=limit,
            scratch=scratch and str(scratch),
            page=page and str(page),
            commands=commands,
        )

    def wait(self, pid):
        """The exit status of a run (of one that was killed, the signal below zero)."""
        return self._ask(wait=pid)

    def said(self, pid):
        """What a run wrote to its standard error."""
        return (self.errors / f"{pid}.txt").read_text("utf-8")

    def computed(self, pid):
        """The stages that a run computed, in order."""
        file = self.errors / f"{pid}.computed"
        return file.read_text("utf-8").split() if file.exists() else []

    def finish(self, home, **options):
        """Run to the end, which has to be a good one; the stages that were computed."""
        pid = self.start(home, **options)
        self.check(pid, self.wait(pid), 0)
        return self.computed(pid)

    def check(self, pid, status, *expected):
        """An ended run: its status is one of those expected, and an error is one line."""
        said = self.said(pid)
        assert status in expected, f"exit {status}: {said[-500:]}"
        lines = [line for line in said.splitlines() if line.startswith("songtitle: ")]
        assert len(lines) == (status == 2), said[-500:]
        assert "Traceback (most" not in said, said[-500:]
        return lines[0] if lines else ""

    def kill(self, pid, *, kernels=False):
        """Kill a run with all of its group, and the kernels of notebooks too, which lead groups of
        their own and outlive it for a moment; whether it was still there."""
        started = psutil.Process(pid).children(recursive=True) if kernels else []
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return self.wait(pid) == -signal.SIGKILL


def draw_pictures(home):
    """Put the captioned pictures of a small run into a data home."""
    from PIL import Image

    for i, (colour, thing) in enumerate((c, t) for c in COLOURS for t in THINGS):
        path = home / "stamps" / f"{thing}s" / colour / "one.png"  # a folder is a series
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = (37 * i % 256, 91 * i % 256, 53 * i % 256)
        Image.new("RGB", (80, 72), shade).save(path)
        path.with_suffix(".txt").write_text(f"a {colour} {thing}\n", "utf-8")
    return home


def findings(home):
    """Stage/key -> what its record holds, less what differs from run to run."""
    return {
        f"{path.parent.parent.name}/{path.parent.name}": without_clock(path)
        for path in sorted((home / "runs").glob("*/*/record.json"))
        if path.parent.suffix == ""
    }


def without_clock(path):
    """A record's own bytes, less the two fields that differ from run to run."""
    content = json.loads(path.read_text("utf-8"))
    return json.dumps({k: v for k, v in content.items() if k not in ("timing", "provenance")})


def as_they_lie(home):
    """Finished stages' files -> time of their last change and bytes of the record."""
    return {
        path.relative_to(home): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.name == "record.json" else path.stat().st_size,
        )
        for record in (home / "runs").glob("*/*/record.json")
        if record.parent.suffix == ""
        for path in record.parent.rglob("*")
    }


def contents(home):
    """Every file that finished stages left -> its bytes, less clocks and what draws curves."""
    found = {}
    for key in findings(home):
        for path in sorted((home / "runs" / key).rglob("*")):
            if path.is_file() and path.name not in ("record.json", "timing.json"):
                found[f"{key}/{path.relative_to(home / 'runs' / key)}"] = path.read_bytes()
    return {name: content for name, content in found.items() if "/logs/" not in name}


def unfinished(home):
    """Whatever a run has begun to write and not ended, by name; an ended run leaves none."""
    names = (path.relative_to(home).as_posix() for path in home.rglob("*"))
    marks = re.compile(r"\.(partial|new|old|part|broken)|/\.[^/]+\.\d+$")
    return [name for name in names if marks.search(name)]


def check_kept(home, before, undisturbed):
    """What was finished before stays as it was, and what is finished now is right."""
    after = as_they_lie(home)
    assert {name: after.get(name) for name in before} == before
    assert findings(home).items() <= findings(undisturbed).items()
    for path in (home / "results").rglob("*.json"):
        json.loads(path.read_text("utf-8"))


def check_equal(home, undisturbed):
    """Records equal those of an undisturbed run, as do their files, and nothing else lies there."""
    assert findings(home) == findings(undisturbed)
    assert contents(home) == contents(undisturbed)
    assert not unfinished(home)


# -- the server -----------------------------------------------------------------------------------


def small_config():
    """The settings of a small run."""
    from dataclasses import replace

    from songtitle.config import PRESETS, ModelConfig, TrainingConfig

    return replace(
        PRESETS["tiny"],
        name="small",
        device="cpu",
        picture_count=None,
        song_count=5,
        clip_seconds=2.0,
        min_count=1,
        crop=64,
        tile_sizes=(64,),
        compared_decoders=("lstm", "attention"),
        model=ModelConfig(dim=96),
        training=TrainingConfig(epochs=3, batch_size=4, checkpoint_every=2),
    )


def list_drawn_pictures(drawn):
    """Let the file list of the stamps be that of the drawn pictures."""
    from songtitle.corpora import manifest

    paths = sorted(path for path in (drawn / "stamps").rglob("*") if path.is_file())
    files = [
        manifest.File(
            path.relative_to(drawn / "stamps").as_posix(),
            manifest.sha256(path),
            path.stat().st_size,
        )
        for path in paths
    ]
    listed = manifest.listed

    @wraps(listed)
    def of_small_runs(name):
        return files if name == "stamps" else listed(name)

    manifest.listed = of_small_runs


def note_what_is_computed(file):
    """Let every stage that is computed, and no other, add its name to a file."""
    from stages import modules

    from songtitle import cache as cache_module

    run_stage = cache_module.run_stage

    def noted(stage, compute, **options):
        @wraps(compute)  # so that its key is that of the stage itself
        def with_a_note(folder):
            with file.open("a", encoding="utf-8") as out:
                out.write(f"{stage}\n")
            return compute(folder)

        return run_stage(stage, with_a_note, **options)

    for module in (cache_module, *modules()):
        if hasattr(module, "run_stage"):
            module.run_stage = noted


def one_run(home):
    """The stages in order, and their records as the book quotes them."""
    from stages import stage

    from songtitle.cache import publish
    from songtitle.corpora.manifest import data_home

    os.environ["SONGTITLE_DATA"] = str(home)
    data_home()
    config = small_config()
    for name in (*STAGES, "scores"):
        asked = stage(name)
        publish(asked, config, asked(config), root=home / "results")
    return 0


def one_page(home, notebook, note):
    """A notebook, executed as `python -m songtitle run` does."""
    from songtitle.book import reproduce

    os.environ["SONGTITLE_DATA"] = str(home)
    os.environ["PYTHONPATH"] = str(ROOT)
    if reproduce.execute(notebook, home / "pages made" / notebook.name, {"preset": "tiny"}):
        note.write_text("page\n")
    return 0


def obey(home, commands):
    """What each line of arguments does, as `python -m songtitle` does it; the last one's status."""
    from songtitle.__main__ import main
    from songtitle.corpora import manifest

    os.environ["SONGTITLE_DATA"] = str(home)
    os.environ["PYTHONPATH"] = str(ROOT)
    manifest.listed = manifest.listed.__wrapped__  # no drawn pictures
    status = 0
    for line in commands:
        status = status or main(line)
    return status


def warm(folder):
    """Have everything imported, compiled and read that a run needs, and no thread left behind."""
    from stages import stage

    home = draw_pictures(folder / "home")
    for name in STAGES[:-1]:
        stage(name)(small_config(), home=home)
    # Not the training: torch's gradients do not work in a fork of a process that has made some.
    pid = fork({"home": str(home), "errors": str(folder)})
    assert os.waitpid(pid, 0)[1] == 0, (folder / f"{pid}.txt").read_text("utf-8")
    one_run(home)


def fork(request):
    pid = os.fork()
    if pid:
        return pid
    from songtitle.errors import InputError

    os.setsid()
    errors = Path(request["errors"])
    out = os.open(errors / f"{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 2)
    os.dup2(out, 1)
    note = errors / f"{os.getpid()}.computed"
    note_what_is_computed(note)
    if request.get("scratch"):
        tempfile.tempdir = request["scratch"]
    if request.get("limit"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], resource.RLIM_INFINITY))
    home, status = Path(request["home"]), 1
    try:
        if request.get("commands"):
            status = obey(home, request["commands"])
        elif request.get("page"):
            status = one_page(home, Path(request["page"]), note)
        else:
            status = one_run(home)
    except InputError as error:
        os.write(2, f"songtitle: {error}\n".encode())
        status = 2
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def serve():
    import papermill  # noqa: F401
    import symusic  # noqa: F401
    import torch
    import torch._dynamo
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: F401

    from songtitle.book import figures, reproduce  # noqa: F401
    from songtitle.search import candidates  # noqa: F401

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        list_drawn_pictures(draw_pictures(Path(scratch, "home")))
        warm(Path(scratch))
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            answer = fork(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
