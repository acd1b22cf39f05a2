"""Sound: from a music file to a clip, from a clip to a spectrogram, from that to a picture."""

import math
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.errors import InputError
from songtitle.shapes import Image, Spectrogram, Waveform

Channel = Literal["mean", "left", "right"]

# Periodic windows, which is what a spectral analysis wants (and what librosa and SciPy default to).
WINDOWS: dict[str, Callable[..., Tensor]] = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "rectangular": torch.ones,
}


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{name}: expected a whole number from 1 up, got {value!r}; change it"
        raise InputError(msg)


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        msg = f"{name}: expected one of {', '.join(choices)}, got {value!r}; pick one of them"
        raise InputError(msg)


@dataclass(frozen=True, kw_only=True)
class SpectrogramConfig:
    """How a clip becomes a spectrogram.

    Raises `InputError` naming the field when a value makes no spectrogram.
    """

    sample_rate: int = 22_050  # Hz
    n_fft: int = 512  # points of the transform
    window_length: int = 512  # samples; shorter windows are zero-padded to n_fft
    hop_length: int = 256  # samples between frames, 11.6 ms
    bins: int = 256  # lowest kept, DC included; n_fft // 2 leaves out Nyquist alone
    window: str = "hann"
    top_db: float = 80.0  # floor, dB below the loudest bin
    channel: Channel = "mean"  # how stereo becomes mono

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "window_length", "hop_length", "bins"):
            _check_count(f"SpectrogramConfig.{name}", getattr(self, name))
        for name, limit, of in (
            ("window_length", self.n_fft, "n_fft"),
            ("bins", self.n_fft // 2 + 1, "n_fft // 2 + 1"),
        ):
            if getattr(self, name) > limit:
                msg = (
                    f"SpectrogramConfig.{name}: expected at most {of} = {limit}, "
                    f"got {getattr(self, name)}; make it smaller or n_fft larger"
                )
                raise InputError(msg)
        if not 0 < self.top_db < math.inf:
            msg = f"SpectrogramConfig.top_db: expected dB above 0, got {self.top_db}; try 80"
            raise InputError(msg)
        _check_choice("SpectrogramConfig.window", self.window, WINDOWS)
        _check_choice("SpectrogramConfig.channel", self.channel, get_args(Channel))


TRUE_SHAPE = SpectrogramConfig()
"""256 bins by about 2,580 frames for a 30 s clip: the size that the paper states."""

PAPER_LITERAL = SpectrogramConfig(sample_rate=44_100, n_fft=1024)
"""The paper's own words: 44.1 kHz, 1,024 points, a window of 512 that overlaps by half.

With the 256 lowest bins kept this gives about 5,162 frames for a 30 s clip, twice the 2,580
stated, and shows the frequencies below 11 kHz only.
"""


def load_clip(
    path: str | Path,
    *,
    sample_rate: int,
    duration: float | None = 30.0,
    channel: Channel = "mean",
) -> Float[Tensor, " samples"]:
    """The first `duration` seconds of an mp3, ogg, flac or wav file, mono, at `sample_rate` Hz.

    In this order: read no more of the file than `duration` needs, mix to mono (the mean of all
    channels, or the first or second one; a mono file has one whatever is asked), resample, cut to
    `duration` (`None` keeps everything), subtract the mean. The range is about [-1, 1]. A file
    that breaks off, or breaks further on, gives the sound before the break; a clip shorter than
    `duration` stays short.

    Raises `InputError` naming the file when it is missing, a folder, empty or not music, when
    nothing decodes, or when a sample is not a finite number.
    """
    _check_count("sample_rate", sample_rate)
    _check_choice("channel", channel, get_args(Channel))
    if duration is not None and not 0 < duration < math.inf:
        msg = f"duration: expected seconds above 0 or None for all, got {duration}; try 30"
        raise InputError(msg)

    samples, file_rate = _decode(Path(path), duration)
    mono = samples.mean(axis=1) if channel == "mean" else samples[:, _column(channel, samples)]
    clip = soxr.resample(mono, file_rate, sample_rate, quality="HQ")
    if duration is not None:
        clip = clip[: round(duration * sample_rate)]
    if not len(clip):
        msg = f"{path}: expected sound, got no samples; use a file that plays"
        raise InputError(msg)
    # A mean taken in double but subtracted in single precision leaves a constant exactly silent.
    return torch.from_numpy(clip - np.float32(clip.mean(dtype=np.float64)))


def frame_count(samples: int, config: SpectrogramConfig) -> int:
    """Frames of a clip: `1 + (samples - window_length) // hop_length`, and never fewer than 1."""
    return 1 + max(0, samples - config.window_length) // config.hop_length


def log_spectrogram(waveform: Waveform, config: SpectrogramConfig) -> Spectrogram:
    """Power spectrogram in dB below the loudest kept bin of each clip, lowest frequency first.

    `frames = 1 + (samples - window_length) // hop_length`, without centring or padding; only a
    clip shorter than one window is padded, with silence to one window. Values lie in
    [-top_db, 0]; a change of gain leaves them unchanged; silence is -top_db throughout.
    """
    missing = config.window_length - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (0, missing))
    tiny = torch.finfo(waveform.dtype).tiny
    # The square of a very quiet or very loud clip would leave the range of the number type.
    waveform = waveform / waveform.abs().amax(-1, keepdim=True).clamp_min(tiny)

    window = WINDOWS[config.window](
        config.window_length, dtype=waveform.dtype, device=waveform.device
    )
    frames = waveform.unfold(-1, config.window_length, config.hop_length) * window
    # Zeros on the right of a frame turn its phase only, so this is the power of a centred window.
    spectrum = torch.fft.rfft(frames, n=config.n_fft)[..., : config.bins].transpose(-1, -2)
    power = spectrum.real.square() + spectrum.imag.square()
    loudest = power.amax((-2, -1), keepdim=True).clamp_min(tiny)
    return (10 * torch.log10(power / loudest)).clamp(-config.top_db, 0)


def spectrogram_image(spectrogram: Spectrogram, config: SpectrogramConfig) -> Image:
    """A spectrogram as a grey picture: three equal channels, highest frequency in the top row.

    `bins` become the height and `frames` the width; [-top_db, 0] dB becomes [0, 1].
    """
    grey = (1 + spectrogram / config.top_db).flip(-2)
    return torch.stack([grey, grey, grey], dim=-3)


def _decode(
    path: Path, duration: float | None
) -> tuple[Float[np.ndarray, "samples channels"], int]:
    """The samples needed for `duration` seconds, as float32, and their rate in Hz."""
    _check_readable(path)
    try:
        with quiet_decoder():
            blocks, rate, broke_off = _read_blocks(path, duration, 1_048_576)
            if broke_off:  # again in tenths of a second, to lose no more than one of them
                blocks, rate, _ = _read_blocks(path, duration, 4_608)
    # TypeError: soundfile takes some suffixes for headerless data and asks for a rate.
    except (soundfile.SoundFileError, TypeError) as error:
        msg = (
            f"{path}: expected an mp3, ogg, flac or wav file, got nothing that can be "
            "decoded; convert it, or fetch it again if it was cut off"
        )
        raise InputError(msg) from error
    if not blocks:
        msg = f"{path}: expected sound, got no samples; the file may be cut off: fetch it again"
        raise InputError(msg)
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        msg = (
            f"{path}: expected finite samples, got infinite ones or NaN; "
            "export it again as 16-bit wav"
        )
        raise InputError(msg)
    return samples, rate


def _read_blocks(
    path: Path, duration: float | None, size: int
) -> tuple[list[np.ndarray], int, bool]:
    """Blocks of at most `size` samples, their rate, and whether the decoder gave up on the way."""
    blocks: list[np.ndarray] = []
    with soundfile.SoundFile(path) as file:
        wanted = math.inf if duration is None else math.ceil(duration * file.samplerate)
        try:
            while wanted > 0:
                block = file.read(int(min(wanted, size)), dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block)
                wanted -= len(block)
        except soundfile.SoundFileError:
            return blocks, file.samplerate, True
        return blocks, file.samplerate, False


def _column(channel: Channel, samples: Float[np.ndarray, "samples channels"]) -> int:
    return 1 if channel == "right" and samples.shape[1] > 1 else 0


def _check_readable(path: Path) -> None:
    if path.is_dir():
        msg = f"{path}: expected a music file, got a folder; name the files in it"
        raise InputError(msg)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        msg = f"{path}: expected a music file, got no such file; check the name"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path}: expected a readable music file, got {error.strerror}; check its permissions"
        raise InputError(msg) from error
    if empty:
        msg = f"{path}: expected a music file, got an empty one; fetch or export it again"
        raise InputError(msg)


_quiet_lock = threading.Lock()
_quiet_users = 0
_quiet_saved = -1


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep the decoder's own remarks off the screen.

    libsndfile's mp3 decoder writes its warnings straight to file descriptor 2 and has no switch
    for that, so the descriptor points at nothing while it works. Threads share it: the first one
    in turns it away, the last one out turns it back.
    """
    global _quiet_users, _quiet_saved
    with _quiet_lock:
        if _quiet_users == 0:
            try:
                _quiet_saved = os.dup(2)
            except OSError:  # a windowed program may have no standard error at all
                _quiet_saved = -1
            else:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0 and _quiet_saved >= 0:
                os.dup2(_quiet_saved, 2)
                os.close(_quiet_saved)
