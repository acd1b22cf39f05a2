"""What the paper says in numbers, as printed; what became of it is in `songtitle.paper`.

`paper` gives one number by its name, `paper_table` one of the five tables.
"""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from songtitle.errors import expect

CLAIMS = Path(__file__).resolve().parents[2] / "data_manifest" / "claims.toml"


def paper(id: str) -> float:
    """One number as the paper prints it, in the unit the ledger gives: `paper("table4.fma.5")`.

    BLEU and shares are in percent points, as printed. Where the paper has no value the result
    is NaN. An unknown name raises `InputError`, which lists the nearest ones.
    """
    numbers = {row["id"]: float(row["value"]) for row in ledger()["number"]}
    numbers |= {id: value for id, _, _, value in cells()}
    near = ", ".join(difflib.get_close_matches(id, numbers, n=5, cutoff=0.5) or sorted(numbers)[:5])
    expect(
        id in numbers,
        f"paper number {id!r}: expected a name in {CLAIMS.name}, found none; nearest: {near}",
    )
    return numbers[id]


def paper_table(n: int) -> pd.DataFrame:
    """The paper's Table `n` (1 to 5) as printed, its rows indexed by their id in the ledger.

    | n | columns |
    |---|---|
    | 1 | dataset, examples, min_length, max_length, mean_length, std_length (words) |
    | 2 | Million Songs, Free Music Archive: five sample titles each |
    | 3 | tracks, msd, fma (distinct words) |
    | 4 | dataset, tile_size (pixels) and tiles (int or NaN), beam sizes 1 to 20 (percent points) |
    | 5 | features, audiocaps_1, ours_1, ours_5 (percent points; the digit is the beam size) |

    Each call gives a fresh frame. Another `n` raises `InputError`.
    """
    tables = {table["number"]: table for table in ledger()["table"]}
    known = sorted(tables)
    expect(n in tables, f"paper table: expected a number in {known}, got {n!r}; choose one of them")
    ids, *columns = zip(*tables[n]["rows"], strict=True)
    frame = pd.DataFrame(index=pd.Index(ids, name="id"))
    for name, column in zip(tables[n]["columns"], columns, strict=True):
        # Whole numbers beside an NA stay whole numbers: pandas would print 32 pixels as 32.0.
        kind = object if any(cell != cell for cell in column) else None
        frame[int(name) if name.isdigit() else name] = pd.Series(column, ids, dtype=kind)
    return frame


def cells() -> list[tuple[str, str, str, float]]:
    """List every number of the tables: its name, what its row is called, column, value.

    Where the paper has no value (NA) it is NaN.
    """
    return [
        (f"table{table['number']}.{row}.{column}", cells[0], column, float(cell))
        for table in ledger()["table"]
        for row, *cells in table["rows"]
        for column, cell in zip(table["columns"], cells, strict=True)
        if not isinstance(cell, str)
    ]


@cache
def ledger() -> dict[str, list[dict[str, Any]]]:
    """Read the whole ledger: `number`, `constant`, `sentence`, `question`, `table`, `relation`."""
    expect(
        CLAIMS.is_file(),
        f"{CLAIMS}: expected the ledger of the paper's numbers, found no file; "
        "run from a clone of the project, installed with `pip install -e .`",
    )
    return tomllib.loads(CLAIMS.read_text(encoding="utf-8"))
