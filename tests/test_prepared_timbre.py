"""Laws of prepared timbre tables: each column is what it says, and tracks keep their numbers."""

import numpy as np
import pytest

from songtitle.corpora import million_song
from songtitle.corpora.million_song import covariance_order
from songtitle.errors import InputError
from songtitle.rows import Faults
from songtitle.timbre import moments

IDS = [f"TR{letter * 16}" for letter in "ABC"]


def rows_of(seed=0):
    """Means and covariances of three made-up tracks, in UCI's order."""
    draw = np.random.default_rng(seed)
    return np.stack([moments(draw.normal(size=(40, 12)) * 9) for _ in IDS])


def write_archive(folder, *, pairs=None, numbers=None, ids=IDS):
    """The archive with its list: 78 columns of 42 pairs, the second column a repeat already."""
    true = rows_of()
    known = covariance_order()
    pairs = pairs or [known[max(0, n - 1) % 42] for n in range(78)]
    if numbers is None:
        columns = [12 + known.index((min(pair), max(pair))) for pair in pairs]
        numbers = np.concatenate([true[:, :12], true[:, columns]], axis=1).astype(np.float32)
    path, listing = folder / "timbre.npz", folder / "tracks.txt"
    np.savez(path, track_id=np.array(ids), X=numbers, cov_pairs=np.array(pairs, dtype=np.int8))
    lines = [f"{1990 + n}<SEP>{id}<SEP>Somebody<SEP>Song {n}" for n, id in enumerate(IDS)]
    listing.write_text("\n".join(lines) + "\n")
    return path, listing


def test_repeated_covariances_are_left_out_and_the_others_named(tmp_path):
    found = million_song.read_timbre_archive(*write_archive(tmp_path), Faults())
    assert found.covariances == covariance_order()[:42]
    assert found.numbers.shape == (3, 54)
    np.testing.assert_allclose(found.numbers, rows_of()[:, :54], rtol=1e-5)
    assert [(track.id, track.year) for track in found.tracks] == list(
        zip(IDS, (1990, 1991, 1992), strict=True)
    )


def test_a_pair_counts_once_in_whichever_order_it_is_named(tmp_path):
    known = covariance_order()
    pairs = [known[n % 42] if n < 42 else known[n % 42][::-1] for n in range(78)]
    found = million_song.read_timbre_archive(*write_archive(tmp_path, pairs=pairs), Faults())
    assert found.covariances == known[:42]


def test_columns_that_name_one_pair_and_differ_are_refused(tmp_path):
    path, listing = write_archive(tmp_path)
    with np.load(path) as content:
        numbers = content["X"].copy()
    numbers[1, 12 + 1] += 1  # says that it is column 12 again
    write_archive(tmp_path, numbers=numbers)
    with pytest.raises(InputError, match="expected columns of one pair to be equal"):
        million_song.read_timbre_archive(path, listing, Faults())


def test_a_list_of_other_tracks_is_refused(tmp_path):
    path, listing = write_archive(tmp_path, ids=IDS[::-1])
    with pytest.raises(InputError, match=r"tracks\.txt: expected the 3 tracks of timbre\.npz"):
        million_song.read_timbre_archive(path, listing, Faults())


def test_a_track_whose_numbers_are_not_finite_is_counted_and_left_out(tmp_path):
    path, listing = write_archive(tmp_path)
    with np.load(path) as content:
        numbers = content["X"].copy()
    numbers[1, 3] = np.nan
    write_archive(tmp_path, numbers=numbers)
    faults = Faults()
    found = million_song.read_timbre_archive(path, listing, faults)
    assert [track.id for track in found.tracks] == [IDS[0], IDS[2]]
    assert faults.counts == {"not finite": 1}


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 torn"])
def test_what_is_no_archive_is_refused_in_one_line(tmp_path, content):
    path, listing = write_archive(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"timbre\.npz: expected an archive") as caught:
        million_song.read_timbre_archive(path, listing, Faults())
    assert "\n" not in str(caught.value)


def write_table(folder, numbers, *, spoilt=""):
    names = [f"avg{n + 1}" for n in range(12)] + [f"cov{n + 1}" for n in range(78)]
    lines = [",".join(["track_id", "year", "artist", "title", "segments", *names])]
    for n, row in enumerate(numbers):
        cells = [f"{value:.5f}" for value in row]
        lines.append(",".join([IDS[n], str(2 * n), "Somebody", f"Song {n}", "40", *cells]))
    if spoilt:
        lines[2] = lines[2].replace(lines[2].split(",")[5], spoilt)
    path = folder / "uci.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_all_ninety_numbers_are_read_in_ucis_order(tmp_path):
    found = million_song.read_uci_like(write_table(tmp_path, rows_of()), Faults())
    assert found.covariances == covariance_order()
    np.testing.assert_allclose(found.numbers, rows_of(), atol=1e-4)
    assert [track.year for track in found.tracks] == [None, 2, 4]


def test_a_row_that_holds_no_number_is_counted_and_left_out(tmp_path):
    faults = Faults()
    found = million_song.read_uci_like(write_table(tmp_path, rows_of(), spoilt="x"), faults)
    assert [track.id for track in found.tracks] == [IDS[0], IDS[2]]
    assert faults.counts == {"not a number": 1}


def test_numbers_in_another_order_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected UCI's 12 means"):
        million_song.read_uci_like(write_table(tmp_path, rows_of()[:, ::-1]), Faults())


def test_the_54_real_numbers_are_those_that_hdf5_files_give(real_data):
    faults = Faults()
    table = million_song.read_timbre_archive(
        real_data / "msd/subset_timbre90_4680.npz",
        real_data / "msd/subset_timbre90_4680.tracks.txt",
        faults,
    )
    assert table.numbers.shape == (4680, 54)
    place = {track.id: row for row, track in enumerate(table.tracks)}
    order = covariance_order()
    columns = [*range(12), *(12 + order.index(pair) for pair in table.covariances)]
    compared = 0
    for track, segments in million_song.read_h5_folder(real_data / "msd/h5", Faults()):
        if track.id in place:
            ours = million_song.timbre_of(segments)[columns]
            np.testing.assert_allclose(table.numbers[place[track.id]], ours, rtol=1e-4, atol=1e-3)
            assert table.tracks[place[track.id]].title == track.title
            compared += 1
    assert compared > 100


def test_the_real_table_of_all_numbers_is_in_ucis_order(real_data):
    table = million_song.read_uci_like(real_data / "msd/h5_timbre90_uci_layout.csv", Faults())
    assert table.numbers.shape == (279, 90)
