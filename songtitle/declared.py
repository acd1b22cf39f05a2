"""Declared corpora: where the pictures and the songs of an experiment come from, and their names.

`data_manifest/corpora.toml` has those that go by a name; a reader's own are a file of its form.
"""

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from songtitle.errors import InputError
from songtitle.schema import Checked, Count, OneOf, brief, refuse

TABLE = "corpora.toml"
PICTURES = ("stamps", "flickr8k", "conceptual_captions", "shards")
SONGS = ("tunes", "recordings", "million_song_subset", "million_song", "fma")
SILENT = ("million_song_subset", "million_song")  # kinds of songs that are numbers without sound
READINGS = ("pixels", "timbre", "spectrogram")


@dataclass(frozen=True, kw_only=True)
class Part(Checked):
    """Pictures, or the songs of one reading."""

    kind: Annotated[str, OneOf((*PICTURES, *SONGS))]
    """What is read."""
    name: str
    """What tables call it."""
    folder: str = ""
    """Where it lies below the data home or the samples; empty: directly."""
    min_side: Count = 401
    """Pixels of both sides of a picture in shards, at least: the paper's have more than 400."""
    optional: bool = False
    """Whether pictures are learnt from where these songs are not at hand."""

    @property
    def place(self) -> tuple[str, str]:
        """What tells one set of items from another."""
        return self.kind, self.folder


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """Pictures to learn from, and songs to name by either reading."""

    name: str
    about: str  # in a sentence, as a note of a page says it
    scale: Literal["small", "paper"]
    pictures: Part
    timbre: Part
    spectrogram: Part

    def of(self, reading: str) -> Part:
        """Give the part that a reading is of: pixels, timbre or spectrogram."""
        return self.pictures if reading == "pixels" else getattr(self, reading)

    @property
    def shared(self) -> bool:
        """Whether both readings are of the same songs, so that they compare item by item."""
        return self.timbre.place == self.spectrogram.place


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).resolve().parents[1] / "data_manifest" / TABLE
    return tomllib.loads(path.read_text("utf-8"))


def names() -> tuple[str, ...]:
    """List the corpora that go by a name."""
    return tuple(_table())


def check(name: str) -> None:
    """Raise InputError for what is neither the name of corpora nor that of a TOML file."""
    if name not in names() and not name.endswith(".toml"):
        wanted = f"one of {', '.join(names())}, or a TOML file such as data_manifest/{TABLE}"
        refuse("corpora", wanted, repr(name), "choose one of these")


def corpora_of(name: str) -> Corpora:
    """Read the corpora of a name, or of a reader's own file, which declares one.

    Raises InputError that names the file and the part where something lacks or does not fit.
    """
    check(name)
    if name in names():
        return _corpora(name, _table()[name], name)
    path = Path(name).expanduser()
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        refuse("corpora", f"a TOML file, {path}", f"'{error}'", f"write it like {TABLE}")
    found = [(key, each) for key, each in told.items() if isinstance(each, dict)]
    if len(found) == 1 and "kind" not in found[0][1]:  # one section, which names it
        key, told = found[0]
        return _corpora(key, told, str(path))
    return _corpora(path.stem, told, str(path))


def _corpora(name: str, told: dict[str, Any], where: str) -> Corpora:
    known = {each.name for each in fields(Corpora)} - {"name"}
    told = {"scale": "small", "about": f"Corpora: {name}."} | told
    if told.keys() != known:
        got = ", ".join(sorted(told))
        refuse(where, f"{', '.join(sorted(known))}", got, f"write it like {TABLE}")
    parts: dict[str, Part] = {}
    allowed: dict[str, tuple[str, ...]] = {"pictures": PICTURES, "timbre": SONGS}
    allowed["spectrogram"] = tuple(kind for kind in SONGS if kind not in SILENT)
    for part, kinds in allowed.items():
        try:
            parts[part] = Part(**told[part])
        except (TypeError, InputError) as error:
            refuse(f"{where}: {part}", "kind, name and folder", f"'{error}'", "mend it")
        if parts[part].kind not in kinds:
            wanted = f"kind to be one of {', '.join(kinds)}"
            refuse(f"{where}: {part}", wanted, brief(parts[part].kind), "choose one of these")
    if told["scale"] not in ("small", "paper"):
        refuse(f"{where}: scale", "small or paper", brief(told["scale"]), "choose one of these")
    return Corpora(name=name, about=str(told["about"]), scale=told["scale"], **parts)
