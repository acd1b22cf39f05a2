"""Page 1, the corpora: lengths of captions and titles, Tables 1 to 3."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle.cache import Record, read_json
from songtitle.errors import InputError
from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS
from songtitle.figures.findings import amount, hand_on
from songtitle.figures.style import COLOURS, own_axes
from songtitle.fmt import minus, percent
from songtitle.paper.printed import paper, paper_table
from songtitle.studies.paper_corpora import Answers
from songtitle.tables import shown

STAND_INS = (CAPTIONS, *COLLECTIONS)
# Which rows of the paper's tables a question of the census answers.
SAME_AS = {
    "captions": "cc",
    "captions_valid": "cc",
    "song_titles": "msd",
    "dated_songs": "msd",
    "fma_tracks": "fma",
    "fma_raw": "fma",
    "fma_small": "fma",
}


def lengths_of(counts: Mapping[str, int]) -> np.ndarray:
    """Repeat each length in words as often as it occurs."""
    return np.repeat([int(length) for length in counts], list(counts.values()))


def panels(record: Record, answers: Answers) -> list[tuple[str, np.ndarray]]:
    """Give name and lengths of the six panels of Fig. 5: the stand-ins, then the paper's corpora.

    Of several counts of a corpus the one of most rows is taken.
    """
    stand_ins = [(name, lengths_of(record.result["lengths"][name])) for name in STAND_INS]
    real = []
    for row in ("cc", "msd", "fma"):
        found = [answers[name] for name, same in SAME_AS.items() if same == row and name in answers]
        fullest = max(found, key=lambda each: each.result["rows"])
        corpus = str(fullest.settings["corpus"])
        real.append((corpus, lengths_of(fullest.result["as_written"]["lengths"])))
    return [
        (f"({letter}) {name}", lengths)
        for letter, (name, lengths) in zip("abcabc", stand_ins + real, strict=True)
    ]


def table_1(record: Record, answers: Answers) -> pd.DataFrame:
    """Tabulate lengths in words of captions and titles: stand-ins, the census, the paper.

    The difference is that of the means from the paper's.
    """
    here = record.result["lengths"]
    rows = [["here", name, *_moments(lengths_of(here[name])), None] for name in STAND_INS]
    theirs = paper_table(1)
    for found, row in ((answers[name], row) for name, row in SAME_AS.items() if name in answers):
        lengths = lengths_of(found.result["as_written"]["lengths"])
        gap = minus(f"{lengths.mean() - theirs.loc[row, 'mean_length']:+.2f}")
        rows.append([found.settings["found"], found.settings["corpus"], *_moments(lengths), gap])
    for row in theirs.itertuples(index=False):
        rows.append(["paper", *row[:4], *(f"{value:.2f}" for value in row[4:]), None])
    columns = ["Counted", "Dataset", "Examples", "Min", "Max", "Mean", "SD", "Difference"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def table_2(record: Record, count: int = 5) -> pd.DataFrame:
    """Tabulate cleaned titles: the first test songs of each collection, and the paper's samples."""
    columns: dict[str, list[str]] = {f"{name} (here)": [] for name in COLLECTIONS}
    for song in read_json(record.file("songs.json")):
        columns[f"{song['collection']} (here)"].append(shown(song["title"]))
    theirs = paper_table(2)
    columns |= {f"{name} (paper)": list(theirs[name]) for name in theirs}
    return pd.DataFrame({name: pd.Series(titles[:count]) for name, titles in columns.items()})


def table_3(record: Record, answers: Answers) -> pd.DataFrame:
    """Count distinct words in titles, of all and of test songs: here, by the census, the paper."""
    words = record.result["title_words"]
    rows = [
        ["here", name, None, words["total"][name], words["test"][name]]
        for name in (*COLLECTIONS, "both")
    ]
    for found in (answers[n] for n, row in SAME_AS.items() if row != "cc" and n in answers):
        size, words = found.result["rows"], found.result["cleaned"]["distinct_words"]
        test = found.result.get("test", {}).get("distinct_words")
        rows.append([found.settings["found"], found.settings["corpus"], size, words, test])
    for dataset, column in (("Million Songs", "msd"), ("Free Music Archive", "fma")):
        total, theirs = int(paper(f"table1.{column}.examples")), paper_table(3)[column]
        rows.append(["paper", dataset, total, theirs["total"], theirs["test"]])
    columns = ["Counted", "Titles of", "Titles", "Words in all", "Words in the test set"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def reach(record: Record) -> pd.DataFrame:
    """Tabulate how much of the test titles the decoder's vocabulary covers, of a `vocabulary`."""
    rows = [[name, percent(share)] for name, share in record.result["known"].items()]
    return pd.DataFrame(rows, columns=["Of the test titles", "Known"])


def _moments(lengths: np.ndarray) -> list[Any]:
    spread = [f"{value:.2f}" for value in (lengths.mean(), lengths.std())]
    return [len(lengths), lengths.min(), lengths.max(), *spread]


def length_distribution(lengths: Iterable[int], *, name: str, ax: Axes | None = None) -> Axes:
    """Draw the share of examples (%) by length in words (Fig. 5), mean and longest written in.

    The axis ends where 99.9 % of the examples are seen: one title of 135 words must not press
    all others into a corner.
    """
    words = np.fromiter(lengths, dtype=int)
    if not len(words):
        msg = f"lengths of {name}: expected at least one, got none; check the corpus"
        raise InputError(msg)
    ax = own_axes(ax)
    count, times = np.unique(words, return_counts=True)
    share = 100 * times / len(words)
    ax.bar(count, share, width=0.85, color=COLOURS[0], edgecolor="none")
    ax.set_ylim(top=1.2 * share.max())  # headroom for the facts
    ax.set_xlim(0.3, np.quantile(words, 0.999, method="higher") + 0.7)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    length, share_of = "length (words)", "share of examples (%)"
    ax.set(xlabel=length, ylabel=share_of)
    ax.set_title(name, parse_math=False)
    facts = f"{len(words):,} examples\nmean {words.mean():.2f} words\nlongest {words.max()} words"
    ax.text(0.97, 0.95, facts, transform=ax.transAxes, ha="right", va="top", color="0.25", size=9.5)
    ax.grid(visible=False, axis="x")
    return hand_on(
        ax,
        pd.DataFrame({length: count, share_of: share}),
        f"{amount(len(words))} examples of {words.mean():.2f} words on average, most often "
        f"{count[np.argmax(share)]} ({amount(share.max())} %), at most {words.max()}",
    )
