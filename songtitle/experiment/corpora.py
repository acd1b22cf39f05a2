"""The material of an experiment: which captioned pictures to learn from, which songs to name.

`ExperimentConfig.corpora` names them. The two readings of a song may be of the same songs or of
different ones; what is scored against is therefore asked for by reading, and only readings that
share their songs compare item by item.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, Work, pick, read_json, stage, write_json
from songtitle.config import SONGS, ExperimentConfig, Input
from songtitle.corpora import picture_sets, song_sets, stamps, tunes
from songtitle.corpora.manifest import data_home
from songtitle.corpora.places import below, locate
from songtitle.corpora.song_sets import SongSet, Words
from songtitle.declared import SILENT
from songtitle.errors import InputError
from songtitle.experiment.runs import run_for
from songtitle.rows import Counts
from songtitle.schema import refuse
from songtitle.sound import load_clip
from songtitle.text import clean_caption, tokenize
from songtitle.training.checkpoints import kept_checkpoint, read_checkpoint
from songtitle.vocabulary import Vocabulary

# What the paper's ledger calls a corpus of its own, by kind.
PAPER = {
    "conceptual_captions": "Conceptual Captions",
    "million_song": "Million Song",
    "fma": "Free Music Archive",
}
NUMBERS = "timbre.npy"

log = logging.getLogger(__name__)


def roles(config: ExperimentConfig) -> dict[str, str]:
    """Say which corpus has which role: `train`, `pictures`, `timbre`, `spectrogram`. The paper's
    own go by their names where runs of `train` have learnt from all of them, as pages list some
    alone; others never do."""
    its = config.material
    own = its.scale == "paper" and config.picture_count is None and bool(config.runs)
    return {
        role: PAPER.get(part.kind, part.kind) if own else f"{its.name}: {part.name}"
        for role, part in zip(
            ("train", "pictures", *(each.reading for each in SONGS)),
            (its.pictures, its.pictures, its.timbre, its.spectrogram),
            strict=True,
        )
    }


def load_songs(config: ExperimentConfig, home: Path) -> list[tuple[SongSet, list[str]]]:
    """Load the songs of both readings, each set once with the readings that are asked of it; a set
    that is optional may be missing."""
    its, found = config.material, dict[Any, tuple[SongSet | None, list[str]]]()
    wanted = song_sets.Wanted(count=config.song_count, rules=config.title_rules, seed=config.seed)
    for each in SONGS:
        part = its.of(each.reading)
        if part.place not in found:
            found[part.place] = song_sets.load(part, home, wanted), []
        found[part.place][1].append(each.reading)
    return [(songs, readings) for songs, readings in found.values() if songs]


def fingerprint(config: ExperimentConfig, home: Path) -> dict[str, dict[str, str]]:
    """Say what tells these corpora from others, for the key of a record; of pictures no pixel is
    read, of sound no sample."""
    its = config.material
    told = {"pictures": picture_sets.fingerprint(its.pictures, home)}
    for each in SONGS:
        part = its.of(each.reading)
        try:
            told[each.reading] = song_sets.fingerprint(part, home)
        except InputError:
            if not part.optional:
                raise
    return told


# -- stages ----------------------------------------------------------------------------------------


@stage
def corpora(config: ExperimentConfig, *, home: Path) -> Work:
    """Captioned pictures, split by series, and the titled test songs; all that is counted in them.

    Files: `pictures.json` (id, series, path below the data home or the samples, split, `captions`
    as tokens, and the first of them as `tokens`; in a shard the `span` of its bytes), `songs.json`
    (id, collection, series, `printed` and clean title, tokens, the `readings` that are asked of it,
    and the `clip` where there is one already), `titles.json` (by collection the titles of all songs
    that could have been drawn, as tokens), and `timbre.npy` where numbers come ready made, a row
    for each song without a clip. A series is what its corpus calls a group: a folder, a family
    of tunes, an artist.
    """
    its = config.material
    if its.pictures.kind == "stamps":
        stamps.fetch(home)

    def compute(folder: Path) -> dict[str, Any]:
        wanted = picture_sets.Wanted(
            count=config.picture_count, tested=config.song_count, seed=config.seed
        )
        found = picture_sets.load(its.pictures, home, wanted, folder)
        rows = []
        for picture in found.pictures:
            said = [tokenize(clean_caption(caption)) for caption in picture.captions]
            rows.append(picture.as_dict() | {"tokens": said[0], "captions": said})
        write_json(folder / "pictures.json", rows)
        sets, songs = load_songs(config, home), list[dict[str, Any]]()
        for each, readings in sets:
            kept = zip(
                each.ids, each.collections, each.series, each.printed, each.titles, strict=True
            )
            for place, (id, collection, series, printed, tokens) in enumerate(kept):
                song: dict[str, Any] = {"id": id, "collection": collection, "series": series}
                song |= {"printed": printed}
                song |= {"title": " ".join(tokens), "tokens": tokens, "readings": readings}
                if each.clips:
                    song["clip"] = below(home, each.clips[place])
                songs.append(song)
        numbers = [each.timbre for each, _ in sets if each.timbre is not None]
        if numbers:
            np.save(folder / NUMBERS, np.concatenate(numbers))
        write_json(folder / "songs.json", songs)
        write_json(
            folder / "titles.json", {n: t for each, _ in sets for n, t in each.every.items()}
        )
        captions = [tokens for row in rows for tokens in row["captions"]]
        total: dict[str, Words] = {
            name: list(titles) for each, _ in sets for name, titles in each.every.items()
        }
        test: dict[str, Words] = {
            name: [song["tokens"] for song in songs if song["collection"] == name] for name in total
        }
        every: dict[str, Words] = {found.name: captions} | total
        return {
            "captions": found.name,
            "lengths": {name: Counts.of(each).as_dict()["lengths"] for name, each in every.items()},
            "title_words": {
                name: {collection: _types(each) for collection, each in some.items()}
                | {"both": _types(tokens for each in some.values() for tokens in each)}
                for name, some in {"total": total, "test": test}.items()
            },
            "test_titles": {name: len(each) for name, each in test.items()},
            "pictures": dict(Counter(picture.split for picture in found.pictures)),
            "drawn_from": {"pictures": found.drawn_from}
            | {each.name: _counts(each.drawn_from) for each, _ in sets},
            # Which collection stands where the paper has its own of a reading.
            "stands_for": _stand_ins(sets),
            "distinct_captions": len({" ".join(tokens) for tokens in captions}),
            "caption_words": _types(captions),
        }

    settings = pick(config, "seed", "picture_count", "song_count", "title_rules")
    settings |= {"corpora": roles(config), "data": fingerprint(config, home)}
    return Work(compute, settings)


def _counts(told: dict[str, Any]) -> dict[str, Any]:
    """What a record tells of how songs were drawn: counts and no titles."""
    if "funnel" not in told:
        return told
    kept = ("name", "rule", "before", "after", "changed", "lost", "note")
    steps = [{name: step[name] for name in kept} for step in told["funnel"]["steps"]]
    return told | {"funnel": told["funnel"] | {"steps": steps}}


def _stand_ins(sets: Sequence[tuple[SongSet, list[str]]]) -> dict[str, str]:
    """By reading, the collection of titles that stands for the paper's: of several that are shared
    each has one."""
    found = dict[str, str]()
    for each, readings in sets:
        names = list(each.every)
        found |= {name: names[min(n, len(names) - 1)] for n, name in enumerate(readings)}
    return found


def _types(texts: Iterable[Sequence[str]]) -> int:
    return len({token for tokens in texts for token in tokens})


@stage
def vocabulary(config: ExperimentConfig, *, home: Path) -> Work:
    """The words of the training captions, or of the run that learnt from all of them, as
    `vocabulary.json`, and how far they reach in titles.

    Shares are of the test songs' titles: of running words, of distinct words, of titles.
    """
    before, run = corpora(config, home=home), run_for(config)

    def compute(folder: Path) -> dict[str, Any]:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # a second to load

        pictures = picture_rows(before, "train")
        captions = [tokens for picture in pictures for tokens in picture["captions"]]
        if run:
            words = Vocabulary.load(run / "vocabulary.json")
        else:
            words = Vocabulary.from_tokens(captions, min_count=config.min_count)
        words.save(folder / "vocabulary.json")
        known = [[token in words for token in title] for title in song_titles(before)]
        distinct = {token for title in song_titles(before) for token in title}
        shares = {
            "running words": [each for title in known for each in title],
            "distinct words": [token in words for token in distinct],
            "titles with a known word": list(map(any, known)),
            "titles with a known content word": [
                any(token in words and token not in ENGLISH_STOP_WORDS for token in title)
                for title in song_titles(before)
            ],
            "titles of known words only": list(map(all, known)),
        }
        shown = {name: sum(each) / len(each) for name, each in shares.items()}
        return {"size": len(words), "known": shown}

    settings = pick(config, "min_count")
    settings |= {"run": read_checkpoint(kept_checkpoint(run)).files} if run else {}
    return Work(compute, settings, [before])


@stage
def clips(config: ExperimentConfig, *, home: Path) -> Work:
    """The test songs with what is given of each: sound, or numbers that came ready made.

    Files: `songs.json` as `corpora` has it, of songs with sound each with its `clip`: a file of
    `clips/`, rendered from a score, or one below the data home or the samples, where it lies (see
    `clip_of`); and `timbre.npy`. Songs whose sound cannot be had are left out.

    Raises InputError where the songs of a reading are not at hand.
    """
    before, its = corpora(config, home=home), config.material
    kinds = {each.reading: its.of(each.reading).kind for each in SONGS}

    def compute(folder: Path) -> dict[str, Any]:
        rows = song_rows(before)
        for each in SONGS:
            if not any(each.reading in song["readings"] for song in rows):
                part = its.of(each.reading)
                wanted = f"songs of {part.name} for their {each.reading}"
                refuse(f"corpora {its.name}", wanted, "none", f"fetch {part.kind}, or take others")
        rendered = dict[str, str]()
        if "tunes" in kinds.values():
            chosen = tunes.choose(tunes.load(), config.song_count, seed=config.seed)
            how: Any = {"seed": config.seed, "rule": config.instruments}
            paths = tunes.render_all(chosen, folder / "clips", duration=config.clip_seconds, **how)
            names = {path.name for path in paths}
            for tune in chosen:
                if (name := tunes.clip_path(tune, folder, **how).name) in names:
                    rendered[tune.id] = name
        songs: list[dict[str, Any]] = []
        for song in rows:
            kind = kinds[song["readings"][0]]
            if kind == "tunes" and song["id"] in rendered:
                songs.append(song | {"clip": rendered[song["id"]]})
            elif kind in SILENT or (kind != "tunes" and _can_be_heard(song, home)):
                songs.append(song)
        write_json(folder / "songs.json", songs)
        if before.file(NUMBERS).exists():
            shutil.copyfile(before.file(NUMBERS), folder / NUMBERS)
        return {"songs": len(songs), "without_sound": len(rows) - len(songs)}

    settings = pick(config, "seed", "song_count", "clip_seconds", "instruments")
    return Work(compute, settings, [before])


def _can_be_heard(song: dict[str, Any], home: Path) -> bool:
    """Whether a second of a song's sound can be decoded; a line of the log names one without."""
    try:
        load_clip(locate(home, song["clip"]), sample_rate=22_050, duration=1.0)
    except InputError as error:
        log.warning("%s: left out: %s", song["id"], error)
        return False
    return True


# -- what the stages left --------------------------------------------------------------------------


def clip_of(songs: Record, song: dict[str, Any], home: Path | None = None) -> Path:
    """Find the sound of a song of `clips`: rendered for it, or where it lies."""
    own = songs.file("clips") / song["clip"]
    return own if own.is_file() else locate(home or data_home(), song["clip"])


def song_rows(songs: Record, name: Input | str | None = None) -> list[dict[str, Any]]:
    """Read the test songs from `corpora` or `clips`: all, or those that an input is of."""
    rows = read_json(songs.file("songs.json"))
    asked = name and Input.of(name).reading
    return [song for song in rows if asked is None or asked in song["readings"]]


def song_titles(songs: Record, name: Input | str | None = None) -> Words:
    """Read the true titles of the test songs, as words: of all, or of those of an input."""
    return [song["tokens"] for song in song_rows(songs, name)]


def picture_rows(words: Record, *splits: str) -> list[dict[str, Any]]:
    """Read the pictures of some splits from `corpora`, or of all."""
    rows = read_json(words.file("pictures.json"))
    return [row for row in rows if not splits or row["split"] in splits]


def held_out_captions(words: Record) -> Words:
    """Read the first true caption of each test picture, as words, from `corpora`."""
    return [picture["tokens"] for picture in picture_rows(words, "test")]


def true_words(words: Record, songs: Record) -> dict[str, Words]:
    """Read what is scored against, as words, by the reading of an input: captions and titles."""
    found = {each.reading: song_titles(songs, each) for each in SONGS}
    return {"pixels": held_out_captions(words)} | found


def true_series(words: Record, songs: Record) -> dict[str, list[str]]:
    """Read the series of what `true_words` gives, by the same readings and in the same order."""
    found = {each.reading: [song["series"] for song in song_rows(songs, each)] for each in SONGS}
    return {"pixels": [picture["series"] for picture in picture_rows(words, "test")]} | found
