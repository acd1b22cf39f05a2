"""Laws of checkpoints: a stop leaves no trace, a bad one is named, and nothing good is lost."""

import json
import math
import os
import signal
import threading
import warnings
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file
from training_examples import PAD, VOCAB, Batches, PlainModel, new_model, train, weights

from songtitle.config import TrainingConfig
from songtitle.errors import InputError
from songtitle.training import loop
from songtitle.training.checkpoints import MODEL, kept_checkpoint, load_weights, read_checkpoint
from songtitle.training.loop import Interrupted, fit


def contents(folder):
    """Every file of the checkpoints, byte by byte."""
    home = folder / "checkpoints"
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def dying(after, action=None):
    """Batches whose source fails, or does something, after so many."""
    count = iter(range(10**6))

    def give(epoch, **place):
        for batch in Batches(4)(epoch, **place):
            if next(count) == after:
                if action is None:
                    raise OSError("a worker died")
                action()
            yield batch

    return give


def test_more_epochs_later_equal_all_at_once_byte_for_byte(tmp_path):
    straight, history = train(tmp_path / "straight", epochs=4)
    train(tmp_path / "stopped", epochs=2)
    resumed, again = train(tmp_path / "stopped", epochs=4)
    assert history == again
    assert torch.equal(weights(straight), weights(resumed))
    assert contents(tmp_path / "straight") == contents(tmp_path / "stopped")


@pytest.mark.parametrize("place", [1, 6, 7, 8, 13, 20])  # seven batches an epoch
def test_a_stop_within_an_epoch_leaves_no_trace(tmp_path, place):
    settings = {"schedule": "cosine", "warmup_steps": 5, "accumulate": 2}
    batches = Batches(4)
    _, history = train(tmp_path / "a", batches=batches, **settings)

    class Dying(Batches):
        def __call__(self, epoch, **where):
            return source(epoch, **where)

    source = dying(place)
    with pytest.raises(InputError, match="its source failed"):
        train(tmp_path / "b", batches=Dying(4), **settings)
    _, again = train(tmp_path / "b", batches=batches, **settings)
    assert history == again
    final = [name for name in names(tmp_path / "a") if name.endswith("epoch-0003")]
    for file in ("model.safetensors", "optimizer.safetensors", "progress.json"):
        one, two = (tmp_path / x / "checkpoints" / final[0] / file for x in "ab")
        assert one.read_bytes() == two.read_bytes()


def test_sigterm_finishes_the_step_keeps_it_and_says_so(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    send = dying(9, action=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(
        Interrupted, match=r"stopped by SIGTERM in epoch 2 after step 9.*run the sa"
    ):
        train(tmp_path / "stopped", batches=send)
    assert Interrupted.exit_code == 143
    assert names(tmp_path / "stopped")[-1] == "step-00000009"
    with pytest.raises(Interrupted):  # and during validation, with the epoch done
        train(tmp_path / "stopped", validate=lambda model: os.kill(os.getpid(), 15) or 9.0)
    assert names(tmp_path / "stopped")[-1] == "step-00000014-epoch-0002"
    train(tmp_path / "straight", epochs=2, validate=lambda _: 9.0)
    one, two = (
        load_file(tmp_path / name / "checkpoints" / "step-00000014-epoch-0002" / MODEL)
        for name in ("stopped", "straight")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)
    thread = threading.Thread(target=train, args=(tmp_path / "stopped",))  # may set no handler
    thread.start()
    thread.join()
    assert names(tmp_path / "stopped")[-1] == "step-00000021-epoch-0003"
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_last_two_and_the_best_are_kept(tmp_path):
    losses = iter([3.0, 1.0, 2.0, 2.5, 2.7, 0.5])
    settings = {"validate": lambda _: next(losses), "keep": "best"}
    train(tmp_path, epochs=5, checkpoint_every=3, **settings)
    last_two = ["step-00000033", "step-00000035-epoch-0005"]
    assert names(tmp_path) == ["step-00000014-epoch-0002", *last_two]
    assert kept_checkpoint(tmp_path).name == "step-00000014-epoch-0002"
    assert not (kept_checkpoint(tmp_path) / "optimizer.safetensors").exists()
    train(tmp_path, epochs=6, **settings)  # a better one: the old one goes
    assert kept_checkpoint(tmp_path).name == "step-00000042-epoch-0006"
    assert names(tmp_path)[1:] == ["step-00000035-epoch-0005", "step-00000042-epoch-0006"]


def test_a_checkpoint_gives_back_weights_and_details(tmp_path):
    model, history = train(tmp_path, details={"words": ["é", "b"], "features": 7})
    other = PlainModel()
    with pytest.raises(InputError):
        load_weights(kept_checkpoint(tmp_path), other)
    assert torch.equal(weights(other), weights(PlainModel()))  # refused as a whole
    other = new_model()
    details = load_weights(kept_checkpoint(tmp_path), other)
    assert details == {"words": ["é", "b"], "features": 7}
    assert torch.equal(weights(model), weights(other))
    assert list(read_checkpoint(kept_checkpoint(tmp_path)).progress.history) == history


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("error", [KeyboardInterrupt, FULL])
@pytest.mark.parametrize("moment", ["save_file", "sha256", "_sync", "_digest", "os.replace"])
def test_a_write_that_is_cut_off_leaves_no_trace(tmp_path, monkeypatch, moment, error):
    train(tmp_path / "a", epochs=1)
    straight, _ = train(tmp_path / "b", epochs=2)
    with monkeypatch.context() as patch:
        # Once the source of the second epoch is asked, no checkpoint is read any more.
        cut = Mock(side_effect=error)
        action = lambda: patch.setattr(f"songtitle.training.checkpoints.{moment}", cut)  # noqa: E731
        said = "could not be written .*No space left.*make room" if error is FULL else None
        with pytest.raises(InputError if error is FULL else error, match=said):
            train(tmp_path / "a", epochs=2, batches=dying(3, action))
    left = [name for name in names(tmp_path / "a") if not name.endswith(".partial")]
    assert left == ["step-00000007-epoch-0001"]
    resumed, _ = train(tmp_path / "a", epochs=2, checkpoint_every=2)  # which may change
    assert not any(name.endswith(".partial") for name in names(tmp_path / "a"))
    assert torch.equal(weights(straight), weights(resumed))


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "progress.json"])
@pytest.mark.parametrize("harm", ["truncated", "changed", "missing"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(tmp_path, file, harm):
    straight, history = train(tmp_path / "a", epochs=3)
    train(tmp_path / "b", epochs=3)
    path = tmp_path / "b" / "checkpoints" / "step-00000021-epoch-0003" / file
    damage(path, harm)
    if not file.startswith("optimizer"):  # the weights alone do not need it
        with pytest.raises(InputError, match=f"{file}: expected a checkpoint"):
            load_weights(path.parent, new_model())
    with pytest.warns(UserWarning, match=rf"{file}: .*going on from step-00000014-epoch-0002"):
        resumed, again = train(tmp_path / "b", epochs=3)
    assert history == again
    assert torch.equal(weights(straight), weights(resumed))
    assert path.parent.with_name(path.parent.name + ".broken").is_dir()  # nothing is lost


def damage(path, harm):
    content = path.read_bytes()
    if harm == "truncated":
        path.write_bytes(content[:-7])
    elif harm == "changed":
        path.write_bytes(
            content.replace(b"1", b"2", 1) if path.suffix == ".json" else flip(content)
        )
    else:
        path.unlink()


def flip(content):
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def test_when_no_checkpoint_is_whole_nothing_is_changed(tmp_path):
    train(tmp_path)
    for name in names(tmp_path)[-2:]:
        damage(tmp_path / "checkpoints" / name / "model.safetensors", "truncated")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"epoch-0003.*epoch-0002.*delete .* to begin again"):
        train(tmp_path, epochs=4)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (
            lambda: new_model(vocab=13),
            r"decoder\.embed\.weight, expected \(13, 16\), got \(11, 16\)",
        ),
        (PlainModel, r"\d+ missing \(first: encoder\.weight\), \d+ unknown"),
        (lambda: new_model(dim=23), r"encoder\.linear\.weight, expected \(23, 7\), got \(16, 7\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_with_what_differs(tmp_path, other, shown):
    train(tmp_path, epochs=1)
    before, model = contents(tmp_path), other()
    start = weights(model)
    with pytest.raises(InputError, match=f"another vocabulary or architecture; .*{shown}"):
        train(tmp_path, model, epochs=2)
    assert contents(tmp_path) == before
    assert torch.equal(weights(model), start)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_pickle_is_refused_unread(tmp_path, legacy):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "model.pt"
    torch.save(Trap(), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"model\.pt/progress\.json: expected a checkpoint"):
        load_weights(path, new_model())
    train(tmp_path / "run", epochs=1)
    inside = kept_checkpoint(tmp_path / "run") / "model.safetensors"
    inside.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"model\.safetensors: .*another sha256"):
        load_weights(inside.parent, new_model())
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "progress.json").write_text("[1]")
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=f"{path}/progress.json: expected a checkpoint"):
            read_checkpoint(path)
    with pytest.raises(InputError, match="expected the checkpoints of a training run"):
        kept_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"learning_rate": 0.02}, r"learning_rate 0\.01, not 0\.02"),
        ({"batch_size": 8}, "batch_size 4, not 8"),
        ({"seed": 3}, "seed 0, not 3"),
        ({"schedule": "cosine"}, "schedule constant, not cosine"),
    ],
)
def test_a_changed_setting_is_refused_by_name(tmp_path, change, shown):
    train(tmp_path, epochs=1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"training began here with .*{shown}.*another folder"):
        train(tmp_path, **{"epochs": 2} | change)
    assert contents(tmp_path) == before


def test_a_cosine_cannot_be_made_longer_and_epochs_cannot_be_undone(tmp_path):
    train(tmp_path / "a", epochs=1, schedule="cosine")
    with pytest.raises(InputError, match="epochs 1, not 2"):
        train(tmp_path / "a", epochs=2, schedule="cosine")
    train(tmp_path / "b", epochs=2)
    with pytest.raises(InputError, match=r"epochs: expected at least the 2 .*got 1"):
        train(tmp_path / "b", epochs=1)


def poisoned(value, at):
    count = iter(range(10**6))

    def give(epoch, **place):
        for batch in Batches(4)(epoch, **place):
            yield batch._replace(inputs=batch.inputs * value) if next(count) == at else batch

    return give


@pytest.mark.parametrize("every", [2, 3, 50])
def test_losses_read_later_train_the_same_and_a_bad_one_gets_into_no_checkpoint(
    tmp_path, monkeypatch, every
):
    for name in ("straight", "later"):
        train(tmp_path / name, checkpoint_every=5)
        monkeypatch.setattr(loop, "READ_EVERY", every)
        monkeypatch.setattr(loop, "AT_ONCE", set())  # as on a GPU
    assert contents(tmp_path / "straight") == contents(tmp_path / "later")
    settings = {"checkpoint_every": 3, "epochs": 1}
    with pytest.raises(InputError, match="epoch 1, batch 5: expected a finite loss, got nan"):
        train(tmp_path / "bad", PlainModel(), batches=poisoned(math.nan, 4), **settings)
    assert names(tmp_path / "bad") == ["step-00000003"]
    _, history = train(tmp_path / "bad", PlainModel(), **settings)  # the batch mended
    assert history == train(tmp_path / "mended", PlainModel(), **settings)[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_or_not_there_stops_training_and_writes_nothing(tmp_path, value):
    model = PlainModel()
    with pytest.raises(
        InputError, match=r"epoch 2, batch 3: expected a finite loss, got .*lower le"
    ):
        train(tmp_path, model, batches=poisoned(value, 9))
    assert names(tmp_path) == ["step-00000007-epoch-0001"]
    assert weights(model).isfinite().all()
    with pytest.raises(InputError, match=r"epoch 2: expected a finite validation loss, got \w"):
        train(tmp_path, PlainModel(), validate=lambda _: value)
    with pytest.raises(InputError, match="epoch 2: expected batches with captions, got none"):
        train(tmp_path, PlainModel(), batches=lambda epoch, **place: iter(()))
    assert names(tmp_path) == ["step-00000007-epoch-0001"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, history = train(tmp_path, PlainModel())  # the batch mended, training goes on
    assert train(tmp_path / "straight", PlainModel())[1] == history
    model.decoder.output.weight.register_hook(lambda gradient: gradient * value)
    with pytest.raises(InputError, match="epoch 1, batches 1 to 2: expected a finite gradient"):
        train(tmp_path / "gradient", model, accumulate=2)
    assert weights(model).isfinite().all()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        (RuntimeError, "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        (None, "a real allocation"),
    ],
)
def test_out_of_memory_is_said_with_a_way_to_the_same_result(tmp_path, error, message):
    model = PlainModel()
    failing = error(message) if error else lambda *_: torch.empty(2**50)
    model.teach = Mock(side_effect=failing)
    start = weights(model)
    with pytest.raises(
        InputError,
        match="epoch 1, batch 1: out of memory; batch_size 13 does not fit; halve it, and double "
        "accumulate for the same result, in another folder",
    ):
        train(tmp_path, model, batch_size=13)
    assert torch.equal(weights(model), start)
    model.teach = Mock(side_effect=RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(tmp_path, model)


@pytest.mark.parametrize("after", [0, 9])
def test_a_source_that_dies_is_named_and_every_step_before_it_kept(tmp_path, after):
    where = "epoch 1, batch 1" if after == 0 else "epoch 2, batch 3"
    with pytest.raises(InputError, match=rf"{where}: .*OSError: a worker died.*all {after} steps"):
        train(tmp_path / "a", batches=dying(after))
    if after:
        assert names(tmp_path / "a")[-1] == "step-00000009"
    assert train(tmp_path / "a")[1] == train(tmp_path / "b")[1]


def test_details_that_json_cannot_hold_are_refused_before_training(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        train(tmp_path, details={"path": tmp_path})
    assert not (tmp_path / "checkpoints").exists()


def test_optimiser_state_goes_by_the_names_of_parameters(tmp_path):
    model = PlainModel()
    model.encoder.requires_grad_(False)
    config = TrainingConfig(epochs=1, batch_size=4)
    fit(model, Batches(4), config=config, pad_id=PAD, validate=lambda _: 1.0, folder=tmp_path)
    found = load_file(kept_checkpoint(tmp_path) / "optimizer.safetensors")
    assert found["decoder.output.weight.exp_avg"].shape == (VOCAB, 16)
    assert not any(name.startswith("encoder.") for name in found)
    assert json.loads((kept_checkpoint(tmp_path) / "progress.json").read_text())["format"] == 2
