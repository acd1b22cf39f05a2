"""Recordings: fetched from packages, each held to its checksum, and nothing left out in silence."""

import csv
import hashlib
import io
import shutil
import subprocess
import zipfile

import pytest

from songtitle.corpora import debian, manifest, recordings
from songtitle.corpora.manifest import File, Package
from songtitle.errors import InputError
from songtitle.sound import opened

PACKAGE = Package(name="tiny-music", version="1-2", size=1)
PIECES = {
    "usr/share/music/one.ogg": b"first",
    "usr/share/music/two.ogg": b"second",
    "usr/data/music.pk3!sound/three.ogg": b"third",
}


def listed(content):
    return [
        File(f"tiny-music/{path}", hashlib.sha256(data).hexdigest(), len(data))
        for path, data in content.items()
    ]


@pytest.fixture(autouse=True)
def three_listed(monkeypatch):
    monkeypatch.setattr(recordings, "_files", lambda: listed(PIECES))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package of some pieces, and have apt give it for the names that it knows."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("needs dpkg-deb")
    asked = []

    def make(content, known=("tiny-music=1-2*", "tiny-music")):
        root = tmp_path / "package"
        shutil.rmtree(root, ignore_errors=True)
        for path, data in (content | {"usr/share/music/other.ogg": b"not listed"}).items():
            outer, _, inner = path.partition("!")
            target = root / outer
            target.parent.mkdir(parents=True, exist_ok=True)
            if inner:
                packed = io.BytesIO()
                with zipfile.ZipFile(packed, "w") as file:
                    file.writestr(inner, data)
                    file.writestr("sound/unlisted.ogg", b"not listed")
                data = packed.getvalue()
            target.write_bytes(data)
        (root / "DEBIAN").mkdir()
        fields = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\n"
        (root / "DEBIAN/control").write_text(fields + "Description: x\n")
        archive = tmp_path / "tiny-music_1-2_all.deb"
        command = ["dpkg-deb", "-Znone", "--build", root, archive]
        subprocess.run(command, check=True, capture_output=True)

        def download(wanted, folder):
            asked.append(wanted)
            return archive if wanted in known else "apt-get download: E: not found"

        monkeypatch.setattr(debian, "download", download)
        return asked

    return make


def tree(home):
    files = (path for path in (home / "recordings").rglob("*") if path.is_file())
    return {path.relative_to(home / "recordings").as_posix(): path.read_bytes() for path in files}


WHOLE = {f"tiny-music/{path}": data for path, data in PIECES.items()}


def test_listed_recordings_come_out_of_a_package_and_of_archives_in_it_and_nothing_else(
    tmp_path, package
):
    home, asked = tmp_path / "home", package(PIECES)
    assert recordings.fetch(PACKAGE, home).endswith("fetched, 3 recordings")
    assert tree(home) == WHOLE
    assert recordings.fetch(PACKAGE, home).endswith("there already")
    assert asked == ["tiny-music=1-2*"]
    assert sorted(p.name for p in home.iterdir()) == [".tiny-music.lock", "recordings"]


def test_where_the_listed_release_is_gone_another_with_the_same_recordings_will_do(
    tmp_path, package
):
    asked = package(PIECES, known=("tiny-music",))
    recordings.fetch(PACKAGE, tmp_path / "home")
    assert asked == ["tiny-music=1-2*", "tiny-music"]
    assert tree(tmp_path / "home") == WHOLE


@pytest.mark.parametrize(
    ("changed", "came"),
    [
        ({"usr/share/music/two.ogg": b"Second"}, "has another sha256"),
        ({"usr/data/music.pk3!sound/three.ogg": None}, "is not there"),
    ],
)
def test_a_recording_that_differs_is_named_in_a_line_and_the_others_come(
    tmp_path, package, changed, came
):
    (path,) = changed
    package({name: data for name, data in (PIECES | changed).items() if data})
    with pytest.raises(InputError, match=rf"tiny-music/{path}: expected .*{came}, and 1 of 3") as e:
        recordings.fetch(PACKAGE, tmp_path / "home")
    assert "\n" not in str(e.value)
    assert tree(tmp_path / "home") == {k: v for k, v in WHOLE.items() if not k.endswith(path)}


def test_a_package_that_is_gone_and_a_system_without_apt_are_one_line_each(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="got 'no apt-get and dpkg-deb on this system'; go on"):
        recordings.fetch(PACKAGE, tmp_path)
    failed = subprocess.CompletedProcess([], 100, "", "E: Unable to locate package tiny-music\n")
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(debian.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match="got 'apt-get download: E: Unable to locate package tiny"):
        recordings.fetch(PACKAGE, tmp_path)


HEADER = "path,sha256,size,title,artist,series,licence,seconds\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("p/a.ogg,00,1,A,x,,GPL-2,3\n", r"p/a\.ogg: expected a series, got none; fill it in"),
        ("p/a.ogg,00,1,,x,x,GPL-2,3\n", r"p/a\.ogg: expected a title, got none; fill it in"),
        (
            "p/a.ogg,00,1,A,x,x,GPL-2,3\np/b.ogg,00,1,B,y,y,GPL-2,3\n",
            r"p/b\.ogg: expected another recording, got p/a\.ogg again; leave one out",
        ),
    ],
)
def test_a_recording_without_a_series_or_title_or_there_twice_is_named(tmp_path, rows, message):
    (tmp_path / "list.csv").write_text(HEADER + rows)
    with pytest.raises(InputError, match=message):
        recordings.read_list(tmp_path / "list.csv")


def test_a_recording_whose_artist_is_not_named_says_so_where_it_is_credited(tmp_path):
    (tmp_path / "list.csv").write_text(HEADER + "p/a.ogg,00,1,A,,unknown (p),GPL-2,3\n")
    (found,) = recordings.read_list(tmp_path / "list.csv")
    assert (found.credit, found.group) == ("A, artist not named (GPL-2)", "unknown (p)")


def test_each_listed_recording_is_of_one_package_and_the_quick_ones_are_120_mb_at_most(monkeypatch):
    monkeypatch.undo()
    files = [file for each in recordings.packages(every=True) for file in recordings.files_of(each)]
    assert sorted(files, key=str) == sorted(manifest.listed("recordings"), key=str)
    assert len(files) == len(recordings.read_list()) == 138
    assert sum(each.size for each in recordings.packages()) < 120e6


def test_an_artist_is_in_one_series_alone(monkeypatch):
    series = {}
    for each in recordings.read_list():
        series.setdefault(each.artist or each.series, set()).add(each.series)
    assert all(len(those) == 1 for those in series.values())


def test_all_recordings_that_are_here_can_be_read(monkeypatch):
    monkeypatch.undo()
    found = recordings.load()
    if not found:
        pytest.skip("the recordings are not fetched")
    with (manifest.manifest_folder() / "recordings.csv").open(encoding="utf-8") as lines:
        seconds = {row["path"]: float(row["seconds"]) for row in csv.DictReader(lines)}
    for recording, path in found:
        with opened(path) as file:
            assert abs(file.frames / file.samplerate - seconds[recording.id]) < 0.1
