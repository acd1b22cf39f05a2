"""Streams: examples read from WebDataset shards, in an order that can be taken up anywhere.

A shard is a plain tar; the files `KEY.jpg` and `KEY.txt` in it are one example. What lies where is
read once from the headers of its tar, then kept: any example is read by itself, in any order.
"""

import glob
import hashlib
import json
import logging
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from filelock import FileLock
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from songtitle.corpora.batches import Batch, pad_captions
from songtitle.errors import InputError
from songtitle.machine import end_with_parent
from songtitle.pictures import load_view
from songtitle.rows import Faults
from songtitle.seeds import FEWEST, Order, generator_for, shares
from songtitle.shapes import Image

PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
CAPTIONS = ("txt", "json")  # of a JSON object, its "caption"
FORM = 1  # of a kept index
BLOCK = 512  # bytes; POSIX.1-1988, ustar
FAR = 8  # shards; fewer are read sooner than other processes start
OPEN_FILES = 64  # a process holds open at a time

Encode = Callable[[str], list[int]]  # a caption -> token ids, <bos> and <eos> included
Pixels = UInt8[Tensor, "channels height width"]  # RGB, as files have them
View = Callable[[bytes, torch.Generator], Pixels]  # the same size for every picture

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A file inside a shard."""

    ending: str  # lower case, without the dot
    offset: int  # bytes from the start of the shard
    size: int  # bytes


class Example(NamedTuple):
    """A picture and its caption inside a shard."""

    key: str
    picture: Place
    caption: Place


# -- shards and what lies in them ----------------------------------------------------------------


def find_shards(where: str | Path | Sequence[str | Path]) -> list[Path]:
    """Find the shards that folders, files and patterns name, in the order of their names.

    A pattern has `*`, `?` and `[...]` as a shell has them, and `{00000..00127}` for numbers, of
    which every one must be there. Of a folder into which pictures were fetched, the finished shards
    count. Raises InputError where a shard is missing, or none is there.
    """
    found: list[Path] = []
    for name in [where] if isinstance(where, str | Path) else where:
        for each in _braces(str(name)):
            found += _matching(Path(each).expanduser())
    unique = list(dict.fromkeys(path.resolve() for path in found))
    if not unique:
        msg = f"shards: expected tar files in {where}, got none; name a folder that holds some"
        raise InputError(msg)
    return unique


def _braces(name: str) -> Iterator[str]:
    match = re.search(r"\{(\d+)\.\.(\d+)\}", name)
    if not match:
        yield name
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        yield from _braces(
            name[: match.start()] + str(number).zfill(len(first)) + name[match.end() :]
        )


def _matching(path: Path) -> list[Path]:
    if path.is_dir():
        tars = {tar.name.removesuffix(".tar"): tar for tar in path.glob("*.tar")}
        # A fetch writes a shard's statistics last.
        done = {stats.name.removesuffix("_stats.json") for stats in path.glob("*_stats.json")}
        for name in sorted(done - set(tars)):
            raise _missing(path / f"{name}.tar")
        return [tars[name] for name in sorted(done or tars)]
    if path.is_file():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(str(path)))
    if not matches:
        raise _missing(path)
    return matches


def _missing(path: Path) -> InputError:
    return InputError(f"{path}: expected a shard, there is none; fetch it again or leave it out")


def read_heads(
    paths: Sequence[Path], folder: Path, *, workers: int = 1
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Give how many examples each shard has, and what was left out, from the indexes in `folder`.

    An index is made where none is kept, under the shard's path, size and time of change. Several
    calls at a time, from any processes, do the work once. Raises InputError for the first shard
    that is torn or missing, before anything is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        new = [path for path in paths if not _kept_at(path, folder).exists()]
        if new:
            log.info("reading the headers of %d shards", len(new))
        if workers > 1 and len(new) > FAR:
            with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
                list(pool.map(_keep, new, repeat(folder), chunksize=4))
        else:
            for path in new:
                _keep(path, folder)
    for path in paths:
        with _kept_at(path, folder).open(encoding="utf-8") as lines:
            head = json.loads(lines.readline())
        yield head["examples"], [(key, kind) for key, kind in head["left_out"]]


def read_examples(path: Path, folder: Path) -> list[Example]:
    """Give the examples of one shard in its order, from the index in `folder`, made if need be."""
    target = _kept_at(path, folder)
    if not target.exists():
        _keep(path, folder)
    _, examples = target.read_text("utf-8").splitlines()
    return [Example(key, Place(*p), Place(*c)) for key, p, c in json.loads(examples)]


def _keep(path: Path, folder: Path) -> None:
    target = _kept_at(path, folder)
    examples, left_out = index_shard(path)
    head = {"shard": str(path), "examples": len(examples), "left_out": left_out}
    lines = [json.dumps(part, separators=(",", ":")) for part in (head, examples)]
    partial = target.with_suffix(f".partial{os.getpid()}")
    partial.write_text("\n".join(lines) + "\n", "utf-8")
    os.replace(partial, target)


def _kept_at(path: Path, folder: Path) -> Path:
    """Where the index of a shard is kept: another name for a shard that was changed."""
    try:
        stat = path.stat()
    except OSError as error:
        raise _missing(path) from error
    known = f"{FORM}:{path}:{stat.st_size}:{stat.st_mtime_ns}"
    return folder / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"


def index_shard(path: Path) -> tuple[list[Example], list[tuple[str, str]]]:
    """Read all headers of a shard: its examples in order; keys left out, each with the reason.

    Raises InputError where the shard is missing, torn or compressed.
    A file whose name begins with a dot or two underscores, or ends otherwise than a picture or a
    caption does, is passed over. A key with a picture alone or a caption alone is left out.
    """
    pictures: dict[str, Place] = {}
    captions: dict[str, Place] = {}
    left_out: list[tuple[str, str]] = []
    for name, offset, size in _members(path):
        base = name.rpartition("/")[2]
        stem, _, ending = base.partition(".")
        key, ending = name[: len(name) - len(base)] + stem, ending.lower()
        if not stem or base.startswith("__"):
            continue  # "./._a.jpg", and what webdataset keeps for itself
        if ending in PICTURES:
            if key in pictures:
                left_out.append((key, "second picture of a key"))
            pictures.setdefault(key, Place(ending, offset, size))
        elif ending in CAPTIONS:
            known = captions.get(key)
            if known is None or CAPTIONS.index(ending) < CAPTIONS.index(known.ending):
                captions[key] = Place(ending, offset, size)
    examples = []
    for key, picture in pictures.items():
        if key not in captions or not captions[key].size:
            left_out.append((key, "picture without a caption"))
        elif not picture.size:
            left_out.append((key, "empty picture"))
        else:
            examples.append(Example(key, picture, captions[key]))
    left_out += [(key, "caption without a picture") for key in captions if key not in pictures]
    _compare(path, len(pictures))
    return examples, left_out


def _members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size in bytes of each file in a tar, which must be whole."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if member.isfile():
                    yield member.name, member.offset_data, member.size
            # Python's reader takes garbage, and the end of the file, for the end of the archive.
            file.seek(tar.offset)
            if file.read(BLOCK) != bytes(BLOCK):
                msg = "no end mark after the last file"
                raise tarfile.ReadError(msg)
    except (OSError, tarfile.TarError) as error:
        came = error.strerror if isinstance(error, OSError) and error.strerror else error
        msg = (
            f"{path}: expected a whole, uncompressed tar file, got '{came}'; delete the shard and "
            "fetch it again, or leave it out"
        )
        raise InputError(msg) from error


def _compare(path: Path, found: int) -> None:
    """The number of pictures must be what the fetch counted, where the shard is one of its own."""
    stats = path.with_name(f"{path.stem}_stats.json")
    try:
        expected = json.loads(stats.read_text("utf-8"))["successes"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if found != expected:
        msg = f"{path}: expected {expected} pictures as {stats.name} says, got {found}"
        msg += "; delete the shard and fetch it again"
        raise InputError(msg)


def read_bytes(file: IO[bytes], place: Place, path: Path) -> bytes:
    """Read the bytes of a file of the shard `path`. Raises InputError where they cannot be had."""
    reason = ""
    try:
        file.seek(place.offset)
        content = file.read(place.size)
    except OSError as error:
        content, reason = b"", f" ({error.strerror})"
    if len(content) != place.size:
        msg = (
            f"{path}: expected {place.size} bytes at {place.offset}, got {len(content)}{reason}; "
            "was the shard changed while it was read? fetch it again, then run the same command"
        )
        raise InputError(msg)
    return content


def read_caption(content: bytes, ending: str) -> str:
    """Give the caption in a .txt, or under "caption" in a .json. Raises ValueError without one."""
    if ending == "txt":
        return content.decode("utf-8", errors="replace")
    about = json.loads(content)
    caption = about.get("caption") if isinstance(about, dict) else None
    if not isinstance(caption, str) or not caption.strip():
        msg = "no caption in the JSON"
        raise ValueError(msg)
    return caption


# -- the stream ----------------------------------------------------------------------------------


class Request(NamedTuple):
    """An example to read, and what its randomness is drawn from."""

    shard: Path
    example: Example
    drawn_from: str  # epoch and key


class Loaded(NamedTuple):
    """What a worker gives: a batch, without the examples that cannot be read."""

    pictures: UInt8[Tensor, "batch channels height width"] | None  # None where none can be read
    captions: list[list[int]]
    faults: list[tuple[str, str, str]]  # shard, kind, detail


class ShardStream:
    """Examples of WebDataset shards, as batches of pictures in [0, 1] and right-padded captions.

    `stream(epoch)` gives every example once; what it gives depends on seed, epoch and shards alone,
    not on `workers`, the number of processes that read and decode (0: this one does). An example
    whose picture or caption cannot be read is left out, its batch is one shorter, and `faults`
    counts it by kind and names shard and key.

    `index` is the folder where indexes of shards are kept. Raises InputError when it is made, if a
    shard is missing or torn; and later, when a shard changes under it or a worker dies.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        encode: Encode,
        view: View,
        *,
        pad_id: int,
        index: Path,
        batch_size: int = 32,
        seed: int = 0,
        workers: int = 0,
        window: int = 16,
    ) -> None:
        values = {"batch_size": (batch_size, 1), "window": (window, 1), "workers": (workers, 0)}
        for name, (value, least) in values.items():
            if value < least:
                msg = f"{name}: expected {least} or more, got {value}; raise it"
                raise InputError(msg)
        self.paths, self.encode, self.view = list(paths), encode, view
        self.pad_id, self.index, self.batch_size = pad_id, index, batch_size
        self.seed, self.workers, self.window = seed, workers, window
        self.faults = Faults()
        self.counts = []  # examples of each shard
        heads = read_heads(self.paths, index, workers=workers)
        for path, (count, left_out) in zip(self.paths, heads, strict=True):
            self.counts.append(count)
            for key, kind in left_out:
                self.faults.add(path, None, kind, detail=key)

    def __len__(self) -> int:
        """How many examples the shards have."""
        return sum(self.counts)

    def __call__(
        self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of process `rank` of `world`, without the first `start` of the epoch."""
        order = Order(self.counts, window=self.window, seed=self.seed, epoch=epoch)
        places = shares(len(self), batch_size=self.batch_size, start=start, rank=rank, world=world)
        return self._read(places, order.at, f"{epoch}", fewest=FEWEST)

    def in_order(self, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Every example once, shard after shard: for validation. Each process takes a part."""
        total, size = len(self), self.batch_size
        first, end = total * rank // world, total * (rank + 1) // world
        places = (range(at, min(at + size, end)) for at in range(first, end, size))
        return self._read(places, Order(self.counts).at, "in order", fewest=0)

    def captions(self) -> Iterator[str]:
        """The captions alone, shard after shard; one that cannot be read is left out."""
        for path in self.paths:
            for example in read_examples(path, self.index):
                content = read_bytes(_opened(os.getpid(), path), example.caption, path)
                try:
                    yield read_caption(content, example.caption.ending)
                except ValueError:
                    continue

    def _read(
        self,
        places: Iterator[range],
        at: Callable[[int], tuple[int, int]],
        epoch: str,
        *,
        fewest: int,
    ) -> Iterator[Batch]:
        @lru_cache(2 * self.window)
        def examples(number: int) -> list[Example]:
            found = read_examples(self.paths[number], self.index)
            if len(found) != self.counts[number]:
                msg = f"{self.paths[number]}: expected {self.counts[number]} examples as at the"
                msg += f" start, got {len(found)}; let shards alone while they are read"
                raise InputError(msg)
            return found

        def plan() -> Iterator[list[Request]]:
            for batch in places:
                found = [(self.paths[n], examples(n)[row]) for n, row in map(at, batch)]
                yield [Request(path, each, f"{epoch}:{each.key}") for path, each in found]

        loader: Any = DataLoader(
            _Pictures(self.encode, self.view, self.seed),
            batch_sampler=plan(),
            collate_fn=_as_it_is,
            num_workers=self.workers,
            worker_init_fn=_deaf if self.workers else None,
            # It draws a seed for each pass: not from the generator that dropout draws from.
            generator=torch.Generator(),
        )
        batches = iter(loader)
        while True:
            try:
                loaded = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                raise worker_death(error) or error from error
            if isinstance(loaded, InputError):
                raise loaded
            for shard, kind, detail in loaded.faults:
                self.faults.add(Path(shard), None, kind, detail=detail)
            if loaded.faults and len(loaded.captions) < fewest:
                shard, kind, detail = loaded.faults[0]
                msg = (
                    f"{shard}: expected {fewest} examples or more of a batch, got "
                    f"{len(loaded.captions)} that can be read ({kind}: {detail}); raise batch_size"
                )
                raise InputError(msg)
            if loaded.pictures is not None:
                tokens, lengths = pad_captions(loaded.captions, pad_id=self.pad_id)
                yield Batch(_scaled(loaded.pictures), tokens, lengths)


@dataclass(frozen=True)
class CropView:
    """A `View`: the picture with its shorter side at `size`, and of the longer one as much: from a
    random place and mirrored half the time, or from the middle (`songtitle.pictures.load_view`)."""

    size: int  # pixels a side
    random: bool = True

    def __call__(self, content: bytes, generator: torch.Generator) -> Pixels:
        """`(3, size, size)`. Raises InputError for what is no picture."""
        view = load_view(content, self.size, generator=generator if self.random else None)
        return view.mul_(255).round_().to(torch.uint8)  # whole numbers again: nothing is lost


def worker_death(error: RuntimeError) -> InputError | None:
    """What to tell when a `DataLoader` says that a worker died; None where it says something else.

    The death may be told in the middle of a training step: PyTorch listens for a signal.
    """
    reason = str(error).splitlines()[0] if str(error) else ""
    if "DataLoader worker" not in reason:
        return None
    msg = (
        f"workers: expected reading processes that live, one died ({reason.rstrip('.')}), often "
        "for lack of memory; the same command goes on, with fewer workers if need be"
    )
    return InputError(msg)


class _Pictures(Dataset[Any]):
    """What runs in the workers. Errors come back as values: raised there, they carry a stack."""

    def __init__(self, encode: Encode, view: View, seed: int) -> None:
        self.encode, self.view, self.seed = encode, view, seed

    def __getitems__(self, requests: list[Request]) -> Loaded | InputError:
        pictures: list[Tensor] = []
        captions: list[list[int]] = []
        faults: list[tuple[str, str, str]] = []
        for shard, example, drawn_from in requests:
            try:
                file = _opened(os.getpid(), shard)
                content = read_bytes(file, example.picture, shard)
                words = read_bytes(file, example.caption, shard)
            except InputError as error:
                return error
            try:
                caption = self.encode(read_caption(words, example.caption.ending))
            except ValueError as error:
                faults.append((str(shard), "no caption", f"{example.key}: {error}"))
                continue
            try:
                pictures.append(self.view(content, generator_for(self.seed, drawn_from)))
            except InputError as error:
                faults.append((str(shard), "not a picture", f"{example.key}: {error}"))
                continue
            captions.append(caption)
        return Loaded(torch.stack(pictures) if pictures else None, captions, faults)


def _scaled(pictures: UInt8[Tensor, "batch channels height width"]) -> Image:
    """To [0, 1]. As bytes they came from the workers: a quarter of the traffic."""
    scaled = torch.empty(pictures.shape, pin_memory=torch.cuda.is_available())
    for whole, share in zip(pictures, scaled, strict=True):  # one by one they stay in the cache
        share.copy_(whole).div_(255)
    return scaled


def _as_it_is(loaded: Any) -> Any:
    return loaded


def _deaf(_: int) -> None:
    """Leave a Ctrl-C or a SIGTERM that is meant for all to the process that trains: it ends its
    workers when it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@lru_cache(OPEN_FILES)
def _opened(process: int, path: Path) -> IO[bytes]:
    """A shard, open in one process: a child must not move the place in its parent's file."""
    try:
        return path.open("rb")
    except OSError as error:
        msg = f"{path}: expected a shard, got '{error.strerror}'; fetch it again, then go on"
        raise InputError(msg) from error
