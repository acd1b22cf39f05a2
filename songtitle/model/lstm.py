"""The paper's decoder: one LSTM that sees the picture once, a step before the first word."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from songtitle.shapes import Memory, State, Tokens


class LSTMDecoder(nn.Module):
    """Vinyals et al. 2015: the picture enters at t = -1, then `<bos>` and the words.

    `dropout` acts on embeddings and outputs. Inside `nn.LSTM` it would act between layers only,
    hence not at all with the paper's single layer.
    """

    def __init__(
        self,
        vocab: int,
        *,
        dim: int = 512,
        num_layers: int = 1,
        dropout: float = 0.2,
        pad_id: int = 0,
    ):
        super().__init__()
        self.pad_id = pad_id
        self.embed = nn.Embedding(vocab, dim, padding_idx=pad_id)
        self.lstm = nn.LSTM(dim, dim, num_layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab)

    def forward(self, memory: Memory, tokens: Tokens) -> Float[Tensor, "batch steps vocab"]:
        """Teacher forcing: logits at step t, for the token after `tokens[:, t]`.

        `memory` has one position. `tokens` starts with `<bos>` and is right-padded; padding costs
        nothing and changes nothing (the sequences are packed).
        """
        words = self.dropout(self.embed(tokens))
        inputs = torch.cat([memory, words], dim=1)
        lengths = 1 + (tokens != self.pad_id).sum(dim=1)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = self.lstm(packed)
        hidden, _ = pad_packed_sequence(hidden, batch_first=True, total_length=inputs.shape[1])
        return self.output(self.dropout(hidden[:, 1:]))  # what t = -1 puts out is not read

    def start(self, memory: Memory) -> State:
        """The state after the picture, before `<bos>`: `hidden` and `cell (batch, layers, dim)`."""
        _, (hidden, cell) = self.lstm(memory)
        return {"hidden": hidden.transpose(0, 1), "cell": cell.transpose(0, 1)}

    def step(
        self, tokens: Int[Tensor, " group"], state: State
    ) -> tuple[Float[Tensor, "group vocab"], State]:
        """One token further: logits for the next token, and the new state."""
        word = self.dropout(self.embed(tokens)).unsqueeze(1)
        before = tuple(state[name].transpose(0, 1).contiguous() for name in ("hidden", "cell"))
        output, (hidden, cell) = self.lstm(word, before)
        logits = self.output(self.dropout(output[:, 0]))
        return logits, {"hidden": hidden.transpose(0, 1), "cell": cell.transpose(0, 1)}
