"""Page 4, search: Table 4 with chance, lengths, and what a beam costs."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import Input
from songtitle.figures import BLEU, SCORED
from songtitle.fmt import points, write
from songtitle.paper.printed import paper_table
from songtitle.tables import LEVEL, definition_note

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
    `(chance, gain, p)`. `row` has the fields of `Chance`."""
    score = write("{score:points}", row) + f" {letters}".rstrip()
    luck = "\n[{low:points}, {high:points}]\n({chance:points}, {gain:signed}, p {p:p})"
    return score + write(luck, row)


def signature(record: Record) -> str:
    """Say what the numbers of Table 4 mean, in one line to stand below it."""
    items = " and ".join(f"{n:,}" for n in sorted({row["items"] for row in record.result["rows"]}))
    return f"Mean over {items} test items. {definition_note(record)}"


def headline(scores: pd.DataFrame) -> dict[str, str]:
    """Give the best cell in domain and out of it, beside chance: what a front page may quote.

    `clear` says how many cells of each side chance does not explain, at 5 % for all of them
    together (Bonferroni): among many cells some are always high.
    """
    fields = {name: f"{{{name}:points}}" for name in ("score", "low", "high", "chance")}
    fields |= {"input": "{input}", "beam_size": "{beam_size}", "items": "{items:,}", "p": "{p:p}"}
    said: dict[str, str] = {}
    for side in ("pictures", "songs"):
        rows = scores[scores["input"].str.startswith(side)]
        best = rows.loc[rows["score"].idxmax()]
        clear = int((rows["p"] < LEVEL / len(rows)).sum())
        said |= {f"{side}.{name}": write(pattern, best) for name, pattern in fields.items()}
        said[f"{side}.gain"] = points(best["score"] - best["chance"], sign="+")
        said[f"{side}.clear"] = f"{clear or 'none'} of {len(rows)}"
    return said


def paper_row(name: str) -> str:
    """Give the row of the paper's Table 4 that an input of ours stands beside."""
    row = Input.of(name)
    return {"timbre": "msd", "spectrogram": "fma", "pixels": f"cc{row.tile}"}[row.reading]


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
