"""The laws of Million Song's files: every row is read, or counted with its line and kind."""

import csv
import tarfile
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest

from songtitle.corpora.million_song import (
    Track,
    check_layout,
    covariance_order,
    load_uci,
    read_h5_archive,
    read_h5_folder,
    read_timbre_archive,
    read_tracks,
    read_uci_like,
    timbre_of,
)
from songtitle.errors import InputError
from songtitle.rows import Counts, Faults


def covariances(rows: int, seed: int = 3) -> np.ndarray:
    """Rows of 90 numbers of random segments, in UCI's order; each coefficient on its own scale."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(12, 12)) * np.arange(1.0, 13)
    return np.stack([timbre_of(rng.normal(size=(40, 12)) @ mix) for _ in range(rows)])


def uci_lines(timbre: np.ndarray, years: list[int]) -> list[str]:
    return [
        ",".join([str(year), *(f"{number:.5f}" for number in row)])
        for year, row in zip(years, timbre, strict=True)
    ]


def write(path, lines):
    path.write_text("\n".join([*lines, ""]), "utf-8", newline="")
    return path


def track_id(number: int) -> str:
    return f"TR{number:016d}"


# -- rows of UCI ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_is_its_year_and_its_ninety_numbers(tmp_path, end):
    timbre = covariances(3)
    path = tmp_path / "uci.txt"
    path.write_bytes(end.join(uci_lines(timbre, [1922, 2000, 2011])).encode())
    faults = Faults()
    years, loaded = load_uci(path, faults)
    assert (years.dtype, loaded.dtype, loaded.shape) == (np.int16, np.float32, (3, 90))
    assert years.tolist() == [1922, 2000, 2011]
    np.testing.assert_array_equal(loaded, np.round(timbre, 5).astype(np.float32))
    assert faults.as_dict()["counts"] == {}


BAD = [  # place of a number in a row, what stands there instead, kind of fault
    (7, "NaN", "not a finite number"),
    (90, "inf", "not a finite number"),
    (12, "loud", "not a finite number"),
    (12, "", "not a finite number"),
    (12, "1_000", "not a finite number"),
    (12, "1\r2", "not a finite number"),
    (0, "1899", "not a year"),
    (0, "1999.5", "not a year"),
    (90, "1.0,1.0", "wrong number of numbers"),
    (90, "9" * 20_000, "line too long"),
]


def test_each_kind_of_bad_row_is_counted_with_its_line_and_the_others_are_read(tmp_path):
    timbre = covariances(2)
    good = uci_lines(timbre, [1990, 1999])
    lines = [good[0], "year,timbre"]
    for place, text, _ in BAD:
        fields = good[1].split(",")
        lines.append(",".join([*fields[:place], text, *fields[place + 1 :]]))
    faults = Faults(limit=20)
    years, loaded = load_uci(write(tmp_path / "uci.txt", [*lines, good[1]]), faults)
    assert years.tolist() == [1990, 1999]
    np.testing.assert_array_equal(loaded, np.round(timbre, 5).astype(np.float32))
    found = sorted((fault.row, fault.kind) for fault in faults.examples)
    kinds = ["wrong number of numbers", *(kind for *_, kind in BAD)]
    assert found == list(enumerate(kinds, start=2))
    assert "number 8 of 91 is 'NaN'" in [fault.detail for fault in faults.examples]
    assert (faults.kept, faults.skipped) == (0, 11)


def test_rows_of_many_blocks_are_loaded_past_a_bad_one(tmp_path):
    timbre = covariances(50)
    lines = uci_lines(timbre, [1950 + i for i in range(50)]) * 180
    lines[4_096] = "x"  # the first of the second block
    lines[5_000] = lines[5_000].replace("1950", "1850")
    faults = Faults()
    years, loaded = load_uci(write(tmp_path / "uci.txt", lines), faults)
    kept = [i % 50 for i in range(9_000) if i not in (4_096, 5_000)]
    assert years.tolist() == [1950 + i for i in kept]
    np.testing.assert_array_equal(loaded, np.round(timbre, 5).astype(np.float32)[kept])
    assert [(fault.row, fault.kind) for fault in faults.examples] == [
        (4_097, "wrong number of numbers"),
        (5_001, "not a year"),
    ]


def test_loading_takes_the_memory_of_the_result_and_of_a_block(tmp_path):
    lines = uci_lines(covariances(50), [1950 + i for i in range(50)])

    def peak(times):
        path = write(tmp_path / "uci.txt", lines * times)
        load_uci(path, Faults())  # imports what is imported late
        tracemalloc.start()
        load_uci(path, Faults())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    short, long = peak(170), peak(340)
    assert short < 50e6
    assert long - short == pytest.approx(50 * 170 * (4 * 90 + 2), rel=0.1)


def test_a_missing_file_and_a_web_page_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"uci\.txt: expected a text table, got 'No such file"):
        load_uci(tmp_path / "uci.txt", Faults())
    page = write(tmp_path / "page.txt", ["<html>moved</html>"])
    with pytest.raises(InputError, match=r"page\.txt: .*web page"):
        load_uci(page, Faults())


# -- their order ---------------------------------------------------------------------------------


def test_each_covariance_stands_where_the_order_says():
    rng = np.random.default_rng(0)
    segments = rng.normal(size=(30, 12)) @ rng.normal(size=(12, 12))
    matrix = np.cov(segments, rowvar=False)
    pairs = covariance_order()
    assert len(set(pairs)) == 78
    assert (pairs[0], pairs[11], pairs[12], pairs[77]) == ((0, 0), (11, 11), (0, 1), (0, 11))
    np.testing.assert_allclose(timbre_of(segments)[12:], [matrix[pair] for pair in pairs])


def test_numbers_in_their_order_pass_with_the_few_odd_rows_named():
    timbre = covariances(300)
    assert check_layout(timbre).tolist() == []
    assert check_layout(np.round(timbre, 5).astype(np.float32)).tolist() == []
    timbre[17, 14] *= -1  # a variance
    timbre[207, 89] *= 1e4  # a covariance
    timbre[233, 12:] *= -1  # all of them, whose products stay
    timbre[251, 12:] = 0  # a track that stands still
    assert check_layout(timbre, tolerated=0.02).tolist() == [17, 207, 233, 251]


def swapped(timbre):
    """The same numbers row by row of the matrix."""
    pairs = covariance_order()
    by_rows = [12 + pairs.index((i, j)) for i in range(12) for j in range(i, 12)]
    return np.concatenate([timbre[:, :12], timbre[:, by_rows]], axis=1)


def negative(timbre):
    timbre[:3, 12] *= -1
    return timbre


def repeated(timbre):
    timbre[:, 89] = timbre[:, 60]
    return timbre


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (negative, "got 0 columns that repeat others and 3 of 100 rows"),
        (swapped, "got 0 columns that repeat others and 100 of 100 rows"),
        (repeated, "got 1 columns that repeat others"),
        (lambda timbre: timbre[:0], "expected rows of 90 numbers, got 0 of 90"),
        (lambda timbre: timbre[:3, 1:], "expected rows of 90 numbers, got 3 of 89"),
    ],
)
def test_numbers_in_another_order_or_of_another_width_are_refused(change, message):
    timbre = covariances(100)
    with pytest.raises(InputError, match=message):
        check_layout(change(timbre), tolerated=0.02)
    if change is negative:
        assert len(check_layout(timbre, tolerated=0.03)) == 3


# -- lists of tracks -----------------------------------------------------------------------------


def test_both_forms_of_list_give_tracks(tmp_path):
    songs = write(tmp_path / "u.txt", [f"{track_id(1)}<SEP>SO1<SEP>Björk<SEP>Undo, (Live)"])
    years = write(tmp_path / "y.txt", [f"2001<SEP>{track_id(1)}<SEP>Björk<SEP>Undo, (Live)"])
    faults = Faults()
    track = Track(track_id(1), "Undo, (Live)", "Björk")
    assert list(read_tracks(songs, faults)) == [track]
    assert list(read_tracks(years, faults)) == [replace(track, year=2001)]
    assert track.group == "Björk"
    assert faults.counts == {}


def test_bad_rows_of_a_list_are_counted_with_their_line_and_the_rest_is_read(tmp_path):
    lines = [
        b"no list has this",
        f"{track_id(1)}<SEP>SO<SEP>a<SEP>one".encode(),
        f"{track_id(2)}<SEP>SO<SEP>a<SEP>two<SEP>too".encode(),
        f"{track_id(2)}<SEP>SO<SEP>a".encode(),
        b"TR2<SEP>SO<SEP>a<SEP>short id",
        f"{track_id(1)}<SEP>SO<SEP>a<SEP>one again".encode(),
        f"{track_id(3)}<SEP>SO<SEP>a<SEP> ".encode(),
        f"{track_id(4)}<SEP>SO<SEP>a<SEP>d\xe9j\xe0".encode("latin-1"),
        f"{track_id(5)}<SEP>SO<SEP>a<SEP>nul\0".encode(),
    ]
    path = tmp_path / "u.txt"
    path.write_bytes(b"\n".join(lines))
    faults = Faults()
    tracks = list(read_tracks(path, faults))
    assert [(track.id, track.title) for track in tracks] == [
        (track_id(1), "one"),
        (track_id(3), " "),
        (track_id(4), "déjà"),
    ]
    assert {(fault.row, fault.kind, fault.kept) for fault in faults.examples} == {
        (1, "not four fields", False),
        (3, "not four fields", False),
        (4, "not four fields", False),
        (5, "not a track id", False),
        (6, "track came before", False),
        (7, "empty title", True),
        (8, "not UTF-8", True),
        (9, "NUL byte", False),
    }


def test_a_year_that_is_none_is_unknown_and_counted_and_year_0_is_just_unknown(tmp_path):
    texts = ["1999", "0", "99", "3000", "soon", "²000"]
    texts += ["2000"] * 50  # more than the kind of a list is known by
    lines = [f"{text}<SEP>{track_id(i)}<SEP>a<SEP>b" for i, text in enumerate(texts)]
    faults = Faults()
    tracks = list(read_tracks(write(tmp_path / "y.txt", lines), faults))
    assert [track.year for track in tracks] == [1999, None, None, None, None, None] + [2000] * 50
    assert [fault.row for fault in faults.examples] == [3, 4, 5, 6]
    assert (faults.counts, faults.kept) == ({"not a year": 4}, 4)


@pytest.mark.parametrize("lines", [[], ["a\tb", "c<SEP>d<SEP>e<SEP>f"]])
def test_a_file_of_another_form_is_refused(tmp_path, lines):
    with pytest.raises(InputError, match=r"x\.txt: expected rows of track<SEP>song.*got") as caught:
        list(read_tracks(write(tmp_path / "x.txt", lines), Faults()))
    assert "\n" not in str(caught.value)


# -- tracks in HDF5 ------------------------------------------------------------------------------


def write_h5(path, segments, *, number=1, year=1999, songs=1, without=""):
    about = np.zeros(songs, [("artist_name", "S64"), ("title", "S64"), ("song_id", "S32")])
    about[:] = ("Björk".encode(), "D\xe9j\xe0".encode("latin-1"), b"SO1")
    parts = {
        "metadata/songs": about,
        "musicbrainz/songs": np.full(songs, (year,), [("year", "<i4")]),
        "analysis/songs": np.full(songs, (track_id(number).encode(),), [("track_id", "S32")]),
        "analysis/segments_timbre": segments,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            if name != without:
                file[name] = values
    return path


@pytest.fixture
def segments():
    return np.random.default_rng(1).normal(size=(17, 12))


@pytest.mark.parametrize(("said", "year"), [(1999, 1999), (0, None), (-1, None), (9_999, None)])
def test_a_track_is_read_with_its_segments_and_a_year_that_is_one(tmp_path, segments, said, year):
    write_h5(tmp_path / "a.h5", segments, year=said)
    ((track, read),) = read_h5_folder(tmp_path, Faults())
    assert track == Track(track_id(1), "Déjà", "Björk", year)
    np.testing.assert_array_equal(read, segments)
    write_h5(tmp_path / "a.h5", segments[:10])
    write_h5(tmp_path / "b.h5", segments[:2])
    assert [len(read) for _, read in read_h5_folder(tmp_path, Faults())] == [10]
    assert [len(read) for _, read in read_h5_folder(tmp_path, Faults(), fewest=1)] == [10, 2]


def damaged(folder, segments):
    """One file of each kind of damage, and the kind."""
    holes = segments.copy()
    holes[3, 4] = np.nan
    write_h5(folder / "nan.h5", holes)
    write_h5(folder / "short.h5", segments[:9])
    write_h5(folder / "narrow.h5", segments[:, :11])
    write_h5(folder / "two.h5", segments, songs=2)
    write_h5(folder / "lacks.h5", segments, without="musicbrainz/songs")
    whole = write_h5(folder / "torn.h5", segments).read_bytes()
    (folder / "torn.h5").write_bytes(whole[: len(whole) // 2])
    hole = whole.index(b"HEAP")  # where HDF5 keeps the names of a group
    (folder / "hole.h5").write_bytes(whole[:hole] + b"\0" * 9 + whole[hole + 9 :])
    (folder / "page.h5").write_text("<html>moved</html>")
    return {
        "nan": "segments not finite",
        "short": "too few segments",
        "narrow": "segments not 12 wide",
        "two": "not one song",
        "lacks": "dataset missing",
        "torn": "not HDF5, or torn",
        "hole": "not HDF5, or torn",
        "page": "not HDF5, or torn",
    }


def test_a_folder_is_read_past_its_damaged_files(tmp_path, segments):
    kinds = damaged(tmp_path, segments)
    write_h5(tmp_path / "z/good.h5", segments, number=2)
    write_h5(tmp_path / "a/good.h5", segments, number=1)
    faults = Faults()
    tracks = [track.id for track, _ in read_h5_folder(tmp_path, faults)]
    assert tracks == [track_id(1), track_id(2)]
    assert {f.file.removesuffix(".h5"): f.kind for f in faults.examples} == kinds
    assert (faults.kept, faults.skipped) == (0, 8)


def test_an_archive_gives_what_its_folder_gives(tmp_path, segments):
    folder = tmp_path / "h5"
    kinds = damaged(folder, segments)
    write_h5(folder / "good.h5", segments)
    (folder / "._good.h5").write_bytes(b"what a Mac adds")
    with tarfile.open(tmp_path / "subset.tar.gz", "w:gz") as tar:
        tar.add(folder, "MillionSongSubset")
    faults = Faults()
    (track, read), *others = read_h5_archive(tmp_path / "subset.tar.gz", faults)
    assert (track.id, others) == (track_id(1), [])
    np.testing.assert_array_equal(read, segments)
    assert {f.file.removesuffix(".h5"): f.kind for f in faults.examples} == kinds


def test_a_torn_archive_gives_the_tracks_before_the_tear_and_a_fault(tmp_path):
    rng = np.random.default_rng(2)
    for number in range(5):
        write_h5(tmp_path / f"h5/{number}.h5", rng.normal(size=(200, 12)), number=number)
    archive = tmp_path / "subset.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(5):
            tar.add(tmp_path / f"h5/{number}.h5", f"{number}.h5")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 7 // 10])
    faults = Faults()
    tracks = [track.id for track, _ in read_h5_archive(archive, faults)]
    assert tracks == [track_id(0), track_id(1), track_id(2)]
    assert [(f.file, f.kind) for f in faults.examples] == [("subset.tar.gz", "archive ends early")]


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x.tar.gz").write_text("<html>moved</html>")
    for name in ("x.tar.gz", "absent.tar.gz"):
        with pytest.raises(InputError, match=rf"{name}: expected a tar archive"):
            list(read_h5_archive(tmp_path / name, Faults()))
    with pytest.raises(InputError, match="absent: expected a folder"):
        list(read_h5_folder(tmp_path / "absent", Faults()))


# -- prepared tables -----------------------------------------------------------------------------

IDS = [f"TR{letter * 16}" for letter in "ABC"]


def write_archive(folder, *, pairs=None, numbers=None, ids=IDS):
    """The archive with its list: 78 columns of 42 pairs, the second column a repeat already."""
    true = covariances(len(IDS))
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
    found = read_timbre_archive(*write_archive(tmp_path), Faults())
    assert found.covariances == covariance_order()[:42]
    assert found.numbers.shape == (3, 54)
    np.testing.assert_allclose(found.numbers, covariances(len(IDS))[:, :54], rtol=1e-5)
    assert [(t.id, t.year) for t in found.tracks] == list(zip(IDS, (1990, 1991, 1992), strict=True))
    known = covariance_order()
    pairs = [known[n % 42] if n < 42 else known[n % 42][::-1] for n in range(78)]  # either order
    found = read_timbre_archive(*write_archive(tmp_path, pairs=pairs), Faults())
    assert found.covariances == known[:42]


def changed(folder, row, column, by):
    """The archive with one number changed."""
    path, _ = write_archive(folder)
    with np.load(path) as content:
        numbers = content["X"].copy()
    numbers[row, column] += by
    return write_archive(folder, numbers=numbers)


def test_columns_of_one_pair_that_differ_and_a_list_of_other_tracks_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected columns of one pair to be equal"):
        read_timbre_archive(*changed(tmp_path, 1, 12 + 1, 1), Faults())
    with pytest.raises(InputError, match=r"tracks\.txt: expected the 3 tracks of timbre\.npz"):
        read_timbre_archive(*write_archive(tmp_path, ids=IDS[::-1]), Faults())


def test_a_track_whose_numbers_are_not_finite_is_counted_and_left_out(tmp_path):
    faults = Faults()
    found = read_timbre_archive(*changed(tmp_path, 1, 3, np.nan), faults)
    assert [track.id for track in found.tracks] == [IDS[0], IDS[2]]
    assert faults.counts == {"not finite": 1}


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 torn", None])
def test_what_is_no_archive_is_refused_in_one_line(tmp_path, content):
    numbers = None if content is not None else np.ones((3, 91), np.float32)
    path, listing = write_archive(tmp_path, numbers=numbers)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"timbre\.npz: expected an archive") as caught:
        read_timbre_archive(path, listing, Faults())
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
    found = read_uci_like(write_table(tmp_path, covariances(len(IDS))), Faults())
    assert found.covariances == covariance_order()
    np.testing.assert_allclose(found.numbers, covariances(len(IDS)), atol=1e-4)
    assert [track.year for track in found.tracks] == [None, 2, 4]


def test_a_row_without_numbers_is_left_out_and_another_order_is_refused(tmp_path):
    faults = Faults()
    found = read_uci_like(write_table(tmp_path, covariances(len(IDS)), spoilt="x"), faults)
    assert [track.id for track in found.tracks] == [IDS[0], IDS[2]]
    assert faults.counts == {"not a number": 1}
    with pytest.raises(InputError, match="expected UCI's 12 means"):
        read_uci_like(write_table(tmp_path, covariances(len(IDS))[:, ::-1]), Faults())


# -- real samples --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lengths", "counts"),
    [
        ("subset_tracks_per_year.rebuilt", (4_680, 3.24, 1.95), {}),
        ("songlist_20001", (20_001, 3.20, 1.89), {"not UTF-8": 715}),
        ("subset_unique_tracks", (10_000, 3.55, 2.27), {"empty title": 1}),
    ],
)
def test_real_titles_have_these_lengths_and_what_is_wrong_is_kept(real_data, name, lengths, counts):
    faults = Faults()
    tracks = list(read_tracks(real_data / f"msd/{name}.txt", faults))
    found = Counts.of(track.title.split() for track in tracks)
    assert (found.texts, round(found.mean, 2), round(found.deviation, 2)) == lengths
    assert faults.counts == counts
    assert faults.skipped == 0
    years = [track.year for track in tracks if track.year]
    assert (not years) or (years == sorted(years) and (years[0], years[-1]) == (1926, 2010))


def test_ninety_numbers_of_133_real_tracks_equal_the_printed_ones_to_their_five_decimals(real_data):
    with (real_data / "msd/h5_timbre90_uci_layout.csv").open(newline="") as file:
        printed = {
            row["track_id"]: (
                row["title"],
                int(row["year"]),
                [float(row[name]) for name in row if name.startswith(("avg", "cov"))],
            )
            for row in csv.DictReader(file)
        }
    faults = Faults()
    worst, tracks = 0.0, 0
    for track, segments in read_h5_folder(real_data / "msd/h5", faults, fewest=1):
        title, year, numbers = printed[track.id]
        assert (track.title, track.year) == (title, year)
        worst = max(worst, float(np.abs(timbre_of(segments) - numbers).max()))
        tracks += 1
    assert (tracks, faults.counts) == (133, {})
    assert sum(1 for _ in read_h5_folder(real_data / "msd/h5", faults)) == 132
    assert faults.counts == {"too few segments": 1}
    assert worst < 5.0001e-6  # half of the last printed place
    check_layout(np.array([numbers for *_, numbers in printed.values()]))


def test_real_rows_in_uci_s_form_pass_and_the_4680_prepared_ones_are_refused(real_data):
    years, timbre = load_uci(real_data / "msd/YearPredictionMSD_format_from_h5.txt", Faults())
    assert len(years) == 133
    assert check_layout(timbre).tolist() == []
    years, timbre = load_uci(real_data / "msd/subset_timbre90_4680.txt", Faults())
    assert len(years) == 4_680
    pattern = "got 36 columns that repeat others and 4,680 of 4,680 rows"  # 42 of 78 differ
    with pytest.raises(InputError, match=pattern):
        check_layout(timbre)


def test_the_54_real_numbers_are_those_that_hdf5_files_give(real_data):
    faults = Faults()
    table = read_timbre_archive(
        real_data / "msd/subset_timbre90_4680.npz",
        real_data / "msd/subset_timbre90_4680.tracks.txt",
        faults,
    )
    assert table.numbers.shape == (4680, 54)
    place = {track.id: row for row, track in enumerate(table.tracks)}
    order = covariance_order()
    columns = [*range(12), *(12 + order.index(pair) for pair in table.covariances)]
    compared = 0
    for track, segments in read_h5_folder(real_data / "msd/h5", Faults()):
        if track.id in place:
            ours = timbre_of(segments)[columns]
            np.testing.assert_allclose(table.numbers[place[track.id]], ours, rtol=1e-4, atol=1e-3)
            assert table.tracks[place[track.id]].title == track.title
            compared += 1
    assert compared > 100
    assert read_uci_like(real_data / "msd/h5_timbre90_uci_layout.csv", Faults()).numbers.shape == (
        279,
        90,
    )
