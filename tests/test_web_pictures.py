"""A fetch of 240 pictures (2,000 when SONGTITLE_SLOW is 1) from a server that misbehaves."""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from picture_server import FAILURES, Photos, PictureServer, plan
from PIL import Image

from songtitle.corpora import link_rot, shards
from songtitle.corpora.guarded_http import Limits
from songtitle.errors import InputError
from songtitle.rows import Faults

SLOW = os.environ.get("SONGTITLE_SLOW") == "1"
TOTAL, TIMES, SHARD = (2000, 8, 100) if SLOW else (240, 1, 24)

DRIVER = """
import json, sys
from pathlib import Path
from songtitle.corpora import shards
from songtitle.corpora.guarded_http import Limits
from songtitle.rows import Faults
tsv, folder, options = sys.argv[1:]
if __name__ == "__main__":
    options = json.loads(options)
    limits = Limits(**options.pop("limits"))
    shards.fetch(Path(tsv), Path(folder), faults=Faults(), limits=limits, **options)
"""

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")

needs_img2dataset = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("img2dataset", "imghdr")),
    reason="needs img2dataset, which Python 3.13 and later cannot have",
)
pytestmark = needs_img2dataset


class World:
    """A server, the table of its addresses, and fetches from it in processes of their own."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.tsv = folder / "table.tsv"
        numbers = range(len(server.ways))
        lines = [f"caption of picture {n} {server.ways[n]}\t{server.url(n)}\n" for n in numbers]
        self.tsv.write_text("".join(lines), encoding="utf-8")
        self.options = {
            "shard_size": SHARD,
            "threads": 8,
            "limits": {"timeout": 5.0, "retries": 0, "allow_private": [server.host]},
        }

    def start(self, name, **options):
        """Begin a fetch into the folder `name`, as the head of a process group of its own."""
        script = self.folder / "driver.py"
        script.write_text(DRIVER)
        options = json.dumps({**self.options, **options})
        command = [sys.executable, str(script), str(self.tsv), str(self.folder / name), options]
        log = (self.folder / f"{name}.log").open("ab")
        # A cluster that the tester's shell knows of is not meant.
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        with log:
            return subprocess.Popen(
                command, start_new_session=True, stderr=log, stdout=log, env=environment
            )

    def run(self, name, **options):
        """A whole fetch; the folder."""
        process = self.start(name, **options)
        status = process.wait(1200)
        assert status == 0, (self.folder / f"{name}.log").read_text()[-3000:]
        return self.folder / name

    def here(self, name, **options):
        """A fetch in this process."""
        options = {**self.options, "limits": Limits(), **options}
        return shards.fetch(self.tsv, self.folder / name, faults=Faults(), **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    named = os.environ.get("SONGTITLE_REAL_DATA")
    ways = plan(TIMES, TOTAL)
    photos = Photos(ways, Path(named) / "flickr8k" if named else None)
    with PictureServer(ways, photos) as server:
        yield World(server, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def undisturbed(world):
    return world.run("undisturbed", processes=2)


def contents(folder):
    """Tars and tables by name; the statistics hold clock times."""
    paths = [*folder.glob("*.tar"), *folder.glob("*.parquet")]
    return {path.name: path.read_bytes() for path in paths}


def asked_numbers(log):
    return {int(path.rpartition("/")[2].partition(".")[0]) for path in log}


def test_the_report_counts_every_way_of_failing_exactly(world, undisturbed):
    planted = Counter(world.server.ways)
    report = link_rot.report(undisturbed, permutations=5)
    assert report.reasons == {FAILURES[way][0]: planted[way] for way in planted if way != "good"}
    assert len(report.reasons) == 14
    assert (report.asked, report.survivors.count) == (TOTAL, planted["good"])
    assert report.unavailable.count == TOTAL - planted["good"] - planted["small"]
    assert report.hosts == {"127.0.0.1": {"asked": TOTAL, "survived": planted["good"]}}
    assert report.years == {str(time.gmtime().tm_year): report.hosts["127.0.0.1"]}
    assert report.statuses["404"] == planted["404"]
    assert report.statuses["none"] == sum(planted[w] for w in ("stall", "reset", "private"))
    json.dumps(report.as_dict(), allow_nan=False)


def test_a_picture_lies_beside_its_caption_and_checksum_in_the_order_of_the_table(
    world, undisturbed
):
    ways, photos = world.server.ways, world.server.bodies
    good = [number for number, way in enumerate(ways) if way == "good"]
    found = []
    for path in sorted(undisturbed.glob("*.tar")):
        with tarfile.open(path) as tar:
            for name in tar.getnames():
                stem, _, ending = name.partition(".")
                if not found or found[-1]["key"] != stem:
                    found.append({"key": stem})
                found[-1][ending] = tar.extractfile(name).read()
    assert [each["txt"].decode() for each in found] == [
        f"caption of picture {n} good" for n in good
    ]
    assert len({each["key"] for each in found}) == len(good)
    for each, number in zip(found, good, strict=True):
        about, picture = json.loads(each["json"]), Image.open(io.BytesIO(each["jpg"]))
        assert about["url"] == world.server.url(number)
        assert about["sha256"] == hashlib.sha256(each["jpg"]).hexdigest()
        assert picture.format == "JPEG"
        assert picture.size == (about["width"], about["height"]) == _size(photos(number))
        assert min(picture.size) > 400
        assert (each["jpg"] == photos(number)) == photos(number).startswith(b"\xff\xd8")


def _size(body):
    return Image.open(io.BytesIO(body)).size


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_three_kills_and_four_starts_make_the_shards_of_an_undisturbed_run(world, undisturbed):
    server, rng = world.server, random.Random(7)
    folder = world.folder / "killed"
    for kill in range(3):
        done = shards.finished(folder)
        before = len(server.log)
        # Somewhere in the second shard of this start: one process makes one after another.
        server.await_number((len(done) + 1) * SHARD + rng.randrange(SHARD))
        process = world.start("killed", processes=1)
        try:
            assert server.reached.wait(300), (world.folder / "killed.log").read_text()[-3000:]
            if kill < 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:  # the driver alone: its worker must notice
                process.kill()
            process.wait()
            time.sleep(0.5)
            at_rest = len(server.log)
            time.sleep(1.5)
            assert len(server.log) == at_rest
        finally:
            _kill_group(process)
        assert not _numbers_of(done) & asked_numbers(server.log[before:])
    done = shards.finished(folder)
    assert 3 <= len(done) < TOTAL // SHARD
    assert (folder / "_tmp").exists()
    before = len(server.log)
    world.run("killed", processes=2)
    assert asked_numbers(server.log[before:]) == set(range(TOTAL)) - _numbers_of(done)
    assert contents(folder) == contents(undisturbed)
    assert not (folder / "_tmp").exists()


def _numbers_of(done):
    return {n for shard in done for n in range(shard * SHARD, (shard + 1) * SHARD)}


def _kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("distributor", ["ray", "pyspark"])
def test_a_cluster_makes_the_same_shards_and_the_same_report(world, undisturbed, distributor):
    pytest.importorskip(distributor)
    if distributor == "pyspark" and not shutil.which("java"):
        pytest.skip("Spark needs a Java")
    folder = world.run(distributor, processes=2, distributor=distributor)
    assert contents(folder) == contents(undisturbed)
    assert link_rot.report(folder) == link_rot.report(undisturbed)


def test_a_finished_folder_is_not_asked_for_again(world, undisturbed):
    before = len(world.server.log)
    fetched = world.here("undisturbed")
    assert len(world.server.log) == before
    assert (fetched.rows, fetched.shards) == (TOTAL, TOTAL // SHARD)
    assert fetched.pictures == world.server.ways.count("good")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": Limits(min_side=300)}, "min_side as when it was begun, 401, got 300"),
        ({"shard_size": SHARD + 1}, f"shard_size as when it was begun, {SHARD}, got"),
        ({"count": 9}, "count as when it was begun, None, got 9"),
        ({"tsv": "one more\thttp://example.org/x.jpg\n"}, r"sha256 as .*, \w{64}, got \w{64};"),
    ],
)
def test_another_setting_or_table_is_refused_for_the_same_folder(
    world, undisturbed, tmp_path, options, said
):
    tsv = tmp_path / "table.tsv"
    tsv.write_text(world.tsv.read_text() + options.pop("tsv", ""))
    with pytest.raises(InputError, match=f"expected {said}"):
        shards.fetch(tsv, undisturbed, faults=Faults(), **{"shard_size": SHARD} | options)


def test_a_second_fetch_in_the_same_folder_waits_its_turn(world, undisturbed):
    with (
        shards.alone(undisturbed),
        pytest.raises(InputError, match="expected no other fetch"),
    ):
        world.here("undisturbed")


def test_only_a_shard_with_tar_table_and_statistics_is_finished(tmp_path):
    for name in ("00000.tar", "00000.parquet", "00000_stats.json", "00001.tar", "00001.parquet"):
        (tmp_path / name).touch()
    for name in ("00002_stats.json", "00003.tar", "readme_stats.json", "notes.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "_tmp" / "3-17").mkdir(parents=True)
    assert shards.finished(tmp_path) == {0}
    shards.remove_leftovers(tmp_path)
    left = ["00000.parquet", "00000.tar", "00000_stats.json", "notes.parquet", "readme_stats.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_what_cannot_be_fetched_into_or_from_or_told_of_is_refused(world, tmp_path):
    with pytest.raises(InputError, match=r"expected shards .* fetch them first"):
        link_rot.report(tmp_path)
    (tmp_path / "00000.tar").write_bytes(b"precious")
    (tmp_path / "t.tsv").write_text("no tab here\n")
    for table, folder, said in (
        (world.tsv, tmp_path, "expected a folder of its own, got one with tar files"),
        (tmp_path / "t.tsv", tmp_path / "x", "expected rows of caption, tab and address, got none"),
        (tmp_path / "none.tsv", tmp_path / "y", "expected a table of captions and addresses"),
    ):
        with pytest.raises(InputError, match=said):
            shards.fetch(table, folder, faults=Faults())
    assert (tmp_path / "00000.tar").read_bytes() == b"precious"


def test_the_rows_are_read_once_and_their_faults_told_each_time(tmp_path):
    table = tmp_path / "t.tsv"
    rows = [f"caption {n}\thttp://example.org/{n}.jpg\n" for n in range(7)]
    table.write_text("no tab\n" + "".join(rows))
    for faults in (Faults(), Faults()):
        assert shards.prepare(table, tmp_path / "x", {"shard_size": 3}, faults, count=5) == 5
        assert faults.as_dict()["counts"] == {"no tab": 1}
        assert [(fault.file, fault.row) for fault in faults.examples] == [("t.tsv", 1)]
    (tmp_path / "x" / "source" / "source.json").write_text("{")
    with pytest.raises(InputError, match=r"source\.json: expected the record of a fetch"):
        shards.prepare(table, tmp_path / "x", {"shard_size": 3}, Faults(), count=5)


def test_a_long_table_becomes_files_of_whole_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "PART", 10)
    table = tmp_path / "t.tsv"
    table.write_text("".join(f"caption {n}\thttp://example.org/{n}.jpg\n" for n in range(25)))
    assert shards.prepare(table, tmp_path / "x", {"shard_size": 4}, Faults(), count=None) == 25
    written = sorted((tmp_path / "x/source").glob("*.parquet"))
    parts = [pyarrow.parquet.read_table(path) for path in written]
    assert [part.num_rows for part in parts] == [8, 8, 8, 1]
    assert [n for part in parts for n in part["row"].to_pylist()] == list(range(1, 26))


@pytest.mark.parametrize(
    ("module", "distributor", "extra"),
    [
        ("img2dataset", "multiprocessing", r"-e '.\[pictures\]'"),
        ("imghdr", "multiprocessing", r"-e '.\[pictures\]'"),
        ("ray", "ray", r"-e '.\[cluster\]'"),
        ("pyspark", "pyspark", r"-e '.\[spark\]'"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch, tmp_path, module, distributor, extra
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        shards.importlib.util,
        "find_spec",
        lambda name: None if name == module else found(name),
    )
    with pytest.raises(InputError, match=f"the module {module}, .* run `pip install {extra}`"):
        shards.fetch(tmp_path / "t", tmp_path, faults=Faults(), distributor=distributor)


@pytest.mark.parametrize("option", ["shard_size", "threads", "count", "max_pixels"])
def test_a_number_below_one_is_refused_by_name(tmp_path, option):
    options = {"limits": Limits(max_pixels=0)} if option == "max_pixels" else {option: 0}
    with pytest.raises(InputError, match=f"{option}: expected 1 or more, got 0"):
        shards.fetch(tmp_path / "t", tmp_path / "x", faults=Faults(), **options)
    assert not (tmp_path / "x").exists()
