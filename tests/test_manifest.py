import io
import tarfile
from collections import Counter

import pytest

from songtitle.corpora import manifest
from songtitle.corpora.manifest import File, Problems, extract
from songtitle.errors import InputError


def make_tar(path, members, mode="w:gz"):
    """Members are (name, bytes) or tarfile.TarInfo."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def listed(folder):
    return manifest.describe((p for p in sorted(folder.rglob("*")) if p.is_file()), folder)


def test_reading_a_written_file_list_gives_the_list(tmp_path):
    files = [File("a/b,c.png", "0" * 64, 3), File('d"e/ø.svg', "f" * 64, 0), File("z", "1" * 64, 7)]
    manifest.write_files(files, tmp_path / "list.csv")
    assert manifest.read_files(tmp_path / "list.csv") == files
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as Windows ends lines
    assert manifest.read_files(path) == files


@pytest.mark.parametrize("text", ["", "path,size\na,1\n", "path,sha256,size\na,b,many\n"])
def test_a_file_list_that_is_none_is_refused_by_name(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text)
    if not text:
        path.unlink()
    with pytest.raises(InputError, match=r"list\.csv: expected"):
        manifest.read_files(path)


def test_verify_lists_missing_and_corrupt_files_by_path(tmp_path):
    for name in ("same", "gone", "longer", "other"):
        (tmp_path / name).write_bytes(b"12345")
    files = listed(tmp_path)
    assert manifest.verify(files, tmp_path) == Problems([], [])
    (tmp_path / "gone").unlink()
    (tmp_path / "longer").write_bytes(b"123456")
    (tmp_path / "other").write_bytes(b"12346")
    assert manifest.verify(files, tmp_path) == Problems(["gone"], ["longer", "other"])
    assert manifest.verify(files, tmp_path, quick=True) == Problems(["gone"], ["longer"])


def test_the_data_home_is_made_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "a" / "b"))
    assert manifest.data_home() == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_data_home_that_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match=r"data home .*below: expected .*; set SONGTITLE_DATA"):
        manifest.data_home()


@pytest.mark.parametrize("name", ["stamps", "tunes", "efficientnet_lite0"])
def test_every_source_in_a_package_is_listed(name):
    files = manifest.listed(name)
    assert len({f.path for f in files}) == len(files) > 0
    assert all(len(f.sha256) == 64 and f.size > 0 and "\\" not in f.path for f in files)


def test_the_lists_hash_changes_with_any_listed_file(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "manifest_folder", lambda: tmp_path)
    hashes = set()
    for file in (File("a", "0" * 64, 3), File("a", "1" * 64, 3), File("b", "0" * 64, 3)):
        manifest.write_files([file], tmp_path / "x.csv")
        hashes.add(manifest.lists_hash("x"))
    assert len(hashes) == 3


def test_a_package_that_is_not_installed_is_refused_by_name():
    with pytest.raises(InputError, match=r"package no_such_package: .*requirements"):
        manifest.package_folder("no_such_package")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_extract_writes_the_chosen_members_where_they_are_sent(tmp_path, mode):
    archive = make_tar(tmp_path / "x.tar", [("./r/a/1", b"one"), ("./r/2", b"two")], mode)
    folder = tmp_path / "out"

    def below(name):
        return name.removeprefix("./r/") if name.endswith("1") else None

    assert extract(archive, folder, below) == ["a/1"]
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["1"]
    assert (folder / "a" / "1").read_bytes() == b"one"


GROUPS = [f"g{i % 41}" for i in range(211)] + ["big"] * 13
FRACTIONS = {"train": 0.7, "valid": 0.2, "test": 0.1}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_on_one_side_and_each_split_holds_nearly_its_fraction(seed):
    split = manifest.split_by_group(GROUPS, FRACTIONS, seed=seed)
    assert len(split) == len(GROUPS)
    assert len(set(zip(GROUPS, split, strict=True))) == len(set(GROUPS))
    for name, fraction in FRACTIONS.items():
        assert abs(split.count(name) - fraction * len(GROUPS)) <= 13


def test_the_order_of_the_items_does_not_move_them_and_another_seed_does():
    one = dict(zip(GROUPS, manifest.split_by_group(GROUPS, FRACTIONS, seed=3), strict=True))
    back = GROUPS[::-1]
    assert one == dict(zip(back, manifest.split_by_group(back, FRACTIONS, seed=3), strict=True))
    splits = {tuple(manifest.split_by_group(GROUPS, FRACTIONS, seed=s)) for s in range(5)}
    assert len(splits) == 5


def test_the_smaller_splits_hold_many_groups_and_no_large_one_while_small_ones_suffice():
    groups = [f"g{i % 60}" for i in range(300)] + ["letters"] * 158 + ["birds"] * 40
    fractions = {"train": 0.8, "valid": 0.1, "test": 0.1}
    for seed in range(20):
        split = manifest.split_by_group(groups, fractions, seed=seed)
        for name in ("valid", "test"):
            sizes = Counter(g for g, side in zip(groups, split, strict=True) if side == name)
            assert abs(sizes.total() - 0.1 * len(groups)) <= 5
            assert max(sizes.values()) <= 5


@pytest.mark.parametrize("groups", [["one"] * 30, ["one"] * 30 + ["two"] * 30, []])
def test_a_split_that_stays_empty_is_refused_with_what_to_do(groups):
    with pytest.raises(InputError, match=r"split \w+: expected groups that fit .*; take more"):
        manifest.split_by_group(groups, FRACTIONS, seed=0)


def test_fractions_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError, match=r"fractions: expected .* sum to 1, got"):
        manifest.split_by_group(["a"], {"train": 0.7, "test": 0.2}, seed=0)


def test_a_string_is_no_list_of_groups():
    with pytest.raises(TypeError, match="list of group names"):
        manifest.split_by_group("abc", {"train": 1.0}, seed=0)
