"""What captions score against texts that have nothing to do with them: no model, no sound.

Captions drawn at random, whole or cut to their first words, are held against titles and against
other captions, under every definition of BLEU. Whatever they score, no input is needed for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from songtitle.datasets import conceptual_captions, fma, million_song
from songtitle.errors import InputError

# As modules: then the constants in them are part of a stage's key.
from songtitle.metrics import beginnings, definitions
from songtitle.metrics.tokens import Unit
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, tokenize

OTHERS = "captions"  # what captions stand against beside collections of titles
WRITTEN, CLEANED = "as written", "cleaned"  # split at spaces in lower case, or by our rules
LEVEL = 0.95

Words = Sequence[Sequence[str]]


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
    _check(draws, {"captions": distinct, **titles})
    sides = {**titles, OTHERS: distinct}
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
    firsts = np.cumsum([0, *(len(texts) for texts in sides.values())])
    rows = np.concatenate([rows.ravel() for rows, _ in drawn.values()])
    columns = np.concatenate(
        [
            first + columns.ravel()
            for first, (_, columns) in zip(firsts, drawn.values(), strict=False)
        ]
    )
    every = list(chain.from_iterable(sides.values()))
    ends = np.cumsum([0, *(rows.size for rows, _ in drawn.values())])
    for unit, orders in orders_by_unit().items():
        paired = beginnings.pair_up(distinct, every, rows, columns, unit=unit, orders=orders)
        for words in (*beginnings.LENGTHS, None):
            found, said = paired.counts(words)
            for against, start, end in zip(sides, ends, ends[1:], strict=False):
                shape = drawn[against][0].shape
                parts = [
                    part[start:end].reshape(*shape, *part.shape[1:])
                    for part in (found, said, paired.wanted)
                ]
                for name, definition in definitions.DEFINITIONS.items():
                    if definition.tokens == unit:
                        scores = beginnings.mean_bleu(definition, *parts)
                        lead = {"against": against, "words": words, "definition": name}
                        yield lead | {"pairs": shape[1]} | summary(scores)


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


def summary(scores: Float[np.ndarray, " draws"], level: float = LEVEL) -> dict[str, float]:
    """Mean over draws, its interval (Student's t), and the standard deviation of single draws."""
    mean, spread = float(scores.mean()), float(scores.std(ddof=1))
    reach = float(student.ppf((1 + level) / 2, len(scores) - 1)) * spread / len(scores) ** 0.5
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "spread": spread}


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
        OTHERS: [caption for _, caption, _ in conceptual_captions.read(captions, faults)],
        "msd": [track.title for track in million_song.read_tracks(songs, faults)],
        "fma": list(tracks),
    }
    # How the paper split its titles is not told, and the score of letters depends on it.
    wordings = {
        WRITTEN: {name: _words(_as_written, texts) for name, texts in raw.items()},
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


def _as_written(text: str) -> list[str]:
    return text.lower().split()


def _caption(text: str) -> list[str]:
    return tokenize(clean_caption(text))


def _title(text: str) -> list[str]:
    return tokenize(clean_title(text))


def orders_by_unit() -> dict[Unit, int]:
    """What the definitions count, and up to which order."""
    orders: dict[Unit, int] = {}
    for each in definitions.DEFINITIONS.values():
        orders[each.tokens] = max(len(each.weights), orders.get(each.tokens, 0))
    return orders


def _check(draws: int, texts: Mapping[str, Words]) -> None:
    counts = {"draws": draws} | {name: len(found) for name, found in texts.items()}
    for name, count in counts.items():
        if count < 2:
            msg = f"{name}: expected at least two to tell one from another, got {count}; give more"
            raise InputError(msg)
