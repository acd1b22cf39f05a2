"""The law of many processes: two with batch b train as one with batch 2b, and go on for it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import training_examples as examples
from torch import distributed

from songtitle.errors import InputError

SETTINGS = {"epochs": 2, "accumulate": 2, "clip_norm": 0.5, "checkpoint_every": 3}


def launch(folder):
    """This file in two processes, on CPU, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    return subprocess.run(
        [sys.executable, *command, __file__, str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes say they found, in all cases: starting them takes longest."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.raises(InputError, match="the one process ends here"):
        outcome(folder / "begun", "begun", batch_size=8)
    done = launch(folder)
    assert done.returncode == 0, done.stderr
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("kind", ["captioner", "penalty"])
def test_two_processes_train_as_one_with_the_doubled_batch(two, kind, tmp_path):
    _, (main, other) = two
    assert main["processes"] == 2
    one = outcome(tmp_path, kind, batch_size=8)
    assert [row["epoch"] for row in main[kind]["history"]] == [1, 2]
    for mine, theirs in zip(one["history"], main[kind]["history"], strict=True):
        examples.assert_same_epoch(mine, theirs)
    assert main[kind] == other[kind]
    if kind == "penalty":  # without batch normalisation
        assert one["weights"] == pytest.approx(main[kind]["weights"], abs=1e-5)


def test_what_goes_wrong_in_one_process_stops_all_with_everything_kept(two):
    folder, (main, other) = two
    where = "expected a batch, and its source failed"
    assert other["dying"]["error"].startswith(f"epoch 1, batch 4: {where} (OSError: a worker died)")
    assert f"{where} (in another process)" in main["dying"]["error"]
    kept = [path.name for path in (folder / "dying" / "checkpoints").iterdir()]
    assert kept == ["step-00000001"]


def test_a_request_to_stop_reaches_every_process(two):
    folder, answers = two
    for answer in answers:
        assert "stopped by SIGTERM in epoch 1 after step 1" in answer["stopped"]["error"]
    assert (folder / "stopped" / "checkpoints" / "step-00000001").is_dir()


def test_processes_with_unequal_numbers_of_batches_are_told_so(two):
    for answer in two[1]:
        assert "expected equally many batches in every process" in answer["unequal"]["error"]


@pytest.mark.parametrize(("kind", "size"), [("begun", 8), ("stopped", 4)])
def test_within_an_epoch_another_number_of_processes_goes_on_with_the_global_batch(
    two, kind, size, tmp_path
):
    folder, (main, _) = two
    found = main["begun"] if kind == "begun" else outcome(folder / kind, kind, batch_size=size)
    straight = outcome(tmp_path, "captioner", batch_size=size)
    assert len(found["history"]) == SETTINGS["epochs"]
    for mine, theirs in zip(found["history"], straight["history"], strict=True):
        examples.assert_same_epoch(mine, theirs)


def test_another_global_batch_cannot_go_on(two):
    folder, _ = two
    said = r"global_batch_size 8, not 4 \(batch_size 4 times 1 processes\); take those settings"
    with pytest.raises(InputError, match=said):
        outcome(folder / "captioner", "captioner", batch_size=4)


def test_examples_that_two_processes_used_do_not_come_again_to_one(tmp_path):
    class Stopping(examples.Batches):
        """Two processes let the rest join the last batch; one would take it alone."""

        def __call__(self, epoch, *, start=0, rank=0, world=1):
            yield from super().__call__(epoch, start=start, rank=rank, world=world)
            if self.stops and not start:
                os.kill(os.getpid(), signal.SIGTERM)
            elif start:
                yield next(super().__call__(epoch))

    batches = Stopping(8)
    batches.stops = True
    with pytest.raises(InputError, match="stopped by SIGTERM in epoch 1 after step 3"):
        examples.train(tmp_path, epochs=1, batches=batches, batch_size=8)
    batches.stops = False
    _, history = examples.train(tmp_path, epochs=1, batches=batches, batch_size=8)
    _, straight = examples.train(tmp_path / "straight", epochs=1, batch_size=8)
    assert history == straight


def outcome(folder, kind, **settings):
    """What training comes to, in JSON's values."""
    model = examples.PlainModel(0.3) if kind == "penalty" else examples.new_model(dropout=0.0)

    def batches(epoch, *, start=0, rank=0, world=1):
        source = examples.Batches(settings["batch_size"])
        for number, batch in enumerate(source(epoch, start=start, rank=rank, world=world)):
            if kind == "begun" and (number, world) == (2, 1):
                raise OSError("the one process ends here")
            if kind == "dying" and (number, rank) == (3, 1):
                raise OSError("a worker died")
            if kind == "unequal" and (number, rank) == (1, 1):
                return
            if kind == "stopped" and (number, rank) == (3, 1):
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    model, history = examples.train(folder, model, batches=batches, **SETTINGS | settings)
    return {"history": history, "weights": examples.weights(model)[::7].tolist()}


def main(folder):
    """Every case in this process, beside the other one."""
    answer = {}
    for kind in ("captioner", "penalty", "begun", "dying", "stopped", "unequal"):
        try:
            size = 4 if kind in ("captioner", "penalty", "begun") else 2
            answer[kind] = outcome(folder / kind, kind, batch_size=size)
        except InputError as error:
            answer[kind] = {"error": str(error)}
    answer["processes"] = distributed.get_world_size()
    (folder / f"{distributed.get_rank()}.json").write_text(json.dumps(answer))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
