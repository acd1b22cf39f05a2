"""Real songs: tracks of the paper's own data sets, and recordings, before the captioner."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record, Work, digest, pick, read_json, stage, write_json
from songtitle.config import TIMBRE, ExperimentConfig, Input
from songtitle.corpora import fma, million_song, recordings
from songtitle.corpora.captions import Titled
from songtitle.corpora.fma import clip_path
from songtitle.corpora.places import find
from songtitle.corpora.song_sets import title_words, tracks_with_timbre
from songtitle.errors import InputError
from songtitle.experiment.controls import BEAMS, NOISES, by_ranking, noise_like
from songtitle.experiment.corpora import (
    Words,
    corpora,
    fingerprint,
    held_out_captions,
    picture_rows,
    song_rows,
    song_titles,
    true_series,
    vocabulary,
)
from songtitle.experiment.inputs import (
    clip_picture,
    encoder_settings,
    features_of,
    frozen_backbone,
    hear,
    tile_features,
)
from songtitle.experiment.learning import patient, training
from songtitle.experiment.listening import PENALTIES, listen
from songtitle.experiment.naming import Listener, trained_listener
from songtitle.experiment.scoring import (
    PERMUTATIONS,
    Scores,
    all_scores,
    beside_chance,
    chance_of,
    own_scores,
)
from songtitle.experiment.trainings import ItemScores
from songtitle.machine import write_whole
from songtitle.metrics.bleu import DEFINITIONS, sentence_scores, signatures
from songtitle.metrics.chance import best_constant, paired_difference, unigram_titles
from songtitle.metrics.pairs import pair_scores
from songtitle.metrics.uncertainty import Drawn, drawn
from songtitle.rows import Faults
from songtitle.seeds import generator_for
from songtitle.shapes import Memory
from songtitle.timbre import fit_standardiser, replicated_order, standardise, timbre_vector

OWN = "Million Song, own timbre"
BROKEN = "Million Song, timbre of another"
COMPLETE = "Million Song, all 90 numbers"
RECORDINGS, CLIPS = "Recordings", "FMA clips"
HEARD, FELT = f"{RECORDINGS}, spectrogram", f"{RECORDINGS}, timbre"
CLIPS_HEARD, CLIPS_FELT = f"{CLIPS}, spectrogram", f"{CLIPS}, timbre"

TILED = 60  # test photos that are cut into tiles: 84 tiles each, searched at every beam size
SENTENCES = tuple(name for name, each in DEFINITIONS.items() if each.average == "sentences")
RANKED = 250  # items whose texts are ranked by likelihood: the work grows with their square
PERPLEXITIES = ("valid_perplexity", "permuted_pictures_perplexity", "unigram_perplexity")
TRAINED = (*PERPLEXITIES, "parameters")  # what is told of each training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SongSet:
    """Songs and what the captioner is given of each: `features` for its encoder, or a memory."""

    name: str
    titles: Words
    series: list[str]  # the artist of each
    numbers: int  # timbre numbers a song; 0 for a spectrogram
    memory: Memory | None = None  # (songs, 1, dim)
    features: Tensor | None = None  # (songs, positions, features), for the trained encoder


def song_sets(config: ExperimentConfig, words: Record, home: Path) -> list[SongSet]:
    """Load Million Song's test tracks with their own timbre and with the join broken; where they
    are at hand, the tracks of which all 90 numbers are known, and recordings and FMA's clips by
    either reading.

    The join is broken as a row-by-row join of two lists breaks it: one in the order of track ids,
    the other, with the titles, sorted by year.
    """
    table, titles = tracks_with_timbre(home), song_titles(words, TIMBRE)
    artists = true_series(words, words)[TIMBRE.reading]
    place = {track.id: row for row, track in enumerate(table.tracks)}
    rows = [place[song["id"]] for song in song_rows(words, TIMBRE)]
    partner = row_by_row([(track.year or 0, track.id) for track in table.tracks])

    def felt(
        name: str, titles: Words, its: list[str], numbers: np.ndarray, kept: Any = slice(None)
    ) -> SongSet:
        return SongSet(name, titles, its, numbers.shape[1], timbre_memory(numbers, config)[kept])

    found = [felt(OWN, titles, artists, table.numbers, rows)]
    found.append(felt(BROKEN, titles, artists, table.numbers, partner[rows]))
    if here := find(home, "complete songs"):
        whole = million_song.read_uci_like(here[0], Faults())
        its = [track.group for track in whole.tracks]
        found.append(felt(COMPLETE, list(map(title_words, whole.tracks)), its, whole.numbers))
    sound = heard(config, home=home)
    listed = read_json(sound.file("songs.json"))
    for name, of_spectrogram, of_timbre in (
        (RECORDINGS, HEARD, FELT),
        (CLIPS, CLIPS_HEARD, CLIPS_FELT),
    ):
        songs = [song for song in listed if song["set"] == name]
        if len(songs) > 1:  # one song has no other to be mistaken for
            titles, its = [song["tokens"] for song in songs], [song["series"] for song in songs]
            both = np.load(sound.file(f"{name}.npz"))
            seen = torch.from_numpy(both["pictures"])
            found.append(SongSet(of_spectrogram, titles, its, 0, features=seen))
            found.append(felt(of_timbre, titles, its, both["timbre"]))
    return found


@stage
def heard(config: ExperimentConfig, *, home: Path) -> Work:
    """Both readings of the first `clip_seconds` of the recordings and of FMA's clips that are here.

    Files: `songs.json` (set, series, tokens), and for each set `SET.npz`: `pictures (songs,
    positions, features)`, what the frozen network makes of spectrograms, and `timbre (songs, 90)`.
    Result, by set: how many are `here`, those that `cannot be read` and those whose title has `no
    words`; both are left out, and a line of the log names each.
    """
    there: dict[str, Sequence[tuple[Titled, Path]]] = {
        RECORDINGS: recordings.load(home),
        CLIPS: _clips_with_titles(home)[: config.song_count],
    }

    def compute(folder: Path) -> dict[str, Any]:
        backbone, rows, counts = frozen_backbone(config), list[dict[str, Any]](), {}
        device = next(backbone.buffers()).device
        for name, songs in there.items():
            pictures, timbre = [], []
            out = counts[name] = {"here": len(songs), "cannot be read": 0, "no words": 0}
            for song, path in songs:
                tokens, why = title_words(song), ""
                try:
                    wave = hear(path, config)
                except InputError:
                    why = "cannot be read"
                if why := why or ("" if tokens else "no words"):
                    out[why] += 1
                    log.warning("%s: left out of %s: %s", song.id, name, why)
                    continue
                image = clip_picture(wave, path.name, config).unsqueeze(0)
                with torch.inference_mode():
                    pictures.append(backbone(image.to(device)).float().cpu().numpy()[0])
                rate = config.spectrogram.sample_rate
                timbre.append(timbre_vector(wave, sample_rate=rate).numpy())
                rows.append({"set": name, "series": song.group, "tokens": tokens})
            if pictures:
                seen, felt = np.stack(pictures), np.stack(timbre)
                np.savez(folder / f"{name}.npz", pictures=seen, timbre=felt)
        write_json(folder / "songs.json", rows)
        return counts

    settings = pick(config, "seed", "crop", "clip_seconds", "spectrogram_fit", "spectrogram")
    settings |= {name: digest([song.id for song, _ in songs]) for name, songs in there.items()}
    return Work(compute, settings | encoder_settings(config))


def _clips_with_titles(home: Path) -> list[tuple[fma.Track, Path]]:
    """List FMA's tracks whose clip is here, by id, those listed as broken left out; maybe none."""
    if not (found := find(home, "clips")):
        return []
    folder, table = found
    read = fma.read_tracks if table.name == "tracks.csv" else fma.read_raw_tracks
    here = {int(path.stem) for path in folder.glob("*/*.mp3") if path.stem.isdigit()}
    broken = fma.errata("small")
    kept = [it for it in read(table, Faults()) if it.track_id in here and it.id not in broken]
    return [(it, clip_path(folder, it.track_id)) for it in sorted(kept, key=lambda it: it.id)]


def timbre_memory(numbers: Float[np.ndarray, "songs numbers"], config: ExperimentConfig) -> Memory:
    """Lead timbre in by the back door of the paper's Fig. 3: each number copied to several places.

    Standardised over the songs given, or raw, as the settings say. Where a source has fewer than
    90 numbers, each comes more often.
    """
    values = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32))
    if config.standardise_timbre:
        values = standardise(values, *fit_standardiser(values))
    generator = generator_for(config.seed, "timbre order")
    order = replicated_order(config.model.dim, numbers=values.shape[1], generator=generator)
    return values[:, order].unsqueeze(1)


def row_by_row(years_and_ids: Sequence[tuple[int, str]]) -> np.ndarray:
    """Find for each song the row whose timbre it gets, where titles are sorted by year and timbre
    is not: its own place in the sorted list."""
    return np.argsort(sorted(range(len(years_and_ids)), key=years_and_ids.__getitem__))


@stage
def track_listening(config: ExperimentConfig, *, home: Path) -> Work:
    """What a supervised listener makes of Million Song's test tracks by their timbre, learnt from
    all tracks of other artists: many more than `listening` holds out of the test songs.

    Result `rows` and `found` as `listening` has them, without a captioner.
    """
    words = corpora(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        table, asked = tracks_with_timbre(home), song_rows(words, TIMBRE)
        titles, series = list(map(title_words, table.tracks)), [t.group for t in table.tracks]
        named, artists = {song["id"] for song in asked}, {song["series"] for song in asked}
        held = np.array([track.id in named for track in table.tracks])
        known = np.array([artist in artists for artist in series])
        parts = [(np.flatnonzero(~held & ~known), np.flatnonzero(held))]
        numbers = table.numbers.astype(float)
        rows, found, _said = listen(numbers, titles, series, parts, seed=config.seed)
        lead = {"input": "Million Song"}
        return {
            "rows": [lead | {"who": "listener"} | row for row in rows],
            "found": [lead | row for row in found],
        }

    return Work(compute, pick(config, "seed") | {"penalties": PENALTIES}, [words])


@stage
def samples(config: ExperimentConfig, *, home: Path) -> Work:
    """Real photos and real songs: Table 4's rows, every cell beside chance, from several seeds.

    Wants the corpora `samples`. Result: `rows`, one per seed, input and beam size:
    `seed, input, beam_size, items, tiles, mean_length, distinct` and the fields of `Chance`;
    `summary`, as `ItemScores` has it, whose values stand in `items.npz`; `definitions`, score and
    chance by each definition of BLEU; `controls` of Million Song's row; `retrieval` of titles, and
    of captions of whole photos; `join`, own minus broken timbre on the same titles; `references`,
    the test photos scored against one and against all captions; `training`, perplexities; and what
    there was to work on, `data`. The first seed alone is asked for tiles. Files: what was said, for
    a run that is killed and begun again.
    """
    words, known = corpora(config, home=home), vocabulary(config, home=home)
    chosen = [patient(config, seed=seed) for seed in range(config.replicates)]
    trained = [training(each, home=home) for each in chosen]
    seeds = [config.seed + each.training.seed for each in chosen]
    cut = {size: tile_features(config, size, home=home) for size in config.tile_sizes}
    names = {size: str(Input("pictures", tile=size)) for size in cut}
    sound = heard(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        clock = time.perf_counter()
        sets = song_sets(config, words, home)
        asked_for = {song["id"] for song in song_rows(words, TIMBRE)}
        # Titles that are not to be named: for constants and word frequencies.
        tracks = tracks_with_timbre(home).tracks
        others = [title_words(each) for each in tracks if each.id not in asked_for]
        photos = {size: features_of(seen, config)["test"] for size, seen in cut.items()}
        found: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("rows", "definitions", "controls", "retrieval", "references")
        }
        kept = ItemScores()
        for seed, each, record in zip(seeds, chosen, trained, strict=True):
            # Only best hypotheses are scored, so search may stop at them.
            asked = replace(each, search=replace(config.search, stop="best"))
            hearing = trained_listener(asked, record)
            for size, grid in photos.items():
                whole = size == config.crop
                if not whole and seed != seeds[0]:
                    continue
                grid = grid if whole else grid[:TILED]
                memory, tiles = hearing.memory(grid.flatten(0, 1)), grid.shape[1]
                captions = held_out_captions(words)[: len(grid)]
                its = true_series(words, words)["pixels"][: len(grid)]
                for k in config.beam_sizes:
                    said = _kept(hearing, memory, k, folder / f"{seed} {names[size]} {k}.json")
                    by_tile = [said[tile::tiles] for tile in range(tiles)]
                    lead = {"seed": seed, "input": names[size], "beam_size": k, "tiles": tiles}
                    found["rows"].append(lead | _cell(by_tile, captions, its, config))
                    if whole:
                        kept.add(names[size], k, all_scores(said, captions), its)
                    if whole and k in BEAMS:
                        found["definitions"] += _by_definition(lead, said, captions, its)
                        found["references"].append(lead | _five(said, words, config))
                if whole:
                    likely = hearing.log_likelihoods(memory[:RANKED], captions[:RANKED])
                    lead = {"seed": seed, "input": names[size], "items": len(likely)}
                    ranks = by_ranking(likely, its[:RANKED], seed=config.seed)
                    found["retrieval"] += [lead | row for row in ranks]
            for songs in sets:
                ready = songs.memory
                memory = (
                    hearing.memory(songs.features) if ready is None else ready.to(hearing.device)
                )
                for k in config.beam_sizes if songs.name != BROKEN else BEAMS:
                    said = _kept(hearing, memory, k, folder / f"{seed} {songs.name} {k}.json")
                    lead = {"seed": seed, "input": songs.name, "beam_size": k}
                    found["rows"].append(lead | _cell([said], songs.titles, songs.series, config))
                    kept.add(songs.name, k, all_scores(said, songs.titles), songs.series)
                    if k in BEAMS:
                        found["definitions"] += _by_definition(
                            lead, said, songs.titles, songs.series
                        )
                    if songs.name == OWN and k in BEAMS:
                        replaced = _controls(hearing, memory, k, said, songs, others, config)
                        found["controls"] += [lead | row for row in replaced]
                if songs.name != COMPLETE:
                    likely = hearing.log_likelihoods(memory[:RANKED], songs.titles[:RANKED])
                    lead = {"seed": seed, "input": songs.name, "items": len(likely)}
                    ranks = by_ranking(likely, songs.series[:RANKED], seed=config.seed)
                    found["retrieval"] += [lead | row for row in ranks]
        kept.save(folder / "items.npz")
        return found | {
            "summary": kept.summary(config),
            "join": [_joined(kept, k, config) for k in BEAMS],
            "training": [
                {"seed": seed} | {name: record.result[name] for name in TRAINED}
                for seed, record in zip(seeds, trained, strict=True)
            ],
            "data": {
                "photos": words.result["pictures"],
                "vocabulary": known.result["size"],
                "known": known.result["known"],
                "sets": [
                    {"input": each.name, "songs": len(each.titles), "numbers": each.numbers}
                    | {"series": len(set(each.series))}
                    for each in sets
                ],
                "sound": sound.result,
                "unlisted": words.result["drawn_from"]["pictures"]["unlisted"],
                "tiled": min(TILED, words.result["pictures"]["test"]),
            },
            "timing": {"naming_seconds": round(time.perf_counter() - clock, 1)},
        }

    settings = pick(config, "seed", "replicates", "crop", "standardise_timbre", "search")
    settings |= pick(config, "monte_carlo_error", "smallest_effect")
    settings |= {"beams": config.beam_sizes, "data": fingerprint(config, home)}
    settings |= {"bleu": signatures(*SENTENCES), "tiled": TILED, "ranked": RANKED}
    settings["records"] = [*trained, *cut.values(), sound]
    return Work(compute, settings, [words, known])


def _kept(hearing: Listener, memory: Memory, k: int, file: Path) -> Words:
    """Search, or read what was found before the run was killed."""
    if not file.is_file():
        write_whole(file, json.dumps(hearing.titles(memory, k)))
    return list(read_json(file))


def _cell(
    by_tile: Sequence[Words], references: Words, series: list[str], config: ExperimentConfig
) -> dict[str, Any]:
    """Score beside chance; of tiles, the mean of each picture's."""
    distinct = {tuple(words) for tile in by_tile for words in tile}
    found = beside_chance(by_tile, references, series, seed=config.seed)
    return {"items": len(references), "distinct": len(distinct)} | found


def _by_definition(
    lead: dict[str, Any], said: Words, references: Words, series: list[str]
) -> Iterator[dict[str, Any]]:
    for name in SENTENCES:
        pairs = all_scores(said, references, DEFINITIONS[name])
        own = float(np.trace(pairs)) / len(pairs)
        yield lead | {"definition": name, "score": own, "chance": chance_of(pairs, series)}


def _five(said: Words, words: Record, config: ExperimentConfig) -> dict[str, Any]:
    """The whole test photos against all their captions, and against all those of another photo."""
    captions = [picture["captions"] for picture in picture_rows(words, "test")]
    draw, bleu = np.random.default_rng(config.seed), DEFINITIONS["bleu1"]

    def wrong() -> Scores:
        order = draw.permutation(len(captions))
        return sentence_scores(said, [captions[i] for i in order], bleu)

    found = drawn(wrong, error=config.monte_carlo_error / 100)
    own, chance = float(sentence_scores(said, captions, bleu).mean()), float(found.scores.mean())
    luck = {"chance": chance, "draws": found.draws, "error": found.error}
    return {"captions": len(captions[0]), "score": own} | luck


def _controls(
    hearing: Listener,
    memory: Memory,
    k: int,
    said: Words,
    songs: SongSet,
    others: Words,
    config: ExperimentConfig,
) -> Iterator[dict[str, Any]]:
    """Million Song's row without its songs: `control, score, difference` (the real one's lead) with
    its interval and p; of what is drawn at random, `draws` and Monte-Carlo `error` too."""
    noises, random = generator_for(config.seed, "noise"), np.random.default_rng(config.seed)
    counts, titles = [len(words) for words in said], songs.titles
    enough = config.monte_carlo_error / 100

    def noise() -> Scores:
        given = noise_like(memory, noises, items=min(NOISES, len(memory)))
        return pair_scores(hearing.titles(given, k), titles, DEFINITIONS["bleu1"]).mean(axis=0)

    def words() -> Scores:
        return own_scores(unigram_titles(others, counts, generator=random), titles)

    constant = [best_constant(others)] * len(titles)
    answers: dict[str, Scores | Drawn] = {
        "zeros": own_scores(hearing.titles(torch.zeros_like(memory[:1]), k) * len(titles), titles),
        "noise": drawn(noise, error=enough),
        "one constant title": own_scores(constant, titles),
        "random words, lengths as said": drawn(words, error=enough),
    }
    real = own_scores(said, titles)
    for name, answer in answers.items():
        luck = {"draws": answer.draws, "error": answer.error} if isinstance(answer, Drawn) else {}
        scores = answer.scores if isinstance(answer, Drawn) else answer
        ahead = paired_difference(
            real, scores, series=songs.series, rounds=PERMUTATIONS, generator=random
        )
        row = {"control": name, "score": float(scores.mean()), "difference": ahead.mean}
        yield row | luck | {"low": ahead.low, "high": ahead.high, "p": ahead.p}


def _joined(kept: ItemScores, k: int, config: ExperimentConfig) -> dict[str, Any]:
    """Own timbre minus another song's on the same titles, each title's score a mean over seeds."""
    right, wrong = (np.mean(kept.own[name, k], axis=0) for name in (OWN, BROKEN))
    draw, series = np.random.default_rng(config.seed), kept.series[OWN]
    found = paired_difference(right, wrong, series=series, rounds=PERMUTATIONS, generator=draw)
    means = {"own": float(right.mean()), "broken": float(wrong.mean())}
    return {"beam_size": k} | means | asdict(found)
