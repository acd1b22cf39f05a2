"""Labs: the mistakes are those they say, and what a page says of them comes from the record."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from songtitle.config import override, preset
from songtitle.errors import InputError
from songtitle.experiment import controls, labs, naming, scoring, switchboard
from songtitle.metrics.chance import Chance
from songtitle.studies import switchboard as study


def side(scores, elsewhere=0.0):
    """Items that score so on their own reference, and the same `elsewhere`."""
    pairs = np.full((len(scores), len(scores)), elsewhere)
    np.fill_diagonal(pairs, scores)
    return labs.Side([[[["word"], -1.0]] for _ in scores], pairs)


@pytest.fixture(scope="module")
def records(tiny_home):
    return {name: labs.lab(preset("tiny"), name, home=tiny_home) for name in labs.LABS}


def test_five_labs_compare_the_same_items_before_and_after(records):
    assert len(records) == 5
    for name, record in records.items():
        assert record.settings["lab"] == name
        for row in record.result["rows"]:
            before, after = row["before"], row["after"]
            assert row["score_change"] == pytest.approx(after["score"] - before["score"])
            assert row["gain_change"] == pytest.approx(after["gain"] - before["gain"])
            assert before["chance"] == pytest.approx(before["score"] - before["gain"])


def test_a_lab_touches_what_its_mistake_can_reach_and_letters_and_joins_change_no_answer(records):
    touched = {n: [row["input"] for row in r.result["rows"]] for n, r in records.items()}
    assert touched["timbre"] == ["songs: timbre"]
    assert "songs: timbre" not in touched["batch_norm"]  # it enters behind the projection
    assert all(name.startswith("songs") for name in touched["join"])
    for name in ("letters", "join"):
        assert all(row["changed"] == 0 for row in records[name].result["rows"])


def test_one_number_has_one_interval_on_every_page(tiny_home):
    config = override(preset("tiny"), {"search.min_length": 2})  # so that every item says something
    only = override(config, {"beam_sizes": [naming.BEAM_SIZE]})
    table = {row["input"]: row for row in scoring.scores(only, home=tiny_home).result["rows"]}
    assert any(row["low"] < row["high"] for row in table.values())
    board = switchboard.switchboard(override(config, {"switches": ["bleu"]}), home=tiny_home)
    same = [("switchboard", row["input"], row) for row in board.result["default"]]
    for name in ("letters", "batch_norm", "join"):  # the others search anew
        rows = labs.lab(config, name, home=tiny_home).result["rows"]
        same += [(name, row["input"], row["before"]) for row in rows]
    for row in controls.controls(config, home=tiny_home).result["rows"]:
        if row["control"] == "other items' titles" and row["beam_size"] == naming.BEAM_SIZE:
            ends = {"gain": "", "gain_low": "_low", "gain_high": "_high"}
            told = {name: row[f"difference{end}"] for name, end in ends.items()}
            same.append(("controls", row["input"], told | {"p": row["p"], "chance": row["score"]}))
    assert len(same) == 3 + 7 + 3
    for where, name, row in same:
        for number in row.keys() & set(Chance.__dataclass_fields__):
            assert row[number] == pytest.approx(table[name][number], abs=1e-6), (where, name)


@pytest.mark.parametrize("items", [2, 255, 256, 257, 513, 1000])
def test_no_batch_is_a_single_item(items):
    groups = list(labs.batches(torch.arange(items)))
    assert torch.cat(groups).tolist() == list(range(items))
    assert 2 <= min(map(len, groups)) <= max(map(len, groups)) <= naming.AT_ONCE


def test_an_unknown_lab_is_refused_in_one_line(tiny_home):
    with pytest.raises(InputError, match="expected one of letters, batch_norm") as error:
        labs.lab(preset("tiny"), "window", home=tiny_home)
    assert "\n" not in str(error.value)


def test_sentences_follow_the_numbers(records):
    def made_up(before, after):
        row = {"input": "songs: timbre"} | labs._compared(before, after, seed=0)
        return replace(records["timbre"], result={"rows": [row]})

    rng = np.random.default_rng(0)
    low, high = rng.uniform(0, 0.1, 40), rng.uniform(0.4, 0.5, 40)
    risen = made_up(side(low, low.mean()), side(high, high.mean()))
    fallen, level = made_up(side(high), side(low)), made_up(side(low), side(low))
    made = {"risen": risen, "fallen": fallen, "level": level}
    said = {key: study.lab_sentence(study.lab_frame([record])) for key, record in made.items()}
    assert "the score rises" in said["risen"]
    assert "the gain over it does not clearly move" in said["risen"]
    assert "the score falls" in said["fallen"]
    assert "the score does not clearly move" in said["level"]
    assert "Of 1 rises 1 came without any in the gain" in study.lab_note([risen]).text
    assert "no score rises by: raw timbre" in study.lab_note([fallen]).text


def test_a_move_that_is_the_largest_of_ten_by_luck_is_not_called_a_move(records):
    def planted(p):
        row = json.loads(json.dumps(records["timbre"].result["rows"][0]))
        row |= {"score_change": 0.02, "score_change_low": 0.001, "score_change_high": 0.04}
        return replace(records["timbre"], result={"rows": [row | {"score_p": p, "gain_p": 1.0}]})

    def clear(*ps):
        return list(study.lab_frame([planted(p) for p in ps])["score_clear"])

    assert clear(0.03) == [True]
    assert clear(*[0.03] * 10) == [False] * 10
    assert clear(0.001, *[0.03] * 9) == [True] + [False] * 9
    assert "falls in 0, does not clearly move in 10" in study.lab_note([planted(0.03)] * 10).text


def test_that_nothing_moves_the_gain_is_said_of_those_alone_where_it_is_shown():
    rows = [{"gain_most": most} for most in (0.002, 0.0071, 0.012, 0.3)]
    said = study.moved_little(rows, 1.0)
    assert "In 2 of 4 the gain moves by no more than 0.71 points, less than the 1 that" in said
    assert "In none of 2 is the gain shown to move less than 1" in study.moved_little(rows[2:], 1.0)


def test_table_and_figure_hold_every_row(records):
    every = list(records.values())
    rows = sum(len(record.result["rows"]) for record in every)
    assert len(study.lab_frame(every)) == rows
    axis = study.before_and_after(study.lab_frame(every))
    assert [text.get_text() for text in axis.get_yticklabels()] == list(
        study.lab_frame(every)["name"]
    )
    assert set(study.lab_reasons(every).split("*Why:*")[1:]) != set()
    assert "No switch" in study.lab_reasons([])
    assert study.lab_facts([])["labs.seconds"] == 0
