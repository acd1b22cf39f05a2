"""Shards of addresses handed out to processes or machines by img2dataset's distributors."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from songtitle.datasets.web_pictures.work import Work
from songtitle.errors import InputError

DISTRIBUTORS = ("multiprocessing", "ray", "pyspark")


def require(distributor: str) -> None:
    """Raise InputError unless there is such a distributor and what it needs is installed."""
    if distributor not in DISTRIBUTORS:
        msg = (
            f"distributor: expected one of {', '.join(DISTRIBUTORS)}, got {distributor!r}; "
            "choose one"
        )
        raise InputError(msg)
    # img2dataset imports imghdr, which Python 3.13 dropped. Its Ray distributor does nothing,
    # silently, where there is no Ray.
    needed = {"img2dataset": "-e '.[pictures]'", "imghdr": "-e '.[pictures]'"}
    if distributor == "ray":
        needed["ray"] = "-e '.[cluster]'"
    if distributor == "pyspark":
        needed["pyspark"] = "-e '.[pictures]' pyspark"
    for module, package in needed.items():
        if importlib.util.find_spec(module) is None:
            msg = (
                f"fetching pictures: expected the module {module}, it is not there; run "
                f"`pip install {package}` in the clone, with Python 3.11 or 3.12"
            )
            raise InputError(msg)


def distribute(
    rows: Path,
    folder: Path,
    done: set[int],
    work: Work,
    *,
    total: int,
    processes: int,
    distributor: str,
) -> None:
    """Make the `total` shards of the Parquet files in `rows`, less those in `done`, in `folder`.

    img2dataset's messages go to standard error. A shard that failed is left out and its error
    printed: look into `folder` for what there is. img2dataset's LoggerProcess is not started; all
    it does is print speeds, and it lives on for ever when the driver is killed.
    """
    with _environment(_variables(work.max_pixels)), contextlib.redirect_stdout(sys.stderr):
        from img2dataset import distributor as distributors
        from img2dataset.reader import Reader

        from songtitle.datasets.web_pictures.worker import COLUMNS, SCRATCH, ShardDownloader

        scratch = folder / SCRATCH
        scratch.mkdir()
        reader = Reader(
            str(rows),
            "parquet",
            url_col="url",
            caption_col="caption",
            verify_hash_col=None,
            verify_hash_type=None,
            save_additional_columns=["row"],
            number_sample_per_shard=work.shard_size,
            done_shards=done,
            tmp_path=str(scratch),
        )
        assert reader.column_list == COLUMNS
        downloader = ShardDownloader(folder, work)
        # Its own bar knows no total, and so no time left. Ray and Spark show their own.
        distributors.tqdm = partial(
            tqdm, total=total - len(done), desc="pictures", unit="shard", disable=None
        )
        hand_out = getattr(distributors, f"{distributor}_distributor")
        with _ray(processes, work) if distributor == "ray" else contextlib.nullcontext():
            hand_out(processes, downloader, reader, 1000, 1)  # 1000 shards a Spark job, 1 retry


def _variables(max_pixels: int) -> dict[str, str]:
    """What keeps img2dataset's libraries off the network, for this process and its workers."""
    return {
        "NO_ALBUMENTATIONS_UPDATE": "1",  # on a cluster, img2dataset may come before songtitle
        "WANDB_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(max_pixels),  # read by OpenCV when it is loaded
    }


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ray(processes: int, work: Work) -> Iterator[None]:
    """A Ray session: the caller's, or the cluster that RAY_ADDRESS names, or one of our own."""
    import ray

    if ray.is_initialized():
        yield
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(runtime_env={"env_vars": _variables(work.max_pixels)})
    else:
        # "local": else Ray joins what cluster was last started on this machine, even a dead one.
        ray.init(address="local", num_cpus=processes, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()
