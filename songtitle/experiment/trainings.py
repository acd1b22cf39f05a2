"""Several trainings: what each item scores under each, and the one interval of all pages."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from songtitle.config import ExperimentConfig
from songtitle.metrics.chance import Series, gain_parts
from songtitle.metrics.uncertainty import Uncertain, equivalence, two_way

Cell = tuple[str, int]  # an input and a beam size
Values = Float[np.ndarray, "seeds items"]


class ItemScores:
    """What every item scores and adds to the gain, by input and beam size, a row a training."""

    def __init__(self) -> None:
        self.own: dict[Cell, list[np.ndarray]] = defaultdict(list)
        self.gains: dict[Cell, list[np.ndarray]] = defaultdict(list)
        self.series: dict[str, Series] = {}

    def add(self, name: str, beam_size: int, pairs: np.ndarray, series: Series) -> None:
        """Take in the scores of every hypothesis against every reference, of the next training."""
        self.own[name, beam_size].append(np.diagonal(pairs).astype(float))
        self.gains[name, beam_size].append(gain_parts(pairs, series))
        self.series[name] = series

    def save(self, path: Path) -> None:
        """Write all values, `(seeds, items)`, as `<input>, k = <beam size>: score` and `gain`."""
        tables = {"score": self.own, "gain": self.gains}
        arrays: dict[str, Any] = {
            f"{name}, k = {size}: {what}": np.stack(values)
            for what, cells in tables.items()
            for (name, size), values in cells.items()
        }
        np.savez_compressed(path, **arrays)

    def summary(self, config: ExperimentConfig) -> list[dict[str, Any]]:
        """Give a row for each input and beam size, over its trainings and series.

        `input, beam_size, seeds, series` (how many); of `score` and `gain` the mean, `_low, _high`
        (95 % interval, `two_way`), `_parts` (shares of its variance: `seeds, series, both`) and
        `_each` (the mean of each training); `over`, what the interval is over; `p`, of no gain;
        `most`, what the gain is at most either way, and `matters`, how that compares with the
        smallest effect.
        """
        rows = []
        for (name, size), own in self.own.items():
            series = self.series[name]
            row: dict[str, Any] = {"input": name, "beam_size": size, "seeds": len(own)}
            row["series"] = len(own[0]) if series is None else len(set(series))
            for what, values in (("score", own), ("gain", self.gains[name, size])):
                found = two_way(np.stack(values), series)
                row |= described(what, found) | {f"{what}_each": [float(v.mean()) for v in values]}
            row |= {"over": found.over, "p": found.p, "most": found.most}
            rows.append(row | {"matters": equivalence(found, config.smallest_effect / 100)})
        return rows


def described(what: str, found: Uncertain) -> dict[str, Any]:
    """Give the fields of a row: the mean as `what`, its interval, and the parts of its variance."""
    parts = {"seeds": found.seeds, "series": found.series, "both": found.both}
    whole = sum(parts.values())
    shares = {name: part / whole if whole else 0.0 for name, part in parts.items()}
    return {
        what: found.mean,
        f"{what}_low": found.low,
        f"{what}_high": found.high,
        f"{what}_parts": shares,
    }
