"""A network that was trained on music, `musicnn`'s: it tells 50 tags of the Million Song Dataset.

Source: Pons and Serra 2019, "musicnn: pre-trained convolutional neural networks for music audio
tagging". Its arrays are read as its makers' package has them, without the TensorFlow of that time.
"""

from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from songtitle.errors import expect

SAMPLE_RATE, N_FFT, HOP, MELS = 16_000, 512, 256, 96
FRAMES = 187  # of a patch: three seconds, as in training
CONVOLUTIONS = (  # steps, bins or channels read, 1, channels made; the first five read bins
    *((7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51)),
    *((7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64)),
)
DENSE = ((1506, 200), (200, 50))
NORMED = (1, *(each[-1] for each in CONVOLUTIONS), *(each[0] for each in DENSE))  # channels

Weights = dict[str, Tensor]
Patches = Float[Tensor, "batch frames bins"]


def shapes() -> dict[str, tuple[int, ...]]:
    """Give the shape of each array of the network by its name in the file."""
    found: dict[str, tuple[int, ...]] = {}
    for place, channels in enumerate(NORMED):
        for name in ("beta", "gamma", "moving_mean", "moving_variance"):
            found[_named("batch_normalization", place, name)] = (channels,)
    for layer, kernels in (("conv2d", CONVOLUTIONS), ("dense", DENSE)):
        for place, kernel in enumerate(kernels):
            found[_named(layer, place, "kernel")] = kernel
            found[_named(layer, place, "bias")] = kernel[-1:]
    return found


def _named(layer: str, place: int, name: str) -> str:
    return f"{layer}_{place}/{name}" if place else f"{layer}/{name}"


def read_weights(data: bytes) -> Weights:
    """Read the arrays, float32, that stand end to end in the order of their names.

    Two of Adam's follow each that is trained. Raises InputError for data of another length.
    """
    wanted = shapes() | {"beta1_power": (), "beta2_power": ()}  # the powers are Adam's, too
    sizes = {
        name: prod(wanted[name]) * (1 if "moving" in name or not wanted[name] else 3)
        for name in sorted(wanted)
    }
    whole = 4 * sum(sizes.values())
    told = f"music network: expected arrays of {whole:,} bytes, got {len(data):,}; fetch it again"
    expect(len(data) == whole, told)
    parts = np.split(np.frombuffer(data, "<f4"), np.cumsum([*sizes.values()])[:-1])
    return {
        name: torch.from_numpy(part[: prod(wanted[name])].copy()).reshape(wanted[name])
        for name, part in zip(sizes, parts, strict=True)
        if wanted[name]
    }


def tag(patches: Patches, weights: Weights) -> tuple[Tensor, Tensor]:
    """Give the last layer below the tags, `(batch, 200)`, and the logits of the 50 tags.

    `patches` are frames of log10(1 + 10,000 power) in 96 mel bins.
    """

    def norm(x: Tensor, place: int) -> Tensor:
        names = ("moving_mean", "moving_variance", "gamma", "beta")
        mean, variance, gamma, beta = (
            weights[_named("batch_normalization", place, name)] for name in names
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    def convolve(x: Tensor, place: int) -> Tensor:
        kernel, bias = (weights[_named("conv2d", place, name)] for name in ("kernel", "bias"))
        steps = len(kernel)
        kernel, around = kernel.permute(3, 2, 0, 1), ((steps - 1) // 2, steps // 2)
        if x.ndim == 4:  # bins are read a few at a time, and the loudest of them counts
            made = F.conv2d(F.pad(x, (0, 0, *around)), kernel, bias)
            return norm(made.relu(), place + 1).amax(3)
        made = F.conv1d(F.pad(x, around), kernel[:, 0].mT, bias)
        return norm(made.relu(), place + 1)

    def dense(x: Tensor, place: int) -> Tensor:
        kernel, bias = (weights[_named("dense", place, name)] for name in ("kernel", "bias"))
        return F.linear(x, kernel.mT, bias)

    whole = norm(patches.unsqueeze(1), 0)
    front = torch.cat([convolve(whole, place) for place in range(5)], dim=1)
    first = convolve(front, 5)
    second = convolve(first, 6) + first
    layers = torch.cat([front, first, second, convolve(second, 7) + second], dim=1)
    pooled = torch.stack([layers.amax(2), layers.mean(2)], dim=2).flatten(1)
    last = norm(dense(norm(pooled, 9), 0).relu(), 10)
    return last, dense(last, 1)


def patches_of(wave: Float[np.ndarray, " samples"]) -> Patches:
    """Cut the spectrogram of a sound into patches, what is left over at the end left out; silence
    after one that is shorter than a patch."""
    import librosa  # a second to load

    power = librosa.feature.melspectrogram(
        y=wave, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS
    )
    frames = np.log10(1 + 10_000 * power.T).astype(np.float32)
    frames = np.pad(frames, ((0, max(0, FRAMES - len(frames))), (0, 0)))
    count = len(frames) // FRAMES
    return torch.from_numpy(frames[: count * FRAMES].reshape(count, FRAMES, MELS))
