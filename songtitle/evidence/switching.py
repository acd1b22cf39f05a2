"""The switchboard: every question that the paper leaves open, answered otherwise one at a time."""

from pathlib import Path
from typing import Any

import numpy as np

from songtitle.assumptions import BOOK, open_answers, taken
from songtitle.cache import Record, once, run_stage
from songtitle.config import ExperimentConfig
from songtitle.controls.pairs import holm
from songtitle.evidence.standing import stand
from songtitle.evidence.switches import BEAM_SIZE, kind, picture_input, switch, whole_items
from songtitle.experiment.common import pick
from songtitle.experiment.corpora import clips, corpora
from songtitle.experiment.learning import training
from songtitle.experiment.naming import SONG_INPUTS, hypotheses
from songtitle.experiment.scoring import held_out_captions, song_titles
from songtitle.metrics import signatures

YARDSTICK = "batch_order"  # the question whose answers differ by luck alone


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
    inputs = (picture_input(config), *SONG_INPUTS)
    base = {each: hypotheses(config, each, BEAM_SIZE, home=home) for each in inputs}
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
        references = {"pictures": held_out_captions(words), "songs:": song_titles(songs)}
        default = []
        for each, record in base.items():
            generator = np.random.default_rng(config.seed)
            found, wanted = whole_items(record), references[each.split()[0]]
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
    inputs_of = [words, songs, trained]
    return run_stage("switchboard", compute, settings=settings, inputs=inputs_of, home=home)


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
