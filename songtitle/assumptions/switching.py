"""Switching: settings with another answer to one question, and which answers settings take."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from songtitle.assumptions.changes import BOOK, Answer, Assumption, Reading, Settings
from songtitle.assumptions.questions import ASSUMPTIONS
from songtitle.config import ExperimentConfig
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
    changed = _with(config, dict(change.values), about=question.name)
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
            if all(field_of(config, name, about=question.name) == value for name, value in values):
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


def field_of(config: ExperimentConfig, name: str, *, about: str) -> Any:
    """The value of a dotted field; `InputError` naming it where there is none."""
    value: Any = config
    for part in name.split("."):
        if not is_dataclass(value) or part not in {each.name for each in fields(value)}:
            msg = f"{about}: expected a field of the settings, got {name!r}, which is none; mend it"
            raise InputError(msg)
        value = getattr(value, part)
    return value


def _known(question: Assumption | str) -> Assumption:
    return assumption(question) if isinstance(question, str) else question


def _with(config: ExperimentConfig, values: dict[str, Any], *, about: str) -> ExperimentConfig:
    """The settings with other values of dotted fields, each of the kind that it had."""
    parts: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        before = field_of(config, name, about=about)
        if type(value) is not type(before) and {type(value), type(before)} != {int, float}:
            msg = f"{about}: expected {type(before).__name__} for {name}, got {value!r}; mend it"
            raise InputError(msg)
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            parts[first] = value
    # All of a part at once: it checks that its values go together, and names what does not.
    parts |= {name: replace(getattr(config, name), **found) for name, found in inner.items()}
    return replace(config, **parts)
