"""Page 4, search: Table 4 with chance, lengths, and what a beam costs."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import ScaledTranslation

from songtitle.cache import Record
from songtitle.config import Input
from songtitle.figures.findings import extremes, hand_on
from songtitle.figures.style import (
    BLEU,
    CHANCE,
    GREY,
    SCORED,
    legend_below,
    own_axes,
    reach,
    require,
    series,
    tidy,
)
from songtitle.fmt import interval, p_value, points, signed
from songtitle.paper.printed import paper_table
from songtitle.tables import LEVEL, by_beam, definition_note

BEAM = "beam size (hypotheses kept)"


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
        lead = [name, None if Input.of(name).is_song else cells[beams[0]]["tiles"]]
        ours = [score_cell(cells[k], letters.get((name, k), "")) for k in beams]
        printed = theirs.loc[paper_row(name)] if paper_row(name) in theirs.index else {}
        rows += [[*lead, "here", *ours], [*lead, "paper", *map(printed.get, beams)]]
    return pd.DataFrame(rows, columns=["Input", "Tiles", "What", *(f"k = {k}" for k in beams)])


def score_cell(row: Any, letters: str = "") -> str:
    """Write one cell in three lines, in percent points: score and letters, its 95 % interval, and
    `(chance, gain, p)`.

    `row` has the fields of `Chance`.
    """
    score = f"{points(row['score'])} {letters}".strip()
    luck = f"({points(row['chance'])}, {signed(row['gain'])}, p {p_value(row['p'])})"
    return "\n".join([score, interval(row["low"], row["high"]), luck])


def mean_lengths(scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the mean length of the best hypothesis in words, by input and beam size."""
    return by_beam(scores, "input", "mean_length").rename(columns={"input": "Input"})


def signature(record: Record) -> str:
    """Say what the numbers of Table 4 mean, in one line to stand below it."""
    items = " and ".join(f"{n:,}" for n in sorted({row["items"] for row in record.result["rows"]}))
    return f"Mean over {items} test items. {definition_note(record)}"


def headline(scores: pd.DataFrame) -> dict[str, str]:
    """Give the best cell in domain and out of it, beside chance: what a front page may quote.

    `clear` says how many cells of each side chance does not explain, at 5 % for all of them
    together (Bonferroni): among many cells some are always high.
    """
    said: dict[str, str] = {}
    for side in ("pictures", "songs"):
        rows = scores[scores["input"].str.startswith(side)]
        best = rows.loc[rows["score"].idxmax()]
        clear = int((rows["p"] < LEVEL / len(rows)).sum())
        said |= {
            f"{side}.input": best["input"],
            f"{side}.beam_size": str(best["beam_size"]),
            f"{side}.items": f"{best['items']:,}",
            f"{side}.p": p_value(best["p"]),
            f"{side}.gain": points(best["score"] - best["chance"], sign="+"),
            f"{side}.clear": f"{clear or 'none'} of {len(rows)}",
        }
        said |= {f"{side}.{key}": points(best[key]) for key in ("score", "low", "high", "chance")}
    return said


def paper_row(name: str) -> str:
    """Give the row of the paper's Table 4 that an input of ours stands beside."""
    row = Input.of(name)
    return {"timbre": "msd", "spectrogram": "fma", "pixels": f"cc{row.tile}"}[row.reading]


def bleu_by_beam(scores: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 by beam size with intervals, and chance dashed in the same colour (Fig. 8a).

    `scores` has a row for each input and beam size: input, beam_size, score, low, high, chance,
    all scores in [0, 1], drawn in percent points. Inputs stand a little side by side so that their
    intervals can be told apart.
    """
    names = {"input": "input", "beam_size": BEAM} | SCORED
    drawn = tidy("scores", scores, names, percent=SCORED)
    ax = own_axes(ax)
    middle = (drawn["input"].nunique() - 1) / 2
    for place, (name, rows, style) in enumerate(series(drawn, "input", BEAM)):
        aside = ScaledTranslation(2.4 * (place - middle) / 72, 0, ax.figure.dpi_scale_trans)
        ends = reach(rows[BLEU], rows["low"], rows["high"])
        bars = ax.errorbar(rows[BEAM], rows[BLEU], yerr=ends, capsize=2.5, label=name, **style)
        line, caps, reaches = bars.lines
        for artist in (line, *caps, *reaches):  # on the page: the data keep their beam size
            artist.set_transform(ax.transData + aside)
        ax.plot(rows[BEAM], rows[SCORED["chance"]], "--", color=style["color"], lw=1.2)
    ax.plot([], [], "--", color=GREY, lw=1.2, label=CHANCE)
    _beam_axis(ax, drawn[BEAM], BLEU)
    ax.set_ylim(bottom=0)
    return hand_on(ax, drawn, extremes(drawn, BLEU, at=BEAM, of="input"))


def seconds_by_beam(timings: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw running time per example by beam size (Fig. 8b), in ms where all are under a second.

    `timings` has the columns input, beam_size and seconds (per example).
    """
    require(timings, ["input", "beam_size", "seconds"], "timings")
    factor, unit = (1000, "ms") if timings["seconds"].max() < 1 else (1, "s")
    ax = _lines_by_input(timings, f"time per example ({unit})", factor * timings["seconds"], ax)
    ax.set_ylim(bottom=0)
    return ax


def bleu_per_second(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw BLEU-1 points earned per second of search, on a logarithmic scale (Fig. 8c).

    `frame` has the columns input, beam_size, score (in [0, 1]) and seconds (per example). A score
    of zero has no place on the scale and is left out.
    """
    require(frame, ["input", "beam_size", "score", "seconds"], "scores and timings")
    rate = 100 * frame["score"] / frame["seconds"]
    ax = _lines_by_input(frame, "BLEU-1 rate (percent points / s)", rate.where(rate > 0), ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    ax.grid(visible=True, which="both", axis="y")
    return ax


def _lines_by_input(frame: pd.DataFrame, label: str, values: pd.Series, ax: Axes | None) -> Axes:
    """Draw a line an input by beam size of `values`, which `label` names."""
    ax = own_axes(ax)
    drawn = pd.DataFrame({"input": frame["input"], BEAM: frame["beam_size"], label: values})
    for name, rows, style in series(drawn, "input", BEAM):
        ax.plot(rows[BEAM], rows[label], label=name, **style)
    _beam_axis(ax, drawn[BEAM], label)
    return hand_on(ax, drawn, extremes(drawn, label, at=BEAM, of="input"))


def _beam_axis(ax: Axes, beams: pd.Series, ylabel: str) -> None:
    ax.set_xticks(sorted(set(beams)))
    ax.set(xlabel=BEAM, ylabel=ylabel)
    ax.grid(visible=False, axis="x")
    legend_below(ax)
