"""The captioner: an encoder that makes memory, a decoder that turns memory into words.

Search asks a decoder what it would say; `log_likelihoods` asks what it thinks of titles that are
there already, the true one among them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from songtitle.config import ModelConfig, SearchConfig
from songtitle.errors import InputError
from songtitle.model.decoder import AttentionDecoder, Decoder, LSTMDecoder, TransformerDecoder
from songtitle.model.encoder import (
    WIDTHS,
    Backbone,
    PictureEncoder,
    Projection,
    TimbreEncoder,
    build_backbone,
)
from songtitle.model.weights import PretrainedEmbedding, read_word_vectors
from songtitle.search.beam import beam_search
from songtitle.search.candidates import Hypotheses, Product
from songtitle.shapes import Features, Image, Memory, State, Timbre, Tokens
from songtitle.timbre import TIMBRE_SIZE

DECODERS: dict[str, type[Decoder]] = {
    "lstm": LSTMDecoder,
    "attention": AttentionDecoder,
    "transformer": TransformerDecoder,
}
_BYTES = 32_000_000  # of state and logits at a time, for likelihoods
_SONGS = 16  # at least, where state is not too large: fewer make small products


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
        """The logits of `forward`, and what the decoder adds to the loss, summed over examples: 0
        for all but attention with doubly stochastic regularisation."""
        return self.decoder.teach(self.encoder(inputs), tokens)

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

    Its encoder reads features, `features` of them at each position; timbre, with
    `encoder="timbre"`; or pictures, with `fine_tune` or a `backbone` (a frozen one serves pictures
    that come once). `words` is the vocabulary in id order, which `word_vectors` needs. Raises
    InputError where these do not go together.
    """
    embed = None
    if config.word_vectors != "none":
        if words is None or len(words) != vocab:
            got = "none" if words is None else f"{len(words)}"
            msg = f"words: word_vectors expects the vocabulary's {vocab} words, got {got}"
            raise InputError(msg + "; pass them")
        found = read_word_vectors(config.word_vectors, words)
        embed = PretrainedEmbedding(found, words, dim=config.dim)
    decoder = DECODERS[config.decoder](  # first: it draws before the encoder
        vocab,
        dim=config.dim,
        num_layers=config.num_layers,
        dropout=config.dropout,
        pad_id=pad_id,
        embed=embed,
        num_heads=config.num_heads,
        penalty=config.attention_penalty,
    )
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


class Searcher:
    """A decoder, which must not change meanwhile, as the step of a search with `logits=True`.

    `never` are ids that `search` does not choose (they keep their share of the probability). With
    `head="bf16"` the product with the vocabulary, nearly all the work, is taken in bfloat16, which
    is faster where the machine multiplies in it and changes hypotheses whose scores are close.
    """

    def __init__(
        self, decoder: Decoder, *, never: Sequence[int] = (), head: Literal["fp32", "bf16"] = "fp32"
    ):
        self.decoder, self.never = decoder, tuple(never)
        dtype = torch.bfloat16 if head == "bf16" else decoder.output.weight.dtype
        self._weight, self._bias = (each.detach().to(dtype) for each in decoder.output.parameters())

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
        state, ends = self.decoder.start(memory), {"bos_id": bos_id, "eos_id": eos_id}
        return beam_search(self, state, **ends, config=config, never=self.never, logits=True)


@torch.no_grad()
def log_likelihoods(
    decoder: Decoder, memory: Memory, titles: Sequence[Sequence[int]], *, bos_id: int, eos_id: int
) -> Float[Tensor, "songs titles"]:
    """Compute the log-probability, in nats, of every title for every row of `memory`.

    A title is the ids of its words, with or without `<bos>` and `<eos>` around them; entry (i, j),
    the sum over its words and `<eos>`, is minus the summed cross entropy under teacher forcing, in
    float32, on the memory's device. Of each song, a beginning that several titles share is computed
    once. Raises InputError for a decoder in training mode and for ids that are not those of words.
    """
    if decoder.training:
        msg = "decoder: expected one in evaluation mode, got training mode; call eval() first"
        raise InputError(msg)
    vocab, songs = decoder.output.out_features, len(memory)
    words = [_words(title, bos_id, eos_id, vocab) for title in titles]
    if not songs or not words:
        return memory.new_zeros(songs, len(words), dtype=torch.float32)
    trie = _Trie(words, bos_id, memory.device)
    found = memory.new_empty(len(trie.tokens), songs, dtype=torch.float32)

    def walk(
        found: Float[Tensor, "all songs"],
        nodes: range,
        state: State,
        above: int,
        reached: Float[Tensor, "nodes songs"],
    ) -> None:
        """Step through some nodes of one length, and all that go on from them.

        Writes to `found` the log-probability of ending at each node. `reached` holds that of the
        nodes' beginnings, `state` what the decoder knew at their parents, from node `above` on,
        node by node, all songs of one together.
        """
        songs = found.shape[1]
        for part in _ranges(nodes, max(1, _rows_at_once(state, vocab) // songs)):
            here = reached[part.start - nodes.start : part.stop - nodes.start]
            parents = trie.parents[part.start : part.stop] - above
            before = {
                name: value.unflatten(0, (-1, songs)).index_select(0, parents).flatten(0, 1)
                for name, value in state.items()
            }
            hidden, after = _advance(decoder, trie.tokens[part.start : part.stop], before, songs)
            logits = decoder.output(hidden).float().unflatten(0, (len(part), songs))
            here = here - logits.logsumexp(2)
            found[part.start : part.stop] = here + logits[:, :, eos_id]
            below = range(trie.children[part.start], trie.children[part.stop])
            if below:
                parents = trie.parents[below.start : below.stop] - part.start
                next_ids = trie.tokens[below.start : below.stop]
                reached_below = here[parents] + logits[parents, :, next_ids]
                del logits  # not kept while those below are walked
                walk(found, below, after, part.start, reached_below)

    rows = _rows_at_once(decoder.start(memory[:1]), vocab)
    for columns in _ranges(range(songs), max(rows // trie.width, min(rows, _SONGS))):
        own = slice(columns.start, columns.stop)
        reached = memory.new_zeros(1, len(columns), dtype=torch.float32)
        walk(found[:, own], range(1), decoder.start(memory[own]), 0, reached)
    return found[trie.ends].T.contiguous()


class _Trie:
    """All beginnings of the titles, each once, the empty one first: shorter ones before longer,
    those with one parent together."""

    def __init__(self, titles: Sequence[tuple[int, ...]], bos_id: int, device: torch.device):
        beginnings = {title[:length] for title in titles for length in range(len(title) + 1)}
        # By length, then by id: parents come in order, so children of neighbours are neighbours.
        ordered = sorted(beginnings, key=lambda ids: (len(ids), ids))
        place = {ids: number for number, ids in enumerate(ordered)}
        parents = torch.tensor([place[ids[:-1]] for ids in ordered])
        children = torch.searchsorted(parents[1:].contiguous(), torch.arange(len(ordered) + 1)) + 1
        # The last id of each node, `<bos>` at node 0.
        self.tokens = torch.tensor([bos_id, *(ids[-1] for ids in ordered[1:])], device=device)
        self.parents = parents.to(device)
        # Node i leads to the nodes from children[i] to children[i + 1] - 1.
        self.children: list[int] = children.tolist()
        self.ends = [place[ids] for ids in titles]  # the node where each title ends
        self.width = max(Counter(map(len, ordered)).values())  # nodes of the commonest length


def _advance(
    decoder: Decoder, tokens: Int[Tensor, " nodes"], state: State, songs: int
) -> tuple[Float[Tensor, "group dim"], State]:
    """`decoder.advance` with one token for all songs of a node; half the products of the paper's
    LSTM, those with the word, are then taken once a node, not once a song."""
    if not isinstance(decoder, LSTMDecoder) or decoder.lstm.num_layers > 1:
        return decoder.advance(tokens.repeat_interleave(songs), state)
    lstm, cell = decoder.lstm, state["cell"][:, 0]
    for_words, for_hidden, *biases = lstm.all_weights[0]
    of_words = linear(decoder.embed(tokens), for_words, biases[0] + biases[1]).unsqueeze(1)
    gates = linear(state["hidden"][:, 0], for_hidden).unflatten(0, (-1, songs))
    enter, keep, new, show = gates.add_(of_words).flatten(0, 1).chunk(4, dim=1)  # PyTorch's order
    cell = keep.sigmoid_() * cell + enter.sigmoid_() * new.tanh_()
    hidden = show.sigmoid_() * cell.tanh()
    return hidden, {"hidden": hidden.unsqueeze(1), "cell": cell.unsqueeze(1)}


def _rows_at_once(state: State, vocab: int) -> int:
    """How many rows of a state, and of logits, are within the memory meant for them."""
    numbers = sum(value[0].numel() for value in state.values()) + vocab
    return max(1, _BYTES // (4 * numbers))


def _ranges(whole: range, size: int) -> Iterator[range]:
    return (whole[first : first + size] for first in range(0, len(whole), size))


def _words(title: Sequence[int], bos_id: int, eos_id: int, vocab: int) -> tuple[int, ...]:
    """The ids of a title between `<bos>` and `<eos>`."""
    ids = tuple(map(int, title))
    ids = ids[1:] if ids[:1] == (bos_id,) else ids
    ids = ids[:-1] if ids[-1:] == (eos_id,) else ids
    if any(not 0 <= each < vocab or each in (bos_id, eos_id) for each in ids):
        msg = f"titles: expected the ids of words, below {vocab}, got {list(title)}"
        msg += "; encode them with the decoder's vocabulary"
        raise InputError(msg)
    return ids
