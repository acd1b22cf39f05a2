"""The switchboard: what the paper leaves open, and the experiment with one answer changed.

`ASSUMPTIONS` are the questions of `data_manifest/assumptions.toml`. An answer is a change of the
settings (`apply` makes it), a change of how results are read (`reading` gives it), or none that
small data could test: then `page` names the page of the book that decides.
"""

import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from songtitle.cache import Work, pick, stage, write_json
from songtitle.config import (
    SONGS,
    SPECTROGRAM,
    TIMBRE,
    ExperimentConfig,
    Input,
    check_device,
    override,
    setting,
)
from songtitle.corpora.manifest import manifest_folder
from songtitle.errors import InputError
from songtitle.experiment.corpora import (
    clip_of,
    clips,
    corpora,
    song_rows,
    true_series,
    true_words,
)
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
from songtitle.experiment.scoring import PERMUTATIONS, mean_length
from songtitle.metrics.bleu import DEFINITIONS, signatures
from songtitle.metrics.chance import (
    Series,
    against_chance,
    gain_parts,
    holm,
    paired_difference,
)
from songtitle.metrics.pairs import chosen, chosen_pair_scores
from songtitle.metrics.uncertainty import two_way
from songtitle.model.features import Job, Look, run_jobs
from songtitle.schema import refuse

ROUNDS = 5000  # random signs behind each p value; enough for a hundred of them to be corrected
YARDSTICK = "batch_order"  # the question whose answers differ by luck alone
KINDS = {  # what is done again -> how the settings begin that ask for it
    "training": ("model.", "training.", "min_count", "views"),
    "spectrogram": ("spectrogram",),
    "timbre": ("standardise_timbre",),
    "search": ("search.",),
}


# -- questions and answers -------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """Other values of fields of `ExperimentConfig`, dotted within: `("model.dropout", 0.0)`."""

    values: tuple[tuple[str, Any], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The dotted fields, in order."""
        return tuple(name for name, _ in self.values)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a result is read: which BLEU, and which of the hypotheses it scores."""

    definition: str = "bleu1"  # a key of metrics.bleu.DEFINITIONS, of those that score each item
    choice: str = "top"  # one of metrics.pairs.CHOICES


BOOK = Reading()
"""How every page of the book reads its results unless it says otherwise."""


@dataclass(frozen=True)
class Answer:
    """One way to answer a question: a few words, and what has to change for it."""

    label: str
    change: Settings | Reading | None = None  # None where small data cannot show what it does


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A question that the paper leaves open, with its answers."""

    name: str  # letters and underscores: "batch_size"
    place: tuple[str, ...]  # where the paper should have said: "section 4.2", "table 1", "figure 4"
    question: str
    answers: tuple[Answer, ...]  # the first is what the preset `quick` takes
    note: str = ""
    page: str = ""  # the notebook that decides where no change of settings on small data can

    @property
    def default(self) -> Answer:
        """What the preset `quick` takes."""
        return self.answers[0]

    @property
    def alternatives(self) -> tuple[Answer, ...]:
        """The other answers."""
        return self.answers[1:]

    def answer(self, label: str) -> Answer:
        """The answer of this label; `InputError` where there is none."""
        named = {each.label: each for each in self.answers}
        if label not in named:
            wanted = f"one of {', '.join(map(repr, named))}"
            refuse(self.name, wanted, repr(label), "choose one of them")
        return named[label]


def _change(fields: Sequence[str], values: Any) -> Settings | Reading | None:
    """What an answer changes: the fields of its question, to its values."""
    pairs = tuple(zip(fields, values if len(fields) > 1 else (values,), strict=True))
    return Reading(**dict(pairs)) if fields[0] in vars(BOOK) else Settings(pairs)


def _assumption(
    place: Sequence[str], answers: Mapping[str, Any] | Sequence[str], fields: Any = (), **said: str
) -> Assumption:
    """A question as the table has it."""
    if isinstance(answers, Mapping):
        made = [Answer(label, _change(fields, values)) for label, values in answers.items()]
    else:
        made = list(map(Answer, answers))
    return Assumption(place=tuple(place), answers=tuple(made), **said)


_TABLE = tomllib.loads((manifest_folder() / "assumptions.toml").read_text("utf-8"))
ASSUMPTIONS = tuple(_assumption(**each) for each in _TABLE["question"])


def assumption(question: Assumption | str) -> Assumption:
    """The assumption of this name, or itself; `InputError`, with the names there are, for none."""
    known = {each.name: each for each in ASSUMPTIONS}
    if isinstance(question, Assumption):
        return question
    if question not in known:
        refuse("assumption", f"one of {', '.join(known)}", repr(question), "choose one of them")
    return known[question]


def apply(config: ExperimentConfig, question: Assumption | str, label: str) -> ExperimentConfig:
    """The settings with another answer to one question.

    Raises `InputError` for a label or field that does not exist, a value that does not fit, an
    answer that the settings take already, and one that is no matter of settings.
    """
    question = assumption(question)
    name, change = question.name, question.answer(label).change
    if not isinstance(change, Settings):
        how = "how results are read" if isinstance(change, Reading) else f"page {question.page}"
        refuse(name, "a matter of settings", f"{label!r}, one of {how}", "change another")
    try:
        changed = override(config, dict(change.values))
    except InputError as error:
        msg = f"{name}: {error}"
        raise InputError(msg) from None
    if changed == config:
        wanted = f"an answer other than that of preset {config.name}"
        refuse(name, wanted, f"{label!r}, which it has", "choose another")
    return changed


def reading(question: Assumption | str, label: str) -> Reading:
    """How this answer has results read: as the book does, unless that is the question."""
    change = assumption(question).answer(label).change
    return change if isinstance(change, Reading) else BOOK


def taken(config: ExperimentConfig, question: Assumption | str) -> Answer | None:
    """The answer that settings take; None where a page decides or they take one of their own."""
    for answer in assumption(question).answers:
        change = answer.change
        if change == BOOK:
            return answer  # no preset reads otherwise
        if isinstance(change, Settings) and all(
            setting(config, name) == value for name, value in change.values
        ):
            return answer
    return None


def open_answers(config: ExperimentConfig) -> list[tuple[Assumption, Answer]]:
    """Every other answer that settings could take, question by question.

    Those named in `config.switches`, or all of them; not those that a page decides, which raise
    `InputError` if named.
    """
    chosen = [assumption(name) for name in config.switches]
    for question in chosen:
        if question.page:
            got = f"one that page {question.page} decides"
            wanted = "a question that this page tests"
            refuse(question.name, wanted, got, "name another in switches")
    return [
        (question, answer)
        for question in chosen or ASSUMPTIONS
        if not question.page
        for answer in question.answers
        if answer != taken(config, question)
    ]


def kind(change: Settings | Reading | None) -> str:
    """What a change asks for: the first thing from the picture on that has to be done again.

    One of `KINDS`, or "reading" where results are read otherwise.
    """
    fields = change.fields if isinstance(change, Settings) else ()
    asked = (name for name, starts in KINDS.items() if any(f.startswith(starts) for f in fields))
    return next(asked, "reading")


def inputs_of(config: ExperimentConfig) -> tuple[Input, ...]:
    """What the switchboard tests: whole pictures, and both readings of a song."""
    return (whole_pictures(config), *SONGS)


def touched(config: ExperimentConfig, kind: str) -> tuple[Input, ...]:
    """The inputs that a change of this kind can change: all, or songs by one reading."""
    one = {"timbre": (TIMBRE,), "spectrogram": (SPECTROGRAM,)}
    return one.get(kind) or inputs_of(config)


# -- scores before and after -----------------------------------------------------------------------


def pairs_of(
    found: Found, references: Sequence[Sequence[str]], read: Reading
) -> Float[np.ndarray, "items items"]:
    """Score what was said of each item against every reference, as results are read."""
    return chosen_pair_scores(found, references, DEFINITIONS[read.definition], read.choice)


def stand(pairs: Float[np.ndarray, "items items"], series: Series, *, seed: int) -> dict[str, Any]:
    """How one input stands, scores in [0, 1]: the number of `items`, and the fields of `Chance`,
    the very numbers that Table 4 has of the same hypotheses."""
    draw = np.random.default_rng(seed)
    found = against_chance(pairs, series=series, rounds=PERMUTATIONS, generator=draw)
    return {"items": len(pairs)} | asdict(found)


def changes(
    after: Float[np.ndarray, "items items"],
    before: Float[np.ndarray, "items items"],
    series: Series,
    *,
    generator: np.random.Generator,
) -> dict[str, float]:
    """The paired differences of scores and of gains between two ways over the same items.

    Keys are `score_change` and `gain_change`, with `_low`, `_high`, and `score_p`, `gain_p`; and
    `gain_most`, how far the gain moves at most, either way (`Uncertain.most`).
    """
    found: dict[str, float] = {}
    both = {
        "score": [np.diagonal(pairs) for pairs in (after, before)],
        "gain": [gain_parts(pairs, series) for pairs in (after, before)],
    }
    for name, (now, then) in both.items():
        it = paired_difference(now, then, series=series, rounds=ROUNDS, generator=generator)
        ends = {f"{name}_change_low": it.low, f"{name}_change_high": it.high}
        found |= {f"{name}_change": it.mean} | ends | {f"{name}_p": it.p}
    now, then = both["gain"]
    return found | {"gain_most": two_way((now - then)[None], series).most}


def compare(
    before: Found,
    after: Found,
    references: Sequence[Sequence[str]],
    series: Series,
    read: Reading,
    *,
    seed: int,
) -> dict[str, Any]:
    """`stand` of what is said after a change, its mean length in `words`, and `changes` from what
    was said before, which is read as the book does: over the same items, of the score and of what
    it has over its chance."""
    now, was = pairs_of(after, references, read), pairs_of(before, references, BOOK)
    changed = changes(now, was, series, generator=np.random.default_rng(seed))
    said = chosen(after, read.choice if read.choice == "normalised" else "top")
    return stand(now, series, seed=seed) | {"words": mean_length(said)} | changed


def mark_clear(changes: list[dict[str, Any]]) -> None:
    """Add to each row `score_clear` and `gain_clear`: does the change stand out from luck?

    It does if its p value holds among all those here (Holm 1979, at 0.05), and, of a change that
    asked for another training, if it also goes further than any other order of the batches: what
    the items of one training tell apart may be no more than that training.
    """
    rows = [(change, row) for change in changes for row in change["rows"]]
    for measure in ("score", "gain"):
        luck: dict[str, float] = defaultdict(float)
        for change, row in rows:
            if change["question"] == YARDSTICK:
                luck[row["input"]] = max(luck[row["input"]], abs(row[f"{measure}_change"]))
        held = holm([row[f"{measure}_p"] for _, row in rows])
        for (change, row), is_held in zip(rows, held, strict=True):
            further = abs(row[f"{measure}_change"]) > luck[row["input"]]
            row[f"{measure}_clear"] = is_held and (change["kind"] != "training" or further)


# -- stages ----------------------------------------------------------------------------------------


def spread(total: int, count: int) -> Int[np.ndarray, " places"]:
    """At most `count` places among `total`, evenly spread, the first and the last with them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


@stage
def switch_songs(config: ExperimentConfig, *, home: Path) -> Work:
    """Spectrograms of `switch_songs` of their songs through the frozen backbone, as `songs`.

    Timbre stays as it is: in the paper it comes ready made, whatever the spectrograms.
    """
    before = clips(config, home=home)
    songs = song_rows(before, SPECTROGRAM)
    heard = [songs[place] for place in spread(len(songs), config.switch_songs)]
    memory = config.model.positions

    def compute(folder: Path) -> dict[str, Any]:
        def look(song: dict[str, Any]) -> Look:
            path = clip_of(before, song, home)
            return Look(clip_picture(hear(path, config), path.name, config).unsqueeze(0))

        jobs = [Job("songs", heard, look)]
        return run_jobs(jobs, frozen_backbone(config, "map"), folder, memories=[memory])

    settings = pick(config, "seed", "crop", "clip_seconds", "spectrogram_fit", "spectrogram")
    settings |= encoder_settings(config) | {"memory": memory, "songs": len(heard)}
    return Work(compute, settings, [before])


@stage
def switch(config: ExperimentConfig, name: str, label: str, *, home: Path) -> Work:
    """One question answered otherwise, all else as it was: what it does to each input it touches.

    Result: `valid_perplexity` where a training was needed, else None; and `rows`, one an input,
    of `compare`. A change of spectrograms is heard on `switch_songs` of the songs, and
    compared on those.
    """
    change = assumption(name).answer(label).change
    read, asks = reading(name, label), kind(change)
    changed = config if isinstance(change, Reading) else apply(config, name, label)
    if asks == "training":
        changed = patient(changed)
    inputs = touched(config, asks)
    words, songs = corpora(config, home=home), clips(config, home=home)
    before = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs}
    trained = training(changed, home=home)
    seen = {
        each: switch_songs(changed, home=home)
        if asks == "spectrogram" and each.is_song
        else features_record(changed, each, home=home)
        for each in (inputs if asks != "reading" else ())
    }

    def compute(folder: Path) -> dict[str, Any]:
        found = {each: whole_items(record) for each, record in before.items()}
        after = dict(found)
        for each, features in seen.items():
            hearing = listener(changed, each, trained, features)
            after[each] = hearing.hypotheses(hearing.memory(), BEAM_SIZE)
        write_json(folder / "hypotheses.json", {str(each): said for each, said in after.items()})
        references, series, rows = true_words(words, songs), true_series(words, songs), []
        for each in inputs:
            wanted, its, was = references[each.reading], series[each.reading], found[each]
            if asks == "spectrogram":
                places = spread(len(was), config.switch_songs)
                wanted, was = [wanted[i] for i in places], [was[i] for i in places]
                its = [its[i] for i in places]
            row = compare(was, after[each], wanted, its, read, seed=config.seed)
            rows.append({"input": each} | row)
        learnt = trained.result["valid_perplexity"] if asks == "training" else None
        return {"rows": rows, "valid_perplexity": learnt}

    settings = pick(config, "seed") | pick(changed, "standardise_timbre", "switch_songs")
    settings |= {"fields": dict(change.values) if isinstance(change, Settings) else {}}
    settings |= {"reading": asdict(read), "inputs": inputs}
    settings |= {"search": replace(changed.search, beam_size=BEAM_SIZE)}
    settings |= {"device": check_device(config.device).type}
    settings["records"] = [*before.values(), *seen.values()]
    return Work(compute, settings, [words, songs, trained])


@stage
def switchboard(config: ExperimentConfig, *, home: Path) -> Work:
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
        references, series, default = true_words(words, songs), true_series(words, songs), []
        for each, record in base.items():
            found = whole_items(record)
            pairs = pairs_of(found, references[each.reading], BOOK)
            row = stand(pairs, series[each.reading], seed=config.seed)
            said = chosen(found, BOOK.choice)
            default.append({"input": each} | row | {"words": mean_length(said)})
        changes = [names | record.result for names, record in zip(named, done, strict=True)]
        mark_clear(changes)
        return {
            "default": default,
            "valid_perplexity": trained.result["valid_perplexity"],
            "changes": changes,
            "timing": {"each": [record.timing["seconds"] for record in done]},
        }

    settings = pick(config, "seed", "smallest_effect")
    settings |= {"changes": named, "bleu": signatures(BOOK.definition)}
    settings["records"] = [*base.values(), *done]
    return Work(compute, settings, [words, songs, trained])
