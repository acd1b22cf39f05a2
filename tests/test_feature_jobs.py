import json
from dataclasses import replace

import pytest
import torch

from songtitle.config import QUICK, ModelConfig
from songtitle.experiment.inputs import _memories, encoder_settings
from songtitle.model import features
from songtitle.model.encoder import build_backbone
from songtitle.model.features import Job, Look, read_features, run_jobs

BOTH = ("pooled", "map")


@pytest.fixture(scope="module")
def backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_backbone("resnet18", "none", memory="map")


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(features, "GROUP", 3)
    monkeypatch.setitem(features.PIXELS, "cpu", 4 * 64 * 96)


def picture(item, views=2):
    generator = torch.Generator().manual_seed(item)
    return torch.rand(views, 3, 64, 96, generator=generator)


def jobs(look=picture):
    return [
        Job("train", range(11), lambda item: Look(look(item))),
        Job("valid", range(5), lambda item: Look(look(item, views=1))),
    ]


def test_each_item_has_its_views_in_both_files_as_the_backbone_alone_sees_them(
    backbone, tmp_path, small_groups, monkeypatch
):
    monkeypatch.setattr(features, "native_precision", lambda device: "fp32")  # as it is alone
    result = run_jobs(jobs(), backbone, tmp_path, memories=BOTH)
    pooled, maps = (read_features(tmp_path / f"{memory}.safetensors") for memory in BOTH)
    assert pooled["train"].shape == (11, 2, 1, 512)
    assert maps["train"].shape == (11, 2, 6, 512)
    assert maps["valid"].shape == (5, 1, 6, 512)
    assert result["shapes"]["map"]["train"] == (11, 2, 6, 512)
    for item in range(11):
        alone = backbone(picture(item))
        torch.testing.assert_close(maps["train"][item].float(), alone, rtol=1e-3, atol=1e-3)
        mean = alone.mean(1, keepdim=True)
        torch.testing.assert_close(pooled["train"][item], mean, rtol=1e-4, atol=1e-4)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("at", "kept"), [(2, 0), (7, 6), (13, 11)])
def test_a_job_that_was_killed_goes_on_to_the_same_bytes(
    backbone, tmp_path, small_groups, monkeypatch, at, kept
):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    run_jobs(jobs(), backbone, straight, memories=BOTH)
    looked = []

    def breaks(item, views=2):
        looked.append(item)
        if len(looked) == at + 2:  # one look of each job tells the shape
            raise Killed
        return picture(item, views)

    with pytest.raises(Killed):
        run_jobs(jobs(breaks), backbone, broken, memories=BOTH)
    looked.clear()
    monkeypatch.setattr(features, "plan_for", None)  # the plan is that of the first start

    def counts(item, views=2):
        looked.append(item)
        return picture(item, views)

    run_jobs(jobs(counts), backbone, broken, memories=BOTH)
    assert len(looked) == 2 + 16 - kept  # what was done is not done again
    for memory in BOTH:
        name = f"{memory}.safetensors"
        assert (broken / name).read_bytes() == (straight / name).read_bytes()


def test_timbre_lies_in_a_file_of_its_own_and_survives_a_kill(backbone, tmp_path, small_groups):
    def look(item, fails=None):
        if item == fails:
            raise Killed
        return Look(picture(item, views=1), torch.full((90,), float(item)))

    failing = [Job("songs", range(8), lambda item: look(item, fails=7))]
    with pytest.raises(Killed):
        run_jobs(failing, backbone, tmp_path, memories=("pooled",))
    run_jobs([Job("songs", range(8), look)], backbone, tmp_path, memories=("pooled",))
    timbre = read_features(tmp_path / "timbre.safetensors")["songs"]
    assert timbre.shape == (8, 1, 1, 90)
    assert timbre[:, 0, 0, 5].tolist() == list(range(8))
    assert not (tmp_path / "map.safetensors").exists()


def test_torch_has_as_many_threads_after_a_job_as_before(backbone, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    run_jobs(jobs()[1:], backbone, tmp_path, memories=("pooled",))
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_findings_are_plain_values(backbone, tmp_path):
    result = run_jobs(jobs()[1:], backbone, tmp_path, memories=("pooled",))
    assert json.loads(json.dumps(result))["shapes"] == {"pooled": {"valid": [5, 1, 1, 512]}}
    assert result["timing"]["pictures_per_second"] > 0
    assert result["parameters"] > 11e6


def test_maps_are_kept_only_where_a_decoder_looks_at_them():
    only_lstm = replace(QUICK, compared_decoders=("lstm",))
    assert _memories(only_lstm) == ["pooled"]
    assert _memories(replace(QUICK, compared_decoders=("lstm", "attention"))) == ["pooled", "map"]
    assert _memories(QUICK, compared=()) == ["pooled"]
    looks = replace(only_lstm, model=ModelConfig(decoder="transformer"))
    assert _memories(looks) == _memories(looks, compared=()) == ["pooled", "map"]


def test_settings_know_weights_by_content_not_by_path(tmp_path):
    def settings(path):
        model = ModelConfig(encoder="resnet18", weights=str(path))
        return encoder_settings(replace(QUICK, device="cpu", model=model))

    for name, content in (("a.pth", b"one"), ("b.pth", b"one"), ("c.pth", b"other")):
        (tmp_path / name).write_bytes(content)
    assert settings(tmp_path / "a.pth") == settings(tmp_path / "b.pth")
    assert settings(tmp_path / "a.pth") != settings(tmp_path / "c.pth")
    assert str(tmp_path) not in json.dumps(settings(tmp_path / "a.pth"))
