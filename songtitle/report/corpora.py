"""Tables 1 to 3 and all else that is counted in corpora, ours beside the paper's."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from songtitle.claims import paper, paper_table
from songtitle.errors import InputError
from songtitle.experiment import CAPTIONS, COLLECTIONS
from songtitle.stages import Record

HERE, PAPER = "here", "paper"
_STAND_INS = (CAPTIONS, *COLLECTIONS)
_STEPS = {  # of the funnel, and what a title that passes has
    "named entities": "no named entity",
    "empty": "some word",
    "dictionary": "dictionary words only",
    "duplicates": "no duplicate",
}


Answers = Mapping[str, Record]  # of the census, by question

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
                [_where(found), found.settings["corpus"], *_moments(lengths), f"{gap:+.2f}"]
            )
    rows += [[PAPER, *row, None] for row in theirs.itertuples(index=False)]
    columns = ["Counted", "Dataset", "Examples", "Min", "Max", "Mean", "SD", "Difference"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def table_2(record: Record, count: int = 5) -> pd.DataFrame:
    """Cleaned titles: the first test songs of either collection, and the paper's samples."""
    songs = _read(record, "songs.json")
    ours = {
        f"{name} ({HERE})": [song["title"] for song in songs if song["collection"] == name][:count]
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
            where, corpus = _where(answers[name]), answers[name].settings["corpus"]
            rows.append([where, corpus, found["rows"], found["cleaned"]["distinct_words"], test])
    theirs = paper_table(3)
    for dataset, column in (("Million Songs", "msd"), ("Free Music Archive", "fma")):
        total = int(paper(f"table1.{column}.examples"))
        rows.append(
            [PAPER, dataset, total, theirs.loc["total", column], theirs.loc["test", column]]
        )
    columns = ["Counted", "Titles of", "Titles", "Words in all", "Words in the test set"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def census(answers: Answers) -> pd.DataFrame:
    """Every question that is answered: on which files, how many rows, what was wrong with them."""
    rows = []
    for name, found in answers.items():
        files = found.settings["files"]
        faults = found.result.get("faults", {"counts": {}})
        said = [f"{count:,} {kind}" for kind, count in faults["counts"].items()]
        counted = ("rows", "asked", "titles", "clips", "files")
        size = next((found.result[key] for key in counted if key in found.result), None)
        rows.append(
            [
                name,
                found.settings["corpus"],
                found.settings["asks"],
                _where(found),
                size,
                ", ".join(said) or "none",
                "; ".join(f"{file} {facts['sha256'][:12]}" for file, facts in files.items()),
            ]
        )
    columns = ["Name", "Corpus", "Question", "Counted", "Rows", "Faults", "Files, sha256"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def links_by_host(answers: Answers) -> tuple[pd.DataFrame, float]:
    """The links of the hosts with most of them, and the share of all links that gave a picture."""
    found = need(answers, "links").result
    rows = [
        [host, facts["total"], facts["share"], facts["low"], facts["high"]]
        for host, facts in found["hosts"].items()
    ]
    frame = pd.DataFrame(rows, columns=["domain", "links", "alive", "low", "high"])
    return frame, found["survivors"]["share"]


def lost_links(answers: Answers) -> pd.DataFrame:
    """Why links gave no picture, most frequent first."""
    found = need(answers, "links").result
    rows = [
        [reason, count, f"{100 * count / found['asked']:.2f} %"]
        for reason, count in found["reasons"].items()
    ]
    lost = found["unavailable"]
    interval = f"{100 * lost['share']:.2f} [{100 * lost['low']:.2f}, {100 * lost['high']:.2f}] %"
    rows.append(["all of these", lost["count"], interval])
    rows.append(["in the paper, of train", None, f"about {paper('captions.dead_links'):.0f} %"])
    return pd.DataFrame(rows, columns=["Reason", "Links", "Of all links"], dtype=object)


def shift(answers: Answers) -> pd.DataFrame:
    """How the captions of surviving pictures differ from those of the lost, beside chance."""
    found = need(answers, "links").result["shift"]
    sides = [f"{found[side]:,} captions" for side in ("survivors", "lost")]
    means = [f"{found[side]:.2f}" for side in ("mean_survivors", "mean_lost")]
    rows = [
        ["captions compared", *sides, None, None, None],
        [
            "mean length in words",
            *means,
            f"{found['length_distance']:.3f}",
            None,
            found["length_p"],
        ],
        [
            "distribution of words",
            None,
            None,
            f"{found['vocabulary_distance']:.3f}",
            f"{found['vocabulary_by_chance']:.3f}",
            found["vocabulary_p"],
        ],
    ]
    columns = ["Fact", "Picture there", "Picture lost", "Distance", "By chance", "p"]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    frame["p"] = [None if p is None else f"{p:.3f}" for p in frame["p"]]
    return frame


def joins(answers: Answers) -> pd.DataFrame:
    """How often years agree, and how many rows are certain and right, by the way of joining."""
    found = need(answers, "joins").result
    rows = []
    for catalogue, joined in (("real", found["joins"]), ("made up", found["catalogue"])):
        for name, facts in joined.items():
            count = facts["rows"]
            rows.append(
                [
                    catalogue,
                    name,
                    count,
                    f"{100 * facts['agreement']:.1f} %",
                    f"{facts['certain']:,} ({100 * facts['certain'] / count:.2f} %)",
                    facts.get("right"),
                    facts.get("certain_and_wrong"),
                ]
            )
    columns = ["Songs", "Join", "Rows", "Years agree", "Certain", "Right", "Certain but wrong"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def funnels(answers: Answers, name: str) -> pd.DataFrame:
    """The titles that each step of cleaning leaves, entities looked for before or after."""
    rows = []
    for order, found in need(answers, name).result["orders"].items():
        said = f"names looked for {order.replace('_', ' ')}"
        rows.append([said, "all titles", found["in"]])
        rows += [
            [said, _STEPS[step["name"]], step["after"]]
            for step in found["steps"]
            if step["name"] in _STEPS
        ]
    frame = pd.DataFrame(rows, columns=["order", "step", "titles"])
    places = {step: place for place, step in enumerate(["all titles", *_STEPS.values()])}
    return frame.sort_values("step", key=lambda steps: steps.map(places), kind="stable")


def named(answers: Answers) -> pd.DataFrame:
    """The share of titles that hold a named entity, by letter case, and what is left of all."""
    rows: list[list[Any]] = []
    for name in ("fma_names", "song_names"):
        if name in answers:
            found = answers[name].result
            before, after = (
                found["orders"][f"{order}_lowercasing"] for order in ("before", "after")
            )
            rows.append(
                [
                    answers[name].settings["corpus"],
                    found["titles"],
                    *(f"{100 * each['share_with_a_name']:.2f} %" for each in (before, after)),
                    *(f"{100 * each['out'] / each['in']:.1f} %" for each in (before, after)),
                ]
            )
    columns = [
        "Titles of",
        "Titles",
        "With a name, original case",
        "With a name, lower case",
        "Left, names first",
        "Left, lower case first",
    ]
    return pd.DataFrame(rows, columns=columns)


def sounds(answers: Answers) -> pd.DataFrame:
    """Rates, channels and lengths that decoding found, beside the paper's."""
    found = need(answers, "clips").result
    rows = [
        ["sampling rate (Hz)", _spread(found["sample_rate"]), f"{paper('clip.sample_rate'):,.0f}"],
        ["channels", _spread(found["channels"]), None],
        ["samples", _spread(found["samples"]), f"{paper('clip.samples'):,.0f}, roughly"],
        ["bit rate (kbit/s)", _spread(found["bit_rate"]), None],
        ["clips", f"{found['clips']:,}", f"{paper('clip.tracks'):,.0f}"],
    ]
    return pd.DataFrame(rows, columns=["Fact", "Measured (clips)", "In the paper"])


def need(answers: Answers, name: str) -> Record:
    """One answer; InputError where the question has none."""
    if name not in answers:
        msg = (
            f"census: expected an answer to {name!r}, there is none: neither its files nor a "
            "published answer is here; fetch the corpus, or take results/ from the repository"
        )
        raise InputError(msg)
    return answers[name]


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
    return [len(lengths), lengths.min(), lengths.max(), lengths.mean(), lengths.std()]


def _where(found: Record) -> str:
    """On what an answer rests, in two words."""
    return str(found.settings["found"])


def _spread(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{int(value):,} ({times:,})" for value, times in counts.items())


def _read(record: Record, name: str) -> Any:
    return json.loads(record.file(name).read_text("utf-8"))
