"""Switching: settings with another answer to one question, and which answers settings take."""

from songtitle.assumptions.changes import BOOK, Answer, Assumption, Reading, Settings
from songtitle.assumptions.questions import ASSUMPTIONS
from songtitle.config import ExperimentConfig, override, setting
from songtitle.errors import InputError


def assumption(name: str) -> Assumption:
    """The assumption of this name; `InputError`, with the names there are, where there is none."""
    known = {each.name: each for each in ASSUMPTIONS}
    if name not in known:
        msg = f"assumption: expected one of {', '.join(known)}, got {name!r}; choose one of them"
        raise InputError(msg)
    return known[name]


def apply(config: ExperimentConfig, question: Assumption | str, label: str) -> ExperimentConfig:
    """The settings with another answer to one question.

    Raises `InputError` for a label or field that does not exist, a value that does not fit, an
    answer that the settings take already, and one that is no matter of settings.
    """
    question = _known(question)
    change = question.answer(label).change
    if not isinstance(change, Settings):
        how = "how results are read" if isinstance(change, Reading) else f"page {question.page}"
        msg = f"{question.name}: expected a matter of settings, got {label!r}, one of {how}"
        raise InputError(msg + "; change another")
    try:
        changed = override(config, dict(change.values))
    except InputError as error:
        msg = f"{question.name}: {error}"
        raise InputError(msg) from None
    if changed == config:
        msg = (
            f"{question.name}: expected an answer other than that of preset {config.name}, "
            f"got {label!r}, which it has; choose another"
        )
        raise InputError(msg)
    return changed


def reading(question: Assumption | str, label: str) -> Reading:
    """How this answer has results read: as the book does, unless that is the question."""
    change = _known(question).answer(label).change
    return change if isinstance(change, Reading) else BOOK


def taken(config: ExperimentConfig, question: Assumption | str) -> Answer | None:
    """The answer that settings take; None where a page decides or they take one of their own."""
    question = _known(question)
    for answer in question.answers:
        if isinstance(answer.change, Reading) and answer.change == BOOK:
            return answer  # no preset reads otherwise
        if isinstance(answer.change, Settings):
            values = answer.change.values
            if all(setting(config, name) == value for name, value in values):
                return answer
    return None


def open_answers(config: ExperimentConfig) -> list[tuple[Assumption, Answer]]:
    """Every other answer that settings could take, question by question.

    Those named in `config.switches`, or all of them; not those that a page decides, which raise
    `InputError` if named.
    """
    chosen = [assumption(name) for name in config.switches] or ASSUMPTIONS
    for question in chosen if config.switches else ():
        if question.page:
            msg = (
                f"{question.name}: expected a question that this page tests, got one that page "
                f"{question.page} decides; name another in switches"
            )
            raise InputError(msg)
    return [
        (question, answer)
        for question in chosen
        if not question.page
        for answer in question.answers
        if answer != taken(config, question)
    ]


def _known(question: Assumption | str) -> Assumption:
    return assumption(question) if isinstance(question, str) else question
