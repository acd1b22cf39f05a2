"""Pairing: which track of a list each row of timbre is, and how far that can be trusted.

The rows (UCI's) have years and numbers, the list has years and titles. `as_told` is the paper's
way, `aligned` and `within_year` repair it, `shuffled` is the control. Anchors are rows whose track
is known, because its 90 numbers were computed again.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from songtitle.corpora.million_song import FIRST_YEAR, LAST_YEAR
from songtitle.errors import InputError

_NO_YEAR = 255  # the code of a list's unknown year, which is no row's

Years = Int[np.ndarray, " rows"]
ListYears = Int[np.ndarray, " entries"]


class Anchors(NamedTuple):
    """Rows whose track is known for certain, ascending."""

    rows: Int32[np.ndarray, " anchors"]
    entries: Int32[np.ndarray, " anchors"]


def find_anchors(
    timbre: Float[np.ndarray, "rows numbers"],
    known: Float[np.ndarray, "tracks numbers"],
    entries: Int[np.ndarray, " tracks"],
    *,
    decimals: int = 5,
) -> Anchors:
    """Find the rows that hold the numbers of known tracks, which are these `entries` of the list.

    Numbers are equal up to the `decimals` with which the rows were printed and single precision;
    any columns will do, if both have the same. A track that fits several rows anchors none (the
    same recording comes twice), nor does a row that fits several tracks.
    """
    order = np.argsort(timbre[:, 0], kind="stable")
    first = timbre[order, 0].astype(np.float64)
    slack = 0.6 * 10.0**-decimals + 2.5e-7 * np.abs(known)  # half a unit, and some rounding
    starts = np.searchsorted(first, known[:, 0] - slack[:, 0], side="left")
    ends = np.searchsorted(first, known[:, 0] + slack[:, 0], side="right")
    found = []
    for k in np.flatnonzero(starts < ends):
        near = order[starts[k] : ends[k]]
        fits = near[(np.abs(timbre[near] - known[k]) <= slack[k]).all(1)]
        if len(fits) == 1:
            found.append((int(fits[0]), int(entries[k])))
    rows, places = np.array(sorted(found), dtype=np.int32).reshape(-1, 2).T
    _, where, times = np.unique(rows, return_index=True, return_counts=True)
    once = where[times == 1]
    return Anchors(rows[once], places[once])


@dataclass(frozen=True)
class Pairing:
    """For each row of timbre an entry of the list (from 0), and how far it can be trusted."""

    partner: Int32[np.ndarray, " rows"]  # no entry twice
    low: Int32[np.ndarray, " rows"]  # the first entry that the row could be
    high: Int32[np.ndarray, " rows"]  # the last; those of its year between are the others
    certain: Bool[np.ndarray, " rows"]  # no other is possible


# -- three joins ---------------------------------------------------------------------------------


def as_told(row_years: Years, list_years: ListYears) -> Pairing:
    """Join row i with entry i, as the paper tells it; nothing vouches for any row.

    Raises InputError when the list is shorter than the rows.
    """
    _codes(row_years, list_years)
    return _unvouched(np.arange(len(row_years)), len(list_years))


def shuffled(
    row_years: Years,
    list_years: ListYears,
    *,
    generator: np.random.Generator,
) -> Pairing:
    """Join each row with a random entry, none twice: the control, which no title can survive."""
    _codes(row_years, list_years)
    return _unvouched(generator.permutation(len(list_years))[: len(row_years)], len(list_years))


def aligned(
    row_years: Years,
    list_years: ListYears,
    anchors: Anchors | None = None,
) -> Pairing:
    """Join rows with a list in the same order, of which some entries are missing in the rows.

    Every way to lay the years of the rows in order into those of the list lies between the one
    that goes as far left and the one that goes as far right as it can; each entry of the row's
    year between these two is possible, no other. A row is certain where the two meet. The partner
    is the left one. Linear in the length of the list.

    One missing entry leaves in doubt just the run of equal years it stood in; an anchor ends the
    doubt on its side. A list year of 0 is unknown: no row's.

    Raises InputError when the rows' years do not fit into the list's in order, naming the row
    where that shows, or when the anchors contradict the order: the list is in another order.
    """
    rows, entries = _codes(row_years, list_years)
    count, length = len(rows), len(entries)
    known = _checked(anchors, rows, entries)
    if (np.diff(known.entries) <= 0).any():
        k = int(np.argmax(np.diff(known.entries) <= 0))
        msg = (
            f"row {known.rows[k + 1] + 1}: expected its anchor after that of row "
            f"{known.rows[k] + 1}, entry {known.entries[k] + 1}, got entry "
            f"{known.entries[k + 1] + 1}; the list is in another order, use within_year()"
        )
        raise InputError(msg)
    low, high = np.empty(count, np.int32), np.empty(count, np.int32)
    row_ends = [-1, *known.rows.tolist(), count]
    entry_ends = [-1, *known.entries.tolist(), length]
    for k in range(len(row_ends) - 1):
        row, next_row = row_ends[k] + 1, row_ends[k + 1]
        entry, next_entry = entry_ends[k] + 1, entry_ends[k + 1]
        some, among = rows[row:next_row], entries[entry:next_entry]
        left = _leftmost(some, among)
        if len(left) < len(some):
            place = row + len(left)
            msg = (
                f"row {place + 1}: expected its year {row_years[place]} further on in the list, "
                f"with at most {length - count:,} entries passed over, it is not there; the list "
                "is in another order or of other tracks, use within_year()"
            )
            raise InputError(msg)
        right = len(among) - 1 - np.array(_leftmost(some[::-1], among[::-1]), dtype=np.int64)
        low[row:next_row] = np.array(left, dtype=np.int64) + entry
        high[row:next_row] = right[::-1] + entry
    low[known.rows] = high[known.rows] = known.entries
    return Pairing(low.copy(), low, high, low == high)


def within_year(
    row_years: Years,
    list_years: ListYears,
    anchors: Anchors | None = None,
    *,
    same_order: bool = False,
) -> Pairing:
    """Join rows with entries of their year, whatever the order of either.

    Without more knowledge a row is certain only when anchored, or when its year has one entry left
    that is not: no run of years helps. The k-th such row of a year gets its k-th such entry. With
    `same_order` the entries of a year are taken to be in the rows' order, as in a list that was
    sorted by year from one in that order; then the rows of a year without a gap are certain, too.

    Raises InputError when a year has more rows than entries, or when anchors contradict.
    """
    rows, entries = _codes(row_years, list_years)
    known = _checked(anchors, rows, entries)
    row_codes, entry_codes = np.frombuffer(rows, np.uint8), np.frombuffer(entries, np.uint8)
    wanted = np.bincount(row_codes, minlength=256)
    there = np.bincount(entry_codes, minlength=256)
    if (wanted > there).any():
        year = int(np.argmax(wanted > there))
        msg = (
            f"year {FIRST_YEAR + year}: expected at least {wanted[year]:,} entries of the list, as "
            f"many as rows, got {there[year]:,}; the list is of other tracks"
        )
        raise InputError(msg)
    row_order = np.argsort(row_codes, kind="stable")
    entry_order = np.argsort(entry_codes, kind="stable")
    if same_order:
        places = np.argsort(row_order)[known.rows].astype(np.int32)
        targets = np.argsort(entry_order)[known.entries].astype(np.int32)
        turn = np.argsort(places)
        inner = aligned(
            row_years[row_order], list_years[entry_order], Anchors(places[turn], targets[turn])
        )
        back = np.argsort(row_order)
        positions = entry_order.astype(np.int32)
        return Pairing(
            positions[inner.partner][back],
            positions[inner.low][back],
            positions[inner.high][back],
            inner.certain[back],
        )
    free_rows = row_order[~np.isin(row_order, known.rows)]
    free_entries = entry_order[~np.isin(entry_order, known.entries)]
    left = np.bincount(entry_codes[free_entries], minlength=256)
    first = np.concatenate([[0], np.cumsum(left)[:-1]])  # of each year, among the free entries
    code = row_codes[free_rows]
    rank = np.arange(len(code)) - np.searchsorted(code, code)  # of a row within its year
    partner, low, high = np.empty((3, len(rows)), np.int32)
    certain = np.ones(len(rows), dtype=bool)
    partner[known.rows] = low[known.rows] = high[known.rows] = known.entries
    partner[free_rows] = free_entries[first[code] + rank]
    low[free_rows] = free_entries[first[code]]
    high[free_rows] = free_entries[first[code] + left[code] - 1]
    certain[free_rows] = left[code] == 1
    return Pairing(partner, low, high, certain)


# -- how good a join is --------------------------------------------------------------------------


def agreement(row_years: Years, list_years: ListYears, pairing: Pairing) -> float:
    """Give the share of rows whose year is that of their partner, in [0, 1]; NaN without rows.

    It is 1 for `aligned` and `within_year` by construction: their test is that they exist at all.
    """
    return float(np.mean(row_years == list_years[pairing.partner])) if len(row_years) else np.nan


def summary(row_years: Years, list_years: ListYears, pairing: Pairing) -> dict[str, Any]:
    """Give what a record keeps of a join: sizes, the share of equal years, the certain rows."""
    return {
        "rows": len(row_years),
        "entries": len(list_years),
        "agreement": agreement(row_years, list_years, pairing),
        "certain": int(pairing.certain.sum()),
    }


# -- a catalogue whose truth is known ------------------------------------------------------------


def synthetic(
    years: Int[np.ndarray, " songs"],
    *,
    entries: int,
    gaps: int,
    run: int = 1,
    generator: np.random.Generator,
) -> tuple[Int32[np.ndarray, " rows"], Int32[np.ndarray, " entries"], Int32[np.ndarray, " rows"]]:
    """Make years of rows, years of a list, and the true entry of each row, to try a join on.

    The list has random `years`, each `run` times in a row as the songs of an album have; the rows
    are the list without `gaps` random entries.
    """
    drawn = generator.choice(years, -(-entries // run)).astype(np.int32)
    list_years = np.repeat(drawn, run)[:entries]
    truth = np.sort(generator.permutation(entries)[gaps:]).astype(np.int32)
    return list_years[truth], list_years, truth


# -- parts ---------------------------------------------------------------------------------------


def _codes(row_years: Years, list_years: ListYears) -> tuple[bytes, bytes]:
    """Years as one byte each, in which C finds the next one fast."""
    odd = (row_years < FIRST_YEAR) | (row_years > LAST_YEAR)
    if odd.any():
        place = int(np.argmax(odd))
        msg = (
            f"row {place + 1}: expected a year from {FIRST_YEAR} to {LAST_YEAR}, got "
            f"{row_years[place]}; read the rows by load_uci()"
        )
        raise InputError(msg)
    if len(list_years) < len(row_years):
        msg = (
            f"list: expected at least as many entries as rows, {len(row_years):,}, got "
            f"{len(list_years):,}; use the list of all tracks with a year"
        )
        raise InputError(msg)
    known = (list_years >= FIRST_YEAR) & (list_years <= LAST_YEAR)
    entries = np.where(known, list_years.astype(np.int64) - FIRST_YEAR, _NO_YEAR)
    rows = row_years.astype(np.int64) - FIRST_YEAR
    return rows.astype(np.uint8).tobytes(), entries.astype(np.uint8).tobytes()


def _checked(anchors: Anchors | None, rows: bytes, entries: bytes) -> Anchors:
    """The anchors, each a row and an entry of its own, of the same year; or InputError."""
    if anchors is None or not len(anchors.rows):
        return Anchors(np.empty(0, np.int32), np.empty(0, np.int32))
    ascending = (np.diff(anchors.rows) > 0).all()
    once = len(np.unique(anchors.entries)) == len(anchors.entries) == len(anchors.rows)
    inside = anchors.rows[0] >= 0 and anchors.rows[-1] < len(rows)
    listed = anchors.entries.min() >= 0 and anchors.entries.max() < len(entries)
    if not (ascending and once and inside and listed):
        msg = (
            "anchors: expected ascending rows, each with an entry of its own, inside the rows and "
            "the list, got others; find them by find_anchors()"
        )
        raise InputError(msg)
    for row, entry in zip(anchors.rows.tolist(), anchors.entries.tolist(), strict=True):
        if rows[row] != entries[entry]:
            msg = (
                f"row {row + 1}: expected the year of its anchor, entry {entry + 1} of the list, "
                "got another; the list is of other tracks"
            )
            raise InputError(msg)
    return anchors


def _leftmost(rows: bytes, entries: bytes) -> list[int]:
    """Places of the rows in the entries, each as far left as can be; cut where they do not fit."""
    places: list[int] = []
    spare = len(entries) - len(rows)  # at most so many can be passed over
    place = -1
    for number, code in enumerate(rows):
        place = entries.find(code, place + 1)
        if not 0 <= place <= number + spare:
            break
        places.append(place)
    return places


def _unvouched(partner: Int[np.ndarray, " rows"], length: int) -> Pairing:
    rows = len(partner)
    low, high = np.zeros(rows, np.int32), np.full(rows, length - 1, np.int32)
    return Pairing(partner.astype(np.int32), low, high, np.zeros(rows, dtype=bool))
