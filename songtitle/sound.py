"""Sound: from a music file to a clip, from a clip to a spectrogram, from that to a picture."""

import io
import math
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.config import Channel, SpectrogramConfig
from songtitle.errors import InputError
from songtitle.shapes import Image, Spectrogram, Waveform

# Periodic windows, which is what a spectral analysis wants (and what librosa and SciPy default to).
WINDOWS: dict[str, Callable[..., Tensor]] = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "rectangular": torch.ones,
}

_BLOCK = 46_080  # samples decoded and mixed at a time, about a second
_SMALL_BLOCK = 4_608  # where the decoder has given up before
_POINTS_AT_ONCE = 131_072  # of the transform: half a megabyte of samples


def load_clip(
    path: str | Path, *, sample_rate: int, duration: float | None = 30.0, channel: Channel = "mean"
) -> Float[Tensor, " samples"]:
    """Load `duration` seconds of an mp3, ogg, flac or wav file, mono, at `sample_rate` Hz.

    In this order: read no more than `duration` needs (`None`: all), mix to mono (a mono file has
    one channel whatever is asked), resample, cut, subtract the mean. The range is about [-1, 1]. A
    file that breaks gives the sound before; a short one stays short. An mp3 that does not say how
    long it is is read to its end.

    Raises `InputError` naming the file when `opened` does, when nothing decodes, or when a sample
    is not a finite number.
    """
    SpectrogramConfig(sample_rate=sample_rate, channel=channel)  # refuses what it would refuse
    if duration is not None and not 0 < duration < math.inf:
        msg = f"duration: expected seconds above 0 or None for all, got {duration}; try 30"
        raise InputError(msg)
    path = Path(path)
    read = partial(_read, path, duration or math.inf, sample_rate, channel)
    sound = read(_BLOCK)
    # Again in tenths of a second, to lose no more than one of them.
    if sound.broke_off:
        sound = read(_SMALL_BLOCK)
    elif sound.to_the_last:
        with opened(path, endless=True) as file:
            guessed = file.frames > sound.samples  # from the file's length, so too few
        if guessed:
            sound = read(_SMALL_BLOCK, endless=True)
    clip = sound.clip if duration is None else sound.clip[: round(duration * sample_rate)]
    if not sound.samples or not len(clip):
        msg = f"{path}: expected sound, got no samples; the file may be cut off: fetch it again"
        raise InputError(msg)
    # A mean taken in double but subtracted in single precision leaves a constant exactly silent.
    clip -= np.float32(clip.mean(dtype=np.float64))
    return torch.from_numpy(clip)


def frame_count(samples: int, config: SpectrogramConfig) -> int:
    """Frames of a clip: `1 + (samples - window_length) // hop_length`, and never fewer than 1."""
    return 1 + max(0, samples - config.window_length) // config.hop_length


def log_spectrogram(waveform: Waveform, config: SpectrogramConfig) -> Spectrogram:
    """Compute a power spectrogram in dB below each clip's loudest kept bin, low frequencies first.

    Frames as `frame_count`, without centring; only a clip shorter than one window is padded, with
    silence. Values lie in [-top_db, 0], whatever the gain; silence is -top_db throughout.
    """
    missing = config.window_length - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (0, missing))
    tiny = torch.finfo(waveform.dtype).tiny
    # The square of a very quiet or very loud clip would leave the range of the number type.
    peak = torch.maximum(waveform.amax(-1, keepdim=True), -waveform.amin(-1, keepdim=True))
    like = {"dtype": waveform.dtype, "device": waveform.device}
    window = WINDOWS[config.window](config.window_length, **like) / peak.clamp_min(tiny)
    frames = waveform.unfold(-1, config.window_length, config.hop_length)
    # A few frames at a time: what lies between sound and decibels stays in the processor's cache.
    # Elsewhere many small steps cost more than memory does.
    at_once = max(1, _POINTS_AT_ONCE // max(1, math.prod(frames.shape[:-2]) * config.n_fft))
    if frames.device.type != "cpu":
        at_once = frames.shape[-2]
    pieces = []
    for some in frames.split(at_once, -2):
        # Zeros on the right of a frame turn its phase only: this is a centred window's power.
        spectrum = torch.fft.rfft(some * window.unsqueeze(-2), n=config.n_fft)[..., : config.bins]
        real, imaginary = torch.view_as_real(spectrum).square().unbind(-1)
        pieces.append(real + imaginary)
    loudest = torch.stack([power.amax((-2, -1)) for power in pieces]).amax(0).clamp_min(tiny)
    offset = loudest.log10().mul(10)[..., None, None]
    pieces = [power.log10().mul_(10).sub_(offset).clamp_(-config.top_db, 0) for power in pieces]
    return torch.cat(pieces, dim=-2).transpose(-1, -2)


def spectrogram_image(spectrogram: Spectrogram, config: SpectrogramConfig) -> Image:
    """Make a spectrogram a grey picture: three equal channels, highest frequency in the top row.

    `bins` become the height and `frames` the width; [-top_db, 0] dB becomes [0, 1]. The channels
    share their memory: `clone()` a picture to write into it.
    """
    grey = spectrogram.flip(-2).div_(config.top_db).add_(1)
    return grey.unsqueeze(-3).expand(*grey.shape[:-2], 3, *grey.shape[-2:])


class _Sound(NamedTuple):
    clip: np.ndarray  # mono, at the rate that was asked for
    samples: int  # read of each channel, at the file's own rate
    broke_off: bool  # whether the decoder gave up on the way
    to_the_last: bool  # whether all that an mp3 announced was read and more was wanted


def _read(
    path: Path, seconds: float, rate: int, channel: Channel, size: int, *, endless: bool = False
) -> _Sound:
    """Decode, mix and resample `size` samples at a time, while the processor's cache holds them."""
    with opened(path, endless=endless) as file:
        wanted = seconds * file.samplerate
        wanted = math.ceil(wanted) if wanted < math.inf else wanted
        stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32", quality="HQ")
        size = int(min(wanted, size))
        buffer = np.empty((size, file.channels), dtype=np.float32)
        checked = file.subtype in ("FLOAT", "DOUBLE")  # other samples are numbers by themselves
        pieces, samples, broke_off = [], 0, False
        try:
            while samples < wanted:
                block = file.read(int(min(wanted - samples, size)), dtype="float32", out=buffer)
                if not len(block):
                    break
                if checked:
                    _check_finite(path, block)
                pieces.append(stream.resample_chunk(_mono(block, channel)))
                samples += len(block)
        except soundfile.SoundFileError:
            broke_off = True
        pieces.append(stream.resample_chunk(np.empty(0, dtype=np.float32), last=True))
        clip = np.concatenate(pieces)
        _check_finite(path, clip)
        to_the_last = samples < wanted and samples == file.frames and file.format == "MP3"
        return _Sound(clip, samples, broke_off, to_the_last)


def _mono(block: Float[np.ndarray, "samples channels"], channel: Channel) -> np.ndarray:
    """The mean of all channels, or one of them."""
    channels = block.shape[1]
    if channel == "mean" and channels > 1:  # numpy's mean of so few takes fifty times as long
        return block @ np.full(channels, 1 / channels, dtype=np.float32)
    return np.ascontiguousarray(block[:, int(channel == "right" and channels > 1)])


def _check_finite(path: Path, samples: Float[np.ndarray, "..."]) -> None:
    if not np.isfinite(samples).all():
        msg = f"{path}: expected finite samples, got infinite ones or NaN; "
        raise InputError(msg + "export it again as 16-bit wav")


class _StraightFile(soundfile.SoundFile):
    """A sound file that says it cannot seek: soundfile would, after every read, to where it stands,
    and in an mp3 that takes longer than decoding does."""

    def seekable(self) -> bool:
        return False


class _Endless(io.FileIO):
    """A file that says it is 1,000 times as long as it is.

    Of an mp3 that does not say how many frames it has, libsndfile takes as many as would fill the
    file if all were as long as its first, and stops there; bit rates go from 8 to 320 kbit/s.
    """

    _at_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at_end = whence == os.SEEK_END and offset == 0
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() * (1000 if self._at_end else 1)


@contextmanager
def opened(path: Path, *, endless: bool = False) -> Iterator[soundfile.SoundFile]:
    """Open a music file to be read from beginning to end, without the decoder's own remarks.

    Raises `InputError` naming the file when it is missing, a folder, empty or not music.
    """
    with quiet_decoder(), ExitStack() as stack:
        try:
            with path.open("rb") as content:
                came = "" if content.read(1) else "an empty one; fetch or export it again"
            if not came:
                source = stack.enter_context(_Endless(path)) if endless else path
                file = stack.enter_context(_StraightFile(source))
        except OSError as error:
            came = f"'{error.strerror}'; check its name and permissions"
        # TypeError: soundfile takes some suffixes for headerless data and asks for a rate.
        except (soundfile.SoundFileError, TypeError):
            came = "nothing that can be decoded; convert it, or fetch it again if it was cut off"
        if came:
            msg = f"{path}: expected an mp3, ogg, flac or wav file, got {came}"
            raise InputError(msg)
        yield file


_quiet_lock = threading.Lock()
_quiet_users, _quiet_saved = 0, -1


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep the decoder's own remarks off the screen.

    libsndfile's mp3 decoder writes them straight to file descriptor 2, which so points at nothing
    while it works. Threads share it: the first one in turns it away, the last one out back.
    """
    global _quiet_users, _quiet_saved
    with _quiet_lock:
        if _quiet_users == 0:
            _quiet_saved = -1
            with suppress(OSError):  # a windowed program may have no standard error at all
                _quiet_saved = os.dup(2)
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), 2)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0 and _quiet_saved >= 0:
                os.dup2(_quiet_saved, 2)
                os.close(_quiet_saved)


def with_serial(stream: bytes, serial: int) -> bytes:
    """Give the same Ogg stream under another serial number; InputError for what is none."""
    pages = []
    for page in pages_of(stream):
        plain = page[:14] + struct.pack("<I", serial) + page[18:22] + bytes(4) + page[26:]
        pages.append(plain[:22] + struct.pack("<I", page_checksum(plain)) + plain[26:])
    return b"".join(pages)


def pages_of(stream: bytes) -> Iterator[bytes]:
    """Give the pages of an Ogg stream, in order."""
    place = 0
    while place < len(stream):
        head = place + 27  # bytes, before the segment table (RFC 3533, section 6)
        body = stream[head : head + stream[head - 1]] if head <= len(stream) else b""
        end = head + len(body) + sum(body)
        if stream[place : place + 4] != b"OggS" or end > len(stream):
            msg = f"ogg: expected a page at byte {place} of {len(stream)}, got none; encode again"
            raise InputError(msg)
        yield stream[place:end]
        place = end


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_checksum(page: bytes) -> int:
    """Give the checksum of a page whose own is 0 (RFC 3533: polynomial 0x04c11db7, begun at 0):
    zlib's of the bits in reverse, in reverse."""
    reverse = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reverse:032b}"[::-1], 2)
