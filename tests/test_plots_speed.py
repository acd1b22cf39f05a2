import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from songtitle.errors import InputError
from songtitle.studies.software import growth_lines, ratio_bars

pytestmark = pytest.mark.usefixtures("fresh_figures")

SIZES = [100, 200, 400, 800]


def growth(unit="seconds"):
    rows = [
        ("beam search", "songs", [0.1, 0.2, 0.4, 0.8], 1.0),
        ("BLEU-1 of every pair", "titles", [0.01, 0.04, 0.16, 0.64], 2.0),
        ("lookup", "titles", [0.03, 0.03, 0.03, 0.03], 0.0),
    ]
    columns = ["what", "against", "values", "exponent"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(unit=unit, sizes=[SIZES] * len(rows), subject="growth")


def benchmarks():
    rows = [
        ("beam", "k = 5", "time / the limit", 1.17, 1.3, None),
        ("beam", "k = 10", "times faster than the loop", 25.0, None, 10.0),
        ("encoder", "tiles", "time / one picture", 2.1, 1.4, None),
        ("encoder", "compiled", "seconds", 13.0, None, None),
        ("metrics", "titles", "difference", 1e-16, 1e-9, None),
    ]
    columns = ["subject", "what", "quantity", "value", "at_most", "at_least"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def ax():
    return plt.figure(figsize=(8, 4)).subplots()


def dots(ax):
    """Height and place of every dot, by height."""
    return sorted((y, x) for dots in ax.collections[1:] for x, y in dots.get_offsets())


@pytest.mark.parametrize(
    ("figure", "frame"), [(growth_lines, growth()), (ratio_bars, benchmarks())]
)
def test_frames_are_left_as_they_were(figure, frame):
    before = frame.copy(deep=True)
    figure(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(("unit", "label"), [("seconds", "time (s)"), ("MB", "memory (MB)")])
def test_labels_carry_units(unit, label, ax):
    growth_lines(growth(unit), ax)
    assert ax.get_ylabel() == label
    assert ax.get_xlabel() == "size (songs, titles)"
    assert "(ratio)" in ratio_bars(benchmarks()).get_xlabel()


def test_growth_is_drawn_as_measured_on_logarithmic_axes_with_its_exponent(ax):
    growth_lines(growth(), ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    first, second, _ = ax.lines
    assert list(first.get_xdata()) == SIZES
    assert list(second.get_ydata()) == [0.01, 0.04, 0.16, 0.64]
    assert second.get_label() == "BLEU-1 of every pair, by titles: exponent 2.00"


def test_what_is_counted_is_named_in_the_legend_only_where_it_differs(ax):
    growth_lines(growth().iloc[1:], ax)
    assert [line.get_label() for line in ax.lines] == [
        "BLEU-1 of every pair: exponent 2.00",
        "lookup: exponent 0.00",
    ]
    assert ax.get_xlabel() == "size (titles)"


def test_curves_differ_in_colour_marker_and_line_style(ax):
    growth_lines(growth(), ax)
    looks = [(line.get_color(), line.get_marker(), line._dash_pattern) for line in ax.lines]
    for feature in zip(*looks, strict=True):
        assert len(set(map(str, feature))) == len(looks)


def test_seconds_and_megabytes_do_not_share_an_axis():
    both = pd.concat([growth(), growth("MB")])
    with pytest.raises(InputError, match="expected one unit an axis, got seconds, MB"):
        growth_lines(both)


def test_a_value_stands_at_its_share_of_the_bound_whichever_way_the_bound_goes(ax):
    ratio_bars(benchmarks(), ax)
    places = [x for _, x in dots(ax)]
    assert places[:3] == pytest.approx([1.17 / 1.3, 10 / 25, 2.1 / 1.4])
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.40", "1.50", "1e-07"]


def test_rows_with_both_bounds_count_by_the_nearer_one(ax):
    ratio_bars(benchmarks().iloc[:1].assign(at_least=1.0), ax)
    assert dots(ax) == [(0, pytest.approx(1.17 / 1.3))]
    ratio_bars(benchmarks().iloc[:1].assign(at_least=2.34), own := plt.figure().subplots())
    assert dots(own) == [(0, pytest.approx(2.0))]


def test_met_and_not_met_differ_by_more_than_colour(ax):
    ratio_bars(benchmarks(), ax)
    marks = {found.get_label(): found for found in ax.collections}
    assert len(marks["met"].get_offsets()) == 2
    assert marks["not met"].get_offsets().tolist() == [[pytest.approx(1.5), 2]]
    shapes = [marks[label].get_paths()[0].vertices.shape for label in ("met", "not met")]
    assert shapes[0] != shapes[1]


def test_rows_without_a_bound_are_left_out_and_the_first_row_stands_on_top(ax):
    ratio_bars(benchmarks(), ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [name.partition("\n")[0] for name in names] == [
        "beam: k = 5",
        "beam: k = 10",
        "encoder: tiles",
        "metrics: titles",
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize(("value", "bounds"), [(0.0, (1e-9, None)), (0.0, (None, 0.5))])
def test_zero_has_its_place_on_the_logarithmic_axis(value, bounds, ax):
    frame = benchmarks().iloc[:1].assign(value=value, at_most=bounds[0], at_least=bounds[1])
    ratio_bars(frame, ax)
    left, right = ax.get_xlim()
    assert all(left < x < right for _, x in dots(ax))
    assert np.isfinite([left, right]).all()
    ax.figure.canvas.draw()


def test_names_are_not_read_as_mathematics(ax):
    ratio_bars(benchmarks().assign(what="|V|$_0$ at $5"), ax)
    ax.figure.canvas.draw()
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


def test_a_frame_that_cannot_be_drawn_is_refused_by_name():
    with pytest.raises(InputError, match=r"growth: expected .*got no exponent"):
        growth_lines(growth().drop(columns="exponent"))
    with pytest.raises(InputError, match=r"benchmarks: .*got no rows"):
        ratio_bars(benchmarks().iloc[:0])
    with pytest.raises(InputError, match="expected rows with a bound, got none"):
        ratio_bars(benchmarks().iloc[[3]])
