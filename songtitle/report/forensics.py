"""The forensics chapter: every way of scoring beside the paper's Table 4, and what chance gives."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record
from songtitle.census.random_captions import CLEANED, OTHERS, WRITTEN
from songtitle.claims import paper_table
from songtitle.evidence.forensics import AGAINST, AS_LONG, CAPTIONS_HERE, REAL_CAPTIONS, WRONG
from songtitle.experiment.corpora import COLLECTIONS
from songtitle.metrics import CHOICES, DEFINITIONS, score
from songtitle.tables import Note

KEPT = (None, 4)  # words of a caption in the table: all, and as many as a longish title has
HERE_NAMES = dict(zip(AGAINST.values(), COLLECTIONS, strict=True)) | {OTHERS: "other captions"}
REAL_NAMES = {"msd": "Million Song titles", "fma": "FMA titles", OTHERS: "other captions"}
BEST_LENGTH = "best length"


def definitions(caption: list[str], title: list[str]) -> pd.DataFrame:
    """Each definition of BLEU with its signature, and what it gives one caption for one title."""
    rows = [
        [each.name, each.signature, f"{100 * score([caption], [[title]], each).score:.1f}"]
        for each in DEFINITIONS.values()
    ]
    return pd.DataFrame(rows, columns=["Definition", "Signature", "Score of the example"])


def example_title() -> list[str]:
    """The first of the paper's sample titles, as words."""
    return str(paper_table(2).iloc[0, 0]).split()


def content_free(here: Record, real: Record | None) -> pd.DataFrame:
    """What captions score by chance, by definition: mean and half of its 95 % interval.

    The last columns are the paper's cells for the same kind of reference.
    """
    rows = []
    for source, names, found in _sources(here, real):
        for kept in KEPT:
            for against, name in names.items():
                cells = {
                    row["definition"]: f"{100 * row['mean']:.1f} ± {50 * _width(row):.1f}"
                    for row in found
                    if row["against"] == against and row["words"] == kept
                }
                lead = [source, "whole" if kept is None else f"first {kept} words", name]
                rows.append([*lead, *(cells.get(each) for each in DEFINITIONS), *_printed(against)])
    readings = [each.name for each in DEFINITIONS.values()]
    columns = ["Captions", "Kept", "Against", *readings, "Paper, k = 1", "Paper, best"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def content_free_note(here: Record, real: Record | None) -> str:
    """How the draws behind the table were made, and how much a single one spreads."""
    parts = []
    for name, record in ((CAPTIONS_HERE, here), (REAL_CAPTIONS, real)):
        if record is not None:
            rows = record.result["scores"]
            sizes = dict.fromkeys(f"{row['pairs']:,}" for row in rows)
            spread = max(100 * row["spread"] for row in rows if _is_letters(row))
            parts.append(
                f"{name}, {record.result['draws']} draws of {' or '.join(sizes)} pairs; a single "
                f"draw by letters spreads by up to {spread:.1f} (SD)"
            )
    return (
        "Percent points; ± is half of the 95 % interval of the mean over draws, which says nothing "
        f"of other corpora. Drawn: {'. '.join(parts)}. Signatures stand beside the definitions."
    )


def prefix_panels(
    here: Record, real: Record | None
) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Title, curves and the paper's cells, of a panel for words and one for letters per source.

    Curves: `against, words` (NaN: all), `mean, low, high`; cells: `against, k, value`; percent
    points.
    """
    panels = []
    for source, names, found in _sources(here, real):
        if source.endswith(CLEANED):  # much the same hill: the table has them
            continue
        cells = pd.DataFrame(
            [
                [name, place, value]
                for against, name in names.items()
                for place, value in _marks(against)
            ],
            columns=["against", "k", "value"],
        )
        for definition in ("bleu1", "letters"):
            curves = pd.DataFrame(
                [
                    [
                        names[row["against"]],
                        np.nan if row["words"] is None else row["words"],
                        *(100 * row[key] for key in ("mean", "low", "high")),
                    ]
                    for row in found
                    if row["definition"] == definition
                ],
                columns=["against", "words", "mean", "low", "high"],
            )
            panels.append((f"{DEFINITIONS[definition].name}: {source}", curves, cells))
    return panels


def distance_maps(record: Record) -> list[tuple[str, pd.DataFrame]]:
    """Title and distances (percent points) by definition, and by source and choice in columns.

    Of the lengths of captions the best one stands for all, beside the whole and "as long".
    """
    found = pd.DataFrame(record.result["distances"])
    cells = record.result["cells"]
    maps = []
    for part, said in (("all", "all {} cells"), ("songs", "the {} cells of songs")):
        columns: dict[tuple[str, str], pd.Series] = {}
        for source, rows in found.groupby("source", sort=False):
            wide = rows.pivot(index="definition", columns="choice", values=part)
            lengths = [each for each in wide if each.startswith("first") or each == "whole"]
            if lengths:
                wide[BEST_LENGTH] = wide[lengths].min(axis=1)
                chosen = [BEST_LENGTH, "whole", AS_LONG]
            else:
                chosen = list(CHOICES)
            columns |= {(source, each): 100 * wide[each] for each in chosen}
        frame = pd.DataFrame(columns).loc[list(DEFINITIONS)]
        frame.index = pd.Index([DEFINITIONS[name].name for name in frame.index])
        flat = record.result["one_number"][part]
        title = (
            f"{said.format(cells[part])}; {100 * flat['value']:.1f} in every one of them lies "
            f"{_points(flat[part])} away"
        )
        maps.append((title[0].upper() + title[1:], frame))
    return maps


def nearest(record: Record) -> pd.DataFrame:
    """The nearest way of each source, what luck gives as many, and the check on cells left out."""
    result, rows = record.result, []
    for left in result["left_out"]:
        source = left["source"]
        own = [row for row in result["distances"] if row["source"] == source]
        own = [row for row in own if row["choice"] != AS_LONG]
        best = min(own, key=lambda row: row["all"])
        rows.append(
            [
                source,
                result["tried"][source],
                _way(best),
                _points(best["all"]),
                _points(result["luck"][source]["mean"]),
                _way(left),
                _points(left["rest"]),
                _points(left["msd"]),
                f"{left['rank']} of {left['tried']}",
            ]
        )
    flat, kinds = result["one_number"]["rest"], result["one_number_a_kind"]
    said = f"{100 * flat['value']:.1f} in every cell"
    rest = [_points(flat["rest"]), _points(flat["msd"]), None]
    rows.append(["one number, no way at all", None, said, _points(flat["all"]), None, said, *rest])
    three = "the best number for each kind of input"
    rows.append(["three numbers", None, three, _points(kinds["all"]), *[None] * 5])
    columns = ["Source", "Tried", "Nearest to all cells", "Distance", "By luck"]
    left_out = ["Chosen without Million Song", "Distance there", "On Million Song", "Rank"]
    return pd.DataFrame(rows, columns=[*columns, *left_out], dtype=object)


def forensic_note(record: Record, here: Record, real: Record | None) -> Note:
    """What the numbers say, read from the records: a hypothesis, with what would decide it."""
    text = "\n\n".join([*_by_chance(here, real), *_by_fit(record.result), _what_decides()])
    return Note("A hypothesis, not a finding", text, kind="important")


def _by_chance(here: Record, real: Record | None) -> list[str]:
    """What random captions reach by words and by letters, beside the paper's cells."""
    sources = [(source, rows) for source, _, rows in _sources(here, real)]
    to_titles = [row for _, rows in sources for row in rows if row["against"] != OTHERS]
    by_words = 100 * max(row["mean"] for row in to_titles if not _is_letters(row))
    by_letters = 100 * max(row["mean"] for row in to_titles if row["definition"] == "letters")
    lowest = min(_beams(row).min() for row in AGAINST.values())
    verdict = (
        "so no cell of songs is within reach of chance by words"
        if by_words < lowest
        else "so by words some cells of songs are within reach of chance"
    )
    said = [
        f"By words, whichever definition, captions that have nothing to do with a title reach at "
        f"most {by_words:.1f} points against it, whole or cut; the lowest score that the paper "
        f"prints for songs is {lowest:.1f}, {verdict}.",
    ]
    for source, rows in sources:
        whole = {
            row["against"]: f"{100 * row['mean']:.1f}"
            for row in rows
            if row["words"] is None and row["definition"] == "letters"
        }
        if source.startswith(REAL_CAPTIONS):
            said.append(
                f"By letters, {source}, whole, score {whole['msd']} against Million Song titles, "
                f"{whole['fma']} against FMA titles and {whole[OTHERS]} against other captions."
            )
    cells = {
        which: [*(_printed(row)[place] for row in AGAINST.values()), _printed(OTHERS)[place]]
        for place, which in enumerate(("greedy search", "best beams"))
    }
    printed = "; its ".join(f"{which}: {', '.join(found)}" for which, found in cells.items())
    said.append(
        f"The paper's {printed}. The most that random captions of any length reach against titles "
        f"by letters, with the brevity penalty, is {by_letters:.1f}."
    )
    return said


def _by_fit(result: dict[str, Any]) -> list[str]:
    """How near the nearest way comes, and what comes as near without any."""
    free = [row for row in result["distances"] if row["choice"] != AS_LONG]
    ways = [row for row in free if row["source"] != WRONG]
    best = min(ways, key=lambda row: row["all"])
    flat = result["one_number"]["all"]
    relation = "nearer" if best["all"] < flat["all"] else "no nearer"
    said = [
        f"Of {result['tried']['in all']} ways tried, the nearest ({best['source']}: {_way(best)}) "
        f"lies {_points(best['all'])} points from the paper's cells in the mean: {relation} than "
        f"the number {100 * flat['value']:.1f} written into every cell ({_points(flat['all'])}), "
        f"and the best of as many blind guesses comes to "
        f"{_points(result['luck']['in all']['mean'])}. A small distance is no evidence for a way."
    ]
    wrong = [row for row in free if row["source"] == WRONG]
    units = {
        unit: min(row["songs"] for row in wrong if _is_letters(row) == (unit == "letters"))
        for unit in ("words", "letters")
    }
    songs = result["one_number"]["songs"]
    said.append(
        f"On the cells of songs alone, this run's outputs beside wrong titles come within "
        f"{_points(units['letters'])} points by letters and {_points(units['words'])} by words; "
        f"one number for all of these cells within {_points(songs['songs'])}."
    )
    return said


def _what_decides() -> str:
    return (
        "If the paper's scores count letters, their level says little about what the model heard; "
        "whether they do, no number here can tell. The author's code would, or the outputs that "
        "were scored: a thousand titles take seconds under every definition."
    )


def _sources(
    here: Record, real: Record | None
) -> list[tuple[str, dict[str, str], list[dict[str, Any]]]]:
    """Name, what captions stand against, and rows: captions here, then real ones by wording."""
    found = [(CAPTIONS_HERE, HERE_NAMES, here.result["scores"])]
    if real is not None:
        for wording in (WRITTEN, CLEANED):
            rows = [row for row in real.result["scores"] if row["wording"] == wording]
            found.append((f"{REAL_CAPTIONS}, {wording}", REAL_NAMES, rows))
    return found


def _beams(row: str) -> pd.Series:
    """A row of the paper's Table 4: percent points by beam size."""
    table = paper_table(4)
    return table.loc[row, [k for k in table if isinstance(k, int)]].astype(float)


def _all_cells(which: str) -> list[float]:
    """The greedy or the best cell of each row of pictures."""
    rows = [_beams(row) for row in paper_table(4).index if row not in AGAINST.values()]
    return [float(row[1] if which == "greedy" else row.max()) for row in rows]


def _printed(against: str) -> list[str]:
    """The paper's greedy cell and its best one for the same kind of reference."""
    if against == OTHERS:
        return [_span(_all_cells("greedy")), _span(_all_cells("best"))]
    return [f"{_beams(against)[1]:.1f}", f"{_beams(against).max():.1f}"]


def _marks(against: str) -> Iterator[tuple[str, float]]:
    if against != OTHERS:
        yield "greedy", float(_beams(against)[1])
        yield "best", float(_beams(against).max())
        return
    for which in ("greedy", "best"):
        yield from ((which, value) for value in _all_cells(which))


def _span(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def _is_letters(row: dict[str, Any]) -> bool:
    return DEFINITIONS[row["definition"]].tokens == "letters"


def _width(row: dict[str, Any]) -> float:
    return float(row["high"] - row["low"])


def _way(row: dict[str, Any]) -> str:
    return f"{DEFINITIONS[row['definition']].name}; {row['choice']}"


def _points(value: float) -> str:
    return f"{100 * value:.1f}"
