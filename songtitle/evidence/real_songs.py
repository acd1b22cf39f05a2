"""Real songs: tracks of the paper's own data sets before the captioner, as a reader has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.datasets.contract import Titled
from songtitle.datasets.order import generator_for
from songtitle.experiment.common import read_json
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear
from songtitle.experiment.listeners import Words
from songtitle.experiment.material import (
    clips_with_titles,
    complete_tracks,
    tracks_with_timbre,
)
from songtitle.shapes import Memory
from songtitle.text import clean_title, tokenize
from songtitle.timbre import fit_standardiser, replicated_order, standardise, timbre_vector

OWN = "Million Song, own timbre"
BROKEN = "Million Song, timbre of another"
COMPLETE = "Million Song, all 90 numbers"
HEARD = "FMA clips, spectrogram"
FELT = "FMA clips, timbre"


@dataclass(frozen=True)
class SongSet:
    """Songs and what the captioner is given of each: `features` for its encoder, or a memory."""

    name: str
    titles: Words
    numbers: int  # timbre numbers a song; 0 for a spectrogram
    features: Tensor | None  # (songs, positions, features), for the trained encoder
    memory: Memory | None  # (songs, 1, dim), which needs none


def song_sets(config: ExperimentConfig, words: Record, home: Path) -> list[SongSet]:
    """Million Song's test tracks with their own timbre and with the join broken; where they are at
    hand, the tracks of which all 90 numbers are known, and FMA's clips by either reading.

    The join is broken as a row-by-row join of two lists breaks it: one in the order of track ids,
    the other, with the titles, sorted by year.
    """
    table = tracks_with_timbre(home)
    songs = read_json(words.file("songs.json"))
    titles = [song["tokens"] for song in songs]
    place = {track.id: row for row, track in enumerate(table.tracks)}
    rows = [place[song["id"]] for song in songs]
    door = timbre_memory(table.numbers, config)
    partner = row_by_row([(track.year or 0, track.id) for track in table.tracks])
    width = table.numbers.shape[1]
    found = [
        SongSet(OWN, titles, width, None, door[rows]),
        SongSet(BROKEN, titles, width, None, door[partner[rows]]),
    ]
    whole = complete_tracks(home)
    if whole is not None:
        found.append(
            SongSet(
                COMPLETE,
                _titles(whole.tracks),
                whole.numbers.shape[1],
                None,
                timbre_memory(whole.numbers, config),
            )
        )
    return found + _clips(config, home)


def timbre_memory(numbers: Float[np.ndarray, "songs numbers"], config: ExperimentConfig) -> Memory:
    """Timbre by the back door of the paper's Fig. 3: each number copied to several places.

    Standardised over the songs given, or raw, as the settings say. Where a source has fewer than
    90 numbers, each comes more often.
    """
    values = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32))
    if config.standardise_timbre:
        values = standardise(values, *fit_standardiser(values))
    order = replicated_order(
        config.model.dim,
        numbers=values.shape[1],
        generator=generator_for(config.seed, "timbre order"),
    )
    return values[:, order].unsqueeze(1)


def row_by_row(years_and_ids: Sequence[tuple[int, str]]) -> np.ndarray:
    """For each song the row whose timbre it gets, where titles stand sorted by year and timbre does
    not: its own place in the sorted list."""
    order = sorted(range(len(years_and_ids)), key=years_and_ids.__getitem__)
    partner = np.empty(len(order), dtype=np.int64)
    partner[order] = np.arange(len(order))
    return partner


def _clips(config: ExperimentConfig, home: Path) -> list[SongSet]:
    here = clips_with_titles(home, most=config.song_count)
    if len(here) < 2:  # one song has no other to be mistaken for
        return []
    backbone, pictures, timbre = frozen_backbone(config), [], []
    for _, path in here:
        wave = hear(path, config)
        image = clip_picture(wave, path.name, config)
        with torch.inference_mode():
            device = next(backbone.buffers()).device
            pictures.append(backbone(image.unsqueeze(0).to(device)).float().cpu()[0])
        timbre.append(timbre_vector(wave, sample_rate=config.spectrogram.sample_rate).numpy())
    titles = _titles([track for track, _ in here])
    felt = timbre_memory(np.stack(timbre), config)
    return [
        SongSet(HEARD, titles, 0, torch.stack(pictures), None),
        SongSet(FELT, titles, felt.shape[1] and len(timbre[0]), None, felt),
    ]


def _titles(songs: Sequence[Titled]) -> Words:
    return [tokenize(clean_title(song.title)) for song in songs]
