"""Three short songs beside the page, for readers without a file at hand: wav, mp3 and ogg."""

import io
from pathlib import Path

import lameenc
import numpy as np
import soundfile
from jaxtyping import Float

from songtitle.audio import load_clip
from songtitle.ogg import with_serial

SECONDS = 12.0
RATES = {"wav": 22_050, "mp3": 44_100, "ogg": 44_100}  # Hz; wav is the largest by far


def example_files(clips: list[Path]) -> dict[str, bytes]:
    """File name -> content of the first seconds of each clip, mono, one of each format.

    The same clips give the same bytes.
    """
    found = {}
    for number, (path, (kind, rate)) in enumerate(zip(clips, RATES.items(), strict=True)):
        sound = load_clip(path, sample_rate=rate, duration=SECONDS).numpy()
        found[f"example-{number + 1}.{kind}"] = _encoded(sound, rate, kind)
    return found


def _encoded(sound: Float[np.ndarray, " samples"], rate: int, kind: str) -> bytes:
    if kind == "mp3":
        encoder = lameenc.Encoder()
        encoder.silence()
        encoder.set_in_sample_rate(rate)
        encoder.set_channels(1)
        encoder.set_bit_rate(64)
        samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
        return bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())
    file = io.BytesIO()
    subtype = "VORBIS" if kind == "ogg" else "PCM_16"
    soundfile.write(file, np.clip(sound, -1, 1), rate, format=kind.upper(), subtype=subtype)
    return with_serial(file.getvalue(), 1) if kind == "ogg" else file.getvalue()
