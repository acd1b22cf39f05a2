"""Tables 1 to 3 and all else that is counted in corpora, ours beside the paper's."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record
from songtitle.claims import paper, paper_table
from songtitle.experiment import CAPTIONS, COLLECTIONS
from songtitle.report.answers import Answers, where
from songtitle.tables import shown

HERE, PAPER = "here", "paper"
_STAND_INS = (CAPTIONS, *COLLECTIONS)


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
    """The length in words of every caption or title, from how often each length occurs."""
    return np.repeat([int(length) for length in counts], list(counts.values()))


def panels(record: Record, answers: Answers) -> list[tuple[str, np.ndarray]]:
    """Name and lengths of the six panels of Fig. 5: the stand-ins, then the paper's own corpora.

    Of several counts of a corpus the one of most rows is taken.
    """
    stand_ins = [(name, lengths_of(record.result["lengths"][name])) for name in _STAND_INS]
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
    """Lengths of captions and titles in words: the stand-ins, what the census found, the paper.

    The difference is that of the means from the paper's.
    """
    rows: list[list[Any]] = []
    for name in _STAND_INS:
        rows.append([HERE, name, *_moments(lengths_of(record.result["lengths"][name])), None])
    theirs = paper_table(1)
    for name, row in SAME_AS.items():
        if name in answers:
            found = answers[name]
            lengths = lengths_of(found.result["as_written"]["lengths"])
            gap = float(lengths.mean()) - theirs.loc[row, "mean_length"]
            rows.append(
                [
                    where(found),
                    found.settings["corpus"],
                    *_moments(lengths),
                    f"{gap:+.2f}".replace("-", "−"),
                ]
            )
    for row in theirs.itertuples(index=False):
        rows.append([PAPER, *row[:4], *(f"{value:.2f}" for value in row[4:]), None])
    columns = ["Counted", "Dataset", "Examples", "Min", "Max", "Mean", "SD", "Difference"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def table_2(record: Record, count: int = 5) -> pd.DataFrame:
    """Cleaned titles: the first test songs of either collection, and the paper's samples."""
    songs = _read(record, "songs.json")
    ours = {
        f"{name} ({HERE})": [shown(song["title"]) for song in songs if song["collection"] == name][
            :count
        ]
        for name in COLLECTIONS
    }
    theirs = paper_table(2)
    columns = ours | {f"{name} ({PAPER})": list(theirs[name])[:count] for name in theirs}
    return pd.DataFrame({name: pd.Series(titles) for name, titles in columns.items()})


def table_3(record: Record, answers: Answers) -> pd.DataFrame:
    """Distinct words in titles: all songs and the test songs; here, by the census, in the paper."""
    words = record.result["title_words"]
    rows = [
        [HERE, name, None, words["total"][name], words["test"][name]]
        for name in (*COLLECTIONS, "both")
    ]
    for name, row in SAME_AS.items():
        if row != "cc" and name in answers:
            found = answers[name].result
            test = found.get("test", {}).get("distinct_words")
            counted, corpus = where(answers[name]), answers[name].settings["corpus"]
            rows.append([counted, corpus, found["rows"], found["cleaned"]["distinct_words"], test])
    theirs = paper_table(3)
    for dataset, column in (("Million Songs", "msd"), ("Free Music Archive", "fma")):
        total = int(paper(f"table1.{column}.examples"))
        rows.append(
            [PAPER, dataset, total, theirs.loc["total", column], theirs.loc["test", column]]
        )
    columns = ["Counted", "Titles of", "Titles", "Words in all", "Words in the test set"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def reach(record: Record) -> pd.DataFrame:
    """How much of the test titles the decoder's vocabulary covers, from a `vocabulary` record."""
    rows = [[name, f"{100 * share:.1f} %"] for name, share in record.result["known"].items()]
    return pd.DataFrame(rows, columns=["Of the test titles", "Known"])


def facts(record: Record) -> dict[str, Any]:
    """The numbers of a record that prose may quote, flat: `title_words.test.both`."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif not isinstance(value, list):
            flat[prefix] = value

    walk("", record.result)
    return flat


def _moments(lengths: np.ndarray) -> list[Any]:
    spread = [f"{value:.2f}" for value in (lengths.mean(), lengths.std())]
    return [len(lengths), lengths.min(), lengths.max(), *spread]


def _read(record: Record, name: str) -> Any:
    return json.loads(record.file(name).read_text("utf-8"))
