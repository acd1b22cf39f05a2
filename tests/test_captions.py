"""What every reader of captions keeps to: what is whole comes in order, the rest is counted."""

from collections import Counter

import pytest

from songtitle.corpora import fma, link_rot, million_song, stamps, tunes
from songtitle.corpora.captions import (
    AudioCaption,
    Captioned,
    Titled,
    load_flickr8k,
    read_audiocaps,
    read_conceptual_captions,
    read_link_status,
)
from songtitle.errors import InputError
from songtitle.rows import Faults

# -- Conceptual Captions -------------------------------------------------------------------------

HEADER = "url\tsplit\tstatus\tmimetype\tbytes\n"


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "table.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_whole_rows_come_in_order_with_their_line_numbers_and_the_others_are_named(table):
    path = table(
        "a dog\thttp://example.org/1.jpg\r\n"
        "no tab here\n"
        "\n"
        "two\ttabs\thttps://example.org/2.jpg\n"
        " \thttp://example.org/3.jpg\n"
        "a cat\tftp://example.org/4.jpg\n"
        "a bat\thttp:///5.jpg\n"
        "a rat\thttp://example.org:99999/6.jpg\n"
        " a café \t https://example.org/ü 7.jpg \n"
    )
    faults = Faults()
    assert list(read_conceptual_captions(path, faults)) == [
        (1, "a dog", "http://example.org/1.jpg"),
        (9, "a café", "https://example.org/ü 7.jpg"),
    ]
    assert [(fault.row, fault.kind) for fault in faults.examples] == [
        (2, "no tab"),
        (4, "more than one tab"),
        (5, "empty caption"),
        (6, "no web address"),
        (7, "no web address"),
        (8, "no web address"),
    ]
    assert (faults.kept, faults.skipped) == (0, 6)


def test_a_link_has_a_picture_with_status_200_and_the_type_of_a_picture(table):
    path = table(
        HEADER
        + "http://example.org/1\tvalidation\t200\timage/jpeg\t9\n"
        + "http://example.org/2\tvalidation\t200\ttext/html\t9\n"
        + "http://example.org/3\tvalidation\t204\timage/jpeg\t9\n"
        + "http://example.org/4\tvalidation\t404\t\t\n"
    )
    rows = list(read_link_status(path, Faults()))
    assert [row.answered for row in rows] == [True, True, False, False]
    assert [row.has_picture for row in rows] == [True, False, False, False]
    assert [(row.row, row.size) for row in rows] == [(2, 9), (3, 9), (4, 9), (5, None)]


def test_rows_of_link_status_that_cannot_be_read_are_named_and_another_header_refused(table):
    path = table(
        HEADER
        + "http://example.org/1\tvalidation\tok\timage/jpeg\t9\n"
        + "http://example.org/2\tvalidation\t200\timage/jpeg\t-9\n"
        + "example.org\tvalidation\t200\timage/jpeg\t9\n"
        + "http://example.org/3\tvalidation\t200\n"
    )
    faults = Faults()
    assert list(read_link_status(path, faults)) == []
    assert faults.counts == {"not a number": 2, "no web address": 1, "not five fields": 1}
    for text in ("", "url\tstatus\n"):
        with pytest.raises(InputError, match="row 1: expected the columns url split status"):
            list(read_link_status(table(text), Faults()))


# -- Flickr8k ------------------------------------------------------------------------------------

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
    assert load_flickr8k(write(tmp_path, ROWS[:5]), photos, Faults()) == [
        Captioned(f"dogs.jpg#{n}", photos / "dogs.jpg", caption.strip('"'), "dogs.jpg")
        for n, caption in enumerate(DOGS)
    ]


def test_an_absent_photo_is_counted_once_and_one_with_few_captions_is_kept(tmp_path, photos):
    faults = Faults()
    found = load_flickr8k(write(tmp_path, [*ROWS, ("gone.jpg", "y")]), photos, faults)
    assert [photo.group for photo in found] == ["dogs.jpg"] * 5 + ["girl.jpg"]
    assert faults.counts == {"no picture": 1, "not five captions": 1}
    assert (faults.kept, faults.skipped) == (1, 1)


def test_a_bad_caption_is_left_out_and_the_numbers_of_the_others_stay(tmp_path, photos):
    (tmp_path / "secret.jpg").touch()
    faults = Faults()
    rows = [*ROWS[:2], ("dogs.jpg", " "), *ROWS[3:5], ("../secret.jpg", "x")]
    found = load_flickr8k(write(tmp_path, rows), photos, faults)
    assert [photo.id[-1] for photo in found] == ["0", "1", "3", "4"]
    assert faults.counts == {"no caption": 1, "picture's name leads elsewhere": 1}


def test_what_is_not_there_or_of_another_form_is_refused_in_one_line(tmp_path, photos):
    with pytest.raises(InputError, match=r"Photos: expected a folder of photos"):
        load_flickr8k(write(tmp_path, ROWS), tmp_path / "Photos", Faults())
    with pytest.raises(InputError, match=r"captions\.txt: expected the columns image, caption"):
        load_flickr8k(write(tmp_path, ROWS, header="name,text"), photos, Faults())
    with pytest.raises(InputError, match=r"none\.txt: expected a text table"):
        load_flickr8k(tmp_path / "none.txt", photos, Faults())


# -- AudioCaps -----------------------------------------------------------------------------------

AUDIO = """audiocap_id,youtube_id,start_time,caption
91139,r1nicOVtvkQ,130,"A woman talks, water pours"
58146,-DGBjjwya_E,20,Clanging
"""


def test_a_row_is_a_caption_of_a_place_in_a_video(table):
    faults = Faults()
    assert list(read_audiocaps(table(AUDIO), faults)) == [
        AudioCaption("91139", "r1nicOVtvkQ", 130, "A woman talks, water pours"),
        AudioCaption("58146", "-DGBjjwya_E", 20, "Clanging"),
    ]
    assert not faults.counts
    with pytest.raises(InputError, match="expected the columns audiocap_id, youtube_id"):
        list(read_audiocaps(table("id,caption\n1,x\n"), Faults()))


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("no whole number as id or start", "NaN,r1nicOVtvkQ,130,x"),
        ("no whole number as id or start", "1,r1nicOVtvkQ,1.5,x"),
        ("no youtube_id", "1,#NAME?,130,x"),
        ("no youtube_id", "1,../../etc/x,130,x"),
        ("no caption", "1,r1nicOVtvkQ,130, "),
        ("duplicate id", "91139,3eGXNIadwGk,130,x"),
        ("wrong number of fields", "1,r1nicOVtvkQ,130,x,y"),
        ("broken quotes", '1,r1nicOVtvkQ,130,"torn'),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_read(table, kind, bad):
    faults = Faults()
    assert len(list(read_audiocaps(table(AUDIO + bad + "\n"), faults))) == 2
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kind, fault.kept) == ("table.tsv", 4, kind, False)


# -- real samples --------------------------------------------------------------------------------

READERS = {
    "stamps": lambda _: stamps.load(),
    "flickr8k": lambda real: load_flickr8k(
        real / "flickr8k/captions.txt", real / "flickr8k/images_224", Faults()
    ),
    "tunes": lambda _: tunes.load(),
    "msd": lambda real: list(
        million_song.read_tracks(real / "msd/subset_unique_tracks.txt", Faults())
    ),
    "h5": lambda real: [t for t, _ in million_song.read_h5_folder(real / "msd/h5", Faults())],
    "fma": lambda real: list(fma.read_tracks(real / "fma/tracks_excerpt.csv", Faults())),
    "fma_small": lambda real: list(fma.read_titles(real / "fma/fma_small_titles.csv", Faults())),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_the_same_whole_items_in_the_same_order_again(name, request):
    fixture = {"stamps": "pictures_home", "tunes": "tmp_path"}.get(name, "real_data")
    items = READERS[name](folder := request.getfixturevalue(fixture))
    assert items
    assert len({item.id for item in items}) == len(items)
    assert all(isinstance(item.id, str) and item.id and item.group for item in items)
    if isinstance(items[0], Captioned):
        assert all(item.path.is_file() and item.caption.strip() for item in items)
    else:
        assert all(isinstance(item, Titled) and isinstance(item.title, str) for item in items)
        assert sum(not item.title for item in items) <= 1  # the subset's one empty title
    assert READERS[name](folder) == items


@pytest.fixture(scope="module")
def validation(real_data):
    """The captions of the validation table by address, what its links answered, and the faults."""
    folder, faults = real_data / "conceptual_captions", Faults()
    table = folder / "Validation_GCC-1.1.0-Validation.tsv"
    captions = {url: caption for _, caption, url in read_conceptual_captions(table, faults)}
    path = folder / "validation_url_status_2019-01.tsv"
    return captions, list(read_link_status(path, faults)), faults


def test_the_real_validation_table_reads_whole_with_lengths_of_5_to_46_words(validation):
    captions, _, faults = validation
    lengths = [len(caption.split()) for caption in captions.values()]
    assert (len(lengths), min(lengths), max(lengths)) == (15_833, 5, 46)
    assert round(sum(lengths) / len(lengths), 2) == 10.40
    assert faults.as_dict()["counts"] == {}


def test_of_15840_real_links_14802_answered_in_january_2019_and_14743_with_a_picture(validation):
    captions, rows, _ = validation
    assert len(rows) == 15_840
    assert sum(row.answered for row in rows) == 14_802
    report = link_rot.report_from_status(rows, captions, year=2019, permutations=20)
    assert (report.asked, report.survivors.count) == (15_840, 14_743)
    assert report.unavailable.count == 15_840 - 14_743
    assert report.unavailable.low < 0.0693 < report.unavailable.high < report.paper_loss
    assert report.years == {"2019": {"asked": 15_840, "survived": 14_743}}
    assert report.statuses["404"] == report.reasons["404 not found"] == 329
    assert report.shift is not None
    assert report.shift.survivors + report.shift.lost == 15_833  # seven links have no caption


def test_the_captions_of_real_lost_pictures_are_longer_and_of_other_words(validation):
    captions, rows, _ = validation
    shift = link_rot.report_from_status(rows, captions, year=2019, permutations=20).shift
    assert (round(shift.mean_survivors, 2), round(shift.mean_lost, 2)) == (10.37, 10.81)
    assert shift.length_p < 0.05
    assert shift.vocabulary_distance > shift.vocabulary_level > shift.vocabulary_by_chance


def test_real_photos_have_five_captions_each(real_data):
    folder, faults = real_data / "flickr8k/images_224", Faults()
    found = load_flickr8k(real_data / "flickr8k/captions.txt", folder, faults)
    here = len(list(folder.iterdir()))
    assert len(found) == 5 * here
    assert len({photo.group for photo in found}) == here
    assert faults.counts.keys() <= {"no picture"}


def test_every_real_clip_has_as_many_captions_as_its_split_promises_and_is_in_no_other(real_data):
    seen = Counter()
    for split, rows, clips in [
        ("train", 49_838, 49_838),
        ("val", 2_475, 495),
        ("test", 4_875, 975),
    ]:
        faults = Faults()
        captions = list(read_audiocaps(real_data / f"audiocaps/{split}.csv", faults))
        assert not faults.counts
        assert len(captions) == rows
        # One start a video, so that the video names the clip.
        assert len({(c.youtube_id, c.start) for c in captions}) == clips
        times = Counter(c.youtube_id for c in captions)
        assert len(times) == clips
        assert set(times.values()) == {rows // clips}
        seen.update(set(times))
    assert set(seen.values()) == {1}
