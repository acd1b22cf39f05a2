import pytest

from songtitle.datasets import fma, lyrics
from songtitle.datasets.lyrics import Song
from songtitle.errors import InputError
from songtitle.rows import Faults

TRACKS = [
    fma.Track(2, "Food", "AWOL"),
    fma.Track(5, "This World", "AWOL"),
    fma.Track(10, "Freeway", "Kurt Vile"),
]


@pytest.fixture
def write(tmp_path):
    def to(text, name="lyrics.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to


def test_lyrics_join_the_tracks_of_their_ids_in_the_order_of_the_tracks(write):
    table = write('track_id,title,lyrics\n000010,Freeway,"one,\ntwo"\n2,food,Eat\n')
    faults = Faults()
    assert lyrics.join(iter(TRACKS), table, faults) == [
        Song("000002", "Food", "Eat", "AWOL"),
        Song("000010", "Freeway", "one,\ntwo", "Kurt Vile"),
    ]
    assert not faults.counts


def test_tabs_serve_as_well_as_commas_and_columns_may_have_other_names(write):
    table = write('words\tx\tname\tid\nEat, "well"\t\tFood\t2\n"a\tb\nc"\t\tFreeway\t10\n', "l.tsv")
    names = {"track_id": "id", "title": "name", "lyrics": "words"}
    faults = Faults()
    with pytest.raises(InputError, match="expected the columns track_id, title, lyrics once each"):
        lyrics.join(TRACKS, table, Faults())
    found = lyrics.join(TRACKS, table, faults, **names)
    assert [song.lyrics for song in found] == ['Eat, "well"', "a\tb\nc"]
    assert not faults.counts


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("unknown track id", "3,Food,la"),
        ("unknown track id", "NaN,Food,la"),
        ("unknown track id", ",Food,la"),
        ("unknown track id", "0,Food,la"),
        ("duplicate track id", "2,Food,la"),
        ("duplicate track id", "000002,Food,la"),
        ("no lyrics", "5,This World, "),
        ("wrong number of fields", "5,This World,la,la"),
        ("broken quotes", '5,"This"World,la'),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_joined(write, kind, bad):
    table = write(f"track_id,title,lyrics\n2,Food,Eat\n{bad}\n10,Freeway,Drive\n")
    faults = Faults()
    assert [song.lyrics for song in lyrics.join(TRACKS, table, faults)] == ["Eat", "Drive"]
    (fault,) = faults.examples
    assert (fault.file, fault.row, fault.kind, fault.kept) == ("lyrics.csv", 3, kind, False)


def test_a_row_without_an_id_joins_no_track_not_even_track_0(write):
    faults = Faults()
    table = write("track_id,title,lyrics\n,x,nothing\n0,x,la\n")
    assert [s.lyrics for s in lyrics.join([fma.Track(0, "x", "y")], table, faults)] == ["la"]
    assert faults.counts == {"unknown track id": 1}


def test_another_title_is_counted_and_the_track_keeps_its_own(write):
    faults = Faults()
    table = write("track_id,title,lyrics\n2,Drink,Eat\n5, this  WORLD,la\n")
    titles = [song.title for song in lyrics.join(TRACKS, table, faults)]
    assert titles == ["Food", "This World"]
    assert (faults.counts, faults.kept) == ({"another title": 1}, 1)
    assert faults.examples[0].detail == "'Drink', not 'Food'"


def test_a_torn_or_wrong_table_is_refused_or_read_to_the_tear(write):
    faults = Faults()
    torn = write('track_id\ttitle\tlyrics\n2\tFood\tEat\n5\tThis World\t"torn', "torn.tsv")
    assert len(lyrics.join(TRACKS, torn, faults)) == 1
    assert faults.counts == {"broken quotes": 1}
    for name in ("page.csv", "page.tsv"):
        with pytest.raises(InputError, match="got a web page"):
            lyrics.join(TRACKS, write("<html>Sign in</html>", name), Faults())
    with pytest.raises(InputError, match="got no columns, so none"):
        lyrics.join(TRACKS, write(""), Faults())


def test_tracks_of_one_id_cannot_be_told_apart_and_are_refused(write):
    with pytest.raises(InputError, match="expected every id once, got 1 twice"):
        lyrics.join([*TRACKS, TRACKS[0]], write("track_id,title,lyrics\n"), Faults())


def test_lyrics_join_real_tracks(real_data, write):
    tracks = list(fma.read_tracks(real_data / "fma/tracks_excerpt.csv", Faults()))
    rows = "".join(f"{track.track_id},x,word\n" for track in reversed(tracks[:100]))
    faults = Faults()
    songs = lyrics.join(tracks, write("track_id,title,lyrics\n" + rows), faults)
    assert [(s.id, s.title, s.group) for s in songs] == [
        (t.id, t.title, t.group) for t in tracks[:100]
    ]
    assert faults.counts == {"another title": 100}
