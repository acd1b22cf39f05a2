"""Page 7, the paper's corpora: what the census found in them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.experiment.paper_corpora import WHOLE
from songtitle.figures.findings import amount, extremes, hand_on
from songtitle.figures.style import (
    COLOURS,
    ENDS,
    GREY,
    MARKERS,
    legend_below,
    own_axes,
    reach,
    tidy,
)
from songtitle.fmt import estimate, p_value, percent
from songtitle.paper.printed import paper
from songtitle.tables import Note, other_code, rests_on

Answers = Mapping[str, Record]  # of the census, by question

THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
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
        files = "\n".join(
            f"{file} ({facts['sha256'][:8]})" for file, facts in found.settings["files"].items()
        )
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
    fields = ("total", "share", "low", "high")
    rows = [[host, *map(facts.get, fields)] for host, facts in found["hosts"].items()]
    frame = pd.DataFrame(rows, columns=["domain", "links", "alive", "low", "high"])
    return frame, found["survivors"]["share"]


def lost_links(answers: Answers) -> pd.DataFrame:
    """Tabulate why links gave no picture, most frequent first."""
    found = need(answers, "links").result
    lost = found["unavailable"]
    share = f"{estimate(lost['share'], lost['low'], lost['high'], 2)} %"
    rows = [
        *([why, n, percent(n / found["asked"], 2)] for why, n in found["reasons"].items()),
        ["all of these", lost["count"], share],
        ["in the paper, of train", None, f"about {paper('captions.dead_links'):.0f} %"],
    ]
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


def named_samples(answers: Answers) -> pd.DataFrame:
    """Tabulate the paper's ten sample titles, and in which letter case a name is found in them."""
    found = need(answers, "song_names").result["table_2"]
    rows = [
        [title, *("a name" if flag else "none" for flag in flags)] for title, flags in found.items()
    ]
    return pd.DataFrame(rows, columns=["Title", "With Capitals", "in lower case"])


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


def need(answers: Answers, name: str) -> Record:
    """Give one answer. Raises InputError where the question has none."""
    if name not in answers:
        msg = (
            f"census: expected an answer to {name!r}, there is none: neither its files nor a "
            "published answer is here; fetch the corpus, or take results/ from the repository"
        )
        raise InputError(msg)
    return answers[name]


def _certain(certain: int, count: int) -> str:
    if count - certain < count / 100:
        return f"all but {count - certain:,}" if certain < count else "all"
    return f"{certain:,} ({percent(certain / count)})" if certain else "none"


def title_funnel(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many titles each step of cleaning leaves, one row of bars an order of the steps.

    `steps` has the columns order, step and titles, in the order of the steps.
    """
    names_of = {"order": "order", "step": "step", "titles": "titles left"}
    drawn = tidy("steps of the funnel", steps, names_of)
    ax = own_axes(ax)
    names, orders = list(dict.fromkeys(steps["step"])), steps["order"].nunique()
    height = 0.8 / orders
    for place, (order, rows) in enumerate(steps.groupby("order", sort=False)):
        at = [names.index(step) + (place - (orders - 1) / 2) * height for step in rows["step"]]
        look = {"color": COLOURS[place], "hatch": ("", "//", "..")[place % 3], "edgecolor": "white"}
        bars = ax.barh(at, rows["titles"], height=0.92 * height, label=order, **look)
        ax.bar_label(bars, [f"{count:,}" for count in rows["titles"]], padding=3, size=9)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(right=1.12 * steps["titles"].max())
    ax.set(xlabel="titles left")
    _count_in_thousands(ax)
    ax.grid(visible=False, axis="y")
    legend_below(ax, ncols=orders)
    return hand_on(ax, drawn, _losses(steps))


def _losses(steps: pd.DataFrame) -> str:
    """Say what each order leaves of the titles, and the step that takes most."""
    parts = []
    for order, rows in steps.groupby("order", sort=False):
        titles = rows["titles"].to_numpy()
        text = f"{order}, {amount(titles[0])} titles become {amount(titles[-1])}"
        if len(titles) > 1 and (lost := -np.diff(titles)).max() > 0:
            place = int(np.argmax(lost))
            share = amount(100 * lost[place] / titles[place])
            text += f", most of them lost at {rows['step'].iloc[place + 1]} ({share} %)"
        parts.append(text)
    return "; ".join(parts)


def link_survival(domains: pd.DataFrame, *, total: float, ax: Axes | None = None) -> Axes:
    """Draw the share of links that still give a picture, by domain, with 95 % intervals.

    `domains` has the columns domain, links, alive, low and high (shares in [0, 1]); `total` is the
    share of all links and is drawn as a line.
    """
    name = "links that give a picture (%)"
    ends = {"alive": name} | ENDS
    columns = {"domain": "domain", "links": "links"} | ends
    drawn = tidy("links by domain", domains, columns, percent=ends)
    ax = own_axes(ax)
    share, low, high = (drawn[each].to_numpy() for each in ends.values())
    at = np.arange(len(domains))
    look = {"fmt": MARKERS[0], "color": COLOURS[0], "capsize": 3, "markersize": 5}
    ax.errorbar(share, at, xerr=reach(share, low, high), **look)
    ax.axvline(100 * total, color=GREY, ls="--", lw=1.4, label=f"all links: {100 * total:.1f} %")
    pairs = zip(domains["domain"], domains["links"], strict=True)
    ax.set_yticks(at, [f"{name} ({count:,})" for name, count in pairs])
    ax.invert_yaxis()
    ax.set(xlabel=name)
    ax.legend(loc="best")
    finding = f"{extremes(drawn, name, at='domain')}; all links: {amount(100 * total, name)}"
    drawn.loc[len(drawn)] = pd.Series({"domain": "all links", name: 100 * total})
    return hand_on(ax, drawn, finding)


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
    ax = own_axes(ax)
    row, year = "row of the list", "year of the song"
    drawn, said = [], []
    for place, (column, name) in enumerate(zip(years, names, strict=True)):
        at = every * np.arange(len(column))
        look = {"color": COLOURS[place], "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
        ax.plot(at, column, MARKERS[place], label=name, rasterized=True, **look)
        drawn.append(pd.DataFrame({"list": name, row: at, year: column}))
        falls = float(np.mean(np.diff(column) < 0)) if len(column) > 1 else 0.0
        often = f"falls at {amount(100 * falls)} % of the rows"
        never = "never falls from one row to the next"
        said.append(
            f"in {name} the year {often if falls else never}, from {column.min()} to {column.max()}"
        )
    ax.set(xlabel=row, ylabel=year)
    _count_in_thousands(ax)
    ax.legend(markerscale=2.5)
    return hand_on(ax, pd.concat(drawn), "; ".join(said))


def _count_in_thousands(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter(THOUSANDS)
