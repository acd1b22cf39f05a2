"""Many titles cleaned by stated rules, with a count and examples of what each step took.

The paper says that titles with named entities and titles with words "out of the English
vocabulary" were removed, and shows lower-case titles. It does not say in which order, and the
order decides: the chunker knows names by their capitals. Here each rule is a named parameter.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from songtitle.errors import InputError
from songtitle.text.cleaning import (
    Article,
    Asides,
    Letters,
    Numerals,
    Punctuation,
    title_steps,
    tokenize,
)
from songtitle.text.entities import english_words, named_entities

Entities = Literal["off", "before_lowercasing", "after_lowercasing"]
Dictionary = Literal["off", "all_words"]
Duplicates = Literal["keep", "drop"]

EXAMPLES = 5  # titles kept of what a step took
LEFT_OUT = "left out: NLTK data not fetched; run `python -m songtitle fetch nltk_data`"

Rows = list[tuple[int, str]]  # place of a title in the list that came in, and its text by now


@dataclass(frozen=True, kw_only=True)
class TitleRules:
    """What cleaning does to titles, and which it takes away; the defaults are `clean_title`."""

    letters: Letters = "keep"  # "fold": Latin ones without accents; "drop": no other scripts too
    asides: Asides = "drop"  # "(Live)", "feat. X", track numbers, file endings
    article: Article = "front"  # "Garden of Daisies, The"
    punctuation: Punctuation = "inner"  # "strip": none; "keep": words are what spaces part
    lowercase: bool = True
    numerals: Numerals = "keep"  # words with a digit and no letter
    named_entities: Entities = "off"  # before: in the source's own text; after: in the clean one
    dictionary: Dictionary = "off"  # "all_words": each in NLTK's `words`, numerals not counted
    duplicates: Duplicates = "keep"  # "drop": the first of equal clean titles stays

    def __post_init__(self) -> None:
        for each in fields(self):
            known = get_args(each.type)
            if known and getattr(self, each.name) not in known:
                msg = (
                    f"title rule {each.name}: expected one of {', '.join(known)}, "
                    f"got {getattr(self, each.name)!r}; choose one of these"
                )
                raise InputError(msg)
        if self.named_entities == "after_lowercasing" and not self.lowercase:
            msg = (
                "title rules: expected lowercase=True with named_entities='after_lowercasing', "
                "got False; lower the case or look for entities before"
            )
            raise InputError(msg)


PLAIN = TitleRules()
# As section 4.1 tells it, with entities looked for where they can be found. That "georgia man" is
# in the paper's Table 2 of clean titles speaks for the other order: replace(PAPER_TOLD,
# named_entities="after_lowercasing").
PAPER_TOLD = TitleRules(
    asides="keep", article="keep", named_entities="before_lowercasing", dictionary="all_words"
)


@dataclass(frozen=True)
class Step:
    """One step of a funnel: how many titles came in, how many went on, how many it changed."""

    name: str
    rule: str  # the setting it follows
    before: int  # titles that came in
    after: int  # titles that went on
    changed: int  # of these, with another text than before
    examples: tuple[str, ...]  # as the source has them: the first lost, or else the first changed
    note: str = ""

    @property
    def lost(self) -> int:
        """Titles that the step took away."""
        return self.before - self.after


@dataclass(frozen=True)
class Funnel:
    """What went through: `titles[i]` is clean, and was `sources[i]` in the list that came in."""

    steps: tuple[Step, ...]
    titles: tuple[str, ...]
    sources: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """What a record keeps: the steps with their counts, without the titles."""
        return {
            "in": self.steps[0].before,
            "out": len(self.titles),
            "steps": [asdict(step) | {"lost": step.lost} for step in self.steps],
        }


def funnel(
    titles: Sequence[str],
    rules: TitleRules = PLAIN,
    *,
    data: Path | None = None,
    progress: bool = False,
    workers: int | None = None,
) -> Funnel:
    """The titles cleaned by `rules`, each step counted; a title without a word is always dropped.

    A rule that is off has no step. `data`, `progress` and `workers` are those of
    `named_entities`; where NLTK's data are absent its rules are left out, and their steps say so.
    Counts do not depend on the order of the titles.

    A funnel of its own output loses nothing and changes nothing, with two exceptions: where
    `punctuation` is "keep", a sign can hide from one pass what the next finds ("x.mp3 5" without
    its numeral is a file name); and entities looked for before lowercasing are looked for in
    lower-case text the second time, where the chunker sees otherwise.

    Raises TypeError for a lone `str` and for a title that is none, with its place; InputError as
    `named_entities` does.
    """
    if isinstance(titles, str):
        msg = f"expected a list of titles, got the string {titles!r}; put it in a list"
        raise TypeError(msg)
    for place, title in enumerate(titles):
        if not isinstance(title, str):
            msg = f"expected titles, got {title!r} at place {place} (from 0); leave it out"
            raise TypeError(msg)
    line = _Line(titles)

    def drop_entities() -> None:
        found = named_entities(line.texts(), data=data, progress=progress, workers=workers)
        line.drop("named entities", rules.named_entities, found)

    if rules.named_entities == "before_lowercasing":
        drop_entities()
    steps = title_steps(
        letters=rules.letters,
        asides=rules.asides,
        article=rules.article,
        punctuation=rules.punctuation,
        lowercase=rules.lowercase,
        numerals=rules.numerals,
    )
    settings = {"signs": rules.punctuation, "guests": rules.asides, "lowercase": "lower"}
    for name, step in steps.items():
        line.change(name, settings.get(name) or str(getattr(rules, name)), step)
    line.drop("empty", "drop", [not text for text in line.texts()])
    if rules.named_entities == "after_lowercasing":
        drop_entities()
    if rules.dictionary == "all_words":
        words = english_words(data=data)
        unknown = None
        if words is not None:
            unknown = [_has_unknown_word(text, words) for text in line.texts()]
        line.drop("dictionary", rules.dictionary, unknown)
    if rules.duplicates == "drop":
        first: dict[str, int] = {}
        again = [first.setdefault(text, place) != place for place, text in line.rows]
        line.drop("duplicates", rules.duplicates, again)
    return Funnel(
        steps=tuple(line.steps),
        titles=tuple(line.texts()),
        sources=tuple(place for place, _ in line.rows),
    )


class _Line:
    """Titles on their way, and the steps that they have passed."""

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = titles
        self.rows: Rows = list(enumerate(titles))
        self.steps: list[Step] = []

    def texts(self) -> list[str]:
        return [text for _, text in self.rows]

    def change(self, name: str, rule: str, step: Callable[[str], str]) -> None:
        """Each text as `step` makes it."""
        rows = [(place, step(text)) for place, text in self.rows]
        changed = [new[0] for new, old in zip(rows, self.rows, strict=True) if new != old]
        self._passed(name, rule, rows, len(changed), changed)

    def drop(self, name: str, rule: str, flags: Sequence[bool] | None) -> None:
        """The texts without a flag; all of them where there are no flags, and a note of that."""
        if flags is None:
            self._passed(name, rule, self.rows, 0, [], LEFT_OUT)
            return
        flagged = list(zip(self.rows, flags, strict=True))
        kept = [row for row, flag in flagged if not flag]
        self._passed(name, rule, kept, 0, [place for (place, _), flag in flagged if flag])

    def _passed(
        self, name: str, rule: str, rows: Rows, changed: int, shown: list[int], note: str = ""
    ) -> None:
        examples = tuple(self.titles[place][:120] for place in shown[:EXAMPLES])
        self.steps.append(Step(name, rule, len(self.rows), len(rows), changed, examples, note))
        self.rows = rows


def _has_unknown_word(text: str, words: frozenset[str]) -> bool:
    """Whether a word is not among `words`; one of digits alone belongs to no vocabulary."""
    return any(
        word not in words and any(sign.isalpha() for sign in word)
        for word in tokenize(text.lower())
    )
