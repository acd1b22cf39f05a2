"""Page 13, the samples: the experiment on real photos, songs and recordings."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle import cache, figures
from songtitle.cache import Record
from songtitle.config import SPECTROGRAM, TIMBRE, Input, preset
from songtitle.experiment import samples as experiment
from songtitle.experiment.samples import (
    BROKEN,
    CLIPS_FELT,
    CLIPS_HEARD,
    COMPLETE,
    FELT,
    HEARD,
    OWN,
    RECORDINGS,
)
from songtitle.figures import amount
from songtitle.fmt import ESTIMATE, estimate, p_value, percent, points, span, write
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.paper.printed import paper_table
from songtitle.studies.controls import gain_verdict
from songtitle.studies.picked import by_luck_one_of, smallest_p
from songtitle.studies.search import paper_row
from songtitle.tables import LEVEL, Note, by_beam, definition_note, origin, rests_on, tabulate

BOOK_CROP = 256  # pixels a side, in the paper and in the book's own run
# Sets of real songs, which have names of their own, by what of a song is read.
READINGS = {OWN: TIMBRE, BROKEN: TIMBRE, COMPLETE: TIMBRE, FELT: TIMBRE, CLIPS_FELT: TIMBRE}
READINGS |= {HEARD: SPECTROGRAM, CLIPS_HEARD: SPECTROGRAM}
BESIDE = (OWN, HEARD)  # what the paper's two rows of songs stand beside


def samples(*, again: bool = False) -> Record:
    """Read the published record, whatever code and settings made it: another takes an hour, so that
    none is made unless `again` asks for it, or there is none."""
    return cache.published(experiment.samples, preset("samples"), again=again, stays=True)


def input_of(name: str) -> Input:
    """Read the name of an input of the stage `samples`. Raises InputError for what is none."""
    return READINGS.get(name) or Input.of(name)


def pictures_of(names: Iterable[str]) -> list[str]:
    """Give those of some inputs that are pictures, by the side of a tile: whole ones last."""
    sides = {name: input_of(name).tile or 0 for name in names}
    return sorted(filter(sides.get, sides), key=sides.__getitem__)


def as_samples(record: Record) -> Record:
    """Give a record of the preset `samples` with its songs called as the stage `samples` does."""
    called = {str(READINGS[name]): name for name in BESIDE}
    rows = [
        row | {"input": called.get(row["input"], row["input"])} for row in record.result["rows"]
    ]
    return replace(record, result=record.result | {"rows": rows})


def samples_note(record: Record, *beside: Record) -> Note:
    """Say what the record rests on, in a box at the head of the page; `beside` are others on it."""
    said, data, some = samples_facts(record), record.result["data"], "no recordings"
    if int(said["artists"]):
        some = f"{said['recordings']} recordings by {said['artists']} artists"
    out = {why: n for why, n in data.get("sound", {}).get(RECORDINGS, {}).items() if why != "here"}
    out = {f"recordings ({why})": n for why, n in out.items()}
    out |= {"photos on none of their makers' lists": data.get("unlisted", 0)}
    left = "; ".join(f"{n} {what}" for what, n in out.items() if n)
    return Note(
        "Real data, on a small scale: not a reproduction of the paper's run",
        f"{said['photos.train']} training photos of Flickr8k with five captions each, a vocabulary "
        f"of {said['vocabulary']} words, {said['seeds']} trainings from different seeds. Timbre: "
        f"{said['numbers']} of the 90 numbers, the means and those covariances that the table at "
        f"hand holds. There were {some}. {f'Left out: {left}. ' if left else ''}{origin(record)} "
        "It holds numbers only: no photo, caption, title or sound.",
        kind="warning",
        records=rests_on([record, *beside]),
    )


def samples_cells(record: Record) -> pd.DataFrame:
    """Average every cell over its trainings.

    Columns: input, tiles, items, beam_size, seeds, means of score, chance and gain; low and high,
    the 95 % interval of the score (over series and seeds where there are several, else over series
    alone); the median p; and `clear`, how many trainings beat chance at p < 0.05.
    """
    rows = pd.DataFrame(record.result["rows"])
    rows = rows.assign(clear=(rows["p"] < LEVEL) & (rows["gain"] > 0), seeds=1)
    ways = dict.fromkeys(("tiles", "items", "low", "high"), "first")
    ways |= dict.fromkeys(("score", "chance", "gain"), "mean")
    ways |= {"p": "median", "clear": "sum", "seeds": "sum"}
    found = rows.groupby(["input", "beam_size"], sort=False).agg(ways).reset_index()
    for over in record.result["summary"]:
        own = (found["input"] == over["input"]) & (found["beam_size"] == over["beam_size"])
        found.loc[own, ["low", "high"]] = over["score_low"], over["score_high"]
    return _sorted(found, "beam_size")


def samples_table(record: Record, quick: pd.DataFrame) -> pd.DataFrame:
    """Tabulate Table 4's rows on real samples with chance, above the quick run's and the paper's.

    `real samples` has the score with its interval; `chance` what the same outputs score against
    wrong references, and `(gain, ...)`: of how many trainings p is below 0.05, or the p of a single
    one. `quick` is the `score_table` of another preset. Behind a name stand its test items.
    """
    found, theirs = samples_cells(record), paper_table(4)
    beams = sorted(set(found["beam_size"]))
    luck = ("p {p:p}", "{clear} of {seeds} seeds")
    rows = []
    for name, cells in found.groupby("input", sort=False):
        by_k = {row["beam_size"]: row for row in cells.to_dict("records")}
        first = by_k[min(by_k)]
        tiles = None if pd.isna(first["tiles"]) else int(first["tiles"])
        # The book's own input that asks the same; beside it stands a row of the paper's Table 4.
        beside = input_of(name) if name in BESIDE else None
        if tiles and not input_of(name).is_song:
            beside = Input("pictures", tile=BOOK_CROP // round(tiles**0.5))
        chance = f"{{chance:points}} ({{gain:signed}}, {luck[first['seeds'] > 1]})"
        lines = {"real samples": {k: write(ESTIMATE, row) for k, row in by_k.items()}}
        lines["chance"] = {k: write(chance, row) for k, row in by_k.items()}
        own = quick[quick["input"] == str(beside)].set_index("beam_size")
        lines["the quick run"] = own["score"].map(points)
        if beside and paper_row(beside) in theirs.index:
            lines["the paper"] = theirs.loc[paper_row(beside)]
        lead = [f"{name} ({first['items']:,})", tiles]
        rows += [[*lead, what, *map(line.get, beams)] for what, line in lines.items() if len(line)]
    columns = ["Input", "Tiles", "What", *(f"k = {k}" for k in beams)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def samples_table_note(record: Record) -> str:
    """Say what the numbers of the table mean, what luck gives a row of seeds, and of how many cells
    of songs the smallest p is one."""
    seeds = len(record.result["training"])
    songs = [row for row in record.result["summary"] if input_of(row["input"]).is_song]
    over = "cells of songs, each over all trainings,"
    return (
        f"In brackets behind a name: test items. By luck alone {LEVEL * seeds:g} of {seeds} seeds "
        f"have p < {LEVEL:g}. {smallest_p(songs, over, '{input}, k = {beam_size}')} "
        f"{definition_note(record, 'bleu1')}"
    )


def lowest_p(record: Record) -> str:
    """Say what p of a table over trainings means, and how often luck makes the lowest small."""
    seeds = len(record.result["training"])
    chance = percent(by_luck_one_of(seeds), 0)
    return (
        f"Means over seeds; p from lowest to highest. By luck alone the lowest of {seeds} is below "
        f"{LEVEL:g} in {chance} of all cases."
    )


def samples_definitions(record: Record) -> pd.DataFrame:
    """Tabulate scores by each definition of BLEU with (chance, gain), means over trainings."""
    keys = ["input", "definition", "beam_size"]
    found = pd.DataFrame(record.result["definitions"]).groupby(keys, sort=False)
    means = _sorted(found[["score", "chance"]].mean().reset_index())
    means["gain"] = means["score"] - means["chance"]
    cell = "{score:points} ({chance:points}, {gain:signed})"
    means["cell"] = [write(cell, row) for row in means.to_dict("records")]
    means["definition"] = [DEFINITIONS[key].name for key in means["definition"]]
    wide = by_beam(means, ["input", "definition"], "cell")
    return wide.rename(columns={"input": "Input", "definition": "BLEU of"})


def samples_controls(record: Record) -> pd.DataFrame:
    """Tabulate what Million Song's row scores without its songs, and the real input's lead."""
    found = pd.DataFrame(record.result["controls"])
    ahead = "{score:points.2}\n({difference:signed.2} [{low:points.2}, {high:points.2}], p {luck})"
    own = samples_cells(record)
    own = own[(own["input"] == OWN) & own["beam_size"].isin(found["beam_size"])]
    rows = [("their own timbre", row.beam_size, points(row.score, 2)) for row in own.itertuples()]
    for (name, beam_size), cells in found.groupby(["control", "beam_size"], sort=False):
        means = cells[["score", "difference", "low", "high"]].mean().to_dict()
        rows.append((name, beam_size, write(ahead, means | {"luck": _luck(cells["p"])})))
    given = "Given to the decoder"
    return by_beam(pd.DataFrame(rows, columns=[given, "beam_size", "cell"]), given, "cell")


def samples_retrieval(record: Record) -> pd.DataFrame:
    """Tabulate where the true title ranks by likelihood, own timbre and another's: means."""
    found, rows = pd.DataFrame(record.result["retrieval"]), []
    for (name, ranking), cells in found.groupby(["input", "ranking"], sort=False):
        ranks = []
        for score in ("mrr", "recall"):
            means = {end: cells[f"{score}_{end}"].mean() for end in ("score", "chance", "gain")}
            luck = _luck(cells[f"{score}_p"])
            cell = write("{score:.4f}\n({chance:.4f}, {gain:signed.4x1}, ", means)
            ranks.append(f"{cell.replace(' 0.0000,', ' 0,')}p {luck})")
        rows.append([name, ranking, *ranks])
    return pd.DataFrame(rows, columns=["Input", "Ranked by", "MRR", "R@10"])


def samples_join(record: Record) -> pd.DataFrame:
    """Tabulate what titles score with their own timbre and with another track's."""
    columns = {"k": "{beam_size}", "Own timbre": "{own:points.2}"}
    columns |= {"Another's": "{broken:points.2}"}
    columns |= {"Difference": "{mean:signed.2} [{low:points.2}, {high:points.2}]", "p": "{p:p}"}
    return tabulate(record.result["join"], columns)


def samples_learnt(record: Record) -> pd.DataFrame:
    """Tabulate perplexity with right and wrong photos, and BLEU-1 against all captions of a photo:
    means over trainings, lowest and highest in brackets."""
    learnt = pd.DataFrame(record.result["training"])
    perplexities = {
        "validation perplexity": "valid_perplexity",
        "the same, photos permuted": "permuted_pictures_perplexity",
        "unigram model": "unigram_perplexity",
    }
    rows = [[name, _range(learnt[key], times=1)] for name, key in perplexities.items()]
    for k, cells in pd.DataFrame(record.result["references"]).groupby("beam_size"):
        for value, name in (("score", "own"), ("chance", "another photo's")):
            said = f"BLEU-1 against all {cells['captions'].iloc[0]} captions, {name}, k = {k}"
            rows.append([said, _range(cells[value])])
    return pd.DataFrame(rows, columns=["Measure", "Mean [lowest, highest]"])


def samples_gains(record: Record) -> pd.DataFrame:
    """Give what each training scores above chance: the rows that `gains_by_seed` draws."""
    return _sorted(pd.DataFrame(record.result["rows"]), "seed")


def samples_facts(record: Record) -> dict[str, str]:
    """Give what prose may quote: what was worked on, and at k = 1 and 5 of Million Song's row
    (`msd`), of the same with another's timbre (`broken`), of whole photos (`photos`) and, where
    there are any, of the recordings' spectrograms (`recorded`) the fields `score, low, high,
    chance, gain` in percent points and `clear`, the trainings that beat chance.
    """
    data = record.result["data"]
    sets = {each["input"]: each for each in data["sets"]}
    songs = {name: f"{each['songs']:,}" for name, each in sets.items()}
    whole = pictures_of(row["input"] for row in record.result["references"])[-1]
    said = {f"photos.{side}": f"{count:,}" for side, count in data["photos"].items()}
    said |= {
        "vocabulary": f"{data['vocabulary']:,}",
        "seeds": str(len(record.result["training"])),
        "songs": songs.get(OWN, "0"),
        "recordings": songs.get(HEARD, "0"),
        "artists": f"{sets.get(HEARD, {}).get('series', 0):,}",
        "numbers": str(sets[OWN]["numbers"]),
        "known": f"{100 * data['known']['running words']:.0f}",
        "tiled": f"{data['tiled']:,}",
    }
    fields = {value: f"{{{value}:points.2}}" for value in ("score", "low", "high", "chance")}
    fields |= {"gain": "{gain:signed.2}", "clear": "{clear:.0f}"}
    cells = samples_cells(record).set_index(["input", "beam_size"])
    named = {"msd": OWN, "broken": BROKEN, "photos": whole}
    named |= {"recorded": HEARD} if HEARD in sets else {}  # which earlier records have not
    for key, name in named.items():
        for k in (1, 5):
            cell = cells.loc[(name, k)]
            said |= {f"{key}.{k}.{field}": write(each, cell) for field, each in fields.items()}
    return said


def samples_conclusion(record: Record) -> Note:
    """Conclude what the numbers allow: on photos, on songs, on the join, and beside the paper."""
    said, parts = samples_facts(record), []
    claims = (
        ("photos", "On photos the captions beat chance", "the captioner sees"),
        ("msd", "On songs the titles beat chance", "it hears something"),
        ("recorded", "On spectrograms of recordings they do", "it hears something there"),
    )
    for key, claim, meaning in (each for each in claims if f"{each[0]}.5.gain" in said):
        of, clear = said["seeds"], [said[f"{key}.{k}.clear"] for k in (1, 5)]
        sure = "so" if min(map(int, clear)) > int(of) / 2 else "so no sign that"
        score, chance, gain = (said[f"{key}.5.{name}"] for name in ("score", "chance", "gain"))
        parts.append(
            f"{claim} in {clear[0]} of {of} trainings at k = 1 and in {clear[1]} of {of} at k = 5 "
            f"({score} against {chance} points at k = 5, a gain of {gain}): {sure} {meaning}."
        )
    join = next(row for row in record.result["join"] if row["beam_size"] == 5)
    apart = "matters to" if join["p"] < LEVEL else "is not seen in"
    joined = (
        "Timbre of another song makes {less:signed.2} points of difference (95 % interval of own "
        "less other {low:points.2} to {high:points.2}, p = {p:p}): the join {apart} the score."
    )
    paper = paper_table(4).loc["msd"]
    level = (
        f"For Million Song the paper prints {paper[1]:g} (k = 1) and {paper[5]:g} (k = 5) points; "
        f"here the same rows come to {said['msd.1.score']} and {said['msd.5.score']} by BLEU-1 of "
        "words."
    )
    gain = next(
        row for row in record.result["summary"] if (row["input"], row["beam_size"]) == (OWN, 5)
    )
    if "matters" in gain:
        known = gain_verdict(gain, record.settings["smallest_effect"])
        parts.append(f"Over artists and trainings alike, the gain on songs at k = 5 is {known}.")
    parts += [write(joined, join | {"less": -join["mean"], "apart": apart}), level]
    return Note("What follows, in this run's numbers", " ".join(parts))


def _sorted(rows: pd.DataFrame, *second: str) -> pd.DataFrame:
    """Sort rows by their inputs (photos by size of tile, then Million Song, then the few), and
    within each by a second column or as they stand."""
    photos = pictures_of(rows["input"])
    order = [*photos, OWN, BROKEN, COMPLETE, HEARD, FELT, CLIPS_HEARD, CLIPS_FELT]
    keyed = rows.assign(_place=rows["input"].map(order.index))
    return keyed.sort_values(["_place", *second], kind="stable").drop(columns="_place")


def _luck(p: pd.Series) -> str:
    """Write the lowest and highest p of the seeds, or the one that they share."""
    return span(p, 3) if p.max() > p.min() else p_value(p.min())


def _range(values: pd.Series, times: int = 100) -> str:
    return estimate(values.mean(), values.min(), values.max(), times=times)


def gains_by_seed(gains: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what every training scores above chance: a row an input, a mark a seed and beam size.

    `gains` has the columns input, seed, beam_size, gain, gain_low and gain_high (of scores in
    [0, 1], drawn in percent points). Each beam size has its colour and marker, seeds stand one
    below the other; beam sizes other than 1 and 5 are left out. Chance is dashed, at 0.
    """
    label = "BLEU-1 above chance (percent points)"
    ends = {"gain": label, "gain_low": "low", "gain_high": "high"}
    columns = {"input": "input", "seed": "seed", "beam_size": "beam size"} | ends
    drawn = figures.tidy("gains", gains, columns, percent=ends)
    drawn = drawn[drawn["beam size"].isin((1, 5))]
    ax = figures.own_axes(ax)
    names = list(dict.fromkeys(drawn["input"]))
    ax.axvline(0, color="0.35", lw=1.2, linestyle="--", zorder=1)
    several = drawn["beam size"].nunique()
    for place, (beam_size, rows) in enumerate(drawn.groupby("beam size")):
        seeds = sorted(set(rows["seed"]))
        slot = place * len(seeds) + rows["seed"].map(seeds.index)
        height = rows["input"].map(names.index) + 0.7 * (
            (slot + 0.5) / (several * len(seeds)) - 0.5
        )
        look: dict[str, Any] = figures.mark(place) | {"linestyle": "none", "ms": 4, "capsize": 1.5}
        look |= {"elinewidth": 1.2, "zorder": 2, "label": f"k = {beam_size}"}
        ax.errorbar(rows[label], height, xerr=figures.reach(rows, label), **look)
    figures.name_rows(ax, names, label)
    figures.legend_below(ax, drop=0.13)
    parts = []
    for name, rows in drawn.groupby("input", sort=False):
        clear, middle = int((rows["low"] > 0).sum()), amount(float(rows[label].mean()))
        parts.append(f"{name} {clear} of {len(rows)} (mean {middle})")
    found = "intervals wholly above chance, and the mean gain in percent points: "
    return figures.hand_on(ax, drawn, found + "; ".join(parts))
