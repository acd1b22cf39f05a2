"""Grades: one submission run and marked by otter, on this machine, without a container."""

import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nbformat

from songtitle.course.assignments import NOTEBOOKS, write
from songtitle.course.questions import read_notebook
from songtitle.errors import InputError

LIMIT = 15 * 60  # seconds that a submission may run


@dataclass(frozen=True)
class Grade:
    """What a submission got: points of each question that checks can mark, and what they cannot."""

    notebook: str
    points: dict[str, tuple[float, float]]  # question -> (got, of)
    by_hand: tuple[str, ...]  # questions answered in words

    @property
    def total(self) -> float:
        """Points got from checks."""
        return sum(got for got, _ in self.points.values())

    @property
    def possible(self) -> float:
        """Points that checks give at most."""
        return sum(of for _, of in self.points.values())


def grade(submission: Path, checks: Path | None = None, *, limit: float = LIMIT) -> Grade:
    """Run a submission from the top and mark it by the hidden checks.

    `checks` is the zip from the teacher's folder; without it the checks are taken from the notebook
    of the same name in this clone. The submission's code runs with its caller's rights.
    Raises InputError for a file that is no notebook or no student version, for the checks of
    another notebook, and for one that does not end within `limit` seconds.
    """
    notebook = read_notebook(submission)
    name = notebook.metadata.get("otter", {}).get("assignment_name")
    if submission.suffix != ".ipynb" or not name:
        msg = (
            f"{submission}: expected a student version that `songtitle course` made, got another "
            "notebook; hand in the file that was handed out"
        )
        raise InputError(msg)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if checks is None:
            ((_, checks),) = write(folder / "course", [name])
        _check_zip(checks, name)
        # A copy under a plain name: otter puts the file among others of its own.
        nbformat.write(notebook, folder / "submission.ipynb")
        command = [sys.executable, "-m", "otter", "run", "--no-logo", "-a", str(checks.resolve())]
        command += ["-o", str(folder), str(folder / "submission.ipynb")]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            msg = (
                f"{submission}: expected it to end within {limit:.0f} s, it did not; look for an "
                "endless loop"
            )
            raise InputError(msg) from error
        results = folder / "results.json"
        if not results.is_file():
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            msg = f"{submission}: expected otter to grade it, it said {said!r}; run it in Jupyter"
            raise InputError(msg)
        found = json.loads(results.read_text("utf-8"))["tests"]
    points = {
        each["name"]: (float(each["score"]), float(each["max_score"]))
        for each in found
        if each["name"].startswith("ex-")
    }
    return Grade(name, points, _by_hand(name, points))


def _check_zip(checks: Path, name: str) -> None:
    try:
        with zipfile.ZipFile(checks) as zipped:
            made_for = json.loads(zipped.read("otter_config.json")).get("assignment_name")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        msg = f"{checks}: expected a zip of checks from the teacher's folder; run `course` anew"
        raise InputError(msg) from error
    if made_for != name:
        msg = f"{checks}: expected the checks of {name}, got those of {made_for}; take {name}.zip"
        raise InputError(msg)


def _by_hand(name: str, points: dict[str, tuple[float, float]]) -> tuple[str, ...]:
    """The exercises of a notebook that no check marks."""
    from songtitle.course.questions import exercises

    source = NOTEBOOKS / f"{name}.py"
    if not source.is_file():
        return ()
    return tuple(e.label for e in exercises(read_notebook(source)) if e.label not in points)
