"""Scoring: what every input and beam size scores, beside what chance scores."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from songtitle.cache import Record, once, run_stage
from songtitle.config import ExperimentConfig
from songtitle.controls import against_chance
from songtitle.experiment.common import read_json
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.naming import hypotheses, input_names
from songtitle.manifest import data_home
from songtitle.metrics import DEFINITIONS, pair_scores, signatures

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
