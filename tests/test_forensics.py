"""Forensics: pairs are scored as the metrics score them, and a planted way of scoring is found."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songtitle import cache
from songtitle.config import SPECTROGRAM, TIMBRE, Input, preset
from songtitle.corpora import manifest
from songtitle.errors import InputError
from songtitle.experiment import forensics, paper_corpora, scoring
from songtitle.experiment.forensics import by_luck, distances, left_out, one_number
from songtitle.experiment.random_captions import (
    constant_for,
    constant_rows,
    content_free_rows,
    of_samples,
    random_pairs,
)
from songtitle.metrics.bleu import DEFINITIONS, score
from songtitle.metrics.chance import best_constant
from songtitle.metrics.pairs import CHOICES, LENGTHS, chosen, chosen_pair_scores, mean_bleu, pair_up
from songtitle.studies import forensics as study

WORDS = st.sampled_from(["a", "bb", "a", "cab", "dab", "é"])
TEXTS = st.lists(st.lists(WORDS, max_size=7), min_size=5, max_size=5)


def scored(hypotheses, references, definition, words=None):
    """Pairs in their own order, one draw."""
    each = np.arange(len(hypotheses))
    orders = len(definition.weights)
    pairs = pair_up(hypotheses, references, each, each, unit=definition.tokens, orders=orders)
    return float(mean_bleu(definition, *pairs.counts(words), pairs.wanted))


def made_up(count, seed, words=11):
    """Texts of one to nine words, drawn from a few."""
    generator = np.random.default_rng(seed)
    known = [f"{'abcdefghijk'[i]}{'xyz'[i % 3] * (i % 5)}" for i in range(words)]
    return [
        [str(word) for word in generator.choice(known, size=generator.integers(1, 10))]
        for _ in range(count)
    ]


# -- pairs ---------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(hypotheses=TEXTS, references=TEXTS, words=st.sampled_from([None, 1, 2, 3, 5]))
def test_pairs_score_what_the_metrics_score_whole_and_cut(hypotheses, references, words):
    cut = [text[:words] for text in hypotheses]
    for definition in DEFINITIONS.values():
        expected = score(cut, [[text] for text in references], definition).score
        assert scored(hypotheses, references, definition, words) == pytest.approx(expected)


def test_any_hypothesis_may_stand_against_any_reference_and_more_than_once():
    hypotheses, references = made_up(5, seed=0), made_up(3, seed=1)
    rows, columns = np.array([4, 0, 4, 2, 2, 1, 3]), np.array([2, 1, 0, 2, 2, 0, 1])
    pairs = pair_up(hypotheses, references, rows, columns, unit="letters")
    picked = [hypotheses[i] for i in rows], [[references[j]] for j in columns]
    expected = score(*picked, DEFINITIONS["letters"]).score
    got = mean_bleu(DEFINITIONS["letters"], *pairs.counts(), pairs.wanted)
    assert float(got) == pytest.approx(expected)


def test_no_caption_stands_against_itself_and_none_comes_twice_in_a_draw():
    generator = np.random.default_rng(0)
    rows, columns = random_pairs(13, None, pairs=11, draws=7, generator=generator)
    assert rows.shape == columns.shape == (7, 11)
    assert (rows != columns).all()
    assert all(len(set(draw)) == 11 for draw in (*rows, *columns))
    assert random_pairs(13, 5, pairs=11, draws=2, generator=generator)[1].max() == 4


# -- chance --------------------------------------------------------------------------------------


def rows_of(**changes):
    options = {"draws": 5, "seed": 0, "pairs": 31} | changes
    return list(content_free_rows(made_up(67, 0), {"msd": made_up(53, 1, words=7)}, **options))


def test_draws_follow_the_seed_every_cell_is_there_and_intervals_shrink_with_draws_alone():
    few, many = rows_of(draws=5), rows_of(draws=80)
    assert rows_of() == few
    assert [row["mean"] for row in rows_of(seed=1)] != [row["mean"] for row in few]
    cells = {(row["against"], row["words"], row["definition"]) for row in few}
    assert len(cells) == len(few) == 2 * (len(LENGTHS) + 1) * len(DEFINITIONS)
    assert all(row["low"] <= row["mean"] <= row["high"] for row in few + many)
    letters = [pd.DataFrame(rows).query("definition == 'letters'") for rows in (few, many)]
    assert min(letters[0]["spread"]) > 0
    width, wide = ((each["high"] - each["low"]).mean() for each in letters[::-1])
    assert width < 0.4 * wide  # sqrt(5 / 80) = 0.25, and Student's t
    spread, once = (each["spread"].mean() for each in letters[::-1])
    assert 0.5 < spread / once < 2


def test_equal_captions_are_drawn_once_so_that_no_copy_passes_for_another():
    copies = [["one", "caption"]] * 7 + [["quite", "different"], ["zzz"]]
    rows = list(content_free_rows(copies, {}, draws=2, seed=0))
    assert {row["pairs"] for row in rows} == {3}
    assert max(row["mean"] for row in rows if row["definition"] == "bleu1") == 0


@pytest.mark.parametrize(
    ("captions", "draws", "what"), [(made_up(5, 0), 1, "draws"), ([["a"], ["a"]], 3, "captions")]
)
def test_one_draw_or_one_caption_is_refused_by_name(captions, draws, what):
    with pytest.raises(InputError, match=f"{what}: expected at least two"):
        list(content_free_rows(captions, {"msd": made_up(3, 1)}, draws=draws, seed=0))


def planted_constants(mean, spread, against="msd", definition="nltk_3_2_5"):
    """What a record has that holds one constant."""
    row = {"against": against, "definition": definition, "wording": "as written", "text": "the of"}
    found = {"constants": [row | {"mean": mean, "spread": spread}]}
    found["collections"] = {"msd": "songs here", "fma": "others here"}
    return cache.Record("content_free", "key", {}, {}, {}, found, {}, {}, cache.OWN)


@pytest.mark.parametrize(
    ("mean", "spread", "reached"),
    [(0.20, 0.01, 0), (0.249, 0.009, 1), (0.99, 0.0, 5), (0.257, 0.0, 0), (0.2581, 0.0, 1)],
)
def test_the_paper_s_cells_within_reach_of_a_constant_are_counted_and_said(mean, spread, reached):
    found = study.constants(planted_constants(mean, spread), None)
    assert found["reached"].item() == reached  # the paper's greedy cell for Million Song is 25.8
    said = study.within_reach(found)
    assert ("some cells of songs are within reach" in said) == (reached > 0)
    assert ("no cell of songs is within reach" in said) == (reached == 0)


def test_letters_are_no_words_and_a_record_without_constants_says_so():
    found = study.constants(planted_constants(0.9, 0.0, definition="letters"), None)
    assert "is not told" in study.within_reach(found)
    found = study.constants(planted_constants(0.1, 0.0), planted_constants(0.9, 0.0, "fma"))
    assert found["titles"].tolist() == ["FMA titles, as written"]  # real titles go first


@pytest.mark.parametrize("name", ["precision", "bleu1", "letters"])
def test_the_constant_of_a_definition_of_single_words_is_the_best_there_is(name):
    texts, definition = made_up(23, 3, words=7), DEFINITIONS[name]
    units = [list(" ".join(words)) if name == "letters" else words for words in texts]
    said = constant_for(units, definition)
    best = best_constant(units, words_at_most=len(said), brevity=definition.brevity)
    assert sorted(said) == sorted(best)


def test_a_constant_by_nltk_s_weights_scores_more_than_any_of_one_or_two_words():
    texts, definition = made_up(31, 5, words=9), DEFINITIONS["nltk_3_2_5"]
    known = sorted({word for words in texts for word in words})
    references = [[words] for words in texts]

    def worth(said):
        return score([said] * len(texts), references, definition).score

    short = [[first, *rest] for first in known for rest in ([], *([word] for word in known))]
    assert worth(constant_for(texts, definition)) >= max(map(worth, short))


def test_a_constant_is_judged_on_titles_that_did_not_choose_it():
    # Every title is a word of its own: what was chosen on one half is not found in the other.
    titles = {"msd": [[f"word{i}"] for i in range(40)]}
    rows = list(constant_rows(titles, seed=0))
    assert {row["definition"] for row in rows} == set(DEFINITIONS)
    assert all(row["mean"] == 0 for row in rows if "letters" not in row["definition"])
    with pytest.raises(InputError, match="msd: expected at least two titles"):
        list(constant_rows({"msd": [["one"]]}, seed=0))


# -- ways ----------------------------------------------------------------------------------------

WHOLE, TILED = Input("pictures", tile=256), Input("pictures", tile=32)
CELLS = [(WHOLE, 1), (WHOLE, 5), (TIMBRE, 5), (TIMBRE, 10), (SPECTROGRAM, 5)]


def outputs(cell, items=17):
    """Made-up hypotheses of a beam of three, of different lengths, and the references."""
    seed = 100 * CELLS.index(cell)
    generator = np.random.default_rng(seed)
    beams = [made_up(items, seed + rank, words=5 + rank) for rank in range(3)]
    log_probs = -np.sort(generator.gamma(3.0, 2.0, size=(items, 3)))
    found = [
        [[words, float(p)] for words, p in zip(texts, logs, strict=True)]
        for texts, logs in zip(zip(*beams, strict=True), log_probs, strict=True)
    ]
    found[0] = found[0][:2]  # a search may find fewer
    return found, made_up(items, seed + 7, words=6)


def test_ways_score_what_the_metrics_score():
    found, references = outputs(CELLS[2])
    listed = [[reference] for reference in references]
    for (name, choice), value in forensics.scores_by_way(found, references).items():
        definition = DEFINITIONS[name]
        if definition.average == "sentences":
            pairs = chosen_pair_scores(found, references, definition, choice)
            expected = np.diagonal(pairs).mean()
        elif choice in ("top", "normalised"):
            expected = score(chosen(found, choice), listed, definition).score
        else:
            continue
        assert value == pytest.approx(expected), (name, choice)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["precision", "nltk_3_2_5", "letters"])
def test_scores_made_in_a_planted_way_are_nearest_to_that_way(name, choice):
    printed, ways = {}, {}
    for cell in CELLS:
        found, references = outputs(cell)
        pairs = chosen_pair_scores(found, references, DEFINITIONS[name], choice)
        printed[cell] = float(np.diagonal(pairs).mean())
        for way, value in forensics.scores_by_way(found, references).items():
            ways.setdefault(way, {})[cell] = value
    listed = {(forensics.OURS, *way): guess for way, guess in ways.items()}
    result = forensics.measured(listed, printed, seed=0)
    best = min(result["distances"], key=lambda row: row["all"])
    assert (best["definition"], best["choice"]) == (name, choice)
    assert best["all"] == pytest.approx(0, abs=1e-12)
    (left,) = result["left_out"]
    assert (left["definition"], left["choice"], left["rank"]) == (name, choice, 1)
    assert result["tried"] == {forensics.OURS: 24, "in all": 24}


def test_an_example_without_hypotheses_is_refused():
    with pytest.raises(InputError, match="expected a hypothesis of each example, example 1 has"):
        forensics.scores_by_way([[[["a"], -1.0]], []], [["a"], ["b"]])


def test_captions_as_long_as_outputs_lie_between_those_of_whole_words():
    rows = [
        {"wording": "cleaned", "definition": "letters", "against": against, "words": words}
        | {"mean": (words or 20) / (100 if against == "msd" else 50)}
        for against in ("msd", "fma", "captions")
        for words in (*LENGTHS, None)
    ]
    lengths = {(TIMBRE, 1): 2.5, (TILED, 5): 12.5}
    ways = {choice: guess for (*_, choice), guess in forensics.caption_ways(rows, lengths, "x")}
    assert ways["first 4"] == {(TIMBRE, 1): 0.04, (TILED, 5): 0.08}
    assert ways["whole"] == {(TIMBRE, 1): 0.2, (TILED, 5): 0.4}
    assert ways[forensics.AS_LONG] == pytest.approx({(TIMBRE, 1): 0.025, (TILED, 5): 0.25})


# -- distances -----------------------------------------------------------------------------------

PRINTED = {(TILED, 1): 0.5, (TILED, 5): 0.6, (TIMBRE, 1): 0.25}


def test_distances_are_means_over_the_cells_of_each_part_and_one_number_is_the_nearest():
    guess = {(TILED, 1): 0.4, (TILED, 5): 0.9, (TIMBRE, 1): 0.3}
    expected = {"all": 0.15, "songs": 0.05, "greedy": 0.075, "msd": 0.05, "rest": 0.2}
    assert distances(guess, PRINTED) == pytest.approx(expected)
    best = one_number(PRINTED)["all"]
    tried = [distances(dict.fromkeys(PRINTED, x), PRINTED)["all"] for x in np.linspace(0, 1, 101)]
    assert best == pytest.approx(min(tried))


def test_a_way_is_chosen_on_one_part_and_ranked_on_another():
    rows = [{"rest": 0.3, "msd": 0.1}, {"rest": 0.1, "msd": 0.4}, {"rest": 0.2, "msd": 0.2}]
    found = left_out(rows, on="rest", judged="msd")
    assert found == rows[1] | {"tried": 3, "rank": 3, "typical": 0.2, "least": 0.1}


def test_the_more_blind_guesses_the_nearer_the_best_of_them():
    luck = [by_luck(PRINTED, n, generator=np.random.default_rng(0))["mean"] for n in (1, 10, 100)]
    assert luck[0] > luck[1] > luck[2] > 0


# -- a whole run, and what is shown of it --------------------------------------------------------


def test_a_tiny_run_measures_every_way_and_the_note_follows_the_numbers(
    in_tiny_home, tmp_path, monkeypatch
):
    monkeypatch.delenv(manifest.SAMPLES, raising=False)  # neither samples nor published answers
    monkeypatch.setattr(cache, "OWN", tmp_path)
    monkeypatch.setattr(cache, "PUBLISHED", tmp_path)
    config = preset("tiny", draws=2)
    here, record = forensics.content_free(config), forensics.readings(config)
    result = record.result
    assert result["cells"]["all"] == 4  # two tile sizes and two kinds of songs, greedy
    assert result["tried"] == {forensics.OURS: 24, forensics.CAPTIONS_HERE: 72, "in all": 96}
    assert len(result["scores"]) == 4 * 24
    assert all(0 <= row[part] <= 1 for row in result["distances"] for part in ("all", "songs"))
    table, ways = (
        pd.DataFrame(rows).query("input == 'pictures 128×128' and beam_size == 1")
        for rows in (scoring.scores(config).result["rows"], result["scores"])
    )
    way = ways.query("definition == 'bleu1' and choice == 'top'")
    assert way["score"].item() == pytest.approx(table["score"].item())

    shown = study.content_free(here, None)
    assert len(shown) == 6
    assert shown["letters, BLEU-1"].str.contains("±").all()
    assert len(study.nearest(record)) == 2 + 2
    assert [len(frame) for _, frame in study.distance_maps(record)] == [6, 6]
    assert [title for title, *_ in study.prefix_panels(here, None)] == [
        "words, BLEU-1: captions of this run",
        "letters, BLEU-1: captions of this run",
    ]
    note = study.forensic_note(record, here, None)
    assert "hypothesis" in note.title
    assert "no number here can tell" in note.text
    for flat, said in ((0.0, "no nearer than"), (1.0, ": nearer than")):
        result["one_number"]["all"]["all"] = flat
        assert said in study.forensic_note(record, here, None).text
    for value, said in ((0.0, "no cell of songs is within"), (0.9, "some cells of songs are")):
        for row in here.result["constants"]:
            row["mean"], row["spread"] = value, 0.0
        assert said in study.forensic_note(record, here, None).text


def test_beam_sizes_that_the_paper_has_not_are_refused_with_those_it_has():
    with pytest.raises(InputError, match=r"beam_sizes: expected one .*\(1, 5, 10, 15, 20\), got 3"):
        forensics.printed_cells(preset("tiny", beam_sizes=[3]))


def test_the_map_of_distances_writes_every_number_and_names_every_source(fresh_figures):
    columns = pd.MultiIndex.from_tuples([("ours", "top"), ("ours", "best"), ("captions", "whole")])
    frame = pd.DataFrame([[6.4, 20.0, 35.5], [1.0, 2.0, 3.0]], ["letters", "words"], columns)
    axis = study.distance_map(frame, ax=plt.figure().subplots())
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["6.4", "20.0", "35.5", "1.0", "2.0", "3.0", "ours", "captions"]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["letters", "words"]


def test_curves_of_beginnings_end_with_the_whole_and_the_paper_stands_apart(fresh_figures):
    curves = pd.DataFrame(
        [["titles", None, 26.0, 25.0, 27.0], ["titles", 4, 36.0, 35.0, 37.0]],
        columns=["against", "words", "mean", "low", "high"],
    ).astype({"words": float})
    cells = pd.DataFrame([["titles", "greedy", 25.8]], columns=["against", "k", "value"])
    axis = study.prefix_curves(curves, cells, plt.figure().subplots())
    line = axis.containers[0].lines[0]
    assert list(line.get_ydata()) == [36.0, 26.0]
    (mark,) = axis.collections[-1].get_offsets()
    assert mark[0] > max(line.get_xdata())
    assert mark[1] == 25.8
    assert "words" in axis.get_xlabel()
    assert "percent" in axis.get_ylabel()


# -- the paper's own kind of text ----------------------------------------------------------------


def test_real_captions_score_by_chance_what_one_draw_had_shown(real_data):
    """Single draws of 1,000 pairs, made once by other code with one or the other wording."""
    result = of_samples(
        *(real_data / name for name in paper_corpora.QUESTIONS["content_free"].places[-1].files)
    )
    found = {
        (row["wording"], row["against"], row["words"], row["definition"]): row
        for row in result["scores"]
    }
    single = {
        ("as written", "msd", None, "bleu1"): 1.2,
        ("as written", "msd", None, "letters"): 26.9,
        ("as written", "msd", None, "letters_precision"): 27.7,
        ("as written", "msd", 4, "letters"): 35.9,
        ("cleaned", "fma", None, "bleu1"): 1.2,
        ("cleaned", "fma", None, "letters"): 22.7,
        ("cleaned", "fma", None, "letters_precision"): 23.1,
        ("as written", "captions", None, "bleu1"): 7.7,
        ("as written", "captions", None, "letters"): 48.0,
        ("as written", "captions", None, "letters_precision"): 66.3,
    }
    for cell, value in single.items():
        row = found[cell]
        assert abs(value / 100 - row["mean"]) < 3 * row["spread"] + 0.0005, cell
    hill = [found["as written", "msd", n, "letters"]["mean"] for n in (1, 4, None)]
    assert hill[0] < hill[2] < hill[1]
    climb = [found["as written", "captions", n, "letters"]["mean"] for n in (*range(1, 11),)]
    assert climb == sorted(climb)
    constants = {
        (row["wording"], row["against"], row["definition"]): row for row in result["constants"]
    }
    # Other code, another search and halves: 24.4 by NLTK 3.2.5 for Million Song titles as written.
    row = constants["as written", "msd", "nltk_3_2_5"]
    assert abs(row["mean"] - 0.244) < 3 * row["spread"]
