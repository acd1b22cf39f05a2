"""Controls: the song replaced, silenced or not looked at, and what that changes in the scores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.cache import Record, once, pick, read_json, run_stage
from songtitle.config import ExperimentConfig, check_device
from songtitle.errors import InputError
from songtitle.experiment.comparing import PATIENCE
from songtitle.experiment.corpora import clips, corpora, vocabulary
from songtitle.experiment.inputs import features_of, picture_features
from songtitle.experiment.learning import learn, training
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, input_names
from songtitle.experiment.scoring import (
    PERMUTATIONS,
    Listener,
    Words,
    all_scores,
    controlled_inputs,
    features_record,
    held_out_captions,
    is_song,
    listener,
    own_scores,
    references_of,
    song_titles,
)
from songtitle.metrics.bleu import DEFINITIONS, Definition, signatures
from songtitle.metrics.ceilings import best_constant, unigram_titles
from songtitle.metrics.chance import (
    against_chance,
    bootstrap_interval,
    items_needed,
    paired_difference,
    permutation_p,
    power_of,
    replicate_interval,
    tie_letters,
)
from songtitle.metrics.retrieval import prior_free, recalls, reciprocal_ranks
from songtitle.model.likelihood import log_likelihoods
from songtitle.paper.printed import paper
from songtitle.schema import SEEDS
from songtitle.seeds import generator_for
from songtitle.shapes import Memory

BEAMS = (1, 5)  # greedy, and where the paper's scores peak
BLEU_1 = DEFINITIONS["bleu1"]


def patient(config: ExperimentConfig, *, seed: int = 0) -> ExperimentConfig:
    """The experiment with another training seed, stopped where validation gets no better.

    Of every training the best epoch is kept, so the rest of the epochs would only take time.
    """
    settings = config.training
    number = (settings.seed + seed) % SEEDS
    settings = replace(settings, seed=number, patience=settings.patience or PATIENCE)
    return replace(config, training=settings)


@once
def blind_training(config: ExperimentConfig, *, home: Path) -> Record:
    """The captioner trained on zeros in place of pictures: what captions alone can teach.

    Files and findings are those of `training`.
    """
    words, seen = corpora(config, home=home), picture_features(config, home=home)
    known, chosen = vocabulary(config, home=home), patient(config)

    def compute(folder: Path) -> dict[str, Any]:
        blank = {
            name: torch.zeros((), dtype=features.dtype).expand(features.shape)
            for name, features in features_of(seen, chosen).items()
        }
        return learn(chosen, words, known, blank, folder)

    settings = {"model": asdict(chosen.model), "training": asdict(chosen.training)}
    settings |= pick(config, "seed") | {"device": check_device(config.device).type}
    inputs = [words, known, seen]
    return run_stage("blind_training", compute, settings=settings, inputs=inputs, home=home)


@once
def replicates(config: ExperimentConfig, *, home: Path) -> Record:
    """Whole trainings from several seeds on the same split: how far scores move with the seed.

    Weights begin, batches are ordered and dropout falls by the seed; which pictures are trained
    on, the crops and the vocabulary stay. Result `rows`, one per seed, input and beam size: `seed,
    input, beam_size, epoch, mean_length` and the fields of `Chance`. `summary`, one per input and
    beam size: `score` and `gain` as means over seeds, each with `_spread` (standard deviation over
    seeds) and `_low, _high` (95 % interval of the mean, Student's t), and `within`, the mean half
    width of the bootstrap intervals, which know of other items but of no other training.
    """
    if config.replicates < 2:
        msg = f"replicates: expected at least 2 for an interval, got {config.replicates}; raise it"
        raise InputError(msg)
    chosen = [patient(config, seed=seed) for seed in range(config.replicates)]
    trained = [training(each, home=home) for each in chosen]
    inputs = controlled_inputs(config)
    seen = {name: features_record(config, name, home=home) for name in inputs}
    references = {name: references_of(config, name, home=home) for name in inputs}

    def compute(_: Path) -> dict[str, Any]:
        rows = []
        for each, record in zip(chosen, trained, strict=True):
            history = record.result["history"]
            epoch = min(history, key=lambda row: row["valid_perplexity"])["epoch"]
            for name in inputs:
                captioner = listener(each, name, record, seen[name])
                memory = captioner.memory()
                for beam_size in BEAMS:
                    said = captioner.titles(memory, beam_size)
                    chance = against_chance(
                        all_scores(said, references[name], BLEU_1),
                        rounds=PERMUTATIONS,
                        generator=np.random.default_rng(config.seed),
                    )
                    lead = {
                        "seed": config.seed + each.training.seed,
                        "input": name,
                        "beam_size": beam_size,
                        "epoch": epoch,
                        "mean_length": float(np.mean([len(words) for words in said])),
                    }
                    rows.append(lead | asdict(chance))
        return {"rows": rows, "summary": summarised(rows)}

    settings = pick(config, "seed", "replicates") | {"beams": list(BEAMS), "inputs": inputs}
    settings["bleu"] = signatures("bleu1")
    settings["records"] = [record.key for record in (*trained, *seen.values())]
    words = corpora(config, home=home)
    return run_stage("replicates", compute, settings=settings, inputs=[words], home=home)


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds for each input and beam size, with the spread and interval of each."""
    cells = dict.fromkeys((row["input"], row["beam_size"]) for row in rows)
    found = []
    for name, beam_size in cells:
        here = [row for row in rows if (row["input"], row["beam_size"]) == (name, beam_size)]
        cell: dict[str, Any] = {"input": name, "beam_size": beam_size, "seeds": len(here)}
        for value in ("score", "gain"):
            values = [row[value] for row in here]
            low, high = replicate_interval(values)
            cell |= {
                value: float(np.mean(values)),
                f"{value}_spread": float(np.std(values, ddof=1)),
                f"{value}_low": low,
                f"{value}_high": high,
            }
        cell["within"] = float(np.mean([(row["high"] - row["low"]) / 2 for row in here]))
        found.append(cell)
    return found


Scores = Float[np.ndarray, " items"]

# What is held against the real input, in the order of the page.
REAL = "real input"
CONTROLS = (
    "other items' titles",
    "other titles of the same length",
    "other items' inputs",
    "noise in place of the input",
    "zeros in place of the input",
    "trained without pictures",
    "one constant title",
    "random words, lengths as said",
    "random words, true lengths",
)
FIRST = 10  # R@10: whether the true title is among the likeliest ten
RANKINGS = ("likelihood", "likelihood, less that for all inputs")


@dataclass(frozen=True)
class Control:
    """What one control scores on each item, with the range and p that its own test gives, if any.

    Without them the range is a bootstrap interval, and p is that of paired random signs.
    """

    scores: Scores
    words: float  # mean length
    reach: tuple[float, float] | None = None
    p: float | None = None


@once
def controls(config: ExperimentConfig, *, home: Path) -> Record:
    """Songs by both readings, and whole pictures, at k = 1 and 5, held against nine controls.

    Result `rows`, one per input, beam size and control (the first is the real input): `score, low,
    high` (its 95 % interval; for wrong titles the range of 95 % of random pairings), `words` (mean
    length), and of the real input's score minus this one `difference, difference_low,
    difference_high, p` (two-sided, by random signs; for wrong titles one-sided, by pairing at
    random). `constants`: the one title that was given to all, chosen on other titles.
    """
    words, inputs = corpora(config, home=home), controlled_inputs(config)
    trained, blind = training(config, home=home), blind_training(config, home=home)
    seen = {name: features_record(config, name, home=home) for name in inputs}
    references = {name: references_of(config, name, home=home) for name in inputs}

    def compute(_: Path) -> dict[str, Any]:
        pictures = read_json(words.file("pictures.json"))
        captions = [p["tokens"] for p in pictures if p["split"] == "train"]
        # It reads zeros as wide as a picture's features, whatever the others read.
        deaf = listener(config, inputs[-1], blind, seen[inputs[-1]])
        rows, constants = [], []
        for name in inputs:
            wanted = references[name]
            hearing = listener(config, name, trained, seen[name])
            constant = constant_titles(wanted, None if is_song(name) else captions)
            constants += [
                {"input": name, "title": " ".join(title)}
                for title in sorted(set(map(tuple, constant)))
            ]
            memory = hearing.memory()
            for beam_size in BEAMS:
                said = hearing.titles(memory, beam_size)
                found = {REAL: scored(said, wanted)} | dict(
                    controlled(
                        said,
                        wanted,
                        captions,
                        constant,
                        retold=retold(hearing, deaf, memory, beam_size, config),
                        draws=config.draws,
                        seed=config.seed,
                    )
                )
                lead = {"input": name, "beam_size": beam_size}
                rows += [lead | row for row in beside(found, seed=config.seed)]
        return {"rows": rows, "constants": constants}

    settings = pick(config, "seed", "draws", "standardise_timbre") | {"inputs": inputs}
    settings |= {"beams": list(BEAMS), "bleu": signatures("bleu1")}
    settings |= {"search": asdict(config.search), "seen": [each.key for each in seen.values()]}
    inputs_before = [words, trained, blind]
    return run_stage("controls", compute, settings=settings, inputs=inputs_before, home=home)


def controlled(
    said: Words,
    references: Words,
    captions: Words,
    constant: Words,
    *,
    retold: Callable[[str], list[Words]],
    draws: int,
    seed: int,
) -> Iterator[tuple[str, Control]]:
    """Every control in turn, by its name.

    `said` are the titles for the real inputs, `captions` those that the decoder was trained on,
    and `retold(name)` gives one list of titles for each draw of what replaces the input.
    """
    generator = np.random.default_rng(seed)
    pairs = all_scores(said, references, BLEU_1)
    spoken = _mean_length(said)
    others, lengths = wrong_titles(pairs, references)
    yield CONTROLS[0], _of_pairings(pairs, others, _orders(len(pairs), generator), spoken)
    yield (
        CONTROLS[1],
        _of_pairings(pairs, lengths, _orders_by_length(references, generator), spoken),
    )
    for name in CONTROLS[2:6]:
        yield name, _mean_of([scored(titles, references) for titles in retold(name)])
    yield CONTROLS[6], scored(constant, references)
    for name, wanted in zip(CONTROLS[7:], (said, references), strict=True):
        counts = [len(words) for words in wanted]
        drawn = [unigram_titles(captions, counts, generator=generator) for _ in range(draws)]
        yield name, _mean_of([scored(titles, references) for titles in drawn])


def retold(
    hearing: Listener, deaf: Listener, memory: Memory, beam_size: int, config: ExperimentConfig
) -> Callable[[str], list[Words]]:
    """What the captioner says when its inputs are shuffled, replaced or were never there.

    Noise has the mean and the spread of each number of the real features, each independently.
    Zeros stand where the decoder reads: there they are the average picture, for batch
    normalisation centres it, and the average song, where timbre is standardised.
    """
    items = len(memory)

    def titles(name: str) -> list[Words]:
        if name == CONTROLS[2]:
            generator = generator_for(config.seed, "wrong inputs")
            order = torch.randperm(items, generator=generator)
            return [hearing.titles(memory[order.to(memory.device)], beam_size)]
        if name == CONTROLS[3]:
            generator = generator_for(config.seed, "noise")
            # Few items ask for many draws: about a thousand inputs in all.
            draws = max(1, min(config.draws, 1000 // items))
            return [
                hearing.titles(hearing.memory(noise_like(hearing.features, generator)), beam_size)
                for _ in range(draws)
            ]
        if name == CONTROLS[4]:
            return [hearing.titles(torch.zeros_like(memory[:1]), beam_size) * items]
        blank = deaf.memory(torch.zeros_like(deaf.features[:1]))
        return [deaf.titles(blank, beam_size) * items]

    return titles


def noise_like(features: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise with the mean and standard deviation of each number over the items."""
    real = features.float()
    drawn = torch.randn(real.shape, generator=generator).to(real.device)
    return drawn * real.std(0) + real.mean(0)


def constant_titles(references: Words, others: Words | None = None) -> Words:
    """For each item the best single answer, chosen on `others`, or on the half it is not in."""
    if others is not None:
        return [best_constant(others)] * len(references)
    halves = [best_constant(references[side::2]) for side in (1, 0)]
    return [halves[place % 2] for place in range(len(references))]


def wrong_titles(
    pairs: Float[np.ndarray, "items items"], references: Sequence[Sequence[str]]
) -> tuple[Scores, Scores]:
    """Each item's mean score against all other titles, and against others as long as its own.

    Where no other title is as long, those of the nearest length stand in.
    """
    items = len(pairs)
    lengths = np.array([len(reference) for reference in references])
    apart = np.abs(lengths[:, None] - lengths).astype(float)
    np.fill_diagonal(apart, np.inf)
    others = (pairs.sum(axis=1) - np.diagonal(pairs)) / (items - 1)
    nearest = apart == apart.min(axis=1, keepdims=True)
    return others, (pairs * nearest).sum(axis=1) / nearest.sum(axis=1)


def beside(found: dict[str, Control], *, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of one input and beam size: each control with its interval, and the real input's
    lead over it."""
    real = found[REAL].scores
    for name, control in found.items():
        generator = np.random.default_rng(seed)
        low, high = control.reach or bootstrap_interval(control.scores, generator=generator)
        row: dict[str, Any] = {
            "control": name,
            "score": float(control.scores.mean()),
            "low": low,
            "high": high,
            "words": control.words,
        }
        if name != REAL:
            lead = paired_difference(real, control.scores, rounds=PERMUTATIONS, generator=generator)
            row |= {
                "difference": lead.mean,
                "difference_low": lead.low,
                "difference_high": lead.high,
                "p": lead.p if control.p is None else control.p,
            }
        yield row


def scored(said: Words, references: Words) -> Control:
    """Titles against their own references."""
    return Control(own_scores(said, references, BLEU_1), _mean_length(said))


@once
def self_retrieval(config: ExperimentConfig, *, home: Path) -> Record:
    """Whether the true title is likelier than the others': ranks among all titles of the test.

    No search and no BLEU: the decoder's log-probability of every title for every input. A rank
    follows from it alone, or from it less what the same title gets from all inputs together, which
    takes away the lead of short and common titles. Result `rows`, one per input and ranking: as
    `mrr` (mean reciprocal rank) and `recall` (share of true titles among the first `k`) each the
    fields of `Chance` with that prefix, and the number of `items` and of `distinct` titles, which
    words beyond the vocabulary make alike.
    """
    trained, inputs = training(config, home=home), controlled_inputs(config)
    seen = {name: features_record(config, name, home=home) for name in inputs}
    references = {name: references_of(config, name, home=home) for name in inputs}

    def compute(_: Path) -> dict[str, Any]:
        rows = []
        for name in inputs:
            hearing = listener(config, name, trained, seen[name])
            titles = [hearing.vocabulary.encode(words) for words in references[name]]
            likely = log_likelihoods(
                hearing.model.decoder,
                hearing.memory(),
                titles,
                bos_id=hearing.vocabulary.bos_id,
                eos_id=hearing.vocabulary.eos_id,
            )
            table = likely.double().cpu().numpy()
            sizes = {"items": len(titles), "distinct": len(set(map(tuple, titles))), "k": FIRST}
            for ranking, values in zip(RANKINGS, (table, prior_free(table)), strict=True):
                lead = {"input": name, "ranking": ranking}
                rows.append(lead | sizes | ranked(values, seed=config.seed))
        return {"rows": rows}

    settings = pick(config, "seed", "standardise_timbre") | {"inputs": inputs, "k": FIRST}
    settings["seen"] = [each.key for each in seen.values()]
    words = corpora(config, home=home)
    return run_stage(
        "self_retrieval", compute, settings=settings, inputs=[words, trained], home=home
    )


def ranked(log_likelihoods: Float[np.ndarray, "items items"], *, seed: int) -> dict[str, float]:
    """Mean reciprocal rank and recall of the own titles, each beside wrong ones."""
    measures = {
        "mrr": reciprocal_ranks(log_likelihoods),
        "recall": recalls(log_likelihoods, k=FIRST),
    }
    row: dict[str, float] = {}
    for name, pairs in measures.items():
        found = against_chance(pairs, rounds=PERMUTATIONS, generator=np.random.default_rng(seed))
        row |= {f"{name}_{field}": value for field, value in asdict(found).items()}
    return row


def _of_pairings(
    pairs: Float[np.ndarray, "items items"],
    expected: Scores,
    orders: Int[np.ndarray, "rounds items"],
    words: float,
) -> Control:
    """Wrong titles: their exact mean for each item, and what random pairings give by themselves."""
    rows = np.arange(len(pairs))
    drawn = np.array([pairs[rows, order].mean() for order in orders])
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = permutation_p(float(np.trace(pairs)) / len(pairs), drawn)
    return Control(expected, words, (float(low), float(high)), p)


def _orders(items: int, generator: np.random.Generator) -> Int[np.ndarray, "rounds items"]:
    return np.stack([generator.permutation(items) for _ in range(PERMUTATIONS)])


def _orders_by_length(
    references: Words, generator: np.random.Generator
) -> Int[np.ndarray, "rounds items"]:
    """Random orders in which every item meets a title as long as its own."""
    lengths = np.array([len(reference) for reference in references])
    places = np.argsort(lengths, kind="stable")
    orders = np.empty((PERMUTATIONS, len(lengths)), dtype=np.int64)
    for order in orders:
        order[places] = np.lexsort((generator.random(len(lengths)), lengths))
    return orders


def _mean_of(drawn: list[Control]) -> Control:
    """The mean over draws, item by item."""
    return Control(
        np.mean([each.scores for each in drawn], axis=0),
        float(np.mean([each.words for each in drawn])),
    )


def _mean_length(said: Words) -> float:
    return float(np.mean([len(words) for words in said]))


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
