"""Ways timed in turn with every round kept, so that a ratio is given with its spread."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.harness import interleaved

Times = dict[str, list[float]]  # of each way the seconds of each round


def repeated(ways: Mapping[str, Callable[[], object]], *, rounds: int, warm: int = 1) -> Times:
    """Time all ways in turn, `rounds` times after `warm` unmeasured ones: seconds of each round."""
    times: Times = {name: [] for name in ways}

    def kept(name: str, way: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            started = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started)

        return run

    interleaved({name: kept(name, way) for name, way in ways.items()}, rounds=rounds, warm=warm)
    return {name: found[warm:] for name, found in times.items()}


def medians(times: Times) -> dict[str, float]:
    """The median seconds of each way."""
    return {name: statistics.median(found) for name, found in times.items()}


def ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, str]:
    """The median of the ratios of each round, and between what they lie, in words."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    low, high = min(ratios), max(ratios)
    return statistics.median(ratios), f"{low:.3g} to {high:.3g} in {len(ratios)} rounds"
