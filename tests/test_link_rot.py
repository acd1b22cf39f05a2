import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.corpora import link_rot
from songtitle.corpora.captions import LinkStatus
from songtitle.errors import InputError

SHORT = ["a dog runs", "a cat sits", "a bird flies", "a fish swims"] * 50
LONG = ["the old man and the sea of many words"] * 100


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_share_lies_in_its_interval_and_the_interval_in_0_to_1(count, more):
    share = link_rot.share(count, count + more)
    assert 0 <= share.low <= share.share <= share.high <= 1


def test_the_interval_is_wilsons():
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263.
    share = link_rot.share(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    assert math.isnan(link_rot.share(0, 0).share)


def test_captions_dealt_out_at_random_show_no_shift():
    shift = link_rot.shift(SHORT[:120], SHORT[120:], permutations=99)
    assert shift.mean_survivors == shift.mean_lost == 3
    assert shift.length_p == 1
    assert shift.vocabulary_p > 0.05


def test_captions_of_other_lengths_and_words_show_a_shift():
    shift = link_rot.shift(SHORT, LONG, permutations=99)
    assert (shift.mean_survivors, shift.mean_lost) == (3, 9)
    assert shift.length_distance == 1
    assert shift.length_p < 1e-9
    assert shift.vocabulary_distance == pytest.approx(1)  # not a word in common
    assert shift.vocabulary_p == 0.01
    assert shift.vocabulary_by_chance < shift.vocabulary_level < shift.vocabulary_distance


def test_a_shift_is_the_same_in_every_run_and_the_distance_from_either_side():
    one = link_rot.shift(SHORT[:30], LONG + SHORT[30:], permutations=20)
    assert one == link_rot.shift(SHORT[:30], LONG + SHORT[30:], permutations=20)
    other = link_rot.shift(LONG + SHORT[30:], SHORT[:30], permutations=20)
    assert one.vocabulary_distance == pytest.approx(other.vocabulary_distance)
    assert one.length_distance == other.length_distance


def test_one_empty_side_leaves_nothing_to_compare():
    with pytest.raises(InputError, match="expected some on both sides, got 0 and 1"):
        link_rot.shift([], ["a"])


def test_links_are_counted_by_reason_status_host_and_year():
    rows = [
        LinkStatus(2, "http://a.example/1", "train", 200, "image/png", 9),
        LinkStatus(3, "http://a.example/2", "train", 404, "", None),
        LinkStatus(4, "http://b.example/3", "train", 200, "text/html", 9),
        LinkStatus(5, "http://b.example/4", "train", 200, "inode/x-empty", 0),
        LinkStatus(6, "http://a.example/5", "train", 408, "", None),
    ]
    report = link_rot.report_from_status(rows, {}, year=2019)
    assert (report.asked, report.survivors.count, report.unavailable.count) == (5, 1, 4)
    assert report.reasons == {"404 not found": 1, "empty": 1, "not a picture": 1, "timeout": 1}
    assert report.statuses == {"200": 3, "404": 1, "408": 1}
    assert report.hosts == {
        "a.example": {"asked": 3, "survived": 1},
        "b.example": {"asked": 2, "survived": 0},
    }
    assert list(report.hosts) == ["a.example", "b.example"]
    assert report.years == {"2019": {"asked": 5, "survived": 1}}
    assert report.shift is None


def test_of_more_captions_than_are_compared_each_is_kept_with_equal_chance(monkeypatch):
    monkeypatch.setattr(link_rot, "MOST", 100)
    rows = [LinkStatus(n, f"http://a/{n}", "train", 200, "image/png", 9) for n in range(10_000)]
    rows.append(LinkStatus(0, "http://a/lost", "train", 404, "", None))
    captions = {row.url: row.url.rpartition("/")[2] for row in rows}
    compared = []
    monkeypatch.setattr(link_rot, "shift", lambda came, lost, **_: compared.append((came, lost)))
    link_rot.report_from_status(rows, captions, year=2019)
    kept = [int(caption) for caption in compared[0][0]]
    assert len(set(kept)) == 100
    assert 4000 < sum(kept) / 100 < 6000  # 5,000 expected, deviation 289
