"""Page 10, length: how much of a score is due to the number of words."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.cache import Record
from songtitle.figures import BLEU, SCORED
from songtitle.studies.search import BEAM, bleu_by_beam
from songtitle.tables import Note


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
        "Of {steps} steps {changed} change the score by more than their interval leaves to luck. "
        "Of these {length} are length alone, {words} other words alone, {both} both, and in "
        "{neither} neither part stands out by itself."
    )
    return Note("What the steps are made of", text.format(**steps_explained(record)))


def steps_explained(record: Record) -> dict[str, str]:
    """Count what prose may quote: `steps`; `changed`, those whose change leaves out 0; and of these
    `length`, `words`, `both` and `neither`, by what explains them."""
    said = [explanation(row) for row in record.result["steps"]]
    kinds = {"length": "length", "words": "words", "both": "length and words"}
    counts = {name: said.count(kind) for name, kind in kinds.items()}
    counts |= {"neither": said.count("neither alone"), "steps": len(said)}
    counts |= {"changed": len(said) - said.count("no change")}
    return {name: str(count) for name, count in counts.items()}


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
