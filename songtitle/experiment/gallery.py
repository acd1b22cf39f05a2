"""The gallery: test songs to listen to, a quiz of four titles, and one song's beams in full."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import comb
from scipy.stats import rankdata
from torch import Tensor

from songtitle.cache import Work, pick, read_json, stage
from songtitle.config import SPECTROGRAM, ExperimentConfig, check_device
from songtitle.corpora import tunes
from songtitle.corpora.manifest import seeded_order
from songtitle.errors import InputError
from songtitle.experiment.corpora import clip_of, clips, song_rows, song_titles
from songtitle.experiment.inputs import crop_of, hear, song_features
from songtitle.experiment.learning import training
from songtitle.experiment.listening import listening
from songtitle.experiment.naming import BEAM_SIZE, hypotheses, listener, whole_items
from songtitle.metrics.chance import bootstrap_interval
from songtitle.metrics.pairs import prior_free
from songtitle.model.captioner import Captioner
from songtitle.shapes import Memory
from songtitle.sound import frame_count
from songtitle.vocabulary import Vocabulary

SHOWN = 24  # songs in the gallery
CHOICES = 4  # titles of a quiz, one of them true
WIDTHS = (1, BEAM_SIZE, 20)  # beam sizes whose hypotheses are drawn as a tree
SECONDS = 10.0  # of a clip, around what the network is shown of it
READING = str(SPECTROGRAM)  # what can be heard is what was seen
RANKINGS = ("likelihood", "likelihood, less what a title gets from all songs")

_TERMS = re.compile(r"copyright|licen[cs]e|permission|commercial|public domain|©", re.IGNORECASE)
_CREDIT = re.compile(r"^(transcribed|contributed|edited|abc)?\s*(by\b)?\s*", re.IGNORECASE)


@stage
def gallery_songs(config: ExperimentConfig, *, home: Path) -> Work:
    """Some test songs, drawn by the seed: what they are called, and a quiz of four titles each.

    Result `songs`, one row each: `place` among the test songs, `id`, `clip`, `title` as its book
    prints it, `tokens` as it is scored, those of them that the model can say at all as `known`,
    `beams` (`[words, log-probability in nats]`, best first), `chance` and `choices` of
    `draw_titles`, `listener` (the words of `listening`, which learnt titles of other series),
    `answer` and `pick` (the places in `choices` of the true title and of the one that the model
    finds likeliest), `seconds` of `player_span`, and what `source_of` says, or, of songs
    that were not rendered from a sheet, their collection as `book` and their `artist`.

    Result `quiz`: over all `items` test songs, how often the model would pick the true title from
    `choices` of them, the others drawn at random: `share, low, high` (95 %, bootstrap over songs)
    for each of RANKINGS. Blind guessing gets 1 / `choices`, whatever the titles.
    """
    songs, trained = clips(config, home=home), training(config, home=home)
    seen = song_features(config, home=home)
    said = hypotheses(config, READING, BEAM_SIZE, home=home)
    heard = listening(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        rows = song_rows(songs, READING)
        rendered = config.material.spectrogram.kind == "tunes"
        sheets = {tune.id: tune for tune in tunes.load()} if rendered else {}
        titles = [row["printed"] for row in rows]
        hearing = listener(config, READING, trained, seen)
        likely = hearing.log_likelihoods(hearing.memory(), song_titles(songs, READING))
        found, order = whole_items(said), {row["id"]: place for place, row in enumerate(rows)}
        generator = np.random.default_rng(config.seed)
        words = read_json(heard.file("says.json"))[READING]
        cards = []
        for id in seeded_order(list(order), seed=config.seed)[:SHOWN]:
            place, row = order[id], rows[order[id]]
            chance, choices = draw_titles(place, titles, generator)
            card = {"place": place, "id": id, "clip": row["clip"], "tokens": row["tokens"]}
            card |= {"title": titles[place], "beams": found[place], "chance": titles[chance]}
            card["listener"] = words[place]
            card["known"] = [word for word in row["tokens"] if word in hearing.vocabulary]
            card |= {"choices": [titles[each] for each in choices], "answer": choices.index(place)}
            # Equally likely titles are told apart by lot: `choices` are in random order.
            card["pick"] = int(likely[place, choices].argmax())
            card["seconds"] = player_span(clip_of(songs, row, home), config)
            about = {"book": row["collection"], "artist": row["series"]}
            cards.append(card | (source_of(sheets[id]) if rendered else about))
        quiz = []
        for name, values in zip(RANKINGS, (likely, prior_free(likely)), strict=True):
            wins = np.diagonal(quiz_wins(values, CHOICES)).copy()
            draw, series = np.random.default_rng(config.seed), [row["series"] for row in rows]
            low, high = bootstrap_interval(wins, series=series, generator=draw)
            row = {"ranking": name, "choices": CHOICES, "items": len(rows)}
            quiz.append(row | {"share": float(wins.mean()), "low": low, "high": high})
        return {"songs": cards, "quiz": quiz}

    settings = pick(config, "seed", "clip_seconds", "spectrogram_fit", "crop", "spectrogram")
    return Work(compute, settings, [songs, trained, seen, said, heard])


def draw_titles(
    own: int, titles: Sequence[str], generator: np.random.Generator
) -> tuple[int, list[int]]:
    """Draw the place of a chance title, and those of CHOICES titles in random order, `own` among
    them, all of which read differently; InputError where there are too few."""
    distinct = {titles[own].casefold(): own}
    for place in generator.permutation(len(titles)).tolist():
        distinct.setdefault(titles[place].casefold(), place)
    others = list(distinct.values())[1:]
    if len(others) < CHOICES:
        msg = f"gallery: expected at least {CHOICES + 1} songs with different titles, got "
        msg += f"{len(distinct)}; take a preset with more songs"
        raise InputError(msg)
    choices = [own, *others[1:CHOICES]]
    return others[0], [choices[place] for place in generator.permutation(CHOICES)]


def quiz_wins(
    likely: Float[np.ndarray, "songs titles"], choices: int
) -> Float[np.ndarray, "songs titles"]:
    """Give the probability that each title is picked by each song from a quiz that it is in.

    The other `choices - 1` titles are drawn at random without repeats; the likeliest is picked, by
    lot among equals. The mean of each row is 1 / `choices`: what blind guessing gets.
    """
    others = likely.shape[1] - 1
    below = rankdata(likely, "min", axis=1).astype(int) - 1
    tied = rankdata(likely, "max", axis=1).astype(int) - below - 1  # without the title itself
    return sum(
        comb(tied, equals) * comb(below, choices - 1 - equals) / (equals + 1)
        for equals in range(choices)
    ) / comb(others, choices - 1)


def player_span(path: Path, config: ExperimentConfig) -> list[float]:
    """Give seconds of a clip: where the player begins and ends, where the network's part does.

    The player plays SECONDS, or the whole clip where it is shorter, with the network's part in its
    middle where the clip allows. A part longer than SECONDS is played whole.
    """
    settings = config.spectrogram
    rate, hop = settings.sample_rate, settings.hop_length
    samples = len(hear(path, config))
    first, last = crop_of(path, config, frame_count(samples, settings))
    begins = first * hop / rate
    ends = min(samples, (last - 1) * hop + settings.window_length) / rate
    length = min(samples / rate, max(SECONDS, ends - begins))
    start = min(max(0.0, (begins + ends - length) / 2), samples / rate - length)
    return [round(value, 4) for value in (start, start + length, begins, ends)]


def source_of(tune: tunes.Tune) -> dict[str, Any]:
    """Say where a tune was printed, who transcribed it, and what its sheet says about terms."""
    book, file, _ = tune.id.split("/")
    lines = tune.abc.splitlines()
    stated = [line for line in lines if not line.startswith("T:") and _TERMS.search(line)]
    return {
        "book": book,
        "number": tune.number,
        "file": f"{book}/{file}.abc",
        "transcriber": transcriber(lines),
        "terms": [re.sub(r"^[A-Z]:", "", line).strip() for line in stated],
    }


def transcriber(lines: Sequence[str]) -> str:
    """Find the name in the first Z: line that holds one, without addresses and dates; or ""."""
    for line in (line[2:] for line in lines if line.startswith("Z:")):
        words = re.sub(r"[\"()<>*,;/]", " ", line).split()
        kept = [word for word in words if not re.search(r"[@:\d]|^www|\.\w+\.", word)]
        name = _CREDIT.sub("", " ".join(kept)).strip(" .-")
        if re.search(r"[^\W\d]{2}", name):
            return name
    return ""


@stage
def branches(config: ExperimentConfig, place: int, *, home: Path) -> Work:
    """Every hypothesis of one test song at each of WIDTHS, token by token.

    Result `beams`: beam size (as text) -> hypotheses, best first: `tokens` (words, and `<eos>`
    where the search reached it), `log_probs` of each in nats, after those before it, and
    `log_prob`, the sum as the search has it.
    """
    trained, seen = training(config, home=home), song_features(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        hearing = listener(config, READING, trained, seen)
        memory = hearing.memory(hearing.features[place : place + 1])
        decode = hearing.vocabulary.decode
        beams: dict[str, Any] = {}
        for width in WIDTHS:
            found = hearing.search(memory, width)
            alive = found.log_probs[0].isfinite()
            ids, sums = found.tokens[0][alive], found.log_probs[0][alive]
            steps = token_log_probs(hearing.model, memory, ids, hearing.vocabulary)
            ends = found.lengths(hearing.vocabulary.eos_id)[0][alive]
            each = (part.tolist() for part in (ids, steps, ends, sums))
            beams[str(width)] = [
                {
                    "tokens": [(decode([id]) or ["<eos>"])[0] for id in row[:end]],
                    "log_probs": gains[:end],
                    "log_prob": total,
                }
                for row, gains, end, total in zip(*each, strict=True)
            ]
        return {"place": place, "beams": beams}

    settings = pick(config, "seed", "search") | {"place": place}
    settings["device"] = check_device(config.device).type
    return Work(compute, settings, [trained, seen])


@torch.inference_mode()
def token_log_probs(
    model: Captioner, memory: Memory, ids: Int[Tensor, "beams steps"], vocabulary: Vocabulary
) -> Float[Tensor, "beams steps"]:
    """Give the log-probability of each token, in nats, after those before it, for one memory."""
    before = torch.cat([torch.full_like(ids[:, :1], vocabulary.bos_id), ids[:, :-1]], dim=1)
    logits = model.decoder(memory.expand(len(ids), *memory.shape[1:]), before)
    return logits.log_softmax(-1).gather(2, ids[..., None]).squeeze(2)
