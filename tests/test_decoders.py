"""Laws of the decoders: what each must keep, whichever it is."""

import math

import pytest
import torch

from songtitle.model import decoder as decoders
from songtitle.model.decoder import (
    AttentionDecoder,
    Decoder,
    LSTMDecoder,
    TransformerDecoder,
    sinusoids,
)

BATCH, STEPS, HEADS, POSITIONS, VOCAB = 2, 3, 5, 7, 11
DIM = HEADS * 13
PAD, BOS, EOS = 0, 1, 2

DECODERS = {
    "lstm": (LSTMDecoder, {}),
    "lstm, two layers": (LSTMDecoder, {"num_layers": 2}),
    "attention": (AttentionDecoder, {}),
    "attention, two layers": (AttentionDecoder, {"num_layers": 2}),
    "transformer": (TransformerDecoder, {"num_heads": HEADS, "num_layers": 2}),
}


def build(name, **changes):
    torch.manual_seed(0)
    kind, options = DECODERS[name]
    return kind(VOCAB, dim=DIM, pad_id=PAD, **options | changes)


@pytest.fixture(params=DECODERS)
def name(request):
    return request.param


@pytest.fixture
def decoder(name):
    return build(name).eval()


@pytest.fixture
def memory():
    return torch.randn(BATCH, POSITIONS, DIM, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens():
    return torch.tensor([[BOS, 5, 7], [BOS, 9, 4]])


def walk(decoder, state, tokens):
    """Logits of `tokens`, one step at a time, and the last state."""
    steps = []
    for column in tokens.T:
        logits, state = decoder.step(column, state)
        steps.append(logits)
    return torch.stack(steps, dim=1), state


@pytest.mark.parametrize("positions", [1, POSITIONS])
def test_step_by_step_logits_equal_teacher_forcing(decoder, memory, tokens, positions):
    memory = memory[:, :positions]
    stepped, _ = walk(decoder, decoder.start(memory), tokens)
    torch.testing.assert_close(stepped, decoder(memory, tokens))


def test_a_step_is_the_output_of_an_advance(decoder, memory, tokens):
    assert isinstance(decoder, Decoder)
    hidden, after = decoder.advance(tokens[:, 0], decoder.start(memory))
    logits, _ = decoder.step(tokens[:, 0], decoder.start(memory))
    assert hidden.shape == (BATCH, DIM)
    assert torch.equal(decoder.output(hidden), logits)
    assert after.keys() == decoder.start(memory).keys()
    for tensor in [*decoder.start(memory).values(), *after.values()]:
        assert tensor.shape[0] == BATCH


def test_rows_of_a_state_can_be_reordered_repeated_and_dropped(decoder, memory, tokens):
    expected, _ = walk(decoder, decoder.start(memory), tokens)
    _, state = walk(decoder, decoder.start(memory), tokens[:, :1])
    rows = torch.tensor([1, 0, 1])
    state = {key: value.index_select(0, rows) for key, value in state.items()}
    found, state = walk(decoder, state, tokens[rows, 1:2])
    torch.testing.assert_close(found, expected[rows, 1:2])
    kept = torch.tensor([2])
    state = {key: value.index_select(0, kept) for key, value in state.items()}
    found, _ = walk(decoder, state, tokens[1:, 2:])
    torch.testing.assert_close(found, expected[1:, 2:])


def test_an_output_has_no_gradient_beyond_its_own_token(decoder, memory, tokens):
    words = decoder.embed(tokens).detach().requires_grad_()
    decoder.embed.forward = lambda _: words
    logits = decoder(memory, tokens)
    for step in range(STEPS):
        (gradient,) = torch.autograd.grad(logits[:, step].sum(), words, retain_graph=True)
        assert (gradient[:, : step + 1].abs().sum(-1) > 0).all()
        assert gradient[:, step + 1 :].abs().sum() == 0


def test_more_padding_changes_nothing(decoder, memory, tokens):
    padded = torch.nn.functional.pad(tokens, (0, 4), value=PAD)
    torch.testing.assert_close(decoder(memory, padded)[:, :STEPS], decoder(memory, tokens))


def test_without_packing_an_lstm_says_the_same_of_every_word(monkeypatch, memory, tokens):
    lstm, ragged = build("lstm").eval(), tokens.clone()
    ragged[0, 2] = PAD
    packed = lstm(memory, ragged)
    monkeypatch.setattr(decoders, "PACKING", set())  # as on a GPU
    words = ragged != PAD
    torch.testing.assert_close(lstm(memory, ragged)[words], packed[words])


def test_permuting_the_batch_permutes_the_output(decoder, memory, tokens):
    ragged = tokens.clone()
    ragged[0, 2] = PAD
    swapped = decoder(memory.flip(0), ragged.flip(0))
    torch.testing.assert_close(swapped.flip(0), decoder(memory, ragged))


def test_the_order_of_positions_does_not_matter(decoder, memory, tokens):
    order = torch.randperm(POSITIONS, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(decoder(memory[:, order], tokens), decoder(memory, tokens))


def test_every_position_of_the_memory_reaches_the_first_word(decoder, memory, tokens):
    memory.requires_grad_()
    (gradient,) = torch.autograd.grad(decoder(memory, tokens)[:, 0, 3].sum(), memory)
    assert (gradient.abs().amax(-1) > 1e-6).all()


def test_dropout_acts_in_training_and_not_in_evaluation(name, memory, tokens):
    decoder = build(name, dropout=0.5)
    assert not torch.equal(decoder(memory, tokens), decoder(memory, tokens))
    decoder.eval()
    assert torch.equal(decoder(memory, tokens), decoder(memory, tokens))


def test_a_decoder_overfits_four_examples(name):
    decoder = build(name, dropout=0.0)
    memory = torch.randn(4, POSITIONS, DIM)
    tokens = torch.tensor(
        [[BOS, 4, 5, EOS], [BOS, 6, EOS, PAD], [BOS, 7, 8, EOS], [BOS, 9, EOS, PAD]]
    )
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)
    for _ in range(60):
        logits = decoder(memory, tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_half_precision_stays_near_single(decoder, memory, tokens):
    exact = decoder(memory, tokens)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rough = decoder(memory, tokens)
        stepped, _ = walk(decoder, decoder.start(memory), tokens)
    torch.testing.assert_close(rough.float(), exact, atol=0.03, rtol=0)
    torch.testing.assert_close(stepped.float(), exact, atol=0.03, rtol=0)


# --- the paper's LSTM


def test_an_lstm_reads_the_mean_of_its_positions(memory, tokens):
    decoder = build("lstm").eval()
    mean = memory.mean(1, keepdim=True)
    assert torch.equal(decoder(memory, tokens), decoder(mean, tokens))


# --- attention


@pytest.fixture
def looking():
    return build("attention", penalty=0.5).eval()


def test_attention_to_equal_positions_is_even_and_sees_one_of_them(looking, memory, tokens):
    alike = memory[:, :1].expand(-1, POSITIONS, -1)
    logits, weights = looking.attend(alike, tokens)
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / POSITIONS))
    torch.testing.assert_close(logits, looking(memory[:, :1], tokens))


def test_the_first_look_and_the_first_word_by_hand(memory, tokens):
    looking = build("attention, two layers").eval()
    hidden = torch.tanh(looking.first_hidden(memory.mean(1))).unflatten(1, (2, DIM))
    cell = torch.tanh(looking.first_cell(memory.mean(1))).unflatten(1, (2, DIM))
    top = hidden[:, 1]
    scores = [
        torch.tanh(looking.key(memory[:, i]) + looking.query(top)) @ looking.score.weight[0]
        for i in range(POSITIONS)
    ]
    even = torch.stack(scores, dim=1).softmax(-1)
    logits, weights = looking.attend(memory, tokens)
    assert weights.shape == (BATCH, STEPS, POSITIONS)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, STEPS))
    torch.testing.assert_close(weights[:, 0], even)
    assert torch.equal(logits, looking(memory, tokens))
    seen = sum(even[:, i, None] * memory[:, i] for i in range(POSITIONS))
    seen = torch.sigmoid(looking.gate(top)) * seen
    word = looking.embed(tokens[:, 0])
    first, _ = looking.cells[0](torch.cat([word, seen], dim=1), (hidden[:, 0], cell[:, 0]))
    second, _ = looking.cells[1](first, (hidden[:, 1], cell[:, 1]))
    # Xu et al. 2015, eq. 7
    expected = looking.output(word + looking.from_hidden(second) + looking.from_seen(seen))
    torch.testing.assert_close(logits[:, 0], expected)


def test_the_doubly_stochastic_penalty_by_hand(looking, memory, tokens):
    tokens[0, 2] = PAD  # what a padded step looks at does not count
    logits, penalty = looking.teach(memory, tokens)
    expected, weights = looking.attend(memory, tokens)
    assert torch.equal(logits, expected)
    by_hand = 0.0
    for example, length in ((0, 2), (1, 3)):
        for position in range(POSITIONS):
            given = sum(weights[example, step, position].item() for step in range(length))
            by_hand += 0.5 * (1 - given) ** 2
    assert penalty.item() == pytest.approx(by_hand, rel=1e-5)
    penalty.backward()
    assert looking.score.weight.grad.abs().sum() > 0


# --- the transformer


def test_the_transformer_equals_torch_with_the_same_weights(memory, tokens):
    decoder = build("transformer", dropout=0.0)
    layer = torch.nn.TransformerDecoderLayer(
        DIM, HEADS, 4 * DIM, 0.0, batch_first=True, norm_first=True
    )
    reference = torch.nn.TransformerDecoder(layer, 2, torch.nn.LayerNorm(DIM))
    for theirs, ours in zip(reference.layers, decoder.layers, strict=True):
        theirs.load_state_dict(ours.state_dict())
    words = decoder.embed(tokens) + sinusoids(0, STEPS, DIM, like=memory)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(STEPS)
    expected = decoder.output(reference(words, memory, tgt_mask=mask, tgt_is_causal=True))
    torch.testing.assert_close(decoder(memory, tokens), expected)
    decoder.eval(), reference.eval()
    torch.testing.assert_close(decoder(memory, tokens), expected)


def test_sinusoids_by_hand():
    found = sinusoids(3, 5, 7, like=torch.zeros(()))
    for row, place in enumerate((3, 4)):
        for column in range(7):
            angle = place / 10_000 ** ((column - column % 2) / 7)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert found[row, column].item() == pytest.approx(expected, abs=1e-5)
