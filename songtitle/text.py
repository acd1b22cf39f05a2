"""Titles and captions made plain, and what happens to many of them on the way.

First the rules for one text, then the named entities and the dictionary of NLTK, then the funnel:
both over many titles, with a count at each step.
"""

import html
import multiprocessing
import re
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import BadZipFile

from tqdm import tqdm

from songtitle.errors import InputError
from songtitle.machine import cores, end_with_parent

CHUNK = 500  # titles that a process tags between two reports
ALONE = 4_000  # distinct titles below which starting processes takes longer than it saves
LONGEST = 5_000  # signs of a title that are read: NLTK's time grows with the square of a length
EXAMPLES = 5  # titles kept of what a step took
LEFT_OUT = "left out: NLTK data not fetched; run `python -m songtitle fetch nltk_data`"

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("‘’ʼ‛′`´\x18\x19", "'"),  # \x18..\x1d: cp1252 quotes cut to their low byte
        **dict.fromkeys("“”„‟″«»\x1c\x1d", '"'),
        **dict.fromkeys("‐‑‒–−\x13", "-"),
        **dict.fromkeys("—―\x14", " - "),  # the long dash parts words, the short one may join them
        "&": " and ",
        "_": ",",  # as Million Song dumps write a comma
    }
)
_FILE_ENDING = re.compile(r"\.(mp3|ogg|flac|wav)\s*$", re.IGNORECASE)
_BEFORE_FIRST_WORD = re.compile(r"^[\W_]+")
_BRACKET = re.compile(r"([()\[\]{}])")
_NUMBERING = re.compile(r"^\d{1,2}([.)]|\s+-+)\s+(?=[^\W\d])")
_LAST_ARTICLE = re.compile(r",\s*(the|a|an|na)\W*$", re.IGNORECASE)
_FEATURING = frozenset({"feat", "ft", "featuring"})

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CLITIC = re.compile(r"(?<=[A-Za-z0-9])\s+(?='(?i:s|re|ve|ll|d|m)\b)")  # "a man 's" is "a man's"
_NOT = re.compile(r"(?<=[A-Za-z]) (?=[Nn]'[Tt](?: |$))")  # "do n't" is "don't"
_INSIDE_WORD = re.compile(
    r"(?<=[^\W\d])[.*$]+(?=[^\W\d])"  # U.S.A., M*A*S*H
    r"|(?<=[a-z]):(?=[a-z])|(?<=[A-Z]):(?=[A-Z])"  # a scanner's "Pat:terson"; not "Mercy:The"
    r"|(?<=[A-Za-z])=(?=[A-Za-z])"  # an old printer's hyphen
)
_UNIT = r"(?:\d+(?:\.\d+)+|[0-9A-Za-z\x80-\U0010ffff]+)"
_WORD = re.compile(rf"{_UNIT}(?:['-]{_UNIT})*")


@dataclass(frozen=True, kw_only=True)
class TitleRules:
    """What cleaning does to titles, and which it takes away; the defaults are `clean_title`."""

    asides: Literal["drop", "keep"] = "drop"  # "(Live)", "feat. X", track numbers, file endings
    article: Literal["front", "keep"] = "front"  # "Garden of Daisies, The"
    # Before: in the source's own text; after: in the clean one.
    named_entities: Literal["off", "before_lowercasing", "after_lowercasing"] = "off"
    dictionary: Literal["off", "all_words"] = "off"  # "all_words": each in NLTK's, numerals aside
    duplicates: Literal["keep", "drop"] = "keep"  # "drop": the first of equal clean titles stays

    def __post_init__(self) -> None:
        for each in fields(self):
            known, value = get_args(each.type), getattr(self, each.name)
            if known and value not in known:
                msg = f"title rule {each.name}: expected one of {', '.join(known)}, got {value!r}"
                msg += "; choose one of these"
                raise InputError(msg)


PLAIN = TitleRules()
# As section 4.1 tells it, with entities looked for where they can be found. That "georgia man" is
# in the paper's Table 2 of clean titles speaks for the other order: replace(PAPER_TOLD,
# named_entities="after_lowercasing").
PAPER_TOLD = TitleRules(
    asides="keep", article="keep", named_entities="before_lowercasing", dictionary="all_words"
)


def clean_title(raw: str) -> str:
    """Give the words of a song title in lower case, as a listener would say them.

    On top of what `clean_caption` does, a trailing article returns to the front ("Garden of
    Daisies, The"), track numbers ("01 Whales", "13. Dis"), file endings and whatever follows
    "feat.", "ft." or "featuring" go. `clean_title(clean_title(x)) == clean_title(x)`. A title
    without a letter or digit gives the empty string.
    """
    for step in title_steps().values():
        raw = step(raw)
    return raw


def title_steps(rules: TitleRules = PLAIN) -> dict[str, Callable[[str], str]]:
    """Give the steps of cleaning a title by name, in order."""
    steps: dict[str, Callable[[str], str]] = {"signs": _plain_signs}
    if rules.asides == "drop":
        steps["asides"] = _without_file_marks
    if rules.article == "front":
        steps["article"] = _article_first
    steps |= {"punctuation": _inner, "lowercase": _lower}
    if rules.asides == "drop":
        steps["guests"] = _without_guests
    return steps


def clean_caption(raw: str) -> str:
    """Give the words of a caption in lower case: "A great blue heron." -> "a great blue heron".

    Quotes and dashes become ASCII, "&" becomes "and", a bracketed aside after the first word goes,
    and of the punctuation only that inside words stays. Letters of other scripts and accents stay.
    `clean_caption(clean_caption(x)) == clean_caption(x)`.
    """
    return _lower(_inner(_without_asides(_plain_signs(raw))))


def tokenize(text: str) -> list[str]:
    """Give the words of a clean text, in order; on text that is not clean, without punctuation.

    `" ".join(tokenize(clean_title(x))) == clean_title(x)`, and the same for captions.
    """
    return _WORD.findall(text)


def _plain_signs(raw: str) -> str:
    """Entities resolved, quotes and dashes in ASCII, letters composed, the letter case kept."""
    # Before NFKC, which would take an acute accent used as a quote for a combining mark.
    text = html.unescape(raw).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    if text.isascii():
        return text
    kinds = ((sign, unicodedata.category(sign)) for sign in text)
    return "".join(
        sign if sign.isascii() or kind[0] in "LMN" else " "
        for sign, kind in kinds
        if kind != "Cf"  # soft hyphens and joiners stand inside words
    )


def _without_file_marks(text: str) -> str:
    """Without a file ending, asides in brackets, and a track number before the first word."""
    return _NUMBERING.sub("", _without_asides(_FILE_ENDING.sub("", text)))


def _without_asides(text: str) -> str:
    """The text without its bracketed asides; brackets that open the text keep their words."""
    kept: list[str] = []
    opened: list[int] = []  # where in `kept` each open bracket stands
    for piece in _BRACKET.split(_BEFORE_FIRST_WORD.sub("", text)):
        if piece in ("(", "[", "{"):
            opened.append(len(kept))
        if piece in (")", "]", "}") and opened:  # any kind closes any: titles mix them up
            del kept[opened.pop() :]
            piece = " "
        kept.append(piece)
    return "".join(kept)


def _article_first(text: str) -> str:
    """ "Garden of Daisies, The" as "The Garden of Daisies"."""
    match = _LAST_ARTICLE.search(text)
    if match is None or not any(sign.isalnum() for sign in text[: match.start()]):
        return text
    return f"{match[1]} {text[: match.start()]}"


def _inner(text: str) -> str:
    """The words, one space apart, with the punctuation inside them alone; the letter case kept."""
    text = _THOUSANDS.sub("", text)
    text = _INSIDE_WORD.sub(lambda match: "-" if match[0] == "=" else "", text)
    text = unicodedata.normalize("NFKC", text)
    return _NOT.sub("", " ".join(_WORD.findall(_CLITIC.sub("", text))))


def _lower(text: str) -> str:
    """In lower case, letters composed."""
    return unicodedata.normalize("NFKC", text.lower())


def _without_guests(text: str) -> str:
    """Without what follows "feat." or its like, and without a track number such as "05"."""
    words = text.split()
    while len(words) > 1 and re.fullmatch("0[0-9]", words[0]):
        del words[0]
    for i in range(1, len(words) - 1):
        if words[i].lower().rstrip(".") in _FEATURING:
            return " ".join(words[:i])
    return " ".join(words)


# -- named entities and the dictionary -----------------------------------------------------------

_TAGGER = "taggers/averaged_perceptron_tagger_eng/"
_CHUNKER = "chunkers/maxent_ne_chunker_tab/english_ace_binary/"
_WORDS = "corpora/words/"
_TORN = (ValueError, OSError, EOFError, KeyError, BadZipFile, zlib.error)
_models: dict[tuple[str, ...], tuple[Any, Any]] = {}  # search path -> tagger and chunker


def named_entities(
    titles: Sequence[str],
    *,
    data: Path | None = None,
    progress: bool = False,
    workers: int | None = None,
) -> list[bool] | None:
    """Tell which titles hold a named entity, by NLTK's binary chunker; None without its data.

    Give titles in their original letter case: on lower-case text the chunker finds next to
    nothing. `data` is a folder of NLTK data to look in before NLTK's own places. Each distinct
    title is tagged once, by as many processes as there are cores or as `workers` says (a script
    that calls this with more than one must guard its start by `__name__ == "__main__"`); few
    titles stay in this process. The answer does not depend on `workers`.

    Raises TypeError for a lone `str`, InputError for data that are torn or that NLTK refuses
    because others may write to them, and for less than one worker.
    """
    if isinstance(titles, str):
        msg = f"expected a list of titles, got the string {titles!r}; put it in a list"
        raise TypeError(msg)
    if workers is not None and workers < 1:
        msg = f"expected at least one worker, got {workers}; give 1 or more, or None for all cores"
        raise InputError(msg)
    with _looking_in(data) as paths:
        if not _found(_TAGGER, _CHUNKER, _WORDS):
            return None
        distinct = list(dict.fromkeys(titles))
        chunks = [distinct[i : i + CHUNK] for i in range(0, len(distinct), CHUNK)]
        if workers is None:
            workers = cores() if len(distinct) >= ALONE else 1
        workers = min(workers, len(chunks))
        known: dict[str, bool] = {}
        with tqdm(
            total=len(distinct),
            desc="named entities",
            unit="title",
            disable=None if progress else True,
        ) as bar:
            for chunk, flags in zip(chunks, _map(chunks, paths, workers), strict=True):
                known.update(zip(chunk, flags, strict=True))
                bar.update(len(chunk))
    return [known[title] for title in titles]


def english_words(*, data: Path | None = None) -> frozenset[str] | None:
    """Give the words of NLTK's `words` corpus in lower case, or None where the package is absent.

    `data` and the errors are those of `named_entities`.
    """
    import nltk  # seconds to import, and only these two filters want it

    with _looking_in(data):
        if not _found(_WORDS):
            return None
        try:
            lists = [
                nltk.data.load(f"corpora/words/{name}", format="raw", cache=False)
                for name in ("en", "en-basic")
            ]
            return frozenset(b"\n".join(lists).decode("utf-8").lower().split())
        except (*_TORN, LookupError) as error:
            raise _torn(error) from error


@contextmanager
def _looking_in(data: Path | None) -> Iterator[list[str]]:
    """NLTK's search path with `data` at its head, as it was before once the block is left."""
    import nltk

    before = list(nltk.data.path)
    if data is not None:
        nltk.data.path.insert(0, str(data))
    try:
        yield list(nltk.data.path)
    finally:
        nltk.data.path[:] = before


def _found(*resources: str) -> bool:
    """Whether NLTK finds all of them. Raises InputError where it does and refuses, or one is torn.

    From 3.10 on NLTK reads nothing that another account could have written: it would be trusted.
    """
    import nltk

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # its refusal is told below
            for resource in resources:
                nltk.data.find(resource)
    except LookupError as error:
        if type(error) is not LookupError:  # KeyError and IndexError would be bugs, not lacks
            raise
        refused = getattr(error, "_nltk_refused_writable", ())
        if not refused:
            return False
        msg = (
            f"NLTK data {refused[0]}: expected a place that only its owner may write to, got one "
            "that others may, which NLTK does not trust; take that right away (`chmod -R go-w`) "
            "or copy the data to a folder of your own"
        )
        raise InputError(msg) from error
    except BadZipFile as error:
        raise _torn(error) from error
    return True


def _torn(error: Exception) -> InputError:
    what = " ".join(str(error).split())[:120]
    return InputError(
        f"NLTK data: expected whole packages, got '{type(error).__name__}: {what}'; "
        "fetch them again (`python -m songtitle fetch nltk_data`)"
    )


def _map(chunks: list[list[str]], paths: list[str], workers: int) -> Iterator[list[bool]]:
    """The answers for each chunk in order, from this process or from several."""
    flag = partial(_flag, paths)
    if workers <= 1:
        yield from map(flag, chunks)
        return
    # Spawned, not forked: a fork copies locks that threads of this process may hold.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent)
    try:
        yield from pool.map(flag, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _flag(paths: list[str], titles: list[str]) -> list[bool]:
    """Whether each title holds an entity, by the models of this process, loaded once."""
    import nltk
    from nltk.corpus.reader import WordListCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    nltk.data.path[:] = paths  # a new process has its own
    try:
        if tuple(paths) not in _models:
            _models.clear()
            # As NLTK makes it; the one that is there may be bound to a folder of an earlier call.
            nltk.corpus.words = LazyCorpusLoader(
                "words", WordListCorpusReader, r"(?!README|\.).*", encoding="ascii"
            )
            # nltk.ne_chunk would load the model again for each title
            _models[tuple(paths)] = (
                nltk.tag.PerceptronTagger(),
                nltk.chunk.ne_chunker(fmt="binary"),
            )
        tagger, chunker = _models[tuple(paths)]
        list(chunker.parse_sents([[("Georgia", "NNP")]]))  # reads the list of words, too
    except (*_TORN, LookupError) as error:
        raise _torn(error) from error
    tokens = [nltk.word_tokenize(title[:LONGEST], preserve_line=True) for title in titles]
    trees = chunker.parse_sents(tagger.tag_sents(tokens))
    return [any(isinstance(node, nltk.Tree) for node in tree) for tree in trees]


# -- the funnel ----------------------------------------------------------------------------------


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
    """Clean titles by `rules`, each step counted; a title without a word is always dropped.

    A rule that is off has no step. `data`, `progress` and `workers` are those of
    `named_entities`; where NLTK's data are absent its rules are left out, and their steps say so.
    Counts do not depend on the order of the titles.

    A funnel of its own output loses nothing and changes nothing, except where entities are looked
    for before lowercasing: the second time that is in lower-case text, where the chunker sees
    otherwise.

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
    settings = {"asides": "drop", "guests": "drop", "article": "front", "lowercase": "lower"}
    for name, step in title_steps(rules).items():
        line.change(name, settings.get(name, "inner"), step)
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
        self.rows = list(enumerate(titles))  # place in the list that came in, text by now
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
        self,
        name: str,
        rule: str,
        rows: list[tuple[int, str]],
        changed: int,
        shown: list[int],
        note: str = "",
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
