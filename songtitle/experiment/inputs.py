"""The inputs: what the frozen backbone makes of pictures, and the two readings of a song."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from songtitle.audio import (
    frame_count,
    load_clip,
    log_spectrogram,
    spectrogram_image,
)
from songtitle.devices import check_device
from songtitle.experiment.common import encoder_settings, generator_for, once, pick, read_json
from songtitle.experiment.corpora import SPLITS, clips, corpora
from songtitle.images import load_picture, pad_to, random_crop, random_view, tiles
from songtitle.manifest import data_home
from songtitle.model.encoder import Backbone, build_backbone
from songtitle.presets import ExperimentConfig
from songtitle.stages import Record, run_stage
from songtitle.timbre import timbre_vector

Item = TypeVar("Item")


@once
def picture_features(config: ExperimentConfig, *, home: Path) -> Record:
    """What the frozen backbone makes of the pictures: `features.safetensors`.

    `train (items, views, features)`, `valid (items, 1, features)` and, for each tile size s,
    `test_s (items, tiles, features)`: one seeded crop of each picture, cut into tiles.
    """
    before = corpora(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        pictures = read_json(before.file("pictures.json"))
        backbone = frozen_backbone(config)
        clock = time.perf_counter()
        found: dict[str, Tensor] = {}
        for split in SPLITS:
            mine = [picture for picture in pictures if picture["split"] == split]

            def views(picture: dict[str, Any], split: str = split) -> Tensor:
                image = load_picture(home / picture["path"])
                generator = generator_for(config.seed, picture["id"])
                count = config.views if split == "train" else 1
                return torch.stack(
                    [random_view(image, config.crop, generator=generator) for _ in range(count)]
                )

            if split != "test":
                found[split] = _encode(backbone, views, mine)
                continue
            crops = [views(picture)[0] for picture in mine]
            for size in config.tile_sizes:
                found[f"test_{size}"] = _encode(backbone, partial(tiles, size=size), crops)
        save_file(found, folder / "features.safetensors")
        seconds = time.perf_counter() - clock
        return {
            "shapes": {name: list(tensor.shape) for name, tensor in found.items()},
            "timing": {"encode_seconds": round(seconds, 3)},
        }

    settings = pick(config, "seed", "crop", "views", "tile_sizes") | encoder_settings(config)
    return run_stage("picture_features", compute, settings=settings, inputs=[before], home=home)


@once
def song_features(config: ExperimentConfig, *, home: Path) -> Record:
    """Both readings of each clip: `timbre (items, 90)`, `spectrogram (items, features)`."""
    before = clips(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        names = [song["clip"] for song in read_json(before.file("songs.json"))]
        backbone = frozen_backbone(config)
        timbre: dict[str, Tensor] = {}

        def look(name: str) -> Tensor:
            wave = hear(before.file("clips") / name, config)
            timbre[name] = timbre_vector(wave, sample_rate=config.spectrogram.sample_rate)
            return clip_picture(wave, name, config).unsqueeze(0)

        spectrogram = _encode(backbone, look, names)[:, 0]
        found = {
            "timbre": torch.stack([timbre[name] for name in names]),
            "spectrogram": spectrogram,
        }
        save_file(found, folder / "features.safetensors")
        return {"shapes": {name: list(tensor.shape) for name, tensor in found.items()}}

    settings = pick(config, "seed", "crop", "clip_seconds", "spectrogram_fit")
    settings |= {"spectrogram": asdict(config.spectrogram)} | encoder_settings(config)
    return run_stage("song_features", compute, settings=settings, inputs=[before], home=home)


def hear(path: Path, config: ExperimentConfig) -> Tensor:
    """An audio file as mono samples, at the rate and from the channel of the spectrogram."""
    settings = config.spectrogram
    return load_clip(
        path,
        sample_rate=settings.sample_rate,
        duration=config.clip_seconds,
        channel=settings.channel,
    )


def clip_picture(wave: Tensor, name: str, config: ExperimentConfig) -> Tensor:
    """Sound as the network sees it: `(3, bins or crop, frames or crop)` in [0, 1].

    The place of the crop depends on the seed and on `name`, the clip's file name.
    """
    settings = config.spectrogram
    image = spectrogram_image(log_spectrogram(wave, settings), settings)
    image = pad_to(image, config.crop, config.crop)  # silence after a clip that is too short
    if config.spectrogram_fit == "whole":
        frames = frame_count(round(config.clip_seconds * settings.sample_rate), settings)
        return pad_to(image, config.crop, frames)[..., :frames]
    return random_crop(image, config.crop, generator=generator_for(config.seed, name))


def crop_of(path: Path, config: ExperimentConfig, frames: int) -> tuple[int, int]:
    """First and last-but-one frame of the square that `clip_picture` shows the network."""
    if config.spectrogram_fit == "whole":
        return 0, frames
    columns = torch.arange(max(frames, config.crop), dtype=torch.float32)
    rows = max(config.spectrogram.bins, config.crop)
    image = columns.expand(3, rows, -1)
    seen = random_crop(image, config.crop, generator=generator_for(config.seed, path.name))
    return int(seen[0, 0, 0]), int(seen[0, 0, -1]) + 1


def example_picture(config: ExperimentConfig, home: Path | None = None) -> tuple[Tensor, Tensor]:
    """A test picture and the crop that was made of it, `(3, height, width)` in [0, 1]."""
    home = home or data_home()
    pictures = read_json(corpora(config, home=home).file("pictures.json"))
    chosen = next(picture for picture in pictures if picture["split"] == "test")
    image = load_picture(home / chosen["path"])
    generator = generator_for(config.seed, chosen["id"])
    return image, random_view(image, config.crop, generator=generator)


def frozen_backbone(config: ExperimentConfig) -> Backbone:
    """The picture network of an experiment, on its device."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # matters to weights="none" alone
        backbone = build_backbone(config.model.encoder, config.model.weights)
    return backbone.to(check_device(config.device))


def _encode(backbone: Backbone, prepare: Callable[[Item], Tensor], items: Sequence[Item]) -> Tensor:
    """`(items, views, features)`: pictures prepared in threads, encoded a batch at a time."""
    device = backbone.mean.device
    found = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), 32):
            images = torch.stack(list(pool.map(prepare, items[start : start + 32])))
            # Some 16 crops of 256 pixels at a time, or as many tiles as have that area: what a
            # CPU's cache likes.
            parts = images.flatten(0, 1).split(max(1, 16 * 256**2 // images[0, 0, 0].numel()))
            features = torch.cat([backbone(part.to(device)).cpu() for part in parts])
            found.append(features.unflatten(0, images.shape[:2]).clone())
    return torch.cat(found)
