"""Presets: every setting of an experiment, typed, under a name.

`tiny` is for tests and takes seconds; `quick` is what the book shows, minutes on two cores;
`course` is `quick` with the paper's ResNet-152; `paper_literal` takes the paper's text at its
word, `best_guess` repairs what cannot have been meant, and `modern` is what one would build of
the same parts today. All of them run on the corpora of this version (captioned stamps, rendered
folk tunes); none is the paper's own data.
"""

from dataclasses import replace
from typing import Any

from songtitle.config import LITE, ExperimentConfig, flat, override
from songtitle.devices import check_device
from songtitle.errors import InputError
from songtitle.model.captioner import ModelConfig
from songtitle.schema import brief
from songtitle.search import SearchConfig
from songtitle.spectrograms import PAPER_LITERAL
from songtitle.training import TrainingConfig

RESNETS = ("resnet18", "resnet50", "resnet152")  # weights must be fetched


QUICK = ExperimentConfig()
COURSE = replace(
    QUICK, name="course", model=ModelConfig(encoder="resnet152"), compared_encoders=RESNETS
)
MODERN = replace(
    COURSE,
    name="modern",
    # A map of the picture in place of its mean, and the longer recipe of torchvision's second
    # weights, of which there are none for ResNet-18.
    model=ModelConfig(encoder="resnet50", weights="imagenet_v2", decoder="transformer"),
    training=TrainingConfig(schedule="cosine", warmup_steps=100, patience=3),
    search=SearchConfig(length_penalty=1.0),  # ranks by log-probability per token
    compared_encoders=("resnet50", "resnet152"),
)

PRESETS: dict[str, ExperimentConfig] = {
    "tiny": replace(
        QUICK,
        name="tiny",
        picture_count=60,
        song_count=12,
        clip_seconds=4.0,
        views=1,
        tile_sizes=(128, 256),
        training=TrainingConfig(epochs=2, batch_size=16),
        model=ModelConfig(dim=96),
        beam_sizes=(1, 3),
        compared_encoders=LITE[:1],
        replicates=2,
        draws=3,
        switches=("dropout", "timbre_scale", "decibels", "shortest_title", "bleu", "hypothesis"),
        switch_songs=7,
    ),
    "quick": QUICK,
    "course": COURSE,
    "paper_literal": replace(
        COURSE,
        name="paper_literal",
        model=ModelConfig(encoder="resnet152", dropout=0.0),  # nn.LSTM drops nothing with one layer
        spectrogram=PAPER_LITERAL,
        standardise_timbre=False,
    ),
    "best_guess": replace(COURSE, name="best_guess"),
    # On real photos and songs: crops and tiles of the side that their copies at hand have. Five
    # captions a photo make five times as many examples, so that fewer epochs do.
    "samples": replace(
        QUICK,
        name="samples",
        pictures="photos",
        picture_count=1500,
        min_count=3,
        crop=224,
        views=1,
        tile_sizes=(28, 56, 112, 224),
        training=TrainingConfig(epochs=8, batch_size=64, patience=2),
        compared_encoders=LITE[:1],
        compared_decoders=("lstm",),
    ),
    "modern": MODERN,
}


def preset(name: str, settings: Any = None, /, **changes: Any) -> ExperimentConfig:
    """A preset by name, with some of its settings changed.

    `settings` maps dotted names to values, or is text that does. `changes` are named alike,
    `encoder` and `decoder` short for those of the model; one that is None keeps the preset's own.
    Anything that does not fit raises `InputError` naming it.
    """
    if name not in PRESETS:
        msg = f"preset: expected one of {', '.join(PRESETS)}, got {name!r}; choose one of these"
        raise InputError(msg)
    asked = flat({key: value for key, value in changes.items() if value is not None})
    named = flat(settings or {})
    for key in asked.keys() & named.keys():
        msg = f"{key}: expected one value, got {brief(asked[key])} and, in settings, "
        msg += f"{brief(named[key])}; leave it out there"
        raise InputError(msg)
    config = override(PRESETS[name], asked | named)
    cut = (asked | named).keys() & {"crop", "tile_sizes"}
    if cut and any(config.crop % size for size in config.tile_sizes):
        msg = (
            f"tile_sizes: expected sizes that divide the {config.crop}-pixel crop, such as "
            f"{[config.crop // 4, config.crop]}, got {brief(config.tile_sizes)}; change them too"
        )
        raise InputError(msg)
    check_device(config.device)
    return config
