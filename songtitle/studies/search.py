"""Pages 4, 5 and 10, the scores: Table 4 with chance, Table 5, what a beam costs, and length."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from songtitle import figures
from songtitle.cache import Record, read_json
from songtitle.config import SONGS, ExperimentConfig, Input
from songtitle.experiment.naming import hypotheses
from songtitle.figures import BLEU, ENDS, GREY, SCORED, amount
from songtitle.fmt import called, points, write
from songtitle.paper.printed import paper_table
from songtitle.studies.corpora import Answers, need
from songtitle.studies.picked import adjusted, highest, smallest_p
from songtitle.tables import (
    LEVEL,
    Note,
    Table,
    by_beam,
    definition_note,
    plain,
    short_name,
    shown,
    tabulate,
)

BEAM = "beam size (hypotheses kept)"
PAPER_ROWS = {"msd": "Million Song", "fma": "FMA"} | {
    f"cc{side}": f"{side} × {side} pixels" for side in (32, 64, 128, 256)
}


def over_trainings(scores: pd.DataFrame, replicates: Record) -> pd.DataFrame:
    """Put means over several trainings in place of what one scores, where there are several.

    `scores` has a row for each input and beam size, `replicates` the `summary` of whole trainings.
    Their rows get its score, chance, gain, intervals and p (`ItemScores.summary`), the highest
    `ceiling_gain` of any training, and `trainings`, their number; of all others it is 1.
    """
    found = scores.assign(trainings=1)
    for row in replicates.result["summary"]:
        means = {"score": row["score"], "low": row["score_low"], "high": row["score_high"]}
        means |= {"chance": row["score"] - row["gain"], "trainings": row["seeds"]}
        means |= {name: row[name] for name in ("gain", "gain_low", "gain_high", "p")}
        own = (found["input"] == row["input"]) & (found["beam_size"] == row["beam_size"])
        if "ceiling_gain" in found:
            means["ceiling_gain"] = max(
                each["ceiling_gain"]
                for each in replicates.result["rows"]
                if (each["input"], each["beam_size"]) == (row["input"], row["beam_size"])
            )
        found.loc[own, list(means)] = list(means.values())
    return found


def interval_legend(scores: pd.DataFrame) -> str:
    """Say what the intervals of a table of scores are over, to stand below it."""
    one = "95 % intervals are over series of items, of one training"
    several = sorted(set(scores["trainings"]) - {1})
    if not several:
        return f"{one}."
    return (
        f"Cells with × {several[-1]} are means over that many trainings; their 95 % intervals and "
        f"p are over series and trainings alike (two-way, Student's t). All other {one}."
    )


def picked_cell(scores: pd.DataFrame) -> str:
    """Say of how many cells of a table of scores one was picked by its p."""
    return smallest_p(scores.to_dict("records"), "cells", "{input}, k = {beam_size}")


def table_4(scores: pd.DataFrame, differences: Record | None = None) -> pd.DataFrame:
    """Tabulate BLEU-1 by input and beam size: ours as `score_cell` writes it, and the paper's.

    `differences` gives the letters of cells that their items do not tell apart.
    """
    theirs, beams = paper_table(4), list(dict.fromkeys(scores["beam_size"]))
    letters = {
        (row["input"], row["beam_size"]): row["letters"]
        for row in (differences.result["letters"] if differences else [])
    }
    rows = []
    for name, found in scores.groupby("input", sort=False):
        cells = {row["beam_size"]: row for row in found.to_dict("records")}
        of = Input.of(name)
        lead = [name, None if of.is_song else cells[beams[0]]["tiles"]]
        ours = [score_cell(cells[k], letters.get((name, k), "")) for k in beams]
        printed = theirs.loc[paper_row(of)] if paper_row(of) in theirs.index else {}
        rows += [[*lead, "here", *ours], [*lead, "paper", *map(printed.get, beams)]]
    return pd.DataFrame(rows, columns=["Input", "Tiles", "What", *(f"k = {k}" for k in beams)])


def score_cell(row: Any, letters: str = "") -> str:
    """Write one cell in three lines, in percent points: score and letters, its 95 % interval, and
    `(chance, gain, p)`. `row` has the fields of `Chance`; behind means stand their `trainings`."""
    several = f" × {row['trainings']:.0f}" if row.get("trainings", 1) > 1 else ""
    score = write("{score:points}", row) + several + f" {letters}".rstrip()
    luck = "\n[{low:points}, {high:points}]\n({chance:points}, {gain:signed}, p {p:p})"
    return score + write(luck, row)


def by_items(scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the gain of the pictures by series, and as if each were a series of its own."""
    gain = "{gain:signed} [{gain_low:plus}, {gain_high:plus}], p {p:p}"
    columns = {
        "Input": "input",
        "k": "{beam_size}",
        "Pictures, series": "{items}, {series}",
        "By series": gain,
        "By items": gain.replace("{", "{by_items_"),
    }
    pictures = scores[~scores["input"].map(lambda name: Input.of(name).is_song)]
    return tabulate(pictures.to_dict("records"), columns)


def ceilings(rows: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what the best dealing of the same texts over the items would score, by input and
    beam size: the ceiling, its gain over chance, and how many texts differ. Means over seeds."""
    keys, values = ["input", "beam_size"], ["ceiling", "ceiling_gain", "distinct"]
    means = rows.groupby(keys, sort=False)[values].mean().reset_index()
    cell = "{ceiling:points} ({ceiling_gain:signed.2})\n{distinct:,.0f} texts"
    means["cell"] = [write(cell, row) for row in means.to_dict("records")]
    return by_beam(means, "input", "cell").rename(columns={"input": "Input"})


def baselines(record: Record) -> pd.DataFrame:
    """Tabulate each baseline of each input as a cell of Table 4, with the constant text."""
    columns = {
        "Input": lambda row: f"{row['input']} ({row['items']:,})",
        "Baseline": lambda row: row["baseline"] + (f": “{row['text']}”" if row["text"] else ""),
        "BLEU-1": score_cell,
    }
    return tabulate(record.result["rows"], columns)


def without_captioner(scores: pd.DataFrame, record: Record, name: str = "") -> list[Table]:
    """Give the tables of ceilings, of rows of scores, and of a record of baselines, anchored as
    `tab-ceilings` and `tab-baselines`, or as `tab-name-ceilings` and so on. Rows that were
    published before ceilings were measured have none."""
    lead = f"tab-{name}-" if name else "tab-"
    found = []
    if "ceiling" in scores:
        ceiling = Table(
            ceilings(scores),
            name=f"{lead}ceilings",
            caption="The best dealing of the same outputs: BLEU-1 in percent points, in brackets "
            "what it gains over a random one, and the number of different texts.",
        )
        found.append(ceiling)
    others = Table(
        baselines(record),
        name=f"{lead}baselines",
        caption="Without a captioner: BLEU-1 in percent points, [interval], (chance, gain, p).",
        note="In brackets behind an input: test items. One text for all cannot gain over chance. "
        f"{definition_note(record, 'bleu1')}",
    )
    return [*found, others]


def signature(record: Record) -> str:
    """Say what the numbers of Table 4 mean, in one line to stand below it."""
    items = " and ".join(f"{n:,}" for n in sorted({row["items"] for row in record.result["rows"]}))
    return f"Mean over {items} test items. {definition_note(record)}"


def headline(scores: pd.DataFrame) -> dict[str, str]:
    """Give the best cell in domain and out of it, beside chance: what a front page may quote.

    Each was picked from `of` cells of its side, and its `p` is corrected for that (Holm): among
    many cells some are always high.
    """
    fields = {name: f"{{{name}:points}}" for name in ("score", "low", "high", "chance")}
    fields |= {"input": "{input}", "beam_size": "{beam_size}", "items": "{items:,}", "p": "{p:p}"}
    fields["of"] = "{of}"
    said: dict[str, str] = {}
    kinds = scores["input"].map(lambda name: Input.of(name).kind)
    for side, rows in scores.groupby(kinds):
        together = rows.assign(p=adjusted(rows["p"].tolist()), of=len(rows))
        best = together.loc[rows["score"].idxmax()]
        said |= {f"{side}.{name}": called(write(it, best)) for name, it in fields.items()}
    return said


def paper_row(of: Input) -> str:
    """Give the row of the paper's Table 4 that an input of ours stands beside."""
    return {"timbre": "msd", "spectrogram": "fma", "pixels": f"cc{of.tile}"}[of.reading]


def bleu_by_beam(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 by beam size with intervals, and chance dashed in the same colour (Fig. 8a).

    `scores` has a row for each input and beam size: input, beam_size, score, low, high, chance,
    all scores in [0, 1], drawn in percent points.
    """
    names = {"input": "input", "beam_size": BEAM} | SCORED
    drawn = figures.tidy("scores", scores, names, percent=SCORED)
    ax = figures.own_axes(ax)
    return figures.hand_on(ax, drawn, figures.curves(ax, drawn, BLEU, at=BEAM, of="input"))


def seconds_by_beam(timings: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw running time per example by beam size (Fig. 8b), in ms where all are under a second.

    `timings` has the columns input, beam_size and seconds (per example).
    """
    figures.require(timings, ["input", "beam_size", "seconds"], "timings")
    factor, unit = (1000, "ms") if timings["seconds"].max() < 1 else (1, "s")
    return _by_input(timings, f"time per example ({unit})", factor * timings["seconds"], ax)


def bleu_per_second(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 points earned per second of search, on a logarithmic scale (Fig. 8c).

    `frame` has the columns input, beam_size, score (in [0, 1]) and seconds (per example). A score
    of zero has no place on the scale and is left out.
    """
    figures.require(frame, ["input", "beam_size", "score", "seconds"], "scores and timings")
    rate = 100 * frame["score"] / frame["seconds"]
    ax = _by_input(frame, "BLEU-1 rate (percent points / s)", rate.where(rate > 0), ax)
    if not (rate > 0).any():  # nothing to scale
        return ax
    ax.set_yscale("log")
    ax.autoscale(axis="y")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    ax.grid(visible=True, which="both", axis="y")
    return ax


def _by_input(frame: pd.DataFrame, label: str, values: pd.Series, ax: Axes | None) -> Axes:
    ax = figures.own_axes(ax)
    drawn = pd.DataFrame({"input": frame["input"], BEAM: frame["beam_size"], label: values})
    return figures.hand_on(ax, drawn, figures.curves(ax, drawn, label, at=BEAM, of="input"))


# --- page 5, the titles

QUESTION = "audio_references"  # of the census
WHO = {
    "human": "another human caption",
    "constant": "one answer for every clip",
    "random": "a random caption",
}


def table_5(scores: pd.DataFrame, answers: Answers | None = None) -> pd.DataFrame:
    """Tabulate timbre and spectrogram, greedy and k = 5: AudioCaps as the paper quotes it, the
    paper, here.

    A beam size that was not searched is left blank. With `answers` of the census, what AudioCaps'
    captions score without any sound stands below, with the most and with one reference.
    """
    theirs = paper_table(5)
    cells = {(row["input"], row["beam_size"]): row for row in scores.to_dict("records")}
    rows = []
    for id, name in zip(("mfcc", "spectrogram"), map(str, SONGS), strict=True):
        printed = [f"{theirs.loc[id, key]:.1f}" for key in ("audiocaps_1", "ours_1", "ours_5")]
        ours = [score_cell(cells[name, k]) if (name, k) in cells else None for k in (1, 5)]
        rows.append([theirs.loc[id, "features"], *printed, *ours])
    for who, found in _scores(answers).items() if answers is not None else ():
        cell = f"{found[max(found)]} ({max(found)} references)\n{found[1]} (1 reference)"
        rows.append([f"no model: {who}", cell, *[None] * 4])
    columns = ["Features", "AudioCaps, nearest neighbour", "Paper, k = 1", "Paper, k = 5"]
    return pd.DataFrame(rows, columns=[*columns, "here, k = 1", "here, k = 5"], dtype=object)


def titles_said(config: ExperimentConfig, name: str, beam_size: int) -> list[list[tuple[str, str]]]:
    """Give the hypotheses of every song by one input, best first: as titles, and with their
    log-probability in nats."""

    def said(words: list[str], log_prob: float) -> tuple[str, str]:
        return " ".join(words), f"{' '.join(words) or '(nothing)'} ({log_prob:.1f})"

    items: list[Any] = read_json(hypotheses(config, name, beam_size).file("hypotheses.json"))
    return [[said(*each) for each in found] for (found,) in items]


def songs_and_titles(
    songs: Mapping[str, Sequence[Mapping[str, Any]]],
    titles: Mapping[str, Sequence[Sequence[tuple[str, str]]]],
    *,
    seed: int,
    count: int,
) -> pd.DataFrame:
    """Tabulate the first `count` songs: true title, what each input calls them, a chance title.

    `songs` are the rows of each input's songs, `titles` what `titles_said` gives of them. Songs
    that inputs share have one row, others one for each input. The chance title is what another
    song, a fixed step further, got by the last input.
    """
    parts: list[dict[str, Any]] = []
    for name, its in songs.items():
        best = [item[0] for item in titles[name]]
        shift = np.random.default_rng(seed).integers(1, len(its))
        said = f"From {short_name(name)}"
        part = {
            "True title": [shown(song["title"]) for song in its[:count]],
            said: [text for _, text in best[:count]],
            "Chance title": [best[(i + shift) % len(best)][0] for i in range(len(best[:count]))],
        }
        if parts and [each["id"] for each in its] == [
            each["id"] for each in next(iter(songs.values()))
        ]:
            last = parts[-1]
            last.pop("Chance title")
            last |= {said: part[said], "Chance title": part["Chance title"]}
        else:
            parts.append(part)
    frame = pd.concat([pd.DataFrame(part) for part in parts])
    return frame[[*frame.columns.drop("Chance title"), "Chance title"]].astype(object)


def reference_curves(answers: Answers) -> pd.DataFrame:
    """Give mean sentence BLEU-1 in [0, 1]: `who, references, mean, low, high, corpus`."""
    frame = pd.DataFrame(need(answers, QUESTION).result["scores"])
    return frame.assign(who=frame["who"].map(WHO))


def by_references(answers: Answers) -> pd.DataFrame:
    """Tabulate BLEU-1 (percent points) by who is scored and number of references."""
    cell = "{mean:points} [{low:points}, {high:points}]\ncorpus {corpus:points}"
    frame = reference_curves(answers)
    frame["cell"] = [write(cell, row) for row in frame.to_dict("records")]
    wide = frame.pivot(index="who", columns="references", values="cell").loc[list(WHO.values())]
    wide = wide.rename(columns="against {}".format).rename_axis(columns=None)
    return wide.rename_axis("What is scored").reset_index()


def references_note(answers: Answers) -> Note:
    """Say why Table 5 ranks nothing, with the numbers of captions against captions."""
    found = need(answers, QUESTION)
    scores, theirs = _scores(answers), paper_table(5)["audiocaps_1"]
    random, constant = scores[WHO["random"]], scores[WHO["constant"]]
    most = max(random)
    return Note(
        "Why Table 5 ranks nothing",
        f"AudioCaps' test clips have {found.result['captions_a_clip']} captions each, a song has "
        f"one title. A caption drawn at random, whatever the clip, scores {random[1]} "
        f"against one reference and {random[most]} against {most}; the words “"
        f"{plain(found.result['constant'])}”, said of every clip, {constant[1]} and "
        f"{constant[most]}. The paper quotes {theirs['mfcc']} and {theirs['spectrogram']} for "
        f"AudioCaps. Counted on {found.result['clips']:,} clips, the captions alone.",
        kind="tip",
    )


def _scores(answers: Answers) -> dict[str, dict[int, str]]:
    """Give mean sentence BLEU-1 in points, by who is scored and number of references."""
    means = reference_curves(answers).set_index(["who", "references"])["mean"].map(points)
    return {who: means[who].to_dict() for who in WHO.values()}


def bleu_by_references(
    curves: pd.DataFrame, *, quoted: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Draw BLEU-1 by number of references with intervals, a line for each who is scored.

    `curves` has the columns who, references, mean, low and high, scores in [0, 1], drawn in percent
    points. `quoted` numbers of others, in percent points, are level lines named at their end.
    """
    label, ends = "references of each clip", {"mean": BLEU} | ENDS
    names = {"who": "who", "references": label} | ends
    drawn = figures.tidy("scores by references", curves, names, percent=ends)
    ax = figures.own_axes(ax)
    for name, value in quoted.items():
        ax.axhline(value, linestyle=(0, (1, 1.5)), color=GREY, lw=1.2)
        right = max(curves["references"]) + 0.08
        ax.text(right, value + 0.8, name, fontsize=8.5, color="0.3", ha="right")
    said = [figures.curves(ax, drawn, BLEU, at=label, of="who", where="with {} references")]
    said += [f"{name} is at {amount(value)}" for name, value in quoted.items()]
    levels = pd.DataFrame({"who": quoted.keys(), BLEU: quoted.values()})
    return figures.hand_on(ax, pd.concat([drawn, levels]) if quoted else drawn, "; ".join(said))


# --- page 10, length


def explanation(row: dict[str, Any]) -> str:
    """Name the parts of a change that go its way and whose intervals leave out 0."""
    if holds_nothing(row, "change"):
        return "no change"
    parts = {"length": "length", "content": "words"}
    same = [part for part in parts if row[part] * row["change"] > 0]
    said = " and ".join(parts[part] for part in same if not holds_nothing(row, part))
    return said or "neither alone"


def length_note(record: Record) -> Note:
    """Say how many beam effects there are, and how many of them length explains."""
    text = (
        "Of {steps} steps {changed} change the score by more than their interval leaves to luck, "
        "which alone would do so in {luck}. "
        "Of these {length} are length alone, {words} other words alone, {both} both, and in "
        "{neither} neither part stands out by itself."
    )
    return Note("What the steps are made of", text.format(**steps_explained(record)))


def steps_explained(record: Record) -> dict[str, str]:
    """Count what prose may quote: `steps`; `changed`, those whose change leaves out 0; `luck`, in
    how many a 95 % interval would by luck; and of these changed `length`, `words`, `both` and
    `neither`, by what explains them."""
    said = [explanation(row) for row in record.result["steps"]]
    kinds = {"length": "length", "words": "words", "both": "length and words"}
    counts = {name: said.count(kind) for name, kind in kinds.items()}
    counts |= {"neither": said.count("neither alone"), "steps": len(said)}
    counts |= {"changed": len(said) - said.count("no change")}
    luck = {"luck": f"{LEVEL * len(said):.1f}"}
    return {name: str(count) for name, count in counts.items()} | luck


def best_length(scores: pd.Series) -> str:
    """Say at which length, the index, scores in [0, 1] are highest, and of how many lengths."""
    return f"With {scores.idxmax()} kept of each, these titles score {highest(scores, 'lengths')}."


def shapes_of_the_paper(table: pd.DataFrame | None = None) -> str:
    """Say which curves of the paper's Table 4 rise to their best beam and fall at every step after.

    `table` is one like `paper_table(4)`, whose row names and beam sizes it takes.
    """
    table = paper_table(4) if table is None else table
    curves = table[[column for column in table if isinstance(column, int)]].astype(float)
    best = curves.idxmax(axis=1)
    tops = [f"{count} at k = {k}" for k, count in best.value_counts(sort=False).items()]
    again = [
        f"that of {PAPER_ROWS.get(str(row), str(row))} rises again at k = {column}"
        for row, values in curves.iterrows()
        for before, column in pairwise(curves.columns)
        if before >= best[row] and values[column] > values[before]
    ]
    said = f"The paper prints {len(curves)} curves. Their highest scores: {', '.join(tops)}."
    return f"{said} Beyond it, {'; '.join(again) or 'none rises again'}."


def holds_nothing(row: Any, part: str) -> bool:
    """Tell whether the interval of a part holds 0, or the part is less than the tables print."""
    return bool(row[f"{part}_low"] <= 0 <= row[f"{part}_high"] or abs(row[part]) < 0.0005)


def score_and_length(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 by beam size, and under it the mean length of the best hypotheses (Fig. 8a).

    `scores` is what `bleu_by_beam` takes, with `mean_length` in words. The two panels share the
    beam sizes, and each input its colour and marker; `ax` becomes the upper one and is returned.
    """
    length = "mean length (words)"
    names = {"input": "input", "beam_size": BEAM, "mean_length": length}
    drawn = figures.tidy("scores", scores, names)
    ax = bleu_by_beam(scores, figures.own_axes(ax, (6.6, 3.4)))
    under = ax.inset_axes((0.0, -0.62, 1.0, 0.55), sharex=ax)
    said = figures.curves(under, drawn, length, at=BEAM, of="input")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if legend := ax.get_legend():
        legend.remove()
    figures.legend_below(under, ax, drop=0.32)
    return figures.hand_on(ax, drawn, said)


def score_by_prefix(prefixes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores of hypotheses cut to their first words, chance dashed in the same colour.

    `prefixes` has the columns input, kept (words), score, low, high and chance (in [0, 1], drawn in
    percent points).
    """
    kept = "words kept"
    names = {"input": "input", "kept": kept} | SCORED
    drawn = figures.tidy("prefixes", prefixes, names, percent=SCORED)
    ax, where = figures.own_axes(ax), "with {} words"
    said = figures.curves(ax, drawn, BLEU, at=kept, of="input", where=where, band=True)
    return figures.hand_on(ax, drawn, said)
