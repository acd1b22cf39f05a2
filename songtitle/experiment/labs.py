"""Labs: five classical mistakes, each a switch, and what it does to the score and to chance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from songtitle.cache import Record, once, pick, run_stage
from songtitle.config import ExperimentConfig, SearchConfig, check_device
from songtitle.errors import InputError
from songtitle.experiment.assumptions import BOOK, Reading
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.inputs import features_of, song_features, tile_features, timbre_of
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import SONG_INPUTS, as_words, hypotheses, search, timbre_door
from songtitle.experiment.scoring import held_out_captions, song_titles
from songtitle.experiment.switchboard import (
    BEAM_SIZE,
    Found,
    changes,
    own_and_gains,
    picture_input,
    whole_items,
)
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import bootstrap_interval
from songtitle.metrics.pairs import chosen, chosen_pair_scores

BATCH = 256  # items that pass the encoder together
LABS = ("letters", "batch_norm", "length", "join", "timbre")

Scores = Float[np.ndarray, " items"]


@dataclass(frozen=True)
class Side:
    """One side of a lab for one input: what was said, and what each item scores and gains."""

    said: Found
    own: Scores
    gains: Scores  # above the item's mean over all other references


@dataclass(frozen=True)
class Bench:
    """What a lab works on: settings, trained model, features, true titles and captions."""

    config: ExperimentConfig
    trained: Record
    seen: dict[str, Record]  # by input
    said: dict[str, Found]  # by input, as the rest of the book has it
    wanted: dict[str, list[list[str]]]  # by input


@once
def lab(config: ExperimentConfig, name: str, *, home: Path) -> Record:
    """One mistake made: what stands before and after it, for each input that it touches.

    Result: `rows`, each with `input`, `items`, `before` and `after` (`score, low, high, chance,
    gain`, in [0, 1]), `score_change` and `gain_change` with their 95 % intervals (`_low`, `_high`)
    and p values, and `changed`, the share of items whose best answer is another. Timing is the
    lab's own, with training and features at hand. Raises InputError for another name.

    - letters: each title scored as a string, letter by letter;
    - batch_norm: the projection's normalisation in training mode, by the batch's own statistics;
    - length: hypotheses ranked by summed log-probability, in place of its mean per token;
    - join: each song beside the title of its row in the list sorted by title;
    - timbre: the 90 numbers as they are, not standardised.
    """
    if name not in LABS:
        msg = f"lab: expected one of {', '.join(LABS)}, got {name!r}; choose one of these"
        raise InputError(msg)
    pictures = picture_input(config)
    touched = {
        "batch_norm": (pictures, SONG_INPUTS[1]),
        "join": SONG_INPUTS,
        "timbre": SONG_INPUTS[:1],
    }.get(name, (pictures, *SONG_INPUTS))
    words, songs, trained = (stage(config, home=home) for stage in (corpora, clips, training))
    before = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in touched}
    seen = {
        each: tile_features(config, config.crop, home=home)
        if each == pictures
        else song_features(config, home=home)
        for each in touched
    }

    def compute(_: Path) -> dict[str, Any]:
        titles = song_titles(songs)
        wanted = {pictures: held_out_captions(words)} | dict.fromkeys(SONG_INPUTS, titles)
        said = {each: whole_items(record) for each, record in before.items()}
        bench = Bench(config, trained, seen, said, wanted)
        sides = _MISTAKES[name]
        return {
            "rows": [
                {"input": each} | _compared(*sides(bench, each), seed=config.seed)
                for each in touched
            ]
        }

    settings: dict[str, Any] = {"lab": name, "inputs": list(touched), "beam_size": BEAM_SIZE}
    settings |= pick(config, "seed", "standardise_timbre")
    settings["bleu"] = signatures(BOOK.definition)
    settings["device"] = check_device(config.device).type
    settings["records"] = [record.key for record in (*before.values(), *seen.values())]
    return run_stage("lab", compute, settings=settings, inputs=[words, songs, trained], home=home)


def _letters(bench: Bench, name: str) -> tuple[Side, Side]:
    said, wanted = bench.said[name], bench.wanted[name]
    letters = Reading(definition="letters")
    return _side(said, wanted), _side(said, wanted, letters)


def _batch_norm(bench: Bench, name: str) -> tuple[Side, Side]:
    wanted = bench.wanted[name]
    said = _searched(bench, name, bench.config.search, in_training=True)
    return _side(bench.said[name], wanted), _side(said, wanted)


def _length(bench: Bench, name: str) -> tuple[Side, Side]:
    """Per token first: the sum is the mistake, though the book's other pages make it."""
    per_token = _searched(bench, name, replace(bench.config.search, length_penalty=1.0))
    summed = _searched(bench, name, replace(bench.config.search, length_penalty=0.0))
    return _side(per_token, bench.wanted[name]), _side(summed, bench.wanted[name])


def _join(bench: Bench, name: str) -> tuple[Side, Side]:
    said, wanted = bench.said[name], bench.wanted[name]
    order = np.array(sorted(range(len(wanted)), key=lambda i: (wanted[i], i)))
    pairs = chosen_pair_scores(said, wanted, DEFINITIONS[BOOK.definition], BOOK.choice)
    own = pairs[np.arange(len(order)), order].astype(float)
    others = (pairs.sum(axis=1) - own) / (len(own) - 1)
    return _side(said, wanted), Side(said, own, own - others)


def _timbre(bench: Bench, name: str) -> tuple[Side, Side]:
    sides = []
    for scaled in (True, False):
        config = replace(bench.config, standardise_timbre=scaled)
        said = _searched(replace(bench, config=config), name, config.search)
        sides.append(_side(said, bench.wanted[name]))
    return sides[0], sides[1]


_MISTAKES: dict[str, Callable[[Bench, str], tuple[Side, Side]]] = dict(
    zip(LABS, (_letters, _batch_norm, _length, _join, _timbre), strict=True)
)


def _side(said: Found, wanted: list[list[str]], read: Reading = BOOK) -> Side:
    return Side(said, *own_and_gains(said, wanted, read))


def _searched(
    bench: Bench, name: str, settings: SearchConfig, *, in_training: bool = False
) -> Found:
    """Hypotheses of one input, the encoder's batch normalisation in training mode or not."""
    model, vocabulary, device = load_trained(bench.trained, bench.config)
    record, memory_of = bench.seen[name], model.encoder
    if name == SONG_INPUTS[0]:
        rows: Tensor = timbre_of(record)
        memory_of = timbre_door(bench.config, rows).to(device)
    else:
        side = "songs" if name in SONG_INPUTS else "test"
        rows = features_of(record, bench.config)[side][:, 0]
    for module in memory_of.modules() if in_training else ():
        if isinstance(module, nn.BatchNorm1d):
            module.train()
    settings = replace(settings, beam_size=BEAM_SIZE)
    found: Found = []
    with torch.no_grad():
        for group in batches(rows):
            memory = memory_of(group.to(device, torch.float32))
            found += as_words(search(model, memory, vocabulary, settings), vocabulary)
    return found


def batches(rows: Tensor) -> Iterator[Tensor]:
    """Rows in groups of at most `BATCH`, as even as can be: none is left alone with itself, whose
    statistics a normalisation could not take."""
    yield from rows.tensor_split(-(-len(rows) // BATCH))


def _compared(before: Side, after: Side, *, seed: int) -> dict[str, Any]:
    """Both sides of a lab, and the paired differences between them."""
    generator = np.random.default_rng(seed)
    first, second = chosen(before.said, BOOK.choice), chosen(after.said, BOOK.choice)
    found: dict[str, Any] = {
        "items": len(before.own),
        "changed": float(np.mean([one != two for one, two in zip(first, second, strict=True)])),
    }
    for label, side in (("before", before), ("after", after)):
        low, high = bootstrap_interval(side.own, generator=generator)
        score, gain = float(side.own.mean()), float(side.gains.mean())
        found[label] = {"score": score, "low": low, "high": high}
        found[label] |= {"chance": score - gain, "gain": gain}
    now, then = (after.own, after.gains), (before.own, before.gains)
    return found | changes(now, then, generator=generator)
