"""The laws of the Free Music Archive: every row is read or counted, every clip is decoded."""

import itertools
import shutil

import lameenc
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from songtitle.corpora import fma
from songtitle.corpora.fma import choose_test, clip_facts, clip_path, survey
from songtitle.errors import InputError
from songtitle.rows import Counts, Faults

# -- tables --------------------------------------------------------------------------------------

HEADS = """,album,artist,set,set,track,track
,title,name,split,subset,genre_top,title
track_id,,,,,,
"""
RAW = "track_id,track_title,artist_name\n"


@pytest.fixture
def write(tmp_path):
    def to(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return to


def test_columns_of_tracks_are_found_by_both_their_names_wherever_they_stand(write):
    straight = write(HEADS + "2,AWOL - Way,AWOL,training,small,Hip-Hop,Food\n")
    heads = [line.split(",") for line in HEADS.splitlines()]
    row = ["2", "AWOL - Way", "AWOL", "training", "small", "Hip-Hop", "Food"]
    expected = [fma.Track(2, "Food", "AWOL", "small")]
    assert expected[0].id == "000002"
    assert list(fma.read_tracks(straight, Faults())) == expected
    for order in itertools.islice(itertools.permutations(range(1, 7)), 0, 720, 97):
        lines = [",".join(line[i] for i in (0, *order)) for line in [*heads, row]]
        moved = write("\n".join(lines) + "\n", "moved.csv")
        assert list(fma.read_tracks(moved, Faults())) == expected


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (fma.read_tracks, "", "expected three header rows"),
        (fma.read_tracks, "track_id,title\n2,Food\n", "expected three header rows"),
        (fma.read_tracks, HEADS.replace("track_id,,,,,,", "track_id,,,,,"), "expected three"),
        (fma.read_tracks, HEADS.replace("track_id", "id"), "expected three header rows"),
        (fma.read_tracks, HEADS.replace("track_id,,", "track_id,x,"), "expected three header rows"),
        (fma.read_tracks, HEADS.replace("top,title", "top,name"), "several of track title; rename"),
        *(
            (read, "<!DOCTYPE html><html><body>Sign in</body></html>", "got a web page; fetch it")
            for read in (fma.read_tracks, fma.read_raw_tracks, fma.read_titles)
        ),
        (fma.read_titles, "a,b\n1,2\n", "expected the columns sound_file.* got a, b, so none"),
        (fma.read_titles, "track_id,Title,Album\n2,a,b\n", "got track_id, Title, Album"),
        (fma.read_titles, "", "got no columns, so none or several of sound_file"),
        (fma.read_titles, 'a,"b\nc"\n', "got a, b c, so"),
        (fma.read_raw_tracks, RAW.strip() + ",track_title\n", "so none or several of track_title;"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_line(write, read, text, message):
    with pytest.raises(InputError, match=rf"table\.csv: .*{message}") as caught:
        list(read(write(text), Faults()))
    assert "\n" not in str(caught.value)


def test_raw_fields_keep_quoted_commas_quotes_and_line_ends(write):
    path = write(
        "track_id,track_information,track_title,artist_name\n"
        '7,"<p>one,\ntwo</p>\n","Immaterial, ""side A""","EKG\n"\n8,,x,y\n'
    )
    faults = Faults()
    assert list(fma.read_raw_tracks(path, faults)) == [
        fma.Track(7, 'Immaterial, "side A"', "EKG"),
        fma.Track(8, "x", "y"),
    ]
    assert not faults.counts


BAD_ROWS = {
    "no track id": ["nan,b,c", ",b,c", "2.0,b,c", "-3,b,c", "0,b,c", "1234567,b,c", "٣,b,c"],
    "wrong number of fields": ["5,b", "6,b,c,d"],
    "no title": ["7,,c", "8, \t,c"],
    "duplicate track id": ["1,again,c"],
    "broken quotes": ['9,"b"x,c'],
    "NUL byte": ["10,b\0,c"],
}


@pytest.mark.parametrize(("kind", "bad"), [(k, b) for k, rows in BAD_ROWS.items() for b in rows])
def test_a_bad_row_is_named_with_its_line_and_the_others_are_read(write, kind, bad):
    faults = Faults()
    tracks = list(fma.read_raw_tracks(write(f"{RAW}1,a,x\n{bad}\n11,z,y\n"), faults))
    assert [track.title for track in tracks] == ["a", "z"]
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kind, fault.kept) == ("table.csv", 3, kind, False)


def test_titles_of_punctuation_and_words_that_pandas_takes_for_missing_are_kept(write):
    titles = ["???", "-", "None", "nan", "NA", "Nan", "none"]
    rows = "".join(f"{i},{title},x\n" for i, title in enumerate(titles, 1))
    faults = Faults()
    assert [track.title for track in fma.read_raw_tracks(write(RAW + rows), faults)] == titles
    assert (faults.counts, faults.kept) == ({"title reads as null": 3}, 3)


def test_the_null_words_are_those_of_pandas():
    from pandas._libs.parsers import STR_NA_VALUES

    assert all(map(fma.NULL_WORDS.fullmatch, STR_NA_VALUES - {""}))
    assert not any(map(fma.NULL_WORDS.fullmatch, ["", "Nan", "none", "NAN", "Null", "nothing"]))


def test_a_track_without_an_artist_is_counted_and_is_a_group_of_its_own(write):
    faults = Faults()
    path = write(RAW + "1,a,\n2,b, \n3,c,x\n4,d,x\n")
    groups = [track.group for track in fma.read_raw_tracks(path, faults)]
    assert len(set(groups)) == 3
    assert groups[2] == groups[3] == "x"
    assert faults.counts == {"no artist": 2}


def test_a_running_number_is_never_taken_for_a_track_id(write):
    path = write("id,title,sound_file,artist,genre\n1,Food,000002.mp3,AWOL,Hip-Hop\n2,Ohio,x,y,z\n")
    faults = Faults()
    assert list(fma.read_titles(path, faults)) == [fma.Track(2, "Food", "AWOL")]
    assert faults.counts == {"no track id": 1}


def test_genres_are_balanced_only_with_as_many_of_each_as_promised():
    genres = {i: "abc"[i % 3] for i in range(12)}
    fma.check_balance(genres, number=3, each=4)
    for wrong in (genres | {12: "a"}, genres | {0: "b"}, genres | {0: "d"}, {}):
        with pytest.raises(InputError, match=r"genres: expected 3 of 4 tracks each, got \["):
            fma.check_balance(wrong, number=3, each=4)


def test_the_errata_of_a_subset_hold_those_of_the_smaller_ones():
    small, medium, large = (fma.errata(subset) for subset in fma.SUBSETS)
    assert set(small) == {"098565", "098567", "098569", "099134", "108925", "133297"}
    assert small.items() < medium.items() <= large.items()
    assert len(medium) == 21
    assert small["133297"] == "no sound"
    rows = (fma.manifest.manifest_folder() / "fma_errata.csv").read_text().splitlines()[1:]
    assert len({row.split(",")[0] for row in rows}) == len(rows) == len(large)
    assert all("https://github.com/mdeff/fma" in row for row in rows)
    with pytest.raises(InputError, match="subset: expected one of small, medium, large"):
        fma.errata("full")


# -- clips ---------------------------------------------------------------------------------------


@pytest.fixture
def tone(tmp_path):
    """An mp3 of 2 s in stereo at 44.1 kHz, with a header that tells its length."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(88_200) / 44_100)
    path = tmp_path / "tone.mp3"
    soundfile.write(path, np.stack([wave, wave], 1), 44_100, bitrate_mode="CONSTANT")
    return path


def wav(path, seconds, *, rate=8000, channels=1):
    soundfile.write(path, np.zeros((round(seconds * rate), channels)), rate)
    return path


def test_a_clip_lies_under_the_first_three_of_its_six_digits(tmp_path):
    assert clip_path(tmp_path, 2) == tmp_path / "000" / "000002.mp3"
    assert clip_path(tmp_path, 133297) == tmp_path / "133" / "133297.mp3"


def test_facts_are_what_was_written(tmp_path, tone):
    facts = clip_facts(wav(tmp_path / "x.wav", 1.5, rate=22_050, channels=2))
    assert (facts.sample_rate, facts.channels, facts.samples) == (22_050, 2, 33_075)
    assert facts.seconds == 1.5
    assert facts.bit_rate == pytest.approx(22.05 * 16 * 2, rel=0.01)
    assert not facts.ends_early
    compressed = clip_facts(tone)
    assert (compressed.sample_rate, compressed.channels, compressed.seconds) == (44_100, 2, 2)
    assert not compressed.ends_early
    assert compressed.bit_rate == pytest.approx(tone.stat().st_size * 8 / 2 / 1000)


def test_a_break_in_the_middle_loses_no_more_than_a_tenth_of_a_second_before_it(tmp_path, tone):
    data = tone.read_bytes()
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(data[: len(data) * 3 // 4] + bytes(len(data)))
    facts = clip_facts(broken)
    assert facts.ends_early
    assert facts.seconds == pytest.approx(clip_facts(tone).seconds * 3 / 4, abs=0.11)


def test_an_mp3_that_tells_no_length_is_found_short_by_the_length_asked_for(tmp_path):
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(44_100)
    encoder.set_channels(1)
    data = bytes(encoder.encode(bytes(2 * 88_200))) + bytes(encoder.flush())
    path = tmp_path / "x.mp3"
    for share, shortest, kinds in ((1, 1.9, {}), (0.7, 0.5, {}), (0.7, 1.9, {"short": 1})):
        path.write_bytes(data[: int(share * len(data))])
        faults = Faults()
        survey([path], faults, shortest=shortest)
        assert faults.counts == kinds


PAGE = b"<html>" + b"x" * 5000


@pytest.mark.parametrize("content", [PAGE, bytes(5000), b"track_id,title\n" * 100, b"", None])
def test_what_is_no_music_is_refused_in_one_line_that_names_it(tmp_path, content, capfd):
    path = tmp_path / "000002.mp3"
    if content is not None:
        path.write_bytes(content)
    came = {None: "'No such file", b"": "an empty one"}.get(content, "nothing that can be decoded")
    with pytest.raises(InputError, match=rf"000002\.mp3: expected an mp3, .* got {came}") as caught:
        clip_facts(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    with pytest.raises(InputError, match="expected sound, got no samples"):
        clip_facts(wav(tmp_path / "x.wav", 0))


def test_a_survey_counts_each_fault_by_name_and_goes_on(tmp_path, tone):
    data = tone.read_bytes()
    for name, content in (("cut", data[: len(data) // 2]), ("empty", b""), ("page", PAGE)):
        (tmp_path / f"{name}.mp3").write_bytes(content)
    wav(tmp_path / "short.wav", 0.5)
    files = ["tone.mp3", "cut.mp3", "gone.mp3", "empty.mp3", "page.mp3", "short.wav"]
    faults = Faults()
    facts = survey([tmp_path / file for file in files], faults, shortest=1.9)
    assert [path.name for path in facts] == ["tone.mp3", "cut.mp3", "short.wav"]
    assert {(fault.kind, fault.file, fault.kept) for fault in faults.examples} == {
        ("ends early", "cut.mp3", True),
        ("no file", "gone.mp3", False),
        ("empty file", "empty.mp3", False),
        ("not decodable", "page.mp3", False),
        ("short", "short.wav", True),
    }
    assert faults.counts.total() == 5


def test_a_survey_is_the_same_on_one_thread_and_many_and_summed_up_column_by_column(tmp_path):
    files = [wav(tmp_path / f"{i}.wav", 0.5, channels=1 + i % 2) for i in range(9, 4, -1)]
    one, many = (survey(files, Faults(), workers=workers) for workers in (1, 4))
    assert list(one.items()) == list(many.items())
    record = fma.summary(one.values())
    assert (record["clips"], record["seconds"]) == (5, 2.5)
    assert record["channels"] == {"1": 2, "2": 3}
    assert record["samples"] == {"4000": 5}
    assert sum(record["bit_rate"].values()) == sum(record["sample_rate"].values()) == 5
    assert fma.summary([])["clips"] == 0


def tracks_of(sizes):
    ids = iter(range(1, 10_000))
    return [
        fma.Track(next(ids), "t", f"artist {a}")
        for a, size in enumerate(sizes)
        for _ in range(size)
    ]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.data())
def test_a_test_set_has_its_size_and_shares_no_artist_with_the_rest(sizes, data):
    tracks = tracks_of(sizes)
    count = data.draw(st.integers(1, len(tracks)))
    seed = data.draw(st.integers(0, 99))
    test, rest = choose_test(tracks, count, seed=seed)
    assert len(test) == len({track.id for track in test}) == count
    assert not {track.group for track in test} & {track.group for track in rest}
    # Left out are only tracks of one artist, the last to be taken.
    left = {track.id: track for track in tracks}
    for track in (*test, *rest):
        del left[track.id]
    assert len({track.group for track in left.values()}) <= 1
    assert {track.group for track in left.values()} <= {track.group for track in test}
    shuffled = data.draw(st.permutations(tracks))
    assert choose_test(shuffled, count, seed=seed) == (test, rest)


def test_excluded_tracks_are_on_neither_side_and_seeds_differ():
    tracks = tracks_of([3, 2, 1, 1])
    exclude = {tracks[0].id, tracks[5].id}
    sets = [choose_test(tracks, 3, seed=seed, exclude=exclude) for seed in range(9)]
    assert not exclude & {track.id for test, rest in sets for track in (*test, *rest)}
    assert any(test != sets[0][0] for test, _ in sets)


def test_a_test_set_larger_than_the_tracks_or_with_an_id_twice_is_refused():
    tracks = tracks_of([2, 2])
    for count in (0, 4, 5):
        with pytest.raises(InputError, match=r"expected from 1 to 3 tracks .* got"):
            choose_test(tracks, count, seed=1, exclude=[tracks[0].id])
    with pytest.raises(InputError, match="every id once"):
        choose_test([*tracks, tracks[0]], 1, seed=1)


# -- real samples --------------------------------------------------------------------------------


def test_the_three_header_rows_of_the_real_table_lead_to_682_tracks(real_data):
    faults = Faults()
    tracks = list(fma.read_tracks(real_data / "fma/tracks_excerpt.csv", faults))
    assert len(tracks) == 682
    assert not faults.counts
    assert tracks[0] == fma.Track(2, "Food", "AWOL", "small")
    assert {track.subset for track in tracks} == set(fma.SUBSETS)


def test_the_real_raw_table_gives_2000_tracks_and_tells_its_encoding(real_data):
    faults = Faults()
    raw = fma.read_raw_tracks(real_data / "fma/raw_tracks_excerpt.csv", faults)
    titles = {track.id: track.title for track in raw}
    assert len(titles) == 2000
    assert faults.counts == {"not UTF-8": 1}
    others = fma.read_tracks(real_data / "fma/tracks_excerpt.csv", faults)
    # The spreadsheet that saved the raw table lost two umlauts and a leading zero.
    assert sorted((t.title, titles[t.id]) for t in others if t.title != titles[t.id]) == [
        ("02", "2"),
        ("KränkentanzSuite", "Kr??nkentanzSuite"),
        ("WellegürtelNo.1", "Welleg??rtelNo.1"),
    ]


def test_the_7997_real_titles_of_fma_small_have_2_88_words_and_its_genres_are_even(real_data):
    faults = Faults()
    tracks = list(fma.read_titles(real_data / "fma/fma_small_titles.csv", faults))
    counts = Counts.of(track.title.split() for track in tracks)
    assert counts.texts == len({track.id for track in tracks}) == 7997
    assert (round(counts.mean, 2), round(counts.deviation, 2)) == (2.88, 2.00)
    genres = fma.read_file_genres(real_data / "fma/fma_small_files_genre.csv", faults)
    fma.check_balance(genres)
    here = {f"{id:06d}" for id in genres}
    small, medium = fma.errata("small"), fma.errata("medium")
    silent = {id for id, fault in small.items() if fault == "no sound"}
    assert here - {track.id for track in tracks} == silent
    assert small.keys() <= here
    assert not (medium.keys() - small.keys()) & here
    assert not faults.counts


def test_ten_real_clips_have_one_of_two_lengths(real_data):
    faults = Faults()
    folder = real_data / "fma/fma_small"
    facts = survey(sorted(folder.rglob("*.mp3")), faults, shortest=29.9)
    assert [path == clip_path(folder, int(path.stem)) for path in facts] == [True] * 10
    assert fma.summary(facts.values()) == {
        "clips": 10,
        "seconds": (7 * 1_321_967 + 3 * 1_323_119) / 44_100,
        "sample_rate": {"44100": 10},
        "channels": {"2": 10},
        "samples": {"1321967": 7, "1323119": 3},
        "bit_rate": {"128": 1, "240": 1, "256": 8},
    }
    assert not faults.counts


def test_a_real_clip_cut_anywhere_is_told_from_a_whole_one(real_data, tmp_path):
    whole, cut = clip_path(real_data / "fma/fma_small", 2), tmp_path / "cut.mp3"
    data = whole.read_bytes()
    for share in (0.1, 0.5, 0.99, 0.999):
        cut.write_bytes(data[: int(share * len(data))])
        facts = clip_facts(cut)
        assert facts.ends_early
        assert facts.seconds == pytest.approx(share * 29.977, abs=0.35)
    shutil.copy(whole, cut)
    assert not clip_facts(cut).ends_early


def test_1000_real_tracks_are_chosen_by_artist_without_the_broken_ones(real_data):
    tracks = list(fma.read_titles(real_data / "fma/fma_small_titles.csv", Faults()))
    errata = fma.errata("small")
    test, rest = choose_test(tracks, seed=2020, exclude=errata)
    assert len(test) == 1000
    assert not {track.artist for track in test} & {track.artist for track in rest}
    assert not errata.keys() & {track.id for track in (*test, *rest)}
    # 7,997 less 3 of the broken ones (the others have no title) and 3 of the last artist.
    assert len(rest) == 6991
