"""The searcher: a decoder as the step of a search, its last product left to the search."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from songtitle.errors import InputError
from songtitle.model.decoder import Decoder
from songtitle.search import Hypotheses, Product, SearchConfig, beam_search, greedy_search
from songtitle.shapes import Memory, State


class Searcher:
    """A decoder as the step of a search with `logits=True`.

    The product with the vocabulary is nearly all the work of a search, which takes it in parts.
    `never` are ids that `search` does not choose (they keep their share of the probability). With
    `head="bf16"`
    the product is taken in bfloat16, which is faster where the machine multiplies in it and changes
    hypotheses whose scores are close; the benchmark of beam search says how many. The decoder
    must not change while the searcher is in use.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        never: Sequence[int] = (),
        head: Literal["fp32", "bf16"] = "fp32",
    ):
        if head not in ("fp32", "bf16"):
            msg = f"head: expected 'fp32' or 'bf16', got {head!r}"
            raise InputError(msg)
        self.decoder = decoder
        self.never = tuple(never)
        dtype = torch.bfloat16 if head == "bf16" else decoder.output.weight.dtype
        output = decoder.output
        self._weight = output.weight.detach().to(dtype)
        bias = self._weight.new_zeros(len(self._weight)) if output.bias is None else output.bias
        self._bias = bias.detach().to(dtype)

    @torch.no_grad()
    def __call__(self, tokens: Int[Tensor, " group"], state: State) -> tuple[Product, State]:
        """Logits one token further, as a product, and the new state."""
        hidden, state = self.decoder.advance(tokens, state)
        return Product(hidden.to(self._weight.dtype), self._weight, self._bias), state

    @torch.no_grad()
    def search(
        self, memory: Memory, *, bos_id: int, eos_id: int, config: SearchConfig
    ) -> Hypotheses:
        """The hypotheses for each row of `memory`: greedy search at beam size 1, else beam search.

        Put the decoder into evaluation mode first: dropout would act here too.
        """
        state = self.decoder.start(memory)
        if config.beam_size > 1 or config.unfinished == "drop":
            return beam_search(
                self,
                state,
                bos_id=bos_id,
                eos_id=eos_id,
                config=config,
                never=self.never,
                logits=True,
            )
        return greedy_search(
            self,
            state,
            bos_id=bos_id,
            eos_id=eos_id,
            max_steps=config.max_steps,
            min_length=config.min_length,
            no_repeat_ngram=config.no_repeat_ngram,
            never=self.never,
            logits=True,
        )
