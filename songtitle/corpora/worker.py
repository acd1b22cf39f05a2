"""Shards as img2dataset makes them, in its words; here only what it is made to do otherwise."""

import contextlib
import hashlib
import io
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing img2dataset asks PyPI

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from img2dataset import distributor as distributors
from img2dataset import downloader as img2dataset_downloader
from img2dataset import resizer as img2dataset_resizer
from img2dataset.downloader import Downloader
from img2dataset.reader import Reader
from img2dataset.resizer import Resizer
from img2dataset.writer import WebDatasetSampleWriter
from PIL import Image
from tqdm import tqdm

from songtitle.corpora.guarded_http import TEMPORARY, Limits, NotFetchedError, Reason, get
from songtitle.corpora.shards import ENDINGS
from songtitle.machine import end_with_parent

AGENT = "songtitle"
FORBIDDEN = ["noai", "noimageai", "noindex", "noimageindex"]  # to us, in X-Robots-Tag
COLUMNS = ["row", "caption", "url"]
DIGITS = 5  # of a shard's number in its file names
SCRATCH = "_tmp"
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")  # of the others, EPS makes Pillow run Ghostscript
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
    size = downloader.number_sample_per_shard
    kinds = ("parquet", "url", "caption", None, None)  # no column of hashes to check against
    reader = Reader(str(rows), *kinds, ["row"], size, done, str(scratch))
    assert reader.column_list == COLUMNS
    # Its own bar knows no total, and so no time left. Ray and Spark show their own.
    bar = partial(tqdm, total=total - len(done), desc="pictures", unit="shard", disable=None)
    distributors.tqdm = bar
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


class ShardDownloader(Downloader):
    """img2dataset's Downloader: guarded, in the order of the rows, whole shards or none.

    Called with `(shard number, Arrow file of rows)`; puts `NNNNN.tar`, `NNNNN.parquet` and, last,
    `NNNNN_stats.json` into `folder`. Equal answers make equal tar and Parquet files.
    """

    def __init__(self, folder: Path, limits: Limits, shard_size: int, threads: int) -> None:
        super().__init__(
            sample_writer_class=ShardWriter,
            resizer=EightBitResizer(
                image_size=0,
                resize_mode="no",
                resize_only_if_bigger=False,
                encode_quality=95,
                skip_reencode=True,
                min_image_size=limits.min_side,
                max_image_area=limits.max_pixels,
            ),
            thread_count=threads,
            save_caption=True,
            extract_exif=False,
            output_folder=str(folder),
            column_list=COLUMNS,
            timeout=limits.timeout,
            number_sample_per_shard=shard_size,
            oom_shard_count=DIGITS,
            compute_hash="sha256",
            verify_hash_type=None,
            encode_format="jpg",
            retries=limits.retries,
            user_agent_token=AGENT,
            disallowed_header_directives=FORBIDDEN,
        )
        self.folder, self.limits = folder, limits

    def download_shard(self, row: tuple[int, str]) -> None:
        """Ask for every picture of the shard; an exception leaves no file of it in `folder`."""
        end_with_parent()  # Ray ends its workers itself
        number, source = row
        with pa.memory_map(source) as file:
            rows = pa.ipc.open_file(file).read_all().num_rows
        scratch = self.folder / SCRATCH / f"{number}-{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.output_folder = str(scratch)
        # img2dataset deletes the rows it was given before the shard is in place: give it a copy.
        kept = scratch / "rows.arrow"
        shutil.copyfile(source, kept)
        fetch = partial(download, limits=self.limits)
        with (
            patch.object(img2dataset_downloader, "ThreadPool", _OrderedPool),
            patch.object(img2dataset_downloader, "download_image_with_retry", fetch),
            patch.object(img2dataset_resizer, "imghdr", _FirstBytes),
        ):
            super().download_shard((number, str(kept)))
        stem = f"{number:0{DIGITS}d}"
        written = pq.read_metadata(scratch / f"{stem}.parquet").num_rows
        if written != rows:
            msg = f"shard {stem}: expected {rows} rows in its Parquet file, got {written}"
            raise RuntimeError(msg)
        for ending in ENDINGS:  # with the last one it counts as done
            os.replace(scratch / (stem + ending), self.folder / (stem + ending))
        shutil.rmtree(scratch)
        Path(source).unlink(missing_ok=True)


class EightBitResizer(Resizer):
    """img2dataset's resizer, which alone makes white of pictures with 16 bits a channel."""

    def __call__(self, img_stream: io.BytesIO, blurring_bbox_list: Any = None) -> Any:
        """JPEG bytes, width, height, both again, and None; or what is wrong in the last place."""
        body = img_stream.getvalue()
        if body[:4] == b"\x89PNG":
            with contextlib.suppress(cv2.error):  # then img2dataset meets and names it
                image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
                if image is not None and image.dtype == np.uint16:
                    body = cv2.imencode(".png", (image // 256).astype(np.uint8))[1].tobytes()
        return super().__call__(io.BytesIO(body), blurring_bbox_list)


class ShardWriter(WebDatasetSampleWriter):
    """img2dataset's writer without clock times, with reasons and with the right checksum.

    img2dataset takes sha256 of the bytes as they came; for a picture that it encodes anew those
    are not the bytes it stores. Here `sha256` is of the stored picture, `source_sha256` of what
    came; the two agree where a JPEG was kept as it is.
    """

    def __init__(self, *arguments: Any) -> None:
        *others, schema, encode_format = arguments
        for name, kind in (("http_status", pa.int32()), ("source_sha256", pa.string())):
            schema = schema.append(pa.field(name, kind))
        super().__init__(*others, schema, encode_format)
        self.tarwriter.mtime = 0

    def write(
        self, img_str: bytes | None, key: str, caption: str | None, meta: dict[str, Any]
    ) -> None:
        """One row, with its picture where there is one."""
        message = meta["error_message"]
        status = re.search(r"\((\d{3})\)$", message or "")
        # Only an answer with status 200 reaches the steps after the download.
        arrived = meta["status"] != "failed_to_download"
        meta["http_status"] = 200 if arrived else int(status[1]) if status else None
        meta["error_message"] = None if message is None else Reason.of_message(message).value
        meta["source_sha256"] = meta["sha256"]
        if img_str is not None:
            meta["sha256"] = hashlib.sha256(img_str).hexdigest()
        super().write(img_str, key, caption, meta)


def check_picture(body: bytes, max_pixels: int) -> None:
    """Raise NotFetchedError unless `body` is a whole picture of at most `max_pixels`.

    The size is read from the header before anything is decoded. Then it is decoded to its end, a
    JPEG at an eighth of its size: half a picture is told from none, whatever OpenCV makes of it.
    """
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise Image.DecompressionBombError
            image.draft("L", (1, 1))  # only JPEG has it
            with _decoding:
                image.load()
    except Image.DecompressionBombError:
        raise NotFetchedError(Reason.TOO_LARGE, 200) from None
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error and others
        short = re.search("truncated|Truncated|end of file|premature", str(error))
        reason = Reason.CUT_SHORT if short else Reason.NOT_A_PICTURE
        raise NotFetchedError(reason, 200) from None


def download(
    row: tuple[int, str], *, limits: Limits, **_: Any
) -> tuple[int, io.BytesIO | None, str | None]:
    """One picture or the reason why not, in place of img2dataset's `download_image_with_retry`.

    Only a reason that may pass is tried again, up to `limits.retries` times.
    """
    key, url = row
    message = str(Reason.OTHER)
    for _ in range(limits.retries + 1):
        try:
            body, headers = get(url, limits)
            if img2dataset_downloader.is_disallowed(headers, AGENT, FORBIDDEN):
                raise NotFetchedError(Reason.ROBOTS, 200)
            check_picture(body, limits.max_pixels)
            return key, io.BytesIO(body), None
        except NotFetchedError as error:
            message = str(error)
            if error.reason not in TEMPORARY:
                break
        except Exception as error:  # one picture must not end the shard of a thousand
            log.warning("%s: %s: %s", url, type(error).__name__, error)
            break
    return key, None, message


class _OrderedPool(ThreadPool):
    """A pool that gives results in the order of the rows, so that shards can be told equal."""

    def imap_unordered(self, func: Any, iterable: Any, chunksize: int | None = 1) -> Any:
        return self.imap(func, iterable, chunksize or 1)


class _FirstBytes:
    """In place of `imghdr`, which takes a JPEG without JFIF or Exif header for something else."""

    @staticmethod
    def what(stream: io.BytesIO) -> str | None:
        return "jpeg" if stream.read(3) == b"\xff\xd8\xff" else None
