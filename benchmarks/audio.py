"""Sound: from an mp3 file to the picture of its spectrogram, beside decoding alone and librosa."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lameenc
import librosa
import numpy as np
import soundfile
from torch import Tensor

from benchmarks.harness import Growth, Row, interleaved, named, one_thread
from songtitle.config import PAPER_LITERAL, TRUE_SHAPE, SpectrogramConfig
from songtitle.sound import load_clip, log_spectrogram, spectrogram_image

SECONDS = 30.0  # of each clip
OF_DECODING = 0.65  # of the rate of decoding alone, at the least
OF_LIBROSA = 1.5  # times librosa's rate, at the least
AGREEMENT = 1e-4  # of the picture's range from 0 to 1


def rows(quick: bool = False) -> list[Row]:
    """Clips to pictures, alone and with two workers (threads, torch on one core in each)."""
    rounds = 1 if quick else 5
    found: list[Row] = []
    with _clips(quick) as (paths, kind), one_thread():
        for name, config in (("22,050 Hz", TRUE_SHAPE), ("the paper's own words", PAPER_LITERAL)):
            bound = config is TRUE_SHAPE and not quick
            found.append(_agreement(paths, config, name, kind))
            for workers in (1, 2):
                seconds = _time(paths, config, workers, rounds if bound or quick else 3)
                found += _ratios(seconds, f"{name}, {workers} worker(s)", kind, bound)
    return found


def growth(quick: bool = False) -> list[Growth]:
    """Time against the length of a clip, memory against the number of clips."""
    lengths = [1.0, 2.0] if quick else [3.75, 7.5, 15.0, 30.0]
    with _clips(quick) as (paths, _), one_thread():

        def read(seconds: float) -> None:
            for path in paths:
                picture(path, TRUE_SHAPE, seconds)

        ways = {str(length): partial(read, length) for length in lengths}
        seconds = list(interleaved(ways, rounds=1 if quick else 5).values())
        counts = [1, 2] if quick else [10, 40, 160]
        peaks = [_peak(paths, count) for count in counts]
    return [
        Growth(
            what="mp3 clip to picture",
            against="seconds of sound",
            unit="seconds",
            sizes=lengths,
            values=[one / len(paths) for one in seconds],
        ),
        Growth(
            what="mp3 clips to pictures, one after another: most memory held",
            against="clips",
            unit="MB",
            sizes=counts,
            values=peaks,
        ),
    ]


def picture(path: Path, config: SpectrogramConfig, seconds: float = SECONDS) -> Tensor:
    """What the library does."""
    clip = load_clip(path, sample_rate=config.sample_rate, duration=seconds)
    return spectrogram_image(log_spectrogram(clip, config), config)


def decode(path: Path) -> np.ndarray:
    """The limit: the samples as soundfile gives them, and nothing else."""
    with soundfile.SoundFile(path) as file:
        return file.read(round(SECONDS * file.samplerate), dtype="float32")


def with_librosa(path: Path, config: SpectrogramConfig) -> np.ndarray:
    """librosa's complex transform: neither decibels nor a picture yet."""
    clip, _ = librosa.load(path, sr=config.sample_rate, duration=SECONDS)
    return _stft(clip, config)


def with_librosa_in_db(path: Path, config: SpectrogramConfig) -> np.ndarray:
    """librosa's spectrogram as far as the library's goes: a picture with high notes on top."""
    power = np.abs(with_librosa(path, config)[: config.bins]) ** 2
    decibels = librosa.power_to_db(power, ref=np.max, top_db=config.top_db)
    return (1 + decibels / config.top_db)[::-1]


def _stft(clip: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    # librosa puts a short window in the middle of a longer transform.
    clip = np.pad(clip, (config.n_fft - config.window_length) // 2)
    return librosa.stft(
        clip,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.window_length,
        center=False,
    )


def _time(
    paths: Sequence[Path], config: SpectrogramConfig, workers: int, rounds: int
) -> dict[str, float]:
    """Seconds a clip of each way, all ways with the same kind and number of workers."""
    with ThreadPoolExecutor(workers) as pool:

        def over_all(way: Callable[[Path], object]) -> Callable[[], object]:
            if workers == 1:
                return lambda: _forget_all(way, paths)
            return lambda: list(pool.map(partial(_forget, way), paths))

        ways = {
            "ours": over_all(partial(picture, config=config)),
            "decoding alone": over_all(decode),
            "librosa.load + librosa.stft": over_all(partial(with_librosa, config=config)),
            "librosa to a picture in dB": over_all(partial(with_librosa_in_db, config=config)),
        }
        found = interleaved(ways, rounds=rounds)
    return {name: seconds / len(paths) for name, seconds in found.items()}


def _forget(way: Callable[[Path], object], path: Path) -> None:
    way(path)


def _forget_all(way: Callable[[Path], object], paths: Sequence[Path]) -> None:
    for path in paths:
        way(path)


def _ratios(seconds: dict[str, float], what: str, kind: str, bound: bool) -> list[Row]:
    ours = seconds["ours"]
    libsndfile = f"{named('soundfile')}, libsndfile {soundfile.__libsndfile_version__}"
    against = (
        ("decoding alone", libsndfile, OF_DECODING if bound else None),
        ("librosa.load + librosa.stft", named("librosa"), OF_LIBROSA if bound else None),
        ("librosa to a picture in dB", named("librosa"), None),
    )
    return [
        Row(
            what=f"mp3 clip to spectrogram picture, {what}",
            quantity=f"rate of ours / rate of {name}",
            value=seconds[name] / ours,
            at_least=at_least,
            peer=peer,
            seconds={"ours": ours, name: seconds[name]},
            note=f"{kind}; seconds are per clip; workers are threads",
        )
        for name, peer, at_least in against
    ]


def _agreement(paths: Sequence[Path], config: SpectrogramConfig, name: str, kind: str) -> Row:
    """The picture beside the one that librosa's own samples and transform make."""
    largest = 0.0
    for path in paths:
        clip, _ = librosa.load(path, sr=config.sample_rate, duration=SECONDS)
        power = np.abs(_stft(clip - clip.mean(dtype=np.float64), config)[: config.bins]) ** 2
        decibels = librosa.power_to_db(power, ref=np.max, top_db=config.top_db)
        theirs = (1 + decibels / config.top_db)[::-1]
        ours = picture(path, config)[0].numpy()
        frames = ours.shape[1]
        largest = max(largest, float(np.abs(ours - theirs[:, :frames]).max()))
    return Row(
        what=f"agreement with librosa, {name}",
        quantity="largest difference between the pictures, of their range from 0 to 1",
        value=largest,
        at_most=AGREEMENT,
        peer=named("librosa"),
        note=f"{kind}; librosa.load less its mean, librosa.stft, power_to_db with the same floor",
    )


@contextmanager
def _clips(quick: bool) -> Iterator[tuple[list[Path], str]]:
    """Real clips where they are given, else some of the kind."""
    home = os.environ.get("SONGTITLE_REAL_DATA")
    real = sorted(Path(home).glob("fma/fma_small/000/*.mp3")) if home else []
    if real and not quick:
        yield real, f"{len(real)} clips of FMA small, 30 s, 44.1 kHz"
        return
    count, seconds = (1, 2.0) if quick else (10, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_clip(Path(folder) / f"{i}.mp3", seconds, seed=i) for i in range(count)]
        yield paths, f"{count} clips of chords and noise, {seconds:g} s, 44.1 kHz, 256 kbit/s"


def write_clip(path: Path, seconds: float, *, seed: int) -> Path:
    """Something like music, in stereo: a new chord with overtones every half second, and noise."""
    draw = np.random.default_rng(seed)
    rate = 44_100
    time = np.arange(rate // 2) / rate
    beats = []
    for _ in range(max(1, round(2 * seconds))):
        notes = 110 * 2 ** (draw.choice([0, 2, 4, 5, 7, 9, 11, 12, 16, 19], 3) / 12)
        overtones = (np.outer(notes, np.arange(1, 9))[..., None] * time).reshape(-1, len(time))
        weights = np.tile(0.6 ** np.arange(8), 3)
        chord = weights @ np.sin(2 * np.pi * overtones) * np.exp(-3 * time)
        sides = draw.uniform(0.5, 1, (2, 1)) * chord + 0.1 * draw.standard_normal((2, len(time)))
        beats.append(sides.T)
    sound = np.concatenate(beats)
    encoder = lameenc.Encoder()
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(2)
    encoder.set_bit_rate(256)
    encoder.silence()
    pcm = (30_000 * sound / np.abs(sound).max()).astype(np.int16)
    path.write_bytes(bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush()))
    return path


_MEASURE = """
import sys
from pathlib import Path
import torch
from benchmarks.harness import peak_memory
from songtitle.sound import load_clip, log_spectrogram, spectrogram_image
from songtitle.config import TRUE_SHAPE
torch.set_num_threads(1)
paths = [Path(name) for name in sys.argv[2:]]
for i in range(int(sys.argv[1])):
    clip = load_clip(paths[i % len(paths)], sample_rate=TRUE_SHAPE.sample_rate)
    spectrogram_image(log_spectrogram(clip, TRUE_SHAPE), TRUE_SHAPE)
print(peak_memory())
"""


def _peak(paths: Sequence[Path], count: int) -> float:
    """Most memory, in MB, that a process of its own held while it read `count` clips."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(count), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
