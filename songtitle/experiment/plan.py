"""The plan: what an experiment will ask of disk and time, told before it begins.

Counts come from preset and corpora, seconds from a probe; what is finished costs nothing more.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from songtitle.cache import ROOT, Record, pick
from songtitle.config import SONGS, ExperimentConfig, Input, check_device
from songtitle.corpora import stamps
from songtitle.corpora.fetch import items
from songtitle.corpora.guarded_http import length
from songtitle.corpora.manifest import free, read_source
from songtitle.experiment.controls import BEAMS, CONTROLS, NOISES
from songtitle.experiment.done import Done
from songtitle.experiment.inputs import encoder_settings
from songtitle.experiment.learning import ORDERS, captioner, patient
from songtitle.experiment.naming import BEAM_SIZE, table_inputs, whole_pictures
from songtitle.experiment.probe import CORNERS, LONGER, Probe, beginnings, positions, probe
from songtitle.experiment.quantities import Corpora, Need, plural
from songtitle.experiment.scoring import BOTH, PREFIXES, compared, steps_of
from songtitle.experiment.switchboard import apply, kind, open_answers, touched
from songtitle.machine import cores
from songtitle.metrics.uncertainty import FEWEST
from songtitle.model.encoder import WIDTHS, build_backbone
from songtitle.model.weights import SOURCE, weights_digest
from songtitle.vocabulary import SPECIALS, Vocabulary

KEPT = 16  # bytes of a parameter in checkpoints: newest with both moments of Adam, and best


class Piece(NamedTuple):
    """One stage: what it would take from nothing, in seconds, and what a finished record took."""

    stage: str
    about: str
    seconds: float  # NaN without a probe
    record: Record | None = None
    stopped: float | None = None  # seconds, of a training that stopped early, of the epochs it ran

    @property
    def left(self) -> float:
        """Seconds still to go."""
        return 0.0 if self.record else self.seconds

    @property
    def fact(self) -> float | None:
        """Seconds that it took."""
        if self.record is None:
            return None
        timing = self.record.timing  # the switchboard's own seconds leave its answers out
        return float(timing["seconds"] + sum(timing.get("each", ())))

    @property
    def told(self) -> float:
        """The forecast for what was done: of as many epochs as were run."""
        return self.seconds if self.stopped is None else self.stopped


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is needed and how long it takes."""

    preset: str
    corpora: Corpora
    probe: Probe | None
    needs: tuple[Need, ...]
    pieces: tuple[Piece, ...]
    trainings: int
    free: int  # bytes

    @property
    def short(self) -> int:
        """Bytes that the disk lacks."""
        return max(0, sum(need.missing for need in self.needs) - self.free)

    @property
    def seconds(self) -> float:
        """Seconds still to go, one stage after another."""
        return sum(piece.left for piece in self.pieces)


NAN: Mapping[Any, float] = defaultdict(lambda: math.nan)
NOT_PROBED = Probe(
    hardware="not probed",
    look=math.nan,
    hear=math.nan,
    start=NAN,
    encode=NAN,
    step=NAN,
    check=NAN,
    search=NAN,
    score=defaultdict(dict),
    likelihood=math.nan,
    memory=0,
)
IDLE = ROOT / "notebooks" / "18_faults.ipynb"  # shows what is stored, and computes nothing


# -- forecast --------------------------------------------------------------------------------------


class Training(NamedTuple):
    """One training that the notebooks make."""

    about: str
    config: ExperimentConfig
    stage: str = "training"


def trainings(config: ExperimentConfig) -> list[Training]:
    """List every training that notebooks 01 to 18 make of these settings, each once.

    These are the captioner and one without pictures, replicates, encoders with decoders, and
    answers of the switchboard.
    """
    asked = [Training("captioner", config), Training("blind", patient(config), "blind_training")]
    seeds = range(config.replicates)
    repeated = [Training(f"seed {seed}", patient(config, seed=seed)) for seed in seeds]
    for each in compared(config):
        repeated.append(Training(f"{each.model.encoder}, {each.model.decoder}", each))
    for question, answer in open_answers(config):
        if kind(answer.change) == "training":
            its = patient(apply(config, question, answer.label))
            repeated.append(Training(f"{question.name}: {answer.label}", its))
    once: dict[Any, Training] = {}
    for training in (*asked, *repeated):
        once.setdefault((training.config, training.stage), training)
    return list(once.values())


def forecast(
    config: ExperimentConfig,
    corpora: Corpora,
    probed: Probe | None,
    *,
    home: Path,
    done: Done | None = None,
) -> Forecast:
    """Forecast disk and time of the experiment `config` on `corpora`: arithmetic alone.

    Times are of one process, stage after stage, of at most as many epochs as settings say. `done`
    is what is finished, by default nothing.
    """
    done = done or Done(config, None)
    to_train = trainings(config)
    pieces = list(_pieces(config, corpora, probed, done, to_train))
    return Forecast(
        preset=config.name,
        corpora=corpora,
        probe=probed,
        needs=(*corpora.archives, *_needs(config, corpora, done, to_train, home)),
        pieces=tuple(pieces),
        trainings=len(to_train),
        free=free(home),
    )


def _encoded(to_train: Sequence[Training]) -> list[ExperimentConfig]:
    """Of the trainings those that read features of their own, one for each."""
    own: dict[Any, ExperimentConfig] = {}
    for _, its, _ in to_train:
        own.setdefault((its.model.encoder, its.model.weights, its.views), its)
    return list(own.values())


def _maps(config: ExperimentConfig) -> bool:
    """Whether maps are kept beside pooled features: some decoder looks."""
    looks = config.model.memory == "auto" and any(d != "lstm" for d in config.compared_decoders)
    return looks or config.model.positions == "map"


def _needs(
    config: ExperimentConfig,
    corpora: Corpora,
    done: Done,
    to_train: Sequence[Training],
    home: Path,
) -> Iterator[Need]:
    """What is computed or comes with the model: weights, features, checkpoints."""
    sides, every = corpora.pictures, _encoded(to_train)
    files = {item.file.path: item for item in items(read_source(SOURCE), home)}
    for each in {each.model.encoder: each for each in every}.values():
        name = weights_digest(each.model.encoder, each.model.weights).rpartition("/")[2]
        if item := files.get(name):
            size, basis = item.size, "manifest"
            if size is None:
                with torch.device("meta"):
                    network = build_backbone(each.model.encoder, "none")
                size = 4 * sum(p.numel() for p in network.parameters())
                basis = "forecast: 4 B a parameter"
            command = f"python -m songtitle fetch {SOURCE}"
            yield Need(f"weights {name}", size, length(item.target), basis, command)
    for each in every:
        width = WIDTHS.get(each.model.encoder, 0)
        own = each.model.encoder == config.model.encoder and each.views == config.views
        tiles = sum((config.crop // size) ** 2 for size in config.tile_sizes) if own else 1
        rows = sides["train"] * each.views + sides["valid"] + sides["test"] * tiles
        rows += corpora.songs * own
        record = done.features(each)
        here = record.provenance["files"]["bytes"] if record else 0
        memories = {"pooled": 1}
        if _maps(config):
            memories["map"] = positions(each, "attention")
        for memory, places in memories.items():
            size = rows * places * width * corpora.bytes_each[memory]
            basis = (
                f"{plural(rows, 'view')} x {places} x {width:,} x {corpora.bytes_each[memory]} B"
            )
            told = f"features, {memory}: {each.model.encoder}, {plural(each.views, 'view')}"
            yield Need(told, size, size if here else 0, basis)
    if corpora.whole and config.model.positions == "pooled":
        width, rows = WIDTHS.get(config.model.encoder, 0), corpora.whole * config.views
        basis = f"{plural(rows, 'view')} x {width:,} x 2 B"
        yield Need("features, of all", rows * width * 2, 0, basis)
    total = here = 0
    for _, its, stage in to_train:
        count = _parameters(its, corpora.words)
        total, here = total + count, here + count * bool(done.training(its, stage))
    basis = f"{plural(len(to_train), 'training')}, {total:,} parameters x {KEPT} B"
    yield Need("checkpoints", KEPT * total, KEPT * here, basis)


def _parameters(config: ExperimentConfig, words: int) -> int:
    """How many numbers a training learns."""
    model = replace(config.model, word_vectors="none", fine_tune=False)
    known = Vocabulary([str(place) for place in range(words - len(SPECIALS))])
    with torch.device("meta"):
        width = WIDTHS.get(model.encoder, 0)
        network = captioner(replace(config, model=model), known, features=width)
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _pieces(
    config: ExperimentConfig,
    corpora: Corpora,
    probed: Probe | None,
    done: Done,
    to_train: Sequence[Training],
) -> Iterator[Piece]:
    """Every stage that has a forecast, in the order of a run."""
    took = probed or NOT_PROBED
    sides, songs = corpora.pictures, corpora.songs
    examples, held = (corpora.captions * sides[side] for side in ("train", "valid"))
    device = {"device": check_device(config.device).type}
    if corpora.whole:
        yield from _of_all(config, corpora, took)
    for each in _encoded(to_train):
        name = each.model.encoder
        views = sides["train"] * each.views + sides["valid"]
        seconds = took.start[name] + views * took.encode[name]
        seconds += (sides["train"] + sides["valid"]) * took.look
        about = f"{name}, {plural(views, 'view')}"
        yield Piece("picture_features", about, seconds, done.features(each))
    encoder, cuts = config.model.encoder, pick(config, "seed", "crop") | encoder_settings(config)
    cut = [(config, size) for size in config.tile_sizes]
    cut += [(each, config.crop) for each in _encoded(to_train)]
    for each, size in dict.fromkeys(cut):
        name = each.model.encoder
        seconds = took.start[name] + sides["test"] * (took.look + took.encode[name])
        wanted = pick(each, "seed", "crop") | encoder_settings(each) | {"size": size}
        record = done.find("tile_features", wanted, done.corpora)
        yield Piece("tile_features", f"{name}, {size} pixels", seconds, record)
    clips = done.find("clips", pick(config, "seed", "clip_seconds", "instruments"), done.corpora)
    heard = pick(config, "clip_seconds", "spectrogram_fit", "spectrogram")
    record = done.find("song_features", cuts | heard, clips)
    seconds = took.start[encoder] + songs * (took.hear + took.encode[encoder])
    yield Piece("song_features", f"{encoder}, {plural(songs, 'clip')}", seconds, record)
    for about, its, stage in to_train:
        epochs, decoder = its.training.epochs, its.model.decoder
        once = examples * took.step[decoder] + held * took.check[decoder]
        after = (1 + ORDERS) * held * took.check[decoder]  # perplexity, and that of wrong pictures
        record = done.training(its, stage)
        stopped = len(record.result["history"]) * once + after if record else None
        told = f"{about}: {plural(epochs, 'epoch')} of {examples:,.0f}"
        yield Piece(stage, told, epochs * once + after, record, stopped)
    yield from _searches(config, corpora, took, done, device)
    if took.page:
        pages, at_once = len(list(IDLE.parent.glob("*.ipynb"))), cores()
        about = (
            f"{plural(pages, 'notebook')}, {at_once} at a time, where nothing is left to compute"
        )
        yield Piece("pages", about, pages * took.page / at_once)


def _of_all(config: ExperimentConfig, corpora: Corpora, took: Probe) -> Iterator[Piece]:
    """What learns from all pictures, of which pages list some: `features`, and the runs of `train`
    that the setting `runs` names. A decoder that looks has pictures decoded in every epoch."""
    encoder, epochs = config.model.encoder, config.training.epochs
    each = took.step[config.model.decoder] * corpora.captions
    if config.model.positions == "pooled":
        views = corpora.whole * config.views
        seconds = corpora.whole * took.look + views * took.encode[encoder]
        yield Piece("features, of all", f"{encoder}, {plural(views, 'view')}", seconds)
    else:
        each += took.look + took.encode[encoder]
    about = f"{plural(epochs, 'epoch')} of {plural(corpora.whole, 'picture')}"
    for _ in range(config.replicates):
        yield Piece("train, on all", about, epochs * corpora.whole * each)


def _searches(
    config: ExperimentConfig, corpora: Corpora, took: Probe, done: Done, device: dict[str, str]
) -> Iterator[Piece]:
    """Table 4, and what searches besides."""

    def items(name: Input) -> int:
        return corpora.songs if name.is_song else corpora.pictures["test"]

    def rows(name: Input) -> int:
        return items(name) * (config.crop // (name.tile or config.crop)) ** 2

    def scored(what: str, inputs: Iterable[Input], most: int | None = None) -> float:
        """Seconds to score what was said of some inputs, or of at most so many of each."""
        return sum(at(took.score[what], min(most or items(it), items(it))) for it in inputs)

    trained, table, sizes = done.training(config), table_inputs(config), config.beam_sizes
    three = (whole := whole_pictures(config), *SONGS)
    asked = sum(map(rows, three))
    small = [k for step in steps_of(config.beam_sizes) for k in step]
    cells = [(config, *cell) for cell in product(table, sizes)]
    cells += [(each, whole, BEAM_SIZE) for each in compared(config)]
    for each, name, size in dict.fromkeys(cells):
        wanted = pick(each, "seed", "standardise_timbre") | {"input": name} | device
        wanted["search"] = replace(each.search, beam_size=size)
        record = done.find("hypotheses", wanted, done.training(each))
        about = f"{name}, k = {size}: {plural(rows(name), 'input')}"
        yield Piece("hypotheses", about, rows(name) * took.search[size], record)
    record = done.find("scores", pick(config, "seed"), done.corpora)
    seconds = 2 * len(sizes) * scored("chance", table)  # items by series, and each on its own
    yield Piece("scores", plural(len(table) * len(sizes), "cell"), seconds, record)
    both = sum(took.search[size] for size in BEAMS)
    seconds = config.replicates * (asked * both + len(BEAMS) * scored("chance", three))
    record = done.find("replicates", pick(config, "seed", "replicates", "search"), done.corpora)
    yield Piece("replicates", f"{config.replicates} x {asked:,} inputs, searched", seconds, record)
    record = done.find("controls", pick(config, "seed", "monte_carlo_error"), done.corpora, trained)
    seconds = (2 * asked + len(three) * FEWEST * NOISES) * both
    seconds += len(BEAMS) * scored("controls", three)
    yield Piece("controls", f"{len(CONTROLS)} of {len(three)} inputs", seconds, record)
    record = done.find("self_retrieval", pick(config, "seed"), done.corpora, trained)
    pairs = sum(items(each) * beginnings(corpora, items(each)) for each in three)
    yield Piece("self_retrieval", "every title for every input", pairs * took.likelihood, record)
    record = done.find("lengths", pick(config, "seed"), trained)
    seconds = asked * sum(took.search[size] for size in small) / LONGER  # no step too many
    judged = len(small) / 2 + (len(sizes) + len(PREFIXES)) / CORNERS
    seconds += len(BOTH) * judged * scored("split", three)
    yield Piece("lengths", "searches for given lengths", seconds, record)
    answers, seconds = open_answers(config), 0.0
    for question, answer in answers:
        asks = kind(answer.change)
        inputs, most = touched(config, asks), None
        if asks == "spectrogram":
            most = config.switch_songs
            yield _heard_again(apply(config, question, answer.label), corpora, took, done)
        again = sum(min(most or rows(it), rows(it)) for it in inputs) * (asks != "reading")
        seconds += again * took.search[BEAM_SIZE] + scored("changes", inputs, most)
    wanted = pick(config, "seed", "smallest_effect")
    record = done.find("switchboard", wanted, done.corpora, trained)
    yield Piece("switchboard", plural(len(answers), "answer"), seconds, record)


def _heard_again(config: ExperimentConfig, corpora: Corpora, took: Probe, done: Done) -> Piece:
    """Spectrograms that an answer of the switchboard asks for, of some of the songs."""
    encoder, songs = config.model.encoder, min(config.switch_songs, corpora.songs)
    wanted = pick(config, "seed", "crop", "clip_seconds", "spectrogram_fit", "spectrogram")
    record = done.find("switch_songs", wanted | encoder_settings(config))
    seconds = took.start[encoder] + songs * (took.hear + took.encode[encoder])
    return Piece("switch_songs", f"{encoder}, {plural(songs, 'clip')}", seconds, record)


def at(measured: Mapping[int, float], count: int) -> float:
    """Scale the seconds that were measured of the nearest number of items; NaN of none."""
    if not (count and measured):
        return math.nan if count else 0.0
    nearest = min(measured, key=lambda many: abs(math.log(many / count)))
    return measured[nearest] * count / nearest


def measure(config: ExperimentConfig, corpora: Corpora, home: Path, *, seconds: float) -> Probe:
    """Probe this device for all that `forecast` asks for."""
    models = [each.config.model for each in trainings(config)]
    at_hand = corpora.name == "book" and stamps.is_fetched(home)
    return probe(
        config,
        corpora=corpora,
        encoders=[model.encoder for model in models],
        decoders=[model.decoder for model in models],
        pictures=[each.path for each in stamps.load(home)] if at_hand else (),
        notebook=IDLE,
        seconds=seconds,
    )
