"""Stages: work done once, kept under a hash of all it depends on, with a record of how.

A stage is a function that fills a folder and returns its findings. Its key is a hash of its name,
its settings, the keys of its inputs and the code it can reach; the same key is never computed
twice, and any change computes anew beside what is there.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from songtitle import __version__
from songtitle.disk import clear_disk_errors

RECORD = "record.json"


@dataclass(frozen=True)
class Record:
    """What a finished stage left: its findings, where its files lie, and how it came about."""

    stage: str
    key: str
    settings: dict[str, Any]
    inputs: dict[str, str]  # stage name -> key
    code: str  # hash of the code the stage can reach
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


def run_stage(
    stage: str,
    compute: Callable[[Path], Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Record] = (),
    home: Path,
) -> Record:
    """The record of a stage: read if it was computed before, else computed now.

    `compute(folder)` writes its files into `folder` and returns its findings; a key `timing` among
    them holds what differs from run to run. It may find files of an interrupted run there, and may
    go on from them.

    A stage whose record is torn, or whose files are not as it left them, is computed anew. Raises
    InputError where the disk is full, read-only or gone.
    """
    settings = json.loads(json.dumps(dict(settings)))
    keys = {record.stage: record.key for record in inputs}
    version = code_version(compute)
    key = _digest([stage, settings, keys, version])
    runs = home / "runs" / stage
    folder = runs / key
    record = _whole(folder)
    if record is not None:
        return record
    with clear_disk_errors(f"stage {stage}", home):
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(runs / f"{key}.lock"):
            record = _whole(folder)  # another process may have been quicker
            if record is not None:
                return record
            partial = runs / f"{key}.partial"
            partial.mkdir(exist_ok=True)
            started, clock = datetime.now(UTC), time.perf_counter()
            result = json.loads(json.dumps(dict(compute(partial))))
            timing = {"seconds": round(time.perf_counter() - clock, 3)}
            timing |= result.pop("timing", {})
            made = {"started": started.isoformat(timespec="seconds"), "files": _extent(partial)}
            content = {
                "stage": stage,
                "key": key,
                "settings": settings,
                "inputs": keys,
                "code": version,
                "result": result,
                "timing": timing,
                "provenance": provenance() | made,
            }
            (partial / RECORD).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a folder without a whole record is no stage
            os.replace(partial, folder)
            return read_record(folder)


def _whole(folder: Path) -> Record | None:
    """The record of a finished stage; None where it is not there or torn, or files are not as they
    were left."""
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
    return {
        "number": len(ours),
        "bytes": sum(path.stat().st_size for path in ours),
        "json": hashlib.sha256(read).hexdigest()[:16],
    }


def read_record(folder: Path) -> Record:
    """The record that lies in a finished stage's folder."""
    return Record(**json.loads((folder / RECORD).read_text("utf-8")), folder=folder)


def finished(home: Path, stage: str = "*") -> list[Record]:
    """Records of finished stages (of all, or of one by name), oldest first."""
    paths = (home / "runs").glob(f"{stage}/*/{RECORD}")
    ended = [path for path in paths if path.parent.suffix != ".partial"]
    records = [_whole(path.parent) for path in sorted(ended, key=lambda p: p.stat().st_mtime)]
    return [record for record in records if record is not None]


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
    here = Path(__file__).parent.parent
    # Killed while it holds a lock that it need not take, it would leave the clone locked.
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


_versions: dict[tuple[Any, ...], str] = {}  # a process asks for the same few again and again


def code_version(function: Callable[..., Any]) -> str:
    """A hash of what `function` means, with all the songtitle code that it can reach by name.

    Functions and classes count with all that they name in turn; of a module that is named as a
    whole, all of it counts, and all that it imports from songtitle. Comments, docstrings and layout
    do not count: prose may be improved without a rerun.
    """
    function = inspect.unwrap(function)
    # One closure's code can carry other functions each time it is made.
    carried = tuple(value for value in _carried(function) if _is_ours(value))
    key = (function.__code__, *carried)
    if key not in _versions:
        _versions[key] = _digest(_reachable(function))
    return _versions[key]


def _reachable(function: Callable[..., Any]) -> dict[str, str]:
    """Qualified name -> meaning, of all that a function can reach."""
    meanings: dict[str, str] = {}
    waiting: list[Any] = [function]
    while waiting:
        value = waiting.pop()
        if inspect.ismodule(value):
            value = value.__name__
        if isinstance(value, str):  # a module: read, not imported, since some want extras
            if value not in meanings:
                source = _source(value)
                meanings[value] = _meaning(source)
                waiting += _imports(source)
            continue
        value = inspect.unwrap(value)
        name = f"{value.__module__}.{value.__qualname__}"
        if name not in meanings:
            try:
                source = inspect.getsource(value)
            except OSError:  # generated, as a dataclass's __init__ is: its class counts
                source = ""
            meanings[name] = _meaning(textwrap.dedent(source))
            waiting += [found for found in _named_values(value) if _is_ours(found)]
            waiting += _imported_within(value)
    return meanings


def _is_ours(value: Any) -> bool:
    if inspect.ismodule(value):
        return value.__name__.startswith("songtitle")
    value = inspect.unwrap(value)  # a cached function is no function by itself
    module = str(getattr(value, "__module__", ""))
    has_source = inspect.isfunction(value) or inspect.isclass(value)
    # How records are kept changes nothing in them.
    return has_source and module.startswith("songtitle") and module != __name__


def _named_values(value: Any) -> list[Any]:
    """What the names in the code of a function (or of a class's methods) stand for."""
    if inspect.isclass(value):
        methods = [
            getattr(each, "__func__", getattr(each, "fget", each)) for each in vars(value).values()
        ]
        named = [
            _named_values(inspect.unwrap(each)) for each in methods if inspect.isfunction(each)
        ]
        return [*value.__mro__[1:], *(found for names in named for found in names)]
    names: set[str] = set()
    codes = [value.__code__]
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [const for const in code.co_consts if inspect.iscode(const)]
    known = [value.__globals__[name] for name in sorted(names & value.__globals__.keys())]
    return known + _carried(value)


def _imported_within(function: Any) -> list[str]:
    """Our modules that a function imports when it runs: they stand in it by their full names."""
    names = function.__code__.co_names if inspect.isfunction(function) else ()
    return [name for name in names if name.startswith("songtitle.") and _file(name)]


def _carried(function: Callable[..., Any]) -> list[Any]:
    """What a closure holds of the function that made it."""
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _file(module: str) -> Path | None:
    """Where the source of one of our modules lies; None where there is no such module."""
    stem = Path(__file__).parent.joinpath(*module.split(".")[1:])
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


def _source(module: str) -> str:
    file = _file(module)
    assert file is not None, module
    return file.read_text("utf-8")


def _imports(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("songtitle."):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in inside if _file(name)] or [str(node.module)]
        elif isinstance(node, ast.ImportFrom) and node.module == "songtitle":
            found += [f"songtitle.{alias.name}" for alias in node.names if alias.name[0] != "_"]
    return found


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_string(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
