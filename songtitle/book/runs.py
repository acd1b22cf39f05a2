"""Runs: what an executed page carries of how it came about, and when a book is of one run.

A page's `metadata.songtitle` holds what is the same each time (run, preset, seed, device, commit,
records, data); the wall time and the date stand in a file beside the pages, so that two runs that
show the same are the same bytes.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from songtitle.cache import OWN, PUBLISHED, ROOT, changed_code, code_of_text, digest, tables
from songtitle.errors import InputError
from songtitle.machine import write_whole

TIMES = "songtitle-run.json"  # beside executed pages: what differs from run to run
SMALL = ("stamps", "photos")  # pictures that come with the book, or samples: nothing of full size
LONG = ("comparison", "replicates", "switchboard", "samples")  # shown as published, not run anew
COMPUTING = "\n".join(
    f"import songtitle.experiment.{path.stem}"
    for path in sorted(ROOT.glob("songtitle/experiment/[a-z]*.py"))
)


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


def run_id(*, preset: str, seed: int, device: str, changed: Mapping[str, Any]) -> str:
    """A name for a run, the same for all its pages: a hash of what they have in common.

    Of preset, seed, device and changed settings, the manifests, and all code that computes.
    """
    return digest([preset, seed, device, dict(changed), code_of_text(COMPUTING), tables()])[:12]


def take_records(content: Any) -> list[tuple[str, str]]:
    """The records that the outputs of an executed notebook say they rest on, in order.

    They are taken out of the outputs: the page carries them in one place.
    """
    from songtitle.tables import RECORDS  # which imports pandas

    found: dict[tuple[str, str], None] = {}
    for cell in content.cells:
        for output in cell.get("outputs", []):
            for stage, key in output.get("data", {}).pop(RECORDS, []):
                found[stage, key] = None
    return list(found)


def data_hashes(records: Iterable[tuple[str, str]], home: Path) -> dict[str, str]:
    """Hashes (16 hex digits) of the data behind some records, and behind all that those rest on.

    A record is looked for below `home`, then among those published; what is in neither adds
    nothing.
    """
    found: dict[str, str] = {}
    published = published_records()
    waiting, seen = list(records), set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        path = home / "runs" / each[0] / each[1] / "record.json"
        content = _read(path) if path.is_file() else published.get(each, {})
        settings = content.get("settings") or {}
        named = dict(settings.get("data") or {})
        named |= {name: facts["sha256"] for name, facts in (settings.get("files") or {}).items()}
        found |= {name: str(value)[:16] for name, value in named.items() if value}
        waiting += list((content.get("inputs") or {}).items())
    return dict(sorted(found.items()))


def code_of_page(notebook: Path) -> dict[str, str]:
    """`code_of_text` of what the cells of a notebook compute and draw."""
    cells = [cell for cell in _read(notebook)["cells"] if cell["cell_type"] == "code"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    return code_of_text(text, f"notebooks/{notebook.stem}")


def note_times(page: Path, *, seconds: float, machine: str, code: Mapping[str, str]) -> None:
    """Write beside a page when it was made, how long that took, on what, and by which code.

    One process at a time may do so. A file that is torn is begun anew: times are worth no error.
    """
    path = page.parent / TIMES
    try:
        times = _read(path)
    except (FileNotFoundError, ValueError):
        times = {}
    times["code"] = dict(sorted({**times.get("code", {}), **code}.items()))
    times[page.stem] = {
        "made": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "machine": machine,
    }
    write_whole(path, json.dumps(dict(sorted(times.items())), indent=1) + "\n")


def read_page(
    page: Path, there: Mapping[tuple[str, str], dict[str, Any]] | None = None
) -> PageRun | None:
    """How an executed page came about; None where it carries no run, or is not there.

    `there` are the published records, where a caller with many pages has read them already.
    """
    if not page.is_file():
        return None
    content = _read(page)
    carried = content.get("metadata", {}).get("songtitle", {})
    if not carried.get("run"):
        return None
    times = _read(page.parent / TIMES) if (page.parent / TIMES).is_file() else {}
    known = {**carried, **times.get(page.stem, {})}
    known = {name: value for name, value in known.items() if name in _FIELDS}
    known["records"] = tuple((stage, key) for stage, key in carried.get("records", []))
    source = ROOT / "notebooks" / page.name
    now = code_of_page(source) if source.is_file() else {}
    if now and carried.get("code") != digest(now):
        then = times.get("code", {})
        differ = sorted(name for name in now if then.get(name) != now[name])
        known["changed_code"] = tuple(differ) or ("songtitle",)
    there = published_records() if there is None else there
    kept = [(stage, there[stage, key]) for stage, key in known["records"] if (stage, key) in there]
    other = tuple(stage for stage, content in kept if changed_code(content.get("code")))
    return PageRun(**known, other_code=other)


def one_run(pages: Mapping[str, PageRun | None]) -> PageRun | None:
    """The run that all pages are of, None of no pages. Raises InputError where it is not one.

    Pages without a run, and runs of which there are fewer pages, are named with the command that
    makes them. The run with most pages stands for the book.
    """
    by_run: dict[str, dict[str, PageRun]] = {}
    for name, page in pages.items():
        if page and page.run:
            by_run.setdefault(page.run, {})[name] = page
    ranked = [by_run[run] for run in sorted(by_run, key=lambda run: (-len(by_run[run]), run))]
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
        preset = f" --preset {first.preset}" if first and first.preset != "quick" else ""
        msg = f"book: {'; '.join(faults)}; make them with `python -m songtitle run{preset}`"
        raise InputError(msg)
    return first


def check_published(
    pages: Mapping[str, PageRun], there: Mapping[tuple[str, str], Any] | None = None
) -> None:
    """Raise InputError where a page rests on a published record that is not `there`."""
    there = published_records() if there is None else there
    faults = [
        f"{name} needs {stage} {key}"
        for name, page in pages.items()
        for stage, key in page.records
        if _is_published(stage) and (stage, key) not in there
    ]
    if faults:
        msg = "book: expected published records that pages rest on, there are none of these in "
        msg += f"results/: {'; '.join(faults)}; make them with `python -m songtitle run`"
        raise InputError(msg)


_FIELDS = frozenset(PageRun.__dataclass_fields__)


def _is_published(stage: str) -> bool:
    """Whether what a page shows of a stage lies in `results`, too."""
    named = "/" in stage and not stage.startswith(("benchmarks/", "faults/"))
    return named or stage in LONG or stage.startswith("census_")


def _described(pages: Mapping[str, PageRun], most: int = 6) -> str:
    """A run, and the first of its pages."""
    page, names = next(iter(pages.values())), list(pages)
    changes = "".join(f", {name} = {value}" for name, value in page.changed.items())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    run = f"run {page.run} (preset {page.preset}, seed {page.seed}, {page.device}{changes})"
    return f"{run}: {', '.join(names[:most])}{more}"


def published_records(
    roots: Iterable[Path] = (PUBLISHED, OWN),
) -> dict[tuple[str, str], dict[str, Any]]:
    """Published records by the name they may be asked for (stage, or folder/file) and their key."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in (path for root in roots for path in sorted(root.glob("*/*.json"))):
        content = _read(path)
        if isinstance(content, dict) and content.get("key"):
            key = str(content["key"])
            found[str(content.get("stage", path.stem)), key] = content
            found[f"{path.parent.name}/{path.stem}", key] = content
    return found


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
