"""Page 11, forensics: which definition of BLEU would give what the paper printed."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from songtitle.cache import Record
from songtitle.experiment.corpora import COLLECTIONS
from songtitle.experiment.forensics import AGAINST, AS_LONG, CAPTIONS_HERE, REAL_CAPTIONS, WRONG
from songtitle.experiment.random_captions import CLEANED, OTHERS, WRITTEN
from songtitle.figures.findings import amount, hand_on, some
from songtitle.figures.style import (
    DASHES,
    ENDS,
    GREY,
    ON_A_PICTURE,
    mark,
    own_axes,
    reach,
    require,
    tidy,
)
from songtitle.fmt import points, span
from songtitle.metrics.bleu import DEFINITIONS, score
from songtitle.metrics.pairs import CHOICES
from songtitle.paper.printed import paper_table
from songtitle.tables import Note

KEPT = (None, 4)  # words of a caption in the table: all, and as many as a longish title has
HERE_NAMES = dict(zip(AGAINST.values(), COLLECTIONS, strict=True)) | {OTHERS: "other captions"}
REAL_NAMES = {"msd": "Million Song titles", "fma": "FMA titles", OTHERS: "other captions"}
BEST_LENGTH = "best length"


def definitions(caption: list[str], title: list[str]) -> pd.DataFrame:
    """Tabulate definitions of BLEU with signatures, and what each gives a caption for a title."""
    rows = [
        [each.name, each.signature, points(score([caption], [[title]], each).score)]
        for each in DEFINITIONS.values()
    ]
    return pd.DataFrame(rows, columns=["Definition", "Signature", "Score of the example"])


def example_title() -> list[str]:
    """Give the first of the paper's sample titles, as words."""
    return str(paper_table(2).iloc[0, 0]).split()


def content_free(here: Record, real: Record | None) -> pd.DataFrame:
    """Tabulate what captions score by chance, by definition: mean and half of its 95 % interval.

    The last columns are the paper's cells for the same kind of reference.
    """
    rows = []
    for source, names, found in _sources(here, real):
        cells = {
            (row["against"], row["words"], row["definition"]): f"{points(row['mean'])} ± "
            f"{points((row['high'] - row['low']) / 2)}"
            for row in found
        }
        for kept in KEPT:
            said = "whole" if kept is None else f"first {kept} words"
            for against, name in names.items():
                ours = [cells.get((against, kept, key)) for key in DEFINITIONS]
                rows.append([source, said, name, *ours, *_printed(against)])
    readings = [each.name for each in DEFINITIONS.values()]
    columns = ["Captions", "Kept", "Against", *readings, "Paper, k = 1", "Paper, best"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def content_free_note(here: Record, real: Record | None) -> str:
    """Say how the draws behind the table were made, and how much a single one spreads."""
    parts = []
    for name, record in ((CAPTIONS_HERE, here), (REAL_CAPTIONS, real)):
        if record is not None:
            rows = record.result["scores"]
            sizes = " or ".join(dict.fromkeys(f"{row['pairs']:,}" for row in rows))
            spread = points(max(row["spread"] for row in rows if _is_letters(row)))
            parts.append(
                f"{name}, {record.result['draws']} draws of {sizes} pairs; a single draw by "
                f"letters spreads by up to {spread} (SD)"
            )
    return (
        "Percent points; ± is half of the 95 % interval of the mean over draws, which says nothing "
        f"of other corpora. Drawn: {'. '.join(parts)}. Signatures stand beside the definitions."
    )


def prefix_panels(
    here: Record, real: Record | None
) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Give title, curves and the paper's cells, of a panel for words and one for letters a source.

    Curves: `against, words` (NaN: all), `mean, low, high`; cells: `against, k, value`; percent
    points.
    """
    panels = []
    for source, names, found in _sources(here, real):
        if source.endswith(CLEANED):  # much the same hill: the table has them
            continue
        cells = pd.DataFrame(
            [
                {"against": name, "k": which, "value": value}
                for against, name in names.items()
                for which, values in _cells(against).items()
                for value in values
            ]
        )
        for definition in ("bleu1", "letters"):
            rows = [
                {"against": names[row["against"]], "words": row["words"]}
                | {key: 100 * row[key] for key in ("mean", "low", "high")}
                for row in found
                if row["definition"] == definition
            ]
            curves = pd.DataFrame(rows).astype({"words": float})
            panels.append((f"{DEFINITIONS[definition].name}: {source}", curves, cells))
    return panels


def distance_maps(record: Record) -> list[tuple[str, pd.DataFrame]]:
    """Give title and distances (percent points): rows are definitions, columns source and choice.

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
            chosen = [BEST_LENGTH, "whole", AS_LONG] if lengths else CHOICES
            columns |= {(source, each): 100 * wide[each] for each in chosen}
        frame = pd.DataFrame(columns).loc[list(DEFINITIONS)]
        frame.index = pd.Index([DEFINITIONS[name].name for name in frame.index])
        flat = record.result["one_number"][part]
        title = (
            f"{said.format(cells[part])}; {points(flat['value'])} in every one of them lies "
            f"{points(flat[part])} away"
        )
        maps.append((title[0].upper() + title[1:], frame))
    return maps


def nearest(record: Record) -> pd.DataFrame:
    """Tabulate the nearest way of each source, what luck gives as many, and the check on cells left
    out; distances in percent points."""
    result, rows = record.result, []
    for left in result["left_out"]:
        source = left["source"]
        own = (row for row in result["distances"] if row["source"] == source)
        best = min((row for row in own if row["choice"] != AS_LONG), key=lambda row: row["all"])
        luck = points(result["luck"][source]["mean"])
        there = [_way(left), points(left["rest"]), points(left["msd"])]
        there.append(f"{left['rank']} of {left['tried']}")
        tried = result["tried"][source]
        rows.append([source, tried, _way(best), points(best["all"]), luck, *there])
    flat, kinds = result["one_number"]["rest"], result["one_number_a_kind"]
    said = f"{points(flat['value'])} in every cell"
    rest = [said, points(flat["rest"]), points(flat["msd"]), None]
    rows.append(["one number, no way at all", None, said, points(flat["all"]), None, *rest])
    three = "the best number for each kind of input"
    rows.append(["three numbers", None, three, points(kinds["all"]), *[None] * 5])
    columns = ["Source", "Tried", "Nearest to all cells", "Distance", "By luck"]
    left_out = ["Chosen without Million Song", "Distance there", "On Million Song", "Rank"]
    return pd.DataFrame(rows, columns=[*columns, *left_out], dtype=object)


def forensic_note(record: Record, here: Record, real: Record | None) -> Note:
    """Say what the numbers of the records suggest: a hypothesis, with what would decide it."""
    text = "\n\n".join([*_by_chance(here, real), *_by_fit(record.result), _what_decides()])
    return Note("A hypothesis, not a finding", text, kind="important")


def _by_chance(here: Record, real: Record | None) -> list[str]:
    """Say what random captions reach by words and by letters, beside the paper's cells."""
    sources = [(source, rows) for source, _, rows in _sources(here, real)]
    to_titles = [row for _, rows in sources for row in rows if row["against"] != OTHERS]
    by_words = max(row["mean"] for row in to_titles if not _is_letters(row))
    by_letters = max(row["mean"] for row in to_titles if row["definition"] == "letters")
    lowest = _beams().loc[list(AGAINST.values())].min().min()
    verdict = (
        "so no cell of songs is within reach of chance by words"
        if 100 * by_words < lowest
        else "so by words some cells of songs are within reach of chance"
    )
    said = [
        f"By words, whichever definition, captions that have nothing to do with a title reach at "
        f"most {points(by_words)} points against it, whole or cut; the lowest score that the paper "
        f"prints for songs is {lowest:.1f}, {verdict}."
    ]
    for source, rows in sources:
        whole = {
            row["against"]: points(row["mean"])
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
        f"by letters, with the brevity penalty, is {points(by_letters)}."
    )
    return said


def _by_fit(result: dict[str, Any]) -> list[str]:
    """Say how near the nearest way comes, and what comes as near without any."""
    free = [row for row in result["distances"] if row["choice"] != AS_LONG]
    ways = [row for row in free if row["source"] != WRONG]
    best = min(ways, key=lambda row: row["all"])
    flat = result["one_number"]["all"]
    relation = "nearer" if best["all"] < flat["all"] else "no nearer"
    said = [
        f"Of {result['tried']['in all']} ways tried, the nearest ({best['source']}: {_way(best)}) "
        f"lies {points(best['all'])} points from the paper's cells in the mean: {relation} than "
        f"the number {points(flat['value'])} written into every cell ({points(flat['all'])}), "
        f"and the best of as many blind guesses comes to "
        f"{points(result['luck']['in all']['mean'])}. A small distance is no evidence for a way."
    ]
    wrong = [row for row in free if row["source"] == WRONG]
    units = {
        unit: min(row["songs"] for row in wrong if _is_letters(row) == (unit == "letters"))
        for unit in ("words", "letters")
    }
    songs = result["one_number"]["songs"]
    said.append(
        f"On the cells of songs alone, this run's outputs beside wrong titles come within "
        f"{points(units['letters'])} points by letters and {points(units['words'])} by words; "
        f"one number for all of these cells within {points(songs['songs'])}."
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
    """Give name, names of references, and rows: of captions here, then of real ones by wording."""
    found = [(CAPTIONS_HERE, HERE_NAMES, here.result["scores"])]
    if real is not None:
        for wording in (WRITTEN, CLEANED):
            rows = [row for row in real.result["scores"] if row["wording"] == wording]
            found.append((f"{REAL_CAPTIONS}, {wording}", REAL_NAMES, rows))
    return found


def _beams() -> pd.DataFrame:
    """Give the paper's Table 4 in percent points, rows by beam sizes."""
    table = paper_table(4)
    return table[[k for k in table if isinstance(k, int)]].astype(float)


def _cells(against: str) -> dict[str, list[float]]:
    """Give the greedy and the best cell of the paper's rows for a kind of reference."""
    beams = _beams()
    pictures = [row for row in beams.index if row not in AGAINST.values()]
    rows = beams.loc[pictures if against == OTHERS else [against]]
    return {"greedy": list(rows[1]), "best": list(rows.max(axis=1))}


def _printed(against: str) -> list[str]:
    """Write the paper's greedy cell and its best one for a kind of reference, or their spans."""
    found = _cells(against).values()
    return [span(values) if len(values) > 1 else f"{values[0]:.1f}" for values in found]


def _is_letters(row: dict[str, Any]) -> bool:
    return DEFINITIONS[row["definition"]].tokens == "letters"


def _way(row: dict[str, Any]) -> str:
    return f"{DEFINITIONS[row['definition']].name}; {row['choice']}"


def distance_map(
    distances: pd.DataFrame, *, most: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a heat map with its numbers: ways in columns by source, definitions in rows.

    `distances` has one level of rows and two of columns (source, choice), in percent points; the
    darker, the nearer. `most` is the end of the colour scale, for maps that should compare.
    """
    ax = own_axes(ax)
    values = distances.to_numpy(dtype=float)
    top = float(values.max()) if most is None else most
    # Cividis rises in lightness all along: it reads the same to colour-blind readers and in grey.
    ax.imshow(values, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    centred: dict[str, Any] = {"ha": "center", "va": "center", "size": 8.5}
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < 0.5 * top else "black"
        id = f"{ON_A_PICTURE}-{row}-{column}"
        ax.text(column, row, f"{value:.1f}", color=colour, gid=id, **centred)
    sources, choices = zip(*distances.columns, strict=True)
    ax.set_xticks(range(len(choices)), choices, rotation=40, ha="right", size=8.5)
    ax.set_yticks(range(len(distances)), distances.index)
    for name in dict.fromkeys(sources):
        places = [place for place, source in enumerate(sources) if source == name]
        middle, text = float(np.mean(places)), name.replace(", ", ",\n")
        ax.text(middle, -0.62, text, ha="center", va="bottom", size=9)
        if places[0]:
            ax.axvline(places[0] - 0.5, color="white", lw=4)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    distance = "distance (percent points)"
    squares = [
        (name, f"{choice}, {source}")
        for name in distances.index
        for source, choice in distances.columns
    ]
    drawn = pd.DataFrame(squares, columns=["definition", "way"])
    drawn[distance] = values.ravel()
    near, far = (drawn.loc[find] for find in (values.argmin(), values.argmax()))
    return hand_on(
        ax,
        drawn,
        f"nearest is {near['definition']} with {near['way']}, {amount(near[distance])} percent "
        f"points; furthest {far['definition']} with {far['way']}, {amount(far[distance])}; "
        f"{int((values < 10).sum())} of {values.size} squares are below 10",
    )


def prefix_curves(curves: pd.DataFrame, cells: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the score of captions' first words by their number, a paper's cells to the right.

    `curves` has `against, words` (NaN: all)`, mean, low, high`, `cells` has `against, k` ("greedy"
    or "best")`, value`; percent points. Curve and cells of one `against` share colour and marker.
    """
    kept, score = "words kept of a random caption", "score (percent points)"
    names = {"against": "against", "words": kept, "mean": score} | ENDS
    require(cells, ["against", "k", "value"], "the paper's cells")
    drawn = tidy("curves", curves, names)
    ax = own_axes(ax)
    lengths = sorted(curves["words"].dropna().unique())
    whole, marks = len(lengths), {"greedy": len(lengths) + 1.8, "best": len(lengths) + 3.5}
    highest = []
    for order, (name, rows) in enumerate(curves.groupby("against", sort=False)):
        style = mark(order)
        at = rows["words"].map(lengths.index, na_action="ignore").fillna(whole)
        rows = rows.assign(at=at).sort_values("at")
        look = style | {"ms": 4.5, "lw": 1.5, "linestyle": DASHES[order % 3], "capsize": 2}
        ends = reach(rows["mean"], rows["low"], rows["high"])
        ax.errorbar(rows["at"], rows["mean"], yerr=ends, label=f"against {name}", **look)
        for k, found in cells[cells["against"] == name].groupby("k"):
            ax.scatter([marks[k]] * len(found), found["value"], s=48, edgecolor="k", **style)
            if len(found) == 1:
                value = found["value"].iloc[0]
                aside, side = (7, "left") if order % 2 else (-7, "right")
                look = {"textcoords": "offset points", "va": "center", "size": 8}
                beside = (marks[k], value)
                ax.annotate(f"{value:.1f}", beside, xytext=(aside, 0), ha=side, **look)
        top = rows.loc[rows["mean"].idxmax()]
        words = "all words" if pd.isna(top["words"]) else amount(top["words"], "kept (words)")
        highest.append(f"{amount(top['mean'])} against {name} ({words})")
    ax.axvline(whole + 0.75, color=GREY, lw=0.8)
    labels = [*(f"{length:g}" for length in lengths), "all", "paper,\ngreedy", "paper,\nbest"]
    ax.set_xticks([*range(whole + 1), *marks.values()], labels, size=8.5)
    ax.set(xlabel=kept, ylabel=score)
    ax.set_ylim(0, 68)
    ax.set_xlim(right=marks["best"] + 1.5)
    ax.grid(visible=False, axis="x")
    drawn[kept] = drawn[kept].map("{:g}".format, na_action="ignore").fillna("all")
    printed = {"against": cells["against"], kept: "paper, " + cells["k"], score: cells["value"]}
    return hand_on(ax, pd.concat([drawn, pd.DataFrame(printed)]), f"highest {some(highest)}")
