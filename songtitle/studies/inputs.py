"""Pages 2 and 16, from sound to picture: what is seen, and which settings the paper allows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import (
    PAPER_LITERAL,
    SPECTROGRAM,
    TRUE_SHAPE,
    ExperimentConfig,
    SpectrogramConfig,
)
from songtitle.errors import InputError
from songtitle.experiment import corpora
from songtitle.figures import COLOURS, GREY, amount
from songtitle.paper.ledger import numbers
from songtitle.paper.printed import paper
from songtitle.sound import frame_count, load_clip, log_spectrogram

MOST = 48  # squares a side of a spectrogram that are handed on; of larger ones every n-th


def clip_of(record: Record, song: int) -> Path:
    """Give the audio file of a test song that is heard by spectrogram, counted from 0."""
    return corpora.clip_of(record, corpora.song_rows(record, SPECTROGRAM)[song])


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


# --- page 16, the detective

_WINDOW, _TRANSFORM = PAPER_LITERAL.window_length, PAPER_LITERAL.n_fft
# As written first, then what becomes of it when one word after another gives way.
SETTINGS: dict[str, SpectrogramConfig] = {
    "A. as written": replace(PAPER_LITERAL, bins=_TRANSFORM // 2),
    "B. A, lowest bins only": PAPER_LITERAL,
    "C. shorter transform": replace(PAPER_LITERAL, n_fft=_WINDOW),
    "D. longer window, lowest bins": replace(
        PAPER_LITERAL, window_length=_TRANSFORM, hop_length=_TRANSFORM // 2
    ),
    "E. C without overlap": replace(PAPER_LITERAL, n_fft=_WINDOW, hop_length=_WINDOW),
    "F. C at half the rate": TRUE_SHAPE,
}
AGREES, CONTRADICTS = "agrees", "contradicts"
STATED = {"FFT points": "n_fft", "window": "window", "bins": "bins"}  # of the paper's spectrogram

Spectrograms = Mapping[str, Float[np.ndarray, "_ _"]]


def spectrograms_of(clip: Path, config: ExperimentConfig) -> dict[str, Float[np.ndarray, "_ _"]]:
    """Compute the spectrogram of one clip under each of SETTINGS: (bins, frames), in dB."""
    return {
        name: log_spectrogram(
            load_clip(clip, sample_rate=each.sample_rate, duration=config.clip_seconds), each
        ).numpy()
        for name, each in SETTINGS.items()
    }


def frames_worked(samples: int, settings: SpectrogramConfig) -> str:
    """Write out the arithmetic of frames."""
    worked = f"1 + ({samples:,} − {settings.window_length:,}) // {settings.hop_length:,}"
    return f"{worked} = {frame_count(samples, settings):,}"


def arithmetic(spectrograms: Spectrograms, config: ExperimentConfig) -> pd.DataFrame:
    """Tabulate bins and frames of one clip by arithmetic, and of its computed spectrograms."""
    rows = []
    for name, found in spectrograms.items():
        each = SETTINGS[name]
        frames = frames_worked(round(config.clip_seconds * each.sample_rate), each)
        kept = "" if each.bins == each.n_fft // 2 else f", lowest {each.bins:,} kept"
        bins = f"{each.n_fft:,} / 2 = {each.n_fft // 2:,}{kept}"
        rows.append([name, bins, frames, f"{len(found):,}\xa0×\xa0{found.shape[1]:,}"])
    columns = ["Setting", "Bins", "Frames", "Computed"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def against_the_paper() -> pd.DataFrame:
    """Tabulate which of the paper's statements each setting agrees with, for a clip as it has it.

    A setting agrees on frames within what the ledger takes "about" to be.
    """
    rows = [{"Setting": name} | verdicts(each) for name, each in SETTINGS.items()]
    heads = {name: f"{name} {paper(f'spectrogram.{id}'):,.0f}" for name, id in STATED.items()}
    heads["frames"] = f"frames about {paper('spectrogram.frames'):,.0f}"
    return pd.DataFrame(rows, dtype=object).rename(columns=heads)


def verdicts(settings: SpectrogramConfig) -> dict[str, str]:
    """Say of each of the paper's statements whether a setting agrees with it."""
    rate = settings.sample_rate
    samples = round(paper("clip.samples") * rate / paper("clip.sample_rate"))
    frames, stated = frame_count(samples, settings), paper("spectrogram.frames")
    about = numbers()["reading.about_share"]
    holds = {
        "44,100 Hz": rate == paper("clip.sample_rate"),
        "FFT points": settings.n_fft == paper("spectrogram.n_fft"),
        "window": settings.window_length == paper("spectrogram.window"),
        "half overlaps": 2 * settings.hop_length == settings.window_length,
        "bins": settings.bins == paper("spectrogram.bins"),
        "frames": abs(frames - stated) <= about * stated,
    }
    said = {name: AGREES if agrees else CONTRADICTS for name, agrees in holds.items()}
    return said | {"frames": f"{said['frames']} ({frames:,})"}


def real_lengths() -> pd.DataFrame:
    """Count frames of real clips of the paper's collection, the shorter and the longer."""
    clips = [
        numbers()[f"outside.clip_{size}"] / paper("clip.sample_rate") for size in ("short", "long")
    ]
    rows = [
        [name, *(frame_count(round(seconds * each.sample_rate), each) for seconds in clips)]
        for name, each in SETTINGS.items()
    ]
    return pd.DataFrame(rows, columns=["Setting", "Shorter clip", "Longer clip"], dtype=object)


def same_picture(spectrograms: Spectrograms) -> float:
    """Correlate the clip under settings D and F, frame by frame and bin by bin: in [-1, 1]."""
    first, second = (spectrograms[name] for name in SETTINGS if name[0] in "DF")
    frames = min(first.shape[1], second.shape[1])
    return float(np.corrcoef(first[:, :frames].ravel(), second[:, :frames].ravel())[0, 1])


def detective_facts() -> dict[str, int | float]:
    """Count the settings, those that give the stated size, and those that contradict nothing."""
    agree = [
        {part for part, said in verdicts(each).items() if said.startswith(AGREES)}
        for each in SETTINGS.values()
    ]
    written = SETTINGS["A. as written"]
    return {
        "detective.settings": len(SETTINGS),
        "detective.fits": sum({"bins", "frames"} <= parts for parts in agree),
        "detective.clean": sum(parts == set(verdicts(written)) for parts in agree),
        "detective.written_bins": written.bins,
        "detective.written_frames": frame_count(int(paper("clip.samples")), written),
        "detective.lowest": PAPER_LITERAL.bins * PAPER_LITERAL.sample_rate / PAPER_LITERAL.n_fft,
    }


def settings_panels(
    spectrograms: Mapping[str, Float[np.ndarray, "bins frames"]], stated: tuple[int, int]
) -> Figure:
    """Each spectrogram in grey, a bin or a frame as long as in every other panel.

    `spectrograms` are by name, in dB, lowest frequency first; `stated` are bins and frames that
    someone states, drawn as a dashed frame in each panel. A spectrogram fits where it fills it.
    """
    figures.require_some(list(spectrograms), "settings panels")
    most = np.max([stated, *(each.shape for each in spectrograms.values())], axis=0)
    rows = -(-len(spectrograms) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(8.4, 2.15 * rows), layout="constrained", sharex=True, sharey=True
    )
    for ax, (name, values) in zip(np.ravel(axes), spectrograms.items(), strict=False):
        bins, frames = values.shape
        ax.imshow(values, origin="lower", aspect="auto", cmap="gray", extent=(0, frames, 0, bins))
        for colour, lw, dashes in [("white", 3.2, "-"), (COLOURS[3], 1.6, "--")]:
            frame = Rectangle((0, 0), stated[1], stated[0], fill=False, edgecolor=colour, lw=lw)
            frame.set(linestyle=dashes, zorder=3, clip_on=False)
            ax.add_patch(frame)
        ax.set(xlim=(0, most[1] * 1.02), ylim=(0, most[0] * 1.04))
        ax.set_title(f"{name}: {bins} × {frames:,}", fontsize=10, loc="left")
        ax.grid(visible=False)
        sizes = {"what": ["spectrogram", "stated"], "bins": [bins, stated[0]]}
        drawn = pd.DataFrame(sizes | {"frames": [frames, stated[1]]})
        figures.hand_on(ax, drawn, f"{bins} bins by {frames:,} frames", panel=name)
    for ax in np.ravel(axes)[len(spectrograms) :]:
        ax.set_visible(False)
    figure.supxlabel("frame", fontsize=11)
    figure.supylabel("bin", fontsize=11)
    return figure
