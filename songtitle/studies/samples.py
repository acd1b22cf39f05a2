"""Page 13, the samples: the experiment on real photos and recordings."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.cache import Record
from songtitle.experiment.samples import BROKEN, COMPLETE, FELT, HEARD, OWN
from songtitle.figures.drawing import legend_below
from songtitle.figures.findings import amount, hand_on, tidy
from songtitle.figures.style import COLOURS, MARKERS, own_axes, require
from songtitle.fmt import estimate, interval, p_value, points, signed, span
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.paper.printed import paper_table
from songtitle.studies.shared import LEVEL
from songtitle.tables import Note, origin, rests_on

REAL, BY_CHANCE, QUICK, PRINTED = "real samples", "chance", "the quick run", "the paper"


BOOK_CROP = 256  # pixels a side, in the paper and in the book's own run


# What the book's own run calls the same, and the row of Table 4.
_BESIDE = {OWN: ("songs: timbre", "msd"), HEARD: ("songs: spectrogram", "fma")}


def samples_note(record: Record) -> Note:
    """Say what the record rests on, in a box at the head of the page."""
    said = samples_facts(record)
    return Note(
        "Real data, on a small scale: not a reproduction of the paper's run",
        f"{said['photos.train']} training photos of Flickr8k with five captions each, a vocabulary "
        f"of {said['vocabulary']} words, {said['seeds']} trainings from different seeds. Timbre: "
        f"{said['numbers']} of the 90 numbers, the means and those covariances that the table at "
        f"hand holds. {origin(record)} It holds numbers only: no photo, caption, title or sound.",
        kind="warning",
        records=rests_on([record]),
    )


def samples_cells(record: Record) -> pd.DataFrame:
    """Average every cell over its trainings.

    Columns: input, tiles, items, beam_size, seeds, means of score, chance, gain, mean_length and
    distinct; low and high, the 95 % interval of the score (over seeds where there are several, else
    over items); the median p; and `clear`, how many trainings beat chance at p < 0.05.
    """
    over_seeds = {(row["input"], row["beam_size"]): row for row in record.result["summary"]}
    cells = []
    rows = pd.DataFrame(record.result["rows"])
    for (name, k), found in rows.groupby(["input", "beam_size"], sort=False):
        first = found.iloc[0]
        ends = over_seeds.get((name, k), {"score_low": first["low"], "score_high": first["high"]})
        means = found[["score", "chance", "gain", "mean_length", "distinct"]].mean()
        cells.append(
            {"input": name, "tiles": first["tiles"], "items": int(first["items"])}
            | {"beam_size": k, "seeds": len(found)}
            | means.to_dict()
            | {"low": ends["score_low"], "high": ends["score_high"], "p": found["p"].median()}
            | {"clear": int(((found["p"] < LEVEL) & (found["gain"] > 0)).sum())}
        )
    return _sorted(pd.DataFrame(cells), "beam_size")


def samples_table(record: Record, quick: pd.DataFrame) -> pd.DataFrame:
    """Tabulate Table 4's rows on real samples with chance, above the quick run's and the paper's.

    `real samples` has the score with its interval; `chance` what the same outputs score against
    wrong references, and `(gain, ...)`: of how many trainings p is below 0.05, or the p of a single
    one. `quick` is the `score_table` of another preset. Behind a name stand its test items.
    """
    found, theirs = samples_cells(record), paper_table(4)
    beams = sorted(set(found["beam_size"]))
    rows = []
    for name, cells in found.groupby("input", sort=False):
        by_beam = {row["beam_size"]: row for row in cells.to_dict("records")}
        first = next(iter(by_beam.values()))
        tiles = None if pd.isna(first["tiles"]) else int(first["tiles"])
        lead = [f"{name} ({first['items']:,})", tiles]
        here = [by_beam.get(k) for k in beams]
        rows.append([*lead, REAL, *(row and _score(row) for row in here)])
        rows.append([*lead, BY_CHANCE, *(row and _chance(row) for row in here)])
        beside, printed = _beside(name, tiles)
        scores = quick[quick["input"] == beside].set_index("beam_size")["score"].map(points)
        if len(scores):
            rows.append([*lead, QUICK, *(scores.get(k) for k in beams)])
        if printed in theirs.index:
            rows.append([*lead, PRINTED, *(theirs.loc[printed].get(k) for k in beams)])
    columns = ["Input", "Tiles", "What", *(f"k = {k}" for k in beams)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def samples_definitions(record: Record) -> pd.DataFrame:
    """Tabulate scores by each definition of BLEU with (chance, gain), means over trainings."""
    found = pd.DataFrame(record.result["definitions"])
    means = found.groupby(["input", "definition", "beam_size"])[["score", "chance"]].mean()
    cells = {
        at: f"{points(score)} ({points(chance)}, {signed(score - chance)})"
        for at, score, chance in means.itertuples()
    }
    beams = sorted(set(found["beam_size"]))
    rows = [
        [name, DEFINITIONS[key].name, *(cells[name, key, k] for k in beams)]
        for name in _order(found["input"])
        for key in dict.fromkeys(found["definition"])
    ]
    return pd.DataFrame(rows, columns=["Input", "BLEU of", *(f"k = {k}" for k in beams)])


def samples_join(record: Record) -> pd.DataFrame:
    """Tabulate titles with their own timbre and with another song's: difference, interval, p."""
    rows = [
        {
            "k": f"{row['beam_size']}",
            "Own timbre": points(row["own"], 2),
            "Another's": points(row["broken"], 2),
            "Difference": f"{signed(row['mean'], 2)} {interval(row['low'], row['high'], 2)}",
            "p": p_value(row["p"]),
        }
        for row in record.result["join"]
    ]
    return pd.DataFrame(rows)


def samples_controls(record: Record) -> pd.DataFrame:
    """Tabulate what Million Song's row scores without its songs, and the real input's lead."""
    found = pd.DataFrame(record.result["controls"])
    beams = sorted(set(found["beam_size"]))
    real = samples_cells(record).set_index(["input", "beam_size"])["score"]
    rows = [["their own timbre", *(points(real[OWN, k], 2) for k in beams)]]
    for name, cells in found.groupby("control", sort=False):
        rows.append([name, *(_lead(cells[cells["beam_size"] == k]) for k in beams)])
    return pd.DataFrame(rows, columns=["Given to the decoder", *(f"k = {k}" for k in beams)])


def samples_retrieval(record: Record) -> pd.DataFrame:
    """Tabulate where the true title ranks by likelihood, own timbre and another's: means."""
    found = pd.DataFrame(record.result["retrieval"])
    rows = [
        [name, ranking, _rank(cells, "mrr"), _rank(cells, "recall")]
        for (name, ranking), cells in found.groupby(["input", "ranking"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["Input", "Ranked by", "MRR", "R@10"])


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
    (`msd`), of the same with another's timbre (`broken`) and of whole photos (`photos`) the fields
    `score, low, high, chance, gain` in percent points and `clear`, the trainings that beat chance.
    """
    songs = {each["input"]: each["songs"] for each in record.result["data"]["sets"]}
    data, learnt = record.result["data"], record.result["training"]
    found = samples_cells(record).set_index(["input", "beam_size"])
    said = {f"photos.{side}": f"{count:,}" for side, count in data["photos"].items()}
    said |= {
        "vocabulary": f"{data['vocabulary']:,}",
        "seeds": str(len(learnt)),
        "songs": f"{songs.get(OWN, 0):,}",
        "clips": f"{songs.get(FELT, 0):,}",
        "numbers": str(next(s["numbers"] for s in data["sets"] if s["input"] == OWN)),
        "known": f"{100 * data['known']['running words']:.0f}",
        "tiled": f"{data['tiled']:,}",
    }
    for key, name in (("msd", OWN), ("broken", BROKEN), ("photos", _whole_photos(record))):
        for k in (1, 5):
            cell = found.loc[(name, k)]
            for value in ("score", "low", "high", "chance"):
                said[f"{key}.{k}.{value}"] = points(cell[value], 2)
            said[f"{key}.{k}.gain"] = signed(cell["gain"], 2)
            said[f"{key}.{k}.clear"] = f"{cell['clear']:.0f}"
    return said


def samples_conclusion(record: Record) -> Note:
    """Conclude what the numbers allow: on photos, on songs, on the join, and beside the paper."""
    said = samples_facts(record)
    photos = _verdict(said, "photos", "On photos the captions beat chance", "the captioner sees")
    songs = _verdict(said, "msd", "On songs the titles beat chance", "it hears something")
    join = next(row for row in record.result["join"] if row["beam_size"] == 5)
    apart = "matters to" if join["p"] < LEVEL else "is not seen in"
    joined = (
        f"Timbre of another song makes {signed(-join['mean'], 2)} points of difference "
        f"(95 % interval of own less other {points(join['low'], 2)} to "
        f"{points(join['high'], 2)}, p = {p_value(join['p'])}): the join {apart} the score."
    )
    paper = paper_table(4).loc["msd"]
    level = (
        f"For Million Song the paper prints {paper[1]:g} (k = 1) and {paper[5]:g} (k = 5) points; "
        f"here the same rows come to {said['msd.1.score']} and {said['msd.5.score']} by BLEU-1 of "
        "words."
    )
    return Note("What follows, in this run's numbers", " ".join([photos, songs, joined, level]))


def _verdict(said: dict[str, str], key: str, claim: str, meaning: str) -> str:
    of, clear = said["seeds"], [said[f"{key}.{k}.clear"] for k in (1, 5)]
    sure = "so " + meaning if min(map(int, clear)) > int(of) / 2 else "so no sign that " + meaning
    return (
        f"{claim} in {clear[0]} of {of} trainings at k = 1 and in {clear[1]} of {of} at k = 5 "
        f"({said[f'{key}.5.score']} against {said[f'{key}.5.chance']} points at k = 5, a gain of "
        f"{said[f'{key}.5.gain']}): {sure}."
    )


def _order(names: Iterable[str]) -> list[str]:
    """Order inputs: photos by size of tile, then Million Song, then the few."""
    given = set(names)
    photos = sorted((name for name in given if name.startswith("pictures")), key=_side)
    songs = [name for name in (OWN, BROKEN, COMPLETE, HEARD, FELT) if name in given]
    return [*photos, *songs]


def _sorted(rows: pd.DataFrame, second: str) -> pd.DataFrame:
    """Sort rows by their inputs, and within each by a second column."""
    place = {name: number for number, name in enumerate(_order(rows["input"]))}
    keyed = rows.assign(_place=rows["input"].map(place))
    return keyed.sort_values(["_place", second]).drop(columns="_place")


def _side(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])


def _whole_photos(record: Record) -> str:
    return max((row["input"] for row in record.result["references"]), key=_side)


def _beside(name: str, tiles: int | None) -> tuple[str, str]:
    """Give the book's own input that asks the same, and the row of the paper's Table 4."""
    if tiles and name.startswith("pictures"):
        side = BOOK_CROP // round(tiles**0.5)
        return f"pictures {side}×{side}", f"cc{side}"
    return _BESIDE.get(name, ("", ""))


def _score(row: dict[str, Any]) -> str:
    return estimate(row["score"], row["low"], row["high"])


def _chance(row: dict[str, Any]) -> str:
    several = f"{row['clear']} of {row['seeds']} seeds"
    luck = several if row["seeds"] > 1 else f"p {p_value(row['p'])}"
    return f"{points(row['chance'])} ({signed(row['gain'])}, {luck})"


def _lead(cells: pd.DataFrame) -> str:
    """Write what a control scores, and below it the real input's lead: its interval, lowest and
    highest p of the seeds."""
    score, lead, low, high = cells[["score", "difference", "low", "high"]].mean()
    return (
        f"{points(score, 2)}\n({signed(lead, 2)} {interval(low, high, 2)}, p {_luck(cells['p'])})"
    )


def _rank(cells: pd.DataFrame, name: str) -> str:
    score, chance, gain = (cells[f"{name}_{each}"].mean() for each in ("score", "chance", "gain"))
    lead = signed(gain, 4, times=1).removesuffix(".0000")
    return f"{score:.4f}\n({chance:.4f}, {lead}, p {_luck(cells[f'{name}_p'])})"


def _luck(p: pd.Series) -> str:
    return span(p, 3) if p.max() > p.min() else p_value(p.min())


def _range(values: pd.Series, times: int = 100) -> str:
    return estimate(values.mean(), values.min(), values.max(), times=times)


def gains_by_seed(
    gains: pd.DataFrame, *, beams: tuple[int, ...] = (1, 5), ax: Axes | None = None
) -> Axes:
    """What every training scores above chance, one row an input, one mark a seed and beam size.

    `gains` has the columns input, seed, beam_size, gain, gain_low and gain_high (of scores in
    [0, 1], drawn in percent points). Each beam size has its colour and marker, seeds stand one
    below the other; those of other beam sizes than `beams` are left out. Chance is dashed, at 0.
    """
    require(gains, ["input", "seed", "beam_size", "gain", "gain_low", "gain_high"], "gains")
    gains = gains[gains["beam_size"].isin(beams)]
    ax = own_axes(ax)
    names = list(dict.fromkeys(gains["input"]))
    shown = sorted(set(gains["beam_size"]))
    ax.axvline(0, color="0.35", lw=1.2, linestyle="--", zorder=1)
    for place, beam_size in enumerate(shown):
        rows = gains[gains["beam_size"] == beam_size]
        seeds = {seed: number for number, seed in enumerate(sorted(set(rows["seed"])))}
        slots = len(shown) * len(seeds)
        shift = [place * len(seeds) + seeds[seed] for seed in rows["seed"]]
        height = np.array([names.index(name) for name in rows["input"]], dtype=float)
        height += 0.7 * ((np.array(shift) + 0.5) / slots - 0.5)
        value, low, high = (
            100 * rows[name].to_numpy(float) for name in ("gain", "gain_low", "gain_high")
        )
        ax.errorbar(
            value,
            height,
            xerr=np.maximum([value - low, high - value], 0),
            fmt=MARKERS[place % len(MARKERS)],
            ms=4,
            lw=1.2,
            capsize=1.5,
            color=COLOURS[place % len(COLOURS)],
            label=f"k = {beam_size}",
            zorder=2,
        )
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel="BLEU-1 above chance (percent points)", ylabel="")
    ax.grid(visible=False, axis="y")
    legend_below(ax, drop=0.13)
    ends = {"gain": ax.get_xlabel(), "gain_low": "low", "gain_high": "high"}
    columns = {"input": "input", "seed": "seed", "beam_size": "beam size"} | ends
    return hand_on(ax, tidy(gains, columns, percent=ends), _beyond_chance(gains, names))


def _beyond_chance(gains: pd.DataFrame, names: list[str]) -> str:
    """How many trainings of each input stand above chance with their whole interval."""
    clear = gains["gain_low"] > 0
    parts = []
    for name in names:
        own = gains["input"] == name
        middle = amount(100 * float(gains.loc[own, "gain"].mean()))
        parts.append(f"{name} {int((clear & own).sum())} of {int(own.sum())} (mean {middle})")
    return "intervals wholly above chance, and the mean gain in percent points: " + "; ".join(parts)
