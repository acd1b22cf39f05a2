"""Naming: search over every input, scores beside chance, and titles for your own music."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from songtitle.cache import Record, finished, once, pick, run_stage, write_json
from songtitle.config import ExperimentConfig, SearchConfig, check_device
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment.inputs import (
    clip_picture,
    features_of,
    frozen_backbone,
    hear,
    song_features,
    tile_features,
    timbre_of,
)
from songtitle.experiment.learning import load_trained, training
from songtitle.model.captioner import Captioner, Searcher
from songtitle.model.encoder import TimbreDoor
from songtitle.search.candidates import Hypotheses
from songtitle.seeds import generator_for
from songtitle.timbre import fit_standardiser, replicated_order
from songtitle.training.checkpoints import best_checkpoint, read_checkpoint
from songtitle.vocabulary import Vocabulary

SONG_INPUTS = ("songs: timbre", "songs: spectrogram")


def input_names(config: ExperimentConfig) -> list[str]:
    """The rows of Table 4: each tile size of the test pictures, then both readings of a song."""
    return [f"pictures {size}×{size}" for size in config.tile_sizes] + list(SONG_INPUTS)


@once
def hypotheses(config: ExperimentConfig, name: str, beam_size: int, *, home: Path) -> Record:
    """Search over one row of Table 4 at one beam size: `hypotheses.json`.

    The file holds, per item and tile, up to five hypotheses as `[words, log-probability in nats]`,
    best first. Timing is of search alone, features at hand, in batches.
    """
    trained = training(config, home=home)
    is_song = name.startswith("songs")
    size = config.crop if is_song else int(name.split("×")[-1])
    seen = song_features(config, home=home) if is_song else tile_features(config, size, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        model, vocabulary, device = load_trained(trained, config)
        memory_of: Callable[[Tensor], Tensor] = model.encoder
        if name == "songs: timbre":
            grid = timbre_of(seen).unsqueeze(1)
            memory_of = timbre_door(config, timbre_of(seen)).to(device)
        else:
            grid = features_of(seen, config)["songs" if is_song else "test"]
        found: list[list[list[Any]]] = []
        seconds = 0.0
        settings = replace(config.search, beam_size=beam_size)
        with torch.inference_mode():
            for group in grid.flatten(0, 1).split(256):
                memory = memory_of(group.to(device, torch.float32))
                clock = time.perf_counter()
                best = search(model, memory, vocabulary, settings)
                seconds += time.perf_counter() - clock
                found += as_words(best, vocabulary)
        items, count = grid.shape[:2]
        write_json(
            folder / "hypotheses.json",
            [found[i * count : (i + 1) * count] for i in range(items)],
        )
        return {
            "mean_length": float(np.mean([len(each[0][0]) for each in found])),
            "distinct_best": len({" ".join(each[0][0]) for each in found}),
            "timing": {"search_seconds": round(seconds, 4), "per_example": seconds / len(found)},
        }

    settings = {"input": name, "search": asdict(config.search) | {"beam_size": beam_size}}
    settings |= pick(config, "seed", "standardise_timbre")
    settings["device"] = check_device(config.device).type
    return run_stage("hypotheses", compute, settings=settings, inputs=[trained, seen], home=home)


def search(
    model: Captioner, memory: Tensor, vocabulary: Vocabulary, settings: SearchConfig
) -> Hypotheses:
    """Greedy search at beam size 1 (as the paper has it), beam search above.

    A title is made of words: the unknown word, padding and `<bos>` are never said.
    """
    never = [vocabulary.pad_id, vocabulary.bos_id, vocabulary.unk_id]
    return Searcher(model.decoder, never=never).search(
        memory, bos_id=vocabulary.bos_id, eos_id=vocabulary.eos_id, config=settings
    )


def timbre_door(config: ExperimentConfig, timbre: Tensor) -> TimbreDoor:
    """The back door for timbre, standardised over the songs at hand (or raw, as a setting)."""
    order = replicated_order(config.model.dim, generator=generator_for(config.seed, "timbre order"))
    if not config.standardise_timbre:
        return TimbreDoor(order, torch.zeros(90), torch.ones(90))
    return TimbreDoor(order, *fit_standardiser(timbre))


def name_songs(
    paths: Iterable[Path], *, beam_size: int = 5, home: Path | None = None
) -> Iterator[tuple[Path, list[tuple[str, float]] | InputError]]:
    """Titles for audio files from the last trained captioner, best first, with log-probabilities.

    A file that cannot be read yields its `InputError` in place of titles, and the rest go on.
    """
    record = last_captioner(home or data_home())
    config = ExperimentConfig.from_dict(
        read_checkpoint(best_checkpoint(record.folder)).details["config"]
    )
    model, vocabulary, device = load_trained(record, config)
    backbone = frozen_backbone(config)
    settings = replace(config.search, beam_size=beam_size)
    for path in paths:
        try:
            image = clip_picture(hear(path, config), path.name, config)
        except InputError as error:
            yield path, error
            continue
        with torch.inference_mode():
            memory = model.encoder(backbone(image.unsqueeze(0).to(device)))
            found = as_words(search(model, memory, vocabulary, settings), vocabulary)[0]
        yield path, [(" ".join(words), log_prob) for words, log_prob in found]


def last_captioner(home: Path) -> Record:
    """The captioner that named songs last, else the last one trained.

    Those trained for comparison alone name no songs. Raises InputError where none is trained.
    """
    trained = {record.key: record for record in finished(home, "training")}
    named = [
        trained[record.inputs["training"]]
        for record in finished(home, "hypotheses")
        if record.settings["input"] in SONG_INPUTS and record.inputs["training"] in trained
    ]
    if not trained:
        msg = "title: no trained model yet; run `make book` or `python -m songtitle run` first"
        raise InputError(msg)
    return [*trained.values(), *named][-1]


def as_words(found: Hypotheses, vocabulary: Vocabulary) -> list[list[list[Any]]]:
    """Per example, up to five hypotheses as `[words, log-probability]`, best first."""
    return [
        [
            [vocabulary.decode(ids), log_prob]
            for ids, log_prob in zip(beams[:5], log_probs[:5], strict=True)
            if math.isfinite(log_prob)
        ]
        for beams, log_probs in zip(found.tokens.tolist(), found.log_probs.tolist(), strict=True)
    ]
