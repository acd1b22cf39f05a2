"""Page 11, forensics: which definition of BLEU would give what the paper printed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.cache import Record
from songtitle.experiment.forensics import AGAINST, AS_LONG, CAPTIONS_HERE, REAL_CAPTIONS, WRONG
from songtitle.experiment.random_captions import CLEANED, OTHERS, WRITTEN
from songtitle.figures import ENDS, GREY, amount
from songtitle.fmt import points, span, write
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.pairs import CHOICES
from songtitle.paper.printed import paper_table
from songtitle.studies.picked import highest
from songtitle.tables import Note, plain, tabulate

KEPT = {None: "whole", 4: "first 4 words"}  # words of a caption: all, and as a longish title has
REAL_NAMES = {"msd": "Million Song titles", "fma": "FMA titles", OTHERS: "other captions"}
LETTERS = [name for name, each in DEFINITIONS.items() if each.tokens == "letters"]

Rows = list[dict[str, Any]]


def content_free(here: Record, real: Record | None) -> pd.DataFrame:
    """Tabulate what captions score by chance, by definition: mean and half of its 95 % interval.

    The last columns are the paper's cells for the same kind of reference.
    """
    table = []
    for source, names, rows in _sources(here, real):
        cells = {
            (row["against"], row["words"], row["definition"]): f"{points(row['mean'])} ± "
            f"{points((row['high'] - row['low']) / 2)}"
            for row in rows
        }
        for kept, said in KEPT.items():
            for against, name in names.items():
                ours = [cells.get((against, kept, key)) for key in DEFINITIONS]
                table.append([source, said, name, *ours, *_printed(against)])
    columns = ["Captions", "Kept", "Against", *(each.name for each in DEFINITIONS.values())]
    return pd.DataFrame(table, columns=[*columns, "Paper, k = 1", "Paper, best"], dtype=object)


def content_free_note(here: Record, real: Record | None) -> str:
    """Say how the draws behind the table were made, and how much a single one spreads."""
    parts = []
    for name, record in ((CAPTIONS_HERE, here), (REAL_CAPTIONS, real)):
        if record is not None:
            rows = pd.DataFrame(record.result["scores"])
            sizes = " or ".join(f"{pairs:,}" for pairs in rows["pairs"].unique())
            spread = points(rows.loc[rows["definition"].isin(LETTERS), "spread"].max())
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
    for source, names, rows in _sources(here, real):
        if source.endswith(CLEANED):  # much the same hill: the table has them
            continue
        cells = [
            [name, which, value]
            for against, name in names.items()
            for which, values in _cells(against).items()
            for value in values
        ]
        printed, found = pd.DataFrame(cells, columns=["against", "k", "value"]), pd.DataFrame(rows)
        found = found.assign(
            against=found["against"].map(names), words=found["words"].astype(float)
        )
        for definition in ("bleu1", "letters"):
            curves = found.loc[found["definition"] == definition, ["against", "words"]]
            values = 100 * found[["mean", "low", "high"]].astype(float)
            title = f"{DEFINITIONS[definition].name}: {source}"
            panels.append((title, curves.join(values).reset_index(drop=True), printed))
    return panels


def distance_maps(record: Record) -> list[tuple[str, pd.DataFrame]]:
    """Give title and distances (percent points): rows are definitions, columns source and choice.

    Of the lengths of captions the best one stands for all, beside the whole and "as long"; its
    column says of how many.
    """
    found, maps = pd.DataFrame(record.result["distances"]), []
    for part, said in (("all", "All {} cells"), ("songs", "The {} cells of songs")):
        columns: dict[tuple[str, str], pd.Series] = {}
        for source, rows in found.groupby("source", sort=False):
            wide = rows.pivot(index="definition", columns="choice", values=part)
            lengths = [each for each in wide if each.startswith("first") or each == "whole"]
            best = f"best of {len(lengths)} lengths"
            if lengths:
                wide[best] = wide[lengths].min(axis=1)
            chosen = [best, "whole", AS_LONG] if lengths else CHOICES
            columns |= {(source, each): 100 * wide[each] for each in chosen}
        flat = record.result["one_number"][part]
        title = said.format(record.result["cells"][part])
        title += f"; {points(flat['value'])} in every one of them lies {points(flat[part])} away"
        names = {name: each.name for name, each in DEFINITIONS.items()}
        maps.append((title, pd.DataFrame(columns).loc[list(names)].rename(index=names)))
    return maps


def nearest(record: Record) -> pd.DataFrame:
    """Tabulate the nearest way of each source, what luck gives as many, and the check on cells left
    out; distances in percent points."""
    result, rows = record.result, []
    for left in result["left_out"]:
        source = left["source"]
        best = nearest_way(result, source)
        luck, tried = points(result["luck"][source]["mean"]), result["tried"][source]
        there = [_way(left), points(left["rest"]), points(left["msd"])]
        rank = f"{left['rank']} of {left['tried']}"
        rows.append([source, tried, _way(best), points(best["all"]), luck, *there, rank])
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
    decides = (
        "If the paper's scores count letters, their level says little about what the model heard; "
        "whether they do, no number here can tell. The author's code would, or the outputs that "
        "were scored: a thousand titles take seconds under every definition."
    )
    text = "\n\n".join([*_by_chance(here, real), *_by_fit(record.result), decides])
    return Note("A hypothesis, not a finding", text, kind="important")


def constants(here: Record, real: Record | None) -> pd.DataFrame:
    """Give the best constant of each definition for each kind of title, beside the paper's cells.

    Columns `titles, definition, text, score, spread, words` (whether words are counted), `reached`
    and `cells`: of so many cells that the paper prints, those that a thousand titles in forty let
    the constant reach, which is two `spread` above `score`. Percent points. Of the real titles
    where their record has constants, else of those here; without any rows where neither has.
    """
    rows = []
    ours, theirs = (record.result.get("constants", []) if record else [] for record in (here, real))
    names = REAL_NAMES if theirs else here.result["collections"]
    for row in theirs or ours:
        cells, reach = _beams(row["against"])[0], 100 * (row["mean"] + 2 * row["spread"])
        rows.append(
            {
                "titles": f"{names[row['against']]}, {row['wording']}",
                "definition": DEFINITIONS[row["definition"]].name,
                "text": row["text"],
                "score": 100 * row["mean"],
                "spread": 100 * row["spread"],
                "words": row["definition"] not in LETTERS,
                "reached": sum(cell <= reach for cell in cells),
                "cells": len(cells),
                "lowest": min(cells),
            }
        )
    columns = ["titles", "definition", "text", "score", "spread", "words", "reached", "cells"]
    return pd.DataFrame(rows, columns=[*columns, "lowest"])


def constants_table(here: Record, real: Record | None) -> pd.DataFrame:
    """Tabulate `constants`: what is said of every title, its score, and the cells within reach."""
    columns = {
        "Titles": "titles",
        "Definition": "definition",
        "Said of every title": "text",
        "Score": "{score:points.1x1} ± {spread:points.1x1}",
        "Cells within reach": "{reached} of {cells}",
    }
    return tabulate(constants(here, real).to_dict("records"), columns)


def within_reach(found: pd.DataFrame) -> str:
    """Say whether, by words, an answer that hears nothing reaches cells of songs that the paper
    prints; `found` is what `constants` gives."""
    words = found[found["words"]]
    if words.empty:
        return (
            "No constant is in these records, so whether one reaches the paper's cells is not told."
        )
    best = words.loc[(words["score"] + 2 * words["spread"] - words["lowest"]).idxmax()]
    said = {
        "count": int((words["reached"] > 0).sum()),
        "of": len(words),
        "text": plain(best["text"]),
    } | best.drop("text").to_dict()
    verdict = "no cell of songs is within reach of an answer that hears nothing. The nearest comes"
    if said["count"]:
        verdict = "some cells of songs are within reach of an answer that hears nothing. It comes"
    return write(
        f"By words, {verdict} under “{{definition}}”: “{{text}}”, chosen on one half of the titles "
        "({titles}) and said of every one in the other half, scores {score:points.1x1} ± "
        "{spread:points.1x1} (SD of a test of that size), where the lowest cell that the paper "
        "prints is {lowest:.1f}. Of {of} pairs of a definition and a kind of title {count} have a "
        "cell within reach.",
        said,
    )


def _by_chance(here: Record, real: Record | None) -> list[str]:
    """Say what answers without sound reach by words and by letters, beside the paper's cells."""
    sources = {source: pd.DataFrame(rows) for source, _, rows in _sources(here, real)}
    titles = pd.concat(sources.values())
    titles = titles[titles["against"] != OTHERS]
    by_words = highest(titles.loc[~titles["definition"].isin(LETTERS), "mean"], "ways")
    by_letters = highest(titles.loc[titles["definition"] == "letters", "mean"], "ways")
    said = [
        within_reach(constants(here, real)),
        "Captions drawn at random reach by words, whichever definition and title, whole or cut, at "
        f"most {by_words}.",
    ]
    for source, rows in sources.items():
        whole = rows[rows["words"].isna() & (rows["definition"] == "letters")]
        scores = whole.set_index("against")["mean"].map(points)
        if source.startswith(REAL_CAPTIONS):
            said.append(
                f"By letters, {source}, whole, score {scores['msd']} against Million Song titles, "
                f"{scores['fma']} against FMA titles and {scores[OTHERS]} against other captions."
            )
    greedy, best = zip(*map(_printed, (*AGAINST.values(), OTHERS)), strict=True)
    return [
        *said,
        f"The paper's greedy search: {', '.join(greedy)}; its best beams: {', '.join(best)}. The "
        f"most that random captions of any length reach against titles by letters, with the "
        f"brevity penalty, is {by_letters}.",
    ]


def _by_fit(result: dict[str, Any]) -> list[str]:
    """Say how near the nearest way comes, and what comes as near without any."""
    best = nearest_way(result)
    flat, songs = result["one_number"]["all"], pd.DataFrame(result["distances"])
    songs = songs[(songs["source"] == WRONG) & (songs["choice"] != AS_LONG)]
    by_letters = songs["definition"].isin(LETTERS)
    said = {
        "tried": result["tried"]["in all"],
        "way": f"{best['source']}: {_way(best)}",
        "relation": "nearer" if best["all"] < flat["all"] else "no nearer",
        "luck": result["luck"]["in all"]["mean"],
        "letters": songs.loc[by_letters, "songs"].min(),
        "letters_mean": songs.loc[by_letters, "songs"].mean(),
        "words": songs.loc[~by_letters, "songs"].min(),
        "words_mean": songs.loc[~by_letters, "songs"].mean(),
        "of_letters": int(by_letters.sum()),
        "of_words": int((~by_letters).sum()),
        "one": result["one_number"]["songs"]["songs"],
    }
    said |= {"away": best["all"], "value": flat["value"], "flat": flat["all"]}
    sentences = [
        "Of {tried} ways tried, the nearest ({way}) lies {away:points} points from the paper's "
        "cells in the mean: {relation} than the number {value:points} written into every cell "
        "({flat:points}), and the best of as many blind guesses comes to {luck:points}. A small "
        "distance is no evidence for a way.",
        "On the cells of songs alone, this run's outputs beside wrong titles come within "
        "{letters:points} points by letters, the nearest of {of_letters} ways (one picked by lot: "
        "{letters_mean:points}), and {words:points} by words, of {of_words} ({words_mean:points}); "
        "one number for all of these cells within {one:points}.",
    ]
    return [write(each, said) for each in sentences]


def _sources(here: Record, real: Record | None) -> list[tuple[str, dict[str, str], Rows]]:
    """Give name, names of references, and rows: of captions here, then of real ones by wording."""
    names = here.result["collections"] | {OTHERS: "other captions"}
    found = [(CAPTIONS_HERE, names, here.result["scores"])]
    theirs = real.result["scores"] if real is not None else []
    for wording in (WRITTEN, CLEANED) if theirs else ():
        rows = [row for row in theirs if row["wording"] == wording]
        found.append((f"{REAL_CAPTIONS}, {wording}", REAL_NAMES, rows))
    return found


def _beams(against: str) -> list[list[float]]:
    """Give the paper's rows for a kind of reference, each its cells by beam size, greedy first."""
    table = paper_table(4)
    table = table[[k for k in table if isinstance(k, int)]].astype(float)
    pictures = [row for row in table.index if row not in AGAINST.values()]
    return table.loc[pictures if against == OTHERS else [against]].to_numpy().tolist()


def _cells(against: str) -> dict[str, list[float]]:
    """Give the greedy and the best cell of the paper's rows for a kind of reference."""
    rows = _beams(against)
    return {"greedy": [row[0] for row in rows], "best": [max(row) for row in rows]}


def _printed(against: str) -> list[str]:
    """Write the paper's greedy cell and its best one for a kind of reference, or their spans."""
    found = _cells(against).values()
    return [span(values) if len(values) > 1 else f"{values[0]:.1f}" for values in found]


def nearest_way(result: Mapping[str, Any], source: str = "") -> dict[str, Any]:
    """Give the way of least distance from all cells, of a source or of all: of those that count as
    `tried`. "As long" knows the titles, and outputs beside wrong references are a control."""
    wanted = {source} if source else {row["source"] for row in result["distances"]} - {WRONG}
    rows = (row for row in result["distances"] if row["source"] in wanted)
    return min((row for row in rows if row["choice"] != AS_LONG), key=lambda row: row["all"])


def _way(row: dict[str, Any]) -> str:
    return f"{DEFINITIONS[row['definition']].name}; {row['choice']}"


def distance_map(
    distances: pd.DataFrame, *, most: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a heat map with its numbers: ways in columns by source, definitions in rows.

    `distances` has one level of rows and two of columns (source, choice), in percent points; the
    darker, the nearer. `most` is the end of the colour scale, for maps that should compare.
    """
    ax = figures.own_axes(ax)
    values = distances.to_numpy(dtype=float)
    sources, choices = zip(*distances.columns, strict=True)
    # Cividis rises in lightness all along: it reads the same to colour-blind readers and in grey.
    top = float(values.max()) if most is None else most
    look: dict[str, Any] = {"cmap": "cividis", "vmin": 0, "vmax": top, "annot_kws": {"size": 8.5}}
    sns.heatmap(values, ax=ax, annot=True, fmt=".1f", cbar=False, rasterized=True, **look)
    for place, (text, value) in enumerate(zip(ax.texts, values.ravel(), strict=True)):
        colour = "white" if value < 0.5 * top else "black"
        text.set(gid=f"{figures.ON_A_PICTURE}-{place}", color=colour)
    ax.set_xticks([0.5 + place for place in range(len(choices))], choices, rotation=40)
    ax.set_xticklabels(choices, ha="right", size=8.5)
    ax.set_yticks([0.5 + place for place in range(len(distances))], distances.index, rotation=0)
    for name in dict.fromkeys(sources):
        first, count = sources.index(name), sources.count(name)
        text = name.replace(", ", ",\n")
        ax.text(first + count / 2, -0.12, text, ha="center", va="bottom", size=9)
        if first:
            ax.axvline(first, color="white", lw=4)
    ax.tick_params(length=0)
    distance = "distance (percent points)"
    ways = [f"{choice}, {source}" for source, choice in distances.columns]
    squares = pd.DataFrame(values, distances.index.rename("definition"), pd.Index(ways, name="way"))
    drawn = squares.stack().rename(distance).reset_index()
    near, far = (drawn.loc[drawn[distance].agg(find)] for find in ("idxmin", "idxmax"))
    return figures.hand_on(
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
    figures.require(cells, ["against", "k", "value"], "the paper's cells")
    drawn = figures.tidy("curves", curves, names)
    ax = figures.own_axes(ax)
    lengths = sorted(curves["words"].dropna().unique())
    whole, marks = len(lengths), {"greedy": len(lengths) + 1.8, "best": len(lengths) + 3.5}
    tops = []
    for order, (name, rows) in enumerate(curves.groupby("against", sort=False)):
        style = figures.mark(order)
        at = rows["words"].map(lengths.index, na_action="ignore").fillna(whole)
        rows = rows.assign(at=at).sort_values("at")
        look = style | {"ms": 4.5, "lw": 1.5, "linestyle": figures.DASHES[order % 3], "capsize": 2}
        ends = figures.reach(rows, "mean")
        ax.errorbar(rows["at"], rows["mean"], yerr=ends, label=f"against {name}", **look)
        for k, found in cells[cells["against"] == name].groupby("k"):
            ax.scatter([marks[k]] * len(found), found["value"], s=48, edgecolor="k", **style)
            if len(found) == 1:
                value = found["value"].iloc[0]
                aside, side = (7, "left") if order % 2 else (-7, "right")
                look = {"textcoords": "offset points", "va": "center", "size": 8, "ha": side}
                ax.annotate(f"{value:.1f}", (marks[k], value), xytext=(aside, 0), **look)
        top = rows.loc[rows["mean"].idxmax()]
        words = "all words" if pd.isna(top["words"]) else amount(top["words"], "kept (words)")
        tops.append(f"{amount(top['mean'])} against {name} ({words})")
    ax.axvline(whole + 0.75, color=GREY, lw=0.8)
    labels = [*(f"{length:g}" for length in lengths), "all", "paper,\ngreedy", "paper,\nbest"]
    ax.set_xticks([*range(whole + 1), *marks.values()], labels, size=8.5)
    ax.set(xlabel=kept, ylabel=score, ylim=(0, 68))
    ax.set_xlim(right=marks["best"] + 1.5)
    ax.grid(visible=False, axis="x")
    drawn[kept] = drawn[kept].map("{:g}".format, na_action="ignore").fillna("all")
    printed = {"against": cells["against"], kept: "paper, " + cells["k"], score: cells["value"]}
    said = f"highest of {whole + 1} lengths {figures.some(tops)}"
    return figures.hand_on(ax, pd.concat([drawn, pd.DataFrame(printed)]), said)
