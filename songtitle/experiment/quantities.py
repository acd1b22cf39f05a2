"""Quantities: how much there is of each corpora, and the bytes that it takes on disk."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.corpora import captions as corpora_captions
from songtitle.corpora import shards, stamps
from songtitle.corpora.fetch import items
from songtitle.corpora.guarded_http import length
from songtitle.corpora.inventory import human
from songtitle.corpora.manifest import listed, read_source
from songtitle.corpora.picture_sets import LISTED
from songtitle.corpora.places import PLACES, find
from songtitle.declared import names
from songtitle.errors import expect
from songtitle.experiment.picture_sizes import expected, published
from songtitle.model.features import DTYPES
from songtitle.paper.printed import paper
from songtitle.vocabulary import SPECIALS

OF_PAPER = (  # what its three corpora come as; 1,000 titles of FMA are had from its smallest subset
    *("conceptual_captions", "million_song_years", "million_song_lists"),
    *("fma_small", "fma_metadata", "nltk_data"),
)
SHARD = 5_000  # pictures of a ready-made one, of which whole ones validate
FETCHED = {"songs": "million_song_subset", "clips": "fma_small"}  # place -> source


def plural(count: int, word: str) -> str:
    """Write a number with what it counts: "1 view", "1,000 views"."""
    return f"{count:,} {word}{'s' * (count != 1)}"


class Need(NamedTuple):
    """Bytes on disk: all, those there already, what says so, and the command that brings them."""

    item: str
    size: int | None  # None where nobody publishes it
    here: int
    basis: str
    command: str = ""

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return max(0, (self.size or 0) - self.here)


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """How much there is to learn from and to name."""

    name: str
    pictures: Mapping[str, int]  # by split, that pages list
    whole: int = 0  # pictures of train that `features` and `train` learn from where pages list some
    captions: float = 1.0  # of a picture
    lengths: Mapping[int, int]  # words -> captions that have so many
    words: int  # of the vocabulary
    songs: int  # by each reading
    title_lengths: Mapping[int, int] = field(default_factory=dict)  # as of captions where empty
    known: float = 1.0  # share of the words in titles that are in the vocabulary
    archives: tuple[Need, ...] = ()
    basis: str = ""  # where these numbers are from
    bytes_each: Mapping[str, int] = field(default_factory=lambda: {"pooled": 2, "map": 2})


def corpora_of(
    name: str,
    config: ExperimentConfig,
    home: Path,
    *,
    counted: Record | None = None,
    known: Record | None = None,
) -> Corpora:
    """Count the corpora `name`: `book`, `samples`, `paper`, `rehearsal`, a file that declares
    others, or a folder of shards.

    Counts are those of the records `counted` and `known`, of the stages `corpora` and `vocabulary`,
    where these are finished, else published or printed ones, or of a rehearsal what is written.
    Raises InputError for another name, a folder without shards, and for declared ones that no stage
    has counted yet.
    """
    if name in ("book", "samples"):
        return _samples(config, home) if name == "samples" else _book(config, home, counted, known)
    if name == "paper":
        return _paper(config, home)
    if name == "rehearsal" or name.endswith(".toml"):
        return _as_counted(name, config, counted, known)
    folder = Path(name).expanduser()
    expect(
        folder.is_dir(),
        f"--corpora: expected one of {', '.join(names())}, a TOML file or a folder of shards, got "
        f"{name!r}; check it",
    )
    return _folder(folder, config)


def _lengths(found: Mapping[str, Any]) -> dict[int, int]:
    return {int(words): count for words, count in found.items()}


def _book(
    config: ExperimentConfig, home: Path, counted: Record | None, known: Record | None
) -> Corpora:
    told = counted.result if counted else published("quick/corpora.json")
    words = known.result if known else published("quick/vocabulary.json")
    pictures, basis = told["pictures"], "this preset's own records"
    if not counted:
        total, basis = sum(pictures.values()), "results/quick, in proportion"
        asked = min(config.picture_count or total, total)
        pictures = {side: max(1, round(n * asked / total)) for side, n in pictures.items()}
    of_captions, *of_titles = map(_lengths, told["lengths"].values())
    size = sum(file.size for file in listed("stamps"))
    here = size if stamps.is_fetched(home) else 0
    return Corpora(
        name="book",
        pictures=pictures,
        lengths=of_captions,
        title_lengths=dict(sum(map(Counter, of_titles), Counter())),
        words=words["size"],
        known=words["known"]["running words"],
        songs=config.song_count,
        archives=(Need("stamps", size, here, "manifest", "python -m songtitle fetch stamps"),),
        basis=basis,
        bytes_each={name: dtype.itemsize for name, dtype in DTYPES.items()},
    )


def _as_counted(
    name: str, config: ExperimentConfig, counted: Record | None, known: Record | None
) -> Corpora:
    """What stages counted; of a rehearsal, which is written when first asked for, what it will be:
    two shards of three to train on, and a quarter as many pictures to test on."""
    lengths, pictures, titles = {12: 1}, {"train": 80, "valid": 40, "test": 30}, Counter[int]()
    if counted:
        lengths, *of_titles = map(_lengths, counted.result["lengths"].values())
        titles, pictures = sum(map(Counter, of_titles), titles), dict(counted.result["pictures"])
    else:
        expect(
            name == "rehearsal",
            f"--corpora {name}: expected pictures and songs that were counted, got none; run "
            "`python -m songtitle run 01_corpora` on them first",
        )
    return Corpora(
        name=name,
        pictures=pictures,
        lengths=lengths,
        title_lengths=titles,
        words=known.result["size"] if known else 40,
        known=known.result["known"]["running words"] if known else 1.0,
        songs=config.song_count,
        basis="this preset's own records" if counted else "what a rehearsal writes",
        bytes_each={name: dtype.itemsize for name, dtype in DTYPES.items()},
    )


def _samples(config: ExperimentConfig, home: Path) -> Corpora:
    counted = published("samples/samples.json")["data"]
    archives = []
    for place, options in PLACES.items():
        there = find(home, place)
        source = FETCHED.get(place)
        command = f"python -m songtitle fetch {source}" if source else "see data_manifest/README.md"
        size = sum(item.size or 0 for item in items(read_source(source), home)) if source else None
        what = f"{place}: {' with '.join(options[0])}"
        archives.append(Need(what, size, size or 0 if there else 0, "manifest", command))
    total, asked = sum(counted["photos"].values()), config.picture_count
    return Corpora(
        name="samples",
        pictures={
            side: max(1, round(n * min(1, (asked or total) / total)))
            for side, n in counted["photos"].items()
        },
        captions=corpora_captions.CAPTIONS,
        lengths=_cc_lengths(),
        words=counted["vocabulary"],
        songs=config.song_count,
        archives=tuple(archives),
        basis="results/samples; lengths of captions as in Conceptual Captions",
        bytes_each={name: dtype.itemsize for name, dtype in DTYPES.items()},
    )


def _cc_lengths() -> dict[int, int]:
    return _lengths(published("census/captions_valid.json")["cleaned"]["lengths"])


def _paper(config: ExperimentConfig, home: Path) -> Corpora:
    archives: list[Need] = []
    for source in map(read_source, OF_PAPER):
        command = f"python -m songtitle fetch {source.name}"
        parts = items(source, home)
        sizes = [item.size for item in parts]
        whole = None if None in sizes else sum(size or 0 for size in sizes)
        here = sum(length(item.target) or length(item.part) for item in parts)
        archives.append(Need(source.name, whole, here, "manifest", command))
        if whole and any(item.file.unpack for item in parts):
            done = whole if all(item.is_unpacked for item in parts) else 0
            basis = "forecast: as large as its archives, at least"
            archives.append(Need(f"{source.name}, unpacked", whole, done, basis, command))
    come: dict[str, int] = {}
    for split in corpora_captions.TABLES:
        rows, come[split], size, here = expected(home, split)
        basis = f"forecast: {come[split]:,} of {rows:,} links, {human(size // come[split])} each"
        command = f"python -m songtitle fetch conceptual_captions --pictures {split}"
        archives.append(Need(f"pictures of {split}", size, here, basis, command))
    test = min(config.song_count, come["validation"])  # as many pictures as songs are tested
    asked = min(config.picture_count or come["train"], come["train"])
    return Corpora(
        name="paper",
        pictures={"train": min(asked, LISTED), "valid": min(asked, SHARD), "test": test},
        whole=come["train"] if asked > LISTED else 0,
        lengths=_cc_lengths(),
        words=int(paper("captions.vocabulary")) + len(SPECIALS),
        songs=config.song_count,
        archives=tuple(archives),
        basis="manifest; the paper's vocabulary; lengths of captions in results/census",
        bytes_each={name: dtype.itemsize for name, dtype in DTYPES.items()},
    )


def _folder(folder: Path, config: ExperimentConfig) -> Corpora:
    paths = shards.find_shards(folder)
    size = sum(path.stat().st_size for path in paths)
    examples, _ = shards.index_shard(paths[0])
    expect(examples, f"{paths[0]}: expected captioned pictures, got none; name other shards")
    total = max(len(examples), round(len(examples) * size / paths[0].stat().st_size))
    if config.picture_count:
        total = min(total, config.picture_count)
    held = max(1, total // 10)
    need = Need(f"{len(paths)} shards", size, size, "the first shard stands for all")
    return Corpora(
        name=str(folder),
        pictures={"train": max(1, min(LISTED, total - 2 * held)), "valid": held, "test": held},
        whole=total - 2 * held if total - 2 * held > LISTED else 0,
        lengths=_cc_lengths(),
        words=int(paper("captions.vocabulary")) + len(SPECIALS),
        songs=config.song_count,
        archives=(need,),
        basis="the first shard; the paper's vocabulary, at most; lengths as in Conceptual Captions",
    )
