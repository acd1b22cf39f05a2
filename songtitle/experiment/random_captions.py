"""What captions score against texts that have nothing to do with them: no model, no sound.

Captions drawn at random, whole or cut to their first words, are held against titles and against
other captions, under every definition of BLEU. Whatever they score, no input is needed for it.
`audio_references` shows how the score grows with the number of references.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from songtitle.corpora import fma, million_song
from songtitle.corpora.captions import read_audiocaps, read_conceptual_captions
from songtitle.errors import InputError
from songtitle.metrics.bleu import DEFINITIONS, Unit, score, sentence_scores
from songtitle.metrics.chance import best_constant, bootstrap_interval, replicate_interval
from songtitle.metrics.pairs import LENGTHS, mean_bleu, pair_up
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, tokenize

OTHERS = "captions"  # what captions stand against beside collections of titles
WRITTEN, CLEANED = "as written", "cleaned"  # split at spaces in lower case, or by our rules
DRAWS, SEED = 10, 0  # of captions for clips
LONGEST = 15  # words of the one answer for every clip

Words = Sequence[Sequence[str]]
Clips = Sequence[Sequence[list[str]]]  # the captions of each clip, as words
Trial = tuple[list[list[str]], list[list[list[str]]]]  # hypotheses, and the references of each
Trials = Callable[[Clips, int], Iterator[Trial]]  # for so many references


def content_free_rows(
    captions: Words, titles: Mapping[str, Words], *, draws: int, seed: int, pairs: int = 1_000
) -> Iterator[dict[str, Any]]:
    """Mean BLEU in [0, 1] of random pairs: per what captions stand against, words kept, definition.

    Each row has `against, words` (None: all of them)`, definition, pairs` and, over the draws, the
    `mean`, the 95 % interval `low, high` of it, and the `spread` (SD) of single draws. All rows of
    one `against` are of the same pairs, so they compare. Equal captions are drawn once, since a
    copy is no other caption. Raises InputError for fewer than two draws, captions or titles.
    """
    distinct = [list(words) for words in dict.fromkeys(map(tuple, captions)) if words]
    generator = np.random.default_rng(seed)
    sides = {**titles, OTHERS: distinct}
    counted = {"draws": draws} | {name: len(found) for name, found in sides.items()}
    for name, count in counted.items():
        if count < 2:
            msg = f"{name}: expected at least two to tell one from another, got {count}; give more"
            raise InputError(msg)
    drawn = {
        against: random_pairs(
            len(distinct),
            None if against == OTHERS else len(texts),
            pairs=pairs,
            draws=draws,
            generator=generator,
        )
        for against, texts in sides.items()
    }
    # All sides at once, one after another: each text is read once.
    firsts = np.cumsum([0, *map(len, sides.values())])
    rows = np.concatenate([rows.ravel() for rows, _ in drawn.values()])
    columns = np.concatenate(
        [
            first + columns.ravel()
            for first, (_, columns) in zip(firsts, drawn.values(), strict=False)
        ]
    )
    every = list(chain.from_iterable(sides.values()))
    ends = pairwise(np.cumsum([0, *(rows.size for rows, _ in drawn.values())]))
    parts_of = dict(zip(sides, (slice(*pair) for pair in ends), strict=True))
    for unit, orders in orders_by_unit().items():
        paired = pair_up(distinct, every, rows, columns, unit=unit, orders=orders)
        for words in (*LENGTHS, None):
            counts = (*paired.counts(words), paired.wanted)
            for against, part in parts_of.items():
                shape = drawn[against][0].shape
                own = [count[part].reshape(*shape, *count.shape[1:]) for count in counts]
                for name, definition in DEFINITIONS.items():
                    if definition.tokens == unit:
                        scores = mean_bleu(definition, *own)
                        lead = {"against": against, "words": words, "definition": name}
                        yield lead | {"pairs": shape[1]} | _summary(scores)


def random_pairs(
    captions: int, others: int | None, *, pairs: int, draws: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, "draws pairs"], Int[np.ndarray, "draws pairs"]]:
    """Which captions stand against which texts, in each draw anew; nothing twice within a draw.

    `others` is the number of texts, or None for captions among themselves: then all are put in a
    random circle and each stands against the next, so none against itself.
    """
    size = min(pairs, captions, others or captions)
    sides = []
    for _ in range(draws):
        order = generator.permutation(captions)
        other = np.roll(order, -1) if others is None else generator.permutation(others)
        sides.append((order[:size], other[:size]))
    rows, columns = zip(*sides, strict=True)
    return np.array(rows), np.array(columns)


def _summary(scores: Float[np.ndarray, " draws"]) -> dict[str, float]:
    """Mean over draws, its 95 % interval, and the standard deviation of single draws."""
    low, high = replicate_interval(scores)
    mean, spread = float(scores.mean()), float(scores.std(ddof=1))
    return {"mean": mean, "low": low, "high": high, "spread": spread}


# -- the paper's own kind of text -----------------------------------------------------------------


def of_samples(captions: Path, songs: Path, tracks: Path) -> dict[str, Any]:
    """Conceptual Captions against titles of a Million Song list and of fma_small, as samples."""
    faults = Faults()
    titles = [track.title for track in fma.read_titles(tracks, faults)]
    return _of_files(captions, songs, titles, faults)


def of_corpora(captions: Path, songs: Path, tracks: Path) -> dict[str, Any]:
    """The same with the titles of fma_small out of `tracks.csv`."""
    faults = Faults()
    found = fma.read_tracks(tracks, faults)
    return _of_files(captions, songs, [t.title for t in found if t.subset == "small"], faults)


def _of_files(captions: Path, songs: Path, tracks: Iterable[str], faults: Faults) -> dict[str, Any]:
    raw = {
        OTHERS: [caption for _, caption, _ in read_conceptual_captions(captions, faults)],
        "msd": [track.title for track in million_song.read_tracks(songs, faults)],
        "fma": list(tracks),
    }
    # How the paper split its titles is not told, and the score of letters depends on it.
    wordings = {
        WRITTEN: {
            name: _words(lambda text: text.lower().split(), texts) for name, texts in raw.items()
        },
        CLEANED: {
            name: _words(_caption if name == OTHERS else _title, texts)
            for name, texts in raw.items()
        },
    }
    return described(wordings, draws=20, seed=0) | {"faults": faults.as_dict()}


def described(
    wordings: Mapping[str, Mapping[str, Words]], *, draws: int, seed: int
) -> dict[str, Any]:
    """The rows of `content_free_rows` under each wording, and what they were drawn from.

    A wording has the "captions" and the collections of titles, as words.
    """
    return {
        "rows": len(next(iter(wordings.values()))[OTHERS]),
        "draws": draws,
        "texts": {
            wording: {
                name: {"texts": len(found), "mean_words": sum(map(len, found)) / len(found)}
                for name, found in texts.items()
            }
            for wording, texts in wordings.items()
        },
        "scores": [
            {"wording": wording} | row
            for wording, texts in wordings.items()
            for row in content_free_rows(
                texts[OTHERS],
                {name: found for name, found in texts.items() if name != OTHERS},
                draws=draws,
                seed=seed,
            )
        ],
    }


def _words(split: Callable[[str], list[str]], raw: Iterable[str]) -> list[list[str]]:
    return [words for words in map(split, raw) if words]


def _caption(text: str) -> list[str]:
    return tokenize(clean_caption(text))


def _title(text: str) -> list[str]:
    return tokenize(clean_title(text))


def orders_by_unit() -> dict[Unit, int]:
    """What the definitions count, and up to which order."""
    orders: dict[Unit, int] = {}
    for each in DEFINITIONS.values():
        orders[each.tokens] = max(len(each.weights), orders.get(each.tokens, 0))
    return orders


def audio_references(test: Path, valid: Path, train: Path) -> dict[str, Any]:
    """BLEU-1 by number of references: one human beside others, a random caption, a constant.

    Rows `who, references, mean, low, high, corpus`: mean over clips of sentence scores with a 95 %
    bootstrap interval over clips, and the score of the corpus as a whole; all in [0, 1]. Who:

    - `human`: each caption of a clip in turn, against the next ones of the same clip, in a circle;
    - `random`: a training caption drawn at random, which is retrieval by a neighbour that cannot
      hear, over 10 draws;
    - `constant`: the one answer that fits the captions of validation best, given to every clip.
    """
    faults = Faults()
    everyone = _by_clip(test, faults)
    many = Counter(map(len, everyone)).most_common(1)[0][0]
    clips = [captions for captions in everyone if len(captions) == many]
    learnt = [row.caption for row in read_audiocaps(train, faults)]
    judged = [words for captions in _by_clip(valid, faults) for words in captions]
    constant = best_constant(judged, words_at_most=LONGEST)
    return {
        "clips": len(clips),
        "captions_a_clip": many,
        "rows": sum(map(len, clips)) + len(learnt) + len(judged),
        "mean_length": float(np.mean([len(words) for captions in clips for words in captions])),
        "constant": " ".join(constant),
        "scores": [
            *_scores("human", clips, range(1, many), _human),
            *_scores("random", clips, range(1, many + 1), _drawn_from(learnt)),
            *_scores("constant", clips, range(1, many + 1), _always(constant)),
        ],
        "faults": faults.as_dict(),
    }


def _by_clip(table: Path, faults: Faults) -> list[list[list[str]]]:
    """The captions of each clip as words; a caption of which no word is left is left out."""
    clips: dict[str, list[list[str]]] = defaultdict(list)
    for row in read_audiocaps(table, faults):
        if words := tokenize(clean_caption(row.caption)):
            clips[row.youtube_id].append(words)
    return list(clips.values())


def _scores(who: str, clips: Clips, counts: range, trials: Trials) -> Iterator[dict[str, Any]]:
    """A row for each number of references; `trials(clips, count)` gives hypotheses with them."""
    generator = np.random.default_rng(SEED)
    for count in counts:
        each, whole = [], []
        for hypotheses, references in trials(clips, count):
            each.append(sentence_scores(hypotheses, references, DEFINITIONS["bleu1"]))
            whole.append(score(hypotheses, references, DEFINITIONS["corpus"]).score)
        scores = np.mean(each, axis=0)
        low, high = bootstrap_interval(scores, generator=generator)
        found = {"mean": float(scores.mean()), "low": low, "high": high}
        yield {"who": who, "references": count} | found | {"corpus": float(np.mean(whole))}


def _human(clips: Clips, count: int) -> Iterator[Trial]:
    """Each caption of a clip in turn, against the `count` that follow it, in a circle."""
    for one in range(len(clips[0])):
        said = [captions[one] for captions in clips]
        yield said, [_circle(captions, one + 1, count) for captions in clips]


def _drawn_from(learnt: list[str]) -> Trials:
    """A caption of `learnt` at random for each clip, against `count` of its own, at random."""

    def trials(clips: Clips, count: int) -> Iterator[Trial]:
        generator = np.random.default_rng(SEED)
        many = len(clips[0])
        for _ in range(DRAWS):
            said = generator.integers(len(learnt), size=len(clips))
            kept = [generator.permutation(many)[:count] for _ in clips]
            yield (
                [tokenize(clean_caption(learnt[i])) for i in said],
                [[captions[i] for i in own] for captions, own in zip(clips, kept, strict=True)],
            )

    return trials


def _always(answer: list[str]) -> Trials:
    """One answer for every clip, against `count` of its captions, in a circle from each."""

    def trials(clips: Clips, count: int) -> Iterator[Trial]:
        for one in range(len(clips[0])):
            yield [answer] * len(clips), [_circle(captions, one, count) for captions in clips]

    return trials


def _circle(captions: Sequence[list[str]], first: int, count: int) -> list[list[str]]:
    return [captions[(first + i) % len(captions)] for i in range(count)]
