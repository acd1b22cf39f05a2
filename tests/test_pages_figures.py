"""Figures on a page: a light and a dark one, their numbers, their code; the dark law."""

import re
from xml.etree import ElementTree

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from drawings import plots
from hypothesis import given
from hypothesis import strategies as st
from small_books import build, executed

from songtitle.book.figures import GROUND, KEPT, MARK, PALE, TEXT, contrast, dark, shade
from songtitle.figures import svg_of

CHANNEL = st.integers(0, 255)
COLOUR = st.tuples(CHANNEL, CHANNEL, CHANNEL).map(lambda rgb: tuple(c / 255 for c in rgb))
GREYS = CHANNEL.map(lambda value: (value / 255,) * 3)


def hls(colour):
    import colorsys

    return colorsys.rgb_to_hls(*colour)


@given(GREYS, GREYS)
def test_greys_swap_lightness_and_stay_grey(one, two):
    (a, *rest), (b, *_) = (shade(grey, text=False, fill=True) for grey in (one, two))
    assert rest == [a, a]
    assert (one > two) == (a < b) or one == two
    assert shade((1.0,) * 3, text=False, fill=True) == pytest.approx(GROUND)
    assert contrast(shade((0.0,) * 3, text=False, fill=True), GROUND) > 12


@given(COLOUR)
def test_colours_keep_their_hue_and_can_be_told_from_the_ground_and_text_reads(colour):
    hue, light, _ = hls(colour)
    assert contrast(shade(colour, text=True, fill=True), GROUND) >= TEXT
    if light >= PALE:  # a pale tint of the light page: letters read on it
        ink = shade((0.12, 0.12, 0.12), text=True, fill=True)
        assert contrast(ink, shade(colour, text=False, fill=True)) >= TEXT
    if max(colour) - min(colour) <= 0.06:  # grey
        return
    for fill in (True, False):
        made = shade(colour, text=False, fill=fill)
        if max(made) - min(made) > 0.02:  # near white a hue has no meaning
            assert abs((hls(made)[0] - hue + 0.5) % 1 - 0.5) < 0.01
        if light < PALE or not fill:
            assert contrast(made, GROUND) >= MARK


@pytest.fixture
def figure():
    with matplotlib.rc_context():
        plots.use_house_style()
        ax = plt.figure(figsize=(3, 2)).subplots()
        ax.plot([1, 2], [3, 4], color="#0173b2", label="a")
        ax.imshow(np.array([[[255, 0, 0], [9, 9, 9]]], np.uint8), extent=(1, 2, 3, 4))
        ax.text(1.2, 3.2, "on", color="black", gid=f"{KEPT}-1")
        ax.set(xlabel="time (s)", ylabel="count")
        ax.legend()
        yield ax.figure
    plt.close("all")


def colours(svg):
    return set(re.findall(r"(?:fill|stroke)(?::\s*|=\")(#[0-9a-f]{6})", svg))


def test_a_dark_figure_has_no_light_ground_and_keeps_its_drawing(figure):
    light = svg_of(figure)
    made = dark(light)
    assert "#ffffff" in colours(light)
    assert not colours(made) & {"#ffffff"}
    assert "#121212" in colours(made)
    for mark in ("<path", "<use", "<image"):
        assert made.count(mark) == light.count(mark)
    assert dark(light) == made


def test_pictures_and_what_is_written_on_them_stay(figure):
    light = svg_of(figure)
    made = dark(light)
    pixels = re.compile(r"base64,([^\"]+)")
    assert pixels.findall(light) == pixels.findall(made)
    root = ElementTree.fromstring(made)
    (kept,) = [each for each in root.iter() if each.get("id", "").startswith(KEPT)]
    assert kept.get("fill") == "#000000"


def test_colours_of_letters_inside_pictures_codes_and_addresses_are_left_alone():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    svg += '<use xlink:href="#abcdef" style="fill: #000000; clip-path: url(#fff000)"/></svg>'
    made = dark(svg)
    assert 'href="#abcdef"' in made
    assert "url(#fff000)" in made
    assert "fill: #ededed" in made


# -- a built page ----------------------------------------------------------------------------------


def page_of(folder, svg, *, builder="html", numbers=True):
    """A built page of one figure, and what was warned of."""
    data = {"image/svg+xml": svg, "text/plain": "<Figure>"}
    data |= {"text/csv": "series,x\na,1\n"} if numbers else {}
    about = {"figure": {"name": "fig-x", "caption": "A caption."}, "image": {"alt": "It rises."}}
    (folder / "index.ipynb").write_text(nbformat.writes(executed(data, mystnb=about)), "utf-8")
    return build(folder, builder=builder)


@pytest.fixture
def built(figure, tmp_path):
    return page_of(tmp_path, svg_of(figure))


def test_both_versions_stand_in_one_box_beside_the_caption_that_neither_hides(built):
    folder, warnings = built
    assert not warnings
    html = (folder / "index.html").read_text("utf-8")
    box = re.search(r'<figure[^>]*>\s*<div class="figure-pair[^"]*">(.*?)</div>', html, re.DOTALL)
    assert box
    images = re.findall(r"<img[^>]*>", box[1])
    assert [re.search(r'class="([^"]*)"', each)[1] for each in images] == [
        "only-light",
        "only-dark",
    ]
    assert all('alt="It rises."' in each for each in images)
    sources = [re.search(r'src="([^"]*)"', each)[1] for each in images]
    grounds = ["#ffffff" in colours((folder / src).read_text("utf-8")) for src in sources]
    assert grounds == [True, False]
    # Below stand the numbers, the code and the record.
    line = re.search(r'<p class="figure-links">(.*?)</p>', html, re.DOTALL)[1]
    numbers = re.search(r'href="([^"]*fig-x\.csv)"', line)[1]
    assert (folder / numbers).read_text("utf-8") == "series,x\na,1\n"
    assert 'href="#cell-1"' in line
    assert 'id="cell-1"' in html
    assert 'href="#provenance"' in line


def test_a_figure_without_its_numbers_is_a_warning_that_names_the_command(figure, tmp_path):
    _, warnings = page_of(tmp_path, svg_of(figure), numbers=False)
    assert re.search(r"fig-x: .*run `python -m songtitle run index`", warnings)


def test_other_builders_show_the_light_one_alone(figure, tmp_path):
    folder, _ = page_of(tmp_path, svg_of(figure), builder="latex")
    text = next(folder.glob("*.tex")).read_text("utf-8")
    assert "-dark" not in text
    assert "Numbers (CSV)" not in text


def test_a_page_built_twice_is_the_same(figure, tmp_path):
    pages = []
    for name in "ab":
        (tmp_path / name).mkdir()
        folder, _ = page_of(tmp_path / name, svg_of(figure))
        pages.append((folder / "index.html").read_text("utf-8"))
    assert pages[0] == pages[1]
