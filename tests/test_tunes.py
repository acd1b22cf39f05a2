import os
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from songtitle.corpora import manifest, tunes
from songtitle.corpora.tunes import PROGRAMS, Tune
from songtitle.errors import InputError

BOOK = """% a book of three
X:1
T: Garden of Daisies, The
T:Second Title
M:4/4
L:1/8
K:D
DEFG ABcd|d8|]

X: 0023
M:3/4
K:G
GAB|

X:5
T:Ünder
K:C
C2|
"""
SCALE = Tune("b/f/1", "b", 1, "Scale", "X:1\nT:Scale\nM:4/4\nL:1/8\nQ:1/4=120\nK:C\nCDEF GABc|\n")


def scale_named(name):
    return replace(SCALE, id=f"b/f/{name}", title=name)


def test_a_book_is_cut_at_each_number_and_the_first_title_counts():
    found = tunes.read_book(BOOK.encode(), "book/file")
    assert [(t.id, t.book, t.number, t.title) for t in found] == [
        ("book/file/1", "book", 1, "Garden of Daisies, The"),
        ("book/file/23", "book", 23, ""),
        ("book/file/5", "book", 5, "Ünder"),
    ]
    assert "".join(t.abc for t in found) == BOOK.partition("\n")[2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_book_reads_the_same_in_either_encoding_with_any_line_ends_and_numbers(encoding):
    expected = tunes.read_book(BOOK.encode(), "b/f")
    assert tunes.read_book(BOOK.replace("\n", "\r\n").encode(encoding), "b/f") == expected
    (tune,) = tunes.read_book(f"X:{'9' * 5000}\nT:Ash\nK:C\n".encode(encoding), "b/f")
    assert tune.title == "Ash"


def test_the_four_books_hold_4433_tunes_with_a_title():
    found = tunes.load()
    assert Counter(tune.book for tune in found) == {
        "oneills1850": 2009,
        "airdsAirs": 1180,
        "ryansMammoth": 1059,
        "miscFolk": 185,
    }
    assert len({tune.id for tune in found}) == 4433
    assert "oneills1850/0101-0200/123" in {tune.id for tune in found}


def sheet(name, title, notes, key="K:C"):
    return replace(SCALE, id=name, title=title, abc=f"X:1\nT:{title}\n{key}\n{notes}\n")


def test_a_family_is_of_one_title_however_spelt_or_of_one_melody_in_whatever_key():
    ash, birch = "CDEF|GFED|CEGE|CDEF|G2|]", "GGAG|cBGG|AGdc|GGge|cBA2|]"
    found = tunes.families(
        [
            sheet("a", "Humors of Ballycastle, The", ash),
            sheet("b", "The Humours of Ballycastle (2nd setting)", birch),
            sheet("c", "Nora", "z2 B|defg|agfe|dfaf|d2e^fg|a|]", "K:D"),  # a's, with an upbeat
            sheet("d", "Captain Kelly -- Reel", "CCDE|CEDG|CCDE|CBGA|BcdA|]"),
            sheet("e", "CAPTAIN KELLEY, 3d. Setting", "cBAG|FEDC|cBAG|AGFE|DEFG|]"),
            sheet("f", "Willow", "CDEF|GFED|CEGE"),  # begins as a, but is too short to tell
        ]
    )
    assert found == ["a", "a", "a", "d", "d", "f"]


def test_families_link_tunes_across_books():
    found = defaultdict(set)
    for tune in tunes.load():
        found[tune.group].add(tune.book)
    assert sum(len(books) > 1 for books in found.values()) > 100


def test_a_book_that_differs_is_refused_with_both_checksums(monkeypatch):
    first = manifest.listed("tunes")[0]
    monkeypatch.setattr(manifest, "listed", lambda _: [replace(first, sha256="0" * 64)])
    with pytest.raises(InputError, match=r"\.abc: expected sha256 0{64}, got [0-9a-f]{64}; inst"):
        tunes.load()


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    songs = [scale_named(name) for name in ("ash", "birch", "cedar", "date", "elm", "fig", "gum")]
    chosen = tunes.choose(songs, 3, seed=2)
    assert len(chosen) == 3
    assert tunes.choose(songs[::-1], 3, seed=2) == chosen
    assert any(tunes.choose(songs, 3, seed=seed) != chosen for seed in range(5))


def test_no_two_chosen_titles_are_the_same_up_to_case_and_punctuation():
    songs = [scale_named(name) for name in ("The Ash", "THE ASH.", "the-ash", "An Elm")]
    assert {t.title[-3:].lower() for t in tunes.choose(songs, 2, seed=0)} >= {"elm"}
    with pytest.raises(InputError, match=r"count: expected at most 2, .*, got 3"):
        tunes.choose(songs, 3, seed=0)


@pytest.mark.parametrize("abc", ["", "hello", "X:1\nT:a\n", "X:1\nT:a\nM:4/4\nK:C\n"])
def test_a_sheet_without_notes_is_neither_chosen_nor_rendered(tmp_path, abc):
    bad = replace(SCALE, id="b/f/9", title="bad", abc=abc)
    assert tunes.choose([bad, SCALE], 1, seed=0) == [SCALE]
    with pytest.raises(InputError, match="tune b/f/9: expected an ABC sheet with notes"):
        tunes.render(bad, tmp_path / "x.mp3", program=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("note", ["C99999999", "C999999"])
def test_a_tune_of_hours_is_refused_before_it_is_played(tmp_path, note):
    long = replace(SCALE, id="b/f/9", abc=SCALE.abc.replace("CDEF", note))
    with pytest.raises(InputError, match=r"tune b/f/9: expected at most 300 s of music, got \d+ s"):
        tunes.render(long, tmp_path / "x.mp3", program=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="the reader in its place is a shell script")
@pytest.mark.parametrize(
    ("does", "message"),
    [("exec sleep 60", "is read within 0.2 s"), ("printf MThd > $3", "sheet with notes")],
)
def test_a_sheet_that_its_reader_hangs_or_dies_on_is_refused(tmp_path, monkeypatch, does, message):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "abc2midi"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setattr(manifest, "package_folder", lambda _: tmp_path)
    monkeypatch.setattr(tunes, "PATIENCE", 0.2)
    with pytest.raises(InputError, match=f"tune b/f/1: expected .*{message}"):
        tunes.render(SCALE, tmp_path / "x.mp3", program=0)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_sheet_is_not_blamed_for_a_full_disk(monkeypatch):
    monkeypatch.setattr(tunes.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(OSError, match="No space left"):
        tunes._is_playable(tunes.Tune("a/1", "a", 1, "A", "X:1\nK:C\n"))


def test_sheets_played_side_by_side_keep_their_own_notes():
    sheets = [replace(SCALE, abc=SCALE.abc.replace("CDEF", "C" * n)) for n in (2, 3, 5, 7, 11)] * 3
    alone = [tunes._score(sheet).note_num() for sheet in sheets]
    with ThreadPoolExecutor(5) as pool:
        assert [s.note_num() for s in pool.map(tunes._score, sheets)] == alone
    assert len(set(alone)) == 5


def test_the_instrument_is_a_fixed_function_of_tune_and_seed():
    assert [tunes.instrument("b/f/1", seed) for seed in (0, 1, 2)] == [79, 25, 21]
    drawn = {tunes.instrument(f"b/f/{i}", 0) for i in range(500)}
    assert drawn == set(PROGRAMS)


def test_a_real_tune_sounds_for_30_seconds_in_stereo_at_44100_hz(tmp_path):
    tune = next(t for t in tunes.load() if t.id == "oneills1850/0101-0200/123")
    tunes.render(tune, tmp_path / "x.mp3", program=73)
    info = soundfile.info(tmp_path / "x.mp3")
    assert (info.format, info.channels, info.samplerate) == ("MP3", 2, 44_100)
    assert 30.0 <= info.duration < 30.2
    sound, _ = soundfile.read(tmp_path / "x.mp3")
    assert 0.6 < np.abs(sound).max() < 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp3"]


def test_a_short_tune_starts_again(tmp_path):
    tunes.render(SCALE, tmp_path / "x.mp3", program=0, duration=11.0)
    sound, rate = soundfile.read(tmp_path / "x.mp3")
    loud = [np.abs(second).max() for second in sound[: 11 * rate].reshape(11, rate, 2)]
    assert min(loud[:2]) > 0.1
    assert min(loud[-4:]) < max(loud[-4:])
    assert max(loud[-4:]) > 0.5


def test_two_renderings_are_the_same_bytes_on_any_number_of_threads(tmp_path):
    songs = [scale_named(name) for name in ("ash", "birch", "cedar")]
    one = tunes.render_all(songs, tmp_path / "1", seed=0, duration=1.0, workers=1)
    two = tunes.render_all(songs, tmp_path / "2", seed=0, duration=1.0, workers=2)
    assert [p.name for p in one] == [p.name for p in two]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    for program in (0, 73):  # which sound different
        tunes.render(SCALE, tmp_path / f"{program}.mp3", program=program, duration=1.0)
    assert (tmp_path / "0.mp3").read_bytes() != (tmp_path / "73.mp3").read_bytes()


def test_clips_that_are_there_are_kept_and_what_cannot_be_played_is_reported(tmp_path, caplog):
    songs = [scale_named(name) for name in ("elm", "ash", "fig")]
    kept = tunes.clip_path(songs[1], tmp_path, seed=0)
    kept.write_bytes(b"kept")
    bad = replace(SCALE, id="b/f/9", abc="X:1\nK:C\n")
    paths = tunes.render_all([bad, *songs], tmp_path, seed=0, duration=1.0, workers=1)
    assert paths == [tunes.clip_path(song, tmp_path, seed=0) for song in songs]
    assert kept.read_bytes() == b"kept"
    assert "tune b/f/9" in caplog.text


def test_a_tune_sounds_the_same_whatever_was_played_before_it(tmp_path):
    chosen = tunes.choose(tunes.load(), 40, seed=1)
    paths = []
    for order in (1, -1):
        folder = tmp_path / str(order)
        paths.append(tunes.render_all(chosen[::order], folder, seed=0, duration=1.0, workers=1))
    forth, back = paths[0], paths[1][::-1]
    assert [path.read_bytes() for path in forth] == [path.read_bytes() for path in back]
