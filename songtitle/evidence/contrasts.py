"""Contrasts: inputs scored on the same items, held against each other item by item."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from songtitle.cache import Record, once, run_stage
from songtitle.claims import paper
from songtitle.config import ExperimentConfig
from songtitle.controls import items_needed, paired_difference, power_of, tie_letters
from songtitle.experiment.common import pick, read_json
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.listeners import Words, own_scores
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, input_names
from songtitle.experiment.scoring import PERMUTATIONS, held_out_captions, song_titles
from songtitle.metrics import DEFINITIONS, Definition, signatures

POWER = 0.8  # the probability with which a true difference is to be found
PAIRED = ("bleu1", "letters")  # the definitions under which timbre and spectrogram are compared


@once
def differences(config: ExperimentConfig, *, home: Path) -> Record:
    """Which cells of Table 4 the items cannot tell apart, and timbre against spectrogram.

    Like is compared with like: at each beam size the two readings of the same songs, and the
    tilings of the same pictures. Result `letters`: `input, beam_size, letters`, where inputs of one
    kind that share a letter are not told apart at 5 % (Holm). `paired`: per definition and beam
    size, timbre minus spectrogram as `Difference` has it, the `items`, the titles `needed` to find
    such a difference in four of five trials (None where there is none to find), and beside them
    the paper's difference at its peak, `paper_difference`, the titles `paper_needed` for it at the
    spread observed, and the `paper_power` that the items at hand have for it (None without any
    spread). `apart_needed` and `apart_power` are the same for two collections of different
    songs, as the paper has them, of so many titles each.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    found = {
        (name, size): hypotheses(config, name, size, home=home)
        for name in input_names(config)
        for size in config.beam_sizes
    }
    gap = round(paper("table4.msd.5") - paper("table4.fma.5"), 1) / 100

    def compute(_: Path) -> dict[str, Any]:
        references = {"songs": song_titles(songs), "pictures": held_out_captions(words)}
        generator = np.random.default_rng(config.seed)
        letters, paired = [], []
        for size in config.beam_sizes:
            for kind, wanted in references.items():
                scores = {
                    name: item_scores(found[name, size], wanted, DEFINITIONS["bleu1"])
                    for name in input_names(config)
                    if name.startswith(kind)
                }
                shared = tie_letters(scores, rounds=PERMUTATIONS, generator=generator)
                letters += [
                    {"input": name, "beam_size": size, "letters": shared[name]} for name in scores
                ]
            for definition in PAIRED:
                both = [
                    item_scores(found[name, size], references["songs"], DEFINITIONS[definition])
                    for name in SONG_INPUTS
                ]
                row = {"definition": definition, "beam_size": size}
                paired.append(row | compared(*both, gap=gap, generator=generator))
        return {"letters": letters, "paired": paired}

    settings = pick(config, "seed") | {"beams": list(config.beam_sizes), "gap": gap}
    settings["bleu"] = signatures(*PAIRED)
    settings["hypotheses"] = [record.key for record in found.values()]
    return run_stage("differences", compute, settings=settings, inputs=[words, songs], home=home)


def item_scores(
    record: Record, references: Sequence[Sequence[str]], definition: Definition
) -> Float[np.ndarray, " items"]:
    """What each item's best hypothesis scores; of tiles, their mean."""
    items: list[list[Any]] = read_json(record.file("hypotheses.json"))
    tiles: list[Words] = [[tile[0][0] for tile in item] for item in items]
    said = [words for item in tiles for words in item]
    wanted = [reference for item, reference in zip(tiles, references, strict=True) for _ in item]
    return own_scores(said, wanted, definition).reshape(len(items), -1).mean(axis=1)


def compared(
    first: Float[np.ndarray, " items"],
    second: Float[np.ndarray, " items"],
    *,
    gap: float,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """`Difference` of two readings of the same items, and how many items would tell them apart.

    `gap` is a difference that someone claims, in the unit of the scores.
    """
    found = paired_difference(first, second, rounds=PERMUTATIONS, generator=generator)
    items, varies = len(first), found.spread > 0
    # Of different songs the variances add up: what makes a title easy or hard no longer cancels.
    apart = float(np.sqrt(first.var(ddof=1) + second.var(ddof=1)))
    return asdict(found) | {
        "items": items,
        "needed": (
            items_needed(found.mean, found.spread, power=POWER) if varies and found.mean else None
        ),
        "paper_difference": gap,
        "paper_needed": items_needed(gap, found.spread, power=POWER) if varies else None,
        "paper_power": power_of(gap, found.spread, items) if varies else None,
        "apart_needed": items_needed(gap, apart, power=POWER) if apart else None,
        "apart_power": power_of(gap, apart, items) if apart else None,
    }
