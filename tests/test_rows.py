"""Rows: what can be read is read, what cannot is named with its line; and counts of texts."""

import csv
import io
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.errors import InputError
from songtitle.rows import Counts, Faults, read_csv, read_lines


def written(folder, content):
    path = folder / "table.txt"
    path.write_bytes(content)
    return path


def lines_of(path, **options):
    faults = Faults()
    return list(read_lines(path, faults, **options)), faults


def test_lines_come_with_their_numbers_and_without_their_ends(tmp_path):
    found, faults = lines_of(written(tmp_path, b"\xef\xbb\xbfone\r\n\ntwo\nthree"))
    assert found == [(1, "one"), (3, "two"), (4, "three")]
    assert not faults.counts


@pytest.mark.parametrize(
    ("line", "text"), [(b"Bj\xf6rk", "Björk"), (b"don\x92t", "don’t"), (b"\x81\xe9", "\x81é")]
)
def test_a_line_that_is_not_utf8_is_read_otherwise_and_counted(tmp_path, line, text):
    found, faults = lines_of(written(tmp_path, b"good\n" + line + b"\ngood\n"))
    assert [text for _, text in found] == ["good", text, "good"]
    assert faults.counts == {"not UTF-8": 1}
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kept) == ("table.txt", 2, True)
    assert (faults.kept, faults.skipped) == (1, 0)


def test_a_line_with_a_nul_byte_is_skipped_and_named(tmp_path):
    found, faults = lines_of(written(tmp_path, b"one\ntw\0o\nthree\n"))
    assert [text for _, text in found] == ["one", "three"]
    assert (faults.examples[0].row, faults.examples[0].kind) == (2, "NUL byte")
    assert faults.skipped == 1


def test_a_line_too_long_is_skipped_without_being_held(tmp_path):
    path = written(tmp_path, b"one\n" + b"x" * 20_000_000 + b"\nthree\n")
    tracemalloc.start()
    found, faults = lines_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(1, "one"), (3, "three")]
    assert faults.examples[0].detail == "20,000,001 bytes"
    assert peak < 5_000_000


def test_a_line_just_short_enough_is_read(tmp_path):
    found, faults = lines_of(written(tmp_path, b"x" * 9 + b"\n" + b"y" * 10), longest=10)
    assert [text for _, text in found] == ["x" * 9, "y" * 10]
    assert not faults.counts


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>log in", b"\n <html lang='en'>", b"<HTML>"])
def test_a_web_page_in_place_of_data_is_refused(tmp_path, page):
    with pytest.raises(InputError, match=r"table\.txt: expected a text table, got a web page"):
        lines_of(written(tmp_path, page))


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"absent\.txt: expected a text table, got 'No such file"):
        lines_of(tmp_path / "absent.txt")


def test_examples_stay_few_however_many_faults_there_are(tmp_path):
    _, faults = lines_of(written(tmp_path, b"\0\n" * 1000 + b"\xff\n" * 10))
    assert faults.counts == {"NUL byte": 1000, "not UTF-8": 10}
    assert len(faults.examples) == 2 * faults.limit
    assert faults.as_dict()["skipped"] == 1000


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=3), max_size=8))
def test_what_the_csv_writer_writes_is_read_again(tmp_path_factory, table):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(table)
    path = written(tmp_path_factory.mktemp("csv"), buffer.getvalue().encode())
    faults = Faults()
    found = [row for _, row in read_csv(path, faults)]
    assert found == table
    assert not faults.counts


def test_a_row_is_numbered_by_the_line_it_ends_on(tmp_path):
    path = written(tmp_path, b'a,b\n1,"two\nlines"\n2,c\n')
    assert list(read_csv(path, Faults())) == [
        (1, ["a", "b"]),
        (3, ["1", "two\nlines"]),
        (4, ["2", "c"]),
    ]


def test_a_quote_that_never_closes_is_counted_and_the_rows_before_it_stay(tmp_path):
    faults = Faults()
    rows = list(read_csv(written(tmp_path, b'a,b\n1,"never\nclosed\n'), faults))
    assert rows == [(1, ["a", "b"])]
    assert faults.counts == {"broken quotes": 1}


# -- counts --------------------------------------------------------------------------------------

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=9), min_size=1, max_size=30)


@given(texts)
def test_mean_deviation_and_shares_are_numpys(found):
    counts, lengths = Counts.of(found), np.array([len(tokens) for tokens in found])
    assert counts.texts == len(found)
    assert counts.mean == pytest.approx(lengths.mean())
    assert counts.deviation == pytest.approx(lengths.std(), abs=1e-9)
    assert counts.share_up_to(3) == pytest.approx((lengths <= 3).mean())
    assert len(counts.words) == len({token for tokens in found for token in tokens})


@given(texts)
def test_the_order_of_texts_changes_nothing(found):
    assert Counts.of(found).as_dict() == Counts.of(reversed(found)).as_dict()


def test_a_record_holds_enough_to_compute_the_mean_again():
    found = Counts.of([["a"], ["a", "b"], ["c", "d"], []]).as_dict()
    lengths = {int(length): times for length, times in found["lengths"].items()}
    assert found["texts"] == sum(lengths.values()) == 4
    assert found["distinct_words"] == 4
    assert found["mean"] == sum(k * v for k, v in lengths.items()) / 4


def test_nothing_has_no_mean():
    assert math.isnan(Counts().mean)
    assert math.isnan(Counts().share_up_to(5))


def test_a_lone_string_is_refused():
    with pytest.raises(TypeError, match="expected a list of words, got the string 'abc'"):
        Counts().add("abc")
