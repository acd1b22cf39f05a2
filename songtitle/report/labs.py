"""Labs as tables and sentences: what five mistakes do to the score, beside chance."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.evidence.labs import BATCH, BEAM_SIZE
from songtitle.report.truth import definition_note
from songtitle.tables import Note

NAMES = {
    "letters": "strings for tokens",
    "batch_norm": "batch-norm in training",
    "length": "no length norm",
    "join": "wrong join",
    "timbre": "raw timbre",
}


def lab_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row a lab and input: `name, lab, input`, both sides and changes, as records have them."""
    rows = []
    for record in records:
        lab = record.settings["lab"]
        for row in record.result["rows"]:
            sides = {
                f"{side}_{what}": value
                for side in ("before", "after")
                for what, value in row[side].items()
            }
            rest = {key: value for key, value in row.items() if key not in ("before", "after")}
            name = f"{NAMES[lab]}, {short(row['input'])}"
            rows.append({"name": name, "lab": lab} | rest | sides)
    return pd.DataFrame(rows)


def short(name: str) -> str:
    """An input as a figure has room for it."""
    return name.removeprefix("songs: ") if name.startswith("songs") else "pictures"


def lab_table(records: Sequence[Record]) -> pd.DataFrame:
    """Score and chance before and after each lab, in percent points, and what moved."""
    seconds = {record.settings["lab"]: record.timing["seconds"] for record in records}
    rows = [
        [
            NAMES[row["lab"]],
            row["input"],
            _stands(row, "before"),
            _stands(row, "after"),
            _moved(row, "score"),
            _moved(row, "gain"),
            f"{100 * row['changed']:.0f} %",
            f"{seconds[row['lab']]:.1f}",
        ]
        for row in lab_frame(records).to_dict("records")
    ]
    columns = ["Lab", "Input", "Before", "After", "Score moves", "Gain moves", "Other answers"]
    return pd.DataFrame(rows, columns=[*columns, "Seconds"])


def lab_table_note(record: Record) -> str:
    """What the numbers of the table mean."""
    return (
        "BLEU-1 in percent points, in brackets chance, the mean over all wrong pairs; changes with "
        "their 95 % intervals over items. The gain is the score less chance. Other answers: items "
        f"whose best answer is not what it was. Beam size {BEAM_SIZE}, batches of at most {BATCH}. "
        "Seconds: the lab's own on this machine, training and features at hand. For all but the "
        f"first lab: {definition_note(record)}"
    )


def lab_note(records: Sequence[Record]) -> Note:
    """What the labs did to score and gain, counted from the records: does a mistake pay?"""
    rows = lab_frame(records).to_dict("records")
    parts = [f"Mistakes made: {len(records)}, on {len(rows)} inputs in all."]
    for measure, meaning in (("score", "The score"), ("gain", "The gain over chance")):
        counts = {way: [row for row in rows if _way(row, measure) == way] for way in _WAYS}
        said = ", ".join(f"{way} in {len(found)}" for way, found in counts.items())
        parts.append(f"{meaning} {said}.")
    risen = [row for row in rows if _way(row, "score") == "rises"]
    free = [row for row in risen if _way(row, "gain") != "rises"]
    if risen:
        most = max(risen, key=lambda row: row["score_change"])
        parts.append(
            f"The largest rise is that of “{NAMES[most['lab']]}” on {most['input']}: "
            f"{_moved(most, 'score')} points, with chance moving by "
            f"{100 * (most['after_chance'] - most['before_chance']):+.1f}."
        )
        parts.append(
            f"Of {len(risen)} rises {len(free)} came without any in the gain: nothing was heard or "
            "seen better for them."
        )
    unmoved = sorted({NAMES[row["lab"]] for row in rows} - {NAMES[row["lab"]] for row in risen})
    if unmoved:
        parts.append(
            f"On these data no score rises by: {', '.join(unmoved)}. Folklore has it otherwise; a "
            "mistake need not flatter to be one."
        )
    return Note("Does it pay to be wrong?", " ".join(parts))


_WAYS = ("rises", "falls", "stays within its interval")


def _way(row: dict[str, Any], measure: str) -> str:
    """Which way a measure goes, by the interval of its change."""
    if row[f"{measure}_change_low"] > 0:
        return _WAYS[0]
    return _WAYS[1] if row[f"{measure}_change_high"] < 0 else _WAYS[2]


def lab_sentence(record: Record) -> str:
    """One lab in a sentence for each input: from where to where, and chance along with it."""
    said = []
    for row in record.result["rows"]:
        before, after = row["before"], row["after"]
        said.append(
            f"{row['input'][0].upper()}{row['input'][1:]}: the score {_way(row, 'score')}, from "
            f"{100 * before['score']:.1f} to {100 * after['score']:.1f}; chance goes from "
            f"{100 * before['chance']:.1f} to {100 * after['chance']:.1f}, and the gain over it "
            f"{_way(row, 'gain')}."
        )
    return " ".join(said)


def lab_facts(records: Sequence[Record]) -> dict[str, Any]:
    """What prose may quote: changes by lab and input, in percent points; the slowest lab's time."""
    moved = {
        f"labs.{row['lab']}.{short(row['input'])}.{measure}": 100 * row[f"{measure}_change"]
        for row in lab_frame(records).to_dict("records")
        for measure in ("score", "gain")
    }
    return moved | {"labs.seconds": max((r.timing["seconds"] for r in records), default=0.0)}


def _stands(row: dict[str, Any], side: str) -> str:
    return f"{100 * row[f'{side}_score']:.1f} ({100 * row[f'{side}_chance']:.1f})"


def _moved(row: dict[str, Any], measure: str) -> str:
    change, low, high = (100 * row[f"{measure}_change{end}"] for end in ("", "_low", "_high"))
    return f"{change:+.1f} [{low:+.1f}, {high:+.1f}]"


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


def lab_reasons(records: Sequence[Record]) -> str:
    """What each lab did, in sentences made of its numbers, and why: Markdown."""
    parts = []
    for record in records:
        lab = record.settings["lab"]
        parts.append(f"**{NAMES[lab].capitalize()}.** {lab_sentence(record)}\n\n*Why:* {WHY[lab]}")
    return "\n\n".join(parts) or "No switch is thrown."
