"""Encoders: what makes memory of pictures and of timbre, frozen or trained with the decoder."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

from songtitle.config import LITES, RESNETS
from songtitle.errors import InputError
from songtitle.model.efficientnet import EfficientNetLite
from songtitle.model.weights import network_state, state_mismatch
from songtitle.shapes import Features, Image, Memory
from songtitle.timbre import TIMBRE_SIZE, standardise, tile_to_width

WIDTHS = dict.fromkeys(LITES, 1280) | dict(zip(RESNETS, (512, 512, 2048, 2048, 2048), strict=True))
# Inputs in [-1, 1] are the TensorFlow convention that the packaged EfficientNets were trained with.
SCALES = dict.fromkeys(LITES, ([0.5] * 3, [0.5] * 3))
SCALES |= dict.fromkeys(RESNETS, ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


class Backbone(nn.Module):
    """A picture network without its pooling and classifier: `Image -> Features`.

    Features are the last map's positions, row by row (`memory="map"`: 64 of them for 256 pixels a
    side, one for 32), or their mean, one position (`"pooled"`). Frozen, it stays in evaluation
    mode, its normalisations folded into its convolutions (paper 4.2 trains only what comes after).
    Else every parameter trains, but batch normalisations keep the statistics of ImageNet: ten
    pictures would give poor ones.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        *,
        width: int,
        mean: Sequence[float],
        std: Sequence[float],
        memory: str = "pooled",
        frozen: bool = True,
    ):
        super().__init__()
        if frozen:
            trunk = fold_batch_norm(trunk.eval()).requires_grad_(False)
        self.trunk = trunk.to(memory_format=torch.channels_last)
        self.width, self.memory, self.frozen = width, memory, frozen
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Training mode for all but the batch normalisations; none of it for a frozen network."""
        super().train(mode and not self.frozen)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, image: Image, trunk: nn.Module | None = None) -> Features:
        """Pictures in [0, 1] to features; `trunk` is the network in another form, a faster one."""
        normal = (image - self.mean) / self.std
        grid = (trunk or self.trunk)(normal.contiguous(memory_format=torch.channels_last))
        if self.memory == "pooled":
            grid = adaptive_avg_pool2d(grid, 1)
        return grid.flatten(2).transpose(1, 2)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Move each batch normalisation into the convolution before it, for evaluation mode: half of
    EfficientNet-Lite0's time on a CPU goes into normalising."""
    for parent in list(network.modules()):
        for (name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    return network


def build_backbone(
    name: str, weights: str = "imagenet", *, memory: str = "pooled", frozen: bool = True
) -> Backbone:
    """Build a picture network by name, `efficientnet_lite0` to `2` or `resnet18` to `152`.

    The paper's is ResNet-152 (section 2); it pools to 2,048 numbers, not to the 512 of the text.
    `weights` are as in `songtitle.model.weights`, with or without a classifier. Raises InputError
    for another name and for weights that cannot be had, are damaged, or are of another network.
    """
    if name not in WIDTHS:
        msg = f"encoder: expected one of {', '.join(WIDTHS)}, got {name!r}"
        raise InputError(msg)
    network: Any = EfficientNetLite(name) if name in LITES else _resnet(name)
    state = network_state(name, weights, network)
    if name in LITES:
        del network.classifier
    else:
        network.reset_classifier(0, "")
    if state is not None:
        state = {k: v for k, v in state.items() if not k.startswith(("fc.", "classifier."))}
        if fault := state_mismatch(network, state):
            msg = f"weights: {weights} does not fit the encoder {name}; {fault}"
            raise InputError(msg)
        network.load_state_dict(state)
    mean, std = SCALES[name]
    return Backbone(network, width=WIDTHS[name], mean=mean, std=std, memory=memory, frozen=frozen)


def _resnet(name: str) -> nn.Module:
    import timm  # seconds to load

    # Every block begins as torchvision's does, not as one that passes its input on.
    network: nn.Module = timm.create_model(name, pretrained=False, zero_init_last=False)
    return network


class Projection(nn.Module):
    """Features to the decoder's width: linear, then batch normalisation, at each position.

    The linear layer is missing from the paper's text, which lets ResNet pool to 512. The batch
    normalisation is that of section 2; its batch is all positions of all examples and processes.
    """

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.linear = nn.Linear(features, dim)
        self.norm = BatchNorm(dim)

    def forward(self, features: Features) -> Memory:
        """`(batch, positions, features) -> (batch, positions, dim)`, unit scale per column."""
        wide = self.linear(features)
        return self.norm(wide.flatten(0, 1)).view_as(wide)


class PictureEncoder(Projection):
    """A picture network, fine-tuned or frozen, and its projection: `Image -> Memory`.

    A frozen one is left out of the state dict, which holds what was trained.
    """

    def __init__(self, backbone: Backbone, dim: int):
        super().__init__(backbone.width, dim)
        self.backbone = backbone
        if backbone.frozen:
            self.register_state_dict_post_hook(_leave_out_backbone)
            self.register_load_state_dict_post_hook(_miss_no_backbone)

    def forward(self, inputs: Image | Features) -> Memory:
        """Pictures `(batch, 3, height, width)`, or their features, to memory."""
        return super().forward(self.backbone(inputs) if inputs.ndim == 4 else inputs)


def _leave_out_backbone(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}backbone.")]:
        del state[name]


def _miss_no_backbone(module: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [key for key in keys.missing_keys if "backbone." not in key]


class TimbreEncoder(Projection):
    """A trained door for timbre: 90 numbers, by running statistics standardised, to one position.

    Covariances are in the square of the means' unit, and one learning rate has to fit both.
    """

    def __init__(self, dim: int):
        super().__init__(TIMBRE_SIZE, dim)
        self.standard = BatchNorm(TIMBRE_SIZE, affine=False)

    def forward(self, timbre: Float[Tensor, "*batch numbers"]) -> Memory:
        """`(batch, numbers)` or `(batch, 1, numbers) -> (batch, 1, dim)`."""
        rows = timbre.flatten(0, -2)
        return super().forward(self.standard(rows).unsqueeze(1))


class TimbreDoor(nn.Module):
    """The back door of the paper's Fig. 3: 90 timbre numbers, replicated to the decoder's width.

    Nothing is learned. `order` holds each of the 90 indices five or six times, shuffled; `mean` 0
    and `std` 1 let the numbers enter raw, as the paper's text has it.
    """

    order: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        order: Int[Tensor, " dim"],
        mean: Float[Tensor, " numbers"],
        std: Float[Tensor, " numbers"],
    ):
        super().__init__()
        for name, value in {"order": order, "mean": mean, "std": std}.items():
            self.register_buffer(name, value)

    def forward(self, timbre: Float[Tensor, "*batch numbers"]) -> Memory:
        """`(batch, numbers)` or `(batch, 1, numbers) -> (batch, 1, dim)`."""
        scaled = standardise(timbre.flatten(0, -2), self.mean, self.std)
        return tile_to_width(scaled, len(self.order), order=self.order).unsqueeze(1)


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` over `(items, dim)`, whose batch is the union of all processes' batches.

    In training with several processes, mean and variance are of all rows, of which each may hold
    another number, and gradients flow through them. PyTorch's SyncBatchNorm runs on GPUs alone.
    """

    def forward(self, input: Float[Tensor, "items dim"]) -> Float[Tensor, "items dim"]:
        """Normalise columns: mean 0 and variance 1 over the joined batch in training."""
        several = distributed.is_available() and distributed.is_initialized()
        if not (self.training and several and distributed.get_world_size() > 1):
            return super().forward(input)
        rows = input.float()  # statistics of half precision would be coarse
        sums = _AllSum.apply(torch.cat([rows.sum(0), rows.new_tensor([len(rows)])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = rows - mean  # the mean first: a difference of squares would lose digits
        variance = _AllSum.apply(centred.square().sum(0)) / count
        with torch.no_grad():
            own: Any = self  # buffers that `nn.BatchNorm1d` declares as perhaps missing
            own.num_batches_tracked += 1
            own.running_mean.lerp_(mean, own.momentum)
            own.running_var.lerp_(variance * count / (count - 1), own.momentum)  # unbiased
        normal = centred * torch.rsqrt(variance + self.eps)
        if self.affine:
            normal = normal * self.weight + self.bias
        return normal.to(input.dtype)


class _AllSum(torch.autograd.Function):
    """The sum over all processes; what each has a gradient of is that sum, so gradients add up."""

    @staticmethod
    def forward(context: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _AllSum.forward(context, gradients[0])
