"""Feature jobs: many pictures through one frozen network and into files, resumed after a kill."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from songtitle.disk import write_whole
from songtitle.features import FeatureWriter
from songtitle.model.encoder import Backbone
from songtitle.model.encoding import Encoder, Plan, plan_for
from songtitle.shapes import Image

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
