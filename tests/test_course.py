"""Exercises and course: all are solved, students see no solution, the grader tells them apart."""

import json
import re

import jupytext
import nbformat
import pytest
import yaml

from songtitle.__main__ import main
from songtitle.book import course
from songtitle.cache import ROOT
from songtitle.errors import InputError

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
PROSE = [
    path for path in sorted((ROOT / "book").glob("*.md")) if "## Exercises" in path.read_text()
]
CODED = [path for path in NOTEBOOKS if any(e.code for e in course.exercises(jupytext.read(path)))]

PAGE = '''# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A page
#
# It says {term}`a word` and {glue:text}`a.number:.1f`, as {doc}`another page <04_search>` does.

# %% tags=["parameters"]
preset: str = "quick"  # settings

# %%
seven = 7
seven

# %% [markdown]
# ## Exercises
#
# ```{exercise} By hand
# :label: ex-99-1
#
# What is one and one?
# ```
#
# ```{solution} ex-99-1
# :label: sol-99-1
# :class: dropdown
#
# SECRET words.
# ```
#
# ```{exercise} In code
# :label: ex-99-2
#
# Write `double`, and find `fourteen`.
# ```
#
# ```{solution-start} ex-99-2
# :label: sol-99-2
# :class: dropdown
# ```
#
# SECRET thoughts.

# %% tags=["solution"]
import math
def double(x):
    """Twice x."""
    SECRET = 2
    return SECRET * x
fourteen = double(seven)

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert double(1) == 2

# %% tags=["hidden-check", "remove-cell"]
assert double(21) == 42
assert fourteen == 14

# %% tags=["remove-cell"]
print("for the book alone")
'''


def exercises_of(path):
    if path.suffix == ".md":
        cell = nbformat.v4.new_markdown_cell(path.read_text("utf-8"))
        return course.exercises(nbformat.v4.new_notebook(cells=[cell]))
    return course.exercises(jupytext.read(path))


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PROSE], ids=lambda path: path.stem)
def test_a_page_has_two_or_three_exercises_each_with_one_folded_solution(path):
    found = exercises_of(path)
    assert 2 <= len(found) <= 3
    for exercise in found:
        assert exercise.solution is not None, exercise.label
        assert exercise.solution.options["class"] == "dropdown"
        assert exercise.solution.options["label"] == exercise.label.replace("ex-", "sol-", 1)
        words = exercise.solution.text or " ".join(cell.source for cell in exercise.answer)
        assert len(words) > 40, exercise.label
    if path.suffix == ".py":
        numbers = [f"ex-{path.stem[:2]}-{k}" for k in range(1, len(found) + 1)]
        assert [exercise.label for exercise in found] == numbers


def test_every_chapter_has_exercises_in_directives_and_no_label_comes_twice():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    chapters = {name for name in files if name.startswith("notebooks/")}
    assert chapters <= {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    labels = [e.label for path in (*NOTEBOOKS, *PROSE) for e in exercises_of(path)]
    assert len(labels) == len(set(labels))
    for path in (*NOTEBOOKS, *PROSE):
        after = path.read_text("utf-8").split("## Exercises", 1)[1]
        assert not re.search(r"^(# )?\d\. ", after, re.MULTILINE), path.name


def test_eight_notebooks_ask_for_code_with_two_kinds_of_checks_and_no_public_one_tells_the_answer():
    assert len(CODED) >= 8
    for exercise in (e for path in CODED for e in exercises_of(path) if e.code):
        assert exercise.checks, exercise.label
        assert exercise.hidden, exercise.label
        for cell in (*exercise.checks, *exercise.hidden):
            assert "remove-cell" in cell.metadata["tags"]
        public = {line for cell in exercise.checks for line in cell.source.splitlines()}
        hidden = [cell.source.splitlines() for cell in exercise.hidden]
        assert all(set(lines) - public for lines in hidden), exercise.label


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every notebook's student version and checks: name -> (notebook, zip)."""
    folder = tmp_path_factory.mktemp("course")
    return {student.stem: (student, checks) for student, checks in course.write_course(folder)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_student_version_has_a_place_for_each_answer_and_holds_none(path, made):
    student = made[path.stem][0]
    text, notebook = student.read_text("utf-8"), nbformat.read(student, 4)
    nbformat.validate(notebook)
    assert "{solution" not in text
    assert "{exercise" not in text
    assert all(not cell.get("outputs") for cell in notebook.cells)
    places = [c for c in notebook.cells if "otter_answer_cell" in c.metadata.get("tags", [])]
    assert len(places) == len(exercises_of(path))
    sources = "\n".join(cell.source for cell in notebook.cells)
    for exercise in exercises_of(path):
        assert exercise.text.split()[0] in sources
        assert f"Exercise {exercise.label[3:]}" in sources
        hidden = [exercise.solution.text, *(cell.source for cell in exercise.hidden)]
        prose = [cell.source for cell in exercise.answer if cell.cell_type == "markdown"]
        for part in filter(None, (*hidden, *prose)):
            assert json.dumps(part)[1:-1] not in text, exercise.label
        asked = exercise.text + "\n".join(cell.source for cell in exercise.checks)
        for line in "\n".join(cell.source for cell in exercise.code).splitlines():
            kept = line.startswith(("import ", "from ", "def ")) or '"""' in line
            if not kept and line.strip() not in asked:
                assert line.strip() not in sources, line


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of its own in a folder of its own."""
    (tmp_path / "99_page.py").write_text(PAGE)
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path)
    return tmp_path


def test_the_grader_passes_the_solution_and_fails_the_blank(page):
    ((student, checks),) = course.write_course(page / "out", ["99_page"])
    blank = course.grade(student, checks)
    solved = course.grade(checks.with_suffix(".ipynb"), checks)
    assert (blank.total, blank.possible) == (0, 2)
    assert (solved.total, solved.possible) == (2, 2)
    assert solved.by_hand == ("ex-99-1",)


def test_every_solution_passes_its_own_checks_and_no_blank_passes_one():
    """The checks of solutions that need no record, run as plain code."""
    tried = 0
    for path in CODED:
        for exercise in exercises_of(path):
            code = "\n".join(cell.source for cell in exercise.code)
            checks = [cell.source for cell in (*exercise.checks, *exercise.hidden)]
            if re.search(r"\b(record|config|wave|words)\b", code + "".join(checks)):
                continue
            tried += 1
            names = {}
            exec(code, names)
            for check in checks:
                exec(check, dict(names))
            prompt = course.with_prompt(code, course.names_in("\n".join(checks)))
            blank = {}
            exec(prompt.split('""" # BEGIN PROMPT')[1].split('"""; # END')[0], blank)
            for check in checks:
                with pytest.raises((TypeError, AttributeError, AssertionError)):
                    exec(check, dict(blank))
    assert tried >= 8


def test_a_student_version_has_words_for_roles_a_preset_and_no_cell_of_the_book_alone(page):
    ((student, _),) = course.write_course(page / "out", preset="tiny")
    text = student.read_text("utf-8")
    assert "It says a word and …, as another page does." in text
    assert "for the book alone" not in text
    assert 'preset: str = "tiny"  # settings' in text.replace('\\"', '"')


END = "# ```{solution-end}\n# ```\n"
START = '# %% tags=["solution"]'


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (":label: ex-99-1\n", "\n", "a :label: of its own"),
        ("{solution} ex-99-1", "{solution} ex-99-7", "an exercise without a solution"),
        ("{solution} ex-99-1", "{note} ex-99-1", "expected a solution"),
        (f"{END}\n", "", "expected a solution-end"),
        (START, f"# %% [markdown]\n{END}\n# %% tags=['x']", "expected a solution-start"),
    ],
)
def test_a_page_that_is_no_course_is_refused_in_one_line(page, old, new, what):
    (page / "99_page.py").write_text(PAGE.replace(old, new))
    with pytest.raises(InputError, match=what) as error:
        course.write_course(page / "out")
    assert "\n" not in str(error.value)


def test_what_is_no_submission_is_refused_in_one_line(page, tmp_path, capsys):
    ((student, checks),) = course.write_course(page / "out")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "other.ipynb")
    (tmp_path / "torn.ipynb").write_text("{")
    (tmp_path / "no.zip").write_bytes(b"PK")
    for wrong in (["missing.ipynb"], ["other.ipynb"], ["torn.ipynb"]):
        assert main(["grade", *(str(tmp_path / name) for name in wrong)]) == 2
    assert main(["grade", str(student), "--checks", str(tmp_path / "no.zip")]) == 2
    renamed = nbformat.read(student, 4)
    renamed.metadata["otter"]["assignment_name"] = "04_search"
    nbformat.write(renamed, tmp_path / "renamed.ipynb")
    assert main(["grade", str(tmp_path / "renamed.ipynb"), "--checks", str(checks)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("songtitle: ") and "expected" in line for line in lines)


def test_a_course_that_cannot_be_made_is_refused_in_one_line(page, capsys):
    (page / "file").write_text("")
    for wrong in (["out", "98_none"], ["file"], ["out", "--preset", "large"]):
        assert main(["course", str(page / wrong[0]), *wrong[1:]]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all("expected" in line for line in lines)


def test_a_submission_that_never_ends_is_stopped(page):
    source = PAGE.replace("seven = 7\n", "import time\ntime.sleep(60)\n")
    (page / "99_page.py").write_text(source)
    ((student, checks),) = course.write_course(page / "out")
    with pytest.raises(InputError, match="expected it to end within 4 s"):
        course.grade(student, checks, limit=4.0)
