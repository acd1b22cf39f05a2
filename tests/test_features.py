"""Laws of features: the same to the last bit in any company, and kept whole through a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity

from songtitle.config import PRESETS, ModelConfig
from songtitle.errors import InputError
from songtitle.experiment.inputs import _memories, clip_picture, encoder_settings
from songtitle.model import features
from songtitle.model.encoder import build_backbone
from songtitle.model.features import (
    Encoder,
    FeatureWriter,
    Job,
    Look,
    Plan,
    native_precision,
    plan_for,
    read_features,
    run_jobs,
)

QUICK = PRESETS["quick"]

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_backbone("resnet18", "none", memory="map")


# --- what the network is shown of a song


@pytest.mark.parametrize("fit", ["crop", "whole"])
def test_inverted_a_song_is_black_on_white_and_its_silence_white(fit):
    config = replace(QUICK, spectrogram_fit=fit, clip_seconds=6.0)
    time = torch.arange(40_000) / config.spectrogram.sample_rate  # shorter than a clip
    wave = torch.sin(2 * torch.pi * 440 * time)
    inverted = replace(config, spectrogram=replace(config.spectrogram, inverted=True))
    plain = clip_picture(wave, "a.mp3", config)
    torch.testing.assert_close(clip_picture(wave, "a.mp3", inverted), 1 - plain)
    assert plain.min() == 0  # silence, which is white in the other


# --- the network, faster


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
    plain = backbone(images)
    found = Encoder(backbone, Plan(precision=precision, batch=batch))(images)
    assert torch.equal(backbone(images), plain)  # left as it was
    torch.nn.Linear(512, 3)(found).sum().backward()  # features can be trained upon
    assert found.shape == plain.shape == (5, 6, 512)
    assert found.dtype == torch.float32
    assert cosine_similarity(found, plain, dim=-1).min() >= 0.999
    off = (found - plain).abs().max() / plain.max()
    assert off <= 1e-4 if precision == "fp32" else 1e-4 < off <= 0.03


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_picture_has_the_same_features_to_the_last_bit_whatever_comes_with_it(
    backbone, images, precision
):
    encoder = Encoder(backbone, Plan(precision=precision, batch=3))
    together = encoder(images)
    for cuts in ([1, 4], [2, 3], [4, 1]):
        assert torch.equal(torch.cat([encoder(part) for part in images.split(cuts)]), together)


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


@pytest.mark.parametrize(("precision", "enough"), [("bf16", 10_000), ("fp32", 100_000)])
def test_a_batch_has_the_area_that_a_cache_likes_and_large_jobs_are_compiled(
    backbone, monkeypatch, precision, enough
):
    monkeypatch.setattr(features, "native_precision", lambda device: precision)
    for pictures, side, batch, compiled in [
        (enough, 256, 4, True),
        (enough - 1, 256, 4, False),
        (64 * enough, 32, 256, True),
        (64 * enough - 1, 32, 256, False),
        *[(100, 512, 1, False), (100, 2048, 1, False), (7, 32, 7, False), (0, 32, 1, False)],
    ]:
        plan = plan_for(backbone, pictures=pictures, height=side, width=side)
        assert plan == Plan(precision=precision, batch=batch, compiled=compiled)


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


# --- files


SHAPES = {"train": (11, 2, 7, 5), "test": (3, 13, 1, 5), "timbre": (11, 17)}


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def write(path, rows, *, size=4, dtype=torch.float32, stop_after=None):
    """All rows in batches; `stop_after` batches, the process is as good as killed."""
    batches = 0
    writer = FeatureWriter(path, SHAPES, dtype)
    for name, tensor in rows.items():
        for part in tensor[writer.done[name] :].split(size):
            if batches == stop_after:
                return writer
            writer.append(name, part)
            batches += 1
    writer.finish()
    return writer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_written_is_read_again(tmp_path, rows, dtype):
    path = tmp_path / "features.safetensors"
    write(path, rows, dtype=dtype)
    found = read_features(path)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == SHAPES
    for name, tensor in rows.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor.to(dtype))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("stop_after", "torn", "kept"),
    [(0, 0, 0), (2, 0, 8), (3, 0, 11), (4, 0, 14), (5, 100, 16), (5, 1053, 10), (5, 4132, 0)],
)
def test_an_interrupted_writer_goes_on_to_the_same_bytes(tmp_path, rows, stop_after, torn, kept):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    write(straight, rows)
    partial = write(broken, rows, stop_after=stop_after)._partial
    os.truncate(partial, partial.stat().st_size - torn)  # bytes that a kill tore off
    assert not broken.exists()
    assert sum(FeatureWriter(broken, SHAPES).done.values()) == kept
    write(broken, rows, size=3)
    assert broken.read_bytes() == straight.read_bytes()


KILLED = textwrap.dedent(
    """
    import sys, time, torch
    import pathlib
    from songtitle.model import features
    with features.FeatureWriter(pathlib.Path(sys.argv[1]), {"train": (400, 7, 5)}) as writer:
        for part in torch.arange(400.0 * 7 * 5).reshape(400, 7, 5).split(3):
            writer.append("train", part)
            print(writer.done["train"], flush=True)
            time.sleep(0.002)
    """
)


def test_a_killed_process_leaves_what_it_had_done_and_the_next_ends_with_the_same_bytes(tmp_path):
    path, straight = tmp_path / "killed.safetensors", tmp_path / "straight.safetensors"
    command = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    reached = next(int(line) for line in process.stdout if int(line) > 50)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not path.exists()
    rows = torch.arange(400.0 * 7 * 5).reshape(400, 7, 5)
    for target in (path, straight):
        with FeatureWriter(target, {"train": (400, 7, 5)}) as writer:
            kept = writer.done["train"]
            assert kept >= reached if target == path else kept == 0
            assert kept < 400
            writer.append("train", rows[kept:])
            writer.finish()
    assert path.read_bytes() == straight.read_bytes()


@pytest.mark.parametrize("change", ["shape", "dtype", "nonsense"])
def test_a_partial_file_of_something_else_is_begun_anew(tmp_path, rows, change):
    path = tmp_path / "features.safetensors"
    partial = write(path, rows, stop_after=2)._partial
    shapes = SHAPES | ({"test": (5, 13, 1, 5)} if change == "shape" else {})
    if change == "nonsense":
        partial.write_bytes(b"x" + partial.read_bytes())
    dtype = torch.float16 if change == "dtype" else torch.float32
    assert not any(FeatureWriter(path, shapes, dtype).done.values())


def test_a_file_is_mapped_and_takes_memory_row_by_row(tmp_path):
    path = tmp_path / "features.safetensors"
    with FeatureWriter(path, {"map": (64, 64, 4096)}) as writer:  # 64 MB
        for _ in range(64):
            writer.append("map", torch.ones(1, 64, 4096))
        writer.finish()
    code = textwrap.dedent(
        """
        import pathlib, sys, torch
        from songtitle.model.features import read_features
        def held():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096 / 2**20
        before = held()
        found = read_features(pathlib.Path(sys.argv[1]))["map"]
        assert found[5].sum() == 64 * 4096
        print(held() - before)
        found.sum()
        print(held() - before)
        """
    )
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system does not say what a process holds")
    command = [sys.executable, "-c", code, str(path)]
    one, all_of_it = map(float, subprocess.check_output(command, text=True).split())
    assert one < 16
    assert all_of_it > 60  # mapped pages do count, so the first number means something


def spoil(path, how):
    content = bytearray(path.read_bytes())
    if how == "torn":
        content = content[:-100]
    elif how == "longer":
        content += b"more"
    elif how == "a number":
        content[-3] ^= 1
    elif how == "the signature":
        at = content.index(b'sha256": "') + 12
        content[at] = ord("0") if content[at] != ord("0") else ord("1")
    elif how == "nothing left":
        content = b""
    else:
        content = b"\x80\x04pickle" * 20
    path.write_bytes(content)


@pytest.mark.parametrize(
    "how", ["torn", "longer", "a number", "the signature", "nothing left", "another kind"]
)
def test_a_torn_or_changed_file_is_refused_by_name(tmp_path, rows, how):
    path = tmp_path / "features.safetensors"
    write(path, rows)
    spoil(path, how)
    with pytest.raises(InputError, match=r"features\.safetensors: expected .*, got .*; delete it"):
        read_features(path)
    path.unlink()
    with pytest.raises(InputError, match=r"features\.safetensors: expected a feature file, got no"):
        read_features(path)


def test_rows_that_do_not_fit_are_refused_and_nothing_is_lost(tmp_path, rows):
    path = tmp_path / "features.safetensors"
    writer = FeatureWriter(path, SHAPES)
    writer.append("train", rows["train"][:7])
    with pytest.raises(InputError, match=r"train: expected at most 4 more rows of 2 x 7 x 5, got"):
        writer.append("train", rows["train"][:5])
    with pytest.raises(InputError, match=r"got 1 of 2 x 5 x 7"):
        writer.append("train", rows["train"][:1].mT)
    with pytest.raises(InputError, match=r"train: expected 11 rows, got 7"):
        writer.finish()
    write(path, rows)
    assert torch.equal(read_features(path)["train"], rows["train"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e5])
def test_a_number_that_the_file_cannot_hold_is_refused_with_its_row(tmp_path, rows, value):
    shapes = {"timbre": SHAPES["timbre"]}
    writer = FeatureWriter(tmp_path / "features.safetensors", shapes, torch.float16)
    writer.append("timbre", rows["timbre"][:3])
    rows["timbre"][5, 2] = value
    with pytest.raises(InputError, match=r"timbre: expected finite .* F16 can hold.* in row 5"):
        writer.append("timbre", rows["timbre"][3:])


def test_a_disk_that_is_too_small_is_said_before_anything_is_encoded(tmp_path):
    with pytest.raises(InputError, match=r"huge\.safetensors: expected room for \d+ MB, got"):
        FeatureWriter(tmp_path / "huge.safetensors", {"map": (10**9, 64, 1280)})
    assert list(tmp_path.iterdir()) == []


# --- jobs


BOTH = ("pooled", "map")


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
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    result = run_jobs(jobs(), backbone, tmp_path, memories=BOTH)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)
    assert json.loads(json.dumps(result))["shapes"]["pooled"]["valid"] == [5, 1, 1, 512]
    assert result["timing"]["pictures_per_second"] > 0
    assert result["parameters"] > 11e6
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
    backbone, tmp_path, small_groups, at, kept
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
