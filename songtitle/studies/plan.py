"""The plan as text: data, disk and hours as tables, and forecast beside fact."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from songtitle.cache import provenance
from songtitle.corpora.inventory import human, table, total_of
from songtitle.errors import InputError
from songtitle.experiment.plan import NOT_PROBED, Forecast, Piece
from songtitle.experiment.quantities import plural

LONG = 5.0  # seconds from which forecast and fact are compared
BUSY = 0.8  # of a probe's time, below which it is told that others computed too
DISK = ("item", "size", "there", "to come", "from", "command")
TIMES = ("stage", "number", "finished", "forecast", "to go", "the longest")
OTHERS = "clips, maps, listening, labs, gallery, random pairings"  # stages without a forecast


class DiskTooSmall(InputError):
    """The disk cannot hold what is planned."""

    exit_code = 1


def hours(seconds: float) -> str:
    """Write a duration in the unit that suits it: `41 s`, `3.2 min`, `7.5 h`, `12.1 days`."""
    if math.isnan(seconds):
        return "?"
    for size, unit in ((86_400 * 2, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / min(size, 86_400):,.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


def line(found: Forecast) -> str:
    """Say the whole plan in one line."""
    done = sum(piece.record is not None for piece in found.pieces)
    time = f"{hours(found.seconds)} to go (forecast)" if found.probe else "time not probed"
    missing = sum(need.missing for need in found.needs)
    said = f"plan: {found.preset} on {found.corpora.name}: {plural(found.trainings, 'training')}, "
    said += f"{done} of {len(found.pieces)} stages done, {time}, {human(missing)} to come on disk, "
    return f"{said}{human(found.free)} free"


def report(found: Forecast) -> str:
    """Set the whole plan as text: data, disk, time, each as a table, and a last line."""
    corpora, its = found.corpora, found.probe
    sides = ", ".join(f"{count:,} {side}" for side, count in corpora.pictures.items())
    sides += f" on pages, of {corpora.whole:,} that `train` learns from" if corpora.whole else ""
    head = [
        f"Plan of preset {found.preset} on {corpora.name}",
        f"Hardware: {its.hardware if its else NOT_PROBED.hardware}",
        f"Pictures: {sides}; words: {corpora.words:,}; songs: {corpora.songs:,} by each reading",
        f"Counts are from: {corpora.basis}",
        "",
    ]
    lines = [*head, table(DISK, disk(found)), "", table(TIMES, times(found)), "", *_memory(found)]
    return "\n".join([*lines, line(found)])


def disk(found: Forecast) -> list[list[str]]:
    """Give the rows of DISK: what there is to be had or made, and all of it together."""
    rows = [
        [
            *(need.item, human(need.size), human(need.here), human(need.missing), need.basis),
            need.command if need.missing or need.size is None else "",
        ]
        for need in found.needs
    ]
    here, missing = (sum(getattr(n, name) for n in found.needs) for name in ("here", "missing"))
    total = total_of(need.size for need in found.needs)
    room = f"{human(found.free)} free"
    return [*rows, ["total", total, human(here), human(missing), room, ""]]


def times(found: Forecast) -> list[list[str]]:
    """Give the rows of TIMES: the stages by name, and all of them together."""
    groups: dict[str, list[Piece]] = defaultdict(list)
    for piece in found.pieces:
        groups[piece.stage].append(piece)
    rows = []
    for name, some in [*groups.items(), ("total", list(found.pieces))]:
        about = max(some, key=lambda piece: piece.seconds).about
        rows.append(
            [
                *(name, str(len(some)), str(sum(piece.record is not None for piece in some))),
                hours(sum(piece.seconds for piece in some)),
                hours(sum(piece.left for piece in some)),
                about if name in groups else f"without {OTHERS}",
            ]
        )
    return rows


def _memory(found: Forecast) -> list[str]:
    """What the probe took of memory, and how busy the machine was."""
    if not (its := found.probe):
        return []
    gpu = f", {human(its.gpu)} of the card's" if its.gpu is not None else ""
    said = [f"The probe took {its.seconds:.0f} s and {human(its.memory)} of memory{gpu}."]
    if its.share < BUSY:
        said.append(
            f"The machine was busy: it computed in {its.share:.0%} of that time. Hours are of an "
            "idle one."
        )
    return said


def against(found: Forecast) -> str:
    """Set forecast beside fact for every finished stage that took long, with their ratio."""
    rows = [
        [piece.stage, piece.about, f"{piece.told:.1f}", f"{fact:.1f}", f"{piece.told / fact:.2f}"]
        for piece in found.pieces
        if (fact := piece.fact) and fact >= LONG
    ]
    rows = rows or [["none", f"no finished stage took {LONG:g} s", "", "", ""]]
    return table(["stage", "about", "forecast (s)", "fact (s)", "ratio"], rows)


def check_disk(found: Forecast) -> None:
    """Raise DiskTooSmall, which says by how much, where the disk cannot hold the plan."""
    if found.short:
        wanted = human(sum(need.missing for need in found.needs))
        msg = f"disk: expected {wanted} free for what is to come, got {human(found.free)}; it is "
        msg += f"{human(found.short)} short: make room, or set SONGTITLE_DATA to a larger disk"
        raise DiskTooSmall(msg)


def as_dict(found: Forecast) -> dict[str, Any]:
    """Give the plan as plain values."""
    pieces = [
        piece._asdict() | {"record": piece.record and piece.record.key, "fact": piece.fact}
        for piece in found.pieces
    ]
    needs = [need._asdict() | {"missing": need.missing} for need in found.needs]
    plain = {"preset": found.preset, "trainings": found.trainings, "free": found.free}
    plain |= {"short": found.short, "seconds": found.seconds, "needs": needs, "stages": pieces}
    plain["probe"] = asdict(found.probe) if found.probe else None
    plain |= {"disk": [DISK, *disk(found)], "times": [TIMES, *times(found)]}
    plain["provenance"] = provenance()
    kept = {name: its for name, its in vars(found.corpora).items() if name != "archives"}
    return dict(_without_nan(plain | {"corpora": kept}))


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: what was not probed is null."""
    if isinstance(value, Mapping):
        return {str(name): _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
