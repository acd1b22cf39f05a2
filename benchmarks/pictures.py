"""Pictures: from JPEG files, or a shard of them, to normalised 256-pixel views."""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image as pillow
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional as transforms

from benchmarks.harness import Growth, Row, interleaved, named, one_thread
from songtitle.pictures import load_view

SIZE = 256
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, which every encoder has
OF_TORCHVISION = 1.1  # of the time of torchvision's own decoding, resizing and cropping, at most
OF_PILLOW = 0.6  # of Pillow's time, at the most
AGREEMENT = 1e-5  # of the range from 0 to 1: the same pixels but for the order of two divisions
OF_PILLOWS_COLOURS = 2 / 255  # bilinear weights are rounded differently

Read = Callable[[], bytes]


def rows(quick: bool = False) -> list[Row]:
    """Files and shards, alone and with two workers (threads, torch on one core in each)."""
    found: list[Row] = []
    with _pictures(quick) as (paths, kind), tempfile.TemporaryDirectory() as folder, one_thread():
        shard = write_shard(Path(folder) / "pictures.tar", paths)
        found += _agreement(paths, kind)
        with shard.open("rb") as file:
            sources: dict[str, list[Read]] = {
                "files": [path.read_bytes for path in paths],
                "a tar shard by offset": [
                    partial(_slice, file.fileno(), *place) for place in offsets(shard)
                ],
            }
            for where, reads in sources.items():
                for workers in (1, 2):
                    seconds = _time(reads, workers, rounds=1 if quick else 7)
                    found += _ratios(seconds, f"{where}, {workers} worker(s)", kind, not quick)
    return found


def growth(quick: bool = False) -> list[Growth]:
    """Time and memory against the number of pictures."""
    counts = [2, 4] if quick else [100, 200, 400, 800]
    with _pictures(quick) as (paths, _), one_thread():
        reads = [path.read_bytes for path in paths]

        def views(count: int) -> None:
            for i in range(count):
                ours(reads[i % len(reads)])

        ways = {str(count): partial(views, count) for count in counts}
        seconds = list(interleaved(ways, rounds=1 if quick else 3).values())
        peaks = [_peak(paths, count) for count in (counts[0], counts[-1])]
    what = "JPEG to 256-pixel view"
    return [
        Growth(what=what, against="pictures", unit="seconds", sizes=counts, values=seconds),
        Growth(
            what=f"{what}, one after another: most memory held",
            against="pictures",
            unit="MB",
            sizes=[counts[0], counts[-1]],
            values=peaks,
        ),
    ]


def ours(read: Read) -> Tensor:
    """What the library does, and then an encoder."""
    return transforms.normalize(load_view(read(), SIZE), MEAN, STD, inplace=True)


def with_torchvision(read: Read) -> Tensor:
    """torchvision's own functions in their order."""
    data = torch.frombuffer(bytearray(read()), dtype=torch.uint8)
    image = decode_image(data, ImageReadMode.RGB, apply_exif_orientation=True)
    image = transforms.center_crop(transforms.resize(image, [SIZE], antialias=True), [SIZE, SIZE])
    return transforms.normalize(
        transforms.to_dtype(image, torch.float32, scale=True), MEAN, STD, inplace=True
    )


def with_pillow(read: Read) -> Tensor:
    """Pillow up to the crop."""
    image = pillow.open(io.BytesIO(read())).convert("RGB")
    scale = SIZE / min(image.size)
    width, height = (max(SIZE, int(side * scale)) for side in image.size)
    image = image.resize((width, height), pillow.Resampling.BILINEAR)
    left, top = round((width - SIZE) / 2), round((height - SIZE) / 2)
    image = image.crop((left, top, left + SIZE, top + SIZE))
    pixels = transforms.to_dtype(transforms.pil_to_tensor(image), torch.float32, scale=True)
    return transforms.normalize(pixels, MEAN, STD, inplace=True)


def write_shard(path: Path, paths: Sequence[Path]) -> Path:
    """The pictures in one uncompressed tar file, as WebDataset has them."""
    with tarfile.open(path, "w") as tar:
        for number, picture in enumerate(paths):
            tar.add(picture, arcname=f"{number:06d}.jpg")
    return path


def offsets(shard: Path) -> list[tuple[int, int]]:
    """Where each picture of a shard begins, and its length, in bytes."""
    with tarfile.open(shard) as tar:
        return [(member.offset_data, member.size) for member in tar]


def _slice(file: int, start: int, length: int) -> bytes:
    return os.pread(file, length, start)


def _time(reads: Sequence[Read], workers: int, rounds: int) -> dict[str, float]:
    """Seconds a picture of each way, all ways with the same kind and number of workers."""
    with ThreadPoolExecutor(workers) as pool:

        def over_all(way: Callable[[Read], Tensor]) -> Callable[[], object]:
            if workers == 1:
                return partial(_forget, way, reads)
            return lambda: list(
                pool.map(partial(_forget, way), [reads[i::workers] for i in range(workers)])
            )

        ways = {"ours": ours, "torchvision": with_torchvision, "Pillow": with_pillow}
        found = interleaved({name: over_all(way) for name, way in ways.items()}, rounds=rounds)
    return {name: seconds / len(reads) for name, seconds in found.items()}


def _forget(way: Callable[[Read], Tensor], reads: Sequence[Read]) -> None:
    for read in reads:
        way(read)


def _ratios(seconds: dict[str, float], what: str, kind: str, bound: bool) -> list[Row]:
    return [
        Row(
            what=f"pictures to normalised {SIZE}-pixel views, {what}",
            quantity=f"time of ours / time of {name}",
            value=seconds["ours"] / seconds[name],
            at_most=at_most if bound else None,
            peer=named(package),
            seconds={"ours": seconds["ours"], name: seconds[name]},
            note=f"{kind}; seconds are per picture; workers are threads",
        )
        for name, package, at_most in (
            ("torchvision", "torchvision", OF_TORCHVISION),
            ("Pillow", "pillow", OF_PILLOW),
        )
    ]


def _agreement(paths: Sequence[Path], kind: str) -> list[Row]:
    found = []
    spread = torch.tensor(STD)[:, None, None]
    for name, package, way, at_most in (
        ("torchvision", "torchvision", with_torchvision, AGREEMENT),
        ("Pillow", "pillow", with_pillow, OF_PILLOWS_COLOURS),
    ):
        largest = max(
            float(((ours(path.read_bytes) - way(path.read_bytes)) * spread).abs().max())
            for path in paths
        )
        found.append(
            Row(
                what=f"agreement with {name}",
                quantity="largest difference, of the colours' range from 0 to 1",
                value=largest,
                at_most=at_most,
                peer=named(package),
                note=kind,
            )
        )
    return found


@contextmanager
def _pictures(quick: bool) -> Iterator[tuple[list[Path], str]]:
    """Real photographs where they are given, else some of their size."""
    home = os.environ.get("SONGTITLE_REAL_DATA")
    real = sorted(Path(home).glob("flickr8k/images_original_size/*.jpg")) if home else []
    if real and not quick:
        yield real[:160], f"{len(real[:160])} photographs of Flickr8k, about 500 pixels long"
        return
    count = 3 if quick else 160
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_picture(Path(folder) / f"{i:03d}.jpg", seed=i) for i in range(count)]
        yield paths, f"{count} JPEGs of coloured clouds and noise, 500 by 375 pixels"


def write_picture(path: Path, *, seed: int) -> Path:
    """Something that takes a JPEG as long to decode as a photograph: clouds, edges and grain."""
    draw = np.random.default_rng(seed)
    clouds = np.zeros((375, 500, 3))
    for cells in (4, 12, 40):
        small = draw.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)
        layer = pillow.fromarray(small).resize((500, 375), pillow.Resampling.BICUBIC)
        clouds += np.asarray(layer) / 3
    clouds[draw.integers(50, 300) :, draw.integers(50, 400) :] *= 0.6
    grainy = np.clip(clouds + draw.normal(0, 6, clouds.shape), 0, 255).astype(np.uint8)
    pillow.fromarray(grainy).save(path, quality=92)
    return path


_MEASURE = """
import sys
import torch
from benchmarks.harness import peak_memory
from songtitle.pictures import load_view
torch.set_num_threads(1)
paths = sys.argv[2:]
for i in range(int(sys.argv[1])):
    load_view(paths[i % len(paths)], 256)
print(peak_memory())
"""


def _peak(paths: Sequence[Path], count: int) -> float:
    """Most memory, in MB, that a process of its own held while it made `count` views."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(count), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
