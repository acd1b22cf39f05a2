"""Tables of truth: scores beside controls, over seeds, in pairs, and split by length."""

from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.controls.pairs import holm
from songtitle.metrics import DEFINITIONS
from songtitle.tables import Note

NONE = "no number"


def controls(record: Record) -> pd.DataFrame:
    """Every control under each input and beam size: score with interval, and the real one's lead.

    Percent points of BLEU-1. One block of rows for each input, the real input first.
    """
    found = frame(record, "rows")
    beams = sorted(set(found["beam_size"]))
    rows = []
    for name, of_input in found.groupby("input", sort=False):
        for control, cells in of_input.groupby("control", sort=False):
            by_beam = {row["beam_size"]: row for _, row in cells.iterrows()}
            rows.append([name, control, *(_control_cell(by_beam[k]) for k in beams)])
    return pd.DataFrame(rows, columns=["Input", "Control", *(f"k = {k}" for k in beams)])


def beaten(record: Record, *, level: float = 0.05) -> dict[str, str]:
    """What prose may quote of the controls: `INPUT.BEAM.count` of those that the real input clears,
    and `INPUT.BEAM.best`, the control that scores highest, with `INPUT.BEAM.best_score`.

    A control is cleared where the lead over it is positive and its p below `level`, Holm-corrected
    over the controls of that cell.
    """
    said: dict[str, str] = {}
    for (name, beam_size), cells in frame(record, "rows").groupby(
        ["input", "beam_size"], sort=False
    ):
        others = cells.iloc[1:]
        best = others.loc[others["score"].idxmax()]
        key = f"{_short(str(name))}.{beam_size}"
        said[f"{key}.real"] = points(cells.iloc[0]["score"])
        said[f"{key}.count"] = str(int(cleared(others, level=level).sum()))
        said[f"{key}.of"] = str(len(others))
        said[f"{key}.best"] = best["control"]
        said[f"{key}.best_score"] = points(best["score"])
    return said


def cleared(controls: pd.DataFrame, *, level: float = 0.05) -> pd.Series:
    """Which controls the real input clears, of the rows of one cell."""
    found = pd.Series(holm(controls["p"].tolist(), level=level), index=controls.index)
    return found & (controls["difference"] > 0)


def retrieval(record: Record) -> pd.DataFrame:
    """Where the true title ranks, by input and ranking: MRR and recall beside chance, with p."""
    rows = []
    for row in record.result["rows"]:
        rows.append(
            [
                row["input"],
                row["ranking"],
                f"{row['items']:,} ({row['distinct']:,})",
                *(_rank_cell(row, name) for name in ("mrr", "recall")),
            ]
        )
    k = record.result["rows"][0]["k"]
    columns = ["Input", "Ranked by", "Titles (distinct)", "MRR", f"R@{k}"]
    return pd.DataFrame(rows, columns=columns)


def replicates(record: Record) -> pd.DataFrame:
    """Scores over seeds: mean, spread, both intervals, and the gain over chance."""
    rows = [
        [
            row["input"],
            f"{row['beam_size']}",
            row["seeds"],
            points(row["score"]),
            points(row["score_spread"]),
            f"± {points((row['score_high'] - row['score_low']) / 2)}",
            f"± {points(row['within'])}",
            f"{_signed(row['gain'])} {_interval(row, 'gain_')}",
        ]
        for row in record.result["summary"]
    ]
    columns = ["Input", "k", "Seeds", "Mean", "Spread over seeds", "Interval over seeds"]
    columns += ["Interval over items", "Gain over chance [over seeds]"]
    return pd.DataFrame(rows, columns=columns)


def paired(record: Record) -> pd.DataFrame:
    """Timbre minus spectrogram on the same songs, by definition and beam size."""
    rows = [
        [
            DEFINITIONS[row["definition"]].name,
            f"{row['beam_size']}",
            f"{_signed(row['mean'], 2)} {_interval(row, digits=2)}",
            f"{row['p']:.3f}",
            points(row["spread"]),
        ]
        for row in record.result["paired"]
    ]
    columns = ["BLEU of", "k", "Timbre less spectrogram", "p", "Spread of songs"]
    return pd.DataFrame(rows, columns=columns)


def power(record: Record) -> pd.DataFrame:
    """How many titles it takes to tell timbre from spectrogram, and what those at hand can do."""
    gap = record.result["paired"][0]["paper_difference"]
    rows = [
        [
            DEFINITIONS[row["definition"]].name,
            f"{row['beam_size']}",
            row["needed"] or NONE,
            *(_needed(row, songs) for songs in ("paper", "apart")),
        ]
        for row in record.result["paired"]
    ]
    claimed = f"for {100 * gap:g} points"
    columns = ["BLEU of", "k", "For the difference here"]
    columns += [f"{claimed}, same songs", f"{claimed}, different songs"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def length_split(record: Record) -> pd.DataFrame:
    """Every beam effect in two parts, by length and by other words, beside the change of chance."""
    rows = [
        [
            row["input"],
            DEFINITIONS[row["definition"]].name,
            f"{row['first']} → {row['second']}",
            f"{row['first_words']:.2f} → {row['second_words']:.2f}",
            f"{points(row['first_score'])} → {points(row['second_score'])}",
            *(
                f"{_signed(row[part])}\n{_interval(row, f'{part}_')}"
                for part in ("change", "length", "content")
            ),
            _signed(row["change_chance"]),
            explanation(row),
        ]
        for row in record.result["steps"]
    ]
    columns = ["Input", "BLEU of", "k", "Words", "Score", "Change", "by length", "by words"]
    return pd.DataFrame(rows, columns=[*columns, "Change of chance", "What it is"])


def explanation(row: dict[str, Any]) -> str:
    """What a change is made of, as far as its intervals say: those that leave out 0."""
    parts = {"length": "length", "content": "words"}
    if _holds_nothing(row, "change"):
        return "no change"
    same = [
        name
        for part, name in parts.items()
        if not _holds_nothing(row, part) and row[part] * row["change"] > 0
    ]
    return " and ".join(same) or "neither alone"


def controls_note(record: Record) -> Note:
    """Which of the controls each input clears at each beam size, and the highest of them."""
    said = beaten(record)
    lines = []
    for name, beam_size in dict.fromkeys(
        (row["input"], row["beam_size"]) for row in record.result["rows"]
    ):
        cell = {
            key: said[f"{_short(name)}.{beam_size}.{key}"]
            for key in ("real", "count", "of", "best", "best_score")
        }
        lines.append(
            "- {name}, k = {k}: {real} points; clears {count} of {of} controls; the highest, "
            "*{best}*, has {best_score}".format(name=name, k=beam_size, **cell)
        )
    return Note("What the real input clears (Holm-corrected, 5 %)", "\n".join(lines))


def seeds_note(record: Record) -> Note:
    """How much wider the interval over seeds is than that over items, and where it is most."""
    cells = [
        (
            (row["score_high"] - row["score_low"]) / 2,
            row["within"],
            f"{row['input']}, k = {row['beam_size']}",
        )
        for row in record.result["summary"]
    ]
    seeds, items, name = max(cells, key=lambda cell: cell[0] - cell[1])
    wider = sum(over_seeds > over_items for over_seeds, over_items, _ in cells)
    text = (
        f"The interval over seeds is the wider one in {wider} of {len(cells)} rows. They differ "
        f"most for {name}: ± {points(seeds)} points over seeds, ± {points(items)} over items."
    )
    return Note("Which luck is larger", text)


def length_note(record: Record) -> Note:
    """How many beam effects there are, and how many of them length explains."""
    said = steps_explained(record)
    text = (
        "Of {steps} steps {changed} change the score by more than their interval leaves to luck. "
        "Of these {length} are length alone, {words} other words alone, {both} both, and in "
        "{neither} neither part stands out by itself.".format(**said)
    )
    return Note("What the steps are made of", text)


def steps_explained(record: Record) -> dict[str, str]:
    """What prose may quote: `changed`, the steps whose change leaves out 0, and of these, `length`,
    `words`, `both` and `neither`, by what explains them."""
    said = [explanation(row) for row in record.result["steps"]]
    changed = [each for each in said if each != "no change"]
    counts = {
        "length": changed.count("length"),
        "words": changed.count("words"),
        "both": changed.count("length and words"),
        "neither": changed.count("neither alone"),
    }
    return {name: str(count) for name, count in counts.items()} | {
        "steps": str(len(said)),
        "changed": str(len(changed)),
    }


def shapes(record: Record) -> pd.DataFrame:
    """Whether scores rise from k = 1 to 5 and fall after, as the paper's do, by input."""
    steps = frame(record, "steps")
    rows = []
    for (name, definition), found in steps.groupby(["input", "definition"], sort=False):
        moves = [
            "level" if _holds_nothing(row, "change") else "up" if row["change"] > 0 else "down"
            for row in found.to_dict("records")
        ]
        rows.append([name, DEFINITIONS[str(definition)].name, ", then ".join(moves)])
    return pd.DataFrame(rows, columns=["Input", "BLEU of", "Shape"])


def frame(record: Record, name: str) -> pd.DataFrame:
    """One of the lists of a record's findings, for tables and figures."""
    return pd.DataFrame(record.result[name])


def definition_note(record: Record, *keys: str) -> str:
    """Which BLEU a record was scored by (all, or some by key), to stand under a table of scores."""
    used = record.settings.get("bleu")
    if not used:
        return "Its record, of an earlier version, does not say by which BLEU."
    chosen = [used[key] for key in keys or used]
    return f"Signature of {'; '.join('{name}: `{signature}`'.format(**each) for each in chosen)}."


def _holds_nothing(row: Any, part: str) -> bool:
    """Whether the interval of a part holds 0, or the part is less than the tables print."""
    return bool(row[f"{part}_low"] <= 0 <= row[f"{part}_high"] or abs(row[part]) < 0.0005)


def _control_cell(row: pd.Series) -> str:
    cell = f"{points(row['score'])} {_interval(row)}"
    if pd.isna(row["difference"]):
        return cell
    return f"{cell}\n({_signed(row['difference'])}, p {row['p']:.3f})"


def _rank_cell(row: dict[str, Any], name: str) -> str:
    score, low, high, chance = (
        row[f"{name}_{each}"] for each in ("score", "low", "high", "chance")
    )
    return (
        f"{score:.4f} [{low:.4f}, {high:.4f}]\n({chance:.4f}, {_plus(row[f'{name}_gain'], 4)}, "
        f"p {row[f'{name}_p']:.3f})"
    )


def points(value: float, digits: int = 1) -> str:
    """A score in [0, 1] as percent points; never minus 0."""
    return f"{100 * value + 0.0:.{digits}f}"


def _signed(value: float, digits: int = 1) -> str:
    return _plus(100 * value, digits)


def _needed(row: dict[str, Any], songs: str) -> str | None:
    """Titles for the claimed difference, and the power that those at hand have for it."""
    if row[f"{songs}_needed"] is None:
        return None
    return f"{row[f'{songs}_needed']:,} ({100 * row[f'{songs}_power']:.0f} %)"


def _plus(value: float, digits: int) -> str:
    """A number with its sign, unless it rounds to nothing."""
    return f"{value:+.{digits}f}" if round(value, digits) else f"{0:.{digits}f}"


def _interval(row: Any, prefix: str = "", digits: int = 1) -> str:
    low, high = (100 * row[f"{prefix}{end}"] for end in ("low", "high"))
    return f"[{_plain(low, digits)}, {_plain(high, digits)}]"


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if round(value, digits) else f"{0:.{digits}f}"


def _short(name: str) -> str:
    """The name of an input without what a glue key cannot hold."""
    return "pictures" if name.startswith("pictures") else name.split()[-1]
