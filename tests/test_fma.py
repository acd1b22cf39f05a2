import itertools

import pytest

from songtitle.corpora import fma
from songtitle.errors import InputError
from songtitle.rows import Counts, Faults

HEADS = """,album,artist,set,set,track,track
,title,name,split,subset,genre_top,title
track_id,,,,,,
"""


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
    expected = [fma.Track(2, "Food", "AWOL", "Hip-Hop", "training", "small")]
    assert expected[0].id == "000002"
    assert list(fma.read_tracks(straight, Faults())) == expected
    for order in itertools.islice(itertools.permutations(range(1, 7)), 0, 720, 97):
        lines = [",".join(line[i] for i in (0, *order)) for line in [*heads, row]]
        moved = write("\n".join(lines) + "\n", "moved.csv")
        assert list(fma.read_tracks(moved, Faults())) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "track_id,title\n2,Food\n",
        HEADS.replace("track_id,,,,,,", "track_id,,,,,"),
        HEADS.replace("track_id", "id"),
        HEADS.replace("track_id,,", "track_id,x,"),
        HEADS.replace("genre_top,title", "genre_top,name"),
    ],
)
def test_a_table_without_the_three_header_rows_is_refused_in_one_line(write, text):
    with pytest.raises(InputError, match=r"table\.csv: expected .*") as caught:
        list(fma.read_tracks(write(text), Faults()))
    assert "\n" not in str(caught.value)


def test_a_web_page_under_the_name_of_a_table_is_refused(write):
    page = write("<!DOCTYPE html><html><body>Sign in</body></html>")
    for read in (fma.read_tracks, fma.read_raw_tracks, fma.read_titles):
        with pytest.raises(InputError, match="got a web page; fetch it again"):
            list(read(page, Faults()))


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


def test_a_line_of_another_encoding_is_counted_and_its_title_kept(write):
    path = write("track_id,track_title,artist_name\n7,Señor – “Tú”,Añil\n", encoding="cp1252")
    faults = Faults()
    assert list(fma.read_raw_tracks(path, faults)) == [fma.Track(7, "Señor – “Tú”", "Añil")]
    assert faults.counts == {"not UTF-8": 1}


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
    path = write(f"track_id,track_title,artist_name\n1,a,x\n{bad}\n11,z,y\n")
    tracks = list(fma.read_raw_tracks(path, faults))
    assert [track.title for track in tracks] == ["a", "z"]
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kind, fault.kept) == ("table.csv", 3, kind, False)


def test_titles_of_punctuation_and_words_that_pandas_takes_for_missing_are_kept(write):
    titles = ["???", "-", "None", "nan", "NA", "Nan", "none"]
    rows = "".join(f"{i},{title},x\n" for i, title in enumerate(titles, 1))
    faults = Faults()
    path = write("track_id,track_title,artist_name\n" + rows)
    assert [track.title for track in fma.read_raw_tracks(path, faults)] == titles
    assert (faults.counts, faults.kept) == ({"title reads as null": 3}, 3)


def test_the_null_words_are_those_of_pandas():
    from pandas._libs.parsers import STR_NA_VALUES

    assert all(map(fma.NULL_WORDS.fullmatch, STR_NA_VALUES - {""}))
    assert not any(map(fma.NULL_WORDS.fullmatch, ["", "Nan", "none", "NAN", "Null", "nothing"]))


def test_a_track_without_an_artist_is_counted_and_is_a_group_of_its_own(write):
    faults = Faults()
    path = write("track_id,track_title,artist_name\n1,a,\n2,b, \n3,c,x\n4,d,x\n")
    groups = [track.group for track in fma.read_raw_tracks(path, faults)]
    assert len(set(groups)) == 3
    assert groups[2] == groups[3] == "x"
    assert faults.counts == {"no artist": 2}


def test_a_running_number_is_never_taken_for_a_track_id(write):
    path = write("id,title,sound_file,artist,genre\n1,Food,000002.mp3,AWOL,Hip-Hop\n2,Ohio,x,y,z\n")
    faults = Faults()
    assert list(fma.read_titles(path, faults)) == [fma.Track(2, "Food", "AWOL", "Hip-Hop")]
    assert faults.counts == {"no track id": 1}


def test_a_table_of_other_columns_is_refused_with_what_was_expected(write):
    with pytest.raises(InputError, match=r"expected the columns sound_file.* got a, b; rename"):
        fma.read_titles(write("a,b\n1,2\n"), Faults())
    with pytest.raises(InputError, match="got track_id, Title, Album"):  # a copy has them shifted
        fma.read_titles(write("track_id,Title,Album,Contributing artists\n2,a,b,c\n"), Faults())
    with pytest.raises(InputError, match="got no columns; rename"):
        fma.read_titles(write(""), Faults())
    with pytest.raises(InputError, match=r"once each, got .*, so none or several of track_title;"):
        fma.read_raw_tracks(write("track_id,track_title,artist_name,track_title\n"), Faults())
    with pytest.raises(InputError, match="got a, b c;") as caught:
        fma.read_titles(write('a,"b\nc"\n'), Faults())
    assert "\n" not in str(caught.value)


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


# Real samples


def test_the_three_header_rows_of_the_real_table_lead_to_682_tracks(real_data):
    faults = Faults()
    tracks = list(fma.read_tracks(real_data / "fma/tracks_excerpt.csv", faults))
    assert len(tracks) == 682
    assert not faults.counts
    assert tracks[0] == fma.Track(2, "Food", "AWOL", "Hip-Hop", "training", "small")
    assert {track.subset for track in tracks} == set(fma.SUBSETS)


def test_the_real_raw_table_gives_2000_tracks_and_tells_its_encoding(real_data):
    faults = Faults()
    tracks = {
        track.track_id: track
        for track in fma.read_raw_tracks(real_data / "fma/raw_tracks_excerpt.csv", faults)
    }
    assert len(tracks) == 2000
    assert faults.counts == {"not UTF-8": 1}
    others = list(fma.read_tracks(real_data / "fma/tracks_excerpt.csv", faults))
    differ = [(t.title, tracks[t.track_id].title) for t in others if t != tracks[t.track_id]]
    differ = [pair for pair in differ if pair[0] != pair[1]]
    # The spreadsheet that saved the raw table lost two umlauts and a leading zero.
    assert sorted(differ) == [
        ("02", "2"),
        ("KränkentanzSuite", "Kr??nkentanzSuite"),
        ("WellegürtelNo.1", "Welleg??rtelNo.1"),
    ]


def test_the_7997_real_titles_of_fma_small_have_2_88_words(real_data):
    faults = Faults()
    tracks = list(fma.read_titles(real_data / "fma/fma_small_titles.csv", faults))
    counts = Counts.of(track.title.split() for track in tracks)
    assert not faults.counts
    assert counts.texts == len({track.id for track in tracks}) == 7997
    assert (round(counts.mean, 2), round(counts.deviation, 2)) == (2.88, 2.00)


def test_real_tables_of_fma_small_tell_the_same_of_each_track(real_data):
    faults = Faults()
    titles = fma.read_titles(real_data / "fma/fma_small_titles.csv", faults)
    known = {track.track_id: track for track in titles}
    split = list(fma.read_titles(real_data / "fma/fma_small_titles_split.csv", faults))
    genres = fma.read_file_genres(real_data / "fma/fma_small_files_genre.csv", faults)
    fma.check_balance(genres)
    assert len(split) == 7904
    assert all(known[track.track_id].title == track.title for track in split)
    assert all(genres[track.track_id] == track.genre for track in split)
    assert {f"{id:06d}" for id in genres.keys() - known.keys()} == {
        id for id, fault in fma.errata("small").items() if fault == "no sound"
    }
    assert {int(id) for id in fma.errata("small")} <= genres.keys()
    assert not {int(id) for id in fma.errata("medium").keys() - fma.errata("small").keys()} & (
        genres.keys()
    )
    assert not faults.counts
