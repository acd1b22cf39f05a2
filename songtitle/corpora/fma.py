"""The Free Music Archive (FMA): tracks with title and artist; clips, and what decoding them finds.

Defferrard et al. 2017, "FMA: A Dataset For Music Analysis", arXiv:1612.01840.
"""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import soundfile
from tqdm import tqdm

from songtitle.corpora import manifest
from songtitle.corpora.captions import Titled
from songtitle.errors import InputError
from songtitle.machine import cores
from songtitle.rows import Faults, read_csv, read_table, records
from songtitle.sound import opened

SUBSETS = ("small", "medium", "large")  # each holds the ones before it

# What pandas takes for a missing value: read by it, a song called None has no title. It finds
# 106,573 titles in the 106,574 rows of tracks.csv, and 106,573 is what the paper counts.
NULL_WORDS = re.compile(r"#?N/?A|#N/A N/A|n/a|<NA>|-?NaN|-?nan|-?1\.#IND|-?1\.#QNAN|NULL|null|None")

_FRAME = 1_152  # samples of an mp3 frame at 32 kHz and above
_BLOCK = 4 * _FRAME  # decoded at a time: about a tenth of a second is lost at a break

Rows = Iterator[tuple[int, dict[str, str]]]  # with their lines
_Item = TypeVar("_Item", bound=Titled)


# -- tables --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Track:
    """One track as a table describes it."""

    track_id: int  # FMA's own
    title: str  # uncleaned
    artist: str  # "" where unknown
    subset: str | None = None  # the smallest one that holds it

    @property
    def id(self) -> str:
        """The six digits that name its clip."""
        return f"{self.track_id:06d}"

    @property
    def group(self) -> str:
        """Its artist; a track without one is alone."""
        return self.artist or f"track {self.id}"


def read_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of `tracks.csv`: two header rows name a column together, a third the id.

    A row of another width, without a title or a track id of its own is counted and skipped; a title
    that pandas would read as missing ("None") and a row without an artist are counted and kept.
    Raises InputError for a header of another form.
    """
    rows = read_csv(path, faults)
    outer, inner, third = (next(rows, (0, [""]))[1] for _ in range(3))
    if third[0] != "track_id" or any(third[1:]) or not len(outer) == len(inner) == len(third):
        msg = f"{path}: expected three header rows of equal length, the third 'track_id,,,', got "
        raise InputError(msg + f"{','.join(third)[:40]!r} there; take tracks.csv as FMA has it")
    header = ["track_id", *(f"{a} {b}" for a, b in zip(outer[1:], inner[1:], strict=True))]
    columns = {"track_id": "track_id", "title": "track title", "artist": "artist name"}
    columns["subset"] = "set subset"
    return _tracks(path, records(path, rows, header, columns, faults), faults)


def read_raw_tracks(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of `raw_tracks.csv`, which has no subset, as `read_tracks`."""
    columns = {"track_id": "track_id", "title": "track_title", "artist": "artist_name"}
    return _tracks(path, read_table(path, columns, faults), faults)


def read_titles(path: Path, faults: Faults) -> Iterator[Track]:
    """Give the tracks of a flat table of sound_file, title and artist, as `read_tracks`.

    Its `id` is a running number: only the file's name tells the track.
    """
    columns = {"track_id": "sound_file", "title": "title", "artist": "artist"}
    return _tracks(path, read_table(path, columns, faults), faults)


def read_file_genres(path: Path, faults: Faults) -> dict[int, str]:
    """Give the genre of each clip, by track id, from a table of filename and genre."""
    genres: dict[int, str] = {}
    for line, cells in read_table(path, {"track_id": "filename", "genre": "genre"}, faults):
        track_id = _track_id(path, line, cells["track_id"], genres, faults)
        if track_id is not None:
            genres[track_id] = cells["genre"]
    return genres


def check_balance(genres: Mapping[int, str], *, number: int = 8, each: int = 1000) -> None:
    """Raise InputError unless there are `number` genres of `each` tracks (fma_small's promise)."""
    counts = Counter(genres.values())
    if sorted(counts.values()) != [each] * number:
        found = ", ".join(f"{genre} {count}" for genre, count in sorted(counts.items()))
        msg = f"genres: expected {number} of {each} tracks each, got [{found}]; "
        raise InputError(msg + "give the whole of fma_small")


def errata(subset: str) -> dict[str, str]:
    """Give the clips of a subset that FMA's makers list as broken: `Track.id` and what is wrong."""
    import pandas as pd  # naming a song does without

    if subset not in SUBSETS:
        msg = f"subset: expected one of {', '.join(SUBSETS)}, got {subset!r}; pick one of them"
        raise InputError(msg)
    table = pd.read_csv(manifest.manifest_folder() / "fma_errata.csv", dtype=str)
    listed = table[table["subset"].isin(SUBSETS[: SUBSETS.index(subset) + 1])]
    return dict(zip(listed["track_id"].str.zfill(6), listed["fault"], strict=True))


def _tracks(path: Path, rows: Rows, faults: Faults) -> Iterator[Track]:
    seen: set[int] = set()
    for line, cells in rows:
        track_id = _track_id(path, line, cells["track_id"], seen, faults)
        if track_id is None:
            continue
        seen.add(track_id)
        title, artist = cells["title"], cells["artist"].strip()
        if not title.strip():
            faults.add(path, line, "no title", detail=f"track {track_id}")
            continue
        if NULL_WORDS.fullmatch(title):
            faults.add(path, line, "title reads as null", kept=True, detail=title)
        if not artist:
            faults.add(path, line, "no artist", kept=True, detail=f"track {track_id}")
        yield Track(track_id, title, artist, cells.get("subset") or None)


def _track_id(path: Path, line: int, text: str, seen: Container[int], faults: Faults) -> int | None:
    """The track id in `2`, `000002.mp3` or `000/000002.mp3`; None, counted, if none or not new."""
    found = re.fullmatch(r"(?:[0-9]{3}/)?([0-9]{1,6})(?:\.mp3)?", text.strip())
    track_id = int(found[1]) if found else 0
    if track_id and track_id not in seen:
        return track_id
    faults.add(path, line, "duplicate track id" if track_id else "no track id", detail=text)
    return None


# -- clips ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipFacts:
    """What decoding a whole file found."""

    sample_rate: int  # Hz
    channels: int
    samples: int  # a channel, counted
    announced: int  # samples that the file's header promises, or its size suggests; 0 if neither
    bit_rate: float  # kbit/s: the file's size, tags included, over its time

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.samples / self.sample_rate

    @property
    def ends_early(self) -> bool:
        """Whether a frame of mp3 or more is missing of what was announced.

        A cut mp3 without a header of lengths is not told from a short one.
        """
        return self.announced - self.samples >= _FRAME


def clip_path(folder: Path, track_id: int) -> Path:
    """Tell where FMA's archives put a clip: `000/000002.mp3` under `folder`."""
    name = f"{track_id:06d}"
    return folder / name[:3] / f"{name}.mp3"


def clip_facts(path: Path) -> ClipFacts:
    """Decode a file from beginning to end, or to where it breaks, and count.

    An mp3 of varying bit rate without a header of lengths is decoded only as far as libsndfile
    expects it to go. Raises InputError when nothing is there or in it can be decoded.
    """
    samples = 0
    with opened(path) as file:
        rate, channels, announced = file.samplerate, file.channels, file.frames
        # Where the decoder gives up in the middle, the count tells.
        with suppress(soundfile.SoundFileError):
            while block := len(file.read(_BLOCK, dtype="float32", always_2d=True)):
                samples += block
    if not samples:
        msg = f"{path}: expected sound, got no samples; fetch it again or leave it out"
        raise InputError(msg)
    # Some formats do not say how long they are: libsndfile gives its largest number.
    announced = announced if announced < 2**62 else 0
    bit_rate = path.stat().st_size * 8 * rate / samples / 1000
    return ClipFacts(rate, channels, samples, announced, bit_rate)


def survey(
    paths: Iterable[Path], faults: Faults, *, shortest: float = 0.0, workers: int | None = None
) -> dict[Path, ClipFacts]:
    """Find the facts of every clip that decodes, in the order given; what is wrong is counted.

    A clip that ends early or has less than `shortest` seconds is kept.
    """
    facts: dict[Path, ClipFacts] = {}
    # Threads will do: the decoder lets go of the interpreter while it works.
    with ThreadPoolExecutor(workers or cores()) as pool:
        work = [(path, pool.submit(clip_facts, path)) for path in paths]
        for path, decoded in tqdm(work, desc="decoding", unit="clip", disable=None):
            try:
                clip = facts[path] = decoded.result()
            except InputError as error:
                size = path.stat().st_size if path.is_file() else None
                kind = {None: "no file", 0: "empty file"}.get(size, "not decodable")
                faults.add(path, None, kind, detail=str(error))
                continue
            if clip.ends_early or clip.seconds < shortest:
                kind = "ends early" if clip.ends_early else "short"
                faults.add(path, None, kind, kept=True, detail=f"{clip.seconds:.3f} s")
    return facts


def summary(facts: Collection[ClipFacts]) -> dict[str, Any]:
    """Count, for a record, how many clips have each rate, channels, samples and bit rate (rounded
    to 8 kbit/s, the finest step between mp3's own)."""
    import pandas as pd  # naming a song does without

    columns = ("sample_rate", "channels", "samples", "bit_rate")
    table = pd.DataFrame([vars(clip) for clip in facts], columns=columns)
    table["bit_rate"] = (table["bit_rate"].astype(float) / 8).round().astype(int) * 8
    counted = {name: table[name].value_counts().sort_index() for name in columns}
    counts = {n: {str(value): int(k) for value, k in each.items()} for n, each in counted.items()}
    return {"clips": len(facts), "seconds": sum(clip.seconds for clip in facts), **counts}


def choose_test(
    tracks: Iterable[_Item], count: int = 1000, *, seed: int, exclude: Collection[str] = ()
) -> tuple[list[_Item], list[_Item]]:
    """Choose a test set of exactly `count` tracks, and give the tracks of all other artists too.

    Groups (artists) are taken whole in an order that depends on `seed` and their names alone, of
    the last one as many tracks as are wanted. Its others, and ids in `exclude`, are on neither
    side. Both lists are sorted by id; the order of `tracks` changes nothing. Raises InputError
    when an id comes twice or there are fewer than `count` tracks.
    """
    usable = sorted((t for t in tracks if t.id not in exclude), key=lambda track: track.id)
    if len({track.id for track in usable}) < len(usable):
        msg = "tracks: expected every id once, got some twice; read the table with its loader"
        raise InputError(msg)
    if not 1 <= count <= len(usable):
        msg = (
            f"test set: expected from 1 to {len(usable)} tracks (those given less those excluded), "
        )
        raise InputError(msg + f"got {count}; change the count")
    by_group: dict[str, dict[str, _Item]] = {}
    for track in usable:
        by_group.setdefault(track.group, {})[track.id] = track
    test: dict[str, _Item] = {}
    for group in manifest.seeded_order(by_group, seed=seed):
        members = by_group.pop(group)
        chosen = manifest.seeded_order(members, seed=seed)[: count - len(test)]
        test |= {id: members[id] for id in chosen}
        if len(test) == count:
            break
    rest = [track for track in usable if track.group in by_group]
    return [track for track in usable if track.id in test], rest
