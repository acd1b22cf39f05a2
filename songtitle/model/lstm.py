"""The paper's decoder: one LSTM that sees the picture once, a step before the first word."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from songtitle.model.decoder import Decoder
from songtitle.shapes import Memory, State, Tokens


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
