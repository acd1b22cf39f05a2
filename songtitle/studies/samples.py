"""Page 13, the samples: the experiment on real photos and recordings."""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle.cache import Record
from songtitle.experiment.samples import BROKEN, COMPLETE, FELT, HEARD, OWN
from songtitle.figures.findings import amount, hand_on
from songtitle.figures.style import legend_below, mark, name_rows, own_axes, reach, tidy
from songtitle.fmt import estimate, interval, p_value, points, signed, span
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.paper.printed import paper_table
from songtitle.tables import LEVEL, Note, by_beam, origin, rests_on

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

    Columns: input, tiles, items, beam_size, seeds, means of score, chance and gain; low and high,
    the 95 % interval of the score (over seeds where there are several, else over items); the median
    p; and `clear`, how many trainings beat chance at p < 0.05.
    """
    rows = pd.DataFrame(record.result["rows"])
    cells = rows.assign(clear=(rows["p"] < LEVEL) & (rows["gain"] > 0)).groupby(
        ["input", "beam_size"], sort=False, as_index=False
    )
    found = cells.agg(
        tiles=("tiles", "first"),
        items=("items", "first"),
        seeds=("p", "size"),
        score=("score", "mean"),
        chance=("chance", "mean"),
        gain=("gain", "mean"),
        low=("low", "first"),
        high=("high", "first"),
        p=("p", "median"),
        clear=("clear", "sum"),
    )
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
    rows = []
    for name, cells in found.groupby("input", sort=False):
        cells = cells.set_index("beam_size")
        first = cells.iloc[0]
        tiles = None if pd.isna(first["tiles"]) else int(first["tiles"])
        beside, printed = _beside(name, tiles)
        lines = {"real samples": cells.apply(_score, axis=1)}
        lines["chance"] = cells.apply(_chance, axis=1)
        lines["the quick run"] = (
            quick[quick["input"] == beside].set_index("beam_size")["score"].map(points)
        )
        if printed in theirs.index:
            lines["the paper"] = theirs.loc[printed]
        lead = [f"{name} ({first['items']:,})", tiles]
        rows += [[*lead, what, *map(line.get, beams)] for what, line in lines.items() if len(line)]
    columns = ["Input", "Tiles", "What", *(f"k = {k}" for k in beams)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def samples_definitions(record: Record) -> pd.DataFrame:
    """Tabulate scores by each definition of BLEU with (chance, gain), means over trainings."""
    found = pd.DataFrame(record.result["definitions"])
    keys = ["input", "definition", "beam_size"]
    means = found.groupby(keys, sort=False)[["score", "chance"]].mean().reset_index()
    means["cell"] = [
        f"{points(row.score)} ({points(row.chance)}, {signed(row.score - row.chance)})"
        for row in means.itertuples()
    ]
    means["definition"] = [DEFINITIONS[key].name for key in means["definition"]]
    wide = by_beam(_sorted(means), ["input", "definition"], "cell")
    return wide.rename(columns={"input": "Input", "definition": "BLEU of"})


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
    own = samples_cells(record)
    own = own[own["input"] == OWN]
    rows = [("their own timbre", row.beam_size, points(row.score, 2)) for row in own.itertuples()]
    found = pd.DataFrame(record.result["controls"])
    for (name, beam_size), cells in found.groupby(["control", "beam_size"], sort=False):
        score, lead, low, high = cells[["score", "difference", "low", "high"]].mean()
        ahead = f"{signed(lead, 2)} {interval(low, high, 2)}"
        rows.append((name, beam_size, f"{points(score, 2)}\n({ahead}, p {_luck(cells['p'])})"))
    given = "Given to the decoder"
    frame = pd.DataFrame(rows, columns=[given, "beam_size", "cell"])
    return by_beam(frame[frame["beam_size"].isin(found["beam_size"])], given, "cell")


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
    data = record.result["data"]
    sets = {each["input"]: each for each in data["sets"]}
    songs = {name: f"{each['songs']:,}" for name, each in sets.items()}
    whole = max((row["input"] for row in record.result["references"]), key=_side)
    found = samples_cells(record).set_index(["input", "beam_size"])
    said = {f"photos.{side}": f"{count:,}" for side, count in data["photos"].items()}
    said |= {
        "vocabulary": f"{data['vocabulary']:,}",
        "seeds": str(len(record.result["training"])),
        "songs": songs.get(OWN, "0"),
        "clips": songs.get(FELT, "0"),
        "numbers": str(sets[OWN]["numbers"]),
        "known": f"{100 * data['known']['running words']:.0f}",
        "tiled": f"{data['tiled']:,}",
    }
    for key, name in (("msd", OWN), ("broken", BROKEN), ("photos", whole)):
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
    return [*photos, *(name for name in (OWN, BROKEN, COMPLETE, HEARD, FELT) if name in given)]


def _sorted(rows: pd.DataFrame, *second: str) -> pd.DataFrame:
    """Sort rows by their inputs, and within each by a second column or as they stand."""
    place = {name: number for number, name in enumerate(_order(rows["input"]))}
    keyed = rows.assign(_place=rows["input"].map(place))
    return keyed.sort_values(["_place", *second], kind="stable").drop(columns="_place")


def _side(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])


def _beside(name: str, tiles: int | None) -> tuple[str, str]:
    """Give the book's own input that asks the same, and the row of the paper's Table 4."""
    if tiles and name.startswith("pictures"):
        side = BOOK_CROP // round(tiles**0.5)
        return f"pictures {side}×{side}", f"cc{side}"
    return _BESIDE.get(name, ("", ""))


def _score(row: Any) -> str:
    return estimate(row["score"], row["low"], row["high"])


def _chance(row: Any) -> str:
    several = f"{row['clear']} of {row['seeds']} seeds"
    luck = several if row["seeds"] > 1 else f"p {p_value(row['p'])}"
    return f"{points(row['chance'])} ({signed(row['gain'])}, {luck})"


def _rank(cells: pd.DataFrame, name: str) -> str:
    score, chance, gain = (cells[f"{name}_{each}"].mean() for each in ("score", "chance", "gain"))
    lead = signed(gain, 4, times=1).removesuffix(".0000")
    return f"{score:.4f}\n({chance:.4f}, {lead}, p {_luck(cells[f'{name}_p'])})"


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
    drawn = tidy("gains", gains, columns, percent=ends)
    drawn = drawn[drawn["beam size"].isin((1, 5))]
    ax = own_axes(ax)
    names = list(dict.fromkeys(drawn["input"]))
    ax.axvline(0, color="0.35", lw=1.2, linestyle="--", zorder=1)
    several = drawn["beam size"].nunique()
    for place, (beam_size, rows) in enumerate(drawn.groupby("beam size")):
        seeds = sorted(set(rows["seed"]))
        slot = place * len(seeds) + rows["seed"].map(seeds.index).to_numpy()
        aside = (slot + 0.5) / (several * len(seeds)) - 0.5
        height = rows["input"].map(names.index) + 0.7 * aside
        look = mark(place) | {"linestyle": "none", "ms": 4, "capsize": 1.5, "elinewidth": 1.2}
        bars = reach(rows[label], rows["low"], rows["high"])
        ax.errorbar(rows[label], height, xerr=bars, zorder=2, label=f"k = {beam_size}", **look)
    name_rows(ax, names, label)
    legend_below(ax, drop=0.13)
    parts = []
    for name, rows in drawn.groupby("input", sort=False):
        clear, middle = int((rows["low"] > 0).sum()), amount(float(rows[label].mean()))
        parts.append(f"{name} {clear} of {len(rows)} (mean {middle})")
    found = "intervals wholly above chance, and the mean gain in percent points: "
    return hand_on(ax, drawn, found + "; ".join(parts))
