"""Pictures: read, drawn, brought to size, cropped, mirrored and cut into tiles."""

import io
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image as pillow
from PIL import ImageOps
from torch import Generator, Tensor

from songtitle import svg
from songtitle.errors import InputError
from songtitle.shapes import Image

Resized = Float[Tensor, "*batch channels _ _"]  # an Image of another size than the argument's
Crop = Float[Tensor, "*batch channels {size} {size}"]


def load_picture(
    path: str | Path, *, short_side: int = 256
) -> Float[Tensor, "channels height width"]:
    """Load a picture file as RGB in [0, 1], transparency laid over white.

    PNG, JPEG and whatever else Pillow reads keep their own size, turned upright as their EXIF
    says. An SVG has no pixels of its own: it is drawn in proportion, its shorter side
    `short_side` pixels; one without a stated size is drawn as large as what it shows, and pictures
    that it names elsewhere are left out. (Lettering takes the fonts of the machine that draws it.)

    Raises `InputError` naming the file when it is missing, broken, larger than Pillow's limit for
    decompression bombs, or an SVG too thin to draw.
    """
    path = Path(path)
    _check_file(path)
    _check_side("short_side", short_side)
    is_svg = path.suffix.lower() in svg.SUFFIXES
    picture = _draw(path, short_side) if is_svg else _read(path, str(path))
    return _pixels(picture).contiguous().float() / 255


def load_view(
    source: str | Path | bytes, size: int, *, generator: Generator | None = None
) -> Float[Tensor, "3 {size} {size}"]:
    """Load a picture file, or its content, as one square view of it: RGB in [0, 1].

    The shorter side becomes `size` pixels (bilinear, antialiased, as torchvision's `resize`), and
    of the longer one as much is kept: the middle, or with a `generator` a random piece, mirrored
    half the time. The colours are those of `load_picture`, to within 2/255: pixels stay whole
    numbers until the view is cut, and ordinary JPEGs, which are the most, are decoded without
    Pillow. An SVG must come as a file.

    Raises `InputError` as `load_picture` does, naming the file, or "picture" where content was
    given, and for a picture so long that it would pass the same limit at its new size.
    """
    _check_side("size", size)
    name = "picture"
    if not isinstance(source, bytes):
        path = Path(source)
        _check_file(path)
        if path.suffix.lower() in svg.SUFFIXES:
            return _view(_pixels(_draw(path, size)), size, generator, str(path))
        name, source = str(path), path.read_bytes()
    pixels = _ordinary_jpeg(source)
    if pixels is None:
        pixels = _pixels(_read(io.BytesIO(source), name))
    return _view(pixels, size, generator, name)


def cover(image: Image, size: int) -> Resized:
    """Scale a picture up until its shorter side is `size` pixels; larger ones stay as they are.

    Both sides keep their proportion (bilinear, antialiased); values stay in their range.
    """
    height, width = image.shape[-2:]
    shorter = min(height, width)
    if shorter >= size:
        return image
    target = (round(height * size / shorter), round(width * size / shorter))
    flat = image.reshape(-1, *image.shape[-3:])
    scaled = torch.nn.functional.interpolate(
        flat, size=target, mode="bilinear", antialias=True, align_corners=False
    )
    return scaled.reshape(*image.shape[:-2], *target)


def pad_to(image: Image, height: int, width: int) -> Resized:
    """Extend a picture on the right and below with 0 to at least `height` by `width` pixels.

    Meant for spectrograms, where 0 is silence and scaling would change tempo and pitch.
    """
    missing = max(0, width - image.shape[-1]), max(0, height - image.shape[-2])
    return torch.nn.functional.pad(image, (0, missing[0], 0, missing[1]))


def random_crop(image: Image, size: int, *, generator: Generator) -> Crop:
    """Cut a `size` by `size` piece at a random place, every place equally likely.

    Pictures of a batch are cut at the same place. Raises `InputError` when a side is too short.
    """
    height, width = image.shape[-2:]
    if min(height, width) < size:
        msg = (
            f"image: expected sides of at least {size} pixels, got {height} x {width}; "
            "use cover() or pad_to() first"
        )
        raise InputError(msg)
    top = int(torch.randint(height - size + 1, (), generator=generator))
    left = int(torch.randint(width - size + 1, (), generator=generator))
    return image[..., top : top + size, left : left + size]


def random_view(image: Image, size: int, *, generator: Generator) -> Crop:
    """Take what training sees: a random `size` crop of the picture, mirrored half the time.

    Pictures too small for the crop go through `cover` first. Spectrograms should come through
    `pad_to`, so that a short clip is extended by silence instead of scaled.
    """
    crop = random_crop(cover(image, size), size, generator=generator)
    return crop.flip(-1) if torch.rand((), generator=generator) < 0.5 else crop


def tiles(image: Image, size: int) -> Float[Tensor, "*batch tiles channels {size} {size}"]:
    """Cut a picture into `size` by `size` tiles, row by row from the top left.

    Raises `InputError` when the sides are not multiples of `size`.
    """
    channels, height, width = image.shape[-3:]
    if size < 1 or height % size or width % size:
        msg = (
            f"tile size: expected a divisor of both sides of {height} x {width} pixels, "
            f"got {size}; choose another or crop first"
        )
        raise InputError(msg)
    rows, columns = height // size, width // size
    split = image.reshape(*image.shape[:-3], channels, rows, size, columns, size)
    ordered = split.movedim((-4, -2), (-5, -4))  # rows, columns, channels, size, size
    return ordered.reshape(*image.shape[:-3], rows * columns, channels, size, size)


def _check_file(path: Path) -> None:
    if not path.is_file():
        came = "a folder" if path.is_dir() else "no such file"
        msg = f"{path}: expected a picture file, got {came}; check the name"
        raise InputError(msg)


def _check_side(name: str, side: int) -> None:
    if side < 1:
        msg = f"{name}: expected at least 1 pixel, got {side}; try 256"
        raise InputError(msg)


def _most_pixels() -> int:
    """Pillow's limit for decompression bombs."""
    return pillow.MAX_IMAGE_PIXELS or sys.maxsize


def _pixels(picture: pillow.Image) -> UInt8[Tensor, "3 height width"]:
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


def _view(
    pixels: UInt8[Tensor, "3 height width"], size: int, generator: Generator | None, name: str
) -> Float[Tensor, "3 {size} {size}"]:
    height, width = pixels.shape[-2:]
    if size * size * max(height, width) > min(height, width) * _most_pixels():
        msg = (
            f"{name}: expected at most {pillow.MAX_IMAGE_PIXELS} pixels once the shorter side has "
            f"{size}, got {height} x {width} in proportion; leave it out or cut it"
        )
        raise InputError(msg)
    from torchvision.transforms.v2 import functional as transforms  # seconds to load

    pixels = transforms.resize(pixels, [size], antialias=True)
    spare = [side - size for side in pixels.shape[-2:]]
    if generator is None:
        top, left = (round(room / 2) for room in spare)  # as torchvision centres
    else:
        top, left = (int(torch.randint(room + 1, (), generator=generator)) for room in spare)
    crop = pixels[:, top : top + size, left : left + size]
    if generator is not None and torch.rand((), generator=generator) < 0.5:
        crop = crop.flip(-1)
    # One pass into memory of the usual order, where `.float() / 255` would take three.
    view = torch.empty(crop.shape)
    return view.copy_(crop).div_(255)


def _ordinary_jpeg(content: bytes) -> UInt8[Tensor, "3 height width"] | None:
    """The pixels of a JPEG, upright; None for all that Pillow must look at."""
    frame = _jpeg_frame(content)
    if frame is None:
        return None
    height, width, components = frame
    within = height * width <= _most_pixels()
    # Of four components it would have to be known which kind of CMYK they are.
    if not within or components not in (1, 3) or b"tiff:Orientation" in content:
        return None
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    try:
        return decode_jpeg(data, ImageReadMode.RGB, apply_exif_orientation=True)
    except RuntimeError:  # Pillow reads some of these, and has a word for the others
        return None


def _jpeg_frame(content: bytes) -> tuple[int, int, int] | None:
    """Height, width and number of components, from the markers before the first scan.

    None where there is no frame of 8-bit samples with Huffman coding (ITU T.81, table B.1: SOF0,
    SOF1 and SOF2).
    """
    place = 2
    if content[:2] != b"\xff\xd8":
        return None
    while content[place : place + 1] == b"\xff" and place + 10 <= len(content):
        marker = content[place + 1]
        if 0xC0 <= marker <= 0xC2:
            bits, height, width, components = struct.unpack_from(">BHHB", content, place + 4)
            return (height, width, components) if bits == 8 and height and width else None
        if marker == 0xFF:  # a marker may be filled up in front
            place += 1
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return None


def _read(source: Path | io.BytesIO, name: str) -> pillow.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(source) as file:
                return _on_white(ImageOps.exif_transpose(file))
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        msg = (
            f"{name}: expected at most {pillow.MAX_IMAGE_PIXELS} pixels, got more; "
            "make the picture smaller"
        )
        raise InputError(msg) from error
    # Pillow's many decoders meet broken files with OSError, SyntaxError, ValueError, struct.error
    # and others.
    except Exception as error:
        msg = f"{name}: expected a PNG or JPEG picture, got one that cannot be read; fetch it again"
        raise InputError(msg) from error


def _on_white(picture: pillow.Image) -> pillow.Image:
    if picture.mode.startswith("I;16"):  # Pillow would clip 16-bit greys at 255, not scale them
        picture = pillow.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    layer = picture.convert("RGBA")
    white = pillow.new("RGBA", layer.size, "white")
    return pillow.alpha_composite(white, layer).convert("RGB")


def _draw(path: Path, short_side: int) -> pillow.Image:
    drawing = svg.draw(path, short_side, most=_most_pixels())
    return _on_white(pillow.open(io.BytesIO(drawing)))
