"""All sources of the manifest by name: fetched, verified, and accounted for in tables.

A source is of one of four kinds: downloads that its manifest names, the stamps, which come as a
package or archive of their own, the recordings of several packages, and data inside an installed
Python package.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

from songtitle.corpora import manifest, recordings, stamps
from songtitle.corpora.fetch import Ledger, fetch_file, items, verify_item
from songtitle.corpora.guarded_http import TransferConfig, length
from songtitle.corpora.manifest import File, Problems, Source, check_room, free
from songtitle.errors import InputError

STAMPS = "stamps"
UNPACKED = (STAMPS, recordings.NAME)  # into a folder of the data home
WIDEST = 48  # characters of a table's cell


@dataclass(frozen=True)
class Verdict:
    """What `verify` found of one source."""

    name: str
    fetched: bool
    problems: Problems
    unknown: list[str]  # paths without any checksum to compare with


def fetch(
    names: Sequence[str],
    home: Path,
    *,
    jobs: int = 3,
    quiet: bool = False,
    archive: Path | None = None,
    every: bool = False,
    config: TransferConfig | None = None,
) -> Iterator[str | InputError]:
    """Bring sources to the data home, `jobs` files at a time; a line or an error for each file.

    All names and the disk are looked at before anything is sent; `archive` is a stamps archive that
    is already here, and `every` asks for all packages of recordings. Raises InputError for an
    unknown source, one that cannot be fetched, and a disk too small for all that is asked. An
    interrupt stops all and goes on up.
    """
    stop = threading.Event()
    asked = {name: manifest.read_source(name) for name in names}
    wanted = [item for source in asked.values() for item in items(source, home)]
    tasks: list[Callable[[], str]] = [
        partial(fetch_file, item, config=config, quiet=quiet, stop=stop) for item in wanted
    ]
    if STAMPS in asked:
        tasks.append(lambda: str(stamps.fetch(home, archive=archive)))
    elif archive is not None:
        msg = f"--archive: expected it with the source {STAMPS}, got {', '.join(names)}; leave it"
        raise InputError(msg)
    packages = recordings.packages(every=every) if recordings.NAME in asked else []
    if every and not packages:
        msg = f"--all: expected it with the source {recordings.NAME}, got {', '.join(names)}; "
        raise InputError(msg + "leave it")
    tasks += [partial(recordings.fetch, package, home) for package in packages]
    plain = [s for s in asked.values() if s.name not in UNPACKED and not s.files]
    tasks += [partial(_packaged, source) for source in plain]
    total = sum(item.wanted for item in wanted if not item.checked_on)
    total += sum(each.size for each in packages if not recordings.is_fetched(each, home))
    check_room(home, total, f"fetch {' '.join(asked)}")

    def outcome(task: Callable[[], str]) -> str | InputError:
        try:
            return task()
        except InputError as error:
            return error

    # Its threads are daemons: one that waits for a silent server does not hold the process.
    with ThreadPool(min(jobs, len(tasks)) or 1) as pool:
        try:
            yield from (pool.imap_unordered if jobs > 1 else map)(outcome, tasks)
        finally:
            stop.set()


def verify(names: Sequence[str], home: Path) -> Iterator[Verdict]:
    """Compare every file of each source (all of them where none is named) with its checksum."""
    for source in map(manifest.read_source, names or manifest.source_names()):
        if every := items(source, home):
            problems = Problems([], [])
            unknown = [item.file.path for item in every if not verify_item(item, problems)]
            there = any(item.target.is_file() for item in every)
            yield Verdict(source.name, there, problems, unknown)
            continue
        roots = _begun(source, _listed(source, home))
        problems = manifest.verify(roots, roots.__getitem__)
        if roots and not any(problems):
            hashed = manifest.lists_hash(source.name)
            Ledger(home, source.name).check("list", _paths(roots), hashed)
        yield Verdict(source.name, len(problems.missing) < len(roots), problems, [])


class Coming(NamedTuple):
    """A row of `plan`: what would come, or is there."""

    name: str  # of the source
    file: str
    size: int | None  # bytes; None where nobody publishes it
    here: int  # bytes
    licence: str
    place: str


def plan(
    names: Sequence[str], home: Path, *, every: bool = False, more: Sequence[Coming] = ()
) -> str:
    """Show what `fetch` would bring, and `more`, as a table with the disk's free bytes; sends
    nothing and touches nothing."""
    rows: list[Coming] = []
    for source in map(manifest.read_source, dict.fromkeys(names)):
        name, terms = source.name, _clip(source.licence)
        for item in items(source, home):
            have = length(item.target) or length(item.part)
            rows.append(Coming(name, item.file.path, item.size, have, terms, str(item.target)))
        if name == STAMPS:
            roots = _listed(source, home)
            have = sum(min(length(root / f.path), f.size) for f, root in roots.items())
            size, what = sum(f.size for f in roots), f"{len(roots):,} files"
            rows.append(Coming(name, what, size, have, terms, str(home / STAMPS)))
        elif name == recordings.NAME:
            for package in recordings.packages(every=every):
                there = package.size if recordings.is_fetched(package, home) else 0
                what = f"{package.name} {package.version}"
                rows.append(Coming(name, what, package.size, there, terms, str(home / name)))
        elif not source.files:
            there_already = _packaged(source).partition(": ")[2]
            rows.append(Coming(name, "-", 0, 0, terms, there_already))
    rows += more
    cells = [[*row[:2], human(row.size), human(row.here), *row[4:]] for row in rows]
    total, here = total_of(row.size for row in rows), human(sum(row.here for row in rows))
    cells.append(["total", "", total, here, "", f"{human(free(home))} free"])
    return table(["name", "file", "size", "have already", "licence", "where to"], cells)


def status(home: Path) -> str:
    """Show what lies in the data home, as a table, from sizes and times alone.

    "verified" has the date of the last full comparison since which no file has changed.
    """
    rows = []
    for source in map(manifest.read_source, manifest.source_names()):
        account = _account_files if source.files else _account_list
        rows.append([source.name, *account(source, home), _clip(source.licence)])
    return table(["source", "present", "verified", "size", "licence"], rows)


def human(size: int | None) -> str:
    """Write a number of bytes in decimal units, "358.4 MB"; "not published" for None."""
    if size is None or size < 1000:
        return "not published" if size is None else f"{size} B"
    power = min(4, 1 + sum(size >= 999_950 * 1000**k for k in range(4)))
    return f"{size / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def total_of(sizes: Iterable[int | None]) -> str:
    """Write the sum of bytes, "1.2 GB and 3 of unpublished size"; None is of such a size."""
    every = list(sizes)
    known = [size for size in every if size is not None]
    unknown = f"{len(every) - len(known):,} of unpublished size"
    if len(known) == len(every):
        return human(sum(known))
    return f"{human(sum(known))} and {unknown}" if known else unknown


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Set cells in columns of plain text."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    set_ = (map(str.ljust, line, widths) for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in set_)


def _clip(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def _packaged(source: Source) -> str:
    if source.package is None:
        known = f"; see {source.addresses[0]}" if source.addresses else ""
        msg = f"{source.name}: expected files to download, its manifest names none{known}"
        raise InputError(msg)
    return f"{source.name}: comes with the package {source.package}"


def _listed(source: Source, home: Path) -> dict[File, Path]:
    """The listed files of a source that has a list, and where the path of each begins."""
    there = (manifest.manifest_folder() / f"{source.name}.csv").is_file()
    files = manifest.listed(source.name) if there else []
    packages = {file: file.path.partition("/")[0] for file in files}
    try:
        if source.name in UNPACKED:
            return dict.fromkeys(files, home / source.name)
        sites = {each: manifest.package_folder(each).parent for each in set(packages.values())}
    except InputError:  # none of the kind is installed
        return dict.fromkeys(files, home / "nowhere")
    return {file: sites[package] for file, package in packages.items()}


def _begun(source: Source, roots: dict[File, Path]) -> dict[File, Path]:
    """Of several packages the files of those that are here; of none all files."""
    here = {
        file
        for part in map(recordings.files_of, source.packages)
        if any((roots[file] / file.path).is_file() for file in part)
        for file in part
    }
    return {file: root for file, root in roots.items() if file in here or not here}


def _paths(roots: dict[File, Path]) -> list[Path]:
    return [root / file.path for file, root in roots.items()]


def _account_list(source: Source, home: Path) -> tuple[str, str, str]:
    """`present`, `verified` and `size` of what has a list, as `status` shows them."""
    roots = _listed(source, home)
    here, size = sum(path.is_file() for path in _paths(roots)), sum(file.size for file in roots)
    if not here:
        absent = roots and source.package
        return (
            f"no package {absent}" if absent else "not fetched",
            "-",
            human(size) if size else "?",
        )
    hashed = manifest.lists_hash(source.name)
    date = Ledger(home, source.name).checked("list", _paths(_begun(source, roots)), hashed)
    return f"{here:,} of {len(roots):,} files", f"{date}, published" if date else "no", human(size)


def _account_files(source: Source, home: Path) -> tuple[str, str, str]:
    """`present`, `verified` and `size` of downloads, as `status` shows them."""
    every = items(source, home)
    here = [item for item in every if item.target.is_file()]
    sizes = [item.size or length(item.target) or None for item in every]
    known = sum(size for size in sizes if size)
    size = human(known) + (" and more" if None in sizes else "") if known else "?"
    begun = sum(length(item.part) for item in every)
    closed = sum(not item.is_unpacked for item in here)
    present = f"{len(here)} of {len(every)} files" if here else "not fetched"
    present += f", {closed} to unpack" if closed else ""
    present += f", {human(begun)} begun" if begun else ""
    checked = [(date, item.promise) for item in here if (date := item.checked_on)]
    if not checked:
        return present, "no" if here else "-", size
    promises = " and ".join(sorted({promise for _, promise in checked}))
    some = f"{len(checked)} of {len(here)}, " if len(checked) < len(here) else ""
    return present, f"{some}{min(checked)[0]}, {promises}", size
