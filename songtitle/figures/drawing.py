"""Drawings that several pages share: lines with intervals, pictures, spectrograms."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from songtitle.errors import InputError
from songtitle.figures.findings import amount, extremes, hand_on, tidy
from songtitle.figures.style import COLOURS, GREY, MARKERS, ON_A_PICTURE, own_axes, require

PAPER, CHANCE = "the paper", "chance, same colour"


BEAM, BLEU = "beam size (hypotheses kept)", "BLEU-1 (percent points)"


SCORED = {"score": BLEU, "low": "low", "high": "high", "chance": "chance (percent points)"}


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


MOST = 48  # squares a side of a spectrogram that are handed on; of larger ones every n-th


def show_spectrogram(
    spectrogram: Float[np.ndarray, "bins frames"],
    *,
    sample_rate: int,
    hop_length: int,
    n_fft: int,
    ax: Axes | None = None,
) -> Axes:
    """A spectrogram in dB below the clip's peak, lowest frequency at the foot.

    Time is in seconds, each frame drawn about the middle of its window; frequency in kHz, each
    bin about its centre. `sample_rate` in Hz, `hop_length` and `n_fft` in samples.
    """
    bins, frames = spectrogram.shape
    ax = own_axes(ax)
    start = (n_fft - hop_length) / 2 / sample_rate
    step = sample_rate / n_fft / 1000
    image = ax.imshow(
        spectrogram,
        origin="lower",
        aspect="auto",
        cmap="viridis",  # grows evenly in lightness: reads in grey
        interpolation_stage="data",  # no colour beside those of the scale: a small file
        extent=(start, start + frames * hop_length / sample_rate, -step / 2, (bins - 0.5) * step),
    )
    level = "level (dB, 0 at the peak)"
    ax.figure.colorbar(image, ax=ax, label=level, pad=0.02)
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
    ax.grid(visible=False)
    mean = spectrogram.mean(axis=1)
    loud = int(np.argmax(mean))
    seconds, top = frames * hop_length / sample_rate, (bins - 1) * step
    rows, columns = (max(1, -(-side // MOST)) for side in spectrogram.shape)
    every = "" if rows == columns == 1 else f", one square in {rows} × {columns}"
    levels = spectrogram[::rows, ::columns]
    at, up = np.arange(0, frames, columns) + 0.5, np.arange(0, bins, rows)
    grid = np.meshgrid(start + at * hop_length / sample_rate, up * step)
    drawn = {"time (s)": grid[0], "frequency (kHz)": grid[1], level + every: levels}
    return hand_on(
        ax,
        pd.DataFrame({name: np.ravel(values) for name, values in drawn.items()}),
        f"{amount(seconds)} s of sound up to {amount(top)} kHz; on average it is loudest at "
        f"{amount(loud * step)} kHz, {amount(mean[loud])} dB, and at the top it is at "
        f"{amount(mean[-1])} dB",
    )


def show_picture(image: Float[np.ndarray, "channels height width"], ax: Axes | None = None) -> Axes:
    """A picture with values in [0, 1], without ticks; its size in pixels stands below it."""
    ax = own_axes(ax)
    _, height, width = image.shape
    extent = (0, width, height, 0)
    picture = np.clip(image.transpose(1, 2, 0), 0, 1)  # rounding may overshoot by a hair
    ax.imshow(
        picture.squeeze(),
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=extent,
        interpolation="none",  # a vector file holds these pixels, no more and no fewer
    )
    ax.set(xticks=[], yticks=[], xlabel=f"{width} × {height} pixels")
    ax.grid(visible=False)
    what = "a picture in colour" if len(image) == 3 else "a picture in grey"
    return _sized(ax, what, width, height, f"{what} of {width} × {height} pixels")


def _sized(ax: Axes, what: str, width: int, height: int, finding: str) -> Axes:
    """Hand on what is shown, with its size in pixels."""
    drawn = {"what": [what], "width (pixels)": [width], "height (pixels)": [height]}
    return hand_on(ax, pd.DataFrame(drawn), finding)


def show_tiles(
    image: Float[np.ndarray, "channels height width"], size: int, ax: Axes | None = None
) -> Axes:
    """A picture under the grid of square tiles of `size` pixels into which it is cut.

    A `size` that does not divide both sides raises `InputError`.
    """
    _, height, width = image.shape
    if size < 1 or height % size or width % size:
        msg = (
            f"tile size: expected a divisor of {width} x {height} pixels, got {size}; "
            "crop the picture or choose another size"
        )
        raise InputError(msg)
    ax = show_picture(image, ax)
    # White on black, so that the grid shows on any picture.
    for colour, lw in [("black", 2.4), ("white", 1.1)]:
        ax.vlines(range(size, width, size), 0, height, color=colour, lw=lw)
        ax.hlines(range(size, height, size), 0, width, color=colour, lw=lw)
    tiles = (height // size) * (width // size)
    ax.set_xlabel(f"{tiles} × ({size} × {size} pixels)")
    return _sized(ax, f"{tiles} tiles", size, size, f"{tiles} tiles of {size} × {size} pixels")


def mark_span(first: float, last: float, ax: Axes) -> Axes:
    """A frame around the seconds of a spectrogram from `first` to `last`."""
    low, high = ax.get_ylim()
    for colour, lw in [("black", 4.5), ("white", 2.0)]:
        frame = Rectangle((first, low), last - first, high - low, fill=False, color=colour, lw=lw)
        frame.set(gid=ON_A_PICTURE)
        ax.add_patch(frame)
    span = {"what": ["shown to the network"], "from (s)": [first], "to (s)": [last]}
    shown = f"the network is shown {amount(first)} to {amount(last)} s"
    return hand_on(ax, pd.DataFrame(span), shown)


def timbre_bars(timbre: Float[np.ndarray, " 90"], ax: Axes | None = None) -> Axes:
    """The 90 timbre numbers by place, on a scale that is linear near 0 and logarithmic beyond.

    Means and covariances are told apart by colour and by the line between them.
    """
    ax = own_axes(ax, (8.0, 3.4))
    kinds = np.repeat(["12 means", "78 covariances"], [12, 78])
    for kind, colour in zip(dict.fromkeys(kinds), COLOURS, strict=False):
        those = np.flatnonzero(kinds == kind)
        ax.bar(those, timbre[those], width=0.85, color=colour, label=kind)
    ax.axvline(11.5, color=GREY, lw=1, linestyle="--")
    ax.set_yscale("symlog", linthresh=10)
    place, value = "place among the 90 numbers", "value (no unit)"
    ax.set(xlabel=place, ylabel=value)
    ax.grid(visible=False, axis="x")
    ax.legend()
    parts = (("means", timbre[:12]), ("covariances", timbre[12:]))
    spans = [
        f"{name} run from {amount(some.min())} to {amount(some.max())}" for name, some in parts
    ]
    large = int(np.argmax(np.abs(timbre)))
    return hand_on(
        ax,
        pd.DataFrame({"of": kinds, place: np.arange(90), value: timbre}),
        f"the {'; '.join(spans)}; the largest in size stands at place {large}",
    )
