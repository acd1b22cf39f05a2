"""Long load: the last of many items takes no more memory, files or time than the first."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import broken_media
import captioner
import long_load
import numpy as np
import pytest

from songtitle.model.features import read_features

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and files are in /proc")

FEW = os.environ.get("SONGTITLE_FAULTS") == "few"
ROOM = 64 if FEW else 24  # MB; of a few items most are among those that fill the allocator's pools


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Songs and pictures to repeat."""
    folder = tmp_path_factory.mktemp("load")
    broken_media.make(folder)
    return folder / "whole"


def watched(arguments, home=None):
    """Lines that a long run printed, and what it used after each item."""
    command, environment = captioner.python(home)
    done = subprocess.run(
        [*command, long_load.__file__, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    *lines, used = done.stdout.splitlines()
    return lines, {name: np.array(values) for name, values in json.loads(used).items()}


def check_flat(used):
    """The last fifth of a run holds what the second fifth held, and the last third is as quick.

    What others do on the machine can only make a stretch slower, so the quicker ones are compared.
    """
    for name, room in (("megabytes", ROOM), ("files", 1)):
        fifths = [np.median(part) for part in np.array_split(used[name], 5)]
        assert fifths[4] - fifths[1] <= room, (name, fifths)
    if not FEW:
        steps = np.array_split(np.diff(used["seconds"])[len(used["seconds"]) // 20 :], 60)
        rates = np.array([step.mean() for step in steps]).reshape(3, 20)
        first, _, last = np.quantile(rates, 0.25, axis=1)
        assert last <= 1.1 * first, rates.round(5).tolist()


def test_titles_of_thousands_of_songs_take_no_more_of_anything_at_the_end(fault, whole, tmp_path):
    each = fault(
        "load",
        "thousands of songs are named in one go",
        "every song gets titles; memory and open files stay level, the last goes as fast as the "
        "first",
        full=2_000,
        few=30,
    )
    captioner.train(tmp_path / "home")
    songs, sounds = tmp_path / "songs", sorted(whole.glob("*.mp3"))
    songs.mkdir()
    for number in each.rounds:
        shutil.copyfile(sounds[number % len(sounds)], songs / f"{number:04}.mp3")
    lines, used = watched(["title", songs], tmp_path / "home")
    for number, line in enumerate(lines):
        with each.once(f"song {number}"):
            found = json.loads(line)
            assert Path(found["file"]).name == f"{number:04}.mp3"
            assert found["titles"]
    check_flat(used)


def test_features_of_ten_thousand_files_take_no_more_of_anything_at_the_end(fault, whole, tmp_path):
    each = fault(
        "load",
        "features of ten thousand clips and pictures are taken in one go",
        "every row is there; memory and open files stay level, the last goes as fast as the first",
        full=10_000,
        few=300,
    )
    files = sorted(path for path in whole.iterdir() if path.suffix in (".mp3", ".png", ".jpg"))
    _, used = watched(["features", tmp_path, each.times, *files])
    rows = read_features(tmp_path / "pooled.safetensors")["all"]
    for number in each.rounds:
        with each.once(f"item {number}"):
            assert rows[number].isfinite().all()
            assert rows[number].allclose(rows[number % len(files)], atol=1e-5)
    check_flat(used)
