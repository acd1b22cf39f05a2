"""Faults of disks and files: full, read-only, gone, oddly named, and files that are torn."""

import os
import random
import shutil
import subprocess
import time
import unicodedata
from contextlib import contextmanager

import pytest
import small_runs

from songtitle.corpora import manifest

GROUP = "disk"
MB = 1 << 20


class Disk:
    """A disk in memory that can be made small, read-only, and be pulled out."""

    def __init__(self, path, size=64 * MB):
        self.path = path
        path.mkdir(exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")

    def _mount(self, *options):
        done = subprocess.run(["mount", *options, self.path], capture_output=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.decode())

    def limit(self, size):
        self._mount("-o", f"remount,size={size}")

    def used(self):
        return shutil.disk_usage(self.path).used

    def lock(self, *, read_only=True):
        """Make it read-only, or not; refused while a file is open to be written."""
        self._mount("-o", f"remount,{'ro' if read_only else 'rw'}")

    def pull(self):
        """Take it away, open files or not."""
        subprocess.run(["umount", "-l", self.path], check=True)


@contextmanager
def disk(path):
    """A disk of its own at `path`; None where this user may not mount one."""
    try:
        made = Disk(path)
    except (OSError, FileNotFoundError):
        yield None
        return
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", path], capture_output=True, check=False)


def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    fault, runs, undisturbed, tmp_path
):
    each = fault(
        GROUP,
        "the disk is full at any stage of a run",
        "one line names the folder; nothing that was finished changes, nothing half-written "
        "counts, and with room the same command goes on to equal records",
        full=40,
        few=6,
    )
    draw = random.Random(int(time.time()))
    with disk(tmp_path / "disk") as made:
        place = made.path if made else tmp_path
        home = small_runs.draw_pictures(place / "home 0")
        largest = 0
        while each.tried < each.times:
            before = small_runs.as_they_lie(home)
            if made:  # room for some of what is still to come
                made.limit(made.used() + draw.randrange(4096, 2 * MB))
                pid = runs.start(home)
            else:  # no such disk: no file may grow beyond what is drawn, which says EFBIG
                largest += draw.randrange(1, 100_000)
                pid = runs.start(home, limit=largest)
            status = runs.wait(pid)
            if status == 0:
                small_runs.check_equal(home, undisturbed)
                shutil.rmtree(home)
                home, largest = small_runs.draw_pictures(place / f"home {each.tried}"), 0
                continue
            with each.once(f"{made and made.used()} bytes used"):
                said = runs.check(pid, status, 2)
                assert str(home) in said
                assert "room" in said
                small_runs.check_kept(home, before, undisturbed)
        if made:
            made.limit(64 * MB)
        runs.finish(home)
        small_runs.check_equal(home, undisturbed)


def test_songs_are_not_left_out_where_temporary_files_find_no_room(
    fault, runs, undisturbed, tmp_path
):
    with disk(tmp_path / "temporary") as made:
        if made is None:
            pytest.skip("this user may not mount a disk")
        each = fault(
            GROUP,
            "the folder for temporary files is full",
            "one line names the folder; no song is taken for one that cannot be played",
            full=5,
            few=2,
        )
        for number in each.rounds:
            made.limit((number + 1) * 4096)  # pages: for nothing, for a sheet, for its notes too
            home = small_runs.draw_pictures(tmp_path / f"home {number}")
            with each.once(f"{number + 1} pages"):
                pid = runs.start(home, scratch=made.path)
                said = runs.check(pid, runs.wait(pid), 0, 2)
                assert not said or str(made.path) in said
                small_runs.check_kept(home, {}, undisturbed)
                made.limit(64 * MB)
                runs.finish(home, scratch=made.path)
                small_runs.check_equal(home, undisturbed)


def test_a_read_only_data_home_is_refused_in_one_line_and_no_byte_of_it_changes(
    fault, runs, undisturbed, tmp_path
):
    draw = random.Random(int(time.time()))
    with disk(tmp_path / "disk") as made:
        if made is None:
            pytest.skip("this user may not mount a disk, and no permission binds root")
        each = fault(
            GROUP,
            "the disk becomes read-only, before a run or in the middle of it",
            "one line names the folder; writable again, the same command goes on to equal records",
            full=10,
            few=2,
        )
        for number in each.rounds:
            home = small_runs.draw_pictures(made.path / f"home {number}")
            with each.once(f"round {number}"):
                pid = runs.start(home)
                time.sleep(draw.uniform(0.1, 2))
                if number % 2:
                    while not locked(made):  # a moment without an open file
                        time.sleep(0.001)
                    runs.check(pid, runs.wait(pid), 0, 2)
                else:
                    runs.kill(pid)
                    while not locked(made):  # what it had started takes a moment to end
                        time.sleep(0.001)
                before = small_runs.as_they_lie(home)
                pid = runs.start(home)
                said = runs.check(pid, runs.wait(pid), 2)
                assert str(home) in said
                small_runs.check_kept(home, before, undisturbed)
                made.lock(read_only=False)
                runs.finish(home)
                small_runs.check_equal(home, undisturbed)
            shutil.rmtree(home)


def locked(made):
    try:
        made.lock()
    except OSError:
        return False
    return True


def test_a_data_home_that_goes_away_in_the_middle_ends_the_run_in_one_line(
    fault, runs, undisturbed, tmp_path
):
    each = fault(
        GROUP,
        "the disk is pulled out, or the data home moved away, in the middle of a run",
        "one line names what is gone; brought back, the same command goes on to equal records",
        full=12,
        few=2,
    )
    draw = random.Random(int(time.time()))
    for number in each.rounds:
        with disk(tmp_path / f"disk {number}") as made:
            folder = tmp_path / f"disk {number}" / "folder"
            home, moved = small_runs.draw_pictures(folder / "home"), folder.with_name("moved")
            pulled = made is not None and number % 2
            with each.once("pulled out" if pulled else "moved away"):
                pid = runs.start(home)
                time.sleep(moment := draw.uniform(0, 3))
                if pulled:
                    made.pull()
                else:
                    folder.rename(moved)
                said = runs.check(pid, runs.wait(pid), 0, 2)
                assert not said or str(folder) in said, moment
                if pulled:  # what was on it is gone with it
                    small_runs.draw_pictures(home)
                else:
                    shutil.rmtree(folder, ignore_errors=True)  # what was begun there since
                    moved.rename(folder)
                    small_runs.check_kept(home, {}, undisturbed)
                runs.finish(home)
                small_runs.check_equal(home, undisturbed)


ODD_NAMES = (
    "two  spaces and ü",
    "数据 家",
    'it\'s "$HOME"; & (all) [of] {it} 100% #1',
    unicodedata.normalize("NFD", "décomposé ñ") + " ‏مرحبا 🎵",
    "-p --home=x",
)


def test_a_data_home_may_have_any_name(fault, runs, undisturbed, tmp_path):
    each = fault(
        GROUP,
        "the data home has spaces, quotes or letters beyond ASCII in its name",
        "the run ends as under a plain name, in equal records",
        full=len(ODD_NAMES),
        few=2,
    )
    for number in each.rounds:
        home = small_runs.draw_pictures(tmp_path / ODD_NAMES[number] / ODD_NAMES[-number - 1])
        with each.once(home):
            runs.finish(home)
            small_runs.check_equal(home, undisturbed)


@contextmanager
def disk_without_case(image, place):
    """A disk at `place`, kept in the file `image`, that takes `a` and `A` for the same and tells
    names in small letters; skipped where this machine or user can have none."""

    def do(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    device = None
    with image.open("wb") as file:
        file.truncate(64 * MB)
    try:
        device = do("losetup", "--find", "--show", image)
        do("mkntfs", "--quiet", "--fast", "--force", device)
        do("lowntfs-3g", device, place, "-o", "ignore_case")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs ntfs-3g, and a user who may mount")
    else:
        try:
            yield
        finally:
            do("umount", "--lazy", place)
    finally:
        if device:
            do("losetup", "--detach", device)


def test_a_data_home_may_lie_on_a_disk_that_ignores_case(fault, runs, undisturbed, tmp_path):
    each = fault(
        GROUP,
        "the data home lies on a disk that ignores case and forgets it",
        "the run ends as on any other, in equal records and files",
        full=5,
        few=1,
    )
    place = tmp_path / "disk"
    place.mkdir()
    whole = small_runs.contents(undisturbed)
    with disk_without_case(tmp_path / "image", place):
        for number in each.rounds:
            home = small_runs.draw_pictures(place / f"Home {number}")
            with each.once(f"round {number}"):
                runs.finish(home)
                assert small_runs.findings(home) == small_runs.findings(undisturbed)
                told = small_runs.contents(home)
                assert told == {name.lower(): content for name, content in whole.items()}
                assert not small_runs.unfinished(home)


def folders_of_names(undisturbed):
    """Where names lie beside each other: folders of a run, and those of every listed source."""
    for folder, _, _ in os.walk(undisturbed):
        yield folder, os.listdir(folder)
    for name in ("stamps", "tunes"):
        by_folder = {}
        for file in manifest.listed(name):
            *parents, _ = parts = file.path.split("/")
            for depth in range(len(parents) + 1):
                by_folder.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
        for folder, names in by_folder.items():
            yield f"{name}/{folder}", sorted(names)


def test_no_two_files_of_one_folder_differ_by_case_or_composition_alone(fault, undisturbed):
    folders = list(folders_of_names(undisturbed))
    each = fault(
        GROUP,
        "the data home lies on a disk that takes upper and lower case for the same",
        "no two names of a folder fall together, and none is a name that such a disk refuses",
        full=len(folders),
    )
    for folder, names in folders:
        with each.once(folder):
            same = {unicodedata.normalize("NFC", name).casefold() for name in names}
            assert len(same) == len(names)
            assert not [name for name in names if set(name) & set('<>:"|?*\\') or name[-1] in " ."]


DAMAGE = {
    "removed": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another's": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n{}"),
}
BROKEN = (
    *("corpora/*/record.json", "training/*/record.json", "scores/*/record.json"),
    *("corpora/*/pictures.json", "clips/*/songs.json", "training/*/vocabulary.json"),
    *("clips/*/clips/*.mp3", "picture_features/*/pooled.safetensors"),
    *("song_features/*/timbre.safetensors", "hypotheses/*/hypotheses.json"),
    *("training/*/checkpoints/*/model.safetensors", "training/*/checkpoints/*/progress.json"),
)
READERS = {  # asked for anew, so that what they read is read
    "clips/*/clips/*.mp3": "song_features",
    "picture_features/*/pooled.safetensors": "training",
    "song_features/*/timbre.safetensors": "hypotheses",
    "training/*/checkpoints/*/model.safetensors": "hypotheses",
}
CASES = [(pattern, damage) for pattern in BROKEN for damage in DAMAGE]


def test_a_broken_file_is_computed_again_or_named(fault, runs, undisturbed, tmp_path):
    each = fault(
        GROUP,
        "a file of a finished stage is removed, cut, emptied, zeroed or another's",
        "its stage is computed again, to equal bytes, or one line names it, and deleted it comes "
        "again; all other files stay as they are",
        full=len(CASES),
        few=10,
    )
    cases = CASES if each.times == len(CASES) else CASES[:: len(CASES) // 10][:10]
    for pattern, damage in cases:
        home = tmp_path / f"broken {each.tried}"
        shutil.copytree(undisturbed, home)
        path = sorted((home / "runs").glob(pattern))[-1]
        stage, reader = pattern.split("/")[0], READERS.get(pattern, "nothing")
        shutil.rmtree(home / "runs" / reader, ignore_errors=True)
        before = small_runs.as_they_lie(home)
        with each.once(f"{pattern} {damage}"):
            DAMAGE[damage](path)
            pid = runs.start(home)
            said = runs.check(pid, runs.wait(pid), 0, 2)
            computed = runs.computed(pid)
            if said:
                assert path.name in said
                path.unlink()
                computed += runs.finish(home)
            assert set(computed) <= {stage, reader}
            after = small_runs.as_they_lie(home)
            own = {name for name in before if name.parts[1] == stage}
            assert all(after[name] == before[name] for name in before.keys() - own)
            small_runs.check_equal(home, undisturbed)
        shutil.rmtree(home)
