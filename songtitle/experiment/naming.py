"""Naming: search over every input, scores beside chance, and titles for your own music."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from songtitle.controls import against_chance
from songtitle.devices import check_device
from songtitle.errors import InputError
from songtitle.experiment.common import generator_for, once, pick, read_json, write_json
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.inputs import (
    clip_picture,
    frozen_backbone,
    hear,
    picture_features,
    song_features,
)
from songtitle.experiment.learning import load_trained, training
from songtitle.manifest import data_home
from songtitle.metrics import unigram_pair_scores
from songtitle.model.captioner import Captioner
from songtitle.model.encoder import TimbreDoor
from songtitle.presets import ExperimentConfig
from songtitle.search import Hypotheses, SearchConfig, beam_search, greedy_search
from songtitle.shapes import State
from songtitle.stages import Record, finished, run_stage
from songtitle.timbre import fit_standardiser, replicated_order
from songtitle.training import read_checkpoint
from songtitle.vocab import Vocabulary

SONG_INPUTS = ("songs: timbre", "songs: spectrogram")
PERMUTATIONS = 1000  # random pairings behind each p value


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
    seen = song_features(config, home=home) if is_song else picture_features(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        model, vocabulary, device = load_trained(trained, config)
        features = load_file(seen.file("features.safetensors"))
        memory_of: Callable[[Tensor], Tensor] = model.encoder
        if name == "songs: timbre":
            grid = features["timbre"].unsqueeze(1)
            memory_of = timbre_door(config, features["timbre"]).to(device)
        elif is_song:
            grid = features["spectrogram"].unsqueeze(1)
        else:
            grid = features[f"test_{name.split('×')[-1]}"]
        found: list[list[list[Any]]] = []
        seconds = 0.0
        settings = replace(config.search, beam_size=beam_size)
        with torch.inference_mode():
            for group in grid.flatten(0, 1).split(256):
                memory = memory_of(group.to(device))
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

    def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        log_probs, state = model.search_step(tokens, state)
        log_probs[:, never] = -torch.inf
        return log_probs, state

    state = model.decoder.start(memory)
    ends = {"bos_id": vocabulary.bos_id, "eos_id": vocabulary.eos_id}
    if settings.beam_size == 1:
        return greedy_search(step, state, **ends, max_steps=settings.max_steps)
    return beam_search(step, state, **ends, config=settings)


def timbre_door(config: ExperimentConfig, timbre: Tensor) -> TimbreDoor:
    """The back door for timbre, standardised over the songs at hand (or raw, as a setting)."""
    order = replicated_order(config.model.dim, generator=generator_for(config.seed, "timbre order"))
    if not config.standardise_timbre:
        return TimbreDoor(order, torch.zeros(90), torch.ones(90))
    return TimbreDoor(order, *fit_standardiser(timbre))


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
        references = {
            "songs": [song["tokens"] for song in read_json(songs.file("songs.json"))],
            "pictures": [
                picture["tokens"]
                for picture in read_json(words.file("pictures.json"))
                if picture["split"] == "test"
            ],
        }
        rows = []
        for (name, size), record in found.items():
            best = [
                [tile[0][0] for tile in item] for item in read_json(record.file("hypotheses.json"))
            ]
            truth = references[name.split()[0].strip(":")]
            # One matrix per tile position, averaged: a picture's pair score is its tiles' mean.
            pairs = np.mean(
                [unigram_pair_scores(list(tile), truth) for tile in zip(*best, strict=True)], axis=0
            )
            generator = np.random.default_rng(config.seed)
            chance = against_chance(pairs, rounds=PERMUTATIONS, generator=generator)
            rows.append(
                {
                    "input": name,
                    "tile_size": int(name.split("×")[-1]) if "×" in name else None,
                    "tiles": len(best[0]),
                    "items": len(best),
                    "beam_size": size,
                    **asdict(chance),
                    "mean_length": record.result["mean_length"],
                }
            )
        return {"rows": rows}

    settings = {
        "seed": config.seed,
        "beams": list(config.beam_sizes),
        "inputs": input_names(config),
    }
    settings["hypotheses"] = [record.key for record in found.values()]
    return run_stage("scores", compute, settings=settings, inputs=[words, songs], home=home)


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


def name_songs(
    paths: Iterable[Path], *, beam_size: int = 5, home: Path | None = None
) -> Iterator[tuple[Path, list[tuple[str, float]] | InputError]]:
    """Titles for audio files from the last trained captioner, best first, with log-probabilities.

    A file that cannot be read yields its `InputError` in place of titles, and the rest go on.
    """
    records = finished(home or data_home(), "training")
    if not records:
        msg = "title: no trained model yet; run `make book` or `python -m songtitle run` first"
        raise InputError(msg)
    record = records[-1]
    config = ExperimentConfig.from_dict(
        read_checkpoint(record.file("best.safetensors"))[1]["config"]
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
