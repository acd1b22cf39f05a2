"""The selection: which captioned pictures of many shards count and in which split, in columns.

Columns are mapped from an Arrow file, so that millions of captions take little memory. Of a picture
the header is read, never the pixels.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock

from songtitle.corpora.shards import (
    Place,
    Where,
    at_least,
    caption_in,
    check_same,
    find_shards,
    read_index,
)
from songtitle.corpora.splits import FEWEST, HELD_OUT, SPLITS, counted, given, hold_out
from songtitle.machine import clear_disk_errors, write_whole
from songtitle.pictures import sides
from songtitle.progress import progress
from songtitle.rows import Faults
from songtitle.schema import refuse
from songtitle.text import clean_caption, tokenize
from songtitle.vocabulary import Vocabulary

HEAD = 1 << 14  # bytes in which most pictures say their size; of others the whole file is read
FORM = 1  # of what is kept
PART = ("row", "width", "height", "caption")  # what one shard says of its rows

Table = Any  # pyarrow.Table; the library comes with an extra


@dataclass(frozen=True)
class Selection:
    """Captioned pictures of shards, in columns mapped from an Arrow file.

    `table` has `shard` (int32, place in `shards`), `row` (int32, place among the examples of
    `songtitle.corpora.shards.read_index`), `split` (train, valid or test), `width` and `height`
    (int32, pixels, as the file has them: not turned by its EXIF), and `caption` (uncleaned).
    A shard is one record batch and of one split.
    """

    shards: list[Path]
    table: Table
    fingerprint: str  # of settings, and of the shards' names, sizes and examples; of no pixel
    faults: Faults  # what was left out, by reason

    def of(self, split: str) -> Table:
        """Give the rows of one split, in order, without a copy. Raises InputError for another."""
        if split not in SPLITS:
            refuse("split", f"one of {', '.join(SPLITS)}", repr(split), "choose one")
        batches = [b for b in self.table.to_batches() if b.column("split")[0].as_py() == split]
        return _pyarrow().Table.from_batches(batches, self.table.schema)


# -- the file -------------------------------------------------------------------------------------


def select(
    train: Where,
    folder: Path,
    *,
    valid: Where | None = None,
    test: Where | None = None,
    min_side: int | None = None,
    max_side: int | None = None,
    held_out: int = HELD_OUT,
    seed: int,
    index: Path | None = None,
    workers: int = 1,
) -> Selection:
    """Select the captioned pictures of shards, once; `folder` keeps what was selected.

    Shards of `train` are told apart by name (see `by_name`); the makers' validation is the test
    where they have none. `valid` and `test` give the shards of these splits, and are never trained
    on. What is still missing is drawn by `seed` from whole shards of train. Both sides of a picture
    have `min_side` pixels or more, and at most `max_side`. Pictures that are no example, or have
    another size or a broken header, are counted in `faults`.

    A second call goes on where the first ended, were it by SIGKILL, to the same bytes. `index` is
    the folder of the shards' indexes (by default one in `folder`), made by `workers` processes.

    Raises InputError with less than `held_out` pictures in a split, for a shard that is torn or
    missing, where shards or settings are not as before in `folder`, and without pyarrow.
    """
    at_least(FEWEST, held_out=held_out)
    at_least(1, min_side=min_side, max_side=max_side)
    _pyarrow()
    said = given(find_shards(train), *(find_shards(it) if it else [] for it in (valid, test)))
    paths = [path for split in SPLITS for path in said[split]]
    drawn = {"held_out": held_out, "seed": seed}
    settings: dict[str, Any] = {"form": FORM, "min_side": min_side, "max_side": max_side}
    settings |= {split: _known_by(said[split]) for split in SPLITS}
    target, parts, index = folder / "selection.arrow", folder / "parts", index or folder / "indexes"
    with clear_disk_errors("select", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".selection.lock"):
            _begin(folder / "settings.json", settings)
            if not target.exists():
                counted(paths, index, workers=workers)
                parts.mkdir(exist_ok=True)
                places = {path: parts / f"{i:06d}.arrow" for i, path in enumerate(paths)}
                with progress("select", len(places), unit="shards") as advance:
                    for path, part in places.items():
                        if not part.exists():
                            _write(part, *_read_shard(path, index, min_side, max_side))
                        advance(1)
                counts = {path: _mapped(part).num_rows for path, part in places.items()}
                splits = hold_out(said, counts, held_out=held_out, seed=seed)
                about = {"drawn": json.dumps(drawn), **_about(places, settings | drawn)}
                batches = (
                    _batch(_mapped(part), shard, splits[path])
                    for shard, (path, part) in enumerate(places.items())
                    if counts[path]
                )
                _write(target, _schema().with_metadata(about), batches)
            shutil.rmtree(parts, ignore_errors=True)
    table = _mapped(target)
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    check_same(folder, json.loads(about["drawn"]), drawn)
    faults = Faults()
    faults.add_told(json.loads(about["faults"]))
    return Selection(paths, table, about["fingerprint"], faults)


def _known_by(paths: Sequence[Path]) -> dict[str, Any]:
    names = "\n".join(f"{path.name} {path.stat().st_size}" for path in paths)
    return {"shards": len(paths), "sha256": hashlib.sha256(names.encode()).hexdigest()}


def _begin(path: Path, settings: Mapping[str, Any]) -> None:
    if not path.exists():
        return write_whole(path, json.dumps(settings, indent=1) + "\n")
    try:
        before = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        refuse(str(path), "the settings of a selection", f"'{error}'", "take another folder")
    check_same(path.parent, before, settings)


def _about(places: Mapping[Path, Path], settings: Mapping[str, Any]) -> dict[str, str]:
    """The fingerprint and what was left out, from what each shard's part says."""
    faults, known = Faults(), [json.dumps(settings, sort_keys=True)]
    for path, part in places.items():
        table = _mapped(part)
        examples, left_out = json.loads(table.schema.metadata[b"about"])
        known.append(f"{examples} {table.num_rows}")  # its name and size are among the settings
        for detail, kind in left_out:
            faults.add(path, None, kind, detail=detail)
    digest = hashlib.sha256("\n".join(known).encode()).hexdigest()
    return {"fingerprint": digest, "faults": json.dumps(faults.as_dict())}


def _pyarrow() -> Any:
    try:
        import pyarrow.ipc
    except ImportError as error:
        then = "pip install songtitle[pictures]"
        refuse("selection", "pyarrow, which keeps its columns", f"'{error}'", then)
    return pyarrow


def _schema() -> Any:
    pa = _pyarrow()
    split = pa.dictionary(pa.int8(), pa.string())
    kinds = {"shard": pa.int32(), "row": pa.int32(), "split": split}
    return pa.schema({**kinds, "width": pa.int32(), "height": pa.int32(), "caption": pa.string()})


def _write(path: Path, schema: Any, batches: Iterable[Any]) -> None:
    """Write an Arrow file, whole or not at all."""
    scratch = path.with_name(f".{path.name}")
    with _pyarrow().ipc.new_file(str(scratch), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    scratch.replace(path)


def _mapped(path: Path) -> Table:
    pa = _pyarrow()
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        said = f"'{next(iter(str(error).splitlines()), error)}'"
        refuse(str(path), "a whole Arrow file", said, "delete it and select again")


def _batch(part: Table, shard: int, split: str) -> Any:
    """The rows of one shard as they stand in the whole."""
    pa = _pyarrow()
    same = pa.array(np.full(len(part), SPLITS.index(split), np.int8))
    columns = {name: part.column(name).combine_chunks() for name in part.column_names}
    columns["shard"] = pa.array(np.full(len(part), shard, np.int32))
    columns["split"] = pa.DictionaryArray.from_arrays(same, list(SPLITS))
    return pa.record_batch([columns[name] for name in _schema().names], schema=_schema())


def _read_shard(
    path: Path, index: Path, min_side: int | None, max_side: int | None
) -> tuple[Any, list[Any]]:
    """What counts of a shard: a schema that also says what was left out, and the one batch."""
    examples, left_out = read_index(path, index)
    rows: list[dict[str, int | str]] = []
    with path.open("rb") as shard:
        for row, (key, picture, caption) in enumerate(examples):
            try:
                width, height = _sides(shard, picture)
                said = _caption(shard, caption)
            except ValueError as error:
                left_out.append((key, str(error)))
                continue
            if min(width, height) < (min_side or 1):
                left_out.append((f"{key}: {width} x {height}", "too small"))
            elif max_side and max(width, height) > max_side:
                left_out.append((f"{key}: {width} x {height}", "too large"))
            else:
                rows.append({"row": row, "width": width, "height": height, "caption": said})
    pa, whole = _pyarrow(), _schema()
    about = {"about": json.dumps([len(examples), left_out])}
    schema = pa.schema([whole.field(name) for name in PART], metadata=about)
    return schema, [pa.RecordBatch.from_pylist(rows, schema=schema)]


def _sides(shard: IO[bytes], place: Place) -> tuple[int, int]:
    """As `songtitle.pictures.sides`; some headers are long, and some stand at the end."""

    def read(length: int) -> bytes:
        shard.seek(place.offset)
        return shard.read(min(length, place.size))

    try:
        return sides(read(HEAD))
    except ValueError:
        return sides(read(place.size))


def _caption(shard: IO[bytes], place: Place) -> str:
    """As `caption_in` gives it; whatever is wrong is "no caption"."""
    shard.seek(place.offset)
    try:
        return caption_in(shard.read(place.size), place.ending)
    except ValueError as error:
        msg = "no caption"
        raise ValueError(msg) from error


# -- words ----------------------------------------------------------------------------------------


def _tokens(table: Table) -> Iterator[list[str]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for caption in batch.column("caption").to_pylist():
            yield tokenize(clean_caption(caption))


def build_vocabulary(selection: Selection, min_count: int) -> Vocabulary:
    """Take the words that the captions of train hold `min_count` times; InputError without any."""
    found = Vocabulary.from_tokens(_tokens(selection.of("train")), min_count=min_count)
    if not found.words:
        expected = f"words that come {min_count} times or more in the captions"
        refuse("min_count", expected, "none", "lower it, or give more shards")
    return found


def encode(
    selection: Selection, vocabulary: Vocabulary, folder: Path, max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give `offsets` (int64) and `ids` (int32), mapped from files in `folder`, made once.

    `ids[offsets[i]:offsets[i + 1]]` are of row i of the table: `<bos>`, at most `max_tokens` words,
    `<eos>`.
    """
    at_least(1, max_tokens=max_tokens)
    known = json.dumps([FORM, selection.fingerprint, vocabulary.words, max_tokens])
    name = hashlib.sha256(known.encode()).hexdigest()[:32]
    place, ends = folder / f"{name}.int32", folder / f"{name}.npy"
    with clear_disk_errors("captions", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not ends.exists():  # written last
                offsets = np.zeros(selection.table.num_rows + 1, np.int64)
                with place.open("wb") as file:
                    for row, tokens in enumerate(_tokens(selection.table)):
                        ids = np.array(vocabulary.encode(tokens[:max_tokens]), np.int32)
                        offsets[row + 1] = offsets[row] + len(ids)
                        file.write(ids.tobytes())
                content = io.BytesIO()
                np.save(content, offsets)
                write_whole(ends, content.getvalue())
    return np.load(ends, mmap_mode="r"), np.memmap(place, np.int32, mode="r")
