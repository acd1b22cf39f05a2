import csv
import json

import pytest

from songtitle.datasets import coco
from songtitle.datasets.coco import Picture
from songtitle.errors import InputError
from songtitle.rows import Faults

IMAGES = [
    {"license": 3, "file_name": "000000391895.jpg", "height": 360, "width": 640, "id": 391895},
    {"license": 4, "file_name": "000000522418.jpg", "height": 480, "width": 640, "id": 522418},
    {"license": 3, "file_name": "000000184613.jpg", "height": 336, "width": 500, "id": 184613},
]
CAPTIONS = [
    {"image_id": 522418, "id": 4, "caption": "A woman cutting a cake. "},
    {"image_id": 391895, "id": 7, "caption": "A man on a moped"},
    {"image_id": 522418, "id": 9, "caption": "A woman cuts"},
    {"image_id": 184613, "id": 10, "caption": "A child under an umbrella"},
]


@pytest.fixture
def collection(tmp_path):
    """The file of captions and two of its three pictures."""
    folder = tmp_path / "train2017"
    folder.mkdir()
    for image in IMAGES[:2]:
        (folder / image["file_name"]).touch()
    return write(tmp_path, IMAGES, CAPTIONS), folder


def write(folder, images, annotations):
    path = folder / "captions_train2017.json"
    content = {"info": {}, "images": images, "licenses": [], "annotations": annotations}
    path.write_text(json.dumps(content))
    return path


def test_captions_of_pictures_at_hand_are_loaded_in_order_and_absent_ones_counted(collection):
    path, folder = collection
    faults = Faults()
    assert coco.load(path, folder, faults) == [
        Picture("4", folder / "000000522418.jpg", "A woman cutting a cake. ", "522418"),
        Picture("7", folder / "000000391895.jpg", "A man on a moped", "391895"),
        Picture("9", folder / "000000522418.jpg", "A woman cuts", "522418"),
    ]
    assert faults.counts == {"no picture": 1}
    assert faults.examples[0].detail == "000000184613.jpg"


BAD_CAPTIONS = {
    "unknown image": {"image_id": 1, "id": 11, "caption": "x"},
    "duplicate id": {"image_id": 522418, "id": 4, "caption": "x"},
    "no caption": {"image_id": 522418, "id": 11, "caption": " \n"},
}


@pytest.mark.parametrize(("kind", "entry"), BAD_CAPTIONS.items())
def test_a_bad_caption_is_counted_and_the_others_are_loaded(collection, tmp_path, kind, entry):
    path = write(tmp_path, IMAGES, [*CAPTIONS, entry])
    faults = Faults()
    assert len(coco.load(path, collection[1], faults)) == 3
    assert faults.counts == {"no picture": 1, kind: 1}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "x",
        {},
        {"image_id": 522418, "id": 11},
        {"image_id": 522418, "id": 11, "caption": None},
        {"image_id": "522418", "id": 11, "caption": "x"},
        {"image_id": 522418, "id": True, "caption": "x"},
        {"image_id": float("nan"), "id": 11, "caption": "x"},
    ],
)
def test_an_entry_of_another_form_is_counted(collection, tmp_path, entry):
    path = write(tmp_path, IMAGES, [*CAPTIONS, entry])
    faults = Faults()
    assert len(coco.load(path, collection[1], faults)) == 3
    assert faults.counts == {"no picture": 1, "broken caption entry": 1}


def test_no_picture_is_sought_outside_the_folder(collection, tmp_path):
    (tmp_path / "secret.jpg").touch()
    names = ["../secret.jpg", str(tmp_path / "secret.jpg"), ""]
    images = [{"file_name": name, "id": i} for i, name in enumerate(names)]
    captions = [{"image_id": i, "id": i, "caption": "x"} for i in range(3)]
    faults = Faults()
    path = write(tmp_path, [*images, {"id": 9}, 5], captions)
    assert coco.load(path, collection[1], faults) == []
    assert faults.counts == {
        "picture's name leads elsewhere": 2,
        "no picture": 1,
        "broken image entry": 2,
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Sign in</html>", b'{"images": [{"id": 1', b"\xff\xfe\0\0\x80", b"[" * 200_000],
)
def test_what_is_no_json_is_refused_in_one_line(collection, content):
    collection[0].write_bytes(content)
    with pytest.raises(InputError, match=r"2017\.json: expected JSON, got .*fetch it") as caught:
        coco.load(*collection, Faults())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", "5", '{"images": []}', '{"images": 1, "annotations": []}']
)
def test_json_of_another_form_is_refused(collection, content):
    collection[0].write_text(content)
    with pytest.raises(InputError, match="expected an object with the lists images and annot"):
        coco.load(*collection, Faults())


def test_a_missing_file_or_folder_is_named(collection):
    path, folder = collection
    with pytest.raises(InputError, match=r"x\.json: expected COCO's captions"):
        coco.load(path.with_name("x.json"), folder, Faults())
    with pytest.raises(InputError, match="train2017: expected a folder of pictures"):
        coco.load(path, folder.rename(folder.with_name("y")).with_name("train2017"), Faults())


def test_real_captions_in_this_form_are_loaded_with_their_pictures(real_data, tmp_path):
    with (real_data / "flickr8k/captions.txt").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    number = {name: i for i, name in enumerate(dict.fromkeys(row["image"] for row in rows))}
    images = [{"file_name": name, "id": i} for name, i in number.items()]
    annotations = [
        {"image_id": number[row["image"]], "id": i, "caption": row["caption"]}
        for i, row in enumerate(rows)
    ]
    faults = Faults()
    folder = real_data / "flickr8k/images_original_size"
    pictures = coco.load(write(tmp_path, images, annotations), folder, faults)
    assert len(pictures) == 5 * 321
    assert len({picture.group for picture in pictures}) == 321
    assert all(picture.path.is_file() for picture in pictures)
    assert faults.counts == {"no picture": 8091 - 321}
