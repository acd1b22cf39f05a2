"""Settings: all that an experiment depends on, typed, in one frozen dataclass."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from songtitle.audio import SpectrogramConfig
from songtitle.model.captioner import ModelConfig
from songtitle.search import SearchConfig
from songtitle.training import TrainingConfig

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")  # weights come packaged


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """All that an experiment depends on; `asdict` of it travels in records and checkpoints."""

    name: str = "quick"
    seed: int = 0
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"

    # data: the corpora that come with the book, or photos and songs of the paper's own kind that
    # a reader has (`experiment.material` says where they are looked for)
    pictures: Literal["stamps", "photos"] = "stamps"
    picture_count: int | None = None  # None: all of them
    song_count: int = 1000  # test songs, as in the paper
    clip_seconds: float = 30.0
    min_count: int = 2  # occurrences in training captions that make a word known

    # inputs
    crop: int = 256  # pixels a side (paper, section 2)
    views: int = 2  # random crops and reflections kept of each training picture
    tile_sizes: tuple[int, ...] = (32, 64, 128, 256)  # pixels a side
    spectrogram: SpectrogramConfig = field(default_factory=SpectrogramConfig)
    # "crop": a spectrogram is cropped as a picture is (the paper's Fig. 4: it "follows the
    # processing path of a natural image"); "whole": all frames go through the network.
    spectrogram_fit: Literal["crop", "whole"] = "crop"
    # The paper scales timbre in no way (section 4.3), though the decoder knows unit scale only.
    standardise_timbre: bool = True

    # model, training, search
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    beam_sizes: tuple[int, ...] = (1, 5, 10, 15, 20)  # 1 is greedy search, as in the paper

    # how often: seeds of a whole training behind an interval, draws of a control
    replicates: int = 5
    draws: int = 20

    # what the page on training compares: every encoder with every decoder
    compared_encoders: tuple[str, ...] = LITE
    compared_decoders: tuple[str, ...] = ("lstm", "attention", "transformer")

    # what the page on assumptions changes, one at a time: those named here, or all
    switches: tuple[str, ...] = ()
    switch_songs: int = 200  # test songs heard anew where a change needs other spectrograms

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExperimentConfig":
        """The settings that `as_dict` wrote."""
        nested = {
            "spectrogram": SpectrogramConfig,
            "model": ModelConfig,
            "training": TrainingConfig,
            "search": SearchConfig,
        }
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**values | {key: kind(**values[key]) for key, kind in nested.items()})
