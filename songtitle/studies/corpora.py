"""Page 1, the corpora: lengths of captions and titles."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle import figures
from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS
from songtitle.figures import COLOURS, amount
from songtitle.fmt import minus
from songtitle.paper.printed import paper_table

STAND_INS = (CAPTIONS, *COLLECTIONS)
# Which rows of the paper's tables a question of the census answers.
SAME_AS = {"captions": "cc", "captions_valid": "cc", "song_titles": "msd", "dated_songs": "msd"}
SAME_AS |= {"fma_tracks": "fma", "fma_raw": "fma", "fma_small": "fma"}


def lengths_of(counts: Mapping[str, int]) -> np.ndarray:
    """Repeat each length in words as often as it occurs."""
    return np.repeat([int(length) for length in counts], list(counts.values()))


def panels(record: Record, answers: Mapping[str, Record]) -> list[tuple[str, np.ndarray]]:
    """Give name and lengths of the six panels of Fig. 5: the stand-ins, then the paper's corpora.

    Of several counts of a corpus the one of most rows is taken.
    """
    found = [(name, record.result["lengths"][name]) for name in STAND_INS]
    for row in ("cc", "msd", "fma"):
        several = [each for name, each in answers.items() if SAME_AS.get(name) == row]
        most = max(several, key=lambda each: each.result["rows"])
        found.append((str(most.settings["corpus"]), most.result["as_written"]["lengths"]))
    letters = zip("abcabc", found, strict=True)
    return [(f"({letter}) {name}", lengths_of(counts)) for letter, (name, counts) in letters]


def table_1(record: Record, answers: Mapping[str, Record]) -> pd.DataFrame:
    """Tabulate lengths in words of captions and titles: stand-ins, the census, the paper.

    The difference is that of the means from the paper's.
    """
    theirs, here = paper_table(1), record.result["lengths"]
    counted = [("here", name, here[name], "") for name in STAND_INS]
    for name, row in SAME_AS.items():
        if name in answers:
            found, kept = answers[name].settings, answers[name].result["as_written"]["lengths"]
            counted.append((found["found"], found["corpus"], kept, row))
    rows = []
    for where, corpus, counts, row in counted:
        words = lengths_of(counts)
        mean, spread = f"{words.mean():.2f}", f"{words.std():.2f}"
        gap = minus(f"{words.mean() - theirs.loc[row, 'mean_length']:+.2f}") if row else None
        rows.append([where, corpus, len(words), words.min(), words.max(), mean, spread, gap])
    for row in theirs.itertuples(index=False):
        rows.append(["paper", *row[:4], *(f"{value:.2f}" for value in row[4:]), None])
    columns = ["Counted", "Dataset", "Examples", "Min", "Max", "Mean", "SD", "Difference"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def length_distribution(lengths: Iterable[int], *, name: str, ax: Axes | None = None) -> Axes:
    """Draw the share of examples (%) by length in words (Fig. 5), mean and longest written in.

    The axis ends where 99.9 % of the examples are seen: one title of 135 words must not press
    all others into a corner.
    """
    words = np.fromiter(lengths, dtype=int)
    if not len(words):
        msg = f"lengths of {name}: expected at least one, got none; check the corpus"
        raise InputError(msg)
    ax = figures.own_axes(ax)
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
    return figures.hand_on(
        ax,
        pd.DataFrame({length: count, share_of: share}),
        f"{amount(len(words))} examples of {words.mean():.2f} words on average, most often "
        f"{count[np.argmax(share)]} ({amount(share.max())} %), at most {words.max()}",
    )
