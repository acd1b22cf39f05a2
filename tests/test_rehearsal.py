"""Laws of rehearsals: every reader finds what was put there; equal seeds give equal bytes."""

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from songtitle.corpora import link_rot, million_song, rehearsal, rehearsal_songs, shards
from songtitle.corpora.captions import TABLES, read_conceptual_captions, read_link_status
from songtitle.errors import InputError
from songtitle.pictures import load_view
from songtitle.rows import Faults

PICTURES, SONGS = 41, 26  # neither is a multiple of what they are cut by


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A rehearsal with FMA's clips at their whole length, and its right counts."""
    home = tmp_path_factory.mktemp("rehearsal") / "home"
    return home, rehearsal.write(home, pictures=PICTURES, songs=SONGS, seed=3)


def tracks(path):
    return list(million_song.read_tracks(path, Faults()))


# -- Conceptual Captions --------------------------------------------------------------------------


@pytest.mark.parametrize("split", TABLES)
def test_a_table_of_captions_has_the_rows_that_were_made_and_the_bad_ones(written, split):
    home, right = written
    faults = Faults()
    rows = list(read_conceptual_captions(home / "conceptual_captions" / TABLES[split], faults))
    assert len(rows) == right[f"{split}: rows of the table"]
    assert faults.skipped == right[f"{split}: rows that cannot be read"]
    kinds = ("no tab", "more than one tab", "no web address", "empty caption")
    assert faults.counts == dict.fromkeys(kinds, 1)


@pytest.mark.parametrize("split", TABLES)
def test_ready_made_shards_hold_the_examples_that_were_made_and_each_kind_of_bad_one(
    written, split
):
    home, right = written
    paths = shards.find_shards(home / "cc3m_wds" / f"cc3m-{split}-*.tar")
    assert len(paths) == right[f"{split}: ready-made shards"]
    found = [shards.index_shard(path) for path in paths]
    sizes = [len(examples) + len(left_out) for examples, left_out in found]
    assert len(set(sizes[:-1])) == 1
    assert 0 < sizes[-1] < sizes[0]
    assert sum(len(examples) for examples, _ in found) == right[f"{split}: examples in them"]
    kinds = Counter(kind for _, left_out in found for _, kind in left_out)
    assert kinds == {"picture without a caption": right[f"{split}: pictures without a caption"]}
    broken, large, sides = 0, 0, []
    for path, (examples, _) in zip(paths, found, strict=True):
        content = path.read_bytes()
        for example in examples:
            place = example.picture
            picture = content[place.offset : place.offset + place.size]
            try:
                load_view(picture, 32)
            except InputError:
                broken += 1
            if picture.startswith(b"\xff\xd8"):
                sides.append(min(Image.open(io.BytesIO(picture)).size))
                large += sides[-1] > 400
    assert broken == right[f"{split}: examples that are no picture"]
    assert large == right[f"{split}: examples over 400 pixels a side"]
    assert sorted(sides)[0] < 16
    assert 16 < sorted(sides)[1] < 400


@pytest.mark.parametrize("split", TABLES)
def test_fetched_shards_are_those_of_a_finished_fetch_with_the_pictures_that_came(written, split):
    home, right = written
    folder = home / "conceptual_captions" / "pictures" / split
    found = [shards.index_shard(path) for path in shards.find_shards(folder)]
    assert sum(len(examples) for examples, _ in found) == right[f"{split}: pictures fetched"]
    assert not any(left_out for _, left_out in found)
    report = link_rot.report(folder)
    assert report.asked == right[f"{split}: rows of the table"]
    assert report.survivors.count == right[f"{split}: pictures fetched"]
    reasons = {"too small": 2, "cut short": 1, "not a picture": 1}
    assert report.reasons == reasons | {"404 not found": 1, "403 forbidden": 1}
    table = home / "conceptual_captions" / TABLES[split]
    about = (folder / "source" / "source.json").read_text("utf-8")
    assert hashlib.sha256(table.read_bytes()).hexdigest() in about


def test_a_fetch_into_a_rehearsal_finds_all_done_and_asks_nobody(written, monkeypatch):
    home, right = written
    folder = home / "conceptual_captions" / "pictures" / "train"
    size = max(shards.stats(path)["count"] for path in shards.find_shards(folder))
    monkeypatch.setattr(shards, "require", lambda _: None)
    table = home / "conceptual_captions" / TABLES["train"]
    done = shards.fetch(table, folder, faults=Faults(), shard_size=size)
    assert (done.rows, done.pictures) == (
        right["train: rows of the table"],
        right["train: pictures fetched"],
    )


def test_the_links_status_has_every_row_of_the_validation_table(written):
    home, right = written
    faults = Faults()
    path = home / "conceptual_captions" / "validation_url_status_2019-01.tsv"
    rows = list(read_link_status(path, faults))
    assert len(rows) == right["validation: rows of the table"]
    assert sum(row.has_picture for row in rows) == right["validation: links with a picture"]
    assert not faults.counts


def test_a_caption_says_what_its_picture_shows(tmp_path):
    draw = np.random.default_rng(0)
    for _ in range(60):
        caption, content = rehearsal._picture((420, 410), draw)
        _, _, colour, _, *_ = caption.split()
        (place,) = (place for place in rehearsal.PLACES if place in caption)
        ground = caption.split()[-2]
        x, y = rehearsal.PLACES[place]
        image = np.asarray(Image.open(io.BytesIO(content)), dtype=int)
        for (column, row), wanted in (
            ((round(x * 420), round(y * 410)), rehearsal.COLOURS[colour]),
            ((2, 2), rehearsal.GROUNDS[ground]),
        ):
            assert np.abs(image[row, column] - wanted).max() < 40, caption


# -- Million Song ---------------------------------------------------------------------------------


def test_lists_rows_and_files_of_million_song_have_the_tracks_that_were_made(written):
    home, right = written
    folder = home / "million_song"
    faults = Faults()
    longer = list(million_song.read_tracks(folder / "unique_tracks.txt", faults))
    assert len(longer) == right["Million Song: tracks of the long list"]
    assert faults.counts == {"not four fields": 1}
    dated = tracks(folder / "tracks_per_year.txt")
    assert len(dated) == right["Million Song: tracks with a year"]
    years = [track.year for track in dated]
    assert years == sorted(years)
    faults = Faults()
    row_years, timbre = million_song.load_uci(folder / "YearPredictionMSD.txt", faults)
    assert len(row_years) == right["Million Song: rows of UCI"] == SONGS == len(dated) - 3
    assert not len(million_song.check_layout(timbre))
    assert not faults.counts
    kinds = {"not HDF5, or torn": 1, "too few segments": 1}
    for read, name in (
        (million_song.read_h5_folder, "MillionSongSubset"),
        (million_song.read_h5_archive, "millionsongsubset.tar.gz"),
    ):
        faults = Faults()
        files = list(read(folder / name, faults))
        assert len(files) == right["Million Song: HDF5 files that can be read"]
        assert faults.counts == kinds
        assert sum(kinds.values()) == right["Million Song: HDF5 files that cannot"]
    known = {(track.id, track.title, track.artist) for track in longer}
    assert {(track.id, track.title, track.artist) for track, _ in files} < known


def test_the_repaired_join_finds_as_many_certain_rows_as_were_left_certain(tmp_path):
    songs = 24
    for seed in range(3):
        home = tmp_path / f"{seed}"
        right = rehearsal_songs.million_song(home, songs, np.random.default_rng(seed))
        years, timbre = million_song.load_uci(home / "YearPredictionMSD.txt", Faults())
        listed = tracks(home / "tracks_per_year.txt")
        list_years = np.array([track.year for track in listed], np.int16)
        place = {track.id: entry for entry, track in enumerate(listed)}
        files = million_song.read_h5_folder(home / "MillionSongSubset", Faults())
        known = {place[t.id]: million_song.timbre_of(s) for t, s in files if t.id in place}
        entries = np.array(list(known))
        anchors = million_song.find_anchors(timbre, np.stack(list(known.values())), entries)
        assert len(anchors.rows) == right["rows that an HDF5 file anchors"]
        plain = million_song.within_year(years, list_years, anchors)
        assert plain.certain.sum() == right["certain rows by year and anchors"]
        ordered = million_song.within_year(years, list_years, anchors, same_order=True)
        assert ordered.certain.sum() == right["certain rows by their order, too"]
        assert plain.certain.sum() < ordered.certain.sum() < songs  # three leave some in doubt
        told = million_song.as_told(years, list_years)
        assert million_song.agreement(years, list_years, told) < 1  # there is something to repair
