import re
import shutil
import subprocess
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_manifest import listed, make_tar

from songtitle.corpora import manifest, stamps
from songtitle.errors import InputError

STAMPS = {
    "animals/owl.png": b"owl picture",
    "animals/owl.txt": "A wise owl.\nfr.utf8=Un hibou avisé.\n".encode(),
    "animals/owl_mirror.png": b"owl the other way",
    "food/pie.svg": b"<svg/>",
    "food/pie.txt": b"A  wise, OWL!\n",
    "food/café.png": b"both: png",
    "food/café.svg": b"both: svg",
    "food/café.txt": "Café, open.".encode(),
    "food/gift.txt": b"A gift.\n",
}


@pytest.fixture(autouse=True)
def no_archive_named(monkeypatch):
    monkeypatch.delenv(stamps.ARCHIVE_VARIABLE, raising=False)


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """The nine files in a folder, and their list in place of the real one."""
    folder = tmp_path / "collection" / "stamps"
    for path, content in STAMPS.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    files = listed(folder)
    monkeypatch.setattr(manifest, "listed", lambda _: files)
    return folder


@pytest.fixture
def archive(tmp_path, collection):
    """The release archive in small, with a sound and a data file as well."""
    extra = {"animals/owl.ogg": b"hoot", "animals/owl.dat": b"x"}
    root = "tuxpaint-stamps-2022.06.04/stamps/"
    members = [(root + path, content) for path, content in (STAMPS | extra).items()]
    return make_tar(tmp_path / "stamps.tar.gz", [*members, ("top/README.txt", b"x")])


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def visible(home):
    """What lies in a data home, less the lock of fetching."""
    return sorted(p.name for p in home.iterdir() if p.name != ".stamps.lock")


def spoil(home):
    """Cut a fetched file, so that the next fetch has something to do."""
    (home / "stamps" / "food/pie.svg").write_bytes(b"")


def test_fetch_puts_the_listed_files_and_nothing_else_into_place(tmp_path, archive):
    home = tmp_path / "home"
    left = home / ".stamps.partial" / "stamps" / "animals"  # by a fetch that was killed
    left.mkdir(parents=True)
    (left / "owl.png.part").write_bytes(b"half an o")
    assert stamps.fetch(home, archive=archive) == home / "stamps"
    assert tree(home / "stamps") == STAMPS
    assert visible(home) == ["stamps"]
    archive.unlink()
    stamps.fetch(home, archive=archive)  # which opens no archive
    spoil(home)
    with pytest.raises(InputError, match="there is no such file"):
        stamps.fetch(home, archive=archive)


def test_of_two_fetches_at_once_one_waits_and_opens_no_archive(tmp_path, archive, monkeypatch):
    opened, unpack = [], stamps._unpack

    def slowly(*arguments):
        opened.append(arguments)
        time.sleep(0.3)
        unpack(*arguments)

    monkeypatch.setattr(stamps, "_unpack", slowly)
    monkeypatch.setenv(stamps.ARCHIVE_VARIABLE, str(archive))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(stamps.fetch, tmp_path / "home") for _ in range(2)]
        assert [each.result() for each in both] == [tmp_path / "home" / "stamps"] * 2
    assert len(opened) == 1
    assert tree(tmp_path / "home" / "stamps") == STAMPS


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_fetch_reads_a_debian_package(tmp_path, collection):
    root = tmp_path / "package"
    shutil.copytree(collection, root / "usr/share/tuxpaint/stamps")
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    package = tmp_path / "x.deb"
    subprocess.run(["dpkg-deb", "--build", root, package], check=True, capture_output=True)
    stamps.fetch(tmp_path / "home", archive=package)
    assert tree(tmp_path / "home" / "stamps") == STAMPS


def test_a_file_that_differs_is_named_with_both_checksums_and_the_old_data_stay(tmp_path, archive):
    home = tmp_path / "home"
    stamps.fetch(home, archive=archive)
    spoil(home)
    before = tree(home / "stamps")
    members = [(f"x/stamps/{p}", c.replace(b"both: svg", b"tampered!")) for p, c in STAMPS.items()]
    digits = "[0-9a-f]{64}"
    for name, kept, pattern in (
        (
            "other",
            9,
            rf"café\.svg in other\.tar\.gz: expected sha256 {digits}, got {digits}.* 1 of 9",
        ),
        ("short", 1, rf"in short\.tar\.gz: expected sha256 {digits}, got no such file.* 8 of 9"),
    ):
        other = make_tar(tmp_path / f"{name}.tar.gz", members[:kept])
        with pytest.raises(InputError, match=pattern + " files are wrong; fetch again") as caught:
            stamps.fetch(home, archive=other)
        assert "\n" not in str(caught.value)
        assert tree(home / "stamps") == before
        assert visible(home) == ["stamps"]


def test_a_fetch_killed_while_unpacking_leaves_the_old_data(tmp_path, archive, monkeypatch):
    home = tmp_path / "home"
    stamps.fetch(home, archive=archive)
    spoil(home)
    before = tree(home / "stamps")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stamps, "_unpack", killed)
    with pytest.raises(KeyboardInterrupt):
        stamps.fetch(home, archive=archive)
    assert tree(home / "stamps") == before


def test_a_package_that_is_none_is_refused_in_one_line(tmp_path, collection):
    (tmp_path / "x.deb").write_bytes(b"not a package")
    with pytest.raises(InputError, match=r"expected .*") as caught:
        stamps.fetch(tmp_path / "home", archive=tmp_path / "x.deb")
    assert "\n" not in str(caught.value)
    assert "x.deb" in str(caught.value)


@pytest.fixture
def apt_that_fails(monkeypatch):
    failed = subprocess.CompletedProcess([], 100, "", "W: w\nE: Unable to locate package x\n")
    monkeypatch.setattr(stamps.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(stamps.subprocess, "run", lambda *_, **__: failed)


@pytest.mark.usefixtures("apt_that_fails")
def test_without_a_network_one_line_names_the_sources_and_what_to_do(
    tmp_path, collection, monkeypatch
):
    def refused(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(stamps.pooch, "retrieve", refused)
    with pytest.raises(InputError) as caught:
        stamps.fetch(tmp_path / "home")
    assert re.fullmatch(
        r"stamps: expected to download .* got \[apt-get download: E: Unable to locate package x; "
        r"downloads\.sourceforge\.net: ConnectionError; .*\]; connect to the network, or "
        r"download the archive elsewhere and name it in SONGTITLE_STAMPS_ARCHIVE",
        str(caught.value),
    )
    assert visible(tmp_path / "home") == []


@pytest.mark.usefixtures("apt_that_fails")
def test_where_apt_fails_the_release_archive_is_taken(tmp_path, archive, monkeypatch):
    monkeypatch.setattr(stamps.pooch, "retrieve", lambda *_, **__: str(archive))
    stamps.fetch(tmp_path / "home")
    assert tree(tmp_path / "home" / "stamps") == STAMPS


def test_a_stamp_is_a_picture_with_a_caption_and_a_png_goes_before_an_svg(tmp_path, archive):
    stamps.fetch(tmp_path, archive=archive)
    folder = tmp_path / "stamps"
    # An owl is a pie, by its caption, and so their folders are one series.
    assert [(p.id, p.path, p.caption, p.group) for p in stamps.load(tmp_path)] == [
        ("animals/owl", folder / "animals/owl.png", "A wise owl.", "animals"),
        ("food/café", folder / "food/café.png", "Café, open.", "animals"),
        ("food/pie", folder / "food/pie.svg", "A  wise, OWL!", "animals"),
    ]


def test_loading_before_fetching_says_what_to_run(tmp_path, collection):
    with pytest.raises(InputError, match=r"owl\.txt: expected .*; run 'python -m songtitle fetch'"):
        stamps.load(tmp_path)


def test_the_list_holds_every_picture_and_caption_of_the_collection():
    endings = [f.path.rpartition(".")[2] for f in manifest.listed("stamps")]
    assert {e: endings.count(e) for e in endings} == {"png": 796, "svg": 248, "txt": 952}


def test_the_collection_holds_950_stamps_with_804_captions_of_1_to_32_words():
    if not stamps.is_fetched():
        pytest.skip("the stamps are not fetched")
    pictures = stamps.load()
    lengths = [len(re.findall(r"\w+", picture.caption)) for picture in pictures]
    assert len(pictures) == len({p.id for p in pictures}) == 950
    assert len({p.caption for p in pictures}) == 804
    assert (min(lengths), max(lengths), round(sum(lengths) / 950, 2)) == (1, 32, 4.04)


def test_no_series_of_stamps_is_on_two_sides_and_none_decides_a_test():
    if not stamps.is_fetched():
        pytest.skip("the stamps are not fetched")
    pictures = stamps.load()
    fractions = {"train": 0.8, "valid": 0.1, "test": 0.1}
    for seed in range(5):
        sides = manifest.split_by_group([p.group for p in pictures], fractions, seed=seed)
        of_caption, of_folder = defaultdict(set), defaultdict(set)
        for picture, side in zip(pictures, sides, strict=True):
            of_caption[picture.caption.lower()].add(side)
            of_folder[picture.id.rpartition("/")[0]].add(side)
            if picture.id.startswith("symbols/alphabets"):
                of_folder["alphabets"].add(side)
        assert {len(each) for each in (*of_caption.values(), *of_folder.values())} == {1}
        for name in ("valid", "test"):
            held = Counter(p.group for p, side in zip(pictures, sides, strict=True) if side == name)
            assert abs(held.total() - 95) <= 5
            assert len(held) >= 20
            assert max(held.values()) <= 9
