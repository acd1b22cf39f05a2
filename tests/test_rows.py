"""Rows: what can be read is read, what cannot is named with file and line, and the run goes on."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songtitle.errors import InputError
from songtitle.rows import Faults, read_csv, read_lines


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
