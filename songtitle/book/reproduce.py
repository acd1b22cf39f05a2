"""Reproduce the book: run its notebooks side by side, keep what they found, build and check it.

A page that was run carries in `metadata.songtitle` how it came about, the same each time: run,
preset, seed, device, commit, records, data. Its wall time and its date stand in a file beside the
pages, so that two runs that show the same are the same bytes.
"""

import ast
import hashlib
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from songtitle import cache, progress
from songtitle.cache import RECORD, ROOT, Record, changed_code, code_of_text, digest, provenance
from songtitle.config import (
    ExperimentConfig,
    check_device,
    flat,
    is_setting,
    nearest,
    preset,
    setting,
    settings,
)
from songtitle.corpora.manifest import data_home
from songtitle.declared import corpora_of
from songtitle.errors import InputError, expect
from songtitle.machine import clear_disk_errors, end_with_parent, write_whole
from songtitle.schema import brief

SOURCES = ROOT / "notebooks"
BOOK = ROOT / "book"  # prose, and what was published: `jupyter-book build book` needs no run
DEMO = "extra/demo/model"  # in the book: the captioner that names songs in the reader's browser
EXECUTED = cache.RUN / "notebooks"
TIMES = "songtitle-run.json"  # beside executed pages: what differs from run to run

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # the colours of a traceback
GO_ON = "the same command goes on at this notebook"
UP_TO_DATE = "up to date"
MEMORY = 2 << 30  # bytes that a notebook may take: no more run at a time than there is room for

# Settings that change no page, and what to take instead.
NO_PAGE = {
    "model.fine_tune": "`python -m songtitle train --fine-tune`; pages keep what a network gives",
    "search.beam_size": "beam_sizes",
}

# The pages to begin with: first the one that trains, which others wait for, beside it those that
# need no training, then the one that takes longest after it.
FIRST = (
    *("03_training", "06_similarity", "01_corpora", "02_inputs", "07_paper_corpora"),
    *("16_detective", "08_speed", "13_samples", "18_faults", "09_controls"),
)
SCOREBOARD = "14_scoreboard"  # the page that judges by what all others found

# Stages that a run keeps, by their module of `songtitle.experiment`.
STAGES = {
    "corpora": ("corpora", "vocabulary"),
    "duplicates": ("near_duplicates",),
    "learning": ("training",),
    "scoring": ("scores", "comparison", "lengths"),
    "baselines": ("baselines",),
    "listening": ("listening",),
    "similarity": ("similarity", "likeness"),
    "controls": ("controls", "self_retrieval", "differences", "replicates"),
    "forensics": ("content_free", "readings"),
    "switchboard": ("switchboard",),
    "samples": ("samples", "track_listening"),
    "second_ear": ("second_ear",),
}
# Those that take minutes, shown as published unless asked to run `again`, and the page of each.
LONG = {
    "comparison": "03_training",
    "replicates": "09_controls",
    "switchboard": "12_switchboard",
    "samples": "13_samples",
    "second_ear": "13_samples",
}
# Of these what takes an hour together: a run leaves them as they were published, and says so.
ON_REQUEST = ("samples", "second_ear")
AGAIN = "python -m songtitle run 13_samples --preset samples --publish"
SAMPLES = "samples"  # the preset of stages on real songs
REAL = ("samples", "second_ear")  # modules whose stages are of real songs alone
BOTH = ("baselines",)  # stages that are kept of the run's own songs and of real ones
MEASURED = {"benchmarks": "08_speed", "faults": "18_faults"}  # folders of results, and their pages

# Every table and figure of the paper, and what checks its corpora, by the anchor in the book.
EXPECTED = """
tab-1 tab-2 tab-3 tab-4 tab-5 fig-1 fig-2 fig-3 fig-4 fig-5 fig-6 fig-7a fig-7b fig-8a fig-8b fig-8c
tab-census tab-links tab-joins tab-names tab-clips tab-comparison tab-speed fig-speed fig-growth
fig-maps-timbre fig-likeness tab-references fig-controls tab-controls tab-retrieval tab-replicates
tab-paired tab-power fig-length tab-length tab-content-free fig-prefixes fig-forensics tab-forensics
tab-assumptions fig-tornado tab-switchboard tab-real fig-verdicts tab-scoreboard tab-relations
tab-guessing tab-branches fig-beam-1 fig-beam-5 fig-beam-20 tab-settings tab-frames fig-settings
tab-contradictions tab-lengths-real fig-labs tab-labs fig-faults tab-faults tab-ceilings
tab-baselines fig-listening tab-listening tab-listening-words tab-samples-listening tab-second-ear
tab-samples-baselines tab-near tab-by-items
""".split()  # noqa: SIM905


# --- notebooks, and what they take


def notebooks() -> list[Path]:
    """The notebooks in reading order."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.ipynb"))


def parameters_of(notebook: Path) -> dict[str, Any]:
    """Names and defaults in the cell tagged `parameters`."""
    if not notebook.is_file():
        names = ", ".join(path.stem for path in notebooks())
        msg = f"{notebook}: no such notebook; expected one of {names}"
        raise InputError(msg)
    for cell in _json(notebook)["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            return {
                target.id: ast.literal_eval(node.value)  # type: ignore[attr-defined, arg-type]
                for node in ast.parse("".join(cell["source"])).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            }
    msg = f"{notebook.name}: expected a cell tagged 'parameters'"
    raise InputError(msg)


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse, in one line, what papermill would pass over or only stumble on later."""
    known = parameters_of(notebook)
    _check_known(parameters, known, f"not a parameter of {notebook.name}; it has")
    named = parameters.get("preset", known["preset"])
    if not isinstance(named, str):
        msg = f"preset: expected a name, such as {known['preset']!r}, got {named!r}; mend it"
        raise InputError(msg)
    config, usual = _config({**parameters, "preset": named}), preset(named)
    corpora_of(config.corpora)  # a reader's own file has to be one
    for name in (name for name in settings() if setting(config, name) != setting(usual, name)):
        value, msg = setting(config, name), ""
        if name in NO_PAGE:
            msg = f"{name}: expected as the preset has it, for no page reads it, got {brief(value)}"
            msg += f"; take {NO_PAGE[name]}"
        elif name in ("model.weights", "model.word_vectors"):
            from songtitle.model.weights import NAMED

            names = NAMED if name == "model.weights" else ("none", "glove")
            if value not in names and not Path(value.partition("#")[0]).is_file():
                msg = f"{name}: expected {', '.join(names)} or the path of a file, got "
                msg += f"{brief(value)}; there is no such file"
        if msg:
            raise InputError(msg)
    for name in known.keys() & parameters.keys() - {"preset", "settings"}:
        if not is_setting(name) and type(parameters[name]) is not type(known[name]):
            kind, got = type(known[name]).__name__, parameters[name]
            msg = f"{name}: expected {kind}, such as {known[name]!r}, got {got!r}; mend -p {name}"
            raise InputError(msg)


def _check_known(names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            told, near = (name, nearest(name, *known)) if name.isidentifier() else (repr(name), "")
            msg = f"{told}: {what} {', '.join(known)}{near}"
            raise InputError(msg)


def placed(known: Collection[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as parameters of a notebook: a setting that is none of them goes into `settings`.

    None leaves a parameter as it is. What has a dot is taken for a setting, to be refused as one.
    """
    parameters: dict[str, Any] = {}
    within: dict[str, Any] = {}
    for name, value in changes.items():
        apart = is_setting(name) or re.fullmatch(r"\w+(\.\w+)+", name)
        if name not in known and "settings" in known and apart:
            within[name] = value
        elif value is not None:
            parameters[name] = value
    if within:
        parameters["settings"] = flat(parameters.get("settings", {})) | flat(within)
    return parameters


def _for_each(
    name: str, chosen: list[Path], changes: Mapping[str, Any]
) -> list[tuple[Path, dict[str, Any]]]:
    """The notebooks to run with the parameters of each; refuses what fits none before any runs."""
    known = {notebook: parameters_of(notebook) for notebook in chosen or notebooks()}
    if not chosen:
        every = list(dict.fromkeys(each for names in known.values() for each in names))
        _check_known(placed(every, changes), every, "not a parameter of any notebook; they have")
    found = []
    for notebook, names in known.items():
        parameters = {"preset": name} | placed(names, changes)
        if not chosen:  # what one notebook varies is no business of the others
            parameters = {key: value for key, value in parameters.items() if key in names}
        check_parameters(notebook, parameters)
        found.append((notebook, parameters))
    return found


def _config(asked: Mapping[str, Any]) -> ExperimentConfig:
    """The settings that parameters of a run, or of a page, stand for."""
    own = {name: value for name, value in asked.items() if is_setting(name)}
    return preset(asked.get("preset", "quick"), asked.get("settings"), **own)


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# --- one page


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    *,
    asked: Mapping[str, Any] | None = None,
) -> bool:
    """Run one notebook with papermill; False if `output` is already what would come out.

    A page that came with the clone does not count: the data home remembers what was made here. The
    output holds no papermill or timing metadata, and replaces an earlier one only when the run has
    succeeded. `asked` are the settings of the whole run, where this page knows only a part.
    """
    check_parameters(notebook, parameters)
    code, key = code_of_page(notebook), _key(notebook, parameters, asked=asked)
    with clear_disk_errors(notebook.name, output.parent), _alone(output):
        if _is_made(output, key):
            return False
        import nbformat

        from songtitle.book import figures

        about = _about(_asked(notebook, parameters, asked))
        about |= {"key": key, "code": digest(code)}
        output.parent.mkdir(parents=True, exist_ok=True)
        clock = time.monotonic()
        content = _run(notebook, output.name, parameters)
        records = take_records(content)
        data = data_hashes(records, data_home())
        content.metadata = {
            "kernelspec": content.metadata["kernelspec"],
            "language_info": {"name": "python"},
            "songtitle": about | {"records": list(map(list, records)), "data": data},
        }
        for index, cell in enumerate(content.cells):
            cell["id"] = f"cell-{index}"
            for noise in ("papermill", "execution"):
                cell.metadata.pop(noise, None)
            if not cell.metadata.get("tags", True):
                cell.metadata.pop("tags")
            if "outputs" in cell:  # progress bars and warnings, with paths of this machine
                cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            figures.describe(cell)
        write_whole(output, nbformat.writes(content) + "\n")
        machine = "{system}, {cores} cores, Python {python}".format(**provenance())
        with _alone(output.parent):
            note_times(output, seconds=time.monotonic() - clock, machine=machine, code=code)
        (data_home() / "pages" / key).touch()
    (data_home() / "failed" / notebook.name).unlink(missing_ok=True)
    return True


def _run(notebook: Path, name: str, parameters: Mapping[str, Any]) -> Any:
    """What papermill makes of a notebook, run in a folder that is gone afterwards.

    One of which a cell fails is kept as it stood, its traceback readable in any program. That is a
    note of the error, too, unless it is one that a reader is meant to mend (`InputError`).
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / name
        try:
            papermill.execute_notebook(
                str(notebook),
                str(result),
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                extra_arguments=["--log-level=CRITICAL"],  # else of local sockets, of interrupts
                cwd=scratch,
            )
            return nbformat.read(result, 4)
        except DeadKernelError as error:
            msg = f"{notebook.name}: its process died, most often for want of memory; free some, "
            msg += f"or take a smaller preset; {GO_ON}"
            raise InputError(msg) from error
        except papermill.PapermillExecutionError as error:
            content, kept = nbformat.read(result, 4), data_home() / "failed" / notebook.name
            for out in (out for cell in content.cells for out in cell.get("outputs", [])):
                if out.output_type == "error":
                    out.traceback = [ANSI.sub("", line) for line in out.traceback]
            kept.parent.mkdir(exist_ok=True)
            nbformat.write(content, kept)
            lines = [line.strip() for line in str(error.evalue).splitlines() if line.strip()]
            ours = error.ename == "InputError"
            what = ": ".join([*([] if ours else [error.ename]), *lines[:1]])
            msg = f"{notebook.name}: cell {error.exec_count} failed: {what}; "
            msg += f"traceback in {kept}; {GO_ON}"
            failure = InputError(msg)
            if not ours:
                failure.add_note("\n".join(error.traceback))  # with the colours of a terminal
            raise failure from error


def _alone(output: Path) -> FileLock:
    """Held by the one process that writes a page, or the times of a folder's pages."""
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]
    folder = data_home() / "pages"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def _is_made(page: Path, key: str) -> bool:
    """Whether a page was made here, and is what would come out again."""
    if not page.is_file() or not (data_home() / "pages" / key).exists():
        return False
    return bool(_json(page)["metadata"].get("songtitle", {}).get("key") == key)


def _key(
    notebook: Path, parameters: Mapping[str, Any], *, asked: Mapping[str, Any] | None = None
) -> str:
    """A hash of all that a page is made from: parameters, cells, the code that they reach, the run
    that it is of, the corpora at hand, and what it shows of published results."""
    from songtitle.experiment.paper_corpora import present

    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in _json(notebook)["cells"]]
    code, shown = code_of_page(notebook), _shown(notebook)
    run = _about(_asked(notebook, parameters, asked))["run"]
    return digest([dict(parameters), cells, code, run, present(data_home()), shown])


def _shown(notebook: Path) -> dict[str, str]:
    """What a page shows of published results, by name: the key of a record, of others a hash.

    A record that this code makes, for the page or as it is kept afterwards, adds nothing: settings,
    corpora and code stand in the page's key. So keeping and publishing make no page anew.
    """
    from songtitle.experiment.paper_corpora import QUESTIONS, files_of

    found = {}
    for name, path in cache.results().items():
        content, (folder, stem) = _json(path), name.removesuffix(".json").split("/")
        if folder == "census":
            shown = stem not in QUESTIONS or not files_of(stem, data_home())
        elif folder in MEASURED:
            shown = MEASURED[folder] == notebook.stem
        else:
            shown = LONG.get(stem) == notebook.stem and bool(changed_code(content.get("code")))
        if shown or notebook.stem == SCOREBOARD:
            found[name] = content.get("key") or digest(content)
    return found


# --- how a page came about


@dataclass(frozen=True, kw_only=True)
class PageRun:
    """How a page came about. All fields are plain values, as its notebook carries them."""

    run: str = ""  # the same for all pages of one run
    preset: str = ""
    seed: int = 0
    device: str = ""
    scale: str = "small"  # "small" or "paper", by the data that the run is made on
    changed: dict[str, Any] = field(default_factory=dict)  # settings that are not the preset's own
    commit: str | None = None
    modified: bool = False  # the code was not that commit's
    code: str = ""  # hash of the modules that the page was made by
    records: tuple[tuple[str, str], ...] = ()  # stage and key
    data: dict[str, str] = field(default_factory=dict)  # corpus or file -> hash
    made: str = ""  # date, UTC
    seconds: float | None = None  # wall time of the page
    machine: str = ""
    # What of that differs from the code at hand; empty where the page is current.
    changed_code: tuple[str, ...] = ()
    other_code: tuple[str, ...] = ()  # published records on the page that other code made


def _asked(
    notebook: Path, parameters: Mapping[str, Any], asked: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The settings of the whole run that a page is of, or without those the page's own."""
    own = parameters if asked is None else asked
    return {"preset": parameters_of(notebook)["preset"]} | dict(own)


def _about(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Which run a page is of: the same for every page of one run.

    The run's name is a hash of what they have in common: preset, seed, device, changed settings,
    the manifests, and all code that computes.
    """
    config, made = _config(asked), provenance()
    base = preset(config.name)
    facts: dict[str, Any] = {
        "preset": config.name,
        "seed": config.seed,
        "device": check_device(config.device).type,
        "changed": {
            name: list(value) if isinstance(value, tuple) else value
            for name in sorted(settings().keys() - {"seed", "device"})
            if (value := setting(config, name)) != setting(base, name)
        },
    }
    return {
        "run": digest([*facts.values(), code_of_run(), cache.tables()])[:12],
        **facts,
        "scale": config.material.scale,
        "commit": made["commit"],
        "modified": made["modified"],
    }


def code_of_page(notebook: Path) -> dict[str, str]:
    """`code_of_text` of what the cells of a notebook compute and draw."""
    return code_of_text(_cells(notebook), f"notebooks/{notebook.stem}")


def code_of_run() -> str:
    """A hash of all code that computes what any page shows: of the stages and what they reach."""
    every = code_of_text("\n".join(map(_cells, notebooks())))
    stages = [name for name in every if name.startswith("songtitle.experiment.")]
    return digest(code_of_text("\n".join(f"import {name}" for name in stages)))


def _cells(notebook: Path) -> str:
    cells = [cell for cell in _json(notebook)["cells"] if cell["cell_type"] == "code"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def take_records(content: Any) -> list[tuple[str, str]]:
    """Take out of an executed notebook's outputs the records that they rest on, in order."""
    from songtitle.tables import RECORDS  # which imports pandas

    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    said = [output.get("data", {}).pop(RECORDS, []) for output in outputs]
    return list(dict.fromkeys((stage, key) for records in said for stage, key in records))


def data_hashes(records: Iterable[tuple[str, str]], home: Path) -> dict[str, str]:
    """Hashes (16 hex digits) of the data behind some records, and behind all that those rest on:
    of what lies below `home`, else was published."""
    found: dict[str, str] = {}
    there, waiting, seen = published_records(), list(records), set()
    while waiting:
        stage, key = each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        path = home / "runs" / stage / key / RECORD
        content = _json(path) if path.is_file() else there.get(each, {})
        its = content.get("settings") or {}
        named = dict(its.get("data") or {})
        named |= {name: facts["sha256"] for name, facts in (its.get("files") or {}).items()}
        found |= {name: str(value)[:16] for name, value in named.items() if value}
        waiting += (content.get("inputs") or {}).items()
    return dict(sorted(found.items()))


def note_times(page: Path, *, seconds: float, machine: str, code: Mapping[str, str]) -> None:
    """Write beside a page when it was made, how long that took, on what, and by which code.

    One process at a time may do so. A file that is torn is begun anew: times are worth no error.
    """
    path = page.parent / TIMES
    try:
        times = _json(path)
    except (FileNotFoundError, ValueError):
        times = {}
    times["code"] = dict(sorted({**times.get("code", {}), **code}.items()))
    made = datetime.now(UTC).date().isoformat()
    times[page.stem] = {"made": made, "seconds": round(seconds, 1), "machine": machine}
    write_whole(path, json.dumps(dict(sorted(times.items())), indent=1) + "\n")


def read_page(page: Path, there: Mapping[tuple[str, str], Any] | None = None) -> PageRun | None:
    """How an executed page came about; None where it carries no run, or is not there.

    `there` are the published records, where a caller with many pages has read them already.
    """
    carried = _json(page).get("metadata", {}).get("songtitle", {}) if page.is_file() else {}
    if not carried.get("run"):
        return None
    times = _json(page.parent / TIMES) if (page.parent / TIMES).is_file() else {}
    facts = {**carried, **times.get(page.stem, {})}
    facts = {name: value for name, value in facts.items() if name in vars(PageRun())}
    facts["records"] = records = tuple(map(tuple, carried.get("records", [])))
    source = SOURCES / page.name
    now = code_of_page(source) if source.is_file() else {}
    if now and carried.get("code") != digest(now):
        then = times.get("code", {})
        differ = sorted(name for name in now if then.get(name) != now[name])
        facts["changed_code"] = tuple(differ) or ("songtitle",)
    there = published_records() if there is None else there
    kept = [each for each in records if each in there]
    other = tuple(stage for stage, key in kept if changed_code(there[stage, key].get("code")))
    return PageRun(**facts, other_code=other)


def published_records(
    roots: Iterable[Path] = (cache.PUBLISHED, cache.OWN),
) -> dict[tuple[str, str], dict[str, Any]]:
    """Published records by the name they may be asked for (stage, or folder/file) and their key."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in (path for root in roots for path in sorted(root.glob("*/*.json"))):
        content = _json(path)
        if isinstance(content, dict) and content.get("key"):
            key = str(content["key"])
            found[str(content.get("stage", path.stem)), key] = content
            found[f"{path.parent.name}/{path.stem}", key] = content
    return found


def one_run(pages: Mapping[str, PageRun | None]) -> PageRun | None:
    """The run that all pages are of, None of no pages. Raises InputError where it is not one.

    Pages without a run, and runs of which there are fewer pages, are named with the command that
    makes them. The run with most pages stands for the book.
    """
    runs: dict[str, dict[str, PageRun]] = {}
    for name, page in pages.items():
        if page and page.run:
            runs.setdefault(page.run, {})[name] = page
    ranked = sorted(runs.values(), key=lambda its: (-len(its), next(iter(its.values())).run))
    first = next(iter(ranked[0].values())) if ranked else None
    faults = []
    if without := [name for name, page in pages.items() if not (page and page.run)]:
        faults.append(f"pages without a run: {', '.join(without)}")
    if len(ranked) > 1:
        said = "; ".join(map(_described, ranked))
        faults.append(f"expected pages of one run, got {len(ranked)}: {said}")
    if bare := sorted(name for name, page in pages.items() if page and not page.records):
        faults.append(f"pages that show no record: {', '.join(bare)}")
    if faults:
        name = f" --preset {first.preset}" if first and first.preset != "quick" else ""
        msg = f"book: {'; '.join(faults)}; make them with `python -m songtitle run{name}`"
        raise InputError(msg)
    return first


def _described(pages: Mapping[str, PageRun], most: int = 6) -> str:
    """A run, and the first of its pages."""
    page, names = next(iter(pages.values())), list(pages)
    changes = "".join(f", {name} = {value}" for name, value in page.changed.items())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    run = f"run {page.run} (preset {page.preset}, seed {page.seed}, {page.device}{changes})"
    return f"{run}: {', '.join(names[:most])}{more}"


def check_published(pages: Mapping[str, PageRun], there: Collection[tuple[str, str]]) -> None:
    """Raise InputError where a page rests on a published record that is not `there`."""
    faults = [
        f"{name} needs {stage} {key}"
        for name, page in pages.items()
        for stage, key in page.records
        if (stage, key) not in there
        and stage.partition("/")[0] not in MEASURED
        and ("/" in stage or stage in LONG or stage.startswith("census_"))
    ]
    if faults:
        msg = "book: expected published records that pages rest on, there are none of these in "
        msg += f"results/: {'; '.join(faults)}; make them with `python -m songtitle run`"
        raise InputError(msg)


# --- a run


def run(
    name: str = "quick",
    changes: Mapping[str, Any] | None = None,
    *,
    chosen: Iterable[Path] = (),
    output: Path = EXECUTED,
    stale: bool = False,
    jobs: int | None = None,
) -> None:
    """Run notebooks side by side (all of them unless `chosen`), a line of progress for each.

    `changes` are parameters of notebooks and settings by dotted name; without `chosen`, each
    notebook takes those that it has. With `stale`, those long stages come first whose published
    records other code made. `jobs` notebooks run at a time: one a core, where memory allows.

    The first that fails ends the run, and with it those under way. What is done stays, so the same
    call goes on where it stopped.
    """
    preset(name)
    chosen, changes = list(chosen), changes or {}
    whole = not chosen and output == EXECUTED
    those = _for_each(name, chosen, changes)
    at_large = {"preset": name} | placed(("seed", "device", "settings"), changes)
    start, count = time.monotonic(), len(those)
    if stale:
        work = {
            f"[publish] {stage.__name__}, preset {its.name}": partial(_make_again, stage, its)
            for stage, its in stages(_config(at_large))
            if _takes_long(stage, its)
        }
        side_by_side(work, jobs)
    pages, last = {}, {}
    for place, (notebook, parameters) in enumerate(those, 1):
        label = f"[{place:>{len(str(count))}}/{count}] {notebook.stem}"
        its = output / notebook.name
        page = partial(_page, notebook, its, parameters, asked=None if chosen else at_large)
        if whole and notebook.stem == SCOREBOARD:
            again = bool(changes.get("again"))
            last[label] = partial(page, keeping=_config(at_large), again=again)
        elif _is_made(its, _key(notebook, parameters, asked=None if chosen else at_large)):
            print(f"{label} ... {UP_TO_DATE}", flush=True)
        else:
            pages[label] = page
    ahead = {name: place for place, name in enumerate(FIRST)}
    order = sorted(pages, key=lambda label: ahead.get(label.split()[-1], len(ahead)))
    ran = side_by_side({label: pages[label] for label in order}, jobs) + side_by_side(last)
    if count > 1:
        took = span(time.monotonic() - start)
        print(f"{ran} run, {count - ran} up to date, in {took}", flush=True)


def _page(
    *page: Any, asked: Any, keeping: ExperimentConfig | None = None, again: bool = False
) -> str:
    """Execute a page, having kept what the others left where it reads that; its line's end."""
    if keeping:
        with clear_disk_errors("results", cache.OWN):
            keep(keeping, again=again)
    return "" if execute(*page, asked=asked) else UP_TO_DATE


def side_by_side(work: Mapping[str, Callable[[], str]], jobs: int | None = None) -> int:
    """Do pieces of work by label in processes of their own, `jobs` at a time: one a core.

    Each is a line `label ... 41 s` when it ends, with what it returns in the place of the time, if
    that is not empty; how many are is returned. Meanwhile a terminal shows who is at work, how many
    are done and what time is left; a log does once a minute. The first error ends all others and is
    raised.
    """
    room = psutil.virtual_memory().available // MEMORY
    jobs = max(1, min(jobs or min(os.cpu_count() or 1, room), len(work)))
    waiting, done, live = list(work.items()), 0, sys.stdout.isatty()
    begun, hanging, count = time.monotonic(), False, 0
    busy: dict[Future[str], tuple[str, float]] = {}
    earlier = set(multiprocessing.active_children())

    def took(piece: Future[str]) -> str:
        return span(time.monotonic() - busy[piece][1])

    def tell(piece: Future[str], end: str) -> None:
        nonlocal hanging
        label = f"{busy.pop(piece)[0]} ... "
        print(f"\r\x1b[K{label}" if live else label * (not hanging), end, sep="", flush=True)
        hanging = False

    def tell_busy() -> None:
        nonlocal hanging
        labels = ", ".join(label for label, _ in busy.values())
        told = progress.line("all", count, len(work), seconds=time.monotonic() - begun)
        said = f"{labels} ... {took(next(iter(busy)))} [{told}]"
        print(f"\r\x1b[K{said}" if live else "\n" * hanging + said + "\n", end="", flush=True)
        hanging = False

    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with ProcessPoolExecutor(jobs, spawn, initializer=_begin_work, initargs=(jobs,)) as pool:
        try:
            while waiting or busy:
                while waiting and len(busy) < jobs:
                    label, piece = waiting.pop(0)
                    busy[pool.submit(_do, piece)] = label, time.monotonic()
                    if not live and jobs == 1:  # a log has the label from the start
                        print(f"{label} ... ", end="", flush=True)
                        hanging = True
                every = 1 if live else progress.EVERY
                ready, _ = wait(busy, timeout=every, return_when=FIRST_COMPLETED)
                if not ready:
                    tell_busy()
                for each in ready:
                    count += 1
                    error = each.exception()
                    if isinstance(error, BrokenProcessPool):
                        error = InputError(f"{busy[each][0]}: its process died; {GO_ON}")
                    if error:
                        tell(each, f"failed after {took(each)}")
                        raise error
                    done += not each.result()
                    tell(each, each.result() or took(each))
        except BaseException:
            for each in list(busy):
                tell(each, f"stopped after {took(each)}")
            for process in set(multiprocessing.active_children()) - earlier:
                process.terminate()  # which ends its notebook first
            raise
    return done


def _begin_work(count: int) -> None:
    """Prepare a process that works beside others."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that began this one ends it
    if count > 1:  # threads that wait for each other leave the core to the other notebooks
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _do(piece: Callable[[], str]) -> str:
    try:
        return piece()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # which nbclient sets, and takes away again


def span(seconds: float) -> str:
    """A duration as one would say it: `0.4 s`, `41 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"


# --- what a run leaves


def keep(config: ExperimentConfig, *, again: bool = False) -> None:
    """Keep what a run found where pages and the book look for it: `OWN`, beside the clone's own.

    The records that the book's numbers come from, Table 4 in full, and what the census counted
    here. A long stage that was published stays as it is, unless it was run `again`. The captioner
    of the quick run goes into the page that names songs in the reader's browser.
    """
    from songtitle.book import demo
    from songtitle.experiment import paper_corpora, scoring

    for stage, its in stages(config):
        stays, long = stage.__name__ in ON_REQUEST, _takes_long(stage, its)
        make = partial(cache.published, stage, again=again, stays=stays) if long else stage
        cache.publish(stage, its, make(its))
    table = scoring.score_table(config)
    write_whole(cache.OWN / config.name / "table_4.csv", table.to_csv(index=False))
    for name, answer in paper_corpora.answers().items():
        if answer.file(RECORD).is_file():
            (cache.OWN / "census").mkdir(exist_ok=True)
            text = json.dumps(answer.as_dict(), indent=1, ensure_ascii=False)
            write_whole(cache.OWN / "census" / f"{name}.json", text + "\n")
    if config.name == "quick":
        demo.write_demo(config, cache.RUN / DEMO)


def stages(
    config: ExperimentConfig,
) -> Iterator[tuple[Callable[[ExperimentConfig], Record], ExperimentConfig]]:
    """The stages that a run keeps, each with the settings that it is published of."""
    for module, names in STAGES.items():
        for name in names:
            stage = getattr(import_module(f"songtitle.experiment.{module}"), name)
            if module not in REAL:
                yield stage, config
            if module in REAL or name in BOTH:
                yield stage, preset(SAMPLES, device=config.device)


def _takes_long(stage: Callable[[ExperimentConfig], Record], config: ExperimentConfig) -> bool:
    """Whether a run shows what was published, and publishing makes it again where it is stale: what
    takes minutes, and all that real songs are needed for."""
    return stage.__name__ in LONG or config.name == SAMPLES


def _make_again(stage: Callable[[ExperimentConfig], Record], config: ExperimentConfig) -> str:
    """Run a long stage again whose published record other code made; its line's end."""
    try:
        stays = stage.__name__ in ON_REQUEST
        if not cache.published(stage, config, stays=stays).changed:
            return UP_TO_DATE
        if stays:
            return f"stays as other code made it; in an hour, `{AGAIN}` makes it again"
        cache.publish(stage, config, stage(config))
    except InputError as error:  # samples of the paper's corpora: not everybody has them
        return f"stays as it was published: {error}"
    return ""


def publish_on_request(changes: Mapping[str, Any], *, jobs: int | None = None) -> list[Path]:
    """Make the records of ON_REQUEST with this code and write them into the clone; their files.

    Trainings go side by side. Whatever is done stays, so the same call goes on where it stopped.
    Raises InputError for any change but of the device, and unless the code is that of a commit,
    which the record is to name.
    """
    made, others = provenance(), sorted(changes.keys() - {"device"})
    for holds, wanted, came in (
        (not others, "its preset as it is", f"another {', '.join(others)}"),
        (made["commit"], "a clone of git, whose commit the record names", "none"),
        (not made["modified"], "code as it was committed", "changes that were not"),
    ):
        msg = f"publish {SAMPLES}: expected {wanted}, got {came}; leave or commit that first"
        expect(holds, msg)
    config = preset(SAMPLES, device=changes.get("device", "auto"))
    asked = [each for each, _ in stages(config) if each.__name__ in ON_REQUEST]
    for seeds in ([0], range(1, config.replicates)):  # the first brings what all of them read
        work = {f"[{SAMPLES}] training {n}": partial(_train, config, n) for n in seeds}
        side_by_side(work, jobs)
    return [cache.publish(each, config, each(config), root=cache.PUBLISHED) for each in asked]


def _train(config: ExperimentConfig, seed: int) -> str:
    """Train the captioner of one seed, on one core where others work beside it; its line's end."""
    import torch

    from songtitle.experiment.learning import patient, training

    if seed:
        torch.set_num_threads(1)
    training(patient(config, seed=seed))
    return ""


def publish() -> None:
    """Write what a run left here to the clone: pages, results, and the browser's captioner."""
    pages, model = (EXECUTED, BOOK / "notebooks"), (cache.RUN / DEMO, BOOK / DEMO)
    for source, target in (pages, (cache.OWN, cache.PUBLISHED), model):
        if source.is_dir():
            with clear_disk_errors("publishing", target):
                shutil.copytree(source, target, dirs_exist_ok=True)


def assemble() -> Path:
    """The book of this run as a folder to build: the clone's prose, the pages that ran here."""
    source = cache.RUN / "book"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(BOOK, source, ignore=shutil.ignore_patterns("_build", "*.ipynb"))
    shutil.copytree(EXECUTED, source / "notebooks", dirs_exist_ok=True)
    shutil.copy2(ROOT / "CHANGELOG.md", cache.RUN)  # which a page includes from beside the book
    if (cache.RUN / DEMO).is_dir():
        shutil.copytree(cache.RUN / DEMO, source / DEMO, dirs_exist_ok=True)
    return source


def build() -> Path:
    """Build the book of this run, any warning an error, and check that nothing of the paper is
    missing."""
    source = assemble().relative_to(ROOT)
    program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    command = [str(program), "build", str(source), "--path-output", "book"]
    command += ["-n", "-W", "--keep-going", "-q"]
    if program is None or subprocess.run(command, cwd=ROOT, check=False).returncode:
        msg = f"book: `jupyter-book {' '.join(command[1:])}` failed; its messages are above"
        raise InputError(msg)
    check_book(pages := BOOK / "_build" / "html")
    return pages / "index.html"


def check_book(pages: Path) -> None:
    """Raise unless every table and figure stands in the pages, and no traceback does."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(pages.rglob("*.html"))}
    every = "\n".join(texts.values())
    missing = [name for name in EXPECTED if f'id="{name}"' not in every]
    broken = [name for name, text in texts.items() if "Traceback (most recent" in text]
    unnamed = [name for name, text in texts.items() if re.search(r"<img(?![^>]*\balt=)", text)]
    if missing or broken or unnamed:
        msg = f"book: missing {missing or 'nothing'}; pages with a traceback: {broken or 'none'}; "
        msg += f"pages with a picture without alt text: {unnamed or 'none'}"
        raise InputError(msg)
