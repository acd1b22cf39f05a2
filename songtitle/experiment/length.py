"""Length effects: what a beam changes by making titles shorter, and what by choosing words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Work, pick, stage
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import Words, clips, corpora, true_words
from songtitle.experiment.inputs import features_record
from songtitle.experiment.learning import training
from songtitle.experiment.naming import (
    BEAM_SIZE,
    best_of,
    controlled_inputs,
    listener,
    search_cells,
)
from songtitle.experiment.scoring import PERMUTATIONS, Scores, all_scores, chance_of, mean_length
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import bootstrap_interval, paired_difference

DEFINED = ("bleu1", "letters")  # the definitions under which a beam effect is split
PREFIXES = range(1, 11)  # words


@dataclass(frozen=True)
class Split:
    """A difference between two systems in two parts, which sum to it, for each item."""

    change: Scores
    length: Scores  # from saying another number of words
    content: Scores  # from saying other words


def split_change(
    first: Scores, first_at_second: Scores, second_at_first: Scores, second: Scores
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
    """List the steps between beam sizes: 1 to 5, where the paper peaks, and 5 to the largest."""
    last = max(beam_sizes)
    return [(1, BEAM_SIZE), (BEAM_SIZE, last)] if last > BEAM_SIZE else [(1, BEAM_SIZE)]


@stage
def lengths(config: ExperimentConfig, *, home: Path) -> Work:
    """Every beam effect of both song inputs and whole pictures, split into length and content.

    Result `steps`, one per input, definition and step `first` to `second` (beam sizes): their
    `first_score, second_score, first_chance, second_chance, first_words, second_words` (mean
    lengths), and for each part of the change (`change, length, content`) its mean with `_low,
    _high` (bootstrap) and `_p` (random signs), and `_chance`, the same part of the change in
    chance. `curves`, per input, definition and beam size: `score, low, high, chance, words`.
    `prefixes`, the same for greedy hypotheses cut to their first `kept` words.
    """
    trained, steps = training(config, home=home), steps_of(config.beam_sizes)
    words, songs = corpora(config, home=home), clips(config, home=home)
    beams = sorted({*config.beam_sizes, *(size for step in steps for size in step)})
    seen = {each: features_record(config, each, home=home) for each in controlled_inputs(config)}
    found = search_cells(config, seen, beams, home=home)

    def compute(_: Path) -> dict[str, Any]:
        result: dict[str, list[dict[str, Any]]] = {"steps": [], "curves": [], "prefixes": []}
        generator, references = np.random.default_rng(config.seed), true_words(words, songs)
        for name, features in seen.items():
            hearing = listener(config, name, trained, features)
            memory = hearing.memory()
            said = {size: best_of(found[name, size]) for size in beams}
            swapped = {
                (size, other): hearing.titles_of_length(memory, size, list(map(len, said[other])))
                for step in steps
                for size, other in (step, step[::-1])
            }
            for key in DEFINED:
                judge = PairScores(references[name.kind], key)
                lead = {"input": name, "definition": key}
                for first, second in steps:
                    swap = swapped[first, second], swapped[second, first]
                    row = split_of((said[first], *swap, said[second]), judge, generator)
                    result["steps"].append(lead | {"first": first, "second": second} | row)
                for size in beams:
                    row = judge.summary(said[size], generator)
                    result["curves"].append(lead | {"beam_size": size} | row)
                for kept in PREFIXES:
                    row = judge.summary([title[:kept] for title in said[1]], generator)
                    result["prefixes"].append(lead | {"kept": kept} | row)
        return result

    settings = pick(config, "seed") | {"inputs": [*seen], "steps": steps, "beams": beams}
    settings |= {"bleu": signatures(*DEFINED), "records": [*found.values(), *seen.values()]}
    return Work(compute, settings, [trained])


@dataclass(frozen=True)
class PairScores:
    """Scores titles against the references of one input, by one definition."""

    references: Words
    definition: str

    def of(self, said: Words) -> tuple[Scores, float]:
        """Give the items' scores and exact chance."""
        pairs = all_scores(said, self.references, DEFINITIONS[self.definition])
        return np.diagonal(pairs), chance_of(pairs)

    def summary(self, said: Words, generator: np.random.Generator) -> dict[str, float]:
        """Give `score, low, high` (bootstrap over items), `chance` and mean length as `words`."""
        own, chance = self.of(said)
        low, high = bootstrap_interval(own, generator=generator)
        numbers = {"score": float(own.mean()), "low": low, "high": high, "chance": chance}
        return numbers | {"words": mean_length(said)}


def split_of(
    corners: tuple[Words, Words, Words, Words], judge: PairScores, generator: np.random.Generator
) -> dict[str, float]:
    """Make a row of `steps`, from what is said at the first beam size, at it with the second's
    lengths, at the second with the first's lengths, and at the second."""
    own, chance = zip(*map(judge.of, corners), strict=True)
    by_chance = vars(split_change(*(np.array([value]) for value in chance)))
    row: dict[str, float] = {}
    for name, place in (("first", 0), ("second", -1)):
        row |= {f"{name}_score": float(own[place].mean()), f"{name}_chance": chance[place]}
        row[f"{name}_words"] = mean_length(corners[place])
    for part, values in vars(split_change(*own)).items():
        nothing = np.zeros(len(values))
        found = paired_difference(values, nothing, rounds=PERMUTATIONS, generator=generator)
        row |= {part: found.mean, f"{part}_low": found.low, f"{part}_high": found.high}
        row |= {f"{part}_p": found.p, f"{part}_chance": float(by_chance[part][0])}
    return row
