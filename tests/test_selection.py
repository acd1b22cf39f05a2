"""Laws of the selection: every example once, in one split; by name, by side, after a kill."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from test_streams import picture, write_tar

from songtitle.__main__ import main
from songtitle.corpora import selection
from songtitle.corpora.batches import CropView, ShardStream
from songtitle.corpora.selection import build_vocabulary, encode, select
from songtitle.corpora.shards import find_shards, read_index
from songtitle.corpora.splits import by_name
from songtitle.errors import InputError
from songtitle.text import clean_caption, tokenize
from songtitle.vocabulary import Vocabulary

pytest.importorskip("pyarrow")
COLOURS, ANIMALS = ("Red", "blue", "green"), ("cat", "dog", "gnu", "hen", "yak")
OURS, MAKERS = (5, 7, 3, 11, 2, 13), {"train": (5, 7, 3, 11), "validation": (4, 3)}
ASKED = {"held_out": 3, "seed": 5}


def caption(number):
    return f"A {COLOURS[number % 3]} {ANIMALS[number % 5]}, No. {number}."


def write_shard(path, first, size, *, ready_made=False, extra=()):
    """A shard as this project fetches it, or as the makers of `cc3m-wds` name its files."""
    files = []
    for number in range(first, first + size):
        key = f"{number:09d}"
        about = {"caption": caption(number)} if ready_made else {"sha256": "x"}
        files.append((f"{key}.jpg", picture(number, 20 + number, 30)))
        files.append((f"{key}.txt", caption(number).encode()))
        files.append((f"{key}.json", json.dumps(about).encode()))
    write_tar(path, [*files, *extra])
    if not ready_made:
        stats = {"successes": size + sum(name.endswith("jpg") for name, _ in extra)}
        path.with_name(f"{path.stem}_stats.json").write_text(json.dumps(stats))


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    for shard, size in enumerate(OURS):
        write_shard(folder / f"{shard:05d}.tar", sum(OURS[:shard]), size)
    return folder


@pytest.fixture(scope="module")
def makers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("makers")
    number = 0
    for split, sizes in MAKERS.items():
        for shard, size in enumerate(sizes):
            name = f"cc3m-{split}-{shard:04d}.tar"
            write_shard(folder / name, number, size, ready_made=True)
            number += size
    return folder


def shards_of(found, split):
    return {found.shards[shard].name for shard in found.of(split)["shard"].to_pylist()}


def refusal(*arguments, **options):
    with pytest.raises(InputError) as refused:
        select(*arguments, **ASKED | options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_every_example_is_there_once_and_in_one_split_of_enough_whole_shards(ours, tmp_path):
    found = select(ours, tmp_path, **ASKED)
    assert Counter(found.table["caption"].to_pylist()) == Counter(map(caption, range(sum(OURS))))
    together = [found.of(split).num_rows for split in selection.SPLITS]
    assert sum(together) == found.table.num_rows == sum(OURS)
    assert min(together) >= ASKED["held_out"]
    names = [shards_of(found, split) for split in selection.SPLITS]
    assert sum(map(len, names)) == len(set.union(*names)) == len(OURS)
    assert not found.faults.counts
    seeds = (select(ours, tmp_path / f"{seed}", held_out=3, seed=seed) for seed in range(4))
    assert len({frozenset(shards_of(other, "valid")) for other in seeds}) > 1
    with pytest.raises(InputError, match="choose one"):
        found.of("validation")


def test_columns_equal_what_the_index_pillow_and_the_stream_say(makers, tmp_path):
    found = select(makers, tmp_path, **ASKED)
    rows = found.table.to_pylist()
    assert [row["row"] for row in rows] == [r for n in (5, 7, 3, 11, 4, 3) for r in range(n)]
    for row in rows:
        path = found.shards[row["shard"]]
        place = read_index(path, tmp_path / "indexes")[0][row["row"]].picture
        content = path.read_bytes()[place.offset : place.offset + place.size]
        assert Image.open(io.BytesIO(content)).size == (row["width"], row["height"])
    stream = ShardStream(found.shards, list, CropView(8), pad_id=0, index=tmp_path / "indexes")
    assert [row["caption"] for row in rows] == list(stream.captions())


def test_the_makers_validation_is_the_test_and_never_mixes_with_train(makers, tmp_path):
    found = select(makers, tmp_path / "a", **ASKED)
    assert shards_of(found, "test") == {"cc3m-validation-0000.tar", "cc3m-validation-0001.tar"}
    train, valid = shards_of(found, "train"), shards_of(found, "valid")
    assert all("train" in name for name in train | valid)
    assert not train & valid
    apart = [makers / f"cc3m-train-{i:04d}.tar" for i in range(4)]
    held = makers / "cc3m-validation-*.tar"
    given = select(apart, tmp_path / "b", valid=held, test=apart[:1], **ASKED)
    assert shards_of(given, "valid") == {path.name for path in find_shards(held)}
    assert shards_of(given, "test") == {apart[0].name}
    assert shards_of(given, "train") == {path.name for path in apart[1:]}


def test_names_tell_splits_apart_and_names_that_do_not_are_refused():
    def named(*names):
        return {s: [p.name for p in found] for s, found in by_name(list(map(Path, names))).items()}

    assert named("00000.tar") == {"train": ["00000.tar"], "valid": [], "test": []}
    marked = ["x-train-1.tar", "x_val_1.tar", "Validation2.tar", "x.test.1.tar"]
    assert named(*marked) == {"train": marked[:1], "valid": marked[1:3], "test": marked[3:]}
    assert named("contest-trains-1.tar")["train"]  # no word of its own
    with pytest.raises(InputError, match=r"none in 1 of 2, such as 00000.tar; select them apart"):
        named("00000.tar", "x-train-1.tar")
    with pytest.raises(InputError, match="got train and valid; rename"):
        named("train-val-1.tar")


def test_it_is_the_same_when_the_shards_lie_elsewhere_and_when_it_is_read_again(ours, tmp_path):
    first = select(ours, tmp_path / "a", **ASKED)
    elsewhere = shutil.copytree(ours, tmp_path / "elsewhere" / "other")
    second = select(elsewhere, tmp_path / "b", **ASKED)
    again = select(elsewhere, tmp_path / "a", **ASKED)
    files = [(tmp_path / name / "selection.arrow").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    assert first.fingerprint == second.fingerprint == again.fingerprint
    assert again.table.equals(first.table)
    said = refusal(elsewhere, tmp_path / "a", seed=6)
    assert "expected seed as when it was begun, 5, got 6" in said
    write_shard(elsewhere / "00004.tar", 77, 3)  # two pictures before
    assert "expected train as when it was begun" in refusal(elsewhere, tmp_path / "a")
    assert select(elsewhere, tmp_path / "c", **ASKED).fingerprint != first.fingerprint


KILLED = """
import os, signal, sys
from songtitle.corpora import selection
real, left = selection._write, [int(sys.argv[3])]
def write(path, schema, batches):
    def dying():
        yield from batches
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    real(path, schema, dying())
selection._write = write
selection.select(sys.argv[1], selection.Path(sys.argv[2]), held_out=3, seed=5)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
@pytest.mark.parametrize("write", [3, len(OURS) + 1])  # the third shard's, and that of the whole
def test_killed_in_the_middle_and_begun_again_it_gives_equal_bytes(ours, tmp_path, write):
    straight, place = tmp_path / "straight", tmp_path / "killed"
    select(ours, straight, **ASKED)
    command = [sys.executable, "-c", KILLED, str(ours), str(place), str(write)]
    done = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": os.getcwd()})
    assert done.returncode == -signal.SIGKILL
    assert len(list((place / "parts").glob("0*"))) == write - 1
    real = selection._read_shard
    with patch.object(selection, "_read_shard", side_effect=real) as read:
        select(ours, place, **ASKED)
    assert read.call_count == len(OURS) - (write - 1)  # goes on from what is there
    for name in ("selection.arrow", "settings.json"):
        assert (place / name).read_bytes() == (straight / name).read_bytes()
    left = {"selection.arrow", "settings.json", ".selection.lock", "indexes"}
    assert {path.name for path in place.iterdir()} == left


def test_what_is_no_example_or_has_another_size_is_counted_by_its_reason(ours, tmp_path):
    folder = shutil.copytree(ours, tmp_path / "shards")
    whole = picture(99, 30, 30)
    long = whole[:2] + (b"\xff\xfe\xff\xff" + bytes(65533)) * 2 + whole[2:]  # two comments first
    extra = [
        *(("cut.jpg", whole[:50]), ("cut.txt", b"cut")),
        *(("none.jpg", b"GIF? no"), ("none.txt", b"none")),
        *(("alone.jpg", whole), ("long.jpg", long), ("long.txt", b"long")),
        *(("said.jpg", whole), ("said.json", b'{"caption": " "}')),
    ]
    write_shard(folder / "00005.tar", sum(OURS[:5]), OURS[5], extra=extra)
    found = select(folder, tmp_path / "a", min_side=26, max_side=50, **ASKED)
    widths = [20 + number for number in range(sum(OURS))]
    kept = [width for width in widths if 26 <= width <= 50]
    assert sorted(found.table["width"].to_pylist()) == sorted([*kept, 30])
    assert "long" in found.table["caption"].to_pylist()
    counts = {"not a picture": 2, "no caption": 1, "picture without a caption": 1}
    counts |= {"too small": sum(w < 26 for w in widths), "too large": sum(w > 50 for w in widths)}
    assert found.faults.counts == counts
    again = select(folder, tmp_path / "a", min_side=26, max_side=50, **ASKED)
    assert again.faults == found.faults


def test_too_few_to_hold_out_are_refused_with_how_many_there_are(ours, makers, tmp_path):
    said = refusal(ours, tmp_path / "a", held_out=20)
    select(ours, tmp_path / "a", **ASKED)  # lower, as it said, in the same folder
    assert "of 41 pictures in 6 shards, held out whole; give more shards, or lower" in said
    assert "expected 20 pictures or more in each of train, valid and test, got " in said
    one = tmp_path / "one"
    one.mkdir()
    write_shard(one / "00000.tar", 0, 1)
    assert "1 valid" in refusal(ours, tmp_path / "b", valid=one, held_out=2)
    assert "expected 2 or more, got 1" in refusal(ours, tmp_path / "c", valid=one, held_out=1)
    assert "7 test" in refusal(makers, tmp_path / "d", held_out=8)
    assert "0 train" in refusal(makers / "cc3m-val*", tmp_path / "e")
    assert "one of both" in refusal(ours, tmp_path / "f", valid=one, test=one)


def test_a_torn_shard_a_torn_file_and_no_pyarrow_are_told_by_name(ours, tmp_path, monkeypatch):
    folder = shutil.copytree(ours, tmp_path / "shards")
    content = (folder / "00002.tar").read_bytes()
    (folder / "00002.tar").write_bytes(content[: len(content) // 2])
    assert refusal(folder, tmp_path / "a").startswith(f"{(folder / '00002.tar').resolve()}: ")
    (folder / "00002.tar").write_bytes(content)
    assert select(folder, tmp_path / "b", **ASKED).table.num_rows == sum(OURS)
    whole = tmp_path / "b" / "selection.arrow"
    whole.write_bytes(whole.read_bytes()[:100])
    assert refusal(folder, tmp_path / "b").startswith(f"{whole}: expected a whole Arrow file")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install songtitle[pictures]" in refusal(ours, tmp_path / "c")


def test_vocabulary_and_ids_equal_those_of_the_captions_in_memory(makers, tmp_path):
    found = select(makers, tmp_path, **ASKED)
    titles = [tokenize(clean_caption(text)) for text in found.of("train")["caption"].to_pylist()]
    vocabulary = build_vocabulary(found, 3)
    assert vocabulary == Vocabulary.from_tokens(titles, min_count=3)
    assert 2 < len(vocabulary.words) < len({word for title in titles for word in title})
    with pytest.raises(InputError, match="1000 times or more"):
        build_vocabulary(found, 1000)
    texts = [tokenize(clean_caption(text)) for text in found.table["caption"].to_pylist()]
    for _ in range(2):  # made, and read again
        offsets, ids = encode(found, vocabulary, tmp_path / "ids", 3)
        assert (offsets.dtype, ids.dtype) == (np.int64, np.int32)
        mine = [ids[a:b].tolist() for a, b in pairwise(offsets)]
        assert mine == [vocabulary.encode(tokens[:3]) for tokens in texts]
    assert len(encode(found, vocabulary, tmp_path / "ids", 2)[1]) < len(ids)
    assert len(list((tmp_path / "ids").glob("*.npy"))) == 2


def test_the_command_says_how_many_are_where_and_why_others_are_not(ours, tmp_path, capsys):
    options = ["--output", str(tmp_path), "--min-side", "26", "--held-out", "3", "--seed", "5"]
    assert main(["select", str(ours), *options, "--min-count", "1"]) == 0
    found = select(ours, tmp_path, min_side=26, **ASKED)
    printed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    sizes = [[f"{found.of(split).num_rows}", f"pictures in {split}"] for split in selection.SPLITS]
    words = len(build_vocabulary(found, 1).words)
    assert printed == [*sizes, ["6", "left out: too small"], [f"{words}", "words in train"]]
