"""Features: what the frozen network says of pictures and clips, computed fast and kept whole."""

import copy
import hashlib
import json
import math
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from songtitle.errors import InputError
from songtitle.machine import write_whole
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


# The names of types are those of the safetensors format.
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
UNSIGNED = "0" * 64  # stands in the header until all rows are there
FLUSH_SECONDS = 2.0  # between promises that rows are safe: what a kill can cost


class FeatureWriter:
    """A feature file in the making: `append` rows of each tensor in order, then `finish`.

    `shapes` gives each tensor's name and whole shape, items first; `dtype` is float32, float16 or
    bfloat16, for all of them or by name. Until it is whole the file is called `PATH.partial`;
    beside it, `PATH.progress.json` says how many rows of each tensor are on the disk. If both are
    there and were begun with these very arguments, writing goes on from that row, `done(name)`;
    else it begins anew. `details` travel in the file's header.

    Raises InputError when the disk cannot hold the file, when rows do not fit, are too many or too
    few, and when they hold a number that is not finite or beyond the range of `dtype`.
    """

    def __init__(
        self,
        path: str | Path,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        dtype: torch.dtype | Mapping[str, torch.dtype] = torch.float32,
        details: Mapping[str, str] | None = None,
    ):
        self.path = Path(path)
        self.shapes = dict(shapes)
        by_name = dtype if isinstance(dtype, Mapping) else dict.fromkeys(shapes, dtype)
        self.dtypes = dict(by_name)
        self._header, self._starts, self._size = _make_header(
            self.shapes, self.dtypes, details or {}
        )
        self._partial = self.path.with_name(f"{self.path.name}.partial")
        self._progress = self.path.with_name(f"{self.path.name}.progress.json")
        resumed = self._resumable()
        if resumed is None:
            self._create()
        self._rows = resumed or dict.fromkeys(self.shapes, 0)
        self._file: BinaryIO = self._partial.open("r+b")
        self._flushed = time.monotonic()

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def done(self, name: str) -> int:
        """How many rows of a tensor are written."""
        return self._rows[name]

    def append(self, name: str, rows: Tensor) -> None:
        """Write the next rows of a tensor, `(rows, ...)` as its shape says."""
        shape, first = self.shapes[name], self._rows[name]
        if rows.shape[1:] != shape[1:] or first + len(rows) > shape[0]:
            msg = (
                f"{self.path}: {name}: expected at most {shape[0] - first} more rows of "
                f"{_sizes(shape[1:])}, got {len(rows)} of {_sizes(rows.shape[1:])}; "
                "state the shape of what is encoded"
            )
            raise InputError(msg)
        dtype = self.dtypes[name]
        stored = rows.detach().to("cpu", dtype).flatten(1)
        finite = torch.isfinite(stored).all(dim=1)
        if not finite.all():
            bad = first + int((~finite).nonzero()[0])
            msg = (
                f"{self.path}: {name}: expected finite numbers that {NAMES[dtype]} can hold, got "
                f"others in row {bad}; check that picture and the encoder's weights"
            )
            raise InputError(msg)
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._file.seek(self._starts[name] + first * row_bytes)
        self._file.write(stored.view(torch.uint8).numpy().data)
        self._rows[name] = first + len(rows)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Bring all rows to the disk, then promise them in the progress file."""
        _sync(self._file)
        write_whole(self._progress, json.dumps({"rows": self._rows}))
        self._flushed = time.monotonic()

    def finish(self) -> Path:
        """Sign the file, give it its name, and return that; every row has to be there."""
        for name, shape in self.shapes.items():
            if self._rows[name] != shape[0]:
                msg = (
                    f"{self.path}: {name}: expected {shape[0]} rows, got {self._rows[name]}; "
                    "append the rest first"
                )
                raise InputError(msg)
        self.flush()
        signature = _digest(self._file)
        self._file.seek(self._header.index(UNSIGNED.encode()))
        self._file.write(signature.encode())
        _sync(self._file)
        self._file.close()
        os.replace(self._partial, self.path)
        self._progress.unlink(missing_ok=True)
        return self.path

    def _resumable(self) -> dict[str, int] | None:
        """The promised rows of an interrupted writer, if it wrote the same file."""
        try:
            rows = json.loads(self._progress.read_bytes())["rows"]
            with self._partial.open("rb") as file:
                same = file.read(len(self._header)) == self._header
                same &= file.seek(0, os.SEEK_END) == self._size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        known = isinstance(rows, dict) and rows.keys() == self.shapes.keys()
        if not (same and known):
            return None
        return rows if all(0 <= rows[n] <= self.shapes[n][0] for n in rows) else None

    def _create(self) -> None:
        self._progress.unlink(missing_ok=True)
        try:
            with self._partial.open("wb") as file:
                file.write(self._header)
                # Ask for all the room now, rather than find the disk full after hours.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, self._size)
                file.truncate(self._size)
        except OSError as error:
            self._partial.unlink(missing_ok=True)
            msg = (
                f"{self.path}: expected room for {self._size / 2**20:.0f} MB, got "
                f"{error.strerror or error}; free some, or choose another folder"
            )
            raise InputError(msg) from error


def read_features(path: str | Path, *, check: bool = True) -> dict[str, Tensor]:
    """The tensors of a feature file, mapped: a row takes memory once it is used.

    Tensors have the dtype of the file; `batch.float()` after indexing gives what a model reads.
    `check` reads the file through once, without keeping it, to compare the signature of its
    content. Raises InputError naming the file when it is missing, torn, or not what was written.
    """
    path = Path(path)
    advice = "delete it, and it is computed again"
    if not path.is_file():
        msg = f"{path}: expected a feature file, got no such file; run the stage that writes it"
        raise InputError(msg)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: expected a whole feature file, got a torn one or none ({reason}); {advice}"
        raise InputError(msg) from error
    if check:
        with path.open("rb") as file:
            if _digest(file) != read_details(path).get("sha256"):
                msg = f"{path}: expected the content that was signed, got another; {advice}"
                raise InputError(msg)
    return tensors


def read_details(path: str | Path) -> dict[str, str]:
    """The `details` in the header of a feature file, with its signature as `sha256`."""
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)).get("__metadata__", {})


def _make_header(
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, torch.dtype],
    details: Mapping[str, str],
) -> tuple[bytes, dict[str, int], int]:
    """Header bytes, where in the file each tensor starts, and the file's size.

    The format: eight bytes of length (little endian), then JSON, padded with spaces; offsets count
    from the end of the header. The signature comes first, where no detail can pass for it.
    """
    signature = {"sha256": UNSIGNED}
    entries: dict[str, Any] = {"__metadata__": signature | dict(details) | signature}
    offsets, end = {}, 0
    for name in sorted(shapes, key=lambda name: -dtypes[name].itemsize):  # each on its alignment
        shape, dtype = shapes[name], dtypes[name]
        offsets[name], end = end, end + math.prod(shape) * dtype.itemsize
        span = [offsets[name], end]
        entries[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": span}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    starts = {name: len(header) + offset for name, offset in offsets.items()}
    return header, starts, len(header) + end


def _digest(file: BinaryIO) -> str:
    """SHA-256 of a feature file, its own place in the header read as unsigned."""
    file.seek(0)
    length = file.read(8)
    header = file.read(int.from_bytes(length, "little"))
    signed = json.loads(header).get("__metadata__", {}).get("sha256", UNSIGNED)
    found = hashlib.sha256(length + header.replace(signed.encode(), UNSIGNED.encode(), 1))
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


GROUP = 32  # items whose pictures are in memory together, or as many as make a batch
# Maps are 64 times as large as pooled features; the half of that is worth an error of at most one
# part in 2,048.
DTYPES = {"pooled": torch.float32, "map": torch.float16, "timbre": torch.float32}


class Look(NamedTuple):
    """What is made of an item before the network sees it."""

    images: Image  # (views, 3, height, width) in [0, 1]
    timbre: Tensor | None = None  # (90,), for songs


@dataclass(frozen=True)
class Job:
    """Items whose features become one tensor, under `name`, in every file."""

    name: str
    items: Sequence[Any]
    look: Callable[[Any], Look]


def run_jobs(
    jobs: Sequence[Job], backbone: Backbone, folder: Path, *, memories: Sequence[str]
) -> dict[str, Any]:
    """Write the features of every job's items and give the findings of the stage.

    A file `MEMORY.safetensors` for each of `memories`, `"pooled"` or `"map"`, holds `(items, views,
    positions, features)` for each job by name; `timbre.safetensors`, where there is any,
    `(items, 1, 1, 90)`. `backbone` gives maps; pooled features are their mean. Killed and started
    again with the same folder, it goes on, to the same bytes.
    """
    clock = time.perf_counter()
    samples = {job.name: job.look(job.items[0]) for job in jobs}
    plans = _plans(jobs, samples, backbone, folder / "plans.json")
    shapes = _shapes(jobs, samples, backbone, memories)
    pictures, compiling = 0, 0.0
    with ExitStack() as stack:
        writers = {
            memory: stack.enter_context(
                FeatureWriter(folder / f"{memory}.safetensors", wanted, dtype=DTYPES[memory])
            )
            for memory, wanted in shapes.items()
        }
        pool = stack.enter_context(_one_thread_each())
        for job in jobs:
            encoder = Encoder(backbone, plans[job.name])
            first = min(writer.done(job.name) for writer in writers.values())
            for start, looks in _looks(job, samples[job.name], encoder, first, pool):
                images = torch.stack([look.images for look in looks])
                maps = encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
                pictures += images.shape[0] * images.shape[1]
                rows = {"pooled": maps.mean(2, keepdim=True), "map": maps}
                if "timbre" in writers:
                    timbre = [look.timbre for look in looks if look.timbre is not None]
                    rows["timbre"] = torch.stack(timbre)[:, None, None]
                for memory, writer in writers.items():
                    writer.append(job.name, rows[memory][writer.done(job.name) - start :])
            compiling += encoder.compile_seconds
        for writer in writers.values():
            writer.finish()
    seconds = time.perf_counter() - clock
    return {
        "shapes": shapes,
        "parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "timing": {
            "encode_seconds": round(seconds, 3),
            "compile_seconds": round(compiling, 3),
            "pictures_per_second": round(pictures / seconds, 2),
        },
    }


def _looks(
    job: Job, sample: Look, encoder: Encoder, first: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, list[Look]]]:
    """Groups of items, looked at by several threads, from the group that holds item `first`.

    A graphics card gets the next group prepared while it works on one. A CPU is busy with either.
    """
    if first == len(job.items):
        return
    group = max(GROUP, -(-encoder.plan.batch // len(sample.images)))
    ahead = 0 if encoder.device.type == "cpu" else 1
    begun: deque[tuple[int, Iterator[Look]]] = deque()
    for start in range(first - first % group, len(job.items), group):
        begun.append((start, pool.map(job.look, job.items[start : start + group])))
        if len(begun) > ahead:
            ready, looks = begun.popleft()
            yield ready, list(looks)
    for ready, looks in begun:
        yield ready, list(looks)


def _plans(
    jobs: Sequence[Job], samples: Mapping[str, Look], backbone: Backbone, path: Path
) -> dict[str, Plan]:
    """How each job is encoded: as was planned when it was begun, else planned now."""
    if path.is_file():
        known = json.loads(path.read_text("utf-8"))
        return {name: Plan(**values) for name, values in known.items()}
    plans = {}
    for job in jobs:
        views, _, height, width = samples[job.name].images.shape
        pictures = len(job.items) * views
        plans[job.name] = plan_for(backbone, pictures=pictures, height=height, width=width)
    text = json.dumps({name: asdict(plan) for name, plan in plans.items()})
    write_whole(path, text)
    return plans


def _shapes(
    jobs: Sequence[Job], samples: Mapping[str, Look], backbone: Backbone, memories: Sequence[str]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shape of each job's features in each file; one picture tells."""
    device = backbone.mean.device
    found: dict[str, dict[str, tuple[int, ...]]] = {memory: {} for memory in memories}
    for job in jobs:
        images, timbre = samples[job.name]
        positions, features = backbone(images[:1].to(device)).shape[1:]
        rows = {"pooled": (len(images), 1, features), "map": (len(images), positions, features)}
        for memory in memories:
            found[memory][job.name] = (len(job.items), *rows[memory])
        if timbre is not None:
            found.setdefault("timbre", {})[job.name] = (len(job.items), 1, 1, len(timbre))
    return found


@contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A pool of as many threads as cores, in each of which torch uses one.

    Two for each would be four on two cores, and they wait for each other: a 30 s clip's timbre
    takes three times as long.
    """
    before = torch.get_num_threads()
    with ThreadPoolExecutor(os.cpu_count(), initializer=partial(torch.set_num_threads, 1)) as pool:
        try:
            yield pool
        finally:
            torch.set_num_threads(before)  # what threads begun later are told
