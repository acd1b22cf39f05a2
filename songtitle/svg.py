"""SVG drawings, each drawn by a process of its own: resvg ends its process where a canvas does not
fit in memory. It fetches nothing, but would draw any picture of this machine that a drawing names:
such names are taken out first."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import resvg_py

from songtitle.errors import InputError

SUFFIXES = (".svg", ".svgz")

_PROBE = 256  # pixels of the box that the first, small drawing must fit
_MEMORY = 1 << 30  # bytes of address space that a drawing may take; an ordinary one takes a tenth
_PATIENCE = 8  # seconds that a drawing may take; an ordinary one takes a tenth of one


def draw(path: Path, short_side: int, *, most: int) -> bytes:
    """An SVG as PNG bytes, drawn in proportion, its shorter side `short_side` pixels.

    Raises InputError naming the file where it cannot be drawn, takes too long or too much memory,
    or would have more than `most` pixels.
    """
    command = [sys.executable, "-P", "-m", __name__, str(path), str(short_side), str(most)]
    try:
        done = subprocess.run(command, input=b"", capture_output=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        msg = f"{path}: expected an SVG that is drawn within {_PATIENCE} s, got one that is not; "
        raise InputError(msg + "leave it out, or make it simpler") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        reason = said[0] if len(said) == 1 else "one that ends what draws it"
        msg = f"{path}: expected an SVG that can be drawn, got: {reason}; fetch or repair it"
        raise InputError(msg)
    size, _, drawing = done.stdout.partition(b"\n")
    if not drawing:
        width, height = map(int, size.split())
        msg = f"{path}: expected an SVG at most {_PROBE // 2} times as long as wide and a drawing "
        msg += f"of at most {most} pixels, got {width} by {height} in proportion at {short_side} "
        raise InputError(msg + "pixels; change its viewBox")
    return drawing


def _main(path: str, short_side: int, most: int) -> None:
    """Print the size of a small drawing, and the large one where its proportion and number of
    pixels allow it."""
    source = _by_itself(path)
    width, height = struct.unpack(">II", _drawn(source, width=_PROBE, height=_PROBE)[16:24])
    sys.stdout.buffer.write(b"%d %d\n" % (width, height))
    longest = -(-short_side * max(width, height) // min(width, height))
    if min(width, height) > 1 and longest * short_side <= most:
        side = {"width" if width <= height else "height": short_side}
        sys.stdout.buffer.write(_drawn(source, **side))


def _drawn(source: dict[str, Any], **size: Any) -> bytes:
    # Without a dpi, resvg refuses every size given in pt, mm or cm; CSS has 96 px to the inch.
    return bytes(resvg_py.svg_to_bytes(**source, dpi=96, **size))


def _by_itself(path: str) -> dict[str, Any]:
    """What resvg is to draw: the file as it is, or its text without names of pictures elsewhere."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"  # whatever the file is called
        file.seek(0)
        root = ElementTree.parse(gzip.GzipFile(fileobj=file) if zipped else file).getroot()
    pictures = [each for each in root.iter() if each.tag.rpartition("}")[2] in ("image", "feImage")]
    named = [
        (picture, name)
        for picture in pictures
        for name, value in picture.attrib.items()
        if name.rpartition("}")[2] == "href" and not value.lstrip().startswith(("data:", "#"))
    ]
    for picture, name in named:
        del picture.attrib[name]
    return {"svg_string": ElementTree.tostring(root, "unicode")} if named else {"svg_path": path}


if __name__ == "__main__":
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError):  # Windows; a lower limit that is there already
        pass
    try:
        _main(sys.argv[1], *map(int, sys.argv[2:]))
    except ElementTree.ParseError as error:
        sys.exit(f"broken XML: {error}")
    except (ValueError, EOFError, OSError) as error:  # of resvg, and of gzip
        sys.exit(str(error).splitlines()[0])
