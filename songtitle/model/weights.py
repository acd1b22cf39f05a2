"""Weights: the tensors of a picture network, by name or from a file, hash-checked before use.

A setting `weights` is `"imagenet"`, `"imagenet_v2"`, `"none"`, or the path of a state dict: a
`.safetensors` file, or a PyTorch file that is read without executing anything (`weights_only`).
`PATH#sha256=...` names the hash that the file must have; a file name that ends in `-` and
hexadecimal digits, as torchvision's do, names how it must begin.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from songtitle.corpora.manifest import File, listed, named_home, package_folder, sha256, verify
from songtitle.errors import InputError

# "imagenet" is what the paper, of 2020, could have had: torchvision's first weights. Its second
# weights, trained in 2021 by a longer recipe, are "imagenet_v2" (torchvision has no V2 of ResNet-18
# and ResNet-34).
TORCHVISION_SETS = {"imagenet": "IMAGENET1K_V1", "imagenet_v2": "IMAGENET1K_V2"}
NAMED = ("imagenet", "imagenet_v2", "none")
SOURCE = "torchvision_weights"  # in data_manifest/, and below the data home once fetched


def network_state(name: str, weights: str, network: nn.Module) -> dict[str, Tensor] | None:
    """Read the state dict that `weights` means for the picture network `name`; None for `"none"`.

    `network` is the whole network as its library builds it: it gives the packaged EfficientNets
    their names. Raises InputError where the file is not there, is torn, holds anything but
    tensors, or has another hash.
    """
    if weights == "none":
        return None
    if weights not in NAMED:
        return read_state(weights)
    if name.startswith("resnet"):
        return read_state(str(_fetched(name, _address(name, weights))))
    file = _packaged(name, weights)
    folder = package_folder(Path(file.path).parts[0]).parent
    if any(verify([file], folder)):
        msg = f"{file.path}: expected sha256 {file.sha256}; reinstall the package that carries it"
        raise InputError(msg)
    state = torch.load(folder / file.path, map_location="cpu", weights_only=True)
    # The packages name their entries otherwise; order and shapes are timm's.
    return dict(zip(network.state_dict(), state.values(), strict=True))


def weights_digest(name: str, weights: str) -> str:
    """Name the weights in characters that change when they do: the key of what follows.

    `"sha256:..."` of the content for a file and for the packaged EfficientNets, the published file
    name, which holds eight digits of the hash, for torchvision's weights, and `"none"` for a
    network as initialised (its content follows from the seed).
    """
    if weights == "none":
        return "none"
    if weights not in NAMED:
        return f"sha256:{sha256(_split(weights)[0])}"
    if name.startswith("resnet"):
        return _address(name, weights).rpartition("/")[2]
    return f"sha256:{_packaged(name, weights).sha256}"


def read_state(weights: str) -> dict[str, Tensor]:
    """Read the state dict in a file, `PATH` or `PATH#sha256=...`; see the module for the checks."""
    path, wanted = _split(weights)
    found = sha256(path) if wanted else ""
    if not found.startswith(wanted):
        msg = (
            f"weights: {path}: expected a file whose sha256 begins {wanted}, got {found}; "
            "fetch it again (or rename it, if its name is not meant to hold a hash)"
        )
        raise InputError(msg)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        msg = (
            f"weights: {path}: expected tensors alone, got a pickle that would run code or is "
            "torn; use a state dict saved by torch.save or safetensors"
        )
        raise InputError(msg) from error
    # Damage meets the two readers anywhere: they raise struct.error, IndexError, AssertionError ...
    except Exception as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"weights: {path}: expected a whole file of tensors, got '{cause}'; fetch it again"
        raise InputError(msg) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        msg = (
            f"weights: {path}: expected a state dict, names with tensors, got "
            f"{type(state).__name__} of other things; save network.state_dict() alone"
        )
        raise InputError(msg)
    return dict(state)


def state_mismatch(network: nn.Module, state: Mapping[str, Tensor]) -> str | None:
    """Say in one line how a state dict differs from what a network holds; None where it fits."""
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in state.items()}
    faults = []
    for kind, names in (
        ("missing", [name for name in own if name not in there]),
        ("unknown", [name for name in there if name not in own]),
        ("of another shape", [name for name in own if there.get(name, own[name]) != own[name]]),
    ):
        if names:
            first = names[0]
            shapes = f", expected {own[first]}, got {there[first]}" if "shape" in kind else ""
            faults.append(f"{len(names)} {kind} (first: {first}{shapes})")
    return "tensors: " + ", ".join(faults) if faults else None


def _split(weights: str) -> tuple[Path, str]:
    """The path, and how the file's sha256 must begin (empty: any)."""
    location, sign, wanted = weights.partition("#sha256=")
    path, wanted = Path(location).expanduser(), wanted.lower()
    if not path.is_file():
        msg = (
            f"weights: expected {', '.join(map(repr, NAMED))} or the path of a state dict, got "
            f"{weights!r}; no such file"
        )
        raise InputError(msg)
    if sign and not re.fullmatch("[0-9a-f]{64}", wanted):
        msg = f"weights: {path}: expected 64 hexadecimal digits after #sha256=, got {wanted!r}"
        raise InputError(msg)
    return path, wanted or _hash_in(path.name)


def _hash_in(name: str) -> str:
    """How the hash of a file of this name must begin, as torchvision names its files."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return found[1] if found else ""


def _packaged(name: str, weights: str) -> File:
    """The file of an EfficientNet's weights, in the package that carries it."""
    if weights == "imagenet_v2":
        msg = f"weights: {name} has no second ImageNet weights; choose 'imagenet'"
        raise InputError(msg)
    (file,) = listed(name)
    return file


def _address(name: str, weights: str) -> str:
    """Where torchvision's file lies, which ends in a name such as `resnet152-394f9c45.pth`."""
    import torchvision

    try:
        return torchvision.models.get_model_weights(name)[TORCHVISION_SETS[weights]].url
    except KeyError as error:
        msg = f"weights: torchvision has no {weights!r} of {name}; choose 'imagenet'"
        raise InputError(msg) from error


def _fetched(name: str, address: str) -> Path:
    """The file as it was fetched, by `python -m songtitle fetch` or by torchvision; else now."""
    file = address.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    for known in (named_home() / SOURCE / file, path):
        if known.is_file():
            return known
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), hash_prefix=_hash_in(file))
    except (URLError, OSError, RuntimeError) as error:
        msg = (
            f"weights: the ImageNet weights of {name} could not be fetched ({error}); connect to "
            f"the network, run `python -m songtitle fetch {SOURCE}` where there is one, or give "
            "the path of a local state dict as `weights`"
        )
        raise InputError(msg) from error
    return path
