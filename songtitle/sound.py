"""Sound: from a music file to a clip, from a clip to a spectrogram, from that to a picture."""

import io
import math
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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

_HEAD = 27  # bytes of an Ogg page before its segment table (RFC 3533, section 6)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_BLOCK = 46_080  # samples decoded and mixed at a time, about a second
_SMALL_BLOCK = 4_608  # where the decoder has given up before
_POINTS_AT_ONCE = 131_072  # of the transform: half a megabyte of samples


def load_clip(
    path: str | Path,
    *,
    sample_rate: int,
    duration: float | None = 30.0,
    channel: Channel = "mean",
) -> Float[Tensor, " samples"]:
    """Load `duration` seconds of an mp3, ogg, flac or wav file, mono, at `sample_rate` Hz.

    In this order: read no more of the file than `duration` needs, mix to mono (the mean of all
    channels, or the first or second one; a mono file has one whatever is asked), resample, cut to
    `duration` (`None` keeps everything), subtract the mean. The range is about [-1, 1]. A file
    that breaks off, or breaks further on, gives the sound before the break; a clip shorter than
    `duration` stays short. An mp3 that does not say how long it is is read to its end.

    Raises `InputError` naming the file when it is missing, a folder, empty or not music, when
    nothing decodes, or when a sample is not a finite number.
    """
    SpectrogramConfig(sample_rate=sample_rate, channel=channel)  # refuses what it would refuse
    if duration is not None and not 0 < duration < math.inf:
        msg = f"duration: expected seconds above 0 or None for all, got {duration}; try 30"
        raise InputError(msg)

    path = Path(path)
    _check_readable(path)
    read = partial(_read, path, duration, sample_rate, channel)
    try:
        with quiet_decoder():
            sound = read(_BLOCK)
            # Again in tenths of a second, to lose no more than one of them.
            if sound.broke_off:
                sound = read(_SMALL_BLOCK)
            elif sound.to_the_last and _announced(path) > sound.samples:
                sound = read(_SMALL_BLOCK, endless=True)
    # TypeError: soundfile takes some suffixes for headerless data and asks for a rate.
    except (soundfile.SoundFileError, TypeError) as error:
        msg = (
            f"{path}: expected an mp3, ogg, flac or wav file, got nothing that can be "
            "decoded; convert it, or fetch it again if it was cut off"
        )
        raise InputError(msg) from error
    clip = sound.clip
    if duration is not None:
        clip = clip[: round(duration * sample_rate)]
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

    `frames = 1 + (samples - window_length) // hop_length`, without centring or padding; only a
    clip shorter than one window is padded, with silence to one window. Values lie in
    [-top_db, 0]; a change of gain leaves them unchanged; silence is -top_db throughout.
    """
    missing = config.window_length - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (0, missing))
    tiny = torch.finfo(waveform.dtype).tiny
    # The square of a very quiet or very loud clip would leave the range of the number type.
    peak = torch.maximum(waveform.amax(-1, keepdim=True), -waveform.amin(-1, keepdim=True))
    window = WINDOWS[config.window](
        config.window_length, dtype=waveform.dtype, device=waveform.device
    )
    window = (window / peak.clamp_min(tiny)).unsqueeze(-2)
    frames = waveform.unfold(-1, config.window_length, config.hop_length)
    # A few frames at a time: what lies between sound and decibels stays in the processor's cache.
    # Elsewhere many small steps cost more than memory does.
    at_once = max(1, _POINTS_AT_ONCE // max(1, math.prod(frames.shape[:-2]) * config.n_fft))
    if frames.device.type != "cpu":
        at_once = frames.shape[-2]
    pieces = [_power(some * window, config) for some in frames.split(at_once, -2)]
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


def _power(
    frames: Float[Tensor, "*batch frames window_length"], config: SpectrogramConfig
) -> Float[Tensor, "*batch frames bins"]:
    # Zeros on the right of a frame turn its phase only, so this is the power of a centred window.
    spectrum = torch.fft.rfft(frames, n=config.n_fft)[..., : config.bins]
    squares = torch.view_as_real(spectrum).square()
    return squares[..., 0] + squares[..., 1]


class _Sound(NamedTuple):
    """What a decoder gave."""

    clip: Float[np.ndarray, " samples"]  # mono, at the rate that was asked for
    samples: int  # read of each channel, at the file's own rate
    broke_off: bool  # whether the decoder gave up on the way
    to_the_last: bool  # whether all that an mp3 announced was read and more was wanted


def _read(
    path: Path,
    duration: float | None,
    sample_rate: int,
    channel: Channel,
    size: int,
    *,
    endless: bool = False,
) -> _Sound:
    """Decode, mix and resample `size` samples at a time, while the processor's cache holds them."""
    with _opened(path, endless=endless) as file:
        wanted = math.inf if duration is None else math.ceil(duration * file.samplerate)
        stream = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
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


def _mono(
    block: Float[np.ndarray, "samples channels"], channel: Channel
) -> Float[np.ndarray, " samples"]:
    """The mean of all channels, or one of them."""
    channels = block.shape[1]
    if channel == "mean" and channels > 1:
        # numpy's mean over an axis as short as this takes fifty times as long.
        return block @ np.full(channels, 1 / channels, dtype=np.float32)
    return np.ascontiguousarray(block[:, int(channel == "right" and channels > 1)])


def _check_finite(path: Path, samples: Float[np.ndarray, "..."]) -> None:
    if not np.isfinite(samples).all():
        msg = (
            f"{path}: expected finite samples, got infinite ones or NaN; "
            "export it again as 16-bit wav"
        )
        raise InputError(msg)


class _StraightFile(soundfile.SoundFile):
    """A sound file that is read from beginning to end.

    After every read, soundfile seeks the place where the file stands already; in an mp3 that takes
    longer than decoding a tenth of a second of stereo. It does not in a file that cannot seek.
    """

    def seekable(self) -> bool:
        """No, so that it is not tried."""
        return False


class _Endless(io.FileIO):
    """A file that says it is 1,000 times as long as it is.

    Of an mp3 that does not say how many frames it has, libsndfile takes the number that would fill
    the file if all were as long as its first, and stops there; bit rates go from 8 to 320 kbit/s.
    """

    _at_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at_end = whence == os.SEEK_END and offset == 0
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() * (1000 if self._at_end else 1)


@contextmanager
def _opened(path: Path, *, endless: bool) -> Iterator[soundfile.SoundFile]:
    with ExitStack() as stack:
        source = stack.enter_context(_Endless(path)) if endless else path
        yield stack.enter_context(_StraightFile(source))


def _announced(path: Path) -> int:
    """The samples that libsndfile would expect of a much longer file with the same beginning.

    More than of the file itself only where it has to guess from the file's length.
    """
    with _opened(path, endless=True) as file:
        return int(file.frames)


def _check_readable(path: Path) -> None:
    fault = ""
    if path.is_dir():
        fault = "a folder; name the files in it"
    elif not path.exists():
        fault = "no such file; check the name"
    else:
        try:
            with path.open("rb") as file:
                if not file.read(1):
                    fault = "an empty one; fetch or export it again"
        except OSError as error:
            fault = f"{error.strerror}; check its permissions"
    if fault:
        msg = f"{path}: expected a readable music file, got {fault}"
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


def with_serial(stream: bytes, serial: int) -> bytes:
    """Give the same stream under another serial number, its checksums made anew.

    Raises InputError for bytes that are no whole Ogg stream.
    """
    pages = []
    for page in pages_of(stream):
        plain = page[:14] + struct.pack("<I", serial) + page[18:22] + bytes(4) + page[26:]
        pages.append(plain[:22] + struct.pack("<I", page_checksum(plain)) + plain[26:])
    return b"".join(pages)


def pages_of(stream: bytes) -> Iterator[bytes]:
    """Give the pages of an Ogg stream, in order."""
    place = 0
    while place < len(stream):
        segments = stream[place + _HEAD - 1] if place + _HEAD <= len(stream) else 0
        body = stream[place + _HEAD : place + _HEAD + segments]
        end = place + _HEAD + segments + sum(body)
        if stream[place : place + 4] != b"OggS" or end > len(stream):
            msg = f"ogg: expected a page at byte {place} of {len(stream)}, got none; encode again"
            raise InputError(msg)
        yield stream[place:end]
        place = end


def page_checksum(page: bytes) -> int:
    """Give the checksum of a page whose own is 0 (RFC 3533: polynomial 0x04c11db7, begun at 0).

    It is zlib's of the bits in reverse, in reverse.
    """
    reverse = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reverse:032b}"[::-1], 2)
