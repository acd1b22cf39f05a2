"""Features of a data set: one safetensors file, written row by row and read as a memory map.

The file's header comes first, so shapes have to be known; then rows are written to their places as
they come. What is in memory is one batch, whatever the size of the data set. A writer that was
killed is opened again with the same arguments and says how many rows it has.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from songtitle.disk import write_whole
from songtitle.errors import InputError

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
