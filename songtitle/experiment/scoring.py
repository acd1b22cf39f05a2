"""Scoring: what every input, encoder and decoder scores, beside what chance scores."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import ExperimentConfig
from songtitle.corpora.manifest import data_home
from songtitle.experiment.corpora import Words, clips, corpora, held_out_captions, true_words
from songtitle.experiment.inputs import picture_features
from songtitle.experiment.learning import patient, training
from songtitle.experiment.naming import (
    BEAM_SIZE,
    best_by_tile,
    hypotheses,
    search_cells,
    table_inputs,
    whole_pictures,
)
from songtitle.metrics.bleu import DEFINITIONS, Definition, sentence_scores, signatures
from songtitle.metrics.chance import against_chance
from songtitle.metrics.pairs import pair_scores

Scores = Float[np.ndarray, " items"]

PERMUTATIONS = 1000  # random pairings behind each p value
BLEU = "bleu1"  # which BLEU, a key of `metrics.DEFINITIONS`


@stage
def scores(config: ExperimentConfig, *, home: Path) -> Work:
    """Table 4: mean sentence BLEU-1 of every input and beam size, beside what chance scores.

    Result rows: `input, tile_size, tiles, beam_size, score, low, high, chance, gain, p,
    mean_length`; scores in [0, 1]. A picture's score is the mean over its tiles (paper 5). Chance
    is the mean score over all wrong pairings of the same hypotheses and references.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    inputs = table_inputs(config)
    found = search_cells(config, inputs, config.beam_sizes, home=home)

    def compute(_: Path) -> dict[str, Any]:
        references = true_words(words, songs)
        rows = [
            {"input": each, "tile_size": each.tile, "beam_size": size}
            | scored(record, references[each.kind], seed=config.seed)
            for (each, size), record in found.items()
        ]
        return {"rows": rows}

    settings = pick(config, "seed") | {"bleu": signatures(BLEU), "beams": config.beam_sizes}
    settings |= {"inputs": inputs, "hypotheses": found.values()}
    return Work(compute, settings, [words, songs])


def scored(record: Record, references: Words, *, seed: int) -> dict[str, Any]:
    """Score the best hypotheses of a record against `references`, beside chance.

    `tiles, items, mean_length`, and the fields of `Chance`.
    """
    best = best_by_tile(record)
    return {"tiles": len(best), "items": len(references)} | beside_chance(
        best, references, seed=seed
    )


def beside_chance(by_tile: Sequence[Words], references: Words, *, seed: int) -> dict[str, Any]:
    """Score titles, or of each place of tiles its titles, beside chance.

    `mean_length` in words and the fields of `Chance`. A picture's pair score is its tiles' mean.
    """
    pairs = np.mean([all_scores(said, references, DEFINITIONS[BLEU]) for said in by_tile], axis=0)
    generator = np.random.default_rng(seed)
    chance = against_chance(pairs, rounds=PERMUTATIONS, generator=generator)
    said = [words for tile in by_tile for words in tile]
    return asdict(chance) | {"mean_length": mean_length(said)}


def score_table(config: ExperimentConfig, home: Path | None = None) -> pd.DataFrame:
    """Tabulate `scores`, with `seconds` of search per example and `bleu_per_second`."""
    home = home or data_home()
    frame = pd.DataFrame(scores(config, home=home).result["rows"])
    frame["seconds"] = [
        hypotheses(config, row.input, row.beam_size, home=home).timing["per_example"]
        for row in frame.itertuples()
    ]
    frame["bleu_per_second"] = frame["score"] / frame["seconds"]
    return frame


def variants(config: ExperimentConfig) -> list[ExperimentConfig]:
    """List the experiment with each encoder and each decoder to compare.

    Its own pair, where it is named, stays as it is; the others stop early.
    """
    found = []
    for encoder, decoder in product(config.compared_encoders, config.compared_decoders):
        penalty = config.model.attention_penalty if decoder == "attention" else 0.0
        model = replace(config.model, encoder=encoder, decoder=decoder, attention_penalty=penalty)
        same = model == config.model
        found.append(config if same else patient(replace(config, model=model)))
    return found


@stage
def comparison(config: ExperimentConfig, *, home: Path) -> Work:
    """Every encoder with every decoder: perplexity with its control, BLEU-1 beside chance.

    Result rows: `encoder, decoder, valid_perplexity, permuted_pictures_perplexity, epoch,
    parameters, backbone_parameters`, and of the whole test crops at k = 5 what `Chance` holds.
    Timing: `rows`, in the same order, of `encode_seconds` and `epoch_seconds`.
    """
    words, chosen = corpora(config, home=home), variants(config)
    seen = [picture_features(each, home=home) for each in chosen]
    trained = [training(each, home=home) for each in chosen]
    found = [hypotheses(each, whole_pictures(each), BEAM_SIZE, home=home) for each in chosen]

    def compute(_: Path) -> dict[str, Any]:
        captions = held_out_captions(words)
        rows, times = [], []
        for each, pictures, learnt, said in zip(chosen, seen, trained, found, strict=True):
            kept = ("valid_perplexity", "permuted_pictures_perplexity", "parameters")
            row = {
                "encoder": each.model.encoder,
                "decoder": each.model.decoder,
                "epoch": best_epoch(learnt),
                "backbone_parameters": pictures.result["parameters"],
            }
            row |= {name: learnt.result[name] for name in kept}
            rows.append(row | scored(said, captions, seed=config.seed))
            seconds = {"encode_seconds": pictures.timing["encode_seconds"]}
            times.append(seconds | {"epoch_seconds": learnt.timing["epoch_seconds"]})
        return {"rows": rows, "timing": {"rows": times}}

    settings = pick(config, "seed") | {"bleu": signatures(BLEU), "records": [*trained, *found]}
    return Work(compute, settings, [words])


def best_epoch(trained: Record) -> int:
    """Tell the epoch of least validation perplexity, whose weights were kept."""
    history = trained.result["history"]
    return min(history, key=lambda row: row["valid_perplexity"])["epoch"]


def mean_length(said: Words) -> float:
    """Average the length of titles, in words."""
    return float(np.mean([len(words) for words in said]))


def own_scores(
    hypotheses: Words, references: Words, definition: Definition = DEFINITIONS[BLEU]
) -> Scores:
    """Score each hypothesis against its own reference."""
    return sentence_scores(hypotheses, [[reference] for reference in references], definition)


def all_scores(
    hypotheses: Words, references: Words, definition: Definition = DEFINITIONS[BLEU]
) -> Float[np.ndarray, "items items"]:
    """Score every hypothesis against every reference; equal hypotheses are scored once."""
    known = {said: place for place, said in enumerate(dict.fromkeys(map(tuple, hypotheses)))}
    table = pair_scores([list(said) for said in known], references, definition)
    return table[[known[tuple(said)] for said in hypotheses]]


def chance_of(pairs: Float[np.ndarray, "items items"]) -> float:
    """Average over all wrong pairs, exactly."""
    items = len(pairs)
    return float((pairs.sum() - np.trace(pairs)) / (items * (items - 1)))
