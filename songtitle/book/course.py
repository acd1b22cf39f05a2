"""Course: a notebook's student version and its hidden checks, and a grader for what comes back.

`write(folder)` makes both from the notebooks of the book, `grade(submission)` marks one notebook.
The exercises stand in the notebooks as sphinx-exercise has them; `questions` says with which tags.
otter-grader does the work: strips solutions, packs the checks, runs a submission.
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

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from songtitle.errors import InputError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
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


@dataclass(frozen=True)
class Directive:
    """One directive of sphinx-exercise: its name, argument, options and text."""

    name: str  # exercise, solution, solution-start, solution-end
    argument: str  # an exercise's title, or the label of the exercise that is solved
    options: dict[str, str]
    text: str

    @property
    def label(self) -> str:
        """What others refer to it by; empty without one."""
        return self.options.get("label", "")


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
        return [cell for cell in self.answer if "solution" in tags(cell)]


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


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


def directives(text: str) -> Iterator[str | Directive]:
    """The text of a Markdown cell in order: plain stretches, and the exercises' directives."""
    end = 0
    for found in _DIRECTIVE.finditer(text):
        yield from _plain(text[end : found.start()])
        options = dict(_OPTION.findall(found["options"]))
        inside = found["text"].strip("\n")
        yield Directive(found["name"], found["argument"].strip(), options, inside)
        end = found.end()
    yield from _plain(text[end:])


def _plain(text: str) -> Iterator[str]:
    if found := _FENCE.search(text):
        msg = f"{found[0].strip()}: expected a line of {found['fence']} that ends it; add one"
        raise InputError(msg)
    if text.strip():
        yield text.strip("\n")


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """All exercises of a notebook in order.

    Raises InputError, in one line, for one without a label or with two solutions, for a solution of
    no exercise, and for cells tagged as solution or check that stand outside of one.
    """
    return [part for part in parts(notebook) if isinstance(part, Exercise)]


def parts(notebook: NotebookNode) -> list[NotebookNode | str | Exercise]:
    """A notebook in order: its cells, stretches of Markdown beside directives, its exercises."""
    found: list[NotebookNode | str | Exercise] = []
    known: dict[str, Exercise] = {}
    last: Exercise | None = None  # whose checks may follow
    solving: Exercise | None = None  # between solution-start and solution-end
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            if solving:
                solving.answer.append(cell)
            elif not _checks(cell, last):
                found.append(cell)
            continue
        for piece in directives(cell.source):
            if isinstance(piece, str):
                if solving:
                    solving.answer.append(NotebookNode(cell | {"source": piece, "metadata": {}}))
                else:
                    found.append(piece)
            elif piece.name == "exercise":
                if not piece.label or piece.label in known:
                    msg = f"exercise {piece.argument or piece.text[:30]!r}: expected a :label: of "
                    msg += f"its own, got {piece.label!r}; add one such as ex-04-1"
                    raise InputError(msg)
                last = known[piece.label] = Exercise(piece.label, piece.argument, piece.text)
                found.append(last)
            elif piece.name == "solution-end":
                if solving is None:
                    msg = "solution-end: expected a solution-start before it; add one"
                    raise InputError(msg)
                solving = None
            else:
                last = _solve(piece, known)
                solving = last if piece.name == "solution-start" else None
    if solving:
        msg = f"{solving.label}: expected a solution-end after its solution-start; add one"
        raise InputError(msg)
    return found


def _solve(piece: Directive, known: dict[str, Exercise]) -> Exercise:
    """Give a solution to its exercise, which is returned."""
    exercise = known.get(piece.argument)
    if exercise is None or exercise.solution is not None:
        msg = f"solution {piece.label!r}: expected an exercise without a solution before it, got "
        msg += f"{piece.argument!r}; mend one of the labels"
        raise InputError(msg)
    exercise.solution = piece
    return exercise


def _checks(cell: NotebookNode, exercise: Exercise | None) -> bool:
    """Give a check to the exercise before it; False where the cell is none."""
    kinds = {"check", "hidden-check", "solution"} & set(tags(cell))
    if not kinds:
        return False
    if exercise is None or exercise.solution is None or "solution" in kinds:
        msg = f"cell tagged {min(kinds)!r}: expected it in or after a solution; "
        msg += f"move {cell.source.splitlines()[:1]}"
        raise InputError(msg)
    (exercise.hidden if "hidden-check" in kinds else exercise.checks).append(cell)
    return True


def named(names: Iterable[str] = (), folder: Path | None = None) -> list[Path]:
    """The notebooks of these names (all of them where none is given) that have exercises."""
    folder = folder or NOTEBOOKS
    known = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.py"))}
    if not known:
        msg = f"course: expected notebooks in {folder}, found none; run it in a clone of the book"
        raise InputError(msg)
    wanted = [Path(name).stem for name in names] or list(known)
    for name in wanted:
        if name not in known:
            msg = f"{name}: no such notebook; expected one of {', '.join(known)}"
            raise InputError(msg)
    return [known[name] for name in wanted]


def write_course(
    folder: Path, names: Iterable[str] = (), *, preset: str | None = None
) -> list[tuple[Path, Path]]:
    """Student versions in `folder/student`, and for the teacher `folder/teacher`; their paths.

    The teacher's folder has the notebooks with solutions, and a zip of hidden checks each, which
    any otter takes. `preset` replaces that of the parameters. Raises InputError for a name that
    is no notebook, a folder that is a file, and where otter-grader is not installed.
    """
    chosen = named(names)
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
    for path in chosen:
        notebook = master(read_notebook(path), path.stem, preset=preset)
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / f"{path.stem}.ipynb"
            nbformat.write(notebook, source)
            logging.getLogger("otter").setLevel(logging.ERROR)
            with contextlib.redirect_stdout(io.StringIO()):
                otter.assign.main(str(source), f"{scratch}/made", no_pdfs=True, no_run_tests=True)
            made = Path(scratch) / "made"
            (zipped,) = (made / "autograder").glob("*.zip")
            kept = teacher / f"{path.stem}.zip"
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
    cells = [new_raw_cell(head), new_markdown_cell(GREETING)]
    for part in parts(notebook):
        if isinstance(part, Exercise):
            cells += _question(part)
        elif isinstance(part, str):
            cells.append(new_markdown_cell(without_roles(part)))
        elif "remove-cell" not in tags(part):
            cells.append(_bare(part, preset))
    if preset and not any("parameters" in tags(cell) for cell in cells):
        msg = f"{name}: expected a cell of parameters to write the preset to, found none"
        raise InputError(msg)
    metadata = {"kernelspec": dict(notebook.metadata["kernelspec"])}
    return new_notebook(cells=cells, metadata=metadata)


def _bare(cell: NotebookNode, preset: str | None) -> NotebookNode:
    source = cell.source
    if preset and "parameters" in tags(cell):
        pattern = r'^(preset(?:: str)? = )"\w*"'
        source = re.sub(pattern, rf'\g<1>"{preset}"', source, flags=re.MULTILINE)
    return new_code_cell(source, metadata={"tags": tags(cell)} if tags(cell) else {})


def _question(exercise: Exercise) -> list[NotebookNode]:
    """The cells of one question in otter's format."""
    if exercise.solution is None:
        msg = f"{exercise.label}: expected a solution; add a {{solution}} directive"
        raise InputError(msg)
    head = f"# BEGIN QUESTION\nname: {exercise.label}\n"
    head += f"points: {len(exercise.checks + exercise.hidden)}" if exercise.code else "manual: true"
    title = f"**Exercise {': '.join(filter(None, (exercise.label[3:], exercise.title)))}**"
    cells = [new_raw_cell(head), new_markdown_cell(f"{title}\n\n{without_roles(exercise.text)}")]
    read = "\n".join(cell.source for cell in (*exercise.checks, *exercise.hidden))
    answer = exercise.answer or [new_markdown_cell(exercise.solution.text)]
    solved = [
        new_code_cell(with_prompt(cell.source, names_in(read)))
        if cell.cell_type == "code"
        else new_markdown_cell(cell.source)
        for cell in answer
    ]
    cells += _block("SOLUTION", solved)
    tests = [new_code_cell(cell.source) for cell in exercise.checks]
    tests += [new_code_cell(f"# HIDDEN\n{cell.source}") for cell in exercise.hidden]
    if tests:
        cells += _block("TESTS", tests)
    return [*cells, new_raw_cell("# END QUESTION")]


def without_roles(text: str) -> str:
    """Markdown that Jupyter shows as it is: MyST's roles by their words, glued numbers as dots.

    The record of a student's own run has the numbers; the book is where to read the page's.
    """
    text = re.sub(r"\{glue:\w+\}`[^`]*`", "…", text)
    text = re.sub(r"\{[\w:-]+\}`([^`<]*?)\s*<[^`>]*>`", r"\1", text)  # a title <of its target>
    return re.sub(r"\{[\w:-]+\}`([^`]*)`", r"\1", text)


def _block(name: str, cells: list[NotebookNode]) -> list[NotebookNode]:
    return [new_raw_cell(f"# BEGIN {name}"), *cells, new_raw_cell(f"# END {name}")]


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
            msg = f"{submission}: expected it to end within {limit:.0f} s, it did not; look for an "
            msg += "endless loop"
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
    source = NOTEBOOKS / f"{name}.py"
    asked = exercises(read_notebook(source)) if source.is_file() else []
    return Grade(name, points, tuple(e.label for e in asked if e.label not in points))


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
