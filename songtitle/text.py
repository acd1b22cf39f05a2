"""Titles and captions made plain, the named entities and the dictionary of NLTK, and the funnel:
what happens to many titles on the way, with a count at each step."""

import html
import multiprocessing
import re
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

from tqdm import tqdm

from songtitle.errors import InputError
from songtitle.machine import cores, end_with_parent
from songtitle.schema import Checked

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
_GUESTS = re.compile(r" (?:feat|ft|featuring) .*|^(?:0[0-9] )+")  # and "05", a track number

_INSIDE_WORD = [
    (r"(?<=\d),(?=\d{3}(?!\d))", ""),  # thousands
    (r"(?<=[^\W\d])[.*$]+(?=[^\W\d])", ""),  # U.S.A., M*A*S*H
    # a scanner's "Pat:terson"; not "Mercy:The"
    (r"(?<=[a-z]):(?=[a-z])|(?<=[A-Z]):(?=[A-Z])", ""),
    (r"(?<=[A-Za-z])=(?=[A-Za-z])", "-"),  # an old printer's hyphen
]
_CLITIC = re.compile(r"(?<=[A-Za-z0-9])\s+(?='(?i:s|re|ve|ll|d|m)\b)")  # "a man 's" is "a man's"
_NOT = re.compile(r"(?<=[A-Za-z]) (?=[Nn]'[Tt](?: |$))")  # "do n't" is "don't"
# An accent belongs to the letter before it; one without a letter is no word.
_UNIT = r"(?:\d+(?:\.\d+)+|[^\W_][0-9A-Za-z\x80-\U0010ffff]*)"
_WORD = re.compile(rf"{_UNIT}(?:['-]{_UNIT})*")


@dataclass(frozen=True, kw_only=True)
class TitleRules(Checked):
    """What cleaning does to titles, and which it takes away; the defaults are `clean_title`."""

    asides: Literal["drop", "keep"] = "drop"  # "(Live)", "feat. X", track numbers, file endings
    article: Literal["front", "keep"] = "front"  # "Garden of Daisies, The"
    # Before: in the source's own text; after: in the clean one.
    named_entities: Literal["off", "before_lowercasing", "after_lowercasing"] = "off"
    dictionary: Literal["off", "all_words"] = "off"  # "all_words": each in NLTK's, numerals aside
    duplicates: Literal["keep", "drop"] = "keep"  # "drop": the first of equal clean titles stays


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
    "feat." go. A clean title stays as it is; one without a letter or digit gives "".
    """
    for step in title_steps().values():
        raw = step(raw)
    return raw


def title_steps(rules: TitleRules = PLAIN) -> dict[str, Callable[[str], str]]:
    """Give the steps of cleaning a title by name, in order."""
    return {
        name: step
        for name, (field, _, step) in _STEPS.items()
        if field is None or getattr(rules, field) != "keep"
    }


def clean_caption(raw: str) -> str:
    """Give the words of a caption in lower case: "A great blue heron." -> "a great blue heron".

    Quotes and dashes become ASCII, "&" becomes "and", a bracketed aside after the first word goes,
    and of the punctuation only that inside words stays. A clean caption stays as it is.
    """
    return _lower(_inner(_without_asides(_plain_signs(raw))))


def tokenize(text: str) -> list[str]:
    """Give the words of a clean text, in order; on text that is not clean, without punctuation."""
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
    for pattern, by in _INSIDE_WORD:
        text = re.sub(pattern, by, text)
    text = unicodedata.normalize("NFKC", text)
    return _NOT.sub("", " ".join(tokenize(_CLITIC.sub("", text))))


def _lower(text: str) -> str:
    """In lower case, letters composed."""
    return unicodedata.normalize("NFKC", text.lower())


# name of a step: the rule that may leave it out, what a funnel calls it, what it does
_STEPS: dict[str, tuple[str | None, str, Callable[[str], str]]] = {
    "signs": (None, "inner", _plain_signs),
    "asides": ("asides", "drop", _without_file_marks),
    "article": ("article", "front", _article_first),
    "punctuation": (None, "inner", _inner),
    "lowercase": (None, "lower", _lower),
    "guests": ("asides", "drop", partial(_GUESTS.sub, "")),
}

# -- named entities and the dictionary -----------------------------------------------------------

_WORDS = "corpora/words/"
_TAGGER = "taggers/averaged_perceptron_tagger_eng/"
_CHUNKER = "chunkers/maxent_ne_chunker_tab/english_ace_binary/"
_TORN = (ValueError, OSError, EOFError, LookupError, BadZipFile, zlib.error)


def named_entities(
    titles: Sequence[str],
    *,
    data: Path | None = None,
    progress: bool = False,
    workers: int | None = None,
) -> list[bool] | None:
    """Tell which titles hold a named entity, by NLTK's binary chunker; None without its data.

    Give titles in their original letter case: in lower case the chunker finds next to nothing.
    `data` is a folder of NLTK data to look in before NLTK's own places. Distinct titles are tagged
    by `workers` processes, one a core (a script must guard its start by `__name__ == "__main__"`);
    few of them in this process. Raises TypeError for a lone `str`, InputError for less than one
    worker and for data that are torn or that NLTK refuses because others may write to them.
    """
    _refuse_string(titles)
    if workers is not None and workers < 1:
        msg = f"expected at least one worker, got {workers}; give 1 or more, or None for all cores"
        raise InputError(msg)
    distinct = list(dict.fromkeys(titles))
    chunks = [distinct[i : i + CHUNK] for i in range(0, len(distinct), CHUNK)]
    workers = min(workers or (cores() if len(distinct) >= ALONE else 1), len(chunks))
    known: dict[str, bool] = {}
    with ExitStack() as stack:
        places = stack.enter_context(_nltk_data(data, _TAGGER, _CHUNKER, _WORDS))
        if places is None:
            return None
        run: Callable[..., Any] = map
        if workers > 1:
            # Spawned, not forked: a fork copies locks that threads of this process may hold.
            spawn = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent)
            stack.callback(pool.shutdown, cancel_futures=True)
            run = pool.map
        told = {"desc": "named entities", "unit": "title", "disable": None if progress else True}
        bar = stack.enter_context(tqdm(total=len(distinct), **told))
        for chunk, flags in zip(chunks, run(partial(_flag, places), chunks), strict=True):
            known.update(zip(chunk, flags, strict=True))
            bar.update(len(chunk))
    return [known[title] for title in titles]


def english_words(*, data: Path | None = None) -> frozenset[str] | None:
    """Give the words of NLTK's `words` corpus in lower case; else as `named_entities`."""
    with _nltk_data(data, _WORDS) as places:
        if places is None:
            return None
        import nltk  # seconds to import, and only these two filters want it

        try:
            lists = (
                nltk.data.load(f"{_WORDS}{name}", format="raw", cache=False)
                for name in ("en", "en-basic")
            )
            return frozenset(b"\n".join(lists).decode("utf-8").lower().split())
        except _TORN as error:
            raise _torn(error) from error


def _refuse_string(titles: Any) -> None:
    if isinstance(titles, str):
        msg = f"expected a list of titles, got the string {titles!r}; put it in a list"
        raise TypeError(msg)


@contextmanager
def _nltk_data(data: Path | None, *needed: str) -> Iterator[tuple[str, ...] | None]:
    """NLTK's search path, with `data` at its head while this lasts; None without what is needed."""
    import nltk

    before = nltk.data.path
    nltk.data.path = [*([] if data is None else [str(data)]), *before]
    try:
        yield tuple(nltk.data.path) if _is_there(needed) else None
    finally:
        nltk.data.path = before


def _is_there(needed: tuple[str, ...]) -> bool:
    import nltk

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # its refusal is told below
            for each in needed:
                nltk.data.find(each)
    except LookupError as error:
        if refused := getattr(error, "_nltk_refused_writable", ()):
            msg = f"NLTK data {refused[0]}: expected a place that only its owner may write to, got "
            msg += "one that others may, which NLTK does not trust; take that right away (`chmod "
            raise InputError(msg + "-R go-w`) or copy the data to a folder of your own") from error
        return False
    except BadZipFile as error:
        raise _torn(error) from error
    return True


def _torn(error: Exception) -> InputError:
    what = " ".join(str(error).split())[:120]
    return InputError(
        f"NLTK data: expected whole packages, got '{type(error).__name__}: {what}'; "
        "fetch them again (`python -m songtitle fetch nltk_data`)"
    )


@lru_cache(maxsize=1)
def _models(places: tuple[str, ...]) -> tuple[Any, Any]:
    """NLTK's tagger and chunker, which nltk.ne_chunk would load again for each title."""
    import nltk
    from nltk.corpus.reader import WordListCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    nltk.data.path[:] = places  # a new process has its own
    # As NLTK makes it; the one that is there may be bound to a folder of an earlier call.
    reader = partial(LazyCorpusLoader, "words", WordListCorpusReader, r"(?!README|\.).*")
    nltk.corpus.words = reader(encoding="ascii")
    try:
        tagger, chunker = nltk.tag.PerceptronTagger(), nltk.chunk.ne_chunker(fmt="binary")
        list(chunker.parse_sents([[("Georgia", "NNP")]]))  # reads the list of words, too
    except _TORN as error:
        raise _torn(error) from error
    return tagger, chunker


def _flag(places: tuple[str, ...], titles: list[str]) -> list[bool]:
    """Whether each title holds an entity."""
    import nltk

    tagger, chunker = _models(places)
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
) -> Funnel:
    """Clean titles by `rules`, each step counted; a title without a word is always dropped.

    A rule that is off has no step; where NLTK's data are absent its rules are left out, and their
    steps say so. The order of titles changes no count; a second time changes nothing, except where
    entities are looked for before lowercasing. `data`, `progress` and errors are those of
    `named_entities`; a title that is none is a TypeError, with its place.
    """
    _refuse_string(titles)
    for place, title in enumerate(titles):
        if not isinstance(title, str):
            msg = f"expected titles, got {title!r} at place {place} (from 0); leave it out"
            raise TypeError(msg)
    line = dict(enumerate(titles))  # place in the list that came in: text by now
    steps: list[Step] = []

    def passed(name: str, rule: str, on: dict[int, str], note: str = "") -> None:
        nonlocal line
        lost = [place for place in line if place not in on]
        changed = [place for place in on if on[place] != line[place]]
        examples = tuple(titles[place][:120] for place in (lost or changed)[:EXAMPLES])
        steps.append(Step(name, rule, len(line), len(on), len(changed), examples, note))
        line = on

    def drop(name: str, rule: str, flags: Sequence[bool] | None) -> None:
        """The flagged texts; none where there are no flags, and a note of that."""
        if flags is None:
            passed(name, rule, line, LEFT_OUT)
        else:
            flagged = zip(line.items(), flags, strict=True)
            passed(name, rule, dict(each for each, flag in flagged if not flag))

    def drop_entities(when: str) -> None:
        if rules.named_entities == when:
            texts = list(line.values())
            drop("named entities", when, named_entities(texts, data=data, progress=progress))

    drop_entities("before_lowercasing")
    for name, step in title_steps(rules).items():
        passed(name, _STEPS[name][1], {place: step(text) for place, text in line.items()})
    drop("empty", "drop", [not text for text in line.values()])
    drop_entities("after_lowercasing")
    if rules.dictionary == "all_words":
        words = english_words(data=data)
        known = words or frozenset()
        unknown = [
            # One of digits alone belongs to no vocabulary.
            any(w not in known and any(map(str.isalpha, w)) for w in tokenize(text.lower()))
            for text in line.values()
        ]
        drop("dictionary", "all_words", None if words is None else unknown)
    if rules.duplicates == "drop":
        first = {text: place for place, text in reversed(line.items())}
        drop("duplicates", "drop", [first[text] != place for place, text in line.items()])
    return Funnel(tuple(steps), tuple(line.values()), tuple(line))
