"""Features: what the frozen network says of pictures and clips, computed fast and kept whole."""

import copy
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from songtitle.errors import InputError
from songtitle.model.encoder import Backbone
from songtitle.shapes import Features, Image

Precision = Literal["fp32", "bf16"]

# Pixels of a batch. On a CPU EfficientNet-Lite0 takes 1.6 times as long over sixteen pictures,
# whose activations a cache of 32 MB does not hold.
PIXELS = {"cpu": 4 * 256**2, "cuda": 256 * 256**2, "mps": 32 * 256**2}
# Pictures of 256 x 256 from which compiling pays. For ResNet-152 it takes half a minute on two
# cores, and saves 7 % of the time in fp32, 60 % in bf16 on a CPU with AMX.
COMPILED_FROM = {("cpu", "fp32"): 100_000, ("cpu", "bf16"): 10_000}
COMPILED_FROM_ELSEWHERE = 1_000_000
GROUP = 32  # items whose pictures are in memory together, or as many as make a batch
# Maps are 64 times as large as pooled features: half of that is worth an error of 1 in 2,048.
DTYPES = {"pooled": torch.float32, "map": torch.float16, "timbre": torch.float32}
# The names of types are those of the safetensors format.
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
UNSIGNED = "0" * 64  # stands in the header until all rows are there


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a network is run. The same plan on the same machine gives the same bits."""

    precision: Precision
    batch: int  # pictures that the network is given at a time
    compiled: bool = False


def plan_for(backbone: Backbone, *, pictures: int, height: int, width: int) -> Plan:
    """Choose the plan for a job of so many pictures of one size."""
    device = backbone.mean.device
    precision = native_precision(device)
    batch = max(1, min(PIXELS[device.type] // (height * width), pictures))
    enough = 256**2 * COMPILED_FROM.get((device.type, precision), COMPILED_FROM_ELSEWHERE)
    compiled = pictures * height * width >= enough
    return Plan(precision=precision, batch=batch, compiled=compiled)


def native_precision(device: torch.device) -> Precision:
    """Give bf16 where the device multiplies matrices of it faster than of fp32, else fp32: on a CPU
    that takes AMX or AVX512-BF16, without which bf16 is emulated."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # No public name tells yet; a PyTorch without these asks for fp32.
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    units = [getattr(torch.cpu, name, lambda: False)() for name in asked]
    return "bf16" if device.type == "cpu" and any(units) else "fp32"


class Encoder:
    """A frozen backbone in a faster form: `Image -> Features`, for any number of pictures.

    Batches are of `plan.batch`, the last one filled up with black, so that a picture's features do
    not depend on those beside it, not in the last bit. Each has a cosine of at least 0.999 to what
    the backbone gives in fp32. A compiled plan needs a C++ compiler (on CUDA Triton), and goes on
    without, with a warning; compiling comes with the first pictures and takes `compile_seconds`.
    """

    def __init__(self, backbone: Backbone, plan: Plan):
        self.plan, self.device = plan, backbone.mean.device
        self.compile_seconds = 0.0
        self._compiles = plan.compiled
        self._backbone = backbone
        bf16 = plan.precision == "bf16"
        self._trunk = _InBfloat16(backbone.trunk) if bf16 else backbone.trunk

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
            return self._backbone(images, self._trunk)
        import torch._inductor.config as inductor  # takes seconds

        self._compiles = False
        started = time.perf_counter()
        trunk: Any = torch.compile(copy.deepcopy(self._trunk), dynamic=False)
        try:
            with inductor.patch(freezing=True):  # weights as constants, laid out for the kernels
                features = self._backbone(images, trunk)
        except RuntimeError as error:  # dynamo's errors are; so is one of the network itself
            reason = str(error).strip().splitlines()[0]
            warnings.warn(f"encoding: goes on uncompiled; compiling failed: {reason}", stacklevel=2)
            return self._backbone(images, self._trunk)
        self._trunk, self.compile_seconds = trunk, time.perf_counter() - started
        return features


class _InBfloat16(nn.Module):
    """A network with its weights in bf16, between fp32 pictures and fp32 features."""

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = copy.deepcopy(trunk).to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk(images.to(torch.bfloat16)).float()


class FeatureWriter:
    """A feature file in the making: `append` rows tensor by tensor, in order, then `finish`.

    `shapes` gives each tensor's name and whole shape, items first; `done` how many of its rows are
    written. The file is of the safetensors format and is called `PATH.partial` until it is whole.
    It only grows, so its length tells a later writer with these very arguments where to go on.
    Raises InputError when the disk cannot hold the file, when rows do not fit, are too many or too
    few, and when they hold a number that is not finite or beyond the range of `dtype`.
    """

    def __init__(
        self, path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype = torch.float32
    ):
        self.path, self.shapes, self.dtype = path, dict(shapes), dtype
        self._partial = path.with_name(f"{path.name}.partial")
        # The format: eight bytes of length (little endian), then JSON, padded with spaces; offsets
        # count from the end of the header.
        rows = {n: (shape[0], math.prod(shape[1:]) * dtype.itemsize) for n, shape in shapes.items()}
        entries: dict[str, Any] = {"__metadata__": {"sha256": UNSIGNED}}
        end = 0
        for name, (count, size) in rows.items():
            offsets = [end, end := end + count * size]
            entry = {"dtype": NAMES[dtype], "shape": list(shapes[name]), "data_offsets": offsets}
            entries[name] = entry
        text = json.dumps(entries).encode()
        text += b" " * (-len(text) % 8)
        self._header = len(text).to_bytes(8, "little") + text
        there = 0
        if self._partial.exists():
            with self._partial.open("rb") as file:
                if file.read(len(self._header)) == self._header:
                    there = file.seek(0, os.SEEK_END) - len(self._header)
        self.done, kept, left = {}, len(self._header), there
        for name, (count, size) in rows.items():
            self.done[name] = min(count, left // size)
            kept += self.done[name] * size
            left = left - count * size if self.done[name] == count else 0
        room = len(self._header) + end - kept
        if room > shutil.disk_usage(path.parent).free:
            # Said now, rather than when the disk is full after hours.
            problem = f"expected room for {room / 2**20:.0f} MB, got less; free some, or choose "
            raise _refusal(path, problem + "another folder")
        # Unbuffered: a kill would lose what waits in a buffer.
        self._file = self._partial.open("r+b" if there else "w+b", buffering=0)
        self._file.write(self._header)
        self._file.truncate(kept)

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, name: str, rows: Tensor) -> None:
        """Write the next rows of a tensor, `(rows, ...)` as its shape says."""
        shape, first = self.shapes[name], self.done[name]
        begun = next((each for each in self.shapes if self.done[each] < self.shapes[each][0]), name)
        left = shape[0] - first if name == begun else 0
        if rows.shape[1:] != shape[1:] or len(rows) > left:
            wanted, got = (" x ".join(map(str, each[1:])) for each in (shape, rows.shape))
            raise _refusal(
                self.path,
                f"{name}: expected at most {left} more rows of {wanted}, got {len(rows)} of {got}; "
                "state the shape of what is encoded, and write one tensor after another",
            )
        stored = rows.detach().to("cpu", self.dtype).flatten(1)
        finite = torch.isfinite(stored).all(dim=1)
        if not finite.all():
            bad = first + int((~finite).nonzero()[0])
            raise _refusal(
                self.path,
                f"{name}: expected finite numbers that {NAMES[self.dtype]} can hold, got others in "
                f"row {bad}; check that picture and the encoder's weights",
            )
        self._file.seek(0, os.SEEK_END)
        content = stored.view(torch.uint8).flatten().numpy()
        while len(content):  # unbuffered, a file may take a part
            content = content[self._file.write(content.data) :]
        self.done[name] = first + len(rows)

    def finish(self) -> None:
        """Sign the file and give it its name; every row has to be there."""
        for name, shape in self.shapes.items():
            if self.done[name] != shape[0]:
                raise _refusal(
                    self.path,
                    f"{name}: expected {shape[0]} rows, got {self.done[name]}; append the rest",
                )
        self._file.seek(len(self._header))
        signature = hashlib.file_digest(self._file, "sha256").hexdigest()
        self._file.seek(0)
        self._file.write(self._header.replace(UNSIGNED.encode(), signature.encode(), 1))
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._partial, self.path)


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: {problem}")


def read_features(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a feature file, mapped: a row takes memory once it is used.

    Tensors have the dtype of the file; `batch.float()` after indexing gives what a model reads.
    The file is read through once, without keeping it, to compare the signature of its content.
    Raises InputError naming the file when it is missing, torn, or not what was written.
    """
    advice = "delete it, and it is computed again"
    if not path.is_file():
        raise _refusal(
            path, "expected a feature file, got no such file; run the stage that writes it"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        problem = f"expected a whole feature file, got a torn one or none ({reason}); {advice}"
        raise _refusal(path, problem) from error
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if header.get("__metadata__", {}).get("sha256") != found:
        raise _refusal(path, f"expected the content that was signed, got another; {advice}")
    return tensors


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
    shapes: dict[str, dict[str, tuple[int, ...]]] = {memory: {} for memory in memories}
    encoders = []
    for job in jobs:  # one item tells the shapes
        (images, timbre), items = job.look(job.items[0]), len(job.items)
        views, _, height, width = images.shape
        plan = plan_for(backbone, pictures=items * views, height=height, width=width)
        encoders.append(Encoder(backbone, plan))
        positions, features = backbone(images[:1].to(backbone.mean.device)).shape[1:]
        for memory in memories:
            kept = 1 if memory == "pooled" else positions
            shapes[memory][job.name] = (items, views, kept, features)
        if timbre is not None:
            shapes.setdefault("timbre", {})[job.name] = (items, 1, 1, len(timbre))
    encoded = 0
    with ExitStack() as stack:
        writers = {
            memory: stack.enter_context(
                FeatureWriter(folder / f"{memory}.safetensors", wanted, DTYPES[memory])
            )
            for memory, wanted in shapes.items()
        }
        stack.callback(torch.set_num_threads, torch.get_num_threads())  # for threads begun later
        # One thread of torch in each: two would be four on two cores, and they wait for each
        # other, so that a 30 s clip's timbre takes three times as long.
        pool = stack.enter_context(
            ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
        )
        for job, encoder in zip(jobs, encoders, strict=True):
            first = min(writer.done[job.name] for writer in writers.values())
            group = max(GROUP, -(-encoder.plan.batch // shapes[memories[0]][job.name][1]))
            # A graphics card gets the next group prepared while it works on one.
            ahead = encoder.device.type != "cpu"
            for start, looks in _looks(job, first, pool, group=group, ahead=ahead):
                images = torch.stack([look.images for look in looks])
                maps = encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
                encoded += len(images) * images.shape[1]
                rows = {"pooled": maps.mean(2, keepdim=True), "map": maps}
                if "timbre" in writers:
                    heard = [look.timbre for look in looks if look.timbre is not None]
                    rows["timbre"] = torch.stack(heard)[:, None, None]
                for memory, writer in writers.items():
                    writer.append(job.name, rows[memory][writer.done[job.name] - start :])
        for writer in writers.values():
            writer.finish()
    seconds = time.perf_counter() - clock
    return {
        "shapes": shapes,
        "parameters": sum(parameter.numel() for parameter in backbone.parameters()),
        "timing": {
            "encode_seconds": round(seconds, 3),
            "compile_seconds": round(sum(encoder.compile_seconds for encoder in encoders), 3),
            "pictures_per_second": round(encoded / seconds, 2),
        },
    }


def _looks(
    job: Job, first: int, pool: ThreadPoolExecutor, *, group: int, ahead: bool
) -> Iterator[tuple[int, list[Look]]]:
    """Groups of items from `first` on, looked at by several threads, each with its place."""
    begun: deque[tuple[int, Iterator[Look]]] = deque()
    for start in range(first, len(job.items), group):
        begun.append((start, pool.map(job.look, job.items[start : start + group])))
        if len(begun) > ahead:
            ready, looks = begun.popleft()
            yield ready, list(looks)
    for ready, looks in begun:
        yield ready, list(looks)
