"""The captioner: an encoder that makes memory, a decoder that turns memory into words."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from songtitle.config import ModelConfig, SearchConfig
from songtitle.errors import InputError
from songtitle.model.encoder import (
    WIDTHS,
    Backbone,
    PictureEncoder,
    Projection,
    TimbreEncoder,
    build_backbone,
)
from songtitle.model.lstm import AttentionDecoder, Decoder, LSTMDecoder
from songtitle.model.transformer import TransformerDecoder
from songtitle.model.words import PretrainedEmbedding, read_word_vectors
from songtitle.search.beam import beam_search
from songtitle.search.candidates import Hypotheses, Product
from songtitle.shapes import Features, Image, Memory, State, Timbre, Tokens
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
    """Build a captioner for `vocab` words, freshly initialised.

    What its encoder reads follows from the settings: features, `features` of them at each
    position; timbre, with `encoder="timbre"`; or pictures, with `fine_tune` or where a `backbone`
    is given (a frozen one serves pictures that come once). `words` is the vocabulary in id order,
    specials first, which `word_vectors` needs. Raises InputError where these do not go together.
    """
    decoder = _build_decoder(config, vocab, pad_id, words)  # first: it draws before the encoder
    width = TIMBRE_SIZE if config.encoder == "timbre" else WIDTHS[config.encoder]
    is_fixed = config.encoder == "timbre" or config.fine_tune
    if is_fixed and features not in (None, width):
        msg = f"features: expected {width}, as {config.encoder} gives, got {features}; leave it out"
        raise InputError(msg)
    if config.encoder == "timbre":
        return Captioner(TimbreEncoder(config.dim), decoder)
    if config.fine_tune and backbone is None:
        backbone = build_backbone(
            config.encoder, config.weights, memory=config.positions, frozen=False
        )
    if backbone is not None:
        return Captioner(PictureEncoder(backbone, config.dim), decoder)
    return Captioner(Projection(features or width, config.dim), decoder)


def _build_decoder(
    config: ModelConfig, vocab: int, pad_id: int, words: Sequence[str] | None
) -> Decoder:
    embed = None
    if config.word_vectors != "none":
        if words is None or len(words) != vocab:
            got = "none" if words is None else f"{len(words)}"
            msg = f"words: word_vectors expects the vocabulary's {vocab} words, got {got}"
            raise InputError(msg + "; pass them")
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


class Searcher:
    """A decoder as the step of a search with `logits=True`.

    The product with the vocabulary is nearly all the work of a search, which takes it in parts.
    `never` are ids that `search` does not choose (they keep their share of the probability). With
    `head="bf16"` the product is taken in bfloat16, which is faster where the machine multiplies in
    it and changes hypotheses whose scores are close; the benchmark of beam search says how many.
    The decoder must not change while the searcher is in use.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        never: Sequence[int] = (),
        head: Literal["fp32", "bf16"] = "fp32",
    ):
        self.decoder = decoder
        self.never = tuple(never)
        dtype = torch.bfloat16 if head == "bf16" else decoder.output.weight.dtype
        self._weight = decoder.output.weight.detach().to(dtype)
        self._bias = decoder.output.bias.detach().to(dtype)

    @torch.no_grad()
    def __call__(self, tokens: Int[Tensor, " group"], state: State) -> tuple[Product, State]:
        """Logits one token further, as a product, and the new state."""
        hidden, state = self.decoder.advance(tokens, state)
        return Product(hidden.to(self._weight.dtype), self._weight, self._bias), state

    @torch.no_grad()
    def search(
        self, memory: Memory, *, bos_id: int, eos_id: int, config: SearchConfig
    ) -> Hypotheses:
        """Find the hypotheses for each row of `memory`; at beam size 1 that is greedy search.

        Put the decoder into evaluation mode first: dropout would act here too.
        """
        state = self.decoder.start(memory)
        return beam_search(
            self,
            state,
            bos_id=bos_id,
            eos_id=eos_id,
            config=config,
            never=self.never,
            logits=True,
        )
