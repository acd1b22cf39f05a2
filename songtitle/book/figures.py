"""Figures on pages: a twin for the dark page, what they say, their numbers and links."""

import colorsys
import json
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from songtitle.errors import InputError

ALT, CSV = "application/vnd.songtitle.alt", "text/csv"  # as `figures.inline` writes them
PICTURES = ("image/svg+xml", "image/png", "image/jpeg")

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)

GROUND = (0x12 / 255,) * 3  # what sphinx-book-theme has behind the text of a dark page
BRIGHTEST = 0.93  # what black becomes: white on near-black glares
MARK, TEXT = 3.0, 4.5  # contrast that WCAG 2.2 AA asks of graphics, and of text
GREY = 0.06  # spread of red, green and blue up to which a colour counts as grey
INK = (0.82,) * 3  # what the book's darkest grey text becomes, a little less
PALE = 0.85  # lightness from which a tint is a ground under text, no mark
KEPT = "on-a-picture"  # groups whose ground is a picture, which stays as it is

Colour = tuple[float, float, float]

_HEX = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b(?!-)")
_PAINT = re.compile(r"(?P<what>fill|stroke|stop-color|color)(?P<is>\s*:\s*)(?P<colour>#\w+)")

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Before Sphinx collects images and downloads, so that the new ones are among them."""
    app.connect("doctree-read", complete, priority=100)
    app.add_post_transform(OnlyLight)


# --- a drawing for the dark page


def dark(svg: str) -> str:
    """The SVG of a figure on a light page as one for a dark page.

    White becomes the page's ground and black nearly white; greys between swap lightness. Colours
    keep their hue, as light as a contrast of 3 to the ground asks; text, of 4.5. Pale tints, which
    lie under text, become deep ones. Embedded pictures and what is written on them stay.
    """
    root = ElementTree.fromstring(svg)
    for each in root.findall(f"{{{SVG}}}metadata"):
        root.remove(each)
    _repaint(root, text=False)
    root.set("style", f"fill: {_shaded('#000000', 'fill', text=True)}")  # what names no colour
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode")


def _repaint(element: ElementTree.Element, *, text: bool) -> None:
    name = element.get("id", "")
    if name.startswith(KEPT):
        element.set("fill", "#000000")  # black is what its letters mean by naming none
        return
    # The box behind a text is part of its group, and is a ground.
    text = name.startswith("text_") or (text and not name.startswith("patch_"))
    for what in ("fill", "stroke", "stop-color", "color"):
        if _HEX.fullmatch(element.get(what, "")):
            element.set(what, _shaded(element.get(what, ""), what, text=text))

    def painted(found: re.Match[str]) -> str:
        return found["what"] + found["is"] + _shaded(found["colour"], found["what"], text=text)

    if style := element.get("style"):
        element.set("style", _PAINT.sub(painted, style))
    for child in element:
        _repaint(child, text=text)


def _shaded(code: str, what: str, *, text: bool) -> str:
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    red, green, blue = (value / 255 for value in bytes.fromhex(digits))
    made = shade((red, green, blue), text=text, fill=what == "fill")
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in made)


def shade(colour: Colour, *, text: bool, fill: bool) -> Colour:
    """One colour of the light page as it is on the dark one."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    swapped = GROUND[0] + (1 - light) * (BRIGHTEST - GROUND[0])
    if max(colour) - min(colour) <= GREY:
        colour = (swapped,) * 3
        if not text:
            return colour
    elif fill and not text and light >= PALE:
        return _moved(colorsys.hls_to_rgb(hue, swapped, saturation), INK, TEXT, -0.01)
    # Rounding to 8 bits may take a hair of the contrast away again.
    return _moved(colour, GROUND, (TEXT if text else MARK) + 0.05, 0.01)


def _moved(colour: Colour, other: Colour, least: float, step: float) -> Colour:
    """The colour, as much lighter or darker as the contrast to another asks."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    while contrast(colour, other) < least and light != (1.0 if step > 0 else 0.0):
        light = min(1.0, max(0.0, light + step))
        colour = colorsys.hls_to_rgb(hue, light, saturation)
    return colour


def contrast(one: Colour, two: Colour) -> float:
    """Contrast of two colours as WCAG 2 defines it, 1 to 21."""

    def luminance(colour: Colour) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, two)))
    return (high + 0.05) / (low + 0.05)


# --- what stands with a drawing on its page


def describe(cell: MutableMapping[str, Any]) -> None:
    """Move what the outputs of an executed cell say of its figure into the cell's alt text.

    The cell's own alt text, what kind of figure it is, comes first. Raises `InputError` for a
    figure of the book without a word about what it found.
    """
    outputs = [each["data"] for each in cell.get("outputs", []) if "data" in each]
    found = ["".join(data.pop(ALT)) for data in outputs if ALT in data]
    about = cell["metadata"].get("mystnb", {})
    if "figure" not in about:
        return
    if found:
        image = about.setdefault("image", {})
        image["alt"] = " ".join([image.get("alt", ""), *found]).strip()
    elif any(kind in data for data in outputs for kind in PICTURES):
        msg = f"{about['figure'].get('name', 'figure')}: expected a figure that says what it "
        msg += "shows, got a bare picture; call use_house_style() before it is drawn, and "
        msg += "figures.hand_on(ax, frame, finding) for each axis drawn by hand"
        raise InputError(msg)


def complete(app: Sphinx, document: nodes.document) -> None:
    """Give each drawn figure of a notebook's page its dark twin and its line of links."""
    page = Path(app.env.doc2path(app.env.docname))
    if page.suffix != ".ipynb":
        return
    cells = json.loads(page.read_text("utf-8"))["cells"]
    for node in document.findall(nodes.container):
        if node.get("nb_element") != "cell_code":
            continue
        cell, anchor = cells[int(node["cell_index"])], f"cell-{int(node['cell_index'])}"
        if anchor not in document.ids:
            node["ids"].append(anchor)
        drawings = [each for each in node.findall(nodes.image) if each["uri"].endswith(".svg")]
        lights = [_pair(app, image) for image in drawings]
        if not drawings:
            continue
        named = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")
        name = named or f"{page.stem}-{anchor}"
        found = [each.get("data", {}).get(CSV) for each in cell.get("outputs", [])]
        numbers = "\n".join("".join(text) for text in found if text)
        if not numbers:
            msg = f"{name}: a figure without its numbers; run `python -m songtitle run {page.stem}`"
            logger.warning(msg, location=node)
            continue
        beside = f"{Path(app.env.docname).name}/{name}.csv"
        _write_text(lights[0].parent / beside, numbers)
        shown: Any = drawings[-1]  # or the figure around it, or what of the cell holds it
        while not isinstance(shown, nodes.figure) and shown.parent not in (None, node):
            shown = shown.parent
        target = str(drawings[0]["uri"]).replace(lights[0].name, beside)
        csv = addnodes.download_reference("", "", reftarget=target, refdoc="", classes=["csv"])
        csv += nodes.inline("", "Numbers (CSV)")
        code = nodes.reference("", "code", internal=True, refid=anchor)
        record = nodes.reference("", "record", internal=True, refid="provenance")  # the badge
        parts = [csv, nodes.Text(" · "), code, nodes.Text(" · "), record]
        links = nodes.paragraph("", "", *parts, classes=["figure-links"])
        shown.parent.insert(shown.parent.index(shown) + 1, links)


def _pair(app: Sphinx, image: nodes.image) -> Path:
    """Put both versions in one box; the file of the light one.

    The theme hides whatever follows the version that is not shown.
    """
    light = Path(app.env.relfn2path(image["uri"], app.env.docname)[1])
    twin = light.with_name(f"{light.stem}-dark.svg")
    _write_text(twin, dark(light.read_text("utf-8")))
    second = image.deepcopy()
    second["uri"] = image["uri"].replace(light.name, twin.name)
    second["loading"] = "lazy"  # most readers never see it
    second["classes"] = [*image["classes"], "only-dark"]
    image["classes"] = [*image["classes"], "only-light"]
    both = nodes.container(classes=["figure-pair"])
    image.parent.replace(image, both)  # `replace_self` would hand the image's classes on
    both += [image, second]
    return light


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


class OnlyLight(SphinxPostTransform):
    """What is printed has one version of each figure, and no links to files beside it."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Leave what is for the screen out of what other builders write."""
        if self.app.builder.format == "html":
            return
        for node in list(self.document.findall(nodes.paragraph)):
            if "figure-links" in node["classes"]:
                node.parent.remove(node)
        for node in list(self.document.findall(nodes.container)):
            if "figure-pair" in node["classes"]:
                node.replace_self(node.children[0])
