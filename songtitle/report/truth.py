"""Tables of truth: scores beside controls, over seeds, in pairs, and split by length."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.controls.pairs import holm
from songtitle.fmt import estimate, interval, p_value, percent, points, signed
from songtitle.metrics import DEFINITIONS
from songtitle.tables import Note

LEVEL = 0.05  # of a test, and with Holm's correction of all tests of a cell
NONE = "no number"


def controls(record: Record) -> pd.DataFrame:
    """Tabulate each control by input and beam size: score, interval, and the real input's lead.

    Percent points of BLEU-1. One block of rows for each input, the real input first.
    """
    found = frame(record, "rows")
    beams = sorted(set(found["beam_size"]))
    rows = []
    for name, of_input in found.groupby("input", sort=False):
        for control, cells in of_input.groupby("control", sort=False):
            by_beam = {row["beam_size"]: row for row in cells.to_dict("records")}
            rows.append([name, control, *(_control_cell(by_beam[k]) for k in beams)])
    return pd.DataFrame(rows, columns=["Input", "Control", *(f"k = {k}" for k in beams)])


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
    for (name, beam_size), cells in frame(record, "rows").groupby(
        ["input", "beam_size"], sort=False
    ):
        others = cells.iloc[1:]
        best = others.loc[others["score"].idxmax()]
        said = {"real": points(cells.iloc[0]["score"]), "count": f"{cleared(others).sum()}"}
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
            "Gain over chance [over seeds]": f"{signed(row['gain'])} {_ends(row, 'gain_')}",
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
            "Timbre less spectrogram": f"{signed(row['mean'], 2)} {_ends(row, digits=2)}",
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
            "For the difference here": row["needed"] or NONE,
            f"{claimed}, same songs": _needed(row, "paper"),
            f"{claimed}, different songs": _needed(row, "apart"),
        }
        for row in record.result["paired"]
    ]
    return pd.DataFrame(rows, dtype=object)


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
        | {said: f"{signed(row[part])}\n{_ends(row, f'{part}_')}" for said, part in parts.items()}
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
    said = steps_explained(record)
    text = (
        "Of {steps} steps {changed} change the score by more than their interval leaves to luck. "
        "Of these {length} are length alone, {words} other words alone, {both} both, and in "
        "{neither} neither part stands out by itself.".format(**said)
    )
    return Note("What the steps are made of", text)


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
    rows = []
    for (name, definition), found in frame(record, "steps").groupby(
        ["input", "definition"], sort=False
    ):
        moves = [
            "level" if _holds_nothing(row, "change") else "up" if row["change"] > 0 else "down"
            for row in found.to_dict("records")
        ]
        rows.append([name, DEFINITIONS[definition].name, ", then ".join(moves)])
    return pd.DataFrame(rows, columns=["Input", "BLEU of", "Shape"])


def frame(record: Record, name: str) -> pd.DataFrame:
    """Give one of the lists of a record's findings as a frame."""
    return pd.DataFrame(record.result[name])


def definition_note(record: Record, *keys: str) -> str:
    """Say which BLEU a record was scored by (all, or some by key), to stand under its table."""
    used = record.settings.get("bleu")
    if not used:
        return "Its record, of an earlier version, does not say by which BLEU."
    chosen = [used[key] for key in keys or used]
    return f"Signature of {'; '.join('{name}: `{signature}`'.format(**each) for each in chosen)}."


def _holds_nothing(row: Any, part: str) -> bool:
    """Tell whether the interval of a part holds 0, or the part is less than the tables print."""
    return bool(row[f"{part}_low"] <= 0 <= row[f"{part}_high"] or abs(row[part]) < 0.0005)


def _control_cell(row: dict[str, Any]) -> str:
    cell = estimate(row["score"], row["low"], row["high"])
    if pd.isna(row["difference"]):
        return cell
    return f"{cell}\n({signed(row['difference'])}, p {p_value(row['p'])})"


def _rank_cell(row: dict[str, Any], name: str) -> str:
    fields = ("score", "low", "high", "chance", "gain", "p")
    score, low, high, chance, gain, p = (row[f"{name}_{field}"] for field in fields)
    lead = signed(gain, 4, times=1)
    cell = estimate(score, low, high, 4, times=1)
    return f"{cell}\n({chance:.4f}, {lead}, p {p_value(p)})"


def _needed(row: dict[str, Any], songs: str) -> str | None:
    """Give titles for the claimed difference, and the power that those at hand have for it."""
    needed = row[f"{songs}_needed"]
    return None if needed is None else f"{needed:,} ({percent(row[f'{songs}_power'], 0)})"


def _half_width(row: dict[str, Any]) -> float:
    return float(row["score_high"] - row["score_low"]) / 2


def _ends(row: dict[str, Any], prefix: str = "", digits: int = 1) -> str:
    return interval(row[f"{prefix}low"], row[f"{prefix}high"], digits)


def short_name(name: str) -> str:
    """Give the name of an input without what a glue key cannot hold: "timbre", "pictures"."""
    return name.removeprefix("songs: ").split()[0]
