"""The captioner: an encoder that makes memory, a decoder that turns memory into words."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from songtitle.errors import InputError
from songtitle.model.encoder import Name, Projection
from songtitle.model.lstm import LSTMDecoder
from songtitle.shapes import Features, Memory, State, Tokens


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What the captioner is made of (paper 4.2 unless noted)."""

    encoder: Name = "efficientnet_lite0"  # the paper: resnet152
    weights: str = "imagenet"  # "imagenet", "none", or the path of a state dict
    decoder: Literal["lstm"] = "lstm"
    dim: int = 512  # embedding, hidden and memory width
    num_layers: int = 1
    dropout: float = 0.2  # on embeddings and decoder outputs


@runtime_checkable
class Decoder(Protocol):
    """What search and training ask of a decoder."""

    def __call__(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Logits under teacher forcing."""

    def start(self, memory: Memory) -> State:
        """The state before `<bos>`."""

    def step(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group vocab"], State]:
        """Logits one token further, and the new state."""


class Captioner(nn.Module):
    """A trained projection and a decoder, over features that a frozen backbone computed."""

    decoder: Decoder

    def __init__(self, encoder: nn.Module, decoder: Decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, features: Features, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Logits for the token after each of `tokens`, which start with `<bos>`."""
        return self.decoder(self.encoder(features), tokens)

    def search_step(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group vocab"], State]:
        """The `step` that search wants: log-probabilities in nats, and the new state."""
        logits, state = self.decoder.step(tokens, state)
        return torch.log_softmax(logits, dim=-1), state


def build_captioner(config: ModelConfig, *, features: int, vocab: int, pad_id: int) -> Captioner:
    """A captioner over `features`-wide inputs and `vocab` words, freshly initialised."""
    if config.decoder != "lstm":
        msg = f"decoder: expected 'lstm', got {config.decoder!r}"
        raise InputError(msg)
    decoder = LSTMDecoder(
        vocab,
        dim=config.dim,
        num_layers=config.num_layers,
        dropout=config.dropout,
        pad_id=pad_id,
    )
    return Captioner(Projection(features, config.dim), decoder)
