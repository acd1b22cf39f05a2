"""The spectrogram detective: which settings give the size that the paper states, and at what cost.

The arithmetic is that of `audio.frame_count`; the paper's words come from the ledger of claims.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from songtitle.audio import frame_count, load_clip, log_spectrogram
from songtitle.claims import paper
from songtitle.config import ExperimentConfig
from songtitle.paper import numbers
from songtitle.spectrograms import PAPER_LITERAL, TRUE_SHAPE, SpectrogramConfig

# As written first, then what becomes of it when one word after another gives way.
SETTINGS: dict[str, SpectrogramConfig] = {
    "A. as written": replace(PAPER_LITERAL, bins=PAPER_LITERAL.n_fft // 2),
    "B. A, lowest bins only": PAPER_LITERAL,
    "C. shorter transform": replace(PAPER_LITERAL, n_fft=PAPER_LITERAL.window_length),
    "D. longer window, lowest bins": replace(
        PAPER_LITERAL, window_length=PAPER_LITERAL.n_fft, hop_length=PAPER_LITERAL.n_fft // 2
    ),
    "E. C without overlap": replace(
        PAPER_LITERAL,
        n_fft=PAPER_LITERAL.window_length,
        hop_length=PAPER_LITERAL.window_length,
    ),
    "F. C at half the rate": TRUE_SHAPE,
}
AGREES, CONTRADICTS = "agrees", "contradicts"
STATEMENTS = {
    "44,100 Hz": "clip.sample_rate",
    "FFT points": "spectrogram.n_fft",
    "window": "spectrogram.window",
    "half overlaps": "",
    "bins": "spectrogram.bins",
    "frames": "spectrogram.frames",
}


def spectrograms_of(clip: Path, config: ExperimentConfig) -> dict[str, Float[np.ndarray, "_ _"]]:
    """One clip under each of SETTINGS, in dB."""
    return {
        name: log_spectrogram(
            load_clip(clip, sample_rate=each.sample_rate, duration=config.clip_seconds), each
        ).numpy()
        for name, each in SETTINGS.items()
    }


def frames_worked(samples: int, settings: SpectrogramConfig) -> str:
    """The arithmetic of frames, written out."""
    window, hop = settings.window_length, settings.hop_length
    count = frame_count(samples, settings)
    return f"1 + ({samples:,} − {window:,}) // {hop:,} = {count:,}"


def bins_worked(settings: SpectrogramConfig) -> str:
    """The arithmetic of bins, written out."""
    half = f"{settings.n_fft:,} / 2 = {settings.n_fft // 2:,}"
    if settings.bins == settings.n_fft // 2:
        return half
    return f"{half}, lowest {settings.bins:,} kept"


def suspects() -> pd.DataFrame:
    """The settings themselves: hertz, samples, and the highest frequency that is kept."""
    rows = []
    for name, each in SETTINGS.items():
        top = each.bins * each.sample_rate / each.n_fft / 1000
        lengths = [each.n_fft, each.window_length, each.hop_length]
        rows.append([name, each.sample_rate, *lengths, each.bins, top])
    columns = ["Setting", "Rate (Hz)", "Transform", "Window", "Hop", "Bins kept", "Up to (kHz)"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def arithmetic(
    spectrograms: Mapping[str, Float[np.ndarray, "_ _"]], config: ExperimentConfig
) -> pd.DataFrame:
    """Bins and frames of one clip by arithmetic, and of the spectrograms that were computed."""
    rows = []
    for name, found in spectrograms.items():
        samples = round(config.clip_seconds * SETTINGS[name].sample_rate)
        worked = [bins_worked(SETTINGS[name]), frames_worked(samples, SETTINGS[name])]
        rows.append([name, *worked, f"{found.shape[0]:,}\xa0×\xa0{found.shape[1]:,}"])
    columns = ["Setting", "Bins", "Frames", "Computed"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def against_the_paper() -> pd.DataFrame:
    """Which of the paper's statements each setting agrees with, for a clip as the paper has it.

    A setting agrees on frames within what the ledger takes "about" to be.
    """
    rows = [[name, *(found for _, found in verdicts(each))] for name, each in SETTINGS.items()]
    stated = {name: f" {paper(id):,.0f}" if id else "" for name, id in STATEMENTS.items()}
    stated |= {"44,100 Hz": "", "frames": f" about {paper('spectrogram.frames'):,.0f}"}
    heads = [f"{name}{stated[name]}" if not name[0].isdigit() else name for name in STATEMENTS]
    return pd.DataFrame(rows, columns=["Setting", *heads], dtype=object)


def verdicts(settings: SpectrogramConfig) -> Iterator[tuple[str, str]]:
    """Statement -> whether a setting agrees with it."""
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
    for name, agrees in holds.items():
        detail = f" ({frames:,})" if name == "frames" else ""
        yield name, f"{AGREES if agrees else CONTRADICTS}{detail}"


def real_lengths() -> pd.DataFrame:
    """Frames of real clips of the paper's collection, the shorter and the longer, by setting."""
    known = numbers()
    rows = []
    for name, each in SETTINGS.items():
        share = each.sample_rate / paper("clip.sample_rate")
        counts = [
            frame_count(round(known[f"outside.clip_{which}"] * share), each)
            for which in ("short", "long")
        ]
        rows.append([name, *counts])
    return pd.DataFrame(rows, columns=["Setting", "Shorter clip", "Longer clip"], dtype=object)


def same_picture(spectrograms: Mapping[str, Float[np.ndarray, "_ _"]]) -> float:
    """The correlation of the clip under settings D and F, frame by frame and bin by bin."""
    first, second = (spectrograms[name] for name in SETTINGS if name[0] in "DF")
    frames = min(first.shape[1], second.shape[1])
    return float(np.corrcoef(first[:, :frames].ravel(), second[:, :frames].ravel())[0, 1])


def detective_facts() -> dict[str, int | float]:
    """How many settings there are, give the stated size, and contradict nothing, by name."""
    found = {name: dict(verdicts(each)) for name, each in SETTINGS.items()}
    fits = [
        name
        for name, said in found.items()
        if all(said[part].startswith(AGREES) for part in ("bins", "frames"))
    ]
    clean = [
        name for name, said in found.items() if all(v.startswith(AGREES) for v in said.values())
    ]
    written = SETTINGS["A. as written"]
    return {
        "detective.settings": len(SETTINGS),
        "detective.fits": len(fits),
        "detective.clean": len(clean),
        "detective.written_bins": written.bins,
        "detective.written_frames": frame_count(int(paper("clip.samples")), written),
        "detective.lowest": PAPER_LITERAL.bins * PAPER_LITERAL.sample_rate / PAPER_LITERAL.n_fft,
    }
