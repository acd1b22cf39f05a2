"""Decoders: what each promises, the paper's LSTM, the LSTM that looks, and the transformer."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from songtitle.shapes import Memory, State, Tokens

PACKING = {"cpu"}  # devices that skip padding; others would wait until the host has the lengths
Attended = Float[Tensor, "batch steps positions"]  # weights, each row summing to 1
Known = Float[Tensor, "group 2 heads _ head_dim"]  # keys and values of some words


class Decoder(nn.Module, ABC):
    """From memory to words: all of a title at once, or one token at a time.

    `embed` turns ids into `dim` numbers: an `nn.Embedding` unless another is given. `dropout` acts
    on embeddings and outputs. `num_heads` are the transformer's, `penalty` is attention's.
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
        num_heads: int = 8,
        penalty: float = 0.0,
    ):
        super().__init__()
        self.pad_id, self.penalty = pad_id, penalty
        # Weights are drawn and saved in this order.
        self.embed = embed or nn.Embedding(vocab, dim, padding_idx=pad_id)
        self._build(dim, num_layers, num_heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab)

    @abstractmethod
    def _build(self, dim: int, num_layers: int, num_heads: int, dropout: float) -> None:
        """Make the layers between the embedding and `output`."""

    @abstractmethod
    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing: logits at step t, for the token after `tokens[:, t]`.

        `tokens` starts with `<bos>` and is right-padded; padding changes nothing.
        """

    def teach(
        self, memory: Memory, tokens: Tokens
    ) -> tuple[Float[Tensor, "batch steps vocab"], Float[Tensor, ""]]:
        """The logits of `forward`, and what this adds to the loss, summed over the examples."""
        logits = self(memory, tokens)
        return logits, logits.new_zeros(())

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

    A memory of several positions enters as their mean. Dropout inside `nn.LSTM` would act between
    layers only, hence not at all with the paper's single layer. On a CPU the LSTM itself keeps its
    parameters' precision: oneDNN has none in bf16 for a CPU without instructions for it.
    """

    def _build(self, dim: int, num_layers: int, num_heads: int, dropout: float) -> None:
        self.lstm = nn.LSTM(dim, dim, num_layers, batch_first=True)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing; on a CPU over packed sequences, so that padding costs nothing there."""
        words = self.dropout(self.embed(tokens))
        inputs: Any = torch.cat([self._first(memory), words], dim=1)
        packs, given = inputs.device.type in PACKING, {"batch_first": True}
        if packs:
            lengths = 1 + (tokens != self.pad_id).sum(dim=1)
            inputs = pack_padded_sequence(inputs, lengths, **given, enforce_sorted=False)
        with torch.autocast("cpu", enabled=False):
            hidden, _ = self.lstm(inputs)
        if packs:
            hidden, _ = pad_packed_sequence(hidden, **given, total_length=1 + tokens.shape[1])
        return self.output(self.dropout(hidden[:, 1:]))  # what t = -1 puts out is not read

    def start(self, memory: Memory) -> State:
        """The state after the picture, before `<bos>`: `hidden` and `cell (batch, layers, dim)`."""
        return self._through(self._first(memory))[1]

    def advance(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group dim"], State]:
        """One token further: what `output` makes the next logits from, and the new state."""
        hidden, after = self._through(self.dropout(self.embed(tokens)).unsqueeze(1), state)
        return self.dropout(hidden[:, 0]), after

    def _first(self, memory: Memory) -> Float[Tensor, "batch 1 dim"]:
        """What the LSTM reads at t = -1, in the precision of the parameters."""
        return memory.mean(1, keepdim=True).to(self.output.weight.dtype)

    def _through(
        self, x: Float[Tensor, "group 1 dim"], state: State | None = None
    ) -> tuple[Float[Tensor, "group 1 dim"], State]:
        before = None
        if state is not None:
            before = tuple(state[key].transpose(0, 1).contiguous() for key in ("hidden", "cell"))
        with torch.autocast("cpu", enabled=False):
            out, (hidden, cell) = self.lstm(x, before)
        return out, {"hidden": hidden.transpose(0, 1), "cell": cell.transpose(0, 1)}


class AttentionDecoder(Decoder):
    """Xu et al. 2015, "Show, attend and tell": soft attention.

    The state starts from the mean of the memory. At every step a small network scores each
    position against the hidden state (Bahdanau et al. 2015), the memory's weighted mean passes a
    gate (section 4.2.1), and enters the LSTM beside the word; what predicts the next word is made
    of the word, the hidden state and what was seen (eq. 7).
    """

    def _build(self, dim: int, num_layers: int, num_heads: int, dropout: float) -> None:
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
        """Logits, and the doubly stochastic penalty (eq. 14), summed over the examples: over a
        caption, padding left out, each position should get a sum of weights near 1."""
        logits, weights = self.attend(memory, tokens)
        given = (weights * (tokens != self.pad_id).unsqueeze(-1)).sum(1)
        return logits, self.penalty * (1 - given).square().sum()

    def start(self, memory: Memory) -> State:
        """The state before `<bos>`: `hidden` and `cell (batch, layers, dim)`, from the memory's
        mean; `memory` and what it is compared by, `keys (batch, positions, dim)`."""
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
        for own, *old in zip(self.cells, hidden, cell, strict=True):
            after.append(own(passed, tuple(old)))
            passed = after[-1][0]
        new = (torch.stack(each, dim=1) for each in zip(*after, strict=True))
        out = self.dropout(word + self.from_hidden(passed) + self.from_seen(seen))
        return out, weights.squeeze(2), {**state, **dict(zip(("hidden", "cell"), new, strict=True))}


class TransformerDecoder(Decoder):
    """Vaswani et al. 2017, over the parameters of `torch.nn.TransformerDecoderLayer`.

    Normalisation stands before each part (Xiong et al. 2020: it trains without warm-up). Positions
    are sinusoids; embeddings are not scaled, since PyTorch draws them at unit scale already. The
    state keeps the keys and values of the words before.
    """

    def _build(self, dim: int, num_layers: int, num_heads: int, dropout: float) -> None:
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dim, num_heads, 4 * dim, dropout, batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing; padding stands at the right, where no word looks."""
        return self.output(self._run(tokens, self.start(memory))[0])

    def start(self, memory: Memory) -> State:
        """The state before `<bos>`: keys and values, `(batch, 2, heads, positions, head_dim)`, of
        the memory, `seen.0` and on for each layer, and of no words yet, `past.0` and on."""
        state: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            seen = _project(layer.multihead_attn, memory, 1, 3)
            state |= {f"seen.{number}": seen, f"past.{number}": seen[..., :0, :]}
        return state

    def advance(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group dim"], State]:
        """One token further: what `output` makes the next logits from, and the new state."""
        hidden, state = self._run(tokens.unsqueeze(1), state)
        return hidden[:, 0], state

    def _run(self, tokens: Tokens, state: State) -> tuple[Float[Tensor, "group steps dim"], State]:
        """`tokens` after the words of the state; they come one at a time, or after none."""
        before, after = state["past.0"].shape[-2], dict(state)
        words = self.embed(tokens)
        places = sinusoids(before, before + tokens.shape[1], words.shape[-1], like=words)
        x = self.dropout(words + places)
        for number, layer in enumerate(self.layers):
            own: Any = layer
            mixed = _project(own.self_attn, own.norm1(x), 0, 3)
            known = mixed[:, 1:]
            if before:
                known = torch.cat([state[f"past.{number}"].to(known.dtype), known], dim=-2)
            after[f"past.{number}"] = known
            x = x + own.dropout1(_attend(own.self_attn, mixed[:, 0], known, not before))
            query = _project(own.multihead_attn, own.norm2(x), 0, 1)[:, 0]
            x = x + own.dropout2(_attend(own.multihead_attn, query, state[f"seen.{number}"], False))
            inner = own.dropout(own.activation(own.linear1(own.norm3(x))))
            x = x + own.dropout3(own.linear2(inner))
        return self.dropout(self.norm(x)), after


def sinusoids(start: int, stop: int, dim: int, *, like: Tensor) -> Float[Tensor, "steps dim"]:
    """Positions `start` to `stop - 1` as sines and cosines in turn (Vaswani et al. 2017, 3.5)."""
    places = torch.arange(start, stop, device=like.device, dtype=torch.float32)
    columns = torch.arange(dim, device=like.device)
    rates = torch.exp((columns - columns % 2) * (-math.log(10_000) / dim))
    # A cosine is a sine a quarter of a turn on.
    return torch.sin(places[:, None] * rates + (columns % 2) * (math.pi / 2)).to(like.dtype)


def _project(
    attention: Any, x: Float[Tensor, "group steps dim"], first: int, last: int
) -> Float[Tensor, "group parts heads steps head_dim"]:
    """Of queries (0), keys (1) and values (2), the parts `first` to `last - 1`, head by head, by
    the weights of an `nn.MultiheadAttention`, which hold the three one after the other."""
    rows = slice(first * attention.embed_dim, last * attention.embed_dim)
    mixed = linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    split = mixed.unflatten(-1, (last - first, attention.num_heads, attention.head_dim))
    return split.permute(0, 2, 3, 1, 4)


def _attend(
    attention: Any, query: Float[Tensor, "group heads steps head_dim"], known: Known, causal: bool
) -> Float[Tensor, "group steps dim"]:
    """What the queries find among keys and values; causal where those are of the same words."""
    keys, values = known.to(query.dtype).unbind(1)
    drop = attention.dropout if attention.training else 0.0
    found = scaled_dot_product_attention(query, keys, values, dropout_p=drop, is_causal=causal)
    return attention.out_proj(found.transpose(1, 2).flatten(2))
