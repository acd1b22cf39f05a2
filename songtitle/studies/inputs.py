"""Page 2, from sound to picture: spectrograms, tiles and timbre, drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from songtitle import figures
from songtitle.cache import Record, read_json
from songtitle.errors import InputError
from songtitle.figures import COLOURS, GREY, amount

MOST = 48  # squares a side of a spectrogram that are handed on; of larger ones every n-th


def clip_of(record: Record, song: int) -> Path:
    """Give the audio file of a test song, counted from 0."""
    return record.file("clips") / read_json(record.file("songs.json"))[song]["clip"]


def show_spectrogram(
    spectrogram: Float[np.ndarray, "bins frames"],
    *,
    sample_rate: int,
    hop_length: int,
    n_fft: int,
    ax: Axes | None = None,
) -> Axes:
    """Draw a spectrogram in dB below the clip's peak, lowest frequency at the foot.

    Time is in seconds, each frame drawn about the middle of its window; frequency in kHz, each
    bin about its centre. `sample_rate` in Hz, `hop_length` and `n_fft` in samples.
    """
    ax, (bins, frames) = figures.own_axes(ax), spectrogram.shape
    start = (n_fft - hop_length) / 2 / sample_rate
    step, seconds = sample_rate / n_fft / 1000, frames * hop_length / sample_rate
    image = ax.imshow(
        spectrogram,
        origin="lower",
        aspect="auto",
        cmap="viridis",  # grows evenly in lightness: reads in grey
        interpolation_stage="data",  # no colour beside those of the scale: a small file
        extent=(start, start + seconds, -step / 2, (bins - 0.5) * step),
    )
    time, frequency, level = "time (s)", "frequency (kHz)", "level (dB, 0 at the peak)"
    ax.figure.colorbar(image, ax=ax, label=level, pad=0.02)
    ax.set(xlabel=time, ylabel=frequency)
    ax.grid(visible=False)
    rows, columns = (max(1, -(-side // MOST)) for side in spectrogram.shape)
    every = "" if rows == columns == 1 else f", one square in {rows} × {columns}"
    at = start + (np.arange(0, frames, columns) + 0.5) * hop_length / sample_rate
    up = np.arange(0, bins, rows) * step
    levels = np.ravel(spectrogram[::rows, ::columns])
    drawn = {time: np.tile(at, len(up)), frequency: np.repeat(up, len(at)), level + every: levels}
    mean = spectrogram.mean(axis=1)
    loud = int(np.argmax(mean))
    return figures.hand_on(
        ax,
        pd.DataFrame(drawn),
        f"{amount(seconds)} s of sound up to {amount((bins - 1) * step)} kHz; on average it is "
        f"loudest at {amount(loud * step)} kHz, {amount(mean[loud])} dB, and at the top it is at "
        f"{amount(mean[-1])} dB",
    )


def show_picture(image: Float[np.ndarray, "channels height width"], ax: Axes | None = None) -> Axes:
    """Draw a picture with values in [0, 1], without ticks; its size in pixels stands below it."""
    ax = figures.own_axes(ax)
    _, height, width = image.shape
    picture = np.clip(image.transpose(1, 2, 0), 0, 1).squeeze()  # rounding may overshoot by a hair
    look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1}
    # A vector file holds these pixels, no more and no fewer.
    ax.imshow(picture, extent=(0, width, height, 0), interpolation="none", **look)
    ax.set(xticks=[], yticks=[], xlabel=f"{width} × {height} pixels")
    ax.grid(visible=False)
    return _sized(ax, f"a picture in {'colour' if len(image) == 3 else 'grey'}", width, height)


def show_tiles(
    image: Float[np.ndarray, "channels height width"], size: int, ax: Axes | None = None
) -> Axes:
    """Draw a picture under the grid of square tiles of `size` pixels into which it is cut.

    Raises InputError for a `size` that does not divide both sides.
    """
    _, height, width = image.shape
    if size < 1 or height % size or width % size:
        msg = f"tile size: expected a divisor of {width} x {height} pixels, got {size}; "
        raise InputError(msg + "crop the picture or choose another size")
    ax = show_picture(image, ax)
    for colour, lw in [("black", 2.4), ("white", 1.1)]:  # shows on any picture
        ax.vlines(range(size, width, size), 0, height, color=colour, lw=lw)
        ax.hlines(range(size, height, size), 0, width, color=colour, lw=lw)
    tiles = (height // size) * (width // size)
    ax.set_xlabel(f"{tiles} × ({size} × {size} pixels)")
    return _sized(ax, f"{tiles} tiles", size, size)


def _sized(ax: Axes, what: str, width: int, height: int) -> Axes:
    """Hand on what is shown, with its size in pixels."""
    drawn = {"what": [what], "width (pixels)": [width], "height (pixels)": [height]}
    return figures.hand_on(ax, pd.DataFrame(drawn), f"{what} of {width} × {height} pixels")


def mark_span(first: float, last: float, ax: Axes) -> Axes:
    """Draw a frame around the seconds of a spectrogram from `first` to `last`."""
    low, high = ax.get_ylim()
    for colour, lw in [("black", 4.5), ("white", 2.0)]:
        frame = Rectangle((first, low), last - first, high - low, fill=False, color=colour, lw=lw)
        frame.set(gid=figures.ON_A_PICTURE)
        ax.add_patch(frame)
    span = {"what": ["shown to the network"], "from (s)": [first], "to (s)": [last]}
    shown = f"the network is shown {amount(first)} to {amount(last)} s"
    return figures.hand_on(ax, pd.DataFrame(span), shown)


def timbre_bars(timbre: Float[np.ndarray, " 90"], ax: Axes | None = None) -> Axes:
    """Draw the 90 timbre numbers by place, on a scale that is linear near 0, else logarithmic.

    Means and covariances are told apart by colour and by the line between them.
    """
    ax = figures.own_axes(ax, (8.0, 3.4))
    kinds = np.repeat(["12 means", "78 covariances"], [12, 78])
    spans = []
    for kind, colour in zip(dict.fromkeys(kinds), COLOURS, strict=False):
        those = np.flatnonzero(kinds == kind)
        low, high = (amount(end) for end in (timbre[those].min(), timbre[those].max()))
        ax.bar(those, timbre[those], width=0.85, color=colour, label=kind)
        spans.append(f"{kind.split()[1]} run from {low} to {high}")
    ax.axvline(11.5, color=GREY, lw=1, linestyle="--")
    ax.set_yscale("symlog", linthresh=10)
    place, value = "place among the 90 numbers", "value (no unit)"
    ax.set(xlabel=place, ylabel=value)
    ax.grid(visible=False, axis="x")
    ax.legend()
    largest = f"the largest in size stands at place {int(np.argmax(np.abs(timbre)))}"
    drawn = pd.DataFrame({"of": kinds, place: np.arange(90), value: timbre})
    return figures.hand_on(ax, drawn, f"the {'; '.join(spans)}; {largest}")
