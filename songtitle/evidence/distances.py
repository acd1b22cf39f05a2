"""How far guesses lie from printed scores, and how much of a good fit is the choosing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Cell = tuple[str, int]  # input, beam size
Cells = Mapping[Cell, float]  # scores in [0, 1]

# Parts of a table of scores; `rest` is all but `msd`, to choose on one and to judge on the other.
PARTS: dict[str, Callable[[Cell], bool]] = {
    "all": lambda cell: True,
    "songs": lambda cell: cell[0].startswith("songs"),
    "greedy": lambda cell: cell[1] == 1,
    "msd": lambda cell: cell[0] == "songs: timbre",
    "rest": lambda cell: cell[0] != "songs: timbre",
}


def distances(guess: Cells, printed: Cells) -> dict[str, float | None]:
    """Mean absolute difference, in [0, 1], over the cells of each part; None for an empty part."""
    gaps = {cell: abs(guess[cell] - value) for cell, value in printed.items()}
    parts = {
        name: [gaps[cell] for cell in gaps if belongs(cell)] for name, belongs in PARTS.items()
    }
    return {name: float(np.mean(part)) if part else None for name, part in parts.items()}


def sizes(printed: Cells) -> dict[str, int]:
    """How many cells each part has."""
    return {name: sum(map(belongs, printed)) for name, belongs in PARTS.items()}


def left_out(rows: Sequence[Mapping[str, Any]], *, on: str, judged: str) -> dict[str, Any]:
    """The row of least distance on one part, with its rank (from 1) among all on another.

    `typical` is the middle row's distance on the judged part, `least` the smallest there.
    """
    best = min(rows, key=lambda row: row[on])
    there = sorted(row[judged] for row in rows)
    return dict(best) | {
        "tried": len(rows),
        "rank": 1 + sum(value < best[judged] for value in there),
        "typical": float(np.median(there)),
        "least": there[0],
    }


def one_number(printed: Cells, *, on: str = "all") -> dict[str, float | None]:
    """Distances of the one number that fits a part best, taken for every cell: its median."""
    value = float(np.median([value for cell, value in printed.items() if PARTS[on](cell)]))
    return {"value": value} | distances(dict.fromkeys(printed, value), printed)


def one_number_a_kind(printed: Cells) -> dict[str, float | None]:
    """Distances where captions, and each reading of songs, have the one number that fits best."""
    kinds: dict[str, list[float]] = {}
    for cell, value in printed.items():
        kinds.setdefault(kind(cell), []).append(value)
    return distances({cell: float(np.median(kinds[kind(cell)])) for cell in printed}, printed)


def by_luck(
    printed: Cells, tried: int, *, generator: np.random.Generator, rounds: int = 500
) -> dict[str, float]:
    """The least of `tried` distances over all cells where guesses know nothing: mean and 5 % point.

    A blind guess has one number for each kind of cell, anywhere between 0 and 1 alike: so the best
    of many comes near any table, and that alone says nothing.
    """
    kinds = sorted({kind(cell) for cell in printed})
    blind = generator.random((rounds, tried, len(kinds)))
    total = np.zeros((rounds, tried))
    for cell, value in printed.items():
        total += np.abs(blind[:, :, kinds.index(kind(cell))] - value)
    least = (total / len(printed)).min(axis=1)
    return {"mean": float(least.mean()), "low": float(np.quantile(least, 0.05))}


def kind(cell: Cell) -> str:
    """What a cell is of: pictures of whatever tile size, or one reading of songs."""
    return cell[0] if cell[0].startswith("songs") else "pictures"
