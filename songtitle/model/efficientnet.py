"""EfficientNet-Lite 0 to 2: Tan and Le 2019, in the variants of 2020 without squeeze-excitation.

Its parts are named as timm's are, so that weights for timm's networks fit. timm itself, and the
torchvision that it loads, would cost every command three seconds.
"""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from songtitle.config import LITES

SCALES = dict(zip(LITES, ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2)), strict=True))  # of width and depth
STAGES = (  # kernel, stride, expansion, channels, blocks: Tan and Le, Table 1
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM, HEAD = 32, 1280  # channels: these, and the depth of the first and last stage, do not scale


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": an odd row or column below and to the right."""

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, channels, height, width)` to sides divided by the stride, rounded up."""
        sides = zip(image.shape[2:], self.stride, self.kernel_size, strict=True)
        down, right = (max((math.ceil(n / s) - 1) * s + k - n, 0) for n, s, k in sides)
        image = pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(image)


def _conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    kind, padding = (SameConv, 0) if stride > 1 else (nn.Conv2d, kernel // 2)
    conv = kind(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    nn.init.normal_(conv.weight, 0, math.sqrt(2 * groups / (kernel**2 * outputs)))  # over fan-out
    return conv


class Block(nn.Module):
    """Widen, filter each channel, narrow, and add what came in. The first stage does not widen."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        self.adds = stride == 1 and inputs == outputs
        wide = inputs * expansion
        names = ["conv_pw", "conv_dw", "conv_pwl"] if expansion > 1 else ["conv_dw", "conv_pw"]
        convs = [_conv(inputs, wide)] if expansion > 1 else []
        convs += [_conv(wide, wide, kernel, stride, wide), _conv(wide, outputs)]
        for n, (name, conv) in enumerate(zip(names, convs, strict=True), 1):
            self.add_module(name, conv)
            self.add_module(f"bn{n}", nn.BatchNorm2d(conv.out_channels, eps=1e-3))

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, inputs, height, width)` to outputs, sides divided by the stride."""
        found, parts = image, list(self.children())
        for place, part in enumerate(parts):
            found = part(found)
            if place % 2 and place + 1 < len(parts):  # after each normalisation but the last
                found = relu6(found)
        return found + image if self.adds else found


class EfficientNetLite(nn.Module):
    """The network `name` of `SCALES`, as initialised; its classifier is there for loading."""

    def __init__(self, name: str):
        super().__init__()
        width, depth = SCALES[name]
        counts = [
            count if n in (0, len(STAGES) - 1) else math.ceil(count * depth)
            for n, (*_, count) in enumerate(STAGES)
        ]
        widths = [STEM, *(_round(channels * width) for _, _, _, channels, _ in STAGES)]
        self.conv_stem, self.bn1 = _conv(3, STEM, 3, 2), nn.BatchNorm2d(STEM, eps=1e-3)
        self.blocks = nn.Sequential()
        for (inputs, outputs), count, (kernel, stride, expansion, *_) in zip(
            pairwise(widths), counts, STAGES, strict=True
        ):
            first = Block(inputs, outputs, kernel, stride, expansion)
            rest = (Block(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1))
            self.blocks.append(nn.Sequential(first, *rest))
        self.conv_head, self.bn2 = _conv(widths[-1], HEAD), nn.BatchNorm2d(HEAD, eps=1e-3)
        self.classifier = nn.Linear(HEAD, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, 3, height, width)` to a map `(batch, 1280, height / 32, width / 32)`."""
        found = relu6(self.bn1(self.conv_stem(image)))
        return relu6(self.bn2(self.conv_head(self.blocks(found))))


def _round(channels: float) -> int:
    """To a multiple of 8, at least nine tenths of what was asked."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
