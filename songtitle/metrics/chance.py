"""Chance: how sure a score is, what permutation and words alone give, how many items would tell.

Items of one series (a folder of drawings, a family of tunes, an artist) are no independent items:
where `series` names each item's, series are mismatched, shuffled and drawn whole. Without it every
item is a series of its own.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import ceil, sqrt
from string import ascii_letters

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr, ndtri, stdtrit

from songtitle.errors import expect
from songtitle.metrics.bleu import Lists, numbered, refuse_strings

LEVEL, ALPHA = 0.95, 0.05  # of intervals; of tests
_CHUNK = 1_000_000  # numbers or signs drawn at a time: 8 MB
Scores = Float[np.ndarray, " items"]
PairScores = Float[np.ndarray, "items items"]
Series = Sequence[Hashable] | None  # of each item; None: every item is one of its own


@dataclass(frozen=True)
class Chance:
    """A mean score beside what mismatched pairs reach; all but `p` in the unit of the scores."""

    score: float  # mean of the own pairs
    low: float  # its 95 % bootstrap interval
    high: float
    chance: float  # mean of all pairs of two series, in which own pairs weigh as in the gain
    gain: float  # score - chance
    p: float  # (0, 1], of pairing at random
    gain_low: float  # 95 % interval of the gain, the spread of chance itself included
    gain_high: float


def against_chance(
    pair_scores: PairScores,
    *,
    series: Series = None,
    rounds: int = 1000,
    generator: np.random.Generator,
) -> Chance:
    """Compare own pairs, the diagonal of the scores of every hypothesis against every reference,
    with mismatched ones.

    Chance is computed, not drawn; `generator` serves the intervals and the permutation test, in
    which `rounds` times the titles of each series go to another (`dealt`). That test takes from
    each score the mean of its title, since a title of a small series may be dealt more than once.
    Unrelated pairs have a gain near 0, and a p of at most 0.05 in a twentieth of cases. The spread
    is that of other series for the same trained model; `replicate_interval` has that of other
    trainings. Raises InputError for fewer than two items or series and for a matrix that is not
    square.
    """
    own, _ = _mismatched(pair_scores, series)
    check_rounds(rounds)
    score = float(own.mean())
    low, high = bootstrap_interval(own, series=series, generator=generator)
    common = pair_scores.mean(axis=0, dtype=float)
    items = np.arange(len(own))
    deals = dealt(series, len(own), rounds=rounds, generator=generator)
    drawn = np.array([(pair_scores[items, o] - common[o]).mean(dtype=float) for o in deals])
    # Titles dealt more than once leave crumbs of their means: less than a tenth of what the least
    # score of one item is worth is no difference, or they would part outputs that are all alike.
    some = pair_scores[pair_scores > 0]
    twice = numbered_series(series, len(own)).max() + 1 < len(own) and len(some)
    crumb = float(some.min()) / (10 * len(own)) if twice else 1e-12
    p = permutation_p(score - float(common.mean()), drawn, rounding=crumb)
    parts = gain_parts(pair_scores, series)
    gain = float(parts.mean())
    gain_low, gain_high = bootstrap_interval(parts, series=series, generator=generator)
    return Chance(score, low, high, score - gain, gain, p, gain_low, gain_high)


def gain_parts(pair_scores: PairScores, series: Series = None) -> Scores:
    """Split the gain over chance into what each item adds to it: their mean is the gain.

    The gain is the mean of `(s_ii + s_jj - s_ij - s_ji) / 2` over items of two series: what an
    output, or a title, scores with everybody cancels. The parts are its first-order projection
    (Hoeffding 1948), which intervals and differences of gains resample. Raises as `against_chance`.
    """
    own, other = _mismatched(pair_scores, series)
    others = other.sum(axis=1)
    mixed = ((pair_scores + pair_scores.T) * other).sum(axis=1, dtype=float)
    over = (others * own + other @ own - mixed) / 2  # of each item, summed over its pairs
    gain = over.sum() / others.sum()
    return gain + 2 * len(own) / others.sum() * (over - gain * others)


def _mismatched(
    pair_scores: PairScores, series: Series
) -> tuple[Scores, Bool[np.ndarray, "items items"]]:
    """The own scores, and which pairs are of two series."""
    items, shape = len(pair_scores), " x ".join(map(str, pair_scores.shape))
    expect(
        pair_scores.shape == (items, items),
        f"pair_scores: expected as many rows as columns, got {shape}; score each hypothesis "
        "against the reference of each item",
    )
    expect(items >= 2, f"pair_scores: expected at least two items to mismatch, got {items}")
    numbers = numbered_series(series, items)
    expect(
        numbers.max() > 0,
        f"series: expected at least two to mismatch, got {items} items of one; score more series",
    )
    return np.diagonal(pair_scores).astype(float), numbers[:, None] != numbers


def numbered_series(series: Series, items: int) -> Int[np.ndarray, " items"]:
    """Number the series from 0 in the order in which they first come.

    Raises TypeError for a `str` in place of a list, InputError for another number than of items.
    """
    if series is None:
        return np.arange(items)
    if isinstance(series, str):
        msg = f"series: expected a list of names, got the string {series!r}"
        raise TypeError(msg)
    expect(
        len(series) == items,
        f"series: expected one for each of {items} items, got {len(series)}; give them in the "
        "items' order",
    )
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(each, len(known)) for each in series], dtype=np.int64)


def dealt(
    series: Series, items: int, *, rounds: int, generator: np.random.Generator
) -> Iterator[Int[np.ndarray, " items"]]:
    """Give for each round whose title each item gets: series are shuffled, and the titles of one
    are dealt in random order to the items of another, once more from the first where too few."""
    numbers = numbered_series(series, items)
    sizes = np.bincount(numbers)
    starts = np.cumsum(sizes) - sizes
    place = np.empty(items, dtype=np.int64)  # of an item within its series
    place[np.argsort(numbers, kind="stable")] = np.arange(items) - np.repeat(starts, sizes)
    for _ in range(rounds):
        to = generator.permutation(len(sizes))[numbers]
        if len(sizes) == items:
            yield to
        else:
            members = np.lexsort((generator.random(items), numbers))
            yield members[starts[to] + place % sizes[to]]


def of_other_series(
    series: Series, items: int, *, generator: np.random.Generator
) -> Int[np.ndarray, " items"]:
    """Draw for each item another one, each of them once: of another series, unless one series holds
    more than half of the items."""
    numbers = numbered_series(series, items)
    # All in a circle, each series together, and everyone looks as far on as the largest reaches.
    shuffled = generator.permutation(numbers.max() + 1)[numbers]
    order = np.lexsort((generator.random(items), shuffled))
    return np.roll(order, -int(np.bincount(numbers).max()))[np.argsort(order)]


def bootstrap_interval(
    scores: Scores,
    *,
    series: Series = None,
    generator: np.random.Generator,
    rounds: int = 2000,
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean score, (low, high), from `rounds` resamples of series.

    Percentiles are taken as much further out as Student's interval of so few series is wider, of
    unequal ones of as many as tell as much (Hesterberg 2015, "expanded percentiles"; Carter et al.
    2017). Raises InputError without scores, and for several of a single series. Source: Efron 1979.
    """
    expect(len(scores), "scores: expected at least one, got none")
    check_rounds(rounds)
    sums, sizes = _by_series(np.asarray(scores, dtype=float)[:, None], series)
    count = len(sizes)
    if len(scores) == 1:  # says nothing of others, as its name says
        return float(sums[0, 0]), float(sums[0, 0])
    expect(
        count >= 2,
        f"series: expected at least two for an interval, got {len(scores)} items of one; score "
        "more series",
    )
    means = []
    for portion in _portions(rounds, count):
        drawn = generator.integers(count, size=(portion, count))
        means.append(sums[drawn, 0].sum(axis=1) / sizes[drawn].sum(axis=1))
    even = float(sizes.sum() ** 2 / (sizes**2).sum())  # how many of equal sizes tell as much
    reach = float(stdtrit(even - 1, (1 + LEVEL) / 2)) * sqrt(even / (even - 1))
    low, high = np.quantile(np.concatenate(means), [ndtr(-reach), ndtr(reach)])
    return float(low), float(high)


def _by_series(
    scores: Float[np.ndarray, "items systems"], series: Series
) -> tuple[Float[np.ndarray, "series systems"], Int[np.ndarray, " series"]]:
    """The sum of scores of each series, by system, and its number of items."""
    numbers = numbered_series(series, len(scores))
    sizes = np.bincount(numbers)
    sums = np.zeros((len(sizes), scores.shape[1]))
    np.add.at(sums, numbers, scores)
    return sums, sizes


def permutation_p(
    observed: float, permuted: Float[np.ndarray, " rounds"], *, rounding: float = 1e-12
) -> float:
    """The share of permuted scores that reach the observed one, which counts among them: never 0.

    Scores that differ by `rounding` alone, in units of the observed one or of 1, are equal. Source:
    Phipson and Smyth 2010.
    """
    slack = rounding * max(1.0, abs(observed))
    reached = int(np.count_nonzero(permuted >= observed - slack))
    return (1 + reached) / (1 + len(permuted))


@dataclass(frozen=True)
class Difference:
    """How much more the first of two systems scores on the same items."""

    mean: float  # first - second, in the unit of the scores
    low: float  # its 95 % bootstrap interval, over series
    high: float
    p: float  # (0, 1], two-sided, of equal systems
    spread: float  # of independent items, their standard deviation: what `items_needed` asks for


def paired_difference(
    first: Scores,
    second: Scores,
    *,
    series: Series = None,
    rounds: int,
    generator: np.random.Generator,
) -> Difference:
    """Compare two systems item by item; the trainings behind the scores are taken as they are.

    Were the systems equal, the differences of a series could as well have the other sign: p is the
    share of `rounds` random choices of signs whose mean lies as far from 0. The spread is that of
    independent items with the same standard error. Raises InputError for scores that do not pair,
    or fewer than two. Sources: Fisher 1935, section 21; Efron 1979; Liang and Zeger 1986.
    """
    _check_scores({"first": first, "second": second})
    differences = first.astype(float) - second.astype(float)
    low, high = bootstrap_interval(differences, series=series, generator=generator)
    mean, items = float(differences.mean()), len(differences)
    flipped = _flipped_means(differences[:, None], series, rounds=rounds, generator=generator)
    p = permutation_p(abs(mean), np.abs(flipped[:, 0]))
    apart = _by_series(differences[:, None] - mean, series)[0]
    spread = sqrt(float((apart**2).sum()) / items * len(apart) / (len(apart) - 1))
    return Difference(mean, low, high, p, spread)


def tie_letters(
    scores: Mapping[str, Scores],
    *,
    series: Series = None,
    rounds: int,
    generator: np.random.Generator,
) -> dict[str, str]:
    """Letters for systems scored on the same items: who shares one is not told apart.

    Every two are compared by random signs, as in `paired_difference`, and the p values corrected
    together (Holm 1979): among equal systems any difference is found in a twentieth of cases at
    most. "a" stands with the highest mean. Raises InputError for scores that do not pair, and where
    `rounds` are too few for any difference to be found. Source: Piepho 2004 for the letters.
    """
    _check_scores(scores)
    names = sorted(scores, key=lambda name: -float(np.mean(scores[name])))
    pairs = list(combinations(range(len(names)), 2))
    fewest = ceil(len(pairs) / ALPHA) - 1
    expect(
        rounds >= fewest,
        f"rounds: expected at least {fewest} to compare {len(names)} systems at level {ALPHA}, "
        f"got {rounds}; draw more",
    )
    table = np.stack([scores[name].astype(float) for name in names], axis=1)
    table -= table.mean(axis=1, keepdims=True)  # differences stay, and lose fewer digits
    # Flipping the sign of a difference is flipping both scores, so one product serves all pairs.
    flipped = _flipped_means(table, series, rounds=rounds, generator=generator)
    means = table.mean(axis=0)
    ps = [
        permutation_p(float(abs(means[i] - means[j])), np.abs(flipped[:, i] - flipped[:, j]))
        for i, j in pairs
    ]
    differ = [pair for pair, found in zip(pairs, holm(ps), strict=True) if found]
    return dict(zip(names, letters(len(names), differ), strict=True))


def adjusted(ps: Sequence[float]) -> list[float]:
    """Correct p values for their number, so that each speaks for all of them together.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none comes to less than one
    before it, or to more than 1. Source: Holm 1979.
    """
    found, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = found[place] = max(least, min(1.0, (len(ps) - rank) * ps[place]))
    return found


def holm(ps: Sequence[float], *, level: float = ALPHA) -> list[bool]:
    """Which of several hypotheses to reject, so that any true one is rejected with `level` at most
    (Holm 1979)."""
    return [p <= level for p in adjusted(ps)]


def letters(systems: int, differ: list[tuple[int, int]]) -> list[str]:
    """Letters for systems 0 to `systems - 1`: two share one exactly if they do not differ.

    Source: Piepho 2004, insert and absorb. Raises InputError where 52 letters do not suffice.
    """
    groups = [frozenset(range(systems))]
    for pair in differ:
        split = {
            part
            for group in groups
            for part in ([group - {each} for each in pair] if group.issuperset(pair) else [group])
        }
        groups = [group for group in split if not any(group < other for other in split)]
    expect(
        len(groups) <= len(ascii_letters),
        f"letters: expected at most {len(ascii_letters)} groups, got {len(groups)}; "
        "compare fewer systems",
    )
    groups.sort(key=sorted)  # "a" for the group that holds the first system, and so on
    return [
        "".join(letter for letter, group in zip(ascii_letters, groups, strict=False) if i in group)
        for i in range(systems)
    ]


def _flipped_means(
    scores: Float[np.ndarray, "items systems"],
    series: Series,
    *,
    rounds: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "rounds systems"]:
    """Mean scores after random signs, the same for all systems, were given to the series."""
    check_rounds(rounds)
    sums = _by_series(scores, series)[0]
    count, total = len(sums), sums.sum(axis=0)
    means = []
    for portion in _portions(rounds, count):
        drawn = generator.integers(256, size=(portion, -(-count // 8)), dtype=np.uint8)
        kept = np.unpackbits(drawn, 1)[:, :count].astype(float)
        means.append((2 * (kept @ sums) - total) / len(scores))
    return np.concatenate(means)


def _portions(rounds: int, series: int) -> Iterator[int]:
    """How many rounds to draw at a time."""
    at_once = max(1, _CHUNK // series)
    for done in range(0, rounds, at_once):
        yield min(at_once, rounds - done)


def _check_scores(scores: Mapping[str, Scores]) -> None:
    expect(scores, "scores: expected those of at least one system, got none")
    counts = [len(values) for values in scores.values()]
    expect(
        len(set(counts)) == 1 and counts[0] >= 2,
        "scores: expected the same items, two or more, for each system, got "
        f"{', '.join(f'{name} {len(values)}' for name, values in scores.items())}; "
        "score all on the same items in one order",
    )


def power_of(difference: float, spread: float, items: int) -> float:
    """The probability that a true mean `difference` is found among `items` pairs of scores.

    The test is two-sided, at 5 %, on the mean of differences whose standard deviation is `spread`:
    exact for a known spread and a normal mean. Raises InputError for a spread not above 0 or no
    items. Source: Cohen 1988, sections 2.3 and 2.4, with the normal distribution.
    """
    expect(spread > 0, f"spread: expected a standard deviation above 0, got {spread}")
    expect(items >= 1, f"items: expected at least 1, got {items}")
    shift, limit = difference / spread * sqrt(items), ndtri(1 - ALPHA / 2)
    return float(ndtr(shift - limit) + ndtr(-shift - limit))


def items_needed(difference: float, spread: float, *, power: float = 0.8) -> int:
    """The fewest items with which a true mean `difference` is found with probability `power`.

    `((z(0.975) + z(power)) * spread / difference) ** 2`, rounded up, or fewer where
    `power_of`, which counts the wrong side too, reaches `power`. Raises InputError for a difference
    of 0 and for a power that is not between 0.05 and 1.
    """
    expect(spread > 0, f"spread: expected a standard deviation above 0, got {spread}")
    expect(
        ALPHA < power < 1,
        f"power: expected a share between the level, {ALPHA}, and 1, such as 0.8, got {power}",
    )
    expect(difference, "difference: expected one other than 0, which no number of items finds")
    most = ceil(((ndtri(1 - ALPHA / 2) + ndtri(power)) * spread / difference) ** 2) + 1
    counts = range(1, most + 1)
    return counts[bisect_left(counts, power, key=lambda n: power_of(difference, spread, n))]


def replicate_interval(
    values: Sequence[float] | Float[np.ndarray, " seeds"],
) -> tuple[float, float]:
    """Student's 95 % interval, (low, high), of the mean over trainings, a value for each seed.

    Exact for normal values; of five a bootstrap's would be more than a third too narrow. Raises
    InputError for fewer than two values.
    """
    count = len(values)
    expect(count >= 2, f"values: expected those of at least two seeds, got {count}; train more")
    from scipy.stats import t  # half a second to load

    found = np.asarray(values, dtype=float)
    mean, spread = float(found.mean()), float(found.std(ddof=1))
    half = float(t.ppf((1 + LEVEL) / 2, len(found) - 1)) * spread / sqrt(len(found))
    return mean - half, mean + half


def check_rounds(rounds: int) -> None:
    """Raise InputError for fewer than one round."""
    expect(rounds >= 1, f"rounds: expected at least 1, got {rounds}")


# -- what needs no song


def unigram_perplexity(
    train: Sequence[Sequence[int]], valid: Sequence[Sequence[int]], *, vocab_size: int
) -> float:
    """Perplexity on `valid` of word frequencies counted on `train`, with one added to each count.

    The sequences hold the ids that a decoder predicts, `<eos>` included, each counted once, as in
    its loss. Raises InputError for an id outside the vocabulary or a `valid` without ids.
    """
    parts = [np.array([i for ids in part for i in ids], dtype=np.int64) for part in (train, valid)]
    for name, ids in zip(("train", "valid"), parts, strict=True):
        strange = sorted({*ids.tolist()} - {*range(vocab_size)})[:3]
        listed = ", ".join(map(str, strange))
        expect(not strange, f"{name}: expected ids from 0 to {vocab_size - 1}, got {listed}")
    seen, asked = parts
    expect(len(asked), "valid: expected at least one predicted id, got none")
    counts = np.bincount(seen, minlength=vocab_size) + 1.0
    log_probs = np.log(counts / counts.sum())
    return float(np.exp(-log_probs[asked].mean()))


def unigram_titles(
    titles: Lists, lengths: Sequence[int], *, generator: np.random.Generator
) -> list[list[str]]:
    """Titles of the given lengths, every word drawn by its frequency in `titles`, with replacement.

    Raises TypeError for a `str` in place of a token list, InputError where `titles` hold no words
    or a length is below 0.
    """
    refuse_strings((titles, *titles))
    words = [word for title in titles for word in title]
    shortest = min(lengths, default=0)
    expect(shortest >= 0, f"lengths: expected words a title, 0 or more, got {shortest}")
    expect(
        words or not any(lengths),
        f"titles: expected some words to draw from, got none in {len(titles)} titles",
    )
    ends = np.cumsum([0, *lengths]).tolist()
    drawn = [words[i] for i in generator.integers(max(1, len(words)), size=ends[-1]).tolist()]
    return [drawn[first:last] for first, last in pairwise(ends)]


def best_constant(
    references: Lists, *, words_at_most: int | None = None, brevity: bool = True
) -> list[str]:
    """The one answer, of 1 to `words_at_most` words, with the highest mean BLEU-1 over
    `references`; of None of any length up to that of the longest of them.

    No other is better: at a given length the brevity penalty of each reference is known, and what
    the t-th occurrence of a word adds does not depend on the other words. Of equals the shorter
    wins, then the word first in the alphabet. `brevity=False` is unigram precision. Raises
    TypeError for a `str` in place of a token list, InputError without a word to choose.
    """
    refuse_strings((references, *references))
    if words_at_most is None:
        words_at_most = max(1, *map(len, references)) if references else 1
    expect(words_at_most >= 1, f"words_at_most: expected at least 1, got {words_at_most}")
    # The t-th "a" of a reference is a word of its own, (a, t), as in clipped matching.
    holders: dict[tuple[str, int], list[int]] = {}
    for number, reference in enumerate(references):
        for word in numbered(reference):
            if word[1] < words_at_most:
                holders.setdefault(word, []).append(number)
    expect(
        holders, f"references: expected some words to choose from, got none in {len(references)}"
    )
    sizes = np.array([len(reference) for reference in references], dtype=float)
    best: tuple[float, list[str]] = (-1.0, [])
    for length in range(1, words_at_most + 1):
        penalty = np.exp(np.minimum(0.0, 1.0 - sizes / length)) if brevity else np.ones(len(sizes))
        worth = {word: float(penalty[numbers].sum()) for word, numbers in holders.items()}
        picked = sorted(worth, key=lambda word: (-worth[word], word))[:length]
        score = sum(worth[word] for word in picked) / length
        if score > best[0] * (1 + 1e-12):  # longer only where it scores more than by rounding
            best = score, [word for word, _ in picked]
    return best[1]
