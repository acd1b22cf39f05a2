"""Laws of assumptions: every answer changes what it says, and nothing else."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from songtitle.config import PAPER_LITERAL, PRESETS, preset, setting, settings
from songtitle.errors import InputError
from songtitle.experiment.switchboard import (
    ASSUMPTIONS,
    BOOK,
    Answer,
    Assumption,
    Reading,
    Settings,
    apply,
    open_answers,
    reading,
    taken,
)
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.pairs import CHOICES
from songtitle.paper.printed import paper_table

ROOT = Path(__file__).parent.parent
QUICK = PRESETS["quick"]
ANSWERS = [
    pytest.param(question, answer, id=f"{question.name}-{answer.label}")
    for question in ASSUMPTIONS
    for answer in question.alternatives
]


def sized(field, value):
    """A question whose answer "a" gives a field this value."""
    answer = Answer("a", Settings(((field, value),)))
    return Assumption(name="size", place=("table 1",), question="?", answers=(answer,))


@pytest.mark.parametrize(("question", "answer"), ANSWERS)
def test_an_answer_changes_exactly_its_fields_is_then_taken_and_the_way_back_leads_home(
    question, answer
):
    if not isinstance(answer.change, Settings):
        return
    changed = apply(QUICK, question, answer.label)
    moved = {name for name in settings() if setting(changed, name) != setting(QUICK, name)}
    named = dict(answer.change.values)
    assert moved
    assert moved == {name for name, value in named.items() if setting(QUICK, name) != value}
    assert all(setting(changed, name) == named[name] for name in moved)
    assert taken(changed, question) == answer
    assert apply(changed, question, question.default.label) == QUICK


@pytest.mark.parametrize("question", ASSUMPTIONS, ids=lambda each: each.name)
def test_the_default_is_what_the_preset_quick_takes(question):
    if question.default.change is not None:
        assert taken(QUICK, question) == question.default


@pytest.mark.parametrize(("question", "answer"), ANSWERS)
def test_an_answer_is_a_setting_or_a_reading_or_a_page_decides(question, answer):
    other = reading(question, answer.label) != BOOK
    assert [isinstance(answer.change, Settings), other, answer.change is None].count(True) == 1
    assert answer.change is not None or question.page


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_a_preset_can_change_to_is_never_what_it_has(name):
    config = replace(PRESETS[name], switches=())
    for each, answer in open_answers(config):
        assert answer != taken(config, each)
        if isinstance(answer.change, Settings):
            assert apply(config, each, answer.label) != config


@pytest.mark.parametrize("question", ASSUMPTIONS, ids=lambda each: each.name)
def test_a_question_is_of_the_paper_can_be_typed_and_its_answers_differ(question):
    sections = ["1", "2", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "4.3", "5", "6"]
    places = {f"section {n}" for n in sections} | {f"figure {n}" for n in range(1, 9)}
    tables = [place for place in question.place if place.startswith("table")]
    assert all(len(paper_table(int(place.split()[1]))) for place in tables)
    assert question.place
    assert set(question.place) <= places | set(tables)
    assert question.name.isidentifier()
    assert question.name.islower()
    assert [each.name for each in ASSUMPTIONS].count(question.name) == 1 < 15 < len(ASSUMPTIONS)
    labels = [answer.label for answer in question.answers]
    assert len(set(labels)) == len(labels) > 1
    changes = [answer.change for answer in question.answers if answer.change is not None]
    assert len(set(changes)) == len(changes)
    for change in changes:
        if isinstance(change, Reading):
            assert DEFINITIONS[change.definition].average == "sentences"
            assert change.choice in CHOICES
    folder = ROOT / "book" if question.page.startswith("../") else ROOT / "notebooks"
    page = question.page.removeprefix("../")
    assert not page or [*folder.glob(f"{page}.md"), *folder.glob(f"{page}.py")]


def test_presets_take_the_sides_that_their_names_promise():
    literal, guess, modern = (PRESETS[n] for n in ("paper_literal", "best_guess", "modern"))
    assert taken(literal, "dropout").label == "none"
    assert taken(literal, "timbre_scale").label == "raw"
    assert literal.spectrogram == PAPER_LITERAL
    assert taken(literal, "transform").label == "44 kHz, 1,024 points"
    assert taken(guess, "network").label == "ResNet-152"
    assert taken(modern, "length_penalty").label == "mean per word"
    assert (modern.model.positions, modern.model.weights) == ("map", "imagenet_v2")
    assert all(taken(guess, each) == taken(PRESETS["course"], each) for each in ASSUMPTIONS)


def test_every_encoder_that_the_modern_preset_compares_has_weights_of_that_name():
    from songtitle.model.weights import weights_digest

    modern = PRESETS["modern"]
    files = {weights_digest(name, modern.model.weights) for name in modern.compared_encoders}
    assert len(files) == len(modern.compared_encoders)


def test_switches_are_chosen_by_name_and_in_the_order_given():
    config = preset("quick", switches='["width", "dropout"]')
    assert [each.name for each, _ in open_answers(config)] == ["width", "dropout"]
    everything = [each.name for each, _ in open_answers(QUICK)]
    listed = [each.name for each in ASSUMPTIONS]
    order = [listed.index(name) for name in dict.fromkeys(everything)]
    assert all(first < second for first, second in pairwise(order))
    assert not {each.name for each in ASSUMPTIONS if each.page} & set(everything)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: apply(QUICK, "dropuot", "none"), r"expected one of dropout, .*got 'dropuot'"),
        (lambda: apply(QUICK, "dropout", "half"), r"dropout: expected one of '0.2', 'none', got"),
        (lambda: apply(QUICK, "dropout", "0.2"), r"other than that of preset quick, got '0.2'"),
        (lambda: apply(QUICK, "bleu", "letters, BLEU-1"), r"matter of settings.*how results are"),
        (lambda: apply(QUICK, "song_rows", "row by row"), r"settings.*page 07_paper_corpora"),
        (
            lambda: apply(QUICK, sized("model.colour", 1), "a"),
            r"size: model\.colour: no such setting",
        ),
        (lambda: apply(QUICK, sized("views.x", 1), "a"), r"size: views\.x: .*did you mean views\?"),
        (lambda: apply(QUICK, sized("views", True), "a"), r"size: views: .*from 1 .*, got True"),
        (
            lambda: apply(QUICK, sized("model.dropout", 1.5), "a"),
            r"size: model\.dropout: expected a number from 0 to below 1, got 1\.5",
        ),
        (
            lambda: open_answers(preset("quick", switches=["network"])),
            r"network: expected a question that this page tests.*page 03_training",
        ),
        (lambda: preset("quick", switches="[3]"), r"switches: expected a list of names"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(wrong, message):
    with pytest.raises(InputError, match=message) as error:
        wrong()
    assert "\n" not in str(error.value)
