"""How the benchmarks measure: ways interleaved, medians, ratios, and what they must reach."""

import gc
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class Row:
    """One ratio (or another number) beside what it must reach."""

    what: str  # the case: "k = 5"
    quantity: str  # what the value is: "time of ours / time of the matmul limit"
    value: float
    at_most: float | None = None
    at_least: float | None = None
    peer: str = ""  # whom it is compared with, with version
    seconds: Mapping[str, float] = field(default_factory=dict)  # median of each way timed
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the value is within its bounds; a row without bounds only informs."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How time (or memory) grows: measured at several sizes, with the fitted exponent."""

    what: str  # "beam search"
    against: str  # "k", "|V|", "clips"
    unit: str  # "seconds" or "MB"
    sizes: Sequence[float]
    values: Sequence[float]

    @property
    def exponent(self) -> float:
        """The slope of a straight line through the points on logarithmic axes."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.values), 1)[0])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return asdict(self) | {"exponent": self.exponent}


def interleaved(
    ways: Mapping[str, Callable[[], object]], *, rounds: int = 5, warm: int = 1
) -> dict[str, float]:
    """Median seconds of each way: all of them in turn, `rounds` times, after `warm` unmeasured.

    In turn, so that what else the machine does falls on all alike.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.freeze()  # what libraries made at import is not looked at again
    for turn in range(warm + rounds):
        for name, way in ways.items():
            gc.collect()
            started = time.perf_counter()
            way()
            if turn >= warm:
                times[name].append(time.perf_counter() - started)
    gc.unfreeze()
    return {name: statistics.median(found) for name, found in times.items()}


def peak_memory() -> float:
    """The most memory that this process ever held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands a parent's `ru_maxrss` on to its children
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one core, as in a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def named(package: str) -> str:
    """A package with its version, as a row's `peer` has it."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (not installed)"


def machine() -> dict[str, Any]:
    """What a reader must know to judge the numbers; no names of users, hosts or folders."""
    packages = ("torch", "torchvision", "transformers", "librosa", "soundfile", "scikit-learn")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }
