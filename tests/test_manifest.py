import hashlib
import io
import tarfile
from collections import Counter

import pytest

from songtitle.corpora import manifest, sources
from songtitle.corpora.archives import extract
from songtitle.corpora.manifest import File, Problems
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


def listed(folder):
    return manifest.describe((p for p in sorted(folder.rglob("*")) if p.is_file()), folder)


def test_reading_a_written_file_list_gives_the_list(tmp_path):
    files = [File("a/b,c.png", "0" * 64, 3), File('d"e/ø.svg', "f" * 64, 0), File("z", "1" * 64, 7)]
    manifest.write_files(files, tmp_path / "list.csv")
    assert manifest.read_files(tmp_path / "list.csv") == files
    assert [p.name for p in tmp_path.iterdir()] == ["list.csv"]


def test_a_file_list_with_windows_line_endings_reads_the_same(tmp_path):
    files = [File("a", "0" * 64, 3), File("b", "1" * 64, 5)]
    manifest.write_files(files, tmp_path / "list.csv")
    path = tmp_path / "list.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
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


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert manifest.sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


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
def test_every_source_is_described_and_listed(name):
    source = sources.read_source(name)
    assert source.name == name
    assert all(address.startswith("https://") for address in source.addresses)
    assert all(column.meaning for column in source.columns.values())
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


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"source 'stumps': expected one of .*stamps, .*tunes"):
        sources.read_source("stumps")


def test_a_source_with_a_misspelt_key_is_refused(tmp_path):
    (tmp_path / "x.toml").write_text('title = "x"\nversion = "1"\nlicense = "MIT"\n')
    with pytest.raises(
        InputError,
        match=r"licence: expected a value, got none.* license: expected no such key, got 'MIT'",
    ):
        sources.read_source("x", tmp_path)


WHOLE = """
title = "T"
version = "1"
licence = "MIT"
citation = "C"
description = "D"
folder = "shared"
columns.a = { type = "string", unit = "none", meaning = "x" }
[[files]]
path = "sub/a.gz"
size = 7
sha1 = "0F0ACE23FBE9BA30ECB7E95F763E435EA802B8AB"
addresses = ["https://example.org/a.gz", "http://127.0.0.1:8000/a.gz"]
unpack = "gz"
[[files]]
path = "b-f37072fd.pth"
sha256_starts = "f37072fd"
addresses = ["https://example.org/b"]
"""


def test_a_source_names_its_downloads(tmp_path):
    (tmp_path / "x.toml").write_text(WHOLE)
    source = sources.read_source("x", tmp_path)
    assert source.folder == "shared"
    assert source.files == (
        sources.Download(
            path="sub/a.gz",
            size=7,
            sha1="0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab",
            addresses=("https://example.org/a.gz", "http://127.0.0.1:8000/a.gz"),
            unpack="gz",
        ),
        sources.Download(
            path="b-f37072fd.pth",
            sha256_starts="f37072fd",
            addresses=("https://example.org/b",),
        ),
    )
    checksums = [file.checksum for file in source.files]
    assert checksums == [f"sha1:{source.files[0].sha1}", "sha256_starts:f37072fd"]


def test_the_folder_of_a_source_is_its_name_unless_said_otherwise(tmp_path):
    (tmp_path / "x.toml").write_text(WHOLE.replace('folder = "shared"\n', ""))
    assert sources.read_source("x", tmp_path).folder == "x"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "T"', "title = 3", "title: expected a valid string, got 3"),
        ('"shared"', '"../up"', "folder: expected a relative path that stays inside"),
        (
            'meaning = "x"',
            'means = "x"',
            r"columns.a.meaning: expected a value, got none; columns.a.means: expected no such",
        ),
        ('"sub/a.gz"', '"/etc/a.gz"', r"files\[0\].path: expected a relative path"),
        ('"sub/a.gz"', '"sub/../../a.gz"', r"files\[0\].path: expected a relative path"),
        ('"sub/a.gz"', "'sub\\a.gz'", r"files\[0\].path: expected a relative path"),
        ('"sub/a.gz"', '".a.gz"', r"files\[0\].path: expected a relative path"),
        ('"sub/a.gz"', '"sub/a.txt"', r"files\[0\]: expected a path with the ending .gz"),
        ('"b-f37072fd.pth"', '"sub/a.gz"', "files: expected each path once, got"),
        ("size = 7", "size = 0", r"files\[0\].size: expected greater than 0, got 0"),
        ("size = 7", 'size = "7"', r"files\[0\].size: expected a valid integer, got '7'"),
        ("size = 7", "size = true", r"files\[0\].size: expected a valid integer, got True"),
        ("size = 7", "length = 7", r"files\[0\].length: expected no such key, got 7"),
        ("sha1 = ", "md5 = ", r"files\[0\].md5: expected 32 hexadecimal digits"),
        (
            "sha1 = ",
            f'md5 = "{"0" * 32}"\nsha1 = ',
            r"files\[0\]: expected one checksum at most",
        ),
        ('"f37072fd"', '"f370g"', r"files\[1\].sha256_starts: expected 6 to 64 hexadecimal"),
        (
            'unpack = "gz"',
            'unpack = "rar"',
            r"files\[0\].unpack: expected 'zip', 'tar' or 'gz', got 'rar'",
        ),
        ('["https://example.org/b"]', "[]", r"files\[1\].addresses: expected at least one"),
        ('["https://example.org/b"]', '"x"', r"files\[1\].addresses: expected a valid tuple"),
        (
            "https://example.org/b",
            "http://example.org/b",
            r"files\[1\].addresses\[0\]: expected https",
        ),
        ("https://example.org/b", "file:///etc/b", r"files\[1\].addresses\[0\]: expected an https"),
        ("https://example.org/b", "https:///b", r"files\[1\].addresses\[0\]: expected an https"),
        (
            "https://example.org/b",
            "https://a:b/",
            r"files\[1\].addresses\[0\]: expected an address",
        ),
        ("[[files]]", "[[files]", "expected TOML, got"),
    ],
)
def test_a_malformed_source_is_refused_naming_file_and_key(tmp_path, old, new, message):
    assert old in WHOLE
    (tmp_path / "x.toml").write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"x\.toml: {message}") as caught:
        sources.read_source("x", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sources.names())
def test_every_source_of_the_manifest_can_be_read(name):
    source = sources.read_source(name)
    assert source.name == name
    assert source.licence
    assert source.citation
    assert source.columns
    assert source.files or source.package


def test_a_toml_that_describes_no_source_is_none(tmp_path):
    (tmp_path / "x.toml").write_text(WHOLE)
    (tmp_path / "y.toml").write_text('[[number]]\nid = "z"\n')
    assert sources.names(tmp_path) == ["x"]
    assert "claims" not in sources.names()


@pytest.mark.parametrize("name", ["../x", "sub/x", "", "."])
def test_a_source_is_a_name_and_no_path(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "x.toml").write_text(WHOLE)
    (tmp_path / "sub" / "x.toml").write_text(WHOLE)
    with pytest.raises(InputError, match="expected one of x;"):
        sources.read_source(name, tmp_path if name != "../x" else tmp_path / "sub" / "..")


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("10.0.0.1", False), ("a", False)],
)
def test_this_machine_is_known_by_its_loopback_names(host, local):
    assert sources.is_local(host) is local


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_extract_writes_the_chosen_members_where_they_are_sent(tmp_path, mode):
    archive = make_tar(tmp_path / "x.tar", [("./r/a/1", b"one"), ("./r/2", b"two")], mode)
    folder = tmp_path / "out"

    def below(name):
        return name.removeprefix("./r/") if name.endswith("1") else None

    assert extract(archive, folder, below) == ["a/1"]
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["1"]
    assert (folder / "a" / "1").read_bytes() == b"one"


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"x")],
        [("a/../../evil", b"x")],
        [("/tmp/songtitle-evil", b"x")],
        [("..\\evil", b"x")],
        [("C:evil", b"x")],
        [("\\evil", b"x")],
        [link("out", ".."), ("out/evil", b"x")],
        [link("evil", "../secret")],
        [link("evil", "../secret", tarfile.LNKTYPE)],
        [link("evil", "", tarfile.FIFOTYPE)],
    ],
)
def test_no_archive_member_escapes_its_folder(tmp_path, members):
    (tmp_path / "secret").write_text("secret")
    archive = make_tar(tmp_path / "x.tar", members)
    before = sorted(tmp_path.iterdir())
    folder = tmp_path / "deep"
    folder.mkdir()
    with pytest.raises(InputError, match=r"x\.tar: expected plain files that stay inside"):
        extract(archive, folder)
    assert list(folder.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == sorted([*before, folder])


@pytest.mark.parametrize("cut", [0, 20, 700])
def test_a_truncated_archive_is_refused_by_name(tmp_path, cut):
    archive = make_tar(tmp_path / "x.tar.gz", [("a", bytes(range(256)) * 400)])
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"x\.tar\.gz: expected a whole tar archive"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()


GROUPS = [f"g{i % 41}" for i in range(211)] + ["big"] * 13
FRACTIONS = {"train": 0.7, "valid": 0.2, "test": 0.1}


def test_a_group_stays_on_one_side_of_a_split():
    split = manifest.split_by_group(GROUPS, FRACTIONS, seed=0)
    assert len(split) == len(GROUPS)
    assert len(set(zip(GROUPS, split, strict=True))) == len(set(GROUPS))


def test_each_split_holds_nearly_its_fraction_of_the_items():
    for seed in range(11):
        held = Counter(manifest.split_by_group(GROUPS, FRACTIONS, seed=seed))
        for name, fraction in FRACTIONS.items():
            assert abs(held[name] - fraction * len(GROUPS)) <= 13


def test_the_order_of_the_items_does_not_move_them():
    one = dict(zip(GROUPS, manifest.split_by_group(GROUPS, FRACTIONS, seed=3), strict=True))
    back = GROUPS[::-1]
    assert one == dict(zip(back, manifest.split_by_group(back, FRACTIONS, seed=3), strict=True))


def test_another_seed_splits_otherwise():
    splits = {tuple(manifest.split_by_group(GROUPS, FRACTIONS, seed=s)) for s in range(5)}
    assert len(splits) == 5


def test_fractions_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError, match=r"fractions: expected .* sum to 1, got"):
        manifest.split_by_group(["a"], {"train": 0.7, "test": 0.2}, seed=0)


def test_a_string_is_no_list_of_groups():
    with pytest.raises(TypeError, match="list of group names"):
        manifest.split_by_group("abc", {"train": 1.0}, seed=0)
