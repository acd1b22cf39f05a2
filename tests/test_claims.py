import math
import tomllib

import pytest

from songtitle.errors import InputError
from songtitle.paper import printed
from songtitle.paper.printed import paper, paper_table

BEAMS = [1, 5, 10, 15, 20]


@pytest.fixture(scope="module")
def ledger():
    return tomllib.loads(printed.CLAIMS.read_text(encoding="utf-8"))


def test_table_1_holds_the_printed_lengths():
    table = paper_table(1)
    assert list(table.dataset) == ["Conceptual Captions", "Million Songs", "Free Music Archive"]
    assert list(table.examples) == [1_000_000, 515_576, 106_573]
    assert table.loc["cc", "min_length":].tolist() == [4, 50, 10.31, 4.67]
    assert table.loc["msd", "min_length":].tolist() == [1, 135, 3.09, 1.86]
    assert table.loc["fma", "min_length":].tolist() == [1, 28, 2.98, 2.11]


def test_table_2_quotes_five_titles_of_each_collection():
    table = paper_table(2)
    assert table.shape == (5, 2)
    assert table["Million Songs"].iloc[0] == "trouble in mind"
    assert table["Free Music Archive"].iloc[-1] == "too happy"


def test_table_3_holds_the_printed_vocabularies():
    assert paper_table(3)[["msd", "fma"]].to_numpy().tolist() == [[153_588, 79_085], [966, 1_573]]


def test_table_4_holds_the_printed_scores():
    assert paper_table(4)[BEAMS].to_numpy().tolist() == [
        [49.9, 61.3, 51.4, 49.6, 45.3],
        [49.1, 56.4, 49.8, 47.4, 49.1],
        [50.3, 61.1, 53.3, 47.6, 44.2],
        [49.5, 55.4, 48.2, 43.1, 39.9],
        [25.8, 45.6, 41.9, 37.4, 33.9],
        [36.2, 45.1, 41.9, 38.7, 36.9],
    ]


def test_table_4_peaks_at_61_3_for_pictures_and_45_6_for_songs():
    table = paper_table(4)
    pictures = table.dataset == "Conceptual Captions"
    assert table.loc[pictures, BEAMS].to_numpy().max() == 61.3
    assert table.loc[~pictures, BEAMS].to_numpy().max() == 45.6


def test_tiles_of_table_4_cover_the_crop_and_are_whole_numbers_or_nan():
    for row in paper_table(4).itertuples():
        if row.dataset == "Conceptual Captions":
            assert isinstance(row.tile_size, int)
            assert row.tile_size**2 * row.tiles == 256**2
        else:
            assert math.isnan(row.tile_size)
            assert math.isnan(row.tiles)


def test_table_5_repeats_the_song_rows_of_table_4():
    theirs, ours = paper_table(5), paper_table(4)
    assert theirs.audiocaps_1.tolist() == [34.1, 44.2]
    assert theirs[["ours_1", "ours_5"]].to_numpy().tolist() == (
        ours.loc[["msd", "fma"], [1, 5]].to_numpy().tolist()
    )


def test_a_changed_table_does_not_change_the_next_one():
    table = paper_table(4)
    table.loc["fma", 5] = 0.0
    assert paper_table(4).loc["fma", 5] == 45.1


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("captions.vocabulary", 51_201),
        ("captions.short_share", 93.8),
        ("titles.msd.short_share", 90),
        ("titles.fma.short_share", 89),
        ("spectrogram.bins", 256),
        ("spectrogram.frames", 2_580),
        ("headline.out_domain", 45.1),
        ("headline.in_domain", 61.3),
        ("training.plateau_epoch", 7),
        ("table4.cc32.5", 61.3),
        ("table1.fma.std_length", 2.11),
    ],
)
def test_a_number_has_the_printed_value(id, value):
    assert paper(id) == value


def test_numbers_that_repeat_a_table_cell_agree_with_it():
    assert paper("headline.out_domain") == paper("table4.fma.5")
    assert paper("headline.in_domain") == paper("table4.cc32.5")
    assert paper("titles.msd.examples") == paper("table1.msd.examples")
    assert paper("titles.fma.test_vocabulary") == paper("table3.test.fma")


def test_the_splits_of_the_captions_add_up():
    assert sum(paper(f"captions.{split}") for split in ("train", "valid", "test")) == paper(
        "captions.examples"
    )


def test_every_number_says_where_it_stands_and_in_what_unit(ledger):
    for row in ledger["number"]:
        assert set(row) == {"id", "where", "value", "unit", "note"}
        assert row["where"]
        assert row["unit"]
    for table in ledger["table"]:
        assert table["where"]
        assert table["unit"]


def test_no_two_numbers_share_a_name(ledger):
    ids = [row["id"] for row in ledger["number"]]
    cells = sum(
        not isinstance(cell, str)
        for table in ledger["table"]
        for row in table["rows"]
        for cell in row
    )
    assert len(printed._numbers()) == len(ids) + cells


def test_an_unknown_number_is_answered_with_its_near_names():
    with pytest.raises(InputError, match=r"'caption\.vocab'.*captions\.vocabulary"):
        paper("caption.vocab")


@pytest.mark.parametrize("n", [0, 6])
def test_an_unknown_table_is_answered_with_the_numbers_there_are(n):
    with pytest.raises(InputError, match=r"\[1, 2, 3, 4, 5\]"):
        paper_table(n)
