"""A figure as SVG: the same bytes each time, and no larger than it needs to be."""

import base64
import io
import re
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

# No date here, and `svg.hashsalt` in the house style: the same figure is the same bytes. `dpi` is
# that of rasterised marks and pictures inside the SVG.
PRINT: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Date": None}, "dpi": 120}

_PNG = re.compile(r"data:image/png;base64,([^\"]+)")
_GLYPH = re.compile(r'<path id="([^"]+-[0-9a-f]+)" d="([^"]*)"')
_LETTER = re.compile(r'<use xlink:href="#([^"]+)" transform="translate\(([^ )]+) ([^)]+)\)"/>')
_NAMED = re.compile(r'xlink:href="#([^"]+-[0-9a-f]+)"')
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_INDENT = re.compile(r"\n\s+")


def svg_of(figure: Figure) -> str:
    """The figure as SVG in which letters are drawn as paths: no reader needs its fonts."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", **PRINT)
    return small(buffer.getvalue())


def small(svg: str) -> str:
    """The same picture in fewer bytes: about half of those that matplotlib writes."""
    svg = _COMMENT.sub("", _METADATA.sub("", svg))
    names = {name: f"g{place}" for place, (name, _) in enumerate(_GLYPH.findall(svg))}
    svg = _GLYPH.sub(lambda found: f'<path id="{names[found[1]]}" d="{found[2]}"', svg)
    svg = _LETTER.sub(lambda found: _letter(found, names), svg)
    svg = _NAMED.sub(lambda found: f'xlink:href="#{names.get(found[1], found[1])}"', svg)
    svg = _PNG.sub(lambda found: f"data:image/png;base64,{_png(found[1])}", svg)
    return _INDENT.sub("\n", svg)


def _letter(found: re.Match[str], names: dict[str, str]) -> str:
    """One letter of a text, its place to a tenth of a hundredth of the size of type."""
    name, x, y = found[1], found[2], found[3]
    if name not in names:
        return found[0]
    place = "".join(
        f' {axis}="{float(value):.1f}"'.replace(".0", "")
        for axis, value in (("x", x), ("y", y))
        if float(value)
    )
    return f'<use xlink:href="#{names[name]}"{place}/>'


def _png(code: str) -> str:
    """The same pixels: without alpha where all are opaque, by palette where colours are few."""
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGBA")
    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
        if image.getcolors(256):
            image = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
