import pytest

from songtitle.corpora import link_rot
from songtitle.corpora.captions import read_conceptual_captions, read_link_status
from songtitle.errors import InputError
from songtitle.rows import LONGEST, Faults

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


def test_broken_bytes_are_kept_and_a_nul_or_an_endless_caption_skipped(table):
    good = b"\thttp://example.org/1.jpg\n"
    path = table(b"caf\xe9" + good + b"a\0b" + good + b"x" * LONGEST + good + b"end" + good)
    faults = Faults()
    assert [row[:2] for row in read_conceptual_captions(path, faults)] == [(1, "café"), (4, "end")]
    assert faults.counts == {"not UTF-8": 1, "NUL byte": 1, "line too long": 1}


def test_a_web_page_and_a_missing_file_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="got a web page"):
        list(read_conceptual_captions(table("<!DOCTYPE html><p>no"), Faults()))
    with pytest.raises(InputError, match=r"none\.tsv: expected a text table"):
        list(read_conceptual_captions(tmp_path / "none.tsv", Faults()))


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
