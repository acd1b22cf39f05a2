import os
import warnings

import pytest
import torch
from torch.nn.functional import cosine_similarity

from songtitle.model import features
from songtitle.model.encoder import build_backbone
from songtitle.model.features import Encoder, Plan, compiling_pays, native_precision, plan_for

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_backbone("resnet18", "none", memory="map")


@pytest.fixture
def images():
    return torch.rand(5, 3, 64, 96, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def one_compilation():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch", [1, 3, 5, 7])
def test_a_plan_changes_how_features_are_made_but_not_what_they_are(
    backbone, images, precision, batch
):
    found = Encoder(backbone, Plan(precision=precision, batch=batch))(images)
    plain = backbone(images)
    assert found.shape == plain.shape == (5, 6, 512)
    assert found.dtype == torch.float32
    assert cosine_similarity(found, plain, dim=-1).min() >= 0.999
    assert (found - plain).abs().max() <= (1e-4 if precision == "fp32" else 0.03) * plain.max()


def test_bf16_does_round(backbone, images):
    exact = Encoder(backbone, Plan(precision="fp32", batch=5))(images)
    rounded = Encoder(backbone, Plan(precision="bf16", batch=5))(images)
    assert not torch.allclose(exact, rounded, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_picture_has_the_same_features_to_the_last_bit_whatever_comes_with_it(
    backbone, images, precision
):
    encoder = Encoder(backbone, Plan(precision=precision, batch=3))
    together = encoder(images)
    for cuts in ([1, 4], [2, 3], [4, 1]):
        assert torch.equal(torch.cat([encoder(part) for part in images.split(cuts)]), together)


def test_an_encoder_leaves_its_backbone_as_it_was(backbone, images):
    before = backbone(images)
    Encoder(backbone, Plan(precision="bf16", batch=2))(images)
    assert torch.equal(backbone(images), before)
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


def test_features_can_be_trained_upon(backbone, images):
    found = Encoder(backbone, Plan(precision="fp32", batch=2))(images)
    torch.nn.Linear(512, 3)(found).sum().backward()


slow = pytest.mark.skipif(not os.environ.get("SONGTITLE_SLOW"), reason="SONGTITLE_SLOW is not set")


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=slow)])
def test_a_compiled_network_gives_the_same_features(one_compilation, images, precision):
    network = build_backbone("efficientnet_lite0", "none")
    network.trunk = torch.nn.Sequential(network.trunk.conv_stem, torch.nn.ReLU())  # compiles fast
    encoder = Encoder(network, Plan(precision=precision, batch=3, compiled=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = encoder(images)
    assert encoder.compile_seconds > 0
    assert cosine_similarity(found, network(images), dim=-1).min() >= 0.999
    spent = encoder.compile_seconds
    assert torch.equal(encoder(images), found)
    assert encoder.compile_seconds == spent  # once


def test_without_a_compiler_the_network_runs_uncompiled_and_says_so(backbone, images, monkeypatch):
    def no_compiler(trunk, **_):
        def run(images):
            msg = "no C++ compiler found\nand more"
            raise RuntimeError(msg)

        return Wrapped(run)

    class Wrapped(torch.nn.Module):
        def __init__(self, run):
            super().__init__()
            self.run = run

        def forward(self, images):
            return self.run(images)

    monkeypatch.setattr(torch, "compile", no_compiler)
    encoder = Encoder(backbone, Plan(precision="fp32", batch=3, compiled=True))
    with pytest.warns(UserWarning, match="goes on uncompiled.*no C.. compiler found"):
        found = encoder(images)
    plain = Encoder(backbone, Plan(precision="fp32", batch=3))
    assert torch.equal(found, plain(images))
    assert encoder.compile_seconds == 0.0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiling_pays_once_it_saves_twice_what_it_costs(precision):
    layers = 155
    cost = features.COMPILE_SECONDS + layers * features.COMPILE_SECONDS_PER_CONVOLUTION
    even = 2 * cost / features.SAVED[precision]
    assert not compiling_pays(0.99 * even, layers=layers, precision=precision)
    assert compiling_pays(1.01 * even, layers=layers, precision=precision)
    assert not compiling_pays(1.01 * even, layers=2 * layers, precision=precision)


def test_small_jobs_are_neither_measured_nor_compiled(backbone, monkeypatch):
    monkeypatch.setattr(features, "Encoder", None)  # would fail if it were asked for
    plan = plan_for(backbone, pictures=1599, height=256, width=256)
    assert plan == Plan(precision=native_precision(CPU), batch=4)


def test_large_jobs_are_measured_and_compiled_when_that_pays(backbone, monkeypatch):
    asked = []

    def pays(seconds, *, layers, precision):
        asked.append((seconds, layers))
        return seconds > 1

    monkeypatch.setattr(features, "compiling_pays", pays)
    monkeypatch.setitem(features.PIXELS, "cpu", 2 * 64**2)
    small = plan_for(backbone, pictures=800, height=64, width=64)
    large = plan_for(backbone, pictures=10**9, height=64, width=64)
    assert (small.batch, large.batch) == (2, 2)
    assert large.compiled
    assert asked[1][0] > 1000 * asked[0][0]
    assert asked[0][1] == 20  # convolutions of ResNet-18


@pytest.mark.parametrize(
    ("pictures", "side", "batch"),
    [(100, 256, 4), (100, 512, 1), (100, 2048, 1), (1000, 32, 256), (7, 32, 7), (0, 32, 1)],
)
def test_a_batch_has_the_area_that_a_cache_likes_and_no_more_pictures_than_there_are(
    backbone, pictures, side, batch
):
    assert plan_for(backbone, pictures=pictures, height=side, width=side).batch == batch


def test_a_cpu_computes_in_bf16_where_it_has_a_unit_for_it_and_else_in_fp32(monkeypatch):
    for amx, avx512 in [(False, False), (True, False), (False, True)]:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda on=amx: on, raising=False)
        monkeypatch.setattr(
            torch.cpu, "_is_avx512_bf16_supported", lambda on=avx512: on, raising=False
        )
        assert native_precision(CPU) == ("bf16" if amx or avx512 else "fp32")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert native_precision(CPU) == "fp32"
