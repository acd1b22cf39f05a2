"""Scoring: what every input and beam size scores, beside what chance scores."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record, once, read_json, run_stage
from songtitle.config import ExperimentConfig, SearchConfig
from songtitle.corpora.manifest import data_home
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.inputs import features_of, song_features, tile_features, timbre_of
from songtitle.experiment.learning import load_trained
from songtitle.experiment.naming import (
    SONG_INPUTS,
    as_words,
    hypotheses,
    input_names,
    search,
    timbre_door,
)
from songtitle.metrics.bleu import DEFINITIONS, Definition, sentence_scores, signatures
from songtitle.metrics.chance import against_chance
from songtitle.metrics.pairs import pair_scores
from songtitle.model.captioner import Captioner
from songtitle.shapes import Memory
from songtitle.vocabulary import Vocabulary

PERMUTATIONS = 1000  # random pairings behind each p value
BLEU = "bleu1"  # which BLEU, a key of `metrics.DEFINITIONS`


@once
def scores(config: ExperimentConfig, *, home: Path) -> Record:
    """Table 4: mean sentence BLEU-1 of every input and beam size, beside what chance scores.

    Result rows: `input, tile_size, tiles, beam_size, score, low, high, chance, gain, p,
    mean_length`; scores in [0, 1]. A picture's score is the mean over its tiles (paper 5). Chance
    is the mean score over all wrong pairings of the same hypotheses and references.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    found = {
        (name, size): hypotheses(config, name, size, home=home)
        for name in input_names(config)
        for size in config.beam_sizes
    }

    def compute(_: Path) -> dict[str, Any]:
        references = {"songs": song_titles(songs), "pictures": held_out_captions(words)}
        rows = [
            {
                "input": name,
                "tile_size": int(name.split("×")[-1]) if "×" in name else None,
                "beam_size": size,
                **scored(record, references[name.split()[0].strip(":")], seed=config.seed),
            }
            for (name, size), record in found.items()
        ]
        return {"rows": rows}

    settings = {
        "seed": config.seed,
        "bleu": signatures(BLEU),
        "beams": list(config.beam_sizes),
        "inputs": input_names(config),
    }
    settings["hypotheses"] = [record.key for record in found.values()]
    return run_stage("scores", compute, settings=settings, inputs=[words, songs], home=home)


def scored(
    record: Record, references: Sequence[Sequence[str]], *, seed: int
) -> dict[str, int | float]:
    """What the best hypotheses of a record score against `references`, beside chance.

    `tiles, items, mean_length`, and the fields of `Chance`.
    """
    best = [[tile[0][0] for tile in item] for item in read_json(record.file("hypotheses.json"))]
    # One matrix per tile position, averaged: a picture's pair score is its tiles' mean.
    by_tile = zip(*best, strict=True)
    pairs = np.mean([pair_scores(tile, references, DEFINITIONS[BLEU]) for tile in by_tile], axis=0)
    chance = against_chance(pairs, rounds=PERMUTATIONS, generator=np.random.default_rng(seed))
    sizes = {"tiles": len(best[0]), "items": len(best)}
    return sizes | asdict(chance) | {"mean_length": record.result["mean_length"]}


def song_titles(songs: Record) -> list[list[str]]:
    """The true titles of the test songs, as words."""
    return [song["tokens"] for song in read_json(songs.file("songs.json"))]


def held_out_captions(words: Record) -> list[list[str]]:
    """The true captions of the test pictures, as words."""
    pictures = read_json(words.file("pictures.json"))
    return [picture["tokens"] for picture in pictures if picture["split"] == "test"]


def score_table(config: ExperimentConfig, home: Path | None = None) -> pd.DataFrame:
    """`scores` as a frame, with `seconds` of search per example and `bleu_per_second`."""
    home = home or data_home()
    frame = pd.DataFrame(scores(config, home=home).result["rows"])
    frame["seconds"] = [
        hypotheses(config, row.input, row.beam_size, home=home).timing["per_example"]
        for row in frame.itertuples()
    ]
    frame["bleu_per_second"] = frame["score"] / frame["seconds"]
    return frame


AT_ONCE = 256  # inputs searched together, as in `hypotheses`
Words = list[list[str]]


def controlled_inputs(config: ExperimentConfig) -> list[str]:
    """The rows of Table 4 that have controls: both readings of a song, and whole pictures."""
    return [*SONG_INPUTS, f"pictures {config.crop}×{config.crop}"]


def is_song(name: str) -> bool:
    """Whether a row of Table 4 is of songs (else of pictures)."""
    return name in SONG_INPUTS


def features_record(config: ExperimentConfig, name: str, *, home: Path) -> Record:
    """The record that holds the features of a row."""
    if is_song(name):
        return song_features(config, home=home)
    return tile_features(config, int(name.split("×")[-1]), home=home)


def references_of(config: ExperimentConfig, name: str, *, home: Path) -> Words:
    """The true titles or captions of a row, as words."""
    if is_song(name):
        return song_titles(clips(config, home=home))
    return held_out_captions(corpora(config, home=home))


@dataclass(frozen=True)
class Listener:
    """A captioner, its vocabulary, and the features that it is given, one row an item."""

    model: Captioner
    vocabulary: Vocabulary
    features: Tensor  # (items, 90) for timbre, else (items, positions, features)
    door: Callable[[Tensor], Tensor]  # from features to what the decoder reads
    device: torch.device
    search: SearchConfig

    def memory(self, features: Tensor | None = None) -> Memory:
        """What the decoder reads of its own features, or of others of their shape."""
        given = self.features if features is None else features
        with torch.inference_mode():
            parts = [
                self.door(part.to(self.device, torch.float32)) for part in given.split(AT_ONCE)
            ]
        return torch.cat(parts)

    def titles(self, memory: Memory, beam_size: int) -> Words:
        """The best hypothesis for each row of `memory`."""
        settings = replace(self.search, beam_size=beam_size)
        said: Words = []
        with torch.inference_mode():
            for part in memory.split(AT_ONCE):
                said += self._best(part, settings)
        return said

    def titles_of_length(self, memory: Memory, beam_size: int, words: Sequence[int]) -> Words:
        """The best hypothesis of exactly `words[i]` words for each row of `memory`.

        `<eos>` is neither said nor counted: among titles of one length it would tell which of them
        ends well, not which is likely. Greedy search gives the beginning of what it says without
        this rule, or goes on from there.
        """
        said: Words = [[] for _ in words]
        lengths = np.asarray(words)
        for length in sorted({int(each) for each in words} - {0}):
            places = np.flatnonzero(lengths == length)
            settings = replace(
                self.search,
                beam_size=beam_size,
                max_steps=length,
                min_length=length,
                unfinished="keep",
            )
            with torch.inference_mode():
                for part in np.array_split(places, -(-len(places) // AT_ONCE)):
                    rows = torch.from_numpy(part).to(memory.device)
                    for place, title in zip(part, self._best(memory[rows], settings), strict=True):
                        said[place] = title
        return said

    def _best(self, memory: Memory, settings: SearchConfig) -> Words:
        found = search(self.model, memory, self.vocabulary, settings)
        return [hypotheses[0][0] for hypotheses in as_words(found, self.vocabulary)]


def listener(config: ExperimentConfig, name: str, trained: Record, seen: Record) -> Listener:
    """The captioner of a training record before the row `name`, with the features of `seen`."""
    model, vocabulary, device = load_trained(trained, config)
    if name == "songs: timbre":
        timbre = timbre_of(seen)
        door = timbre_door(config, timbre).to(device)
        return Listener(model, vocabulary, timbre, door, device, config.search)
    features = features_of(seen, config)["songs" if is_song(name) else "test"]
    return Listener(model, vocabulary, features.flatten(0, 1), model.encoder, device, config.search)


def own_scores(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], definition: Definition
) -> Float[np.ndarray, " items"]:
    """The score of each hypothesis against its own reference."""
    return sentence_scores(hypotheses, [[reference] for reference in references], definition)


def all_scores(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], definition: Definition
) -> Float[np.ndarray, "items items"]:
    """The score of every hypothesis against every reference; equal hypotheses are scored once."""
    known = {said: place for place, said in enumerate(dict.fromkeys(map(tuple, hypotheses)))}
    table = pair_scores([list(said) for said in known], references, definition)
    return table[[known[tuple(said)] for said in hypotheses]]


def chance_of(pairs: Float[np.ndarray, "items items"]) -> float:
    """The exact mean over all wrong pairs."""
    items = len(pairs)
    return float((pairs.sum() - np.trace(pairs)) / (items * (items - 1)))
