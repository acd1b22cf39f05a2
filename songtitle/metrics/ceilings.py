"""What needs no song: the scores of word frequencies, of one caption for all, of beginnings."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int, Num

from songtitle.errors import InputError
from songtitle.metrics.bleu import (
    Definition,
    Unit,
    bleu_of_counts,
    ngrams,
    numbered,
    refuse_strings,
    units_of,
)

LENGTHS = (*range(1, 11), 15)  # words kept of a caption, beside the whole


def unigram_perplexity(
    train: Sequence[Sequence[int]], valid: Sequence[Sequence[int]], *, vocab_size: int
) -> float:
    """Perplexity on `valid` of word frequencies counted on `train`, with one added to each count.

    The sequences hold the ids that a decoder predicts: those after `<bos>`, `<eos>` included. Each
    counts once, as in the decoder's loss, so the two perplexities compare. Without `train` it is
    `vocab_size`. Raises InputError for an id outside the vocabulary or a `valid` without ids.
    """
    seen, asked = (
        np.fromiter((i for ids in part for i in ids), dtype=np.int64) for part in (train, valid)
    )
    for name, ids in (("train", seen), ("valid", asked)):
        if len(ids) and (ids.min() < 0 or ids.max() >= vocab_size):
            msg = f"{name}: expected ids from 0 to {vocab_size - 1}, got {ids.min()} to {ids.max()}"
            raise InputError(msg)
    if len(asked) == 0:
        msg = "valid: expected at least one predicted id, got none"
        raise InputError(msg)
    counts = np.bincount(seen, minlength=vocab_size) + 1.0
    log_probs = np.log(counts / counts.sum())
    return float(np.exp(-log_probs[asked].mean()))


def unigram_titles(
    titles: Sequence[Sequence[str]], lengths: Sequence[int], *, generator: np.random.Generator
) -> list[list[str]]:
    """Titles of the given lengths, every word drawn by its frequency in `titles`.

    Words are drawn with replacement and know nothing of each other. Raises TypeError for a `str`
    in place of a token list, InputError where `titles` hold no words or a length is below 0.
    """
    refuse_strings((titles, *titles))
    words = [word for title in titles for word in title]
    shortest = min(lengths, default=0)
    if shortest < 0:
        msg = f"lengths: expected words a title, 0 or more, got {shortest}"
        raise InputError(msg)
    if not words and any(lengths):
        msg = f"titles: expected some words to draw from, got none in {len(titles)} titles"
        raise InputError(msg)
    ends = np.cumsum([0, *lengths]).tolist()
    drawn = [words[i] for i in generator.integers(max(1, len(words)), size=ends[-1]).tolist()]
    return [drawn[first:last] for first, last in pairwise(ends)]


def best_constant(
    references: Sequence[Sequence[str]], *, words_at_most: int = 4, brevity: bool = True
) -> list[str]:
    """The one answer, of 1 to `words_at_most` words, with the highest mean BLEU-1.

    The mean is over `references`, one for each item; give others than those the answer is judged
    on, or it has seen the test. No other answer is better: at a given length the brevity penalty
    of each reference is known, and the clipped matches that the t-th occurrence of a word adds do
    not depend on the other words. Of equals the shorter answer wins, then the word first in the
    alphabet. `brevity=False` is unigram precision.

    Raises TypeError for a `str` in place of a token list, InputError without a word to choose.
    """
    refuse_strings((references, *references))
    if words_at_most < 1:
        msg = f"words_at_most: expected at least 1, got {words_at_most}"
        raise InputError(msg)
    # The t-th "a" of a reference is a word of its own, (a, t), as in clipped matching.
    holders: dict[tuple[str, int], list[int]] = {}
    for number, reference in enumerate(references):
        for word in numbered(reference):
            if word[1] < words_at_most:
                holders.setdefault(word, []).append(number)
    if not holders:
        msg = f"references: expected some words to choose from, got none in {len(references)}"
        raise InputError(msg)
    sizes = np.array([len(reference) for reference in references], dtype=float)
    best: tuple[float, list[str]] = (-1.0, [])
    for length in range(1, words_at_most + 1):
        penalty = np.exp(np.minimum(0.0, 1.0 - sizes / length)) if brevity else np.ones(len(sizes))
        worth = {word: float(penalty[numbers].sum()) for word, numbers in holders.items()}
        chosen = sorted(worth, key=lambda word: (-worth[word], word))[:length]
        score = sum(worth[word] for word in chosen) / length
        if score > best[0] * (1 + 1e-12):  # longer only where it scores more than by rounding
            best = score, [word for word, _ in chosen]
    return best[1]


@dataclass(frozen=True)
class Beginnings:
    """Pairs of a hypothesis and a reference, in one reading: words or letters, up to an order."""

    hypotheses: Sequence[Sequence[str]]  # words
    rows: Int[np.ndarray, " pairs"]  # which hypothesis
    unit: Unit
    running: list[Int[np.ndarray, " _"]]  # per order: matches before each n-gram of all pairs
    starts: list[Int[np.ndarray, " pairs"]]  # per order: where a pair's n-grams start
    wanted: Int[np.ndarray, " pairs"]  # tokens of the reference

    def counts(
        self, words: int | None = None
    ) -> tuple[Int[np.ndarray, "pairs orders"], Int[np.ndarray, " pairs"]]:
        """Of the first `words` words of each hypothesis (None: of all): matches, and tokens.

        A match is an n-gram that the reference has too, counted as often as it has it.
        """
        cut = (text[:words] for text in self.hypotheses)
        sizes = [len(" ".join(text)) if self.unit == "letters" else len(text) for text in cut]
        said = np.array(sizes, dtype=np.int64)[self.rows]
        ends = [start + np.maximum(said - order, 0) for order, start in enumerate(self.starts)]
        found = [
            running[end] - running[start]
            for running, start, end in zip(self.running, self.starts, ends, strict=True)
        ]
        return np.stack(found, axis=1), said


def pair_up(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    rows: Int[np.ndarray, " pairs"],
    columns: Int[np.ndarray, " pairs"],
    *,
    unit: Unit = "words",
    orders: int = 1,
) -> Beginnings:
    """Hypothesis `rows[i]` with the one reference `columns[i]`, both as word lists."""
    running, starts = [], []
    sides = [[units_of(text, unit) for text in side] for side in (hypotheses, references)]
    for order in range(1, orders + 1):
        ids: dict[Hashable, int] = {}
        said, wanted = (_encoded(side, order, ids) for side in sides)
        (said_keys, start), (wanted_keys, _) = (
            _keys(flat, bounds, chosen, len(ids))
            for (flat, bounds), chosen in ((said, rows), (wanted, columns))
        )
        hits = np.isin(said_keys, wanted_keys, assume_unique=True)
        running.append(np.concatenate([[0], np.cumsum(hits)]).astype(np.int64))
        starts.append(start)
    sizes = np.array([len(text) for text in sides[1]], dtype=np.int64)
    return Beginnings(hypotheses, rows, unit, running, starts, sizes[columns])


def mean_bleu(
    definition: Definition,
    found: Num[np.ndarray, "*draws pairs orders"],
    said: Num[np.ndarray, "*draws pairs"],
    wanted: Num[np.ndarray, "*draws pairs"],
) -> Float[np.ndarray, "*draws"]:
    """BLEU of each draw of pairs: the mean of their scores, or of their counts, as defined."""
    if definition.average == "corpus":  # one text, as long as all of them
        found = found.sum(-2, keepdims=True)
        said, wanted = (sizes.sum(-1, keepdims=True) for sizes in (said, wanted))
    return np.asarray(bleu_of_counts(definition, found, said, wanted).mean(-1), dtype=float)


def _encoded(
    texts: Iterable[Sequence[str]], order: int, ids: dict[Hashable, int]
) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " bounds"]]:
    """The numbered n-grams of all texts as ids, one after another, and where each text starts."""
    flat: list[int] = []
    bounds = [0]
    for tokens in texts:
        flat += [ids.setdefault(gram, len(ids)) for gram in numbered(ngrams(tokens, order))]
        bounds.append(len(flat))
    return np.array(flat, dtype=np.int64), np.array(bounds, dtype=np.int64)


def _keys(
    flat: Int[np.ndarray, " tokens"],
    bounds: Int[np.ndarray, " bounds"],
    chosen: Int[np.ndarray, " pairs"],
    ids: int,
) -> tuple[Int[np.ndarray, " keys"], Int[np.ndarray, " pairs"]]:
    """The tokens of the chosen texts, told apart by pair, and where those of each pair start."""
    sizes = np.diff(bounds)[chosen]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(starts[-1]) - np.repeat(starts[:-1] - bounds[chosen], sizes)
    pairs = np.repeat(np.arange(len(chosen)), sizes)
    return pairs * max(1, ids) + flat[places], starts[:-1]
