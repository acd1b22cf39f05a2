"""Anchors: rows of timbre whose track is known, because its 90 numbers were computed again."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32

from songtitle.errors import InputError


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
    """The rows that hold the numbers of known tracks, which are these `entries` of the list.

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


def check_anchors(anchors: Anchors, rows: bytes, entries: bytes) -> None:
    """Raise InputError unless each anchor is a row and an entry of its own, of the same year.

    `rows` and `entries` are the years of the rows and of the list, one byte each.
    """
    if not len(anchors.rows):
        return
    ascending = (np.diff(anchors.rows) > 0).all() and len(set(anchors.entries.tolist())) == len(
        anchors.entries
    )
    inside = (
        anchors.rows[0] >= 0
        and anchors.rows[-1] < len(rows)
        and anchors.entries.min() >= 0
        and anchors.entries.max() < len(entries)
    )
    if not ascending or not inside or len(anchors.rows) != len(anchors.entries):
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
