"""Page 2, from sound to picture: crops, tiles and shapes of spectrograms."""

from pathlib import Path

import pandas as pd

from songtitle.cache import Record, read_json
from songtitle.config import PAPER_LITERAL, TRUE_SHAPE, ExperimentConfig
from songtitle.paper.printed import paper
from songtitle.sound import frame_count, load_clip
from songtitle.studies.corpora import PAPER


def spectrogram_shapes(clip: Path, config: ExperimentConfig) -> pd.DataFrame:
    """Tabulate bins and frames of a clip under the paper's settings, under those that fit, and
    under those of `config` where they are neither."""
    readings = {"as stated": PAPER_LITERAL, "as they give about 2,580 frames": TRUE_SHAPE}
    if config.spectrogram not in readings.values():
        readings["as set for this page"] = config.spectrogram
    rows = []
    for name, settings in readings.items():
        rate = settings.sample_rate
        samples = len(load_clip(clip, sample_rate=rate, duration=config.clip_seconds))
        frames = frame_count(samples, settings)
        asked = [rate, settings.n_fft, settings.window_length, settings.hop_length]
        rows.append([name, *asked, samples, settings.bins, frames])
    size = [paper("spectrogram.bins"), paper("spectrogram.frames")]
    rows.append([PAPER, 44_100, 1_024, 512, 256, None, *size])
    columns = ["Setting", "Hz", "Transform", "Window", "Hop", "Samples", "Bins", "Frames"]
    return pd.DataFrame(rows, columns=columns)


def clip_of(record: Record, song: int) -> Path:
    """Give the audio file of a test song, counted from 0."""
    return record.file("clips") / read_json(record.file("songs.json"))[song]["clip"]
