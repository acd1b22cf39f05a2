"""What the census found in the paper's own corpora, as tables and as numbers behind figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record
from songtitle.census.questions import WHOLE
from songtitle.claims import paper
from songtitle.errors import InputError
from songtitle.fmt import estimate, p_value, percent
from songtitle.tables import Note, other_code, rests_on

Answers = Mapping[str, Record]  # of the census, by question
_STEPS = {  # of the funnel, and what a title that passes has
    "named entities": "no named entity",
    "dictionary": "dictionary words only",
    "duplicates": "no duplicate",
}


def census(answers: Answers) -> pd.DataFrame:
    """Tabulate every question that is answered: its corpus, rows, faulty rows by kind and files."""
    rows = []
    for name, found in answers.items():
        faults = found.result.get("faults", {"counts": {}})["counts"]
        said = ", ".join(f"{count:,} {kind}" for kind, count in faults.items()) or "none"
        counted = ("rows", "asked", "titles", "clips", "files")
        size = next((found.result[key] for key in counted if key in found.result), None)
        hashes = {file: facts["sha256"][:8] for file, facts in found.settings["files"].items()}
        files = "\n".join(f"{file} ({start})" for file, start in hashes.items())
        corpus = f"{found.settings['corpus']}. {found.settings['asks']}"
        rows.append([name, corpus, size, said, files])
    columns = ["Name", "Corpus and question", "Rows", "Faults", "Files (sha256)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def census_note(answers: Answers) -> Note:
    """Say which corpora were counted whole, which as samples, and by which code."""
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
    """Give links by host with the share alive in [0, 1], and the share alive of all links."""
    found = need(answers, "links").result
    rows = [
        [host, facts["total"], facts["share"], facts["low"], facts["high"]]
        for host, facts in found["hosts"].items()
    ]
    frame = pd.DataFrame(rows, columns=["domain", "links", "alive", "low", "high"])
    return frame, found["survivors"]["share"]


def lost_links(answers: Answers) -> pd.DataFrame:
    """Tabulate why links gave no picture, most frequent first."""
    found = need(answers, "links").result
    rows = [
        [reason, count, percent(count / found["asked"], 2)]
        for reason, count in found["reasons"].items()
    ]
    lost = found["unavailable"]
    share = f"{estimate(lost['share'], lost['low'], lost['high'], 2)} %"
    rows.append(["all of these", lost["count"], share])
    rows.append(["in the paper, of train", None, f"about {paper('captions.dead_links'):.0f} %"])
    return pd.DataFrame(rows, columns=["Reason", "Links", "Of all links"], dtype=object)


def shift(answers: Answers) -> pd.DataFrame:
    """Tabulate how captions of pictures still there differ from those of the lost, with p."""
    found = need(answers, "links").result["shift"]
    sides = [f"{found[side]:,} captions" for side in ("survivors", "lost")]
    means = [f"{found[side]:.2f}" for side in ("mean_survivors", "mean_lost")]
    length, p = f"{found['length_distance']:.3f}", p_value(found["length_p"])
    words = [f"{found[f'vocabulary_{name}']:.3f}" for name in ("distance", "by_chance", "p")]
    rows = [
        ["captions compared", *sides, None, None, None],
        ["mean length in words", *means, length, None, p],
        ["distribution of words", None, None, *words],
    ]
    columns = ["Fact", "Picture there", "Picture lost", "Distance", "By chance", "p"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def timbre(answers: Answers) -> pd.DataFrame:
    """Tabulate how the 90 numbers, computed again from HDF5 files, compare with those of UCI."""
    found = need(answers, "timbre").result
    rows = [
        ["HDF5 tracks computed again", f"{found['compared']:,} of {found['files']:,}"],
        ["numbers of each", f"{found['numbers']}"],
        ["largest difference from UCI's layout", f"{found['largest_difference']:.1e}"],
        ["rows in another layout", f"refused: {found['other_layout_refused']}"],
    ]
    return pd.DataFrame(rows, columns=["Fact", "Measured"])


def years_by_row(answers: Answers) -> tuple[list[np.ndarray], list[str], int]:
    """Give the years of two lists of songs, their names, and how many rows apart they were read."""
    found = need(answers, "joins").result
    lists = found["years_by_row"]
    return [np.array(years) for years in lists.values()], list(lists), found["every"]


def joins(answers: Answers) -> pd.DataFrame:
    """Tabulate, by the way of joining, how often years agree and how many rows are certain."""
    found = need(answers, "joins").result
    rows = [
        {
            "Songs": catalogue,
            "Join": name,
            "Rows": facts["rows"],
            "Years agree": percent(facts["agreement"]),
            "Certain": _certain(facts["certain"], facts["rows"]),
            "Right": facts.get("right"),
            "Certain but wrong": facts.get("certain_and_wrong"),
        }
        for catalogue, joined in (("real", found["joins"]), ("made up", found["catalogue"]))
        for name, facts in joined.items()
    ]
    return pd.DataFrame(rows, dtype=object)


def funnels(answers: Answers, name: str) -> pd.DataFrame:
    """Count the titles that each step of cleaning leaves: rows of `order, step, titles`."""
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
    """Tabulate which share of titles holds a named entity, by letter case, and what is left."""
    rows: list[list[Any]] = []
    for found in (answers[name] for name in ("fma_names", "song_names") if name in answers):
        orders = [found.result["orders"][f"{order}_lowercasing"] for order in ("before", "after")]
        held = [percent(each["share_with_a_name"], 2) for each in orders]
        left = [percent(each["out"] / each["in"]) for each in orders]
        rows.append([found.settings["corpus"], found.result["titles"], *held, *left])
    columns = ["Titles of", "Titles", "With a name, original case", "With a name, lower case"]
    columns += ["Left, names first", "Left, lower case first"]
    return pd.DataFrame(rows, columns=columns)


def named_samples(answers: Answers) -> pd.DataFrame:
    """Tabulate the paper's ten sample titles, and in which letter case a name is found in them."""
    said = {True: "a name", False: "none"}
    rows = [
        [title, *(said[flag] for flag in flags)]
        for title, flags in need(answers, "song_names").result["table_2"].items()
    ]
    return pd.DataFrame(rows, columns=["Title", "With Capitals", "in lower case"])


def sounds(answers: Answers) -> pd.DataFrame:
    """Tabulate rates, channels and lengths of decoded clips beside the paper's."""
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
    """Give one answer. Raises InputError where the question has none."""
    if name not in answers:
        msg = (
            f"census: expected an answer to {name!r}, there is none: neither its files nor a "
            "published answer is here; fetch the corpus, or take results/ from the repository"
        )
        raise InputError(msg)
    return answers[name]


def where(found: Record) -> str:
    """Say in two words on what an answer rests."""
    return str(found.settings["found"])


def _certain(certain: int, count: int) -> str:
    if count - certain < count / 100:
        return f"all but {count - certain:,}" if certain < count else "all"
    return f"{certain:,} ({percent(certain / count)})" if certain else "none"


def _spread(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{int(value):,} ({times:,})" for value, times in counts.items())
