"""Table 5 in its context: captions of sounds by their number of references, no model involved."""

import pandas as pd

from songtitle.claims import paper_table
from songtitle.report.answers import Answers, need
from songtitle.tables import Note, plain

QUESTION = "audio_references"  # of the census
WHO = {
    "human": "another human caption",
    "constant": "one answer for every clip",
    "random": "a random caption",
}


def reference_curves(answers: Answers) -> pd.DataFrame:
    """Mean sentence BLEU-1 in [0, 1] by number of references: who, references, mean, low, high."""
    frame = pd.DataFrame(need(answers, QUESTION).result["scores"])
    frame["who"] = frame["who"].map(WHO)
    return frame


def references_rows(answers: Answers) -> list[tuple[str, str]]:
    """Who is scored without a model, and how with the most and with one reference (Table 5)."""
    frame = reference_curves(answers)
    rows = []
    for who in WHO.values():
        found = frame[frame["who"] == who].sort_values("references")
        one, most = found.iloc[0], found.iloc[-1]
        cell = f"{_points(most)} ({most['references']} references)\n{_points(one)} (1 reference)"
        rows.append((f"no model: {who}", cell))
    return rows


def by_references(answers: Answers) -> pd.DataFrame:
    """BLEU-1 (percent points) by who is scored and number of references, with intervals."""
    frame = reference_curves(answers)
    frame["cell"] = [
        f"{100 * row.average:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]\n"
        f"corpus {100 * row.corpus:.1f}"
        for row in frame.rename(columns={"mean": "average"}).itertuples()
    ]
    wide = frame.pivot(index="who", columns="references", values="cell").loc[list(WHO.values())]
    wide = wide.rename(columns=lambda count: f"against {count}").rename_axis(None, axis="columns")
    return wide.rename_axis("What is scored").reset_index()


def references_note(answers: Answers) -> Note:
    """What the context does to Table 5, in words that hold the numbers."""
    found = need(answers, QUESTION)
    frame = reference_curves(answers)
    most = int(frame["references"].max())

    def at(who: str, references: int) -> str:
        row = frame[(frame["who"] == WHO[who]) & (frame["references"] == references)].iloc[0]
        return _points(row)

    theirs = paper_table(5)
    return Note(
        "Why Table 5 ranks nothing",
        f"AudioCaps' test clips have {found.result['captions_a_clip']} captions each, a song has "
        f"one title. A caption drawn at random, whatever the clip, scores {at('random', 1)} "
        f"against one reference and {at('random', most)} against {most}; the words “"
        f"{plain(found.result['constant'])}”, said of every clip, {at('constant', 1)} and "
        f"{at('constant', most)}. The paper quotes {theirs.loc['mfcc', 'audiocaps_1']} and "
        f"{theirs.loc['spectrogram', 'audiocaps_1']} for AudioCaps. Counted on "
        f"{found.result['clips']:,} clips, the captions alone.",
        kind="tip",
    )


def _points(row: pd.Series) -> str:
    return f"{100 * row['mean']:.1f}"
