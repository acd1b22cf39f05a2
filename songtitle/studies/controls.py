"""Page 9, controls: what scores without the input, and how surely it can be told."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle.cache import Record
from songtitle.figures.findings import amount, hand_on
from songtitle.figures.style import BLEU, ENDS, legend_below, mark, name_rows, own_axes, reach, tidy
from songtitle.fmt import estimate, interval, p_value, percent, points, signed
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.chance import holm
from songtitle.tables import LEVEL, Note, by_beam, short_name


def controls(record: Record) -> pd.DataFrame:
    """Tabulate each control by input and beam size: score, interval, and the real input's lead.

    Percent points of BLEU-1. One block of rows for each input, the real input first.
    """
    found = pd.DataFrame(record.result["rows"])
    found["cell"] = [_control_cell(row) for row in found.to_dict("records")]
    wide = by_beam(found, ["input", "control"], "cell")
    return wide.rename(columns={"input": "Input", "control": "Control"})


def beaten(record: Record) -> dict[str, str]:
    """Give what prose may quote of the controls, named `INPUT.BEAM.FIELD`.

    Fields: `real`, the score of the real input; `count`, how many controls it clears, `of` how
    many; `best`, the control that scores highest, with its `best_score`.
    """
    return {
        f"{short_name(name)}.{beam_size}.{field}": said
        for name, beam_size, cell in _cells_cleared(record)
        for field, said in cell.items()
    }


def controls_note(record: Record) -> Note:
    """Say which of the controls each input clears at each beam size, and the highest of them."""
    lines = [
        "- {name}, k = {k}: {real} points; clears {count} of {of} controls; the highest, "
        "*{best}*, has {best_score}".format(name=name, k=beam_size, **cell)
        for name, beam_size, cell in _cells_cleared(record)
    ]
    return Note("What the real input clears (Holm-corrected, 5 %)", "\n".join(lines))


def _cells_cleared(record: Record) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Yield input, beam size and the fields of `beaten` of every cell."""
    cells = pd.DataFrame(record.result["rows"]).groupby(["input", "beam_size"], sort=False)
    for (name, beam_size), found in cells:
        others = found.iloc[1:]
        best = others.loc[others["score"].idxmax()]
        said = {"real": points(found.iloc[0]["score"]), "count": f"{cleared(others).sum()}"}
        said |= {"of": f"{len(others)}", "best": best["control"]}
        yield name, beam_size, said | {"best_score": points(best["score"])}


def cleared(controls: pd.DataFrame) -> pd.Series:
    """Tell of the controls of one cell which the real input clears: its lead over them is positive
    and their p below LEVEL, Holm-corrected over the cell."""
    found = pd.Series(holm(controls["p"].tolist(), level=LEVEL), index=controls.index)
    return found & (controls["difference"] > 0)


def retrieval(record: Record) -> pd.DataFrame:
    """Tabulate where the true title ranks: MRR and recall beside chance, with p."""
    found = record.result["rows"]
    rows = [
        {
            "Input": row["input"],
            "Ranked by": row["ranking"],
            "Titles (distinct)": f"{row['items']:,} ({row['distinct']:,})",
            "MRR": _rank_cell(row, "mrr"),
            f"R@{found[0]['k']}": _rank_cell(row, "recall"),
        }
        for row in found
    ]
    return pd.DataFrame(rows)


def replicates(record: Record) -> pd.DataFrame:
    """Tabulate scores over seeds: mean, spread, both intervals, and the gain over chance."""
    rows = [
        {
            "Input": row["input"],
            "k": f"{row['beam_size']}",
            "Seeds": row["seeds"],
            "Mean": points(row["score"]),
            "Spread over seeds": points(row["score_spread"]),
            "Interval over seeds": f"± {points(_half_width(row))}",
            "Interval over items": f"± {points(row['within'])}",
            "Gain over chance [over seeds]": f"{signed(row['gain'])} "
            f"{interval(row['gain_low'], row['gain_high'])}",
        }
        for row in record.result["summary"]
    ]
    return pd.DataFrame(rows)


def seeds_note(record: Record) -> Note:
    """Say how much wider the interval over seeds is than that over items, and where most."""
    rows = record.result["summary"]
    most = max(rows, key=lambda row: _half_width(row) - row["within"])
    wider = sum(_half_width(row) > row["within"] for row in rows)
    text = (
        f"The interval over seeds is the wider one in {wider} of {len(rows)} rows. They differ "
        f"most for {most['input']}, k = {most['beam_size']}: ± {points(_half_width(most))} points "
        f"over seeds, ± {points(most['within'])} over items."
    )
    return Note("Which luck is larger", text)


def paired(record: Record) -> pd.DataFrame:
    """Tabulate timbre minus spectrogram on the same songs, by definition and beam size."""
    rows = [
        {
            "BLEU of": DEFINITIONS[row["definition"]].name,
            "k": f"{row['beam_size']}",
            "Timbre less spectrogram": f"{signed(row['mean'], 2)} "
            f"{interval(row['low'], row['high'], 2)}",
            "p": p_value(row["p"]),
            "Spread of songs": points(row["spread"]),
        }
        for row in record.result["paired"]
    ]
    return pd.DataFrame(rows)


def power(record: Record) -> pd.DataFrame:
    """Tabulate how many titles it takes to tell timbre from spectrogram, with the power at hand."""
    claimed = f"for {100 * record.result['paired'][0]['paper_difference']:g} points"
    rows = [
        {
            "BLEU of": DEFINITIONS[row["definition"]].name,
            "k": f"{row['beam_size']}",
            "For the difference here": row["needed"] or "no number",
            f"{claimed}, same songs": _needed(row, "paper"),
            f"{claimed}, different songs": _needed(row, "apart"),
        }
        for row in record.result["paired"]
    ]
    return pd.DataFrame(rows, dtype=object)


def _control_cell(row: dict[str, Any]) -> str:
    cell = estimate(row["score"], row["low"], row["high"])
    if pd.isna(row["difference"]):
        return cell
    return f"{cell}\n({signed(row['difference'])}, p {p_value(row['p'])})"


def _rank_cell(row: dict[str, Any], name: str) -> str:
    fields = ("score", "low", "high", "chance", "gain", "p")
    score, low, high, chance, gain, p = (row[f"{name}_{field}"] for field in fields)
    lead = signed(gain, 4, times=1)
    return f"{estimate(score, low, high, 4, times=1)}\n({chance:.4f}, {lead}, p {p_value(p)})"


def _needed(row: dict[str, Any], songs: str) -> str | None:
    """Give titles for the claimed difference, and the power that those at hand have for it."""
    needed = row[f"{songs}_needed"]
    return None if needed is None else f"{needed:,} ({percent(row[f'{songs}_power'], 0)})"


def _half_width(row: dict[str, Any]) -> float:
    return float(row["score_high"] - row["score_low"]) / 2


def control_forest(controls: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores of one input and of its controls with their intervals, one row a control.

    `controls` has the columns control, beam_size, score, low and high (scores in [0, 1], drawn in
    percent points), the real input first. Each beam size has its colour and marker, and a line
    down from the real input, filled; controls are hollow. What reaches the line scores as well
    without the input.
    """
    ends = {"score": BLEU} | ENDS
    columns = {"control": "control", "beam_size": "beam size"} | ends
    drawn = tidy("controls", controls, columns, percent=ends)
    ax = own_axes(ax)
    names = list(dict.fromkeys(drawn["control"]))
    middle = (drawn["beam size"].nunique() - 1) / 2
    for place, (beam_size, rows) in enumerate(drawn.groupby("beam size")):
        found = rows.set_index("control").loc[names]
        score, low, high = (found[name].to_numpy() for name in ends.values())
        height = np.arange(len(names)) + 0.3 * (place - middle)
        look = mark(place)
        colour = look.pop("color")
        ax.axvline(score[0], color=colour, lw=1, linestyle=(0, (4, 2)), zorder=1)
        bars = {"ecolor": colour, "elinewidth": 1.4, "capsize": 2.5, "zorder": 2}
        ax.errorbar(score, height, xerr=reach(score, low, high), fmt="none", **bars)
        look |= {"s": 34, "edgecolor": colour, "linewidth": 1.4, "zorder": 3}
        ax.scatter(score[:1], height[:1], facecolor=colour, label=f"k = {beam_size}", **look)
        ax.scatter(score[1:], height[1:], facecolor="white", **look)
    ax.axhline(0.5, color="0.6", lw=0.8)
    name_rows(ax, names, BLEU)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    legend_below(ax, drop=0.13)
    return hand_on(ax, drawn, _reaching(controls, names))


def _reaching(controls: pd.DataFrame, names: list[str]) -> str:
    """Say how many controls score as high as the real input, and the best, by beam size."""
    parts = []
    for beam_size, rows in controls.groupby("beam_size"):
        score = 100 * rows.set_index("control")["score"]
        real, others = float(score[names[0]]), score.drop(names[0])
        text = f"at k = {beam_size} {names[0]} {amount(real)} points"
        if len(others):
            text += f", reached by {int((others >= real).sum())} of {len(others)} controls"
            text += f" (highest: {others.idxmax()}, {amount(others.max())})"
        parts.append(text)
    return "; ".join(parts)
