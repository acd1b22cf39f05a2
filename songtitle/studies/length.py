"""Page 10, length: how much of a score is due to the number of words."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle.cache import Record
from songtitle.figures.findings import extremes, hand_on
from songtitle.figures.style import BLEU, CHANCE, SCORED, legend_below, own_axes, series, tidy
from songtitle.fmt import interval, points, signed
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.studies.search import BEAM, bleu_by_beam
from songtitle.tables import Note


def length_split(record: Record) -> pd.DataFrame:
    """Tabulate beam effects in two parts, length and other words, beside the change of chance."""
    parts = {"Change": "change", "by length": "length", "by words": "content"}
    rows = [
        {
            "Input": row["input"],
            "BLEU of": DEFINITIONS[row["definition"]].name,
            "k": f"{row['first']} → {row['second']}",
            "Words": f"{row['first_words']:.2f} → {row['second_words']:.2f}",
            "Score": f"{points(row['first_score'])} → {points(row['second_score'])}",
        }
        | {
            said: f"{signed(row[part])}\n{interval(row[f'{part}_low'], row[f'{part}_high'])}"
            for said, part in parts.items()
        }
        | {"Change of chance": signed(row["change_chance"]), "What it is": explanation(row)}
        for row in record.result["steps"]
    ]
    return pd.DataFrame(rows)


def explanation(row: dict[str, Any]) -> str:
    """Name the parts of a change that go its way and whose intervals leave out 0."""
    if _holds_nothing(row, "change"):
        return "no change"
    same = [
        name
        for part, name in (("length", "length"), ("content", "words"))
        if not _holds_nothing(row, part) and row[part] * row["change"] > 0
    ]
    return " and ".join(same) or "neither alone"


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


def shapes(record: Record) -> pd.DataFrame:
    """Tabulate by input whether scores rise from k = 1 to 5 and fall after, as the paper's do."""
    moves: dict[tuple[str, str], list[str]] = {}
    for row in record.result["steps"]:
        way = "up" if row["change"] > 0 else "down"
        move = "level" if _holds_nothing(row, "change") else way
        moves.setdefault((row["input"], DEFINITIONS[row["definition"]].name), []).append(move)
    rows = [[*of, ", then ".join(found)] for of, found in moves.items()]
    return pd.DataFrame(rows, columns=["Input", "BLEU of", "Shape"])


def _holds_nothing(row: Any, part: str) -> bool:
    """Tell whether the interval of a part holds 0, or the part is less than the tables print."""
    return bool(row[f"{part}_low"] <= 0 <= row[f"{part}_high"] or abs(row[part]) < 0.0005)


def score_and_length(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 by beam size, and under it the mean length of the best hypotheses (Fig. 8a).

    `scores` is what `bleu_by_beam` takes, with `mean_length` in words. The two panels share the
    beam sizes, and each input its colour and marker; `ax` becomes the upper one and is returned.
    """
    length = "mean length (words)"
    names = {"input": "input", "beam_size": BEAM, "mean_length": length}
    drawn = tidy("scores", scores, names)
    ax = bleu_by_beam(scores, own_axes(ax, (6.6, 3.4)))
    under = ax.inset_axes((0.0, -0.62, 1.0, 0.55), sharex=ax)
    for name, rows, style in series(drawn, "input", BEAM):
        under.plot(rows[BEAM], rows[length], label=name, **style)
    under.set(xlabel=BEAM, ylabel=length)
    under.set_ylim(bottom=0)
    under.grid(visible=False, axis="x")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if legend := ax.get_legend():
        legend.remove()
    legend_below(under, ax, drop=0.32)
    return hand_on(ax, drawn, extremes(drawn, length, at=BEAM, of="input"))


def score_by_prefix(prefixes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores of hypotheses cut to their first words, chance dashed in the same colour.

    `prefixes` has the columns input, kept (words), score, low, high and chance (in [0, 1], drawn in
    percent points).
    """
    kept = "words kept"
    names = {"input": "input", "kept": kept} | SCORED
    drawn = tidy("prefixes", prefixes, names, percent=SCORED)
    ax = own_axes(ax)
    for name, rows, style in series(drawn, "input", kept):
        colour = style["color"]
        ax.fill_between(rows[kept], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(rows[kept], rows[BLEU], label=name, **style)
        ax.plot(rows[kept], rows[SCORED["chance"]], "--", color=colour, lw=1.2)
    ax.plot([], [], "--", color="0.45", lw=1.2, label=CHANCE)
    ax.set(xlabel=kept, ylabel=BLEU)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    ax.legend()
    return hand_on(ax, drawn, extremes(drawn, BLEU, at=kept, of="input", where="with {} words"))
