"""Chance, intervals, power, what needs no song: they cover and find as often as they say."""

import math
from collections import Counter
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from songtitle.errors import InputError
from songtitle.metrics import chance
from songtitle.metrics.chance import (
    against_chance,
    best_constant,
    bootstrap_interval,
    dealt,
    gain_parts,
    holm,
    items_needed,
    letters,
    of_other_series,
    paired_difference,
    permutation_p,
    power_of,
    replicate_interval,
    tie_letters,
    unigram_perplexity,
    unigram_titles,
)
from songtitle.metrics.pairs import unigram_pair_scores

TITLES = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=2, max_size=11)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_covers_the_true_mean_at_its_level():
    covered, draw = 0, rng(0)
    for _ in range(1000):
        scores = draw.exponential(size=211)  # skewed, as scores are
        low, high = bootstrap_interval(scores, generator=draw, rounds=400)
        covered += low <= 1.0 <= high
    assert abs(covered / 1000 - 0.95) < 0.02


def test_the_interval_of_the_gain_covers_the_true_gain_at_its_level():
    covered, excluded, draw, items, gain = 0, 0, rng(1), 47, 0.3
    for _ in range(1000):
        # Some hypotheses and some references score well with everybody, which is no gain.
        easy, common = draw.normal(size=(items, 1)), draw.normal(size=(1, items))
        pairs = easy + common + draw.normal(size=(items, items)) + gain * np.eye(items)
        found = against_chance(pairs, rounds=1, generator=draw)
        covered += found.gain_low <= gain <= found.gain_high
        excluded += found.gain_low > 0
    assert abs(covered / 1000 - 0.95) < 0.02
    assert excluded > 200


def test_the_interval_over_seeds_covers_the_true_mean_at_its_level():
    draw = rng(2)
    intervals = np.array([replicate_interval(row) for row in draw.normal(3.0, 2.0, (1000, 5))])
    covered = (intervals[:, 0] <= 3.0) & (intervals[:, 1] >= 3.0)
    assert abs(covered.mean() - 0.95) < 0.02


def test_drawing_in_portions_changes_nothing(monkeypatch):
    scores = rng(1).normal(size=101)
    whole = bootstrap_interval(scores, generator=rng(2), rounds=7)
    monkeypatch.setattr(chance, "_CHUNK", 3 * 101)
    assert bootstrap_interval(scores, generator=rng(2), rounds=7) == whole


def test_the_observed_score_counts_among_the_permuted_ones():
    permuted = np.array([0.1, 0.2, 0.3, 0.4])
    assert permutation_p(0.5, permuted) == 1 / 5
    assert permutation_p(0.3, permuted) == 3 / 5
    assert permutation_p(0.3 + 1e-15, permuted) == 3 / 5  # a rounding away from equal
    assert permutation_p(0.0, permuted) == 1.0


def test_perfect_pairs_get_the_smallest_p_and_pairs_that_all_score_the_same_p_one():
    found = against_chance(np.eye(11), rounds=199, generator=rng(0))
    assert found.p == 1 / 200
    assert (found.score, found.chance, found.gain) == (1.0, 0.0, 1.0)
    assert (found.low, found.high) == (1.0, 1.0)
    found = against_chance(np.full((7, 7), 0.1), rounds=50, generator=rng(0))
    assert (found.p, found.gain) == (1.0, pytest.approx(0.0))


def test_chance_is_the_mean_of_the_mismatched_pairs():
    scores = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4], [0.5, 0.0, 0.7]])
    found = against_chance(scores, rounds=10, generator=rng(0))
    assert found.chance == pytest.approx((0.1 + 0.2 + 0.3 + 0.4 + 0.5 + 0.0) / 6)
    assert found.score == pytest.approx(0.8)
    assert found.gain == pytest.approx(0.8 - 0.25)
    assert found.low <= found.score <= found.high
    assert found.gain_low <= found.gain <= found.gain_high


def test_what_one_reference_earns_everywhere_is_no_gain():
    pairs = rng(5).random((17, 17)) + 3 * np.eye(1, 17, 4)
    plain = pairs - 3 * np.eye(1, 17, 4)
    found, before = (against_chance(each, rounds=1, generator=rng(0)) for each in (pairs, plain))
    assert found.score > before.score
    assert found.gain == pytest.approx(before.gain)
    assert (found.gain_low, found.gain_high) == pytest.approx((before.gain_low, before.gain_high))


def test_unrelated_pairs_centre_on_chance_with_evenly_spread_p():
    draw, gains, ps = rng(4), [], []
    for _ in range(1000):
        found = against_chance(draw.random((13, 13)) ** 3, rounds=99, generator=draw)
        gains.append(found.gain)
        ps.append(found.p - draw.random() / 100)  # spread over the step that ends at p
    assert abs(np.mean(gains)) < 4 * np.std(gains) / math.sqrt(1000)
    assert kstest(ps, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("train", "valid", "size", "expected"),
    [
        # Counts with one added: 3, 2, 1, 1 of 7 over a vocabulary of four
        ([[0, 1], [0]], [[0, 2]], 4, math.exp(-(math.log(3 / 7) + math.log(1 / 7)) / 2)),
        ([], [[3, 2], [2]], 11, 11),  # without training the vocabulary
        ([[0, 1], [0]], [[0], [2]], 4, math.exp(-(math.log(3 / 7) + math.log(1 / 7)) / 2)),
    ],
)
def test_unigram_perplexity_by_hand_counts_every_id_once(train, valid, size, expected):
    assert unigram_perplexity(train, valid, vocab_size=size) == pytest.approx(expected)


def shared(found, first, second):
    return bool(set(found[first]) & set(found[second]))


def test_the_interval_of_a_difference_covers_it_at_its_level_and_its_p_finds_it_as_often_as_said():
    covered, found_it, draw, items, difference, spread = 0, 0, rng(0), 97, 0.2, 0.8
    for _ in range(1000):
        hard = draw.normal(size=items)  # some items are hard for both
        first = hard + difference + draw.normal(0, spread, items)
        found = paired_difference(first, hard, rounds=199, generator=draw)
        covered += found.low <= difference <= found.high
        found_it += found.p <= 0.05
    assert abs(covered / 1000 - 0.95) < 0.02
    # The random signs do as the normal test that knows the spread, but for a few points.
    assert abs(found_it / 1000 - power_of(difference, spread, items)) < 0.04


def test_the_p_of_equal_systems_is_evenly_spread():
    draw, ps = rng(1), []
    for _ in range(1000):
        first, second = draw.exponential(size=(2, 29))
        found = paired_difference(first, second, rounds=99, generator=draw)
        ps.append(found.p - draw.random() / 100)  # spread over the step that ends at p
    assert kstest(ps, "uniform").pvalue > 0.01


def test_a_difference_by_hand():
    first, second = np.array([0.5, 0.2, 0.9]), np.array([0.1, 0.3, 0.3])
    found = paired_difference(first, second, rounds=4000, generator=rng(0))
    assert found.mean == pytest.approx(0.3)
    assert found.spread == pytest.approx(math.sqrt((0.1**2 + 0.4**2 + 0.3**2) / 2))
    assert found.low <= found.mean <= found.high
    # Of eight choices of signs of 0.4, -0.1, 0.6 four have a mean as far from 0: the sum 0.9 and
    # 1.1 on either side.
    assert found.p == pytest.approx(4 / 8, abs=0.03)


def test_swapping_two_systems_turns_the_difference_around_and_leaves_p():
    first, second = rng(2).random((2, 31))
    there = paired_difference(first, second, rounds=99, generator=rng(3))
    back = paired_difference(second, first, rounds=99, generator=rng(3))
    assert (back.mean, back.p, back.spread) == pytest.approx((-there.mean, there.p, there.spread))


def test_power_matches_ten_thousand_simulated_tests():
    draw = rng(4)
    for difference, spread, items in [(0.3, 1.0, 53), (-2.0, 7.0, 71)]:
        means = draw.normal(difference, spread, (10_000, items)).mean(axis=1)
        found = (np.abs(means) > 1.95996 * spread / math.sqrt(items)).mean()
        assert abs(found - power_of(difference, spread, items)) < 0.02


def test_power_by_the_textbook():
    # Half a deviation, 5 %, 80 %: (1.960 + 0.842)^2 / 0.25 = 31.4.
    assert items_needed(0.5, 1.0) == 32
    assert items_needed(-0.5, 1.0) == 32
    assert items_needed(0.05, 0.1, power=0.9) == 43  # (1.960 + 1.282)^2 / 0.25 = 42.03
    assert power_of(0.0, 1.0, 7) == pytest.approx(0.05)
    assert items_needed(100.0, 1.0) == 1


@pytest.mark.parametrize("power", [0.051, 0.5, 0.99])
@pytest.mark.parametrize("effect", [0.03, 1.0, 3.0])
def test_the_items_needed_are_the_fewest_that_reach_the_power(effect, power):
    items = items_needed(effect, 1.0, power=power)
    assert power_of(effect, 1.0, items) >= power
    assert items == 1 or power_of(effect, 1.0, items - 1) < power


def test_systems_that_differ_share_no_letter_and_equal_ones_do():
    draw = rng(5)
    base = draw.normal(size=101)
    scores = {
        "low": base + draw.normal(0, 0.1, 101),
        "high": base + 2 + draw.normal(0, 0.1, 101),
        "high too": base + 2 + draw.normal(0, 0.1, 101),
        "same": base,
    }
    scores["same again"] = scores["same"].copy()
    found = tie_letters(scores, rounds=999, generator=rng(6))
    assert list(found) != []
    assert shared(found, "high", "high too")
    assert found["same"] == found["same again"]
    for one in ("high", "high too"):
        assert "a" in found[one]
        for other in ("low", "same", "same again"):
            assert not shared(found, one, other)


def test_one_between_two_that_differ_has_the_letters_of_both():
    assert letters(3, [(0, 2)]) == ["a", "ab", "b"]


def test_two_systems_share_a_letter_exactly_if_they_do_not_differ():
    pairs = list(combinations(range(5), 2))
    for chosen in range(2 ** len(pairs)):  # all ways in which five systems can differ
        differ = [pair for place, pair in enumerate(pairs) if chosen >> place & 1]
        found = letters(5, differ)
        assert all(found)
        for first, second in pairs:
            assert shared(found, first, second) == ((first, second) not in differ)
        sets = [{i for i in range(5) if each in found[i]} for each in set("".join(found))]
        assert not any(one <= other for one in sets for other in sets if one is not other)


def test_equal_systems_are_told_apart_in_a_share_of_at_most_the_level():
    draw, wrong = rng(7), 0
    for _ in range(1000):
        scores = dict(zip("abcd", draw.normal(size=(4, 23)), strict=True))
        found = tie_letters(scores, rounds=119, generator=draw)
        wrong += len(set(found.values())) > 1
    assert 0.015 < wrong / 1000 < 0.05 + 0.015


def test_holm_by_hand():
    # 0.01 < 0.05 / 4, 0.015 < 0.05 / 3, 0.03 > 0.05 / 2: there it stops.
    assert holm([0.03, 0.01, 0.04, 0.015]) == [False, True, False, True]
    assert holm([0.0126, 0.0126, 0.0126, 0.0126]) == [False] * 4
    assert holm([]) == []


def mean_scores(answers, references, brevity=True):
    return unigram_pair_scores(answers, references, brevity=brevity).mean(axis=1)


@given(TITLES.filter(any), st.integers(1, 4), st.booleans())
@settings(max_examples=60)
def test_the_best_constant_is_the_best_of_all_answers(references, longest, brevity):
    found = best_constant(references, words_at_most=longest, brevity=brevity)
    answers = [
        list(words)
        for length in range(1, longest + 1)
        for words in combinations_with_replacement("abcde", length)
    ]
    (score,) = mean_scores([found], references, brevity)
    assert 1 <= len(found) <= longest
    assert score == pytest.approx(mean_scores(answers, references, brevity).max())


def test_drawn_titles_keep_the_lengths_and_the_frequencies():
    titles = [["a", "a", "b"], ["a"], [], ["c", "b", "a"]]
    lengths = rng(1).integers(0, 7, size=5000).tolist()
    drawn = unigram_titles(titles, lengths, generator=rng(2))
    assert [len(title) for title in drawn] == lengths
    counts, total = Counter(word for title in drawn for word in title), sum(lengths)
    for word, share in {"a": 4 / 7, "b": 2 / 7, "c": 1 / 7}.items():
        spread = np.sqrt(share * (1 - share) / total)
        assert abs(counts[word] / total - share) < 4 * spread
    assert drawn == unigram_titles(titles, lengths, generator=rng(2))
    assert drawn != unigram_titles(titles, lengths, generator=rng(3))


def test_words_of_a_drawn_title_know_nothing_of_each_other():
    pairs = unigram_titles([["a", "a"], ["b", "b"]], [2] * 4000, generator=rng(4))
    same = np.mean([first == second for first, second in pairs])
    assert abs(same - 0.5) < 4 * np.sqrt(0.25 / 4000)


ONES, ALONE = np.ones(3), {"generator": rng(0)}
FEW = {"rounds": 9} | ALONE
TWICE = {"rounds": 40}
ONE = {"series": ["x"] * 3} | ALONE


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: against_chance(np.eye(1), **ALONE), "at least two items"),
        (lambda: against_chance(np.eye(3), rounds=0, **ALONE), "rounds: expected at least"),
        (
            lambda: against_chance(np.eye(3), **ONE),
            "series: .* two to mismatch, got 3 items of one",
        ),
        (lambda: bootstrap_interval(ONES, **ONE), "series: .* two for an interval, got 3 items"),
        (lambda: gain_parts(np.eye(3), ["a", "b"]), "series: expected one .* of 3 items, got 2"),
        (lambda: replicate_interval([0.5]), "values: expected those of at least two seeds, got 1"),
        (lambda: bootstrap_interval(ONES[:0], **ALONE), "scores: expected at least"),
        (lambda: unigram_perplexity([[7]], [[1]], vocab_size=7), "train: .* 0 to 6, got 7"),
        (lambda: unigram_perplexity([[1]], [[-1]], vocab_size=7), "valid: .* 0 to 6, got -1"),
        (lambda: unigram_perplexity([[1]], [[]], vocab_size=7), "valid: expected at least one"),
        (lambda: tie_letters({"a": ONES, "b": ONES[1:]}, **FEW), "two or more, .* got a 3, b 2;"),
        (lambda: tie_letters({}, **FEW), "scores: expected those of at least"),
        (
            lambda: tie_letters(dict.fromkeys("abcd", ONES), rounds=99, **ALONE),
            "rounds: expected at least 119 to compare 4 systems at level 0.05, got 99",
        ),
        (lambda: paired_difference(ONES, ONES, rounds=0, **ALONE), "rounds: .* at least 1, got 0"),
        (
            lambda: letters(106, [(2 * i, 2 * i + 1) for i in range(6)]),
            "letters: expected at most 52 groups, got 64; compare fewer systems",
        ),
        (lambda: power_of(0.1, 0.0, 5), "spread: expected a standard deviation above 0, got 0"),
        (lambda: power_of(0.1, 1.0, 0), "items: expected at least 1, got 0"),
        (lambda: items_needed(0.0, 1.0), "difference: expected one other than 0"),
        (lambda: items_needed(0.1, 1.0, power=0.04), "power: .* 0.05, and 1, .*, got 0.04"),
        (lambda: best_constant([[], []]), "references: expected some words to choose"),
        (lambda: best_constant([["a"]], words_at_most=0), "words_at_most: expected at"),
        (lambda: unigram_titles([[]], [1], **ALONE), "titles: .* to draw from, got none in 1"),
        (lambda: unigram_titles([["a"]], [2, -1], **ALONE), "lengths: .* 0 or more, got -1"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_string_in_place_of_the_names_of_series_is_refused():
    with pytest.raises(TypeError, match="expected a list of names, got the string"):
        gain_parts(np.eye(3), "abc")


def test_a_string_in_place_of_a_title_is_refused():
    for call in (best_constant, lambda titles: unigram_titles(titles, [1], **ALONE)):
        with pytest.raises(TypeError, match="expected a list of tokens, got the string"):
            call(["one"])


# -- series ----------------------------------------------------------------------------------------

SIZES = [9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 4, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]  # as stamps
SERIES = [f"s{number}" for number, size in enumerate(SIZES) for _ in range(size)]
NUMBERS = np.repeat(np.arange(len(SIZES)), SIZES)


def clustered(draw, noise=1.0):
    """Scores of hypotheses against references that have their series in common: no item hears."""
    of_series = draw.normal(size=(len(SIZES), len(SIZES)))[NUMBERS][:, NUMBERS]
    return of_series + noise * draw.normal(size=of_series.shape)


def test_intervals_cover_at_their_level_on_series_where_those_over_items_do_not():
    draw, covered = rng(0), []
    nothing = np.zeros(len(NUMBERS))
    for _ in range(1000):
        pairs, row = clustered(draw), []
        own, parts = np.diagonal(pairs), gain_parts(pairs, SERIES)
        for series in (SERIES, None):
            more = {"series": series, "generator": draw}
            found = paired_difference(own, nothing, rounds=1, **more)
            ends = [bootstrap_interval(own, **more), bootstrap_interval(parts, **more)]
            row += [low <= 0 <= high for low, high in [*ends, (found.low, found.high)]]
        covered.append(row)
    score, gain, difference, *by_items = np.mean(covered, axis=0)
    assert np.abs(np.array([score, gain, difference]) - 0.95).max() < 0.02
    assert max(by_items) < 0.8


def test_p_rejects_unrelated_series_at_its_level_where_a_shuffle_of_items_does_not():
    draw, ps = rng(1), []
    for _ in range(1000):
        pairs = clustered(draw, noise=0.7)
        ps.append(
            [against_chance(pairs, rounds=39, series=s, generator=draw).p for s in (SERIES, None)]
        )
    rejected, by_items = (np.array(ps) <= 0.05).mean(axis=0)
    assert abs(rejected - 0.05) < 0.02
    assert by_items > 0.15


def test_signs_and_letters_tell_equal_systems_apart_at_their_level_on_series():
    draw, found = rng(2), []
    for _ in range(1000):
        pair = draw.normal(size=(2, len(SIZES)))[:, NUMBERS]
        first, second = pair + 0.3 * draw.normal(size=pair.shape)
        row = []
        for series in (SERIES, None):
            more = {"series": series, "generator": draw}
            row.append(paired_difference(first, second, rounds=39, **more).p <= 0.05)
            told = tie_letters({"a": first, "b": second}, rounds=39, **more)
            row.append(len(set(told.values())) > 1)
        found.append(row)
    signs, told, *by_items = np.mean(found, axis=0)
    assert max(abs(signs - 0.05), abs(told - 0.05)) < 0.02
    assert min(by_items) > 0.2


def test_planted_hearing_is_found_among_series():
    draw = rng(3)
    found = [
        against_chance(
            clustered(draw) + np.eye(len(SERIES)), series=SERIES, rounds=99, generator=draw
        )
        for _ in range(100)
    ]
    assert np.mean([each.p <= 0.05 for each in found]) > 0.9
    assert np.mean([each.gain for each in found]) == pytest.approx(1.0, abs=0.15)


def test_series_of_one_item_each_are_items():
    pairs, alone = rng(4).random((23, 23)) + 0.1 * np.eye(23), list("abcdefghijklmnopqrstuvw")
    first, second = pairs[:2]
    for call in (
        lambda series: against_chance(pairs, series=series, generator=rng(0)),
        lambda series: paired_difference(first, second, series=series, **TWICE, generator=rng(0)),
        lambda series: tie_letters(
            {"a": first, "b": second}, series=series, **TWICE, generator=rng(0)
        ),
    ):
        assert call(alone) == call(None)
    # What the item-wise definitions give: wrong pairs, plain shuffles, percentiles a hair apart.
    found, draw = against_chance(pairs, series=alone, generator=rng(0)), rng(0)
    assert found.chance == pytest.approx(pairs[~np.eye(23, dtype=bool)].mean())
    means = np.diagonal(pairs)[draw.integers(23, size=(2000, 23))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    shuffled = [pairs[np.arange(23), draw.permutation(23)].mean() for _ in range(1000)]
    assert found.p == permutation_p(found.score, np.array(shuffled))


def test_the_gain_is_over_pairs_of_two_series_and_its_parts_have_it_as_their_mean():
    pairs, series = rng(5).random((31, 31)), [f"s{place % 7}" for place in range(31)]
    found = against_chance(pairs, series=series, rounds=1, generator=rng(0))
    over = [
        (pairs[i, i] + pairs[j, j] - pairs[i, j] - pairs[j, i]) / 2
        for i, j in combinations(range(31), 2)
        if series[i] != series[j]
    ]
    assert found.gain == pytest.approx(np.mean(over))
    assert gain_parts(pairs, series).mean() == pytest.approx(found.gain)
    assert found.gain == pytest.approx(found.score - found.chance)


def test_outputs_that_are_all_alike_gain_nothing_whatever_their_series_and_titles():
    pairs = np.tile(rng(9).random(len(SERIES)), (len(SERIES), 1))
    found = against_chance(pairs, series=SERIES, generator=rng(0))
    assert (found.gain, found.gain_low, found.gain_high) == pytest.approx((0, 0, 0))
    assert found.p == 1.0


def test_a_deal_gives_a_whole_series_the_titles_of_one_other_each_as_often_as_can_be():
    for order in dealt(SERIES, len(SERIES), rounds=50, generator=rng(6)):
        for series in range(len(SIZES)):
            got = order[series == NUMBERS]
            (giver,) = set(NUMBERS[got].tolist())
            counts = np.bincount(got, minlength=len(SERIES))[giver == NUMBERS]
            assert counts.max() - counts.min() <= 1
    givers = [NUMBERS[o][0] for o in dealt(SERIES, len(SERIES), rounds=999, generator=rng(7))]
    assert len(set(givers)) == len(SIZES)


def test_everyone_gets_another_of_another_series_each_once():
    for seed in range(20):
        other = of_other_series(SERIES, len(SERIES), generator=rng(seed))
        assert sorted(other) == list(range(len(SERIES)))
        assert (NUMBERS[other] != NUMBERS).all()
        alone = of_other_series(None, 7, generator=rng(seed))
        assert sorted(alone) == list(range(7))
        assert (alone != np.arange(7)).all()


def test_one_odd_output_among_equal_ones_is_no_finding():
    # It scores nothing on its own title, as nearly everything does: luck does as well.
    titles = [["a", "b"] if place % 9 == 0 else [f"w{place}"] for place in range(95)]
    said = [["a", "c"]] * 94 + [["x", "y"]]
    found = against_chance(unigram_pair_scores(said, titles), series=SERIES, generator=rng(8))
    assert abs(found.gain) < 0.01
    assert found.p > 0.8


def test_titles_all_alike_have_no_gain_a_p_of_one_and_an_interval_of_nothing():
    found = against_chance(np.full((9, 9), 0.3), series=list("aaabbccdd"), generator=rng(0))
    assert (found.p, found.low, found.high) == (1.0, pytest.approx(0.3), pytest.approx(0.3))
    assert (found.gain, found.gain_low, found.gain_high) == pytest.approx((0, 0, 0))
