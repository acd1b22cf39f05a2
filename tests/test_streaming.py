"""Laws of training on shards: a stop leaves no trace, two processes are one, bad input is named."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from test_streams import picture, write_tar
from training_examples import assert_same_epoch

from songtitle.__main__ import main
from songtitle.corpora.selection import select
from songtitle.corpora.views import RawView
from songtitle.errors import InputError
from songtitle.experiment.streaming import split_shards
from songtitle.vocabulary import Vocabulary

COLOURS, ANIMALS = ("red", "blue", "green"), ("cat", "dog")
SHARDS, SIZE = 5, 11  # one shard validates, one is left for the test: 33 examples train
SETTINGS = ["--preset", "paper_literal", "--encoder", "resnet18", "--weights", "none"]
SETTINGS += ["--crop", "64", "--batch-size", "4", "--epochs", "2", "--device", "cpu"]
SETTINGS += ["--held-out", "3"]
STEPS = 8  # of an epoch: 32 examples and one that joins the last batch


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        files = []
        for row in range(SIZE):
            number = shard * SIZE + row
            caption = f"A {COLOURS[number % 3]} {ANIMALS[number % 2]}"
            files.append((f"{number:09d}.jpg", picture(number, 83, 71)))
            files.append((f"{number:09d}.txt", caption.encode()))
        write_tar(folder / f"{shard:05d}.tar", files)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _in_home(home, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(home))


def command(shards, output, *options, workers=0):
    options = [*SETTINGS, "--workers", str(workers), *options]
    return ["train", "--shards", str(shards), "--output", str(output), *options]


def environment():
    """Of a child that computes as this process does."""
    return os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}


def last_checkpoint(output):
    """The bytes of the newest checkpoint, by file name."""
    newest = max((output / "checkpoints").glob("step-*[0-9]"))
    return {path.name: path.read_bytes() for path in newest.iterdir()} | {"": newest.name}


@pytest.fixture(scope="module")
def straight(shards, home, tmp_path_factory):
    output = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SONGTITLE_DATA", str(home))
        assert main(command(shards, output)) == 0
    return output


def test_a_run_leaves_what_it_was_made_of_and_what_it_found(straight, shards):
    record = json.loads((straight / "record.json").read_text())
    assert record["settings"]["shards"]["examples"] == (SHARDS - 2) * SIZE
    assert record["settings"]["valid_shards"]["examples"] == SIZE
    assert record["settings"]["test_shards"] == 1
    assert [row["epoch"] for row in record["history"]] == [1, 2]
    first, second = (row["train_perplexity"] for row in record["history"])
    assert second < first < len(Vocabulary.load(straight / "vocabulary.json")) * 2
    assert (straight / record["kept"] / "model.safetensors").is_file()
    assert record["left_out"]["counts"] == {}
    assert set(Vocabulary.load(straight / "vocabulary.json").words) == {"a", *COLOURS, *ANIMALS}


def test_the_same_command_again_says_the_same_and_trains_nothing(straight, shards, capsys):
    before = last_checkpoint(straight)
    record = json.loads((straight / "record.json").read_text())
    assert main(command(shards, straight)) == 0
    assert last_checkpoint(straight) == before
    printed = capsys.readouterr().out.splitlines()
    perplexity = record["history"][1]["valid_perplexity"]
    assert printed[1].startswith("epoch   2: perplexity")
    assert printed[1].endswith(f" {perplexity:.2f}")
    assert printed[-1] == str(straight / record["kept"])


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_killed_run_goes_on_to_the_bits_of_the_straight_one(straight, shards, tmp_path):
    output = tmp_path / "killed"
    options = command(shards, output, "--checkpoint-every", "3", workers=1)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "songtitle", *options],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 300
        while not (output / "checkpoints" / "step-00000003" / "progress.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (output / "record.json").exists()
    assert main(command(shards, output)) == 0  # with another number of workers
    assert last_checkpoint(output) == last_checkpoint(straight)
    records = [json.loads((o / "record.json").read_text()) for o in (output, straight)]
    assert records[0]["history"] == records[1]["history"]


@pytest.mark.parametrize("at", [1, 40])
def test_a_run_stopped_by_sigterm_goes_on_to_the_bits_of_the_straight_one(
    straight, shards, tmp_path, monkeypatch, capsys, at
):
    seen = 0
    look = RawView.__call__

    def stop_at(self, content, generator):
        nonlocal seen
        seen += 1
        if seen == at:
            signal.raise_signal(signal.SIGTERM)
        return look(self, content, generator)

    monkeypatch.setattr(RawView, "__call__", stop_at)
    assert main(command(shards, tmp_path / "stopped")) == 128 + signal.SIGTERM
    assert "run the same again to go on" in capsys.readouterr().err
    assert main(command(shards, tmp_path / "stopped")) == 0
    assert last_checkpoint(tmp_path / "stopped") == last_checkpoint(straight)


def test_two_processes_lose_what_one_with_the_doubled_batch_loses(shards, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", "0", "--standalone", "-m", "songtitle"]
    done = subprocess.run(
        [*launcher, *command(shards, tmp_path / "two", "--min-count", "1")],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("epoch   1:") == 1  # the first process tells for both
    options = ["--min-count", "1", "--batch-size", "8"]
    assert main(command(shards, tmp_path / "one", *options)) == 0
    two, one = (
        json.loads((tmp_path / n / "record.json").read_text())["history"] for n in ("two", "one")
    )
    for ours, theirs in zip(two, one, strict=True):
        assert_same_epoch(ours, theirs)
    assert two[0] != two[1]


# ----------------------------------------------------------------------------- what is refused


def refused(capsys, *arguments):
    assert main([*arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crop", "96"], r"expected crop as when it was begun, 64, got 96"),
        (
            ["--encoder", "resnet34"],
            "model as when .*, {'encoder': 'resnet18'}, got {'encoder': 'r",
        ),
        (
            ["--valid-shards", "{}/00000.tar"],
            r"expected shards as when it was begun, {'",
        ),
        (["--batch-size", "5"], r"training began here with global_batch_size 4, not 5"),
    ],
)
def test_another_setting_in_the_same_folder_is_refused_by_name(
    straight, shards, capsys, options, said
):
    before = last_checkpoint(straight)
    options = [option.replace("{}", str(shards)) for option in options]
    line = refused(capsys, *command(shards, straight, *options))
    assert re.search(said, line), line
    assert last_checkpoint(straight) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--encoder", "timbre"], "encoder: expected one that reads pictures, got 'timbre'"),
        (["--decoder", "gru"], "decoder"),
        (["--min-count", "99"], "min_count: expected words that come 99 times or more"),
        (["--max-tokens", "0"], "max_tokens: expected 1 or more, got 0"),
        (["--held-out", "1"], "held_out: expected 2 or more, got 1; raise it"),
        (["--held-out", "12"], "in each of train, valid and test, got 11 train"),
        (["--crop", "0"], "crop: expected a whole number from 1 to 10^9, got 0"),
        (["--valid-shards", "nowhere.tar"], "nowhere.tar: expected a shard, there is none"),
        (["--preset", "best"], "preset: expected one of"),
    ],
)
def test_a_setting_that_cannot_be_is_named_in_one_line(shards, tmp_path, capsys, options, said):
    assert said in refused(capsys, *command(shards, tmp_path / "out", *options))


def test_a_torn_shard_is_named_before_anything_is_trained(shards, tmp_path, capsys):
    folder = tmp_path / "torn"
    folder.mkdir()
    for path in shards.glob("*.tar"):
        (folder / path.name).write_bytes(path.read_bytes())
    os.truncate(folder / "00002.tar", 9_000)
    line = refused(capsys, *command(folder, tmp_path / "out"))
    assert f"{folder / '00002.tar'}: expected a whole, uncompressed tar file" in line
    assert not (tmp_path / "out").exists()


def apart(*arguments, **options):
    return tuple(split_shards(*arguments, **{"held_out": SIZE} | options).values())


def test_no_shard_is_in_two_splits_and_those_that_are_named_validate(shards):
    paths = sorted(shards.glob("*.tar"))
    for seed in range(4):
        train, valid, test = apart(shards, seed=seed)
        assert sorted([*train, *valid, *test]) == paths
        assert (len(train), len(valid), len(test)) == (3, 1, 1)
    assert apart(shards, [paths[1], paths[0]]) == (paths[2:], [paths[1], paths[0]], [])
    assert apart(paths[:2], paths[2:]) == (paths[:2], paths[2:], [])
    with pytest.raises(InputError, match="expected 11 pictures or more in each of train, valid"):
        apart(paths[0])


@pytest.fixture(scope="module")
def marked(shards, tmp_path_factory):
    """The same shards, the last two named as a validation."""
    folder = tmp_path_factory.mktemp("marked")
    for number, path in enumerate(sorted(shards.glob("*.tar"))):
        split = "train" if number < SHARDS - 2 else "validation"
        (folder / f"cc-{split}-{number:04d}.tar").write_bytes(path.read_bytes())
    return folder


def test_shards_whose_names_say_train_and_validation_are_never_mixed(marked, shards):
    named = {split: sorted(marked.glob(f"*-{split}-*")) for split in ("train", "validation")}
    for seed in range(4):
        train, valid, test = apart(marked, seed=seed)
        assert sorted([*train, *valid]) == named["train"]
        assert test == named["validation"]
    held = named["validation"][:1]
    assert apart(marked, held) == (named["train"], held, named["validation"][1:])
    with pytest.raises(InputError, match="got 0 train"):
        apart(named["validation"])
    with pytest.raises(InputError, match=r"none in 5 of 10, such as 00000\.tar; select them apart"):
        apart([shards, marked])


@pytest.mark.parametrize("folder", ["shards", "marked"])
def test_training_holds_out_the_shards_that_a_selection_does(folder, request, tmp_path):
    pytest.importorskip("pyarrow")
    folder = request.getfixturevalue(folder)
    for seed in range(3):
        found = select(folder, tmp_path / f"{seed}", held_out=SIZE, seed=seed)
        ours = split_shards(folder, held_out=SIZE, seed=seed)
        for split, paths in ours.items():
            places = set(found.of(split)["shard"].to_pylist())
            assert {found.shards[place] for place in places} == set(paths)


def test_a_fine_tuned_encoder_is_trained_and_kept(shards, tmp_path):
    options = ["--fine-tune", "--decoder", "attention", "--epochs", "1", "--batch-size", "33"]
    assert main(command(shards, tmp_path / "out", *options)) == 0
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["parameters"] > 11_000_000  # ResNet-18 alone has as many


def test_pictures_that_cannot_be_read_are_counted_in_the_record(shards, tmp_path, capsys):
    files = [(f"{n}.jpg", picture(n, 70, 70) if n != 3 else b"no") for n in range(6)]
    write_tar(tmp_path / "5.tar", files + [(f"{n}.txt", b"a red cat") for n in range(6)])
    path = [str(tmp_path / "5.tar"), "--valid-shards", str(shards / "00000.tar")]
    arguments = command(shards, tmp_path / "out", "--batch-size", "6", "--epochs", "1")
    arguments[2:3] = path
    assert main(arguments) == 0
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["left_out"]["counts"] == {"not a picture": 1}
    assert record["left_out"]["examples"][0]["file"] == "5.tar"
    assert "1  examples left out: not a picture" in capsys.readouterr().out
