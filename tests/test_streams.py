"""Laws of streams: every example once, an order that can be taken up anywhere, no shard trusted."""

import io
import json
import multiprocessing
import os
import signal
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from songtitle.corpora.batches import CropView, Loader, ShardStream
from songtitle.corpora.shards import find_shards, index_shard
from songtitle.errors import InputError
from songtitle.pictures import load_view
from songtitle.seeds import Order, shares

PAD, BOS, EOS = 0, 1, 2
SIZE = 16  # pixels of a crop


def encode(caption):
    """Numbers in a caption are its tokens."""
    return [BOS, *(int(word) for word in caption.split()), EOS]


def picture(number, width=23, height=19, kind="JPEG"):
    """A picture that no other equals."""
    noise = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mtime = 1.5  # as webdataset has it: such times need a header of their own
            tar.addfile(member, io.BytesIO(content))
    return path


def write_shards(folder, sizes, *, ours=True):
    """Shards of `sizes` examples; caption k is "k k+100" for the example of number k in all."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for shard, size in enumerate(sizes):
        files = []
        for row in range(size):
            key = f"{shard:05d}{row:04d}"
            files.append((f"{key}.jpg", picture(number)))
            files.append((f"{key}.txt", f"{number + 4} {number + 104}".encode()))
            if ours:
                files.append((f"{key}.json", json.dumps({"sha256": "x"}).encode()))
            number += 1
        write_tar(folder / f"{shard:05d}.tar", files)
        if ours:
            stats = json.dumps({"successes": size})
            (folder / f"{shard:05d}_stats.json").write_text(stats)
    return folder


SIZES = (5, 7, 3, 11, 2, 13)
TOTAL = sum(SIZES)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), SIZES)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("indexes")


def stream(shards, kept, *, batch_size=4, seed=3, workers=0, window=2, **options):
    paths = find_shards(shards)
    options = {"encode": encode, "view": CropView(SIZE), "pad_id": PAD, "index": kept, **options}
    return ShardStream(
        paths, batch_size=batch_size, seed=seed, workers=workers, window=window, **options
    )


def numbers(batches):
    return [int(row[1]) - 4 for batch in batches for row in batch.tokens]


def equal(first, second):
    first, second = list(first), list(second)
    return len(first) == len(second) and all(
        all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(first, second, strict=True)
    )


# ------------------------------------------------------------------------------ shares of an epoch


@settings(max_examples=300)
@given(st.integers(1, 90), st.integers(1, 7), st.integers(1, 5))
def test_shares_hold_every_place_once_and_leave_nobody_with_a_single_example(items, size, world):
    if items < 2 * world:
        with pytest.raises(InputError, match=f"at least {2 * world} examples for {world} process"):
            list(shares(items, batch_size=size, world=world))
        return
    mine = [list(shares(items, batch_size=size, rank=r, world=world)) for r in range(world)]
    assert len({len(parts) for parts in mine}) == 1
    joined = [place for parts in zip(*mine, strict=True) for part in parts for place in part]
    assert joined == list(range(items))
    lengths = [[len(part) for part in parts] for parts in zip(*mine, strict=True)]
    assert all(max(row) - min(row) <= 1 for row in lengths)
    assert all(row == [size] * world for row in lengths[:-1])
    if size > 1:
        assert min(min(row) for row in lengths) >= 2


@settings(max_examples=300)
@given(st.integers(1, 200), st.integers(2, 7), st.integers(2, 5))
def test_shares_of_several_are_joined_the_batches_of_one(items, size, world):
    left = items % (size * world)
    if items < 2 * world or 2 <= left < 2 * world:  # a last batch that several cannot share
        return
    one = list(shares(items, batch_size=size * world))
    mine = [shares(items, batch_size=size, rank=r, world=world) for r in range(world)]
    joined = [range(p[0].start, p[-1].stop) for p in zip(*mine, strict=True)]
    assert joined == one


# ------------------------------------------------------------------------------- features in memory


@pytest.fixture(scope="module")
def views():
    items, views, positions, features = 13, 3, 2, 7
    generator = torch.Generator().manual_seed(5)
    return torch.randn(items, views, positions, features, generator=generator)


CAPTIONS = [[BOS, 4 + i, *[90] * (i % 3), EOS] for i in range(13)]


def loader(views, **options):
    return Loader(views, CAPTIONS, **{"batch_size": 3, "pad_id": PAD, "seed": 1} | options)


def test_a_loader_gives_every_item_once_with_a_view_of_its_own(views):
    found = list(loader(views)(1))
    assert [len(batch.lengths) for batch in found] == [3, 3, 3, 4]
    assert sorted(numbers(found)) == list(range(13))
    for batch in found:
        assert batch.inputs.shape[1:] == (2, 7)
        for features, row, length in zip(batch.inputs, batch.tokens, batch.lengths, strict=True):
            item = int(row[1]) - 4
            assert any(torch.equal(features, view) for view in views[item])
            assert row[:length].tolist() == CAPTIONS[item]
            assert not row[length:].any()


def test_a_loader_draws_a_view_of_each(views):
    seen = {
        int((views[item] == features).all(-1).all(-1).nonzero()[0])
        for batch in loader(views)(1)
        for features, item in zip(batch.inputs, numbers([batch]), strict=True)
    }
    assert len(seen) > 1


def test_in_order_a_loader_gives_first_views_from_first_to_last(views):
    found = list(loader(views, batch_size=6).in_order())
    assert numbers(found) == list(range(13))
    assert torch.equal(torch.cat([batch.inputs for batch in found]), views[:, 0])


def test_a_mapped_file_is_read_by_rows(views, tmp_path):
    path = tmp_path / "views.npy"
    np.save(path, views.to(torch.float16).numpy())
    mapped = torch.from_numpy(np.load(path, mmap_mode="c"))
    (first, *_) = loader(mapped)(1)
    assert first.inputs.dtype == torch.float32
    expected = next(loader(views.to(torch.float16).float())(1))
    assert torch.equal(first.inputs, expected.inputs)


def test_captions_that_are_not_those_of_the_items_are_refused(views):
    with pytest.raises(InputError, match="expected one for each of 12 items, got 13"):
        loader(views[:12])


# -------------------------------------------------------------------------------- order of a stream


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(1, 11), st.integers(0, 2**40)
)
def test_an_order_holds_every_example_once(counts, window, seed):
    order = Order(counts, window=window, seed=seed, epoch=1)
    found = [order.at(place) for place in range(sum(counts))]
    expected = [(shard, row) for shard, count in enumerate(counts) for row in range(count)]
    assert sorted(found) == expected
    assert [Order(counts, window=window).at(p) for p in range(sum(counts))] == expected


def test_an_order_mixes_the_examples_of_a_window_and_shuffles_the_shards():
    counts = [10] * 30
    order = Order(counts, window=5, seed=1, epoch=1)
    shards_seen = [order.at(place)[0] for place in range(300)]
    windows = [set(shards_seen[first : first + 50]) for first in range(0, 300, 50)]
    assert [len(window) for window in windows] == [5] * 6
    assert all(len(set(shards_seen[first : first + 10])) > 1 for first in range(0, 300, 10))
    assert sorted(shards_seen[:50]) != shards_seen[:50]
    assert windows[0] != set(range(5))


# ------------------------------------------------------------------------------------------ streams


def test_a_stream_gives_every_example_once_with_its_own_picture(shards, kept):
    reading = stream(shards, kept, view=CropView(SIZE, random=False))
    assert len(reading) == TOTAL
    found = list(reading(1))
    assert [len(batch.lengths) for batch in found] == [4] * 9 + [5]
    assert sorted(numbers(found)) == list(range(TOTAL))
    for batch in found:
        for image, row in zip(batch.inputs, batch.tokens, strict=True):
            number = int(row[1]) - 4
            assert row.tolist() == [BOS, number + 4, number + 104, EOS]
            assert torch.equal(image, load_view(picture(number), SIZE))


@pytest.fixture(params=["features", "shards"])
def make(request, views, shards, kept):
    """Makes batches of features in memory, or of pictures in shards."""
    if request.param == "features":
        return lambda **options: loader(views, **{"batch_size": 4} | options)
    return lambda **options: stream(shards, kept, **options)


def test_an_epoch_is_drawn_from_seed_and_epoch_alone(make):
    assert equal(make()(1), make()(1))
    assert numbers(make()(1)) != numbers(make()(2))
    assert numbers(make()(1)) != numbers(make(seed=4)(1))


def test_an_epoch_is_taken_up_where_it_was_left(make):
    whole = list(make()(2))
    for start in range(len(whole) + 1):
        assert equal(make()(2, start=start), whole[start:])


def test_two_processes_see_together_what_one_of_the_doubled_batch_sees(make):
    one = list(make(batch_size=8)(1))
    two = [list(make()(1, rank=rank, world=2)) for rank in range(2)]
    assert len(one) == len(two[0]) == len(two[1])
    for whole, *parts in zip(one, *two, strict=True):
        assert torch.equal(whole.inputs, torch.cat([part.inputs for part in parts]))
        assert numbers([whole]) == numbers(parts)


def test_a_picture_is_cropped_by_seed_epoch_and_key_wherever_it_comes(shards, kept):
    def by_number(reading, epoch):
        images = torch.cat([batch.inputs for batch in reading(epoch)])
        return dict(zip(numbers(reading(epoch)), images, strict=True))

    first = by_number(stream(shards, kept), 1)
    elsewhere = by_number(stream(shards, kept, batch_size=7, window=5), 1)
    assert list(first) != list(elsewhere)
    assert all(torch.equal(image, elsewhere[number]) for number, image in first.items())
    later = by_number(stream(shards, kept), 2)
    assert any(not torch.equal(image, later[number]) for number, image in first.items())


def test_what_was_used_is_not_read_again(shards, kept, tmp_path):
    seen = []

    def look(content, generator):
        seen.append(content)
        return CropView(SIZE)(content, generator)

    list(stream(shards, kept, view=look)(2, start=8))
    assert len(seen) == TOTAL - 8 * 4


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_nothing(shards, kept, workers):
    state = torch.get_rng_state()
    assert equal(
        stream(shards, kept, workers=workers)(1, start=3), stream(shards, kept)(1, start=3)
    )
    assert torch.equal(state, torch.get_rng_state())


def test_in_order_a_stream_goes_through_its_shards_and_captions_come_alone(shards, kept):
    reading = stream(shards, kept, view=CropView(SIZE, random=False))
    assert numbers(reading.in_order()) == list(range(TOTAL))
    assert equal(reading.in_order(), reading.in_order())
    expected = [f"{number + 4} {number + 104}" for number in range(TOTAL)]
    assert list(reading.captions()) == expected


def test_an_index_is_made_once(shards, tmp_path, monkeypatch):
    stream(shards, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(before) == len(SIZES)
    monkeypatch.setattr("songtitle.corpora.shards.index_shard", None)
    assert len(stream(shards, tmp_path)) == TOTAL
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")} == before


def test_many_shards_are_indexed_by_several_processes_alike(tmp_path):
    folder = write_shards(tmp_path / "shards", [1] * 11)
    one, two = stream(folder, tmp_path / "one"), stream(folder, tmp_path / "two", workers=2)
    assert one.counts == two.counts
    texts = [{p.name: p.read_text() for p in (tmp_path / n).glob("*.json")} for n in ("one", "two")]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 11


def test_a_changed_shard_is_indexed_anew(tmp_path):
    folder = write_shards(tmp_path / "shards", [3, 4])
    assert len(stream(folder, tmp_path / "kept")) == 7
    write_shards(folder, [3, 6])
    assert len(stream(folder, tmp_path / "kept")) == 9


def test_plain_webdataset_is_read_whatever_its_order_and_endings(tmp_path):
    files = [
        ("a/x.y.txt", b"5 9"),  # the key ends at the first dot of the name: no caption
        ("a/z.txt", b"5 9"),
        ("a/0.PNG", picture(0, kind="PNG")),
        ("a/1.webp", picture(1, kind="WEBP")),
        ("a/1.json", b'{"caption": "5 105", "width": 3}'),
        ("a/0.txt", b"4 104"),
        ("a/0.cls", b"7"),
        ("__meta__.txt", b"none"),
        ("b/0.jpg", picture(2)),
        ("b/0.txt", b"6 106"),
    ]
    path = write_tar(tmp_path / "set-000.tar", files)
    assert [example.key for example in index_shard(path)[0]] == ["a/0", "a/1", "b/0"]
    reading = stream(tmp_path, tmp_path / "kept")
    assert numbers(reading.in_order()) == [0, 1, 2]
    assert reading.faults.counts == {"caption without a picture": 1}


def test_pictures_written_by_webdataset_itself_are_read(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "0.tar")) as tar:
        for number in range(5):
            key = f"{'long' * 60}{number}"  # longer than a plain header holds
            tar.write({"__key__": key, "jpg": picture(number), "txt": f"{number + 4}"})
    assert numbers(stream(tmp_path, tmp_path / "kept").in_order()) == list(range(5))


# --------------------------------------------------------------------------------------- bad shards


def test_an_example_that_cannot_be_read_is_left_out_and_named(tmp_path):
    good = [(f"{n}.jpg", picture(n)) for n in range(9)]
    texts = [(f"{n}.txt", f"{n + 4}".encode()) for n in range(9)]
    good[2] = ("2.jpg", picture(2)[:100])
    good[5] = ("5.jpg", b"")
    texts[7] = ("7.json", b'{"title": "none"}')
    del texts[4]
    write_tar(tmp_path / "0.tar", good + texts)
    reading = stream(tmp_path, tmp_path / "kept")
    assert len(reading) == 7  # by what the headers say
    found = list(reading(1))
    assert sorted(numbers(found)) == [0, 1, 3, 6, 8]
    assert reading.faults.counts == {
        "picture without a caption": 1,
        "empty picture": 1,
        "not a picture": 1,
        "no caption": 1,
    }
    details = {fault.kind: (fault.file, fault.detail[:1]) for fault in reading.faults.examples}
    assert details["not a picture"] == ("0.tar", "2")
    assert details["no caption"] == ("0.tar", "7")
    assert details["empty picture"] == ("0.tar", "5")


def test_a_batch_with_nothing_left_to_train_on_is_refused_by_name(tmp_path):
    files = [(f"{n}.jpg", picture(n) if n == 3 else b"no") for n in range(4)]
    write_tar(tmp_path / "0.tar", files + [(f"{n}.txt", b"4") for n in range(4)])
    reading = stream(tmp_path, tmp_path / "kept")
    with pytest.raises(InputError, match=r"0\.tar: expected 2 examples or more of a batch, got 1"):
        list(reading(1))
    assert len(list(reading.in_order())) == 1


@pytest.mark.parametrize("share", [0.999, 0.5, 0.0])
def test_a_torn_shard_is_named_before_training(tmp_path, share):
    folder = write_shards(tmp_path / "shards", [5, 6], ours=False)
    path = folder / "00001.tar"
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"00001\.tar: expected a whole, uncompressed .*\Z"):
        stream(folder, tmp_path / "kept")


def test_a_shard_torn_between_two_files_and_one_with_garbage_inside_are_named(tmp_path):
    folder = write_shards(tmp_path / "shards", [5], ours=False)
    path = folder / "00000.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        cut = tar.getmembers()[4].offset
    for content in (whole[:cut], whole[:cut] + b"\x07" * 512 + whole[cut + 512 :]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"00000\.tar: .* got 'no end mark after the last fil"):
            stream(folder, tmp_path / "kept")


def test_a_shard_with_fewer_pictures_than_were_fetched_is_named(tmp_path):
    folder = write_shards(tmp_path / "shards", [5])
    (folder / "00000_stats.json").write_text('{"successes": 6}')
    with pytest.raises(InputError, match=r"00000\.tar: expected 6 pictures as 00000_stats\.json"):
        stream(folder, tmp_path / "kept")


def test_a_missing_shard_is_named_however_it_was_asked_for(tmp_path):
    folder = write_shards(tmp_path / "shards", [2, 3, 2, 2])
    assert [p.name for p in find_shards(f"{folder}/{{00001..00003}}.tar")] == [
        "00001.tar",
        "00002.tar",
        "00003.tar",
    ]
    assert len(find_shards([folder / "0000[12].tar", str(folder / "00002.tar")])) == 2
    (folder / "00003_stats.json").unlink()  # not finished
    assert len(find_shards(folder)) == 3
    (folder / "00001.tar").unlink()
    for where in (folder, f"{folder}/{{00000..00002}}.tar", folder / "00001.tar"):
        with pytest.raises(InputError, match=r"00001\.tar: expected a shard, there is none"):
            find_shards(where)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected tar files in .*empty, got none"):
        find_shards(tmp_path / "empty")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_goes_or_shrinks_while_it_is_read_is_named_in_one_line(tmp_path, workers):
    folder = write_shards(tmp_path / "shards", [40])
    reading = stream(folder, tmp_path / "kept", workers=workers, batch_size=2)
    batches = reading(1)
    next(batches)
    os.truncate(folder / "00000.tar", 2048)
    with pytest.raises(InputError, match=r"00000\.tar: expected \d+ bytes .* changed") as error:
        list(batches)
    assert "\n" not in str(error.value)
    # While the error is held, too: a worker is deaf, and a program would wait for it.
    assert not multiprocessing.active_children()
    with pytest.raises(InputError, match=r"00000\.tar: expected a whole"):
        next(reading(1))
    write_shards(folder, [39])
    with pytest.raises(InputError, match=r"00000\.tar: expected 40 examples .* got 39"):
        next(reading(1))
    (folder / "00000.tar").unlink()
    with pytest.raises(InputError, match=r"00000\.tar: expected a shard, there is none") as error:
        next(reading(1))
    assert not multiprocessing.active_children()
    assert error.value


def test_a_worker_that_dies_is_named_in_one_line(shards, kept):
    with pytest.raises(InputError, match=r"one died \(DataLoader worker .*\d+") as error:
        list(stream(shards, kept, workers=1, view=die)(1))
    assert "\n" not in str(error.value)


def die(content, generator):
    os.kill(os.getpid(), signal.SIGKILL)


def test_ctrl_c_and_sigterm_for_all_leave_the_workers_to_their_parent(shards, kept):
    assert len(list(stream(shards, kept, workers=1, view=interrupted)(1))) == 10


def interrupted(content, generator):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return CropView(SIZE)(content, generator)


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("window", 0), ("workers", -1)])
def test_a_number_out_of_range_is_refused_by_name(shards, kept, name, value):
    with pytest.raises(InputError, match=f"{name}: expected . or more, got {value}"):
        stream(shards, kept, **{name: value})


# ------------------------------------------------------------------------------------ real pictures


def test_real_photos_are_streamed_with_their_captions(real_data, tmp_path):
    rows = (real_data / "flickr8k" / "captions.txt").read_text("utf-8").splitlines()[1:]
    captions = dict(reversed([row.split(",", 1) for row in rows]))
    paths = sorted((real_data / "flickr8k").glob("images_original_size/*.jpg"))[:23]
    for shard in range(3):
        files = []
        for path in paths[shard::3]:
            files.append((f"{path.stem}.jpg", path.read_bytes()))
            files.append((f"{path.stem}.txt", captions[path.name].encode()))
        write_tar(tmp_path / f"{shard}.tar", files)
    words = {captions[path.name]: number for number, path in enumerate(paths)}
    reading = stream(
        tmp_path,
        tmp_path / "kept",
        encode=lambda caption: [BOS, 4 + words[caption], EOS],
        view=CropView(256),
        workers=1,
    )
    found = list(reading(1))
    assert sorted(numbers(found)) == list(range(len(paths)))
    assert {batch.inputs.shape[1:] for batch in found} == {(3, 256, 256)}
    assert not reading.faults.counts
    mean = torch.cat([batch.inputs for batch in found]).mean()
    assert 0.2 < mean < 0.7
