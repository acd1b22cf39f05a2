"""Songs with titles: folk tunes from printed books, written in ABC and played by a sound font.

The books are data of the package music21, the sound font of pretty_midi; neither is imported. What
`render` gives is a score played by a machine: a real tune under its real title, no performance.
"""

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import lameenc
import numpy as np
import symusic
from tqdm import tqdm

from songtitle.corpora import manifest
from songtitle.corpora.series import joined, near_same
from songtitle.errors import InputError
from songtitle.machine import cores, write_whole

SAMPLE_RATE = 44_100  # Hz
LONGEST = 300  # seconds of a tune that is played; the longest of the books takes 295
PATIENCE = 5  # seconds that a sheet may take to be read; a long one takes a hundredth of one
ROOM = 1 << 20  # bytes that a tune's notes may take; a long one's take a hundredth of it
PEAK = 0.8  # of full scale: mp3 overshoots what it was given by up to 8 %

# General MIDI programs, counted from 0, that carry a single melody: keys, tuned percussion,
# organs, plucked and bowed strings, brass, reeds, pipes, and the folk instruments of that list.
# Basses, ensembles, pads, drums and sound effects are left out.
PROGRAMS = (
    *(0, 6, 11, 12, 15, 19, 20, 21, 22, 24, 25, 40, 41, 42, 46),
    *(56, 60, 65, 68, 71, 72, 73, 74, 75, 79, 105, 107, 109, 110),
)

# What tells tunes of one family apart, or tunes of one kind from others: no part of a title's name.
_WORDS = re.compile(
    r"\b(?!(?:the|an?|no|nr|settings?|version|part|reel|jig|hornpipe|clog|march)\b)[^\W\d_]+"
)
OPENING = 14  # steps from note to note: with fewer, strangers begin alike
_NO_NOTES = re.compile(
    r'^(?:[A-Za-z]:|%).*$|"[^"]*"|\{[^}]*\}|![^!]*!|\[[A-Za-z]:.*?\]', re.MULTILINE
)
_BARS, _NOTE = re.compile(r"[|:\]]+"), re.compile(r"([A-Ga-g])([,']*)")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tune:
    """A tune as its book has it."""

    id: str  # book, file and number: "oneills1850/0101-0200/123"
    book: str  # oneills1850, airdsAirs, ryansMammoth or miscFolk
    number: int  # the X: field, unique within a file
    title: str  # the first T: field, uncleaned: "Garden of Daisies, The"
    abc: str  # the whole sheet
    group: str = ""  # its family, as `load` finds it: composers of folk tunes are not known


def load() -> list[Tune]:
    """Load all tunes of the four books that have a title, by book, file and place in the file.

    Raises InputError when a book is missing or differs from its sha256 in the manifest.
    """
    books = [file for file in manifest.listed("tunes") if file.path.endswith(".abc")]
    names = ("/".join(PurePosixPath(book.path).with_suffix("").parts[-2:]) for book in books)
    sheets = map(read_book, map(_content, books), names)
    found = [tune for tunes in sheets for tune in tunes if tune.title]
    return [replace(tune, group=its) for tune, its in zip(found, families(found), strict=True)]


def families(tunes: Sequence[Tune]) -> list[str]:
    """Tell the family of each tune, named by one of its ids: one song, however often it is printed.

    Titles nearly spelt alike, without articles, numbers, settings and the kind of tune, make one,
    and so do the first OPENING steps of a melody in whatever key.
    """
    titles = near_same(" ".join(_WORDS.findall(_plain(tune.title))) for tune in tunes)
    return joined([tune.id for tune in tunes], titles, list(map(opening, tunes)))


def opening(tune: Tune) -> tuple[int, ...] | None:
    """Read the first OPENING steps of a melody, in places of the scale, from its first full bar.

    Key, length of notes and accidentals do not count. None where there are fewer notes.
    """
    body = re.split(r"^K:.*$", tune.abc, maxsplit=1, flags=re.MULTILINE)[-1]
    bars = [found for bar in _BARS.split(_NO_NOTES.sub("", body)) if (found := _NOTE.findall(bar))]
    if len(bars) > 1 and 2 * len(bars[0]) <= len(bars[1]):  # an upbeat, which settings vary
        del bars[0]
    places = [
        "CDEFGAB".index(name.upper()) + 7 * (name.islower() + octave.count("'") - octave.count(","))
        for bar in bars
        for name, octave in bar
    ]
    steps = tuple(after - before for before, after in pairwise(places[: OPENING + 1]))
    return steps if len(steps) == OPENING else None


def _plain(title: str) -> str:
    """A title in lower case, without what a bracket holds, apostrophes, and ends of numbers."""
    return re.sub(r"\(.*?\)|['’]|\d+ ?(?:st|d|nd|rd|th)?\b", "", title.lower())


def read_book(content: bytes, name: str) -> list[Tune]:
    """Read the tunes of one ABC file, each from an X: line to the next, in UTF-8 or else Latin-1.

    `name` is "book/file"; a title is "" where there is no T: line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    tunes = []
    for sheet in re.split(r"^(?=X:)", text.replace("\r\n", "\n"), flags=re.MULTILINE)[1:]:
        number = int((re.match(r"X:\s*(\d{1,18})", sheet) or [0, 0])[1])
        title = re.search(r"^T:[ \t]*(.*?)[ \t]*$", sheet, flags=re.MULTILINE)
        book = name.partition("/")[0]
        tunes.append(Tune(f"{name}/{number}", book, number, title[1] if title else "", sheet))
    return tunes


def choose(tunes: Iterable[Tune], count: int, *, seed: int) -> list[Tune]:
    """Choose `count` playable tunes, no two with the same title up to case and punctuation.

    The choice depends on `seed` and the ids alone. Raises InputError when there are too few.
    """
    chosen: dict[str, Tune] = {}
    for tune in sorted(tunes, key=lambda tune: _hash(seed, "choose", tune.id)):
        if len(chosen) == count:
            break
        key = "".join(filter(str.isalpha, tune.title.lower())) or tune.title
        if key not in chosen and _is_playable(tune):
            chosen[key] = tune
    if len(chosen) < count:
        msg = f"count: expected at most {len(chosen)}, the tunes with distinct titles that can be "
        raise InputError(msg + f"played, got {count}; ask for fewer")
    return list(chosen.values())


def instrument(tune_id: str, seed: int) -> int:
    """Draw the General MIDI program, counted from 0, that plays a tune: one of PROGRAMS by hash."""
    return PROGRAMS[_hash(seed, "instrument", tune_id) % len(PROGRAMS)]


def render(tune: Tune, path: Path, *, program: int, duration: float = 30.0) -> None:
    """Play a tune on a General MIDI instrument into a stereo mp3 of `duration` seconds.

    Up to 0.2 s of silence lie around it, as mp3 has whole frames. A longer tune is cut; a shorter
    one starts again when its last note has died away. Raises InputError for a sheet that cannot be
    played.
    """
    score = _score(tune)
    for track in score.tracks:
        track.program, track.is_drum = program, False
    # A synthesiser of its own for each tune: one that has played before sounds different.
    synthesizer = symusic.Synthesizer(sf_path=str(_sound_font()), sample_rate=SAMPLE_RATE)
    sound = np.asarray(synthesizer.render(score, stereo=True))
    peak = float(max(sound.max(initial=0.0), -sound.min(initial=0.0)))  # without a copy of it all
    if peak == 0:
        msg = f"tune {tune.id}: expected sound on program {program}, got silence; leave it out"
        raise InputError(msg)
    samples = round(duration * SAMPLE_RATE)
    sound = sound[:, np.arange(samples) % sound.shape[1]] * (PEAK / peak)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _mp3(sound.T))


def clip_path(tune: Tune, folder: Path, *, seed: int) -> Path:
    """Tell where `render_all` puts a tune's clip: the name holds the id and the instrument."""
    return folder / f"{tune.id.replace('/', '_')}-{instrument(tune.id, seed):03}.mp3"


def render_all(
    tunes: Sequence[Tune],
    folder: Path,
    *,
    seed: int,
    duration: float = 30.0,
    workers: int | None = None,
) -> list[Path]:
    """Render each tune on its instrument, in `workers` threads (one a core); give the clips' paths.

    Clips that are there are kept; a tune that cannot be played is logged and left out.
    """
    paths = {tune: clip_path(tune, folder, seed=seed) for tune in tunes}
    todo = [tune for tune, path in paths.items() if not path.exists()]

    def attempt(tune: Tune) -> None:
        try:
            render(tune, paths[tune], program=instrument(tune.id, seed), duration=duration)
        except InputError as error:
            log.warning("%s", error)

    # Threads will do: synthesiser and encoder let go of the interpreter while they work.
    with ThreadPoolExecutor(workers or cores()) as pool:
        work = pool.map(attempt, todo)
        list(tqdm(work, total=len(todo), desc="rendering tunes", unit="tune", disable=None))
    return [paths[tune] for tune in tunes if paths[tune].exists()]


def _score(tune: Tune) -> Any:
    """The sheet as a symusic score; abc2midi plays on over small faults.

    symusic's `from_abc` gives the sheets of all processes one name: two at a time would swap tunes.
    """
    command = next((manifest.package_folder("symusic") / "bin").glob("abc2midi*"))
    with tempfile.TemporaryDirectory() as name:
        sheet, notes = Path(name, "tune.abc"), Path(name, "tune.mid")
        sheet.write_text(tune.abc, encoding="utf-8")
        score: Any = None
        unheard: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
        try:
            subprocess.run([command, sheet, "-o", notes, "-silent"], timeout=PATIENCE, **unheard)
            score = symusic.Score(notes) if notes.exists() else None
        except subprocess.TimeoutExpired as error:
            msg = f"tune {tune.id}: expected an ABC sheet that is read within {PATIENCE} s, got "
            raise InputError(msg + "one that is not; leave it out") from error
        except RuntimeError:  # it died while it wrote
            pass
        silent = score is None or not score.note_num()
        if silent and shutil.disk_usage(name).free < ROOM:  # no fault of the sheet's
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    if silent:
        msg = f"tune {tune.id}: expected an ABC sheet with notes, got none; leave it out"
        raise InputError(msg)
    # The whole of it is played before it is cut, and one note may be written to last for days.
    seconds = score.to("second").end()
    if not seconds <= LONGEST:
        msg = f"tune {tune.id}: expected at most {LONGEST} s of music, got {seconds:.0f} s; "
        raise InputError(msg + "leave it out or shorten its longest notes")
    return score


def _is_playable(tune: Tune) -> bool:
    try:
        _score(tune)
    except InputError:
        return False
    return True


@cache
def _sound_font() -> Path:
    """The sound font's path, its 6 MB compared with the list once a process."""
    (font,) = (file for file in manifest.listed("tunes") if file.path.endswith(".sf2"))
    _content(font)
    return _site(font) / font.path


def _mp3(sound: np.ndarray) -> bytes:
    """128 kbit/s at LAME's quality 7, in a quarter of the time that libsndfile takes."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_channels(sound.shape[1])
    encoder.set_bit_rate(128)
    encoder.set_quality(7)
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    return bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())


def _site(file: manifest.File) -> Path:
    """The folder a listed path starts from: the one that holds the package it begins with."""
    return manifest.package_folder(PurePosixPath(file.path).parts[0]).parent


def _content(file: manifest.File) -> bytes:
    """The bytes of a listed file of an installed package, which must be as listed."""
    path = _site(file) / file.path
    content = path.read_bytes() if path.is_file() else None
    found = "no file" if content is None else hashlib.sha256(content).hexdigest()
    if content is None or found != file.sha256:
        msg = f"{path}: expected sha256 {file.sha256}, got {found}; install the package versions "
        raise InputError(msg + "of requirements.lock again")
    return content


def _hash(*parts: object) -> int:
    """A whole number that depends on `parts` alone, the same on every machine and Python."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8], "big")
