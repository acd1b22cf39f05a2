"""Questions: the exercises of a notebook, read from their directives and from their cells' tags.

An exercise is a directive in a Markdown cell; so is a solution in words, in the same cell or a
later one. A solution in code stands between two directives, its cell tagged `solution`, and is
followed by its checks. The book removes these; the first kind goes to students, the second not.

    ```{exercise} Title             # %% [markdown]
    :label: ex-04-1                 # ```{solution-start} ex-04-1
    ...                             # :label: sol-04-1
    ```                             # :class: dropdown
    ```{solution} ex-04-1           # ```
    :label: sol-04-1                # %% tags=["solution"]
    :class: dropdown                # %% [markdown]
    ...                             # ```{solution-end}
    ```                             # ```
                                    # %% tags=["check", "remove-cell"]
                                    # %% tags=["hidden-check", "remove-cell"]
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from songtitle.errors import InputError

_FENCE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<name>exercise|solution(?:-start|-end)?)\}(?P<rest>.*)$"
)
_OPTION = re.compile(r"^:(?P<name>[\w-]+):(?P<value>.*)$")


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
    plain: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        found = _FENCE.match(line)
        if not found:
            plain.append(line)
            continue
        if "\n".join(plain).strip():
            yield "\n".join(plain).strip("\n")
        plain = []
        inside = []
        for inner in lines:
            if inner.rstrip() == found["fence"]:
                break
            inside.append(inner)
        else:
            msg = f"{line.strip()}: expected a line of {found['fence']} that ends it; add one"
            raise InputError(msg)
        options = {}
        while inside and (option := _OPTION.match(inside[0])):
            options[option["name"]] = option["value"].strip()
            inside.pop(0)
        body = "\n".join(inside).strip("\n")
        yield Directive(found["name"], found["rest"].strip(), options, body)
    if "\n".join(plain).strip():
        yield "\n".join(plain).strip("\n")


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
                    msg = (
                        f"exercise {piece.argument or piece.text[:30]!r}: expected a :label: of "
                        f"its own, got {piece.label!r}; add one such as ex-04-1"
                    )
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
        msg = (
            f"solution {piece.label!r}: expected an exercise without a solution before it, got "
            f"{piece.argument!r}; mend one of the labels"
        )
        raise InputError(msg)
    exercise.solution = piece
    return exercise


def _checks(cell: NotebookNode, exercise: Exercise | None) -> bool:
    """Give a check to the exercise before it; False where the cell is none."""
    kinds = {"check", "hidden-check", "solution"} & set(tags(cell))
    if not kinds:
        return False
    if exercise is None or exercise.solution is None or "solution" in kinds:
        msg = (
            f"cell tagged {min(kinds)!r}: expected it in or after a solution; "
            f"move {cell.source.splitlines()[:1]}"
        )
        raise InputError(msg)
    (exercise.hidden if "hidden-check" in kinds else exercise.checks).append(cell)
    return True
