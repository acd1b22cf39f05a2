"""The switchboard as tables: what the paper leaves open, who answers how, and what it changes."""

from typing import Any

import pandas as pd

from songtitle.assumptions import ASSUMPTIONS, Assumption, Settings, taken
from songtitle.cache import Record
from songtitle.config import ExperimentConfig, setting
from songtitle.evidence.switches import BEAM_SIZE
from songtitle.evidence.switching import YARDSTICK
from songtitle.presets import PRESETS
from songtitle.report.truth import definition_note
from songtitle.tables import Markup, origin

# Pages of the book by the name of their file, as a reader of a table knows them.
PAGES = {
    "03_training": "Training",
    "04_search": "Search",
    "06_similarity": "Similarity",
    "07_paper_corpora": "The paper's corpora",
    "08_speed": "Speed",
    "../again": "Run it all again",
}
HERE = "this page"


def open_questions() -> pd.DataFrame:
    """Every question with its place in the paper, its answers, and what decides between them."""
    rows = [
        [
            each.name,
            ", ".join(each.place),
            (each.question, Markup(each.note)) if each.note else each.question,
            each.default.label,
            "; ".join(answer.label for answer in each.alternatives),
            Markup(f"[{PAGES[each.page]}]({each.page})", PAGES[each.page]) if each.page else HERE,
        ]
        for each in ASSUMPTIONS
    ]
    columns = ["Name", "Place", "Question", "Here", "Other answers", "Decided on"]
    return pd.DataFrame(rows, columns=columns)


def sides() -> pd.DataFrame:
    """Which answer each preset gives to each question that is a matter of settings."""
    shown = {name: config for name, config in PRESETS.items() if name != "tiny"}
    rows = []
    for each in ASSUMPTIONS:
        if isinstance(each.default.change, Settings):
            rows.append([each.name, *(_side(config, each) for config in shown.values())])
    return pd.DataFrame(rows, columns=["Question", *shown])


def tornado_panels(record: Record) -> list[tuple[str, pd.DataFrame, float]]:
    """Title, changes and luck of each tornado plot: readings first, then what is made otherwise.

    Each of the two has one panel an input, of the same rows in the same order: that of the largest
    bar a change has, as a share of the longest bar of its panel. Without a yardstick, luck is 0.
    """
    rows = changes_of(record)
    panels = []
    for reads in (True, False):
        block = rows[(rows["kind"] == "reading") == reads]
        block = block[block["question"] != YARDSTICK]
        if block.empty:
            continue
        wide = block.pivot(index="name", columns="input", values="score_change").abs()
        order = (wide / wide.max().where(wide.max() > 0, 1)).max(axis=1)
        order = order.sort_values(ascending=False, kind="stable").index
        for name in inputs(record):
            frame = block[block["input"] == name].set_index("name").reindex(order).reset_index()
            luck = 0.0 if reads else _luck(rows, name)
            title = f"{name}\n{'read' if reads else 'made'} otherwise"
            panels.append((title, frame, luck))
    return panels


def switch_table(record: Record) -> pd.DataFrame:
    """Each change and what it does to each input, in percent points, and what stands out."""
    rows = []
    for change in record.result["changes"]:
        by_input = {row["input"]: row for row in change["rows"]}
        cells = [_cell(by_input.get(name)) for name in inputs(record)]
        perplexity = change["valid_perplexity"]
        shown = None if perplexity is None else f"{perplexity:.2f}"
        rows.append([_name(change), shown, *cells, _verdict(change)])
    stands = {row["input"]: _standing(row) for row in record.result["default"]}
    default = [stands[name] for name in inputs(record)]
    first = ["nothing", f"{record.result['valid_perplexity']:.2f}", *default, None]
    columns = ["Change", "Perplexity", *inputs(record), "What moves further than luck"]
    return pd.DataFrame([first, *rows], columns=columns)


def changes_of(record: Record) -> pd.DataFrame:
    """One row for each change and input that it touches, as the record has them, with its name."""
    return pd.DataFrame(
        [
            {"name": _name(change), "question": change["question"], "kind": change["kind"]} | row
            for change in record.result["changes"]
            for row in change["rows"]
        ]
    )


def switched(record: Record) -> dict[str, str]:
    """What a page may say of the switchboard: how many changes, how many stand out, the largest."""
    rows = changes_of(record)
    rows = rows[rows["question"] != YARDSTICK]
    said = {
        "switches.changes": f"{rows['name'].nunique()}",
        "switches.bars": f"{len(rows)}",
        "switches.score": f"{rows['score_clear'].sum()}",
        "switches.gain": f"{rows['gain_clear'].sum()}",
    }
    for name in inputs(record):
        mine = rows[rows["input"] == name]
        side = name.removeprefix("songs: ").split()[0]
        for measure in ("score", "gain"):
            if not mine.empty:
                row = mine.loc[mine[f"{measure}_change"].abs().idxmax()]
                said[f"switches.{side}.{measure}.name"] = row["name"]
                said[f"switches.{side}.{measure}"] = f"{100 * row[f'{measure}_change']:+.1f}"
                said[f"switches.{side}.{measure}.range"] = _range(row, measure)
    return said


def switch_summary(record: Record) -> str:
    """What the switchboard found, in a few sentences that its numbers make."""
    rows = changes_of(record)
    rows = rows[rows["question"] != YARDSTICK]
    parts = [f"{rows['name'].nunique()} switches, {len(rows)} bars."]
    for measure, meaning in (("score", "the score"), ("gain", "the gain over chance")):
        clear = rows[rows[f"{measure}_clear"]]
        if clear.empty:
            parts.append(f"None moves {meaning} further than luck would.")
            continue
        made = clear[clear["kind"] != "reading"]
        first = clear.loc[clear[f"{measure}_change"].abs().idxmax()]
        parts.append(
            f"{len(clear)} bars move {meaning} further than luck would, {len(clear) - len(made)} "
            f"of them by reading the same answers otherwise. The largest is “{first['name']}” on "
            f"{first['input']}: {_moved(first, measure)}."
        )
    return " ".join(parts)


def switch_note(record: Record) -> str:
    """What the numbers of the table mean, in lines to stand below it."""
    rows = changes_of(record)
    counts = {row["input"]: row["items"] for row in record.result["default"]}
    sizes = ", ".join(f"{name}: {counts[name]:,}" for name in inputs(record))
    again = rows.loc[rows["kind"] == "spectrogram", "items"]
    heard = f" ({again.min():,} songs where spectrograms change)" if len(again) else ""
    return (
        "Percent points; in brackets 95 % intervals over items. The first line of a cell is what "
        "stands after the change; the gain is the score less chance, the mean over all wrong "
        f"pairings. Items: {sizes}{heard}. Beam size {BEAM_SIZE}. Stands out: the p value of the "
        f"paired difference holds among all {len(rows)} bars (Holm), and after another training "
        "the change goes further than any other order of the batches moved it. Perplexity is "
        "that of validation captions, and does not compare across vocabularies. "
        f"{definition_note(record)} {origin(record)}"
    )


def inputs(record: Record) -> list[str]:
    """The inputs of a switchboard, songs before pictures."""
    found = [row["input"] for row in record.result["default"]]
    return [*(name for name in found if name.startswith("songs")), found[0]]


def _name(change: dict[str, Any]) -> str:
    return f"{change['question'].replace('_', ' ')}: {change['before']} → {change['label']}"


def _luck(rows: pd.DataFrame, name: str) -> float:
    """How far another order of the batches moves the score of an input."""
    sizes = rows.loc[(rows["question"] == YARDSTICK) & (rows["input"] == name), "score_change"]
    return 0.0 if sizes.empty else float(sizes.abs().max())


def _standing(row: dict[str, Any]) -> str:
    low, high = 100 * row["gain_low"], 100 * row["gain_high"]
    score, chance, gain = (100 * row[name] for name in ("score", "chance", "gain"))
    return f"{score:.1f} (chance {chance:.1f})\ngain {gain:.1f} [{low:.1f}, {high:.1f}]"


def _cell(row: dict[str, Any] | None) -> str | None:
    if row is None:
        return None
    return f"{_standing(row)}\nscore {_moved(row, 'score')}\ngain {_moved(row, 'gain')}"


def _moved(row: Any, measure: str) -> str:
    return f"{100 * row[f'{measure}_change']:+.1f} {_range(row, measure)}"


def _range(row: Any, measure: str) -> str:
    low, high = (100 * row[f"{measure}_change_{end}"] for end in ("low", "high"))
    return f"[{low:+.1f}, {high:+.1f}]"


def _verdict(change: dict[str, Any]) -> str:
    """What a change clearly moves, in words."""
    if all(row["score_change"] == 0 == row["gain_change"] for row in change["rows"]):
        return "nothing moves"
    if change["question"] == YARDSTICK:
        return "the yardstick"
    found = []
    for measure in ("score", "gain"):
        moved = [
            row["input"].removeprefix("songs: ").split()[0]
            for row in change["rows"]
            if row[f"{measure}_clear"]
        ]
        found += [f"{measure} of {', '.join(moved)}"] if moved else []
    return "; ".join(found) or "nothing stands out"


def _side(config: ExperimentConfig, question: Assumption) -> str:
    """The answer that a preset gives, or its own values where they are none of the answers."""
    answer = taken(config, question)
    if answer:
        return answer.label
    change = question.default.change
    assert isinstance(change, Settings)
    return ", ".join(str(setting(config, name)) for name in change.fields)
