"""Likelihood: how probable a decoder finds each of many given titles, for each of many songs.

Search asks what a decoder would say; this asks what it thinks of titles that are there already, the
true one among them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from songtitle.errors import InputError
from songtitle.model.lstm import Decoder, LSTMDecoder
from songtitle.shapes import Memory, State

_BYTES = 32_000_000  # of state and logits at a time
_SONGS = 16  # at least, where state is not too large: fewer make small products


@torch.no_grad()
def log_likelihoods(
    decoder: Decoder,
    memory: Memory,
    titles: Sequence[Sequence[int]],
    *,
    bos_id: int,
    eos_id: int,
) -> Float[Tensor, "songs titles"]:
    """Compute the log-probability, in nats, of every title for every row of `memory`.

    A title is the ids of its words, with or without the `<bos>` and `<eos>` that
    `Vocabulary.encode` puts around them; the sum is over its words and `<eos>`. Entry (i, j) is
    minus the summed cross entropy of `decoder` under teacher forcing. Equal titles are computed
    once, and so is, for each song, a beginning that several titles share. A word that the
    vocabulary lacks is `<unk>`: titles that differ in such words alone are equal.

    In float32, on the memory's device. Put the decoder into evaluation mode first. Raises
    InputError for a decoder in training mode and for ids that are not those of words.
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
    rows = _rows_at_once(decoder.start(memory[:1]), vocab)
    for columns in _ranges(0, songs, max(rows // trie.width, min(rows, _SONGS))):
        state = decoder.start(memory[columns.start : columns.stop])
        reached = memory.new_zeros(1, len(columns), dtype=torch.float32)
        part = found[:, columns.start : columns.stop]
        _walk(decoder, trie, eos_id, part, range(1), state, 0, reached)
    return found[trie.ends].T.contiguous()


class _Trie:
    """All beginnings of the titles, each once: shorter ones first, those with one parent together.

    Node 0 is the empty beginning.
    """

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


def _walk(
    decoder: Decoder,
    trie: _Trie,
    eos_id: int,
    found: Float[Tensor, "all songs"],
    nodes: range,
    state: State,
    above: int,
    reached: Float[Tensor, "nodes songs"],
) -> None:
    """Step through some nodes of one length, and all that go on from them.

    `found` is written to: the log-probability of ending at each node. `reached` holds that of the
    nodes' beginnings, `state` what the decoder knew before their last token: that of their parents,
    from node `above` on. Rows of a state are node by node, all songs of a node together.
    """
    songs = found.shape[1]
    at_once = max(1, _rows_at_once(state, decoder.output.out_features) // songs)
    for part in _ranges(nodes.start, nodes.stop, at_once):
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
            del logits
            _walk(decoder, trie, eos_id, found, below, after, part.start, reached_below)


def _advance(
    decoder: Decoder, tokens: Int[Tensor, " nodes"], state: State, songs: int
) -> tuple[Float[Tensor, "group dim"], State]:
    """`decoder.advance` with one token for all songs of a node.

    What the paper's LSTM makes of a word is then the same for all of them: half its products are
    taken once a node, not once a song.
    """
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


def _ranges(first: int, last: int, size: int) -> Iterator[range]:
    for start in range(first, last, size):
        yield range(start, min(start + size, last))


def _words(title: Sequence[int], bos_id: int, eos_id: int, vocab: int) -> tuple[int, ...]:
    """The ids of a title between `<bos>` and `<eos>`."""
    ids = tuple(map(int, title))
    ids = ids[1:] if ids[:1] == (bos_id,) else ids
    ids = ids[:-1] if ids[-1:] == (eos_id,) else ids
    for each in ids:
        if not 0 <= each < vocab or each in (bos_id, eos_id):
            msg = f"titles: expected the ids of words, below {vocab}, got {list(title)}"
            msg += "; encode them with the decoder's vocabulary"
            raise InputError(msg)
    return ids
