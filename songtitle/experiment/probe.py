"""The probe: what a picture, a clip, a step of training and a search take on this device.

Each is done by the code that a run uses, on random numbers: neither the network's weights nor the
corpora need be at hand, since they change no time.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import soundfile
import torch
from PIL import Image
from torch import nn

from songtitle.cache import digest, read_json
from songtitle.config import ExperimentConfig, check_device
from songtitle.corpora.batches import Batch, Loader
from songtitle.experiment.controls import Case, beside
from songtitle.experiment.corpora import Words
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.experiment.naming import AT_ONCE, KEPT, Listener, search
from songtitle.experiment.quantities import Corpora, plural
from songtitle.experiment.scoring import BOTH, beside_chance, split_of
from songtitle.experiment.switchboard import BOOK, compare
from songtitle.machine import clear_disk_errors, cores, write_whole
from songtitle.model.captioner import Captioner, build_captioner, log_likelihoods
from songtitle.model.encoder import WIDTHS, Backbone, build_backbone
from songtitle.model.features import Encoder, plan_for
from songtitle.pictures import load_picture, random_view
from songtitle.timbre import timbre_vector
from songtitle.training.loop import CaptionLoss, adam_for, evaluate
from songtitle.vocabulary import SPECIALS, Vocabulary

PRODUCTS = 2e10  # multiplications with the vocabulary that one measured search takes, about
SIDES = (1024, 768)  # of the picture that is decoded where none is at hand
PIECES = 16  # pictures, or clips, that are looked at together
BARE: Any = {"weights": "none", "word_vectors": "none", "fine_tune": False}  # of any model
SAID = 8  # different titles among those said: the published quick run said fewer
TOGETHER = 4  # titles of a series
LONGER = 2  # times a usual caption: steps of a beam, as the published quick run took
CORNERS = 4  # sets of titles that `split_of` scores


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Seconds that one piece of each kind of work takes here."""

    hardware: str
    look: float  # to decode and crop a picture
    hear: float  # to decode a clip, draw its spectrogram and compute its timbre
    start: Mapping[str, float]  # encoder -> to build it
    encode: Mapping[str, float]  # encoder -> a crop
    step: Mapping[str, float]  # decoder -> an example of training
    check: Mapping[str, float]  # decoder -> an example of validation
    search: Mapping[int, float]  # beam size -> an input
    score: Mapping[str, Mapping[int, float]]  # what is asked of what was said -> items -> all
    likelihood: float  # a beginning of titles for an input
    memory: int  # bytes that this process came to
    page: float | None = None  # a notebook of which nothing has to be computed
    gpu: int | None = None  # bytes of the device's memory, where it has its own
    seconds: float = 0.0  # that all this took
    share: float = 1.0  # of that time in which it computed: below 1 where others did, too


def hardware(device: torch.device) -> str:
    """Name the machine: system, threads, cores, memory and graphics card; no names of hosts."""
    memory = psutil.virtual_memory().total / 1e9
    threads, most = plural(torch.get_num_threads(), "thread"), plural(cores(), "core")
    found = f"{platform.system()} {platform.machine()}, {threads} on {most}, {memory:.0f} GB of "
    found += "memory"
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found += f"; {card.name}, {card.total_memory / 1e9:.0f} GB"
    return f"{found}; on {device.type}"


def probe(
    config: ExperimentConfig,
    *,
    corpora: Corpora,
    encoders: Iterable[str] = (),
    decoders: Iterable[str] = (),
    pictures: Sequence[Path] = (),
    notebook: Path | None = None,
    seconds: float = 60.0,
) -> Probe:
    """Measure on the device of `config` within about `seconds`.

    Of `corpora` count words, lengths of captions and how many items are tested; `encoders` and
    `decoders` are tried beside those of `config`; `pictures` are files to decode, one of SIDES is
    made where none is given. `notebook` is one that computes nothing. What takes longer than its
    share of the time is done once.
    """
    device, begun = check_device(config.device), (time.perf_counter(), time.process_time())
    encoders = list(dict.fromkeys([config.model.encoder, *encoders]))
    decoders = list(dict.fromkeys([config.model.decoder, *decoders]))
    tested = {corpora.songs, corpora.pictures["test"], min(config.switch_songs, corpora.songs)}
    parts = 3 + 2 * len(encoders) + 2 * len(decoders) + len(config.beam_sizes)
    budget, words = seconds / (parts + len(SCORED) * len(tested)), corpora.words
    found: dict[str, Any] = {name: {} for name in ("start", "encode", "step", "check", "search")}
    memory = [0]

    def timed(work: Callable[[], object], pieces: int = 1) -> float:
        took = _timed(work, budget, device) / pieces
        memory[0] = max(memory[0], psutil.Process().memory_info().rss)
        return took

    with torch.random.fork_rng(), TemporaryDirectory() as scratch:
        torch.manual_seed(config.seed)
        found |= _senses(config, Path(scratch), pictures, timed)
        for name in encoders:
            made: list[Backbone] = []
            build = partial(build_backbone, name, "none", memory="map")
            found["start"][name] = _once(partial(_put, made, build, device), device)
            backbone = made.pop()
            side = config.crop
            plan = plan_for(backbone, pictures=AT_ONCE, height=side, width=side)
            encoder, images = Encoder(backbone, plan), torch.rand(plan.batch, 3, side, side)
            found["encode"][name] = timed(partial(encoder, images), plan.batch)
            del backbone, encoder
        draw = np.random.default_rng(config.seed)
        for name in reversed(decoders):  # the experiment's own last: it searches
            model, batches, held = _lesson(config, name, corpora, draw, device)
            size = config.training.batch_size
            found["step"][name] = timed(_step(model, batches, config, device), size)
            found["check"][name] = timed(partial(_check, model, held), size)
        model.eval()
        for size in sorted({*config.beam_sizes, 1, 5}):
            # Greedy search ends with the usual title; of a beam some hypothesis goes on.
            usual = math.ceil(mean(corpora.lengths))
            steps = min(config.search.max_steps, 1 + usual if size == 1 else LONGER * usual)
            cost = size * steps * words * config.model.dim
            inputs = int(min(AT_ONCE, max(2, PRODUCTS // cost)))
            given = torch.randn(inputs, positions(config, config.model.decoder), config.model.dim)
            settings = replace(config.search, beam_size=size, max_steps=steps)
            asked = (model, given.to(device), Vocabulary(()), settings)
            found["search"][size] = timed(partial(search, *asked), inputs)
        found["likelihood"] = _likelihood(model, given.to(device), corpora, timed)
        found["score"] = {
            name: {many: timed(partial(work, config, corpora, many)) for many in sorted(tested)}
            for name, work in SCORED.items()
        }
        if notebook:
            found["page"] = _page(notebook, Path(scratch))
    wall, own = time.perf_counter() - begun[0], time.process_time() - begun[1]
    on_card = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    told: dict[str, Any] = {
        "hardware": hardware(device),
        "memory": memory[0],
        "gpu": on_card,
        "seconds": wall,
    }
    return Probe(**found, **told, share=min(1.0, own / wall))


def kept_in(config: ExperimentConfig, corpora: str, home: Path) -> Path:
    """Give where the last probe of these settings, corpora and this machine is kept."""
    known = [config.as_dict(), corpora, hardware(check_device(config.device))]
    return home / "probes" / f"{digest(known)}.json"


def keep(probed: Probe, path: Path) -> None:
    """Keep a probe, for the line that a run begins with."""
    with clear_disk_errors("plan", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(probed), indent=1) + "\n")


def kept(path: Path) -> Probe | None:
    """Read a probe that `keep` wrote; None where there is none, or a torn one."""
    try:
        found = read_json(path)
        by_size = found["score"] | {"search": found.pop("search")}  # JSON's keys are text
        by_size = {k: {int(size): t for size, t in its.items()} for k, its in by_size.items()}
        found |= {"search": by_size.pop("search"), "score": by_size}
        return Probe(**found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _put(made: list[Backbone], build: Callable[[], Backbone], device: torch.device) -> None:
    made.append(build().to(device))


def _timed(work: Callable[[], object], budget: float, device: torch.device) -> float:
    """The median of calls after the first, which loads what comes late, as many as the budget
    holds and one at least; the first where that alone is more than half of it."""
    begun = time.perf_counter()
    took = [_once(work, device)]
    if took[0] > budget / 2:
        return took[0]
    while len(took) < 2 or (len(took) < 20 and time.perf_counter() - begun < budget):
        took.append(_once(work, device))
    return statistics.median(took[1:])


def _once(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call; on a CPU no more than it computed, as where others do, too, it waits."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    wall, own = time.perf_counter() - wall, time.process_time() - own
    return min(wall, own) if device.type == "cpu" and own else wall


def _page(notebook: Path, scratch: Path) -> float | None:
    """Seconds that papermill takes for a notebook, of processors, which others do not lengthen."""
    begun = time.perf_counter(), sum(os.times()[2:4])
    command = [sys.executable, "-m", "papermill", str(notebook), str(scratch / "page.ipynb")]
    done = subprocess.run(command, capture_output=True, check=False)
    own, wall = sum(os.times()[2:4]) - begun[1], time.perf_counter() - begun[0]
    return None if done.returncode else min(wall, own) or wall


def _senses(
    config: ExperimentConfig,
    scratch: Path,
    pictures: Sequence[Path],
    timed: Callable[[Callable[[], object], int], float],
) -> dict[str, float]:
    """Times of `look` and `hear`, several at a time as features are made."""
    draw = np.random.default_rng(config.seed)
    if not pictures:
        coarse = Image.fromarray(draw.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        coarse.resize(SIDES).save(scratch / "picture.jpg", quality=90)
        pictures = [scratch / "picture.jpg"]
    some = [pictures[place % len(pictures)] for place in range(PIECES)]
    noise = draw.normal(scale=0.1, size=(round(44_100 * config.clip_seconds), 2))
    clip = scratch / "clip.mp3"
    soundfile.write(clip, noise, 44_100, format="MP3")

    def look(path: Path) -> None:
        image, generator = load_picture(path), torch.Generator()
        for _ in range(config.views):
            random_view(image, config.crop, generator=generator)

    def listen(path: Path) -> None:
        wave = hear(path, config)
        timbre_vector(wave, sample_rate=config.spectrogram.sample_rate)
        clip_picture(wave, path.name, config)

    listen(clip)  # libraries load late, and compile
    threads = os.cpu_count() or 1
    before = torch.get_num_threads()
    try:
        alone = partial(torch.set_num_threads, 1)
        with ThreadPoolExecutor(threads, initializer=alone) as pool:
            looked = timed(lambda: list(pool.map(look, some)), len(some))
            return {
                "look": looked,
                "hear": timed(lambda: list(pool.map(listen, [clip] * threads)), threads),
            }
    finally:
        torch.set_num_threads(before)


def _lesson(
    config: ExperimentConfig,
    decoder: str,
    corpora: Corpora,
    draw: np.random.Generator,
    device: torch.device,
) -> tuple[Captioner, Iterator[Batch], Loader]:
    """A captioner, batches to train it on without end, and some to check it by."""
    settings = replace(config.model, decoder=decoder, attention_penalty=0.0)
    settings = replace(settings, **BARE)
    ids, width, words = Vocabulary(()), WIDTHS.get(settings.encoder, 90), corpora.words
    model = build_captioner(settings, features=width, vocab=words, pad_id=ids.pad_id).to(device)
    size = config.training.batch_size
    texts = _texts(corpora, corpora.lengths, 4 * size)
    captions = [[ids.bos_id, *each, ids.eos_id] for each in texts]
    views = torch.randn(size, 1, positions(config, decoder), width).half()
    rows = [place % size for place in range(len(captions))]
    loader = Loader(views, captions, rows=rows, batch_size=size, pad_id=ids.pad_id)
    held = Loader(views, captions[:size], batch_size=size, pad_id=ids.pad_id)
    return model, chain.from_iterable(map(loader, count(1))), held


def positions(config: ExperimentConfig, decoder: str) -> int:
    """How many places of a crop a decoder reads."""
    looks = replace(config.model, decoder=decoder, attention_penalty=0.0).positions == "map"
    side = math.ceil(config.crop / 32)  # every encoder halves five times
    return side**2 if looks else 1


def _step(
    model: Captioner, batches: Iterator[Batch], config: ExperimentConfig, device: torch.device
) -> Callable[[], None]:
    """One update of training, as `fit` makes it."""
    settings, pad_id = config.training, Vocabulary.pad_id
    loss = CaptionLoss(model, pad_id=pad_id, bf16=settings.precision == "bf16")
    adam = adam_for(model.parameters(), settings)

    def step() -> None:
        model.train()
        batch = next(batches)
        nats, penalty = loss(batch.inputs.to(device), batch.tokens.to(device))
        adam.zero_grad()
        (nats / int((batch.tokens[:, 1:] != pad_id).sum()) + penalty / len(batch.tokens)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"))
        adam.step()

    return step


def _check(model: Captioner, held: Loader) -> None:
    evaluate(model, held.in_order(), pad_id=Vocabulary.pad_id)


def _likelihood(
    model: Captioner,
    memory: torch.Tensor,
    corpora: Corpora,
    timed: Callable[[Callable[[], object], int], float],
) -> float:
    """Seconds for one beginning of titles and one input."""
    many = PRODUCTS / (mean(corpora.lengths) * corpora.words * memory.shape[-1])
    side = int(min(AT_ONCE, max(4, math.sqrt(many))))
    given, asked = memory[:1].expand(side, -1, -1), titles(corpora, side)
    ends = {"bos_id": Vocabulary.bos_id, "eos_id": Vocabulary.eos_id}
    pieces = side * beginnings(corpora, side)
    return timed(lambda: log_likelihoods(model.decoder, given, asked, **ends), pieces)


def titles(corpora: Corpora, count: int) -> list[list[int]]:
    """Draw the ids of titles: known words as Zipf has them, the n-th most frequent one with a
    weight of 1/n, and the unknown one for all others. The same each time."""
    return _texts(corpora, corpora.title_lengths or corpora.lengths, count)


def _texts(corpora: Corpora, having: Mapping[int, int], count: int) -> list[list[int]]:
    draw, many = np.random.default_rng(count), list(having)
    shares = np.array(list(having.values()), dtype=float)
    lengths = draw.choice(many, count, p=shares / shares.sum())
    weights = 1 / np.arange(1, corpora.words - len(SPECIALS) + 1)
    words = len(SPECIALS) + draw.choice(len(weights), lengths.sum(), p=weights / weights.sum())
    words[draw.random(len(words)) > corpora.known] = Vocabulary.unk_id
    return [each.tolist() for each in np.split(words, lengths.cumsum()[:-1])]


def beginnings(corpora: Corpora, count: int) -> int:
    """Count the different beginnings of so many titles, the whole ones and the empty one among
    them: a likelihood is computed once for each."""
    asked = titles(corpora, count)
    return len({tuple(each[:end]) for each in asked for end in range(len(each) + 1)})


def mean(lengths: Mapping[int, int]) -> float:
    """Average a length, given how many have each."""
    return sum(size * number for size, number in lengths.items()) / sum(lengths.values())


# -- what is asked of titles that were said --------------------------------------------------------


class _Saying(Listener):
    """A listener that says at once what was drawn: what searches take is measured apart."""

    def memory(self, features: torch.Tensor | None = None) -> torch.Tensor:
        return self.features if features is None else features

    def titles(self, memory: torch.Tensor, beam_size: int, **others: Any) -> Words:
        return _said(len(memory))


def _said(count: int) -> Words:
    return [[f"word {place % SAID}", "of", "it"] for place in range(count)]


def _wanted(corpora: Corpora, count: int) -> tuple[Words, list[str]]:
    """True titles and their series."""
    words = [list(map(str, each)) for each in titles(corpora, count)]
    return words, [str(place // TOGETHER) for place in range(count)]


def _chance(config: ExperimentConfig, corpora: Corpora, count: int) -> None:
    beside_chance([_said(count)], *_wanted(corpora, count), seed=config.seed)


def _split(config: ExperimentConfig, corpora: Corpora, count: int) -> None:
    wanted, series = _wanted(corpora, count)
    draw = np.random.default_rng(config.seed)
    split_of((_said(count),) * CORNERS, wanted, BOTH[0], draw, series=series)


def _changes(config: ExperimentConfig, corpora: Corpora, count: int) -> None:
    found = [[[words, -1.0]] * KEPT for words in _said(count)]
    compare(found, found, *_wanted(corpora, count), BOOK, seed=config.seed)


def _controls(config: ExperimentConfig, corpora: Corpora, count: int) -> None:
    wanted, series = _wanted(corpora, count)
    settings = replace(config.model, decoder="lstm", attention_penalty=0.0, **BARE)
    ends: Any = {"vocab": len(SPECIALS) + 1, "pad_id": Vocabulary.pad_id}
    model = build_captioner(settings, features=2, **ends).eval()  # asked for nothing
    features = torch.randn(count, 1, 2)
    saying = _Saying(model, Vocabulary(()), torch.device("cpu"), config.search, model, features)
    said = (_said(count), wanted, series, wanted, _said(count))
    list(beside(Case(*said, saying, saying, features, 1, config)))


SCORED = {"chance": _chance, "split": _split, "changes": _changes, "controls": _controls}
