"""Selection: the words of millions of captions, from columns mapped from a file."""

import json
import os
import random
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import pyarrow as pa

from benchmarks.harness import Row
from benchmarks.metrics import titles
from songtitle.corpora.captions import read_conceptual_captions
from songtitle.rows import Faults

ROWS = 3_300_000  # of Conceptual Captions, about
SHARD = 5_000  # rows of one batch, as the makers' shards have them
MOST = 1000  # MB: what the whole process may hold
DRAWN = 4_000  # titles, where no captions are, that are cut and joined

_MEASURE = """
import json, sys, time
from pathlib import Path
import pyarrow as pa
from benchmarks.harness import peak_memory
from songtitle.corpora.selection import Selection, build_vocabulary, encode
from songtitle.rows import Faults
table = pa.ipc.open_file(pa.memory_map(sys.argv[1])).read_all()
found = Selection([], table, "made", Faults())
times = [time.perf_counter()]
words = 0
for batch in found.of("train").to_batches():
    for caption in batch.column("caption").to_pylist():
        words += len(caption.split())
times.append(time.perf_counter())
vocabulary = build_vocabulary(found, 2)
times.append(time.perf_counter())
after = peak_memory()
offsets, ids = encode(found, vocabulary, Path(sys.argv[1]).parent, 50)
times.append(time.perf_counter())
assert len(offsets) == table.num_rows + 1
split, ours, ids = (b - a for a, b in zip(times, times[1:]))
told = {"split": split, "ours": ours, "ids": ids, "MB": after, "all MB": peak_memory()}
print(json.dumps(told | {"words": len(vocabulary.words)}))
"""


def rows(quick: bool = False) -> list[Row]:
    """The vocabulary of all captions, and their ids: memory of the process, and time."""
    return measure(2_000 if quick else ROWS)


def measure(count: int) -> list[Row]:
    """The same at a size of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "selection.arrow"
        name = write_selection(place, count)
        command = [sys.executable, "-c", _MEASURE, str(place)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    note = f"{count:,} {name}, cut and joined; {found['words']:,} words come twice or more; "
    note += "memory is of a process that has imported torch and mapped the file"
    seconds = {"ours": found["ours"], "str.split": found["split"], "ids": found["ids"]}
    return [
        Row(
            what="vocabulary of a selection's captions",
            quantity="most memory of the process, MB",
            value=found["MB"],
            at_most=MOST,
            note=note,
        ),
        Row(
            what="ids of a selection's captions, after it",
            quantity="most memory of the process, MB",
            value=found["all MB"],
            at_most=MOST,
            note=note,
        ),
        Row(
            what="vocabulary of a selection's captions",
            quantity="time of ours / time of reading and str.split",
            value=found["ours"] / found["split"],
            peer="str.split",
            seconds=seconds,
            note=note,
        ),
    ]


def write_selection(path: Path, count: int) -> str:
    """Write `count` rows in the columns of a selection, all of train; the kind of the texts.

    A caption is the first half of one real caption and the second half of another.
    """
    name, found = texts_at_hand()
    draw = random.Random(0)
    heads = [text.split()[: len(text.split()) // 2] for text in found]
    tails = [text.split()[len(text.split()) // 2 :] for text in found]
    texts = (" ".join(draw.choice(heads) + draw.choice(tails)) for _ in range(count))
    split = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema({"split": split, "caption": pa.string()})
    with pa.ipc.new_file(str(path), schema) as writer:
        while chunk := list(islice(texts, SHARD)):
            places = pa.array([0] * len(chunk), pa.int8())
            columns = [pa.DictionaryArray.from_arrays(places, ["train", "valid", "test"])]
            writer.write_batch(pa.record_batch([*columns, pa.array(chunk)], schema=schema))
    return name


def texts_at_hand() -> tuple[str, list[str]]:
    """Real captions from the folder that SONGTITLE_REAL_DATA names, as they are; else titles."""
    folder = os.environ.get("SONGTITLE_REAL_DATA")
    place = Path(folder or "", "conceptual_captions", "Validation_GCC-1.1.0-Validation.tsv")
    if not folder or not place.exists():
        return "titles", [" ".join(title) for title in titles(DRAWN)]
    return "captions", [text for _, text, _ in read_conceptual_captions(place, Faults())]
