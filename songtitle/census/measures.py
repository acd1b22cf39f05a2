"""What the census measures: each function reads files of one corpus and returns plain numbers.

Lengths are counted twice. As written, a word is what spaces part, which is how the paper's own
lengths look; cleaned, it is a word of `songtitle.text`, which is what the model is scored on.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from songtitle.claims import paper_table
from songtitle.counts import Counts
from songtitle.datasets import (
    audiocaps,
    clips,
    conceptual_captions,
    fma,
    million_song,
)
from songtitle.datasets.contract import Titled
from songtitle.datasets.web_pictures import link_rot
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, named_entities, tokenize
from songtitle.text.funnel import PAPER_TOLD, funnel

SEED = 0
TEST = 1000  # titles in the paper's test sets


# -- captions and links --------------------------------------------------------------------------


def captions(path: Path) -> dict[str, Any]:
    """Lengths and words of Conceptual Captions."""
    faults = Faults()
    rows = (caption for _, caption, _ in conceptual_captions.read(path, faults))
    return _texts(rows, clean=clean_caption) | {"faults": faults.as_dict()}


def audio_captions(path: Path) -> dict[str, Any]:
    """Lengths and words of AudioCaps."""
    faults = Faults()
    rows = [row.caption for row in audiocaps.read(path, faults)]
    return _texts(rows, clean=clean_caption) | {"faults": faults.as_dict()}


def links(status: Path, tsv: Path) -> dict[str, Any]:
    """Which links of the validation captions gave a picture in January 2019."""
    faults = Faults()
    known = {url: caption for _, caption, url in conceptual_captions.read(tsv, faults)}
    rows = conceptual_captions.read_link_status(status, faults)
    report = link_rot.report_from_status(rows, known, year=2019)
    return _links(report) | {"faults": faults.as_dict()}


def pictures(folder: Path) -> dict[str, Any]:
    """What became of every address that `fetch conceptual_captions --pictures` asked."""
    return _links(link_rot.report(folder))


def _links(report: link_rot.Report, hosts: int = 12) -> dict[str, Any]:
    found = report.as_dict()
    asked = sorted(found.pop("hosts").items(), key=lambda item: (-item[1]["asked"], item[0]))
    found["hosts"] = {
        name: vars(link_rot.share(counts["survived"], counts["asked"]))
        for name, counts in asked[:hosts]
    }
    return found | {"distinct_hosts": len(asked)}


# -- titles --------------------------------------------------------------------------------------


def song_titles(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles of a Million Song list, and of a test set."""
    faults = Faults()
    return _titles(list(million_song.read_tracks(path, faults)), faults)


def fma_tracks(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles in `tracks.csv`, and of a test set."""
    faults = Faults()
    return _titles(list(fma.read_tracks(path, faults)), faults)


def fma_raw(path: Path) -> dict[str, Any]:
    """Lengths and words of the titles in `raw_tracks.csv`, and of a test set."""
    faults = Faults()
    return _titles(list(fma.read_raw_tracks(path, faults)), faults)


def fma_small(path: Path, genres: Path) -> dict[str, Any]:
    """Lengths and words of fma_small's titles, of a test set without broken clips; its genres."""
    faults = Faults()
    tracks = list(fma.read_titles(path, faults))
    found = fma.read_file_genres(genres, faults)
    fma.check_balance(found)
    broken = fma.errata("small")
    balance = {"genres": len(set(found.values())), "files": len(found), "errata": len(broken)}
    return _titles(tracks, faults, exclude=broken) | balance


def _titles(
    tracks: Sequence[Titled], faults: Faults, *, exclude: Iterable[str] = ()
) -> dict[str, Any]:
    result = _texts((track.title for track in tracks), clean=clean_title)
    result["artists"] = len({track.group for track in tracks})
    result["sample_titles"] = [track.title for track in tracks[:5]]
    distinct = list({track.id: track for track in tracks}.values())  # a list may repeat a track
    if len(distinct) > TEST:
        test, rest = clips.choose_test(distinct, TEST, seed=SEED, exclude=set(exclude))
        words = Counts.of(tokenize(clean_title(track.title)) for track in test)
        shared = {track.group for track in test} & {track.group for track in rest}
        result["test"] = {
            "titles": len(test),
            "distinct_words": len(words.words),
            "artists_on_both_sides": len(shared),
        }
    return result | {"faults": faults.as_dict()}


def _texts(texts: Iterable[str], *, clean: Any) -> dict[str, Any]:
    written, cleaned = Counts(), Counts()
    for text in texts:
        written.add(text.split())
        cleaned.add(tokenize(clean(text)))
    return {
        "rows": written.texts,
        "as_written": written.as_dict()
        | {
            "up_to_5": written.share_up_to(5),
            "up_to_15": written.share_up_to(15),
        },
        "cleaned": cleaned.as_dict(),
    }


# -- named entities ------------------------------------------------------------------------------


def fma_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The funnel over fma_small's titles, entities looked for before and after lowercasing."""
    faults = Faults()
    titles = [track.title for track in fma.read_titles(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def fma_all_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The same over `tracks.csv`."""
    faults = Faults()
    titles = [track.title for track in fma.read_tracks(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def song_names(path: Path, nltk_data: Path) -> dict[str, Any]:
    """The same over the titles of a Million Song list."""
    faults = Faults()
    titles = [track.title for track in million_song.read_tracks(path, faults)]
    return _funnels(titles, nltk_data) | {"faults": faults.as_dict()}


def _funnels(titles: list[str], nltk_data: Path) -> dict[str, Any]:
    orders: dict[str, Any] = {}
    with _private(nltk_data) as data:
        for order in ("before_lowercasing", "after_lowercasing"):
            rules = replace(PAPER_TOLD, named_entities=order, duplicates="drop")
            found = funnel(titles, rules, data=data, progress=True)
            named = next(step for step in found.steps if step.name == "named entities")
            orders[order] = found.as_dict() | {"share_with_a_name": named.lost / named.before}
        # The paper prints them in lower case; with a capital each they look as titles do.
        samples = sorted({title for column in paper_table(2).to_numpy() for title in column})
        flags = [
            named_entities(each, data=data) or []
            for each in ([title.title() for title in samples], samples)
        ]
    table_2 = {title: [*pair] for title, *pair in zip(samples, *flags, strict=True)}
    return {"titles": len(titles), "orders": orders, "table_2": table_2}


@contextmanager
def _private(folder: Path) -> Iterator[Path]:
    """A copy that nobody else may write to: NLTK takes no other."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / folder.name
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        yield copy


# -- clips ---------------------------------------------------------------------------------------


def fma_clips(folder: Path) -> dict[str, Any]:
    """Rates, channels and lengths of FMA's clips, by decoding every one."""
    faults = Faults()
    paths = sorted(path for path in folder.rglob("*.mp3") if not path.name.startswith("."))
    facts = clips.survey(paths, faults, shortest=29.0)
    return clips.summary(facts.values()) | {"faults": faults.as_dict()}
