"""A line of progress for each piece of work: what it is, and how long it takes or took."""

import ast
import contextlib
import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from filelock import FileLock
from nbclient.exceptions import DeadKernelError

from songtitle.book import demo, figures, runs
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
from songtitle.experiment import paper_corpora
from songtitle.experiment.controls import controls, differences, replicates, self_retrieval
from songtitle.experiment.corpora import corpora, vocabulary
from songtitle.experiment.forensics import content_free, readings
from songtitle.experiment.learning import training
from songtitle.experiment.length import lengths
from songtitle.experiment.paper_corpora import present
from songtitle.experiment.samples import samples
from songtitle.experiment.scoring import comparison, score_table, scores
from songtitle.experiment.similarity import likeness, similarity
from songtitle.experiment.switchboard import switchboard
from songtitle.machine import clear_disk_errors, write_whole
from songtitle.model.weights import NAMED
from songtitle.schema import brief


@contextlib.contextmanager
def ticking(label: str) -> Iterator[Callable[[str], None]]:
    """Print `label ... 41 s` around a piece of work; on a terminal the seconds run meanwhile.

    Yields a function that puts other words in the place of the time. In a log the label is there
    from the start and the rest of its line at the end. Work that raises reads `failed after 3 s`.
    """
    stream, start, said = sys.stdout, time.monotonic(), list[str]()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1):
            print(f"\r{label} ... {span(time.monotonic() - start)} ", end="", file=stream)
            stream.flush()

    print(f"{label} ... ", end="", file=stream, flush=True)
    live = threading.Thread(target=tick, daemon=True) if stream.isatty() else None
    if live:
        live.start()
    end = "failed after"
    try:
        yield said.append
        end = ""
    except KeyboardInterrupt:
        end = "stopped after"
        raise
    finally:
        over.set()
        if live:
            live.join()
            print(f"\r\x1b[K{label} ... ", end="", file=stream)  # over a longer line
        took = span(time.monotonic() - start)
        print(f"{end} {took}" if end else (said or [took])[-1], file=stream, flush=True)


def span(seconds: float) -> str:
    """A duration as one would say it: `0.4 s`, `41 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"


SOURCES = ROOT / "notebooks"
BOOK = ROOT / "book"  # prose, and what was published: `jupyter-book build book` needs no run
DEMO = "extra/demo/model"  # in the book: the captioner that names songs in the reader's browser
EXECUTED = RUN / "notebooks"
PAGES = BOOK / "_build" / "html"

# Stages whose findings the book quotes.
SHORT: tuple[Callable[[ExperimentConfig], Record], ...] = (
    *(corpora, vocabulary, training, scores, similarity, likeness, controls, self_retrieval),
    *(differences, lengths, content_free, readings),
)

# Stages that take minutes: the book shows what was published of them, unless asked to run `again`.
# Each with the preset that it is of, or None for that of the run.
LONG: dict[Callable[[ExperimentConfig], Record], str | None] = {
    comparison: None,
    replicates: None,
    switchboard: None,
    samples: "samples",
}

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # the colours of a traceback
GO_ON = "the same command goes on at this notebook"

# Settings that change no page, and what to take instead.
NO_PAGE = {
    "model.fine_tune": "`python -m songtitle train --fine-tune`; pages keep what a network gives",
    "search.beam_size": "beam_sizes",
}

# Settings that may be the path of a file, and the names that are none.
FILES = {"model.weights": NAMED, "model.word_vectors": ("none", "glove")}

SCOREBOARD = "14_scoreboard"  # the page that judges by what all others found

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
    code = runs.code_of_page(notebook)
    key = _key(notebook, parameters, code)
    default = {"preset": parameters_of(notebook)["preset"]}
    of_run = default | dict(parameters if asked is None else asked)
    about = {"key": key, "code": digest(code)} | _about(of_run)
    made_here = data_home() / "pages" / key
    with clear_disk_errors(notebook.name, output.parent), _alone(output):
        if made_here.exists() and _key_of(output) == key:
            return False
        output.parent.mkdir(parents=True, exist_ok=True)
        clock = time.monotonic()
        content = _run(notebook, output.name, parameters)
        content.metadata = {
            "kernelspec": content.metadata["kernelspec"],
            "language_info": {"name": "python"},
            "songtitle": about | _rests_on(runs.take_records(content)),
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
        made_here.touch()
    _failed(notebook).unlink(missing_ok=True)
    return True


def _run(notebook: Path, name: str, parameters: Mapping[str, Any]) -> Any:
    """What papermill makes of a notebook, run in a folder that is gone afterwards."""
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
                extra_arguments=["--log-level=ERROR"],  # the kernel warns of every local socket
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
    notebook: Path, result: Path, error: papermill.PapermillExecutionError
) -> NotebookError:
    """Keep the notebook as it stood, its traceback readable in any program, and say it in a line.

    What a reader is meant to mend (`InputError`) needs no traceback on the screen.
    """
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
    base = preset(asked.get("preset", "quick"))
    config = preset(base.name, asked.get("settings"), **_own(asked))
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


def _rests_on(records: list[tuple[str, str]]) -> dict[str, Any]:
    """The records that a page shows, and the data behind them."""
    data = runs.data_hashes(records, data_home())
    return {"records": [list(each) for each in records], "data": data}


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
    config = preset(named, parameters.get("settings"), **_own(parameters))
    if config.pictures != "stamps":  # songs of these are no files to render
        msg = f"preset: expected one on the book's own pictures and songs, got {config.name!r}; "
        msg += "page 13 shows its record beside any of those, such as quick"
        raise InputError(msg)
    for name, names in FILES.items():
        value = setting(config, name)
        if value not in names and not Path(value.partition("#")[0]).is_file():
            msg = f"{name}: expected {', '.join(names)} or the path of a file, got {brief(value)}; "
            raise InputError(msg + "there is no such file")
    for name, instead in NO_PAGE.items():
        if setting(config, name) != setting(PRESETS[named], name):
            msg = f"{name}: expected as the preset has it, for no page reads it, got "
            raise InputError(msg + f"{brief(setting(config, name))}; take {instead}")
    for name in known.keys() & parameters.keys() - _own(parameters).keys() - {"preset", "settings"}:
        if type(parameters[name]) is not type(known[name]):
            kind, got = type(known[name]).__name__, parameters[name]
            msg = f"{name}: expected {kind}, such as {known[name]!r}, got {got!r}; mend -p {name}"
            raise InputError(msg)


def _own(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters that are settings."""
    return {name: value for name, value in parameters.items() if is_setting(name)}


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
    for cell in nbformat.read(notebook, 4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            return {
                target.id: ast.literal_eval(node.value)  # type: ignore[attr-defined, arg-type]
                for node in ast.parse(cell.source).body
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            }
    msg = f"{notebook.name}: expected a cell tagged 'parameters'"
    raise InputError(msg)


def _key_of(page: Path) -> str | None:
    """The key that an executed notebook carries."""
    return (
        nbformat.read(page, 4).metadata.get("songtitle", {}).get("key") if page.exists() else None
    )


def _key(notebook: Path, parameters: Mapping[str, Any], code: Mapping[str, str]) -> str:
    """A hash of all that a page is made from: parameters, cells, the code that they reach, the
    manifests, the corpora at hand, and what it shows of published results."""
    cells = [[cell.cell_type, cell.source] for cell in nbformat.read(notebook, 4).cells]
    long = tuple(f"/{stage.__name__}.json" for stage in LONG)
    read = ("census/", READS.get(notebook.stem, "census/"))
    shown = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in results().items()
        if name.endswith(long) or name.startswith(read)
    }
    return digest([dict(parameters), cells, code, tables(), present(data_home()), shown])


def run(
    name: str = "quick",
    changes: Mapping[str, Any] | None = None,
    *,
    chosen: Iterable[Path] = (),
    output: Path = EXECUTED,
    stale: bool = False,
) -> None:
    """Run notebooks in order (all of them unless `chosen`), a line of progress for each.

    `changes` are parameters of notebooks and settings by dotted name; without `chosen`, each
    notebook takes those that it has. With `stale`, those long stages come first whose published
    records other code made.

    The first that fails ends the run. Those before it are up to date then, so the same call goes
    on where it stopped.
    """
    if name not in PRESETS:
        preset(name)
    chosen, changes = list(chosen), changes or {}
    whole = not chosen and output == EXECUTED
    those = _for_each(name, chosen, changes)
    at_large = {"preset": name} | placed(("seed", "device", "settings"), changes)
    start, count, ran = time.monotonic(), len(those), 0
    if stale:
        make_stale_again(preset(name, at_large.get("settings"), **_own(at_large)))
    for place, (notebook, parameters) in enumerate(those, 1):
        with ticking(f"[{place:>{len(str(count))}}/{count}] {notebook.stem}") as say:
            if whole and notebook.stem == SCOREBOARD:  # it reads what the others left
                config = preset(name, at_large.get("settings"), **_own(at_large))
                with clear_disk_errors("results", OWN):
                    keep(config, again=bool(changes.get("again")))
            asked = parameters if chosen else at_large
            if execute(notebook, output / notebook.name, parameters, asked=asked):
                ran += 1
            else:
                say("up to date")
    if count > 1:
        took = span(time.monotonic() - start)
        print(f"{ran} run, {count - ran} up to date, in {took}", flush=True)


def keep(config: ExperimentConfig, *, again: bool = False) -> None:
    """Keep what a run found where pages and the book look for it: `OWN`, beside the clone's own.

    The records that the book's numbers come from, Table 4 in full, and what the census counted
    here. A long stage that was published stays as it is, unless it was run `again`. The captioner
    of the quick run goes into the page that names songs in the reader's browser.
    """
    for stage in SHORT:
        keep_record(stage, config, stage(config))
    for stage, name in LONG.items():
        its = preset(name, device=config.device) if name else config
        keep_record(stage, its, published(stage, its, again=again))
    write_whole(OWN / config.name / "table_4.csv", score_table(config).to_csv(index=False))
    for name, answer in paper_corpora.answers().items():
        if answer.file(RECORD).is_file():
            (OWN / "census").mkdir(exist_ok=True)
            text = json.dumps(answer.as_dict(), indent=1, ensure_ascii=False)
            write_whole(OWN / "census" / f"{name}.json", text + "\n")
    if config.name == "quick":
        demo.write_demo(config, RUN / DEMO)


def make_stale_again(config: ExperimentConfig) -> None:
    """Run those long stages again whose published records other code made."""
    for stage, name in LONG.items():
        its = preset(name, device=config.device) if name else config
        with ticking(f"[publish] {stage.__name__}, preset {its.name}") as say:
            try:
                if published(stage, its).changed:
                    keep_record(stage, its, stage(its))
                else:
                    say("up to date")
            except InputError as error:  # samples of the paper's corpora: not everybody has them
                say(f"stays as it was published: {error}")


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
        msg = (
            f"book: missing {missing or 'nothing'}; pages with a traceback: {broken or 'none'}; "
            f"pages with a picture without alt text: {unnamed or 'none'}"
        )
        raise InputError(msg)
