"""Every figure gives its numbers as a table and its finding in words, the same each time."""

import csv
import io
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex

from songtitle import plots
from songtitle.errors import InputError
from songtitle.pages import figures as pages
from songtitle.plots import Box, alt, inline, style, svg, wording
from songtitle.plots.data import panels

HELPERS = {"Box", "alt_of", "csv_of", "data_of", "says", "tornado_legend", "use_house_style"}
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


def points(v):
    return np.array([[0.5, 0.25], [1.5, 2.25 - 20 * v], [0.75, 0.5], [3.5, -2.0 - v]])


# Name -> how it is drawn for data that `v` changes, and what must stand in its table for v = 0.
FIGURES = {
    "title_funnel": (lambda v: plots.title_funnel(funnel(v)), [100, 36, 90, "no names"]),
    "link_survival": (
        lambda v: plots.link_survival(domains(v), total=0.93),
        [90, 88, 92, 70, 65, 99, 93, "a.example (1,200)"],
    ),
    "two_orders": (
        lambda v: plots.two_orders([np.array([1999, 1926, 2007 - int(200 * v)])], ["tracks"]),
        [1999, 1926, 2007, 2],
    ),
    "length_distribution": (
        lambda v: plots.length_distribution([1, 2, 2, 5 + int(8 * v)], name="A"),
        [1, 2, 5, 25, 50],
    ),
    "perplexity_by_epoch": (
        lambda v: plots.perplexity_by_epoch(history(v), references={"unigram": 122.5}),
        [90, 50, 30, 95, 70, 65, 122.5, "training"],
    ),
    "similarity_map": (
        lambda v: plots.similarity_map(points(v), ["a", "b", "a", "b"]),
        [0.5, 0.25, 2.25, -2, "a (2)"],
    ),
    "map_grid": (
        lambda v: plots.map_grid(maps(v)),
        [1.5, 3, -2.25, -4.5, "perplexity 5, pca"],
    ),
    "numbers_by_kind": (
        lambda v: plots.numbers_by_kind(by_kind(v)),
        [0.31, 0.26, 0.71, 0.42, 0.5, "songs"],
    ),
    "bleu_by_beam": (
        lambda v: plots.bleu_by_beam(sweep(v)),
        [1, 5, 20, 40, 38, 43, "songs: timbre", "songs: timbre: chance"],
    ),
    "score_and_length": (lambda v: plots.score_and_length(sweep(v)), [30, 28, 33, 4]),
    "seconds_by_beam": (lambda v: plots.seconds_by_beam(sweep(v)), [3, 15, 60]),
    "bleu_per_second": (lambda v: plots.bleu_per_second(sweep(v)), [20 / 0.003, 2000, 35 / 0.06]),
    "score_by_prefix": (lambda v: plots.score_by_prefix(words_kept(v)), [10, 20, 30, 5, 60, 2]),
    "control_forest": (
        lambda v: plots.control_forest(controls(v)),
        [31, 28, 71, 27, "wrong titles", "k = 5"],
    ),
    "bleu_by_references": (
        lambda v: plots.bleu_by_references(references(v), quoted={"theirs": 34.5}),
        [20, 40, 60, 10, 90, 34.5, "theirs"],
    ),
    "gains_by_seed": (lambda v: plots.gains_by_seed(gains(v)), [3.1, -0.2, 0.3, 40, "photos"]),
    "growth_lines": (lambda v: plots.growth_lines(growth(v)), [100, 800, 0.1, 0.4, 0.03]),
    "ratio_bars": (lambda v: plots.ratio_bars(ratios(v)), [0.9, 1.5, 1]),
    "fault_dots": (lambda v: plots.fault_dots(planted(v)), [30, 2000, 2030, 7, "media"]),
    "before_and_after": (
        lambda v: plots.before_and_after(labs(v)),
        [21, 18, 26, 15, 62, 57, 93, 51, "wrong join"],
    ),
    "tornado": (
        lambda v: plots.tornado(changes(v), luck=0.005),
        [2.1, 1.1, 40, -1.3, -3.1, 0.7, 0.2, -0.1, 0.5, "decibels: 80 dB → 40 dB", "not touched"],
    ),
    "distance_map": (
        lambda v: plots.distance_map(distances(v)),
        [6.4, 20, 31.5, 2.25, "top, wrong references", "letters"],
    ),
    "prefix_curves": (
        lambda v: plots.prefix_curves(*prefixes(v)),
        [36, 35, 37.5, 26, 25.8, "all", "paper, greedy"],
    ),
    "verdict_bars": (
        lambda v: plots.verdict_bars(
            pd.DataFrame([[3, 5 + int(8 * v)]], index=["numbers"], columns=["holds", "fails"])
        ),
        [3, 5, "numbers", "fails"],
    ),
    "show_spectrogram": (
        lambda v: plots.show_spectrogram(decibels(v), **SOUND),
        [float(value) for value in decibels(0).ravel()],
    ),
    "mark_span": (
        lambda v: plots.mark_span(1.25, 2.5 + v, plots.show_spectrogram(decibels(0), **SOUND)),
        [1.25, 2.5, "shown to the network"],
    ),
    "show_picture": (
        lambda v: plots.show_picture(picture(v)),
        ["a picture in colour, 21 × 14 pixels"],
    ),
    "show_tiles": (
        lambda v: plots.show_tiles(picture(v), 7),
        ["a picture in colour, 21 × 14 pixels"],
    ),
    "timbre_bars": (
        lambda v: plots.timbre_bars(np.linspace(-900.0, 890.0 + 90 * v, 90)),
        [-900, 890, 89],
    ),
    "draw_pipeline": (lambda v: plots.draw_pipeline(stages(v)), ["Picture", "3 × 256", "crop"]),
    "draw_captioner": (
        lambda v: plots.draw_captioner(stages(v), ["a", "heron"]),
        ["Picture", "3 × 256", "heron"],
    ),
    "draw_two_steps": (
        lambda v: plots.draw_two_steps(stages(v), stages(v)),
        ["LSTM", "512", "one layer"],
    ),
    "beam_tree": (lambda v: plots.beam_tree(beams(v)), ["start"]),
    "settings_panels": (
        lambda v: plots.settings_panels(
            {"ours": decibels(v)[:, : 11 - int(8 * v)], "half": decibels(v)[:3]}, (7, 11)
        ),
        ["ours", "a picture in grey, 11 × 7 pixels"],
    ),
}
PICTURES = {"show_picture", "show_tiles", "settings_panels"}
DIAGRAMS = {"draw_pipeline", "draw_captioner", "draw_two_steps", "beam_tree"}


@pytest.fixture(autouse=True)
def _fresh_figures():
    with matplotlib.rc_context():
        plots.use_house_style()
        yield
    plt.close("all")


def draw(name, v=0.0):
    made = FIGURES[name][0](v)
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
    assert set(FIGURES) | HELPERS == set(plots.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_the_table_of_a_figure_holds_every_number_drawn(name):
    text = plots.csv_of(draw(name))
    found, words = numbers(text), cells(text)
    for wanted in FIGURES[name][1]:
        if isinstance(wanted, str):
            assert wanted in words
        else:
            assert np.isclose(found, wanted, rtol=1e-4).any(), f"{wanted} is not in\n{text}"


@pytest.mark.parametrize("name", FIGURES)
def test_the_alt_text_moves_when_the_data_do(name):
    before, after = plots.alt_of(draw(name)), plots.alt_of(draw(name, 0.125))
    assert before != after
    assert plots.alt_of(draw(name)) == before


@pytest.mark.parametrize("name", FIGURES)
def test_the_alt_text_is_whole_sentences_without_a_broken_number(name):
    text = plots.alt_of(draw(name))
    assert text[0] == text[0].upper()
    assert text.endswith((".", "!", "?"))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b|\.\.|  |_child", text)
    assert len(text) < 700
    assert name in DIAGRAMS or re.search(r"\d", text)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_is_the_same_bytes(name):
    first, second = (svg.svg_of(draw(name)) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first


@pytest.mark.parametrize("name", sorted(set(FIGURES) - PICTURES - DIAGRAMS - {"map_grid"}))
def test_every_axis_is_named_in_the_table(name):
    head = plots.csv_of(draw(name)).split("\n")[0]
    assert not {"x", "y", "value", "name"} & set(cells(head))


@pytest.mark.parametrize("name", ["bleu_by_beam", "show_spectrogram", "seconds_by_beam", "tornado"])
def test_units_stand_in_the_heads_of_the_table(name):
    assert re.search(r"\((percent points|dB|ms|s)", plots.csv_of(draw(name)).split("\n")[0])


# -- reading artists -------------------------------------------------------------------------------


def table(ax):
    return plots.data_of(ax.figure)


@pytest.fixture
def ax():
    axis = plt.figure().subplots()
    axis.set(xlabel="size (cm)", ylabel="count (songs)")
    return axis


def test_a_histogram_gives_its_counts_and_the_middles_of_its_bins(ax):
    ax.hist([1.0, 1.2, 3.5], bins=[0, 2, 4])
    assert table(ax).to_numpy().tolist() == [[1, 2], [3, 1]]


def test_steps_and_lines_give_their_points(ax):
    ax.step([1, 2], [5.0, 7.0], label="a")
    assert table(ax)["count (songs)"].tolist() == [5, 7]
    assert table(ax)["series"].tolist() == ["a", "a"]


def test_a_violin_gives_what_it_covers_at_each_place(ax):
    ax.violinplot([[1.0, 2.0, 4.0]], positions=[3])
    frame = table(ax)
    assert frame["count (songs)"].astype(float).min() == pytest.approx(1)
    assert frame["count (songs)"].astype(float).max() == pytest.approx(4)
    assert (frame["low"].astype(float).dropna() <= 3 + 1e-9).all()


def test_a_band_around_a_line_becomes_its_interval(ax):
    ax.plot([1, 2], [5.0, 7.0], label="a")
    ax.fill_between([1, 2], [4, 6], [6, 9])
    assert table(ax)[["low", "high"]].to_numpy(float).tolist() == [[4, 6], [6, 9]]
    assert len(table(ax)) == 2


def test_a_mesh_gives_every_square_at_its_centre(ax):
    ax.pcolormesh([0, 1, 2], [0, 2], [[7.0, 8.0]], label="_level (dB)")
    frame = table(ax)
    assert list(frame.columns) == ["size (cm)", "count (songs)", "level (dB)"]
    assert frame.to_numpy().tolist() == [[0.5, 1, 7], [1.5, 1, 8]]


def test_an_image_of_numbers_is_read_the_way_up_that_it_is_drawn(ax):
    for origin, low in (("lower", 1.0), ("upper", 3.0)):
        ax.clear()
        ax.imshow([[1.0, 2.0], [3.0, 4.0]], origin=origin, extent=(0, 2, 0, 2))
        frame = table(ax)
        corner = (frame["x"] == 0.5) & (frame["y"] == 0.5)
        assert frame.loc[corner, "value"].item() == low


def test_a_large_heat_map_is_thinned_and_says_so(ax):
    values = np.arange(100 * 200, dtype=float).reshape(100, 200)
    ax.imshow(values, label="_level")
    frame = table(ax)
    (column,) = [name for name in frame if name.startswith("level")]
    assert column == "level, one square in 3 × 5"
    assert len(frame) == 34 * 40
    at = frame[(frame["size (cm)"] == 5) & (frame["count (songs)"] == 3)]
    assert at[column].item() == values[3, 5]


def test_lines_across_are_levels_and_not_series_of_points(ax):
    ax.axhline(4.5, label="chance")
    ax.axvline(2.0)
    assert table(ax)["count (songs)"].dropna().tolist() == [4.5]
    assert table(ax)["size (cm)"].dropna().tolist() == [2.0]


def test_what_is_moved_aside_on_the_page_keeps_its_place_in_the_table():
    frame = table(plots.bleu_by_beam(sweep(0.0)))
    assert set(frame["beam size (hypotheses kept)"]) == {1, 5, 20}


def test_panels_share_the_label_of_the_axis_that_they_share():
    _, axes = plt.subplots(2, 1, sharex=True)
    for axis, title in zip(axes, "ab", strict=True):
        axis.plot([1, 2], [3, 4])
        axis.set_title(title)
    axes[1].set_xlabel("time (s)")
    frame = table(axes[0])
    assert frame["panel"].tolist() == ["a", "a", "b", "b"]
    assert frame["time (s)"].notna().all()


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x"])
def test_no_text_is_a_formula_to_a_spreadsheet(name, ax):
    ax.bar([name], [2.0], label=name)
    ax.set_xlabel(name)
    assert not [cell for cell in cells(plots.csv_of(ax.figure)) if cell.startswith(name)]
    assert f"'{name}" in plots.csv_of(ax.figure)


def test_counts_are_written_in_full(ax):
    ax.bar(["a"], [3_346_732.0])
    assert "3346732" in cells(plots.csv_of(ax.figure))


def test_a_negative_number_stays_a_number(ax):
    ax.plot([1, 2], [-5.5, 7.0])
    assert -5.5 in numbers(plots.csv_of(ax.figure))


def test_an_empty_figure_has_no_words_and_says_what_to_do():
    with pytest.raises(InputError, match=r"expected something drawn.*plots\.says"):
        plots.alt_of(plt.figure())


def test_own_words_come_in_place_of_the_generic_ones(ax):
    ax.plot([1, 2], [3, 4])
    plots.says(ax, "it rises")
    assert plots.alt_of(ax.figure) == "It rises."


def test_extremes_are_told_with_their_place_and_their_interval(ax):
    ax.errorbar([1, 2, 3], [5.0, 9.0, 7.0], yerr=[1, 2, 1], label="a")
    assert plots.alt_of(ax.figure) == (
        "Highest count: 9 songs (7 to 11) at 2 cm; lowest: 5 (4 to 6) at 1 cm; a rises from 5 to 7."
    )


def test_chance_is_not_told_as_a_finding(ax):
    ax.plot([1, 2], [50.0, 60.0], label="songs")
    ax.plot([1, 2], [99.0, 99.0], label="_songs: chance")
    assert "99" not in plots.alt_of(ax.figure)
    assert 99 in numbers(plots.csv_of(ax.figure))


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
    assert wording.amount(value, label) == text


# -- notebooks -------------------------------------------------------------------------------------


def test_a_notebook_keeps_the_table_and_the_words_of_a_figure_and_of_nothing_else():
    display = DisplayFormatter()
    inline.add_formatters(display)
    data, _ = display.format(draw("seconds_by_beam"))
    assert data["text/csv"] == plots.csv_of(draw("seconds_by_beam"))
    assert data[alt.ALT] == plots.alt_of(draw("seconds_by_beam"))
    assert set(display.format(3)[0]) == {"text/plain"}
    assert (alt.ALT, alt.CSV) == (pages.ALT, pages.CSV)


def cell(data, figure=True):
    about = {"figure": {"name": "fig-x", "caption": "C"}, "image": {"alt": "A chart."}}
    metadata = {"mystnb": about} if figure else {}
    return {"metadata": metadata, "outputs": [{"output_type": "display_data", "data": data}]}


def test_what_was_found_follows_what_kind_of_figure_it_is():
    made = cell({"image/svg+xml": "<svg/>", alt.ALT: "It rises.", "text/csv": "a"})
    pages.describe(made)
    assert made["metadata"]["mystnb"]["image"]["alt"] == "A chart. It rises."
    assert set(made["outputs"][0]["data"]) == {"image/svg+xml", "text/csv"}
    again = {"metadata": {"mystnb": {"figure": {"name": "x"}}}, "outputs": made["outputs"]}
    with pytest.raises(InputError, match=r"x: expected a figure that says what it shows, got a"):
        pages.describe(again)


def test_a_figure_that_says_nothing_stops_the_run_and_a_table_does_not():
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
    ax.figure.savefig(buffer, format="svg", **svg.PRINT)
    whole, small = buffer.getvalue(), svg.small(buffer.getvalue())
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
        code = svg._png(__import__("base64").b64encode(buffer.getvalue()).decode())
        back = Image.open(io.BytesIO(__import__("base64").b64decode(code)))
        mode = "RGBA" if image.shape[2] == 4 else "RGB"
        np.testing.assert_array_equal(np.asarray(back.convert(mode)), image)


def test_dense_marks_are_pixels_and_a_few_are_shapes():
    for count in (style.DENSE // 10, 2 * style.DENSE):
        cloud = np.random.default_rng(0).normal(size=(count, 2))
        text = svg.svg_of(plots.similarity_map(cloud, ["a"] * count).figure)
        assert ("<image" in text) == (count > style.DENSE)
        assert len(text) < 200_000
        assert len(panels(plt.gcf())[0].drawn[0].rows) == count


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
