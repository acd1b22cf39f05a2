"""Page 9, controls: what scores without the input, and how surely it can be told."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle import figures
from songtitle.cache import Record
from songtitle.figures import BLEU, ENDS, amount
from songtitle.fmt import ESTIMATE, percent, points, write
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.chance import holm
from songtitle.studies.picked import smallest_p
from songtitle.tables import LEVEL, Note, Table, by_beam, definition_note, tabulate

DRAWN = "\n{draws:.0f} draws ± {error:points.2}"
FEW = 0.1  # of songs: a captioner with fewer different titles has collapsed
FIELDS = ("real", "count", "of", "best", "best_score")


def controls(record: Record) -> pd.DataFrame:
    """Tabulate each control by input and beam size: score, interval, and the real input's lead.

    Percent points of BLEU-1. One block of rows for each input, the real input first. Below what is
    drawn at random stand the number of draws and the Monte-Carlo error of its score.
    """
    lead = ESTIMATE + "\n({difference:signed}, p {p:p})"
    found = pd.DataFrame(record.result["rows"])
    found["cell"] = [
        write(ESTIMATE if pd.isna(row["difference"]) else lead, row)
        + ("" if pd.isna(row["draws"]) else write(DRAWN, row))
        for row in found.to_dict("records")
    ]
    wide = by_beam(found, ["input", "control"], "cell")
    return wide.rename(columns={"input": "Input", "control": "Control"})


def beaten(record: Record) -> list[dict[str, str]]:
    """Give for each input and beam size what prose may quote: fields of `FIELDS`, `name` and `k`.

    `real` is the score of the real input; of so many controls it clears `count`, and `best` scores
    highest.
    """
    rows = []
    cells = pd.DataFrame(record.result["rows"]).groupby(["input", "beam_size"], sort=False)
    for (name, k), found in cells:
        others = found.iloc[1:]
        best = others.loc[others["score"].idxmax()]
        row = {"name": name, "k": f"{k}", "real": points(found["score"].iloc[0])}
        row |= {"count": f"{cleared(others).sum()}", "of": f"{len(others)}"}
        rows.append(row | {"best": best["control"], "best_score": points(best["score"])})
    return rows


def controls_note(record: Record) -> Note:
    """Say which of the controls each input clears at each beam size, and the highest of them."""
    line = "- {name}, k = {k}: {real} points; clears {count} of {of} controls; the highest, "
    line += "*{best}*, has {best_score}"
    said = "\n".join(line.format(**row) for row in beaten(record))
    return Note("What the real input clears (Holm-corrected, 5 %)", said)


def cleared(controls: pd.DataFrame) -> pd.Series:
    """Tell of the controls of one cell which the real input clears: its lead over them is positive
    and their p below LEVEL, Holm-corrected over the cell."""
    found = pd.Series(holm(controls["p"].tolist(), level=LEVEL), index=controls.index)
    return found & (controls["difference"] > 0)


def picked_rank(record: Record) -> str:
    """Say of how many tests of the true title's rank one was picked by its p."""
    tests = [
        row | {"p": row[f"{score}_p"], "score": name}
        for row in record.result["rows"]
        for score, name in (("mrr", "MRR"), ("recall", f"R@{row['k']}"))
    ]
    return smallest_p(tests, "tests", "{input}, by {ranking}, {score}")


def picked_pair(record: Record) -> str:
    """Say of how many comparisons of the two readings one was picked by its p."""
    rows = [row | {"of": DEFINITIONS[row["definition"]].name} for row in record.result["paired"]]
    return smallest_p(rows, "comparisons", "{of}, k = {beam_size}")


def seeds_table(record: Record) -> pd.DataFrame:
    """Tabulate score and gain over trainings, each with the one interval over series and trainings,
    what its variance is made of, what each training scores, and what the gain is at most."""
    gain = "{gain:signed} [{gain_low:signed}, {gain_high:signed}]"
    columns = {
        "Input": "input",
        "k": "{beam_size}",
        "Mean": "{score:points} [{score_low:points}, {score_high:points}]",
        "Each training": lambda row: ", ".join(map(points, row["score_each"])),
        "Its variance: trainings, series, both": lambda row: " / ".join(
            percent(share, 0) for share in row["score_parts"].values()
        ),
        "Gain over chance": gain,
        "The gain is": lambda row: gain_verdict(row, record.settings["smallest_effect"]),
    }
    return tabulate(record.result["summary"], columns)


def collapsed(row: dict[str, Any]) -> bool:
    """Tell whether a reading says too few different titles for its spread to be one of songs."""
    return bool(row["distinct"] < FEW * row["items"])


def gain_verdict(row: dict[str, Any], smallest: float) -> str:
    """Say what a gain is at most where that is less than `smallest` points, or what is known."""
    said = {
        "no more than that": f"no more than {points(row['most'], 2)} points",
        "more than that": f"more than {smallest:g} points",
        "cannot tell": f"not told from {smallest:g} points, nor from more or less",
    }
    return said[row["matters"]]


def seeds_note(record: Record) -> Note:
    """Say where another training moves the score most, beside what other series would do, and how
    many gains are too small to matter."""
    rows, smallest = record.result["summary"], record.settings["smallest_effect"]
    most = max(rows, key=lambda row: row["score_parts"]["seeds"])
    none = [row for row in rows if row["matters"] == "no more than that"]
    text = (
        "In {wider} of {rows} rows the trainings make more of the variance than the items do. They "
        "make most of it for {input}, k = {beam_size}: {part:percent.0}, with scores from "
        "{lowest:points} to {highest:points} points. A gain below {smallest:g} (points), either "
        "way, would not matter: two one-sided tests at 5 % find that in {none} of {rows} rows"
    )
    counts = {"wider": sum(_by_trainings(row) for row in rows), "rows": len(rows)}
    counts |= {"none": len(none), "smallest": smallest, "part": most["score_parts"]["seeds"]}
    counts |= {"lowest": min(most["score_each"]), "highest": max(most["score_each"])}
    said = write(text, most | counts)
    if none:
        said += f", where the gain is no more than {points(max(r['most'] for r in none), 2)} points"
    return Note("Which luck is larger, and what is too small to matter", f"{said}.")


def _by_trainings(row: dict[str, Any]) -> bool:
    return row["score_parts"]["seeds"] > row["score_parts"]["series"]


def paired(record: Record) -> list[Table | Note]:
    """Give the tables that set one reading against the other on the same songs, and of how many
    titles that takes; where the readings are of different songs a note says so."""
    if not record.result["shared"]:
        return [
            Note(
                "No song is heard by both readings",
                "Timbre and spectrograms are of different songs here, with titles of their own, as "
                "in the paper. Nothing pairs them, so no difference between the two columns is "
                "told: it might be one of titles.",
            )
        ]
    columns = {
        "BLEU of": lambda row: DEFINITIONS[row["definition"]].name,
        "k": "{beam_size}",
        "Timbre less spectrogram": "{mean:signed.2} [{low:points.2}, {high:points.2}]",
        "p": "{p:p}",
        "Spread of songs": "{spread:points}",
    }
    differences = Table(
        tabulate(record.result["paired"], columns),
        name="tab-paired",
        caption="Timbre less spectrogram on the same songs, in percent points, with 95 % "
        "intervals.",
        note=f"{picked_pair(record)} {definition_note(record)}",
    )
    power = Table(
        titles_needed(record),
        name="tab-power",
        caption="Titles needed to tell the two readings apart in four of five trials, at 5 %; in "
        "brackets how often as many as here would do.",
        note="At the spread found here, which is no spread of songs where nearly all get the same "
        f"few titles: collapsed, fewer different ones than {FEW:.0%} of the songs, by the reading "
        "that says fewer. The claimed difference is the paper's at k = 5, Million Song less Free "
        "Music Archive, which are different songs.",
    )
    return [differences, power]


def titles_needed(record: Record) -> pd.DataFrame:
    """Tabulate how many titles it takes to tell the two readings apart, and how often as many as
    here would do: for the difference found, and for the paper's."""

    def needed(songs: str) -> Callable[[dict[str, Any]], str | None]:
        cell = "{W_needed:,} ({W_power:percent.0})".replace("W", songs)
        return lambda row: None if row[f"{songs}_needed"] is None else write(cell, row)

    claimed = f"for {100 * record.result['paired'][0]['paper_difference']:g} points"
    columns = {
        "BLEU of": lambda row: DEFINITIONS[row["definition"]].name,
        "k": "{beam_size}",
        "Spread of songs": "{spread:points}",
        "Different titles": lambda row: f"{row['distinct']:,}" + " (collapsed)" * collapsed(row),
        "For the difference here": lambda row: row["needed"] or "no number",
        f"{claimed}, same songs": needed("paper"),
        f"{claimed}, different songs": needed("apart"),
    }
    return tabulate(record.result["paired"], columns)


def control_forest(controls: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores of one input and of its controls with their intervals, one row a control.

    `controls` has the columns control, beam_size, score, low and high (in [0, 1], drawn in percent
    points), the real input first: filled, with a line down. What reaches its line scores as well
    without the input.
    """
    ends = {"score": BLEU} | ENDS
    columns = {"control": "control", "beam_size": "beam size"} | ends
    drawn = figures.tidy("controls", controls, columns, percent=ends)
    ax = figures.own_axes(ax)
    names, said = list(dict.fromkeys(drawn["control"])), []
    middle = (drawn["beam size"].nunique() - 1) / 2
    for place, (beam_size, rows) in enumerate(drawn.groupby("beam size")):
        found = rows.set_index("control").loc[names]
        score, height = found[BLEU].to_numpy(), np.arange(len(names)) + 0.3 * (place - middle)
        look = figures.mark(place)
        colour = look.pop("color")
        ax.axvline(score[0], color=colour, lw=1, linestyle=(0, (4, 2)), zorder=1)
        bars = {"ecolor": colour, "elinewidth": 1.4, "capsize": 2.5, "zorder": 2}
        ax.errorbar(score, height, xerr=figures.reach(found, BLEU), fmt="none", **bars)
        look |= {"s": 34, "edgecolor": colour, "linewidth": 1.4, "zorder": 3}
        ax.scatter(score[:1], height[:1], facecolor=colour, label=f"k = {beam_size}", **look)
        ax.scatter(score[1:], height[1:], facecolor="white", **look)
        text, others = f"at k = {beam_size} {names[0]} {amount(score[0])} points", found[BLEU][1:]
        if len(others):
            text += f", reached by {int((others >= score[0]).sum())} of {len(others)} controls"
            text += f" (highest: {others.idxmax()}, {amount(others.max())})"
        said.append(text)
    ax.axhline(0.5, color="0.6", lw=0.8)
    figures.name_rows(ax, names, BLEU)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    figures.legend_below(ax, drop=0.13)
    return figures.hand_on(ax, drawn, "; ".join(said))
