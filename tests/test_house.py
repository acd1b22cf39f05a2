"""The house itself: pins, pairs, copies and names stay together."""

import ast
import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PAIRS = sorted((ROOT / "notebooks").glob("*.py"))
EXERCISE = ("solution", "check", "hidden-check")  # tags of an exercise's cells
HIDING = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
# The pages of the experiment: what answers their question is computed in the reader's sight.
COMPUTING = {
    *("01_corpora", "02_inputs", "03_training", "04_search", "05_titles", "06_similarity"),
    *("09_controls", "10_length", "11_forensics"),
}


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


def test_what_is_locked_for_some_pythons_only_is_imported_by_no_module_at_its_top():
    promised = re.search(r"PYTHONS := (.*)", (ROOT / "Makefile").read_text())[1].split()
    everywhere = {name: set() for name in locked()}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if re.match(r"[a-z0-9][a-z0-9._-]*==", line):
            pin = Requirement(line.rstrip(" \\"))
            for version in promised:
                of = {"python_version": version, "python_full_version": f"{version}.9"}
                if pin.marker is None or pin.marker.evaluate(of):
                    everywhere[pin.name].add(version)
    some = {name for name, versions in everywhere.items() if versions != set(promised)}
    assert "webdataset" in some
    packages = {
        module: {plain(each) for each in found}
        for module, found in packages_distributions().items()
    }
    found = []
    for path in [
        path for top in ("songtitle", "benchmarks", "tests") for path in ROOT.glob(f"{top}/**/*.py")
    ]:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found += [
                f"{path.relative_to(ROOT)}: {name}"
                for name in names
                if (top := name.partition(".")[0]) not in sys.stdlib_module_names
                and some & packages.get(top, set())
            ]
    workers = "songtitle/corpora/worker.py: "  # loaded by what finds img2dataset only
    assert [each for each in found if not each.startswith(workers)] == []


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


def code_of(source):
    """Code of a page: all in order as `page`, what readers see of it as `shown`, its exercises."""
    found = {name: [] for name in ("page", "shown", *EXERCISE)}
    for cell in jupytext.read(source).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and "parameters" not in tags:
            (kind,) = tags & set(EXERCISE) or {"page"}
            found[kind].append(cell.source)
            if kind == "page" and not tags & HIDING:
                found["shown"].append(cell.source)
    return found


def lines_of(cells):
    """How many lines of code, those that are blank or a comment left out."""
    lines = [line.strip() for cell in cells for line in cell.splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def ties(code):
    """The asserts that read what the library gave: a name of songtitle's, or one made with it."""
    known = set()
    for node in ast.parse(code).body:
        names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("songtitle"):
            known |= {name.asname or name.name for name in node.names}
        elif {name.id for name in names} & known:
            known |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
            yield from (part for part in ast.walk(node) if isinstance(part, ast.Assert))


@pytest.mark.parametrize("name", sorted(COMPUTING))
def test_a_page_of_the_experiment_shows_its_computing_and_ties_it_to_the_library(name):
    code = code_of(ROOT / "notebooks" / f"{name}.py")
    assert lines_of(code["shown"]) >= 15
    assert lines_of(code["page"]) <= 150
    assert all(lines_of([cell]) <= 25 for cell in code["page"])
    assert any(ties("\n".join(code["page"]))), "expected an assert against the library"


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_what_a_page_imports_keeps_its_meaning(source):
    imported, named = set(), set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("songtitle"):
            imported |= {name.asname or name.name for name in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            named |= {node.name, *(each.arg for each in node.args.args)}
    assert not imported & named


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_other_pages_and_all_exercises_stay_short(source):
    code = code_of(source)
    if source.stem not in COMPUTING:
        assert lines_of(code["page"]) <= 60
    for name in EXERCISE:
        assert len(code[name]) <= 3, name
        assert all(len(cell.splitlines()) <= 10 for cell in code[name]), name


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_no_page_begins_what_takes_an_hour_unless_it_is_asked_to(source):
    code = source.read_text()
    assert "samples.samples," not in code  # the stage; `studies.samples.samples` reads its record


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_every_figure_has_a_caption_a_name_and_alt_text(source):
    for cell in jupytext.read(source).cells:
        assert "incorrectly_encoded_metadata" not in cell.metadata
        if settings := cell.metadata.get("mystnb"):
            assert settings["figure"]["caption"]
            assert settings["figure"]["name"].startswith("fig-")
            assert len(settings["image"]["alt"]) > 30


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


def told(page):
    """The arguments of each command of songtitle's that a page shows in a block of code."""
    fences = re.findall(r"^```([^\n]*)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    blocks = [content for opened, content in fences if not opened.startswith("{")]
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if found := re.search(r"(?:^|-m |\S=\S+ )songtitle (.+)", line):
            yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))], ids=lambda path: path.stem
)
def test_every_command_that_a_page_shows_is_one_that_the_command_line_takes(page):
    from songtitle.__main__ import _parser

    for arguments in told(page):
        assert _parser().parse_args(arguments).command, arguments


def test_commands_are_found_however_they_are_started():
    found = [" ".join(each[:1]) for each in told(ROOT / "book" / "run_the_paper.md")]
    assert {"rehearse", "fetch", "plan", "select", "features", "train", "title"} <= set(found)
    pages = [*(ROOT / "book").glob("*.md"), ROOT / "README.md"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    for start in ("accelerate launch -m", "torchrun --nproc-per-node 8 -m", "RAY_ADDRESS=auto"):
        assert f"{start} songtitle " in text
    assert sum(1 for page in pages for _ in told(page)) > 30


def test_what_ci_runs_is_what_the_readme_says():
    assert "make check test book" in (ROOT / ".ci" / "run").read_text()


def test_importing_songtitle_is_light():
    import subprocess
    import sys

    heavy = {"torch", "numpy", "pandas", "matplotlib"}
    code = f"import sys, songtitle, songtitle.__main__; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|toml|md))`", text)) - {"notebooks/NN_topic.py"}
    assert len(named) > 3
    assert not [n for n in named if not ((ROOT / n).exists() or (ROOT / "songtitle" / n).exists())]


# -- inputs go by their type (songtitle.config.Input), not by the letters of their name

PARTS = re.compile(r"(songs|pictures|photos|timbre|spectrogram|pixels)[: ]*|×")
READ_BY = ("startswith", "endswith", "removeprefix", "removesuffix", "contains", "match", "search")
READ_BY += ("split", "rsplit", "partition", "rpartition", "find", "index", "count", "fullmatch")
# Where names are still read, and why.
BY_NAME = {
    "songtitle/tables.py": "short_name: to do when the record of faults, whose key holds this "
    "file, is made again",
}


def part_of_a_name(node, constants):
    """Whether an expression is a part that names of inputs have, or a tuple of such."""
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    if isinstance(node, ast.Tuple):
        return any(part_of_a_name(each, constants) for each in node.elts)
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and bool(PARTS.fullmatch(value))


def read_by_name(source, *, whole):
    """Lines that tell what an input is from the letters of its name; with `whole`, also those that
    write its name."""
    tree, constants = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            taken = node.func.attr in READ_BY
            if taken and any(part_of_a_name(each, constants) for each in node.args):
                yield node.lineno
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            if part_of_a_name(node.left, constants) and "input" in ast.unparse(node.comparators[0]):
                yield node.lineno
        elif whole and isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"songs: \w+|pictures \d+×\d+", node.value):
                yield node.lineno
        elif whole and isinstance(node, ast.JoinedStr):
            first = node.values[0]
            if isinstance(first, ast.Constant) and first.value in ("pictures ", "songs: "):
                yield node.lineno


@pytest.mark.parametrize(
    "path",
    [
        *sorted((ROOT / "songtitle" / "studies").glob("*.py")),
        *(ROOT / "songtitle/paper").glob("*.py"),
    ],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_what_an_input_is_is_asked_of_its_type(path):
    assert not list(read_by_name(path.read_text("utf-8"), whole=True)), "use config.Input"


@pytest.mark.parametrize("source", PAIRS, ids=lambda path: path.stem)
def test_no_page_tells_what_an_input_is_from_letters_of_its_name(source):
    assert not list(read_by_name(source.read_text("utf-8"), whole=False)), "use presets.Input"


def test_names_that_are_still_read_are_read_there():
    for name, why in BY_NAME.items():
        assert list(read_by_name((ROOT / name).read_text("utf-8"), whole=False)), name
        assert len(why) > 20


@pytest.mark.parametrize(
    "line",
    [
        'name.startswith("songs")',
        'START = ("pictures", "photos")\nname.startswith(START)',
        'frame["input"].str.startswith("pictures")',
        'name.removeprefix("songs: ")',
        'int(name.rsplit("×")[-1])',
        '"pictures" in row["input"]',
        'found["songs: timbre"]',
        'f"pictures {side}×{side}"',
    ],
)
def test_a_name_that_is_read_is_found(line):
    assert list(read_by_name(line, whole=True))


def test_words_and_columns_are_no_names_of_inputs():
    for line in ('row["songs"]', '"songs" in data', 'text.startswith("first")', '"Songs: 3"'):
        assert not list(read_by_name(line, whole=True)), line
