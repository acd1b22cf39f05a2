import ast
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawings import plots
from matplotlib.collections import PathCollection
from matplotlib.patches import FancyBboxPatch

from songtitle.errors import InputError
from songtitle.figures import drawing
from songtitle.figures.diagrams import Box

pytestmark = pytest.mark.usefixtures("fresh_figures")

INPUTS = ["pictures 32×32", "songs: timbre", "songs: spectrogram"]


def sweep():
    rows = [
        (name, k, 0.1 * place + 0.01 * k, 0.1 * place, 0.1 * place + 0.02 * k, 0.05, 0.003 * k)
        for place, name in enumerate(INPUTS, start=1)
        for k in (1, 5, 20)
    ]
    columns = ["input", "beam_size", "score", "low", "high", "chance", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def history():
    return pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_perplexity": [90.0, 50.0, 30.0],
            "valid_perplexity": [95.0, 70.0, 65.0],
        }
    )


def table_4():
    return pd.DataFrame(
        {"dataset": ["CC", "MSD"], "tile_size": [32, np.nan], 1: [49.9, 25.8], 5: [61.3, 45.6]}
    ).astype({"tile_size": object})


IMAGE = np.random.default_rng(0).random((3, 14, 21))
DECIBELS = -80 * np.random.default_rng(0).random((7, 11))
POINTS = np.random.default_rng(0).normal(size=(13, 2))
SOUND = {"sample_rate": 22_050, "hop_length": 256, "n_fft": 512}
STAGES = [
    Box("Picture", "3 × 256 × 256", "random crop"),
    Box("tf_efficientnet_lite0", "1280", "frozen, with weights learnt on ImageNet"),
    Box("Linear + BatchNorm1d", "512"),
    Box("LSTM", "512", "one layer, dropout 0.2"),
]
WORDS = ["a", "great", "blue", "heron"]

FUNNEL = pd.DataFrame(
    [("tags before", "all", 100), ("tags before", "no names", 36), ("tags after", "all", 100)],
    columns=["order", "step", "titles"],
)
DOMAINS = pd.DataFrame(
    [("a.example", 1200, 0.9, 0.88, 0.92), ("b.example", 7, 1.0, 0.65, 1.0)],
    columns=["domain", "links", "alive", "low", "high"],
)
YEARS = [np.array([1999, 1926, 2007]), np.array([1926, 1999, 2007])]


@pytest.fixture
def ax():
    return plt.figure(figsize=(8, 4)).subplots()


def line(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


@pytest.mark.parametrize(
    ("figure", "frame"),
    [
        (plots.bleu_by_beam, sweep()),
        (plots.seconds_by_beam, sweep()),
        (plots.bleu_per_second, sweep()),
        (plots.perplexity_by_epoch, history()),
    ],
)
def test_frames_are_left_as_they_were(figure, frame):
    before = frame.copy(deep=True)
    figure(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_arrays_are_left_as_they_were():
    for values, draw in [
        (IMAGE.copy(), lambda image: plots.show_tiles(image, 7)),
        (DECIBELS.copy(), lambda decibels: plots.show_spectrogram(decibels, **SOUND)),
        (POINTS.copy(), lambda points: plots.similarity_map(points, ["a"] * 13)),
    ]:
        before = values.copy()
        draw(values)
        np.testing.assert_array_equal(values, before)


def test_a_frame_without_a_column_is_refused_by_the_name_of_the_column():
    with pytest.raises(InputError, match=r"timings: expected .*got no seconds"):
        plots.seconds_by_beam(sweep().drop(columns="seconds"))


def test_a_frame_without_rows_is_refused():
    with pytest.raises(InputError, match="no rows"):
        plots.bleu_by_beam(sweep().iloc[:0])


def test_shares_by_length_add_up_to_100_percent(ax):
    plots.length_distribution([1, 2, 2, 5], name="A", ax=ax)
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert heights == {1: 25, 2: 50, 5: 25}


def test_no_lengths_are_refused():
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
    plots.similarity_map(POINTS, ["a", "b"] * 6 + ["a"], ax)
    drawn = {
        dots.get_label(): dots.get_offsets()
        for dots in ax.collections
        if isinstance(dots, PathCollection)
    }
    np.testing.assert_array_equal(drawn["a (7)"], POINTS[::2])
    np.testing.assert_array_equal(drawn["b (6)"], POINTS[1::2])


def test_a_map_with_a_label_too_few_is_refused():
    with pytest.raises(InputError, match="expected 13"):
        plots.similarity_map(POINTS, ["a"] * 12)


def test_bleu_is_drawn_in_percent_points_with_its_interval_and_chance(ax):
    plots.bleu_by_beam(sweep(), ax=ax)
    bars = next(c for c in ax.containers if c.get_label() == "songs: timbre")
    values, _, (reach,) = bars.lines
    np.testing.assert_allclose(values.get_ydata(), [21, 25, 40])
    np.testing.assert_allclose(values.get_xdata(orig=False), [1, 5, 20], atol=0.5)
    ends = [segment[:, 1].tolist() for segment in reach.get_segments()]
    np.testing.assert_allclose(ends, [[20, 22], [20, 30], [20, 60]])
    chance = [li for li in ax.lines if li.get_marker() == "None" and len(li.get_xdata()) == 3]
    assert len(chance) == len(INPUTS)
    assert all(np.allclose(li.get_ydata(), 5) for li in chance)


def test_the_rows_of_the_paper_stand_in_grey_beside_ours(ax):
    plots.bleu_by_beam(sweep(), paper=table_4(), ax=ax)
    grey = [li.get_ydata().tolist() for li in ax.lines if li.get_color() == "0.72"]
    assert grey == [[49.9, 61.3], [25.8, 45.6], []]
    assert [text.get_text() for text in ax.texts] == ["32 px tiles", "MSD"]


def test_labels_beside_each_other_keep_their_order_and_their_distance():
    heights = drawing._spread(np.array([44.2, 45.3, 44.4, 20.0]), gap=2.5)
    assert np.diff(heights[[3, 0, 2, 1]]).min() >= 2.5 - 1e-9


@pytest.mark.parametrize(("factor", "unit", "first"), [(1, "(ms)", 3), (1000, "(s)", 3)])
def test_times_are_drawn_in_the_unit_they_state(factor, unit, first, ax):
    plots.seconds_by_beam(sweep().assign(seconds=lambda frame: factor * frame.seconds), ax)
    assert unit in ax.get_ylabel()
    assert line(ax, INPUTS[0]).get_ydata()[0] == pytest.approx(first)


def test_bleu_per_second_is_drawn_on_a_logarithmic_scale(ax):
    plots.bleu_per_second(sweep(), ax)
    assert ax.get_yscale() == "log"
    np.testing.assert_allclose(line(ax, INPUTS[0]).get_ydata(), [11 / 0.003, 15 / 0.015, 500])


def test_a_spectrogram_stands_on_seconds_and_kilohertz(ax):
    plots.show_spectrogram(DECIBELS, **SOUND, ax=ax)
    left, right, foot, top = ax.images[0].get_extent()
    frame, bin_ = (right - left) / 11, (top - foot) / 7
    assert left + frame / 2 == pytest.approx(256 / 22_050)  # the middle of the first window
    assert frame == pytest.approx(256 / 22_050)
    assert foot + bin_ / 2 == pytest.approx(0)
    assert bin_ == pytest.approx(22.050 / 512)
    assert ax.images[0].origin == "lower"
    assert "dB" in ax.figure.axes[-1].get_ylabel()


def test_a_picture_keeps_its_pixels(ax):
    plots.show_picture(IMAGE, ax)
    np.testing.assert_array_equal(ax.images[0].get_array(), IMAGE.transpose(1, 2, 0))


def test_the_grid_of_tiles_cuts_the_picture_where_the_tiles_end(ax):
    plots.show_tiles(IMAGE, 7, ax)
    upright, level = ax.collections[-2].get_segments(), ax.collections[-1].get_segments()
    assert [segment[0, 0] for segment in upright] == [7, 14]
    assert [segment[0, 1] for segment in level] == [7]
    assert ax.get_xlabel().startswith("6 ×")


@pytest.mark.parametrize("size", [0, 4])
def test_a_tile_size_that_does_not_divide_the_picture_is_refused(size):
    with pytest.raises(InputError, match=r"tile size: expected a divisor of 21 x 14"):
        plots.show_tiles(IMAGE, size)


LONG = Box("Antidisestablishmentarianism", "1,323,000 × 2 samples of sound", "seldom seen " * 3)
DIAGRAMS = {
    "one box": lambda: plots.draw_pipeline(STAGES[:1]),
    "two rows": lambda: plots.draw_pipeline([*STAGES, LONG, *STAGES]),
    "mathematical signs": lambda: plots.draw_pipeline([Box("$x_0$ & <eos>", "a_b^c")]),
    "narrow axis": lambda: plots.draw_pipeline(STAGES, plt.figure(figsize=(4, 1)).subplots()),
    "captioner": lambda: plots.draw_captioner(STAGES[:3], WORDS, decoder=Box("LSTM", "512")),
    "long words": lambda: plots.draw_captioner([LONG] * 5, ["extraordinarily"] * 9),
    "one word": lambda: plots.draw_captioner(STAGES[:1], ["heron"]),
    "two steps": lambda: plots.draw_two_steps(STAGES, [*STAGES, LONG, LONG]),
}


@pytest.mark.parametrize("name", DIAGRAMS)
def test_every_text_of_a_box_stays_inside_its_box(name):
    ax = DIAGRAMS[name]()
    ax.figure.canvas.draw()
    boxes = [p.get_window_extent() for p in ax.patches if isinstance(p, FancyBboxPatch)]
    boxed = 0
    for text in ax.texts:
        extent = text.get_window_extent()
        x, y = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        around = [box for box in boxes if box.contains(x, y)]
        if around:
            box = min(around, key=lambda box: box.width * box.height)
            assert box.x0 < extent.x0 < extent.x1 < box.x1, text.get_text()
            assert box.y0 < extent.y0 < extent.y1 < box.y1, text.get_text()
            boxed += 1
    assert boxed


@pytest.mark.parametrize("name", sorted(set(DIAGRAMS) - {"narrow axis"}))
def test_the_texts_of_a_diagram_are_readable_at_its_own_size(name):
    assert min(text.get_fontsize() for text in DIAGRAMS[name]().texts) >= 5.5


@pytest.mark.parametrize("name", DIAGRAMS)
def test_no_two_texts_of_a_diagram_touch(name):
    ax = DIAGRAMS[name]()
    ax.figure.canvas.draw()
    extents = [text.get_window_extent() for text in ax.texts]
    for i, one in enumerate(extents):
        assert not any(one.shrunk(0.9, 0.7).overlaps(two) for two in extents[:i])


def test_a_dollar_sign_in_a_box_is_not_read_as_mathematics():
    assert not any(text.get_parse_math() for text in DIAGRAMS["mathematical signs"]().texts)


def test_a_captioner_is_given_the_word_before_and_gives_the_next(ax):
    plots.draw_captioner(STAGES[:3], WORDS, ax)
    words = [t.get_text() for t in ax.texts if t.get_text() in {*WORDS, "<bos>", "<eos>"}]
    assert words == ["<bos>", *WORDS, *WORDS, "<eos>"]
    times = [t.get_text() for t in ax.texts if t.get_text().startswith("t =")]
    assert times == [f"t = {t}" for t in ["−1", *range(5)]]


def test_of_a_long_caption_the_middle_is_left_out(ax):
    plots.draw_captioner(STAGES[:3], list("abcdefgh"), ax)
    shown = [t.get_text() for t in ax.texts]
    assert shown.count("…") == 2
    assert "d" not in shown
    assert [t for t in shown if t.startswith("t =")][-2:] == ["t = 7", "t = 8"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.draw_pipeline([]),
        lambda: plots.draw_captioner([], WORDS),
        lambda: plots.draw_captioner(STAGES, []),
        lambda: plots.draw_two_steps(STAGES, []),
    ],
)
def test_an_empty_diagram_is_refused(draw):
    with pytest.raises(InputError, match="expected at least one part"):
        draw()


def test_the_house_style_is_white_so_that_figures_read_on_a_dark_page():
    for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
        assert matplotlib.colors.to_rgba(plt.rcParams[key]) == (1, 1, 1, 1)


@pytest.mark.parametrize("path", Path(drawing.__file__).parent.glob("*.py"), ids=lambda p: p.stem)
def test_what_figures_share_knows_nothing_of_torch(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        if name
    }
    assert not any(name.startswith("torch") or name == "songtitle.shapes" for name in modules)


def test_the_funnel_writes_each_count_at_its_bar(ax):
    plots.title_funnel(FUNNEL, ax)
    assert [text.get_text() for text in ax.texts] == ["100", "36", "100"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all", "no names"]


def test_links_are_drawn_in_percent_with_their_interval_and_count(ax):
    plots.link_survival(DOMAINS, total=0.93, ax=ax)
    (bars,) = ax.containers
    assert bars.lines[0].get_xdata() == pytest.approx([90, 100])
    ends = [segment[:, 0].tolist() for segment in bars.lines[2][0].get_segments()]
    assert ends == [pytest.approx([88, 92]), pytest.approx([65, 100])]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "a.example (1,200)",
        "b.example (7)",
    ]


def test_lists_of_years_need_a_name_each():
    with pytest.raises(InputError, match="years: expected 1 lists with rows, got"):
        plots.two_orders(YEARS, ["one"])


def test_rows_of_a_thinned_list_stand_at_their_own_numbers(ax):
    plots.two_orders(YEARS, ["track order", "by year"], every=5, ax=ax)
    assert ax.lines[0].get_xdata().tolist() == [0, 5, 10]
