"""The inputs: what the frozen backbone makes of pictures, and the two readings of a song."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig, Input, check_device
from songtitle.corpora.manifest import data_home
from songtitle.corpora.picture_sets import whole
from songtitle.experiment.corpora import (
    NUMBERS,
    clip_of,
    clips,
    corpora,
    picture_rows,
    song_rows,
)
from songtitle.model.encoder import Backbone, build_backbone
from songtitle.model.features import (
    FeatureWriter,
    Job,
    Look,
    native_precision,
    read_features,
    run_jobs,
)
from songtitle.model.weights import weights_digest
from songtitle.pictures import pad_to, random_crop, random_view, tiles
from songtitle.seeds import generator_for
from songtitle.sound import frame_count, load_clip, log_spectrogram, spectrogram_image
from songtitle.timbre import timbre_vector


@stage
def picture_features(config: ExperimentConfig, *, home: Path) -> Work:
    """What the frozen backbone makes of the pictures to learn from: see `features_of`; `train` has
    `views` random crops of each picture, `valid` one."""
    before = corpora(config, home=home)

    def look(picture: dict[str, Any]) -> Look:
        count = config.views if picture["split"] == "train" else 1
        return Look(_crops(picture, config, home, count))

    return _encoded(config, before, look, ("train", "valid"), pick(config, "crop", "views"))


@stage
def tile_features(config: ExperimentConfig, size: int, *, home: Path) -> Work:
    """What the frozen backbone makes of the test pictures, cut into tiles: see `features_of`.

    `test (items, tiles, positions, features)`: one seeded crop of each picture in tiles of `size`
    pixels a side; `size=config.crop` leaves it whole.
    """
    before = corpora(config, home=home)

    def look(picture: dict[str, Any]) -> Look:
        return Look(tiles(_crops(picture, config, home)[0], size))

    return _encoded(config, before, look, ("test",), pick(config, "crop") | {"size": size})


@stage
def song_features(config: ExperimentConfig, *, home: Path) -> Work:
    """Each reading of the songs that are asked for it, as `songs`: the spectrogram through the
    frozen backbone (see `features_of`), and in `timbre.safetensors` `(items, 1, 1, numbers)`, 90
    where a clip is measured."""
    before = clips(config, home=home)

    def look(song: dict[str, Any]) -> Look:
        path = clip_of(before, song, home)
        wave, timbre = hear(path, config), None
        if TIMBRE.reading in song["readings"]:
            timbre = timbre_vector(wave, sample_rate=config.spectrogram.sample_rate)
        return Look(clip_picture(wave, path.name, config).unsqueeze(0), timbre)

    settings = pick(config, "crop", "clip_seconds", "spectrogram_fit", "spectrogram")
    work = _encoded(config, before, look, ("songs",), settings)
    if config.material.shared:
        return work

    def compute(folder: Path) -> dict[str, Any]:
        _timbre_alone(before, config, home, folder / "timbre.safetensors")
        return dict(work.compute(folder))

    return work._replace(compute=compute)


def _timbre_alone(before: Record, config: ExperimentConfig, home: Path, path: Path) -> None:
    """Write the timbre of songs that are not heard by spectrogram: what came ready made, or what is
    measured of their clips."""
    if path.exists():
        return
    songs = song_rows(before, TIMBRE)
    if "clip" in songs[0]:
        rate = config.spectrogram.sample_rate
        waves = (hear(clip_of(before, song, home), config) for song in songs)
        timbre = torch.stack([timbre_vector(wave, sample_rate=rate) for wave in waves])
    else:
        timbre = torch.from_numpy(np.load(before.file(NUMBERS)))
    with FeatureWriter(path, {"songs": (len(timbre), 1, 1, timbre.shape[1])}) as writer:
        writer.append("songs", timbre[:, None, None][writer.done["songs"] :])
        writer.finish()


def _encoded(
    config: ExperimentConfig,
    before: Record,
    look: Callable[[Any], Look],
    names: Sequence[str],
    settings: dict[str, Any],
) -> Work:
    """The work of a stage that leads songs, or pictures of some splits, through the backbone."""
    memories = _memories(config, () if names == ("songs",) else None)

    def compute(folder: Path) -> dict[str, Any]:
        jobs = [Job(name, _items(before, name), look) for name in names]
        return run_jobs(jobs, frozen_backbone(config, "map"), folder, memories=memories)

    settings |= pick(config, "seed") | encoder_settings(config) | {"memories": memories}
    return Work(compute, settings, [before])


def features_record(config: ExperimentConfig, name: Input | str, *, home: Path) -> Record:
    """Give the record that holds the features of an input."""
    size = Input.of(name).tile
    return tile_features(config, size, home=home) if size else song_features(config, home=home)


def features_of(record: Record, config: ExperimentConfig) -> dict[str, Tensor]:
    """Map the features of one of the stages above that the model of `config` reads, by name: each
    `(items, views, positions, features)`. Maps are float16: `.float()` what you index."""
    return read_features(record.file(f"{config.model.positions}.safetensors"))


def _memories(config: ExperimentConfig, compared: Sequence[str] | None = None) -> list[str]:
    """What is kept of each picture: pooled features, which are small; maps if a decoder looks, of
    the experiment or one that it is compared with, so that the network runs once for all."""
    compared = config.compared_decoders if compared is None else compared
    looks = config.model.memory == "auto" and any(name != "lstm" for name in compared)
    return ["pooled", "map"] if looks or config.model.positions == "map" else ["pooled"]


def _items(before: Record, name: str) -> list[dict[str, Any]]:
    """The songs, or the pictures of a split."""
    return song_rows(before, SPECTROGRAM) if name == "songs" else picture_rows(before, name)


def _crops(picture: dict[str, Any], config: ExperimentConfig, home: Path, count: int = 1) -> Tensor:
    """The seeded random views of one picture, `(count, 3, crop, crop)`."""
    image = whole(picture, home)
    generator = generator_for(config.seed, picture["id"])
    return torch.stack([random_view(image, config.crop, generator=generator) for _ in range(count)])


def hear(path: Path, config: ExperimentConfig) -> Tensor:
    """Load an audio file as mono samples, at the rate and from the channel of the spectrogram."""
    rate, channel = config.spectrogram.sample_rate, config.spectrogram.channel
    return load_clip(path, sample_rate=rate, duration=config.clip_seconds, channel=channel)


def clip_picture(wave: Tensor, name: str, config: ExperimentConfig) -> Tensor:
    """Draw sound as the network sees it: `(3, bins or crop, frames or crop)` in [0, 1].

    The place of the crop depends on the seed and on `name`, the clip's file name.
    """
    settings = config.spectrogram
    image = spectrogram_image(log_spectrogram(wave, settings), settings)
    image = pad_to(image, config.crop, config.crop)  # silence after a clip that is too short
    if config.spectrogram_fit == "whole":
        frames = frame_count(round(config.clip_seconds * settings.sample_rate), settings)
        image = pad_to(image, config.crop, frames)[..., :frames]
    else:
        image = random_crop(image, config.crop, generator=generator_for(config.seed, name))
    return 1 - image if settings.inverted else image


def crop_of(path: Path, config: ExperimentConfig, frames: int) -> tuple[int, int]:
    """Tell the first and last-but-one frame of the square that `clip_picture` shows the network."""
    if config.spectrogram_fit == "whole":
        return 0, frames
    columns = torch.arange(max(frames, config.crop), dtype=torch.float32)
    image = columns.expand(3, max(config.spectrogram.bins, config.crop), -1)
    seen = random_crop(image, config.crop, generator=generator_for(config.seed, path.name))
    return int(seen[0, 0, 0]), int(seen[0, 0, -1]) + 1


def example_picture(config: ExperimentConfig, home: Path | None = None) -> tuple[Tensor, Tensor]:
    """Load a test picture and the crop that was made of it, `(3, height, width)` in [0, 1]."""
    home = home or data_home()
    chosen = _items(corpora(config, home=home), "test")[0]
    return whole(chosen, home), _crops(chosen, config, home)[0]


def frozen_backbone(config: ExperimentConfig, memory: str | None = None) -> Backbone:
    """Build the picture network of an experiment, on its device, giving what its decoder reads."""
    model = config.model
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # matters to weights="none" alone
        backbone = build_backbone(model.encoder, model.weights, memory=memory or model.positions)
    return backbone.to(check_device(config.device))


def encoder_settings(config: ExperimentConfig) -> dict[str, Any]:
    """Name what features depend on, beside the pictures; weights by content, as files move."""
    device, model = check_device(config.device), config.model
    return {
        "encoder": model.encoder,
        "weights": weights_digest(model.encoder, model.weights),
        "device": device.type,
        "precision": native_precision(device),
    }
