"""Small files are the old ones or the new ones at any moment."""

import errno
import os
import subprocess
import sys

import pytest

from songtitle.machine import write_whole


def test_a_small_file_is_the_old_one_where_the_new_one_finds_no_room(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_whole(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["ü\n", b"\x00\xff\n"])
def test_what_is_written_is_what_was_given(tmp_path, content):
    path = tmp_path / "file"
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_what_a_writer_left_who_is_gone_is_cleared_away_and_that_of_a_living_one_stays(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone, living, other = (
        tmp_path / name
        for name in (f".a.json.{ended.pid}", f".a.json.{os.getppid()}", f".b.json.{ended.pid}")
    )
    for file in (gone, living, other):
        file.write_text("half")
    write_whole(tmp_path / "a.json", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.json", living, other])
