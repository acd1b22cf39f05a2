"""Laws of the controls, the split of beam effects, and the letters: on planted data, and whole."""

import math
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection
from torch import nn

from songtitle import tables
from songtitle.cache import run_stage
from songtitle.config import SearchConfig, preset
from songtitle.experiment import controls, learning, naming, scoring
from songtitle.experiment.baselines import constant_texts
from songtitle.experiment.inputs import features_record
from songtitle.experiment.naming import Listener
from songtitle.experiment.scoring import split_change, split_of, steps_of
from songtitle.experiment.trainings import ItemScores
from songtitle.metrics.bleu import DEFINITIONS
from songtitle.metrics.chance import replicate_interval
from songtitle.metrics.uncertainty import MOST, two_way
from songtitle.model.captioner import Captioner
from songtitle.model.decoder import LSTMDecoder
from songtitle.studies import controls as studies_controls
from songtitle.studies import search
from songtitle.studies import search as studies_length
from songtitle.studies.search import explanation
from songtitle.vocabulary import Vocabulary

BLEU_1 = DEFINITIONS["bleu1"]
RANDOM = {
    "other items' inputs",
    "noise in place of the input",
    "random words, lengths as said",
    "random words, true lengths",
}
WORDS = ["air", "bog", "clog", "dance", "eel", "fair", "glen"]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def leave(home, stage, **result):
    return run_stage(stage, lambda folder: result, settings={}, home=home)


def titles(count, seed, lengths=(1, 2, 3, 5)):
    generator = np.random.default_rng(seed)
    return [
        [str(generator.choice(WORDS)) for _ in range(generator.choice(lengths))]
        for _ in range(count)
    ]


# -- length and content ----------------------------------------------------------------------------


def split(corners, references):
    return split_of(corners, references, "bleu1", np.random.default_rng(0))


def test_an_effect_of_length_alone_or_of_words_alone_is_found_as_that_and_as_nothing_else():
    short_titles, mixed_titles = titles(97, seed=1, lengths=(2, 3)), titles(97, seed=2)
    long = [[*words, *WORDS[:4]] for words in short_titles]
    short = [words[:2] for words in long]  # the same words, stopped sooner
    wrong = [["nothing"] * len(words) for words in mixed_titles]  # as long, other words
    stopped = split((long, short, long, short), short_titles)
    reworded = split((wrong, wrong, mixed_titles, mixed_titles), mixed_titles)
    for row, one, other, said in (
        (stopped, "length", "content", "length"),
        (reworded, "content", "length", "words"),
    ):
        assert row["change"] > 0.1
        assert row[one] == pytest.approx(row["change"])
        assert row[other] == pytest.approx(0, abs=1e-12)
        assert explanation(row) == said


def test_the_parts_of_a_change_sum_to_it_for_every_item_and_turn_around_with_the_systems():
    first, at_second, at_first, second = np.random.default_rng(3).random((4, 13))
    there = split_change(first, at_second, at_first, second)
    back = split_change(second, at_first, at_second, first)
    assert np.allclose(there["length"] + there["content"], there["change"])
    assert np.allclose(there["change"], second - first)
    assert not np.allclose(there["length"], 0)
    for part in ("length", "content"):
        assert np.allclose(there[part], -back[part])


def test_what_length_does_to_chance_is_told_from_what_it_does_to_the_score():
    references = titles(97, seed=5, lengths=(2, 3))
    long = [[*words, *WORDS[:4]] for words in references[1:] + references[:1]]  # all wrong
    short = [words[:2] for words in long]
    row = split((long, short, long, short), references)
    assert row["change_chance"] == pytest.approx(row["second_chance"] - row["first_chance"])
    assert row["length_chance"] == pytest.approx(row["change_chance"])


def test_steps_go_to_the_peak_and_to_the_widest_beam():
    assert steps_of((1, 5, 10, 20)) == [(1, 5), (5, 20)]
    assert steps_of((1, 3)) == [(1, 5)]


# -- a captioner asked again -----------------------------------------------------------------------


@pytest.fixture
def hearing():
    """A listener of random weights, 11 inputs of 7 numbers, whose greedy titles differ."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        vocabulary = Vocabulary.from_tokens([WORDS] * 2, min_count=1)
        decoder = LSTMDecoder(len(vocabulary), dim=7, pad_id=vocabulary.pad_id)
        nn.init.normal_(decoder.output.weight, std=1.3)
        decoder.output.bias.data[vocabulary.eos_id] += 1  # titles of several lengths
        model = Captioner(nn.Identity(), decoder).eval()
        features = 3 * torch.randn(11, 7)
    return Listener(
        model, vocabulary, torch.device("cpu"), SearchConfig(), lambda x: x.unsqueeze(1), features
    )


def test_titles_of_a_given_length_have_it_and_shorter_greedy_ones_are_beginnings(hearing):
    memory, wanted = hearing.memory(), [0, 1, 2, 3, 5, 1, 2, 3, 5, 8, 13]
    for beam_size in (1, 3):
        said = hearing.titles_of_length(memory, beam_size, wanted)
        assert [len(words) for words in said] == wanted
    whole = hearing.titles(memory, 1)
    assert len({len(words) for words in whole}) > 1
    halves = [words[: len(words) // 2] for words in whole]
    assert hearing.titles_of_length(memory, 1, list(map(len, halves))) == halves


def test_titles_for_shuffled_inputs_are_the_shuffled_titles(hearing):
    memory, order = hearing.memory(), [3, 0, 10, 7, 1, 2, 9, 4, 8, 5, 6]
    for beam_size in (1, 3):
        said = hearing.titles(memory, beam_size)
        assert hearing.titles(memory[order], beam_size) == [said[place] for place in order]


def test_noise_has_the_mean_and_spread_of_each_number_and_nothing_else_of_the_features():
    real = torch.randn(2003, 3) * torch.tensor([1.0, 50.0, 0.1]) + torch.tensor([7.0, 0.0, -2.0])
    drawn = controls.noise_like(real, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.mean(0) / real.std(0), real.mean(0) / real.std(0), atol=0.1)
    assert torch.allclose(drawn.std(0) / real.std(0), torch.ones(3), atol=0.1)
    assert torch.corrcoef(torch.stack([drawn[:, 1], real[:, 1]]))[0, 1].abs() < 0.1


# -- controls --------------------------------------------------------------------------------------


class Says(Listener):
    """Says planted titles, whatever it is asked about."""

    def titles(self, memory, beam_size, **others):
        return self.vocabulary[: len(memory)]

    def memory(self, features=None):
        return features


def case(said, references, captions=(), retold=()):
    memory, hearing = torch.zeros(len(said), 1, 3), object.__new__(Says)
    vars(hearing).update(vocabulary=retold, features=memory)
    series, config = [f"s{place}" for place in range(len(said))], preset("tiny")
    constant = constant_texts(references, series=series)
    texts = (said, references, series, list(captions), constant)
    return controls.Case(*texts, hearing, hearing, memory, 5, config)


def all_controls(*texts):
    return pd.DataFrame(controls.beside(case(*texts))).set_index("control")


def names(*kinds):
    return [control.name for control in controls.CONTROLS if control.replaces in kinds]


def test_controls_centre_on_chance_where_titles_have_nothing_to_do_with_their_items():
    leads = []
    for seed in range(12):
        references, said = titles(31, seed=seed), titles(31, seed=1000 + seed)
        other = titles(31, seed=2000 + seed)
        rows = all_controls(said, references, references, other)
        wrong = [*names("title", "input"), "random words, lengths as said"]
        leads.append(rows.loc[wrong, "difference"].to_numpy(float))
    mean, error = np.mean(leads, axis=0), np.std(leads, axis=0, ddof=1) / math.sqrt(len(leads))
    assert (np.abs(mean) < 3.5 * error).all()


def test_a_captioner_that_knows_its_titles_clears_every_control():
    references = titles(53, seed=1)
    rows = all_controls(references, references, references, references[1:] + references[:1])
    assert list(rows.index) == [controls.REAL, *names("title", "input", "answer")]  # of the page
    assert rows.loc[controls.REAL, ["difference", "p"]].isna().all()
    assert studies_controls.cleared(rows.iloc[1:]).all()
    assert (rows["difference_low"].iloc[1:] > 0).all()


def test_one_answer_for_all_clears_no_control_that_gives_the_same_answer():
    references, said = titles(53, seed=1), [["glen", "air"]] * 53
    rows = all_controls(said, references, references, said)
    same = rows.loc[names("input")]
    assert np.allclose(same["difference"].astype(float), 0, atol=1e-12)
    assert (same["p"] == 1).all()
    assert rows.loc[names("title")[0], "difference"] == pytest.approx(0, abs=1e-12)


def test_knowing_the_length_of_the_true_title_alone_does_not_clear_titles_of_that_length():
    references = titles(211, seed=3, lengths=(1, 5))
    said = [["glen"] * 1 if len(words) == 1 else WORDS[:5] for words in references]
    rows = all_controls(said, references, references, said)
    free, matched = (rows.loc[name] for name in names("title"))
    assert free["p"] < 0.01 < matched["p"]
    assert abs(matched["difference"]) < free["difference"] / 3


class Echo(Says):
    """Says of each row of memory the title whose place it holds."""

    def titles(self, memory, beam_size, **others):
        return [self.vocabulary[int(place) % 97] for place in memory[:, 0, 0]]


def test_one_lucky_shuffle_of_the_inputs_clears_nothing(monkeypatch):
    references, said = titles(97, seed=2), titles(97, seed=11)  # which knows nothing of them
    shuffled = next(each for each in controls.CONTROLS if each.name == "other items' inputs")
    monkeypatch.setattr(controls, "CONTROLS", (shuffled,))
    memory, hearing, rows = torch.arange(97.0)[:, None, None], object.__new__(Echo), []
    vars(hearing).update(vocabulary=said, features=memory)
    for seed in range(20):
        config = preset("tiny", seed=seed, monte_carlo_error=0.1)
        planted = replace(case(said, references), hearing=hearing, memory=memory, config=config)
        rows += list(controls.beside(planted))[1:]
    # What is said is the same whatever the seed, and so is what it is held against.
    found = pd.DataFrame(rows)
    assert found["score"].std() < 2 * 0.001
    assert not ((found["p"] < 0.05) & (found["difference"] > 0)).any()


def test_wrong_titles_are_others_or_others_as_long_and_of_the_nearest_length_where_none_is():
    references = [["a"], ["b"], ["c", "d", "e"], ["f", "g", "h", "i", "j"]]
    planted = case(references, references)
    vars(planted).update(pairs=np.arange(16.0).reshape(4, 4))
    (others, _), (matched, _) = (each.test(planted) for each in controls.CONTROLS[:2])
    assert others[0] == pytest.approx((1 + 2 + 3) / 3)
    assert matched.tolist() == [1.0, 4.0, (8 + 9 + 11) / 3, 14.0]


def test_the_lead_over_other_titles_is_the_gain_over_chance_with_its_interval_and_p():
    said, references = titles(31, seed=4), titles(31, seed=5)
    planted = case(said, references)
    vars(planted).update(pairs=scoring.all_scores(said, references))
    planted.series[:] = [f"s{place // 3}" for place in range(31)]
    row = next(row for row in controls.beside(planted) if row["control"] == names("title")[0])
    found = scoring.beside_chance([said], references, planted.series, seed=planted.config.seed)
    assert (row["score"], row["difference"], row["p"]) == (
        found["chance"],
        found["gain"],
        found["p"],
    )
    assert (row["difference_low"], row["difference_high"]) == (
        found["gain_low"],
        found["gain_high"],
    )


def test_random_orders_by_length_pair_only_titles_of_one_length():
    references = titles(31, seed=2)
    lengths = np.array([len(words) for words in references])
    _, orders = controls._title_as_long(case(references, references))
    assert (lengths[orders] == lengths).all()
    assert (np.sort(orders, axis=1) == np.arange(31)).all()
    assert len(np.unique(orders, axis=0)) > 900


def test_a_decoder_that_knows_the_titles_ranks_them_first_and_one_that_does_not_by_chance():
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(53, 53))
    known, _ = controls.by_ranking(noise + 9 * np.eye(53), seed=0)
    assert known["mrr_score"] > 0.95
    assert known["recall_p"] < 0.01
    deaf, _ = controls.by_ranking(noise, seed=0)
    assert deaf["mrr_p"] > 0.01
    assert deaf["recall_chance"] == pytest.approx(10 / 53, abs=0.01)


# -- scores of pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("definition", ["bleu1", "letters"])
def test_all_pairs_hold_the_own_scores_equal_rows_for_equal_titles_and_chance(definition):
    said, references = titles(23, seed=0), titles(23, seed=1)
    said[7] = said[19]
    pairs = scoring.all_scores(said, references, DEFINITIONS[definition])
    own = scoring.own_scores(said, references, DEFINITIONS[definition])
    assert np.allclose(np.diagonal(pairs), own)
    assert (pairs[7] == pairs[19]).all()
    wrong = pairs[~np.eye(23, dtype=bool)]
    assert scoring.chance_of(pairs) == pytest.approx(wrong.mean())


def test_the_score_of_a_picture_in_tiles_is_the_mean_of_its_tiles(tmp_path):
    record = leave(tmp_path, "hypotheses")
    content = '[[[[["air"], -1.0]], [[["bog"], -1.0]]], [[[["eel"], -1.0]], [[["eel"], -2.0]]]]'
    record.file("hypotheses.json").write_text(content)
    scores = controls.item_scores(record, [["air"], ["eel"]])
    assert scores.tolist() == [0.5, 1.0]


def test_a_planted_difference_of_two_readings_is_found_and_no_difference_needs_no_titles():
    generator = np.random.default_rng(0)
    first = generator.random(211)
    found = controls.compared(
        first + 0.1, first + generator.normal(0, 0.1, 211), gap=0.005, generator=generator
    )
    assert found["low"] < 0.1 < found["high"]
    assert found["p"] < 0.01
    assert 2 < found["needed"] < 30
    assert found["paper_needed"] > 1000
    assert found["paper_power"] < 0.3
    assert found["apart_needed"] > found["paper_needed"]  # songs that differ do not cancel
    assert found["apart_power"] < found["paper_power"]
    same = controls.compared(first, first, gap=0.005, generator=generator)
    assert (same["mean"], same["p"]) == (0, 1)
    assert same["needed"] is same["paper_needed"] is same["paper_power"] is None
    spread = math.sqrt(2) * first.std(ddof=1)
    closed = ((1.959964 + 0.841621) * spread / 0.005) ** 2  # two-sided 5 %, four of five trials
    assert same["apart_needed"] == pytest.approx(closed, rel=1e-3)


def test_a_reading_that_says_few_different_titles_is_marked_as_collapsed():
    assert studies_controls.collapsed({"distinct": 1, "items": 1000})
    assert studies_controls.collapsed({"distinct": 99, "items": 1000})
    assert not studies_controls.collapsed({"distinct": 100, "items": 1000})


# -- replicates -------------------------------------------------------------------------------


def test_a_summary_holds_items_and_trainings_in_one_interval_and_says_what_it_is_over(tmp_path):
    draw, kept, series = np.random.default_rng(1), ItemScores(), [str(i // 3) for i in range(60)]
    for level in (0.1, 0.2, 0.3):
        kept.add("x", 5, level + 0.1 * draw.random((60, 60)), series)
    (row,) = kept.summary(preset("tiny"))
    assert (row["input"], row["beam_size"], row["seeds"], row["series"]) == ("x", 5, 3, 20)
    low, high = replicate_interval(row["score_each"])
    assert row["score"] == pytest.approx(np.mean(row["score_each"]))
    assert row["score_high"] - row["score_low"] == pytest.approx(high - low, rel=0.02)
    assert row["score_parts"]["seeds"] > 0.9  # no series is harder than another
    assert row["over"] == "series and trainings"
    # Half a point is what the gain may be: less than the setting says would matter.
    assert (row["most"] < 0.01) == (row["matters"] == "no more than that")
    kept.save(tmp_path / "items.npz")
    with np.load(tmp_path / "items.npz") as saved:
        assert set(saved.files) == {"x, k = 5: score", "x, k = 5: gain"}
        again = two_way(saved["x, k = 5: score"], series)
    assert (again.low, again.high) == pytest.approx((row["score_low"], row["score_high"]))


# -- tables ----------------------------------------------------------------------------------------


def test_table_4_holds_score_letters_where_there_are_some_interval_chance_gain_and_p(tmp_path):
    row = pd.Series({"score": 0.297, "low": 0.2481, "high": 0.349, "chance": 0.167, "gain": 0.13})
    row["p"] = 0.001
    assert search.score_cell(row, "ab") == "29.7 ab\n[24.8, 34.9]\n(16.7, +13.0, p 0.001)"
    row["gain"] = -0.0004
    assert search.score_cell(row) == "29.7\n[24.8, 34.9]\n(16.7, 0.0, p 0.001)"
    rows = [pd.Series({"input": "songs: timbre", "beam_size": k, "tiles": 1}) for k in (1, 5)]
    scores = pd.DataFrame([pd.concat([each, row]) for each in rows])
    letters = [{"input": "songs: timbre", "beam_size": 5, "letters": "ab"}]
    table = search.table_4(scores, leave(tmp_path, "differences", letters=letters))
    assert list(table["What"]) == ["here", "paper"]
    cells = [table.loc[0, f"k = {k}"].split("\n")[0] for k in (1, 5)]
    assert cells == ["29.7", "29.7 ab"]
    assert table.loc[1, "k = 5"] == 45.6
    assert search.table_4(scores).loc[0, "k = 5"].startswith("29.7\n")


@pytest.mark.parametrize(
    ("change", "length", "content", "said"),
    [
        ((-0.1, 0.1), (0.1, 0.2), (-0.2, -0.1), "no change"),
        ((0.1, 0.2), (0.1, 0.2), (-0.1, 0.1), "length"),
        ((0.1, 0.2), (-0.2, -0.1), (0.2, 0.4), "words"),
        ((-0.2, -0.1), (-0.2, -0.1), (-0.3, -0.2), "length and words"),
        ((0.1, 0.2), (-0.1, 0.2), (-0.1, 0.2), "neither alone"),
        ((1e-10, 1e-8), (1e-10, 1e-8), (1e-10, 1e-8), "no change"),  # too small to print
    ],
)
def test_a_change_is_explained_by_the_parts_whose_intervals_leave_out_nothing(
    change, length, content, said
):
    row = {}
    for name, (low, high) in {"change": change, "length": length, "content": content}.items():
        row |= {name: (low + high) / 2, f"{name}_low": low, f"{name}_high": high}
    assert explanation(row) == said


# -- a whole run -----------------------------------------------------------------------------------


def test_a_whole_run_leaves_every_control_for_every_input(in_tiny_home):
    config = preset("tiny")
    rows = pd.DataFrame(controls.controls(config).result["rows"])
    assert len(rows) == 3 * 2 * (1 + len(controls.CONTROLS))
    real = rows[rows["control"] == controls.REAL].set_index(["input", "beam_size"])
    table = scoring.score_table(config).set_index(["input", "beam_size"])
    for name in map(str, naming.controlled_inputs(config, in_tiny_home)):  # it says it again
        assert real.loc[(name, 1), "score"] == pytest.approx(table.loc[(name, 1), "score"])
    drawn = rows.dropna(subset="draws")
    assert set(drawn["control"]) == RANDOM
    assert ((drawn["error"] <= config.monte_carlo_error / 100) | (drawn["draws"] == MOST)).all()


def test_a_captioner_trained_without_pictures_says_one_thing(in_tiny_home):
    config = preset("tiny")
    blind = learning.blind_training(config)
    name = naming.whole_pictures(config)
    seen = features_record(config, name, home=in_tiny_home)
    deaf = naming.listener(config, name, blind, seen)
    memory = deaf.memory(torch.zeros_like(deaf.features))
    assert torch.equal(memory, memory[:1].expand_as(memory))
    assert blind.result["permuted_pictures_perplexity"] == pytest.approx(
        blind.result["valid_perplexity"]
    )


def test_a_whole_run_splits_every_beam_effect_and_finds_letters_for_every_cell(in_tiny_home):
    config = preset("tiny")
    steps = scoring.lengths(config).result["steps"]
    assert len(steps) == 3 * 2
    for row in steps:
        assert row["length"] + row["content"] == pytest.approx(row["change"])
        assert row["first_score"] + row["change"] == pytest.approx(row["second_score"])
    found = controls.differences(config).result
    assert all(row["letters"] for row in found["letters"])
    assert len(found["letters"]) == len(scoring.scores(config).result["rows"])


def test_replicates_differ_in_the_seed_of_the_training_and_in_nothing_else(in_tiny_home):
    for keep, stops in (("last", False), ("best", True)):  # early, where the best epoch is kept
        config = preset("tiny", {"training.keep": keep}, seed=3)
        first, second = (learning.patient(config, seed=seed) for seed in (0, 1))
        assert (first.seed, second.seed) == (3, 3)
        assert second.training.seed == first.training.seed + 1
        assert second.training.patience == first.training.patience
        assert (first.training.patience > 0) == stops
    config = preset("tiny")
    rows = controls.replicates(config).result["rows"]
    assert sorted({row["seed"] for row in rows}) == [0, 1]
    trained = (learning.training(learning.patient(config, seed=seed)) for seed in (0, 1))
    one, other = (record.result["history"][0]["valid_perplexity"] for record in trained)
    assert one != other


# -- figures ---------------------------------------------------------------------------------------


def test_the_forest_stands_in_the_order_of_its_rows_with_the_real_input_on_top_and_filled():
    held = [controls.REAL, *names("title", "input")[:3]]
    rows = [
        (name, k, 0.1 * place + 0.01 * k, 0.1 * place, 0.1 * place + 0.1)
        for place, name in enumerate(held, start=1)
        for k in (1, 5)
    ]
    rows = pd.DataFrame(rows, columns=["control", "beam_size", "score", "low", "high"])
    ax = studies_controls.control_forest(rows)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == list(dict.fromkeys(rows["control"]))
    top, bottom = ax.get_ylim()[::-1]
    assert top < bottom
    marks = [mark for mark in ax.collections if isinstance(mark, PathCollection)]
    filled = [mark for mark in marks if mark.get_facecolor()[0][:3].min() < 1]
    dashed = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert [mark.get_offsets()[0][0] for mark in filled] == pytest.approx([11, 15])
    assert dashed == pytest.approx([11, 15])
    assert "(percent points)" in ax.get_xlabel()
    first, second = marks[0], marks[2]  # beam sizes differ in colour and marker
    assert not np.allclose(first.get_edgecolor(), second.get_edgecolor())
    assert not np.array_equal(first.get_paths()[0].vertices, second.get_paths()[0].vertices)


def test_score_and_length_share_their_beam_sizes_and_colours():
    rows = [
        (name, k, 0.1, 0.05, 0.2, 0.08, length)
        for name, length in (("songs: timbre", 4.0), ("songs: spectrogram", 3.0))
        for k in (1, 5, 20)
    ]
    columns = ["input", "beam_size", "score", "low", "high", "chance", "mean_length"]
    upper = studies_length.score_and_length(pd.DataFrame(rows, columns=columns))
    (under,) = upper.child_axes
    assert upper.get_shared_x_axes().joined(upper, under)
    assert under.get_ylabel() == "mean length (words)"
    assert [line.get_ydata()[0] for line in under.lines] == [4.0, 3.0]
    assert under.lines[0].get_color() == upper.containers[0].lines[0].get_color()
    assert upper.get_legend() is None
    assert under.get_legend() is not None


# -- notes -----------------------------------------------------------------------------------------


def test_the_note_on_controls_counts_those_that_are_cleared_and_names_the_highest(tmp_path):
    rows = [
        ("songs: timbre", 5, controls.REAL, 0.30, None, None),
        ("songs: timbre", 5, "noise", 0.10, 0.20, 0.001),
        ("songs: timbre", 5, "constant", 0.40, -0.10, 0.04),  # higher: not cleared, whatever p
        ("songs: timbre", 5, "words", 0.29, 0.01, 0.03),  # not after the correction
    ]
    columns = ["input", "beam_size", "control", "score", "difference", "p"]
    record = leave(
        tmp_path, "controls", rows=pd.DataFrame(rows, columns=columns).to_dict("records")
    )
    text = studies_controls.controls_note(record).text
    assert text == (
        "- songs: timbre, k = 5: 30.0 points; clears 1 of 3 controls; the highest, *constant*, "
        "has 40.0"
    )


def summary(input, seeds, series, each, most, matters):
    parts = {"seeds": seeds, "series": series, "both": 0.0}
    row = {"input": input, "beam_size": 5, "seeds": 3, "score": 0.2, "score_parts": parts}
    row |= {"score_low": 0.1, "score_high": 0.3, "gain": 0.001, "gain_low": -0.1, "p": 0.4}
    return row | {"gain_high": 0.1, "score_each": each, "most": most, "matters": matters}


def replicated(home):
    rows = [
        summary("x", 0.9, 0.1, [0.1, 0.2, 0.3], 0.0034, "no more than that"),
        summary("y", 0.2, 0.8, [0.2, 0.2, 0.2], 0.07, "cannot tell"),
    ]
    settings = {"smallest_effect": 1.0}
    return run_stage("replicates", lambda _: {"summary": rows}, settings=settings, home=home)


def test_the_note_on_seeds_says_where_they_matter_most_and_what_is_too_small_to_matter(tmp_path):
    text = studies_controls.seeds_note(replicated(tmp_path)).text
    assert "In 1 of 2 rows the trainings make more" in text
    assert "x, k = 5: 90 %, with scores from 10.0 to 30.0 points" in text
    assert "A gain below 1 (points)" in text
    assert "in 1 of 2 rows, where the gain is no more than 0.34 points." in text
    table = studies_controls.seeds_table(replicated(tmp_path))
    verdicts = ["no more than 0.34 points", "not told from 1 points, nor from more or less"]
    assert list(table["The gain is"]) == verdicts
    assert list(table["Mean"]) == ["20.0 [10.0, 30.0]"] * 2


def test_table_5_and_table_4_and_the_headline_hold_the_number_and_interval_of_page_9(tmp_path):
    record = replicated(tmp_path)
    name = "songs: timbre"
    record.result["summary"][0]["input"] = name
    row = {"score": 0.4, "low": 0.39, "high": 0.41, "chance": 0.1, "gain": 0.3, "p": 0.001}
    row |= {"gain_low": 0.2, "gain_high": 0.35, "tiles": 1, "items": 7}
    inputs = ("songs: spectrogram", name, "pictures 256×256")
    cells = [{"input": each, "beam_size": k} for each in inputs for k in (1, 5)]
    scores = pd.DataFrame([cell | row for cell in cells])
    several = search.over_trainings(scores, record)
    told = "20.0 × 3\n[10.0, 30.0]\n(19.9, +0.1, p 0.400)"
    shown = studies_controls.seeds_table(record).loc[0, "Mean"]
    assert told.replace(" × 3\n", " ").startswith(shown)
    table = search.table_4(several)
    assert table[(table["Input"] == name) & (table["What"] == "here")]["k = 5"].item() == told
    assert told in set(search.table_5(several)["here, k = 5"])
    assert search.table_4(several).loc[0, "k = 5"].startswith("40.0\n[39.0, 41.0]")
    best = search.headline(several[several["beam_size"] == 5].iloc[1:])
    assert [best[f"songs.{end}"] for end in ("score", "low", "high")] == ["20.0", "10.0", "30.0"]
    assert "× 3 are means over that many trainings" in search.interval_legend(several)
    assert "×" not in search.interval_legend(several.iloc[:1])


def test_the_note_on_lengths_counts_what_explains_the_steps(tmp_path):
    def step(change, length, content):
        row = {}
        for name, value in (("change", change), ("length", length), ("content", content)):
            row |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
        return row

    steps = [step(0.2, 0.2, 0.0), step(0.2, 0.0, 0.2), step(0.01, 0.3, -0.29), step(0.2, 0.3, -0.1)]
    text = studies_length.length_note(leave(tmp_path, "lengths", steps=steps)).text
    assert "Of 4 steps 3 change" in text
    assert "2 are length alone, 1 other words alone, 0 both" in text


def test_a_note_reads_which_bleu_it_was_from_the_record_and_an_earlier_one_does_not_say(tmp_path):
    named = {"bleu1": {"name": "words", "signature": "brevity:no"}}
    for settings, said in [({"bleu": named}, "words: `brevity:no`"), ({}, "does not say by which")]:
        record = run_stage("scores", lambda _: {}, settings=settings, home=tmp_path)
        assert said in tables.definition_note(record)
