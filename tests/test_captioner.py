"""Laws of the captioner: settings that fit, one loss for all, and steps that search can use."""

import pytest
import torch

from songtitle.config import ModelConfig
from songtitle.errors import InputError
from songtitle.model.captioner import build_captioner
from songtitle.model.encoder import build_backbone
from songtitle.vocabulary import SPECIALS

BATCH, STEPS, POSITIONS, FEATURES, VOCAB = 2, 3, 7, 13, 11
PAD, BOS, EOS = 0, 1, 2
TOKENS = torch.tensor([[BOS, 5, 7], [BOS, 9, PAD]])


def build(features=FEATURES, **changes):
    torch.manual_seed(0)
    config = ModelConfig(**{"dim": 10, "num_heads": 5} | changes)
    return build_captioner(config, features=features, vocab=VOCAB, pad_id=PAD)


def features(batch=BATCH, width=FEATURES):
    return torch.randn(batch, POSITIONS, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("weight", [0.0, 0.5])
@pytest.mark.parametrize("decoder", ["lstm", "attention", "transformer"])
def test_teaching_gives_the_logits_and_a_penalty_where_there_is_one(decoder, weight):
    weight = weight if decoder == "attention" else 0.0
    model = build(decoder=decoder, attention_penalty=weight).eval()
    log_probs, _ = model.search_step(TOKENS[:, 0], model.decoder.start(model.encoder(features())))
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(BATCH))
    logits, penalty = model.teach(features(), TOKENS)
    assert logits.shape == (BATCH, STEPS, VOCAB)
    assert torch.equal(logits, model(features(), TOKENS))
    assert penalty.shape == ()
    alone = [model.teach(features()[i : i + 1], TOKENS[i : i + 1])[1].item() for i in range(BATCH)]
    assert sum(alone) == pytest.approx(penalty.item(), rel=1e-5)
    assert (penalty.item() > 0) == (weight > 0)


@pytest.mark.parametrize("decoder", ["lstm", "attention", "transformer"])
def test_a_captioner_over_timbre_overfits_four_songs(decoder):
    model = build(None, encoder="timbre", decoder=decoder, dim=30, dropout=0.0)
    timbre = 100 * torch.randn(4, 90, generator=torch.Generator().manual_seed(2))
    tokens = torch.tensor(
        [[BOS, 4, 5, EOS], [BOS, 6, EOS, PAD], [BOS, 7, 8, EOS], [BOS, 9, EOS, PAD]]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        logits = model(timbre, tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_a_fine_tuned_captioner_reads_pictures_and_trains_its_network():
    model = build(None, encoder="resnet18", weights="none", fine_tune=True, decoder="attention")
    pictures = torch.rand(BATCH, 3, 45, 64)
    logits = model.train()(pictures, TOKENS)
    assert logits.shape == (BATCH, STEPS, VOCAB)
    logits.square().sum().backward()
    assert model.encoder.backbone.trunk.conv1.weight.grad.abs().sum() > 0


def test_a_frozen_network_within_a_captioner_serves_pictures_as_they_come():
    config = ModelConfig(encoder="resnet18", weights="none", dim=10)
    backbone = build_backbone("resnet18", "none")
    whole = build_captioner(config, vocab=VOCAB, pad_id=PAD, backbone=backbone).eval()
    over_features = build_captioner(config, vocab=VOCAB, pad_id=PAD).eval()
    over_features.load_state_dict(whole.state_dict())
    pictures = torch.rand(BATCH, 3, 64, 64)
    torch.testing.assert_close(whole(pictures, TOKENS), over_features(backbone(pictures), TOKENS))


def test_the_same_seed_gives_the_lstm_captioner_the_names_and_numbers_it_always_had():
    model = build()
    torch.manual_seed(0)
    embed, lstm = torch.nn.Embedding(VOCAB, 10, padding_idx=PAD), torch.nn.LSTM(10, 10)
    output, linear = torch.nn.Linear(10, VOCAB), torch.nn.Linear(FEATURES, 10)
    state = model.state_dict()
    assert torch.equal(state["decoder.embed.weight"], embed.weight)
    assert torch.equal(state["decoder.lstm.weight_hh_l0"], lstm.weight_hh_l0)
    assert torch.equal(state["decoder.output.weight"], output.weight)
    assert torch.equal(state["encoder.linear.weight"], linear.weight)
    assert {key.partition(".")[0] for key in state} == {"encoder", "decoder"}
    assert "encoder.norm.running_mean" in state


def test_word_vectors_enter_a_captioner_of_any_decoder(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("heron 1 2 3\n")
    words = [*SPECIALS, "heron", *"abcdef"]
    for decoder in ("lstm", "attention", "transformer"):
        config = ModelConfig(decoder=decoder, dim=10, num_heads=5, word_vectors=str(path))
        model = build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD, words=words)
        assert model(features(), TOKENS).shape == (BATCH, STEPS, VOCAB)
        assert model.decoder.embed.coverage == pytest.approx(1 / 7)
        with pytest.raises(
            InputError, match=r"words: .* the vocabulary's 11 words, got (none|10);"
        ):
            build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD)
        with pytest.raises(InputError, match=r"words: .* the vocabulary's 11 words, got 10;"):
            build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD, words=words[1:])


@pytest.mark.parametrize(
    ("settings", "positions"),
    [
        ({}, "pooled"),
        ({"decoder": "attention"}, "map"),
        ({"decoder": "transformer"}, "map"),
        ({"decoder": "transformer", "memory": "pooled"}, "pooled"),
        ({"memory": "map"}, "map"),
        ({"decoder": "attention", "encoder": "timbre"}, "pooled"),
    ],
)
def test_memory_suits_the_decoder_unless_it_is_set(settings, positions):
    assert ModelConfig(**settings).positions == positions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"decoder": "transformer", "dim": 20, "num_heads": 3},
            r"num_heads: expected a divisor of dim, 20, got 3",
        ),
        ({"attention_penalty": -1.0, "decoder": "attention"}, r"attention_penalty: .* got -1"),
        ({"attention_penalty": 1.0}, r"attention_penalty: expected 0 with decoder 'lstm'"),
        ({"encoder": "timbre", "fine_tune": True}, r"fine_tune: expected False with .*timbre"),
        ({"encoder": "timbre", "memory": "map"}, r"memory: expected 'pooled' with .*timbre"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(settings, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**settings)


def test_a_width_that_the_encoder_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"features: expected 90, as timbre gives, got 13"):
        build(encoder="timbre")
    with pytest.raises(InputError, match=r"features: expected 512, as resnet18 gives, got 13"):
        build(encoder="resnet18", weights="none", fine_tune=True)
