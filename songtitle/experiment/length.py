"""Length effects: what a beam changes by making titles shorter, and what by choosing words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from songtitle.cache import Record, once, pick, read_json, run_stage
from songtitle.config import ExperimentConfig
from songtitle.experiment.learning import training
from songtitle.experiment.naming import hypotheses
from songtitle.experiment.scoring import (
    PERMUTATIONS,
    Words,
    all_scores,
    chance_of,
    controlled_inputs,
    features_record,
    listener,
    references_of,
)
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import bootstrap_interval, paired_difference

PEAK = 5  # the beam size at which the paper's scores peak: they rise before it and fall after
DEFINED = ("bleu1", "letters")  # the definitions under which a beam effect is split
PREFIXES = range(1, 11)  # words


@dataclass(frozen=True)
class Split:
    """A difference between two systems in two parts, which sum to it, for each item."""

    change: Float[np.ndarray, " items"]
    length: Float[np.ndarray, " items"]  # from saying another number of words
    content: Float[np.ndarray, " items"]  # from saying other words


def split_change(
    first: Float[np.ndarray, " items"],
    first_at_second: Float[np.ndarray, " items"],
    second_at_first: Float[np.ndarray, " items"],
    second: Float[np.ndarray, " items"],
) -> Split:
    """Split `second - first` into length and content, given each system at the other's lengths.

    Lengths may change before the words or after them. Both orders are as good, so each part is
    the mean over the two: of `first` giving up its lengths and of `second` keeping those of
    `first`. Systems that say the same words but stop elsewhere differ by length alone; systems
    of equal lengths by content alone.

    Source: Shapley 1953, for two players.
    """
    length = (first_at_second - first + second - second_at_first) / 2
    content = (second_at_first - first + second - first_at_second) / 2
    return Split(second - first, length, content)


def steps_of(beam_sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """The beam sizes between which the paper's curve rises and falls: 1 to 5, 5 to the largest."""
    last = max(beam_sizes)
    return [(1, PEAK), (PEAK, last)] if last > PEAK else [(1, PEAK)]


@once
def lengths(config: ExperimentConfig, *, home: Path) -> Record:
    """Every beam effect of both song inputs and whole pictures, split into length and content.

    Result `steps`, one per input, definition and step `first` to `second` (beam sizes): their
    `first_score, second_score, first_chance, second_chance, first_words, second_words` (mean
    lengths), and for each part of the change (`change, length, content`) its mean with `_low,
    _high` (bootstrap) and `_p` (random signs), and `_chance`, the same part of the change in
    chance. `curves`, per input, definition and beam size: `score, low, high, chance, words`.
    `prefixes`, the same for greedy hypotheses cut to their first `kept` words.
    """
    trained = training(config, home=home)
    inputs, steps = controlled_inputs(config), steps_of(config.beam_sizes)
    beams = sorted({*config.beam_sizes, *(size for step in steps for size in step)})
    seen = {name: features_record(config, name, home=home) for name in inputs}
    references = {name: references_of(config, name, home=home) for name in inputs}
    found = {
        (name, size): hypotheses(config, name, size, home=home) for name in inputs for size in beams
    }

    def compute(_: Path) -> dict[str, Any]:
        result: dict[str, list[dict[str, Any]]] = {"steps": [], "curves": [], "prefixes": []}
        generator = np.random.default_rng(config.seed)
        for name in inputs:
            captioner = listener(config, name, trained, seen[name])
            memory = captioner.memory()
            said = {size: best_of(found[name, size]) for size in beams}
            swapped = {
                (size, other): captioner.titles_of_length(memory, size, list(map(len, said[other])))
                for step in steps
                for size, other in (step, step[::-1])
            }
            for key in DEFINED:
                scored = _Scores(references[name], key)
                lead = {"input": name, "definition": key}
                for first, second in steps:
                    corners = (
                        said[first],
                        swapped[first, second],
                        swapped[second, first],
                        said[second],
                    )
                    row = split_of(corners, scored, generator)
                    result["steps"].append(lead | {"first": first, "second": second} | row)
                for size in beams:
                    row = scored.summary(said[size], generator)
                    result["curves"].append(lead | {"beam_size": size} | row)
                for kept in PREFIXES:
                    row = scored.summary([title[:kept] for title in said[1]], generator)
                    result["prefixes"].append(lead | {"kept": kept} | row)
        return result

    settings = pick(config, "seed") | {"inputs": inputs, "steps": steps, "beams": beams}
    settings["bleu"] = signatures(*DEFINED)
    settings["records"] = [record.key for record in (*found.values(), *seen.values())]
    return run_stage("lengths", compute, settings=settings, inputs=[trained], home=home)


def best_of(record: Record) -> Words:
    """The best hypothesis of each item that is not cut into tiles."""
    return [item[0][0][0] for item in read_json(record.file("hypotheses.json"))]


class _Scores:
    """Pair scores against the references of one input, by one definition."""

    def __init__(self, references: Words, definition: str):
        self.references, self.definition = references, DEFINITIONS[definition]

    def of(self, said: Words) -> tuple[Float[np.ndarray, " items"], float]:
        """The items' scores and exact chance."""
        pairs = all_scores(said, self.references, self.definition)
        return np.diagonal(pairs), chance_of(pairs)

    def summary(self, said: Words, generator: np.random.Generator) -> dict[str, float]:
        own, chance = self.of(said)
        low, high = bootstrap_interval(own, generator=generator)
        numbers = {"score": float(own.mean()), "low": low, "high": high, "chance": chance}
        return numbers | {"words": mean_words(said)}


def split_of(
    corners: tuple[Words, Words, Words, Words],
    scored: _Scores,
    generator: np.random.Generator,
) -> dict[str, float]:
    """A row of `steps`, from what is said at the first beam size, at it with the second's lengths,
    at the second with the first's lengths, and at the second."""
    own, chance = zip(*(scored.of(said) for said in corners), strict=True)
    parts = vars(split_change(*own))
    by_chance = vars(split_change(*(np.array([value]) for value in chance)))
    row: dict[str, float] = {
        "first_score": float(own[0].mean()),
        "second_score": float(own[-1].mean()),
        "first_chance": chance[0],
        "second_chance": chance[-1],
        "first_words": mean_words(corners[0]),
        "second_words": mean_words(corners[-1]),
    }
    for part, values in parts.items():
        found = paired_difference(
            values, np.zeros(len(values)), rounds=PERMUTATIONS, generator=generator
        )
        row |= {
            part: found.mean,
            f"{part}_low": found.low,
            f"{part}_high": found.high,
            f"{part}_p": found.p,
            f"{part}_chance": float(by_chance[part][0]),
        }
    return row


def mean_words(said: Words) -> float:
    """The mean length of titles, in words."""
    return float(np.mean([len(words) for words in said]))
