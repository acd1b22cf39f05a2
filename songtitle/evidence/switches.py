"""Switches: one question that the paper leaves open answered otherwise, all else as it was."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from songtitle.assumptions import BOOK, Reading, Settings, apply, assumption, reading
from songtitle.cache import Record, once, run_stage
from songtitle.config import ExperimentConfig
from songtitle.devices import check_device
from songtitle.evidence.standing import Found, compare
from songtitle.experiment.common import pick, read_json, write_json
from songtitle.experiment.comparing import PATIENCE
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.feature_jobs import Job, Look, run_jobs
from songtitle.experiment.inputs import (
    clip_picture,
    encoder_settings,
    features_of,
    frozen_maps,
    hear,
    song_features,
    tile_features,
    timbre_of,
)
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import SONG_INPUTS, as_words, hypotheses, search, timbre_door
from songtitle.experiment.scoring import held_out_captions, song_titles

BEAM_SIZE = 5  # where the paper's scores peak


def picture_input(config: ExperimentConfig) -> str:
    """Whole test pictures, as a row of Table 4 is named."""
    return f"pictures {config.crop}×{config.crop}"


def touched(config: ExperimentConfig, fields: Sequence[str]) -> tuple[str, ...]:
    """The inputs that other values of these settings can change: pictures, timbre, spectrogram."""
    timbre, spectrogram = SONG_INPUTS
    if trains(fields) or any(field.startswith("search.") for field in fields):
        return (picture_input(config), timbre, spectrogram)
    one = {timbre: "standardise_timbre" in fields, spectrogram: hears(fields)}
    return tuple(name for name, changes in one.items() if changes)


def trains(fields: Sequence[str]) -> bool:
    """Whether these settings ask for another training."""
    return any(
        field.startswith(("model.", "training.")) or field in ("min_count", "views")
        for field in fields
    )


def hears(fields: Sequence[str]) -> bool:
    """Whether these settings ask for other spectrograms."""
    return any(field.startswith("spectrogram") for field in fields)


@once
def heard_anew(config: ExperimentConfig, *, home: Path) -> Record:
    """Spectrograms of `switch_songs` of the songs through the frozen backbone, as `songs`.

    Timbre stays as it is: in the paper it comes ready made, whatever the spectrograms.
    """
    before = clips(config, home=home)
    names = [song["clip"] for song in read_json(before.file("songs.json"))]
    heard = [names[place] for place in spread(len(names), config.switch_songs)]

    def compute(folder: Path) -> dict[str, Any]:
        def look(name: str) -> Look:
            wave = hear(before.file("clips") / name, config)
            return Look(clip_picture(wave, name, config).unsqueeze(0))

        jobs = [Job("songs", heard, look)]
        return run_jobs(jobs, frozen_maps(config), folder, memories=[config.model.positions])

    settings = pick(config, "seed", "crop", "clip_seconds", "spectrogram_fit")
    settings |= {"spectrogram": asdict(config.spectrogram), "songs": len(heard)}
    settings |= encoder_settings(config) | {"memory": config.model.positions}
    return run_stage("switch_songs", compute, settings=settings, inputs=[before], home=home)


@once
def switch(config: ExperimentConfig, name: str, label: str, *, home: Path) -> Record:
    """One question answered otherwise, all else as it was: what it does to each input it touches.

    Result: `valid_perplexity` where a training was needed, else None; and `rows`, one an input,
    of `stand` and `change`. A change of spectrograms is heard on `switch_songs` of the songs, and
    compared on those. A training stops after two epochs without a better validation loss; the
    best epoch is kept of this one as of the other.
    """
    change = assumption(name).answer(label).change
    read = reading(name, label)
    fields = change.fields if isinstance(change, Settings) else ()
    changed = config if isinstance(change, Reading) else apply(config, name, label)
    inputs = touched(config, fields) if fields else (picture_input(config), *SONG_INPUTS)
    if trains(fields):
        patience = changed.training.patience or PATIENCE
        changed = replace(changed, training=replace(changed.training, patience=patience))
    anew = hears(fields)
    words, songs = corpora(config, home=home), clips(config, home=home)
    before = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs}
    trained = training(changed, home=home)
    seen = {
        each: (
            tile_features(changed, changed.crop, home=home)
            if each == picture_input(config)
            else heard_anew(changed, home=home)
            if anew
            else song_features(changed, home=home)
        )
        for each in (inputs if fields else ())
    }

    def compute(folder: Path) -> dict[str, Any]:
        found = {each: whole_items(record) for each, record in before.items()}
        after = _search_all(changed, trained, seen) if seen else found
        write_json(folder / "hypotheses.json", after)
        references = {"pictures": held_out_captions(words), "songs:": song_titles(songs)}
        rows = []
        for each in inputs:
            wanted, was = references[each.split()[0]], found[each]
            if anew:
                places = spread(len(was), config.switch_songs)
                wanted, was = [wanted[i] for i in places], [was[i] for i in places]
            rows.append(
                {"input": each} | compare(was, after[each], wanted, BOOK, read, seed=config.seed)
            )
        return {
            "rows": rows,
            "valid_perplexity": trained.result["valid_perplexity"] if trains(fields) else None,
        }

    settings = pick(config, "seed") | {"fields": change_of(change), "reading": asdict(read)}
    settings |= {"search": asdict(replace(changed.search, beam_size=BEAM_SIZE))}
    settings |= pick(changed, "standardise_timbre", "switch_songs")
    settings |= {"device": check_device(config.device).type, "inputs": list(inputs)}
    settings["records"] = [record.key for record in (*before.values(), *seen.values())]
    return run_stage(
        "switch", compute, settings=settings, inputs=[words, songs, trained], home=home
    )


def change_of(change: Settings | Reading | None) -> dict[str, Any]:
    """A change of settings as JSON has it; nothing for another reading."""
    return dict(change.values) if isinstance(change, Settings) else {}


def kind(change: Settings | Reading | None) -> str:
    """What a change asks for: the first thing from the picture on that has to be done again."""
    fields = change.fields if isinstance(change, Settings) else ()
    if trains(fields):
        return "training"
    if hears(fields):
        return "spectrogram"
    if "standardise_timbre" in fields:
        return "timbre"
    return "search" if fields else "reading"


def spread(total: int, count: int) -> Int[np.ndarray, " places"]:
    """At most `count` places among `total`, evenly spread, the first and the last with them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def whole_items(record: Record) -> Found:
    """The hypotheses of whole pictures or songs: of each its one tile."""
    return [item[0] for item in read_json(record.file("hypotheses.json"))]


def _search_all(
    config: ExperimentConfig, trained: Record, seen: Mapping[str, Record]
) -> dict[str, Found]:
    """The best hypotheses of each input, from the features that its record holds."""
    model, vocabulary, device = load_trained(trained, config)
    settings = replace(config.search, beam_size=BEAM_SIZE)
    found: dict[str, Found] = {}
    for name, record in seen.items():
        memory_of: torch.nn.Module = model.encoder
        if name == SONG_INPUTS[0]:
            rows: Tensor = timbre_of(record)
            memory_of = timbre_door(config, rows).to(device)
        else:
            rows = features_of(record, config)["songs" if name in SONG_INPUTS else "test"][:, 0]
        found[name] = []
        with torch.inference_mode():
            for group in rows.split(256):
                memory = memory_of(group.to(device, torch.float32))
                found[name] += as_words(search(model, memory, vocabulary, settings), vocabulary)
    return found
