"""Series and near-duplicates: what training has seen in all but name is found and counted."""

import json

import numpy as np
import pytest

from songtitle.config import preset
from songtitle.experiment import corpora, duplicates, scoring
from songtitle.experiment.corpora import true_series, true_words
from songtitle.experiment.duplicates import near
from songtitle.metrics.chance import against_chance
from songtitle.studies.search import by_items
from songtitle.studies.training import near_note, near_table


def apart(one, other):
    return np.linalg.norm(one[:, None] - other, axis=-1)


def test_as_many_strangers_are_near_by_chance_as_said_and_planted_copies_all_are():
    draw, shares = np.random.default_rng(0), []
    for _ in range(100):
        train, test = draw.normal(size=(300, 5)), draw.normal(size=(100, 5))
        series = [f"s{place // 3}" for place in range(300)]
        found = near(apart(train, train), apart(test, train), series)
        shares.append(found["across"].any(axis=1).mean())
        copies = train[:100] + 1e-6
        assert near(apart(train, train), apart(copies, train), series)["across"].any(axis=1).all()
    assert np.mean(shares) == pytest.approx(duplicates.STRANGERS, abs=0.01)


def test_a_near_neighbour_in_its_own_series_is_no_stranger_and_is_counted_within():
    train = np.array([[0.0], [0.1], [5.0], [5.1], [20.0], [21.0]])
    found = near(apart(train, train), apart(train[:1] - 0.2, train), list("aabbcd"))
    # The nearest strangers, c and d, are a third of all and so too many: copies alone are near.
    assert (found["radius"], found["share"]) == (0.0, 0.0)
    train = np.concatenate([train, 100.0 * np.arange(1, 35)[:, None]])
    found = near(
        apart(train, train), apart(train[:1] - 0.2, train), [*"aabbcd", *map(str, range(34))]
    )
    assert (found["radius"], found["share"]) == (1.0, 0.05)  # kin are no strangers
    assert found["within"].any(axis=1).tolist() == [True] * 4 + [False] * 36
    assert found["across"].any(axis=0).tolist() == [True] * 2 + [False] * 38


@pytest.fixture(scope="module")
def words(tiny_home):
    return corpora.corpora(preset("tiny"), home=tiny_home)


def test_no_series_of_pictures_is_on_two_sides_and_each_item_has_one(words):
    sides = {}
    for row in json.loads(words.file("pictures.json").read_text("utf-8")):
        assert row["series"]
        sides.setdefault(row["series"], set()).add(row["split"])
    assert {len(each) for each in sides.values()} == {1}
    references, series = true_words(words, words), true_series(words, words)
    assert {kind: len(each) for kind, each in series.items()} == {
        kind: len(each) for kind, each in references.items()
    }


def test_the_near_duplicates_of_a_run_are_in_its_table(tiny_home):
    record = duplicates.near_duplicates(preset("tiny"), home=tiny_home)
    table, by = near_table(record), record.result["by"]
    assert table["Near by"].tolist() == ["picture", "caption", "both"]
    assert by["both"]["near"] <= min(by["picture"]["near"], by["caption"]["near"])
    assert table.loc[0, "Test pictures"] == f"{by['picture']['near']} of {record.result['test']}"
    one = {"test": "a/owl", "train": "b/owl", "picture": 0.1, "caption": 0.0}
    record.result["pairs"][:] = [one]
    assert "a/owl and b/owl" in near_note(record)
    record.result["pairs"].clear()
    assert "None is near by both" in near_note(record)


def test_table_4_has_every_row_by_series_and_by_items(tiny_home):
    rows = scoring.scores(preset("tiny"), home=tiny_home).result["rows"]
    for row in rows:
        assert row["series"] <= row["items"]
        same = {"score", "chance", "gain"} if row["series"] == row["items"] else {"score"}
        assert all(row[name] == pytest.approx(row["by_items"][name]) for name in same)
    frame = scoring.score_table(preset("tiny"), tiny_home)
    pictures = [row for row in rows if row["input"].startswith("pictures")]
    assert by_items(frame)["k"].astype(int).tolist() == [row["beam_size"] for row in pictures]


def test_one_series_that_agrees_with_itself_is_no_finding_of_a_table_of_twenty_cells():
    # As in the split by caption: 14 letters whose captions are worded alike, and 81 other stamps.
    draw = np.random.default_rng(0)
    pairs = draw.beta(0.3, 3, size=(95, 95))
    pairs[:14, :14] = draw.beta(8, 2, size=(14, 14))
    series = ["letters"] * 14 + [f"folder {place // 2}" for place in range(81)]
    by_items, by_series = (
        against_chance(pairs, series=each, generator=np.random.default_rng(1))
        for each in (None, series)
    )
    assert by_items.p < 0.05 / 20 < by_series.p
    assert by_series.gain_low < 0 < by_items.gain_low
