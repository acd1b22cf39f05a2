"""Laws of the loader of Flickr8k: five captions a photo, faults counted, nothing sought outside."""

import pytest

from songtitle.corpora import captions
from songtitle.corpora.captions import Photo
from songtitle.errors import InputError
from songtitle.rows import Faults

DOGS = ["Two dogs fight .", '"Dogs, two of them"', "Two dogs", "A dog and a dog", "Dogs play ."]
ROWS = [*(("dogs.jpg", caption) for caption in DOGS), ("girl.jpg", "A girl"), ("gone.jpg", "x")]


def write(folder, rows, header="image,caption"):
    path = folder / "captions.txt"
    path.write_text("\n".join([header, *(f"{name},{caption}" for name, caption in rows)]) + "\n")
    return path


@pytest.fixture
def photos(tmp_path):
    """A folder with two of the three photos that have captions."""
    folder = tmp_path / "Images"
    folder.mkdir()
    for name in ("dogs.jpg", "girl.jpg"):
        (folder / name).touch()
    return folder


def test_the_captions_of_a_photo_share_its_group_and_are_numbered(tmp_path, photos):
    found = captions.load_flickr8k(write(tmp_path, ROWS[:5]), photos, Faults())
    assert found[1] == Photo("dogs.jpg#1", photos / "dogs.jpg", "Dogs, two of them", "dogs.jpg")
    assert [photo.id for photo in found] == [f"dogs.jpg#{n}" for n in range(5)]
    assert {(photo.group, photo.path) for photo in found} == {("dogs.jpg", photos / "dogs.jpg")}


def test_an_absent_photo_is_counted_once_and_one_with_few_captions_is_kept(tmp_path, photos):
    faults = Faults()
    found = captions.load_flickr8k(write(tmp_path, [*ROWS, ("gone.jpg", "y")]), photos, faults)
    assert [photo.group for photo in found] == ["dogs.jpg"] * 5 + ["girl.jpg"]
    assert faults.counts == {"no picture": 1, "not five captions": 1}
    assert (faults.kept, faults.skipped) == (1, 1)


def test_a_caption_without_words_is_left_out_and_the_numbers_of_the_others_stay(tmp_path, photos):
    faults = Faults()
    rows = [*ROWS[:2], ("dogs.jpg", " "), *ROWS[3:5]]
    found = captions.load_flickr8k(write(tmp_path, rows), photos, faults)
    assert [photo.id[-1] for photo in found] == ["0", "1", "3", "4"]
    assert faults.counts == {"no caption": 1}


def test_no_photo_is_sought_outside_the_folder(tmp_path, photos):
    (tmp_path / "secret.jpg").touch()
    faults = Faults()
    assert captions.load_flickr8k(write(tmp_path, [("../secret.jpg", "x")]), photos, faults) == []
    assert faults.counts == {"picture's name leads elsewhere": 1}


def test_what_is_not_there_or_of_another_form_is_refused_in_one_line(tmp_path, photos):
    with pytest.raises(InputError, match=r"Photos: expected a folder of photos"):
        captions.load_flickr8k(write(tmp_path, ROWS), tmp_path / "Photos", Faults())
    with pytest.raises(InputError, match=r"captions\.txt: expected the columns image, caption"):
        captions.load_flickr8k(write(tmp_path, ROWS, header="name,text"), photos, Faults())
    with pytest.raises(InputError, match=r"none\.txt: expected a text table"):
        captions.load_flickr8k(tmp_path / "none.txt", photos, Faults())


def test_real_captions_are_five_a_photo_of_those_at_hand(real_data):
    folder, faults = real_data / "flickr8k/images_224", Faults()
    found = captions.load_flickr8k(real_data / "flickr8k/captions.txt", folder, faults)
    here = len(list(folder.iterdir()))
    assert len(found) == 5 * here
    assert len({photo.group for photo in found}) == here
    assert faults.counts.keys() <= {"no picture"}
