"""Labs: five classical mistakes, each a switch, and what it does to the score and to chance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from songtitle.cache import Work, pick, stage
from songtitle.config import (
    SONGS,
    SPECTROGRAM,
    TIMBRE,
    ExperimentConfig,
    check_device,
    override,
)
from songtitle.errors import InputError
from songtitle.experiment import naming
from songtitle.experiment.corpora import Words, clips, corpora, true_series, true_words
from songtitle.experiment.inputs import features_record
from songtitle.experiment.learning import training
from songtitle.experiment.switchboard import BOOK, changes, stand
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import Series
from songtitle.metrics.pairs import PairScores, chosen, chosen_pair_scores


@dataclass(frozen=True)
class Way:
    """How one side of a lab is said and scored: where nothing is told, as the rest of the book."""

    settings: Mapping[str, Any] = field(default_factory=dict)  # searched anew with these
    in_training: bool = False  # searched anew with the encoder's batch normalisation in this mode
    definition: str = BOOK.definition
    by_title: bool = False  # against the title of its row in the list sorted by title


LABS = {  # mistake -> before and after it
    "letters": (Way(), Way(definition="letters")),
    "batch_norm": (Way(), Way(in_training=True)),
    # The sum is the mistake, though the book's other pages make it.
    "length": (Way({"search.length_penalty": 1.0}), Way({"search.length_penalty": 0.0})),
    "join": (Way(), Way(by_title=True)),
    "timbre": (Way({"standardise_timbre": True}), Way({"standardise_timbre": False})),
}


@dataclass(frozen=True)
class Side:
    """One side of a lab for one input: what was said, and what that scores."""

    said: naming.Found
    pairs: PairScores  # against every reference, the one taken for its own on the diagonal


@stage
def lab(config: ExperimentConfig, name: str, *, home: Path) -> Work:
    """One mistake made: what stands before and after it, for each input that it touches.

    Result: `rows`, each with `input`, `items`, `before` and `after` (the fields of `Chance`, in
    [0, 1]), what `changes` gives of score and gain, and `changed`, the share of items whose best
    answer is another. Timing is the lab's own, with training and features at hand. Raises
    InputError for another name.

    - letters: each title scored as a string, letter by letter;
    - batch_norm: the projection's normalisation in training mode, by the batch's own statistics;
    - length: hypotheses ranked by summed log-probability, in place of its mean per token;
    - join: each song beside the title of its row in the list sorted by title;
    - timbre: the 90 numbers as they are, not standardised.
    """
    if name not in LABS:
        msg = f"lab: expected one of {', '.join(LABS)}, got {name!r}; choose one of these"
        raise InputError(msg)
    whole = naming.whole_pictures(config)
    reached = {"batch_norm": [whole, SPECTROGRAM], "join": [*SONGS], "timbre": [TIMBRE]}
    inputs = reached.get(name, [whole, *SONGS])
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained = training(config, home=home)
    before = {each: naming.hypotheses(config, each, naming.BEAM_SIZE, home=home) for each in inputs}
    seen = {each: features_record(config, each, home=home) for each in inputs}

    def compute(_: Path) -> dict[str, Any]:
        wanted, series, rows = true_words(words, songs), true_series(words, songs), []
        for each in inputs:
            sides = []
            for way in LABS[name]:
                said = naming.whole_items(before[each])
                if way.settings or way.in_training:
                    asked = override(config, way.settings)
                    said = _searched(naming.listener(asked, each, trained, seen[each]), way)
                sides.append(_scored(said, wanted[each.reading], way))
            row = _compared(sides[0], sides[1], series[each.reading], seed=config.seed)
            rows.append({"input": each} | row)
        return {"rows": rows}

    settings = pick(config, "seed", "standardise_timbre", "smallest_effect") | {"lab": name}
    settings |= {"bleu": signatures(BOOK.definition), "device": check_device(config.device).type}
    settings["records"] = [*before.values(), *seen.values()]
    return Work(compute, settings, [words, songs, trained])


def _searched(hearing: naming.Listener, way: Way) -> naming.Found:
    for module in hearing.model.encoder.modules() if way.in_training else ():
        if isinstance(module, nn.BatchNorm1d):
            module.train()
    memories = map(hearing.memory, batches(hearing.features))
    return [each for some in memories for each in hearing.hypotheses(some, naming.BEAM_SIZE)]


def batches(rows: Tensor) -> Iterator[Tensor]:
    """Split rows into groups of at most AT_ONCE, as even as can be: none is alone with itself, for
    one has no statistics to normalise by."""
    yield from rows.tensor_split(-(-len(rows) // naming.AT_ONCE))


def _scored(said: naming.Found, wanted: Words, way: Way) -> Side:
    pairs = chosen_pair_scores(said, wanted, DEFINITIONS[way.definition], BOOK.choice)
    order = list(range(len(wanted)))
    if way.by_title:
        order.sort(key=lambda place: (wanted[place], place))
    return Side(said, pairs[:, order])


def _compared(before: Side, after: Side, series: Series = None, *, seed: int) -> dict[str, Any]:
    """Both sides of a lab, and the paired differences between them."""
    first, second = chosen(before.said, BOOK.choice), chosen(after.said, BOOK.choice)
    changed = float(np.mean([one != two for one, two in zip(first, second, strict=True)]))
    found: dict[str, Any] = {"items": len(before.pairs), "changed": changed}
    for label, side in (("before", before), ("after", after)):
        found[label] = stand(side.pairs, series, seed=seed)
    generator = np.random.default_rng(seed)
    return found | changes(after.pairs, before.pairs, series, generator=generator)
