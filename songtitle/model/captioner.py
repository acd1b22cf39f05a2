"""The captioner: an encoder that makes memory, a decoder that turns memory into words."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from songtitle.errors import InputError
from songtitle.model.attention import AttentionDecoder
from songtitle.model.decoder import Decoder
from songtitle.model.encoder import (
    WIDTHS,
    Backbone,
    PictureEncoder,
    Projection,
    TimbreEncoder,
    build_backbone,
)
from songtitle.model.lstm import LSTMDecoder
from songtitle.model.settings import ModelConfig
from songtitle.model.transformer import TransformerDecoder
from songtitle.model.words import PretrainedEmbedding, read_word_vectors
from songtitle.shapes import Features, Image, State, Timbre, Tokens
from songtitle.timbre import TIMBRE_SIZE


class Captioner(nn.Module):
    """An encoder and a decoder: from features, pictures or timbre to words."""

    decoder: Decoder

    def __init__(self, encoder: nn.Module, decoder: Decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self, inputs: Features | Image | Timbre, tokens: Tokens
    ) -> Float[Tensor, "batch steps vocab"]:
        """Logits for the token after each of `tokens`, which start with `<bos>`."""
        return self.decoder(self.encoder(inputs), tokens)

    def teach(
        self, inputs: Features | Image | Timbre, tokens: Tokens
    ) -> tuple[Float[Tensor, "batch steps vocab"], Float[Tensor, ""]]:
        """The logits of `forward`, and what the decoder adds to the loss.

        The penalty is summed over the batch's examples; it is 0 for all but the attention decoder
        with doubly stochastic regularisation.
        """
        if isinstance(self.decoder, AttentionDecoder) and self.decoder.penalty:
            return self.decoder.teach(self.encoder(inputs), tokens)
        logits = self(inputs, tokens)
        return logits, logits.new_zeros(())

    def search_step(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group vocab"], State]:
        """The `step` that search wants: log-probabilities in nats, and the new state."""
        logits, state = self.decoder.step(tokens, state)
        return torch.log_softmax(logits, dim=-1), state


def build_captioner(
    config: ModelConfig,
    *,
    features: int | None = None,
    vocab: int,
    pad_id: int,
    words: Sequence[str] | None = None,
    backbone: Backbone | None = None,
) -> Captioner:
    """A captioner for `vocab` words, freshly initialised.

    What its encoder reads follows from the settings: features, `features` of them at each
    position; timbre, with `encoder="timbre"`; or pictures, with `fine_tune` or where a `backbone`
    is given (a frozen one serves pictures that come once). `words` is the vocabulary in id order,
    specials first, which `word_vectors` needs.
    """
    decoder = _build_decoder(config, vocab, pad_id, words)  # first: seeds keep their meaning
    if config.encoder == "timbre":
        _expect_width(features, TIMBRE_SIZE, config)
        return Captioner(TimbreEncoder(config.dim), decoder)
    _expect_width(features, WIDTHS[config.encoder] if config.fine_tune else None, config)
    if config.fine_tune and backbone is None:
        backbone = build_backbone(
            config.encoder, config.weights, memory=config.positions, frozen=False
        )
    if backbone is not None:
        return Captioner(PictureEncoder(backbone, config.dim), decoder)
    return Captioner(Projection(features or WIDTHS[config.encoder], config.dim), decoder)


def _build_decoder(
    config: ModelConfig, vocab: int, pad_id: int, words: Sequence[str] | None
) -> Decoder:
    embed = None
    if config.word_vectors != "none":
        if words is None or len(words) != vocab:
            got = "none" if words is None else f"{len(words)}"
            msg = (
                f"words: word_vectors expects the vocabulary's {vocab} words, got {got}; pass them"
            )
            raise InputError(msg)
        found = read_word_vectors(config.word_vectors, words)
        embed = PretrainedEmbedding(found, words, dim=config.dim)
    common: dict[str, Any] = {
        "dim": config.dim,
        "num_layers": config.num_layers,
        "dropout": config.dropout,
        "pad_id": pad_id,
        "embed": embed,
    }
    if config.decoder == "attention":
        return AttentionDecoder(vocab, **common, penalty=config.attention_penalty)
    if config.decoder == "transformer":
        return TransformerDecoder(vocab, **common, num_heads=config.num_heads)
    return LSTMDecoder(vocab, **common)


def _expect_width(got: int | None, width: int | None, config: ModelConfig) -> None:
    if got is not None and width is not None and got != width:
        msg = f"features: expected {width}, as {config.encoder} gives, got {got}; leave it out"
        raise InputError(msg)
