"""A small captioner and its batches, for tests of training and for the scripts they start."""

import math

import torch
from torch import nn

from songtitle.config import ModelConfig, TrainingConfig
from songtitle.corpora.batches import Batch, pad_captions
from songtitle.model.captioner import build_captioner
from songtitle.model.decoder import LSTMDecoder
from songtitle.training.loop import evaluate, fit

PAD, BOS, EOS, VOCAB, FEATURES, ITEMS = 0, 1, 2, 11, 7, 29
CAPTIONS = [[BOS, *(4 + (i * k) % 7 for k in range(1, 2 + i % 3)), EOS] for i in range(ITEMS)]
VIEWS = torch.randn(ITEMS, 1, FEATURES, generator=torch.Generator().manual_seed(5))


def collate(examples, *, pad_id):
    """The batch of (features, token ids)."""
    inputs, captions = zip(*examples, strict=True)
    return Batch(torch.stack(inputs), *pad_captions(captions, pad_id=pad_id))


class Batches:
    """Every item once an epoch, shuffled; a global batch is split evenly, the last is the rest."""

    def __init__(self, size=4):
        self.size = size

    def __len__(self):
        return ITEMS

    def __call__(self, epoch, *, start=0, rank=0, world=1):
        order = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(epoch)).tolist()
        together = self.size * world
        count = ITEMS // together  # what is left over joins the last one
        for k in range(start, count):
            chosen = order[k * together : ITEMS if k == count - 1 else (k + 1) * together]
            mine = chosen[len(chosen) * rank // world : len(chosen) * (rank + 1) // world]
            yield collate([(VIEWS[i], CAPTIONS[i]) for i in mine], pad_id=PAD)


def new_model(dropout=0.2, dim=16, vocab=VOCAB):
    """The paper's captioner, small."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ModelConfig(dim=dim, dropout=dropout)
        return build_captioner(config, features=FEATURES, vocab=vocab, pad_id=PAD)


class PlainModel(nn.Module):
    """No batch normalisation, so an example's loss does not depend on its neighbours."""

    def __init__(self, penalty=0.0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder = nn.Linear(FEATURES, 16)
            self.decoder = LSTMDecoder(VOCAB, dim=16, dropout=0.0, pad_id=PAD)
        self.penalty = penalty

    def forward(self, inputs, tokens):
        return self.decoder(self.encoder(inputs), tokens)

    def teach(self, inputs, tokens):
        return self(inputs, tokens), self.penalty * self.encoder(inputs).square().sum()


def assert_same_epoch(found, expected):
    """Two rows of history are of one training, but for the order in which floats were added.

    The biases before batch normalisation have no gradient but rounding, of which Adam makes whole
    steps. Training does not feel them: the mean is taken away. Validation does a little, since the
    running means lag behind them.
    """
    wide = {"valid_perplexity": 1e-3}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert math.isclose(found[name], value, rel_tol=wide.get(name, 1e-5)), name


def held_out(model):
    return evaluate(model, Batches(5)(0), pad_id=PAD)


def train(folder, model=None, *, batches=None, validate=held_out, details=None, **changes):
    """`fit` with a few settings changed: the model, and its history without seconds."""
    model = new_model() if model is None else model
    config = TrainingConfig(**{"epochs": 3, "batch_size": 4, "learning_rate": 0.01} | changes)
    history = fit(
        model,
        batches or Batches(config.batch_size),
        config=config,
        pad_id=PAD,
        validate=validate,
        folder=folder,
        details=details,
    )
    return model, [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])
