"""Real songs: tracks of the paper's own data sets before the captioner, as a reader has them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record, once, pick, read_json, run_stage
from songtitle.config import ExperimentConfig
from songtitle.corpora.contract import Titled
from songtitle.experiment.controls import BEAMS, BLEU_1, RANKINGS, patient, ranked, summarised
from songtitle.experiment.corpora import (
    clips_with_titles,
    complete_tracks,
    corpora,
    fingerprint,
    tracks_with_timbre,
    vocabulary,
)
from songtitle.experiment.inputs import (
    clip_picture,
    features_of,
    frozen_backbone,
    hear,
    tile_features,
)
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.scoring import (
    PERMUTATIONS,
    Listener,
    Words,
    all_scores,
    chance_of,
    held_out_captions,
    own_scores,
)
from songtitle.metrics.bleu import DEFINITIONS, sentence_scores, signatures
from songtitle.metrics.ceilings import best_constant, unigram_titles
from songtitle.metrics.chance import against_chance, paired_difference
from songtitle.metrics.retrieval import prior_free
from songtitle.model.likelihood import log_likelihoods
from songtitle.seeds import generator_for
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


TILED = 60  # test photos that are cut into tiles: 84 tiles each, searched at every beam size
SENTENCES = tuple(name for name, each in DEFINITIONS.items() if each.average == "sentences")
RANKED = 250  # songs whose titles are ranked by likelihood: the work grows with their square
CONTROLS = ("zeros", "noise", "one constant title", "random words, lengths as said")


@once
def samples(config: ExperimentConfig, *, home: Path) -> Record:
    """Real photos and real songs: Table 4's rows, every cell beside chance, from several seeds.

    Wants a preset whose `pictures` are photos. Result: `rows`, one per seed, input and beam size:
    `seed, input, beam_size, items, tiles, mean_length, distinct` and the fields of `Chance`;
    `summary` over seeds; `definitions`, score and chance by each definition of BLEU; `controls`
    of Million Song's row; `retrieval` of its titles; `join`, own minus broken timbre on the same
    titles; `references`, the test photos scored against one and against all captions; `training`,
    perplexities; and what there was to work on, `data`. The first seed alone is asked for tiles.
    """
    words, known = corpora(config, home=home), vocabulary(config, home=home)
    chosen = [patient(config, seed=seed) for seed in range(config.replicates)]
    trained = [training(each, home=home) for each in chosen]
    cut = {size: tile_features(config, size, home=home) for size in config.tile_sizes}

    def compute(_: Path) -> dict[str, Any]:
        clock = time.perf_counter()
        sets = song_sets(config, words, home)
        others = _other_titles(config, words, home)
        found: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("rows", "definitions", "controls", "retrieval", "references")
        }
        own: dict[tuple[str, int], list[np.ndarray]] = {}
        once_only = [f"pictures {size}×{size}" for size in cut if size != config.crop]
        for place, (each, record) in enumerate(zip(chosen, trained, strict=True)):
            seed = config.seed + each.training.seed
            hearing = _listener(each, record)
            grids = {
                size: features_of(seen, config)["test"][: TILED if place == 0 else None]
                for size, seen in cut.items()
                if place == 0 or size == config.crop
            }
            grids[config.crop] = features_of(cut[config.crop], config)["test"]
            for size, grid in grids.items():
                name = f"pictures {size}×{size}"
                memory = hearing.memory(grid.flatten(0, 1))
                captions = held_out_captions(words)[: len(grid)]
                for k in config.beam_sizes:
                    said = hearing.titles(memory, k)
                    by_tile = [said[tile :: grid.shape[1]] for tile in range(grid.shape[1])]
                    lead = {"seed": seed, "input": name, "beam_size": k, "tiles": grid.shape[1]}
                    found["rows"].append(lead | _cell(by_tile, captions, config))
                    if size == config.crop and k in BEAMS:
                        found["definitions"] += _by_definition(lead, said, captions)
                        found["references"].append(lead | _five(said, words, config))
            for songs in sets:
                memory = _memory(hearing, songs)
                for k in config.beam_sizes if songs.name != BROKEN else BEAMS:
                    said = hearing.titles(memory, k)
                    lead = {"seed": seed, "input": songs.name, "beam_size": k}
                    found["rows"].append(lead | _cell([said], songs.titles, config))
                    own.setdefault((songs.name, k), []).append(
                        own_scores(said, songs.titles, BLEU_1)
                    )
                    if k in BEAMS:
                        found["definitions"] += _by_definition(lead, said, songs.titles)
                    if songs.name == OWN and k in BEAMS:
                        found["controls"] += _controls(
                            lead, hearing, memory, k, said, songs.titles, others, config
                        )
                if songs.name in (OWN, BROKEN):
                    lead = {"seed": seed, "input": songs.name}
                    found["retrieval"] += _retrieved(lead, hearing, memory, songs, config)
        return found | {
            "summary": summarised([row for row in found["rows"] if row["input"] not in once_only]),
            "join": [_joined(own, k, config) for k in BEAMS],
            "training": [
                {"seed": config.seed + each.training.seed}
                | {
                    name: record.result[name]
                    for name in (
                        "valid_perplexity",
                        "permuted_pictures_perplexity",
                        "unigram_perplexity",
                        "parameters",
                    )
                }
                for each, record in zip(chosen, trained, strict=True)
            ],
            "data": {
                "photos": words.result["pictures"],
                "vocabulary": known.result["size"],
                "known": known.result["known"],
                "sets": [
                    {"input": each.name, "songs": len(each.titles), "numbers": each.numbers}
                    for each in sets
                ],
                "tiled": min(TILED, words.result["pictures"]["test"]),
            },
            "timing": {"naming_seconds": round(time.perf_counter() - clock, 1)},
        }

    settings = pick(config, "seed", "replicates", "draws", "crop", "standardise_timbre")
    settings |= {"beams": list(config.beam_sizes), "data": fingerprint(config, home)}
    settings["bleu"] = signatures(*SENTENCES)
    settings |= {"search": asdict(config.search), "tiled": TILED, "ranked": RANKED}
    settings["records"] = [record.key for record in (*trained, *cut.values())]
    return run_stage("samples", compute, settings=settings, inputs=[words, known], home=home)


def _listener(config: ExperimentConfig, record: Record) -> Listener:
    """The captioner of one seed; only best hypotheses are scored, so search may stop at them."""
    model, words, device = load_trained(record, config)
    settings = replace(config.search, stop="best")
    return Listener(model, words, torch.empty(0), model.encoder, device, settings)


def _memory(hearing: Listener, songs: SongSet) -> Memory:
    if songs.memory is not None:
        return songs.memory.to(hearing.device)
    assert songs.features is not None, songs.name
    return hearing.memory(songs.features)


def _cell(by_tile: Sequence[Words], references: Words, config: ExperimentConfig) -> dict[str, Any]:
    """Score beside chance; of tiles, the mean of each picture's."""
    pairs = np.mean([all_scores(said, references, BLEU_1) for said in by_tile], axis=0)
    chance = against_chance(
        pairs, rounds=PERMUTATIONS, generator=np.random.default_rng(config.seed)
    )
    said = [words for tile in by_tile for words in tile]
    return {
        "items": len(references),
        "mean_length": float(np.mean([len(words) for words in said])),
        "distinct": len(set(map(tuple, said))),
        **asdict(chance),
    }


def _by_definition(
    lead: dict[str, Any], said: Words, references: Words
) -> Iterator[dict[str, Any]]:
    for name in SENTENCES:
        pairs = all_scores(said, references, DEFINITIONS[name])
        own = float(np.trace(pairs)) / len(pairs)
        yield lead | {"definition": name, "score": own, "chance": chance_of(pairs)}


def _five(said: Words, words: Record, config: ExperimentConfig) -> dict[str, Any]:
    """The whole test photos against all their captions, and against all those of another photo."""
    pictures = read_json(words.file("pictures.json"))
    captions = [picture["captions"] for picture in pictures if picture["split"] == "test"]
    draw = np.random.default_rng(config.seed)
    wrong = [
        sentence_scores(said, [captions[i] for i in draw.permutation(len(captions))], BLEU_1).mean()
        for _ in range(config.draws)
    ]
    own = sentence_scores(said, captions, BLEU_1)
    return {
        "captions": len(captions[0]),
        "score": float(own.mean()),
        "chance": float(np.mean(wrong)),
    }


def _controls(
    lead: dict[str, Any],
    hearing: Listener,
    memory: Memory,
    k: int,
    said: Words,
    titles: Words,
    others: Words,
    config: ExperimentConfig,
) -> Iterator[dict[str, Any]]:
    """Million Song's row without its songs: `control, score, difference` (the real one's lead) with
    its interval and p."""
    draw = generator_for(config.seed, "noise")
    noise = torch.randn(memory.shape, generator=draw).to(memory) * memory.std(0) + memory.mean(0)
    random = np.random.default_rng(config.seed)
    answers = {
        "zeros": hearing.titles(torch.zeros_like(memory[:1]), k) * len(titles),
        "noise": hearing.titles(noise, k),
        "one constant title": [best_constant(others)] * len(titles),
        "random words, lengths as said": unigram_titles(
            others, [len(words) for words in said], generator=random
        ),
    }
    real = own_scores(said, titles, BLEU_1)
    for name in CONTROLS:
        scores = own_scores(answers[name], titles, BLEU_1)
        ahead = paired_difference(real, scores, rounds=PERMUTATIONS, generator=random)
        row = {"control": name, "score": float(scores.mean()), "difference": ahead.mean}
        yield lead | row | {"low": ahead.low, "high": ahead.high, "p": ahead.p}


def _retrieved(
    lead: dict[str, Any],
    hearing: Listener,
    memory: Memory,
    songs: SongSet,
    config: ExperimentConfig,
) -> Iterator[dict[str, Any]]:
    titles = [hearing.vocabulary.encode(words) for words in songs.titles[:RANKED]]
    likely = log_likelihoods(
        hearing.model.decoder,
        memory[:RANKED],
        titles,
        bos_id=hearing.vocabulary.bos_id,
        eos_id=hearing.vocabulary.eos_id,
    )
    table = likely.double().cpu().numpy()
    for ranking, values in zip(RANKINGS, (table, prior_free(table)), strict=True):
        yield lead | {"ranking": ranking, "items": len(titles)} | ranked(values, seed=config.seed)


def _joined(
    own: dict[tuple[str, int], list[Float[np.ndarray, " items"]]], k: int, config: ExperimentConfig
) -> dict[str, Any]:
    """Own timbre minus another song's on the same titles, each title's score a mean over seeds."""
    right, wrong = (np.mean(own[name, k], axis=0) for name in (OWN, BROKEN))
    draw = np.random.default_rng(config.seed)
    found = paired_difference(right, wrong, rounds=PERMUTATIONS, generator=draw)
    return {"beam_size": k, "own": float(right.mean()), "broken": float(wrong.mean())} | asdict(
        found
    )


def _other_titles(config: ExperimentConfig, words: Record, home: Path) -> Words:
    """Titles of Million Song that are not to be named: for constants and word frequencies."""
    asked = {song["id"] for song in read_json(words.file("songs.json"))}
    tracks = tracks_with_timbre(home).tracks
    return [tokenize(clean_title(each.title)) for each in tracks if each.id not in asked]
