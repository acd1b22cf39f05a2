"""What the census found in the paper's own corpora, as tables and as numbers behind figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record
from songtitle.census.questions import WHOLE
from songtitle.claims import paper
from songtitle.errors import InputError
from songtitle.tables import Note, other_code, rests_on

Answers = Mapping[str, Record]  # of the census, by question
_STEPS = {  # of the funnel, and what a title that passes has
    "named entities": "no named entity",
    "dictionary": "dictionary words only",
    "duplicates": "no duplicate",
}


def census(answers: Answers) -> pd.DataFrame:
    """Every question that is answered: on which files, how many rows, what was wrong with them."""
    rows = []
    for name, found in answers.items():
        faults = found.result.get("faults", {"counts": {}})
        said = [f"{count:,} {kind}" for kind, count in faults["counts"].items()]
        counted = ("rows", "asked", "titles", "clips", "files")
        size = next((found.result[key] for key in counted if key in found.result), None)
        files = [
            f"{file} ({facts['sha256'][:8]})" for file, facts in found.settings["files"].items()
        ]
        corpus = f"{found.settings['corpus']}. {found.settings['asks']}"
        rows.append([name, corpus, size, ", ".join(said) or "none", "\n".join(files)])
    columns = ["Name", "Corpus and question", "Rows", "Faults", "Files (sha256)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def census_note(answers: Answers) -> Note:
    """What the census rests on: whole corpora or samples, and who counted them when."""
    whole = [name for name, found in answers.items() if where(found) == WHOLE]
    commits = sorted({str(found.provenance["commit"]) for found in answers.values()})
    changed = sorted({name for found in answers.values() for name in found.changed})
    return Note(
        "Counts of real rows, not a reproduction",
        f"Counted on whole corpora: {', '.join(whole) or 'none'}. All others were counted on "
        f"samples of real rows, which are not part of this book. Commit {', '.join(commits)}."
        f"{other_code(changed)}",
        kind="warning",
        records=rests_on(answers.values()),
    )


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


def timbre(answers: Answers) -> pd.DataFrame:
    """The 90 numbers computed again from HDF5 files, and what was said of another layout."""
    found = need(answers, "timbre").result
    rows = [
        ["HDF5 tracks computed again", f"{found['compared']:,} of {found['files']:,}"],
        ["numbers of each", f"{found['numbers']}"],
        ["largest difference from UCI's layout", f"{found['largest_difference']:.1e}"],
        ["rows in another layout", f"refused: {found['other_layout_refused']}"],
    ]
    return pd.DataFrame(rows, columns=["Fact", "Measured"])


def years_by_row(answers: Answers) -> tuple[list[np.ndarray], list[str], int]:
    """The years of two lists of the same songs, each `every` so many rows, and their names."""
    found = need(answers, "joins").result
    lists = found["years_by_row"]
    return [np.array(years) for years in lists.values()], list(lists), found["every"]


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
                    _certain(facts["certain"], count),
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


def named_samples(answers: Answers) -> pd.DataFrame:
    """The paper's ten sample titles, and in which letter case the rule finds a name in them."""
    said = {True: "a name", False: "none"}
    rows = [
        [title, *(said[flag] for flag in flags)]
        for title, flags in need(answers, "song_names").result["table_2"].items()
    ]
    return pd.DataFrame(rows, columns=["Title", "With Capitals", "in lower case"])


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


def where(found: Record) -> str:
    """On what an answer rests, in two words."""
    return str(found.settings["found"])


def _certain(certain: int, count: int) -> str:
    if count - certain < count / 100:
        return f"all but {count - certain:,}" if certain < count else "all"
    return f"{certain:,} ({100 * certain / count:.1f} %)" if certain else "none"


def _spread(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{int(value):,} ({times:,})" for value, times in counts.items())
