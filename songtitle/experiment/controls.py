"""Controls: the song replaced, silenced or not looked at, and what that changes in the scores."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.cache import Record, Work, pick, read_json, stage
from songtitle.config import SONGS, ExperimentConfig
from songtitle.errors import InputError
from songtitle.experiment.corpora import Words, clips, corpora, true_words
from songtitle.experiment.inputs import features_record
from songtitle.experiment.learning import blind_training, patient, training
from songtitle.experiment.naming import (
    BEAM_SIZE,
    Listener,
    best_by_tile,
    controlled_inputs,
    listener,
    search_cells,
    table_inputs,
    whole_pictures,
)
from songtitle.experiment.scoring import (
    PERMUTATIONS,
    Scores,
    all_scores,
    beside_chance,
    best_epoch,
    mean_length,
    own_scores,
)
from songtitle.metrics.bleu import DEFINITIONS, Definition, signatures
from songtitle.metrics.chance import (
    against_chance,
    best_constant,
    bootstrap_interval,
    items_needed,
    paired_difference,
    permutation_p,
    power_of,
    replicate_interval,
    tie_letters,
    unigram_titles,
)
from songtitle.metrics.pairs import prior_free, recalls, reciprocal_ranks
from songtitle.paper.printed import paper
from songtitle.seeds import generator_for
from songtitle.shapes import Memory

BEAMS = (1, BEAM_SIZE)  # greedy, and where the paper's scores peak
FIRST = 10  # R@10: whether the true title is among the likeliest ten
RANKINGS = ("likelihood", "likelihood, less that for all inputs")
POWER = 0.8  # the probability with which a true difference is to be found
PAIRED = ("bleu1", "letters")  # the definitions under which timbre and spectrogram are compared


@stage
def replicates(config: ExperimentConfig, *, home: Path) -> Work:
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
    words, songs = corpora(config, home=home), clips(config, home=home)
    seen = {each: features_record(config, each, home=home) for each in controlled_inputs(config)}

    def compute(_: Path) -> dict[str, Any]:
        references, rows = true_words(words, songs), []
        for each, record in zip(chosen, trained, strict=True):
            for name, features in seen.items():
                hearing = listener(each, name, record, features)
                memory = hearing.memory()
                for beam_size in BEAMS:
                    said = hearing.titles(memory, beam_size)
                    lead = {"seed": config.seed + each.training.seed, "input": str(name)}
                    lead |= {"beam_size": beam_size, "epoch": best_epoch(record)}
                    found = beside_chance([said], references[name.kind], seed=config.seed)
                    rows.append(lead | found)
        return {"rows": rows, "summary": summarised(rows)}

    settings = pick(config, "seed", "replicates") | {"beams": BEAMS, "inputs": [*seen]}
    settings |= {"bleu": signatures("bleu1"), "records": [*trained, *seen.values()]}
    return Work(compute, settings, [words])


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Average over seeds for each input and beam size, with the spread and interval of each."""
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


# -- what replaces the input, the title or the answer ----------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What one control scores on each item, with the range and p that its own test gives, if any.

    Without them the range is a bootstrap interval, and p is that of paired random signs.
    """

    scores: Scores
    words: float  # mean length
    reach: tuple[float, float] | None = None
    p: float | None = None


@dataclass(frozen=True)
class Case:
    """One input at one beam size: what was said of it, and all that controls are made of."""

    said: Words
    references: Words
    captions: Words  # that the decoder was trained on
    constant: Words  # the one answer, for each item
    hearing: Listener
    deaf: Listener  # trained without pictures
    memory: Memory
    beam_size: int
    config: ExperimentConfig
    generator: np.random.Generator

    @cached_property
    def pairs(self) -> Float[np.ndarray, "items items"]:
        """Every title's score against every reference."""
        return all_scores(self.said, self.references)


def _any_title(case: Case) -> tuple[Scores, np.ndarray]:
    orders = [case.generator.permutation(len(case.said)) for _ in range(PERMUTATIONS)]
    return wrong_titles(case.pairs, case.references)[0], np.stack(orders)


def _title_as_long(case: Case) -> tuple[Scores, np.ndarray]:
    orders = _orders_by_length(case.references, case.generator)
    return wrong_titles(case.pairs, case.references)[1], orders


def _shuffled(case: Case) -> list[Words]:
    generator = generator_for(case.config.seed, "wrong inputs")
    order = torch.randperm(len(case.memory), generator=generator).to(case.memory.device)
    return [case.hearing.titles(case.memory[order], case.beam_size)]


def _noise(case: Case) -> list[Words]:
    """Titles for noise with the mean and spread of each number of the real features."""
    generator, hearing = generator_for(case.config.seed, "noise"), case.hearing
    # Few items ask for many draws: about a thousand inputs in all.
    draws = max(1, min(case.config.draws, 1000 // len(case.memory)))
    noise = (noise_like(hearing.features, generator) for _ in range(draws))
    return [hearing.titles(hearing.memory(each), case.beam_size) for each in noise]


def _zeros(case: Case) -> list[Words]:
    """Titles for zeros where the decoder reads.

    There they are the average picture, for batch normalisation centres it, and the average song,
    where timbre is standardised.
    """
    blank = torch.zeros_like(case.memory[:1])
    return [case.hearing.titles(blank, case.beam_size) * len(case.memory)]


def _untrained(case: Case) -> list[Words]:
    blank = case.deaf.memory(torch.zeros_like(case.deaf.features[:1]))
    return [case.deaf.titles(blank, case.beam_size) * len(case.memory)]


def _random_words(case: Case, wanted: Words) -> list[Words]:
    counts, draws = [len(words) for words in wanted], range(case.config.draws)
    return [unigram_titles(case.captions, counts, generator=case.generator) for _ in draws]


@dataclass(frozen=True)
class Control:
    """What is held against the real input: what is replaced, and how that is tried.

    Where the *title* is, `test` gives each item's expected score and random orders of the titles;
    where the *input* or the *answer* is, the titles said instead, for each draw.
    """

    name: str
    replaces: Literal["title", "input", "answer"]
    test: Callable[[Case], Any]


REAL = "real input"
CONTROLS = (  # in the order of the page, which is that of the random draws
    Control("other items' titles", "title", _any_title),
    Control("other titles of the same length", "title", _title_as_long),
    Control("other items' inputs", "input", _shuffled),
    Control("noise in place of the input", "input", _noise),
    Control("zeros in place of the input", "input", _zeros),
    Control("trained without pictures", "input", _untrained),
    Control("one constant title", "answer", lambda case: [case.constant]),
    Control("random words, lengths as said", "answer", lambda case: _random_words(case, case.said)),
    Control(
        "random words, true lengths", "answer", lambda case: _random_words(case, case.references)
    ),
)


@stage
def controls(config: ExperimentConfig, *, home: Path) -> Work:
    """Songs by both readings, and whole pictures, at k = 1 and 5, held against `CONTROLS`.

    Result `rows`, one per input, beam size and control (the first is the real input): `score, low,
    high` (its 95 % interval; for wrong titles the range of 95 % of random pairings), `words` (mean
    length), and of the real input's score minus this one `difference, difference_low,
    difference_high, p` (two-sided, by random signs; for wrong titles one-sided, by pairing at
    random). `constants`: the one title that was given to all, chosen on other titles.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained, blind = training(config, home=home), blind_training(config, home=home)
    seen = {each: features_record(config, each, home=home) for each in controlled_inputs(config)}

    def compute(_: Path) -> dict[str, Any]:
        references, pictures = true_words(words, songs), read_json(words.file("pictures.json"))
        captions = [p["tokens"] for p in pictures if p["split"] == "train"]
        # It reads zeros as wide as a picture's features, whatever the others read.
        last = whole_pictures(config)
        deaf = listener(config, last, blind, seen[last])
        rows, constants = [], []
        for name, features in seen.items():
            wanted, hearing = references[name.kind], listener(config, name, trained, features)
            constant = constant_titles(wanted, None if name.is_song else captions)
            constants += [
                {"input": name, "title": " ".join(title)}
                for title in sorted(set(map(tuple, constant)))
            ]
            memory = hearing.memory()
            for beam_size in BEAMS:
                said = hearing.titles(memory, beam_size)
                texts, captioners = (said, wanted, captions, constant), (hearing, deaf, memory)
                draw = np.random.default_rng(config.seed)
                case = Case(*texts, *captioners, beam_size, config, draw)
                lead = {"input": name, "beam_size": beam_size}
                rows += [lead | row for row in beside(controlled(case), seed=config.seed)]
        return {"rows": rows, "constants": constants}

    settings = pick(config, "seed", "draws", "standardise_timbre", "search")
    settings |= {"inputs": [*seen], "seen": seen.values(), "beams": BEAMS}
    settings |= {"bleu": signatures("bleu1")}
    return Work(compute, settings, [words, trained, blind])


def controlled(case: Case) -> dict[str, Outcome]:
    """Try the real input and every control in turn, by name."""
    found = {REAL: outcome(case.said, case.references)}
    for control in CONTROLS:
        if control.replaces == "title":
            expected, orders = control.test(case)
            found[control.name] = _of_pairings(case.pairs, expected, orders, found[REAL].words)
        else:
            each = [outcome(titles, case.references) for titles in control.test(case)]
            scores = np.mean([one.scores for one in each], axis=0)
            found[control.name] = Outcome(scores, float(np.mean([one.words for one in each])))
    return found


def outcome(said: Words, references: Words) -> Outcome:
    """Score titles against their own references."""
    return Outcome(own_scores(said, references), mean_length(said))


def noise_like(features: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Gaussian noise with the mean and standard deviation of each number over the items."""
    real = features.float()
    drawn = torch.randn(real.shape, generator=generator).to(real.device)
    return drawn * real.std(0) + real.mean(0)


def constant_titles(references: Words, others: Words | None = None) -> Words:
    """Give each item the best single answer, chosen on `others`, or on the half it is not in."""
    if others is not None:
        return [best_constant(others)] * len(references)
    halves = [best_constant(references[side::2]) for side in (1, 0)]
    return [halves[place % 2] for place in range(len(references))]


def wrong_titles(
    pairs: Float[np.ndarray, "items items"], references: Words
) -> tuple[Scores, Scores]:
    """Average each item's score against all other titles, and against others as long as its own.

    Where no other title is as long, those of the nearest length stand in.
    """
    items = len(pairs)
    lengths = np.array([len(reference) for reference in references])
    apart = np.abs(lengths[:, None] - lengths).astype(float)
    np.fill_diagonal(apart, np.inf)
    others = (pairs.sum(axis=1) - np.diagonal(pairs)) / (items - 1)
    nearest = apart == apart.min(axis=1, keepdims=True)
    return others, (pairs * nearest).sum(axis=1) / nearest.sum(axis=1)


def beside(found: dict[str, Outcome], *, seed: int) -> Iterator[dict[str, Any]]:
    """Make the rows of one input and beam size: each control with its interval, and how far the
    real input is ahead of it."""
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


def _of_pairings(
    pairs: Float[np.ndarray, "items items"],
    expected: Scores,
    orders: Int[np.ndarray, "rounds items"],
    words: float,
) -> Outcome:
    """Wrong titles: their exact mean for each item, and what random pairings give by themselves."""
    rows = np.arange(len(pairs))
    drawn = np.array([pairs[rows, order].mean() for order in orders])
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = permutation_p(float(np.trace(pairs)) / len(pairs), drawn)
    return Outcome(expected, words, (float(low), float(high)), p)


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


# -- ranks -----------------------------------------------------------------------------------------


@stage
def self_retrieval(config: ExperimentConfig, *, home: Path) -> Work:
    """Whether the true title is likelier than the others': ranks among all titles of the test.

    No search and no BLEU: the decoder's log-probability of every title for every input. A rank
    follows from it alone, or from it less what the same title gets from all inputs together, which
    takes away the lead of short and common titles. Result `rows`, one per input and ranking: as
    `mrr` (mean reciprocal rank) and `recall` (share of true titles among the first `k`) each the
    fields of `Chance` with that prefix, and the number of `items` and of `distinct` titles, which
    words beyond the vocabulary make alike.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained = training(config, home=home)
    seen = {each: features_record(config, each, home=home) for each in controlled_inputs(config)}

    def compute(_: Path) -> dict[str, Any]:
        references, rows = true_words(words, songs), []
        for name, features in seen.items():
            hearing, titles = listener(config, name, trained, features), references[name.kind]
            distinct = len({tuple(hearing.vocabulary.encode(title)) for title in titles})
            sizes = {"items": len(titles), "distinct": distinct, "k": FIRST}
            likely = hearing.log_likelihoods(hearing.memory(), titles)
            rows += [{"input": name} | sizes | row for row in by_ranking(likely, seed=config.seed)]
        return {"rows": rows}

    settings = pick(config, "seed", "standardise_timbre")
    settings |= {"inputs": [*seen], "k": FIRST, "seen": seen.values()}
    return Work(compute, settings, [words, trained])


def by_ranking(
    likely: Float[np.ndarray, "items items"], *, seed: int
) -> Iterator[dict[str, str | float]]:
    """Rank the own titles by their likelihood in each of RANKINGS: see `ranked`."""
    for ranking, values in zip(RANKINGS, (likely, prior_free(likely)), strict=True):
        yield {"ranking": ranking} | ranked(values, seed=seed)


def ranked(log_likelihoods: Float[np.ndarray, "items items"], *, seed: int) -> dict[str, float]:
    """Measure reciprocal rank and recall of the own titles, each beside wrong ones."""
    measures = {
        "mrr": reciprocal_ranks(log_likelihoods),
        "recall": recalls(log_likelihoods, k=FIRST),
    }
    row: dict[str, float] = {}
    for name, pairs in measures.items():
        found = against_chance(pairs, rounds=PERMUTATIONS, generator=np.random.default_rng(seed))
        row |= {f"{name}_{field}": value for field, value in asdict(found).items()}
    return row


# -- differences -----------------------------------------------------------------------------------


@stage
def differences(config: ExperimentConfig, *, home: Path) -> Work:
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
    inputs, sizes = table_inputs(config), config.beam_sizes
    found = search_cells(config, inputs, sizes, home=home)
    gap = round(paper("table4.msd.5") - paper("table4.fma.5"), 1) / 100

    def compute(_: Path) -> dict[str, Any]:
        generator = np.random.default_rng(config.seed)
        letters, paired = [], []
        references = true_words(words, songs)
        for size in sizes:
            for kind, wanted in references.items():
                alike = [each for each in inputs if each.kind == kind]
                scores = {
                    str(each): item_scores(found[each, size], wanted, DEFINITIONS["bleu1"])
                    for each in alike
                }
                shared = tie_letters(scores, rounds=PERMUTATIONS, generator=generator)
                letters += [
                    {"input": name, "beam_size": size, "letters": shared[name]} for name in scores
                ]
            for key in PAIRED:
                both = [
                    item_scores(found[each, size], references["songs"], DEFINITIONS[key])
                    for each in SONGS
                ]
                row = {"definition": key, "beam_size": size}
                paired.append(row | compared(*both, gap=gap, generator=generator))
        return {"letters": letters, "paired": paired}

    settings = pick(config, "seed") | {"beams": sizes, "gap": gap, "bleu": signatures(*PAIRED)}
    return Work(compute, settings | {"hypotheses": found.values()}, [words, songs])


def item_scores(record: Record, references: Words, definition: Definition) -> Scores:
    """Score each item's best hypothesis; of tiles, average them."""
    tiles = [own_scores(said, references, definition) for said in best_by_tile(record)]
    return np.stack(tiles, axis=1).mean(axis=1)


def compared(
    first: Scores, second: Scores, *, gap: float, generator: np.random.Generator
) -> dict[str, Any]:
    """Compare two readings of the same items as `Difference` has it, and say how many items would
    tell them apart.

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
