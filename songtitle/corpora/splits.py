"""Splits: which shards are trained on, validated on and tested on; each is of one, as a whole."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from songtitle.corpora.shards import read_heads
from songtitle.progress import progress
from songtitle.schema import refuse

SPLITS = ("train", "valid", "test")
TOGETHER = 16  # shards of each process whose headers are read between two looks at the clock
FEWEST = 2  # pictures held out: one is no sample
HELD_OUT = 1000  # of them, unless fewer are asked for
MARKS = {"train": "train", "validation": "valid", "valid": "valid", "val": "valid", "test": "test"}


def by_name(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Tell shards apart by the word train, validation (valid, val) or test in their file names.

    Where no name has such a word, all are of train. Raises InputError where some have one and
    others do not, and for a name with several.
    """
    found: dict[str | None, list[Path]] = {split: [] for split in (*SPLITS, None)}
    for path in paths:
        words = re.split(r"[^a-z]+", path.name.lower())
        said = {MARKS[word] for word in words if word in MARKS}
        if len(said) > 1:
            got = " and ".join(sorted(said))
            refuse(str(path), "the name of one split", got, "rename the shard")
        found[said.pop() if said else None].append(path)
    unmarked = found.pop(None)
    if unmarked and len(unmarked) < len(paths):
        got = f"none in {len(unmarked)} of {len(paths)}, such as {unmarked[0].name}"
        refuse("shards", "train, validation or test in every name", got, "select them apart")
    return {split: unmarked if unmarked and split == "train" else found[split] for split in SPLITS}


def given(
    train: Sequence[Path], valid: Sequence[Path] = (), test: Sequence[Path] = ()
) -> dict[str, list[Path]]:
    """Give the shards of each split, as arguments and names say: each of one, train's perhaps of
    more. The makers' validation shards are what one is compared with in the end: the test.

    Raises InputError for a shard of both `valid` and `test`, and as `by_name` does.
    """
    if both := [path for path in valid if path in test]:
        refuse(str(both[0]), "a shard of valid or of test", "one of both", "leave it out of one")
    named = by_name([path for path in train if path not in {*valid, *test}])
    if not named["test"] and not test:
        named["test"], named["valid"] = named["valid"], []
    said = {"train": [], "valid": valid, "test": test}
    return {split: [*said[split], *named[split]] for split in SPLITS}


def apart(
    paths: Sequence[Path],
    valid: Sequence[Path],
    counts: Mapping[Path, int],
    *,
    held_out: int,
    seed: int,
) -> dict[str, list[Path]]:
    """Give the shards to train on, to validate on, and to leave for the test.

    Where `valid` names those to validate on, nothing else is held out but what is named for it;
    where not, all is as `hold_out` has it. Raises InputError as `given` and `hold_out` do.
    """
    asked = SPLITS[:2] if valid else SPLITS
    place = hold_out(given(paths, valid), counts, held_out=held_out, seed=seed, splits=asked)
    return {split: [path for path, its in place.items() if its == split] for split in SPLITS}


def hold_out(
    given: Mapping[str, Sequence[Path]],
    counts: Mapping[Path, int],
    *,
    held_out: int,
    seed: int,
    splits: Sequence[str] = SPLITS,
) -> dict[Path, str]:
    """Give the split of each shard; one without any gets whole ones of train's, drawn by `seed`.

    `counts` says how many pictures each shard has. Raises InputError where one of `splits` ends
    with less than `held_out` of them.
    """
    found = {path: split for split, paths in given.items() for path in paths}

    def place(path: Path) -> str:  # by its name: the same wherever it lies
        return hashlib.sha256(f"{seed} {path.name}".encode()).hexdigest()

    def pictures(split: str) -> int:
        return sum(counts[path] for path, its in found.items() if its == split)

    left = sorted(given["train"], key=place)
    for split in splits[1:]:
        while left and not given[split] and pictures(split) < held_out:
            found[left.pop()] = split
    if any(pictures(split) < held_out for split in splits):
        got = ", ".join(f"{pictures(split):,} {split}" for split in splits)
        got += f" of {sum(counts.values()):,} pictures in {len(counts):,} shards, held out whole"
        expected = (
            f"{held_out:,} pictures or more in each of {', '.join(splits[:-1])} and {splits[-1]}"
        )
        refuse("shards", expected, got, "give more shards, or lower held_out")
    return found


def counted(paths: Sequence[Path], index: Path, *, workers: int = 1) -> dict[Path, int]:
    """Count the examples of each shard, by the indexes in `index`, which `workers` processes make.

    Raises InputError for the first shard that is torn or missing.
    """
    found: dict[Path, int] = {}
    with progress("headers", len(paths), unit="shards") as advance:
        for part in _parts(paths, TOGETHER * max(1, workers)):
            heads = read_heads(part, index, workers=workers)
            found |= {path: count for path, (count, _) in zip(part, heads, strict=True)}
            advance(len(part))
    return found


def _parts(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for first in range(0, len(paths), size):
        yield paths[first : first + size]
