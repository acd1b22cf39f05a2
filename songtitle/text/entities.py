"""Named entities and the English dictionary, both by NLTK: which titles hold a name, which words.

NLTK's data are packages of their own (`averaged_perceptron_tagger_eng`, `maxent_ne_chunker_tab`,
`words`); where one is absent the answer is None, and the caller says that its rule was left out.
"""

import multiprocessing
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from tqdm import tqdm

from songtitle.errors import InputError
from songtitle.processes import end_with_parent

CHUNK = 500  # titles that a process tags between two reports
ALONE = 4_000  # distinct titles below which starting processes takes longer than it saves
LONGEST = 5_000  # signs of a title that are read: NLTK's time grows with the square of a length

_TAGGER = "taggers/averaged_perceptron_tagger_eng/"
_CHUNKER = "chunkers/maxent_ne_chunker_tab/english_ace_binary/"
_WORDS = "corpora/words/"
_TORN = (ValueError, OSError, EOFError, KeyError, BadZipFile, zlib.error)


def named_entities(
    titles: Sequence[str],
    *,
    data: Path | None = None,
    progress: bool = False,
    workers: int | None = None,
) -> list[bool] | None:
    """Whether each title holds a named entity, by NLTK's binary chunker; None without its data.

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
            workers = _cores() if len(distinct) >= ALONE else 1
        workers = min(workers, len(chunks))
        bar = tqdm(
            total=len(distinct),
            desc="named entities",
            unit="title",
            disable=None if progress else True,
        )
        known: dict[str, bool] = {}
        with bar:
            for chunk, flags in zip(chunks, _map(chunks, paths, workers), strict=True):
                known.update(zip(chunk, flags, strict=True))
                bar.update(len(chunk))
    return [known[title] for title in titles]


def english_words(*, data: Path | None = None) -> frozenset[str] | None:
    """The words of NLTK's `words` corpus in lower case, or None where the package is absent.

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


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


_models: dict[tuple[str, ...], tuple[Any, Any]] = {}  # search path -> tagger and chunker


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
