"""The switchboard: the experiment again, one assumption answered otherwise at a time."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from songtitle.cache import Record, once, pick, read_json, run_stage, write_json
from songtitle.config import SONGS, SPECTROGRAM, TIMBRE, ExperimentConfig, Input, check_device
from songtitle.experiment.assumptions import (
    BOOK,
    Reading,
    Settings,
    apply,
    assumption,
    open_answers,
    reading,
    taken,
)
from songtitle.experiment.corpora import clips, corpora, true_words
from songtitle.experiment.inputs import (
    clip_picture,
    encoder_settings,
    features_record,
    frozen_backbone,
    hear,
)
from songtitle.experiment.learning import patient, training
from songtitle.experiment.naming import (
    BEAM_SIZE,
    Found,
    hypotheses,
    listener,
    whole_items,
    whole_pictures,
)
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import bootstrap_interval, holm, paired_difference
from songtitle.metrics.pairs import chosen, chosen_pair_scores
from songtitle.model.features import Job, Look, run_jobs

ROUNDS = 5000  # random signs behind each p value; enough for a hundred of them to be corrected
YARDSTICK = "batch_order"  # the question whose answers differ by luck alone
KINDS = {  # what is done again -> how the settings begin that ask for it
    "training": ("model.", "training.", "min_count", "views"),
    "spectrogram": ("spectrogram",),
    "timbre": ("standardise_timbre",),
    "search": ("search.",),
}

OwnAndGains = tuple[Float[np.ndarray, " items"], Float[np.ndarray, " items"]]


def stand(
    found: Found,
    references: Sequence[Sequence[str]],
    read: Reading,
    *,
    generator: np.random.Generator,
) -> dict[str, int | float]:
    """How one input stands, scores in [0, 1]: `items, score, chance, gain`, their 95 % intervals
    (`score_low` and so on), and `words`, the mean length of what was said."""
    own, gains = own_and_gains(found, references, read)
    low, high = bootstrap_interval(own, generator=generator)
    gain_low, gain_high = bootstrap_interval(gains, generator=generator)
    said = chosen(found, read.choice if read.choice == "normalised" else "top")
    return {
        "items": len(own),
        "score": float(own.mean()),
        "score_low": low,
        "score_high": high,
        "chance": float(own.mean() - gains.mean()),
        "gain": float(gains.mean()),
        "gain_low": gain_low,
        "gain_high": gain_high,
        "words": float(np.mean([len(each) for each in said])),
    }


def compare(
    before: Found,
    after: Found,
    references: Sequence[Sequence[str]],
    read_before: Reading,
    read_after: Reading,
    *,
    seed: int,
) -> dict[str, int | float]:
    """`stand` of what is said after a change, and the paired difference to what was said before.

    `score_change` and `gain_change` with their 95 % intervals (`_low`, `_high`) and p values
    (`score_p`, `gain_p`), over the same items: the change of the score, and of what it has over
    its own chance.
    """
    generator = np.random.default_rng(seed)
    found = stand(after, references, read_after, generator=generator)
    now = own_and_gains(after, references, read_after)
    was = own_and_gains(before, references, read_before)
    return found | changes(now, was, generator=generator)


def changes(
    after: OwnAndGains, before: OwnAndGains, *, generator: np.random.Generator
) -> dict[str, float]:
    """The paired differences of scores and of gains between two ways over the same items.

    Keys are `score_change` and `gain_change`, with `_low`, `_high`, and `score_p`, `gain_p`.
    """
    found: dict[str, float] = {}
    for name, now, then in zip(("score", "gain"), after, before, strict=True):
        it = paired_difference(now, then, rounds=ROUNDS, generator=generator)
        found |= {
            f"{name}_change": it.mean,
            f"{name}_change_low": it.low,
            f"{name}_change_high": it.high,
            f"{name}_p": it.p,
        }
    return found


def own_and_gains(found: Found, references: Sequence[Sequence[str]], read: Reading) -> OwnAndGains:
    """What each item scores on its own reference, and how far that is above its mean on the others.

    The mean of the latter is the gain over chance of `controls.against_chance`.
    """
    definition = DEFINITIONS[read.definition]
    pairs = chosen_pair_scores(found, references, definition, read.choice)
    own = np.diagonal(pairs).astype(float)
    return own, own - (pairs.sum(axis=1) - own) / (len(own) - 1)


def inputs_of(config: ExperimentConfig) -> tuple[Input, ...]:
    """What the switchboard tests: whole pictures, and both readings of a song."""
    return (whole_pictures(config), *SONGS)


def kind(change: Settings | Reading | None) -> str:
    """What a change asks for: the first thing from the picture on that has to be done again.

    One of `KINDS`, or "reading" where results are read otherwise.
    """
    fields = change.fields if isinstance(change, Settings) else ()
    for name, prefixes in KINDS.items():
        if any(field.startswith(prefixes) for field in fields):
            return name
    return "reading"


def touched(config: ExperimentConfig, kind: str) -> tuple[Input, ...]:
    """The inputs that a change of this kind can change: all, or songs by one reading."""
    one = {"timbre": (TIMBRE,), "spectrogram": (SPECTROGRAM,)}
    return one.get(kind) or inputs_of(config)


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
        return run_jobs(
            jobs, frozen_backbone(config, "map"), folder, memories=[config.model.positions]
        )

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
    changed = config if isinstance(change, Reading) else apply(config, name, label)
    asks = kind(change)
    inputs = touched(config, asks)
    if asks == "training":
        changed = patient(changed)
    words, songs = corpora(config, home=home), clips(config, home=home)
    before = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs}
    trained = training(changed, home=home)
    seen = {
        each: (
            heard_anew(changed, home=home)
            if asks == "spectrogram" and each.is_song
            else features_record(changed, each, home=home)
        )
        for each in (inputs if asks != "reading" else ())
    }

    def compute(folder: Path) -> dict[str, Any]:
        found = {each: whole_items(record) for each, record in before.items()}
        after = dict(found)
        for each, features in seen.items():
            hearing = listener(changed, each, trained, features)
            after[each] = hearing.hypotheses(hearing.memory(), BEAM_SIZE)
        write_json(folder / "hypotheses.json", {str(each): said for each, said in after.items()})
        references = true_words(words, songs)
        rows = []
        for each in inputs:
            wanted, was = references[each.kind], found[each]
            if asks == "spectrogram":
                places = spread(len(was), config.switch_songs)
                wanted, was = [wanted[i] for i in places], [was[i] for i in places]
            rows.append(
                {"input": each} | compare(was, after[each], wanted, BOOK, read, seed=config.seed)
            )
        learnt = trained.result["valid_perplexity"] if asks == "training" else None
        return {"rows": rows, "valid_perplexity": learnt}

    given = dict(change.values) if isinstance(change, Settings) else {}
    settings = pick(config, "seed") | {"fields": given, "reading": asdict(read)}
    settings |= {"search": asdict(replace(changed.search, beam_size=BEAM_SIZE))}
    settings |= pick(changed, "standardise_timbre", "switch_songs")
    settings |= {"device": check_device(config.device).type, "inputs": inputs}
    settings["records"] = [record.key for record in (*before.values(), *seen.values())]
    return run_stage(
        "switch", compute, settings=settings, inputs=[words, songs, trained], home=home
    )


def spread(total: int, count: int) -> Int[np.ndarray, " places"]:
    """At most `count` places among `total`, evenly spread, the first and the last with them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


@once
def switchboard(config: ExperimentConfig, *, home: Path) -> Record:
    """Every open answer of `config.switches` (none named: of all questions), one at a time.

    Result: `default`, one row an input of what `stand` gives, and `valid_perplexity`; `changes`,
    each with `question`, `before` and `label` (the answers), `kind` (see there) and what `switch`
    found, its rows marked by `mark_clear`. Timing: `each`, seconds by change, features and training
    not counted.
    """
    asked = open_answers(config)
    words, songs = corpora(config, home=home), clips(config, home=home)
    base = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs_of(config)}
    trained = training(config, home=home)
    done = [switch(config, each.name, answer.label, home=home) for each, answer in asked]
    named = [
        {
            "question": each.name,
            "before": before.label if (before := taken(config, each)) else "the preset's own",
            "label": answer.label,
            "kind": kind(answer.change),
        }
        for each, answer in asked
    ]

    def compute(_: Path) -> dict[str, Any]:
        references = true_words(words, songs)
        default = []
        for each, record in base.items():
            generator = np.random.default_rng(config.seed)
            found, wanted = whole_items(record), references[each.kind]
            default.append({"input": each} | stand(found, wanted, BOOK, generator=generator))
        changes = [names | record.result for names, record in zip(named, done, strict=True)]
        mark_clear(changes)
        return {
            "default": default,
            "valid_perplexity": trained.result["valid_perplexity"],
            "changes": changes,
            "timing": {"each": [record.timing["seconds"] for record in done]},
        }

    settings = pick(config, "seed") | {"changes": named, "bleu": signatures(BOOK.definition)}
    settings["records"] = [record.key for record in (*base.values(), *done)]
    made_of = [words, songs, trained]
    return run_stage("switchboard", compute, settings=settings, inputs=made_of, home=home)


def mark_clear(changes: list[dict[str, Any]]) -> None:
    """Add to each row `score_clear` and `gain_clear`: does the change stand out from luck?

    It does if its p value holds among all those here (Holm 1979, at 0.05), and, of a change that
    asked for another training, if it also goes further than any other order of the batches: what
    the items of one training tell apart may be no more than that training.
    """
    rows = [(change, row) for change in changes for row in change["rows"]]
    for measure in ("score", "gain"):
        held = holm([row[f"{measure}_p"] for _, row in rows])
        luck: dict[str, float] = {}
        for change, row in rows:
            if change["question"] == YARDSTICK:
                size = abs(row[f"{measure}_change"])
                luck[row["input"]] = max(size, luck.get(row["input"], 0.0))
        for (change, row), is_held in zip(rows, held, strict=True):
            further = abs(row[f"{measure}_change"]) > luck.get(row["input"], 0.0)
            row[f"{measure}_clear"] = is_held and (change["kind"] != "training" or further)
