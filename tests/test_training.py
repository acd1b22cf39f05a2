"""Laws of training: perplexity counted right, same seed same losses, stops leave no trace."""

import math

import pytest
import torch

from songtitle.datasets.loaders import batches, collate
from songtitle.errors import InputError
from songtitle.model.captioner import ModelConfig, build_captioner
from songtitle.training import (
    TrainingConfig,
    evaluate,
    fit,
    load_weights,
    read_checkpoint,
    save_checkpoint,
    token_loss,
)

PAD, BOS, EOS, VOCAB, FEATURES = 0, 1, 2, 11, 7
CAPTIONS = [[BOS, 4 + i % 7, 4 + (3 * i) % 7, EOS][: 3 + i % 2] for i in range(13)]
CAPTIONS = [caption if caption[-1] == EOS else [*caption, EOS] for caption in CAPTIONS]


@pytest.fixture
def views():
    return torch.randn(13, 2, FEATURES, generator=torch.Generator().manual_seed(5))


def new_model(dropout=0.2):
    torch.manual_seed(0)
    config = ModelConfig(dim=16, dropout=dropout)
    return build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD)


def train(views, folder, epochs, model=None):
    model = model or new_model()

    def epoch_batches(epoch):
        generator = torch.Generator().manual_seed(epoch)
        return batches(views, CAPTIONS, batch_size=4, pad_id=PAD, generator=generator)

    history = fit(
        model,
        epoch_batches,
        config=TrainingConfig(epochs=epochs, learning_rate=0.01),
        pad_id=PAD,
        validate=lambda m: evaluate(
            m, batches(views, CAPTIONS, batch_size=5, pad_id=PAD), pad_id=PAD
        ),
        folder=folder,
        details={"config": {"a": 1}},
    )
    return model, [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_stop_and_resume_equals_the_straight_run_bit_for_bit(views, tmp_path):
    straight, history = train(views, tmp_path / "straight", 4)
    train(views, tmp_path / "stopped", 2)
    resumed, again = train(views, tmp_path / "stopped", 4)
    assert history == again
    assert torch.equal(weights(straight), weights(resumed))


def test_the_same_seed_gives_the_same_losses_and_another_does_not(views, tmp_path):
    _, first = train(views, tmp_path / "a", 2)
    _, second = train(views, tmp_path / "b", 2)
    assert first == second
    torch.manual_seed(9)
    config = ModelConfig(dim=16)
    other = build_captioner(config, features=FEATURES, vocab=VOCAB, pad_id=PAD)
    assert train(views, tmp_path / "c", 2, other)[1] != first


def test_training_lowers_perplexity_and_keeps_the_best_epoch(views, tmp_path):
    model, history = train(views, tmp_path, 12)
    perplexities = [row["valid_perplexity"] for row in history]
    assert perplexities[-1] < 0.7 * perplexities[0]
    held_out = evaluate(model, batches(views, CAPTIONS, batch_size=5, pad_id=PAD), pad_id=PAD)
    assert math.isclose(math.exp(held_out), min(perplexities), rel_tol=1e-5)


def test_training_leaves_the_global_random_state_alone(views, tmp_path):
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    model = build_captioner(ModelConfig(dim=16), features=FEATURES, vocab=VOCAB, pad_id=PAD)
    torch.manual_seed(123)
    train(views, tmp_path, 1, model)
    assert torch.equal(torch.rand(3), expected)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(views):
    model = new_model()
    torch.nn.init.zeros_(model.decoder.output.weight)
    torch.nn.init.zeros_(model.decoder.output.bias)
    loss = evaluate(model, batches(views, CAPTIONS, batch_size=4, pad_id=PAD), pad_id=PAD)
    assert math.isclose(math.exp(loss), VOCAB, rel_tol=1e-6)


def test_loss_counts_every_token_after_bos_and_no_padding(views):
    batch = collate([(views[i, 0], CAPTIONS[i]) for i in range(4)], pad_id=PAD)
    _, tokens = token_loss(new_model().eval(), batch, pad_id=PAD)
    assert tokens == sum(len(caption) - 1 for caption in CAPTIONS[:4])


def test_loss_does_not_depend_on_the_batch_size(views):
    model = new_model().eval()
    losses = [
        evaluate(model, batches(views, CAPTIONS, batch_size=size, pad_id=PAD), pad_id=PAD)
        for size in (1, 5, 13)
    ]
    assert max(losses) - min(losses) < 1e-6


def test_batches_hold_every_example_once_and_never_a_single_one(views):
    generator = torch.Generator().manual_seed(0)
    found = list(batches(views, CAPTIONS, batch_size=4, pad_id=PAD, generator=generator))
    assert [len(batch.lengths) for batch in found] == [4, 4, 5]
    seen = sorted(
        row[: int(n)].tolist()
        for batch in found
        for row, n in zip(batch.tokens, batch.lengths, strict=True)
    )
    assert seen == sorted(CAPTIONS)


def test_batches_pair_a_caption_with_a_view_of_its_own_picture(views):
    generator = torch.Generator().manual_seed(0)
    captions = [[BOS, 4, EOS] for _ in range(13)]
    for i, caption in enumerate(captions):
        caption.insert(1, i)
    for batch in batches(views, captions, batch_size=4, pad_id=PAD, generator=generator):
        for features, row in zip(batch.inputs, batch.tokens, strict=True):
            assert any(torch.equal(features, view) for view in views[int(row[1])])


def test_a_checkpoint_gives_back_weights_and_details(tmp_path):
    model = new_model()
    save_checkpoint(tmp_path / "m.safetensors", model, details={"words": ["é", "b"]})
    other = build_captioner(ModelConfig(dim=16), features=FEATURES, vocab=VOCAB, pad_id=PAD)
    details = load_weights(tmp_path / "m.safetensors", other)
    assert details == {"words": ["é", "b"]}
    assert torch.equal(weights(model), weights(other))
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"m\.safetensors: expected a checkpoint.*train again"):
        read_checkpoint(path)
