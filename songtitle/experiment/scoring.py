"""Scoring: what every input, encoder and decoder scores beside chance, and what length does."""

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
from songtitle.experiment.corpora import (
    Words,
    clips,
    corpora,
    held_out_captions,
    true_series,
    true_words,
)
from songtitle.experiment.inputs import picture_features
from songtitle.experiment.learning import patient, training
from songtitle.experiment.naming import (
    BEAM_SIZE,
    best_by_tile,
    best_of,
    controlled_inputs,
    hypotheses,
    listeners,
    search_cells,
    table_inputs,
    whole_pictures,
)
from songtitle.metrics.bleu import DEFINITIONS, Definition, sentence_scores, signatures
from songtitle.metrics.chance import (
    Series,
    against_chance,
    bootstrap_interval,
    gain_parts,
    paired_difference,
)
from songtitle.metrics.pairs import best_dealing, pair_scores

Scores = Float[np.ndarray, " items"]

PERMUTATIONS = 1000  # random pairings or signs behind each p value
BLEU = "bleu1"  # which BLEU, a key of `metrics.DEFINITIONS`
BOTH = ("bleu1", "letters")  # by which effects are looked at
PREFIXES = range(1, 11)  # words kept of a title


@stage
def scores(config: ExperimentConfig, *, home: Path) -> Work:
    """Table 4: mean sentence BLEU-1 of every input and beam size, beside what chance scores.

    Result rows: `input, tile_size, tiles, items, series, beam_size`, the fields of `Chance`,
    `mean_length`, and `by_items`: what `Chance` would hold, were every item a series of its own.
    Scores are in [0, 1]; a picture's is the mean over its tiles (paper 5).
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    found = search_cells(config, table_inputs(config), config.beam_sizes, home=home)

    def compute(_: Path) -> dict[str, Any]:
        references, series, rows = true_words(words, songs), true_series(words, songs), []
        for (each, size), record in found.items():
            wanted = references[each.reading]
            row = {"input": each, "tile_size": each.tile, "beam_size": size}
            row |= scored(record, wanted, series[each.reading], seed=config.seed)
            alone = beside_chance(best_by_tile(record), wanted, seed=config.seed)
            rows.append(row | {"by_items": alone})
        return {"rows": rows}

    settings = pick(config, "seed") | {"bleu": signatures(BLEU), "hypotheses": found.values()}
    return Work(compute, settings, [words, songs])


def scored(
    record: Record, references: Words, series: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Score the best hypotheses of a record: `tiles, items, series` (how many) and what
    `beside_chance` gives."""
    best = best_by_tile(record)
    counts = {"tiles": len(best), "items": len(references), "series": len(set(series))}
    return counts | beside_chance(best, references, series, seed=seed)


def beside_chance(
    by_tile: Sequence[Words], references: Words, series: Series = None, *, seed: int
) -> dict[str, Any]:
    """Score titles, or of each place of tiles its titles, beside chance: `mean_length` in words and
    the fields of `Chance`. A picture's pair score is its tiles' mean.

    `distinct` counts different titles; `ceiling` is the mean score of the best dealing of the same
    titles to the items, and `ceiling_gain` what that is above dealing them out at random: the most
    that any pairing of them could show, and nothing where all are alike.
    """
    pairs = np.mean([all_scores(said, references) for said in by_tile], axis=0)
    generator = np.random.default_rng(seed)
    chance = against_chance(pairs, series=series, rounds=PERMUTATIONS, generator=generator)
    said = [words for tile in by_tile for words in tile]
    row = asdict(chance) | {"mean_length": mean_length(said)}
    row["distinct"] = len(set(map(tuple, said)))
    ceiling = best_dealing(pairs)
    return row | {"ceiling": ceiling, "ceiling_gain": ceiling - float(pairs.mean())}


def score_table(config: ExperimentConfig, home: Path | None = None) -> pd.DataFrame:
    """Tabulate `scores` (`by_items_gain` and so on), with `seconds` of search per example and
    `bleu_per_second`."""
    home = home or data_home()
    frame = pd.json_normalize(scores(config, home=home).result["rows"], sep="_")
    frame["seconds"] = [
        hypotheses(config, *cell, home=home).timing["per_example"]
        for cell in zip(frame["input"], frame["beam_size"], strict=True)
    ]
    return frame.assign(bleu_per_second=frame["score"] / frame["seconds"])


@stage
def comparison(config: ExperimentConfig, *, home: Path) -> Work:
    """Every encoder with every decoder: perplexity with its control, BLEU-1 beside chance.

    Result rows: `encoder, decoder, valid_perplexity, permuted_pictures_perplexity, epoch,
    parameters, backbone_parameters`, and of the whole test crops at k = 5 what `Chance` holds.
    Timing: `rows`, in the same order, of `encode_seconds` and `epoch_seconds`.
    """
    words, chosen = corpora(config, home=home), compared(config)
    seen = [picture_features(each, home=home) for each in chosen]
    trained = [training(each, home=home) for each in chosen]
    found = [hypotheses(each, whole_pictures(each), BEAM_SIZE, home=home) for each in chosen]

    def compute(_: Path) -> dict[str, Any]:
        captions, series = held_out_captions(words), true_series(words, words)["pixels"]
        rows, times = [], []
        for each, pictures, learnt, said in zip(chosen, seen, trained, found, strict=True):
            kept = ("valid_perplexity", "permuted_pictures_perplexity", "parameters")
            row = pick(each.model, "encoder", "decoder") | {"epoch": learnt.result["epoch"]}
            row["backbone_parameters"] = pictures.result["parameters"]
            row |= {name: learnt.result[name] for name in kept}
            rows.append(row | scored(said, captions, series, seed=config.seed))
            seconds = {"encode_seconds": pictures.timing["encode_seconds"]}
            times.append(seconds | {"epoch_seconds": learnt.timing["epoch_seconds"]})
        return {"rows": rows, "timing": {"rows": times}}

    settings = pick(config, "seed") | {"bleu": signatures(BLEU), "records": [*trained, *found]}
    return Work(compute, settings, [words])


def compared(config: ExperimentConfig) -> list[ExperimentConfig]:
    """List the settings of `comparison`: every encoder with every decoder, each at its own best
    epoch, since some need more epochs than others."""
    found = []
    for encoder, decoder in product(config.compared_encoders, config.compared_decoders):
        penalty = config.model.attention_penalty if decoder == "attention" else 0.0
        model = replace(config.model, encoder=encoder, decoder=decoder, attention_penalty=penalty)
        other = patient(
            replace(config, model=model, training=replace(config.training, keep="best"))
        )
        own = model == config.model and config.training.keep == "best"
        found.append(config if own else other)
    return found


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


def chance_of(pairs: Float[np.ndarray, "items items"], series: Series = None) -> float:
    """Average over all pairs of two series, exactly."""
    return float(np.trace(pairs) / len(pairs) - gain_parts(pairs, series).mean())


# -- what a beam changes by making titles shorter, and what by choosing words ----------------------


def steps_of(beam_sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """List the steps between beam sizes: 1 to 5, where the paper peaks, and 5 to the largest."""
    last = max(beam_sizes)
    return [(1, BEAM_SIZE), (BEAM_SIZE, last)] if last > BEAM_SIZE else [(1, BEAM_SIZE)]


@stage
def lengths(config: ExperimentConfig, *, home: Path) -> Work:
    """Every beam effect of both song inputs and whole pictures, split into length and content.

    Result `steps`, one per input, definition and step `first` to `second` (beam sizes): what
    `split_of` gives. `curves`, per input, definition and beam size: `score, low, high` (bootstrap),
    `chance, words`. `prefixes`, the same for greedy hypotheses cut to their first `kept` words.
    """
    trained, steps = training(config, home=home), steps_of(config.beam_sizes)
    words, songs = corpora(config, home=home), clips(config, home=home)
    beams = sorted({*config.beam_sizes, *(size for step in steps for size in step)})
    seen = controlled_inputs(config, home)
    found = search_cells(config, seen, beams, home=home)

    def compute(_: Path) -> dict[str, Any]:
        result: dict[str, list[dict[str, Any]]] = {"steps": [], "curves": [], "prefixes": []}
        generator, references = np.random.default_rng(config.seed), true_words(words, songs)
        series = true_series(words, songs)
        for name, hearing, memory in listeners(config, trained, seen):
            wanted, its = references[name.reading], series[name.reading]
            said = {k: best_of(found[name, k]) for k in beams}
            swapped = {
                (size, other): hearing.titles_of_length(memory, size, list(map(len, said[other])))
                for step in steps
                for size, other in (step, step[::-1])
            }
            cut = {kept: [title[:kept] for title in said[1]] for kept in PREFIXES}
            for key in BOTH:
                lead = {"input": name, "definition": key}
                for first, second in steps:
                    swap = swapped[first, second], swapped[second, first]
                    corners = (said[first], *swap, said[second])
                    row = split_of(corners, wanted, key, generator, series=its)
                    result["steps"].append(lead | {"first": first, "second": second} | row)
                for part, by, every in (("curves", "beam_size", said), ("prefixes", "kept", cut)):
                    for value, titles in every.items():
                        own, chance = _judged(titles, wanted, key, its)
                        low, high = bootstrap_interval(own, series=its, generator=generator)
                        row = {"score": float(own.mean()), "low": low, "high": high}
                        row |= {"chance": chance, "words": mean_length(titles)}
                        result[part].append(lead | {by: value} | row)
        return result

    settings = pick(config, "seed") | {"steps": steps, "bleu": signatures(*BOTH)}
    settings["records"] = [*found.values(), *seen.values()]
    return Work(compute, settings, [trained])


def _judged(said: Words, references: Words, key: str, series: Series) -> tuple[Scores, float]:
    """The items' scores by a definition, and exact chance."""
    pairs = all_scores(said, references, DEFINITIONS[key])
    return np.diagonal(pairs), chance_of(pairs, series)


def split_of(
    corners: tuple[Words, ...],
    references: Words,
    key: str,
    generator: np.random.Generator,
    *,
    series: Series = None,
) -> dict[str, float]:
    """Split a change in two, given what is said at the first beam size, at it with the second's
    lengths, at the second with the first's lengths, and at the second.

    Gives `first_score, second_score, first_chance, second_chance, first_words, second_words` (mean
    lengths), and for each part of the change (`change, length, content`) its mean with `_low,
    _high` (bootstrap) and `_p` (random signs), and `_chance`, the same part of the change in
    chance.
    """
    own, chance = zip(*(_judged(said, references, key, series) for said in corners), strict=True)
    row: dict[str, float] = {}
    for name, place in (("first", 0), ("second", -1)):
        row |= {f"{name}_score": float(own[place].mean()), f"{name}_chance": chance[place]}
        row[f"{name}_words"] = mean_length(corners[place])
    by_chance = split_change(*chance)
    for part, values in split_change(*own).items():
        nothing = np.zeros(len(values))
        found = paired_difference(
            values, nothing, series=series, rounds=PERMUTATIONS, generator=generator
        )
        row |= {part: found.mean, f"{part}_low": found.low, f"{part}_high": found.high}
        row |= {f"{part}_p": found.p, f"{part}_chance": by_chance[part]}
    return row


def split_change(first: Any, first_at_second: Any, second_at_first: Any, second: Any) -> Any:
    """Split `second - first`, scores or arrays of them, into length and content, given each system
    at the other's lengths: `change` is the sum of `length` and `content`.

    Lengths may change before the words or after them. Both orders are as good, so each part is
    the mean over the two: of `first` giving up its lengths and of `second` keeping those of
    `first`. Systems that say the same words but stop elsewhere differ by length alone; systems
    of equal lengths by content alone.

    Source: Shapley 1953, for two players.
    """
    length = (first_at_second - first + second - second_at_first) / 2
    content = (second_at_first - first + second - first_at_second) / 2
    return {"change": second - first, "length": length, "content": content}
