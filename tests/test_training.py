"""Laws of training: losses counted right over the whole global batch, same seed same losses."""

import io
import json
import math
import warnings
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from training_examples import (
    CAPTIONS,
    ITEMS,
    PAD,
    VIEWS,
    VOCAB,
    Batches,
    PlainModel,
    collate,
    held_out,
    new_model,
    train,
    weights,
)

from songtitle.config import TrainingConfig
from songtitle.errors import InputError
from songtitle.training.loop import evaluate, fit, rate_at, token_loss


def test_the_same_seed_gives_the_same_losses_and_another_does_not(tmp_path):
    first, history = train(tmp_path / "a")
    second, again = train(tmp_path / "b")
    assert history == again
    assert torch.equal(weights(first), weights(second))
    assert train(tmp_path / "c", seed=1)[1] != history  # dropout draws otherwise


def test_training_lowers_perplexity_and_keeps_the_epoch_asked_for(tmp_path):
    kept = {}
    for keep in ("best", "last"):
        model, history = train(tmp_path / keep, epochs=12, keep=keep)
        perplexities = [row["valid_perplexity"] for row in history]
        assert perplexities[-1] < 0.7 * perplexities[0]
        kept[keep] = math.exp(held_out(model))
    assert kept["best"] == pytest.approx(min(perplexities), rel=1e-6)
    assert kept["last"] == pytest.approx(perplexities[-1], rel=1e-6)


def test_training_neither_reads_nor_moves_the_global_random_state(tmp_path):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        torch.manual_seed(seed)
        found.append(weights(train(tmp_path / f"{seed}", epochs=1)[0]))
        assert torch.equal(torch.rand(3), expected)
    assert torch.equal(*found)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary():
    model = new_model()
    nn.init.zeros_(model.decoder.output.weight)
    nn.init.zeros_(model.decoder.output.bias)
    for size in (2, 5, 13):
        for mode in (True, False):
            found = evaluate(model.train(mode), Batches(size)(0), pad_id=PAD)
            assert math.isclose(math.exp(found), VOCAB, rel_tol=1e-6)
            assert model.training is mode
    with pytest.raises(InputError, match="validation: expected batches with captions, got none"):
        evaluate(model, [], pad_id=PAD)


def test_loss_counts_every_token_after_bos_and_no_padding():
    batch = collate([(VIEWS[i], CAPTIONS[i]) for i in range(4)], pad_id=PAD)
    _, tokens = token_loss(new_model().eval(), batch, pad_id=PAD)
    assert tokens == sum(len(caption) - 1 for caption in CAPTIONS[:4])


def by_hand(model, rate, clip, penalty=0.0, size=8):
    """An epoch of Adam on losses per token of whole batches, written out."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    total = tokens = 0.0
    for batch in Batches(size)(1):
        logits = model(batch.inputs, batch.tokens[:, :-1])
        targets = batch.tokens[:, 1:]
        known = targets != PAD
        loss = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0][known].sum()
        extra = penalty * model.encoder(batch.inputs).square().sum() / len(batch.tokens)
        optimizer.zero_grad()
        (loss / known.sum() + extra).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        total, tokens = total + loss.item(), tokens + int(known.sum())
    return math.exp(total / tokens)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize(("size", "accumulate"), [(8, 1), (4, 2), (2, 4)])
def test_accumulated_batches_train_as_one_big_batch(tmp_path, size, accumulate, penalty):
    expected = PlainModel(penalty)
    perplexity = by_hand(expected, 0.01, 0.5, penalty)
    settings = {"epochs": 1, "batch_size": size, "accumulate": accumulate, "clip_norm": 0.5}

    def split(epoch, *, start=0, rank=0, world=1):
        # The same big batches, in parts whose captions differ in number and length.
        for batch in Batches(8)(epoch):
            for part in range(accumulate):
                last = part == accumulate - 1
                some = slice(part * size, None if last else (part + 1) * size)
                yield type(batch)(batch.inputs[some], batch.tokens[some], batch.lengths[some])

    model, history = train(tmp_path, PlainModel(penalty), batches=split, **settings)
    assert math.isclose(history[0]["train_perplexity"], perplexity, rel_tol=1e-5)
    assert torch.allclose(weights(model), weights(expected), atol=2e-5)


def test_a_penalty_is_part_of_what_is_trained_but_not_of_perplexity(tmp_path):
    class Simple(PlainModel):
        teach = None  # a model without a penalty of its own

    _, without = train(tmp_path / "a", Simple(), epochs=1, batch_size=ITEMS)
    _, with_it = train(tmp_path / "b", PlainModel(5.0), epochs=1, batch_size=ITEMS)
    assert with_it[0]["train_perplexity"] == without[0]["train_perplexity"]
    assert with_it[0]["valid_perplexity"] != without[0]["valid_perplexity"]
    free, _ = train(tmp_path / "c", PlainModel(0.0), epochs=9)
    held, _ = train(tmp_path / "d", PlainModel(5.0), epochs=9)
    assert held.encoder.weight.norm() < 0.5 * free.encoder.weight.norm()


def test_a_gradient_is_clipped_to_its_length_and_zero_leaves_it_whole(tmp_path):
    # Adam divides by the gradient's size but for epsilon: only a tiny gradient shows.
    tiny, _ = train(tmp_path / "a", PlainModel(), epochs=1, clip_norm=1e-9)
    whole, _ = train(tmp_path / "b", PlainModel(), epochs=1, clip_norm=0.0)
    large, _ = train(tmp_path / "c", PlainModel(), epochs=1, clip_norm=1e9)
    start = weights(PlainModel())
    assert (weights(tiny) - start).norm() < 0.5 * (weights(whole) - start).norm()
    assert torch.equal(weights(whole), weights(large))


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    config = TrainingConfig(learning_rate=0.8, warmup_steps=4)
    rising = [rate_at(config, step=step, progress=0.0) for step in range(6)]
    assert rising == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    cosine = replace(config, schedule="cosine")
    falling = [rate_at(cosine, step=99, progress=share) for share in (0.0, 0.5, 1.0, 1.5)]
    assert falling == pytest.approx([0.8, 0.4, 0.0, 0.0])
    assert rate_at(TrainingConfig(), step=0, progress=0.9) == 1e-3


def test_a_cosine_reaches_its_middle_when_half_of_all_examples_were_used(tmp_path):
    train(tmp_path, epochs=2, schedule="cosine", learning_rate=0.01)
    rates = [event.value for event in curves(tmp_path / "logs" / "steps", "learning rate")]
    assert rates[0] == pytest.approx(0.01)
    assert rates[len(rates) // 2] == pytest.approx(0.005)
    assert rates == sorted(rates, reverse=True)


def test_a_cosine_wants_to_know_how_long_an_epoch_is(tmp_path):
    with pytest.raises(InputError, match=r"expected batches with a len.*take 'constant'"):
        train(tmp_path, batches=lambda *a, **k: Batches(4)(*a, **k), schedule="cosine")


def test_training_stops_when_patience_runs_out(tmp_path):
    losses, seen = iter([3.0, 2.0, 2.5, 2.0, 1.0]), []  # the fourth is no better than the best

    def validate(model):
        seen.append(weights(model))
        return next(losses)

    model, history = train(tmp_path, epochs=9, patience=2, keep="best", validate=validate)
    assert [round(math.log(row["valid_perplexity"]), 9) for row in history] == [3.0, 2.0, 2.5, 2.0]
    assert torch.equal(weights(model), seen[1])  # the best is kept
    assert (
        train(tmp_path, epochs=9, patience=2, keep="best")[1] == history
    )  # called again: no epoch more


def test_half_precision_trains_to_nearly_the_same_weights(tmp_path):
    full, one = train(tmp_path / "a", PlainModel(), epochs=2)
    half, two = train(tmp_path / "b", PlainModel(), epochs=2, precision="bf16")
    assert one[1]["train_perplexity"] != two[1]["train_perplexity"]
    assert two[1]["train_perplexity"] == pytest.approx(one[1]["train_perplexity"], rel=0.02)
    assert all(value.dtype == torch.float32 for value in half.state_dict().values())
    assert (weights(full) - weights(half)).norm() < 0.1 * weights(full).norm()


def curves(folder, tag):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        found.Reload()
    return found.Scalars(tag)


def test_curves_hold_each_step_and_epoch_once_however_often_training_was_resumed(tmp_path):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train(straight, checkpoint_every=3)
    for limit in (5, 9, 17, 99):  # batches until the source dies
        seen = []

        def failing(epoch, limit=limit, seen=seen, **place):
            for batch in Batches(4)(epoch, **place):
                seen.append(batch)
                if len(seen) > limit:
                    raise OSError
                yield batch

        try:
            train(stopped, batches=failing, checkpoint_every=3)
        except InputError:
            assert limit < 99
    for folder, tag in (("steps", "loss (nats per token)"), ("epochs", "perplexity/valid")):
        expected = [(e.step, e.value) for e in curves(straight / "logs" / folder, tag)]
        assert expected == [(e.step, e.value) for e in curves(stopped / "logs" / folder, tag)]
        assert [step for step, _ in expected] == list(range(1, 22 if folder == "steps" else 4))


def test_seconds_are_kept_beside_the_checkpoints_and_added_up(tmp_path):
    config = TrainingConfig(epochs=2, batch_size=4, checkpoint_every=2)

    def once():
        return fit(
            new_model(), Batches(4), config=config, pad_id=PAD, validate=held_out, folder=tmp_path
        )

    first = once()
    assert all(row["seconds"] > 0 for row in first)
    assert once() == first
    timing = json.loads((tmp_path / "timing.json").read_text())
    assert list(timing["1"]) == ["0", "2", "4", "6"]
    for row in first:
        assert sum(timing[str(row["epoch"])].values()) == pytest.approx(row["seconds"])


def test_a_progress_bar_shows_on_a_terminal_with_examples_per_second(tmp_path, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    train(tmp_path / "a")
    assert shown.getvalue() == ""
    monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
    train(tmp_path / "b")
    assert "epoch 3/3" in shown.getvalue()
    assert f"{3 * ITEMS}/{3 * ITEMS}" in shown.getvalue()
    assert "examples/s" in shown.getvalue()
