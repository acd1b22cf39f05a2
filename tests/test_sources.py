"""The sources' descriptions and the README beside them, read as they stand: laws of the files."""

import csv
import hashlib
import re
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

MANIFEST = Path(__file__).resolve().parents[1] / "data_manifest"
README = (MANIFEST / "README.md").read_text(encoding="utf-8")
NAMES = sorted(p.stem for p in MANIFEST.glob("*.toml") if p.stem != "claims")
TABLES = {
    name: tomllib.loads((MANIFEST / f"{name}.toml").read_text(encoding="utf-8")) for name in NAMES
}
FILES = [(name, file) for name in NAMES for file in TABLES[name].get("files", [])]
FILE_IDS = [f"{name}/{file['path']}" for name, file in FILES]

REQUIRED = {"title", "version", "licence", "citation", "description", "columns"}
OPTIONAL = {"package", "addresses", "folder", "files"}
FILE_KEYS = {"path", "size", "addresses", "unpack"}
CHECKSUMS = {"sha256": 64, "sha1": 40, "md5": 32}  # hexadecimal digits
TYPES = {"string", "path", "integer", "float", "array"}

# Source, file and the place of the same bytes among the samples of the paper's corpora.
SAMPLES = [
    ("audiocaps", "train.csv", "audiocaps/train.csv"),
    ("audiocaps", "val.csv", "audiocaps/val.csv"),
    ("audiocaps", "test.csv", "audiocaps/test.csv"),
    ("nltk_data", "corpora/words.zip", "nltk_data/corpora/words.zip"),
    (
        "nltk_data",
        "taggers/averaged_perceptron_tagger_eng.zip",
        "nltk_data/taggers/averaged_perceptron_tagger_eng.zip",
    ),
]


def checksums(file):
    return [key for key in (*CHECKSUMS, "sha256_starts") if key in file]


def place(name, file):
    """Where a file lies below the data home."""
    return f"{TABLES[name].get('folder', name)}/{file['path']}"


def section(title):
    """The part of the README under a heading."""
    return re.split(r"^## ", README.split(f"## {title}\n")[1], flags=re.M)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", sorted(REQUIRED - {"columns"}))
def test_title_version_licence_citation_and_description_say_something(name, key):
    value = TABLES[name][key]
    assert isinstance(value, str)
    assert re.search(r"\w", value)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_can_be_had_from_somewhere(name):
    assert TABLES[name].keys() & {"package", "addresses", "files"}


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_a_type_of_the_small_set_a_unit_and_a_meaning(name):
    assert TABLES[name]["columns"]
    for column, entry in TABLES[name]["columns"].items():
        assert entry.keys() == {"type", "unit", "meaning"}, column
        assert entry["type"] in TYPES, column
        assert entry["unit"].strip(), column
        assert entry["meaning"].strip(), column


@pytest.mark.parametrize(("name", "file"), FILES, ids=FILE_IDS)
def test_what_is_to_be_unpacked_ends_as_such_archives_do(name, file):
    endings = {"zip": (".zip",), "tar": (".tar", ".tar.gz", ".tgz"), "gz": (".gz",)}
    if "unpack" in file:
        assert file["path"].endswith(endings[file["unpack"]])
    else:
        assert not file["path"].endswith((".zip", ".tar", ".gz", ".tgz"))


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


def test_the_readme_lists_exactly_the_files_without_a_checksum():
    listed = re.findall(r"^- `([^`]+)`$", section("Which checksum, and how it is known"), re.M)
    assert listed == sorted(listed)
    assert set(listed) == {place(name, file) for name, file in FILES if not checksums(file)}


def test_a_source_is_said_to_be_held_from_its_first_fetch_where_a_checksum_is_missing():
    rows = re.findall(r"^\| `(\w+)` \|.*\| first fetch \|", README, flags=re.M)
    assert set(rows) == {name for name, file in FILES if not checksums(file)}


def test_the_readme_explains_every_key_and_every_kind_of_column():
    explained = section("`NAME.toml`: what the source is")
    for word in REQUIRED | OPTIONAL | FILE_KEYS | CHECKSUMS.keys() | {"sha256_starts"} | TYPES:
        assert f"`{word}`" in explained, word


@pytest.mark.parametrize(("name", "path", "sample"), SAMPLES, ids=[s[2] for s in SAMPLES])
def test_a_real_file_has_the_size_and_the_checksum_that_are_written_down(
    real_data, name, path, sample
):
    (file,) = [f for f in TABLES[name]["files"] if f["path"] == path]
    content = (real_data / sample).read_bytes()
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
