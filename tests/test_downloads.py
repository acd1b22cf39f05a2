"""Downloads against a server that misbehaves: what is right arrives once, what is wrong never."""

import hashlib
import io
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from servers import Answer, serving
from test_manifest import make_tar

from songtitle import cache
from songtitle.__main__ import main
from songtitle.corpora import guarded_http, inventory, manifest
from songtitle.corpora.fetch import Ledger, items
from songtitle.corpora.guarded_http import TransferConfig
from songtitle.corpora.manifest import read_source, unpack
from songtitle.errors import InputError

MB = 1_000_000
FAST = TransferConfig(tries=4, first_wait=0.01, longest_wait=2.0, timeout=1.5)
PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"


def content(size, seed=0):
    return random.Random(seed).randbytes(size)


def digest(body, kind="sha256"):
    return hashlib.new(kind, body).hexdigest()


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data home, and an empty manifest beside it."""
    (tmp_path / "manifest").mkdir()
    monkeypatch.setattr(manifest, "manifest_folder", lambda: tmp_path / "manifest")
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "home"


def describe(home, name, *files, **keys):
    """Write NAME.toml; each of `files` is a table."""
    required = ("title", "version", "licence", "citation", "description")
    table = {key: f"{key} of {name}" for key in required} | keys
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    for file in files:
        lines += ["[[files]]", *(f"{key} = {json.dumps(value)}" for key, value in file.items())]
    path = home.parent / "manifest" / f"{name}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")


def offer(home, server, keys, body, **options):
    """Serve `body` under /a.bin and describe it as the one file of the source "a"."""
    address = server.give("/a.bin", body, **options)
    describe(home, "a", {"path": "a.bin", "addresses": [address]} | keys)
    return address


def fetch(home, *names, **options):
    """The lines of a fetch that goes well; the first error is raised."""
    lines = []
    for outcome in inventory.fetch(names, home, config=FAST, quiet=True, **options):
        if isinstance(outcome, InputError):
            raise outcome
        lines.append(outcome)
    return lines


def names_in(folder):
    """Everything below a folder, save the locks."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(p.relative_to(folder).as_posix() for p in paths if p.suffix != ".lock")


# --------------------------------------------------------------- cut, stalled, killed, stopped


@pytest.mark.parametrize(
    ("keys", "options"),
    [({}, {"validator": None}), ({}, {"validator": "weak"}), ({"md5": ""}, {"ranges": False})],
)
def test_a_cut_file_starts_over_where_nobody_vouches_for_the_rest(home, server, keys, options):
    body = content(2 * MB)
    keys = {kind: digest(body, kind) for kind in keys}
    offer(home, server, keys, body, cuts=[1_500_000], **options)
    fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == body
    assert server.spans("/a.bin") == [(0, 1_500_000), (0, len(body))]


def test_a_file_that_changes_between_two_parts_is_never_put_together(home, server):
    old, new = content(MB, 1), content(MB, 2)
    answer = Answer(body=old, cuts=[700_000])
    offer(home, server, {}, new, before=[answer])
    fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == new


SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started by
from pathlib import Path
from songtitle.corpora import manifest
manifest.manifest_folder = lambda: Path(sys.argv[1])
from songtitle.__main__ import main
raise SystemExit(main(sys.argv[2:]))
"""


def child(home, *arguments):
    """The command line in a process of its own, with this test's manifest."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home.parent / "manifest"), *arguments],
        cwd=cache.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize(("end", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
@pytest.mark.parametrize("others", [0, 1])
def test_a_fetch_that_is_killed_or_stopped_goes_on_where_it_was(home, server, end, status, others):
    body = content(12 * MB)
    offer(home, server, {"sha256": digest(body)}, body, before=[Answer(body=body, rate=8 * MB)])
    for number in range(others):  # with more than one file, threads do the work
        other = server.give(f"/{number}.bin", body, rate=8 * MB)
        describe(home, f"s{number}", {"path": "x.bin", "addresses": [other]})
    part = home / "a/.a.bin.part"
    process = child(home, "fetch", "a", *(f"s{number}" for number in range(others)))
    wait_for(lambda: guarded_http.length(part) > 2 * MB)
    process.send_signal(end)
    _, error = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in error
    assert not (home / "a/a.bin").exists()
    begun = guarded_http.length(part)
    assert begun > 2 * MB
    assert main(["fetch", "a"]) == 0
    assert (home / "a/a.bin").read_bytes() == body
    assert server.spans("/a.bin")[-1] == (begun, len(body))


def test_two_processes_at_once_download_once(home, server):
    body = content(4 * MB)
    offer(home, server, {"sha256": digest(body)}, body, rate=8 * MB)
    both = [child(home, "fetch", "a") for _ in range(2)]
    printed = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("there already" in text for text in printed) == [False, True]
    assert server.spans("/a.bin") == [(0, len(body))]


def test_several_files_come_at_once_and_one_that_fails_stops_no_other(home, server):
    body = content(MB)
    for name in "abcd":
        address = server.give(f"/{name}", body + name.encode(), rate=4 * MB)
        describe(home, name, {"path": "x.bin", "addresses": [address]})
    server.answers["/c"].status = 404
    outcomes = list(inventory.fetch("abcd", home, jobs=4, quiet=True, config=FAST))
    (error,) = [outcome for outcome in outcomes if isinstance(outcome, InputError)]
    assert "404" in str(error)
    for name in "abd":
        assert (home / name / "x.bin").read_bytes() == body + name.encode()
    assert max(server.times) - min(server.times) < 0.7  # one after another would take 0.25 s each


# --------------------------------------------------------------------- refused


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5", "sha256_starts"])
def test_a_wrong_hash_never_replaces_a_good_file(home, server, kind):
    good, bad = content(MB, 1), content(MB, 2)
    published = digest(good, kind.removesuffix("_starts"))[: 8 if "starts" in kind else None]
    address = offer(home, server, {kind: published}, good)
    fetch(home, "a")
    server.give("/a.bin", bad)
    other = published[::-1]
    describe(home, "a", {"path": "a.bin", "addresses": [address], kind: other})
    with pytest.raises(InputError, match=rf"a\.bin: expected to download it.* for {other}"):
        fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == good
    assert names_in(home / "a") == ["a.bin"]


def test_a_damaged_file_is_fetched_again_and_a_good_one_taken_as_it_is(home, server):
    good = content(MB)
    offer(home, server, {"sha256": digest(good)}, good)
    (home / "a").mkdir(parents=True)
    (home / "a/a.bin").write_bytes(good)
    assert "there already" in fetch(home, "a")[0]
    assert server.requests == []
    (home / "a/a.bin").write_bytes(good[:-1] + b"x")
    fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == good


BODY = content(MB)


def test_a_body_of_no_known_length_is_refused_where_no_checksum_tells_a_cut(home, server):
    offer(home, server, {}, BODY, length=None)
    with pytest.raises(InputError, match=r"a\.bin: expected to download it, got .*no length given"):
        fetch(home, "a")
    assert names_in(home / "a") == []


def test_a_web_page_is_taken_where_one_is_wanted(home, server):
    address = server.give("/a.html", PAGE, headers={"Content-Type": "text/html"})
    describe(home, "a", {"path": "a.html", "addresses": [address]})
    fetch(home, "a")
    assert (home / "a/a.html").read_bytes() == PAGE


GONE, OTHER = {"status": 404}, {"body": content(MB, 1)}
CUT, SPOILT = {"body": BODY, "cuts": [600_000]}, {"body": content(MB, 9), "cuts": [600_000]}


@pytest.mark.parametrize(
    ("first", "spans"),  # what the first address answers, and what the second one sends
    [
        ([GONE], [(0, MB)]),
        ([OTHER], [(0, MB)]),
        ([{"body": PAGE}], [(0, MB)]),
        ([CUT, GONE], [(600_000, MB)]),
        ([SPOILT, GONE], [(600_000, MB), (0, MB)]),
    ],
)
def test_where_the_first_address_fails_the_second_goes_on_or_sends_all(home, server, first, spans):
    *before, last = [Answer(**options | {"cuts": options.get("cuts", [])[:]}) for options in first]
    server.answers["/1"] = replace(last, before=before)
    addresses = [server.address + "/1", server.give("/2", BODY)]
    describe(home, "a", {"path": "a.bin", "addresses": addresses, "sha256": digest(BODY)})
    fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == BODY
    assert server.spans("/2") == spans


def test_a_disk_too_small_is_refused_before_anything_is_sent(home, server, monkeypatch):
    address = offer(home, server, {"size": 1000}, content(1000))
    describe(home, "b", {"path": "b.bin", "addresses": [address], "size": 1000})
    usage = shutil.disk_usage(home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1999))
    with pytest.raises(InputError, match=r"fetch a b: expected 2,000 bytes of disk space.* 1,999"):
        fetch(home, "a", "b")
    assert server.requests == []
    fetch(home, "a")
    assert len(server.requests) == 1


def test_a_length_that_only_the_server_tells_is_compared_with_the_disk(home, server, monkeypatch):
    offer(home, server, {}, content(MB))
    usage = shutil.disk_usage(home.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=999_999))
    with pytest.raises(InputError, match=r"a\.bin: expected 1,000,000 bytes of disk space"):
        fetch(home, "a")
    assert names_in(home / "a") == []


def test_a_full_disk_ends_in_one_line_and_the_part_stays(home, server, monkeypatch):
    offer(home, server, {"size": MB}, content(MB))

    def full(out, block):
        out.write(block[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(guarded_http, "_write", full)
    with pytest.raises(InputError, match=r"expected disk space, got 'No space left.*' after 1,000"):
        fetch(home, "a")
    assert (home / "a/.a.bin.part").read_bytes() == content(MB)[:1000]


# --------------------------------------------------------------------- recorded


def test_a_checksum_that_nobody_published_is_recorded_and_held_from_then_on(home, server, capsys):
    first = content(1000, 1)
    address = offer(home, server, {}, first)
    fetch(home, "a")
    today = datetime.now(UTC).date().isoformat()
    held = json.loads((home / "recorded/a.json").read_text())["files"]["a.bin"]
    assert held == {
        "sha256": digest(first),
        "size": 1000,
        "date": today,
        "address": address,
    }
    assert main(["status"]) == 0
    assert f"recorded {today}" in capsys.readouterr().out
    (home / "a/a.bin").unlink()
    server.give("/a.bin", content(1000, 2))
    with pytest.raises(
        InputError, match=rf"sha256 .* held to what was recorded {today}; to accept"
    ):
        fetch(home, "a")
    assert names_in(home / "a") == []
    server.give("/a.bin", first)
    fetch(home, "a")
    assert (home / "a/a.bin").read_bytes() == first


def test_a_record_that_is_no_json_is_refused_by_name(home, server):
    describe(home, "a", {"path": "a.bin", "addresses": [server.give("/a.bin", b"x" * 99)]})
    fetch(home, "a")
    (home / "recorded/a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json: expected the JSON that fetch wrote"):
        fetch(home, "a")


def test_a_new_published_checksum_makes_an_old_check_void(home, server):
    body = content(1000)
    address = offer(home, server, {"sha256": digest(body)}, body)
    fetch(home, "a")
    (item,) = items(read_source("a"), home)
    assert item.checked_on
    describe(home, "a", {"path": "a.bin", "addresses": [address], "sha256": "0" * 64})
    (item,) = items(read_source("a"), home)
    assert not item.checked_on


# --------------------------------------------------------------------- unpacked


def make_zip(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, body in members:
            file.writestr(name, body)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_unpacked_beside_itself_once_and_watched(home, server, tmp_path, kind):
    members = {"d/one.txt": content(5000, 1), "d/e/two.txt": content(7000, 2)}
    name, body = "x.zip", make_zip(members.items(), zipfile.ZIP_BZIP2)
    if kind == "tar":
        name, body = "x.tar.gz", make_tar(tmp_path / "x", members.items()).read_bytes()
    file = {"path": f"sub/{name}", "addresses": [server.give("/x", body)], "unpack": kind}
    describe(home, "a", file, folder="shared")
    fetch(home, "a")
    folder = home / "shared/sub"
    assert names_in(folder) == sorted([name, *members])
    for path, inside in members.items():
        assert (folder / path).read_bytes() == inside
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    fetch(home, "a")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    (verdict,) = inventory.verify(["a"], home)
    assert not any(verdict.problems)
    path = sorted(members)[0]
    (folder / path).write_bytes(members[path][:-1] + b"x")
    (verdict,) = inventory.verify(["a"], home)
    assert verdict.problems.corrupt == [path]
    fetch(home, "a")  # what has changed is compared, not only counted
    assert (folder / path).read_bytes() == members[path]
    (folder / path).unlink()
    (verdict,) = inventory.verify(["a"], home)
    assert verdict.problems.missing == [path]
    fetch(home, "a")
    assert (folder / path).read_bytes() == members[path]
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["../evil", "b.bin", ".x.zip.part"])
def test_a_zip_that_reaches_beyond_its_own_files_is_refused_and_writes_nothing(home, server, name):
    body = make_zip([("good.txt", b"x"), (name, b"x")])
    describe(
        home,
        "a",
        {"path": "x.zip", "addresses": [server.give("/x.zip", body)], "unpack": "zip"},
        {"path": "b.bin", "addresses": [server.give("/b.bin", b"good" * 9)]},
    )
    with pytest.raises(InputError, match=r"x\.zip: expected .*; do not use this archive"):
        fetch(home, "a", jobs=1)
    assert names_in(home / "a") == ["x.zip"]
    assert not list(home.parent.rglob("evil"))


def test_an_encrypted_zip_member_is_refused(tmp_path):
    body = bytearray(make_zip([("a", b"x")]))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(mark) + offset] |= 1
    (tmp_path / "x.zip").write_bytes(body)
    with pytest.raises(InputError, match=r"x\.zip: expected plain files"):
        unpack(tmp_path / "x.zip", tmp_path / "out", "zip")


# --------------------------------------------------------------------- verified, told


def test_verify_lists_missing_and_corrupt_files_by_path_with_status_2(home, server, capsys):
    files = []
    for name in ("good", "gone", "other", "longer"):
        body = name.encode() * 100
        address = server.give(f"/{name}", body)
        files.append({"path": name, "addresses": [address], "sha1": digest(body, "sha1")})
    describe(home, "a", *files)
    describe(home, "b", {"path": "b", "addresses": [server.address + "/b"]})
    fetch(home, "a")
    assert main(["verify"]) == 0
    assert "b: not fetched" in capsys.readouterr().out
    assert main(["verify", "b"]) == 2
    assert "b: missing: b\n" in capsys.readouterr().out
    (home / "a/gone").unlink()
    (home / "a/other").write_bytes(b"OTHER" * 100)
    (home / "a/longer").write_bytes(b"longer" * 101)
    assert main(["verify"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a: missing: gone"
    assert re.fullmatch(r"a: corrupt: other \(sha1 [0-9a-f]{40} for [0-9a-f]{40}\)", lines[1])
    assert re.fullmatch(r"a: corrupt: longer \(sha1 .*\)", lines[2])
    assert lines[-1] == "3 files are not right; fetch again"


def test_a_file_of_which_no_checksum_is_known_is_not_called_verified(home, server, capsys):
    describe(home, "a", {"path": "x", "addresses": [server.address + "/x"]})
    (home / "a").mkdir(parents=True)
    (home / "a/x").write_bytes(b"by hand")
    assert main(["verify"]) == 0
    assert "a: no checksum known, `fetch` records one: x" in capsys.readouterr().out
    assert row(home, "a")[1:3] == ["1 of 1 files", "no"]


def row(home, name):
    """A source's cells in the table of `status`."""
    lines = inventory.status(home).splitlines()
    (line,) = [line for line in lines if line.startswith(name)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_status_calls_verified_only_what_was_compared_and_has_not_changed_since(home, server):
    body = content(1_500)
    address = server.give("/x", body)
    describe(home, "a", {"path": "x", "addresses": [address], "sha256": digest(body)})
    assert row(home, "a") == ["a", "not fetched", "-", "?", "licence of a"]
    fetch(home, "a")
    today = datetime.now(UTC).date().isoformat()
    right = ["a", "1 of 1 files", f"{today}, published", "1.5 kB", "licence of a"]
    assert row(home, "a") == right
    (home / "a/x").write_bytes(content(1_500, 1))
    assert row(home, "a")[2] == "no"
    list(inventory.verify(["a"], home))
    assert row(home, "a")[2] == "no"
    (home / "a/x").write_bytes(body)
    assert row(home, "a")[2] == "no"
    list(inventory.verify(["a"], home))
    assert row(home, "a") == right


def test_neither_status_nor_a_second_fetch_reads_a_file_that_was_verified(
    home, server, monkeypatch
):
    describe(home, "a", {"path": "x", "addresses": [server.give("/x", b"x" * 99)]})
    fetch(home, "a")
    monkeypatch.setattr(manifest, "digest", None)
    assert "recorded" in row(home, "a")[2]
    assert "there already" in fetch(home, "a")[0]  # no more does a second fetch
    assert len(server.requests) == 1


def test_a_dry_run_says_what_would_come_and_touches_nothing(home, server, capsys):
    address = server.give("/x", content(1000))
    describe(
        home,
        "a",
        {"path": "x", "addresses": [address], "size": 358_412_441},
        {"path": "y", "addresses": [address]},
    )
    assert main(["fetch", "a", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "name"
    cells = [cell.strip() for cell in lines[1].split("  ") if cell.strip()]
    assert cells == ["a", "x", "358.4 MB", "0 B", "licence of a", str(home / "a/x")]
    assert lines[-1].startswith("total")
    assert "358.4 MB and 1 of unpublished size" in lines[-1]
    assert lines[-1].endswith(f"{inventory.human(manifest.free(home))} free")
    assert server.requests == []
    assert not home.exists()


def test_of_sources_without_any_size_a_plan_counts_those_and_says_no_bytes():
    assert inventory.total_of([]) == "0 B"
    assert inventory.total_of([None, None]) == "2 of unpublished size"
    assert inventory.total_of([5, None]) == "5 B and 1 of unpublished size"


def test_a_package_needs_no_fetching_and_a_source_without_files_says_so(home, capsys):
    describe(home, "packed", package="music21")
    describe(home, "nothing", addresses=["https://example.org/x"])
    assert main(["fetch", "packed"]) == 0
    assert capsys.readouterr().out == "packed: comes with the package music21\n"
    assert main(["fetch", "nothing"]) == 2
    assert "nothing: expected files to download" in capsys.readouterr().err


def test_the_ledger_loses_nothing_that_two_threads_write(tmp_path):
    def record(number):
        (tmp_path / str(number)).write_bytes(bytes(number))
        Ledger(tmp_path, "a").record(str(number), tmp_path / str(number), None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(40)))
    assert [Ledger(tmp_path, "a").recorded(str(n))["size"] for n in range(40)] == list(range(40))


def test_sizes_are_told_in_decimal_units():
    told = [inventory.human(n) for n in (None, 0, 999, 1000, 999_949, 999_950, 358_412_441)]
    assert told == ["not published", "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "358.4 MB"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "shown"),
    [(Terminal, False, True), (Terminal, True, False), (io.StringIO, False, False)],
)
def test_rate_and_time_left_are_shown_on_a_terminal_only(
    home, server, monkeypatch, stream, quiet, shown
):
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    describe(home, "a", {"path": "a.bin", "addresses": [server.give("/a", content(MB), stall=0.3)]})
    list(inventory.fetch(["a"], home, quiet=quiet, config=FAST))
    line = r"a\.bin: +\d+%.*/1\.00M \[\d\d:\d\d<\d\d:\d\d, .*B/s\]"
    assert (re.search(line, written.getvalue()) is not None) is shown
    assert shown or not written.getvalue()
