"""Reading a shard in sequence, without decoding, beside reading the bare file and other readers."""

import io
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Row, named
from benchmarks.repeats import medians, ratio, repeated
from songtitle.corpora.batches import Pixels, ShardStream

PICTURE = 155_000  # bytes: the mean of 14,743 pictures of Conceptual Captions
EXAMPLES = 1_500  # in one shard: 230 MB, which stay in the memory that caches files
BLOCK = 2**20
GOAL = 0.9  # of the speed of a bare read
CAPTION = b"a picture of nothing at all, in ten words or so"


def rows(quick: bool = False) -> list[Row]:
    """Bytes per second of our stream as a share of each peer's; all see every byte."""
    size, count = (5_000, 7) if quick else (PICTURE, EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        shard = write_shard(Path(folder) / "00000.tar", size=size, count=count)
        bare, members = partial(_bare, shard), partial(_members, shard)
        peers = {
            "a bare read in blocks of 1 MiB": (bare, "Python's open"),
            "tarfile": (members, "Python's tarfile"),
        }
        if find_spec("webdataset"):  # it is there on some Pythons only
            peers["webdataset"] = (partial(_webdataset, shard), named("webdataset"))
        ways: dict[str, Callable[[], int]] = {name: way for name, (way, _) in peers.items()}
        ways["ours"] = partial(_ours, _stream(shard, Path(folder)))
        wanted = count * (size + len(CAPTION))
        for name, way in ways.items():
            if way() < wanted:
                msg = f"{name}: expected {wanted} bytes or more to be read"
                raise RuntimeError(msg)
        times = repeated(ways, rounds=2 if quick else 7)
    rows = []
    for name, (_, peer) in peers.items():
        value, spread = ratio(times[name], times["ours"])
        note = f"{spread}; {shard.name} of {wanted / 1e6:,.0f} MB in {count:,} examples, cached; "
        if peer == "Python's open":
            note += f"goal {GOAL}: {'reached' if value >= GOAL else 'missed'}; "
        rows.append(
            Row(
                what="a shard in sequence, nothing decoded",
                quantity=f"bytes per second of ours / those of {name}",
                value=value,
                peer=peer,
                seconds=medians({"ours": times["ours"], name: times[name]}),
                note=note + f"{wanted / 1e6 / medians(times)['ours']:,.0f} MB/s",
            )
        )
    return rows


def write_shard(path: Path, *, size: int, count: int) -> Path:
    """Noise under the names of pictures, each with its caption."""
    noise = np.random.default_rng(0).bytes(size + count)
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            for ending, content in (("jpg", noise[number : number + size]), ("txt", CAPTION)):
                about = tarfile.TarInfo(f"{number:09d}.{ending}")
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))
    return path


def _bare(shard: Path) -> int:
    block, total = bytearray(BLOCK), 0
    with shard.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            total += size
    return total


def _members(shard: Path) -> int:
    with tarfile.open(shard) as tar:
        found = (tar.extractfile(member) for member in tar)
        return sum(len(file.read()) for file in found if file)


def _webdataset(shard: Path) -> int:
    import webdataset

    examples: Any = webdataset.WebDataset(str(shard), shardshuffle=False)
    return sum(len(each["jpg"]) + len(each["txt"]) for each in examples)


class _Seen:
    """A `View` that counts the bytes of pictures and decodes none."""

    def __init__(self) -> None:
        self.bytes, self.pixels = 0, torch.zeros(3, 1, 1, dtype=torch.uint8)

    def __call__(self, content: bytes, generator: torch.Generator) -> Pixels:
        self.bytes += len(content)
        return self.pixels


def _stream(shard: Path, folder: Path) -> ShardStream:
    return ShardStream(
        [shard], lambda caption: [1, len(caption), 2], _Seen(), pad_id=0, index=folder
    )


def _ours(stream: ShardStream) -> int:
    seen: Any = stream.view
    seen.bytes, captions = 0, 0
    for batch in stream.in_order():
        captions += int(batch.tokens[:, 1].sum())
    return seen.bytes + captions
