"""Laws of the runner: progress, a failure one can read, and going on where it stopped."""

import re

import nbformat
import pytest
from papermill.inspection import inspect_notebook

from songtitle import __main__
from songtitle.book import reproduce
from songtitle.errors import InputError

PAIRS = sorted(reproduce.SOURCES.glob("[0-9]*.py"))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))


def written(folder, name, source):
    content = nbformat.v4.new_notebook()
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    parameters = nbformat.v4.new_code_cell('preset = "tiny"', metadata={"tags": ["parameters"]})
    content.cells = [parameters, nbformat.v4.new_code_cell(source)]
    path = folder / f"{name}.ipynb"
    nbformat.write(content, path)
    return path


def test_a_run_ends_at_the_failed_notebook_and_the_same_command_goes_on_there(
    tmp_path, monkeypatch, capsys
):
    names = ["01_first", "02_second", "03_third"]
    sources = dict.fromkeys(names, "print(preset)") | {"02_second": "values = {}\nvalues['song']"}
    paths = [written(tmp_path, name, source) for name, source in sources.items()]
    monkeypatch.setattr(reproduce, "notebooks", lambda: paths)
    command = ["run", "--preset", "tiny", "--output", str(tmp_path / "out")]

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

    written(tmp_path, "02_second", "print('mended')")
    assert __main__.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[1/3] 01_first ... up to date"
    assert re.fullmatch(r"\[2/3\] 02_second \.\.\. \d.*s", lines[1])
    assert re.fullmatch(r"2 run, 1 up to date, in \d.*s", lines[3])
    assert not kept.exists()


def test_a_traceback_keeps_its_colours_only_where_they_are_asked_for():
    error = reproduce.NotebookError("one line", ["\x1b[31mValueError\x1b[39m", "\x1b[1;32mat 2"])
    assert error.drawn(colour=False) == "ValueError\nat 2\n"
    assert error.drawn(colour=True).startswith("\x1b[31m")


def test_a_message_for_the_reader_is_shown_without_a_traceback(tmp_path, capsys):
    source = "from songtitle.errors import InputError\nraise InputError('x: expected y; do z')"
    path = written(tmp_path, "01_first", source)
    assert __main__.main(["run", str(path), "--preset", "tiny", "--output", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("songtitle: 01_first.ipynb: cell 3 failed: x: expected y; do z; ")


def test_a_notebook_whose_process_dies_is_named(tmp_path):
    path = written(tmp_path, "01_first", "import os\nos._exit(9)")
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
    content = nbformat.v4.new_notebook()
    sizes = 'preset = "tiny"\nsizes: list[int] = None  # or [1, 3]\nlong: bool = False\n'
    content.cells = [nbformat.v4.new_code_cell(sizes, metadata={"tags": ["parameters"]})]
    nbformat.write(content, tmp_path / "typed.ipynb")
    found = reproduce.parameters_of(tmp_path / "typed.ipynb")
    assert found == {"preset": "tiny", "sizes": None, "long": False}
