"""Page 4, search: Table 4 with chance, lengths, and what a beam costs."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from songtitle.cache import Record
from songtitle.figures.drawing import BEAM, _beam_axis, legend_below, line_style
from songtitle.figures.findings import extremes, hand_on
from songtitle.figures.style import own_axes, require
from songtitle.fmt import interval, p_value, points, signed
from songtitle.paper.printed import paper_table
from songtitle.studies.corpora import HERE, PAPER
from songtitle.studies.shared import LEVEL, definition_note


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
        lead = [name, cells[beams[0]]["tiles"] if "pictures" in name else None]
        rows.append(
            [*lead, HERE, *(score_cell(cells[k], letters.get((name, k), "")) for k in beams)]
        )
        printed = theirs.loc[_paper_row(name)] if _paper_row(name) in theirs.index else {}
        rows.append([*lead, PAPER, *map(printed.get, beams)])
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
    wide = scores.pivot(index="input", columns="beam_size", values="mean_length")
    wide = wide.loc[list(dict.fromkeys(scores["input"]))]
    return wide.rename(columns=lambda k: f"k = {k}").rename_axis("Input").reset_index()


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


def _paper_row(name: str) -> str:
    if name.startswith("songs"):
        return "msd" if "timbre" in name else "fma"
    return f"cc{name.split('×')[-1]}"


def seconds_by_beam(timings: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Running time per example by beam size (Fig. 8b), in ms where all are under a second.

    `timings` has the columns input, beam_size and seconds (per example).
    """
    require(timings, ["input", "beam_size", "seconds"], "timings")
    factor, unit = (1000, "ms") if timings["seconds"].max() < 1 else (1, "s")
    ax = _lines_by_input(timings, f"time per example ({unit})", factor * timings["seconds"], ax)
    ax.set_ylim(bottom=0)
    return ax


def bleu_per_second(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """BLEU-1 points earned per second of search, on a logarithmic scale (Fig. 8c).

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
    """A line an input by beam size of `values`, which `label` names; handed on."""
    ax = own_axes(ax)
    drawn = pd.DataFrame({"input": frame["input"], BEAM: frame["beam_size"], label: values})
    for place, name in enumerate(dict.fromkeys(drawn["input"])):
        rows = drawn[drawn["input"] == name].sort_values(BEAM)
        ax.plot(rows[BEAM], rows[label], label=name, **line_style(place))
    _beam_axis(ax, drawn[BEAM])
    ax.set_ylabel(label)
    legend_below(ax)
    return hand_on(ax, drawn, extremes(drawn, label, at=BEAM, of="input"))
