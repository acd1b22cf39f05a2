"""Music clips: where they lie, what decoding them finds, which make a test set.

Nothing is taken from a file's name or header that can be counted by decoding it.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import soundfile
from tqdm import tqdm

from songtitle.corpora.captions import Titled
from songtitle.corpora.manifest import seeded_order
from songtitle.errors import InputError
from songtitle.machine import cores
from songtitle.rows import Faults
from songtitle.sound import quiet_decoder

_FRAME = 1_152  # samples of an mp3 frame at 32 kHz and above
_BLOCK = 4 * _FRAME  # decoded at a time: about a tenth of a second is lost at a break

_Item = TypeVar("_Item", bound=Titled)


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

        An mp3 without a header of lengths announces what its size suggests, to within a frame: one
        that was cut is not told from a short one.
        """
        return self.announced - self.samples >= _FRAME


def clip_path(folder: Path, track_id: int) -> Path:
    """Tell where FMA's archives put a clip: `000/000002.mp3` under `folder`."""
    name = f"{track_id:06d}"
    return folder / name[:3] / f"{name}.mp3"


def clip_facts(path: Path) -> ClipFacts:
    """Decode a file from beginning to end, or to where it breaks, and count.

    An mp3 of varying bit rate without a header of lengths is decoded only as far as libsndfile
    expects it to go, which may be less than half of it.

    Raises InputError when it is missing or empty, and when nothing in it can be decoded.
    """
    if blame := _absence(path):
        msg = f"{path}: expected a music file, got {blame}; fetch it again"
        raise InputError(msg)
    samples = 0
    try:
        with quiet_decoder(), soundfile.SoundFile(path) as file:
            rate, channels, announced = file.samplerate, file.channels, file.frames
            # Where the decoder gives up in the middle, the count tells.
            with suppress(soundfile.SoundFileError):
                while block := len(file.read(_BLOCK, dtype="float32", always_2d=True)):
                    samples += block
    # TypeError: soundfile takes some suffixes for headerless data and asks for a rate.
    except (OSError, soundfile.SoundFileError, TypeError) as error:
        msg = f"{path}: expected a music file, got nothing that can be decoded; fetch it again"
        raise InputError(msg) from error
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
    """Find the facts of every clip that decodes, in the order given.

    Counted as faults: "no file", "empty file" and "not decodable", which are left out; "ends early"
    and, of less than `shortest` seconds, "short", which are kept.
    """
    files = list(paths)

    def facts_or_error(path: Path) -> ClipFacts | InputError:
        try:
            return clip_facts(path)
        except InputError as error:
            return error

    # Threads will do: the decoder lets go of the interpreter while it works.
    with ThreadPoolExecutor(workers or cores()) as pool:
        work = pool.map(facts_or_error, files)
        found = list(tqdm(work, total=len(files), desc="decoding", unit="clip", disable=None))
    facts: dict[Path, ClipFacts] = {}
    for path, clip in zip(files, found, strict=True):
        if isinstance(clip, InputError):
            faults.add(path, None, _absence(path) or "not decodable", detail=str(clip))
            continue
        facts[path] = clip
        length = f"{clip.seconds:.3f} s"
        if clip.ends_early:
            faults.add(path, None, "ends early", kept=True, detail=length)
        elif clip.seconds < shortest:
            faults.add(path, None, "short", kept=True, detail=length)
    return facts


def summary(facts: Collection[ClipFacts]) -> dict[str, Any]:
    """Count, for a record, how many clips have each rate, channels, samples and bit rate.

    Bit rates are rounded to 8 kbit/s, the finest step between mp3's own.
    """
    columns = {
        "sample_rate": Counter(clip.sample_rate for clip in facts),
        "channels": Counter(clip.channels for clip in facts),
        "samples": Counter(clip.samples for clip in facts),
        "bit_rate": Counter(round(clip.bit_rate / 8) * 8 for clip in facts),
    }
    counts = {
        name: {str(value): number for value, number in sorted(each.items())}
        for name, each in columns.items()
    }
    return {"clips": len(facts), "seconds": sum(clip.seconds for clip in facts), **counts}


def choose_test(
    tracks: Iterable[_Item], count: int = 1000, *, seed: int, exclude: Collection[str] = ()
) -> tuple[list[_Item], list[_Item]]:
    """Choose a test set of exactly `count` tracks, and give the tracks of all other artists too.

    Groups (artists) are taken whole in an order that depends on `seed` and their names alone; of
    the last one only as many tracks as are wanted, and the others are on neither side. Tracks
    whose id is in `exclude` are on neither side either. Both lists are sorted by id; the order of
    `tracks` changes nothing.

    Raises InputError when an id comes twice or there are fewer than `count` tracks.
    """
    usable = sorted((t for t in tracks if t.id not in exclude), key=lambda track: track.id)
    if len({track.id for track in usable}) < len(usable):
        msg = "tracks: expected every id once, got some twice; read the table with its loader"
        raise InputError(msg)
    if count < 1 or len(usable) < count:
        msg = (
            f"test set: expected from 1 to {len(usable)} tracks (those given less those excluded), "
            f"got {count}; change the count"
        )
        raise InputError(msg)
    groups: dict[str, list[_Item]] = {}
    for track in usable:
        groups.setdefault(track.group, []).append(track)
    test: list[_Item] = []
    chosen = set()
    for group in seeded_order(groups, seed=seed):
        if len(test) == count:
            break
        chosen.add(group)
        members = {track.id: track for track in groups[group]}
        test += [members[id] for id in seeded_order(members, seed=seed)[: count - len(test)]]
    rest = [track for track in usable if track.group not in chosen]
    return sorted(test, key=lambda track: track.id), rest


def _absence(path: Path) -> str | None:
    """What keeps a path from being opened at all."""
    if not path.is_file():
        return "no file"
    return None if path.stat().st_size else "empty file"
