"""Every figure draws what it is given, and hands on its numbers and its finding."""

import ast
import base64
import csv
import io
import re
from inspect import signature
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawings import plots
from IPython.core.formatters import DisplayFormatter
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from songtitle import figures
from songtitle.book import figures as pages
from songtitle.errors import InputError
from songtitle.studies.gallery import tree_alt, tree_of
from songtitle.studies.training import Box

pytestmark = pytest.mark.usefixtures("fresh_figures")

INPUTS = ["pictures", "songs: timbre"]
SOUND = {"sample_rate": 22_050, "hop_length": 256, "n_fft": 512}


def table(columns, rows):
    return pd.DataFrame(rows, columns=columns.split())


def sweep(v=0.0):
    rows = [
        (name, k, s + v, s - 0.02 + v, s + 0.03 + v, 0.05, 0.003 * k + v, 4.0 + v)
        for name, base in zip(INPUTS, (0.2, 0.3), strict=True)
        for k, s in ((1, base), (5, base + 0.1), (20, base + 0.05))
    ]
    return table("input beam_size score low high chance seconds mean_length", rows)


def history(v=0.0):
    rows = [(1, 90.0 + v, 95.0), (2, 50.0, 70.0), (3, 30.0, 65.0 + v)]
    return table("epoch train_perplexity valid_perplexity", rows)


def funnel(v=0.0):
    rows = [("before", "all", 100), ("before", "no names", 36 + int(10 * v)), ("after", "all", 90)]
    return table("order step titles", rows)


def domains(v=0.0):
    rows = [("a.example", 1200, 0.9, 0.88, 0.92), ("b.example", 7, 0.7 + v, 0.65, 0.99)]
    return table("domain links alive low high", rows)


def maps(v):
    rows = [
        (x + v, 2.0 * x, kind, p, start, 0.9 - v, 0.1 * p)
        for p in (5, 30)
        for start in ("pca", "seed 1")
        for x, kind in ((1.5, "picture"), (-2.25, "song"))
    ]
    return table("x y kind perplexity start trustworthiness mixing", rows)


def by_kind(v):
    rows = [
        (kind, number, value + v, value - 0.05, value + 0.4, 0.5)
        for number in ("mixing", "inside")
        for kind, value in (("pictures", 0.31), ("songs", 0.42))
    ]
    return table("kind number value low high chance", rows)


def distances(v):
    columns = pd.MultiIndex.from_tuples([("ours", "top"), ("wrong references", "top")])
    values = [[6.4, 20.0], [31.5, 2.25 + v]]
    return pd.DataFrame(values, ["letters", "words"], columns)


def prefixes(v):
    rows = [("titles", 4, 36.0 + v, 35.0, 37.5), ("titles", None, 26.0, 25.0, 27.0)]
    curves = table("against words mean low high", rows).astype({"words": float})
    return curves, table("against k value", [["titles", "greedy", 25.8]])


def answer(v):
    rows = [
        (about, measure, score + v, low, high)
        for about in ("songs: timbre", "photos")
        for measure, score, low, high in (
            ("the paper", 0.456, np.nan, np.nan),
            ("this book", 0.015, 0.005, 0.4),
            ("chance", 0.0125, np.nan, np.nan),
        )
    ]
    return table("about measure score low high", rows)


def changes(v):
    rows = [
        ("dropout: 0.2 → none", 0.021 + v, 0.011, 0.4, True, 0.002),
        ("words: twice → once", -0.013, -0.031, 0.007, False, -0.001),
        ("decibels: 80 dB → 40 dB", np.nan, np.nan, np.nan, None, np.nan),
    ]
    ends = "score_change score_change_low score_change_high score_clear gain_change"
    return table(f"name {ends}", rows)


def controls(v):
    rows = [
        (name, k, s + v, s - 0.03, s + 0.4)
        for name, s in (("real", 0.31), ("noise", 0.27), ("wrong titles", 0.12))
        for k in (1, 5)
    ]
    return table("control beam_size score low high", rows)


def matching(v):
    rows = [
        ("songs: timbre", "listener", 0.1, 5.25 + v),
        ("songs: timbre", "captioner", None, -0.5),
    ]
    return table("input who penalty z", rows)


def words_kept(v):
    rows = [("songs", kept, 0.1 * kept + v, 0.05, 0.6, 0.02) for kept in (1, 2, 3)]
    return table("input kept score low high chance", rows)


def references(v):
    rows = [(who, n, 0.2 * n + v, 0.1, 0.9) for who in ("human", "random") for n in (1, 2, 3)]
    return table("who references mean low high", rows)


def gains(v):
    rows = [
        (name, seed, 1, 0.031 + v, 0.001 * seed - 0.002, 0.4)
        for name in ("photos", "songs")
        for seed in (0, 5)
    ]
    return table("input seed beam_size gain gain_low gain_high", rows)


def growth(v):
    rows = [("search", "songs", [0.1 + v, 0.4], 1.5 + v), ("lookup", "songs", [0.03, 0.03], 0.0)]
    return table("what against values exponent", rows).assign(
        unit="seconds", sizes=[[100, 800]] * 2
    )


def ratios(v):
    rows = [("beam", "k = 5", "time", 1.17, 1.3, None), ("tile", "8", "time", 2.1 + v, 1.4, None)]
    return table("subject what quantity value at_most at_least", rows)


def labs(v):
    rows = [("characters", 0.21, 0.18, 0.26, 0.15, 0.62 + v, 0.57, 0.93, 0.51)]
    rows += [("wrong join", 0.21, 0.18, 0.26, 0.15, 0.22, 0.19, 0.29, 0.16)]
    ends = "{0}_score {0}_low {0}_high {0}_chance"
    return table(f"name {ends.format('before')} {ends.format('after')}", rows)


def stages(v):
    return [Box("Picture", f"3 × {256 + int(8 * v)}", "crop"), Box("LSTM", "512", "one layer")]


def planted(v):
    return table(
        "group tried lost", [("media", 30, 0), ("media", 2000 + int(8 * v), 0), ("disk", 7, 1)]
    )


def beams(v):
    return [
        {"tokens": ["a", "boy", "<eos>"], "log_probs": [-1.0 - v, -2.0, -0.5]},
        {"tokens": ["a", "<eos>"], "log_probs": [-1.0 - v, -3.0]},
    ]


def picture(v=0.0):
    return np.random.default_rng(0).random((3, 14, 28 if v else 21))


def decibels(v=0.0):
    return -80 * np.random.default_rng(int(8 * v)).random((7, 11))


def points(v=0.0):
    return np.array([[0.5, 0.25], [1.5, 2.25 - 20 * v], [0.75, 0.5], [3.5, -2.0 - v]]), list("abab")


def years(v=0.0):
    return [np.array([1999, 1926, 2007 - int(200 * v)]), np.array([1930, 31, 32])], ["tracks", "b"]


def verdicts(v):
    return pd.DataFrame([[3, 5 + int(8 * v)]], index=["numbers"], columns=["holds", "fails"])


def settings(v):
    return {"ours": decibels(v)[:, : 11 - int(8 * v)], "half": decibels(v)[:3]}


# Name -> what is drawn, changed by `v`; further settings; what must stand in its table for v = 0.
FIGURES = {
    "title_funnel": (funnel, {}, [100, 36, 90, "no names", "before"]),
    "link_survival": (domains, {"total": 0.93}, [1200, 7, 90, 88, 92, 70, 65, 99, 93, "a.example"]),
    "two_orders": (years, {}, [1999, 1926, 2007, 2, 1930, "tracks"]),
    "length_distribution": (lambda v: [1, 2, 2, 5 + int(8 * v)], {"name": "A"}, [1, 2, 5, 25, 50]),
    "perplexity_by_epoch": (
        history,
        {"references": {"unigram": 122.5}},
        [90, 50, 30, 95, 70, 65, 122.5, "training", "unigram"],
    ),
    "similarity_map": (points, {}, [0.5, 0.25, 2.25, -2, "a"]),
    "map_grid": (maps, {}, [1.5, 3, -2.25, -4.5, 5, 30, 0.9, "pca"]),
    "numbers_by_kind": (by_kind, {}, [0.31, 0.26, 0.71, 0.42, 0.5, "songs", "inside"]),
    "bleu_by_beam": (sweep, {}, [1, 5, 20, 40, 38, 43, "songs: timbre"]),
    "score_and_length": (sweep, {}, [30, 28, 33, 4]),
    "seconds_by_beam": (sweep, {}, [3, 15, 60]),
    "bleu_per_second": (sweep, {}, [20 / 0.003, 2000, 35 / 0.06]),
    "score_by_prefix": (words_kept, {}, [10, 20, 30, 5, 60, 2]),
    "control_forest": (controls, {}, [1, 5, 31, 28, 71, 27, "wrong titles"]),
    "listening_marks": (matching, {}, [5.25, -0.5, "captioner", "listener, penalty 0.1"]),
    "bleu_by_references": (
        references,
        {"quoted": {"theirs": 34.5}},
        [20, 40, 60, 10, 90, 34.5, "theirs"],
    ),
    "gains_by_seed": (gains, {}, [0, 5, 3.1, -0.2, 0.3, 40, "photos"]),
    "growth_lines": (growth, {}, [100, 800, 0.1, 0.4, 0.03, 1.5, "lookup"]),
    "ratio_bars": (ratios, {}, [0.9, 1.5, "yes", "no"]),
    "fault_dots": (planted, {}, [30, 2000, 2030, 7, 1, "media"]),
    "before_and_after": (labs, {}, [21, 18, 26, 15, 62, 57, 93, 51, "wrong join"]),
    "tornado": (
        changes,
        {"luck": 0.005},
        [2.1, 1.1, 40, -1.3, -3.1, 0.7, 0.2, -0.1, 0.5, "decibels: 80 dB → 40 dB", "not touched"],
    ),
    "answer_dots": (
        answer,
        {},
        [45.6, 1.5, 0.5, 40, 1.25, "songs: timbre", "the paper", "this book", "chance"],
    ),
    "distance_map": (distances, {}, [6.4, 20, 31.5, 2.25, "top, wrong references", "letters"]),
    "prefix_curves": (prefixes, {}, [4, 36, 35, 37.5, 26, 25.8, "all", "paper, greedy"]),
    "verdict_bars": (verdicts, {}, [3, 5, "numbers", "fails"]),
    "show_spectrogram": (decibels, SOUND, [float(value) for value in decibels(0).ravel()]),
    "mark_span": (
        lambda v: (1.25, 2.5 + v),
        {},
        [1.25, 2.5, "shown to the network", float(decibels(0)[3, 5])],
    ),
    "show_picture": (picture, {}, ["a picture in colour", 21, 14]),
    "show_tiles": (picture, {"size": 7}, ["a picture in colour", 21, 14, "6 tiles", 7]),
    "timbre_bars": (
        lambda v: np.linspace(-900.0, 890.0 + 90 * v, 90),
        {},
        [-900, 890, 89, "12 means"],
    ),
    "draw_captioner": (stages, {"words": ["a", "heron"]}, ["Picture", "3 × 256", "heron"]),
    "draw_two_steps": (lambda v: (stages(v), stages(v)), {}, ["LSTM", "512", "one layer"]),
    "beam_tree": (beams, {}, ["boy", -3.5, -1, -4, 2]),
    "settings_panels": (settings, {"stated": (7, 13)}, ["ours", 7, 11, 3, 13]),
}
# What a finding counts, averages or takes a share of: that follows from the table.
DERIVED = {
    "title_funnel": {64},
    "two_orders": {50},
    "length_distribution": {2.5, 4},
    "similarity_map": {0, 100},
    "map_grid": {4},
    "control_forest": {0, 2},
    "gains_by_seed": {2},
    "growth_lines": {2},
    "ratio_bars": {1, 2},
    "before_and_after": {2},
    "tornado": {1, 2, 95},
    "prefix_curves": {2},
    "distance_map": {2, 4, 10},
    "verdict_bars": {8},
    "show_spectrogram": {44.4},
    "mark_span": {44.4},
}
WORDS_ALONE = {"draw_captioner", "draw_two_steps", "beam_tree"}
FRAMED = [name for name, (data, *_) in FIGURES.items() if isinstance(data(0.0), pd.DataFrame)]
FRAMED = sorted({*FRAMED} - {"distance_map", "verdict_bars"})  # these take whatever columns come
ON_AN_AXIS = sorted(set(FIGURES) - {"settings_panels"})


def draw(name, v=0.0, ax=None):
    data, settings, _ = FIGURES[name]
    given = found if isinstance(found := data(v), tuple) else (found,)
    if name == "mark_span":
        ax = plots.show_spectrogram(decibels(0), **SOUND, ax=ax)
    return getattr(plots, name)(*given, **settings, **({} if ax is None else {"ax": ax}))


def drawn(name, v=0.0):
    made = draw(name, v)
    return getattr(made, "figure", made)


def cells(text):
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row]


def numbers(text):
    found = []
    for cell in cells(text):
        try:
            found.append(float(cell))
        except ValueError:
            continue
    return np.array(found)


def test_every_figure_function_has_an_example_here():
    draws = {name for name, made in vars(plots).items() if "ax" in signature(made).parameters}
    draws -= {
        "hand_on",
        "legend_below",
        "name_rows",
        "own_axes",
        "bare",
        "count_along",
        "curves",
    }  # they draw nothing of their own
    assert set(FIGURES) == draws | {"settings_panels"}


@pytest.mark.parametrize("name", FIGURES)
def test_the_table_of_a_figure_holds_every_number_drawn(name):
    text = plots.csv_of(drawn(name))
    found, words = numbers(text), cells(text)
    for wanted in FIGURES[name][2]:
        if isinstance(wanted, str):
            assert wanted in words
        else:
            assert np.isclose(found, wanted, rtol=1e-4).any(), f"{wanted} is not in\n{text}"


@pytest.mark.parametrize("name", FIGURES)
def test_the_alt_text_is_whole_sentences_that_move_when_the_data_do(name):
    text = plots.alt_of(drawn(name))
    assert text == plots.alt_of(drawn(name)) != plots.alt_of(drawn(name, 0.125))
    assert text[0] == text[0].upper()
    assert text.endswith((".", "!", "?"))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b|\.\.|  |_child", text)
    assert len(text) < 700
    assert name in WORDS_ALONE or re.search(r"\d", text)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_is_the_same_bytes_and_leaves_what_is_drawn_as_it_was(name, monkeypatch):
    given, before = FIGURES[name][0](0.0), FIGURES[name][0](0.0)
    monkeypatch.setitem(FIGURES, name, (lambda v: given, *FIGURES[name][1:]))
    first, second = (figures.svg_of(drawn(name)) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first
    assert repr(given) == repr(before)


@pytest.mark.parametrize("name", ON_AN_AXIS)
def test_a_figure_returns_the_axis_it_was_given_or_one_of_its_own(name):
    _, given = plt.subplots(figsize=(8, 4))
    assert draw(name, ax=given) is given
    assert draw(name) is not given


@pytest.mark.parametrize("name", FIGURES)
def test_a_number_of_the_finding_stands_in_the_table_or_is_a_count_a_mean_or_a_share(name):
    table, said = plots.csv_of(drawn(name)), plots.alt_of(drawn(name))
    held = np.array(re.findall(r"\d+(?:\.\d+)?", table), float)
    told = {float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", said)}
    found = {each for each in told if np.isclose(held, each, rtol=6e-3).any()}
    assert found
    assert told - found == DERIVED.get(name, set())


@pytest.mark.parametrize("name", FRAMED)
def test_a_frame_without_rows_or_without_a_column_is_refused_by_name(name, monkeypatch):
    frame = FIGURES[name][0](0.0)
    column = frame.columns[0]
    for less, said in ((frame.iloc[:0], "no rows"), (frame.drop(columns=column), f"no {column}")):
        monkeypatch.setitem(FIGURES, name, (lambda v, less=less: less, *FIGURES[name][1:]))
        with pytest.raises(InputError, match=rf"\w: expected rows with columns .*, got {said}"):
            draw(name)


@pytest.mark.parametrize(
    "name", ["perplexity_by_epoch", "seconds_by_beam", "bleu_per_second", "growth_lines"]
)
def test_curves_differ_in_colour_marker_and_line_style(name):
    curves = [li for li in draw(name).lines if li.get_marker() != "None"]
    looks = [(li.get_color(), li.get_marker(), li._dash_pattern) for li in curves]
    for feature in zip(*looks, strict=True):
        assert len(set(map(str, feature))) == len(curves)


@pytest.mark.parametrize("name", FIGURES)
def test_labels_name_columns_of_the_table_and_ends_of_intervals_are_in_order(name):
    figure = drawn(name)
    data = plots.data_of(figure)
    within = [child for ax in figure.axes for child in ax.child_axes]
    heads = {figures.split_unit(column)[0] for column in data}
    for ax in [*figure.axes, *within]:
        for label in (ax.get_xlabel(), ax.get_ylabel()):
            if label.endswith(")") and "×" not in label:
                assert any(head.startswith(label.split(" (")[0]) for head in heads)
    ends = data.reindex(columns=["low", "high"]).dropna().astype(float)
    assert (ends["low"] <= ends["high"]).all()


@pytest.mark.parametrize("name", ON_AN_AXIS)
def test_no_two_panels_are_confused(name):
    figure, axes = plt.subplots(1, 2, figsize=(16, 4))
    for ax, title, v in zip(axes, ("first", "second"), (0.0, 0.125), strict=True):
        draw(name, v, ax).set_title(title)
    whole, said = plots.data_of(figure), plots.alt_of(figure)
    for title, v in (("first", 0.0), ("second", 0.125)):
        part = whole[whole["panel"] == title].drop(columns="panel").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, plots.data_of(drawn(name, v)))
        alone = plots.alt_of(drawn(name, v))
        assert f"{title}: {alone}".lower() in said.lower()


@pytest.mark.parametrize(
    ("name", "labels"),
    {
        "link_survival": "(%)",
        "two_orders": "row of the list|year of",
        "length_distribution": "(words)|(%)",
        "perplexity_by_epoch": "epoch|(per token)",
        "similarity_map": "(no unit)|(no unit)",
        "bleu_by_beam": "(hypotheses kept)|(percent points)",
        "seconds_by_beam": "(hypotheses kept)|(ms)",
        "bleu_per_second": "(hypotheses kept)|(percent points / s)",
        "show_spectrogram": "(s)|(kHz)",
        "tornado": "(percent points)",
    }.items(),
)
def test_units_stand_on_the_axes_and_in_the_heads_of_the_table(name, labels):
    ax, head = draw(name), plots.csv_of(drawn(name)).split("\n")[0]
    for label, unit in zip((ax.get_xlabel(), ax.get_ylabel()), labels.split("|"), strict=False):
        assert unit in label
        assert unit in head


def test_a_large_spectrogram_is_thinned_and_says_so():
    values = -np.arange(100 * 200, dtype=float).reshape(100, 200)
    frame = plots.data_of(plots.show_spectrogram(values, **SOUND).figure)
    assert frame.columns[-1] == "level (dB, 0 at the peak), one square in 3 × 5"
    assert len(frame) == 34 * 40
    time, frequency, level = frame.iloc[41]
    assert level == values[3, 5]
    assert frequency == pytest.approx(3 * 22.05 / 512)
    assert time == pytest.approx((5 * 256 + 512 / 2) / 22_050)


# -- handing on ------------------------------------------------------------------------------------


@pytest.fixture
def ax():
    return plt.figure(figsize=(8, 4)).subplots()


def frame(name="size (cm)", value=1.0):
    return pd.DataFrame({name: [value]})


def test_what_is_handed_on_is_what_was_drawn_then_and_what_is_drawn_on_top_stands_below(ax):
    given = frame()
    plots.hand_on(ax, given, "it rises")
    given["size (cm)"] = 9.0
    assert plots.data_of(ax.figure)["size (cm)"].tolist() == [1]
    assert plots.alt_of(ax.figure) == "It rises."
    plots.hand_on(ax, frame(value=2.0), "it falls")
    assert plots.data_of(ax.figure)["size (cm)"].tolist() == [1, 2]
    assert plots.alt_of(ax.figure) == "It rises; it falls."


def test_panels_without_a_name_or_of_one_name_are_numbered():
    figure, axes = plt.subplots(1, 4)
    for panel, title in zip(axes, ("", "a", "a", "b"), strict=True):
        plots.hand_on(panel, frame(), "it rises", panel="given" if title == "b" else "")
        panel.set_title(title)
    assert plots.data_of(figure)["panel"].tolist() == ["panel 1", "a", "a (3)", "given"]


def test_an_axis_that_hands_nothing_on_is_refused_and_one_without_ink_is_not():
    figure, axes = plt.subplots(1, 3)
    plots.hand_on(axes[0], frame(), "it rises")
    axes[2].set_visible(False)
    assert plots.alt_of(figure) == "It rises."
    axes[1].plot([1, 2])
    axes[1].set_title("bare")
    for text_of in (plots.alt_of, plots.csv_of, plots.data_of):
        with pytest.raises(InputError, match=r"axis 'bare': expected .* ink alone; .*hand_on\(ax"):
            text_of(figure)


def test_an_axis_speaks_for_those_within_it(ax):
    ax.inset_axes((0.1, 0.1, 0.5, 0.5)).plot([1, 2])
    plots.hand_on(ax, frame(), "it rises")
    assert plots.alt_of(ax.figure) == "It rises."


def test_what_is_empty_is_refused_and_told_what_to_do(ax):
    with pytest.raises(InputError, match=r"expected something drawn.*hand_on"):
        plots.alt_of(plt.figure())
    for rows, finding in ((frame().iloc[:0], "it rises"), (frame(), " ")):
        with pytest.raises(InputError, match="expected rows and a finding, got"):
            plots.hand_on(ax, rows, finding)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x"])
def test_no_text_is_a_formula_to_a_spreadsheet(name, ax):
    plots.hand_on(ax, pd.DataFrame({name: [2.0], "of": [name]}), "it rises", panel=name)
    assert not [cell for cell in cells(plots.csv_of(ax.figure)) if cell.startswith(name)]
    assert f"'{name}" in plots.csv_of(ax.figure)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3_346_732.0, "3346732"), (-5.5, "-5.5"), (1 / 3, "0.33333"), (np.nan, ""), (None, "")],
)
def test_a_number_is_written_as_a_number_and_a_missing_one_is_an_empty_cell(value, text, ax):
    plots.hand_on(ax, pd.DataFrame({"of": ["a", "b"], "size": [value, 1.0]}), "it rises")
    assert plots.csv_of(ax.figure) == f"of,size\na,{text}\nb,1\n"


# -- words -----------------------------------------------------------------------------------------


def test_extremes_are_told_with_their_place_and_their_interval():
    rows = {"size (cm)": [1, 2, 3], "count (songs)": [5.0, 9.0, 7.0], "low": [4.0, 7, 6]}
    found = pd.DataFrame(rows | {"high": [6.0, 11, 8], "of": "a"})
    assert figures.extremes(found, "count (songs)", at="size (cm)", of="of") == (
        "highest count: 9 songs (7 to 11) at size 2; lowest: 5 (4 to 6) at size 1; a from 5 to 7"
    )


def test_of_many_lines_those_that_rise_are_counted_and_what_is_missing_is_left_out():
    rows = [(name, k, k * (name < "c")) for name in "abcd" for k in (1.0, 2.0)]
    found = pd.DataFrame([*rows, ("e", 3.0, np.nan)], columns=["of", "k", "score"])
    said = figures.extremes(found, "score", at="k", of="of")
    assert said.startswith("highest score: 2 for a at k 2; lowest: 0 for c at k 1; 2 of 4 lines")
    assert figures.extremes(found[-1:], "score", at="k") == "no score to show"
    assert figures.extremes(found[:1], "score", at="k") == "score: 1"


@pytest.mark.parametrize(
    ("value", "label", "text"),
    [
        (1234.5, "", "1,234"),
        (0.5, "share (%)", "0.5 %"),
        (-2.25, "x (no unit)", "−2.25"),
        (1.0, "length (words)", "1 word"),
        (2e-5, "", "2.00e-05"),
        (float("nan"), "", "nothing"),
    ],
)
def test_an_amount_is_said_with_its_unit(value, label, text):
    assert figures.amount(value, label) == text


# -- notebooks -------------------------------------------------------------------------------------


def test_a_notebook_keeps_the_table_and_the_words_of_a_figure_and_of_nothing_else(ax, capsys):
    display = DisplayFormatter()
    figures.add_formatters(display)
    data, _ = display.format(drawn("seconds_by_beam"))
    assert data["text/csv"] == plots.csv_of(drawn("seconds_by_beam"))
    assert data[figures.ALT] == plots.alt_of(drawn("seconds_by_beam"))
    assert set(display.format(3)[0]) == {"text/plain"}
    assert (figures.ALT, figures.CSV) == (pages.ALT, pages.CSV)
    ax.plot([1, 2])  # a reader's own
    assert not {figures.ALT, figures.CSV} & set(display.format(ax.figure)[0])
    assert not capsys.readouterr().err


def cell(data, figure=True):
    about = {"figure": {"name": "fig-x", "caption": "C"}, "image": {"alt": "A chart."}}
    metadata = {"mystnb": about} if figure else {}
    return {"metadata": metadata, "outputs": [{"output_type": "display_data", "data": data}]}


def test_what_was_found_follows_what_a_figure_is_and_one_that_says_nothing_stops_the_run():
    made = cell({"image/svg+xml": "<svg/>", figures.ALT: "It rises.", "text/csv": "a"})
    pages.describe(made)
    assert made["metadata"]["mystnb"]["image"]["alt"] == "A chart. It rises."
    assert set(made["outputs"][0]["data"]) == {"image/svg+xml", "text/csv"}
    again = {"metadata": {"mystnb": {"figure": {"name": "x"}}}, "outputs": made["outputs"]}
    with pytest.raises(InputError, match=r"x: expected a figure that says what it shows, got a"):
        pages.describe(again)
    with pytest.raises(InputError, match=r"fig-x: expected .*use_house_style"):
        pages.describe(cell({"image/png": "..."}))
    pages.describe(cell({"text/html": "<table>"}))
    pages.describe(cell({"image/png": "..."}, figure=False))


def test_a_smaller_svg_draws_the_same_letters_at_the_same_places():
    ax = plt.figure().subplots()
    ax.plot([1, 1e6], [1, 10], label="ab-cé")
    ax.set_yscale("log")  # exponents are scaled letters
    ax.legend()
    buffer = io.StringIO()
    ax.figure.savefig(buffer, format="svg", **figures.PRINT)
    whole, small = buffer.getvalue(), figures.small(buffer.getvalue())
    assert len(small) < 0.9 * len(whole)
    used = re.findall(r'xlink:href="#(g\w+)"', small)
    assert set(used) <= set(re.findall(r'<path id="(g\w+)"', small))
    assert len(re.findall("<use ", small)) == len(re.findall("<use ", whole))


def test_pictures_inside_an_svg_keep_their_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    for image in (pixels, np.tile(pixels[:1, :1], (9, 8, 1)), np.dstack([pixels, pixels[..., 0]])):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        code = figures._png(base64.b64encode(buffer.getvalue()).decode())
        back = Image.open(io.BytesIO(base64.b64decode(code)))
        mode = "RGBA" if image.shape[2] == 4 else "RGB"
        np.testing.assert_array_equal(np.asarray(back.convert(mode)), image)


def test_dense_marks_are_pixels_and_a_few_are_shapes():
    for count in (figures.DENSE // 10, 2 * figures.DENSE):
        cloud = np.random.default_rng(0).normal(size=(count, 2))
        text = figures.svg_of(plots.similarity_map(cloud, ["a"] * count).figure)
        assert ("<image" in text) == (count > figures.DENSE)
        assert len(text) < 200_000
        assert len(plots.data_of(plt.gcf())) == count


# -- colours ---------------------------------------------------------------------------------------

# Viénot, Brettel and Mollon 1999: what a reader without one kind of cone sees, of linear RGB.
BLIND = {
    "deuteranopia": [[0.29275, 0.70725, -0.02234], [0.29275, 0.70725, -0.02234], [0, 0, 1]],
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
}


def seen(colour, kind):
    rgb = np.array([int(to_hex(colour)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if kind == "grey":
        return np.repeat(linear @ [0.2126, 0.7152, 0.0722], 3) ** (1 / 2.4)
    return np.clip(np.array(BLIND[kind]) @ linear, 0, 1) ** (1 / 2.4)


@pytest.mark.parametrize("kind", BLIND)
def test_the_first_four_colours_differ_for_colour_blind_readers(kind):
    shown = [seen(colour, kind) for colour in figures.COLOURS[:4]]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(shown) for b in shown[:i]]
    assert min(apart) > 0.15
    red_green = [
        np.linalg.norm(seen(c, kind) - seen("#b0601e", kind)) for c in ("#2ca02c", "#d62728")
    ]
    assert min(red_green) < 0.35  # the measure does see what they confuse


# -- drawings ------------------------------------------------------------------------------------


def line(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_shares_by_length_add_up_to_100_percent_and_no_lengths_are_refused(ax):
    plots.length_distribution([1, 2, 2, 5], name="A", ax=ax)
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert heights == {1: 25, 2: 50, 5: 25}
    with pytest.raises(InputError, match="lengths of A"):
        plots.length_distribution([], name="A")


def test_one_giant_title_does_not_stretch_the_length_axis_but_is_told(ax):
    plots.length_distribution([3] * 5000 + [135], name="A", ax=ax)
    assert ax.get_xlim()[1] < 10
    assert "longest 135" in ax.texts[0].get_text()


def test_perplexities_are_drawn_as_given_and_references_as_level_lines(ax):
    plots.perplexity_by_epoch(history(), references={"unigram model": 122.0}, ax=ax)
    assert line(ax, "training").get_ydata().tolist() == [90, 50, 30]
    assert line(ax, "validation").get_ydata().tolist() == [95, 70, 65]
    assert set(line(ax, "unigram model: 122.0").get_ydata()) == {122}


def test_a_map_draws_each_item_once_under_its_label(ax):
    spots, labels = points()
    plots.similarity_map(spots, labels, ax)
    drawn = {
        dots.get_label(): dots.get_offsets()
        for dots in ax.collections
        if isinstance(dots, PathCollection)
    }
    np.testing.assert_array_equal(drawn["a (2)"], spots[::2])
    np.testing.assert_array_equal(drawn["b (2)"], spots[1::2])
    with pytest.raises(InputError, match="expected 4"):
        plots.similarity_map(spots, labels[:3])


def test_bleu_is_drawn_in_percent_points_with_its_interval_and_chance(ax):
    plots.bleu_by_beam(sweep(), ax=ax)
    bars = next(c for c in ax.containers if c.get_label() == "songs: timbre")
    values, _, (reach,) = bars.lines
    np.testing.assert_allclose(np.array(values.get_ydata(), float), [30, 40, 35])
    np.testing.assert_allclose(values.get_xdata(orig=False), [1, 5, 20], atol=0.5)
    ends = [segment[:, 1].tolist() for segment in reach.get_segments()]
    np.testing.assert_allclose(ends, [[28, 33], [38, 43], [33, 38]])
    chance = [li for li in ax.lines if li.get_marker() == "None" and len(li.get_xdata()) == 3]
    assert len(chance) == len(INPUTS)
    assert all(np.allclose(li.get_ydata(), 5) for li in chance)


@pytest.mark.parametrize(("factor", "unit", "first"), [(1, "(ms)", 3), (1000, "(s)", 3)])
def test_times_are_drawn_in_the_unit_they_state(factor, unit, first, ax):
    plots.seconds_by_beam(sweep().assign(seconds=lambda frame: factor * frame.seconds), ax)
    assert unit in ax.get_ylabel()
    assert line(ax, INPUTS[0]).get_ydata()[0] == pytest.approx(first)
    rate = plots.bleu_per_second(sweep())
    assert rate.get_yscale() == "log"
    drawn = line(rate, INPUTS[0]).get_ydata()
    np.testing.assert_allclose(drawn, [20 / 0.003, 30 / 0.015, 25 / 0.06])
    plots.bleu_per_second(sweep().assign(score=0.0), plt.figure().subplots()).figure.canvas.draw()


def test_scores_of_nothing_but_zero_are_drawn_without_a_logarithm(ax):
    rows = [("pictures", k, 0.0, 0.5) for k in (1, 5)]
    plots.bleu_per_second(table("input beam_size score seconds", rows), ax)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "linear"


def test_a_spectrogram_stands_on_seconds_and_kilohertz(ax):
    plots.show_spectrogram(decibels(), **SOUND, ax=ax)
    left, right, foot, top = ax.images[0].get_extent()
    frame, bin_ = (right - left) / 11, (top - foot) / 7
    assert left + frame / 2 == pytest.approx(256 / 22_050)  # the middle of the first window
    assert frame == pytest.approx(256 / 22_050)
    assert foot + bin_ / 2 == pytest.approx(0)
    assert bin_ == pytest.approx(22.050 / 512)
    assert ax.images[0].origin == "lower"
    assert "dB" in ax.figure.axes[-1].get_ylabel()


def test_a_picture_keeps_its_pixels_and_the_grid_cuts_it_where_the_tiles_end(ax):
    image = picture()
    plots.show_tiles(image, 7, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), image.transpose(1, 2, 0))
    upright, level = ax.collections[-2].get_segments(), ax.collections[-1].get_segments()
    assert [segment[0, 0] for segment in upright] == [7, 14]
    assert [segment[0, 1] for segment in level] == [7]
    assert ax.get_xlabel().startswith("6 ×")
    for size in (0, 4):
        with pytest.raises(InputError, match=r"tile size: expected a divisor of 21 x 14"):
            plots.show_tiles(image, size)


def test_the_funnel_writes_each_count_at_its_bar(ax):
    plots.title_funnel(funnel(), ax)
    assert [text.get_text() for text in ax.texts] == ["100", "36", "90"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all", "no names"]


def test_links_are_drawn_in_percent_with_their_interval_and_count(ax):
    plots.link_survival(domains(), total=0.93, ax=ax)
    (bars,) = ax.containers
    assert bars.lines[0].get_xdata() == pytest.approx([90, 70])
    ends = [segment[:, 0].tolist() for segment in bars.lines[2][0].get_segments()]
    assert ends == [pytest.approx([88, 92]), pytest.approx([65, 99])]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["a.example (1,200)", "b.example (7)"]


def test_rows_of_a_thinned_list_stand_at_their_own_numbers_and_each_list_needs_a_name(ax):
    plots.two_orders(*years(), every=5, ax=ax)
    assert ax.lines[0].get_xdata().tolist() == [0, 5, 10]
    with pytest.raises(InputError, match="years: expected 1 lists with rows, got"):
        plots.two_orders(years()[0], ["one"])


def test_the_house_style_is_white_so_that_figures_read_on_a_dark_page():
    for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
        assert to_rgba(plt.rcParams[key]) == (1, 1, 1, 1)


def test_what_figures_share_knows_nothing_of_torch():
    tree = ast.parse(Path(figures.__file__).read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        if name
    }
    assert not any(name.startswith("torch") or name == "songtitle.shapes" for name in modules)


# -- diagrams ------------------------------------------------------------------------------------

STAGES = [
    Box("Picture", "3 × 256 × 256", "random crop"),
    Box("tf_efficientnet_lite0", "1280", "frozen, with weights learnt on ImageNet"),
    Box("Linear + BatchNorm1d", "512"),
    Box("LSTM", "512", "one layer, dropout 0.2"),
]
WORDS = ["a", "great", "blue", "heron"]
LONG = Box("Antidisestablishmentarianism", "1,323,000 × 2 samples of sound", "seldom seen " * 3)
DIAGRAMS = {
    "one box": lambda: plots.draw_two_steps(STAGES[:1], STAGES[:1]),
    "mathematical signs": lambda: plots.draw_captioner([Box("$x_0$ & <eos>", "a_b^c")], ["$"]),
    "narrow axis": lambda: plots.draw_two_steps(
        STAGES, STAGES, plt.figure(figsize=(4, 3)).subplots()
    ),
    "captioner": lambda: plots.draw_captioner(STAGES[:3], WORDS, decoder=Box("LSTM", "512")),
    "long words": lambda: plots.draw_captioner([LONG] * 5, ["extraordinarily"] * 5),
    "one word": lambda: plots.draw_captioner(STAGES[:1], ["heron"]),
    "two steps": lambda: plots.draw_two_steps(STAGES, [*STAGES, LONG]),
}


@pytest.mark.parametrize("name", DIAGRAMS)
def test_every_text_of_a_box_stays_inside_it_touches_no_other_and_is_readable(name):
    ax = DIAGRAMS[name]()
    ax.figure.canvas.draw()
    boxes = [p.get_window_extent() for p in ax.patches if isinstance(p, FancyBboxPatch)]
    extents, boxed = [text.get_window_extent() for text in ax.texts], 0
    for i, extent in enumerate(extents):
        x, y = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        around = [box for box in boxes if box.contains(x, y)]
        if around:
            box = min(around, key=lambda box: box.width * box.height)
            assert box.x0 < extent.x0 < extent.x1 < box.x1, ax.texts[i].get_text()
            assert box.y0 < extent.y0 < extent.y1 < box.y1, ax.texts[i].get_text()
            boxed += 1
        assert not any(extent.shrunk(0.9, 0.7).overlaps(other) for other in extents[:i])
    assert boxed
    assert name == "narrow axis" or min(text.get_fontsize() for text in ax.texts) >= 5.5


def test_a_dollar_sign_in_a_box_is_not_read_as_mathematics():
    texts = [text for text in DIAGRAMS["mathematical signs"]().texts if "$" in text.get_text()]
    assert len(texts) == 3
    assert not any(text.get_parse_math() for text in texts)


def test_a_captioner_is_given_the_word_before_and_gives_the_next(ax):
    plots.draw_captioner(STAGES[:3], WORDS, ax)
    words = [t.get_text() for t in ax.texts if t.get_text() in {*WORDS, "<bos>", "<eos>"}]
    assert words == ["<bos>", *WORDS, *WORDS, "<eos>"]
    times = [t.get_text() for t in ax.texts if t.get_text().startswith("t =")]
    assert times == [f"t = {t}" for t in ["−1", *range(5)]]


def test_an_empty_diagram_is_refused():
    for made, *given in (
        (plots.draw_two_steps, [], STAGES),
        (plots.draw_two_steps, STAGES, []),
        (plots.draw_captioner, [], WORDS),
        (plots.draw_captioner, STAGES, []),
        (plots.beam_tree, []),
    ):
        with pytest.raises(InputError, match="expected at least one part"):
            made(*given)


# -- the tree of beams, and panels of settings -----------------------------------------------------

BEAMS = [
    {"tokens": ["a", "boy", "<eos>"], "log_probs": [-1.0, -2.0, -0.5]},
    {"tokens": ["a", "<eos>"], "log_probs": [-1.0, -3.0]},
    {"tokens": ["$x_1$", "boy", "<eos>"], "log_probs": [-1.5, -2.5, -0.25]},
    {"tokens": ["a", "boy", "boy"], "log_probs": [-1.0, -2.0, -4.0]},  # not finished
    {"tokens": ["<eos>"], "log_probs": [-9.0]},
]


def path_to(tree, node):
    tokens = []
    while node:
        tokens.append(tree["token"].iloc[node])
        node = tree["parent"].iloc[node]
    return tokens[::-1]


def test_every_path_from_the_root_to_a_rank_is_that_hypothesis_and_adds_up():
    tree = tree_of(BEAMS)
    ends = tree[tree["rank"] > 0].sort_values("rank")
    assert ends["rank"].tolist() == [1, 2, 3, 4, 5]
    for node, found in zip(ends["node"], BEAMS, strict=True):
        assert path_to(tree, node) == found["tokens"]
        assert tree["log_prob"].iloc[node] == pytest.approx(sum(found["log_probs"]))
    assert set(tree["node"]) - set(tree["parent"]) == set(ends["node"])
    starts = {tuple(b["tokens"][:n]) for b in BEAMS for n in range(len(b["tokens"]) + 1)}
    assert len(tree) == len(starts)  # every beginning is one node
    assert {tuple(path_to(tree, node)) for node in tree["node"]} == starts


def test_no_two_nodes_share_a_place_and_the_winner_is_the_top_line():
    tree = tree_of(BEAMS)
    assert not tree.duplicated(["depth", "height"]).any()
    assert set(tree.loc[tree["best"] == 1, "height"]) == {0}
    assert sorted(tree.loc[tree["rank"] > 0, "height"]) == list(range(len(BEAMS)))


def test_the_figure_holds_every_token_with_its_log_probability():
    ax = plots.beam_tree(BEAMS)
    frame = plots.data_of(ax.figure)
    assert len(frame) == len(tree_of(BEAMS))
    assert frame["token"].tolist().count("<eos>") == 4
    assert frame["log-probability (nats)"].tolist() == tree_of(BEAMS)["log_prob"].tolist()
    assert set(frame["rank"]) == set(range(6))
    shown = [text.get_text() for text in ax.texts]
    assert "$x_1$" in shown  # a token, no formula
    assert {"winner", "2.", "3.", "4.", "5."} <= set(shown)
    ax.figure.canvas.draw()


def test_the_words_for_a_tree_name_winner_and_last():
    text = tree_alt(BEAMS)
    assert "5 hypotheses with 9 tokens in all" in text
    assert "winner is “a boy” at -3.50 nats, the last “(nothing)” at -9.00" in text
    assert "3 different tokens: a, $x_1$, <eos>" in text
    assert plots.alt_of(plots.beam_tree(BEAMS).figure) == text
    assert "nothing else was kept" in tree_alt(BEAMS[:1])


def test_panels_of_settings_share_one_scale_and_tell_their_sizes():
    rng = np.random.default_rng(0)
    given = {"A": rng.normal(size=(8, 30)), "B": rng.normal(size=(4, 30)), "C": np.zeros((4, 15))}
    figure = plots.settings_panels(given, (4, 15))
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == 3
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in shown}) == 1
    for ax, values in zip(shown, given.values(), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), values)
        assert ax.images[0].get_extent() == [0, values.shape[1], 0, values.shape[0]]
        frames = [(p.get_width(), p.get_height()) for p in ax.patches]
        assert frames == [(15, 4), (15, 4)]
    alt = plots.alt_of(figure)
    assert "A: 8 bins by 30 frames" in alt
    assert "C: 4 bins by 15 frames" in alt
    figure.canvas.draw()


def test_legends_of_panels_side_by_side_do_not_run_into_each_other():
    names = ["songs: timbre", "songs: spectrogram", "pictures 256×256"]
    rows = [(name, kept, 0.2, 0.1, 0.3, 0.15) for name in names for kept in (1, 2, 3)]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for ax in axes:
        plots.score_by_prefix(table("input kept score low high chance", rows), ax=ax)
    figure.canvas.draw()
    left, right = (ax.get_legend().get_window_extent() for ax in axes)
    assert left.x1 < right.x0
