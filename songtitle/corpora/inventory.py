"""All sources of the manifest by name: fetched, verified, and accounted for in tables.

A source is of one of three kinds: downloads that its manifest names, the stamps, which come as a
package or archive of their own, and data inside an installed Python package.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

from songtitle.corpora import manifest, stamps
from songtitle.corpora.fetch import Ledger, fetch_file, items, verify_item
from songtitle.corpora.guarded_http import TransferConfig, length
from songtitle.corpora.manifest import File, Problems, Source, check_room
from songtitle.errors import InputError

STAMPS = "stamps"
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
    config: TransferConfig | None = None,
) -> Iterator[str | InputError]:
    """Bring sources to the data home, `jobs` files at a time; a line or an error for each file.

    All names and the disk are looked at before anything is sent; `archive` is a stamps archive that
    is already here. Raises InputError for an unknown source, one that cannot be fetched, and a disk
    too small for all that is asked. An interrupt stops all and goes on up.
    """
    stop = threading.Event()
    asked = {name: manifest.read_source(name) for name in names}
    wanted = [item for source in asked.values() for item in items(source, home)]
    tasks: list[Callable[[], str]] = [
        partial(fetch_file, item, config=config, quiet=quiet, stop=stop) for item in wanted
    ]
    for name, source in asked.items():
        if name == STAMPS:
            tasks.append(lambda: str(stamps.fetch(home, archive=archive)))
        elif not source.files:
            tasks.append(partial(_packaged, source))
    if archive is not None and STAMPS not in asked:
        msg = f"--archive: expected it with the source {STAMPS}, got {', '.join(names)}; leave it"
        raise InputError(msg)
    total = sum(item.wanted for item in wanted if not item.checked_on)
    check_room(home, total, f"fetch {' '.join(asked)}")
    # Its threads are daemons: one that waits for a silent server does not hold the process.
    with ThreadPool(min(jobs, len(tasks)) or 1) as pool:
        try:
            yield from (pool.imap_unordered if jobs > 1 else map)(_outcome, tasks)
        finally:
            stop.set()


def _outcome(task: Callable[[], str]) -> str | InputError:
    try:
        return task()
    except InputError as error:
        return error


def verify(names: Sequence[str], home: Path) -> Iterator[Verdict]:
    """Compare every file of each source (all of them where none is named) with its checksum."""
    for name in names or manifest.source_names():
        source = manifest.read_source(name)
        every = items(source, home)
        if not every:
            yield _verify_list(source, home)
            continue
        problems = Problems([], [])
        unknown = [item.file.path for item in every if not verify_item(item, problems)]
        yield Verdict(name, any(item.target.is_file() for item in every), problems, unknown)


def plan(names: Sequence[str], home: Path) -> str:
    """Show what `fetch` would bring, as a table; sends nothing and touches nothing."""
    rows: list[tuple[str, str, int | None, int, str, str]] = []
    for name in dict.fromkeys(names):
        source = manifest.read_source(name)
        terms = _clip(source.licence)
        for item in items(source, home):
            have = length(item.target) or length(item.part)
            rows.append((name, item.file.path, item.size, have, terms, str(item.target)))
        if name == STAMPS:
            listed = manifest.listed(STAMPS)
            have = sum(min(length(home / STAMPS / file.path), file.size) for file in listed)
            what, size = f"{len(listed):,} files", sum(file.size for file in listed)
            rows.append((name, what, size, have, terms, str(home / STAMPS)))
        elif not source.files:
            rows.append((name, "-", 0, 0, terms, _packaged(source).partition(": ")[2]))
    more = " and more (?: not published)" if any(row[2] is None for row in rows) else ""
    total, here = sum(row[2] or 0 for row in rows), sum(row[3] for row in rows)
    cells = [[*row[:2], human(row[2]), human(row[3]), *row[4:]] for row in rows]
    cells.append(["total", "", human(total) + more, human(here), "", ""])
    return table(["name", "file", "size", "have already", "licence", "where to"], cells)


def status(home: Path) -> str:
    """Show what lies in the data home, as a table; from sizes and times, so that it takes no time.

    "verified" has the date of the last full comparison since which no file has changed.
    """
    rows = []
    for source in map(manifest.read_source, manifest.source_names()):
        account = _account_files if source.files else _account_list
        rows.append([source.name, *account(source, home), _clip(source.licence)])
    return table(["source", "present", "verified", "size", "licence"], rows)


def human(size: int | None) -> str:
    """Write a number of bytes in decimal units, "358.4 MB"; "?" for None."""
    if size is None:
        return "?"
    number, power = float(size), 0
    while number >= 999.95 and power < 4:
        number, power = number / 1000, power + 1
    return f"{number:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}" if power else f"{size} B"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Set cells in columns of plain text."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _clip(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def _packaged(source: Source) -> str:
    if source.package is None:
        known = f"; see {source.addresses[0]}" if source.addresses else ""
        msg = f"{source.name}: expected files to download, its manifest names none{known}"
        raise InputError(msg)
    return f"{source.name}: comes with the package {source.package}"


def _listed(source: Source, home: Path) -> tuple[list[File], Callable[[File], Path]]:
    """The listed files of the stamps or of a package, and where the path of each begins.

    A source without a list has no files to look at. Raises InputError for a package that is not
    installed when the place is asked for.
    """
    if source.name == STAMPS:
        return manifest.listed(STAMPS), lambda _: home / STAMPS
    there = (manifest.manifest_folder() / f"{source.name}.csv").is_file()
    site = cache(lambda package: manifest.package_folder(package).parent)
    files = manifest.listed(source.name) if there else []
    return files, lambda file: site(file.path.partition("/")[0])


def _verify_list(source: Source, home: Path) -> Verdict:
    files, place = _listed(source, home)
    try:
        problems = manifest.verify(files, place)
    except InputError:
        return Verdict(source.name, False, Problems([file.path for file in files], []), [])
    if files and not any(problems):
        paths = [place(file) / file.path for file in files]
        Ledger(home, source.name).check("list", paths, manifest.lists_hash(source.name))
    return Verdict(source.name, len(problems.missing) < len(files), problems, [])


def _account_list(source: Source, home: Path) -> tuple[str, str, str]:
    """`present`, `verified` and `size` of the stamps or a package, as `status` shows them."""
    files, place = _listed(source, home)
    try:
        paths = [place(file) / file.path for file in files]
    except InputError:
        return f"no package {source.package}", "-", "-"
    here = sum(path.is_file() for path in paths)
    size = human(sum(file.size for file in files) or None)
    if not here:
        return "not fetched", "-", size
    date = Ledger(home, source.name).checked("list", paths, manifest.lists_hash(source.name))
    return f"{here:,} of {len(files):,} files", f"{date}, published" if date else "no", size


def _account_files(source: Source, home: Path) -> tuple[str, str, str]:
    """`present`, `verified` and `size` of downloads, as `status` shows them."""
    every = items(source, home)
    here = [item for item in every if item.target.is_file()]
    sizes = [item.size or length(item.target) or None for item in every]
    known = sum(size for size in sizes if size)
    size = human(known) + (" and more" if None in sizes else "") if known else "?"
    begun = sum(length(item.part) for item in every)
    begun_too = f", {human(begun)} begun" if begun else ""
    if not here:
        return f"not fetched{begun_too}", "-", size
    closed = sum(not item.is_unpacked for item in here)
    present = f"{len(here)} of {len(every)} files" + (f", {closed} to unpack" if closed else "")
    checked = [(date, item.promise) for item in here if (date := item.checked_on)]
    if not checked:
        return present + begun_too, "no", size
    promises = " and ".join(sorted({promise for _, promise in checked}))
    some = f"{len(checked)} of {len(here)}, " if len(checked) < len(here) else ""
    return present + begun_too, f"{some}{min(checked)[0]}, {promises}", size
