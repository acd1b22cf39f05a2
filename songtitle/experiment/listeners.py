"""Listeners: a trained captioner before one row of Table 4, to be asked again under a control."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.inputs import features_of, song_features, tile_features, timbre_of
from songtitle.experiment.learning import load_trained
from songtitle.experiment.naming import SONG_INPUTS, as_words, search, timbre_door
from songtitle.experiment.scoring import held_out_captions, song_titles
from songtitle.metrics import Definition, pair_scores, sentence_scores
from songtitle.model.captioner import Captioner
from songtitle.search import SearchConfig
from songtitle.shapes import Memory
from songtitle.vocab import Vocabulary

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
