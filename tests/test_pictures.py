"""The laws of pictures: read, drawn, brought to size, cropped, mirrored, tiled."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as pillow

from songtitle import svg
from songtitle.errors import InputError
from songtitle.pictures import (
    cover,
    load_picture,
    load_view,
    pad_to,
    random_crop,
    random_view,
    tiles,
)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}><rect width="{}" height="{}" fill="red"/></svg>'


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(7))


def write_svg(path: Path, attributes: str, width: int = 30, height: int = 20) -> Path:
    path.write_text(SVG.format(attributes, width, height))
    return path


# -- reading -------------------------------------------------------------------------------------


def test_a_picture_is_red_green_blue_rows_and_columns_from_0_to_1(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    pillow.fromarray(pixels).save(tmp_path / "a.png")
    loaded = load_picture(tmp_path / "a.png")
    assert loaded.dtype == torch.float32
    np.testing.assert_allclose(loaded.numpy(), pixels.transpose(2, 0, 1) / 255, atol=1e-6)


def test_transparency_is_laid_over_white(tmp_path):
    pillow.new("RGBA", (7, 5), (0, 0, 0, 51)).save(tmp_path / "veil.png")
    assert load_picture(str(tmp_path / "veil.png")).unique().tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_shows_the_same_grey(tmp_path, mode):
    if mode == "I;16":
        grey = pillow.fromarray(np.full((5, 7), 65_535, dtype=np.uint16))
    else:
        grey = pillow.new("L", (7, 5), 255).convert(mode)
    grey.putpixel((0, 0), grey.getpixel((0, 0)) if mode == "P" else 0)
    grey.save(tmp_path / "grey.png")
    assert torch.equal(load_picture(tmp_path / "grey.png")[:, 1:, 1:], torch.ones(3, 4, 6))
    if mode == "I;16":  # and what is half bright stays so
        pillow.fromarray(np.full((5, 7), 32_768, dtype=np.uint16)).save(tmp_path / "half.png")
        assert load_picture(tmp_path / "half.png").mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("attributes", "height", "width"),
    [
        ('width="30" height="20"', 64, 96),
        ('width="15pt" height="30pt"', 128, 64),
        ('width="2cm" height="2cm"', 64, 64),
        ('width="210mm" height="105mm" viewBox="0 0 30 15"', 64, 128),
        ('width="100%" height="100%" viewBox="0 0 30 60"', 128, 64),
        ('viewBox="0 0 30 15"', 64, 128),
        ("", 64, 96),
    ],
)
def test_an_svg_is_drawn_whatever_its_way_of_stating_a_size(tmp_path, attributes, height, width):
    drawn = load_picture(write_svg(tmp_path / "a.svg", attributes), short_side=64)
    assert drawn.shape == (3, height, width)
    torch.testing.assert_close(drawn[:, 5, 5], torch.tensor([1.0, 0.0, 0.0]))


def test_an_svg_is_drawn_on_white_packed_or_not(tmp_path):
    plain = write_svg(tmp_path / "a.svg", 'width="90" height="60"')
    packed = tmp_path / "a.svgz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert torch.equal(load_picture(packed), load_picture(plain))
    assert (load_picture(plain)[:, -1, -1] == 1).all()


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.png"
    match kind:
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("no picture")
        case "empty":
            path.write_bytes(b"")
        case "cut":
            picture_file = pillow.fromarray(
                np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
            )
            picture_file.save(path)
            path.write_bytes(path.read_bytes()[:2_000])
        case "open":
            path = folder / "open.svg"
            path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3">')
        case "nothing":
            path = folder / "nothing.svg"
            path.write_bytes(b"")
        case "thin":
            path = write_svg(folder / "thin.svg", 'width="100000" height="1"')
    return path


@pytest.mark.parametrize(
    ("kind", "came"),
    [
        ("missing", "got no such file; check the name"),
        ("folder", "got a folder; check the name"),
        ("text", "got one that cannot be read; fetch it again"),
        ("empty", "got one that cannot be read; fetch it again"),
        ("cut", "got one that cannot be read; fetch it again"),
        ("open", "broken XML: no element found: line 1, column 61; fetch or repair it"),
        ("nothing", "broken XML: no element found: line 1, column 0"),
        ("thin", "change its viewBox"),
    ],
)
def test_a_bad_picture_ends_in_one_line_that_names_it(tmp_path, kind, came):
    path = bad_file(tmp_path, kind)
    for load in (load_picture, lambda path: load_view(path, 5)):
        with pytest.raises(InputError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: expected ")
        assert came in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_svg_drawing_beyond_the_limit_is_refused(tmp_path):
    path = write_svg(tmp_path / "a.svg", 'width="90" height="60"')
    with pytest.raises(InputError, match=r"a\.svg: expected .* at 50000 pixels"):
        load_picture(path, short_side=50_000)
    with pytest.raises(InputError, match="short_side: expected at least 1 pixel, got 0"):
        load_picture(path, short_side=0)


# -- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(5, 7), (7, 5), (1, 3), (12, 31)])
def test_a_small_picture_is_scaled_up_to_cover_the_crop_in_proportion(height, width):
    covered = cover(picture(2, 3, height, width), 13)
    assert min(covered.shape[-2:]) == 13
    assert abs(max(covered.shape[-2:]) - 13 * max(height, width) / min(height, width)) <= 0.5
    assert covered.min() >= 0
    assert covered.max() <= 1
    assert torch.equal(cover(covered, 13), covered)  # what covers the crop is left alone


def test_padding_adds_silence_on_the_right_and_below():
    image = 1 - picture(3, 5, 7)
    padded = pad_to(image, 11, 13)
    assert padded.shape == (3, 11, 13)
    assert torch.equal(padded[:, :5, :7], image)
    assert padded.sum() == pytest.approx(image.sum())
    assert pad_to(image, 2, 11).shape == (3, 5, 11)


# -- crops ---------------------------------------------------------------------------------------


def test_every_crop_is_a_piece_of_the_picture_and_every_place_comes_up():
    image = torch.arange(7 * 11.0).reshape(1, 7, 11)
    draw = generator()
    corners = set()
    for _ in range(500):
        crop = random_crop(image, 5, generator=draw)
        assert crop.shape == (1, 5, 5)
        top, left = divmod(int(crop[0, 0, 0]), 11)
        assert torch.equal(crop, image[:, top : top + 5, left : left + 5])
        corners.add((top, left))
    assert corners == {(top, left) for top in range(3) for left in range(7)}
    with pytest.raises(InputError, match="at least 8 pixels, got 7 x 11; use cover"):
        random_crop(image, 8, generator=draw)


def test_the_same_generator_gives_the_same_views():
    image = picture(2, 3, 29, 31)

    whole = content(photo(), "JPEG")

    def views(seed: int) -> torch.Tensor:
        draw = generator(seed)
        found = [random_view(image, 5, generator=draw) for _ in range(7)]
        return torch.cat([*found, load_view(whole, 5, generator=draw)[None]])

    before = torch.random.get_rng_state()
    assert torch.equal(views(3), views(3))
    assert not torch.equal(views(3)[:-1], views(4)[:-1])
    assert not torch.equal(views(3)[-1], views(4)[-1])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_of_the_views_are_mirrored():
    image = picture(3, 5, 5)
    draw = generator()
    views = [random_view(image, 5, generator=draw) for _ in range(400)]
    plain = sum(torch.equal(view, image) for view in views)
    mirrored = sum(torch.equal(view, image.flip(-1)) for view in views)
    assert plain + mirrored == 400
    assert 160 < plain < 240
    assert random_view(picture(3, 5, 7), 11, generator=draw).shape == (3, 11, 11)  # scaled up


# -- views of files ------------------------------------------------------------------------------


def photo(height: int = 53, width: int = 71) -> pillow.Image:
    """Something smooth, as photographs are, with an edge in it and no symmetry."""
    y, x = np.mgrid[:height, :width]
    red, green, blue = 255 * x / width, 255 * y / height, 128 + 90 * np.sin((x + 2 * y) / 9)
    blue[height // 3 :, : width // 4] = 20
    return pillow.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def content(picture_file: pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture_file.save(buffer, kind, **options)
    return buffer.getvalue()


def by_pillow(path: Path, size: int) -> torch.Tensor:
    """The middle of a picture in the numbers of `load_picture`, nothing rounded on the way."""
    image = load_picture(path)
    height, width = image.shape[-2:]
    shorter = min(height, width)
    target = (int(size * height / shorter), int(size * width / shorter))
    scaled = torch.nn.functional.interpolate(
        image[None], size=target, mode="bilinear", antialias=True, align_corners=False
    )[0]
    top, left = round((target[0] - size) / 2), round((target[1] - size) / 2)
    return scaled[:, top : top + size, left : left + size]


@pytest.mark.parametrize("size", [23, 53, 89])
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "RGB", {"subsampling": 0, "progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("PNG", "I;16", {}),
        ("WEBP", "RGB", {}),
        ("GIF", "P", {}),
    ],
)
def test_a_view_has_the_colours_of_the_picture(tmp_path, kind, mode, options, size):
    path = tmp_path / "photo"
    if mode == "I;16":
        made = pillow.fromarray(np.asarray(photo().convert("L")).astype(np.uint16) * 257)
    else:
        made = photo().convert(mode)
    path.write_bytes(content(made, kind, **options))
    view = load_view(path, size)
    assert view.shape == (3, size, size)
    assert view.dtype == torch.float32
    assert view.is_contiguous()
    torch.testing.assert_close(view, by_pillow(path, size), atol=2 / 255, rtol=0)
    assert torch.equal(load_view(path.read_bytes(), size), view)


@pytest.mark.parametrize("turn", range(10))  # 0 and 9 are no way to turn
def test_a_view_is_upright(tmp_path, turn):
    exif = pillow.Exif()
    exif[0x0112] = turn
    path = tmp_path / "turned.jpg"
    path.write_bytes(content(photo(), "JPEG", exif=exif))
    torch.testing.assert_close(load_view(path, 29), by_pillow(path, 29), atol=2 / 255, rtol=0)


def test_a_view_is_upright_where_only_the_xmp_data_say_how(tmp_path):
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><r:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        b'tiff:Orientation="6"/></r:RDF></x:xmpmeta>'
    )
    path = tmp_path / "turned.jpg"
    path.write_bytes(content(photo(), "JPEG", xmp=xmp))
    assert load_picture(path).shape == (3, 71, 53)
    torch.testing.assert_close(load_view(path, 29), by_pillow(path, 29), atol=2 / 255, rtol=0)


def test_views_of_real_photographs_have_their_colours(real_data):
    folder = real_data / "flickr8k" / "images_original_size"
    for path in sorted(folder.iterdir())[::41]:
        torch.testing.assert_close(load_view(path, 256), by_pillow(path, 256), atol=2 / 255, rtol=0)


def test_a_random_view_is_a_piece_of_the_picture_mirrored_half_the_time():
    whole = content(photo(53, 71), "PNG")
    draw, mirrored, places = generator(), 0, set()
    image = torch.from_numpy(np.array(photo(53, 71))).movedim(-1, 0) / 255
    for _ in range(200):
        view = load_view(whole, 53, generator=draw)
        lefts = [
            (left, turned)
            for left in range(19)
            for turned in (False, True)
            if torch.allclose(
                view.flip(-1) if turned else view, image[..., left : left + 53], atol=1e-6
            )
        ]
        assert len(lefts) == 1
        places.add(lefts[0][0])
        mirrored += lefts[0][1]
    assert places == set(range(19))
    assert 70 < mirrored < 130


def test_an_svg_that_would_end_the_process_is_refused(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" viewBox="0 0 60 40"><path'
        ' d="M5 30 C 20 5, 40 5, 55 30 S 70 10 20 38 Z" stroke="red" fill="none" stroke-width="1e9"'
        ' stroke-dasharray="4 1"/></svg>'
    )
    with pytest.raises(InputError, match=r"a\.svg: expected an SVG that can be drawn, got: one"):
        load_picture(path, short_side=64)


def test_an_svg_that_takes_too_long_is_refused(tmp_path, monkeypatch):
    path = write_svg(tmp_path / "a.svg", 'width="90" height="60"')
    monkeypatch.setattr(svg, "_PATIENCE", 0.001)
    with pytest.raises(InputError, match=r"a\.svg: expected an SVG that is drawn within 0\.001 s"):
        load_picture(path)


def test_a_view_of_an_svg_is_drawn_at_its_size(tmp_path):
    path = write_svg(tmp_path / "a.svg", 'width="30" height="20"')
    view = load_view(path, 17)
    assert view.shape == (3, 17, 17)
    torch.testing.assert_close(view, load_picture(path, short_side=17)[:, :, 4:21])


@pytest.mark.parametrize("kept", [2, 3, 20, 160, 0.5, 0.9, -3])
def test_a_jpeg_is_cut_off_for_a_view_where_it_is_for_the_whole_picture(tmp_path, kept):
    whole = content(photo(), "JPEG", quality=95)
    cut = whole[: kept if isinstance(kept, int) else int(kept * len(whole))]
    path = tmp_path / "cut.jpg"
    path.write_bytes(cut)
    try:
        load_picture(path)
    except InputError:
        with pytest.raises(InputError, match=r"^picture: expected a PNG or JPEG"):
            load_view(cut, 5)
    else:
        torch.testing.assert_close(load_view(cut, 29), by_pillow(path, 29), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("limit", [30, 10])  # Pillow warns above its limit, refuses above twice it
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit, kind):
    bomb = tmp_path / "bomb"
    bomb.write_bytes(content(photo(5, 7), kind))
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=rf"bomb: expected at most {limit} pixels, got more"):
        load_picture(bomb)
    with pytest.raises(InputError, match=rf"picture: expected at most {limit} pixels, got more"):
        load_view(bomb.read_bytes(), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_too_long_to_be_brought_to_size_is_refused(kind):
    with pytest.raises(InputError, match="once the shorter side has 256, got 1 x 9973 in prop"):
        load_view(content(photo(1, 9_973), kind), 256)
    with pytest.raises(InputError, match="size: expected at least 1 pixel, got 0"):
        load_view(content(photo(), kind), 0)


# -- tiles ---------------------------------------------------------------------------------------


def test_tiles_go_row_by_row_from_the_top_left():
    image = picture(3, 15, 25)
    cut = tiles(torch.stack([1 - image, image]), 5)
    assert cut.shape == (2, 15, 3, 5, 5)
    for number, tile in enumerate(cut[1]):
        row, column = divmod(number, 5)
        top, left = 5 * row, 5 * column
        assert torch.equal(tile, image[:, top : top + 5, left : left + 5])


@pytest.mark.parametrize("size", [0, 4, 7])
def test_tiles_that_leave_a_remainder_are_refused(size):
    with pytest.raises(InputError, match=f"divisor of both sides of 15 x 35 pixels, got {size}"):
        tiles(picture(3, 15, 35), size)
