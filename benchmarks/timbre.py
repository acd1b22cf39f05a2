"""Timbre: 12 means and 78 covariances of a track's segments, beside NumPy's own functions."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from benchmarks.harness import Growth, Row, interleaved, named
from songtitle.corpora.million_song import read_h5_folder
from songtitle.rows import Faults
from songtitle.timbre import COEFFICIENTS, moments, summarise

OF_NUMPY = 0.6  # of the time of np.mean and np.cov, at the most
AGREEMENT = 1e-10  # of the largest number of its kind
TRACKS = 100  # measured together: one takes some hundredths of a millisecond

Segments = Float64[np.ndarray, "segments 12"]


def rows(quick: bool = False) -> list[Row]:
    """Tracks of several lengths, and of the lengths of real ones where they are given."""
    rounds = 2 if quick else 9
    cases = {
        f"{count:,} segments": _tracks([count] * (3 if quick else TRACKS))
        for count in ([17] if quick else [200, 700, 1_300])
    }
    if real := _real(quick):
        lengths = [len(track) for track in real]
        cases[f"{len(real)} real tracks of {min(lengths):,} to {max(lengths):,} segments"] = real
    found = []
    for name, tracks in cases.items():
        found.append(_agreement(tracks, name))
        seconds = interleaved(
            {
                "ours": partial(_over, moments, tracks),
                "ours, of tensors": partial(
                    _over, summarise, [torch.from_numpy(track) for track in tracks]
                ),
                "np.mean + np.cov": partial(_over, with_numpy, tracks),
            },
            rounds=rounds,
        )
        peer = seconds.pop("np.mean + np.cov") / len(tracks)
        for way, taken in seconds.items():
            bound = way == "ours" and not quick
            found.append(
                Row(
                    what=f"timbre, {name}",
                    quantity=f"time of {way} / time of np.mean + np.cov",
                    value=taken / len(tracks) / peer,
                    at_most=OF_NUMPY if bound else None,
                    peer=named("numpy"),
                    seconds={way: taken / len(tracks), "np.mean + np.cov": peer},
                    note="seconds are per track",
                )
            )
    return found


def growth(quick: bool = False) -> list[Growth]:
    """Time against the number of segments."""
    counts = [50, 100] if quick else [1_000, 4_000, 16_000, 64_000]
    ways = {str(n): partial(_over, moments, _tracks([n] * 3)) for n in counts}
    seconds = interleaved(ways, rounds=2 if quick else 5)
    return [
        Growth(
            what="timbre",
            against="segments",
            unit="seconds",
            sizes=counts,
            values=[taken / 3 for taken in seconds.values()],
        )
    ]


def with_numpy(segments: Segments) -> tuple[np.ndarray, np.ndarray]:
    """The means and the whole matrix of covariances, not yet put in order."""
    return np.mean(segments, axis=0), np.cov(segments, rowvar=False)


def _over(way: Callable[..., object], tracks: Sequence[object]) -> None:
    for track in tracks:
        way(track)


def _tracks(lengths: Sequence[int]) -> list[Segments]:
    """Segments with the spread of Echo Nest's numbers: one coefficient follows another."""
    draw = np.random.default_rng(0)
    mixed = draw.standard_normal((COEFFICIENTS, COEFFICIENTS))
    return [20 * draw.standard_normal((n, COEFFICIENTS)) @ mixed + 10 for n in lengths]


def _real(quick: bool) -> list[Segments]:
    """Real tracks where they are given."""
    home = os.environ.get("SONGTITLE_REAL_DATA")
    if quick or not home:
        return []
    folder = Path(home) / "msd" / "h5"
    return [segments for _, segments in read_h5_folder(folder, Faults())]


def _agreement(tracks: Sequence[Segments], name: str) -> Row:
    largest = 0.0
    for track in tracks:
        ours = moments(track)
        mean, covariance = with_numpy(track)
        diagonals = [covariance.diagonal(k) for k in range(COEFFICIENTS)]
        for mine, theirs in (
            (ours[:COEFFICIENTS], mean),
            (ours[COEFFICIENTS:], np.concatenate(diagonals)),
        ):
            largest = max(largest, float(np.abs(mine - theirs).max() / np.abs(theirs).max()))
    return Row(
        what=f"agreement with np.mean and np.cov, {name}",
        quantity="largest difference / largest mean, or largest covariance, of the track",
        value=largest,
        at_most=AGREEMENT,
        peer=named("numpy"),
    )
