"""Which pictures are gone, and whether those that are left tell another story.

The paper "found about ten percent of the raw training pairs to be unavailable". Beside that figure
stands what came and what did not, by cause, host and year, and how the captions of the lost differ.
"""

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from songtitle.corpora import shards
from songtitle.corpora.captions import LinkStatus
from songtitle.corpora.guarded_http import Reason
from songtitle.errors import InputError

PAPER_LOSS = 0.10  # "about ten percent", of train
MOST = 100_000  # captions on each side that a comparison looks at

# Address, its caption where one is known, HTTP status, year, and the reason of its loss.
Link = tuple[str, str | None, int | None, int, str | None]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of all with its 95 % interval (Wilson's)."""

    count: int
    total: int
    share: float  # NaN of nothing
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How the captions of the pictures that came differ from those of the lost."""

    survivors: int  # captions compared
    lost: int
    mean_survivors: float  # words in a caption
    mean_lost: float
    length_distance: float  # Kolmogorov and Smirnov's, between the two distributions of length
    length_p: float
    vocabulary_distance: float  # Jensen and Shannon's, in [0, 1], between the word distributions
    vocabulary_by_chance: float  # mean of that distance where captions are dealt out at random
    vocabulary_level: float  # the 95th percentile of those
    vocabulary_p: float  # share of random deals at least as far apart, the real one among them
    permutations: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of all addresses asked; plain numbers that JSON can hold."""

    asked: int
    survivors: Share
    unavailable: Share  # no picture came; one that came and is too small is no survivor either
    paper_loss: float = PAPER_LOSS  # of unavailable ones
    reasons: dict[str, int]  # of each loss, most frequent first
    statuses: dict[str, int]  # HTTP; "none" without an answer
    hosts: dict[str, dict[str, int]]  # asked and survived
    years: dict[str, dict[str, int]]  # of the fetch
    shift: Shift | None  # None where one side has no captions

    def as_dict(self) -> dict[str, Any]:
        """Give what a record keeps."""
        return asdict(self)


def report(folder: Path, *, permutations: int = 200) -> Report:
    """Give the report on the finished shards in a folder of `shards.fetch`.

    A picture that came but is smaller than asked for is lost ("too small") and not unavailable.
    Raises InputError when there is no finished shard or a table cannot be read.
    """
    numbers = sorted(shards.finished(folder))
    if not numbers:
        msg = f"{folder}: expected shards of pictures, got none; fetch them first"
        raise InputError(msg)
    links = (link for number in numbers for link in _links(folder / f"{number:05d}.parquet"))
    return _report(links, permutations)


def report_from_status(
    rows: Iterable[LinkStatus], captions: Mapping[str, str], *, year: int, permutations: int = 200
) -> Report:
    """Give the report on a table of link status; `captions` has the caption of an address.

    A link survives with status 200 and a picture. An address without a caption is counted all the
    same and left out of the comparison of captions.
    """

    def loss(row: LinkStatus) -> str | None:
        empty = row.answered and row.mimetype == "inode/x-empty"
        reason = Reason.EMPTY if empty else Reason.of_status(row.status)
        return None if row.has_picture else str(reason)

    links = ((row.url, captions.get(row.url), row.status, year, loss(row)) for row in rows)
    return _report(links, permutations)


def _report(links: Iterable[Link], permutations: int) -> Report:
    table = pd.DataFrame(
        [
            (urlsplit(url).hostname or "", caption, str(status or "none"), str(year), reason)
            for url, caption, status, year, reason in links
        ],
        columns=["host", "caption", "status", "year", "reason"],
    ).assign(asked=1, survived=lambda table: table["reason"].isna().astype(int))

    def counts(by: str) -> pd.DataFrame:
        """Most frequent first, equal ones by name: the same in every run."""
        found = table.groupby(by)[["asked", "survived"]].sum()
        return found.sort_values("asked", ascending=False, kind="stable")

    asked, survived = (int(table[column].sum()) for column in ("asked", "survived"))
    reasons = counts("reason")["asked"].to_dict()
    sides = [table["caption"][table["survived"] == came].dropna() for came in (1, 0)]
    came, lost = (
        list(side.sample(MOST, random_state=0) if len(side) > MOST else side) for side in sides
    )
    return Report(
        asked=asked,
        survivors=share(survived, asked),
        unavailable=share(asked - survived - reasons.get(str(Reason.TOO_SMALL), 0), asked),
        reasons=reasons,
        statuses=counts("status")["asked"].to_dict(),
        hosts=counts("host").to_dict("index"),
        years=counts("year").sort_index().to_dict("index"),
        shift=shift(came, lost, permutations=permutations) if came and lost else None,
    )


def share(count: int, total: int) -> Share:
    """Give `count` of `total` as a share, with Wilson's 95 % interval; NaN of nothing."""
    from scipy.stats import binomtest

    if total == 0:
        return Share(count=0, total=0, share=math.nan, low=math.nan, high=math.nan)
    low, high = map(float, binomtest(count, total).proportion_ci(0.95, method="wilson"))
    return Share(count=count, total=total, share=count / total, low=low, high=high)


def shift(survivors: Sequence[str], lost: Sequence[str], *, permutations: int = 200) -> Shift:
    """Compare two lists of captions in length and in vocabulary.

    Lengths by the two-sample test of Kolmogorov and Smirnov. Vocabulary by Jensen and Shannon's
    distance (base 2) between the two distributions of words: it grows as samples shrink, so it is
    set beside the distances of `permutations` random deals of the same captions into lists of the
    same lengths. Raises InputError when a list is empty.
    """
    from scipy.sparse import csr_array
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import ks_2samp

    if not survivors or not lost:
        msg = f"captions: expected some on both sides, got {len(survivors)} and {len(lost)}; "
        msg += "there is nothing to compare"
        raise InputError(msg)
    tokens = [caption.split() for caption in (*survivors, *lost)]
    lengths = np.array([len(words) for words in tokens])
    came = np.arange(len(tokens)) < len(survivors)
    words = np.array([word for words in tokens for word in words], dtype=object)
    columns, known = pd.factorize(words)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    table = csr_array((np.ones(len(columns)), columns, starts), shape=(len(tokens), len(known)))
    total = table.sum(axis=0)

    def distance(side: Any) -> float:
        words = table.T @ side.astype(float)
        if not words.any() or not (total - words).any():
            return math.nan  # one side has no words
        return float(jensenshannon(words, total - words, base=2))

    rng = np.random.default_rng(0)
    real = distance(came)
    dealt = np.array([distance(rng.permutation(came)) for _ in range(permutations)])
    test = ks_2samp(lengths[came], lengths[~came])
    return Shift(
        survivors=len(survivors),
        lost=len(lost),
        mean_survivors=float(lengths[came].mean()),
        mean_lost=float(lengths[~came].mean()),
        length_distance=float(test.statistic),
        length_p=float(test.pvalue),
        vocabulary_distance=real,
        vocabulary_by_chance=float(dealt.mean()),
        vocabulary_level=float(np.quantile(dealt, 0.95)),
        vocabulary_p=float((1 + (dealt >= real - 1e-12).sum()) / (1 + permutations)),
        permutations=permutations,
    )


def _links(path: Path) -> Iterator[Link]:
    """Every row of a shard."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        msg = f"{path}: expected the package pyarrow to read it, it is not installed; run "
        msg += "`pip install -e '.[pictures]'` in the clone"
        raise InputError(msg) from error
    start = shards.stats(path)["start_time"]
    year = datetime.datetime.fromtimestamp(start, datetime.UTC).year
    names = ["url", "caption", "http_status", "status", "error_message"]
    try:
        columns = pq.read_table(path, columns=names).to_pydict()
    except (OSError, pa.ArrowException, KeyError) as error:
        msg = f"{path}: expected a shard's table, got '{error}'; delete the shard and fetch"
        raise InputError(msg.replace("\n", " ")) from error
    for url, caption, http, status, message in zip(*columns.values(), strict=True):
        yield url, caption, http, year, None if status == "success" else message
