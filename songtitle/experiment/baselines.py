"""Baselines: what scores without a captioner, from the nearest neighbour and from one text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.cache import Work, pick, stage
from songtitle.config import SPECTROGRAM, TIMBRE, ExperimentConfig, Input
from songtitle.corpora.manifest import split_by_group
from songtitle.experiment.corpora import (
    NUMBERS,
    Words,
    clips,
    corpora,
    picture_rows,
    song_rows,
    true_series,
    true_words,
)
from songtitle.experiment.inputs import picture_features, song_features, tile_features
from songtitle.experiment.naming import whole_pictures
from songtitle.experiment.scoring import beside_chance, own_scores
from songtitle.metrics.bleu import signatures
from songtitle.metrics.chance import best_constant, bootstrap_interval
from songtitle.model.features import read_features
from songtitle.timbre import fit_standardiser, standardise

PICTURE = "nearest picture's caption"
SONG = "nearest other song's title"  # supervised: the captioner has never seen a title
CONSTANT = "best constant text"

Vectors = Float[Tensor, "items features"]


@stage
def baselines(config: ExperimentConfig, *, home: Path) -> Work:
    """Score what a referee asks first beside each input: a neighbour's text, and one text for all.

    Result `rows`, one per input and baseline: `input, baseline, items, series` (how many), `text`
    (the constants, "" for neighbours) and what `beside_chance` or `of_constant` gives. Neighbours
    are by the cosine of the frozen network's pooled features, or of standardised timbre: training
    pictures, which the captioner learns from, for whole pictures and spectrograms; songs of another
    series for songs. The constant is chosen on training captions, or on half of the series and
    scored on the other half, both ways. Songs that are optional and not at hand have no rows.
    """
    words = corpora(config, home=home)
    whole = whole_pictures(config)
    seen = [picture_features(config, home=home), tile_features(config, config.crop, home=home)]
    optional = config.material.spectrogram.optional
    deaf = optional and not song_rows(words, SPECTROGRAM)  # then no sound is at hand
    songs = words if deaf else clips(config, home=home)
    heard = None if deaf else song_features(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        captions = [each["tokens"] for each in picture_rows(words, "train")]
        train, test = (
            read_features(record.file("pooled.safetensors"))[name]
            for record, name in zip(seen, ("train", "test"), strict=True)
        )
        rows = train.flatten(2).float()  # (pictures, views, features)

        def copied(features: Vectors) -> Words:
            near = nearest(features, rows.flatten(0, 1)) // rows.shape[1]
            return [captions[place] for place in near]

        found: list[dict[str, Any]] = []

        def score(
            name: Input | str, baseline: str, said: Words, wanted: Words, series: Sequence[str]
        ) -> None:
            texts = sorted({" ".join(text) for text in said}) if baseline == CONSTANT else ()
            row: dict[str, Any] = {"input": name, "baseline": baseline, "text": " / ".join(texts)}
            judge = of_constant if baseline == CONSTANT else beside_chance
            row |= judge([said], wanted, series, seed=config.seed)
            found.append(row | {"items": len(wanted), "series": len(set(series))})

        held = picture_rows(words, "test")
        wanted, series = ([each[what] for each in held] for what in ("tokens", "series"))
        score(whole, PICTURE, copied(test.flatten(1).float()), wanted, series)
        score(whole, CONSTANT, constant_texts(wanted, others=captions), wanted, series)
        every, its = true_words(words, songs), true_series(words, songs)
        for name, file in ((TIMBRE, "timbre"), (SPECTROGRAM, "pooled")):
            titles, series = every[name.reading], its[name.reading]
            if heard:
                seen_of = read_features(heard.file(f"{file}.safetensors"))
                features = seen_of["songs"].flatten(1).float()
            elif name == TIMBRE:
                features = torch.from_numpy(np.load(words.file(NUMBERS)))
            else:
                continue
            if name == TIMBRE:
                features = standardise(features, *fit_standardiser(features))
            else:
                score(name, PICTURE, copied(features), titles, series)
            near = nearest(features, features, series, series)
            score(name, SONG, [titles[place] for place in near], titles, series)
            said = constant_texts(titles, series=series, seed=config.seed)
            score(name, CONSTANT, said, titles, series)
        return {"rows": found}

    settings = pick(config, "seed") | {"bleu": signatures("bleu1")}
    return Work(compute, settings, [words, *seen, *([songs, heard] if heard else [])])


def nearest(
    features: Vectors,
    others: Vectors,
    series: Sequence[str] = (),
    other_series: Sequence[str] = (),
) -> Int[np.ndarray, " items"]:
    """Find the row of `others` with the highest cosine to each item, none of the item's series; of
    equals the first."""
    sides = (torch.nn.functional.normalize(each, dim=1) for each in (features, others))
    near = torch.einsum("if,of->io", *sides).numpy()
    if series:
        near[np.array(series)[:, None] == np.array(other_series)] = -np.inf
    return near.argmax(axis=1)


def constant_texts(
    references: Words, *, others: Words | None = None, series: Sequence[str] = (), seed: int = 0
) -> Words:
    """Give each item the best constant text of any length, chosen on `others`, or else on the half
    of the series that the item is not in.

    Raises InputError where all items are of one series.
    """
    if others is not None:
        return [best_constant(others)] * len(references)
    halves = split_by_group(series, {"first": 0.5, "second": 0.5}, seed=seed)
    best = {
        half: best_constant([w for w, its in zip(references, halves, strict=True) if its != half])
        for half in set(halves)
    }
    return [best[half] for half in halves]


def of_constant(
    by_tile: Sequence[Words], references: Words, series: Sequence[str], *, seed: int
) -> dict[str, float]:
    """Score a constant text: `score, low, high`, and as it is the same for every item `chance`, the
    score itself, `gain`, 0, and `p`, 1.

    Of two halves' texts each is judged on the half it was not chosen on, by chance too: the other
    half would be matched by what it was fitted to.
    """
    (said,), generator = by_tile, np.random.default_rng(seed)
    scores = own_scores(said, references)
    low, high = bootstrap_interval(scores, series=series, generator=generator)
    score = float(scores.mean())
    return {"score": score, "low": low, "high": high, "chance": score, "gain": 0.0, "p": 1.0}
