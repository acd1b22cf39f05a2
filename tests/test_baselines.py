"""Baselines: neighbours of other series, constants judged on what they were not chosen on."""

import numpy as np
import pytest
import torch

from songtitle.experiment.baselines import constant_texts, nearest, of_constant
from songtitle.experiment.scoring import beside_chance
from songtitle.metrics.chance import best_constant


def test_the_nearest_is_the_one_in_the_same_direction_whatever_its_length():
    others = torch.tensor([[1.0, 0.0], [0.0, 9.0], [5.0, 5.0]])
    asked = torch.tensor([[7.0, 0.1], [0.1, 0.3], [1.0, 0.9]])
    assert nearest(asked, others).tolist() == [0, 1, 2]


def test_no_song_is_its_own_neighbour_nor_is_one_of_its_series():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(31, 5, generator=draw)
    series = [str(number // 3) for number in range(31)]
    near = nearest(features, features, series, series)
    assert all(series[place] != own for place, own in zip(near, series, strict=True))
    alone = nearest(features, features)
    assert alone.tolist() == list(range(31))


def test_a_constant_is_chosen_on_series_that_it_is_not_judged_on():
    series = [str(number // 3) for number in range(60)]
    references = [[f"word{each}"] for each in series]  # each series has a word of its own
    said = constant_texts(references, series=series, seed=0)
    assert len({tuple(text) for text in said}) == 2
    assert of_constant([said], references, series, seed=0)["score"] == 0
    assert constant_texts(references, others=[["clog"]]) == [["clog"]] * 60


def test_a_constant_gains_nothing_over_chance():
    references = [["a", "reel"], ["the", "jig"], ["reel"]] * 7
    series = [str(number // 2) for number in range(21)]
    row = of_constant([[["reel", "a"]] * 21], references, series, seed=0)
    assert row["score"] == row["chance"] > 0
    assert (row["gain"], row["p"]) == (0, 1)
    assert row["low"] < row["score"] < row["high"]


@pytest.mark.parametrize("alike", [True, False])
def test_the_ceiling_tells_outputs_that_are_all_alike_from_outputs_dealt_wrong(alike):
    titles = [["reel", str(number)] for number in range(21)]
    series = [str(number // 2) for number in range(21)]
    said = [["reel", "3"]] * 21 if alike else titles[2:] + titles[:2]
    row = beside_chance([said], titles, series, seed=0)
    assert row["gain"] < 0.02
    assert row["distinct"] == (1 if alike else 21)
    assert row["ceiling_gain"] == pytest.approx(0 if alike else 0.5 - 0.5 / 21)
    assert row["ceiling"] >= row["score"]


def test_a_constant_may_be_as_long_as_the_longest_text():
    references = [list("abcdefg"), list("abcdefh")] * 5
    assert best_constant(references, words_at_most=4) == list("abcd")
    assert set("abcdef") <= set(best_constant(references))


@pytest.mark.parametrize("longest", [1, 3, 6])
def test_without_a_limit_the_longest_text_is_the_limit(longest):
    draw = np.random.default_rng(longest)
    references = [list(draw.choice(list("abcdefgh"), longest)) for _ in range(12)]
    assert best_constant(references) == best_constant(references, words_at_most=longest)
