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
_PAINTED = ("fill", "stroke", "stop-color", "color")


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
    # What names no colour is black.
    root.set("style", f"fill: {_hex(shade((0.0, 0.0, 0.0), text=True, fill=True))}")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode")


def shade(colour: Colour, *, text: bool, fill: bool) -> Colour:
    """One colour of the light page as it is on the dark one."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    swapped = GROUND[0] + (1 - light) * (BRIGHTEST - GROUND[0])
    if max(colour) - min(colour) <= GREY:
        found: Colour = (swapped,) * 3
        return _lit(found, TEXT) if text else found
    if fill and not text and light >= PALE:
        return _deep(colorsys.hls_to_rgb(hue, swapped, saturation))
    return _lit(colour, TEXT if text else MARK)


def contrast(one: Colour, two: Colour) -> float:
    """Contrast of two colours as WCAG 2 defines it, 1 to 21."""
    low, high = sorted(map(_luminance, (one, two)))
    return (high + 0.05) / (low + 0.05)


def _lit(colour: Colour, least: float) -> Colour:
    """The colour, as much lighter as the contrast to the ground asks."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    # Rounding to 8 bits may take a hair of it away again.
    while contrast(colour, GROUND) < least + 0.05 and light < 1:
        light = min(1.0, light + 0.01)
        colour = colorsys.hls_to_rgb(hue, light, saturation)
    return colour


def _deep(colour: Colour) -> Colour:
    """The colour, as much darker as the contrast to text on it asks."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    while contrast(colour, INK) < TEXT and light > 0:
        light = max(0.0, light - 0.01)
        colour = colorsys.hls_to_rgb(hue, light, saturation)
    return colour


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _repaint(element: ElementTree.Element, *, text: bool) -> None:
    name = element.get("id", "")
    if name.startswith(KEPT):
        element.set("fill", "#000000")  # black is what its letters mean by naming none
        return
    # The box behind a text is part of its group, and is a ground.
    text = name.startswith("text_") or (text and not name.startswith("patch_"))
    for what in _PAINTED:
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
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return _hex(shade((red, green, blue), text=text, fill=what == "fill"))


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)


ALT, CSV = "application/vnd.songtitle.alt", "text/csv"  # as `figures.inline` writes them
PICTURES = ("image/svg+xml", "image/png", "image/jpeg")
RECORD = "provenance"  # the anchor of what a page says of its run

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Before Sphinx collects images and downloads, so that the new ones are among them."""
    app.connect("doctree-read", complete, priority=100)
    app.add_post_transform(OnlyLight)


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
    if not found and any(kind in data for data in outputs for kind in PICTURES):
        msg = f"{about['figure'].get('name', 'figure')}: expected a figure that says what it "
        msg += "shows, got a bare picture; call use_house_style() before it is drawn, and "
        msg += "figures.hand_on(ax, frame, finding) for each axis drawn by hand"
        raise InputError(msg)
    if found:
        image = about.setdefault("image", {})
        image["alt"] = " ".join([image.get("alt", ""), *found]).strip()


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
        for image in drawings:
            _pair(app, image)
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
        light = _file(app, drawings[0]["uri"])
        beside = f"{Path(app.env.docname).name}/{name}.csv"
        _write_text(light.parent / beside, numbers)
        shown: Any = drawings[-1]  # or the figure around it, or what of the cell holds it
        while not isinstance(shown, nodes.figure) and shown.parent not in (None, node):
            shown = shown.parent
        place = shown.parent.index(shown) + 1
        target = str(drawings[0]["uri"]).replace(light.name, beside)
        shown.parent.insert(place, _links(target, anchor))


def _pair(app: Sphinx, image: nodes.image) -> None:
    """Both versions in one box: the theme hides whatever follows the version that is not shown."""
    light = _file(app, image["uri"])
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


def _file(app: Sphinx, uri: str) -> Path:
    return Path(app.env.relfn2path(uri, app.env.docname)[1])


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


def _links(target: str, anchor: str) -> nodes.paragraph:
    numbers = addnodes.download_reference("", "", reftarget=target, refdoc="", classes=["csv"])
    numbers += nodes.inline("", "Numbers (CSV)")
    return nodes.paragraph(
        "",
        "",
        numbers,
        nodes.Text(" · "),
        nodes.reference("", "code", internal=True, refid=anchor),
        nodes.Text(" · "),
        nodes.reference("", "record", internal=True, refid=RECORD),
        classes=["figure-links"],
    )


class OnlyLight(SphinxPostTransform):
    """What is printed has one version of each figure, and no links to files beside it."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Also drops the link to a record where the page has none."""
        html = self.app.builder.format == "html"
        for node in list(self.document.findall(nodes.paragraph)):
            if "figure-links" in node["classes"] and not html:
                node.parent.remove(node)
        for node in list(self.document.findall(nodes.container)):
            if "figure-pair" in node["classes"] and not html:
                node.replace_self(node.children[0])
