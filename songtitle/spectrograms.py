"""Settings of spectrograms: the reading that gives the paper's shape, and its own words."""

from dataclasses import dataclass
from typing import Literal

from songtitle.errors import InputError
from songtitle.schema import Above0, Count, check

Channel = Literal["mean", "left", "right"]
Window = Literal["hann", "hamming", "blackman", "rectangular"]


@dataclass(frozen=True, kw_only=True)
class SpectrogramConfig:
    """How a clip becomes a spectrogram.

    Raises `InputError` naming the field when a value makes no spectrogram.
    """

    sample_rate: Count = 22_050
    """Samples a second that a clip is resampled to (Hz)."""
    n_fft: Count = 512
    """Points of the transform."""
    window_length: Count = 512
    """Samples under the window, at most n_fft; a shorter one is zero-padded to n_fft."""
    hop_length: Count = 256
    """Samples from one frame to the next: 256 at 22,050 Hz are 11.6 ms."""
    bins: Count = 256
    """Lowest frequencies kept, DC included; n_fft // 2 leaves out Nyquist alone."""
    window: Window = "hann"
    """The window that each frame is multiplied by."""
    top_db: Above0 = 80.0
    """Floor of the spectrogram, dB below the loudest bin."""
    channel: Channel = "mean"
    """How stereo becomes mono: the mean of all channels, or one of them."""

    def __post_init__(self) -> None:
        check(self)
        for name, limit, of in (
            ("window_length", self.n_fft, "n_fft"),
            ("bins", self.n_fft // 2 + 1, "n_fft // 2 + 1"),
        ):
            if getattr(self, name) > limit:
                msg = (
                    f"{name}: expected at most {of} = {limit}, "
                    f"got {getattr(self, name)}; make it smaller or n_fft larger"
                )
                raise InputError(msg)


TRUE_SHAPE = SpectrogramConfig()
"""256 bins by about 2,580 frames for a 30 s clip: the size that the paper states."""

PAPER_LITERAL = SpectrogramConfig(sample_rate=44_100, n_fft=1024)
"""The paper's own words: 44.1 kHz, 1,024 points, a window of 512 that overlaps by half.

With the 256 lowest bins kept this gives about 5,162 frames for a 30 s clip, twice the 2,580
stated, and shows the frequencies below 11 kHz only.
"""
