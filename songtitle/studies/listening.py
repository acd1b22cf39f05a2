"""Pages 9 and 13, the listener: whether there is anything to hear, and whether it was heard."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.cache import Record
from songtitle.figures import amount
from songtitle.fmt import write
from songtitle.studies.picked import adjusted
from songtitle.tables import LEVEL, Note, Table, tabulate

Z = "z of the own titles"
CRITICAL = 1.645  # one-sided, 5 %
SHOWN = 8  # words that are listed of each input


def who(row: Any) -> str:
    """Name whose matching a row tells of."""
    penalty = row.get("penalty")
    return row["who"] if pd.isna(penalty) else f"{row['who']}, penalty {penalty:g}"


def listening_table(record: Record) -> pd.DataFrame:
    """Tabulate how listener and captioner match the same titles to the same songs, a row each."""
    columns = {
        "Input": "input",
        "Songs (series)": "{items:,} ({series:,})",
        "Who": who,
        "z": "{z:.1f}",
        "p": "{p:p}",
        "MRR (chance)": "{mrr:.4f} ({mrr_chance:.4f}), p {mrr_p:p}",
        "R@10 (chance)": "{recall:percent} ({recall_chance:percent}), p {recall_p:p}",
    }
    return tabulate(record.result["rows"], columns)


def words_table(record: Record) -> pd.DataFrame:
    """Tabulate the words that the listener finds best in each input: AUC, p and songs; and of how
    many p is small, by itself and for all of them together."""
    rows = []
    for name, found in pd.DataFrame(record.result["found"]).groupby("input", sort=False):
        clear = int((found["p"] <= LEVEL).sum())
        best = found.head(SHOWN).to_dict("records")
        cell = ", ".join(write("{word} {auc:.2f} ({songs}, p {p:p})", row) for row in best)
        sure = sum(p <= LEVEL for p in adjusted(found["p"].tolist()))
        counts = [f"{clear} of {len(found)}", f"{LEVEL * len(found):.1f}", f"{sure}"]
        rows.append([name, cell, *counts])
    columns = ["Input", "Word, AUC (songs, p)", f"p ≤ {LEVEL:g}", "expected by chance"]
    columns.append("for all together (Holm)")
    return pd.DataFrame(rows, columns=columns, dtype=object)


def shown(record: Record, name: str) -> list[Note | Table]:
    """Give the note and both tables, anchored as `tab-name` and `tab-name-words`, and where the
    record counts kin, a third as `tab-name-kin`."""
    matched = Table(
        listening_table(record),
        name=f"tab-{name}",
        caption="How surely the own title is matched to its song: z and p of its score, and its "
        "rank among the titles of the songs that were held out together.",
        note="p: titles dealt out at random by series, one-sided.",
    )
    best = Table(
        words_table(record),
        name=f"tab-{name}-words",
        caption=f"The {SHOWN} words that the listener finds best, by AUC: how often a song whose "
        "title holds the word scores above one whose title does not (0.5 is chance).",
    )
    kin = [kin_table(record, name)] if "kin" in record.result else []
    return [listening_note(record), matched, best, *kin]


def kin_table(record: Record, name: str) -> Table:
    """Tabulate how often a song's nearest other is of its own series, by what it is heard with."""
    columns = {
        "Input": "input",
        "Nearest of the own series": "{kin:percent}",
        "By chance": "{kin_chance:percent}",
    }
    return Table(
        tabulate(record.result["kin"], columns),
        name=f"tab-{name}-kin",
        caption="How often the song that is nearest in an input (cosine of standardised features) "
        "is of the same series, an artist or a family: what an ear tells apart, titles or not.",
    )


def hearing(record: Record) -> list[dict[str, Any]]:
    """Judge each input: the listener's best `z` and `p` of the penalties `tried`, p corrected for
    their number (Holm), whether it `listens`; and of the captioner, where it was asked,
    `captioner_z`, `captioner_p` and whether it `hears`."""
    judged = []
    for name, rows in pd.DataFrame(record.result["rows"]).groupby("input", sort=False):
        own = rows[rows["who"] == "listener"]
        best, p = own.loc[own["p"].idxmin()], min(adjusted(own["p"].tolist()))
        row = {"input": name, "z": float(best["z"]), "p": p, "listens": p <= LEVEL}
        row["tried"] = len(own)
        for captioner in rows[rows["who"] == "captioner"].to_dict("records"):
            row |= {"captioner_z": captioner["z"], "captioner_p": captioner["p"]}
            row["hears"] = captioner["p"] <= LEVEL
        judged.append(row)
    return judged


OUTCOMES = {  # does the listener find something, and the captioner
    (True, True): "there is something to hear, and the captioner hears of it, too",
    (True, False): "there is something to hear, and no sign that the captioner hears it",
    (False, True): "the captioner finds what the listener does not",
    (False, False): "neither finds anything, so nothing is known of the captioner's ear",
    (True, None): "there is something to hear",
    (False, None): "the listener finds nothing, so a captioner that finds nothing is no surprise",
}


def listening_note(record: Record) -> Note:
    """Say of each input whether there is something to hear, and whether the captioner hears it."""
    lines = []
    for row in hearing(record):
        line = "- **{input}**: {outcome} (listener, best of {tried} penalties: z = {z:.1f}, p = "
        line += "{p:p} for all {tried} together, Holm"
        line += (
            "; captioner: z = {captioner_z:.1f}, p = {captioner_p:p})" if "hears" in row else ")"
        )
        outcome = OUTCOMES[row["listens"], row.get("hears")]
        lines.append(write(line + ".", row | {"outcome": outcome}))
    return Note("Is there anything to hear?", "\n".join(lines))


def listening_marks(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw z of listener and captioner side by side, a row an input and a mark each.

    `rows` has the columns input, who, penalty (none for the captioner) and z. Chance is dashed, at
    0; beyond the dotted line p is below 0.05.
    """
    figures.require(rows, ["input", "who", "penalty", "z"], "matching")
    names = [who(row) for row in rows.to_dict("records")]
    drawn = pd.DataFrame({"input": rows["input"], "who": names, Z: rows["z"]})
    ax = figures.own_axes(ax, (7.0, 2.8))
    inputs, kinds = list(dict.fromkeys(drawn["input"])), list(dict.fromkeys(names))
    ax.axvline(0, color="0.35", lw=1.2, linestyle="--", zorder=1)
    ax.axvline(CRITICAL, color="0.35", lw=1.0, linestyle=":", zorder=1)
    for place, kind in enumerate(kinds):
        found = drawn[drawn["who"] == kind]
        slot = 0.6 * ((place + 0.5) / len(kinds) - 0.5)
        height = found["input"].map(inputs.index) + slot
        ax.plot(found[Z], height, ls="none", ms=7, zorder=2, label=kind, **figures.mark(place))
    figures.name_rows(ax, inputs, f"{Z} among random pairings")
    figures.legend_below(ax, drop=0.25)
    parts = []
    for name, found in drawn.groupby("input", sort=False):
        marks = zip(found["who"], found[Z], strict=True)
        parts.append(f"{name}: " + ", ".join(f"{kind} {amount(z)}" for kind, z in marks))
    return figures.hand_on(ax, drawn, "z of " + "; ".join(parts))
