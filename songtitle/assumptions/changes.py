"""What an assumption is: a question, its place in the paper, and typed changes for its answers."""

from dataclasses import dataclass
from typing import Any

from songtitle.errors import InputError
from songtitle.metrics import CHOICES, DEFINITIONS

# What the paper has, so that a place can be looked up.
PLACES = frozenset(
    [f"section {n}" for n in ("1", "2", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "4.3", "5")]
    + ["section 6", *(f"table {n}" for n in range(1, 6)), *(f"figure {n}" for n in range(1, 9))]
)


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
    """How a result is read: which BLEU, and which of the hypotheses it scores.

    Raises `InputError` naming the field for what `metrics` does not have, and for a BLEU of a
    corpus, which no song has a part of.
    """

    definition: str = "bleu1"  # a key of metrics.DEFINITIONS
    choice: str = "top"  # one of metrics.CHOICES

    def __post_init__(self) -> None:
        of_items = [name for name, it in DEFINITIONS.items() if it.average == "sentences"]
        for name, known in (("definition", of_items), ("choice", CHOICES)):
            if (value := getattr(self, name)) not in known:
                msg = f"{name}: expected one of {', '.join(known)}, got {value!r}; take one of them"
                raise InputError(msg)


BOOK = Reading()
"""How every page of the book reads its results unless it says otherwise."""


@dataclass(frozen=True)
class Answer:
    """One way to answer a question: a few words, and what has to change for it."""

    label: str
    change: Settings | Reading | None = None  # None where small data cannot show what it does


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A question that the paper leaves open, with its answers.

    Raises `InputError` where the place is none of the paper's, where two answers share a label,
    and where answers change nothing and no page decides between them.
    """

    name: str  # letters and underscores: "batch_size"
    place: tuple[str, ...]  # where the paper should have said: "section 4.2", "table 1", "figure 4"
    question: str
    default: Answer  # what the preset `quick` takes
    alternatives: tuple[Answer, ...]
    note: str = ""
    page: str = ""  # the notebook that decides where no change of settings on small data can

    def __post_init__(self) -> None:
        labels = [answer.label for answer in self.answers]
        for place in self.place or ("nowhere",):
            if place not in PLACES:
                msg = f"{self.name}: expected a place such as 'section 4.2', got {place!r}; mend it"
                raise InputError(msg)
        if len(set(labels)) < max(2, len(labels)):
            msg = f"{self.name}: expected two or more labels that differ, got {', '.join(labels)}"
            raise InputError(msg)
        if not self.page and any(answer.change is None for answer in self.answers):
            msg = f"{self.name}: expected a change for each answer, or a page that decides; add one"
            raise InputError(msg)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The default, then the alternatives."""
        return (self.default, *self.alternatives)

    def answer(self, label: str) -> Answer:
        """The answer of this label; `InputError` where there is none."""
        for each in self.answers:
            if each.label == label:
                return each
        labels = ", ".join(repr(each.label) for each in self.answers)
        msg = f"{self.name}: expected one of {labels}, got {label!r}; choose one of them"
        raise InputError(msg)
