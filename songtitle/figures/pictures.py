"""Pictures, spectrograms, tiles and timbre vectors on an axis."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from songtitle.errors import InputError
from songtitle.figures.findings import hand_on
from songtitle.figures.style import COLOURS, GREY, ON_A_PICTURE, own_axes
from songtitle.figures.wording import amount

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
