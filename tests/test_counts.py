"""Counts: lengths and words of texts in one pass, as numpy finds them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.rows import Counts

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=1, max_size=30)


@given(texts)
def test_mean_deviation_and_shares_are_numpys(found):
    counts, lengths = Counts.of(found), np.array([len(tokens) for tokens in found])
    assert counts.texts == len(found)
    assert counts.mean == pytest.approx(lengths.mean())
    assert counts.deviation == pytest.approx(lengths.std(), abs=1e-9)
    assert counts.share_up_to(3) == pytest.approx((lengths <= 3).mean())
    assert len(counts.words) == len({token for tokens in found for token in tokens})


@given(texts)
def test_the_order_of_texts_changes_nothing(found):
    assert Counts.of(found).as_dict() == Counts.of(reversed(found)).as_dict()


def test_a_record_holds_enough_to_compute_the_mean_again():
    found = Counts.of([["a"], ["a", "b"], ["c", "d"], []]).as_dict()
    lengths = {int(length): times for length, times in found["lengths"].items()}
    assert found["texts"] == sum(lengths.values()) == 4
    assert found["distinct_words"] == 4
    assert found["mean"] == sum(k * v for k, v in lengths.items()) / 4


def test_nothing_has_no_mean():
    assert math.isnan(Counts().mean)
    assert math.isnan(Counts().share_up_to(5))


def test_a_lone_string_is_refused():
    with pytest.raises(TypeError, match="expected a list of words, got the string 'abc'"):
        Counts().add("abc")
