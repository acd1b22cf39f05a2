"""Page 16, the detective: which spectrogram settings the paper's numbers allow."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from songtitle import figures
from songtitle.config import PAPER_LITERAL, TRUE_SHAPE, ExperimentConfig, SpectrogramConfig
from songtitle.figures import COLOURS
from songtitle.paper.ledger import numbers
from songtitle.paper.printed import paper
from songtitle.sound import frame_count, load_clip, log_spectrogram
from songtitle.tables import tabulate

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


def suspects() -> pd.DataFrame:
    """Tabulate the settings: hertz, samples, and the highest frequency that is kept."""
    columns = {"Setting": "name", "Rate (Hz)": "sample_rate", "Transform": "n_fft"}
    columns |= {"Window": "window_length", "Hop": "hop_length", "Bins kept": "bins"}
    rows = [vars(each) | {"name": name} for name, each in SETTINGS.items()]
    highest = [each.bins * each.sample_rate / each.n_fft / 1000 for each in SETTINGS.values()]
    return tabulate(rows, columns).assign(**{"Up to (kHz)": highest})


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
