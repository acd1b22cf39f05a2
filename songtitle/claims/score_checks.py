"""Checks on what search and training left: rows of scores, histories, times.

A row of scores has `input`, `beam_size`, `score`, and beside it `low`, `high`, `chance`, `gain`
and `p`; inputs are called `pictures ...` or `songs: ...`.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from songtitle.claims.outcomes import Outcome, apart, listed, show
from songtitle.claims.records import Estimate


def peak_at(values: Sequence[Any], *, whole: bool, beam: float) -> Outcome:
    """Every input scores best at one beam size; it fails where one is clearly better elsewhere."""
    inputs = _by_beam(values[0])
    tops = {name: _best(list(rows.values())) for name, rows in inputs.items()}
    there = [name for name, top in tops.items() if top["beam_size"] == beam]
    sizes = listed([top["beam_size"] for top in tops.values()])
    here = f"{len(there)} of {len(tops)} inputs; best at k = {sizes}"
    clear = [
        apart(_estimate(inputs[name][int(beam)]), _estimate(top))
        for name, top in tops.items()
        if int(beam) in inputs[name]
    ]
    return Outcome(holds=_all_or_clearly_not(len(there) == len(tops), clear), here=here)


def rises(values: Sequence[Any], *, whole: bool, first: float, second: float) -> Outcome:
    """Every input scores higher with the second beam size; it fails where one clearly falls."""
    pairs = _pairs(values[0], first, second)
    up = [b.value > a.value for a, b in pairs.values()]
    here = f"{sum(up)} of {len(up)} inputs; changes {_changes(pairs)} points"
    clear = [apart(b, a) for a, b in pairs.values()]
    return Outcome(holds=_all_or_clearly_not(all(up), clear), here=here)


def no_rise(values: Sequence[Any], *, whole: bool, first: float, second: float) -> Outcome:
    """No input scores higher with the second beam size; it fails where one clearly rises."""
    pairs = _pairs(values[0], first, second)
    up = [b.value > a.value for a, b in pairs.values()]
    here = f"{sum(up)} of {len(up)} inputs rise; changes {_changes(pairs)} points"
    clear = [apart(a, b) for a, b in pairs.values()]
    return Outcome(holds=_all_or_clearly_not(not any(up), clear), here=here)


def songs_climb_most(values: Sequence[Any], *, whole: bool, first: float, second: float) -> Outcome:
    """From one beam size to another every song input gains a larger share than any picture."""
    pairs = _pairs(values[0], first, second)
    ratios = {name: b.value / a.value for name, (a, b) in pairs.items() if a.value}
    songs, pictures = _sides(ratios)
    if not (songs and pictures):
        return Outcome(holds=None, here="")
    shown = [", ".join(f"{100 * (r - 1):+.0f} %" for r in side) for side in (songs, pictures)]
    here = f"songs {shown[0]}; pictures {shown[1]}"
    return Outcome(holds=min(songs) > max(pictures), here=here)


def songs_fall_steepest(values: Sequence[Any], *, whole: bool) -> Outcome:
    """From greedy search to five beams, BLEU per second falls most for timbre."""
    rates = {
        name: (rows[1]["score"] / rows[1]["seconds"]) / (rows[5]["score"] / rows[5]["seconds"])
        for name, rows in _by_beam(values[0]).items()
        if {1, 5} <= rows.keys() and all(_positive(rows[k]) for k in (1, 5))
    }
    timbre = [name for name in rates if "timbre" in name]
    if not timbre or len(rates) < 2:
        return Outcome(holds=None, here="no times beside the scores" if not rates else "")
    here = "; ".join(f"{name} {rate:.1f} times" for name, rate in rates.items())
    return Outcome(holds=rates[timbre[0]] == max(rates.values()), here=here)


def leads(values: Sequence[Any], *, whole: bool, first: str, second: str, beam: float) -> Outcome:
    """One input scores above another at a beam size, beyond the intervals of both."""
    found = [_by_beam(values[0]).get(name, {}).get(int(beam)) for name in (first, second)]
    rows = [row for row in found if row is not None]
    if len(rows) < 2:
        return Outcome(holds=None, here="")
    one, two = (_estimate(row) for row in rows)
    return Outcome(holds=apart(two, one), here=f"{show(one)} and {show(two)}")


def songs_below_pictures(values: Sequence[Any], *, whole: bool) -> Outcome:
    """The best song cell is below the best picture cell, beyond the intervals of both."""
    best = _best_cells(values[0])
    if best is None:
        return Outcome(holds=None, here="")
    songs, pictures = (_estimate(row) for row in best)
    return Outcome(holds=apart(songs, pictures), here=f"{show(songs)} and {show(pictures)}")


def songs_near_pictures(values: Sequence[Any], *, whole: bool, bound: float) -> Outcome:
    """The best song cell reaches at least a share of the best picture cell."""
    best = _best_cells(values[0])
    if best is None or not best[1]["score"]:
        return Outcome(holds=None, here="")
    ratio = best[0]["score"] / best[1]["score"]
    return Outcome(holds=ratio >= bound, here=f"{100 * ratio:.0f} % of the best picture score")


def smallest_tile_best(values: Sequence[Any], *, whole: bool, beam: float) -> Outcome:
    """Of the picture inputs, the one with the smallest tiles scores highest, beyond intervals."""
    rows = [row for row in values[0] if row.get("tile_size") and row["beam_size"] == beam]
    if len(rows) < 2:
        return Outcome(holds=None, here="")
    rows = sorted(rows, key=lambda row: row["tile_size"])
    here = "; ".join(f"{row['tile_size']:.0f} px {100 * row['score']:.1f}" for row in rows)
    first, rest = _estimate(rows[0]), [_estimate(row) for row in rows[1:]]
    if any(apart(first, other) for other in rest):
        return Outcome(holds=False, here=here)
    return Outcome(holds=True if all(apart(other, first) for other in rest) else None, here=here)


def above_chance(values: Sequence[Any], *, whole: bool, beam: float, level: float) -> Outcome:
    """Every song input scores above chance at a beam size."""
    songs = [
        row for row in values[0] if row["input"].startswith("songs") and row["beam_size"] == beam
    ]
    if not songs:
        return Outcome(holds=None, here="")
    here = "; ".join(
        f"{row['input']} {100 * row['score']:.1f} (chance {100 * row['chance']:.1f}, "
        f"p = {row['p']:.3f})"
        for row in songs
    )
    return Outcome(holds=all(row["p"] <= level and row["gain"] > 0 for row in songs), here=here)


# -- other records -------------------------------------------------------------------------------


def straight_line(values: Sequence[Any], *, whole: bool, tolerance: float) -> Outcome:
    """Times lie on a straight line over sizes, within a share of the longest time."""
    sizes, times = ([float(each) for each in value] for value in values)
    mean_size, mean_time = sum(sizes) / len(sizes), sum(times) / len(times)
    squares = sum((size - mean_size) ** 2 for size in sizes)
    slope = (
        sum(
            (size - mean_size) * (time - mean_time) for size, time in zip(sizes, times, strict=True)
        )
        / squares
    )
    gaps = [
        abs(time - mean_time - slope * (size - mean_size))
        for size, time in zip(sizes, times, strict=True)
    ]
    worst = max(gaps) / max(times)
    growth = (times[-1] / times[0]) / (sizes[-1] / sizes[0])
    here = (
        f"off the line by at most {100 * worst:.1f} % of the longest; {sizes[-1] / sizes[0]:.0f} "
        f"times the beams take {times[-1] / times[0]:.1f} times as long"
    )
    return Outcome(holds=worst <= tolerance and growth > 0, here=here)


def falling(values: Sequence[Any], *, whole: bool, column: str) -> Outcome:
    """A column of a history falls from each row to the next."""
    found = [float(row[column]) for row in values[0]]
    down = [b < a for a, b in itertools.pairwise(found)]
    lowest = found.index(min(found)) + 1
    here = f"lowest at row {lowest} of {len(found)}: {min(found):.2f}"
    return Outcome(holds=all(down), here=here)


def lowest_at(
    values: Sequence[Any], *, whole: bool, claimed: float, column: str, tolerance: float
) -> Outcome:
    """A column of a history is lowest at the claimed row, counted from 1, within a tolerance."""
    found = [float(row[column]) for row in values[0]]
    lowest = found.index(min(found)) + 1
    here = f"lowest at {lowest} of {len(found)}"
    return Outcome(holds=abs(lowest - claimed) <= tolerance, here=here)


def small_gain(
    values: Sequence[Any], *, whole: bool, column: str, first: str, second: str, most: float
) -> Outcome:
    """On average over pairs of rows, the second kind scores above the first, by little.

    The interval of the average takes the rows of a pair as independent, which they are not: it is
    too wide rather than too narrow.
    """
    kinds: dict[str, dict[str, Estimate]] = {}
    other = "encoder" if column == "decoder" else "decoder"
    for row in values[0]:
        kinds.setdefault(row[other], {})[row[column]] = _estimate(row)
    pairs = [(pair[first], pair[second]) for pair in kinds.values() if {first, second} <= set(pair)]
    if not pairs:
        return Outcome(holds=None, here="")
    mean = sum(b.value - a.value for a, b in pairs) / len(pairs)
    error = math.hypot(*((e.high - e.low) / 2 for pair in pairs for e in pair)) / len(pairs)
    here = f"{mean:+.1f} points on average, give or take {error:.1f}"
    bound = 100 * most
    if mean - error > bound or mean + error < 0:
        return Outcome(holds=False, here=here)
    return Outcome(holds=True if mean - error >= 0 and mean + error <= bound else None, here=here)


def no_loss(values: Sequence[Any], *, whole: bool, decoder: str) -> Outcome:
    """The smallest network scores no lower than the largest, as far as the intervals tell."""
    rows = sorted(
        (row for row in values[0] if row["decoder"] == decoder),
        key=lambda row: row["backbone_parameters"],
    )
    if len(rows) < 2:
        return Outcome(holds=None, here="")
    small, large = _estimate(rows[0]), _estimate(rows[-1])
    here = f"{show(small)} and {show(large)}"
    return Outcome(holds=not apart(small, large), here=here)


CHECKS: tuple[Callable[..., Outcome], ...] = (
    *(peak_at, rises, no_rise, songs_climb_most, songs_fall_steepest, leads),
    *(songs_below_pictures, songs_near_pictures, smallest_tile_best, above_chance),
    *(straight_line, falling, lowest_at, small_gain, no_loss),
)


def _estimate(row: Mapping[str, Any]) -> Estimate:
    """A row's score in percent points, with what stands beside it."""
    score, low, high = (
        100 * float(row.get(name, row["score"])) for name in ("score", "low", "high")
    )
    chance = row.get("chance")
    return Estimate(
        value=score,
        low=low,
        high=high,
        count=int(row.get("items", 0)),
        chance=None if chance is None else 100 * float(chance),
    )


def _by_input(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    inputs: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        inputs.setdefault(str(row["input"]), []).append(row)
    return inputs


def _by_beam(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, Mapping[str, Any]]]:
    return {
        name: {int(row["beam_size"]): row for row in found}
        for name, found in _by_input(rows).items()
    }


def _best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(rows, key=lambda row: row["score"])


def _positive(row: Mapping[str, Any]) -> bool:
    return row["score"] > 0 and (row.get("seconds") or 0) > 0


def _pairs(
    rows: Sequence[Mapping[str, Any]], first: float, second: float
) -> dict[str, tuple[Estimate, Estimate]]:
    """Input -> its scores at two beam sizes, where it has both."""
    return {
        name: (_estimate(found[int(first)]), _estimate(found[int(second)]))
        for name, found in _by_beam(rows).items()
        if {int(first), int(second)} <= found.keys()
    }


def _changes(pairs: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    return ", ".join(f"{b.value - a.value:+.1f}" for a, b in pairs.values())


def _all_or_clearly_not(every: bool, clear: Sequence[bool | None]) -> bool | None:
    """Holds for all; fails where an interval says so; between the two it cannot be told."""
    if not clear:
        return None
    return every or (False if True in clear else None)


def _sides(values: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Those of songs, and those of pictures."""
    songs = [value for name, value in values.items() if name.startswith("songs")]
    return songs, [value for name, value in values.items() if not name.startswith("songs")]


def _best_cells(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    songs = [row for row in rows if row["input"].startswith("songs")]
    pictures = [row for row in rows if not row["input"].startswith("songs")]
    return (_best(songs), _best(pictures)) if songs and pictures else None
