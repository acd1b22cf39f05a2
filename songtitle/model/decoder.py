"""What every decoder is: the base class that search and training rely on."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn

from songtitle.shapes import Memory, State, Tokens


class Decoder(nn.Module, ABC):
    """From memory to words: all of a title at once, or one token at a time."""

    output: nn.Linear  # from the decoder's width to the vocabulary

    @abstractmethod
    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Logits under teacher forcing."""

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state before `<bos>`."""

    @abstractmethod
    def advance(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group dim"], State]:
        """One token further: what `output` makes the next logits from, and the new state."""

    def step(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group vocab"], State]:
        """`output(advance(tokens, state))`: logits one token further, and the new state."""
        hidden, state = self.advance(tokens, state)
        return self.output(hidden), state
