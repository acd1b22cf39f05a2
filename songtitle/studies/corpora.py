"""Pages 1 and 7, the corpora: lengths of captions and titles, and what the census found."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.errors import InputError
from songtitle.experiment.paper_corpora import WHOLE
from songtitle.figures import COLOURS, ENDS, GREY, MARKERS, amount
from songtitle.fmt import p_value, percent, write
from songtitle.paper.printed import paper
from songtitle.tables import Note, other_code, rests_on, tabulate

Answers = Mapping[str, Record]  # of the census, by question

# Which rows of the paper's tables a question of the census answers.
SAME_AS = {"captions": "cc", "captions_valid": "cc", "song_titles": "msd", "dated_songs": "msd"}
SAME_AS |= {"fma_tracks": "fma", "fma_raw": "fma", "fma_small": "fma"}


def lengths_of(counts: Mapping[str, int]) -> np.ndarray:
    """Repeat each length in words as often as it occurs."""
    return np.repeat([int(length) for length in counts], list(counts.values()))


def stand_ins(record: Record, config: ExperimentConfig) -> pd.DataFrame:
    """Tabulate what stands for each of the paper's corpora, and how much of it there is."""
    its, pictures = record.result, record.result["pictures"]
    sides = ", ".join(f"{count:,} {side}" for side, count in pictures.items())
    rows = [[paper_of("cc"), its["captions"], "pictures, captions", sides]]
    for reading, row in (("timbre", "msd"), ("spectrogram", "fma")):
        name = its["stands_for"].get(reading)
        tested = f"{its['test_titles'].get(name, 0):,} test songs"
        every = f"{sum(its['lengths'][name].values()):,} titles, {tested}" if name else "none here"
        told = f"songs by {reading}" + ", the same for both" * config.material.shared
        rows.append([paper_of(row), name, told, every])
    return pd.DataFrame(rows, columns=["In the paper", "Here", "What it is", "How much"])


def paper_of(row: str) -> str:
    """Name a corpus of the paper by its row in the tables."""
    names = {
        "cc": "Conceptual Captions",
        "msd": "Million Song Dataset",
        "fma": "Free Music Archive",
    }
    return names[row]


def panels(record: Record, answers: Answers) -> list[tuple[str, np.ndarray]]:
    """Give name and lengths of the six panels of Fig. 5: the corpora of this run, captions and what
    stands for either collection of titles, then the paper's as the census has them.

    Of several counts of a corpus the one of most rows is taken.
    """
    here = [record.result["captions"], *record.result["stands_for"].values()]
    found = [(name, record.result["lengths"][name]) for name in here]
    for row in ("cc", "msd", "fma"):
        several = [each for name, each in answers.items() if SAME_AS.get(name) == row]
        most = max(several, key=lambda each: each.result["rows"])
        found.append((str(most.settings["corpus"]), most.result["as_written"]["lengths"]))
    letters = zip("abcabc", found, strict=True)
    return [(f"({letter}) {name}", lengths_of(counts)) for letter, (name, counts) in letters]


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


# --- page 7, the paper's corpora

_STEPS = {  # of the funnel, and what a title that passes has
    "named entities": "no named entity",
    "dictionary": "dictionary words only",
    "duplicates": "no duplicate",
}


def need(answers: Answers, name: str) -> Record:
    """Give one answer. Raises InputError where the question has none."""
    if name not in answers:
        msg = (
            f"census: expected an answer to {name!r}, there is none: neither its files nor a "
            "published answer is here; fetch the corpus, or take results/ from the repository"
        )
        raise InputError(msg)
    return answers[name]


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
        rows.append([name, "{corpus}. {asks}".format(**found.settings), size, said, files])
    columns = ["Name", "Corpus and question", "Rows", "Faults", "Files (sha256)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def census_note(answers: Answers) -> Note:
    """Say which corpora were counted whole, which as samples, and by which code."""
    whole = [name for name, found in answers.items() if found.settings["found"] == WHOLE]
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
    frame = pd.DataFrame(found["hosts"]).T[["total", "share", "low", "high"]].reset_index()
    frame.columns = pd.Index(["domain", "links", "alive", "low", "high"])
    return frame.astype({"links": int}), found["survivors"]["share"]


def lost_links(answers: Answers) -> pd.DataFrame:
    """Tabulate why links gave no picture, most frequent first."""
    found = need(answers, "links").result
    lost = found["unavailable"]
    share = write("{share:points.2} [{low:points.2}, {high:points.2}] %", lost)
    rows = [[why, n, percent(n / found["asked"], 2)] for why, n in found["reasons"].items()]
    rows += [["all of these", lost["count"], share]]
    rows += [["in the paper, of train", None, f"about {paper('captions.dead_links'):.0f} %"]]
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
    facts = {
        "HDF5 tracks computed again": "{compared:,} of {files:,}",
        "numbers of each": "{numbers}",
        "largest difference from UCI's layout": "{largest_difference:.1e}",
        "rows in another layout": "refused: {other_layout_refused}",
    }
    found = need(answers, "timbre").result
    rows = [[fact, write(cell, found)] for fact, cell in facts.items()]
    return pd.DataFrame(rows, columns=["Fact", "Measured"])


def years_by_row(answers: Answers) -> tuple[list[np.ndarray], list[str], int]:
    """Give the years of two lists of songs, their names, and how many rows apart they were read."""
    found = need(answers, "joins").result
    lists = found["years_by_row"]
    return [np.array(years) for years in lists.values()], list(lists), found["every"]


def joins(answers: Answers) -> pd.DataFrame:
    """Tabulate, by the way of joining, how often years agree and how many rows are certain."""

    def certain(row: dict[str, int]) -> str:
        sure, count = row["certain"], row["rows"]
        if count - sure < count / 100:
            return f"all but {count - sure:,}" if sure < count else "all"
        return f"{sure:,} ({percent(sure / count)})" if sure else "none"

    found = need(answers, "joins").result
    rows = [
        facts | {"songs": songs, "join": name}
        for songs, joined in (("real", found["joins"]), ("made up", found["catalogue"]))
        for name, facts in joined.items()
    ]
    columns = {
        "Songs": "songs",
        "Join": "join",
        "Rows": "rows",
        "Years agree": "{agreement:percent}",
        "Certain": certain,
        "Right": lambda row: row.get("right"),
        "Certain but wrong": lambda row: row.get("certain_and_wrong"),
    }
    return tabulate(rows, columns)


def funnels(answers: Answers, name: str) -> pd.DataFrame:
    """Count the titles that each step of cleaning leaves: rows of `order, step, titles`."""
    rows = []
    for order, found in need(answers, name).result["orders"].items():
        left = {_STEPS.get(step["name"]): step["after"] for step in found["steps"]}
        said = f"names looked for {order.replace('_', ' ')}"
        rows.append([said, "all titles", found["in"]])
        rows += [[said, step, titles] for step, titles in left.items() if step]
    frame = pd.DataFrame(rows, columns=["order", "step", "titles"])
    places = {step: place for place, step in enumerate(["all titles", *_STEPS.values()])}
    return frame.sort_values("step", key=lambda steps: steps.map(places), kind="stable")


def named(answers: Answers) -> pd.DataFrame:
    """Tabulate which share of titles holds a named entity, by letter case, and what is left."""
    rows = []
    for found in (answers[name] for name in ("fma_names", "song_names") if name in answers):
        orders = [found.result["orders"][f"{order}_lowercasing"] for order in ("before", "after")]
        held = [percent(each["share_with_a_name"], 2) for each in orders]
        left = [percent(each["out"] / each["in"]) for each in orders]
        rows.append([found.settings["corpus"], found.result["titles"], *held, *left])
    columns = ["Titles of", "Titles", "With a name, original case", "With a name, lower case"]
    columns += ["Left, names first", "Left, lower case first"]
    return pd.DataFrame(rows, columns=columns)


def sounds(answers: Answers) -> pd.DataFrame:
    """Tabulate rates, channels and lengths of decoded clips beside the paper's."""
    found = need(answers, "clips").result
    facts = {
        "sampling rate (Hz)": ("sample_rate", f"{paper('clip.sample_rate'):,.0f}"),
        "channels": ("channels", None),
        "samples": ("samples", f"{paper('clip.samples'):,.0f}, roughly"),
        "bit rate (kbit/s)": ("bit_rate", None),
    }
    rows = [
        [fact, ", ".join(f"{int(value):,} ({n:,})" for value, n in found[key].items()), printed]
        for fact, (key, printed) in facts.items()
    ]
    rows.append(["clips", f"{found['clips']:,}", f"{paper('clip.tracks'):,.0f}"])
    return pd.DataFrame(rows, columns=["Fact", "Measured (clips)", "In the paper"])


def title_funnel(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many titles each step of cleaning leaves, one row of bars an order of the steps.

    `steps` has the columns order, step and titles, in the order of the steps.
    """
    columns = {"order": "order", "step": "step", "titles": "titles left"}
    drawn = figures.tidy("steps of the funnel", steps, columns)
    ax = figures.own_axes(ax)
    names, orders = list(dict.fromkeys(steps["step"])), steps["order"].nunique()
    height, said = 0.8 / orders, []
    for place, (order, rows) in enumerate(steps.groupby("order", sort=False)):
        titles = rows["titles"].to_numpy()
        at = rows["step"].map(names.index) + (place - (orders - 1) / 2) * height
        look = {"color": COLOURS[place], "hatch": ("", "//", "..")[place % 3], "edgecolor": "white"}
        bars = ax.barh(at, titles, height=0.92 * height, label=order, **look)
        ax.bar_label(bars, [f"{count:,}" for count in titles], padding=3, size=9)
        text = f"{order}, {amount(titles[0])} titles become {amount(titles[-1])}"
        if len(titles) > 1 and (lost := -np.diff(titles)).max() > 0:
            most = int(np.argmax(lost))
            share = amount(100 * lost[most] / titles[most])
            text += f", most of them lost at {rows['step'].iloc[most + 1]} ({share} %)"
        said.append(text)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(right=1.12 * steps["titles"].max())
    ax.set(xlabel="titles left")
    figures.count_along(ax)
    ax.grid(visible=False, axis="y")
    figures.legend_below(ax, ncols=orders)
    return figures.hand_on(ax, drawn, "; ".join(said))


def link_survival(domains: pd.DataFrame, *, total: float, ax: Axes | None = None) -> Axes:
    """Draw the share of links that still give a picture, by domain, with 95 % intervals.

    `domains` has the columns domain, links, alive, low and high (shares in [0, 1]); `total` is the
    share of all links and is drawn as a line.
    """
    name = "links that give a picture (%)"
    ends = {"alive": name} | ENDS
    columns = {"domain": "domain", "links": "links"} | ends
    drawn = figures.tidy("links by domain", domains, columns, percent=ends)
    ax = figures.own_axes(ax)
    look = {"fmt": MARKERS[0], "color": COLOURS[0], "capsize": 3, "markersize": 5}
    ax.errorbar(drawn[name], range(len(drawn)), xerr=figures.reach(drawn, name), **look)
    ax.axvline(100 * total, color=GREY, ls="--", lw=1.4, label=f"all links: {100 * total:.1f} %")
    hosts = [f"{row.domain} ({row.links:,})" for row in domains.itertuples()]
    ax.set_yticks(range(len(drawn)), hosts)
    ax.invert_yaxis()
    ax.set(xlabel=name)
    ax.legend(loc="best")
    said = figures.extremes(drawn, name, at="domain")
    drawn.loc[len(drawn)] = pd.Series({"domain": "all links", name: 100 * total})
    return figures.hand_on(ax, drawn, f"{said}; all links: {amount(100 * total, name)}")


def two_orders(
    years: Sequence[Int[np.ndarray, " rows"]],
    names: Sequence[str],
    *,
    every: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw the year of each row of two lists of the same songs, by row number.

    The lists may hold `every` so many rows only.
    """
    if len(years) != len(names) or not all(len(column) for column in years):
        msg = f"years: expected {len(names)} lists with rows, got {[len(c) for c in years]}"
        raise InputError(msg)
    ax = figures.own_axes(ax)
    row, year = "row of the list", "year of the song"
    drawn, said = [], []
    for place, (column, name) in enumerate(zip(years, names, strict=True)):
        at = every * np.arange(len(column))
        look = {"color": COLOURS[place], "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
        ax.plot(at, column, MARKERS[place], label=name, rasterized=True, **look)
        drawn.append(pd.DataFrame({"list": name, row: at, year: column}))
        falls = float(np.mean(np.diff(column) < 0)) if len(column) > 1 else 0.0
        often = f"falls at {amount(100 * falls)} % of the rows"
        often = often if falls else "never falls from one row to the next"
        said.append(f"in {name} the year {often}, from {column.min()} to {column.max()}")
    ax.set(xlabel=row, ylabel=year)
    figures.count_along(ax)
    ax.legend(markerscale=2.5)
    return figures.hand_on(ax, pd.concat(drawn), "; ".join(said))
