"""Laws of stages: done once, done anew after any change, never half done."""

import errno
import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from songtitle import cache
from songtitle.cache import (
    Record,
    Work,
    finished,
    provenance,
    publish,
    published,
    read_record,
    run_stage,
    stage,
)
from songtitle.config import TIMBRE, preset
from songtitle.errors import InputError


def counted(folder, *, name="count", settings=None, inputs=(), calls=None):
    calls = [] if calls is None else calls

    def compute(target):
        calls.append(1)
        (target / "file.txt").write_text("here")
        return {"answer": 42, "timing": {"fast": 1}}

    record = run_stage(name, compute, settings=settings or {"a": 1}, inputs=inputs, home=folder)
    return record, calls


def test_a_finished_stage_is_not_computed_again(tmp_path):
    first, calls = counted(tmp_path)
    second, calls = counted(tmp_path, calls=calls)
    assert len(calls) == 1
    assert first == second
    assert second.file("file.txt").read_text() == "here"


def test_a_changed_setting_or_input_computes_anew_beside_the_old(tmp_path):
    first, calls = counted(tmp_path)
    second, calls = counted(tmp_path, settings={"a": 2}, calls=calls)
    third, calls = counted(tmp_path, inputs=[second], calls=calls)
    assert len(calls) == 3
    assert len({first.key, second.key, third.key}) == 3
    assert first.file("file.txt").exists()
    assert third.inputs == {"count": second.key}
    assert finished(tmp_path, "count") == [first, second, third]  # oldest first
    assert read_record(first.folder) == first


def test_a_stage_that_fails_leaves_no_record_and_goes_on_with_what_it_had_written(tmp_path):
    attempts = []

    def compute(folder):
        attempts.append((folder / "first.txt").exists())
        (folder / "first.txt").write_text("done")
        if len(attempts) == 1:
            raise RuntimeError("killed")
        return {"ok": True}

    with pytest.raises(RuntimeError):
        run_stage("stage", compute, settings={}, home=tmp_path)
    assert finished(tmp_path) == []
    record = run_stage("stage", compute, settings={}, home=tmp_path)
    assert attempts == [False, True]
    assert record.result == {"ok": True}


@pytest.mark.parametrize("content", ["", '{"stage": "cou', "[]", '{"stage": "count"}'])
def test_a_stage_whose_record_is_torn_is_computed_anew_and_listed_by_nobody(tmp_path, content):
    first, calls = counted(tmp_path)
    first.file("record.json").write_text(content)
    assert finished(tmp_path) == []
    second, calls = counted(tmp_path, calls=calls)
    assert len(calls) == 2
    assert (second.key, second.result) == (first.key, first.result)


@pytest.mark.parametrize("content", [None, "he", "where"], ids=["gone", "cut", "longer"])
def test_a_stage_whose_files_are_not_as_it_left_them_is_computed_anew(tmp_path, content):
    record, calls = counted(tmp_path)
    file = record.file("file.txt")
    file.unlink() if content is None else file.write_text(content)
    counted(tmp_path, calls=calls)
    assert len(calls) == 2
    assert file.read_text() == "here"


def test_a_record_that_says_nothing_of_its_files_stands(tmp_path):
    record, calls = counted(tmp_path)
    earlier = json.loads(record.file("record.json").read_text())
    del earlier["provenance"]["files"]
    record.file("record.json").write_text(json.dumps(earlier))
    counted(tmp_path, calls=calls)
    assert len(calls) == 1


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_is_named_in_one_line(tmp_path, number, named):
    def refused(folder):
        raise OSError(number, os.strerror(number), *([str(folder / "file")] if named else []))

    with pytest.raises(InputError, match=rf"stage s: {os.strerror(number)}: {tmp_path}.*; make r"):
        run_stage("s", refused, settings={}, home=tmp_path)


def test_a_data_home_that_goes_away_is_named_and_any_other_missing_file_is_a_fault_of_the_code(
    tmp_path,
):
    def gone(folder):
        shutil.rmtree(tmp_path / "home")
        (folder / "file").write_text("")

    with pytest.raises(InputError, match=r"stage s: No such file or directory: .*file; make room"):
        run_stage("s", gone, settings={}, home=tmp_path / "home")
    with pytest.raises(FileNotFoundError):
        run_stage("s", lambda _: (tmp_path / "x").read_text(), settings={}, home=tmp_path / "home")


def test_a_full_disk_is_named_in_whatever_words_a_library_says_it(tmp_path, monkeypatch):
    def confused(folder):
        raise RuntimeError("invalid file\nof size 0")

    with pytest.raises(RuntimeError, match="invalid file"):
        run_stage("s", confused, settings={}, home=tmp_path)
    full = shutil._ntuple_diskusage(1 << 30, 1 << 30, 4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match=r"stage s: invalid file: .*; make room there") as error:
        run_stage("s", confused, settings={}, home=tmp_path)
    assert "\n" not in str(error.value)


def test_a_killed_run_cannot_leave_the_clone_locked(monkeypatch):
    asked, run = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda c, **how: asked.append(c) or run(c, **how))
    provenance()
    assert asked
    assert all(command[:2] == ["git", "--no-optional-locks"] for command in asked)


def test_a_record_keeps_timing_apart_and_names_code_and_machine_but_no_folder(tmp_path):
    record, _ = counted(tmp_path)
    assert record.result == {"answer": 42}
    assert record.timing["fast"] == 1
    assert record.timing["seconds"] >= 0
    assert {"songtitle", "commit", "python", "system", "started"} <= set(record.provenance)
    assert str(tmp_path) not in json.dumps(record.as_dict())


# --- published records: shown where they answer the question asked, and nowhere else


@pytest.fixture
def config():
    return preset("tiny")


def stage_in(home, answer):
    def growing(config) -> Record:
        return run_stage("growing", lambda _: {"answer": answer}, settings={}, home=home)

    return growing


@pytest.fixture
def two(tmp_path, config):
    """Two stages of one name and other answers, and where the first is published."""
    first, second = stage_in(tmp_path / "first", 2), stage_in(tmp_path / "second", 3)
    return first, second, publish(first, config, first(config), root=tmp_path)


@pytest.mark.parametrize(
    ("change", "answer"),
    [({}, 2), ({"device": "cpu"}, 2), ({"seed": 7}, 3), ({"replicates": 3}, 3)],
)
def test_what_was_published_with_these_settings_is_shown_whatever_the_device(
    tmp_path, config, two, change, answer
):
    _, second, _ = two
    found = published(second, replace(config, **change), roots=[tmp_path])
    assert found.result == {"answer": answer}
    assert (found.folder == tmp_path / "tiny") == (answer == 2)


def test_asked_again_the_stage_runs_here_and_its_record_takes_the_others_place(
    tmp_path, config, two
):
    first, second, path = two
    before = path.read_bytes()
    publish(first, config, published(first, config, roots=[tmp_path]), root=tmp_path)
    assert path.read_bytes() == before  # a published record is published already
    found = published(second, config, again=True, roots=[tmp_path])
    publish(second, config, found, root=tmp_path)
    assert published(first, config, roots=[tmp_path]).result == {"answer": 3}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_torn_record_is_refused_by_name_and_another_is_made_when_asked_again(
    tmp_path, config, two, share
):
    first, _, path = two
    whole = path.read_text("utf-8")
    path.write_text(whole[: int(share * len(whole))], "utf-8")
    with pytest.raises(InputError, match=r"growing\.json: expected a published record, got a torn"):
        published(first, config, roots=[tmp_path])
    publish(first, config, published(first, config, again=True, roots=[tmp_path]), root=tmp_path)
    assert path.read_text("utf-8") == whole
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_results_that_cannot_be_written_are_named_and_the_old_ones_stay(
    tmp_path, config, two, monkeypatch
):
    _, second, path = two
    before, record = path.read_bytes(), second(config)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("songtitle.cache.os.replace", full)
    with pytest.raises(InputError, match=r"results of growing: No space left on device: .*; make"):
        publish(second, config, record, root=tmp_path)
    assert path.read_bytes() == before


def test_a_record_that_other_code_made_is_shown_and_says_so_and_a_current_one_comes_first(
    tmp_path, config
):
    first, second = stage_in(tmp_path / "first", 2), stage_in(tmp_path / "second", 3)
    path = publish(first, config, first(config), root=tmp_path / "theirs")
    content = json.loads(path.read_text("utf-8"))
    content["code"]["songtitle.metrics.bleu"] = "00000000"
    path.write_text(json.dumps(content), "utf-8")
    roots = [tmp_path / "ours", tmp_path / "theirs"]
    found = published(second, config, roots=roots)
    assert (found.result, found.changed) == ({"answer": 2}, ["songtitle.metrics.bleu"])
    path.write_text(json.dumps(content | {"code": "4f1e"}), "utf-8")  # an earlier kind of key
    assert published(second, config, roots=roots).changed == ["songtitle"]
    publish(second, config, second(config), root=tmp_path / "ours")
    assert published(second, config, roots=roots[::-1]).result == {"answer": 3}


def test_a_stage_is_asked_once_a_process_and_again_when_its_code_was_reloaded(
    tmp_path, monkeypatch
):
    asked = []

    @stage
    def growing(config, *, home):
        asked.append(config)
        return Work(lambda _: {}, {"c": config})

    for _ in range(2):
        growing("a", home=tmp_path)
    assert asked == ["a"]
    growing("b", home=tmp_path)
    assert asked == ["a", "b"]
    monkeypatch.setattr(cache, "code_of", lambda _: {"songtitle.x": "1"})
    growing("a", home=tmp_path)
    assert asked == ["a", "b", "a"]


def test_a_stage_has_its_function_s_name_and_its_record_plain_values(tmp_path, config):
    first, _ = counted(tmp_path)

    @stage
    def grown(config, name, *, home):
        settings = {"search": config.search, "records": {"a": first}.values(), "input": TIMBRE}
        return Work(lambda folder: {"input": TIMBRE, "name": name}, settings, [first])

    record = grown(config, "x", home=tmp_path)
    assert (record.stage, record.inputs) == ("grown", {"count": first.key})
    assert record.result == {"input": "songs: timbre", "name": "x"}
    assert record.settings["search"] == config.as_dict()["search"]
    assert (record.settings["records"], record.settings["input"]) == ([first.key], "songs: timbre")
    with pytest.raises(TypeError, match="expected plain values in a record, got"):
        run_stage("s", lambda folder: {"set": {1}}, settings={}, home=tmp_path)


def test_what_was_run_here_is_read_before_what_came_with_the_clone_where_it_is_current(
    tmp_path, monkeypatch
):
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    monkeypatch.setattr(cache, "OWN", own)
    monkeypatch.setattr(cache, "PUBLISHED", theirs)
    for root, name, code in [
        (own, "a", {}), (theirs, "a", {}),
        (own, "f", {}), (theirs, "f", {}),  # both current
        (own, "b", "old"), (theirs, "b", {}),
        (own, "c", "old"),
        (theirs, "d", "old"),
    ]:  # fmt: skip
        (root / "quick").mkdir(parents=True, exist_ok=True)
        (root / "quick" / f"{name}.json").write_text(json.dumps({"code": code}))
    for name in "ae":  # cut while they were written
        (own / "quick" / f"{name}.json").write_text('{"code": {')
    found = {name: path.parents[1].name for name, path in cache.results().items()}
    assert found == {
        "quick/a.json": "theirs",
        "quick/b.json": "theirs",
        "quick/c.json": "own",
        "quick/d.json": "theirs",
        "quick/f.json": "own",
    }
