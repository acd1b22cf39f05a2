"""What the census measures of Million Song: the layout of its timbre, and whose title is whose."""

from pathlib import Path
from typing import Any

import numpy as np

from songtitle.datasets import anchors, hdf5_tracks, million_song, pairing
from songtitle.errors import InputError
from songtitle.rows import Faults

SEED = 0
ENTRIES, GAPS = 515_576, 231  # the paper's pairs, and how many more they are than UCI's rows
ANCHORED = 0.01  # of the rows of the made-up catalogue
DRAWN = 1_200  # rows of a list that a figure shows


# -- timbre --------------------------------------------------------------------------------------


def timbre_layout(folder: Path, uci: Path, other: Path) -> dict[str, Any]:
    """The 90 numbers computed again from HDF5 files, beside UCI's; and rows in another layout."""
    faults = Faults()
    computed = {
        track.id: hdf5_tracks.timbre_of(segments)
        for track, segments in hdf5_tracks.read_h5_folder(folder, faults, fewest=1)
    }
    printed = _uci_by_track(uci)
    shared = sorted(computed.keys() & printed.keys())
    ours, theirs = (np.stack([table[id] for id in shared]) for table in (computed, printed))
    try:
        million_song.check_layout(million_song.load_uci(other, faults)[1])
        refused = ""
    except InputError as error:
        refused = str(error)
    return {
        "files": len(computed),
        "compared": len(shared),
        "numbers": ours.shape[1],
        "largest_difference": float(np.abs(ours - theirs).max()),
        "other_layout_refused": refused,
        "faults": faults.as_dict(),
    }


def uci_layout(path: Path) -> dict[str, Any]:
    """Whether the rows of YearPredictionMSD.txt are what they should be."""
    faults = Faults()
    years, timbre = million_song.load_uci(path, faults)
    odd = million_song.check_layout(timbre)
    return {"rows": len(years), "odd_rows": len(odd), "faults": faults.as_dict()}


def _uci_by_track(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    table = pd.read_csv(path, dtype={"track_id": str})
    numbers = table.filter(regex=r"^(avg|cov)\d+$").to_numpy(np.float64)
    return dict(zip(table["track_id"], numbers, strict=True))


# -- joins ---------------------------------------------------------------------------------------


def joins(rows: Path, listing: Path, timbre: Path, folder: Path) -> dict[str, Any]:
    """Three joins of rows in track order with a list by year, where the truth is known."""
    faults = Faults()
    ids = [track.id for track in million_song.read_tracks(rows, faults)]
    listed = list(million_song.read_tracks(listing, faults))
    place = {track.id: entry for entry, track in enumerate(listed)}
    row_years, numbers = million_song.load_uci(timbre, faults)
    # The 12 means alone: the covariances of these rows are in no known layout.
    known = {
        place[track.id]: hdf5_tracks.timbre_of(segments)[:12]
        for track, segments in hdf5_tracks.read_h5_folder(folder, faults)
        if track.id in place
    }
    found = anchors.find_anchors(
        numbers[:, :12], np.stack(list(known.values())), np.array(list(known)), decimals=4
    )
    list_years = np.array([track.year for track in listed], dtype=np.int32)
    truth = np.array([place[id] for id in ids], dtype=np.int32)
    found_out = _joins(row_years.astype(np.int32), list_years, found, truth)
    return found_out | {"faults": faults.as_dict()}


def uci_joins(rows: Path, listing: Path, archive: Path | None = None) -> dict[str, Any]:
    """The joins of UCI's rows with `tracks_per_year.txt`; which row is whose is not known.

    Tracks of the 10,000-song subset, where its `archive` is here, anchor the rows they are in.
    """
    faults = Faults()
    row_years, timbre = million_song.load_uci(rows, faults)
    listed = list(million_song.read_tracks(listing, faults))
    list_years = np.array([track.year or 0 for track in listed], dtype=np.int32)
    found = None
    if archive is not None:
        place = {track.id: entry for entry, track in enumerate(listed)}
        known = {
            place[track.id]: hdf5_tracks.timbre_of(segments)
            for track, segments in hdf5_tracks.read_h5_archive(archive, faults)
            if track.id in place
        }
        numbers, entries = np.stack(list(known.values())), np.array(list(known))
        found = anchors.find_anchors(timbre, numbers, entries)
    result = _joins(row_years.astype(np.int32), list_years, found)
    return result | {"faults": faults.as_dict()}


def _joins(
    row_years: np.ndarray,
    list_years: np.ndarray,
    found: anchors.Anchors | None = None,
    truth: np.ndarray | None = None,
) -> dict[str, Any]:
    generator = np.random.default_rng(SEED)
    every = 1 + len(list_years) // DRAWN
    pairings = {
        "as told": pairing.as_told(row_years, list_years),
        "shuffled": pairing.shuffled(row_years, list_years, generator=generator),
        "repaired": pairing.within_year(row_years, list_years),
    }
    if found is not None:
        pairings["repaired, anchored"] = pairing.within_year(row_years, list_years, found)
    pairings["repaired, if each year is in the rows' order"] = pairing.within_year(
        row_years, list_years, found, same_order=True
    )
    return {
        "rows": len(row_years),
        "anchors": 0 if found is None else len(found.rows),
        "joins": {
            name: pairing.summary(row_years, list_years, each) | _right(each, truth)
            for name, each in pairings.items()
        },
        "catalogue": _made_up(list_years[list_years > 0]),
        "every": every,
        "years_by_row": {
            "timbre, in its own order": row_years[::every].tolist(),
            "titles, sorted by year": list_years[::every].tolist(),
        },
    }


def _made_up(years: np.ndarray) -> dict[str, Any]:
    """A catalogue as large as the paper's, with real years and known truth, and its repair."""
    generator = np.random.default_rng(SEED)
    rows, listed, truth = pairing.synthetic(years, entries=ENTRIES, gaps=GAPS, generator=generator)
    some = np.sort(generator.permutation(len(rows))[: round(ANCHORED * len(rows))])
    known = anchors.Anchors(some.astype(np.int32), truth[some])
    pairings = {
        "as told": pairing.as_told(rows, listed),
        "aligned": pairing.aligned(rows, listed),
        "aligned, 1 % anchored": pairing.aligned(rows, listed, known),
    }
    return {
        name: pairing.summary(rows, listed, each) | _right(each, truth)
        for name, each in pairings.items()
    }


def _right(found: pairing.Pairing, truth: np.ndarray | None) -> dict[str, int]:
    if truth is None:
        return {}
    right = found.partner == truth
    return {
        "right": int(right.sum()),
        "certain_and_right": int((right & found.certain).sum()),
        "certain_and_wrong": int((~right & found.certain).sum()),
    }
