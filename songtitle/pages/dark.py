"""A figure for the dark page: greys swap light for dark, colours keep hue and can be read."""

import colorsys
import re
from xml.etree import ElementTree

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
    if style := element.get("style"):
        element.set(
            "style",
            _PAINT.sub(
                lambda found: (
                    found["what"] + found["is"] + _shaded(found["colour"], found["what"], text=text)
                ),
                style,
            ),
        )
    for child in element:
        _repaint(child, text=text)


def _shaded(code: str, what: str, *, text: bool) -> str:
    return _hex(shade(_rgb(code), text=text, fill=what == "fill"))


def _rgb(code: str) -> Colour:
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)
