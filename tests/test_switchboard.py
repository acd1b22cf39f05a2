"""Laws of the switchboard: a switch moves what it touches, by how much, and nothing else."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from songtitle.config import PRESETS, SPECTROGRAM, TIMBRE, preset
from songtitle.errors import InputError
from songtitle.experiment import inputs, learning, scoring, switchboard
from songtitle.experiment.switchboard import (
    ASSUMPTIONS,
    BOOK,
    KINDS,
    YARDSTICK,
    Reading,
    Settings,
    apply,
    compare,
    inputs_of,
    kind,
    mark_clear,
    open_answers,
    pairs_of,
    spread,
    stand,
    touched,
)
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.chance import against_chance
from songtitle.metrics.pairs import CHOICES, unigram_pair_scores
from songtitle.studies import switchboard as studies_switchboard

TINY = preset("tiny", picture_count=40, song_count=7, switch_songs=5)
WORDS = ("a", "big", "red", "fox", "sings", "home", "again")


def titles(count, generator, *, longest=5):
    return [
        [str(word) for word in generator.choice(WORDS, size=generator.integers(1, longest))]
        for _ in range(count)
    ]


def searched(count, generator, *, beams):
    """As a search leaves them: of each item `beams` hypotheses, the likeliest first."""
    return [
        [[words, -float(rank)] for rank, words in enumerate(titles(beams, generator))]
        for _ in range(count)
    ]


@pytest.fixture
def generator():
    return np.random.default_rng(5)


@pytest.mark.parametrize("choice", CHOICES)
def test_which_hypothesis_is_scored_cannot_matter_where_there_is_one(choice, generator):
    found, wanted = searched(23, generator, beams=1), titles(23, generator)
    row = compare(found, found, wanted, None, Reading(choice=choice), seed=3)
    for measure in ("score", "gain"):
        ends = [row[f"{measure}_change{end}"] for end in ("", "_low", "_high")]
        assert (ends, row[f"{measure}_p"]) == ([0.0, 0.0, 0.0], 1.0)


def test_the_best_of_several_hypotheses_only_ever_lifts_a_score(generator):
    found, wanted = searched(23, generator, beams=5), titles(23, generator)
    row = compare(found, found, wanted, None, Reading(choice="best"), seed=3)
    assert row["score_change"] > 0
    # A wrong title finds its best hypothesis, too: what is gained is no gain.
    assert abs(row["gain_change"]) < row["score_change"]


def test_how_an_input_stands_is_what_chance_has_of_the_same_hypotheses(generator):
    found, wanted = searched(19, generator, beams=3), titles(19, generator)
    series = [f"s{i // 2}" for i in range(19)]
    draw = np.random.default_rng(3)
    pairs = unigram_pair_scores([item[0][0] for item in found], wanted)
    chance = against_chance(pairs, series=series, generator=draw)
    row = stand(pairs_of(found, wanted, BOOK), series, seed=3)
    assert row == {"items": 19} | asdict(chance)


def test_a_change_is_the_mean_difference_of_the_same_items(generator):
    before, after = (searched(17, generator, beams=2) for _ in range(2))
    wanted = titles(17, generator)
    row = compare(before, after, wanted, None, BOOK, seed=3)
    was, now = (np.trace(pairs_of(found, wanted, BOOK)) / 17 for found in (before, after))
    assert row["score_change"] == pytest.approx(now - was)
    back = compare(after, before, wanted, None, BOOK, seed=3)
    assert back["score_change"] == pytest.approx(-row["score_change"])
    assert row["score_change_low"] <= row["score_change"] <= row["score_change_high"]


def test_a_planted_change_of_a_score_is_found_and_a_planted_nothing_is_not(generator):
    wanted = titles(40, generator)
    deaf = searched(40, generator, beams=1)
    hearing = [[[title, -1.0]] for title in wanted]
    names = {"question": "dropout", "kind": "training"}
    heard = {"input": "songs"} | compare(deaf, hearing, wanted, None, BOOK, seed=3)
    same = {"input": "songs"} | compare(deaf, deaf, wanted, None, BOOK, seed=3)
    changes = [names | {"rows": [heard]}, names | {"rows": [same]}]
    mark_clear(changes)
    assert (heard["score_clear"], heard["gain_clear"]) == (True, True)
    assert (same["score_clear"], same["gain_clear"]) == (False, False)


def test_a_training_stands_out_only_beyond_other_orders_of_the_batches(generator):
    def change(question, kind, size):
        row = {"input": "songs", "score_change": size, "gain_change": size}
        rows = [row | {"score_p": 1e-4, "gain_p": 1.0}]
        return {"question": question, "kind": kind, "rows": rows}

    luck = change(YARDSTICK, "training", -0.03)
    small, large = change("dropout", "training", 0.02), change("dropout", "training", 0.04)
    searched_otherwise = change("length_penalty", "search", 0.02)
    changes = [luck, small, large, searched_otherwise]
    mark_clear(changes)
    assert [each["rows"][0]["score_clear"] for each in changes] == [False, False, True, True]
    assert not any(each["rows"][0]["gain_clear"] for each in changes)


def test_the_yardstick_is_a_question_that_asks_for_trainings():
    found = [kind(answer.change) for each, answer in open_answers(PRESETS["quick"])]
    (yardstick,) = [each for each in ASSUMPTIONS if each.name == YARDSTICK]
    assert {kind(answer.change) for answer in yardstick.alternatives} == {"training"}
    assert set(found) == {"training", "spectrogram", "timbre", "search", "reading"}


def test_every_setting_that_a_switch_changes_asks_for_one_thing_and_touches_an_input():
    quick = PRESETS["quick"]
    for each, answer in open_answers(quick):
        if isinstance(answer.change, Settings):
            asks = kind(answer.change)
            assert all(field.startswith(KINDS[asks]) for field in answer.change.fields), each.name
            songs = {"timbre": TIMBRE, "spectrogram": SPECTROGRAM}
            expected = (songs[asks],) if asks in songs else inputs_of(quick)
            assert touched(quick, asks) == expected, each.name


@pytest.mark.parametrize(("total", "count"), [(11, 5), (5, 11), (7, 7), (13, 1)])
def test_songs_heard_again_lie_evenly_among_all(total, count):
    places = spread(total, count)
    assert len(places) == min(total, count)
    assert places[0] == 0
    assert set(places) <= set(range(total))
    if count > 1:
        assert places[-1] == total - 1
        assert np.ptp(np.diff(places)) <= 1


@pytest.fixture(scope="module")
def board(tiny_home):
    return switchboard.switchboard(TINY, home=tiny_home)


def test_every_switch_of_a_run_leaves_a_record_of_its_own(board, tiny_home):
    asked = open_answers(TINY)
    records = [switchboard.switch(TINY, q.name, a.label, home=tiny_home) for q, a in asked]
    assert len({record.key for record in records}) == len(asked) == len(board.result["changes"])
    assert [each["label"] for each in board.result["changes"]] == [a.label for _, a in asked]


def test_a_change_and_its_default_differ_in_the_key_of_what_they_need(tiny_home):
    own = learning.training(TINY, home=tiny_home)
    other = learning.training(apply(TINY, "dropout", "none"), home=tiny_home)
    assert own.key != other.key
    raw = apply(TINY, "timbre_scale", "raw")
    assert learning.training(raw, home=tiny_home).key == own.key  # nothing is learnt again
    heard = inputs.song_features(TINY, home=tiny_home)
    assert inputs.song_features(raw, home=tiny_home).key == heard.key


def test_a_switch_says_nothing_of_an_input_that_it_does_not_touch(board):
    rows = {each["question"]: each["rows"] for each in board.result["changes"]}
    assert [row["input"] for row in rows["timbre_scale"]] == ["songs: timbre"]
    assert [row["input"] for row in rows["decibels"]] == ["songs: spectrogram"]
    assert len(rows["dropout"]) == len(rows["bleu"]) == len(rows["hypothesis"]) == 3


def test_only_a_change_that_trains_has_a_perplexity_of_its_own(board):
    for each in board.result["changes"]:
        assert (each["valid_perplexity"] is None) == (each["kind"] != "training")
    (dropout,) = [each for each in board.result["changes"] if each["question"] == "dropout"]
    assert dropout["valid_perplexity"] != board.result["valid_perplexity"]


def test_songs_are_heard_again_only_as_many_as_were_asked_for(board):
    items = {
        (each["kind"], row["input"]): row["items"]
        for each in board.result["changes"]
        for row in each["rows"]
    }
    assert items["spectrogram", "songs: spectrogram"] == TINY.switch_songs
    assert items["search", "songs: spectrogram"] == TINY.song_count


def test_the_default_stands_where_table_4_has_it(board, tiny_home):
    config = replace(TINY, beam_sizes=(5,), tile_sizes=(256,))
    table = scoring.scores(config, home=tiny_home).result["rows"]
    for row in board.result["default"]:
        (cell,) = [each for each in table if each["input"] == row["input"]]
        for name in ("score", "chance", "gain"):
            assert row[name] == pytest.approx(cell[name])


def test_a_question_that_a_page_decides_cannot_be_thrown(tiny_home):
    with pytest.raises(InputError, match=r"settings.*page 07_paper_corpora"):
        switchboard.switch(TINY, "song_rows", "row by row", home=tiny_home)


def test_tables_hold_every_change_and_every_preset(board):
    table = studies_switchboard.switch_table(board)
    assert len(table) == 1 + len(board.result["changes"])
    for row in board.result["default"]:
        score = f"{100 * row['score']:.1f} (chance {100 * row['chance']:.1f})"
        assert table[row["input"]][0].startswith(score)
    assert set(PRESETS) - set(studies_switchboard.sides().columns) == {"tiny"}
    questions = studies_switchboard.open_questions()
    assert list(questions["Name"]) == [each.name for each in ASSUMPTIONS]
    assert (
        studies_switchboard.sides().set_index("Question").loc["dropout", "paper_literal"] == "none"
    )
    assert DEFINITIONS["bleu1"].signature in studies_switchboard.switch_note(board)


def test_panels_share_their_rows_and_none_is_lost(board):
    panels = studies_switchboard.tornado_panels(board)
    assert len(panels) == 6
    shown = {name for _, frame, _ in panels for name in frame["name"]}
    assert shown == set(studies_switchboard.changes_of(board)["name"])
    for row in (panels[:3], panels[3:]):
        assert len({tuple(frame["name"]) for _, frame, _ in row}) == 1


def test_what_a_page_says_changes_with_the_record(board):
    said = studies_switchboard.switch_summary(board)
    result = json.loads(json.dumps(board.result))
    for each in result["changes"]:
        for row in each["rows"]:
            row["gain_clear"] = True
            row["gain_change"] = 0.5
    other = studies_switchboard.switch_summary(replace(board, result=result))
    assert "None moves the gain" not in other != said
    assert "+50.0" in other


@pytest.fixture
def bars():
    return pd.DataFrame(
        {
            "name": ["dropout: 0.2 → none", "rare words: twice → once", "decibels: 80 dB → 40 dB"],
            "score_change": [0.021, -0.013, np.nan],
            "score_change_low": [0.011, -0.031, np.nan],
            "score_change_high": [0.033, 0.007, np.nan],
            "score_clear": [True, False, None],
            "gain_change": [0.002, -0.001, np.nan],
        }
    )


def test_a_tornado_draws_a_bar_a_change_from_the_top_in_points(bars):
    _, given = plt.subplots()
    before = bars.copy()
    ax = studies_switchboard.tornado(bars, luck=0.005, ax=given)
    assert ax is given
    pd.testing.assert_frame_equal(bars, before)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(bars["name"])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    widths = {round(bar.get_y() + 0.31): bar.get_width() for bar in ax.patches if bar.get_y() >= -1}
    assert [widths[row] for row in (0, 1)] == pytest.approx([2.1, -1.3])
    assert "percent points" in ax.get_xlabel()
    plt.close("all")


def test_a_bar_that_stands_out_is_told_from_one_that_does_not_without_colour(bars):
    ax = studies_switchboard.tornado(bars)
    assert {bar.get_hatch() for bar in ax.patches if bar.get_width()} == {None, "////"}
    plt.close("all")


def test_a_tornado_of_changes_that_are_all_zero_has_an_axis(bars):
    columns = [name for name in bars if "change" in name]
    ax = studies_switchboard.tornado(bars.assign(**dict.fromkeys(columns, 0.0)))
    low, high = ax.get_xlim()
    assert low < 0 < high
    plt.close("all")


def test_a_tornado_without_rows_is_refused(bars):
    with pytest.raises(InputError, match="changes: expected rows with columns name"):
        studies_switchboard.tornado(bars[:0])
    with pytest.raises(InputError, match=r"changes: .*got no gain_change"):
        studies_switchboard.tornado(bars.drop(columns="gain_change"))
