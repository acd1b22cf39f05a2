"""Splits: which shards are trained on, validated on and tested on; each is of one, as a whole."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from songtitle.schema import refuse

SPLITS = ("train", "valid", "test")
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


def hold_out(
    given: Mapping[str, list[Path]], counts: Mapping[Path, int], *, held_out: int, seed: int
) -> dict[Path, str]:
    """Give the split of each shard; one without any gets whole ones of train's, drawn by `seed`.

    `counts` says how many pictures each shard has. Raises InputError where a split ends with less
    than `held_out` of them.
    """
    splits = {path: split for split, paths in given.items() for path in paths}

    def place(path: Path) -> str:  # by its name: the same wherever it lies
        return hashlib.sha256(f"{seed} {path.name}".encode()).hexdigest()

    def pictures(split: str) -> int:
        return sum(counts[path] for path, its in splits.items() if its == split)

    left = sorted(given["train"], key=place)
    for split in ("valid", "test"):
        while left and not given[split] and pictures(split) < held_out:
            splits[left.pop()] = split
    if any(pictures(split) < held_out for split in SPLITS):
        got = ", ".join(f"{pictures(split):,} {split}" for split in SPLITS)
        got += f" of {sum(counts.values()):,} pictures in {len(counts):,} shards, held out whole"
        expected = f"{held_out:,} pictures or more in each of train, valid and test"
        refuse("shards", expected, got, "give more shards, or lower held_out")
    return splits
