"""All sources of the manifest by name: fetched, verified, and accounted for in tables.

A source is of one of three kinds: downloads that its manifest names, the stamps, which come as a
package or archive of their own, and data inside an installed Python package.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from songtitle import manifest, sources
from songtitle.datasets import stamps
from songtitle.datasets.fetching.downloads import (
    Item,
    checked_on,
    fetch_file,
    fetch_files,
    is_done,
    is_unpacked,
    items,
    verify_item,
)
from songtitle.datasets.fetching.ledger import Ledger
from songtitle.datasets.fetching.transfer import TransferConfig, length
from songtitle.errors import InputError
from songtitle.manifest import File, Problems, check_room
from songtitle.sources import Source

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
    too small for all that is asked.
    """
    stop = threading.Event()
    tasks: list[Callable[[], str]] = []
    wanted: list[Item] = []
    for name in dict.fromkeys(names):
        source = sources.read_source(name)
        if name == STAMPS:
            tasks.append(lambda: str(stamps.fetch(home, archive=archive)))
        elif source.files:
            for item in items(source, home):
                wanted.append(item)
                tasks.append(
                    partial(fetch_file, item, config=config, quiet=quiet, stop=stop),
                )
        else:
            tasks.append(partial(_packaged, source))
    if archive is not None and STAMPS not in names:
        msg = f"--archive: expected it with the source {STAMPS}, got {', '.join(names)}; leave it"
        raise InputError(msg)
    total = sum(item.wanted for item in wanted if not is_done(item))
    check_room(home, total, f"fetch {' '.join(dict.fromkeys(names))}")
    yield from fetch_files(tasks, jobs=jobs, stop=stop)


def verify(names: Sequence[str], home: Path) -> Iterator[Verdict]:
    """Compare every file of each source (all of them where none is named) with its checksum."""
    for name in names or sources.names():
        source = sources.read_source(name)
        if not source.files:
            yield _verify_list(source, home)
            continue
        problems, unknown = Problems([], []), []
        for item in items(source, home):
            found, without = verify_item(item)
            problems.missing.extend(found.missing)
            problems.corrupt.extend(found.corrupt)
            unknown.extend(without)
        fetched = any(item.target.is_file() for item in items(source, home))
        yield Verdict(name, fetched, problems, unknown)


def plan(names: Sequence[str], home: Path) -> str:
    """What `fetch` would bring, as a table; sends nothing and touches nothing."""
    rows, total, here, open_sizes = [], 0, 0, False
    files: list[tuple[str, int | None, int, str]]
    for name in dict.fromkeys(names):
        source = sources.read_source(name)
        if source.files:
            files = [
                (
                    item.file.path,
                    item.size,
                    length(item.target) or length(item.part),
                    str(item.target),
                )
                for item in items(source, home)
            ]
        elif name == STAMPS:
            listed = manifest.listed(STAMPS)
            size = sum(file.size for file in listed)
            have = sum(min(length(home / STAMPS / file.path), file.size) for file in listed)
            files = [(f"{len(listed):,} files", size, have, str(home / STAMPS))]
        else:
            files = [("-", 0, 0, _packaged(source).partition(": ")[2])]
        for path, bytes_, have, where in files:
            rows.append([name, path, human(bytes_), human(have), _clip(source.licence), where])
            total, here = total + (bytes_ or 0), here + have
            open_sizes |= bytes_ is None
    more = " and more (?: not published)" if open_sizes else ""
    rows.append(["total", "", human(total) + more, human(here), "", ""])
    return table(["name", "file", "size", "have already", "licence", "where to"], rows)


def status(home: Path) -> str:
    """What lies in the data home, as a table; from sizes and times, so that it takes no time.

    "verified" has the date of the last full comparison since which no file has changed.
    """
    rows = []
    for name in sources.names():
        source = sources.read_source(name)
        present, verified, size = _account(source, home)
        rows.append([name, present, verified, size, _clip(source.licence)])
    return table(["source", "present", "verified", "size", "licence"], rows)


def human(size: int | None) -> str:
    """A number of bytes in decimal units, "358.4 MB"; "?" for None."""
    if size is None:
        return "?"
    number, units = float(size), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while number >= 999.95 and unit != "TB":
        number, unit = number / 1000, next(units)
    return f"{number:.1f} {unit}" if unit != "B" else f"{size} B"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Plain text in columns."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
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


def _listed(source: Source, home: Path) -> list[tuple[File, Path]] | None:
    """The listed files of the stamps or of a package with the folders they are relative to.

    None when there is no such package; a source without a list has no files to look at.
    """
    if not (sources.manifest_folder() / f"{source.name}.csv").is_file():
        return []
    listed = manifest.listed(source.name)
    if source.name == STAMPS:
        return [(file, home / STAMPS) for file in listed]
    folders: dict[str, Path] = {}
    try:
        for file in listed:
            package = PurePosixPath(file.path).parts[0]
            if package not in folders:
                folders[package] = manifest.package_folder(package).parent
    except InputError:
        return None
    return [(file, folders[PurePosixPath(file.path).parts[0]]) for file in listed]


def _verify_list(source: Source, home: Path) -> Verdict:
    found = _listed(source, home)
    if found is None:
        names = [file.path for file in manifest.listed(source.name)]
        return Verdict(source.name, False, Problems(names, []), [])
    problems = Problems([], [])
    for file, folder in found:
        one = manifest.verify([file], folder)
        problems.missing.extend(one.missing)
        problems.corrupt.extend(one.corrupt)
    if found and not any(problems):
        paths = [folder / file.path for file, folder in found]
        Ledger(home, source.name).check("list", paths, manifest.lists_hash(source.name))
    return Verdict(source.name, len(problems.missing) < len(found), problems, [])


def _account(source: Source, home: Path) -> tuple[str, str, str]:
    """`present`, `verified` and `size` of a source, as `status` shows them."""
    if source.files:
        return _account_files(source, home)
    found = _listed(source, home)
    if found is None:
        return f"no package {source.package}", "-", "-"
    if not found:
        return "not fetched", "-", "?"
    here = [file for file, folder in found if (folder / file.path).is_file()]
    size = human(sum(file.size for file, _ in found))
    if not here:
        return "not fetched", "-", size
    paths = [folder / file.path for file, folder in found]
    against = manifest.lists_hash(source.name)
    date = Ledger(home, source.name).checked("list", paths, against)
    return f"{len(here):,} of {len(found):,} files", f"{date}, published" if date else "no", size


def _account_files(source: Source, home: Path) -> tuple[str, str, str]:
    every = items(source, home)
    here = [item for item in every if item.target.is_file()]
    sizes = [item.size or length(item.target) or None for item in every]
    known = sum(size for size in sizes if size)
    size = human(known) + (" and more" if None in sizes else "") if known else "?"
    begun = sum(length(item.part) for item in every)
    if not here:
        return "not fetched" + (f", {human(begun)} begun" if begun else ""), "-", size
    present = f"{len(here)} of {len(every)} files"
    if closed := [item for item in here if not is_unpacked(item)]:
        present += f", {len(closed)} to unpack"
    if begun:
        present += f", {human(begun)} begun"
    checked = [(item, date) for item in here if (date := checked_on(item))]
    if not checked:
        return present, "no", size
    promises = " and ".join(sorted({item.promise for item, _ in checked}))
    verified = f"{min(date for _, date in checked)}, {promises}"
    if len(checked) < len(here):
        verified = f"{len(checked)} of {len(here)}, {verified}"
    return present, verified, size
