"""Page 17, the labs: a score before and after a mistake."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.cache import Record
from songtitle.experiment.naming import AT_ONCE, BEAM_SIZE
from songtitle.figures import BLEU, COLOURS, GREY, SCORED
from songtitle.fmt import points, write
from songtitle.tables import Note, definition_note, short_name, tabulate

NAMES = {
    "letters": "strings for tokens",
    "batch_norm": "batch-norm in training",
    "length": "no length norm",
    "join": "wrong join",
    "timbre": "raw timbre",
}
# How each mistake acts, whatever it does to the score of one run.
WHY = {
    "letters": "Two phrases share few words but nearly always some letters, related or not. So the "
    "score of everything rises, and with it that of wrong titles: another unit, the same answers.",
    "batch_norm": "In training mode each song is centred and scaled by the songs that happen to be "
    "in its batch. Songs as a whole, which lie far from pictures, are moved to where pictures lie, "
    "and the decoder answers with other words. But it is the batch that was moved, not the song "
    "that was heard; in other company the same song gets another answer.",
    "length": "A sum falls with every further word, so short hypotheses win. That pays where "
    "answers were longer than the titles, and costs where the brevity penalty sets in; what the "
    "words are does not come into it.",
    "join": "Each song is judged by the title of another. That costs as much as there was to lose, "
    "which is the gain over chance: without any, nobody would notice the wrong join.",
    "timbre": "Raw numbers are many times larger than anything the decoder has met, and a few of "
    "them drown the rest. Its state is pushed to its limits, and it says other words, often the "
    "same for many songs. If these are frequent in titles, the score rises for every song alike.",
}
MOVED = "{N_change:plus} [{N_change_low:plus}, {N_change_high:plus}]"  # N: score or gain
_SIDES = (("before", COLOURS[0], "o", -0.14), ("after", COLOURS[1], "s", 0.14))


def lab_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Give one row a lab and input: `name, lab, input`, both sides and changes, in [0, 1]."""
    frames = [pd.DataFrame()]
    for record in records:
        lab, frame = record.settings["lab"], pd.json_normalize(record.result["rows"], sep="_")
        names = [f"{NAMES[lab]}, {short_name(name)}" for name in frame["input"]]
        frames.append(frame.assign(name=names, lab=lab, seconds=record.timing["seconds"]))
    return pd.concat(frames, ignore_index=True)


def lab_table(records: Sequence[Record]) -> pd.DataFrame:
    """Tabulate score and chance before and after each lab, in percent points, and what moved."""
    columns = {
        "Lab": lambda row: NAMES[row["lab"]],
        "Input": "input",
        "Before": "{before_score:points} ({before_chance:points})",
        "After": "{after_score:points} ({after_chance:points})",
        "Score moves": MOVED.replace("N", "score"),
        "Gain moves": MOVED.replace("N", "gain"),
        "Other answers": "{changed:percent.0}",
        "Seconds": "{seconds:.1f}",
    }
    return tabulate(lab_frame(records).to_dict("records"), columns)


def lab_table_note(record: Record) -> str:
    """Say what the numbers of the table mean, to stand below it."""
    return (
        "BLEU-1 in percent points, in brackets chance, the mean over all wrong pairs; changes with "
        "their 95 % intervals over items. The gain is the score less chance. Other answers: items "
        f"whose best answer is not what it was. Beam size {BEAM_SIZE}, batches of at most "
        f"{AT_ONCE}. Seconds: the lab's own on this machine, training and features at hand. For "
        f"all but the first lab: {definition_note(record)}"
    )


def lab_note(records: Sequence[Record]) -> Note:
    """Count from the records what the labs did to score and gain: does a mistake pay?"""
    rows = lab_frame(records).to_dict("records")
    ways = ("rises", "falls", "stays within its interval")
    parts = [f"Mistakes made: {len(records)}, on {len(rows)} inputs in all."]
    for measure, meaning in (("score", "The score"), ("gain", "The gain over chance")):
        found = [_way(row, measure) for row in rows]
        parts.append(f"{meaning} {', '.join(f'{way} in {found.count(way)}' for way in ways)}.")
    risen = [row for row in rows if _way(row, "score") == "rises"]
    if risen:
        free = sum(_way(row, "gain") != "rises" for row in risen)
        most = max(risen, key=lambda row: row["score_change"])
        parts.append(
            f"The largest rise is that of “{NAMES[most['lab']]}” on {most['input']}: "
            f"{write(MOVED.replace('N', 'score'), most)} points, with chance moving by "
            f"{points(most['after_chance'] - most['before_chance'], sign='+')}. Of {len(risen)} "
            f"rises {free} came without any in the gain: nothing was heard or seen better for them."
        )
    unmoved = sorted({NAMES[row["lab"]] for row in rows} - {NAMES[row["lab"]] for row in risen})
    if unmoved:
        parts.append(
            f"On these data no score rises by: {', '.join(unmoved)}. Folklore has it otherwise; a "
            "mistake need not flatter to be one."
        )
    return Note("Does it pay to be wrong?", " ".join(parts))


def _way(row: dict[str, Any], measure: str) -> str:
    """Say which way a measure goes, by the interval of its change."""
    if row[f"{measure}_change_low"] > 0:
        return "rises"
    return "falls" if row[f"{measure}_change_high"] < 0 else "stays within its interval"


def lab_sentence(record: Record) -> str:
    """Say in a sentence for each input which way one lab moves its score, chance and gain."""
    text = (
        "{name}: the score {score_way}, from {before_score:points} to {after_score:points}; chance "
        "goes from {before_chance:points} to {after_chance:points}, and the gain over it "
        "{gain_way}."
    )
    said = []
    for row in lab_frame([record]).to_dict("records"):
        ways = {f"{measure}_way": _way(row, measure) for measure in ("score", "gain")}
        name = f"{row['input'][0].upper()}{row['input'][1:]}"
        said.append(write(text, row | ways | {"name": name}))
    return " ".join(said)


def lab_facts(records: Sequence[Record]) -> dict[str, Any]:
    """Give changes by lab and input in percent points, and the seconds of the slowest lab."""
    moves = {
        f"labs.{row['lab']}.{short_name(row['input'])}.{measure}": 100 * row[f"{measure}_change"]
        for row in lab_frame(records).to_dict("records")
        for measure in ("score", "gain")
    }
    return moves | {"labs.seconds": max((r.timing["seconds"] for r in records), default=0.0)}


def lab_reasons(records: Sequence[Record]) -> str:
    """Say as Markdown what each lab did, in sentences made of its numbers, and why."""
    parts = []
    for record in records:
        lab = record.settings["lab"]
        parts.append(f"**{NAMES[lab].capitalize()}.** {lab_sentence(record)}\n\n*Why:* {WHY[lab]}")
    return "\n\n".join(parts) or "No switch is thrown."


def before_and_after(labs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores before and after each lab, one row a lab and input, chance hollow beside them.

    `labs` has the columns name, and of both sides the score, its interval and chance
    (`before_score, before_low, before_high, before_chance`, and so on; in [0, 1], drawn in percent
    points). A line joins the two scores of a row: what moved. Where the hollow marks move as far,
    unrelated titles have moved along.
    """
    sides = []
    for side, *_ in _SIDES:
        shares = {f"{side}_{what}": label for what, label in SCORED.items()}
        drawn = figures.tidy("labs", labs, {"name": "lab"} | shares, percent=shares)
        drawn.insert(1, "side", side)
        sides.append(drawn)
    ax = figures.own_axes(ax, (6.2, 0.5 * len(labs) + 0.5))
    height = np.arange(len(labs))
    scores = [drawn[BLEU] for drawn in sides]
    ax.hlines(height, np.minimum(*scores), np.maximum(*scores), color=GREY, lw=1.2, zorder=1)
    for (side, colour, marker, shift), drawn in zip(_SIDES, sides, strict=True):
        bars = {"fmt": marker, "color": colour, "markersize": 6, "elinewidth": 1.2, "label": side}
        ax.errorbar(drawn[BLEU], height + shift, xerr=figures.reach(drawn, BLEU), **bars)
        # Larger: around the full mark where the two are one.
        around = {"markersize": 11, "markerfacecolor": "none", "color": colour}
        chance = drawn[SCORED["chance"]]
        ax.plot(chance, height + shift, marker, label=f"chance {side}", **around)
    figures.name_rows(ax, list(labs["name"]), "BLEU-1 (percent points, logarithmic beyond 1)")
    ax.set_xscale("symlog", linthresh=1)  # songs score about 1, pictures tens
    ticks = (0, 0.5, 1, 2, 5, 10, 20, 50)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xlim(-0.15, max(60.0, ax.get_xlim()[1]))
    figures.legend_below(ax, drop=0.13, ncols=4)
    rise = labs["after_score"] - labs["before_score"]
    said = (
        "The largest rise is at {name}, from {before_score:points} to {after_score:points} percent "
        "points, chance from {before_chance:points} to {after_chance:points}."
    )
    said = write(said, labs.loc[rise.idxmax()])
    risen = f"In {int((rise > 0).sum())} of {len(labs)} rows the score after is above that before."
    return figures.hand_on(ax, pd.concat(sides).sort_index(kind="stable"), f"{risen} {said}")
