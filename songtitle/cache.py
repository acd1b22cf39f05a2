"""Records: work done once and kept under one key, and whether what is kept is still right.

A stage says, as `Work`, how to fill a folder and what it found. Its key is a hash of its name, its
settings, the keys of its inputs and its code; the same key is never computed twice, and any change
computes anew beside what is there. The same code decides whether a page has to run again and
whether a published record was made by the code at hand.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import shutil
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, ValuesView
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from songtitle import __version__
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.machine import clear_disk_errors, write_whole

RECORD = "record.json"
ROOT = Path(__file__).resolve().parents[1]  # the clone
PUBLISHED = ROOT / "results"  # records that came with the clone
RUN = ROOT / "book" / "_build" / "run"  # what was run here, and the book that is built from it
OWN = RUN / "results"
PACKAGES = ("songtitle", "benchmarks")  # whose code counts


@dataclass(frozen=True)
class Record:
    """What a finished stage left: its findings, where its files lie, and how it came about."""

    stage: str
    key: str
    settings: dict[str, Any]
    inputs: dict[str, str]  # stage name -> key
    code: dict[str, str] | str  # module -> hash of its code; of earlier records one hash of all
    result: dict[str, Any]  # findings: the same for the same key
    timing: dict[str, Any]  # seconds, which differ from run to run
    provenance: dict[str, Any]
    folder: Path

    def file(self, name: str) -> Path:
        """The path of one of the stage's files."""
        return self.folder / name

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON has it (the folder, a fact of one machine, left out)."""
        return {name: value for name, value in vars(self).items() if name != "folder"}

    @property
    def changed(self) -> list[str]:
        """Modules that are not as they were when the record was made; none where it is current."""
        return changed_code(self.code)


class Work(NamedTuple):
    """What a stage has to do: see `run_stage`."""

    compute: Callable[[Path], Mapping[str, Any]]
    settings: Mapping[str, Any]
    inputs: Iterable[Record] = ()


def stage(plan: Callable[..., Work]) -> Callable[..., Record]:
    """Make a stage of `plan(config, *arguments, home=...)`, which says what there is to do.

    The stage is named as the function. `home` defaults to the data home, and equal arguments get
    the same record again in a process, unless the code was reloaded meanwhile.
    """
    known: dict[Any, Record] = {}

    @wraps(plan)
    def ask(config: Any, *arguments: Any, home: Path | None = None) -> Record:
        home = home or data_home()
        key = (config, *map(str, arguments), home, *code_of(plan).values())
        if key not in known:
            work = plan(config, *arguments, home=home)
            known[key] = run_stage(
                plan.__name__, work.compute, settings=work.settings, inputs=work.inputs, home=home
            )
        return known[key]

    return ask


def run_stage(
    stage: str,
    compute: Callable[[Path], Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Record] = (),
    home: Path,
) -> Record:
    """The record of a stage: read if it was computed before, else computed now.

    `compute(folder)` writes its files into `folder`, where those of an interrupted run may lie, and
    returns its findings; a key `timing` among them holds what differs from run to run. In settings
    and findings a record stands for its key, a dataclass for its text where it has one, or for its
    fields. A stage whose record is torn, or whose files are not as it left them, is computed anew.
    Raises InputError where the disk is full, read-only or gone.
    """
    settings = _plain_values(settings)
    keys = {record.stage: record.key for record in inputs}
    code = code_of(compute)
    key = digest([stage, settings, keys, code])
    folder = home / "runs" / stage / key
    if record := _whole(folder):
        return record
    with clear_disk_errors(f"stage {stage}", home):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{key}.lock")):
            if record := _whole(folder):  # another process may have been quicker
                return record
            partial = folder.with_name(f"{key}.partial")
            partial.mkdir(exist_ok=True)
            started, clock = datetime.now(UTC), time.perf_counter()
            result = _plain_values(compute(partial))
            timing = {"seconds": round(time.perf_counter() - clock, 3)} | result.pop("timing", {})
            made = {"started": started.isoformat(timespec="seconds"), "files": _extent(partial)}
            made = provenance() | made
            content = Record(stage, key, settings, keys, code, result, timing, made, folder)
            (partial / RECORD).write_text(json.dumps(content.as_dict(), indent=1) + "\n", "utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a folder without a whole record is no stage
            os.replace(partial, folder)
            return read_record(folder)


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    def default(value: Any) -> Any:
        if isinstance(value, Record):
            return value.key
        if isinstance(value, ValuesView):
            return list(value)
        if not is_dataclass(value) or isinstance(value, type):
            msg = f"expected plain values in a record, got {value!r}"
            raise TypeError(msg)
        return str(value) if "__str__" in vars(type(value)) else asdict(value)

    return dict(json.loads(json.dumps(dict(values), default=default)))


def _whole(folder: Path) -> Record | None:
    """A finished stage's record; None where it is not there or torn, or files are not as left."""
    try:
        record = read_record(folder)
        left = record.provenance.get("files")  # earlier records do not say
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return record if left in (None, _extent(folder)) else None


def _extent(folder: Path) -> dict[str, Any]:
    """How many files of a stage there are, of how many bytes together, and a hash of what JSON they
    hold: other formats are signed, or show for themselves. No names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    ours = [path for path in paths if path.name != RECORD and not path.name.startswith(".")]
    read = b"".join(path.read_bytes() for path in ours if path.suffix == ".json")
    size = sum(path.stat().st_size for path in ours)
    return {"number": len(ours), "bytes": size, "json": hashlib.sha256(read).hexdigest()[:16]}


def read_record(folder: Path) -> Record:
    """The record that lies in a finished stage's folder."""
    return Record(**read_json(folder / RECORD), folder=folder)


def finished(home: Path, stage: str = "*") -> list[Record]:
    """Records of finished stages (of all, or of one by name), oldest first."""
    paths = (home / "runs").glob(f"{stage}/*/{RECORD}")
    ended = [path for path in paths if path.parent.suffix != ".partial"]
    records = [_whole(path.parent) for path in sorted(ended, key=lambda p: p.stat().st_mtime)]
    return [record for record in records if record]


def provenance() -> dict[str, Any]:
    """Code and machine of this run; no names of users, hosts or folders."""
    return {
        "songtitle": __version__,
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        # The book's own outputs are rewritten by every run and say nothing about the code.
        "modified": bool(
            _git("status", "--porcelain", "--", "songtitle", "notebooks", "data_manifest")
        ),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def _git(*arguments: str) -> str | None:
    # Killed while it holds a lock that it need not take, it would leave the clone locked.
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


# --- published records: what a run left for the book, shown where nobody runs it again


def results() -> dict[str, Path]:
    """Every published result by its name, such as `quick/scores.json`: what was run here, where its
    code is current or nothing else is there, else what came with the clone."""
    found = {path.relative_to(PUBLISHED).as_posix(): path for path in PUBLISHED.glob("*/*.json")}
    for own in OWN.glob("*/*.json"):
        name = own.relative_to(OWN).as_posix()
        try:
            code = read_json(own).get("code")
        except (OSError, ValueError, AttributeError):  # torn, so not there
            continue
        if name not in found or not changed_code(code):
            found[name] = own
    return dict(sorted(found.items()))


def published(
    stage: Callable[..., Record],
    config: Any,
    *,
    again: bool = False,
    stays: bool = False,
    roots: Iterable[Path] | None = None,
) -> Record:
    """The record of a stage that takes long: as it was published, else made here.

    A published record is shown only where it was made with exactly these settings, whatever the
    device; with `stays`, for what takes an hour, one of other settings too where there is no
    better. So is one that other code made; `record.changed` and its provenance say which code.
    Otherwise, or with `again`, the stage runs here. A published record
    has findings and no files: its folder is that of the results. Raises InputError for one that
    cannot be read.
    """
    found = []
    for root in () if again else roots or (OWN, PUBLISHED):
        path = root / config.name / f"{stage.__name__}.json"
        try:
            content = read_json(path) if path.is_file() else {}
            same = content.pop("config", None) == _comparable(config)
            if content and (same or stays):
                found.append((not same, Record(**content, folder=path.parent)))
        except (ValueError, TypeError, AttributeError) as error:
            msg = f"{path}: expected a published record, got a torn file or another; restore it "
            msg += "from the repository, or delete it, and the stage runs here"
            raise InputError(msg) from error
    best = min(found, key=lambda each: (each[0], bool(each[1].changed)), default=None)
    return best[1] if best else stage(config)


def publish(stage: Callable[..., Record], config: Any, record: Record, *, root: Path = OWN) -> Path:
    """Write a record that was made here to where `published` looks; one from there stays.

    `config` is the `ExperimentConfig` that it is of; the file's name is of preset and stage.
    """
    path = root / config.name / f"{stage.__name__}.json"
    if record.file(RECORD).is_file():
        content = record.as_dict() | {"config": _comparable(config)}
        with clear_disk_errors(f"results of {stage.__name__}", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _comparable(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.as_dict().items() if name != "device"}


# --- the code that a record rests on


def code_of(function: Callable[..., Any]) -> dict[str, str]:
    """Module -> hash of its code, for the module of `function` and all of ours that it imports.

    Modules are followed to the ground, whether they are imported at the top or within a function,
    and read, not imported. All of a module counts, its constants and tables too; comments,
    docstrings and layout do not: prose may be improved without a rerun. A package that only passes
    names on stands for the modules that they come from. A table of `data_manifest/` counts with the
    module that names it.
    """
    function = inspect.unwrap(function)
    name = function.__module__
    text = _source(name)
    if text is None:  # not of this project: a notebook, a script, a test
        try:
            text = inspect.getsource(sys.modules[name])
        except (OSError, TypeError):
            text = textwrap.dedent(inspect.getsource(function))
    return code_of_text(text, name)


def code_of_text(text: str, name: str = "__main__") -> dict[str, str]:
    """What `code_of` says of a module with this source, such as the cells of a notebook."""
    found: dict[str, str] = {}
    waiting = [(name, text)]
    while waiting:
        name, text = waiting.pop()
        if name not in found:
            found[name], imports, named = _parsed(text)
            found |= {table: _table(table) for table in named if (ROOT / table).is_file()}
            ours = (module for wanted in imports for module in _modules(*wanted))
            waiting += [(module, _source(module) or "") for module in ours]
    return dict(sorted(found.items()))


def tables() -> dict[str, str]:
    """Every table of `data_manifest/` -> its hash."""
    names = sorted(path.name for path in (ROOT / "data_manifest").glob("*.*"))
    return {name: _table(name) for name in map(_as_table, names) if name}


def changed_code(code: Any) -> list[str]:
    """Of the modules and tables that a record rests on, those that are not as they were.

    A record that does not say what it rests on, as earlier ones do not, rests on other code.
    """
    if not isinstance(code, Mapping):
        return ["songtitle"]
    now = {
        name: _table(name) if "/" in name else _parsed(_source(name) or "")[0]
        for name in code
        if "/" in name or name.split(".")[0] in PACKAGES
    }
    return sorted(name for name, meaning in now.items() if meaning != code[name])


def digest(value: object) -> str:
    """A hash, 16 hex digits, of plain values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


_sources: dict[str, tuple[Any, str | None]] = {}


def _source(module: str) -> str | None:
    """The source of one of our modules, as it was when first asked for; None of others.

    What is edited while a process runs is not what the process runs: only a module that was
    loaded anew is read anew.
    """
    loaded = getattr(sys.modules.get(module), "__spec__", None)
    if module not in _sources or _sources[module][0] is not loaded:
        stem = ROOT.joinpath(*module.split("."))
        places = (stem.with_suffix(".py"), stem / "__init__.py") if _is_ours(module) else ()
        texts = (place.read_text("utf-8") for place in places if place.is_file())
        _sources[module] = (loaded, next(texts, None))
    return _sources[module][1]


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in PACKAGES


def _modules(module: str, name: str | None) -> list[str]:
    """Our modules behind `import module`, or behind `from module import name`."""
    text = _source(module)
    if text is None or name is None:
        return [] if text is None else [module]
    if _source(f"{module}.{name}") is not None:
        return [f"{module}.{name}"]
    passed_on = _passed_on(text)
    return _modules(*passed_on[name]) if name in passed_on else [module]


@cache
def _passed_on(text: str) -> dict[str, tuple[str, str]]:
    """Name -> where it comes from, of a package that does nothing but pass names on; else none."""
    body = _without_prose(ast.parse(text)).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    rest = [ast.unparse(node) for node in body if node not in imports]
    pairs = [(str(node.module), alias) for node in imports for alias in node.names]
    only = all(line.startswith("__all__ = ") for line in rest)
    return {alias.asname or alias.name: (it, alias.name) for it, alias in pairs if only}


@cache
def _parsed(text: str) -> tuple[str, list[tuple[str, str | None]], list[str]]:
    """Of a source: a hash of its code, what of ours it imports, and the tables that it names."""
    tree = _without_prose(ast.parse(text))
    imports: dict[tuple[str, str | None], None] = {}
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= dict.fromkeys((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= dict.fromkeys((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.add(_as_table(node.value))
    ours = [wanted for wanted in imports if _is_ours(wanted[0])]
    return digest([*_plain(tree)])[:8], ours, sorted(filter(None, named))


def _without_prose(tree: ast.Module) -> ast.Module:
    """The same tree without docstrings, those of attributes included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_prose(each)]  # type: ignore[attr-defined]
    return tree


def _is_prose(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _plain(node: Any) -> Iterator[Any]:
    """A syntax tree as plain values in prefix order, the same in every version of Python.

    `ast.dump` is not: what is empty is written by some versions, and left out by others.
    """
    if isinstance(node, ast.AST):
        full = {k: v for k, v in ast.iter_fields(node) if v is not None and v != []}
        yield [type(node).__name__, *full]
        for value in full.values():
            yield from _plain(value)
    elif isinstance(node, list):
        yield len(node)
        for value in node:
            yield from _plain(value)
    else:
        yield [type(node).__name__, node if isinstance(node, str) else repr(node)]


def _as_table(name: str) -> str:
    """The path of a table of `data_manifest/`, of its name; nothing of other names."""
    return f"data_manifest/{name}" if name.endswith((".toml", ".csv")) else ""


def _table(name: str) -> str:
    """A hash of a table of `data_manifest/`; of TOML, comments do not count."""
    file = ROOT / name
    return _read_table(file, file.stat().st_mtime_ns) if file.is_file() else ""


@cache
def _read_table(file: Path, changed: int) -> str:
    text = file.read_text("utf-8")
    return digest(tomllib.loads(text) if file.suffix == ".toml" else text)[:8]


def pick(config: Any, *names: str) -> dict[str, Any]:
    """Some of the settings, by name."""
    return {name: getattr(config, name) for name in names}


def write_json(path: Path, content: object) -> None:
    """Write JSON, letters as they are."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text("utf-8"))
