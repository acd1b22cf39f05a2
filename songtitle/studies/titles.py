"""Page 5, the titles: Table 5, what was said, and how many references change the score."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.cache import read_json
from songtitle.config import SONGS, ExperimentConfig
from songtitle.experiment.corpora import clips
from songtitle.experiment.naming import hypotheses
from songtitle.figures.findings import amount, extremes, hand_on
from songtitle.figures.style import BLEU, ENDS, GREY, legend_below, own_axes, reach, series, tidy
from songtitle.fmt import estimate, percent, points
from songtitle.paper.printed import paper_table
from songtitle.studies.paper_corpora import Answers, need
from songtitle.studies.search import score_cell
from songtitle.tables import Note, plain, short_name, shown

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
    for id, name in (("mfcc", "songs: timbre"), ("spectrogram", "songs: spectrogram")):
        printed = [f"{theirs.loc[id, key]:.1f}" for key in ("audiocaps_1", "ours_1", "ours_5")]
        ours = [score_cell(cells[name, k]) if (name, k) in cells else None for k in (1, 5)]
        rows.append([theirs.loc[id, "features"], *printed, *ours])
    for who, found in _scores(answers).items() if answers is not None else ():
        cell = f"{found[max(found)]} ({max(found)} references)\n{found[1]} (1 reference)"
        rows.append([f"no model: {who}", cell, *[None] * 4])
    columns = ["Features", "AudioCaps, nearest neighbour", "Paper, k = 1", "Paper, k = 5"]
    return pd.DataFrame(rows, columns=[*columns, "here, k = 1", "here, k = 5"], dtype=object)


def named_songs(config: ExperimentConfig, beam_size: int, *, count: int) -> pd.DataFrame:
    """Tabulate true titles, the best by either reading, and a chance title, of the first songs."""
    songs = read_json(clips(config).file("songs.json"))
    shift = np.random.default_rng(config.seed).integers(1, len(songs))
    columns = {"True title": [shown(song["title"]) for song in songs[:count]]}
    for name in map(str, SONGS):
        best = [item[0][0] for item in _hypotheses(config, name, beam_size)]
        columns[f"From {short_name(name)}"] = [_said(found) for found in best[:count]]
    columns["Chance title"] = [
        " ".join(best[(place + shift) % len(best)][0]) for place in range(len(best[:count]))
    ]
    return pd.DataFrame(columns)


def five_best(config: ExperimentConfig, beam_size: int, *, song: int) -> pd.DataFrame:
    """Tabulate the hypotheses of one song, best first, by either reading."""
    columns = {}
    for name in map(str, SONGS):
        found = _hypotheses(config, name, beam_size)[song][0]
        columns[f"From {short_name(name)}"] = pd.Series(map(_said, found), dtype=object)
    frame = pd.DataFrame(columns)
    frame.insert(0, "Rank", range(1, len(frame) + 1))
    return frame


def variety(config: ExperimentConfig, beam_size: int) -> pd.DataFrame:
    """Count the different best titles of all songs, and how often the most frequent one came."""
    rows = []
    for name in map(str, SONGS):
        best = [" ".join(item[0][0][0]) for item in _hypotheses(config, name, beam_size)]
        title, times = Counter(best).most_common(1)[0]
        rows.append([name, len(best), len(set(best)), title, percent(times / len(best))])
    columns = ["Input", "Songs", "Different titles", "Most frequent", "Its share"]
    return pd.DataFrame(rows, columns=columns)


def _hypotheses(config: ExperimentConfig, name: str, beam_size: int) -> list[Any]:
    return read_json(hypotheses(config, name, beam_size).file("hypotheses.json"))


def _said(found: list[Any]) -> str:
    words, log_prob = found
    return f"{' '.join(words) or '(nothing)'} ({log_prob:.1f})"


def reference_curves(answers: Answers) -> pd.DataFrame:
    """Give mean sentence BLEU-1 in [0, 1]: `who, references, mean, low, high, corpus`."""
    frame = pd.DataFrame(need(answers, QUESTION).result["scores"])
    return frame.assign(who=frame["who"].map(WHO))


def by_references(answers: Answers) -> pd.DataFrame:
    """Tabulate BLEU-1 (percent points) by who is scored and number of references."""
    frame = reference_curves(answers)
    frame["cell"] = [
        f"{estimate(row['mean'], row['low'], row['high'])}\ncorpus {points(row['corpus'])}"
        for row in frame.to_dict("records")
    ]
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
    frame = reference_curves(answers).set_index("references")
    return {
        who: frame.loc[frame["who"] == who, "mean"].map(points).to_dict() for who in WHO.values()
    }


def bleu_by_references(
    curves: pd.DataFrame, *, quoted: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Draw BLEU-1 by number of references with intervals, a line for each who is scored.

    `curves` has the columns who, references, mean, low and high, scores in [0, 1], drawn in percent
    points. `quoted` numbers of others, in percent points, are level lines named at their end.
    """
    label = "references of each clip"
    ends = {"mean": BLEU} | ENDS
    names = {"who": "who", "references": label} | ends
    drawn = tidy("scores by references", curves, names, percent=ends)
    ax = own_axes(ax)
    for who, found, style in series(drawn, "who", label):
        yerr = reach(found[BLEU], found["low"], found["high"])
        ax.errorbar(found[label], found[BLEU], yerr=yerr, capsize=2.5, label=who, **style)
    counts = sorted(set(curves["references"]))
    for name, value in quoted.items():
        ax.axhline(value, linestyle=(0, (1, 1.5)), color=GREY, lw=1.2)
        ax.text(counts[-1] + 0.08, value + 0.8, name, fontsize=8.5, color="0.3", ha="right")
    ax.set_xticks(counts)
    ax.set(xlabel=label, ylabel=BLEU)
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    legend_below(ax)
    levels = [f"{name} is at {amount(value)}" for name, value in quoted.items()]
    said = extremes(drawn, BLEU, at=label, of="who", where="with {} references")
    if quoted:
        drawn = pd.concat([drawn, pd.DataFrame({"who": quoted.keys(), BLEU: quoted.values()})])
    return hand_on(ax, drawn, "; ".join([said, *levels]))
