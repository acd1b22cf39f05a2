"""Labs: five classical mistakes, each a switch, and what it does to the score and to chance."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import SONGS, SPECTROGRAM, TIMBRE, ExperimentConfig, Input, check_device
from songtitle.errors import InputError
from songtitle.experiment.corpora import Words, clips, corpora, true_words
from songtitle.experiment.inputs import features_record
from songtitle.experiment.learning import training
from songtitle.experiment.naming import (
    AT_ONCE,
    BEAM_SIZE,
    Found,
    hypotheses,
    listener,
    whole_items,
    whole_pictures,
)
from songtitle.experiment.scoring import Scores
from songtitle.experiment.switchboard import BOOK, Reading, changes, own_and_gains
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import bootstrap_interval
from songtitle.metrics.pairs import chosen, chosen_pair_scores


@dataclass(frozen=True)
class Side:
    """One side of a lab for one input: what was said, and what each item scores and gains."""

    said: Found
    own: Scores
    gains: Scores  # above the item's mean over all other references


@dataclass(frozen=True)
class Bench:
    """What a lab works on for one input: settings, trained model, features, true titles."""

    config: ExperimentConfig
    name: Input
    trained: Record
    seen: Record
    said: Found  # as the rest of the book has it
    wanted: Words

    def searched(self, *, in_training: bool = False, **settings: Any) -> Found:
        """Search anew with other settings, or with the encoder's batch normalisation in training
        mode; as even groups as can be, for one alone has no statistics to normalise by."""
        config = replace(self.config, search=replace(self.config.search, **settings))
        hearing = listener(config, self.name, self.trained, self.seen)
        for module in hearing.model.encoder.modules() if in_training else ():
            if isinstance(module, nn.BatchNorm1d):
                module.train()
        return [
            each
            for group in batches(hearing.features)
            for each in hearing.hypotheses(hearing.memory(group), BEAM_SIZE)
        ]

    def side(self, said: Found | None = None, read: Reading = BOOK) -> Side:
        """Score what was said, or what the book has, by a reading of the score."""
        found = self.said if said is None else said
        return Side(found, *own_and_gains(found, self.wanted, read))


def _letters(bench: Bench) -> tuple[Side, Side]:
    return bench.side(), bench.side(read=Reading(definition="letters"))


def _batch_norm(bench: Bench) -> tuple[Side, Side]:
    return bench.side(), bench.side(bench.searched(in_training=True))


def _length(bench: Bench) -> tuple[Side, Side]:
    """Per token first: the sum is the mistake, though the book's other pages make it."""
    per_token, summed = (bench.side(bench.searched(length_penalty=each)) for each in (1.0, 0.0))
    return per_token, summed


def _join(bench: Bench) -> tuple[Side, Side]:
    said, wanted = bench.said, bench.wanted
    order = np.array(sorted(range(len(wanted)), key=lambda i: (wanted[i], i)))
    pairs = chosen_pair_scores(said, wanted, DEFINITIONS[BOOK.definition], BOOK.choice)
    own = pairs[np.arange(len(order)), order].astype(float)
    others = (pairs.sum(axis=1) - own) / (len(own) - 1)
    return bench.side(), Side(said, own, own - others)


def _timbre(bench: Bench) -> tuple[Side, Side]:
    configs = (replace(bench.config, standardise_timbre=scaled) for scaled in (True, False))
    scaled, raw = (bench.side(replace(bench, config=each).searched()) for each in configs)
    return scaled, raw


_MISTAKES = {
    "letters": _letters,
    "batch_norm": _batch_norm,
    "length": _length,
    "join": _join,
    "timbre": _timbre,
}
LABS = tuple(_MISTAKES)


@stage
def lab(config: ExperimentConfig, name: str, *, home: Path) -> Work:
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
    pictures = whole_pictures(config)
    reached = {"batch_norm": [pictures, SPECTROGRAM], "join": [*SONGS], "timbre": [TIMBRE]}
    inputs = reached.get(name, [pictures, *SONGS])
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained = training(config, home=home)
    before = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs}
    seen = {each: features_record(config, each, home=home) for each in inputs}

    def compute(_: Path) -> dict[str, Any]:
        wanted, rows = true_words(words, songs), []
        for each in inputs:
            said = whole_items(before[each])
            bench = Bench(config, each, trained, seen[each], said, wanted[each.kind])
            sides = _MISTAKES[name](bench)
            rows.append({"input": each} | _compared(*sides, seed=config.seed))
        return {"rows": rows}

    settings = pick(config, "seed", "standardise_timbre")
    settings |= {"lab": name, "inputs": inputs, "beam_size": BEAM_SIZE}
    settings |= {"bleu": signatures(BOOK.definition), "device": check_device(config.device).type}
    settings["records"] = [*before.values(), *seen.values()]
    return Work(compute, settings, [words, songs, trained])


def batches(rows: Tensor) -> Iterator[Tensor]:
    """Split rows into groups of at most AT_ONCE, as even as can be: none is alone with itself."""
    yield from rows.tensor_split(-(-len(rows) // AT_ONCE))


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
        numbers = {"score": score, "low": low, "high": high}
        found[label] = numbers | {"chance": score - gain, "gain": gain}
    now, then = (after.own, after.gains), (before.own, before.gains)
    return found | changes(now, then, generator=generator)
