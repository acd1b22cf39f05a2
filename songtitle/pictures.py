"""Pictures: read, drawn, brought to size, cropped, mirrored and cut into tiles."""

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from PIL import Image as pillow
from PIL import ImageOps
from torch import Generator, Tensor

from songtitle import svg
from songtitle.errors import InputError
from songtitle.shapes import Image

Pixels = Num[Tensor, "*batch channels height width"]  # an Image, or its whole numbers to 255
Resized = Num[Tensor, "*batch channels _ _"]  # of another size than the argument's
Crop = Num[Tensor, "*batch channels {size} {size}"]


def load_picture(
    source: str | Path | bytes, *, short_side: int = 256, name: str = "picture"
) -> Float[Tensor, "channels height width"]:
    """Load a picture file, or its content, as RGB in [0, 1], transparency laid over white.

    PNG, JPEG and whatever else Pillow reads keep their own size, turned upright as their EXIF
    says. An SVG is drawn in proportion, its shorter side `short_side` pixels, without pictures
    that it names elsewhere and in the fonts of this machine.

    Raises `InputError` naming the file, or content by `name`, when it is missing, broken, larger
    than Pillow's limit for decompression bombs, or an SVG too thin to draw; an SVG must come as a
    file.
    """
    _check_side("short_side", short_side)
    if isinstance(source, bytes):
        return _pixels(_read(io.BytesIO(source), name)).contiguous().float() / 255
    drawn = _drawn(Path(source), short_side)
    picture = _read(Path(source), str(source)) if drawn is None else drawn
    return _pixels(picture).contiguous().float() / 255


def sides(content: bytes) -> tuple[int, int]:
    """Read width and height in pixels from a picture's header, not turned by its EXIF. Raises
    ValueError with the reason: "too many pixels" (Pillow's limit), or "not a picture"."""
    reason = "not a picture"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(io.BytesIO(content)) as picture:
                return picture.size
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        reason = "too many pixels"
    # Pillow's many decoders meet broken files with OSError, SyntaxError, ValueError, others
    except Exception:
        reason = "not a picture"
    raise ValueError(reason)


def load_view(
    source: str | Path | bytes, size: int, *, generator: Generator | None = None
) -> Float[Tensor, "3 {size} {size}"]:
    """Load a picture file, or its content, as one square view of it: RGB in [0, 1].

    The shorter side becomes `size` pixels (bilinear, antialiased, as torchvision's `resize`), and
    of the longer one as much is kept: the middle, or with a `generator` what `random_view` takes.
    The colours are those of `load_picture`, to within 2/255: pixels stay whole numbers until the
    view is cut, and ordinary JPEGs are decoded without Pillow. An SVG must come as a file.

    Raises `InputError` as `load_picture` does, with the name "picture" for content, and for a
    picture so long that it would pass the same limit at its new size.
    """
    _check_side("size", size)
    name, drawn = "picture", None
    if not isinstance(source, bytes):
        path, name = Path(source), str(source)
        drawn = _drawn(path, size)
        source = b"" if drawn else path.read_bytes()
    pixels = _ordinary_jpeg(source)
    if pixels is None:
        pixels = _pixels(drawn or _read(io.BytesIO(source), name))
    height, width = pixels.shape[-2:]
    if size * size * max(height, width) > min(height, width) * _most_pixels():
        msg = f"{name}: expected at most {_most_pixels()} pixels once the shorter side has {size}, "
        raise InputError(msg + f"got {height} x {width} in proportion; leave it out or cut it")
    from torchvision.transforms.v2 import functional as transforms  # seconds to load

    pixels = transforms.resize(pixels, [size], antialias=True)
    if generator is None:  # the middle, as torchvision has it
        top, left = (round((side - size) / 2) for side in pixels.shape[-2:])
        crop = pixels[:, top : top + size, left : left + size]
    else:
        crop = random_view(pixels, size, generator=generator)
    # One pass into memory of the usual order, where `.float() / 255` would take three.
    return torch.empty(crop.shape).copy_(crop).div_(255)


def cover(image: Pixels, size: int) -> Resized:
    """Scale a picture up, in proportion (bilinear, antialiased), until its shorter side is `size`
    pixels; larger ones stay as they are."""
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
    """Extend a spectrogram on the right and below with 0, silence, to at least this many pixels."""
    missing = max(0, width - image.shape[-1]), max(0, height - image.shape[-2])
    return torch.nn.functional.pad(image, (0, missing[0], 0, missing[1]))


def random_crop(image: Pixels, size: int, *, generator: Generator) -> Crop:
    """Cut a `size` by `size` piece at a random place, the same for all pictures of a batch."""
    height, width = image.shape[-2:]
    if min(height, width) < size:
        msg = f"image: expected sides of at least {size} pixels, got {height} x {width}; "
        raise InputError(msg + "use cover() or pad_to() first")
    top = int(torch.randint(height - size + 1, (), generator=generator))
    left = int(torch.randint(width - size + 1, (), generator=generator))
    return image[..., top : top + size, left : left + size]


def random_view(image: Pixels, size: int, *, generator: Generator) -> Crop:
    """Take what training sees: a random `size` crop of the picture, mirrored half the time.

    A picture too small goes through `cover`. Spectrograms should come through `pad_to` instead.
    """
    crop = random_crop(cover(image, size), size, generator=generator)
    return crop.flip(-1) if torch.rand((), generator=generator) < 0.5 else crop


def tiles(image: Image, size: int) -> Float[Tensor, "*batch tiles channels {size} {size}"]:
    """Cut a picture into `size` by `size` tiles without remainder, row by row from the top left."""
    height, width = image.shape[-2:]
    if size < 1 or height % size or width % size:
        msg = f"tile size: expected a divisor of both sides of {height} x {width} pixels, "
        raise InputError(msg + f"got {size}; choose another or crop first")
    cut = image.unfold(-2, size, size).unfold(-2, size, size)  # channels, rows, columns, ...
    return cut.movedim(-5, -3).flatten(-5, -4)


def _check_side(name: str, side: int) -> None:
    if side < 1:
        msg = f"{name}: expected at least 1 pixel, got {side}; try 256"
        raise InputError(msg)


def _most_pixels() -> int:
    """Pillow's limit for decompression bombs."""
    return pillow.MAX_IMAGE_PIXELS or sys.maxsize


def _pixels(picture: pillow.Image) -> UInt8[Tensor, "3 height width"]:
    return torch.from_numpy(np.array(picture)).movedim(-1, 0)


def _ordinary_jpeg(content: bytes) -> UInt8[Tensor, "3 height width"] | None:
    """The pixels of a JPEG, upright; None for all that Pillow must look at."""
    if content[:2] != b"\xff\xd8" or b"tiff:Orientation" in content:
        return None
    try:
        with pillow.open(io.BytesIO(content), formats=["JPEG"]) as file:
            # Of four components it would have to be known which kind of CMYK they are.
            if file.mode not in ("L", "RGB") or file.width * file.height > _most_pixels():
                return None
        from torchvision.io import ImageReadMode, decode_jpeg

        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return decode_jpeg(data, ImageReadMode.RGB, apply_exif_orientation=True)
    except Exception:  # Pillow reads some of these, and has a word for the others
        return None


def _read(source: Path | io.BytesIO, name: str) -> pillow.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(source) as file:
                return _on_white(ImageOps.exif_transpose(file))
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        msg = f"{name}: expected at most {pillow.MAX_IMAGE_PIXELS} pixels, got more; "
        raise InputError(msg + "make the picture smaller") from error
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


def _drawn(path: Path, short_side: int) -> pillow.Image | None:
    """An SVG drawn on white; None of another file. Raises InputError where there is no file."""
    if not path.is_file():
        came = "a folder" if path.is_dir() else "no such file"
        msg = f"{path}: expected a picture file, got {came}; check the name"
        raise InputError(msg)
    if path.suffix.lower() not in svg.SUFFIXES:
        return None
    return _on_white(pillow.open(io.BytesIO(svg.draw(path, short_side, most=_most_pixels()))))
