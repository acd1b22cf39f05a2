"""Checks: small functions that hold what was drawn from records against what the paper says.

Each takes a reading, one value for each read of the test, and answers with an `Outcome`: it holds,
it fails, or the values cannot tell (None). Rows of scores have `input`, `beam_size`, `score`, and
beside it `low`, `high`, `chance`, `gain` and `p`; inputs are called `pictures ...` or `songs: ...`.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from songtitle.paper.ledger import written
from songtitle.paper.readings import UNTOLD, Estimate, Outcome, Reading, estimate, exact

Row = Mapping[str, Any]


# -- numbers


def within(reading: Reading, *, claimed: float, tolerance: float | int) -> Outcome:
    """The number is the paper's, within the tolerance and what the sample leaves open.

    Several estimates of one read are ways to count: the paper's number may lie between them.
    """
    found = estimates(reading.values[0])
    here = ", ".join(show(each) for each in found)
    sides = [(e.value, e.value) if reading.whole else (e.low, e.high) for e in found]
    low, high = min(side[0] for side in sides), max(side[1] for side in sides)
    inside = low - tolerance <= claimed <= high + tolerance
    if inside and not all(map(math.isfinite, (low, high))):
        # The shortest title of a sample says only that the shortest of all is no longer.
        attained = any(abs(each.value - claimed) <= tolerance for each in found)
        return Outcome(holds=True if attained else None, here=here)
    return Outcome(holds=inside, here=here)


def less_than(reading: Reading) -> Outcome:
    """The first number is below the second, beyond the intervals of both."""
    first, second = (estimates(value)[0] for value in reading.values)
    return Outcome(holds=apart(first, second), here=f"{show(first)} and {show(second)}")


def alike(reading: Reading, *, tolerance: float) -> Outcome:
    """Two numbers differ by no more than the tolerance and what their samples leave open."""
    first, second = (estimates(value)[0] for value in reading.values)
    gap = max(first.low - second.high, second.low - first.high)
    if reading.whole:
        gap = abs(first.value - second.value)
    return Outcome(holds=gap <= tolerance, here=f"{show(first)} and {show(second)}")


def at_least(reading: Reading, *, bound: float) -> Outcome:
    """No number is below the bound."""
    found = estimates(reading.values)
    return Outcome(holds=min(each.value for each in found) >= bound, here=show(found))


def at_most(reading: Reading, *, bound: float) -> Outcome:
    """No number is above the bound."""
    found = estimates(reading.values)
    return Outcome(holds=max(each.value for each in found) <= bound, here=show(found))


def equals(reading: Reading, *, expected: Sequence[float]) -> Outcome:
    """The numbers are those expected."""
    found = [each.value for each in estimates(reading.values)]
    return Outcome(holds=found == list(expected), here=", ".join(map(written, found)))


def all_between(reading: Reading, *, low: float, high: float) -> Outcome:
    """Every one of a list of numbers lies between two bounds."""
    found = list(reading.values[0])
    here = f"{min(found)} to {max(found)} in {len(found):,} values"
    return Outcome(holds=low <= min(found) and max(found) <= high, here=here)


def most(reading: Reading) -> Outcome:
    """A share is above one half, beyond its interval."""
    (share,) = estimates(reading.values[0])
    holds = True if share.low > 0.5 else (False if share.high < 0.5 else None)
    return Outcome(holds=holds, here=f"{100 * share.value:.0f} % of {share.count:,}")


def every(reading: Reading) -> Outcome:
    """A share is one: a sample can show an exception, but not that there is none."""
    (share,) = estimates(reading.values[0])
    here = f"{round(share.value * share.count):,} of {share.count:,}"
    return Outcome(holds=False if share.value < 1 else (reading.whole or None), here=here)


def one_value(reading: Reading) -> Outcome:
    """All things counted by a histogram are alike."""
    found = reading.values[0]
    here = "; ".join(f"{int(value):,}: {count:,} times" for value, count in found.items())
    return Outcome(holds=(reading.whole or None) if len(found) == 1 else False, here=here)


def several_values(reading: Reading) -> Outcome:
    """Not all things counted by a histogram are alike."""
    alike = one_value(reading)
    return Outcome(holds=None if alike.holds is None else not alike.holds, here=alike.here)


def none_flagged(reading: Reading, *, order: int) -> Outcome:
    """No title has its flag set; each has one for every order of the steps."""
    titles = reading.values[0]
    flagged = [title for title, flags in titles.items() if flags[order]]
    return Outcome(holds=not flagged, here=f"{len(flagged)} of {len(titles)} hold one")


# -- rows of scores


def peak_at(reading: Reading, *, beam: float) -> Outcome:
    """Every input scores best at one beam size; it fails where one is clearly better elsewhere."""
    inputs = _by_beam(reading)
    tops = {name: _best(rows.values()) for name, rows in inputs.items()}
    there = [name for name, top in tops.items() if top["beam_size"] == beam]
    sizes = ", ".join(written(float(top["beam_size"])) for top in tops.values())
    clear = [
        apart(estimate(inputs[name][int(beam)]), estimate(top))
        for name, top in tops.items()
        if int(beam) in inputs[name]
    ]
    holds = _all_or_clearly_not(len(there) == len(tops), clear)
    return Outcome(holds=holds, here=f"{len(there)} of {len(tops)} inputs; best at k = {sizes}")


def rises(reading: Reading, *, first: int, second: int) -> Outcome:
    """Every input scores higher with the second beam size; it fails where one clearly falls."""
    pairs = _pairs(reading, first, second).values()
    up = [b.value > a.value for a, b in pairs]
    here = f"{sum(up)} of {len(up)} inputs; changes {_changes(pairs)} points"
    return Outcome(holds=_all_or_clearly_not(all(up), [apart(b, a) for a, b in pairs]), here=here)


def no_rise(reading: Reading, *, first: int, second: int) -> Outcome:
    """No input scores higher with the second beam size; it fails where one clearly rises."""
    pairs = _pairs(reading, first, second).values()
    up = [b.value > a.value for a, b in pairs]
    here = f"{sum(up)} of {len(up)} inputs rise; changes {_changes(pairs)} points"
    holds = _all_or_clearly_not(not any(up), [apart(a, b) for a, b in pairs])
    return Outcome(holds=holds, here=here)


def songs_climb_most(reading: Reading, *, first: int, second: int) -> Outcome:
    """From one beam size to another every song input gains a larger share than any picture."""
    pairs = _pairs(reading, first, second)
    ratios = {name: b.value / a.value for name, (a, b) in pairs.items() if a.value}
    songs, pictures = _sides(ratios)
    if not (songs and pictures):
        return UNTOLD
    shown = [", ".join(f"{100 * (r - 1):+.0f} %" for r in side) for side in (songs, pictures)]
    here = f"songs {shown[0]}; pictures {shown[1]}"
    return Outcome(holds=min(songs) > max(pictures), here=here)


def timbre_falls_steepest(reading: Reading) -> Outcome:
    """From greedy search to five beams, BLEU per second falls most for timbre."""
    rates = {
        name: (rows[1]["score"] / rows[1]["seconds"]) / (rows[5]["score"] / rows[5]["seconds"])
        for name, rows in _by_beam(reading).items()
        if {1, 5} <= rows.keys()
        and all(rows[k]["score"] > 0 and (rows[k].get("seconds") or 0) > 0 for k in (1, 5))
    }
    timbre = [rate for name, rate in rates.items() if "timbre" in name]
    if not timbre or len(rates) < 2:
        return Outcome(holds=None, here="" if rates else "no times beside the scores")
    here = "; ".join(f"{name} {rate:.1f} times" for name, rate in rates.items())
    return Outcome(holds=timbre[0] == max(rates.values()), here=here)


def leads(reading: Reading, *, first: str, second: str, beam: int) -> Outcome:
    """One input scores above another at a beam size, beyond the intervals of both."""
    one, two = (estimate(_by_beam(reading)[name][beam]) for name in (first, second))
    return Outcome(holds=apart(two, one), here=f"{show(one)} and {show(two)}")


def songs_below_pictures(reading: Reading) -> Outcome:
    """The best song cell is below the best picture cell, beyond the intervals of both."""
    songs, pictures = map(estimate, _best_cells(reading))
    return Outcome(holds=apart(songs, pictures), here=f"{show(songs)} and {show(pictures)}")


def songs_near_pictures(reading: Reading, *, bound: float) -> Outcome:
    """The best song cell reaches at least a share of the best picture cell."""
    songs, pictures = _best_cells(reading)
    if not pictures["score"]:
        return UNTOLD
    ratio = songs["score"] / pictures["score"]
    return Outcome(holds=ratio >= bound, here=f"{100 * ratio:.0f} % of the best picture score")


def smallest_tile_best(reading: Reading, *, beam: int) -> Outcome:
    """Of the picture inputs, the one with the smallest tiles scores highest, beyond intervals."""
    rows = [row for row in reading.values[0] if row.get("tile_size") and row["beam_size"] == beam]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["tile_size"])
    here = "; ".join(f"{row['tile_size']:.0f} px {100 * row['score']:.1f}" for row in rows)
    first, *rest = map(estimate, rows)
    if any(apart(first, other) for other in rest):
        return Outcome(holds=False, here=here)
    return Outcome(holds=True if all(apart(other, first) for other in rest) else None, here=here)


def above_chance(reading: Reading, *, beam: int, level: float) -> Outcome:
    """Every song input scores above chance at a beam size."""
    rows = reading.values[0]
    songs = [row for row in rows if _is_song(row["input"]) and row["beam_size"] == beam]
    if not songs:
        return UNTOLD
    here = "; ".join(
        f"{row['input']} {100 * row['score']:.1f} (chance {100 * row['chance']:.1f}, "
        f"p = {row['p']:.3f})"
        for row in songs
    )
    return Outcome(holds=all(row["p"] <= level and row["gain"] > 0 for row in songs), here=here)


# -- times, histories and comparisons


def straight_line(reading: Reading, *, tolerance: float) -> Outcome:
    """Times lie on a straight line over sizes, within a share of the longest time."""
    sizes, times = ([float(each) for each in value] for value in reading.values)
    slope, start = statistics.linear_regression(sizes, times)
    gaps = [abs(time - start - slope * size) for size, time in zip(sizes, times, strict=True)]
    worst = max(gaps) / max(times)
    growth = (times[-1] / times[0]) / (sizes[-1] / sizes[0])
    here = (
        f"off the line by at most {100 * worst:.1f} % of the longest; {sizes[-1] / sizes[0]:.0f} "
        f"times the beams take {times[-1] / times[0]:.1f} times as long"
    )
    return Outcome(holds=worst <= tolerance and growth > 0, here=here)


def falling(reading: Reading, *, column: str) -> Outcome:
    """A column of a history falls from each row to the next."""
    found = [float(row[column]) for row in reading.values[0]]
    here = f"lowest at row {found.index(min(found)) + 1} of {len(found)}: {min(found):.2f}"
    return Outcome(holds=all(b < a for a, b in itertools.pairwise(found)), here=here)


def lowest_at(reading: Reading, *, claimed: float, column: str, tolerance: float | int) -> Outcome:
    """A column of a history is lowest at the claimed row, counted from 1, within a tolerance."""
    found = [float(row[column]) for row in reading.values[0]]
    at = found.index(min(found)) + 1
    return Outcome(holds=abs(at - claimed) <= tolerance, here=f"lowest at {at} of {len(found)}")


def attention_adds_little(reading: Reading, *, most: float) -> Outcome:
    """On average over encoders, attention scores above the plain LSTM, by at most so many points.

    The interval of the average takes the rows of a pair as independent, which they are not: it is
    too wide rather than too narrow.
    """
    encoders: dict[str, dict[str, Estimate]] = {}
    for row in reading.values[0]:
        encoders.setdefault(row["encoder"], {})[row["decoder"]] = estimate(row)
    pairs = [
        (pair["lstm"], pair["attention"])
        for pair in encoders.values()
        if {"lstm", "attention"} <= pair.keys()
    ]
    if not pairs:
        return UNTOLD
    gain = sum(b.value - a.value for a, b in pairs) / len(pairs)
    error = math.hypot(*((e.high - e.low) / 2 for pair in pairs for e in pair)) / len(pairs)
    here = f"{gain:+.1f} points on average, give or take {error:.1f}"
    if gain - error > most or gain + error < 0:
        return Outcome(holds=False, here=here)
    return Outcome(holds=True if gain - error >= 0 and gain + error <= most else None, here=here)


def no_loss(reading: Reading, *, decoder: str) -> Outcome:
    """The smallest network scores no lower than the largest, as far as the intervals tell."""
    rows = [row for row in reading.values[0] if row["decoder"] == decoder]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["backbone_parameters"])
    small, large = estimate(rows[0]), estimate(rows[-1])
    return Outcome(holds=not apart(small, large), here=f"{show(small)} and {show(large)}")


# -- what checks are made of


def show(value: Any) -> str:
    """A value with its interval and its chance level, as far as it has them."""
    if isinstance(value, (list, tuple)):
        return ", ".join(show(each) for each in value)
    text = written(value.value)
    if value.low < value.high and math.isfinite(value.low) and math.isfinite(value.high):
        text += f" [{written(value.low)}, {written(value.high)}]"
    if value.chance is not None:
        text += f" (chance {written(value.chance)})"
    return f"{text} {value.label}".strip()


def estimates(value: Any) -> list[Estimate]:
    """A value, or a list of them, as estimates; a bare number is exact."""
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in estimates(item)]
    return [value if isinstance(value, Estimate) else exact(float(value))]


def apart(first: Estimate, second: Estimate) -> bool | None:
    """Whether the first is below the second; None where their intervals overlap."""
    if first.high < second.low:
        return True
    return False if second.high < first.low else None


def _by_beam(reading: Reading) -> dict[str, dict[int, Row]]:
    inputs: dict[str, dict[int, Row]] = {}
    for row in reading.values[0]:
        inputs.setdefault(str(row["input"]), {})[int(row["beam_size"])] = row
    return inputs


def _best(rows: Any) -> Row:
    return max(rows, key=lambda row: row["score"])


def _pairs(reading: Reading, first: int, second: int) -> dict[str, tuple[Estimate, Estimate]]:
    """Input -> its scores at two beam sizes, where it has both."""
    return {
        name: (estimate(found[first]), estimate(found[second]))
        for name, found in _by_beam(reading).items()
        if {first, second} <= found.keys()
    }


def _changes(pairs: Any) -> str:
    return ", ".join(f"{b.value - a.value:+.1f}" for a, b in pairs)


def _all_or_clearly_not(every: bool, clear: Sequence[bool | None]) -> bool | None:
    """Holds for all; fails where an interval says so; between the two it cannot be told."""
    if not clear:
        return None
    return every or (False if True in clear else None)


def _is_song(input: str) -> bool:
    return input.startswith("songs")


def _sides(values: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Those of songs, and those of pictures."""
    songs = [value for name, value in values.items() if _is_song(name)]
    return songs, [value for name, value in values.items() if not _is_song(name)]


def _best_cells(reading: Reading) -> tuple[Row, Row]:
    """The best row of songs, and the best of pictures; ValueError where there is none."""
    rows = reading.values[0]
    songs = [row for row in rows if _is_song(row["input"])]
    return _best(songs), _best([row for row in rows if not _is_song(row["input"])])
