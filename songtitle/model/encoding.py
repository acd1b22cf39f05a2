"""Encoding: a frozen picture network run over many pictures, as fast as the machine can.

Three things make the difference. Batches are of a size whose activations stay in a processor's
cache, or fill a graphics card. Arithmetic is in bfloat16 where there is a matrix unit for it. And
the network is compiled where the job is large enough to earn the compilation back.
"""

import copy
import time
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from songtitle.model.encoder import Backbone
from songtitle.shapes import Features, Image

Precision = Literal["fp32", "bf16"]

# Pixels of a batch. On a CPU four pictures of 256 x 256, or as many tiles as have their area:
# EfficientNet-Lite0 takes 1.6 times as long over sixteen, whose activations a cache of 32 MB does
# not hold (ResNet-152 does not mind).
PIXELS = {"cpu": 4 * 256**2, "cuda": 256 * 256**2, "mps": 32 * 256**2}

# What compiling ResNet-152 (155 convolutions) was seen to cost and to save on two cores: 14 s, the
# first time on a machine 52 s. In fp32 it saves 7 % of the time that folded normalisations and the
# channels_last layout leave, of bf16's on a CPU with AMX 60 %.
COMPILE_SECONDS = 15.0
COMPILE_SECONDS_PER_CONVOLUTION = 0.1
SAVED = {"fp32": 0.07, "bf16": 0.6}

PROBES = 4  # batches, the first of them unmeasured
PROBED_SHARE = 0.01  # of a job's pictures, at most, go into finding out what is best for it


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a network is run. The same plan on the same machine gives the same bits."""

    precision: Precision
    batch: int  # pictures that the network is given at a time
    compiled: bool = False


def plan_for(backbone: Backbone, *, pictures: int, height: int, width: int) -> Plan:
    """The plan for a job of so many pictures of one size.

    The network is compiled when that saves more time than it costs (`compiling_pays`). A large job
    is measured to know; one of which the measurement alone would be more than a hundredth is
    small, and is not compiled.
    """
    device = backbone.mean.device
    batch = max(1, min(PIXELS[device.type] // (height * width), pictures))
    plan = Plan(precision=native_precision(device), batch=batch)
    if PROBES * batch > PROBED_SHARE * pictures:
        return plan
    encoder = Encoder(backbone, plan)
    images = torch.zeros(batch, 3, height, width)
    encoder(images)
    times = []
    for _ in range(PROBES - 1):
        started = time.perf_counter()
        encoder(images).cpu()  # a graphics card has answered only once the numbers are here
        times.append(time.perf_counter() - started)
    each = min(times) / batch  # what else the machine does can only lengthen it
    layers = sum(isinstance(module, nn.Conv2d) for module in backbone.modules())
    pays = compiling_pays(pictures * each, layers=layers, precision=plan.precision)
    return Plan(precision=plan.precision, batch=batch, compiled=pays)


def compiling_pays(seconds: float, *, layers: int, precision: Precision) -> bool:
    """Whether compiling a network of `layers` convolutions saves a job of `seconds` twice its cost.

    Twice, since cost and saving are those of another machine.
    """
    cost = COMPILE_SECONDS + COMPILE_SECONDS_PER_CONVOLUTION * layers
    return SAVED[precision] * seconds > 2 * cost


def native_precision(device: torch.device) -> Precision:
    """bf16 where the device multiplies matrices of it faster than of fp32: asked, not guessed.

    On a CPU that takes AMX or AVX512-BF16; without them bf16 is emulated, and slower than fp32.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # No public name tells yet; a PyTorch without these asks for fp32.
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    units = [getattr(torch.cpu, name, lambda: False)() for name in asked]
    return "bf16" if device.type == "cpu" and any(units) else "fp32"


class Encoder:
    """A frozen backbone in a faster form: `Image -> Features`, for any number of pictures.

    Whatever number comes, the network sees batches of `plan.batch` (the last one filled up with
    black), so that a picture's features do not depend on the pictures beside it, not in the last
    bit. Each has a cosine of at least 0.999 to what the backbone itself gives in fp32.

    A compiled plan needs a C++ compiler (on CUDA Triton); without one the network runs uncompiled
    and warns. Compiling happens with the first pictures and takes `compile_seconds`.
    """

    def __init__(self, backbone: Backbone, plan: Plan):
        self.plan = plan
        self.compile_seconds = 0.0
        self._compiles = plan.compiled
        self._backbone = backbone
        if plan.precision == "bf16":
            self._backbone = _with_trunk(backbone, _InBfloat16(backbone.trunk))

    @property
    def device(self) -> torch.device:
        """Where the network is, and its features."""
        return self._backbone.mean.device

    @torch.no_grad()
    def __call__(self, images: Image) -> Features:
        """`(batch, 3, height, width)` in [0, 1] to float32 features on the backbone's device."""
        found = []
        for part in images.split(self.plan.batch):
            black = part.new_zeros(self.plan.batch - len(part), *part.shape[1:])
            filled = torch.cat([part, black]) if len(black) else part
            found.append(self._run(filled.to(self.device, non_blocking=True))[: len(part)])
        return torch.cat(found)

    def _run(self, images: Image) -> Features:
        if not self._compiles:
            return self._backbone(images)
        self._compiles = False
        started = time.perf_counter()
        compiled: Any = torch.compile(copy.deepcopy(self._backbone.trunk), dynamic=False)
        backbone = _with_trunk(self._backbone, compiled)
        try:
            with _freezing():
                features = backbone(images)
        except RuntimeError as error:  # dynamo's errors are; so is one of the network itself
            reason = str(error).strip().splitlines()[0]
            warnings.warn(f"encoding: goes on uncompiled; compiling failed: {reason}", stacklevel=2)
            return self._backbone(images)
        self._backbone = backbone
        self.compile_seconds = time.perf_counter() - started
        return features


class _InBfloat16(nn.Module):
    """A network with its weights in bf16, between fp32 pictures and fp32 features."""

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = copy.deepcopy(trunk).to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk(images.to(torch.bfloat16)).float()


def _with_trunk(backbone: Backbone, trunk: nn.Module) -> Backbone:
    """A backbone that shares all but its network with another."""
    other = copy.copy(backbone)
    other._modules = {**backbone._modules, "trunk": trunk}
    return other


def _freezing() -> Any:
    """Compile weights in as constants, laid out as the kernels want them."""
    import torch._inductor.config as settings  # takes seconds, which small jobs need not wait for

    return settings.patch(freezing=True)
