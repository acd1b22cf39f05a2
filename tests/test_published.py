"""Published records: shown where they answer the question asked, and nowhere else."""

import errno
import os
from dataclasses import replace

import pytest

from songtitle.cache import Record, run_stage
from songtitle.errors import InputError
from songtitle.experiment.published import publish, published
from songtitle.presets import preset


@pytest.fixture
def config():
    return preset("tiny")


def stage_in(home, answer):
    def growing(config) -> Record:
        return run_stage("growing", lambda _: {"answer": answer}, settings={}, home=home)

    return growing


def test_what_was_published_is_shown_and_nothing_runs(tmp_path, config):
    first = stage_in(tmp_path / "first", 2)
    publish(first, config, first(config), results=tmp_path)

    def growing(config):
        raise AssertionError("the stage ran")

    found = published(growing, config, results=tmp_path)
    assert (found.result, found.key) == ({"answer": 2}, first(config).key)


def test_on_another_device_the_same_record_is_shown(tmp_path, config):
    first = stage_in(tmp_path / "first", 2)
    publish(first, config, first(config), results=tmp_path)
    second = stage_in(tmp_path / "second", 3)
    other = replace(config, device="cpu")
    assert published(second, other, results=tmp_path).result == {"answer": 2}


@pytest.mark.parametrize("change", [{"seed": 7}, {"replicates": 3}])
def test_with_other_settings_the_stage_runs_here(tmp_path, config, change):
    first, second = stage_in(tmp_path / "first", 2), stage_in(tmp_path / "second", 3)
    publish(first, config, first(config), results=tmp_path)
    assert published(second, replace(config, **change), results=tmp_path).result == {"answer": 3}


def test_asked_again_the_stage_runs_here_and_its_record_takes_the_others_place(tmp_path, config):
    first, second = stage_in(tmp_path / "first", 2), stage_in(tmp_path / "second", 3)
    publish(first, config, first(config), results=tmp_path)
    found = published(second, config, again=True, results=tmp_path)
    publish(second, config, found, results=tmp_path)
    assert published(first, config, results=tmp_path).result == {"answer": 3}


def test_publishing_a_published_record_changes_no_byte(tmp_path, config):
    first = stage_in(tmp_path / "first", 2)
    path = publish(first, config, first(config), results=tmp_path)
    before = path.read_bytes()
    publish(first, config, published(first, config, results=tmp_path), results=tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_torn_record_is_refused_by_name_and_another_is_made_when_asked_again(
    tmp_path, config, share
):
    first = stage_in(tmp_path / "first", 2)
    path = publish(first, config, first(config), results=tmp_path)
    whole = path.read_text("utf-8")
    path.write_text(whole[: int(share * len(whole))], "utf-8")
    with pytest.raises(InputError, match=r"growing\.json: expected a published record, got a torn"):
        published(first, config, results=tmp_path)
    publish(first, config, published(first, config, again=True, results=tmp_path), results=tmp_path)
    assert path.read_text("utf-8") == whole
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_results_that_cannot_be_written_are_named_and_the_old_ones_stay(
    tmp_path, config, monkeypatch
):
    first, second = stage_in(tmp_path / "first", 2), stage_in(tmp_path / "second", 3)
    path = publish(first, config, first(config), results=tmp_path)
    before, record = path.read_bytes(), second(config)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("songtitle.cache.os.replace", full)
    with pytest.raises(InputError, match=r"results of growing: No space left on device: .*; make"):
        publish(second, config, record, results=tmp_path)
    assert path.read_bytes() == before
