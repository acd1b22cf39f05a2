"""The work of fetching pictures: what is said once and holds for every shard."""

import contextlib
import hashlib
import io
import logging
import os
import re
import shutil
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from img2dataset import downloader as img2dataset_downloader
from img2dataset import resizer as img2dataset_resizer
from img2dataset.downloader import Downloader
from img2dataset.resizer import Resizer
from img2dataset.writer import WebDatasetSampleWriter
from PIL import Image, UnidentifiedImageError

from songtitle.corpora.guarded_http import TEMPORARY, Limits, NotFetchedError, Reason, get
from songtitle.machine import end_with_parent


@dataclass(frozen=True, kw_only=True)
class Work:
    """How the shards are made; `distribution` hands them out, `worker` makes them."""

    limits: Limits
    min_side: int  # pixels
    max_pixels: int
    shard_size: int  # rows
    threads: int  # of one process
    retries: int  # of one picture


COLUMNS = ["row", "caption", "url"]
DIGITS = 5  # of a shard's number in its file names
SCRATCH = "_tmp"
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")  # of the others, EPS makes Pillow run Ghostscript
log = logging.getLogger(__name__)
_decoding = threading.Lock()  # one picture at a time: decoded, it is many times as big


class ShardDownloader(Downloader):
    """img2dataset's Downloader: guarded, in the order of the rows, whole shards or none.

    Called with `(shard number, Arrow file of rows)`; puts `NNNNN.tar`, `NNNNN.parquet` and, last,
    `NNNNN_stats.json` into `folder`. Equal answers make equal tar and Parquet files.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        super().__init__(
            sample_writer_class=ShardWriter,
            resizer=EightBitResizer(
                image_size=0,
                resize_mode="no",
                resize_only_if_bigger=False,
                encode_quality=95,
                skip_reencode=True,
                min_image_size=work.min_side,
                max_image_area=work.max_pixels,
            ),
            thread_count=work.threads,
            save_caption=True,
            extract_exif=False,
            output_folder=str(folder),
            column_list=COLUMNS,
            timeout=work.limits.timeout,
            number_sample_per_shard=work.shard_size,
            oom_shard_count=DIGITS,
            compute_hash="sha256",
            verify_hash_type=None,
            encode_format="jpg",
            retries=work.retries,
            user_agent_token="songtitle",
            disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
        )
        self.folder, self.work = folder, work

    def download_shard(self, row: tuple[int, str]) -> None:
        """Ask for every picture of the shard; an exception leaves no file of it in `folder`."""
        end_with_parent()  # Ray ends its workers itself
        number, source = row
        rows = _rows(Path(source))
        scratch = self.folder / SCRATCH / f"{number}-{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.output_folder = str(scratch)
        # img2dataset deletes the rows it was given before the shard is in place: give it a copy.
        kept = scratch / "rows.arrow"
        shutil.copyfile(source, kept)
        with _patched(self):
            super().download_shard((number, str(kept)))
        stem = f"{number:0{DIGITS}d}"
        written = pq.read_metadata(scratch / f"{stem}.parquet").num_rows
        if written != rows:
            msg = f"shard {stem}: expected {rows} rows in its Parquet file, got {written}"
            raise RuntimeError(msg)
        for ending in (".tar", ".parquet", "_stats.json"):  # with the last one it counts as done
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

    def __init__(
        self,
        shard_id: int,
        output_folder: str,
        save_caption: bool,
        oom_shard_count: int,
        schema: pa.Schema,
        encode_format: str,
    ) -> None:
        schema = schema.append(pa.field("http_status", pa.int32()))
        schema = schema.append(pa.field("source_sha256", pa.string()))
        super().__init__(
            shard_id, output_folder, save_caption, oom_shard_count, schema, encode_format
        )
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
                raise NotFetchedError(Reason.TOO_LARGE, 200)
            image.draft("L", (1, 1))  # only JPEG has it
            with _decoding:
                image.load()
    except Image.DecompressionBombError:
        raise NotFetchedError(Reason.TOO_LARGE, 200) from None
    except UnidentifiedImageError:
        raise NotFetchedError(Reason.NOT_A_PICTURE, 200) from None
    except NotFetchedError:
        raise
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error and others
        short = re.search("truncated|Truncated|end of file|premature", str(error))
        reason = Reason.CUT_SHORT if short else Reason.NOT_A_PICTURE
        raise NotFetchedError(reason, 200) from None


def download(
    row: tuple[int, str],
    timeout: float,
    retries: int,
    user_agent_token: str | None,
    disallowed_header_directives: Collection[str] | None,
    *,
    limits: Limits,
    max_pixels: int,
) -> tuple[int, io.BytesIO | None, str | None]:
    """One picture or the reason why not, in place of img2dataset's function of these arguments.

    Only a reason that may pass is tried again, up to `retries` times.
    """
    key, url = row
    message = str(Reason.OTHER)
    for _ in range(retries + 1):
        try:
            answer = get(url, limits)
            if disallowed_header_directives and img2dataset_downloader.is_disallowed(
                answer.headers, user_agent_token, disallowed_header_directives
            ):
                raise NotFetchedError(Reason.ROBOTS, 200)
            check_picture(answer.body, max_pixels)
            return key, io.BytesIO(answer.body), None
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


@contextlib.contextmanager
def _patched(downloader: ShardDownloader) -> Iterator[None]:
    """img2dataset with three of its names exchanged."""
    work = downloader.work
    fetch = partial(download, limits=work.limits, max_pixels=work.max_pixels)
    exchanged = [
        (img2dataset_downloader, "ThreadPool", _OrderedPool),
        (img2dataset_downloader, "download_image_with_retry", fetch),
        (img2dataset_resizer, "imghdr", _FirstBytes),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in exchanged]
    for module, name, value in exchanged:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _rows(source: Path) -> int:
    with pa.memory_map(str(source)) as file:
        return pa.ipc.open_file(file).read_all().num_rows
