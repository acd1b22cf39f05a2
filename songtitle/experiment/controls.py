"""Controls: the song replaced, silenced or not looked at, and what that changes in the scores."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from songtitle.cache import Record, Work, pick, stage
from songtitle.config import SONGS, SPECTROGRAM, ExperimentConfig
from songtitle.errors import InputError
from songtitle.experiment import naming
from songtitle.experiment.baselines import constant_texts
from songtitle.experiment.corpora import (
    Words,
    clips,
    corpora,
    picture_rows,
    true_series,
    true_words,
)
from songtitle.experiment.learning import blind_training, patient, training
from songtitle.experiment.scoring import (
    BOTH,
    PERMUTATIONS,
    Scores,
    all_scores,
    beside_chance,
    own_scores,
)
from songtitle.experiment.trainings import ItemScores
from songtitle.metrics import chance
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import unigram_titles
from songtitle.metrics.pairs import pair_scores, prior_free, recalls, reciprocal_ranks
from songtitle.metrics.uncertainty import MOST, Drawn, drawn
from songtitle.paper.printed import paper
from songtitle.seeds import generator_for
from songtitle.shapes import Memory

BEAMS = (1, naming.BEAM_SIZE)  # greedy, and where the paper's scores peak
NOISES = 100  # inputs of noise in a draw
FIRST = 10  # R@10: whether the true title is among the likeliest ten
RANKINGS = ("likelihood", "likelihood, less that for all inputs")
POWER = 0.8  # the probability with which a true difference is to be found

Pairs = Float[np.ndarray, "items items"]
Rows = list[dict[str, Any]]


@stage
def replicates(config: ExperimentConfig, *, home: Path) -> Work:
    """Whole trainings from several seeds on the same split: how far scores move with the seed.

    Weights begin, batches are ordered and dropout falls by the seed; which pictures are trained
    on, the crops and the vocabulary stay. Result `rows`, one per seed, input and beam size: `seed,
    input, beam_size, epoch, mean_length` and the fields of `Chance`; and `summary`, the rows of
    `ItemScores.summary`, whose values stand in `items.npz`.
    """
    if config.replicates < 2:
        msg = f"replicates: expected at least 2 for an interval, got {config.replicates}; raise it"
        raise InputError(msg)
    chosen = [patient(config, seed=seed) for seed in range(config.replicates)]
    trained = [training(each, home=home) for each in chosen]
    words, songs = corpora(config, home=home), clips(config, home=home)
    seen = naming.controlled_inputs(config, home)

    def compute(folder: Path) -> dict[str, Any]:
        references, series, rows = true_words(words, songs), true_series(words, songs), []
        kept = ItemScores()
        for each, record in zip(chosen, trained, strict=True):
            for name, hearing, memory in naming.listeners(each, record, seen):
                for beam_size in BEAMS:
                    said = hearing.titles(memory, beam_size)
                    lead = {"seed": config.seed + each.training.seed, "input": str(name)}
                    lead |= {"beam_size": beam_size, "epoch": record.result["epoch"]}
                    wanted, its = references[name.reading], series[name.reading]
                    rows.append(lead | beside_chance([said], wanted, its, seed=config.seed))
                    kept.add(str(name), beam_size, all_scores(said, wanted), its)
        kept.save(folder / "items.npz")
        return {"rows": rows, "summary": kept.summary(config)}

    settings = pick(config, "seed", "replicates", "smallest_effect", "standardise_timbre", "search")
    settings |= {"bleu": signatures("bleu1"), "records": [*trained, *seen.values()]}
    return Work(compute, settings, [words])


# -- what replaces the input, the title or the answer ----------------------------------------------


@dataclass(frozen=True)
class Case:
    """One input at one beam size: what was said of it, and all that controls are made of."""

    said: Words
    references: Words
    series: list[str]  # of each item
    captions: Words  # that the decoder was trained on
    constant: Words  # the one answer, for each item
    hearing: naming.Listener
    deaf: naming.Listener  # trained without pictures
    memory: Memory
    beam_size: int
    config: ExperimentConfig

    @cached_property
    def pairs(self) -> Pairs:
        """Every title's score against every reference."""
        return all_scores(self.said, self.references)

    @cached_property
    def draw(self) -> np.random.Generator:
        """Where all controls draw from, one after another."""
        return np.random.default_rng(self.config.seed)

    def drawn(self, draw: Callable[[], Scores]) -> Drawn:
        """Draw scores until they are as sure as the settings ask."""
        return drawn(draw, error=self.config.monte_carlo_error / 100)


@dataclass(frozen=True)
class Control:
    """What is held against the real input: what is replaced, and how that is tried.

    Where the *title* is, `test` gives each item's expected score and random orders of the titles;
    where the *input* or the *answer* is, the titles said instead, or, where they are drawn at
    random, each item's score.
    """

    name: str
    replaces: Literal["title", "input", "answer"]
    test: Callable[[Case], Any]


def _any_title(case: Case) -> tuple[Scores, np.ndarray]:
    other = _others(case)
    orders = chance.dealt(case.series, len(other), rounds=PERMUTATIONS, generator=case.draw)
    return (case.pairs * other).sum(axis=1) / other.sum(axis=1), np.stack(list(orders))


def _title_as_long(case: Case) -> tuple[Scores, np.ndarray]:
    """Titles as long as the own one; where no other series has one, those of the nearest length."""
    lengths = np.array([len(reference) for reference in case.references])
    apart = np.where(_others(case), np.abs(lengths[:, None] - lengths), np.inf)
    nearest = apart == apart.min(axis=1, keepdims=True)
    places = np.argsort(lengths, kind="stable")
    orders = np.empty((PERMUTATIONS, len(lengths)), dtype=np.int64)
    for order in orders:
        order[places] = np.lexsort((case.draw.random(len(lengths)), lengths))
    return (case.pairs * nearest).sum(axis=1) / nearest.sum(axis=1), orders


def _others(case: Case) -> np.ndarray:
    """Which items are of another series, for each item."""
    numbers = chance.numbered_series(case.series, len(case.said))
    return numbers[:, None] != numbers


def _shuffled(case: Case) -> Drawn:
    """Titles said of inputs in another order, dealt out again and again: to say them anew for each
    order would only say them again."""
    generator = generator_for(case.config.seed, "wrong inputs")
    order = torch.randperm(len(case.memory), generator=generator)
    said = case.hearing.titles(case.memory[order.to(case.memory.device)], case.beam_size)
    pairs, items = all_scores(said, case.references), np.arange(len(said))
    orders = chance.dealt(case.series, len(said), rounds=MOST, generator=case.draw)
    return case.drawn(lambda: pairs[next(orders), items])


def _noise(case: Case) -> Drawn:
    """What is said of noise was said of no item, so all of a draw stand against each title."""
    generator, hearing = generator_for(case.config.seed, "noise"), case.hearing

    def draw() -> Scores:
        noise = noise_like(hearing.features, generator, items=min(NOISES, len(case.memory)))
        said = hearing.titles(hearing.memory(noise), case.beam_size)
        return pair_scores(said, case.references, DEFINITIONS["bleu1"]).mean(axis=0)

    return case.drawn(draw)


def _zeros(case: Case) -> Words:
    """Zeros where the decoder reads: the average picture, as batch normalisation centres it, and
    the average song, where timbre is standardised."""
    blank = torch.zeros_like(case.memory[:1])
    return case.hearing.titles(blank, case.beam_size) * len(case.memory)


def _untrained(case: Case) -> Words:
    blank = case.deaf.memory(torch.zeros_like(case.deaf.features[:1]))
    return case.deaf.titles(blank, case.beam_size) * len(case.memory)


def _random_words(case: Case, wanted: Words) -> Drawn:
    counts = [len(words) for words in wanted]

    def draw() -> Scores:
        said = unigram_titles(case.captions, counts, generator=case.draw)
        return own_scores(said, case.references)

    return case.drawn(draw)


REAL = "real input"
CONTROLS = (  # in the order of the page, which is that of the random draws
    Control("other items' titles", "title", _any_title),
    Control("other titles of the same length", "title", _title_as_long),
    Control("other items' inputs", "input", _shuffled),
    Control("noise in place of the input", "input", _noise),
    Control("zeros in place of the input", "input", _zeros),
    Control("trained without pictures", "input", _untrained),
    Control("one constant title", "answer", lambda case: case.constant),
    Control("random words, lengths as said", "answer", lambda case: _random_words(case, case.said)),
    Control(
        "random words, true lengths", "answer", lambda case: _random_words(case, case.references)
    ),
)


@stage
def controls(config: ExperimentConfig, *, home: Path) -> Work:
    """Songs by both readings, and whole pictures, at k = 1 and 5, held against `CONTROLS`.

    Result `rows`, one per input, beam size and control (the first is the real input): `score, low,
    high` (its 95 % interval; for wrong titles the range of 95 % of random pairings), for what is
    drawn at random `draws, error` (as `beside` has them), and of the real input's score minus this
    one `difference, difference_low, difference_high, p` (two-sided, by random signs; for other
    items' titles that of Table 4, by dealing them out). `constants`: the one title that was given
    to all, chosen on other titles.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained, blind = training(config, home=home), blind_training(config, home=home)
    seen = naming.controlled_inputs(config, home)

    def compute(_: Path) -> dict[str, Any]:
        references, series = true_words(words, songs), true_series(words, songs)
        captions = [picture["tokens"] for picture in picture_rows(words, "train")]
        # It reads zeros as wide as a picture's features, whatever the others read.
        whole = naming.whole_pictures(config)
        deaf = naming.listener(config, whole, blind, seen[whole])
        rows, constants = [], []
        for name, hearing, memory in naming.listeners(config, trained, seen):
            wanted = references[name.reading]
            others, its = None if name.is_song else captions, series[name.reading]
            constant = constant_texts(wanted, others=others, series=its, seed=config.seed)
            titles = sorted(set(map(tuple, constant)))
            constants += [{"input": name, "title": " ".join(title)} for title in titles]
            for size in BEAMS:
                said = hearing.titles(memory, size)
                texts = (said, wanted, its, captions, constant)
                case = Case(*texts, hearing, deaf, memory, size, config)
                rows += [{"input": name, "beam_size": size} | row for row in beside(case)]
        return {"rows": rows, "constants": constants}

    settings = pick(config, "seed", "monte_carlo_error", "standardise_timbre", "search")
    settings |= {"seen": seen.values(), "bleu": signatures("bleu1")}
    return Work(compute, settings, [words, trained, blind])


def beside(case: Case) -> Iterator[dict[str, Any]]:
    """Make the rows of a case: the real input, then each control with its interval, and how far
    the real input is ahead of it; of what is drawn at random `draws`, and `error`, the Monte-Carlo
    standard error of its score."""
    real, items = own_scores(case.said, case.references), np.arange(len(case.said))
    for control in (Control(REAL, "answer", lambda case: case.said), *CONTROLS):
        generator, found = np.random.default_rng(case.config.seed), control.test(case)
        row: dict[str, Any] = {"control": control.name}
        if control.replaces == "title":
            scores, orders = found
            drawn = np.array([case.pairs[items, order].mean() for order in orders])
            low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
        else:
            scores = own_scores(found, case.references) if isinstance(found, list) else found.scores
            low, high = chance.bootstrap_interval(scores, series=case.series, generator=generator)
        row |= {"score": float(scores.mean()), "low": low, "high": high}
        if isinstance(found, Drawn):
            row |= {"draws": found.draws, "error": found.error}
        if control.name != REAL:
            lead = asdict(
                chance.paired_difference(
                    real, scores, series=case.series, rounds=PERMUTATIONS, generator=generator
                )
            )
            if control.test is _any_title:  # that is chance, which has its own interval and p
                said = beside_chance(
                    [case.said], case.references, case.series, seed=case.config.seed
                )
                row["score"] = said["chance"]
                lead = {"mean": said["gain"], "low": said["gain_low"], "high": said["gain_high"]}
                lead["p"] = said["p"]
            row |= {"difference": lead["mean"], "difference_low": lead["low"]}
            row |= {"difference_high": lead["high"], "p": lead["p"]}
        yield row


def noise_like(features: Tensor, generator: torch.Generator, *, items: int | None = None) -> Tensor:
    """Draw Gaussian noise with the mean and standard deviation of each number over the items, for
    as many items or for so many."""
    real = features.float()
    drawn = torch.randn(items or len(real), *real.shape[1:], generator=generator).to(real.device)
    return drawn * real.std(0) + real.mean(0)


# -- ranks -----------------------------------------------------------------------------------------


@stage
def self_retrieval(config: ExperimentConfig, *, home: Path) -> Work:
    """Whether the true title is likelier than all others of the test, without search or BLEU.

    Result `rows`, one per input and ranking: what `by_ranking` gives, and the number of `items` and
    of `distinct` titles, which words beyond the vocabulary make alike.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    trained, seen = training(config, home=home), naming.controlled_inputs(config, home)

    def compute(_: Path) -> dict[str, Any]:
        references, series, rows = true_words(words, songs), true_series(words, songs), []
        for name, hearing, memory in naming.listeners(config, trained, seen):
            titles = references[name.reading]
            distinct = len({tuple(hearing.vocabulary.encode(title)) for title in titles})
            lead = {"input": name, "items": len(titles), "distinct": distinct, "k": FIRST}
            likely = hearing.log_likelihoods(memory, titles)
            ranks = by_ranking(likely, series[name.reading], seed=config.seed)
            rows += [lead | row for row in ranks]
        return {"rows": rows}

    settings = pick(config, "seed", "standardise_timbre") | {"seen": seen.values()}
    return Work(compute, settings, [words, trained])


def by_ranking(
    likely: Pairs, series: chance.Series = None, *, seed: int
) -> Iterator[dict[str, str | float]]:
    """Rank the own titles in each of RANKINGS: by their likelihood alone, or by it less what the
    same title gets from all inputs together, which takes away the lead of short and common titles.
    `mrr` (mean reciprocal rank) and `recall` (share among the first `k`) prefix fields of `Chance`.
    """
    for ranking, values in zip(RANKINGS, (likely, prior_free(likely)), strict=True):
        row: dict[str, str | float] = {"ranking": ranking}
        measures = {"mrr": reciprocal_ranks(values), "recall": recalls(values, k=FIRST)}
        for name, pairs in measures.items():
            draw = np.random.default_rng(seed)
            found = asdict(
                chance.against_chance(pairs, series=series, rounds=PERMUTATIONS, generator=draw)
            )
            row |= {f"{name}_{field}": value for field, value in found.items()}
        yield row


# -- differences -----------------------------------------------------------------------------------


@stage
def differences(config: ExperimentConfig, *, home: Path) -> Work:
    """Which cells of Table 4 the items cannot tell apart, and timbre against spectrogram.

    Like is compared with like: at each beam size the two readings of the same songs, and the
    tilings of the same pictures. Result `letters`: `input, beam_size, letters`, where inputs of the
    same items that share a letter are not told apart at 5 % (Holm). `paired`: per definition and
    beam size, timbre minus spectrogram as `compared` has it, beside the paper's difference at its
    peak; `distinct`, how many different titles the reading says that says fewer. Readings of
    different songs have no pairs (`shared` is False): there `paired` is empty, and neither has a
    letter.
    """
    words, songs = corpora(config, home=home), clips(config, home=home)
    inputs, sizes = naming.table_inputs(config), config.beam_sizes
    found = naming.search_cells(config, inputs, sizes, home=home)
    gap = round(paper("table4.msd.5") - paper("table4.fma.5"), 1) / 100

    def compute(_: Path) -> dict[str, Any]:
        generator, references = np.random.default_rng(config.seed), true_words(words, songs)
        series = true_series(words, songs)
        letters, paired, shared = [], [], config.material.shared
        # Inputs of the same items, songs first.
        alike = [[*SONGS]] if shared else [[each] for each in SONGS]
        alike.append([each for each in inputs if not each.is_song])
        for size in sizes:
            for its in alike:
                reading = its[0].reading
                scores = {
                    str(each): item_scores(found[each, size], references[reading]) for each in its
                }
                tied = dict.fromkeys(scores, "")
                if len(scores) > 1:
                    asked: Any = {"rounds": PERMUTATIONS, "generator": generator}
                    tied = chance.tie_letters(scores, series=series[reading], **asked)
                lead = {"beam_size": size}
                letters += [{"input": name} | lead | {"letters": tied[name]} for name in scores]
            for key in BOTH if shared else ():
                titles, same = references[SPECTROGRAM.reading], series[SPECTROGRAM.reading]
                both = [item_scores(found[each, size], titles, key) for each in SONGS]
                row = {"definition": key, "beam_size": size}
                row |= compared(*both, gap=gap, series=same, generator=generator)
                row["distinct"] = min(
                    len(set(map(tuple, naming.best_of(found[each, size])))) for each in SONGS
                )
                paired.append(row)
        return {"letters": letters, "paired": paired, "shared": shared}

    settings = pick(config, "seed") | {"gap": gap, "bleu": signatures(*BOTH)}
    return Work(compute, settings | {"hypotheses": found.values()}, [words, songs])


def item_scores(record: Record, references: Words, key: str = "bleu1") -> Scores:
    """Score each item's best hypothesis; of tiles, average them."""
    tiles = [own_scores(said, references, DEFINITIONS[key]) for said in naming.best_by_tile(record)]
    return np.stack(tiles, axis=1).mean(axis=1)


def compared(
    first: Scores,
    second: Scores,
    *,
    gap: float,
    series: chance.Series = None,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """Compare two readings of the same items as `Difference` has it, and say how many would do.

    The `items`, those `needed` to find such a difference in four of five trials (None where there
    is none to find); `paper_difference`, the `gap` that someone claims, in the unit of the scores,
    the items `paper_needed` for it at the spread observed, and the `paper_power` that the items at
    hand have for it (None without any spread). `apart_needed` and `apart_power` are the same for
    two collections of different songs, as the paper has them, of so many titles each.
    """
    found = chance.paired_difference(
        first, second, series=series, rounds=PERMUTATIONS, generator=generator
    )
    row: dict[str, Any] = asdict(found) | {"items": len(first), "needed": None}
    if found.spread > 0 and found.mean:
        row["needed"] = chance.items_needed(found.mean, found.spread, power=POWER)
    row["paper_difference"] = gap
    # Of different songs the variances add up: what makes a title easy or hard no longer cancels.
    apart = float(np.sqrt(first.var(ddof=1) + second.var(ddof=1)))
    for name, spread in (("paper", found.spread), ("apart", apart)):
        row[f"{name}_needed"] = chance.items_needed(gap, spread, power=POWER) if spread else None
        row[f"{name}_power"] = chance.power_of(gap, spread, len(first)) if spread else None
    return row
