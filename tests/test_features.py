import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file

from songtitle.errors import InputError
from songtitle.model import features
from songtitle.model.features import FeatureWriter, read_details, read_features

SHAPES = {"train": (11, 2, 7, 5), "test": (3, 13, 1, 5), "timbre": (11, 17)}


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def write(path, rows, *, size=4, dtype=torch.float32, stop_after=None, **options):
    """All rows in batches; `stop_after` batches, the process is as good as killed."""
    batches = 0
    writer = FeatureWriter(path, SHAPES, dtype=dtype, **options)
    for name, tensor in rows.items():
        for part in tensor[writer.done(name) :].split(size):
            if batches == stop_after:
                return writer
            writer.append(name, part)
            batches += 1
    writer.finish()
    return writer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_written_is_read_again(tmp_path, rows, dtype):
    path = tmp_path / "features.safetensors"
    write(path, rows, dtype=dtype, details={"encoder": "none ü"})
    found = read_features(path)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == SHAPES
    for name, tensor in rows.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor.to(dtype))
    assert read_details(path)["encoder"] == "none ü"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_tensors_of_two_types_lie_in_one_file_each_on_its_alignment(tmp_path, rows):
    path = tmp_path / "features.safetensors"
    dtypes = {"train": torch.float16, "test": torch.bfloat16, "timbre": torch.float32}
    write(path, rows, dtype=dtypes)
    found = load_file(path)
    assert {name: tensor.dtype for name, tensor in found.items()} == dtypes
    assert all(torch.equal(found[name], rows[name].to(dtypes[name])) for name in rows)
    assert found["timbre"].data_ptr() % 4 == 0


def test_half_precision_is_off_by_at_most_one_part_in_2048(tmp_path):
    wide = torch.logspace(-4, 4, 1300).reshape(13, 100)
    path = tmp_path / "features.safetensors"
    with FeatureWriter(path, {"map": (13, 100)}, dtype=torch.float16) as writer:
        writer.append("map", wide)
        writer.finish()
    found = read_features(path)["map"].float()
    assert ((found - wide).abs() / wide).max() <= 2**-11


@pytest.mark.parametrize("stop_after", range(7))
def test_an_interrupted_writer_goes_on_to_the_same_bytes(tmp_path, rows, monkeypatch, stop_after):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    write(straight, rows)
    monkeypatch.setattr(features, "FLUSH_SECONDS", 0.0)
    stopped = write(broken, rows, stop_after=stop_after)
    assert sum(map(stopped.done, SHAPES)) > 0 or stop_after == 0
    assert not broken.exists()
    again = FeatureWriter(broken, SHAPES)
    assert [again.done(name) for name in SHAPES] == [stopped.done(name) for name in SHAPES]
    write(broken, rows, size=3)
    assert broken.read_bytes() == straight.read_bytes()


def test_rows_that_were_not_promised_yet_are_written_again(tmp_path, rows, monkeypatch):
    path = tmp_path / "features.safetensors"
    monkeypatch.setattr(features, "FLUSH_SECONDS", 1e9)
    write(path, rows, stop_after=2)
    assert FeatureWriter(path, SHAPES).done("train") == 0
    write(path, rows)
    assert torch.equal(read_features(path)["train"], rows["train"])


KILLED = textwrap.dedent(
    """
    import sys, time, torch
    from songtitle.model import features
    features.FLUSH_SECONDS = 0.0
    with features.FeatureWriter(sys.argv[1], {"train": (400, 7, 5)}) as writer:
        for part in torch.arange(400.0 * 7 * 5).reshape(400, 7, 5).split(3):
            writer.append("train", part)
            print(writer.done("train"), flush=True)
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
            kept = writer.done("train")
            assert kept >= reached if target == path else kept == 0
            assert kept < 400
            writer.append("train", rows[kept:])
            writer.finish()
    assert path.read_bytes() == straight.read_bytes()


@pytest.mark.parametrize("change", ["shape", "dtype", "details", "torn", "nonsense", "too many"])
def test_a_partial_file_of_something_else_is_begun_anew(tmp_path, rows, monkeypatch, change):
    path = tmp_path / "features.safetensors"
    monkeypatch.setattr(features, "FLUSH_SECONDS", 0.0)
    write(path, rows, stop_after=2)
    shapes, options = SHAPES, {}
    progress = tmp_path / "features.safetensors.progress.json"
    if change == "shape":
        shapes = SHAPES | {"test": (5, 13, 1, 5)}
    elif change == "dtype":
        options = {"dtype": torch.float16}
    elif change == "details":
        options = {"details": {"encoder": "another"}}
    elif change == "torn":
        os.truncate(tmp_path / "features.safetensors.partial", 1000)
    elif change == "nonsense":
        progress.write_text("{")
    else:
        progress.write_text(json.dumps({"rows": dict.fromkeys(SHAPES, 12)}))
    assert FeatureWriter(path, shapes, **options).done("train") == 0


def test_a_file_is_mapped_and_takes_memory_row_by_row(tmp_path):
    path = tmp_path / "features.safetensors"
    with FeatureWriter(path, {"map": (64, 64, 4096)}) as writer:  # 64 MB
        for _ in range(64):
            writer.append("map", torch.ones(1, 64, 4096))
        writer.finish()
    code = textwrap.dedent(
        """
        import sys, torch
        from songtitle.model.features import read_features
        def held():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096 / 2**20
        before = held()
        found = read_features(sys.argv[1])["map"]
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
    elif how == "a detail":
        content = content.replace(b"honest", b"dubious"[:6])
    elif how == "the signature":
        at = content.index(b'sha256": "') + 12
        content[at] = ord("0") if content[at] != ord("0") else ord("1")
    elif how == "nothing left":
        content = b""
    else:
        content = b"\x80\x04pickle" * 20
    path.write_bytes(content)


@pytest.mark.parametrize(
    "how",
    ["torn", "longer", "a number", "a detail", "the signature", "nothing left", "another kind"],
)
def test_a_torn_or_changed_file_is_refused_by_name(tmp_path, rows, how):
    path = tmp_path / "features.safetensors"
    write(path, rows, details={"encoder": "honest"})
    spoil(path, how)
    with pytest.raises(InputError, match=r"features\.safetensors: expected .*, got .*; delete it"):
        read_features(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"gone\.safetensors: expected a feature file, got no"):
        read_features(tmp_path / "gone.safetensors")


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
    writer.flush()
    write(path, rows)
    assert torch.equal(read_features(path)["train"], rows["train"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e5])
def test_a_number_that_the_file_cannot_hold_is_refused_with_its_row(tmp_path, rows, value):
    writer = FeatureWriter(tmp_path / "features.safetensors", SHAPES, dtype=torch.float16)
    writer.append("timbre", rows["timbre"][:3])
    rows["timbre"][5, 2] = value
    with pytest.raises(InputError, match=r"timbre: expected finite .* F16 can hold.* in row 5"):
        writer.append("timbre", rows["timbre"][3:])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_disk_that_is_too_small_is_said_before_anything_is_encoded(tmp_path):
    with pytest.raises(InputError, match=r"huge\.safetensors: expected room for \d+ MB, got"):
        FeatureWriter(tmp_path / "huge.safetensors", {"map": (10**9, 64, 1280)})
    assert list(tmp_path.iterdir()) == []
