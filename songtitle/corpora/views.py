"""Views of a picture: the two rules by which the network's square is cut from it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from songtitle import pictures
from songtitle.corpora.batches import CropView, Pixels


@dataclass(frozen=True)
class RawView:
    """A `View`: `size` pixels a side of the picture as it is, as the paper and the book's own pages
    cut it (`songtitle.pictures.random_view`): from a random place and mirrored half the time, or
    from the middle. Only a picture that is too small is scaled."""

    size: int  # pixels a side
    random: bool = True

    def __call__(self, content: bytes, generator: torch.Generator) -> Pixels:
        """`(3, size, size)`. Raises InputError for what is no picture."""
        pixels = _decoded(content)
        if self.random:
            return pictures.random_view(pixels, self.size, generator=generator).contiguous()
        pixels = pictures.cover(pixels, self.size)
        top, left = (round((side - self.size) / 2) for side in pixels.shape[-2:])
        return pixels[:, top : top + self.size, left : left + self.size].contiguous()


VIEWS: Mapping[str, type[RawView] | type[CropView]] = {"raw": RawView, "scaled": CropView}
DEFAULT = "raw"  # what the pages and the paper test on


def _decoded(content: bytes) -> Pixels:
    """The whole picture, by the decoders of `load_view`, which has no public name for it."""
    pixels = pictures._ordinary_jpeg(content)
    if pixels is None:
        pixels = pictures._pixels(pictures._read(io.BytesIO(content), "picture"))
    return pixels
