"""Laws of stages: done once, done anew after any change, never half done."""

import inspect
import json
import linecache

import pytest

from songtitle.stages import (
    _reachable,
    _versions,
    code_version,
    finished,
    read_record,
    run_stage,
)


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
    assert not [name for name in _reachable(training) if name.startswith("songtitle.stages")]
    assert not [name for name in reached if name.startswith(("songtitle.audio", "songtitle.plots"))]


def test_a_helper_counts_with_the_stage_that_calls_it(tmp_path, monkeypatch):
    monkeypatch.setattr("songtitle.stages._is_ours", inspect.isfunction)
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
        "from songtitle.experiment import measures\n"
        "from songtitle.stages import _reachable\n"
        "reached = _reachable(measures.links)\n"
        "assert 'songtitle.datasets.web_pictures.worker' in reached\n"
        "sys.exit('img2dataset' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
