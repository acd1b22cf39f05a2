"""Sets of captioned pictures, each in one split, of the kinds that corpora are declared with.

Pictures lie in files of their own or in shards, and are read where they lie. A set lists them in
memory, of shards LISTED at most of train and as many of validation: all that a page looks at. To
learn from millions is the work of `python -m songtitle features` and `train --store`
(`songtitle.model.store`), whose captioner the setting `runs` then names.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from songtitle.corpora import rehearsal, stamps
from songtitle.corpora.captions import load_flickr8k
from songtitle.corpora.manifest import lists_hash, sha256, split_by_group
from songtitle.corpora.places import below, find, folder_of, locate, names_and_sizes, needed
from songtitle.corpora.selection import select
from songtitle.corpora.shards import INDEXES, Example, Where, find_shards, read_index
from songtitle.corpora.splits import FEWEST, HELD_OUT, SPLITS
from songtitle.declared import Part
from songtitle.errors import expect
from songtitle.pictures import load_picture
from songtitle.rows import Faults
from songtitle.schema import refuse

LISTED = 10_000  # pictures of shards that are listed of a split, at most
FETCHED = "conceptual_captions/pictures"  # as `songtitle fetch` leaves them, a folder a split
READY = "cc3m_wds"  # ready-made shards, whose names say the split

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, what it shows in words, and its split."""

    id: str  # unique in its set, the same in every run
    path: str  # below the data home or the samples; of one in a shard, the shard's
    captions: list[str]  # uncleaned
    series: str  # what hangs together lies on one side
    split: str
    span: tuple[int, int] | None = None  # bytes in a shard: where it begins, how many

    def as_dict(self) -> dict[str, Any]:
        """What `whole` reads, as JSON has it."""
        told = {"id": self.id, "series": self.series, "path": self.path, "split": self.split}
        return told | ({"span": list(self.span)} if self.span else {})


@dataclass(frozen=True)
class PictureSet:
    """Captioned pictures of one corpus."""

    name: str  # of the corpus
    pictures: list[Picture]
    drawn_from: dict[str, Any] = field(default_factory=dict)  # counts on the way, for a record


def whole(row: Mapping[str, Any], home: Path) -> Float[Tensor, "3 height width"]:
    """Load the picture of a row of `Picture.as_dict`, RGB in [0, 1]. Raises InputError for one that
    is not there, or broken."""
    path = locate(home, row["path"])
    if "span" not in row:
        return load_picture(path)
    offset, size = row["span"]
    with path.open("rb") as shard:
        shard.seek(offset)
        return load_picture(shard.read(size), name=f"{path}: {row['id']}")


# -- sets by kind ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How much of a set an experiment asks for."""

    count: int | None  # pictures of all splits together; None: all
    tested: int  # pictures of the test, at most, where there are shards
    seed: int


def load(part: Part, home: Path, wanted: Wanted, scratch: Path) -> PictureSet:
    """Load a set of captioned pictures, chosen by the seed; `scratch` is for what is kept.

    Raises InputError where files lack, or are not what they are taken for.
    """
    return LOADERS[part.kind](part, home, wanted, scratch)


def _stamps(part: Part, home: Path, wanted: Wanted, _: Path) -> PictureSet:
    """Split by series, since what hangs together is worded alike."""
    found = stamps.load(home)
    found = [found[place] for place in sorted(_some(range(len(found)), wanted))]
    shares = {"train": 0.8, "valid": 0.1, "test": 0.1}
    splits = split_by_group([each.group for each in found], shares, seed=wanted.seed)
    return PictureSet(
        "Tux Paint stamps",
        [
            Picture(each.id, below(home, each.path), [each.caption], each.group, split)
            for each, split in zip(found, splits, strict=True)
        ],
    )


def _flickr8k(part: Part, home: Path, wanted: Wanted, _: Path) -> PictureSet:
    """Split as the makers' lists say, and those in none left out; without the lists by shares."""
    captions, folder = needed(home, "photos")
    photos = load_flickr8k(captions, folder, Faults())
    names, sides = sorted({photo.group for photo in photos}), makers_split(home)
    parts = [[name for name in names if sides.get(name) == side] for side in SPLITS]
    parts = parts if sides else [names]
    listed = sum(map(len, parts))
    kept = {name for some in parts for name in _some(some, wanted, len(some) / listed)}
    known: dict[str, Picture] = {}
    for photo in photos:
        if photo.group in kept:
            path, side = below(home, photo.path), sides.get(photo.group, "")
            first = Picture(photo.id, path, [], photo.group, side)
            known.setdefault(photo.group, first).captions.append(photo.caption)
    found = list(known.values())
    if not sides:
        shares = dict(zip(SPLITS, (0.7, 0.15, 0.15), strict=True))
        splits = split_by_group([each.series for each in found], shares, seed=wanted.seed)
        found = [
            Picture(each.id, each.path, each.captions, each.series, split)
            for each, split in zip(found, splits, strict=True)
        ]
    return PictureSet("Flickr8k", found, {"unlisted": len(names) - listed})


def makers_split(home: Path) -> dict[str, str]:
    """Read which split the makers of the photos put each into, by its file's name; empty where
    their lists are not at hand. Raises InputError for a photo that two of them hold."""
    found: dict[str, str] = {}
    for path, side in zip(find(home, "photos' split"), SPLITS, strict=False):
        for name in path.read_text("utf-8").split():
            msg = f"{path.name}: expected photos of no other list, got {name} of {found.get(name)}"
            expect(name not in found, f"{msg}; take the makers' own lists")
            found[name] = side
    return found


def _conceptual_captions(part: Part, home: Path, wanted: Wanted, scratch: Path) -> PictureSet:
    return _of_shards(
        "Conceptual Captions", *_conceptual_shards(part, home), part.min_side, home, wanted, scratch
    )


def _conceptual_shards(part: Part, home: Path) -> tuple[Where, Where | None]:
    """The shards of train and of the makers' validation, fetched or ready-made."""
    if part.folder == rehearsal.FOLDER:
        rehearsal.at(home)
    folder = folder_of(home, part.folder, FETCHED, READY)
    fetched, ready = folder / FETCHED, folder / READY
    if any((fetched / "train").glob("*.tar")):
        return fetched / "train", fetched / "validation"
    if any(ready.glob("cc3m-train-*.tar")):
        return str(ready / "cc3m-train-*.tar"), str(ready / "cc3m-validation-*.tar")
    then = "run `python -m songtitle fetch conceptual_captions --pictures train`"
    got = "neither"
    refuse("Conceptual Captions", f"{FETCHED} or {READY} in {folder}", got, then)


def _shards(part: Part, home: Path, wanted: Wanted, scratch: Path) -> PictureSet:
    train = folder_of(home, part.folder, "")
    return _of_shards(part.name, train, None, part.min_side, home, wanted, scratch)


def _of_shards(
    name: str,
    train: Where,
    test: Where | None,
    min_side: int,
    home: Path,
    wanted: Wanted,
    scratch: Path,
) -> PictureSet:
    """The makers' validation is the test, of which as many pictures count as songs are named; whole
    shards of train validate. `drawn_from` has how many were `selected` of each split."""
    found = select(
        train,
        scratch / "selection",
        test=test,
        min_side=min_side,
        held_out=max(FEWEST, min(wanted.tested, HELD_OUT)),
        seed=wanted.seed,
        index=home / INDEXES,
    )
    parts = {split: found.of(split) for split in SPLITS}
    total = sum(map(len, parts.values()))
    rows: dict[str, list[int]] = {}
    for split, table in parts.items():
        some = list(_some(range(len(table)), wanted, len(table) / total))
        most = wanted.tested if split == "test" else LISTED
        rows[split] = sorted(some if len(some) <= most else _drawn(some, most, wanted.seed))
        if len(some) > most and split == "train":
            msg = "%s: %s of %s training pictures are listed; `runs` names what learnt from all"
            log.warning(msg, name, f"{most:,}", f"{len(some):,}")
    pictures: list[Picture] = []
    path, examples = Path(), list[Example]()
    for split, table in parts.items():
        for row in table.take(rows[split]).to_pylist():  # a shard's stand together
            if path != found.shards[row["shard"]]:
                path = found.shards[row["shard"]]
                examples, _ = read_index(path, home / INDEXES)
            example = examples[row["row"]]
            # Shards of two splits may share a name, those of one folder never.
            place, id = example.picture, f"{path.parent.name}/{path.stem}/{example.key}"
            span = (place.offset, place.size)
            named = below(home, path)
            pictures.append(Picture(id, named, [row["caption"]], id, split, span))
    counts = {"selected": {split: len(table) for split, table in parts.items()}}
    told = {"left out": found.faults.as_dict()["counts"], "selection": found.fingerprint}
    return PictureSet(name, pictures, counts | told)


def _drawn(places: Sequence[int], count: int, seed: int) -> Sequence[int]:
    order = np.random.default_rng(seed).permutation(len(places))
    return [places[place] for place in order[:count]]


def _some(items: Sequence[Any], wanted: Wanted, share: float = 1) -> Sequence[Any]:
    """`wanted.count` of the items by the seed, or its share of them, as drawn; or all, in order.
    Where there are any, one at least."""
    if wanted.count is None:
        return items
    drawn = np.random.default_rng(wanted.seed).permutation(len(items))
    return [items[place] for place in drawn[: max(1, round(share * wanted.count))]]


Loader = Callable[[Part, Path, Wanted, Path], PictureSet]
LOADERS: dict[str, Loader] = {
    "stamps": _stamps,
    "flickr8k": _flickr8k,
    "conceptual_captions": _conceptual_captions,
    "shards": _shards,
}


def fingerprint(part: Part, home: Path) -> dict[str, str]:
    """Say what tells a set from others, for the key of a record; of pictures no pixel is read."""
    if part.kind == "stamps":
        return {"stamps": lists_hash("stamps")}
    if part.kind == "flickr8k":
        captions, folder = needed(home, "photos")
        told = {path.name: sha256(path) for path in (captions, *find(home, "photos' split"))}
        return told | {folder.name: names_and_sizes(sorted(folder.iterdir()))}
    where: list[Where | None] = [folder_of(home, part.folder, "")]
    if part.kind == "conceptual_captions":
        where = list(_conceptual_shards(part, home))
    told = {f"shards {n}": names_and_sizes(find_shards(it)) for n, it in enumerate(where) if it}
    return told | {"min_side": str(part.min_side)}
