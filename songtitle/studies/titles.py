"""Page 5, the titles: Table 5, what was said, and how many references change the score."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.cache import read_json
from songtitle.config import ExperimentConfig
from songtitle.experiment.naming import hypotheses
from songtitle.figures import BLEU, ENDS, GREY, amount
from songtitle.fmt import points, write
from songtitle.paper.printed import paper_table
from songtitle.studies.paper_corpora import Answers, need
from songtitle.studies.search import score_cell
from songtitle.tables import Note, plain

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


def titles_said(config: ExperimentConfig, name: str, beam_size: int) -> list[list[tuple[str, str]]]:
    """Give the hypotheses of every song by one input, best first: as titles, and with their
    log-probability in nats."""

    def said(words: list[str], log_prob: float) -> tuple[str, str]:
        return " ".join(words), f"{' '.join(words) or '(nothing)'} ({log_prob:.1f})"

    items: list[Any] = read_json(hypotheses(config, name, beam_size).file("hypotheses.json"))
    return [[said(*each) for each in found] for (found,) in items]


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
