"""Laws of stages: done once, done anew after any change, never half done."""

import errno
import inspect
import json
import linecache
import os
import shutil
import subprocess

import pytest

from songtitle.cache import (
    _reachable,
    _versions,
    code_version,
    finished,
    provenance,
    read_record,
    run_stage,
)
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


def test_a_stage_that_fails_leaves_no_record_and_runs_again(tmp_path):
    def broken(folder):
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        run_stage("stage", broken, settings={}, home=tmp_path)
    assert finished(tmp_path) == []


def test_an_interrupted_stage_goes_on_with_what_it_had_written(tmp_path):
    attempts = []

    def compute(folder):
        attempts.append((folder / "first.txt").exists())
        (folder / "first.txt").write_text("done")
        if len(attempts) == 1:
            raise RuntimeError("killed")
        return {"ok": True}

    with pytest.raises(RuntimeError):
        run_stage("stage", compute, settings={}, home=tmp_path)
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


def test_timing_is_kept_apart_from_what_the_stage_found(tmp_path):
    record, _ = counted(tmp_path)
    assert record.result == {"answer": 42}
    assert record.timing["fast"] == 1
    assert record.timing["seconds"] >= 0


def test_a_record_names_code_and_machine_but_no_folder(tmp_path):
    record, _ = counted(tmp_path)
    assert {"songtitle", "commit", "python", "system", "started"} <= set(record.provenance)
    assert str(tmp_path) not in json.dumps(record.as_dict())


def test_finished_records_come_oldest_first(tmp_path):
    first, _ = counted(tmp_path)
    second, _ = counted(tmp_path, settings={"a": 2})
    assert [record.key for record in finished(tmp_path, "count")] == [first.key, second.key]
    assert read_record(first.folder) == first


def module(folder, monkeypatch, source):
    """The code version of `stage` in a module `plain_module` with this source."""
    import importlib
    import sys

    (folder / "plain_module.py").write_text(source)
    linecache.clearcache()  # inspect reads sources through it
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop("plain_module", None)
    importlib.invalidate_caches()
    return code_version(importlib.import_module("plain_module").stage)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("x + 1", "x + 2"), False),
        (("    return x + 1", "    # why\n    return (x + 1)"), True),
        (('"""Doc."""', '"""Other."""'), True),
    ],
    ids=["code", "comment and layout", "docstring"],
)
def test_code_counts_and_prose_does_not(tmp_path, monkeypatch, change, same):
    source = 'def stage(x):\n    """Doc."""\n    return x + 1\n'
    first = module(tmp_path, monkeypatch, source)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert (module(tmp_path, monkeypatch, source.replace(*change)) == first) is same


def test_a_stage_depends_on_what_it_names_and_on_what_that_names_and_on_nothing_else():
    from songtitle.datasets import stamps
    from songtitle.experiment import training
    from songtitle.metrics import corpus_bleu

    def compute(folder):
        return {"score": corpus_bleu([["a"]], [[["a"]]]).score, "home": stamps.load(folder)}

    reached = _reachable(compute)
    assert {"songtitle.metrics.bleu.corpus_bleu", "songtitle.metrics.bleu.BleuScore"} <= set(
        reached
    )
    assert {"songtitle.datasets.stamps", "songtitle.manifest"} <= set(reached)  # whole modules
    assert "songtitle.metrics.pairs.unigram_pair_scores" not in reached
    assert not [name for name in _reachable(training) if name.startswith("songtitle.cache")]
    assert not [name for name in reached if name.startswith(("songtitle.audio", "songtitle.plots"))]


def test_a_helper_counts_with_the_stage_that_calls_it(tmp_path, monkeypatch):
    monkeypatch.setattr("songtitle.cache._is_ours", inspect.isfunction)
    source = "def helper():\n    return 1\n\ndef stage(x):\n    return helper()\n"
    first = module(tmp_path, monkeypatch, source)
    _versions.clear()
    assert module(tmp_path, monkeypatch, source.replace("return 1", "return 2")) != first


def test_a_cached_helper_counts_as_well():
    from songtitle.datasets import tunes

    assert tunes._sound_font is not inspect.unwrap(tunes._sound_font)
    assert "songtitle.datasets.tunes._sound_font" in _reachable(tunes._synthesizer)


def test_a_module_that_is_imported_within_a_function_counts_as_well():
    from songtitle.search.candidates import best_tokens

    assert "songtitle.search.row_kernel" in _reachable(best_tokens)


def test_closures_of_one_code_count_by_what_they_carry():
    from songtitle.metrics import corpus_bleu, sentence_bleu

    def carrying(measure):
        return lambda folder: {"found": measure}

    versions = [code_version(carrying(each)) for each in (corpus_bleu, sentence_bleu, corpus_bleu)]
    assert versions[0] == versions[2] != versions[1]


def test_what_a_stage_can_reach_is_read_and_not_imported():
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from songtitle.census import measures\n"
        "from songtitle.cache import _reachable\n"
        "reached = _reachable(measures.links)\n"
        "assert 'songtitle.datasets.web_pictures.worker' in reached\n"
        "sys.exit('img2dataset' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
