"""Page 19, findings: the figure and the paragraph of the front page, and REFORMS filled in."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.corpora.manifest import manifest_folder
from songtitle.experiment.samples import HEARD, OWN
from songtitle.figures import BLEU, ENDS, amount
from songtitle.fmt import points, write
from songtitle.paper.printed import paper_table
from songtitle.studies.in_short import (
    BEST,
    MATTERS,
    MORE,
    NO_MORE,
    among,
    gain_verdict,
    one_row,
)
from songtitle.studies.picked import adjusted, small, smallest_p
from songtitle.studies.samples import input_of, pictures_of
from songtitle.studies.search import paper_row
from songtitle.tables import LEVEL, Markup

PAPER, HERE, CHANCE = "the paper", "this book", "chance"
# As the stage `baselines` calls them; the neighbour of a song knows titles, a captioner does not.
CONSTANT, PICTURE = "best constant text", "nearest picture's caption"
SONG = "nearest other song's title"
MEASURES = (PAPER, HERE, CHANCE, CONSTANT, PICTURE, SONG)
REAL = {OWN: "Million Song tracks: timbre", HEARD: "recordings: spectrogram"}  # in the figure
ANSWERS = ("yes", "in part", "no")
NEAR = 0.05  # of BLEU-1: a score this near to the paper's is as high

Rows = Sequence[Mapping[str, Any]]


def answer_rows(quick: Rows, real: Rows, others: Rows) -> pd.DataFrame:
    """Give what the front page draws: `about, song, measure, score, low, high` in [0, 1], and
    `gain_low, gain_high, p` and, where it was measured, `ceiling_gain` of this book's own scores.

    `quick` and `real` are summaries over trainings, of the stages `replicates` and `samples`;
    `others` are those of the stage `baselines`, real songs called as in `samples`. All at the
    paper's best beam size, or the widest below it.
    """
    names = dict.fromkeys(row["input"] for row in quick)
    whole = pictures_of(row["input"] for row in real)[-1:]
    beside = dict.fromkeys(whole, "photos (Flickr8k)") | REAL
    subjects = [(str(name), one_row(quick, name)) for name in names]
    subjects += [
        (name, one_row(real, key))
        for key, name in beside.items()
        if any(row["input"] == key for row in real)
    ]
    subjects.sort(key=lambda each: input_of(each[1]["input"]).is_song)  # pictures first
    rows = []
    for about, row in subjects:
        subject = {"about": about, "song": input_of(row["input"]).is_song}
        ends = {end: row[f"score_{end}"] for end in ("low", "high")}
        gain = {name: row.get(name) for name in ("gain_low", "gain_high", "p", "ceiling_gain")}
        rows += [
            subject | {"measure": PAPER, "score": _printed(row["input"]) / 100},
            subject | {"measure": HERE, "score": row["score"]} | ends | gain,
            subject | {"measure": CHANCE, "score": row["score"] - row["gain"]},
        ]
        rows += [
            subject
            | {"measure": each["baseline"]}
            | {name: each[name] for name in ("score", "low", "high")}
            for each in others
            if each["input"] == row["input"] and each["baseline"] in MEASURES
        ]
    columns = ["about", "song", "measure", "score", "low", "high", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=[*columns, "p", "ceiling_gain"])


def _printed(name: str) -> float:
    """Give the paper's best cell for what an input stands beside, in percent points."""
    of = input_of(name)
    return float(paper_table(4).loc[paper_row(of) if of.is_song else "cc256", BEST])


def left_out(rows: pd.DataFrame) -> str:
    """Say which measures have no number for which rows; nothing where all are there."""
    parts = []
    for about, found in rows.groupby("about", sort=False):
        neighbour = SONG if found["song"].all() else PICTURE
        wanted = (PAPER, HERE, CHANCE, CONSTANT, neighbour)
        missing = [name for name in wanted if name not in set(found["measure"])]
        if missing:
            parts.append(f"{about}: {', '.join(missing)}")
    return f"Not measured, and so left out: {'; '.join(parts)}." if parts else ""


def plain_answer(rows: pd.DataFrame, judged: Rows = ()) -> str:
    """Answer in a paragraph whether the model hears, whether there was anything to hear, whether it
    sees, and how near that is to the paper; `rows` are those of `answer_rows`, `judged` those of
    `songtitle.studies.listening.hearing`."""
    own = rows[rows["measure"] == HERE].set_index("about")
    songs, pictures = own[own["song"].astype(bool)], own[~own["song"].astype(bool)]
    heard, luck = _verdicts(songs, "readings of songs")
    if not heard:
        start = "Nobody can tell from this run, which has no songs."
    elif heard == {MORE}:
        start = "Yes, something of a song gets through: each reading scores more than chance."
    elif heard == {NO_MORE}:
        start = "As far as we can see, no: nothing of a song reaches its title."
    elif MORE in heard:
        start = "In part: some readings of songs score more than chance, others do not."
    elif luck:
        start = "We cannot tell: what some reading has over chance may be the luck of several."
    else:
        start = "We cannot tell: the intervals are too wide to say that nothing is heard."
    seen, sights = _verdicts(pictures, "kinds of pictures")
    looks = "Whether the same captioner sees pictures cannot be told"
    if seen == {MORE}:
        looks = "The same captioner sees pictures"
    elif MORE in seen:
        looks = "Captioners like it see some pictures and not others"
    elif seen == {NO_MORE}:
        looks = "But it does not see pictures either, so that says little of songs"
    said = [start, luck, _told(songs), _something(judged), f"{looks}.", sights, _told(pictures)]
    alike = songs[songs["ceiling_gain"].astype(float) < MATTERS]
    if len(alike):
        said.append(
            f"Outputs for {', '.join(alike.index)} are so alike that no dealing of them to songs "
            "could have shown a gain: they are no evidence."
        )
    theirs = rows[rows["measure"] == PAPER].set_index("about")["score"]
    gap = (theirs - own["score"])[songs.index] if len(songs) else pd.Series(dtype=float)
    if len(gap):
        printed = sorted({points(theirs[name]) for name in songs.index})
        level = "None of these comes near" if gap.min() > NEAR else "Some of these come near"
        said.append(
            f"{level} what the paper prints for songs ({' and '.join(printed)} points); what its "
            "data, model or counting had that ours lack, only its author could say."
        )
    for baseline in (PICTURE, SONG, CONSTANT):
        scores = rows[rows["measure"] == baseline].set_index("about")["score"]
        if len(scores):
            ahead = [name for name in scores.index if scores[name] >= own["score"][name]]
            verdict = "less than the captioner wherever it was tried"
            if ahead:
                verdict = f"as high as the captioner or higher on {', '.join(ahead)}"
            said.append(f"The {baseline} scores {verdict}.")
    return " ".join(filter(None, said))


def _something(judged: Rows) -> str:
    """Say whether a listener that was trained on titles found anything to hear, among all inputs
    that it was asked about together (Holm)."""
    together = adjusted([row["p"] for row in judged])
    found = [row for row, p in zip(judged, together, strict=True) if p <= LEVEL]
    if not found:
        tried = smallest_p(judged, "inputs that it was asked about", "{input}")
        nothing = "A listener trained on titles finds nothing sure in these songs, either."
        return f"{nothing} {tried}".strip() if judged else ""
    told = ", ".join(
        write("{input} (z = {z:.1f}", row)
        + (write("; the captioner {captioner_z:.1f})", row) if "captioner_z" in row else ")")
        for row in found
    )
    penalties, p = max(row["tried"] for row in found), max(p for p in together if p <= LEVEL)
    return (
        f"There is something to hear: a listener trained on other titles finds it in {told}; z is "
        f"of the best of {penalties} penalties, and p, at most {small(p)}, is for all of them and "
        f"for {len(judged)} inputs together (Holm)."
    )


def _verdicts(own: pd.DataFrame, what: str) -> tuple[set[str], str]:
    """Judge subjects by their gains. Where some of several, and not all, are above chance, these
    were picked: they count where they are so for all together (Holm), which is then said."""
    alone = {gain_verdict(row.gain_low, row.gain_high) for row in own.itertuples()}
    if MORE not in alone or alone == {MORE}:
        return alone, ""
    rows = own.reset_index().to_dict("records")
    together = {gain_verdict(row["gain_low"], row["gain_high"], row["p"]) for row in among(rows)}
    return together, smallest_p(rows, what, "{about}")


def _told(own: pd.DataFrame) -> str:
    """List scores, each with its gain over chance."""
    parts = [
        write(
            "{name} {score:points} points (gain over chance [{gain_low:points}, "
            "{gain_high:points}])",
            row | {"name": name},
        )
        for name, row in zip(own.index, own.to_dict("records"), strict=True)
    ]
    return f"In points of BLEU-1: {'; '.join(parts).replace(' points (', ' (')}." if parts else ""


def answer_dots(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw scores of the paper, of this book and of what needs no model, one row a subject.

    `rows` has `about, measure, score, low, high` (in [0, 1], drawn in percent points; no interval:
    NaN). Each measure has its colour, its marker and its line within the row.
    """
    names = {"about": "about", "measure": "measure", "score": BLEU} | ENDS
    drawn = figures.tidy("answer", rows, names, percent={"score": BLEU} | ENDS)
    ax = figures.own_axes(ax, (5.0, 5.6))
    subjects, said = list(dict.fromkeys(drawn["about"])), []
    for place, measure in enumerate(MEASURES):
        found = drawn[drawn["measure"] == measure]
        if found.empty:
            continue
        height = found["about"].map(subjects.index) + 0.14 * (place - 2.5)
        look: dict[str, Any] = figures.mark(place) | {"linestyle": "none", "ms": 6, "capsize": 2}
        ends = figures.reach(found.fillna({"low": found[BLEU], "high": found[BLEU]}), BLEU)
        ax.errorbar(found[BLEU], height, xerr=ends, label=measure, **look)
    for subject, found in drawn.groupby("about", sort=False):
        values = found.set_index("measure")[BLEU]
        told = [f"{name} {amount(values[name])}" for name in MEASURES if name in values]
        said.append(f"{subject}: {', '.join(told)}")
    for line in range(1, len(subjects)):
        ax.axhline(line - 0.5, color="0.85", lw=0.8)
    figures.name_rows(
        ax, [name.replace(": ", ":\n").replace(" (", "\n(") for name in subjects], BLEU
    )
    ax.set_xlim(left=0)
    figures.legend_below(ax, drop=0.13, ncols=2)
    return figures.hand_on(ax, drawn, "; ".join(said))


def reforms() -> pd.DataFrame:
    """Tabulate the REFORMS checklist (Kapoor et al. 2024), each item answered for this book."""
    return pd.DataFrame(
        [
            [f"{item['id']}. {item['asks']}", item["answer"], item["here"], Markup(item["page"])]
            for item in checklist()
        ],
        columns=["Item", "Done", "In this book", "Where"],
        dtype=object,
    )


def checklist() -> list[dict[str, str]]:
    """Read the items of `data_manifest/reforms.toml`: `id, asks, answer, here, page`."""
    found: Iterable[dict[str, str]] = tomllib.loads(
        (manifest_folder() / "reforms.toml").read_text("utf-8")
    )["item"]
    return list(found)
