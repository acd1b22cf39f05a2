"""The work of fetching pictures: what is said once and holds for every shard."""

from dataclasses import dataclass

from songtitle.datasets.web_pictures.guarded_http import Limits


@dataclass(frozen=True, kw_only=True)
class Work:
    """How the shards are made; `distribution` hands them out, `worker` makes them."""

    limits: Limits
    min_side: int  # pixels
    max_pixels: int
    shard_size: int  # rows
    threads: int  # of one process
    retries: int  # of one picture
