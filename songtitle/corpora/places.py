"""Places: where a reader's own corpora lie, in the forms in which they are published."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from songtitle.corpora.manifest import SAMPLES, roots
from songtitle.schema import refuse

HEAD = 1 << 20  # bytes of a long table that tell it from another, with its size

# Files that belong together, the whole corpus first.
PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "photos": (
        ("flickr8k/captions.txt", "flickr8k/Images"),
        ("flickr8k/captions.txt", "flickr8k/images_224"),
    ),
    "photos' split": (
        tuple(f"flickr8k/Flickr_8k.{name}Images.txt" for name in ("train", "dev", "test")),
    ),
    "songs": (
        ("million_song/MillionSongSubset",),
        ("msd/subset_timbre90_4680.npz", "msd/subset_timbre90_4680.tracks.txt"),
    ),
    "complete songs": (("msd/h5_timbre90_uci_layout.csv",),),
    "clips": (
        ("fma/fma_small", "fma/fma_metadata/tracks.csv"),
        ("fma/fma_small", "fma/raw_tracks_excerpt.csv"),
    ),
}


def find(home: Path, what: str) -> list[Path]:
    """List the files of the first of PLACES whose files are all there; nothing where none is."""
    for root in roots(home):
        for place in PLACES[what]:
            paths = [root / name for name in place]
            if all(path.exists() for path in paths):
                return paths
    return []


def needed(home: Path, what: str) -> list[Path]:
    """List what `find` finds; where that is nothing, InputError says where the files go."""
    found = find(home, what)
    if not found:
        wanted = " or ".join(" with ".join(place) for place in PLACES[what])
        wanted += f" in the data home or in the folder that {SAMPLES} names"
        refuse(what, wanted, "none", "put them there, or show what was published")
    return found


def locate(home: Path, name: str) -> Path:
    """Find a file that a record names, in the data home or among the samples."""
    return next((root / name for root in roots(home) if (root / name).exists()), home / name)


def below(home: Path, path: Path) -> str:
    """Name a file as `locate` finds it: below the data home or the samples, else as it is."""
    for root in roots(home):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.as_posix()


def folder_of(home: Path, folder: str, *inside: str) -> Path:
    """Find `folder` in the data home or among the samples, where it holds one of `inside`; where
    neither does, in the data home."""
    places = [root / folder for root in roots(home)]
    return next((p for p in places if any((p / it).exists() for it in inside)), places[0])


def names_and_sizes(paths: Iterable[Path]) -> str:
    """Hash the names and sizes of files, in order, and nothing that they hold."""
    told = "".join(f"{path.name} {path.stat().st_size}\n" for path in paths)
    return hashlib.sha256(told.encode()).hexdigest()


def head_and_size(path: Path) -> str:
    """Hash the first HEAD bytes of a table, and its size."""
    with path.open("rb") as file:
        return hashlib.sha256(f"{path.stat().st_size}\n".encode() + file.read(HEAD)).hexdigest()
