"""Assignments: our tags and directives in otter's own format, and what otter makes of them."""

import ast
import contextlib
import io
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from songtitle.course.questions import Exercise, parts, read_notebook, tags
from songtitle.errors import InputError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

GREETING = (
    "> **Student version.** Run the cells from the top. Write each answer in the cell below its "
    "exercise; a cell `grader.check(...)` says whether it is on the way. Save, hand in this file."
)


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


def write(
    folder: Path, names: Iterable[str] = (), *, preset: str | None = None
) -> list[tuple[Path, Path]]:
    """Student versions in `folder/student`, and for the teacher `folder/teacher`; their paths.

    The teacher's folder has the notebooks with solutions, and a zip of hidden checks each, which
    any otter takes. `preset` replaces that of the parameters. Raises InputError for a name that
    is no notebook, a folder that is a file, and where otter-grader is not installed.
    """
    chosen = named(names)
    otter = _otter()
    student, teacher = folder / "student", folder / "teacher"
    for place in (student, teacher):
        try:
            place.mkdir(parents=True, exist_ok=True)
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
                otter.main(str(source), f"{scratch}/made", no_pdfs=True, no_run_tests=True)
            made = Path(scratch) / "made"
            (zipped,) = (made / "autograder").glob("*.zip")
            kept = teacher / f"{path.stem}.zip"
            shutil.move(zipped, kept)
            shutil.move(made / "autograder" / source.name, teacher / source.name)
            os.replace(made / "student" / source.name, student / source.name)
        written.append((student / source.name, kept))
    return written


def _otter() -> ModuleType:
    try:
        import otter.assign
    except ImportError as error:
        msg = "course: expected otter-grader, found none; pip install 'songtitle[teach]'"
        raise InputError(msg) from error
    return otter.assign


def master(notebook: NotebookNode, name: str, *, preset: str | None = None) -> NotebookNode:
    """A notebook of the book as a master for `otter assign`; the exercises become questions.

    Cells that only the book needs are left out. An exercise solved in words is read by a person
    (otter: manual), one solved in code by its checks.
    """
    config = [
        "# ASSIGNMENT CONFIG",
        f"name: {name}",
        "export_cell: false",
        "check_all_cell: true",
        "suppress_no_tests_warning: true",
        "run_tests: false",
    ]
    cells = [new_raw_cell("\n".join(config)), new_markdown_cell(GREETING)]
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
    answer = exercise.answer or [new_markdown_cell(exercise.solution.text)]
    names = {
        name for cell in (*exercise.checks, *exercise.hidden) for name in names_in(cell.source)
    }
    solved = [
        new_code_cell(with_prompt(cell.source, names))
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
