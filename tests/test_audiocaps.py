from collections import Counter

import pytest

from songtitle.corpora.captions import SPLITS, Caption, Clip, load_audiocaps, read_audiocaps
from songtitle.errors import InputError
from songtitle.rows import Faults

HEADER = "audiocap_id,youtube_id,start_time,caption\n"
ROWS = (
    '91139,r1nicOVtvkQ,130,"A woman talks, water pours"\n'
    "58146,-DGBjjwya_E,20,Clanging\n"
    "58147,-DGBjjwya_E,20,Clanking\n"
    "11542,3eJ9RynJzP8,80,Wind\n"
    "11543,3eK62q7SnVU,390,Whistling\n"
)


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "sounds").mkdir()
    (tmp_path / "train.csv").write_text(HEADER + ROWS)
    return tmp_path, tmp_path / "sounds"


def test_a_row_is_a_caption_of_a_place_in_a_video(folders):
    faults = Faults()
    captions = list(read_audiocaps(folders[0] / "train.csv", faults))
    assert captions[0] == Caption("91139", "r1nicOVtvkQ", 130, "A woman talks, water pours")
    assert len(captions) == 5
    assert not faults.counts


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
def test_a_bad_row_is_named_with_its_line_and_the_others_are_read(folders, kind, bad):
    path = folders[0] / "train.csv"
    path.write_text(HEADER + ROWS + bad + "\n")
    faults = Faults()
    assert len(list(read_audiocaps(path, faults))) == 5
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kind, fault.kept) == ("train.csv", 7, kind, False)


def test_captions_whose_sound_is_here_are_loaded_and_the_others_counted(folders):
    table, sounds = folders
    for name in (
        "91139.wav",
        "Y-DGBjjwya_E.flac",
        "3eJ9RynJzP8_80.mp3",
        "3eK62q7SnVU.txt",
        "x.wav",
    ):
        (sounds / name).touch()
    faults = Faults()
    assert load_audiocaps(table, sounds, faults) == [
        Clip("91139", sounds / "91139.wav", "A woman talks, water pours", "r1nicOVtvkQ"),
        Clip("58146", sounds / "Y-DGBjjwya_E.flac", "Clanging", "-DGBjjwya_E"),
        Clip("58147", sounds / "Y-DGBjjwya_E.flac", "Clanking", "-DGBjjwya_E"),
        Clip("11542", sounds / "3eJ9RynJzP8_80.mp3", "Wind", "3eJ9RynJzP8"),
    ]
    assert faults.counts == {"no sound": 1}
    assert "3eK62q7SnVU" in faults.examples[0].detail


def test_of_two_sounds_the_one_without_loss_is_taken_whatever_their_order(folders):
    table, sounds = folders
    for name in ("91139.mp3", "91139.wav", "58146.flac", "58146.ogg"):
        (sounds / name).touch()
    found = [clip.path.name for clip in load_audiocaps(table, sounds, Faults())]
    assert found == ["91139.wav", "58146.flac"]


def test_without_folder_table_or_split_one_line_says_what_to_do(folders):
    table, sounds = folders
    with pytest.raises(InputError, match="nowhere: expected a folder of sounds"):
        load_audiocaps(table, sounds / "nowhere", Faults())
    with pytest.raises(InputError, match=r"val\.csv: expected a text table"):
        load_audiocaps(table, sounds, Faults(), split="val")
    with pytest.raises(InputError, match="split: expected one of train, val, test"):
        load_audiocaps(table, sounds, Faults(), split="valid")
    (table / "test.csv").write_text("<html>Sign in</html>")
    with pytest.raises(InputError, match="got a web page"):
        load_audiocaps(table, sounds, Faults(), split="test")
    (table / "test.csv").write_text("id,caption\n1,x\n")
    with pytest.raises(InputError, match="expected the columns audiocap_id, youtube_id"):
        load_audiocaps(table, sounds, Faults(), split="test")


@pytest.mark.parametrize(
    ("split", "rows", "clips", "each"),
    [("train", 49_838, 49_838, 1), ("val", 2_475, 495, 5), ("test", 4_875, 975, 5)],
)
def test_every_real_clip_has_as_many_captions_as_its_split_promises(
    real_data, split, rows, clips, each
):
    faults = Faults()
    captions = list(read_audiocaps(real_data / f"audiocaps/{split}.csv", faults))
    assert not faults.counts
    assert len(captions) == rows
    # One start a video, so that the video names the clip.
    assert len({(c.youtube_id, c.start) for c in captions}) == clips
    times = Counter(c.youtube_id for c in captions)
    assert len(times) == clips
    assert set(times.values()) == {each}


def test_no_real_clip_is_in_two_splits(real_data):
    splits = [
        {c.youtube_id for c in read_audiocaps(real_data / f"audiocaps/{name}.csv", Faults())}
        for name in SPLITS
    ]
    assert len(set.union(*splits)) == sum(map(len, splits))
