"""The feature store: what the frozen network says of every picture of the shards, computed once.

A folder with one file a shard, written whole or not at all, and `store.json`, which says by what
rule they were made. A file holds, for every example of its shard in the order of the shard's index,
pooled features in half precision, whether the picture could be read, and the caption, so that
training needs neither pixels nor shards.
"""

import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from songtitle.corpora.batches import View, caption_of, content_of, deaths_told
from songtitle.corpora.shards import Example, check_same, read_index
from songtitle.errors import InputError
from songtitle.machine import clear_disk_errors, write_whole
from songtitle.pictures import sides
from songtitle.progress import progress
from songtitle.seeds import generator_for
from songtitle.shapes import Features, Image

ABOUT = "store.json"
FORM = 1  # raised by hand when a file would hold something else
UNSIGNED = "0" * 64  # stands in a header until the content is hashed
OPEN = 16  # files mapped at a time: what is mapped counts as memory until it is let go
AGAIN = "delete it, and `python -m songtitle features` makes it again"

Encode = Callable[[Image], Features]  # pooled: (pictures, 1, features)
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """How the features of a store are made. `settings` say it in plain values, which another run
    on the same folder must have too; `views` of each picture are drawn from `seed` and its key."""

    settings: Mapping[str, Any]
    encode: Encode
    view: View
    width: int  # numbers of one view
    views: int = 1
    seed: int = 0
    batch: int = 32  # pictures that are decoded and encoded together
    workers: int = 0  # processes that decode
    min_side: int | None = None  # pixels of both sides at least; pictures with less are left out


def make_store(
    folder: Path, paths: Sequence[Path], maker: Maker, *, index: Path, places: Iterable[int]
) -> list[Path]:
    """Write the files of the shards at some places of `paths`, all that the store is to have; give
    those that were written here.

    A whole file is never written twice, and a torn one is replaced. Any number of runs may work on
    one folder: a shard that another run has in hand is left to it, and waited for at the end.
    `index` is the folder of the shards' indexes. Raises InputError for a folder that was begun with
    other settings or holds a file of another store, for shards that changed or share a name, and
    where the disk is full; what was written stays, and the same call goes on.
    """
    with clear_disk_errors("features", folder):
        folder.mkdir(parents=True, exist_ok=True)
        known = _register(folder, paths, maker, index)
        waiting = [paths[place] for place in places]
        waiting = [path for path in waiting if not _is_whole(folder, path.stem, known)]
        sizes = [known["shards"][path.stem]["examples"] for path in waiting]
        room = sum(sizes) * maker.views * maker.width * 2
        if room > shutil.disk_usage(folder).free:
            msg = f"{folder}: expected room for {room / 2**20:,.0f} MB, got less; free some, or "
            msg += "name another folder; what is there stays"
            raise InputError(msg)
        made = []
        for patience in (0, -1):  # first what nobody else has in hand
            left = []
            with progress("features", len(waiting), unit="shards") as advance:
                for path in waiting:
                    try:
                        with FileLock(folder / f".{path.stem}.lock", timeout=patience):
                            if not _is_whole(folder, path.stem, known):
                                _write(folder, path, maker, known, index)
                                made.append(_file(folder, path.stem))
                    except Timeout:
                        left.append(path)
                    advance(1)
            waiting = left
    return made


def _register(folder: Path, paths: Sequence[Path], maker: Maker, index: Path) -> dict[str, Any]:
    """What `store.json` says once it knows these shards too."""
    (twice, times), *_ = Counter(path.stem for path in paths).most_common(1)
    if times > 1:
        msg = f"shards: expected names of their own, got {times} of the name {twice}; give those "
        msg += "of another folder another store"
        raise InputError(msg)
    found = {path.stem: read_index(path, index)[0] for path in paths}
    shards = {
        name: {"examples": len(examples), "index": _digest(examples)}
        for name, examples in found.items()
    }
    settings = json.loads(json.dumps(dict(maker.settings)))
    if maker.min_side:
        settings["min_side"] = maker.min_side
    settings |= {"views": maker.views, "seed": maker.seed, "features": maker.width}
    settings |= {"dtype": "float16", "form": FORM}
    place = folder / ABOUT
    with FileLock(folder / ".lock"):
        before = _about(folder) if place.exists() else {"settings": settings, "shards": {}}
        check_same(place, before["settings"], settings)
        for name, about in shards.items():
            if before["shards"].get(name, about) != about:
                msg = f"{place}: expected the shard {name} as it was, got one with other content; "
                msg += f"name another folder, or take the store's {name}.safetensors and its lines "
                msg += f"in {ABOUT} away"
                raise InputError(msg)
        known = {
            "settings": settings,
            "shards": dict(sorted({**before["shards"], **shards}.items())),
        }
        if known != before or not place.exists():
            write_whole(place, json.dumps(known, indent=1) + "\n")
    return known


def _write(folder: Path, path: Path, maker: Maker, known: Mapping[str, Any], index: Path) -> None:
    """One shard's file, whole or not at all."""
    examples, _ = read_index(path, index)
    if _digest(examples) != known["shards"][path.stem]["index"]:
        msg = f"{path}: expected the shard as at the start, got another; let shards alone while "
        msg += "they are read, then run the same command"
        raise InputError(msg)
    features = torch.zeros(len(examples), maker.views, maker.width, dtype=torch.float16)
    read = torch.zeros(len(examples), dtype=torch.uint8)
    captions: list[bytes] = []
    left_out: Counter[str] = Counter()
    for pictures, found in _looks(path, examples, maker):
        first = len(captions)
        rows = [first + row for row, (kind, _) in enumerate(found) if not kind]
        if pictures is not None:
            several = maker.encode(pictures.flatten(0, 1).float().div_(255))
            kept = several.flatten(1).unflatten(0, (-1, maker.views)).to("cpu", torch.float16)
            finite = kept.isfinite().flatten(1).all(1)
            if not finite.all():
                msg = f"{path}: expected finite numbers that half precision can hold, got others "
                msg += f"of {examples[rows[int((~finite).nonzero()[0])]].key}; check the weights"
                raise InputError(msg)
            features[rows], read[rows] = kept, 1
        left_out.update(kind for kind, _ in found if kind)
        captions += [caption.encode() for _, caption in found]
    write_shard(folder, path.stem, known, features, read, captions, left_out)


def write_shard(
    folder: Path,
    name: str,
    about: Mapping[str, Any],
    features: Float[Tensor, "rows views features"],
    read: UInt8[Tensor, " rows"],
    captions: Sequence[bytes],
    left_out: Mapping[str, int],
) -> None:
    """Write a shard's file, whole or not at all: float16 features, 1 for each row that could be
    read, captions in UTF-8, why rows were left out, and a signature. `about` is what `store.json`
    says."""
    ends = torch.tensor([0, *map(len, captions)]).cumsum(0)
    text = torch.from_numpy(np.frombuffer(b"".join(captions), np.uint8).copy())
    tensors = {"features": features, "read": read, "caption_ends": ends, "captions": text}
    told = {
        "store": _digest(about["settings"]),
        "shard": name,
        "index": about["shards"][name]["index"],
        "left_out": dict(sorted(left_out.items())),
        "sha256": UNSIGNED,
    }
    # One key: the format does not order them, and equal files are to have equal bytes.
    content = safetensors.torch.save(tensors, {"about": json.dumps(told)})
    start = 8 + int.from_bytes(content[:8], "little")  # of what is signed: after length and header
    signature = hashlib.sha256(memoryview(content)[start:]).hexdigest()
    head = content[:start].replace(UNSIGNED.encode(), signature.encode(), 1)
    write_whole(_file(folder, name), head + content[start:])


def _looks(
    path: Path, examples: Sequence[Example], maker: Maker
) -> Iterator[tuple[Tensor | None, list[tuple[str, str]]]]:
    """Pictures that can be read, `(pictures, views, 3, size, size)`, and of all examples of a batch
    why one cannot, if so, and its caption."""
    loader: Any = DataLoader(
        _Looks(path, examples, maker),
        batch_size=max(1, maker.batch // maker.views),
        collate_fn=_as_it_is,
        num_workers=maker.workers,
        generator=torch.Generator(),
    )
    with deaths_told():
        for found in loader:
            if isinstance(found, InputError):
                raise found
            yield found


class _Looks(Dataset[Any]):
    """What runs in the workers. Errors come back as values: raised there, they carry a stack."""

    def __init__(self, path: Path, examples: Sequence[Example], maker: Maker) -> None:
        self.path, self.examples = path, examples
        self.view, self.views, self.seed = maker.view, maker.views, maker.seed
        self.min_side = maker.min_side

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, rows: list[int]) -> Any:
        pictures: list[Tensor] = []
        found: list[tuple[str, str]] = []
        for row in rows:
            example = self.examples[row]
            try:
                content = content_of(self.path, example.picture)
                caption = caption_of(self.path, example)
            except InputError as error:
                return error
            except ValueError:
                found.append(("no caption", ""))
                continue
            try:
                if self.min_side and min(sides(content)) < self.min_side:
                    found.append(("too small", caption))
                    continue
                views = [self._look(content, example.key, view) for view in range(self.views)]
            except ValueError:
                found.append(("not a picture", caption))
            else:
                pictures.append(torch.stack(views))
                found.append(("", caption))
        return torch.stack(pictures) if pictures else None, found

    def _look(self, content: bytes, key: str, view: int) -> Tensor:
        return self.view(content, generator_for(self.seed, f"view {view}:{key}"))


def _as_it_is(found: Any) -> Any:
    return found


class Store:
    """A store that is whole, or some shards of it: features read from mapped files, row by row.

    `shards` are their names, in order, and a shard's place is its number among them.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], shards: Sequence[str]) -> None:
        self.folder, self.about, self.shards = folder, about, list(shards)
        self.settings: dict[str, Any] = about["settings"]
        self.counts = [about["shards"][name]["examples"] for name in self.shards]
        self._opened = lru_cache(OPEN)(self._open)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open a store, every file of which is read through once and held to its signature.

        Raises InputError where a file is missing, torn, or of another store or shard.
        """
        about = _about(folder)
        lacking = [name for name in about["shards"] if not _file(folder, name).exists()]
        if lacking:
            msg = f"{folder}: expected {len(about['shards'])} files, {len(lacking)} are missing, "
            msg += f"such as {lacking[0]}.safetensors; run `python -m songtitle features` with "
            msg += "the same settings, and it goes on"
            raise InputError(msg)
        for name in about["shards"]:
            _check(folder, name, about)
        return cls(folder, about, sorted(about["shards"]))

    def part(self, shards: Sequence[str]) -> "Store":
        """Give some of the shards, by name. Raises InputError for a name that is not there."""
        for name in shards:
            if name not in self.shards:
                msg = f"shards: expected names of shards in {self.folder}, got {name}; it has "
                raise InputError(msg + f"{self.shards[0]} to {self.shards[-1]}")
        return Store(self.folder, self.about, shards)

    def features(
        self, place: int, rows: Sequence[int] | Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows views features"]:
        """Read the features of some rows of the shard at a place, as float32."""
        return self._opened(place)["features"][torch.as_tensor(rows)].float()

    def readable(self, place: int) -> Int[Tensor, " rows"]:
        """Tell the rows of the shard at a place whose picture and caption could be read."""
        return self._opened(place)["read"].nonzero().flatten()

    def captions(self, place: int) -> list[str]:
        """Read the captions of all rows of the shard at a place; "" of one that has none."""
        found = self._opened(place)
        text, ends = found["captions"].numpy().tobytes(), found["caption_ends"].tolist()
        return [text[a:b].decode() for a, b in pairwise(ends)]

    def left_out(self) -> dict[str, int]:
        """Count the rows that could not be read, by reason."""
        counts: Counter[str] = Counter()
        for name in self.shards:
            with safe_open(_file(self.folder, name), "pt") as file:
                counts.update(json.loads(file.metadata()["about"])["left_out"])
        return dict(sorted(counts.items()))

    def _open(self, place: int) -> dict[str, Tensor]:
        path = _file(self.folder, self.shards[place])
        try:
            return safetensors.torch.load_file(path)
        except (SafetensorError, OSError) as error:
            msg = f"{path}: expected a whole file of features, got a torn one or none; {AGAIN}"
            raise InputError(msg) from error


def _about(folder: Path) -> dict[str, Any]:
    """What `store.json` says. Raises InputError where there is none, or it is torn."""
    place = folder / ABOUT
    try:
        found = json.loads(place.read_text("utf-8"))
        check_same(place, found["settings"], {"form": FORM})
        if found["shards"] and all(about["index"] for about in found["shards"].values()):
            return dict(found)
        came = "no shards"
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        came = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    msg = f"{place}: expected what says how a store was made, got '{came}'; make one with "
    raise InputError(msg + "`python -m songtitle features`")


def _is_whole(folder: Path, name: str, about: Mapping[str, Any]) -> bool:
    """Whether a shard's file is there and right; a torn one is not. Raises InputError for one of
    another store, which is not overwritten."""
    if not _file(folder, name).exists():
        return False
    try:
        _check(folder, name, about)
    except _TornError as error:
        log.warning("%s", error)
        return False
    return True


class _TornError(InputError):
    """A file that is not what was written."""


def _check(folder: Path, name: str, about: Mapping[str, Any]) -> None:
    path = _file(folder, name)
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {}).get("about", "{}"))
        with path.open("rb") as file:  # not mapped: what is read through once is not kept
            file.seek(8 + int.from_bytes(file.read(8), "little"))
            signature = hashlib.file_digest(file, "sha256").hexdigest()
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: expected a whole file of features, got a torn one or none ({reason}); "
        raise _TornError(msg + AGAIN) from error
    if found.get("sha256") != signature:
        msg = f"{path}: expected the content that was signed, got another; {AGAIN}"
        raise _TornError(msg)
    wanted = {"store": _digest(about["settings"]), "shard": name}
    wanted["index"] = about["shards"][name]["index"]
    for what, value in wanted.items():
        if found.get(what) != value:
            told = {"store": "encoder, crop or view", "shard": "name", "index": "content"}[what]
            msg = f"{path}: expected a file of this store, got one of another {told}; move it to "
            raise InputError(msg + f"the store that it is of, then {AGAIN.partition(', and ')[2]}")


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
