"""The listener: it finds what is planted, nothing else, and no song by its own series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from songtitle.cache import Record
from songtitle.config import preset
from songtitle.errors import InputError
from songtitle.experiment.listening import (
    FOLDS,
    PENALTIES,
    Part,
    WordRidge,
    deals,
    fit_words,
    folds,
    hear_words,
    listen,
    matched,
    title_scores,
    word_aucs,
)
from songtitle.experiment.samples import track_listening
from songtitle.studies import listening as study

KINDS = ("reel", "jig", "hornpipe", "air")


def planted(strength, songs=120, seed=0):
    """Songs of one kind each, which their titles name and 7 numbers tell `strength` of."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(len(KINDS), size=songs)
    features = draw.normal(size=(songs, 7))
    features[np.arange(songs), kinds] += strength
    titles = [["the", KINDS[kind], f"of{number}"] for number, kind in enumerate(kinds)]
    return features, titles, [f"family {number}" for number in range(songs)]


def asked(features, titles, series, seed=0):
    rows, found, said = listen(features, titles, series, folds(series), seed=seed)
    assert [row["penalty"] for row in rows] == list(PENALTIES)
    return rows, found, said


def test_what_is_planted_is_heard_at_every_penalty_and_named():
    features, titles, series = planted(3.0)
    rows, found, said = asked(features, titles, series)
    assert all(row["z"] > 5 and row["p"] < 0.01 and row["mrr_p"] < 0.01 for row in rows)
    assert {row["word"] for row in found if row["auc"] > 0.9} == set(KINDS)
    right = [title[1] == said[place][0] for place, title in enumerate(titles)]
    assert np.mean(right) > 0.9


def test_where_nothing_is_planted_nothing_is_heard_more_often_than_p_says():
    ps = [asked(*planted(0.0, seed=seed))[0][1]["p"] for seed in range(20)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.2
    assert 0.25 < np.mean(ps) < 0.75


def test_who_knows_the_series_alone_matches_no_title():
    # Each family has its sound and its titles: known from one's own family they would be all.
    draw = np.random.default_rng(1)
    family = np.repeat(np.arange(24), 5)
    features = np.eye(24)[family] + 0.01 * draw.normal(size=(120, 24))
    titles = [
        [KINDS[each % 4], "the"] if place % 2 else [KINDS[each % 4]]
        for place, each in enumerate(draw.permutation(24)[family])
    ]
    rows, *_ = asked(features, titles, list(map(str, family)))
    assert all(row["p"] > 0.05 for row in rows)
    alone = [str(number) for number in range(120)]
    assert all(row["p"] < 0.01 for row in asked(features, titles, alone)[0])


def test_series_of_equal_songs_are_no_more_evidence_than_one_song_of_each():
    draw, ps = np.random.default_rng(2), []
    for _ in range(40):
        family = np.repeat(np.arange(12), 10)
        pairs = draw.normal(size=(12, 12))[np.ix_(family, family)]
        own, alone = (
            matched([Part(pairs, deals(series, 0))])["p"]
            for series in (list(map(str, family)), list(map(str, range(120))))
        )
        ps.append((own, alone))
    by_series, by_songs = np.mean(np.array(ps) <= 0.05, axis=0)
    assert by_series <= 0.2 < by_songs


def test_who_ranks_every_title_first_has_rank_1_and_who_ranks_none_has_exactly_chance():
    draws = deals(list(map(str, range(11))), 0)
    perfect = matched([Part(np.eye(11), draws)])
    assert (perfect["mrr"], perfect["recall"]) == pytest.approx((1, 1))
    assert perfect["p"] < 0.01
    nothing = matched([Part(np.zeros((11, 11)), draws)])
    assert nothing["z"] == 0
    assert nothing["p"] == nothing["mrr_p"] == 1
    assert nothing["mrr"] == pytest.approx(nothing["mrr_chance"])
    assert nothing["recall"] == pytest.approx(10 / 11) == pytest.approx(nothing["recall_chance"])


def test_an_auc_is_the_share_of_pairs_in_which_the_song_with_the_word_scores_higher():
    draw = np.random.default_rng(4)
    scores = draw.integers(5, size=(31, 1)).astype(float)
    holds = draw.random(31) < 0.4
    titles = [["reel"] if each else ["jig"] for each in holds]
    ridge = WordRidge(["reel"], np.zeros(1), np.ones(1), np.ones((1, 1)), np.ones(1, dtype=bool))
    part = Part(np.zeros((31, 31)), deals(list(map(str, range(31))), 0))
    (row,) = word_aucs([(ridge, scores, titles, part)])
    high, low = scores[holds, 0][:, None], scores[~holds, 0]
    assert row["auc"] == pytest.approx(((high > low) + 0.5 * (high == low)).mean())
    assert row["songs"] == holds.sum()


def test_a_title_of_unknown_words_scores_0_and_one_of_the_expected_words_1():
    scores, table = np.array([[2.0, 0.0, 2.0]]), np.array([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    assert title_scores(scores, table)[0] == pytest.approx([1, 0, 0])


def test_another_unit_of_the_features_changes_no_score():
    features, titles, _ = planted(1.0)
    one = fit_words(features, titles).scores(features)
    other = fit_words(1000 * features + 7, titles).scores(1000 * features + 7)
    assert np.allclose(one, other, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_words(np.eye(9), [["a", "reel"]] * 9), "titles: expected a word that stands"),
        (lambda: fit_words(np.eye(3), [["a"], ["b"], ["c"]]), "titles: expected a word that st"),
        (
            lambda: next(hear_words([], home=Path("none"))),
            "--listener: expected a listener",
        ),
        (lambda: folds(["a", "b"] * 7), f"series: expected at least {FOLDS}.*got 2; take more"),
    ],
)
def test_titles_and_series_of_which_nothing_can_be_learnt_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_on_real_timbre_titles_of_other_artists_are_matched_above_chance(real_data, tmp_path):
    found = track_listening(preset("samples"), home=tmp_path).result
    assert {row["input"] for row in found["rows"]} == {"Million Song"}
    for row in found["rows"]:
        assert row["items"] == 1000
        assert row["z"] > 2.5
        assert row["p"] <= 0.01
    blues = next(row for row in found["found"] if row["word"] == "blues")
    assert blues["auc"] > 0.6


def judged(listener_p, captioner_p=None):
    row = {"input": "songs: timbre", "items": 7, "series": 7, "z": 1.0}
    rows = [row | {"who": "listener", "penalty": each, "p": listener_p} for each in PENALTIES]
    if captioner_p is not None:
        rows.append(row | {"who": "captioner", "p": captioner_p})
    return Record("listening", "", {}, {}, "", {"rows": rows}, {}, {}, Path())


@pytest.mark.parametrize(("listens", "hears"), study.OUTCOMES)
def test_the_page_says_which_of_the_two_found_something(listens, hears):
    p = {True: 0.001, False: 0.4, None: None}
    text = study.listening_note(judged(p[listens], p[hears])).text
    assert study.OUTCOMES[listens, hears] in text
    others = set(study.OUTCOMES.values()) - {study.OUTCOMES[listens, hears]}
    assert not [each for each in others if f": {each} (" in text]


def test_the_best_of_three_penalties_pays_for_having_been_chosen():
    (row,) = study.hearing(judged(0.02))
    assert row["p"] == pytest.approx(0.06)
    assert not row["listens"]


def test_every_row_of_the_table_names_who_matched():
    rows = pd.DataFrame(judged(0.1, 0.2).result["rows"]).to_dict("records")
    names = list(map(study.who, rows))
    assert names == [*(f"listener, penalty {each:g}" for each in PENALTIES), "captioner"]
