"""Naming: a trained captioner before any input, its hypotheses, and titles for your own music."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record, Work, finished, pick, read_json, stage, write_json
from songtitle.config import SONGS, TIMBRE, ExperimentConfig, Input, SearchConfig, check_device
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment.corpora import Words
from songtitle.experiment.inputs import (
    clip_picture,
    features_of,
    features_record,
    frozen_backbone,
    hear,
)
from songtitle.experiment.learning import load_trained, training
from songtitle.model.captioner import Captioner, Searcher, log_likelihoods
from songtitle.model.encoder import TimbreDoor
from songtitle.model.features import read_features
from songtitle.search.candidates import Hypotheses
from songtitle.seeds import generator_for
from songtitle.shapes import Memory
from songtitle.timbre import fit_standardiser, replicated_order
from songtitle.training.checkpoints import kept_checkpoint, read_checkpoint
from songtitle.vocabulary import Vocabulary

AT_ONCE = 256  # inputs that are encoded and searched together
BEAM_SIZE = 5  # where the paper's scores peak
KEPT = 5  # hypotheses of each example that a record holds

Found = list[list[list[Any]]]  # per example its hypotheses, each [words, log-probability in nats]


def whole_pictures(config: ExperimentConfig) -> Input:
    """Give the input of whole test pictures, which are not cut into tiles."""
    return Input("pictures", tile=config.crop)


def table_inputs(config: ExperimentConfig) -> list[Input]:
    """List the rows of Table 4: test pictures by tile size, then both readings of songs."""
    return [*(Input("pictures", tile=size) for size in config.tile_sizes), *SONGS]


def controlled_inputs(config: ExperimentConfig, home: Path) -> dict[Input, Record]:
    """Give the features of what has controls: both readings of songs, and whole pictures."""
    inputs = (*SONGS, whole_pictures(config))
    return {each: features_record(config, each, home=home) for each in inputs}


@dataclass(frozen=True)
class Listener:
    """A trained captioner, its vocabulary, and what it is asked about: `features`, a row an item,
    which `door` leads to what the decoder reads."""

    model: Captioner
    vocabulary: Vocabulary
    device: torch.device
    settings: SearchConfig
    door: Callable[[Tensor], Tensor]
    features: Tensor  # (items, numbers) for timbre, else (items, positions, features)

    def memory(self, features: Tensor | None = None) -> Memory:
        """Give what the decoder reads of its own features, or of others of their shape."""
        given = (self.features if features is None else features).split(AT_ONCE)
        with torch.inference_mode():
            return torch.cat([self.door(part.to(self.device, torch.float32)) for part in given])

    def search(self, memory: Memory, beam_size: int, **others: Any) -> Hypotheses:
        """Search over all rows of `memory` at once, with `others` in place of some settings."""
        settings = replace(self.settings, beam_size=beam_size, **others)
        return search(self.model, memory, self.vocabulary, settings)

    def hypotheses(self, memory: Memory, beam_size: int, **others: Any) -> Found:
        """Give up to KEPT hypotheses for each row of `memory`, best first."""
        return [
            each
            for part in memory.split(AT_ONCE)
            for each in as_words(self.search(part, beam_size, **others), self.vocabulary)
        ]

    def titles(self, memory: Memory, beam_size: int, **others: Any) -> Words:
        """Give the best hypothesis for each row of `memory`."""
        return [found[0][0] for found in self.hypotheses(memory, beam_size, **others)]

    def titles_of_length(self, memory: Memory, beam_size: int, words: Sequence[int]) -> Words:
        """Give the best hypothesis of exactly `words[i]` words for each row of `memory`.

        `<eos>` is neither said nor counted: among titles of one length it would tell which of them
        ends well, not which is likely. Greedy search gives the beginning of what it says without
        this rule, or goes on from there.
        """
        said: Words = [[] for _ in words]
        for length in sorted({int(each) for each in words} - {0}):
            places = [place for place, count in enumerate(words) if count == length]
            rule = {"max_steps": length, "min_length": length, "unfinished": "keep"}
            titles = self.titles(memory[places], beam_size, **rule)
            for place, title in zip(places, titles, strict=True):
                said[place] = title
        return said

    def log_likelihoods(self, memory: Memory, titles: Words) -> Float[np.ndarray, "items titles"]:
        """Give the log-probability of every title for every row of `memory`, in nats."""
        special = {"bos_id": self.vocabulary.bos_id, "eos_id": self.vocabulary.eos_id}
        ids = [self.vocabulary.encode(words) for words in titles]
        found = log_likelihoods(self.model.decoder, memory, ids, **special)
        return found.double().cpu().numpy()


def trained_listener(config: ExperimentConfig, trained: Record) -> Listener:
    """Load the captioner of a training record to ask about features of pictures, none given yet."""
    model, vocabulary, device = load_trained(trained, config)
    return Listener(model, vocabulary, device, config.search, model.encoder, torch.empty(0))


def listener(
    config: ExperimentConfig, name: Input | str, trained: Record, seen: Record
) -> Listener:
    """Set the captioner of a training record before an input, with the features of `seen`; timbre
    has a back door, where it is standardised over these songs or raw, as settings say."""
    wanted, hearing = Input.of(name), trained_listener(config, trained)
    if wanted != TIMBRE:
        features = features_of(seen, config)["songs" if wanted.is_song else "test"]
        return replace(hearing, features=features.flatten(0, 1))
    timbre = read_features(seen.file("timbre.safetensors"))["songs"].flatten(1)
    numbers, draw = timbre.shape[1], generator_for(config.seed, "timbre order")
    order = replicated_order(config.model.dim, numbers=numbers, generator=draw)
    raw = (torch.zeros(numbers), torch.ones(numbers))
    scale = fit_standardiser(timbre) if config.standardise_timbre else raw
    return replace(hearing, door=TimbreDoor(order, *scale).to(hearing.device), features=timbre)


def listeners(
    config: ExperimentConfig, trained: Record, seen: Mapping[Input, Record]
) -> Iterator[tuple[Input, Listener, Memory]]:
    """Set a captioner before each input in turn, with what its decoder reads of it."""
    for name, features in seen.items():
        hearing = listener(config, name, trained, features)
        yield name, hearing, hearing.memory()


def search(
    model: Captioner, memory: Tensor, vocabulary: Vocabulary, settings: SearchConfig
) -> Hypotheses:
    """Search greedily at beam size 1 (as the paper has it), by beam above; the unknown word,
    padding and `<bos>` are never said."""
    searcher = Searcher(
        model.decoder, never=[vocabulary.pad_id, vocabulary.bos_id, vocabulary.unk_id]
    )
    special = {"bos_id": vocabulary.bos_id, "eos_id": vocabulary.eos_id}
    with torch.inference_mode():
        return searcher.search(memory, config=settings, **special)


def as_words(found: Hypotheses, vocabulary: Vocabulary) -> Found:
    """Spell up to KEPT hypotheses of each example as `[words, log-probability]`, best first."""
    return [
        [
            [vocabulary.decode(ids), log_prob]
            for ids, log_prob in zip(beams[:KEPT], log_probs[:KEPT], strict=True)
            if math.isfinite(log_prob)
        ]
        for beams, log_probs in zip(found.tokens.tolist(), found.log_probs.tolist(), strict=True)
    ]


@stage
def hypotheses(config: ExperimentConfig, name: Input | str, beam_size: int, *, home: Path) -> Work:
    """Search over one row of Table 4 at one beam size: `hypotheses.json` holds, per item and tile,
    up to KEPT hypotheses as `[words, log-probability in nats]`, best first. Timing is of search
    alone, features at hand, in batches."""
    wanted, trained = Input.of(name), training(config, home=home)
    seen = features_record(config, wanted, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        hearing = listener(config, wanted, trained, seen)
        found: Found = []
        seconds = 0.0
        for group in hearing.features.split(AT_ONCE):
            memory = hearing.memory(group)
            clock = time.perf_counter()
            best = hearing.search(memory, beam_size)
            seconds += time.perf_counter() - clock
            found += as_words(best, hearing.vocabulary)
        tiles = (config.crop // wanted.tile) ** 2 if wanted.tile else 1
        items = [found[first : first + tiles] for first in range(0, len(found), tiles)]
        write_json(folder / "hypotheses.json", items)
        said = [each[0][0] for each in found]
        return {
            "mean_length": float(np.mean(list(map(len, said)))),
            "distinct_best": len(set(map(tuple, said))),
            "timing": {"search_seconds": round(seconds, 4), "per_example": seconds / len(found)},
        }

    settings = pick(config, "seed", "standardise_timbre") | {"input": wanted}
    settings |= {"search": replace(config.search, beam_size=beam_size)}
    settings["device"] = check_device(config.device).type
    return Work(compute, settings, [trained, seen])


def search_cells(
    config: ExperimentConfig, inputs: Iterable[Input], sizes: Sequence[int], *, home: Path
) -> dict[tuple[Input, int], Record]:
    """Search every input at every beam size."""
    return {cell: hypotheses(config, *cell, home=home) for cell in product(inputs, sizes)}


def whole_items(record: Record) -> Found:
    """Read the hypotheses of whole pictures or songs: of each its one tile."""
    return [item[0] for item in read_json(record.file("hypotheses.json"))]


def best_by_tile(record: Record) -> list[Words]:
    """Read the best hypothesis of each item, for one place of tiles after another."""
    items = read_json(record.file("hypotheses.json"))
    return [[tile[0][0] for tile in place] for place in zip(*items, strict=True)]


def best_of(record: Record) -> Words:
    """Read the best hypothesis of each item that is not cut into tiles."""
    return best_by_tile(record)[0]


def name_songs(
    paths: Iterable[Path], *, beam_size: int = BEAM_SIZE, home: Path | None = None
) -> Iterator[tuple[Path, list[tuple[str, float]] | InputError]]:
    """Title audio files by the last trained captioner, best first, with log-probabilities. A file
    that cannot be read yields its `InputError` in place of titles, and the rest go on."""
    record = last_captioner(home or data_home())
    kept = read_checkpoint(kept_checkpoint(record.folder)).details["config"]
    config = ExperimentConfig.from_dict(kept)
    hearing, backbone = trained_listener(config, record), frozen_backbone(config)
    for path in paths:
        try:
            image = clip_picture(hear(path, config), path.name, config)
        except InputError as error:
            yield path, error
            continue
        with torch.inference_mode():
            features = backbone(image.unsqueeze(0).to(hearing.device))
        (found,) = hearing.hypotheses(hearing.memory(features), beam_size)
        yield path, [(" ".join(words), log_prob) for words, log_prob in found]


def last_captioner(home: Path) -> Record:
    """Find the captioner that named songs last, as those trained for comparison do not, else the
    last one trained; InputError where none is."""
    trained = {record.key: record for record in finished(home, "training")}
    named = [
        trained[record.inputs["training"]]
        for record in finished(home, "hypotheses")
        if Input.of(record.settings["input"]).is_song and record.inputs["training"] in trained
    ]
    if not trained:
        msg = "title: no trained model yet; run `make book` or `python -m songtitle run` first"
        raise InputError(msg)
    return [*trained.values(), *named][-1]
