"""Page 12, the switchboard: each assumption changed, one at a time."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import PRESETS, ExperimentConfig, setting
from songtitle.experiment.switchboard import (
    ASSUMPTIONS,
    BEAM_SIZE,
    YARDSTICK,
    Assumption,
    Settings,
    taken,
)
from songtitle.figures import COLOURS, GREY, amount
from songtitle.fmt import write
from songtitle.studies.labs import MOVED
from songtitle.tables import Markup, definition_note, origin, short_name

# Pages of the book by the name of their file, as a reader of a table knows them.
PAGES = {
    "03_training": "Training",
    "04_search": "Search",
    "06_similarity": "Similarity",
    "07_paper_corpora": "The paper's corpora",
    "08_speed": "Speed",
    "../again": "Run it all again",
}

STANDS_OUT, LUCK = "score: stands out", "score: not told from luck"
OVER_CHANCE, NOT_TOUCHED = "gain over chance", "not touched"
CLEAR: dict[str, Any] = {"facecolor": COLOURS[0], "edgecolor": COLOURS[0], "linewidth": 0.9}
BARS = {STANDS_OUT: CLEAR, LUCK: CLEAR | {"facecolor": "white", "hatch": "////"}}
_DIAMOND = {"facecolor": COLOURS[1], "edgecolor": "black", "linewidth": 0.6}
MARKS: dict[str, dict[str, Any]] = {
    OVER_CHANCE: {"marker": "D", "s": 22} | _DIAMOND,
    NOT_TOUCHED: {"marker": "_", "s": 60, "color": GREY},
}
_STANDING = (
    "{score:points} (chance {chance:points})\n"
    "gain {gain:points} [{gain_low:points}, {gain_high:points}]"
)
_MEASURES = {"score": "the score", "gain": "the gain over chance"}


def open_questions() -> pd.DataFrame:
    """Tabulate every question, its place in the paper, its answers, and what decides."""
    rows = [
        {
            "Name": each.name,
            "Place": ", ".join(each.place),
            "Question": (each.question, Markup(each.note)) if each.note else each.question,
            "Here": each.default.label,
            "Other answers": "; ".join(answer.label for answer in each.alternatives),
            "Decided on": Markup(f"[{PAGES[each.page]}]({each.page})", PAGES[each.page])
            if each.page
            else "this page",
        }
        for each in ASSUMPTIONS
    ]
    return pd.DataFrame(rows)


def sides() -> pd.DataFrame:
    """Tabulate which answer each preset gives to each question that is a matter of settings, or its
    own values where they are none of the answers."""

    def side(config: ExperimentConfig, question: Assumption, change: Settings) -> str:
        if answer := taken(config, question):
            return answer.label
        return ", ".join(str(setting(config, name)) for name in change.fields)

    shown = {name: config for name, config in PRESETS.items() if name != "tiny"}
    rows = [
        [each.name, *(side(config, each, each.default.change) for config in shown.values())]
        for each in ASSUMPTIONS
        if isinstance(each.default.change, Settings)
    ]
    return pd.DataFrame(rows, columns=["Question", *shown])


def tornado_panels(record: Record) -> list[tuple[str, pd.DataFrame, float]]:
    """Give title, changes and luck of each tornado plot: readings, then what is made otherwise.

    Each of the two has one panel an input, of the same rows in the same order: that of the largest
    bar a change has, as a share of the longest bar of its panel. Luck is how far another order of
    the batches moves the score, in [0, 1]; without a yardstick, it is 0.
    """
    rows, panels = changes_of(record), []
    yardstick = rows["question"] == YARDSTICK
    luck = rows[yardstick].set_index("input")["score_change"].abs().groupby(level=0).max()
    for reads in (True, False):
        block = rows[((rows["kind"] == "reading") == reads) & ~yardstick]
        wide = block.pivot(index="name", columns="input", values="score_change").abs()
        order = (wide / wide.max().where(wide.max() > 0, 1)).max(axis=1)
        order = order.sort_values(ascending=False, kind="stable").index
        for name in inputs(record) if len(block) else ():
            frame = block[block["input"] == name].set_index("name").reindex(order).reset_index()
            title = f"{name}\n{'read' if reads else 'made'} otherwise"
            panels.append((title, frame, 0.0 if reads else float(luck.get(name, 0.0))))
    return panels


def switch_table(record: Record) -> pd.DataFrame:
    """Tabulate what each change does to each input, in percent points, and what stands out."""
    names, moves = inputs(record), {name: MOVED.replace("N", name) for name in _MEASURES}
    cell = f"{_STANDING}\nscore {moves['score']}\ngain {moves['gain']}"
    stands = {row["input"]: write(_STANDING, row) for row in record.result["default"]}
    rows = [["nothing", f"{record.result['valid_perplexity']:.2f}", *map(stands.get, names), None]]
    for change in record.result["changes"]:
        cells = {row["input"]: write(cell, row) for row in change["rows"]}
        trained = change["valid_perplexity"]
        shown = None if trained is None else f"{trained:.2f}"
        rows.append([_name(change), shown, *map(cells.get, names), _verdict(change)])
    columns = ["Change", "Perplexity", *names, "What moves further than luck"]
    return pd.DataFrame(rows, columns=columns)


def changes_of(record: Record) -> pd.DataFrame:
    """Give one row for each change and input that it touches, with the name of the change."""
    return pd.DataFrame(
        [
            {"name": _name(change), "question": change["question"], "kind": change["kind"]} | row
            for change in record.result["changes"]
            for row in change["rows"]
        ]
    )


def switched(record: Record) -> dict[str, str]:
    """Give what prose may quote: how many changes there are, how many stand out, the largest."""
    rows = _thrown(record)
    said = {"switches.changes": f"{rows['name'].nunique()}", "switches.bars": f"{len(rows)}"}
    said |= {f"switches.{name}": f"{rows[f'{name}_clear'].sum()}" for name in _MEASURES}
    for name in inputs(record):
        mine = rows[rows["input"] == name]
        for measure in _MEASURES if len(mine) else ():
            row = mine.loc[mine[f"{measure}_change"].abs().idxmax()]
            change, ends = write(MOVED.replace("N", measure), row).split(" ", 1)
            key = f"switches.{short_name(name)}.{measure}"
            said |= {f"{key}.name": row["name"], key: change, f"{key}.range": ends}
    return said


def switch_summary(record: Record) -> str:
    """Say in a few sentences what the switchboard found."""
    rows = _thrown(record)
    parts = [f"{rows['name'].nunique()} switches, {len(rows)} bars."]
    for measure, meaning in _MEASURES.items():
        clear = rows[rows[f"{measure}_clear"]]
        if clear.empty:
            parts.append(f"None moves {meaning} further than luck would.")
            continue
        first = clear.loc[clear[f"{measure}_change"].abs().idxmax()]
        parts.append(
            f"{len(clear)} bars move {meaning} further than luck would, "
            f"{(clear['kind'] == 'reading').sum()} of them by reading the same answers otherwise. "
            f"The largest is “{first['name']}” on {first['input']}: "
            f"{write(MOVED.replace('N', measure), first)}."
        )
    return " ".join(parts)


def switch_note(record: Record) -> str:
    """Say what the numbers of the table mean, to stand below it."""
    rows = changes_of(record)
    counts = {row["input"]: row["items"] for row in record.result["default"]}
    sizes = ", ".join(f"{name}: {counts[name]:,}" for name in inputs(record))
    again = rows.loc[rows["kind"] == "spectrogram", "items"]
    heard = f" ({again.min():,} songs where spectrograms change)" if len(again) else ""
    return (
        "Percent points; in brackets 95 % intervals over items. The first line of a cell is what "
        "stands after the change; the gain is the score less chance, the mean over all wrong "
        f"pairings. Items: {sizes}{heard}. Beam size {BEAM_SIZE}. Stands out: the p value of the "
        f"paired difference holds among all {len(rows)} bars (Holm), and after another training "
        "the change goes further than any other order of the batches moved it. Perplexity is "
        "that of validation captions, and does not compare across vocabularies. "
        f"{definition_note(record)} {origin(record)}"
    )


def inputs(record: Record) -> list[str]:
    """Give the inputs of a switchboard, songs before pictures."""
    found = [row["input"] for row in record.result["default"]]
    return [*(name for name in found if name.startswith("songs")), found[0]]


def _thrown(record: Record) -> pd.DataFrame:
    rows = changes_of(record)
    return rows[rows["question"] != YARDSTICK]


def _name(change: dict[str, Any]) -> str:
    return f"{change['question'].replace('_', ' ')}: {change['before']} → {change['label']}"


def _verdict(change: dict[str, Any]) -> str:
    """Say what a change clearly moves."""
    if all(row["score_change"] == 0 == row["gain_change"] for row in change["rows"]):
        return "nothing moves"
    if change["question"] == YARDSTICK:
        return "the yardstick"
    found = []
    for measure in _MEASURES:
        clear = [short_name(row["input"]) for row in change["rows"] if row[f"{measure}_clear"]]
        found += [f"{measure} of {', '.join(clear)}"] if clear else []
    return "; ".join(found) or "nothing stands out"


def tornado(changes: pd.DataFrame, *, luck: float = 0.0, ax: Axes | None = None) -> Axes:
    """Draw one bar a change of BLEU, in percent points, rows in the order given from the top.

    `changes` has the columns name, score_change, score_change_low, score_change_high, score_clear
    and gain_change, of shares in [0, 1]. A bar ends at the change of the score, the line across its
    end is its 95 % interval, and it is solid where `score_clear` says that the change stands out;
    the diamond is the change of the gain over chance. A missing value is a change that does not
    touch this input, and has a dash at 0. Within `luck` on either side of 0, shaded, other orders
    of the training batches move the score as far.
    """
    label, gain = "change (percent points)", f"{OVER_CHANCE} (percent points)"
    ends = {"score_change": label, "score_change_low": "low", "score_change_high": "high"}
    shares = ends | {"gain_change": gain}
    names = {"name": "switch"} | shares | {"score_clear": "verdict"}
    drawn = figures.tidy("changes", changes, names, percent=shares).reset_index(drop=True)
    ax = figures.own_axes(ax)
    if luck:
        ax.axvspan(-100 * luck, 100 * luck, color="0.9", zorder=0)
    touched, clear = drawn[label].notna(), drawn["verdict"].eq(True)
    drawn["verdict"] = np.where(touched, np.where(clear, STANDS_OUT, LUCK), NOT_TOUCHED)
    for said, style in BARS.items():
        bars = drawn[drawn["verdict"] == said]
        ax.barh(bars.index, bars[label], height=0.62, zorder=2, label=said, **style)
    found = drawn[touched]
    look: dict[str, Any] = {"fmt": "none", "ecolor": "0.25", "elinewidth": 1.1, "capsize": 2}
    ax.errorbar(found[label], found.index, xerr=figures.reach(found, label), zorder=3, **look)
    ax.scatter(found[gain], found.index, zorder=4, label=OVER_CHANCE, **MARKS[OVER_CHANCE])
    dashes = drawn.index[~touched]
    ax.scatter(0 * dashes, dashes, zorder=4, label=NOT_TOUCHED, **MARKS[NOT_TOUCHED])
    ax.axvline(0, color="0.3", lw=1, zorder=3)
    ax.use_sticky_edges = False  # a bar's foot at 0 needs room on its other side, too
    ax.margins(x=0.08)
    if not drawn[["low", "high", gain]].fillna(0).any(axis=None) and not luck:
        ax.set_xlim(-1, 1)
    figures.name_rows(ax, list(drawn["switch"]), label, size=9)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    drawn["switch"] = drawn["switch"].map(figures.one_line)
    finding = "no switch touches it"
    if touched.any():
        most = found.loc[found[label].abs().idxmax()]
        finding = (
            f"moved most by {most['switch']}, {amount(most[label])} points "
            f"({amount(most['low'])} to {amount(most['high'])}); "
            f"{int((clear & touched).sum())} of {len(found)} stand out"
        )
    span = {"switch": ["another batch order"], "low": [-100 * luck], "high": [100 * luck]}
    whole = pd.concat([drawn, pd.DataFrame(span)]) if luck else drawn
    return figures.hand_on(ax, whole, finding)


def tornado_legend(figure: Figure) -> Legend:
    """Draw one legend for all tornado plots of a figure, below them."""
    handles = [
        *(Patch(**style, label=label) for label, style in BARS.items()),
        *(figure.axes[0].scatter([], [], **style, label=label) for label, style in MARKS.items()),
        Patch(color="0.9", label="another batch order"),
    ]
    return figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
