import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from songtitle.corpora.batches import pad_captions
from songtitle.errors import InputError
from songtitle.model import captioner
from songtitle.model.captioner import log_likelihoods
from songtitle.model.decoder import AttentionDecoder, LSTMDecoder, TransformerDecoder

PAD, BOS, EOS, VOCAB, DIM, SONGS, POSITIONS = 0, 1, 2, 29, 8, 5, 7
TITLES = [[4, 5, 6], [4], [4, 5], [], [7, 5, 6, 4, 4, 4, 28], [4, 5, 6], [28, 3], [4, 6], [7], [5]]
ENCODED = [[BOS, *title, EOS] for title in TITLES]


@pytest.fixture(params=["lstm", "deep lstm", "attention", "transformer"])
def decoder(request):
    """A decoder with weights large enough for titles to differ by much."""
    deep = {"num_layers": 2} if request.param == "deep lstm" else {}
    kinds = {"attention": AttentionDecoder, "transformer": TransformerDecoder}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = kinds.get(request.param, LSTMDecoder)(VOCAB, dim=DIM, pad_id=PAD, **deep)
        nn.init.normal_(made.output.weight)
    return made.eval()


@pytest.fixture
def memory():
    return 5 * torch.randn(SONGS, POSITIONS, DIM, generator=torch.Generator().manual_seed(1))


def likelihoods(decoder, memory, titles=ENCODED):
    return log_likelihoods(decoder, memory, titles, bos_id=BOS, eos_id=EOS)


@torch.no_grad()
def taught(decoder, memory):
    """Minus the summed cross entropy of every title under teacher forcing."""
    tokens, _ = pad_captions(ENCODED, pad_id=PAD)
    rows = []
    for row in memory:
        logits = decoder(row.expand(len(tokens), -1, -1), tokens[:, :-1])
        losses = cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD, reduction="none"
        )
        rows.append(-losses.view(len(tokens), -1).sum(1))
    return torch.stack(rows)


def test_every_entry_is_what_teacher_forcing_gives(decoder, memory):
    found = likelihoods(decoder, memory)
    assert found.shape == (SONGS, len(TITLES))
    assert torch.allclose(found, taught(decoder, memory), atol=1e-4)
    assert found.std(0).min() > 0.01  # the song matters


@pytest.mark.parametrize("budget", [1, 5_000, 40_000])
def test_a_song_scores_the_same_in_small_portions_and_alone(decoder, memory, budget, monkeypatch):
    whole = likelihoods(decoder, memory)
    monkeypatch.setattr(captioner, "_BYTES", budget)
    monkeypatch.setattr(captioner, "_SONGS", 3)
    assert torch.allclose(likelihoods(decoder, memory), whole, atol=1e-5)
    assert torch.allclose(likelihoods(decoder, memory[3:4]), whole[3:4], atol=1e-5)


def test_a_title_scores_the_same_whatever_other_titles_there_are(decoder, memory):
    whole = likelihoods(decoder, memory)
    assert likelihoods(decoder, memory[:0]).shape == (0, len(TITLES))
    assert likelihoods(decoder, memory, []).shape == (SONGS, 0)
    for column in range(len(TITLES)):
        alone = likelihoods(decoder, memory, [ENCODED[column]])
        assert torch.allclose(alone[:, 0], whole[:, column], atol=1e-5)


def test_the_probabilities_of_different_titles_sum_to_less_than_one(decoder, memory):
    words = [i for i in range(VOCAB) if i not in (BOS, EOS)]
    titles = [[], *([i] for i in words), *([i, j] for i in words for j in words)]
    sums = likelihoods(decoder, memory, titles).double().exp().sum(1)
    assert ((sums > 0) & (sums < 1)).all()


def test_equal_titles_have_equal_columns_and_bos_and_eos_may_be_left_out(decoder, memory):
    found = likelihoods(decoder, memory)
    assert torch.equal(found[:, 0], found[:, 5])
    assert torch.equal(likelihoods(decoder, memory, TITLES), found)


def test_each_shared_beginning_is_stepped_once_for_each_song(decoder, memory, monkeypatch):
    rows, advance = [], captioner._advance

    def counted(decoder, tokens, state, songs):
        rows.append(len(tokens) * songs)
        return advance(decoder, tokens, state, songs)

    monkeypatch.setattr(captioner, "_advance", counted)
    likelihoods(decoder, memory)
    beginnings = {tuple(title[:n]) for title in TITLES for n in range(len(title) + 1)}
    assert sum(rows) == SONGS * len(beginnings)


@pytest.mark.parametrize("title", [[4, VOCAB], [-1], [4, EOS, 5], [4, BOS]])
def test_ids_that_are_not_those_of_words_are_refused(decoder, memory, title):
    with pytest.raises(InputError, match="titles: expected the ids of words, below 29, got"):
        likelihoods(decoder, memory, [title])
    with pytest.raises(InputError, match="decoder: expected one in evaluation mode"):
        likelihoods(decoder.train(), memory)
