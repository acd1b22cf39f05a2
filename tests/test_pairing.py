"""The laws of the three joins: what is called certain is right, and what is not is in doubt."""

import itertools
import time

import numpy as np
import pandas  # noqa: F401  # now, not within an example that the clock runs for
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.corpora.million_song import (
    Anchors,
    agreement,
    aligned,
    as_told,
    find_anchors,
    load_uci,
    read_h5_folder,
    read_tracks,
    shuffled,
    summary,
    synthetic,
    timbre_of,
    within_year,
)
from songtitle.errors import InputError
from songtitle.rows import Faults


def years(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int16)


def anchors(pairs) -> Anchors:
    rows, entries = np.array(list(pairs), dtype=np.int32).reshape(-1, 2).T
    return Anchors(rows, entries)


@st.composite
def catalogues(draw):
    """Years of a short list, and which of its entries the rows are of."""
    listed = draw(st.lists(st.sampled_from([1999, 2000, 2001]), min_size=1, max_size=9))
    kept = draw(st.lists(st.booleans(), min_size=len(listed), max_size=len(listed)))
    return years(*listed), np.flatnonzero(kept).astype(np.int32)


@st.composite
def anchored_catalogues(draw):
    """The same, and the anchors of some rows."""
    listed, truth = draw(catalogues())
    chosen = draw(st.lists(st.booleans(), min_size=len(truth), max_size=len(truth)))
    return listed, truth, anchors((i, truth[i]) for i in np.flatnonzero(chosen))


def same(pairing, other) -> bool:
    return all(
        np.array_equal(getattr(pairing, name), getattr(other, name))
        for name in ("partner", "low", "high", "certain")
    )


# -- as told, and shuffled -----------------------------------------------------------------------


def test_as_told_each_row_has_the_entry_of_its_number_and_none_is_certain():
    pairing = as_told(years(2000, 1999), years(1999, 2000, 2000))
    assert pairing.partner.tolist() == [0, 1]
    assert not pairing.certain.any()
    assert (pairing.low.tolist(), pairing.high.tolist()) == ([0, 0], [2, 2])


def test_shuffling_gives_each_row_an_entry_of_its_own_and_the_same_one_for_the_same_seed():
    rows, listed = years(*[2000] * 50), years(*[2000] * 60)
    first, again, other = (
        shuffled(rows, listed, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert len(set(first.partner.tolist())) == 50
    assert set(first.partner.tolist()) < set(range(60))
    assert same(first, again)
    assert not same(first, other)
    assert not first.certain.any()


def test_shuffled_years_agree_as_often_as_chance_has_it():
    rng = np.random.default_rng(5)
    rows, listed, _ = synthetic(years(*range(1990, 2000)), entries=20_000, gaps=9, generator=rng)
    pairing = shuffled(rows, listed, generator=rng)
    assert agreement(rows, listed, pairing) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("join", [as_told, aligned, within_year])
def test_too_many_rows_and_rows_without_a_year_are_refused_and_none_are_joined_to_nothing(join):
    with pytest.raises(InputError, match="list: expected at least as many entries as rows, 2, got"):
        join(years(1999, 2000), years(1999))
    with pytest.raises(InputError, match="row 2: expected a year from 1900 to 2100, got 0"):
        join(years(1999, 0), years(1999, 2000))
    pairing = join(years(), years(1999))
    assert pairing.partner.shape == (0,)
    assert np.isnan(agreement(years(), years(1999), pairing))


# -- aligned -------------------------------------------------------------------------------------


@given(anchored_catalogues())
def test_alignment_tells_exactly_what_all_ways_to_lay_the_years_in_order_leave_open(case):
    listed, truth, known = case
    rows = listed[truth]
    ways = [
        way
        for way in itertools.combinations(range(len(listed)), len(rows))
        if np.array_equal(listed[list(way)], rows)
        and all(way[row] == entry for row, entry in zip(*known, strict=True))
    ]
    pairing = aligned(rows, listed, known)
    open_to = [sorted(set(column)) for column in zip(*ways, strict=True)]
    assert pairing.low.tolist() == [entries[0] for entries in open_to]
    assert pairing.high.tolist() == [entries[-1] for entries in open_to]
    assert pairing.certain.tolist() == [len(entries) == 1 for entries in open_to]
    assert tuple(pairing.partner.tolist()) in (ways if len(rows) else [()])


@given(catalogues())
def test_years_that_fit_in_no_way_are_refused(case):
    listed, truth = case
    rows = np.sort(listed[truth])[::-1].copy()
    fits = any(
        np.array_equal(listed[list(way)], rows)
        for way in itertools.combinations(range(len(listed)), len(rows))
    )
    if fits:
        assert agreement(rows, listed, aligned(rows, listed)) == 1 or not len(rows)
    else:
        with pytest.raises(InputError, match="the list is in another order or of other tracks"):
            aligned(rows, listed)


@given(catalogues(), st.data())
def test_one_gap_leaves_in_doubt_the_rest_of_its_run_of_equal_years_and_no_more(case, data):
    listed, _ = case
    gap = data.draw(st.integers(0, len(listed) - 1))
    rows = np.delete(listed, gap)
    same_run = np.cumsum(np.diff(listed, prepend=listed[0]) != 0)
    run = np.flatnonzero(same_run == same_run[gap])
    doubted = np.flatnonzero(~aligned(rows, listed).certain)
    assert doubted.tolist() == run[:-1].tolist()


def test_the_row_where_the_order_breaks_is_named_before_the_end():
    with pytest.raises(InputError, match="row 3: expected its year 1999 further on in the list"):
        aligned(years(1999, 2000, 1999, 2001), years(1999, 1999, 2000, 2001, 2001))
    listed = years(1999, *[2000] * 5, 1999, 2001)
    with pytest.raises(InputError, match=r"row 2: .* with at most 4 entries passed over"):
        aligned(years(1999, 1999, 2000, 2000), listed)
    pairing = aligned(years(1999, 2000), years(0, 1999, 0, 0, 2000))  # 0 is no row's year
    assert pairing.partner.tolist() == [1, 4]
    assert pairing.certain.all()


def test_an_anchor_ends_the_doubt():
    rows, listed = years(*[1999] * 5), years(*[1999] * 6)
    assert not aligned(rows, listed).certain.any()
    pairing = aligned(rows, listed, anchors([(2, 2)]))
    assert pairing.certain.tolist() == [True, True, True, False, False]
    pairing = aligned(rows, listed, anchors([(2, 2), (3, 4)]))
    assert pairing.certain.all()
    assert pairing.partner.tolist() == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(0, 3), (2, 1)], "row 1: expected its anchor further on in the list"),
        ([(0, 4)], "row 1: expected the year of its anchor, entry 5 of the list, got another"),
        ([(2, 0), (0, 1)], "anchors: expected ascending rows"),
        ([(0, 1), (1, 1)], "anchors: expected ascending rows"),
        ([(3, 1)], "anchors: expected ascending rows"),
        ([(0, 5)], "anchors: expected ascending rows"),
        ([(-1, 0)], "anchors: expected ascending rows"),
        ([(0, 2)], "row 3: expected its year 1999 further on"),
    ],
)
def test_anchors_that_contradict_are_refused(pairs, message):
    with pytest.raises(InputError, match=message):
        aligned(years(1999, 1999, 1999), years(1999, 1999, 1999, 1999, 2000), anchors(pairs))


# -- within the year -----------------------------------------------------------------------------


@given(anchored_catalogues(), st.randoms(use_true_random=False))
def test_in_unknown_order_a_row_is_certain_only_when_its_year_leaves_one_entry(case, random):
    listed, truth, known = case
    order = random.sample(range(len(truth)), len(truth))  # the rows in any order
    truth = truth[order]
    rows = listed[truth]
    places = np.argsort(order)[known.rows]
    known = anchors(sorted(zip(places.tolist(), known.entries.tolist(), strict=True)))
    fixed = dict(zip(*(side.tolist() for side in known), strict=True))
    pairing = within_year(rows, listed, known)
    assert len(set(pairing.partner.tolist())) == len(rows)
    assert (listed[pairing.partner] == rows).all()
    for row, year in enumerate(rows):
        free = [i for i in np.flatnonzero(listed == year) if i not in fixed.values()]
        open_to = [fixed[row]] if row in fixed else free
        assert pairing.certain[row] == (len(open_to) == 1)
        assert (pairing.low[row], pairing.high[row]) == (open_to[0], open_to[-1])


@given(anchored_catalogues())
def test_in_the_same_order_within_each_year_what_is_certain_is_right(case):
    listed, truth, known = case
    by_year = np.argsort(listed, kind="stable")
    places = np.argsort(by_year)  # where each entry stands in the sorted list
    moved = Anchors(known.rows, places[known.entries].astype(np.int32))
    pairing = within_year(listed[truth], listed[by_year], moved, same_order=True)
    target = places[truth]
    assert (pairing.partner == target)[pairing.certain].all()
    assert ((pairing.low <= target) & (target <= pairing.high)).all()
    assert (listed[by_year][pairing.partner] == listed[truth]).all()
    for year in set(listed.tolist()):
        if (listed[truth] == year).sum() == (listed == year).sum():
            assert pairing.certain[listed[truth] == year].all()


def test_a_year_with_more_rows_than_entries_is_refused():
    with pytest.raises(InputError, match=r"year 2000: expected at least 2 entries .*, got 1; the"):
        within_year(years(2000, 2000), years(1999, 2000, 2001))


# -- anchors -------------------------------------------------------------------------------------


def test_anchors_are_found_through_five_decimals_and_single_precision():
    rng = np.random.default_rng(7)
    known = rng.normal(size=(400, 90)) * np.geomspace(1, 1e5, 90)
    rows = rng.permutation(400)
    timbre = np.round(known[rows], 5).astype(np.float32)
    tracks = rng.permutation(400)[:40]
    found = find_anchors(timbre, known[tracks], tracks + 1_000)
    assert len(found.rows) == 40
    assert (np.diff(found.rows) > 0).all()
    assert (rows[found.rows] + 1_000 == found.entries).all()


def test_rows_of_fewer_decimals_are_anchored_when_that_is_said():
    known = 100 * np.random.default_rng(7).normal(size=(30, 12))
    timbre = np.round(known, 2).astype(np.float32)
    assert len(find_anchors(timbre, known, np.arange(30)).rows) == 0
    assert find_anchors(timbre, known, np.arange(30), decimals=2).rows.tolist() == [*range(30)]


def test_what_differs_or_comes_twice_on_either_side_anchors_nothing():
    known = np.random.default_rng(9).normal(size=(5, 12))
    timbre = known[[0, 1, 1, 2, 3, 4]].astype(np.float32)
    timbre[5, 11] += 1e-3
    found = find_anchors(timbre, known[[0, 1, 2, 2, 3, 4]], np.arange(6))
    assert (found.rows.tolist(), found.entries.tolist()) == ([0, 4], [0, 4])
    strangers = find_anchors(timbre, known + 1, np.arange(5))
    assert strangers.rows.shape == strangers.entries.shape == (0,)
    assert aligned(years(1999), years(1999), strangers).certain.all()


# -- a catalogue whose truth is known ------------------------------------------------------------


def test_a_synthetic_catalogue_is_a_list_with_gaps_in_runs():
    rng = np.random.default_rng(11)
    rows, listed, truth = synthetic(years(1990, 2000), entries=103, gaps=10, run=4, generator=rng)
    assert (len(rows), len(listed)) == (93, 103)
    assert (listed[truth] == rows).all()
    assert (np.diff(truth) > 0).all()
    assert all(len(set(listed[i : i + 4].tolist())) == 1 for i in range(0, 103, 4))


@pytest.mark.parametrize("run", [1, 15])
def test_of_a_large_catalogue_what_is_certain_is_right_and_the_rest_is_as_much_as_foretold(run):
    rng = np.random.default_rng(12)
    some = rng.geometric(0.05, 4_000).clip(max=88)  # most songs are young, as in the real list
    rows, listed, truth = synthetic(
        (2011 - some).astype(np.int16), entries=100_000, gaps=1_000, run=run, generator=rng
    )
    pairing = aligned(rows, listed)
    assert (pairing.partner == truth)[pairing.certain].all()
    assert ((pairing.low <= truth) & (truth <= pairing.high)).all()
    # An entry left out of a run of r equal years leaves the r - 1 others in doubt.
    runs = np.diff(np.flatnonzero(np.diff(listed, prepend=-1, append=-1)))
    doubted = int((~pairing.certain).sum())
    assert doubted == pytest.approx(1_000 * (runs * (runs - 1)).sum() / len(listed), rel=0.25)
    assert agreement(rows, listed, pairing) == 1
    assert agreement(rows, listed, as_told(rows, listed)) < 0.5
    assert agreement(rows, listed[np.argsort(listed)], as_told(rows, listed)) < 0.1


def test_half_a_million_rows_are_aligned_in_seconds():
    rows, listed, truth = synthetic(
        years(*range(1950, 2011)), entries=515_576, gaps=231, generator=np.random.default_rng(13)
    )
    start = time.perf_counter()
    pairing = aligned(rows, listed)
    assert time.perf_counter() - start < 5
    assert (pairing.partner == truth)[pairing.certain].all()
    assert pairing.certain.mean() > 0.999


def test_a_summary_counts_rows_years_and_certainty():
    rows, listed = years(1999, 2000, 2000), years(1999, 2000, 2000, 2000)
    assert summary(rows, listed, aligned(rows, listed)) == {
        "rows": 3,
        "entries": 4,
        "agreement": 1.0,
        "certain": 1,
    }


# -- real samples --------------------------------------------------------------------------------


@pytest.fixture
def real_rows(real_data):
    """Years and means of the 4,680 real rows, which stand in order of track, and their tracks."""
    found, timbre = load_uci(real_data / "msd/subset_timbre90_4680.txt", Faults())
    tracks = list(read_tracks(real_data / "msd/subset_timbre90_4680.tracks.txt", Faults()))
    return found, timbre[:, :12], [track.id for track in tracks]


@pytest.fixture
def real_list(real_data):
    """The same tracks sorted by year."""
    return list(read_tracks(real_data / "msd/subset_tracks_per_year.rebuilt.txt", Faults()))


def test_real_rows_joined_one_by_one_with_the_list_by_year_agree_on_4_1_percent(
    real_rows, real_list
):
    found, _, ids = real_rows
    listed = np.array([track.year for track in real_list], dtype=np.int16)
    assert round(agreement(found, listed, as_told(found, listed)), 3) == 0.041
    right = sum(a == track.id for a, track in zip(ids, real_list, strict=True))
    assert right == 2  # by chance
    with pytest.raises(InputError, match="the list is in another order"):
        aligned(found, listed)


def test_real_rows_aligned_with_the_whole_subset_in_its_order_are_certain_and_right(
    real_data, real_rows, real_list
):
    found, _, ids = real_rows
    year = {track.id: track.year for track in real_list}
    subset = list(read_tracks(real_data / "msd/subset_unique_tracks.txt", Faults()))
    listed = np.array([year.get(track.id, 0) for track in subset], dtype=np.int16)
    pairing = aligned(found, listed)
    assert (len(listed), agreement(found, listed, pairing)) == (10_000, 1.0)
    assert pairing.certain.all()
    assert [subset[entry].id for entry in pairing.partner] == ids


def test_real_rows_with_gaps_keep_what_is_certain_right(real_rows):
    listed, _, _ = real_rows
    rng = np.random.default_rng(14)
    truth = np.sort(rng.permutation(4_680)[47:])
    pairing = aligned(listed[truth], listed)
    assert (pairing.partner == truth)[pairing.certain].all()
    assert pairing.certain.mean() > 0.99


def test_within_the_year_few_real_rows_are_certain_and_anchors_add_theirs(
    real_data, real_rows, real_list
):
    found, means, ids = real_rows
    listed = np.array([track.year for track in real_list], dtype=np.int16)
    place = {track.id: i for i, track in enumerate(real_list)}
    tracks = list(read_h5_folder(real_data / "msd/h5", Faults(), fewest=1))
    known = np.stack([timbre_of(segments)[:12] for _, segments in tracks])
    entries = np.array([place[track.id] for track, _ in tracks])
    truth = np.array([place[track] for track in ids])
    anchored = find_anchors(means, known, entries, decimals=4)
    assert len(anchored.rows) == 133
    assert (truth[anchored.rows] == anchored.entries).all()
    for pairing, certain in [
        (within_year(found, listed), 7),
        (within_year(found, listed, anchored), 140),
        (within_year(found, listed, same_order=True), 4_680),
    ]:
        assert agreement(found, listed, pairing) == 1
        assert (pairing.partner == truth)[pairing.certain].all()
        assert pairing.certain.sum() == certain
