"""Settings: all that an experiment depends on, typed, in one frozen dataclass.

Each has a dotted name, such as `seed` or `spectrogram.hop_length`: one way to change any of them
for papermill, the command line, presets and the switchboard alike.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import Field

from songtitle.errors import InputError
from songtitle.model.settings import DECODERS, ENCODERS, ModelConfig
from songtitle.schema import (
    AtLeastOne,
    Count,
    OneOf,
    Seed,
    Several,
    Told,
    brief,
    check,
    fitting,
    plain,
    told,
)
from songtitle.search.settings import SearchConfig
from songtitle.spectrograms import SpectrogramConfig
from songtitle.training.settings import TrainingConfig

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")  # weights come packaged
OTHER_NAMES = {"encoder": "model.encoder", "decoder": "model.decoder"}  # as notebooks call them


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """All that an experiment depends on; `asdict` of it travels in records and checkpoints.

    Raises `InputError` that names the setting where one does not fit.
    """

    name: str = "quick"
    seed: Seed = 0
    """All random choices are made from it: split, songs, crops, first weights."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""

    # data: the corpora that come with the book, or photos and songs of the paper's own kind that
    # a reader has (`experiment.material` says where they are looked for)
    pictures: Literal["stamps", "photos"] = "stamps"
    """The corpora: those that come with the book, or photos and real songs of a reader's own."""
    picture_count: Count | None = None
    """Pictures to learn from and test on; None: all of them."""
    song_count: Count = 1000
    """Test songs, as many as in the paper."""
    clip_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Length of a song's clip."""
    min_count: Count = 2
    """Occurrences in training captions that make a word known."""

    # inputs
    crop: Count = 256
    """Side of what the network sees of a picture, in pixels (paper, section 2)."""
    views: Count = 2
    """Random crops and reflections kept of each training picture."""
    tile_sizes: AtLeastOne[Count] = (32, 64, 128, 256)
    """Sides of the tiles that a crop is cut into, in pixels; each divides the crop."""
    spectrogram: SpectrogramConfig = field(default_factory=SpectrogramConfig)
    spectrogram_fit: Literal["crop", "whole"] = "crop"
    """crop: a spectrogram is cropped as a picture is (the paper's Fig. 4: it "follows the
    processing path of a natural image"); whole: all frames go through the network."""
    standardise_timbre: bool = True
    """Whether timbre is brought to unit scale. The paper scales it in no way (section 4.3), though
    the decoder knows unit scale only."""

    # model, training, search
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    beam_sizes: AtLeastOne[Count] = (1, 5, 10, 15, 20)
    """Hypotheses kept in search, one column of Table 4 each; 1 is greedy, as in the paper."""

    # how often
    replicates: Count = 5
    """Seeds of a whole training behind an interval."""
    draws: Count = 20
    """Draws of a control."""

    # what the page on training compares: every encoder with every decoder
    compared_encoders: AtLeastOne[Annotated[str, OneOf(ENCODERS)]] = LITE
    """Encoders that the page on training compares."""
    compared_decoders: AtLeastOne[Annotated[str, OneOf(DECODERS)]] = DECODERS
    """Decoders that it compares, each with every encoder."""

    # what the page on assumptions changes, one at a time
    switches: Several[str] = ()
    """Assumptions that the switchboard answers otherwise; none named: all of them."""
    switch_songs: Count = 200
    """Test songs that it hears anew where a change needs other spectrograms."""

    def __post_init__(self) -> None:
        check(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExperimentConfig":
        """The settings that `as_dict` wrote."""
        return cls(**{name: _read(cls, name, value) for name, value in values.items()})


@cache
def settings() -> dict[str, Told]:
    """Every setting by its dotted name, in the order of the dataclasses."""
    found: dict[str, Told] = {}
    for each in fields(ExperimentConfig):
        if part := _parts().get(each.name):
            found |= {f"{each.name}.{name}": said for name, said in told(part).items()}
        elif each.name != "name":
            found[each.name] = told(ExperimentConfig)[each.name]
    return found


def setting(config: ExperimentConfig, name: str) -> Any:
    """The value of a setting; `InputError`, with the nearest there is, for an unknown name."""
    return attrgetter(_known(name))(config)


def override(config: ExperimentConfig, changes: Mapping[str, Any]) -> ExperimentConfig:
    """The settings with others in the place of some, by dotted name: `{"model.dropout": 0.2}`.

    Those of a part may stand together: `{"model": {"dropout": 0.2}}`. All of a part change at once,
    so that only the result has to go together. Raises `InputError`, in one line that begins with
    the name, for an unknown name and for a value that does not fit.
    """
    inner: dict[str, dict[str, Any]] = {}
    for name, value in flat(changes).items():
        part, _, last = _known(name).rpartition(".")
        inner.setdefault(part, {})[last] = value
    outer = {name: fitting(ExperimentConfig, name, v) for name, v in inner.pop("", {}).items()}
    for part, values in inner.items():
        kind = _parts()[part]
        try:
            fit = {name: fitting(kind, name, value) for name, value in values.items()}
            outer[part] = replace(getattr(config, part), **fit)
        except InputError as error:  # it begins with the name within the part
            msg = f"{part}.{error}"
            raise InputError(msg) from None
    return replace(config, **outer)


def flat(changes: Any) -> dict[str, Any]:
    """Changes of settings by their full dotted names; what papermill gives as text is read.

    Raises `InputError` for what holds no names, or one twice.
    """
    changes = plain(changes)
    if not isinstance(changes, Mapping):
        msg = f"settings: expected names with values, got {brief(changes)}; "
        raise InputError(msg + 'try {"spectrogram.hop_length": 128}')
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if name in _parts() and isinstance(value, Mapping):
            within = {f"{name}.{last}": inner for last, inner in value.items()}
        else:
            within = {str(OTHER_NAMES.get(name, name)): value}
        if twice := within.keys() & found.keys():
            first = min(twice)
            msg = f"{first}: expected one value, got {brief(found[first])} and "
            raise InputError(msg + f"{brief(within[first])}; leave one out")
        found |= within
    return found


def is_setting(name: str) -> bool:
    """Whether a setting has this name, dotted where it is one of a part."""
    return OTHER_NAMES.get(name, name) in settings()


def nearest(name: str, *others: str) -> str:
    """A question for an error, `; did you mean seed?`, where some name is near; else nothing."""
    part, _, end = name.rpartition(".")
    ends = {each.rpartition(".")[2]: each for each in reversed(settings())}
    near = [ends[end]] if end in ends else []
    if part not in _parts():  # else what names have in common is the part alone
        near += difflib.get_close_matches(name, [*others, *settings()], n=1)
    near = near or [ends[each] for each in difflib.get_close_matches(end, ends, n=1)]
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _read(kind: Any, name: str, value: Any) -> Any:
    if part := _parts().get(name):
        return part(**{last: fitting(part, last, inner) for last, inner in value.items()})
    return fitting(kind, name, value)


def _known(name: str) -> str:
    if name in _parts():
        first = next(each for each in settings() if each.startswith(f"{name}."))
        msg = f"{name}: expected the name of one setting, got a part of them; try {first}"
        raise InputError(msg)
    if name not in settings():
        plain_name = len(name) < 80 and name.replace(".", "_").isidentifier()  # else anything
        near = nearest(name) if plain_name else ""
        msg = f"{name if plain_name else brief(name)}: no such setting"
        raise InputError(msg + (near or "; `python -m songtitle settings` lists them"))
    return name


@cache
def _parts() -> dict[str, Any]:
    return {each.name: each.type for each in fields(ExperimentConfig) if is_dataclass(each.type)}
