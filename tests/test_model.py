"""Laws of the model: what a decoder and an encoder must keep, whichever they are."""

import copy

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from songtitle.errors import InputError
from songtitle.model.captioner import Captioner, ModelConfig, build_captioner
from songtitle.model.encoder import Projection, TimbreDoor, build_backbone, fold_batch_norm
from songtitle.model.lstm import LSTMDecoder
from songtitle.timbre import replicated_order

BATCH, STEPS, DIM, VOCAB, FEATURES = 2, 3, 5, 11, 7
PAD, BOS, EOS = 0, 1, 2


@pytest.fixture(params=[1, 2], ids=["one layer", "two layers"])
def decoder(request):
    torch.manual_seed(0)
    return LSTMDecoder(VOCAB, dim=DIM, num_layers=request.param, pad_id=PAD).eval()


@pytest.fixture
def memory():
    return torch.randn(BATCH, 1, DIM, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens():
    return torch.tensor([[BOS, 5, 7], [BOS, 9, 4]])


def test_step_by_step_logits_equal_teacher_forcing(decoder, memory, tokens):
    state, steps = decoder.start(memory), []
    for column in tokens.T:
        logits, state = decoder.step(column, state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, dim=1), decoder(memory, tokens))


def test_every_state_tensor_is_led_by_the_group_axis(decoder, memory, tokens):
    state = decoder.start(memory)
    _, after = decoder.step(tokens[:, 0], state)
    for tensor in [*state.values(), *after.values()]:
        assert tensor.shape == (BATCH, decoder.lstm.num_layers, DIM)


def test_an_output_has_no_gradient_beyond_its_own_token(decoder, memory, tokens):
    words = decoder.embed(tokens).detach().requires_grad_()
    decoder.embed.forward = lambda _: words
    logits = decoder(memory, tokens)
    for step in range(STEPS):
        (gradient,) = torch.autograd.grad(logits[:, step].sum(), words, retain_graph=True)
        assert gradient[:, step].abs().sum() > 0
        assert gradient[:, step + 1 :].abs().sum() == 0


def test_more_padding_changes_nothing(decoder, memory, tokens):
    padded = torch.nn.functional.pad(tokens, (0, 4), value=PAD)
    torch.testing.assert_close(decoder(memory, padded)[:, :STEPS], decoder(memory, tokens))


def test_permuting_the_batch_permutes_the_output(decoder, memory, tokens):
    ragged = tokens.clone()
    ragged[0, 2] = PAD
    swapped = decoder(memory.flip(0), ragged.flip(0))
    torch.testing.assert_close(swapped.flip(0), decoder(memory, ragged))


def test_the_picture_reaches_the_first_word(decoder, memory, tokens):
    other = decoder(memory + 1, tokens)
    assert (other[:, 0] - decoder(memory, tokens)[:, 0]).abs().max() > 1e-3


def test_dropout_acts_in_training_and_not_in_evaluation(memory, tokens):
    decoder = LSTMDecoder(VOCAB, dim=DIM, dropout=0.5, pad_id=PAD)
    assert not torch.equal(decoder(memory, tokens), decoder(memory, tokens))
    decoder.eval()
    assert torch.equal(decoder(memory, tokens), decoder(memory, tokens))


def test_a_captioner_overfits_four_examples():
    torch.manual_seed(0)
    config = ModelConfig(dim=32, dropout=0.0)
    model = build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD)
    features = torch.randn(4, FEATURES)
    tokens = torch.tensor(
        [[BOS, 4, 5, EOS], [BOS, 6, EOS, PAD], [BOS, 7, 8, EOS], [BOS, 9, EOS, PAD]]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        logits = model(features, tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_search_steps_are_log_probabilities(memory, tokens, decoder):
    model = Captioner(torch.nn.Identity(), decoder)
    log_probs, _ = model.search_step(tokens[:, 0], decoder.start(memory))
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(BATCH))


def test_a_projection_leaves_each_column_at_unit_scale_in_training():
    torch.manual_seed(0)
    memory = Projection(FEATURES, DIM)(50 * torch.randn(101, FEATURES) + 3)[:, 0]
    torch.testing.assert_close(memory.mean(0), torch.zeros(DIM), atol=1e-5, rtol=0)
    torch.testing.assert_close(memory.std(0, correction=0), torch.ones(DIM), atol=1e-3, rtol=0)


def test_the_timbre_door_repeats_each_standardised_number_five_or_six_times():
    order = replicated_order(512, generator=torch.Generator().manual_seed(3))
    mean, std = torch.arange(90.0), torch.full((90,), 2.0)
    door = TimbreDoor(order, mean, std)
    memory = door((mean + 2 * torch.arange(90.0)).unsqueeze(0))[0, 0]
    values, counts = memory.round().unique(return_counts=True)
    assert values.tolist() == list(range(90))
    assert set(counts.tolist()) == {5, 6}


@pytest.mark.parametrize(
    ("name", "width"), [("efficientnet_lite0", 1280), ("resnet18", 512), ("resnet50", 2048)]
)
def test_a_backbone_takes_tiles_of_any_size_and_never_trains(name, width):
    backbone = build_backbone(name, "none").train()
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    for height, breadth in ((32, 32), (64, 96)):
        assert backbone(torch.rand(2, 3, height, breadth)).shape == (2, width)
    assert backbone.width == width


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_folding_batch_norm_changes_no_output(name):
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    folded = fold_batch_norm(copy.deepcopy(network))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    picture = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(folded(picture), network(picture), atol=1e-4, rtol=1e-4)


def test_packaged_imagenet_weights_tell_one_picture_from_another():
    backbone = build_backbone("efficientnet_lite0")
    grey = torch.full((1, 3, 64, 64), 0.5)
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = backbone(torch.cat([grey, noise]))
    similarity = torch.nn.functional.cosine_similarity(features[:1], features[1:]).item()
    assert similarity < 0.9
    # Standardised features of trained weights are sparse: ReLU6 and pooling leave them in [0, 6].
    assert features.min() >= 0
    assert features.max() <= 6


def test_weights_come_from_a_local_file(tmp_path):
    whole = torchvision.models.resnet18(weights=None).state_dict()
    save_file(whole, tmp_path / "w.safetensors")
    torch.save(whole, tmp_path / "w.pth")
    picture = torch.rand(1, 3, 64, 64)
    first, second = (
        build_backbone("resnet18", str(tmp_path / name))(picture)
        for name in ("w.safetensors", "w.pth")
    )
    assert torch.equal(first, second)
    assert not torch.allclose(build_backbone("resnet18", "none")(picture), first)


def test_weights_that_are_not_there_or_do_not_fit_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"weights: expected 'imagenet'.*no such file"):
        build_backbone("resnet18", str(tmp_path / "none.pth"))
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"weights: .*other\.pth does not fit the encoder"):
        build_backbone("resnet18", str(tmp_path / "other.pth"))


def test_imagenet_weights_without_a_network_end_in_one_line(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(InputError, match=r"weights: .*resnet18 could not be fetched.*local"):
        build_backbone("resnet18")
