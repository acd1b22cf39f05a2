"""Encoders: a frozen picture network, its trained projection, and the back door for timbre."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import timm
import torch
import torchvision
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from songtitle.errors import InputError
from songtitle.manifest import listed, package_folder, verify
from songtitle.shapes import Features, Image, Memory, Timbre
from songtitle.timbre import standardise, tile_to_width

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
Name = Literal["efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


class Backbone(nn.Module):
    """A picture network without its classifier, frozen: `Image -> Features`.

    `forward` takes RGB in [0, 1] of any size (the last pooling adapts, so 32-pixel tiles work) and
    returns `(batch, width)`. The network stays in evaluation mode, whatever `train()` says: its
    batch statistics belong to ImageNet, and only the projection after it is trained (paper 4.2).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: nn.Module, *, width: int, mean: list[float], std: list[float]):
        super().__init__()
        trunk = fold_batch_norm(trunk.eval()).requires_grad_(False)
        self.trunk = trunk.to(memory_format=torch.channels_last)
        self.width = width
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.inference_mode()
    def forward(self, image: Image) -> Features:
        """`(batch, 3, height, width)` in [0, 1] -> `(batch, features)`."""
        normal = (image - self.mean) / self.std
        return self.trunk(normal.contiguous(memory_format=torch.channels_last))


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Move each batch normalisation into the convolution before it: the same function, faster.

    For networks in evaluation mode. Half the time of EfficientNet-Lite0 on a CPU goes into
    normalising.
    """
    for parent in list(network.modules()):
        for (name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                # timm's normalisation carries the activation that follows it.
                setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))
    return network


def build_backbone(name: Name, weights: str = "imagenet") -> Backbone:
    """A frozen picture network by name.

    `weights` is `"imagenet"` (published ImageNet weights), a path to a local state dict
    (`.safetensors`, or `.pth` read without executing anything), or `"none"` (as initialised, for
    tests and for the question what ImageNet contributes).
    """
    if name == "efficientnet_lite0":
        trunk: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        _load(trunk, weights, published=_packaged_lite0)
        trunk.reset_classifier(0)
        # Inputs in [-1, 1]: the TensorFlow convention these weights were trained with.
        return Backbone(trunk, width=trunk.num_features, mean=[0.5] * 3, std=[0.5] * 3)
    if name in RESNETS:
        # The paper's network is ResNet-152 (section 2). It pools to 2,048 numbers, not to the 512
        # of the text: `Projection` makes up for the layer that is missing there.
        trunk = torchvision.models.get_model(name, weights=None)
        _load(trunk, weights, published=lambda _: _torchvision_weights(name))
        width = trunk.fc.in_features
        trunk.fc = nn.Identity()
        return Backbone(trunk, width=width, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    msg = f"encoder: expected efficientnet_lite0 or one of {', '.join(RESNETS)}, got {name!r}"
    raise InputError(msg)


def _load(
    trunk: nn.Module, weights: str, *, published: Callable[[nn.Module], dict[str, Tensor]]
) -> None:
    if weights == "none":
        return
    if weights == "imagenet":
        state = published(trunk)
    elif not Path(weights).is_file():
        msg = (
            f"weights: expected 'imagenet', 'none' or the path of a state dict, got {weights!r}; "
            "no such file"
        )
        raise InputError(msg)
    elif weights.endswith(".safetensors"):
        state = load_file(weights)
    else:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    try:
        trunk.load_state_dict(state)
    except RuntimeError as error:
        msg = f"weights: {weights} does not fit the encoder: {str(error).splitlines()[0]}"
        raise InputError(msg) from error


def _packaged_lite0(trunk: nn.Module) -> dict[str, Tensor]:
    (file,) = listed("efficientnet_lite0")
    folder = package_folder(Path(file.path).parts[0]).parent
    if any(verify([file], folder)):
        msg = f"{file.path}: expected sha256 {file.sha256}; reinstall the package that carries it"
        raise InputError(msg)
    path = folder / file.path
    # The package names its 296 entries otherwise; order and shapes are timm's.
    state = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(trunk.state_dict(), state.values(), strict=True))


def _torchvision_weights(name: str) -> dict[str, Tensor]:
    try:
        return torchvision.models.get_model_weights(name).DEFAULT.get_state_dict(
            check_hash=True, progress=True
        )
    except (URLError, OSError) as error:
        msg = (
            f"weights: the ImageNet weights of {name} could not be fetched ({error}); connect to "
            "the network, or give the path of a local state dict as `weights`"
        )
        raise InputError(msg) from error


class Projection(nn.Module):
    """Pooled features to the decoder's width: linear, then batch normalisation.

    The linear layer is missing from the paper's text, which lets ResNet pool to 512; it is what
    turns 2,048 (or 1,280) numbers into the 512 that the LSTM reads. `BatchNorm1d` after it is the
    batch normalisation of paper section 2.
    """

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.linear = nn.Linear(features, dim)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, features: Features) -> Memory:
        """`(batch, features) -> (batch, 1, dim)`, unit scale per column."""
        return self.norm(self.linear(features)).unsqueeze(1)


class TimbreDoor(nn.Module):
    """The back door of the paper's Fig. 3: 90 timbre numbers, replicated to the decoder's width.

    Nothing here is learned. `order` holds each of the 90 indices five or six times in random
    order. `mean` and `std` standardise first; with 0 and 1 the numbers enter raw, as the paper's
    text has it.
    """

    order: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        order: Int[Tensor, " dim"],
        mean: Float[Tensor, " 90"],
        std: Float[Tensor, " 90"],
    ):
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, timbre: Timbre) -> Memory:
        """`(batch, 90) -> (batch, 1, dim)`."""
        scaled = standardise(timbre, self.mean, self.std)
        return tile_to_width(scaled, len(self.order), order=self.order).unsqueeze(1)
