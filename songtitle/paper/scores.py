"""Trials by runs: scores, and sentences on training, search and similarity.

Rows of scores have `input`, `beam_size`, `score`, and beside it `low`, `high`, `chance`, `gain` and
`p`; inputs are called `pictures ...` or `songs: ...`.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from songtitle.paper.ledger import Numbers, written
from songtitle.paper.records import Draw, Estimate, Row, estimate
from songtitle.paper.trials import (
    UNTOLD,
    Check,
    Outcome,
    Read,
    Reading,
    Trial,
    apart,
    bounded,
    less,
    near,
    trial,
)

TRIALS: dict[str, Trial] = {}
tried = partial(trial, TRIALS)

# What the paper measured on.
CAPTIONER = {"train": "Conceptual Captions"}
PICTURES = CAPTIONER | {"pictures": "Conceptual Captions"}
TIMBRE = CAPTIONER | {"timbre": "Million Song"}
SPECTROGRAM = CAPTIONER | {"spectrogram": "Free Music Archive"}
SONGS = TIMBRE | SPECTROGRAM

SCORES = ("scores", "samples")  # stages that score inputs at several beam sizes
INPUTS = {
    **{f"cc{size}": (f"pictures {size}×{size}", PICTURES) for size in (32, 64, 128, 256)},
    "msd": ("songs: timbre", TIMBRE),
    "fma": ("songs: spectrogram", SPECTROGRAM),
}


def score(input: str, beam: int, times: float = 100.0) -> Draw:
    """Draw the score of an input at a beam size, in percent points."""

    def draw(found: Mapping[str, Any]) -> Estimate:
        cell, rows = (input, beam), found["rows"]
        chosen = [row for row in rows if (row.get("input"), row.get("beam_size")) == cell]
        return estimate(chosen[0], times=times)

    return draw


for id, row, beam in (
    *((f"table4.{row}.{k}", row, k) for row in INPUTS for k in (1, 5, 10, 15, 20)),
    *((f"table5.mfcc.ours_{k}", "msd", k) for k in (1, 5)),
    *((f"table5.spectrogram.ours_{k}", "fma", k) for k in (1, 5)),
    ("headline.in_domain", "cc32", 5),
    ("headline.out_domain", "fma", 5),
    ("search.fma_best", "fma", 5),
    ("search.msd_best", "msd", 5),
):  # one percent point is what a thousand titles leave open
    input, corpora = INPUTS[row]
    tried(id, Read(SCORES, score(input, beam)), corpora=corpora)(near(id, 1.0))
for id, beam in (("search.songs_at_one", 1), ("search.songs_at_five", 5)):
    read = Read(SCORES, score("songs: timbre", beam, times=1.0))
    tried(id, read, corpora=TIMBRE)(near(id, 0.05))

# The vocabulary of captions covers this share of the distinct words of titles.
known = Read(("vocabulary",), lambda found: found["known"]["distinct words"])
tried("cleaning.vocabulary_suffices", known, corpora=TIMBRE)(bounded("≥", "reading.half"))


# -- sentences about training

HISTORY = Read(("training",), lambda found: found["history"])
COMPARISON = Read(("comparison",), lambda found: found["rows"])


def perplexities(reading: Reading) -> tuple[list[float], int]:
    """Give the validation perplexity after each epoch, and the epoch where it is lowest."""
    found = [float(row["valid_perplexity"]) for row in reading.value]
    return found, found.index(min(found)) + 1


@tried("training.plateau_epoch", HISTORY, corpora=CAPTIONER)
def _plateau(reading: Reading, n: Numbers) -> Outcome:
    """Perplexity is lowest at the claimed epoch, or one beside it."""
    found, lowest = perplexities(reading)
    return abs(lowest - n["training.plateau_epoch"]) <= 1, f"lowest at {lowest} of {len(found)}"


@tried("training.perplexity_falls", HISTORY, corpora=CAPTIONER, mechanism=True)
def _falls(reading: Reading, n: Numbers) -> Outcome:
    found, lowest = perplexities(reading)
    here = f"lowest at row {lowest} of {len(found)}: {min(found):.2f}"
    return all(b < a for a, b in itertools.pairwise(found)), here


@tried("decoder.attention_adds_little", COMPARISON, corpora=CAPTIONER, mechanism=True)
def _attention_adds_little(reading: Reading, n: Numbers) -> Outcome:
    """On average over encoders, attention gains from 0 to 3 points on the plain LSTM.

    The interval of the average takes the rows of a pair as independent, which they are not: it is
    too wide rather than too narrow.
    """
    encoders: dict[str, dict[str, Estimate]] = {}
    for row in reading.value:
        encoders.setdefault(row["encoder"], {})[row["decoder"]] = estimate(row)
    both = [pair for pair in encoders.values() if {"lstm", "attention"} <= pair.keys()]
    pairs = [(pair["lstm"], pair["attention"]) for pair in both]
    if not pairs:
        return UNTOLD
    gain = sum(b.value - a.value for a, b in pairs) / len(pairs)
    error = math.hypot(*((e.high - e.low) / 2 for pair in pairs for e in pair)) / len(pairs)
    within = True if gain - error >= 0 and gain + error <= 3 else None
    outside = gain - error > 3 or gain + error < 0
    return not outside and within, f"{gain:+.1f} points on average, give or take {error:.1f}"


@tried("encoder.shallower_as_good", COMPARISON, corpora=CAPTIONER, mechanism=True)
def _shallower_as_good(reading: Reading, n: Numbers) -> Outcome:
    """The smallest network scores no lower than the largest, as far as the intervals tell."""
    rows = [row for row in reading.value if row["decoder"] == "lstm"]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["backbone_parameters"])
    lower, here = less(estimate(rows[0]), estimate(rows[-1]))
    return not lower, here


# -- sentences about search

ROWS = Read(SCORES, lambda found: found["rows"])


def across(id: str, *, mechanism: bool = False) -> Callable[[Check], Check]:
    """Enter a check of all rows of scores, measured by the paper on pictures and both corpora."""
    return tried(id, ROWS, corpora=SONGS, mechanism=mechanism)


def by_beam(reading: Reading) -> dict[str, dict[int, Row]]:
    """Sort rows of scores by their input and beam size."""
    inputs: dict[str, dict[int, Row]] = {}
    for row in reading.value:
        inputs.setdefault(str(row["input"]), {})[int(row["beam_size"])] = row
    return inputs


def both_sizes(reading: Reading, first: int, second: int) -> dict[str, tuple[Estimate, Estimate]]:
    """Give the scores of each input at two beam sizes, where it has both."""
    return {
        name: (estimate(found[first]), estimate(found[second]))
        for name, found in by_beam(reading).items()
        if {first, second} <= found.keys()
    }


def all_or_clearly_not(every: bool, clear: Sequence[bool | None]) -> bool | None:
    """Holds for all; fails where an interval says so; between the two it cannot be told."""
    if not clear:
        return None
    return every or (False if True in clear else None)


def is_song(input: str) -> bool:
    """Say whether an input is a song; else it is a picture."""
    return input.startswith("songs")


def best(rows: Sequence[Row]) -> Row:
    """Find the row with the highest score; ValueError where there is none."""
    return max(rows, key=lambda row: row["score"])


def best_cells(reading: Reading) -> tuple[Row, Row]:
    """Find the best row of songs, and the best of pictures."""
    songs = [row for row in reading.value if is_song(row["input"])]
    return best(songs), best([row for row in reading.value if not is_song(row["input"])])


@across("search.best_beam")
@across("search.peaks_at_five", mechanism=True)
def peaks_at_five(reading: Reading, n: Numbers) -> Outcome:
    """Every input scores best with five beams; fails where one is clearly better elsewhere."""
    beam, inputs = n["search.best_beam"], by_beam(reading)
    tops = {name: best(list(rows.values())) for name, rows in inputs.items()}
    there = sum(top["beam_size"] == beam for top in tops.values())
    clear = [
        apart(estimate(inputs[name][int(beam)]), estimate(top))
        for name, top in tops.items()
        if int(beam) in inputs[name]
    ]
    sizes = ", ".join(written(float(top["beam_size"])) for top in tops.values())
    here = f"{there} of {len(tops)} inputs; best at k = {sizes}"
    return all_or_clearly_not(there == len(tops), clear), here


@across("search.greedy_worse", mechanism=True)
def greedy_worse(reading: Reading, n: Numbers) -> Outcome:
    """Every input scores higher with five beams; fails where one clearly falls."""
    pairs = both_sizes(reading, 1, 5).values()
    up = [b.value > a.value for a, b in pairs]
    here = f"{sum(up)} of {len(up)} inputs; changes {_changes(pairs)} points"
    return all_or_clearly_not(all(up), [apart(b, a) for a, b in pairs]), here


@across("search.falls_beyond_ten", mechanism=True)
def _falls_beyond_ten(reading: Reading, n: Numbers) -> Outcome:
    """No input scores higher with twenty beams; fails where one clearly rises."""
    pairs = both_sizes(reading, int(n["search.diminishing_beam"]), 20).values()
    up = [b.value > a.value for a, b in pairs]
    here = f"{sum(up)} of {len(up)} inputs rise; changes {_changes(pairs)} points"
    return all_or_clearly_not(not any(up), [apart(a, b) for a, b in pairs]), here


def _changes(pairs: Iterable[tuple[Estimate, Estimate]]) -> str:
    return ", ".join(f"{b.value - a.value:+.1f}" for a, b in pairs)


@across("search.songs_climb_most", mechanism=True)
def _songs_climb_most(reading: Reading, n: Numbers) -> Outcome:
    """From greedy search to five beams every song gains a larger share than any picture."""
    pairs = both_sizes(reading, 1, 5).items()
    ratios = {name: b.value / a.value for name, (a, b) in pairs if a.value}
    songs = [ratio for name, ratio in ratios.items() if is_song(name)]
    pictures = [ratio for name, ratio in ratios.items() if not is_song(name)]
    if not (songs and pictures):
        return UNTOLD
    shown = [", ".join(f"{100 * (r - 1):+.0f} %" for r in side) for side in (songs, pictures)]
    return min(songs) > max(pictures), f"songs {shown[0]}; pictures {shown[1]}"


@across("search.timbre_rate_steepest", mechanism=True)
def _timbre_rate_steepest(reading: Reading, n: Numbers) -> Outcome:
    """From greedy search to five beams, BLEU per second falls most for timbre."""
    rates = {
        name: (rows[1]["score"] / rows[1]["seconds"]) / (rows[5]["score"] / rows[5]["seconds"])
        for name, rows in by_beam(reading).items()
        if {1, 5} <= rows.keys()
        and all(rows[k]["score"] > 0 and (rows[k].get("seconds") or 0) > 0 for k in (1, 5))
    }
    timbre = [rate for name, rate in rates.items() if "timbre" in name]
    if not timbre or len(rates) < 2:
        return None, "" if rates else "no times beside the scores"
    here = "; ".join(f"{name} {rate:.1f} times" for name, rate in rates.items())
    return timbre[0] == max(rates.values()), here


def _growth(found: Mapping[str, Any]) -> Row:
    """Draw how long beam search takes for one number of beams and another."""
    rows: dict[Any, Row] = {(row["what"], row["against"]): row for row in found["growth"]}
    return rows["beam search", "k"]


@tried("search.time_linear", Read("benchmarks/beam", _growth), mechanism=True)
def _linear(reading: Reading, n: Numbers) -> Outcome:
    """Times lie on a straight line over beam sizes, within a twentieth of the longest."""
    sizes, times = ([float(each) for each in reading.value[name]] for name in ("sizes", "values"))
    slope, start = statistics.linear_regression(sizes, times)
    gaps = [abs(time - start - slope * size) for size, time in zip(sizes, times, strict=True)]
    worst, wider, longer = max(gaps) / max(times), sizes[-1] / sizes[0], times[-1] / times[0]
    here = (
        f"off the line by at most {100 * worst:.1f} % of the longest; {wider:.0f} "
        f"times the beams take {longer:.1f} times as long"
    )
    return worst <= 0.05 and longer / wider > 0, here


@across("transfer.works", mechanism=True)
def _transfers(reading: Reading, n: Numbers) -> Outcome:
    """Every song input scores above chance with five beams."""
    rows = [row for row in reading.value if is_song(row["input"]) and row["beam_size"] == 5]
    if not rows:
        return UNTOLD
    here = "; ".join(
        f"{row['input']} {100 * row['score']:.1f} (chance {100 * row['chance']:.1f}, "
        f"p = {row['p']:.3f})"
        for row in rows
    )
    return all(row["p"] <= 0.01 and row["gain"] > 0 for row in rows), here


@across("search.timbre_ahead")
def _timbre_ahead(reading: Reading, n: Numbers) -> Outcome:
    found = by_beam(reading)
    timbre, other = (estimate(found[f"songs: {name}"][5]) for name in ("timbre", "spectrogram"))
    return apart(other, timbre), less(timbre, other)[1]


@across("search.songs_below_pictures")
def _songs_below_pictures(reading: Reading, n: Numbers) -> Outcome:
    """The best song cell is below the best picture cell."""
    return less(*map(estimate, best_cells(reading)))


@across("search.songs_near_pictures")
def _songs_near_pictures(reading: Reading, n: Numbers) -> Outcome:
    """The best song cell reaches most of the best picture cell."""
    songs, pictures = best_cells(reading)
    if not pictures["score"]:
        return UNTOLD
    ratio = songs["score"] / pictures["score"]
    return ratio >= 1 - n["reading.moderately"], f"{100 * ratio:.0f} % of the best picture score"


@tried("search.small_tiles_best", ROWS, corpora=PICTURES, mechanism=True)
def _small_tiles_best(reading: Reading, n: Numbers) -> Outcome:
    """With five beams the smallest tiles score highest, beyond intervals."""
    rows = [row for row in reading.value if row.get("tile_size") and row["beam_size"] == 5]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["tile_size"])
    here = "; ".join(f"{row['tile_size']:.0f} px {100 * row['score']:.1f}" for row in rows)
    first, *rest = map(estimate, rows)
    below = [apart(other, first) for other in rest]
    return False if False in below else (all(below) or None), here


# -- what the paper saw on its maps: whose points lie within the cloud of pictures


def inside(kind: str) -> Read:
    """Read the share of a kind's points that lie within the cloud of pictures."""
    return Read(
        ("likeness",), lambda found: estimate(found["kinds"][kind]["inside"], "value", times=1.0)
    )


timbre = inside("timbre_raw"), inside("timbre_standardised")  # the paper scales nothing
tried("similarity.timbre_contained", *timbre, corpora=TIMBRE, mechanism=True)(
    bounded("≥", "reading.nearly_all")
)
spectrogram = inside("spectrogram")
tried("similarity.spectrogram_outliers", spectrogram, corpora=SPECTROGRAM, mechanism=True)(
    bounded("≤", "reading.nearly_all")
)


@tried(
    "similarity.timbre_nearer",
    Read(
        ("likeness",),
        lambda found: [inside(kind).draw(found) for kind in ("spectrogram", "timbre_raw")],
    ),
    corpora=SONGS,
    mechanism=True,
)
def _nearer(reading: Reading, n: Numbers) -> Outcome:
    return less(*(replace(each, chance=None) for each in reading.value))
