"""Pages 12 and 17, what if: each assumption changed, one at a time, and five mistakes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import PRESETS, ExperimentConfig, Input, setting
from songtitle.experiment.naming import AT_ONCE, BEAM_SIZE
from songtitle.experiment.switchboard import ASSUMPTIONS, YARDSTICK, Assumption, Settings, taken
from songtitle.figures import BLEU, COLOURS, GREY, SCORED, amount
from songtitle.fmt import called, points, write
from songtitle.metrics.chance import holm
from songtitle.tables import Markup, Note, definition_note, origin, short_name

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
_ONE_TRAINING = (
    "All of one training, whose scores may lie off the means over several of Table 4 "
    "({ref}`tab-4`) and have other intervals"
)
_OVER = "95 % interval over series, of one training"
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
            title = f"{called(name)}\n{'read' if reads else 'made'} otherwise"
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
    """Give what prose may quote: how many changes and bars there are, how many of these stand out,
    and among how many (`holm`), which holds the yardstick, too."""
    rows = _thrown(record)
    said = {"switches.changes": f"{rows['name'].nunique()}", "switches.bars": f"{len(rows)}"}
    said |= {f"switches.{name}": f"{rows[f'{name}_clear'].sum()}" for name in _MEASURES}
    return said | {"switches.holm": f"{len(changes_of(record))}"}


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
            f"{write(MOVED.replace('N', measure), first)} ({_OVER}), picked from "
            f"{len(changes_of(record))} bars, other orders of the batches with them, for which the "
            "correction (Holm) allows."
        )
    parts.append(moved_little(rows.to_dict("records"), record.settings["smallest_effect"]))
    return " ".join(parts)


def moved_little(rows: Sequence[dict[str, Any]], smallest: float) -> str:
    """Say in how many rows the gain moves by less than `smallest` points, and by how much at most.

    Two one-sided tests at 5 % each: the 90 % interval of the change lies within `smallest` of 0.
    """
    little = [row["gain_most"] for row in rows if 100 * row["gain_most"] < smallest]
    tested = "two one-sided tests over series, 5 % each, of one training"
    if not little:
        return (
            f"In none of {len(rows)} is the gain shown to move less than {smallest:g} ({tested})."
        )
    return (
        f"In {len(little)} of {len(rows)} the gain moves by no more than {points(max(little), 2)} "
        f"points, less than the {smallest:g} that would matter ({tested})."
    )


def switch_note(record: Record) -> str:
    """Say what the numbers of the table mean, to stand below it."""
    rows = changes_of(record)
    orders = rows.loc[rows["question"] == YARDSTICK, "name"].nunique()
    further = f", and after another training the change goes further than {orders} other orders of "
    further += f"the batches moved it: by luck one more order would, one time in {orders + 1}"
    counts = {row["input"]: row["items"] for row in record.result["default"]}
    sizes = ", ".join(f"{name}: {counts[name]:,}" for name in inputs(record))
    again = rows.loc[rows["kind"] == "spectrogram", "items"]
    heard = f" ({again.min():,} songs where spectrograms change)" if len(again) else ""
    return (
        f"Percent points; in brackets 95 % intervals over series. {_ONE_TRAINING}, but where a "
        "switch asks for another. The first line of a cell is what "
        "stands after the change; the gain is the score less chance, the mean over all wrong "
        f"pairings. Items: {sizes}{heard}. Beam size {BEAM_SIZE}. Stands out: the p value of the "
        f"paired difference holds among all {len(rows)} bars (Holm){further if orders else ''}. "
        "Perplexity is that of validation captions, at the epoch that is best on them; it does not "
        "compare across vocabularies. "
        f"{definition_note(record)} {origin(record)}"
    )


def inputs(record: Record) -> list[str]:
    """Give the inputs of a switchboard, songs before pictures."""
    found = [row["input"] for row in record.result["default"]]
    return sorted(found, key=lambda name: not Input.of(name).is_song)


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
            f"({amount(most['low'])} to {amount(most['high'])}, {_OVER}); "
            f"{int((clear & touched).sum())} of {len(found)} stand out"
        )
    span = {"switch": ["another batch order"], "low": [-100 * luck], "high": [100 * luck]}
    whole = pd.concat([drawn, pd.DataFrame(span)]) if luck else drawn
    return figures.hand_on(ax, whole, finding)


# --- page 17, the labs

NAMES = {
    "letters": "strings for tokens",
    "batch_norm": "batch-norm in training",
    "length": "no length norm",
    "join": "wrong join",
    "timbre": "raw timbre",
}
# How each mistake acts, whatever it does to the score of one run.
WHY = {
    "letters": "Two phrases share few words but nearly always some letters, related or not. So the "
    "score of everything rises, and with it that of wrong titles: another unit, the same answers.",
    "batch_norm": "In training mode each song is centred and scaled by the songs that happen to be "
    "in its batch. Songs as a whole, which lie far from pictures, are moved to where pictures lie, "
    "and the decoder answers with other words. But it is the batch that was moved, not the song "
    "that was heard; in other company the same song gets another answer.",
    "length": "A sum falls with every further word, so short hypotheses win. That pays where "
    "answers were longer than the titles, and costs where the brevity penalty sets in; what the "
    "words are does not come into it.",
    "join": "Each song is judged by the title of another. That costs as much as there was to lose, "
    "which is the gain over chance: without any, nobody would notice the wrong join.",
    "timbre": "Raw numbers are many times larger than anything the decoder has met, and a few of "
    "them drown the rest. Its state is pushed to its limits, and it says other words, often the "
    "same for many songs. If these are frequent in titles, the score rises for every song alike.",
}
MOVED = "{N_change:plus} [{N_change_low:plus}, {N_change_high:plus}]"  # N: score or gain
_SIDES = (("before", COLOURS[0], "o", -0.14), ("after", COLOURS[1], "s", 0.14))


def lab_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Give one row a lab and input: `name, lab, input`, both sides and changes, in [0, 1], and
    `score_clear, gain_clear`: whether a change holds among all of these rows (Holm, 5 %)."""
    frames = [pd.DataFrame()]
    for record in records:
        lab, frame = record.settings["lab"], pd.json_normalize(record.result["rows"], sep="_")
        names = [f"{NAMES[lab]}, {short_name(name)}" for name in frame["input"]]
        frames.append(frame.assign(name=names, lab=lab, seconds=record.timing["seconds"]))
    found = pd.concat(frames, ignore_index=True)
    for measure in _MEASURES if records else ():
        found[f"{measure}_clear"] = holm(found[f"{measure}_p"].tolist())
    return found


def lab_table_note(record: Record) -> str:
    """Say what the numbers of the table mean, to stand below it."""
    return (
        "BLEU-1 in percent points, in brackets chance, the mean over pairs of two series; changes "
        f"with their 95 % intervals over series. {_ONE_TRAINING}. The gain is the score less "
        "chance. Other answers: "
        f"items whose best answer is not what it was. Beam size {BEAM_SIZE}, batches of at most "
        f"{AT_ONCE}. Seconds: the lab's own on this machine, training and features at hand. For "
        f"all but the first lab: {definition_note(record)}"
    )


def lab_note(records: Sequence[Record]) -> Note:
    """Count from the records what the labs did to score and gain: does a mistake pay?"""
    rows = lab_frame(records).to_dict("records")
    ways = ("rises", "falls", "does not clearly move")
    parts = [
        f"Mistakes made: {len(records)}, on {len(rows)} inputs in all; what is said to move does "
        f"so among all {len(rows)} (Holm, 5 %)."
    ]
    for measure, meaning in (("score", "The score"), ("gain", "The gain over chance")):
        found = [lab_way(row, measure) for row in rows]
        parts.append(f"{meaning} {', '.join(f'{way} in {found.count(way)}' for way in ways)}.")
    risen = [row for row in rows if lab_way(row, "score") == "rises"]
    if risen:
        free = sum(lab_way(row, "gain") != "rises" for row in risen)
        most = max(risen, key=lambda row: row["score_change"])
        parts.append(
            f"The largest rise is that of “{NAMES[most['lab']]}” on {most['input']}: "
            f"{write(MOVED.replace('N', 'score'), most)} points ({_OVER}), with chance moving by "
            f"{points(most['after_chance'] - most['before_chance'], sign='+')}. Of {len(risen)} "
            f"rises {free} came without any in the gain: nothing was heard or seen better for them."
        )
    if rows:
        parts.append(moved_little(rows, records[0].settings["smallest_effect"]))
    unmoved = sorted({NAMES[row["lab"]] for row in rows} - {NAMES[row["lab"]] for row in risen})
    if unmoved:
        parts.append(
            f"On these data no score rises by: {', '.join(unmoved)}. Folklore has it otherwise; a "
            "mistake need not flatter to be one."
        )
    return Note("Does it pay to be wrong?", " ".join(parts))


def lab_way(row: dict[str, Any], measure: str) -> str:
    """Say which way a measure clearly goes, among all that are looked at."""
    if not row[f"{measure}_clear"]:
        return "does not clearly move"
    return "rises" if row[f"{measure}_change"] > 0 else "falls"


def lab_sentence(rows: pd.DataFrame) -> str:
    """Say in a sentence for each row of `lab_frame` which way score, chance and gain move."""
    text = (
        "{name}: the score {score_way}, from {before_score:points} to {after_score:points}; chance "
        "goes from {before_chance:points} to {after_chance:points}, and the gain over it "
        "{gain_way}."
    )
    said = []
    for row in rows.to_dict("records"):
        ways = {f"{measure}_way": lab_way(row, measure) for measure in ("score", "gain")}
        shown = called(row["input"])
        name = f"{shown[0].upper()}{shown[1:]}"
        said.append(write(text, row | ways | {"name": name}))
    return " ".join(said)


def lab_facts(records: Sequence[Record]) -> dict[str, Any]:
    """Give changes by lab and input in percent points, and the seconds of the slowest lab."""
    moves = {
        f"labs.{row['lab']}.{short_name(row['input'])}.{measure}": 100 * row[f"{measure}_change"]
        for row in lab_frame(records).to_dict("records")
        for measure in ("score", "gain")
    }
    return moves | {"labs.seconds": max((r.timing["seconds"] for r in records), default=0.0)}


def lab_reasons(records: Sequence[Record]) -> str:
    """Say as Markdown what each lab did, in sentences made of its numbers, and why."""
    parts, rows = [], lab_frame(records)
    for record in records:
        lab = record.settings["lab"]
        said = lab_sentence(rows[rows["lab"] == lab])
        parts.append(f"**{NAMES[lab].capitalize()}.** {said}\n\n*Why:* {WHY[lab]}")
    return "\n\n".join(parts) or "No switch is thrown."


def before_and_after(labs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores before and after each lab, one row a lab and input, chance hollow beside them.

    `labs` has the columns name, and of both sides the score, its interval and chance
    (`before_score, before_low, before_high, before_chance`, and so on; in [0, 1], drawn in percent
    points). A line joins the two scores of a row: what moved. Where the hollow marks move as far,
    unrelated titles have moved along.
    """
    sides = []
    for side, *_ in _SIDES:
        shares = {f"{side}_{what}": label for what, label in SCORED.items()}
        drawn = figures.tidy("labs", labs, {"name": "lab"} | shares, percent=shares)
        drawn.insert(1, "side", side)
        sides.append(drawn)
    ax = figures.own_axes(ax, (6.2, 0.5 * len(labs) + 0.5))
    height = np.arange(len(labs))
    scores = [drawn[BLEU] for drawn in sides]
    ax.hlines(height, np.minimum(*scores), np.maximum(*scores), color=GREY, lw=1.2, zorder=1)
    for (side, colour, marker, shift), drawn in zip(_SIDES, sides, strict=True):
        bars = {"fmt": marker, "color": colour, "markersize": 6, "elinewidth": 1.2, "label": side}
        ax.errorbar(drawn[BLEU], height + shift, xerr=figures.reach(drawn, BLEU), **bars)
        # Larger: around the full mark where the two are one.
        around = {"markersize": 11, "markerfacecolor": "none", "color": colour}
        chance = drawn[SCORED["chance"]]
        ax.plot(chance, height + shift, marker, label=f"chance {side}", **around)
    figures.name_rows(ax, list(labs["name"]), "BLEU-1 (percent points, logarithmic beyond 1)")
    ax.set_xscale("symlog", linthresh=1)  # songs score about 1, pictures tens
    ticks = (0, 0.5, 1, 2, 5, 10, 20, 50)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xlim(-0.15, max(60.0, ax.get_xlim()[1]))
    figures.legend_below(ax, drop=0.13, ncols=4)
    rise = labs["after_score"] - labs["before_score"]
    said = (
        "The largest rise is at {name}, from {before_score:points} to {after_score:points} percent "
        "points, chance from {before_chance:points} to {after_chance:points}."
    )
    said = write(said, labs.loc[rise.idxmax()])
    risen = f"In {int((rise > 0).sum())} of {len(labs)} rows the score after is above that before."
    return figures.hand_on(ax, pd.concat(sides).sort_index(kind="stable"), f"{risen} {said}")
