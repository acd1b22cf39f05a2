"""Presets: every setting of an experiment, typed, under a name.

`tiny` is for tests and takes seconds; `quick` is what the book shows, minutes on two cores;
`course` is `quick` with the paper's ResNet-152; `paper_literal` takes the paper's text at its
word, `best_guess` repairs what cannot have been meant, and `modern` is what one would build of
the same parts today. All of them run on the corpora of this version (captioned stamps, rendered
folk tunes); none is the paper's own data.
"""

import ast
import contextlib
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from songtitle.audio import PAPER_LITERAL
from songtitle.config import LITE, ExperimentConfig
from songtitle.devices import check_device
from songtitle.errors import InputError
from songtitle.model.captioner import ModelConfig
from songtitle.search import SearchConfig
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


PARTS = ("encoder", "decoder")  # of the model, changed by one parameter


def preset(name: str, **changes: Any) -> ExperimentConfig:
    """A preset by name, with some of its settings changed.

    `encoder` and `decoder` are those of its model. Values may come as papermill gives them: lists
    such as `beam_sizes` also as text like `"[1, 3]"`. Anything that does not fit raises
    `InputError` naming the parameter.
    """
    if name not in PRESETS:
        msg = f"preset: expected one of {', '.join(PRESETS)}, got {name!r}; choose one of these"
        raise InputError(msg)
    config = PRESETS[name]
    fields = set(asdict(config)) - {"name"} | set(PARTS)
    for key, value in changes.items():
        if key not in fields:
            msg = f"{key}: no such setting; expected one of {', '.join(sorted(fields))}"
            raise InputError(msg)
        if value is None:  # keeps the preset's own
            continue
        if key in PARTS:
            config = replace(config, model=replace(config.model, **{key: value}))
        else:
            config = replace(config, **{key: _fitting(key, value, getattr(config, key))})
    cut = changes.get("tile_sizes") is not None  # training on shards crops, and cuts no tiles
    if cut and any(config.crop % size for size in config.tile_sizes):
        fits = [config.crop // 4, config.crop]
        msg = (
            f"tile_sizes: expected sizes that divide the {config.crop}-pixel crop, such as {fits}, "
            f"got {config.tile_sizes}"
        )
        raise InputError(msg)
    check_device(config.device)
    return config


def _fitting(key: str, value: Any, default: Any) -> Any:
    if key in ("compared_encoders", "compared_decoders"):
        return _parts(key, value)
    if key == "switches":
        return _names(key, value)
    if key in ("beam_sizes", "tile_sizes"):
        return sizes(key, value)
    if isinstance(default, bool):
        kind: type = bool
    elif isinstance(default, int) or key == "picture_count":
        kind = int
    elif isinstance(default, float):
        kind = float
    else:
        kind = type(default)
    fits = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    if kind is float and type(value) is int:
        return float(value)
    if not fits:
        msg = f"{key}: expected {kind.__name__}, such as {default!r}, got {value!r}"
        raise InputError(msg)
    return value


def _parts(key: str, value: Any) -> tuple[str, ...]:
    """Names of encoders or decoders, at least one, that the model knows."""
    found = _names(key, value)
    if not found:
        msg = f'{key}: expected a list of names, such as ["lstm"], got {value!r}; mend -p {key}'
        raise InputError(msg)
    for each in found:
        part: dict[str, Any] = {key.removeprefix("compared_").removesuffix("s"): each}
        ModelConfig(**part)
    return found


def _names(key: str, value: Any) -> tuple[str, ...]:
    """Names from a list, one name, or text that holds a list; no repeats."""
    value = _plain(value)
    found = (value,) if isinstance(value, str) else tuple(value) if _is_list(value) else None
    if found is None or not all(isinstance(each, str) for each in found):
        msg = f'{key}: expected a list of names, such as ["lstm"], got {value!r}; mend -p {key}'
        raise InputError(msg)
    return tuple(dict.fromkeys(found))


def _plain(value: Any) -> Any:
    """What a text stands for, if it is written as Python writes lists and numbers."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(value)
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | dict)


def sizes(key: str, value: Any) -> tuple[int, ...]:
    """Positive whole numbers from a list, a number, or text that holds either; no repeats."""
    value = _plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    found: tuple[Any, ...] = ()
    if _is_list(value):
        found = tuple(value)
    if not found or not all(type(size) is int and size > 0 for size in found):
        msg = (
            f"{key}: expected positive whole numbers, such as [1, 3], got {value!r}; mend -p {key}"
        )
        raise InputError(msg)
    return tuple(dict.fromkeys(found))
