"""The picture network over a data set: rates against plain torchvision, tiles, and memory."""

import copy
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from benchmarks.harness import Growth, Row, interleaved, named
from songtitle.model.encoder import Backbone, build_backbone
from songtitle.model.features import Encoder, Plan, native_precision, plan_for

SIDE = 256


def rows(quick: bool = False) -> list[Row]:
    """ResNet-152 against torchvision's own, eager in fp32; tiles; EfficientNet-Lite0."""
    name, side, count = ("resnet18", 64, 2) if quick else ("resnet152", SIDE, 8)
    rounds = 1 if quick else 3
    compiled = not quick
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = build_backbone(name, "none")
        images = torch.rand(2 * count, 3, side, side)
    eager = _torchvision(name)
    return [
        *_rates(name, backbone, eager, images, count, rounds=rounds, compiled=compiled),
        *_tiles(name, backbone, images[0], rounds=rounds),
        *_lite0(images[:count], rounds=rounds, compiled=compiled),
    ]


def growth(quick: bool = False) -> list[Growth]:
    """Peak memory of encoding to a file, against the number of pictures: flat."""
    sizes = [64, 256] if quick else [256, 1024, 4096]
    values = [_peak_of(size, side=64) for size in sizes]
    what = "encoding into a feature file: peak memory"
    return [Growth(what=what, against="pictures", unit="MB", sizes=sizes, values=values)]


def _rates(
    name: str,
    backbone: Backbone,
    eager: nn.Module,
    images: Tensor,
    count: int,
    *,
    rounds: int,
    compiled: bool,
) -> list[Row]:
    """Rates over `count` pictures of each way; `images` holds two sets, used in turn."""
    precision = native_precision(torch.device("cpu"))
    side = images.shape[-1]
    plan = plan_for(backbone, pictures=count, height=side, width=side)
    ways = {"plain": Encoder(backbone, plan)}
    if compiled:
        settings = Plan(precision=precision, batch=plan.batch, compiled=True)
        ways["compiled"] = Encoder(backbone, settings)
    eager_features = _features_of(eager, backbone)
    exact = eager_features(images[:count])
    closest = {
        way: float(cosine_similarity(encoder(images[:count])[:, 0], exact).min())
        for way, encoder in ways.items()
    }
    turn = _Turn(images, count)
    seconds = interleaved(
        {"torchvision": lambda: eager_features(turn())}
        | {way: _over(encoder, turn) for way, encoder in ways.items()},
        rounds=rounds,
    )
    best = "compiled" if compiled else "plain"
    what, peer = f"{name}, {side} x {side}, {precision}", named("torchvision")
    flops = _flops(eager, images[:1])
    peak = _matmul_peak(precision)
    share = flops * count / seconds[best] / peak
    gain = peak / _matmul_peak("fp32")
    found = [
        Row(
            what=what,
            quantity="pictures/s, ours / eager fp32",
            value=seconds["torchvision"] / seconds[best],
            at_least=_bound(precision, gain),
            peer=peer,
            seconds=seconds,
            note=f"{count / seconds[best]:.2f} pictures/s; {best}",
        ),
        Row(
            what=what,
            quantity="smallest cosine to eager fp32",
            value=min(closest.values()),
            at_least=0.999,
            peer=peer,
        ),
        Row(what=what, quantity="share of the measured matmul peak", value=share),
        Row(what=what, quantity="matmul peak / fp32 matmul peak", value=gain),
    ]
    if compiled:
        found += _amortised(what, ways["compiled"], seconds, count)
        found.append(
            Row(
                what=what,
                quantity="pictures/s, ours uncompiled / eager fp32",
                value=seconds["torchvision"] / seconds["plain"],
                peer=peer,
            )
        )
    return found


def _bound(precision: str, gain: float) -> float:
    """How many times eager fp32's rate is asked for: what the CPU's arithmetic leaves room for.

    `gain` is the measured matmul peak over fp32's. With a matrix unit (AMX), whose peak was 5.3
    times fp32's where the bound was set, 7. AVX512-BF16 alone has no such unit, its peak is about
    twice fp32's, and nothing can be 7 times as fast there: what the arithmetic gains is asked.
    """
    if precision != "bf16":
        return 1.4
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return 7.0 if amx else gain


def _amortised(what: str, encoder: Encoder, seconds: dict[str, float], count: int) -> list[Row]:
    """What compiling cost, and after how many pictures it has paid (-1: it never does)."""
    saved = (seconds["plain"] - seconds["compiled"]) / count
    pays = encoder.compile_seconds / saved if saved > 0 else -1.0
    return [
        Row(what=what, quantity="seconds to compile", value=encoder.compile_seconds),
        Row(what=what, quantity="pictures after which compiling has paid", value=pays),
    ]


def _tiles(name: str, backbone: Backbone, image: Tensor, *, rounds: int) -> list[Row]:
    """The tiles of four pictures, batched; those of one, one by one; and four whole pictures."""
    side, size, pictures = image.shape[-1], 32, 4
    tiles = image.unfold(1, size, size).unfold(2, size, size).flatten(1, 2).movedim(1, 0)
    tiles = tiles.contiguous()
    whole = image.expand(pictures, -1, -1, -1).contiguous()
    many = tiles.repeat(pictures, 1, 1, 1)
    area = Encoder(backbone, plan_for(backbone, pictures=len(many), height=size, width=size))
    large = Encoder(backbone, plan_for(backbone, pictures=pictures, height=side, width=side))
    together = area(many)[: len(tiles)]
    alone = torch.cat([backbone(tile[None]) for tile in tiles])
    torch.testing.assert_close(together, alone, rtol=2e-2, atol=2e-2 * float(alone.abs().max()))
    seconds = interleaved(
        {
            "whole": lambda: large(whole),
            "batched": lambda: area(many),
            "one by one": lambda: [backbone(tile[None]) for tile in tiles],
        },
        rounds=rounds,
    )
    batched = seconds["batched"] / pictures
    what = f"{name}, {len(tiles)} tiles of {size} x {size}, batched over pictures"
    return [
        Row(
            what=what,
            quantity=f"time / that of one {side} x {side} picture",
            value=batched / (seconds["whole"] / pictures),
            at_most=1.4,
            seconds=seconds,
        ),
        Row(
            what=what,
            quantity="time / that of the same tiles one by one",
            value=batched / seconds["one by one"],
            at_most=0.2,
            seconds=seconds,
        ),
    ]


def _lite0(images: Tensor, *, rounds: int, compiled: bool) -> list[Row]:
    """EfficientNet-Lite0, which the quick preset uses: eager as timm has it, and ours."""
    import timm

    name = "efficientnet_lite0"
    backbone = build_backbone(name, "none")
    plain = timm.create_model(f"tf_{name}", pretrained=False, num_classes=0).eval()
    side = images.shape[-1]
    plan = plan_for(backbone, pictures=len(images), height=side, width=side)
    ours = {"plain": Encoder(backbone, plan)}
    if compiled:
        settings = Plan(precision=plan.precision, batch=plan.batch, compiled=True)
        ours["compiled"] = Encoder(backbone, settings)
    eager = torch.inference_mode()(plain.forward)
    turn = _Turn(images, len(images))
    seconds = interleaved(
        {"timm": lambda: eager(turn())}
        | {way: _over(encoder, turn) for way, encoder in ours.items()},
        rounds=2 * rounds,
    )
    what = f"{name}, {side} x {side}, {plan.precision}"
    found = [
        Row(
            what=what,
            quantity=f"pictures/s, ours {way} / eager fp32",
            value=seconds["timm"] / seconds[way],
            peer=named("timm"),
            seconds=seconds,
            note=f"{len(images) / seconds[way]:.1f} pictures/s",
        )
        for way in ours
    ]
    return found + (_amortised(what, ours["compiled"], seconds, len(images)) if compiled else [])


class _Turn:
    """Gives the parts of `images` in turn, `count` pictures each."""

    def __init__(self, images: Tensor, count: int):
        self.parts, self.calls = images.split(count), 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return self.parts[self.calls % len(self.parts)]


def _over(encoder: Encoder, turn: _Turn) -> Callable[[], Tensor]:
    return lambda: encoder(turn())


def _torchvision(name: str) -> nn.Module:
    """What a reader would run: torchvision's network in evaluation mode, nothing else done."""
    network = torchvision.models.get_model(name, weights=None)
    network.fc = nn.Identity()
    return network.eval()


def _features_of(eager: nn.Module, backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """The eager network with the same weights: those of the seed that made `backbone`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        same = _torchvision({20: "resnet18", 155: "resnet152"}[_convolutions(backbone)])
    eager.load_state_dict(same.state_dict())

    @torch.inference_mode()
    def features(images: Tensor) -> Tensor:
        return eager((images - backbone.mean) / backbone.std)

    return features


def _convolutions(network: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())


def _flops(network: nn.Module, images: Tensor) -> float:
    """Floating-point operations that the network spends on the pictures."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(network)(images)
    return float(counter.get_total_flops())


def _matmul_peak(precision: str) -> float:
    """Operations a second of a large matrix product, the best of five."""
    size, dtype = 2048, torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.rand(size, size).to(dtype), torch.rand(size, size).to(dtype)
    product = left @ right
    times = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(left, right, out=product)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


ENCODES = textwrap.dedent(
    """
    import sys, tempfile, torch
    from pathlib import Path
    from benchmarks.harness import peak_memory
    from songtitle.model.features import Job, Look, run_jobs
    from songtitle.model.encoder import build_backbone
    count, side = int(sys.argv[1]), int(sys.argv[2])
    backbone = build_backbone("efficientnet_lite0", "none", memory="map")
    job = Job("train", range(count), lambda item: Look(torch.full((2, 3, side, side), 0.5)))
    with tempfile.TemporaryDirectory() as folder:
        run_jobs([job], backbone, Path(folder), memories=("pooled", "map"))
    print(peak_memory())
    """
)


def _peak_of(pictures: int, *, side: int) -> float:
    """MB that a process of its own held at most, encoding so many pictures into a file."""
    command = [sys.executable, "-c", ENCODES, str(pictures), str(side)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
