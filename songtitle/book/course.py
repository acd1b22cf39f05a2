"""Course: a notebook's student version and its hidden checks, and a grader for what comes back.

The exercises stand in the notebooks as sphinx-exercise has them. otter-grader does the work: strips
solutions, packs the checks, runs a submission.
"""

import ast
import contextlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from songtitle.cache import ROOT
from songtitle.errors import InputError

NOTEBOOKS = ROOT / "notebooks"
LIMIT = 15 * 60  # seconds that a submission may run

ASSIGNMENT = """export_cell: false
check_all_cell: true
suppress_no_tests_warning: true
run_tests: false"""
GREETING = (
    "> **Student version.** Run the cells from the top. Write each answer in the cell below its "
    "exercise; a cell `grader.check(...)` says whether it is on the way. Save, hand in this file."
)

_FENCE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<name>exercise|solution(?:-start|-end)?)\}(?P<argument>.*)$",
    re.MULTILINE,
)
_DIRECTIVE = re.compile(
    rf"{_FENCE.pattern}\n(?P<options>(?::[\w-]+:.*\n)*)(?P<text>(?:.*\n)*?)(?P=fence)[ \t]*$",
    re.MULTILINE,
)
_OPTION = re.compile(r"^:([\w-]+):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


class Directive(NamedTuple):
    """One directive of sphinx-exercise."""

    name: str  # exercise, solution, solution-start, solution-end
    argument: str  # an exercise's title, or the label of the exercise that is solved
    options: dict[str, str]
    text: str


@dataclass
class Exercise:
    """An exercise with its solution, in words or in code, and the checks of the latter."""

    label: str
    title: str
    text: str
    solution: Directive | None = None
    answer: list[NotebookNode] = field(default_factory=list)  # what stands in the solution
    checks: list[NotebookNode] = field(default_factory=list)  # for students
    hidden: list[NotebookNode] = field(default_factory=list)  # for the grader

    @property
    def code(self) -> list[NotebookNode]:
        """The cells that solve it, none where the solution is words."""
        return [cell for cell in self.answer if "solution" in _tags(cell)]


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


# --- exercises in a notebook


def read_notebook(path: Path) -> NotebookNode:
    """A notebook from its `.py` or `.ipynb`; InputError where there is none to read."""
    if not path.is_file():
        msg = f"{path}: expected a notebook, found no file; mend the name"
        raise InputError(msg)
    try:
        return jupytext.read(path)
    except Exception as error:  # whatever jupytext and nbformat raise on a file that is none
        msg = f"{path}: expected a notebook (.ipynb), could not read it as one; save it anew"
        raise InputError(msg) from error


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """All exercises of a notebook in order; see `parts` for what is refused."""
    return [part for part in parts(notebook) if isinstance(part, Exercise)]


def parts(notebook: NotebookNode) -> list[NotebookNode | str | Exercise]:
    """A notebook in order: its cells, stretches of Markdown beside directives, its exercises.

    Raises InputError, in one line, for one without a label or with two solutions, for a solution of
    no exercise, and for cells tagged as solution or check that stand outside of one.
    """
    found: list[NotebookNode | str | Exercise] = []
    known: dict[str, Exercise] = {}
    last: Exercise | None = None  # whose checks may follow
    solving: Exercise | None = None  # between solution-start and solution-end
    for cell in notebook.cells:
        for piece in _pieces(cell.source) if cell.cell_type == "markdown" else [cell]:
            if isinstance(piece, Directive):
                if piece.name == "exercise":
                    last = _asked(piece, known)
                    found.append(last)
                elif piece.name == "solution-end":
                    if solving is None:
                        msg = "solution-end: expected a solution-start before it; add one"
                        raise InputError(msg)
                    solving = None
                else:
                    last = _solved(piece, known)
                    solving = last if piece.name == "solution-start" else None
            elif solving:
                cell = new_markdown_cell(piece) if isinstance(piece, str) else piece
                solving.answer.append(cell)
            elif isinstance(piece, str) or not _is_check(piece, last):
                found.append(piece)
    if solving:
        msg = f"{solving.label}: expected a solution-end after its solution-start; add one"
        raise InputError(msg)
    return found


def _pieces(text: str) -> Iterator[str | Directive]:
    """The text of a Markdown cell in order: plain stretches, and the exercises' directives."""
    end = 0
    for found in [*_DIRECTIVE.finditer(text), None]:
        plain = text[end : found.start() if found else None]
        if fence := _FENCE.search(plain):
            msg = f"{fence[0].strip()}: expected a line of {fence['fence']} that ends it; add one"
            raise InputError(msg)
        if plain.strip():
            yield plain.strip("\n")
        if found:
            end, options = found.end(), dict(_OPTION.findall(found["options"]))
            inside = found["text"].strip("\n")
            yield Directive(found["name"], found["argument"].strip(), options, inside)


def _asked(piece: Directive, known: dict[str, Exercise]) -> Exercise:
    label = piece.options.get("label", "")
    if not label or label in known:
        msg = f"exercise {piece.argument or piece.text[:30]!r}: expected a :label: of its own, "
        msg += f"got {label!r}; add one such as ex-04-1"
        raise InputError(msg)
    known[label] = Exercise(label, piece.argument, piece.text)
    return known[label]


def _solved(piece: Directive, known: dict[str, Exercise]) -> Exercise:
    exercise = known.get(piece.argument)
    if exercise is None or exercise.solution is not None:
        msg = f"solution {piece.options.get('label', '')!r}: expected an exercise without a "
        msg += f"solution before it, got {piece.argument!r}; mend one of the labels"
        raise InputError(msg)
    exercise.solution = piece
    return exercise


def _is_check(cell: NotebookNode, exercise: Exercise | None) -> bool:
    """Give a check to the exercise before it; False where the cell is none."""
    kinds = {"check", "hidden-check", "solution"} & set(_tags(cell))
    if not kinds:
        return False
    if exercise is None or exercise.solution is None or "solution" in kinds:
        msg = f"cell tagged {min(kinds)!r}: expected it in or after a solution; "
        msg += f"move {cell.source.splitlines()[:1]}"
        raise InputError(msg)
    (exercise.hidden if "hidden-check" in kinds else exercise.checks).append(cell)
    return True


# --- what students and teachers get


def write_course(
    folder: Path, names: Iterable[str] = (), *, preset: str | None = None
) -> list[tuple[Path, Path]]:
    """Student versions in `folder/student`, and for the teacher `folder/teacher`; their paths.

    The teacher's folder has the notebooks with solutions, and a zip of hidden checks each, which
    any otter takes. `preset` replaces that of the parameters. Raises InputError for a name that
    is no notebook, a folder that is a file, and where otter-grader is not installed.
    """
    known = {path.stem: path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))}
    if not known:
        msg = f"course: expected notebooks in {NOTEBOOKS}, found none; run it in a clone"
        raise InputError(msg)
    chosen = [Path(name).stem for name in names] or list(known)
    if unknown := [name for name in chosen if name not in known]:
        msg = f"{unknown[0]}: no such notebook; expected one of {', '.join(known)}"
        raise InputError(msg)
    try:
        import otter.assign
    except ImportError as error:
        msg = "course: expected otter-grader, found none; pip install 'songtitle[teach]'"
        raise InputError(msg) from error
    student, teacher = folder / "student", folder / "teacher"
    try:
        student.mkdir(parents=True, exist_ok=True)
        teacher.mkdir(exist_ok=True)
    except OSError as error:
        msg = f"{folder}: expected a folder to write to, got {error.strerror}; name another"
        raise InputError(msg) from error
    written = []
    for name in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            source, made = Path(scratch) / f"{name}.ipynb", Path(scratch) / "made"
            nbformat.write(master(read_notebook(known[name]), name, preset=preset), source)
            logging.getLogger("otter").setLevel(logging.ERROR)
            with contextlib.redirect_stdout(io.StringIO()):
                otter.assign.main(str(source), str(made), no_pdfs=True, no_run_tests=True)
            (zipped,) = (made / "autograder").glob("*.zip")
            kept = teacher / f"{name}.zip"
            shutil.move(zipped, kept)
            shutil.move(made / "autograder" / source.name, teacher / source.name)
            os.replace(made / "student" / source.name, student / source.name)
        written.append((student / source.name, kept))
    return written


def master(notebook: NotebookNode, name: str, *, preset: str | None = None) -> NotebookNode:
    """A notebook of the book as a master for `otter assign`; the exercises become questions.

    Cells that only the book needs are left out. An exercise solved in words is read by a person
    (otter: manual), one solved in code by its checks.
    """
    head = f"# ASSIGNMENT CONFIG\nname: {name}\n{ASSIGNMENT}"
    cells, parameters = [new_raw_cell(head), new_markdown_cell(GREETING)], False
    for part in parts(notebook):
        if isinstance(part, Exercise):
            cells += _question(part)
        elif isinstance(part, str):
            cells.append(new_markdown_cell(without_roles(part)))
        elif "remove-cell" not in _tags(part):
            cell = new_code_cell(part.source, metadata={"tags": _tags(part)} if _tags(part) else {})
            if preset and "parameters" in _tags(part):
                pattern, parameters = r'^(preset(?:: str)? = )"\w*"', True
                cell.source = re.sub(pattern, rf'\g<1>"{preset}"', part.source, flags=re.MULTILINE)
            cells.append(cell)
    if preset and not parameters:
        msg = f"{name}: expected a cell of parameters to write the preset to, found none"
        raise InputError(msg)
    metadata = {"kernelspec": dict(notebook.metadata["kernelspec"])}
    return new_notebook(cells=cells, metadata=metadata)


def _question(exercise: Exercise) -> list[NotebookNode]:
    """The cells of one question in otter's format."""
    if exercise.solution is None:
        msg = f"{exercise.label}: expected a solution; add a {{solution}} directive"
        raise InputError(msg)
    checks = [*exercise.checks, *exercise.hidden]
    points = f"points: {len(checks)}" if exercise.code else "manual: true"
    title = f"**Exercise {': '.join(filter(None, (exercise.label[3:], exercise.title)))}**"
    read = names_in("\n".join(cell.source for cell in checks))
    solved = [
        new_code_cell(with_prompt(cell.source, read))
        if cell.cell_type == "code"
        else new_markdown_cell(cell.source)
        for cell in exercise.answer or [new_markdown_cell(exercise.solution.text)]
    ]
    tests = [new_code_cell(cell.source) for cell in exercise.checks]
    tests += [new_code_cell(f"# HIDDEN\n{cell.source}") for cell in exercise.hidden]
    return [
        new_raw_cell(f"# BEGIN QUESTION\nname: {exercise.label}\n{points}"),
        new_markdown_cell(f"{title}\n\n{without_roles(exercise.text)}"),
        *_block("SOLUTION", solved),
        *_block("TESTS", tests),
        new_raw_cell("# END QUESTION"),
    ]


def _block(name: str, cells: list[NotebookNode]) -> list[NotebookNode]:
    edges = new_raw_cell(f"# BEGIN {name}"), new_raw_cell(f"# END {name}")
    return [edges[0], *cells, edges[1]] if cells else []


def without_roles(text: str) -> str:
    """Markdown that Jupyter shows as it is: MyST's roles by their words, glued numbers as dots.

    The record of a student's own run has the numbers; the book is where to read the page's.
    """
    text = re.sub(r"\{glue:\w+\}`[^`]*`", "…", text)
    text = re.sub(r"\{[\w:-]+\}`([^`<]*?)\s*<[^`>]*>`", r"\1", text)  # a title <of its target>
    return re.sub(r"\{[\w:-]+\}`([^`]*)`", r"\1", text)


def names_in(source: str) -> set[str]:
    """The names that a cell reads."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def with_prompt(source: str, checked: set[str]) -> str:
    """A solution's code as otter marks it: gone for students, who get a prompt in its place.

    The prompt has the imports, the heads and docstrings of functions, and `name = ...` for every
    name that a check reads.
    """
    prompt = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            prompt.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef):
            said = ast.get_docstring(node)
            head = [ast.Expr(ast.Constant(said))] if said else []
            node.body = [*head, ast.Expr(ast.Constant(...))]
            prompt.append(ast.unparse(node).replace('"""', "'''"))
        elif isinstance(node, ast.Assign):
            targets = [name.id for name in node.targets if isinstance(name, ast.Name)]
            prompt += [f"{name} = ..." for name in targets if name in checked]
    lines = ["# BEGIN SOLUTION NO PROMPT", source.rstrip(), "# END SOLUTION"]
    return "\n".join([*lines, '""" # BEGIN PROMPT', *prompt, '"""; # END PROMPT'])


# --- what comes back


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
        msg = f"{submission}: expected a student version that `songtitle course` made, got another "
        msg += "notebook; hand in the file that was handed out"
        raise InputError(msg)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if checks is None:
            ((_, checks),) = write_course(folder / "course", [name])
        try:
            with zipfile.ZipFile(checks) as zipped:
                made_for = json.loads(zipped.read("otter_config.json")).get("assignment_name")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            msg = f"{checks}: expected a zip of checks from the teacher's folder; run `course` anew"
            raise InputError(msg) from error
        if made_for != name:
            msg = f"{checks}: expected the checks of {name}, got those of {made_for}; "
            raise InputError(msg + f"take {name}.zip")
        # A copy under a plain name: otter puts the file among others of its own.
        nbformat.write(notebook, folder / "submission.ipynb")
        command = [sys.executable, "-m", "otter", "run", "--no-logo", "-a", str(checks.resolve())]
        command += ["-o", str(folder), str(folder / "submission.ipynb")]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{submission}: expected it to end within {limit:.0f} s, it did not; look for an "
            msg += "endless loop"
            raise InputError(msg) from error
        results = folder / "results.json"
        if not results.is_file():
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            msg = f"{submission}: expected otter to grade it, it said {said!r}; run it in Jupyter"
            raise InputError(msg)
        found = json.loads(results.read_text("utf-8"))["tests"]
    marked = [each for each in found if each["name"].startswith("ex-")]
    points = {each["name"]: (float(each["score"]), float(each["max_score"])) for each in marked}
    source = NOTEBOOKS / f"{name}.py"
    asked = exercises(read_notebook(source)) if source.is_file() else []
    return Grade(name, points, tuple(e.label for e in asked if e.label not in points))
