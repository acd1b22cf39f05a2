"""Reproduce the book: run its notebooks side by side, keep what they found, build and check it."""

import ast
import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock

from songtitle.book import runs
from songtitle.cache import (
    OWN,
    PUBLISHED,
    RECORD,
    ROOT,
    RUN,
    Record,
    digest,
    provenance,
    published,
    results,
    tables,
)
from songtitle.cache import publish as keep_record
from songtitle.config import (
    PRESETS,
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
from songtitle.errors import InputError
from songtitle.machine import clear_disk_errors, end_with_parent, write_whole
from songtitle.schema import brief

if TYPE_CHECKING:
    import papermill

SOURCES = ROOT / "notebooks"
BOOK = ROOT / "book"  # prose, and what was published: `jupyter-book build book` needs no run
DEMO = "extra/demo/model"  # in the book: the captioner that names songs in the reader's browser
EXECUTED = RUN / "notebooks"
PAGES = BOOK / "_build" / "html"

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # the colours of a traceback
GO_ON = "the same command goes on at this notebook"
UP_TO_DATE = "up to date"

# Settings that change no page, and what to take instead.
NO_PAGE = {
    "model.fine_tune": "`python -m songtitle train --fine-tune`; pages keep what a network gives",
    "search.beam_size": "beam_sizes",
}

SCOREBOARD = "14_scoreboard"  # the page that judges by what all others found

# The pages to begin with: first the one that trains, which others wait for, beside it those that
# need no training, then the one that takes longest after it.
FIRST = (
    *("03_training", "06_similarity", "01_corpora", "02_inputs", "07_paper_corpora"),
    *("16_detective", "08_speed", "13_samples", "18_faults", "09_controls"),
)
MEMORY = 2 << 30  # bytes that a notebook may take: no more run at a time than there is room for

# Which published results a page reads, beside those of long stages and of the census.
READS = {"08_speed": "benchmarks/", "18_faults": "faults/", SCOREBOARD: ""}

# Every table and figure of the paper, and what checks its corpora, by the anchor in the book.
EXPECTED = (
    *(f"tab-{n}" for n in range(1, 6)),
    *(f"fig-{n}" for n in range(1, 7)),
    *("fig-7a", "fig-7b", "fig-8a", "fig-8b", "fig-8c"),
    *("tab-census", "tab-links", "tab-joins", "tab-names", "tab-clips"),
    *("tab-comparison", "tab-speed", "fig-speed", "fig-growth"),
    *("fig-maps-timbre", "fig-likeness", "tab-references"),
    *("fig-controls", "tab-controls", "tab-retrieval", "tab-replicates", "tab-paired", "tab-power"),
    *("fig-length", "tab-length", "tab-content-free", "fig-prefixes", "fig-forensics"),
    *("tab-forensics", "tab-assumptions", "fig-tornado", "tab-switchboard", "tab-real"),
    *("fig-verdicts", "tab-scoreboard", "tab-inconsistencies"),
    *("tab-guessing", "tab-branches", "fig-beam-1", "fig-beam-5", "fig-beam-20"),
    *("tab-settings", "tab-frames", "fig-settings", "tab-contradictions", "tab-lengths-real"),
    *("fig-labs", "tab-labs", "fig-faults", "tab-faults"),
)


class NotebookError(InputError):
    """A cell failed. The message is one line; `traceback` has the lines that IPython drew."""

    def __init__(self, message: str, traceback: Iterable[str] = ()):
        super().__init__(message)
        self.traceback = list(traceback)

    def drawn(self, *, colour: bool) -> str:
        """The traceback as text, with the colours of a terminal or without."""
        text = "".join(f"{line}\n" for line in self.traceback)
        return text if colour else ANSI.sub("", text)


def span(seconds: float) -> str:
    """A duration as one would say it: `0.4 s`, `41 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"


def notebooks() -> list[Path]:
    """The notebooks in reading order."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.ipynb"))


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    *,
    asked: Mapping[str, Any] | None = None,
) -> bool:
    """Run one notebook with papermill; False if `output` is already what would come out.

    A page that came with the clone does not count: it was made elsewhere. The data home remembers
    what was made here.

    The output holds no papermill or timing metadata: two runs that show the same are the same
    bytes. It replaces an earlier one only when the run has succeeded. Which run it is of stands in
    its metadata: `asked` are the settings of the whole run, where this page knows only a part.
    """
    check_parameters(notebook, parameters)
    code, key = runs.code_of_page(notebook), _key(notebook, parameters)
    default = {"preset": parameters_of(notebook)["preset"]}
    with clear_disk_errors(notebook.name, output.parent), _alone(output):
        if _is_made(output, key):
            return False
        import nbformat

        from songtitle.book import figures

        about: dict[str, Any] = {"key": key, "code": digest(code)}
        about |= _about(default | dict(parameters if asked is None else asked))
        output.parent.mkdir(parents=True, exist_ok=True)
        clock = time.monotonic()
        content = _run(notebook, output.name, parameters)
        records = runs.take_records(content)
        about["records"] = [list(each) for each in records]
        about["data"] = runs.data_hashes(records, data_home())
        content.metadata = {
            "kernelspec": content.metadata["kernelspec"],
            "language_info": {"name": "python"},
            "songtitle": about,
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
            seconds = time.monotonic() - clock
            runs.note_times(output, seconds=seconds, machine=machine, code=code)
        (data_home() / "pages" / key).touch()
    _failed(notebook).unlink(missing_ok=True)
    return True


def _run(notebook: Path, name: str, parameters: Mapping[str, Any]) -> Any:
    """What papermill makes of a notebook, run in a folder that is gone afterwards."""
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
        except papermill.PapermillExecutionError as error:
            raise _failure(notebook, result, error) from error
        except DeadKernelError as error:
            msg = f"{notebook.name}: its process died, most often for want of memory; free some, "
            msg += f"or take a smaller preset; {GO_ON}"
            raise InputError(msg) from error
        return nbformat.read(result, 4)


def _alone(output: Path) -> FileLock:
    """Held by the one process that writes a page, or the times of a folder's pages."""
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]
    folder = data_home() / "pages"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"{name}.lock")


def _failed(notebook: Path) -> Path:
    """Where a notebook is kept as it stood when a cell of it failed."""
    return data_home() / "failed" / notebook.name


def _failure(
    notebook: Path, result: Path, error: "papermill.PapermillExecutionError"
) -> NotebookError:
    """Keep the notebook as it stood, its traceback readable in any program, and say it in a line.

    What a reader is meant to mend (`InputError`) needs no traceback on the screen.
    """
    import nbformat

    content = nbformat.read(result, 4)
    for out in (out for cell in content.cells for out in cell.get("outputs", [])):
        if out.output_type == "error":
            out.traceback = [ANSI.sub("", line) for line in out.traceback]
    kept = _failed(notebook)
    kept.parent.mkdir(exist_ok=True)
    nbformat.write(content, kept)
    said = next((line for line in map(str.strip, str(error.evalue).splitlines()) if line), "")
    ours = error.ename == "InputError"
    what = said if ours else f"{error.ename}: {said}" if said else error.ename
    msg = f"{notebook.name}: cell {error.exec_count} failed: {what}; traceback in {kept}; {GO_ON}"
    return NotebookError(msg, [] if ours else error.traceback)


def _about(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Which run a page is of: the same for every page of one run."""
    config = _config(asked)
    base = preset(config.name)
    changed = {
        name: list(value) if isinstance(value, tuple) else value
        for name in sorted(settings().keys() - {"seed", "device"})
        if (value := setting(config, name)) != setting(base, name)
    }
    made = provenance()
    facts: dict[str, Any] = {
        "preset": config.name,
        "seed": config.seed,
        "device": check_device(config.device).type,
        "changed": changed,
    }
    return {
        "run": runs.run_id(**facts),
        **facts,
        "scale": "small" if config.pictures in runs.SMALL else "paper",
        "commit": made["commit"],
        "modified": made["modified"],
    }


def _config(asked: Mapping[str, Any]) -> ExperimentConfig:
    """The settings that parameters of a run, or of a page, stand for."""
    own = {name: value for name, value in asked.items() if is_setting(name)}
    return preset(asked.get("preset", "quick"), asked.get("settings"), **own)


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse, in one line, what papermill would pass over or only stumble on later."""
    known = parameters_of(notebook)
    for name in parameters:
        if name not in known:
            _refuse(name, f"not a parameter of {notebook.name}; it has", known)
    named = parameters.get("preset", known["preset"])
    if not isinstance(named, str):
        msg = f"preset: expected a name, such as {known['preset']!r}, got {named!r}; mend it"
        raise InputError(msg)
    config, usual = _config({**parameters, "preset": named}), preset(named)
    if config.pictures != "stamps":  # songs of these are no files to render
        msg = f"preset: expected one on the book's own pictures and songs, got {config.name!r}; "
        msg += "page 13 shows its record beside any of those, such as quick"
        raise InputError(msg)
    changed = [name for name in settings() if setting(config, name) != setting(usual, name)]
    for name in changed:
        value = brief(setting(config, name))
        if name in NO_PAGE:
            msg = f"{name}: expected as the preset has it, for no page reads it, got {value}; "
            raise InputError(msg + f"take {NO_PAGE[name]}")
        if name in ("model.weights", "model.word_vectors"):
            _check_file(name, setting(config, name))
    for name in known.keys() & parameters.keys() - {"preset", "settings"}:
        if not is_setting(name) and type(parameters[name]) is not type(known[name]):
            kind, got = type(known[name]).__name__, parameters[name]
            msg = f"{name}: expected {kind}, such as {known[name]!r}, got {got!r}; mend -p {name}"
            raise InputError(msg)


def _check_file(name: str, value: str) -> None:
    """Refuse a setting that is neither one of its names nor the path of a file."""
    from songtitle.model.weights import NAMED

    names = NAMED if name == "model.weights" else ("none", "glove")
    if value not in names and not Path(value.partition("#")[0]).is_file():
        msg = f"{name}: expected {', '.join(names)} or the path of a file, got {brief(value)}; "
        raise InputError(msg + "there is no such file")


def _refuse(name: str, what: str, known: Iterable[str]) -> None:
    told, near = (name, nearest(name, *known)) if name.isidentifier() else (repr(name), "")
    msg = f"{told}: {what} {', '.join(known)}{near}"
    raise InputError(msg)


def _for_each(
    name: str, chosen: list[Path], changes: Mapping[str, Any]
) -> list[tuple[Path, dict[str, Any]]]:
    """The notebooks to run with the parameters of each; refuses what fits none before any runs."""
    known = {notebook: parameters_of(notebook) for notebook in chosen or notebooks()}
    if not chosen:
        every = list(dict.fromkeys(each for names in known.values() for each in names))
        for each in placed(every, changes).keys() - set(every):
            _refuse(each, "not a parameter of any notebook; they have", every)
    found = []
    for notebook, names in known.items():
        parameters = {"preset": name} | placed(names, changes)
        if not chosen:  # what one notebook varies is no business of the others
            parameters = {key: value for key, value in parameters.items() if key in names}
        check_parameters(notebook, parameters)
        found.append((notebook, parameters))
    return found


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


def parameters_of(notebook: Path) -> dict[str, Any]:
    """Names and defaults in the cell tagged `parameters`."""
    if not notebook.is_file():
        names = ", ".join(path.stem for path in notebooks())
        msg = f"{notebook}: no such notebook; expected one of {names}"
        raise InputError(msg)
    for cell in _cells(notebook):
        if "parameters" in cell["metadata"].get("tags", []):
            return {
                target.id: ast.literal_eval(node.value)  # type: ignore[attr-defined, arg-type]
                for node in ast.parse("".join(cell["source"])).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            }
    msg = f"{notebook.name}: expected a cell tagged 'parameters'"
    raise InputError(msg)


def _cells(notebook: Path) -> list[dict[str, Any]]:
    """The cells of a notebook as they stand in its file."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return cells


def _is_made(page: Path, key: str) -> bool:
    """Whether a page was made here, and is what would come out again."""
    if not page.is_file() or not (data_home() / "pages" / key).exists():
        return False
    content = json.loads(page.read_text("utf-8"))
    return bool(content["metadata"].get("songtitle", {}).get("key") == key)


def _key(notebook: Path, parameters: Mapping[str, Any]) -> str:
    """A hash of all that a page is made from: parameters, cells, the code that they reach, the
    manifests, the corpora at hand, and what it shows of published results."""
    from songtitle.experiment.paper_corpora import present

    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in _cells(notebook)]
    long = tuple(f"/{name}.json" for name in runs.LONG)
    read = ("census/", READS.get(notebook.stem, "census/"))
    shown = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in results().items()
        if name.endswith(long) or name.startswith(read)
    }
    code = runs.code_of_page(notebook)
    return digest([dict(parameters), cells, code, tables(), present(data_home()), shown])


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
    if name not in PRESETS:
        preset(name)
    chosen, changes = list(chosen), changes or {}
    whole = not chosen and output == EXECUTED
    those = _for_each(name, chosen, changes)
    at_large = {"preset": name} | placed(("seed", "device", "settings"), changes)
    start, count = time.monotonic(), len(those)
    if stale:
        make_stale_again(_config(at_large), jobs)
    pages, last = {}, {}
    for place, (notebook, parameters) in enumerate(those, 1):
        label = f"[{place:>{len(str(count))}}/{count}] {notebook.stem}"
        its = output / notebook.name
        page = partial(_page, notebook, its, parameters, asked=None if chosen else at_large)
        if whole and notebook.stem == SCOREBOARD:
            again = bool(changes.get("again"))
            last[label] = partial(page, keeping=_config(at_large), again=again)
        elif _is_made(its, _key(notebook, parameters)):
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
        with clear_disk_errors("results", OWN):
            keep(keeping, again=again)
    return "" if execute(*page, asked=asked) else UP_TO_DATE


def side_by_side(work: Mapping[str, Callable[[], str]], jobs: int | None = None) -> int:
    """Do pieces of work by label in processes of their own, `jobs` at a time: one a core.

    Each is a line `label ... 41 s` when it ends, with what it returns in the place of the time, if
    that is not empty; how many are is returned. A terminal shows meanwhile who is at work. The
    first error ends all others and is raised.
    """
    room = psutil.virtual_memory().available // MEMORY
    jobs = max(1, min(jobs or min(os.cpu_count() or 1, room), len(work)))
    waiting, done, live = list(work.items()), 0, sys.stdout.isatty()
    busy: dict[Connection, tuple[str, float]] = {}

    def took(pipe: Connection) -> str:
        return span(time.monotonic() - busy[pipe][1])

    def tell(pipe: Connection, end: str) -> None:
        label = f"{busy.pop(pipe)[0]} ... "
        print(f"\r\x1b[K{label}" if live else label * (jobs > 1), end, sep="", flush=True)

    with _workers(jobs if work else 0) as free:
        try:
            while waiting or busy:
                while waiting and free:
                    pipe, (label, piece) = free.pop(), waiting.pop(0)
                    busy[pipe] = label, time.monotonic()
                    pipe.send(piece)
                    if not live and jobs == 1:  # a log has the label from the start
                        print(f"{label} ... ", end="", flush=True)
                ready = connection.wait(list(busy), timeout=1 if live else None)
                if not ready:
                    labels = ", ".join(label for label, _ in busy.values())
                    print(f"\r\x1b[K{labels} ... {took(next(iter(busy)))} ", end="", flush=True)
                for pipe in [each for each in busy if each in ready]:
                    try:
                        answer = pipe.recv()
                    except EOFError:
                        answer = InputError(f"{busy[pipe][0]}: its process died; {GO_ON}")
                    if isinstance(answer, Exception):
                        tell(pipe, f"failed after {took(pipe)}")
                        raise answer
                    done += not answer
                    tell(pipe, answer or took(pipe))
                    free.append(pipe)
        except BaseException:
            for pipe in list(busy):
                tell(pipe, f"stopped after {took(pipe)}")
            raise
    return done


@contextlib.contextmanager
def _workers(count: int) -> Iterator[list[Connection]]:
    """Processes that call what comes through their pipes, and are gone afterwards."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pipes, processes = [], []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, count))
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield list(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.terminate()  # which ends its notebook first
        for process in processes:
            process.join(10)
            process.kill()


def _work(pipe: Connection, count: int) -> None:
    """Call what comes through a pipe, and answer with what came of it."""
    end_with_parent()
    if count > 1:  # threads that wait for each other leave the core to the other notebooks
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    answer: Any
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):  # nobody asks any more
        while True:
            page = pipe.recv()
            try:
                answer = page()
            except InputError as error:
                answer = error
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = error
            pipe.send(answer)


def keep(config: ExperimentConfig, *, again: bool = False) -> None:
    """Keep what a run found where pages and the book look for it: `OWN`, beside the clone's own.

    The records that the book's numbers come from, Table 4 in full, and what the census counted
    here. A long stage that was published stays as it is, unless it was run `again`. The captioner
    of the quick run goes into the page that names songs in the reader's browser.
    """
    from songtitle.book import demo
    from songtitle.experiment import (
        controls,
        corpora,
        forensics,
        learning,
        paper_corpora,
        scoring,
        similarity,
    )

    for stage in (
        *(corpora.corpora, corpora.vocabulary, learning.training, scoring.scores),
        *(similarity.similarity, similarity.likeness, controls.controls, controls.self_retrieval),
        *(controls.differences, scoring.lengths, forensics.content_free, forensics.readings),
    ):
        keep_record(stage, config, stage(config))
    for stage, its in long_stages(config):
        keep_record(stage, its, published(stage, its, again=again))
    table = scoring.score_table(config)
    write_whole(OWN / config.name / "table_4.csv", table.to_csv(index=False))
    for name, answer in paper_corpora.answers().items():
        if answer.file(RECORD).is_file():
            (OWN / "census").mkdir(exist_ok=True)
            text = json.dumps(answer.as_dict(), indent=1, ensure_ascii=False)
            write_whole(OWN / "census" / f"{name}.json", text + "\n")
    if config.name == "quick":
        demo.write_demo(config, RUN / DEMO)


def long_stages(
    config: ExperimentConfig,
) -> list[tuple[Callable[[ExperimentConfig], Record], ExperimentConfig]]:
    """Stages that take minutes, each with the settings that it is published of: the book shows what
    was published of them, unless asked to run `again`."""
    from songtitle.experiment import controls, samples, scoring, switchboard

    of_run = (scoring.comparison, controls.replicates, switchboard.switchboard)
    whole = preset("samples", device=config.device)
    return [*((stage, config) for stage in of_run), (samples.samples, whole)]


def make_stale_again(config: ExperimentConfig, jobs: int | None = None) -> None:
    """Run those long stages again whose published records other code made."""
    work = {
        f"[publish] {stage.__name__}, preset {its.name}": partial(_make_again, stage, its)
        for stage, its in long_stages(config)
    }
    side_by_side(work, jobs)


def _make_again(stage: Callable[[ExperimentConfig], Record], config: ExperimentConfig) -> str:
    try:
        if not published(stage, config).changed:
            return UP_TO_DATE
        keep_record(stage, config, stage(config))
    except InputError as error:  # samples of the paper's corpora: not everybody has them
        return f"stays as it was published: {error}"
    return ""


def publish() -> None:
    """Write what a run left here to the clone: pages, results, and the browser's captioner."""
    places = {EXECUTED: BOOK / "notebooks", OWN: PUBLISHED, RUN / DEMO: BOOK / DEMO}
    for source, target in places.items():
        if source.is_dir():
            with clear_disk_errors("publishing", target):
                shutil.copytree(source, target, dirs_exist_ok=True)


def assemble() -> Path:
    """The book of this run as a folder to build: the clone's prose, the pages that ran here."""
    source = RUN / "book"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(BOOK, source, ignore=shutil.ignore_patterns("_build", "*.ipynb"))
    shutil.copytree(EXECUTED, source / "notebooks", dirs_exist_ok=True)
    shutil.copy2(ROOT / "CHANGELOG.md", RUN)  # which a page of the book includes from beside it
    if (RUN / DEMO).is_dir():
        shutil.copytree(RUN / DEMO, source / DEMO, dirs_exist_ok=True)
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
    check_book(PAGES)
    return PAGES / "index.html"


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
