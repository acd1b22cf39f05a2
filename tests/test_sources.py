"""The sources' descriptions and the README beside them: laws of the files and of their reading."""

import csv
import hashlib
import re
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from songtitle.corpora import inventory, manifest
from songtitle.errors import InputError

MANIFEST = Path(__file__).resolve().parents[1] / "data_manifest"
OTHERS = (
    "assumptions",
    "census",
    "claims",
    "corpora",
    "presets",
    "reforms",
)  # tables that describe no source
README = (MANIFEST / "README.md").read_text(encoding="utf-8")
NAMES = sorted(p.stem for p in MANIFEST.glob("*.toml") if p.stem not in OTHERS)
TABLES = {
    name: tomllib.loads((MANIFEST / f"{name}.toml").read_text(encoding="utf-8")) for name in NAMES
}
FILES = [(name, file) for name in NAMES for file in TABLES[name].get("files", [])]

SOURCE_KEYS = manifest.Source.model_fields.keys() - {"name"}
FILE_KEYS = manifest.Download.model_fields.keys()
SHARDS = {"cc3m_wds"}  # read as the tar files that they are
CHECKSUMS = ("sha256", "sha1", "md5", "sha256_starts")
TYPES = {"string", "path", "integer", "float", "array"}

SAMPLES = [  # source and file, as they lie among the samples of the paper's corpora
    *(f"audiocaps/{split}.csv" for split in ("train", "val", "test")),
    "nltk_data/corpora/words.zip",
    "nltk_data/taggers/averaged_perceptron_tagger_eng.zip",
]


def checksums(file):
    return [key for key in CHECKSUMS if key in file]


def place(name, file):
    """Where a file lies below the data home."""
    return f"{TABLES[name].get('folder', name)}/{file['path']}"


def numbered(line):
    """The paths of a line of the README: one for each number of {0000..0015}."""
    start, first, last, end = re.fullmatch(r"(.*?)(?:\{(\d+)\.\.(\d+)\}(.*))?", line).groups()
    if first is None:
        return [line]
    return [f"{start}{i:0{len(first)}d}{end}" for i in range(int(first), int(last) + 1)]


def section(title):
    """The part of the README under a heading."""
    return re.split(r"^## ", README.split(f"## {title}\n")[1], flags=re.M)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_source_says_what_it_is_where_it_is_had_and_what_its_columns_hold(name):
    table = TABLES[name]
    for key in ("title", "version", "licence", "citation", "description"):
        assert re.search(r"\w", table[key])
    assert table.keys() & {"package", "packages", "addresses", "files"}
    assert table["columns"]
    for column, entry in table["columns"].items():
        assert entry.keys() == {"type", "unit", "meaning"}, column
        assert entry["type"] in TYPES, column
        assert entry["unit"].strip(), column
        assert entry["meaning"].strip(), column
    endings = {"zip": (".zip",), "tar": (".tar", ".tar.gz", ".tgz")}
    for file in table.get("files", []):
        packed = file["path"].endswith((".zip", ".tar", ".gz", ".tgz"))
        unpack = file.get("unpack")
        assert file["path"].endswith(endings[unpack]) if unpack else packed == (name in SHARDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_address_is_https_on_a_named_host_and_given_once(name):
    addresses = [a for file in TABLES[name].get("files", []) for a in file["addresses"]]
    addresses += TABLES[name].get("addresses", [])
    for address in addresses:
        parts = urlsplit(address)
        assert parts.scheme == "https"
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc)
        assert parts.path.strip("/")
    assert [a for a, times in Counter(addresses).items() if times > 1] == []


def test_no_two_sources_write_the_same_path():
    places = Counter(place(name, file).casefold() for name, file in FILES)
    assert [path for path, times in places.items() if times > 1] == []


def test_ready_made_shards_are_all_there_each_from_one_unchanging_commit():
    files = TABLES["cc3m_wds"]["files"]
    parts = {"train": 576, "validation": 16}
    names = [f"cc3m-{split}-{i:04d}.tar" for split, count in parts.items() for i in range(count)]
    assert [file["path"] for file in files] == names
    (folder,) = {file["addresses"][0].removesuffix(file["path"]) for file in files}
    assert re.fullmatch(r"https://.+/resolve/[0-9a-f]{40}/", folder)


def test_a_plan_of_shards_names_each_and_says_that_no_size_is_published(tmp_path):
    files = TABLES["cc3m_wds"]["files"]
    _, *rows, total = inventory.plan(["cc3m_wds"], tmp_path).splitlines()
    shown = [row.split()[1:4] for row in rows]
    assert shown == [[file["path"], "not", "published"] for file in files]
    assert f"{len(files)} of unpublished size" in total


def test_weights_named_after_their_checksum_begin_with_it():
    for file in TABLES["torchvision_weights"]["files"]:
        (kind,) = checksums(file)
        in_name = re.fullmatch(r"resnet\d+-([0-9a-f]{8})\.pth", file["path"])[1]
        assert file[kind].startswith(in_name)
        assert file["addresses"][0].endswith("/" + file["path"])


def test_weights_are_there_for_every_name_that_torchvision_gives():
    models = pytest.importorskip("torchvision").models
    given = {
        weights.url
        for depth in (18, 34, 50, 101, 152)
        for weights in models.get_model_weights(f"resnet{depth}")
    }
    files = TABLES["torchvision_weights"]["files"]
    assert {address for file in files for address in file["addresses"]} == given


def test_the_year_table_has_a_year_12_means_and_78_covariances_by_diagonals():
    columns = list(TABLES["million_song_years"]["columns"])
    assert columns[:13] == ["year", *(f"mean_{i}" for i in range(12))]
    pairs = [tuple(map(int, column.split("_")[1:])) for column in columns[13:]]
    assert all(column.startswith("cov_") for column in columns[13:])
    assert len(set(pairs)) == len(pairs) == 78
    offsets = [(j - i, i) for i, j in pairs]
    assert all(a < b for a, b in pairwise(offsets))
    assert {k for k, _ in offsets} == set(range(12))


def test_the_readme_has_a_line_for_every_source_and_for_nothing_else():
    rows = re.findall(r"^\| `(\w+)` \|", README.split("## ")[0], flags=re.M)
    assert sorted(rows) == NAMES


def test_the_readme_lists_exactly_the_files_without_a_checksum_and_their_sources():
    lines = re.findall(r"^- `([^`]+)`$", section("Which checksum, and how it is known"), re.M)
    listed = [path for line in lines for path in numbered(line)]
    without = {place(name, file): name for name, file in FILES if not checksums(file)}
    assert listed == sorted(without)
    rows = re.findall(r"^\| `(\w+)` \|.*\| first fetch \|", README, flags=re.M)
    assert set(rows) == set(without.values())


def test_the_readme_explains_every_key_and_every_kind_of_column():
    explained = section("`NAME.toml`: what the source is")
    for word in SOURCE_KEYS | FILE_KEYS | TYPES:
        assert f"`{word}`" in explained, word


@pytest.mark.parametrize("path", SAMPLES)
def test_a_real_file_has_the_size_and_the_checksum_that_are_written_down(real_data, path):
    name, _, inside = path.partition("/")
    (file,) = [f for f in TABLES[name]["files"] if f["path"] == inside]
    content = (real_data / path).read_bytes()
    assert len(content) == file["size"]
    assert hashlib.sha256(content).hexdigest() == file["sha256"]


def test_the_columns_of_real_caption_tables_are_those_that_are_written_down(real_data):
    with (real_data / "audiocaps/val.csv").open(encoding="utf-8", newline="") as lines:
        assert next(csv.reader(lines)) == list(TABLES["audiocaps"]["columns"])
    pairs = real_data / "conceptual_captions/Validation_GCC-1.1.0-Validation.tsv"
    with pairs.open(encoding="utf-8") as lines:
        assert len(next(lines).split("\t")) == len(TABLES["conceptual_captions"]["columns"])


def test_the_columns_of_the_real_track_table_are_under_the_headers_that_are_written_down(real_data):
    with (real_data / "fma/tracks_excerpt.csv").open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        headers = {".".join(pair) for pair in zip(next(rows), next(rows), strict=True)}
        index = next(rows)[0]
    written = TABLES["fma_metadata"]["columns"]
    assert {column for column in written if "." in column} <= headers
    assert index in written


def test_the_fields_of_a_real_track_file_are_where_they_are_written_down(real_data):
    h5py = pytest.importorskip("h5py")
    path = next(iter(sorted((real_data / "msd/h5").rglob("*.h5"))))
    with h5py.File(path) as file:
        for column in TABLES["million_song_subset"]["columns"]:
            group, _, field = column.rpartition("/")
            assert column in file or field in file[group].dtype.names, column


# ------------------------------------------------------------------------------------ read


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"source 'stumps': expected one of .*stamps, .*tunes"):
        manifest.read_source("stumps")


WHOLE = """
title = "T"
version = "1"
licence = "MIT"
citation = "C"
description = "D"
folder = "shared"
columns.a = { type = "string", unit = "none", meaning = "x" }
[[files]]
path = "sub/a.tar.gz"
size = 7
sha1 = "0F0ACE23FBE9BA30ECB7E95F763E435EA802B8AB"
addresses = ["https://example.org/a.tar.gz", "http://127.0.0.1:8000/a.tar.gz"]
unpack = "tar"
[[files]]
path = "b-f37072fd.pth"
sha256_starts = "f37072fd"
addresses = ["https://example.org/b"]
"""


def test_a_source_names_its_downloads(tmp_path):
    (tmp_path / "x.toml").write_text(WHOLE)
    source = manifest.read_source("x", tmp_path)
    assert source.folder == "shared"
    (tmp_path / "y.toml").write_text(WHOLE.replace('folder = "shared"\n', ""))
    assert manifest.read_source("y", tmp_path).folder == "y"
    assert source.files == (
        manifest.Download(
            path="sub/a.tar.gz",
            size=7,
            sha1="0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab",
            addresses=("https://example.org/a.tar.gz", "http://127.0.0.1:8000/a.tar.gz"),
            unpack="tar",
        ),
        manifest.Download(
            path="b-f37072fd.pth",
            sha256_starts="f37072fd",
            addresses=("https://example.org/b",),
        ),
    )
    checksums = [file.checksum for file in source.files]
    assert checksums == [f"sha1:{source.files[0].sha1}", "sha256_starts:f37072fd"]


PATH, DIGITS = "expected a relative path that stays inside", "expected what matches"
ADDRESS = r"files\[1\].addresses\[0\]: expected an https address"
B, SHARED, GZ = "https://example.org/b", '"shared"', '"sub/a.tar.gz"'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "T"', "title = 3", "title: expected a valid string, got 3"),
        (
            "licence",
            "license",
            "licence: expected a value.* license: expected no such key, got",
        ),
        (
            'meaning = "x"',
            'means = "x"',
            "columns.a.means.*: expected 'type', 'unit' or",
        ),
        (SHARED, '"../up"', f"folder: {PATH}"),
        (GZ, '"/etc/a.gz"', rf"files\[0\].path: {PATH}"),
        (GZ, '"sub/../../a.gz"', rf"files\[0\].path: {PATH}"),
        (GZ, "'sub\\a.gz'", rf"files\[0\].path: {PATH}"),
        (GZ, '".a.gz"', rf"files\[0\].path: {PATH}"),
        ('"b-f37072fd.pth"', GZ, "files: expected each path once, got"),
        ("size = 7", "size = 0", r"files\[0\].size: expected greater than 0, got 0"),
        ("size = 7", 'size = "7"', r"files\[0\].size: expected a valid integer, got '7'"),
        ("size = 7", "size = true", r"files\[0\].size: expected a valid integer, got True"),
        ("size = 7", "length = 7", r"files\[0\].length: expected no such key, got 7"),
        ("sha1 = ", "md5 = ", rf"files\[0\].md5: {DIGITS} .*32"),
        ("sha1 = ", f'md5 = "{"0" * 32}"\nsha1 = ', r"files\[0\]: expected one checksum at most"),
        ('"f37072fd"', '"f370g"', rf"files\[1\].sha256_starts: {DIGITS}"),
        ('"tar"', '"rar"', r"files\[0\].unpack: expected 'zip' or 'tar', got 'rar'"),
        (f'["{B}"]', "[]", r"files\[1\].addresses: expected at least one"),
        (f'["{B}"]', '"x"', r"files\[1\].addresses: expected a valid tuple"),
        *((B, wrong, ADDRESS) for wrong in ("http://example.org/b", "file:///etc/b")),
        *((B, wrong, ADDRESS) for wrong in ("https:///b", "https://a:b/", "http://127.0.0.1@x/")),
        ("[[files]]", "[[files]", "expected TOML, got"),
    ],
)
def test_a_malformed_source_is_refused_naming_file_and_key(tmp_path, old, new, message):
    assert old in WHOLE
    (tmp_path / "x.toml").write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"x\.toml: {message}") as caught:
        manifest.read_source("x", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", manifest.source_names())
def test_every_source_of_the_manifest_can_be_read(name):
    source = manifest.read_source(name)
    assert source.name == name
    assert source.licence
    assert source.citation
    assert source.columns
    assert source.files or source.package or source.packages


def test_a_toml_that_describes_no_source_is_none(tmp_path):
    (tmp_path / "x.toml").write_text(WHOLE)
    (tmp_path / "y.toml").write_text('[[number]]\nid = "z"\n')
    assert manifest.source_names(tmp_path) == ["x"]
    assert "claims" not in manifest.source_names()


@pytest.mark.parametrize("name", ["../x", "sub/x", "", "."])
def test_a_source_is_a_name_and_no_path(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "x.toml").write_text(WHOLE)
    (tmp_path / "sub" / "x.toml").write_text(WHOLE)
    with pytest.raises(InputError, match="expected one of x;"):
        manifest.read_source(name, tmp_path if name != "../x" else tmp_path / "sub" / "..")
