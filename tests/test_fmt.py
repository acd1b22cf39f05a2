"""Laws of written numbers: rounding, signs, zero, and what is not there."""

from math import nan

import pytest

from songtitle.fmt import estimate, interval, minus, p_value, percent, points, signed, span


def test_a_share_is_rounded_to_percent_points():
    assert [points(0.2969), points(0.2969, 0), points(2.969, 2, times=1)] == ["29.7", "30", "2.97"]
    assert percent(0.2969) == "29.7 %"


def test_a_p_value_has_three_digits():
    assert [p_value(0.0014), p_value(1)] == ["0.001", "1.000"]


@pytest.mark.parametrize("nothing", [0.0, -0.0, 0.0004, -0.0004])
def test_what_rounds_to_nothing_has_no_minus_and_as_a_gain_no_sign(nothing):
    assert points(nothing) == signed(nothing) == "0.0"
    assert interval(nothing, 0.1) == "[0.0, 10.0]"


def test_with_a_sign_an_end_that_rounds_to_nothing_tells_on_which_side_of_it_it_lies():
    assert interval(-0.007, -0.0004, sign="+") == "[-0.7, -0.0]"
    assert interval(0.0004, 0.007, sign="+") == "[+0.0, +0.7]"


def test_a_gain_has_its_sign():
    assert [signed(0.031), signed(-0.2), signed(0.00004, 4, times=1)] == ["+3.1", "-20.0", "0.0000"]


def test_an_interval_stands_behind_its_number_in_the_same_unit():
    assert estimate(0.297, 0.2481, 0.349) == "29.7 [24.8, 34.9]"
    assert estimate(-0.01, -0.03, 0.01, sign="+") == "-1.0 [-3.0, +1.0]"
    assert estimate(0.5, 0.25, 0.75, 2, times=1) == "0.50 [0.25, 0.75]"


def test_a_span_goes_from_the_lowest_to_the_highest():
    assert span([9.04, 5.2, 23.1]) == "5.2 to 23.1"


def test_a_number_that_is_not_there_is_a_dash():
    assert {points(nan), signed(nan), p_value(nan)} == {"–"}
    assert interval(nan, 0.1) == "[–, 10.0]"


def test_a_hyphen_becomes_a_minus_sign():
    assert minus("-0.5") == "\N{MINUS SIGN}0.5"
