"""Sound: from a music file to a clip, from a clip to a spectrogram, from that to a picture."""

import io
import math
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    `duration` stays short. An mp3 that does not say how long it is is read to its end.

    Raises `InputError` naming the file when it is missing, a folder, empty or not music, when
    nothing decodes, or when a sample is not a finite number.
    """
    SpectrogramConfig(sample_rate=sample_rate, channel=channel)  # refuses what it would refuse
    if duration is not None and not 0 < duration < math.inf:
        msg = f"duration: expected seconds above 0 or None for all, got {duration}; try 30"
        raise InputError(msg)

    clip = _decode(Path(path), duration, sample_rate, channel)
    if duration is not None:
        clip = clip[: round(duration * sample_rate)]
    if not len(clip):
        msg = f"{path}: expected sound, got no samples; use a file that plays"
        raise InputError(msg)
    # A mean taken in double but subtracted in single precision leaves a constant exactly silent.
    clip -= np.float32(clip.mean(dtype=np.float64))
    return torch.from_numpy(clip)


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
    peak = torch.maximum(waveform.amax(-1, keepdim=True), -waveform.amin(-1, keepdim=True))
    window = WINDOWS[config.window](
        config.window_length, dtype=waveform.dtype, device=waveform.device
    )
    window = (window / peak.clamp_min(tiny)).unsqueeze(-2)
    frames = waveform.unfold(-1, config.window_length, config.hop_length)
    # A few frames at a time: what lies between sound and decibels stays in the processor's cache.
    pieces = [
        _power(some * window, config) for some in frames.split(_frames_at_once(frames, config), -2)
    ]
    loudest = torch.stack([power.amax((-2, -1)) for power in pieces]).amax(0).clamp_min(tiny)
    offset = loudest.log10().mul(10)[..., None, None]
    pieces = [power.log10().mul_(10).sub_(offset).clamp_(-config.top_db, 0) for power in pieces]
    return torch.cat(pieces, dim=-2).transpose(-1, -2)


def spectrogram_image(spectrogram: Spectrogram, config: SpectrogramConfig) -> Image:
    """A spectrogram as a grey picture: three equal channels, highest frequency in the top row.

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


def _frames_at_once(
    frames: Float[Tensor, "*batch frames window_length"], config: SpectrogramConfig
) -> int:
    """How many frames of each clip `log_spectrogram` transforms together."""
    if frames.device.type != "cpu":  # elsewhere many small steps cost more than memory does
        return frames.shape[-2]
    clips = math.prod(frames.shape[:-2])
    return max(1, _POINTS_AT_ONCE // max(1, clips * config.n_fft))


class _Sound(NamedTuple):
    """What a decoder gave."""

    clip: Float[np.ndarray, " samples"]  # mono, at the rate that was asked for
    read: int  # samples a channel, at the file's own rate
    broke_off: bool  # whether the decoder gave up on the way
    to_the_last: bool  # whether all that an mp3 announced was read and more was wanted


def _decode(
    path: Path, duration: float | None, sample_rate: int, channel: Channel
) -> Float[np.ndarray, " samples"]:
    """The samples needed for `duration` seconds, mono, at `sample_rate` Hz, as float32."""
    _check_readable(path)
    read = partial(_read, path, duration, sample_rate, channel)
    try:
        with quiet_decoder():
            sound = read(_BLOCK)
            # Again in tenths of a second, to lose no more than one of them.
            if sound.broke_off:
                sound = read(_SMALL_BLOCK)
            elif sound.to_the_last and _announced(path) > sound.read:
                sound = read(_SMALL_BLOCK, endless=True)
    # TypeError: soundfile takes some suffixes for headerless data and asks for a rate.
    except (soundfile.SoundFileError, TypeError) as error:
        msg = (
            f"{path}: expected an mp3, ogg, flac or wav file, got nothing that can be "
            "decoded; convert it, or fetch it again if it was cut off"
        )
        raise InputError(msg) from error
    if not sound.read:
        msg = f"{path}: expected sound, got no samples; the file may be cut off: fetch it again"
        raise InputError(msg)
    return sound.clip


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
        mix = _Mixer(size, file.channels, channel)
        checked = file.subtype in ("FLOAT", "DOUBLE")  # other samples are numbers by themselves
        not_finite = (
            f"{path}: expected finite samples, got infinite ones or NaN; "
            "export it again as 16-bit wav"
        )
        pieces, read, broke_off = [], 0, False
        try:
            while read < wanted:
                block = file.read(int(min(wanted - read, size)), dtype="float32", out=buffer)
                if not len(block):
                    break
                if checked and not np.isfinite(block).all():
                    raise InputError(not_finite)
                pieces.append(stream.resample_chunk(mix(block)))
                read += len(block)
        except soundfile.SoundFileError:
            broke_off = True
        pieces.append(stream.resample_chunk(np.empty(0, dtype=np.float32), last=True))
        clip = np.concatenate(pieces)
        if not np.isfinite(clip).all():
            raise InputError(not_finite)
        to_the_last = read < wanted and read == file.frames and file.format == "MP3"
        return _Sound(clip, read, broke_off, to_the_last)


class _Mixer:
    """Blocks of up to `size` samples made mono, each in the memory of the one before."""

    def __init__(self, size: int, channels: int, channel: Channel) -> None:
        self._sums = np.empty(size * channels, dtype=np.float32)
        self._mono = np.empty(size, dtype=np.float32)
        self._channels = channels
        # The one channel to take; None for the mean of all.
        self._one = None if channel == "mean" else int(channel == "right" and channels > 1)

    def __call__(
        self, block: Float[np.ndarray, "samples channels"]
    ) -> Float[np.ndarray, " samples"]:
        mono = self._mono[: len(block)]
        if self._one is not None:
            np.copyto(mono, block[:, self._one])
        elif self._channels == 2:
            # Every neighbour added to every sample and half of the sums thrown away: adding in the
            # order of memory is a third of the time of picking the two channels apart first.
            flat = block.reshape(-1)
            sums = self._sums[: len(flat) - 1]
            with np.errstate(over="ignore"):  # of a sum that is thrown away
                np.add(flat[:-1], flat[1:], out=sums)
            np.multiply(sums[::2], np.float32(0.5), out=mono)
        else:
            # numpy's mean over an axis as short as this takes twenty times as long.
            np.copyto(mono, block[:, 0])
            for other in range(1, self._channels):
                mono += block[:, other]
            mono *= 1 / self._channels
        return mono


class StraightFile(soundfile.SoundFile):
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
def _opened(path: Path, *, endless: bool) -> Iterator[StraightFile]:
    if not endless:
        with StraightFile(path) as file:
            yield file
        return
    with _Endless(path) as longer, StraightFile(longer) as file:
        yield file


def _announced(path: Path) -> int:
    """The samples that libsndfile would expect of a much longer file with the same beginning.

    More than of the file itself only where it has to guess from the file's length.
    """
    with _opened(path, endless=True) as file:
        return int(file.frames)


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


_HEAD = 27  # bytes of a page before its segment table (RFC 3533, section 6)


def with_serial(stream: bytes, serial: int) -> bytes:
    """The same stream under another serial number, its checksums made anew.

    Raises InputError for bytes that are no whole Ogg stream.
    """
    pages = []
    for page in pages_of(stream):
        plain = page[:14] + struct.pack("<I", serial) + page[18:22] + bytes(4) + page[26:]
        pages.append(plain[:22] + struct.pack("<I", page_checksum(plain)) + plain[26:])
    return b"".join(pages)


def pages_of(stream: bytes) -> Iterator[bytes]:
    """The pages of an Ogg stream, in order."""
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
    """The checksum of a page whose own is 0 (RFC 3533: polynomial 0x04c11db7, begun at 0)."""
    value = 0
    for byte in page:
        value = (value << 8) & 0xFFFFFFFF ^ _TABLE[value >> 24 ^ byte]
    return value


def _entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = [_entry(byte) for byte in range(256)]
