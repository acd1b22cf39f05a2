"""Recurrent decoders: what every decoder promises, the LSTM, and the LSTM that looks."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

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


class LSTMDecoder(Decoder):
    """Vinyals et al. 2015: the picture enters at t = -1, then `<bos>` and the words.

    A memory of several positions enters as their mean: one position enters as it is. `dropout`
    acts on embeddings and outputs; inside `nn.LSTM` it would act between layers only, hence not
    at all with the paper's single layer. `embed` turns ids into `dim` numbers: an `nn.Embedding`
    unless another is given. On a CPU the LSTM itself keeps its parameters' precision: oneDNN has no
    LSTM in bf16 for a CPU without instructions for it.
    """

    def __init__(
        self,
        vocab: int,
        *,
        dim: int = 512,
        num_layers: int = 1,
        dropout: float = 0.2,
        pad_id: int = 0,
        embed: nn.Module | None = None,
    ):
        super().__init__()
        self.pad_id = pad_id
        self.embed = embed or nn.Embedding(vocab, dim, padding_idx=pad_id)
        self.lstm = nn.LSTM(dim, dim, num_layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing: logits at step t, for the token after `tokens[:, t]`.

        `tokens` starts with `<bos>` and is right-padded; padding costs nothing and changes nothing
        (the sequences are packed).
        """
        words = self.dropout(self.embed(tokens))
        inputs = torch.cat([self._first(memory), words], dim=1)
        lengths = 1 + (tokens != self.pad_id).sum(dim=1)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        with torch.autocast("cpu", enabled=False):
            hidden, _ = self.lstm(packed)
        hidden, _ = pad_packed_sequence(hidden, batch_first=True, total_length=inputs.shape[1])
        return self.output(self.dropout(hidden[:, 1:]))  # what t = -1 puts out is not read

    def start(self, memory: Memory) -> State:
        """The state after the picture, before `<bos>`: `hidden` and `cell (batch, layers, dim)`."""
        with torch.autocast("cpu", enabled=False):
            _, (hidden, cell) = self.lstm(self._first(memory))
        return {"hidden": hidden.transpose(0, 1), "cell": cell.transpose(0, 1)}

    def advance(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group dim"], State]:
        """One token further: what `output` makes the next logits from, and the new state."""
        word = self.dropout(self.embed(tokens)).unsqueeze(1)
        before = tuple(state[name].transpose(0, 1).contiguous() for name in ("hidden", "cell"))
        with torch.autocast("cpu", enabled=False):
            hidden, (last, cell) = self.lstm(word, before)
        after = {"hidden": last.transpose(0, 1), "cell": cell.transpose(0, 1)}
        return self.dropout(hidden[:, 0]), after

    def _first(self, memory: Memory) -> Float[Tensor, "batch 1 dim"]:
        """What the LSTM reads at t = -1, in the precision of the parameters."""
        return memory.mean(1, keepdim=True).to(self.output.weight.dtype)


Attended = Float[Tensor, "batch steps positions"]  # weights, each row summing to 1


class AttentionDecoder(Decoder):
    """Xu et al. 2015, "Show, attend and tell": soft attention.

    The state starts from the mean of the memory. At every step a small network scores each
    position against the hidden state (Bahdanau et al. 2015), the memory's weighted mean passes a
    gate (section 4.2.1), and enters the LSTM beside the word; what predicts the next word is made
    of the word, the hidden state and what was seen (eq. 7). `dropout` acts on embeddings and
    outputs. `penalty` weighs the doubly stochastic regularisation (eq. 14).
    """

    def __init__(
        self,
        vocab: int,
        *,
        dim: int = 512,
        num_layers: int = 1,
        dropout: float = 0.2,
        pad_id: int = 0,
        embed: nn.Module | None = None,
        penalty: float = 0.0,
    ):
        super().__init__()
        self.pad_id = pad_id
        self.penalty = penalty
        self.embed = embed or nn.Embedding(vocab, dim, padding_idx=pad_id)
        self.first_hidden = nn.Linear(dim, num_layers * dim)
        self.first_cell = nn.Linear(dim, num_layers * dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)  # softmax would undo a bias
        self.gate = nn.Linear(dim, 1)  # "a single scalar" (section 4.2.1)
        self.cells = nn.ModuleList(
            nn.LSTMCell(2 * dim if layer == 0 else dim, dim) for layer in range(num_layers)
        )
        self.from_hidden = nn.Linear(dim, dim)
        self.from_seen = nn.Linear(dim, dim, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing: logits at step t, for the token after `tokens[:, t]`."""
        return self.attend(memory, tokens)[0]

    def attend(
        self, memory: Memory, tokens: Tokens
    ) -> tuple[Float[Tensor, "batch steps vocab"], Attended]:
        """Teacher forcing, and where each step looked: weights over positions that sum to 1."""
        state, outs, weights = self.start(memory), [], []
        for word in self.dropout(self.embed(tokens)).unbind(1):
            out, looked, state = self._look_and_go(word, state)
            outs.append(out)
            weights.append(looked)
        return self.output(torch.stack(outs, dim=1)), torch.stack(weights, dim=1)

    def teach(
        self, memory: Memory, tokens: Tokens
    ) -> tuple[Float[Tensor, "batch steps vocab"], Float[Tensor, ""]]:
        """Logits, and the doubly stochastic penalty summed over the batch's examples.

        Eq. 14: over a caption each position should get a sum of weights near 1. Steps whose input
        is padding do not count.
        """
        logits, weights = self.attend(memory, tokens)
        given = (weights * (tokens != self.pad_id).unsqueeze(-1)).sum(1)
        return logits, self.penalty * (1 - given).square().sum()

    def start(self, memory: Memory) -> State:
        """The state before `<bos>`.

        `hidden` and `cell (batch, layers, dim)`, from the memory's mean; `memory` and what it is
        compared by, `keys (batch, positions, dim)`.
        """
        mean, shape = memory.mean(1), (len(self.cells), -1)
        return {
            "hidden": self.first_hidden(mean).tanh().unflatten(1, shape),
            "cell": self.first_cell(mean).tanh().unflatten(1, shape),
            "memory": memory,
            "keys": self.key(memory),
        }

    def advance(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group dim"], State]:
        """One token further: what `output` makes the next logits from, and the new state."""
        out, _, state = self._look_and_go(self.dropout(self.embed(tokens)), state)
        return out, state

    def _look_and_go(
        self, word: Float[Tensor, "group dim"], state: State
    ) -> tuple[Float[Tensor, "group dim"], Float[Tensor, "group positions"], State]:
        hidden, cell = state["hidden"].unbind(1), state["cell"].unbind(1)
        before = hidden[-1]
        scores = self.score((state["keys"] + self.query(before).unsqueeze(1)).tanh())
        weights = scores.softmax(dim=1)  # (group, positions, 1)
        seen = (weights.transpose(1, 2) @ state["memory"]).squeeze(1)
        seen = self.gate(before).sigmoid() * seen
        passed, after = torch.cat([word, seen], dim=1), []
        for layer, own in enumerate(self.cells):
            after.append(own(passed, (hidden[layer], cell[layer])))
            passed = after[-1][0]
        state = {
            **state,
            "hidden": torch.stack([hidden for hidden, _ in after], dim=1),
            "cell": torch.stack([cell for _, cell in after], dim=1),
        }
        out = self.dropout(word + self.from_hidden(passed) + self.from_seen(seen))
        return out, weights.squeeze(2), state
