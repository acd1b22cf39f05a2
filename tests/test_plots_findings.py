"""Every figure hands on its numbers and its finding, the same each time."""

import csv
import io
import re
from inspect import signature

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawings import plots
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex

from songtitle.book import figures
from songtitle.errors import InputError
from songtitle.figures import findings, style
from songtitle.figures.diagrams import Box

pytestmark = pytest.mark.usefixtures("fresh_figures")

INPUTS = ["pictures", "songs: timbre"]
SOUND = {"sample_rate": 22_050, "hop_length": 256, "n_fft": 512}


def sweep(v):
    rows = [
        (name, k, s + v, s - 0.02 + v, s + 0.03 + v, 0.05, 0.003 * k + v, 4.0 + v)
        for name, base in zip(INPUTS, (0.2, 0.3), strict=True)
        for k, s in ((1, base), (5, base + 0.1), (20, base + 0.05))
    ]
    columns = ["input", "beam_size", "score", "low", "high", "chance", "seconds", "mean_length"]
    return pd.DataFrame(rows, columns=columns)


def history(v):
    rows = [(1, 90.0 + v, 95.0), (2, 50.0, 70.0), (3, 30.0, 65.0 + v)]
    return pd.DataFrame(rows, columns=["epoch", "train_perplexity", "valid_perplexity"])


def funnel(v):
    rows = [("before", "all", 100), ("before", "no names", 36 + int(10 * v)), ("after", "all", 90)]
    return pd.DataFrame(rows, columns=["order", "step", "titles"])


def domains(v):
    rows = [("a.example", 1200, 0.9, 0.88, 0.92), ("b.example", 7, 0.7 + v, 0.65, 0.99)]
    return pd.DataFrame(rows, columns=["domain", "links", "alive", "low", "high"])


def maps(v):
    rows = [
        (x + v, 2.0 * x, kind, p, start, 0.9 - v, 0.1 * p)
        for p in (5, 30)
        for start in ("pca", "seed 1")
        for x, kind in ((1.5, "picture"), (-2.25, "song"))
    ]
    columns = ["x", "y", "kind", "perplexity", "start", "trustworthiness", "mixing"]
    return pd.DataFrame(rows, columns=columns)


def by_kind(v):
    rows = [
        (kind, number, value + v, value - 0.05, value + 0.4, 0.5)
        for number in ("mixing", "inside")
        for kind, value in (("pictures", 0.31), ("songs", 0.42))
    ]
    return pd.DataFrame(rows, columns=["kind", "number", "value", "low", "high", "chance"])


def distances(v):
    columns = pd.MultiIndex.from_tuples([("ours", "top"), ("wrong references", "top")])
    values = [[6.4, 20.0], [31.5, 2.25 + v]]
    return pd.DataFrame(values, ["letters", "words"], columns)


def prefixes(v):
    columns = ["against", "words", "mean", "low", "high"]
    rows = [("titles", 4, 36.0 + v, 35.0, 37.5), ("titles", None, 26.0, 25.0, 27.0)]
    cells = pd.DataFrame([["titles", "greedy", 25.8]], columns=["against", "k", "value"])
    return pd.DataFrame(rows, columns=columns).astype({"words": float}), cells


def changes(v):
    rows = [
        ("dropout: 0.2 → none", 0.021 + v, 0.011, 0.4, True, 0.002),
        ("words: twice → once", -0.013, -0.031, 0.007, False, -0.001),
        ("decibels: 80 dB → 40 dB", np.nan, np.nan, np.nan, None, np.nan),
    ]
    ends = ["score_change", "score_change_low", "score_change_high", "score_clear", "gain_change"]
    return pd.DataFrame(rows, columns=["name", *ends])


def controls(v):
    rows = [
        (name, k, s + v, s - 0.03, s + 0.4)
        for name, s in (("real", 0.31), ("noise", 0.27), ("wrong titles", 0.12))
        for k in (1, 5)
    ]
    return pd.DataFrame(rows, columns=["control", "beam_size", "score", "low", "high"])


def words_kept(v):
    rows = [("songs", kept, 0.1 * kept + v, 0.05, 0.6, 0.02) for kept in (1, 2, 3)]
    return pd.DataFrame(rows, columns=["input", "kept", "score", "low", "high", "chance"])


def references(v):
    rows = [(who, n, 0.2 * n + v, 0.1, 0.9) for who in ("human", "random") for n in (1, 2, 3)]
    return pd.DataFrame(rows, columns=["who", "references", "mean", "low", "high"])


def gains(v):
    rows = [
        (name, seed, 1, 0.031 + v, 0.001 * seed - 0.002, 0.4)
        for name in ("photos", "songs")
        for seed in (0, 5)
    ]
    columns = ["input", "seed", "beam_size", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=columns)


def growth(v):
    rows = [("search", "songs", [0.1 + v, 0.4], 1.5 + v), ("lookup", "songs", [0.03, 0.03], 0.0)]
    frame = pd.DataFrame(rows, columns=["what", "against", "values", "exponent"])
    return frame.assign(unit="seconds", sizes=[[100, 800]] * 2)


def ratios(v):
    rows = [("beam", "k = 5", "time", 1.17, 1.3, None), ("tile", "8", "time", 2.1 + v, 1.4, None)]
    columns = ["subject", "what", "quantity", "value", "at_most", "at_least"]
    return pd.DataFrame(rows, columns=columns)


def labs(v):
    rows = [("characters", 0.21, 0.18, 0.26, 0.15, 0.62 + v, 0.57, 0.93, 0.51)]
    rows += [("wrong join", 0.21, 0.18, 0.26, 0.15, 0.22, 0.19, 0.29, 0.16)]
    ends = [f"{side}_{what}" for side in ("before", "after") for what in _ENDS]
    return pd.DataFrame(rows, columns=["name", *ends])


_ENDS = ("score", "low", "high", "chance")


def stages(v):
    return [Box("Picture", f"3 × {256 + int(8 * v)}", "crop"), Box("LSTM", "512", "one layer")]


def planted(v):
    rows = [("media", 30, 0), ("media", 2000 + int(8 * v), 0), ("disk", 7, 1)]
    return pd.DataFrame(rows, columns=["group", "tried", "lost"])


def beams(v):
    return [
        {"tokens": ["a", "boy", "<eos>"], "log_probs": [-1.0 - v, -2.0, -0.5]},
        {"tokens": ["a", "<eos>"], "log_probs": [-1.0 - v, -3.0]},
    ]


def picture(v):
    return np.random.default_rng(0).random((3, 14, 28 if v else 21))


def decibels(v):
    return -80 * np.random.default_rng(int(8 * v)).random((7, 11))


PRINTED = pd.DataFrame(
    {"dataset": ["CC", "MSD"], "tile_size": [32, np.nan], 1: [49.9, 25.8], 5: [61.3, 45.6]}
).astype({"tile_size": object})


def points(v):
    return np.array([[0.5, 0.25], [1.5, 2.25 - 20 * v], [0.75, 0.5], [3.5, -2.0 - v]]), list("abab")


def years(v):
    return [np.array([1999, 1926, 2007 - int(200 * v)]), np.array([1930, 31, 32])], ["tracks", "b"]


def verdicts(v):
    return pd.DataFrame([[3, 5 + int(8 * v)]], index=["numbers"], columns=["holds", "fails"])


def settings(v):
    return {"ours": decibels(v)[:, : 11 - int(8 * v)], "half": decibels(v)[:3]}


# Name -> what is drawn, changed by `v`; further settings; what must stand in its table for v = 0.
FIGURES = {
    "title_funnel": (funnel, {}, [100, 36, 90, "no names", "before"]),
    "link_survival": (
        domains,
        {"total": 0.93},
        [1200, 7, 90, 88, 92, 70, 65, 99, 93, "a.example"],
    ),
    "two_orders": (years, {}, [1999, 1926, 2007, 2, 1930, "tracks"]),
    "length_distribution": (
        lambda v: [1, 2, 2, 5 + int(8 * v)],
        {"name": "A"},
        [1, 2, 5, 25, 50],
    ),
    "perplexity_by_epoch": (
        history,
        {"references": {"unigram": 122.5}},
        [90, 50, 30, 95, 70, 65, 122.5, "training", "unigram"],
    ),
    "similarity_map": (points, {}, [0.5, 0.25, 2.25, -2, "a"]),
    "map_grid": (maps, {}, [1.5, 3, -2.25, -4.5, 5, 30, 0.9, "pca"]),
    "numbers_by_kind": (by_kind, {}, [0.31, 0.26, 0.71, 0.42, 0.5, "songs", "inside"]),
    "bleu_by_beam": (
        sweep,
        {"paper": PRINTED},
        [1, 5, 20, 40, 38, 43, "songs: timbre", 49.9, "the paper: 32 px tiles", "the paper: MSD"],
    ),
    "score_and_length": (sweep, {}, [30, 28, 33, 4]),
    "seconds_by_beam": (sweep, {}, [3, 15, 60]),
    "bleu_per_second": (sweep, {}, [20 / 0.003, 2000, 35 / 0.06]),
    "score_by_prefix": (words_kept, {}, [10, 20, 30, 5, 60, 2]),
    "control_forest": (controls, {}, [1, 5, 31, 28, 71, 27, "wrong titles"]),
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
    "draw_pipeline": (stages, {}, ["Picture", "3 × 256", "crop"]),
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
    "tornado": {1, 2},
    "distance_map": {2, 4, 10},
    "verdict_bars": {8},
    "show_spectrogram": {44.4},
    "mark_span": {44.4},
}
DIAGRAMS = {"draw_pipeline", "draw_captioner", "draw_two_steps", "beam_tree"}
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
    draws -= {"hand_on", "legend_below", "own_axes"}  # they draw nothing of their own
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
def test_the_alt_text_moves_when_the_data_do(name):
    before, after = plots.alt_of(drawn(name)), plots.alt_of(drawn(name, 0.125))
    assert before != after
    assert plots.alt_of(drawn(name)) == before


@pytest.mark.parametrize("name", FIGURES)
def test_the_alt_text_is_whole_sentences_without_a_broken_number(name):
    text = plots.alt_of(drawn(name))
    assert text[0] == text[0].upper()
    assert text.endswith((".", "!", "?"))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b|\.\.|  |_child", text)
    assert len(text) < 700
    assert name in DIAGRAMS or re.search(r"\d", text)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_is_the_same_bytes(name):
    first, second = (style.svg_of(drawn(name)) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first


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


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("title_funnel", "titles left", ""),
        ("link_survival", "(%)", ""),
        ("two_orders", "row of the list", "year"),
        ("length_distribution", "(words)", "(%)"),
        ("perplexity_by_epoch", "epoch", "(per token)"),
        ("similarity_map", "(no unit)", "(no unit)"),
        ("bleu_by_beam", "(hypotheses kept)", "(percent points)"),
        ("seconds_by_beam", "(hypotheses kept)", "(ms)"),
        ("bleu_per_second", "(hypotheses kept)", "(percent points / s)"),
        ("show_spectrogram", "(s)", "(kHz)"),
        ("show_picture", "pixels", ""),
        ("show_tiles", "pixels", ""),
    ],
)
def test_labels_carry_units(name, x, y):
    ax = draw(name)
    assert x in ax.get_xlabel()
    assert y in ax.get_ylabel()


@pytest.mark.parametrize("name", ["perplexity_by_epoch", "seconds_by_beam", "bleu_per_second"])
def test_curves_differ_in_colour_marker_and_line_style(name):
    curves = [li for li in draw(name).lines if li.get_marker() != "None"]
    looks = [(li.get_color(), li.get_marker(), li._dash_pattern) for li in curves]
    for feature in zip(*looks, strict=True):
        assert len(set(map(str, feature))) == len(curves)


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_with_a_unit_is_a_column_of_the_table(name):
    figure = drawn(name)
    within = [child for ax in figure.axes for child in ax.child_axes]
    heads = {findings.split_unit(column)[0] for column in plots.data_of(figure)}
    for ax in [*figure.axes, *within]:
        for label in (ax.get_xlabel(), ax.get_ylabel()):
            if label.endswith(")") and "×" not in label:
                assert any(head.startswith(label.split(" (")[0]) for head in heads)


@pytest.mark.parametrize("name", FIGURES)
def test_the_ends_of_an_interval_are_in_order(name):
    ends = plots.data_of(drawn(name)).reindex(columns=["low", "high"]).dropna().astype(float)
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


@pytest.mark.parametrize("name", ["bleu_by_beam", "show_spectrogram", "seconds_by_beam", "tornado"])
def test_units_stand_in_the_heads_of_the_table(name):
    assert re.search(r"\((percent points|dB|ms|s)", plots.csv_of(drawn(name)).split("\n")[0])


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
    return plt.figure().subplots()


def frame(name="size (cm)", value=1.0):
    return pd.DataFrame({name: [value]})


def test_what_is_handed_on_is_what_was_drawn_then(ax):
    given = frame()
    plots.hand_on(ax, given, "it rises")
    given["size (cm)"] = 9.0
    assert plots.data_of(ax.figure)["size (cm)"].tolist() == [1]
    assert plots.alt_of(ax.figure) == "It rises."


def test_what_is_drawn_on_top_is_handed_on_below(ax):
    for value, finding in ((1.0, "it rises"), (2.0, "it falls")):
        plots.hand_on(ax, frame(value=value), finding)
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


def test_an_empty_figure_is_refused_and_told_what_to_do():
    with pytest.raises(InputError, match=r"expected something drawn.*hand_on"):
        plots.alt_of(plt.figure())


def test_a_frame_without_rows_and_an_empty_finding_are_refused(ax):
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
    assert findings.extremes(found, "count (songs)", at="size (cm)", of="of") == (
        "highest count: 9 songs (7 to 11) at size 2; lowest: 5 (4 to 6) at size 1; a from 5 to 7"
    )


def test_of_many_lines_those_that_rise_are_counted_and_what_is_missing_is_left_out():
    rows = [(name, k, k * (name < "c")) for name in "abcd" for k in (1.0, 2.0)]
    found = pd.DataFrame([*rows, ("e", 3.0, np.nan)], columns=["of", "k", "score"])
    said = findings.extremes(found, "score", at="k", of="of")
    assert said.startswith("highest score: 2 for a at k 2; lowest: 0 for c at k 1; 2 of 4 lines")
    assert findings.extremes(found[-1:], "score", at="k") == "no score to show"
    assert findings.extremes(found[:1], "score", at="k") == "score: 1"


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
    assert findings.amount(value, label) == text


# -- notebooks -------------------------------------------------------------------------------------


def test_a_notebook_keeps_the_table_and_the_words_of_a_figure_and_of_nothing_else():
    display = DisplayFormatter()
    style.add_formatters(display)
    data, _ = display.format(drawn("seconds_by_beam"))
    assert data["text/csv"] == plots.csv_of(drawn("seconds_by_beam"))
    assert data[style.ALT] == plots.alt_of(drawn("seconds_by_beam"))
    assert set(display.format(3)[0]) == {"text/plain"}
    assert (style.ALT, style.CSV) == (figures.ALT, figures.CSV)


def test_a_readers_own_figure_is_shown_without_a_table(ax, capsys):
    ax.plot([1, 2])
    display = DisplayFormatter()
    style.add_formatters(display)
    assert not {style.ALT, style.CSV} & set(display.format(ax.figure)[0])
    assert not capsys.readouterr().err


def cell(data, figure=True):
    about = {"figure": {"name": "fig-x", "caption": "C"}, "image": {"alt": "A chart."}}
    metadata = {"mystnb": about} if figure else {}
    return {"metadata": metadata, "outputs": [{"output_type": "display_data", "data": data}]}


def test_what_was_found_follows_what_kind_of_figure_it_is():
    made = cell({"image/svg+xml": "<svg/>", style.ALT: "It rises.", "text/csv": "a"})
    figures.describe(made)
    assert made["metadata"]["mystnb"]["image"]["alt"] == "A chart. It rises."
    assert set(made["outputs"][0]["data"]) == {"image/svg+xml", "text/csv"}
    again = {"metadata": {"mystnb": {"figure": {"name": "x"}}}, "outputs": made["outputs"]}
    with pytest.raises(InputError, match=r"x: expected a figure that says what it shows, got a"):
        figures.describe(again)


def test_a_figure_that_says_nothing_stops_the_run_and_a_table_does_not():
    with pytest.raises(InputError, match=r"fig-x: expected .*use_house_style"):
        figures.describe(cell({"image/png": "..."}))
    figures.describe(cell({"text/html": "<table>"}))
    figures.describe(cell({"image/png": "..."}, figure=False))


def test_a_smaller_svg_draws_the_same_letters_at_the_same_places():
    ax = plt.figure().subplots()
    ax.plot([1, 1e6], [1, 10], label="ab-cé")
    ax.set_yscale("log")  # exponents are scaled letters
    ax.legend()
    buffer = io.StringIO()
    ax.figure.savefig(buffer, format="svg", **style.PRINT)
    whole, small = buffer.getvalue(), style.small(buffer.getvalue())
    assert len(small) < 0.9 * len(whole)
    used = re.findall(r'xlink:href="#(g\w+)"', small)
    assert set(used) <= set(re.findall(r'<path id="(g\w+)"', small))
    assert len(re.findall("<use ", small)) == len(re.findall("<use ", whole))


def test_pictures_inside_an_svg_keep_their_pixels():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    for image in (pixels, np.tile(pixels[:1, :1], (9, 8, 1)), np.dstack([pixels, pixels[..., 0]])):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        code = style._png(__import__("base64").b64encode(buffer.getvalue()).decode())
        back = Image.open(io.BytesIO(__import__("base64").b64decode(code)))
        mode = "RGBA" if image.shape[2] == 4 else "RGB"
        np.testing.assert_array_equal(np.asarray(back.convert(mode)), image)


def test_dense_marks_are_pixels_and_a_few_are_shapes():
    for count in (style.DENSE // 10, 2 * style.DENSE):
        cloud = np.random.default_rng(0).normal(size=(count, 2))
        text = style.svg_of(plots.similarity_map(cloud, ["a"] * count).figure)
        assert ("<image" in text) == (count > style.DENSE)
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
    shown = [seen(colour, kind) for colour in style.COLOURS[:4]]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(shown) for b in shown[:i]]
    assert min(apart) > 0.15
    red_green = [
        np.linalg.norm(seen(c, kind) - seen("#b0601e", kind)) for c in ("#2ca02c", "#d62728")
    ]
    assert min(red_green) < 0.35  # the measure does see what they confuse
