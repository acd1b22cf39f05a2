"""Figures of numbers: lengths, perplexity, maps, scores and times."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation
from scipy.spatial import cKDTree

from songtitle.errors import InputError
from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, DENSE, GREY, MARKERS, own_axes, require
from songtitle.plots.wording import amount, extremes, some, tidy

PAPER, CHANCE = "the paper", "chance, same colour"
BEAM, BLEU = "beam size (hypotheses kept)", "BLEU-1 (percent points)"
SCORED = {"score": BLEU, "low": "low", "high": "high", "chance": "chance (percent points)"}


def length_distribution(lengths: Iterable[int], *, name: str, ax: Axes | None = None) -> Axes:
    """Share of examples (%) by length in words (Fig. 5); mean and longest are written in.

    The axis ends where 99.9 % of the examples are seen: one title of 135 words must not press
    all others into a corner.
    """
    words = np.fromiter(lengths, dtype=int)
    if not len(words):
        msg = f"lengths of {name}: expected at least one, got none; check the corpus"
        raise InputError(msg)
    ax = own_axes(ax)
    count, share = np.unique(words, return_counts=True)
    ax.bar(count, 100 * share / len(words), width=0.85, color=COLOURS[0], edgecolor="none")
    ax.set_ylim(top=1.2 * 100 * share.max() / len(words))  # headroom for the facts
    ax.set_xlim(0.3, np.quantile(words, 0.999, method="higher") + 0.7)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    length, share_of = "length (words)", "share of examples (%)"
    ax.set(xlabel=length, ylabel=share_of)
    ax.set_title(name, parse_math=False)
    facts = f"{len(words):,} examples\nmean {words.mean():.2f} words\nlongest {words.max()} words"
    usual = count[np.argmax(share)]
    ax.text(0.97, 0.95, facts, transform=ax.transAxes, ha="right", va="top", color="0.25", size=9.5)
    ax.grid(visible=False, axis="x")
    return hand_on(
        ax,
        pd.DataFrame({length: count, share_of: 100 * share / len(words)}),
        f"{amount(len(words))} examples of {words.mean():.2f} words on average, most often "
        f"{usual} ({amount(100 * share.max() / len(words))} %), at most {words.max()}",
    )


def perplexity_by_epoch(
    history: pd.DataFrame, *, references: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Training and validation perplexity by epoch (Fig. 6).

    `history` has the columns epoch, train_perplexity and valid_perplexity. Each reference, such
    as a unigram model, is a horizontal line named in the legend.
    """
    require(history, ["epoch", "train_perplexity", "valid_perplexity"], "training history")
    ax = own_axes(ax)
    label, found = "perplexity (per token)", []
    for place, (split, line) in enumerate([("training", "-"), ("validation", "--")]):
        values = history[f"{split[:5]}_perplexity"]
        look = {"marker": MARKERS[place], "color": COLOURS[place]}
        ax.plot(history["epoch"], values, line, label=split, **look)
        found.append(pd.DataFrame({"of": split, "epoch": history["epoch"], label: values}))
    dashes = [(0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (10, 3)), (0, (3, 1, 1, 1, 1, 1))]
    for place, (name, value) in enumerate(references.items()):
        style = dashes[place % len(dashes)]
        ax.axhline(value, linestyle=style, color="0.3", lw=1.4, label=f"{name}: {value:.1f}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=label)
    ax.set_ylim(bottom=0)
    ax.legend()
    drawn = pd.concat(found)
    finding = "; ".join(
        [extremes(drawn, label, at="epoch", of="of")]
        + [f"{name} is at {amount(value)}" for name, value in references.items()]
    )
    levels = pd.DataFrame({"of": references.keys(), label: references.values()})
    return hand_on(ax, pd.concat([drawn, levels]) if references else drawn, finding)


def similarity_map(
    points: Float[np.ndarray, "items 2"], labels: Iterable[str], ax: Axes | None = None
) -> Axes:
    """A t-SNE map, one marker and colour per label in order of appearance (Fig. 7)."""
    names = np.array(list(labels), dtype=object)
    if len(names) != len(points):
        msg = f"labels of the map: expected {len(points)}, one a point, got {len(names)}"
        raise InputError(msg)
    ax = own_axes(ax)
    for place, name in enumerate(dict.fromkeys(names)):
        x, y = points[names == name].T
        ax.scatter(
            x,
            y,
            s=26,
            marker=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            alpha=0.75,
            edgecolor="white",
            linewidth=0.4,
            label=f"{name} ({np.sum(names == name)})",
            rasterized=len(names) > DENSE,
        )
    labels = ["t-SNE 1 (no unit)", "t-SNE 2 (no unit)"]
    ax.set(xlabel=labels[0], ylabel=labels[1], xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend()
    drawn = pd.DataFrame({"kind": names, **dict(zip(labels, points.T, strict=True))})
    return hand_on(ax, drawn, _neighbours(np.asarray(points, float), names))


def _neighbours(points: Float[np.ndarray, "items 2"], names: np.ndarray) -> str:
    """How many marks of each label have one of their own beside them on the map."""
    if len(points) < 2:
        return f"one mark, {names[0]}"
    own = names[cKDTree(points).query(points, k=2)[1][:, 1]] == names
    parts = [
        f"{amount(100 * own[names == name].mean())} % of {np.sum(names == name)} {name}"
        for name in dict.fromkeys(names)
    ]
    return f"the nearest other mark is of the same kind for {some(parts)}"


def bleu_by_beam(
    scores: pd.DataFrame, *, paper: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """BLEU-1 by beam size with intervals, and chance dashed in the same colour (Fig. 8a).

    `scores` has a row for each input and beam size: input, beam_size, score, low, high, chance,
    all scores in [0, 1], drawn in percent points. `paper` is the paper's Table 4 as
    `claims.paper_table(4)` gives it, drawn in thin grey. Inputs stand a little side by side so
    that their intervals can be told apart.
    """
    require(scores, ["input", "beam_size", "score", "low", "high", "chance"], "scores")
    ax = own_axes(ax)
    drawn = tidy(scores, {"input": "input", "beam_size": BEAM} | SCORED, percent=SCORED)
    finding = extremes(drawn, BLEU, at=BEAM, of="input")
    printed = [] if paper is None else [_paper_rows(paper, ax)]
    inputs = list(dict.fromkeys(drawn["input"]))
    for place, name in enumerate(inputs):
        rows = drawn[drawn["input"] == name].sort_values(BEAM)
        value = rows[BLEU].to_numpy()
        reach = [value - rows["low"].to_numpy(), rows["high"].to_numpy() - value]
        style = line_style(place)
        aside = ScaledTranslation(
            2.4 * (place - (len(inputs) - 1) / 2) / 72, 0, ax.figure.dpi_scale_trans
        )
        bars = ax.errorbar(rows[BEAM], value, yerr=reach, capsize=2.5, label=name, **style)
        line, caps, reaches = bars.lines
        for artist in (line, *caps, *reaches):  # on the page: the data keep their beam size
            artist.set_transform(ax.transData + aside)
        ax.plot(rows[BEAM], rows[SCORED["chance"]], "--", color=style["color"], lw=1.2)
    ax.plot([], [], "--", color=GREY, lw=1.2, label=CHANCE)
    _beam_axis(ax, drawn[BEAM])
    ax.set_ylabel(BLEU)
    ax.set_ylim(bottom=0)
    legend_below(ax)
    return hand_on(ax, pd.concat([drawn, *printed]), finding)


def seconds_by_beam(timings: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Running time per example by beam size (Fig. 8b), in ms where all are under a second.

    `timings` has the columns input, beam_size and seconds (per example).
    """
    require(timings, ["input", "beam_size", "seconds"], "timings")
    factor, unit = (1000, "ms") if timings["seconds"].max() < 1 else (1, "s")
    ax = _lines_by_input(timings, f"time per example ({unit})", factor * timings["seconds"], ax)
    ax.set_ylim(bottom=0)
    return ax


def bleu_per_second(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """BLEU-1 points earned per second of search, on a logarithmic scale (Fig. 8c).

    `frame` has the columns input, beam_size, score (in [0, 1]) and seconds (per example). A score
    of zero has no place on the scale and is left out.
    """
    require(frame, ["input", "beam_size", "score", "seconds"], "scores and timings")
    rate = 100 * frame["score"] / frame["seconds"]
    ax = _lines_by_input(frame, "BLEU-1 rate (percent points / s)", rate.where(rate > 0), ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    ax.grid(visible=True, which="both", axis="y")
    return ax


def _lines_by_input(frame: pd.DataFrame, label: str, values: pd.Series, ax: Axes | None) -> Axes:
    """A line an input by beam size of `values`, which `label` names; handed on."""
    ax = own_axes(ax)
    drawn = pd.DataFrame({"input": frame["input"], BEAM: frame["beam_size"], label: values})
    for place, name in enumerate(dict.fromkeys(drawn["input"])):
        rows = drawn[drawn["input"] == name].sort_values(BEAM)
        ax.plot(rows[BEAM], rows[label], label=name, **line_style(place))
    _beam_axis(ax, drawn[BEAM])
    ax.set_ylabel(label)
    legend_below(ax)
    return hand_on(ax, drawn, extremes(drawn, label, at=BEAM, of="input"))


def bleu_by_references(
    curves: pd.DataFrame, *, quoted: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """BLEU-1 by number of references with intervals, a line for each who is scored.

    `curves` has the columns who, references, mean, low and high, scores in [0, 1], drawn in percent
    points. `quoted` numbers of others, in percent points, are level lines named at their end.
    """
    require(curves, ["who", "references", "mean", "low", "high"], "scores by references")
    ax = own_axes(ax)
    label = "references of each clip"
    ends = {"mean": BLEU, "low": "low", "high": "high"}
    drawn = tidy(curves, {"who": "who", "references": label} | ends, percent=ends)
    dashes = ["-", (0, (7, 1.5)), "-.", (0, (2, 1))]
    for place, (who, found) in enumerate(drawn.groupby("who", sort=False)):
        found = found.sort_values(label)
        ax.errorbar(
            found[label],
            found[BLEU],
            yerr=[found[BLEU] - found["low"], found["high"] - found[BLEU]],
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            linestyle=dashes[place % len(dashes)],
            capsize=2.5,
            lw=1.7,
            label=who,
        )
    counts = sorted(set(curves["references"]))
    for name, value in quoted.items():
        ax.axhline(value, linestyle=(0, (1, 1.5)), color=GREY, lw=1.2)
        ax.text(counts[-1] + 0.08, value + 0.8, name, fontsize=8.5, color="0.3", ha="right")
    ax.set_xticks(counts)
    ax.set(xlabel=label, ylabel=BLEU)
    ax.set_ylim(bottom=0)
    ax.grid(visible=False, axis="x")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    levels = pd.DataFrame({"who": quoted.keys(), BLEU: quoted.values()})
    finding = "; ".join(
        [extremes(drawn, BLEU, at=label, of="who", where="with {} references")]
        + [f"{name} is at {amount(value)}" for name, value in quoted.items()]
    )
    return hand_on(ax, pd.concat([drawn, levels]) if quoted else drawn, finding)


def _paper_rows(table: pd.DataFrame, ax: Axes) -> pd.DataFrame:
    """Draw the rows of the paper's table, and give them as those of `bleu_by_beam`."""
    beams = [int(k) for k in table.columns if isinstance(k, int)]
    ends = table[beams[-1]].astype(float)
    heights = _spread(ends.to_numpy(), gap=2.6)
    rows = []
    for place, (_, row) in enumerate(table.iterrows()):
        name = row["dataset"] if pd.isna(row["tile_size"]) else f"{row['tile_size']:g} px tiles"
        printed = row[beams].astype(float)
        ax.plot(beams, printed, color="0.72", lw=0.9, zorder=1)
        rows += [(f"{PAPER}: {name}", k, value) for k, value in zip(beams, printed, strict=True)]
        ax.text(beams[-1] + 0.5, heights[place], name, fontsize=7.5, color=GREY, va="center")
    ax.plot([], [], color="0.72", lw=0.9, label=PAPER)
    return pd.DataFrame(rows, columns=["input", BEAM, BLEU])


def _spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Heights for labels near `values`, at least `gap` apart, order kept."""
    order = np.argsort(values)
    heights = values[order].astype(float)
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights -= (heights - values[order]).mean()
    spread = np.empty_like(heights)
    spread[order] = heights
    return spread


def line_style(place: int) -> dict:
    """Colour, marker and dashes of the curve at `place`: told apart by any one of the three."""
    lines = ["-", (0, (7, 1.5)), "-.", (0, (9, 2, 2, 2, 2, 2)), (0, (2, 1)), (0, (12, 2))]
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": lines[place % len(lines)],
        "markersize": 6,
        "lw": 1.7,
    }


def _beam_axis(ax: Axes, beams: pd.Series) -> None:
    ax.set_xticks(sorted(set(beams)))
    ax.set_xlabel(BEAM)
    ax.grid(visible=False, axis="x")


def legend_below(ax: Axes, curves: Axes | None = None, *, drop: float = 0.16) -> None:
    """A legend under the frame, of its own curves or those of another axis; chance comes last.

    Six curves leave no free corner within the frame. `drop` is in heights of the axis.
    """
    handles, labels = (curves or ax).get_legend_handles_labels()
    last = [label in (PAPER, CHANCE) for label in labels]
    order = sorted(range(len(labels)), key=last.__getitem__)
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        bbox_to_anchor=(0.5, -drop),
        ncols=3,
        frameon=False,
    )
