"""What may decide each claim of the paper: which records, and a check of the numbers they hold.

A check takes a `Reading` of a record and the numbers of the ledger, `n`. `tried` enters it beside
its claim in `TRIALS`. Rows of scores have `input`, `beam_size`, `score`, and beside it `low`,
`high`, `chance`, `gain` and `p`; inputs are called `pictures ...` or `songs: ...`.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from songtitle.config import SONGS as SONG_INPUTS
from songtitle.config import ExperimentConfig, Input
from songtitle.paper.ledger import BEAMS, Numbers, Real, written
from songtitle.paper.printed import ledger, paper
from songtitle.paper.records import (
    UNTOLD,
    Check,
    Draw,
    Estimate,
    Histogram,
    Outcome,
    Reading,
    Row,
    Source,
    Trial,
    apart,
    bounded,
    deviation,
    estimate,
    estimates,
    exact,
    gap,
    highest,
    inside,
    less,
    lowest,
    mean,
    near,
    of_all,
    quotient,
    share,
    values,
)

TRIALS: dict[str, Trial] = {}  # of claims that records may decide


def tried(id: str, *sources: Source, **how: Any) -> Callable[[Check], Check]:
    """Enter a check as the one that decides a claim; `how` are fields of its `Trial`."""

    def enter(check: Check) -> Check:
        TRIALS[id] = Trial(check, sources, **how)
        return check

    return enter


# -- numbers by the census: the ledger says by which records, and within what tolerance

WAYS = {"as_written": "as written", "cleaned": "cleaned"}


def both_ways(draw: Draw) -> Draw:
    """Draw by two ways to cut a text into words, as the paper does not say how it did.

    They are by spaces, and after cleaning.
    """
    return lambda found: [
        replace(estimates(draw(found[way]))[0], label=label) for way, label in WAYS.items()
    ]


def field(name: str, statistic: Callable[[Any], Any] = lambda value: value) -> Draw:
    """Draw a statistic of a field of a record, or the field itself."""
    return lambda found: statistic(found[name])


def lengths(statistic: Callable[[Histogram], Estimate]) -> Draw:
    """Draw a statistic of lengths in words, both ways."""
    return both_ways(field("lengths", statistic))


def percent_up_to(words: int) -> Draw:
    """Draw the share of texts that are no longer than so many words, both ways."""
    return lengths(lambda found: share(found, lambda n: n <= words).times(100.0))


def written_lengths(statistic: Callable[[Histogram], Any]) -> Draw:
    """Draw a statistic of lengths in words that spaces part."""
    return field("as_written", field("lengths", statistic))


mean_length = lengths(mean)
DRAWS = {
    "mean length": mean_length,
    "deviation of length": lengths(deviation),
    "shortest": lengths(lowest),
    "longest": lengths(highest),
    "second longest": written_lengths(lambda found: np.unique(values(found))[-2:][0]),
    "of 135 words": written_lengths(lambda found: np.sum(values(found) == 135)),
    "percent up to 5 words": percent_up_to(5),
    "percent up to 15 words": percent_up_to(15),
    "distinct words": both_ways(field("distinct_words")),
    "distinct words of the test": field("test", field("distinct_words")),
    "unavailable": field("unavailable", lambda row: estimate(row, "share")),
    "highest bit rate": field("bit_rate", highest),
    "mean channels": field("channels", mean),
    "mean sample rate": field("sample_rate", mean),
    "mean samples": field("samples", mean),
    "mean seconds": field("samples", lambda found: mean(found).times(1 / 44_100)),
    "files of a genre": lambda found: quotient(
        exact(float(found["files"])), exact(float(found["genres"]))
    ),
} | {name: field(name) for name in ("rows", "asked", "genres", "files", "numbers")}
for counted in ledger()["counted"]:
    sources = [Source(f"census/{name}", sampled) for name, sampled in counted["records"].items()]
    for id in counted["claims"]:
        tried(id, *sources)(near(id, DRAWS[counted["draw"]], counted["within"]))


# -- sentences by the census

TITLES, CLIPS = Source("census/dated_songs", "sample"), Source("census/clips", "excerpt")
mean_as_written = written_lengths(mean)


@tried(
    "titles.shorter_than_captions", TITLES, Source("census/captions_valid", "held_out"), join=True
)
def _shorter(reading: Reading, n: Numbers) -> Outcome:
    return less(*map(mean_as_written, reading.found))


@tried("titles.collections_alike", TITLES, Source("census/fma_tracks", "excerpt"), join=True)
def _alike(reading: Reading, n: Numbers) -> Outcome:
    """They differ by no more than 'about three words' leaves open."""
    both = list(map(mean_as_written, reading.found))
    more = gap(*(exact(each.value) if reading.whole else each for each in both))
    return inside(more, -n["reading.alike"], n["reading.alike"]), less(*both)[1]


JOINS = Source("census/joins", "sample")


YEARS = [f"titles.msd.{name}" for name in ("first_year", "last_year", "years_about")]


def _years(reading: Reading, n: Numbers, id: str) -> Outcome:
    """A record has every so many of the titles, sorted by year, the first among them: the last year
    is known only where it has all, and of a sample neither."""
    years = reading.found["years_by_row"]["titles, sorted by year"]
    first, last = float(min(years)), float(max(years))
    lowest = first if reading.whole else -math.inf
    highest = last if reading.whole and reading.found["every"] == 1 else math.inf
    start, end, about = map(n.__getitem__, YEARS)
    starts, ends = Estimate(first, lowest, first), Estimate(last, last, highest)
    holds = {
        "titles.msd.first_year": inside(starts, start, start),
        "titles.msd.last_year": inside(ends, end, end),
        "titles.msd.years_about": inside(
            Estimate(last - first, last - first, highest - lowest), about - 1, about + 1
        ),
        "titles.years_in_span": of_all([inside(starts, start), inside(ends, high=end)]),
    }
    return holds[id], f"{first:.0f} to {last:.0f} (in {len(years):,} values)"


for id in (*YEARS, "titles.years_in_span"):
    tried(id, JOINS)(partial(_years, id=id))


@tried("titles.paired_with_timbre", JOINS)
def _joined(reading: Reading, n: Numbers) -> Outcome:
    """A question's test: rows and list are in the orders of the paper's two files."""
    shares = (reading.found["joins"][join]["agreement"] for join in ("as told", "repaired"))
    told, repaired = (f"{100 * each:.1f} %" for each in shares)
    return None, f"years agree in {told} of rows joined row by row, in {repaired} of those aligned"


# The rows at hand were computed from Million Song's own files by the published recipe.
layout = bounded(field("largest_difference"), "≤", "reading.same")
for id in ("timbre.layout", "timbre.means", "timbre.covariances"):
    tried(id, Source("census/timbre", "sample"))(layout)

# "Thousands" of artists.
artists = bounded(field("artists"), "≥", "titles.fma.artists_about")
tried("titles.fma.artists_about", Source("census/fma_tracks", "excerpt"))(artists)


@tried("captions.pictures_large", Source("census/pictures", "excerpt"))
@tried("image.min_side", Source("census/pictures", "excerpt"))
def _large(reading: Reading, n: Numbers) -> Outcome:
    """No picture that came was left out as too small: a part can show one, but not that none is."""
    small, kept = reading.found["reasons"].get("too small", 0), reading.found["survivors"]["count"]
    here = f"{small:,} too small ({kept:,} were not)"
    return False if small else ((reading.whole and kept > 0) or None), here


def most(column: str, value: int) -> Check:
    """Check that the share of clips with a value is above one half, beyond its interval."""

    def check(reading: Reading, n: Numbers) -> Outcome:
        found = share(reading.found[column], lambda each: each == value)
        here = f"({value:,} in {100 * found.value:.0f} % of {found.count:,})"
        return apart(exact(0.5), found), here

    return check


tried("clips.most_at_44100", CLIPS)(most("sample_rate", 44_100))
tried("clips.most_stereo", CLIPS)(most("channels", 2))
tried("clips.most_at_320", Source("census/clips", "part"))(most("bit_rate", 320))


@tried("clips.all_at_44100", CLIPS)
def _every(reading: Reading, n: Numbers) -> Outcome:
    """The share is one: a sample can show an exception, but not that there is none."""
    found = share(reading.found["sample_rate"], lambda each: each == 44_100)
    here = f"44,100 ({round(found.value * found.count):,} of {found.count:,})"
    return False if found.value < 1 else (reading.whole or None), here


@tried("clips.balanced", Source("census/fma_small", "whole"))
def _balanced(reading: Reading, n: Numbers) -> Outcome:
    found = [float(reading.found[name]) for name in ("genres", "files")]
    return found == [n["clip.genres"], n["clip.tracks"]], ", ".join(map(written, found))


@tried("clips.one_length", CLIPS)
def _one_length(reading: Reading, n: Numbers) -> Outcome:
    """All clips are as long: a sample can only show that they are not."""
    found = reading.found["samples"]
    here = "; ".join(f"{int(value):,} ({count:,} times)" for value, count in found.items())
    return (reading.whole or None) if len(found) == 1 else False, here


@tried("clips.lengths_vary", CLIPS)
def _lengths_vary(reading: Reading, n: Numbers) -> Outcome:
    alike, here = _one_length(reading, n)
    return None if alike is None else not alike, here


@tried("cleaning.no_names", Source("census/fma_names", "whole"))
def _no_names(reading: Reading, n: Numbers) -> Outcome:
    """A question's test: the titles that the paper prints, with capitals put back and without."""
    flags = zip(*reading.found["table_2"].values(), strict=True)
    capitals, lower = (f"{sum(map(bool, each))} of {len(each)}" for each in map(list, flags))
    return None, f"NLTK finds names with capitals put back ({capitals}), in lower case ({lower})"


# -- scores, and sentences on training

INPUTS = {f"cc{size}": Input("pictures", tile=size) for size in (32, 64, 128, 256)}
INPUTS |= {"msd": SONG_INPUTS[0], "fma": SONG_INPUTS[1]}
# Stages with inputs at several beam sizes; the last at two, of several trainings as the second.
SCORES = (Source("*/scores"), Source("*/samples"))
TRAININGS = (*SCORES, Source("*/replicates"))
MATTERS = ExperimentConfig.smallest_effect  # percent points


def score(input: Input, beam: int, times: float = 100.0) -> Draw:
    """Draw the score of an input at a beam size, in percent points."""

    def draw(found: Row) -> Estimate:
        cell, rows = (str(input), beam), found["rows"]
        chosen = [row for row in rows if (row.get("input"), row.get("beam_size")) == cell]
        return estimate(chosen[0], times=times)

    return draw


SCORED = {f"table4.{row}.{k}": (row, k) for row in INPUTS for k in BEAMS}
SCORED |= {f"table5.mfcc.ours_{k}": ("msd", k) for k in (1, 5)}
SCORED |= {f"table5.spectrogram.ours_{k}": ("fma", k) for k in (1, 5)}
SCORED |= {"headline.in_domain": ("cc32", 5), "headline.out_domain": ("fma", 5)}
SCORED |= {"search.fma_best": ("fma", 5), "search.msd_best": ("msd", 5)}
for id, (row, beam) in SCORED.items():
    tried(id, *SCORES)(near(id, score(INPUTS[row], beam), MATTERS))
for id, beam in (("search.songs_at_one", 1), ("search.songs_at_five", 5)):
    tried(id, *SCORES)(near(id, score(INPUTS["msd"], beam, times=1.0), 0.05))


def ahead(row: str, input: Input) -> Draw:
    """Draw the lead of an input with five beams over what AudioCaps reports."""
    return lambda found: gap(exact(paper(f"table5.{row}.audiocaps_1")), score(input, 5)(found))


def gain_of_beams(input: Input) -> Draw:
    """Draw how many times as high an input scores with five beams as with one."""
    return lambda found: quotient(score(input, 5)(found), score(input, 1)(found))


WORKED: tuple[tuple[str, Draw, float], ...] = (
    ("headline.gap", lambda found: gap(*best_cells(found)), MATTERS),
    ("audiocaps.mfcc_advantage", ahead("mfcc", INPUTS["msd"]), MATTERS),
    ("audiocaps.spectrogram_advantage", ahead("spectrogram", INPUTS["fma"]), MATTERS),
    ("search.msd_gain", gain_of_beams(INPUTS["msd"]), 0.05),
    ("search.msd_rate_drop", lambda found: rate_falls(found)[str(INPUTS["msd"])], 0.05),
)
for id, draw, within in WORKED:
    tried(id, *SCORES)(near(id, draw, within))

# The vocabulary of captions covers this share of the distinct words of titles.
known = bounded(lambda found: 100 * found["known"]["distinct words"], "≥", "reading.half")
tried("cleaning.vocabulary_suffices", Source("*/vocabulary"))(known)


@tried("training.plateau_epoch", Source("*/training"))
def _plateau(reading: Reading, n: Numbers) -> Outcome:
    """Perplexity is lowest at the claimed epoch, or one beside it."""
    found = [float(row["valid_perplexity"]) for row in reading.found["history"]]
    lowest = found.index(min(found)) + 1
    return abs(lowest - n["training.plateau_epoch"]) <= 1, f"lowest at {lowest} of {len(found)}"


@tried("training.perplexity_falls", Source("*/training"), mechanism=True)
def _falls(reading: Reading, n: Numbers) -> Outcome:
    """It falls from epoch to epoch; of training or of validation, the paper does not say."""
    falls, here = set(), []
    for part in ("train", "valid"):
        found = [float(row[f"{part}_perplexity"]) for row in reading.found["history"]]
        falls.add(all(b < a for a, b in itertools.pairwise(found)))
        here.append(f"{part} {found[0]:.2f}, lowest {min(found):.2f}, at last {found[-1]:.2f}")
    return falls.pop() if len(falls) == 1 else None, "; ".join(here)


@tried("decoder.attention_adds_little", Source("*/comparison"), mechanism=True)
def _attention_adds_little(reading: Reading, n: Numbers) -> Outcome:
    """On average over encoders, attention gains something on the plain LSTM, but not much."""
    encoders: dict[str, dict[str, Estimate]] = {}
    for row in reading.found["rows"]:
        encoders.setdefault(row["encoder"], {})[row["decoder"]] = estimate(row)
    both = [pair for pair in encoders.values() if {"lstm", "attention"} <= pair.keys()]
    if not both:
        return UNTOLD
    # Of all pairs on the same pictures: the mean interval, too wide rather than too narrow.
    gains = [gap(pair["lstm"], pair["attention"]) for pair in both]
    ends = ([each.value, each.low, each.high] for each in gains)
    value, low, high = map(statistics.fmean, zip(*ends, strict=True))
    gain = Estimate(value, low, high)
    pairs = "; ".join(
        f"{pair['lstm'].value:.1f} and {pair['attention'].value:.1f}" for pair in both
    )
    return inside(gain, 0, n["reading.marginally"]), f"{pairs} (gain {gain})"


@tried("encoder.shallower_as_good", Source("*/comparison"), mechanism=True)
def _shallower_as_good(reading: Reading, n: Numbers) -> Outcome:
    """The smallest network scores no lower than the largest, but for less than matters."""
    rows = [row for row in reading.found["rows"] if row["decoder"] == "lstm"]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["backbone_parameters"])
    smallest, largest = estimate(rows[0]), estimate(rows[-1])
    return inside(gap(largest, smallest), -MATTERS), less(smallest, largest)[1]


# -- sentences on search: checks of all rows of scores


def across(
    id: str, *, mechanism: bool = True, sources: Sequence[Source] = SCORES
) -> Callable[[Check], Check]:
    """Enter a check of all rows of scores."""
    return tried(id, *sources, mechanism=mechanism)


def by_beam(found: Row) -> dict[str, dict[int, Row]]:
    """Sort rows of scores by their input and beam size."""
    inputs: dict[str, dict[int, Row]] = {}
    for row in found["rows"]:
        inputs.setdefault(str(row["input"]), {})[int(row["beam_size"])] = row
    return inputs


def both_sizes(reading: Reading, first: int, second: int) -> dict[str, tuple[Estimate, Estimate]]:
    """Give the scores of each input at two beam sizes, where it has both."""
    return {
        name: (estimate(found[first]), estimate(found[second]))
        for name, found in by_beam(reading.found).items()
        if {first, second} <= found.keys()
    }


def best(rows: Iterable[Row]) -> Row:
    """Find the row with the highest score; ValueError where there is none."""
    return max(rows, key=lambda row: row["score"])


def best_cells(found: Row) -> tuple[Estimate, Estimate]:
    """Estimate the best cell of songs, and the best of pictures, each labelled by what it was
    picked from."""
    rows = found["rows"]
    sides = ([row for row in rows if _is_song(row) is kind] for kind in (True, False))
    songs, pictures = (
        replace(estimate(best(side)), label=f"(best of {len(side)} cells)") for side in sides
    )
    return songs, pictures


def _is_song(row: Row) -> bool:
    return Input.of(row["input"]).is_song


def _pairs(pairs: Mapping[str, tuple[Estimate, Estimate]]) -> str:
    said = (f"{name} {a.value:.1f} and {b.value:.1f}" for name, (a, b) in pairs.items())
    return "; ".join(said)


@across("search.best_beam", mechanism=False)
@across("search.peaks_at_five")
def peaks_at_five(reading: Reading, n: Numbers) -> Outcome:
    """Every input scores clearly best with five beams; fails where one does clearly elsewhere."""
    beam, clear, here = int(n["search.best_beam"]), [], []
    for name, rows in by_beam(reading.found).items():
        if beam in rows and len(rows) > 1:
            here.append(f"{name} {estimate(rows[beam]).value:.1f}")
            others = [estimate(row) for size, row in rows.items() if size != beam]
            clear.append(of_all([apart(other, estimate(rows[beam])) for other in others]))
            top = best(rows.values())
            if top["beam_size"] != beam:
                here[-1] += f", at k = {top['beam_size']} {estimate(top).value:.1f}"
    return of_all(clear), f"at k = {beam} {'; '.join(here)}" if here else ""


@across("search.greedy_worse", sources=TRAININGS)
def greedy_worse(reading: Reading, n: Numbers) -> Outcome:
    """Every input scores clearly higher with five beams; fails where one clearly falls."""
    pairs = both_sizes(reading, 1, 5)
    return of_all([apart(a, b) for a, b in pairs.values()]), _pairs(pairs)


@across("search.diminishing_beam", mechanism=False)
@across("search.falls_beyond_ten")
def _falls_beyond_ten(reading: Reading, n: Numbers) -> Outcome:
    """No input gains as much as matters with twenty beams; fails where one clearly does."""
    pairs = both_sizes(reading, int(n["search.diminishing_beam"]), 20)
    gains = [inside(gap(a, b), high=MATTERS) for a, b in pairs.values()]
    return of_all(gains), _pairs(pairs)


@across("search.songs_climb_most", sources=TRAININGS)
def _songs_climb_most(reading: Reading, n: Numbers) -> Outcome:
    """From greedy search to five beams every song gains a larger share than any picture, as far as
    the intervals of the scores say of their ratios."""
    pairs = {name: pair for name, pair in both_sizes(reading, 1, 5).items() if pair[0].value > 0}
    sides: dict[bool, list[Estimate]] = {True: [], False: []}
    for name, (a, b) in pairs.items():
        sides[Input.of(name).is_song].append(quotient(b, a))
    clear = [apart(picture, song) for picture in sides[False] for song in sides[True]]
    return of_all(clear), _pairs(pairs) if clear else ""


def rate_falls(found: Row) -> dict[str, Estimate]:
    """Estimate how many times BLEU per second falls from greedy search to five beams."""
    falls = {}
    for name, rows in by_beam(found).items():
        if all(rows.get(k, {}).get("seconds") and rows[k]["score"] > 0 for k in (1, 5)):
            greedy, wide = (estimate(rows[k]).times(1 / rows[k]["seconds"]) for k in (1, 5))
            falls[name] = quotient(*(replace(rate, chance=None) for rate in (greedy, wide)))
    return falls


@across("search.timbre_rate_steepest")
def _timbre_rate_steepest(reading: Reading, n: Numbers) -> Outcome:
    """From greedy search to five beams, BLEU per second falls most for timbre."""
    falls = rate_falls(reading.found)
    here = []
    for name, fall in falls.items():
        rates = " to ".join(f"{rate.value:.0f}" for rate in fall.of)
        here.append(f"{name} ({rates} points a second, {fall.value:.1f} times)")
    timbre = falls.pop(str(SONG_INPUTS[0]), None)
    if timbre is None or not falls:
        return UNTOLD
    return of_all([apart(other, timbre) for other in falls.values()]), "; ".join(here)


def _off_line(sizes: Sequence[Real], found: Sequence[Real]) -> float:
    """Give the largest distance of values from their straight line, as a share of the largest."""
    slope, start = statistics.linear_regression(sizes, found)
    gaps = [abs(value - start - slope * size) for size, value in zip(sizes, found, strict=True)]
    return max(gaps) / max(found)


def _linear(reading: Reading, n: Numbers) -> Outcome:
    """All values of a benchmark lie on a straight line over beam sizes, or all times of inputs."""
    lines: dict[str, list[tuple[Real, Real]]] = {}  # (beam size, value)
    if "growth" in reading.found:
        growth = {
            (row["what"], row["against"], row["unit"]): row for row in reading.found["growth"]
        }
        row = growth["beam search", "k", "seconds"]
        lines["seconds"] = list(zip(row["sizes"], row["values"], strict=True))
    else:
        for name, rows in by_beam(reading.found).items():
            times = [(size, 1000 * row.get("seconds", 0)) for size, row in rows.items()]
            lines[f"{name}, ms"] = [each for each in times if each[1]]
    off = {
        name: _off_line(*zip(*line, strict=True)) for name, line in lines.items() if len(line) > 2
    }
    here = "; ".join(
        f"{name} {', '.join(f'{value:.3g}' for _, value in lines[name])} (off its line by "
        f"{100 * worst:.1f} % of the largest)"
        for name, worst in off.items()
    )
    return of_all([worst <= n["reading.straight"] for worst in off.values()]), here


BEAM = Source("benchmarks/beam")
tried("search.time_linear", BEAM, *SCORES[:1], mechanism=True)(_linear)


@across("transfer.works", sources=TRAININGS)
def transfers(reading: Reading, n: Numbers) -> Outcome:
    """Every song input gains on chance with five beams, over several trainings.

    It fails where one gains no more than matters, its whole interval. One training says nothing of
    another.
    """
    rows = [row for row in reading.found["rows"] if _is_song(row) and row["beam_size"] == 5]
    gains = [Estimate(row["gain"], row["gain_low"], row["gain_high"]).times(100.0) for row in rows]
    here = "; ".join(
        f"{row['input']} {100 * row['score']:.1f} (chance {100 * row['chance']:.1f}), gain "
        f"{gain.value:.1f} [{gain.low:.2f}, {gain.high:.2f}] ({row['seeds']} trainings)"
        for row, gain in zip(rows, gains, strict=True)
    )
    if not rows or any(row["seeds"] < 2 for row in rows):
        return None, here
    null = [inside(gain, high=MATTERS) for gain in gains]
    return False if True in null else (all(gain.low > 0 for gain in gains) or None), here


@across("search.timbre_ahead", mechanism=False)
def _timbre_ahead(reading: Reading, n: Numbers) -> Outcome:
    found = by_beam(reading.found)
    timbre, other = (estimate(found[str(each)][5]) for each in SONG_INPUTS)
    return apart(other, timbre), less(timbre, other)[1]


@across("search.songs_below_pictures", mechanism=False)
def _songs_below_pictures(reading: Reading, n: Numbers) -> Outcome:
    """The best song cell is below the best picture cell."""
    return less(*best_cells(reading.found))


@across("search.songs_near_pictures", mechanism=False)
def _songs_near_pictures(reading: Reading, n: Numbers) -> Outcome:
    """The best song cell reaches most of the best picture cell."""
    songs, pictures = best_cells(reading.found)
    if not pictures.value:
        return UNTOLD
    ratio = songs.value / pictures.value
    here = f"{songs.value:.1f} {songs.label} and {pictures.value:.1f} {pictures.label}"
    return ratio >= 1 - n["reading.moderately"], f"{here} ({100 * ratio:.0f} %)"


@tried("search.small_tiles_best", *SCORES, mechanism=True)
def _small_tiles_best(reading: Reading, n: Numbers) -> Outcome:
    """With five beams the smallest tiles score highest, beyond intervals."""
    rows = [row for row in reading.found["rows"] if row.get("tile_size") and row["beam_size"] == 5]
    if len(rows) < 2:
        return UNTOLD
    rows.sort(key=lambda row: row["tile_size"])
    here = "; ".join(f"{row['input']} {100 * row['score']:.1f}" for row in rows)
    first, *rest = map(estimate, rows)
    return of_all([apart(other, first) for other in rest]), here


# -- what the paper saw on its maps: whose points lie within the cloud of pictures


def within_pictures(kind: str) -> Draw:
    """Draw the percentage of a kind's points that lie within the cloud of pictures."""
    return lambda found: estimate(found["kinds"][kind]["inside"], "value")


LIKENESS = Source("*/likeness")
for id, kind, sign in (
    ("similarity.timbre_contained", "timbre_raw", "≥"),  # the paper scales nothing
    ("similarity.spectrogram_outliers", "spectrogram", "≤"),
):
    check = bounded(within_pictures(kind), sign, "reading.nearly_all")
    tried(id, LIKENESS, mechanism=True)(check)


@tried("similarity.timbre_nearer", LIKENESS, mechanism=True)
def _nearer(reading: Reading, n: Numbers) -> Outcome:
    found = (within_pictures(kind)(reading.found) for kind in ("spectrogram", "timbre_raw"))
    return less(*(replace(each, chance=None) for each in found))
