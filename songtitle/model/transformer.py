"""The transformer decoder: every word attends to the words before it and to the memory."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from songtitle.model.lstm import Decoder
from songtitle.shapes import Memory, State, Tokens

Known = Float[Tensor, "group 2 heads _ head_dim"]  # keys and values of some words


class TransformerDecoder(Decoder):
    """Vaswani et al. 2017, over the parameters of `torch.nn.TransformerDecoderLayer`.

    Normalisation stands before each part (`norm_first`, Xiong et al. 2020: it trains without
    warm-up). Positions are sinusoids; embeddings are not scaled, since PyTorch draws them at unit
    scale already. The hidden layer is four times as wide. `forward` and `advance` run the same
    code; `advance` keeps the keys and values of the words before in its state.
    """

    def __init__(
        self,
        vocab: int,
        *,
        dim: int = 512,
        num_layers: int = 1,
        num_heads: int = 8,
        dropout: float = 0.2,
        pad_id: int = 0,
        embed: nn.Module | None = None,
    ):
        super().__init__()
        self.pad_id = pad_id
        self.embed = embed or nn.Embedding(vocab, dim, padding_idx=pad_id)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dim, num_heads, 4 * dim, dropout, batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing: logits at step t, for the token after `tokens[:, t]`.

        Padding stands at the right, where no word looks: it changes nothing.
        """
        hidden, _ = self._run(tokens, self.start(memory))
        return self.output(hidden)

    def start(self, memory: Memory) -> State:
        """The state before `<bos>`: keys and values, of the memory and of no words yet.

        For each layer, `seen.0` and on, `(batch, 2, heads, positions, head_dim)`, computed once,
        and `past.0` and on, the same with a `steps` axis of length 0 for `positions`.
        """
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
            past = state[f"past.{number}"] if before else None
            x, after[f"past.{number}"] = _through(layer, x, past, state[f"seen.{number}"])
        return self.dropout(self.norm(x)), after


def _through(
    layer: Any, x: Float[Tensor, "group steps dim"], past: Known | None, seen: Known
) -> tuple[Float[Tensor, "group steps dim"], Known]:
    """One `TransformerDecoderLayer`, and the keys and values of all words so far."""
    mixed = _project(layer.self_attn, layer.norm1(x), 0, 3)
    known = mixed[:, 1:]
    if past is not None:
        known = torch.cat([past.to(known.dtype), known], dim=-2)
    x = x + layer.dropout1(_attend(layer.self_attn, mixed[:, 0], known, causal=past is None))
    query = _project(layer.multihead_attn, layer.norm2(x), 0, 1)[:, 0]
    x = x + layer.dropout2(_attend(layer.multihead_attn, query, seen))
    inner = layer.activation(layer.linear1(layer.norm3(x)))
    return x + layer.dropout3(layer.linear2(layer.dropout(inner))), known


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
    """Of queries (0), keys (1) and values (2), the parts `first` to `last - 1`, head by head.

    `attention` is an `nn.MultiheadAttention`, whose weights hold the three one after the other.
    """
    rows = slice(first * attention.embed_dim, last * attention.embed_dim)
    mixed = linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    split = mixed.unflatten(-1, (last - first, attention.num_heads, attention.head_dim))
    return split.permute(0, 2, 3, 1, 4)


def _attend(
    attention: Any,
    query: Float[Tensor, "group heads steps head_dim"],
    known: Known,
    *,
    causal: bool = False,
) -> Float[Tensor, "group steps dim"]:
    """What the queries find among keys and values; causal where those are of the same words."""
    keys, values = known.to(query.dtype).unbind(1)
    drop = attention.dropout if attention.training else 0.0
    found = scaled_dot_product_attention(query, keys, values, dropout_p=drop, is_causal=causal)
    return attention.out_proj(found.transpose(1, 2).flatten(2))
