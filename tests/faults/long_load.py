"""A long run that is watched from inside: its time, memory and open files after every item.

    python tests/faults/long_load.py title FOLDER
    python tests/faults/long_load.py features FOLDER COUNT FILE...

The first names the files of FOLDER with the captioner of the data home. The second takes the
features of COUNT items, in turn one FILE (a clip or a picture) and the next, into FOLDER. The last
line that is printed is JSON: a list of `seconds` of the processor, `megabytes` and open `files`,
one of each for each item.
"""

import json
import os
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import torch

from songtitle.__main__ import main
from songtitle.config import SpectrogramConfig
from songtitle.model.encoder import build_backbone
from songtitle.model.features import Job, Look, run_jobs
from songtitle.pictures import load_view, pad_to, random_crop
from songtitle.sound import load_clip, log_spectrogram, spectrogram_image

SIDE = 32  # pixels: a small view, for ten thousand of them to take minutes
SOUND = SpectrogramConfig()


class Watch:
    """What the process has used, after each item."""

    def __init__(self):
        self.used = {"seconds": [], "megabytes": [], "files": []}

    def look(self):
        """Note what is used by now."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.used["seconds"].append(time.process_time())
        self.used["megabytes"].append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        self.used["files"].append(len(os.listdir("/proc/self/fd")))


class Told:
    """A standard output that has the watch look after every line."""

    def __init__(self, watch):
        self.watch, self.beyond = watch, sys.stdout

    def write(self, text):
        self.beyond.write(text)
        if text.endswith("\n"):
            self.watch.look()

    def flush(self):
        self.beyond.flush()


def look(watch, files, item):
    """A small view of one file, as the feature stages have it of clips and pictures."""
    path = files[item % len(files)]
    if path.suffix == ".mp3":
        wave = load_clip(path, sample_rate=SOUND.sample_rate, duration=1.0)
        image = pad_to(spectrogram_image(log_spectrogram(wave, SOUND), SOUND), SIDE, SIDE)
        view = random_crop(image, SIDE, generator=torch.Generator().manual_seed(0))
    else:
        view = load_view(path, SIDE)
    watch.look()
    return Look(view.unsqueeze(0).clone())


def run(what, arguments):
    """The run that was asked for; its exit status."""
    watch, status = Watch(), 0
    if what == "title":
        with redirect_stdout(Told(watch)):
            status = main(["title", "--json", *map(str, sorted(Path(arguments[0]).iterdir()))])
    else:
        folder, count, *files = arguments
        backbone = build_backbone("efficientnet_lite0", "none", memory="map")
        see = partial(look, watch, [Path(name) for name in files])
        run_jobs([Job("all", range(int(count)), see)], backbone, Path(folder), memories=["pooled"])
    print(json.dumps(watch.used))
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
