"""The house itself: pins, pairs, copies and names stay together."""

import re
import tomllib
from pathlib import Path

import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PAIRS = sorted((ROOT / "notebooks").glob("*.py"))


def tables():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def project():
    return tables()["project"]


def extras():
    return project()["optional-dependencies"]


def wanted(lines):
    """Requirements, those of the project's own extras in their place."""
    for requirement in map(Requirement, lines):
        if requirement.name == project()["name"]:
            for extra in sorted(requirement.extras):
                yield from wanted(extras()[extra])
        else:
            yield requirement


def locked():
    """Every pin in the lock: name -> versions (one for each marker)."""
    pins = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if found := re.match(r"([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", line):
            pins.setdefault(found[1], []).append(Version(found[2]))
    return pins


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_satisfies_every_dependency():
    pins = locked()
    for requirement in [*wanted(project()["dependencies"]), *wanted(extras()["dev"])]:
        assert plain(requirement.name) in pins, f"{requirement.name}: run `make lock`"
        for version in pins[plain(requirement.name)]:
            assert version in requirement.specifier, f"{requirement}: run `make lock`"


def test_every_pin_has_hashes_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index" not in re.sub(r"#.*", "", text)
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)


def test_conda_installs_the_same_pins_on_a_python_that_the_project_takes():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain_names = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == ["--require-hashes", "--requirement requirements.lock"]
    (python,) = [entry for entry in plain_names if entry.startswith("python=")]
    assert (
        Version(python.split("=")[1]) in Requirement(f"x{project()['requires-python']}").specifier
    )


def test_readme_book_makefile_and_metadata_promise_the_same_pythons():
    makefile, lint = (ROOT / "Makefile").read_text(), tables()["tool"]
    promised = re.search(r"^PYTHONS := (.+)$", makefile, re.MULTILINE)[1].split()
    oldest, newest = Version(promised[0]), Version(promised[-1])
    taken = Requirement(f"x{project()['requires-python']}").specifier
    assert promised == [f"3.{minor}" for minor in range(100) if f"3.{minor}" in taken]
    assert f"--python-version {oldest} " in makefile  # what the lock is solved from
    assert lint["mypy"]["python_version"] == str(oldest)
    assert lint["ruff"]["target-version"] == f"py{oldest.major}{oldest.minor}"
    words = f"Python {', '.join(promised[:-1])} or {newest}"
    for page in ("README.md", "book/again.md"):
        assert f"with {words}, git and make" in (ROOT / page).read_text(), page


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_a_notebook_and_its_pair_hold_the_same_cells(source):
    text = jupytext.read(source)
    pair = jupytext.read(source.with_suffix(".ipynb"))

    def cells(notebook):
        keys = ("tags", "mystnb")
        return [
            (c.cell_type, c.source, {k: c.metadata[k] for k in keys if k in c.metadata})
            for c in notebook.cells
        ]

    assert cells(text) == cells(pair), f"{source.name}: run `make pairs`"
    assert all(not cell.get("outputs") for cell in pair.cells)


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_a_notebook_is_thin(source):
    """Exercise cells count apart: a solution may define a function, which its checks test."""
    cells = [c for c in jupytext.read(source).cells if c.cell_type == "code"]
    kinds = {name: [] for name in ("page", "solution", "check", "hidden-check")}
    for cell in cells:
        mine = [name for name in kinds if name in cell.metadata.get("tags", [])]
        kinds[mine[0] if mine else "page"].append(cell.source)
    lines = [len(cell.splitlines()) for cell in kinds["page"]]
    assert len(lines) <= 12
    assert max(lines) <= 15
    assert sum(lines) <= 60
    assert not re.search(r"^\s*(def|class|async def) ", "\n".join(kinds["page"]), re.MULTILINE)
    for name in ("solution", "check", "hidden-check"):
        assert len(kinds[name]) <= 3, name
        assert all(len(cell.splitlines()) <= 10 for cell in kinds[name]), name


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_every_figure_has_a_caption_a_name_and_alt_text(source):
    for cell in jupytext.read(source).cells:
        assert "incorrectly_encoded_metadata" not in cell.metadata
        if settings := cell.metadata.get("mystnb"):
            assert settings["figure"]["caption"]
            assert settings["figure"]["name"].startswith("fig-")
            assert len(settings["image"]["alt"]) > 40


@pytest.mark.parametrize("name", ["_config.yml", "_toc.yml"])
def test_the_book_reads_a_true_copy_of_the_root_settings(name):
    assert (ROOT / "book" / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", ["_config.yml", "_toc.yml", "environment.yml"])
def test_no_key_is_given_twice(name):
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node, deep=False):
        keys = [loader.construct_object(key, deep=deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{name}: {keys}"
        return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    yaml.load((ROOT / name).read_text(), Strict)


def test_every_page_of_the_contents_is_there():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    for file in [contents["root"], *files]:
        if file.startswith("notebooks/"):
            assert (ROOT / f"{file}.ipynb").exists()
        else:
            assert (ROOT / "book" / f"{file}.md").exists()


def test_readme_commands_are_those_of_the_makefile_and_the_command_line():
    from songtitle.__main__ import _parser

    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)$", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    commands = re.findall(r"-m songtitle (\w+)", readme)
    assert {"fetch", "run", "title", "status"} <= set(commands)
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            _parser().parse_args([command, "--help"])
        assert stop.value.code == 0


def test_what_ci_runs_is_what_the_readme_says():
    assert "make check test book" in (ROOT / ".ci" / "run").read_text()


def test_importing_songtitle_is_light():
    import subprocess
    import sys

    code = "import sys, songtitle, songtitle.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
