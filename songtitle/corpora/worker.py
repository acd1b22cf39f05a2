"""What asks for pictures, shard by shard, in workers that img2dataset shares out the work to."""

import contextlib
import hashlib
import io
import json
import logging
import math
import os
import re
import shutil
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing img2dataset asks PyPI

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from img2dataset import distributor as distributors
from img2dataset.downloader import is_disallowed
from img2dataset.reader import Reader
from PIL import Image
from tqdm import tqdm
from webdataset import TarWriter

from songtitle.corpora.guarded_http import TEMPORARY, Limits, NotFetchedError, Reason, get
from songtitle.corpora.shards import ENDINGS
from songtitle.machine import end_with_parent, same_python_in_spark

FORBIDDEN = ["noai", "noimageai", "noindex", "noimageindex"]  # to us, in X-Robots-Tag
SCRATCH = "_tmp"
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")  # of the others, EPS makes Pillow run Ghostscript
SCHEMA = pa.schema(  # of a shard's table; `sha256` is of the picture that is kept
    [("row", pa.int64())]
    + [(name, pa.string()) for name in ("caption", "url", "key", "status", "error_message")]
    + [(name, pa.int32()) for name in ("width", "height", "http_status")]
    + [(name, pa.string()) for name in ("sha256", "source_sha256")]
)
log = logging.getLogger(__name__)
_decoding = threading.Lock()  # one picture at a time: decoded, it is many times as big


def distribute(
    downloader: "ShardDownloader",
    rows: Path,
    done: set[int],
    *,
    total: int,
    processes: int,
    distributor: str,
    variables: Mapping[str, str],
) -> None:
    """Make the `total` shards of the Parquet files in `rows`, less those in `done`.

    `variables` are of the environment of workers on a cluster. A shard that failed is left out and
    its error printed. img2dataset's LoggerProcess is not started: all it does is print speeds, and
    it lives on for ever when the driver is killed.
    """
    scratch = downloader.folder / SCRATCH
    scratch.mkdir()
    kinds = ("parquet", "url", "caption", None, None)  # no column of hashes to check against
    reader = Reader(str(rows), *kinds, ["row"], downloader.shard_size, done, str(scratch))
    # Its own bar knows no total, and so no time left. Ray and Spark show their own.
    bar = partial(tqdm, total=total - len(done), desc="pictures", unit="shard", disable=None)
    distributors.tqdm = bar
    same_python_in_spark()
    hand_out = getattr(distributors, f"{distributor}_distributor")
    with _ray(processes, variables) if distributor == "ray" else contextlib.nullcontext():
        hand_out(processes, downloader, reader, 1000, 1)  # 1000 shards a Spark job, 1 retry


@contextlib.contextmanager
def _ray(processes: int, variables: Mapping[str, str]) -> Iterator[None]:
    """A Ray session: the caller's, or the cluster that RAY_ADDRESS names, or one of our own."""
    import ray

    if ray.is_initialized():
        yield
        return
    # "local": else Ray joins what cluster was last started on this machine, even a dead one.
    own = {"address": "local", "num_cpus": processes, "include_dashboard": False}
    cluster = os.environ.get("RAY_ADDRESS")
    ray.init(**({"runtime_env": {"env_vars": dict(variables)}} if cluster else own))
    try:
        yield
    finally:
        ray.shutdown()


class ShardDownloader:
    """Makes whole shards or none, in the order of the rows; equal answers make equal shards.

    Called with `(shard number, Arrow file of rows)`; puts `NNNNN.tar`, `NNNNN.parquet` and, last,
    `NNNNN_stats.json` into `folder`, and says whether it did.
    """

    def __init__(self, folder: Path, limits: Limits, shard_size: int, threads: int) -> None:
        self.folder, self.limits = folder, limits
        self.shard_size, self.threads = shard_size, threads

    def __call__(self, row: tuple[int, str]) -> tuple[bool, tuple[int, str]]:
        """Ask for every picture of the shard; an exception leaves no file of it in `folder`."""
        end_with_parent()  # Ray ends its workers itself
        try:
            self._make(*row)
        except Exception:
            traceback.print_exc()
            return False, row  # to be tried again
        return True, row

    def _make(self, number: int, source: str) -> None:
        scratch = self.folder / SCRATCH / f"{number}-{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        stem, digits = f"{number:05d}", math.ceil(math.log10(self.shard_size))
        started, table = time.time(), []
        with pa.memory_map(source) as file:
            rows = pa.ipc.open_file(file).read_all().to_pylist()
        room = threading.Semaphore(2 * self.threads)  # for pictures that wait to be written

        def urls() -> Iterator[str]:
            for row in rows:
                room.acquire()
                yield row["url"]

        with (
            ThreadPool(self.threads) as pool,
            contextlib.closing(TarWriter(str(scratch / f"{stem}.tar"), mtime=0)) as tar,
        ):
            found = pool.imap(partial(fetch_picture, limits=self.limits), urls())
            for place, (row, (picture, about)) in enumerate(zip(rows, found, strict=True)):
                key = f"{stem}{place:0{digits}d}"
                blank = dict.fromkeys(SCHEMA.names)
                table.append(blank | row | {"key": key} | about)
                if picture is not None:
                    text = json.dumps(table[-1], indent=4)
                    tar.write({"__key__": key, "jpg": picture, "txt": row["caption"], "json": text})
                room.release()
        pq.write_table(pa.Table.from_pylist(table, SCHEMA), scratch / f"{stem}.parquet")
        statuses = Counter(row["error_message"] or row["status"] for row in table)
        told = {"count": len(table), "successes": statuses["success"], "status_dict": statuses}
        told |= {"start_time": started, "end_time": time.time()}
        (scratch / f"{stem}_stats.json").write_text(json.dumps(told, indent=4))
        for ending in ENDINGS:  # with the last one it counts as done
            os.replace(scratch / (stem + ending), self.folder / (stem + ending))
        shutil.rmtree(scratch)
        Path(source).unlink(missing_ok=True)


def fetch_picture(url: str, *, limits: Limits) -> tuple[bytes | None, dict[str, Any]]:
    """One picture as JPEG, or None, and what a shard's table has of it or of the reason why not.

    Only a reason that may pass is tried again, up to `limits.retries` times.
    """
    reason, status = Reason.OTHER, None
    for _ in range(limits.retries + 1):
        try:
            body, headers = get(url, limits)
            if is_disallowed(headers, "songtitle", FORBIDDEN):
                raise NotFetchedError(Reason.ROBOTS, 200)
            with _decoding:
                picture, height, width = as_jpeg(body, limits)
            about = {"status": "success", "http_status": 200, "height": height, "width": width}
            hashes = [hashlib.sha256(each).hexdigest() for each in (picture, body)]
            return picture, about | {"sha256": hashes[0], "source_sha256": hashes[1]}
        except NotFetchedError as error:
            reason, status = error.reason, error.status
            if reason not in TEMPORARY:
                break
        except Exception as error:  # one picture must not end the shard of a thousand
            log.warning("%s: %s: %s", url, type(error).__name__, error)
            break
    failed = "failed_to_resize" if reason is Reason.TOO_SMALL else "failed_to_download"
    return None, {"status": failed, "error_message": reason.value, "http_status": status}


def as_jpeg(body: bytes, limits: Limits) -> tuple[bytes, int, int]:
    """A picture as JPEG, and its height and width in pixels: a JPEG as it is, others at quality 95
    on white.

    The size is read from the header before anything is decoded. Then it is decoded to its end, a
    JPEG at an eighth of its size. Raises NotFetchedError for what is no whole picture, larger than
    `limits.max_pixels` or of a shorter side than `limits.min_side`.
    """
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                raise Image.DecompressionBombError
            image.draft("L", (1, 1))  # only JPEG has it
            image.load()
            picture = body if body.startswith(b"\xff\xd8\xff") else _encode(image)
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error and others
        short = re.search("truncated|Truncated|end of file|premature", str(error))
        reason = Reason.CUT_SHORT if short else Reason.NOT_A_PICTURE
        bomb = isinstance(error, Image.DecompressionBombError)
        raise NotFetchedError(Reason.TOO_LARGE if bomb else reason, 200) from None
    if min(height, width) < limits.min_side:
        raise NotFetchedError(Reason.TOO_SMALL, 200)
    return picture, height, width


def _encode(image: Image.Image) -> bytes:
    pixels = np.asarray(image)
    if pixels.dtype.itemsize > 1:  # 16 bits a channel
        image = Image.fromarray((pixels // 256).astype(np.uint8))
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(clear)
    file = io.BytesIO()
    image.convert("L" if image.mode in ("1", "L") else "RGB").save(file, "JPEG", quality=95)
    return file.getvalue()
