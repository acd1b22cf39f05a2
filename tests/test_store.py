"""Laws of the feature store: a row is what the encoder says, a kill leaves no trace, many processes
write what one writes, and training from it is training on the same features in memory."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock
from test_streams import picture, write_tar

from songtitle.__main__ import main
from songtitle.cache import finished
from songtitle.config import preset
from songtitle.corpora.selection import select
from songtitle.corpora.shards import find_shards, read_index
from songtitle.corpora.views import RawView
from songtitle.errors import InputError
from songtitle.experiment import stored
from songtitle.experiment.learning import captioner, load_trained
from songtitle.experiment.stored import StoreBatches, adopt, store_features, train_on_store
from songtitle.experiment.streaming import (
    index_folder,
    split_shards,
    unigram_perplexity,
    word_counts,
)
from songtitle.metrics import chance
from songtitle.model.encoder import build_backbone
from songtitle.model.store import Maker, Store, make_store
from songtitle.pictures import load_picture, random_view
from songtitle.seeds import Order, generator_for, shares
from songtitle.text import tokenize
from songtitle.training.loop import evaluate, fit
from songtitle.vocabulary import Vocabulary

SHARDS, SIZE, CROP, VIEWS = 4, 7, 32, 2
BAD = (1, 3)  # shard and row of a file that is no picture
CHANGES = {"model.encoder": "resnet18", "model.weights": "none", "crop": CROP, "views": VIEWS}
CHANGES |= {"tile_sizes": [CROP], "device": "cpu", "min_count": 1, "model.dim": 16}
CHANGES |= {"training.batch_size": 4, "training.epochs": 3}
CONFIG = preset("paper_literal", CHANGES)
HELD = {"valid_shards": [f"{SHARDS - 1:05d}"], "held_out": SIZE}
FLAGS = ["--preset", "paper_literal", "--encoder", "resnet18", "--weights", "none"]
FLAGS += ["--crop", str(CROP), "--device", "cpu", "--workers", "0"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        files = []
        for row in range(SIZE):
            key, number = f"{shard}{row:04d}", shard * SIZE + row
            content = picture(number, 61, 47) if (shard, row) != BAD else b"no picture"
            caption = f"A {('red', 'blue', 'green')[number % 3]} {('cat', 'dog')[number % 2]}"
            files += [(f"{key}.jpg", content), (f"{key}.txt", caption.encode())]
        write_tar(folder / f"{shard:05d}.tar", files)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _in_home(home, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(home))


@pytest.fixture(scope="module")
def folder(shards, home, tmp_path_factory):
    """A store that one process wrote without a stop."""
    folder = tmp_path_factory.mktemp("store") / "straight"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SONGTITLE_DATA", str(home))
        made = store_features(shards, folder, config=CONFIG, workers=0)
    assert made == [f"{shard:05d}.safetensors" for shard in range(SHARDS)]
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """A store of one's own to do harm to."""
    return shutil.copytree(folder, tmp_path / "copy")


def files(folder):
    """What a store holds, by file name."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def command(shards, folder, *options):
    return ["features", "--shards", str(shards), "--store", str(folder), *FLAGS, *options]


def refused(capsys, *arguments):
    assert main([*arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


# ------------------------------------------------------------------------------ what a store holds


def test_a_row_is_what_the_encoder_says_of_that_picture(folder, shards, tmp_path):
    store = Store.open(folder)
    with torch.random.fork_rng():
        torch.manual_seed(CONFIG.seed)
        backbone = build_backbone("resnet18", "none")
    for place, row in ((0, 0), (1, 4), (3, 6)):
        path = find_shards(shards)[place]
        example = read_index(path, index_folder())[0][row]
        with path.open("rb") as file:
            file.seek(example.picture.offset)
            (tmp_path / "one.jpg").write_bytes(file.read(example.picture.size))
        image = load_picture(tmp_path / "one.jpg")
        for view in range(VIEWS):
            generator = generator_for(CONFIG.seed, f"view {view}:{example.key}")
            wanted = backbone(random_view(image, CROP, generator=generator).unsqueeze(0))[0, 0]
            found = store.features(place, [row])[0, view]
            assert found.dtype == torch.float32
            # Pixels are rounded to whole numbers, and products may be of bfloat16.
            assert torch.cosine_similarity(found, wanted, dim=0) > 0.999
            torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.02 * float(wanted.max()))
    assert not torch.equal(store.features(0, [0])[0, 0], store.features(0, [0])[0, 1])


def test_every_example_has_a_row_and_what_cannot_be_read_is_told_and_counted(folder):
    store = Store.open(folder)
    assert store.counts == [SIZE] * SHARDS
    assert store.left_out() == {"not a picture": 1}
    for place in range(SHARDS):
        there = store.readable(place).tolist()
        assert there == [row for row in range(SIZE) if (place, row) != BAD]
    assert not store.features(*BAD[:1], [BAD[1]]).any()
    assert store.captions(0)[:2] == ["A red cat", "A blue dog"]


@pytest.mark.parametrize("least", [16, 47])
def test_a_store_leaves_out_as_too_small_what_a_selection_does(tmp_path, least):
    """Else a captioner would learn from pictures that no page counts."""
    pytest.importorskip("pyarrow")
    sides = [(61, 47), (15, 47), (46, 80), (47, 47), (200, 16)]
    for split in ("train", "valid", "test"):
        files = []
        for row, size in enumerate(sides):
            files += [(f"{row}.jpg", picture(row, *size)), (f"{row}.txt", b"A red cat")]
        write_tar(tmp_path / f"{split}-0.tar", files)
    asked = {"min_side": least, "held_out": 2, "seed": 0}
    chosen = select(tmp_path, tmp_path / "chosen", **asked)
    store_features(
        tmp_path / "train-0.tar", tmp_path / "s", config=CONFIG, min_side=least, workers=0
    )
    store = Store.open(tmp_path / "s")
    assert store.readable(0).tolist() == chosen.of("train")["row"].to_pylist()
    assert store.left_out() == {"too small": sum(min(size) < least for size in sides)}
    assert store.settings["min_side"] == least


def test_the_raw_view_is_a_piece_of_the_picture_as_it_is():
    content = picture(5, 61, 47, "PNG")
    pixels = RawView(61)(content, torch.Generator())  # scaled up: 47 rows are too few
    assert pixels.shape == (3, 61, 61)
    whole = load_png(content)
    middle = RawView(16, random=False)(content, torch.Generator())
    assert torch.equal(middle, whole[:, 16:32, 22:38])
    drawn = RawView(16)(content, torch.Generator().manual_seed(3))
    wanted = random_view(whole, 16, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn, wanted)


def load_png(content):
    import io

    from PIL import Image

    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)))).movedim(-1, 0)


# ------------------------------------------------------------------------- kills, processes, locks


def test_the_same_command_again_writes_nothing(folder, shards, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    assert main(command(shards, folder, "--views", str(VIEWS))) == 0
    assert capsys.readouterr().out == f"{folder}: 0 files written\n"
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_killed_run_goes_on_to_the_bytes_of_the_straight_one(folder, shards, tmp_path):
    there = tmp_path / "killed"
    arguments = [sys.executable, "-m", "songtitle", *command(shards, there, "--views", str(VIEWS))]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            arguments,
            env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 300
        while not list(there.glob("[!.]*.safetensors")):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.001)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    whole = {path.name: path.stat().st_mtime_ns for path in there.glob("[!.]*.safetensors")}
    store_features(shards, there, config=CONFIG, workers=0)
    assert files(there) == files(folder)
    assert {name: (there / name).stat().st_mtime_ns for name in whole} == whole


def test_what_two_ranks_and_a_third_run_write_together_is_what_one_writes(
    folder, shards, tmp_path, monkeypatch
):
    made = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        made.append(store_features(shards, tmp_path / "two", config=CONFIG, workers=0))
    assert [[int(name[:5]) for name in names] for names in made] == [[0, 2], [1, 3]]
    assert files(tmp_path / "two") == files(folder)


def test_two_runs_at_once_on_one_store_share_its_shards_out(folder, shards, tmp_path):
    there = tmp_path / "both"
    options = command(shards, there, "--views", str(VIEWS))
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "songtitle", *options],
            env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum(int(line.split()[-3]) for line in said) == SHARDS
    assert files(there) == files(folder)


def test_a_shard_in_other_hands_is_waited_for_after_all_others(folder, shards, copy):
    names = ["00000.safetensors", "00001.safetensors"]
    for name in names:
        (copy / name).unlink()
    made = []
    with FileLock(copy / ".00000.lock"):
        run = threading.Thread(
            target=lambda: made.extend(store_features(shards, copy, config=CONFIG, workers=0))
        )
        run.start()
        end = time.monotonic() + 300
        while not (copy / names[1]).exists():
            assert time.monotonic() < end
            time.sleep(0.005)
        assert not (copy / names[0]).exists()
    run.join()
    assert made == names[::-1]
    assert files(copy) == files(folder)


def test_decoding_in_other_processes_changes_no_byte(folder, shards, copy):
    (copy / "00001.safetensors").unlink()
    assert store_features(shards, copy, config=CONFIG, workers=2) == ["00001.safetensors"]
    assert files(copy) == files(folder)


@pytest.mark.parametrize("engine", ["ray", "pyspark"])
def test_an_engine_writes_the_bytes_of_one_process(folder, shards, tmp_path, engine, monkeypatch):
    if find_spec(engine) is None or (engine == "pyspark" and not shutil.which("java")):
        pytest.skip(f"needs {engine}, and Spark a Java")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else its workers wait for all that runs
    made = store_features(shards, tmp_path / engine, config=CONFIG, engine=engine)
    assert made == [f"{shard:05d}.safetensors" for shard in range(SHARDS)]
    assert files(tmp_path / engine) == files(folder)


def test_an_engine_that_is_not_there_is_named_with_what_to_install(
    shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(stored, "find_spec", lambda module: None)
    line = refused(capsys, *command(shards, tmp_path / "no", "--engine", "ray"))
    assert "engine: expected the module ray, it is not there; run `pip install" in line
    line = refused(capsys, *command(shards, tmp_path / "no", "--engine", "dask"))
    assert "engine: expected one of processes, ray, pyspark, got 'dask'" in line


# ------------------------------------------------------------------------- what is no store of ours


def tear(path):
    os.truncate(path, path.stat().st_size - 9)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [tear, flip])
def test_a_torn_file_is_never_read_and_is_made_again(folder, shards, copy, harm):
    harm(copy / "00002.safetensors")
    with pytest.raises(
        InputError, match=r"00002\.safetensors: expected .*features` makes it again"
    ):
        Store.open(copy)
    assert store_features(shards, copy, config=CONFIG, workers=0) == ["00002.safetensors"]
    assert files(copy) == files(folder)


def test_a_file_of_another_crop_or_shard_is_refused_and_not_overwritten(
    folder, shards, copy, tmp_path
):
    other = preset("paper_literal", CHANGES | {"crop": 64, "tile_sizes": [64]})
    store_features(shards, tmp_path / "other", config=other, workers=0)
    for foreign, told in (
        (tmp_path / "other" / "00001.safetensors", "another encoder, crop or view"),
        (folder / "00000.safetensors", "another name"),
    ):
        shutil.copy(foreign, copy / "00001.safetensors")
        before = (copy / "00001.safetensors").read_bytes()
        for ask in (Store.open, lambda it: store_features(shards, it, config=CONFIG, workers=0)):
            with pytest.raises(
                InputError, match=f"expected a file of this store, got one of {told}"
            ):
                ask(copy)
        assert (copy / "00001.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crop", "64"], "expected crop as when it was begun, 32, got 64"),
        (
            ["--encoder", "resnet34"],
            "expected encoder as when it was begun, resnet18, got resnet34",
        ),
        (["--view", "scaled"], "expected view as when it was begun, raw, got scaled"),
        (["--view", "wide"], "view: expected one of raw, scaled, got 'wide'"),
        (["--batch", "0"], "batch: expected 1 or more, got 0"),
        (["--encoder", "timbre"], "encoder: expected one that reads pictures"),
    ],
)
def test_another_setting_on_the_same_store_is_refused_by_name(
    folder, shards, capsys, options, said
):
    before = files(folder)
    assert said in refused(capsys, *command(shards, folder, "--views", str(VIEWS), *options))
    assert files(folder) == before


def test_a_shard_that_changed_or_has_a_namesake_is_refused(folder, shards, copy, tmp_path):
    write_tar(tmp_path / "00001.tar", [("0.jpg", picture(1, 61, 47)), ("0.txt", b"a cat")])
    with pytest.raises(InputError, match="expected the shard 00001 as it was, got one with other"):
        store_features(tmp_path / "00001.tar", copy, config=CONFIG, workers=0)
    both = [shards, tmp_path / "00001.tar"]
    with pytest.raises(InputError, match="expected names of their own, got 2 of the name 00001"):
        store_features(both, tmp_path / "new", config=CONFIG, workers=0)
    assert files(copy) == files(folder)


def test_a_store_that_lacks_files_says_how_to_go_on(copy, tmp_path):
    (copy / "00003.safetensors").unlink()
    with pytest.raises(InputError, match=r"expected 4 files, 1 are missing, such as 00003\.safet"):
        Store.open(copy)
    (copy / "store.json").write_text("{")
    with pytest.raises(InputError, match=r"store\.json: expected what says how a store was made"):
        Store.open(copy)
    with pytest.raises(InputError, match=r"No such file.*make one with `python -m songtitle feat"):
        Store.open(tmp_path)


def test_a_full_disk_is_told_in_one_line_and_the_run_goes_on_later(
    folder, shards, tmp_path, monkeypatch, capsys
):
    from songtitle.model import store as module

    there, write = tmp_path / "full", module.write_whole

    def full(path, content):
        if path.name == "00002.safetensors":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(module, "write_whole", full)
    line = refused(capsys, *command(shards, there, "--views", str(VIEWS)))
    assert "No space left on device" in line
    assert "run the same again: it goes on from what is done" in line
    monkeypatch.undo()
    monkeypatch.setenv("SONGTITLE_DATA", str(index_folder().parent))
    assert sorted(path.name for path in there.glob("*.safetensors"))[-1] == "00001.safetensors"
    room = shutil.disk_usage(there)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: room)
    with pytest.raises(InputError, match="expected room for 0 MB, got less; free some"):
        store_features(shards, there, config=CONFIG, workers=0)


# ---------------------------------------------------------------------------- training from a store


class InMemory:
    """The same features held in memory, in the order that `songtitle.seeds` gives."""

    def __init__(self, store, vocabulary, counts):
        self.counts, self.vocabulary = counts, vocabulary
        places = range(len(store.shards))
        kept = [store.readable(place) for place in places]
        self.features = torch.cat([store.features(p, kept[p]) for p in places])
        words = [store.captions(p)[row] for p in places for row in kept[p].tolist()]
        self.ids = [vocabulary.encode(tokenize(text.lower())) for text in words]
        self.first = np.cumsum([0, *counts])

    def __len__(self):
        return len(self.ids)

    def batch(self, rows, view):
        from songtitle.corpora.batches import Batch, pad_captions

        captions = [self.ids[row] for row in rows]
        return Batch(self.features[rows, view : view + 1], *pad_captions(captions, pad_id=0))

    def __call__(self, epoch, *, start=0, rank=0, world=1):
        order = Order(self.counts, window=16, seed=0, epoch=epoch)
        for places in shares(len(self), batch_size=4, start=start, rank=rank, world=world):
            at = [order.at(place) for place in places]
            yield self.batch([int(self.first[a]) + b for a, b in at], (epoch - 1) % VIEWS)

    def in_order(self):
        yield from (
            self.batch(list(range(len(self)))[k : k + 4], 0) for k in range(0, len(self), 4)
        )


@pytest.fixture(scope="module")
def trained(folder, home, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SONGTITLE_DATA", str(home))
        record = train_on_store(folder, output, config=CONFIG, **HELD)
    return output, record


def test_training_from_a_store_is_training_on_the_same_features_in_memory(
    trained, folder, tmp_path
):
    output, record = trained
    store = Store.open(folder)
    vocabulary = Vocabulary.load(output / "vocabulary.json")
    train = InMemory(store.part(store.shards[:-1]), vocabulary, [SIZE, SIZE - 1, SIZE])
    valid = InMemory(store.part(store.shards[-1:]), vocabulary, [SIZE])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = captioner(CONFIG, vocabulary, features=512)
    history = fit(
        model,
        train,
        config=CONFIG.training,
        pad_id=0,
        validate=lambda model: evaluate(model, valid.in_order(), pad_id=0),
        folder=tmp_path,
    )
    for ours, theirs in zip(record["history"], history, strict=True):
        for name, value in ours.items():
            assert theirs[name] == pytest.approx(value, rel=1e-4), name
    predicted = [[ids[1:] for ids in side.ids] for side in (train, valid)]
    unigram = chance.unigram_perplexity(*predicted, vocab_size=len(vocabulary))
    assert record["unigram_perplexity"] == pytest.approx(unigram)
    assert record["permuted_pictures"]["pictures"] == SIZE


def test_a_picture_that_cannot_be_read_gets_into_no_batch_and_every_other_once(folder):
    store = Store.open(folder)
    numbers = {}  # what a caption is told by: its place in all

    def encode(caption):
        numbers.setdefault(caption, len(numbers))
        return [1, 4 + numbers[caption], 2]

    batches = StoreBatches(store, encode, pad_id=0, batch_size=4, seed=3, window=2)
    assert len(batches) == SHARDS * SIZE - 1
    wanted = sorted(
        tuple(row.tolist())
        for p in range(SHARDS)
        for row in store.features(p, store.readable(p))[:, 0]
    )
    for found in (batches(1), batches(3), batches.in_order()):
        rows = [row for batch in found for row in batch.inputs[:, 0]]
        assert all(row.any() for row in rows)
        assert sorted(tuple(row.tolist()) for row in rows) == wanted
    other = torch.cat([batch.inputs for batch in batches(2)])
    assert not torch.equal(other, torch.cat([batch.inputs for batch in batches(1)]))
    halves = [list(batches(1, rank=rank, world=2)) for rank in range(2)]
    double = StoreBatches(store, encode, pad_id=0, batch_size=8, seed=3, window=2)
    for left, right, whole in list(zip(*halves, double(1), strict=False))[:-1]:
        assert torch.equal(torch.cat([left.inputs, right.inputs]), whole.inputs)
    later = list(batches(1, start=3))
    assert torch.equal(later[0].inputs, list(batches(1))[3].inputs)


def test_a_stopped_training_goes_on_to_the_bits_of_the_straight_one(
    trained, folder, tmp_path, monkeypatch
):
    seen, batch = 0, StoreBatches._batch

    def stop_at(self, chosen, view):
        nonlocal seen
        seen += 1
        if seen == 5:
            signal.raise_signal(signal.SIGTERM)
        return batch(self, chosen, view)

    monkeypatch.setattr(StoreBatches, "_batch", stop_at)
    with pytest.raises(InputError, match="run the same again to go on"):
        train_on_store(folder, tmp_path / "out", config=CONFIG, **HELD)
    monkeypatch.setattr(StoreBatches, "_batch", batch)
    train_on_store(folder, tmp_path / "out", config=CONFIG, **HELD)
    ours, theirs = (
        (out / trained[1]["kept"] / "model.safetensors").read_bytes()
        for out in (tmp_path / "out", trained[0])
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        (
            {},
            {},
            "expected 1,000 pictures or more in each of train, valid and test, got .*lower held",
        ),
        ({}, {"valid_shards": ["00003"]}, "1,000 pictures or more in .*, got 21 train, 7 valid of"),
        ({}, {"held_out": 1}, "held_out: expected 2 or more, got 1"),
        ({"model.encoder": "resnet34"}, {}, "encoder: expected resnet18, of which .* got resnet34"),
        ({"crop": 64, "tile_sizes": [64]}, {}, "crop: expected 32, of which .*, got 64"),
        ({"model.decoder": "attention"}, {}, "decoder: expected one for pooled features, all"),
        ({"model.fine_tune": True}, {}, "fine_tune: expected one for pooled features"),
        (
            {},
            {"valid_shards": ["9"]},
            "shards: expected names of shards in .*, got 9; it has 00000",
        ),
        ({}, {"held_out": 5, "valid_shards": [f"{n:05d}.tar" for n in range(4)]}, "got 0 train"),
    ],
)
def test_what_cannot_be_trained_from_a_store_is_refused(folder, tmp_path, changes, options, said):
    with pytest.raises(InputError, match=said):
        train_on_store(
            folder, tmp_path, config=preset("paper_literal", CHANGES | changes), **options
        )


def test_a_validation_store_that_was_made_otherwise_is_refused(folder, shards, tmp_path):
    store_features(shards, tmp_path / "v", config=CONFIG, view="scaled", workers=0)
    with pytest.raises(InputError, match=r"expected a store made as .* is, got another in view"):
        train_on_store(folder, tmp_path / "o", config=CONFIG, valid_store=tmp_path / "v")


@pytest.mark.parametrize("seed", range(3))
def test_a_store_is_split_as_the_shards_that_it_was_made_of(folder, shards, seed):
    ours = stored._sides(Store.open(folder), None, None, held_out=SIZE, seed=seed)
    theirs = split_shards(shards, held_out=SIZE, seed=seed)
    assert {split: side.shards for split, side in ours.items()} == {
        split: [path.stem for path in paths] for split, paths in theirs.items()
    }


def test_the_unigram_perplexity_of_counts_is_that_of_the_captions():
    train, valid = [[1, 4, 5, 2], [1, 4, 2]], [[1, 5, 6, 2]]
    counts = [word_counts(side, size=7) for side in (train, valid)]
    wanted = chance.unigram_perplexity([i[1:] for i in train], [i[1:] for i in valid], vocab_size=7)
    assert unigram_perplexity(*counts) == pytest.approx(wanted)


# -------------------------------------------------------------------------------- a run as a record


def test_title_and_status_and_notebooks_find_an_adopted_run(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    arguments = ["train", "--store", str(folder), "--output", str(tmp_path / "run"), "--adopt"]
    arguments += [*FLAGS[:-2], "--held-out", "7", "--epochs", "1", "--min-count", "1"]
    arguments += ["--valid-shards", "00003.tar"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    (record,) = finished(tmp_path / "home", "training")
    assert f"adopted as training/{record.key}" in said
    assert re.search(r"controls: perplexity [\d.]+ of a unigram, [\d.]+ with wrong pictures", said)
    assert adopt(tmp_path / "run").key == record.key
    told = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record.result["history"] == told["history"]
    assert record.result["permuted_pictures_perplexity"] > 1 < record.result["unigram_perplexity"]

    config = preset("paper_literal", CHANGES | {"model.dim": 512})
    model, vocabulary, _ = load_trained(record, config)
    held_out = StoreBatches(
        Store.open(folder).part(["00003"]),
        lambda caption: vocabulary.encode(tokenize(caption.lower())),
        pad_id=0,
        batch_size=4,
    )
    again = np.exp(evaluate(model, held_out.in_order(), pad_id=0))
    assert again == pytest.approx(record.result["valid_perplexity"], rel=1e-4)

    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).normal(0, 0.1, 44_100 * 31), 44_100)
    assert main(["status"]) == 0
    assert f"training/{record.key}" in capsys.readouterr().out
    assert main(["title", str(song), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    words = {word for each in json.loads(line)["titles"] for word in each["title"].split()}
    assert words <= set(vocabulary.words)


def test_what_is_no_finished_run_is_not_adopted(trained, tmp_path):
    with pytest.raises(InputError, match="expected a finished run with its controls"):
        adopt(tmp_path)
    run = shutil.copytree(trained[0], tmp_path / "run")
    told = json.loads((run / "record.json").read_text())
    del told["unigram_perplexity"]
    (run / "record.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="run the same `train` command again"):
        adopt(run)


def test_features_that_no_number_can_be_are_refused(shards, tmp_path):
    maker = Maker(
        settings={},
        encode=lambda images: torch.full((len(images), 1, 3), 1e6),
        view=RawView(CROP),
        width=3,
    )
    with pytest.raises(InputError, match=r"half precision can hold, got others of 00000; check"):
        make_store(tmp_path, find_shards(shards), maker, index=index_folder(), places=[0])
    assert not list(Path(tmp_path).glob("*.safetensors"))
