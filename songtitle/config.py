"""Settings: all that an experiment depends on, typed and frozen, and the presets by name.

Each setting has a dotted name, such as `seed` or `spectrogram.hop_length`: one way to change any of
them for papermill, the command line, presets and the switchboard alike. The presets are those of
`data_manifest/presets.toml`, which says what each is for.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from songtitle import declared
from songtitle.errors import InputError
from songtitle.schema import (
    Above0,
    AtLeastOne,
    Checked,
    Count,
    CountOr0,
    From0,
    OneOf,
    Seed,
    Several,
    Told,
    brief,
    fitting,
    plain,
    refuse,
    told,
)

if TYPE_CHECKING:
    import torch

# -- parts

Channel = Literal["mean", "left", "right"]


@dataclass(frozen=True, kw_only=True)
class SpectrogramConfig(Checked):
    """How a clip becomes a spectrogram; `InputError` names a field that makes none."""

    sample_rate: Count = 22_050
    """Samples a second that a clip is resampled to (Hz)."""
    n_fft: Count = 512
    """Points of the transform."""
    window_length: Count = 512
    """Samples under the window, at most n_fft; a shorter one is zero-padded to n_fft."""
    hop_length: Count = 256
    """Samples from one frame to the next: 256 at 22,050 Hz are 11.6 ms."""
    bins: Count = 256
    """Lowest frequencies kept, DC included; n_fft // 2 leaves out Nyquist alone."""
    window: Literal["hann", "hamming", "blackman", "rectangular"] = "hann"
    """The window that each frame is multiplied by."""
    top_db: Above0 = 80.0
    """Floor of the spectrogram, dB below the loudest bin."""
    inverted: bool = False
    """Whether the network sees loud as black on white, as most drawings are, or white on black."""
    channel: Channel = "mean"
    """How stereo becomes mono: the mean of all channels, or one of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, limit, of in (
            ("window_length", self.n_fft, "n_fft"),
            ("bins", self.n_fft // 2 + 1, "n_fft // 2 + 1"),
        ):
            if (value := getattr(self, name)) > limit:
                then = "make it smaller or n_fft larger"
                refuse(name, f"at most {of} = {limit}", brief(value), then)


TRUE_SHAPE = SpectrogramConfig()
"""256 bins by about 2,580 frames for a 30 s clip: the size that the paper states."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Checked):
    """What a beam search keeps and how it ranks."""

    beam_size: Count = 5
    """Hypotheses kept per example; may exceed the vocabulary. Pages take beam_sizes instead."""
    max_steps: Count = 20
    """Tokens of a hypothesis at most, <eos> included."""
    length_penalty: From0 = 0.0
    """Exponent of the length that divides a log-probability; 0 ranks by the sum, 1 by the mean."""
    min_length: CountOr0 = 0
    """Tokens before <eos> may come; neither <bos> nor <eos> counts."""
    no_repeat_ngram: CountOr0 = 0
    """No n tokens in a row come twice in a hypothesis; 0: they may."""
    unfinished: Literal["keep", "drop"] = "keep"
    """Hypotheses without <eos> after max_steps tokens: ranked with the others as they stand, or
    left out, their places empty."""
    stop: Literal["all", "best"] = "all"
    """When an example is over: all its hypotheses are finished, or no unfinished one can overtake
    the best finished; the first hypothesis is then the same, the rest fewer."""


LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ENCODERS = (*LITES, *RESNETS, "timbre")
DECODERS = ("lstm", "attention", "transformer")
MEMORIES = ("auto", "pooled", "map")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Checked):
    """What the captioner is made of (paper 4.2 unless noted)."""

    encoder: Annotated[str, OneOf(ENCODERS)] = "efficientnet_lite0"
    """The picture network; the paper: resnet152."""
    weights: str = "imagenet"
    """Of the picture network: imagenet, imagenet_v2, none, or the path of a state dict."""
    memory: Annotated[str, OneOf(MEMORIES)] = "auto"
    """What the decoder reads of a picture; auto: pooled for the lstm, map for those that look."""
    fine_tune: bool = False
    """Whether the picture network trains too."""
    decoder: Annotated[str, OneOf(DECODERS)] = "lstm"
    """What makes words of it; the paper: lstm."""
    dim: Count = 512
    """Width of embeddings, hidden states and memory."""
    num_layers: Count = 1
    """Layers of the decoder."""
    num_heads: Count = 8
    """Heads of the transformer; divides dim."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of embeddings and decoder outputs that training drops."""
    word_vectors: str = "none"
    """Embeddings to begin with: none, glove, or the path of a text file of vectors."""
    attention_penalty: From0 = 0.0
    """Weight of doubly stochastic attention, of the attention decoder; Xu et al. 2015 give 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        penalty, timbre = self.attention_penalty, self.encoder == "timbre"
        whole = self.decoder != "transformer" or self.dim % self.num_heads == 0
        no_map = f"0 with decoder {self.decoder!r}, which has no such attention"
        for name, fits, wanted in (
            ("attention_penalty", penalty == 0 or self.decoder == "attention", no_map),
            ("num_heads", whole, f"a divisor of dim, {self.dim}"),
            ("fine_tune", not (timbre and self.fine_tune), "False with encoder 'timbre'"),
            ("memory", not timbre or self.memory != "map", "'pooled' with encoder 'timbre'"),
        ):
            if not fits:
                refuse(name, wanted, str(getattr(self, name)), "change the setting")

    @property
    def positions(self) -> str:
        """What `memory` comes to, "pooled" or "map": "auto" is what suits the decoder."""
        if self.memory == "auto":
            looks = self.decoder != "lstm" and self.encoder != "timbre"
            return "map" if looks else "pooled"
        return self.memory


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Checked):
    """How the captioner is trained (paper 4.2: Adam, rate 0.001, ten epochs shown).

    One update reads `batch_size * accumulate` examples in each process.
    """

    epochs: Count = 10
    """Times that every picture is seen."""
    batch_size: Count = 32
    """Examples that a process holds at once; not stated in the paper."""
    learning_rate: Above0 = 1e-3
    """Step of Adam."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the rate goes on; cosine falls to 0 at the last epoch's end."""
    warmup_steps: CountOr0 = 0
    """Updates over which the rate rises from 0; 0: none."""
    clip_norm: From0 = 5.0
    """Length that a gradient is cut to; 0: left as it is."""
    accumulate: Count = 1
    """Batches whose gradients are added up for one update."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of what is multiplied; bf16: products in half precision, weights in full."""
    patience: CountOr0 = 0
    """Epochs without a better validation loss before training stops; 0: never."""
    keep: Literal["last", "best"] = "last"
    """Whose weights are kept: the last epoch's, or those of the lowest validation loss. The paper
    names no choice among its epochs."""
    checkpoint_every: CountOr0 = 0
    """Updates between checkpoints within an epoch; 0: at its end only."""
    seed: Seed = 0
    """Of the order of batches, of dropout, and with the experiment's seed of the first weights."""


# -- inputs, and all of it


@dataclass(frozen=True)
class Input:
    """What a row of Table 4 is about: pictures cut into tiles, or songs by one reading.

    `str(input)` is its name in records and tables, and `Input.of` reads that name.
    """

    kind: Literal["pictures", "songs"]
    reading: Literal["pixels", "timbre", "spectrogram"] = "pixels"
    tile: int | None = None  # side in pixels; songs are not cut

    @classmethod
    def of(cls, name: "Input | str") -> "Input":
        """Read the name of an input. Raises InputError for what is none."""
        side = str(name).removeprefix("pictures ").partition("×")[0]
        tiles = [cls("pictures", tile=int(side))] if side.isdecimal() else []
        for each in (*SONGS, *tiles):
            if name in (each, str(each)):
                return each
        wanted = f"{' or '.join(map(str, SONGS))} or such as pictures 64×64"
        refuse("input", wanted, brief(name), "name one of these")

    @property
    def is_song(self) -> bool:
        """Whether it is of songs."""
        return self.kind == "songs"

    def __str__(self) -> str:
        return f"songs: {self.reading}" if self.is_song else f"pictures {self.tile}×{self.tile}"


TIMBRE, SPECTROGRAM = Input("songs", "timbre"), Input("songs", "spectrogram")
SONGS = (TIMBRE, SPECTROGRAM)


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(Checked):
    """All that an experiment depends on; `asdict` of it travels in records and checkpoints.

    Raises `InputError` that names the setting where one does not fit.
    """

    name: str = "quick"
    seed: Seed = 0
    """All random choices are made from it: split, songs, crops, first weights."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""

    corpora: str = "book"
    """Pictures and songs, of data_manifest/corpora.toml: book, samples, paper, rehearsal; or the
    path of a file of that form."""
    picture_count: Count | None = None
    """Pictures to learn from and test on; None: all of them."""
    song_count: Count = 1000
    """Test songs, as many as in the paper; of pictures in shards as many are tested."""
    title_rules: Literal["ours", "paper"] = "ours"
    """Which titles of Million Song and FMA may be drawn: all with a word, or as the paper tells it
    those without a name and of words in a dictionary."""
    clip_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Length of a song's clip."""
    instruments: Literal["rhythm", "hash"] = "rhythm"
    """Who plays a tune: by the dance, metre and mode that its sheet states, or drawn by a hash of
    its id, so that the sound tells nothing of the title."""
    min_count: Count = 2
    """Occurrences in training captions that make a word known."""
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
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    beam_sizes: AtLeastOne[Count] = (1, 5, 10, 15, 20)
    """Hypotheses kept in search, one column of Table 4 each; 1 is greedy, as in the paper."""
    replicates: Count = 5
    """Seeds of a whole training behind an interval."""
    runs: Several[str] = ()
    """Folders of finished runs of `python -m songtitle train`, each taken in place of a training
    here with its model, its training and its seed: how millions of pictures are learnt from."""
    draws: Count = 20
    """Draws of random captions, from which chance is read where it has no closed form."""
    monte_carlo_error: Above0 = 0.1
    """Standard error at which a random control is drawn no further: percent points of a score,
    percent of a perplexity."""
    smallest_effect: Above0 = 1.0
    """The smallest gain that would matter, in percent points, against which nulls are held."""
    compared_encoders: AtLeastOne[Annotated[str, OneOf(ENCODERS)]] = LITES
    """Encoders that the page on training compares."""
    compared_decoders: AtLeastOne[Annotated[str, OneOf(DECODERS)]] = DECODERS
    """Decoders that it compares, each with every encoder."""
    switches: Several[str] = ()
    """Assumptions that the switchboard answers otherwise; none named: all of them."""
    switch_songs: Count = 200
    """Test songs that it hears anew where a change needs other spectrograms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        declared.check(self.corpora)

    @property
    def material(self) -> declared.Corpora:
        """What `corpora` names. Raises InputError where a file declares none."""
        return declared.corpora_of(self.corpora)

    def called(self, name: Input | str) -> str:
        """What tables call an input of these corpora: "MSD", "Conceptual Captions 64×64"."""
        each = Input.of(name)
        said = self.material.of(each.reading).name
        return f"{said} {each.tile}×{each.tile}" if each.tile else said

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExperimentConfig":
        """The settings that `as_dict` wrote."""
        values = dict(values)
        if before := values.pop("pictures", None):  # of earlier checkpoints
            values["corpora"] = {"stamps": "book", "photos": "samples"}.get(before, before)
        name = values.get("name", cls.name)
        return override(cls(name=name), {k: v for k, v in values.items() if k != "name"})


# -- changes by name

OTHER_NAMES = {"encoder": "model.encoder", "decoder": "model.decoder"}  # as notebooks call them


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


@cache
def _parts() -> dict[str, Any]:
    return {each.name: each.type for each in fields(ExperimentConfig) if is_dataclass(each.type)}


def setting(config: ExperimentConfig, name: str) -> Any:
    """The value of a setting; `InputError`, with the nearest there is, for an unknown name."""
    return attrgetter(_known(name))(config)


def is_setting(name: str) -> bool:
    """Whether a setting has this name, dotted where it is one of a part."""
    return OTHER_NAMES.get(name, name) in settings()


def override(config: ExperimentConfig, changes: Mapping[str, Any]) -> ExperimentConfig:
    """The settings with others in the place of some, by dotted name: `{"model.dropout": 0.2}`.

    Those of a part may stand together: `{"model": {"dropout": 0.2}}`. All of a part change at once,
    so that only the result has to go together. Raises `InputError`, in one line that begins with
    the name, for an unknown name and for a value that does not fit.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, value in flat(changes).items():
        part, _, last = _known(name).rpartition(".")
        parts.setdefault(part, {})[last] = value
    whole = _fitted(config, parts.pop("", {}))
    for part, values in parts.items():
        try:
            whole |= {
                part: replace(getattr(config, part), **_fitted(getattr(config, part), values))
            }
        except InputError as error:  # it begins with the name within the part
            msg = f"{part}.{error}"
            raise InputError(msg) from None
    return replace(config, **whole)


def _fitted(part: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fitting(type(part), name, value) for name, value in values.items()}


def flat(changes: Any) -> dict[str, Any]:
    """Changes of settings by their full dotted names; what papermill gives as text is read.

    Raises `InputError` for what holds no names, or one twice.
    """
    changes = plain(changes)
    if not isinstance(changes, Mapping):
        then = 'try {"spectrogram.hop_length": 128}'
        refuse("settings", "names with values", brief(changes), then)
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if name in _parts() and isinstance(value, Mapping):
            within = {f"{name}.{last}": inner for last, inner in value.items()}
        else:
            within = {str(OTHER_NAMES.get(name, name)): value}
        for twice in within.keys() & found.keys():
            got = f"{brief(found[twice])} and {brief(within[twice])}"
            refuse(twice, "one value", got, "leave one out")
        found |= within
    return found


def nearest(name: str, *others: str) -> str:
    """A question for an error, `; did you mean seed?`, where some name is near; else nothing."""
    part, _, end = name.rpartition(".")
    ends = {each.rpartition(".")[2]: each for each in reversed(settings())}
    near = [ends[end]] if end in ends else []
    if part not in _parts():  # else what names have in common is the part alone
        near += difflib.get_close_matches(name, [*others, *settings()], n=1)
    near = near or [ends[each] for each in difflib.get_close_matches(end, ends, n=1)]
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def _known(name: str) -> str:
    if name in _parts():
        first = next(each for each in settings() if each.startswith(f"{name}."))
        refuse(name, "the name of one setting", "a part of them", f"try {first}")
    if name not in settings():
        plain_name = len(name) < 80 and name.replace(".", "_").isidentifier()  # else anything
        near = nearest(name) if plain_name else ""
        msg = f"{name if plain_name else brief(name)}: no such setting"
        raise InputError(msg + (near or "; `python -m songtitle settings` lists them"))
    return name


def check_device(name: str) -> "torch.device":
    """The torch device a name stands for; `auto` is the first of cuda, mps and cpu at hand."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        msg = f"device: expected auto, cpu, cuda or mps as this machine has them, got {name!r}"
        raise InputError(msg) from error
    return device


# -- presets


def _presets() -> dict[str, ExperimentConfig]:
    table = Path(__file__).resolve().parents[1] / "data_manifest" / "presets.toml"
    made: dict[str, ExperimentConfig] = {}
    for name, changes in tomllib.loads(table.read_text("utf-8")).items():
        base = made[changes.pop("from")] if "from" in changes else ExperimentConfig()
        made[name] = replace(override(base, changes), name=name)
    return made


PRESETS = _presets()
PAPER_LITERAL = PRESETS["paper_literal"].spectrogram
"""The paper's own words: 44.1 kHz, 1,024 points, a window of 512 that overlaps by half."""


def preset(name: str, settings: Any = None, /, **changes: Any) -> ExperimentConfig:
    """A preset by name, with some of its settings changed.

    `settings` maps dotted names to values, or is text that does. `changes` are named alike,
    `encoder` and `decoder` short for those of the model; one that is None keeps the preset's own.
    Anything that does not fit raises `InputError` naming it.
    """
    if name not in PRESETS:
        refuse("preset", f"one of {', '.join(PRESETS)}", repr(name), "choose one of these")
    asked = flat({key: value for key, value in changes.items() if value is not None})
    named = flat(settings or {})
    for key in asked.keys() & named.keys():
        got = f"{brief(asked[key])} and, in settings, {brief(named[key])}"
        refuse(key, "one value", got, "leave it out there")
    config = override(PRESETS[name], asked | named)
    cut = (asked | named).keys() & {"crop", "tile_sizes"}
    if cut and any(config.crop % size for size in config.tile_sizes):
        wanted = f"sizes that divide the {config.crop}-pixel crop, such as "
        wanted += brief([config.crop // 4, config.crop])
        refuse("tile_sizes", wanted, brief(config.tile_sizes), "change them too")
    if config.device not in ("auto", "cpu"):  # which every machine has; torch takes seconds to load
        check_device(config.device)
    return config
