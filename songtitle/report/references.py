"""Table 5 in its context: captions of sounds by their number of references, no model involved."""

import pandas as pd

from songtitle.claims import paper_table
from songtitle.fmt import estimate, points
from songtitle.report.answers import Answers, need
from songtitle.tables import Note, plain

QUESTION = "audio_references"  # of the census
WHO = {
    "human": "another human caption",
    "constant": "one answer for every clip",
    "random": "a random caption",
}


def reference_curves(answers: Answers) -> pd.DataFrame:
    """Give mean sentence BLEU-1 in [0, 1]: `who, references, mean, low, high, corpus`."""
    frame = pd.DataFrame(need(answers, QUESTION).result["scores"])
    frame["who"] = frame["who"].map(WHO)
    return frame


def references_rows(answers: Answers) -> list[tuple[str, str]]:
    """Give who is scored without a model, and how with the most and with one reference."""
    rows = []
    for who, found in _scores(answers).items():
        cell = f"{found[max(found)]} ({max(found)} references)\n{found[1]} (1 reference)"
        rows.append((f"no model: {who}", cell))
    return rows


def by_references(answers: Answers) -> pd.DataFrame:
    """Tabulate BLEU-1 (percent points) by who is scored and number of references."""
    frame = reference_curves(answers)
    frame["cell"] = [
        f"{estimate(row['mean'], row['low'], row['high'])}\ncorpus {points(row['corpus'])}"
        for row in frame.to_dict("records")
    ]
    wide = frame.pivot(index="who", columns="references", values="cell").loc[list(WHO.values())]
    wide = wide.rename(columns=lambda count: f"against {count}").rename_axis(None, axis="columns")
    return wide.rename_axis("What is scored").reset_index()


def references_note(answers: Answers) -> Note:
    """Say why Table 5 ranks nothing, with the numbers of captions against captions."""
    found = need(answers, QUESTION)
    scores = _scores(answers)
    random, constant = scores[WHO["random"]], scores[WHO["constant"]]
    most = max(random)
    theirs = paper_table(5)
    return Note(
        "Why Table 5 ranks nothing",
        f"AudioCaps' test clips have {found.result['captions_a_clip']} captions each, a song has "
        f"one title. A caption drawn at random, whatever the clip, scores {random[1]} "
        f"against one reference and {random[most]} against {most}; the words “"
        f"{plain(found.result['constant'])}”, said of every clip, {constant[1]} and "
        f"{constant[most]}. The paper quotes {theirs.loc['mfcc', 'audiocaps_1']} and "
        f"{theirs.loc['spectrogram', 'audiocaps_1']} for AudioCaps. Counted on "
        f"{found.result['clips']:,} clips, the captions alone.",
        kind="tip",
    )


def _scores(answers: Answers) -> dict[str, dict[int, str]]:
    """Give mean sentence BLEU-1 in points, by who is scored and number of references."""
    frame = reference_curves(answers).set_index("references")
    return {
        who: frame.loc[frame["who"] == who, "mean"].map(points).to_dict() for who in WHO.values()
    }
