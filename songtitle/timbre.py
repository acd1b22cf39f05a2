"""Timbre: a clip as 90 numbers, widened to the width of an encoder's output and standardised."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from songtitle.errors import InputError

COEFFICIENTS = 12
TIMBRE_SIZE = COEFFICIENTS + COEFFICIENTS * (COEFFICIENTS + 1) // 2  # 12 means + 78 covariances

# Where the diagonals 0, 1, ..., 11 of a 12 by 12 matrix stand in its rows laid end to end.
_DIAGONALS = np.concatenate(
    [np.arange(COEFFICIENTS - k) * (COEFFICIENTS + 1) + k for k in range(COEFFICIENTS)]
)

WINDOW_LENGTH = 2048  # samples, 93 ms at 22,050 Hz; as usual as the hop and the bands below


def timbre_vector(waveform: Float[Tensor, " samples"], *, sample_rate: int) -> Float[Tensor, " 90"]:
    """Compute 12 means and 78 covariances of a clip's first 12 mel-frequency cepstral coefficients.

    They stand in for Echo Nest's 12 timbre numbers of a segment (Bertin-Mahieux et al. 2011), whose
    code is not public: also the shape of the spectrum, the first following loudness, on another
    scale. Frames of 2,048 samples every 512, Hann window, uncentred; 40 mel bands; dB with
    librosa's floors. A clip shorter than a frame is extended by silence.
    """
    import librosa  # takes seconds to load, and only this function needs it

    clip = waveform.detach().cpu().numpy()
    clip = np.pad(clip, (0, max(0, WINDOW_LENGTH - len(clip))))
    coefficients = librosa.feature.mfcc(
        y=clip,
        sr=sample_rate,
        n_mfcc=COEFFICIENTS,
        n_fft=WINDOW_LENGTH,
        hop_length=512,
        n_mels=40,
        center=False,
    )
    return summarise(torch.from_numpy(coefficients.T).to(waveform))


def summarise(frames: Float[Tensor, "frames 12"]) -> Float[Tensor, " 90"]:
    """Do as `moments`, for a tensor."""
    return torch.from_numpy(moments(frames.double().cpu().numpy())).to(frames)


def moments(frames: Float[np.ndarray, "frames 12"]) -> Float64[np.ndarray, " 90"]:
    """Compute 12 means, then 78 covariances, of timbre frames or of Million Song segments.

    Covariances are divided by `frames - 1` (0 for a single frame) and stand in UCI's order: the
    diagonals 0, 1, ..., 11 of their matrix. Raises `InputError` without any frame.
    """
    count = len(frames)
    if not count:
        msg = "frames: expected at least one timbre frame, got none; use a clip that has sound"
        raise InputError(msg)
    precise = frames.astype(np.float64, copy=False)
    mean = np.ones(count) @ precise / count
    # Centred before it is squared: a mean far from 0 would leave few digits of the covariances.
    centred = precise - mean
    covariances = (centred.T @ centred).ravel()[_DIAGONALS] / max(1, count - 1)
    return np.concatenate([mean, covariances])


def replicated_order(
    width: int, *, numbers: int = TIMBRE_SIZE, generator: Generator
) -> Int[Tensor, " {width}"]:
    """Draw the indices of `numbers` numbers, repeated to fill `width` places, in random order.

    Of 90, for 512 places, the first 62 come six times and the other 28 five times. Raises
    `InputError` for fewer places than numbers.
    """
    if width < numbers:
        msg = f"width: expected at least {numbers}, one for each number, got {width}; try 512"
        raise InputError(msg)
    return (torch.arange(width) % numbers)[torch.randperm(width, generator=generator)]


def tile_to_width(
    timbre: Float[Tensor, "*batch numbers"], width: int, *, order: Int[Tensor, " {width}"]
) -> Float[Tensor, "*batch {width}"]:
    """Widen timbre, 90 numbers as a rule, to `width` by copying: place i holds number `order[i]`,
    for every song.

    Raises `InputError` when the order has another length, lacks a number or holds a stranger.
    """
    numbers = timbre.shape[-1]
    if len(order) != width or set(order.tolist()) != set(range(numbers)):
        msg = f"order: expected {width} indices, every one from 0 to {numbers - 1} and no "
        raise InputError(msg + f"other, got {len(order)}; draw it by replicated_order()")
    return timbre[..., order.to(timbre.device)]


def fit_standardiser(
    timbre: Float[Tensor, "items numbers"],
) -> tuple[Float[Tensor, " numbers"], Float[Tensor, " numbers"]]:
    """Find mean and standard deviation (divided by `items`) of each column of the songs given.

    Here these are the test songs themselves: no song is trained on, and their titles stay out of
    it, but how a song is scaled depends on which others are tested with it. A column of equal
    values gets the deviation 1. Raises `InputError` without any item.
    """
    if not len(timbre):
        msg = "timbre: expected at least one song to standardise by, got none; add songs"
        raise InputError(msg)
    precise = timbre.double()
    std = precise.std(0, correction=0)
    # Asked of the values: rounding can leave the deviation of equal values just above 0.
    std[timbre.amax(0) == timbre.amin(0)] = 1
    return precise.mean(0).to(timbre.dtype), std.to(timbre.dtype)


def standardise(
    timbre: Float[Tensor, "items numbers"],
    mean: Float[Tensor, " numbers"],
    std: Float[Tensor, " numbers"],
) -> Float[Tensor, "items numbers"]:
    """Give columns in units of their deviation from their mean; a deviation of 0 counts as 1."""
    return (timbre - mean) / torch.where(std == 0, torch.ones_like(std), std)
